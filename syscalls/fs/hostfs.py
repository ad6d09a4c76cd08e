"""The host's files as a guest file system.

Inodes here are light: one is made at each lookup and carries the path by which the host knows the file, which its
pinned dentry keeps right across renames by guests.  Nothing about a file is remembered between system calls but what
cannot go stale: open handles, the identity (device and inode number) of open files, the targets of unchanged links.
"""

from __future__ import annotations

from syscalls.abi.errno import EACCES, EINVAL, ENOENT, ENOSYS, ENOTTY, EOPNOTSUPP, LinuxError
from syscalls.abi.fs import (
    O_ACCMODE,
    O_APPEND,
    O_CREAT,
    O_DIRECTORY,
    O_DSYNC,
    O_EXCL,
    O_NOATIME,
    O_NONBLOCK,
    O_RDONLY,
    O_RDWR,
    O_SYNC_BIT,
    O_TMPFILE_BIT,
    O_TRUNC,
    RENAME_EXCHANGE,
    S_ISGID,
)
from syscalls.fs.directory import OpenDirectory
from syscalls.fs.holds import Removal, hold_below, hold_too
from syscalls.fs.hostfile import Handle, HostBacking, HostDescription
from syscalls.fs.inode import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, FileSystem, Inode, Stat, StatFs
from syscalls.fs.mounts import Dentry, join, parent_path
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.credentials import Credentials
    from syscalls.fd import FileDescription
    from syscalls.fs.mounts import Location
    from syscalls.fs.vfs import Vfs
    from syscalls.task import Task
    from translator.hosts.base import Host, HostFile, HostTree

_OPEN_FLAGS = O_ACCMODE | O_TRUNC | O_APPEND | O_NOATIME | O_DSYNC | O_SYNC_BIT
"""What of a guest's open flags reaches the host."""
_KNOWN_BACKINGS = 2048
_KNOWN_LINKS = 4096

_NAMES = {0xEF53: "ext4", 0x794C7630: "overlay", 0x01021994: "tmpfs", 0x9123683E: "btrfs", 0x58465342: "xfs",
          0x6969: "nfs", 0xF2F52010: "f2fs", 0x2FC12FC1: "zfs", 0x65735546: "fuse", 0x01021997: "9p"}


