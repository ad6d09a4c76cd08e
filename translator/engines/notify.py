"""Seccomp user notification (man 2 seccomp_unotify): a system call with its arguments comes through a descriptor, and
its result goes back the same way, at two thirds of the price of a ptrace stop.

Registers cannot be seen or changed meanwhile; the engine withdraws a call by PTRACE_INTERRUPT when they matter.
"""

from __future__ import annotations

import ctypes
import os

from translator.engines.ptrace_binding import libc

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


class Notifications:
    """One received call at a time: struct seccomp_notif and struct seccomp_notif_resp."""

    __slots__ = ("_answer", "_at_once", "_poll", "_received", "answer", "answer_address", "at_once_address",
                 "bytes", "fd", "poll_address", "received_address")

    def __init__(self, fd: int) -> None:
        self.fd = fd
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

    def close(self) -> None:
        os.close(self.fd)
