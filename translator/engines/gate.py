"""Where the leaders of pico processes wait for work: a system call of theirs that is not answered.

It comes as a user notification, as the calls of guests do, with what their calls have given as its arguments.  A leader
is let go by the answer, makes its calls, and comes to the gate again, which costs 13 us less than a breakpoint and a
ptrace stop.  While pylx waits for it other threads may make calls or stop; those are kept for the loop of
ptrace_run.py.
"""

from __future__ import annotations

import ctypes
import os
import struct

from translator.engines.notify import NOT_WANTED
from translator.engines.ptrace_binding import (
    EINTR,
    PTRACE_CONT,
    STOPPED,
    WALL,
    WNOHANG,
    TraceeGone,
    request,
    waitpid,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from translator.engines.interrupts import Interrupts
    from translator.engines.notify import Notifications
    from translator.engines.pico import HostProcess

    Arguments = tuple[int, int, int, int, int, int]

EFAULT = 14
FAULT_STOPS = (7 << 8 | STOPPED, 11 << 8 | STOPPED)
"""Of SIGBUS and SIGSEGV."""
ROUND = 1
"""The word of the command page that a leader shows when it comes to the gate."""
_unpack_notification = struct.Struct("=QI4xi12x6Q").unpack_from


class Gate:
    def __init__(self, notes: Notifications, interrupts: Interrupts,
                 other: Callable[[int, int, int, Arguments], None]) -> None:
        """`other`: told of a call that another thread has made: its thread, notification, number and arguments."""
        self._notes = notes
        self._interrupts = interrupts
        self._other = other
        self._round = 0
        self._signalled = False
        self._status = ctypes.c_int()
        self._status_address = ctypes.addressof(self._status)

    def run(self, process: HostProcess) -> tuple[int, int]:
        """Let a leader make the calls in the command page; the last one's result, and how many were not made.
        TraceeGone, OSError(EFAULT) for an access to guest memory."""
        self._round += 1
        process.commands.words[ROUND] = self._round
        interrupts = self._interrupts
        if not interrupts.allowed:
            interrupts.allow()  # the leader may die
        flag = interrupts.flag
        signalled = flag[0]
        self._signalled = False
        flag[0] = 0
        try:
            return self._pass(process)
        finally:
            if signalled or self._signalled:
                flag[0] = 1  # for who looks at all stops

    def _pass(self, process: HostProcess) -> tuple[int, int]:
        notes, flag, pid = self._notes, self._interrupts.flag, process.pid
        got = self._let_go(process, process.gate)
        while True:
            if not got:
                notice, who, number, a, b, c, d, e, f = _unpack_notification(notes.bytes)
                if who == pid:
                    process.gate = notice
                    if c == self._round:
                        return a, b
                    # The call was interrupted by a signal, and is made again.
                    got = self._let_go(process, notice)
                    continue
                self._other(who, notice, number, (a, b, c, d, e, f))
            else:
                if got == -EINTR:
                    self._signalled = True
                    flag[0] = 0
                self._look(process)
            got = notes.receive()

    def _let_go(self, process: HostProcess, notice: int) -> int:
        """From its gate, or from a ptrace stop; the result of Notifications.receive."""
        notes = self._notes
        if notice:
            process.gate = 0
            notes.answer[0], notes.answer[1] = notice, 0
            got = notes.exchange()
            if got != NOT_WANTED:
                return got
        try:
            request(PTRACE_CONT, process.pid)
        except TraceeGone:
            # A signal from outside has ended its call, but has not stopped it yet.
            while not self._look(process):
                os.sched_yield()
        return notes.receive()

    def _look(self, process: HostProcess) -> bool:
        """Have the leader go on if it has stopped.  TraceeGone when its process has been killed."""
        pid = process.pid
        got = waitpid(pid, self._status_address, WALL | WNOHANG)
        if not got:
            # A dead leader is not told of before its threads have been waited for.
            for tid in process.threads:
                if os.waitid(os.P_PID, tid, os.WEXITED | os.WNOHANG | os.WNOWAIT | WALL) is not None:
                    raise TraceeGone(pid)
                break
            return False
        status = self._status.value
        if got < 0 or status & 0xFF != STOPPED:
            raise TraceeGone(pid)
        if status in FAULT_STOPS and process.commands.accesses_memory():
            raise OSError(EFAULT, os.strerror(EFAULT))
        request(PTRACE_CONT, pid)  # signals from outside are not for us
        return True
