"""Open regular files of the host, and how their bytes are mapped."""

from __future__ import annotations

from syscalls.abi.errno import EIO, LinuxError
from syscalls.abi.fs import (
    FALLOC_FL_COLLAPSE_RANGE,
    FALLOC_FL_INSERT_RANGE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE,
    O_APPEND,
)
from syscalls.fs.regular import RegularDescription, within_limit
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from syscalls.fs.hostfs import HostFs, HostInode
    from syscalls.fs.mounts import Location
    from syscalls.fs.vfs import Vfs
    from syscalls.task import Task
    from translator.hosts.base import HostFile
    from translator.machine import PageCache

_CHUNK = 1 << 20


class Handle:
    """A HostFile that descriptions and mappings share; closed when the last lets go."""

    __slots__ = ("access", "file", "hidden", "references")

    def __init__(self, file: HostFile, access: int) -> None:
        self.file = file
        self.access = access
        """O_RDONLY, O_WRONLY or O_RDWR."""
        self.hidden: tuple[HostFs, bytes] | None = None
        """The name that a nameless file has on a host without such files: it goes at the end."""
        self.references = 1

    def retain(self) -> Handle:
        self.references += 1
        return self

    def release(self) -> None:
        self.references -= 1
        if self.references == 0:
            self.file.close()
            if self.hidden is not None:
                self.hidden[0].remove_hidden(self.hidden[1])


class HostBacking:
    """The pages of one host file: one object per (device, inode), whoever opened it (machine.Backing).

    It stays known after the last mapping went, because the engine keeps pages and translated code with it.
    """

    __slots__ = ("_page_cache", "filesystem", "key", "lost", "number", "own_change", "reader", "references",
                 "signature", "writer")

    volatile = False

    def __init__(self, filesystem: HostFs, key: tuple[int, int]) -> None:
        self.filesystem = filesystem
        self.key: Hashable = key
        self._page_cache: PageCache | None = None
        self.reader: Handle | None = None
        self.writer: Handle | None = None
        self.references = 0
        self.signature: tuple[int, int, int] | None = None
        self.number = 0
        self.lost = 0
        """errno of a failed write-back, for the next fsync to report (AS_EIO, AS_ENOSPC)."""
        self.own_change = False
        """The content was changed by a guest since `signature` was taken, and page_cache was told."""

    @property
    def page_cache(self) -> PageCache | None:
        return self._page_cache

    @page_cache.setter
    def page_cache(self, cache: PageCache | None) -> None:
        self.filesystem.page_caches += (cache is not None) - (self._page_cache is not None)
        self._page_cache = cache
        if cache is None:
            self.own_change = False  # nobody is told of the next

    def adopt(self, handle: Handle, readable: bool, writable: bool) -> None:
        """Another description of the file is about to be mapped: read and write through the handles it has."""
        if readable and self.reader is None:
            self.reader = handle.retain()
        if writable and self.writer is None:
            self.writer = handle.retain()

    def _file(self) -> HostFile:
        handle = self.reader or self.writer
        if handle is None:
            raise LinuxError(EIO)
        return handle.file

    def host_descriptor(self, shared: bool) -> tuple[int, bool]:
        """For engines that can map the host's file itself: its descriptor in pylx, -1 when there is none, and
        whether mappings may write to it."""
        handle = self.writer if shared and self.writer is not None else self.reader or self.writer
        return (-1, False) if handle is None else (handle.file.fileno(), handle is self.writer)

    def size(self) -> int:
        return self._file().stat().size

    def version(self) -> int:
        """A number that changes when somebody outside changed the file."""
        stat = self._file().stat()
        signature = (stat.mtime_ns, stat.ctime_ns, stat.size)
        if signature != self.signature:
            if not self.own_change or self.signature is None:
                self.filesystem.versions += 1
                self.number = self.filesystem.versions
            self.signature = signature
        self.own_change = False
        return self.number

    def read_page(self, offset: int, into: memoryview) -> int:
        try:
            return self._file().pread_into(into, offset)
        except HostError:
            return -1

    def write_page(self, offset: int, data: bytes | memoryview) -> None:
        handle = self.writer
        if handle is None:
            raise LinuxError(EIO)
        room = handle.file.stat().size - offset
        if room > 0:
            self.own_change = True
            try:
                handle.file.pwrite(data if len(data) <= room else data[:room], offset)
            except HostError as error:
                self.lost = error.errno

    def allocate(self, mode: int, offset: int, length: int) -> None:
        """fallocate through a mapping (MADV_REMOVE)."""
        if self.writer is None:
            raise LinuxError(EIO)
        self.allocate_in(self.writer.file, mode, offset, length)

    def allocate_in(self, file: HostFile, mode: int, offset: int, length: int) -> None:
        """fallocate of this file, however it is open; the engine's pages follow."""
        cache = self.page_cache
        if cache is None:
            file.allocate(mode, offset, length)
            return
        cache.before_read(0, file.stat().size)
        file.allocate(mode, offset, length)
        self.own_change = True
        size = file.stat().size
        if mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE):
            cache.truncated(size)
            begin, end = offset, size
        elif mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE):
            begin, end = offset, min(offset + length, size)
        else:
            return
        while begin < end:
            data = file.pread(min(_CHUNK, end - begin), begin)
            if not data:
                break
            cache.written(begin, data)
            begin += len(data)

    def retain(self) -> None:
        self.references += 1

    def release(self) -> None:
        self.references -= 1
        if self.references == 0:
            reader, writer = self.reader, self.writer
            self.reader = self.writer = None
            if reader is not None:
                reader.release()
            if writer is not None:
                writer.release()


