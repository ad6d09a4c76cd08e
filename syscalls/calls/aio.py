"""io_setup, io_submit, io_getevents and their relatives."""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EFAULT, EINVAL, LinuxError
from syscalls.table import PARTIAL, syscall
from syscalls.wait import RESTART_NEVER, sleep_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import AioEvents, AioRequest, AioRequests, SigSetArgument, Timespec
    from syscalls.aio import AioContext
    from syscalls.table import S64, U32, U64, Addr, In, InOut, Out
    from syscalls.task import Task

MAX_EVENTS = 0x10000
"""/proc/sys/fs/aio-max-nr."""
TOO_MANY_EVENTS = 0x10000000 // 32
PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS = 3, 0x22
RING_SIZE = 4096
RING_HEADER = EVENT_SIZE = 32


def _context(task: Task, number: int) -> AioContext:
    context: AioContext | None = (task.mm.aio_contexts or {}).get(number)
    if context is None:
        raise LinuxError(EINVAL)
    return context


@syscall(206, support=PARTIAL("requests are served while they are submitted"), needs=("machine.memory",))
def io_setup(task: Task, events: U32, context: InOut[U64]) -> int:
    from syscalls.aio import AioContext
    if task.mem.u64(context):
        raise LinuxError(EINVAL)
    if not events or events > TOO_MANY_EVENTS:
        raise LinuxError(EINVAL)
    if events > MAX_EVENTS:
        raise LinuxError(EAGAIN)
    # The number is the address of a ring that the C library looks into; without the ring's magic it makes the call.
    address = task.mm.map(task, 0, RING_SIZE, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, None, 0)
    if task.mm.aio_contexts is None:
        task.mm.aio_contexts = {}
    task.mm.aio_contexts[address] = AioContext(address, _slots(task, events))
    try:
        task.mem.put_u64(context, address)
    except LinuxError:
        del task.mm.aio_contexts[address]
        task.mm.unmap(task, address, RING_SIZE)
        raise
    return 0


def _slots(task: Task, events: int) -> int:
    """ioctx_alloc: how many requests may be under way; at least four a processor, twice, and what fills the pages."""
    wanted = max(events, 4 * task.kernel.host.cpus()) * 2 + 2
    pages = (RING_HEADER + wanted * EVENT_SIZE + 4095) // 4096
    return (pages * 4096 - RING_HEADER) // EVENT_SIZE - 1


@syscall(207)
def io_destroy(task: Task, number: Addr) -> int:
    context = _context(task, number)
    context.cancel_all()
    assert task.mm.aio_contexts is not None
    del task.mm.aio_contexts[number]
    context.queue.wake()
    task.mm.unmap(task, number, RING_SIZE)
    return 0


@syscall(209, needs=("files.positioned-io",))
def io_submit(task: Task, number: Addr, count: S64, requests: In[AioRequests]) -> int:
    if count < 0:
        raise LinuxError(EINVAL)
    context = _context(task, number)
    done = 0
    try:
        while done < min(count, context.size):
            context.submit(task, task.mem.u64(requests + 8 * done))
            done += 1
    except LinuxError:
        if not done:
            raise
    return done


@syscall(210)
def io_cancel(task: Task, number: Addr, request: In[AioRequest], event: Out[AioEvents]) -> int:
    from syscalls.abi.errno import EINPROGRESS
    if task.mem.u32(request + 8):
        raise LinuxError(EINVAL)
    waiting = _context(task, number).polls.get(request)
    if waiting is None:
        raise LinuxError(EINVAL)
    notify, waiting.notify_file = waiting.notify_file, None
    waiting.stop()
    # As since Linux 4.19: the event comes by io_getevents.
    waiting.context.finish(waiting.data, request, 0, notify)
    raise LinuxError(EINPROGRESS)


async def _getevents(task: Task, number: int, least: int, most: int, events: int, delay: int | None) -> int:
    from syscalls.abi.time import deadline_after
    deadline = None if delay is None else deadline_after(task.kernel.clock.monotonic(), delay)
    context = _context(task, number)
    if least > most or least < 0:
        raise LinuxError(EINVAL)
    while len(context.events) < least:
        if not await sleep_on(task, [(context.queue, -1)], deadline, restart=RESTART_NEVER):
            break
        if number not in (task.mm.aio_contexts or {}):
            raise LinuxError(EINVAL)
    taken = min(most, len(context.events))
    if taken:
        data = b"".join(context.events[index] for index in range(taken))
        try:
            task.mem.write(events, data)
        except LinuxError:
            raise LinuxError(EFAULT) from None
        for _ in range(taken):
            context.events.popleft()
    return taken


@syscall(208, needs=("clocks.monotonic",))
async def io_getevents(task: Task, number: Addr, least: S64, most: S64, events: Out[AioEvents],
                       timeout: In[Timespec]) -> int:
    return await _getevents(task, number, least, most, events, _delay(task, timeout))


def _delay(task: Task, timeout: int) -> int | None:
    """The timeout in ns, which is not checked: a negative one is over."""
    if not timeout:
        return None
    from syscalls.abi.time import NSEC, TIMESPEC
    seconds, nanoseconds = task.mem.unpack(TIMESPEC, timeout)
    return max(0, seconds * NSEC + nanoseconds)


@syscall(333, since="4.18", needs=("clocks.monotonic",))
async def io_pgetevents(task: Task, number: Addr, least: S64, most: S64, events: Out[AioEvents], timeout: In[Timespec],
                        mask: In[SigSetArgument]) -> int:
    from syscalls.signals import with_mask
    delay = _delay(task, timeout)
    blocked = None
    if mask:
        pointer, size = task.mem.u64(mask), task.mem.u64(mask + 8)
        if pointer:
            if size != 8:
                raise LinuxError(EINVAL)
            blocked = task.mem.u64(pointer)
    return await with_mask(task, blocked, _getevents(task, number, least, most, events, delay))
