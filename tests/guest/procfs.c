/* build: glibc */
/* What programs look up in /proc, /sys and /dev about themselves. */
#include "guest.h"
#include <dirent.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

static char *slurp(const char *path) {
    static char b[200000];
    int fd = open(path, O_RDONLY);
    if (fd < 0) { printf("%s: errno %d\n", path, errno); b[0] = 0; return b; }
    ssize_t n, total = 0;
    while ((n = read(fd, b + total, sizeof b - 1 - total)) > 0) total += n;
    b[total] = 0;
    close(fd);
    return b;
}
static void link_(const char *path) {
    char b[4096];
    ssize_t n = readlink(path, b, sizeof b - 1);
    if (n < 0) printf("%s: errno %d\n", path, errno);
    else b[n] = 0, printf("%s -> %s\n", path, strncmp(b, "pipe:[", 6) && strncmp(b, "socket:[", 8) ? b : "pipe or socket");
}
static long field(const char *name) {
    char *p = strstr(slurp("/proc/self/status"), name);
    return p ? strtol(p + strlen(name), NULL, 10) : -1;
}
static void device(const char *path) {
    struct stat st;
    if (stat(path, &st)) printf("%s: errno %d\n", path, errno);
    else printf("%s %o %d:%d\n", path, st.st_mode & S_IFMT, major(st.st_rdev), minor(st.st_rdev));
}

