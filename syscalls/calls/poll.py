"""poll, ppoll, select, pselect6 (fs/select.c).

Look at every descriptor; with nothing ready, sleep on all of their queues and look again.  How an interrupted call goes
on differs: poll restarts with its old deadline, select, pselect6 and ppoll write back the time that is left and restart
only when no handler ran.
"""

from __future__ import annotations

from struct import Struct

from syscalls.abi.errno import EBADF, EFAULT, EINVAL, LinuxError
from syscalls.abi.poll import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLNVAL,
    POLLOUT,
    POLLPRI,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
)
from syscalls.abi.time import TIMEVAL, deadline_after, pack_timespec, pack_timeval, read_timespec, timespec_ns
from syscalls.fd import O_PATH
from syscalls.table import syscall
from syscalls.task import RLIMIT_NOFILE
from syscalls.wait import RESTART_BLOCK, RESTART_NOHAND, Interrupted, WaitQueue, sleep_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from syscalls.abi.kinds import FdSet, PollFds, SigSet, SigSetArgument, Timespec, Timeval
    from syscalls.table import S32, U32, U64, In, InOut
    from syscalls.task import Task

    Result = int | Coroutine[Any, Any, int]
    Queues = dict[WaitQueue, int]
    Look = Callable[[Queues | None], int]

POLLFD = Struct("<ihh")
ALWAYS = POLLERR | POLLHUP
SELECT_IN = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR | POLLNVAL
SELECT_OUT = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR | POLLNVAL
SELECT_EX = POLLPRI | POLLNVAL
MSEC = 1_000_000
STICKY_TIMEOUTS = 0x4000000
"""personality(2): select and poll do not say what is left of the time."""


def _listen(queues: Queues, queue: WaitQueue, mask: int) -> None:
    """Bits beyond the plain ones are announced with them by hosts (see epoll.wait_mask)."""
    if mask & 0x20C0:
        mask |= POLLIN
    if mask & 0x300:
        mask |= POLLOUT
    queues[queue] = queues.get(queue, 0) | mask | ALWAYS


async def _wait(task: Task, look: Look, deadline_ns: int | None, restart: int) -> int:
    """Sleep until `look` counts something, or the deadline (then 0)."""
    while True:
        queues: Queues = {}
        count = look(queues)
        if count:
            return count
        if not await sleep_on(task, list(queues.items()), deadline_ns, restart=restart):
            return look(None)


# --- poll

def _read_pollfds(task: Task, fds: int, count: int) -> list[tuple[int, int, int]]:
    if count > task.group.soft_limit(RLIMIT_NOFILE):
        raise LinuxError(EINVAL)
    if not count:
        return []
    return list(POLLFD.iter_unpack(task.mem.read(fds, count * 8)))


class _Poll:
    """One poll(2): what is asked, and what was found."""

    __slots__ = ("asked", "found", "task")

    def __init__(self, task: Task, asked: list[tuple[int, int, int]]) -> None:
        self.task = task
        self.asked = asked
        self.found: list[int] = [0] * len(asked)

    def look(self, queues: Queues | None) -> int:
        files = self.task.files.files
        found = self.found
        count = 0
        for index, (fd, events, _) in enumerate(self.asked):
            if fd < 0:
                continue
            file = files.get(fd)
            if file is None or file.flags & O_PATH:
                bits = POLLNVAL
            else:
                mask = events & 0xFFFF | ALWAYS
                bits = file.ready(mask) & mask
                if queues is not None and not bits:
                    _listen(queues, file.queue, mask)
            found[index] = bits
            if bits:
                count += 1
        return count

    def report(self, fds: int) -> None:
        """Write the revents fields only: another thread may be changing the rest."""
        mem = self.task.mem
        if not self.found:
            mem.check_range(fds, 0)  # nothing is written there, but where that is is looked at
            return
        raw = bytearray(mem.read(fds, len(self.found) * 8))
        for index, bits in enumerate(self.found):
            raw[index * 8 + 6] = bits & 0xFF
            raw[index * 8 + 7] = bits >> 8
        mem.write(fds, raw)


@syscall(7, needs=("poll.readiness", "clocks.monotonic"))
def poll(task: Task, fds: InOut[PollFds], nfds: U32, timeout: S32) -> Result:
    state = _Poll(task, _read_pollfds(task, fds, nfds))
    count = state.look(None)
    if count or timeout == 0:
        state.report(fds)
        return count
    deadline = None if timeout < 0 else deadline_after(task.kernel.clock.monotonic(), timeout * MSEC)
    return _poll_on(task, state, fds, deadline)


async def _poll_on(task: Task, state: _Poll, fds: int, deadline: int | None) -> int:
    try:
        count = await _wait(task, state.look, deadline, RESTART_NOHAND)
    except Interrupted:
        # restart_syscall(2) goes on with the same deadline.
        raise Interrupted(RESTART_BLOCK, lambda again: _poll_on(again, state, fds, deadline)) from None
    state.report(fds)
    return count


@syscall(271, since="2.6.16", needs=("poll.readiness", "clocks.monotonic"))
async def ppoll(task: Task, fds: InOut[PollFds], nfds: U32, timeout: InOut[Timespec], mask: In[SigSet],
                size: U64) -> int:
    delay = read_timespec(task, timeout) if timeout else None
    blocked = _signal_mask(task, mask, size)
    start = task.kernel.clock.monotonic()

    async def run() -> int:
        state = _Poll(task, _read_pollfds(task, fds, nfds))
        count = await _wait(task, state.look, None if delay is None else deadline_after(start, delay), RESTART_NOHAND)
        state.report(fds)
        return count

    return await _timed(task, run(), blocked, timeout, delay, start, pack_timespec)


