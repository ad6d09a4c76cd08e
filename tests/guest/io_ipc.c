/* build: static; flags: -pthread -lrt */
#include "io.h"
#include <mqueue.h>
#include <sys/msg.h>
#include <sys/sem.h>

union semun { int val; unsigned short *array; struct semid_ds *buf; };
static void on(int s) { (void)s; }

int main(void)
{
    int status, s = semget(IPC_PRIVATE, 2, 0600);
    union semun u; unsigned short all[2] = {1, 3};
    struct sembuf op[2] = {{0, -1, SEM_UNDO}, {1, 2, 0}};
    u.array = all; R(semctl(s, 0, SETALL, u)); R(semop(s, op, 2)); R(semctl(s, 0, GETVAL)); R(semctl(s, 1, GETVAL));
    op[0].sem_flg = IPC_NOWAIT; R(semop(s, op, 2));
    op[0].sem_flg = 0;
    struct timespec ts = {0, 20000000}; R(semtimedop(s, op, 1, &ts));
    pid_t child = fork();
    if (!child) { struct sembuf w = {0, -1, SEM_UNDO}; _exit(semop(s, &w, 1) ? 1 : 2); }
    msleep(30); R(semctl(s, 0, GETNCNT)); op[0].sem_op = 1; R(semop(s, op, 1));
    waitpid(child, &status, 0); printf("child %d, value after its end %d\n", WEXITSTATUS(status), semctl(s, 0, GETVAL));
    /* Waiting for zero, and a removed set. */
    child = fork();
    if (!child) { struct sembuf z = {1, 0, 0}; int r = semop(s, &z, 1); _exit(r ? errno : 0); }
    msleep(30); R(semctl(s, 1, GETZCNT)); R(semctl(s, 0, IPC_RMID)); waitpid(child, &status, 0); printf("%s\n", strerrorname_np(WEXITSTATUS(status)));
    R(semop(s, op, 1)); R(semget(0x7777, 1, 0)); R(semget(IPC_PRIVATE, 0, 0));

    /* A ring of two: hand over strictly in turn. */
    s = semget(IPC_PRIVATE, 2, 0600); u.val = 1; semctl(s, 0, SETVAL, u);
    int p[2]; pipe(p);
    for (int me = 0; me < 2; me++) if (!fork()) {
        for (int i = 0; i < 20; i++) { struct sembuf take = {me, -1, 0}, give = {!me, 1, 0}; char c = 'a' + me; semop(s, &take, 1); write(p[1], &c, 1); semop(s, &give, 1); }
        _exit(0);
    }
    wait(NULL); wait(NULL); char b[100] = {0}; read(p[0], b, 99); printf("%s\n", b); semctl(s, 0, IPC_RMID);

    int q = msgget(IPC_PRIVATE, 0600); struct { long t; char text[64]; } m = {2, "two"};
    R(msgsnd(q, &m, 4, 0)); m.t = 1; strcpy(m.text, "one"); R(msgsnd(q, &m, 4, 0)); R(msgrcv(q, &m, 64, -2, 0)); printf("%ld %s\n", m.t, m.text); R(msgrcv(q, &m, 2, 0, 0)); R(msgrcv(q, &m, 64, 9, IPC_NOWAIT)); R(msgrcv(q, &m, 64, 1, MSG_EXCEPT)); printf("%s\n", m.text);
    if (!fork()) { msleep(30); m.t = 5; strcpy(m.text, "late"); msgsnd(q, &m, 5, 0); _exit(0); }
    R(msgrcv(q, &m, 64, 5, 0)); printf("%s\n", m.text); wait(NULL);
    struct msqid_ds ds; R(msgctl(q, IPC_STAT, &ds)); printf("%lu %lu\n", ds.msg_qnum, ds.msg_qbytes);
    struct sigaction sa = {.sa_handler = on, .sa_flags = SA_RESTART}; sigaction(SIGALRM, &sa, NULL); struct itimerval it = {{0, 0}, {0, 20000}}; setitimer(ITIMER_REAL, &it, NULL);
    R(msgrcv(q, &m, 64, 0, 0)); R(msgctl(q, IPC_RMID, NULL)); R(msgsnd(q, &m, 1, 0));

    char name[32]; sprintf(name, "/t%d", getpid());
    struct mq_attr a = {0, 3, 16, 0}; mqd_t mq = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a);
    R(mq >= 0); R(mq_send(mq, "low", 4, 1)); R(mq_send(mq, "high", 5, 9)); R(mq_send(mq, "low2", 5, 1)); R(mq_send(mq, b, 17, 1));
    ts.tv_sec = time(NULL); ts.tv_nsec = 0; R(mq_timedsend(mq, "x", 1, 1, &ts)); unsigned prio; R(mq_receive(mq, b, 16, &prio)); printf("%s %u\n", b, prio); R(mq_receive(mq, b, 4, NULL)); R(mq_receive(mq, b, 16, &prio)); printf("%s %u\n", b, prio);
    R(mq_getattr(mq, &a)); printf("%ld %ld %ld\n", a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs); R(mq_unlink(name)); R(mq_unlink(name)); R(mq_open("/none", O_RDONLY));
    return 0;
}
