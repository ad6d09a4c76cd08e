/* build: glibc */
/* Owners of a description: the type of nobody, numbers in other roles, owners that died; a socket's ioctl is the same. */
#include "io.h"
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <signal.h>

static pid_t child;
static const char *name(int pid) { return pid == 0 ? "nobody" : pid == getpid() ? "self" : pid == -getpgrp() ? "own group" : pid == child ? "child" : pid == -child ? "child's group" : "?"; }
static void owner(const char *what, int fd)
{
    struct f_owner_ex o = {9, 9}; unsigned u[2] = {7, 7};
    int r = fcntl(fd, F_GETOWN_EX, &o), q = fcntl(fd, 17, u);
    printf("%s: %d type %d %s; %s; uids %d %d %d\n", what, r, o.type, name(o.pid), name(fcntl(fd, F_GETOWN)), q, u[0] == getuid() ? 1 : u[0], u[1] == getuid() ? 1 : u[1]);
}

int main(void)
{
    int p[2], s[2], v; pipe(p); socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    struct f_owner_ex o = {2, 0};
    owner("fresh", p[0]);
    R(fcntl(p[0], F_SETOWN, 0)); owner("nobody", p[0]);
    R(fcntl(p[0], F_SETOWN, getpid())); owner("self", p[0]); owner("other end", p[1]);
    R(fcntl(p[0], F_SETOWN_EX, &o)); owner("no group", p[0]);
    o.type = 0; R(fcntl(p[0], F_SETOWN_EX, &o)); owner("no thread", p[0]);
    o.type = 3; R(fcntl(p[0], F_SETOWN_EX, &o)); o.type = 1; o.pid = -5; R(fcntl(p[0], F_SETOWN_EX, &o));
    R(fcntl(p[0], F_SETOWN, 0x80000000)); R(fcntl(p[0], F_SETOWN, 0x3fffffff));
    child = fork(); if (!child) { pause(); _exit(0); }
    R(fcntl(p[0], F_SETOWN, child)); owner("child", p[0]);
    R(fcntl(p[1], F_SETOWN, -child)); owner("a group that is none", p[1]);
    v = child; R(ioctl(s[0], 0x8902, &v)); owner("by ioctl", s[0]); v = 0x3fffffff; R(ioctl(s[0], 0x8901, &v)); v = 7; R(ioctl(s[0], 0x8904, &v)); printf("%s\n", name(v));
    kill(child, SIGKILL); waitpid(child, NULL, 0); owner("dead", p[0]); v = 7; R(ioctl(s[0], 0x8903, &v)); printf("%s\n", name(v));
    return 0;
}
