/* io_setup: asynchronous I/O of the kernel.  wsl1: ENOSYS; io_setup; WSL#5321 */
#include "gap.h"

int main(void)
{
    unsigned long context = 0;
    return told("io_setup", syscall(SYS_io_setup, 4, &context));
}
