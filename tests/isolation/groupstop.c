/* build: glibc; flags: -pthread */
/* Stopping and continuing processes of many threads; spinning ones beside others that must go on; one that waits for
 * input from outside. */
#include "guest.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

static volatile unsigned long *counters;

static void *count(void *number) { for (;;) counters[(long)number]++; }
static void *call(void *number) { for (;;) { counters[(long)number]++; getppid(); } }
static void *sleeper(void *number) { for (;;) { counters[(long)number]++; usleep(500); } }

static int moved(unsigned long *before) {
    int n = 0;
    for (int i = 0; i < 9; i++) { n += counters[i] != before[i]; before[i] = counters[i]; }
    return n;
}

static int wait_moved(unsigned long *before) {
    int best = 0;
    unsigned long start[9];
    memcpy(start, before, sizeof start);
    for (int i = 0; i < 400 && best < 9; i++) {
        pause_ms(10);
        best = 0;
        for (int k = 0; k < 9; k++) best += counters[k] != start[k];
    }
    moved(before);
    return best;
}

static long ms(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000 + t.tv_nsec / 1000000; }

int main(int argc, char **argv) {
    start();
    counters = mmap(NULL, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned long before[9] = {0};
    pid_t child = fork();
    if (!child) {
        /* A group of its own: in one that is orphaned SIGTSTP does nothing.  And no spinning threads are left behind. */
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pthread_t t;
        for (long i = 0; i < 9; i++) pthread_create(&t, NULL, (void *(*[])(void *)){count, call, sleeper}[i % 3], (void *)i);
        for (;;) pause();
    }
    printf("all go: %d\n", wait_moved(before));
    int status;
    for (int round = 0; round < 5; round++) {
        kill(child, round & 1 ? SIGTSTP : SIGSTOP);
        printf("stopped: %d", waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
        moved(before);
        pause_ms(30);
        printf(", moved meanwhile: %d", moved(before));
        kill(child, SIGCONT);
        printf(", continued: %d", waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
        printf(", all go: %d\n", wait_moved(before));
    }
    kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    kill(child, SIGKILL);
    ended("killed while stopped", child);

    SECTION("spinning beside working");
    pid_t spinners[3];
    for (int i = 0; i < 3; i++)
        if (!(spinners[i] = fork())) { prctl(PR_SET_PDEATHSIG, SIGKILL); for (;;) {} }
    int a[2], b[2];
    pipe(a);
    pipe(b);
    pid_t echo = fork();
    if (!echo) { char c; while (read(a[0], &c, 1) == 1) write(b[1], &c, 1); _exit(0); }
    long begin = ms();
    int done = 0;
    char c = 'x';
    for (int i = 0; i < 30; i++) { write(a[1], &c, 1); done += read(b[0], &c, 1) == 1; }
    long took = ms() - begin;
    printf("answers: %d, within 10 s: %d\n", done, took < 10000);
    if (argc > 1) fprintf(stderr, "took %ld ms\n", took);
    begin = ms();
    for (int i = 0; i < 20; i++) usleep(1000);
    printf("sleeps end: %d\n", ms() - begin < 5000);
    for (int i = 0; i < 3; i++) { kill(spinners[i], SIGKILL); ended("spinner", spinners[i]); }
    kill(echo, SIGKILL);
    ended("echo", echo);

    SECTION("waiting for the outside");
    /* Our standard input is a pipe that somebody outside keeps open and says nothing on. */
    pid_t reader = fork();
    if (!reader) { char line[64]; ssize_t n = read(0, line, 64); _exit(n > 0 ? 1 : 2); }
    mkfifo("fifo", 0600);
    pid_t opener = fork();
    if (!opener) { open("fifo", O_RDONLY); _exit(3); }
    pid_t poller = fork();
    if (!poller) { struct pollfd p = {0, POLLIN}; poll(&p, 1, -1); _exit(4); }
    done = 0;
    for (int i = 0; i < 50; i++) { pid_t p = fork(); if (!p) _exit(i); waitpid(p, &status, 0); done += status == i << 8; }
    printf("children meanwhile: %d\n", done);
    printf("still waiting: %d\n", waitpid(-1, NULL, WNOHANG) == 0);
    kill(reader, SIGKILL), kill(opener, SIGKILL), kill(poller, SIGKILL);
    ended("reader", reader), ended("opener", opener), ended("poller", poller);
    unlink("fifo");
    return 0;
}
