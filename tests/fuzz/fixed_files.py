"""More programs that once showed a difference, of files alone (see fixed.py)."""

from __future__ import annotations

from itertools import product

from syscalls.fuzz.program import (
    DATA_ROOM,
    Arena,
    Block,
    Call,
    Code,
    Const,
    Content,
    Data,
    Program,
    Result,
    Store,
    StoreValue,
)

HERE = Const(-100)
"""AT_FDCWD."""


def names(*each: bytes) -> tuple[Store, ...]:
    """Strings at 0x100, 0x140, 0x180, ..."""
    return tuple(Store(0x100 + 0x40 * number, name + b"\0") for number, name in enumerate(each))


FIXED_FILES = {
    "whose descriptor it is for linkat": Program((
        *names(b"f", b"l/", b"new", b""),
        Call(1, "open", (Data(0x100), Const(0))), Call(2, "open", (Data(0x100), Const(1))),
        Call(3, "linkat", (Const(99), Data(0x1C0), HERE, Data(0x180), Const(0x1000))),
        Call(4, "linkat", (Result(1), Data(0x1C0), HERE, Data(0x180), Const(0x1000))),
        Call(5, "linkat", (Result(2), Data(0x140), HERE, Data(0x180), Const(0x1000))),
        Block(6, "fork", tuple(Call(7 + number, "linkat", (Result(1), Data(name), HERE, Data(0x180), Const(flags)))
                               for number, (name, flags) in enumerate(product((0x140, 0x1C0), (0, 0x1000))))))),
    "directories of /proc": Program((
        *names(b"/proc/self"), Call(1, "open", (Data(0x100), Const(0))),
        *(Call(2 + number, "lseek", (Result(1), Const(offset), Const(whence)))
          for number, (offset, whence) in enumerate(product((0, 1 << 31, (1 << 31) - 1), (0, 1, 2, 3, 4)))),
        Call(20, "utimensat", (Result(1), Const(0), Const(0), Const(0))),
        Call(21, "fchown", (Result(1), Const(-1), Const(-1))), Call(22, "fchmod", (Result(1), Const(0o700))))),
    "half of O_SYNC": Program((
        Store(440, b"d/g\0"), Call(1, "openat", (HERE, Data(440), Const(0x100000), Const(0))),
        Call(2, "fcntl", (Result(1), Const(3))), Call(3, "open", (Data(440), Const(0x300000))),
        Call(4, "fcntl", (Result(3), Const(3))))),
    "below what may not be searched": Program((
        *names(b"d", b"d/in", b"g", b"../g", b"..", b".", b"../..", b"new", b"../in"),
        Call(1, "open", (Data(0x240), Const(0))), Call(2, "mkdir", (Data(0x140), Const(0o755))),
        Call(3, "open", (Data(0x140), Const(0))), Call(4, "open", (Data(0x100), Const(0))),
        Call(5, "chdir", (Data(0x140),)), Call(6, "fchmodat", (Result(1), Data(0x100), Const(0))),
        *(Call(10 + number, "stat", (Data(0x180 + 0x40 * number), Data(0x800))) for number in range(5)),
        Call(20, "open", (Data(0x2C0), Const(0o102), Const(0o600))), Call(21, "write", (Result(20), Data(0), Const(3))),
        Call(22, "getdents64", (Result(4), Data(0x800), Const(512))),
        Call(23, "openat", (Result(4), Data(0x180), Const(0))), Call(24, "openat", (Result(3), Data(0x2C0), Const(0))),
        Call(25, "chmod", (Data(0x240), Const(0))), Call(26, "access", (Data(0x2C0), Const(0))),
        Call(27, "fchdir", (Result(3),)), Call(28, "fchmod", (Result(3), Const(0o700))),
        Call(29, "utimensat", (HERE, Data(0x240), Const(0), Const(0))), Call(30, "access", (Data(0x2C0), Const(0))),
        Call(31, "renameat", (Result(1), Data(0x100), Result(1), Data(0x2C0))),
        Call(32, "access", (Data(0x2C0), Const(0))), Call(33, "getcwd", (Data(0x800), Const(512))),
        Call(34, "unlink", (Data(0x2C0),)), Call(35, "rmdir", (Data(0x300),)),
        Call(36, "fchmodat", (Result(1), Data(0x2C0), Const(0o755))), Call(37, "rmdir", (Data(0x300),)),
        Call(38, "access", (Data(0x2C0), Const(0))), Call(39, "stat", (Data(0x200), Data(0x800))))),
    "pages of writes of which nothing came": Program((
        Call(1, "memfd_create", (Data(64), Const(0))), Call(2, "ftruncate", (Result(1), Const(0x4010))),
        Call(3, "write", (Result(1), Const(1), Const(7))),
        Call(4, "lseek", (Result(1), Const(0), Const(4))), Call(5, "lseek", (Result(1), Const(0), Const(0))),
        StoreValue(128, 8, Const(1)), StoreValue(136, 8, Const(6)),
        Call(8, "pwritev", (Result(1), Data(128), Const(1), Const(0x3000), Const(0))),
        *(Call(9 + number, "lseek", (Result(1), Const(0x1000 * number), Const(3))) for number in range(5)),
        *(Call(19 + number, "lseek", (Result(1), Const(0x1000 * number), Const(4))) for number in range(5)),
        Call(30, "fstat", (Result(1), Data(0x400))))),
    "removing what is of the wrong type, restricted": Program((
        *names(b"n", b"d"), Store(0x200, b"\x10" + bytes(31)), Store(0x240, b"\x30" + bytes(31)),
        *(operation for number, where in enumerate((0x200, 0x240)) for operation in (
            Call(1 + 10 * number, "landlock_create_ruleset", (Data(where), Const(24), Const(0))),
            Call(2 + 10 * number, "landlock_restrict_self", (Result(1 + 10 * number), Const(0))),
            Call(3 + 10 * number, "rmdir", (Data(0x100),)), Call(4 + 10 * number, "unlink", (Data(0x140),)))))),
    "a watched file ends with its last use": Program((
        *names(b"e", b"d", b"f", b"x"), Call(1, "inotify_init1", (Const(0o4000),)),
        *(Call(2 + number, "inotify_add_watch", (Result(1), Data(0x100 + 0x40 * number), Const(0xFDE)))
          for number in range(4)),
        Call(10, "open", (Data(0x100), Const(0x200000))), Call(11, "dup", (Result(10),)), Call(12, "unlink", (
            Data(0x100),)), Call(13, "chdir", (Data(0x140),)), Store(0x200, b"../d\0g\0../f\0../x\0"),
        Call(14, "unlink", (Data(0x205),)), Call(15, "rmdir", (Data(0x200),)),
        Call(16, "read", (Result(1), Data(0x400), Const(512))), Call(17, "close", (Result(10),)),
        Call(18, "read", (Result(1), Data(0x600), Const(512))), Call(19, "close", (Result(11),)),
        Call(20, "read", (Result(1), Data(0x800), Const(512))), Store(0x240, b"/\0"),
        Call(21, "chdir", (Data(0x240),)), Call(22, "read", (Result(1), Data(0xA00), Const(512))))),
    "events of what is replaced": Program((
        *names(b"e", b"d", b"f", b"x"), Call(1, "inotify_init1", (Const(0o4000),)),
        *(Call(2 + number, "inotify_add_watch", (Result(1), Data(0x100 + 0x40 * number), Const(0xFDE)))
          for number in range(4)),
        Call(13, "open", (Data(0x180), Const(0))), Call(14, "rename", (Data(0x100), Data(0x180))),
        Call(15, "rename", (Data(0x180), Data(0x1C0))), Call(16, "read", (Result(1), Data(0x400), Const(512))),
        Call(17, "close", (Result(13),)), Call(18, "read", (Result(1), Data(0x600), Const(512))))),
    "a mapping keeps its file open": Program((
        *names(b"f"), Call(1, "open", (Data(0x100), Const(2))), Call(2, "flock", (Result(1), Const(2))),
        Call(3, "mmap", (Arena(0), Const(8192), Const(3), Const(1), Result(1), Const(0))),
        Call(4, "close", (Result(1),)),
        Call(5, "open", (Data(0x100), Const(0))), Call(6, "flock", (Result(5), Const(6))),
        Call(7, "munmap", (Arena(0), Const(4096))), Call(8, "flock", (Result(5), Const(6))),
        Call(9, "munmap", (Arena(4096), Const(4096))), Call(10, "flock", (Result(5), Const(6))),
        Call(11, "open", (Data(0x100), Const(0))),
        Call(12, "mmap", (Arena(0), Const(4096), Const(1), Const(0x12), Result(5), Const(0))),
        Call(13, "mmap", (Arena(4096), Const(4096), Const(1), Const(0x12), Result(11), Const(4096))),
        Call(14, "mmap", (Arena(8192), Const(4096), Const(1), Const(0x12), Result(11), Const(8192))),
        Store(0x140, b"/proc/self/maps\0"), Content(15, 0x140))),
    "two descriptors where the memory ends": Program((
        *(Call(1 + left, "socketpair", (Const(1), Const(1), Const(0), Data(DATA_ROOM - left)))
          for left in range(1, 9)),)),
    "allocated memory is a hole until it is written": Program((
        Call(1, "memfd_create", (Data(64), Const(0))),
        Call(2, "fallocate", (Result(1), Const(0), Const(0), Const(0x4010))),
        Call(3, "pwrite64", (Result(1), Data(64), Const(3), Const(0x1ffe))), Call(4, "pread64", (
            Result(1), Data(128), Const(8), Const(0))),
        Call(5, "pwrite64", (Result(1), Const(1), Const(3), Const(0x4000))),
        *(Call(9 + number, "lseek", (Result(1), Const(0x1000 * number), Const(3))) for number in range(5)),
        *(Call(19 + number, "lseek", (Result(1), Const(0x1000 * number), Const(4))) for number in range(5)),
        Call(30, "fallocate", (Result(1), Const(3), Const(0x1000), Const(0x1000))),
        Call(31, "fallocate", (Result(1), Const(0), Const(0x1000), Const(0x2000))),
        *(Call(39 + number, "lseek", (Result(1), Const(0x1000 * number), Const(3))) for number in range(5)),
        *(Call(49 + number, "lseek", (Result(1), Const(0x1000 * number), Const(4))) for number in range(5)),
        Call(60, "fstat", (Result(1), Data(0x400))))),
    "nothing is written anywhere": Program((
        Call(1, "getgroups", (Const(65535), Const(1 << 63))), Call(2, "getgroups", (Const(0), Const(-1))),
        Call(3, "getgroups", (Const(1), Const(-1))))),
    "bytes that cannot be read, past the limit of files": Program((
        Call(1, "memfd_create", (Data(64), Const(0))), *names(b"f"), Call(2, "open", (Data(0x100), Const(2))),
        StoreValue(0x300, 8, Code(0)), StoreValue(0x308, 8, Const(0x04000004)), StoreValue(0x310, 8, Code(1)),
        Call(3, "rt_sigaction", (Const(25), Data(0x300), Const(0), Const(8))),
        *(Call(10 + number, "pwrite64", (Result(fd), Const(1), Const(24), Const(1 << 40)))
          for number, fd in enumerate((1, 2))))),
    "what was removed stays with who has it open": Program((
        *names(b"e", b"f", b"d", b"l", b"d/in"), Call(1, "mkdir", (Data(0x200), Const(0o755))),
        Call(2, "open", (Data(0x200), Const(0))), Call(3, "open", (Data(0x140), Const(0x200000))),
        Call(4, "open", (Data(0x1C0), Const(0x220000))), Call(5, "rmdir", (Data(0x200),)),
        Call(6, "unlink", (Data(0x140),)), Call(7, "unlink", (Data(0x1C0),)),
        Call(8, "fchmod", (Result(2), Const(0o700))), Call(9, "fstat", (Result(2), Data(0x400))),
        Call(10, "utimensat", (Result(2), Const(0), Const(0), Const(0))), Call(11, "openat", (
            Result(2), Data(0x140), Const(0o102), Const(0o600))),
        Call(12, "fchdir", (Result(2),)), Store(0x240, b".\0"), Call(13, "chmod", (Data(0x240), Const(0o711))),
        Call(14, "stat", (Data(0x240), Data(0x400))), Call(15, "fstat", (Result(3), Data(0x400))),
        Call(16, "readlinkat", (Result(4), Data(63), Data(0x500), Const(64))),
        Call(17, "fstat", (Result(4), Data(0x400))))),
}
