/* build: glibc; flags: -pthread */
/* Threads that map, touch and unmap files side by side with threads that make and unmake other memory. */
#include "guest.h"
#include <pthread.h>
#include <sys/mman.h>

enum { ROUNDS = 400, THREADS = 3 };
static int fd;

static void *files(void *arg)
{
    long sum = 0;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned char *p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, i % 2 * 4096);
        if (p == MAP_FAILED)
            return (void *)-1;
        sum += p[0] + p[100];
        munmap(p, 8192);
    }
    return (void *)sum;
}

static void *memory(void *arg)
{
    long sum = 0;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned char *p = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return (void *)-1;
        mprotect(p, 4096 * (1 + i % 8), PROT_READ | PROT_WRITE);
        p[i % 4096] = 7;
        sum += p[i % 4096];
        munmap(p, 65536);
    }
    return (void *)sum;
}

int main(void)
{
    pthread_t threads[2 * THREADS];
    static unsigned char page[12288];
    memset(page, 3, sizeof page);
    fd = open("mapped", O_CREAT | O_RDWR, 0600);
    write(fd, page, sizeof page);
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[2 * i], NULL, files, NULL);
        pthread_create(&threads[2 * i + 1], NULL, memory, NULL);
    }
    for (int i = 0; i < 2 * THREADS; i++) {
        void *sum;
        pthread_join(threads[i], &sum);
        printf("%ld\n", (long)sum);
    }
    return 0;
}
