"""The terminal that pylx was started on, as a Tty of the guests.

At first the host's terminal is left alone: output goes to it as it is, typed signals reach pylx as signals.  Only
when a guest reads, polls or changes the terminal does pylx take it in raw mode, and the guests' own line discipline
does the rest.  So `pylx ls | less` leaves the terminal to `less`, and what is typed while a program runs that never
reads stays for the shell.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN
from syscalls.abi.signal import SIGWINCH
from syscalls.abi.tty import PTS_MAJOR, TTY_MAJOR, TTYAUX_MAJOR, Termios, default_termios
from syscalls.fd import POLLIN, POLLOUT
from syscalls.task import ProcessGroup
from syscalls.tty import Tty
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.kernel import Kernel
    from syscalls.task import Session
    from translator.hosts.base import HostTerminal

OUTPUT_LIMIT = 8192
READ_SIZE = 4096
DRAIN_NS = 2_000_000_000
"""How long the end of pylx waits for a terminal that takes nothing."""


class Console(Tty):
    """The terminal that pylx was started on."""

    def __init__(self, kernel: Kernel, terminal: HostTerminal, session: Session) -> None:
        path = terminal.name()
        name = path.removeprefix(b"/dev/")
        major, minor = _device_of(name)
        super().__init__(kernel, name, major, minor, Termios.unpack(terminal.termios(), default_termios()))
        self.terminal = terminal
        self.winsize = terminal.size()
        self.is_raw = False
        """The guests' line discipline is in charge; otherwise the host's still is."""
        self.wanted = False
        """A guest has asked for input."""
        self.reading = False
        """The poller will report input."""
        self.pending = bytearray()
        """Output the terminal has not taken yet."""
        self.closed = False
        self.host_orphan = False
        """pylx is in the background, in a process group that the host does not stop: nobody would continue it."""
        self.outside = ProcessGroup(session.sid, session)
        """The host's shell: in the foreground whenever pylx is not."""

    # --- job control with the host

    def foreground(self) -> ProcessGroup | None:
        if self.session is not None and not self.terminal.foreground():
            return self.outside
        return self.pgrp

    def nobody_continues(self, pgrp: ProcessGroup) -> bool:
        return self.host_orphan or super().nobody_continues(pgrp)

    def signal_foreground(self, signo: int) -> None:
        """A typed signal is for the host's whole job when the guest's is the first process's: pylx may be one part of
        a pipeline."""
        pgrp = self.pgrp
        self.signal_group(signo)
        if signo != SIGWINCH and pgrp is not None and self.is_raw and pgrp is self.kernel.init.pgrp:
            self.terminal.signal_job(signo)

    def signal_group(self, signo: int) -> None:
        """The guests' part of it."""
        super().signal_foreground(signo)

    def wants_input(self) -> None:
        if self.closed:
            return
        if not self.is_raw:
            self.wanted = True
            if not self.terminal.foreground():
                return  # until SIGCONT
            self._take()
        self._arm()

    def _take(self) -> None:
        self.is_raw = True
        self.terminal.resume()
        # pylx may have been started in the background, and have seen what the shell sets for its own line editing.
        termios = Termios.unpack(self.terminal.termios(), self.termios)
        if not termios.same(self.termios):
            self.set_termios(termios)

    def give_back(self) -> None:
        """The host's line discipline is in charge again."""
        if self.is_raw and not self.closed:
            self.drain()
            self.terminal.suspend()
            self.is_raw = self.wanted = False
            if self.reading:
                self.reading = False
                self.kernel.poller.disarm(self.terminal.fileno())

    def resume(self) -> None:
        """pylx was stopped and goes on, perhaps in the background."""
        if self.closed:
            return
        if self.wanted and not self.is_raw:
            self.wants_input()
        elif self.is_raw:
            # Whoever had the terminal in between may have set it otherwise.
            self.terminal.suspend()
            self.terminal.resume()
            self._arm()
        self.update_size()

    def update_size(self) -> bool:
        """Take over the host's window size; False when it has not changed."""
        try:
            size = self.terminal.size()
        except HostError:
            return False
        return self.set_winsize(size)

    def resized(self) -> None:
        try:
            self.terminal.set_size(self.winsize[0], self.winsize[1])
        except HostError:
            pass

    # --- input

    def _arm(self) -> None:
        if not self.reading and not self.closed:
            self.reading = True
            self.kernel.poller.arm(self.terminal.fileno(), POLLIN | (POLLOUT if self.pending else 0), self._event)

    def more_input(self) -> None:
        self._arm()

    def _event(self, mask: int) -> None:
        """The poller: input, or room for output, or a hangup.  It has disarmed both."""
        self.reading = False
        if self.closed:
            return
        if self.pending:
            self._drain()
        readable = not self.is_raw or self._read(mask)
        if self.closed:
            return
        if self.is_raw and readable:
            self._arm()
        elif self.pending:
            self.kernel.poller.arm(self.terminal.fileno(), POLLOUT, self._event)

    def _read(self, mask: int) -> bool:
        """Pass on what was typed; whether to go on listening."""
        room = READ_SIZE - len(self.backlog)
        if room <= 0:
            return False
        try:
            data = self.terminal.read(room)
        except HostError as error:
            # In the background there is nothing for us: until SIGCONT, or until a guest asks again.
            return error.errno == EAGAIN
        if not data:
            self._hung_up()
            return False
        self.input(data)
        return True

    def _hung_up(self) -> None:
        """The host's terminal is gone."""
        self.other_closed = True
        self.closed = True
        self.pending.clear()
        self.kernel.poller.disarm(self.terminal.fileno())
        self.hangup()

    # --- output

    def output_room(self) -> int:
        return OUTPUT_LIMIT - len(self.pending) if not self.closed else OUTPUT_LIMIT

    def output_pending(self) -> int:
        return len(self.pending)

    def process(self, data: bytes, room: int) -> tuple[int, bytes]:
        if self.is_raw:
            return super().process(data, room)
        part = data[:room]
        return len(part), part

    def output(self, data: bytes) -> int:
        if self.closed:
            return len(data)
        if not self.pending:
            try:
                done = self.terminal.write(data)
            except HostError as error:
                if error.errno != EAGAIN:
                    raise
                done = 0
            if done == len(data):
                return done
            self.pending += data[done:]
            self.kernel.poller.arm(self.terminal.fileno(), POLLOUT | (POLLIN if self.reading else 0), self._event)
        else:
            self.pending += data
        return len(data)

    def _drain(self) -> None:
        try:
            done = self.terminal.write(bytes(self.pending))
        except HostError as error:
            if error.errno == EAGAIN:
                return
            done = len(self.pending)
        del self.pending[:done]
        if len(self.pending) < OUTPUT_LIMIT // 2:
            self.wake_writers()

    def flush_output(self) -> None:
        self.pending.clear()

    def drain(self) -> None:
        """Wait until the terminal has taken all output: before pylx stops or ends."""
        self.ldisc.flush_echo()
        clock = self.kernel.host.monotonic_ns
        last = clock()
        while self.pending and not self.closed:
            before = len(self.pending)
            self._drain()
            if len(self.pending) != before:
                last = clock()
            elif clock() - last > DRAIN_NS:
                break
            if self.pending:
                self.kernel.poller.poll(10_000_000)

    def close(self) -> None:
        """At the end of pylx: the host's settings come back."""
        if not self.closed:
            self.drain()
            self.closed = True
            self.kernel.poller.disarm(self.terminal.fileno())
        self.terminal.close()


def _device_of(name: bytes) -> tuple[int, int]:
    if name.startswith(b"pts/") and name[4:].isdigit():
        index = int(name[4:])
        return PTS_MAJOR + (index >> 8), index & 0xFF
    if name.startswith(b"ttyS") and name[4:].isdigit():
        return TTY_MAJOR, 64 + int(name[4:])
    if name.startswith(b"tty") and name[3:].isdigit():
        return TTY_MAJOR, int(name[3:])
    return TTYAUX_MAJOR, 1
