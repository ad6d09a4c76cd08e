"""AF_UNIX objects without guest code.  Expected numbers were taken from Linux 6.18."""

from __future__ import annotations

from typing import Any

import pytest

from syscalls.abi import errno
from syscalls.abi.net import (
    MSG_PEEK,
    MSG_TRUNC,
    SHUT_RD,
    SHUT_RDWR,
    SHUT_WR,
    SO_PASSCRED,
    SO_SNDBUF,
    SOCK_DGRAM,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    SOL_SOCKET,
)
from syscalls.sockets import POLLIN, Control, Socket, UserCredentials, make_pair, make_socket
from tests.unit.net_world import Heard, World, errno_of

EVERYTHING = 0x2FFF


def name(text: bytes) -> bytes:
    return b"\1\0\0" + text


def pair(task: Any, kind: int = SOCK_STREAM) -> tuple[Socket, Socket]:
    one, two = make_pair(task, 1, kind, 0, 0)
    one.retain()
    two.retain()
    return one, two


def send(socket: Socket, task: Any, data: bytes, address: bytes | None = None, **extra: Any) -> int:
    control = None
    if extra:
        control = Control()
        for key, value in extra.items():
            setattr(control, key, value)
    return socket.send(task, data, 0, address, control)


def fill(task: Any, kind: int, size: int) -> int:
    one, _ = pair(task, kind)
    count = 0
    while True:
        try:
            send(one, task, bytes(size))
        except errno.LinuxError as error:
            assert error.errno == errno.EAGAIN
            return count
        count += 1


@pytest.mark.parametrize(("kind", "size", "messages"), [
    (SOCK_STREAM, 1, 278), (SOCK_STREAM, 192, 278), (SOCK_STREAM, 193, 167), (SOCK_STREAM, 1024, 93),
    (SOCK_STREAM, 2048, 49), (SOCK_STREAM, 4096, 44), (SOCK_STREAM, 5000, 34), (SOCK_STREAM, 8192, 24),
    (SOCK_STREAM, 20000, 11), (SOCK_DGRAM, 3800, 26), (SOCK_DGRAM, 4096, 26), (SOCK_DGRAM, 8000, 13),
    (SOCK_DGRAM, 16384, 11), (SOCK_SEQPACKET, 65536, 4), (SOCK_SEQPACKET, 212960, 1)])
def test_how_much_fits(kind: int, size: int, messages: int) -> None:
    assert fill(World().task(), kind, size) == messages


def test_stream_bytes_run_together() -> None:
    task = World().task()
    one, two = pair(task)
    heard = Heard(two.queue)
    send(one, task, b"abc")
    send(one, task, b"defg")
    assert heard.take() & POLLIN
    assert two.pending(task) == 7
    assert two.receive(task, 2, MSG_PEEK).data == b"ab"
    assert two.receive(task, 5, 0).data == b"abcde"
    assert two.receive(task, 100, 0).data == b"fg"
    assert errno_of(two.receive, task, 1, 0) == errno.EAGAIN


def test_writable_again_at_a_quarter() -> None:
    task = World().task()
    one, two = pair(task)
    while not errno_of(send, one, task, bytes(1024)):
        pass
    assert one.ready(EVERYTHING) == 0
    heard = Heard(one.queue)
    for _ in range(69):
        two.receive(task, 1024, 0)
    assert not heard.take()
    two.receive(task, 1024, 0)
    two.receive(task, 1024, 0)
    assert heard.take()
    assert one.ready(EVERYTHING) == 0x304


@pytest.mark.parametrize(("kind", "fresh"), [(SOCK_STREAM, 0x314), (SOCK_DGRAM, 0x304), (SOCK_SEQPACKET, 0x314)])
def test_poll_bits_of_a_fresh_socket(kind: int, fresh: int) -> None:
    assert make_socket(World().task(), 1, kind, 0, 0).ready(EVERYTHING) == fresh


