/* Micro loops: `micro NAME MILLISECONDS` prints nanoseconds per operation, measured inside the guest over a batch that
   takes at least so long. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long count;
static char buffer[1 << 20];
static volatile sig_atomic_t signals;

static void die(const char *what) { perror(what); exit(1); }

static void getppid_loop(void) {
    for (long i = 0; i < count; i++)
        syscall(SYS_getppid);
}

static int open_file(void) {
    int fd = open("micro-file", O_RDWR | O_CREAT, 0600);
    if (fd < 0 || pwrite(fd, buffer, 4096, 0) != 4096)
        die("micro-file");
    return fd;
}

static void read_loop(size_t size) {
    int fd = open_file();
    for (long i = 0; i < count; i++)
        if (pread(fd, buffer, size, 0) != (ssize_t)size)
            die("pread");
    close(fd);
}

static void read1(void) { read_loop(1); }
static void read4k(void) { read_loop(4096); }

static void write4k(void) {
    int fd = open_file();
    for (long i = 0; i < count; i++)
        if (pwrite(fd, buffer, 4096, 0) != 4096)
            die("pwrite");
    close(fd);
}

static void open_close(void) {
    for (long i = 0; i < count; i++) {
        int fd = open("/etc/passwd", O_RDONLY);
        if (fd < 0)
            die("open");
        close(fd);
    }
}

static void stat_loop(void) {
    struct stat info;
    for (long i = 0; i < count; i++)
        if (stat("/usr/bin/env", &info))
            die("stat");
}

/* One operation: open, read to the end and close a directory of 100 names. */
static void getdents_loop(void) {
    char name[64];
    if (mkdir("micro-directory", 0700) == 0)
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, "micro-directory/file-%d", i);
            close(open(name, O_WRONLY | O_CREAT, 0600));
        }
    for (long i = 0; i < count; i++) {
        int fd = open("micro-directory", O_RDONLY | O_DIRECTORY);
        if (fd < 0)
            die("micro-directory");
        while (syscall(SYS_getdents64, fd, buffer, 32768) > 0)
            ;
        close(fd);
    }
}

static void mmap_loop(void) {
    for (long i = 0; i < count; i++) {
        char *page = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            die("mmap");
        page[0] = 1;
        munmap(page, 65536);
    }
}

static void touch_loop(void) {
    for (long done = 0; done < count;) {
        long pages = count - done < 1024 ? count - done : 1024;
        char *memory = mmap(0, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            die("mmap");
        for (long i = 0; i < pages; i++)
            memory[i * 4096] = 1;
        munmap(memory, pages * 4096);
        done += pages;
    }
}

static void poll_loop(void) {
    int fds[2];
    if (pipe(fds))
        die("pipe");
    struct pollfd entries[2] = {{fds[0], POLLIN, 0}, {fds[1], POLLOUT, 0}};
    for (long i = 0; i < count; i++)
        if (poll(entries, 2, 0) != 1)
            die("poll");
}

static void spawn_loop(void) {
    char *arguments[] = {"true", 0}, *environment[] = {0};
    for (long i = 0; i < count; i++) {
        pid_t pid;
        if (posix_spawn(&pid, "/bin/true", 0, 0, arguments, environment))
            die("posix_spawn");
        waitpid(pid, 0, 0);
    }
}

static void fork_loop(void) {
    for (long i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        waitpid(pid, 0, 0);
    }
}

static void exec_loop(void) {
    for (long i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            execl("/bin/true", "true", (char *)0);
            _exit(127);
        }
        waitpid(pid, 0, 0);
    }
}

static void pipe_loop(void) {
    int there[2], back[2];
    char byte = 0;
    if (pipe(there) || pipe(back))
        die("pipe");
    if (fork() == 0) {
        for (long i = 0; i < count; i++)
            if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1)
                _exit(1);
        _exit(0);
    }
    for (long i = 0; i < count; i++)
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            die("ping");
    wait(0);
}

static uint32_t word;
static void *futex_partner(void *unused) {
    (void)unused;
    for (long i = 0; i < count; i++) {
        while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) != 1)
            syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
        __atomic_store_n(&word, 0, __ATOMIC_RELEASE);
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    }
    return 0;
}

static void futex_loop(void) {
    pthread_t thread;
    pthread_create(&thread, 0, futex_partner, 0);
    for (long i = 0; i < count; i++) {
        __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
        while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) != 0)
            syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, 0, 0, 0);
    }
    pthread_join(thread, 0);
}

static void on_signal(int number) { signals += number > 0; }
static void signal_loop(void) {
    signals = 0;
    signal(SIGUSR1, on_signal);
    for (long i = 0; i < count; i++)
        raise(SIGUSR1);
    if (signals != count)
        die("signals");
}

static void *nothing(void *argument) { return argument; }
static void thread_loop(void) {
    for (long i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, 0, nothing, 0))
            die("pthread_create");
        pthread_join(thread, 0);
    }
}

static void int_loop(void) {
    uint64_t a = 1, b = 3;
    for (long i = 0; i < count; i++) {
        a = a * 6364136223846793005u + b;
        b ^= a >> 29;
        __asm__ volatile("" : "+r"(a), "+r"(b));
    }
}

static void store_loop(void) {
    volatile uint64_t *words = (uint64_t *)buffer;
    for (long i = 0; i < count; i++)
        words[i & 0x3fff] = (uint64_t)i;
}

static void load_loop(void) {
    volatile uint64_t *words = (uint64_t *)buffer;
    for (long i = 0; i < count; i++)
        (void)words[i & 0x3fff];
}

static void float_loop(void) {
    volatile double sum = 0;
    double x = 1.0;
    for (long i = 0; i < count; i++)
        x = x * 1.0000001 + 0.5;
    sum = x;
    (void)sum;
}

static const struct { const char *name; void (*run)(void); } loops[] = {
    {"getppid", getppid_loop}, {"read-1", read1}, {"read-4k", read4k}, {"write-4k", write4k},
    {"open-close", open_close}, {"stat", stat_loop}, {"getdents", getdents_loop}, {"mmap", mmap_loop},
    {"touch", touch_loop}, {"poll", poll_loop},
    {"spawn", spawn_loop}, {"fork", fork_loop}, {"fork-exec", exec_loop},
    {"pipe", pipe_loop}, {"futex", futex_loop}, {"signal", signal_loop}, {"thread", thread_loop},
    {"int", int_loop}, {"store", store_loop}, {"load", load_loop}, {"float", float_loop},
};

static double run_batch(void (*run)(void)) {
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    run();
    clock_gettime(CLOCK_MONOTONIC, &to);
    return (to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    double wanted_ns = atof(argv[2]) * 1e6;
    memset(buffer, 1, sizeof buffer);
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++)
        if (!strcmp(loops[i].name, argv[1])) {
            double taken = 0;
            count = 1;
            run_batch(loops[i].run);  /* not counted: what is done once, on the guest's side or ours */
            while (count < 1L << 40) {
                taken = run_batch(loops[i].run);
                if (taken >= wanted_ns)
                    break;
                double more = wanted_ns * 1.2 / (taken + 1);
                count = count * (more > 10 ? 10 : more < 2 ? 2 : more) + 1;
            }
            printf("%.3f\n", taken / count);
            return 0;
        }
    return 2;
}
