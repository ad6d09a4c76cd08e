/* build: glibc; flags: -w */
/* Random mappings, changes and forks in a window of pages: rights, contents and errors after each step.
   mremap of several areas, and what it checks before it unmaps, are those of Linux 6.17 and later. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096L
#define N 48
static char *const base = (char *)0x200000000;
static unsigned long seed;
static unsigned rnd(unsigned n) { seed = seed * 6364136223846793005UL + 1442695040888963407UL; return (seed >> 33) % n; }
static sigjmp_buf out;
static int code;
static void caught(int s, siginfo_t *i, void *c) { code = s * 10 + i->si_code; siglongjmp(out, 1); }
static int look(volatile char *p) { if (sigsetjmp(out, 1)) return -code; return *p; }
static int put(volatile char *p, char c) { if (sigsetjmp(out, 1)) return -code; *p = c; return 0; }

static void show(const char *what, long r) {
    printf("%s %s:", what, r == -1 ? strerrorname_np(errno) : "ok");
    for (int i = 0; i < N; i++) printf(" %d", look(base + i * P + 7));
    printf("\n");
}
static void rights(void) {
    char map[N + 1]; memset(map, '.', N); map[N] = 0;
    FILE *f = fopen("/proc/self/maps", "r"); char line[512], r[5]; unsigned long a, b;
    while (fgets(line, sizeof line, f)) { sscanf(line, "%lx-%lx %4s", &a, &b, r);
        for (; a < b; a += P) if (a >= (unsigned long)base && a < (unsigned long)base + N * P)
            map[(a - (unsigned long)base) / P] = "0rw*xyz#"[(r[0] == 'r') + 2 * (r[1] == 'w') + 4 * (r[2] == 'x')] + (r[3] == 's' ? 0 : 0); }
    fclose(f); printf("rights %s\n", map);
}

int main(void) {
    struct sigaction a = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &a, 0); sigaction(SIGBUS, &a, 0); setvbuf(stdout, 0, _IOFBF, 1 << 20);
    int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < 20; i++) { char c[P]; memset(c, 'A' + i, P); write(fd, c, P); }
    ftruncate(fd, 20 * P + 100);
    for (int round = 0; round < 12; round++) {
        seed = 12345 + round; munmap(base, N * P);
        for (int step = 0; step < 60; step++) {
            int at = rnd(N), n = 1 + rnd(9), prot = (int[]){0, 1, 3, 3, 3, 5, 7, 1}[rnd(8)], off = rnd(24);
            if (at + n > N) n = N - at;
            char *p = base + at * P; long r = 0; errno = 0; char what[80] = "";
            switch (rnd(13)) {
            case 0: case 1: r = (long)mmap(p, n * P, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0); sprintf(what, "anon %d+%d %d", at, n, prot); break;
            case 2: r = (long)mmap(p, n * P, prot, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0); sprintf(what, "shared %d+%d %d", at, n, prot); break;
            case 3: r = (long)mmap(p, n * P, prot, MAP_PRIVATE | MAP_FIXED, fd, off * P); sprintf(what, "file %d+%d %d @%d", at, n, prot, off); break;
            case 4: r = (long)mmap(p, n * P, prot, MAP_SHARED | MAP_FIXED, fd, off * P); sprintf(what, "fileshared %d+%d %d @%d", at, n, prot, off); break;
            case 5: r = munmap(p, n * P); sprintf(what, "munmap %d+%d", at, n); break;
            case 6: case 7: r = mprotect(p, n * P, prot); sprintf(what, "mprotect %d+%d %d", at, n, prot); break;
            case 8: { int to = rnd(N - 9), m = 1 + rnd(9); r = (long)mremap(p, n * P, m * P, MREMAP_MAYMOVE | MREMAP_FIXED, base + to * P); sprintf(what, "mremap %d+%d to %d+%d", at, n, to, m); break; }
            case 9: { int m = 1 + rnd(9); if (at + m > N) m = n; r = (long)mremap(p, n * P, m * P, 0); sprintf(what, "resize %d+%d to %d", at, n, m); break; }
            case 10: r = madvise(p, n * P, MADV_DONTNEED); sprintf(what, "dontneed %d+%d", at, n); break;
            case 11: { char c[64]; memset(c, 'a' + rnd(26), 64); r = pwrite(fd, c, 64, (off % 21) * P); sprintf(what, "write @%d", off % 21); break; }
            case 12: fflush(stdout); if (!fork()) { for (int i = 0; i < n; i++) put(p + i * P + 7, '+'); _exit(0); } wait(0); sprintf(what, "child writes %d+%d", at, n); break;
            }
            int saved = errno;
            for (int i = 0; i < n; i += 2) put(p + i * P + 7, '0' + step % 10 + round);
            errno = saved; show(what, r);
        }
        rights();
    }
    return 0;
}
