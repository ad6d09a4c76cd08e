"""Places in the tree of files: dentries, mounts, locations, and what a task holds of them (struct fs_struct).

A dentry here is a path inside its file system, free of links and of `..`.  Dentries that outlive a system call
(working directories, open files, mount points) are *pinned*: the file system knows them weakly, and a rename by a
guest rewrites their paths, a removal marks them.  There is one pinned dentry for a path at a time.
"""

from __future__ import annotations

from _weakref import ref

from syscalls.abi.errno import ENOENT, EROFS, LinuxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.fs.inode import FileSystem, Inode
    from syscalls.task import Task
    from translator.hosts.base import HostHold


class Dentry:
    """path: inside the file system, without a leading slash; b"" is its root."""

    __slots__ = ("__weakref__", "deleted", "hold", "kept", "parent", "path", "pinned")
    parent: Dentry
    """Of a removed directory that was held: what `..` is."""
    hold: HostHold
    """Of a few only: what keeps a host's file within reach that its path does not lead to."""
    kept: list[object]
    """Of a few only: what ends with it."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.deleted = False
        self.pinned = False

    def keep(self, *things: object) -> None:
        self.kept = [*getattr(self, "kept", ()), *things]

    def __repr__(self) -> str:
        return f"<Dentry {self.path!r}{' (deleted)' if self.deleted else ''}>"


class Pin(ref[Dentry]):
    """A weak reference that takes itself out of its table."""

    __slots__ = ("path", "table")
    path: bytes
    table: dict[bytes, Pin]


def _forget(pin: ref[Dentry]) -> None:
    assert isinstance(pin, Pin)
    if pin.table.get(pin.path) is pin:
        del pin.table[pin.path]


def pin_dentry(filesystem: FileSystem, dentry: Dentry) -> Dentry:
    """The pinned dentry of that path: `dentry` itself unless there already is one."""
    if dentry.pinned or dentry.deleted:
        return dentry
    pins = filesystem.pins
    pin = pins.get(dentry.path)
    if pin is not None:
        known = pin()
        if known is not None:
            return known
    pin = Pin(dentry, _forget)
    pin.path = dentry.path
    pin.table = pins
    pins[dentry.path] = pin
    dentry.pinned = True
    if filesystem.holding:
        filesystem.pinned(dentry)
    return dentry


def below(path: bytes, directory: bytes) -> bool:
    """Whether `path` is `directory` or inside it."""
    return not directory or path == directory or path.startswith(directory + b"/")


def join(directory: bytes, name: bytes) -> bytes:
    if not directory or not name:
        return directory or name
    return directory + b"/" + name


def parent_path(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def pins_removed(filesystem: FileSystem, path: bytes) -> Dentry | None:
    """The name was unlinked: who holds it, holds a deleted file.  The dentry that somebody holds."""
    if filesystem.holding:
        filesystem.names_changed([], path)
    pin = filesystem.pins.pop(path, None)
    if pin is not None:
        dentry = pin()
        if dentry is not None:
            dentry.deleted = True
            return dentry
    return None


def pins_moved(filesystem: FileSystem, moves: list[tuple[bytes, bytes]]) -> None:
    """Names were renamed, all at once (two pairs: an exchange)."""
    if filesystem.holding:
        filesystem.names_changed(moves, None)
    pins = filesystem.pins
    changed: list[tuple[Pin, Dentry, bytes]] = []
    for path, pin in list(pins.items()):
        for old, new in moves:
            if below(path, old):
                dentry = pin()
                if dentry is not None:
                    changed.append((pin, dentry, new + path[len(old):]))
                del pins[path]
                break
    for pin, dentry, path in changed:
        dentry.path = pin.path = path
        pins[path] = pin


MNT_UNIQUE_ID_OFFSET = 1 << 31
"""Where the unique numbers of mounts begin, so that none is taken for one of the others."""


class Mount:
    """struct mount.  `root` is the path inside the file system that is seen at the mount point (bind mounts);
    the file system may be made when the mount is first entered."""

    __slots__ = ("children", "factory", "filesystem", "flags", "heads", "id", "options", "parent", "point", "root",
                 "source", "type", "unique")
    filesystem: FileSystem

    def __init__(self, number: int, kind: bytes, source: bytes, flags: int, parent: Mount | None,
                 point: Dentry | None, root: bytes = b"") -> None:
        self.id = number
        self.unique = MNT_UNIQUE_ID_OFFSET + number
        """Never used again; stays when pivot_root(2) makes this the mount with number 1."""
        self.type = kind
        """As in /proc/filesystems."""
        self.source = source
        """What /proc/mounts shows first."""
        self.flags = flags
        """MS_ bits: MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, ..."""
        self.parent = parent
        self.point = point
        """The dentry in the parent's file system that is covered; None for the root mount and unattached ones."""
        self.root = root
        self.options = b""
        """Of the file system: b"size=1024k,mode=755"."""
        self.children: dict[bytes, Mount] = {}
        """What is mounted on this mount, by path in its file system."""
        self.heads: frozenset[bytes] = frozenset()
        """First components of these paths: a quick no for most."""
        self.factory: Callable[[], FileSystem] | None = None

    def __getattr__(self, name: str) -> FileSystem:
        if name != "filesystem":
            raise AttributeError(name)
        assert self.factory is not None
        self.filesystem = filesystem = self.factory()
        return filesystem

    def check_writable(self) -> None:
        """EROFS for a mount, or a file system, that is read-only."""
        if self.flags & 1 or self.filesystem.readonly:
            raise LinuxError(EROFS)

    def attach(self, child: Mount) -> None:
        assert child.point is not None
        self.children[child.point.path] = child
        self._count_heads()

    def detach(self, child: Mount) -> None:
        assert child.point is not None
        del self.children[child.point.path]
        self._count_heads()

    def renamed(self) -> None:
        """Directories were renamed: mount points in them have moved."""
        children = list(self.children.values())
        self.children = {child.point.path: child for child in children if child.point is not None}
        self._count_heads()

    def _count_heads(self) -> None:
        self.heads = frozenset(path.partition(b"/")[0] for path in self.children)

    def inner(self, path: bytes) -> bytes:
        """A path of the file system as seen from this mount's root; paths outside it stay as they are."""
        root = self.root
        if not root:
            return path
        return path[len(root) + 1:] if below(path, root) else path

    def absolute(self, path: bytes) -> bytes:
        """From the root mount, without a leading slash."""
        out = self.inner(path)
        mount = self
        while mount.parent is not None:
            assert mount.point is not None
            out = join(mount.parent.inner(mount.point.path), out)
            mount = mount.parent
        return out

    def attached(self) -> bool:
        """Whether it is part of the tree (a lazily unmounted one is not)."""
        mount = self
        while mount.parent is not None:
            assert mount.point is not None
            if mount.parent.children.get(mount.point.path) is not mount:
                return False
            mount = mount.parent
        return mount.id == 1

    def __repr__(self) -> str:
        return f"<Mount {self.id} {self.type!r} on {self.absolute(self.root)!r}>"


