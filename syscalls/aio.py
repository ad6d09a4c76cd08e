"""Linux asynchronous I/O (fs/aio.c): io_setup and relatives.

Requests are served when they are submitted, as Linux itself serves most of them: only the events wait to be fetched.
IOCB_CMD_POLL waits in the polled object's queue.
"""

from __future__ import annotations

from collections import deque
from struct import Struct

from syscalls.abi.errno import EAGAIN, EBADF, EINVAL, LinuxError
from syscalls.fd import POLLERR, POLLHUP
from syscalls.ioprio import check_priority
from syscalls.rw_flags import check_rw_flags
from syscalls.usermem import MAX_RW_COUNT
from syscalls.wait import Waiter, WaitQueue
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.eventfd import EventFd
    from syscalls.fd import FileDescription
    from syscalls.task import Task

IOCB = Struct("<QIIHhIQQqQII")
"""struct iocb: data, key, rw_flags, opcode, reqprio, fildes, buf, nbytes, offset, reserved2, flags, resfd."""
EVENT = Struct("<QQqq")
"""struct io_event: data, obj, res, res2."""
PREAD, PWRITE, FSYNC, FDSYNC, POLL, NOOP, PREADV, PWRITEV = 0, 1, 2, 3, 5, 6, 7, 8
IOCB_FLAG_RESFD, IOCB_FLAG_IOPRIO = 1, 2
KIOCB_KEY = 0


class AioContext:
    """One io_setup(2): finished events, in order.  `size`: how many requests may be under way or unfetched."""

    __slots__ = ("address", "events", "polls", "queue", "size")

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.size = size
        self.events: deque[bytes] = deque()
        self.polls: dict[int, PollRequest] = {}
        """By address of the iocb."""
        self.queue = WaitQueue()

    def submit(self, task: Task, address: int) -> None:
        """One request.  EAGAIN when the context is full; EINVAL, EBADF for what cannot be started.  How the
        operation itself ended is in its event."""
        data, _, flags, opcode, priority, fd, buf, count, offset, reserved, iocb_flags, resfd = IOCB.unpack(
            task.mem.read(address, IOCB.size))
        if reserved or count >= 1 << 63:
            raise LinuxError(EINVAL)
        if len(self.events) + len(self.polls) >= self.size:
            raise LinuxError(EAGAIN)
        file = task.files.get(fd)
        notify = _eventfd(task, resfd) if iocb_flags & IOCB_FLAG_RESFD else None
        try:
            task.mem.put_u32(address + 8, KIOCB_KEY)
            if opcode == POLL:
                if count or offset or flags or buf > 0xFFFF:
                    raise LinuxError(EINVAL)
            elif opcode in (FSYNC, FDSYNC):
                if buf or count or offset or flags:
                    raise LinuxError(EINVAL)
            elif opcode in TRANSFERS:
                if iocb_flags & IOCB_FLAG_IOPRIO:
                    check_priority(task, priority)
                _check_transfer(task, file, opcode, flags, buf, count, offset)
            else:
                raise LinuxError(EINVAL)
        except LinuxError:
            if notify is not None:
                notify.release()
            raise
        if opcode == POLL:
            request = PollRequest(self, file, int(buf) | POLLERR | POLLHUP, data, address, notify)
            self.polls[address] = request
            request.start()
            return
        try:
            result = OPERATIONS[opcode](task, file, buf, count, offset)
        except (LinuxError, HostError) as error:
            if error.errno == EINVAL and opcode in (FSYNC, FDSYNC):
                # Nothing there to write back: refused at the submission, too.
                if notify is not None:
                    notify.release()
                raise
            result = -error.errno
        self.finish(data, address, result, notify)

    def finish(self, data: int, address: int, result: int, notify: EventFd | None) -> None:
        self.events.append(EVENT.pack(data, address, result, 0))
        self.queue.wake()
        if notify is not None:
            notify.signal()
            notify.release()

    def cancel_all(self) -> None:
        for request in list(self.polls.values()):
            request.stop()


