/* build: glibc */
/* Random calls on a small tree of files: what each answers, and the state of the file afterwards. */
#include "guest.h"
#include <dirent.h>
#include <sys/uio.h>

enum { FDS = 6 };
static int fds[FDS];
static uint64_t state;
static unsigned random_(unsigned below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}
static const char *const names[] = {"a", "b", "d/a", "d/b", "d", "e", "d/e", "e/a", "l", "d/e/a", "a/", "./d/../b", "d/l", "../root/a",
                                    "d/", "e/.", "d/e/..", "l/a"};
static const char *name(void) { return names[random_(sizeof names / sizeof *names)]; }
static void answer(const char *what, const char *about, long r) { printf("%s %s: %ld", what, about, r < 0 ? -errno : r); }

static void look(const char *path) {
    struct stat st;
    if (lstat(path, &st)) { printf(" [%d]", -errno); return; }
    printf(" [%o %ld %ld]", st.st_mode, S_ISDIR(st.st_mode) ? 0 : (long)st.st_size, (long)st.st_nlink);
}

static void step(void) {
    static char data[9000];
    const char *one = name(), *two = name();
    int s = random_(FDS), fd = fds[s], n;
    char number[20];
    sprintf(number, "%d", s);
    int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_EXCL, O_WRONLY | O_CREAT | O_TRUNC,
                   O_RDWR | O_APPEND, O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOFOLLOW, O_WRONLY | O_CREAT | O_APPEND, O_PATH};
    long at = random_(4) ? random_(300) : random_(20000), length = random_(4) ? random_(100) : random_(9000);
    switch (random_(26)) {
    case 0: case 1: case 2:
        if (fd >= 0) close(fd);
        n = random_(10);
        fds[s] = open(one, flags[n], 0600 + random_(0100));
        printf("open %s %d: %d", one, n, fds[s] < 0 ? -errno : 0);
        break;
    case 3: answer("close", number, close(fd)); fds[s] = -1; break;
    case 4: case 5: memset(data, 'a' + length % 26, length); answer("write", number, write(fd, data, length)); break;
    case 6: memset(data, 'A' + length % 26, length); answer("pwrite", number, pwrite(fd, data, length, at)); break;
    case 7: case 8:
        n = read(fd, data, length);
        answer("read", number, n);
        if (n > 0) printf(" %d %d", data[0], data[n - 1]);
        break;
    case 9:
        n = pread(fd, data, length, at);
        answer("pread", number, n);
        if (n > 0) printf(" %d %d", data[0], data[n - 1]);
        break;
    case 10: {
        struct stat st;
        if (fd >= 0 && !fstat(fd, &st) && S_ISDIR(st.st_mode)) break; /* each file system has its own answers */
        answer("lseek", number, lseek(fd, at - 100, random_(5)));
        break;
    }
    case 11: answer("ftruncate", number, ftruncate(fd, at)); break;
    case 12: answer("truncate", one, truncate(one, at)); look(one); break;
    case 13: n = random_(FDS); if (fds[n] >= 0) close(fds[n]); fds[n] = dup(fd); printf("dup %d %d: %d", s, n, fds[n] < 0 ? -errno : 0); break;
    case 14: answer("mkdir", one, mkdir(one, 0755)); look(one); break;
    case 15: answer("rmdir", one, rmdir(one)); break;
    case 16: case 17: answer("unlink", one, unlink(one)); break;
    case 18: printf("%s ", one); answer("rename", two, rename(one, two)); look(two); break;
    case 19: printf("%s ", one); answer("link", two, link(one, two)); look(two); break;
    case 20: answer("symlink", one, symlink(random_(2) ? "d" : "a", one)); look(one); break;
    case 21: answer("chmod", one, chmod(one, 0600 + random_(0100))); look(one); break;
    case 22: {
        n = readlink(one, data, 100);
        answer("readlink", one, n);
        break;
    }
    case 23: {
        DIR *d = opendir(one);
        if (!d) { printf("list %s: %d", one, -errno); break; }
        long sum = 0, count = 0;
        for (struct dirent *e; (e = readdir(d)); count++) sum += e->d_name[0] * 7 + e->d_type;
        closedir(d);
        printf("list %s: %ld %ld", one, count, sum);
        break;
    }
    case 24: {
        struct stat st;
        if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size) break;
        char *map = mmap(NULL, st.st_size, PROT_READ, random_(2) ? MAP_SHARED : MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) { printf("map %d: %d", s, -errno); break; }
        long sum = 0;
        for (long i = 0; i < st.st_size; i++) sum += map[i] * (i % 7 + 1);
        printf("map %d: %ld", s, sum);
        munmap(map, st.st_size);
        break;
    }
    case 25: {
        struct stat st;
        if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size) break;
        char *map = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) { printf("map %d: %d", s, -errno); break; }
        map[at % st.st_size] = '!';
        munmap(map, st.st_size);
        printf("store %d", s);
        break;
    }
    }
    if (fds[s] >= 0) {
        struct stat st;
        if (fstat(fds[s], &st)) printf(" (%d)", -errno);
        else printf(" (%o %ld %ld)", st.st_mode, S_ISDIR(st.st_mode) ? 0 : (long)st.st_size, (long)st.st_nlink);
        printf(" at %ld", lseek(fds[s], 0, SEEK_CUR));
    }
    printf("\n");
}

int main(int argc, char **argv) {
    setvbuf(stdout, malloc(1 << 20), _IOFBF, 1 << 20);
    int first = argc > 1 ? atoi(argv[1]) : 1, last = argc > 2 ? atoi(argv[2]) : 20;
    umask(022);
    mkdir("root", 0755);
    for (int seed = first; seed <= last; seed++) {
        state = seed;
        printf("== %d\n", seed);
        char top[30];
        sprintf(top, "%d", seed);
        mkdir(top, 0755), chdir(top), mkdir("root", 0755), chdir("root");
        for (int i = 0; i < FDS; i++) fds[i] = -1;
        for (int i = 0; i < 200; i++) step();
        for (int i = 0; i < FDS; i++) if (fds[i] >= 0) close(fds[i]);
        chdir("../..");
    }
    return 0;
}
