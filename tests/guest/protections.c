/* build: glibc; since: 6.18 */
/* Calls on memory of every kind and protection: what the area forbids, what the processor lets through, and what is
 * there already decide, each for other calls. */
#include "guest.h"
#include <linux/futex.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { SIZE = 16384 };
enum { FRESH, WRITTEN, SHARED, MEMORY_FILE, TWO_PARTS, STACK, KINDS };
static char buffer[SIZE];

static char *area(int kind, int prot) {
    int fd = kind == MEMORY_FILE ? (int)syscall(SYS_memfd_create, "m", 0) : -1;
    int how = kind == MEMORY_FILE ? MAP_SHARED : kind == SHARED ? MAP_SHARED | MAP_ANONYMOUS : MAP_PRIVATE | MAP_ANONYMOUS;
    if (fd >= 0) ftruncate(fd, SIZE);
    char *p = mmap(NULL, SIZE, 3, how | (kind == STACK ? MAP_GROWSDOWN : 0), fd, 0);
    if (fd >= 0) close(fd);
    if (kind == WRITTEN) memset(p, 7, SIZE);
    mprotect(p + (kind == TWO_PARTS ? SIZE / 2 : 0), kind == TWO_PARTS ? SIZE / 2 : SIZE, prot);
    return p;
}

static int memory_file(void) {
    int fd = syscall(SYS_memfd_create, "f", 0);
    write(fd, buffer, SIZE), lseek(fd, 0, SEEK_SET);
    return fd;
}

static long pair(int type, char *p, int receive) {
    int ends[2];
    socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends);
    if (!receive) return send(ends[0], p, 9000, 0);
    send(ends[0], buffer, 9000, 0);
    return recv(ends[1], p, 9000, 0);
}

static long splice_(char *p, int out) {
    int ends[2];
    struct iovec part = {p, 9000};
    pipe2(ends, O_NONBLOCK);
    if (out) write(ends[1], buffer, 9000);
    return syscall(SYS_vmsplice, ends[!out], &part, 1, 2);
}

static long process_vm(int call, char *local, char *remote) {
    struct iovec mine = {local, 9000}, theirs = {remote, 9000};
    return syscall(call, getpid(), &mine, 1, &theirs, 1, 0);
}

static long futex(char *p, int op, int value) {
    struct timespec soon = {0, 1000};
    return syscall(SYS_futex, p, op, value, &soon, p, 0);
}

static long policy(char *p) {
    int mode = 9;
    long r = syscall(SYS_get_mempolicy, &mode, NULL, 0, p, 3);
    return r < 0 ? r : mode;
}

static long own_memory(char *p, int out) {
    int fd = open("/proc/self/mem", O_RDWR);
    return out ? pwrite(fd, buffer, 9000, (long)p) : pread(fd, buffer, 9000, (long)p);
}

#define CASES(X)                                                                                                       \
    X(read(memory_file(), p + 4000, 9000)) X(write(memory_file(), p + 4000, 9000))                                     \
    X(write(open("/dev/null", O_WRONLY), p + 4000, 9000)) X(read(open("/dev/zero", O_RDONLY), p + 4000, 9000))         \
    X(pread(memory_file(), p + 4000, 9000, 100)) X(pwrite(memory_file(), p + 4000, 9000, 10))                          \
    X(syscall(SYS_getrandom, p + 4000, 9000, 0)) X(pair(SOCK_DGRAM, p + 4000, 0)) X(pair(SOCK_DGRAM, p + 4000, 1))     \
    X(pair(SOCK_STREAM, p + 4000, 0)) X(pair(SOCK_STREAM, p + 4000, 1)) X(splice_(p + 4000, 0))                        \
    X(splice_(p + 4000, 1)) X(process_vm(SYS_process_vm_readv, buffer, p + 4000))                                      \
    X(process_vm(SYS_process_vm_writev, buffer, p + 4000)) X(process_vm(SYS_process_vm_readv, p + 4000, buffer))       \
    X(process_vm(SYS_process_vm_writev, p + 4000, buffer)) X(own_memory(p + 4000, 0)) X(own_memory(p + 4000, 1))       \
    X(policy(p)) X(policy(p + 8192)) X(mlock(p, SIZE)) X(syscall(SYS_mlock2, p, SIZE, 1))                              \
    X(futex(p + 8192, FUTEX_WAKE, 1)) X(futex(p + 8192, FUTEX_WAKE_PRIVATE, 1)) X(futex(p + 8192, FUTEX_WAIT, 5))      \
    X(futex(p + 8192, FUTEX_WAIT_PRIVATE, 5)) X(futex(p + 8192, FUTEX_UNLOCK_PI, 0))                                   \
    X(futex(p + 8192, FUTEX_TRYLOCK_PI, 0)) X(madvise(p, SIZE, 22)) X(madvise(p, SIZE, 23)) X(madvise(p, SIZE, 8))     \
    X(madvise(p, SIZE, 4)) X(madvise(p, SIZE, 12)) X(madvise(p, SIZE, 18)) X(madvise(p + 4096, 4096, 102))             \
    X(msync(p, SIZE, MS_SYNC)) X(syscall(SYS_rt_sigaction, 10, p + 8192, NULL, 8))                                     \
    X(syscall(SYS_clock_gettime, 1, p + 8192)) X(syscall(SYS_uname, p + 8192))

int main(void) {
    start();
    struct rlimit room = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_MEMLOCK, &room);
    memset(buffer, 1, SIZE);
    setvbuf(stdout, malloc(1 << 20), _IOFBF, 1 << 20);
    for (int kind = 0; kind < KINDS; kind++)
        for (int prot = 0; prot < 8; prot++) {
            printf("== kind %d protection %d\n", kind, prot);
#define ONE(expression)                                                                                                \
            {                                                                                                          \
                char *p = area(kind, prot);                                                                            \
                errno = 0;                                                                                             \
                long r = (expression);                                                                                 \
                if (r < 0) printf("%s: errno %d\n", #expression, errno);                                               \
                else printf("%s: %ld\n", #expression, r);                                                              \
                munmap(p, SIZE);                                                                                       \
                close_range(3, ~0U, 0);                                                                                \
            }
            CASES(ONE)
        }
    return 0;
}
