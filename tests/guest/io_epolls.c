/* build: glibc; flags: -pthread -lrt */
#include "io.h"
#include <netinet/in.h>

static struct epoll_event ev(uint32_t events, uint64_t data) { struct epoll_event e; e.events = events; e.data.u64 = data; return e; }
static void wait_for(int ep, int timeout)
{
    struct epoll_event out[8];
    int n = epoll_wait(ep, out, 8, timeout);
    printf("wait %d:", n);
    for (int i = 0; i < n; i++) printf(" %x/%lu", out[i].events, (unsigned long)out[i].data.u64);
    printf("\n");
}

/* What the host's sockets tell: an edge comes once, and a connect is seen by its listener at once. */
static void tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int ep = epoll_create1(0);
    char b[64];
    bind(listener, (struct sockaddr *)&a, size); listen(listener, 4); getsockname(listener, (struct sockaddr *)&a, &size);
    struct epoll_event e = ev(EPOLLIN, 1); R(epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e));
    wait_for(ep, 0);
    connect(client, (struct sockaddr *)&a, size);
    e = ev(EPOLLOUT, 2); R(epoll_ctl(ep, EPOLL_CTL_ADD, client, &e));
    struct epoll_event out[8];
    R(epoll_wait(ep, out, 8, 1000)); R(epoll_wait(ep, out, 8, 0));
    int server = accept(listener, NULL, NULL);
    wait_for(ep, 0);
    R(epoll_ctl(ep, EPOLL_CTL_DEL, client, NULL)); wait_for(ep, 0);
    e = ev(EPOLLIN | EPOLLOUT | EPOLLET, 3); R(epoll_ctl(ep, EPOLL_CTL_ADD, server, &e));
    wait_for(ep, 1000); wait_for(ep, 30);
    send(client, "abcdef", 6, 0); wait_for(ep, 1000); wait_for(ep, 30);
    R(recv(server, b, 64, MSG_DONTWAIT)); R(recv(server, b, 64, MSG_DONTWAIT)); wait_for(ep, 30);
    e = ev(EPOLLOUT | EPOLLET, 4); R(epoll_ctl(ep, EPOLL_CTL_MOD, server, &e)); wait_for(ep, 0); wait_for(ep, 30);
    e = ev(EPOLLIN | EPOLLONESHOT, 5); R(epoll_ctl(ep, EPOLL_CTL_MOD, server, &e)); wait_for(ep, 0);
    send(client, "g", 1, 0); wait_for(ep, 1000); wait_for(ep, 30);
    close(client); wait_for(ep, 30); R(epoll_ctl(ep, EPOLL_CTL_MOD, server, &e)); wait_for(ep, 1000);
    struct pollfd pf = {ep, POLLIN, 0}; R(poll(&pf, 1, 0));
    close(server); close(listener); close(ep);
}

static void on(int s) { (void)s; }
static int shared_ep;
static void *waiter(void *arg) { struct epoll_event e; long n = epoll_wait(shared_ep, &e, 1, 3000); (void)arg; return (void *)n; }

