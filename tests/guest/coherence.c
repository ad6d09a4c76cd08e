/* One file by read, write and mappings at the same time: all see the same bytes. */
#include "guest.h"
#include <setjmp.h>
#include <sys/sendfile.h>

static sigjmp_buf back;
static void on_fault(int signal) { siglongjmp(back, signal); }

static void show_bytes(const char *what, const char *bytes, int count) {
    printf("%s: ", what);
    for (int i = 0; i < count; i++) printf(bytes[i] >= 32 && bytes[i] < 127 ? "%c" : "\\%o", bytes[i]);
    printf("\n");
}

static void touch(const char *what, volatile char *at) {
    int signal = sigsetjmp(back, 1);
    if (signal) printf("%s: signal %d\n", what, signal);
    else printf("%s: %d\n", what, *at);
}

int main(void) {
    start();
    signal(SIGBUS, on_fault);
    char buffer[64];
    struct stat st;
    int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644), other = open("file", O_RDWR);
    for (int i = 0; i < 3 * 4096; i++) write(fd, &(char){'a' + i / 4096}, 1);
    SECTION("shared");
    char *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *copy = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, other, 0);
    map[1] = 'M';
    pread(other, buffer, 4, 0);
    show_bytes("pread sees the store", buffer, 4);
    pwrite(other, "WW", 2, 2);
    show_bytes("the mapping sees pwrite", map, 6);
    show_bytes("so does the private one", copy, 6);
    copy[0] = 'P';
    pwrite(other, "VV", 2, 0);
    show_bytes("the private one no more", copy, 6);
    show_bytes("but the shared one", map, 6);
    SECTION("processes");
    pid_t child = fork();
    if (!child) {
        map[4096] = 'C';
        pread(other, buffer, 2, 4096);
        show_bytes("child reads", buffer, 2);
        int mine = open("file", O_WRONLY);
        pwrite(mine, "child", 5, 8192);
        _exit(0);
    }
    ended("child", child);
    show_bytes("parent sees", map + 4096, 2);
    show_bytes("parent sees", map + 8192, 6);
    int out = open("sent", O_RDWR | O_CREAT, 0644);
    map[8192] = 'K';
    off_t at = 8192;
    CALL(sendfile(out, fd, &at, 5));
    pread(out, buffer, 5, 0);
    show_bytes("sent", buffer, 5);
    at = 4096;
    CALL(copy_file_range(fd, &at, out, NULL, 3, 0));
    pread(out, buffer, 8, 0);
    show_bytes("sent", buffer, 8);
    SECTION("length");
    CALL(ftruncate(fd, 4096 + 3));
    touch("in the last page", map + 4096 + 100);
    touch("past the end", map + 8192);
    CALL(ftruncate(other, 3 * 4096));
    touch("again inside", map + 8192);
    show_bytes("the tail is zero", map + 4096, 6);
    map[4096 + 10] = 'T';
    int cut = open("file", O_WRONLY | O_TRUNC);
    touch("cut by O_TRUNC", map);
    CALL(truncate("file", 8192));
    touch("extended by name", map + 4096 + 10);
    show_bytes("all zero", map, 3);
    SECTION("append");
    int append = open("file", O_WRONLY | O_APPEND);
    CALL(pwrite(append, "end", 3, 0));
    show_bytes("appended", map + 8192, 4);
    NUMBER(lseek(append, 0, SEEK_CUR));
    CALL(write(append, "!", 1));
    NUMBER(lseek(append, 0, SEEK_CUR));
    SECTION("another file of the same name");
    munmap(map, 3 * 4096);
    munmap(copy, 3 * 4096);
    close(fd), close(other), close(cut), close(append), close(out);
    for (int round = 0; round < 4; round++) {
        unlink("again");
        fd = open("again", O_RDWR | O_CREAT, 0644);
        snprintf(buffer, sizeof buffer, "round %d", round);
        CALL(pwrite(fd, buffer, 7, 5000));
        map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        show_bytes("hole", map, 3);
        show_bytes("data", map + 5000, 7);
        map[round] = 'x';
        CALL(msync(map, 8192, MS_SYNC));
        munmap(map, 8192);
        pread(fd, buffer, 5, 0);
        show_bytes("left", buffer, 5);
        close(fd);
    }
    SECTION("unlinked while mapped");
    fd = open("gone", O_RDWR | O_CREAT, 0644);
    write(fd, "still here", 10);
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unlink("gone");
    close(fd);
    show_bytes("mapped", map, 10);
    map[0] = 'S';
    show_bytes("mapped", map, 10);
    put_file("gone", "new");
    show_bytes("mapped", map, 10);
    CALL(stat("gone", &st));
    NUMBER(st.st_size);
    return 0;
}
