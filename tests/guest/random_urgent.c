/* build: glibc; since: 6.17 */
/* Random sends and receives on a pair of AF_UNIX streams, out-of-band bytes, descriptors and peeks among them. */
#include "guest.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int fds[2], urgent_signals;
static uint64_t state;
static char letter;
static unsigned random_(unsigned below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
}

static void on_urgent(int signal) { urgent_signals++; (void)signal; }

static void answer(const char *what, long r) { printf("%s: %ld", what, r < 0 ? -errno : r); }

static void send_(int flags) {
    char data[8], control[CMSG_SPACE(sizeof(int))] = {0};
    int size = random_(4);
    for (int i = 0; i < size; i++) data[i] = letter = letter == 'z' ? 'a' : letter + 1;
    struct iovec part = {data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (random_(5) == 0) {
        message.msg_control = control, message.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
    }
    answer(flags & MSG_OOB ? "send oob" : "send", sendmsg(fds[0], &message, flags | MSG_NOSIGNAL));
    printf(" of %d%s", size, message.msg_control ? " with a descriptor" : "");
}

static void receive(int flags) {
    char data[16] = {0}, control[256];
    int size = random_(6);
    struct iovec part = {data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    long n = recvmsg(fds[1], &message, flags | MSG_DONTWAIT);
    printf("receive %x %d: %ld %.*s", flags, size, n < 0 ? -errno : n, n > 0 ? (int)n : 0, data);
    if (n < 0) return;
    printf(" flags %x", message.msg_flags);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        printf(" control %d", c->cmsg_type);
        if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred *who = (void *)CMSG_DATA(c);
            printf(who->pid == getpid() ? " own" : " %d", who->pid);
            printf(who->uid == getuid() ? " own" : " %d", (int)who->uid);
        }
        if (c->cmsg_type == SCM_RIGHTS)
            for (unsigned i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) close(((int *)CMSG_DATA(c))[i]);
    }
}

static void step(void) {
    int n = -1, on = random_(2);
    switch (random_(16)) {
    case 0: case 1: case 2: send_(0); break;
    case 3: case 4: case 5: send_(MSG_OOB); break;
    case 6: case 7: case 8: receive(0); break;
    case 9: receive(MSG_PEEK); break;
    case 10: receive(MSG_OOB); break;
    case 11: receive(MSG_OOB | MSG_PEEK); break;
    case 12: receive(random_(2) ? MSG_WAITALL : MSG_TRUNC); break;
    case 13:
        if (random_(4)) { answer("mark", ioctl(fds[1], SIOCATMARK, &n)); printf(" %d", n); break; }
        answer("inline", setsockopt(fds[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on)); printf(" %d", on);
        break;
    case 14:
        if (random_(2)) break;
        answer("passcred", setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on)); printf(" %d", on);
        break;
    case 15:
        if (random_(2)) break;
        on = (int)random_(5) - 1;
        answer("peek_off", setsockopt(fds[1], SOL_SOCKET, SO_PEEK_OFF, &on, sizeof on)); printf(" %d", on);
        break;
    }
    struct pollfd p = {fds[1], 0x2fff, 0};
    poll(&p, 1, 0);
    answer(" | FIONREAD", ioctl(fds[1], FIONREAD, &n));
    printf(" %d poll %x signals %d\n", n, p.revents, urgent_signals);
}

int main(int argc, char **argv) {
    setvbuf(stdout, malloc(1 << 20), _IOFBF, 1 << 20);
    signal(SIGURG, on_urgent);
    int first = argc > 1 ? atoi(argv[1]) : 1, last = argc > 2 ? atoi(argv[2]) : 60;
    for (int seed = first; seed <= last; seed++) {
        state = seed;
        letter = 'a' - 1;
        printf("== %d\n", seed);
        socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
        if (seed % 2) fcntl(fds[1], F_SETOWN, getpid());
        for (int i = 0; i < 60; i++) step();
        if (seed % 3 == 0) shutdown(fds[0], SHUT_WR);
        for (int i = 0; i < 8; i++) { receive(i & 1 ? MSG_PEEK : 0); printf("\n"); }
        close(fds[1]);
        int n = 0;
        socklen_t length = sizeof n;
        getsockopt(fds[0], SOL_SOCKET, SO_ERROR, &n, &length);
        printf("closed: %d\n", n);
        close(fds[0]);
    }
    return 0;
}
