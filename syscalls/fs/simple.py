"""In-memory nodes for pseudo file systems (proc, sysfs, dev): directories, generated files, links.

Names and content come from dictionaries or from functions of the task that asks.  A `SimpleFileSystem` numbers its
nodes; nodes made on the fly (those of /proc/PID) should be given a number of their own so that it stays the same.
"""

from __future__ import annotations

from enum import Enum

from syscalls.abi.errno import EACCES, EINVAL, EIO, EISDIR, ENODEV, ENOENT, ENXIO, EPERM, LinuxError
from syscalls.abi.fs import (
    MAX_NON_LFS,
    O_ACCMODE,
    O_APPEND,
    O_RDONLY,
    PROC_SUPER_MAGIC,
    S_IALLUGO,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
)
from syscalls.fd import FileDescription
from syscalls.fs.directory import OpenDirectory
from syscalls.fs.inode import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, FileSystem, Inode, Stat, not_found

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.fs.vfs import Location
    from syscalls.task import Task
    from translator.machine import Backing

PROC_BLOCK = 1024
"""s_blocksize of procfs, which st_blksize shows."""


class SimpleFileSystem(FileSystem):
    """A file system of nodes below.  Set `root` after making it; `time_ns` is what its nodes show as their times."""

    opens_direct = False

    def __init__(self, device: int, name: str, magic: int, time_ns: int = 0) -> None:
        super().__init__(device)
        self.name = name
        self.magic = magic
        self.time_ns = time_ns
        self.block_size = PROC_BLOCK if magic == PROC_SUPER_MAGIC else 4096
        self.last_number = 0
        self.birth_ns = -1
        """What its nodes tell as the time they were made; -1: nothing, as most pseudo file systems."""

    def next_number(self) -> int:
        self.last_number += 1
        return self.last_number


class Node(Inode):
    """Attributes in memory.  `mode` with its type; `number` 0 takes the file system's next inode number."""

    ephemeral = False
    """Nothing can be mounted on it: it may be gone the next moment (proc's descriptors)."""
    fixed = False
    """chmod is refused with EPERM (proc_setattr); owner and times can be set."""

    def __init__(self, filesystem: SimpleFileSystem, mode: int, *, uid: int = 0, gid: int = 0,
                 number: int = 0) -> None:
        self.filesystem = filesystem
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.number = number or filesystem.next_number()
        self.times: tuple[int, int, int] | None = None
        """atime, mtime, ctime once they were set."""

    def size(self, task: Task) -> int:
        """st_size: 0 in proc."""
        return 0

    def links(self, task: Task) -> int:
        return 1

    def stat(self, task: Task) -> Stat:
        filesystem = self.filesystem
        assert isinstance(filesystem, SimpleFileSystem)
        now = filesystem.time_ns
        atime, mtime, ctime = self.times or (now, now, now)
        return Stat(dev=filesystem.device, ino=self.number, mode=self.mode, nlink=self.links(task), uid=self.uid,
                    gid=self.gid, size=self.size(task), blksize=filesystem.block_size, atime_ns=atime,
                    mtime_ns=mtime, ctime_ns=ctime, btime_ns=filesystem.birth_ns)

    def _changed(self, task: Task, atime_ns: int | None = None, mtime_ns: int | None = None) -> None:
        stat = self.stat(task)
        self.times = (stat.atime_ns if atime_ns is None else atime_ns,
                      stat.mtime_ns if mtime_ns is None else mtime_ns, task.kernel.clock.realtime())

    def chmod(self, task: Task, mode: int) -> None:
        if self.fixed:
            raise LinuxError(EPERM)
        self._changed(task)
        self.mode = self.mode & S_IFMT | mode & S_IALLUGO

    def chown(self, task: Task, uid: int, gid: int) -> None:
        self._changed(task)
        if uid != -1:
            self.uid = uid
        if gid != -1:
            self.gid = gid

    def utime(self, task: Task, atime_ns: int | None, mtime_ns: int | None) -> None:
        self._changed(task, atime_ns, mtime_ns)


