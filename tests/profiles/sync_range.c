/* sync_file_range: what stops MongoDB's WiredTiger and borg.  wsl1: ENOSYS; sync_file_range; WSL#645 */
#include "gap.h"

int main(void)
{
    return told("sync_file_range", sync_file_range(file_with("f", "text"), 0, 4, SYNC_FILE_RANGE_WRITE));
}
