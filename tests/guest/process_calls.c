/* clone flags, wait, orphans, process groups, limits, prctl, scheduling, ids */
#include "guest.h"
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/sysinfo.h>
#include <grp.h>
#include <time.h>
#include <sched.h>
#include <stdint.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/capability.h>
static char stk[65536]; static int shared; static int chld(void*a){ shared=7; return 11; }
    static void ids(const char*w){ uid_t r,e,s; gid_t a,b,c; getresuid(&r,&e,&s);
    getresgid(&a,&b,&c); printf("%s uid %d %d %d gid %d %d %d fs %d\n",w,r,e,s,a,b,c,(int)syscall(SYS_setfsuid,-1));
    struct __user_cap_header_struct h={_LINUX_CAPABILITY_VERSION_3,0}
    ; struct __user_cap_data_struct d[2]; syscall(SYS_capget,&h,d);
    printf(" caps eff %d perm %d\n",d[0].effective!=0,d[0].permitted!=0);
    }
static volatile int sigs; static void hh(int s){ sigs|=1<<s; }
int main(){ setvbuf(stdout,0,_IONBF,0); int st; pid_t c;
 // clone flag errors
    CALL(syscall(SYS_clone,CLONE_THREAD,0,0,0,0)); CALL(syscall(SYS_clone,CLONE_SIGHAND,0,0,0,0));
    CALL(syscall(SYS_clone,CLONE_NEWNS|CLONE_FS,0,0,0,0)); CALL(syscall(SYS_clone,CLONE_PIDFD|CLONE_PARENT_SETTID,0,&st,0,0));
    CALL(syscall(SYS_clone,CLONE_PIDFD|CLONE_DETACHED,0,&st,0,0));
    struct clone_args ca; memset(&ca,0,sizeof ca); CALL(syscall(SYS_clone3,&ca,8));
    CALL(syscall(SYS_clone3,0,64)); ca.flags=CLONE_THREAD|CLONE_SIGHAND|CLONE_VM;
    ca.exit_signal=17; CALL(syscall(SYS_clone3,&ca,sizeof ca)); ca.flags=0;
    ca.stack=4096; CALL(syscall(SYS_clone3,&ca,sizeof ca)); ca.stack=0;
    ca.exit_signal=100; CALL(syscall(SYS_clone3,&ca,sizeof ca));
    ca.exit_signal=SIGCHLD; ca.set_tid_size=1; CALL(syscall(SYS_clone3,&ca,sizeof ca));
    ca.set_tid_size=0; int pf=-1; ca.flags=CLONE_PIDFD|CLONE_CLEAR_SIGHAND;
    ca.pidfd=(uintptr_t)&pf; c=syscall(SYS_clone3,&ca,sizeof ca);
    if(!c) _exit(4); siginfo_t si; memset(&si,0,sizeof si); CALL(waitid(P_PIDFD,pf,&si,WEXITED));
    printf("pidfd st %d pid %d\n",si.si_status,si.si_pid==c);
 c=clone(chld,stk+sizeof stk,CLONE_VM|SIGCHLD,0); waitpid(c,&st,0); printf("vm shared %d st %x\n",shared,st);
    c=clone(chld,stk+sizeof stk,SIGUSR2,0); signal(SIGUSR2,SIG_IGN);
    CALL(waitpid(c,&st,0)); WORKS(waitpid(c,&st,__WCLONE));
    c=clone(chld,stk+sizeof stk,0,0); WORKS(waitpid(c,&st,__WALL));
    c=vfork(); if(!c) _exit(3); waitpid(c,&st,0); printf("vfork %x\n",st);
    c=vfork(); if(!c) execl("/bin/true","true",NULL); waitpid(c,&st,0);
    printf("vfork exec %x\n",st);
    CALL(waitpid(-1,&st,0)); CALL(waitpid(-1,&st,0x1000)); CALL(waitpid(0x80000000,&st,0));
    CALL(waitid(P_PID,0,&si,WEXITED)); CALL(waitid(P_ALL,0,&si,0));
    CALL(waitid(99,0,&si,WEXITED)); CALL(waitid(P_ALL,0,&si,WEXITED|WNOHANG));
 // orphans and subreaper
    CALL(prctl(PR_SET_CHILD_SUBREAPER,1)); int p[2]; pipe(p); c=fork();
    if(!c){ if(!fork()){ usleep(50000); int ok=getppid(); write(p[1],&ok,4);
    _exit(8);} _exit(0);} waitpid(c,&st,0); int pp; read(p[0],&pp,4);
    printf("reparented to me %d\n",pp==getpid()); wait(&st); printf("orphan st %x\n",st);
    prctl(PR_SET_CHILD_SUBREAPER,0);
 // pdeathsig
    c=fork(); if(!c){ c=fork(); if(!c){ prctl(PR_SET_PDEATHSIG,SIGUSR1);
    signal(SIGUSR1,hh); char x='r'; write(p[1],&x,1); usleep(300000);
    x=sigs?'d':'n'; write(p[1],&x,1); _exit(0);} char x; read(p[0],&x,1);
    _exit(0);} waitpid(c,&st,0); char x; read(p[0],&x,1); printf("pdeath %c\n",x);
 // orphaned stopped pgrp gets HUP CONT
    c=fork(); if(!c){ setsid(); c=fork(); if(!c){ c=fork(); if(!c){
    setpgid(0,0); signal(SIGHUP,hh); signal(SIGCONT,hh); write(p[1],"s",1);
    raise(SIGSTOP); usleep(20000); x='0'+((sigs>>SIGHUP)&1)+2*((sigs>>SIGCONT)&1);
    write(p[1],&x,1); _exit(0);} read(p[0],&x,1); usleep(50000);
    _exit(0);} wait(0); usleep(100000); _exit(0);} wait(0); read(p[0],&x,1);
    printf("orphan stop %c\n",x);
 // TSTP in orphaned pgrp ignored
    c=fork(); if(!c){ setsid(); raise(SIGTSTP); _exit(6);} waitpid(c,&st,WUNTRACED);
    printf("tstp orphan %x\n",st);
 // pgid/sid
    c=fork(); if(!c){ usleep(200000); _exit(0);} CALL(setpgid(c,c));
    printf("pgid %d\n",getpgid(c)==c); CALL(setpgid(c,99999)); CALL(setpgid(999999,0));
    CALL(setpgid(0,-1)); CALL(setpgid(1,0)); CALL(kill(-c,0)); CALL(kill(-c,SIGTERM));
    waitpid(c,&st,0); printf("%x\n",st); CALL(kill(-c,0)); c=fork();
    if(!c){ pid_t s=setsid(); printf("setsid %d\n",s==getpid());
    CALL(setsid()); CALL(setpgid(0,0)); _exit(0);} wait(0); CALL(getsid(999999));
    CALL(getpgid(-5));
    c=fork(); if(!c){ execl("/bin/sleep","sleep","0.3",NULL);} usleep(150000);
    CALL(setpgid(c,c)); kill(c,9); wait(0);
    CALL(kill(999999,0)); CALL(kill(getpid(),65)); CALL(kill(0x80000000,9));
    CALL(syscall(SYS_tgkill,getpid(),999999,0)); CALL(syscall(SYS_tgkill,0,1,0));
    CALL(syscall(SYS_tkill,-1,0)); CALL(syscall(SYS_tgkill,getpid(),gettid(),0));
    memset(&si,0,sizeof si); si.si_code=5; CALL(syscall(SYS_rt_sigqueueinfo,1,10,&si));
    si.si_code=-6;  CALL(syscall(SYS_rt_sigqueueinfo,1,10,&si));
 // limits
    struct rlimit rl; CALL(getrlimit(99,&rl)); rl.rlim_cur=10; rl.rlim_max=5;
    CALL(setrlimit(RLIMIT_CORE,&rl)); rl.rlim_cur=rl.rlim_max=1ul<<40;
    CALL(setrlimit(RLIMIT_NOFILE,&rl)); CALL(prlimit(999999,RLIMIT_CORE,0,&rl));
    CALL(prlimit(0,RLIMIT_STACK,0,&rl)); printf("stack %ld\n",(long)rl.rlim_cur);
    struct rusage ru; CALL(getrusage(5,&ru)); CALL(getrusage(RUSAGE_SELF,&ru));
    printf("rss %d\n",ru.ru_maxrss>0);
 // prctl
    char nm[17]={0}; CALL(prctl(PR_SET_NAME,"averylongnamethatiscut"));
    CALL(prctl(PR_GET_NAME,nm)); puts(nm); CALL(prctl(PR_GET_DUMPABLE));
    CALL(prctl(PR_SET_DUMPABLE,2)); CALL(prctl(PR_GET_KEEPCAPS));
    CALL(prctl(PR_SET_KEEPCAPS,2)); CALL(prctl(PR_GET_NO_NEW_PRIVS,0,0,0,0));
    CALL(prctl(PR_GET_NO_NEW_PRIVS,1,0,0,0)); CALL(prctl(PR_GET_TIMERSLACK));
    CALL(prctl(PR_CAPBSET_READ,0)); CALL(prctl(PR_CAPBSET_READ,99));
    CALL(prctl(PR_GET_SECUREBITS)); CALL(prctl(9999)); CALL(prctl(PR_SET_PDEATHSIG,99));
    CALL(prctl(PR_GET_TIMING)); CALL(prctl(PR_SET_TIMING,1)); CALL(prctl(PR_GET_SECCOMP));
    CALL(prctl(PR_CAP_AMBIENT,PR_CAP_AMBIENT_CLEAR_ALL,0,0,0)); CALL(prctl(PR_CAP_AMBIENT,99,0,0,0));
    CALL(prctl(PR_MCE_KILL_GET,0,0,0,0)); CALL(prctl(PR_GET_THP_DISABLE,0,0,0,0));
 // sched
    CALL(sched_getscheduler(0)); CALL(sched_get_priority_max(SCHED_FIFO));
    CALL(sched_get_priority_min(99)); struct sched_param sp={0};
    CALL(sched_getparam(0,&sp)); CALL(sched_setscheduler(0,99,&sp));
    sp.sched_priority=5; CALL(sched_setscheduler(0,SCHED_OTHER,&sp));
    CALL(sched_getscheduler(-1)); CALL(sched_getscheduler(999999));
    cpu_set_t cs; CALL(sched_getaffinity(0,sizeof cs,&cs)>0); CALL(syscall(SYS_sched_getaffinity,0,3,&cs));
    CALL(syscall(SYS_getpriority,0,0)); CALL(setpriority(PRIO_PROCESS,0,5));
    CALL(syscall(SYS_getpriority,0,0)); CALL(getpriority(9,0)); CALL(getpriority(0,999999));
    CALL(syscall(SYS_ioprio_get,1,0)); CALL(syscall(SYS_ioprio_get,9,0));
    CALL(setpriority(PRIO_PROCESS,0,0));
    struct utsname u; uname(&u); printf("%s %s\n",u.sysname,u.machine);
    struct sysinfo sy; CALL(sysinfo(&sy)); printf("unit %d up %d\n",sy.mem_unit,sy.uptime>0);
    CALL(syscall(SYS_getrandom,stk,16,99)); CALL(syscall(SYS_getrandom,stk,16,0));
    CALL(personality(0xffffffff)); CALL(syscall(SYS_arch_prctl,0x9999,0));
    CALL(unshare(0)); CALL(unshare(0x1)); CALL(unshare(CLONE_FILES|CLONE_FS));
    CALL(setns(99,0)); CALL(syscall(SYS_membarrier,0,0)>=0); CALL(syscall(SYS_kcmp,getpid(),getpid(),1,0,0));
    CALL(syscall(SYS_restart_syscall)); CALL(syscall(SYS_set_tid_address,0)==gettid());
    CALL(syscall(SYS_get_robust_list,0,0,0)); CALL(syscall(SYS_set_robust_list,0,1));
 // setuid family
    if(getuid()==0){ c=fork(); if(!c){ ids("root"); CALL(setresuid(1000,2000,3000));
    ids("a"); CALL(setuid(1000)); ids("b"); CALL(setuid(0)); CALL(seteuid(3000));
    ids("c"); CALL(setreuid(3000,-1)); ids("d"); CALL(setgid(5));
    ids("e"); CALL(setgroups(0,0)); CALL(setresuid(0,0,0));
    CALL(sched_setscheduler(0,SCHED_FIFO,&sp)); CALL(setpriority(0,0,-5));
    CALL(sethostname("x",1)); _exit(0);} wait(0); c=fork(); if(!c){
    CALL(seteuid(1000)); ids("f"); CALL(seteuid(0)); ids("g"); gid_t g[3]={
    7,5,6}; CALL(setgroups(3,g)); gid_t o[3]; CALL(getgroups(0,0));
    CALL(getgroups(2,o)); CALL(getgroups(3,o)); printf("%d %d %d\n",o[0],o[1],o[2]);
    CALL(setregid(1,2)); ids("h"); prctl(PR_SET_KEEPCAPS,1); CALL(setuid(1000));
    ids("i"); CALL(setfsuid(5)); _exit(0);} wait(0);}
    CALL(syscall(SYS_capget,0,0)); uint32_t hd[2]={1,0}; CALL(syscall(SYS_capget,hd,0));
    printf("%x\n",hd[0]); hd[0]=1; CALL(syscall(SYS_capget,hd,stk));
 return 0; }
