"""Rules that a table of fields cannot say: for calls whose layout depends on an argument, and for texts of /proc."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack_from

from syscalls.fuzz.program import DATA_ROOM, Call, Const, Data
from syscalls.fuzz.rules import ANY_TIME, SEQUENCE, Any, Bijection, Bijections, Rule

LONGEST_NUMBER = 10
LEADING_DIGITS = re.compile(rb"\d+")
PROCESS_PLACE = re.compile(rb"/proc/(\d+)((?:/[^\0]*)?)\0")
Memory = tuple[bytearray, bytearray]
Fields = list[tuple[int, int, Rule]]
PID = Bijection("pid")


@dataclass(frozen=True)
class Special:
    result: Callable[[Call], Rule | None] | None = None
    fields: Callable[[Call, int], Fields] | None = None
    memory: Callable[[Call, int, Memory, Bijections], None] | None = None


def constant(call: Call, index: int) -> int | None:
    value = call.args[index] if index < len(call.args) else Const(0)
    return value.number if isinstance(value, Const) else None


def offset(call: Call, index: int) -> int | None:
    value = call.args[index] if index < len(call.args) else None
    return value.offset if isinstance(value, Data) else None


def at(call: Call, index: int, *parts: tuple[int, int, Rule]) -> Fields:
    start = offset(call, index)
    if start is None:
        return []
    return [(start + where, min(size, DATA_ROOM - start - where), rule) for where, size, rule in parts
            if start + where < DATA_ROOM]


WRITTEN_BACK = Any("the blocks of a file are counted once it was written back")
LISTINGS = ("getdents", "getdents64")
ROOM_FOR_ALL = 512
"""In less than this the directories of a program need not fit."""
CUT_LISTING = Any("which entries come first, and so how many fit and how many are left, is the file system's order")


def parse_entries(call: Call, start: int, length: int, side: bytearray) -> list[tuple[bytes, int, int]] | None:
    """(name, type, length) of each entry; None for what is no listing."""
    entries = []
    place, end = start, min(start + length, DATA_ROOM - 19)
    while place < end:
        size = int.from_bytes(side[place + 16:place + 18], "little")
        if size < 19:
            return None
        if call.name == "getdents64":
            kind, name = side[place + 18], bytes(side[place + 19:place + size]).partition(b"\0")[0]
        else:
            kind, name = side[place + size - 1], bytes(side[place + 18:place + size - 1]).partition(b"\0")[0]
        entries.append((name, kind, size))
        place += size
    return entries


def directory_entries(call: Call, result: int, memory: Memory, bijections: Bijections) -> None:
    """Entries come in the file system's order: compared sorted.  Inode numbers by bijection, offsets not at all."""
    start = offset(call, 1)
    if start is None or result <= 0:
        return
    left, right = (parse_entries(call, start, result, side) for side in memory)
    if left is not None and right is not None and sorted(left) == sorted(right):
        memory[1][start:start + result] = memory[0][start:start + result]


def may_be_cut(call: Call) -> bool:
    count = constant(call, 2)
    return count is None or 0 <= count < ROOM_FOR_ALL


def cut_entries(call: Call, results: tuple[int, int], memory: Memory) -> None:
    """Of a listing that was not read as a whole: what both sides have seen is of the same type and length."""
    start = offset(call, 1)
    if start is None or min(results) < 0:
        return
    lists = [parse_entries(call, start, length, side) for length, side in zip(results, memory, strict=True)]
    if lists[0] is None or lists[1] is None:
        return
    seen = {entry[0]: entry for entry in lists[0]}
    if all(seen.get(entry[0], entry) == entry for entry in lists[1]):
        end = start + max(results)
        memory[1][start:end] = memory[0][start:end]


def link_of_process(call: Call, memory: Memory) -> bool:
    """Whether a readlink is of /proc/self, whose text is as long as a process's number."""
    path = offset(call, 0 if call.name == "readlink" else 1)
    return path is not None and memory[0][path:path + 11] == b"/proc/self\0"


def link_text(call: Call, result: int, memory: Memory, bijections: Bijections) -> None:
    """A link that is a number is /proc/self: a process, which no rule can tell once its number is cut."""
    where = 1 if call.name == "readlink" else 2
    start, size = offset(call, where), constant(call, where + 1)
    if start is None or size is None or result <= 0 or not link_of_process(call, memory):
        return
    end = start + min(size & (1 << 32) - 1, LONGEST_NUMBER)
    left, right = (LEADING_DIGITS.match(side, start, end) for side in memory)
    if left is None or right is None:
        return
    cut = size <= max(left.end(), right.end()) - start
    if cut or bijections.match(PID, int(left[0]), int(right[0])):
        end = max(left.end(), right.end())
        memory[1][start:end] = memory[0][start:end]


