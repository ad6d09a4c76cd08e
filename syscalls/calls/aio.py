"""io_setup, io_submit, io_getevents and their relatives (fs/aio.c)."""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EBADF, EFAULT, EINTR, EINVAL, LinuxError
from syscalls.fd import O_APPEND, O_NONBLOCK, POLLERR, POLLHUP
from syscalls.table import PARTIAL, syscall
from syscalls.usermem import MAX_RW_COUNT
from syscalls.wait import RESTART_NEVER, Interrupted, sleep_on
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import AioEvents, AioRequest, AioRequests, SigSetArgument, Timespec
    from syscalls.aio import AioContext
    from syscalls.calls.io import Result, Vector
    from syscalls.eventfd import EventFd
    from syscalls.fd import FileDescription
    from syscalls.table import S64, U32, U64, Addr, In, InOut, Out
    from syscalls.task import Task

MAX_EVENTS = 0x10000
"""/proc/sys/fs/aio-max-nr."""
TOO_MANY_EVENTS = 0x10000000 // 32
PROT_READ_WRITE = 3
RING_HEADER = EVENT_SIZE = 32
PREAD, PWRITE, FSYNC, FDSYNC, POLL, NOOP, PREADV, PWRITEV = 0, 1, 2, 3, 5, 6, 7, 8
IOCB_FLAG_RESFD, IOCB_FLAG_IOPRIO = 1, 2
KIOCB_KEY = 0


def _context(task: Task, number: int) -> AioContext:
    """lookup_ioctx, which reads the ring: where that cannot be read there is no context."""
    context: AioContext | None = (task.mm.aio_contexts or {}).get(number)
    if context is None or not task.mem.readable(number, 4):
        raise LinuxError(EINVAL)
    return context


@syscall(206, support=PARTIAL("requests are served while they are submitted"), needs=("machine.memory",))
def io_setup(task: Task, events: U32, context: InOut[U64]) -> int:
    from syscalls.aio import AioContext, map_ring
    if task.mem.u64(context):
        raise LinuxError(EINVAL)
    if not events or events > TOO_MANY_EVENTS:
        raise LinuxError(EINVAL)
    if events > MAX_EVENTS:
        raise LinuxError(EAGAIN)
    # The number is the address of the ring, which the C library looks into.
    # All of its pages count for requests: at least four a processor, twice (ioctx_alloc).
    wanted = max(events, 4 * task.kernel.host.cpus()) * 2 + 2
    length = (RING_HEADER + wanted * EVENT_SIZE + 4095) & ~4095
    area = map_ring(task, length)
    address = area.start
    if task.mm.aio_contexts is None:
        task.mm.aio_contexts = {}
    task.mm.aio_contexts[address] = AioContext(task.mm, area, len(task.mm.aio_contexts))
    try:
        task.mem.put_u64(context, address)
    except LinuxError:
        del task.mm.aio_contexts[address]
        task.mm.unmap(task, address, length)
        raise
    return 0


@syscall(207)
def io_destroy(task: Task, number: Addr) -> int:
    context = _context(task, number)
    context.cancel_all()
    assert task.mm.aio_contexts is not None
    del task.mm.aio_contexts[number]
    context.queue.wake()
    task.mm.unmap(task, number, context.length)
    return 0


@syscall(209, needs=("files.positioned-io",))
async def io_submit(task: Task, number: Addr, count: S64, requests: In[AioRequests]) -> int:
    if count < 0:
        raise LinuxError(EINVAL)
    context = _context(task, number)
    done = 0
    try:
        while done < min(count, context.size):
            await _submit(task, context, task.mem.u64(requests + 8 * done))
            done += 1
    except LinuxError:
        if not done:
            raise
    return done


async def _submit(task: Task, context: AioContext, address: int) -> None:
    """One request.  EAGAIN when the context is full; EINVAL, EBADF, EFAULT, EPERM for what cannot be started.  How
    the operation itself ended is in its event."""
    from syscalls.aio import IOCB, PollRequest
    data, _, flags, opcode, priority, fd, buf, count, offset, reserved, iocb_flags, resfd = IOCB.unpack(
        task.mem.read(address, IOCB.size))
    if reserved or count >= 1 << 63:
        raise LinuxError(EINVAL)
    if context.full:
        raise LinuxError(EAGAIN)
    file = task.files.get(fd)
    notify = _eventfd(task, resfd) if iocb_flags & IOCB_FLAG_RESFD else None
    try:
        task.mem.put_u32(address + 8, KIOCB_KEY)
        if opcode == POLL:
            if count or offset or flags or buf > 0xFFFF:
                raise LinuxError(EINVAL)
            PollRequest(context, file, buf | POLLERR | POLLHUP, data, address, notify).start()
            return
        if opcode in (FSYNC, FDSYNC):
            if buf or count or offset or flags:
                raise LinuxError(EINVAL)
            result = _sync(task, file, opcode == FDSYNC)
        elif opcode in (PREAD, PREADV, PWRITE, PWRITEV):
            if iocb_flags & IOCB_FLAG_IOPRIO:
                from syscalls.ioprio import check_priority
                check_priority(task, priority)
            vector = _vector(task, file, opcode, flags, buf, count, offset)
            result = await _transfer(task, file, opcode in (PWRITE, PWRITEV), vector, offset, flags)
        else:
            raise LinuxError(EINVAL)
    except LinuxError:
        if notify is not None:
            notify.release()
        raise
    context.finish(data, address, result, notify)


