"""Strategies for arguments, made from the declarations: the kind of each parameter says what to draw.

What is drawn is a `Value`, or a `Placed`: something that first has to be put into the program's memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any as Anything

from syscalls.abi.names import ARGUMENTS, CHOICES, FLAG_SETS, values_of
from syscalls.abi.names import VALUES as NAMED
from syscalls.fuzz import domains
from syscalls.fuzz import draws as st
from syscalls.fuzz.draws import Draw, FromBundle, mostly
from syscalls.fuzz.layouts import LAYOUTS
from syscalls.fuzz.program import DATA_ROOM, Arena, Code, Const, Data, Own, Result, Value
from syscalls.table import TABLE, Syscall


@dataclass(frozen=True)
class Room:
    """Memory for output, so many bytes."""
    size: int


@dataclass(frozen=True)
class Placed:
    """Input bytes, with values put over them: (offset, width, `Argument`)."""
    data: bytes
    over: tuple[tuple[int, int, Anything], ...] = ()


Argument = Value | Room | Placed

BAD_POINTERS = st.sampled_from([Const(0), Const(1), Const(0x10000), Data(DATA_ROOM - 1), Data(DATA_ROOM - 8), Const(-1),
                                Const(0x7FFFFFFFF000), Const(1 << 63)])
"""NULL and other addresses where nothing is, the end of the memory area, and addresses of the kernel."""


def constants(values: Sequence[int]) -> Draw:
    return st.sampled_from([Const(value) for value in values])


def flags(name: str, record: Syscall) -> Draw:
    """None, one or some of the named flags; now and then a bit that nobody knows."""
    known = served(record, sorted(set(values_of(name)))) if name in FLAG_SETS else [1, 2, 4, 8]
    some = st.lists(st.sampled_from(known or [1]), max_size=3).map(lambda picked: Const(_union(picked)))
    return mostly(st.one_of(st.just(Const(0)), some), constants((1 << 30, 1 << 20, -1, 0x40, 3)), 12)


def _union(values: Sequence[int]) -> int:
    out = 0
    for value in values:
        out |= value
    return out


def text(values: Sequence[bytes]) -> Draw:
    return mostly(st.sampled_from([Placed(value + b"\0") for value in values]), BAD_POINTERS, 24)


def pack(layout: str, *fields: int) -> bytes:
    return struct.pack(layout, *fields)


TIMESPECS = st.sampled_from([Placed(pack("<qq", *pair)) for pair in (
    (0, 0), (0, 0), (0, 1), (0, 1_000_000), (0, 999_999_999), (0, 1_000_000_000), (-1, 0), (0, -1))])
FAR_TIMERS = st.sampled_from([Placed(pack("<qqqq", *fields)) for fields in (
    (0, 0, 0, 0), (0, 0, 1000, 0), (10, 0, 1000, 5), (0, 0, 0, 1_000_000_000), (0, -1, 5, 0), (0, 0, -1, 0),
    (5, 0, 0, 0))])
FILE_TIMES = st.lists(st.sampled_from([(0, 0), (1_000_000, 5), (1_600_000_000, 999_999_999), (0, 0x3FFFFFFF),
                                       (0, 0x3FFFFFFE),
                                       (0, 1_000_000_000), (-5, 1), (0, -1), (1 << 33, 0)]),
                      min_size=2, max_size=2).map(lambda pairs: Placed(pack("<qqqq", *pairs[0], *pairs[1])))
FILE_TIMEVALS = st.lists(st.sampled_from([(0, 0), (1_000_000, 5), (1_600_000_000, 999_999), (0, 1_000_000), (0, -1),
                                          (-5, 1)]),
                         min_size=2, max_size=2).map(lambda pairs: Placed(pack("<qqqq", *pairs[0], *pairs[1])))
SIGSETS = st.sampled_from([Placed(pack("<Q", mask)) for mask in (
    0, 0x200, 0x800, 0xA00, 0x4000, 0x10000, (1 << 64) - 1, 1 << 33, 0x200 | 1 << 33)])
CONTENT = st.sampled_from([b"", b"x", b"hello", b"0123456789", b"y" * 100, b"z" * 600])


fds, pids, maps, ids, shms, sems, msgs, rulesets = (
    FromBundle(name) for name in ("fds", "pids", "maps", "ids", "shms", "sems", "msgs", "rulesets"))
"""The objects that programs make: descriptors, processes, mappings, and numbers of other things."""


def layout_strategy(name: str) -> Draw:
    """What to put into an `In[...]`."""
    small = st.integers(0, 40)
    match name:
        case "Timespec":
            return TIMESPECS
        case "Timeval":
            return st.sampled_from([Placed(pack("<qq", *pair)) for pair in ((0, 0), (0, 1000), (0, 1_000_000), (-1, 0),
                                                                            (0, -1))])
        case "Timespec2":
            return FILE_TIMES
        case "Timeval2":
            return FILE_TIMEVALS
        case "Utimbuf":
            return st.sampled_from([Placed(pack("<qq", *pair)) for pair in ((0, 0), (1_000_000, 1_600_000_000),
                                                                            (-1, 5))])
        case "Itimerspec" | "Itimerval":
            return FAR_TIMERS
        case "SigSet":
            return SIGSETS
        case "SigSetArgument":
            return st.tuples(SIGSETS, st.sampled_from([8, 8, 8, 0, 16])).map(
                lambda pair: Placed(bytes(16), ((0, 8, pair[0]), (8, 8, Const(pair[1])))))
        case "Sigaction":
            handler = st.sampled_from([Code(0), Code(0), Const(0), Const(1)])
            flag = st.lists(st.sampled_from([0x10000000, 0x40000000, 0x80000000, 1, 2, 0x08000000, 0x400]), max_size=2)
            mask = st.sampled_from([0, 0x200, 0x4000, (1 << 64) - 1])
            return st.tuples(handler, flag, mask).map(lambda t: Placed(
                pack("<QQQQ", 0, _union(t[1]) | 0x04000004, 0, t[2]), ((0, 8, t[0]), (16, 8, Code(1)))))
        case "IoVec":
            return vectors()
        case "PollFds":
            events = st.sampled_from([1, 4, 5, 0x2001, 0x41, 0, 0xFFFF])
            entry = st.tuples(fds, events)
            return st.lists(entry, min_size=1, max_size=4).map(lambda entries: Placed(
                b"".join(pack("<ihh", 0, event - (event >> 15 << 16), 0) for _, event in entries),
                tuple((8 * index, 4, fd) for index, (fd, _) in enumerate(entries))))
        case "FdSet":
            return st.sampled_from([0, 1, 7, 8, 0x18, 0x38, 0xF8, 1 << 63]).map(lambda bits: Placed(pack("<Q120x",
                                                                                                         bits)))
        case "EpollEvent":
            return st.tuples(st.sampled_from([1, 4, 5, 0x80000001, 0x40000001, 0x10000001, 0x2001, 0x20000001, 0]),
                             small).map(
                lambda t: Placed(pack("<IQ", *t)))
        case "Rlimit":
            edge = st.sampled_from([0, 1, 100, 4096, 1 << 20, 1 << 40, (1 << 64) - 1])
            return st.tuples(edge, edge).map(lambda t: Placed(pack("<QQ", *t)))
        case "S64Value":
            return st.sampled_from([0, 0, 1, 10, 64, 100, -1, (1 << 63) - 1]).map(lambda n: Placed(pack("<q", n)))
        case "U32" | "S32":
            return st.sampled_from([0, 0x3FFFFFF0, 0xFFFFFFFF, 65534]).map(lambda n: Placed(pack("<I", n)))
        case "U64":
            return st.sampled_from([0, 0, 1, 5, (1 << 64) - 1]).map(lambda n: Placed(pack("<Q", n)))
        case "SigInfoLayout":
            code = st.sampled_from([-1, -1, -2, -3, -60, 0, -6, 1])
            return st.tuples(st.sampled_from([0, 10, 34]), code, small).map(
                lambda t: Placed(pack("<iiiiiIQ96x", t[0], 0, t[1], 0, 0, 65534, t[2])))
        case "StackT":
            return st.sampled_from([(Data(0x2000), 0, 0x1000), (Data(0x2000), 2, 0), (Data(0x2000), 0, 2047),
                                    (Const(0), 0, 8192),
                                    (Data(0x2000), 1, 4096), (Data(0x2000), 1 << 31, 4096),
                                    (Data(0x2000), 7, 4096)]).map(
                lambda t: Placed(pack("<QQQ", 0, t[1], t[2]), ((0, 8, t[0]),)))
        case "SemOps":
            op = st.tuples(st.sampled_from([0, 0, 1, 5, 32000]), st.sampled_from([0, 1, 1, 2, -1, -1, -2, 32767,
                                                                                  -32768]),
                           st.sampled_from([0o4000, 0o4000, 0o14000]))
            return st.lists(op, min_size=1, max_size=2).map(lambda ops: Placed(b"".join(pack("<Hhh",
                                                                                             *item) for item in ops)))
        case "MessageLayout":
            return st.tuples(st.sampled_from([1, 2, 5, 0, -1]), CONTENT).map(
                lambda t: Placed(pack("<q", t[0]) + t[1]))
        case "MqAttr":
            return st.sampled_from([(0, 2, 16), (0, 10, 100), (0o4000, 1, 1), (0, 0, 16), (0, 11, 16), (0, 4, 8193),
                                    (1, -1, 5)]).map(
                lambda t: Placed(pack("<qqqq32x", *t, 0)))
        case "Sigevent":
            return st.tuples(st.sampled_from([0, 1, 1, 2, 4, 99]), st.sampled_from([10, 34, 0, 65, 12]), small).map(
                lambda t: Placed(pack("<Qii48x", t[2], t[1], t[0])))
        case "OpenHow":
            return st.tuples(st.sampled_from([0, 2, 0o102, 0o10000000, 0o200000, 0o4000, 1 << 40, 0o20200002, 0o1000]),
                             st.sampled_from([0, 0, 0o644, 0o10000]),
                             st.sampled_from([0, 1, 2, 4, 8, 16, 24, 32, 64])).map(lambda t: Placed(pack("<QQQ", *t)))
        case "XattrArgs":
            return st.tuples(CONTENT, st.sampled_from([0, 1, 2, 3])).map(
                lambda t: Placed(pack("<QII", 0, len(t[0]), t[1]), ((0, 8, Placed(t[0] + b"\0")),)))
        case "CapHeader":
            return st.sampled_from([(0x20080522, 0), (0x20071026, 0), (0x19980330, 0), (0, 0), (0x20080522, -1),
                                    (0x20080522, 0x3FFFFFFF)]).map(lambda t: Placed(pack("<Ii", *t)))
        case "CapData":
            return st.sampled_from([Placed(bytes(24)), Placed(b"\xff" * 24), Placed(pack("<6I", 1, 0, 0, 0, 0, 0))])
        case "SchedParam":
            return st.sampled_from([0, 1, 50, 99, 100, -1]).map(lambda n: Placed(pack("<i", n)))
        case "SchedAttr":
            return st.tuples(st.sampled_from([48, 48, 56, 0, 47, 4096]), st.sampled_from([0, 3, 5, 1, 6, 99]),
                             st.sampled_from([0, 1, 4, 1 << 20]), st.sampled_from([0, 5, 19, 20, -5]),
                             st.sampled_from([0, 1])).map(
                lambda t: Placed(pack("<IIQiIQQQII", t[0], t[1], t[2], t[3], t[4], 0, 0, 0, 0, 0)))
        case "Timex":
            return st.sampled_from([0, 0, 0xA001, 1, 2, 0x10]).map(lambda modes: Placed(pack("<I204x", modes)))
        case "PointerVector":
            return st.sampled_from([Placed(bytes(8)), Placed(bytes(16), ((0, 8, Placed(b"arg\0")),)),
                                    Placed(bytes(16), ((0, 8, Const(1)),)), Const(0)])
        case "AioRequests":
            return st.lists(requests(), min_size=1, max_size=2).map(
                lambda items: Placed(bytes(8 * len(items)), tuple((8 * i, 8, item) for i, item in enumerate(items))))
        case "AioRequest":
            return requests()
        case "MountRequest":
            # The mounts themselves are each side's own.
            few = st.sampled_from([*[0] * 8, 99])
            return st.tuples(st.sampled_from([24, 24, 32, 32, 23, 40, 4097]), few,
                             st.sampled_from([*[-1] * 4, 1 << 31, (1 << 63) - 1, 1, 0]),
                             st.sampled_from([0, 0, 0, 1, 8, 1 << 31, -1]), few).map(
                lambda t: Placed(pack("<IIqqQ16x", *t)))
        case "FileAttr":
            xflags = st.sampled_from([0, 0, 0x80, 0x40, 0xC0, 0x8, 0x10, 0x200, 0x8000, 1 << 40])
            return st.tuples(xflags, st.sampled_from([0, 0, 0, 5])).map(lambda t: Placed(pack("<QIIII16x", t[0], 0, 0,
                                                                                               t[1], 0)))
        case "LandlockRuleset":
            rights = st.sampled_from([0, *[0xFFFF] * 8, 0x4004, 0x2, 0x1F2, 0x2000, 0x10, 0x8000, 0x10000, 1 << 63])
            few = st.sampled_from([*[0] * 12, 1, 2, 3, 3, 4])
            return st.tuples(rights, few, few).map(lambda t: Placed(pack("<QQQ", *t) + bytes(8)))
        case "LandlockRule":
            rights = st.sampled_from([0, 0xFFFF, 0xFFFF, 0x4004, 0x2, 0x4, 0x8, 0x1F2, 0x2000, 0x10, 0x8000, 0x10000, 1,
                                     3])
            return st.tuples(rights, fds, st.sampled_from([0, 0, 0, 0, 1, 1 << 16])).map(
                lambda t: Placed(pack("<QII", t[0], 0, t[2]), ((8, 4, t[1]),)))
        case "FutexWaitv":
            # Two, as futex_requeue wants: mostly of one kind.
            return st.tuples(st.sampled_from([0, 0, 1, 5]), st.sampled_from([2, 0x82, 6, 0x86, 0, 3, 0x100]),
                             st.sampled_from([0, 0, 0, 0x80, 4])).map(
                lambda t: Placed(pack("<QQIIQQII", t[0], 0, t[1], 0, 0, 0, t[1] ^ t[2], 0),
                                 ((8, 8, Room(8)), (32, 8, Room(8)))))
        case _:
            size = LAYOUTS[name].size if name in LAYOUTS else 16
            return st.binary(max_size=8).map(lambda data: Placed(data + bytes(max(0, size - len(data)))))


def requests() -> Draw:
    """A struct iocb."""
    return st.tuples(st.sampled_from([0, 1, 0, 1, 2, 3, 5, 6, 7, 8, 99]), fds, st.sampled_from([0, 4, 16]),
                     st.sampled_from([0, 5, -1])).map(
        lambda t: Placed(pack("<QIIHhIQQqQII", 7, 0, 0, t[0], 0, 0, 0, t[2], t[3], 0, 0, 0),
                         ((20, 4, t[1]), (24, 8, Room(32)))))


def vectors() -> Draw:
    """struct iovec[], of input or output: both are memory."""
    entry = st.one_of(CONTENT.map(lambda data: (Placed(data + b"\0"), len(data))),
                      st.sampled_from([(Room(16), 16), (Room(64), 64), (Const(0), 0), (Const(0), 4), (Const(1), 8),
                                       (Room(8), -1), (Data(DATA_ROOM - 4), 16), (Room(8), 1 << 62)]))
    return st.lists(entry, min_size=1, max_size=3).map(lambda entries: Placed(
        bytes(16 * len(entries)),
        tuple(part for index, (base, length) in enumerate(entries)
              for part in ((16 * index, 8, base), (16 * index + 8, 8, Const(length))))))


def socket_addresses() -> Draw:
    """struct sockaddr of this machine's own families: names of the scratch directory, abstract names, loopback."""
    names = [pack("<H", 1) + name for name in (b"s1\0", b"s2\0", b"d/s\0", b"f\0", b"\0abs", b"\0abs2", b"",
                                               b"none/s\0", b"q" * 108)]
    inet = [pack("<H", family) + pack(">H", port) + address + bytes(8) for family in (2, 0) for port in (20001, 20002,
                                                                                                         80)
            for address in (b"\x7f\0\0\1", b"\0\0\0\0")]
    return st.sampled_from([Placed(item) for item in (*names, *names, *inet, pack("<H14x", 0), pack("<H", 99), b"")])


