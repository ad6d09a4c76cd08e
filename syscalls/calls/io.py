"""read, write and their relatives, and lseek (fs/read_write.c).

One look first, without a coroutine: most calls need not sleep.  Only a call that would (EAGAIN on a blocking
description, or a stream that took part of a write) returns the coroutine that goes on.  A partial count wins over
an error that comes after it.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EBADF, EFAULT, EINVAL, EMSGSIZE, EPIPE, ESPIPE, LinuxError
from syscalls.abi.fs import IN_ACCESS, IN_MODIFY
from syscalls.fd import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM
from syscalls.table import syscall
from syscalls.usermem import MAX_RW_COUNT
from syscalls.wait import RESTART_NEVER, RESTART_SYS, Interrupted, retry, sleep_on
from translator.hosts.base import HostError
from translator.machine import TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from syscalls.abi.kinds import IoVec
    from syscalls.fd import FileDescription
    from syscalls.table import S64, U32, Buf, Fd, In, OutBuf, Size
    from syscalls.task import Task

    Result = int | Coroutine[Any, Any, int]
    Vector = list[tuple[int, int]]

TO_READ = POLLIN | POLLRDNORM | POLLERR | POLLHUP | POLLRDHUP
TO_WRITE = POLLOUT | POLLWRNORM | POLLERR | POLLHUP
PAGE = 4096
CHUNK = 4 << 20
"""The most bytes that one object operation moves."""
WINDOW = 256 << 10
"""The most bytes of a large write that are offered to a stream at a time, once it was full."""
SEND_BUFFER = 212992
"""net.core.wmem_default."""
O_NONBLOCK, O_APPEND = 0o4000, 0o2000
ACCESS_BITS = 0o10000003
"""The access mode and O_PATH, which gives no access at all."""


# --- descriptions to read and to write

def input_file(task: Task, fd: int) -> FileDescription:
    file = task.files.files.get(fd)
    if file is None or file.flags & ACCESS_BITS not in (0, 2):
        raise LinuxError(EBADF)
    return file


def output_file(task: Task, fd: int) -> FileDescription:
    file = task.files.files.get(fd)
    if file is None or file.flags & ACCESS_BITS not in (1, 2):
        raise LinuxError(EBADF)
    return file


def broken_pipe(task: Task) -> None:
    """EPIPE of a stream: SIGPIPE to the writing thread."""
    from syscalls.signals import broken_pipe
    broken_pipe(task)


# --- reading

def read_now(task: Task, file: FileDescription, addr: int, count: int) -> int:
    """Read into guest memory without sleeping.  EAGAIN, EFAULT and the file's own errors."""
    if count > CHUNK:
        return _read_large(task, file, addr, count)
    data = file.read(task, count)
    if data:
        if file.fsnotify is not None and file.fsnotify.notifier is not None:
            file.happened(IN_ACCESS)
        try:
            task.mem.write(addr, data)
        except LinuxError:
            return _keep_prefix(task, file, addr, data)
    return len(data)


def _keep_prefix(task: Task, file: FileDescription, addr: int, data: bytes) -> int:
    """The buffer ends inside `data`: fill what there is and give the rest back."""
    good = task.mem.writable(addr, len(data))
    task.mem.write(addr, data[:good])
    return _whole_records(file, data, good)


def _whole_records(file: FileDescription, data: bytes, done: int) -> int:
    """Only `done` bytes could be copied: how many of them count.  EFAULT for none."""
    done -= done % (PAGE if file.stream else file.record_size)
    file.unread(data[done:])
    if not done:
        raise LinuxError(EFAULT)
    return done


def _read_large(task: Task, file: FileDescription, addr: int, count: int) -> int:
    done = 0
    while done < count:
        step = min(CHUNK, count - done)
        try:
            got = read_now(task, file, addr + done, step)
        except (LinuxError, HostError):
            if done:
                break
            raise
        done += got
        if got < step or not file.seekable:
            break
    return done


def readv_now(task: Task, file: FileDescription, vector: Vector) -> int:
    total = sum(length for _, length in vector)
    if total <= CHUNK:
        data = file.read(task, total)
        if data and file.fsnotify is not None and file.fsnotify.notifier is not None:
            file.happened(IN_ACCESS)
        try:
            done = task.mem.scatter(vector, data)
        except LinuxError:
            file.unread(data)
            raise
        return done if done == len(data) else _whole_records(file, data, done)
    return each(vector, lambda addr, length: read_now(task, file, addr, length))


