/* listen() again, to change the backlog.  wsl1: EADDRINUSE; listen(again, on AF_UNIX); y10k.hatenablog.jp */
#include "gap.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "s"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&name, sizeof name) || listen(fd, 1))
        return told("listen", -1);
    return told("listen again", listen(fd, 5));
}
