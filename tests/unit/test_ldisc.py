"""The line discipline against the one of the host's kernel: the same keys, the same settings, the same bytes."""

from __future__ import annotations

import os
import random
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from syscalls.abi.errno import LinuxError
from syscalls.abi.tty import (
    ECHO,
    ECHOCTL,
    ECHOE,
    ECHOK,
    ECHOKE,
    ECHONL,
    ECHOPRT,
    ICANON,
    ICRNL,
    IEXTEN,
    IGNCR,
    INLCR,
    ISIG,
    ISTRIP,
    IUTF8,
    IXANY,
    IXON,
    NOFLSH,
    OCRNL,
    ONLCR,
    ONLRET,
    ONOCR,
    OPOST,
    PARMRK,
    VEOL,
    VMIN,
    XTABS,
    Termios,
    default_termios,
)
from syscalls.clock import VirtualClock
from syscalls.fd import O_NONBLOCK
from syscalls.tty import Tty, TtyFile

USUAL = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN


class LoopTty(Tty):
    """A terminal whose far end collects what arrives."""

    def __init__(self) -> None:
        self.screen = bytearray()
        self.signals: list[int] = []
        kernel: Any = SimpleNamespace(clock=VirtualClock(), start_timer=lambda deadline, expired: None)
        super().__init__(kernel, b"pts/0", 136, 0)

    def output(self, data: bytes) -> int:
        self.screen += data
        return len(data)

    def output_room(self) -> int:
        return 1 << 16

    def flush_output(self) -> None:
        self.screen.clear()

    def signal_foreground(self, signo: int) -> None:
        self.signals.append(signo)

    def take_screen(self) -> bytes:
        screen = bytes(self.screen)
        self.screen.clear()
        return screen


def make(lflag: int = USUAL, iflag: int = ICRNL | IXON, oflag: int = OPOST | ONLCR, **cc: int) -> LoopTty:
    tty = LoopTty()
    termios = default_termios()
    termios.iflag, termios.oflag, termios.lflag = iflag, oflag, lflag
    characters = bytearray(termios.cc)
    for name, value in cc.items():
        characters[{"eol": VEOL, "min": VMIN}[name]] = value
    termios.cc = bytes(characters)
    tty.set_termios(termios)
    return tty


def reader(tty: Tty, flags: int = O_NONBLOCK) -> Any:
    file = TtyFile(tty, flags | 2, None, SimpleNamespace())  # type: ignore[arg-type]
    task: Any = SimpleNamespace(syscalls=1, group=SimpleNamespace(session=None))
    return lambda length=4096: file.read(task, length)


def everything(read: Any) -> list[bytes]:
    out = []
    while True:
        try:
            out.append(read())
        except LinuxError:
            return out
        if not out[-1] and len(out) > 100:
            return out


def test_a_line_is_read_when_it_ends() -> None:
    tty = make()
    read = reader(tty)
    tty.input(b"ab")
    assert everything(read) == []
    tty.input(b"c\r")
    assert read() == b"abc\n"
    assert tty.take_screen() == b"abc\r\n"


def test_end_of_file() -> None:
    tty = make()
    read = reader(tty)
    tty.input(b"ab\x04\x04")
    assert (read(), read()) == (b"ab", b"")
    tty.input(b"abc\x04")
    assert read(3) == b"abc"
    assert everything(read) == []


def test_a_long_line_is_cut_at_the_buffer() -> None:
    tty = make(lflag=ICANON)
    tty.input(b"x" * 5000 + b"\n")
    assert reader(tty)(8192) == b"x" * 4095 + b"\n"


def test_signals_flush() -> None:
    tty = make()
    tty.input(b"gone\x03")
    assert tty.signals == [2]
    assert tty.take_screen() == b"^C"
    tty.input(b"\x1a\x1c")
    assert tty.signals == [2, 20, 3]
    tty = make(USUAL | NOFLSH)
    tty.input(b"kept\x03\n")
    assert reader(tty)() == b"kept\n"


def test_flow_control_holds_echo_and_output() -> None:
    tty = make()
    tty.input(b"\x13ab")
    assert tty.take_screen() == b""
    tty.input(b"\x11")
    assert tty.take_screen() == b"ab"


