/* mmap(MAP_FIXED_NOREPLACE): newer than the 4.4 that WSL 1 claimed, where it would be ignored.
   wsl1: EOPNOTSUPP; mmap(MAP_FIXED_NOREPLACE); WSL#10102 */
#include "gap.h"
#include <sys/mman.h>

int main(void)
{
    void *page = mmap((void *)0x200000000, 4096, PROT_READ,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return told("MAP_FIXED_NOREPLACE", (long)page);
}