def message_headers() -> Draw:
    """struct msghdr, with or without a name and descriptors to pass."""
    rights = st.one_of(st.just(None), st.just(None), fds)

    def build(parts: tuple[Anything, ...]) -> Placed:
        vector, count, name, right, room, flag = parts
        over: list[tuple[int, int, Argument]] = [(16, 8, vector), (24, 8, Const(count)), (48, 4, Const(flag))]
        if name is not None:
            over += [(0, 8, name), (8, 4, Const(len(name.data)))]
        if right is not None:
            over += [(32, 8, Placed(pack("<QiiQ", 20, 1, 1, 0), ((16, 4, right),))), (40, 8, Const(24))]
        elif room:
            over += [(32, 8, Room(room)), (40, 8, Const(room))]
        return Placed(bytes(56), tuple(over))

    return st.tuples(vectors(), st.sampled_from([1, 1, 1, 0, 2, 1025]),
                     st.one_of(st.none(), st.none(), socket_addresses()), rights,
                     st.sampled_from([0, 0, 20, 24, 64]), st.sampled_from([0, 0, 1])).map(build)


def addresses() -> Draw:
    """Addresses for calls on mappings."""
    arena = st.integers(0, 11).map(lambda page: Arena(page * 4096))
    mapped = st.tuples(maps, st.sampled_from([0, 0, 0, 4096, 8192, 1, -4096])).map(
        lambda t: Result(t[0].slot, t[1]) if isinstance(t[0], Result) else t[0])
    return mostly(st.one_of(arena, arena, mapped), st.one_of(BAD_POINTERS, st.just(Arena(7))), 12)


