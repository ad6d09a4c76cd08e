"""The terminal: raw mode, the user's own settings back afterwards whatever happens, the background."""


from __future__ import annotations

import os
import select
import signal
import struct
import sys
import time
from collections.abc import Iterator

import pytest

from tests.unit.host_fixtures import HOSTS, ROOT

if sys.platform == "win32":
    pytest.skip("terminals as POSIX has them", allow_module_level=True)

import fcntl
import pty
import termios

PRELUDE = """
import os, sys, time, signal
sys.path.insert(0, {root!r})
from translator.hosts import open_host
from translator.hosts.base import HostError
host = open_host({host!r})
terminal = host.terminal()
def say(text):
    terminal.write(text.encode() + b"\\n")
"""


class Session:
    """A process with a terminal of its own, of which this is the other end, started by a "shell" as shells do: in the
    foreground as a process group of its own."""

    def __init__(self, name: str, script: str) -> None:
        text = PRELUDE.format(root=str(ROOT), host=name) + script
        reader, writer = os.pipe()
        self.shell, self.master = pty.fork()
        if self.shell == 0:
            self._be_shell(text, writer)
        os.close(writer)
        self.status = reader
        self.pid = int.from_bytes(os.read(reader, 4), "little")
        self.before = termios.tcgetattr(self.master)
        self.output = b""

    def _be_shell(self, text: str, report: int) -> None:
        go, going = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(go, 1)
            os.execv(sys.executable, [sys.executable, "-S", "-c", text])
        os.setpgid(pid, pid)
        os.tcsetpgrp(0, pid)
        os.write(report, pid.to_bytes(4, "little"))
        os.write(going, b"x")
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        _, status = os.waitpid(pid, 0)
        os.tcsetpgrp(0, os.getpgrp())
        os.write(report, status.to_bytes(4, "little"))
        while True:
            signal.pause()

    def wait(self) -> int:
        return int.from_bytes(os.read(self.status, 4), "little")

    def close(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.kill(self.shell, signal.SIGKILL)
        os.waitpid(self.shell, 0)
        os.close(self.status)
        os.close(self.master)

    def expect(self, text: bytes) -> bytes:
        deadline = time.monotonic() + 20
        while text not in self.output:
            assert select.select([self.master], [], [], deadline - time.monotonic())[0], self.output
            self.output += os.read(self.master, 1000)
        got, _, self.output = self.output.partition(text)
        return got + text

    def settings(self) -> list[object]:
        return termios.tcgetattr(self.master)

    def is_raw(self) -> bool:
        lflag = self.settings()[3]
        assert isinstance(lflag, int)
        return not lflag & (termios.ICANON | termios.ECHO | termios.ISIG)

    def settle(self) -> None:
        deadline = time.monotonic() + 5
        while self.settings() != self.before and time.monotonic() < deadline:
            time.sleep(0.002)
        assert self.settings() == self.before


@pytest.fixture(params=HOSTS)
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


def test_raw_bytes_and_close(name: str) -> None:
    session = Session(name, """
assert terminal is host.terminal()
terminal.resume()
say("ready")
seen = []
while True:
    host.poller().arm(terminal.fileno(), 1, seen.append)
    host.poller().poll(None)
    data = terminal.read(100)
    say(repr(data))
    if b"q" in data:
        break
try:
    terminal.read(1)
except HostError as error:
    say(str(error.errno))
terminal.close()
print("cooked")
time.sleep(20)
""")
    session.expect(b"ready\n")
    assert session.is_raw()
    os.write(session.master, b"\x03")
    session.expect(b"b'\\x03'\n")
    os.write(session.master, b"\x1a\rq")
    session.expect(b"q'\n11\n")
    session.expect(b"cooked\r\n")
    assert session.settings() == session.before
    session.close()


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(3)", "host.die_of(15)", "raise SystemExit",
                                 "host.on_signal(print); host.die_of(2)"])
def test_settings_come_back_after_any_end(name: str, end: str) -> None:
    session = Session(name, f"""
terminal.resume()
say("ready")
terminal.read(0)
os.read(terminal.fileno(), 0)
while True:
    try:
        if terminal.read(1):
            break
    except HostError:
        time.sleep(0.01)
{end}
""")
    session.expect(b"ready\n")
    assert session.is_raw()
    os.write(session.master, b"x")
    session.wait()
    session.settle()
    session.close()


def test_suspend_and_resume_keep_what_the_user_changes_meanwhile(name: str) -> None:
    session = Session(name, """
terminal.resume()
terminal.suspend()
say("cooked")
sys.stdin.readline()
terminal.resume()
say("raw")
while True:
    try:
        terminal.read(10)
        break
    except HostError:
        time.sleep(0.01)
os.kill(os.getpid(), 9)
""")
    session.expect(b"cooked\r\n")
    assert session.settings() == session.before
    changed = termios.tcgetattr(session.master)
    changed[3] &= ~termios.ECHO
    termios.tcsetattr(session.master, termios.TCSANOW, changed)
    os.write(session.master, b"\n")
    session.expect(b"raw\n")
    assert session.is_raw()
    os.write(session.master, b"\n")
    session.wait()
    session.before = changed
    session.settle()
    session.close()


