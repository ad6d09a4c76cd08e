/* build: glibc; flags: -no-pie */
/* A restartable sequence that claims to be in pylx's stub: were a thread to stand there with the key of the stub when the
 * host looks, it would go on at our abort address, with the key in its registers. */
#include "hostile.h"
#include <sys/rseq.h>

unsigned long keys[4];
char reply[400];
extern char after_abort[];
void abort_handler(void);
__asm__(".pushsection .text\n"
        ".long 0x53053053\n"
        "abort_handler:\n"
        "mov %r9, keys(%rip)\n mov %r15, keys+8(%rip)\n mov %r14, keys+16(%rip)\n"
        "mov $63, %eax\n lea reply(%rip), %rdi\n mov $1, %r12d\n mov $0x710000000000, %rbx\n mov $0x71000000006f, %rcx\n jmp *%rcx\n"
        ".popsection");

static struct { unsigned version, flags; unsigned long start, length, abort; } __attribute__((aligned(32))) critical =
    {0, 0, 0x710000000030, 0x100, (unsigned long)abort_handler};

static struct rseq *area(void) { return (void *)((char *)__builtin_thread_pointer() + __rseq_offset); }

int main(void) {
    start();
    printf("registered: %d\n", __rseq_size > 0);
    ATTEMPT("unregister", area()->rseq_cs = (unsigned long)&critical;
            long r = syscall(SYS_rseq, area(), 32, 1, 0x53053053);
            printf("unregister: %s, key %s\n", r ? "refused" : "done", keys[0] ? "KNOWN" : "unknown"));
    ATTEMPT("exec", area()->rseq_cs = (unsigned long)&critical; execl("/bin/true", "true", NULL));
    ATTEMPT("fork", area()->rseq_cs = (unsigned long)&critical; pid_t p = fork();
            if (!p) { area()->rseq_cs = (unsigned long)&critical; _exit(keys[0] != 0); } ended("child", p));
    printf("key %s\n", keys[0] ? "KNOWN" : "unknown");
    return 0;
}
