/* build: glibc static musl; flags: -pthread */
/* Code that is made or changed while it runs. */
#include "guest.h"
#include <pthread.h>
#include <setjmp.h>

typedef int (*function)(void);
static sigjmp_buf out;
static void caught(int sig) { siglongjmp(out, sig); }

static void emit(char *at, int value) {
    at[0] = 0xb8;
    memcpy(at + 1, &value, 4);
    at[5] = 0xc3;
}

static int run(void *at) {
    int sig = sigsetjmp(out, 1);
    return sig ? -sig : ((function)at)();
}

static void *runner(void *code) {
    long sum = 0;
    for (int i = 0; i < 1000; i++) sum += ((function)code)();
    return (void *)sum;
}

int main(void) {
    start();
    struct sigaction sa = {.sa_handler = caught};
    sigaction(SIGSEGV, &sa, NULL);
    SECTION("write, then execute");
    char *code = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    emit(code, 1);
    CALL(run(code));
    for (int i = 2; i < 6; i++) {
        mprotect(code, 4096, PROT_READ | PROT_WRITE);
        emit(code, i);
        mprotect(code, 4096, PROT_READ | PROT_EXEC);
        CALL(run(code));
    }
    SECTION("writable and executable");
    CALL(mprotect(code, 8192, PROT_READ | PROT_WRITE | PROT_EXEC));
    long sum = 0;
    for (int i = 0; i < 1000; i++) { emit(code, i); sum += run(code); }
    NUMBER(sum);
    SECTION("the next instruction");
    /* mov byte [rip+1], 7; mov eax, 1 -> 7; ret: the store changes the following instruction */
    memcpy(code, "\xc6\x05\x01\x00\x00\x00\x07\xb8\x01\x00\x00\x00\xc3", 13);
    CALL(run(code));
    SECTION("a loop that rewrites itself");
    /* eax = 0; ecx = 5; L: add eax, imm8 (=1, incremented each round); inc byte [L+2]; loop L; ret */
    memcpy(code, "\x31\xc0\xb9\x05\x00\x00\x00\x83\xc0\x01\xfe\x05\xf9\xff\xff\xff\xe2\xf5\xc3", 19);
    CALL(run(code));
    SECTION("across a page");
    emit(code + 4093, 4711);
    CALL(run(code + 4093));
    emit(code + 4093, 815);
    CALL(run(code + 4093));
    SECTION("two views of one memory");
    int fd = memfd_create("code", 0);
    ftruncate(fd, 4096);
    char *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *x = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    sum = 0;
    for (int i = 0; i < 200; i++) { emit(w, i * 3); sum += run(x); }
    NUMBER(sum);
    emit(w + 100, 9);
    pwrite(fd, w + 100, 6, 200);
    CALL(run(x + 200));
    *(volatile char *)w = 0xb8;
    SECTION("by system calls");
    put_file("code", "\xb8\x11\x01\x00"); /* cut: filled below */
    int file = open("code", O_RDWR | O_TRUNC);
    char text[6];
    emit(text, 273);
    write(file, text, 6);
    CALL(pread(file, code, 6, 0));
    CALL(run(code));
    emit(text, 274);
    pwrite(file, text, 6, 0);
    CALL(pread(file, code, 6, 0));
    CALL(run(code));
    char *mapped = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    CALL(run(mapped));
    SECTION("forked");
    emit(code, 10);
    run(code);
    pid_t pid = fork();
    if (!pid) { emit(code, 20); _exit(run(code)); }
    ended("child", pid);
    CALL(run(code));
    emit(w, 30);
    pid = fork();
    if (!pid) { emit(w, 40); _exit(run(x)); }
    ended("child", pid);
    CALL(run(x));
    SECTION("remapped");
    munmap(code, 4096);
    CALL(run(code));
    char *again = mmap(code, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    emit(again, 50);
    CALL(run(again));
    char *moved = mremap(again, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, x + 0x100000);
    CALL(run(moved));
    CALL(run(again));
    SECTION("threads");
    emit(moved, 3);
    pthread_t t[3];
    for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, runner, moved);
    for (int i = 0; i < 3; i++) { void *r; pthread_join(t[i], &r); printf("%ld\n", (long)r); }
    return 0;
}
