"""Terminals (drivers/tty/tty_io.c): `Tty` is struct tty_struct, `TtyFile` an open description of one.

A Tty stands between its *near end*, the programs that have it open, and its *far end*: a pty master, or the terminal
that pylx was started on.  Bytes from the far end come in by `input`, pass the line discipline and wait for readers;
bytes written go through the line discipline to `output`, which the kinds of terminal (drivers) override.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EIO, LinuxError
from syscalls.abi.signal import SIGTTIN, SIGTTOU, SIGWINCH
from syscalls.abi.tty import TOSTOP, VMIN, VTIME, WINSIZE, Termios, default_termios, device_number
from syscalls.fd import (
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    FileDescription,
)
from syscalls.ldisc import NTty
from syscalls.wait import WaitQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

    from syscalls.fs.inode import Inode
    from syscalls.fs.vfs import Location
    from syscalls.kernel import Kernel
    from syscalls.task import ProcessGroup, Session, Task

INPUT_LIMIT = 8192
"""Bytes from the far end that wait for room in the line discipline (the flip buffer of a pty)."""
READABLE = POLLIN | POLLRDNORM
WRITABLE = POLLOUT | POLLWRNORM
TENTH_NS = 100_000_000


class Tty:
    """One terminal, as the programs on it see it."""

    def __init__(self, kernel: Kernel, name: bytes, major: int, minor: int, termios: Termios | None = None) -> None:
        self.kernel = kernel
        self.name = name
        """As under /dev: b"pts/3"."""
        self.device = device_number(major, minor)
        self.termios = termios if termios is not None else default_termios()
        self.initial_termios = self.termios.copy()
        self.winsize = (0, 0, 0, 0)
        """Rows, columns, x and y pixels."""
        self.session: Session | None = None
        self.pgrp: ProcessGroup | None = None
        self.files: set[TtyFile] = set()
        self.queue = WaitQueue()
        self.backlog = bytearray()
        self.stopped = False
        """Output is held back: by VSTOP, or by TCOOFF (then `flow_stopped` too)."""
        self.flow_stopped = False
        self.exclusive = False
        self.other_closed = False
        """The far end is gone (TTY_OTHER_CLOSED)."""
        self.last_input_ns = 0
        self.ldisc = NTty(self, self.termios)

    # --- what drivers override

    def output(self, data: bytes) -> int:
        """Pass processed bytes to the far end; how many it took."""
        raise NotImplementedError

    def output_room(self) -> int:
        """How many bytes `output` would take now."""
        raise NotImplementedError

    def process(self, data: bytes, room: int) -> tuple[int, bytes]:
        """The line discipline's part of a write: how many bytes of `data`, and what becomes of them."""
        return self.ldisc.process_output(data, room)

    def output_pending(self) -> int:
        """TIOCOUTQ: bytes taken that have not arrived."""
        return 0

    def flush_output(self) -> None:
        """Drop what has not arrived."""

    def input_flushed(self) -> None:
        """Unread input was dropped."""

    def settings_changed(self, old: Termios) -> None:
        """After a change of termios."""

    def flow_changed(self) -> None:
        """After a change of `stopped`."""

    def resized(self) -> None:
        """After TIOCSWINSZ."""

    def wants_input(self) -> None:
        """A program reads, polls or changes settings: the far end's bytes are needed from now on."""

    def more_input(self) -> None:
        """The backlog has room again."""

    def last_file_closed(self) -> None:
        """No description of this terminal is open any more."""

    def foreground(self) -> ProcessGroup | None:
        """The foreground process group; None: no session owns the terminal."""
        return self.pgrp

    def nobody_continues(self, pgrp: ProcessGroup) -> bool:
        """Whether a process group that stops for this terminal would stay so for ever (is_current_pgrp_orphaned)."""
        from syscalls.job import is_orphaned
        return is_orphaned(pgrp)

    # --- from the far end

    def input(self, data: bytes) -> int:
        """Take bytes; how many.  The rest has to be offered again after `more_input`."""
        taken = data[:max(0, INPUT_LIMIT - len(self.backlog))]
        if not taken:
            return 0
        self.last_input_ns = self.kernel.clock.monotonic()
        if self.backlog:
            self.backlog += taken
            self._push()
        else:
            done = self.ldisc.receive(taken)
            if done < len(taken):
                self.backlog += taken[done:]
        return len(taken)

    def _push(self) -> None:
        data = bytes(self.backlog)
        self.backlog.clear()
        done = self.ldisc.receive(data)
        # What the line discipline refused goes before what may have come in the meantime.
        self.backlog[:0] = data[done:]

    def input_room(self) -> None:
        """The line discipline has room again."""
        if self.backlog:
            was_full = len(self.backlog) >= INPUT_LIMIT
            self._push()
            if was_full and len(self.backlog) < INPUT_LIMIT:
                self.more_input()
        elif self.ldisc.no_room:
            self.ldisc.no_room = False
            self.more_input()

    def wake_readers(self) -> None:
        self.queue.wake(READABLE)

    def wake_writers(self) -> None:
        """The far end takes bytes again: echo first, as it was typed first."""
        self.ldisc.flush_echo()
        self.queue.wake(WRITABLE)

    def wake_all(self) -> None:
        self.queue.wake()

    # --- flow control

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            self.flow_changed()

    def start(self) -> None:
        if self.stopped:
            self.stopped = False
            self.flow_changed()
            self.wake_writers()

    # --- settings

    def set_termios(self, termios: Termios) -> None:
        """tty_set_termios."""
        old = self.termios
        self.termios = termios
        self.ldisc.set_termios(termios, old)
        self.settings_changed(old)

    def set_winsize(self, size: tuple[int, int, int, int]) -> bool:
        """Set the size and tell the foreground group; False when it was that size already (tty_do_resize)."""
        if size == self.winsize:
            return False
        self.winsize = size
        self.signal_foreground(SIGWINCH)
        return True

    def packed_winsize(self) -> bytes:
        return WINSIZE.pack(*self.winsize)

    # --- signals

    def signal_foreground(self, signo: int) -> None:
        pgrp = self.foreground()
        if pgrp is not None and pgrp.members:
            from syscalls.abi.signal import SI_KERNEL
            from syscalls.siginfo import SigInfo
            from syscalls.signals import send_pgrp
            send_pgrp(pgrp, SigInfo(signo, SI_KERNEL))

    def hangup(self) -> None:
        """The far end is gone: see ctty.hangup."""
        from syscalls.ctty import hangup
        hangup(self)

    # --- life

    def open(self, task: Task | None, flags: int, inode: Inode, location: Location | None) -> TtyFile:
        file = TtyFile(self, flags, location, inode)
        self.files.add(file)
        return file

    def describe(self) -> bytes:
        return b"/dev/" + self.name


