/* The executor of `pylx fuzz`: runs programs of system calls and tells what they did.
 *
 *     executor serve [uid]                      programs on descriptor 0, reports on descriptor 1, until end of file
 *     executor jail uid gid from scratch [above hidden]... -- command...
 *                                               run a command as that user, in namespaces of its own, where scratch
 *                                               is directory `from`; directory `hidden`, which lies below `above`, where
 *                                               that user may not look, can be read
 *
 * There is no libc: every call made here is one that stands here.  syscalls/fuzz/program.py writes what this reads,
 * syscalls/fuzz/outcome.py reads what this writes; all words are 64 bits, little-endian.
 *
 * Each program runs in a child, in a new session and a new directory.  The child has no descriptor of the executor: its
 * log is shared memory, which the executor sends when the child has ended.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long s64;

enum {
	RD_ONLY = 0, O_RDWR = 2, O_CREAT = 0100, O_WRONLY = 1,
	SIGKILL = 9, SIGBUS = 7, SIGSEGV = 11, SIGCHLD = 17,
	SA_SIGINFO = 4, SA_ONSTACK = 0x08000000, SA_RESTORER = 0x04000000, SA_NODEFER = 0x40000000,
	EINTR = 4, EAGAIN = 11,
};

enum {
	READ = 0, WRITE = 1, OPEN = 2, CLOSE = 3, MMAP = 9, SIGACTION = 13, SIGPROCMASK = 14, IOCTL = 16,
	GETPID = 39, SOCKET = 41, CLONE = 56, EXECVE = 59, EXIT = 60, WAIT4 = 61, KILL = 62, FCNTL = 72, CHDIR = 80,
	MKDIR = 83, SYMLINK = 88, CHMOD = 90, UMASK = 95, SETSID = 112, SETRESUID = 117, SETRESGID = 119, SETGROUPS = 116,
	GETUID = 102, SIGTIMEDWAIT = 128, SIGALTSTACK = 131, MKNOD = 133, PERSONALITY = 135,
	 SETPRIORITY = 141, PRCTL = 157, SETRLIMIT = 160, MOUNT = 165, FUTEX = 202,
	SHMGET = 29, SHMCTL = 31, SEMGET = 64, SEMCTL = 66, MSGGET = 68, MSGCTL = 71, MQ_UNLINK = 241,
	EXIT_GROUP = 231, WAITID = 247, UNSHARE = 272, DUP3 = 292,
};

#define LOG_AT    0x20000000ul
#define LOG_ROOM  0x40000ul
#define DATA_AT   0x30000000ul
#define DATA_ROOM 0x4000ul
#define ARENA_AT  0x50000000ul

static s64 sys(s64 nr, s64 a, s64 b, s64 c, s64 d, s64 e, s64 f)
{
	register s64 r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	s64 result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
#define call(nr, ...) call_(nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define call_(nr, a, b, c, d, e, f, ...) sys(nr, (s64)(a), (s64)(b), (s64)(c), (s64)(d), (s64)(e), (s64)(f))

void *memcpy(void *to, const void *from, u64 n)
{
	void *at = to;
	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) :: "memory");
	return to;
}

void *memset(void *to, int byte, u64 n)
{
	void *at = to;
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
	return to;
}

static u64 length_of(const char *text)
{
	u64 n = 0;
	while (text[n])
		n++;
	return n;
}

static void die(const char *words)
{
	call(WRITE, 2, "executor: ", 10);
	call(WRITE, 2, words, length_of(words));
	call(WRITE, 2, "\n", 1);
	call(EXIT_GROUP, 111);
	__builtin_unreachable();
}

static u64 number(const char *text)
{
	u64 value = 0;
	while (*text >= '0' && *text <= '9')
		value = value * 10 + (*text++ - '0');
	return value;
}

/* --- the log, in memory shared with the executor */
enum { L_CALL = 1, L_SIGNAL, L_VALUE, L_BLOCK, L_BLOCK_END, L_CONTENT };
struct log { u64 used, op, full; u64 words[]; };
#define LOG ((struct log *)LOG_AT)

