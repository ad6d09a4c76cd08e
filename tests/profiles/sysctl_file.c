/* /proc/sys/vm/max_map_count: databases read it.  wsl1: ENOENT; /proc/sys/vm/max_map_count; WSL#3126 */
#include "gap.h"

int main(void)
{
    return told("max_map_count", open("/proc/sys/vm/max_map_count", O_RDONLY));
}
