"""Sockets: what all families share.

`Socket` mirrors struct socket with struct sock and its proto_ops; families subclass it (`unix_stream.py`,
`unix_dgram.py`, `inet_socket.py`, `netlink.py`).  Operations never sleep: one that would raises EAGAIN, and
`calls/net.py` (or read and write) sleeps on `queue` and tries again.  A family therefore wakes the queue of the socket
whose operation may now succeed: with POLLIN bits where data, connections or an end of file arrived, with POLLOUT bits
where room was made, with both where the connection ended.
"""

from __future__ import annotations

from syscalls.abi.errno import (
    EAFNOSUPPORT,
    EINVAL,
    EOPNOTSUPP,
    EPERM,
    EPIPE,
    ESOCKTNOSUPPORT,
    LinuxError,
)
from syscalls.abi.net import (
    AF_INET,
    AF_INET6,
    AF_MAX,
    AF_NETLINK,
    AF_UNIX,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    SHUTDOWN_MASK,
    SOCK_MAX,
    SOCK_STREAM,
    TCP_CLOSE,
    TCP_LISTEN,
)
from syscalls.fd import O_RDWR, FileDescription
from syscalls.fs.inode import S_IFSOCK, FileSystem, Inode, Stat
from syscalls.wait import RESTART_NEVER, RESTART_SYS, retry
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.kernel import Kernel
    from syscalls.task import Task
    from syscalls.unix_names import UnixNames

POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP = 1, 2, 4, 8, 0x10
POLLRDNORM, POLLRDBAND, POLLWRNORM, POLLWRBAND, POLLRDHUP = 0x40, 0x80, 0x100, 0x200, 0x2000
READ_EVENTS = POLLIN | POLLRDNORM
WRITE_EVENTS = POLLOUT | POLLWRNORM | POLLWRBAND
END_EVENTS = READ_EVENTS | WRITE_EVENTS | POLLHUP | POLLRDHUP | POLLERR


AF_PACKET, AF_XDP, CAP_NET_RAW = 17, 44, 13
PROTOCOL_NAME = b"system.sockprotoname"
"""The one extended attribute of a socket."""


def _protocol_name(family: int, kind: int) -> bytes:
    """sk_prot_creator->name."""
    if family == AF_UNIX:
        return b"UNIX-STREAM" if kind == SOCK_STREAM else b"UNIX"
    if family == AF_NETLINK:
        return b"NETLINK"
    return (b"TCP" if kind == SOCK_STREAM else b"UDP") + (b"v6" if family == AF_INET6 else b"")


class SocketFileSystem(FileSystem):
    """sockfs: never mounted; its inodes are what fstat of a socket shows."""

    name = "sockfs"
    magic = 0x534F434B


class SocketInode(Inode):
    mode = S_IFSOCK | 0o777

    def __init__(self, filesystem: SocketFileSystem, ino: int, uid: int, gid: int, now_ns: int,
                 protocol_name: bytes) -> None:
        self.filesystem = filesystem
        self.ino = ino
        self.uid = uid
        self.gid = gid
        self.time_ns = now_ns
        self.atime_ns = self.mtime_ns = self.ctime_ns = 0
        self.protocol_name = protocol_name

    def listxattr(self, task: Task) -> list[bytes]:
        return [PROTOCOL_NAME]

    def getxattr(self, task: Task, name: bytes) -> bytes:
        if name != PROTOCOL_NAME:
            raise LinuxError(EOPNOTSUPP)
        return self.protocol_name + b"\0"

    def stat(self, task: Task) -> Stat:
        # sockfs sets no times (they read as 0 until something is changed).
        return Stat(dev=self.filesystem.device, ino=self.ino, mode=self.mode, uid=self.uid, gid=self.gid,
                    atime_ns=self.atime_ns, mtime_ns=self.mtime_ns, ctime_ns=self.ctime_ns)

    def chmod(self, task: Task, mode: int) -> None:
        self.mode = S_IFSOCK | mode & 0o7777
        self.ctime_ns = task.kernel.clock.realtime()

    def chown(self, task: Task, uid: int, gid: int) -> None:
        self.uid = self.uid if uid == -1 else uid
        self.gid = self.gid if gid == -1 else gid
        self.ctime_ns = task.kernel.clock.realtime()

    def utime(self, task: Task, atime_ns: int | None, mtime_ns: int | None) -> None:
        self.atime_ns = self.atime_ns if atime_ns is None else atime_ns
        self.mtime_ns = self.mtime_ns if mtime_ns is None else mtime_ns
        self.ctime_ns = task.kernel.clock.realtime()


