"""The terminal pylx was started on, as a raw byte stream.

The description is pylx's own (opened from /dev/tty), so that O_NONBLOCK on it concerns nobody else.  The settings
belong to the terminal and outlive pylx: a child process, `_watch_over`, puts them back when pylx is killed.
"""

from __future__ import annotations

import errno
import os
from fcntl import ioctl
from struct import Struct

from translator.hosts.base import HostError

_TCGETS, _TCSETS = 0x5401, 0x5402
_TIOCGWINSZ, _TIOCSWINSZ = 0x5413, 0x5414
_TERMIOS = Struct("@IIIIB19s")  # asm-generic/termbits.h: c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc
_WINSIZE = Struct("@HHHH")

# asm-generic/termbits-common.h
_IFLAG_OFF = 0o1 | 0o2 | 0o10 | 0o20 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000  # IGNBRK .. ICRNL, IXON
_OPOST = 0o1
_CSIZE, _CS8, _PARENB = 0o60, 0o60, 0o400
_LFLAG_OFF = 0o1 | 0o2 | 0o10 | 0o100 | 0o100000  # ISIG, ICANON, ECHO, ECHONL, IEXTEN
_VTIME, _VMIN = 5, 6

_RAW, _COOKED = b"r", b"c"


def raw(settings: bytes) -> bytes:
    """The settings (struct termios) under which every byte passes unchanged."""
    iflag, oflag, cflag, lflag, line, cc = _TERMIOS.unpack(settings)
    control = bytearray(cc)
    control[_VTIME], control[_VMIN] = 0, 1
    return _TERMIOS.pack(iflag & ~_IFLAG_OFF, oflag & ~_OPOST, cflag & ~(_CSIZE | _PARENB) | _CS8,
                         lflag & ~_LFLAG_OFF, line, bytes(control))


def open_terminal() -> LinuxTerminal | None:
    """By /dev/tty; or, in a session that has no controlling terminal, whichever standard stream is one."""
    for path in ("/dev/tty", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"):
        try:
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            continue
        if os.isatty(fd):
            return LinuxTerminal(fd)
        os.close(fd)
    return None


class LinuxTerminal:
    __slots__ = ("_fd", "_is_raw", "_raw", "_settings", "_wanted", "_watchdog", "_watchdog_pid")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._settings = self._ioctl(_TCGETS, bytes(36))
        self._raw = raw(self._settings)
        self._is_raw = False
        self._wanted = False
        self._watchdog = -1
        self._watchdog_pid = 0

    def _ioctl(self, request: int, argument: bytes) -> bytes:
        try:
            return ioctl(self._fd, request, argument)
        except OSError as error:
            raise HostError(error.errno) from None

    def fileno(self) -> int:
        return self._fd

    def read(self, length: int) -> bytes:
        """Also HostError(EIO) in the background: whoever reads asks foreground() first, and stops (SIGTTIN)."""
        if self._wanted and not self._is_raw:
            self.resume()
        try:
            return os.read(self._fd, length)
        except OSError as error:
            if error.errno == errno.EIO and self.foreground():
                return b""
            raise HostError(error.errno) from None

    def write(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self._fd, data)
        except OSError as error:
            raise HostError(error.errno) from None

    def size(self) -> tuple[int, int, int, int]:
        rows, columns, width, height = _WINSIZE.unpack(self._ioctl(_TIOCGWINSZ, bytes(8)))
        return rows, columns, width, height

    def set_size(self, rows: int, columns: int) -> None:
        _, _, width, height = self.size()
        self._ioctl(_TIOCSWINSZ, _WINSIZE.pack(rows, columns, width, height))

    def termios(self) -> bytes:
        return self._settings

    def name(self) -> bytes:
        """/dev/tty's own name says nothing; the device number of the controlling terminal is in man 5 proc_pid_stat."""
        for number in (0, 1, 2):
            try:
                name = os.ttyname(number)
            except OSError:
                continue
            return os.fsencode(name)
        with open("/proc/self/stat", "rb") as stat:
            device = int(stat.read().rpartition(b")")[2].split()[4])
        major, minor = os.major(device), os.minor(device)
        if 136 <= major <= 143:
            return b"/dev/pts/%d" % ((major - 136) * 256 + minor)
        if major == 4:
            return b"/dev/tty%d" % minor if minor < 64 else b"/dev/ttyS%d" % (minor - 64)
        return b"/dev/tty"

    def foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError as error:
            return error.errno == errno.ENOTTY  # not our controlling terminal: it has no job control for us

    def resume(self) -> None:
        self._wanted = True
        if self._is_raw or not self.foreground():
            return
        if self._watchdog < 0:
            self._start_watchdog()
        # What the user's shell or stty changed while pylx was away is what they want back.
        self._settings = self._ioctl(_TCGETS, bytes(36))
        self._raw = raw(self._settings)
        os.write(self._watchdog, _RAW + self._settings)
        self._ioctl(_TCSETS, self._raw)
        self._is_raw = True

    def suspend(self) -> None:
        self._wanted = False
        if not self._is_raw:
            return
        self._is_raw = False
        try:
            if self._ioctl(_TCGETS, bytes(36)) == self._raw:
                self._ioctl(_TCSETS, self._settings)
        except HostError as error:
            if error.errno != errno.EIO:  # hung up: nothing to give back
                raise
        os.write(self._watchdog, _COOKED + self._settings)

    def signal_job(self, signal: int) -> None:
        from translator.hosts.linux_process import signal_others
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
        from translator.hosts.linux_process import fork_unheard
        read_end, self._watchdog = os.pipe2(os.O_CLOEXEC)
        self._watchdog_pid = fork_unheard()
        if self._watchdog_pid == 0:
            try:
                _watch_over(self._fd, read_end)
            finally:
                os._exit(0)
        os.close(read_end)


def _watch_over(terminal: int, pipe: int) -> None:
    """The child: sleep until pylx has gone, then put the settings back if it went without doing so itself.

    In a session of its own it gets none of the terminal's signals, and keeps nothing else open that somebody might
    wait for.  Should somebody else have changed the settings in the meantime, they know better.
    """
    from translator.hosts.linux_process import ignore_signals
    os.setsid()
    ignore_signals()
    os.dup2(terminal, 0)
    os.dup2(pipe, 1)
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 1:
                os.close(int(name))
        except OSError:  # the descriptor of the listing itself
            pass
    message = b""
    while True:
        more = os.read(1, 37)
        if not more:
            break
        message = (message + more)[-37:]
    if message[:1] == _RAW:
        settings = message[1:]
        if ioctl(0, _TCGETS, bytes(36)) == raw(settings):
            ioctl(0, _TCSETS, settings)
