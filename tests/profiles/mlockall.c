/* mlockall: what real-time programs and gpg-agent ask for.  wsl1: ENOSYS; mlockall; LTP_Results/16251 */
#include "gap.h"
#include <sys/mman.h>

int main(void)
{
    return told("mlockall", mlockall(MCL_CURRENT));
}
