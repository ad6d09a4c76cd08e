"""pylx as a process: standard streams, signals, its end and its stops, each in a process of its own."""

# ruff: noqa: F401, F811 -- fixtures are imported and then named by parameters
from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.host_fixtures import HOSTS, ROOT, host
from translator.hosts.base import Host

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes as POSIX has them")

PRELUDE = """
import os, sys, time
sys.path.insert(0, {root!r})
from translator.hosts import open_host
from translator.hosts.base import HostError
host = open_host({host!r})
"""


@pytest.fixture(params=HOSTS)
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


def start(name: str, script: str, **how: object) -> subprocess.Popen[bytes]:
    text = PRELUDE.format(root=str(ROOT), host=name) + script
    return subprocess.Popen([sys.executable, "-S", "-c", text], **how)  # type: ignore[call-overload, no-any-return]


def run(name: str, script: str, **how: object) -> tuple[int, bytes]:
    process = start(name, script, stdout=subprocess.PIPE, **how)
    output = process.communicate(timeout=20)[0]
    return process.returncode, output


@pytest.mark.parametrize("number", [1, 2, 6, 9, 11, 13, 14, 15])
def test_die_of(name: str, number: int) -> None:
    status, _ = run(name, f"host.on_signal(print)\nhost.die_of({number})")
    assert status == -number


def test_die_of_a_signal_that_does_not_kill(name: str) -> None:
    assert run(name, "host.die_of(17)")[0] == 128 + 17


def test_signals_arrive_from_poll(name: str) -> None:
    status, output = run(name, """
got = []
host.on_signal(got.append)
for number in (2, 15, 10, 10, 28, 18, 13, 17):
    os.kill(os.getpid(), number)
print(got)
host.poller().poll(None)
print(sorted(got))
""")
    assert (status, output) == (0, b"[]\n[2, 10, 15, 18, 28]\n")


