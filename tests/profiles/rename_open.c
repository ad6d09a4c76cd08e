/* rename of a directory with an open file in it: npm, go and editors do that.
   wsl1: EACCES; rename(a directory with open files below); WSL#1420 */
#include "gap.h"
#include <sys/stat.h>

int main(void)
{
    mkdir("d", 0700);
    int fd = file_with("d/f", "text");
    if (rename("d/f", "d/g"))
        return told("a file", -1);
    int bad = told("rename", rename("d", "e"));
    close(fd);
    return bad;
}
