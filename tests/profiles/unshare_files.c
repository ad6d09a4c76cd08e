/* unshare(CLONE_FILES).  wsl1: EINVAL; unshare(CLONE_FILES); LTP unshare01 */
#include "gap.h"
#include <sched.h>

int main(void)
{
    return told("unshare", unshare(CLONE_FILES));
}