def enter(mount: Mount, path: bytes) -> tuple[Mount, bytes]:
    """What is seen at a place: the root of the mount on top of it, if any."""
    child = mount.children.get(path)
    while child is not None:
        mount = child
        path = child.root
        child = mount.children.get(path)
    return mount, path


class Location:
    """struct path with the inode: a place in the tree."""

    __slots__ = ("dentry", "inode", "mount")

    def __init__(self, mount: Mount, dentry: Dentry, inode: Inode) -> None:
        self.mount = mount
        self.dentry = dentry
        self.inode = inode

    def pin(self) -> Location:
        """Keep it right across renames.  Whoever stores a location beyond the system call, pins it."""
        dentry = self.dentry
        if not dentry.pinned and self.mount.id:
            self.dentry = pin_dentry(self.mount.filesystem, dentry)
            self.inode.pinned(self.dentry)
        return self

    def name(self) -> bytes:
        return self.dentry.path.rpartition(b"/")[2]

    def is_root_of_mount(self) -> bool:
        return self.dentry.path == self.mount.root

    def same(self, other: Location) -> bool:
        return self.mount is other.mount and self.dentry.path == other.dentry.path

    def inside(self, root: Location) -> bytes | None:
        """The path from `root`, with a leading slash; None when it is not reachable from there."""
        path = self.mount.absolute(self.dentry.path)
        top = root.mount.absolute(root.dentry.path)
        if not top:
            return b"/" + path
        if below(path, top):
            return b"/" + path[len(top) + 1:]
        return None

    def path(self, task: Task) -> bytes:
        """As readlink of /proc/PID/cwd shows it (d_path): absolute as seen from the task's root, or from the real
        root when that does not contain it; with " (deleted)" when the name is gone."""
        if self.mount.id == 0:
            return self.dentry.path
        path = self.inside(task.fs.root)
        if path is None:
            path = b"/" + self.mount.absolute(self.dentry.path)
        return path + b" (deleted)" if self.dentry.deleted else path

    def working_path(self, task: Task) -> bytes:
        """getcwd: ENOENT when it was removed; "(unreachable)" before a path outside the task's root."""
        if self.dentry.deleted:
            raise LinuxError(ENOENT)
        path = self.inside(task.fs.root)
        if path is None:
            return b"(unreachable)/" + self.mount.absolute(self.dentry.path)
        return path

    def __repr__(self) -> str:
        return f"<Location {self.mount.absolute(self.dentry.path)!r}>"


class FsContext:
    """struct fs_struct: working directory, root and umask, shared by CLONE_FS."""

    __slots__ = ("cwd", "root", "sharers", "umask")

    def __init__(self, cwd: Location, root: Location, umask: int) -> None:
        self.cwd = cwd.pin()
        """Pinned, as `root`."""
        self.root = root.pin()
        self.umask = umask
        self.sharers = 1

    def copy(self) -> FsContext:
        return FsContext(self.cwd, self.root, self.umask)

    def drop(self) -> None:
        self.sharers -= 1
