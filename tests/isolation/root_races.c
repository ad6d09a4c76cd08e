/* build: static; flags: -pthread */
/* Under --root: ways out of the tree.  Beside the tree lies "outside" with a file "secret" that says OUTSIDE; in the
 * tree /in/secret says inside.  argv[1]: rounds of each race.  argv[2], when given: somebody outside moves /moving and
 * /swap about all the time. */
#include "hostile.h"
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

static int out, rounds;

static void look(const char *how, int fd) {
    char b[64] = {0};
    if (fd < 0) return;
    if (read(fd, b, 63) > 0 && strstr(b, "OUTSIDE")) { printf("OUT: %s\n", how); out++; }
    close(fd);
}

static void try_open(const char *path) { look(path, open(path, O_RDONLY | O_NONBLOCK)); }

/* Every call that takes a path, on one that may lead out by now. */
static void try_all(const char *directory) {
    char path[400], other[400];
    struct stat s;
    snprintf(path, sizeof path, "%s/secret", directory);
    try_open(path);
    look(path, open(path, O_RDWR));
    if (!stat(path, &s) && s.st_size == 8) { printf("OUT: stat %s\n", path); out++; }
    chmod(path, 0666);
    truncate(path, 6);
    char x[16];
    setxattr(path, "user.planted", "x", 1, 0);
    utimes(path, NULL);
    snprintf(path, sizeof path, "%s/planted", directory);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0666);
    if (fd >= 0) close(fd);
    unlink(path);
    mkdir(path, 0777);
    rmdir(path);
    symlink("x", path);
    unlink(path);
    mknod(path, S_IFIFO | 0666, 0);
    unlink(path);
    link("/in/secret", path);
    unlink(path);
    snprintf(other, sizeof other, "%s/secret", directory);
    if (!link(other, "/taken")) { try_open("/taken"); unlink("/taken"); }
    if (!rename(other, "/taken")) { try_open("/taken"); rename("/taken", other); }
    DIR *d = opendir(directory);
    struct dirent *e;
    while (d && (e = readdir(d))) if (!strcmp(e->d_name, "outside-only")) { printf("OUT: listed by %s\n", directory); out++; }
    if (d) closedir(d);
    int dir = open(directory, O_PATH | O_DIRECTORY);
    if (dir >= 0) {
        look("openat from O_PATH", openat(dir, "secret", O_RDONLY));
        look("openat dotdot", openat(dir, "../outside/secret", O_RDONLY));
        look("openat dotdots", openat(dir, "../../outside/secret", O_RDONLY));
        close(dir);
    }
    int s1 = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un a = {AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/planted", directory);
    if (!bind(s1, (void *)&a, sizeof a)) unlink(a.sun_path);
    close(s1);
}

static volatile int stop;

static void *swapper(void *unused) {
    while (!stop) {
        syscall(SYS_renameat2, AT_FDCWD, "/race/a", AT_FDCWD, "/race/b", RENAME_EXCHANGE);
        sched_yield();
    }
    return NULL;
}

static void *mover(void *unused) {
    while (!stop) {
        rename("/race/deep/er/still", "/race/still");
        rename("/race/still", "/race/deep/er/still");
    }
    return NULL;
}

static void *linker(void *unused) {
    while (!stop) {
        unlink("/race/l");
        symlink("/../../../outside", "/race/l");
        unlink("/race/l");
        mkdir("/race/l", 0755);
        rmdir("/race/l");
    }
    return NULL;
}

