/* Keys: add_key, request_key, keyctl, on keyrings of this process. */
#include "guest.h"
#include <fcntl.h>
#include <sys/wait.h>

#define ADD(type, name, data, n, ring) syscall(SYS_add_key, type, name, data, (size_t)(n), ring)
#define REQUEST(type, name, info, ring) syscall(SYS_request_key, type, name, info, ring)
#define CTL(...) syscall(SYS_keyctl, __VA_ARGS__)
enum { THREAD = -1, PROCESS = -2, SESSION = -3 };
enum { GET_ID, JOIN, UPDATE, REVOKE, CHOWN, SETPERM, DESCRIBE, CLEAR, LINK, UNLINK, SEARCH, READ, INSTANTIATE,
       NEGATE, SET_REQKEY, SET_TIMEOUT, ASSUME, SECURITY, INVALIDATE = 21, RESTRICT = 29, MOVE };

static long serial; /* differs from run to run: only the sign is shown */
#define KEY(call) CALL((serial = (call)) > 0 ? 1 : serial)

static void describe(long id) {
    char text[100] = "";
    long n = CTL(DESCRIBE, id, text, sizeof text);
    printf("  %ld %s\n", n, text);
}

static void see(long id) {
    char data[100] = "";
    long n = CTL(READ, id, data, sizeof data);
    printf("  read %ld errno %d %s\n", n, n < 0 ? errno : 0, n < 0 ? "" : data);
}

int main(void) {
    start();
    KEY(CTL(GET_ID, -5, 1)); /* the user's session keyring: there from now on */
    SECTION("adding");
    KEY(ADD("user", "a", "payload", 7, PROCESS));
    long a = serial;
    describe(a);
    see(a);
    KEY(ADD("user", "a", "other", 5, PROCESS));
    printf("updated in place: %d\n", serial == a);
    see(a);
    CALL(ADD("user", "a", NULL, 0, PROCESS));
    static char large[32768];
    CALL(ADD("user", "a", large, sizeof large, PROCESS));
    CALL(ADD("user", "", "x", 1, PROCESS));
    CALL(ADD("user", NULL, "x", 1, PROCESS));
    CALL(ADD("nosuch", "a", "x", 1, PROCESS));
    CALL(ADD(".x", "a", "x", 1, PROCESS));
    CALL(ADD("", "a", "x", 1, PROCESS));
    CALL(ADD("a-name-of-more-than-thirty-two-bytes", "a", "x", 1, PROCESS));
    CALL(ADD("user", "a", (void *)1, 1, PROCESS));
    CALL(ADD((void *)1, "a", "x", 1, PROCESS));
    CALL(ADD("user", "a", "x", 1, 0));
    CALL(ADD("user", "a", "x", 1, -6));
    CALL(ADD("user", "a", "x", 1, a));
    CALL(ADD("user", "a", "x", 1L << 20, PROCESS));
    CALL(ADD("logon", "nocolon", "x", 1, PROCESS));
    KEY(ADD("logon", "a:b", "x", 1, PROCESS));
    describe(serial);
    see(serial);
    CALL(ADD("keyring", "ring", "x", 1, PROCESS));
    CALL(ADD("keyring", ".ring", NULL, 0, PROCESS));
    KEY(ADD("keyring", "ring", NULL, 0, PROCESS));
    long ring = serial;
    describe(ring);
    describe(PROCESS);
    CALL(CTL(GET_ID, THREAD, 0));
    CALL(CTL(READ, PROCESS, NULL, 0));

    SECTION("links");
    CALL(CTL(LINK, a, ring));
    CALL(CTL(LINK, a, ring));
    CALL(CTL(LINK, ring, ring));
    CALL(CTL(LINK, a, a));
    CALL(CTL(UNLINK, a, PROCESS));
    CALL(CTL(UNLINK, a, PROCESS));
    CALL(CTL(UNLINK, a, 123456));
    see(a);
    printf("found %d\n", CTL(SEARCH, PROCESS, "user", "a", 0) == a);
    CALL(CTL(SEARCH, PROCESS, "user", "b", 0));
    CALL(CTL(SEARCH, a, "user", "b", 0));
    CALL(CTL(MOVE, a, ring, PROCESS, 0));
    CALL(CTL(MOVE, a, ring, PROCESS, 0));
    CALL(CTL(MOVE, a, PROCESS, ring, 8));
    CALL(CTL(CLEAR, a));

    SECTION("rights");
    CALL(CTL(SETPERM, a, 0x80));
    CALL(CTL(SETPERM, a, 0x3f3f0000));
    CALL(CTL(SETPERM, a, 0x01010000));
    describe(a);
    see(a);
    CALL(CTL(UPDATE, a, "x", 1));
    CALL(CTL(SETPERM, a, 0x3f010000));
    KEY(ADD("user", "b", "b", 1, PROCESS));
    long b = serial;
    CALL(CTL(UPDATE, b, "new", 3));
    CALL(CTL(UPDATE, ring, NULL, 0));
    see(b);
    CALL(CTL(SECURITY, b, NULL, 0));
    CALL(CTL(INSTANTIATE, b, "x", 1, 0));
    CALL(CTL(ASSUME, 0));
    CALL(CTL(ASSUME, b));
    CALL(CTL(99));

    SECTION("requests");
    printf("found %d\n", REQUEST("user", "b", NULL, 0) == b);
    CALL(REQUEST("user", "none", NULL, 0));
    CALL(REQUEST("nosuch", "none", NULL, 0));
    CALL(REQUEST("keyring", "none", "info", PROCESS));
    CALL(REQUEST("user", NULL, NULL, 0));
    CALL(CTL(SET_REQKEY, -1));
    CALL(CTL(SET_REQKEY, 2));
    CALL(CTL(SET_REQKEY, 6));
    CALL(CTL(SET_REQKEY, 9));
    CALL(CTL(SET_REQKEY, -1));

    SECTION("ends");
    CALL(CTL(REVOKE, b));
    see(b);
    CALL(REQUEST("user", "b", NULL, 0));
    CALL(CTL(SET_TIMEOUT, a, 1));
    see(a);
    usleep(1200000);
    see(a);
    CALL(CTL(SET_TIMEOUT, a, 0));
    see(a);
    CALL(CTL(INVALIDATE, a));
    see(a);
    CALL(CTL(RESTRICT, ring, NULL, NULL));
    CALL(ADD("user", "c", "c", 1, ring));
    CALL(CTL(REVOKE, ring));
    CALL(ADD("user", "c", "c", 1, ring));
    CALL(CTL(REVOKE, 1234567));

    SECTION("sessions and processes");
    CALL(CTL(JOIN, ".builtin_trusted_keys"));
    KEY(CTL(JOIN, NULL));
    describe(SESSION);
    KEY(ADD("user", "s", "session", 7, SESSION));
    long s = serial;
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        see(s);
        CALL(CTL(GET_ID, PROCESS, 0));
        KEY(ADD("user", "own", "x", 1, PROCESS));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    fflush(stdout);
    child = fork();
    if (!child) {
        setuid(1000);
        see(s);
        CALL(CTL(SETPERM, s, 0x3f3f3f3f));
        CALL(CTL(CHOWN, s, 1000, -1));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return 0;
}
