/* build: glibc */
/* What one tracer can ask of one tracee: stops, registers, memory, signals, options. */
#include "guest.h"
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <linux/ptrace.h>
#define ptrace(r, p, a, d) syscall(SYS_ptrace, (long)(r), (long)(p), (long)(a), (long)(d))

static volatile long word = 0x1122334455667788;
static volatile int handled;
static void handler(int signo) { handled = signo; }

static int stopped(pid_t p) {
    int status = 0;
    pid_t got = waitpid(p, &status, __WALL);
    printf("wait: %s %06x\n", got == p ? "tracee" : "none", status);
    return status;
}

static pid_t tracee(void (*body)(void)) {
    fflush(stdout);
    pid_t p = fork();
    if (!p) {
        syscall(SYS_ptrace, 0L, 0L, 0L, 0L);
        raise(SIGSTOP);
        body();
        _exit(7);
    }
    stopped(p);
    return p;
}

static void nothing(void) {}
static void signals_itself(void) {
    signal(SIGUSR1, handler);
    signal(SIGUSR2, handler);
    raise(SIGUSR1);
    if (handled != SIGUSR2) _exit(1);
    handled = 0;
    raise(SIGUSR1);
    _exit(handled == 0 ? 9 : 2);
}
static void calls(void) {
    syscall(SYS_getppid);
    long r = syscall(SYS_getuid);
    _exit(r == 4321 ? 11 : 12);
}
static void forks(void) {
    pid_t p = fork();
    if (!p) _exit(5);
    int s;
    waitpid(p, &s, 0);
    _exit(WEXITSTATUS(s));
}
static void vforks(void) {
    pid_t p = vfork();
    if (!p) _exit(6);
    int s;
    waitpid(p, &s, 0);
    _exit(WEXITSTATUS(s));
}
static void executes(void) { execl("/bin/true", "true", (char *)0); }
static void breakpoint(void) { __asm__ volatile("int3; nop"); }
static void sleeps(void) {
    struct timespec t = {0, 300000000L};
    _exit(nanosleep(&t, NULL) == 0 ? 0 : errno);
}

static void memory(void) {
    SECTION("memory and registers");
    pid_t p = tracee(nothing);
    long value = 0;
    CALL(ptrace(PTRACE_PEEKDATA, p, &word, &value));
    printf("%lx\n", value);
    CALL(ptrace(PTRACE_POKEDATA, p, &word, 0x99));
    CALL(ptrace(PTRACE_PEEKTEXT, p, &word, &value));
    printf("%lx here %lx\n", value, word);
    CALL(ptrace(PTRACE_PEEKDATA, p, 8, &value));
    CALL(ptrace(PTRACE_PEEKUSER, p, 3, &value));
    CALL(ptrace(PTRACE_PEEKUSER, p, 928, &value));
    CALL(ptrace(PTRACE_PEEKUSER, p, 15 * 8, &value));
    printf("orig_rax %ld\n", value);
    CALL(ptrace(PTRACE_PEEKUSER, p, 848 + 7 * 8, &value));
    CALL(ptrace(PTRACE_POKEUSER, p, 848 + 7 * 8, 0));
    CALL(ptrace(PTRACE_POKEUSER, p, 848 + 4 * 8, 1));
    struct user_regs_struct regs, more;
    CALL(ptrace(PTRACE_GETREGS, p, 0, &regs));
    printf("cs %llx ss %llx\n", regs.cs, regs.ss);
    regs.r15 = 0x1234;
    CALL(ptrace(PTRACE_SETREGS, p, 0, &regs));
    struct iovec io = {&more, sizeof more + 100};
    CALL(ptrace(PTRACE_GETREGSET, p, NT_PRSTATUS, &io));
    io.iov_len = 4096;
    CALL(ptrace(PTRACE_GETREGSET, p, NT_PRSTATUS, &io));
    printf("r15 %llx length %zu\n", more.r15, io.iov_len);
    CALL(ptrace(PTRACE_GETREGSET, p, 77, &io));
    struct user_fpregs_struct fp;
    CALL(ptrace(PTRACE_GETFPREGS, p, 0, &fp));
    printf("mxcsr %x cwd %x\n", fp.mxcsr, fp.cwd);
    io.iov_base = &fp;
    io.iov_len = sizeof fp;
    CALL(ptrace(PTRACE_SETREGSET, p, NT_PRFPREG, &io));
    CALL(ptrace(PTRACE_SETOPTIONS, p, 0, 1 << 12));
    CALL(ptrace(PTRACE_CONT, p, 0, 65));
    CALL(ptrace(12345, p, 0, 0));
    CALL(ptrace(PTRACE_INTERRUPT, p, 0, 0));
    CALL(ptrace(PTRACE_LISTEN, p, 0, 0));
    unsigned long mask = 1;
    CALL(ptrace(PTRACE_GETSIGMASK, p, 8, &mask));
    CALL(ptrace(PTRACE_GETSIGMASK, p, 4, &mask));
    printf("mask %lx\n", mask);
    CALL(ptrace(PTRACE_CONT, p, 0, 0));
    stopped(p);
    CALL(ptrace(PTRACE_CONT, p, 0, 0));
    CALL(ptrace(PTRACE_CONT, 1 << 21, 0, 0));
}

