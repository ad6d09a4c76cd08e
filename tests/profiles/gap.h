/* What the programs here share: they tell what they got, and end with 1 when it was an error. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int told(const char *what, long result)
{
    int error = errno;
    printf("%s: %s\n", what, result == -1 ? strerrorname_np(error) : "ok");
    return result == -1;
}

/* A file with this content, open for reading and writing. */
static inline int file_with(const char *name, const char *text)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (write(fd, text, strlen(text)) != (long)strlen(text))
        abort();
    return fd;
}