def cwd_text(call: Call, result: int, memory: Memory, bijections: Bijections) -> None:
    """getcwd below /proc/PID: of processes that correspond, and the same after the number."""
    start = offset(call, 0)
    if start is None or result <= 0:
        return
    left, right = (PROCESS_PLACE.match(side, start) for side in memory)
    if left and right and left[2] == right[2] and bijections.match(PID, int(left[1]), int(right[1])):
        end = max(left.end(), right.end())
        memory[1][start:end] = memory[0][start:end]


def proc_links(call: Call, result: int, memory: Memory, bijections: Bijections) -> None:
    """The root of proc, inode 1, has a link from each process there is."""
    start = offset(call, 2 if call.name == "newfstatat" else 1)
    if start is not None and memory[0][start + 8:start + 16] == b"\1" + bytes(7):
        memory[1][start + 16:start + 24] = memory[0][start + 16:start + 24]


def fcntl_result(call: Call) -> Rule | None:
    return PID if constant(call, 1) == 9 else None   # F_GETOWN


def fcntl_fields(call: Call, _: int) -> Fields:
    command = constant(call, 1)
    if command in (5, 36):        # F_GETLK, F_OFD_GETLK: l_pid
        return at(call, 2, (24, 4, PID))
    if command == 16:             # F_GETOWN_EX: the pid
        return at(call, 2, (4, 4, PID))
    return []


def ioctl_fields(call: Call, _: int) -> Fields:
    code = constant(call, 1)
    if code == 0x5460:            # FIOQSIZE
        return at(call, 2, (0, 8, WRITTEN_BACK))
    return at(call, 2, (0, 4, PID)) if code in (0x540F, 0x5429, 0x8903, 0x8904) else []


def sockopt_fields(call: Call, _: int) -> Fields:
    level, name = constant(call, 1), constant(call, 2)
    if level == 1 and name == 17:     # SO_PEERCRED
        return at(call, 3, (0, 4, PID))
    if level == 1 and name == 57:     # SO_COOKIE
        return at(call, 3, (0, 8, Bijection("cookie")))
    if level == 6 and name == 11:     # TCP_INFO: when something was last sent or received
        return at(call, 3, (44, 16, ANY_TIME))
    if level == 6 and name == 24:     # TCP_TIMESTAMP
        return at(call, 3, (0, 4, ANY_TIME))
    return []


def ipc_fields(call: Call, _: int) -> Fields:
    if call.name == "msgctl":
        return at(call, 2, (24, 2, SEQUENCE), (48, 24, ANY_TIME), (96, 4, PID), (100, 4, PID))
    return at(call, 3, (24, 2, SEQUENCE), (48, 8, ANY_TIME), (64, 8, ANY_TIME))


def semctl_result(call: Call) -> Rule | None:
    return PID if constant(call, 2) == 11 else None   # GETPID


def time_left(call: Call, result: int, memory: Memory, bijections: Bijections) -> None:
    """What is left of the time that recvmmsg was given: the same but for how long the call took."""
    start = offset(call, 4)
    if start is None or start + 16 > DATA_ROOM or result <= 0:
        return
    left, right = (unpack_from("<qq", side, start) for side in memory)
    if all(0 <= nanoseconds < 1_000_000_000 for _, nanoseconds in (left, right)) and (
            abs((left[0] - right[0]) * 1_000_000_000 + left[1] - right[1]) < 1_000_000_000):
        memory[1][start:start + 16] = memory[0][start:start + 16]


def own_name(call: Call, result: int, memory: Memory, bijections: Bijections) -> None:
    """Names that the kernel chose: of AF_UNIX five digits, of the internet a port, of netlink the process's number."""
    start = offset(call, 1)
    if start is None or result < 0 or start + 8 > DATA_ROOM:
        return
    left, right = (bytes(side[start:start + 8]) for side in memory)
    if left[:3] == right[:3] == b"\1\0\0" and len(left.rstrip(b"\0")) == len(right.rstrip(b"\0")) == 8 and all(
            AUTOMATIC_NAME.fullmatch(side[3:]) for side in (left, right)):
        memory[1][start:start + 8] = left
        return
    rule = {2: PORT, 10: PORT, 16: PID}.get(left[0])
    width = 2 if rule is PORT else 4
    at = 2 if rule is PORT else 4
    if rule is not None and left[:2] == right[:2] and bijections.match(
            rule, int.from_bytes(left[at:at + width], "big"), int.from_bytes(right[at:at + width], "big")):
        memory[1][start + at:start + at + width] = left[at:at + width]


PORT = Bijection("port")
AUTOMATIC_NAME = re.compile(rb"[0-9a-f]{5}")
CREDENTIALS = (28).to_bytes(8, "little") + b"\1\0\0\0\2\0\0\0"
"""The head of an ancillary message with the credentials of who sent it: SCM_CREDENTIALS of SOL_SOCKET."""