static void deliveries(void) {
    SECTION("signals");
    pid_t p = tracee(signals_itself);
    siginfo_t info;
    CALL(ptrace(PTRACE_GETSIGINFO, p, 0, &info));
    printf("signo %d code %d\n", info.si_signo, info.si_code);
    ptrace(PTRACE_CONT, p, 0, 0);
    stopped(p);
    ptrace(PTRACE_CONT, p, 0, SIGUSR2);
    stopped(p);
    ptrace(PTRACE_CONT, p, 0, 0);
    stopped(p);
    p = tracee(breakpoint);
    ptrace(PTRACE_CONT, p, 0, 0);
    stopped(p);
    ptrace(PTRACE_GETSIGINFO, p, 0, &info);
    printf("signo %d code %x\n", info.si_signo, info.si_code);
    ptrace(PTRACE_KILL, p, 0, 0);
    stopped(p);
    p = tracee(nothing);
    kill(p, SIGKILL);
    stopped(p);
}

static void system_calls(void) {
    SECTION("system calls");
    pid_t p = tracee(calls);
    CALL(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD));
    for (int i = 0; i < 4; i++) {
        ptrace(PTRACE_SYSCALL, p, 0, 0);
        stopped(p);
        struct ptrace_syscall_info info;
        memset(&info, 0, sizeof info);
        long size = ptrace(PTRACE_GET_SYSCALL_INFO, p, sizeof info, &info);
        struct user_regs_struct regs;
        ptrace(PTRACE_GETREGS, p, 0, &regs);
        printf("size %ld op %d orig_rax %lld enosys %d\n", size, info.op, regs.orig_rax, regs.rax == -38ULL);
        if (i == 2) {
            regs.orig_rax = -1;
            regs.rax = 4321;
            ptrace(PTRACE_SETREGS, p, 0, &regs);
        }
    }
    ptrace(PTRACE_SYSCALL, p, 0, 0);
    stopped(p);
    unsigned long message = 77;
    CALL(ptrace(PTRACE_GETEVENTMSG, p, 0, &message));
    printf("message %lu\n", message);
    ptrace(PTRACE_DETACH, p, 0, 0);
    stopped(p);
    SECTION("emulated");
    p = tracee(calls);
    for (int i = 0; i < 2; i++) {
        ptrace(PTRACE_SYSEMU, p, 0, 0);
        stopped(p);
        struct user_regs_struct regs;
        ptrace(PTRACE_GETREGS, p, 0, &regs);
        regs.rax = 4321;
        printf("orig_rax %lld\n", regs.orig_rax);
        ptrace(PTRACE_SETREGS, p, 0, &regs);
    }
    ptrace(PTRACE_CONT, p, 0, 0);
    stopped(p);
    SECTION("interrupted and made again");
    p = tracee(sleeps);
    ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD);
    ptrace(PTRACE_SYSCALL, p, 0, 0);
    stopped(p);
    ptrace(PTRACE_SYSCALL, p, 0, 0);
    pause_ms(50);
    kill(p, SIGWINCH);
    for (int i = 0; i < 4; i++) {
        stopped(p);
        struct user_regs_struct regs;
        ptrace(PTRACE_GETREGS, p, 0, &regs);
        printf("orig_rax %lld rax %lld\n", regs.orig_rax, regs.rax);
        ptrace(PTRACE_SYSCALL, p, 0, 0);
    }
    stopped(p);
    ptrace(PTRACE_CONT, p, 0, 0);
    stopped(p);
}

