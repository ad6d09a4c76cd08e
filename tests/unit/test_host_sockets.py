"""Host sockets with Linux addresses, options and flags."""

# ruff: noqa: F401, F811 -- fixtures are imported and then named by parameters
from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from syscalls.abi import errno
from tests.unit.host_fixtures import errno_of, host, on_linux
from translator.hosts.base import Host, HostSocket

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
STREAM, DGRAM, RAW = 1, 2, 3
SOL_SOCKET, SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_RCVBUF, SO_LINGER, SO_ACCEPTCONN = 1, 2, 3, 4, 8, 13, 30
IPPROTO_TCP, TCP_NODELAY = 6, 1
IPPROTO_IPV6, IPV6_V6ONLY = 41, 26
MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT = 2, 0x20, 0x40
POLLIN, POLLOUT = 1, 4
INT = struct.Struct("=i")
LOOPBACK = bytes([127, 0, 0, 1])


def inet(port: int, address: bytes = LOOPBACK) -> bytes:
    return struct.pack("=H", AF_INET) + struct.pack(">H4s8x", port, address)


def inet6(port: int) -> bytes:
    return struct.pack("=H", AF_INET6) + struct.pack(">HI16s", port, 0, bytes(15) + b"\1") + struct.pack("=I", 0)


def port_of(address: bytes) -> int:
    return int(struct.unpack_from(">H", address, 2)[0])


def wait(host: Host, sock: HostSocket, mask: int) -> int:
    seen: list[int] = []
    host.poller().arm(sock.fileno(), mask, seen.append)
    host.poller().poll(5 * 10**9)
    host.poller().disarm(sock.fileno())
    return seen[0] if seen else 0


@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
def test_stream(host: Host, family: int) -> None:
    name = inet if family == AF_INET else inet6
    try:
        server = host.socket(family, STREAM, 0)
        server.bind(name(0))
    except Exception as error:
        if getattr(error, "errno", 0) in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
            pytest.skip("no IPv6 here")
        raise
    server.setsockopt(SOL_SOCKET, SO_REUSEADDR, INT.pack(1))
    server.listen(5)
    address = server.getsockname()
    assert len(address) == (16 if family == AF_INET else 28)
    assert address == name(port_of(address))
    assert errno_of(server.accept) == errno.EAGAIN
    client = host.socket(family, STREAM, 6)
    assert errno_of(client.connect, address) in {0, errno.EINPROGRESS}
    assert wait(host, client, POLLOUT) & POLLOUT
    assert client.getsockopt(SOL_SOCKET, SO_ERROR, 4) == INT.pack(0)
    assert wait(host, server, POLLIN) & POLLIN
    served, peer = server.accept()
    assert peer == client.getsockname() == served.getpeername()
    assert client.getpeername() == address
    assert errno_of(served.recvfrom, 10, 0) == errno.EAGAIN
    assert client.sendto(b"hello", 0, None) == 5
    assert wait(host, served, POLLIN) & POLLIN
    assert served.pending() == 5
    assert served.recvfrom(3, MSG_PEEK)[0] == b"hel"
    assert served.recvfrom(10, MSG_DONTWAIT)[0] == b"hello"
    client.setsockopt(IPPROTO_TCP, TCP_NODELAY, INT.pack(1))
    assert INT.unpack(client.getsockopt(IPPROTO_TCP, TCP_NODELAY, 4))[0] != 0
    client.shutdown(1)
    assert wait(host, served, POLLIN) & POLLIN
    assert served.recvfrom(10, 0)[0] == b""
    client.close()
    served.sendto(b"x", 0, None)
    wait(host, served, POLLIN)
    assert {errno_of(served.sendto, b"x", 0, None) for _ in range(3)} & {errno.EPIPE, errno.ECONNRESET}
    for sock in (served, server):
        sock.close()


def test_datagrams(host: Host) -> None:
    one, two = (host.socket(AF_INET, DGRAM, 0) for _ in range(2))
    one.bind(inet(0))
    two.bind(inet(0))
    assert one.sendto(b"0123456789", 0, two.getsockname()) == 10
    assert one.sendto(b"", 0, two.getsockname()) == 0
    assert wait(host, two, POLLIN) & POLLIN
    data, address, flags = two.recvfrom(4, MSG_PEEK)
    assert (data, address, flags & MSG_TRUNC) == (b"0123", one.getsockname(), MSG_TRUNC)
    data, address, flags, length = two.recv_length(4, MSG_TRUNC)
    assert (data, flags & MSG_TRUNC, length) == (b"0123", MSG_TRUNC, 10)
    assert two.recvfrom(10, 0)[:2] == (b"", one.getsockname())
    one.connect(two.getsockname())
    assert one.sendto(b"", 0, None) == 0
    assert one.sendto(b"abc", 0, None) == 3
    assert two.recvfrom(10, 0)[0] == b""
    assert two.recvfrom(10, 0)[0] == b"abc"
    assert errno_of(one.sendto, bytes(70000), 0, None) == errno.EMSGSIZE
    one.close()
    two.close()


