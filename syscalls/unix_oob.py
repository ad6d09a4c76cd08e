"""Out-of-band bytes of AF_UNIX streams (net/unix/af_unix.c: queue_oob, manage_oob, unix_stream_recv_urg), and the
reading of a queue in which such bytes are or were, or that is only peeked at (unix_stream_read_generic).

The last byte of a send with MSG_OOB is a packet of its own; the newest of them is the socket's mark (`oob`).  A read
stops before the mark, and one that begins there leaves it out, unless SO_OOBINLINE.  A byte that was received with
MSG_OOB leaves its packet behind, empty, at its place in the queue.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EINVAL, LinuxError
from syscalls.abi.net import MSG_OOB, MSG_PEEK, RCV_SHUTDOWN, SO_OOBINLINE, SOL_SOCKET
from syscalls.sockets import POLLPRI, READ_EVENTS, Control, Message
from syscalls.unix_socket import HEAD_MAX, packet_cost, uncharge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task
    from syscalls.unix_socket import Packet
    from syscalls.unix_stream import UnixStream


def _inline(socket: UnixStream) -> bool:
    return bool(socket.options.get((SOL_SOCKET, SO_OOBINLINE)))


def _left(packet: Packet) -> int:
    return len(packet.data) - packet.position


def queue_oob(task: Task, sender: UnixStream, receiver: UnixStream, byte: bytes, control: Control | None,
              rights_sent: bool) -> None:
    """Send one byte as the new mark, and SIGURG to who asked for it with F_SETOWN."""
    packet = sender.packet(task, byte, packet_cost(1, HEAD_MAX), receiver, control)
    if control is not None and control.rights and not rights_sent:
        packet.rights = sender.launch(task, control.rights)
    receiver.incoming.append(packet)
    receiver.oob = packet
    receiver.oob_seen = True
    from syscalls.fasync import send_sigurg
    send_sigurg(task.kernel, receiver)
    receiver.queue.wake(READ_EVENTS | POLLPRI)


def receive_oob(socket: UnixStream, length: int, flags: int) -> Message:
    """MSG_OOB: the byte at the mark, without what came along; also without room for it.  EINVAL: there is none."""
    packet = socket.oob
    if packet is None or _inline(socket):
        raise LinuxError(EINVAL)
    message = Message(packet.data if length else b"", flags=MSG_OOB, length=1)
    if not flags & MSG_PEEK:
        socket.oob = None
        incoming = socket.incoming
        before = incoming.index(packet) - 1
        if before >= 0 and not _left(incoming[before]):
            # Empty packets do not lie beside one another.
            gone = incoming[before]
            del incoming[before]
            socket.consumed(gone)
        packet.position += 1
    return message


def at_mark(socket: UnixStream) -> bool:
    """SIOCATMARK: whether the next read begins at the mark, or where the last one was."""
    incoming = socket.incoming
    if not incoming:
        return False
    first = incoming[0]
    if first is socket.oob:
        return True
    return not _left(first) and (socket.oob is None or (len(incoming) > 1 and incoming[1] is socket.oob))


def stops(socket: UnixStream) -> bool:
    """Whether a read that has some bytes already ends here (manage_oob with `copied`)."""
    if not socket.incoming:
        return False
    first = socket.incoming[0]
    if _left(first):
        return first is socket.oob
    return at_mark(socket) or len(socket.incoming) == 1


def _next(socket: UnixStream, at: int, peek: bool, copied: int) -> int | None:
    """manage_oob: the place of the packet to read from instead of the one at `at`; None: there is none.  What is left
    out by a read that does not peek goes."""
    incoming = socket.incoming
    packet = incoming[at]
    if _left(packet) and packet is not socket.oob:
        return at
    if not _left(packet):
        if copied and (socket.oob is None or packet is socket.oob):
            return None
        if peek:
            at += 1
        else:
            del incoming[at]
            socket.consumed(packet)
        if at >= len(incoming):
            return None
        packet = incoming[at]
    if packet is not socket.oob:
        return at
    if copied:
        return None
    if not peek:
        socket.oob = None
        if not _inline(socket):
            socket.left_out += _left(packet)
            del incoming[at]
            socket.consumed(packet)
            return 0 if incoming else None
    elif not _inline(socket):
        at += 1
    return at if at < len(incoming) else None


def receive_around(socket: UnixStream, length: int, peek: bool) -> Message:
    """EAGAIN when there is nothing to read (here)."""
    incoming = socket.incoming
    skip = max(0, socket.peek_offset) if peek else 0
    message = Message(b"")
    first: Packet | None = None
    parts: list[bytes] = []
    copied = 0
    at: int | None = 0 if incoming else None
    while True:
        if at is not None:
            at = _next(socket, at, peek, copied)
        if at is None:
            if copied:
                break
            socket.raise_error()
            if socket.shutdown_mask & RCV_SHUTDOWN:
                if first is not None:
                    break
                return socket.end_of_stream()
            raise LinuxError(EAGAIN)
        while at < len(incoming) and skip >= _left(incoming[at]):
            skip -= _left(incoming[at])
            at += 1
        if at >= len(incoming):
            at = None
            continue
        packet = incoming[at]
        if first is None:
            first = packet
            message.address = packet.address
            socket.label(message, packet)
        elif (socket.passcred or socket.passpidfd) and not (
                packet.credentials == first.credentials and packet.pid == first.pid):
            break
        start = packet.position + skip
        part = packet.data[start:start + length - copied]
        parts.append(part)
        copied += len(part)
        if packet.rights:
            message.rights = socket.take_rights(packet, peek)
        if peek:
            if socket.peek_offset >= 0:
                socket.peek_offset += len(part)
            if message.rights:
                break
            skip = 0
            # Goes on also when there is no more room: what comes along with the next bytes is found.
            at += 1
            if at >= len(incoming):
                break
            continue
        packet.position += len(part)
        socket.peek_offset = max(0, socket.peek_offset - len(part)) if socket.peek_offset > 0 else socket.peek_offset
        if _left(packet):
            break
        del incoming[at]
        uncharge(packet)
        if message.rights or copied >= length:
            break
        at = 0 if incoming else None
        if at is None:
            break
    message.data = b"".join(parts)
    message.length = len(message.data)
    return message
