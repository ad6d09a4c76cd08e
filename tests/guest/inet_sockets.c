/* build: glibc musl; flags: -pthread */
#include "guest.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int port_of(int fd) {
    struct sockaddr_in a;
    socklen_t length = sizeof a;
    getsockname(fd, (struct sockaddr *)&a, &length);
    return ntohs(a.sin_port);
}

static int bits(int fd, int wanted, int ms) {
    struct pollfd p = {fd, wanted, 0};
    poll(&p, 1, ms);
    return p.revents;
}

static int option(int fd, int level, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) ? -errno : value;
}

static void *echo(void *arg) {
    int server = *(int *)arg;
    char b[65536];
    int c = accept(server, NULL, NULL);
    ssize_t n;
    while ((n = read(c, b, sizeof b)) > 0)
        for (ssize_t done = 0; done < n;) done += write(c, b + done, n - done);
    close(c);
    return NULL;
}

static void tcp(void) {
    struct sockaddr_in a = loopback(0);
    socklen_t length = sizeof a;
    char b[100] = {0};
    SECTION("tcp");
    int s = WORKS(socket(AF_INET, SOCK_STREAM, 0)), c = socket(AF_INET, SOCK_STREAM, 0);
    printf("fresh polls %x\n", bits(s, 0x2fff, 0));
    CALL(accept(s, NULL, NULL));
    CALL(listen(s, 5));
    close(s);
    s = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    CALL(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    CALL(bind(s, (struct sockaddr *)&a, sizeof a));
    CALL(bind(s, (struct sockaddr *)&a, sizeof a));
    CALL(bind(c, (struct sockaddr *)&a, 3));
    CALL(listen(s, 5));
    printf("listening polls %x, accepting %d\n", bits(s, 0x2fff, 0), option(s, SOL_SOCKET, SO_ACCEPTCONN));
    a = loopback(port_of(s));
    CALL(getpeername(c, (struct sockaddr *)&a, &length));
    CALL(send(c, "x", 1, MSG_NOSIGNAL));
    CALL(recv(c, b, 1, 0));
    CALL(connect(c, (struct sockaddr *)&a, sizeof a));
    CALL(connect(c, (struct sockaddr *)&a, sizeof a));
    int p = WORKS(accept4(s, (struct sockaddr *)&a, &length, SOCK_CLOEXEC));
    printf("peer is the client: %d, cloexec %d\n", ntohs(a.sin_port) == port_of(c), fcntl(p, F_GETFD));
    CALL(send(c, "hello", 5, 0));
    printf("readable %x\n", bits(p, POLLIN, 1000));
    CALL(recv(p, b, 3, MSG_PEEK));
    int size;
    CALL(ioctl(p, FIONREAD, &size));
    NUMBER(size);
    CALL(recv(p, b, 100, 0));
    CALL(recv(p, b, 100, MSG_DONTWAIT));
    printf("connected polls %x\n", bits(p, 0x2fff, 0));
    CALL(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    CALL(option(c, IPPROTO_TCP, TCP_NODELAY));
    CALL(option(c, SOL_SOCKET, SO_TYPE));
    CALL(option(c, SOL_SOCKET, SO_PROTOCOL));
    CALL(option(c, SOL_SOCKET, SO_DOMAIN));
    CALL(option(c, SOL_SOCKET, SO_ERROR));
    CALL(option(c, SOL_SOCKET, SO_KEEPALIVE));
    CALL(option(c, SOL_SOCKET, 12345));
    CALL(option(c, 12345, 1));
    struct timeval tv = {0, 20000};
    CALL(setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    CALL(recv(c, b, 1, 0));
    CALL(shutdown(c, SHUT_WR));
    printf("end %x\n", bits(p, POLLIN | POLLRDHUP, 1000));
    CALL(read(p, b, 10));
    CALL(send(c, "x", 1, MSG_NOSIGNAL));
    CALL(write(p, "bye", 3));
    close(p);
    printf("data and end %x\n", bits(c, POLLIN, 1000));
    CALL(read(c, b, 10));
    CALL(read(c, b, 10));
    CALL(shutdown(c, 9));
    close(c);
    SECTION("refused");
    c = socket(AF_INET, SOCK_STREAM, 0);
    int closed = socket(AF_INET, SOCK_STREAM, 0);
    a = loopback(0);
    bind(closed, (struct sockaddr *)&a, sizeof a);
    a = loopback(port_of(closed));
    CALL(connect(c, (struct sockaddr *)&a, sizeof a));
    close(c);
    c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int r = connect(c, (struct sockaddr *)&a, sizeof a);
    printf("%d\n", r == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED));
    if (errno == EINPROGRESS) {
        printf("failed %x\n", bits(c, POLLOUT, 1000) & POLLERR);
        CALL(option(c, SOL_SOCKET, SO_ERROR));
    }
    SECTION("echo of a megabyte");
    pthread_t thread;
    pthread_create(&thread, NULL, echo, &s);
    c = socket(AF_INET, SOCK_STREAM, 0);
    a = loopback(port_of(s));
    CALL(connect(c, (struct sockaddr *)&a, sizeof a));
    unsigned sum = 0, back = 0;
    char *block = malloc(65536);
    long total = 0;
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 65536; j++) sum += (unsigned char)(block[j] = i * j + j / 7);
        CALL(write(c, block, 65536));
        CALL(recv(c, block, 65536, MSG_WAITALL));
        for (int j = 0; j < 65536; j++) back += (unsigned char)block[j];
    }
    printf("same %d\n", sum == back);
    shutdown(c, SHUT_WR);
    CALL(read(c, block, 1));
    pthread_join(thread, NULL);
    close(c);
    close(s);
}

