/* Signals and time together: masks, altstacks, restarts, futex errors, timers */
#include "guest.h"
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <stdlib.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/prctl.h>
#include <time.h>
#include <sched.h>
#include <stdint.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <ucontext.h>
static volatile int depth,maxd,cnt; 
static void nd(int s){ depth++; if(depth>maxd) maxd=depth; if(cnt++<3) raise(s); depth--; }
static void h(int s){ cnt++; }
static double xm; 
    static void fpu(int s){ volatile double a=1.5; for(int i=0;i<100;i++) a*=1.01;
    asm volatile("pxor %%xmm0,%%xmm0; pxor %%xmm7,%%xmm7; fninit":::"xmm0","xmm7");
    xm=a; }
    static char *as; static int onstk; static void ah(int s,siginfo_t*i,void*u){
    char c; onstk=(&c>=as&&&c<as+SIGSTKSZ*4); stack_t ss; sigaltstack(0,&ss);
    printf("in handler on %d flags %x uc flags %x size %d\n",onstk,ss.ss_flags,((ucontext_t*)u)->uc_stack.ss_flags,ss.ss_size>0);
    stack_t n={.ss_sp=as,.ss_size=SIGSTKSZ*4,.ss_flags=0}; CALL(sigaltstack(&n,0));
    }
    static void sa(int s,void*f,int fl){ struct sigaction a; memset(&a,0,sizeof a);
    a.sa_sigaction=f; a.sa_flags=fl; sigaction(s,&a,0);}
    static long ms(){ struct timespec t; clock_gettime(CLOCK_MONOTONIC,&t);
    return t.tv_sec*1000+t.tv_nsec/1000000; }
