/* build: glibc; flags: -pthread */
#include "io.h"
#include <linux/aio_abi.h>

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
    return 0;
}