class HostDescription(RegularDescription):
    """An open regular file of the host."""

    inode: HostInode

    def __init__(self, flags: int, location: Location, inode: HostInode, vfs: Vfs, handle: Handle) -> None:
        super().__init__(flags, location, inode, vfs)
        self.handle = handle
        self.file = handle.file
        self.filesystem = inode.filesystem
        self.key: tuple[int, int] | None = None

    @property
    def dontcache(self) -> bool:
        return self.filesystem.name in ("ext2", "ext4", "xfs", "btrfs")

    @property
    def writes_nowait(self) -> bool:
        return self.filesystem.name not in ("ext2", "ext4")  # ext4_buffered_write_iter

    def file_key(self) -> tuple[int, int]:
        if self.key is None:
            self.key = self.inode.file_key()
        return self.key

    def _backing(self) -> HostBacking | None:
        """The mapped pages of this file, if anybody has or had some."""
        return self.filesystem.backings.get(self.key or self.file_key())

    def _load(self, length: int, offset: int) -> bytes:
        if self.filesystem.page_caches:
            self._before_read(offset, length)
        return self.file.pread(length, offset)

    def _before_read(self, offset: int, length: int) -> None:
        backing = self._backing()
        if backing is not None and backing.page_cache is not None and backing.writer is not None:
            backing.page_cache.before_read(offset, length)

    def _store(self, data: bytes | memoryview, offset: int) -> int:
        done = self.file.pwrite(data, offset)
        if self.filesystem.page_caches:
            self._written(data, offset, done)
        return done

    def unreadable_data(self, task: Task, length: int) -> None:
        self.unreadable_at(task, length, self.offset)

    def unreadable_at(self, task: Task, length: int, offset: int) -> None:
        """Behind the end it is the file system's affair whether the file grows up to there (ext4's does)."""
        if self.flags & O_APPEND:
            within_limit(task, self.size(), length)
            return
        within_limit(task, offset, length)
        probe = getattr(self.file, "write_unreadable", None)
        if probe is not None and offset > self.size():
            probe(length, offset)

    def _append(self, data: bytes | memoryview) -> tuple[int, int]:
        done = self.file.append(data)
        end = self.file.stat().size
        if self.filesystem.page_caches:
            self._written(data, end - done, done)
        return done, end

    def _written(self, data: bytes | memoryview, offset: int, done: int) -> None:
        backing = self._backing()
        if backing is not None:
            backing.own_change = backing.page_cache is not None
            if backing.page_cache is not None:
                backing.page_cache.written(offset, data if done == len(data) else data[:done])

    def _resize(self, length: int) -> None:
        self.file.truncate(length)
        self.resized(length)

    def resized(self, length: int) -> None:
        """The file was cut or extended to `length`: mappings must show it."""
        backing = self._backing() if self.filesystem.backings else None
        if backing is not None:
            backing.own_change = backing.page_cache is not None
            if backing.page_cache is not None:
                backing.page_cache.truncated(length)

    def size(self) -> int:
        return self.file.stat().size

    def _seek_data(self, offset: int, hole: bool) -> int:
        return self.file.seek_data(offset, hole)

    def _allocate(self, mode: int, offset: int, length: int) -> None:
        backing = self._backing() if self.filesystem.backings else None
        if backing is not None:
            backing.allocate_in(self.file, mode, offset, length)
        else:
            self.file.allocate(mode, offset, length)

    def sync(self, task: Task, data_only: bool) -> None:
        backing = self._backing() if self.filesystem.backings else None
        if backing is not None and backing.page_cache is not None and backing.writer is not None:
            backing.page_cache.before_read(0, self.size())
        if backing is not None and backing.lost:
            lost, backing.lost = backing.lost, 0
            raise LinuxError(lost)
        self.file.sync(data_only)

    def backing(self, task: Task, shared: bool, prot: int) -> HostBacking:
        backing = self.filesystem.backing(self.file_key())
        backing.adopt(self.handle, self.readable, self.writable)
        return backing

    def released(self) -> None:
        super().released()
        self.inode.handle = None
        self.handle.release()
