/* A thread is on a CPU that it has chosen at once: by the call and by the vDSO. */
#include "guest.h"
#include <sched.h>

int main(void) {
    start();
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all);
    int right = 0, tried = 0;
    for (int round = 0; round < 20; round++)
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, &all)) continue;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof one, &one);
            unsigned direct = -1, node, called = -1;
            getcpu(&direct, &node);
            syscall(SYS_getcpu, &called, NULL, NULL);
            tried++;
            right += direct == (unsigned)cpu && called == (unsigned)cpu;
        }
    printf("%s\n", right == tried ? "always" : "not always");
    return 0;
}
