/* build: glibc; flags: -no-pie */
/* Ways into a kernel: whichever instruction a guest executes, wherever it got it from, pylx must answer. */
#include "hostile.h"

/* mov eax, number; mov edi/rdi...: uname(&answer) by an instruction of our choice; 63 is uname. */
static const unsigned char MOV_EAX_63[] = {0xb8, 63, 0, 0, 0};

static int make_call(unsigned char *at, const unsigned char *instruction, int length) {
    unsigned char *p = at;
    memcpy(p, MOV_EAX_63, 5); p += 5;
    *p++ = 0x48; *p++ = 0xbf; *(unsigned long *)p = (unsigned long)&answer; p += 8;      /* mov rdi, answer */
    memcpy(p, instruction, length); p += length;
    *p++ = 0xc3;
    return p - at;
}

#define RUN(at) ((void (*)(void))(at))()
static const unsigned char SYSCALL[] = {0x0f, 0x05}, INT80[] = {0xcd, 0x80}, SYSENTER[] = {0x0f, 0x34};

static void at_address(unsigned long place) {
    unsigned long page = place & -4096UL;
    unsigned char *at = mmap((void *)page, 8192, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (at == MAP_FAILED) { printf("cannot map: errno %d\n", errno); return; }
    /* the SYSCALL instruction itself lies at `place` */
    unsigned char *begin = (unsigned char *)place - 15;
    make_call(begin, SYSCALL, 2);
    RUN(begin);
}

/* Far calls into 32-bit code, below 4 GiB. */
static void in_32_bits(const unsigned char *instruction, int number) {
    unsigned char *code = mmap((void *)0x10000000, 8192, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    unsigned char *p = code;
    *p++ = 0xb8; *(int *)p = number; p += 4;                   /* mov eax, number */
    *p++ = 0xbb; *(int *)p = 0x10001000; p += 4;               /* mov ebx, buffer */
    memcpy(p, instruction, 2); p += 2;
    *p++ = 0xcb;                                               /* retf */
    memset(code + 4096, 0, 4096);
    *(unsigned *)(code + 4096 + 1000) = 0x10000000;
    *(unsigned short *)(code + 4096 + 1004) = 0x23;
    __asm__ volatile("push %%rbp\n push %%rbx\n mov %%rsp, %%r14\n mov $0x10001f00, %%esp\n lcall *0x100013e8\n"
                     "mov %%r14, %%rsp\n pop %%rbx\n pop %%rbp"
                     : : : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r14", "memory");
    memcpy(&answer, code + 4096, 390);
}

static long call6(long n, long a, long b) {
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b) : "rcx", "r11", "memory");
    return r;
}

int main(void) {
    start();
    ROUTE("the C library", uname(&answer));
    ROUTE("mapped RWX", unsigned char *at = pages(4096, 7); make_call(at, SYSCALL, 2); RUN(at));
    ROUTE("written, then made executable", unsigned char *at = pages(4096, 3); make_call(at, SYSCALL, 2);
          mprotect(at, 4096, 5); RUN(at));
    ROUTE("execute only", unsigned char *at = pages(4096, 3); make_call(at, SYSCALL, 2); mprotect(at, 4096, 4); RUN(at));
    ROUTE("two views of a memfd", int fd = memfd_create("code", 0); ftruncate(fd, 4096);
          unsigned char *w = mmap(0, 4096, 3, MAP_SHARED, fd, 0), *x = mmap(0, 4096, 5, MAP_SHARED, fd, 0);
          make_call(w, SYSCALL, 2); RUN(x));
    ROUTE("a file", int fd = open("code", O_CREAT | O_RDWR, 0755); unsigned char b[64]; int n = make_call(b, SYSCALL, 2);
          write(fd, b, n); unsigned char *x = mmap(0, 4096, 5, MAP_PRIVATE, fd, 0); RUN(x); unlink("code"));
    ROUTE("executed, then overwritten", unsigned char *at = pages(4096, 7); at[0] = 0xc3; RUN(at);
          make_call(at, SYSCALL, 2); RUN(at));
    ROUTE("on the stack", unsigned char b[64]; mprotect((void *)((long)b & -4096), 8192, 7); make_call(b, SYSCALL, 2); RUN(b));
    ROUTE("moved by mremap", unsigned char *at = pages(8192, 7); make_call(at, SYSCALL, 2);
          unsigned char *new = mremap(at, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)0x20000000); RUN(new));
    ROUTE("with a prefix", unsigned char *at = pages(4096, 7); make_call(at, (unsigned char *)"\x48\x0f\x05", 3); RUN(at));
    ROUTE("with another prefix", unsigned char *at = pages(4096, 7); make_call(at, (unsigned char *)"\x2e\x66\x0f\x05", 4); RUN(at));
    /* The filter knows the stub by its address: have others that look like it in part. */
    ROUTE("low half of the stub's address", at_address(0x50000006fUL));
    ROUTE("high half of the stub's address", at_address(0x710080000000UL + 0x6f));
    ROUTE("beside the reserved range", at_address(RESERVED_END + 0x6f));
    ROUTE("int 0x80", unsigned char *at = pages(4096, 7); make_call(at, INT80, 2); RUN(at));
    ROUTE("sysenter", unsigned char *at = pages(4096, 7); make_call(at, SYSENTER, 2); RUN(at));
    ROUTE("int 0x80 in 32-bit code", in_32_bits(INT80, 122));
    ROUTE("sysenter in 32-bit code", in_32_bits(SYSENTER, 122));
    ROUTE("syscall in 32-bit code", in_32_bits(SYSCALL, 122));
    ROUTE("x32", printf("x32: %ld\n", call6(63 | 0x40000000, (long)&answer, 0)));
    ROUTE("upper half of the number", printf("%ld\n", call6(63 | 1L << 32, (long)&answer, 0)));
    ROUTE("negative number", printf("%ld\n", call6(-1, (long)&answer, 0)));
    ATTEMPT("vsyscall gettimeofday", struct timeval tv = {0};
            long r = ((long (*)(void *, void *))0xffffffffff600000)(&tv, 0); printf("%ld %d\n", r, tv.tv_sec > 0));
    ATTEMPT("vsyscall getcpu", unsigned cpu = 99; long r = ((long (*)(void *, void *, void *))0xffffffffff600800)(&cpu, 0, 0);
            printf("%ld %d\n", r, cpu != 99));
    ROUTE("inside the vsyscall page", ((void (*)(void))0xffffffffff600100)());
    /* Linux lets these two pass every filter; they work in its own trampolines only. */
    ATTEMPT("uretprobe", printf("%ld\n", call6(335, 0, 0)));
    ATTEMPT("uprobe", printf("%ld\n", call6(336, 0, 0)));
    return 0;
}
