/* build: glibc; flags: -pthread */
/* Threads and processes that compute while others make calls: what must hold when they really run side by side. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>

static volatile long spins[4];
static volatile int stop_spinning, handled, ready;
static uint32_t word, other_word;

static void *spin(void *arg) {
    long n = (long)arg;
    while (!stop_spinning) spins[n]++;
    return NULL;
}

static void on_signal(int sig) { handled++; }

static void wait_until(volatile int *what, int value) {
    while (__atomic_load_n(what, __ATOMIC_SEQ_CST) != value) sched_yield();
}

/* Two threads add to one word in user space, one through FUTEX_WAKE_OP: nothing may be lost. */
static void *add_here(void *arg) {
    for (int i = 0; i < 300000; i++) __atomic_add_fetch(&other_word, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void *add_by_call(void *arg) {
    for (int i = 0; i < 500; i++)
        syscall(SYS_futex, &word, FUTEX_WAKE_OP, 1, 1, &other_word, FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 1));
    return NULL;
}

static pthread_mutex_t pi;
static long guarded;

static void *guard(void *arg) {
    for (int i = 0; i < 3000; i++) {
        pthread_mutex_lock(&pi);
        guarded++;
        pthread_mutex_unlock(&pi);
    }
    return NULL;
}

static void *execs(void *arg) {
    pause_ms(20);
    execl("/bin/echo", "echo", "executed beside spinning threads", NULL);
    return NULL;
}

/* FPU and vector registers survive while others run. */
static void *sums(void *arg) {
    double x = (long)arg + 1, s = 0;
    for (int i = 1; i < 3000000; i++) s += x / i;
    return (void *)(long)(s * 1000);
}

int main(void) {
    start();
    pthread_t t[4];
    SECTION("spinning threads and a caller");
    for (long i = 0; i < 3; i++) pthread_create(t + i, NULL, spin, (void *)i);
    for (int i = 0; i < 2000; i++) getppid();
    while (!spins[0] || !spins[1] || !spins[2]) pause_ms(1);
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &sa, NULL);
    for (int i = 0; i < 20; i++) {
        int before = handled;
        CALL(pthread_kill(t[i % 3], SIGUSR1));
        while (handled == before) pause_ms(1);
    }
    NUMBER(handled);
    stop_spinning = 1;
    for (int i = 0; i < 3; i++) CALL(pthread_join(t[i], NULL));

    SECTION("one word, changed in user space and by the kernel");
    pthread_create(t, NULL, add_here, NULL);
    pthread_create(t + 1, NULL, add_here, NULL);
    pthread_create(t + 2, NULL, add_by_call, NULL);
    for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
    NUMBER(other_word);

    SECTION("a contended PI lock");
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&pi, &attr);
    for (int i = 0; i < 3; i++) pthread_create(t + i, NULL, guard, NULL);
    for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
    NUMBER(guarded);

    SECTION("registers");
    for (long i = 0; i < 4; i++) pthread_create(t + i, NULL, sums, (void *)i);
    for (int i = 0; i < 4; i++) {
        void *sum;
        pthread_join(t[i], &sum);
        NUMBER((long)sum);
    }

    SECTION("stop, continue and kill a process that computes");
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (!child) for (volatile long n = 0;; n++) {}
        pause_ms(10);
        int status;
        CALL(kill(child, SIGSTOP));
        WORKS(waitpid(child, &status, WUNTRACED));
        NUMBER(WIFSTOPPED(status));
        CALL(kill(child, SIGCONT));
        WORKS(waitpid(child, &status, WCONTINUED));
        NUMBER(WIFCONTINUED(status));
        CALL(kill(child, i % 2 ? SIGKILL : SIGTERM));
        WORKS(waitpid(child, &status, 0));
        NUMBER(WTERMSIG(status));
    }

    SECTION("exit and exec beside spinning threads");
    for (int how = 0; how < 2; how++) {
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            stop_spinning = 0;
            for (long i = 0; i < 2; i++) pthread_create(t + i, NULL, spin, (void *)i);
            if (how) pthread_create(t + 2, NULL, execs, NULL);
            else { pause_ms(20); exit(7); }
            spin((void *)2);
        }
        int status;
        WORKS(waitpid(child, &status, 0));
        NUMBER(status);
    }

    SECTION("CPU time of a child that computes, seen from outside");
    pid_t child = fork();
    if (!child) for (volatile long n = 0;; n++) {}
    clockid_t clock;
    CALL(clock_getcpuclockid(child, &clock));
    struct timespec spent;
    do { pause_ms(5); clock_gettime(clock, &spent); } while (spent.tv_nsec < 30000000 && !spent.tv_sec);
    CALL(kill(child, SIGKILL));
    int status;
    struct rusage { struct timeval user, system; long rest[14]; } usage;
    WORKS(syscall(SYS_wait4, child, &status, 0, &usage));
    NUMBER(usage.user.tv_usec + usage.user.tv_sec * 1000000 >= 25000);

    SECTION("unmapping under a thread that computes there");
    for (int i = 0; i < 20; i++) {
        char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        fflush(stdout);
        pid_t victim = fork();
        if (!victim) {
            stop_spinning = 0;
            pthread_create(t, NULL, spin, (void *)0);
            mprotect(p, 1 << 20, PROT_READ);
            if (i % 2) munmap(p, 1 << 20);
            p[4096] = 1;
            _exit(0);
        }
        waitpid(victim, &status, 0);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV) NUMBER(status);
    }
    return 0;
}