SPECIFIC: dict[str, Callable[[], Draw]] = {
    **dict.fromkeys(("connect.addr", "bind.addr", "sendto.addr"), lambda: mostly(socket_addresses(), BAD_POINTERS)),
    **dict.fromkeys(("accept.addr", "accept4.addr", "recvfrom.addr", "getsockname.addr", "getpeername.addr"),
                    lambda: mostly(st.sampled_from([Room(128), Const(0)]), BAD_POINTERS)),
    **dict.fromkeys(("accept.addrlen", "accept4.addrlen", "recvfrom.addrlen", "getsockname.addrlen",
                     "getpeername.addrlen",
                     "getsockopt.optlen"),
                    lambda: mostly(st.sampled_from([Placed(pack("<i", n)) for n in (4, 16, 110, 128, 0, 2, -1)]),
                                     BAD_POINTERS)),
    **dict.fromkeys(("connect.addrlen", "bind.addrlen", "sendto.addrlen"),
                    lambda: constants((16, 16, 5, 110, 111, 2, 3, 1, 0, 128, -1))),
    **dict.fromkeys(("sendmsg.msg", "recvmsg.msg"), lambda: mostly(message_headers(), BAD_POINTERS)),
    **dict.fromkeys(("sendmmsg.mmsg", "recvmmsg.mmsg"), lambda: mostly(message_headers().map(
        lambda header: Placed(header.data + bytes(8), header.over)), BAD_POINTERS)),
    "recvmmsg.timeout": lambda: st.one_of(st.just(Const(0)), TIMESPECS),
    "socketpair.sv": lambda: mostly(st.just(Room(8)), BAD_POINTERS, 20),
    "setsockopt.optval": lambda: mostly(st.sampled_from([Placed(pack("<iiii", *v)) for v in (
        (0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0), (4096, 0, 0, 0), (-1, 0, 0, 0), (0x7FFFFFFF, 5, 0, 0))]),
        BAD_POINTERS),
    "getsockopt.optval": lambda: mostly(st.sampled_from([Room(4), Room(64)]), BAD_POINTERS),
    "futex.timeout": lambda: st.one_of(st.just(Const(0)), constants((0, 1, 2, 5)), TIMESPECS),
    "ioctl.arg": lambda: mostly(st.one_of(st.just(Room(64)), st.sampled_from([Placed(pack("<i", n)) for n in (0, 1, 5,
                                                                                                                -1)])),
                                  BAD_POINTERS),
    "fcntl.arg": lambda: st.one_of(
        constants((0, 0, 1, 3, 5, 10, 0o4000, 0o2000, 0o40000, 4096, 65536, 2048, -0x3FFFFFF0, 1023, 1024)), fds,
        st.tuples(st.sampled_from([0, 1, 2, 3]), st.sampled_from([0, 1, 2, 3]), st.sampled_from([0, 5, -1, 100]),
                  st.sampled_from([0, 1, 10, -5, 1 << 62])).map(lambda t: Placed(pack("<hh4xqqi4x", t[0], t[1], t[2],
                                                                                      t[3], 0))),
        BAD_POINTERS),
    "mmap.fd": lambda: st.one_of(st.just(Const(-1)), fds),
    "mmap.offset": lambda: constants((0, 0, 0, 4096, 8192, 1, -4096, 1 << 40)),
    "msgctl.arg": lambda: mostly(st.one_of(st.just(Room(128)), st.just(Placed(pack("<IIIIIHHII", 0, 0, 65534, 0, 0,
                                                                                     0o600, 0, 0, 0) + bytes(96)))),
                                                                                     BAD_POINTERS),
    "semctl.arg": lambda: st.one_of(constants((0, 1, 5, 32767, 32768, -1)), st.just(Room(128)),
                                      st.just(Placed(pack("<4H", 1, 2, 3, 4))), BAD_POINTERS),
    "symlink.target": lambda: text(domains.TARGETS),
    "symlinkat.target": lambda: text(domains.TARGETS),
    **{f"{call}.name": lambda: text(domains.XATTR_NAMES) for call in (
        "setxattr", "lsetxattr", "fsetxattr", "getxattr", "lgetxattr", "fgetxattr", "removexattr", "lremovexattr",
        "fremovexattr",
        "setxattrat", "getxattrat", "removexattrat")},
    **{f"{call}.uargs": lambda: mostly(layout_strategy("XattrArgs"), BAD_POINTERS) for call in ("setxattrat",
                                                                                                     "getxattrat")},
    # Sides have more or fewer mounts: none may write into what is next to it.
    "listmount.ids": lambda: mostly(st.just(Room(2048)), BAD_POINTERS),
    "memfd_create.name": lambda: text((b"m", b"", b"a" * 249, b"a" * 250)),
    **dict.fromkeys(("mq_open.name", "mq_unlink.name"), lambda: st.one_of(
        st.sampled_from([Placed(b"q1aaaaaaaa\0", ((2, 8, Own(1)),)), Placed(b"q2aaaaaaaa\0", ((2, 8, Own(1)),))]),
        text((b"", b"/q1", b"q/1", b"a" * 256, b".", b"..")))),
    **dict.fromkeys(("execve.path", "execveat.path"),
                    lambda: text((b"f", b"e", b"n", b"d", b"x", b"dang", b"loop", b"none", b"f/x", b"", b"p",
                                    b"a" * 256))),
    **dict.fromkeys(("landlock_add_rule.ruleset", "landlock_restrict_self.ruleset"), lambda: rulesets),
    **dict.fromkeys(("shmat.number", "shmctl.number"), lambda: shms),
    **dict.fromkeys(("semop.id", "semctl.id", "semtimedop.id"), lambda: sems),
    **dict.fromkeys(("msgsnd.id", "msgrcv.id", "msgctl.id"), lambda: msgs),
    **{f"{call}.{name}": lambda: ids for call, name in (
        ("timer_settime", "number"), ("timer_gettime", "number"), ("timer_getoverrun", "number"),
        ("timer_delete", "number"), ("inotify_rm_watch", "wd"), ("io_destroy", "number"), ("io_submit", "number"),
        ("io_cancel", "number"), ("io_getevents", "number"), ("io_pgetevents", "number"))},
    **dict.fromkeys(("shmget.key", "semget.key", "msgget.key"),
                    lambda: st.sampled_from([Const(0), Own(0), Own(0)])),
    "msgsnd.size": lambda: constants((0, 1, 5, 100, 8192, 8193, -1)),
    "msgrcv.size": lambda: constants((0, 1, 5, 100, 600, -1)),
    "io_submit.count": lambda: constants((1, 1, 2, 0, -1)),
    "io_getevents.least": lambda: constants((0, 0, 1, -1)),
    "io_getevents.most": lambda: constants((0, 1, 2, -1)),
    "io_pgetevents.least": lambda: constants((0, 0, 1, -1)),
    "io_pgetevents.most": lambda: constants((0, 1, 2, -1)),
    "semop.ops": lambda: mostly(layout_strategy("SemOps"), BAD_POINTERS),
    "arch_prctl.address": lambda: st.one_of(st.just(Room(8)), BAD_POINTERS),
    **{f"prctl.arg{n}": lambda: st.one_of(constants((0, 0, 0, 1, 2, 3, 9, 17, 40, 41, 64, 65, -1)), st.just(Room(16)),
                                            st.just(Placed(b"name of this thread\0")),
                                            BAD_POINTERS) for n in (2, 3, 4, 5)},
    "pidfd_open.pid": lambda: st.one_of(pids, constants((0, -1, 0x3FFFFFFF))),
}
"""Strategies by `call.parameter`, where the declared kind is only a number or an address."""

