"""Ending a time slice while the guest computes: something must call uc_emu_stop from outside.

Unicorn's own means are no use here: `count=` puts a hook on each instruction, `timeout=` makes a thread per start.
"""

from __future__ import annotations

import ctypes
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.engines.unicorn_binding import Library

SIGEV_THREAD, CLOCK_MONOTONIC = 2, 1


class PosixTimer:
    """A POSIX timer whose notification function is uc_emu_stop itself, called by libc in a thread of its own.

    It needs no GIL, so the guest runs with the GIL held and its hooks need not take it.  The timer repeats: a stop
    that comes a moment before the guest has really started is lost, the next one is not.
    """

    needs_unlocked = False

    def __init__(self, library: Library, uc: int) -> None:
        """OSError when the C library has no such timers."""
        libc = ctypes.PyDLL(None, use_errno=True)
        try:
            create, self._settime, self._delete = libc.timer_create, libc.timer_settime, libc.timer_delete
        except AttributeError:
            raise OSError("no POSIX timers") from None
        create.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self._delete.argtypes = [ctypes.c_void_p]
        # struct sigevent: value, signal and notify, function, attributes; 64 bytes in all.
        event = (ctypes.c_uint64 * 8)(uc, SIGEV_THREAD << 32, library.emu_stop_address, 0)
        timer = ctypes.c_void_p()
        if create(CLOCK_MONOTONIC, event, ctypes.byref(timer)):
            raise OSError(ctypes.get_errno(), "timer_create")
        self._timer = timer
        # struct itimerspec: interval and value, seconds and nanoseconds.
        self._spec = (ctypes.c_int64 * 4)()
        self._off = (ctypes.c_int64 * 4)()
        self._slice_ns = 0

    def arm(self, slice_ns: int) -> None:
        if slice_ns != self._slice_ns:
            self._slice_ns = slice_ns
            spec = self._spec
            spec[0], spec[1] = divmod(slice_ns, 1_000_000_000)
            spec[2], spec[3] = spec[0], spec[1]
        self._settime(self._timer, 0, self._spec, None)

    def disarm(self) -> None:
        self._settime(self._timer, 0, self._off, None)

    def close(self) -> None:
        self._delete(self._timer)


class ThreadTimer:
    """A Python thread that sleeps until the slice ends, for hosts without POSIX timers.

    It needs the GIL, so the guest has to run without it.
    """

    needs_unlocked = True

    def __init__(self, library: Library, uc: int) -> None:
        from threading import Condition, Thread
        self._stop = library.emu_stop
        self._uc = uc
        self._condition = Condition()
        self._slice = 0.0
        """Seconds, 0 while no slice is running, below 0 when the engine is closed."""
        Thread(target=self._watch, name="slice timer", daemon=True).start()

    def _watch(self) -> None:
        condition = self._condition
        with condition:
            while self._slice >= 0:
                if self._slice == 0:
                    condition.wait()
                elif not condition.wait(self._slice) and self._slice > 0:
                    self._stop(self._uc)

    def arm(self, slice_ns: int) -> None:
        with self._condition:
            self._slice = slice_ns / 1e9
            self._condition.notify()

    def disarm(self) -> None:
        with self._condition:
            self._slice = 0.0
            self._condition.notify()

    def close(self) -> None:
        with self._condition:
            self._slice = -1.0
            self._condition.notify()


def slice_timer(library: Library, uc: int) -> PosixTimer | ThreadTimer:
    if sys.platform == "linux":
        try:
            return PosixTimer(library, uc)
        except OSError:
            pass
    return ThreadTimer(library, uc)
