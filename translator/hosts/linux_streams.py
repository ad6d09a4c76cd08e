"""pylx's own standard streams, used without sleeping and without O_NONBLOCK on what other processes share."""

from __future__ import annotations

import errno
import os
import select

from translator.hosts.base import HostError
from translator.hosts.linux_files import LinuxFile

_S_IFMT = 0o170000
_S_IFIFO = 0o010000
_S_IFCHR = 0o020000
_S_IFSOCK = 0o140000
_PIPE_BUF = 4096
_MSG_DONTWAIT = 0x40
_POLLIN, _POLLOUT = 1, 4
_POLL_ERRORS = 8 | 16


class LinuxStream(LinuxFile):
    """A stream of a kind that never makes its user sleep (a regular file, /dev/null), or a second description of a
    pipe or terminal with its own O_NONBLOCK."""

    __slots__ = ("_number",)

    def __init__(self, fd: int, number: int) -> None:
        super().__init__(fd)
        self._number = number

    def close(self) -> None:
        """Readers of standard output and writers of standard input learn that pylx is done with them.  Standard
        error stays open for pylx's own messages."""
        own, self.fd = self.fd, -1
        if own not in {-1, self._number}:
            os.close(own)
        if self._number > 2:
            os.close(self._number)
        elif own != -1 and self._number != 2:
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            os.dup2(null, self._number)
            os.close(null)


class SocketStream(LinuxStream):
    __slots__ = ()

    def read(self, length: int) -> bytes:
        from _socket import socket
        with_socket = socket(fileno=self.fd)
        try:
            return with_socket.recv(length, _MSG_DONTWAIT)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            with_socket.detach()

    def write(self, data: bytes | memoryview) -> int:
        from _socket import MSG_NOSIGNAL, socket
        with_socket = socket(fileno=self.fd)
        try:
            return with_socket.send(data, _MSG_DONTWAIT | MSG_NOSIGNAL)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            with_socket.detach()


class ProbedStream(LinuxStream):
    """A pipe or device that may not be opened a second time (it belongs to another user): ask before every use.

    Another reader of the same pipe may still be quicker between the two, and then pylx sleeps in its read.
    """

    __slots__ = ()

    def _bits(self, mask: int) -> int:
        probe = select.poll()
        probe.register(self.fd, mask)
        events = probe.poll(0)
        return events[0][1] if events else 0

    def read(self, length: int) -> bytes:
        if not self._bits(_POLLIN):
            raise HostError(errno.EAGAIN)
        return super().read(length)

    def write(self, data: bytes | memoryview) -> int:
        """At most PIPE_BUF bytes, for which a pipe that polls writable has room (man 7 pipe)."""
        if not self._bits(_POLLOUT):
            raise HostError(errno.EAGAIN)
        return super().write(data[:_PIPE_BUF])


def open_stream(number: int) -> LinuxStream | None:
    try:
        kind = os.fstat(number).st_mode & _S_IFMT
    except OSError:
        return None
    if kind == _S_IFSOCK:
        return SocketStream(number, number)
    if kind != _S_IFIFO and not (kind == _S_IFCHR and os.isatty(number)):
        return LinuxStream(number, number)
    from fcntl import F_GETFL, fcntl
    flags = fcntl(number, F_GETFL)
    if flags & os.O_NONBLOCK:
        return LinuxStream(number, number)
    try:
        again = os.open(b"/proc/self/fd/%d" % number,
                        flags & os.O_ACCMODE | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return ProbedStream(number, number)
    return LinuxStream(again, number)
