/* rename of a directory that is watched.  wsl1: EACCES; rename(a watched directory); WSL#3395 */
#include "gap.h"
#include <sys/inotify.h>
#include <sys/stat.h>

int main(void)
{
    mkdir("d", 0700);
    inotify_add_watch(inotify_init1(0), "d", IN_CREATE);
    return told("rename", rename("d", "e"));
}
