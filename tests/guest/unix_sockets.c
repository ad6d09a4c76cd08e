/* build: glibc musl */
#include "guest.h"
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static socklen_t name(struct sockaddr_un *a, const char *path) {
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    if (path[0] == '@') {
        strcpy(a->sun_path + 1, path + 1);
        return offsetof(struct sockaddr_un, sun_path) + strlen(path);
    }
    strcpy(a->sun_path, path);
    return offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
}

static int bind_(int fd, const char *path) {
    struct sockaddr_un a;
    socklen_t length = name(&a, path);
    return bind(fd, (struct sockaddr *)&a, length);
}

static int connect_(int fd, const char *path) {
    struct sockaddr_un a;
    socklen_t length = name(&a, path);
    return connect(fd, (struct sockaddr *)&a, length);
}

static void bits(const char *what, int fd) {
    struct pollfd p = {fd, 0x2fff, 0};
    poll(&p, 1, 0);
    printf("%s polls %x\n", what, p.revents);
}

static ssize_t send_fds(int s, const char *text, int *fds, int count, struct ucred *cred) {
    char control[500] = {0};
    struct iovec iov = {(void *)text, strlen(text)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
    size_t used = 0;
    if (count) {
        struct cmsghdr *c = (struct cmsghdr *)control;
        c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(4 * count);
        memcpy(CMSG_DATA(c), fds, 4 * count);
        used += CMSG_SPACE(4 * count);
    }
    if (cred) {
        struct cmsghdr *c = (struct cmsghdr *)(control + used);
        c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_CREDENTIALS, c->cmsg_len = CMSG_LEN(sizeof *cred);
        memcpy(CMSG_DATA(c), cred, sizeof *cred);
        used += CMSG_SPACE(sizeof *cred);
    }
    m.msg_controllen = used;
    return sendmsg(s, &m, 0);
}

static int recv_fds(int s, size_t room, size_t control_room, int flags) {
    char text[200] = {0}, control[500];
    int first = -1;
    struct iovec iov = {text, room};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = control_room};
    ssize_t n = recvmsg(s, &m, flags);
    if (n < 0) { printf("recvmsg errno %d\n", errno); return -1; }
    printf("got %zd '%s' flags %x control %d:", n, text, m.msg_flags & ~MSG_CMSG_CLOEXEC, (int)m.msg_controllen);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_type == SCM_RIGHTS) {
            int count = (c->cmsg_len - CMSG_LEN(0)) / 4;
            int *fds = (int *)CMSG_DATA(c);
            printf(" rights %d", count);
            for (int i = 0; i < count; i++) {
                printf(" cloexec %d", fcntl(fds[i], F_GETFD));
                if (i) close(fds[i]); else first = fds[0];
            }
        } else if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred *u = (struct ucred *)CMSG_DATA(c);
            printf(" credentials own pid %d uid %d", u->pid == getpid(), (int)u->uid);
        }
    }
    printf("\n");
    return first;
}

