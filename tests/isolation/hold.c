/* build: static; flags: -pthread */
/* Something to be killed in the middle of: `hold processes|threads|execs|forks|writes|raw N`. */
#include "guest.h"
#include <pthread.h>
#include <termios.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static int up[2];

static void *wait_thread(void *spins) {
    if (spins) for (;;) {}
    write(up[1], "x", 1);
    pthread_mutex_lock(&lock);
    for (;;) pthread_cond_wait(&never, &lock);
}

static void ready(int count) {
    char c;
    while (count-- > 0) read(up[0], &c, 1);
    printf("ready\n");
}

int main(int argc, char **argv) {
    const char *what = argv[1];
    int n = atoi(argv[2]);
    start();
    pipe(up);
    if (!strcmp(what, "processes")) {
        for (int i = 0; i < n; i++) if (!fork()) { write(up[1], "x", 1); if (i % 100 == 7) for (;;) {} for (;;) pause(); }
        ready(n);
        for (;;) pause();
    } else if (!strcmp(what, "threads")) {
        pthread_attr_t attr;
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, 32768);
        pthread_t t;
        for (int i = 0; i < n; i++) pthread_create(&t, &attr, wait_thread, NULL);
        ready(n);
        for (int i = 0; i < 2; i++) pthread_create(&t, &attr, wait_thread, (void *)1);
        for (;;) pause();
    } else if (!strcmp(what, "execs")) {
        for (int i = 0; i < n; i++) if (!fork()) execl("/proc/self/exe", argv[0], "again", "0", NULL);
        printf("ready\n");
        for (;;) pause();
    } else if (!strcmp(what, "again")) {
        execl("/proc/self/exe", argv[0], "again", "0", NULL);
    } else if (!strcmp(what, "forks")) {
        printf("ready\n");
        for (;;) { pid_t p = fork(); if (!p) _exit(0); waitpid(p, NULL, 0); }
    } else if (!strcmp(what, "writes")) {
        printf("ready\n");
        for (int i = 0; i < n; i++) if (!fork()) for (;;) if (write(1, "text\n", 5) < 0) _exit(3);
        for (;;) if (write(1, "text\n", 5) < 0) _exit(3);
    } else if (!strcmp(what, "victims")) {
        pid_t pids[8];
        int status;
        for (int i = 0; i < n; i++) if (!(pids[i] = fork())) {
            pthread_t t;
            if (i & 1) pthread_create(&t, NULL, wait_thread, NULL);
            else write(up[1], "x", 1);
            for (;;) pause();
        }
        ready(n);
        for (int i = 0; i < 2; i++) { wait(&status); printf("ended: %x\n", status); }
        printf("others: %d\n", waitpid(-1, &status, WNOHANG));
        for (int i = 0; i < n; i++) kill(pids[i], SIGTERM);
        for (int i = 2; i < n; i++) { wait(&status); printf("ended: %x\n", status); }
    } else if (!strcmp(what, "raw")) {
        struct termios t;
        tcgetattr(0, &t);
        cfmakeraw(&t);
        if (n) tcsetattr(0, TCSANOW, &t);
        printf("ready\n");
        for (;;) pause();
    }
    return 0;
}
