"""As fixed.py: processes, memory, sockets and queues."""

from __future__ import annotations

from itertools import product

from syscalls.fuzz.program import (
    DATA_ROOM,
    Arena,
    Block,
    Call,
    Const,
    Content,
    Data,
    Load,
    Probe,
    Program,
    Result,
    Store,
    StoreValue,
)


def sched_attr(policy: int, nice: int) -> bytes:
    return b"".join(word.to_bytes(4, "little") for word in (48, policy, 0, 0, nice & 0xFFFFFFFF, 0)) + bytes(24)


FIXED_TASKS = {
    "a thread is not its process for rt_sigqueueinfo": Program((
        Call(1, "getpid"), Block(2, "thread", (
            Call(3, "rt_sigqueueinfo", (Result(1), Const(0), Data(64))), Call(4, "gettid"),
            Call(5, "rt_sigqueueinfo", (Result(4), Const(0), Data(64))))))),
    "a killed child that had a thread": Program((
        Block(1, "fork", (Block(2, "thread", (Call(3, "gettid"),
                                              Call(4, "rt_sigqueueinfo", (Result(3), Const(35), Data(2600))))),)),
        Call(5, "getpid"))),
    "how children end": Program((
        Block(1, "fork", (Call(2, "exit_group", (Const(7),)),)),
        Block(3, "fork", (Call(4, "getpid"), Call(5, "kill", (Result(4), Const(15))))))),
    "capget without data": Program((
        Store(64, b"\x22\x05\x08\x20\xff\xff\xff\x3f"), Call(1, "capget", (Data(64), Const(0))),
        Call(2, "capget", (Data(64), Data(128))))),
    "the first address behind user space": Program(tuple(
        Call(number, "futex", (Const(address), Const(operation), Const(count), Const(0), Const(0), Const(1)))
        for number, (address, operation, count) in enumerate((
            (0x7FFFFFFFF000, 138, 0), (0x7FFFFFFFF000, 129, 1), (0x7FFFFFFFF004, 129, 1), (0x7FFFFFFFF000, 1, 1),
            (0x7FFFFFFFF000, 128, 0)), 1))),
    "a page that is not where a strict policy wants it": Program((
        Store(64, bytes((1,))), StoreValue(0x2000, 8, Const(1)), *(
            Call(number, "mbind", (place, Const(4096), Const(mode), mask, Const(64), Const(flags)))
            for number, (place, mode, mask, flags) in enumerate(product(
                (Arena(0x7000), Data(0x2000 & -4096)), (4, 1, 2), (Const(0), Data(64)), (1, 2, 3)), 1)))),
    "memory that is merged, and timers with numbers of one's own": Program((
        StoreValue(64, 8, Const(7)), *(
            Call(number, "prctl", tuple(Const(value) for value in (*values, 0, 0, 0)))
            for number, values in enumerate((
                (68, 0), (67, 1), (68, 0), (67, 0), (68, 0), (77, 2), (77, 1), (77, 2)), 1)),
        *(Call(number, "timer_create", (Const(1), Const(0), Data(64))) for number in (9, 10)), Content(11, 72),
        StoreValue(64, 8, Const(-1)), Call(12, "timer_create", (Const(1), Const(0), Data(64))),
        Call(13, "prctl", tuple(Const(value) for value in (77, 0, 0, 0, 0))),
        Call(14, "timer_create", (Const(1), Const(0), Data(64))), Content(15, 72),
        Call(16, "prctl", tuple(Const(value) for value in (77, 3, 0, 0, 0))))),
    "several areas are moved, and stay": Program((
        Call(1, "mmap", (Const(0), Const(16384), Const(0), Const(0x22), Const(-1), Const(0))),
        Call(2, "mprotect", (Result(1), Const(4096), Const(1))),
        Call(3, "mremap", (Result(1), Const(12288), Const(12288), Const(7), Arena(0xA000))),
        Call(4, "mremap", (Result(1), Const(12288), Const(12288), Const(5), Const(0))),
        Call(5, "mseal", (Result(1, 8192), Const(1), Const(0))),
        Call(6, "mremap", (Result(1), Const(12288), Const(12288), Const(7), Arena(0xA000))))),
    "SCHED_IDLE has no nice": Program((
        Store(64, sched_attr(5, -5)), Call(1, "sched_setattr", (Const(0), Data(64), Const(0))),
        Store(64, sched_attr(5, 5)), Call(2, "sched_setattr", (Const(0), Data(64), Const(0))),
        Call(3, "sched_getattr", (Const(0), Data(128), Const(56), Const(0))))),
    "the priority of disks that follows nice": Program((
        Call(1, "setpriority", (Const(0), Const(0), Const(19))), Call(2, "ioprio_get", (Const(2), Const(0))),
        Call(3, "ioprio_get", (Const(1), Const(0))))),
    "attributes of files in memory": Program((
        Call(1, "memfd_create", (Data(600), Const(0))), Call(2, "ioctl", (Result(1), Const(0x80086601), Data(64))),
        *(operation for number, bit in enumerate((0x40, 0x80, 0x10, 0x20, 1, 0x80000000, 0)) for operation in (
            StoreValue(72, 8, Const(bit)), Call(3 + 2 * number, "ioctl", (Result(1), Const(0x40086602), Data(72))),
            Call(4 + 2 * number, "ioctl", (Result(1), Const(0x80086601), Data(64))))))),
    "nothing received from nobody": Program((
        Call(1, "socket", (Const(10), Const(1), Const(0))), Call(2, "recvmsg", (Result(1), Data(432), Const(0))),
        Call(3, "recvfrom", (Result(1), Data(64), Const(0), Const(0), Const(0), Const(0))),
        Call(4, "read", (Result(1), Data(64), Const(0))))),
    "levels of options": Program((
        Call(1, "socketpair", (Const(1), Const(1), Const(0), Data(64))), Load(2, 64), Store(72, b"\xff" * 4),
        *(Call(100 + 8 * number, "socket", pair) for number, pair in enumerate((
            (Const(2), Const(1), Const(0)), (Const(2), Const(2), Const(0)), (Const(10), Const(1), Const(0)),
            (Const(10), Const(2), Const(0))))),
        *(Call(200 + 50 * socket + 3 * number + which, "getsockopt", (
            Result(2) if not socket else Result(92 + 8 * socket), Const(level), Const(option), Data(256), length))
          for socket in range(5) for number, level in enumerate((0, 1, 6, 17, 41, 270, 99, -1))
          for which, (option, length) in enumerate(((0, Data(72)), (0, Const(16)))))
        )),
    "the namespaces of a process": Program((
        Call(1, "getpid"), Call(2, "pidfd_open", (Result(1), Const(0))),
        *(Call(3 + number, "setns", (Result(2), Const(kinds)))
          for number, kinds in enumerate((0x20000, 0, 1, 0x10000000, 0x20020000))))),
    "the inode of a process": Program((
        Call(1, "getpid"), Call(2, "pidfd_open", (Result(1), Const(0))), Call(3, "fstat", (Result(2), Data(256))),
        Call(4, "fstatfs", (Result(2), Data(512))), Call(5, "fchmod", (Result(2), Const(0o600))),
        Call(6, "pidfd_open", (Result(1), Const(0))), Call(7, "fstat", (Result(6), Data(256))))),
    "advice for another process": Program((
        Call(1, "getpid"), Call(2, "pidfd_open", (Result(1), Const(0))), StoreValue(64, 8, Data(4096)),
        Block(3, "fork", tuple(
            Call(4 + number, "process_madvise", (Result(2), Data(64), Const(1), Const(advice), Const(0)))
            for number, advice in enumerate((25, 20, 21, 3, 4)))))),
    "the node of a processor without the processor": Program((
        Store(64, b"\xff" * 8), Call(1, "getcpu", (Const(1 << 63), Data(64), Const(0))))),
    "areas by memory policy": Program((
        Store(64, b"/proc/self/maps\0"), StoreValue(96, 8, Const(1)),
        Call(1, "mmap", (Arena(0), Const(0x8000), Const(3), Const(0x32), Const(-1), Const(0))),
        Call(2, "mbind", (Arena(0x1000), Const(4096), Const(1), Const(0), Const(0), Const(0))), Content(3, 64),
        Call(4, "mbind", (Arena(0x2000), Const(4096), Const(1), Const(0), Const(0), Const(0))), Content(5, 64),
        Call(6, "set_mempolicy_home_node", (Arena(0), Const(0x8000), Const(0), Const(0))),
        Call(7, "mbind", (Arena(0x3000), Const(8192), Const(2), Data(96), Const(64), Const(0))), Content(8, 64),
        Call(9, "set_mempolicy_home_node", (Arena(0x3000), Const(4096), Const(0), Const(0))), Content(10, 64),
        Call(11, "get_mempolicy", (Data(128), Data(136), Const(64), Arena(0x4000), Const(2))),
        Call(12, "mremap", (Arena(0x1000), Const(0x4000), Const(0x5000), Const(1), Const(0))),
        Call(13, "mbind", (Arena(0), Const(0x8000), Const(0), Const(0), Const(0), Const(0))), Content(14, 64),
        Call(15, "set_mempolicy_home_node", (Arena(0), Const(0x8000), Const(0), Const(0))))),
    "whose child is waited for first": Program((
        Block(1, "fork", ()), Block(2, "fork", ()), Block(3, "thread", (
            Block(4, "fork", ()), Block(5, "fork", ()), Call(6, "wait4", (Const(-1), Data(64), Const(0), Const(0))),
            Block(7, "thread", (Block(8, "fork", ()), Block(9, "fork", ()),
                                Call(10, "wait4", (Const(-1), Data(64), Const(0), Const(0))))),
            Call(11, "wait4", (Const(-1), Data(64), Const(0), Const(0))))),
        *(Call(number, "wait4", (Const(-1), Data(64), Const(1), Const(0))) for number in range(12, 18)))),
    "guard regions": Program((
        Store(64, b"/proc/self/maps\0"),
        Call(1, "mmap", (Arena(0), Const(0x8000), Const(3), Const(0x32), Const(-1), Const(0))),
        Probe(2, Arena(0x1000), 7),
        Call(3, "madvise", (Arena(0x1000), Const(0x2000), Const(102))), Probe(4, Arena(0x1000)), Probe(5, Arena(0), 1),
        Call(6, "mprotect", (Arena(0), Const(0x4000), Const(1))),
        Call(7, "mprotect", (Arena(0), Const(0x4000), Const(3))),
        Probe(8, Arena(0x2000)), Call(9, "madvise", (Arena(0), Const(0x4000), Const(22))), Content(10, 64),
        Call(11, "mlock", (Arena(0x1000), Const(4096))), Call(12, "munlock", (Arena(0x1000), Const(4096))),
        Call(13, "mremap", (Arena(0), Const(0x3000), Const(0x3000), Const(3), Arena(0x10000))),
        Probe(14, Arena(0x11000)),
        Call(15, "write", (Const(0), Arena(0x11000), Const(1))), Call(16, "pipe", (Data(128),)), Load(17, 132),
        Call(18, "write", (Result(17), Arena(0x11000), Const(1))),
        Call(19, "madvise", (Arena(0x11000), Const(4096), Const(103))), Probe(20, Arena(0x11000)),
        Probe(21, Arena(0x12000)), Call(22, "munmap", (Arena(0x12000), Const(4096))), Probe(23, Arena(0x12000)),
        Call(24, "mmap", (Arena(0x12000), Const(4096), Const(3), Const(0x32), Const(-1), Const(0))),
        Probe(25, Arena(0x12000)),
        Call(27, "madvise", (Arena(0x12000), Const(4096), Const(102))),
        Call(28, "mlock", (Arena(0x10000), Const(4096))),
        Call(29, "madvise", (Arena(0x10000), Const(4096), Const(102))), Probe(30, Arena(0x12000), 5))),
    "times of messages that nobody stamps": Program((
        Call(1, "socketpair", (Const(1), Const(1), Const(0), Data(64))), Load(2, 64), Store(80, b"\x10\0\0\0"),
        Call(3, "socket", (Const(2), Const(2), Const(0))), StoreValue(72, 4, Const(0xFFFF)),
        Call(4, "setsockopt", (Result(3), Const(1), Const(37), Data(72), Const(4))),
        *(operation for number, (flags, option) in enumerate(
            ((0, 37), (0x18, 37), (1 << 19, 37), (1 << 16, 37), (0x10080, 65), (1 << 12, 37), (0x1800, 37),
             (1 << 15, 37)))
          for operation in (
            StoreValue(72, 4, Const(flags)), Call(10 + 3 * number, "setsockopt", (
                Result(2), Const(1), Const(option), Data(72), Const(4))),
            Store(80, b"\x10\0\0\0"),
            Call(11 + 3 * number, "getsockopt", (Result(2), Const(1), Const(37), Data(128), Data(80))),
            Store(80, b"\x10\0\0\0"),
            Call(12 + 3 * number, "getsockopt", (Result(2), Const(1), Const(65), Data(128), Data(80))))))),
    "nothing random outside": Program((
        Call(1, "getrandom", (Const(1 << 63), Const(0), Const(0))),
        Call(2, "getrandom", (Const(0), Const(0), Const(0))))),
    "all memory locked": Program((
        Call(1, "mlockall", (Const(1),)), Call(2, "munlockall"), Call(3, "mlockall", (Const(7),)),
        Call(4, "mmap", (Const(0), Const(4 << 20), Const(3), Const(0x22), Const(-1), Const(0))))),
    "hints in the first page": Program((
        Call(1, "mmap", (Const(1), Const(1), Const(0), Const(0x21), Const(0), Const(0))), Probe(2, Result(1, 4096)),
        Call(3, "mincore", (Result(1), Const(16384), Data(64))), Call(4, "munmap", (Result(1), Const(12288))),
        Call(5, "mmap", (Const(0x1001), Const(1), Const(0), Const(0x21), Const(0), Const(0))))),
    "queues that cannot be used, or are too much": Program((
        Store(64, b"q1aaaaaaaa\0"), StoreValue(66, 8, Const(0x6161616161616161)),
        Store(128, b"".join(word.to_bytes(8, "little") for word in (0, 10, 100)) + bytes(40)),
        Call(1, "mq_open", (Data(64), Const(0o10000102), Const(0o600), Data(128))),
        Call(2, "mq_getsetattr", (Result(1), Const(0), Data(256))), Call(3, "fcntl", (Result(1), Const(3), Const(0))),
        Call(4, "mq_open", (Data(64), Const(2), Const(0), Const(0))), Call(5, "fstat", (Result(4), Data(256))),
        Call(6, "mq_unlink", (Data(64),)), Call(8, "fstat", (Result(4), Data(256))),
        Call(7, "mq_open", (Data(64), Const(0o102), Const(0o600), Const(0))))),
    "the state of a socket before its data": Program((
        Store(64, b"\1\0none\0"), Store(80, b"\2\0N\x21\x7f\0\0\1" + bytes(8)), StoreValue(128, 8, Const(16)),
        StoreValue(136, 8, Const(4)), Store(192, bytes(56)), StoreValue(208, 8, Data(128)),
        StoreValue(216, 8, Const(1)),
        Store(256, bytes(56)), StoreValue(272, 8, Data(128)), StoreValue(288, 8, Data(320)),
        StoreValue(296, 8, Const(20)), Store(320, bytes(24)),
        Store(400, b"\0\x10" + bytes(6)), Call(1, "rt_sigprocmask", (Const(0), Data(400), Const(0), Const(8))),
        *(operation for number, (domain, kind) in enumerate((
            (1, 1), (1, 2), (1, 5), (2, 1), (2, 2), (10, 1), (10, 2), (16, 3))) for operation in (
            Call(10 + 20 * number, "socket", (Const(domain), Const(kind | 0o4000), Const(0))),
            *(Call(11 + 20 * number + which, name, (Result(10 + 20 * number), *(
                Const(value) if isinstance(value, int) else value for value in arguments)))
              for which, (name, arguments) in enumerate((
                ("write", (16, 4)), ("writev", (Data(128), 1)), ("sendto", (16, 4, 0, 0, 0)),
                ("sendto", (16, 4, 0, Data(64), 7)), ("sendto", (16, 4, 0, 16, 16)), ("sendto", (16, 4, 1, 0, 0)),
                ("sendmsg", (Data(192), 0)), ("sendmsg", (Data(256), 0)), ("sendto", (Data(64), 0, 0, 0, 0)))))))
        )),
    "futex2: nodes, kinds that differ": Program((
        *(operation for number, (flags, node) in enumerate((
            (2, 7), (6, 0), (6, 1), (6, 0xFFFFFFFF), (0x86, 0xFFFFFFFF), (0x8E, 0), (10, 0), (0x12, 0), (4, 0)))
          for operation in (
            StoreValue(64, 8, Const(node << 32)), StoreValue(72, 8, Const(node << 32)),
            Call(1 + 8 * number, "futex_wake", (Data(64), Const(1), Const(1), Const(flags))),
            Call(2 + 8 * number, "futex_wake", (Data(68), Const(1), Const(1), Const(flags))),
            Call(3 + 8 * number, "futex_wait", (Data(64), Const(1), Const(1), Const(flags), Const(0), Const(1))),
            Store(128, bytes(48)), StoreValue(136, 8, Data(64)), StoreValue(144, 4, Const(flags)),
            StoreValue(160, 8, Data(72)), StoreValue(168, 4, Const(flags)),
            Call(4 + 8 * number, "futex_requeue", (Data(128), Const(0), Const(1), Const(1))),
            StoreValue(168, 4, Const(flags ^ 128)),
            Call(5 + 8 * number, "futex_requeue", (Data(128), Const(0), Const(1), Const(1))))),)),
    "sealed memory": Program((
        Call(1, "mmap", (Const(0), Const(0x6000), Const(3), Const(0x22), Const(-1), Const(0))),
        Call(2, "mseal", (Result(1, 0x1000), Const(0x2000), Const(0))),
        Call(3, "mseal", (Result(1), Const(4096), Const(1))),
        Call(4, "mseal", (Const(1 << 63), Const(4096), Const(0))),
        Call(5, "munmap", (Result(1), Const(0x2000))), Call(6, "mprotect", (Result(1), Const(0x2000), Const(1))),
        Call(7, "mremap", (Result(1, 0x1000), Const(0x1000), Const(0x2000), Const(1), Const(0))),
        Call(8, "mmap", (Result(1, 0x1000), Const(4096), Const(3), Const(0x32), Const(-1), Const(0))),
        *(Call(10 + advice, "madvise", (Result(1, 0x1000), Const(0x1000), Const(advice))) for advice in range(26)),
        Probe(40, Result(1, 0x1000), 1), Probe(41, Result(1)))),
    "huge pages where none fits": Program((
        Call(1, "mmap", (Const(0), Const(0x6000), Const(3), Const(0x22), Const(-1), Const(0))),
        Call(2, "madvise", (Result(1), Const(0x1000), Const(25))),
        Call(3, "madvise", (Result(1), Const(0), Const(25))))),
    "time that is up at once": Program((
        Store(64, bytes(16)), Call(1, "setrlimit", (Const(0), Data(64))), Block(2, "thread", ()))),
    "what cannot be written": Program((
        Call(1, "timerfd_create", (Const(0), Const(0))), Call(2, "write", (Result(1), Const(0), Const(8))),
        Call(3, "write", (Result(1), Data(64), Const(0))))),
    "memory policies part areas": Program((
        Call(1, "mmap", (Arena(0), Const(0x10000), Const(3), Const(0x32), Const(-1), Const(0))),
        Call(2, "mbind", (Arena(24576), Const(8192), Const(4), Const(0), Const(0), Const(0))),
        Store(480, b"/proc/self/maps\0"), Content(3, 480),
        Call(4, "get_mempolicy", (Data(64), Const(0), Const(0), Arena(28672), Const(2))),
        Call(5, "mprotect", (Arena(28672), Const(4096), Const(1))), Content(6, 480),
        Call(7, "mbind", (Arena(24576), Const(8192), Const(0), Const(0), Const(0), Const(0))), Content(8, 480),
        Call(9, "get_mempolicy", (Data(64), Const(0), Const(0), Arena(28672), Const(2))))),
    "areas that touched memory before they became equal": Program((
        Call(1, "brk", (Const(0),)),
        Call(2, "mmap", (Result(1, 1), Const(4096), Const(3), Const(0x2022), Const(-1), Const(0))),
        Call(3, "munlockall"), Store(376, b"/proc/self/maps\0"), Content(4, 376))),
    "no number for a socket": Program((
        Store(64, bytes(16)), Call(1, "setrlimit", (Const(7), Data(64))),
        Call(2, "accept4", (Const(0), Const(0), Const(0), Const(0))),
        Call(3, "accept4", (Const(0), Const(0), Const(0), Const(1))),
        Call(4, "accept", (Const(99), Const(0), Const(0))), Call(5, "socket", (Const(1), Const(1), Const(0))))),
    "populated up to a hole": Program((
        Call(1, "mmap", (Arena(0), Const(12288), Const(0), Const(0x32), Const(-1), Const(0))),
        *(Call(2 + number, "madvise", (Arena(place), Const(12288), Const(advice)))
          for number, (place, advice) in enumerate(((8192, 22), (8192, 23), (0, 22), (16384, 22)))))),
    "more room than attributes of the scheduler": Program((
        Store(64, b"\xff" * 300), Call(1, "sched_getattr", (Const(0), Data(64), Const(256), Const(0))))),
    "control that is no control, and out of band": Program((
        Store(320, bytes(64)), Store(256, bytes(56)), StoreValue(288, 8, Data(320)), StoreValue(296, 8, Const(20)),
        *(operation for number, kind in enumerate((1, 2, 5)) for operation in (
            Call(1 + 4 * number, "socketpair", (Const(1), Const(kind), Const(0), Data(64))), Load(2 + 4 * number, 68),
            Call(3 + 4 * number, "sendmsg", (Result(2 + 4 * number), Data(256), Const(1))))))),
    "timer slack of any size": Program(tuple(
        operation for number, slack in enumerate((-1, 1 << 63, 5, 0)) for operation in (
        Call(1 + 2 * number, "prctl", (Const(29), Const(slack), Const(0), Const(0), Const(0))),
        Call(2 + 2 * number, "prctl", (Const(30), Const(0), Const(0), Const(0), Const(0)))))),
    "a robust list in the last page": Program((
        Call(1, "set_robust_list", (Const(-1), Const(24))),
        Call(2, "get_robust_list", (Const(0), Data(64), Data(72))),
        Call(3, "set_robust_list", (Const(-4096), Const(24))),
        Call(4, "get_robust_list", (Const(0), Data(64), Data(72))),
        Call(5, "set_robust_list", (Const(0), Const(24))))),
    "the ring of asynchronous requests": Program((
        Store(64, b"/proc/self/maps\0"), Call(1, "io_setup", (Const(300), Data(128))), Load(2, 128, 8), Content(3, 64),
        Call(4, "mlock", (Result(2), Const(4096))), Call(5, "io_getevents", (Result(2), Const(0), Const(1), Data(256),
                                                                             Const(0))),
        Call(6, "mremap", (Result(2), Const(4096), Const(8192), Const(1), Const(0))),
        Call(7, "mremap", (Result(2), Const(0x5000), Const(0x5000), Const(3), Arena(0))),
        Call(8, "io_getevents", (Result(2), Const(0), Const(1), Data(256), Const(0))),
        Call(9, "io_getevents", (Arena(0), Const(0), Const(1), Data(256), Const(0))),
        Call(10, "mprotect", (Arena(0), Const(4096), Const(0))),
        Call(11, "io_getevents", (Arena(0), Const(0), Const(1), Data(256), Const(0))),
        Call(12, "mprotect", (Arena(0), Const(4096), Const(3))), Content(13, 64),
        Call(14, "io_destroy", (Arena(0),)), Call(15, "io_destroy", (Arena(0),)), Content(16, 64))),
    "memory of its own that is read while it is written": Program((
        Call(1, "getpid"), StoreValue(0x100, 8, Data(0x400)), StoreValue(0x108, 8, Const(8)),
        StoreValue(0x110, 8, Data(0x40A)), StoreValue(0x118, 8, Const(6)),
        StoreValue(0x140, 8, Data(0x408)), StoreValue(0x148, 8, Const(20)), Store(0x400, b"abcdefghijklmnopqrstuvwxyz"),
        Call(2, "process_vm_writev", (Result(1), Data(0x100), Const(2), Data(0x140), Const(1), Const(0))),
        Call(3, "process_vm_readv", (Result(1), Data(0x140), Const(1), Data(0x100), Const(2), Const(0))))),
    "locked memory beside what is the kernel's own": Program((
        Call(1, "io_setup", (Const(1), Data(128))), Call(2, "mlockall", (Const(3),)), Store(64, b"/proc/self/status\0"),
        Call(3, "io_setup", (Const(1), Data(136))), Call(4, "munlockall"))),
    "peeking from an offset, of the internet": Program((
        Call(1, "socket", (Const(10), Const(2), Const(0))), Store(64, b"\x03\0\0\0"),
        Call(2, "setsockopt", (Result(1), Const(1), Const(42), Data(64), Const(4))), Store(80, b"\x04\0\0\0"),
        Call(3, "getsockopt", (Result(1), Const(1), Const(42), Data(96), Data(80))),
        Call(4, "setsockopt", (Result(1), Const(1), Const(42), Data(64), Const(3))))),
    "a privileged port in a bad address": Program((
        Call(1, "socket", (Const(10), Const(1), Const(0))), Call(2, "socket", (Const(2), Const(1), Const(0))),
        *(operation for number, (address, size) in enumerate((
            (b"\x02\0\0P\x7f\0\0\x01", 16), (b"\x02\0\0P\x7f\0\0\x01", 28), (b"\x0a\0\0P", 28),
            (b"\x0a\0\0P", 23), (b"\0\0\0P", 16), (b"\0\0\0P\x7f", 16), (b"\x02\0\0P", 15),
            (b"\x0a\0\0P\0\0\0\0\xff\x02", 28))) for operation in (
            Store(64, address.ljust(28, b"\0")), Call(10 + 2 * number, "bind", (Result(1), Data(64), Const(size))),
            Call(11 + 2 * number, "bind", (Result(2), Data(64), Const(size))))))),
    "a segment attached after mlockall": Program((
        Call(1, "shmget", (Const(0), Const(32), Const(0o1600))), Call(2, "mlockall", (Const(3),)),
        Call(3, "shmat", (Result(1), Arena(0x5000), Const(0))),
        Call(4, "msync", (Arena(0x4000), Const(0x2000), Const(2))), Call(5, "munlockall"),
        Call(6, "msync", (Arena(0x4000), Const(0x2000), Const(2))))),
    "moved memory beside other memory": Program((
        Call(1, "mmap", (Arena(0), Const(8192), Const(3), Const(0x32), Const(-1), Const(0))),
        Call(2, "uname", (Arena(0),)), Call(3, "uname", (Arena(4096),)), Store(64, b"/proc/self/maps\0"),
        Call(4, "mremap", (Arena(4096), Const(4096), Const(4096), Const(3), Arena(0x8000))),
        Call(5, "mremap", (Arena(0), Const(4096), Const(4096), Const(3), Arena(0x9000))), Content(6, 64),
        Call(7, "mmap", (Arena(0xA000), Const(8192), Const(3), Const(0x32), Const(-1), Const(0))), Content(8, 64),
        Call(9, "mremap", (Arena(0x9000), Const(8192), Const(8192), Const(1), Const(0))),
        Call(10, "mremap", (Arena(0x9000), Const(8192), Const(12288), Const(1), Const(0))),
        Call(11, "mremap", (Arena(0xA000), Const(8192), Const(8192), Const(3), Arena(0x4000))), Content(12, 64),
        Call(13, "mmap", (Arena(0x6000), Const(8192), Const(3), Const(0x32), Const(-1), Const(0))), Content(14, 64),
        Call(15, "mremap", (Arena(0x8000), Const(4096), Const(4096), Const(3), Arena(0x1000))),
        Call(16, "mremap", (Arena(0x9000), Const(4096), Const(4096), Const(3), Arena(0))), Content(17, 64),
        Call(18, "mremap", (Arena(0), Const(8192), Const(12288), Const(0), Const(0))), Content(19, 64))),
    "the ring itself as a request": Program((
        Call(1, "io_setup", (Const(1), Data(64))), Load(2, 64, 8),
        Call(3, "io_submit", (Result(2), Const(1), Data(64))))),
    "the peer of a socket of the internet": Program((
        Call(1, "socket", (Const(10), Const(1), Const(0))), Store(64, b"\x04\0\0\0"),
        Call(2, "getsockopt", (Result(1), Const(1), Const(77), Data(128), Data(64))),
        Call(3, "socket", (Const(16), Const(3), Const(0))),
        Call(4, "getsockopt", (Result(3), Const(1), Const(77), Data(128), Data(64))))),
    "pages of a process that has ended": Program((
        Block(1, "fork", ()), Call(2, "move_pages", (Result(1), Const(1), Data(64), Data(128), Data(192), Const(0))),
        Call(3, "move_pages", (Result(1), Const(0), Data(64), Const(0), Data(192), Const(0))),
        Call(4, "migrate_pages", (Result(1), Const(0), Data(64), Data(64))))),
    "no change of owner in proc": Program((
        Store(64, b"/proc/self\0"), Call(1, "chown", (Data(64), Const(-1), Const(-1))),
        Call(2, "lchown", (Data(64), Const(-1), Const(-1))), Store(96, b"/proc/self/comm\0"),
        Call(3, "chown", (Data(96), Const(-1), Const(-1))))),
    "bad data for packets that nobody will take": Program((
        Call(1, "socketpair", (Const(1), Const(2053), Const(0), Data(64))), Load(2, 64), Load(3, 68),
        Call(4, "shutdown", (Result(2), Const(0))), Call(5, "sendto", (Result(3), Const(1), Const(5), Const(0),
                                                                       Const(0), Const(0))),
        Call(6, "write", (Result(3), Const(1), Const(5))), Call(7, "write", (Result(3), Data(64), Const(5))))),
    "a bad control message of a datagram": Program((
        Call(1, "socket", (Const(2), Const(2), Const(0))), Store(0x100, b"\x02\0N!\x7f\0\0\x01" + bytes(8)),
        Store(0x200, bytes(56)), StoreValue(0x200, 8, Data(0x100)), StoreValue(0x208, 4, Const(16)),
        StoreValue(0x220, 8, Data(0x300)), StoreValue(0x228, 8, Const(24)),
        Call(2, "sendmsg", (Result(1), Data(0x200), Const(0))))),
    "locked segments count": Program((
        Call(1, "shmget", (Const(0), Const(2**31 - 1), Const(384))), Call(2, "shmctl", (Result(1), Const(11), Data(0))),
        Call(3, "shmget", (Const(0), Const(5 << 20), Const(384))), Call(4, "shmctl", (Result(3), Const(11), Data(0))),
        Call(5, "shmget", (Const(0), Const(5 << 20), Const(384))), Call(6, "shmctl", (Result(5), Const(11), Data(0))),
        Call(7, "shmctl", (Result(3), Const(12), Data(0))), Call(8, "shmctl", (Result(5), Const(11), Data(0))),
        Store(64, bytes(16)), Call(9, "setrlimit", (Const(8), Data(64))),
        Call(10, "shmctl", (Result(5), Const(11), Data(0))), Call(11, "shmctl", (Result(5), Const(12), Data(0))),
        Call(12, "shmctl", (Result(1), Const(11), Data(0))))),
    "a timer that is long due is read": Program((
        Call(1, "timerfd_create", (Const(0), Const(0x80800))),
        Store(64, (10).to_bytes(8, "little") + bytes(8) + (1000).to_bytes(8, "little") + b"\5" + bytes(7)),
        Call(2, "timerfd_settime", (Result(1), Const(1), Data(64), Const(0))), Store(128, b"\3\0\0\0\1\0\0\0"),
        Call(3, "poll", (Data(128), Const(0), Const(0))), Call(4, "read", (Result(1), Data(256), Const(4))))),
    "a limit of no CPU time": Program((
        Store(64, bytes(8) + b"\xff" * 8), Call(1, "setrlimit", (Const(0), Data(64))),
        Call(2, "getrlimit", (Const(0), Data(128))))),
    "how much of an option's value is looked at": Program((
        Call(1, "socketpair", (Const(1), Const(1), Const(0), Data(64))), Load(2, 64),
        Call(3, "socket", (Const(16), Const(3), Const(0))), Call(4, "socket", (Const(2), Const(1), Const(0))),
        *(Call(10 + index, "setsockopt", (Result(fd), Const(level), Const(option), value, Const(size)))
          for index, (fd, (level, option), value, size) in enumerate(product(
              (2, 3, 4), ((1, 0), (1, 2), (1, 3), (1, 13), (1, 20), (1, 25), (1, 47), (1, 99), (270, 1), (270, 3),
                          (270, 99), (0, 1), (0, 99), (6, 1), (6, 99)),
              (Const(0), Data(DATA_ROOM - 4)), (0, 1, 4, 8)))))),
    "time that is left of much, and of none": Program((
        Call(1, "socketpair", (Const(1), Const(2), Const(0), Data(64))), Load(2, 64), Load(3, 68),
        *(Call(4 + index, "write", (Result(3), Data(64), Const(1))) for index in range(3)),
        Store(128, b"\xff" * 7 + b"\x7f" + b"\1" + bytes(7)),
        Call(7, "recvmmsg", (Result(2), Data(256), Const(1), Const(0x40), Data(128))), Store(144, bytes(16)),
        Call(8, "recvmmsg", (Result(2), Data(256), Const(2), Const(0x40), Data(144))), Store(160, b"\5" + bytes(15)),
        Call(9, "recvmmsg", (Result(2), Data(256), Const(2), Const(0x40), Data(160))))),
    "nothing is executed from where only the kernel is": Program((
        Call(1, "epoll_create", (Const(3),)), Call(2, "eventfd2", (Const(0), Const(0))), Call(3, "inotify_init"),
        Call(4, "pipe", (Data(64),)), Load(5, 64), Call(6, "socket", (Const(1), Const(1), Const(0))),
        Call(7, "timerfd_create", (Const(1), Const(0))), Call(8, "getpid"),
        Call(9, "pidfd_open", (Result(8), Const(0))), Store(128, b"/proc/self/ns/net\0"),
        Call(10, "open", (Data(128), Const(0))), Store(160, b"/dev/zero\0"), Call(11, "open", (Data(160), Const(2))),
        Call(12, "memfd_create", (Data(64), Const(8))), Store(192, bytes(8)),
        Call(13, "signalfd4", (Const(-1), Data(192), Const(8), Const(0))),
        *(Call(20 + index, "mmap", (Arena(0), Const(4096), Const(prot), Const(0x12), Result(fd), Const(0)))
          for index, (fd, prot) in enumerate(product((1, 2, 3, 5, 6, 7, 9, 10, 11, 12, 13), (1, 3, 5)))))),
    "what is the heap": Program((
        Call(1, "brk", (Const(0),)), Call(2, "brk", (Result(1, 0x8000),)), Probe(3, Result(1), 1),
        Call(4, "mmap", (Result(1, 0x8000), Const(8192), Const(3), Const(0x32), Const(-1), Const(0))),
        Store(64, b"/proc/self/maps\0"), Content(5, 64),
        Call(6, "mremap", (Result(1, 0x1000), Const(0x2000), Const(0x2000), Const(3), Arena(0))), Content(7, 64),
        Call(8, "mmap", (Result(1, 0x1000), Const(4096), Const(1), Const(0x32), Const(-1), Const(0))), Content(9, 64),
        Call(10, "munmap", (Result(1, 0x4000), Const(0x10000))), Call(11, "brk", (Result(1, 0x5000),)),
        Call(12, "brk", (Result(1, 0x1000),)), Content(13, 64))),
    "memory that may not be locked any more": Program((
        Call(1, "mlockall", (Const(2),)), Store(64, bytes(16)), Call(2, "setrlimit", (Const(8), Data(64))),
        Call(3, "mmap", (Arena(0), Const(8192), Const(3), Const(0x32), Const(-1), Const(0))),
        Call(4, "mmap", (Arena(0), Const(8192), Const(3), Const(0x2032), Const(-1), Const(0))),
        Call(5, "shmget", (Const(0), Const(32), Const(0o1600))), Call(6, "shmat", (Result(5), Arena(0), Const(0))),
        Call(7, "brk", (Const(0),)), Call(8, "brk", (Result(7, 4096),)))),
    "errors of sockets that keep none": Program((
        Call(1, "socketpair", (Const(1), Const(2), Const(0), Data(64))), Load(2, 64), Load(3, 68),
        Call(4, "write", (Result(3), Data(64), Const(5))),
        Call(5, "recvfrom", (Result(2), Data(128), Const(32), Const(0x2000), Const(0), Const(0))),
        Call(6, "recvfrom", (Result(2), Data(128), Const(32), Const(0x2040), Const(0), Const(0))),
        Call(7, "socket", (Const(2), Const(2), Const(0))),
        Call(8, "recvfrom", (Result(7), Data(128), Const(32), Const(0x2000), Const(0), Const(0))))),
    "requests for mounts": Program(tuple(operation for index, (size, fd, mount, parameter, namespace, room) in (
        enumerate((
        (24, 0, -1, 0, 0, 0), (23, 0, -1, 0, 0, 512), (4097, 0, -1, 0, 0, 512), (40, 0, -1, 0, 0, 512),
        (24, 99, -1, 0, 0, 512), (24, 99, -1, 7, 0, 512), (24, 1, 1 << 32, 0, 0, 512), (32, 0, -1, 0, 99, 512),
        (32, 5, -1, 0, 99, 512), (24, 0, 1 << 31, 0, 0, 512), (24, 0, 1 << 62, 8, 0, 512), (24, 0, 1 << 62, 2, 0, 16),
        (24, 0, 1 << 62, 8, 0, -1), (24, 0, -1, 1 << 31, 0, 8), (24, 0, -1, 1 << 62, 0, 8), (24, 0, -1, 0, 0, 1 << 20),
    ))) for operation in (
        Store(64, b"".join((number & (1 << width * 8) - 1).to_bytes(width, "little") for number, width in (
            (size, 4), (fd, 4), (mount, 8), (parameter, 8), (namespace, 8))) + bytes(64)),
        Call(1 + 3 * index, "statmount", (Data(64), Data(256), Const(room), Const(0))),
        Call(2 + 3 * index, "statmount", (Data(64), Const(-1), Const(room), Const(0))),
        Call(3 + 3 * index, "listmount", (Data(64), Data(256), Const(room), Const(index & 1)))))),
    "options of sockets that few set": Program((
        Call(1, "socket", (Const(1), Const(1), Const(0))), Call(2, "socket", (Const(2), Const(1), Const(0))),
        Call(3, "socket", (Const(16), Const(3), Const(0))), Store(64, b"\1\0\0\0\3\0\0\0" + bytes(8)),
        Store(80, b"\4\0\0\0"), Store(84, b"\x08\0\0\0"),
        *(operation for index, (fd, option) in enumerate(product(
            (1, 2, 3), (25, 27, 46, 47, 49, 50, 52, 53, 55, 57, 60, 61, 62, 62, 68, 69, 70, 73, 74, 80, 82, 83)))
          for operation in (
            Call(10 + 5 * index, "setsockopt", (Result(fd), Const(1), Const(option), Data(64), Const(4))),
            Call(11 + 5 * index, "setsockopt", (Result(fd), Const(1), Const(option), Data(64), Const(8))),
            Store(80, b"\4\0\0\0\x08\0\0\0"),
            Call(12 + 5 * index, "getsockopt", (Result(fd), Const(1), Const(option), Data(128), Data(80))),
            Call(13 + 5 * index, "getsockopt", (Result(fd), Const(1), Const(option), Data(128), Data(84))))))),
    "options at no address, of IPv6": Program((
        Call(1, "socket", (Const(10), Const(1), Const(0))), Call(2, "socket", (Const(10), Const(2), Const(0))),
        *(Call(10 + index, "setsockopt", (Result(fd), Const(level), Const(option), Const(address), Const(4)))
          for index, (fd, level, option, address) in enumerate(product(
              (1, 2), (41, 0), (1, 16, 18, 20, 26, 49, 66, 67, 99), (0, 16)))))),
    "groups of netlink": Program((
        Call(1, "socket", (Const(16), Const(3), Const(0))), Store(64, b"\4\0\0\0\x10\0\0\0"), Store(72, b"\2\0\0\0"),
        Call(2, "getsockopt", (Result(1), Const(270), Const(9), Data(128), Data(64))),
        Call(3, "setsockopt", (Result(1), Const(270), Const(1), Data(72), Const(4))), Store(64, b"\4\0\0\0"),
        Call(4, "getsockopt", (Result(1), Const(270), Const(9), Data(128), Data(64))),
        Call(5, "getsockopt", (Result(1), Const(270), Const(9), Data(144), Data(68))), Store(72, b"\x1e\0\0\0"),
        Call(6, "setsockopt", (Result(1), Const(270), Const(1), Data(72), Const(4))),
        Call(7, "setsockopt", (Result(1), Const(270), Const(8), Data(72), Const(4))),
        Call(8, "getsockopt", (Result(1), Const(270), Const(6), Data(144), Data(68))))),
    "descriptors that nobody wants": Program((
        Call(1, "socketpair", (Const(1), Const(1), Const(0), Data(64))), Load(2, 64), Load(3, 68), Store(72, bytes(4)),
        Call(4, "setsockopt", (Result(2), Const(1), Const(83), Data(72), Const(4))),
        Store(256, b"\x14" + bytes(7) + b"\1\0\0\0\1\0\0\0" + bytes(8)), StoreValue(272, 4, Result(2)),
        Store(320, bytes(56)), StoreValue(320 + 16, 8, Data(400)), StoreValue(320 + 24, 8, Const(1)),
        StoreValue(320 + 32, 8, Data(256)), StoreValue(320 + 40, 8, Const(24)), StoreValue(400, 8, Data(64)),
        StoreValue(408, 8, Const(2)), Call(5, "sendmsg", (Result(3), Data(320), Const(0x40))),
        Call(6, "sendmsg", (Result(2), Data(320), Const(0x40))))),
    "a message queue as a file": Program((
        Store(64, b"q1\0"), Store(80, bytes(8) + b"\2" + bytes(7) + b"\x10" + bytes(47)),
        Call(1, "mq_open", (Data(64), Const(0o4102), Const(0o600), Data(80))), Call(2, "fcntl", (Result(1), Const(1))),
        Call(3, "lseek", (Result(1), Const(5), Const(0))), Call(4, "read", (Result(1), Data(256), Const(8))),
        Call(5, "pread64", (Result(1), Data(272), Const(8), Const(2))), Call(6, "ioctl", (Result(1), Const(0x541B),
                                                                                         Data(288))),
        *(Call(10 + index, "lseek", (Result(1), Const(offset), Const(whence)))
          for index, (offset, whence) in enumerate(product((0, -1, 70, 1 << 40), (2, 3, 4)))),
        Call(30, "pwrite64", (Result(1), Data(64), Const(3), Const(0))), Call(31, "ftruncate", (Result(1), Const(3))),
        Call(32, "fstat", (Result(1), Data(320))), Call(33, "fcntl", (Result(1), Const(1024), Const(0))),
        Call(34, "ioctl", (Result(1), Const(0x5452), Data(64))), Call(35, "pipe2", (Data(600), Const(0))),
        Load(36, 604), Call(37, "splice", (Result(1), Const(0), Result(36), Const(0), Const(3), Const(2))))),
    "devices keep their position": Program((
        Store(64, b"/dev/null\0"), Store(80, b"/dev/zero\0"), Call(1, "open", (Data(64), Const(2))),
        Call(2, "open", (Data(80), Const(2))), Call(3, "pipe2", (Data(96), Const(0))), Load(4, 96), Load(5, 100),
        Call(6, "splice", (Result(1), Const(0), Result(5), Const(0), Const(3), Const(2))),
        Call(7, "splice", (Result(2), Data(128), Result(5), Const(0), Const(3), Const(2))),
        Call(8, "splice", (Result(4), Const(0), Result(1), Data(136), Const(3), Const(2))),
        Call(9, "sendfile", (Result(5), Result(2), Data(144), Const(3))),
        Call(10, "sendfile", (Result(1), Result(2), Data(152), Const(3))))),
    "a FIFO that was opened by its name": Program((
        Store(64, b"p\0"), Call(1, "open", (Data(64), Const(0o4002))), Call(2, "fcntl", (Result(1), Const(3))),
        StoreValue(80, 8, Data(256)), StoreValue(88, 8, Const(4)),
        Call(3, "preadv2", (Result(1), Data(80), Const(1), Const(-1), Const(-1), Const(8))))),
    "a ruleset as a file": Program((
        Store(64, b"\1" + bytes(7)), Call(1, "landlock_create_ruleset", (Data(64), Const(8), Const(0))),
        StoreValue(80, 4, Result(1)), Store(84, b"\xff\xff\0\0"), Call(2, "poll", (Data(80), Const(1), Const(0))),
        Call(3, "write", (Result(1), Const(16), Const(4))), StoreValue(96, 8, Data(256)), StoreValue(104, 8, Const(4)),
        Call(4, "preadv2", (Result(1), Data(96), Const(1), Const(-1), Const(-1), Const(8))))),
    "ioctls and times of sockets": Program((
        Call(1, "socket", (Const(1), Const(1), Const(0))), Call(2, "socket", (Const(2), Const(2), Const(0))),
        Call(3, "socket", (Const(16), Const(3), Const(0))), Store(64, b"\1" + bytes(63)),
        *(Call(10 + index, "ioctl", (Result(fd), Const(code), address)) for index, (fd, code, address) in enumerate(
            product((1, 2, 3), (0x5411, 0x541B, 0x8905, 0x8906, 0x8907, 0x890B, 0x8911, 0x8946),
                    (Data(64), Const(0))))),
        *(operation for fd in (1, 2, 3) for operation in (
            Call(90 + fd, "utimensat", (Result(fd), Const(0), Const(0), Const(0))),
            Call(100 + fd, "shutdown", (Result(fd), Const(3))))))),
    "a connection that is mapped": Program((
        Call(1, "socket", (Const(2), Const(1), Const(0))),
        *(operation for index, (prot, flags) in enumerate(product((0, 1, 3, 4), (0x11, 0x12))) for operation in (
            Call(2 + 3 * index, "mmap", (Arena(0), Const(8192), Const(prot), Const(flags), Result(1), Const(0))),
            Probe(3 + 3 * index, Arena(0)),
            Call(4 + 3 * index, "mprotect", (Arena(0), Const(4096), Const(3))))))),
    "a pidfd is regular for copies and attributes": Program((
        Call(1, "getpid"), Call(2, "pidfd_open", (Result(1), Const(0))), Store(64, b"user.a\0"), Store(80, b"e\0"),
        Call(3, "fgetxattr", (Result(2), Data(64), Data(256), Const(10))), Call(4, "open", (Data(80), Const(2))),
        Call(5, "copy_file_range", (Result(2), Const(0), Result(4), Const(0), Const(4), Const(0))))),
    "nothing is written asynchronously to sockets": Program((
        Call(1, "io_setup", (Const(4), Data(0x100))), Load(2, 0x100, 8),
        Call(3, "socket", (Const(1), Const(0o4001), Const(0))), Call(4, "socket", (Const(2), Const(0o4002), Const(0))),
        Store(0x200, bytes(16) + b"\1" + bytes(47)), StoreValue(0x300, 8, Data(0x200)),
        *(operation for index, fd in enumerate((3, 4)) for operation in (
            StoreValue(0x214, 4, Result(fd)), Call(10 + index, "io_submit", (Result(2), Const(1), Data(0x300))))),
        Call(20, "io_getevents", (Result(2), Const(0), Const(4), Data(0x500), Const(0))))),
    "asking for synchronous mappings": Program((
        Store(64, b"f\0"), Call(1, "open", (Data(64), Const(0))),
        Call(2, "mmap", (Const(0), Const(4096), Const(3), Const(0x80003), Result(1), Const(0))),
        Call(3, "mmap", (Const(0), Const(4096), Const(1), Const(0x80003), Result(1), Const(0))),
        Call(4, "memfd_create", (Data(64), Const(0))),
        Call(5, "mmap", (Const(0), Const(4096), Const(1), Const(0x80003), Result(4), Const(0))))),
    "memory policies as they are told back": Program((
        Call(1, "mmap", (Arena(0), Const(0x4000), Const(3), Const(0x32), Const(-1), Const(0))),
        *(operation for index, (mode, nodes) in enumerate(product(
            (1, 2, 3, 0x4001, 0x4002, 0x8002, 0x2001, 0x2002, 0x8001), (0, 1, 2, 3))) for operation in (
            Store(64, bytes([nodes]) + bytes(7)),
            Call(10 + 5 * index, "set_mempolicy", (Const(mode), Data(64), Const(64))),
            Call(11 + 5 * index, "get_mempolicy", (Data(128), Data(136), Const(64), Const(0), Const(0))),
            Call(12 + 5 * index, "mbind", (Arena(0), Const(4096), Const(mode), Data(64), Const(64), Const(0))),
            Call(13 + 5 * index, "get_mempolicy", (Data(144), Data(152), Const(64), Arena(0), Const(2))))))),
    "a place inside a huge page": Program((
        Call(1, "mmap", (Const(0), Const(1), Const(3), Const(0x40022), Const(-1), Const(4096))),
        Call(2, "mmap", (Const(0), Const(1), Const(3), Const(0x40022), Const(-1), Const(1 << 21))))),
    "attributes of the scheduler that stay": Program(tuple(operation for index, (flags, policy, nice, priority) in (
        enumerate((
        (1, 0, 5, 0), (8, 3, 5, 0), (8, 0, 5, 1), (0x10, 0, 0, 0), (0x10, 1, 0, 1), (0x18, 1, 0, 0), (0, 0, 5, 0),
        ))) for operation in (
        Store(64, b"".join(number.to_bytes(width, "little") for number, width in (
            (48, 4), (policy, 4), (flags, 8), (nice, 4), (priority, 4))) + bytes(24)),
        Call(1 + 2 * index, "sched_setattr", (Const(0), Data(64), Const(0))),
        Call(2 + 2 * index, "sched_getattr", (Const(0), Data(128), Const(48), Const(0)))))),
    "a bad control message of a packet": Program((
        Call(1, "socketpair", (Const(1), Const(5), Const(0), Data(256))), Load(2, 256), Load(3, 260),
        Call(4, "shutdown", (Result(2), Const(1))), StoreValue(864, 8, Data(768)), StoreValue(872, 8, Const(64)),
        Call(5, "sendmsg", (Result(2), Data(832), Const(0))), Call(6, "close", (Result(3),)),
        Call(7, "sendmsg", (Result(2), Data(832), Const(0))), Call(8, "socket", (Const(1), Const(5), Const(0))),
        Call(9, "sendmsg", (Result(8), Data(832), Const(0))))),
    "pages of an ended process to nodes that are not there": Program((
        Block(1, "fork", ()), Store(64, b"\xca" + bytes(7)),
        Call(2, "migrate_pages", (Result(1), Const(65), Data(72), Data(64))), Store(64, b"\1"),
        Call(3, "migrate_pages", (Result(1), Const(65), Data(72), Data(64))))),
    "who sent what, by its credentials": Program((
        Call(1, "socketpair", (Const(1), Const(2), Const(0), Data(64))), Load(2, 64), Load(3, 68),
        Store(72, b"\1\0\0\0"), Call(4, "setsockopt", (Result(2), Const(1), Const(16), Data(72), Const(4))),
        Call(5, "write", (Result(3), Data(64), Const(4))), StoreValue(128, 8, Data(256)), StoreValue(136, 8, Const(4)),
        StoreValue(160 + 16, 8, Data(128)), StoreValue(160 + 24, 8, Const(1)), StoreValue(160 + 32, 8, Data(320)),
        StoreValue(160 + 40, 8, Const(64)), Call(6, "recvmsg", (Result(2), Data(160), Const(0))))),
    "control messages to netlink": Program((
        Call(1, "socket", (Const(16), Const(3), Const(0))), StoreValue(128, 8, Data(256)), StoreValue(136, 8, Const(4)),
        StoreValue(160 + 16, 8, Data(128)), StoreValue(160 + 24, 8, Const(1)), StoreValue(160 + 32, 8, Data(320)),
        StoreValue(160 + 40, 8, Const(32)),
        *(operation for index, (length, level, kind) in enumerate((
            (20, 1, 1), (16, 1, 1), (28, 1, 2), (20, 1, 2), (20, 1, 99), (20, 0, 8))) for operation in (
            Store(320, length.to_bytes(8, "little") + level.to_bytes(4, "little") + kind.to_bytes(4, "little")),
            Call(2 + index, "sendmsg", (Result(1), Data(160), Const(0))))))),
    "nothing out of band": Program((
        Call(1, "socketpair", (Const(1), Const(1), Const(0), Data(64))), Load(2, 64), Call(3, "shutdown",
                                                                                         (Result(2), Const(2))),
        Call(4, "sendto", (Result(2), Data(64), Const(0), Const(1), Const(0), Const(0))),
        Call(5, "socket", (Const(1), Const(1), Const(0))),
        Call(6, "sendto", (Result(5), Data(64), Const(0), Const(1), Const(0), Const(0))))),
    "copies of messages are whole": Program((
        Call(1, "msgget", (Const(0), Const(0o1600))), Store(64, b"\1" + bytes(15)),
        Call(2, "msgsnd", (Result(1), Data(64), Const(8), Const(0))),
        Call(3, "msgrcv", (Result(1), Data(128), Const(4), Const(0), Const(0o54000))),
        Call(4, "msgrcv", (Result(1), Data(128), Const(4), Const(0), Const(0o44000))),
        Call(5, "msgrcv", (Result(1), Data(128), Const(8), Const(0), Const(0o54000))))),
    "names that the kernel chose": Program((
        Store(64, b"\1\0"), Store(72, b"\2" + bytes(15)), Store(96, b"\x10" + bytes(11)),
        *(operation for index, (domain, kind, at, size) in enumerate(((1, 1, 64, 2), (2, 2, 72, 16), (16, 3, 96, 12)))
          for operation in (
            Call(1 + 3 * index, "socket", (Const(domain), Const(kind), Const(0))), Store(112, b"\x10\0\0\0"),
            Call(2 + 3 * index, "bind", (Result(1 + 3 * index), Data(at), Const(size))),
            Call(3 + 3 * index, "getsockname", (Result(1 + 3 * index), Data(128), Data(112))))))),
    "bytes that a listening socket has not sent": Program((
        Call(1, "socket", (Const(2), Const(1), Const(0))), Call(2, "listen", (Result(1), Const(1))),
        Call(3, "ioctl", (Result(1), Const(0x5411), Data(64))))),
}
SINCE = {"a pidfd is regular for copies and attributes": (6, 18), "a ruleset as a file": (6, 12),
         "options of sockets that few set": (6, 18), "descriptors that nobody wants": (6, 18),
         "requests for mounts": (6, 18), "nothing is executed from where only the kernel is": (6, 18),
         "guard regions": (6, 13),
         "futex2: nodes, kinds that differ": (6, 16), "the inode of a process": (6, 18),
         "positions of what has none": (6, 9), "the names in the directory of a process": (6, 1),
         "sendfile into a pipe": (5, 12),
         "more room than attributes of the scheduler": (6, 18), "attributes of files in memory": (6, 0),
         "sealed memory": (6, 18), "advice for another process": (6, 1), "huge pages where none fits": (6, 1),
         "the state of a socket before its data": (6, 18), "the first address behind user space": (6, 18),
         "a robust list in the last page": (6, 18), "peeking from an offset, of the internet": (6, 9),
         "memory that is merged, and timers with numbers of one's own": (6, 18),
         "events of a file in memory": (6, 18), "several areas are moved, and stay": (6, 18),
         "the peer of a socket of the internet": (6, 18),
         "a failed write behind the end of memory": (6, 18), "pages of writes of which nothing came": (6, 18),
         "allocated memory is a hole until it is written": (6, 18),
         "a failed write behind the end of a file": (6, 18)}
"""The Linux that has what some are about, or the one they were seen on where the order of checks has changed."""
