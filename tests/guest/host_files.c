/* build: glibc */
/* What only hosts with these features can do: unnamed files, holes. */
#include "guest.h"
#include <sys/ioctl.h>

int main(void) {
    start();
    struct stat st;
    char buffer[300];
    put_file("f", "text that is long enough for a hole");
    SECTION("O_TMPFILE");
    int t = WORKS(open(".", O_TMPFILE | O_RDWR, 0640));
    CALL(write(t, "temporary", 9));
    CALL(fstat(t, &st));
    NUMBER(st.st_nlink);
    snprintf(buffer, sizeof buffer, "/proc/self/fd/%d", t);
    CALL(linkat(AT_FDCWD, buffer, AT_FDCWD, "kept", AT_SYMLINK_FOLLOW));
    CALL(open("f", O_TMPFILE | O_RDWR, 0640));
    SECTION("exchange");
    put_file("r1", "1"), put_file("r2", "22");
    CALL(syscall(SYS_renameat2, AT_FDCWD, "r1", AT_FDCWD, "r2", RENAME_EXCHANGE));
    stat("r1", &st);
    NUMBER(st.st_size);
    SECTION("fallocate");
    int f = open("f", O_RDWR);
    CALL(fallocate(f, FALLOC_FL_KEEP_SIZE, 0, 400));
    CALL(fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4));
    CALL(fallocate(f, FALLOC_FL_PUNCH_HOLE, 0, 4));
    CALL(pread(f, buffer, 8, 0));
    printf("%d %c\n", buffer[0], buffer[5]);
    CALL(fallocate(f, FALLOC_FL_ZERO_RANGE, 2, 4));
    fstat(f, &st);
    NUMBER(st.st_size);
    SECTION("attributes");
    unsigned bits = 0;
    put_file("attributes", "x");
    int fd_ = open("attributes", O_RDWR);
    CALL(ioctl(fd_, 0x80086601, &bits));
    bits |= 0x40;
    CALL(ioctl(fd_, 0x40086602, &bits));
    bits = 0;
    CALL(ioctl(fd_, 0x80086601, &bits));
    printf("%x\n", bits & 0x70);
    CALL(ioctl(fd_, 0x80086601, NULL));
    fflush(stdout);
    pid_t user = fork();
    if (!user) { setuid(1000); bits |= 0x10; CALL(ioctl(fd_, 0x40086602, &bits)); fflush(stdout); _exit(0); }
    ended("user", user);
    return 0;
}
