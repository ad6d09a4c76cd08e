/* build: glibc */
/* Random calls on a handful of AF_UNIX sockets: what each answers, and what poll says of all of them. */
#include "guest.h"
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { SOCKETS = 7, NAMES = 3 };
static int fds[SOCKETS];
static uint64_t state;
static unsigned random_(unsigned below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

static socklen_t name(struct sockaddr_un *a, int which) {
    memset(a, 0, sizeof *a);
    a->sun_family = AF_UNIX;
    sprintf(a->sun_path, "name-%d", which);
    return offsetof(struct sockaddr_un, sun_path) + strlen(a->sun_path) + 1;
}

static void answer(const char *what, int s, long r) { printf("%s %d: %ld", what, s, r < 0 ? -errno : r); }

static void step(void) {
    struct sockaddr_un a;
    socklen_t length;
    static char data[70000];
    int s = random_(SOCKETS), fd = fds[s], other = random_(SOCKETS), n, kinds[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    int pair[2], size = random_(8) ? random_(40) : random_(60000);
    length = name(&a, random_(NAMES));
    switch (random_(20)) {
    case 0:
        if (fd >= 0) close(fd);
        fds[s] = socket(AF_UNIX, kinds[random_(3)] | SOCK_NONBLOCK, 0);
        printf("socket %d", s);
        break;
    case 1:
        if (s == other || random_(2)) break;
        socketpair(AF_UNIX, kinds[random_(3)] | SOCK_NONBLOCK, 0, pair);
        if (fd >= 0) close(fd);
        if (fds[other] >= 0) close(fds[other]);
        fds[s] = pair[0], fds[other] = pair[1];
        printf("pair %d %d", s, other);
        break;
    case 2: answer("close", s, close(fd)); fds[s] = -1; break;
    case 3: answer("bind", s, bind(fd, (void *)&a, length)); break;
    case 4: answer("unlink", 0, unlink(a.sun_path)); break;
    case 5: answer("listen", s, listen(fd, random_(3))); break;
    case 6: case 7: answer("connect", s, connect(fd, (void *)&a, length)); break;
    case 8: case 9:
        n = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
        answer("accept", s, n < 0 ? n : 0);
        if (n >= 0) { if (fds[other] >= 0) close(fds[other]); fds[other] = n; printf(" as %d", other); }
        break;
    case 10: case 11: memset(data, 'a' + size % 26, size); answer("send", s, send(fd, data, size, MSG_NOSIGNAL)); break;
    case 12: answer("sendto", s, sendto(fd, data, size, MSG_NOSIGNAL, (void *)&a, length)); break;
    case 13: case 14: case 15:
        n = recv(fd, data, size, random_(4) ? 0 : MSG_PEEK | MSG_TRUNC);
        answer("recv", s, n);
        if (n > 0 && size) printf(" %c", data[0]);
        break;
    case 16: if (random_(3)) break; answer("shutdown", s, shutdown(fd, random_(3))); break;
    case 17: n = -1; answer("FIONREAD", s, ioctl(fd, FIONREAD, &n)); printf(" %d", n); break;
    case 18:
        length = sizeof a;
        if (random_(2)) answer("getsockname", s, getsockname(fd, (void *)&a, &length));
        else answer("getpeername", s, getpeername(fd, (void *)&a, &length));
        printf(" %d", length);
        break;
    case 19:
        n = 0, length = sizeof n;
        if (random_(2)) { getsockopt(fd, SOL_SOCKET, SO_ERROR, &n, &length); printf("error %d: %d", s, n); }
        else { n = random_(30000); answer("sndbuf", s, setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof n)); }
        break;
    }
    printf(" |");
    for (int i = 0; i < SOCKETS; i++) {
        struct pollfd p = {fds[i], 0x2fff, 0};
        poll(&p, 1, 0);
        printf(" %x", p.revents);
    }
    printf("\n");
}

int main(int argc, char **argv) {
    setvbuf(stdout, malloc(1 << 20), _IOFBF, 1 << 20);
    int first = argc > 1 ? atoi(argv[1]) : 1, last = argc > 2 ? atoi(argv[2]) : 40;
    for (int seed = first; seed <= last; seed++) {
        state = seed;
        printf("== %d\n", seed);
        for (int i = 0; i < SOCKETS; i++) fds[i] = -1;
        for (int i = 0; i < 150; i++) step();
        for (int i = 0; i < SOCKETS; i++) if (fds[i] >= 0) close(fds[i]);
        for (int i = 0; i < NAMES; i++) { struct sockaddr_un a; name(&a, i); unlink(a.sun_path); }
    }
    return 0;
}
