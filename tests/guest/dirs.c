/* build: glibc musl */
#include "guest.h"
#include <dirent.h>

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(const char *path) {
    char *names[100];
    int count = 0;
    DIR *dir = opendir(path);
    if (!dir) { printf("opendir %s: errno %d\n", path, errno); return; }
    for (struct dirent *e; (e = readdir(dir));) {
        char line[300];
        snprintf(line, sizeof line, "%s type %d", e->d_name, e->d_type);
        names[count++] = strdup(line);
    }
    closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    printf("%s:", path);
    for (int i = 0; i < count; i++) printf(" [%s]", names[i]);
    printf("\n");
}

int main(void) {
    start();
    char cwd[4096];
    struct stat st;
    SECTION("mkdir and rmdir");
    CALL(mkdir("d", 0777));
    CALL(mkdir("d", 0777));
    CALL(mkdir("missing/d", 0777));
    CALL(mkdir("d/e/", 01777));
    CALL(rmdir("d"));
    CALL(rmdir("d/e/."));
    CALL(rmdir("d/e/.."));
    CALL(rmdir("missing"));
    put_file("d/file", "x");
    CALL(rmdir("d/file"));
    CALL(unlink("d/e"));
    CALL(mkdir("/", 0777));
    CALL(mkdir("", 0777));
    CALL(mkdir("d/file/x", 0777));
    stat("d", &st);
    printf("mode %o links %d\n", st.st_mode, (int)st.st_nlink);
    SECTION("listing");
    symlink("file", "d/link");
    mknod("d/fifo", S_IFIFO | 0644, 0);
    list("d");
    list("d/e");
    list("d/file");
    list("nowhere");
    SECTION("many entries");
    mkdir("many", 0755);
    for (int i = 0; i < 500; i++) {
        char name[50];
        sprintf(name, "many/entry-with-a-long-name-%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    int count = 0;
    long sum = 0;
    DIR *dir = opendir("many");
    for (struct dirent *e; (e = readdir(dir));) {
        count++;
        if (e->d_name[0] == 'e') sum += atoi(e->d_name + 26);
    }
    printf("%d entries, sum %ld\n", count, sum);
    rewinddir(dir);
    int again = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        again++;
        if (e->d_name[0] != '.') unlinkat(dirfd(dir), e->d_name, 0);
    }
    printf("%d again\n", again);
    closedir(dir);
    CALL(rmdir("many"));
    SECTION("cwd");
    CALL(chdir("d/e"));
    CALL(chdir("nowhere"));
    CALL(chdir("../file"));
    getcwd(cwd, sizeof cwd);
    printf("%s\n", strrchr(cwd, '/'));
    CALL(syscall(SYS_getcwd, cwd, 1));
    int here = open(".", O_RDONLY | O_DIRECTORY);
    CALL(chdir("../.."));
    CALL(fchdir(here));
    CALL(rmdir("../e"));
    CALL(syscall(SYS_getcwd, cwd, sizeof cwd));
    CALL(open("new", O_CREAT | O_WRONLY, 0600));
    CALL(stat(".", &st));
    NUMBER(st.st_nlink);
    CALL(chdir(".."));
    CALL(chdir(".."));
    SECTION("rename");
    mkdir("a", 0755);
    mkdir("a/b", 0755);
    mkdir("c", 0755);
    put_file("f", "f");
    put_file("g", "g");
    CALL(rename("a", "a/b/c"));
    CALL(rename("a", "c"));
    list("c");
    CALL(rename("f", "c"));
    CALL(rename("c", "f"));
    CALL(rename("f", "g"));
    CALL(rename("g", "g"));
    CALL(rename("c/b", "c/b/"));
    CALL(rename("g", "h/"));
    CALL(rename(".", "x"));
    CALL(rename("c", ".."));
    mkdir("full", 0755);
    put_file("full/x", "");
    CALL(rename("c", "full"));
    list(".");
    SECTION("long names");
    char name[300];
    memset(name, 'n', 299);
    name[299] = 0;
    CALL(mkdir(name, 0755));
    name[255] = 0;
    CALL(mkdir(name, 0755));
    CALL(rmdir(name));
    char *path = malloc(5000);
    memset(path, '/', 4999);
    path[4999] = 0;
    CALL(stat(path, &st));
    path[4095] = 0;
    CALL(stat(path, &st));
    CALL(stat("./././d/../d/./file", &st));
    CALL(stat("d/file/.", &st));
    CALL(stat("d/file/", &st));
    CALL(stat("d/link/", &st));
    CALL(lstat("d/", &st));
    return 0;
}