def test_poll_bits_of_shutdown_and_close() -> None:
    task = World().task()
    one, two = pair(task)
    one.shutdown(task, SHUT_RD)
    assert (one.ready(EVERYTHING), two.ready(EVERYTHING)) == (0x2345, 0x304)
    one.shutdown(task, SHUT_WR)
    assert (one.ready(EVERYTHING), two.ready(EVERYTHING)) == (0x2355, 0x2355)
    one, two = pair(task)
    send(one, task, b"x")
    one.release()
    assert two.ready(EVERYTHING) == 0x2355
    assert two.receive(task, 5, 0).data == b"x"
    assert two.receive(task, 5, 0).data == b""


def test_close_with_unread_data_resets() -> None:
    task = World().task()
    one, two = pair(task)
    send(two, task, b"x")
    one.release()
    assert two.ready(EVERYTHING) == 0x235D
    assert errno_of(send, two, task, b"y") == errno.EPIPE
    assert errno_of(two.receive, task, 1, 0) == errno.ECONNRESET
    assert two.receive(task, 1, 0).data == b""


def listener(task: Any, path: bytes, backlog: int, kind: int = SOCK_STREAM) -> Socket:
    server = make_socket(task, 1, kind, 0, 0)
    server.retain()
    server.bind(task, name(path))
    server.listen(task, backlog)
    return server


def test_backlog_and_accept() -> None:
    world = World()
    task = world.task()
    server = listener(task, b"srv", 1)
    clients = [make_socket(task, 1, SOCK_STREAM, 0, 0) for _ in range(4)]
    assert [errno_of(client.connect, task, name(b"srv")) for client in clients] == [0, 0, errno.EAGAIN, errno.EAGAIN]
    assert clients[0].ready(EVERYTHING) == 0x304
    send(clients[0], task, b"early")
    heard = Heard(clients[2].queue)
    made, address = server.accept(task)
    assert heard.take()
    assert address == b"\1\0"
    assert made.receive(task, 10, 0).data == b"early"
    assert made.getsockname(task) == name(b"srv")
    assert errno_of(clients[0].connect, task, name(b"srv")) == errno.EISCONN
    server.release()
    assert clients[1].ready(EVERYTHING) == 0x235D
    assert errno_of(clients[3].connect, task, name(b"srv")) == errno.ECONNREFUSED


def test_names() -> None:
    task = World().task()
    server = listener(task, b"srv", 1)
    other = make_socket(task, 1, SOCK_STREAM, 0, 0)
    assert errno_of(other.bind, task, name(b"srv")) == errno.EADDRINUSE
    assert errno_of(other.listen, task, 1) == errno.EINVAL
    assert errno_of(server.bind, task, name(b"again")) == errno.EINVAL
    assert errno_of(other.bind, task, b"\2\0abc") == errno.EINVAL
    other.bind(task, b"\1\0")
    assert len(other.getsockname(task)) == 8
    dgram = make_socket(task, 1, SOCK_DGRAM, 0, 0)
    assert errno_of(dgram.connect, task, name(b"srv")) == errno.ECONNREFUSED
    dgram.bind(task, name(b"srv"))
    assert errno_of(dgram.listen, task, 1) == errno.EOPNOTSUPP
    assert errno_of(dgram.getpeername, task) == errno.ENOTCONN


def test_datagrams() -> None:
    task = World().task()
    server = make_socket(task, 1, SOCK_DGRAM, 0, 0)
    server.retain()
    server.bind(task, name(b"d"))
    client = make_socket(task, 1, SOCK_DGRAM, 0, 0)
    assert errno_of(send, client, task, b"x") == errno.ENOTCONN
    for index in range(11):
        send(client, task, b"%d" % index, name(b"d"))
    assert errno_of(send, client, task, b"x", name(b"d")) == errno.EAGAIN
    heard = Heard(client.queue)
    message = server.receive(task, 100, 0)
    assert (message.data, message.address) == (b"0", b"")
    assert heard.take()
    cut = server.receive(task, 0, MSG_TRUNC)
    assert (cut.data, cut.length, cut.flags) == (b"", 1, MSG_TRUNC)
    client.connect(task, name(b"d"))
    server.release()
    assert errno_of(send, client, task, b"x") == errno.ECONNREFUSED
    assert errno_of(send, client, task, b"x") == errno.ENOTCONN
    assert errno_of(send, client, task, bytes(212961)) in {errno.EMSGSIZE, errno.ENOTCONN}


