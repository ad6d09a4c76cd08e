/* lseek(SEEK_HOLE).  wsl1: EINVAL; lseek(SEEK_HOLE); WSL#4796 */
#include "gap.h"

int main(void)
{
    return told("SEEK_HOLE", lseek(file_with("f", "text"), 0, SEEK_HOLE));
}
