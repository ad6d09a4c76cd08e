/* build: glibc static; flags: -w -pthread */
/* execve: its errors, scripts, and what survives.  The same output on any Linux. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char self[4096];
static void show(const char *what, int status) {
    if (WIFSIGNALED(status)) printf("%s: signal %d\n", what, WTERMSIG(status));
    else printf("%s: exit %d\n", what, WEXITSTATUS(status));
    fflush(stdout);
}
static void finish(const char *what, pid_t pid) { int status; waitpid(pid, &status, 0); show(what, status); }
#define TRY(what, call) do { fflush(stdout); pid_t c_ = fork(); if (!c_) { call; printf("  %s\n", strerrorname_np(errno)); fflush(stdout); _exit(99); } finish(what, c_); } while (0)
static void make(const char *name, const void *data, size_t n, int mode) {
    unlink(name); int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (write(fd, data, n) != (long)n) abort();
    fchmod(fd, mode); close(fd);
}
static void text(const char *name, const char *s, int mode) { make(name, s, strlen(s), mode); }
static char *none[] = {0}, *args[] = {"arg0", "one", "two words", 0}, *env[] = {"A=1", "B=two", 0};

static int child(int argc, char **argv, char **envp) {
    printf("  argc %d:", argc); for (int i = 0; i < argc; i++) printf(" [%s]", argv[i]);
    printf("\n  env:"); for (char **e = envp; *e; e++) printf(" [%s]", *e);
    char comm[32] = ""; int fd = open("/proc/self/comm", O_RDONLY); if (read(fd, comm, 31) < 0) abort(); close(fd);
    printf("\n  comm %s  execfn %s platform %s secure %ld pagesz %ld clktck %ld phent %ld\n", comm,
        (char *)getauxval(AT_EXECFN), (char *)getauxval(AT_PLATFORM), getauxval(AT_SECURE), getauxval(AT_PAGESZ),
        getauxval(AT_CLKTCK), getauxval(AT_PHENT));
    struct sigaction a; sigset_t set; stack_t ss;
    sigaction(SIGUSR1, 0, &a); printf("  usr1 %s", a.sa_handler == SIG_DFL ? "default" : "other");
    sigaction(SIGUSR2, 0, &a); printf(" usr2 %s", a.sa_handler == SIG_IGN ? "ignored" : "other");
    sigprocmask(0, 0, &set); printf(" hup %d", sigismember(&set, SIGHUP));
    sigpending(&set); printf(" pending %d", sigismember(&set, SIGHUP));
    sigaltstack(0, &ss); printf(" altstack %d", ss.ss_flags == SS_DISABLE);
    printf(" fd10 %d fd11 %d\n", fcntl(10, F_GETFD), fcntl(11, F_GETFD));
    return 7;
}

static void *other_exec(void *p) { (void)p; execve(self, (char *[]){"child", "from a thread", 0}, none); return 0; }
static void *idle(void *p) { (void)p; for (;;) pause(); return 0; }
static void handler(int s) { (void)s; }

static void elves(void) {
    int fd = open(self, O_RDONLY); struct stat st; fstat(fd, &st);
    char *good = malloc(st.st_size); if (read(fd, good, st.st_size) != st.st_size) abort(); close(fd);
    Elf64_Ehdr *h = (Elf64_Ehdr *)good; Elf64_Phdr *ph = (Elf64_Phdr *)(good + h->e_phoff), *load = 0, *interp = 0, *last = 0;
    for (int i = 0; i < h->e_phnum; i++) { if (ph[i].p_type == PT_LOAD) { if (!load) load = &ph[i]; last = &ph[i]; } if (ph[i].p_type == PT_INTERP) interp = &ph[i]; }
#define BAD(what, change) do { char *copy = malloc(st.st_size); memcpy(copy, good, st.st_size); { change; } make("bad", good, st.st_size, 0755); memcpy(good, copy, st.st_size); TRY(what, execve("bad", args, none)); free(copy); } while (0)
    BAD("machine", h->e_machine = EM_AARCH64); BAD("type", h->e_type = ET_REL); BAD("phentsize", h->e_phentsize = 57);
    BAD("phnum 0", h->e_phnum = 0); BAD("phnum big", h->e_phnum = 5000); BAD("phoff", h->e_phoff = 1UL << 40); BAD("magic", good[1] = 'X');
    BAD("filesz", last->p_filesz = last->p_memsz + 1); BAD("vaddr", last->p_vaddr = 1UL << 60); BAD("memsz", last->p_memsz = 1UL << 50);
    BAD("congruence", last->p_offset += 16); BAD("no load", for (int i = 0; i < h->e_phnum; i++) if (ph[i].p_type == PT_LOAD) ph[i].p_type = PT_NULL);
    BAD("entry", h->e_entry = 1UL << 50);
    if (interp) { BAD("interp size", interp->p_filesz = 1); BAD("interp nul", good[interp->p_offset + interp->p_filesz - 1] = 'x'); BAD("interp gone", strcpy(good + interp->p_offset, "/nowhere"));
        BAD("interp dir", strcpy(good + interp->p_offset, "/")); BAD("interp text", strcpy(good + interp->p_offset, "/etc/passwd")); BAD("interp offset", interp->p_offset = 1UL << 40); }
    for (int n = 1; n < 300; n = n * 3 / 2 + 1) { make("bad", good, n, 0755); char w[32]; sprintf(w, "cut at %d", n); TRY(w, execve("bad", args, none)); }
}

int main(int argc, char **argv, char **envp) {
    if (argc != 1 || !argv[0][0]) return child(argc, argv, envp);
    closefrom(3); realpath("/proc/self/exe", self); setvbuf(stdout, 0, _IOFBF, 65536); symlink(self, "prog");
    TRY("plain", execve(self, args, env)); TRY("relative", execve("./prog", args, env)); TRY("empty argv", execve(self, none, none)); TRY("null argv", syscall(SYS_execve, self, 0, 0));
    text("plain", "hello\n", 0644); text("empty", "", 0755); text("words", "hello there\n", 0755); mkdir("dir", 0755);
    TRY("missing", execve("missing", args, none)); TRY("empty path", execve("", args, none)); TRY("not executable", execve("plain", args, none)); TRY("directory", execve("dir", args, none));
    TRY("not directory", execve("plain/x", args, none)); TRY("empty file", execve("empty", args, none)); TRY("no format", execve("words", args, none));
    TRY("bad path", execve((char *)1, args, none)); TRY("bad argv", execve(self, (char **)1, none)); TRY("bad string", execve(self, (char *[]){(char *)1, 0}, none)); TRY("bad path first", execve("missing", (char **)1, none));
    char *longest = malloc(140000); memset(longest, 'x', 140000); longest[139999] = 0; TRY("long string", execve(self, (char *[]){"child", longest, 0}, none));
    longest[5000] = 0; TRY("long path", execve(longest, args, none)); longest[256] = 0; TRY("long name", execve(longest, args, none));
    char **many = calloc(300001, 8); for (int i = 0; i < 300000; i++) many[i] = "a"; TRY("many", execve(self, many, none));
    symlink("loop", "loop"); TRY("loop", execve("loop", args, none)); 
    int w = open("busy", O_WRONLY | O_CREAT, 0755); TRY("busy", execve("busy", args, none)); close(w);
    make("copy", "", 0, 0755); { char cmd[5000]; sprintf(cmd, "cp %s running", self); if (system(cmd)) abort(); }
    char s[8192];
    sprintf(s, "#!%s\n", self); text("s1", s, 0755); TRY("script", execve("./s1", args, env));
    sprintf(s, "#! \t%s  some arg  \t\nrest", self); text("s2", s, 0755); TRY("script with argument", execve("s2", args, none)); TRY("script without argv", execve("s2", none, none));
    sprintf(s, "#!%s -x", self); text("s3", s, 0755); TRY("no newline", execve("s3", args, none));
    text("s4", "#!\n", 0755); TRY("no interpreter", execve("s4", args, none)); text("s5", "#!   \t \nx", 0755); TRY("blank interpreter", execve("s5", args, none)); text("s6", "#!/nowhere/at/all\n", 0755); TRY("interpreter missing", execve("s6", args, none));
    text("s7", "#!plain\n", 0755); TRY("interpreter not executable", execve("s7", args, none)); text("s8", "#!", 0755); TRY("only mark", execve("s8", args, none));
    memset(s, 'y', 400); memcpy(s, "#!/", 3); s[400] = 0; text("s9", s, 0755); TRY("line too long", execve("s9", args, none)); memset(s + 20, ' ', 380); memcpy(s, "#!/bin/nothing-here ", 20); text("s10", s, 0755); TRY("long blank", execve("s10", args, none));
    char prev[64] = "./s1"; for (int i = 1; i < 7; i++) { char name[64], what[64]; sprintf(name, "./n%d", i); sprintf(s, "#!%s level%d\n", prev, i); text(name, s, 0755); strcpy(prev, name); sprintf(what, "nested %d", i); TRY(what, execve(name, args, none)); }
    int fd = open(self, O_RDONLY | O_CLOEXEC), path = open("s1", O_PATH), dir = open("dir/..", O_RDONLY | O_DIRECTORY), sc = open("s1", O_RDONLY | O_CLOEXEC);
#define AT(d, p, a, f) syscall(SYS_execveat, d, p, a, none, f)
    TRY("fexecve", AT(fd, "", args, AT_EMPTY_PATH)); TRY("empty without flag", AT(fd, "", args, 0)); TRY("script by O_PATH", AT(path, "", args, AT_EMPTY_PATH)); TRY("script by cloexec", AT(sc, "", args, AT_EMPTY_PATH)); TRY("relative to dir", AT(dir, "s1", args, 0));
    TRY("nofollow link", AT(dir, "prog", args, AT_SYMLINK_NOFOLLOW)); TRY("bad flag", AT(dir, "s1", args, 0x40)); TRY("bad fd", AT(77, "s1", args, 0)); TRY("bad fd absolute", AT(77, self, args, 0)); TRY("file as dir", AT(path, "x", args, 0));
    elves();
    signal(SIGUSR1, handler); signal(SIGUSR2, SIG_IGN); sigset_t set; sigemptyset(&set); sigaddset(&set, SIGHUP); sigprocmask(SIG_BLOCK, &set, 0);
    static char stack[65536]; stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack}; sigaltstack(&ss, 0); dup2(1, 10); dup3(1, 11, O_CLOEXEC);
    TRY("state", (raise(SIGHUP), execve(self, args, none)));
    TRY("threads", pthread_t t; for (int i = 0; i < 3; i++) pthread_create(&t, 0, idle, 0); execve(self, args, none));
    TRY("from a thread", pthread_t t; pthread_create(&t, 0, idle, 0); pthread_create(&t, 0, other_exec, 0); idle(0));
    int status; fflush(stdout); pid_t v = vfork(); if (!v) { execve(self, args, none); _exit(1); } waitpid(v, &status, 0); show("vfork", status);
    int copy = open("running", O_RDWR); printf("open for writing %d\n", copy >= 0); close(copy);
    int pp[2]; pipe(pp); v = fork(); if (!v) { dup2(pp[0], 0); close(pp[1]); execve("/proc/self/exe", (char *[]){"child", "by magic link", 0}, none); _exit(1); } close(pp[1]); waitpid(v, &status, 0); show("magic link", status);
    struct rlimit r = {16 << 20, RLIM_INFINITY}; TRY("address space limit", (r.rlim_cur = 100 << 10, setrlimit(RLIMIT_AS, &r), execve(self, args, none)));
    TRY("stack limit", (r.rlim_cur = 64 << 10, setrlimit(RLIMIT_STACK, &r), execve(self, args, none)));
    return 0;
}
