"""AF_UNIX datagram sockets: messages to named sockets, or to the one that connect(2) or socketpair(2) chose."""

from __future__ import annotations

from syscalls.abi.errno import (
    EAGAIN,
    ECONNREFUSED,
    ECONNRESET,
    EINVAL,
    EMSGSIZE,
    ENOTCONN,
    EOPNOTSUPP,
    EPERM,
    EPIPE,
    LinuxError,
)
from syscalls.abi.net import (
    AF_UNSPEC,
    MSG_OOB,
    RCV_SHUTDOWN,
    SEND_SHUTDOWN,
    TCP_CLOSE,
    TCP_ESTABLISHED,
    UNIX_MAX_DGRAM_QLEN,
)
from syscalls.sockets import READ_EVENTS, WRITE_EVENTS, Control, Message
from syscalls.unix_names import HostProgramSocket, address_of, check_address
from syscalls.unix_socket import ALLOC_MAX, UnixSocket, packet_cost
from syscalls.unix_stream import receive_packet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task


class UnixDatagram(UnixSocket):
    def getpeername(self, task: Task) -> bytes:
        if self.peer is None:
            raise LinuxError(ENOTCONN)
        return address_of(self.peer.name)

    def find(self, task: Task, address: bytes) -> UnixSocket:
        """Whom an address names, if it takes messages from this socket (unix_may_send): EPERM otherwise."""
        try:
            other = self.net.unix.find(task, check_address(address), self.type)
        except HostProgramSocket:
            task.kernel.gap(task, "datagram to a host program's AF_UNIX socket", 0)
            raise LinuxError(ECONNREFUSED) from None
        if other.peer is not None and other.peer is not self:
            raise LinuxError(EPERM)
        return other

    def connect(self, task: Task, address: bytes) -> None:
        if len(address) < 2:
            raise LinuxError(EINVAL)
        if int.from_bytes(address[:2], "little") == AF_UNSPEC:
            other = None
        else:
            check_address(address)
            self.autobind_for_credentials()
            other = self.find(task, address)
        former, self.peer = self.peer, other
        self.state = TCP_CLOSE if other is None else TCP_ESTABLISHED
        if former is not None:
            former.blocked.discard(self)
            if former is not other and self.incoming:
                # unix_dgram_disconnected: what the former peer sent is not for the new one's reader.
                self.drop_incoming()
                self.tell_blocked()
                if not former.dead and former.peer is self:
                    former.error = ECONNRESET
                    former.queue.wake(0x8 | READ_EVENTS | WRITE_EVENTS)

    def send(self, task: Task, data: bytes, flags: int, address: bytes | None, control: Control | None) -> int:
        self.before_data(task, len(data), flags, address)
        if address:
            other = self.find(task, address)
        elif self.peer is None:
            raise LinuxError(ENOTCONN)
        else:
            other = self.peer
            if other.dead:
                self.peer = None
                self.state = TCP_CLOSE
                self.drop_incoming()
                raise LinuxError(ECONNREFUSED)
            if other.peer is not None and other.peer is not self:
                raise LinuxError(EPERM)
        if other.shutdown_mask & RCV_SHUTDOWN:
            raise LinuxError(EPIPE)
        if self.held_up_by(other):
            other.blocked.add(self)
            raise LinuxError(EAGAIN)
        packet = self.packet(task, data, packet_cost(len(data), ALLOC_MAX), other, control)
        if control is not None and control.rights:
            packet.rights = self.launch(task, control.rights)
        other.incoming.append(packet)
        other.queue.wake(READ_EVENTS)
        return len(data)

    def before_data(self, task: Task, length: int, flags: int, address: bytes | None) -> None:
        if flags & MSG_OOB:
            raise LinuxError(EOPNOTSUPP)
        if address:
            check_address(address)
        self.autobind_for_credentials()
        if length > self.send_buffer - 32:
            raise LinuxError(EMSGSIZE)
        self.raise_error()
        if self.shutdown_mask & SEND_SHUTDOWN:
            raise LinuxError(EPIPE)
        if self.used >= self.send_buffer:
            raise LinuxError(EAGAIN)

    def held_up_by(self, other: UnixSocket) -> bool:
        """unix_recvq_full, which pairs connected to each other need not fear."""
        return other is not self and other.peer is not self and len(other.incoming) > UNIX_MAX_DGRAM_QLEN

    def receive(self, task: Task, length: int, flags: int) -> Message:
        if flags & MSG_OOB:
            raise LinuxError(EOPNOTSUPP)
        self.raise_error()
        if not self.incoming and self.shutdown_mask & RCV_SHUTDOWN and self.sleeps(flags):
            return Message(b"")
        return receive_packet(self, length, flags)

    def detach(self) -> None:
        if self.peer is not None:
            self.peer.blocked.discard(self)

    def ready(self, mask: int) -> int:
        bits = self.end_bits()
        if self.incoming:
            bits |= READ_EVENTS
        if self.used << 2 <= self.send_buffer:
            peer = self.peer
            if peer is not None and not peer.dead and self.held_up_by(peer):
                peer.blocked.add(self)
            else:
                bits |= WRITE_EVENTS
        return bits & (mask | 0x18)
