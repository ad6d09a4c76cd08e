"""Files in memory (mm/shmem.c): tmpfs, and the objects behind memfd, System V shared memory and /dev/shm.

A file's bytes are kept by page; a page that was never written is a hole.
"""

from __future__ import annotations

from syscalls.abi.errno import EEXIST, EFBIG, ENODATA, ENOSPC, ENOTEMPTY, ENXIO, EOPNOTSUPP, EPERM, LinuxError
from syscalls.abi.fs import (
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    O_EXCL,
    O_TRUNC,
    OFFSET_MAX,
    RENAME_EXCHANGE,
    S_IALLUGO,
    S_ISGID,
    TMPFS_MAGIC,
    XATTR_CREATE,
    XATTR_REPLACE,
)
from syscalls.fs.directory import OpenDirectory
from syscalls.fs.fileattr import FS_APPEND_FL, FS_IMMUTABLE_FL, FS_NOATIME_FL, FS_NODUMP_FL
from syscalls.fs.inode import (
    ACL_NAMES,
    S_IFDIR,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    FileSystem,
    Inode,
    Stat,
    StatFs,
    check_attribute_name,
    not_found,
)
from syscalls.fs.memory_description import MemoryDescription
from syscalls.fs.permission import mode_after_chown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from syscalls.fd import FileDescription
    from syscalls.fs.mounts import Location
    from syscalls.kernel import Kernel
    from syscalls.task import Task
    from translator.machine import PageCache

PAGE = 4096
DIRENT_SIZE = 20
"""What a name adds to a directory's st_size (BOGO_DIRENT_SIZE)."""
_ZEROS = bytearray(PAGE)


class TmpFs(FileSystem):
    """One instance.  Limits of None are none: pages of data, and inodes."""

    name = "tmpfs"
    magic = TMPFS_MAGIC

    def __init__(self, kernel: Kernel, device: int, *, mode: int = 0o1777, uid: int = 0, gid: int = 0,
                 pages: int | None = None, inodes: int | None = None) -> None:
        super().__init__(device)
        self.kernel = kernel
        self.max_pages = pages
        self.max_inodes = inodes
        self.used_pages = 0
        self.used_inodes = 0
        self.last_number = 0
        self.root: MemoryDirectory = MemoryDirectory(self, S_IFDIR | mode, uid, gid)

    def now(self) -> int:
        return self.kernel.clock.realtime()

    def next_number(self) -> int:
        if self.max_inodes is not None and self.used_inodes >= self.max_inodes:
            raise LinuxError(ENOSPC)
        self.used_inodes += 1
        self.last_number += 1
        return self.last_number

    def take_pages(self, count: int) -> None:
        if self.max_pages is not None and self.used_pages + count > self.max_pages:
            raise LinuxError(ENOSPC)
        self.used_pages += count

    def statfs(self, task: Task, inode: Inode) -> StatFs:
        pages = self.max_pages
        if pages is None:
            pages = self.kernel.host.memory()[0] // 2 // PAGE
        inodes = self.max_inodes or pages
        free = max(0, pages - self.used_pages)
        return StatFs(self.magic, PAGE, pages, free, free, inodes, max(0, inodes - self.used_inodes), 255, 0)


