/* ptrace(PTRACE_SEIZE): what strace tries first.  wsl1: EINVAL; ptrace(PTRACE_SEIZE); WSL#3031 */
#include "gap.h"
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int main(void)
{
    pid_t child = fork();
    if (!child)
        for (;;)
            pause();
    int bad = told("PTRACE_SEIZE", ptrace(PTRACE_SEIZE, child, 0, 0));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return bad;
}
