"""AF_UNIX between guests, entirely in the kernel (net/unix/af_unix.c): what its three types share.

A message lies as `Packet` in the receiver's queue and is charged to the *sender* until it is read, by the memory Linux
would take for it: SO_SNDBUF is the only limit of connected sockets, and programs see it as EAGAIN and POLLOUT.
"""

from __future__ import annotations

from collections import deque
from struct import pack

from syscalls.abi.errno import (
    EINVAL,
    ENODATA,
    EOPNOTSUPP,
    EPERM,
    EPROTONOSUPPORT,
    ESOCKTNOSUPPORT,
    ETOOMANYREFS,
    LinuxError,
)
from syscalls.abi.net import (
    AF_UNIX,
    RCV_SHUTDOWN,
    SEND_SHUTDOWN,
    SHUT_RDWR,
    SO_INQ,
    SO_PASSCRED,
    SO_PASSPIDFD,
    SO_PASSRIGHTS,
    SO_PEERPIDFD,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_LISTEN,
    WMEM_DEFAULT,
)
from syscalls.credentials import CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN, CAP_SYS_RESOURCE
from syscalls.sockets import END_EVENTS, WRITE_EVENTS, Control, Socket, UserCredentials
from syscalls.task import RLIMIT_NOFILE
from syscalls.unix_names import address_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fd import FileDescription
    from syscalls.sockets import Message, Network
    from syscalls.task import Task

PAGE = 4096
SK_BUFF = 256
"""sizeof(struct sk_buff) in its slab."""
SHARED_INFO = 320
"""What the data area of every buffer ends with (struct skb_shared_info)."""
HEAD_MAX = PAGE - SHARED_INFO
ALLOC_MAX = 4 * PAGE - SHARED_INFO
"""SKB_MAX_ALLOC: the most that is allocated in one piece."""
STREAM_CHUNK = HEAD_MAX + 8 * PAGE
OVERFLOW_ID = 65534


def _head_size(length: int) -> int:
    """Memory of a linear buffer: the allocator's next size, and the structure that describes it."""
    size = length + SHARED_INFO
    for bucket in (512, 1024, 2048, 4096, 8192):
        if size <= bucket:
            return bucket + SK_BUFF
    return 16384 + SK_BUFF


