/* mmap of a file that is to grow later: LMDB does that.  wsl1: ENOEXEC; mmap(of an empty file); WSL#3451 */
#include "gap.h"
#include <sys/mman.h>

int main(void)
{
    int fd = file_with("f", "");
    char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    int bad = told("mmap", (long)page);
    if (!bad && (ftruncate(fd, 4096) || page[0]))
        abort();
    return bad;
}
