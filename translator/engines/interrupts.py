"""What ends pylx's wait for guests in the ptrace engine, apart from their calls: SIGCHLD, which tells of stops of
tracees, and SIGTRAP, the end of a time slice.

Both are blocked except while guests are run.  Then they interrupt the wait, and set a flag: one that comes a moment
before the wait begins is not missed, because the flag is looked at first.
"""

from __future__ import annotations

import ctypes
import os

from translator.engines.ptrace_binding import get_errno, libc
from translator.machine_code import MachineCode, mov

SIGTRAP, SIGCHLD = 5, 17
"""pylx has no breakpoints, and the hosts pass SIGTRAP on to nobody."""
SIG_BLOCK, SIG_UNBLOCK = 0, 1
CLOCK_MONOTONIC, SIGEV_THREAD_ID = 1, 4
SFD_CLOEXEC, SFD_NONBLOCK = 0o2000000, 0o4000
SIGNALFD_SIGINFO = 128


class Interrupts:
    """Raises OSError when this system refuses a timer or a signalfd."""

    def __init__(self) -> None:
        self.flag = memoryview(bytearray(1))
        """[0] is 1 when a signal has come since it was set to 0, if `flagged`."""
        self.flag_address = 0
        self.flagged = False
        handler = ctypes.cast(libc.labs, ctypes.c_void_p).value or 0
        place = (ctypes.c_char * 1)()
        address = ctypes.addressof(place)
        try:
            # movabs rax, flag; mov byte [rax], 1; ret
            self._code = MachineCode(mov(b"\x48\xb8", address) + b"\xc6\x00\x01\xc3")
        except OSError:
            pass  # a signal just before a wait is found at the next tick
        else:
            handler = self._code.address
            self.flag, self.flag_address = memoryview(place).cast("B"), address
            self.flagged = True
        # struct sigaction of the C library: handler, mask of 128 bytes, flags, restorer.  No SA_RESTART: hosts since
        # Linux 6.6 would go on waiting for a notification.
        action = (ctypes.c_uint64 * 19)()
        action[0] = handler
        self._held = (ctypes.c_uint64 * 16)(1 << SIGTRAP - 1 | 1 << SIGCHLD - 1)
        self._held_address = ctypes.addressof(self._held)
        self._mask = libc.pthread_sigmask
        self._mask.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t]
        self.hold()
        self._before = {signal: (ctypes.c_uint64 * 19)() for signal in (SIGTRAP, SIGCHLD)}
        for signal, before in self._before.items():
            if libc.sigaction(signal, action, before):
                raise OSError(get_errno(), "this system refuses sigaction")
        children = (ctypes.c_uint64 * 16)(1 << SIGCHLD - 1)
        self.children: int = libc.signalfd(-1, children, SFD_CLOEXEC | SFD_NONBLOCK)
        """Readable when SIGCHLD is pending: for the poller, which sleeps while no guest is run."""
        if self.children < 0:
            raise OSError(get_errno(), "this system refuses signalfd")
        self._start_timer()

    def _start_timer(self) -> None:
        # struct sigevent: value, signal and notify, thread.
        event = (ctypes.c_uint64 * 8)(0, SIGTRAP | SIGEV_THREAD_ID << 32, os.getpid())
        timer = ctypes.c_void_p()
        if libc.timer_create(CLOCK_MONOTONIC, event, ctypes.byref(timer)):
            raise OSError(get_errno(), "this system refuses timer_create")
        self._timer = timer
        self._settime = libc.timer_settime
        self._settime.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t]
        # struct itimerspec: interval and value, seconds and nanoseconds.
        self._spec = (ctypes.c_int64 * 4)()
        self._period_ns = 0

    def tick(self, period_ns: int) -> None:
        """Interrupt each so many nanoseconds from now on.  While the signal is pending the host's timer rests."""
        if period_ns != self._period_ns:
            self._period_ns = period_ns
            spec = self._spec
            spec[0], spec[1] = divmod(period_ns, 1_000_000_000)
            spec[2], spec[3] = spec[0], spec[1]
            self._settime(self._timer, 0, ctypes.addressof(spec), 0)

    def allow(self) -> None:
        self._mask(SIG_UNBLOCK, self._held_address, 0)

    def hold(self) -> None:
        self._mask(SIG_BLOCK, self._held_address, 0)

    def clear_children(self) -> None:
        try:
            os.read(self.children, SIGNALFD_SIGINFO)
        except BlockingIOError:
            pass

    def close(self) -> None:
        libc.timer_delete(self._timer)
        os.close(self.children)
        self.allow()  # what is pending comes now
        for signal, before in self._before.items():
            libc.sigaction(signal, before, None)
