/* ftruncate of a file that is mapped.  wsl1: EINVAL; ftruncate(shorter, while mapped); WSL#902 */
#include "gap.h"
#include <sys/mman.h>

int main(void)
{
    int fd = file_with("f", "some text");
    if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED || ftruncate(fd, 20))
        return told("before", -1);
    return told("ftruncate", ftruncate(fd, 4));
}