/* Room for an entry.  It has no kind until it is whole: a program can be killed, or its handler run, at any point. */
static u64 *reserve(u64 words)
{
	u64 at = __atomic_fetch_add(&LOG->used, words + 1, __ATOMIC_SEQ_CST);
	if (at + words + 1 > LOG_ROOM / 8 - 3) {
		LOG->used = at;
		LOG->full = 1;
		call(EXIT_GROUP, 98);
	}
	LOG->words[at] = words << 8;
	return LOG->words + at + 1;
}

static void finish(u64 *entry, u64 kind)
{
	__atomic_or_fetch(entry - 1, kind, __ATOMIC_SEQ_CST);
}

/* --- signals */
void restorer(void);
__asm__(".globl restorer\nrestorer: mov $15, %eax\n syscall\n");

struct action { u64 handler, flags, restorer, mask; };
static u64 handled;

static void handler(int signo, int *info, void *context)
{
	u64 *out = reserve(4);
	out[0] = signo;
	out[1] = (s64)info[2];
	out[2] = *(u64 *)(info + 4);
	out[3] = *(u64 *)(info + 6);
	finish(out, L_SIGNAL);
	if (++handled > 48)
		call(EXIT_GROUP, 99);
}

/* A probe touches memory; a fault is its result. */
extern u8 probe_load[], probe_store[], probe_after[];
s64 probe(u8 *at, s64 store);
__asm__(".globl probe\nprobe: test %rsi, %rsi\n js 1f\nprobe_store: mov %sil, (%rdi)\n xor %eax, %eax\n jmp probe_after\n"
	"1: xor %eax, %eax\nprobe_load: mov (%rdi), %al\nprobe_after: ret\n");

static void fault(int signo, int *info, u64 *context)
{
	/* ucontext: flags, link, stack (3 words), then r8..r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip */
	u64 *regs = context + 5;
	regs[13] = -(u64)(signo * 1000 + (info[2] & 0xff));
	regs[16] = (u64)probe_after;
}

static s64 safe_probe(u64 at, s64 store)
{
	struct action act = { (u64)fault, SA_SIGINFO | SA_RESTORER | SA_NODEFER, (u64)restorer, 0 }, old[2];
	u64 none = 0, mask;
	s64 result;
	call(SIGPROCMASK, 2, &none, &mask, 8);
	call(SIGACTION, SIGSEGV, &act, &old[0], 8);
	call(SIGACTION, SIGBUS, &act, &old[1], 8);
	result = probe((u8 *)at, store);
	call(SIGACTION, SIGSEGV, &old[0], 0, 8);
	call(SIGACTION, SIGBUS, &old[1], 0, 8);
	call(SIGPROCMASK, 2, &mask, 0, 8);
	return result;
}

/* --- programs */
enum { OP_CALL = 1, OP_STORE, OP_STORE_VALUE, OP_LOAD, OP_BLOCK, OP_PROBE, OP_CONTENT };
enum { A_CONST, A_RESULT, A_DATA, A_ARENA, A_CODE, A_OWN };
enum { B_FORK, B_THREAD };

static u64 program[0x8000];
static s64 results[512];
static u64 shadow[DATA_ROOM / 8];
static u8 stacks[4][0x8000] __attribute__((aligned(64)));
static volatile u32 thread_id[4];
static u64 threads;

/* Of this program only: a number, and a name of 8 letters.  Keys and names live on after a program. */
static u64 serial, own_text;

static void set_own(u64 n)
{
	serial = n;
	for (own_text = 0; n || !(own_text >> 56); n /= 26)
		own_text = own_text << 8 | ('a' + n % 26);
}