@on_linux
@pytest.mark.parametrize("host", ["linux"], indirect=True)
def test_ancillary_data(host: Host, tmp_path: Path) -> None:
    one, two = (host.socket(AF_INET, DGRAM, 0) for _ in range(2))
    one.bind(inet(0))
    two.bind(inet(0))
    two.setsockopt(0, 12, INT.pack(1))  # IP_RECVTTL
    assert one.send_message(b"abc", [(0, 2, INT.pack(33))], 0, two.getsockname()) == 3  # IP_TTL
    assert two.recv_message(2, MSG_TRUNC) == (b"ab", one.getsockname(), MSG_TRUNC, 3, [(0, 2, INT.pack(33))])
    assert errno_of(two.recv_message, 2, 0) == errno.EAGAIN
    one.close()
    two.close()
    path = tmp_path / "s"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(1)
    client = host.socket(AF_UNIX, STREAM, 0)
    client.connect(struct.pack("=H", AF_UNIX) + os.fsencode(path) + b"\0")
    served, _ = server.accept()
    before = len(os.listdir("/dev/fd"))
    socket.send_fds(served, [b"x"], [0, 1, 2])
    assert client.recv_message(10, 0)[0::4] == (b"x", [])
    socket.send_fds(served, [b"y"], [0, 1, 2])
    assert client.recvfrom(10, 0)[0] == b"y"
    assert len(os.listdir("/dev/fd")) == before
    client.close()
    served.close()
    server.close()


def test_options_and_refusals(host: Host) -> None:
    sock = host.socket(AF_INET, STREAM, 0)
    assert sock.getsockopt(SOL_SOCKET, SO_TYPE, 4) == INT.pack(STREAM)
    sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("=ii", 1, 3))
    assert sock.getsockopt(SOL_SOCKET, SO_LINGER, 8) == struct.pack("=ii", 1, 3)
    assert INT.unpack(sock.getsockopt(SOL_SOCKET, SO_RCVBUF, 4))[0] > 0
    assert sock.getsockopt(SOL_SOCKET, SO_RCVBUF, 2) == sock.getsockopt(SOL_SOCKET, SO_RCVBUF, 4)[:2]
    assert errno_of(sock.setsockopt, SOL_SOCKET, 9999, INT.pack(1)) == errno.ENOPROTOOPT
    assert errno_of(sock.getsockopt, SOL_SOCKET, 9999, 4) == errno.ENOPROTOOPT
    assert errno_of(sock.getpeername) == errno.ENOTCONN
    assert errno_of(sock.shutdown, 2) == errno.ENOTCONN
    assert errno_of(sock.bind, inet(0, bytes([8, 8, 8, 8]))) == errno.EADDRNOTAVAIL
    assert errno_of(sock.bind, b"\2\0") == errno.EINVAL
    assert errno_of(sock.connect, struct.pack("=H14x", 99)) == errno.EAFNOSUPPORT
    sock.close()
    assert errno_of(host.socket, AF_INET, RAW, 1) == errno.EPERM
    assert errno_of(host.socket, 16, RAW, 0) == errno.EAFNOSUPPORT


def test_refused_connection(host: Host) -> None:
    taken = host.socket(AF_INET, STREAM, 0)
    taken.bind(inet(0))
    address = taken.getsockname()
    sock = host.socket(AF_INET, STREAM, 0)
    error = errno_of(sock.connect, address)
    if error == errno.EINPROGRESS:
        wait(host, sock, POLLOUT)
        error = INT.unpack(sock.getsockopt(SOL_SOCKET, SO_ERROR, 4))[0]
    assert error == errno.ECONNREFUSED
    sock.close()
    other = host.socket(AF_INET, STREAM, 0)
    assert errno_of(other.bind, address) == errno.EADDRINUSE
    other.close()
    taken.close()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no AF_UNIX")
def test_unix_client(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(1)
    client = host.socket(AF_UNIX, STREAM, 0)
    client.connect(struct.pack("=H", AF_UNIX) + os.fsencode(path) + b"\0")
    served, _ = server.accept()
    client.sendto(b"hi", 0, None)
    assert served.recv(10) == b"hi"
    assert client.getpeername()[2:].rstrip(b"\0") == os.fsencode(path)
    for sock in (served, server):
        sock.close()
    client.close()


def test_interfaces(host: Host) -> None:
    loopbacks = [interface for interface in host.interfaces() if interface.flags & 8]  # IFF_LOOPBACK
    assert len(loopbacks) == 1
    assert (AF_INET, LOOPBACK, 8) in loopbacks[0].addresses
    assert loopbacks[0].index > 0
    assert loopbacks[0].flags & 1  # IFF_UP
