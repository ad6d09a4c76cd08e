/* build: glibc musl */
#include "guest.h"
#include <sys/file.h>

static long lock(int fd, int command, int type, off_t start, off_t length) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    long r = fcntl(fd, command, &l);
    if (!r && (command == F_GETLK || command == F_OFD_GETLK)) {
        if (l.l_type == F_UNLCK) printf("free\n");
        else printf("held: type %d from %ld length %ld parent's %d ofd %d\n", l.l_type, (long)l.l_start, (long)l.l_len,
                    l.l_pid == getppid(), l.l_pid == -1);
    }
    return r;
}
static void ignore(int sig) {}

int main(void) {
    start();
    SECTION("POSIX locks");
    put_file("locked", "0123456789");
    int a = open("locked", O_RDWR), b = open("locked", O_RDWR), ro = open("locked", O_RDONLY);
    CALL(lock(a, F_SETLK, F_WRLCK, 0, 10));
    CALL(lock(b, F_SETLK, F_WRLCK, 0, 10));
    CALL(lock(ro, F_SETLK, F_WRLCK, 0, 10));
    CALL(lock(a, F_SETLK, F_UNLCK, 3, 2));
    CALL(lock(a, F_SETLK, F_RDLCK, 7, 0));
    CALL(lock(a, F_SETLK, 77, 0, 0));
    CALL(lock(a, F_SETLK, F_RDLCK, -5, 0));
    pid_t pid = fork();
    if (!pid) {
        lock(a, F_GETLK, F_WRLCK, 0, 0);
        lock(a, F_GETLK, F_WRLCK, 3, 2);
        lock(a, F_GETLK, F_WRLCK, 6, 100);
        lock(a, F_GETLK, F_RDLCK, 8, 1);
        CALL(lock(a, F_SETLK, F_WRLCK, 0, 3));
        CALL(lock(a, F_SETLK, F_RDLCK, 8, 1));
        CALL(lock(b, F_SETLK, F_WRLCK, 3, 2));
        struct sigaction sa = {.sa_handler = ignore};
        sigaction(SIGALRM, &sa, NULL);
        struct itimerval it = {{0, 0}, {0, 20000}};
        setitimer(ITIMER_REAL, &it, NULL);
        CALL(lock(a, F_SETLKW, F_WRLCK, 0, 3));
        _exit(0);
    }
    ended("other process", pid);
    int p[2];
    pipe(p);
    pid = fork();
    if (!pid) { write(p[1], "x", 1); CALL(lock(a, F_SETLKW, F_WRLCK, 0, 0)); _exit(0); }
    char c;
    read(p[0], &c, 1);
    pause_ms(20);
    printf("closing any descriptor lets go\n");
    close(b);
    ended("waiter", pid);
    SECTION("deadlock");
    lock(a, F_SETLK, F_WRLCK, 0, 1);
    pid = fork();
    if (!pid) {
        lock(a, F_SETLK, F_WRLCK, 1, 1);
        write(p[1], "x", 1);
        lock(a, F_SETLKW, F_WRLCK, 0, 1);
        _exit(0);
    }
    read(p[0], &c, 1);
    pause_ms(20);
    CALL(lock(a, F_SETLKW, F_WRLCK, 1, 1));
    lock(a, F_SETLK, F_UNLCK, 0, 0);
    ended("other", pid);
    SECTION("open file description locks");
    b = open("locked", O_RDWR);
    CALL(lock(a, F_OFD_SETLK, F_WRLCK, 0, 5));
    CALL(lock(b, F_OFD_SETLK, F_WRLCK, 4, 5));
    CALL(lock(b, F_SETLK, F_RDLCK, 0, 1));
    lock(b, F_OFD_GETLK, F_RDLCK, 0, 0);
    int same = dup(a);
    CALL(lock(same, F_OFD_SETLK, F_RDLCK, 0, 5));
    CALL(lock(b, F_OFD_SETLK, F_RDLCK, 4, 5));
    close(a);
    CALL(lock(b, F_OFD_SETLK, F_WRLCK, 0, 5));
    close(same);
    CALL(lock(b, F_OFD_SETLK, F_WRLCK, 0, 5));
    close(b);
    SECTION("flock");
    a = open("locked", O_RDONLY), b = open("locked", O_RDONLY);
    CALL(flock(a, LOCK_EX));
    CALL(flock(b, LOCK_SH | LOCK_NB));
    CALL(flock(a, LOCK_SH));
    CALL(flock(b, LOCK_SH | LOCK_NB));
    CALL(flock(a, LOCK_EX | LOCK_NB));
    CALL(flock(b, LOCK_UN));
    CALL(flock(a, 77));
    CALL(flock(99, LOCK_SH));
    pid = fork();
    if (!pid) { CALL(flock(a, LOCK_EX | LOCK_NB)); CALL(flock(b, LOCK_SH | LOCK_NB)); CALL(flock(a, LOCK_UN)); _exit(0); }
    ended("shares the description", pid);
    CALL(flock(b, LOCK_EX | LOCK_NB));
    return 0;
}
