/* fcntl(F_SETLEASE).  wsl1: EINVAL; fcntl(F_SETLEASE); LTP fcntl23 */
#include "gap.h"

int main(void)
{
    return told("F_SETLEASE", fcntl(file_with("f", "text"), F_SETLEASE, F_WRLCK));
}
