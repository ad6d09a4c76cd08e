"""pylx is killed in the middle of real programs: no process stays, no file of pylx, no terminal in raw mode."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs.test_programs import SOURCES
from tests.programs.test_servers import free_port, need_postgresql
from tests.runner import ENGINES, FULL, environment, need, pylx_command

PROGRAMS = {
    "node": ["node"], "java": ["javac", "java"], "redis": ["redis-server"], "nginx": ["nginx", "curl"],
    "postgresql": ["setpriv"], "gdb": ["gdb"], "strace": ["strace"], "make": ["make"], "vim": ["vim.tiny"],
    "threads": ["/usr/bin/python3"], "raw": ["/usr/bin/python3"]}
START_LIMIT, END_LIMIT = 120.0, 60.0
"""Seconds."""
Process = tuple[int, bytes]
"""pid and start time: a pid alone may be used again."""


@pytest.fixture
def public_path() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="pylx-test-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def family(pid: int) -> set[Process]:
    """A process and all that descend from it."""
    parents: dict[int, tuple[int, bytes]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
                parents[int(name)] = int(fields[1]), fields[19]
    found = {pid}
    while True:
        more = {child for child, (parent, _) in parents.items() if parent in found} - found
        if not more:
            return {(member, parents[member][1]) for member in found if member in parents}
        found |= more


def living(processes: set[Process]) -> list[str]:
    out = []
    for pid, start in processes:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
            fields = text.rpartition(b")")[2].split()
            if fields[19] == start and fields[0] != b"Z":
                out.append(text[:60].decode(errors="replace"))
    return out


def wait_for(what: str, limit: float, look: object) -> None:
    assert callable(look)
    deadline = time.monotonic() + limit
    while not look():
        assert time.monotonic() < deadline, f"not within {limit} s: {what}"
        time.sleep(0.02)


class Terminal:
    """A pseudo-terminal with what a program writes on it."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.settings = termios.tcgetattr(self.slave)
        self.output = b""

    def take(self) -> bytes:
        while select.select([self.master], [], [], 0)[0]:
            self.output += os.read(self.master, 65536)
        return self.output

    def close(self) -> None:
        os.close(self.master)
        os.close(self.slave)


@pytest.mark.parametrize("engine", ENGINES if FULL else ENGINES[-1:])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_is_left(program: str, number: signal.Signals, engine: str, public_path: Path) -> None:
    need(*PROGRAMS[program])
    if program == "postgresql":
        need_postgresql()
        if os.geteuid():
            pytest.skip("only root can become the user of a server")
    scratch, temporary = public_path / "scratch", public_path / "tmp"
    scratch.mkdir()
    temporary.mkdir(mode=0o777)
    temporary.chmod(0o1777)
    script = shutil.copy(SOURCES / "killed" / "programs.sh", public_path / "script")
    terminal = Terminal()
    before = set(os.listdir("/dev/shm"))
    process = subprocess.Popen(
        pylx_command(["/bin/bash", str(script), program], engine), cwd=scratch, stdin=terminal.slave,
        stdout=terminal.slave, stderr=terminal.slave, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 (there are no other threads)
        env={**environment(scratch), "TERM": "xterm", "PORT": free_port(), "SOURCES": str(SOURCES),
             "TMPDIR": str(temporary)})
    guests = {(process.pid, b"")}
    try:
        wait_for(f"{program} is ready", START_LIMIT,
                 lambda: b"ready" in terminal.take() or process.poll() is not None)
        assert process.poll() is None, terminal.output.decode(errors="replace")
        time.sleep(0.1)
        if program in {"vim", "raw"}:
            assert termios.tcgetattr(terminal.slave) != terminal.settings
        guests = family(process.pid)
        assert len(guests) > 1 or engine != "ptrace"
        process.send_signal(number)
        wait_for("pylx has ended", END_LIMIT, lambda: [terminal.take(), process.poll()][1] is not None)
        if number == signal.SIGKILL:
            assert process.returncode == -signal.SIGKILL
        wait_for("all guests have ended", END_LIMIT, lambda: not living(guests))
        wait_for("the terminal has its settings", 5, lambda: termios.tcgetattr(terminal.slave) == terminal.settings)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        left = living(guests)
        for pid, _ in guests:
            with contextlib.suppress(OSError):
                if left:
                    os.kill(pid, signal.SIGKILL)
        terminal.close()
    assert not left, left
    # What guests keep in temporary directories is theirs; nothing there is of pylx.
    assert [name for name in os.listdir(temporary) if "pylx" in name] == []
    assert [name for name in set(os.listdir("/dev/shm")) - before if "pylx" in name] == []