class HostFs(FileSystem):
    """A tree of the host.  The host acts with the rights of whoever started pylx."""

    by_path = sparse_positions = True

    def __init__(self, host: Host, vfs: Vfs, root: bytes, confined: bool) -> None:
        self.tree: HostTree = host.tree(root, confined)
        self.host_root = root
        self.vfs = vfs
        stat = self.tree.lstat(b"")
        super().__init__(stat.dev)
        self.root = HostInode(self, Dentry(b""), stat)
        self.root.fresh = None
        self.uid, self.gid, groups = host.ids()
        self.groups = frozenset(groups) | {self.gid}
        self.backings: dict[tuple[int, int], HostBacking] = {}
        self.page_caches = 0
        """How many of these the engine keeps pages of, in memory of its own, rather than map the host's file."""
        self.versions = 0
        self.links: dict[bytes, tuple[int, int, int, bytes]] = {}
        self.head_links: dict[bytes, bytes] = {}
        """Links in the root directory that lead to plain paths below it (/lib -> usr/lib), as far as walks met them.
        head_target says whether one still does."""
        self.hidden: set[bytes] = set()
        """Names that guests must not see: what stands in for files without one (O_TMPFILE)."""
        self._name = ""

    @property
    def name(self) -> str:  # type: ignore[override]
        if not self._name:
            self._name = _NAMES.get(self.tree.statfs(b"").type, "ext4")
        return self._name

    @property
    def knows_map_sync(self) -> bool:  # type: ignore[override]
        return self.name in ("ext2", "ext4", "xfs")

    # --- whom the host can check

    def trusts(self, cred: Credentials) -> bool:
        """Whether the host's own permission checks are right for these credentials: the guest is who pylx is."""
        if cred is self.trusted:
            return True
        if self.holding:
            self.holding = self.tree.holding()
            if self.holding:
                return False
        if cred.fsuid != self.uid or cred.fsgid != self.gid or not self.groups.issuperset(cred.groups):
            return False
        if self.uid == 0:
            if cred.cap_effective & 0b11110 != 0b11110:  # DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID
                return False
        elif not self.groups.issubset({*cred.groups, cred.fsgid}):
            return False
        self.trusted = cred
        return True

    def pinned(self, dentry: Dentry) -> None:
        hold_too(self, dentry)

    def names_changed(self, moves: list[tuple[bytes, bytes]], removed: bytes | None) -> None:
        self.tree.names_changed(moves, removed)

    def forget_trust(self) -> None:
        self.trusted = None

    # --- finding

    def inode_at(self, path: bytes) -> HostInode:
        """The object of that path; nothing is asked of the host yet."""
        return HostInode(self, Dentry(path), None)

    def target(self, path: bytes, stat: Stat) -> bytes:
        """readlink of the link at `path`, whose stat is at hand: a link never changes, it is replaced."""
        known = self.links.get(path)
        if known is not None and known[0] == stat.ino and known[1] == stat.ctime_ns and known[2] == stat.dev:
            return known[3]
        target = self.tree.readlink(path)
        if len(self.links) >= _KNOWN_LINKS:
            self.links.clear()
        if b"/" not in path and not any(part in (b"", b".", b"..") for part in target.split(b"/")):
            self.head_links[path] = target
        self.links[path] = (stat.ino, stat.ctime_ns, stat.dev, target)
        return target

    def head_target(self, head: bytes) -> bytes:
        """Where a link of the root directory leads, from the root; b"" when it has become something else.  One host
        call without a walk."""
        try:
            target = self.tree.readlink(head)
        except HostError:
            target = b""
        if target != self.head_links[head]:
            del self.head_links[head]
            return b""
        return target

    def create_at(self, path: bytes, flags: int, mode: int) -> HostInode | None:
        """Make a file, for somebody whom the host trusts; None when that cannot be done in one step."""
        file = self.tree.create(path, flags & _OPEN_FLAGS & ~O_TRUNC, mode & 0o7777)
        if file is None:
            return None
        inode = HostInode(self, Dentry(path), None)
        inode.handle = Handle(file, flags & O_ACCMODE)
        inode.is_new = inode.pending = True
        inode.mode = mode
        return inode

    def backing(self, key: tuple[int, int]) -> HostBacking:
        backing = self.backings.get(key)
        if backing is None:
            if len(self.backings) >= _KNOWN_BACKINGS:
                for old in [old for old, unused in self.backings.items() if not unused.references]:
                    del self.backings[old]
            backing = self.backings[key] = HostBacking(self, key)
        return backing

    def hidden_name(self, directory: bytes) -> bytes:
        self.versions += 1
        path = join(directory, b".pylx-%d-%d" % (self.vfs.kernel.host.pid(), self.versions))
        self.hidden.add(path)
        return path

    def remove_hidden(self, path: bytes) -> None:
        self.hidden.discard(path)
        try:
            self.tree.unlink(path)
        except HostError as error:
            if error.errno != ENOENT:
                raise

    def exchange(self, old: bytes, new: bytes) -> None:
        """RENAME_EXCHANGE on a host without it: one step for guests, three for other host programs."""
        aside = self.hidden_name(parent_path(old))
        try:
            self.tree.rename(old, aside, 0)
            try:
                self.tree.rename(new, old, 0)
            except HostError:
                self.tree.rename(aside, old, 0)
                raise
            self.tree.rename(aside, new, 0)
        finally:
            self.hidden.discard(aside)

    def own(self, task: Task, path: bytes, directory: HostInode, mode: int) -> None:
        """Give a new file to the guest's user when that is not who pylx is (inode_init_owner)."""
        cred = task.cred
        if cred.fsuid == self.uid and cred.fsgid == self.gid:
            return
        gid = directory.gid if directory.mode & S_ISGID else cred.fsgid
        self.tree.chown(path, cred.fsuid, gid)
        if mode & 0o6000 and mode & S_IFMT != S_IFDIR:
            self.tree.chmod(path, mode & 0o7777)

    def statfs(self, task: Task, inode: Inode) -> StatFs:
        assert isinstance(inode, HostInode)
        if inode.handle is not None:
            return inode.handle.file.statfs()
        return self.tree.statfs(inode.path())