class MemoryNode(Inode):
    """Attributes, links and extended attributes, which all types have."""

    __slots__ = ("atime_ns", "attributes", "btime_ns", "ctime_ns", "filesystem", "gid", "mode", "mtime_ns", "nlink",
                 "number", "rdev", "uid", "xattrs")
    filesystem: TmpFs

    def __init__(self, filesystem: TmpFs, mode: int, uid: int, gid: int, rdev: int = 0) -> None:
        self.filesystem = filesystem
        self.number = filesystem.next_number()
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.rdev = rdev
        self.nlink = 1
        self.atime_ns = self.mtime_ns = self.ctime_ns = self.btime_ns = filesystem.now()
        self.xattrs: dict[bytes, bytes] | None = None
        self.attributes = 0
        """The FS_ bits of chattr(1)."""

    def size(self) -> int:
        return 0

    def blocks(self) -> int:
        return 0

    def stat(self, task: Task) -> Stat:
        return Stat(dev=self.filesystem.device, ino=self.number, mode=self.mode, nlink=self.nlink, uid=self.uid,
                    gid=self.gid, rdev=self.rdev, size=self.size(), blksize=PAGE, blocks=self.blocks(),
                    atime_ns=self.atime_ns, mtime_ns=self.mtime_ns, ctime_ns=self.ctime_ns, btime_ns=self.btime_ns)

    def identity(self, task: Task) -> tuple[int, int]:
        return self.filesystem.device, self.number

    def changed(self) -> None:
        self.ctime_ns = self.filesystem.now()

    def modified(self) -> None:
        self.mtime_ns = self.ctime_ns = self.filesystem.now()

    def chmod(self, task: Task, mode: int) -> None:
        self.mode = self.mode & S_IFMT | mode & S_IALLUGO
        self.changed()

    def chown(self, task: Task, uid: int, gid: int) -> None:
        if uid != -1:
            self.uid = uid
        if gid != -1:
            self.gid = gid
        self.mode = mode_after_chown(self.mode)
        self.changed()

    def utime(self, task: Task, atime_ns: int | None, mtime_ns: int | None) -> None:
        if atime_ns is not None:
            self.atime_ns = atime_ns
        if mtime_ns is not None:
            self.mtime_ns = mtime_ns
        self.changed()

    def file_flags(self, task: Task) -> int:
        if self.mode & S_IFMT not in (S_IFREG, S_IFDIR):
            raise LinuxError(EOPNOTSUPP)
        return self.attributes

    @property
    def immutable(self) -> bool:  # type: ignore[override]
        return bool(self.attributes & FS_IMMUTABLE_FL)

    @property
    def append_only(self) -> bool:  # type: ignore[override]
        return bool(self.attributes & FS_APPEND_FL)

    def attribute_bits(self) -> tuple[int, int]:
        shown = FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL  # numbers of statx, too
        return self.attributes & shown, shown

    def set_file_flags(self, task: Task, flags: int) -> None:
        """shmem_fileattr_set.  EOPNOTSUPP."""
        if flags & ~(FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL):
            raise LinuxError(EOPNOTSUPP)
        self.attributes = flags
        self.changed()

    # --- extended attributes: user.*, trusted.* and security.* are stored as they come

    def getxattr(self, task: Task, name: bytes) -> bytes:
        check_attribute_name(name)
        value = self.xattrs.get(name) if self.xattrs else None
        if value is None:
            raise LinuxError(ENODATA)
        return value

    def setxattr(self, task: Task, name: bytes, value: bytes, flags: int) -> None:
        check_attribute_name(name)
        if name in ACL_NAMES:
            # What has no entry takes the list away, and there never is one: its rights would have to count.
            self.removexattr(task, name)
            if len(value) > 4:
                raise LinuxError(EOPNOTSUPP)
            return
        known = self.xattrs is not None and name in self.xattrs
        if flags & XATTR_CREATE and known:
            raise LinuxError(EEXIST)
        if flags & XATTR_REPLACE and not known:
            raise LinuxError(ENODATA)
        if self.xattrs is None:
            self.xattrs = {}
        self.xattrs[name] = value
        self.changed()

    def listxattr(self, task: Task) -> list[bytes]:
        return list(self.xattrs) if self.xattrs else []

    def removexattr(self, task: Task, name: bytes) -> None:
        check_attribute_name(name)
        if name in ACL_NAMES:
            from syscalls.fs.permission import owner_or_capable
            if not owner_or_capable(task, self):
                raise LinuxError(EPERM)
            return
        if not self.xattrs or name not in self.xattrs:
            raise LinuxError(ENODATA)
        del self.xattrs[name]
        self.changed()

    # --- life

    def unlinked(self) -> None:
        self.nlink -= 1
        self.changed()
        if self.nlink == 0:
            self.filesystem.used_inodes -= 1

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        """Device nodes; FIFOs and sockets are not opened here."""
        from syscalls.fs.devfs import open_by_number
        return open_by_number(task, self, flags, location)


