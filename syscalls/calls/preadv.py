"""Vectors at a position, and with flags of their own: preadv, pwritev, preadv2, pwritev2 (fs/read_write.c)."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EOPNOTSUPP, ESPIPE, LinuxError
from syscalls.abi.fs import IN_MODIFY
from syscalls.calls.io import (
    CHUNK,
    O_APPEND,
    READS,
    WRITES,
    check_end,
    check_position,
    each,
    input_file,
    output_file,
    positioned,
    pread_now,
    pwrite_now,
    readv_now,
    readv_vector,
    write_now,
    writev_vector,
)
from syscalls.rw_flags import RWF_APPEND, RWF_DSYNC, RWF_NOAPPEND, RWF_NOSIGNAL, RWF_NOWAIT, RWF_SYNC, check_rw_flags
from syscalls.table import PARTIAL, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

    from syscalls.abi.kinds import IoVec, RwFlags
    from syscalls.calls.io import Result, Vector
    from syscalls.fd import FileDescription
    from syscalls.table import S64, U32, Fd, Flags, In
    from syscalls.task import Task


def _preadv(task: Task, fd: int, vec: int, vlen: int, pos: int) -> int:
    file = positioned(task, fd, pos, READS)
    vector = task.mem.iovec(vec, vlen)
    check_end(pos, sum(length for _, length in vector))
    return preadv_now(task, file, vector, pos)


def preadv_now(task: Task, file: FileDescription, vector: Vector, pos: int) -> int:
    at = pos

    def move(addr: int, length: int) -> int:
        nonlocal at
        got = pread_now(task, file, addr, length, at)
        at += got
        return got

    return each(vector, move)


def _pwritev(task: Task, fd: int, vec: int, vlen: int, pos: int) -> int:
    file = positioned(task, fd, pos, WRITES)
    vector = task.mem.iovec(vec, vlen)
    check_end(pos, sum(length for _, length in vector))
    return pwritev_now(task, file, vector, pos)


def pwritev_now(task: Task, file: FileDescription, vector: Vector, pos: int) -> int:
    total = sum(length for _, length in vector)
    if total <= CHUNK:
        try:
            data = bytes(total) if file.ignores_input else task.mem.gather(vector)
        except LinuxError:
            file.unreadable_at(task, total, pos)
            raise
        done = file.pwrite(task, data, pos) if data else 0
        if done and file.fsnotify is not None and file.fsnotify.notifier is not None:
            file.happened(IN_MODIFY)
        return done
    at = pos

    def move(addr: int, length: int) -> int:
        nonlocal at
        got = pwrite_now(task, file, addr, length, at)
        at += got
        return got

    return each(vector, move)


@syscall(295, since="2.6.30", needs=("files.positioned-io",))
def preadv(task: Task, fd: Fd, vec: In[IoVec], vlen: U32, pos: S64) -> int:
    return _preadv(task, fd, vec, vlen, pos)


@syscall(296, since="2.6.30", needs=("files.positioned-io", "files.append"))
def pwritev(task: Task, fd: Fd, vec: In[IoVec], vlen: U32, pos: S64) -> int:
    return _pwritev(task, fd, vec, vlen, pos)


@syscall(327, since="4.6", needs=("files.positioned-io",))
def preadv2(task: Task, fd: Fd, vec: In[IoVec], vlen: U32, pos: S64, pos_high: S64, flags: Flags[RwFlags]) -> Result:
    if pos != -1:
        if pos < 0:
            raise LinuxError(EINVAL)
        file = task.files.get(fd)
        check_position(file)
        total = sum(length for _, length in task.mem.iovec(vec, vlen)) if file.readable else 0
        if total:
            check_end(pos, total)
            check_rw_flags(file, flags, file.reads_vectors)
        return _preadv(task, fd, vec, vlen, pos)
    file = input_file(task, fd)
    if not file.can_read:
        raise LinuxError(EINVAL)
    vector = task.mem.iovec(vec, vlen)
    if not any(length for _, length in vector):
        return 0
    check_rw_flags(file, flags, file.reads_vectors)
    if flags & RWF_NOWAIT:
        return readv_now(task, file, vector)
    return readv_vector(task, file, vector)


@syscall(328, since="4.6", support=PARTIAL("RWF_ATOMIC is refused for every file, as for file systems without it"),
         needs=("files.positioned-io", "files.append"), unsupported={"RWF_ATOMIC": 0x40})
def pwritev2(task: Task, fd: Fd, vec: In[IoVec], vlen: U32, pos: S64, pos_high: S64, flags: Flags[RwFlags]) -> Result:
    if pos != -1:
        if pos < 0:
            raise LinuxError(EINVAL)
        file = task.files.get(fd)
        check_position(file)
        if not file.has_pwrite:
            raise LinuxError(ESPIPE)
    file = output_file(task, fd)
    if not file.can_write:
        raise LinuxError(EINVAL)
    total = sum(length for _, length in task.mem.iovec(vec, vlen))
    if total:
        check_end(pos, total)
        check_rw_flags(file, flags, file.writes_vectors)
        if flags & RWF_NOWAIT and not file.writes_nowait:
            raise LinuxError(EOPNOTSUPP)
    if flags & RWF_NOSIGNAL:
        task.no_sigpipe = True
    kept = file.flags
    # The call's own status flags hold for this call only: objects look at the description's.
    if flags & RWF_APPEND:
        file.flags |= O_APPEND
    if flags & RWF_NOAPPEND:
        file.flags &= ~O_APPEND
    try:
        if pos != -1:
            result: Result = _pwritev(task, fd, vec, vlen, pos)
        elif flags & RWF_NOWAIT:
            vector = task.mem.iovec(vec, vlen)
            result = write_now(task, file, task.mem.gather(vector)) if vector else 0
        else:
            result = writev_vector(task, file, task.mem.iovec(vec, vlen))
    finally:
        file.flags = kept
        task.no_sigpipe = False
    if flags & RWF_NOSIGNAL and not isinstance(result, int):
        return _silent(task, result)
    if flags & (RWF_SYNC | RWF_DSYNC) and isinstance(result, int) and result and _is_regular(file):
        file.sync(task, not flags & RWF_SYNC)
    return result


async def _silent(task: Task, work: Awaitable[int]) -> int:
    task.no_sigpipe = True
    try:
        return await work
    finally:
        task.no_sigpipe = False


def _is_regular(file: FileDescription) -> bool:
    return file.inode is not None and file.inode.mode & 0o170000 == 0o100000
