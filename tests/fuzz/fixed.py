"""Programs that once showed a difference between pylx and Linux, by what was wrong: a difference must not come back."""

from __future__ import annotations

from syscalls.fuzz.program import (
    DATA_ROOM,
    Arena,
    Block,
    Call,
    Code,
    Const,
    Data,
    Load,
    Program,
    Result,
    Store,
    StoreValue,
)


def iocb(operation: int, buf: int, count: int, offset: int, fd: Result | None,
         *after: StoreValue) -> tuple[Store | StoreValue, ...]:
    """A struct iocb at 0x200, and the array with its address at 0x300."""
    words = (7, 0, operation, buf, count, offset, 0, 0)
    return (Store(0x200, b"".join(word.to_bytes(8, "little") for word in words)),
            *((StoreValue(0x214, 4, fd),) if fd is not None else ()), *after, StoreValue(0x300, 8, Data(0x200)))


AIO = (Call(1, "io_setup", (Const(8), Data(0x100))), Load(2, 0x100, 8))
SUBMIT = Call(9, "io_submit", (Result(2), Const(1), Data(0x300)))
EVENTFD = Call(3, "eventfd2", (Const(0), Const(0)))

FIXED = {
    "a pidfd is a regular file inside": Program((
        Call(1, "getpid", ()), Call(2, "pidfd_open", (Result(1), Const(0))),
        Call(3, "sync_file_range", (Result(2), Const(0), Const(0), Const(0))),
        Call(4, "ftruncate", (Result(2), Const(0))), Call(5, "readahead", (Result(2), Const(0), Const(1))),
        Call(6, "fallocate", (Result(2), Const(0), Const(0), Const(1))))),
    "aio: nothing is read or written": Program((
        *AIO, EVENTFD, *iocb(0, 0, 0, 0, Result(3)), SUBMIT, *iocb(1, 0, 0, 0, Result(3)),
        Call(10, "io_submit", (Result(2), Const(1), Data(0x300))), Call(11, "pipe2", (Data(0x600), Const(0))),
        Load(12, 0x600, 4), *iocb(0, 0, 0, 0, Result(12)), Call(13, "io_submit", (Result(2), Const(1), Data(0x300))),
        Call(14, "io_getevents", (Result(2), Const(0), Const(8), Data(0x400), Const(0))))),
    "a count of an eventfd that ends beyond memory": Program((
        EVENTFD, Call(2, "write", (Result(3), Data(DATA_ROOM - 1), Const(8))),
        Call(4, "write", (Result(3), Data(DATA_ROOM - 8), Const(7))))),
    "directories of proc and of sysfs end at 0, those of devices nowhere": Program((
        Store(64, b"/proc/self\0"), Store(80, b"/sys\0"), Store(96, b"/dev\0"),
        Call(1, "open", (Data(64), Const(0))), Call(2, "lseek", (Result(1), Const(0), Const(2))),
        Call(3, "open", (Data(80), Const(0))), Call(4, "lseek", (Result(3), Const(5), Const(2))),
        Call(5, "open", (Data(96), Const(0))), Call(6, "lseek", (Result(5), Const(0), Const(2))))),
    "aio: fsync takes no buffer": Program((*AIO, *iocb(2, 0, 4, 5, None), SUBMIT)),
    "aio: an eventfd has no asynchronous write": Program((*AIO, EVENTFD, *iocb(1, 0, 8, 0, Result(3)), SUBMIT)),
    "aio: flags and addresses are looked at": Program((
        *AIO, Store(64, b"f\0"), Call(3, "open", (Data(64), Const(2))),
        *iocb(0, 1 << 63, 8, 0, Result(3)), SUBMIT,
        *iocb(0, 1 << 63, 1 << 63, 0, Result(3)), Call(10, "io_submit", (Result(2), Const(1), Data(0x300))),
        *iocb(8, 1, 2, 0, Result(3)), Call(11, "io_submit", (Result(2), Const(1), Data(0x300))),
        *iocb(0, 0, 0, 0, Result(3), StoreValue(0x20C, 4, Const(1 << 20))),
        Call(12, "io_submit", (Result(2), Const(1), Data(0x300))))),
    "what cannot be read at all": Program((
        Call(1, "epoll_create1", (Const(0),)), Call(2, "read", (Result(1), Const(0x7FFFFFFFF000), Const(24))),
        Call(3, "readv", (Result(1), Data(64), Const(1024))), Call(4, "readv", (Result(1), Data(64), Const(0))),
        Call(7, "write", (Result(1), Const(0), Const(512))),
        Call(5, "write", (Result(1), Const(0), Const(-1))), Call(6, "writev", (Result(1), Const(1), Const(1))))),
    "each part of a vector is a write of an eventfd": Program((
        EVENTFD, Store(0x200, bytes(48)), Store(0x240, b"\5"), StoreValue(0x200, 8, Data(0x240)),
        StoreValue(0x208, 8, Const(8)), StoreValue(0x210, 8, Data(0x240)), StoreValue(0x218, 8, Const(8)),
        Call(4, "writev", (Result(3), Data(0x200), Const(2))), Call(5, "read", (Result(3), Data(0x280), Const(8))),
        StoreValue(0x208, 8, Const(0)), Call(6, "writev", (Result(3), Data(0x200), Const(2))))),
    "each part of a vector is a read of inotify": Program((
        Call(1, "inotify_init1", (Const(0o4000),)), Store(64, b".\0"), Store(80, b"f\0"),
        Call(2, "inotify_add_watch", (Result(1), Data(64), Const(0xFFF))), Call(3, "chmod", (Data(80), Const(0o600))),
        Store(0x200, bytes(32)), StoreValue(0x210, 8, Data(0x400)), StoreValue(0x218, 8, Const(128)),
        Call(4, "readv", (Result(1), Data(0x200), Const(2))))),
    "copy_file_range: the end before the sign, the limit before the overlap": Program((
        Call(1, "memfd_create", (Data(0x500), Const(0))), Store(0x100, b"\xff" * 8),
        Store(0x110, b"\xff" * 7 + b"\x7f"),
        Call(2, "copy_file_range", (Result(1), Data(0x120), Result(1), Data(0x100), Const(16), Const(0))),
        Call(3, "copy_file_range", (Result(1), Data(0x120), Result(1), Data(0x110), Const(0), Const(0))))),
    "a name after a directory that was closed to us": Program((
        Store(64, b"d/..\0"), Store(80, b"..\0"), Call(1, "fchmodat", (Const(-100), Data(64), Const(0))),
        Call(2, "mkdirat", (Const(-100), Data(80), Const(0))))),
    "select looks as far as the table ever was": Program((
        Store(0x100, bytes(128)), Call(1, "select", (Const(1024), Data(0x100), Data(16376), Data(0x100), Const(0))))),
    "nobody's signals": Program((
        Call(1, "fcntl", (Const(0), Const(16), Data(64))), Call(2, "fcntl", (Const(0), Const(8), Const(0))),
        Call(3, "fcntl", (Const(0), Const(16), Data(80))))),
    "a file that was made": Program((
        Store(64, b"new\0"), Call(1, "creat", (Data(64), Const(0o600))),
        Call(2, "fcntl", (Result(1), Const(1028), Const(0))))),
    "the time when a device was made": Program((
        Store(64, b"/dev/null\0"), Call(1, "statx", (Const(0), Data(64), Const(0), Const(0xFFF), Data(128))))),
    "part of a directory": Program((
        Store(64, b".\0"), Call(1, "open", (Data(64), Const(0))),
        Call(2, "getdents64", (Result(1), Data(256), Const(100))),
        Call(3, "getdents64", (Result(1), Data(512), Const(2000))))),
    "the number of the process, whole and in part": Program((
        Store(64, b"/proc/self\0"), Call(1, "readlink", (Data(64), Data(256), Const(100))),
        Call(2, "readlink", (Data(64), Data(512), Const(1))))),
    "vmsplice: what lies in the pipe is the memory itself": Program((
        Call(1, "pipe", (Data(64),)), Load(2, 64), Load(3, 68), Store(0x200, b"before"), Store(0x300, bytes(32)),
        StoreValue(0x300, 8, Data(0x200)), StoreValue(0x308, 8, Const(6)),
        Call(4, "vmsplice", (Result(3), Data(0x300), Const(1), Const(0))), Store(0x200, b"after!"),
        Call(5, "read", (Result(2), Data(0x400), Const(10))))),
    "vmsplice: a slot is taken as a whole": Program((
        Call(1, "pipe", (Data(64),)), Load(2, 64), Load(3, 68), Call(4, "write", (Result(3), Data(0), Const(6000))),
        Store(0x300, bytes(32)), StoreValue(0x300, 8, Data(DATA_ROOM - 16)), StoreValue(0x308, 8, Const(100)),
        Call(5, "vmsplice", (Result(2), Data(0x300), Const(1), Const(0))), StoreValue(0x300, 8, Data(0x400)),
        StoreValue(0x308, 8, Const(5000)), StoreValue(0x310, 8, Const(1)), StoreValue(0x318, 8, Const(500)),
        Call(6, "vmsplice", (Result(2), Data(0x300), Const(2), Const(0))))),
    "vmsplice: each page has a slot of its own": Program((
        Call(1, "pipe", (Data(64),)), Load(2, 64), Load(3, 68), Store(0x300, bytes(16)),
        StoreValue(0x300, 8, Data(4090)), StoreValue(0x308, 8, Const(12)),
        *(Call(4 + n, "vmsplice", (Result(3), Data(0x300), Const(1), Const(2))) for n in range(10)))),
    "flags where each part is a transfer of its own": Program((
        EVENTFD, Store(0x200, bytes(16)), StoreValue(0x200, 8, Data(0x240)), StoreValue(0x208, 8, Const(8)),
        Call(4, "pwritev2", (Result(3), Data(0x200), Const(1), Const(-1), Const(0), Const(12))))),
    "attributes of the working directory, without a path": Program((
        Store(64, b"user.a\0"),
        Call(1, "listxattrat", (Const(-100), Const(0), Const(0x1000), Data(256), Const(100))),
        Call(2, "removexattrat", (Const(-100), Const(0), Const(0x1000), Data(64))),
        Call(3, "listxattrat", (Const(-100), Data(128), Const(0x1000), Data(256), Const(100))))),
    "the attribute of a socket": Program((
        Call(1, "socketpair", (Const(1), Const(1), Const(0), Data(64))), Load(2, 64),
        Store(128, b"system.sockprotoname\0"), Call(3, "flistxattr", (Result(2), Data(256), Const(12))),
        Call(4, "flistxattr", (Result(2), Data(256), Const(100))),
        Call(5, "fgetxattr", (Result(2), Data(128), Data(512), Const(100))),
        Call(6, "fsetxattr", (Result(2), Data(128), Data(512), Const(3), Const(0))))),
    "an object is copied as a whole or not at all": Program((
        Call(1, "eventfd2", (Const(5), Const(0))), Store(0x200, bytes(16)), StoreValue(0x200, 8, Data(DATA_ROOM - 4)),
        StoreValue(0x208, 8, Const(16)), Call(2, "readv", (Result(1), Data(0x200), Const(1))),
        Call(3, "eventfd2", (Const(5), Const(0))), Call(4, "read", (Result(3), Data(DATA_ROOM - 4), Const(8))),
        Call(5, "pipe", (Data(64),)), Load(6, 64), Load(7, 68), Call(8, "write", (Result(7), Data(0), Const(6))),
        Call(9, "readv", (Result(6), Data(0x200), Const(1))))),
    "capabilities leave attributes of anonymous objects alone": Program((
        EVENTFD, Store(64, b"security.a\0"), Call(4, "fremovexattr", (Result(3), Data(64))),
        Call(5, "fsetxattr", (Result(3), Data(64), Data(128), Const(4), Const(0))))),
    "names that proc does not know": Program((
        Store(64, b"/proc/self\0"), Store(80, b"dl\0"), Store(96, b"/proc/self/fd/0\0"), Store(128, b"f\0"),
        Call(1, "unlink", (Data(96),)), Call(2, "rmdir", (Data(96),)), Call(3, "chdir", (Data(64),)),
        Call(4, "renameat", (Const(-1), Data(64), Const(-100), Data(80))),
        Call(5, "rename", (Data(64), Data(80))), Call(6, "link", (Data(96), Data(80))))),
    "the end of a transfer comes before its flags": Program((
        Store(0x200, bytes(16)), StoreValue(0x208, 8, Const(5)),
        Call(2, "preadv2", (Const(0), Data(0x200), Const(1), Const(0x7FFFFFFFFFFFFFFF), Const(0), Const(1 << 30))),
        Call(3, "pwritev2", (Const(0), Data(0x200), Const(1), Const(0x7FFFFFFFFFFFFFFF), Const(0), Const(1 << 30))))),
    "Landlock: rights, rules and what is left": Program((
        Store(0x100, (0xFFFF).to_bytes(8, "little") + bytes(16)), Store(64, b"d\0"), Store(80, b"f\0"),
        Store(96, b"d/g\0"), Call(1, "landlock_create_ruleset", (Data(0x100), Const(24), Const(0))),
        Call(2, "open", (Data(64), Const(0o10000000))), Store(0x200, (0x4).to_bytes(8, "little") + bytes(8)),
        StoreValue(0x208, 4, Result(2)), Call(3, "landlock_add_rule", (Result(1), Const(1), Data(0x200), Const(0))),
        Call(4, "landlock_restrict_self", (Const(-1), Const(4))),
        Call(5, "landlock_restrict_self", (Result(1), Const(8))),
        Call(6, "landlock_restrict_self", (Result(1), Const(1))), Call(7, "open", (Data(80), Const(0))),
        Call(8, "open", (Data(96), Const(0))), Call(9, "open", (Data(96), Const(2))), Call(10, "unlink", (Data(80),)),
        Call(11, "landlock_create_ruleset", (Const(0), Const(0), Const(4))))),
    "sendfile of nothing, and of a directory": Program((
        Store(64, b".\0"), Call(1, "open", (Data(64), Const(0))),
        Call(2, "sendfile", (Const(0), Result(1), Const(0), Const(0))),
        Call(3, "sendfile", (Const(0), Result(1), Const(0), Const(1))))),
    "the inode of anonymous objects does not change": Program((
        EVENTFD, Store(0x200, bytes(32)), Call(4, "utimensat", (Result(3), Const(0), Data(0x200), Const(0))),
        Call(5, "utimensat", (Result(3), Const(0), Const(0), Const(0))))),
    "sendfile of an empty file to what takes none": Program((
        Store(64, b"e\0"), Call(1, "open", (Data(64), Const(0))), Call(2, "epoll_create1", (Const(0),)),
        Call(3, "sendfile", (Result(2), Result(1), Const(0), Const(2))))),
    "no signals from an eventfd": Program((
        EVENTFD, Store(64, b"\1\0\0\0"), Call(4, "ioctl", (Result(3), Const(0x5452), Data(64))))),
    "sync_file_range of what has no fsync": Program((
        Store(64, b"/proc/self\0"), Call(1, "open", (Data(64), Const(0))),
        Call(2, "sync_file_range", (Result(1), Const(0), Const(0), Const(7))))),
    "attributes of a file": Program((
        Store(64, b"f\0"), Call(1, "file_getattr", (Const(-100), Data(64), Data(256), Const(24), Const(0))),
        Store(0x300, bytes(24)), Store(0x300, b"\xc0"),
        Call(2, "file_setattr", (Const(-100), Data(64), Data(0x300), Const(24), Const(0))),
        Call(3, "file_getattr", (Const(-100), Data(64), Data(512), Const(32), Const(0))))),
    "select takes an O_PATH descriptor for ready": Program((
        Store(64, b"f\0"), Call(1, "open", (Data(64), Const(0o10000000))),
        *(Store(0x100 + 128 * n, b"\x08" + bytes(127)) for n in range(3)),
        Call(2, "select", (Const(8), Data(0x100), Data(0x180), Data(0x200), Const(0))))),
    "leases of a file in memory, which nobody opened": Program((
        Call(1, "memfd_create", (Data(64), Const(0))), Call(2, "fcntl", (Result(1), Const(1024), Const(0))),
        Call(3, "fcntl", (Result(1), Const(1024), Const(2))), Call(4, "fcntl", (Result(1), Const(1024), Const(1))))),
    "what has no position": Program((
        Store(0x100, (0xFFFF).to_bytes(8, "little") + bytes(16)),
        Call(1, "landlock_create_ruleset", (Data(0x100), Const(24), Const(0))),
        Call(2, "lseek", (Result(1), Const(0), Const(0))), Call(3, "getpid"),
        Call(4, "pidfd_open", (Result(3), Const(0))), Call(5, "lseek", (Result(4), Const(0), Const(0))))),
    "positions in a directory": Program((
        Store(64, b".\0"), Call(1, "open", (Data(64), Const(0))),
        Call(2, "lseek", (Result(1), Const(-1), Const(2))), Call(3, "lseek", (Result(1), Const(0), Const(1))),
        Call(4, "lseek", (Result(1), Const(1 << 40), Const(0))),
        Call(5, "getdents64", (Result(1), Data(256), Const(2000))), Call(6, "lseek", (Result(1), Const(5), Const(1))),
        Call(7, "lseek", (Result(1), Const(0), Const(0))), Call(8, "getdents64", (Result(1), Data(256), Const(2000))),
        Call(9, "lseek", (Result(1), Const(0), Const(1))))),
    "nobody reads: before the data is looked at": Program((
        Call(1, "pipe2", (Data(64), Const(0))), Load(2, 64), Load(3, 68), Call(4, "close", (Result(2),)),
        Call(5, "write", (Result(3), Const(1), Const(24))))),
    "no room: before the data is looked at": Program((
        Call(1, "pipe2", (Data(64), Const(0o4000))), Load(2, 64), Load(3, 68),
        Call(4, "fcntl", (Result(3), Const(1031), Const(4096))), Call(5, "write", (Result(3), Data(0), Const(4000))),
        Call(6, "write", (Result(3), Const(1), Const(24))), Call(7, "write", (Result(3), Const(1), Const(97))),
        Call(8, "write", (Result(3), Const(1), Const(4096))))),
    "the place of the process in proc": Program((
        Store(64, b"/proc/self\0"), Store(80, b"/proc/self/fd\0"), Call(1, "chdir", (Data(64),)),
        Call(2, "getcwd", (Data(256), Const(32))), Call(3, "chdir", (Data(80),)),
        Call(4, "getcwd", (Data(512), Const(32))))),
    "chattr of directories and of devices": Program((
        Store(64, b"d\0"), Call(1, "open", (Data(64), Const(0))), Store(0x100, b"\x40" + bytes(27)),
        Call(2, "ioctl", (Result(1), Const(0x80086601), Data(0x200))),
        Call(3, "ioctl", (Result(1), Const(0x401C5820), Data(0x100))),
        Call(4, "ioctl", (Result(1), Const(0x801C581F), Data(0x300))), Store(0x100, b"\xff" * 4),
        Call(5, "ioctl", (Const(0), Const(0x401C5820), Data(0x100))),
        Call(6, "ioctl", (Const(0), Const(0x40086602), Const(0))),
        Call(7, "ioctl", (Const(0), Const(0x801C581F), Const(0))))),
    "Landlock comes before what a directory is": Program((
        Store(0x100, (0xFFFF).to_bytes(8, "little") + bytes(16)), Store(64, b".\0"), Store(80, b"d/new\0"),
        Call(1, "landlock_create_ruleset", (Data(0x100), Const(24), Const(0))),
        Call(2, "landlock_restrict_self", (Result(1), Const(0))),
        Call(3, "linkat", (Const(-100), Data(64), Const(-100), Data(80), Const(0))))),
    "sendfile from where no file goes on": Program((
        Store(64, b"e\0"), Call(1, "open", (Data(64), Const(0o2001))), Call(2, "memfd_create", (Data(64), Const(0))),
        Store(256, b"\xff" * 7 + b"\x7f"), Call(3, "sendfile", (Result(1), Result(2), Data(256), Const(0))),
        Call(4, "sendfile", (Const(99), Result(2), Data(256), Const(0))),
        Call(5, "lseek", (Result(2), Const((1 << 63) - 1), Const(0))),
        Call(6, "sendfile", (Result(1), Result(2), Const(0), Const(4))),
        Call(7, "sendfile", (Const(0), Const(0), Data(256), Const(0))))),
    "no O_DIRECT of a file in memory, which nobody opened": Program((
        Call(1, "memfd_create", (Data(64), Const(0))), Call(2, "fcntl", (Result(1), Const(4), Const(0o40000))))),
    "a link of the working directory, without a path": Program((
        Store(80, b"d/g\0"), Call(1, "linkat", (Const(-100), Data(64), Const(0), Data(80), Const(4096))))),
    "positions of what has none": Program((
        Store(64, bytes(8)), Call(1, "getpid"), Call(2, "pidfd_open", (Result(1), Const(0))),
        Call(3, "eventfd2", (Const(1), Const(0))), Call(4, "memfd_create", (Data(64), Const(0))),
        *(operation for number, fd in enumerate((Result(2), Result(3))) for operation in (
            Call(10 + 10 * number, "pread64", (fd, Data(256), Const(4), Const(0))),
            Call(11 + 10 * number, "pwritev", (fd, Const(1), Const(1), Const(0), Const(0))),
            Call(12 + 10 * number, "sendfile", (Const(99), fd, Data(64), Const(0))),
            Call(13 + 10 * number, "sendfile", (Result(4), fd, Data(64), Const(0))),
            Call(14 + 10 * number, "sendfile", (Result(4), fd, Const(0), Const(0))),
            Call(15 + 10 * number, "sendfile", (Result(4), fd, Const(0), Const(1))))))),
    "sendfile into a pipe": Program((
        Call(1, "pipe2", (Data(64), Const(0o4000))), Load(2, 64), Load(3, 68),
        Call(4, "socketpair", (Const(1), Const(1), Const(0), Data(72))), Load(5, 72), Load(6, 76),
        Call(7, "write", (Result(6), Data(128), Const(9))),
        Call(8, "sendfile", (Result(3), Result(5), Const(0), Const(5))),
        Call(9, "sendfile", (Result(3), Result(5), Const(0), Const(0))),
        Call(10, "sendfile", (Result(3), Result(5), Const(0), Const(20))),
        Call(11, "sendfile", (Result(3), Result(5), Const(0), Const(20))),
        Call(12, "sendfile", (Result(3), Result(2), Const(0), Const(20))),
        Call(13, "fcntl", (Result(3), Const(1031), Const(4096))),
        Call(14, "sendfile", (Result(3), Result(2), Const(0), Const(20))),
        Call(15, "read", (Result(2), Data(256), Const(50))))),
    "the names in the directory of a process": Program((
        Store(64, b"/proc/self\0"), Store(80, b"/proc/thread-self\0"), Call(1, "open", (Data(64), Const(0))),
        Call(2, "getdents", (Result(1), Data(256), Const(4097))), Call(3, "open", (Data(80), Const(0))),
        Call(4, "getdents64", (Result(3), Data(256), Const(600))),
        Call(5, "getdents64", (Result(3), Data(256), Const(4097))))),
    "a blocking write sleeps for room before the data is looked at": Program((
        Store(0x300, bytes(32)), StoreValue(0x300, 8, Code(0)), StoreValue(0x308, 8, Const(0x04000004)),
        StoreValue(0x310, 8, Code(1)), Call(1, "rt_sigaction", (Const(14), Data(0x300), Const(0), Const(8))),
        Call(2, "pipe2", (Data(64), Const(0))), Load(3, 64), Load(4, 68),
        Call(5, "fcntl", (Result(4), Const(1031), Const(4096))),
        Call(6, "write", (Result(4), Data(0x400), Const(4000))), Call(7, "write", (Result(4), Const(1), Const(96))),
        *(operation for number in range(2) for operation in (
            Store(0x200, bytes(24) + (50_000).to_bytes(8, "little")), StoreValue(0x230, 8, Const(1)),
            StoreValue(0x238, 8, Const(97)),
            Call(8 + 3 * number, "setitimer", (Const(0), Data(0x200), Const(0))),
            Call(9 + 3 * number, "write", (Result(4), Const(1), Const(97))) if not number else
            Call(9 + 3 * number, "writev", (Result(4), Data(0x230), Const(1))))),
        Block(20, "fork", (Call(21, "write", (Result(4), Const(1), Const(97))),)),
        Call(22, "read", (Result(3), Data(0x400), Const(4000))),
        Call(23, "wait4", (Result(20), Data(0x80), Const(0), Const(0))),
        Call(24, "write", (Result(4), Const(1), Const(97))))),
    "positions between the entries of a directory": Program((
        Store(64, b".\0"), Call(1, "open", (Data(64), Const(0))),
        *(operation for number, place in enumerate((1, 4096, (1 << 31) - 1, (1 << 63) - 2)) for operation in (
            Call(2 + 4 * number, "lseek", (Result(1), Const(place), Const(0))),
            Call(3 + 4 * number, "getdents", (Result(1), Data(256), Const(0))),
            Call(4 + 4 * number, "getdents64", (Result(1), Data(256), Const(2000))),
            Call(5 + 4 * number, "getdents64", (Result(1), Data(256), Const(0))))),
        Call(30, "lseek", (Result(1), Const(1), Const(2))), Call(31, "lseek", (Result(1), Const(0), Const(2))),
        Call(32, "lseek", (Result(1), Const(1), Const(1))))),
    "events of a device": Program((
        Call(1, "inotify_init1", (Const(0o4000),)), Store(64, b"/proc/self/fd/0\0"),
        Call(2, "inotify_add_watch", (Result(1), Data(64), Const(0xFFF))),
        *(operation for number, (name, args) in enumerate((
            ("write", (Const(0), Data(64), Const(4))), ("write", (Const(0), Data(64), Const(0))),
            ("pwrite64", (Const(1), Data(64), Const(2), Const(0))), ("read", (Const(0), Data(128), Const(4))),
            ("close", (Const(1),)))) for operation in (
            Call(10 + 2 * number, name, args), Call(11 + 2 * number, "read", (Result(1), Data(256), Const(256))))))),
    "events of a file in memory": Program((
        Call(1, "inotify_init1", (Const(0o4000),)), Call(2, "memfd_create", (Data(64), Const(0))),
        Store(64, b"/proc/self/fd/4\0"), Call(3, "inotify_add_watch", (Result(1), Data(64), Const(0xFFF))),
        Call(4, "write", (Result(2), Data(64), Const(4))), Call(5, "read", (Result(1), Data(256), Const(256))),
        Call(6, "ftruncate", (Result(2), Const(2))), Call(7, "read", (Result(1), Data(256), Const(256))),
        Call(8, "open", (Data(64), Const(2))), Call(9, "write", (Result(8), Data(64), Const(4))),
        Call(10, "read", (Result(1), Data(256), Const(256))))),
    "attributes with nothing after the prefix": Program((
        Call(1, "memfd_create", (Data(128), Const(0))),
        *(operation for number, name in enumerate((b"user.", b"security.", b"trusted.", b"system.", b"user"))
          for operation in (
            Store(64, name + b"\0"), Call(10 + 6 * number, "fgetxattr", (Result(1), Data(64), Data(256), Const(0))),
            Call(11 + 6 * number, "fsetxattr", (Result(1), Data(64), Data(256), Const(1), Const(0))),
            Call(12 + 6 * number, "fremovexattr", (Result(1), Data(64))),
            Call(13 + 6 * number, "fgetxattr", (Const(0), Data(64), Data(256), Const(0))),
            Call(14 + 6 * number, "fsetxattr", (Const(0), Data(64), Data(256), Const(1), Const(0))),
            Call(15 + 6 * number, "fremovexattr", (Const(0), Data(64))))))),
    "vmsplice of what is neither read nor written": Program((
        Store(64, b"f\0"), Call(1, "open", (Data(64), Const(0o4003))), StoreValue(128, 8, Const(-1)),
        StoreValue(136, 8, Const(-1)), Call(2, "vmsplice", (Result(1), Data(128), Const(1), Const(0))),
        Call(3, "vmsplice", (Const(0), Data(128), Const(1), Const(0))))),
    "files of processes take no vectors": Program((
        Store(64, b"/proc/self/stat\0"), Store(96, b"/proc/self/comm\0"), Store(128, b"/proc/self/mounts\0"),
        Store(160, b"/proc/meminfo\0"), Store(192, b"/dev/full\0"), Store(224, b"/proc/self/ns/pid\0"),
        Store(0x200, bytes(16)), StoreValue(0x208, 8, Const(1)), StoreValue(0x200, 8, Data(0x300)),
        Call(1, "memfd_create", (Data(256), Const(0))), Call(2, "pipe2", (Data(0x240), Const(0o4000))), Load(3, 0x244),
        Load(4, 0x240), Call(5, "write", (Result(3), Data(0), Const(40))), Store(0x300, b"aaaaaaaaaaaaaaaaaaaaaaa"),
        Call(6, "write", (Result(1), Data(0x300), Const(16))),
        *(operation for number, (path, flags) in enumerate(
            ((64, 0), (96, 0), (128, 0), (160, 0), (192, 0), (224, 0), (96, 1), (192, 1))) for operation in (
            Call(10 + 8 * number, "open", (Data(path), Const(flags))),
            Call(11 + 8 * number, "sendfile", (Result(1), Result(10 + 8 * number), Const(0), Const(1))),
            Call(12 + 8 * number, "lseek", (Result(1), Const(0), Const(0))),
            Call(13 + 8 * number, "sendfile", (Result(10 + 8 * number), Result(1), Const(0), Const(1))),
            Call(14 + 8 * number, "splice", (Result(4), Const(0), Result(10 + 8 * number), Const(0), Const(1),
                                             Const(2))),
            *(Call(15 + 8 * number + again, "preadv2" if not flags else "pwritev2", (
                Result(10 + 8 * number), Data(0x200), Const(1), Const(-1), Const(-1), Const(how)))
              for again, how in enumerate((8, 2))))))),
    "names of what has no name": Program((
        *(operation for number, (call, args) in enumerate((
            ("inotify_init", ()), ("landlock_create_ruleset", (Data(0x100), Const(8), Const(0))),
            ("eventfd", (Const(0),)), ("epoll_create", (Const(1),)), ("timerfd_create", (Const(1), Const(0))),
            ("signalfd", (Const(-1), Data(0x200), Const(8))))) for operation in (
            Store(0x100, b"\x10" + bytes(7)), Call(2, "close", (Const(0),)), Call(10 + 2 * number, call, args),
            Store(64, b"/proc/self/fd/0\0"),
            Call(11 + 2 * number, "readlink", (Data(64), Data(0x300), Const(64))))),)),
    "pages that were never written, in a pipe": Program((
        Call(1, "mmap", (Arena(0), Const(8192), Const(3), Const(0x32), Const(-1), Const(0))),
        Call(2, "pipe2", (Data(64), Const(0o4000))), Load(3, 64), Load(4, 68), Call(5, "write", (Result(4), Data(64),
                                                                                              Const(4))),
        Call(6, "read", (Result(3), Arena(4096), Const(4))), StoreValue(128, 8, Arena(0)),
        StoreValue(136, 8, Const(4)), StoreValue(144, 8, Arena(4096)), StoreValue(152, 8, Const(4)),
        Call(7, "vmsplice", (Result(4), Data(128), Const(2), Const(0))), Call(8, "uname", (Arena(0),)),
        Call(9, "getrandom", (Arena(4096), Const(0), Const(0))), Call(10, "read", (Result(3), Data(256), Const(9))))),
    "good pages fill the pipe before a bad one": Program((
        Call(1, "mmap", (Arena(0), Const(8192), Const(3), Const(0x32), Const(-1), Const(0))),
        Call(2, "pipe", (Data(64),)), Load(3, 64), Load(4, 68),
        Call(5, "fcntl", (Result(4), Const(1031), Const(4096))), Store(0x300, bytes(32)), StoreValue(0x300, 8, Code(0)),
        StoreValue(0x308, 8, Const(0x04000004)), StoreValue(0x310, 8, Code(1)),
        Call(6, "rt_sigaction", (Const(14), Data(0x300), Const(0), Const(8))), Call(7, "munmap", (Arena(4096),
                                                                                               Const(4096))),
        Store(0x200, bytes(24) + (50_000).to_bytes(8, "little")),
        Call(8, "setitimer", (Const(0), Data(0x200), Const(0))),
        Call(9, "write", (Result(4), Arena(0), Const(8192))))),
    "a failed write behind the end of a file": Program((
        Store(64, b"e\0"), Call(1, "open", (Data(64), Const(2))),
        Call(2, "pwrite64", (Result(1), Const(1), Const(1), Const(16))), Call(3, "fstat", (Result(1), Data(0x400))),
        Call(4, "lseek", (Result(1), Const(40), Const(0))), Call(5, "write", (Result(1), Const(1), Const(5))),
        Call(6, "fstat", (Result(1), Data(0x400))), StoreValue(128, 8, Const(1)), StoreValue(136, 8, Const(6)),
        Call(7, "pwritev", (Result(1), Data(128), Const(1), Const(60), Const(0))),
        Call(8, "fstat", (Result(1), Data(0x400))))),
    "a time that the end of the memory cuts": Program((
        *(Call(1 + number, "gettimeofday", (Data(DATA_ROOM - size), Const(0)))
          for number, size in enumerate((1, 8, 9, 16))),
        *(Call(10 + number, "umount2", (Data(DATA_ROOM - 1), Const(0))) for number in range(1)))),
    "a failed write behind the end of memory": Program((
        Call(1, "memfd_create", (Data(64), Const(2))),
        Call(2, "pwrite64", (Result(1), Const(1), Const(1), Const(16))),
        Call(3, "lseek", (Result(1), Const(0), Const(2))),
        Call(4, "lseek", (Result(1), Const(40), Const(0))), Call(5, "write", (Result(1), Const(1), Const(5))),
        Call(6, "lseek", (Result(1), Const(0), Const(2))), StoreValue(128, 8, Const(1)), StoreValue(136, 8, Const(6)),
        Call(7, "pwritev", (Result(1), Data(128), Const(1), Const(60), Const(0))),
        Call(8, "lseek", (Result(1), Const(0), Const(2))), Call(9, "fcntl", (Result(1), Const(1033), Const(4))),
        Call(10, "pwrite64", (Result(1), Const(1), Const(1), Const(59))),
        Call(11, "pwrite64", (Result(1), Const(1), Const(1), Const(60))),
        Call(12, "write", (Result(1), Const(1), Const(1))), Call(13, "lseek", (Result(1), Const(0), Const(2))),
        Call(14, "lseek", (Result(1), Const(0), Const(0))), Call(15, "write", (Result(1), Const(1), Const(1))),
        Call(16, "fcntl", (Result(1), Const(1033), Const(8))), Call(17, "write", (Result(1), Const(1), Const(1))))),
    "locks of what is neither read nor written": Program((
        Store(64, b"f\0"), Call(1, "open", (Data(64), Const(3))), Call(2, "open", (Data(64), Const(0x200400))),
        *(Call(10 + 3 * number + fd, "flock", (Result(fd), Const(operation)))
          for number, operation in enumerate((1, 2, 8, 5, 12)) for fd in (1, 2)))),
}
