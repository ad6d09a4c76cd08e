"""Moving data between descriptors inside the kernel: sendfile, splice, tee, vmsplice, copy_file_range (fs/splice.c).

A pipe's bytes are looked at, offered to the other side, and taken only as far as that accepted them, so nothing is
lost when the other side is full or fails.
"""

from __future__ import annotations

from syscalls.abi.errno import (
    EAGAIN,
    EBADF,
    EFAULT,
    EFBIG,
    EINVAL,
    EISDIR,
    EOVERFLOW,
    EPIPE,
    ESPIPE,
    EXDEV,
    LinuxError,
)
from syscalls.abi.fs import IN_ACCESS, IN_MODIFY, OFFSET_MAX
from syscalls.calls.io import CHUNK, TO_READ, TO_WRITE, broken_pipe, check_end, input_file, output_file, write_now
from syscalls.fd import O_APPEND, O_NONBLOCK
from syscalls.fs.anon import AnonymousFile
from syscalls.fs.inode import S_IFDIR, S_IFMT, S_IFREG
from syscalls.fs.regular import within_limit
from syscalls.table import PARTIAL, syscall
from syscalls.usermem import MAX_RW_COUNT
from syscalls.wait import Interrupted, sleep_on
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import IoVec, S64Value, SpliceFlags
    from syscalls.fd import FileDescription
    from syscalls.pipe import Pipe
    from syscalls.table import U32, Fd, Flags, In, InOut, Size
    from syscalls.task import Task

PAGE = 4096
SPLICE_F_NONBLOCK = 2
SPLICE_F_ALL = 15
S64_MAX = (1 << 63) - 1


def _pipe_of(file: FileDescription) -> Pipe | None:
    return getattr(file, "pipe", None)


def _offset(task: Task, addr: int) -> int | None:
    if not addr:
        return None
    word = task.mem.u64(addr)
    return (word ^ 1 << 63) - (1 << 63)


async def _wait_readable(task: Task, pipe: Pipe, nonblock: bool) -> bool:
    """Until there is data; False at the end of the file."""
    while not pipe.size:
        if not pipe.writers:
            return False
        if nonblock:
            raise LinuxError(EAGAIN)
        await sleep_on(task, [(pipe.queue, TO_READ)])
    return True


async def _wait_room(task: Task, pipe: Pipe, nonblock: bool) -> None:
    """Until a slot is free (wait_for_space).  EPIPE with its signal."""
    while True:
        if not pipe.readers:
            broken_pipe(task)
            raise LinuxError(EPIPE)
        if not pipe.full():
            return
        if nonblock:
            raise LinuxError(EAGAIN)
        await sleep_on(task, [(pipe.queue, TO_WRITE)])


async def _write(task: Task, file: FileDescription, data: bytes, offset: int | None) -> int:
    """Write what the object takes, at least a byte; sleeps only as long as it takes nothing."""
    while True:
        try:
            if offset is None:
                return write_now(task, file, data)
            done = file.pwrite(task, data, offset)
            if done:
                file.happened(IN_MODIFY)
            return done
        except (LinuxError, HostError) as error:
            if error.errno != EAGAIN or file.flags & O_NONBLOCK:
                raise
        await sleep_on(task, [(file.queue, TO_WRITE)])


async def _read(task: Task, file: FileDescription, length: int, offset: int | None, nonblock: bool) -> bytes:
    while True:
        try:
            data = file.pread(task, length, offset) if offset is not None else file.read(task, length)
            if data:
                file.happened(IN_ACCESS)
            return data
        except (LinuxError, HostError) as error:
            if error.errno != EAGAIN or nonblock or file.flags & O_NONBLOCK:
                raise
        await sleep_on(task, [(file.queue, TO_READ)])


def _check_spliceable(file: FileDescription) -> None:
    """EINVAL for what has no splice operation: directories, eventfd, epoll, timerfd, ..."""
    if isinstance(file, AnonymousFile) or file.kind == "directory":
        raise LinuxError(EINVAL)


def _check_written_by_splice(file: FileDescription) -> None:
    """EINVAL for what has no splice_write."""
    _check_spliceable(file)
    if not file.splice_target:
        raise LinuxError(EINVAL)


def _check_readable_by_splice(file: FileDescription) -> None:
    """EINVAL for what has no splice_read, which pipes have not either."""
    _check_spliceable(file)
    if not file.splice_source or _pipe_of(file) is not None:
        raise LinuxError(EINVAL)