def test_unread_input_is_kept_until_there_is_room() -> None:
    tty = make(lflag=0, iflag=0)
    assert tty.input(b"y" * 20000) == 8192
    read = reader(tty)
    assert len(read(5000)) == 4095
    assert len(b"".join(everything(read))) == 8192 - 4095


def test_settings_survive_their_packed_forms() -> None:
    termios = default_termios()
    assert Termios.unpack(termios.pack(), termios).same(termios)
    assert Termios.unpack2(termios.pack2()).same(termios)
    assert Termios.unpack_termio(termios.pack_termio(), termios).same(termios)


SEEDS = 5
CASES = {
    "usual": (USUAL, ICRNL | IXON, OPOST | ONLCR),
    "utf8": (USUAL, ICRNL | IXON | IUTF8, OPOST | ONLCR),
    "hardcopy": (USUAL & ~ECHOE | ECHOPRT, ICRNL, OPOST | ONLCR),
    "prterase": (USUAL | ECHOPRT, ICRNL | IUTF8, OPOST | ONLCR),
    "plain kill": (USUAL & ~ECHOKE, ICRNL, OPOST | ONLCR),
    "no echo": (ISIG | ICANON | IEXTEN | ECHONL, ICRNL, OPOST | ONLCR),
    "no ctl": (USUAL & ~ECHOCTL, ICRNL, OPOST | ONLCR),
    "strip": (USUAL & ~ISIG, ISTRIP | INLCR | IGNCR, OPOST | ONLCR),
    "carriage": (USUAL & ~ISIG, 0, OPOST | OCRNL | ONOCR | ONLRET),
    "tabs": (USUAL & ~ISIG, ICRNL, OPOST | ONLCR | XTABS),
    "marks": (USUAL & ~ISIG, PARMRK, OPOST),
    "raw": (0, 0, 0),
    "cbreak": (ECHO | ISIG | ECHOCTL, ICRNL | IXON | IXANY, OPOST | ONLCR),
    "not extended": (USUAL & ~IEXTEN, ICRNL, OPOST | ONLCR),
}
KEYS = [b"a", b"b7", b"_x", b" ", b" ", b"\t", b"\x7f", b"\x7f", b"\x15", b"\x17", b"\x16", b"\x12", b"\r", b"\n",
        b"\x04", b"\x01", b"\x1b[A", "é".encode(), "€".encode(), b"\xff", b"\x08", b"word ", b"."]


def native(settings: tuple[int, int, int], chunks: list[bytes]) -> list[tuple[list[bytes], bytes]]:
    """What the host's kernel makes of it: after each chunk, what can be read and what is on the screen."""
    import termios
    master, slave = os.openpty()
    out = []
    try:
        attributes: list[Any] = termios.tcgetattr(slave)
        attributes[0], attributes[1], attributes[3] = settings[1], settings[2], settings[0]
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        os.set_blocking(slave, False)
        os.set_blocking(master, False)
        for chunk in chunks:
            os.write(master, chunk)
            time.sleep(0.003)  # the kernel processes input in the background
            reads = []
            while True:
                try:
                    reads.append(os.read(slave, 4096))
                except BlockingIOError:
                    break
            try:
                screen = os.read(master, 65536)
            except BlockingIOError:
                screen = b""
            out.append((reads, screen))
    finally:
        os.close(master)
        os.close(slave)
    return out


@pytest.mark.skipif(sys.platform != "linux", reason="the oracle is Linux")
@pytest.mark.parametrize("name", CASES)
def test_same_as_the_host(name: str) -> None:
    settings = CASES[name]
    for seed in range(SEEDS):
        source = random.Random(f"{name} {seed}")
        # A typed signal comes alone: the kernel echoes late, and drops what it has not echoed yet.
        chunks = [b"".join(source.choices(KEYS, k=source.randrange(1, 9))) if source.random() < 0.9 else b"\x03"
                  for _ in range(8)]
        tty = make(settings[0], settings[1], settings[2])
        read = reader(tty)
        mine = []
        for chunk in chunks:
            tty.input(chunk)
            mine.append((everything(read), tty.take_screen()))
        assert mine == native(settings, chunks), (chunks, seed)