static u64 value(u64 kind, u64 word)
{
	static void *const code[] = { handler, restorer };
	switch (kind) {
	case A_RESULT: return results[(u32)word & 511] + ((s64)word >> 32);
	case A_DATA: return DATA_AT + word;
	case A_ARENA: return ARENA_AT + word;
	case A_CODE: return (u64)code[word & 1];
	case A_OWN: return word ? own_text : serial << 4;
	}
	return word;
}

/* What differs from the last look, as runs of changed words: offset and count, then the words. */
static void log_call(u64 op, s64 result)
{
	static u64 runs[2 * 64], run_count;
	u64 words = 0, *out, *entry, *data = (u64 *)DATA_AT, i, r;
	run_count = 0;
	for (i = 0; i < DATA_ROOM / 8; i++) {
		if (__builtin_expect(data[i] == shadow[i], 1))
			continue;
		if (run_count && runs[2 * run_count - 2] + runs[2 * run_count - 1] == i)
			runs[2 * run_count - 1]++;
		else if (run_count < 64) {
			runs[2 * run_count] = i;
			runs[2 * run_count++ + 1] = 1;
			words++;
		} else
			continue;
		words++;
	}
	out = entry = reserve(2 + words);
	*out++ = op;
	*out++ = result;
	for (r = 0; r < run_count; r++) {
		u64 at = runs[2 * r], n = runs[2 * r + 1];
		*out++ = at << 32 | n;
		memcpy(out, data + at, n * 8);
		memcpy(shadow + at, data + at, n * 8);
		out += n;
	}
	finish(entry, L_CALL);
}

static void interpret(u64 *at, u64 *end);
struct thread { u64 *from, *to; };

static void thread_body(struct thread *block)
{
	interpret(block->from, block->to);
	call(EXIT, 0);
}

/* clone for a thread: the child finds its function and argument on its new stack. */
s64 clone_thread(u64 flags, void *stack, volatile u32 *parent_tid, volatile u32 *child_tid);
__asm__(".globl clone_thread\nclone_thread: mov %rcx, %r10\n xor %r8d, %r8d\n mov $56, %eax\n syscall\n"
	"test %rax, %rax\n jnz 1f\n xor %ebp, %ebp\n pop %rax\n pop %rdi\n call *%rax\n hlt\n1: ret\n");

static void block(u64 op, u64 kind, u64 *from, u64 *to)
{
	u64 *out, how = 0;
	s64 pid;
	if (kind == B_FORK) {
		out = reserve(2);
		out[0] = op;
		out[1] = kind;
		finish(out, L_BLOCK);
		pid = call(CLONE, SIGCHLD);
		if (pid == 0) {
			interpret(from, to);
			call(EXIT_GROUP, 0);
		}
		if (pid > 0) {
			int info[32] = { 0 };
			while (call(WAITID, 1, pid, info, 0x01000004, 0) == -EINTR) /* WNOWAIT | WEXITED */
				;
			how = (u64)(u32)info[2] << 32 | (u32)info[6]; /* si_code, si_status */
		}
	} else {
		static struct thread blocks[4];
		u64 n = threads++ & 3;
		u64 *stack = (u64 *)(stacks[n] + sizeof stacks[n]) - 4;
		/* FS, FILES, VM, SIGHAND, THREAD, SYSVSEM, PARENT_SETTID, CHILD_CLEARTID */
		out = reserve(2);
		out[0] = op;
		out[1] = kind;
		finish(out, L_BLOCK);
		blocks[n] = (struct thread){ from, to };
		stack[0] = (u64)thread_body;
		stack[1] = (u64)&blocks[n];
		thread_id[n] = 1;
		pid = clone_thread(0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x100000 | 0x200000, stack,
				   &thread_id[n], &thread_id[n]);
		if (pid > 0) {
			u32 tid;
			while ((tid = thread_id[n]))
				call(FUTEX, &thread_id[n], 0, tid, 0);
		}
	}
	results[op & 511] = pid;
	out = reserve(3);
	out[0] = op;
	out[1] = pid;
	out[2] = how;
	finish(out, L_BLOCK_END);
}