class MemorySymlink(MemoryNode):
    __slots__ = ("target",)

    def __init__(self, filesystem: TmpFs, target: bytes, uid: int, gid: int) -> None:
        super().__init__(filesystem, S_IFLNK | 0o777, uid, gid)
        self.target = target

    def size(self) -> int:
        return len(self.target)

    def readlink(self, task: Task) -> bytes:
        return self.target


class MemoryDirectory(MemoryNode):
    __slots__ = ("children",)

    def __init__(self, filesystem: TmpFs, mode: int, uid: int, gid: int) -> None:
        super().__init__(filesystem, mode, uid, gid)
        self.nlink = 2
        self.children: dict[bytes, MemoryNode] = {}

    def size(self) -> int:
        return DIRENT_SIZE * (len(self.children) + 2)

    def removed(self) -> bool:
        return self.nlink == 0

    def lookup(self, task: Task, name: bytes) -> Inode:
        node = self.children.get(name)
        if node is None:
            raise not_found(name)
        return node

    def entries(self, task: Task) -> list[tuple[bytes, int, int]]:
        # The newest first, as simple_readdir's list gives them.
        return [(name, node.number, node.mode >> 12 & 15) for name, node in reversed(self.children.items())]

    def _owner(self, task: Task, mode: int) -> tuple[int, int, int]:
        """Mode, uid and gid of a new child (inode_init_owner): a set-group-ID directory hands its group down."""
        cred = task.cred
        if not self.mode & S_ISGID:
            return mode, cred.fsuid, cred.fsgid
        return mode | S_ISGID if mode & S_IFMT == S_IFDIR else mode, cred.fsuid, self.gid

    def _add(self, name: bytes, node: MemoryNode) -> MemoryNode:
        if self.nlink == 0:
            raise not_found(name)
        if name in self.children:
            raise LinuxError(EEXIST)
        self.children[name] = node
        self.modified()
        return node

    def _add_new(self, name: bytes, node: MemoryNode) -> MemoryNode:
        node.attributes = self.attributes & (FS_NODUMP_FL | FS_NOATIME_FL)
        return self._add(name, node)

    def create(self, task: Task, name: bytes, mode: int) -> Inode:
        return self._add_new(name, MemoryFile(self.filesystem, *self._owner(task, mode)))

    def tmpfile(self, task: Task, mode: int, flags: int) -> Inode:
        node = MemoryFile(self.filesystem, *self._owner(task, mode))
        node.attributes = self.attributes & (FS_NODUMP_FL | FS_NOATIME_FL)
        node.nlink = 0
        node.linkable = not flags & O_EXCL
        return node

    def mkdir(self, task: Task, name: bytes, mode: int) -> Inode:
        node = MemoryDirectory(self.filesystem, *self._owner(task, S_IFDIR | mode & S_IALLUGO))
        self._add_new(name, node)
        self.nlink += 1
        return node

    def mknod(self, task: Task, name: bytes, mode: int, rdev: int) -> Inode:
        if mode & S_IFMT == S_IFREG:
            return self.create(task, name, mode)
        return self._add_new(name, MemoryNode(self.filesystem, *self._owner(task, mode), rdev))

    def symlink(self, task: Task, name: bytes, target: bytes) -> Inode:
        _, uid, gid = self._owner(task, S_IFLNK)
        return self._add_new(name, MemorySymlink(self.filesystem, target, uid, gid))

    def link(self, task: Task, name: bytes, inode: Inode) -> None:
        assert isinstance(inode, MemoryNode)
        if inode.nlink == 0 and not (isinstance(inode, MemoryFile) and inode.linkable):
            raise not_found(name)
        self._add(name, inode)
        inode.nlink += 1
        inode.changed()

    def unlink(self, task: Task, name: bytes) -> None:
        node = self.children.pop(name, None)
        if node is None:
            raise not_found(name)
        node.unlinked()
        self.modified()

    def rmdir(self, task: Task, name: bytes) -> None:
        node = self.children.get(name)
        assert isinstance(node, MemoryDirectory)
        if node.children:
            raise LinuxError(ENOTEMPTY)
        del self.children[name]
        node.nlink = 1
        node.unlinked()
        self.nlink -= 1
        self.modified()

    def rename(self, task: Task, name: bytes, target: Inode, new_name: bytes, flags: int) -> None:
        assert isinstance(target, MemoryDirectory)
        node = self.children[name]
        old = target.children.get(new_name)
        if flags & RENAME_EXCHANGE:
            assert old is not None
            self.children[name], target.children[new_name] = old, node
            self._moved_directory(old, target, -1)
            self._moved_directory(old, self, 1)
        else:
            if isinstance(old, MemoryDirectory):
                target.rmdir(task, new_name)
            elif old is not None:
                target.unlink(task, new_name)
            del self.children[name]
            target.children[new_name] = node
        self._moved_directory(node, self, -1)
        self._moved_directory(node, target, 1)
        node.changed()
        self.modified()
        target.modified()

    @staticmethod
    def _moved_directory(node: MemoryNode, directory: MemoryDirectory, links: int) -> None:
        if isinstance(node, MemoryDirectory):
            directory.nlink += links

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        return OpenDirectory(flags, location, self)