def _eventfd(task: Task, fd: int) -> EventFd:
    from syscalls.eventfd import EventFd as Kind
    file = task.files.get(fd)
    if not isinstance(file, Kind):
        raise LinuxError(EINVAL)
    file.retain()
    return file


def _sync(task: Task, file: FileDescription, data_only: bool) -> int:
    """The result for the event.  EINVAL says that there is nothing to write back: that is told at the submission."""
    try:
        file.sync(task, data_only)
    except (LinuxError, HostError) as error:
        if error.errno == EINVAL:
            raise LinuxError(EINVAL) from None
        return -error.errno
    return 0


def _vector(task: Task, file: FileDescription, opcode: int, flags: int, buf: int, count: int, offset: int) -> Vector:
    """aio_prep_rw, aio_read and aio_write up to the operation: what is refused at the submission."""
    from syscalls.rw_flags import check_rw_flags
    check_rw_flags(file, flags)
    writes = opcode in (PWRITE, PWRITEV)
    if not (file.writable if writes else file.readable):
        raise LinuxError(EBADF)
    if not (file.can_write and file.writes_vectors if writes else file.can_read and file.reads_vectors):
        raise LinuxError(EINVAL)
    if opcode in (PREAD, PWRITE):
        vector = [(buf, min(count, MAX_RW_COUNT))]
        task.mem.check_range(buf, vector[0][1])
    else:
        vector = task.mem.iovec(buf, count)
    if offset < 0 or offset + sum(length for _, length in vector) >= 1 << 63:
        raise LinuxError(EINVAL)  # rw_verify_area
    return vector


async def _transfer(task: Task, file: FileDescription, writes: bool, vector: Vector, offset: int, flags: int) -> int:
    """The result for the event.  What blocks, blocks the submission, as Linux's pipes and sockets do."""
    from syscalls.calls.io import readv_vector, write_data, writev_vector
    from syscalls.calls.preadv import preadv_now, pwritev_now
    from syscalls.rw_flags import RWF_APPEND, RWF_DSYNC, RWF_NOAPPEND, RWF_NOWAIT, RWF_SYNC
    kept = file.flags
    # The request's own status flags hold for it only: objects look at the description's.
    if flags & RWF_APPEND:
        file.flags |= O_APPEND
    if flags & RWF_NOAPPEND:
        file.flags &= ~O_APPEND
    if flags & RWF_NOWAIT:
        file.flags |= O_NONBLOCK
    result: Result
    try:
        if file.seekable:
            result = (pwritev_now if writes else preadv_now)(task, file, vector, offset)
            if result and writes and flags & (RWF_SYNC | RWF_DSYNC):
                file.sync(task, not flags & RWF_SYNC)
        elif any(length for _, length in vector):
            result = (writev_vector if writes else readv_vector)(task, file, vector)
        else:
            # The file itself is asked even for nothing (aio_read calls read_iter).
            if writes and file.kind == "socket":
                result = write_data(task, file, b"")
                return result if isinstance(result, int) else await result
            if writes:
                file.check_write(0)
            elif file.record_size > 1:
                raise LinuxError(EINVAL)
            result = 0
    except (LinuxError, HostError) as error:
        return -error.errno
    finally:
        file.flags = kept
    try:
        return result if isinstance(result, int) else await result
    except (LinuxError, HostError) as error:
        return -error.errno
    except Interrupted:
        return -EINTR  # a request is not restarted (aio_complete_rw)


@syscall(210)
def io_cancel(task: Task, number: Addr, request: In[AioRequest], event: Out[AioEvents]) -> int:
    from syscalls.abi.errno import EINPROGRESS
    if task.mem.u32(request + 8):
        raise LinuxError(EINVAL)
    context = _context(task, number)
    waiting = next((poll for poll in context.polls if poll.address == request), None)
    if waiting is None:
        raise LinuxError(EINVAL)
    notify, waiting.notify_file = waiting.notify_file, None
    waiting.stop()
    # As since Linux 4.19: the event comes by io_getevents.
    context.finish(waiting.data, request, 0, notify)
    raise LinuxError(EINPROGRESS)


async def _getevents(task: Task, number: int, least: int, most: int, events: int, delay: int | None) -> int:
    from syscalls.abi.time import deadline_after
    deadline = None if delay is None else deadline_after(task.kernel.clock.monotonic(), delay)
    context = _context(task, number)
    if least > most or least < 0:
        raise LinuxError(EINVAL)
    context.reaped()
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
        context.take(taken)
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
