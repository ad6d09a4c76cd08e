"""Files of a process that take a number: who is killed when memory ends, what a core dump has, the slack of timers."""

from __future__ import annotations

from syscalls.abi.errno import EACCES, EINVAL, ERANGE, LinuxError
from syscalls.credentials import CAP_SYS_RESOURCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

BUFFER = 12
"""How much of what is written some of them look at (PROC_NUMBUF)."""
S32_MIN, S32_MAX, U32_MAX, U64_MAX = -1 << 31, (1 << 31) - 1, (1 << 32) - 1, (1 << 64) - 1
DUMP_FILTER_BITS = 0x1FF
_DIGITS = b"0123456789abcdef"


def kernel_integer(data: bytes, low: int, high: int, base: int = 0) -> int:
    """kstrtoint() and its like: a sign, digits, a newline at most; base 0: by the prefix.  EINVAL, ERANGE."""
    text = data.partition(b"\0")[0].lower()
    text = text.removesuffix(b"\n")
    negative = low < 0 and text[:1] == b"-"
    if negative or text[:1] == b"+":
        text = text[1:]
    if not base:
        base = 10
        if text[:1] == b"0":
            base = 16 if text[1:2] == b"x" and text[2:3] in _DIGITS and text[2:3] else 8
    if base == 16 and text[:2] == b"0x":
        text = text[2:]
    if not text or not set(text) <= set(_DIGITS[:base]):
        raise LinuxError(EINVAL)
    value = -int(text, base) if negative else int(text, base)
    if not low <= value <= high:
        raise LinuxError(ERANGE)
    return value


def stripped(data: bytes) -> bytes:
    """What strstrip() leaves of a small buffer."""
    return data[:BUFFER].partition(b"\0")[0].strip(b" \t\n\v\f\r\xa0")


def oom_score(target: Task, task: Task) -> bytes:
    return b"%d\n" % max(0, 666 + target.group.oom_score_adj * 2 // 3)


def oom_score_adj(target: Task, task: Task) -> bytes:
    return b"%d\n" % target.group.oom_score_adj


def set_oom_score_adj(target: Task, task: Task, data: bytes) -> int | None:
    """EINVAL outside of -1000..1000; EACCES to lower it without CAP_SYS_RESOURCE."""
    value = kernel_integer(stripped(data), S32_MIN, S32_MAX)
    if not -1000 <= value <= 1000:
        raise LinuxError(EINVAL)
    if value < target.group.oom_score_adj_min and not task.cred.capable(CAP_SYS_RESOURCE):
        raise LinuxError(EACCES)
    target.group.oom_score_adj = value
    if task.cred.capable(CAP_SYS_RESOURCE):
        target.group.oom_score_adj_min = value
    return min(len(data), BUFFER)


def oom_adj(target: Task, task: Task) -> bytes:
    adjust = target.group.oom_score_adj
    return b"%d\n" % (15 if adjust == 1000 else min(15, int(adjust * 17 / 1000)))


def set_oom_adj(target: Task, task: Task, data: bytes) -> int | None:
    """The file of before 2.6.36.  EINVAL outside of -17..15; EACCES to lower what is set now."""
    value = kernel_integer(stripped(data), S32_MIN, S32_MAX)
    if not -17 <= value <= 15:
        raise LinuxError(EINVAL)
    adjust = 1000 if value == 15 else int(value * 1000 / 17)
    if adjust < target.group.oom_score_adj and not task.cred.capable(CAP_SYS_RESOURCE):
        raise LinuxError(EACCES)
    target.group.oom_score_adj = adjust
    return min(len(data), BUFFER)


def coredump_filter(target: Task, task: Task) -> bytes:
    return b"%08x\n" % target.mm.dump_filter if not target.dead else b""


def set_coredump_filter(target: Task, task: Task, data: bytes) -> int | None:
    """Which kinds of memory a core dump has, by bit (man 5 core)."""
    value = kernel_integer(data, 0, U32_MAX)
    if not target.dead:
        target.mm.dump_filter = value & DUMP_FILTER_BITS
    return None


def timerslack(target: Task, task: Task) -> bytes:
    return b"%d\n" % target.timer_slack_ns


def set_timerslack(target: Task, task: Task, data: bytes) -> int | None:
    target.timer_slack_ns = kernel_integer(data, 0, U64_MAX, 10) or 50000
    return None
