"""What /proc/PID shows of a process's files: fd, fdinfo, cwd, root, exe, namespaces.

Mirrors fs/proc/fd.c and fs/proc/namespaces.c.
"""

from __future__ import annotations

from syscalls.abi.errno import EACCES, EINVAL, ENOENT, EPERM, LinuxError
from syscalls.abi.fs import (
    O_ACCMODE,
    O_CLOEXEC,
    O_PATH,
)
from syscalls.fd import FileDescription
from syscalls.fs.procfs import TaskSubdirectory, check_exists, may_access, owner
from syscalls.fs.procfs_task import memory_of
from syscalls.fs.simple import (
    MagicLink,
    Node,
    PlainFile,
    SimpleDirectory,
    SimpleFileSystem,
    SymlinkNode,
    TextFile,
)
from syscalls.task import RLIMIT_NOFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.fs.inode import Inode
    from syscalls.fs.procfs import Maker, ProcFs
    from syscalls.fs.vfs import Location
    from syscalls.task import Task

FD_NUMBERS = 1 << 20
"""Inode numbers of the nodes in fd/ and fdinfo/ do not overlap those of the process's own directory."""


# --- links to places

class PlaceLink(MagicLink):
    """cwd, root, exe: `find` gives the place, or None when there is none (ENOENT)."""

    fixed = True

    def __init__(self, filesystem: ProcFs, target: Task, number: int, find: Callable[[Task], Location | None]) -> None:
        def where(task: Task) -> Location:
            check_exists(target)
            if not may_access(task, target):
                raise LinuxError(EACCES)
            location = find(target)
            if location is None:
                raise LinuxError(ENOENT)
            return location

        uid, gid = owner(target)
        super().__init__(filesystem, lambda task: where(task).path(task), where, uid=uid, gid=gid, number=number)


def _place(find: Callable[[Task], Location | None]) -> Maker:
    return lambda filesystem, target, number: PlaceLink(filesystem, target, number, find)


def _cwd(target: Task) -> Location | None:
    return None if target.dead else target.fs.cwd


def _root(target: Task) -> Location | None:
    return None if target.dead else target.fs.root


def _exe(target: Task) -> Location | None:
    mm = memory_of(target)
    if mm is None:
        return None
    return mm.exe if mm.exe is not None else target.group.exe


# --- descriptors

def file_name(file: FileDescription, task: Task) -> bytes:
    """What readlink of /proc/PID/fd/N says."""
    if file.location is not None:
        return file.location.path(task)
    return file.describe()


def file_place(file: FileDescription, task: Task) -> Location | None:
    if file.location is not None:
        return file.location
    if file.inode is None:
        return None
    return task.kernel.vfs.anonymous_location(file.inode, file.describe())


def _descriptors(target: Task) -> dict[int, FileDescription]:
    return {} if target.dead else target.files.files


class DescriptorDirectory(SimpleDirectory):
    """/proc/PID/fd and fdinfo."""

    def admits(self, task: Task) -> bool:
        """proc_fd_permission: all threads of the process may do anything with its fd."""
        return not self.info and task.group is self.target.group

    fixed = True

    def __init__(self, filesystem: ProcFs, target: Task, number: int, *, info: bool) -> None:
        uid, gid = owner(target)
        super().__init__(filesystem, {}, 0o555 if info else 0o500, uid=uid, gid=gid, number=number)
        self.proc = filesystem
        self.target = target
        self.info = info

    def links(self, task: Task) -> int:
        return 2

    def _check(self, task: Task) -> None:
        check_exists(self.target)
        if not may_access(task, self.target):
            raise LinuxError(EACCES)

    def size(self, task: Task) -> int:
        """Since Linux 6.2 the number of open descriptors."""
        return 0 if self.info else len(_descriptors(self.target))

    def child(self, task: Task, name: bytes) -> Inode | None:
        self._check(task)
        if not name.isdigit() or (name[:1] == b"0" and name != b"0"):
            return None
        fd = int(name)
        return self._node(fd) if fd in _descriptors(self.target) else None

    def children_of(self, task: Task) -> dict[bytes, Inode]:
        self._check(task)
        return {b"%d" % fd: self._node(fd) for fd in sorted(_descriptors(self.target))}

    def _node(self, fd: int) -> Inode:
        target = self.target
        number = (self.number << 20) + fd + FD_NUMBERS
        uid, gid = owner(target)
        node: SymlinkNode | TextFile
        if self.info:
            node = PlainFile(self.proc, lambda task: fdinfo(target, task, fd), mode=0o400, uid=uid, gid=gid,
                             number=number)
        else:
            file = _descriptors(target)[fd]
            mode = 0 if file.flags & O_PATH else (0o500, 0o300, 0o700, 0o700)[file.flags & O_ACCMODE]
            node = MagicLink(self.proc, lambda task: file_name(self._file(fd), task),
                             lambda task: file_place(self._file(fd), task), mode=mode, uid=uid, gid=gid, number=number)
        node.ephemeral = True
        return node

    def _file(self, fd: int) -> FileDescription:
        file = _descriptors(self.target).get(fd)
        if file is None:
            raise LinuxError(ENOENT)
        return file