MEMORY_CALLS = {"mmap", "munmap", "mprotect", "mremap", "msync", "mincore", "madvise", "mlock", "munlock", "mlock2",
                "shmat", "shmdt",
                "remap_file_pages", "pkey_mprotect", "mbind", "mseal", "set_mempolicy_home_node", "brk"}


def argument(record: Syscall, index: int) -> Draw:
    """The strategy of one parameter of one call."""
    name, kind = record.params[index], record.argument_kinds()[index]
    key = f"{record.name}.{name}"
    base, _, rest = kind.partition("[")
    layout = rest.rstrip("]")
    if key in SPECIFIC:
        return SPECIFIC[key]()
    if key in domains.VALUES:
        return constants(served(record, domains.VALUES[key]))
    named = ARGUMENTS.get(key)
    if named in FLAG_SETS:
        return flags(named, record)
    if name in domains.VALUES:
        return constants(domains.VALUES[name])
    if named in CHOICES or named in NAMED:
        return constants((*values_of(named), -1, 99))
    match base:
        case "Fd":
            return fds
        case "DirFd":
            return st.one_of(st.just(Const(-100)), st.just(Const(-100)), fds)
        case "Pid":
            return st.one_of(st.just(Const(0)), pids)
        case "Signal":
            return constants(domains.SIGNALS)
        case "Mode":
            return constants(domains.MODES)
        case "Flags":
            return flags(layout, record)
        case "Path":
            return text(domains.PATHS)
        case "OptPath":
            return st.one_of(text(domains.PATHS), text(domains.PATHS), text(domains.PATHS), st.just(Const(0)))
        case "In":
            return mostly(layout_strategy(layout), BAD_POINTERS)
        case "InOut":
            return mostly(layout_strategy(layout), BAD_POINTERS)
        case "Out":
            return mostly(st.just(Room(LAYOUTS[layout].size if layout in LAYOUTS else 64)), BAD_POINTERS)
        case "Buf":
            return mostly(CONTENT.map(lambda data: Placed(data + bytes(max(0, 128 - len(data))))), BAD_POINTERS)
        case "OutBuf":
            return mostly(st.sampled_from([Room(128), Room(512)]), BAD_POINTERS)
    if base == "Addr" or name in ("addr", "start"):
        if record.name in MEMORY_CALLS:
            return addresses()
        return mostly(st.one_of(st.just(Room(64)), st.binary(max_size=12).map(lambda data: Placed(data + bytes(32)))),
                      BAD_POINTERS, 8)
    if name in domains.VALUES:
        return constants(domains.VALUES[name])
    if name in ("uid", "gid", "owner", "group", "real", "effective", "saved"):
        return constants(domains.UIDS)
    if record.name in MEMORY_CALLS and "length" in name:
        return constants(domains.LENGTHS)
    if base in ("S64", "Offset"):
        return constants(domains.OFFSETS)
    if base == "Size":
        return mostly(constants(domains.SIZES[:-3]), constants(domains.SIZES), 6)
    if name == "size" and "SigSet" in "".join(record.argument_kinds()):
        return constants((8, 8, 8, 8, 8, 8, 0, 4, 16))
    if name == "flags":
        return mostly(constants((0, 0, 0, 1, 2, 4)), constants((8, 0x40, 0x800, 0x80000, 1 << 31, -1)), 6)
    return constants(domains.INTERESTING)


def served(record: Syscall, values: Sequence[int]) -> list[int]:
    """Without what the declaration says is not served: its answer is known to differ."""
    bits = [bit for bit in record.unsupported.values() if bit]
    return [value for value in values if not any(value > 0 and (value == bit or (bit & bit - 1 == 0 and bit > 2
                                                                               and value & bit)) for bit in bits)]


def arguments(name: str) -> dict[str, Draw]:
    """The strategy of each parameter of a call, in order."""
    record = next(item for item in TABLE if item is not None and item.name == name)
    return {parameter: argument(record, index) for index, parameter in enumerate(record.params)}