static volatile int tmr; static siginfo_t tsi; static void th(int s,siginfo_t*i,void*u){ tmr++; tsi=*i; }
int main(){ setvbuf(stdout,0,_IONBF,0); int st; pid_t c;
    sa(SIGUSR1,nd,SA_NODEFER); raise(SIGUSR1); printf("nodefer depth %d\n",maxd);
    maxd=cnt=0; sa(SIGUSR1,nd,0); raise(SIGUSR1); printf("defer depth %d cnt %d\n",maxd,cnt);
    sa(SIGUSR1,h,SA_RESETHAND); raise(SIGUSR1); struct sigaction o;
    sigaction(SIGUSR1,0,&o); printf("reset dfl %d\n",o.sa_handler==SIG_DFL);
    struct sigaction q; memset(&q,0,sizeof q); q.sa_handler=h; q.sa_flags=0x400|SA_RESTART;
    sigaction(SIGUSR2,&q,0); sigaction(SIGUSR2,0,&o); printf("flags %x\n",o.sa_flags);
 sa(SIGUSR2,fpu,0); double d1=3.25; double r7; pid_t me=getpid(); 
    asm volatile("movq %2,%%xmm7\n mov %1,%%edi\n mov $12,%%esi\n mov $62,%%eax\n syscall\n movq %%xmm7,%0":"=r"(*(uint64_t*)&r7):"r"(me),"r"(*(uint64_t*)&d1):"rax","rcx","r11","rdi","rsi","memory");
    printf("xmm7 %g\n",r7);
    as=malloc(SIGSTKSZ*4); stack_t ss={.ss_sp=as,.ss_size=SIGSTKSZ*4}
    ; CALL(sigaltstack(&ss,0)); sa(SIGUSR1,ah,SA_ONSTACK|SA_SIGINFO);
    raise(SIGUSR1);
    ss.ss_flags=1u<<31; CALL(sigaltstack(&ss,0)); raise(SIGUSR1);
    sigaltstack(0,&ss); printf("after flags %x\n",ss.ss_flags);
    ss.ss_size=100; ss.ss_flags=0; CALL(sigaltstack(&ss,0)); ss.ss_flags=77;
    CALL(sigaltstack(&ss,0)); ss.ss_flags=SS_DISABLE; CALL(sigaltstack(&ss,0));
 // poll + stop/cont: restart block
    c=fork(); if(!c){ long a=ms(); int r=poll(0,0,300); long b=ms()-a;
    printf("poll after stop %d ok %d\n",r,b>=300&&b<5000); a=ms();
    struct timespec ts={0,300000000}; r=nanosleep(&ts,&ts); b=ms()-a;
    printf("nanosleep after stop %d ok %d\n",r,b>=300&&b<5000);  _exit(0);
    }
    usleep(100000); kill(c,SIGSTOP); waitpid(c,&st,WUNTRACED); usleep(50000);
    kill(c,SIGCONT); usleep(250000); kill(c,SIGSTOP); usleep(50000);
    kill(c,SIGCONT); waitpid(c,&st,0);
 // poll with handler SA_RESTART gives EINTR
    sa(SIGALRM,h,SA_RESTART); struct itimerval it={{0,0},{0,50000}
    }; setitimer(ITIMER_REAL,&it,0); CALL(poll(0,0,500));
 setitimer(ITIMER_REAL,&it,0); CALL(usleep(100000)); setitimer(ITIMER_REAL,&it,0); CALL(pause());
    sigset_t b; sigemptyset(&b); struct timespec ts2={1,0}; setitimer(ITIMER_REAL,&it,0);
    CALL(ppoll(0,0,&ts2,&b));
 int f=0; setitimer(ITIMER_REAL,&it,0); CALL(syscall(SYS_futex,&f,FUTEX_WAIT,0,&ts2,0,0)); 
    sa(SIGALRM,h,0); setitimer(ITIMER_REAL,&it,0); CALL(syscall(SYS_futex,&f,FUTEX_WAIT,0,0,0,0));
    CALL(syscall(SYS_futex,&f,FUTEX_WAIT,1,0,0,0)); struct timespec tz={
    0,1000000}; CALL(syscall(SYS_futex,&f,FUTEX_WAIT,0,&tz,0,0));
    CALL(syscall(SYS_futex,(char*)&f+1,FUTEX_WAIT,0,&tz,0,0)); CALL(syscall(SYS_futex,8,FUTEX_WAIT,0,&tz,0,0));
    CALL(syscall(SYS_futex,&f,FUTEX_WAKE,5,0,0,0)); CALL(syscall(SYS_futex,&f,99,5,0,0,0));
    CALL(syscall(SYS_futex,&f,FUTEX_WAIT|FUTEX_CLOCK_REALTIME,0,&tz,0,0));
    tz.tv_nsec=2000000000; CALL(syscall(SYS_futex,&f,FUTEX_WAIT,0,&tz,0,0));
    CALL(syscall(SYS_futex,&f,FUTEX_WAIT_BITSET,0,0,0,0)); f=5; CALL(syscall(SYS_futex,&f,FUTEX_CMP_REQUEUE,1,1,&st,4));
    CALL(syscall(SYS_futex,&f,FUTEX_CMP_REQUEUE,-1,1,&st,5)); CALL(syscall(SYS_futex,&f,FUTEX_UNLOCK_PI,0,0,0,0));
    f=getpid(); CALL(syscall(SYS_futex,&f,FUTEX_LOCK_PI,0,0,0,0));
    f=4000000; CALL(syscall(SYS_futex,&f,FUTEX_LOCK_PI,0,0,0,0));
    f=0; CALL(syscall(SYS_futex,&f,FUTEX_TRYLOCK_PI,0,0,0,0)); printf("mine %d\n",f==getpid());
    CALL(syscall(SYS_futex,&f,FUTEX_UNLOCK_PI,0,0,0,0)); printf("f %d\n",f);
    f=7; CALL(syscall(SYS_futex,&st,FUTEX_WAKE_OP,1,1,&f,FUTEX_OP(FUTEX_OP_ADD,3,FUTEX_OP_CMP_EQ,7)));
    printf("f %d\n",f);
 // timers
    sa(SIGRTMIN,th,SA_SIGINFO); timer_t t; struct sigevent ev={.sigev_notify=SIGEV_SIGNAL,.sigev_signo=SIGRTMIN}
    ; ev.sigev_value.sival_int=42; CALL(timer_create(CLOCK_MONOTONIC,&ev,&t));
    struct itimerspec its={{0,10000000},{0,10000000}};
    sigset_t rm; sigemptyset(&rm); sigaddset(&rm,SIGRTMIN); sigprocmask(SIG_BLOCK,&rm,0);
    CALL(timer_settime(t,0,&its,0)); usleep(55000); sigprocmask(SIG_UNBLOCK,&rm,0);
    printf("timer %d val %d code %d overrun %d %d\n",tmr>=1,tsi.si_value.sival_int,tsi.si_code,tsi.si_overrun>=3&&tsi.si_overrun<=6,timer_getoverrun(t)==tsi.si_overrun);
    struct itimerspec cur; timer_gettime(t,&cur); printf("interval %ld rem ok %d\n",cur.it_interval.tv_nsec,cur.it_value.tv_nsec>0&&cur.it_value.tv_nsec<=10000000);
    CALL(timer_delete(t)); CALL(timer_delete(t)); CALL(timer_create(99,&ev,&t));
    ev.sigev_signo=99; CALL(timer_create(CLOCK_REALTIME,&ev,&t));
    ev.sigev_notify=55; CALL(timer_create(CLOCK_REALTIME,&ev,&t));
 // cpu itimer
    sa(SIGVTALRM,h,0); cnt=0; struct itimerval iv={{0,0},{0,30000}
    }; setitimer(ITIMER_VIRTUAL,&iv,0); while(!cnt); printf("vtalrm\n");
    sa(SIGPROF,h,0); cnt=0; setitimer(ITIMER_PROF,&iv,0); while(!cnt);
    printf("prof\n");
 printf("alarm %d\n",alarm(10)); printf("alarm %d\n",alarm(0));
    c=fork(); if(!c){ struct rlimit rl={1,2}; setrlimit(RLIMIT_CPU,&rl);
    for(;;);} waitpid(c,&st,0); printf("xcpu %d\n",WTERMSIG(st));
    struct timespec cpu; CALL(clock_gettime(CLOCK_PROCESS_CPUTIME_ID,&cpu));
    printf("cpu>0 %d\n",cpu.tv_sec>0||cpu.tv_nsec>0); CALL(clock_gettime(77,&cpu));
    CALL(clock_getres(CLOCK_MONOTONIC,&cpu)); printf("%ld\n",cpu.tv_nsec);
    CALL(clock_getres(CLOCK_REALTIME_COARSE,&cpu)); printf("%ld\n",cpu.tv_nsec);
    clockid_t ck; CALL(clock_getcpuclockid(getpid(),&ck)); CALL(clock_gettime(ck,&cpu));
    CALL(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID,0,&tz,0)); tz.tv_nsec=1;
    CALL(clock_nanosleep(CLOCK_MONOTONIC_RAW,0,&tz,0)); CALL(clock_nanosleep(CLOCK_BOOTTIME,TIMER_ABSTIME,&tz,0));
    CALL(clock_nanosleep(CLOCK_TAI,0,&tz,0));
 return 0; }
