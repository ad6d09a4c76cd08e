/* build: glibc musl */
#include "guest.h"
#include <setjmp.h>
#include <ucontext.h>

static volatile int count, order[50], where;
static volatile siginfo_t last;

static void note(int sig, siginfo_t *info, void *context) {
    (void)context;
    last = *info;
    order[where++ % 50] = sig;
    count++;
}

static void plain(int sig) { order[where++ % 50] = sig; count++; }

static void install(int sig, void (*f)(int, siginfo_t *, void *), int flags) {
    struct sigaction sa = {.sa_sigaction = f, .sa_flags = SA_SIGINFO | flags};
    if (sigaction(sig, &sa, NULL)) printf("sigaction %d: errno %d\n", sig, errno);
}

static void told(const char *what) {
    printf("%s: %d signals, last signo %d code %d", what, count, last.si_signo, last.si_code);
    if (last.si_code == SI_QUEUE) printf(" value %d", last.si_value.sival_int);
    if (last.si_code == SI_USER || last.si_code == SI_TKILL || last.si_code == SI_QUEUE)
        printf(" from self %d uid %d", last.si_pid == getpid(), (int)last.si_uid);
    printf("\n");
    count = 0;
}

static sigjmp_buf back;
static char *alternate;
static void on_alternate(int sig, siginfo_t *info, void *context) {
    char here;
    ucontext_t *uc = context;
    stack_t now;
    sigaltstack(NULL, &now);
    printf("on the alternate stack %d, flags %d, saved flags %d\n", &here > alternate && &here < alternate + 65536,
           now.ss_flags, uc->uc_stack.ss_flags);
}
static void jump(int sig) { siglongjmp(back, 1); }

static int depth;
static void nested(int sig, siginfo_t *info, void *context) {
    printf("in %d\n", sig);
    if (sig == SIGUSR1) {
        raise(SIGUSR2);
        if (++depth % 2) raise(SIGUSR1);
        sigset_t pending;
        sigpending(&pending);
        printf("pending while blocked: USR1 %d USR2 %d\n", sigismember(&pending, SIGUSR1),
               sigismember(&pending, SIGUSR2));
    }
    printf("out %d\n", sig);
}

static void change(int sig, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    uc->uc_mcontext.gregs[REG_RBX] = 4711;
    sigaddset(&uc->uc_sigmask, SIGUSR2);
}

