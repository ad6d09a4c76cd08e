"""Sockets by Python's `socket`: Linux addresses, options and flags are translated by name."""

from __future__ import annotations

import os
import socket
import struct
import sys

from translator.hosts.base import HostError, HostInterface
from translator.hosts.portable_errno import (
    EAFNOSUPPORT,
    EAGAIN,
    EINPROGRESS,
    EINVAL,
    ENOPROTOOPT,
    EOPNOTSUPP,
    EPERM,
    ESOCKTNOSUPPORT,
    failure,
    linux_errno,
)
from translator.hosts.portable_poll import windows_sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = 1, 2, 3
_FAMILIES = {AF_INET: int(socket.AF_INET), AF_INET6: int(socket.AF_INET6)}
if hasattr(socket, "AF_UNIX"):
    _FAMILIES[AF_UNIX] = int(socket.AF_UNIX)
_LARGEST_DATAGRAM = 65536

MSG_TRUNC = 0x20
_MSG_ERRQUEUE = 0x2000
_MSG_FLAGS = ((1, "MSG_OOB"), (2, "MSG_PEEK"), (4, "MSG_DONTROUTE"))
_MSG_HARMLESS = 0x20 | 0x40 | 0x80 | 0x100 | 0x800 | 0x4000 | 0x8000 | 0x40000000
"""MSG_TRUNC (done here), MSG_DONTWAIT (always so), MSG_EOR, MSG_WAITALL (the kernel waits), MSG_CONFIRM,
MSG_NOSIGNAL (no signal comes), MSG_MORE, MSG_CMSG_CLOEXEC."""

_SOL_SOCKET, _IPPROTO_IP, _IPPROTO_TCP, _IPPROTO_IPV6 = 1, 0, 6, 41
_SO_TYPE, _SO_ERROR, _SO_LINGER, _SO_PROTOCOL, _SO_DOMAIN = 3, 4, 13, 38, 39
_LEVELS = {_SOL_SOCKET: "SOL_SOCKET", _IPPROTO_IP: "IPPROTO_IP", _IPPROTO_TCP: "IPPROTO_TCP",
           _IPPROTO_IPV6: "IPPROTO_IPV6"}
_INTEGERS = {
    (_SOL_SOCKET, 2): "SO_REUSEADDR", (_SOL_SOCKET, 5): "SO_DONTROUTE", (_SOL_SOCKET, 6): "SO_BROADCAST",
    (_SOL_SOCKET, 7): "SO_SNDBUF", (_SOL_SOCKET, 8): "SO_RCVBUF", (_SOL_SOCKET, 9): "SO_KEEPALIVE",
    (_SOL_SOCKET, 10): "SO_OOBINLINE", (_SOL_SOCKET, 15): "SO_REUSEPORT", (_SOL_SOCKET, 30): "SO_ACCEPTCONN",
    (_IPPROTO_IP, 1): "IP_TOS", (_IPPROTO_IP, 2): "IP_TTL", (_IPPROTO_IP, 33): "IP_MULTICAST_TTL",
    (_IPPROTO_IP, 34): "IP_MULTICAST_LOOP",
    (_IPPROTO_TCP, 1): "TCP_NODELAY", (_IPPROTO_TCP, 2): "TCP_MAXSEG",
    (_IPPROTO_TCP, 4): "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE",
    (_IPPROTO_TCP, 5): "TCP_KEEPINTVL", (_IPPROTO_TCP, 6): "TCP_KEEPCNT",
    (_IPPROTO_IPV6, 16): "IPV6_UNICAST_HOPS", (_IPPROTO_IPV6, 17): "IPV6_MULTICAST_IF",
    (_IPPROTO_IPV6, 18): "IPV6_MULTICAST_HOPS", (_IPPROTO_IPV6, 19): "IPV6_MULTICAST_LOOP",
    (_IPPROTO_IPV6, 26): "IPV6_V6ONLY", (_IPPROTO_IPV6, 67): "IPV6_TCLASS",
}
_BYTES = {
    (_IPPROTO_IP, 32): "IP_MULTICAST_IF", (_IPPROTO_IP, 35): "IP_ADD_MEMBERSHIP",
    (_IPPROTO_IP, 36): "IP_DROP_MEMBERSHIP", (_IPPROTO_IPV6, 20): "IPV6_JOIN_GROUP",
    (_IPPROTO_IPV6, 21): "IPV6_LEAVE_GROUP",
}
_NOTED = {(_SOL_SOCKET, 12), (_SOL_SOCKET, 20), (_SOL_SOCKET, 21), (_IPPROTO_TCP, 3), (_IPPROTO_TCP, 12),
          (_IPPROTO_IP, 10), (_IPPROTO_IP, 11), (_IPPROTO_IPV6, 23), (_IPPROTO_IPV6, 25)}
