"""AF_UNIX streams to servers of the host: X11, D-Bus, docker, ssh-agent.

A guest's connect(2) to a socket file that no guest has bound asks the host.  Then the socket's data and readiness are
the host's; rights do not cross, and credentials are pylx's own.
"""

from __future__ import annotations

from syscalls.abi.errno import ECONNREFUSED, EINPROGRESS, EISCONN, EOPNOTSUPP, LinuxError
from syscalls.abi.net import AF_UNIX, SOCK_STREAM, TCP_ESTABLISHED
from syscalls.host_socket import HostBackedSocket
from syscalls.unix_names import FAMILY, address_of
from syscalls.unix_socket import UnixSocket
from syscalls.unix_stream import UnixStream
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.vfs import Location
    from syscalls.sockets import Control, Message
    from syscalls.task import Task

PATH_ROOM = 107


class BridgedStream(HostBackedSocket, UnixStream):
    """A UnixStream whose peer is a host program: what `bridge` turns a connecting socket into."""

    remote_name = b""

    def released(self) -> None:
        self.net.unix.unbind(self)
        self.drop_incoming()
        HostBackedSocket.released(self)

    def getpeername(self, task: Task) -> bytes:
        return address_of(self.remote_name)

    def connect(self, task: Task, address: bytes) -> None:
        raise LinuxError(EISCONN)

    def send(self, task: Task, data: bytes, flags: int, address: bytes | None, control: Control | None) -> int:
        if address:
            raise LinuxError(EISCONN)
        if control is not None and control.rights:
            task.kernel.gap(task, "SCM_RIGHTS to a host program", len(control.rights))
            raise LinuxError(EOPNOTSUPP)
        return HostBackedSocket.send(self, task, data, flags, None, None)

    def receive(self, task: Task, length: int, flags: int) -> Message:
        return HostBackedSocket.receive(self, task, length, flags)

    def ready(self, mask: int) -> int:
        return HostBackedSocket.ready(self, mask)

    def unread(self, data: bytes) -> None:
        HostBackedSocket.unread(self, data)

    def shutdown(self, task: Task, how: int) -> None:
        HostBackedSocket.shutdown(self, task, how)

    def pending(self, task: Task) -> int:
        return HostBackedSocket.pending(self, task)


def bridge(task: Task, socket: UnixSocket, location: Location) -> None:
    """Connect `socket` to the host's server at that file; ECONNREFUSED where there is none or no way."""
    filesystem = location.inode.filesystem
    root: bytes | None = getattr(filesystem, "host_root", None)
    path: bytes = location.dentry.path
    if root is None or socket.type != SOCK_STREAM or type(socket) is not UnixStream:
        raise LinuxError(ECONNREFUSED)
    name = root.rstrip(b"/") + b"/" + path.lstrip(b"/")
    if len(name) > PATH_ROOM:
        task.kernel.gap(task, "host AF_UNIX path too long", len(name))
        raise LinuxError(ECONNREFUSED)
    try:
        host = task.kernel.host.socket(AF_UNIX, SOCK_STREAM, 0)
    except HostError:
        task.kernel.gap(task, "AF_UNIX of the host", 0)
        raise LinuxError(ECONNREFUSED) from None
    try:
        host.connect(FAMILY + name + b"\0")
    except HostError as error:
        if error.errno != EINPROGRESS:
            host.close()
            raise
    # The object stays who it is for the descriptors and watchers that have it; only its data come from elsewhere.
    socket.__class__ = BridgedStream
    assert isinstance(socket, BridgedStream)
    socket.attach(task, host)
    socket.remote_name = location.path(task)
    socket.state = TCP_ESTABLISHED
