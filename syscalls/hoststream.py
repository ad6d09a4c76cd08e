"""pylx's own standard streams as the guest's: pipes, sockets and files that the caller of pylx set up.

Positions are the host's own, because the stream is shared with other host processes: what a shell wrote before and
writes after pylx continues at the right place.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EINVAL, EISDIR, ENODEV, ENOTTY, ESPIPE, LinuxError
from syscalls.abi.fs import O_ACCMODE, O_APPEND, O_LARGEFILE, O_NONBLOCK
from syscalls.abi.ioctl import FIONREAD, TCGETS
from syscalls.fd import ALWAYS_READY, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, FileDescription
from syscalls.fs.inode import S_IFCHR, S_IFDIR, S_IFMT, S_IFREG, FileSystem, Inode, Stat
from syscalls.wait import HostWaitQueue
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.hostfile import Handle
    from syscalls.fs.vfs import Location
    from syscalls.kernel import Kernel
    from syscalls.task import Task
    from translator.hosts.base import HostFile
    from translator.machine import Backing

SEEK_DATA, SEEK_HOLE = 3, 4
READ_MAX = 1 << 20
"""The most bytes that one read of a stream asks the host for."""


class StreamInode(Inode):
    """The inode of a stream that no path of the guest names."""

    __slots__ = ("file", "mode", "stream")
    filesystem = FileSystem(0)
    stream: HostStream

    def __init__(self, file: HostFile, stat: Stat) -> None:
        self.file = file
        self.mode = stat.mode

    def open(self, task: Task, flags: int, location: Location) -> HostStream:
        """By /dev/stdin or /proc/PID/fd/N: another description of the same stream."""
        stream = self.stream
        return HostStream(stream.kernel, stream.shared, flags & STATUS_FLAGS, self.file.stat(), self)

    def stat(self, task: Task) -> Stat:
        return self.file.stat()

    def chmod(self, task: Task, mode: int) -> None:
        self.file.chmod(mode)

    def chown(self, task: Task, uid: int, gid: int) -> None:
        self.file.chown(uid, gid)

    def utime(self, task: Task, atime_ns: int | None, mtime_ns: int | None) -> None:
        self.file.utime(atime_ns, mtime_ns)

    def truncate(self, task: Task, length: int) -> None:
        self.file.truncate(length)


class SharedFile:
    """A host stream and how many descriptions use it: /dev/stdin opened again is one more."""

    __slots__ = ("file", "handle", "users")

    def __init__(self, file: HostFile) -> None:
        self.file = file
        self.users = 0
        self.handle: Handle | None = None
        """What mappings reach it through, when they cannot by its name; it keeps the file open."""

    def mapped_by(self, flags: int) -> Handle:
        if self.handle is None:
            from syscalls.fs.hostfile import Handle
            self.users += 1
            self.handle = Handle(self.file, flags & O_ACCMODE)
        return self.handle


class HostStream(FileDescription):
    """Standard input, output or error, when it is no terminal."""

    pollable = True

    def __init__(self, kernel: Kernel, shared: SharedFile, flags: int, stat: Stat, inode: Inode | None = None,
                 location: Location | None = None) -> None:
        super().__init__(flags, location, inode if inode is not None else StreamInode(shared.file, stat))
        self.shared = shared
        shared.users += 1
        self.file = shared.file
        self.kernel = kernel
        kind = stat.mode & S_IFMT
        self.is_file = kind == S_IFREG
        self.kind = "file" if self.is_file else "pipe"
        self.seekable = self.is_file
        self.pollable = kind not in {S_IFREG, S_IFDIR}
        self.stream = not self.is_file
        self.is_directory = kind == S_IFDIR
        self.is_terminal = kind == S_IFCHR and 136 <= stat.rdev >> 8 & 0xFFF <= 143
        self.number = stat.ino
        if isinstance(self.inode, StreamInode):
            self.inode.stream = self
        self.host_queue: HostWaitQueue | None = None
        if self.pollable and self.file.fileno() >= 0:
            self.queue = self.host_queue = HostWaitQueue(kernel.poller, self.file.fileno())

    @property
    def offset(self) -> int:
        """The position of a file is the host's, which the rest of the shell's commands share."""
        return self.file.seek(0, 1) if self.seekable else 0

    @offset.setter
    def offset(self, position: int) -> None:
        if self.seekable:
            self.file.seek(position, 0)

    def released(self) -> None:
        if self.host_queue is not None:
            self.host_queue.close()
        self.shared.users -= 1
        if not self.shared.users:
            self.file.close()

    # --- data

    def read(self, task: Task, length: int) -> bytes:
        if self.is_directory:
            raise LinuxError(EISDIR)
        self._sync_mapping(length)
        try:
            data = self.file.read(min(length, READ_MAX))
        except HostError as error:
            self._not_ready(error, POLLIN)
            raise
        if self.host_queue is not None and data:
            # Edge-triggered watchers take a short read for the end of what there was.
            self.host_queue.rearm(POLLIN)
        return data

    def write(self, task: Task, data: bytes) -> int:
        try:
            done = self.file.write(data)
        except HostError as error:
            self._not_ready(error, POLLOUT)
            raise
        if self.is_file and done:
            self._show_written(data[:done])
        return done

    def _not_ready(self, error: HostError, mask: int) -> None:
        if error.errno == EAGAIN and self.host_queue is not None:
            self.host_queue.rearm(mask)

    def pread(self, task: Task, length: int, offset: int) -> bytes:
        if not self.seekable:
            raise LinuxError(ESPIPE)
        return self.file.pread(length, offset)

    def pwrite(self, task: Task, data: bytes, offset: int) -> int:
        if not self.seekable:
            raise LinuxError(ESPIPE)
        return self.file.pwrite(data, offset)

    def unread(self, data: bytes) -> None:
        if self.seekable:
            self.file.seek(-len(data), 1)

    def seek(self, task: Task, offset: int, whence: int) -> int:
        if not self.seekable:
            raise LinuxError(ESPIPE)
        if whence in {SEEK_DATA, SEEK_HOLE}:
            return self.file.seek(self.file.seek_data(offset, whence == SEEK_HOLE), 0)
        if whence not in {0, 1, 2}:
            raise LinuxError(EINVAL)
        return self.file.seek(offset, whence)

    # --- coherence with mappings of the same file

    def _page_backing(self) -> Backing | None:
        backings = getattr(getattr(self.inode, "filesystem", None), "backings", None)
        if not backings or self.inode is None:
            return None
        found: Backing | None = backings.get(self.inode.file_key())  # type: ignore[attr-defined]
        return found if found is not None and found.page_cache is not None else None

    def _sync_mapping(self, length: int) -> None:
        if self.is_file:
            backing = self._page_backing()
            if backing is not None and backing.page_cache is not None:
                backing.page_cache.before_read(self.file.seek(0, 1), length)

    def _show_written(self, data: bytes) -> None:
        backing = self._page_backing()
        if backing is not None and backing.page_cache is not None:
            backing.page_cache.written(self.file.seek(0, 1) - len(data), data)

    # --- readiness

    def ready(self, mask: int) -> int:
        if self.host_queue is None:
            return ALWAYS_READY & mask
        bits = self.kernel.poller.probe(self.file.fileno(), mask & (POLLIN | POLLOUT))
        if bits & POLLIN:
            bits |= POLLRDNORM
        if bits & POLLOUT:
            bits |= POLLWRNORM
        missing = mask & ~bits & (POLLIN | POLLOUT)
        if missing:
            self.host_queue.rearm(missing)
        return bits & (mask | POLLERR | POLLHUP)

    # --- the rest

    def ioctl(self, task: Task, code: int, arg: int) -> int:
        if code == FIONREAD and self.stream:
            task.mem.put_u32(arg, self.file.pending())
            return 0
        if code == TCGETS and self.is_terminal:
            # A terminal other than pylx's own: that it is one, is all that can be told.
            from syscalls.abi.tty import default_termios
            task.mem.write(arg, default_termios().pack())
            return 0
        raise LinuxError(ENOTTY)

    def stat(self, task: Task) -> Stat:
        return self.file.stat()

    def truncate(self, task: Task, length: int) -> None:
        if not self.is_file:
            raise LinuxError(EINVAL)
        self.file.truncate(length)

    def allocate(self, task: Task, mode: int, offset: int, length: int) -> None:
        if not self.is_file:
            raise LinuxError(ESPIPE if self.stream else ENODEV)
        self.file.allocate(mode, offset, length)

    def sync(self, task: Task, data_only: bool) -> None:
        if not self.is_file:
            raise LinuxError(EINVAL)
        self.file.sync(data_only)

    def backing(self, task: Task, shared: bool, prot: int) -> Backing:
        """The pages that others who map the same file have too.  ENODEV for what is no file."""
        if not self.is_file:
            raise LinuxError(ENODEV)
        if self.location is not None:
            try:
                file = self.location.inode.open(task, self.flags & O_ACCMODE, self.location)
            except (LinuxError, HostError):
                pass  # it was opened by somebody who may: a descriptor needs no permission any more
            else:
                file.retain()
                try:
                    return file.backing(task, shared, prot)
                finally:
                    file.release()
        filesystem = self.kernel.vfs.host_filesystem
        stat = self.file.stat()
        backing = filesystem.backing((stat.dev, stat.ino))
        backing.adopt(self.shared.mapped_by(self.flags), self.readable, self.writable)
        return backing

    def describe(self) -> bytes:
        return b"pipe:[%d]" % self.number


STATUS_FLAGS = O_ACCMODE | O_APPEND | O_NONBLOCK | O_LARGEFILE