class Network:
    """One network namespace: the sockets of all guests."""

    __slots__ = ("_unix", "filesystem", "in_flight", "kernel", "netlink_ports", "sockets")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.filesystem = SocketFileSystem(8)
        self.sockets: dict[int, Socket] = {}
        """Open sockets by inode number, oldest first: for /proc/net."""
        self.netlink_ports: dict[tuple[int, int], Socket] = {}
        self.in_flight = 0
        """Sockets that are in messages not yet received: when there are none, nothing has to be collected."""
        self._unix: UnixNames | None = None

    @property
    def unix(self) -> UnixNames:
        if self._unix is None:
            from syscalls.unix_names import UnixNames
            self._unix = UnixNames()
        return self._unix


def network(kernel: Kernel) -> Network:
    if kernel.net is None:
        kernel.net = Network(kernel)
    return kernel.net


class UserCredentials:
    """struct ucred."""

    __slots__ = ("gid", "pid", "uid")

    def __init__(self, pid: int, uid: int, gid: int) -> None:
        self.pid = pid
        self.uid = uid
        self.gid = gid

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, UserCredentials) and self.pid == other.pid and self.uid == other.uid
                and self.gid == other.gid)

    __hash__ = None  # type: ignore[assignment]


class Control:
    """Ancillary data on its way out: what sendmsg's control buffer said, parsed."""

    __slots__ = ("credentials", "raw", "rights")

    def __init__(self) -> None:
        self.rights: list[FileDescription] = []
        self.credentials: UserCredentials | None = None
        self.raw: list[tuple[int, int, bytes]] = []
        """(level, type, data) of everything else."""


class Message:
    """What a receive found."""

    __slots__ = ("address", "credentials", "data", "flags", "length", "options", "pid", "rights")

    def __init__(self, data: bytes, address: bytes = b"", flags: int = 0, length: int = -1) -> None:
        self.data = data
        self.address = address
        """struct sockaddr of the sender; empty where there is none (msg_namelen 0)."""
        self.flags = flags
        """MSG_ bits for msg_flags."""
        self.length = len(data) if length < 0 else length
        """What the call returns: more than len(data) for a cut message when MSG_TRUNC was asked for."""
        self.credentials: UserCredentials | None = None
        """Set when the receiver wants SCM_CREDENTIALS."""
        self.rights: list[FileDescription] = []
        """Descriptions for the receiver: the caller installs them and releases the message's own references."""
        self.pid = 0
        """Set when the receiver wants SCM_PIDFD."""
        self.options: list[tuple[int, int, bytes]] = []
        """Further ancillary messages: (level, type, data)."""

    def release(self) -> None:
        """Drop the references of rights that nobody took."""
        for file in self.rights:
            file.release()
        self.rights = []


