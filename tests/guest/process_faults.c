/* Faults as signals, queued signals, interrupted calls, wait statuses */
#include "guest.h"
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <stdlib.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <stdint.h>
static sigjmp_buf jb; static volatile int got; static siginfo_t si; static unsigned long err,trapno,cr2,fl;
    static void h(int s, siginfo_t*i, void*u){ got=s; si=*i; ucontext_t*uc=u;
    err=uc->uc_mcontext.gregs[REG_ERR]; trapno=uc->uc_mcontext.gregs[REG_TRAPNO];
    cr2=uc->uc_mcontext.gregs[REG_CR2]; fl=uc->uc_flags;
 struct _libc_fpstate*fp=uc->uc_mcontext.fpregs; uint32_t*sw=(uint32_t*)((char*)fp+464);
    if(((uintptr_t)fp)&63) printf("fp misaligned\n"); if(sw[0]!=0x46505853) printf("bad magic\n");
    if(*(uint32_t*)((char*)fp+sw[1]-4)!=0x46505845) printf("bad magic2\n");
 uintptr_t a=(uintptr_t)__builtin_frame_address(0); if(a&15) printf("misaligned frame\n");
 siglongjmp(jb,1);}
static void h2(int s, siginfo_t*i, void*u){ got=s; si=*i; }
    static void set(int s, void(*f)(int,siginfo_t*,void*), int flags){
    struct sigaction sa; memset(&sa,0,sizeof sa); sa.sa_sigaction=f;
    sa.sa_flags=SA_SIGINFO|flags; if(sigaction(s,&sa,0)) perror("sigaction");
    }
