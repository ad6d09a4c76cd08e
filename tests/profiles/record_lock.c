/* fcntl(F_SETLK): two processes that both get the lock, which corrupts databases.  Here the error is the good answer.
   wsl1: both; fcntl(F_SETLK of what is locked); WSL#1927 */
#include "gap.h"
#include <sys/wait.h>

int main(void)
{
    struct flock lock = {.l_type = F_WRLCK};
    int status, fd = file_with("f", "text");
    if (fcntl(fd, F_SETLK, &lock))
        abort();
    if (!fork())
        _exit(fcntl(fd, F_SETLK, &lock) == -1 && errno == EAGAIN);
    wait(&status);
    printf("F_SETLK: %s\n", WEXITSTATUS(status) ? "ok" : "both");
    return !WEXITSTATUS(status);
}
