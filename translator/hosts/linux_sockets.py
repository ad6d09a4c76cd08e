"""Sockets of a Linux host: guest addresses, options and flags are the host's own and pass as they are."""

from __future__ import annotations

import ctypes
import errno
import os
from struct import Struct

from translator.hosts import linux_calls as calls
from translator.hosts.base import HostError

AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
SOCK_STREAM, SOCK_DGRAM = 1, 2
_SOCK_FLAGS = 0o4000 | 0o2000000  # SOCK_NONBLOCK | SOCK_CLOEXEC
_MSG_DONTWAIT, _MSG_NOSIGNAL, _MSG_TRUNC, _MSG_CMSG_CLOEXEC = 0x40, 0x4000, 0x20, 0x40000000
_FIONREAD = 0x541B
_SOL_SOCKET, _SCM_RIGHTS = 1, 1
_CMSGHDR = Struct("@Qii")  # struct cmsghdr: cmsg_len, cmsg_level, cmsg_type
_CONTROL_ROOM = 4096
_LONGEST_ADDRESS = 128  # struct sockaddr_storage

_libc = calls.libc
_UNREADABLE = 16
"""An address in the first page, which is never mapped."""
_int = ctypes.c_int


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    """struct msghdr (man 2 recvmsg)."""

    _fields_ = (("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.POINTER(_Iovec)),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int))


class _Arrival:
    """Where recvmsg puts things: made once, used for every message."""

    __slots__ = ("address", "buffer", "iovec", "message", "size")

    def __init__(self) -> None:
        self.address = ctypes.create_string_buffer(_LONGEST_ADDRESS)
        self.message = _Msghdr()
        self.iovec = _Iovec()
        self.message.name = ctypes.addressof(self.address)
        self.message.iov = ctypes.pointer(self.iovec)
        self.message.iovlen = 1
        self.size = 0
        self.reserve(65536)

    def reserve(self, size: int) -> None:
        if size > self.size:
            self.buffer = ctypes.create_string_buffer(size)
            self.iovec.base = ctypes.addressof(self.buffer)
            self.size = size


_arrival = _Arrival()


def _control_messages(data: bytes) -> list[tuple[int, int, bytes]]:
    """The ancillary messages of a receive; descriptors that the sender passed along are closed, for a guest's
    descriptors are not the host's."""
    found = []
    at = 0
    while at + _CMSGHDR.size <= len(data):
        length, level, kind = _CMSGHDR.unpack_from(data, at)
        if length < _CMSGHDR.size:
            break
        value = data[at + _CMSGHDR.size:at + length]
        if (level, kind) == (_SOL_SOCKET, _SCM_RIGHTS):
            for position in range(0, len(value) & ~3, 4):
                os.close(int.from_bytes(value[position:position + 4], "little"))
        else:
            found.append((level, kind, value))
        at += length + 7 & ~7
    return found


def _check(result: int) -> int:
    if result < 0:
        raise calls.failure()
    return result


def open_socket(family: int, kind: int, protocol: int) -> LinuxSocket:
    kind &= 0xF
    if family not in {AF_INET, AF_INET6, AF_UNIX}:
        raise HostError(errno.EAFNOSUPPORT)
    if kind not in {SOCK_STREAM, SOCK_DGRAM} and family != AF_UNIX:
        raise HostError(errno.EPERM if kind == 3 else errno.ESOCKTNOSUPPORT)
    fd = _check(_libc.socket(_int(family), _int(kind | _SOCK_FLAGS), _int(protocol)))
    return LinuxSocket(fd, kind == SOCK_STREAM)


class LinuxSocket:
    __slots__ = ("_fd", "_is_stream")

    def __init__(self, fd: int, is_stream: bool) -> None:
        self._fd = fd
        self._is_stream = is_stream

    def fileno(self) -> int:
        return self._fd

    def bind(self, address: bytes) -> None:
        _check(_libc.bind(_int(self._fd), address, ctypes.c_uint32(len(address))))

    def listen(self, backlog: int) -> None:
        _check(_libc.listen(_int(self._fd), _int(backlog)))

    def accept(self) -> tuple[LinuxSocket, bytes]:
        address = ctypes.create_string_buffer(_LONGEST_ADDRESS)
        length = ctypes.c_uint32(_LONGEST_ADDRESS)
        fd = _check(_libc.accept4(_int(self._fd), address, ctypes.byref(length), _int(_SOCK_FLAGS)))
        return LinuxSocket(fd, self._is_stream), address.raw[:length.value]

    def connect(self, address: bytes) -> None:
        _check(_libc.connect(_int(self._fd), address, ctypes.c_uint32(len(address))))

    def recvfrom(self, length: int, flags: int) -> tuple[bytes, bytes, int]:
        # (read(2) of nothing does not ask the socket, whose state may be an error.)
        if self._is_stream and length and not flags & ~_MSG_DONTWAIT:
            try:
                return os.read(self._fd, length), b"", 0
            except OSError as error:
                raise HostError(error.errno) from None
        return self.recv_length(length, flags)[:3]

    def recv_length(self, length: int, flags: int) -> tuple[bytes, bytes, int, int]:
        data, address, seen, whole, _ = self._receive(length, flags, None)
        return data, address, seen, whole

    def recv_message(self, length: int, flags: int) -> tuple[bytes, bytes, int, int, list[tuple[int, int, bytes]]]:
        control = ctypes.create_string_buffer(_CONTROL_ROOM)
        return self._receive(length, flags, control)

    def _receive(self, length: int, flags: int, control: ctypes.Array[ctypes.c_char] | None,
                 ) -> tuple[bytes, bytes, int, int, list[tuple[int, int, bytes]]]:
        arrival = _arrival
        arrival.reserve(length)
        message = arrival.message
        arrival.iovec.length = length
        message.namelen = _LONGEST_ADDRESS
        message.flags = 0
        message.control = ctypes.addressof(control) if control is not None else 0
        message.controllen = _CONTROL_ROOM if control is not None else 0
        count = _check(_libc.recvmsg(_int(self._fd), ctypes.byref(message),
                                     _int(flags | _MSG_DONTWAIT | _MSG_CMSG_CLOEXEC)))
        data = ctypes.string_at(arrival.buffer, min(count, length))
        address = ctypes.string_at(arrival.address, message.namelen) if message.namelen else b""
        options = _control_messages(control.raw[:message.controllen]) if control is not None else []
        return data, address, message.flags & ~_MSG_CMSG_CLOEXEC, count, options

    def send_message(self, data: bytes | memoryview, control: list[tuple[int, int, bytes]], flags: int,
                     address: bytes | None) -> int:
        data = bytes(data)
        packed = b"".join(_CMSGHDR.pack(_CMSGHDR.size + len(value), level, kind) + value + bytes(-len(value) % 8)
                          for level, kind, value in control)
        message = _Msghdr()
        iovec = _Iovec(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data))
        message.iov = ctypes.pointer(iovec)
        message.iovlen = 1
        if address is not None:
            message.name = ctypes.cast(ctypes.c_char_p(address), ctypes.c_void_p)
            message.namelen = len(address)
        if packed:
            message.control = ctypes.cast(ctypes.c_char_p(packed), ctypes.c_void_p)
            message.controllen = len(packed)
        return _check(_libc.sendmsg(_int(self._fd), ctypes.byref(message),
                                    _int(flags | _MSG_DONTWAIT | _MSG_NOSIGNAL)))

    def sendto(self, data: bytes | memoryview, flags: int, address: bytes | None) -> int:
        if address is None and data and not flags & ~(_MSG_DONTWAIT | _MSG_NOSIGNAL):
            try:
                return os.write(self._fd, data)  # SIGPIPE is ignored
            except OSError as error:
                raise HostError(error.errno) from None
        data = bytes(data)
        return _check(_libc.sendto(_int(self._fd), data, ctypes.c_size_t(len(data)),
                                   _int(flags | _MSG_DONTWAIT | _MSG_NOSIGNAL), address,
                                   ctypes.c_uint32(len(address) if address is not None else 0)))

    def send_unreadable(self, length: int, flags: int, address: bytes | None) -> None:
        """Fail as a send of memory that cannot be read fails: with EFAULT, or with what comes before it."""
        _check(_libc.sendto(_int(self._fd), ctypes.c_void_p(_UNREADABLE), ctypes.c_size_t(length),
                            _int(flags | _MSG_DONTWAIT | _MSG_NOSIGNAL), address,
                            ctypes.c_uint32(len(address) if address is not None else 0)))

    def getsockopt(self, level: int, option: int, length: int) -> bytes:
        value = ctypes.create_string_buffer(max(length, 1))
        size = ctypes.c_uint32(length)
        _check(_libc.getsockopt(_int(self._fd), _int(level), _int(option), value, ctypes.byref(size)))
        return value.raw[:size.value]

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        _check(_libc.setsockopt(_int(self._fd), _int(level), _int(option), value, ctypes.c_uint32(len(value))))

    def set_unreadable_option(self, level: int, option: int, length: int, null: bool) -> None:
        """Do as setting an option to what cannot be read does, mostly fail; `null`: to what is at NULL."""
        _check(_libc.setsockopt(_int(self._fd), _int(level), _int(option),
                                ctypes.c_void_p(None if null else _UNREADABLE), ctypes.c_uint32(length)))

    def _name(self, call: str) -> bytes:
        address = ctypes.create_string_buffer(_LONGEST_ADDRESS)
        length = ctypes.c_uint32(_LONGEST_ADDRESS)
        _check(getattr(_libc, call)(_int(self._fd), address, ctypes.byref(length)))
        return address.raw[:length.value]

    def getsockname(self) -> bytes:
        return self._name("getsockname")

    def getpeername(self) -> bytes:
        return self._name("getpeername")

    def shutdown(self, how: int) -> None:
        _check(_libc.shutdown(_int(self._fd), _int(how)))

    def pending(self) -> int:
        from fcntl import ioctl
        try:
            return int.from_bytes(ioctl(self._fd, _FIONREAD, bytes(4)), "little")
        except OSError as error:
            raise HostError(error.errno) from None

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