static void interpret(u64 *at, u64 *end)
{
	while (at < end) {
		u64 op = at[0] >> 16 & 0xffff, length = at[0] >> 32, *p = at + 1, *out;
		s64 got;
		LOG->op = op;
		switch (at[0] & 0xff) {
		case OP_CALL:
			got = sys(p[0], value(p[1], p[2]), value(p[3], p[4]), value(p[5], p[6]), value(p[7], p[8]),
				  value(p[9], p[10]), value(p[11], p[12]));
			results[op & 511] = got;
			log_call(op, got);
			break;
		case OP_STORE:
			if (p[0] + p[1] <= DATA_ROOM) {
				memcpy((u8 *)DATA_AT + p[0], p + 2, p[1]);
				memcpy((u8 *)shadow + p[0], p + 2, p[1]);
			}
			break;
		case OP_STORE_VALUE: {
			u64 word = value(p[2], p[3]);
			if (p[0] + 8 <= DATA_ROOM && p[1] <= 8) {
				memcpy((u8 *)DATA_AT + p[0], &word, p[1]);
				memcpy((u8 *)shadow + p[0], &word, p[1]);
			}
			break;
		}
		case OP_LOAD: {
			s64 word = 0;
			if (p[0] + 8 <= DATA_ROOM)
				word = p[1] == 4 ? *(int *)(DATA_AT + p[0]) : *(s64 *)(DATA_AT + p[0]);
			results[op & 511] = word;
			break;
		}
		case OP_BLOCK:
			block(op, p[0], p + 1, at + length);
			break;
		case OP_PROBE:
			got = safe_probe(value(p[0], p[1]), p[2]);
			results[op & 511] = got;
			out = reserve(2);
			out[0] = op;
			out[1] = got;
			finish(out, L_VALUE);
			break;
		case OP_CONTENT: {
			/* A text file, without a descriptor being left open: p[0] is the address of its path. */
			s64 fd = call(OPEN, DATA_AT + p[0], RD_ONLY);
			u64 room = 0x4000, used = 0;
			u8 *text;
			out = reserve(2 + room / 8);
			text = (u8 *)(out + 2);
			memset(text, 0, room);
			while (fd >= 0 && used < room && (got = call(READ, fd, text + used, room - used)) > 0)
				used += got;
			if (fd >= 0)
				call(CLOSE, fd);
			out[0] = op;
			out[1] = fd < 0 ? (u64)fd : used;
			finish(out, L_CONTENT);
			break;
		}
		}
		if (!length)
			die("a program that does not go on");
		at += length;
	}
}

/* --- the service */
static int in_fd, out_fd;

static u64 read_all(int fd, void *to, u64 n)
{
	u64 done = 0;
	while (done < n) {
		s64 got = call(READ, fd, (u8 *)to + done, n - done);
		if (got == -EINTR)
			continue;
		if (got <= 0)
			break;
		done += got;
	}
	return done;
}

static void write_all(int fd, const void *from, u64 n)
{
	while (n) {
		s64 done = call(WRITE, fd, from, n);
		if (done == -EINTR)
			continue;
		if (done <= 0)
			call(EXIT_GROUP, 112);
		from = (const u8 *)from + done;
		n -= done;
	}
}

static void make_file(const char *name, const char *content, u64 mode)
{
	int fd = call(OPEN, name, O_CREAT | O_WRONLY, mode);
	call(WRITE, fd, content, length_of(content));
	call(CLOSE, fd);
}

