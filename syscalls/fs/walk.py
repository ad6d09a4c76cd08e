"""The path walk (fs/namei.c): from a path to a place, a component at a time as far as that can be seen from outside.

In the host's file system, and for credentials whose checks the host makes itself, a run of plain components is
looked up by one host call; everything else goes one by one.
"""

from __future__ import annotations

from syscalls.abi.errno import ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV, LinuxError
from syscalls.abi.fs import (
    MAXSYMLINKS,
    MAY_EXEC,
    MS_NOSYMFOLLOW,
    NAME_MAX,
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
)
from syscalls.credentials import CAP_DAC_READ_SEARCH
from syscalls.fs.hostfs import HostFs, HostInode
from syscalls.fs.inode import S_IFDIR, S_IFLNK, S_IFMT, Inode
from syscalls.fs.mounts import Dentry, Location, Mount, enter, join, parent_path
from syscalls.fs.permission import permission

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

# What the last component is (enum last_type of include/linux/namei.h).
NORM, ROOT, DOT, DOTDOT, JUMP = "norm", "root", ".", "..", "jump"


class Walk:
    """A walk and its result: `mount`, `path` and `inode` are where it stands; inode None after a walk that ended at a
    name which does not exist (`missing`), or at a directory nobody has looked at yet."""

    __slots__ = ("creating", "inode", "kind", "links", "missing", "mount", "name", "parent_inode", "parent_mount",
                 "parent_path", "path", "resolve", "root", "slash", "task", "too_long")

    def __init__(self, task: Task, start: Location, root: Location, resolve: int) -> None:
        self.task = task
        self.root = root
        self.resolve = resolve
        self.mount = start.mount
        self.path = start.dentry.path
        self.inode: Inode | None = start.inode
        self.links = 0
        self.creating = False
        """For O_CREAT: a link to `name/` is not followed to the name, which cannot be made (open_last_lookups)."""
        self.missing = False
        self.kind = ROOT
        self.name = b""
        """The last component, when kind is NORM."""
        self.too_long = False
        """The last component is longer than any name: known only when it is looked up, after both names of a rename."""
        self.slash = False
        """The path ended in a slash: only a directory will do."""
        self.parent_mount = self.mount
        self.parent_path = self.path
        self.parent_inode: Inode | None = None

    # --- results

    def location(self) -> Location:
        """ENOENT for a missing last component, ENAMETOOLONG."""
        if self.too_long:
            raise LinuxError(ENAMETOOLONG)
        if self.missing:
            raise LinuxError(ENOENT)
        return locate(self.task, self.mount, self.path, self.inode)

    def parent(self) -> Location:
        """The directory that has (or could have) the last component."""
        return locate(self.task, self.parent_mount, self.parent_path, self.parent_inode)

    def is_mount_point(self) -> bool:
        return not self.missing and self.mount is not self.parent_mount

    # --- walking

    def run(self, path: bytes, follow: bool) -> Walk:
        """Walk `path` from where this stands.  follow: a link at the end as well; a slash after it does that in any
        case."""
        if path[:1] == b"/":
            if self.resolve & RESOLVE_BENEATH:
                raise LinuxError(EXDEV)
            self.mount, self.path, self.inode = self.root.mount, self.root.dentry.path, self.root.inode
        todo = [name for name in reversed(path.split(b"/")) if name]
        if todo and path[-1:] == b"/":
            self.slash = True
        while todo:
            name = todo.pop()
            if name == b".":
                self._search(not todo)
                if not todo:
                    self.kind = DOT
                continue
            if name == b"..":
                self._search(not todo)
                self._up()
                if not todo:
                    self.kind = DOTDOT
                continue
            filesystem = self.mount.filesystem
            if isinstance(filesystem, HostFs) and filesystem.trusts(self.task.cred):
                link = self._run(filesystem, name, todo)
            else:
                link = self._step(name, not todo)
            if self.missing:
                return self
            if link is not None and (todo or follow or self.slash):
                self._follow(link, todo)
        return self

    def _to_root(self) -> None:
        """nd_jump_root, for links to absolute paths."""
        if self.resolve & RESOLVE_BENEATH:
            raise LinuxError(EXDEV)
        root = self.root
        if self.resolve & RESOLVE_NO_XDEV and root.mount is not self.mount:
            raise LinuxError(EXDEV)
        self.mount = root.mount
        self.path = root.dentry.path
        self.inode = root.inode
        self.kind = ROOT

    def _directory(self) -> Inode:
        inode = self.inode
        if inode is None:
            inode = self.inode = inode_of(self.task, self.mount, self.path)
        return inode

    def _search(self, last: bool = False) -> None:
        """may_lookup: this has to be a directory, and searchable.  When no name comes after it the host does not look
        again, so what is remembered of it is not enough."""
        inode = self.inode
        if inode is None:
            filesystem = self.mount.filesystem
            if isinstance(filesystem, HostFs) and filesystem.trusts(self.task.cred):
                return  # the walk came out of it or through it: a directory, and the host checks the search
            inode = self._directory()
        if inode.mode & S_IFMT != S_IFDIR:
            raise LinuxError(ENOTDIR)
        if last and isinstance(inode, HostInode) and not self.task.cred.capable(CAP_DAC_READ_SEARCH):
            inode.stat(self.task)
        permission(self.task, inode, MAY_EXEC)

    def _up(self) -> None:
        """follow_dotdot: not above the root, and out of a mount through its mount point."""
        mount, path = self.mount, self.path
        root = self.root
        while True:
            if mount is root.mount and path == root.dentry.path:
                if self.resolve & RESOLVE_BENEATH:
                    raise LinuxError(EXDEV)
                return
            if path != mount.root or mount.parent is None:
                break
            assert mount.point is not None
            path = mount.point.path
            mount = mount.parent
        gone, inode = self.inode, None
        if isinstance(gone, HostInode) and gone.dentry.deleted and hasattr(gone.dentry, "parent"):
            parent = gone.dentry.parent
            path = parent.path
            if parent.deleted:
                inode = HostInode(gone.filesystem, parent, None)
        elif path != mount.root:
            path = parent_path(path)
        if inode is None:
            mount, path = enter(mount, path)
        if mount is not self.mount and self.resolve & RESOLVE_NO_XDEV:
            raise LinuxError(EXDEV)
        self.mount, self.path = mount, path
        self.inode = inode

    def _arrive(self, path: bytes, inode: Inode | None) -> None:
        """Go to the child `path` of this mount, and into what is mounted there."""
        mount = self.mount
        if path in mount.children:
            if self.resolve & RESOLVE_NO_XDEV:
                raise LinuxError(EXDEV)
            self.mount, self.path = enter(mount, path)
            self.inode = None
        else:
            self.path = path
            self.inode = inode

    def _step(self, name: bytes, last: bool) -> Inode | None:
        """One component; returns the link when it is one."""
        self._search()
        inode = self.inode
        assert inode is not None
        self.kind = NORM
        if last:
            self.parent_mount, self.parent_path, self.parent_inode = self.mount, self.path, inode
            self.name = name
        if len(name) > NAME_MAX:
            # proc looks for any name, and does not find it.
            raise LinuxError(ENOENT if self.mount.filesystem.name == "proc" else ENAMETOOLONG)
        path = join(self.path, name)
        if path in self.mount.children:
            self._arrive(path, None)
            return None
        try:
            child = inode.lookup(self.task, name)
        except Exception as error:
            if last and getattr(error, "errno", 0) == ENOENT:
                self.missing = True
                self.path = path
                self.inode = None
                return None
            raise
        self.path = path
        self.inode = child
        return child if child.mode & S_IFMT == S_IFLNK else None

    def _run(self, filesystem: HostFs, name: bytes, todo: list[bytes]) -> Inode | None:
        """As many components as the host can find at once; returns a link that stands in the way."""
        names = [name]
        while todo and todo[-1] not in (b".", b".."):
            names.append(todo.pop())
        self.kind = NORM
        base = self.path
        mount = self.mount
        target = join(base, b"/".join(names))
        if mount.heads and target.partition(b"/")[0] in mount.heads:
            point = _first_point(mount, base, target)
            if point is not None:
                rest = target[len(point) + 1:]
                if rest:
                    todo += reversed(rest.split(b"/"))
                else:
                    self._note_parent(todo, point)
                self._arrive(point, None)
                return None
        if self.inode is not None and self.inode.filesystem is filesystem:
            current = self.inode
            if isinstance(current, HostInode) and current.dentry.deleted:
                current.refresh()
                permission(self.task, current, MAY_EXEC)
                if len(names) > 1 or todo:
                    raise LinuxError(ENOENT)
                self.parent_mount, self.parent_path, self.parent_inode = mount, base, current
                self.name = name
                self.missing = True
                self.path, self.inode = target, None
                return None
        found, stat = filesystem.tree.lookup(target)
        kind = stat.mode & S_IFMT
        if found == len(target):
            self._note_parent(todo, target)
            self.path = target
            self.inode = inode = HostInode(filesystem, Dentry(target), stat)
            return inode if kind == S_IFLNK else None
        seen = HostInode(filesystem, Dentry(target[:found]), stat)
        rest = target[found + 1:] if found else target
        if kind == S_IFLNK:
            todo += reversed(rest.split(b"/"))
            self.path = target[:found]
            self.inode = seen
            return seen
        if kind != S_IFDIR:
            raise LinuxError(ENOTDIR)
        if len(rest.partition(b"/")[0]) > NAME_MAX:
            raise LinuxError(ENAMETOOLONG)
        if found < len(base) or todo or b"/" in rest:
            raise LinuxError(ENOENT)
        self.parent_mount, self.parent_path, self.parent_inode = mount, target[:found], seen
        self.name = rest
        self.missing = True
        self.path = target
        self.inode = None
        return None

    def _note_parent(self, todo: list[bytes], target: bytes) -> None:
        if not todo:
            directory, _, name = target.rpartition(b"/")
            self.parent_mount, self.parent_path, self.name = self.mount, directory, name
            self.parent_inode = self.inode if directory == self.path else None

    def _follow(self, link: Inode, todo: list[bytes]) -> None:
        """step_into a symbolic link: what it says comes next."""
        self.links += 1
        if self.links > MAXSYMLINKS or self.resolve & RESOLVE_NO_SYMLINKS:
            raise LinuxError(ELOOP)
        if self.mount.flags & MS_NOSYMFOLLOW:
            raise LinuxError(ELOOP)
        place = link.follow(self.task)
        if place is not None:
            if self.resolve & RESOLVE_NO_MAGICLINKS:
                raise LinuxError(ELOOP)
            if self.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT):
                raise LinuxError(EXDEV)
            if self.resolve & RESOLVE_NO_XDEV and place.mount is not self.mount:
                raise LinuxError(EXDEV)
            self.mount, self.path, self.inode = place.mount, place.dentry.path, place.inode
            self.kind = JUMP
            self.parent_mount, self.parent_path, self.parent_inode = place.mount, place.dentry.path, None
            return
        target = link.readlink(self.task)
        if not target:
            raise LinuxError(ENOENT)
        if not todo and target[-1:] == b"/":
            self.slash = True
            if self.creating:
                directory, slash, _ = target.rstrip(b"/").rpartition(b"/")
                target = directory + slash + b"."
        if target[:1] == b"/":
            self._to_root()
        else:
            self.path = parent_path(self.path)
            self.inode = None
        todo += [name for name in reversed(target.split(b"/")) if name]


def _first_point(mount: Mount, base: bytes, target: bytes) -> bytes | None:
    """The outermost mount point below `base` on the way to `target`."""
    best = None
    for point in mount.children:
        if len(point) > len(base) and (best is None or len(point) < len(best)):
            if target == point or target.startswith(point + b"/"):
                best = point
    return best


def inode_of(task: Task, mount: Mount, path: bytes) -> Inode:
    """The object of a path in a mount's file system; ENOENT."""
    filesystem = mount.filesystem
    if isinstance(filesystem, HostFs):
        return filesystem.inode_at(path) if path else filesystem.root
    inode = filesystem.root
    if path:
        for name in path.split(b"/"):
            inode = inode.lookup(task, name)
    return inode


def locate(task: Task, mount: Mount, path: bytes, inode: Inode | None) -> Location:
    if inode is None:
        inode = inode_of(task, mount, path)
    if isinstance(inode, HostInode):
        return Location(mount, inode.dentry, inode)
    return Location(mount, Dentry(path), inode)
