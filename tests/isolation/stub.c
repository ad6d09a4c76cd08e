/* build: glibc; flags: -no-pie -pthread */
/* The stub's SYSCALL instruction is the door that pylx itself uses: guests jump there with guessed keys, from every
 * offset, while pylx makes calls for other threads.  argv[1]: how many guesses. */
#include "hostile.h"
#include <pthread.h>
#include <setjmp.h>

static __thread sigjmp_buf back;
static volatile long caught, answered;

static void on_fault(int sig) { caught++; siglongjmp(back, 1); }

/* Jump to `target` as if to make call rax with these arguments; the key would be in r9 (or r8's upper half, or both). */
static void jump(unsigned long target, long rax, long a, long b, long c, long d, long e, long f) {
    if (sigsetjmp(back, 1)) return;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("mov %[f], %%r15\n mov %[e], %%r14\n mov $1, %%r12d\n mov $0x710000002000, %%rbx\n jmp *%[target]"
                     : "+a"(rax), "+D"(a), "+S"(b), "+d"(c)
                     : "r"(r10), [e] "r"(r8), [f] "r"(r9), [target] "m"(target)
                     : "rcx", "r11", "r12", "r14", "r15", "memory");
}

static unsigned long word(unsigned long *state) {
    *state ^= *state << 13; *state ^= *state >> 7; *state ^= *state << 17;
    return *state;
}

static volatile int stop;

static void *mapper(void *unused) {
    while (!stop) {
        void *p = mmap(NULL, 1 << 16, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p != MAP_FAILED) { *(char *)p = 1; mprotect(p, 4096, 1); munmap(p, 1 << 16); }
    }
    return NULL;
}

static void *guesser(void *seed) {
    unsigned long state = (unsigned long)seed * 0x9E3779B97F4A7C15UL + time(NULL);
    for (int i = 0; i < 100; i++) {
        unsigned long key = word(&state) | 1UL << 31;
        jump(RESERVED + 0x6f, 63, (long)&answer, 0, 0, 0, 0, key);
    }
    return NULL;
}

int main(int argc, char **argv) {
    start();
    int guesses = argc > 1 ? atoi(argv[1]) : 100;
    struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_NODEFER | SA_ONSTACK};
    sigaltstack(&(stack_t){.ss_sp = malloc(65536), .ss_size = 65536}, NULL);
    for (int s = SIGQUIT; s <= SIGTERM; s++) if (s != SIGKILL && s != SIGALRM) sigaction(s, &sa, NULL);
    sigaction(SIGSYS, &sa, NULL);
    sigaction(SIGTRAP, &sa, NULL);
    ATTEMPT("offsets", for (unsigned long at = 0x30; at < 4096; at++) jump(RESERVED + at, 63, (long)&answer, 0, 0, 0, 0, 0);
            printf("offsets: answered by %s\n", who_answered()));
    ATTEMPT("guessed keys", unsigned long state = 88172645463325252UL;
            for (int i = 0; i < guesses; i++) jump(RESERVED + 0x6f, 63, (long)&answer, 0, 0, 0, 0, word(&state));
            printf("guessed keys: answered by %s\n", who_answered()));
    ATTEMPT("mmap over the stub", unsigned long state = 362436069UL; volatile long ok = 0;
            for (int i = 0; i < guesses; i++) jump(RESERVED + 0x6f, 9, RESERVED, 4096, 7, 0x32, word(&state) << 32 | 0xffffffff, 0);
            printf("mmap over the stub: caught %d of %d\n", caught == guesses, 1));
    ATTEMPT("while pylx maps for another thread", pthread_t t[3]; pthread_create(t, NULL, mapper, NULL);
            pthread_create(t + 1, NULL, guesser, (void *)1); pthread_create(t + 2, NULL, guesser, (void *)2);
            pthread_join(t[1], NULL); pthread_join(t[2], NULL); stop = 1; pthread_join(t[0], NULL);
            printf("while pylx maps: answered by %s\n", who_answered()));
    /* With a handler that goes on, a guest can guess as fast as faults come: pylx ends this. */
    ATTEMPT("endless guessing", unsigned long state = 521288629UL; alarm(60);
            for (long i = 0; i < 1000000; i++) jump(RESERVED + 0x6f, 63, (long)&answer, 0, 0, 0, 0, word(&state));
            printf("endless guessing: went on\n"));
    uname(&answer);
    printf("afterwards: answered by %s\n", who_answered());
    return 0;
}
