"""The console of Windows as a raw byte stream, by `msvcrt`.

Its input can be polled only by asking again and again: a thread does, and passes what was typed on through a pair of
sockets.  Nothing of the console's settings is changed for longer than one read, so that nothing needs to come back.
"""

from __future__ import annotations

import os
import sys

from translator.hosts.base import HostError
from translator.hosts.portable_errno import EAGAIN, EINVAL, failure
from translator.hosts.portable_terminal import DEFAULT_TERMIOS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

_KEYS = {
    "H": b"\x1b[A", "P": b"\x1b[B", "M": b"\x1b[C", "K": b"\x1b[D", "G": b"\x1b[H", "O": b"\x1b[F", "R": b"\x1b[2~",
    "S": b"\x1b[3~", "I": b"\x1b[5~", "Q": b"\x1b[6~", ";": b"\x1bOP", "<": b"\x1bOQ", "=": b"\x1bOR", ">": b"\x1bOS",
    "?": b"\x1b[15~", "@": b"\x1b[17~", "A": b"\x1b[18~", "B": b"\x1b[19~", "C": b"\x1b[20~", "D": b"\x1b[21~",
    "\x85": b"\x1b[23~", "\x86": b"\x1b[24~",
}
"""Scan codes of keys without a character, as the sequences that TERM=xterm-256color promises."""

if sys.platform == "win32":
    import msvcrt

    def open_console() -> WindowsConsole | None:
        """None unless both input and output are the console."""
        if os.isatty(0) and os.isatty(1):
            return WindowsConsole()
        return None

    def _typed() -> bytes:
        character = msvcrt.getwch()
        if character in {"\0", "\xe0"}:
            return _KEYS.get(msvcrt.getwch(), b"")
        if "\ud800" <= character < "\udc00":
            character = (character + msvcrt.getwch()).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return b"\x7f" if character == "\b" else character.encode("utf-8", "replace")

    class WindowsConsole:
        __slots__ = ("_listening", "_ours")

        def __init__(self) -> None:
            self._ours: socket.socket | None = None
            self._listening = False

        def fileno(self) -> int:
            return self._ours.fileno() if self._ours is not None else -1

        def read(self, length: int) -> bytes:
            if self._ours is None:
                raise HostError(EAGAIN)
            try:
                return self._ours.recv(length)
            except OSError as error:
                raise failure(error) from None

        def write(self, data: bytes | memoryview) -> int:
            try:
                return os.write(1, data)
            except OSError as error:
                raise failure(error) from None

        def size(self) -> tuple[int, int, int, int]:
            try:
                size = os.get_terminal_size(1)
            except OSError as error:
                raise failure(error) from None
            return size.lines, size.columns, 0, 0

        def set_size(self, rows: int, columns: int) -> None:
            raise HostError(EINVAL)

        def termios(self) -> bytes:
            return DEFAULT_TERMIOS

        def name(self) -> bytes:
            return b"/dev/tty1"

        def foreground(self) -> bool:
            return True

        def resume(self) -> None:
            self._listening = True
            if self._ours is not None:
                return
            import socket
            from threading import Thread

            from translator.hosts.portable_poll import windows_sockets
            os.system("")  # has the side effect of switching the console to escape sequences
            self._ours, theirs = socket.socketpair()
            self._ours.setblocking(False)
            windows_sockets.add(self._ours.fileno())
            Thread(target=self._listen, args=(theirs,), daemon=True).start()

        def _listen(self, to: socket.socket) -> None:
            import time
            try:
                while True:
                    if self._listening and msvcrt.kbhit():
                        to.sendall(_typed())
                    else:
                        time.sleep(0.01)
            except OSError:  # closed at the other end
                to.close()

        def suspend(self) -> None:
            self._listening = False

        def signal_job(self, signal: int) -> None:
            """Windows has no jobs of that kind."""

        def close(self) -> None:
            self._listening = False
            if self._ours is not None:
                from translator.hosts.portable_poll import windows_sockets
                windows_sockets.discard(self._ours.fileno())
                self._ours.close()
                self._ours = None