#define TRY(name,expr) do{ got=0; if(!sigsetjmp(jb,1)){ expr; } printf("%s: sig %d code %d addr %ld err %lu trap %lu flags %lu\n",name,got,si.si_code,(long)((uintptr_t)si.si_addr-base),err,trapno,fl);}while(0)
static char stk[65536];
int main(){ uintptr_t base=0; volatile int zero=0;
 setvbuf(stdout,0,_IONBF,0);
 set(SIGSEGV,h,0); set(SIGBUS,h,0); set(SIGFPE,h,0); set(SIGILL,h,0); set(SIGTRAP,h,0);
 TRY("null", *(volatile int*)0=1);
 TRY("nullread", (void)*(volatile int*)16);
 char*p=mmap(0,4096,PROT_READ,MAP_PRIVATE|MAP_ANONYMOUS,-1,0); base=(uintptr_t)p; (void)*(volatile char*)p;
 TRY("ro", p[5]=1);
 mprotect(p,4096,PROT_NONE); TRY("none", (void)*(volatile char*)(p+7)); base=0;
 got=0; if(!sigsetjmp(jb,1)) { asm volatile("xor %%ecx,%%ecx; mov $1,%%eax; cltd; idiv %%ecx":::"eax","ecx","edx"); } printf("div %d %d trap %lu\n",got,si.si_code,trapno); 
 si.si_addr=0;
 got=0; if(!sigsetjmp(jb,1)) { asm volatile("ud2"); } printf("ud2 %d %d\n",got,si.si_code);
 got=0; if(!sigsetjmp(jb,1)) { asm volatile("int3"); } printf("int3 %d %d trap %lu\n",got,si.si_code,trapno);
    got=0; if(!sigsetjmp(jb,1)) { asm volatile("hlt"); } printf("hlt %d %d addr %p trap %lu err %lu\n",got,si.si_code,si.si_addr,trapno,err);
    got=0; if(!sigsetjmp(jb,1)) { (void)*(volatile int*)0x8000000000000000ul;
    } printf("noncanon %d %d addr %p trap %lu\n",got,si.si_code,si.si_addr,trapno);
    got=0; if(!sigsetjmp(jb,1)) { ((void(*)(void))0x1000)(); } printf("exec %d %d addr %p err %lu\n",got,si.si_code,si.si_addr,err);
 // altstack overflow of stack
 stack_t ss={.ss_sp=stk,.ss_size=sizeof stk}; sigaltstack(&ss,0); set(SIGSEGV,h,SA_ONSTACK);
 // sigqueue realtime
    sigset_t m,o; sigemptyset(&m); for(int i=SIGRTMIN;i<SIGRTMIN+4;i++) sigaddset(&m,i);
    sigaddset(&m,SIGUSR1); sigprocmask(SIG_BLOCK,&m,&o);
    for(int i=3;i>=0;i--) for(int j=0;j<2;j++){ union sigval v; v.sival_int=i*10+j;
    if(sigqueue(getpid(),SIGRTMIN+i,v)) perror("sigqueue"); }
 kill(getpid(),SIGUSR1); kill(getpid(),SIGUSR1);
    sigset_t pend; sigpending(&pend); printf("pending usr1 %d rt0 %d\n",sigismember(&pend,SIGUSR1),sigismember(&pend,SIGRTMIN));
    for(;;){ siginfo_t i; struct timespec z={0,0}; int r=sigtimedwait(&m,&i,&z);
    if(r<0){printf("end %s\n",strerror(errno));break;} printf("got %d code %d val %d pidok %d\n",r,i.si_code,i.si_value.sival_int,i.si_pid==getpid());
    }
 sigprocmask(SIG_SETMASK,&o,0);
 // EINTR / restart
 int pp[2]; pipe(pp); char b;
 set(SIGALRM,h2,0); alarm(1); int r=read(pp[0],&b,1); printf("read %d %s\n",r,strerror(errno));
 set(SIGALRM,h2,SA_RESTART); struct itimerval it={{0,0},{0,50000}}; setitimer(ITIMER_REAL,&it,0);
    if(!fork()){ usleep(200000); write(pp[1],"x",1); _exit(7);} r=read(pp[0],&b,1);
    printf("read %d got %d\n",r,got);
 int st; pid_t w; while((w=wait(&st))<0&&errno==EINTR); printf("status %x\n",st);
    struct timespec ts={0,200000000},rem; set(SIGALRM,h2,SA_RESTART);
    it.it_value.tv_usec=50000; setitimer(ITIMER_REAL,&it,0); r=nanosleep(&ts,&rem);
    printf("nanosleep %d %d rem>100ms %d\n",r,errno==EINTR,rem.tv_nsec>100000000);
 // sigsuspend
    sigset_t blk; sigemptyset(&blk); sigaddset(&blk,SIGALRM); sigprocmask(SIG_BLOCK,&blk,&o);
    setitimer(ITIMER_REAL,&it,0); sigset_t e; sigemptyset(&e); got=0;
    r=sigsuspend(&e); printf("suspend %d %d got %d\n",r,errno==EINTR,got);
    sigprocmask(0,0,&m); printf("still blocked %d\n",sigismember(&m,SIGALRM));
 sigprocmask(SIG_SETMASK,&o,0);
 // child killed
    pid_t c=fork(); if(!c){ pause(); } kill(c,SIGTERM); waitpid(c,&st,0);
    printf("killed %d sig %d\n",WIFSIGNALED(st),WTERMSIG(st));
    c=fork(); if(!c){ signal(SIGSEGV,SIG_DFL); *(volatile int*)0=0;
    } waitpid(c,&st,0); printf("segv %d core %d\n",WTERMSIG(st),0);
    c=fork(); if(!c){ for(;;); } kill(c,SIGSTOP); waitpid(c,&st,WUNTRACED);
    printf("stopped %d %d\n",WIFSTOPPED(st),WSTOPSIG(st)); kill(c,SIGCONT);
    waitpid(c,&st,WCONTINUED); printf("cont %d\n",WIFCONTINUED(st));
    kill(c,9); waitpid(c,&st,0); printf("kill %d\n",WTERMSIG(st));
 // blocked segv kills
    c=fork(); if(!c){ sigset_t s; sigfillset(&s); sigprocmask(SIG_BLOCK,&s,0);
    *(volatile int*)0=0; } waitpid(c,&st,0); printf("blocked segv %d\n",WTERMSIG(st));
 printf("abort: "); c=fork(); if(!c) abort(); waitpid(c,&st,0); printf("%d\n",WTERMSIG(st));
    siginfo_t ii; c=fork(); if(!c) _exit(42); memset(&ii,0,sizeof ii);
    r=waitid(P_PID,c,&ii,WEXITED|WNOWAIT); printf("waitid %d %d code %d status %d\n",r,ii.si_pid==c,ii.si_code,ii.si_status);
    r=waitid(P_PID,c,&ii,WEXITED); printf("%d\n",r); r=waitid(P_PID,c,&ii,WEXITED);
    printf("%d %s\n",r,strerror(errno));
    signal(SIGCHLD,SIG_IGN); c=fork(); if(!c) _exit(0); r=waitpid(c,&st,0);
    printf("ignored chld: %d %s\n",r,strerror(errno));
 return 0; }
