/* build: static */
/* Calls that the C library no longer makes, by number: what they give, and what they refuse. */
#include "guest.h"
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <utime.h>

#define RAW(name, ...) show(#name "(" #__VA_ARGS__ ")", syscall(SYS_##name, ##__VA_ARGS__))
#define MADE(name, ...) works(#name "(" #__VA_ARGS__ ")", syscall(SYS_##name, ##__VA_ARGS__))

static volatile int caught;
static void on_signal(int signo) { caught = signo; }

static void files(void) {
    struct stat st, other;
    char buf[64] = "";
    struct iovec parts[2] = {{buf, 3}, {buf + 3, 4}};
    struct utimbuf times = {1000, 2000};
    struct timeval pair[2] = {{1000, 5}, {2000, 6}};
    SECTION("files");
    put_file("f", "some text");
    RAW(stat, "f", &st);
    RAW(lstat, "f", &other);
    printf("same %d size %ld\n", st.st_ino == other.st_ino, (long)st.st_size);
    RAW(stat, "missing", &st);
    RAW(stat, "f", 1);
    MADE(creat, "made", 0640);
    RAW(stat, "made", &st);
    printf("mode %o\n", st.st_mode);
    int fd = open("f", O_RDWR);
    RAW(fstat, fd, &st);
    RAW(fstat, 77, &st);
    RAW(readv, fd, parts, 2);
    printf("read %s\n", buf);
    RAW(readv, fd, parts, -1);
    RAW(readv, fd, parts, 1025);
    RAW(writev, fd, parts, 2);
    RAW(preadv2, fd, parts, 2, 0, 0, 0x4000);
    RAW(preadv2, fd, parts, 2, 0, 0, 0);
    RAW(pwritev2, fd, parts, 2, 0, 0, 0x4000);
    RAW(fchown, fd, -1, -1);
    RAW(fchown, 77, 0, 0);
    RAW(utime, "f", &times);
    RAW(stat, "f", &st);
    printf("times %ld %ld\n", (long)st.st_atime, (long)st.st_mtime);
    RAW(utimes, "f", pair);
    RAW(futimesat, AT_FDCWD, "f", pair);
    RAW(stat, "f", &st);
    printf("times %ld.%ld\n", (long)st.st_mtime, st.st_mtim.tv_nsec);
    pair[0].tv_usec = 2000000;
    RAW(utimes, "f", pair);
    RAW(mknod, "fifo", S_IFIFO | 0600, 0);
    RAW(mknod, "fifo", S_IFIFO | 0600, 0);
    RAW(mknod, "strange", 0130000, 0);
    RAW(faccessat, AT_FDCWD, "f", R_OK | W_OK);
    RAW(faccessat, AT_FDCWD, "f", 8);
    RAW(faccessat2, AT_FDCWD, "f", R_OK, 0x4000);
    RAW(renameat, AT_FDCWD, "f", AT_FDCWD, "g");
    RAW(renameat2, AT_FDCWD, "g", AT_FDCWD, "h", 8);
    RAW(renameat2, AT_FDCWD, "g", AT_FDCWD, "made", 3);
    RAW(sync_file_range, fd, 0, 4096, 7);
    RAW(sync_file_range, fd, 0, 4096, 8);
    RAW(sync_file_range, fd, -1L, 4096, 1);
    RAW(linkat, AT_FDCWD, "g", AT_FDCWD, "i", 1);
    RAW(unlinkat, AT_FDCWD, "g", 1);
    RAW(utimensat, AT_FDCWD, "g", NULL, 1);
    RAW(fchownat, AT_FDCWD, "g", -1, -1, 1);
    RAW(newfstatat, AT_FDCWD, "g", &st, 1);
    RAW(statx, AT_FDCWD, "g", 0x6000, 0, buf);
    RAW(openat2, AT_FDCWD, "g", buf, 3);
    RAW(mkdirat, AT_FDCWD, "sub", 0755);
    RAW(truncate, "g", -1L);
    RAW(ftruncate, fd, -1L);
    RAW(fallocate, fd, 0x80, 0, 10);
    RAW(copy_file_range, fd, NULL, fd, NULL, 1, 1);
    RAW(close_range, 90, 80, 0);
    RAW(close_range, 90, 91, 1);
    RAW(dup3, fd, fd, 0);
    RAW(dup3, fd, 60, 1);
    RAW(flock, fd, 99);
    RAW(lseek, fd, 0, 9);
    RAW(sysfs, 9);
    RAW(ustat, 0, buf);
    RAW(ustat, st.st_dev, 1);
    close(fd);
}

