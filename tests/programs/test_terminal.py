"""Terminals and standard streams: ptys made by guests, what pylx was started on, and an interactive shell in tmux."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs.test_programs import SOURCES, every_machine
from tests.runner import ENGINES, ROOT, compare, environment, need, pylx_command

PATIENCE = 30.0
"""Seconds until what is awaited on the screen has to be there."""


@every_machine
@pytest.mark.parametrize("name", ["ptys", "pty_bytes"])
def test_ptys_of_guests(name: str, engine: str, host: str, tmp_path: Path) -> None:
    need("/usr/bin/python3")
    compare(["/usr/bin/python3", str(SOURCES / "terminal" / f"{name}.py")], tmp_path, engine=engine, host=host)


@every_machine
def test_script_runs_a_shell_on_a_terminal(engine: str, host: str, tmp_path: Path) -> None:
    need("script")
    # tty tells a number: which is free differs.
    compare(["script", "-qec", "test -t 0 && stty -a | grep -v speed; tty | tr -d 0-9; exit 3", "/dev/null"], tmp_path,
            engine=engine, host=host)


@pytest.mark.parametrize("engine", ENGINES)
def test_standard_streams(engine: str, tmp_path: Path) -> None:
    script = SOURCES / "terminal" / "streams.sh"
    results = []
    for prefix in ("", shlex.join(pylx_command([], engine))):
        scratch = tmp_path / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        done = subprocess.run(["bash", str(script)], cwd=scratch, capture_output=True, timeout=300, check=False,
                              env={**environment(scratch), "X": prefix, "PYTHONPATH": str(ROOT)},
                              stdin=subprocess.DEVNULL)
        results.append((done.stdout.decode(), done.stderr.decode()))
    assert results[1] == results[0]


class Screen:
    """A shell in a terminal of its own (tmux), driven by keys and read as a user sees it."""

    def __init__(self, directory: Path, engine: str) -> None:
        self.engine = engine
        self.socket = str(directory / "tmux")
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30",
                   "PS1='host> ' exec bash --norc --noprofile")
        self.wait("host>")

    def _tmux(self, *words: str) -> str:
        return subprocess.run(["tmux", "-S", self.socket, *words], check=True, capture_output=True, timeout=20,
                              cwd=ROOT, env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"}).stdout.decode()

    def keys(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def line(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)
        self.keys("Enter")

    def text(self) -> str:
        return self._tmux("capture-pane", "-p")

    def wait(self, *wanted: str) -> str:
        """Until all of `wanted` are on the screen, in that order."""
        deadline = time.monotonic() + PATIENCE
        while True:
            text = self.text()
            at = 0
            for part in wanted:
                at = text.find(part, at) + 1
                if not at:
                    break
            if at:
                return text
            assert time.monotonic() < deadline, f"{wanted} did not appear:\n{text.rstrip()}"
            time.sleep(0.1)

    def pylx(self, command: str) -> str:
        return f"{shlex.join(pylx_command([], self.engine))} {command}"

    def clear(self) -> None:
        self.line("clear")
        time.sleep(0.3)

    def resize(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def close(self) -> None:
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], check=False, capture_output=True, timeout=20)


@pytest.fixture(params=ENGINES)
def screen(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Screen]:
    need("tmux")
    terminal = Screen(tmp_path, request.param)
    yield terminal
    terminal.close()


def start_guest_shell(screen: Screen) -> None:
    screen.line(screen.pylx("--env PS1=guest: bash --norc --noprofile -i"))
    screen.wait("guest:")


def assert_sane(screen: Screen) -> None:
    """The terminal has the settings that shells leave."""
    screen.clear()
    screen.line(r"stty -a | grep -o '[-]\?\(isig\|icanon\|echo\) ' | tr -d '\n'; echo .")
    screen.wait("isig icanon echo .")


def test_interactive_shell(screen: Screen) -> None:
    start_guest_shell(screen)
    # Line editing: erase, move, insert.
    screen.keys("echx", "BSpace", "o editX", "Left", "Y", "Enter")
    screen.wait("\neditYX\nguest:")
    screen.line("sleep 100")
    time.sleep(1)
    screen.keys("C-c")
    screen.wait("sleep 100\n^C\nguest:")
    screen.line("sleep 200")
    time.sleep(1)
    screen.keys("C-z")
    screen.wait("^Z\n[1]+  Stopped                 sleep 200\nguest:")
    screen.line("fg")
    screen.wait("guest:fg\nsleep 200")
    time.sleep(0.3)
    screen.keys("C-c")
    screen.clear()
    screen.line("jobs; echo none; tty | tr -d 0-9; stty size")
    screen.wait("none\n/dev/pts/\n30 100\nguest:")
    screen.line("trap 'echo resized' WINCH")
    screen.resize(90, 25)
    time.sleep(0.3)
    screen.line("stty size")
    screen.wait("25 90")
    screen.clear()
    # Only the shell outside may continue a guest that has suspended itself.
    screen.line("suspend")
    screen.wait("Stopped", "host>")
    screen.line("fg")
    screen.line("echo inside again")
    screen.wait("\ninside again\nguest:")
    screen.line("exit")
    screen.wait("exit\nhost>")
    assert_sane(screen)


def test_full_screen_program(screen: Screen) -> None:
    need("less")
    screen.line(screen.pylx("less /etc/services"))
    screen.wait("/etc/services")
    screen.keys("Space")
    time.sleep(0.5)
    screen.keys("C-z")
    screen.wait("Stopped", "host>")
    screen.line("fg")
    screen.wait(":")
    screen.keys("q")
    assert_sane(screen)


def test_editor(screen: Screen, tmp_path: Path) -> None:
    need("vim.tiny")
    file = tmp_path / "file"
    file.write_text("one\ntwo\nthree\n")
    screen.line(screen.pylx(f"vim.tiny -u NONE {file}"))
    screen.wait("one\ntwo\nthree\n~")
    screen.keys("j", "d", "d", "o", "new", "Escape", ":", "w", "Enter")
    screen.wait("one\nthree\nnew\n~", "written")
    screen.resize(70, 12)
    screen.keys("G", "o", "last", "Escape", ":", "x", "Enter")
    screen.wait("host>")
    assert file.read_text() == "one\nthree\nnew\nlast\n"
    assert_sane(screen)


def test_much_output(screen: Screen, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("".join(f"{number}\n" for number in range(200_000)))
    screen.line(screen.pylx(f"cat {lines}; echo end $?"))
    screen.wait("199999\nend 0\nhost>")
    screen.clear()
    screen.line(screen.pylx("sh -c 'stty -ixon; stty ixon; yes'"))
    screen.wait("y\ny\ny\n")
    screen.keys("C-c")
    screen.wait("host>")
    screen.line("echo end $?")
    screen.wait("end 130\nhost>")
    assert_sane(screen)


def test_jobs_of_the_shell_outside(screen: Screen) -> None:
    screen.line(screen.pylx("sleep 100"))
    time.sleep(1)
    screen.keys("C-z")
    screen.wait("^Z\n[1]+  Stopped", "host>")
    screen.line("fg")
    time.sleep(0.5)
    screen.keys("C-c")
    screen.line("echo status $?")
    screen.wait("status 130")
    screen.clear()
    # In the background it may write, and stops when it reads.
    screen.line(screen.pylx("sh -c 'echo writes; read x; echo got $x'") + " &")
    screen.wait("[1]", "writes")
    time.sleep(0.5)
    screen.line("jobs")
    screen.wait("Stopped")
    screen.line("fg")
    screen.line("typed")
    screen.wait("got typed")
    assert_sane(screen)


def test_one_end_of_a_pipeline_leaves_the_terminal_to_the_other(screen: Screen) -> None:
    need("less")
    screen.line(screen.pylx("ls -d /etc /usr") + " | less")
    screen.wait("/etc\n/usr", "(END)")
    screen.keys("q")
    assert_sane(screen)
    screen.clear()
    screen.line("seq 1 5 | " + screen.pylx("less"))
    screen.wait("5", "(END)")
    screen.keys("q")
    assert_sane(screen)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_sane_after_any_death(screen: Screen, tmp_path: Path, number: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    screen.line(f"sh -c 'echo $$ > {pid_file}; exec {screen.pylx('cat')}'")
    time.sleep(1)
    screen.line("in raw mode")
    screen.wait("in raw mode\nin raw mode")
    os.kill(int(pid_file.read_text()), number)
    time.sleep(0.5)
    assert_sane(screen)
