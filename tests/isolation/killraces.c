/* build: glibc; flags: -pthread */
/* SIGKILL in the middle of fork, exec, clone, mmap and exit; exec by a thread that does not lead; chains of vfork.
 * argv[1]: rounds. */
#include "guest.h"
#include <pthread.h>
#include <sched.h>

static unsigned state = 12345;
static unsigned number(unsigned below) { state = state * 1103515245 + 12345; return (state >> 8) % below; }

static void *thread(void *unused) { volatile int x = 0; for (int i = 0; i < 1000; i++) x += i; return NULL; }
static void *spin(void *unused) { for (;;) getppid(); }

static void forks(void) { for (;;) { pid_t p = fork(); if (!p) _exit(0); if (p > 0) waitpid(p, NULL, 0); } }
static void execs(void) {
    extern char **environ;
    char *argv[] = {"killraces", "again", NULL};
    for (;;) execve("/proc/self/exe", argv, environ);
}
static void clones(void) { for (;;) { pthread_t t; if (!pthread_create(&t, NULL, thread, NULL)) pthread_join(t, NULL); } }
static void maps(void) {
    for (;;) {
        char *p = mmap(NULL, 1 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p != MAP_FAILED) { p[4096] = 1; mprotect(p, 4096, 1); munmap(p, 1 << 20); }
    }
}
static void vforks(void) { for (;;) { pid_t p = vfork(); if (!p) { execl("/bin/true", "true", NULL); _exit(1); } if (p > 0) waitpid(p, NULL, 0); } }
static void crowd(void) { for (int i = 0; i < 6; i++) { pthread_t t; pthread_create(&t, NULL, spin, NULL); } for (;;) { pid_t p = fork(); if (!p) pause(); pause_ms(1); if (p > 0) kill(p, SIGKILL), waitpid(p, NULL, 0); } }

static void *exec_from_thread(void *unused) {
    execl("/bin/sh", "sh", "-c", "exit 9", NULL);
    return NULL;
}

static pid_t chain(int depth) {
    pid_t p = vfork();
    if (!p) {
        if (depth) { pid_t below = chain(depth - 1); int status; waitpid(below, &status, 0); _exit(WEXITSTATUS(status) + 1); }
        execl("/bin/sh", "sh", "-c", "exit 3", NULL);
        _exit(100);
    }
    return p;
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "again")) { execs(); }
    start();
    alarm(200);
    int rounds = atoi(argv[1]);
    void (*what[])(void) = {forks, execs, clones, maps, vforks, crowd};
    int killed[6] = {0};
    for (int i = 0; i < rounds; i++) {
        int w = i % 6;
        pid_t p = fork();
        if (!p) { setpgid(0, 0); what[w](); _exit(99); }
        setpgid(p, p);
        if (i % 3) usleep(number(4000));
        kill(i & 1 ? p : -p, SIGKILL);
        int status;
        if (waitpid(p, &status, 0) != p) { printf("lost: errno %d\n", errno); return 1; }
        killed[w] += status == SIGKILL;
        kill(-p, SIGKILL);
    }
    for (int w = 0; w < 6; w++) printf("%d: all killed %d\n", w, killed[w] == (rounds + 5 - w) / 6);
    printf("nobody left: %d\n", waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    SECTION("exec by a thread");
    for (int i = 0; i < rounds / 20; i++) {
        pid_t p = fork();
        if (!p) {
            pthread_t t[4];
            for (int k = 0; k < 3; k++) pthread_create(t + k, NULL, spin, NULL);
            pthread_create(t + 3, NULL, exec_from_thread, NULL);
            for (;;) pause();
        }
        int status;
        waitpid(p, &status, 0);
        if (status != 9 << 8) printf("exec by a thread: %x\n", status);
    }
    SECTION("two threads exec at once");
    for (int i = 0; i < rounds / 20; i++) {
        pid_t p = fork();
        if (!p) {
            pthread_t t[4];
            for (int k = 0; k < 4; k++) pthread_create(t + k, NULL, exec_from_thread, NULL);
            for (;;) pause();
        }
        int status;
        waitpid(p, &status, 0);
        if (status != 9 << 8) printf("two execs: %x\n", status);
    }
    SECTION("vfork");
    int status;
    waitpid(chain(8), &status, 0);
    printf("chain of 8: %d\n", WEXITSTATUS(status));
    return 0;
}
