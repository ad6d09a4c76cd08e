"""pidfds: descriptors that stand for a process (fs/pidfs.c, kernel/pid.c).

A pidfd stays with its process when the number is used again.  It becomes readable when the last thread has ended, and
hangs up when the process has been reaped.
"""

from __future__ import annotations

from syscalls.abi.errno import EBADF, EOPNOTSUPP, ESRCH, LinuxError
from syscalls.abi.poll import POLLHUP, POLLIN, POLLRDNORM
from syscalls.fd import O_NONBLOCK, O_RDWR
from syscalls.fs.anon import AnonymousFile, AnonymousInode
from syscalls.fs.inode import S_IFREG, FileSystem
from syscalls.task import RLIMIT_NOFILE
from syscalls.wait import WaitQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task, ThreadGroup


class PidFileSystem(FileSystem):
    """pidfs, since 6.9: an inode for each process, by which two pidfds are told to be of the same."""

    name = "pidfs"
    changeable = False
    magic = 0x50494446


PIDFS = PidFileSystem(21)


class PidInode(AnonymousInode):
    __slots__ = ()
    inner_type = S_IFREG

    def __init__(self, task: Task) -> None:
        super().__init__(task, PIDFS, 0o700)  # without a type, as what it was before
        self.uid = self.gid = 0

    def utime(self, task: Task, atime_ns: int | None, mtime_ns: int | None) -> None:
        raise LinuxError(EOPNOTSUPP)


class PidFd(AnonymousFile):
    kind = "pidfd"
    inner_type = S_IFREG  # which stat does not tell
    takes_positions = True  # opened by its inode of pidfs, not made as other anonymous descriptors
    noop_seek = False

    def __init__(self, task: Task, group: ThreadGroup, flags: int = 0) -> None:
        super().__init__(task, O_RDWR | flags & O_NONBLOCK)
        if group.pid_inode is None:
            group.pid_inode = PidInode(task)
        self.inode = group.pid_inode
        self.group = group
        if group.death_event is None:
            group.death_event = WaitQueue()
        self.queue = group.death_event

    def truncate(self, task: Task, length: int) -> None:
        raise LinuxError(EOPNOTSUPP)

    def reaped(self) -> bool:
        return self.group.kernel.groups.get(self.group.pid) is not self.group

    def ready(self, mask: int) -> int:
        if self.reaped():
            return (POLLIN | POLLRDNORM) & mask | POLLHUP
        return (POLLIN | POLLRDNORM) & mask if self.group.ended else 0

    def fdinfo(self, task: Task) -> list[tuple[str, str]]:
        pid = -1 if self.reaped() else self.group.pid
        return [("Pid", str(pid)), ("NSpid", str(pid))]


def install_pidfd(parent: Task, child: Task) -> int:
    """CLONE_PIDFD: a pidfd of the child for the parent, close-on-exec.  EMFILE."""
    return parent.files.install(PidFd(parent, child.group), True, parent.group.soft_limit(RLIMIT_NOFILE))


def open_pidfd(task: Task, pid: int) -> int:
    """A close-on-exec pidfd of that process, as sockets give of their peers.  ESRCH, EMFILE."""
    group = task.kernel.groups.get(pid)
    if group is None:
        raise LinuxError(ESRCH)
    file = PidFd(task, group).retain()
    try:
        return task.files.install(file, True, task.group.soft_limit(RLIMIT_NOFILE))
    finally:
        file.release()


def pidfd_group(task: Task, fd: int) -> tuple[ThreadGroup, bool]:
    """The process that descriptor `fd` stands for, and whether it is O_NONBLOCK.  EBADF when it is no pidfd."""
    file = task.files.get(fd)
    if not isinstance(file, PidFd):
        raise LinuxError(EBADF)
    return file.group, file.nonblock


def signal_target(task: Task, fd: int) -> ThreadGroup:
    """Whom pidfd_send_signal means: a pidfd, or an open /proc/PID directory.  EBADF."""
    file = task.files.get(fd)
    if isinstance(file, PidFd):
        return file.group
    from syscalls.fs.procfs import TaskDirectory
    if isinstance(file.inode, TaskDirectory) and file.inode.whole:
        return file.inode.target.group
    raise LinuxError(EBADF)
