/* build: glibc; flags: -no-pie -pthread */
/* What is outside: host processes by number (pylx itself and its pico processes), their files under /proc, descriptors
 * of pylx.  The test writes the numbers to our standard input: pids that must be out of reach. */
#include "hostile.h"
#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

static int reached;
/* Success is what must not be. */
static void must_fail(const char *what, long pid, long result) {
    if (result != -1) { printf("REACHED: %s of %ld = %ld\n", what, pid, result); reached++; }
}

static void try_pid(long pid) {
    char path[200];
    const char *files[] = {"mem", "maps", "environ", "cmdline", "status", "fd/0", "fd/3", "root/etc/hostname", "cwd", "exe", "task",
                           "pagemap", "syscall", "attr/current", "oom_score_adj", "comm", NULL};
    /* pylx's own number is that of the first guest process too: what is there is the guest. */
    if (pid == getpid() || pid == getppid()) {
        struct stat s;
        snprintf(path, sizeof path, "/proc/%ld/exe", pid);
        char target[4096] = {0};
        readlink(path, target, sizeof target - 1);
        if (strstr(target, "python")) { printf("REACHED: exe of %ld is %s\n", pid, target); reached++; }
        return;
    }
    must_fail("kill", pid, kill(pid, 0));
    must_fail("kill 9", pid, kill(pid, SIGKILL));
    must_fail("tgkill", pid, syscall(SYS_tgkill, pid, pid, SIGKILL));
    must_fail("tkill", pid, syscall(SYS_tkill, pid, SIGKILL));
    siginfo_t i = {.si_code = SI_QUEUE};
    must_fail("rt_sigqueueinfo", pid, syscall(SYS_rt_sigqueueinfo, pid, SIGKILL, &i));
    must_fail("pidfd_open", pid, syscall(SYS_pidfd_open, pid, 0));
    must_fail("ptrace attach", pid, ptrace(PTRACE_ATTACH, pid, 0, 0));
    must_fail("ptrace seize", pid, ptrace(PTRACE_SEIZE, pid, 0, 0));
    must_fail("ptrace detach", pid, ptrace(PTRACE_DETACH, pid, 0, 0));
    char b[64];
    struct iovec here = {b, 64}, there = {(void *)0x400000, 64};
    must_fail("process_vm_readv", pid, process_vm_readv(pid, &here, 1, &there, 1, 0));
    must_fail("process_vm_writev", pid, process_vm_writev(pid, &here, 1, &there, 1, 0));
    must_fail("getpgid", pid, getpgid(pid));
    must_fail("getsid", pid, getsid(pid));
    must_fail("sched_setaffinity", pid, sched_setaffinity(pid, 8, &(unsigned long){1}));
    must_fail("setpriority", pid, setpriority(0, pid, 10));
    must_fail("prlimit", pid, syscall(SYS_prlimit64, pid, 7, NULL, b));
    must_fail("move_pages", pid, syscall(SYS_move_pages, pid, 0, NULL, NULL, NULL, 0));
    must_fail("kcmp", pid, syscall(SYS_kcmp, pid, pid, 0, 0, 0));
    must_fail("get_robust_list", pid, syscall(SYS_get_robust_list, pid, b, b + 8));
    must_fail("capget", pid, syscall(SYS_capget, (unsigned[]){0x20080522, pid}, b));
    for (int f = 0; files[f]; f++) {
        snprintf(path, sizeof path, "/proc/%ld/%s", pid, files[f]);
        must_fail(path, pid, open(path, O_RDONLY | O_NONBLOCK));
        must_fail(path, pid, open(path, O_WRONLY | O_NONBLOCK));
        must_fail(path, pid, open(path, O_PATH));
        struct stat s;
        must_fail(path, pid, lstat(path, &s));
        snprintf(path, sizeof path, "/proc/self/../%ld/%s", pid, files[f]);
        must_fail(path, pid, open(path, O_RDONLY | O_NONBLOCK));
        snprintf(path, sizeof path, "/proc/self/root/proc/%ld/%s", pid, files[f]);
        must_fail(path, pid, open(path, O_RDONLY | O_NONBLOCK));
    }
}

