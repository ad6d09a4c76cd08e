/* Landlock: what each right forbids, on files, ports, signals and abstract sockets. */
#include "guest.h"
#include <arpa/inet.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>

struct ruleset { uint64_t fs, net, scoped; };
struct beneath { uint64_t allowed; int fd; } __attribute__((packed));
struct port { uint64_t allowed, port; };
#define CREATE(r, n, flags) syscall(444, r, (size_t)(n), flags)
#define ADD(fd, kind, attr) syscall(445, fd, kind, attr, 0)
enum { EXECUTE = 1, WRITE = 2, READ = 4, READ_DIR = 8, REMOVE_DIR = 16, REMOVE_FILE = 32, MAKE_CHAR = 64, MAKE_DIR = 128,
       MAKE_REG = 256, MAKE_SOCK = 512, MAKE_FIFO = 1024, MAKE_BLOCK = 2048, MAKE_SYM = 4096, REFER = 8192,
       TRUNCATE = 16384, ALL = 32767 };

static void restrict_to(uint64_t handled, const char *path, uint64_t allowed) {
    struct ruleset r = {handled, 0, 0};
    int fd = CREATE(&r, 8, 0);
    if (path) {
        struct beneath b = {allowed, open(path, O_PATH)};
        if (ADD(fd, 1, &b)) perror("rule");
        close(b.fd);
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(446, fd, 0)) perror("restrict");
    close(fd);
}

#define CHILD(title, ...) do { SECTION(title); fflush(stdout); pid_t pid_ = fork(); \
    if (!pid_) { __VA_ARGS__; fflush(stdout); _exit(0); } ended(title, pid_); } while (0)

static void touch_everything(void) {
    WORKS(open("in/f", O_RDONLY)); WORKS(open("in/f", O_WRONLY)); WORKS(open("in/f", O_RDWR));
    WORKS(open("in/f", O_RDWR | O_TRUNC)); WORKS(open("in/f", O_PATH)); WORKS(open("in", O_RDONLY));
    WORKS(open("out/f", O_RDONLY)); WORKS(open("out/f", O_WRONLY)); WORKS(open("out", O_RDONLY));
    WORKS(open("in/new", O_CREAT | O_WRONLY, 0644)); WORKS(open("out/new", O_CREAT | O_WRONLY, 0644));
    CALL(mkdir("in/d", 0755)); CALL(mkdir("out/d", 0755)); CALL(rmdir("in/d")); CALL(rmdir("out/empty"));
    CALL(symlink("x", "in/l")); CALL(symlink("x", "out/l")); CALL(mkfifo("in/p", 0644)); CALL(mkfifo("out/p", 0644));
    CALL(link("in/f", "in/hard")); CALL(link("in/f", "out/hard")); CALL(link("out/f", "in/hard2"));
    CALL(rename("in/f", "in/g")); CALL(rename("in/g", "out/g")); CALL(rename("out/f", "in/h"));
    CALL(rename("in/g", "in/f")); CALL(unlink("in/hard")); CALL(unlink("out/f"));
    CALL(truncate("in/f", 1)); CALL(truncate("out/f", 1));
    int fd = open("in/f", O_WRONLY);
    CALL(ftruncate(fd, 2)); close(fd);
    CALL(stat("out/f", &(struct stat){0})); CALL(chmod("out/f", 0600));
    CALL(mount("none", "in", "tmpfs", 0, 0));
    char *run[] = {"true", 0};
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) { execve("/bin/true", run, run); _exit(errno); }
    ended("exec", pid);
}

static void make_tree(void) {
    (void)!system("rm -rf in out; mkdir -p in/sub out/empty; echo f >in/f; echo f >in/sub/f; echo f >out/f");
}

static int tcp(int port, int connecting) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}};
    int r = connecting ? connect(fd, (void *)&a, sizeof a) : bind(fd, (void *)&a, sizeof a);
    int saved = errno;
    close(fd);
    errno = saved;
    return r;
}

