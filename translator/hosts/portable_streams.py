"""pylx's own standard streams, without sleeping and without O_NONBLOCK on what other processes share."""

from __future__ import annotations

import os
import select
import sys

from translator.hosts.base import HostError
from translator.hosts.portable_errno import EAGAIN, failure
from translator.hosts.portable_files import PortableFile
from translator.hosts.portable_stat import S_IFCHR, S_IFIFO, S_IFMT, S_IFSOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from translator.hosts.portable_poll import PortablePoller

_POLLIN, _POLLOUT = 1, 4
_PIPE_BUF: int = getattr(select, "PIPE_BUF", 512)
"""A pipe that polls writable has room for this much (512 is the least that POSIX allows)."""


class PortableStream(PortableFile):
    """A stream of a kind that never makes its user sleep: a regular file, the null device."""

    __slots__ = ()

    def __init__(self, number: int) -> None:
        super().__init__(number, b"")

    def _target(self) -> int | bytes:
        return self.fd

    def close(self) -> None:
        """Readers of standard output and writers of standard input learn that pylx is done with them.  Standard
        error stays open for pylx's own messages."""
        own, self.fd = self.fd, -1
        if own in {0, 1}:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, own)
            os.close(null)


class ProbedStream(PortableStream):
    """A pipe, socket or terminal, asked before every use.  Another process that reads the same pipe may be quicker
    between the two, and then pylx sleeps in its read."""

    __slots__ = ("_poller",)

    def __init__(self, number: int, poller: PortablePoller) -> None:
        super().__init__(number)
        self._poller = poller

    def read(self, length: int) -> bytes:
        if not self._poller.probe(self.fd, _POLLIN):
            raise HostError(EAGAIN)
        return super().read(length)

    def write(self, data: bytes | memoryview) -> int:
        if not self._poller.probe(self.fd, _POLLOUT) & _POLLOUT:
            raise HostError(EAGAIN)
        return super().write(data[:_PIPE_BUF])


class SocketStream(PortableStream):
    __slots__ = ("_socket",)

    def __init__(self, number: int) -> None:
        import socket
        super().__init__(number)
        self._socket = socket.socket(fileno=os.dup(number))

    def read(self, length: int) -> bytes:
        if sys.platform == "win32":
            raise HostError(EAGAIN)
        else:
            from socket import MSG_DONTWAIT
            try:
                return self._socket.recv(length, MSG_DONTWAIT)
            except OSError as error:
                raise failure(error) from None

    def write(self, data: bytes | memoryview) -> int:
        if sys.platform == "win32":
            raise HostError(EAGAIN)
        else:
            from socket import MSG_DONTWAIT
            try:
                return self._socket.send(data, MSG_DONTWAIT)
            except OSError as error:
                raise failure(error) from None

    def close(self) -> None:
        self._socket.close()
        super().close()


class WindowsInput(PortableStream):
    """Standard input of Windows, which can neither be polled nor read without sleeping: a thread, started with the
    first use, reads it and passes the bytes on through a pair of sockets."""

    __slots__ = ("_ours",)

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._ours: socket.socket | None = None

    def _started(self) -> socket.socket:
        if self._ours is None:
            import socket
            from threading import Thread

            from translator.hosts.portable_poll import windows_sockets
            self._ours, theirs = socket.socketpair()
            self._ours.setblocking(False)
            windows_sockets.add(self._ours.fileno())
            Thread(target=_pass_on, args=(self.fd, theirs), daemon=True).start()
        return self._ours

    def fileno(self) -> int:
        return self._started().fileno()

    def read(self, length: int) -> bytes:
        try:
            return self._started().recv(length)
        except OSError as error:
            raise failure(error) from None

    def close(self) -> None:
        """The thread cannot be stopped in its read: it ends with the process."""
        if self._ours is not None:
            from translator.hosts.portable_poll import windows_sockets
            windows_sockets.discard(self._ours.fileno())
            self._ours.close()
            self._ours = None
        self.fd = -1


def _pass_on(fd: int, to: socket.socket) -> None:
    try:
        while data := os.read(fd, 4096):
            to.sendall(data)
    except OSError:  # input broke, or nobody listens any more
        pass
    to.close()


def open_stream(number: int, poller: PortablePoller) -> PortableStream | None:
    try:
        kind = os.fstat(number).st_mode & S_IFMT
    except OSError:
        return None
    if sys.platform == "win32":
        import msvcrt
        msvcrt.setmode(number, os.O_BINARY)
        if number == 0 and kind in {S_IFCHR, S_IFIFO}:
            return WindowsInput(number)
        return PortableStream(number)
    if kind == S_IFSOCK:
        return SocketStream(number)
    if kind == S_IFIFO or (kind == S_IFCHR and os.isatty(number)):
        return ProbedStream(number, poller)
    return PortableStream(number)