int main(void) {
    start();
    sigset_t set, old, pending;
    struct sigaction sa;
    siginfo_t info;
    int p[2];
    char b[10];
    SECTION("sources");
    install(SIGUSR1, note, 0);
    CALL(kill(getpid(), SIGUSR1)); told("kill");
    CALL(raise(SIGUSR1)); told("raise");
    CALL(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1)); told("tgkill");
    CALL(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 77})); told("sigqueue");
    CALL(kill(getpid(), 0));
    CALL(kill(getpid(), 65));
    CALL(kill(999999, SIGUSR1));
    CALL(syscall(SYS_tgkill, getpid(), 999999, SIGUSR1));
    SECTION("blocking");
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN), sigaddset(&set, SIGRTMIN + 1);
    CALL(sigprocmask(SIG_BLOCK, &set, &old));
    for (int i = 0; i < 3; i++) kill(getpid(), SIGUSR1);
    for (int i = 0; i < 3; i++) {
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i});
        sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 10 + i});
    }
    sigpending(&pending);
    printf("pending %d %d %d\n", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGRTMIN),
           sigismember(&pending, SIGUSR2));
    struct timespec zero = {0, 0}, little = {0, 10000000};
    for (int i = 0; i < 8; i++) {
        int got = sigtimedwait(&set, &info, &zero);
        if (got < 0) printf("nothing, errno %d\n", errno);
        else printf("took %d value %d code %d\n", got == SIGUSR1 ? 10 : got - SIGRTMIN + 100,
                    info.si_code == SI_QUEUE ? info.si_value.sival_int : -1, info.si_code);
    }
    CALL(sigtimedwait(&set, &info, &little));
    install(SIGRTMIN, note, 0), install(SIGRTMIN + 1, note, 0);
    where = 0;
    for (int i = 0; i < 2; i++)
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}), sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
    kill(getpid(), SIGUSR1);
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("order:");
    for (int i = 0; i < where; i++) printf(" %d", order[i] == SIGUSR1 ? 10 : order[i] - SIGRTMIN + 100);
    printf("\n");
    count = 0;
    SECTION("sigsuspend and pause");
    sigemptyset(&set), sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGUSR1);
    sigemptyset(&old);
    CALL(sigsuspend(&old)); told("sigsuspend");
    sigprocmask(SIG_BLOCK, NULL, &pending);
    printf("blocked again %d\n", sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    install(SIGALRM, note, 0);
    struct itimerval it = {{0, 0}, {0, 10000}};
    setitimer(ITIMER_REAL, &it, NULL);
    CALL(pause()); told("pause");
    SECTION("restarting");
    pipe(p);
    setitimer(ITIMER_REAL, &it, NULL);
    CALL(read(p[0], b, 1)); told("without SA_RESTART");
    install(SIGALRM, note, SA_RESTART);
    if (!fork()) { pause_ms(40); write(p[1], "x", 1); _exit(0); }
    setitimer(ITIMER_REAL, &it, NULL);
    CALL(read(p[0], b, 1)); told("with SA_RESTART");
    wait(NULL);
    setitimer(ITIMER_REAL, &it, NULL);
    struct timespec t = {0, 40000000}, left = {9, 9};
    CALL(nanosleep(&t, &left));
    printf("some left %d\n", left.tv_sec == 0 && left.tv_nsec > 0 && left.tv_nsec < 40000000);
    SECTION("nesting, masks and SA_NODEFER");
    install(SIGUSR1, nested, 0), install(SIGUSR2, nested, 0);
    raise(SIGUSR1);
    sa = (struct sigaction){.sa_sigaction = nested, .sa_flags = SA_SIGINFO};
    sigaddset(&sa.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    install(SIGUSR1, note, SA_RESETHAND);
    raise(SIGUSR1); told("once");
    sigaction(SIGUSR1, NULL, &sa);
    printf("default again %d\n", sa.sa_handler == SIG_DFL);
    SECTION("alternate stack");
    alternate = malloc(65536);
    stack_t stack = {.ss_sp = alternate, .ss_size = 65536}, was;
    CALL(sigaltstack(&stack, &was));
    NUMBER(was.ss_flags);
    install(SIGUSR1, on_alternate, SA_ONSTACK);
    raise(SIGUSR1);
    stack.ss_size = 100;
    CALL(sigaltstack(&stack, NULL));
    stack.ss_flags = 0x1234;
    CALL(sigaltstack(&stack, NULL));
    signal(SIGUSR1, jump);
    if (!sigsetjmp(back, 1)) raise(SIGUSR1);
    else printf("jumped out\n");
    sigprocmask(SIG_BLOCK, NULL, &set);
    printf("mask is back %d\n", !sigismember(&set, SIGUSR1));
    SECTION("the frame can be changed");
    install(SIGUSR1, change, 0);
    long rbx;
    int tid = syscall(SYS_gettid), pid = getpid();
    __asm__ volatile("mov $1, %%rbx\n syscall\n mov %%rbx, %0"
                     : "=r"(rbx) : "a"(SYS_tgkill), "D"(pid), "S"(tid), "d"(SIGUSR1) : "rbx", "rcx", "r11", "memory");
    NUMBER(rbx);
    sigprocmask(SIG_BLOCK, NULL, &set);
    printf("USR2 blocked by it %d\n", sigismember(&set, SIGUSR2));
    SECTION("refusals");
    CALL(sigaction(SIGKILL, &sa, NULL));
    CALL(sigaction(SIGSTOP, NULL, &sa));
    CALL(sigaction(0, &sa, NULL));
    CALL(sigprocmask(77, &set, NULL));
    CALL(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4));
    info = (siginfo_t){.si_signo = SIGUSR1, .si_code = SI_USER};
    CALL(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info));
    SECTION("ignored and default");
    signal(SIGUSR1, SIG_IGN);
    CALL(raise(SIGUSR1));
    CALL(raise(SIGURG));
    CALL(raise(SIGCONT));
    int deaths[] = {SIGTERM, SIGHUP, SIGABRT, SIGPIPE, SIGUSR2, SIGALRM, SIGVTALRM, SIGSYS};
    for (unsigned i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            signal(deaths[i], SIG_DFL);
            sigemptyset(&set);
            sigprocmask(SIG_SETMASK, &set, NULL);
            raise(deaths[i]);
            _exit(1);
        }
        int status;
        waitpid(child, &status, 0);
        printf("%d: signal %d\n", deaths[i], WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    }
    SECTION("floating point survives a handler");
    install(SIGUSR1, note, 0);
    double x = 1.5;
    for (int i = 0; i < 100; i++) { x = x * 1.01; if (i % 10 == 0) raise(SIGUSR1); }
    printf("%.17g\n", x);
    fflush(stdout);
    raise(SIGKILL);
    return 0;
}
