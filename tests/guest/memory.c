/* build: glibc static; flags: -w */
/* Memory calls: what each returns, and what memory shows afterwards.  The same output on any Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096L
static sigjmp_buf out;
static siginfo_t seen;
static void caught(int s, siginfo_t *i, void *c) { (void)s; (void)c; seen = *i; siglongjmp(out, 1); }
static const char *touch(volatile char *p, int write) {
    static char text[64];
    if (sigsetjmp(out, 1)) { sprintf(text, "signal %d code %d %s", seen.si_signo, seen.si_code,
        seen.si_addr == (void *)p ? "here" : "elsewhere"); return text; }
    char c = *p; if (write) *p = c;
    sprintf(text, "%d", c); return text;
}
#define SHOW(e) do { errno = 0; long r_ = (long)(e); printf("%s = %d %s\n", #e, r_ == -1 ? -1 : r_ != 0, r_ == -1 ? strerrorname_np(errno) : ""); } while (0)
#define TOUCH(p, w) printf("touch %s %s: %s\n", #p, w ? "w" : "r", touch(p, w))

static void maps(char *low, char *high) {
    FILE *f = fopen("/proc/self/maps", "r"); char line[512];
    while (fgets(line, sizeof line, f)) { unsigned long a, b, o; char r[5]; int n;
        sscanf(line, "%lx-%lx %4s %lx %*s %*s %n", &a, &b, r, &o, &n);
        if (a >= (unsigned long)low && b <= (unsigned long)high)
            printf("  map %ld+%ld %s %lx\n", (long)(a - (unsigned long)low) / P, (long)(b - a) / P, r, o); }
    fclose(f);
}

static void mapping(void) {
    char *b = mmap(0, 64 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *p = b + 8 * P;
    munmap(b, 64 * P);
    mmap(p, 16 * P, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    SHOW(mmap(p, P, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(mmap(p + 1, P, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    SHOW(mmap(0, 0, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(0, P, 3, MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(0, P, 3, MAP_PRIVATE, 99, 0));
    SHOW(mmap(0, P, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0));
    SHOW(mmap(0, -1UL, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(0, 1UL << 46, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(0, P, 3, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(0, P, 3, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
    strcpy(p, "hello"); strcpy(p + 5 * P, "five");
    SHOW(mprotect(p + 2 * P, 2 * P, PROT_READ)); maps(b, b + 64 * P);
    TOUCH(p + 2 * P, 0); TOUCH(p + 2 * P, 1);
    SHOW(mprotect(p + 4 * P, P, PROT_NONE)); TOUCH(p + 4 * P, 0); TOUCH(p + 5 * P, 1);
    SHOW(mprotect(p, 17 * P, PROT_READ | PROT_WRITE)); maps(b, b + 64 * P);
    SHOW(mprotect(p + 1, P, 3)); SHOW(mprotect(p, P, 64)); SHOW(mprotect(p, 0, 3));
    SHOW(munmap(p + 6 * P, 2 * P)); TOUCH(p + 6 * P, 0); TOUCH(p + 8 * P, 0); maps(b, b + 64 * P);
    SHOW(munmap(p + 1, P)); SHOW(munmap(p, 0)); SHOW(munmap((void *)-P, P));
    SHOW(mremap(p, 2 * P, P, 0)); maps(b, b + 64 * P);
    SHOW(mremap(p, P, 2 * P, 0)); SHOW(mremap(p + 2 * P, P, 3 * P, 0));
    char *m = mremap(p + 5 * P, P, 4 * P, MREMAP_MAYMOVE); printf("moved: %s %d\n", m, m[3 * P]);
    TOUCH(p + 5 * P, 0);
    char *f = mremap(m, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED, p + 40 * P); printf("fixed: %s %d\n", f, f == p + 40 * P);
    char *d = mremap(f, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0); printf("dontunmap: %s then '%s'\n", d, f);
    SHOW(mremap(p, P, P, 8)); SHOW(mremap(p + 30 * P, P, 2 * P, MREMAP_MAYMOVE)); SHOW(mremap(p, 0, P, MREMAP_MAYMOVE));
    SHOW(mremap(p, P, 0, MREMAP_MAYMOVE)); SHOW(mremap(p, P, P, MREMAP_FIXED | MREMAP_MAYMOVE, p));
    munmap(b, 64 * P); munmap(d, 4 * P);
}

static void files(void) {
    int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0644), ro = open("data", O_RDONLY), wo = open("data", O_WRONLY);
    ftruncate(fd, 3 * P + 100); pwrite(fd, "zero", 4, 0); pwrite(fd, "two", 3, 2 * P);
    char *s = mmap(0, 8 * P, 3, MAP_SHARED, fd, 0), *q = mmap(0, 4 * P, 3, MAP_PRIVATE, fd, 0);
    printf("shared %s %s private %s\n", s, s + 2 * P, q + 2 * P);
    strcpy(s + P, "one"); printf("private sees %s\n", q + P);
    strcpy(q + P, "mine"); printf("shared keeps %s\n", s + P);
    char buf[16] = ""; pread(fd, buf, 4, P); printf("read sees %s\n", buf);
    pwrite(fd, "WRIT", 4, P); printf("shared sees %s, private %s\n", s + P, q + P);
    TOUCH(s + 3 * P + 200, 1); TOUCH(s + 4 * P, 0); TOUCH(s + 7 * P, 1);
    ftruncate(fd, P + 10); TOUCH(s + P + 20, 0); TOUCH(s + 2 * P, 0); TOUCH(q + 2 * P, 0); printf("private kept %s\n", q + P);
    ftruncate(fd, 4 * P); TOUCH(s + 2 * P, 0);
    SHOW(mmap(0, P, 3, MAP_SHARED, ro, 0)); SHOW(mmap(0, P, 1, MAP_SHARED, wo, 0)); SHOW(mmap(0, P, 1, MAP_PRIVATE, wo, 0));
    char *r = mmap(0, P, 1, MAP_SHARED, ro, 0); SHOW(mprotect(r, P, 3));
    char *rp = mmap(0, P, 1, MAP_PRIVATE, ro, 0); SHOW(mprotect(rp, P, 3));
    SHOW(mmap(0, P, 1, MAP_PRIVATE, fd, 100)); SHOW(mmap(0, P, 1, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
    SHOW(msync(s, 4 * P, MS_SYNC)); SHOW(msync(s, P, MS_SYNC | MS_ASYNC)); SHOW(msync(s + 1, P, MS_SYNC));
    int p[2]; pipe(p); SHOW(mmap(0, P, 1, MAP_PRIVATE, p[0], 0));
    int dir = open(".", O_RDONLY); SHOW(mmap(0, P, 1, MAP_PRIVATE, dir, 0));
    strcpy(s, "by the mapping"); munmap(s, 8 * P);
    char text[32] = ""; pread(ro, text, 20, 0); printf("file: %s\n", text);
    close(fd); close(ro); close(wo); close(dir); munmap(q, 4 * P); munmap(r, P); munmap(rp, P);
}

static void sharing(void) {
    int *s = mmap(0, P, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *v = mmap(0, P, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *nf = mmap(0, P, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *wf = mmap(0, P, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *nf = *wf = 5; *s = *v = 1;
    SHOW(madvise(nf, P, MADV_DONTFORK)); SHOW(madvise(wf, P, MADV_WIPEONFORK));
    fflush(stdout);
    if (!fork()) { *s += 10; *v += 10; TOUCH(nf, 0); TOUCH(wf, 0); printf("child %d %d\n", *s, *v); fflush(stdout); _exit(0); }
    wait(0); printf("parent %d %d %d %d\n", *s, *v, *nf, *wf);
    int *s2 = mremap(s, 0, P, MREMAP_MAYMOVE); *s2 = 77; printf("second mapping %d\n", *s);
    *v = 9; SHOW(madvise(v, P, MADV_DONTNEED)); printf("dropped %d\n", *v);
    SHOW(madvise(s, P, MADV_DONTNEED)); printf("kept %d\n", *s);
    SHOW(madvise(s, P, MADV_REMOVE)); printf("removed %d\n", *s);
    SHOW(madvise(v, P, MADV_FREE)); SHOW(madvise(s, P, MADV_FREE)); SHOW(madvise(v, P, 99)); SHOW(madvise((char *)v + 1, P, MADV_NORMAL));
    SHOW(madvise(v, P, MADV_POPULATE_WRITE)); SHOW(madvise(s, P, MADV_WIPEONFORK));
    int id = shmget(IPC_PRIVATE, 3 * P - 5, IPC_CREAT | 0600); char *a = shmat(id, 0, 0), *b = shmat(id, 0, SHM_RDONLY);
    strcpy(a + P, "segment"); printf("shm %s\n", b + P); TOUCH(b + P, 1);
    struct shmid_ds ds; SHOW(shmctl(id, IPC_STAT, &ds)); printf("size %ld nattch %ld mode %o cpid %d\n", ds.shm_segsz, ds.shm_nattch, ds.shm_perm.mode, ds.shm_cpid == getpid());
    SHOW(shmdt(a)); SHOW(shmdt(a)); SHOW(shmat(id, (void *)123, 0)); SHOW(shmat(-1, 0, 0));
    char *c = shmat(id, 0, 0); printf("again %s\n", c + P);
    SHOW(shmctl(id, IPC_RMID, 0)); printf("still %s\n", c + P); SHOW(shmctl(id, IPC_STAT, &ds)); printf("mode %o\n", ds.shm_perm.mode);
    shmdt(b); shmdt(c); SHOW(shmctl(id, IPC_STAT, &ds)); SHOW(shmget(0x1234567, 0, 0)); SHOW(shmget(IPC_PRIVATE, 0, 0600));
}

static void memfd(void) {
    int fd = memfd_create("thing", MFD_ALLOW_SEALING); ftruncate(fd, 2 * P);
    char link[64] = "", path[64]; sprintf(path, "/proc/self/fd/%d", fd); readlink(path, link, 60); printf("%s\n", link);
    char *p = mmap(0, 2 * P, 3, MAP_SHARED, fd, 0); strcpy(p, "in memory"); char b[16] = ""; pread(fd, b, 9, 0); printf("%s\n", b);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)); SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)); printf("seals %d\n", fcntl(fd, F_GET_SEALS));
    SHOW(ftruncate(fd, P)); SHOW(ftruncate(fd, 3 * P)); munmap(p, 2 * P);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW)); SHOW(pwrite(fd, "x", 1, 0)); SHOW(mmap(0, P, 3, MAP_SHARED, fd, 0));
    SHOW(mmap(0, P, 3, MAP_PRIVATE, fd, 0)); char *r = mmap(0, P, 1, MAP_SHARED, fd, 0); SHOW(mprotect(r, P, 3)); printf("%s\n", r);
    SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL)); SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW)); SHOW(memfd_create("x", 0x100));
    int n = memfd_create("n", 0); printf("seals %d\n", fcntl(n, F_GET_SEALS)); SHOW(fcntl(n, F_ADD_SEALS, F_SEAL_GROW)); close(fd); close(n);
}

static int deep(int n) { volatile char frame[3000]; frame[0] = n; return n ? deep(n - 1) + frame[0] * 0 : 0; }
static void limits(void) {
    char *start = sbrk(0); SHOW(brk(start + 100000)); memset(start, 1, 100000); SHOW(brk(start)); TOUCH(start + 90000, 0);
    SHOW(brk((void *)1)); printf("deep %d\n", deep(1000));
    unsigned char vec[4]; char *p = mmap(0, 4 * P, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); p[P] = 1;
    SHOW(mincore(p, 4 * P, vec)); printf("resident %d %d %d\n", vec[0] & 1, vec[1] & 1, vec[3] & 1); SHOW(mincore(p + 1, P, vec)); munmap(p + 2 * P, P); SHOW(mincore(p, 4 * P, vec));
    SHOW(mlock(p, P)); SHOW(munlock(p, P)); SHOW(mlock(p, 4 * P)); SHOW(mlockall(0)); SHOW(munlockall()); SHOW(syscall(SYS_mlock2, p, P, 7));
    SHOW(syscall(SYS_membarrier, 8, 0, 0)); SHOW(syscall(SYS_membarrier, 16, 0, 0)); SHOW(syscall(SYS_membarrier, 8, 0, 0)); SHOW(syscall(SYS_membarrier, 0, 1, 0));
    struct iovec l = {p, 100}, r = {(void *)"remote text", 11}; SHOW(process_vm_readv(getpid(), &l, 1, &r, 1, 0)); printf("%s\n", p);
    r.iov_base = p + 2 * P; SHOW(process_vm_readv(getpid(), &l, 1, &r, 1, 0)); SHOW(process_vm_readv(0x7fffffff, &l, 1, &r, 1, 0));
    struct rlimit lim = {300 << 20, RLIM_INFINITY}; setrlimit(RLIMIT_AS, &lim); SHOW(mmap(0, 400 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    char *g = mmap(0, 2 * P, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); munmap(g, 2 * P);
    mmap(g, P, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0); TOUCH(g, 0); TOUCH((char *)16, 1);
}

int main(void) {
    static char stack[65536]; stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack}; sigaltstack(&ss, 0);
    struct sigaction a = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGSEGV, &a, 0); sigaction(SIGBUS, &a, 0); setvbuf(stdout, 0, _IOFBF, 1 << 16);
    mapping(); fflush(stdout); files(); fflush(stdout); sharing(); fflush(stdout); memfd(); fflush(stdout); limits();
    return 0;
}
