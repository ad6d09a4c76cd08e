"""What the declarations do not say about arguments: values worth trying, groups of calls, and calls that are left out,
each with its reason."""

from __future__ import annotations

from syscalls.fuzz.program import NUMBERS
from syscalls.table import TABLE

GROUPS: dict[str, tuple[str, ...]] = {
    "files": ("attr", "dir", "stat", "path", "open", "xattr", "lock", "landlock"),
    "io": ("io", "descriptors", "fcntl", "storage", "transfer", "ioctl"),
    "memory": ("memory", "numa", "shm"),
    "process": ("process", "ids", "limits", "misc", "prctl", "kcmp", "sched", "pidfd", "exec"),
    "signals": ("signal",),
    "time": ("time",),
    "poll": ("poll", "epoll", "eventfds", "inotify"),
    "sockets": ("net",),
    "ipc": ("ipc", "mqueue", "futex"),
    "aio": ("aio",),
    "mounts": ("mount",),
}
"""Groups of `--calls`: the modules of syscalls/calls whose calls belong to each."""

BORROWED: dict[str, tuple[str, ...]] = {
    "files": ("close", "read", "write", "lseek", "dup", "ftruncate", "fcntl", "getdents64", "umask", "chdir"),
    "io": ("open", "openat", "pipe2", "eventfd2", "memfd_create", "socketpair", "truncate", "fstat"),
    "memory": ("open", "ftruncate", "memfd_create", "close", "write"),
    "process": ("kill", "getpid", "wait4", "waitid"),
    "signals": ("getpid", "gettid", "wait4", "setitimer", "alarm", "pipe2", "read", "signalfd4", "nanosleep"),
    "time": ("rt_sigprocmask", "rt_sigpending", "timerfd_create", "timerfd_settime", "timerfd_gettime", "read"),
    "poll": ("pipe2", "socketpair", "write", "read", "close", "dup", "open", "unlink", "rename", "mkdir",
             "rt_sigprocmask",
             "kill"),
    "sockets": ("read", "write", "close", "dup", "poll", "fcntl", "ioctl", "fstat", "readv", "writev", "sendfile",
                "unlink"),
    "ipc": ("getpid", "close", "fstat"),
    "aio": ("open", "pipe2", "eventfd2", "read", "write", "close"),
    "mounts": ("open", "mkdir", "chdir"),
}
"""Calls of other groups that make the objects a group works on."""

EXCLUDED: dict[str, str] = {
    "rt_sigreturn": "without a signal frame it takes any words of the stack for registers",
    "vfork": "the child would run on the executor's stack",
    "clone": "made by blocks, with the flags of a process and of a thread; others share the executor's stack",
    "clone3": "as clone",
    "fork": "made by blocks",
    "exit": "ends the program: a rule of the machine",
    "exit_group": "ends the program: a rule of the machine",
    "pause": "sleeps until a signal",
    "sync": "flushes the whole machine",
    "syncfs": "flushes a whole file system",
    "reboot": "must not be tried on a machine that is in use",
    "ptrace": "two processes must run at once, which blocks do not",
    "getrusage": "a measure of the machine's work; its errors are compared by the sweep of bad pointers",
    "sysinfo": "the state of the machine, as getrusage",
    "restart_syscall": "means something only inside a signal's return",
    "personality": "READ_IMPLIES_EXEC and others change the layout of what follows on the real processor only",
    "seccomp": "filters the executor's own calls",
    "process_mrelease": "works on dying processes only",
    "sched_yield": "has no result",
    "syslog": "what anybody may read is a setting of the machine (kernel.dmesg_restrict)",
    "sysfs": "file system types are the kernel's own",
    "name_to_handle_at": "handles are the file system's own, with lengths and flags of each",
    "open_by_handle_at": "as name_to_handle_at",
    "rseq": "the kernel writes its area whenever it schedules the thread",
    "vhangup": "needs a privilege, and a terminal",
}

SKIPPED_LEVELS = ("REFUSED", "STUB", "MISSING")
"""Support levels whose answer is declared, not Linux's."""

