/* build: glibc musl */
#include "guest.h"
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

static int m, s;
static void shown(const char *what) {
    char b[500];
    pause_ms(20);
    fcntl(m, F_SETFL, O_NONBLOCK);
    ssize_t n = read(m, b, sizeof b);
    fcntl(m, F_SETFL, 0);
    printf("%s shows:", what);
    if (n < 0) printf(" errno %d", errno);
    for (ssize_t i = 0; i < n; i++) printf(b[i] < 32 || b[i] > 126 ? " <%d>" : "%c", b[i] & 255);
    printf("\n");
}
static void line(const char *what, const char *typed) {
    char b[500];
    write(m, typed, strlen(typed));
    pause_ms(20);
    fcntl(s, F_SETFL, O_NONBLOCK);
    ssize_t n = read(s, b, sizeof b);
    fcntl(s, F_SETFL, 0);
    printf("%s reads:", what);
    if (n < 0) printf(" errno %d", errno);
    for (ssize_t i = 0; i < n; i++) printf(b[i] < 32 || b[i] > 126 ? " <%d>" : "%c", b[i] & 255);
    printf("\n");
}
static volatile int got[70];
static void note(int sig) { got[sig]++; }

int main(void) {
    start();
    struct termios t, saved;
    struct winsize w = {24, 80, 0, 0};
    int n;
    char b[100];
    SECTION("opening");
    m = WORKS(posix_openpt(O_RDWR | O_NOCTTY));
    printf("%d\n", !strncmp(ptsname(m), "/dev/pts/", 9));
    CALL(open(ptsname(m), O_RDWR | O_NOCTTY));
    CALL(grantpt(m));
    CALL(unlockpt(m));
    s = WORKS(open(ptsname(m), O_RDWR | O_NOCTTY));
    CALL(isatty(m));
    CALL(isatty(s));
    CALL(isatty(open("/dev/null", O_RDWR)));
    struct stat st;
    fstat(s, &st);
    printf("%o\n", st.st_mode & S_IFMT);
    SECTION("settings");
    CALL(tcgetattr(s, &t));
    printf("%x %x %x %x\n", t.c_iflag, t.c_oflag, t.c_cflag & ~CBAUD, t.c_lflag);
    printf("%d %d %d %d %d %d\n", t.c_cc[VINTR], t.c_cc[VEOF], t.c_cc[VERASE], t.c_cc[VSUSP], t.c_cc[VMIN], t.c_cc[VTIME]);
    saved = t;
    CALL(ioctl(m, TIOCSWINSZ, &w));
    memset(&w, 0, sizeof w);
    CALL(ioctl(s, TIOCGWINSZ, &w));
    printf("%d %d\n", w.ws_row, w.ws_col);
    SECTION("canonical");
    line("plain", "hello\n"); shown("echo");
    line("half a line", "abc");
    line("erased", "\x7f\x7fX\n"); shown("echo");
    line("killed", "gone\x15kept\n"); shown("echo");
    line("word", "two words\x17one\n"); shown("echo");
    line("end of file", "\x04");
    line("unfinished", "part\x04");
    line("carriage return", "cr\r"); shown("echo");
    line("literal", "\x16\x03\n"); shown("echo");
    write(m, "one\ntwo\n", 8);
    pause_ms(20);
    CALL(ioctl(s, FIONREAD, &n));
    NUMBER(n);
    CALL(read(s, b, 2));
    CALL(read(s, b, 100));
    CALL(read(s, b, 100));
    shown("rest");
    CALL(write(s, "out\n", 4)); shown("output");
    SECTION("raw");
    cfmakeraw(&t);
    CALL(tcsetattr(s, TCSANOW, &t));
    line("raw", "a\x03\r"); shown("echo");
    write(s, "x\n", 2); shown("output");
    t.c_cc[VMIN] = 0, t.c_cc[VTIME] = 1;
    tcsetattr(s, TCSANOW, &t);
    CALL(read(s, b, 10));
    t.c_cc[VMIN] = 3, t.c_cc[VTIME] = 0;
    tcsetattr(s, TCSANOW, &t);
    if (!fork()) { for (int i = 0; i < 3; i++) pause_ms(5), write(m, "z", 1); _exit(0); }
    CALL(read(s, b, 10));
    wait(NULL);
    CALL(tcsetattr(s, TCSANOW, &saved));
    CALL(tcflush(s, TCIOFLUSH));
    SECTION("controlling terminal");
    pid_t pid = fork();
    if (!pid) {
        setsid();
        CALL(tcgetpgrp(s));
        CALL(ioctl(s, TIOCSCTTY, 0));
        CALL(tcgetpgrp(s) == getpid());
        CALL(tcgetsid(s) == getpid());
        int tty = WORKS(open("/dev/tty", O_RDWR));
        CALL(isatty(tty));
        signal(SIGINT, note), signal(SIGQUIT, note), signal(SIGTSTP, note), signal(SIGWINCH, note);
        signal(SIGTTOU, note), signal(SIGTTIN, note), signal(SIGHUP, note), signal(SIGCONT, note);
        write(m, "\x03", 1), pause_ms(20), write(m, "\x1c", 1), pause_ms(20), write(m, "\x1a", 1);
        pause_ms(20);
        w.ws_row = 50;
        ioctl(m, TIOCSWINSZ, &w);
        pause_ms(20);
        printf("INT %d QUIT %d TSTP %d WINCH %d\n", got[SIGINT], got[SIGQUIT], got[SIGTSTP], got[SIGWINCH]);
        shown("control characters");
        pid_t back = fork();
        if (!back) {
            setpgid(0, 0);
            struct sigaction sa = {.sa_handler = note};
            sigaction(SIGTTIN, &sa, NULL);
            CALL(read(tty, b, 1));
            printf("TTIN %d\n", got[SIGTTIN]);
            sigaction(SIGTTOU, &sa, NULL);
            CALL(tcsetpgrp(tty, getpgrp()));
            printf("TTOU %d\n", got[SIGTTOU] > 0);
            signal(SIGTTOU, SIG_IGN);
            CALL(tcsetpgrp(tty, getpgrp()));
            CALL(tcgetpgrp(tty) == getpgrp());
            signal(SIGTTIN, SIG_IGN);
            _exit(0);
        }
        ended("background", back);
        tcsetpgrp(tty, getpgrp());
        pid_t stopped = fork();
        if (!stopped) { setpgid(0, 0); signal(SIGTTIN, SIG_DFL); read(tty, b, 1); _exit(0); }
        int status;
        waitpid(stopped, &status, WUNTRACED);
        printf("stopped by %d\n", WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
        kill(stopped, SIGKILL);
        waitpid(stopped, NULL, 0);
        CALL(ioctl(tty, TIOCNOTTY));
        CALL(open("/dev/tty", O_RDWR));
        _exit(0);
    }
    ended("session", pid);
    SECTION("hanging up");
    struct pollfd p = {m, POLLIN | POLLOUT, 0};
    poll(&p, 1, 0);
    printf("%x\n", p.revents);
    close(s);
    poll(&p, 1, 0);
    printf("%x\n", p.revents & ~POLLIN);
    CALL(read(m, b, 1));
    pid_t child = forkpty(&m, NULL, NULL, NULL);
    if (!child) { signal(SIGHUP, SIG_DFL); char c; printf("tty %d\n", isatty(0)); while (read(0, &c, 1) == 1) {} pause(); _exit(1); }
    pause_ms(50);
    shown("child");
    close(m);
    ended("session leader", child);
    openpty(&m, &s, NULL, NULL, NULL);
    close(m);
    CALL(read(s, b, 1));
    CALL(write(s, "x", 1));
    p.fd = s;
    poll(&p, 1, 0);
    printf("%x\n", p.revents);
    return 0;
}
