/* setsockopt(IP_BIND_ADDRESS_NO_PORT).
   wsl1: ENOPROTOOPT; setsockopt(IP_BIND_ADDRESS_NO_PORT); cloudflare/pingora#574 */
#include "gap.h"
#include <netinet/in.h>
#include <sys/socket.h>

int main(void)
{
    int yes = 1;
    return told("IP_BIND_ADDRESS_NO_PORT", setsockopt(socket(AF_INET, SOCK_STREAM, 0), IPPROTO_IP, 24, &yes, sizeof yes));
}