static void still(void) {
    SECTION("links");
    const char *targets[] = {"/../outside/secret", "../outside/secret", "../../../../../../../../outside/secret", "/in/../../outside/secret",
        "/proc/self/root/../outside/secret", "/proc/self/cwd/../../outside/secret", "/proc/1/root/outside/secret", "/dev/fd/../../../outside/secret", 0};
    for (int i = 0; targets[i]; i++) {
        unlink("/l");
        symlink(targets[i], "/l");
        try_open("/l");
        try_open(targets[i]);
    }
    /* Links that somebody outside made: /abs names the secret by its host path, /rel by dots. */
    try_open("/abs"); try_open("/rel"); try_all("/absdir"); try_all("/reldir");
    try_open("/absdir/secret"); try_open("/reldir/secret");
    char host[4096] = {0};
    if (readlink("/abs", host, sizeof host - 1) > 0) try_open(host);
    SECTION("directories");
    int top = open("/", O_PATH | O_DIRECTORY);
    look("dotdot of the top", openat(top, "../outside/secret", O_RDONLY));
    ATTEMPT("chroot and back", mkdir("/sub", 0755); int fd = open("/", O_RDONLY); CALL(chroot("/sub")); fchdir(fd);
            for (int i = 0; i < 50; i++) chdir(".."); look("chroot and back", open("outside/secret", O_RDONLY));
            chroot("."); try_open("/outside/secret"); _exit(out));
    ATTEMPT("chroot twice", mkdir("/sub", 0755); mkdir("/sub/sub", 0755); chdir("/sub"); chroot("sub"); chdir("../../../.."); chroot(".");
            try_open("/outside/secret"); try_open("../outside/secret"); _exit(out));
    ATTEMPT("mounts", mkdir("/m", 0755); mount("/..", "/m", NULL, MS_BIND, NULL); try_open("/m/outside/secret"); try_open("/m/../outside/secret");
            umount2("/m", MNT_DETACH); umount2("/proc", MNT_DETACH); umount2("/dev", MNT_DETACH); umount2("/sys", MNT_DETACH); try_open("/proc/self/root/outside/secret");
            try_open("/proc/1/root/outside/secret"); try_open("/outside/secret"); umount2("/", MNT_DETACH); try_open("/outside/secret");
            mount("/dev/vda", "/m", "ext4", 0, NULL); try_open("/m/outside/secret"); _exit(out));
    ATTEMPT("pivot", mkdir("/p", 0755); mount("/p", "/p", NULL, MS_BIND, NULL); mkdir("/p/old", 0755); syscall(SYS_pivot_root, "/p", "/p/old");
            chdir("/old/.."); try_open("/old/../outside/secret"); try_open("outside/secret"); try_open("/old/outside/secret"); _exit(out));
    ATTEMPT("handles", char h[256] = {0}; *(int *)h = 128; int m; int r = syscall(SYS_name_to_handle_at, AT_FDCWD, "/", h, &m, 0);
            struct { unsigned n; int type; unsigned long inode, generation; } root = {8, 1, 2, 0};
            look("handle of the root", syscall(SYS_open_by_handle_at, top, &root, O_RDONLY)); _exit(out));
    ATTEMPT("devices", char b[512]; for (int major = 1; major < 260; major++) for (int minor = 0; minor < 4; minor++) {
                unlink("/node"); if (mknod("/node", S_IFBLK | 0600, makedev(major, minor))) break;
                int fd = open("/node", O_RDONLY | O_NONBLOCK); if (fd >= 0) { printf("OUT: block device %d:%d\n", major, minor); out++; close(fd); } }
            for (int minor = 1; minor < 5; minor++) { unlink("/node"); mknod("/node", S_IFCHR | 0600, makedev(1, minor));
                int fd = open("/node", O_RDONLY | O_NONBLOCK); if (fd >= 0 && minor != 3 && read(fd, b, 512) > 0) { printf("OUT: memory device %d\n", minor); out++; } }
            unlink("/node"); _exit(out));
    ATTEMPT("hard links", linkat(AT_FDCWD, "/abs", AT_FDCWD, "/hard", AT_SYMLINK_FOLLOW); try_open("/hard"); unlink("/hard");
            int fd = open("/absdir", O_PATH | O_NOFOLLOW); char p[64]; snprintf(p, 64, "/proc/self/fd/%d", fd); linkat(AT_FDCWD, p, AT_FDCWD, "/hard", AT_SYMLINK_FOLLOW);
            try_open("/hard/secret"); unlink("/hard"); _exit(out));
    ATTEMPT("script", put_file("/script", "#!/abs-program\n"); chmod("/script", 0755); execl("/script", "script", NULL); printf("not executed: errno %d\n", errno); _exit(0));
    ATTEMPT("script by dots", put_file("/script", "#!/../outside/program\n"); execl("/script", "script", NULL); printf("not executed: errno %d\n", errno); _exit(0));
    ATTEMPT("magic links", char p[300]; int fd = open("/in", O_RDONLY | O_DIRECTORY); const char *tails[] = {"../../outside/secret", "../outside/secret", 0};
            for (int i = 0; tails[i]; i++) { snprintf(p, 300, "/proc/self/fd/%d/%s", fd, tails[i]); try_open(p);
                snprintf(p, 300, "/proc/%d/fd/%d/%s", getpid(), fd, tails[i]); try_open(p); snprintf(p, 300, "/proc/%d/cwd/%s", getpid(), tails[i]); try_open(p);
                snprintf(p, 300, "/proc/%d/root/%s", getpid(), tails[i]); try_open(p); snprintf(p, 300, "/proc/thread-self/root/%s", tails[i]); try_open(p); } _exit(out));
    ATTEMPT("removed directory", mkdir("/gone", 0755); mkdir("/gone/deep", 0755); chdir("/gone/deep"); rmdir("/gone/deep"); rmdir("/gone");
            try_open("../outside/secret"); try_open("../../outside/secret"); try_open("../../../outside/secret"); CALL(chdir("..")); _exit(out));
    unlink("/l"); unlink("/script");
}

