/* build: glibc; flags: -pthread */
#include "io.h"
#include <linux/aio_abi.h>
#include <sys/wait.h>

static aio_context_t ctx;
static struct iocb *list[4], cb[4];
static struct io_event ev[8];
static void prep(int i, int op, int fd, void *buf, long n, long off) { memset(&cb[i], 0, sizeof cb[i]); cb[i].aio_lio_opcode = op; cb[i].aio_fildes = fd; cb[i].aio_buf = (uintptr_t)buf; cb[i].aio_nbytes = n; cb[i].aio_offset = off; cb[i].aio_data = 100 + i; list[i] = &cb[i]; }
static void get(long least, struct timespec *t)
{
    long n = syscall(SYS_io_getevents, ctx, least, 8, ev, t);
    printf("events %ld:", n);
    for (int i = 0; i < n; i++) printf(" %llu %lld %d", ev[i].data, ev[i].res, ev[i].obj == (uintptr_t)&cb[ev[i].data - 100]);
    printf("\n");
}

int main(void)
{
    char b[64] = "hello world"; int p[2]; pipe(p);
    struct timespec zero = {0, 0}, some = {0, 20000000};
    int f = open("x", O_RDWR | O_CREAT, 0600), ef = eventfd(0, 0); uint64_t v;
    R(syscall(SYS_io_setup, 0, &ctx)); R(syscall(SYS_io_setup, 10, &ctx)); R(syscall(SYS_io_setup, 10, &ctx));
    prep(0, IOCB_CMD_PWRITE, f, b, 11, 5); cb[0].aio_flags = IOCB_FLAG_RESFD; cb[0].aio_resfd = ef;
    R(syscall(SYS_io_submit, ctx, 1, list)); R(read(ef, &v, 8)); get(1, NULL);
    prep(0, IOCB_CMD_PREAD, f, b + 32, 30, 5); prep(1, IOCB_CMD_PREAD, 900, b, 1, 0); R(syscall(SYS_io_submit, ctx, 2, list)); get(1, NULL); printf("%s\n", b + 32);
    prep(0, IOCB_CMD_PREAD, 900, b, 1, 0); R(syscall(SYS_io_submit, ctx, 1, list)); prep(0, 77, f, b, 1, 0); R(syscall(SYS_io_submit, ctx, 1, list)); R(syscall(SYS_io_submit, ctx, 0, list)); R(syscall(SYS_io_submit, ctx, -1, list));
    get(0, NULL); get(1, &some); get(1, &zero);
    prep(0, IOCB_CMD_FSYNC, f, NULL, 0, 0); R(syscall(SYS_io_submit, ctx, 1, list)); get(1, NULL);
    prep(0, IOCB_CMD_POLL, p[0], (void *)POLLIN, 0, 0); R(syscall(SYS_io_submit, ctx, 1, list)); get(0, NULL); write(p[1], "x", 1); get(1, NULL);
    R(syscall(SYS_io_destroy, ctx)); R(syscall(SYS_io_destroy, ctx)); R(syscall(SYS_io_submit, ctx, 1, list)); R(syscall(SYS_io_setup, 10, (void *)8));
    /* What blocks, blocks the submission; what cannot be polled is refused unless it is ready. */
    memset(&ctx, 0, sizeof ctx); R(syscall(SYS_io_setup, 10, &ctx));
    int q[2]; pipe(q);
    if (!fork()) { msleep(30); write(q[1], "late", 4); _exit(0); }
    prep(0, IOCB_CMD_PREAD, q[0], b, 8, 0); R(syscall(SYS_io_submit, ctx, 1, list)); get(1, NULL); wait(NULL); printf("%.4s\n", b);
    prep(0, IOCB_CMD_PREAD, q[0], b, 8, 0); fcntl(q[0], F_SETFL, O_NONBLOCK); R(syscall(SYS_io_submit, ctx, 1, list)); get(1, NULL);
    prep(0, IOCB_CMD_POLL, f, (void *)POLLIN, 0, 0); R(syscall(SYS_io_submit, ctx, 1, list)); get(1, NULL);
    prep(0, IOCB_CMD_POLL, f, (void *)POLLPRI, 0, 0); R(syscall(SYS_io_submit, ctx, 1, list)); get(0, NULL);
    prep(0, IOCB_CMD_FSYNC, q[0], NULL, 0, 0); R(syscall(SYS_io_submit, ctx, 1, list));
    prep(0, IOCB_CMD_POLL, q[0], (void *)POLLIN, 0, 0); R(syscall(SYS_io_submit, ctx, 1, list)); R(syscall(SYS_io_submit, ctx, 1, list)); write(q[1], "x", 1); get(2, NULL);
    prep(0, IOCB_CMD_PWRITE, f, b, 3, 0); cb[0].aio_rw_flags = 0x10; R(syscall(SYS_io_submit, ctx, 1, list)); get(1, NULL); R(lseek(f, 0, SEEK_END));
    struct iovec iv[2] = {{b, 3}, {b + 8, 1}}; prep(0, IOCB_CMD_PREADV, f, iv, 2, 5); R(syscall(SYS_io_submit, ctx, 1, list)); get(1, NULL); printf("%.3s %c\n", b, b[8]);
    return 0;
}
