/* build: glibc static */
#include "guest.h"
#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf out;
static volatile siginfo_t seen;
static volatile long err, trapno;
static void caught(int sig, siginfo_t *i, void *c) {
    seen = *i;
    err = ((ucontext_t *)c)->uc_mcontext.gregs[REG_ERR];
    trapno = ((ucontext_t *)c)->uc_mcontext.gregs[REG_TRAPNO];
    siglongjmp(out, 1);
}

#define FAULT(what, where, ...) do { \
    if (!sigsetjmp(out, 1)) { __VA_ARGS__; printf("%s: no fault\n", what); } \
    else printf("%s: signal %d code %d addr %s trapno %ld err %lx\n", what, seen.si_signo, seen.si_code, \
                (where) == (void *)-1 ? "any" : seen.si_addr == (void *)(where) ? "right" : "wrong", trapno, err & ~1); /* present or not depends on what was touched before */ \
} while (0)

static int zero;
static volatile long sink;
extern char at_ud2[], at_div[], at_hlt[], at_int3[], at_cli[];

int main(void) {
    start();
    struct sigaction sa = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (int i = 0; i < 5; i++) sigaction(signals[i], &sa, NULL);
    char *page = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + 4096, 4096);
    mprotect(page + 8192, 4096, PROT_READ);
    SECTION("segments");
    FAULT("null read", NULL, sink = *(volatile char *)0);
    FAULT("low write", (void *)16, *(volatile char *)16 = 1);
    FAULT("hole read", page + 4100, sink = page[4100]);
    FAULT("hole write", page + 4100, *(volatile char *)(page + 4100) = 1);
    FAULT("read-only write", page + 8200, *(volatile char *)(page + 8200) = 1);
    FAULT("read-only read", page, sink = page[8200]);
    FAULT("across into the hole", page + 4096, sink = *(volatile long *)(page + 4092));
    FAULT("jump to data", page, ((void (*)(void))page)());
    FAULT("jump to a hole", page + 4096, ((void (*)(void))(page + 4096))());
    FAULT("jump to null", NULL, ((void (*)(void))0)());
    FAULT("non-canonical", NULL, sink = *(volatile char *)0x8000000000000000);
    FAULT("kernel half", (void *)0xffff800000000000, sink = *(volatile char *)0xffff800000000000);
    mprotect(page, 4096, PROT_NONE);
    FAULT("PROT_NONE", page, sink = *page);
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
    FAULT("back again", page, *page = 5);
    SECTION("files");
    put_file("short", "hello");
    int fd = open("short", O_RDWR);
    char *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    printf("%c %d\n", map[1], map[100]);
    FAULT("past the end", map + 4096, sink = map[4096]);
    FAULT("write past the end", map + 8200, *(volatile char *)(map + 8200) = 1);
    ftruncate(fd, 4097);
    FAULT("after growing", map, sink = map[4096]);
    ftruncate(fd, 0);
    FAULT("after truncating", map, sink = *(volatile char *)map);
    SECTION("instructions");
    FAULT("divide", at_div, __asm__ volatile("mov $1, %%eax\n cdq\n .globl at_div\nat_div: idivl %0" ::"m"(zero) : "eax", "edx"));
    FAULT("overflow", (void *)-1, __asm__ volatile("mov $0x80000000, %%eax\n cdq\n mov $-1, %%ecx\n idivl %%ecx" ::: "eax", "ecx", "edx"));
    FAULT("ud2", at_ud2, __asm__ volatile(".globl at_ud2\nat_ud2: ud2"));
    FAULT("hlt", NULL, __asm__ volatile("hlt"));
    FAULT("int3", (void *)-1, __asm__ volatile("int3"));
    FAULT("cli", NULL, __asm__ volatile("cli"));
    FAULT("in", NULL, __asm__ volatile("in $0x80, %%al" ::: "al"));
    FAULT("wrmsr", NULL, __asm__ volatile("wrmsr" ::"a"(0), "c"(0), "d"(0)));
    SECTION("system calls do not fault");
    CALL(write(1, (void *)0x8000000000000000, 1));
    CALL(read(0, page + 4096, 1));
    CALL(pipe((int *)(page + 4094)));
    SECTION("stack");
    pid_t pid = fork();
    if (!pid) { signal(SIGSEGV, SIG_DFL); *(volatile char *)0 = 1; }
    ended("default", pid);
    pid = fork();
    if (!pid) { sigset_t s; sigfillset(&s); sigprocmask(SIG_BLOCK, &s, NULL); *(volatile char *)0 = 1; }
    ended("blocked", pid);
    pid = fork();
    if (!pid) { signal(SIGSEGV, SIG_IGN); *(volatile char *)0 = 1; }
    ended("ignored", pid);
    FAULT("recursion", (void *)-1, ({ volatile char big[4096]; void f(int n) { volatile char b[65536]; b[0] = n; f(n + 1); sink = b[0]; } f(0); }));
    char *grown = alloca(500000);
    memset(grown, 1, 500000);
    printf("the stack grew %d\n", grown[250000]);
    return 0;
}
