/* build: glibc; flags: -pthread */
#include "guest.h"
#include <pthread.h>
#include <sys/prctl.h>

static void info_of(const char *what, int result, siginfo_t *i, pid_t expected) {
    printf("%s: %d pid %d code %d status %d\n", what, result, i->si_pid == expected, i->si_code, i->si_status);
}

static volatile int chld, cont;
static volatile int codes[20];
static void on_chld(int sig, siginfo_t *i, void *c) { codes[chld++ % 20] = i->si_code * 1000 + i->si_status; }
static void on_cont(int sig) { cont++; }

static void stop_and_go(void) {
    SECTION("stop and continue");
    int status;
    siginfo_t i;
    struct sigaction sa = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGCHLD, &sa, NULL);
    int go[2], ready[2];
    char c;
    pipe(go);
    pipe(ready);
    pid_t pid = fork();
    /* It stops itself once the parent has seen that it was continued, which the stop would hide. */
    if (!pid) {
        signal(SIGCONT, on_cont);
        write(ready[1], "x", 1);
        while (!cont) pause_ms(1);
        read(go[0], &c, 1);
        raise(SIGSTOP);
        _exit(cont + 10);
    }
    read(ready[0], &c, 1);
    kill(pid, SIGSTOP);
    CALL(waitpid(pid, &status, WUNTRACED) == pid);
    printf("%x\n", status);
    CALL(waitpid(pid, &status, WUNTRACED | WNOHANG));
    kill(pid, SIGTSTP);
    kill(pid, SIGCONT);
    i.si_pid = 0;
    info_of("continued", waitid(P_PID, pid, &i, WCONTINUED), &i, pid);
    write(go[1], "x", 1);
    i.si_pid = 0;
    info_of("stopped", waitid(P_PID, pid, &i, WSTOPPED | WNOWAIT), &i, pid);
    info_of("stopped again", waitid(P_PID, pid, &i, WSTOPPED), &i, pid);
    i.si_pid = 0;
    info_of("nothing", waitid(P_PID, pid, &i, WSTOPPED | WNOHANG), &i, 0);
    kill(pid, SIGCONT);
    info_of("exited, kept", waitid(P_PID, pid, &i, WEXITED | WNOWAIT), &i, pid);
    info_of("exited", waitid(P_ALL, 0, &i, WEXITED), &i, pid);
    CALL(waitid(P_ALL, 0, &i, WEXITED));
    CALL(waitid(P_ALL, 0, &i, 0));
    CALL(waitpid(-1, &status, 0));
    CALL(waitpid(-1, &status, 0x40));
    /* The last one may have been merged with an earlier one that was still pending. */
    printf("SIGCHLDs at least 2: %d, first %d\n", chld >= 2, codes[0]);
    signal(SIGCHLD, SIG_DFL);
}

static void groups(void) {
    SECTION("groups and sessions");
    int p[2];
    char b;
    pipe(p);
    pid_t pid = fork();
    if (!pid) {
        printf("%d %d\n", getpgrp() == getpgid(getppid()), getsid(0) == getsid(getppid()));
        CALL(setpgid(0, 0));
        printf("own group %d\n", getpgrp() == getpid());
        CALL(setsid());
        CALL(setpgid(0, getppid()));
        pid_t inner = fork();
        if (!inner) {
            CALL(setsid() == getpid());
            CALL(setpgid(0, 0));
            printf("%d %d\n", getpgrp() == getpid(), getsid(0) == getpid());
            _exit(0);
        }
        ended("session leader", inner);
        read(p[0], &b, 1);
        _exit(0);
    }
    write(p[1], "x", 1);
    ended("child", pid);
    CALL(setpgid(999999, 0));
    CALL(setpgid(0, -1));
    CALL(getpgid(999999));
    CALL(getsid(999999));
    pid_t a = fork();
    if (!a) { pause(); _exit(1); }
    pid_t c = fork();
    if (!c) { pause(); _exit(1); }
    CALL(setpgid(a, a));
    CALL(setpgid(c, a));
    CALL(kill(-a, 0));
    CALL(waitpid(-a, NULL, WNOHANG));
    CALL(kill(-a, SIGTERM));
    int status, n = 0;
    while (waitpid(-a, &status, 0) > 0) n += WTERMSIG(status);
    NUMBER(n);
    CALL(kill(-a, 0));
    pid = fork();
    if (!pid) { execl("/bin/true", "true", NULL); _exit(9); }
    pause_ms(150);
    CALL(setpgid(pid, pid) == -1 && (errno == EACCES || errno == ESRCH));
    waitpid(pid, NULL, 0);
}

static void orphans(void) {
    SECTION("orphans and subreaper");
    int p[2];
    pid_t told = 0, self = getpid();
    pipe(p);
    CALL(prctl(PR_SET_CHILD_SUBREAPER, 1));
    pid_t pid = fork();
    if (!pid) {
        if (!fork()) {
            while (getppid() != self) pause_ms(1);
            pid_t me = getpid();
            write(p[1], &me, sizeof me);
            _exit(5);
        }
        _exit(3);
    }
    ended("middle", pid);
    read(p[0], &told, sizeof told);
    ended("adopted", told);
    SECTION("parent death signal");
    pid = fork();
    if (!pid) {
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            write(p[1], "x", 1);
            pause();
        }
        char b;
        read(p[0], &b, 1);
        _exit(0);
    }
    ended("parent", pid);
    int status;
    wait(&status);
    printf("died of %d\n", WTERMSIG(status));
    SECTION("stopped orphaned group");
    pid = fork();
    if (!pid) {
        setsid();
        pid_t leader = fork();
        if (!leader) {
            setpgid(0, 0);
            if (!fork()) {
                signal(SIGHUP, SIG_DFL);
                write(p[1], "s", 1);
                raise(SIGSTOP);
                pause();
            }
            char b;
            read(p[0], &b, 1);
            pause_ms(50);
            _exit(0);
        }
        ended("leader", leader);
        _exit(0);
    }
    ended("session", pid);
    wait(&status);
    printf("the rest got signal %d\n", WTERMSIG(status));
    CALL(prctl(PR_SET_CHILD_SUBREAPER, 0));
    SECTION("ignored children");
    signal(SIGCHLD, SIG_IGN);
    pid = fork();
    if (!pid) _exit(0);
    CALL(waitpid(pid, &status, 0));
    signal(SIGCHLD, SIG_DFL);
    SECTION("tty signals in an orphaned group");
    pid = fork();
    if (!pid) { setsid(); raise(SIGTSTP); raise(SIGTTIN); raise(SIGTTOU); _exit(6); }
    ended("not stopped", pid);
}

static void *thread(void *arg) { pause_ms(20); _exit(44); }

int main(void) {
    start();
    stop_and_go();
    groups();
    orphans();
    SECTION("exit of a group");
    pid_t pid = fork();
    if (!pid) { pthread_t t; pthread_create(&t, NULL, thread, NULL); pause(); _exit(0); }
    ended("by another thread", pid);
    pid = fork();
    if (!pid) { pthread_t t; pthread_create(&t, NULL, thread, NULL); pthread_exit(NULL); }
    ended("leader gone first", pid);
    pid = fork();
    if (!pid) { pthread_t t; pthread_create(&t, NULL, thread, NULL); execl("/bin/sh", "sh", "-c", "sleep 0.05; exit 12", NULL); }
    ended("exec with threads", pid);
    pid = vfork();
    if (!pid) _exit(21);
    ended("vfork", pid);
    struct rusage *none = NULL;
    CALL(syscall(SYS_wait4, -1, NULL, 0, none));
    return 0;
}
