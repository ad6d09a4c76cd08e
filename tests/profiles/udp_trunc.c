/* recv(MSG_TRUNC): how long a datagram was.  wsl1: EINVAL; recvfrom(MSG_TRUNC); WSL#3871 */
#include "gap.h"
#include <netinet/in.h>
#include <sys/socket.h>

int main(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof name;
    char byte;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&name, length) || getsockname(fd, (struct sockaddr *)&name, &length)
        || sendto(fd, "text", 4, 0, (struct sockaddr *)&name, length) != 4)
        return told("send", -1);
    return told("MSG_TRUNC", recv(fd, &byte, 1, MSG_TRUNC));
}
