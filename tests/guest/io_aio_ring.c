/* The ring of io_setup(2) as programs see it: what is finished stands there, and may be taken there. */
#include <linux/aio_abi.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct ring {
    unsigned id, nr, head, tail, magic, compat, incompat, header_length;
    struct io_event events[];
};

static void show(struct ring *ring)
{
    printf("head %u tail %u of %d, magic %x, %u %u %u\n", ring->head, ring->tail, ring->nr > 60, ring->magic,
           ring->compat, ring->incompat, ring->header_length);
}

int main(void)
{
    aio_context_t ctx = 0;
    struct iocb requests[4], *list[4];
    struct io_event events[8];
    struct timespec none = { 0, 0 };
    char buffer[16];
    int pipes[2], i, round;
    if (pipe(pipes) < 0 || syscall(SYS_io_setup, 4, &ctx) < 0)
        return 1;
    struct ring *ring = (struct ring *)ctx;
    show(ring);
    for (round = 0; round < 60; round++) {
        for (i = 0; i < 4; i++) {
            memset(&requests[i], 0, sizeof requests[i]);
            list[i] = &requests[i];
            requests[i].aio_lio_opcode = IOCB_CMD_PWRITE;
            requests[i].aio_fildes = i == 3 ? 99 : pipes[1];
            requests[i].aio_buf = (unsigned long)"abcdefgh";
            requests[i].aio_nbytes = i + 1;
            requests[i].aio_data = round * 10 + i;
        }
        long got = syscall(SYS_io_submit, ctx, 4, list);
        if (round % 20 == 0) {
            printf("submitted %ld\n", got);
            show(ring);
        }
        struct io_event *first = &ring->events[ring->head];
        printf("%llu %lld; ", first->data, first->res);
        if (round % 2) { /* the program takes one itself */
            ring->head = (ring->head + 1) % ring->nr;
        }
        got = syscall(SYS_io_getevents, ctx, 0, 8, events, &none);
        printf("%ld:", got);
        for (i = 0; i < got; i++)
            printf(" %llu=%lld", events[i].data, events[i].res);
        printf("\n");
        if (read(pipes[0], buffer, sizeof buffer) < 0)
            return 2;
    }
    show(ring);
    return 0;
}
