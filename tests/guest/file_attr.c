/* build: glibc; since: 6.17 */
/* file_getattr and file_setattr, and the same by ioctl: on files and directories of the host, in memory, elsewhere. */
#include "io.h"
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#define GETATTR(fd, path, to, size, flags) syscall(468, fd, path, to, size, flags)
#define SETATTR(fd, path, from, size, flags) syscall(469, fd, path, from, size, flags)
struct attr { uint64_t xflags; uint32_t extsize, nextents, projid, cowextsize; };
static char big[8192] __attribute__((aligned(4096)));

static void get(const char *what, int fd, const char *path, int flags)
{
    struct attr a; memset(&a, 0x55, sizeof a);
    long r = GETATTR(fd, path, &a, 24, flags);
    printf("%s: %ld %s", what, r, r < 0 ? strerrorname_np(errno) : "");
    if (!r) printf(" %llx %x %x %x %x", (long long)a.xflags, a.extsize, a.nextents, a.projid, a.cowextsize);
    printf("\n");
}
static void bits(const char *what, int fd, const char *path, uint64_t skip)
{
    for (int i = 0; i < 34; i++) {
        struct attr a = {1ull << i}, none = {0};
        if (skip >> i & 1) continue;
        errno = 0; long r = SETATTR(fd, path, &a, 24, *path ? 0 : 0x1000);
        printf("%s bit %d: %ld %s", what, i, r, r < 0 ? strerrorname_np(errno) : ""); get("", fd, path, *path ? 0 : 0x1000);
        SETATTR(fd, path, &none, 24, *path ? 0 : 0x1000);
    }
}

int main(void)
{
    char *edge = mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); munmap(edge + 4096, 4096);
    int file = open("ff", O_CREAT | O_RDWR, 0644), p[2], mem = memfd_create("m", 0); pipe(p);
    mkdir("dd", 0755); symlink("ff", "ll"); mkfifo("pp", 0644);
    struct attr probe;
    get("link, not followed", AT_FDCWD, "ll", 0x100); get("fifo", AT_FDCWD, "pp", 0); get("null", AT_FDCWD, "/dev/null", 0); get("proc", AT_FDCWD, "/proc/self/maps", 0); get("missing", AT_FDCWD, "nope", 0);
    get("pipe", p[0], "", 0x1000); get("pipe, no path", p[0], 0, 0x1000); get("memfd", mem, "", 0x1000); get("O_PATH", open("ff", O_PATH), "", 0x1000); get("empty", file, "", 0); get("no path", file, 0, 0); get("bad", 99, "", 0x1000);
    R(GETATTR(-100, "pp", big, 0, 0)); R(GETATTR(-100, "pp", big, 23, 0)); R(GETATTR(-100, "pp", big, 4097, 0)); R(GETATTR(-100, "pp", big, 24, 0x200)); R(GETATTR(-100, "nope", 0, 10, 0)); R(GETATTR(-100, (char *)8, big, 24, 0x200)); R(GETATTR(-100, (char *)8, big, 5000, 0)); R(GETATTR(-100, (char *)8, big, 24, 0));
    memset(big, 0x77, sizeof big); R(GETATTR(mem, "", big, 40, 0x1000)); printf("%x %x %x %x\n", big[0], big[24], big[39], big[40]); R(GETATTR(mem, "", big, 4096, 0x1000)); printf("%x %x\n", big[4095], big[4096]);
    R(GETATTR(mem, "", 0, 24, 0x1000)); R(GETATTR(mem, "", edge + 4090, 24, 0x1000));
    struct attr a = {0};
    R(SETATTR(-100, "pp", &a, 24, 0)); R(SETATTR(-100, "ll", &a, 24, 0x100)); R(SETATTR(-100, "/dev/null", &a, 24, 0)); R(SETATTR(-100, "/proc/self/maps", &a, 24, 0)); R(SETATTR(p[0], "", &a, 24, 0x1000)); R(SETATTR(-100, "nope", &a, 24, 0));
    R(SETATTR(-100, "nope", &a, 23, 0)); R(SETATTR(-100, "nope", 0, 24, 0)); R(SETATTR(-100, "nope", big, 4097, 0)); R(SETATTR(-100, (char *)8, &a, 24, 0x200));
    memset(big, 0, sizeof big); big[30] = 1; R(SETATTR(mem, "", big, 40, 0x1000)); big[30] = 0; R(SETATTR(mem, "", big, 40, 0x1000));
    /* Immutable and append-only (bits 3 and 4) are not served in memory. */
    bits("memfd", mem, "", 0x18);
    unsigned v = 7; a.xflags = 0xc0; R(SETATTR(mem, "", &a, 24, 0x1000)); R(ioctl(mem, 0x80086601, &v)); printf("%x\n", v); v = 0x40; R(ioctl(mem, 0x40086602, &v)); get("memfd", mem, "", 0x1000);
    a = (struct attr){0, 4096}; R(SETATTR(mem, "", &a, 24, 0x1000)); a = (struct attr){0x800, 4096}; R(SETATTR(mem, "", &a, 24, 0x1000)); a = (struct attr){0, 0, 7}; R(SETATTR(mem, "", &a, 24, 0x1000)); a = (struct attr){0, 0, 0, 5}; R(SETATTR(mem, "", &a, 24, 0x1000)); a = (struct attr){0, 0, 0, 0, 5}; R(SETATTR(mem, "", &a, 24, 0x1000)); a = (struct attr){0, 0, 0, ~0u}; R(SETATTR(mem, "", &a, 24, 0x1000));
    /* What the host's file system has is its own affair: ext4's bits are the same here and there. */
    if (!GETATTR(AT_FDCWD, "ff", &probe, 24, 0)) {
        get("file", AT_FDCWD, "ff", 0); get("directory", AT_FDCWD, "dd", 0); get("link", AT_FDCWD, "ll", 0); get("descriptor", file, "", 0x1000); get("cwd", AT_FDCWD, "", 0x1000); get("cwd, no path", AT_FDCWD, 0, 0x1000);
        a = (struct attr){0xc0}; R(SETATTR(AT_FDCWD, "ff", &a, 24, 0)); get("file", AT_FDCWD, "ff", 0); a = (struct attr){0x40}; R(SETATTR(AT_FDCWD, "dd", &a, 24, 0)); get("directory", AT_FDCWD, "dd", 0);
        a = (struct attr){4}; R(SETATTR(AT_FDCWD, "ff", &a, 24, 0)); a = (struct attr){1 << 17}; R(SETATTR(AT_FDCWD, "dd", &a, 24, 0)); a = (struct attr){1 << 11}; R(SETATTR(AT_FDCWD, "dd", &a, 24, 0)); a = (struct attr){1 << 12}; R(SETATTR(AT_FDCWD, "ff", &a, 24, 0));
    }
    return 0;
}