def test_a_signal_ends_a_sleep(name: str) -> None:
    process = start(name, """
host.on_signal(lambda number: print(number, flush=True))
print("ready", flush=True)
start = time.monotonic()
host.poller().poll(20 * 10**9)
print(time.monotonic() - start < 10)
""", stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.read() == b"10\nTrue\n"
    assert process.wait() == 0


def test_ignored_signals_are_known(name: str) -> None:
    before = run(name, "print(host.ignored_signals())")[1]  # make's children ignore 32, with some C libraries
    status, output = run(name, "print(host.ignored_signals())",
                         preexec_fn=lambda: (signal.signal(signal.SIGHUP, signal.SIG_IGN),
                                             signal.signal(signal.SIGQUIT, signal.SIG_IGN)))
    assert (status, json.loads(output)) == (0, sorted({1, 3, *json.loads(before)}))


def test_stop_self_is_seen_by_the_parent(name: str) -> None:
    # In a session of its own its process group would be an orphan's, which SIGTSTP does not stop.
    process = start(name, """
host.on_signal(lambda number: None)
host.stop_self()
print("continued")
host.stop_self(19)
""", stdout=subprocess.PIPE, process_group=0)
    for number in (signal.SIGTSTP, signal.SIGSTOP):
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert os.WSTOPSIG(status) == number
        os.kill(process.pid, signal.SIGCONT)
    assert process.communicate(timeout=10)[0] == b"continued\n"
    assert process.returncode == 0


READ = """
stream = host.stream(0)
try:
    print(stream.read(100))
except HostError as error:
    print(error.errno)
done = []
while not done:
    host.poller().arm(stream.fileno(), 1, done.append)
    print("arm", flush=True)
    host.poller().poll(None)
print(stream.read(100), flush=True)
"""


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_reading_does_not_sleep_nor_disturb_others(name: str, kind: str) -> None:
    if kind == "pipe":
        reader, writer = os.pipe()
    else:
        reader, writer = (end.detach() for end in socket.socketpair())
    process = start(name, READ, stdin=reader, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"11\n"
    assert process.stdout.readline() == b"arm\n"
    assert os.get_blocking(reader)
    os.write(writer, b"text")
    assert process.stdout.readline() == b"b'text'\n"
    assert process.wait() == 0
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_writing_does_not_sleep_nor_disturb_others(name: str, kind: str) -> None:
    if kind == "pipe":
        reader, writer = os.pipe()
    else:
        reader, writer = (end.detach() for end in socket.socketpair())
    process = start(name, """
stream = host.stream(1)
total = 0
data = bytes(1 << 20)
while True:
    try:
        total += stream.write(data)
    except HostError as error:
        sys.stderr.write(f"{error.errno} {total}\\n")
        break
stream.close()
time.sleep(0.05)
sys.stderr.write("end\\n")
""", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert process.stderr is not None
    error, total = process.stderr.readline().split()
    assert error == b"11"
    assert os.get_blocking(reader)
    count = 0
    while data := os.read(reader, 65536):
        count += len(data)
    assert count == int(total) > 4096
    assert process.stderr.readline() == b"end\n"
    assert process.wait() == 0
    os.close(reader)


def test_regular_streams_share_their_position(name: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    (tmp_path / "in").write_bytes(b"0123456789")
    with open(path, "wb") as out, open(tmp_path / "in", "rb", buffering=0) as source:
        out.write(b"before ")
        out.flush()
        status, _ = run_to(name, "host.stream(1).write(host.stream(0).read(4) + b' ')\n"
                                 "assert host.stream(0).seek(0, 1) == 4\n"
                                 "assert host.stream(1).seek(-1, 1) == 11; host.stream(1).seek(0, 2)\n"
                                 "assert host.stream(1).stat().size == 12", stdin=source, stdout=out)
        assert status == 0
        assert source.read() == b"456789"
        out.write(b"after")
    assert path.read_bytes() == b"before 0123 after"
    with open(path, "ab") as out:
        assert run_to(name, "host.stream(1).write(b'!')", stdout=out)[0] == 0
    assert path.read_bytes() == b"before 0123 after!"


def run_to(name: str, script: str, **how: object) -> tuple[int, bytes]:
    process = start(name, script, **how)
    return process.wait(20), b""


def test_closed_and_null_streams(name: str) -> None:
    status, output = run(name, """
stream = host.stream(0)
print(host.stream(2) is None, stream.read(10), host.stream(0) is stream, host.stream_is_terminal(0), flush=True)
seen = []
host.poller().arm(stream.fileno(), 1, seen.append)
host.poller().poll(None)
print(seen)
""", stdin=subprocess.DEVNULL, preexec_fn=lambda: os.close(2))
    assert (status, output) == (0, b"True b'' True False\n[1]\n")


def test_facts_about_the_process(host: Host) -> None:
    assert abs(host.realtime_ns() - time.time_ns()) < 10**9
    assert host.monotonic_ns() <= host.monotonic_ns()
    assert host.boottime_ns() > 0
    assert host.cputime_ns() > 0
    assert len(host.random(17)) == 17
    assert host.pid() == os.getpid()
    assert host.ppid() == os.getppid()
    assert host.ids()[:2] == (os.geteuid(), os.getegid())
    assert host.cpus() >= 1
    total, available = host.memory()
    assert total >= available > 0
    assert len(host.loadavg()) == 3
    assert host.nodename()
    assert host.rlimit(7)[0] > 0  # RLIMIT_NOFILE
    assert -14 * 60 <= host.timezone_minutes_west() <= 12 * 60
    for capability in host.capabilities.values():
        assert capability.level in {"native", "bridged", "absent"}
        assert capability.note or capability.level == "native"


def test_descriptors_do_not_leak_into_children(host: Host, tmp_path: Path) -> None:
    before = set(os.listdir("/dev/fd"))
    tree = host.tree(os.fsencode(tmp_path), False)
    file = tree.open(b"f", 0o102, 0o600)
    sock = host.socket(2, 1, 0)
    for fd in set(os.listdir("/dev/fd")) - before:
        try:
            assert not os.get_inheritable(int(fd))
        except OSError:  # the descriptor of the listing itself
            pass
    file.close()
    sock.close()
    tree.close()
    assert len(os.listdir("/dev/fd")) <= len(before)
