/* build: glibc musl */
#include "guest.h"
#include <dirent.h>
#include <sys/resource.h>

static void set(int what, rlim_t soft, rlim_t hard) {
    struct rlimit r = {soft, hard};
    if (setrlimit(what, &r)) printf("setrlimit %d: errno %d\n", what, errno);
}

#define CHILD(name, ...) do { fflush(stdout); pid_t pid_ = fork(); if (!pid_) { __VA_ARGS__; _exit(0); } ended(name, pid_); } while (0)

static void fsize(void) {
    set(RLIMIT_FSIZE, 1000, 1000);
    int fd = open("limited", O_CREAT | O_RDWR | O_TRUNC, 0644);
    char b[700] = {0};
    CALL(write(fd, b, 700));
    CALL(write(fd, b, 700));
    signal(SIGXFSZ, SIG_IGN);
    CALL(write(fd, b, 1));
    CALL(ftruncate(fd, 1001));
    CALL(pwrite(fd, b, 10, 5000));
    signal(SIGXFSZ, SIG_DFL);
    write(fd, b, 1);
}

static volatile int used;
static void on_xcpu(int sig) { used++; }

int main(void) {
    start();
    struct rlimit r;
    SECTION("getting and setting");
    CALL(getrlimit(RLIMIT_NOFILE, &r));
    CALL(getrlimit(99, &r));
    r = (struct rlimit){100, 50};
    CALL(setrlimit(RLIMIT_NOFILE, &r));
    CHILD("child", set(RLIMIT_NOFILE, 20, 30); struct rlimit q; getrlimit(RLIMIT_NOFILE, &q);
          printf("%ld %ld\n", (long)q.rlim_cur, (long)q.rlim_max));
    CHILD("user", setuid(1000); set(RLIMIT_NOFILE, 20, 30); set(RLIMIT_NOFILE, 20, 31); set(RLIMIT_NOFILE, 25, 25));
    struct rlimit old;
    CALL(syscall(SYS_prlimit64, 0, RLIMIT_CORE, &(struct rlimit){0, 0}, &old));
    CALL(syscall(SYS_prlimit64, getpid(), RLIMIT_CORE, NULL, &old));
    printf("%ld\n", (long)old.rlim_cur);
    CALL(syscall(SYS_prlimit64, 999999, RLIMIT_CORE, NULL, &old));
    SECTION("descriptors");
    CHILD("nofile", set(RLIMIT_NOFILE, 8, 8); int fd, last = -1; while ((fd = dup(0)) >= 0) last = fd;
          printf("last %d errno %d\n", last, errno); CALL(dup2(0, 8)); CALL(fcntl(0, F_DUPFD, 8));
          CALL(open("x", O_CREAT, 0644)); CALL(pipe((int[2]){0}));
          close(5); CALL(pipe((int[2]){0})); CALL(dup(0)));
    SECTION("file size");
    CHILD("fsize", fsize());
    SECTION("memory");
    CHILD("as", set(RLIMIT_AS, 64 << 20, 64 << 20);
          CALL((long)mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
          printf("small works %d\n", mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED));
    CHILD("data", set(RLIMIT_DATA, 1 << 20, 1 << 20); printf("%d\n", sbrk(8 << 20) == (void *)-1);
          printf("%d\n", mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED));
    CHILD("stack", set(RLIMIT_STACK, 256 << 10, 256 << 10);
          volatile char *sp = alloca(1); for (long i = 0; i < 512 << 10; i += 4096) sp[-i] = 1);
    SECTION("cpu");
    CHILD("cpu", struct sigaction sa = {.sa_handler = on_xcpu}; sigaction(SIGXCPU, &sa, NULL);
          set(RLIMIT_CPU, 1, 2); while (!used) {} printf("SIGXCPU\n"); for (;;) {});
    SECTION("priorities");
    CALL(getpriority(PRIO_PROCESS, 0));
    CHILD("nice", CALL(nice(5)); CALL(getpriority(PRIO_PROCESS, 0)); CALL(setpriority(PRIO_PROCESS, 0, 30));
          CALL(getpriority(PRIO_PROCESS, 0)); setuid(1000); CALL(setpriority(PRIO_PROCESS, 0, 0)));
    CALL(setpriority(9, 0, 0));
    SECTION("usage");
    struct rusage u;
    CALL(getrusage(RUSAGE_SELF, &u));
    printf("%d %d\n", u.ru_maxrss > 0, u.ru_utime.tv_sec < 10);
    CALL(getrusage(RUSAGE_CHILDREN, &u));
    printf("children used more than a second: %d\n", u.ru_utime.tv_sec + u.ru_stime.tv_sec >= 1);
    CALL(getrusage(7, &u));
    return 0;
}
