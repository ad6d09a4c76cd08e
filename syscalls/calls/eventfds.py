"""eventfd, timerfd, signalfd."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EPERM, LinuxError
from syscalls.abi.poll import (
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    EFD_SEMAPHORE,
    SFD_CLOEXEC,
    SFD_NONBLOCK,
    TFD_CLOEXEC,
    TFD_NONBLOCK,
    TFD_TIMER_ABSTIME,
    TFD_TIMER_CANCEL_ON_SET,
)
from syscalls.calls.descriptors import install
from syscalls.table import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import EventfdFlags, Itimerspec, SignalfdFlags, SigSet, TimerfdFlags
    from syscalls.table import S32, U32, U64, Fd, Flags, In, Out
    from syscalls.task import Task
    from syscalls.timerfd import TimerFd

CAP_WAKE_ALARM = 35
ALARM_CLOCKS = (8, 9)
SIGKILL_AND_SIGSTOP = 1 << 8 | 1 << 18


@syscall(284, since="2.6.22")
def eventfd(task: Task, count: U32) -> int:
    return _eventfd(task, count, 0)


@syscall(290, since="2.6.27")
def eventfd2(task: Task, count: U32, flags: Flags[EventfdFlags]) -> int:
    return _eventfd(task, count, flags)


def _eventfd(task: Task, count: int, flags: int) -> int:
    from syscalls.eventfd import EventFd
    if flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK):
        raise LinuxError(EINVAL)
    return install(task, EventFd(task, count, flags), bool(flags & EFD_CLOEXEC))


# --- timerfd

@syscall(283, since="2.6.25")
def timerfd_create(task: Task, clock_id: S32, flags: Flags[TimerfdFlags]) -> int:
    from syscalls.timerfd import TimerFd
    if flags & ~(TFD_CLOEXEC | TFD_NONBLOCK) or clock_id not in (0, 1, 7, 8, 9):
        raise LinuxError(EINVAL)
    if clock_id in ALARM_CLOCKS and not task.cred.capable(CAP_WAKE_ALARM):
        raise LinuxError(EPERM)
    return install(task, TimerFd(task, clock_id, flags), bool(flags & TFD_CLOEXEC))


def _timer(task: Task, fd: int) -> TimerFd:
    from syscalls.timerfd import TimerFd
    file = task.files.get(fd)
    if not isinstance(file, TimerFd):
        raise LinuxError(EINVAL)
    return file


def _write_times(task: Task, addr: int, times: tuple[int, int]) -> None:
    from syscalls.abi.time import pack_timespec
    value, interval = times
    task.mem.write(addr, pack_timespec(interval) + pack_timespec(value))


@syscall(286, since="2.6.25", needs=("clocks.monotonic", "clocks.cpu-time"))
def timerfd_settime(task: Task, fd: Fd, flags: U32, new: In[Itimerspec], old: Out[Itimerspec]) -> int:
    from syscalls.abi.time import ITIMERSPEC, timespec_ns
    interval_s, interval_ns, value_s, value_ns = task.mem.unpack(ITIMERSPEC, new)
    if flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET):
        raise LinuxError(EINVAL)
    value, interval = timespec_ns(value_s, value_ns), timespec_ns(interval_s, interval_ns)
    before = _timer(task, fd).set(flags, value, interval)
    if old:
        _write_times(task, old, before)
    return 0


@syscall(287, since="2.6.25", needs=("clocks.monotonic",))
def timerfd_gettime(task: Task, fd: Fd, current: Out[Itimerspec]) -> int:
    _write_times(task, current, _timer(task, fd).get())
    return 0


# --- signalfd

@syscall(282, since="2.6.22")
def signalfd(task: Task, fd: Fd, mask: In[SigSet], size: U64) -> int:
    return _signalfd(task, fd, mask, size, 0)


@syscall(289, since="2.6.27")
def signalfd4(task: Task, fd: Fd, mask: In[SigSet], size: U64, flags: Flags[SignalfdFlags]) -> int:
    return _signalfd(task, fd, mask, size, flags)


def _signalfd(task: Task, fd: int, mask: int, size: int, flags: int) -> int:
    from syscalls.signalfd import SignalFd
    if size != 8:
        raise LinuxError(EINVAL)
    signals = task.mem.u64(mask) & ~SIGKILL_AND_SIGSTOP
    if flags & ~(SFD_CLOEXEC | SFD_NONBLOCK):
        raise LinuxError(EINVAL)
    if fd == -1:
        return install(task, SignalFd(task, signals, flags), bool(flags & SFD_CLOEXEC))
    file = task.files.get(fd)
    if not isinstance(file, SignalFd):
        raise LinuxError(EINVAL)
    file.set_mask(signals)
    return fd
