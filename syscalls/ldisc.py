"""The N_TTY line discipline (drivers/tty/n_tty.c): what happens between the keys and read(2), write(2) and the screen.

Input bytes arrive by `receive`; what they do depends on the terminal's settings: signals, flow control, line editing
with its echo, and bytes for the reader.  Output passes `process_output`.

Where the kernel has a ring of 4096 bytes and positions in it, here `buffer` begins at the reader's position
(read_tail); `canon` is canon_head - read_tail, and `ends` the line ends in between.
"""

from __future__ import annotations

from collections import deque

from syscalls.abi.signal import SIGINT, SIGQUIT, SIGTSTP
from syscalls.abi.tty import (
    DISABLED,
    ECHO,
    ECHOCTL,
    ECHOE,
    ECHOK,
    ECHOKE,
    ECHONL,
    ECHOPRT,
    EXTPROC,
    ICANON,
    ICRNL,
    IEXTEN,
    IGNCR,
    INLCR,
    ISIG,
    ISTRIP,
    IUCLC,
    IUTF8,
    IXANY,
    IXON,
    NOFLSH,
    OCRNL,
    OLCUC,
    ONLCR,
    ONLRET,
    ONOCR,
    OPOST,
    PARMRK,
    TABDLY,
    VEOF,
    VEOL,
    VEOL2,
    VERASE,
    VINTR,
    VKILL,
    VLNEXT,
    VMIN,
    VQUIT,
    VREPRINT,
    VSTART,
    VSTOP,
    VSUSP,
    VTIME,
    VWERASE,
    XTABS,
)
from syscalls.fd import POLLIN, POLLRDNORM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.tty import Termios
    from syscalls.tty import Tty

BUFFER_SIZE = 4096
NEWLINE, RETURN, TAB, BACKSPACE = 10, 13, 9, 8
_UNUSUAL_OUTPUT = OLCUC | OCRNL | ONOCR | ONLRET
ECHO_LIMIT = 4096


def is_control(c: int) -> bool:
    return c < 32 or c == 127


def is_alnum(c: int) -> bool:
    """The kernel's isalnum: Latin-1, whatever the locale."""
    return 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or (c >= 0xC0 and c not in {0xD7, 0xF7})


