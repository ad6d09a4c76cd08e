/* TITLE
 *
 *     cc -w -O1 -o program NAME.c && ./program && PREFIX ./program
 *
 * It makes its files in a new directory below the current one, and prints each call's result and the memory that it
 * changed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <setjmp.h>
#include <pthread.h>
#include <unistd.h>

static unsigned char *const data = (void *)DATA_AT, shadow[DATA_ROOM];
static long r[512];
static sigjmp_buf after;

static void restorer(void);
__asm__("restorer: mov $15, %eax\n syscall\n");

static void handler(int signo, siginfo_t *info, void *context)
{
	dprintf(901, "  signal %d, si_code %d\n", signo, info->si_code);
}

static long call(const char *name, long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long result;
	memcpy(shadow, data, DATA_ROOM);
	__asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	if (result < 0 && result > -4096)
		dprintf(901, "%s = -1 %s (%ld)\n", name, strerrorname_np(-result), -result);
	else
		dprintf(901, "%s = %#lx\n", name, result);
	for (int i = 0, j; i < DATA_ROOM; i = j + 1) {
		for (j = i; j < DATA_ROOM && data[j] != shadow[j]; j++)
			;
		if (j > i) {
			dprintf(901, "  memory %#x:", i);
			for (int k = i; k < j; k++)
				dprintf(901, " %02x", data[k]);
			dprintf(901, "\n");
		}
	}
	return result;
}

static void fault(int signo, siginfo_t *info, void *context)
{
	siglongjmp(after, 1000 * signo + info->si_code);
}

static long probe(long address, int store)
{
	struct sigaction act = { .sa_sigaction = fault, .sa_flags = SA_SIGINFO }, old[2];
	long result;
	sigaction(SIGSEGV, &act, old), sigaction(SIGBUS, &act, old + 1);
	if ((result = -sigsetjmp(after, 1)) == 0) {
		if (store < 0)
			result = *(volatile unsigned char *)address;
		else
			*(volatile unsigned char *)address = store;
	}
	sigaction(SIGSEGV, old, 0), sigaction(SIGBUS, old + 1, 0);
	dprintf(901, "access %#lx = %ld\n", address, result);
	return result;
}

static void content(const char *path)
{
	char text[65536];
	int fd = open(path, O_RDONLY);
	long n = fd < 0 ? 0 : read(fd, text, sizeof text);
	close(fd);
	dprintf(901, "%s:\n%.*s", path, (int)n, text);
}

static void file(const char *name, const char *text, int mode)
{
	int fd = open(name, O_CREAT | O_WRONLY, mode);
	write(fd, text, strlen(text));
	close(fd);
}

static void tree(void)
{
	char name[] = "reproXXXXXX";
	mkdtemp(name), chmod(name, 0755), chdir(name), umask(022);
	file("f", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n", 0644);
	file("e", "", 0600), file("n", "secret", 0), file("x", "#!/nonexistent/interpreter\n", 0755);
	mkdir("d", 0755), file("d/g", "deep", 0644), mkdir("r", 0755), file("r/h", "kept", 0644), chmod("r", 0555);
	symlink("f", "l"), symlink("d", "dl"), symlink("nothing", "dang"), symlink("loop", "loop"), mkfifo("p", 0644);
}

