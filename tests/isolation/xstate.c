/* build: glibc; flags: -pthread -mavx2 -mno-vzeroupper */
/* Vector state in signal frames as this processor has it: sizes and places from CPUID leaf 13, registers seen in the
 * frame, changed there, and kept across calls, threads and switches. */
#include "guest.h"
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <ucontext.h>

static unsigned offset[64], size[64], total;
static unsigned long features;
static unsigned char seen[16384];
static int seen_size, changed;

static void handler(int sig, siginfo_t *info, void *context) {
    unsigned char *image = (void *)((ucontext_t *)context)->uc_mcontext.fpregs;
    seen_size = *(unsigned *)(image + 464 + 16);
    if (seen_size > 0 && seen_size < (int)sizeof seen) memcpy(seen, image, seen_size + 4);
    if (changed) {
        if (offset[2]) memset(image + offset[2] + 16, 0xab, 16);      /* upper half of ymm1 */
        if (offset[6]) memset(image + offset[6] + 32, 0xcd, 32);      /* upper half of zmm1 */
        if (offset[7]) memset(image + offset[7], 0xef, 64);           /* zmm16 */
        if (offset[5]) *(unsigned long *)(image + offset[5] + 8) = 0x1234567890abcdef;  /* k1 */
        memset(image + 160 + 16, 0x77, 16);                           /* xmm1 */
        *(unsigned long *)(image + 512) |= features & 0xe7;
    }
    /* The handler's own use of the registers must not matter. */
    __asm__ volatile("vpxor %%ymm1, %%ymm1, %%ymm1\n vpxor %%ymm15, %%ymm15, %%ymm15" : : : "xmm1", "xmm15");
}

static void bytes(const char *what, const unsigned char *p, int n) {
    printf("%s:", what);
    for (int i = 0; i < n; i++) printf(" %02x", p[i]);
    printf("\n");
}

static volatile int errors;

static void *keeper(void *number) {
    long mark = (long)number;
    for (int i = 0; i < 300; i++) {
        __m256i v = _mm256_set1_epi64x(mark * 0x0101010101010101L), w;
        long r;
        __asm__ volatile("vmovdqa %2, %%ymm9\n mov $24, %%eax\n syscall\n vmovdqa %%ymm9, %0"      /* sched_yield */
                         : "=m"(w), "=&a"(r) : "m"(v) : "rcx", "r11", "xmm9", "memory");
        if (memcmp(&v, &w, 32)) errors++;
    }
    return NULL;
}

int main(void) {
    start();
    unsigned a, b, c, d;
    __cpuid_count(13, 0, a, b, c, d);
    features = a | (unsigned long)d << 32;
    total = b;
    printf("XCR0 %lx, size %u\n", features, total);
    for (int i = 2; i < 20; i++) if (features >> i & 1) {
        __cpuid_count(13, i, size[i], offset[i], c, d);
        printf("component %d: %u bytes at %u\n", i, size[i], offset[i]);
    }
    printf("AT_MINSIGSTKSZ %lu\n", getauxval(AT_MINSIGSTKSZ));
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &sa, NULL);
    int with512 = features >> 5 & 1;
    pid_t self = getpid();
    for (changed = 0; changed < 2; changed++) {
        static unsigned char in[64] __attribute__((aligned(64))), out[64] __attribute__((aligned(64))), high[64] __attribute__((aligned(64)));
        unsigned long k = 0;
        for (int i = 0; i < 64; i++) in[i] = 0x40 + i, high[i] = 0x80 + i;
        long r;
        if (with512)
            __asm__ volatile("vmovdqa64 %2, %%zmm1\n vmovdqa64 %3, %%zmm16\n mov $0x55aa, %%rcx\n kmovq %%rcx, %%k1\n"
                             "mov $62, %%eax\n mov %5, %%edi\n mov $10, %%esi\n syscall\n"
                             "vmovdqa64 %%zmm1, %1\n vmovdqa64 %%zmm16, %3\n kmovq %%k1, %4"
                             : "=&a"(r), "=m"(out), "+m"(in), "+m"(high), "=&r"(k) : "r"(self) : "rcx", "r11", "rdi", "rsi", "memory", "xmm1");
        else
            __asm__ volatile("vmovdqa %2, %%ymm1\n mov $62, %%eax\n mov %3, %%edi\n mov $10, %%esi\n syscall\n vmovdqa %%ymm1, %1"
                             : "=&a"(r), "=m"(out) : "m"(in), "r"(self) : "rcx", "r11", "rdi", "rsi", "memory", "xmm1");
        unsigned magic1, magic2, extended;
        memcpy(&magic1, seen + 464, 4);
        memcpy(&extended, seen + 468, 4);
        memcpy(&magic2, seen + seen_size, 4);
        unsigned long mask, present;
        memcpy(&mask, seen + 472, 8);
        memcpy(&present, seen + 512, 8);
        printf("magic %x %x, size %d, extended %u, mask %lx, present %lx\n", magic1, magic2, seen_size, extended, mask, present & 0xe6);
        bytes("xmm1 in the frame", seen + 160 + 16, 16);
        bytes("ymm1 in the frame", seen + offset[2] + 16, 16);
        if (with512) { bytes("zmm1 in the frame", seen + offset[6] + 32, 32); bytes("zmm16 in the frame", seen + offset[7], 64);
                       bytes("k1 in the frame", seen + offset[5] + 8, 8); }
        bytes("afterwards", out, with512 ? 64 : 32);
        if (with512) { bytes("zmm16", high, 64); printf("k1 %lx\n", k); }
    }
    pthread_t t[4];
    for (long i = 0; i < 4; i++) pthread_create(t + i, NULL, keeper, (void *)(i + 1));
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    printf("threads: errors %d\n", errors);
    pid_t p = fork();
    if (!p) { keeper((void *)9); _exit(errors); }
    keeper((void *)10);
    ended("child", p);
    printf("errors %d\n", errors);
    return 0;
}