static void stream(void) {
    int s[2], size;
    char b[100] = {0};
    SECTION("stream pair");
    CALL(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    CALL(write(s[0], "hello", 5));
    CALL(send(s[0], " world", 6, 0));
    CALL(recv(s[1], b, 3, MSG_PEEK));
    CALL(ioctl(s[1], FIONREAD, &size));
    NUMBER(size);
    CALL(recv(s[1], b, 100, 0));
    TEXT(b);
    CALL(recv(s[1], b, 100, MSG_DONTWAIT));
    bits("idle", s[0]);
    CALL(shutdown(s[0], SHUT_WR));
    CALL(read(s[1], b, 100));
    CALL(send(s[0], "x", 1, MSG_NOSIGNAL));
    bits("shut", s[0]);
    bits("peer", s[1]);
    CALL(write(s[1], "back", 4));
    close(s[1]);
    CALL(read(s[0], b, 100));
    CALL(read(s[0], b, 100));
    bits("closed", s[0]);
    close(s[0]);
    SECTION("reset");
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    write(s[0], "unread", 6);
    close(s[1]);
    CALL(read(s[0], b, 1));
    CALL(read(s[0], b, 1));
    CALL(send(s[0], "x", 1, MSG_NOSIGNAL));
    SECTION("how much fits");
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
    char *big = calloc(1, 300000);
    long total = 0, n;
    while ((n = write(s[0], big, 1000)) > 0) total += n;
    printf("%ld then errno %d\n", total, errno);
    bits("full", s[0]);
    while ((n = read(s[1], big, 300000)) > 0) total -= n;
    printf("%ld left\n", total);
    CALL(write(s[0], big, 300000));
    bits("full", s[0]);
    SECTION("waiting for everything");
    if (fork() == 0) {
        close(s[1]);
        fcntl(s[0], F_SETFL, 0);
        for (int i = 0; i < 300; i++) write(s[0], big, 1000);
        _exit(0);
    }
    close(s[0]);
    fcntl(s[1], F_SETFL, 0);
    size = 0;
    while ((n = read(s[1], big, 300000)) > 0) size += n;
    printf("%d\n", size > 300000);
    wait(NULL);
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    if (fork() == 0) {
        for (int i = 0; i < 5; i++) write(s[0], "ab", 2), pause_ms(5);
        _exit(0);
    }
    CALL(recv(s[1], b, 10, MSG_WAITALL));
    wait(NULL);
    struct timeval tv = {0, 30000};
    CALL(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    CALL(read(s[1], b, 1));
    SECTION("many at once");
    signal(SIGPIPE, SIG_IGN);
    struct mmsghdr v[3] = {0};
    struct iovec io[3] = {{"a", 1}, {"bc", 2}, {"def", 3}};
    for (int i = 0; i < 3; i++) v[i].msg_hdr.msg_iov = &io[i], v[i].msg_hdr.msg_iovlen = 1;
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    CALL(sendmmsg(s[0], v, 3, 0));
    char r[3][10] = {0};
    for (int i = 0; i < 3; i++) io[i] = (struct iovec){r[i], 10};
    CALL(recvmmsg(s[1], v, 3, MSG_DONTWAIT, NULL));
    printf("%s %s %s %u\n", r[0], r[1], r[2], v[2].msg_len);
    CALL(recvmmsg(s[1], v, 3, MSG_DONTWAIT, NULL));
}

static void names(void) {
    struct sockaddr_un a;
    struct stat st;
    socklen_t length = sizeof a;
    SECTION("names");
    int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    CALL(connect_(c, "sock"));
    CALL(listen(s, 1));
    CALL(bind_(s, "nowhere/sock"));
    CALL(bind_(s, "sock"));
    CALL(bind_(s, "sock2"));
    CALL(stat("sock", &st));
    printf("%o\n", st.st_mode);
    CALL(connect_(c, "sock"));
    CALL(listen(s, 1));
    CALL(connect_(c, "sock"));
    CALL(connect_(c, "sock"));
    int again = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CALL(bind_(again, "sock"));
    CALL(connect_(again, "sock"));
    int more = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CALL(connect_(more, "sock"));
    CALL(open("sock", O_RDWR));
    memset(&a, 0, sizeof a);
    int got = WORKS(accept4(s, (struct sockaddr *)&a, &length, SOCK_CLOEXEC | SOCK_NONBLOCK));
    printf("peer name length %d, flags %d %d\n", (int)length, fcntl(got, F_GETFD), fcntl(got, F_GETFL) & O_NONBLOCK);
    length = sizeof a;
    CALL(getsockname(got, (struct sockaddr *)&a, &length));
    printf("%s %d\n", a.sun_path, (int)length);
    length = sizeof a;
    CALL(getpeername(c, (struct sockaddr *)&a, &length));
    printf("%s %d\n", a.sun_path, (int)length);
    CALL(connect_(more, "sock"));
    struct ucred u;
    length = sizeof u;
    CALL(getsockopt(got, SOL_SOCKET, SO_PEERCRED, &u, &length));
    printf("%d %d\n", u.pid == getpid(), u.uid == getuid());
    CALL(unlink("sock"));
    CALL(connect_(more, "sock"));
    close(s);
    bits("connected, never accepted", again);
    SECTION("abstract");
    s = socket(AF_UNIX, SOCK_DGRAM, 0);
    char unique[50];
    sprintf(unique, "@guest-%d", getpid());
    CALL(bind_(s, unique));
    c = socket(AF_UNIX, SOCK_DGRAM, 0);
    CALL(bind_(c, unique));
    CALL(connect_(c, unique));
    CALL(send(c, "one", 3, 0));
    CALL(send(c, "", 0, 0));
    char b[10] = {0};
    length = sizeof a;
    CALL(recvfrom(s, b, 10, 0, (struct sockaddr *)&a, &length));
    NUMBER(length);
    CALL(recv(s, b, 10, 0));
    int n = 0;
    fcntl(c, F_SETFL, O_NONBLOCK);
    while (send(c, "x", 1, 0) == 1) n++;
    printf("queue of %d, errno %d\n", n, errno);
    bits("full", c);
    recv(s, b, 1, 0);
    bits("room", c);
    CALL(connect_(more, unique));
    close(s);
    CALL(send(c, "x", 1, 0));
    CALL(send(c, "x", 1, 0));
    CALL(bind(c, &(struct sockaddr){AF_UNIX}, 2));
    length = sizeof a;
    CALL(getsockname(c, (struct sockaddr *)&a, &length));
    NUMBER(length);
}

static void rights(void) {
    int s[2], p[2], on = 1;
    SECTION("rights");
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    pipe(p);
    CALL(send_fds(s[0], "two", p, 2, NULL));
    close(p[1]);
    CALL(write(s[0], "after", 5));
    int got = recv_fds(s[1], 100, 200, MSG_CMSG_CLOEXEC);
    recv_fds(s[1], 100, 200, 0);
    put_file("passed", "content of a passed file");
    int f = open("passed", O_RDONLY);
    send_fds(s[0], "f", &f, 1, NULL);
    close(f);
    if (fork() == 0) {
        char b[100] = {0};
        int g = recv_fds(s[1], 100, 200, 0);
        printf("child reads %zd '%s'\n", read(g, b, 7), b);
        _exit(0);
    }
    wait(NULL);
    int five[5] = {0, 0, 1, 1, 2};
    send_fds(s[0], "cut", five, 5, NULL);
    recv_fds(s[1], 100, CMSG_LEN(8), 0);
    send_fds(s[0], "none", five, 1, NULL);
    recv_fds(s[1], 100, 0, 0);
    send_fds(s[0], "peeked", five, 1, NULL);
    recv_fds(s[1], 100, 100, MSG_PEEK);
    recv_fds(s[1], 2, 100, 0);
    recv_fds(s[1], 100, 100, 0);
    CALL(send_fds(s[0], "x", (int[]){99}, 1, NULL));
    SECTION("a pipe end in flight keeps the pipe");
    pipe(p);
    send_fds(s[0], "w", &p[1], 1, NULL);
    close(p[1]);
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    char b;
    CALL(read(p[0], &b, 1));
    close(s[0]), close(s[1]);
    CALL(read(p[0], &b, 1));
    SECTION("cycle");
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    CALL(send_fds(s[0], "me", &s[0], 1, NULL));
    CALL(send_fds(s[0], "you", &s[1], 1, NULL));
    close(s[0]), close(s[1]);
    SECTION("credentials");
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    struct ucred u = {getpid(), getuid(), getgid()};
    CALL(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    CALL(send_fds(s[0], "explicit", NULL, 0, &u));
    CALL(write(s[0], "implicit", 8));
    recv_fds(s[1], 100, 100, 0);
    if (fork() == 0) { write(s[0], "child", 5); _exit(0); }
    wait(NULL);
    recv_fds(s[1], 100, 100, 0);
    if (fork() == 0) {
        setuid(1000);
        CALL(send_fds(s[0], "fake", NULL, 0, &u));
        _exit(0);
    }
    wait(NULL);
}

static void seqpacket(void) {
    int s[2];
    char b[10] = {0};
    SECTION("seqpacket");
    CALL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
    CALL(write(s[0], "abcdef", 6));
    CALL(write(s[0], "gh", 2));
    CALL(recv(s[1], b, 3, MSG_TRUNC));
    recv_fds(s[1], 1, 0, 0);
    close(s[0]);
    CALL(read(s[1], b, 10));
    signal(SIGPIPE, SIG_DFL);
    CALL(write(s[1], "x", 1));
    bits("closed", s[1]);
    CALL(socketpair(AF_UNIX, 9, 0, s));
    CALL(socketpair(AF_INET, SOCK_STREAM, 0, s));
    CALL(socket(AF_UNIX, SOCK_STREAM, 77));
    CALL(socket(AF_UNIX, SOCK_STREAM | 0x100, 0));
    CALL(send(1000, "", 0, 0));
    CALL(send(0, "", 0, 0));
}

int main(void) {
    start();
    stream();
    names();
    rights();
    seqpacket();
    int s[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    close(s[1]);
    pid_t pid = fork();
    if (!pid) { write(s[0], "x", 1); _exit(0); }
    ended("writer without SIGPIPE handler", pid);
    return 0;
}
