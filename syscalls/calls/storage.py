"""What reaches the disk, and how long files are: fsync and relatives, fadvise, truncate, fallocate."""

from __future__ import annotations

from syscalls.abi.errno import (
    EACCES,
    EBADF,
    EFBIG,
    EINVAL,
    EISDIR,
    ENODEV,
    EOPNOTSUPP,
    EPERM,
    ESPIPE,
    LinuxError,
)
from syscalls.abi.fs import MAX_NON_LFS, O_LARGEFILE
from syscalls.fs.inode import S_IFBLK, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG
from syscalls.fs.regular import check_size_limit
from syscalls.table import FAKE, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

    from syscalls.abi.kinds import FallocateFlags, SyncRangeFlags
    from syscalls.fd import FileDescription
    from syscalls.fs.vfs import Location
    from syscalls.table import S32, S64, Fd, Flags, Path, Size
    from syscalls.task import Task

S64_MAX = (1 << 63) - 1
IN_MODIFY = 2
MAY_WRITE = 2
SYNC_FILE_RANGE_ALL = 7
(FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_NO_HIDE_STALE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_ZERO_RANGE,
 FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE, FALLOC_FL_WRITE_ZEROES) = (1 << bit for bit in range(8))


def _type(task: Task, file: FileDescription) -> int:
    return file.stat(task).mode & S_IFMT


# --- to the disk

@syscall(74, needs=("files.sync",))
def fsync(task: Task, fd: Fd) -> int:
    task.files.get(fd).sync(task, False)
    return 0


@syscall(75, needs=("files.sync",))
def fdatasync(task: Task, fd: Fd) -> int:
    task.files.get(fd).sync(task, True)
    return 0


@syscall(277, since="2.6.17", needs=("files.sync",))
def sync_file_range(task: Task, fd: Fd, offset: S64, nbytes: S64, flags: Flags[SyncRangeFlags]) -> int:
    file = task.files.get(fd)
    if flags & ~SYNC_FILE_RANGE_ALL or offset < 0 or nbytes < 0 or offset + nbytes > S64_MAX:
        raise LinuxError(EINVAL)
    if (file.inner_type or _type(task, file)) not in (S_IFREG, S_IFBLK, S_IFDIR, S_IFLNK):
        raise LinuxError(ESPIPE)
    if flags:
        try:
            file.sync(task, True)
        except LinuxError as error:
            if error.errno != EINVAL:
                raise  # what has no fsync has no dirty pages either
    return 0


SYNC = FAKE("written data is in the host's own cache at once, which the host writes out; only fsync forces it")


@syscall(162, support=SYNC)
def sync(task: Task) -> int:
    return 0


@syscall(306, since="2.6.39", support=SYNC)
def syncfs(task: Task, fd: Fd) -> int:
    task.files.get(fd)
    return 0


# --- advice

@syscall(221, support=FAKE("advice: the host's cache follows its own rules"), needs=("files.tree",))
def fadvise64(task: Task, fd: Fd, offset: S64, length: S64, advice: S32) -> int:
    file = task.files.get(fd)
    if _type(task, file) == S_IFIFO:
        raise LinuxError(ESPIPE)
    if length < 0 or not 0 <= advice <= 5:
        raise LinuxError(EINVAL)
    return 0


@syscall(187, support=FAKE("advice: the host's cache follows its own rules"), needs=("files.tree",))
def readahead(task: Task, fd: Fd, offset: S64, count: Size) -> int:
    file = task.files.get(fd)
    if not file.readable:
        raise LinuxError(EBADF)
    if _type(task, file) not in (S_IFREG, S_IFBLK) or count >= 1 << 63:
        raise LinuxError(EINVAL)
    return 0


# --- length