# --- sendfile

def _is_of_host(file: FileDescription) -> bool:
    """Whether a file may end before the largest position (s_maxbytes), as those of disks do."""
    from syscalls.fs.hostfs import HostFs
    return file.inode is not None and isinstance(file.inode.filesystem, HostFs)


@syscall(40, needs=("files.positioned-io", "sockets.inet"))
async def sendfile(task: Task, out_fd: Fd, in_fd: Fd, offset: InOut[S64Value], count: Size) -> int:
    start = _offset(task, offset)
    source = input_file(task, in_fd)
    if start is not None:
        if not source.seekable and not source.takes_positions:
            raise LinuxError(ESPIPE)
    position = source.offset if start is None else start
    if count >= 1 << 63 or position < 0 or position + count >= 1 << 63:
        raise LinuxError(EINVAL)  # rw_verify_area
    target = output_file(task, out_fd)
    if position + min(count, MAX_RW_COUNT) > OFFSET_MAX - (_is_of_host(source) or _is_of_host(target)) <= position:
        raise LinuxError(EOVERFLOW)
    count = min(count, MAX_RW_COUNT)
    pipe = _pipe_of(target)
    if pipe is not None:
        return await _file_to_pipe(task, source, pipe, count, position, offset, bool(target.flags & O_NONBLOCK))
    # splice_direct_to_actor: of what has no positions, what was read and found no room would be lost.
    if (not source.seekable and not source.noop_seek) or target.flags & O_APPEND:
        raise LinuxError(EINVAL)
    if count:
        _check_readable_by_splice(source)
    done = 0
    try:
        while done < count:
            data = source.pread(task, min(count - done, CHUNK), position)
            if not data:
                break
            source.happened(IN_ACCESS)
            _check_written_by_splice(target)
            sent = 0
            while sent < len(data):
                got = await _write(task, target, data[sent:] if sent else data, None)
                sent += got
                done += got
                position += got if source.moves else 0
                if not got or (not target.stream and target.kind != "file"):
                    break
            if sent < len(data):
                break
    except (LinuxError, HostError, Interrupted):
        if not done:
            raise
    if start is None:
        source.offset = position
    else:
        task.mem.put_u64(offset, position)
    return done


async def _file_to_pipe(task: Task, source: FileDescription, pipe: Pipe, count: int, position: int, offset: int,
                        nonblock: bool) -> int:
    """splice_file_to_pipe: what the pipe has room for, in one go.  Room comes first."""
    await _wait_room(task, pipe, nonblock)
    count = min(count, (pipe.max_slots - len(pipe.slot_ends)) * PAGE)
    done = 0
    if count:
        _check_readable_by_splice(source)
        data = await _read(task, source, count, position if source.seekable else None, nonblock)
        done = pipe.put_spliced(data)
    if offset:
        task.mem.put_u64(offset, position + done if source.moves else position)
    elif source.seekable and source.moves:
        source.offset = position + done
    return done


# --- splice

@syscall(275, since="2.6.17", needs=("files.positioned-io", "sockets.inet"))
async def splice(task: Task, fd_in: Fd, off_in: InOut[S64Value], fd_out: Fd, off_out: InOut[S64Value], length: Size,
                 flags: Flags[SpliceFlags]) -> int:
    if not length:
        return 0
    if flags & ~SPLICE_F_ALL:
        raise LinuxError(EINVAL)
    source, target = task.files.get(fd_in), task.files.get(fd_out)
    in_pipe, out_pipe = _pipe_of(source), _pipe_of(target)
    if (in_pipe is not None and off_in) or (out_pipe is not None and off_out):
        raise LinuxError(ESPIPE)
    start, end = _offset(task, off_in), _offset(task, off_out)
    input_file(task, fd_in)
    output_file(task, fd_out)
    length = min(length, MAX_RW_COUNT)
    nonblock = bool(flags & SPLICE_F_NONBLOCK)
    if in_pipe is not None and out_pipe is not None:
        if in_pipe is out_pipe:
            raise LinuxError(EINVAL)
        return await _pipe_to_pipe(task, in_pipe, out_pipe, length,
                                   nonblock or bool((source.flags | target.flags) & O_NONBLOCK), keep=False)
    if in_pipe is not None:
        _check_written_by_splice(target)
        if end is not None and (not target.seekable or end < 0):
            raise LinuxError(EINVAL)
        if target.flags & O_APPEND:
            raise LinuxError(EINVAL)
        check_end(target.offset if end is None else end, length)
        done = await _pipe_to_file(task, in_pipe, target, end, length, nonblock or bool(source.flags & O_NONBLOCK))
        if end is not None:
            task.mem.put_u64(off_out, end + done if target.moves else end)
        return done
    if out_pipe is not None:
        if start is not None and (not (source.seekable or source.takes_positions) or start < 0):
            raise LinuxError(EINVAL)
        check_end(source.offset if start is None else start, length)
        nonblock = nonblock or bool(target.flags & O_NONBLOCK)
        await _wait_room(task, out_pipe, nonblock)
        _check_readable_by_splice(source)
        room = (out_pipe.max_slots - len(out_pipe.slot_ends)) * 4096
        data = await _read(task, source, min(length, room), start, nonblock)
        done = out_pipe.put_spliced(data)
        if start is not None:
            task.mem.put_u64(off_in, start + done if source.moves else start)
        return done
    raise LinuxError(EINVAL)


