"""Inodes of objects that no path names: pipes (pipefs), sockets (sockfs) and anonymous descriptors (anon_inodefs).

They keep their attributes in memory: fchmod and fchown of a pipe work as on Linux.
"""

from __future__ import annotations

from syscalls.abi.errno import ESPIPE, LinuxError
from syscalls.fd import FileDescription
from syscalls.fs.inode import S_IFIFO, FileSystem, Inode, Stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task


class PipeFileSystem(FileSystem):
    """pipefs: never mounted, what fstatfs of a pipe shows."""

    name = "pipefs"
    magic = 0x50495045


class AnonymousFileSystem(FileSystem):
    name = "anon_inodefs"
    changeable = False
    magic = 0x09041934


PIPEFS = PipeFileSystem(14)
ANON_INODEFS = AnonymousFileSystem(15)


class AnonymousInode(Inode):
    """Attributes of an object in memory.  `mode` includes the type bits (0 for anonymous descriptors)."""

    __slots__ = ("atime_ns", "ctime_ns", "filesystem", "gid", "mode", "mtime_ns", "number", "uid")

    def __init__(self, task: Task, filesystem: FileSystem, mode: int, number: int = 0) -> None:
        kernel = task.kernel
        if not number:
            number = kernel.next_inode
            kernel.next_inode = number + 1
        self.filesystem = filesystem
        self.number = number
        self.mode = mode
        self.uid = task.cred.fsuid
        self.gid = task.cred.fsgid
        self.atime_ns = self.mtime_ns = self.ctime_ns = kernel.clock.realtime()

    @property
    def private(self) -> bool:  # type: ignore[override]
        return self.filesystem is ANON_INODEFS

    def stat(self, task: Task) -> Stat:
        return Stat(dev=self.filesystem.device, ino=self.number, mode=self.mode, nlink=1, uid=self.uid, gid=self.gid,
                    atime_ns=self.atime_ns, mtime_ns=self.mtime_ns, ctime_ns=self.ctime_ns)

    def chmod(self, task: Task, mode: int) -> None:
        self.mode = self.mode & 0o170000 | mode & 0o7777
        self.ctime_ns = task.kernel.clock.realtime()

    def chown(self, task: Task, uid: int, gid: int) -> None:
        if uid != -1:
            self.uid = uid
        if gid != -1:
            self.gid = gid
        self.ctime_ns = task.kernel.clock.realtime()

    def utime(self, task: Task, atime_ns: int | None, mtime_ns: int | None) -> None:
        if atime_ns is not None:
            self.atime_ns = atime_ns
        if mtime_ns is not None:
            self.mtime_ns = mtime_ns
        self.ctime_ns = task.kernel.clock.realtime()


def pipe_inode(task: Task) -> AnonymousInode:
    return AnonymousInode(task, PIPEFS, S_IFIFO | 0o600)


def anonymous_inode(task: Task) -> AnonymousInode:
    """eventfd, epoll, timerfd, ...: no type, one inode number for all of them, as anon_inodefs has; root's."""
    inode = AnonymousInode(task, ANON_INODEFS, 0o600, number=1)
    inode.uid = inode.gid = 0
    return inode


class AnonymousFile(FileDescription):
    """The description of an object that is only reached by its descriptors: eventfd, epoll, timerfd, ..."""

    pollable = True
    noop_seek = True

    def __init__(self, task: Task, flags: int) -> None:
        super().__init__(flags, None, anonymous_inode(task))

    def seek(self, task: Task, offset: int, whence: int) -> int:
        if not self.noop_seek:
            raise LinuxError(ESPIPE)
        return 0