static void waiting(void) {
    int ends[2], fd;
    struct timeval zero = {0, 0}, soon = {0, 2000};
    struct timespec little = {0, 1000000}, wrong = {0, 2000000000};
    struct epoll_event event = {EPOLLIN};
    fd_set set;
    SECTION("waiting");
    MADE(pipe, ends);
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    RAW(select, 60, &set, NULL, NULL, &zero);
    RAW(select, -1, NULL, NULL, NULL, &zero);
    RAW(select, 0, NULL, NULL, NULL, &soon);
    RAW(nanosleep, &little, NULL);
    RAW(nanosleep, &wrong, NULL);
    MADE(epoll_create, 1);
    RAW(epoll_create, 0);
    fd = syscall(SYS_epoll_create1, 0);
    RAW(epoll_create1, 1);
    RAW(epoll_ctl, fd, EPOLL_CTL_ADD, ends[0], &event);
    RAW(epoll_ctl, fd, 9, ends[0], &event);
    RAW(epoll_pwait, fd, &event, 1, 0, NULL, 8);
    RAW(epoll_pwait, fd, &event, 0, 0, NULL, 8);
    RAW(epoll_pwait2, fd, &event, 1, &wrong, NULL, 8);
    MADE(eventfd, 3);
    RAW(eventfd2, 0, 2);
    RAW(timerfd_create, 0, 1);
    RAW(timerfd_create, 99, 0);
    RAW(signalfd, -1, &event, 7);
    uint64_t mask = 1 << 9;
    MADE(signalfd, -1, &mask, 8);
    RAW(signalfd4, -1, &mask, 8, 1);
    MADE(inotify_init);
    RAW(inotify_init1, 1);
    RAW(poll, NULL, 0, 1);
    RAW(ppoll, NULL, 0, &wrong, NULL, 8);
    RAW(sched_yield);
    RAW(pipe2, ends, 1);
}

static void processes(void) {
    struct rlimit limit;
    unsigned cpu = 99;
    uint64_t head = 0;
    size_t length = 0;
    struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t prio; uint64_t rest[4]; } attr;
    struct timespec quantum;
    siginfo_t info = {0};
    SECTION("processes");
    long child = syscall(SYS_fork);
    if (child == 0) _exit(5);
    int status = 0;
    printf("reaped %d\n", syscall(SYS_wait4, child, &status, 0, NULL) == child);
    printf("status %d\n", WEXITSTATUS(status));
    RAW(wait4, -1, NULL, 0x100, NULL);
    RAW(waitid, 9, 0, &info, WEXITED, NULL);
    RAW(waitid, P_ALL, 0, &info, 0, NULL);
    RAW(getrlimit, RLIMIT_NOFILE, &limit);
    RAW(getrlimit, 99, &limit);
    RAW(setrlimit, RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max + 1;
    RAW(setrlimit, RLIMIT_CORE, 1);
    RAW(getcpu, &cpu, NULL, NULL);
    printf("cpu %d\n", cpu != 99);
    RAW(get_robust_list, 0, &head, &length);
    printf("length %zu\n", length);
    RAW(get_robust_list, 999999, &head, &length);
    RAW(set_robust_list, &head, 3);
    RAW(sched_get_priority_min, SCHED_FIFO);
    RAW(sched_get_priority_min, 77);
    RAW(sched_rr_get_interval, 0, &quantum);
    RAW(sched_rr_get_interval, -1, &quantum);
    RAW(sched_getattr, 0, &attr, sizeof attr, 0);
    printf("size %u policy %u\n", attr.size, attr.policy);
    RAW(sched_getattr, 0, &attr, 7, 0);
    RAW(sched_getattr, 0, &attr, sizeof attr, 1);
    RAW(setfsgid, -1);
    RAW(setfsuid, -1);
    char here[16] = "before", there[16] = "after";
    struct iovec from = {there, 6}, to = {here, 6};
    RAW(process_vm_writev, getpid(), &from, 1, &to, 1, 0);
    printf("here %s\n", here);
    RAW(process_vm_writev, getpid(), &from, 1, &to, 1, 1);
    RAW(unshare, 1);
    RAW(setns, 0, 0);
    RAW(kcmp, getpid(), getpid(), 0, 1, 1);
    RAW(kcmp, getpid(), getpid(), 99, 1, 1);
    RAW(membarrier, 0x40000000, 0, 0);
    RAW(memfd_create, "x", 0x100);
    RAW(getrandom, here, 4, 8);
    RAW(capget, 1, NULL);
    RAW(prctl, 0x7fff, 0, 0, 0, 0);
    RAW(personality, 0xffffffff);
    RAW(mlock2, here, 1, 2);
    RAW(madvise, 0, 0, 999);
    RAW(mremap, 0, 4096, 4096, 8);
    RAW(msync, 0, 0, 8);
    RAW(mprotect, 0, 0, 0x40);
    RAW(pidfd_open, getpid(), 1);
    RAW(pidfd_open, 0, 0);
}

