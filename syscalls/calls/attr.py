"""Changing what is known of files: chmod, chown, utimensat and their relatives, umask."""

from __future__ import annotations

from struct import Struct

from syscalls.abi.errno import EBADF, EINVAL, EOPNOTSUPP, EPERM, LinuxError
from syscalls.abi.fs import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    IN_ATTRIB,
    MAY_WRITE,
    O_PATH,
    UTIME_NOW,
    UTIME_OMIT,
)
from syscalls.fs.inode import S_IFLNK, S_IFMT
from syscalls.fs.permission import check_chown, check_fixed, chmod_mode, owner_or_capable, permission
from syscalls.table import syscall
from translator.hosts.base import UTIME_NOW as HOST_NOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import AtFlags, Timespec2, Timeval2, Utimbuf
    from syscalls.fs.inode import Inode
    from syscalls.fs.mounts import Location
    from syscalls.table import U32, DirFd, Fd, Flags, In, Mode, OptPath, Path
    from syscalls.task import Task

NSEC = 1_000_000_000
NO_TIME = 1 << 200
"""For nanoseconds that are none."""
_TIMES = Struct("<qqqq")
_UTIMBUF = Struct("<qq")


def _of_fd(task: Task, fd: int) -> tuple[Location | None, Inode]:
    """What an open descriptor (not O_PATH) refers to, when it can be changed: EROFS."""
    file = task.files.get(fd)
    inode, location = file.inode, file.location
    if inode is None:
        raise LinuxError(EPERM)
    if location is not None and location.mount.id:
        location.mount.check_writable()
    if file.kind == "directory":
        inode.refresh()
    return location, inode


def _find(task: Task, dirfd: int, path: bytes, flags: int) -> Location:
    """The file that a call with AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH means.  EINVAL for other flags, EROFS."""
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise LinuxError(EINVAL)
    location = task.kernel.vfs.resolve(task, path, dirfd, follow=not flags & AT_SYMLINK_NOFOLLOW,
                                       empty_path=bool(flags & AT_EMPTY_PATH))
    if location.mount.id:
        location.mount.check_writable()
    return location


def _check_changeable(inode: Inode) -> None:
    """EOPNOTSUPP for the one inode that eventfd, epoll and others share (anon_inode_setattr), and for processes."""
    if not inode.filesystem.changeable:
        raise LinuxError(EOPNOTSUPP)


# --- mode

def _set_mode_of(task: Task, location: Location, mode: int) -> int:
    if location.inode.mode & S_IFMT == S_IFLNK:
        raise LinuxError(EOPNOTSUPP)
    return _set_mode(task, location, location.inode, mode)


def _set_mode(task: Task, location: Location | None, inode: Inode, mode: int) -> int:
    _check_changeable(inode)
    check_fixed(inode)
    inode.chmod(task, chmod_mode(task, inode, mode & 0o7777))
    if location is not None and task.kernel.vfs.notifier is not None:
        task.kernel.vfs.notify(location, IN_ATTRIB)
    return 0


@syscall(90, needs=("files.mode-bits",))
def chmod(task: Task, path: Path, mode: Mode) -> int:
    return _set_mode_of(task, _find(task, AT_FDCWD, path, 0), mode)


@syscall(91, needs=("files.mode-bits",))
def fchmod(task: Task, fd: Fd, mode: Mode) -> int:
    location, inode = _of_fd(task, fd)
    return _set_mode(task, location, inode, mode)


@syscall(268, since="2.6.16", needs=("files.mode-bits",))
def fchmodat(task: Task, dirfd: DirFd, path: Path, mode: Mode) -> int:
    return _set_mode_of(task, _find(task, dirfd, path, 0), mode)


@syscall(452, since="6.6", needs=("files.mode-bits",))
def fchmodat2(task: Task, dirfd: DirFd, path: Path, mode: Mode, flags: Flags[AtFlags]) -> int:
    return _set_mode_of(task, _find(task, dirfd, path, flags), mode)


@syscall(95)
def umask(task: Task, mask: U32) -> int:
    old = task.fs.umask
    task.fs.umask = mask & 0o777
    return old


# --- owner

def _set_owner(task: Task, location: Location | None, inode: Inode, owner: int, group: int) -> int:
    _check_changeable(inode)
    uid = -1 if owner == 0xFFFFFFFF else owner
    gid = -1 if group == 0xFFFFFFFF else group
    if uid != -1 or gid != -1:
        check_fixed(inode)
    check_chown(task, inode, uid, gid)
    inode.chown(task, uid, gid)
    if location is not None and task.kernel.vfs.notifier is not None:
        task.kernel.vfs.notify(location, IN_ATTRIB)
    return 0


@syscall(92, needs=("files.ownership",))
def chown(task: Task, path: Path, owner: U32, group: U32) -> int:
    location = _find(task, AT_FDCWD, path, 0)
    return _set_owner(task, location, location.inode, owner, group)


@syscall(93, needs=("files.ownership",))
def fchown(task: Task, fd: Fd, owner: U32, group: U32) -> int:
    location, inode = _of_fd(task, fd)
    return _set_owner(task, location, inode, owner, group)


