/* build: glibc; flags: -pthread */
/* Code that changes: by the same thread, by another one, through another mapping, across fork. */
#include "guest.h"
#include <pthread.h>

/* mov eax, imm32; ret */
static void put(unsigned char *at, int value) { at[0] = 0xb8; memcpy(at + 1, &value, 4); at[5] = 0xc3; }
static int run(unsigned char *at) { return ((int (*)(void))at)(); }

static unsigned char *shared_code;
static volatile int wanted, written;

static void *writer(void *unused) {
    for (int i = 1; i <= 300; i++) {
        while (wanted != i) sched_yield();
        put(shared_code, i * 3);
        __sync_synchronize();
        written = i;
    }
    return NULL;
}

int main(void) {
    start();
    unsigned char *code = mmap(NULL, 8192, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int wrong = 0;
    for (int i = 0; i < 20000; i++) { put(code + i % 4000, i); wrong += run(code + i % 4000) != i; }
    printf("rewritten: wrong %d\n", wrong);
    /* The instruction that follows is changed by the one before (serialized by a jump). */
    unsigned char self[] = {0xc7, 0x05, 0x03, 0, 0, 0, 42, 0, 0, 0, 0xeb, 0, 0xb8, 1, 0, 0, 0, 0xc3};   /* mov [rip+3], 42; jmp; mov eax, 1; ret */
    memcpy(code, self, sizeof self);
    printf("itself: %d\n", run(code));
    mprotect(code, 8192, PROT_READ | PROT_WRITE);
    put(code, 7);
    mprotect(code, 8192, PROT_READ | PROT_EXEC);
    printf("made executable again: %d\n", run(code));
    int fd = memfd_create("code", 0);
    ftruncate(fd, 4096);
    unsigned char *w = mmap(NULL, 4096, 3, MAP_SHARED, fd, 0), *x = mmap(NULL, 4096, 5, MAP_SHARED, fd, 0);
    wrong = 0;
    for (int i = 0; i < 3000; i++) { put(w, i); wrong += run(x) != i; }
    printf("two views: wrong %d\n", wrong);
    wrong = 0;
    for (int i = 0; i < 100; i++) {
        unsigned char b[6];
        put(b, i + 1000);
        pwrite(fd, b, 6, 0);
        wrong += run(x) != i + 1000;
    }
    printf("written as a file: wrong %d\n", wrong);
    shared_code = code;
    mprotect(code, 8192, 7);
    pthread_t t;
    pthread_create(&t, NULL, writer, NULL);
    wrong = 0;
    for (int i = 1; i <= 300; i++) { wanted = i; while (written != i) sched_yield(); wrong += run(code) != i * 3; }
    pthread_join(t, NULL);
    printf("by another thread: wrong %d\n", wrong);
    put(code, 5);
    pid_t p = fork();
    if (!p) { put(code, 6); _exit(run(code)); }
    ended("child", p);
    printf("parent: %d\n", run(code));
    p = fork();
    if (!p) { pause(); _exit(0); }
    put(w, 11);
    p = (kill(p, 9), waitpid(p, NULL, 0), fork());
    if (!p) { put(w, 12); _exit(run(x)); }
    ended("child, shared", p);
    printf("parent, shared: %d\n", run(x));
    return 0;
}
