"""Sockets that are the host's: data and readiness come from a `HostSocket`, which never sleeps.

The wait queue is a HostWaitQueue: the host's poller is armed while somebody waits, one shot.  Every operation that
found the socket not ready, or may have made it so, arms it again: persistent watchers (epoll) must hear of the next
edge.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, ENOTCONN, LinuxError
from syscalls.abi.net import (
    MSG_CTRUNC,
    MSG_DONTWAIT,
    MSG_ERRQUEUE,
    MSG_NOSIGNAL,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    RCV_SHUTDOWN,
    SHUT_RD,
    SHUT_RDWR,
)
from syscalls.sockets import POLLIN, POLLOUT, READ_EVENTS, WRITE_EVENTS, Control, Message, Socket
from syscalls.wait import HostWaitQueue
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task
    from translator.hosts.base import HostSocket

POLLWRNORM, POLLRDHUP = 0x100, 0x2000
CHUNK = 1 << 20
"""The most bytes that one receive asks the host for."""
RECEIVE_FLAGS = MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE
"""Flags that mean something to the host; sleeping, MSG_WAITALL and descriptors are the kernel's."""
LOCAL_SEND_FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL


class HostBackedSocket(Socket):
    """Data, readiness and end of a socket on a host socket: `attach` gives it one."""

    host: HostSocket
    queue: HostWaitQueue
    ended = False
    """A stream's end of file was read."""
    pushed = b""
    """Bytes that were read but did not fit the guest's buffer."""
    wants_control = False
    """An option was set that makes messages carry ancillary data."""

    def attach(self, task: Task, host: HostSocket) -> None:
        waiting = self.queue.entries
        self.host = host
        self.queue = HostWaitQueue(task.kernel.poller, host.fileno())
        for waiter, mask in waiting.items():
            self.queue.add(waiter, mask)

    def released(self) -> None:
        self.queue.close()
        self.host.close()
        super().released()

    # --- readiness

    def ready(self, mask: int) -> int:
        queue = self.queue
        bits = queue.poller.probe(queue.fileno, mask & 0x2FFF)
        if self.pushed:
            bits |= POLLIN
        if self.stream and mask & POLLRDHUP and bits & POLLIN and not bits & POLLRDHUP and (
                self.ended or self.at_end()):
            bits |= POLLRDHUP
        if bits & POLLIN:
            bits |= READ_EVENTS
        if bits & POLLOUT:
            # Only datagram sockets say POLLWRBAND (datagram_poll; tcp_poll does not).
            bits |= POLLOUT | POLLWRNORM if self.stream else WRITE_EVENTS
        queue.rearm(mask & ~bits)
        return bits & (mask | 0x18)

    def at_end(self) -> bool:
        """Whether nothing but the end is left to read, on a host whose poller cannot say so."""
        if self.net.kernel.host.name == "linux" or self.listening:
            return False
        try:
            return not self.host.recvfrom(1, MSG_PEEK)[0]
        except HostError:
            return False

    # --- data

    def send(self, task: Task, data: bytes, flags: int, address: bytes | None, control: Control | None) -> int:
        try:
            if control is not None and control.raw:
                done = self.send_control(task, data, flags, address, control)
            else:
                done = self.host.sendto(data, flags & ~LOCAL_SEND_FLAGS, address)
        except HostError as error:
            if error.errno == EAGAIN:
                self.queue.rearm(POLLOUT)
            raise
        if done < len(data):
            self.queue.rearm(POLLOUT)
        return done

    def send_control(self, task: Task, data: bytes, flags: int, address: bytes | None, control: Control) -> int:
        send = getattr(self.host, "send_message", None)
        if send is None:
            for level, kind, _ in control.raw:
                task.kernel.gap(task, f"ancillary data of level {level}", kind)
            return self.host.sendto(data, flags & ~LOCAL_SEND_FLAGS, address)
        return int(send(data, control.raw, flags & ~LOCAL_SEND_FLAGS, address))

    def receive(self, task: Task, length: int, flags: int) -> Message:
        if self.error and not flags & MSG_ERRQUEUE:
            self.raise_error()
        length = min(length, CHUNK)
        if self.pushed:
            return self.receive_pushed(length, flags)
        try:
            message = self.receive_host(length, flags & RECEIVE_FLAGS)
        except HostError as error:
            if error.errno == EAGAIN:
                if self.shutdown_mask & RCV_SHUTDOWN and not self.stream and self.sleeps(flags):
                    return Message(b"")  # what would sleep finds the end (__skb_wait_for_more_packets)
                self.queue.rearm(POLLIN)
            raise
        if self.stream and length and not message.length and not flags & (MSG_OOB | MSG_ERRQUEUE):
            self.ended = True
        else:
            self.queue.rearm(POLLIN)
        return message

    def receive_pushed(self, length: int, flags: int) -> Message:
        data = self.pushed[:length]
        if not flags & MSG_PEEK:
            self.pushed = self.pushed[length:]
        return Message(data)

    def receive_host(self, length: int, flags: int) -> Message:
        host = self.host
        if self.wants_control or flags & MSG_ERRQUEUE:
            receive = getattr(host, "recv_message", None)
            if receive is not None:
                data, address, seen, whole, options = receive(length, flags)
                message = self.message(data, address, seen, whole, flags)
                message.options = options
                return message
            if flags & MSG_ERRQUEUE:
                raise LinuxError(EAGAIN)
        if flags & MSG_TRUNC:
            receive = getattr(host, "recv_length", None)
            if receive is not None:
                data, address, seen, whole = receive(length, flags)
                return self.message(data, address, seen, whole, flags)
        data, address, seen = host.recvfrom(length, flags)
        return self.message(data, address, seen, len(data), flags)

    def message(self, data: bytes, address: bytes, seen: int, whole: int, flags: int) -> Message:
        if self.stream:
            # TCP with MSG_TRUNC throws the bytes away and only counts them; it never names a sender.
            return Message(b"" if flags & MSG_TRUNC else data, b"", seen & ~MSG_TRUNC & ~MSG_CTRUNC,
                           whole if flags & MSG_TRUNC else len(data))
        return Message(data, address, seen, whole if flags & MSG_TRUNC else len(data))

    def unread(self, data: bytes) -> None:
        if self.stream:
            self.pushed = data + self.pushed

    def shutdown(self, task: Task, how: int) -> None:
        try:
            self.host.shutdown(how)
        except HostError as error:
            if error.errno == ENOTCONN and not self.stream:
                self.shutdown_mask |= how + 1  # it is shut down all the same (inet_shutdown)
                self.queue.wake()
            raise
        self.shutdown_mask |= how + 1
        if how in (SHUT_RD, SHUT_RDWR):
            self.ended = True
        self.queue.wake()

    def pending(self, task: Task) -> int:
        return self.host.pending() + len(self.pushed)
