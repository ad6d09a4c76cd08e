/* open(O_TMPFILE), of a tmpfs, as some host file systems have none.  wsl1: EOPNOTSUPP; openat(O_TMPFILE); LTP open14 */
#include "gap.h"

int main(void)
{
    return told("O_TMPFILE", open("/dev/shm", O_TMPFILE | O_RDWR, 0600));
}
