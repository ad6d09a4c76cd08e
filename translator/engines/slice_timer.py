"""Ending a time slice of the ptrace engine: a POSIX timer whose signal interrupts the wait for the guest.

The handler is a C function that does nothing: Python learns of it because waitpid(2) fails with EINTR.
"""

from __future__ import annotations

import ctypes
import os

from translator.engines.ptrace_binding import libc

CLOCK_MONOTONIC, SIGEV_THREAD_ID = 1, 4
SIGNAL = 5
"""SIGTRAP: pylx has no breakpoints, and the hosts pass it on to nobody."""


def interrupt_by(signal: int) -> None:
    """Make a signal end system calls of pylx with EINTR, and do nothing else.  OSError."""
    # struct sigaction of the C library: handler, mask of 128 bytes, flags, restorer.  No SA_RESTART.
    action = (ctypes.c_uint64 * 19)()
    action[0] = ctypes.cast(libc.labs, ctypes.c_void_p).value or 0
    if libc.sigaction(signal, action, None):
        raise OSError(ctypes.get_errno(), "sigaction")


class SliceTimer:
    """Repeats: a signal that comes a moment before waitpid is lost, the next one is not."""

    def __init__(self) -> None:
        interrupt_by(SIGNAL)
        # struct sigevent: value, signal and notify, thread.
        event = (ctypes.c_uint64 * 8)(0, SIGNAL | SIGEV_THREAD_ID << 32, os.getpid())
        timer = ctypes.c_void_p()
        if libc.timer_create(CLOCK_MONOTONIC, event, ctypes.byref(timer)):
            raise OSError(ctypes.get_errno(), "this system refuses timer_create")
        self._timer = timer
        settime = libc.timer_settime
        settime.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t]
        self._settime = settime
        # struct itimerspec: interval and value, seconds and nanoseconds.
        self._spec = (ctypes.c_int64 * 4)()
        self._address = ctypes.addressof(self._spec)
        self._off = (ctypes.c_int64 * 4)()
        self._off_address = ctypes.addressof(self._off)
        self._slice_ns = 0

    def arm(self, slice_ns: int) -> None:
        if slice_ns != self._slice_ns:
            self._slice_ns = slice_ns
            spec = self._spec
            spec[0], spec[1] = divmod(slice_ns, 1_000_000_000)
            spec[2], spec[3] = spec[0], spec[1]
        self._settime(self._timer, 0, self._address, 0)

    def disarm(self) -> None:
        self._settime(self._timer, 0, self._off_address, 0)

    def close(self) -> None:
        if self._timer:
            libc.timer_delete(self._timer)
            self._timer = ctypes.c_void_p()