int main(void)
{
    int p[2], s[2];
    char b[64];
    struct epoll_event e, out;
    pipe(p); socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    int ep = epoll_create1(EPOLL_CLOEXEC);
    R(fcntl(ep, F_GETFD)); R(epoll_create(0)); R(epoll_create1(1)); R(epoll_wait(ep, &out, 0, 0)); R(epoll_wait(p[0], &out, 1, 0));
    e = ev(EPOLLIN, 1); R(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e)); R(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e));
    R(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e)); R(epoll_ctl(ep, EPOLL_CTL_ADD, 900, &e)); R(epoll_ctl(ep, 9, p[0], &e)); R(epoll_ctl(ep, EPOLL_CTL_MOD, p[1], &e));
    int file = open("x", O_CREAT | O_RDWR, 0600); R(epoll_ctl(ep, EPOLL_CTL_ADD, file, &e)); R(epoll_ctl(ep, EPOLL_CTL_ADD, p[1], NULL));
    e = ev(EPOLLOUT | EPOLLET, 2); R(epoll_ctl(ep, EPOLL_CTL_ADD, p[1], &e));
    wait_for(ep, 0); wait_for(ep, 0);
    write(p[1], "ab", 2); wait_for(ep, 0); wait_for(ep, 0);
    read(p[0], b, 1); wait_for(ep, 0); read(p[0], b, 1); wait_for(ep, 0);
    e = ev(EPOLLIN | EPOLLET | EPOLLRDHUP, 3); R(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &e));
    write(s[1], "x", 1); wait_for(ep, 0); wait_for(ep, 0); write(s[1], "y", 1); wait_for(ep, 0); read(s[0], b, 9); wait_for(ep, 0);
    shutdown(s[1], SHUT_WR); wait_for(ep, 0); close(s[1]); wait_for(ep, 0);
    e = ev(EPOLLIN | EPOLLONESHOT, 4); R(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e));
    write(p[1], "z", 1); wait_for(ep, 0); wait_for(ep, 0); R(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e)); wait_for(ep, 0);
    /* A duplicate keeps the description watched after the close of the number. */
    int d = dup(p[0]); close(p[0]); p[0] = d; e = ev(EPOLLIN, 5); R(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e)); wait_for(ep, 0);
    R(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL)); wait_for(ep, 0);
    close(p[1]); close(p[0]); wait_for(ep, 0);

    /* Nested, with time and threads. */
    int inner = epoll_create1(0), event = eventfd(0, 0), outer = epoll_create1(0);
    e = ev(EPOLLIN, 6); R(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &e)); R(epoll_ctl(inner, EPOLL_CTL_ADD, outer, &e));
    e = ev(EPOLLIN, 7); R(epoll_ctl(inner, EPOLL_CTL_ADD, event, &e));
    wait_for(outer, 0);
    if (!fork()) { msleep(40); uint64_t one = 1; write(event, &one, 8); _exit(0); }
    wait_for(outer, 3000); wait_for(inner, 0);
    struct pollfd pf = {outer, POLLIN, 0}; R(poll(&pf, 1, 0)); printf("%x\n", pf.revents);
    uint64_t v; read(event, &v, 8); wait_for(outer, 0); R(poll(&pf, 1, 0));
    double t = now(); wait_for(outer, 50); printf("slept %d\n", now() - t > 0.045);
    wait(NULL);

    int chain[8]; chain[0] = epoll_create1(0);
    for (int i = 1; i < 8; i++) { chain[i] = epoll_create1(0); e = ev(EPOLLIN, i); printf("%d ", epoll_ctl(chain[i], EPOLL_CTL_ADD, chain[i - 1], &e) ? errno : 0); }
    printf("\n");

    pthread_t th[2]; shared_ep = ep = epoll_create1(0);
    e = ev(EPOLLIN | EPOLLET, 8); epoll_ctl(ep, EPOLL_CTL_ADD, event, &e);
    pthread_create(&th[0], NULL, waiter, NULL); msleep(30);
    uint64_t one = 1; write(event, &one, 8);
    void *n; pthread_join(th[0], &n); printf("thread got %ld\n", (long)n);

    struct sigaction sa = {.sa_handler = on, .sa_flags = SA_RESTART}; sigaction(SIGALRM, &sa, NULL);
    struct itimerval it = {{0, 0}, {0, 30000}}; setitimer(ITIMER_REAL, &it, NULL);
    R(epoll_wait(ep, &out, 1, 2000));
    sigset_t all, none; sigfillset(&all); sigemptyset(&none); sigprocmask(SIG_BLOCK, &all, NULL); raise(SIGALRM);
    R(epoll_pwait(ep, &out, 1, 2000, &none));
    struct timespec ts = {0, 1000000}; R(syscall(SYS_epoll_pwait2, ep, &out, 1, &ts, NULL, 0));
    tcp();
    return 0;
}