class NTty:
    """The state of one terminal's line discipline."""

    __slots__ = ("buffer", "canon", "canon_column", "column", "echo", "ends", "erasing", "lnext", "no_room", "plain",
                 "pushed", "special", "termios", "tty")

    def __init__(self, tty: Tty, termios: Termios) -> None:
        self.tty = tty
        self.buffer = bytearray()
        self.canon = 0
        self.ends: deque[int] = deque()
        """Offsets in `buffer` of the bytes that end a line; one that holds DISABLED is an end of file."""
        self.pushed = False
        self.lnext = False
        self.erasing = False
        self.no_room = False
        self.column = 0
        self.canon_column = 0
        self.echo = bytearray()
        """Echo that could not be written yet."""
        self.special: frozenset[int] = frozenset()
        self.plain = False
        """No setting looks at input: bytes go through unseen (ldata->raw)."""
        self.termios = termios
        self.set_termios(termios, None)

    # --- settings

    def set_termios(self, termios: Termios, old: Termios | None) -> None:
        """n_tty_set_termios."""
        self.termios = termios
        canonical = bool(termios.lflag & ICANON)
        if old is None or (old.lflag ^ termios.lflag) & (ICANON | EXTPROC):
            self.ends.clear()
            if not canonical or not self.buffer:
                self.canon = 0
                self.pushed = False
            else:
                # What was typed before becomes a line of its own, without an end.
                self.ends.append(len(self.buffer) - 1)
                self.canon = len(self.buffer)
                self.pushed = True
            self.erasing = self.lnext = False
        iflag, lflag, cc = termios.iflag, termios.lflag, termios.cc
        special: set[int] = set()
        if iflag & (IGNCR | ICRNL):
            special.add(RETURN)
        if iflag & INLCR:
            special.add(NEWLINE)
        if canonical:
            special.update((cc[VERASE], cc[VKILL], cc[VEOF], NEWLINE, cc[VEOL]))
            if lflag & IEXTEN:
                special.update((cc[VWERASE], cc[VLNEXT], cc[VEOL2]))
                if lflag & ECHO:
                    special.add(cc[VREPRINT])
        if iflag & IXON:
            special.update((cc[VSTART], cc[VSTOP]))
        if lflag & ISIG:
            special.update((cc[VINTR], cc[VQUIT], cc[VSUSP]))
        special.discard(DISABLED)
        self.special = frozenset(special)
        self.plain = not (iflag & (ISTRIP | IUCLC | IGNCR | ICRNL | INLCR | IXON | PARMRK)
                          or lflag & (ICANON | ISIG | ECHO))
        if old is not None and old.iflag & IXON and not iflag & IXON and not self.tty.flow_stopped:
            self.tty.start()
        self.tty.wake_all()

    @property
    def canonical(self) -> bool:
        return self.termios.lflag & (ICANON | EXTPROC) == ICANON

    def flush_input(self) -> None:
        """Forget everything unread (reset_buffer_flags)."""
        self.buffer.clear()
        self.ends.clear()
        self.canon = 0
        self.pushed = self.erasing = self.lnext = False
        self.tty.input_flushed()
        self.tty.input_room()

    # --- from the far end

    def receive(self, data: bytes) -> int:
        """Take input bytes; how many there was room for (n_tty_receive_buf_common)."""
        done = 0
        while done < len(data):
            room = BUFFER_SIZE - len(self.buffer)
            if self.termios.iflag & PARMRK:
                room = (room + 2) // 3
            room -= 1
            if room <= 0:
                if not (self.termios.lflag & ICANON and not self.canon):
                    break
                # A line that is too long: its last byte is replaced, so that it can still be ended.
                if room < 0:
                    self.buffer.pop()
                room = 1
            part = data[done:done + room]
            done += len(part)
            if self.plain:
                self.buffer += part
            else:
                self._receive(part)
        self.no_room = done < len(data)
        self._flush_echo()
        if self.buffer and not self.canonical:
            self.tty.wake_readers()
        return done

    def _receive(self, data: bytes) -> None:
        termios = self.termios
        iflag, lflag = termios.iflag, termios.lflag
        for c in data:
            if iflag & ISTRIP:
                c &= 0x7F
            if iflag & IUCLC and lflag & IEXTEN and (65 <= c <= 90 or 0xC0 <= c <= 0xDE):
                c += 32
            if lflag & EXTPROC:
                self.buffer.append(c)
            elif self.lnext:
                self.lnext = False
                self._receive_plain(c)
            elif c in self.special:
                self._receive_special(c)
            else:
                self._receive_plain(c)

    def _receive_plain(self, c: int) -> None:
        iflag = self.termios.iflag
        if self.tty.stopped and iflag & IXON and iflag & IXANY and not self.tty.flow_stopped:
            self.tty.start()
        if self.termios.lflag & ECHO:
            self._finish_erasing()
            if self.canon == len(self.buffer):
                self.canon_column = self.column
            self._echo(c)
        self._put(c)

    def _put(self, c: int) -> None:
        if c == 0xFF and self.termios.iflag & PARMRK:
            self.buffer.append(c)
        self.buffer.append(c)

    def _receive_special(self, c: int) -> None:
        termios = self.termios
        iflag, lflag, cc, tty = termios.iflag, termios.lflag, termios.cc, self.tty
        if iflag & IXON:
            if c == cc[VSTART]:
                if not tty.flow_stopped:
                    tty.start()
                return
            if c == cc[VSTOP]:
                tty.stop()
                return
        if lflag & ISIG:
            signal = (SIGINT if c == cc[VINTR] else SIGQUIT if c == cc[VQUIT]
                      else SIGTSTP if c == cc[VSUSP] else 0)
            if signal:
                self._signal(signal, c)
                return
        if tty.stopped and iflag & IXON and iflag & IXANY and not tty.flow_stopped:
            tty.start()
        if c == RETURN:
            if iflag & IGNCR:
                return
            if iflag & ICRNL:
                c = NEWLINE
        elif c == NEWLINE and iflag & INLCR:
            c = RETURN
        if lflag & ICANON and self._receive_canonical(c):
            return
        if lflag & ECHO:
            self._finish_erasing()
            if c == NEWLINE:
                self._echo_raw(NEWLINE)
            else:
                if self.canon == len(self.buffer):
                    self.canon_column = self.column
                self._echo(c)
        self._put(c)

    def _receive_canonical(self, c: int) -> bool:
        """The characters that mean something while a line is edited; whether this was one."""
        lflag, cc = self.termios.lflag, self.termios.cc
        extended = lflag & IEXTEN
        if c in {cc[VERASE], cc[VKILL]} or (c == cc[VWERASE] and extended):
            self._erase(c)
            return True
        if c == cc[VLNEXT] and extended:
            self.lnext = True
            if lflag & ECHO:
                self._finish_erasing()
                if lflag & ECHOCTL:
                    self._echo_raw(0x5E)
                    self._echo_raw(BACKSPACE)
            return True
        if c == cc[VREPRINT] and lflag & ECHO and extended:
            self._finish_erasing()
            self._echo(c)
            self._echo_raw(NEWLINE)
            for typed in self.buffer[self.canon:]:
                self._echo(typed)
            return True
        if c == NEWLINE:
            if lflag & (ECHO | ECHONL):
                self._echo_raw(NEWLINE)
        elif c == cc[VEOF]:
            c = DISABLED
        elif c == cc[VEOL] or (c == cc[VEOL2] and extended):
            if lflag & ECHO:
                if self.canon == len(self.buffer):
                    self.canon_column = self.column
                self._echo(c)
            if c == 0xFF and self.termios.iflag & PARMRK:
                self.buffer.append(c)
        else:
            return False
        self.ends.append(len(self.buffer))
        self.buffer.append(c)
        self.canon = len(self.buffer)
        self.tty.wake_readers()
        return True

    def _signal(self, signal: int, c: int) -> None:
        """n_tty_receive_signal_char and isig."""
        tty = self.tty
        if not self.termios.lflag & NOFLSH:
            self.echo.clear()
            tty.flush_output()
            self.flush_input()
        if self.termios.iflag & IXON:
            tty.start()
        if self.termios.lflag & ECHO:
            self._echo(c)
            self._flush_echo()
        # After the echo, which thus comes before whatever the signalled program writes.
        tty.signal_foreground(signal)

    # --- erasing

    def _continuation(self, c: int) -> bool:
        return c & 0xC0 == 0x80 and bool(self.termios.iflag & IUTF8)

    def _erase(self, c: int) -> None:
        """eraser: VERASE, VWERASE and VKILL."""
        termios = self.termios
        lflag = termios.lflag
        buffer = self.buffer
        if len(buffer) == self.canon:
            return
        erase, word = c == termios.cc[VERASE], False
        if not erase:
            word = c == termios.cc[VWERASE]
            if not word:
                if not lflag & ECHO:
                    del buffer[self.canon:]
                    return
                if not (lflag & ECHOK and lflag & ECHOKE and lflag & ECHOE):
                    del buffer[self.canon:]
                    self._finish_erasing()
                    self._echo(termios.cc[VKILL])
                    if lflag & ECHOK:
                        self._echo_raw(NEWLINE)
                    return
        seen_alnum = False
        while len(buffer) > self.canon:
            head = len(buffer) - 1
            while self._continuation(buffer[head]) and head > self.canon:
                head -= 1
            c = buffer[head]
            if self._continuation(c):
                break
            if word:
                if is_alnum(c) or c == 0x5F:
                    seen_alnum = True
                elif seen_alnum:
                    break
            erased = bytes(buffer[head:])
            del buffer[head:]
            if lflag & ECHO:
                self._echo_erase(erased, erase)
            if erase:
                break
        if len(buffer) == self.canon and lflag & ECHO:
            self._finish_erasing()

    def _echo_erase(self, erased: bytes, single: bool) -> None:
        lflag = self.termios.lflag
        c = erased[0]
        if lflag & ECHOPRT:
            if not self.erasing:
                self._echo_raw(0x5C)
                self.erasing = True
            self._echo(c)
            for more in erased[1:]:
                self._echo_raw(more)
                self.column = max(0, self.column - 1)
        elif single and not lflag & ECHOE:
            self._echo(self.termios.cc[VERASE])
        elif c == TAB:
            self._echo_erase_tab()
        else:
            if is_control(c) and lflag & ECHOCTL:
                self._rub_out()
            if not is_control(c) or lflag & ECHOCTL:
                self._rub_out()

    def _rub_out(self) -> None:
        for c in b"\b \b":
            self._echo_raw(c)

    def _echo_erase_tab(self) -> None:
        """Go back to where the tab began: the columns since the tab before it, or since the line's first column."""
        columns = 0
        for c in reversed(self.buffer[self.canon:]):
            if c == TAB:
                break
            if is_control(c):
                columns += 2 if self.termios.lflag & ECHOCTL else 0
            elif not self._continuation(c):
                columns += 1
        else:
            columns += self.canon_column
        steps = 8 - (columns & 7)
        self.echo += b"\b" * steps
        self.column = max(0, self.column - steps)

    def _finish_erasing(self) -> None:
        if self.erasing:
            self._echo_raw(0x2F)
            self.erasing = False

    # --- echo

    def _echo(self, c: int) -> None:
        if self.termios.lflag & ECHOCTL and is_control(c) and c != TAB:
            self.echo += bytes((0x5E, c ^ 0x40))
            self.column += 2
        else:
            self._echo_raw(c)

    def _echo_raw(self, c: int) -> None:
        if len(self.echo) > ECHO_LIMIT:
            return
        if self.termios.oflag & OPOST:
            self._output_char(c, self.echo)
        else:
            self.echo.append(c)

    def _flush_echo(self) -> None:
        """Write pending echo as far as the far end takes it."""
        if self.echo and not self.tty.stopped:
            taken = self.tty.output(bytes(self.echo))
            del self.echo[:taken]

    def flush_echo(self) -> None:
        self._flush_echo()

    # --- to the far end

    def process_output(self, data: bytes, room: int) -> tuple[int, bytes]:
        """OPOST over a prefix of `data` whose result fits in `room` bytes: (bytes of data, result)."""
        oflag = self.termios.oflag
        if not oflag & OPOST:
            part = data[:room]
            return len(part), part
        if oflag & _UNUSUAL_OUTPUT or oflag & TABDLY == XTABS:
            return self._process_slowly(data, room)
        part = data[:room]
        result = part
        if oflag & ONLCR and NEWLINE in part:
            result = part.replace(b"\n", b"\r\n")
            while len(result) > room:
                over = len(result) - room
                part = part[:len(part) - max(1, over // 2)]
                result = part.replace(b"\n", b"\r\n")
        self._advance_column(part)
        return len(part), result

    def _advance_column(self, data: bytes) -> None:
        """Follow the cursor, for the erasing of tabs."""
        start = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        column = self.column
        if start:
            if data[start - 1] == RETURN or self.termios.oflag & ONLCR:
                column = 0
            self.canon_column = column
        utf8 = self.termios.iflag & IUTF8
        for c in data[start:] if len(data) - start < 4096 else b"":
            if c == TAB:
                column += 8 - (column & 7)
            elif c == BACKSPACE:
                column = max(0, column - 1)
            elif c >= 32 and c != 127 and not (utf8 and c & 0xC0 == 0x80):
                column += 1
        self.column = column

    def _process_slowly(self, data: bytes, room: int) -> tuple[int, bytes]:
        out = bytearray()
        done = 0
        for c in data:
            before = len(out)
            column, canon_column = self.column, self.canon_column
            self._output_char(c, out)
            if len(out) > room:
                del out[before:]
                self.column, self.canon_column = column, canon_column
                break
            done += 1
        return done, bytes(out)

    def _output_char(self, c: int, out: bytearray) -> None:
        """do_output_char."""
        oflag = self.termios.oflag
        if c == NEWLINE:
            if oflag & ONLRET:
                self.column = 0
            if oflag & ONLCR:
                self.column = self.canon_column = 0
                out += b"\r\n"
                return
            self.canon_column = self.column
        elif c == RETURN:
            if oflag & ONOCR and self.column == 0:
                return
            if oflag & OCRNL:
                c = NEWLINE
                if oflag & ONLRET:
                    self.column = self.canon_column = 0
            else:
                self.column = self.canon_column = 0
        elif c == TAB:
            spaces = 8 - (self.column & 7)
            self.column += spaces
            if oflag & TABDLY == XTABS:
                out += b" " * spaces
                return
        elif c == BACKSPACE:
            self.column = max(0, self.column - 1)
        elif not is_control(c):
            if oflag & OLCUC and (97 <= c <= 122 or (c >= 0xE0 and c not in {0xF7, 0xFF})):
                c -= 32
            if not self._continuation(c):
                self.column += 1
        out.append(c)

    # --- to the reader

    def available(self, polling: bool = False) -> bool:
        """input_available_p: whether a read (or, `polling`, one that waits for VMIN) would find something."""
        if self.canonical:
            return self.canon > 0
        cc = self.termios.cc
        return len(self.buffer) >= (cc[VMIN] if polling and not cc[VTIME] and cc[VMIN] else 1)

    def count(self) -> int:
        """FIONREAD: bytes that can be read now, ends of file not counted."""
        if not self.canonical:
            return len(self.buffer)
        return self.canon - sum(self.buffer[end] == DISABLED for end in self.ends)

    def take(self, length: int) -> bytes:
        """The next bytes for a reader: a line at most, in canonical mode.  Only when `available`."""
        if not self.canonical:
            out = bytes(self.buffer[:length])
            self._drop(len(out))
        else:
            size = min(length, self.canon)
            if self.ends and self.ends[0] < size:
                end = self.ends[0]
                is_eof = self.buffer[end] == DISABLED
                out = bytes(self.buffer[:end if is_eof else end + 1])
                self._drop(end + 1)
                self.pushed = False
            else:
                out = bytes(self.buffer[:size])
                self._drop(size)
                # An end of file right behind a buffer that is just full belongs to it (canon_skip_eof).
                if self.ends and self.ends[0] == 0 and self.buffer[0] == DISABLED and out:
                    self._drop(1)
        if self.no_room:
            self.tty.input_room()
        return out

    def _drop(self, count: int) -> None:
        del self.buffer[:count]
        self.canon = max(0, self.canon - count)
        ends = self.ends
        while ends and ends[0] < count:
            ends.popleft()
        for index in range(len(ends)):
            ends[index] -= count

    def ready(self) -> int:
        return POLLIN | POLLRDNORM if self.available(polling=True) else 0
