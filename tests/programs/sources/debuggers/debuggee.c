/* What the debuggers look at: recursion, a structure, a thread, a child that becomes another program, a signal. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct point { int x, y; };
static volatile int total;

static int factorial(int n)
{
    if (n <= 1)
        return 1;
    return n * factorial(n - 1);
}

static void *work(void *arg)
{
    struct point p = {*(int *)arg, 2};
    total += p.x;
    return NULL;
}

static void handler(int number)
{
    total += number;
}

int main(int argc, char **argv)
{
    struct point p = {3, 4};
    int status, number = 40, i;
    pthread_t thread;

    if (argc > 1 && !strcmp(argv[1], "wait")) {
        prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
        printf("waiting\n");
        fflush(stdout);
        for (;;)
            pause();
    }
    if (argc > 1 && !strcmp(argv[1], "crash"))
        *(volatile int *)(long)p.x = 1;
    for (i = 0; i < 5; i++)
        total += factorial(i);
    pthread_create(&thread, NULL, work, &number);
    pthread_join(thread, NULL);
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    if (fork() == 0) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    wait(&status);
    printf("total %d, child %d, point %d\n", total, status, p.x);
    return 7;
}
