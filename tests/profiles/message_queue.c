/* msgget: System V message queues.  wsl1: ENOSYS; msgget; WSL#1443 */
#include "gap.h"
#include <sys/msg.h>

int main(void)
{
    int queue = msgget(IPC_PRIVATE, 0600);
    int bad = told("msgget", queue);
    if (!bad)
        msgctl(queue, IPC_RMID, NULL);
    return bad;
}
