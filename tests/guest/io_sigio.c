/* build: glibc; flags: -pthread -lrt */
#include "io.h"

static volatile int got, fd, code, band;
static void on(int s, siginfo_t *i, void *u) { (void)u; got = s; fd = i->si_fd; code = i->si_code; band = i->si_band; }

int main(void)
{
    int s[2], p[2];
    struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
    sigaction(SIGIO, &sa, NULL); sigaction(SIGRTMIN, &sa, NULL);
    socketpair(AF_UNIX, SOCK_STREAM, 0, s); pipe(p);
    R(fcntl(s[0], F_SETOWN, getpid())); R(fcntl(s[0], F_SETFL, O_ASYNC | O_NONBLOCK)); R(fcntl(s[0], F_GETFL));
    write(s[1], "x", 1); printf("%d\n", got == SIGIO);
    R(fcntl(p[0], F_SETOWN, getpid())); R(fcntl(p[0], F_SETSIG, SIGRTMIN)); R(fcntl(p[0], F_SETFL, O_ASYNC));
    got = 0; write(p[1], "x", 1); printf("%d %d %d %x\n", got == SIGRTMIN, fd == p[0], code, band);
    got = 0; R(fcntl(p[0], F_SETFL, 0)); write(p[1], "x", 1); printf("%d\n", got);
    struct f_owner_ex ex; R(fcntl(p[0], F_GETOWN_EX, &ex)); printf("%d %d\n", ex.type, ex.pid == getpid()); ex.type = 9; R(fcntl(p[0], F_SETOWN_EX, &ex)); ex.type = F_OWNER_TID; ex.pid = 0; R(fcntl(p[0], F_SETOWN_EX, &ex)); R(fcntl(p[0], F_GETOWN));
    int on_ = 1; R(ioctl(p[0], FIONBIO, &on_)); R(fcntl(p[0], F_GETFL)); R(ioctl(p[0], FIOCLEX)); R(fcntl(p[0], F_GETFD)); R(ioctl(p[0], FIONREAD, &on_)); printf("%d\n", on_); R(ioctl(p[0], 0x1234, 0));
    return 0;
}