class Socket(FileDescription):
    """A socket of any family.

    `error` is sk_err: reported once, by SO_ERROR or the next operation."""

    kind = "socket"
    pollable = has_mmap = True
    reports_pending = False
    """Each message comes with how many bytes there are after it (SO_INQ)."""
    default_protocol = 0

    def __init__(self, task: Task, family: int, kind: int, protocol: int, flags: int = 0) -> None:
        net = network(task.kernel)
        ino = task.kernel.next_inode
        task.kernel.next_inode += 1
        self.ino = ino
        inode = SocketInode(net.filesystem, ino, task.cred.fsuid, task.cred.fsgid, 0, _protocol_name(family, kind))
        super().__init__(O_RDWR | flags, None, inode)
        self.net = net
        self.family = family
        self.type = kind
        self.protocol = protocol
        self.stream = kind == SOCK_STREAM
        self.state = TCP_CLOSE
        self.shutdown_mask = 0
        self.error = 0
        self.options: dict[tuple[int, int], int] = {}
        """Options that only have to be remembered, by (level, option)."""
        net.sockets[ino] = self

    # --- file operations

    def released(self) -> None:
        self.net.sockets.pop(self.ino, None)

    def describe(self) -> bytes:
        return b"socket:[%d]" % self.ino

    def read(self, task: Task, length: int) -> bytes:
        if length == 0:
            return b""
        message = self.receive(task, length, 0)
        if message.rights:
            message.release()
        return message.data

    def write(self, task: Task, data: bytes) -> int:
        """EPIPE: write(2) sends the SIGPIPE."""
        return self.send(task, data, 0, None, None)

    def ioctl(self, task: Task, code: int, arg: int) -> int:
        from syscalls.netdevice import socket_ioctl
        return socket_ioctl(task, self, code, arg)

    def unreadable_data(self, task: Task, length: int, flags: int = 0, address: bytes | None = None) -> None:
        """The state of a socket comes before the data: ENOTCONN, EPIPE with its signal, EDESTADDRREQ, ..."""
        try:
            self.before_data(task, length, flags, address)
        except (LinuxError, HostError) as error:
            if error.errno == EPIPE:
                self.broken_pipe(task, flags)
            raise

    def before_data(self, task: Task, length: int, flags: int, address: bytes | None) -> None:
        """What a send fails with before it reads its data."""

    def broken_pipe(self, task: Task, flags: int) -> None:
        """EPIPE on a stream comes with SIGPIPE, unless MSG_NOSIGNAL (sk_stream_error)."""
        if self.stream and not flags & MSG_NOSIGNAL:
            from syscalls.signals import broken_pipe
            broken_pipe(task)

    # --- socket operations.  Defaults: what sock_no_* answers.

    def bind(self, task: Task, address: bytes) -> None:
        raise LinuxError(EOPNOTSUPP)

    def listen(self, task: Task, backlog: int) -> None:
        raise LinuxError(EOPNOTSUPP)

    def accept(self, task: Task) -> tuple[Socket, bytes]:
        """The next connection and its peer's address; EAGAIN, EINVAL when not listening."""
        raise LinuxError(EOPNOTSUPP)

    def connect(self, task: Task, address: bytes) -> None:
        """EAGAIN when it has to sleep on `queue` for POLLOUT."""
        raise LinuxError(EOPNOTSUPP)

    async def connect_sleeping(self, task: Task, address: bytes) -> None:
        """Connect of a blocking socket."""
        await retry(task, self.queue, POLLOUT, lambda: self.connect(task, address),
                    deadline_ns=self.deadline(task, self.write_timeout_ns), restart=self.restart_write)

    def getsockname(self, task: Task) -> bytes:
        raise LinuxError(EOPNOTSUPP)

    def getpeername(self, task: Task) -> bytes:
        raise LinuxError(EOPNOTSUPP)

    def send(self, task: Task, data: bytes, flags: int, address: bytes | None, control: Control | None) -> int:
        """Bytes taken: all for message sockets, maybe fewer for streams.  EAGAIN, EPIPE (the caller signals)."""
        raise LinuxError(EOPNOTSUPP)

    def receive(self, task: Task, length: int, flags: int) -> Message:
        raise LinuxError(EOPNOTSUPP)

    def shutdown(self, task: Task, how: int) -> None:
        raise LinuxError(EOPNOTSUPP)

    def check_level(self, level: int) -> None:
        """Refuse a level of getsockopt(2) that this protocol does not have, before anything else is looked at."""

    def getsockopt(self, task: Task, level: int, option: int, length: int) -> bytes:
        """SOL_SOCKET has been served already, unless it raised; `length` is the room."""
        raise LinuxError(EOPNOTSUPP)

    def setsockopt(self, task: Task, level: int, option: int, value: bytes) -> None:
        raise LinuxError(EOPNOTSUPP)

    def pending(self, task: Task) -> int:
        """FIONREAD.  EINVAL on a listening socket."""
        raise LinuxError(EINVAL)

    def unsent(self) -> int:
        """SIOCOUTQ."""
        return 0

    def at_mark(self) -> bool:
        """SIOCATMARK of a stream: whether the next byte is the out-of-band one."""
        return False

    def stops_here(self) -> bool:
        """Whether a read of a stream that has some bytes already does not go on with those that are there."""
        return False

    # --- state that options read

    def peer_ucred(self) -> bytes:
        """SO_PEERCRED: struct ucred; nobody, but for AF_UNIX."""
        return b"\0\0\0\0" + b"\xff" * 8

    def take_error(self) -> int:
        error, self.error = self.error, 0
        return error

    def raise_error(self) -> None:
        """sock_error(): report a pending error, once."""
        if self.error:
            raise LinuxError(self.take_error())

    @property
    def listening(self) -> bool:
        return self.state == TCP_LISTEN

    def end_bits(self) -> int:
        """Poll bits that follow from the shutdown state alone."""
        bits = 0
        if self.shutdown_mask == SHUTDOWN_MASK:
            bits |= POLLHUP
        if self.shutdown_mask & 1:
            bits |= POLLRDHUP | READ_EVENTS
        if self.error:
            bits |= POLLERR
        return bits

    # --- sleeping

    def sleeps(self, flags: int) -> bool:
        return not (flags & MSG_DONTWAIT or self.nonblock)

    @staticmethod
    def deadline(task: Task, timeout_ns: int | None) -> int | None:
        return None if timeout_ns is None else task.kernel.clock.monotonic() + timeout_ns

    @property
    def restart_read(self) -> int:
        """sock_intr_errno: with a timeout an interrupted call ends with EINTR whatever SA_RESTART says."""
        return RESTART_SYS if self.read_timeout_ns is None else RESTART_NEVER

    @property
    def restart_write(self) -> int:
        return RESTART_SYS if self.write_timeout_ns is None else RESTART_NEVER


