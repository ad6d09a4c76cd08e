/* build: glibc musl */
/* As root: who may do what.  As another user the refusals are compared. */
#include "guest.h"
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

#define CHILD(name, ...) do { fflush(stdout); pid_t pid_ = fork(); if (!pid_) { __VA_ARGS__; _exit(0); } ended(name, pid_); } while (0)
static void ids(void) {
    uid_t r, e, s; gid_t gr, ge, gs;
    getresuid(&r, &e, &s), getresgid(&gr, &ge, &gs);
    printf("uid %d %d %d gid %d %d %d\n", r, e, s, gr, ge, gs);
}
static void caps(void) {
    struct { uint32_t version; int pid; } h = {0x20080522, 0};
    struct { uint32_t e, p, i; } d[2] = {0};
    long r = syscall(SYS_capget, &h, d);
    printf("caps %ld effective %d permitted %d\n", r, d[0].e != 0, d[0].p != 0);
}

int main(void) {
    start();
    struct stat st;
    mkdir("open", 0777), chmod("open", 0777);
    put_file("private", "secret"), chmod("private", 0600);
    put_file("group", "g"), chmod("group", 0640);
    CALL(chown("group", -1, 500));
    put_file("everyone", "e"), chmod("everyone", 0644);
    mkdir("closed", 0700);
    put_file("closed/inside", "x");
    chmod(".", 0755);
    SECTION("changing ids");
    ids(), caps();
    CHILD("setuid", CALL(setuid(1000)); ids(); caps(); CALL(setuid(0)); CALL(seteuid(0)); CALL(setgid(0)); CALL(setgid(5)));
    CHILD("seteuid", CALL(seteuid(1000)); ids(); caps(); CALL(setuid(2000)); CALL(seteuid(0)); ids(); caps());
    CHILD("setresuid", CALL(setresuid(1, 2, 3)); ids(); CALL(setresuid(-1, 3, -1)); CALL(setresuid(4, -1, -1)); ids());
    CHILD("setreuid", CALL(setreuid(1000, 0)); ids(); CALL(setreuid(0, 1000)); ids());
    CHILD("setgid", CALL(setgid(7)); ids(); CALL(setegid(8)); ids(); CALL(setresgid(1, 2, 3)); ids());
    CHILD("groups", gid_t g[3] = {10, 500, 20}; CALL(setgroups(3, g)); gid_t got[5]; CALL(getgroups(5, got));
          printf("%d %d %d\n", got[0], got[1], got[2]); CALL(getgroups(1, got)); setuid(1000); CALL(setgroups(0, NULL));
          CALL(open("group", O_RDONLY) >= 0); CALL(open("group", O_WRONLY)));
    CHILD("keepcaps", prctl(PR_SET_KEEPCAPS, 1); setuid(1000); caps());
    CHILD("fsuid", CALL(setfsuid(1000)); CALL(open("private", O_RDONLY)); CALL(setfsuid(0)); CALL(open("private", O_RDONLY) >= 0));
    SECTION("files as another user");
    CHILD("user", setgid(1000); setgroups(0, NULL); setuid(1000);
          CALL(open("private", O_RDONLY)); CALL(open("everyone", O_RDONLY) >= 0); CALL(open("everyone", O_RDWR));
          CALL(open("closed/inside", O_RDONLY)); CALL(chdir("closed")); CALL(open("new", O_CREAT | O_WRONLY, 0644));
          CALL(open("open/mine", O_CREAT | O_WRONLY, 0666) >= 0); stat("open/mine", &st); printf("%d %d %o\n", st.st_uid, st.st_gid, st.st_mode);
          CALL(chmod("everyone", 0777)); CALL(chown("everyone", 1000, -1)); CALL(chown("open/mine", 1000, 1000)); CALL(chown("open/mine", 0, -1));
          CALL(unlink("everyone")); CALL(mkdir("newdir", 0755)); CALL(rename("everyone", "open/x")); CALL(link("private", "open/p"));
          CALL(access("private", R_OK)); CALL(access("everyone", R_OK)); CALL(access("everyone", W_OK)); CALL(truncate("everyone", 0));
          CALL(utimensat(AT_FDCWD, "everyone", NULL, 0)); CALL(execl("everyone", "x", NULL)); CALL(mknod("open/dev", S_IFCHR | 0600, 0x103));
          CALL(chroot("open")));
    CHILD("sticky", chmod("open", 01777); put_file("open/roots", "r"); setuid(1000); CALL(unlink("open/roots")); CALL(unlink("open/mine")));
    CHILD("setgid bits", put_file("bits", "x"); chmod("bits", 06777); setuid(1000); int fd = open("bits", O_WRONLY);
          CALL(write(fd, "y", 1)); stat("bits", &st); printf("%o\n", st.st_mode));
    CHILD("chown drops bits", put_file("bits2", "x"); chmod("bits2", 06755); CALL(chown("bits2", 5, 5)); stat("bits2", &st); printf("%o %d\n", st.st_mode, st.st_uid));
    CHILD("real ids", seteuid(1000); CALL(access("private", R_OK)); CALL(faccessat(AT_FDCWD, "private", R_OK, AT_EACCESS)));
    SECTION("signals between users");
    pid_t other = fork();
    if (!other) { setuid(2000); pause_ms(5000); _exit(0); }
    pause_ms(30);
    CHILD("user", setuid(1000); CALL(kill(other, 0)); CALL(kill(getppid(), 0)); CALL(kill(other, SIGTERM)));
    kill(other, SIGKILL), waitpid(other, NULL, 0);
    SECTION("prctl");
    char name[17] = {0};
    CALL(prctl(PR_SET_NAME, "a-rather-long-name-here"));
    CALL(prctl(PR_GET_NAME, name));
    TEXT(name);
    CALL(prctl(PR_GET_DUMPABLE));
    CHILD("dumpable", setuid(1000); CALL(prctl(PR_GET_DUMPABLE)));
    CALL(prctl(PR_SET_DUMPABLE, 5));
    CALL(prctl(PR_GET_KEEPCAPS));
    CHILD("no new privs", CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); CALL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)); CALL(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)));
    CALL(prctl(PR_CAPBSET_READ, 0));
    CALL(prctl(PR_CAPBSET_READ, 77));
    CALL(prctl(12345));
    CALL(chroot("missing"));
    CHILD("chroot", CALL(chroot("open")); CALL(chdir("/")); CALL(open("/mine", O_RDONLY)); CALL(open("/../../private", O_RDONLY)); CALL(stat("/etc", &st)));
    return 0;
}