def each(vector: Vector, move: Callable[[int, int], int]) -> int:
    """Move the parts of a vector one after the other, until one comes out short."""
    done = 0
    for addr, length in vector:
        if not length:
            continue
        try:
            got = move(addr, length)
        except (LinuxError, HostError):
            if done:
                break
            raise
        done += got
        if got < length:
            break
    return done


def _later(task: Task, file: FileDescription, error: LinuxError | HostError, attempt: Callable[[], int]) -> Result:
    """A first attempt to read failed: sleep and try again where that helps."""
    if error.errno != EAGAIN or file.flags & O_NONBLOCK:
        raise error
    timeout = file.read_timeout_ns
    if timeout is None:
        return retry(task, file.queue, TO_READ, attempt, tried=True)
    return retry(task, file.queue, TO_READ, attempt, deadline_ns=task.kernel.clock.monotonic() + timeout,
                 restart=RESTART_NEVER, tried=True)


def _read_part(task: Task, file: FileDescription, addr: int, length: int) -> Result:
    try:
        return read_now(task, file, addr, length)
    except (LinuxError, HostError) as error:
        return _later(task, file, error, lambda: read_now(task, file, addr, length))


async def _parts(vector: Vector, move: Callable[[int, int], Result]) -> int:
    """do_loop_readv_writev: each part is a read or write of its own, those without bytes too as long as others
    follow; until one comes out short."""
    left = sum(length for _, length in vector)
    done = 0
    try:
        for addr, length in vector:
            if not left:
                break
            got = move(addr, length)
            if not isinstance(got, int):
                got = await got
            done += got
            left -= got
            if got < length:
                break
    except (LinuxError, HostError, Interrupted):
        if not done:
            raise
    return done


READING = ("files.positioned-io", "streams.nonblocking", "sockets.inet", "poll.readiness", "terminal.raw")
WRITING = (*READING, "files.append")


@syscall(0, needs=READING)
def read(task: Task, fd: Fd, buf: OutBuf, count: Size) -> Result:
    file = input_file(task, fd)
    if buf + count > TASK_SIZE:
        raise LinuxError(EFAULT if file.can_read else EINVAL)
    count = min(count, MAX_RW_COUNT)
    try:
        return read_now(task, file, buf, count)
    except (LinuxError, HostError) as error:
        return _later(task, file, error, lambda: read_now(task, file, buf, count))


@syscall(19, needs=READING)
def readv(task: Task, fd: Fd, vec: In[IoVec], vlen: U32) -> Result:
    file = input_file(task, fd)
    if not file.can_read:
        raise LinuxError(EINVAL)
    vector = task.mem.iovec(vec, vlen)
    return readv_vector(task, file, vector)


def readv_vector(task: Task, file: FileDescription, vector: Vector) -> Result:
    if not any(length for _, length in vector):
        return 0
    if not file.reads_vectors:
        return _parts(vector, lambda addr, length: _read_part(task, file, addr, length))
    try:
        return readv_now(task, file, vector)
    except (LinuxError, HostError) as error:
        return _later(task, file, error, lambda: readv_now(task, file, vector))


# --- writing

def write_now(task: Task, file: FileDescription, data: bytes) -> int:
    """Write without sleeping; SIGPIPE goes out with EPIPE."""
    try:
        done = file.write(task, data)
        if done and file.fsnotify is not None and file.fsnotify.notifier is not None:
            file.happened(IN_MODIFY)
        return done
    except (LinuxError, HostError) as error:
        # Sockets that are no streams fail without a signal.
        if error.errno == EPIPE and file.stream:
            broken_pipe(task)
        raise


async def write_rest(task: Task, file: FileDescription, data: bytes, done: int) -> int:
    """A blocking write of which `done` bytes are written: sleep and go on until all are, a signal or an error comes
    or the time is up (then what is written counts)."""
    timeout = file.write_timeout_ns
    deadline = None if timeout is None else task.kernel.clock.monotonic() + timeout
    restart = RESTART_SYS if timeout is None else RESTART_NEVER
    try:
        while True:
            if not await sleep_on(task, [(file.queue, TO_WRITE)], deadline, restart=restart):
                raise LinuxError(EAGAIN)
            try:
                while True:
                    done += write_now(task, file, data[done:done + WINDOW] if len(data) > WINDOW or done else data)
                    if done >= len(data) or not file.stream:
                        return done
            except (LinuxError, HostError) as error:
                if error.errno != EAGAIN or file.flags & O_NONBLOCK:
                    raise
    except (LinuxError, HostError, Interrupted):
        if done:
            return done
        raise


