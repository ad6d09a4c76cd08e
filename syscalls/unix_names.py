"""Names of AF_UNIX sockets: pathnames (socket inodes of the VFS), abstract names, and autobind (man 7 unix)."""

from __future__ import annotations

from syscalls.abi.errno import EADDRINUSE, ECONNREFUSED, EEXIST, EINVAL, ENOENT, ENOSPC, EPERM, EPROTOTYPE, LinuxError
from syscalls.abi.net import AF_UNIX
from syscalls.fs.inode import S_IFMT, S_IFSOCK
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.vfs import Location
    from syscalls.task import Task
    from syscalls.unix_socket import UnixSocket

MAY_WRITE = 2
SOCKADDR_UN = 110
FAMILY = AF_UNIX.to_bytes(2, "little")


class HostProgramSocket(Exception):
    """The pathname leads to a socket inode that no guest has bound: a host program's, if anybody's."""

    def __init__(self, location: Location) -> None:
        super().__init__(location)
        self.location = location


def check_address(address: bytes) -> bytes:
    """unix_validate_addr: the sun_path part.  EINVAL for another family, no name at all, or one too long."""
    if not 2 < len(address) <= SOCKADDR_UN or address[:2] != FAMILY:
        raise LinuxError(EINVAL)
    return address[2:]


def address_of(name: bytes | None) -> bytes:
    """struct sockaddr_un of a bound name (None: unnamed).  Pathnames carry their NUL, abstract names have none."""
    if name is None:
        return FAMILY
    return FAMILY + name if name[:1] == b"\0" else FAMILY + name + b"\0"


class UnixNames:
    """Bound sockets by name."""

    __slots__ = ("abstract", "next_auto", "paths")

    def __init__(self) -> None:
        self.abstract: dict[tuple[int, bytes], UnixSocket] = {}
        """By type and name: each type has its own names."""
        self.paths: dict[tuple[int, int], UnixSocket] = {}
        """By (st_dev, st_ino) of the socket inode."""
        self.next_auto = 0

    def bind(self, task: Task, socket: UnixSocket, path: bytes) -> None:
        """EINVAL when it has a name, EADDRINUSE when the name is taken; for pathnames also what mknod says."""
        if path[0] == 0:
            if socket.name is not None:
                raise LinuxError(EINVAL)
            if (socket.type, path) in self.abstract:
                raise LinuxError(EADDRINUSE)
            self.abstract[socket.type, path] = socket
            socket.name = path
            return
        path = path.partition(b"\0")[0]
        vfs = task.kernel.vfs
        if socket.name is not None:
            # The file is made first (unix_bind_bsd), so one that is there already is what is told.
            try:
                vfs.resolve(task, path, follow=False)
            except (LinuxError, HostError) as error:
                raise LinuxError(EINVAL) if error.errno == ENOENT else error from None
            raise LinuxError(EADDRINUSE)
        assert socket.inode is not None
        mode = S_IFSOCK | socket.inode.mode & 0o7777 & ~task.fs.umask
        try:
            inode = vfs.mknod(task, path, mode)
        except LinuxError as error:
            raise LinuxError(EADDRINUSE) if error.errno == EEXIST else error from None
        socket.key = inode.identity(task)
        # A socket whose file was removed may still hold this number on a host that reused it: the file wins.
        self.paths[socket.key] = socket
        socket.name = path

    def autobind(self, socket: UnixSocket) -> None:
        """An abstract name of five hexadecimal digits; nothing when it has a name already."""
        if socket.name is not None:
            return
        for _ in range(1 << 20):
            name = b"\0%05x" % self.next_auto
            self.next_auto = (self.next_auto + 1) & 0xFFFFF
            if (socket.type, name) not in self.abstract:
                self.abstract[socket.type, name] = socket
                socket.name = name
                return
        raise LinuxError(ENOSPC)

    def unbind(self, socket: UnixSocket) -> None:
        if socket.name is None:
            return
        if socket.key is None:
            if self.abstract.get((socket.type, socket.name)) is socket:
                del self.abstract[socket.type, socket.name]
        elif self.paths.get(socket.key) is socket:
            del self.paths[socket.key]

    def find(self, task: Task, path: bytes, kind: int) -> UnixSocket:
        """unix_find_other.  ECONNREFUSED: nobody is bound there; EPROTOTYPE: of another type (pathnames
        only); and the errors of a path walk.  HostProgramSocket when only the host can know."""
        if path[0] == 0:
            found = self.abstract.get((kind, path))
            if found is not None and task.cred.landlock is not None:
                from syscalls.landlock import SCOPE_ABSTRACT_UNIX_SOCKET, in_scope
                if not in_scope(task, found.landlock_domain, SCOPE_ABSTRACT_UNIX_SOCKET):
                    raise LinuxError(EPERM)
        else:
            path = path.partition(b"\0")[0]
            vfs = task.kernel.vfs
            location = vfs.resolve(task, path)
            inode = location.inode
            vfs.permission(task, inode, MAY_WRITE)
            if inode.mode & S_IFMT != S_IFSOCK:
                raise LinuxError(ECONNREFUSED)
            found = self.paths.get(inode.identity(task))
            if found is None:
                raise HostProgramSocket(location)
        if found is None:
            raise LinuxError(ECONNREFUSED)
        if found.type != kind:
            raise LinuxError(EPROTOTYPE)
        return found
