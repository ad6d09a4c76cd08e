"""inotify_init, inotify_add_watch, inotify_rm_watch, and the calls of fanotify."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, ENOSYS, ENOTDIR, LinuxError
from syscalls.abi.poll import (
    IN_ALL_EVENTS,
    IN_CLOEXEC,
    IN_DONT_FOLLOW,
    IN_EXCL_UNLINK,
    IN_IGNORED,
    IN_ISDIR,
    IN_MASK_ADD,
    IN_MASK_CREATE,
    IN_NONBLOCK,
    IN_ONESHOT,
    IN_ONLYDIR,
    IN_Q_OVERFLOW,
    IN_UNMOUNT,
)
from syscalls.calls.descriptors import install
from syscalls.fs.inode import S_IFDIR, S_IFMT
from syscalls.table import PARTIAL, REFUSED, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import FanotifyFlags, InotifyFlags, InotifyMask
    from syscalls.inotify import Inotify
    from syscalls.table import S32, U32, U64, DirFd, Fd, Flags, Path
    from syscalls.task import Task

ALL_BITS = (IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK
            | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT | IN_MASK_CREATE)
MAY_READ = 4


@syscall(253, since="2.6.13")
def inotify_init(task: Task) -> int:
    return _init(task, 0)


@syscall(294, since="2.6.27")
def inotify_init1(task: Task, flags: Flags[InotifyFlags]) -> int:
    return _init(task, flags)


def _init(task: Task, flags: int) -> int:
    from syscalls.inotify import Inotify
    if flags & ~(IN_CLOEXEC | IN_NONBLOCK):
        raise LinuxError(EINVAL)
    return install(task, Inotify(task, flags), bool(flags & IN_CLOEXEC))


def _instance(task: Task, fd: int) -> Inotify:
    from syscalls.inotify import Inotify
    file = task.files.get(fd)
    if not isinstance(file, Inotify):
        raise LinuxError(EINVAL)
    return file


@syscall(254, since="2.6.13",
         support=PARTIAL("of host programs only changes are seen, not opens and reads"),
         needs=("files.watch",))
def inotify_add_watch(task: Task, fd: Fd, path: Path, mask: Flags[InotifyMask]) -> int:
    if not mask & ALL_BITS:
        raise LinuxError(EINVAL)
    instance = task.files.get(fd)
    if mask & IN_MASK_ADD and mask & IN_MASK_CREATE:
        raise LinuxError(EINVAL)
    instance = _instance(task, fd)
    vfs = task.kernel.vfs
    location = vfs.resolve(task, path, follow=not mask & IN_DONT_FOLLOW)
    if mask & IN_ONLYDIR and location.inode.mode & S_IFMT != S_IFDIR:
        raise LinuxError(ENOTDIR)
    vfs.permission(task, location.inode, MAY_READ)
    return instance.watch(task, location, mask & 0xFFFFFFFF)


@syscall(255, since="2.6.13")
def inotify_rm_watch(task: Task, fd: Fd, wd: S32) -> int:
    _instance(task, fd).unwatch(wd)
    return 0


NO_FANOTIFY = REFUSED(ENOSYS, "as a kernel without CONFIG_FANOTIFY: programs fall back to inotify")


@syscall(300, since="2.6.37", support=NO_FANOTIFY)
def fanotify_init(task: Task, flags: Flags[FanotifyFlags], event_flags: U32) -> int:
    raise LinuxError(ENOSYS)


@syscall(301, since="2.6.37", support=NO_FANOTIFY)
def fanotify_mark(task: Task, fd: Fd, flags: Flags[FanotifyFlags], mask: U64, dirfd: DirFd, path: U64) -> int:
    raise LinuxError(ENOSYS)
