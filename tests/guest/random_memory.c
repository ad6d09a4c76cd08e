/* build: glibc */
/* Random mapping calls on a window of pages: what each answers, and what every page shows afterwards. */
#include "guest.h"
#include <setjmp.h>

enum { PAGES = 12, P = 4096, LAST = P - 200 /* within the file where it ends in a page */ };
static char *base;
static int file, memory;
static sigjmp_buf out;
static uint64_t state;
static unsigned random_(unsigned below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}
static void caught(int sig, siginfo_t *info, void *context) { siglongjmp(out, sig * 10 + (info->si_code & 7)); }

/* One character a page: what a read gives, or the fault. */
static void shown(void) {
    printf(" |");
    for (int i = 0; i < PAGES; i++) {
        volatile char *p = base + i * P;
        int fault = sigsetjmp(out, 1);
        if (fault) printf(" !%d", fault);
        else printf(" %d,%d", p[0], p[LAST]);
    }
}
static int store(volatile char *p, char value) {
    int fault = sigsetjmp(out, 1);
    if (fault) return -fault;
    *p = value;
    return 0;
}
static long where(void *p) { return p == MAP_FAILED ? -errno : p == (void *)base ? 0 : (char *)p - base; }

static void step(int depth);
static void child(int depth) {
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        printf("  child\n");
        for (int i = 0; i < 4; i++) step(depth + 1);
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    printf("  joined");
}

static void step(int depth) {
    int at = random_(PAGES), n = 1 + random_(4), prots[] = {0, 1, 3, 3, 3, 5, 7, 2};
    if (at + n > PAGES) n = PAGES - at;
    char *p = base + at * P;
    long length = n * P, prot = prots[random_(8)], offset = random_(3) * P;
    switch (random_(17)) {
    case 0: case 1:
        printf("anonymous %d+%d %ld: %ld", at, n, prot, where(mmap(p, length, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
        break;
    case 2: printf("shared %d+%d %ld: %ld", at, n, prot, where(mmap(p, length, prot, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0))); break;
    case 3: printf("file %d+%d %ld %ld: %ld", at, n, prot, offset, where(mmap(p, length, prot, MAP_SHARED | MAP_FIXED, file, offset))); break;
    case 4: printf("file copy %d+%d %ld %ld: %ld", at, n, prot, offset, where(mmap(p, length, prot, MAP_PRIVATE | MAP_FIXED, file, offset))); break;
    case 5: printf("memfd %d+%d %ld %ld: %ld", at, n, prot, offset, where(mmap(p, length, prot, MAP_SHARED | MAP_FIXED, memory, offset))); break;
    case 6: printf("unmap %d+%d: %d", at, n, munmap(p, length) ? -errno : 0); break;
    case 7: case 8: printf("protect %d+%d %ld: %d", at, n, prot, mprotect(p, length, prot) ? -errno : 0); break;
    case 9: {
        int to = random_(PAGES), m = 1 + random_(4);
        if (to + m > PAGES) m = PAGES - to;
        printf("move %d+%d to %d+%d: %ld", at, n, to, m, where(mremap(p, length, m * P, MREMAP_MAYMOVE | MREMAP_FIXED, base + to * P)));
        break;
    }
    case 10: {
        long m = 1 + random_(4);
        if (at + m > PAGES) m = PAGES - at;
        printf("resize %d+%d to %ld: %ld", at, n, m, where(mremap(p, length, m * P, 0)));
        break;
    }
    case 11: printf("discard %d+%d: %d", at, n, madvise(p, length, MADV_DONTNEED) ? -errno : 0); break;
    case 12: case 13: { int v = random_(100); printf("store %d %d: %d", at, v, store(p + (random_(2) ? 0 : LAST), v)); break; }
    case 14: {
        char v[P - 100];
        memset(v, random_(100), sizeof v);
        int fd = random_(2) ? file : memory;
        printf("write %s %ld: %ld", fd == file ? "file" : "memfd", offset, (long)pwrite(fd, v, sizeof v, offset));
        break;
    }
    case 15: {
        int fd = random_(2) ? file : memory;
        long size = random_(5) * P - random_(2) * 100;
        if (size < 0) size = 0;
        printf("truncate %s %ld: %d", fd == file ? "file" : "memfd", size, ftruncate(fd, size));
        break;
    }
    case 16:
        if (depth) { printf("sync %d", msync(p, length, MS_SYNC) ? -errno : 0); break; }
        child(depth);
        break;
    }
    shown();
    printf("\n");
}

int main(int argc, char **argv) {
    setvbuf(stdout, malloc(1 << 20), _IOFBF, 1 << 20);
    int first = argc > 1 ? atoi(argv[1]) : 1, last = argc > 2 ? atoi(argv[2]) : 12;
    struct sigaction sa = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &sa, NULL), sigaction(SIGBUS, &sa, NULL);
    base = mmap(NULL, PAGES * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int seed = first; seed <= last; seed++) {
        state = seed;
        printf("== %d\n", seed);
        mmap(base, PAGES * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644), memory = memfd_create("m", 0);
        ftruncate(file, 3 * P - 100), ftruncate(memory, 2 * P);
        for (int i = 0; i < 3; i++) pwrite(file, &"abc"[i], 1, i * P);
        for (int i = 0; i < 60; i++) step(0);
        close(file), close(memory);
    }
    return 0;
}