static void udp(void) {
    struct sockaddr_in a = loopback(0), from;
    socklen_t length = sizeof from;
    char b[100] = {0};
    SECTION("udp");
    int s = WORKS(socket(AF_INET, SOCK_DGRAM, 0)), c = socket(AF_INET, SOCK_DGRAM, 0);
    printf("fresh polls %x\n", bits(c, 0x2fff, 0));
    CALL(bind(s, (struct sockaddr *)&a, sizeof a));
    a = loopback(port_of(s));
    CALL(send(c, "x", 1, 0));
    CALL(sendto(c, "datagram", 8, 0, (struct sockaddr *)&a, sizeof a));
    CALL(sendto(c, "", 0, 0, (struct sockaddr *)&a, sizeof a));
    CALL(sendto(c, "another", 7, 0, (struct sockaddr *)&a, sizeof a));
    printf("readable %x\n", bits(s, POLLIN, 1000));
    CALL(recvfrom(s, b, 4, MSG_TRUNC, (struct sockaddr *)&from, &length));
    printf("from the client: %d, %.4s\n", ntohs(from.sin_port) == port_of(c), b);
    CALL(recv(s, b, 10, 0));
    struct iovec iov = {b, 3};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    CALL(recvmsg(s, &m, 0));
    printf("flags %x\n", m.msg_flags);
    CALL(recv(s, b, 10, MSG_DONTWAIT));
    CALL(connect(c, (struct sockaddr *)&a, sizeof a));
    CALL(send(c, "y", 1, 0));
    CALL(sendto(s, "answer", 6, 0, (struct sockaddr *)&from, sizeof from));
    CALL(recv(c, b, 10, 0));
    CALL(listen(c, 1));
    CALL(accept(c, NULL, NULL));
    char *big = calloc(1, 70000);
    CALL(send(c, big, 70000, 0));
    close(s);
    CALL(send(c, "into the void", 13, 0));
    printf("error %x\n", bits(c, POLLIN, 500) & POLLERR);
    CALL(recv(c, b, 1, MSG_DONTWAIT));
    CALL(recv(c, b, 1, MSG_DONTWAIT));
}

static void ipv6(void) {
    SECTION("ipv6");
    int s = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT}, peer;
    socklen_t length = sizeof a;
    CALL(option(s, IPPROTO_IPV6, IPV6_V6ONLY));
    CALL(bind(s, (struct sockaddr *)&a, sizeof a));
    listen(s, 1);
    getsockname(s, (struct sockaddr *)&a, &length);
    int c = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in four = loopback(ntohs(a.sin6_port));
    CALL(connect(c, (struct sockaddr *)&four, sizeof four));
    length = sizeof peer;
    int p = WORKS(accept(s, (struct sockaddr *)&peer, &length));
    char text[100];
    TEXT(inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof text));
    CALL(write(p, "mapped", 6));
    CALL(recv(c, text, 6, MSG_WAITALL));
}

static void interfaces(void) {
    SECTION("interfaces");
    struct ifaddrs *list, *i;
    int lo4 = 0, lo6 = 0;
    CALL(getifaddrs(&list));
    for (i = list; i; i = i->ifa_next) {
        if (strcmp(i->ifa_name, "lo") || !i->ifa_addr) continue;
        if (i->ifa_addr->sa_family == AF_INET) lo4++;
        if (i->ifa_addr->sa_family == AF_INET6) lo6++;
    }
    printf("lo: %d and %d\n", lo4, lo6);
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq r = {0};
    strcpy(r.ifr_name, "lo");
    CALL(ioctl(s, SIOCGIFADDR, &r));
    TEXT(inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
    CALL(ioctl(s, SIOCGIFFLAGS, &r));
    printf("%x\n", r.ifr_flags);
    CALL(ioctl(s, SIOCGIFMTU, &r));
    NUMBER(r.ifr_mtu);
    CALL(ioctl(s, SIOCGIFNETMASK, &r));
    CALL(ioctl(s, SIOCGIFINDEX, &r));
    CALL(if_nametoindex("lo"));
    strcpy(r.ifr_name, "nope");
    CALL(ioctl(s, SIOCGIFINDEX, &r));
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found;
    CALL(getaddrinfo("127.0.0.1", "80", &hints, &found));
    SECTION("what there is not");
    CALL(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    CALL(socket(AF_INET, SOCK_SEQPACKET, 0));
    CALL(socket(AF_INET, 77, 0));
    CALL(socket(77, SOCK_STREAM, 0));
    CALL(socket(AF_NETLINK, SOCK_RAW, 30));
}

int main(void) {
    start();
    signal(SIGPIPE, SIG_IGN);
    tcp();
    udp();
    ipv6();
    interfaces();
    return 0;
}