class MemoryFile(MemoryNode):
    """A regular file in memory; it is its own Backing (machine.Backing)."""

    volatile = False

    __slots__ = ("key", "length", "linkable", "page_cache", "pages", "sealed", "unwritten")

    def __init__(self, filesystem: TmpFs, mode: int, uid: int, gid: int) -> None:
        super().__init__(filesystem, mode, uid, gid)
        self.pages: dict[int, bytearray] = {}
        self.length = 0
        self.linkable = False
        self.key: Hashable = (filesystem.device, self.number)
        self.page_cache: PageCache | None = None
        self.sealed = 0
        """F_SEAL_ bits (memfd)."""
        self.unwritten: set[int] | None = None
        """Pages that fallocate made: they are holes (not uptodate) until something is written there."""

    def stat(self, task: Task) -> Stat:
        if self.page_cache is not None:
            self.page_cache.before_read(0, self.length)
        return super().stat(task)

    def blocks(self) -> int:
        return len(self.pages) * (PAGE // 512)

    # --- Backing

    def size(self) -> int:
        return self.length

    def version(self) -> int:
        """The content never changes behind page_cache's back."""
        return 0

    def read_page(self, offset: int, into: memoryview) -> int:
        data = self.load(len(into), offset)
        into[:len(data)] = data
        return len(data)

    def data_offsets(self) -> list[int]:
        """Where pages are that are not known to be empty: for engines that copy the content."""
        return [index * PAGE for index in sorted(self.pages)]

    def write_page(self, offset: int, data: bytes | memoryview) -> None:
        room = self.length - offset
        if room > 0:
            self._put(data if len(data) <= room else data[:room], offset)

    def retain(self) -> None:
        """Memory needs no handle."""

    def release(self) -> None:
        """The pages go with the object."""

    # --- bytes

    def load(self, length: int, offset: int) -> bytes:
        """The bytes themselves, without a look at mapped pages."""
        length = min(length, self.length - offset)
        if length <= 0:
            return b""
        pages = self.pages
        index, start = divmod(offset, PAGE)
        if start + length <= PAGE:
            page = pages.get(index)
            return bytes(length) if page is None else bytes(page[start:start + length])
        out: list[bytes | bytearray] = []
        while length > 0:
            step = min(PAGE - start, length)
            page = pages.get(index) or _ZEROS
            out.append(page if step == PAGE else page[start:start + step])
            length -= step
            index += 1
            start = 0
        return b"".join(out)

    def _put(self, data: bytes | memoryview, offset: int) -> int:
        """How many bytes there was room for; ENOSPC for none."""
        pages = self.pages
        view = memoryview(data)
        done = 0
        total = len(view)
        while done < total:
            index, start = divmod(offset + done, PAGE)
            step = min(PAGE - start, total - done)
            page = pages.get(index)
            if page is None:
                try:
                    self.filesystem.take_pages(1)
                except LinuxError:
                    if done:
                        return done
                    raise
                page = pages[index] = bytearray(PAGE)
            elif self.unwritten is not None:
                self.unwritten.discard(index)
            page[start:start + step] = view[done:done + step]
            done += step
        return done

    def store(self, data: bytes | memoryview, offset: int) -> int:
        """write(2): the file grows as needed, and mappings show it."""
        if offset + len(data) > OFFSET_MAX:
            raise LinuxError(EFBIG)
        done = self._put(data, offset)
        self.length = max(self.length, offset + done)
        if self.page_cache is not None:
            self.page_cache.written(offset, data if done == len(data) else data[:done])
        self.modified()
        return done

    def touch_page(self, offset: int) -> None:
        """A page for a write of which nothing came."""
        index = offset // PAGE
        if index not in self.pages:
            self.filesystem.take_pages(1)
            self.pages[index] = bytearray(PAGE)
        elif self.unwritten is not None:
            self.unwritten.discard(index)

    def resize(self, length: int) -> None:
        if length < self.length:
            self._drop(length, self.length)
        self.length = length
        if self.page_cache is not None:
            self.page_cache.truncated(length)
        self.modified()

    def _drop(self, start: int, end: int) -> None:
        """Make a hole: whole pages go, parts are zeroed."""
        pages = self.pages
        first, last = start // PAGE, (end + PAGE - 1) // PAGE
        touched = range(first, last) if last - first <= len(pages) else [i for i in pages if first <= i < last]
        for index in touched:
            page = pages.get(index)
            if page is None:
                continue
            low, high = max(start - index * PAGE, 0), min(end - index * PAGE, PAGE)
            if low == 0 and (high == PAGE or index * PAGE + high >= self.length):
                del pages[index]
                if self.unwritten is not None:
                    self.unwritten.discard(index)
                self.filesystem.used_pages -= 1
            else:
                page[low:high] = bytes(high - low)

    def allocate(self, mode: int, offset: int, length: int) -> None:
        """fallocate: FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE are all that `mode` can have."""
        end = offset + length
        if mode & FALLOC_FL_PUNCH_HOLE:
            if self.page_cache is not None:
                self.page_cache.before_read(0, self.length)
            stop = min(end, self.length)
            if stop > offset:
                self._drop(offset, stop)
                if self.page_cache is not None:
                    self.page_cache.written(offset, bytes(stop - offset))
            self.modified()
            return
        fresh = [index for index in range(offset // PAGE, (end + PAGE - 1) // PAGE) if index not in self.pages]
        self.filesystem.take_pages(len(fresh))
        for index in fresh:
            self.pages[index] = bytearray(PAGE)
        self.unwritten = (self.unwritten or set()).union(fresh)
        if end > self.length and not mode & FALLOC_FL_KEEP_SIZE:
            self.length = end
            if self.page_cache is not None:
                self.page_cache.truncated(end)
        self.modified()

    def seek_data(self, offset: int, hole: bool) -> int:
        if self.page_cache is not None:
            self.page_cache.before_read(0, self.length)
        index = offset // PAGE
        end = (self.length + PAGE - 1) // PAGE
        written = self.pages.keys() - self.unwritten if self.unwritten else self.pages
        while index < end and (index in written) is hole:
            index += 1
        if index >= end:
            if hole:
                return self.length
            raise LinuxError(ENXIO)
        return max(offset, index * PAGE)

    # --- the rest

    def truncate(self, task: Task, length: int) -> None:
        self.resize(length)

    def __del__(self) -> None:
        self.filesystem.used_pages -= len(self.pages)

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        if flags & O_TRUNC:
            self.resize(0)
        return MemoryDescription(flags, location, self, task.kernel.vfs)