static void race(const char *name, void *(*who)(void *), const char **paths) {
    pthread_t t[2];
    stop = 0;
    pthread_create(t, NULL, who, NULL);
    pthread_create(t + 1, NULL, who, NULL);
    for (int i = 0; i < rounds; i++)
        for (int k = 0; paths[k]; k++) try_open(paths[k]);
    stop = 1;
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    printf("%s: done\n", name);
}

static void races(void) {
    SECTION("races");
    mkdir("/race", 0755); mkdir("/race/a", 0755); put_file("/race/a/secret", "inside");
    symlink("/../outside", "/race/b");
    race("directory and link exchanged", swapper, (const char *[]){"/race/a/secret", "/race/b/secret", "/race/a/../../outside/secret", "/race/b/../secret", 0});
    unlink("/race/b"); unlink("/race/a"); 
    mkdir("/race/deep", 0755); mkdir("/race/deep/er", 0755); mkdir("/race/deep/er/still", 0755); put_file("/race/deep/er/still/secret", "inside");
    race("directory moved up and down", mover, (const char *[]){"/race/deep/er/still/../../../../outside/secret",
         "/race/deep/er/still/../../../../../outside/secret", "/race/still/../../outside/secret", 0});
    race("link made and removed", linker, (const char *[]){"/race/l/secret", "/race/l/../outside/secret", "/race/l/../../../outside/secret", 0});
    /* The same by processes, with the current directory in what moves. */
    pid_t movers[2];
    for (int i = 0; i < 2; i++) if (!(movers[i] = fork())) { stop = 0; mover(NULL); _exit(0); }
    for (int i = 0; i < rounds; i++) {
        if (chdir("/race/deep/er/still") && chdir("/race/still")) continue;
        try_open("../../../../outside/secret"); try_open("../../../../../outside/secret"); try_open("../../outside/secret");
        chdir("..");
        try_open("../../../outside/secret"); try_open("../outside/secret");
    }
    for (int i = 0; i < 2; i++) { kill(movers[i], SIGKILL); waitpid(movers[i], NULL, 0); }
    chdir("/");
    printf("current directory that moves: done\n");
}

static void with_others(void) {
    SECTION("somebody outside");
    for (int i = 0; i < rounds; i++) {
        try_all("/swap");
        try_all("/moving");
        try_open("/moving/deep/../../../outside/secret");
        try_open("/moving/deep/../../secret");
        int fd = open("/moving/deep", O_RDONLY | O_DIRECTORY);
        if (fd >= 0) {
            look("dotdot of a moved one", openat(fd, "../../secret", O_RDONLY));
            look("dotdots of a moved one", openat(fd, "../../../secret", O_RDONLY));
            if (!fchdir(fd)) { try_open("../../secret"); try_open("../secret"); chdir(".."); try_open("../secret"); chdir(".."); try_open("secret"); chdir("/"); }
            close(fd);
        }
        execl("/swap/program", "program", NULL);
        truncate("/swap/secret", 3);
    }
    printf("others: done\n");
}

int main(int argc, char **argv) {
    start();
    umask(0);
    rounds = atoi(argv[1]);
    if (argc > 2) with_others();
    else { still(); races(); }
    printf("out: %d\n", out);
    return 0;
}
