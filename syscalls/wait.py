"""Sleeping and waking: the only place where a system call gives up the CPU.

A handler that may sleep is a coroutine of its task.  It sleeps by `await task.sleep(...)`, which yields to the
scheduler once; whoever makes the awaited thing true calls `WaitQueue.wake`.  The kernel is one thread, so between a
check and the `await` nothing else runs: check, then sleep, in a loop, and no wake-up is lost.

Mirrors include/linux/wait.h: a queue holds entries, and an entry is called with the poll bits of the event.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, LinuxError
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from typing import Any, TypeVar

    from syscalls.task import Task
    from translator.hosts.base import Poller

    T = TypeVar("T")

FOREVER = None

# How a call that a signal interrupted goes on (include/linux/errno.h ERESTART*): decided by the signal code.
RESTART_NEVER = 0      # EINTR whatever the handler's flags say
RESTART_SYS = 1        # ERESTARTSYS: again if SA_RESTART or no handler ran, else EINTR
RESTART_NOHAND = 2     # ERESTARTNOHAND: again only if no handler ran
RESTART_NOINTR = 3     # ERESTARTNOINTR: always again
RESTART_BLOCK = 4      # ERESTART_RESTARTBLOCK: restart_syscall(2) with what remains, if no handler ran


class Interrupted(Exception):
    """A sleep ended because a signal wants delivery.  `resume`, for RESTART_BLOCK: a coroutine function of the task
    that finishes the call with what remains (the time left, say)."""

    def __init__(self, restart: int = RESTART_SYS,
                 resume: Callable[[Task], Awaitable[int]] | None = None) -> None:
        super().__init__(restart)
        self.restart = restart
        self.resume = resume


class Waiter:
    """An entry in wait queues.  Subclasses override notify."""

    __slots__ = ()
    exclusive = False
    """Of the entries that are, one wake consumes one only (WQ_FLAG_EXCLUSIVE)."""

    def notify(self, mask: int) -> bool:
        """Called at each wake whose mask meets the entry's; True counts against the wake's limit (an exclusive
        sleeper was woken)."""
        raise NotImplementedError


class WaitQueue:
    """Entries in FIFO order; adding one twice is an error of the caller's."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: dict[Waiter, int] = {}

    def add(self, waiter: Waiter, mask: int = -1) -> None:
        """mask: the poll bits the entry wants to hear of (-1: all)."""
        self.entries[waiter] = mask

    def remove(self, waiter: Waiter) -> None:
        self.entries.pop(waiter, None)

    def wake(self, mask: int = -1, limit: int = -1) -> int:
        """Notify entries whose mask meets `mask`, at most `limit` that consume it; returns how many did."""
        if not self.entries:
            return 0
        woken = 0
        taken = False
        for waiter, wanted in list(self.entries.items()):
            if wanted & mask:
                if waiter.exclusive and taken:
                    continue
                if waiter.notify(mask):
                    taken = taken or waiter.exclusive
                    woken += 1
                    if woken == limit:
                        break
        return woken


class HostWaitQueue(WaitQueue):
    """The queue of an object whose readiness lives in a host handle (a socket, a stream).

    The host's poller is armed, one shot, when an entry is added and by `rearm`; objects call `rearm(mask)` after an
    operation found them not ready, so that persistent entries (epoll) hear of the next edge.
    """

    __slots__ = ("armed", "fileno", "poller")

    def __init__(self, poller: Poller, fileno: int) -> None:
        super().__init__()
        self.poller = poller
        self.fileno = fileno
        self.armed = 0

    def add(self, waiter: Waiter, mask: int = -1) -> None:
        super().add(waiter, mask)
        self.rearm(mask & 0x7)

    def remove(self, waiter: Waiter) -> None:
        super().remove(waiter)
        if not self.entries and self.armed:
            self.poller.disarm(self.fileno, self._ready)
            self.armed = 0

    def rearm(self, mask: int) -> None:
        """Ask to hear of these poll bits (POLLIN, POLLPRI, POLLOUT) once; nothing while nobody waits."""
        if not self.entries:
            return
        wanted = self.armed | (mask & 0x7)
        if wanted != self.armed and wanted:
            self.armed = wanted
            self.poller.arm(self.fileno, wanted, self._ready)

    def close(self) -> None:
        """Before the handle is closed.  Another queue may have the same handle (a standard stream opened again)."""
        self.poller.disarm(self.fileno, self._ready)
        self.armed = 0

    def _ready(self, mask: int) -> None:
        rest = self.armed & ~mask & 0x7
        self.armed = 0
        self.wake(mask)
        if rest and not mask & 0x18 and self.entries:
            self.rearm(rest)


