"""Landlock: what a process has forbidden itself and its children (security/landlock, man 7 landlock).

A `Ruleset` is made and filled through a descriptor; restricting makes a `Layer` of it, and a task's `Domain` is the
chain of its layers, kept in its credentials.  Each layer that handles a right must grant it: by a rule for the file
or a directory above it, for the port; or, for scopes, because the other task is in the same domain or below it.
"""

from __future__ import annotations

from syscalls.abi.errno import EACCES, EINVAL, EPERM, EXDEV, LinuxError
from syscalls.fd import O_RDWR, FileDescription
from syscalls.fs.anon import AnonymousFile
from syscalls.fs.inode import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK
from syscalls.fs.mounts import parent_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from syscalls.fs.inode import FileSystem, Inode
    from syscalls.fs.mounts import Dentry, Location, Mount
    from syscalls.task import Task

ABI = 7
MAX_LAYERS = 16
(EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO,
 MAKE_BLOCK, MAKE_SYM, REFER, TRUNCATE, IOCTL_DEV) = (1 << bit for bit in range(16))
ACCESS_FS = (1 << 16) - 1
ACCESS_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""What a rule for something else than a directory may grant."""
BIND_TCP, CONNECT_TCP = 1, 2
ACCESS_NET = 3
SCOPE_ABSTRACT_UNIX_SOCKET, SCOPE_SIGNAL = 1, 2
SCOPES = 3
_MAKE = {S_IFLNK: MAKE_SYM, 0: MAKE_REG, S_IFREG: MAKE_REG, S_IFDIR: MAKE_DIR, S_IFCHR: MAKE_CHAR, S_IFBLK: MAKE_BLOCK,
         S_IFIFO: MAKE_FIFO, S_IFSOCK: MAKE_SOCK}


class Ruleset(AnonymousFile):
    """A set of rules, and the descriptor it is made through."""

    kind = "landlock-ruleset"
    pollable = noop_seek = False
    reads_vectors = writes_vectors = False

    def __init__(self, task: Task, fs: int, net: int, scoped: int) -> None:
        super().__init__(task, O_RDWR)
        self.fs, self.net, self.scoped = fs, net, scoped
        self.paths: dict[tuple[FileSystem, Dentry], int] = {}
        self.ports: dict[int, int] = {}

    def read(self, task: Task, length: int) -> bytes:
        """fop_dummy_read: there is one, so that the descriptor can be opened for it; it does nothing."""
        raise LinuxError(EINVAL)

    def write(self, task: Task, data: bytes) -> int:
        raise LinuxError(EINVAL)

    def check_write(self, count: int) -> None:
        raise LinuxError(EINVAL)

    def layer(self) -> Layer:
        return Layer(self.fs, self.net, self.scoped, dict(self.paths), dict(self.ports))


class Layer:
    __slots__ = ("fs", "net", "paths", "ports", "scoped")

    def __init__(self, fs: int, net: int, scoped: int, paths: dict[tuple[FileSystem, Dentry], int],
                 ports: dict[int, int]) -> None:
        # Moving files between directories is forbidden by every layer that does not grant it.
        self.fs = fs | REFER if fs else 0
        self.net, self.scoped, self.paths, self.ports = net, scoped, paths, ports

    def granted(self, place: list[tuple[FileSystem, bytes]]) -> int:
        """What the rules for any of these places grant together."""
        out = 0
        for (filesystem, dentry), allowed in self.paths.items():
            if not dentry.deleted and (filesystem, dentry.path) in place:
                out |= allowed
        return out


class Domain:
    """layers: the oldest first; each domain knows the one it was made in."""

    __slots__ = ("layers", "parent")

    def __init__(self, parent: Domain | None, layer: Layer) -> None:
        self.parent = parent
        self.layers: tuple[Layer, ...] = (*(parent.layers if parent is not None else ()), layer)

    def contains(self, other: Domain | None) -> bool:
        """Whether `other` is this domain, or was made in it."""
        while other is not None:
            if other is self:
                return True
            other = other.parent
        return False

    def chain(self) -> Iterator[Domain]:
        domain: Domain | None = self
        while domain is not None:
            yield domain
            domain = domain.parent


def _places(mount: Mount | None, path: bytes) -> list[tuple[FileSystem, bytes]]:
    """A place and all that is above it, through mount points."""
    out = []
    while mount is not None:
        filesystem = mount.filesystem
        while True:
            out.append((filesystem, path))
            if path == mount.root or not path:
                break
            path = parent_path(path)
        point = mount.point
        mount = mount.parent
        if point is not None:
            path = point.path
    return out


def _missing(domain: Domain, location: Location, access: int) -> int:
    """The rights that some layer does not grant there."""
    places = None
    missing = 0
    for layer in domain.layers:
        wanted = access & layer.fs
        if wanted:
            if places is None:
                places = _places(location.mount, location.dentry.path)
            missing |= wanted & ~layer.granted(places)
    return missing


def check(task: Task, location: Location, access: int) -> None:
    """EACCES unless every layer grants it.  Objects without a place are not controlled."""
    domain: Domain | None = task.cred.landlock
    if domain is not None and location.mount.id and _missing(domain, location, access):
        raise LinuxError(EACCES)


def check_make(task: Task, parent: Location, kind: int) -> None:
    check(task, parent, _MAKE[kind])


def check_remove(task: Task, parent: Location, directory: bool) -> None:
    """What the call would remove, whatever is there."""
    check(task, parent, REMOVE_DIR if directory else REMOVE_FILE)


def check_open(task: Task, location: Location, readable: bool, writable: bool) -> int:
    """hook_file_open; returns the rights that the description has besides: TRUNCATE, IOCTL_DEV."""
    domain: Domain = task.cred.landlock  # type: ignore[assignment]
    if not location.mount.id:
        return TRUNCATE | IOCTL_DEV
    directory = location.inode.mode & S_IFMT == S_IFDIR
    access = 0
    if readable:
        access |= READ_DIR if directory else READ_FILE
    if writable:
        access |= WRITE_FILE
    missing = _missing(domain, location, access | TRUNCATE | IOCTL_DEV)
    if missing & access:
        raise LinuxError(EACCES)
    return (TRUNCATE | IOCTL_DEV) & ~missing


def check_refer(task: Task, old_parent: Location, new_parent: Location, inode: Inode, replaced: Inode | None,
                removes: bool, exchange: bool) -> None:
    """current_check_refer_path: a link or rename from one directory to another.  EACCES, EXDEV."""
    domain: Domain | None = task.cred.landlock
    if domain is None:
        return
    kind = inode.mode & S_IFMT
    from_access = (REMOVE_DIR if kind == S_IFDIR else REMOVE_FILE) if removes else 0
    to_access = _MAKE[kind]
    if replaced is not None:
        other = replaced.mode & S_IFMT
        to_access |= REMOVE_DIR if other == S_IFDIR else REMOVE_FILE
        if exchange:
            from_access |= _MAKE[other]
    if old_parent.same(new_parent):
        check(task, new_parent, from_access | to_access)
        return
    missing = _missing(domain, old_parent, from_access | REFER) | _missing(domain, new_parent, to_access | REFER)
    if missing & ~REFER:
        raise LinuxError(EACCES)
    if missing:
        raise LinuxError(EXDEV)
    # Nothing may be gained by the move.
    rights = ACCESS_FS if kind == S_IFDIR else ACCESS_FILE
    old_places = _places(old_parent.mount, old_parent.dentry.path)
    new_places = _places(new_parent.mount, new_parent.dentry.path)
    for layer in domain.layers:
        if layer.granted(new_places) & ~layer.granted(old_places) & layer.fs & rights:
            raise LinuxError(EXDEV)


def check_port(task: Task, access: int, address: bytes) -> None:
    """Of TCP sockets: EACCES."""
    domain: Domain | None = task.cred.landlock
    if domain is None or len(address) < 4:
        return
    port = int.from_bytes(address[2:4], "big")
    for layer in domain.layers:
        if access & layer.net and not layer.ports.get(port, 0) & access:
            raise LinuxError(EACCES)


def in_scope(task: Task, other: Domain | None, scope: int) -> bool:
    """domain_is_scoped, the other way round: whether a task of the domain `other` may be reached."""
    domain: Domain | None = task.cred.landlock
    if domain is None:
        return True
    return all(not each.layers[-1].scoped & scope or each.contains(other) for each in domain.chain())


def may_trace(task: Task, target: Task) -> bool:
    """hook_ptrace_access_check: only into one's own domain or one below it."""
    domain: Domain | None = task.cred.landlock
    return domain is None or domain.contains(target.cred.landlock)


def check_mount(task: Task) -> None:
    """The tree may not change under a process whose paths are restricted: EPERM."""
    domain: Domain | None = task.cred.landlock
    if domain is not None and any(layer.fs for layer in domain.layers):
        raise LinuxError(EPERM)


def denied(file: FileDescription, access: int) -> bool:
    """Whether a description was opened without a right that counts later."""
    return file.landlock is not None and not file.landlock & access