class HostInode(Inode):
    """A file of the host, by path.  `mode`, `dev`, `ino`, `uid`, `gid` are those of the last look, which is taken when
    one is first asked for."""

    __slots__ = ("dentry", "dev", "filesystem", "fresh", "gid", "handle", "ino", "is_new", "mode", "pending", "uid")
    ignores_xflags = True
    filesystem: HostFs
    dev: int
    ino: int
    uid: int
    gid: int

    def __init__(self, filesystem: HostFs, dentry: Dentry, stat: Stat | None) -> None:
        self.filesystem = filesystem
        self.dentry = dentry
        self.handle: Handle | None = None
        """Set while the file is open: operations then reach it whatever its name is."""
        self.is_new = False
        self.pending = False
        """`handle` was opened when the file was made, for the description that comes next."""
        self.fresh = stat
        """A stat of this very system call."""
        if stat is not None:
            self.mode = stat.mode
            self.dev = stat.dev
            self.ino = stat.ino
            self.uid = stat.uid
            self.gid = stat.gid

    def __getattr__(self, name: str) -> int:
        # Only reached while the slot is empty.
        if name not in ("mode", "dev", "ino", "uid", "gid"):
            raise AttributeError(name)
        return int(getattr(self._look(), name))

    def _look(self) -> Stat:
        if self.handle is not None:
            stat = self.handle.file.stat()
            if self.handle.hidden is not None:
                stat.nlink -= 1
        else:
            stat = self.filesystem.tree.lstat(self.path())
        self.mode = stat.mode
        self.dev = stat.dev
        self.ino = stat.ino
        self.uid = stat.uid
        self.gid = stat.gid
        return stat

    def refresh(self) -> None:
        try:
            self._look()
        except (HostError, LinuxError):
            pass  # it is gone: what is known of it stays

    def path(self) -> bytes:
        """ENOENT when the name is gone, and nothing else leads there."""
        dentry = self.dentry
        if dentry.deleted:
            if hasattr(dentry, "hold"):
                return dentry.hold.path
            raise LinuxError(ENOENT)
        return dentry.path

    def pinned(self, dentry: Dentry) -> None:
        self.dentry = dentry
        self.fresh = None

    # --- attributes

    def stat(self, task: Task) -> Stat:
        stat = self.fresh
        if stat is not None:
            self.fresh = None
            return stat
        if self.dentry.deleted and self.handle is None and not hasattr(self.dentry, "hold"):
            # A removed working directory: what is still known of it.
            return Stat(dev=self.dev, ino=self.ino, mode=self.mode, nlink=0, uid=self.uid, gid=self.gid)
        return self._look()

    def identity(self, task: Task) -> tuple[int, int]:
        return self.dev, self.ino

    def file_key(self) -> tuple[int, int]:
        """The identity of an open file.  A file that was just made may have the number of an earlier one, of which
        pages are still known."""
        key = (self.dev, self.ino)
        if self.is_new:
            self.is_new = False
            old = self.filesystem.backings.get(key)
            if old is not None and not old.references:
                del self.filesystem.backings[key]
        return key

    def btime(self, task: Task) -> int:
        if self.handle is not None:
            return self.handle.file.btime()
        return self.filesystem.tree.btime(self.path())

    def file_flags(self, task: Task) -> int:
        return self._with_file(lambda file: file.attributes())

    def set_file_flags(self, task: Task, flags: int) -> None:
        def change(file: HostFile) -> int:
            file.set_attributes(flags)
            return 0
        self._with_file(change)

    def _with_file(self, act: Callable[[HostFile], int]) -> int:
        """What can only be asked of an open file.  EOPNOTSUPP for what has no such attributes."""
        if self.mode & S_IFMT not in (S_IFREG, S_IFDIR):
            raise LinuxError(EOPNOTSUPP)
        try:
            if self.handle is not None:
                return act(self.handle.file)
            file = self.filesystem.tree.open(self.path(), O_RDONLY | O_NONBLOCK, 0)
            try:
                return act(file)
            finally:
                file.close()
        except HostError as error:
            if error.errno != ENOTTY:
                raise
            raise LinuxError(EOPNOTSUPP) from None

    def chmod(self, task: Task, mode: int) -> None:
        if self.handle is not None:
            self.handle.file.chmod(mode)
        else:
            if mode & 0o500 != 0o500 and self.mode & S_IFMT == S_IFDIR and not self.dentry.deleted:
                hold_below(self.filesystem, self.dentry.path)
            self.filesystem.tree.chmod(self.path(), mode)
        self._changed()

    def chown(self, task: Task, uid: int, gid: int) -> None:
        if self.handle is not None:
            self.handle.file.chown(uid, gid)
        else:
            self.filesystem.tree.chown(self.path(), uid, gid)
        self._changed()

    def _changed(self) -> None:
        """chmod and chown may do other than what was asked (set-ID bits): who needs to know looks again."""
        self.fresh = None
        try:
            del self.mode
            del self.uid, self.gid
        except AttributeError:
            pass  # the owner was not known, or nothing was

    def utime(self, task: Task, atime_ns: int | None, mtime_ns: int | None) -> None:
        if self.handle is not None:
            self.handle.file.utime(atime_ns, mtime_ns)
        else:
            self.filesystem.tree.utime(self.path(), atime_ns, mtime_ns)
        self.fresh = None

    def truncate(self, task: Task, length: int) -> None:
        self.filesystem.tree.truncate(self.path(), length)
        self.fresh = None
        self._show_size(length)

    def _show_size(self, length: int) -> None:
        """The file was cut or extended by its name: mappings must show it."""
        backings = self.filesystem.backings
        backing = backings.get((self.dev, self.ino)) if backings else None
        if backing is not None and backing.page_cache is not None:
            backing.own_change = True
            backing.page_cache.truncated(length)

    def getxattr(self, task: Task, name: bytes) -> bytes:
        if self.handle is not None:
            return self.handle.file.getxattr(name)
        return self.filesystem.tree.getxattr(self.path(), name)

    def setxattr(self, task: Task, name: bytes, value: bytes, flags: int) -> None:
        if self.handle is not None:
            self.handle.file.setxattr(name, value, flags)
        else:
            self.filesystem.tree.setxattr(self.path(), name, value, flags)
        self.fresh = None

    def listxattr(self, task: Task) -> list[bytes]:
        try:
            if self.handle is not None:
                return self.handle.file.listxattr()
            return self.filesystem.tree.listxattr(self.path())
        except HostError as error:
            if error.errno == EOPNOTSUPP:
                return []  # vfs_listxattr of a file system without any
            raise

    def removexattr(self, task: Task, name: bytes) -> None:
        if self.handle is not None:
            self.handle.file.removexattr(name)
        else:
            self.filesystem.tree.removexattr(self.path(), name)
        self.fresh = None

    # --- directories

    def removed(self) -> bool:
        return self.dentry.deleted

    def _child(self, name: bytes) -> bytes:
        return join(self.path(), name)

    def lookup(self, task: Task, name: bytes) -> Inode:
        path = self._child(name)
        return HostInode(self.filesystem, Dentry(path), self.filesystem.tree.lstat(path))

    def entries(self, task: Task) -> list[tuple[bytes, int, int]]:
        if self.dentry.deleted:
            return []
        found = self.filesystem.tree.entries(self.dentry.path)
        hidden = self.filesystem.hidden
        if hidden:
            return [entry for entry in found if join(self.dentry.path, entry[0]) not in hidden]
        return list(found)

    def create(self, task: Task, name: bytes, mode: int) -> Inode:
        path = self._child(name)
        self.filesystem.tree.open(path, O_CREAT | O_EXCL, mode & 0o7777).close()
        return self._made(task, path, mode)

    def create_open(self, task: Task, name: bytes, mode: int, flags: int) -> Inode:
        path = self._child(name)
        filesystem = self.filesystem
        file = filesystem.tree.open(path, O_CREAT | O_EXCL | flags & _OPEN_FLAGS & ~O_TRUNC, mode & 0o7777)
        return self._opened(task, path, mode, Handle(file, flags & O_ACCMODE))

    def tmpfile(self, task: Task, mode: int, flags: int) -> Inode:
        filesystem = self.filesystem
        hidden = b""
        try:
            file = filesystem.tree.open(self.path(), O_TMPFILE_BIT | O_DIRECTORY | flags & (_OPEN_FLAGS | O_EXCL),
                                        mode & 0o7777)
        except HostError as error:
            if error.errno != EOPNOTSUPP:
                raise
            hidden = filesystem.hidden_name(self.path())
            file = filesystem.tree.open(hidden, O_CREAT | O_EXCL | flags & _OPEN_FLAGS, mode & 0o7777)
        inode = self._opened(task, b"", mode, Handle(file, flags & O_ACCMODE))
        if hidden:
            assert inode.handle is not None
            inode.handle.hidden = (filesystem, hidden)
        inode.dentry = Dentry(join(self.path(), b"#%d" % inode.ino))
        inode.dentry.deleted = True
        return inode

    def _opened(self, task: Task, path: bytes, mode: int, handle: Handle) -> HostInode:
        inode = HostInode(self.filesystem, Dentry(path), None)
        inode.handle = handle
        inode.is_new = inode.pending = True
        inode.mode = S_IFREG | mode & 0o7777
        cred = task.cred
        filesystem = self.filesystem
        if cred.fsuid != filesystem.uid or cred.fsgid != filesystem.gid:
            handle.file.chown(cred.fsuid, self.gid if self.mode & S_ISGID else cred.fsgid)
            if mode & 0o6000:
                handle.file.chmod(mode & 0o7777)
        return inode

    def _made(self, task: Task, path: bytes, mode: int) -> HostInode:
        self.filesystem.own(task, path, self, mode)
        return HostInode(self.filesystem, Dentry(path), None)

    def mkdir(self, task: Task, name: bytes, mode: int) -> Inode:
        path = self._child(name)
        self.filesystem.tree.mkdir(path, mode & 0o7777)
        return self._made(task, path, S_IFDIR | mode & 0o7777)

    def mknod(self, task: Task, name: bytes, mode: int, rdev: int) -> Inode:
        path = self._child(name)
        if mode & S_IFMT == S_IFREG:
            return self.create(task, name, mode)
        self.filesystem.tree.mknod(path, mode, rdev)
        return self._made(task, path, mode)

    def symlink(self, task: Task, name: bytes, target: bytes) -> Inode:
        path = self._child(name)
        self.filesystem.tree.symlink(target, path)
        return self._made(task, path, S_IFLNK | 0o777)

    def link(self, task: Task, name: bytes, inode: Inode) -> None:
        assert isinstance(inode, HostInode)
        path = self._child(name)
        if inode.handle is not None and inode.handle.hidden is not None:
            self.filesystem.tree.link(inode.handle.hidden[1], path)
        elif inode.handle is not None and inode.dentry.deleted:
            self.filesystem.tree.link_open(inode.handle.file, path)
        elif inode.dentry.deleted:
            raise LinuxError(ENOENT)
        else:
            self.filesystem.tree.link(inode.path(), path)

    def unlink(self, task: Task, name: bytes) -> None:
        path = self._child(name)
        pin = self.filesystem.pins.get(path)
        dentry = None if pin is None else pin()
        if dentry is None or not hasattr(dentry, "kept"):  # open, if at all, by a handle
            self.filesystem.tree.unlink(path)
            return
        removal = Removal(self.filesystem, path)
        self.filesystem.tree.unlink(path)
        removal.done()

    def rmdir(self, task: Task, name: bytes) -> None:
        path = self._child(name)
        removal = Removal(self.filesystem, path)
        self.filesystem.tree.rmdir(path)
        removal.done()

    def rename(self, task: Task, name: bytes, target: Inode, new_name: bytes, flags: int) -> None:
        assert isinstance(target, HostInode)
        old, new = self._child(name), target._child(new_name)
        removal = Removal(self.filesystem, new) if not flags & RENAME_EXCHANGE else None
        try:
            self.filesystem.tree.rename(old, new, flags)
            if removal is not None:
                removal.done()
        except HostError as error:
            if not flags & RENAME_EXCHANGE or error.errno not in (EINVAL, ENOSYS):
                raise
            self.filesystem.exchange(old, new)

    # --- links and files

    def readlink(self, task: Task) -> bytes:
        stat = self.fresh
        if stat is not None:
            return self.filesystem.target(self.path(), stat)
        return self.filesystem.tree.readlink(self.path())

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        kind = self.mode & S_IFMT
        if kind == S_IFDIR:
            return OpenDirectory(flags, location, self)
        if kind != S_IFREG:
            # Device nodes of the host's tree are the kernel's devices by number, never the host's own.
            from syscalls.fs.devfs import open_by_number
            return open_by_number(task, self, flags, location)
        filesystem = self.filesystem
        handle = self.handle
        if handle is None:
            handle = self.handle = Handle(filesystem.tree.open(self.path(), flags & _OPEN_FLAGS, 0),
                                          flags & O_ACCMODE)
            if flags & O_TRUNC:
                self._show_size(0)
            return HostDescription(flags, location, self, filesystem.vfs, handle)
        if self.pending:
            self.pending = False
            return HostDescription(flags, location, self, filesystem.vfs, handle)
        return self._reopen(flags, location)

    def _reopen(self, flags: int, location: Location) -> FileDescription:
        """By a magic link (/proc/PID/fd/N): a description of its own, with an inode of its own."""
        filesystem = self.filesystem
        handle = None
        if not self.dentry.deleted:
            try:
                file = filesystem.tree.open(self.dentry.path, flags & _OPEN_FLAGS & ~O_TRUNC, 0)
            except HostError as error:
                if error.errno != ENOENT:
                    raise
            else:
                stat = file.stat()
                if (stat.dev, stat.ino) == (self.dev, self.ino):
                    handle = Handle(file, flags & O_ACCMODE)
                else:
                    file.close()
        if handle is None:
            # The host has no name for it any more: share the handle, as far as that was opened for as much.
            assert self.handle is not None
            if self.handle.access not in (O_RDWR, flags & O_ACCMODE):
                raise LinuxError(EACCES)
            handle = self.handle.retain()
        inode = HostInode(filesystem, self.dentry, None)
        inode.handle = handle
        description = HostDescription(flags, location, inode, filesystem.vfs, handle)
        if flags & O_TRUNC:
            handle.file.truncate(0)
            description.resized(0)
        return description
