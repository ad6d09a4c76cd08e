/* build: glibc musl */
#include "guest.h"
#include <sys/timex.h>
#include <sys/times.h>

static volatile int ticks, value, overrun;
static timer_t timer;
static void tick(int sig, siginfo_t *i, void *c) { ticks++; value = i->si_value.sival_int; }
static long ms(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000 + t.tv_nsec / 1000000; }

int main(void) {
    start();
    struct timespec t, u;
    SECTION("clocks");
    int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
                    CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME};
    for (int i = 0; i < 8; i++) {
        int r = clock_gettime(clocks[i], &t);
        clock_gettime(clocks[i], &u);
        printf("%d: %d, goes on %d\n", clocks[i], r, u.tv_sec > t.tv_sec || (u.tv_sec == t.tv_sec && u.tv_nsec >= t.tv_nsec));
    }
    CALL(syscall(SYS_clock_gettime, 99, &t));
    CALL(syscall(SYS_clock_gettime, CLOCK_REALTIME, (void *)1));
    CALL(clock_getres(CLOCK_MONOTONIC, &t));
    printf("%ld\n", t.tv_nsec);
    struct timeval tv;
    clock_gettime(CLOCK_REALTIME, &t);
    gettimeofday(&tv, NULL);
    printf("agree %d %d\n", labs(tv.tv_sec - t.tv_sec) <= 1, labs(time(NULL) - t.tv_sec) <= 1);
    SECTION("sleeping");
    long before = ms();
    t = (struct timespec){0, 30000000};
    CALL(nanosleep(&t, NULL));
    long took = ms() - before;
    printf("%d\n", took >= 30 && took < 500);
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += 20000000;
    if (t.tv_nsec >= 1000000000) t.tv_nsec -= 1000000000, t.tv_sec++;
    CALL(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
    CALL(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
    t.tv_nsec = 1000000000;
    CALL(nanosleep(&t, NULL));
    CALL(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL));
    SECTION("interval timers");
    struct sigaction sa = {.sa_sigaction = tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGALRM, &sa, NULL), sigaction(SIGVTALRM, &sa, NULL), sigaction(SIGPROF, &sa, NULL);
    struct itimerval it = {{0, 5000}, {0, 5000}}, was;
    CALL(setitimer(ITIMER_REAL, &it, NULL));
    while (ticks < 4) pause();
    it = (struct itimerval){{0, 0}, {0, 0}};
    CALL(setitimer(ITIMER_REAL, &it, &was));
    printf("%ld %d\n", (long)was.it_interval.tv_usec, was.it_value.tv_usec <= 5000);
    ticks = 0;
    it.it_value.tv_usec = 20000;
    setitimer(ITIMER_VIRTUAL, &it, NULL);
    while (!ticks) {}
    setitimer(ITIMER_PROF, &it, NULL);
    while (ticks < 2) {}
    printf("virtual and profiling\n");
    it.it_value.tv_usec = 1000000;
    CALL(setitimer(ITIMER_REAL, &it, NULL));
    CALL(getitimer(9, &it));
    CALL(alarm(100));
    CALL(alarm(0));
    SECTION("POSIX timers");
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42};
    sigaction(SIGUSR1, &sa, NULL);
    ticks = 0;
    CALL(timer_create(CLOCK_MONOTONIC, &e, &timer));
    struct itimerspec s = {{0, 5000000}, {0, 5000000}}, now;
    CALL(timer_settime(timer, 0, &s, NULL));
    while (ticks < 3) pause();
    NUMBER(value);
    CALL(timer_gettime(timer, &now));
    printf("%ld %d\n", now.it_interval.tv_nsec, now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 5000000);
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pause_ms(60);
    siginfo_t info;
    CALL(sigwaitinfo(&set, &info));
    printf("code %d overran %d\n", info.si_code, info.si_overrun >= 5);
    CALL(timer_getoverrun(timer) >= 5);
    CALL(timer_delete(timer));
    CALL(syscall(SYS_timer_delete, 12345));
    CALL(timer_create(99, &e, &timer));
    e.sigev_notify = SIGEV_NONE;
    CALL(timer_create(CLOCK_REALTIME, &e, &timer));
    s = (struct itimerspec){{0, 0}, {100, 0}};
    CALL(timer_settime(timer, 0, &s, NULL));
    timer_gettime(timer, &now);
    printf("%d\n", now.it_value.tv_sec == 99);
    SECTION("CPU time");
    clock_t start_ticks = clock();
    for (volatile long i = 0; i < 3000000; i++) {}
    printf("used %d\n", clock() > start_ticks);
    struct tms tms;
    printf("%d\n", times(&tms) != (clock_t)-1);
    SECTION("setting is refused");
    if (!fork()) {
        if (setuid(1000) || !geteuid()) _exit(1);
        clock_gettime(CLOCK_REALTIME, &t);
        CALL(clock_settime(CLOCK_REALTIME, &t));
        CALL(clock_settime(CLOCK_MONOTONIC, &t));
        struct timex x = {.modes = ADJ_OFFSET};
        CALL(adjtimex(&x));
        _exit(0);
    }
    wait(NULL);
    return 0;
}