int main(int argc, char **argv) {
    start();
    char b[5000], *p;
    SECTION("self");
    sprintf(b, "%d", getpid());
    readlink("/proc/self", b + 100, 100), b[100 + strlen(b)] = 0;
    printf("%d\n", !strcmp(b, b + 100));
    printf("%d\n", field("\nPid:\t") == getpid() && field("\nPPid:\t") == getppid() && field("\nTgid:\t") == getpid());
    printf("%ld %ld %ld\n", field("\nUid:\t"), field("\nGid:\t"), field("\nThreads:\t"));
    p = slurp("/proc/self/cmdline");
    printf("%d\n", !strcmp(p, argv[0]));
    printf("%s", slurp("/proc/self/comm"));
    p = slurp("/proc/self/stat");
    int pid, ppid, pgrp, sid;
    char comm[50], state;
    printf("%d ", sscanf(p, "%d (%40[^)]) %c %d %d %d", &pid, comm, &state, &ppid, &pgrp, &sid));
    printf("%d %s %c %d %d\n", pid == getpid(), comm, state, pgrp == getpgrp(), sid == getsid(0));
    link_("/proc/self/cwd"), link_("/proc/self/root");
    ssize_t n = readlink("/proc/self/exe", b, sizeof b);
    b[n] = 0;
    printf("%s\n", strrchr(b, '/'));
    setenv("X", "y", 1);
    printf("%d\n", strstr(slurp("/proc/self/environ"), "HOME=") || strlen(b) == 0);
    put_file("opened", "x");
    int fd = open("opened", O_RDWR | O_APPEND), pair[2];
    sprintf(b, "/proc/self/fd/%d", fd);
    link_(b);
    unlink("opened");
    link_(b);
    pipe(pair);
    sprintf(b, "/proc/self/fd/%d", pair[0]);
    link_(b);
    struct stat st;
    lstat(b, &st);
    printf("%o\n", st.st_mode);
    sprintf(b, "/proc/self/fdinfo/%d", fd);
    lseek(fd, 7, SEEK_SET);
    p = slurp(b);
    printf("%d %d\n", strstr(p, "pos:\t7\n") == p, strstr(p, "flags:\t0102002") != NULL);
    DIR *d = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(d)) count++;
    printf("%d\n", count >= 5 + 2);
    closedir(d);
    d = opendir("/proc/self/task");
    for (count = 0; readdir(d);) count++;
    printf("%d tasks\n", count - 2);
    SECTION("maps");
    char *map = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, open(argv[0], O_RDONLY), 0);
    mprotect(map + 4096, 4096, PROT_NONE);
    p = slurp("/proc/self/maps");
    char *heap = strstr(p, "[heap]"), *stack = strstr(p, "[stack]");
    printf("heap %d stack %d program %d\n", heap != NULL, stack != NULL, strstr(p, strrchr(argv[0], '/')) != NULL);
    unsigned long low, high;
    int lines = 0, ordered = 1, mine = 0;
    unsigned long before = 0;
    for (char *line = strtok(p, "\n"); line; line = strtok(NULL, "\n")) {
        char rights[5];
        if (sscanf(line, "%lx-%lx %4s", &low, &high, rights) != 3) break;
        if (low < before) ordered = 0;
        before = high;
        lines++;
        if (low == (unsigned long)map || high == (unsigned long)map + 8192) mine++, printf("%s ", rights);
        if (low <= (unsigned long)&b && (unsigned long)&b < high) printf("stack %s ", rights);
        if (low <= (unsigned long)main && (unsigned long)main < high) printf("text %s ", rights);
    }
    printf("ordered %d\n", ordered);
    int mem = open("/proc/self/mem", O_RDWR);
    static long there = 4711;
    long copy = 0;
    CALL(pread(mem, &copy, 8, (off_t)&there));
    NUMBER(copy);
    copy = 815;
    CALL(pwrite(mem, &copy, 8, (off_t)&there));
    NUMBER(there);
    CALL(pread(mem, &copy, 8, 0));
    SECTION("system");
    double up, idle;
    printf("%d\n", sscanf(slurp("/proc/uptime"), "%lf %lf", &up, &idle));
    printf("%d\n", !strncmp(slurp("/proc/version"), "Linux version ", 14));
    printf("%d\n", strstr(slurp("/proc/meminfo"), "MemTotal:") != NULL);
    printf("%d\n", strstr(slurp("/proc/cpuinfo"), "processor\t: 0") != NULL);
    printf("%d\n", !strncmp(slurp("/proc/stat"), "cpu  ", 5));
    double load;
    printf("%d\n", sscanf(slurp("/proc/loadavg"), "%lf", &load));
    printf("%d\n", strstr(slurp("/proc/mounts"), " / ") != NULL);
    printf("%d\n", strstr(slurp("/proc/self/mountinfo"), " /proc ") != NULL);
    printf("%d\n", strstr(slurp("/proc/filesystems"), "tmpfs") != NULL);
    printf("%s", slurp("/proc/sys/kernel/ostype"));
    printf("%d\n", atoi(slurp("/proc/sys/kernel/pid_max")) > 1000);
    printf("%d\n", (int)strlen(slurp("/proc/sys/kernel/random/boot_id")));
    printf("%s", slurp("/proc/sys/vm/overcommit_memory"));
    printf("%d\n", !strncmp(slurp("/proc/net/dev"), "Inter-|", 7));
    printf("%d\n", !strncmp(slurp("/proc/net/unix"), "Num ", 4));
    printf("%d\n", strstr(slurp("/proc/self/limits"), "Max open files") != NULL);
    CALL(open("/proc/nonsense", O_RDONLY));
    CALL(open("/proc/self/nonsense", O_RDONLY));
    CALL(open("/proc/999999/stat", O_RDONLY));
    CALL(mkdir("/proc/x", 0755));
    CALL(open("/proc/x", O_CREAT | O_WRONLY, 0644));
    CALL(symlink("x", "/proc/x"));
    CALL(mkdir("/sys/x", 0755));
    CALL(open("/sys/x", O_CREAT | O_WRONLY, 0644));
    CALL(unlink("/proc/version"));
    struct statfs fs;
    statfs("/proc", &fs);
    printf("%lx\n", (long)fs.f_type);
    statfs("/dev/shm", &fs);
    printf("%lx\n", (long)fs.f_type);
    SECTION("other processes");
    pid_t child = fork();
    if (!child) { execlp("sleep", "sleep", "10", NULL); _exit(1); }
    do { pause_ms(5); sprintf(b, "/proc/%d/comm", child); } while (strcmp(slurp(b), "sleep\n"));
    sprintf(b, "/proc/%d/cmdline", child);
    p = slurp(b);
    printf("%s %s\n", p, p + 6);
    kill(child, SIGSTOP);
    pause_ms(20);
    sprintf(b, "/proc/%d/stat", child);
    p = slurp(b);
    printf("%c\n", *(strchr(p, ')') + 2));
    kill(child, SIGKILL);
    pause_ms(20);
    p = slurp(b);
    printf("%c\n", *(strchr(p, ')') + 2));
    wait(NULL);
    CALL(open(b, O_RDONLY));
    SECTION("devices");
    device("/dev/null"), device("/dev/zero"), device("/dev/full"), device("/dev/random"), device("/dev/urandom");
    device("/dev/tty"), device("/dev/ptmx");
    fd = open("/dev/full", O_RDWR);
    CALL(write(fd, "x", 1));
    CALL(read(fd, b, 10));
    fd = open("/dev/null", O_RDWR);
    CALL(write(fd, "x", 1));
    CALL(read(fd, b, 10));
    fd = open("/dev/zero", O_RDWR);
    CALL(read(fd, b, 4000));
    CALL(b[3999]);
    CALL(lseek(fd, 100, SEEK_SET));
    fd = open("/dev/urandom", O_RDONLY);
    CALL(read(fd, b, 300));
    link_("/dev/fd"), link_("/dev/stdin"), link_("/dev/stdout");
    fd = WORKS(open("/dev/shm/guest-test", O_CREAT | O_RDWR, 0600));
    unlink("/dev/shm/guest-test");
    SECTION("calls");
    struct utsname u;
    CALL(uname(&u));
    printf("%s %s\n", u.sysname, u.machine);
    struct sysinfo s;
    CALL(sysinfo(&s));
    printf("%d\n", s.totalram * s.mem_unit > 1 << 20);
    CALL(syscall(SYS_getrandom, b, 256, 0));
    CALL(syscall(SYS_getrandom, b, 256, 77));
    printf("%d\n", sysconf(_SC_NPROCESSORS_ONLN) > 0);
    printf("%ld\n", sysconf(_SC_PAGESIZE));
    CALL(sethostname("x", -1));
    return 0;
}
