/* mremap of a file mapping that has to move.  wsl1: EFAULT; mremap(of a file mapping that has to move); WSL#4445 */
#include "gap.h"
#include <sys/mman.h>

int main(void)
{
    int fd = file_with("f", "text");
    char *page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
    if (munmap(page + 4096, 4096)
        || mmap(page + 4096, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        abort();
    return told("mremap", (long)mremap(page, 4096, 8192, MREMAP_MAYMOVE));
}