def packet_cost(length: int, linear: int) -> int:
    """skb->truesize of a message of which the first `linear` bytes are allocated in one piece."""
    if length <= 192:
        return 512 + SK_BUFF
    paged = min(-(-max(0, length - linear) // PAGE) * PAGE, length)
    return _head_size(length - paged) + -(-paged // PAGE) * PAGE


class Packet:
    """One message, or one piece of a stream (struct sk_buff with its unix_skb_parms)."""

    __slots__ = ("address", "cost", "credentials", "data", "pid", "position", "rights", "sender")

    def __init__(self, data: bytes, sender: UnixSocket, cost: int) -> None:
        self.data = data
        self.position = 0
        """Bytes of `data` that a stream has read."""
        self.sender = sender
        self.cost = cost
        self.address = address_of(sender.name) if sender.name is not None else b""
        self.credentials: UserCredentials | None = None
        self.pid = 0
        self.rights: list[FileDescription] = []


class UnixSocket(Socket):
    """`peer` is whom it sends to; for stream and seqpacket also the one it receives from."""

    def __init__(self, task: Task, kind: int, flags: int = 0) -> None:
        super().__init__(task, AF_UNIX, kind, 0, flags)
        self.landlock_domain = task.cred.landlock
        self.name: bytes | None = None
        """Bound name: a pathname without NUL, or an abstract one with its leading NUL."""
        self.key: tuple[int, int] | None = None
        """(st_dev, st_ino) of the socket inode of a pathname."""
        self.peer: UnixSocket | None = None
        self.incoming: deque[Packet] = deque()
        self.used = 0
        """Cost of what was sent and not read yet (sk_wmem_alloc)."""
        self.send_buffer = WMEM_DEFAULT
        self.blocked: set[UnixSocket] = set()
        """Sockets that found this one's queue full: told when there is room (peer_wait)."""
        self.dead = False
        self.passcred = False
        self.passpidfd = False
        self.peer_credentials: UserCredentials | None = None
        """SO_PEERCRED."""
        self.in_flight = 0
        """How many unread messages carry this socket."""
        self.peek_offset = -1

    # --- life

    def flush(self, task: Task) -> None:
        if self.in_flight:
            collect(self.net, self)

    def released(self) -> None:
        super().released()
        self.dead = True
        self.net.unix.unbind(self)
        self.detach()
        self.drop_incoming()
        self.tell_blocked()
        if self.net.in_flight:
            collect(self.net)

    def detach(self) -> None:
        """Tell the peer that this end is gone."""

    def embryos(self) -> tuple[UnixSocket, ...]:
        """Connections that wait here for accept."""
        return ()

    def drop_incoming(self) -> None:
        while self.incoming:
            self.consumed(self.incoming.popleft())

    def consumed(self, packet: Packet) -> None:
        """A packet has left the queue: give its memory back to the sender, and its rights to nobody."""
        uncharge(packet)
        rights = packet.rights
        if rights:
            packet.rights = []
            self.land(rights)
            for file in rights:
                file.release()

    def tell_blocked(self) -> None:
        if self.blocked:
            blocked, self.blocked = self.blocked, set()
            for socket in blocked:
                socket.queue.wake(WRITE_EVENTS)

    # --- names

    def getsockname(self, task: Task) -> bytes:
        return address_of(self.name)

    def bind(self, task: Task, address: bytes) -> None:
        from syscalls.unix_names import FAMILY, check_address
        if address == FAMILY:
            self.net.unix.autobind(self)
            return
        self.net.unix.bind(task, self, check_address(address))

    def autobind_for_credentials(self) -> None:
        """A socket that passes credentials gets a name before it sends, so that it can be answered."""
        if (self.passcred or self.passpidfd) and self.name is None:
            self.net.unix.autobind(self)

    # --- sending

    def writable_now(self) -> bool:
        """unix_writable: less than a quarter of the buffer is in use."""
        return self.used << 2 <= self.send_buffer and self.state != TCP_LISTEN

    def packet(self, task: Task, data: bytes, cost: int, receiver: UnixSocket, control: Control | None) -> Packet:
        """A charged packet with what goes along: credentials if either side asked for them, and rights."""
        if control is not None and control.rights and not receiver.options.get(
                (SOL_SOCKET, SO_PASSRIGHTS), 1):
            raise LinuxError(EPERM)
        packet = Packet(data, self, cost)
        self.used += cost
        if control is not None and control.credentials is not None:
            packet.credentials = control.credentials
        elif self.passcred or receiver.passcred or receiver.references == 0:
            packet.credentials = UserCredentials(task.group.pid, task.cred.uid, task.cred.gid)
        packet.pid = task.group.pid
        return packet

    def launch(self, task: Task, files: list[FileDescription]) -> list[FileDescription]:
        """Put rights in flight: a reference each.  ETOOMANYREFS (man 7 unix)."""
        in_flight = self.net.in_flight
        if in_flight + len(files) > task.group.soft_limit(RLIMIT_NOFILE) and not (
                task.cred.capable(CAP_SYS_RESOURCE) or task.cred.capable(CAP_SYS_ADMIN)):
            raise LinuxError(ETOOMANYREFS)
        for file in files:
            file.retain()
            if isinstance(file, UnixSocket):
                file.in_flight += 1
                self.net.in_flight += 1
        return files

    def land(self, files: list[FileDescription]) -> None:
        """Rights that are no longer in flight; the references stay with the caller."""
        for file in files:
            if isinstance(file, UnixSocket):
                file.in_flight -= 1
                self.net.in_flight -= 1

    def take_rights(self, packet: Packet, peek: bool) -> list[FileDescription]:
        """For a receiver: the packet's references, or new ones when it only peeks."""
        rights = packet.rights
        if peek:
            return [file.retain() for file in rights]
        packet.rights = []
        self.land(rights)
        return rights

    def label(self, message: Message, packet: Packet) -> None:
        """Credentials that the receiver asked to see."""
        if self.passcred:
            message.credentials = packet.credentials or UserCredentials(0, OVERFLOW_ID, OVERFLOW_ID)
        if self.passpidfd:
            message.pid = packet.pid

    def shutdown(self, task: Task, how: int) -> None:
        if not 0 <= how <= SHUT_RDWR:
            raise LinuxError(EINVAL)
        mask = how + 1
        self.shutdown_mask |= mask
        peer = self.peer
        if peer is not None and self.type != SOCK_DGRAM:
            peer.shutdown_mask |= ((SEND_SHUTDOWN if mask & RCV_SHUTDOWN else 0)
                                   | (RCV_SHUTDOWN if mask & SEND_SHUTDOWN else 0))
            peer.queue.wake(END_EVENTS)
        self.queue.wake(END_EVENTS)
        self.tell_blocked()

    # --- options and ioctls

    def setsockopt(self, task: Task, level: int, option: int, value: bytes) -> None:
        if level != SOL_SOCKET:
            raise LinuxError(EOPNOTSUPP)
        if option == SO_INQ and self.type == SOCK_STREAM:
            from syscalls.socket_options import first_bytes, whole_size
            if whole_size(value) != 4:
                raise LinuxError(EINVAL)
            on = int.from_bytes(first_bytes(value, 4), "little")
            if on > 1:
                raise LinuxError(EINVAL)
            self.reports_pending = bool(on)
            return
        from syscalls.socket_options import set_common
        set_common(task, self, option, value)
        if option == SO_PASSCRED:
            self.passcred = bool(self.options[level, option])
        elif option == SO_PASSPIDFD:
            self.passpidfd = bool(self.options[level, option])

    def check_level(self, level: int) -> None:
        if level != SOL_SOCKET:
            raise LinuxError(EOPNOTSUPP)

    def getsockopt(self, task: Task, level: int, option: int, length: int) -> bytes:
        if option == SO_PEERPIDFD:
            return self.peer_pidfd(task)
        from syscalls.socket_options import get_common
        return get_common(task, self, option, length)

    def peer_pidfd(self, task: Task) -> bytes:
        """SO_PEERPIDFD: a new descriptor.  ENODATA without a peer, ESRCH when it was reaped, EMFILE."""
        if self.peer_credentials is None:
            raise LinuxError(ENODATA)
        from syscalls.pidfd import open_pidfd
        return pack("<i", open_pidfd(task, self.peer_credentials.pid))

    def fdinfo(self, task: Task) -> list[tuple[str, str]]:
        return [("scm_fds", str(sum(len(packet.rights) for packet in self.incoming)))]

    def peer_ucred(self) -> bytes:
        """SO_PEERCRED."""
        found = self.peer_credentials
        return pack("<iii", found.pid, found.uid, found.gid) if found is not None else pack("<iii", 0, -1, -1)

    def pending(self, task: Task) -> int:
        if self.state == TCP_LISTEN:
            raise LinuxError(EINVAL)
        if self.type == SOCK_DGRAM:
            return len(self.incoming[0].data) if self.incoming else 0
        return sum(len(packet.data) - packet.position for packet in self.incoming)

    def unsent(self) -> int:
        return self.used


def uncharge(packet: Packet) -> None:
    """The packet's memory is free: sk_wmem_free, and unix_write_space when that makes the sender writable."""
    sender = packet.sender
    sender.used -= packet.cost
    packet.cost = 0
    if not sender.dead and sender.used << 2 <= sender.send_buffer:
        sender.queue.wake(WRITE_EVENTS)


def current_credentials(task: Task) -> UserCredentials:
    """What SO_PEERCRED remembers: the effective ids."""
    return UserCredentials(task.group.pid, task.cred.euid, task.cred.egid)


def check_credentials(task: Task, wanted: UserCredentials) -> None:
    """scm_check_creds: EPERM for a pid or an id that is not the sender's own, without the capability."""
    cred = task.cred
    if ((wanted.pid != task.group.pid and not cred.capable(CAP_SYS_ADMIN))
            or (wanted.uid not in (cred.uid, cred.euid, cred.suid) and not cred.capable(CAP_SETUID))
            or (wanted.gid not in (cred.gid, cred.egid, cred.sgid) and not cred.capable(CAP_SETGID))):
        raise LinuxError(EPERM)


def make_unix(task: Task, kind: int, protocol: int, flags: int) -> UnixSocket:
    if protocol not in (0, AF_UNIX):
        raise LinuxError(EPROTONOSUPPORT)
    if kind == SOCK_STREAM:
        from syscalls.unix_stream import UnixStream
        return UnixStream(task, kind, flags)
    if kind == SOCK_SEQPACKET:
        from syscalls.unix_stream import UnixSeqpacket
        return UnixSeqpacket(task, kind, flags)
    if kind in (SOCK_DGRAM, SOCK_RAW):
        # "Believe it or not BSD has AF_UNIX, SOCK_RAW though nothing uses it": a datagram socket.
        from syscalls.unix_dgram import UnixDatagram
        return UnixDatagram(task, SOCK_DGRAM, flags)
    raise LinuxError(ESOCKTNOSUPPORT)


def socketpair(task: Task, kind: int, protocol: int, flags: int) -> tuple[UnixSocket, UnixSocket]:
    from syscalls.abi.net import TCP_ESTABLISHED
    one = make_unix(task, kind, protocol, flags)
    two = make_unix(task, kind, protocol, flags)
    one.peer, two.peer = two, one
    one.state = two.state = TCP_ESTABLISHED
    one.peer_credentials = two.peer_credentials = current_credentials(task)
    return one, two


def collect(net: Network, closing: UnixSocket | None = None) -> None:
    """Free sockets that only unread messages of one another still hold (net/unix/garbage.c): no descriptor leads
    to them.  closing: a socket one of whose descriptors is about to go."""
    sockets = [socket for socket in net.sockets.values() if isinstance(socket, UnixSocket)]
    suspects = {socket for socket in sockets
                if socket.in_flight and socket.in_flight == socket.references - (socket is closing)}
    if not suspects:
        return
    embryos = {waiting for socket in sockets for waiting in socket.embryos()}
    todo = [socket for socket in sockets if socket not in suspects and socket not in embryos]
    while todo:
        socket = todo.pop()
        todo.extend(socket.embryos())
        for packet in socket.incoming:
            for file in packet.rights:
                if file in suspects:
                    assert isinstance(file, UnixSocket)
                    suspects.discard(file)
                    todo.append(file)
    for socket in suspects:
        for holder in (socket, *socket.embryos()):
            holder.drop_incoming()
