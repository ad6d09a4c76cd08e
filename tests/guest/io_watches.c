/* build: glibc; flags: -pthread -lrt */
#include "io.h"
#include <sys/inotify.h>

static int in;
static void dump(const char *what)
{
    char b[8192]; long n = read(in, b, sizeof b);
    printf("%s: %ld\n", what, n);
    for (long i = 0; i < n;) { struct inotify_event *e = (void *)(b + i); printf("   %d %x %d %u %s\n", e->wd, e->mask, !!e->cookie, e->len, e->len ? e->name : ""); i += sizeof *e + e->len; }
}

int main(void)
{
    char q[9];
    mkdir("w", 0755); chdir("w"); in = inotify_init1(IN_NONBLOCK); dump("nothing");
    R(inotify_add_watch(in, ".", IN_ALL_EVENTS)); R(inotify_add_watch(in, ".", IN_ALL_EVENTS));
    int f = open("a", O_RDWR | O_CREAT, 0644); write(f, "x", 1); write(f, "y", 1); close(f); dump("create");
    R(inotify_add_watch(in, "a", IN_ALL_EVENTS));
    f = open("a", O_RDONLY); read(f, q, 2); close(f); dump("read");
    chmod("a", 0600); dump("chmod"); rename("a", "b"); dump("rename"); link("b", "c"); dump("link"); unlink("c"); dump("unlink c"); unlink("b"); dump("unlink b");
    mkdir("d", 0755); dump("mkdir"); int w = inotify_add_watch(in, "d", IN_ALL_EVENTS); f = open("d", O_RDONLY); close(f); dump("open dir"); rename("d", "e"); dump("rename dir"); rmdir("e"); dump("rmdir"); R(inotify_rm_watch(in, w));
    symlink("zz", "s"); dump("symlink"); R(inotify_add_watch(in, "nonexistent", IN_ALL_EVENTS)); R(inotify_add_watch(in, ".", 0));
    f = open("t", O_CREAT | O_WRONLY | O_TRUNC, 0600); ftruncate(f, 5); int g = open("t", O_WRONLY | O_TRUNC); dump("truncate");
    R(inotify_add_watch(in, "t", IN_MODIFY | IN_ONESHOT)); write(f, "q", 1); write(f, "q", 1); dump("oneshot"); R(inotify_rm_watch(in, 1)); dump("removed");
    R(inotify_add_watch(in, "t", IN_ONLYDIR | IN_OPEN)); R(inotify_add_watch(1, ".", IN_OPEN)); w = inotify_add_watch(in, ".", IN_CREATE); R(inotify_add_watch(in, ".", IN_MASK_CREATE | IN_OPEN)); R(inotify_add_watch(in, ".", IN_MASK_ADD | IN_DELETE)); open("n", O_CREAT, 0600); unlink("n"); R(read(in, q, 9)); int n; R(ioctl(in, FIONREAD, &n)); printf("%d\n", n); dump("added");
    struct pollfd p = {in, POLLIN, 0}; R(poll(&p, 1, 0));
    if (!fork()) { msleep(30); open("m", O_CREAT, 0600); _exit(0); }
    R(poll(&p, 1, 3000)); dump("child"); wait(NULL); (void)g;
    return 0;
}