def senders(call: Call, result: int, memory: Memory, bijections: Bijections) -> None:
    """The processes in the credentials that came with messages, and what is left of recvmmsg's time."""
    left, right = memory
    at = left.find(CREDENTIALS)
    while at >= 0:
        start, end = at + len(CREDENTIALS), at + len(CREDENTIALS) + 4
        one, other = (int.from_bytes(side[start:end], "little") for side in memory)
        if right[at:start] == CREDENTIALS and bijections.match(PID, one, other):
            right[start:end] = left[start:end]
        at = left.find(CREDENTIALS, end)
    if call.name == "recvmmsg":
        time_left(call, result, memory, bijections)


RANDOM = Any("random bytes")


def random_fields(call: Call, result: int) -> Fields:
    return at(call, 0, (0, max(0, result), RANDOM))


def prctl_fields(call: Call, _: int) -> Fields:
    return at(call, 1, (0, 8, Bijection("address"))) if constant(call, 0) == 40 else []   # PR_GET_TID_ADDRESS


def futex_fields(call: Call, _: int) -> Fields:
    """A lock that was taken has its owner's number."""
    return at(call, 0, (0, 4, PID)) if (constant(call, 1) or 0) & 127 in (6, 8, 13) else []


def priority_fields(call: Call, _: int) -> Fields:
    return at(call, 0, (0, 4, Any("where the scheduler put it")), (0, 0, Any("")))


def ruleset_result(call: Call) -> Rule | None:
    return Any("the version of Landlock is the kernel's") if constant(call, 2) == 1 else None


SPECIAL: dict[str, Special] = {
    "landlock_create_ruleset": Special(result=ruleset_result),
    "getdents64": Special(memory=directory_entries),
    "getdents": Special(memory=directory_entries),
    "fcntl": Special(result=fcntl_result, fields=fcntl_fields),
    "ioctl": Special(fields=ioctl_fields),
    "getsockopt": Special(fields=sockopt_fields),
    "msgctl": Special(fields=ipc_fields),
    "semctl": Special(result=semctl_result, fields=ipc_fields),
    "getrandom": Special(fields=random_fields),
    "prctl": Special(fields=prctl_fields),
    "getcpu": Special(fields=priority_fields),
    "time": Special(fields=lambda call, _: at(call, 0, (0, 8, ANY_TIME))),
    **dict.fromkeys(("stat", "lstat", "fstat", "newfstatat"), Special(memory=proc_links)),
    "readlink": Special(memory=link_text),
    "readlinkat": Special(memory=link_text),
    "getcwd": Special(memory=cwd_text),
    "futex": Special(fields=futex_fields),
    "getsockname": Special(memory=own_name),
    "listmount": Special(fields=lambda call, result: at(call, 1, (0, DATA_ROOM, Any("each side's own mounts")))),
    **dict.fromkeys(("recvmsg", "recvmmsg"), Special(memory=senders)),
    "io_setup": Special(fields=lambda call, _: at(call, 1, (0, 8, Bijection("address")))),
    "timer_create": Special(fields=lambda call, _: at(call, 2, (0, 4, Bijection("timer", True)))),
    "sched_getattr": Special(fields=lambda call, _: at(call, 1, (24, 8, Any("the scheduler's slice, by processors")))),
}

MAPS_LINE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) \S+ \d+ *(.*)$")
PRIVATE_MAPPINGS = ("[vvar]", "[vdso]", "[vsyscall]", "[vvar_vclock]", "[heap]", "[stack]")


ANONYMOUS = ("", "00000000")


def text_rules(text: bytes, joined: bool = False) -> list[str]:
    """Lines of /proc/self/maps without addresses that the kernel chose, device and inode; the fixed ranges of the
    executor and the arena stay as they are.  Pages that the layer itself maps (vdso) are left out.

    `joined`: equal anonymous areas side by side are one.  Whether Linux makes them one when they become equal
    (mprotect, munlock) depends on which of their pages were touched before, in which process (anon_vma)."""
    out = []
    before = ("", "")
    began = ""
    for line in text.decode(errors="replace").splitlines():
        match = MAPS_LINE.match(line)
        if match is None:
            out.append(line)
            continue
        start, end, protection, file_offset, name = match.groups()
        if name in PRIVATE_MAPPINGS:
            continue
        if joined and (name, file_offset) == ANONYMOUS and before == (start, protection):
            start = began
            out.pop()
        before = (end, protection) if (name, file_offset) == ANONYMOUS else ("", "")
        began = start
        low = int(start, 16)
        where = f"{start}-{end}" if low < 0x70000000 else f"{int(end, 16) - low:#x} bytes"
        name = re.sub(r"/p\d+/", "/pN/", name)
        if low < 0x500000 and "fuzz-executor" in name:
            name = "executor"
        out.append(f"{where} {protection} {file_offset} {name}".rstrip())
    return out