class PollRequest(Waiter):
    """IOCB_CMD_POLL: finishes once, when one of its events holds."""

    __slots__ = ("address", "context", "data", "file", "mask", "notify_file")

    def __init__(self, context: AioContext, file: FileDescription, mask: int, data: int, address: int,
                 notify_file: EventFd | None) -> None:
        self.context = context
        self.file = file.retain()
        self.mask = mask
        self.data = data
        self.address = address
        self.notify_file = notify_file

    def start(self) -> None:
        self.file.queue.add(self, self.mask)
        self.notify(0)

    def notify(self, mask: int) -> bool:
        # A wake that says what happened is reported as it is (aio_poll_wake).
        bits = mask if mask > 0 else self.file.ready(self.mask) & self.mask
        if bits:
            notify_file, self.notify_file = self.notify_file, None
            self.stop()
            self.context.finish(self.data, self.address, bits, notify_file)
        return False

    def stop(self) -> None:
        if self.context.polls.pop(self.address, None) is not None:
            self.file.queue.remove(self)
            self.file.release()
            if self.notify_file is not None:
                self.notify_file.release()


def _check_transfer(task: Task, file: FileDescription, opcode: int, flags: int, buf: int, count: int,
                    offset: int) -> None:
    """aio_prep_rw, aio_read and aio_write up to the operation: what is refused at the submission."""
    check_rw_flags(file, flags)
    writes = opcode in (PWRITE, PWRITEV)
    if not (file.writable if writes else file.readable):
        raise LinuxError(EBADF)
    if not (file.can_write and file.writes_vectors if writes else file.can_read and file.reads_vectors):
        raise LinuxError(EINVAL)
    if opcode in (PREAD, PWRITE):
        length = min(count, MAX_RW_COUNT)
        task.mem.check_range(buf, length)
    else:
        length = sum(part for _, part in task.mem.iovec(buf, count))
    if offset < 0 or offset + length >= 1 << 63:
        raise LinuxError(EINVAL)  # rw_verify_area


def _eventfd(task: Task, fd: int) -> EventFd:
    from syscalls.eventfd import EventFd as Kind
    file = task.files.get(fd)
    if not isinstance(file, Kind):
        raise LinuxError(EINVAL)
    file.retain()
    return file


def _pread(task: Task, file: FileDescription, buf: int, count: int, offset: int) -> int:
    data = file.pread(task, count, offset) if file.seekable else file.read(task, count)
    task.mem.write(buf, data)
    return len(data)


def _pwrite(task: Task, file: FileDescription, buf: int, count: int, offset: int) -> int:
    data = task.mem.input(buf, count)
    return file.pwrite(task, data, offset) if file.seekable else file.write(task, data)


def _preadv(task: Task, file: FileDescription, buf: int, count: int, offset: int) -> int:
    vector = task.mem.iovec(buf, count)
    total = sum(length for _, length in vector)
    data = file.pread(task, total, offset) if file.seekable else file.read(task, total)
    return task.mem.scatter(vector, data)


def _pwritev(task: Task, file: FileDescription, buf: int, count: int, offset: int) -> int:
    data = task.mem.gather(task.mem.iovec(buf, count))
    return file.pwrite(task, data, offset) if file.seekable else file.write(task, data)


def _fsync(task: Task, file: FileDescription, buf: int, count: int, offset: int) -> int:
    file.sync(task, False)
    return 0


def _fdsync(task: Task, file: FileDescription, buf: int, count: int, offset: int) -> int:
    file.sync(task, True)
    return 0


TRANSFERS = (PREAD, PWRITE, PREADV, PWRITEV)
OPERATIONS = {PREAD: _pread, PWRITE: _pwrite, PREADV: _preadv, PWRITEV: _pwritev, FSYNC: _fsync, FDSYNC: _fdsync}
