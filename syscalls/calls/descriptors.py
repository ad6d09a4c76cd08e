"""Descriptors: close, close_range, dup*, pipes, and positions (fs/file.c, fs/pipe.c, fs/read_write.c)."""

from __future__ import annotations

from struct import pack

from syscalls.abi.errno import EBADF, EINVAL, EMFILE, ENOPKG, LinuxError
from syscalls.fd import O_CLOEXEC, O_NONBLOCK
from syscalls.table import PARTIAL, syscall
from syscalls.task import RLIMIT_NOFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import CloseRangeFlags, Int32Pair, OpenFlags
    from syscalls.fd import FileDescription
    from syscalls.table import S64, U32, Fd, Flags, Out
    from syscalls.task import Task

CLOSE_RANGE_UNSHARE, CLOSE_RANGE_CLOEXEC = 2, 4
O_DIRECT, O_NOTIFICATION_PIPE = 0o40000, 0o200


def install(task: Task, file: FileDescription, cloexec: bool, lowest: int = 0) -> int:
    """Give `file` the lowest free number.  EMFILE: the description, if nobody else has it, is released."""
    try:
        return task.files.install(file, cloexec, task.group.soft_limit(RLIMIT_NOFILE), lowest)
    except LinuxError:
        if file.references == 0:
            file.retain().release()
        raise


@syscall(3)
def close(task: Task, fd: Fd) -> int:
    task.files.close(task, fd)
    return 0


@syscall(436, since="5.9")
def close_range(task: Task, first: U32, last: U32, flags: Flags[CloseRangeFlags]) -> int:
    if flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC):
        raise LinuxError(EINVAL)
    if first > last:
        raise LinuxError(EINVAL)
    if flags & CLOSE_RANGE_UNSHARE and task.files.sharers > 1:
        shared = task.files
        task.files = shared.copy(task.kernel.nr_open)
        shared.drop(task)
    table = task.files
    numbers = sorted(fd for fd in table.files if first <= fd <= last)
    if flags & CLOSE_RANGE_CLOEXEC:
        table.cloexec.update(numbers)
    else:
        for fd in numbers:
            table.close(task, fd)
    return 0


@syscall(32)
def dup(task: Task, fd: Fd) -> int:
    return install(task, task.files.get_raw(fd), False)


@syscall(33)
def dup2(task: Task, old: Fd, new: Fd) -> int:
    if old == new:
        task.files.get_raw(old)
        return new
    return _place(task, old, new, False)


@syscall(292, since="2.6.27")
def dup3(task: Task, old: Fd, new: Fd, flags: Flags[OpenFlags]) -> int:
    if flags & ~O_CLOEXEC or old == new:
        raise LinuxError(EINVAL)
    return _place(task, old, new, bool(flags & O_CLOEXEC))


def _place(task: Task, old: int, new: int, cloexec: bool) -> int:
    if not 0 <= new < task.group.soft_limit(RLIMIT_NOFILE):
        raise LinuxError(EBADF)
    task.files.place(task, new, task.files.get_raw(old), cloexec)
    return new


@syscall(22)
def pipe(task: Task, fds: Out[Int32Pair]) -> int:
    return _pipe(task, fds, 0)


@syscall(293, since="2.6.27", support=PARTIAL("watch queues (O_NOTIFICATION_PIPE) do not exist"),
         unsupported={"O_NOTIFICATION_PIPE": O_NOTIFICATION_PIPE})
def pipe2(task: Task, fds: Out[Int32Pair], flags: Flags[OpenFlags]) -> int:
    return _pipe(task, fds, flags)


def _pipe(task: Task, fds: int, flags: int) -> int:
    from syscalls.pipe import make_pipe
    if flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT | O_NOTIFICATION_PIPE):
        raise LinuxError(EINVAL)
    if flags & O_NOTIFICATION_PIPE:
        raise LinuxError(ENOPKG)
    reader, writer = make_pipe(task, flags)
    cloexec = bool(flags & O_CLOEXEC)
    numbers: list[int] = []
    try:
        for end in (reader, writer):
            numbers.append(install(task, end, cloexec))
        task.mem.write(fds, pack("<ii", *numbers))
    except LinuxError as error:
        for number in numbers:
            task.files.close(task, number)
        if error.errno == EMFILE and not numbers:
            writer.retain().release()
        raise
    return 0


# --- position

SEEK_MAX = 4


@syscall(8, needs=("files.positioned-io", "files.sparse"))
def lseek(task: Task, fd: Fd, offset: S64, whence: U32) -> int:
    file = task.files.get(fd)
    if whence > SEEK_MAX:
        raise LinuxError(EINVAL)
    return file.seek(task, offset, whence)