@syscall(94, needs=("files.ownership",))
def lchown(task: Task, path: Path, owner: U32, group: U32) -> int:
    location = _find(task, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW)
    return _set_owner(task, location, location.inode, owner, group)


@syscall(260, since="2.6.16", needs=("files.ownership",))
def fchownat(task: Task, dirfd: DirFd, path: Path, owner: U32, group: U32, flags: Flags[AtFlags]) -> int:
    location = _find(task, dirfd, path, flags)
    return _set_owner(task, location, location.inode, owner, group)


# --- times

def _set_times(task: Task, location: Location | None, inode: Inode, atime: int | None, mtime: int | None,
               is_now: bool) -> int:
    """Times in ns, None to leave one alone.  is_now: both are the current time (or left alone), which whoever may
    write the file may set; other times are the owner's (man 2 utimensat)."""
    if NO_TIME in (atime, mtime):
        raise LinuxError(EINVAL)  # known only here, when the file is found (vfs_utimes)
    if atime is None and mtime is None:
        return 0
    if not is_now or inode.immutable:
        check_fixed(inode)
    if not owner_or_capable(task, inode):
        if not is_now:
            _check_changeable(inode)
            raise LinuxError(EPERM)
        permission(task, inode, MAY_WRITE)
    _check_changeable(inode)
    now = HOST_NOW
    clock = task.kernel.clock
    if clock.is_virtual or not inode.filesystem.by_path:
        now = clock.realtime()
    inode.utime(task, now if atime == HOST_NOW else atime, now if mtime == HOST_NOW else mtime)
    if location is not None and task.kernel.vfs.notifier is not None:
        task.kernel.vfs.notify(location, IN_ATTRIB)
    return 0


def _timespecs(task: Task, addr: int) -> tuple[int | None, int | None, bool]:
    if not addr:
        return HOST_NOW, HOST_NOW, True
    atime, atime_ns, mtime, mtime_ns = _TIMES.unpack(task.mem.read(addr, 32))
    if 0 <= atime_ns < NSEC and 0 <= mtime_ns < NSEC:
        return atime * NSEC + atime_ns, mtime * NSEC + mtime_ns, False
    out: list[int | None] = []
    for seconds, nanoseconds in ((atime, atime_ns), (mtime, mtime_ns)):
        if nanoseconds == UTIME_NOW:
            out.append(HOST_NOW)
        elif nanoseconds == UTIME_OMIT:
            out.append(None)
        elif 0 <= nanoseconds < NSEC:
            out.append(seconds * NSEC + nanoseconds)
        else:
            out.append(NO_TIME)
    return out[0], out[1], out[0] == out[1] == HOST_NOW


def _timevals(task: Task, addr: int) -> tuple[int, int, bool]:
    if not addr:
        return HOST_NOW, HOST_NOW, True
    atime, atime_us, mtime, mtime_us = _TIMES.unpack(task.mem.read(addr, _TIMES.size))
    if not (0 <= atime_us < 1_000_000 and 0 <= mtime_us < 1_000_000):
        raise LinuxError(EINVAL)
    return atime * NSEC + atime_us * 1000, mtime * NSEC + mtime_us * 1000, False


def _utimes_at(task: Task, dirfd: int, path: bytes | None, times: tuple[int | None, int | None, bool],
               flags: int) -> int:
    """do_utimes: a NULL path is the descriptor itself, which then must not be O_PATH."""
    if path is None:
        if flags & (~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) if dirfd == AT_FDCWD else ~0):
            raise LinuxError(EINVAL)
        if dirfd == AT_FDCWD:
            task.mem.path(0)
        file = task.files.get_raw(dirfd)
        if file.flags & O_PATH:
            raise LinuxError(EBADF)
        location, inode = _of_fd(task, dirfd)
        return _set_times(task, location, inode, *times)
    place = _find(task, dirfd, path, flags)
    return _set_times(task, place, place.inode, *times)


@syscall(280, since="2.6.22", needs=("files.tree", "files.nanosecond-times"))
def utimensat(task: Task, dirfd: DirFd, path: OptPath, times: In[Timespec2], flags: Flags[AtFlags]) -> int:
    parsed = _timespecs(task, times)
    if parsed[:2] == (None, None):
        return 0  # even for a path that does not exist
    return _utimes_at(task, dirfd, path, parsed, flags)


@syscall(261, since="2.6.16", needs=("files.tree", "files.nanosecond-times"))
def futimesat(task: Task, dirfd: DirFd, path: OptPath, times: In[Timeval2]) -> int:
    return _utimes_at(task, dirfd, path, _timevals(task, times), 0)


@syscall(235, needs=("files.tree", "files.nanosecond-times"))
def utimes(task: Task, path: Path, times: In[Timeval2]) -> int:
    return _utimes_at(task, AT_FDCWD, path, _timevals(task, times), 0)


@syscall(132, needs=("files.tree", "files.nanosecond-times"))
def utime(task: Task, path: Path, times: In[Utimbuf]) -> int:
    if not times:
        return _utimes_at(task, AT_FDCWD, path, (HOST_NOW, HOST_NOW, True), 0)
    atime, mtime = _UTIMBUF.unpack(task.mem.read(times, _UTIMBUF.size))
    return _utimes_at(task, AT_FDCWD, path, (atime * NSEC, mtime * NSEC, False), 0)
