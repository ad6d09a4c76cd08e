"""Internet sockets over real hosts, on loopback."""

from __future__ import annotations

from struct import pack, unpack
from typing import Any

import pytest

from syscalls.abi import errno
from syscalls.abi.net import (
    AF_INET,
    MSG_PEEK,
    SHUT_WR,
    SO_ACCEPTCONN,
    SO_DOMAIN,
    SO_ERROR,
    SO_PROTOCOL,
    SO_RCVTIMEO_OLD,
    SO_REUSEADDR,
    SO_TYPE,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
    SOL_SOCKET,
)
from syscalls.sockets import POLLIN, POLLOUT, POLLRDHUP, Socket, make_socket
from tests.unit.host_fixtures import host
from tests.unit.net_world import Heard, World, errno_of
from translator.hosts.base import Host

__all__ = ["host"]


def address(port: int) -> bytes:
    return pack("<H", AF_INET) + pack(">H4s8x", port, bytes([127, 0, 0, 1]))


def port_of(task: Any, socket: Socket) -> int:
    return int(unpack(">H", socket.getsockname(task)[2:4])[0])


def wait(world: World, socket: Socket, mask: int) -> int:
    heard = Heard(socket.queue)
    for _ in range(200):
        found = socket.ready(mask) & mask
        if found:
            break
        world.kernel.poller.poll(20_000_000)
    socket.queue.entries.clear()
    heard.take()
    return found


@pytest.fixture
def world(host: Host) -> World:
    return World(host)


def connected(world: World) -> tuple[Any, Socket, Socket, Socket]:
    task = world.task()
    server = make_socket(task, AF_INET, SOCK_STREAM, 0, 0)
    server.bind(task, address(0))
    server.listen(task, 5)
    client = make_socket(task, AF_INET, SOCK_STREAM, 0, 0)
    assert errno_of(client.connect, task, address(port_of(task, server))) in {0, errno.EINPROGRESS}
    assert wait(world, client, POLLOUT)
    assert client.getsockopt(task, SOL_SOCKET, SO_ERROR, 4) == bytes(4)
    assert wait(world, server, POLLIN)
    made, peer = server.accept(task)
    assert peer == client.getsockname(task)
    return task, server, client, made


def test_stream(world: World) -> None:
    task, server, client, made = connected(world)
    assert errno_of(made.receive, task, 10, 0) == errno.EAGAIN
    assert client.send(task, b"hello", 0, None, None) == 5
    assert wait(world, made, POLLIN)
    assert made.pending(task) == 5
    assert made.receive(task, 3, MSG_PEEK).data == b"hel"
    message = made.receive(task, 3, 0)
    assert (message.data, message.address) == (b"hel", b"")
    made.unread(b"hel")
    assert made.receive(task, 10, 0).data == b"hel"
    assert made.receive(task, 10, 0).data == b"lo"
    client.shutdown(task, SHUT_WR)
    assert wait(world, made, POLLIN | POLLRDHUP)
    assert made.receive(task, 10, 0).data == b""
    assert made.ready(0x2FFF) & POLLRDHUP
    assert errno_of(client.send, task, b"x", 0, None, None) == errno.EPIPE
    for socket in (server, client, made):
        socket.retain().release()
    assert not world.kernel.net.sockets


def test_edges_are_heard_again(world: World) -> None:
    task, server, client, made = connected(world)
    heard = Heard(made.queue)
    for text in (b"one", b"two", b"three"):
        client.send(task, text, 0, None, None)
        for _ in range(100):
            world.kernel.poller.poll(20_000_000)
            if heard.take() & POLLIN:
                break
        else:
            pytest.fail("no edge")
        assert made.receive(task, 100, 0).data == text
    for socket in (server, client, made):
        socket.queue.entries.clear()
        socket.retain().release()


def test_datagrams(world: World) -> None:
    task = world.task()
    one, two = (make_socket(task, AF_INET, SOCK_DGRAM, 0, 0) for _ in range(2))
    one.bind(task, address(0))
    two.bind(task, address(0))
    two.send(task, b"ping", 0, one.getsockname(task), None)
    assert wait(world, one, POLLIN)
    message = one.receive(task, 100, 0)
    assert (message.data, message.address) == (b"ping", two.getsockname(task))
    for socket in (one, two):
        socket.retain().release()


def test_options(world: World) -> None:
    task, server, client, made = connected(world)
    for option, value in ((SO_TYPE, SOCK_STREAM), (SO_DOMAIN, AF_INET), (SO_PROTOCOL, 6), (SO_ACCEPTCONN, 1)):
        assert server.getsockopt(task, SOL_SOCKET, option, 4) == pack("<i", value)
    server.setsockopt(task, SOL_SOCKET, SO_REUSEADDR, pack("<i", 7))
    assert server.getsockopt(task, SOL_SOCKET, SO_REUSEADDR, 4) == pack("<i", 1)
    made.setsockopt(task, SOL_SOCKET, SO_RCVTIMEO_OLD, pack("<qq", 1, 1500))
    assert made.read_timeout_ns == 1_004_000_000
    made.setsockopt(task, 6, 1, pack("<i", 1))
    assert made.getsockopt(task, 6, 1, 4)[:1] != b"\0"
    assert errno_of(made.setsockopt, task, SOL_SOCKET, SO_TYPE, pack("<i", 1)) == errno.ENOPROTOOPT
    for socket in (server, client, made):
        socket.retain().release()


def test_refusals(world: World) -> None:
    task = world.task(uid=1000)
    for arguments, error in (
            ((AF_INET, SOCK_STREAM, 17), errno.EPROTONOSUPPORT), ((AF_INET, SOCK_DGRAM, 6), errno.EPROTONOSUPPORT),
            ((AF_INET, SOCK_RAW, 0), errno.EPROTONOSUPPORT), ((AF_INET, SOCK_RAW, 1), errno.EPERM),
            ((AF_INET, SOCK_DGRAM, 1), errno.EACCES), ((AF_INET, 5, 0), errno.ESOCKTNOSUPPORT),
            ((AF_INET, 11, 0), errno.EINVAL), ((AF_INET, 1, 300), errno.EINVAL), ((17, 3, 0), errno.EPERM),
            ((0, 1, 0), errno.EAFNOSUPPORT), ((1, 1, 5), errno.EPROTONOSUPPORT), ((1, 4, 0), errno.ESOCKTNOSUPPORT),
            ((16, 3, 99), errno.EPROTONOSUPPORT), ((16, 1, 0), errno.ESOCKTNOSUPPORT)):
        assert errno_of(make_socket, task, *arguments, 0) == error, arguments
    socket = make_socket(task, AF_INET, SOCK_STREAM, 0, 0)
    assert errno_of(socket.bind, task, address(80)) == errno.EACCES
    assert errno_of(socket.accept, task) == errno.EINVAL
    assert errno_of(socket.getpeername, task) == errno.ENOTCONN
    assert errno_of(socket.receive, task, 1, 0) == errno.ENOTCONN
    socket.retain().release()
