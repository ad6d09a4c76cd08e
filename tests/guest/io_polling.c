/* build: glibc; flags: -pthread -lrt */
#include "io.h"

static volatile int got;
static void on(int s) { got = s; }

int main(void)
{
    int p[2], q[2];
    char b[64];
    pipe(p); pipe(q);
    struct pollfd f[4] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}, {-1, POLLIN, 7}, {900, POLLIN, 0}};
    R(poll(f, 4, -1)); printf("%x %x %x %x\n", f[0].revents, f[1].revents, f[2].revents, f[3].revents);
    double t = now();
    R(poll(f, 1, 60)); printf("slept %d\n", now() - t > 0.055 && now() - t < 0.5);
    if (!fork()) { msleep(40); write(p[1], "x", 1); _exit(0); }
    R(poll(f, 1, 5000)); printf("%x\n", f[0].revents);
    wait(NULL);

    fd_set r, w, e;
    FD_ZERO(&r); FD_ZERO(&w); FD_ZERO(&e);
    FD_SET(p[0], &r); FD_SET(q[0], &r); FD_SET(p[1], &w); FD_SET(p[0], &e);
    struct timeval tv = {2, 500000};
    R(select(q[1] + 1, &r, &w, &e, &tv));
    printf("%d %d %d %d left %d\n", !!FD_ISSET(p[0], &r), !!FD_ISSET(q[0], &r), !!FD_ISSET(p[1], &w), !!FD_ISSET(p[0], &e), tv.tv_sec == 2);
    read(p[0], b, 1);
    FD_ZERO(&r); FD_SET(p[0], &r); tv.tv_sec = 0; tv.tv_usec = 30000;
    R(select(p[0] + 1, &r, NULL, NULL, &tv)); printf("%ld %ld %d\n", tv.tv_sec, tv.tv_usec, !!FD_ISSET(p[0], &r));
    R(select(-1, NULL, NULL, NULL, NULL));
    FD_SET(60, &r); R(select(61, &r, NULL, NULL, NULL));
    tv.tv_sec = -1; R(select(0, NULL, NULL, NULL, &tv));
    tv.tv_sec = 0; tv.tv_usec = 2000; R(select(0, NULL, NULL, NULL, &tv));

    /* Interruption: poll ends with EINTR even with SA_RESTART; the mask of ppoll lets a signal in for the call. */
    struct sigaction sa = {.sa_handler = on, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &sa, NULL);
    struct itimerval it = {{0, 0}, {0, 30000}};
    setitimer(ITIMER_REAL, &it, NULL);
    R(poll(f, 1, 2000));
    sigset_t all, none, old;
    sigfillset(&all); sigemptyset(&none);
    sigprocmask(SIG_BLOCK, &all, &old);
    setitimer(ITIMER_REAL, &it, NULL);
    got = 0;
    R(poll(f, 1, 60)); printf("blocked %d\n", got);
    struct timespec ts = {3, 0};
    R(ppoll(f, 1, &ts, &none)); printf("seen %d\n", got == SIGALRM);
    sigset_t current; sigprocmask(SIG_BLOCK, NULL, &current); printf("mask kept %d\n", sigismember(&current, SIGALRM));
    raise(SIGALRM); got = 0;
    FD_ZERO(&r); FD_SET(p[0], &r);
    R(pselect(p[0] + 1, &r, NULL, NULL, &ts, &none)); printf("seen %d\n", got == SIGALRM);
    raise(SIGALRM); got = 0; write(p[1], "x", 1);
    R(ppoll(f, 1, &ts, &none)); printf("seen %d\n", got == SIGALRM);
    sigprocmask(SIG_SETMASK, &old, NULL); printf("seen %d\n", got == SIGALRM);
    ts.tv_nsec = 2000000000; R(ppoll(f, 1, &ts, NULL));
    R(syscall(SYS_ppoll, f, 1, NULL, &none, 4)); R(poll((void *)8, 1, 0)); R(poll(NULL, 1 << 30, 0));

    /* A stop and continue does not end poll. */
    pid_t child = fork();
    if (!child) { struct pollfd x = {q[0], POLLIN, 0}; double s = now(); int n = poll(&x, 1, 200); _exit(n == 0 && now() - s > 0.19 ? 3 : 4); }
    msleep(30); kill(child, SIGSTOP); msleep(30); kill(child, SIGCONT);
    int status; waitpid(child, &status, 0); printf("child %d\n", WEXITSTATUS(status));
    return 0;
}
