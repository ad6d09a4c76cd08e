"""The ptrace engine's door to the C library: requests by number, prepared for speed.

python-ptrace knows most of these numbers, and tests/unit/test_ptrace_binding.py compares them; but importing its
binding takes 25 ms, nearly half of a run of /bin/true, and it lacks SEIZE and the seccomp events.
PyDLL keeps the interpreter's lock during a call: pylx is one thread, and giving the lock away costs more than a call.
"""

from __future__ import annotations

import ctypes
import os

PTRACE_PEEKUSER, PTRACE_CONT, PTRACE_KILL = 3, 7, 8
PTRACE_GETREGS, PTRACE_SETREGS = 12, 13
PTRACE_GETEVENTMSG, PTRACE_GETSIGINFO = 0x4201, 0x4202
PTRACE_GETREGSET, PTRACE_SETREGSET = 0x4204, 0x4205
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
PTRACE_O_TRACESECCOMP, PTRACE_O_EXITKILL = 0x80, 0x100000
PTRACE_EVENT_SECCOMP, PTRACE_EVENT_STOP = 7, 128
NT_X86_XSTATE = 0x202
WALL = 0x40000000
WNOHANG = 1

SIGTRAP = 5
STOPPED = 0x7F
SECCOMP_STOP = PTRACE_EVENT_SECCOMP << 16 | SIGTRAP << 8 | STOPPED
"""Wait status of a task at a system call that the filter reports."""
EVENT_STOP = PTRACE_EVENT_STOP << 16 | SIGTRAP << 8 | STOPPED
"""Of a new task, or after PTRACE_INTERRUPT."""
TRAP_STOP = SIGTRAP << 8 | STOPPED
"""Of a breakpoint instruction."""

EINTR, ESRCH, EIO, ECHILD = 4, 3, 5, 10

libc = ctypes.PyDLL(None, use_errno=True)

ptrace = libc.ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_size_t, ctypes.c_size_t]
ptrace.restype = ctypes.c_long

waitpid = libc.waitpid
waitpid.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
waitpid.restype = ctypes.c_int

get_errno = ctypes.get_errno


PTRACE_PEEKUSER, PTRACE_POKEUSER = 3, 6
USER_DEBUGREG = 848
"""offsetof(struct user, u_debugreg)."""


class TraceeGone(Exception):
    """The host process or thread was killed by someone else, or by the host's lack of memory."""


def request(number: int, tid: int, address: int = 0, data: int = 0) -> None:
    """A ptrace request.  TraceeGone when the tracee is dead, OSError otherwise."""
    if ptrace(number, tid, address, data) < 0:
        errno = get_errno()
        if errno == ESRCH:
            raise TraceeGone(tid)
        raise OSError(errno, os.strerror(errno))


def wait_for(tid: int) -> int:
    """The wait status of one tracee, whatever interrupts us.  TraceeGone when it has ended."""
    status = ctypes.c_int()
    address = ctypes.addressof(status)
    while waitpid(tid, address, WALL) < 0:
        errno = get_errno()
        if errno == ECHILD:
            raise TraceeGone(tid)
        if errno != EINTR:
            raise OSError(errno, os.strerror(errno))
    if status.value & 0xFF != STOPPED:
        raise TraceeGone(tid)
    return status.value


class RegisterSet:
    """struct user_regs_struct, in machine.py's order."""

    __slots__ = ("_array", "address", "words")

    def __init__(self) -> None:
        self._array = (ctypes.c_uint64 * 27)()
        self.address = ctypes.addressof(self._array)
        self.words = memoryview(self._array).cast("B").cast("Q")


class ExtendedState:
    """The XSAVE image of a tracee, through one buffer."""

    def __init__(self) -> None:
        self._array = (ctypes.c_char * 16384)()
        self._bytes = memoryview(self._array).cast("B")
        self._iovec = (ctypes.c_size_t * 2)(ctypes.addressof(self._array), 0)
        self._address = ctypes.addressof(self._iovec)

    def get(self, tid: int) -> bytes:
        self._iovec[1] = len(self._bytes)
        request(PTRACE_GETREGSET, tid, NT_X86_XSTATE, self._address)
        return bytes(self._bytes[:self._iovec[1]])

    def set(self, tid: int, image: bytes) -> None:
        self._bytes[:len(image)] = image
        self._iovec[1] = len(image)
        request(PTRACE_SETREGSET, tid, NT_X86_XSTATE, self._address)