def write_data(task: Task, file: FileDescription, data: bytes) -> Result:
    """write(2) of bytes that were copied from the guest."""
    try:
        done = write_now(task, file, data)
    except (LinuxError, HostError) as error:
        if error.errno != EAGAIN or file.flags & O_NONBLOCK:
            raise
        done = 0
    else:
        if done >= len(data) or not file.stream or file.flags & O_NONBLOCK:
            return done
    return write_rest(task, file, data, done)


@syscall(1, needs=WRITING)
def write(task: Task, fd: Fd, buf: Buf, count: Size) -> Result:
    file = output_file(task, fd)
    if not file.can_write:
        raise LinuxError(EINVAL)
    if buf + count > TASK_SIZE:
        raise LinuxError(EFAULT)
    if count > CHUNK and file.seekable:
        return _write_large(task, file, buf, min(count, MAX_RW_COUNT))
    count = min(count, MAX_RW_COUNT)
    file.check_write(count)
    # A stream takes a large write in one piece: its writer sleeps in between, over the same copy.
    try:
        data = _input(task, file, buf, count) if count else b""
        if len(data) != count:
            return _write_good(task, file, data, count)
    except LinuxError as error:
        return _not_yet(task, file, error, _write_again, buf, count)
    return write_data(task, file, data)


def _write_again(task: Task, file: FileDescription, buf: int, count: int) -> Result:
    data = _input(task, file, buf, count)
    return write_data(task, file, data) if len(data) == count else _write_good(task, file, data, count)


def _write_good(task: Task, file: FileDescription, data: bytes, total: int) -> Result:
    """The buffer was bad after `data`.  A pipe that is full by then finds that out once there is room again."""
    data = _whole_pages(task, file, data, total)
    done = write_data(task, file, data)
    if file.kind != "pipe" or file.flags & O_NONBLOCK or (isinstance(done, int) and file.ready(POLLOUT)):
        return done
    return _until_room(task, file, done, len(data))


async def _until_room(task: Task, file: FileDescription, result: Result, total: int) -> int:
    done = result if isinstance(result, int) else await result
    try:
        while done == total and not file.ready(TO_WRITE):
            await sleep_on(task, [(file.queue, TO_WRITE)])
    except Interrupted:
        pass
    return done


def _not_yet(task: Task, file: FileDescription, error: LinuxError, attempt: Callable[..., Result],
             *args: Any) -> Result:
    """The data is bad.  Where a blocking write looks for room first, it sleeps until there is some."""
    if error.errno != EAGAIN or file.flags & O_NONBLOCK:
        raise error
    return _when_room(task, file, attempt, *args)


async def _when_room(task: Task, file: FileDescription, attempt: Callable[..., Result], *args: Any) -> int:
    while True:
        await sleep_on(task, [(file.queue, TO_WRITE)])
        try:
            got = attempt(task, file, *args)
        except LinuxError as error:
            if error.errno != EAGAIN or file.flags & O_NONBLOCK:
                raise
        else:
            return got if isinstance(got, int) else await got


def _write_part(task: Task, file: FileDescription, addr: int, length: int) -> Result:
    file.check_write(length)
    return write_data(task, file, bytes(length) if file.ignores_input else task.mem.read(addr, length))


def _input(task: Task, file: FileDescription, addr: int, count: int) -> bytes:
    if file.ignores_input:
        return bytes(count)
    try:
        return task.mem.input(addr, count)
    except LinuxError:
        file.unreadable_data(task, count)
        raise


def _whole_pages(task: Task, file: FileDescription, data: bytes, total: int) -> bytes:
    """The buffer was bad after `data`.  Pipes and sockets copy a page or nothing of it (pipe_write); files take what
    there is."""
    if not file.stream:
        if file.kind == "socket":
            # A datagram goes as a whole, and its size is looked at first.
            file.unreadable_data(task, total)
            raise LinuxError(EMSGSIZE if total > SEND_BUFFER else EFAULT)
        return data
    kept = data[:len(data) & ~4095]
    if not kept:
        file.unreadable_data(task, total)
        raise LinuxError(EFAULT)
    return kept


def _write_large(task: Task, file: FileDescription, addr: int, count: int) -> int:
    done = 0
    while done < count:
        step = min(CHUNK, count - done)
        try:
            got = write_now(task, file, _input(task, file, addr + done, step))
        except (LinuxError, HostError):
            if done:
                break
            raise
        done += got
        if got < step:
            break
    return done


