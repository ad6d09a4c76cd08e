/* mmap(MAP_GROWSDOWN): a stack that grows.  wsl1: EOPNOTSUPP; mmap(MAP_GROWSDOWN); WSL#8095 */
#include "gap.h"
#include <sys/mman.h>

int main(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
    return told("MAP_GROWSDOWN", (long)page);
}
