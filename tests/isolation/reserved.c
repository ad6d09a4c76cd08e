/* build: glibc; flags: -no-pie -pthread */
/* The range that holds pylx's stub, its command page and the vDSO: no mapping call and no way to write memory may
 * touch it.  After each attempt the stub must still work, which the next mapping call shows. */
#include "hostile.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/syscall.h>

static sigjmp_buf back;
static void on_fault(int sig) { siglongjmp(back, sig); }

/* Does a write or read of this byte fault? */
static const char *poke(unsigned long at) {
    int sig = sigsetjmp(back, 1);
    if (sig) return sig == SIGSEGV ? "SIGSEGV" : "another signal";
    *(volatile char *)at = 0x90;
    return "WRITTEN";
}

static const char *verdict(long r) { return r == -1 ? "refused" : "DONE"; }

static void still_works(void) {
    char *p = mmap(NULL, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) { printf("NO MORE MEMORY: errno %d\n", errno); return; }
    p[65535] = 1;
    munmap(p, 65536);
}

#define REFUSED(what, expression) do { long r_ = (long)(expression); printf("%s: %s\n", what, verdict(r_)); still_works(); } while (0)

int main(void) {
    start();
    struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    unsigned long places[] = {RESERVED, COMMANDS, RESERVED + 0x40000, RESERVED_END - 4096};
    const char *names[] = {"stub", "command page", "vdso range", "last page"};
    for (int i = 0; i < 4; i++) {
        void *at = (void *)places[i];
        printf("== %s\n", names[i]);
        REFUSED("mmap fixed", mmap(at, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        REFUSED("mmap fixed over its begin", mmap(at - 4096 * (i == 0), 8192, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        REFUSED("mmap shared", mmap(at, 4096, 7, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        REFUSED("mmap growsdown", mmap(at, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0));
        void *hint = mmap(at, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        printf("hint: %s\n", hint == at ? "TAKEN" : "elsewhere");
        void *own = mmap(NULL, 8192, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REFUSED("mremap there", mremap(own, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, at));
        if (i != 2) {
            REFUSED("mprotect", mprotect(at, 4096, 7));
            REFUSED("mremap away", mremap(at, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, own));
            REFUSED("madvise", madvise(at, 4096, MADV_DONTNEED));
            REFUSED("mlock", mlock(at, 4096));
            unsigned char vec[4];
            REFUSED("mincore", mincore(at, 4096, vec));
            /* Calls that read or write memory for the guest. */
            int fd = open("/proc/self/mem", O_RDWR);
            char b[64] = {0};
            REFUSED("/proc/self/mem write", pwrite(fd, b, 64, places[i]));
            REFUSED("/proc/self/mem read", pread(fd, b, 64, places[i]));
            close(fd);
            struct iovec here = {b, 64}, there = {at, 64};
            REFUSED("process_vm_writev", process_vm_writev(getpid(), &here, 1, &there, 1, 0));
            REFUSED("process_vm_readv", process_vm_readv(getpid(), &here, 1, &there, 1, 0));
            int p[2];
            pipe(p);
            write(p[1], "0123456789", 10);
            REFUSED("read into it", read(p[0], at, 10));
            REFUSED("write from it", write(p[1], at, 10));
            REFUSED("futex in it", syscall(SYS_futex, at, 1, 1, 0, 0, 0));
            REFUSED("set_robust_list in it", syscall(SYS_rt_sigprocmask, 0, 0, at, 8));
            close(p[0]), close(p[1]);
        }
        printf("store: %s\n", poke(places[i] + 0x60));
        munmap(at, 4096);
        still_works();
    }
    SECTION("across it");
    char *below = mmap((void *)(RESERVED - 65536), 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    printf("below: %d\n", below == (void *)(RESERVED - 65536));
    REFUSED("mremap grows into it", mremap(below, 65536, 131072, 0));
    REFUSED("a terabyte over it", mmap((void *)(RESERVED - (1UL << 39)), 1UL << 40, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0));
    char *above = mmap((void *)(RESERVED_END), 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    printf("above: %d\n", above == (void *)RESERVED_END);
    printf("grows down into it: %s\n", poke(RESERVED_END - 64));
    printf("unmap across: %d\n", munmap((void *)(RESERVED - (1UL << 39)), 1UL << 40));
    still_works();
    printf("protect across: %s\n", verdict(mprotect((void *)(RESERVED - 65536), 0x200000, 7)));
    printf("nearly everything unmapped: %d\n", munmap((void *)0x500000000000UL, 0x250000000000UL));
    still_works();
    SECTION("a tracer in the guest");
    pid_t child = fork();
    if (!child) { ptrace(PTRACE_TRACEME, 0, 0, 0); raise(SIGSTOP); _exit(7); }
    waitpid(child, NULL, 0);
    errno = 0;
    REFUSED("POKETEXT stub", ptrace(PTRACE_POKETEXT, child, RESERVED + 0x60, 0x9090909090909090UL));
    REFUSED("POKETEXT commands", ptrace(PTRACE_POKETEXT, child, COMMANDS, 0x9090909090909090UL));
    errno = 0;
    long peeked = ptrace(PTRACE_PEEKTEXT, child, RESERVED + 0x60, 0);
    printf("PEEKTEXT stub: %s\n", peeked == -1 && errno ? "refused" : "READ");
    ptrace(PTRACE_CONT, child, 0, 0);
    ended("tracee", child);
    SECTION("page faults for ourselves");
    printf("userfaultfd: %s\n", verdict(syscall(SYS_userfaultfd, 0)));
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    int shown = 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long low = strtoul(line, NULL, 16);
        if (low >= RESERVED && low < RESERVED_END && !strstr(line, "[v")) shown++;
    }
    printf("pylx's own mappings shown: %d\n", shown);
    return 0;
}