INTERESTING = (0, 1, 2, 3, 4, 5, 7, 8, 10, 16, 100, 255, 256, 4095, 4096, 4097, 65535, 65536, 0x7FFFFFFF, -1, -2)
SIZES = (0, 1, 2, 4, 7, 8, 12, 16, 24, 32, 64, 100, 128, 256, 512, 0x7FFFFFFF, -1, 1 << 63)
OFFSETS = (0, 0, 1, 5, 16, 63, 64, 65, 100, 4096, 5000, -1, -64, 1 << 40, (1 << 63) - 1, -(1 << 63))
LENGTHS = (0, 1, 4095, 4096, 4096, 8192, 12288, 16384, 0x10000, -1)
UIDS = (0, 1, 1000, 65534, 65534, 65535, 0xFFFFFFFF)
SIGNALS = (0, 1, 2, 3, 6, 8, 10, 11, 12, 13, 14, 15, 17, 18, 20, 23, 28, 32, 34, 35, 64, 65, -1)
MODES = (0, 0o400, 0o600, 0o644, 0o755, 0o777, 0o1777, 0o2755, 0o4755, 0o7777)

PATHS: tuple[bytes, ...] = (
    b"f", b"e", b"n", b"x", b"d", b"d/g", b"r", b"r/h", b"r/new", b"l", b"dl", b"dl/g", b"dang", b"loop", b"p", b"new",
    b"new2",
    b"d/new", b"new/sub", b".", b"..", b"", b"/", b"f/", b"d/", b"d/.", b"d/..", b"./f", b"f/x", b"new/", b"dl/",
    b"dang/", b"d//g",
    b"none/x", b"/dev/null", b"/proc/self/fd/0", b"/proc/self", b"/nonexistent", b"l/", b"loop/x", b"n/x", b"a" * 255,
    b"a" * 256,
    b"d/" * 2047 + b"f", b"/" + b"a/" * 2047 + b"b", b"\xff\x01",
)
TARGETS: tuple[bytes, ...] = (b"f", b"d", b"..", b"none", b"", b"new", b"/dev/null", b"a" * 300, b"x" * 4095)
XATTR_NAMES: tuple[bytes, ...] = (b"user.a", b"user.b", b"user.", b"user", b"", b"trusted.a", b"security.a",
                                  b"system.a", b"other.a",
                                  b"user." + b"n" * 250, b"user." + b"n" * 251)

