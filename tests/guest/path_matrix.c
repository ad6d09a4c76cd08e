/* Every call that takes a path, for paths of every kind: the errno of each, as root and as a user.
 * On a disk, where making the files anew takes long, each call that changes something gets every fourth path. */
#include "guest.h"
#include <dirent.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

static char long255[256], long256[257], in_d256[260];
static const char *paths[] = {
    "", ".", "..", "/", "//", "f", "f/", "f/.", "f/..", "f/x", "./f", "d", "d/", "d/.", "d/..", "d/./", "d/g", "d/g/",
    "d//g", "./d/./g", "d/../f", "d/../f/", "e", "e/", "e/.", "lf", "lf/", "lf/x", "lf/..", "ld", "ld/", "ld/g", "ld/.",
    "ld/..", "ld/../f", "le", "le/", "ldang", "ldang/", "ldang/x", "ldeep", "ldeep/", "loop", "loop/", "loop/x", "lslash",
    "lslash/", "ldot", "none", "none/", "none/x", "none/..", "none/.", "fifo", "fifo/", "fifo/x", "rd", "rd/x", "rd/..",
    "ro", "sd", "sd/x", "sd/dir", "sd/new", long255, long256, in_d256,
};
#define COUNT (sizeof paths / sizeof *paths)

static void rmtree(const char *path) {
    DIR *dir = opendir(path);
    struct dirent *entry;
    char name[600];
    if (!dir) return;
    while ((entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        struct stat st;
        if (lstat(name, &st) == 0 && S_ISDIR(st.st_mode)) {
            chmod(name, 0700);
            rmtree(name);
            rmdir(name);
        } else unlink(name);
    }
    closedir(dir);
}

static int top;
static uid_t user;

static void reset(void) {
    uid_t was = geteuid();
    if (was) seteuid(0);
    fchdir(top);
    umask(0);
    rmtree("t");
    rmdir("t");
    mkdir("t", 0777);
    chdir("t");
    umask(022);
    put_file("f", "content");
    mkdir("d", 0755);
    put_file("d/g", "inner");
    mkdir("e", 0755);
    symlink("f", "lf");
    symlink("d", "ld");
    symlink("e", "le");
    symlink("nothing", "ldang");
    symlink("ld/../ld/g", "ldeep");
    symlink("loop", "loop");
    symlink("d/", "lslash");
    symlink(".", "ldot");
    mkfifo("fifo", 0644);
    mkdir("rd", 0700);
    put_file("rd/x", "secret");
    put_file("ro", "");
    mkdir("sd", 0755);
    chmod("sd", 01777);
    put_file("sd/x", "sticky");
    mkdir("sd/dir", 0755);
    chmod("ro", 0);
    chmod("rd", 0);
    if (user) {
        chown("f", user, user);
        chown("d", user, user);
        chown("e", user, user);
    }
    if (was) seteuid(was);
}

static struct stat st;
static struct statfs fs;
static char buffer[300];
static int fd;

static int opened(int got) { if (got >= 0) close(got); return got < 0 ? -1 : 0; }

#define OPS \
    OP(0, stat(p, &st)) OP(0, lstat(p, &st)) OP(0, statfs(p, &fs)) OP(0, access(p, F_OK)) OP(0, access(p, R_OK)) \
    OP(0, access(p, W_OK)) OP(0, access(p, X_OK)) OP(0, readlink(p, buffer, sizeof buffer)) \
    OP(0, opened(open(p, O_RDONLY | O_NONBLOCK))) OP(0, opened(open(p, O_WRONLY | O_NONBLOCK))) \
    OP(0, opened(open(p, O_RDONLY | O_NONBLOCK | O_NOFOLLOW))) OP(0, opened(open(p, O_RDONLY | O_DIRECTORY))) \
    OP(0, opened(open(p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))) OP(0, opened(open(p, O_PATH))) \
    OP(0, opened(open(p, O_PATH | O_NOFOLLOW))) OP(0, opened(open(p, O_PATH | O_DIRECTORY))) \
    OP(1, opened(open(p, O_RDWR | O_CREAT | O_NONBLOCK, 0644))) OP(1, opened(open(p, O_RDONLY | O_CREAT | O_EXCL, 0644))) \
    OP(1, opened(open(p, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0644))) \
    OP(1, opened(open(p, O_RDONLY | O_CREAT | O_DIRECTORY, 0644))) \
    OP(1, opened(open(p, O_WRONLY | O_TRUNC | O_NONBLOCK))) \
    OP(1, opened(open(p, O_RDONLY | O_TMPFILE, 0600))) OP(0, opened(open(p, O_RDONLY | O_NONBLOCK | O_NOATIME))) \
    OP(1, mkdir(p, 0755)) OP(1, rmdir(p)) OP(1, unlink(p)) OP(1, unlinkat(AT_FDCWD, p, AT_REMOVEDIR)) \
    OP(1, mknod(p, S_IFIFO | 0644, 0)) OP(1, mknod(p, S_IFREG | 0644, 0)) OP(1, mknod(p, S_IFDIR | 0755, 0)) \
    OP(1, mknod(p, S_IFSOCK | 0644, 0)) OP(1, symlink("target", p)) OP(1, chmod(p, 0711)) OP(1, chown(p, -1, -1)) \
    OP(1, lchown(p, -1, -1)) OP(1, utimensat(AT_FDCWD, p, NULL, 0)) \
    OP(1, utimensat(AT_FDCWD, p, NULL, AT_SYMLINK_NOFOLLOW)) OP(1, truncate(p, 3)) OP(2, chdir(p)) \
    OP(1, link("f", p)) OP(1, link(p, "newlink")) OP(1, link(p, "d/g")) OP(1, linkat(AT_FDCWD, p, AT_FDCWD, "n", AT_SYMLINK_FOLLOW)) \
    OP(1, rename(p, "new")) OP(1, rename(p, "new/")) OP(1, rename(p, "f")) OP(1, rename(p, "e")) OP(1, rename(p, "d")) \
    OP(1, rename(p, "d/sub")) OP(1, rename(p, "ldang")) OP(1, rename(p, "ld")) OP(1, rename(p, "sd/x")) \
    OP(1, rename("f", p)) OP(1, rename("e", p)) OP(1, rename("d", p)) OP(1, rename("ld", p)) OP(1, rename("f/", p)) \
    OP(1, rename("none", p)) OP(1, rename("rd/x", p)) OP(1, rename("sd/dir", p)) \
    OP(1, renameat2(AT_FDCWD, p, AT_FDCWD, "new", 1)) OP(1, renameat2(AT_FDCWD, "f", AT_FDCWD, p, 1)) \
    OP(0, chroot(p) == 0 ? 0 : -1) \
    OP(0, openat(fd, p, O_RDONLY | O_NONBLOCK) < 0 ? -1 : 0)

/* What not all hosts have. */
#ifdef WHERE
#define MORE_OPS \
    OP(1, opened(open(p, O_RDWR | O_TMPFILE, 0600))) \
    OP(1, (int)getxattr(p, "user.none", buffer, 10)) \
    OP(1, setxattr(p, "user.x", "v", 1, 0)) \
    OP(1, lsetxattr(p, "trusted.x", "v", 1, 0)) \
    OP(1, (int)listxattr(p, buffer, 0)) \
    OP(1, renameat2(AT_FDCWD, p, AT_FDCWD, "d", 2)) \
    OP(1, renameat2(AT_FDCWD, "e", AT_FDCWD, p, 2))
#else
#define MORE_OPS
#endif

static int operation;

static int chosen(int changes, size_t path) {
    if (changes == 1 && paths[path][0] == '/') return 0;  /* the root of the machine stays as it is */
#ifdef WHERE
    return 1;
#else
    return changes != 1 || (path + operation) % 4 == 0;
#endif
}

static void matrix(void) {
    reset();
    fd = open("f", O_RDONLY);
#define OP(changes, call) \
    /* chroot works as root; whether a user may link other people's files is a setting. */ \
    if (geteuid() ? strncmp(#call, "link(p", 6) && strncmp(#call, "linkat", 6) : strncmp(#call, "chroot", 6)) { \
        printf("%s:", #call); \
        for (size_t i = 0; i < COUNT; i++) { \
            const char *p = paths[i]; \
            if (!chosen(changes, i)) continue; \
            errno = 0; \
            int got = call; \
            printf(" %d", got < 0 ? -errno : got); \
            if (got >= 0 && changes == 1) reset(); \
            if (got >= 0 && changes == 2) { fchdir(top); chdir("t"); } \
        } \
        printf("\n"); \
        operation++; \
    }
    OPS MORE_OPS
#undef OP
    close(fd);
}

int main(void) {
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    memset(long255, 'x', 255);
    memset(long256, 'x', 256);
    strcpy(in_d256, "d/");
    strcat(in_d256, long256);
#ifdef WHERE
    char where[] = WHERE "/path_matrix.XXXXXX";
    if (!mkdtemp(where) || chdir(where)) return 1;
#endif
    top = open(".", O_RDONLY);
    fchmod(top, 0755);
    SECTION("as root");
    matrix();
    fchdir(top);
    if (getuid()) return 0;
    SECTION("as a user");
    user = 1234;
    setegid(1234);
    seteuid(1234);
    matrix();
    seteuid(0);
    user = 0;
    reset();
    fchdir(top);
    rmtree("t");
    rmdir("t");
#ifdef WHERE
    rmdir(where);
#endif
    return 0;
}
