/* build: glibc; flags: -no-pie -pthread */
/* Processes that ask the kernel for a way out: untraced clones, tracing, dumpability, other processes' memory and
 * descriptors.  Compared with Linux: each call must have the result it has there, and no more. */
#include "guest.h"
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <asm/prctl.h>

#define ATTEMPT(name, ...) do { \
    fflush(stdout); \
    pid_t pid_ = fork(); \
    if (!pid_) { alarm(20); __VA_ARGS__; fflush(stdout); _exit(0); } \
    ended(name, pid_); } while (0)

static char stack[65536] __attribute__((aligned(16)));
static int shared;

static int child(void *arg) { struct utsname u; uname(&u); shared = strlen(u.release) > 0; return 5; }

static void cloned(const char *name, int flags) {
    ATTEMPT(name, shared = 0; pid_t parent = getpid(); int p = clone(child, stack + sizeof stack, flags | SIGCHLD, NULL, &parent, NULL, &parent);
            if (p < 0) printf("%s: errno %d\n", name, errno);
            else { int status = 0; pid_t got = waitpid(p, &status, __WALL); printf("%s: %d %x shared %d\n", name, got == p, status, shared); });
}

int main(void) {
    start();
    SECTION("clone");
    cloned("plain", 0);
    cloned("untraced", CLONE_UNTRACED);
    cloned("ptrace", CLONE_PTRACE);
    cloned("both", CLONE_PTRACE | CLONE_UNTRACED);
    cloned("vm", CLONE_VM);
    cloned("vm untraced", CLONE_VM | CLONE_UNTRACED);
    cloned("vm vfork untraced", CLONE_VM | CLONE_VFORK | CLONE_UNTRACED);
    cloned("files fs", CLONE_FILES | CLONE_FS);
    cloned("sighand without vm", CLONE_SIGHAND);
    cloned("thread without sighand", CLONE_THREAD | CLONE_VM);
    cloned("detached 0x400000", 0x00400000);
    ATTEMPT("parent", pid_t me = getpid(); int p = clone(child, stack + sizeof stack, CLONE_PARENT | SIGCHLD, NULL);
            printf("made %d\n", p > 0); CALL(waitpid(p, NULL, 0)));
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
    SECTION("prctl");
    ATTEMPT("dumpable", CALL(prctl(PR_SET_DUMPABLE, 1)); CALL(prctl(PR_SET_DUMPABLE, 0)); CALL(prctl(PR_GET_DUMPABLE));
            CALL(prctl(PR_SET_DUMPABLE, 2)); CALL(prctl(PR_SET_DUMPABLE, 7)));
    ATTEMPT("no new privileges", CALL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)); CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
            CALL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)); CALL(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)));
    ATTEMPT("parent death signal", int s = 0; CALL(prctl(PR_GET_PDEATHSIG, &s)); printf("%d\n", s); CALL(prctl(PR_SET_PDEATHSIG, 0));
            CALL(prctl(PR_SET_PDEATHSIG, 65)));
    ATTEMPT("time stamp counter", CALL(prctl(PR_SET_TSC, 99)));
    ATTEMPT("name", char n[17] = {0}; CALL(prctl(PR_SET_NAME, "hostile guest with a long name")); prctl(PR_GET_NAME, n); TEXT(n));
    ATTEMPT("seccomp mode 99", CALL(prctl(PR_SET_SECCOMP, 99, 0)));
    ATTEMPT("seccomp mode", CALL(prctl(PR_GET_SECCOMP)));
    SECTION("tracing");
    ATTEMPT("of itself", CALL(ptrace(PTRACE_ATTACH, getpid(), 0, 0)); CALL(ptrace(PTRACE_SEIZE, getpid(), 0, 0)));
    ATTEMPT("of itself by a thread", CALL(ptrace(PTRACE_SEIZE, getpid(), 0, (void *)0x1fffff)));
    ATTEMPT("twice", CALL(ptrace(PTRACE_TRACEME, 0, 0, 0)); CALL(ptrace(PTRACE_TRACEME, 0, 0, 0)));
    ATTEMPT("of nobody", CALL(ptrace(PTRACE_ATTACH, 999999, 0, 0)); CALL(ptrace(PTRACE_CONT, getppid(), 0, 0));
            CALL(ptrace(PTRACE_KILL, getppid(), 0, 0)); CALL(ptrace(PTRACE_PEEKTEXT, getppid(), main, 0)));
    ATTEMPT("unknown options", CALL(ptrace(PTRACE_SEIZE, getppid(), 0, (void *)0x80000000UL)));
    ATTEMPT("kernel bases by a tracer", pid_t c = fork(); if (!c) { ptrace(PTRACE_TRACEME, 0, 0, 0); raise(SIGSTOP); _exit(0); }
            waitpid(c, NULL, 0);
            CALL(ptrace(PTRACE_POKEUSER, c, 21 * 8, 0xffff888000000000UL)); CALL(ptrace(PTRACE_POKEUSER, c, 22 * 8, 0xffff888000000000UL));
            CALL(ptrace(PTRACE_POKEUSER, c, 17 * 8, 0x10)); CALL(ptrace(PTRACE_POKEUSER, c, 99 * 8, 0));
            CALL(ptrace(PTRACE_POKEUSER, c, 848 + 7 * 8, 0));
            ptrace(PTRACE_CONT, c, 0, 0); ended("tracee", c));
    SECTION("memory of others");
    ATTEMPT("itself", char a[8] = "abcdefg"; char b[8] = {0}; struct iovec l = {b, 8}; struct iovec r = {a, 8};
            CALL(process_vm_readv(getpid(), &l, 1, &r, 1, 0)); TEXT(b); CALL(process_vm_readv(getpid(), &l, 1, &r, 1, 1));
            r.iov_base = (void *)0xffff888000000000UL; CALL(process_vm_readv(getpid(), &l, 1, &r, 1, 0));
            CALL(process_vm_writev(getpid(), &l, 1, &r, 1, 0)); CALL(process_vm_readv(999999, &l, 1, &r, 1, 0)));
    ATTEMPT("text by /proc/self/mem", int fd = open("/proc/self/mem", O_RDWR); char c; CALL(pread(fd, &c, 1, (off_t)main));
            CALL(pwrite(fd, &c, 1, (off_t)main)); CALL(pwrite(fd, &c, 1, 0)); CALL(pread(fd, &c, 1, 0x7fffffffffffUL)));
    SECTION("descriptors of others");
    ATTEMPT("pidfd_getfd", int p = syscall(SYS_pidfd_open, getpid(), 0); int fd = syscall(SYS_pidfd_getfd, p, 1, 0);
            printf("%d\n", fd > 2); CALL(syscall(SYS_pidfd_getfd, p, 999, 0)); CALL(syscall(SYS_pidfd_getfd, 1, 1, 0));
            CALL(syscall(SYS_pidfd_getfd, p, 1, 1)); CALL(syscall(SYS_pidfd_open, 999999, 0)));
    SECTION("signals to others");
    ATTEMPT("nobody", CALL(kill(999999, 9)); CALL(syscall(SYS_tgkill, 999999, 999999, 9)); CALL(syscall(SYS_tgkill, -1, 1, 9));
            CALL(syscall(SYS_tkill, 0, 9)); siginfo_t i = {.si_code = SI_KERNEL}; i.si_signo = 10;
            CALL(syscall(SYS_rt_sigqueueinfo, getppid(), 10, &i)); CALL(kill(getppid(), 65)); CALL(kill(getppid(), -1)));
    SECTION("the machine");
    ATTEMPT("personality", CALL(personality(0xffffffff)); CALL(personality(ADDR_NO_RANDOMIZE)); CALL(personality(0xffffffff)));
    ATTEMPT("read implies exec", CALL(personality(READ_IMPLIES_EXEC));
            unsigned char *p = mmap(NULL, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); *p = 0xc3; ((void (*)(void))p)(); printf("executed\n"));
    ATTEMPT("huge", printf("%d\n", mmap(NULL, 1UL << 47, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED);
            printf("%d\n", mmap(NULL, 1UL << 63, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
            char *t = mmap(NULL, 16UL << 40, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); printf("16 TiB %d\n", t != MAP_FAILED);
            char *u = mmap(NULL, 40UL << 40, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); printf("40 TiB %d\n", u != MAP_FAILED);
            mprotect(t + (8UL << 40), 4096, 3); t[8UL << 40] = 1; printf("and used\n");
            munmap(t, 16UL << 40); char *v = mmap(NULL, 1 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); *v = 1; printf("and on\n"));
    ATTEMPT("memfd and exec", int fd = memfd_create("image", 1); char b[65536]; int in = open("/proc/self/exe", O_RDONLY); int n;
            while ((n = read(in, b, sizeof b)) > 0) write(fd, b, n);
            char *argv[] = {"image", "again", NULL}; if (getenv("PYLX_AGAIN")) _exit(4); setenv("PYLX_AGAIN", "1", 1);
            extern char **environ; printf("exec\n"); fflush(stdout); freopen("/dev/null", "w", stdout); fexecve(fd, argv, environ));
    return 0;
}