static void signals(void) {
    struct sigaction action = {0};
    /* Again and again: one may come before the call that waits for it. */
    struct itimerval every = {{0, 20000}, {0, 20000}}, never = {0}, old;
    uint64_t empty = 0;
    siginfo_t info = {0};
    SECTION("signals");
    signal(SIGALRM, on_signal);
    signal(SIGUSR1, on_signal);
    RAW(getitimer, ITIMER_REAL, &old);
    RAW(getitimer, 9, &old);
    RAW(setitimer, ITIMER_REAL, &every, &old);
    RAW(pause);
    RAW(rt_sigsuspend, &empty, 8);
    RAW(setitimer, ITIMER_REAL, &never, &old);
    printf("caught %d\n", caught);
    RAW(rt_sigsuspend, &empty, 4);
    RAW(tkill, gettid(), SIGUSR1);
    printf("caught %d\n", caught);
    RAW(tkill, gettid(), 0);
    RAW(tkill, -1, SIGUSR1);
    RAW(tkill, 0, SIGUSR1);
    info.si_code = -1;
    info.si_signo = SIGUSR1;
    RAW(rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &info);
    RAW(rt_tgsigqueueinfo, 0, gettid(), SIGUSR1, &info);
    RAW(rt_sigaction, 0, &action, NULL, 8);
    RAW(rt_sigaction, SIGUSR1, &action, NULL, 7);
    RAW(rt_sigprocmask, 9, &empty, NULL, 8);
    RAW(gettimeofday, &old, NULL);
    RAW(time, 1);
    printf("time %d\n", syscall(SYS_time, NULL) > 1600000000);
}

static void ipc(void) {
    struct sembuf up = {0, 1, 0}, down = {0, -2, IPC_NOWAIT};
    struct { long type; char text[8]; } message = {7, "words"};
    struct timespec none = {0, 0};
    SECTION("ipc");
    int set = semget(IPC_PRIVATE, 1, 0600);
    RAW(semop, set, &up, 1);
    RAW(semop, set, &down, 1);
    RAW(semop, set, &up, 0);
    RAW(semtimedop, set, &up, 1, &none);
    RAW(semctl, set, 0, GETVAL, 0);
    RAW(semctl, set, 0, 99, 0);
    RAW(semctl, set, 0, IPC_RMID, 0);
    int queue = msgget(IPC_PRIVATE, 0600);
    RAW(msgsnd, queue, &message, 8, 0);
    RAW(msgrcv, queue, &message, 8, 3, IPC_NOWAIT);
    RAW(msgrcv, queue, &message, 2, 0, 0);
    RAW(msgrcv, queue, &message, 2, 0, MSG_NOERROR);
    RAW(msgctl, queue, 99, NULL);
    RAW(msgctl, queue, IPC_RMID, NULL);
    RAW(shmget, IPC_PRIVATE, 0, 0600);
    RAW(mq_open, "/", 0, 0, NULL);
    RAW(mq_unlink, "nosuch-queue");
    RAW(mq_notify, -1, NULL);
    RAW(io_cancel, 0, NULL, NULL);
    RAW(io_destroy, 0);
    RAW(io_setup, 0, NULL);
}

int main(void) {
    start();
    files();
    waiting();
    processes();
    signals();
    ipc();
    return 0;
}
