/* build: glibc; flags: -no-pie */
/* Forged signal frames and segment bases: what the processor would refuse must not reach it, and the rest must do
 * what it does on Linux. */
#include "guest.h"
#include <asm/prctl.h>
#include <sys/auxv.h>
#include <ucontext.h>

#define ATTEMPT(name, ...) do { \
    fflush(stdout); \
    pid_t pid_ = fork(); \
    if (!pid_) { alarm(20); __VA_ARGS__; fflush(stdout); _exit(0); } \
    ended(name, pid_); } while (0)

static int what;
static unsigned long seen_flags, seen_cs, seen_ss;

static unsigned long flags_now(void) {
    unsigned long f;
    __asm__ volatile("pushf\n pop %0" : "=r"(f));
    return f;
}

static void forge(int sig, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    greg_t *r = u->uc_mcontext.gregs;
    unsigned short *segments = (unsigned short *)&r[REG_CSGSFS];    /* cs, gs, fs, ss */
    seen_cs = segments[0], seen_ss = segments[3], seen_flags = r[REG_EFL];
    switch (what) {
    case 1: segments[0] = 0x10; break;                       /* the kernel's code segment */
    case 2: segments[0] = 0; break;
    case 3: segments[0] = 0xffff; break;
    case 4: segments[3] = 0x18; break;                       /* the kernel's data segment */
    case 5: segments[3] = 0; break;
    case 6: r[REG_RIP] = 0x8000000000000000UL; break;        /* not canonical */
    case 7: r[REG_RIP] = 0xffffffff81000000UL; break;        /* the kernel's text */
    case 8: r[REG_RSP] = 0xffff888000000000UL; break;
    case 9: r[REG_EFL] |= 0x3000; break;                     /* IOPL */
    case 10: r[REG_EFL] |= 0x20000 | 0x80000 | 0x100000; break;  /* VM, VIF, VIP */
    case 11: r[REG_EFL] &= ~0x200; break;                    /* IF */
    case 12: r[REG_EFL] |= 0x4000; break;                    /* NT */
    case 13: segments[1] = 0x33, segments[2] = 0x10; break;  /* gs, fs: ignored */
    case 14: u->uc_mcontext.fpregs = (void *)0xffff888000000000UL; break;
    case 15: u->uc_mcontext.fpregs = (void *)((char *)u->uc_mcontext.fpregs + 1); break;
    case 16: u->uc_mcontext.fpregs->mxcsr = 0xffffffff; break;
    case 17: ((unsigned *)u->uc_mcontext.fpregs)[464 / 4] = 0xffffffff; break;   /* sw_reserved: more features */
    case 18: ((unsigned long *)u->uc_mcontext.fpregs)[512 / 8] = ~0UL; break;    /* xstate_bv */
    case 19: ((unsigned long *)u->uc_mcontext.fpregs)[520 / 8] = 1UL << 63; break;   /* xcomp_bv: compacted */
    case 20: u->uc_stack.ss_sp = (void *)0xffff888000000000UL, u->uc_stack.ss_size = ~0UL; break;
    case 21: r[REG_RIP] = 0x7fffffffffffUL; break;           /* the last canonical byte */
    case 22: r[REG_RSP] = 0; r[REG_RIP] = r[REG_RIP]; break;
    case 23: u->uc_mcontext.fpregs = NULL; break;
    case 24: r[REG_EFL] |= 0x40000; break;                   /* AC */
    case 25: segments[0] = 0x23; break;                      /* 32-bit code */
    case 26: segments[0] = 0x2b; break;                      /* data as code */
    case 27: segments[3] = 0x33; break;                      /* code as stack */
    }
}

static volatile int traps;
static void on_trap(int sig) { traps++; }

static void step(int sig, siginfo_t *info, void *context) { ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= 0x100; }

static void raw_sigreturn(unsigned long sp) {
    __asm__ volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall\n hlt" : : "r"(sp));
}