def make_socket(task: Task, family: int, kind: int, protocol: int, flags: int) -> Socket:
    """sock_create: EAFNOSUPPORT, EINVAL, then the family's own errors.  flags: O_NONBLOCK or 0."""
    if not 0 <= family < AF_MAX:
        raise LinuxError(EAFNOSUPPORT)
    if not 0 <= kind < SOCK_MAX:
        raise LinuxError(EINVAL)
    if family == AF_UNIX:
        from syscalls.unix_socket import make_unix
        return make_unix(task, kind, protocol, flags)
    if family in (AF_INET, AF_INET6):
        from syscalls.inet_socket import make_inet
        return make_inet(task, family, kind, protocol, flags)
    if family == AF_NETLINK:
        from syscalls.netlink import make_netlink
        return make_netlink(task, kind, protocol, flags)
    task.kernel.gap(task, "socket family", family)
    if family in (AF_PACKET, AF_XDP) and not task.cred.capable(CAP_NET_RAW):
        raise LinuxError(EPERM)
    raise LinuxError(EAFNOSUPPORT)


def make_pair(task: Task, family: int, kind: int, protocol: int, flags: int) -> tuple[Socket, Socket]:
    """socketpair(2): only AF_UNIX has it (EOPNOTSUPP)."""
    if family == AF_UNIX:
        from syscalls.unix_socket import socketpair
        return socketpair(task, kind, protocol, flags)
    make_socket(task, family, kind, protocol, flags).retain().release()
    raise LinuxError(EOPNOTSUPP)


def bad_type(task: Task, family: int, kind: int) -> LinuxError:
    task.kernel.gap(task, f"socket type (family {family})", kind)
    return LinuxError(ESOCKTNOSUPPORT)
