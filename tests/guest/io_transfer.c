/* build: glibc; flags: -pthread -lrt */
#include "io.h"

int main(void)
{
    char b[100000];
    for (unsigned i = 0; i < sizeof b; i++) b[i] = i * 7;
    int a = open("a", O_RDWR | O_CREAT | O_TRUNC, 0600), c = open("c", O_RDWR | O_CREAT | O_TRUNC, 0600), p[2], q[2];
    write(a, b, sizeof b);
    off_t off = 10; loff_t loff;
    R(sendfile(c, a, &off, 1000)); printf("%ld\n", (long)off); R(lseek(a, 0, SEEK_CUR)); lseek(a, 5, 0); R(sendfile(c, a, NULL, 1 << 20)); R(lseek(a, 0, SEEK_CUR)); R(lseek(c, 0, SEEK_CUR));
    R(sendfile(c, 900, NULL, 1)); R(sendfile(900, a, NULL, 1)); off = -1; R(sendfile(c, a, &off, 1));
    pipe(p); pipe(q);
    R(sendfile(c, p[0], NULL, 10));
    if (!fork()) { close(p[1]); long t = 0, n; static char x[70000]; while ((n = read(p[0], x, sizeof x)) > 0) t += n; printf("child %ld\n", t); fflush(stdout); _exit(0); }
    off = 0; R(sendfile(p[1], a, &off, 100000)); close(p[1]); close(p[0]); wait(NULL);

    pipe(p);
    loff = 100; R(splice(a, &loff, p[1], NULL, 5000, 0)); printf("%ld\n", (long)loff);
    R(tee(p[0], q[1], 3000, 0)); R(tee(p[0], p[1], 1, 0)); R(tee(a, p[1], 1, 0));
    R(splice(p[0], NULL, q[1], NULL, 100, 0)); R(splice(p[0], NULL, p[1], NULL, 100, 0));
    loff = 0; R(splice(p[0], NULL, c, &loff, 10000, 0)); printf("%ld\n", (long)loff);
    R(splice(p[0], NULL, c, NULL, 1, SPLICE_F_NONBLOCK)); R(splice(p[0], &loff, c, NULL, 1, 0)); R(splice(a, NULL, c, NULL, 1, 0)); R(splice(p[0], NULL, c, NULL, 1, 99)); R(splice(a, NULL, p[1], NULL, 0, 0));
    R(read(q[0], b, sizeof b)); printf("%d %d\n", b[0] == (char)(100 * 7), b[3000] == (char)(100 * 7));
    struct iovec v[2] = {{"abc", 3}, {"defg", 4}};
    R(vmsplice(p[1], v, 2, 0)); struct iovec w = {b, 100}; R(vmsplice(p[0], &w, 1, 0)); printf("%.7s\n", b); R(vmsplice(a, v, 1, 0));
    close(p[1]); R(splice(p[0], NULL, c, NULL, 10, 0));

    loff = 0; loff_t to = 50; R(ftruncate(c, 0)); R(copy_file_range(a, &loff, c, &to, 1 << 20, 0)); printf("%ld %ld\n", (long)loff, (long)to);
    struct stat st; fstat(c, &st); printf("%ld\n", (long)st.st_size);
    R(copy_file_range(a, &loff, c, &to, 1, 0)); R(copy_file_range(a, NULL, c, NULL, 1, 7)); R(copy_file_range(p[0], NULL, c, NULL, 1, 0)); loff = 0; to = 10; R(copy_file_range(a, &loff, a, &to, 100, 0));
    int ro = open("c", O_RDONLY), ap = open("c", O_WRONLY | O_APPEND); R(copy_file_range(a, NULL, ro, NULL, 1, 0)); lseek(a, 0, 0); R(copy_file_range(a, NULL, ap, NULL, 1, 0)); R(sendfile(ap, a, NULL, 1)); R(copy_file_range(open(".", O_RDONLY), NULL, c, NULL, 1, 0));

    /* Positions, appending, holes. */
    R(pwrite(c, "xyz", 3, 200000)); fstat(c, &st); printf("%ld\n", (long)st.st_size); R(pread(c, b, 10, 199998)); printf("%d %c\n", b[0], b[2]); R(pread(c, b, 10, 300000)); R(pwrite(c, b, 1, -1));
    R(pwrite(ap, "end", 3, 0)); fstat(c, &st); printf("%ld\n", (long)st.st_size); R(write(ap, "end", 3)); R(lseek(ap, 0, SEEK_CUR));
    struct iovec two[2] = {{"12", 2}, {"345", 3}}; R(pwritev(c, two, 2, 5)); R(pwritev2(c, two, 2, -1, RWF_APPEND)); R(pwritev2(c, two, 2, 0, 0x8000)); R(preadv2(c, &w, 1, 3, 0)); R(preadv2(p[0], &w, 1, 0, 0));
    R(fallocate(c, 0, 300000, 1000)); fstat(c, &st); printf("%ld\n", (long)st.st_size); R(ftruncate(c, 7)); fstat(c, &st); printf("%ld\n", (long)st.st_size); R(truncate("c", 9)); R(truncate("zz", 9)); R(truncate(".", 9)); R(ftruncate(ro, 1));
    R(fsync(c)); R(fdatasync(c)); R(fsync(p[0])); R(syncfs(c)); R(posix_fadvise(c, 0, 0, 9)); R(readahead(c, 0, 1));
    signal(SIGXFSZ, SIG_IGN);
    /* Descriptors. */
    R(dup2(c, 50)); R(dup3(c, 51, O_CLOEXEC)); R(fcntl(51, F_GETFD)); R(fcntl(c, F_DUPFD, 50)); R(fcntl(c, F_DUPFD_CLOEXEC, 60)); R(close_range(50, 55, 4)); R(fcntl(50, F_GETFD)); R(close_range(50, 60, 0)); R(fcntl(60, F_GETFD)); R(fcntl(c, 1027, c)); R(close(50));
    return 0;
}
