"""The terminal pylx was started on, as a raw byte stream, on any POSIX system; Windows' is `portable_console`.

The settings belong to the terminal and outlive pylx: a child process, `_watch_over`, puts them back when pylx is
killed.
"""

from __future__ import annotations

import os
import struct
import sys

from translator.hosts.base import HostError
from translator.hosts.portable_errno import EIO, ENOTTY, failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from translator.hosts.base import HostTerminal

# The bits of asm-generic/termbits.h by their names; other systems' termios has other numbers for them.
_IFLAGS = ("IGNBRK", "BRKINT", "IGNPAR", "PARMRK", "INPCK", "ISTRIP", "INLCR", "IGNCR", "ICRNL", "IUCLC", "IXON",
           "IXANY", "IXOFF", "IMAXBEL")
_IUTF8 = 0x4000
_OFLAGS = ("OPOST", "OLCUC", "ONLCR", "OCRNL", "ONOCR", "ONLRET", "OFILL", "OFDEL")
_CFLAGS = {"CSTOPB": 0x40, "CREAD": 0x80, "PARENB": 0x100, "PARODD": 0x200, "HUPCL": 0x400, "CLOCAL": 0x800}
_SIZES = {"CS5": 0, "CS6": 0x10, "CS7": 0x20, "CS8": 0x30}
_B38400 = 0xF
_LFLAGS = {"ISIG": 1, "ICANON": 2, "ECHO": 8, "ECHOE": 0x10, "ECHOK": 0x20, "ECHONL": 0x40, "NOFLSH": 0x80,
           "TOSTOP": 0x100, "ECHOCTL": 0x200, "ECHOPRT": 0x400, "ECHOKE": 0x800, "IEXTEN": 0x8000}
_CONTROLS = ("VINTR", "VQUIT", "VERASE", "VKILL", "VEOF", "VTIME", "VMIN", "VSWTC", "VSTART", "VSTOP", "VSUSP", "VEOL",
             "VREPRINT", "VDISCARD", "VWERASE", "VLNEXT", "VEOL2")
_DEFAULT_CONTROLS = b"\x03\x1c\x7f\x15\x04\0\1\0\x11\x13\x1a\0\x12\x0f\x17\x16\0"

DEFAULT_TERMIOS = struct.pack("<IIIIB17s2x", 0x4500, 5, 0xBF, 0x8A3B, 0, _DEFAULT_CONTROLS)
"""What Linux gives a new terminal, with IUTF8."""

_RAW, _COOKED = b"r", b"c"


def open_terminal() -> HostTerminal | None:
    if sys.platform == "win32":
        from translator.hosts.portable_console import open_console
        return open_console()
    else:
        for number in (0, 1, 2):  # by name, because macOS cannot poll /dev/tty
            try:
                path = os.ttyname(number)
            except OSError:
                continue
            terminal = _open(path)
            if terminal is not None:
                return terminal
        return _open("/dev/tty")