int main(void) {
    start();
    struct ruleset r = {ALL, 3, 3};
    SECTION("rulesets");
    CALL(CREATE(NULL, 8, 1)); CALL(CREATE(&r, 4, 0)); CALL(CREATE(NULL, 8, 0)); CALL(CREATE(&r, 5000, 0));
    CALL(CREATE(&(struct ruleset){1L << 40}, 8, 0)); CALL(CREATE(&(struct ruleset){0}, 24, 0));
    CALL(CREATE((&(struct ruleset){1, 1L << 20}), 24, 0));
    int fd = WORKS(CREATE(&r, 16, 0));
    CALL(fcntl(fd, F_GETFD));
    struct beneath b = {READ, open(".", O_PATH)};
    CALL(ADD(fd, 1, &b)); CALL(ADD(fd, 1, NULL)); CALL(ADD(fd, 3, &b)); CALL(ADD(0, 1, &b)); CALL(ADD(99, 1, &b));
    CALL(ADD(fd, 1, (&(struct beneath){0, b.fd}))); CALL(ADD(fd, 1, (&(struct beneath){1L << 20, b.fd})));
    CALL(ADD(fd, 1, (&(struct beneath){READ, -1}))); CALL(ADD(fd, 1, (&(struct beneath){READ, fd})));
    put_file("plain", "x");
    int plain = open("plain", O_PATH);
    CALL(ADD(fd, 1, (&(struct beneath){READ_DIR, plain}))); CALL(ADD(fd, 1, (&(struct beneath){READ, plain})));
    CALL(ADD(fd, 2, (&(struct port){1, 70000}))); CALL(ADD(fd, 2, (&(struct port){4, 70}))); CALL(ADD(fd, 2, (&(struct port){1, 70})));
    CALL(syscall(446, fd, 1 << 20)); CALL(syscall(446, 0, 0)); CALL(syscall(446, 99, 0));
    CHILD("no right to", setuid(1000); CALL(syscall(446, fd, 0)));
    CHILD("layers", int n = 0; while (!syscall(446, fd, 0)) n++; printf("%d errno %d\n", n, errno));

    make_tree();
    CHILD("nothing handled of files", restrict_to(MAKE_BLOCK, NULL, 0); touch_everything());
    make_tree();
    CHILD("all, all below in", restrict_to(ALL, "in", ALL); touch_everything());
    make_tree();
    CHILD("all, reading below in", restrict_to(ALL, "in", READ | READ_DIR); touch_everything());
    make_tree();
    CHILD("names only, none allowed", restrict_to(REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | MAKE_FIFO, NULL, 0);
          touch_everything());
    make_tree();
    CHILD("all below here, and to be moved", restrict_to(ALL, ".", ALL); touch_everything());
    make_tree();
    CHILD("truncation", restrict_to(TRUNCATE, NULL, 0); touch_everything());
    make_tree();
    CHILD("two layers", restrict_to(ALL, ".", ALL); restrict_to(READ | WRITE, "in/sub", READ);
          WORKS(open("in/sub/f", O_RDONLY)); WORKS(open("in/sub/f", O_RDWR)); WORKS(open("in/f", O_RDONLY));
          CALL(rename("in/sub", "out/moved")); WORKS(open("out/moved/f", O_RDONLY)));

    CHILD("ports", r = (struct ruleset){0, 3, 0}; int f = CREATE(&r, 24, 0);
          CALL(ADD(f, 2, (&(struct port){1, 45671}))); CALL(ADD(f, 2, (&(struct port){2, 45672})));
          CALL(syscall(446, f, 0)); CALL(tcp(45671, 0)); CALL(tcp(45672, 0)); CALL(tcp(45671, 1)); CALL(tcp(45672, 1));
          CALL(tcp(0, 0)); CALL(socket(AF_INET, SOCK_DGRAM, 0) < 0));

    SECTION("ptrace");
    fflush(stdout);
    pid_t outside = fork();
    if (!outside) { pause(); _exit(0); }
    CHILD("of one outside", restrict_to(MAKE_BLOCK, NULL, 0); CALL(ptrace(PTRACE_SEIZE, outside, 0, 0)); char link[64];
          sprintf(link, "/proc/%d/exe", outside); CALL(readlink(link, link, 1)); CALL(kill(outside, 0));
          pid_t own = fork(); if (!own) { pause(); _exit(0); } CALL(ptrace(PTRACE_SEIZE, own, 0, 0)); kill(own, SIGKILL));
    kill(outside, SIGKILL);
    ended("outside", outside);
    return 0;
}
