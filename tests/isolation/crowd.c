/* build: glibc; flags: -pthread */
/* Many at once: threads, processes, descriptors, and what bounds them.  argv[1] and [2]: threads and processes. */
#include "guest.h"
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER, leave = PTHREAD_COND_INITIALIZER;
static int here, go;

static void *wait_for_all(void *number) {
    char deep[4096];
    memset(deep, (long)number, sizeof deep);
    pthread_mutex_lock(&lock);
    here++;
    pthread_cond_signal(&all_here);
    while (!go) pthread_cond_wait(&leave, &lock);
    here--;
    pthread_mutex_unlock(&lock);
    return (void *)(long)(unsigned char)deep[(long)number];
}

static int entries(const char *directory) {
    DIR *d = opendir(directory);
    int count = 0;
    struct dirent *e;
    while ((e = readdir(d))) count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

static void threads(int count) {
    pthread_t *ids = malloc(count * sizeof *ids);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    here = go = 0;
    for (long i = 0; i < count; i++) {
        int error = pthread_create(ids + i, &attr, wait_for_all, (void *)i);
        if (error) { printf("thread %ld: error %d\n", i, error); exit(1); }
    }
    pthread_mutex_lock(&lock);
    while (here < count) pthread_cond_wait(&all_here, &lock);
    printf("threads alive at once: %d, in /proc %d\n", here, entries("/proc/self/task"));
    go = 1;
    pthread_cond_broadcast(&leave);
    pthread_mutex_unlock(&lock);
    long good = 0;
    for (long i = 0; i < count; i++) { void *r; pthread_join(ids[i], &r); good += (long)r == (i & 255); }
    printf("joined: %ld, in /proc %d\n", good, entries("/proc/self/task"));
    free(ids);
}

static void processes(int count) {
    int up[2], down[2];
    pipe(up);
    pipe(down);
    pid_t *pids = malloc(count * sizeof *pids);
    for (int i = 0; i < count; i++) {
        if ((pids[i] = fork()) < 0) { printf("process %d: errno %d\n", i, errno); exit(1); }
        if (!pids[i]) {
            char c = 'x';
            close(down[1]);
            write(up[1], &c, 1);
            read(down[0], &c, 1);    /* until it is closed */
            _exit(i & 127);
        }
    }
    int arrived = 0;
    char c;
    while (arrived < count && read(up[0], &c, 1) == 1) arrived++;
    printf("processes alive at once: %d\n", arrived);
    for (int i = 0; i < count; i += 2) kill(pids[i], SIGKILL);
    close(down[1]);
    int killed = 0, exited = 0, status;
    for (int i = 0; i < count; i++) {
        if (waitpid(pids[i], &status, 0) != pids[i]) printf("lost %d\n", i);
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        exited += WIFEXITED(status) && WEXITSTATUS(status) == (i & 127);
    }
    printf("killed %d, ended %d\n", killed, exited);
    free(pids);
    close(up[0]), close(up[1]), close(down[0]);
}

/* As another user, since root is not counted. */
static void fork_bomb(void) {
    pid_t top = fork();
    if (!top) {
        setpgid(0, 0);
        struct rlimit r = {40, 40};
        setrlimit(RLIMIT_NPROC, &r);
        if (setgid(43210) || setuid(43210)) { printf("cannot be somebody else\n"); _exit(0); }
        int made = 0;
        pid_t pid;
        while ((pid = fork()) > 0) made++;
        if (!pid) { pause(); _exit(0); }
        printf("bounded: %d made, errno %d\n", made, errno);
        pthread_t t;
        printf("a thread: error %d\n", pthread_create(&t, NULL, wait_for_all, NULL));
        fflush(stdout);
        kill(0, SIGKILL);
    }
    int status;
    waitpid(top, &status, 0);
    printf("fork bomb: %x\n", status);
    top = fork();
    if (!top) {
        setpgid(0, 0);
        struct rlimit r = {60, 60};
        setrlimit(RLIMIT_NPROC, &r);
        setgid(43211);
        setuid(43211);
        alarm(10);
        for (;;) if (fork() < 0) usleep(1000);    /* every child, too */
    }
    pause_ms(600);
    for (int i = 0; i < 200 && !kill(-top, SIGKILL); i++) { waitpid(top, &status, WNOHANG); pause_ms(20); }
    printf("bomb of bombs: over, left %d\n", kill(-top, 0) == 0);
}

static void descriptors(void) {
    struct rlimit r = {4096, 4096};
    printf("limit: %d\n", setrlimit(RLIMIT_NOFILE, &r));
    put_file("file", "0123456789");
    int last = -1, fd, count = 0;
    while ((fd = open("file", O_RDONLY)) >= 0) { last = fd; count++; }
    printf("files: last %d, errno %d\n", last, errno);
    char c;
    ssize_t got = pread(last, &c, 1, 3);
    printf("%zd %c\n", got, c);
    struct pollfd *polled = calloc(4000, sizeof *polled);
    for (int i = 0; i < 4000; i++) polled[i] = (struct pollfd){last - i, POLLIN};
    printf("poll: %d\n", poll(polled, 4000, 0));
    pid_t pid = fork();
    if (!pid) { int ok = pread(last, &c, 1, 9) == 1 && c == '9'; close(last); _exit(ok ? 7 : 1); }
    ended("child", pid);
    printf("close_range: %ld\n", syscall(SYS_close_range, 3, ~0U, 0));
    int p[2], pairs = 0;
    while (!pipe(p)) {
        pairs++;
        if (write(p[1], "p", 1) != 1 || read(p[0], &c, 1) != 1) printf("a pipe does not work\n");
    }
    printf("pipes: %d, errno %d\n", pairs, errno);
    syscall(SYS_close_range, 3, ~0U, 0);
    int e = epoll_create1(0), watched = 0;
    while (!pipe(p)) {
        struct epoll_event event = {EPOLLIN, {.fd = p[0]}};
        watched += !epoll_ctl(e, EPOLL_CTL_ADD, p[0], &event);
        write(p[1], "e", 1);
    }
    struct epoll_event *events = calloc(4096, sizeof *events);
    printf("epoll: %d\n", epoll_wait(e, events, 4096, 0) == watched);
    syscall(SYS_close_range, 3, ~0U, 0);
    unlink("file");
    free(polled);
    free(events);
}

static void mappings(void) {
    /* As many as Linux allows: each second page of a range has another protection. */
    const long pages = 70000;
    char *range = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    long made = 0;
    while (made < pages && !mprotect(range + made * 4096, 4096, PROT_READ)) { range[(made + 1) * 4096] = 1; made += 2; }
    printf("mappings: %d, errno %d\n", made > 60000 && made < 65536, errno);
    pid_t pid = fork();
    if (!pid) _exit(range[4096] == 1 ? 5 : 1);
    ended("a copy", pid);
    printf("unmapped: %d\n", munmap(range, pages * 4096));
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *p = 1;
    printf("and on\n");
}

int main(int argc, char **argv) {
    start();
    threads(atoi(argv[1]));
    processes(atoi(argv[2]));
    fork_bomb();
    descriptors();
    if (argc > 3) mappings();
    return 0;
}