if sys.platform != "win32":
    import termios

    def _open(path: str) -> PosixTerminal | None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return None
        if os.isatty(fd):
            return PosixTerminal(fd, path)
        os.close(fd)
        return None

    def _get(fd: int) -> list[Any]:
        try:
            return termios.tcgetattr(fd)
        except termios.error as error:
            raise failure(OSError(*error.args)) from None

    def _set(fd: int, settings: list[Any]) -> None:
        try:
            termios.tcsetattr(fd, termios.TCSANOW, settings)
        except termios.error as error:
            raise failure(OSError(*error.args)) from None

    def raw(settings: list[Any]) -> list[Any]:
        """The settings under which every byte passes unchanged."""
        iflag, oflag, cflag, lflag, ispeed, ospeed, controls = settings
        iflag &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.INPCK | termios.ISTRIP | termios.INLCR
                   | termios.IGNCR | termios.ICRNL | termios.IXON)
        oflag &= ~termios.OPOST
        cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        lflag &= ~(termios.ISIG | termios.ICANON | termios.ECHO | termios.ECHONL | termios.IEXTEN)
        controls = list(controls)
        controls[termios.VMIN], controls[termios.VTIME] = 1, 0
        return [iflag, oflag, cflag, lflag, ispeed, ospeed, controls]

    def linux_termios(settings: list[Any]) -> bytes:
        """struct termios of Linux."""
        iflag, oflag, cflag, lflag, _, _, controls = settings
        linux_iflag = _IUTF8 | sum(1 << at for at, name in enumerate(_IFLAGS) if iflag & getattr(termios, name, 0))
        linux_oflag = sum(1 << at for at, name in enumerate(_OFLAGS) if oflag & getattr(termios, name, 0))
        linux_cflag = _B38400 | sum(bit for name, bit in _CFLAGS.items() if cflag & getattr(termios, name))
        linux_cflag |= next(bit for name, bit in _SIZES.items() if cflag & termios.CSIZE == getattr(termios, name))
        linux_lflag = sum(bit for name, bit in _LFLAGS.items() if lflag & getattr(termios, name, 0))
        linux_controls = bytearray(_DEFAULT_CONTROLS)
        if lflag & termios.ICANON:
            for at, name in enumerate(_CONTROLS):
                index: int | None = getattr(termios, name, None)
                if index is not None and name not in {"VTIME", "VMIN"}:
                    code = controls[index]
                    value = code[0] if isinstance(code, bytes) else code
                    linux_controls[at] = 0 if value == 0xFF else value  # the BSDs switch off by 255
        return struct.pack("<IIIIB17s2x", linux_iflag, linux_oflag, linux_cflag, linux_lflag, 0, bytes(linux_controls))

    class PosixTerminal:
        __slots__ = ("_fd", "_is_raw", "_name", "_settings", "_wanted", "_watchdog", "_watchdog_pid")

        def __init__(self, fd: int, name: str) -> None:
            self._fd = fd
            self._name = name
            self._settings = _get(fd)
            self._is_raw = False
            self._wanted = False
            self._watchdog = -1
            self._watchdog_pid = 0

        def fileno(self) -> int:
            return self._fd

        def read(self, length: int) -> bytes:
            """Also HostError(EIO) in the background: whoever reads asks foreground() first, and stops (SIGTTIN)."""
            if self._wanted and not self._is_raw:
                self.resume()
            try:
                return os.read(self._fd, length)
            except OSError as error:
                raised = failure(error)
                if raised.errno == EIO and self.foreground():
                    return b""
                raise raised from None

        def write(self, data: bytes | memoryview) -> int:
            try:
                return os.write(self._fd, data)
            except OSError as error:
                raise failure(error) from None

        def size(self) -> tuple[int, int, int, int]:
            from fcntl import ioctl
            try:
                rows, columns, width, height = struct.unpack("HHHH", ioctl(self._fd, termios.TIOCGWINSZ, bytes(8)))
            except OSError as error:
                raise failure(error) from None
            return rows, columns, width, height

        def set_size(self, rows: int, columns: int) -> None:
            from fcntl import ioctl
            _, _, width, height = self.size()
            try:
                ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))
            except OSError as error:
                raise failure(error) from None

        def termios(self) -> bytes:
            return linux_termios(self._settings)

        def name(self) -> bytes:
            return os.fsencode(self._name)

        def foreground(self) -> bool:
            try:
                return os.tcgetpgrp(self._fd) == os.getpgrp()
            except OSError as error:
                return failure(error).errno == ENOTTY  # not our controlling terminal: no job control for us there

        def resume(self) -> None:
            self._wanted = True
            if self._is_raw or not self.foreground():
                return
            if self._watchdog < 0:
                self._start_watchdog()
            self._settings = _get(self._fd)  # what the user's shell or stty changed meanwhile is to come back
            self._tell(_RAW)
            _set(self._fd, raw(self._settings))
            self._is_raw = True

        def suspend(self) -> None:
            self._wanted = False
            if not self._is_raw:
                return
            self._is_raw = False
            try:
                if _get(self._fd) == raw(self._settings):
                    _set(self._fd, self._settings)
            except HostError as error:
                if error.errno != EIO:  # hung up: nothing to give back
                    raise
            self._tell(_COOKED)

        def _tell(self, state: bytes) -> None:
            from marshal import dumps
            settings = dumps(self._settings)
            os.write(self._watchdog, state + struct.pack("<I", len(settings)) + settings)

        def signal_job(self, signal: int) -> None:
            from translator.hosts.portable_process import signal_others
            signal_others(signal)

        def close(self) -> None:
            if self._fd < 0:
                return
            self.suspend()
            if self._watchdog >= 0:
                os.close(self._watchdog)
                self._watchdog = -1
                os.waitpid(self._watchdog_pid, 0)
            os.close(self._fd)
            self._fd = -1

        def _start_watchdog(self) -> None:
            from translator.hosts.portable_process import fork_unheard
            read_end, self._watchdog = os.pipe()
            self._watchdog_pid = fork_unheard()
            if self._watchdog_pid == 0:
                try:
                    _watch_over(self._fd, read_end)
                finally:
                    os._exit(0)
            os.close(read_end)

    def _watch_over(terminal: int, pipe: int) -> None:
        """The child: sleep until pylx has gone, then put the settings back if it went without doing so itself.

        In a session of its own it gets none of the terminal's signals, and keeps nothing else open that somebody
        might wait for.  Should somebody else have changed the settings in the meantime, they know better.
        """
        from marshal import loads

        from translator.hosts.portable_process import ignore_signals
        os.setsid()
        ignore_signals()
        os.dup2(terminal, 0)
        os.dup2(pipe, 1)
        os.closerange(2, os.sysconf("SC_OPEN_MAX") if sys.platform == "darwin" else 1 << 20)
        state, settings = _COOKED, b""
        while head := os.read(1, 5):
            state, settings = head[:1], os.read(1, struct.unpack("<I", head[1:])[0])
        if state == _RAW:
            before = loads(settings)
            if _get(0) == raw(before):
                _set(0, before)
