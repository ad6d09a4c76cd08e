/* mincore: which pages are in memory.  wsl1: ENOSYS; mincore; BoxFort PR 38 */
#include "gap.h"
#include <sys/mman.h>

int main(void)
{
    unsigned char pages[1];
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return told("mincore", mincore(page, 4096, pages));
}