class TtyFile(FileDescription):
    """An open description of a terminal's near end."""

    kind = "tty"
    nowait = False
    pollable = True
    stream = True

    def __init__(self, tty: Tty, flags: int, location: Location | None, inode: Inode) -> None:
        super().__init__(flags, location, inode)
        self.tty = tty
        self.queue = tty.queue
        self.hung_up = False
        """The terminal was hung up after this was opened: reads are at the end, everything else fails."""
        self.deadlines: dict[Task, tuple[int, int]] = {}
        """Reads that VTIME ends: by task its call count, which tells one call from the next, and the moment (ns)."""

    def released(self) -> None:
        tty = self.tty
        if self in tty.files:
            tty.files.discard(self)
            if not tty.files:
                tty.exclusive = False
                tty.last_file_closed()

    # --- reading

    def read(self, task: Task, length: int) -> bytes:
        """EAGAIN, EIO; Interrupted when job control stops the reader (n_tty_read)."""
        if self.hung_up:
            return b""
        tty = self.tty
        if tty.session is not None:
            from syscalls.ctty import check_change
            check_change(task, tty, SIGTTIN)
        tty.wants_input()
        if not length:
            return b""
        ldisc = tty.ldisc
        if ldisc.canonical:
            if ldisc.canon:
                return ldisc.take(length)
        else:
            data = self._read_raw(task, length)
            if data is not None:
                return data
        if tty.other_closed:
            raise LinuxError(EIO)
        raise LinuxError(EAGAIN)

    def _read_raw(self, task: Task, length: int) -> bytes | None:
        """VMIN and VTIME (man 3 termios): the bytes, or None to wait."""
        ldisc = self.tty.ldisc
        minimum, time = ldisc.termios.cc[VMIN], ldisc.termios.cc[VTIME]
        have = len(ldisc.buffer)
        if have >= min(max(minimum, 1), length) or (have and (self.nonblock or self.tty.other_closed)):
            self.deadlines.pop(task, None)
            return ldisc.take(length)
        if self.tty.other_closed:
            return None
        if not minimum and not time:
            return b""
        if self.nonblock or not time or (minimum and not have):
            return None
        # The timer runs from the call (VMIN 0), or from the last byte.
        kernel = task.kernel
        call, deadline = self.deadlines.get(task, (0, 0))
        if minimum:
            new = self.tty.last_input_ns + time * TENTH_NS
            fresh = call != task.syscalls or new != deadline
            deadline = new
        else:
            fresh = call != task.syscalls
            if fresh:
                deadline = kernel.clock.monotonic() + time * TENTH_NS
        if deadline <= kernel.clock.monotonic():
            self.deadlines.pop(task, None)
            return ldisc.take(length) if have else b""
        if fresh:
            self.deadlines[task] = task.syscalls, deadline
            kernel.start_timer(deadline, self.tty.wake_readers)
        return None

    def unread(self, data: bytes) -> None:
        """Nothing: bytes that could not be stored are lost, as in iterate_tty_read."""

    # --- writing

    def write(self, task: Task, data: bytes) -> int:
        """A prefix; EAGAIN, EIO; Interrupted when job control stops the writer (n_tty_write)."""
        if self.hung_up:
            raise LinuxError(EIO)
        tty = self.tty
        if tty.termios.lflag & TOSTOP and tty.session is not None:
            from syscalls.ctty import check_change
            check_change(task, tty, SIGTTOU)
        if tty.other_closed:
            raise LinuxError(EIO)
        if not data:
            return 0
        ldisc = tty.ldisc
        if ldisc.echo:
            ldisc.flush_echo()
        done = 0
        # Until all is taken or nothing more fits: who wrote a part sleeps until there is room.
        while done < len(data) and not (tty.stopped or ldisc.echo):
            room = tty.output_room()
            if room <= 0:
                break
            taken, result = tty.process(bytes(data[done:done + room]), room)
            if not taken:
                break
            tty.output(result)
            done += taken
        if not done:
            raise LinuxError(EAGAIN)
        return done

    # --- readiness

    def ready(self, mask: int) -> int:
        if self.hung_up:
            return (READABLE | WRITABLE) & mask | POLLERR | POLLHUP
        tty = self.tty
        if mask & READABLE:
            tty.wants_input()
        bits = tty.ldisc.ready()
        if tty.other_closed:
            bits |= POLLHUP
        if tty.output_room() > 0 and not tty.stopped:
            bits |= WRITABLE
        return bits & (mask | POLLERR | POLLHUP)

    # --- the rest

    def ioctl(self, task: Task, code: int, arg: int) -> int | Awaitable[int]:
        from syscalls.tty_ioctl import tty_ioctl
        return tty_ioctl(task, self, self.tty, self.tty, code, arg)

    def describe(self) -> bytes:
        return self.tty.describe()