def test_killed_while_suspended_leaves_everything_alone(name: str) -> None:
    session = Session(name, """
terminal.resume()
terminal.suspend()
say("ready")
sys.stdin.readline()
os.kill(os.getpid(), 9)
""")
    session.expect(b"ready\r\n")
    changed = termios.tcgetattr(session.master)
    changed[0] |= termios.IGNBRK
    termios.tcsetattr(session.master, termios.TCSANOW, changed)
    os.write(session.master, b"\n")
    session.wait()
    time.sleep(0.1)
    assert session.settings() == changed
    session.close()


def test_facts_size_and_name(name: str) -> None:
    session = Session(name, """
say(repr(terminal.size()))
say(terminal.name().decode() + " " + os.ttyname(0))
say(terminal.termios().hex())
say(repr((terminal.foreground(), host.stream_is_terminal(0))))
terminal.set_size(11, 22)
got = []
host.on_signal(got.append)
say("signals")
while 28 not in got:
    host.poller().poll(None)
say(repr(terminal.size()[:2]))
time.sleep(20)
""")
    fcntl.ioctl(session.master, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    session.expect(b"(0, 0, 0, 0)\r\n")
    ours, theirs = session.expect(b"\r\n").split()
    assert ours == theirs
    settings = bytes.fromhex(session.expect(b"\r\n").decode())
    assert len(settings) == 36
    assert struct.unpack_from("=I", settings, 12)[0] == session.before[3]
    assert settings[17:19] == b"\x03\x1c"  # VINTR, VQUIT
    session.expect(b"(True, True)\r\n")
    session.expect(b"signals\r\n")
    fcntl.ioctl(session.master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 44, 0, 0))
    session.expect(b"(33, 44)\r\n")
    session.close()


def test_background_job_waits_for_its_turn(name: str) -> None:
    """resume() in the background takes nothing; a read in the foreground then does."""
    session = Session(name, """
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
child = os.fork()
if child:
    _, status = os.waitpid(child, os.WUNTRACED)
    say("stopped" if os.WIFSTOPPED(status) and os.WSTOPSIG(status) == 21 else "ended")
    os.tcsetpgrp(0, child)
    os.kill(child, signal.SIGCONT)
    _, status = os.waitpid(child, 0)
    os.tcsetpgrp(0, os.getpgrp())
    say("done %d" % status)
    time.sleep(20)
os.setpgid(0, 0)
time.sleep(0.1)
host.on_signal(lambda number: None)
terminal.resume()
assert not terminal.foreground()
try:
    terminal.read(10)
except HostError as error:
    assert error.errno == 5
import termios
assert termios.tcgetattr(0)[3] & termios.ICANON
say("background")
host.stop_self(21)
assert terminal.foreground()
while True:
    try:
        assert terminal.read(10) == b"x"
        break
    except HostError as error:
        assert error.errno == 11
        time.sleep(0.01)
terminal.close()
os._exit(7)
""")
    session.expect(b"background\r\n")
    session.expect(b"stopped\r\n")
    deadline = time.monotonic() + 10
    while not session.is_raw() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert session.is_raw()
    os.write(session.master, b"x")
    session.expect(b"done 1792\r\n")
    session.close()


def test_typed_signals_reach_the_rest_of_the_job(name: str) -> None:
    session = Session(name, """
child = os.fork()
if child == 0:
    signal.signal(signal.SIGINT, lambda *_: (say("neighbour"), os._exit(0)))
    say("ready")
    time.sleep(20)
got = []
host.on_signal(got.append)
time.sleep(0.2)
terminal.signal_job(2)
os.waitpid(child, 0)
host.poller().poll(0)
say(repr(got))
""")
    session.expect(b"neighbour\r\n")
    session.expect(b"[]\r\n")
    session.wait()
    session.close()


def test_hangup(name: str) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    session = Session(name, f"""
host.on_signal(lambda number: None)
terminal.resume()
say("ready")
seen = []
while not seen:
    host.poller().arm(terminal.fileno(), 1, seen.append)
    host.poller().poll(None)
os.write({writer}, repr(terminal.read(10)).encode())
terminal.close()
os.write({writer}, b" closed")
""")
    os.close(writer)
    session.expect(b"ready\n")
    os.close(session.master)
    output = b""
    while data := os.read(reader, 100):
        output += data
    assert output == b"b'' closed"
    os.waitpid(session.shell, 0)
    os.close(session.status)
    os.close(reader)


def test_no_terminal(name: str) -> None:
    """A session without a controlling terminal, and streams that are none."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for number, fd in ((0, null), (2, null), (1, writer)):
            os.dup2(fd, number)
        text = PRELUDE.format(root=str(ROOT), host=name) + "print(terminal)"
        os.execv(sys.executable, [sys.executable, "-S", "-c", text])
    os.close(writer)
    with open(reader, "rb") as output:
        assert output.read() == b"None\n"
    assert os.waitpid(pid, 0)[1] == 0