def test_datagram_only_from_its_peer() -> None:
    task = World().task()
    sockets = [make_socket(task, 1, SOCK_DGRAM, 0, 0) for _ in range(3)]
    for index, socket in enumerate(sockets):
        socket.bind(task, name(b"%d" % index))
    sockets[0].connect(task, name(b"1"))
    assert errno_of(send, sockets[2], task, b"x", name(b"0")) == errno.EPERM
    send(sockets[1], task, b"x", name(b"0"))


def test_credentials() -> None:
    world = World()
    one_task, two_task = world.task(10, 0), world.task(11, 1000)
    server = listener(one_task, b"c", 5)
    client = make_socket(two_task, 1, SOCK_STREAM, 0, 0)
    client.retain()
    client.connect(two_task, name(b"c"))
    made, _ = server.accept(one_task)
    made.retain()
    assert made.peer_ucred() == b"\x0b\0\0\0\xe8\x03\0\0\xe8\x03\0\0"
    assert client.peer_ucred() == b"\x0a\0\0\0" + bytes(8)
    send(client, two_task, b"before")
    made.setsockopt(one_task, SOL_SOCKET, SO_PASSCRED, b"\1\0\0\0")
    message = made.receive(one_task, 100, 0)
    assert message.credentials == UserCredentials(0, 65534, 65534)
    send(client, two_task, b"one")
    send(client, two_task, b"two", credentials=UserCredentials(99, 0, 0))
    message = made.receive(one_task, 100, 0)
    assert (message.data, message.credentials) == (b"one", UserCredentials(11, 1000, 1000))
    assert made.receive(one_task, 100, 0).credentials == UserCredentials(99, 0, 0)


def test_rights_travel_with_their_bytes() -> None:
    task = World().task()
    one, two = pair(task)
    passed, far = pair(task)
    send(one, task, b"ab")
    send(one, task, b"cd", rights=[passed])
    send(one, task, b"ef")
    passed.release()
    assert passed.references == 1
    message = two.receive(task, 100, 0)
    assert message.data == b"abcd"
    assert message.rights == [passed]
    message.release()
    assert passed.references == 0
    assert far.ready(EVERYTHING) & 0x10
    assert two.receive(task, 100, 0).data == b"ef"


def test_rights_of_a_dropped_message_are_closed() -> None:
    task = World().task()
    one, two = pair(task)
    passed, far = pair(task)
    send(one, task, b"x", rights=[passed])
    passed.release()
    two.release()
    assert passed.dead
    assert far.ready(EVERYTHING) & 0x10


def test_sockets_in_flight_to_each_other_are_collected() -> None:
    task = World().task()
    one, two = pair(task)
    send(one, task, b"x", rights=[two])
    send(two, task, b"y", rights=[one])
    net = one.net
    assert net.in_flight == 2
    for end in (one, two):
        end.flush(task)
        end.release()
    pair(task)[0].release()
    assert net.in_flight == 0
    assert one.dead and two.dead


def test_seqpacket() -> None:
    task = World().task()
    one, two = pair(task, SOCK_SEQPACKET)
    send(one, task, b"abc")
    send(one, task, b"")
    send(one, task, b"de")
    assert two.receive(task, 2, 0).flags == MSG_TRUNC
    assert two.receive(task, 2, 0).data == b""
    assert two.receive(task, 5, 0).data == b"de"
    one.shutdown(task, SHUT_RDWR)
    assert two.receive(task, 5, 0).data == b""
    assert errno_of(send, two, task, b"x") == errno.EPIPE
    assert not two.stream


def test_send_buffer_is_doubled() -> None:
    task = World().task()
    one, _ = pair(task)
    for asked, got in ((1, 4608), (3000, 6000), (1000000, 2000000)):
        one.setsockopt(task, SOL_SOCKET, SO_SNDBUF, asked.to_bytes(4, "little"))
        assert one.getsockopt(task, SOL_SOCKET, SO_SNDBUF, 4) == got.to_bytes(4, "little")
