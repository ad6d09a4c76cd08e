/* build: glibc; flags: -pthread -lrt */
#include "io.h"

int main(void)
{
    uint64_t v;
    int e = eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE);
    R(read(e, &v, 8)); printf("%lu\n", v); R(read(e, &v, 8)); R(read(e, &v, 8)); R(read(e, &v, 4));
    v = -1; R(write(e, &v, 8)); v = -2; R(write(e, &v, 8)); v = 1; R(write(e, &v, 8)); R(write(e, &v, 7));
    struct pollfd p = {e, POLLIN | POLLOUT, 0}; R(poll(&p, 1, 0)); printf("%x\n", p.revents);
    R(eventfd(0, 0x100)); R(lseek(e, 0, 0)); R(fcntl(e, F_GETFL));
    int f = eventfd(0, 0);
    if (!fork()) { msleep(30); v = 5; write(f, &v, 8); _exit(0); }
    R(read(f, &v, 8)); printf("%lu\n", v);
    wait(NULL);

    int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    R(read(t, &v, 8));
    struct itimerspec it = {{0, 10000000}, {0, 20000000}}, old;
    R(timerfd_settime(t, 0, &it, NULL)); R(timerfd_gettime(t, &old)); printf("%ld %d\n", old.it_interval.tv_nsec, old.it_value.tv_nsec > 0);
    p.fd = t; p.events = POLLIN; R(poll(&p, 1, 1000)); msleep(45);
    R(read(t, &v, 8)); printf("several %d\n", v >= 3 && v < 20);
    memset(&it, 0, sizeof it); R(timerfd_settime(t, 0, &it, &old)); printf("%ld\n", old.it_interval.tv_nsec);
    R(poll(&p, 1, 20)); R(read(t, &v, 4)); R(timerfd_settime(e, 0, &it, NULL)); R(timerfd_settime(t, 8, &it, NULL)); R(timerfd_create(77, 0));
    it.it_value.tv_nsec = 1000000000; R(timerfd_settime(t, 0, &it, NULL));
    clock_gettime(CLOCK_REALTIME, &it.it_value); it.it_value.tv_sec--;
    t = timerfd_create(CLOCK_REALTIME, 0); R(timerfd_settime(t, TFD_TIMER_ABSTIME, &it, NULL)); R(read(t, &v, 8)); printf("%lu\n", v);

    sigset_t set; sigemptyset(&set); sigaddset(&set, SIGUSR1); sigaddset(&set, SIGRTMIN + 1); sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int s = signalfd(-1, &set, SFD_NONBLOCK);
    struct signalfd_siginfo info[4];
    R(read(s, info, sizeof info)); p.fd = s; R(poll(&p, 1, 0));
    raise(SIGUSR1); union sigval value = {.sival_int = 42}; sigqueue(getpid(), SIGRTMIN + 1, value);
    R(poll(&p, 1, 0)); R(read(s, info, sizeof info));
    printf("%u %d %d | %u %d %d\n", info[0].ssi_signo, info[0].ssi_code, info[0].ssi_pid == (uint32_t)getpid(), info[1].ssi_signo - SIGRTMIN, info[1].ssi_int, info[1].ssi_code);
    R(read(s, info, 10));
    pid_t child = fork();
    if (!child) { msleep(30); _exit(9); }
    int ep = epoll_create1(0); struct epoll_event ev = {EPOLLIN, {.u64 = 1}}, out; epoll_ctl(ep, EPOLL_CTL_ADD, s, &ev);
    R(epoll_wait(ep, &out, 1, 3000)); R(read(s, info, sizeof info)); printf("%u %d %d %d\n", info[0].ssi_signo, info[0].ssi_code, info[0].ssi_status, info[0].ssi_pid == (uint32_t)child);
    waitpid(child, NULL, 0);
    fcntl(s, F_SETFL, 0);
    if (!fork()) { msleep(30); kill(getppid(), SIGUSR1); _exit(0); }
    R(read(s, info, sizeof info[0])); printf("%u\n", info[0].ssi_signo);
    wait(NULL);
    R(signalfd(0, &set, 0)); R(syscall(SYS_signalfd4, -1, &set, 4, 0));

    /* pidfd */
    child = fork(); if (!child) { msleep(50); _exit(5); }
    int pf = syscall(SYS_pidfd_open, child, 0); p.fd = pf; R(fcntl(pf, F_GETFD)); R(poll(&p, 1, 0)); R(poll(&p, 1, 3000)); printf("%x\n", p.revents);
    siginfo_t si; R(waitid(P_PIDFD, pf, &si, WEXITED)); printf("%d %d\n", si.si_status, si.si_code);
    R(poll(&p, 1, 0)); printf("%x\n", p.revents); R(syscall(SYS_pidfd_send_signal, pf, 0, NULL, 0)); R(syscall(SYS_pidfd_open, 0, 0)); R(syscall(SYS_pidfd_open, 4000000, 0));
    child = fork(); if (!child) { pause(); _exit(0); }
    pf = syscall(SYS_pidfd_open, child, 0); R(syscall(SYS_pidfd_send_signal, pf, SIGTERM, NULL, 0)); int st; waitpid(child, &st, 0); printf("%d\n", WTERMSIG(st));
    int self = syscall(SYS_pidfd_open, getpid(), 0), copy = syscall(SYS_pidfd_getfd, self, e, 0); R(fcntl(copy, F_GETFD)); R(syscall(SYS_pidfd_getfd, self, 900, 0)); R(syscall(SYS_pidfd_getfd, e, 1, 0));
    return 0;
}
