/* memfd_create: an anonymous file.  wsl1: ENOSYS; memfd_create; WSL#3542 */
#include "gap.h"
#include <sys/mman.h>

int main(void)
{
    return told("memfd_create", memfd_create("x", 0));
}
