/* The guest of bench/soak.py: `soak SECONDS` goes round until the time is over, and each round leaves nothing behind:
 * processes, threads, files, mappings, pipes, sockets, signals, programs.  It prints a line each time that it has been
 * round, and ends with a status that is not 0 at the first thing that is not as it should be. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition) do { if (!(condition)) { printf("soak: %s:%d: %s, errno %d\n", __func__, __LINE__, #condition, errno); \
    fflush(stdout); _exit(1); } } while (0)

static char block[65536];
extern char **environ;

static void reap(pid_t pid, int wanted) {
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(status == wanted);
}

static void processes(void) {
    pid_t pids[20];
    for (int i = 0; i < 20; i++) {
        CHECK((pids[i] = fork()) >= 0);
        if (!pids[i]) {
            char *p = malloc(1 << 20);
            memset(p, i, 1 << 20);
            if (i % 5 == 4) { pid_t grandchild = fork(); if (!grandchild) _exit(0); waitpid(grandchild, NULL, 0); }
            _exit(i);
        }
    }
    for (int i = 0; i < 20; i++) reap(pids[i], i << 8);
    pid_t pid = vfork();
    if (!pid) _exit(3);
    reap(pid, 3 << 8);
}

static void programs(void) {
    char *commands[][4] = {{"true", NULL}, {"sh", "-c", "exit $(echo 7 | cat)", NULL}, {"sh", "-c", "kill -TERM $$", NULL}};
    int wanted[] = {0, 7 << 8, SIGTERM};
    for (int i = 0; i < 3; i++) {
        pid_t pid;
        CHECK(!posix_spawnp(&pid, commands[i][0], NULL, NULL, commands[i], environ));
        reap(pid, wanted[i]);
    }
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static int turn;
static atomic_int sum;

static void *thread(void *number) {
    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(&lock);
        turn++;
        pthread_cond_broadcast(&moved);
        pthread_mutex_unlock(&lock);
        sum++;
    }
    char *p = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    p[4096] = 1;
    munmap(p, 1 << 16);
    return number;
}

static void threads(void) {
    pthread_t ids[16];
    sum = 0;
    for (long i = 0; i < 16; i++) CHECK(!pthread_create(ids + i, NULL, thread, (void *)i));
    for (long i = 0; i < 16; i++) { void *got; CHECK(!pthread_join(ids[i], &got) && got == (void *)i); }
    CHECK(sum == 320);
}

static void files(void) {
    char name[64];
    CHECK(!mkdir("soak.d", 0755));
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "soak.d/%d", i);
        int fd = open(name, O_CREAT | O_RDWR, 0644);
        CHECK(fd >= 0 && write(fd, block, sizeof block) == sizeof block);
        char *p = mmap(NULL, sizeof block, PROT_READ | PROT_WRITE, i & 1 ? MAP_SHARED : MAP_PRIVATE, fd, 0);
        CHECK(p != MAP_FAILED);
        p[i] = 'x';
        CHECK(!munmap(p, sizeof block) && !close(fd));
        char other[64];
        snprintf(other, sizeof other, "soak.d/%d.renamed", i);
        CHECK(!rename(name, other) && !symlink(other, name) && !unlink(name) && !unlink(other));
    }
    CHECK(!rmdir("soak.d"));
    FILE *f = tmpfile();
    CHECK(f && fputs("text", f) >= 0 && !fclose(f));
    int fd = open("/proc/self/maps", O_RDONLY);
    while (read(fd, block, sizeof block) > 0) {}
    CHECK(!close(fd));
    memset(block, 0, sizeof block);
}

static void memory(void) {
    for (int i = 0; i < 50; i++) {
        char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, (i & 1 ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
        CHECK(p != MAP_FAILED);
        for (int at = 0; at < 1 << 20; at += 65536) p[at] = 1;
        CHECK(!mprotect(p + 65536, 65536, PROT_READ));
        char *q = mremap(p, 1 << 20, 2 << 20, MREMAP_MAYMOVE);
        if (q == MAP_FAILED) q = p;
        CHECK(!munmap(q, q == p ? 1 << 20 : 2 << 20) || errno == 0);
    }
    int fd = memfd_create("soak", 0);
    CHECK(fd >= 0 && !ftruncate(fd, 1 << 20));
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    memset(p, 1, 1 << 20);
    CHECK(!munmap(p, 1 << 20) && !close(fd));
}

static void pipes(void) {
    int p[2], s[2];
    CHECK(!pipe(p) && !socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    pid_t pid = fork();
    if (!pid) {
        close(p[1]);
        ssize_t n, all = 0;
        while ((n = read(p[0], block, sizeof block)) > 0) all += n;
        _exit(write(s[1], &all, sizeof all) != sizeof all);
    }
    close(p[0]);
    for (int i = 0; i < 16; i++) CHECK(write(p[1], block, sizeof block) == sizeof block);
    close(p[1]);
    ssize_t all;
    CHECK(read(s[0], &all, sizeof all) == sizeof all && all == 16 * sizeof block);
    close(s[0]); close(s[1]);
    reap(pid, 0);
    int e = epoll_create1(0), v = eventfd(0, 0), t = timerfd_create(CLOCK_MONOTONIC, 0);
    struct epoll_event event = {EPOLLIN};
    CHECK(!epoll_ctl(e, EPOLL_CTL_ADD, v, &event) && !epoll_ctl(e, EPOLL_CTL_ADD, t, &event));
    CHECK(write(v, &(long){1}, 8) == 8 && epoll_wait(e, &event, 1, 1000) == 1);
    struct itimerspec soon = {{0, 0}, {0, 1000000}};
    CHECK(!timerfd_settime(t, 0, &soon, NULL) && read(t, &(long){0}, 8) == 8);
    close(e); close(v); close(t);
}

static atomic_int caught;
static void on_signal(int signo) { caught++; }

static void signals(void) {
    signal(SIGUSR1, on_signal);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, &old);
    caught = 0;
    for (int i = 0; i < 50; i++) raise(SIGUSR1);
    CHECK(caught == 50);
    pid_t pid = fork();
    if (!pid) { for (int i = 0; i < 10; i++) kill(getppid(), SIGUSR2); for (;;) pause(); }
    siginfo_t info;
    struct timespec second = {10, 0};
    CHECK(sigtimedwait(&set, &info, &second) == SIGUSR2 && info.si_pid == pid);
    kill(pid, SIGSTOP);
    int status;
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    kill(pid, SIGCONT);
    kill(pid, SIGKILL);
    reap(pid, SIGKILL);
    while (sigtimedwait(&set, &info, &(struct timespec){0, 0}) > 0) {}
    sigprocmask(SIG_SETMASK, &old, NULL);
    timer_t timer;
    struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    CHECK(!timer_create(CLOCK_MONOTONIC, &how, &timer));
    int before = caught;
    timer_settime(timer, 0, &(struct itimerspec){{0, 0}, {0, 1000000}}, NULL);
    for (int i = 0; i < 1000 && caught == before; i++) usleep(1000);
    CHECK(caught == before + 1);
    timer_delete(timer);
    signal(SIGUSR1, SIG_DFL);
}

static void computing(void) {
    volatile double x = 1;
    for (int i = 0; i < 3000000; i++) x = x * 1.0000001;
}

int main(int argc, char **argv) {
    time_t end = time(NULL) + atol(argv[1]);
    long rounds = 0;
    struct { const char *name; void (*run)(void); } parts[] = {{"processes", processes}, {"programs", programs}, {"threads", threads},
        {"files", files}, {"memory", memory}, {"pipes", pipes}, {"signals", signals}, {"computing", computing}};
    int chosen = argc > 2 ? atoi(argv[2]) : -1;
    while (time(NULL) < end) {
        for (int i = 0; i < 8; i++) if (chosen < 0 || chosen == i) parts[i].run();
        rounds++;
    }
    printf("rounds %ld\n", rounds);
    return 0;
}