"""Remembered, without effect: SO_PRIORITY, SO_RCVTIMEO and SO_SNDTIMEO (waiting is the kernel's), TCP_CORK,
TCP_QUICKACK, IP_MTU_DISCOVER and IP_RECVERR of both protocols."""
if sys.platform == "win32":
    # There SO_REUSEADDR lets two sockets have one port, and what it does on Linux needs no asking for.
    del _INTEGERS[_SOL_SOCKET, 2]
    _NOTED.add((_SOL_SOCKET, 2))


def _host_option(level: int, name: str) -> tuple[int, int]:
    host_level: int | None = getattr(socket, _LEVELS[level], None)
    option: int | None = getattr(socket, name, None)
    if host_level is None or option is None:
        raise HostError(ENOPROTOOPT)
    return host_level, option


def decode_address(address: bytes, family: int) -> Any:
    """struct sockaddr of Linux as what `socket` takes."""
    if len(address) < 2:
        raise HostError(EINVAL)
    if int.from_bytes(address[:2], "little") != family:
        raise HostError(EAFNOSUPPORT)
    if family == AF_INET:
        if len(address) < 16:
            raise HostError(EINVAL)
        return socket.inet_ntop(socket.AF_INET, address[4:8]), int.from_bytes(address[2:4], "big")
    if family == AF_INET6:
        if len(address) < 24:
            raise HostError(EINVAL)
        port, flow, host = struct.unpack_from(">HI16s", address, 2)
        scope = int.from_bytes(address[24:28], "little")
        return socket.inet_ntop(socket.AF_INET6, host), port, flow, scope
    path = address[2:]
    return path if path[:1] == b"\0" else path.partition(b"\0")[0]


def encode_address(address: Any, family: int) -> bytes:
    """struct sockaddr of Linux for what `socket` gives."""
    if family == AF_INET:
        host, port = address
        return struct.pack("<H", AF_INET) + struct.pack(">H4s8x", port, socket.inet_pton(socket.AF_INET, host))
    if family == AF_INET6:
        host, port, flow, scope = address
        packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        return (struct.pack("<H", AF_INET6) + struct.pack(">HI16s", port, flow, packed)
                + struct.pack("<I", scope))
    if not address:
        return struct.pack("<H", AF_UNIX)
    path = os.fsencode(address)
    return struct.pack("<H", AF_UNIX) + path + (b"" if path[:1] == b"\0" else b"\0")


def _host_flags(flags: int) -> int:
    host = 0
    for bit, name in _MSG_FLAGS:
        if flags & bit:
            host |= getattr(socket, name)
            flags &= ~bit
    if flags & _MSG_ERRQUEUE:
        raise HostError(EAGAIN)  # the queue of errors is always empty
    if flags & ~_MSG_HARMLESS:
        raise HostError(EOPNOTSUPP)
    return host


