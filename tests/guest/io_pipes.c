/* build: static; flags: -pthread -lrt */
#include "io.h"

static char big[1 << 20];
static volatile int got;
static void on(int s) { got = s; }

int main(void)
{
    int p[2], status;
    char b[8192];

    /* A blocking write larger than the pipe goes on until everything is written. */
    pipe(p);
    if (!fork()) {
        close(p[0]);
        memset(big, 'x', sizeof big);
        long n = write(p[1], big, sizeof big);
        _exit(n == sizeof big ? 7 : 8);
    }
    close(p[1]);
    long total = 0, n;
    while ((n = read(p[0], b, sizeof b)) > 0) total += n;
    wait(&status);
    printf("read %ld, writer %d\n", total, WEXITSTATUS(status));
    close(p[0]);

    /* Broken pipe: the signal, then the error. */
    pipe(p);
    if (!fork()) { close(p[0]); write(p[1], "x", 1); _exit(1); }
    close(p[0]); close(p[1]);
    wait(&status);
    printf("signaled %d by %d\n", WIFSIGNALED(status), WTERMSIG(status));
    signal(SIGPIPE, on);
    pipe(p); close(p[0]);
    R(write(p[1], "x", 1));
    printf("SIGPIPE seen: %d\n", got == SIGPIPE);
    R(write(p[1], "x", 0));
    close(p[1]);

    /* An interrupted write tells how much it wrote. */
    struct sigaction sa = {.sa_handler = on};
    sigaction(SIGALRM, &sa, NULL);
    pipe(p);
    struct itimerval it = {{0, 0}, {0, 50000}};
    setitimer(ITIMER_REAL, &it, NULL);
    R(write(p[1], big, sizeof big));
    setitimer(ITIMER_REAL, &it, NULL);
    R(write(p[1], big, 10));
    int flags = fcntl(p[1], F_GETFL);
    fcntl(p[1], F_SETFL, flags | O_NONBLOCK);
    R(write(p[1], big, 10));
    R(read(p[0], big, 5000));
    R(write(p[1], big, 5000));
    int pending;
    ioctl(p[0], FIONREAD, &pending);
    printf("pending %d\n", pending);
    struct pollfd pf[2] = {{p[0], POLLIN | POLLOUT, 0}, {p[1], POLLIN | POLLOUT, 0}};
    R(poll(pf, 2, 0)); printf("%x %x\n", pf[0].revents, pf[1].revents);
    close(p[1]);
    R(poll(pf, 1, 0)); printf("%x\n", pf[0].revents);
    close(p[0]);

    /* A restarted read does not return EINTR. */
    sa.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &sa, NULL);
    pipe(p);
    if (!fork()) { msleep(150); write(p[1], "late", 4); _exit(0); }
    setitimer(ITIMER_REAL, &it, NULL);
    R(read(p[0], b, 10));
    wait(NULL);
    close(p[0]); close(p[1]);

    /* Packets. */
    R(pipe2(p, O_DIRECT | O_CLOEXEC));
    write(p[1], "abc", 3); write(p[1], "defgh", 5);
    R(read(p[0], b, 2)); R(read(p[0], b, 100));
    R(fcntl(p[0], F_GETFD)); R(fcntl(p[0], F_GETFL)); R(fcntl(p[0], F_SETPIPE_SZ, 100000)); R(fcntl(p[1], F_GETPIPE_SZ));
    R(pipe2(p, 0x40)); R(pipe((int *)8));
    R(lseek(p[0], 0, SEEK_SET)); R(pread(p[0], b, 1, 0)); R(write(p[0], b, 1)); R(read(p[1], b, 1));

    /* Vectors, and buffers that end at an unmapped page. */
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + 4096, 4096);
    pipe(p);
    memset(page, 'q', 4096);
    R(write(p[1], page + 4000, 200)); R(write(p[1], page + 4000, 96));
    R(write(p[1], page + 4096, 10));
    R(read(p[0], page + 4090, 96));
    R(read(p[0], b, 500));
    struct iovec v[3] = {{"one", 3}, {NULL, 0}, {"three", 5}};
    R(writev(p[1], v, 3)); R(writev(p[1], v, -1)); R(writev(p[1], v, 0));
    struct iovec w[2] = {{b, 2}, {b + 100, 50}};
    R(readv(p[0], w, 2)); printf("%.2s %.6s\n", b, b + 100);
    return 0;
}