/* The tree that every program finds: program.py's TREE names the same. */
static void make_tree(void)
{
	make_file("f", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n", 0644);
	make_file("e", "", 0600);
	make_file("n", "secret", 0);
	make_file("x", "#!/nonexistent/interpreter\n", 0755);
	call(MKDIR, "d", 0755);
	make_file("d/g", "deep", 0644);
	call(MKDIR, "r", 0755);
	make_file("r/h", "kept", 0644);
	call(CHMOD, "r", 0555);
	call(SYMLINK, "f", "l");
	call(SYMLINK, "d", "dl");
	call(SYMLINK, "nothing", "dang");
	call(SYMLINK, "loop", "loop");
	call(MKNOD, "p", 0010644, 0);
}

static void child(u64 words)
{
	char name[24] = "p";
	u64 none = 0, i = 1, scale = 1;
	int fd;
	call(CLOSE, in_fd);
	call(CLOSE, out_fd);
	call(SETSID);
	call(UMASK, 022);
	while (serial / scale >= 10)
		scale *= 10;
	for (; scale; scale /= 10)
		name[i++] = '0' + serial / scale % 10;
	if (call(MKDIR, name, 0755) < 0 || call(CHDIR, name) < 0)
		die("no directory for a program");
	make_tree();
	fd = call(OPEN, "/dev/null", O_RDWR);
	for (i = 0; i < 3; i++)
		if ((u64)fd != i)
			call(DUP3, fd, i, 0);
	if (fd > 2)
		call(CLOSE, fd);
	call(SIGPROCMASK, 2, &none, 0, 8);
	interpret(program, program + words);
	call(EXIT_GROUP, 0);
}

static void limit(int resource, u64 value)
{
	u64 both[2] = { value, value };
	call(SETRLIMIT, resource, both);
}

/* Kill and reap what the program left: its session, then whatever became ours. */
static u64 reap(s64 pid, int alone)
{
	u64 left = 0;
	int status;
	s64 got;
	call(KILL, -pid, SIGKILL);
	for (int round = 0; round < 50; round++) {
		while ((got = call(WAIT4, -1, &status, 1, 0)) > 0)
			left++;
		if (got < 0)
			break;
		if (alone)
			call(KILL, -1, SIGKILL);
		struct { s64 seconds, nanoseconds; } pause = { 0, 1000000 };
		u64 none = 0;
		call(SIGTIMEDWAIT, &none, 0, &pause, 8);
	}
	return left;
}

/* System V objects and message queues live on after their program: what one leaves must not change the next. */
static void remove_ipc(void)
{
	static u8 buffer[1024];
	static const struct { int control, info, stat_any; } kinds[] = {
		{ SHMCTL, 14, 15 }, { SEMCTL, 19, 20 }, { MSGCTL, 12, 13 } };
	u8 name[11] = "q1";
	for (u64 k = 0; k < 3; k++) {
		int sem = kinds[k].control == SEMCTL;
		s64 last = sem ? call(SEMCTL, 0, 0, 19, buffer) : call(kinds[k].control, 0, kinds[k].info, buffer);
		for (s64 i = 0; i <= last; i++) {
			s64 id = sem ? call(SEMCTL, i, 0, 20, buffer)
				     : call(kinds[k].control, i, kinds[k].stat_any, buffer);
			if (id >= 0)
				sem ? call(SEMCTL, id, 0, 0) : call(kinds[k].control, id, 0, 0);
		}
	}
	memcpy(name + 2, &own_text, 8);
	call(MQ_UNLINK, name);
	name[1] = '2';
	call(MQ_UNLINK, name);
}

static void serve(u64 user)
{
	u64 chld = 1ul << (SIGCHLD - 1), header[4];
	struct { s64 seconds, nanoseconds; } wait;
	in_fd = call(FCNTL, 0, 1030, 900);
	out_fd = call(FCNTL, 1, 1030, 901);
	if (in_fd < 900 || out_fd < 900)
		die("descriptors cannot be moved up: RLIMIT_NOFILE is too low");
	if (user && call(GETUID) != (s64)user) { /* a layer with users of its own, such as runsc */
		call(SETGROUPS, 0, 0);
		if (call(SETRESGID, user, user, user) < 0 || call(SETRESUID, user, user, user) < 0)
			die("cannot become another user");
	}
	limit(1, 16 << 20);  /* FSIZE */
	limit(4, 0);         /* CORE */
	limit(7, 1024);      /* NOFILE */
	limit(11, 256);      /* SIGPENDING */
	limit(8, 3 << 20);   /* MEMLOCK: clearly more than the executor has itself, for mlockall */
	limit(12, 65536);    /* MSGQUEUE */
	call(PRCTL, 36, 1);  /* SET_CHILD_SUBREAPER */
	call(PRCTL, 38, 1);  /* NO_NEW_PRIVS, as outside, which a layer need not tell */
	call(SIGPROCMASK, 0, &chld, 0, 8);
	if (call(MMAP, LOG_AT, LOG_ROOM, 3, 0x100021, -1, 0) != (s64)LOG_AT ||     /* SHARED|ANON|FIXED_NOREPLACE */
	    call(MMAP, DATA_AT, DATA_ROOM, 3, 0x100022, -1, 0) != (s64)DATA_AT)    /* PRIVATE */
		die("the fixed addresses are taken");
	/* What lies above the first mapping that a program makes is the kernel's affair (vvar): have the same there.
	 * And the first number of its kind, 0, is no more or less there than others. */
	call(MMAP, 0, 1 << 20, 0, 0x4022, -1, 0);
	call(SHMGET, 0, 4096, 0600);
	call(SEMGET, 0, 1, 0600);
	call(MSGGET, 0, 0600);
	remove_ipc();
	write_all(out_fd, "ready\n\0", 8);
	while (read_all(in_fd, header, sizeof header) == sizeof header) {
		/* words, time limit in ms, alone in the PID namespace, number of the program */
		u64 words = header[0], status = 0, timed_out = 0, left;
		u64 report[5];
		s64 pid;
		int ended = 0;
		if (words > sizeof program / 8)
			die("the program is too long");
		if (read_all(in_fd, program, words * 8) != words * 8)
			break;
		LOG->used = LOG->op = LOG->full = 0;
		set_own(header[3]);
		pid = call(CLONE, SIGCHLD);
		if (pid == 0)
			child(words);
		if (pid < 0)
			die("no more processes");
		wait.seconds = header[1] / 1000;
		wait.nanoseconds = header[1] % 1000 * 1000000;
		while (call(WAIT4, pid, &ended, 1, 0) == 0) {
			s64 got = call(SIGTIMEDWAIT, &chld, 0, &wait, 8);
			if (got == -EAGAIN) {
				timed_out = 1;
				call(KILL, pid, SIGKILL);
				call(KILL, -pid, SIGKILL);
				call(WAIT4, pid, &ended, 0, 0);
				break;
			}
		}
		status = ended & 0xffff;
		left = reap(pid, header[2]);
		remove_ipc();
		report[0] = LOG->used;
		report[1] = status;
		report[2] = timed_out | LOG->full << 1;
		report[3] = LOG->op;
		report[4] = left;
		write_all(out_fd, report, sizeof report);
		write_all(out_fd, LOG->words, report[0] * 8);
		memset(LOG->words, 0, report[0] * 8);
	}
	call(EXIT_GROUP, 0);
}

/* --- the jail */
static char text_buffer[64];

static void write_file(const char *path, const char *text)
{
	int fd = call(OPEN, path, O_WRONLY);
	call(WRITE, fd, text, length_of(text));
	call(CLOSE, fd);
}

static char *decimal(char *to, u64 value)
{
	char digits[20];
	int n = 0;
	do
		digits[n++] = '0' + value % 10;
	while (value /= 10);
	while (n)
		*to++ = digits[--n];
	*to = 0;
	return to;
}

static void identity_map(const char *path, u64 id)
{
	char *end = decimal(text_buffer, id);
	*end++ = ' ';
	end = decimal(end, id);
	memcpy(end, " 1", 3);
	write_file(path, text_buffer);
}

static int wait_for(s64 pid)
{
	int status = 0;
	s64 got;
	while ((got = call(WAIT4, -1, &status, 0, 0)) != pid)
		if (got < 0 && got != -EINTR)
			return 113;
	return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
}

/* Make a directory and all above it. */
static void make_path(const char *path)
{
	static char part[4096];
	for (u64 i = 0; path[i] && i < sizeof part - 1; i++) {
		part[i] = path[i];
		if (i && (path[i + 1] == '/' || !path[i + 1])) {
			part[i + 1] = 0;
			call(MKDIR, part, 0755);
		}
	}
}

/* `above` is covered by an empty directory that has nothing but `hidden` in it. */
static void expose(const char *above, const char *hidden)
{
	static char link[64] = "/proc/self/fd/";
	s64 fd = call(OPEN, hidden, 010000000); /* O_PATH */
	decimal(link + 14, fd);
	call(MOUNT, "none", above, "tmpfs", 6, "mode=755");
	make_path(hidden);
	if (call(MOUNT, link, hidden, 0, 0x5000, 0) < 0) /* BIND | REC */
		die("what the command needs cannot be shown to it");
	call(CLOSE, fd);
}

static void jail(char **words, char **environment)
{
	/* NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET; NEWUSER for those who may not otherwise */
	u64 flags = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000;
	u64 uid = number(words[0]), gid = number(words[1]), was_uid = call(GETUID);
	const char *from = words[2], *scratch = words[3];
	s64 pid, fd;
	if (call(UNSHARE, flags | (was_uid ? 0x10000000 : 0)) < 0)
		die("no namespaces for the programs: run as root, or permit unprivileged user namespaces");
	if (was_uid) {
		identity_map("/proc/self/uid_map", uid);
		write_file("/proc/self/setgroups", "deny");
		identity_map("/proc/self/gid_map", gid);
	}
	pid = call(CLONE, SIGCHLD);
	if (pid) {
		call(PRCTL, 1, SIGKILL);
		call(EXIT_GROUP, wait_for(pid));
	}
	call(PRCTL, 1, SIGKILL); /* PDEATHSIG: the namespace ends with the one who started it */
	call(MOUNT, "none", "/", 0, 0x44000, 0);          /* REC | PRIVATE */
	for (words += 4; words[0][0] == '/'; words += 2)
		expose(words[0], words[1]);
	call(MOUNT, from, scratch, 0, 0x1000, 0);         /* BIND */
	call(MOUNT, "proc", "/proc", "proc", 0xe, 0);     /* NOSUID | NODEV | NOEXEC */
	call(CHDIR, scratch);
	fd = call(SOCKET, 2, 2, 0);
	if (fd >= 0) {
		struct { char name[16]; u64 flags, rest[2]; } request = { "lo", 0x41, { 0, 0 } };
		call(IOCTL, fd, 0x8914, &request); /* SIOCSIFFLAGS: up */
		call(CLOSE, fd);
	}
	pid = call(CLONE, SIGCHLD);
	if (pid)
		call(EXIT_GROUP, wait_for(pid));
	if (!was_uid) {
		call(SETPRIORITY, 0, 0, 0);
		call(SETGROUPS, 0, 0);
		if (call(SETRESGID, gid, gid, gid) < 0 || call(SETRESUID, uid, uid, uid) < 0)
			die("cannot become the user of the programs");
	}
	call(SETSID);
	call(PERSONALITY, 0x0040000); /* ADDR_NO_RANDOMIZE */
	call(PRCTL, 38, 1); /* NO_NEW_PRIVS */
	call(PRCTL, 4, 1);  /* DUMPABLE: another user's /proc/self is root's */
	call(EXECVE, words[1], words + 1, environment);
	die("the command cannot be executed");
}

void start(u64 *stack)
{
	u64 argc = stack[0];
	char **argv = (char **)(stack + 1), **environment = argv + argc + 1;
	if (argc >= 2 && argv[1][0] == 's')
		serve(argc > 2 ? number(argv[2]) : 0);
	if (argc >= 8 && argv[1][0] == 'j')
		jail(argv + 2, environment);
	die("usage: executor serve [uid] | executor jail uid gid from scratch [above hidden]... -- command...");
}
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call start\n hlt\n");
