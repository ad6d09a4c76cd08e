"""pylx killed in the middle: no host process, no file and no terminal setting is left.  And one of its guest processes
killed by somebody outside: that guest has died of SIGKILL, and the others go on."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("Linux only", allow_module_level=True)

from tests.isolation.guests import PTRACE, build, children
from tests.runner import ENGINES, FULL, environment, pylx_command

SIGNALS = ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"]
PROCESSES, THREADS = "500", "1000"


@pytest.fixture(scope="session")
def hold(pytestconfig: pytest.Config) -> str:
    kept = pytestconfig.cache
    assert kept is not None
    return build("hold", Path(kept.mkdir("guest-programs")))


def killed(when: str, signals: str, command: list[str], engine: str, scratch: Path) -> dict[str, Any]:
    temporary = scratch / "tmp"
    temporary.mkdir()
    before = set(os.listdir("/dev/shm"))
    done = subprocess.run([sys.executable, str(Path(__file__).with_name("reaper.py")), when, signals, "--",
                           *pylx_command(command, engine)], cwd=scratch, capture_output=True, text=True, timeout=90,
                          check=False, env={**environment(scratch), "TMPDIR": str(temporary)})
    assert done.returncode == 0, done.stderr + done.stdout
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["left"] == []
    assert os.listdir(temporary) == [] and [path.name for path in scratch.iterdir()] == ["tmp"]
    assert not [name for name in set(os.listdir("/dev/shm")) - before if "pylx" in name]
    return told


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("signal_name", SIGNALS)
@pytest.mark.parametrize(("what", "count"), [("processes", PROCESSES), ("threads", THREADS), ("execs", "8"),
                                             ("forks", "1")])
def test_nothing_is_left(what: str, count: str, signal_name: str, engine: str, hold: str, tmp_path: Path) -> None:
    if engine == "unicorn" and not FULL and signal_name != "SIGTERM":
        pytest.skip("it has no host processes")
    # The first of SIGTERM and SIGINT is for the first process, as natively; the next for what it left behind.
    if signal_name in ("SIGINT", "SIGHUP") and not FULL:
        count = str(int(count) // 10 + 1)  # once in full is enough for each way to end
    signals = signal_name if signal_name == "SIGKILL" else ",".join([signal_name] * 6)
    told = killed("ready", signals, [hold, what, count], engine, tmp_path)
    assert told["status"] == -getattr(signal, signal_name)
    if engine in PTRACE and what == "processes":
        assert told["at_once"] > int(count)


@pytest.mark.parametrize("engine", PTRACE)
@pytest.mark.parametrize("delay", [0, 10, 20, 30, 40, 50, 60, 80, 100, 130])
def test_killed_while_it_starts(delay: int, engine: str, hold: str, tmp_path: Path) -> None:
    if engine == "ptrace-stops" and not FULL and delay % 50:
        pytest.skip("the same as with notification")
    for attempt, signal_name in enumerate(SIGNALS if FULL else ["SIGKILL", "SIGTERM"]):
        scratch = tmp_path / str(attempt)
        scratch.mkdir()
        told = killed(str(delay), f"{signal_name},{signal_name},SIGKILL", [hold, "forks", "1"], engine, scratch)
        assert told["status"] in (-getattr(signal, signal_name), -signal.SIGKILL)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_reader_of_its_output_goes(engine: str, hold: str, tmp_path: Path) -> None:
    told = killed("ready", "close", [hold, "writes", "20"], engine, tmp_path)
    assert told["status"] == -signal.SIGPIPE


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("raw", ["0", "1"])
@pytest.mark.parametrize("signal_name", SIGNALS)
def test_the_terminal_is_as_it_was(signal_name: str, raw: str, engine: str, hold: str, tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    before = termios.tcgetattr(follower)
    # The first terminal that a session leader opens controls it.
    leading = [sys.executable, "-c", "import os, sys; os.setsid(); os.open(os.ttyname(0), os.O_RDWR); "
               "os.execv(sys.argv[1], sys.argv[1:])"]
    with subprocess.Popen([*leading, *pylx_command([hold, "raw", raw], engine)], cwd=tmp_path,
                          env=environment(tmp_path), stdin=follower, stdout=follower, stderr=follower) as process:
        try:
            seen = b""
            limit = time.monotonic() + 20
            while b"ready" not in seen:
                assert time.monotonic() < limit, seen
                if select.select([leader], [], [], 0.1)[0]:
                    seen += os.read(leader, 1000)
            process.send_signal(getattr(signal, signal_name))
            assert process.wait(20) == -getattr(signal, signal_name)
        finally:
            process.kill()
    try:
        limit = time.monotonic() + 5
        while termios.tcgetattr(follower) != before:
            assert time.monotonic() < limit, "the terminal's settings are not as they were"
            time.sleep(0.02)
    finally:
        os.close(leader)
        os.close(follower)


@pytest.mark.parametrize("engine", PTRACE)
def test_a_guest_process_killed_from_outside(engine: str, hold: str, tmp_path: Path) -> None:
    """As the host does when memory is short: one of one thread, one of two, both asleep."""
    with subprocess.Popen(pylx_command([hold, "victims", "4"], engine), cwd=tmp_path, env=environment(tmp_path),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            # The oldest are the zygote and the parent.
            for pid in sorted(children(process.pid), key=started)[-2:]:
                os.kill(pid, signal.SIGKILL)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert out.decode().splitlines() == ["ended: 9"] * 2 + ["others: 0"] + ["ended: f"] * 2, err
    assert process.returncode == 0


def started(pid: int) -> tuple[int, int]:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]), pid


@pytest.mark.parametrize("engine", PTRACE)
def test_the_first_host_process_killed_from_outside(engine: str, tmp_path: Path) -> None:
    """The zygote: what runs goes on, and what wants a new process is told that there is no memory."""
    script = "echo ready; read line; echo on; (exit 3); echo fork $?; exec /bin/true; echo no exec"
    with subprocess.Popen(pylx_command(["bash", "-c", script], engine), cwd=tmp_path, env=environment(tmp_path),
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            os.kill(min(children(process.pid), key=started), signal.SIGKILL)
            out, err = process.communicate(b"go\n", 30)
        finally:
            process.kill()
    assert out.startswith(b"on\nfork 3\n"), (out, err)
    assert b"Traceback" not in err and b"defect" not in err, err
