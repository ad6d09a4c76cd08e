/* fcntl(F_OFD_SETLK).  wsl1: EINVAL; fcntl(F_OFD_SETLK); LTP fcntl34 */
#include "gap.h"

int main(void)
{
    struct flock lock = {.l_type = F_WRLCK};
    return told("F_OFD_SETLK", fcntl(file_with("f", "text"), F_OFD_SETLK, &lock));
}