int main(int argc, char **argv) {
    start();
    struct sigaction sa = {.sa_sigaction = forge, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &sa, NULL);
    const char *names[] = {"as it is", "kernel CS", "null CS", "wild CS", "kernel SS", "null SS", "RIP not canonical", "kernel RIP",
        "kernel RSP", "IOPL", "VM VIF VIP", "IF clear", "NT", "GS and FS selectors", "kernel fpregs", "unaligned fpregs",
        "bad MXCSR", "more features", "all of XSTATE_BV", "compacted", "wild altstack", "last canonical byte", "null RSP",
        "no fpregs", "AC", 0, "data CS", "code SS"};
    for (what = 0; what < 28; what++) {
        if (!names[what]) continue;
        ATTEMPT(names[what], raise(SIGUSR1); unsigned long f = flags_now();
                if (what == 24) __asm__ volatile("pushf\n andl $~0x40000, (%rsp)\n popf");
                printf("%s: flags %lx, cs %lx, ss %lx\n", names[what], f & 0x1f7700, seen_cs, seen_ss));
    }
    ATTEMPT("single steps", signal(SIGTRAP, on_trap); struct sigaction st = {.sa_sigaction = step, .sa_flags = SA_SIGINFO};
            sigaction(SIGUSR2, &st, NULL); raise(SIGUSR2);
            __asm__ volatile("pushf\n andl $~0x100, (%rsp)\n popf");
            printf("steps: %d\n", traps > 5));
    ATTEMPT("sigreturn on nothing", raw_sigreturn(0x1000));
    ATTEMPT("sigreturn in the kernel", raw_sigreturn(0xffff888000000000UL));
    ATTEMPT("sigreturn on zeros", raw_sigreturn((unsigned long)mmap(NULL, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 8192));
    ATTEMPT("sigreturn at the end", raw_sigreturn((unsigned long)mmap(NULL, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 65536 - 64));
    ATTEMPT("handler in the kernel", signal(SIGUSR1, (void *)0xffffffff81000000UL); raise(SIGUSR1));
    ATTEMPT("altstack in the kernel", stack_t s = {.ss_sp = (void *)0xffff888000000000UL, .ss_size = 1 << 20};
            CALL(sigaltstack(&s, NULL)); struct sigaction a = {.sa_sigaction = forge, .sa_flags = SA_SIGINFO | SA_ONSTACK};
            sigaction(SIGUSR1, &a, NULL); what = 0; raise(SIGUSR1));
    SECTION("bases");
    ATTEMPT("FS kernel", CALL(syscall(SYS_arch_prctl, ARCH_SET_FS, 0xffff888000000000UL)));
    ATTEMPT("GS kernel", CALL(syscall(SYS_arch_prctl, ARCH_SET_GS, 0xffff888000000000UL)));
    ATTEMPT("GS not canonical", CALL(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x800000000000UL)));
    ATTEMPT("GS limit", CALL(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x7ffffffff000UL)));
    ATTEMPT("GS last", CALL(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x7fffffffefffUL)));
    ATTEMPT("GET_GS to the kernel", CALL(syscall(SYS_arch_prctl, ARCH_GET_GS, 0xffff888000000000UL)));
    ATTEMPT("no such code", CALL(syscall(SYS_arch_prctl, 0x9999, 0)));
    if (getauxval(AT_HWCAP2) & 2) {
        /* The processor lets user code set any canonical base. */
        ATTEMPT("wrgsbase kernel", __asm__ volatile("wrgsbase %0" : : "r"(0xffff888000000000UL));
                printf("pid works: %d\n", getppid() > 0); what = 0; raise(SIGUSR1); printf("and a frame\n");
                pid_t p = fork(); if (!p) { printf("and a child\n"); fflush(stdout); _exit(0); }
                ended("child", p));
        ATTEMPT("use of a kernel base", __asm__ volatile("wrgsbase %0" : : "r"(0xffff888000000000UL));
                char c; __asm__ volatile("movb %%gs:0, %0" : "=q"(c)));
    }
    SECTION("privileged instructions");
    ATTEMPT("hlt", __asm__ volatile("hlt"));
    ATTEMPT("cli", __asm__ volatile("cli"));
    ATTEMPT("in", __asm__ volatile("inb $0x80, %%al" : : : "rax"));
    ATTEMPT("out", __asm__ volatile("outb %%al, $0x80" : : : ));
    ATTEMPT("rdmsr", __asm__ volatile("rdmsr" : : "c"(0x10) : "rax", "rdx"));
    ATTEMPT("mov cr3", unsigned long v; __asm__ volatile("mov %%cr3, %0" : "=r"(v)));
    ATTEMPT("mov dr7", unsigned long v = 0; __asm__ volatile("mov %0, %%dr7" : : "r"(v)));
    ATTEMPT("lgdt", char b[16] = {0}; __asm__ volatile("lgdt %0" : : "m"(b)));
    ATTEMPT("swapgs", __asm__ volatile("swapgs"));
    ATTEMPT("sysret", __asm__ volatile("sysretq"));
    ATTEMPT("iret to the kernel", __asm__ volatile("push $0x18\n push %rsp\n pushf\n push $0x10\n push $0\n iretq"));
    ATTEMPT("far jump to the kernel", struct { unsigned o; unsigned short s; } __attribute__((packed)) far = {0, 0x10};
            __asm__ volatile("ljmp *%0" : : "m"(far)));
    ATTEMPT("load kernel SS", __asm__ volatile("mov %0, %%ss" : : "r"(0x18)));
    ATTEMPT("int 3 by number", __asm__ volatile(".byte 0xcd, 3"));
    ATTEMPT("int 0x40", __asm__ volatile("int $0x40"));
    if (argc > 1) {
        /* What an emulated processor takes otherwise. */
        ATTEMPT("icebp", __asm__ volatile(".byte 0xf1"));
        ATTEMPT("wrgsbase not canonical", __asm__ volatile("wrgsbase %0" : : "r"(0x800000000000UL)));
    }
    return 0;
}
