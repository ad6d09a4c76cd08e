/* /proc/self/pagemap.  wsl1: ENOENT; pagemap; LTP mmap12 */
#include "gap.h"

int main(void)
{
    return told("pagemap", open("/proc/self/pagemap", O_RDONLY));
}
