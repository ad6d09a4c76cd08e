"""What a signal carries: siginfo_t."""

from __future__ import annotations

import struct

from syscalls.abi.signal import (
    SI_KERNEL,
    SI_SIGIO,
    SI_TIMER,
    SI_USER,
    SIGBUS,
    SIGCHLD,
    SIGFPE,
    SIGILL,
    SIGIO,
    SIGSEGV,
    SIGSYS,
    SIGTRAP,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.timers import PosixTimer

SIGINFO_SIZE = 128

_HEAD = struct.Struct("<iii4x")
_KILL = struct.Struct("<iI")
_RT = struct.Struct("<iIQ")
_CHLD = struct.Struct("<iIi4xqq")
_TIMER = struct.Struct("<iiQ")
_FAULT = struct.Struct("<Qh")
_POLL = struct.Struct("<qi")
_SYS = struct.Struct("<QiI")

KILL, RT, CHLD, TIMER, FAULT, POLL, SYS = range(7)


def layout_of(signo: int, code: int) -> int:
    """Which member of the union a signal uses (siginfo_layout, kernel/signal.c)."""
    if SI_USER < code < SI_KERNEL:
        if signo in (SIGILL, SIGFPE, SIGSEGV, SIGBUS, SIGTRAP):
            return FAULT
        if signo == SIGCHLD:
            return CHLD
        if signo == SIGSYS:
            return SYS
        return POLL if signo == SIGIO or code <= 6 else KILL
    if code == SI_TIMER:
        return TIMER
    if code == SI_SIGIO:
        return POLL
    return RT if code < 0 else KILL


class SigInfo:
    """A siginfo_t.  `raw`: the bytes a process queued with rt_sigqueueinfo(2), delivered as they are."""

    __slots__ = ("accounted", "addr", "band", "code", "errno", "fd", "overrun", "pid", "raw", "signo", "source",
                 "status", "stime", "timerid", "uid", "utime", "value")

    def __init__(self, signo: int, code: int, pid: int = 0, uid: int = 0, value: int = 0, addr: int = 0,
                 status: int = 0, utime: int = 0, stime: int = 0, timerid: int = 0, overrun: int = 0,
                 band: int = 0, fd: int = 0, errno: int = 0, raw: bytes | None = None) -> None:
        self.signo = signo
        self.code = code
        self.pid = pid
        self.uid = uid
        self.value = value
        """sigval, the union as 64 bits."""
        self.addr = addr
        self.status = status
        self.utime = utime
        """Clock ticks (1/100 s), as stime."""
        self.stime = stime
        self.timerid = timerid
        self.overrun = overrun
        self.band = band
        self.fd = fd
        self.errno = errno
        self.raw = raw
        self.accounted = -1
        """The user whose RLIMIT_SIGPENDING counts it while it is queued; -1 none."""
        self.source: PosixTimer | None = None
        """The POSIX timer it announces: told when it is taken from the queue."""

    @staticmethod
    def from_bytes(signo: int, raw: bytes) -> SigInfo:
        """What a process passed to rt_sigqueueinfo(2)."""
        _, errno, code = _HEAD.unpack_from(raw)
        pid, uid, value = _RT.unpack_from(raw, 16)
        info = SigInfo(signo, code, pid, uid, value, errno=errno)
        info.raw = struct.pack("<i", signo) + raw[4:SIGINFO_SIZE]
        return info

    def pack(self) -> bytes:
        """The 128 bytes of siginfo_t."""
        if self.raw is not None:
            return self.raw
        layout = layout_of(self.signo, self.code)
        if layout == KILL:
            body = _KILL.pack(self.pid, self.uid)
        elif layout == RT:
            body = _RT.pack(self.pid, self.uid, self.value)
        elif layout == CHLD:
            body = _CHLD.pack(self.pid, self.uid, self.status, self.utime, self.stime)
        elif layout == TIMER:
            body = _TIMER.pack(self.timerid, self.overrun, self.value)
        elif layout == FAULT:
            body = _FAULT.pack(self.addr, 0)
        elif layout == POLL:
            body = _POLL.pack(self.band, self.fd)
        else:
            body = _SYS.pack(self.addr, self.value, 0xC000003E)
        head = _HEAD.pack(self.signo, self.errno, self.code)
        return (head + body).ljust(SIGINFO_SIZE, b"\0")

    def __repr__(self) -> str:
        return f"SigInfo(signo={self.signo}, code={self.code}, pid={self.pid})"