class _Suspend:
    """Awaitable that yields once to the scheduler."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield None


SUSPEND = _Suspend()


async def _nothing() -> int:
    return 0


_coroutine = _nothing()
CoroutineType = type(_coroutine)
"""What a plain handler may return when it finds, after a first look, that it has to sleep: the calls that mostly do
not sleep (read, write) save the cost of a coroutine that way."""
_coroutine.close()


class Sleeper(Waiter):
    """A task asleep: woken by the first notification."""

    __slots__ = ("mask", "task", "woken")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.woken = False
        self.mask = 0

    def notify(self, mask: int) -> bool:
        self.mask |= mask
        if self.woken:
            return False
        self.woken = True
        self.task.kernel.make_ready(self.task)
        return True


class Timer:
    """A one-shot kernel timer: `expired` is called from the scheduler at or after `deadline_ns` (monotonic).

    Made and started by `Kernel.start_timer`; `cancel` may be called at any time."""

    __slots__ = ("deadline_ns", "expired")

    def __init__(self, deadline_ns: int, expired: Callable[[], Any]) -> None:
        self.deadline_ns = deadline_ns
        self.expired: Callable[[], Any] | None = expired

    def cancel(self) -> None:
        self.expired = None


async def leave_engine(task: Task) -> None:
    """Stop the guest and go on from the scheduler, without sleeping: for calls that close or replace the CPU or the
    address space that the engine is running, and to let others run first."""
    task.kernel.make_ready(task)
    await SUSPEND


async def sleep_on(task: Task, queues: list[tuple[WaitQueue, int]], deadline_ns: int | None = None, *,
                   interruptible: bool = True, restart: int = RESTART_SYS) -> bool:
    """Sleep until one of the queues is woken with a bit of its mask, or `deadline_ns` (monotonic) has passed.

    Returns False when the deadline ended the sleep.  Raises Interrupted(restart) when a signal wants delivery, and
    also at once when one already does.  A fatal signal ends even an uninterruptible sleep (TASK_KILLABLE)."""
    if task.signal_wanted() if interruptible else task.killed():
        raise Interrupted(restart)
    kernel = task.kernel
    if deadline_ns is not None and deadline_ns <= kernel.clock.monotonic():
        return False
    sleeper = Sleeper(task)
    for queue, mask in queues:
        queue.add(sleeper, mask)
    timer = None
    expired = False
    if deadline_ns is not None:
        def expire() -> None:
            nonlocal expired
            expired = True
            sleeper.notify(0)
        timer = kernel.start_timer(deadline_ns, expire)
    task.sleeper = sleeper
    task.interruptible = interruptible
    try:
        while not sleeper.woken:
            await SUSPEND
            if not sleeper.woken and (task.signal_wanted() if interruptible else task.killed()):
                raise Interrupted(restart)
    finally:
        task.sleeper = None
        for queue, _ in queues:
            queue.remove(sleeper)
        if timer is not None:
            timer.cancel()
    return not expired


async def retry(task: Task, queue: WaitQueue, mask: int, attempt: Callable[[], T], *, nonblock: bool = False,
                deadline_ns: int | None = None, restart: int = RESTART_SYS, tried: bool = False) -> T:
    """Run `attempt` until it does not raise EAGAIN, sleeping on `queue` in between; EAGAIN at the deadline.
    `tried`: it has just raised EAGAIN, so that sleeping comes first."""
    while True:
        if not tried:
            try:
                return attempt()
            except (LinuxError, HostError) as error:
                if error.errno != EAGAIN or nonblock:
                    raise
        tried = False
        if not await sleep_on(task, [(queue, mask)], deadline_ns, restart=restart):
            raise LinuxError(EAGAIN)
