/* build: static; flags: -pthread -lrt */
#include "io.h"

static void on(int s) { (void)s; }

int main(void)
{
    char b[64];
    int status;
    R(mkfifo("f", 0600)); R(mkfifo("f", 0600));
    R(open("f", O_WRONLY | O_NONBLOCK));
    int r = open("f", O_RDONLY | O_NONBLOCK);
    struct pollfd p = {r, POLLIN, 0};
    R(poll(&p, 1, 0)); printf("%x\n", p.revents);
    R(read(r, b, 9));
    int w = open("f", O_WRONLY | O_NONBLOCK);
    R(read(r, b, 9));
    write(w, "hello", 5);
    R(poll(&p, 1, 0)); printf("%x\n", p.revents);
    close(w);
    R(poll(&p, 1, 0)); printf("%x\n", p.revents);
    R(read(r, b, 9)); R(read(r, b, 9));
    close(r);

    /* Blocking opens meet. */
    if (!fork()) {
        int fd = open("f", O_WRONLY);
        write(fd, "from child", 10);
        _exit(0);
    }
    r = open("f", O_RDONLY);
    R(read(r, b, 64)); R(read(r, b, 64));
    close(r);
    wait(&status);

    if (!fork()) { msleep(50); int fd = open("f", O_RDONLY); long n = read(fd, b, 64); _exit(n); }
    double t = now();
    w = open("f", O_WRONLY);
    printf("waited %d\n", now() - t > 0.04);
    write(w, "1234567", 7);
    wait(&status);
    printf("child read %d\n", WEXITSTATUS(status));
    close(w);

    r = open("f", O_RDWR);
    R(write(r, "self", 4)); R(read(r, b, 64));
    struct stat st; fstat(r, &st); printf("%o %ld\n", st.st_mode, (long)st.st_size);
    R(lseek(r, 0, 0));
    close(r);

    struct sigaction sa = {.sa_handler = on};
    sigaction(SIGALRM, &sa, NULL);
    struct itimerval it = {{0, 0}, {0, 30000}};
    setitimer(ITIMER_REAL, &it, NULL);
    R(open("f", O_RDONLY));
    unlink("f");
    return 0;
}