@syscall(76, needs=("files.tree",))
def truncate(task: Task, path: Path, length: S64) -> int | Awaitable[int]:
    if length < 0:
        raise LinuxError(EINVAL)
    vfs = task.kernel.vfs
    location = vfs.resolve(task, path)
    inode = location.inode
    stat = inode.stat(task)
    if stat.mode & S_IFMT == S_IFDIR:
        raise LinuxError(EISDIR)
    if stat.mode & S_IFMT != S_IFREG:
        raise LinuxError(EINVAL)
    vfs.permission(task, inode, MAY_WRITE)
    location.mount.check_writable()
    if inode.append_only:
        raise LinuxError(EPERM)
    if task.cred.landlock is not None:
        from syscalls.landlock import TRUNCATE, check
        check(task, location, TRUNCATE)
    if vfs.leases and inode.identity(task) in vfs.leases:
        return _truncate_leased(task, location, length, stat.size)
    return _truncate(task, location, length, stat.size)


def _truncate(task: Task, location: Location, length: int, size: int) -> int:
    check_size_limit(task, length, size)
    location.inode.truncate(task, length)
    task.kernel.vfs.notify(location, IN_MODIFY)
    return 0


async def _truncate_leased(task: Task, location: Location, length: int, size: int) -> int:
    from syscalls.lease import break_leases
    await break_leases(task, location.inode.identity(task), 1)
    return _truncate(task, location, length, size)


@syscall(77, needs=("files.tree",))
def ftruncate(task: Task, fd: Fd, length: S64) -> int:
    if length < 0:
        raise LinuxError(EINVAL)
    file = task.files.get(fd)
    stat = file.stat(task)
    if (file.inner_type or stat.mode & S_IFMT) != S_IFREG or not file.writable:
        raise LinuxError(EINVAL)
    if length > MAX_NON_LFS and not file.flags & O_LARGEFILE:
        raise LinuxError(EINVAL)
    if file.inode is not None and file.inode.append_only:
        raise LinuxError(EPERM)
    if file.landlock is not None:
        from syscalls.landlock import TRUNCATE, denied
        if denied(file, TRUNCATE):
            raise LinuxError(EACCES)
    if not file.inner_type:  # what only looks like a file has no size
        check_size_limit(task, length, stat.size)
    file.truncate(task, length)
    return 0


@syscall(285, since="2.6.23", needs=("files.sparse",))
def fallocate(task: Task, fd: Fd, mode: Flags[FallocateFlags], offset: S64, length: S64) -> int:
    file = task.files.get(fd)
    if offset < 0 or length <= 0:
        raise LinuxError(EINVAL)
    _check_mode(mode)
    if not file.writable:
        raise LinuxError(EBADF)
    inode = file.inode
    if inode is not None and (inode.immutable or (inode.append_only and mode & ~FALLOC_FL_KEEP_SIZE)):
        raise LinuxError(EPERM)
    stat = file.stat(task)
    kind = file.inner_type or stat.mode & S_IFMT
    if kind == S_IFIFO:
        raise LinuxError(ESPIPE)
    if kind == S_IFDIR:
        raise LinuxError(EISDIR)
    if kind not in (S_IFREG, S_IFBLK):
        raise LinuxError(ENODEV)
    if offset + length > S64_MAX:
        raise LinuxError(EFBIG)
    file.allocate(task, mode, offset, length)
    return 0


def _check_mode(mode: int) -> None:
    """One operation at a time, with the flags it allows (vfs_fallocate)."""
    if mode & ~0xFF or mode & FALLOC_FL_NO_HIDE_STALE:
        raise LinuxError(EOPNOTSUPP)
    operation = mode & ~FALLOC_FL_KEEP_SIZE
    if operation == FALLOC_FL_PUNCH_HOLE:
        if not mode & FALLOC_FL_KEEP_SIZE:
            raise LinuxError(EOPNOTSUPP)
    elif operation in (FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_WRITE_ZEROES):
        if mode & FALLOC_FL_KEEP_SIZE:
            raise LinuxError(EOPNOTSUPP)
    elif operation not in (0, FALLOC_FL_ZERO_RANGE, FALLOC_FL_UNSHARE_RANGE):
        raise LinuxError(EOPNOTSUPP)
