"""Which CPU pylx and its guests run on.  They stay together, because stops of a guest on another CPU cost four times as
much; only threads that compute, and so stop rarely, are released.

On that CPU they take turns: each wakes the other and goes to sleep.  The policy SCHED_BATCH (man 7 sched) says that who
is woken need not interrupt who wakes: a git clone takes four fifths of the time with it.

A thread that computes between its calls, but not so long that nobody need wait for it, holds up those that wait for the
CPU meanwhile: gzip below tar.  It is kept on the other CPUs as long as there is somebody to hold up.

The price of staying is that the host's scheduler cannot move us away when others want this CPU.  So now and then we
look how long we have waited for it (/proc/*/schedstat), and go elsewhere when that is much.
"""

from __future__ import annotations

import os

from translator.engines.ptrace_binding import libc

LOOK_NS = 10_000_000
"""How often to look, at most."""
STAY_NS = 50_000_000
"""No second move before that."""
TOO_LONG = 4
"""We move when more than this part of the time was spent waiting."""
WEIGH_NS = 4_000_000
"""How often to look at what a thread does between its calls, at most."""
LONG_NS, SHORT_NS = 60_000, 30_000
"""Time on a CPU between two calls that is worth another CPU, and that is not any more."""
FEW_CALLS = 8
"""Of fewer nothing is concluded."""
CROWDED_NS = 500_000_000
"""How long a thread stays that had to wait for the other CPUs."""
NOWHERE = -1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.engines.ptrace_cpu import PtraceCpu

    Load = tuple[int, int, int]
    """Nanoseconds on a CPU and waiting for one, and how often it was given one (about once a call)."""


class Placement:
    __slots__ = ("_looked", "_moved", "_own", "_own_waited", "_theirs", "_theirs_waited", "allowed", "cpu")

    def __init__(self, one_cpu: bool) -> None:
        self.allowed = sorted(os.sched_getaffinity(0))
        self.cpu = NOWHERE
        """The CPU, or NOWHERE while the host decides."""
        self._looked = self._moved = 0
        self._own = self._theirs = -1
        self._own_waited = self._theirs_waited = 0
        if one_cpu and len(self.allowed) > 1:
            try:
                self._own = os.open(f"/proc/self/task/{os.getpid()}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                pass
            _set_policy(os.SCHED_OTHER, os.SCHED_BATCH)  # guests inherit it
            cpu = int(libc.sched_getcpu())
            self._go(cpu if cpu in self.allowed else self.allowed[0])

    def _go(self, cpu: int) -> None:
        try:
            os.sched_setaffinity(0, {cpu})
        except OSError:
            return  # the CPU went offline, or a cpuset changed
        self.cpu = cpu

    def place(self, tid: int, cpus: set[int] | None = None) -> int:
        """Put a stopped thread where we are, if that is one of `cpus`."""
        if self.cpu != NOWHERE:
            try:
                os.sched_setaffinity(tid, {self.cpu} if cpus is None or self.cpu in cpus else cpus)
            except OSError:
                pass
        return self.cpu

    @property
    def spreads(self) -> bool:
        """Whether there is another CPU, for threads that compute."""
        return self.cpu != NOWHERE

    def release(self, tid: int, cpus: set[int] | None) -> None:
        """Let the host choose among these CPUs, or all, for a thread."""
        try:
            os.sched_setaffinity(tid, self.allowed if cpus is None else cpus)
        except OSError:
            pass

    def weigh(self, cpu: PtraceCpu, now: int) -> None:
        """Send a thread away, or have it back.  Called often, while it does not wait for anything."""
        cpu.weighed_ns = now
        if self.cpu == NOWHERE or cpu.cpus is not None:
            return
        load = _load(cpu.tid)
        if load is None:
            return
        before = cpu.load
        if before is not None:
            ran, waited, times = load
            ran -= before[0]
            waited -= before[1]
            times -= before[2]
            crowded = cpu.away and waited > max(ran, WEIGH_NS)
            if times < FEW_CALLS and not crowded:
                return
            if not cpu.away:
                if ran > LONG_NS * times and (cpu.held * 2 > cpu.runs or waited * TOO_LONG > ran):
                    self.send_away(cpu)
            elif crowded or ran < SHORT_NS * times or cpu.alone * 2 > times:
                cpu.away = cpu.free = False
                cpu.place = NOWHERE
                if crowded:
                    cpu.weighed_ns = now + CROWDED_NS
        cpu.load = load
        cpu.alone = cpu.held = cpu.runs = 0

    def send_away(self, cpu: PtraceCpu) -> None:
        cpu.away = cpu.free = True
        cpu.place = self.cpu
        try:
            os.sched_setaffinity(cpu.tid, set(self.allowed) - {self.cpu})
        except OSError:
            pass  # no CPU that it could go to any more

    def look(self, now: int, tid: int) -> None:
        """Called often: `now` in nanoseconds, `tid` of the guest thread that has been running."""
        elapsed = now - self._looked
        if elapsed < LOOK_NS or self._own < 0 or self.cpu == NOWHERE:
            return
        self._looked = now
        own = _waited(self._own)
        theirs = 0
        try:
            with open(f"/proc/{tid}/schedstat", "rb", buffering=0) as file:
                theirs = _waited(file.fileno())
        except OSError:
            pass
        waited = own - self._own_waited
        if tid == self._theirs:
            waited += theirs - self._theirs_waited
        self._own_waited, self._theirs, self._theirs_waited = own, tid, theirs
        if waited * TOO_LONG > elapsed and now - self._moved > STAY_NS:
            self._moved = now
            self._go(self.allowed[(self.allowed.index(self.cpu) + 1) % len(self.allowed)])

    def close(self) -> None:
        if self._own >= 0:
            os.close(self._own)
            self._own = -1
        if self.cpu != NOWHERE:
            _set_policy(os.SCHED_BATCH, os.SCHED_OTHER)
            try:
                os.sched_setaffinity(0, self.allowed)
            except OSError:
                pass


def _set_policy(old: int, new: int) -> None:
    """Change pylx's scheduling policy, if it is `old`; the niceness stays."""
    try:
        if os.sched_getscheduler(0) == old:
            os.sched_setscheduler(0, new, os.sched_param(0))
    except OSError:
        pass  # a container forbids it


def _load(tid: int) -> Load | None:
    try:
        with open(f"/proc/{tid}/schedstat", "rb", buffering=0) as file:
            ran, waited, times = map(int, file.read().split())
    except (OSError, ValueError):
        return None
    return ran, waited, times


def _waited(fd: int) -> int:
    """Nanoseconds spent runnable without a CPU."""
    try:
        return int(os.pread(fd, 64, 0).split()[1])
    except (OSError, IndexError):
        return 0
