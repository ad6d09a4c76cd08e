"""epoll_create, epoll_ctl, epoll_wait and their variants (fs/eventpoll.c)."""

from __future__ import annotations

from syscalls.abi.errno import EFAULT, EINVAL, LinuxError
from syscalls.abi.poll import EPOLL_CLOEXEC, EPOLL_CTL_DEL
from syscalls.abi.time import deadline_after, read_timespec
from syscalls.calls.descriptors import install
from syscalls.table import syscall
from syscalls.wait import RESTART_NEVER, sleep_on
from translator.machine import TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from syscalls.abi.kinds import EpollEvent, EpollEvents, EpollFlags, SigSet, Timespec
    from syscalls.epoll import Epoll
    from syscalls.table import S32, U64, Fd, Flags, In, Out
    from syscalls.task import Task

    Result = int | Coroutine[Any, Any, int]

EVENT_SIZE = 12
MAX_EVENTS = 0x7FFFFFFF // EVENT_SIZE


@syscall(213)
def epoll_create(task: Task, size: S32) -> int:
    if size <= 0:
        raise LinuxError(EINVAL)
    return _create(task, 0)


@syscall(291, since="2.6.27")
def epoll_create1(task: Task, flags: Flags[EpollFlags]) -> int:
    return _create(task, flags)


def _create(task: Task, flags: int) -> int:
    from syscalls.epoll import Epoll
    if flags & ~EPOLL_CLOEXEC:
        raise LinuxError(EINVAL)
    return install(task, Epoll(task), bool(flags & EPOLL_CLOEXEC))


@syscall(233, needs=("poll.readiness",))
def epoll_ctl(task: Task, epfd: Fd, op: S32, fd: Fd, event: In[EpollEvent]) -> int:
    from syscalls.epoll import EVENT, control
    events, data = task.mem.unpack(EVENT, event) if op != EPOLL_CTL_DEL else (0, 0)
    epoll = task.files.get(epfd)
    control(epoll, op, fd, task.files.get(fd), events, data)
    return 0


def _epoll(task: Task, epfd: int, events: int, limit: int) -> Epoll:
    from syscalls.epoll import Epoll
    epoll = task.files.get(epfd)
    if not 0 < limit <= MAX_EVENTS:
        raise LinuxError(EINVAL)
    if events + limit * EVENT_SIZE > TASK_SIZE:
        raise LinuxError(EFAULT)
    if not isinstance(epoll, Epoll):
        raise LinuxError(EINVAL)
    return epoll


def _report(task: Task, epoll: Epoll, events: int, limit: int) -> int:
    found = epoll.collect(limit)
    if found:
        task.mem.write(events, b"".join(found))
    return len(found)


async def _wait(task: Task, epoll: Epoll, events: int, limit: int, deadline: int | None) -> int:
    while True:
        count = _report(task, epoll, events, limit)
        if count:
            return count
        if not await sleep_on(task, [(epoll.waiters, -1)], deadline, restart=RESTART_NEVER):
            return _report(task, epoll, events, limit)


@syscall(232, needs=("poll.readiness", "clocks.monotonic"))
def epoll_wait(task: Task, epfd: Fd, events: Out[EpollEvents], maxevents: S32, timeout: S32) -> Result:
    epoll = _epoll(task, epfd, events, maxevents)
    count = _report(task, epoll, events, maxevents) if epoll.ready_list or epoll.poller is not None else 0
    if count or timeout == 0:
        return count
    return _wait(task, epoll, events, maxevents, _deadline(task, timeout))


def _deadline(task: Task, timeout_ms: int) -> int | None:
    return None if timeout_ms < 0 else deadline_after(task.kernel.clock.monotonic(), timeout_ms * 1_000_000)


def _signal_mask(task: Task, addr: int, size: int) -> int | None:
    if not addr:
        return None
    if size != 8:
        raise LinuxError(EINVAL)
    return task.mem.u64(addr)


@syscall(281, since="2.6.19", needs=("poll.readiness", "clocks.monotonic"))
async def epoll_pwait(task: Task, epfd: Fd, events: Out[EpollEvents], maxevents: S32, timeout: S32, mask: In[SigSet],
                      size: U64) -> int:
    from syscalls.signals import with_mask
    blocked = _signal_mask(task, mask, size)
    epoll = _epoll(task, epfd, events, maxevents)
    return await with_mask(task, blocked, _wait(task, epoll, events, maxevents, _deadline(task, timeout)))


@syscall(441, since="5.11", needs=("poll.readiness", "clocks.monotonic"))
async def epoll_pwait2(task: Task, epfd: Fd, events: Out[EpollEvents], maxevents: S32, timeout: In[Timespec],
                       mask: In[SigSet], size: U64) -> int:
    from syscalls.signals import with_mask
    deadline = deadline_after(task.kernel.clock.monotonic(), read_timespec(task, timeout)) if timeout else None
    blocked = _signal_mask(task, mask, size)
    epoll = _epoll(task, epfd, events, maxevents)
    return await with_mask(task, blocked, _wait(task, epoll, events, maxevents, deadline))
