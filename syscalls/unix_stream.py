"""AF_UNIX connections: SOCK_STREAM and SOCK_SEQPACKET."""

from __future__ import annotations

from collections import deque

from syscalls.abi.errno import (
    EAGAIN,
    ECONNREFUSED,
    ECONNRESET,
    EINVAL,
    EISCONN,
    EMSGSIZE,
    ENOTCONN,
    EOPNOTSUPP,
    EPIPE,
    LinuxError,
)
from syscalls.abi.net import (
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    RCV_SHUTDOWN,
    SEND_SHUTDOWN,
    SHUTDOWN_MASK,
    TCP_CLOSE,
    TCP_ESTABLISHED,
    TCP_LISTEN,
)
from syscalls.sockets import (
    END_EVENTS,
    POLLHUP,
    POLLPRI,
    READ_EVENTS,
    WRITE_EVENTS,
    Control,
    Message,
    Socket,
    UserCredentials,
)
from syscalls.unix_names import HostProgramSocket, address_of, check_address
from syscalls.unix_oob import at_mark, queue_oob, receive_around, receive_oob, stops
from syscalls.unix_socket import (
    ALLOC_MAX,
    HEAD_MAX,
    STREAM_CHUNK,
    UnixSocket,
    current_credentials,
    packet_cost,
    uncharge,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task
    from syscalls.unix_socket import Packet


class UnixConnection(UnixSocket):
    """A connection-based socket: listening, connected or neither."""

    def __init__(self, task: Task, kind: int, flags: int = 0) -> None:
        super().__init__(task, kind, flags)
        self.waiting: deque[UnixConnection] = deque()
        """Connections made by connect(2) and not yet accepted: complete, with nobody behind them."""
        self.backlog = 0
        self.oob: Packet | None = None
        """The out-of-band byte that came last and was not received (a packet of `incoming`)."""

    def embryos(self) -> tuple[UnixSocket, ...]:
        return tuple(self.waiting)

    # --- connecting

    def listen(self, task: Task, backlog: int) -> None:
        if self.name is None or self.state not in (TCP_CLOSE, TCP_LISTEN):
            raise LinuxError(EINVAL)
        if backlog > self.backlog:
            self.tell_blocked()
        self.backlog = backlog
        self.state = TCP_LISTEN
        self.peer_credentials = current_credentials(task)

    def connect(self, task: Task, address: bytes) -> None:
        path = check_address(address)
        self.autobind_for_credentials()
        try:
            other = self.net.unix.find(task, path, self.type)
        except HostProgramSocket as found:
            from syscalls.unix_bridge import bridge
            bridge(task, self, found.location)
            return
        assert isinstance(other, UnixConnection)
        if other.state != TCP_LISTEN or other.shutdown_mask & RCV_SHUTDOWN:
            raise LinuxError(ECONNREFUSED)
        if len(other.waiting) > other.backlog:
            other.blocked.add(self)
            raise LinuxError(EAGAIN)
        if self.state != TCP_CLOSE:
            raise LinuxError(EISCONN if self.state == TCP_ESTABLISHED else EINVAL)
        embryo = type(self)(task, self.type)
        embryo.name = other.name
        embryo.peer, self.peer = self, embryo
        embryo.state = self.state = TCP_ESTABLISHED
        embryo.peer_credentials = current_credentials(task)
        self.peer_credentials = other.peer_credentials
        other.waiting.append(embryo)
        other.queue.wake(READ_EVENTS)

    def accept(self, task: Task) -> tuple[Socket, bytes]:
        if self.state != TCP_LISTEN:
            raise LinuxError(EINVAL)
        if not self.waiting:
            raise LinuxError(EINVAL if self.shutdown_mask & RCV_SHUTDOWN and not self.nonblock else EAGAIN)
        embryo = self.waiting.popleft()
        self.tell_blocked()
        embryo.passcred, embryo.passpidfd = self.passcred, self.passpidfd
        peer = embryo.peer
        return embryo, address_of(peer.name) if peer is not None else b""

    def getpeername(self, task: Task) -> bytes:
        if self.peer is None:
            raise LinuxError(ENOTCONN)
        return address_of(self.peer.name)

    def detach(self) -> None:
        # An empty message at the front does not count: it looks like an out-of-band byte that was read.
        incoming = self.incoming
        unread = len(incoming) > 1 or bool(incoming and len(incoming[0].data) > incoming[0].position)
        self.close_connection(ECONNRESET if unread else 0)
        while self.waiting:
            embryo = self.waiting.popleft()
            # Nobody will ever see it: its peer is told that the connection was reset.
            embryo.close_connection(ECONNRESET)
            embryo.released()

    def close_connection(self, error: int) -> None:
        peer = self.peer
        self.state = TCP_CLOSE
        self.shutdown_mask = SHUTDOWN_MASK
        if peer is not None and not peer.dead:
            peer.shutdown_mask = SHUTDOWN_MASK
            if error:
                peer.error = error
            peer.queue.wake(END_EVENTS)

    # --- readiness

    def ready(self, mask: int) -> int:
        bits = self.end_bits()
        if self.incoming or self.waiting:
            bits |= READ_EVENTS
        if self.oob is not None:
            bits |= POLLPRI
        if self.state == TCP_CLOSE:
            bits |= POLLHUP
        if self.used << 2 <= self.send_buffer and self.state != TCP_LISTEN:
            bits |= WRITE_EVENTS
        return bits & (mask | 0x18)

    # --- sending

    def check_send(self) -> UnixSocket:
        """The peer, when it would take something now.  EPIPE, EAGAIN, or a pending error."""
        self.raise_error()
        peer = self.peer
        if self.shutdown_mask & SEND_SHUTDOWN or peer is None:
            raise LinuxError(EPIPE)
        if self.used >= self.send_buffer:
            raise LinuxError(EAGAIN)
        if peer.dead or peer.shutdown_mask & RCV_SHUTDOWN:
            raise LinuxError(EPIPE)
        return peer


class UnixStream(UnixConnection):
    """SOCK_STREAM: bytes, with boundaries only where rights and credentials are."""

    oob_seen = False
    """Whether an out-of-band byte ever came: else nothing has to be asked about them."""
    left_out = 0
    """Out-of-band bytes that reads left out: FIONREAD goes on to count them (u->inq_len, since Linux 6.17)."""

    def send(self, task: Task, data: bytes, flags: int, address: bytes | None, control: Control | None) -> int:
        out_of_band = flags & MSG_OOB
        if out_of_band and not data:
            raise LinuxError(EOPNOTSUPP)
        peer = self._receiver(address)
        self.autobind_for_credentials()
        sent = 0
        if out_of_band:
            byte = data[-1:]
            data = data[:-1]
        total = len(data)
        while sent < total:
            try:
                self.check_send()
            except LinuxError:
                if sent:
                    break
                raise
            size = min(total - sent, (self.send_buffer >> 1) - 64, STREAM_CHUNK)
            chunk = data if size == total else data[sent:sent + size]
            packet = self.packet(task, chunk, packet_cost(size, HEAD_MAX), peer, control)
            if control is not None and control.rights and not sent:
                packet.rights = self.launch(task, control.rights)
            peer.incoming.append(packet)
            sent += size
        if sent:
            peer.queue.wake(READ_EVENTS)
        if out_of_band and sent == total:
            try:
                self.check_send()
                queue_oob(task, self, peer, byte, control, bool(sent))
            except LinuxError:
                if not sent:
                    raise
            else:
                sent += 1
        return sent

    def _receiver(self, address: bytes | None) -> UnixStream:
        if address:
            raise LinuxError(EISCONN if self.state == TCP_ESTABLISHED else EOPNOTSUPP)
        if self.peer is None:
            raise LinuxError(ENOTCONN)
        if self.shutdown_mask & SEND_SHUTDOWN:
            raise LinuxError(EPIPE)
        assert isinstance(self.peer, UnixStream)
        return self.peer

    def before_data(self, task: Task, length: int, flags: int, address: bytes | None) -> None:
        if flags & MSG_OOB and not length:
            raise LinuxError(EOPNOTSUPP)
        self._receiver(address)
        self.check_send()

    def receive(self, task: Task, length: int, flags: int) -> Message:
        if self.state != TCP_ESTABLISHED:
            raise LinuxError(EINVAL)
        if flags & MSG_OOB:
            return receive_oob(self, length, flags)
        if flags & MSG_PEEK or self.oob_seen:
            return receive_around(self, length, bool(flags & MSG_PEEK))
        incoming = self.incoming
        if not incoming:
            self.raise_error()
            if self.shutdown_mask & RCV_SHUTDOWN:
                return self.end_of_stream()
            raise LinuxError(EAGAIN)
        first = incoming[0]
        if (len(incoming) == 1 and not first.position and len(first.data) <= length and not first.rights
                and not self.passcred and not self.passpidfd and self.peek_offset <= 0):
            # One piece taken whole, as mostly.
            incoming.clear()
            uncharge(first)
            return Message(first.data, first.address)
        message = Message(b"", first.address)
        self.label(message, first)
        parts: list[bytes] = []
        room = length
        while incoming:
            packet = incoming[0]
            # Bytes of different writers are never glued together where the reader asks who wrote them.
            if (self.passcred or self.passpidfd) and packet is not first and not (
                    packet.credentials == first.credentials and packet.pid == first.pid):
                break
            start = packet.position
            data = packet.data
            size = min(room, len(data) - start)
            parts.append(data if size == len(data) else data[start:start + size])
            room -= size
            packet.position = start + size
            if packet.rights:
                message.rights = self.take_rights(packet, False)
            if packet.position < len(data):
                break
            incoming.popleft()
            self.consumed(packet)
            if message.rights or not room:
                break
        message.data = parts[0] if len(parts) == 1 else b"".join(parts)
        message.length = len(message.data)
        if self.peek_offset > 0:
            self.peek_offset = max(0, self.peek_offset - message.length)
        return message

    def end_of_stream(self) -> Message:
        """Nothing; the credentials are what memory of zeros says (scm_cookie)."""
        message = Message(b"")
        if self.passcred:
            message.credentials = UserCredentials(0, 0, 0)
        return message

    def pending(self, task: Task) -> int:
        return super().pending(task) + self.left_out

    def at_mark(self) -> bool:
        return self.oob_seen and at_mark(self)

    def stops_here(self) -> bool:
        return self.oob_seen and stops(self)

    def unread(self, data: bytes) -> None:
        if data:
            from syscalls.unix_socket import Packet
            self.incoming.appendleft(Packet(data, self, 0))


class UnixSeqpacket(UnixConnection):
    """SOCK_SEQPACKET: a connection of whole messages."""

    def send(self, task: Task, data: bytes, flags: int, address: bytes | None, control: Control | None) -> int:
        self.before_data(task, len(data), flags, address)
        self.autobind_for_credentials()
        peer = self.check_send()
        packet = self.packet(task, data, packet_cost(len(data), ALLOC_MAX), peer, control)
        if control is not None and control.rights:
            packet.rights = self.launch(task, control.rights)
        peer.incoming.append(packet)
        peer.queue.wake(READ_EVENTS)
        return len(data)

    def before_data(self, task: Task, length: int, flags: int, address: bytes | None) -> None:
        self.raise_error()
        if self.state != TCP_ESTABLISHED:
            raise LinuxError(ENOTCONN)
        if flags & MSG_OOB:
            raise LinuxError(EOPNOTSUPP)
        if length > self.send_buffer - 32:
            raise LinuxError(EMSGSIZE)
        if self.shutdown_mask & SEND_SHUTDOWN:
            raise LinuxError(EPIPE)

    def receive(self, task: Task, length: int, flags: int) -> Message:
        if self.state != TCP_ESTABLISHED:
            raise LinuxError(ENOTCONN)
        if flags & MSG_OOB:
            raise LinuxError(EOPNOTSUPP)
        self.raise_error()
        if not self.incoming and self.shutdown_mask & RCV_SHUTDOWN:
            return Message(b"")
        return receive_packet(self, length, flags)


def receive_packet(socket: UnixSocket, length: int, flags: int) -> Message:
    """The first whole message of a queue (unix_dgram_recvmsg); EAGAIN."""
    incoming = socket.incoming
    peek = bool(flags & MSG_PEEK)
    index = 0
    skip = 0
    if peek and socket.peek_offset > 0:
        skip = socket.peek_offset
        while index < len(incoming) and skip >= len(incoming[index].data):
            skip -= len(incoming[index].data)
            index += 1
    if index >= len(incoming):
        raise LinuxError(EAGAIN)
    packet = incoming[index]
    whole = len(packet.data) - skip
    data = packet.data if length >= whole and not skip else packet.data[skip:skip + length]
    message = Message(data, packet.address)
    if length < whole:
        message.flags |= MSG_TRUNC
        if flags & MSG_TRUNC:
            message.length = whole
    socket.label(message, packet)
    if packet.rights:
        message.rights = socket.take_rights(packet, peek)
    if peek:
        if socket.peek_offset >= 0:
            socket.peek_offset += len(data)
        return message
    incoming.popleft()
    socket.consumed(packet)
    if socket.peek_offset > 0:
        socket.peek_offset = max(0, socket.peek_offset - len(packet.data))
    socket.tell_blocked()
    return message
