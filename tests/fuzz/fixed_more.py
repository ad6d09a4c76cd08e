"""As fixed.py: what was found last, of all kinds."""

from __future__ import annotations

from itertools import product

from syscalls.fuzz.program import Arena, Block, Call, Const, Content, Data, Program, Result, Store, StoreValue

FIXED_MORE = {
    "kcmp of what has ended": Program((
        Block(1, "fork", ()), Block(2, "fork", ()), Call(3, "getpid"), *(
            Call(4 + number, "kcmp", (one, other, Const(kind), Const(0), Const(0)))
            for number, (kind, (one, other)) in enumerate(product(range(8), (
                (Result(1), Result(2)), (Result(3), Result(1)))))))),
    "a write past the last position": Program((
        Call(1, "memfd_create", (Data(0), Const(0))), Call(2, "lseek", (Result(1), Const((1 << 63) - 1), Const(0))),
        *(Call(3 + number, "write", (Result(1), address, Const(size)))
          for number, (address, size) in enumerate(product((Data(64), Const(8)), (0, 1, 0x7FFFFFFF)))),
        Call(10, "lseek", (Result(1), Const((1 << 63) - 16), Const(0))), Call(11, "pipe2", (Data(64), Const(0))))),
    "a socket that nobody is connected to is shut down": Program(tuple(
        operation for number, (family, how) in enumerate(product((1, 2, 10), (0, 1, 2))) for operation in (
            Call(4 * number, "socket", (Const(family), Const(2), Const(0))),
            Call(4 * number + 1, "shutdown", (Result(4 * number), Const(how))),
            Call(4 * number + 2, "recvfrom", (Result(4 * number), Data(64), Const(8), Const(0x40), Const(0), Const(0))),
            *((Call(4 * number + 3, "read", (Result(4 * number), Data(64), Const(8))),) if how != 1 else ())))),
    "the size of a pidfd": Program((
        Call(1, "getpid"), Call(2, "pidfd_open", (Result(1), Const(0))),
        Call(3, "ftruncate", (Result(2), Const((1 << 63) - 1))),
        Call(4, "fallocate", (Result(2), Const(0), Const(0), Const(1 << 62))))),
    "memory that may be dropped": Program((
        Call(1, "mmap", (Const(0), Const(16384), Const(3), Const(0x28), Const(-1), Const(0))),
        Call(2, "mlock", (Result(1), Const(8192))), *(
            Call(3 + number, "madvise", (Result(1), Const(8192), Const(advice)))
            for number, advice in enumerate((17, 19, 16, 18, 12, 4))))),
    "memory that is only executed is not brought in to be read": Program((
        Call(1, "mmap", (Const(0), Const(16384), Const(3), Const(0x22), Const(-1), Const(0))), *(
            operation for number, prot in enumerate((4, 2, 6, 1, 0)) for operation in (
                Call(3 * number + 2, "mprotect", (Result(1, 4096), Const(4096), Const(prot))),
                Call(3 * number + 3, "madvise", (Result(1), Const(16384), Const(22))),
                Call(3 * number + 4, "madvise", (Result(1), Const(16384), Const(23))))))),
    "what process_vm_readv may read": Program((
        Call(1, "getpid"), Call(2, "mmap", (Const(0), Const(16384), Const(3), Const(0x22), Const(-1), Const(0))),
        StoreValue(64, 8, Data(256)), StoreValue(72, 8, Const(64)), StoreValue(80, 8, Result(2)),
        StoreValue(88, 8, Const(64)), *(
            operation for number, prot in enumerate((0, 1, 2, 4, 6)) for operation in (
                Call(4 * number + 3, "mprotect", (Result(2), Const(4096), Const(prot))),
                Call(4 * number + 4, "process_vm_readv", (Result(1), Data(64), Const(1), Data(80), Const(1), Const(0))),
                Call(4 * number + 5, "process_vm_writev",
                     (Result(1), Data(64), Const(1), Data(80), Const(1), Const(0))))))),
    "splice from what cannot be spliced into a full pipe": Program((
        Call(1, "pipe2", (Data(64), Const(0o4000))), Call(2, "eventfd2", (Const(1), Const(0o4000))),
        Call(3, "open", (Data(128), Const(0))), Call(4, "write", (Const(4), Arena(0), Const(1 << 17))),
        *(Call(5 + number, "splice", (Result(source), Const(0), Const(4), Const(0), Const(16), Const(2)))
          for number, source in enumerate((2, 3))))),
    "leases of what is no file": Program((
        Call(1, "pipe2", (Data(64), Const(0))), *(
            Call(2 + number, "fcntl", (Const(fd), Const(1024), Const(kind)))
            for number, (fd, kind) in enumerate(product((0, 3), (0, 1, 2))))),
    ),
    "attributes of access": Program((
        Store(64, b"system.posix_acl_access\0"), Call(1, "memfd_create", (Data(0), Const(0))), *(
            Call(2 + number, "fsetxattr", (Result(1), Data(64), Data(128), Const(size), Const(0)))
            for number, size in enumerate((0, 3, 4, 5, 12))),
        Call(9, "fgetxattr", (Result(1), Data(64), Data(256), Const(64))),
        Call(10, "fremovexattr", (Result(1), Data(64))), Content(11, 64))),
}