class SimpleDirectory(Node):
    """A directory whose children are a dictionary, or what a function of the task returns (then it is asked at each
    lookup and listing).  For directories too large to be built at a lookup, override `child` and `children_of`."""

    def __init__(self, filesystem: SimpleFileSystem,
                 children: dict[bytes, Inode] | Callable[[Task], dict[bytes, Inode]] | None = None,
                 mode: int = 0o555, *, uid: int = 0, gid: int = 0, number: int = 0) -> None:
        super().__init__(filesystem, S_IFDIR | mode, uid=uid, gid=gid, number=number)
        self.children: dict[bytes, Inode] | Callable[[Task], dict[bytes, Inode]] = {} if children is None else children

    def children_of(self, task: Task) -> dict[bytes, Inode]:
        children = self.children
        return children if isinstance(children, dict) else children(task)

    def child(self, task: Task, name: bytes) -> Inode | None:
        return self.children_of(task).get(name)

    def add(self, name: bytes, node: Inode) -> None:
        assert isinstance(self.children, dict)
        self.children[name] = node

    def remove(self, name: bytes) -> None:
        assert isinstance(self.children, dict)
        self.children.pop(name, None)

    def links(self, task: Task) -> int:
        children = self.children
        if not isinstance(children, dict):
            return 2
        return 2 + sum(1 for node in children.values() if node.mode & S_IFMT == S_IFDIR)

    def lookup(self, task: Task, name: bytes) -> Inode:
        node = self.child(task, name)
        if node is None:
            raise not_found(name)
        return node

    def _refuse(self, mkdir: bool) -> LinuxError:
        # Looking up a name that proc does not have fails at once (proc_lookup); other systems look first.
        if self.filesystem.name == "proc":
            return LinuxError(ENOENT)
        return LinuxError(EPERM if mkdir else EACCES)

    def create(self, task: Task, name: bytes, mode: int) -> Inode:
        raise self._refuse(False)

    def mkdir(self, task: Task, name: bytes, mode: int) -> Inode:
        raise self._refuse(True)

    def mknod(self, task: Task, name: bytes, mode: int, rdev: int) -> Inode:
        raise self._refuse(True)

    def symlink(self, task: Task, name: bytes, target: bytes) -> Inode:
        raise self._refuse(True)

    def entries(self, task: Task) -> list[tuple[bytes, int, int]]:
        return [(name, node.number if isinstance(node, Node) else node.stat(task).ino, node.mode >> 12 & 15)
                for name, node in self.children_of(task).items()]

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        if flags & O_ACCMODE != O_RDONLY:
            raise LinuxError(EISDIR)
        return OpenDirectory(flags, location, self)


class Seeks(Enum):
    """How lseek works (llseek of file_operations)."""
    SEQ = "seq_lseek: from the start and the current position; there is no pwrite either (seq_open)"
    GENERIC = "generic_file_llseek: a file of size 0, up to s_maxbytes"
    DEFAULT = "default_llseek: the same without a limit"
    NOWHERE = "noop_llseek"


class TextFile(Node):
    """A file whose content `read` makes when it is read from its start.  `write`, when given, gets the bytes of each
    write(2), and raises LinuxError to refuse them; it may return how many it took."""

    seeks = Seeks.SEQ
    pollable = False
    unmappable = ENODEV
    """What mmap fails with."""

    def __init__(self, filesystem: SimpleFileSystem, read: Callable[[Task], bytes] | bytes | None,
                 write: Callable[[Task, bytes], int | None] | None = None, mode: int = -1, *, uid: int = 0,
                 gid: int = 0, number: int = 0, size: int = 0) -> None:
        if mode == -1:
            mode = (0o444 if read is not None else 0) | (0o200 if write is not None else 0)
        super().__init__(filesystem, S_IFREG | mode, uid=uid, gid=gid, number=number)
        self.generate = read
        self.accept = write
        self.shown_size = size

    def size(self, task: Task) -> int:
        return self.shown_size

    def content(self, task: Task) -> bytes:
        generate = self.generate
        if generate is None:
            raise LinuxError(EIO)
        return generate if isinstance(generate, bytes) else generate(task)

    def truncate(self, task: Task, length: int) -> None:
        if self.accept is None:
            raise LinuxError(EACCES)

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        return TextDescription(flags, location, self)