def _signal_mask(task: Task, addr: int, size: int) -> int | None:
    if not addr:
        return None
    if size != 8:
        raise LinuxError(EINVAL)
    return task.mem.u64(addr)


async def _timed(task: Task, call: Awaitable[int], blocked: int | None, timeout: int, delay: int | None, start: int,
                 pack: Callable[[int], bytes]) -> int:
    """Run a wait under its signal mask, and write back what is left of its time (poll_select_finish)."""
    from syscalls.signals import with_mask
    try:
        result = await with_mask(task, blocked, call)
    except Interrupted as interrupted:
        if not _write_left(task, timeout, delay, start, pack):
            raise Interrupted(0) from None
        raise interrupted
    _write_left(task, timeout, delay, start, pack)
    return result


def _write_left(task: Task, timeout: int, delay: int | None, start: int, pack: Callable[[int], bytes]) -> bool:
    """False when the timeout lies in read-only memory, or the personality says that it does not change: then the call
    cannot be restarted (poll_select_finish)."""
    if task.personality & STICKY_TIMEOUTS:
        return False
    if not delay:
        return True
    left = max(0, start + delay - task.kernel.clock.monotonic())
    try:
        task.mem.write(timeout, pack(left))
    except LinuxError as error:
        if error.errno != EFAULT:
            raise
        return False
    return True


# --- select

class _Select:
    """One select(2): the three sets as integers, bit n for descriptor n."""

    __slots__ = ("asked", "found", "length", "numbers", "task")

    def __init__(self, task: Task, nfds: int, addresses: tuple[int, int, int]) -> None:
        if nfds < 0:
            raise LinuxError(EINVAL)
        self.task = task
        nfds = min(nfds, task.files.room)
        self.length = (nfds + 63) // 64 * 8
        valid = (1 << nfds) - 1
        self.asked = tuple(int.from_bytes(task.mem.read(addr, self.length), "little") & valid if addr and nfds else 0
                           for addr in addresses)
        self.found = [0, 0, 0]
        anything = self.asked[0] | self.asked[1] | self.asked[2]
        files = task.files.files
        numbers = []
        while anything:
            low = anything & -anything
            anything ^= low
            fd = low.bit_length() - 1
            if fd not in files:
                raise LinuxError(EBADF)
            numbers.append(fd)
        self.numbers = numbers

    def look(self, queues: Queues | None) -> int:
        readers, writers, others = self.asked
        files = self.task.files.files
        found_in = found_out = found_ex = count = 0
        for fd in self.numbers:
            file = files.get(fd)
            bit = 1 << fd
            wanted = (SELECT_IN if readers & bit else 0) | (SELECT_OUT if writers & bit else 0)
            wanted |= SELECT_EX if others & bit else 0
            if file is None or file.flags & O_PATH:
                bits = POLLNVAL  # closed by another thread meanwhile, or nothing to poll: ready for all
            else:
                bits = file.ready(wanted | ALWAYS)
            before = count
            if bits & SELECT_IN and readers & bit:
                found_in |= bit
                count += 1
            if bits & SELECT_OUT and writers & bit:
                found_out |= bit
                count += 1
            if bits & SELECT_EX and others & bit:
                found_ex |= bit
                count += 1
            if queues is not None and count == before and file is not None:
                _listen(queues, file.queue, wanted)
        self.found = [found_in, found_out, found_ex]
        return count

    def report(self, addresses: tuple[int, int, int]) -> None:
        for addr, bits in zip(addresses, self.found, strict=True):
            if addr and self.length:
                self.task.mem.write(addr, bits.to_bytes(self.length, "little"))


async def _select(task: Task, nfds: int, addresses: tuple[int, int, int], deadline: int | None) -> int:
    state = _Select(task, nfds, addresses)
    count = await _wait(task, state.look, deadline, RESTART_NOHAND)
    state.report(addresses)
    return count


@syscall(23, needs=("poll.readiness", "clocks.monotonic"))
async def select(task: Task, nfds: S32, readfds: InOut[FdSet], writefds: InOut[FdSet], exceptfds: InOut[FdSet],
                 timeout: InOut[Timeval]) -> int:
    delay = None
    if timeout:
        seconds, micros = TIMEVAL.unpack(task.mem.read(timeout, 16))
        delay = timespec_ns(seconds + micros // 1_000_000 if micros >= 0 else seconds,
                            micros % 1_000_000 * 1000 if micros >= 0 else micros)
    start = task.kernel.clock.monotonic()
    call = _select(task, nfds, (readfds, writefds, exceptfds), None if delay is None else deadline_after(start, delay))
    return await _timed(task, call, None, timeout, delay, start, pack_timeval)


@syscall(270, since="2.6.16", needs=("poll.readiness", "clocks.monotonic"))
async def pselect6(task: Task, nfds: S32, readfds: InOut[FdSet], writefds: InOut[FdSet], exceptfds: InOut[FdSet],
                   timeout: InOut[Timespec], mask: In[SigSetArgument]) -> int:
    blocked = None
    if mask:
        pointer, size = task.mem.u64(mask), task.mem.u64(mask + 8)
        blocked = _signal_mask(task, pointer, size)
    delay = read_timespec(task, timeout) if timeout else None
    start = task.kernel.clock.monotonic()
    call = _select(task, nfds, (readfds, writefds, exceptfds), None if delay is None else deadline_after(start, delay))
    return await _timed(task, call, blocked, timeout, delay, start, pack_timespec)
