/* What every guest program shares: one line of output per call, with the errno of a failed one. */
#ifndef GUEST_H
#define GUEST_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Print the call and its value, "-1 errno N" for a failure; gives the value. */
#define CALL(expression) show(#expression, (long)(expression))
/* The same, but only whether it worked: for descriptors, pids and addresses. */
#define WORKS(expression) works(#expression, (long)(expression))
#define NUMBER(expression) printf("%s: %lld\n", #expression, (long long)(expression))
#define TEXT(expression) printf("%s: %s\n", #expression, (expression))
#define SECTION(title) printf("== %s\n", title)

static inline long show(const char *what, long value) {
    int saved = errno;
    if (value == -1) printf("%s = -1 errno %d\n", what, saved);
    else printf("%s = %ld\n", what, value);
    errno = saved;
    return value;
}

static inline long works(const char *what, long value) {
    int saved = errno;
    if (value == -1) printf("%s = -1 errno %d\n", what, saved);
    else printf("%s works\n", what);
    errno = saved;
    return value;
}

static inline void start(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    umask(022);
}

static inline void put_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) perror(path);
    close(fd);
}

static inline void pause_ms(int ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&t, &t) < 0 && errno == EINTR) {}
}

/* Wait for a child and say how it ended. */
static inline int ended(const char *who, pid_t pid) {
    int status = 0;
    pid_t got;
    do got = waitpid(pid, &status, 0); while (got < 0 && errno == EINTR);
    if (got != pid) printf("%s: waitpid failed, errno %d\n", who, errno);
    else if (WIFEXITED(status)) printf("%s: exit %d\n", who, WEXITSTATUS(status));
    else if (WIFSIGNALED(status)) printf("%s: signal %d\n", who, WTERMSIG(status));
    else printf("%s: status %x\n", who, status);
    return status;
}
#endif
