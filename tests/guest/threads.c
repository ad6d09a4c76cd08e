/* build: glibc musl; flags: -pthread */
#include "guest.h"
#include <pthread.h>
#include <semaphore.h>

enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_CMP_REQUEUE = 4, FUTEX_WAKE_OP, FUTEX_WAIT_BITSET = 9 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static long counter, spinning;
static __thread int own = 5;
static int queue[10], head, tail, done;
static pthread_key_t key;
static volatile int destroyed;

static void *adder(void *arg) {
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
        __atomic_add_fetch(&spinning, 1, __ATOMIC_SEQ_CST);
    }
    own += (int)(long)arg;
    pthread_barrier_wait(&barrier);
    return (void *)(long)own;
}

static void *consumer(void *arg) {
    long sum = 0;
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (head == tail && !done) pthread_cond_wait(&cond, &mutex);
        if (head == tail) break;
        sum += queue[head++ % 10];
        pthread_cond_broadcast(&cond);
    }
    pthread_mutex_unlock(&mutex);
    return (void *)sum;
}

static void cleanup(void *arg) { *(int *)arg = 1; }
static int cleaned;
static void *sleeper(void *arg) {
    pthread_cleanup_push(cleanup, &cleaned);
    for (;;) pause();
    pthread_cleanup_pop(0);
    return NULL;
}
static void destroy(void *value) { destroyed += *(int *)value; }
static void *with_key(void *arg) { static int v = 3; pthread_setspecific(key, &v); return NULL; }

static int word;
static long futex(int *a, int op, int val, void *timeout, int *b, int val3) {
    return syscall(SYS_futex, a, op, val, timeout, b, val3);
}
static void *waits(void *arg) {
    futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0);
    __atomic_add_fetch(&counter, 1, __ATOMIC_SEQ_CST);
    return NULL;
}
static pthread_mutex_t robust;
static void *dies_with_lock(void *arg) { pthread_mutex_lock(&robust); return NULL; }
static volatile int got_on;
static int main_tid;
static void on_usr1(int sig) { got_on = syscall(SYS_gettid); }
static void *target(void *arg) { while (!got_on) pause_ms(1); return (void *)(long)(got_on == syscall(SYS_gettid)); }
static void *posts(void *arg) { for (int i = 0; i < 5; i++) sem_post(&semaphore); return NULL; }

int main(void) {
    start();
    pthread_t t[8];
    void *result;
    SECTION("mutexes, atomics, thread-local data");
    pthread_barrier_init(&barrier, NULL, 5);
    for (long i = 0; i < 4; i++) pthread_create(&t[i], NULL, adder, (void *)i);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 4; i++) { pthread_join(t[i], &result); printf("thread gave %ld\n", (long)result); }
    NUMBER(counter);
    NUMBER(spinning);
    NUMBER(own);
    SECTION("condition variables");
    for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, consumer, NULL);
    for (int i = 1; i <= 500; i++) {
        pthread_mutex_lock(&mutex);
        while (tail - head == 10) pthread_cond_wait(&cond, &mutex);
        queue[tail++ % 10] = i;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    pthread_mutex_lock(&mutex);
    done = 1;
    pthread_cond_broadcast(&cond);
    pthread_mutex_unlock(&mutex);
    long sum = 0;
    for (int i = 0; i < 3; i++) { pthread_join(t[i], &result); sum += (long)result; }
    NUMBER(sum);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 5000000;
    if (soon.tv_nsec >= 1000000000) soon.tv_nsec -= 1000000000, soon.tv_sec++;
    pthread_mutex_lock(&mutex);
    CALL(pthread_cond_timedwait(&cond, &mutex, &soon));
    pthread_mutex_unlock(&mutex);
    SECTION("cancelling, keys, semaphores");
    pthread_create(&t[0], NULL, sleeper, NULL);
    pause_ms(10);
    CALL(pthread_cancel(t[0]));
    pthread_join(t[0], &result);
    printf("cancelled %d cleaned %d\n", result == PTHREAD_CANCELED, cleaned);
    pthread_key_create(&key, destroy);
    pthread_create(&t[0], NULL, with_key, NULL);
    pthread_join(t[0], NULL);
    NUMBER(destroyed);
    sem_init(&semaphore, 0, 0);
    pthread_create(&t[0], NULL, posts, NULL);
    for (int i = 0; i < 5; i++) sem_wait(&semaphore);
    CALL(sem_trywait(&semaphore));
    pthread_join(t[0], NULL);
    SECTION("robust mutexes");
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attr);
    pthread_create(&t[0], NULL, dies_with_lock, NULL);
    pthread_join(t[0], NULL);
    CALL(pthread_mutex_lock(&robust));
    CALL(pthread_mutex_consistent(&robust));
    CALL(pthread_mutex_unlock(&robust));
    SECTION("raw futexes");
    counter = 0;
    CALL(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
    struct timespec ms = {0, 5000000};
    CALL(futex(&word, FUTEX_WAIT, 0, &ms, NULL, 0));
    CALL(futex(&word, FUTEX_WAKE, 5, NULL, NULL, 0));
    CALL(futex((int *)1, FUTEX_WAKE, 5, NULL, NULL, 0));
    CALL(futex(&word, 77, 0, NULL, NULL, 0));
    CALL(futex(&word, FUTEX_WAIT_BITSET, 0, &ms, NULL, 0));
    for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, waits, NULL);
    pause_ms(50);
    CALL(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
    static int other;
    CALL(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)2, &other, 1));
    CALL(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)2, &other, 0));
    CALL(futex(&other, FUTEX_WAKE, 9, NULL, NULL, 0));
    CALL(futex(&word, FUTEX_WAKE, 9, NULL, NULL, 0));
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    NUMBER(counter);
    CALL(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &other, 1 << 28 | 3 << 12 /* add 3, compare equal 0 */));
    NUMBER(other);
    SECTION("shared between processes");
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = fork();
    if (!pid) { pause_ms(20); *shared = 1; futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0); _exit(0); }
    while (!*shared) futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0);
    ended("waker", pid);
    SECTION("signals to threads");
    signal(SIGUSR1, on_usr1);
    pthread_create(&t[0], NULL, target, NULL);
    pause_ms(10);
    CALL(pthread_kill(t[0], SIGUSR1));
    pthread_join(t[0], &result);
    printf("ran on the target %ld\n", (long)result);
    SECTION("many threads");
    for (int round = 0; round < 5; round++) {
        pthread_t many[20];
        for (int i = 0; i < 20; i++) pthread_create(&many[i], NULL, with_key, NULL);
        for (int i = 0; i < 20; i++) pthread_join(many[i], NULL);
    }
    NUMBER(destroyed);
    pid = fork();
    if (!pid) { pthread_create(&t[0], NULL, adder, (void *)1); pause_ms(5); exit(0); }
    ended("exit while a thread waits", pid);
    return 0;
}
