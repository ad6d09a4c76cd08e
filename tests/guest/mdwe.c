/* build: glibc; since: 6.3 */
/* PR_SET_MDWE: memory that may be executed is not written, and what was written is not executed. */
#include "guest.h"
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/shm.h>

enum { SET = 65, GET = 66, PAGE = 4096 };

static void *map(int prot) { return mmap(NULL, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

int main(int argc, char **argv) {
    start();
    (void)argv;
    int fd = open("/proc/self/exe", O_RDONLY);
    CALL(prctl(GET, 0, 0, 0, 0));
    CALL(prctl(SET, 2, 0, 0, 0));
    CALL(prctl(SET, 4, 0, 0, 0));
    CALL(prctl(SET, 1, 1, 0, 0));
    CALL(prctl(SET, 1, 0, 0, 0));
    CALL(prctl(GET, 0, 0, 0, 0));
    CALL(prctl(SET, 3, 0, 0, 0));
    CALL(prctl(SET, 0, 0, 0, 0));
    CALL(prctl(SET, 1, 0, 0, 0));
    SECTION("mmap");
    WORKS(map(7));
    WORKS(map(6));
    WORKS(map(5));
    WORKS(mmap(NULL, PAGE, 7, MAP_PRIVATE, fd, 0));
    WORKS(mmap(NULL, PAGE, 7, MAP_SHARED, fd, 0));
    WORKS(mmap(NULL, PAGE, 5, MAP_PRIVATE, fd, 0));
    SECTION("mprotect");
    char *code = map(5), *data = map(3);
    CALL(mprotect(code, PAGE, 5));
    CALL(mprotect(code, PAGE, 7));
    CALL(mprotect(code, PAGE, 4));
    CALL(mprotect(code, PAGE, 3));
    CALL(mprotect(code, PAGE, 4));
    CALL(mprotect(data, PAGE, 5));
    CALL(mprotect(data, PAGE, 1));
    CALL(mprotect(data, PAGE, 5));
    SECTION("shmat");
    int id = shmget(IPC_PRIVATE, PAGE, 0777);
    WORKS(shmat(id, NULL, SHM_EXEC));
    WORKS(shmat(id, NULL, SHM_EXEC | SHM_RDONLY));
    shmctl(id, IPC_RMID, NULL);
    SECTION("children");
    if (fork() == 0) {
        CALL(prctl(GET, 0, 0, 0, 0));
        WORKS(map(7));
        _exit(0);
    }
    wait(NULL);
    if (argc == 1) {
        execl("/proc/self/exe", "mdwe", "again", NULL);
        perror("execl");
    }
    return 0;
}
