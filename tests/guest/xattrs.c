/* build: glibc musl */
#include "guest.h"
#include <sys/xattr.h>

int main(void) {
    start();
    char b[200];
    put_file("f", "x");
    symlink("f", "l");
    CALL(setxattr("f", "user.one", "value", 5, 0));
    CALL(setxattr("f", "user.one", "other", 5, XATTR_CREATE));
    CALL(setxattr("f", "user.two", "2", 1, XATTR_REPLACE));
    CALL(setxattr("f", "user.two", "", 0, 0));
    CALL(getxattr("f", "user.one", b, sizeof b));
    CALL(getxattr("f", "user.one", b, 2));
    CALL(getxattr("f", "user.one", NULL, 0));
    CALL(getxattr("f", "user.none", b, 10));
    CALL(getxattr("missing", "user.one", b, 10));
    CALL(getxattr("f", "nonsense", b, 10));
    CALL(setxattr("f", "nonsense.x", "1", 1, 0));
    CALL(setxattr("f", "user.", "1", 1, 0));
    CALL(setxattr("f", "user.x", "1", 1, 9));
    CALL(lsetxattr("l", "user.x", "1", 1, 0));
    int fd = open("f", O_RDONLY);
    CALL(fgetxattr(fd, "user.one", b, sizeof b));
    long n = CALL(flistxattr(fd, b, sizeof b));
    int one = 0, two = 0;
    for (char *p = b; p < b + n; p += strlen(p) + 1) one += !strcmp(p, "user.one"), two += !strcmp(p, "user.two");
    printf("%d %d\n", one, two);
    CALL(listxattr("f", b, 3) == -1 && errno == ERANGE);
    CALL(removexattr("f", "user.one"));
    CALL(removexattr("f", "user.one"));
    char *name = malloc(400);
    memset(name, 'n', 399), name[399] = 0, memcpy(name, "user.", 5);
    CALL(setxattr("f", name, "1", 1, 0));
    CALL(setxattr("f", "user.big", name, 100000, 0));
    return 0;
}
