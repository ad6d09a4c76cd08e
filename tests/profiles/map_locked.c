/* mmap(MAP_LOCKED).  wsl1: EOPNOTSUPP; mmap(MAP_LOCKED); WSL#4857 */
#include "gap.h"
#include <sys/mman.h>

int main(void)
{
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
    return told("MAP_LOCKED", (long)page);
}
