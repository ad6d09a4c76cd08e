"""Arguments and results of system calls as text: how the trace shows each argument kind."""

from __future__ import annotations

import struct

from syscalls.abi.errno import NAMES, LinuxError
from syscalls.abi.names import ARGUMENTS, CHOICES, VALUES, choice_text, flag_text, signal_name
from syscalls.task import NO_RESULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.table import Syscall
    from syscalls.task import Task

STRING_LIMIT = 32
"""Bytes shown of a buffer (strace's default)."""
FILE_TYPES = {1: "S_IFIFO", 2: "S_IFCHR", 4: "S_IFDIR", 6: "S_IFBLK", 8: "S_IFREG", 10: "S_IFLNK", 12: "S_IFSOCK"}
_ESCAPES = {9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}


def quoted(data: bytes, limit: int = STRING_LIMIT) -> str:
    """A C string literal, cut at `limit` bytes with `...` behind."""
    shown = "".join(_ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:o}")
                    for byte in data[:limit])
    return f'"{shown}"...' if len(data) > limit else f'"{shown}"'


def signed(word: int, bits: int) -> int:
    word &= (1 << bits) - 1
    return word - (1 << bits) if word >> (bits - 1) else word


def show_call(task: Task, record: Syscall, args: tuple[int, ...], value: int | None) -> str:
    """All arguments, comma-separated.  open's mode is shown only when it is looked at, as strace does."""
    kinds = record.argument_kinds()
    count = len(kinds)
    if record.name in ("open", "openat") and not args[count - 2] & 0o20200100 & ~0o200000:
        count -= 1
    return ", ".join(show_argument(task, record, kinds[index], args, index, value) for index in range(count))


def show_argument(task: Task, record: Syscall, kind: str, args: tuple[int, ...], index: int, value: int | None) -> str:
    """One argument by its kind; `value` is the call's result, None before it is known."""
    word = args[index]
    named = ARGUMENTS.get(f"{record.name}.{record.params[index]}")
    if named is not None:
        show = choice_text if named in CHOICES or named in VALUES else flag_text
        return show(named, word & 0xFFFFFFFF)
    base, _, rest = kind.partition("[")
    target = rest.rstrip("]")
    if base in ("Fd", "S32", "Pid"):
        return str(signed(word, 32))
    if base == "DirFd":
        number = signed(word, 32)
        return "AT_FDCWD" if number == -100 else str(number)
    if base in ("U32", "U64", "Size"):
        if record.params[index] == "fd":  # mmap takes it as unsigned long
            return str(signed(word, 32))
        return str(word & 0xFFFFFFFF if base == "U32" else word)
    if base in ("S64", "Offset"):
        return str(signed(word, 64))
    if base in ("Octal", "Mode"):
        return f"0{word & 0o177777:o}" if word & 0o177777 else "0"
    if base == "Signal":
        return signal_name(signed(word, 32))
    if base == "Flags":
        return flag_text(target, word & 0xFFFFFFFF)
    if base in ("Path", "OptPath", "Text"):
        try:
            return quoted(task.mem.path(word), 4096)
        except LinuxError:
            return f"{word:#x}" if word else "NULL"
    if word == 0:
        return "NULL"
    if base in ("Buf", "OutBuf"):
        length = args[index + 1] if base == "Buf" else (value if value is not None else 0)
        if length > 0 or base == "Buf":
            try:
                shown = task.mem.read(word, min(length, STRING_LIMIT + 1))
            except LinuxError:
                return f"{word:#x}"
            return quoted(shown)
    if target == "PointerVector":
        return show_strings(task, word, record.params[index] == "envp")
    if target == "IoVec":
        return show_iovec(task, word, args[index + 1], base == "In")
    if target == "StatLayout" and value == 0:
        mode, size = struct.unpack_from("<I", task.mem.read(word, 144), 24)[0], task.mem.u64(word + 48)
        return f"{{st_mode={FILE_TYPES.get(mode >> 12, '?')}|0{mode & 0o7777:o}, st_size={size}, ...}}"
    if target in STRUCTS and (base == "In" or (value is not None and value >= 0)):
        layout, names = STRUCTS[target]
        try:
            fields = struct.unpack(layout, task.mem.read(word, struct.calcsize(layout)))
        except LinuxError:
            return f"{word:#x}"
        if not names:
            return "[" + ", ".join(map(str, fields)) + "]"
        return "{" + ", ".join(f"{name}={field}" for name, field in zip(names.split(), fields, strict=True)) + "}"
    return f"{word:#x}"


def show_strings(task: Task, address: int, only_count: bool) -> str:
    """argv in full; of the environment how many there are, as strace does."""
    try:
        words = task.mem.words(address, 4096)
        if only_count:
            return f"{address:#x} /* {len(words)} vars */"
        return "[" + ", ".join(quoted(task.mem.path(word), 256) for word in words) + "]"
    except LinuxError:
        return f"{address:#x}"


def show_iovec(task: Task, address: int, count: int, with_data: bool) -> str:
    try:
        vector = task.mem.iovec(address, min(count, 16))
        parts = [f"{{iov_base={quoted(task.mem.read(base, min(length, STRING_LIMIT + 1)))}, iov_len={length}}}"
                 if with_data else f"{{iov_base={base:#x}, iov_len={length}}}" for base, length in vector]
    except LinuxError:
        return f"{address:#x}"
    return f"[{', '.join(parts)}{', ...' if count > 16 else ''}]"


STRUCTS = {
    "Timespec": ("<qq", "tv_sec tv_nsec"),
    "Timeval": ("<qq", "tv_sec tv_usec"),
    "Int32Pair": ("<ii", ""),
    "Rlimit": ("<QQ", "rlim_cur rlim_max"),
    "Winsize": ("<HHHH", "ws_row ws_col ws_xpixel ws_ypixel"),
    "Itimerval": ("<qqqq", "interval_sec interval_usec value_sec value_usec"),
    "Itimerspec": ("<qqqq", "interval_sec interval_nsec value_sec value_nsec"),
    "Offset": ("<q", ""),
    "U32": ("<I", ""),
    "S32": ("<i", ""),
}
"""Small structures that a trace shows field by field: struct layout, field names ("" shows a list)."""


def show_result(record: Syscall, value: int) -> str:
    if value == NO_RESULT:
        return "0" if record.name.startswith("exec") else "?"
    if -4096 < value < 0:
        return f"-1 {NAMES.get(-value, -value)}"
    if record.name in ("mmap", "brk", "mremap", "shmat"):
        return f"{value:#x}"
    return str(value)
