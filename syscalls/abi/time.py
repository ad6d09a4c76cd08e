"""Time: clock ids, timer flags, and the structures that carry times."""

from __future__ import annotations

import struct

from syscalls.abi.errno import EINVAL, LinuxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

(CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
 CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM,
 CLOCK_SGI_CYCLE, CLOCK_TAI) = range(12)

# Clock ids of other tasks are ~pid << 3 | which, with bit 2 for a thread (include/linux/posix-timers.h).
CPUCLOCK_PROF, CPUCLOCK_VIRT, CPUCLOCK_SCHED, CPUCLOCK_FD = 0, 1, 2, 3
CPUCLOCK_PERTHREAD = 4

TIMER_ABSTIME = 1
ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF = 0, 1, 2
SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID = 0, 1, 2, 4

NSEC = 1_000_000_000
KTIME_MAX = (1 << 63) - 1
TICK_NS = 10_000_000
"""A clock_t tick: 1/100 s (USER_HZ)."""
COARSE_NS = 4_000_000
"""The resolution of the coarse clocks: a tick at CONFIG_HZ=250."""

TIMESPEC = struct.Struct("<qq")
TIMEVAL = struct.Struct("<qq")
ITIMERSPEC = struct.Struct("<qqqq")


def timespec_ns(seconds: int, nanoseconds: int) -> int:
    """Checked as timespec64_valid: EINVAL.  Cut at KTIME_MAX."""
    if seconds < 0 or not 0 <= nanoseconds < NSEC:
        raise LinuxError(EINVAL)
    return min(seconds * NSEC + nanoseconds, KTIME_MAX)


def read_timespec(task: Task, addr: int) -> int:
    """The time at `addr` in ns.  EFAULT, EINVAL."""
    seconds, nanoseconds = TIMESPEC.unpack(task.mem.read(addr, 16))
    return timespec_ns(seconds, nanoseconds)


def read_timeval(task: Task, addr: int) -> int:
    """A struct timeval at `addr` in ns.  EFAULT, EINVAL."""
    seconds, microseconds = TIMEVAL.unpack(task.mem.read(addr, 16))
    if seconds < 0 or not 0 <= microseconds < 1_000_000:
        raise LinuxError(EINVAL)
    return int(min(seconds * NSEC + microseconds * 1000, KTIME_MAX))


def pack_timespec(ns: int) -> bytes:
    return TIMESPEC.pack(ns // NSEC, ns % NSEC)


def pack_timeval(ns: int) -> bytes:
    return TIMEVAL.pack(ns // NSEC, ns % NSEC // 1000)


def write_timespec(task: Task, addr: int, ns: int) -> None:
    task.mem.write(addr, TIMESPEC.pack(ns // NSEC, ns % NSEC))


def write_timeval(task: Task, addr: int, ns: int) -> None:
    task.mem.write(addr, TIMEVAL.pack(ns // NSEC, ns % NSEC // 1000))


def deadline_after(now_ns: int, delay_ns: int) -> int:
    """A point in time, cut at KTIME_MAX (ktime_add_safe)."""
    return min(now_ns + delay_ns, KTIME_MAX)
