/* build: glibc musl */
#include "guest.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static int bits(int fd) { struct pollfd p = {fd, 0x2fff, 0}; poll(&p, 1, 0); return p.revents; }
static volatile int piped;
static void on_pipe(int sig) { piped++; }

int main(void) {
    start();
    int p[2], q[2], size;
    char b[100] = {0}, *big = calloc(1, 200000);
    SECTION("pipe");
    CALL(pipe(p));
    printf("%x %x\n", bits(p[0]), bits(p[1]));
    CALL(write(p[1], "hello", 5));
    printf("%x\n", bits(p[0]));
    CALL(ioctl(p[0], FIONREAD, &size));
    NUMBER(size);
    CALL(read(p[0], b, 3));
    CALL(read(p[0], b, 100));
    CALL(write(p[0], "x", 1));
    CALL(read(p[1], b, 1));
    CALL(lseek(p[0], 0, SEEK_CUR));
    CALL(pread(p[0], b, 1, 0));
    CALL(fcntl(p[0], F_GETPIPE_SZ));
    CALL(fcntl(p[1], F_SETPIPE_SZ, 5000));
    CALL(fcntl(p[1], F_SETPIPE_SZ, 65536));
    CALL(fcntl(p[1], F_SETFL, O_NONBLOCK));
    CALL(write(p[1], big, 200000));
    CALL(write(p[1], big, 1));
    printf("%x\n", bits(p[1]));
    CALL(read(p[0], big, 4095));
    printf("%x\n", bits(p[1]));
    CALL(write(p[1], big, 1));
    CALL(read(p[0], big, 1));
    CALL(write(p[1], big, 4097));
    CALL(write(p[1], big, 4096));
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    while (read(p[0], big, 200000) > 0) {}
    CALL(read(p[0], b, 1));
    SECTION("ends");
    signal(SIGPIPE, on_pipe);
    close(p[1]);
    printf("%x\n", bits(p[0]));
    CALL(read(p[0], b, 1));
    close(p[0]);
    pipe(p);
    close(p[0]);
    printf("%x\n", bits(p[1]));
    CALL(write(p[1], "x", 1));
    NUMBER(piped);
    close(p[1]);
    CALL(pipe2(p, O_CLOEXEC | O_NONBLOCK));
    CALL(fcntl(p[0], F_GETFD));
    CALL(fcntl(p[1], F_GETFL) & O_NONBLOCK);
    CALL(pipe2(q, 0x1));
    CALL(pipe((int *)8));
    SECTION("packets");
    CALL(pipe2(q, O_DIRECT));
    write(q[1], "one", 3), write(q[1], "two!", 4);
    CALL(read(q[0], b, 100));
    CALL(read(q[0], b, 2));
    SECTION("through processes");
    pipe(p);
    pid_t pid = fork();
    if (!pid) {
        close(p[0]);
        for (int i = 0; i < 50; i++) { memset(big, 'a' + i % 26, 7777); write(p[1], big, 7777); }
        _exit(3);
    }
    close(p[1]);
    long total = 0, sum = 0, n;
    while ((n = read(p[0], big, 10000)) > 0) { total += n; for (long i = 0; i < n; i++) sum += big[i]; }
    printf("%ld %ld\n", total, sum);
    ended("writer", pid);
    SECTION("atomic writes");
    pipe(p);
    for (int w = 0; w < 4; w++)
        if (!fork()) {
            for (int i = 0; i < 100; i++) { memset(big, 'A' + w, 512); write(p[1], big, 512); }
            _exit(0);
        }
    close(p[1]);
    int torn = 0;
    total = 0;
    while ((n = read(p[0], big, 512)) > 0) { total += n; for (int i = 1; i < n; i++) if (big[i] != big[0]) torn++; }
    while (wait(NULL) > 0) {}
    printf("%ld bytes, %d torn\n", total, torn);
    SECTION("splice, tee, vmsplice");
    pipe(p), pipe(q);
    put_file("data", "some file data to splice around");
    int f = open("data", O_RDWR);
    CALL(splice(f, NULL, p[1], NULL, 9, 0));
    loff_t at = 10;
    CALL(splice(f, &at, p[1], NULL, 4, 0));
    NUMBER(at);
    CALL(tee(p[0], q[1], 100, 0));
    memset(b, 0, 100);
    CALL(read(p[0], b, 100));
    TEXT(b);
    memset(b, 0, 100);
    CALL(read(q[0], b, 100));
    TEXT(b);
    struct iovec iov = {"user memory", 11};
    CALL(vmsplice(q[1], &iov, 1, 0));
    at = 31;
    CALL(splice(q[0], NULL, f, &at, 100, 0));
    CALL(splice(q[0], NULL, f, &at, 100, SPLICE_F_NONBLOCK));
    CALL(splice(f, NULL, f, NULL, 10, 0));
    CALL(tee(p[0], p[1], 10, 0));
    SECTION("FIFO");
    CALL(mkfifo("fifo", 0644));
    CALL(open("fifo", O_WRONLY | O_NONBLOCK));
    int r = WORKS(open("fifo", O_RDONLY | O_NONBLOCK));
    CALL(read(r, b, 1));
    printf("%x\n", bits(r));
    int w = WORKS(open("fifo", O_WRONLY | O_NONBLOCK));
    CALL(read(r, b, 1));
    CALL(write(w, "fifo", 4));
    CALL(read(r, b, 100));
    close(w);
    printf("%x\n", bits(r));
    CALL(read(r, b, 1));
    close(r);
    pid = fork();
    if (!pid) { int fd = open("fifo", O_WRONLY); write(fd, "met", 3); _exit(0); }
    r = WORKS(open("fifo", O_RDONLY));
    memset(b, 0, 100);
    CALL(read(r, b, 100));
    CALL(read(r, b, 100));
    ended("fifo writer", pid);
    int rw = WORKS(open("fifo", O_RDWR));
    CALL(write(rw, "both", 4));
    CALL(read(rw, b, 100));
    struct stat st;
    CALL(fstat(rw, &st));
    printf("%o\n", st.st_mode);
    SECTION("interrupted");
    pipe(p);
    struct sigaction sa = {.sa_handler = on_pipe};
    sigaction(SIGALRM, &sa, NULL);
    struct itimerval it = {{0, 0}, {0, 10000}};
    setitimer(ITIMER_REAL, &it, NULL);
    long wrote = write(p[1], big, 200000);
    printf("partial %d\n", wrote == 65536);
    return 0;
}