async def _pipe_to_file(task: Task, pipe: Pipe, target: FileDescription, offset: int | None, length: int,
                        nonblock: bool) -> int:
    done = 0
    try:
        while done < length:
            if done and not pipe.size:
                break
            if not await _wait_readable(task, pipe, nonblock):
                break
            got = await _write(task, target, pipe.peek(min(length - done, CHUNK)),
                               None if offset is None else offset + done)
            pipe.take(got)
            done += got
    except (LinuxError, HostError, Interrupted):
        if not done:
            raise
    return done


async def _pipe_to_pipe(task: Task, source: Pipe, target: Pipe, length: int, nonblock: bool, keep: bool) -> int:
    """Move (splice) or copy (tee) what is there; sleeps until anything can be."""
    while True:
        if not await _wait_readable(task, source, nonblock):
            return 0
        await _wait_room(task, target, nonblock)
        if source.size:
            break
    done = target.put(source.peek(length))
    if not keep:
        source.take(done)
    return done


@syscall(276, since="2.6.17")
async def tee(task: Task, fd_in: Fd, fd_out: Fd, length: Size, flags: Flags[SpliceFlags]) -> int:
    if flags & ~SPLICE_F_ALL:
        raise LinuxError(EINVAL)
    if not length:
        return 0
    source, target = input_file(task, fd_in), output_file(task, fd_out)
    in_pipe, out_pipe = _pipe_of(source), _pipe_of(target)
    if in_pipe is None or out_pipe is None or in_pipe is out_pipe:
        raise LinuxError(EINVAL)
    nonblock = bool(flags & SPLICE_F_NONBLOCK or (source.flags | target.flags) & O_NONBLOCK)
    return await _pipe_to_pipe(task, in_pipe, out_pipe, min(length, MAX_RW_COUNT), nonblock, keep=True)


@syscall(278, since="2.6.17", support=PARTIAL("pages are never moved: SPLICE_F_GIFT changes nothing"),
         unsupported={"SPLICE_F_GIFT": 8})
async def vmsplice(task: Task, fd: Fd, vec: In[IoVec], count: Size, flags: U32) -> int:
    if flags & ~SPLICE_F_ALL:
        raise LinuxError(EINVAL)
    file = task.files.get(fd)
    if file.flags & 3 == 3:
        raise LinuxError(EBADF)  # neither to read nor to write
    vector = task.mem.iovec(vec, count & 0xFFFFFFFF)
    total = sum(length for _, length in vector)
    if not total:
        return 0
    pipe = _pipe_of(file)
    if pipe is None:
        raise LinuxError(EBADF)
    nonblock = bool(flags & SPLICE_F_NONBLOCK)  # O_NONBLOCK does not count
    if file.flags & 3 in (1, 2):
        await _wait_room(task, pipe, nonblock)
        return _pages_to_pipe(task, vector, pipe)
    if not await _wait_readable(task, pipe, nonblock):
        return 0
    return _pipe_to_memory(task, pipe, vector)