VALUES: dict[str, tuple[int, ...]] = {
    "file_getattr.usize": (*[24] * 8, 32, 23, 0, 4096, 4097),
    "file_setattr.usize": (*[24] * 8, 32, 23, 0, 4097),
    "file_getattr.at_flags": (*[0] * 6, 0x100, 0x100, 0x1000, 0x1000, 1, 0x200),
    "file_setattr.at_flags": (*[0] * 6, 0x100, 0x100, 0x1000, 0x1000, 1, 0x200),
    "landlock_create_ruleset.size": (*[24] * 12, 16, 8, 7, 0, 25, 4096, 4097),
    "landlock_create_ruleset.flags": (*[0] * 16, 1, 3, 1 << 31),
    "landlock_add_rule.kind": (1, 1, 1, 1, 2, 0, 3),
    "landlock_add_rule.flags": (*[0] * 16, 1),
    "landlock_restrict_self.flags": (*[0] * 12, 1, 2, 4, 7, 8),
    "whence": (0, 1, 2, 3, 4, 5, 99),
    "clock": (0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, -1, -2, -6, 99),
    "clock_nanosleep.clock": (0, 1, 4, 5, 6, 7, 10, 11, 12, -1, 99),
    "clock_id": (0, 1, 2, 4, 5, 7, 11, 99),
    "how": (0, 1, 2, 3, -1),
    "which": (0, 1, 2, -1),
    "setpriority.which": (0, 1, -1, 99),
    "ioprio_set.which": (0, 1, 2, 4, -1),
    "ioprio_get.which": (0, 1, 2, 4, -1),
    "pkey": (-1, -1, 5, 99),
    "who": (0, -1, 0x3FFFFFFF),
    "nice": (0, 1, 5, 19, 20, -1, 100, -100),
    "resource": (*range(17), 99),
    "policy": (0, 1, 2, 3, 4, 5, 6, 7, 99, -1, 0x40000000),
    "advice": (*range(8), *range(8, 26), 99, 100, 102, 103, -1),
    "madvise.advice": (0, 1, 2, 3, 4, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 99, 102,
                       103),
    "fadvise64.advice": (0, 1, 2, 3, 4, 5, 6, -1),
    "process_madvise.advice": (4, 20, 21, 3, 25, 99),
    "msync.flags": (0, 1, 2, 3, 4, 5, 6, 8),
    "mremap.flags": (0, 1, 1, 1, 2, 3, 3, 4, 5, 7, 8),
    "mmap.flags": (0x22, 0x22, 0x32, 0x32, 0x21, 0x31, 0x01, 0x11, 0x02, 0x12, 0x100022, 0x100032, 0x03, 0x20, 0,
                   0x4022, 0x8022,
                   0x2022, 0x20022, 0x40022, 0x122, 0x80003, 0x62),
    "prot": (0, 1, 3, 3, 3, 2, 4, 5, 7, 8, 0x1000000, 0x2000003, 0x100),
    "backlog": (0, 1, 5, -1),
    "seconds": (0, 0, 1000, 100000, 0xFFFFFFFF),
    "nfds": (0, 1, 2, 8, 64, 65, 1024, 1025, -1, 0x7FFFFFFF),
    "vlen": (0, 1, 1, 2, 2, 3, 1024, 1025, -1),
    "timeout": (0, 0, 1, 3),
    "maxevents": (0, 1, 2, 4, 8, -1, 0x7FFFFFFF),
    "semctl.command": (0, 1, 2, 11, 12, 13, 14, 15, 16, 17, 99),
    "shmctl.command": (0, 1, 2, 11, 12, 99),
    "msgctl.command": (0, 1, 2, 99),
    "shmat.flags": (0, 0, 0o10000, 0o20000, 0o40000, 0o100000),
    "shmget.flags": (0o1600, 0o1600, 0o3600, 0o600, 0o1400, 0, 0o1000),
    "semget.flags": (0o1600, 0o1600, 0o3600, 0o600, 0o1200, 0, 0o1000),
    "msgget.flags": (0o1600, 0o1600, 0o3600, 0o600, 0o1400, 0, 0o1000),
    "semget.count": (0, 1, 1, 2, 3, -1, 32000, 32001),
    "msgsnd.flags": (0o4000, 0o4000, 0o4000, 0o4000 | 0x10000),
    "msgrcv.flags": (0o4000, 0o4000, 0o14000, 0o24000, 0o44000, 0o54000),
    "msgrcv.kind": (0, 0, 1, 2, 5, -1, -2, -5, -(1 << 63), (1 << 63) - 1),
    "semop.count": (0, 1, 1, 1, 2, 501, -1),
    "semtimedop.count": (0, 1, 1, 2, 501),
    "number": (0, 1, 2, -1),
    "fcntl.command": (0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 15, 16, 17, 36, 37, 1024, 1025, 1026, 1027, 1028, 1030, 1031,
                      1032, 1033,
                      1034, 1035, 1036, 1037, 1038, 99),
    "ioctl.code": (0x5401, 0x5411, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451, 0x5452, 0x5460, 0x8901, 0x8902, 0x8903,
                   0x8904, 0x8905,
                   0x80086601, 0x40086602, 0x801C581F, 0x401C5820, 0x4004667F, 0x80047601, 0x540F, 0x5410, 0, 0x1234),
    "cookie": (0, 1),
    "level": (1, 1, 1, 1, 0, 6, 17, 41, 270, 99, -1),
    "optname": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 16, 17, 18, 20, 21, 25, 28, 29, 30, 31, 35, 36, 37, 38, 39,
                42, 57, 59, 75,
                76, 77, 11, 19, 26, 0, 99, -1),
    "optlen": (0, 1, 2, 4, 4, 4, 8, 16, 64, -1),
    "domain": (1, 1, 1, 2, 2, 10, 0, 45, 46, 99, -1),
    "socket.type": (1, 2, 5, 0o4001, 0o4002, 0o2000001, 3, 4, 0, 6, 15, 0o4000, 0x101),
    "socketpair.type": (1, 2, 5, 0o4001, 0o4002, 0o4005, 0o2000001, 3, 4, 0, 0x101),
    "protocol": (0, 0, 0, 6, 17, 255, -1),
    "epoll_ctl.op": (1, 1, 1, 2, 3, 4, 0),
    "operation": (1, 2, 4, 5, 6, 8, 12, 3, 7, 0, 32, 64),
    "futex.operation": (1, 129, 3, 4, 5, 6, 7, 8, 10, 131, 132, 137, 0x81, 138, 11, 12, 13, 14, 99, 0x181),
    "futex_wake.flags": (2, 2, 0x82, 0x82, 6, 0x86, 10, 0x12, 0),
    "futex_wait.flags": (2, 2, 0x82, 0x82, 6, 0x86, 10, 0x12, 0),
    "futex_wake.mask": (0xFFFFFFFF, 1, 2, 0, 1 << 32),
    "futex_wait.mask": (0xFFFFFFFF, 1, 2, 0, 1 << 32),
    "futex_wait.value": (0, 1, 1, 5, 1 << 32),
    "futex_wait.clock": (1, 1, 0, 7, -1),
    "futex_waitv.clock": (1, 1, 0, 7, -1),
    "mseal.flags": (0, 0, 0, 0, 1),
    "kind": (0, 1, 2, 3, 4, 99),
    "persona": (0, 0xFFFFFFFF),
    "mask": (0, 0o22, 0o77, 0o777, 0o7777),
    "umask.mask": (0, 0o22, 0o77, 0o777, 0o7777, -1),
    "arch_prctl.code": (0x1003, 0x1004, 0x1001, 0x1011, 0x1012, 0x3001, 0, 99),
    "membarrier.command": (1, 2, 4, 8, 16, 32, 64, 512, 1024, -1),
    "dev": (0, 0x103, 0x501, 0xFFFFFFFF),
    "mknod.mode": (0o100644, 0o10644, 0o140644, 0o20644, 0o60644, 0o40755, 0o644, 0, 0o120777, 0o100000),
    "mknodat.mode": (0o100644, 0o10644, 0o140644, 0o20644, 0o60644, 0o40755, 0o644, 0, 0o120777),
    "prctl.option": (1, 2, 3, 4, 7, 8, 13, 14, 15, 16, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 33, 34, 36, 37,
                     38, 39, 40, 41,
                     42, 45, 46, 47, 52, 53, 62, 65, 66, 69, 0, 99),
    "unshare.flags": (0, 0x200, 0x400, 0x600, 0x40000, 0x100, 0x800, 0x10000, 0x20000, 0x4000000, 0x8000000, 0x40000000,
                      1),
    "setns.kind": (0, 0x20000, 0x8000000, 1),
    "close_range.first": (3, 4, 5, 100, -1, 0),
    "close_range.last": (3, 5, 100, -1, 0),
    "mlockall.flags": (0, 1, 2, 3, 4, 5, 7, 8),
    "mlock2.flags": (0, 1, 2),
    "memfd_create.flags": (0, 1, 2, 3, 8, 16, 24, 4, 32, 0x14),
    "mbind.mode": (0, 1, 2, 3, 4, 5, 99, 0x8000),
    "set_mempolicy.mode": (0, 1, 2, 3, 4, 5, 99),
    "maximum": (0, 1, 2, 64, 1024, 4097, -1),
    "remap_file_pages.prot": (0, 1),
    "ioprio_set.priority": (0, 0x4004, 0x2004, 0x6000, 0x8000, -1),
    "syslog.kind": (0, 1, 2, 3, 4, 9, 10, 11, -1),
    "io_setup.events": (0, 1, 8, 0x7FFFFFFF),
    "kcmp.kind": (0, 1, 2, 3, 4, 5, 6, 7, 8, -1),
    "waitid.kind": (0, 1, 2, 3, 4),
    "timerfd_settime.flags": (0, 0, 1, 2, 3, 4),
    "timer_settime.flags": (0, 0, 1, 2),
    "clock_nanosleep.flags": (0, 0, 1, 2),
}
"""Values by `call.parameter`, or by the parameter's name alone."""


def calls_of(group: str) -> list[str]:
    """The calls of a group that are fuzzed, by the modules that declare them."""
    out = []
    for record in TABLE:
        if record is None or record.name in EXCLUDED or record.support.level in SKIPPED_LEVELS:
            continue
        if record.handler.__module__.rpartition(".")[2] in GROUPS[group]:
            out.append(record.name)
    return out


def group_calls(group: str) -> list[str]:
    """The calls of a group, and those it borrows to make its objects."""
    own = calls_of(group)
    return own + [name for name in BORROWED.get(group, ()) if name not in own and name in NUMBERS]
