"""Directories: getdents, and where a task works: chdir, getcwd, chroot."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, ENOENT, ENOTDIR, EPERM, ERANGE, LinuxError
from syscalls.abi.fs import IN_ACCESS, MAY_EXEC, pack_dirent, pack_dirent64
from syscalls.credentials import CAP_SYS_CHROOT
from syscalls.fs.directory import index_at, position_of
from syscalls.fs.inode import S_IFDIR, S_IFMT
from syscalls.table import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.fs.mounts import Location
    from syscalls.table import U32, Fd, OutBuf, Path, Size
    from syscalls.task import Task

MAX_OUT = 1 << 20
"""The most bytes one call fills: more is asked for again."""


def _getdents(task: Task, fd: int, addr: int, room: int, pack: Callable[[int, int, int, bytes], bytes]) -> int:
    """iterate_dir: whole records only; EINVAL when not even one fits, ENOTDIR, ENOENT in a removed directory."""
    file = task.files.get(fd)
    if file.inode is None or file.inode.mode & S_IFMT != S_IFDIR:
        raise LinuxError(ENOTDIR)
    if file.location is not None and file.location.dentry.deleted:
        raise LinuxError(ENOENT)
    entries = file.entries(task)
    if room >= 1 << 31:
        room = 0  # an int inside: less than any entry
    room = min(room, MAX_OUT)
    out: list[bytes] = []
    filled = 0
    count, sparse = len(entries), file.inode.filesystem.sparse_positions
    index = index_at(file.offset, count, sparse)
    while index < count:
        name, ino, kind = entries[index]
        record = pack(ino, position_of(index + 1, count, sparse), kind, name)
        if filled + len(record) > room:
            if not filled:
                raise LinuxError(EINVAL)
            break
        out.append(record)
        filled += len(record)
        index += 1
    task.mem.write(addr, b"".join(out))
    file.offset = position_of(index, count, sparse)
    vfs = task.kernel.vfs
    if vfs.notifier is not None and file.location is not None:
        vfs.notify(file.location, IN_ACCESS)
    return filled


@syscall(217, needs=("files.tree",))
def getdents64(task: Task, fd: Fd, dirp: OutBuf, count: U32) -> int:
    return _getdents(task, fd, dirp, count, pack_dirent64)


@syscall(78, needs=("files.tree",))
def getdents(task: Task, fd: Fd, dirp: OutBuf, count: U32) -> int:
    return _getdents(task, fd, dirp, count, pack_dirent)


@syscall(79)
def getcwd(task: Task, buf: OutBuf, size: Size) -> int:
    path = task.fs.cwd.working_path(task) + b"\0"
    if len(path) > size:
        raise LinuxError(ERANGE)
    task.mem.write(buf, path)
    return len(path)


def _searchable(task: Task, location: Location) -> Location:
    if location.inode.mode & S_IFMT != S_IFDIR:
        raise LinuxError(ENOTDIR)
    task.kernel.vfs.permission(task, location.inode, MAY_EXEC)
    return location


@syscall(80, needs=("files.tree",))
def chdir(task: Task, path: Path) -> int:
    task.fs.cwd = _searchable(task, task.kernel.vfs.resolve(task, path)).pin()
    return 0


@syscall(81, needs=("files.tree",))
def fchdir(task: Task, fd: Fd) -> int:
    file = task.files.get_raw(fd)
    if file.location is None:
        raise LinuxError(ENOTDIR)
    file.location.inode.refresh()
    task.fs.cwd = _searchable(task, file.location).pin()
    return 0


@syscall(161, needs=("files.tree",))
def chroot(task: Task, path: Path) -> int:
    location = _searchable(task, task.kernel.vfs.resolve(task, path))
    if not task.cred.capable(CAP_SYS_CHROOT):
        raise LinuxError(EPERM)
    task.fs.root = location.pin()
    return 0
