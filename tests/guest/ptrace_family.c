/* build: glibc; flags: -pthread */
/* Threads as tracees, a tracer that is not the parent, and tracers that end. */
#include "guest.h"
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#define ptrace(r, p, a, d) syscall(SYS_ptrace, (long)(r), (long)(p), (long)(a), (long)(d))

static int wait_any(pid_t p) {
    int status = 0;
    pid_t got = waitpid(p, &status, __WALL);
    printf("wait: %s %06x\n", got == p ? "it" : got > 0 ? "another" : "none", status);
    return status;
}

static void *thread(void *argument) {
    if (argument) execl("/bin/true", "true", (char *)0);
    return NULL;
}

static void threads(int executes) {
    SECTION(executes ? "exec by a thread" : "threads");
    pid_t p = fork(), child = 0;
    if (!p) {
        pthread_t id;
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        pthread_create(&id, NULL, thread, executes ? &id : NULL);
        if (executes) for (;;) pause();
        pthread_join(id, NULL);
        _exit(4);
    }
    wait_any(p);
    CALL(ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT));
    ptrace(PTRACE_CONT, p, 0, 0);
    wait_any(p);
    unsigned long message = 0;
    ptrace(PTRACE_GETEVENTMSG, p, 0, &message);
    child = message;
    wait_any(child);
    ptrace(PTRACE_CONT, p, 0, 0);
    ptrace(PTRACE_CONT, child, 0, 0);
    if (executes) {
        wait_any(p);  /* the exit of the leader, and then the exec under its number */
        ptrace(PTRACE_CONT, p, 0, 0);
        wait_any(p);
        ptrace(PTRACE_GETEVENTMSG, p, 0, &message);
        printf("was the thread %d\n", message == (unsigned long)child);
        ptrace(PTRACE_CONT, p, 0, 0);
        wait_any(p);
        ptrace(PTRACE_CONT, p, 0, 0);
        wait_any(p);
        return;
    }
    wait_any(child);
    ptrace(PTRACE_CONT, child, 0, 0);
    /* With which status is a race with the leader's exit_group. */
    CALL(waitpid(child, NULL, __WALL) == child);
    wait_any(p);
    ptrace(PTRACE_CONT, p, 0, 0);
    wait_any(p);
}

static void strangers(void) {
    SECTION("a tracer that is not the parent");
    pid_t p = fork();
    if (!p) for (;;) pause();
    fflush(stdout);
    pid_t tracer = fork();
    if (!tracer) {
        CALL(ptrace(PTRACE_ATTACH, p, 0, 0));
        wait_any(p);
        CALL(ptrace(PTRACE_CONT, p, 0, 0));
        kill(p, SIGTERM);
        wait_any(p);
        CALL(ptrace(PTRACE_CONT, p, 0, SIGTERM));
        pause_ms(100);
        siginfo_t info;
        CALL(waitid(P_PID, p, &info, WEXITED | WNOWAIT));
        wait_any(p);
        fflush(stdout);
        _exit(0);
    }
    pause_ms(60);
    wait_any(tracer);
    wait_any(p);
    SECTION("a tracer that ends");
    for (int kills = 0; kills < 2; kills++) {
        p = fork();
        if (!p) for (;;) pause();
        tracer = fork();
        if (!tracer) {
            ptrace(PTRACE_SEIZE, p, 0, kills ? PTRACE_O_EXITKILL : 0);
            _exit(0);
        }
        wait_any(tracer);
        pause_ms(30);
        printf("alive %d\n", waitpid(p, NULL, WNOHANG) == 0);
        kill(p, SIGINT);
        if (!kills) wait_any(p);
    }
    SECTION("permission");
    p = fork();
    if (!p) for (;;) pause();
    tracer = fork();
    if (!tracer) {
        char mine[8], byte = 0;
        struct iovec here = {mine, 8}, there = {&byte, 1};
        if (setresgid(1234, 1234, 1234) || setresuid(1234, 1234, 1234)) _exit(9);
        CALL(ptrace(PTRACE_ATTACH, p, 0, 0));
        CALL(ptrace(PTRACE_SEIZE, p, 0, 0));
        CALL(process_vm_readv(p, &here, 1, &there, 1, 0));
        fflush(stdout);
        _exit(0);
    }
    wait_any(tracer);
    kill(p, SIGKILL);
    wait_any(p);
}

static void stops(void) {
    SECTION("group stop of a tracee");
    pid_t p = fork();
    if (!p) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        _exit(8);
    }
    wait_any(p);
    CALL(ptrace(PTRACE_CONT, p, 0, SIGSTOP));
    wait_any(p);
    siginfo_t info;
    CALL(ptrace(PTRACE_GETSIGINFO, p, 0, &info));
    CALL(ptrace(PTRACE_DETACH, p, 0, 0));
    int status = 0;
    pause_ms(30);
    printf("stopped %d\n", waitpid(p, &status, WUNTRACED | WNOHANG) == p);
    printf("%06x\n", status);
    kill(p, SIGCONT);
    wait_any(p);
    SECTION("memory file");
    p = fork();
    static long word = 1;
    if (!p) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        _exit(word);
    }
    wait_any(p);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", p);
    int fd = open(path, O_RDWR);
    long value = 42;
    CALL(pwrite(fd, &value, 8, (off_t)(uintptr_t)&word));
    close(fd);
    ptrace(PTRACE_CONT, p, 0, 0);
    wait_any(p);
}

int main(void) {
    start();
    threads(0);
    threads(1);
    strangers();
    stops();
    return 0;
}