static void events(void) {
    SECTION("events");
    void (*bodies[])(void) = {forks, vforks, executes};
    long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC
                   | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
    for (int i = 0; i < 3; i++) {
        pid_t p = tracee(bodies[i]), child = 0;
        CALL(ptrace(PTRACE_SETOPTIONS, p, 0, options));
        ptrace(PTRACE_CONT, p, 0, 0);
        for (;;) {
            int status = stopped(p);
            if (!WIFSTOPPED(status)) break;
            unsigned long message = 0;
            ptrace(PTRACE_GETEVENTMSG, p, 0, &message);
            int event = status >> 16;
            if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
                child = message;
                printf("a child\n");
                stopped(child);
                ptrace(PTRACE_CONT, child, 0, 0);
                stopped(child);
                ptrace(PTRACE_CONT, child, 0, 0);
                stopped(child);
            } else if (event == PTRACE_EVENT_VFORK_DONE)
                printf("of the child %d\n", message == (unsigned long)child);
            else if (event == PTRACE_EVENT_EXEC) printf("same pid %d\n", message == (unsigned long)p);
            else printf("message %lx\n", message);
            ptrace(PTRACE_CONT, p, 0, event ? 0 : WSTOPSIG(status));
        }
    }
    pid_t p = tracee(executes);
    ptrace(PTRACE_CONT, p, 0, 0);
    stopped(p);
    ptrace(PTRACE_CONT, p, 0, 0);
    stopped(p);
}

static void seized(void) {
    SECTION("seized");
    fflush(stdout);
    pid_t p = fork();
    if (!p) for (;;) pause();
    pause_ms(50);
    CALL(ptrace(PTRACE_SEIZE, p, 8, 0));
    CALL(ptrace(PTRACE_SEIZE, p, 0, 0));
    CALL(ptrace(PTRACE_SEIZE, p, 0, 0));
    CALL(ptrace(PTRACE_CONT, p, 0, 0));
    CALL(ptrace(PTRACE_INTERRUPT, p, 0, 0));
    stopped(p);
    CALL(ptrace(PTRACE_LISTEN, p, 0, 0));
    CALL(ptrace(PTRACE_CONT, p, 0, 0));
    CALL(ptrace(PTRACE_INTERRUPT, p, 0, 0));
    stopped(p);
    ptrace(PTRACE_CONT, p, 0, 0);
    kill(p, SIGSTOP);
    stopped(p);
    ptrace(PTRACE_CONT, p, 0, SIGSTOP);
    stopped(p);
    CALL(ptrace(PTRACE_LISTEN, p, 0, 0));
    kill(p, SIGCONT);
    stopped(p);
    ptrace(PTRACE_CONT, p, 0, 0);
    stopped(p);
    siginfo_t info;
    memset(&info, 0, sizeof info);
    CALL(ptrace(PTRACE_DETACH, p, 0, 0));
    kill(p, SIGTERM);
    CALL(waitid(P_PID, p, &info, WEXITED));
    printf("code %d status %d\n", info.si_code, info.si_status);
    SECTION("attached");
    p = fork();
    if (!p) for (;;) pause();
    CALL(ptrace(PTRACE_ATTACH, p, 0, 0));
    memset(&info, 0, sizeof info);
    CALL(waitid(P_PID, p, &info, WSTOPPED));
    printf("code %d status %d\n", info.si_code, info.si_status);
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", p);
    FILE *f = fopen(path, "r");
    while (fgets(line, sizeof line, f)) {
        if (!strncmp(line, "State", 5)) fputs(line, stdout);
        if (!strncmp(line, "TracerPid", 9)) printf("traced by me %d\n", atoi(line + 10) == getpid());
    }
    fclose(f);
    CALL(ptrace(PTRACE_DETACH, p, 0, SIGSTOP));
    kill(p, SIGKILL);
    stopped(p);
    CALL(ptrace(PTRACE_ATTACH, getpid(), 0, 0));
}

static void stepping(void) {
    SECTION("stepping");
    pid_t p = tracee(breakpoint);
    ptrace(PTRACE_CONT, p, 0, 0);
    stopped(p);
    struct user_regs_struct regs, next;
    ptrace(PTRACE_GETREGS, p, 0, &regs);
    ptrace(PTRACE_SINGLESTEP, p, 0, 0);
    stopped(p);
    ptrace(PTRACE_GETREGS, p, 0, &next);
    siginfo_t info;
    ptrace(PTRACE_GETSIGINFO, p, 0, &info);
    printf("moved %lld code %d flag %lld\n", next.rip - regs.rip, info.si_code, next.eflags >> 8 & 1);
    ptrace(PTRACE_DETACH, p, 0, 0);
    stopped(p);
}

int main(void) {
    start();
    memory();
    deliveries();
    system_calls();
    stepping();
    events();
    seized();
    return 0;
}
