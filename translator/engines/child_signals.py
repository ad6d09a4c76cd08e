"""SIGCHLD, which tells of the stops of tracees: as a descriptor for the poller, and as what ends ppoll(2)."""

from __future__ import annotations

import ctypes
import os

from translator.engines.ptrace_binding import get_errno, libc
from translator.engines.slice_timer import interrupt_by

SIGCHLD = 17
SIG_BLOCK, SIG_UNBLOCK = 0, 1
SFD_CLOEXEC, SFD_NONBLOCK = 0o2000000, 0o4000
SIGNALFD_SIGINFO = 128


class ChildSignals:
    """Holds SIGCHLD back, so that it is never missed: a guest that is let go may well stop again before we wait."""

    __slots__ = ("_set", "fd")

    def __init__(self) -> None:
        interrupt_by(SIGCHLD)
        self._set = (ctypes.c_uint64 * 16)(1 << SIGCHLD - 1)
        libc.pthread_sigmask(SIG_BLOCK, self._set, None)
        self.fd: int = libc.signalfd(-1, self._set, SFD_CLOEXEC | SFD_NONBLOCK)
        if self.fd < 0:
            raise OSError(get_errno(), "signalfd")

    def clear(self) -> None:
        try:
            os.read(self.fd, SIGNALFD_SIGINFO)
        except BlockingIOError:
            pass

    def close(self) -> None:
        os.close(self.fd)
        libc.pthread_sigmask(SIG_UNBLOCK, self._set, None)