static void list(const char *directory) {
    DIR *d = opendir(directory);
    struct dirent *e;
    char path[600], target[4096];
    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(d)) continue;
        snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
        memset(target, 0, sizeof target);
        if (readlink(path, target, sizeof target - 1) > 0 && atoi(e->d_name) > 2) printf("%s -> %s\n", path, target);
    }
    if (d) closedir(d);
}

static volatile unsigned char last;

int main(int argc, char **argv) {
    start();
    char line[4096];
    int pids = 0;
    while (fgets(line, sizeof line, stdin)) {
        if (line[0] == 'w') { printf("%d pids\n", pids); }
        else { pids++; try_pid(atol(line)); }
    }
    printf("reached: %d\n", reached);
    SECTION("descriptors beyond 2");
    list("/proc/self/fd");
    list("/proc/1/fd");
    for (int fd = 3; fd < 1024; fd++) if (fcntl(fd, F_GETFD) != -1) printf("open: %d\n", fd);
    SECTION("environment");
    extern char **environ;
    for (char **e = environ; *e; e++) if (strstr(*e, "SECRET")) printf("in environ: %s\n", *e);
    SECTION("command page");
    /* A guest can read it: it must hold no key and no content, just calls of mappings. */
    unsigned long *page = (unsigned long *)COMMANDS;
    if (argc > 1) {
        char *mark = mmap(NULL, 1 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        *mark = 1;
        unsigned long calls = 0;
        int wild = 0;
        for (int i = 1; i < 0x7000 / 64; i++) {
            unsigned long number = page[8 * i];
            if (number && number != 9 && number != 10 && number != 11 && number != 25 && number != 28 && number != 3 && number != 56
                && number != 157 && number != 257 && number != 302 && number != 317) wild++;
        }
        printf("other than mapping calls: %d\n", wild);
    }
    SECTION("filters of its own");
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_filter trace[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)};
    struct sock_filter notify[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)};
    struct sock_fprog programs[] = {{1, allow}, {1, trace}, {1, notify}};
    ROUTE("allow everything", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); prctl(PR_SET_SECCOMP, 2, &programs[0]); uname(&answer));
    ROUTE("by seccomp(2)", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); syscall(SYS_seccomp, 1, 0, &programs[0]); uname(&answer));
    ROUTE("to a listener", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); int l = syscall(SYS_seccomp, 1, 8, &programs[2]);
          if (l < 0) uname(&answer); else memcpy(answer.release, "pylx", 4));
    ROUTE("with io_uring", char p[256] = {0}; int r = syscall(SYS_io_uring_setup, 8, p); if (r >= 0) printf("A RING\n"); uname(&answer));
    ROUTE("with an LDT", struct { int n; unsigned base, limit, flags; } d = {0, 0, 0xfffff, 0x51};
          long r = syscall(SYS_modify_ldt, 1, &d, sizeof d); if (!r) printf("AN LDT ENTRY\n"); uname(&answer));
    ROUTE("with dispatch", long r = prctl(59, 1, 0, 0, &last); uname(&answer));
    ROUTE("with ioperm", if (!syscall(SYS_ioperm, 0x80, 1, 1)) { printf("PORTS\n"); } uname(&answer));
    ROUTE("with bpf", if (syscall(SYS_bpf, 0, (char[128]){0}, 128) >= 0) printf("A MAP\n"); uname(&answer));
    ROUTE("with perf", if (syscall(SYS_perf_event_open, (char[128]){1, 0, 0, 0, 128}, 0, -1, -1, 0) >= 0) printf("EVENTS\n"); uname(&answer));
    ROUTE("with namespaces", if (!syscall(SYS_unshare, 0x10000000 | 0x20000)) printf("NAMESPACES\n"); uname(&answer));
    ROUTE("with a module", if (!syscall(SYS_init_module, "", 0, "")) printf("A MODULE\n"); uname(&answer));
    ROUTE("with kexec", if (!syscall(SYS_kexec_load, 0, 0, 0, 0)) printf("KEXEC\n"); uname(&answer));
    return 0;
}