def fdinfo(target: Task, task: Task, fd: int) -> bytes:
    check_exists(target)
    file = _descriptors(target).get(fd)
    if file is None:
        raise LinuxError(ENOENT)
    flags = file.flags | (O_CLOEXEC if fd in target.files.cloexec else 0)
    try:
        position = file.seek(task, 0, 1) if file.seekable and file.kind == "file" else file.offset
    except LinuxError:
        position = file.offset
    mount = file.location.mount.id if file.location is not None else 15
    inode = file.inode.stat(task).ino if file.inode is not None else 0
    lines = [f"pos:\t{position}", f"flags:\t0{flags:o}", f"mnt_id:\t{mount}", f"ino:\t{inode}"]
    lines += [f"{name}:\t{value}" for name, value in file.fdinfo(task)]
    return ("\n".join(lines) + "\n").encode()


# --- namespaces: the initial ones, with their well-known numbers (include/linux/proc_ns.h)

_NAMESPACES = ((b"cgroup", b"cgroup", 0xEFFFFFFB), (b"ipc", b"ipc", 0xEFFFFFFF), (b"mnt", b"mnt", 0xEFFFFFF8),
               (b"net", b"net", 0xEFFFFFF9), (b"pid", b"pid", 0xEFFFFFFC),
               (b"pid_for_children", b"pid", 0xEFFFFFFC), (b"time", b"time", 0xEFFFFFFA),
               (b"time_for_children", b"time", 0xEFFFFFFA), (b"user", b"user", 0xEFFFFFFD),
               (b"uts", b"uts", 0xEFFFFFFE))


NS_GET_MNTNS_ID = 0x8008B705
NS_GET_USERNS, NS_GET_PARENT, NS_GET_NSTYPE, NS_GET_OWNER_UID = 0xB701, 0xB702, 0xB703, 0xB704
CLONE_FLAGS = {b"cgroup": 0x02000000, b"ipc": 0x08000000, b"mnt": 0x00020000, b"net": 0x40000000, b"pid": 0x20000000,
               b"time": 0x80, b"user": 0x10000000, b"uts": 0x04000000}


class NamespaceFile(TextFile):
    """What a namespace link leads to: it can be opened and compared by its number, and not read."""

    fixed = True
    kind = b""

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        return NamespaceDescription(flags, location, self)


class NamespaceDescription(FileDescription):
    """man 2 ioctl_ns.  The initial namespaces have no parents, and all belong to the initial user namespace.  There is
    nothing to read."""

    kind = "namespace"
    takes_positions = True
    splice_source = splice_target = False

    def ioctl(self, task: Task, code: int, arg: int) -> int | Awaitable[int]:
        node = self.inode
        assert isinstance(node, NamespaceFile)
        if code == NS_GET_NSTYPE:
            return CLONE_FLAGS[node.kind]
        if code == NS_GET_PARENT:
            raise LinuxError(EPERM if node.kind in (b"pid", b"user") else EINVAL)
        if code == NS_GET_MNTNS_ID:
            if node.kind != b"mnt":
                raise LinuxError(EINVAL)
            from syscalls.fs.statmount import NAMESPACE_ID
            task.mem.put_u64(arg, NAMESPACE_ID)
            return 0
        if code == NS_GET_OWNER_UID:
            if node.kind != b"user":
                raise LinuxError(EINVAL)
            task.mem.put_u32(arg, 0)
            return 0
        if code == NS_GET_USERNS:
            if node.kind == b"user":
                raise LinuxError(EPERM)
            filesystem = node.filesystem
            assert isinstance(filesystem, SimpleFileSystem)
            owner = _namespace_file(filesystem, b"user", 0xEFFFFFFD)
            place = task.kernel.vfs.anonymous_location(owner, b"user:[%d]" % owner.number)
            return task.files.install(owner.open(task, 0, place), True, task.group.soft_limit(RLIMIT_NOFILE))
        return super().ioctl(task, code, arg)


def _namespace_file(filesystem: SimpleFileSystem, kind: bytes, number: int) -> NamespaceFile:
    node = NamespaceFile(filesystem, None, mode=0o444, number=number)
    node.kind = kind
    return node


def _anonymous(node: Inode, shown: bytes) -> Callable[[Task], Location]:
    return lambda task: task.kernel.vfs.anonymous_location(node, shown)


def _namespaces(filesystem: ProcFs, target: Task, number: int) -> Node:
    def names(filesystem: ProcFs, target: Task, task: Task) -> dict[bytes, Inode]:
        out: dict[bytes, Inode] = {}
        uid, gid = owner(target)
        for index, (name, kind, inode_number) in enumerate(_NAMESPACES, 1):
            shown = b"%s:[%d]" % (kind, inode_number)
            node = _namespace_file(filesystem, kind, inode_number)
            out[name] = MagicLink(
                filesystem, shown,
                _anonymous(node, shown),
                uid=uid, gid=gid, number=number + (index << 8))
        return out

    return TaskSubdirectory(filesystem, target, names, 0o511, number, guarded=True)


def _network(filesystem: ProcFs, target: Task, number: int) -> Node:
    from syscalls.fs.procfs_net import net_nodes
    uid, gid = target.cred.euid, target.cred.egid
    node = SimpleDirectory(filesystem, net_nodes(filesystem), 0o555, uid=uid, gid=gid, number=number)
    node.fixed = True
    return node


def net_link(filesystem: ProcFs) -> Node:
    return SymlinkNode(filesystem, b"self/net")


LINK_ENTRIES: dict[bytes, Maker] = {
    b"fd": lambda filesystem, target, number: DescriptorDirectory(filesystem, target, number, info=False),
    b"fdinfo": lambda filesystem, target, number: DescriptorDirectory(filesystem, target, number, info=True),
    b"cwd": _place(_cwd),
    b"root": _place(_root),
    b"exe": _place(_exe),
    b"ns": _namespaces,
    b"net": _network,
}