def open_socket(family: int, kind: int, protocol: int) -> PortableSocket:
    kind &= 0xF
    if family not in _FAMILIES:
        raise HostError(EAFNOSUPPORT)
    if kind not in {SOCK_STREAM, SOCK_DGRAM} and family != AF_UNIX:
        raise HostError(EPERM if kind == SOCK_RAW else ESOCKTNOSUPPORT)
    try:
        return PortableSocket(socket.socket(_FAMILIES[family], kind, protocol), family, kind)
    except OSError as error:
        raise failure(error) from None


class PortableSocket:
    __slots__ = ("_family", "_kind", "_noted", "_socket")

    def __init__(self, host: socket.socket, family: int, kind: int) -> None:
        host.setblocking(False)
        self._socket = host
        self._family = family
        self._kind = kind
        self._noted: dict[tuple[int, int], bytes] = {}
        windows_sockets.add(host.fileno())

    def fileno(self) -> int:
        return self._socket.fileno()

    def bind(self, address: bytes) -> None:
        try:
            self._socket.bind(decode_address(address, self._family))
        except OSError as error:
            raise failure(error) from None

    def listen(self, backlog: int) -> None:
        try:
            self._socket.listen(max(0, backlog))
        except OSError as error:
            raise failure(error) from None

    def accept(self) -> tuple[PortableSocket, bytes]:
        try:
            host, address = self._socket.accept()
        except OSError as error:
            raise failure(error) from None
        return PortableSocket(host, self._family, self._kind), encode_address(address, self._family)

    def connect(self, address: bytes) -> None:
        if address[:2] == b"\0\0" and self._kind == SOCK_DGRAM:  # AF_UNSPEC: no peer any more
            raise HostError(EOPNOTSUPP)
        try:
            self._socket.connect(decode_address(address, self._family))
        except OSError as error:
            raised = failure(error)
            # Windows says "would block" for what POSIX calls "in progress"; for AF_UNIX it is a full queue.
            raise HostError(EINPROGRESS) if raised.errno == EAGAIN and self._family != AF_UNIX else raised from None

    def recvfrom(self, length: int, flags: int) -> tuple[bytes, bytes, int]:
        return self.recv_length(length, flags)[:3]

    def recv_length(self, length: int, flags: int) -> tuple[bytes, bytes, int, int]:
        """Datagrams are always taken whole and cut here: that way it is known that something was cut."""
        host_flags = _host_flags(flags)
        datagram = self._kind == SOCK_DGRAM
        try:
            data, address = self._socket.recvfrom(_LARGEST_DATAGRAM if datagram else length, host_flags)
        except OSError as error:
            raise failure(error) from None
        name = encode_address(address, self._family) if datagram and address else b""
        if len(data) <= length:
            return data, name, 0, len(data)
        return data[:length], name, MSG_TRUNC, len(data) if flags & MSG_TRUNC else length

    def sendto(self, data: bytes | memoryview, flags: int, address: bytes | None) -> int:
        host_flags = _host_flags(flags)
        try:
            if address is None:
                return self._socket.send(data, host_flags)
            return self._socket.sendto(data, host_flags, decode_address(address, self._family))
        except OSError as error:
            raise failure(error) from None

    def getsockopt(self, level: int, option: int, length: int) -> bytes:
        return self._option(level, option)[:length]

    def _option(self, level: int, option: int) -> bytes:
        key = (level, option)
        if key in _NOTED:
            return self._noted.get(key, bytes(16 if key in {(_SOL_SOCKET, 20), (_SOL_SOCKET, 21)} else 4))
        if level == _SOL_SOCKET and option in {_SO_TYPE, _SO_DOMAIN, _SO_PROTOCOL}:
            known = {_SO_TYPE: self._kind, _SO_DOMAIN: self._family, _SO_PROTOCOL: self._socket.proto}[option]
            return known.to_bytes(4, "little")
        try:
            if key == (_SOL_SOCKET, _SO_ERROR):
                error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                return (linux_errno(error) if error else 0).to_bytes(4, "little")
            if key == (_SOL_SOCKET, _SO_LINGER):
                layout = "HH" if sys.platform == "win32" else "ii"
                got = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.calcsize(layout))
                return struct.pack("<ii", *struct.unpack(layout, got))
            if key in _INTEGERS:
                value = self._socket.getsockopt(*_host_option(level, _INTEGERS[key]))
                return struct.pack("<i", value)
            if key in _BYTES:
                return self._socket.getsockopt(*_host_option(level, _BYTES[key]), 4)
        except OSError as error:
            raise failure(error) from None
        raise HostError(ENOPROTOOPT)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        key = (level, option)
        if key in _NOTED:
            self._noted[key] = bytes(value)
            return
        try:
            if key == (_SOL_SOCKET, _SO_LINGER):
                if len(value) < 8:
                    raise HostError(EINVAL)
                layout = "HH" if sys.platform == "win32" else "ii"
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                        struct.pack(layout, *struct.unpack_from("<ii", value)))
            elif key in _INTEGERS:
                if len(value) < 4 and not (level == _IPPROTO_IP and value):
                    raise HostError(EINVAL)
                self._socket.setsockopt(*_host_option(level, _INTEGERS[key]),
                                        int.from_bytes(value[:4], "little", signed=len(value) >= 4))
            elif key in _BYTES:
                # struct ip_mreqn has an index more than the struct ip_mreq that all systems know.
                known = value[:8] if level == _IPPROTO_IP else value
                self._socket.setsockopt(*_host_option(level, _BYTES[key]), known)
            else:
                raise HostError(ENOPROTOOPT)
        except OSError as error:
            raise failure(error) from None

    def getsockname(self) -> bytes:
        try:
            return encode_address(self._socket.getsockname(), self._family)
        except OSError as error:
            raised = failure(error)
            if raised.errno == EINVAL and self._family in {AF_INET, AF_INET6}:  # Windows, before bind
                return struct.pack("<H", self._family) + bytes(14 if self._family == AF_INET else 26)
            raise raised from None

    def getpeername(self) -> bytes:
        try:
            return encode_address(self._socket.getpeername(), self._family)
        except OSError as error:
            raise failure(error) from None

    def shutdown(self, how: int) -> None:
        if not 0 <= how <= 2:
            raise HostError(EINVAL)
        try:
            self._socket.shutdown(how)
        except OSError as error:
            raise failure(error) from None

    def pending(self) -> int:
        """Without FIONREAD: what a look at the queue shows, at most 64 KiB."""
        try:
            return len(self._socket.recv(_LARGEST_DATAGRAM, socket.MSG_PEEK))
        except OSError as error:
            raised = failure(error)
            if raised.errno == EAGAIN:
                return 0
            raise raised from None

    def close(self) -> None:
        windows_sockets.discard(self._socket.fileno())
        self._socket.close()


_IFF_UP, _IFF_BROADCAST, _IFF_LOOPBACK, _IFF_RUNNING, _IFF_MULTICAST = 1, 2, 8, 0x40, 0x1000


def interfaces() -> list[HostInterface]:
    """The loopback interface, and the names of others where `socket` tells: neither addresses nor state."""
    loopback = HostInterface(1, b"lo", _IFF_UP | _IFF_LOOPBACK | _IFF_RUNNING, 65536, bytes(6),
                             [(AF_INET, bytes([127, 0, 0, 1]), 8)])
    if socket.has_ipv6:
        loopback.addresses.append((AF_INET6, bytes(15) + b"\1", 128))
    found = [loopback]
    try:
        named = socket.if_nameindex()
    except OSError:
        named = []
    for index, name in named:
        if name in {"lo", "lo0"} or name.startswith("loopback"):
            loopback.index, loopback.name = index, os.fsencode(name)
        else:
            flags = _IFF_UP | _IFF_BROADCAST | _IFF_RUNNING | _IFF_MULTICAST
            found.append(HostInterface(index, os.fsencode(name), flags, 1500, bytes(6), []))
    return found