def _pages_to_pipe(task: Task, vector: list[tuple[int, int]], pipe: Pipe) -> int:
    """iter_to_pipe: page by page, as long as there are slots and the memory is there."""
    from syscalls.pipe import UserPages
    done = 0
    for addr, length in vector:
        end = addr + length
        while addr < end:
            step = min(end - addr, PAGE - addr % PAGE)
            if pipe.full():
                return done
            fresh = _is_untouched(task, addr)
            try:
                if not task.mm.pins(addr):
                    raise LinuxError(EFAULT)
                data = task.mem.read(addr, step)
            except LinuxError:
                if done:
                    return done
                raise
            pipe.put_pages(data if fresh and not any(data) else UserPages(task.mm, addr, data))
            done += step
            addr += step
    return done


def _is_untouched(task: Task, addr: int) -> bool:
    """Whether private memory has no page there yet: then the zero page is spliced, which later writes do not reach."""
    area = task.mm.find(addr)
    return area is not None and area.backing is None and not task.mm.space.resident(addr & -PAGE, PAGE)[0]


def _pipe_to_memory(task: Task, pipe: Pipe, vector: list[tuple[int, int]]) -> int:
    """vmsplice_to_user: slot by slot; one that does not fit as a whole is not taken, though a part of it was copied."""
    done = 0
    total = sum(length for _, length in vector)
    while done < total and pipe.size:
        part = pipe.peek(min(total - done, pipe.slot_ends[0] - pipe.head))
        try:
            copied = task.mem.scatter(_after(vector, done), part)
        except LinuxError:
            copied = 0
        if copied < len(part):
            if done:
                break
            raise LinuxError(EFAULT)
        pipe.take(copied)
        done += copied
    return done


def _after(vector: list[tuple[int, int]], skip: int) -> list[tuple[int, int]]:
    """The vector without its first bytes."""
    out = []
    for addr, length in vector:
        gone = min(skip, length)
        skip -= gone
        if length > gone:
            out.append((addr + gone, length - gone))
    return out


# --- copy_file_range

@syscall(326, since="4.5", needs=("files.positioned-io", "sockets.inet"))
def copy_file_range(task: Task, fd_in: Fd, off_in: InOut[S64Value], fd_out: Fd, off_out: InOut[S64Value], length: Size,
                    flags: U32) -> int:
    source, target = task.files.get(fd_in), task.files.get(fd_out)
    start, end = _offset(task, off_in), _offset(task, off_out)
    if flags:
        raise LinuxError(EINVAL)
    position_in = source.offset if start is None else start
    position_out = target.offset if end is None else end
    done = _copy_range(task, source, position_in, target, position_out, length)
    if start is None:
        source.offset = position_in + done
    else:
        task.mem.put_u64(off_in, position_in + done)
    if end is None:
        target.offset = position_out + done
    else:
        task.mem.put_u64(off_out, position_out + done)
    return done


def _copy_range(task: Task, source: FileDescription, position_in: int, target: FileDescription, position_out: int,
                length: int) -> int:
    """vfs_copy_file_range: its checks in its order, then the copy."""
    stat_in, stat_out = source.stat(task), target.stat(task)
    types = source.inner_type or stat_in.mode & S_IFMT, target.inner_type or stat_out.mode & S_IFMT
    if S_IFDIR in types:
        raise LinuxError(EISDIR)
    if types != (S_IFREG, S_IFREG):
        raise LinuxError(EINVAL)
    if not source.readable or not target.writable or target.flags & O_APPEND:
        raise LinuxError(EBADF)
    if source.inode is not None and target.inode is not None and source.inode.filesystem is not target.inode.filesystem:
        raise LinuxError(EXDEV)
    if any((position & (1 << 64) - 1) + length >= 1 << 64 for position in (position_in, position_out)):
        raise LinuxError(EOVERFLOW)
    length = min(length, max(0, stat_in.size - position_in), MAX_RW_COUNT)
    length = within_limit(task, position_out, length)
    same = (stat_in.dev, stat_in.ino) == (stat_out.dev, stat_out.ino)
    if same and position_in < position_out + length and position_out < position_in + length and length:
        raise LinuxError(EINVAL)
    if position_in < 0 or position_out < 0:
        raise LinuxError(EINVAL)
    done = 0
    try:
        while done < length:
            data = source.pread(task, min(length - done, CHUNK), position_in + done)
            if not data:
                break
            got = target.pwrite(task, data, position_out + done)
            source.happened(IN_ACCESS)
            target.happened(IN_MODIFY)
            done += got
            if got < len(data):
                break
    except (LinuxError, HostError) as error:
        if not done or error.errno == EFBIG:
            raise
    return done