@syscall(20, needs=WRITING)
def writev(task: Task, fd: Fd, vec: In[IoVec], vlen: U32) -> Result:
    file = output_file(task, fd)
    if not file.can_write:
        raise LinuxError(EINVAL)
    vector = task.mem.iovec(vec, vlen)
    return writev_vector(task, file, vector)


def writev_vector(task: Task, file: FileDescription, vector: Vector) -> Result:
    total = sum(length for _, length in vector)
    if not total:
        return 0
    if not file.writes_vectors:
        return _parts(vector, lambda addr, length: _write_part(task, file, addr, length))
    if file.seekable and total > CHUNK:
        return each(vector, lambda addr, length: _write_large(task, file, addr, length))
    try:
        return _writev_again(task, file, vector, total)
    except LinuxError as error:
        return _not_yet(task, file, error, _writev_again, vector, total)


def _writev_again(task: Task, file: FileDescription, vector: Vector, total: int) -> Result:
    try:
        data = bytes(min(total, MAX_RW_COUNT)) if file.ignores_input else task.mem.gather(vector)
    except LinuxError:
        file.unreadable_data(task, total)
        raise
    return write_data(task, file, data) if len(data) == total else _write_good(task, file, data, total)


# --- at a position

def check_position(file: FileDescription) -> None:
    if not file.seekable:
        raise LinuxError(EINVAL if file.takes_positions else ESPIPE)


def check_end(pos: int, count: int) -> None:
    """rw_verify_area: a transfer may not go past the largest position."""
    if pos + count >= 1 << 63:
        raise LinuxError(EINVAL)


def pread_now(task: Task, file: FileDescription, addr: int, count: int, offset: int) -> int:
    done = 0
    while True:
        step = min(CHUNK, count - done)
        try:
            data = file.pread(task, step, offset + done)
            if data:
                if file.fsnotify is not None and file.fsnotify.notifier is not None:
                    file.happened(IN_ACCESS)
                try:
                    task.mem.write(addr + done, data)
                except LinuxError:
                    good = task.mem.writable(addr + done, len(data))
                    task.mem.write(addr + done, data[:good])
                    if done + good:
                        return done + good
                    raise
        except (LinuxError, HostError):
            if done:
                return done
            raise
        done += len(data)
        if done >= count or len(data) < step:
            return done


def input_at(task: Task, file: FileDescription, addr: int, count: int, offset: int) -> bytes:
    if file.ignores_input:
        return bytes(count)
    try:
        return task.mem.input(addr, count)
    except LinuxError:
        file.unreadable_at(task, count, offset)
        raise


def pwrite_now(task: Task, file: FileDescription, addr: int, count: int, offset: int) -> int:
    done = 0
    while True:
        step = min(CHUNK, count - done)
        try:
            data = input_at(task, file, addr + done, step, offset + done) if step else b""
            got = file.pwrite(task, data, offset + done)
            if got and file.fsnotify is not None and file.fsnotify.notifier is not None:
                file.happened(IN_MODIFY)
        except (LinuxError, HostError):
            if done:
                return done
            raise
        done += got
        if done >= count or got < step:
            return done


READS, WRITES = (0, 2), (1, 2)
"""Access modes that allow it."""


def positioned(task: Task, fd: int, pos: int, modes: tuple[int, int]) -> FileDescription:
    """The file of a call at a position, open with one of these access modes.  EINVAL, EBADF, ESPIPE."""
    if pos < 0:
        raise LinuxError(EINVAL)
    file = task.files.get(fd)
    check_position(file)
    if modes is WRITES and not file.has_pwrite:
        raise LinuxError(ESPIPE)
    if file.flags & 3 not in modes:
        raise LinuxError(EBADF)
    return file


@syscall(17, needs=("files.positioned-io",))
def pread64(task: Task, fd: Fd, buf: OutBuf, count: Size, pos: S64) -> int:
    file = positioned(task, fd, pos, READS)
    if not file.can_read:
        raise LinuxError(EINVAL)
    if buf + count > TASK_SIZE:
        raise LinuxError(EFAULT)
    check_end(pos, count)
    return pread_now(task, file, buf, min(count, MAX_RW_COUNT), pos)


@syscall(18, needs=("files.positioned-io", "files.append"))
def pwrite64(task: Task, fd: Fd, buf: Buf, count: Size, pos: S64) -> int:
    file = positioned(task, fd, pos, WRITES)
    if not file.can_write:
        raise LinuxError(EINVAL)
    if buf + count > TASK_SIZE:
        raise LinuxError(EFAULT)
    check_end(pos, count)
    return pwrite_now(task, file, buf, min(count, MAX_RW_COUNT), pos)
