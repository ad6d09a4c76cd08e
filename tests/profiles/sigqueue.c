/* rt_sigqueueinfo: a signal with a value.  wsl1: ENOSYS; rt_sigqueueinfo; WSL#1880 */
#include "gap.h"
#include <signal.h>

int main(void)
{
    union sigval value = {.sival_int = 7};
    signal(SIGUSR1, SIG_IGN);
    return told("sigqueue", sigqueue(getpid(), SIGUSR1, value));
}
