"""Seccomp user notification (man 2 seccomp_unotify): a system call with its arguments comes through a descriptor, and
its result goes back the same way, at two thirds of the price of a ptrace stop.

Registers cannot be seen or changed meanwhile; the engine withdraws a call by PTRACE_INTERRUPT when they matter.
"""

from __future__ import annotations

import ctypes
import os

from translator.engines.ptrace_binding import EINTR, get_errno, libc
from translator.machine_code import MachineCode, mov

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from translator.engines.interrupts import Interrupts

NOTIF_RECV, NOTIF_SEND, NOTIF_SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082104
SYNC_WAKE_UP = 1
CONTINUE = 1 << 32
"""In the third word of an answer: the host is to carry out the call as it is."""

POLLIN = 1

ppoll = libc.ppoll
ppoll.argtypes = [ctypes.c_size_t, ctypes.c_ulong, ctypes.c_size_t, ctypes.c_size_t]
ppoll.restype = ctypes.c_int

ioctl = libc.ioctl
ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_size_t]
ioctl.restype = ctypes.c_int


NOT_WANTED = 1
"""What `exchange` returns when the call that was to be answered is gone: something has ended its wait."""
_NO_CALL = bytes(80)


class Notifications:
    """One received call at a time: struct seccomp_notif and struct seccomp_notif_resp."""

    def __init__(self, fd: int, interrupts: Interrupts) -> None:
        self.fd = fd
        self._flag = interrupts.flag
        self._received = (ctypes.c_char * 80)()
        self._answer = (ctypes.c_char * 24)()
        self.bytes = memoryview(self._received).cast("B")
        """id; pid and flags; number and architecture; instruction pointer; six arguments."""
        self.received_address = ctypes.addressof(self._received)
        self.answer = memoryview(self._answer).cast("B").cast("Q")
        """id, value, error and flags."""
        self.answer_address = ctypes.addressof(self._answer)
        # struct pollfd: descriptor, events, revents.
        self._poll = (ctypes.c_int * 2)(fd, POLLIN)
        self.poll_address = ctypes.addressof(self._poll)
        self._at_once = (ctypes.c_uint64 * 2)()
        self.at_once_address = ctypes.addressof(self._at_once)
        """A time limit of ppoll that is over at once."""
        # Wake the other side on this CPU: since 6.6, and no matter before.
        ioctl(fd, NOTIF_SET_FLAGS, SYNC_WAKE_UP)
        self.receive: Callable[[], int] = self._receive
        """Wait for a call: 0 when `bytes` has one; -EINTR when there was a signal, now or before; -ENOENT when the
        caller was killed."""
        self.exchange: Callable[[], int] = self._exchange
        """Answer a call and then `receive`, or NOT_WANTED."""
        try:
            self._code = MachineCode(self._assemble(interrupts.flag_address))
        except OSError:
            pass
        else:
            # pylx has no other thread that would want the interpreter meanwhile.
            function = ctypes.PYFUNCTYPE(ctypes.c_int)
            self.exchange = function(self._code.address)
            self.receive = function(self._code.address + self._receive_at)

    def _assemble(self, flag: int) -> bytes:
        """`exchange` and `receive` for the processor: one step out of the interpreter for both calls to the host."""
        if not flag:
            raise OSError("no flag to look at")
        ioctl_of = b"\xb8\x10\0\0\0" + mov(b"\xbf", self.fd)  # mov eax, 16; mov edi, fd
        send = ioctl_of + mov(b"\xbe", NOTIF_SEND) + mov(b"\x48\xba", self.answer_address) + b"\x0f\x05"
        send += b"\x83\xf8" + bytes((256 - EINTR, 0x74, 256 - len(send) - 5))  # cmp eax, -EINTR; je send
        send += b"\x85\xc0\x74\x06" + mov(b"\xb8", NOT_WANTED) + b"\xc3"  # test eax, eax; jz receive
        receive = (b"\x31\xc0" + mov(b"\x48\xbf", self.received_address)  # xor eax, eax
                   + mov(b"\xb9", 10) + b"\xf3\x48\xab"  # rep stosq: the host wants it empty
                   + mov(b"\x48\xb8", flag) + b"\x80\x38\x00\x74\x06"  # cmp byte [rax], 0; jz on
                   + b"\xb8" + (-EINTR).to_bytes(4, "little", signed=True) + b"\xc3"
                   + ioctl_of + mov(b"\xbe", NOTIF_RECV) + mov(b"\x48\xba", self.received_address)
                   + b"\x0f\x05\xc3")
        self._receive_at = len(send)
        return send + receive

    def _receive(self) -> int:
        if self._flag[0]:
            return -EINTR
        self.bytes[:] = _NO_CALL
        return -get_errno() if ioctl(self.fd, NOTIF_RECV, self.received_address) else 0

    def _exchange(self) -> int:
        return self.send() or self._receive()

    def send(self) -> int:
        """Answer a call: 0, or NOT_WANTED."""
        while ioctl(self.fd, NOTIF_SEND, self.answer_address):
            # A signal while the host's lock is taken by a guest says nothing of the call.
            if get_errno() != EINTR:
                return NOT_WANTED
        return 0

    def close(self) -> None:
        os.close(self.fd)