def registered(nodes: dict[bytes, Inode]) -> dict[bytes, Inode]:
    """The same nodes; the files among them as proc_create makes them: epoll takes them, and mmap asks in vain."""
    for node in nodes.values():
        if isinstance(node, TextFile):
            node.pollable = True
            node.unmappable = EIO
    return nodes


class PlainFile(TextFile):
    """One without read_iter and splice_read, as those of processes are."""

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        return PlainDescription(flags, location, self)


class TextDescription(FileDescription):
    """An open TextFile: as with seq_file, a read at offset 0 makes the content afresh."""

    kind = "file"
    seekable = True
    nowait = direct_io = False

    def __init__(self, flags: int, location: Location, inode: TextFile) -> None:
        super().__init__(flags, location, inode)
        self.node = inode
        self.content: bytes | None = None
        self.has_pwrite = inode.seeks is not Seeks.SEQ
        self.pollable = inode.pollable or self.pollable
        self.has_mmap = inode.unmappable == EIO

    def backing(self, task: Task, shared: bool, prot: int) -> Backing:
        raise LinuxError(self.node.unmappable)

    def pread(self, task: Task, length: int, offset: int) -> bytes:
        if self.content is None or offset == 0:
            self.content = self.node.content(task)
        return self.content[offset:offset + length]

    def read(self, task: Task, length: int) -> bytes:
        data = self.pread(task, length, self.offset)
        self.offset += len(data)
        return data

    def pwrite(self, task: Task, data: bytes, offset: int) -> int:
        accept = self.node.accept
        if accept is None:
            raise LinuxError(EIO)
        taken = accept(task, bytes(data))
        self.content = None
        return len(data) if taken is None else taken

    def write(self, task: Task, data: bytes) -> int:
        if self.flags & O_APPEND:
            self.offset = 0
        done = self.pwrite(task, data, self.offset)
        self.offset += done
        return done

    def seek(self, task: Task, offset: int, whence: int) -> int:
        seeks = self.node.seeks
        if seeks is Seeks.NOWHERE:
            return self.offset
        if whence == SEEK_CUR:
            offset += self.offset
        elif whence == SEEK_END and (self.node.shown_size or seeks is not Seeks.SEQ):
            offset += self.node.shown_size
        elif whence in (SEEK_DATA, SEEK_HOLE) and seeks is not Seeks.SEQ:
            raise LinuxError(ENXIO)  # all of it lies behind the end
        elif whence != SEEK_SET:
            raise LinuxError(EINVAL)
        if offset < 0 or (seeks is Seeks.GENERIC and offset > MAX_NON_LFS):
            raise LinuxError(EINVAL)
        self.offset = offset
        return offset

    def truncate(self, task: Task, length: int) -> None:
        self.node.truncate(task, length)


class PlainDescription(TextDescription):
    """What is read and written a buffer at a time only."""

    splice_source = splice_target = False
    reads_vectors = writes_vectors = False


class SymlinkNode(Node):
    """A symbolic link: `target` bytes, or a function of the task that makes them."""

    def __init__(self, filesystem: SimpleFileSystem, target: bytes | Callable[[Task], bytes], *, mode: int = 0o777,
                 uid: int = 0, gid: int = 0, number: int = 0) -> None:
        super().__init__(filesystem, S_IFLNK | mode, uid=uid, gid=gid, number=number)
        self.target = target

    def readlink(self, task: Task) -> bytes:
        target = self.target
        return target if isinstance(target, bytes) else target(task)

    def size(self, task: Task) -> int:
        return len(self.target) if isinstance(self.target, bytes) else 0


class MagicLink(SymlinkNode):
    """A link that leads to an object and not to a path (/proc/PID/fd/N, exe, cwd): `where` finds it, `target` is only
    shown.  `where` returns None for what has no location; then the link is walked by its text."""

    def __init__(self, filesystem: SimpleFileSystem, target: bytes | Callable[[Task], bytes],
                 where: Callable[[Task], Location | None], *, mode: int = 0o777, uid: int = 0, gid: int = 0,
                 number: int = 0) -> None:
        super().__init__(filesystem, target, mode=mode, uid=uid, gid=gid, number=number)
        self.where = where

    def size(self, task: Task) -> int:
        return 64

    def follow(self, task: Task) -> Location | None:
        return self.where(task)
