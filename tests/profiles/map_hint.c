/* mmap of a file near an address, at an offset that is no multiple of 64 KiB.
   wsl1: ENOMEM; mmap(a hint, and an offset that is no multiple of 64 KiB); WSL#11119 */
#include "gap.h"
#include <sys/mman.h>

int main(int argc, char **argv)
{
    int fd = open(argv[0], O_RDONLY);
    (void)argc;
    return told("mmap", (long)mmap(argv, 1, PROT_NONE, MAP_PRIVATE, fd, 4096));
}
