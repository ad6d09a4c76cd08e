"""The kernel's clocks, in nanoseconds.  `Clock` reads the host; `VirtualClock` is the deterministic one, which moves
only when the scheduler says so (a fixed step a system call, and to the next timer when everybody sleeps)."""

from __future__ import annotations

from syscalls.abi.time import COARSE_NS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.hosts.base import Host


class Clock:
    def __init__(self, host: Host) -> None:
        self.realtime = host.realtime_ns
        self.monotonic = host.monotonic_ns
        self.boottime = host.boottime_ns
        self.cputime = host.cputime_ns
        self.raw = host.raw_ns
        self.coarse = host.coarse_ns
        """The real time (True) or the monotonic one as of the last tick."""
        self.is_virtual = False

    def tick(self) -> None:
        """A system call was served."""

    def advance_to(self, monotonic_ns: int) -> None:
        """Nothing can run before this moment."""


class VirtualClock(Clock):
    EPOCH_NS = 1_700_000_000_000_000_000
    STEP_NS = 1000

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000
        self.is_virtual = True
        self.realtime = lambda: self.EPOCH_NS + self.now_ns
        self.monotonic = self._now
        self.boottime = self._now
        self.cputime = self._now
        self.raw = self._now
        self.coarse = self._coarse

    def _coarse(self, realtime: bool) -> int:
        now = self.realtime() if realtime else self.now_ns
        return now - now % COARSE_NS

    def _now(self) -> int:
        return self.now_ns

    def tick(self) -> None:
        self.now_ns += self.STEP_NS

    def advance_to(self, monotonic_ns: int) -> None:
        self.now_ns = max(self.now_ns, monotonic_ns)
