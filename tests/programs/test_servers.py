"""Servers, natively and under pylx: redis, nginx with two workers, sshd, PostgreSQL; clients and load in the same run,
and a server in pylx with its clients outside."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs.test_programs import SOURCES, every_machine
from tests.runner import ENGINES, FULL, compare, environment, everybodys_python, need, pylx_command

LOAD = "20000" if FULL else "400"
TIME_LIMIT = 600 if FULL else 150


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def serve(name: str, scratch: Path, engine: str, host: str) -> None:
    compare(["/bin/bash", str(SOURCES / "servers" / f"{name}.sh")], scratch, engine=engine, host=host,
            timeout=TIME_LIMIT, extra_env={"PORT": free_port(), "LOAD": LOAD})


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A directory that an unprivileged user can enter, which those of pytest are not."""
    place = Path(tempfile.mkdtemp(prefix="pylx-test-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@every_machine
def test_redis(engine: str, host: str, tmp_path: Path) -> None:
    need("redis-server", "redis-cli", "redis-benchmark", "redis-check-rdb")
    serve("redis", tmp_path, engine, host)


@every_machine
def test_nginx(engine: str, host: str, tmp_path: Path) -> None:
    need("/usr/sbin/nginx", "ab", "curl")
    serve("nginx", tmp_path, engine, host)


@pytest.mark.parametrize("engine", ENGINES if FULL else ENGINES[-1:])
def test_sshd(engine: str, tmp_path: Path) -> None:
    """Each session runs what the user's shell does at its start, which may be much."""
    need("/usr/sbin/sshd", "ssh", "ssh-keygen")
    compare(["/bin/bash", str(SOURCES / "servers" / "ssh.sh")], tmp_path, engine=engine, timeout=TIME_LIMIT,
            extra_env={"PORT": free_port()}, sort_lines=True)


def need_postgresql() -> None:
    if not glob.glob("/usr/lib/postgresql/*/bin/postgres"):
        pytest.skip("not installed: postgresql")


@every_machine
def test_postgresql(engine: str, host: str, public_path: Path) -> None:
    """The guest begins as the user of pylx, and gives root up by itself."""
    need_postgresql()
    need("setpriv")
    script = public_path / "script"
    shutil.copy(SOURCES / "servers" / "postgresql.sh", script)
    compare(["/bin/bash", str(script)], public_path, engine=engine, host=host, timeout=TIME_LIMIT,
            extra_env={"PORT": free_port()})


@pytest.mark.skipif(os.geteuid() != 0, reason="the test above is already that of an unprivileged user")
@pytest.mark.parametrize("engine", ENGINES if FULL else ENGINES[-1:])
def test_postgresql_under_the_pylx_of_an_unprivileged_user(engine: str, everybodys_pylx: Path) -> None:
    need_postgresql()
    script = everybodys_pylx / "script"
    shutil.copy(SOURCES / "servers" / "postgresql.sh", script)
    script.chmod(0o644)
    outputs = []
    for prefix in ([], [everybodys_python(), "-I", "-B", str(everybodys_pylx / "pylx"), "--engine", engine]):
        work = everybodys_pylx / "work"
        done = subprocess.run([*prefix, "/bin/bash", str(script)], cwd=work, capture_output=True, text=True,
                              timeout=TIME_LIMIT, user=65534, group=65534, extra_groups=[], check=False,
                              env={**environment(work), "PORT": free_port()})
        outputs.append((done.returncode, done.stdout, done.stderr))
        assert list(work.iterdir()) == []
    assert outputs[1] == outputs[0]
    assert outputs[0][0] == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_in_pylx_answers_clients_outside(engine: str, tmp_path: Path) -> None:
    need("redis-server", "redis-benchmark")
    port = free_port()
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen(pylx_command(command, engine), cwd=tmp_path, env=environment(tmp_path),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                client = socket.create_connection(("127.0.0.1", int(port)), timeout=30)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline and server.poll() is None, "the server does not listen"
                time.sleep(0.05)
        with client:
            client.sendall(b"PING\r\n")
            assert client.recv(100) == b"+PONG\r\n"
        done = subprocess.run(["redis-benchmark", "-p", port, "-q", "-n", LOAD, "-c", "30", "-P", "4", "-t", "set,get"],
                              capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
        assert done.returncode == 0 and done.stdout.count("requests per second") == 2, done.stdout + done.stderr
        server.send_signal(signal.SIGTERM)
        output = server.communicate(timeout=30)[0]
        # It sees SIGTERM as a Linux process does, and shuts down in order.
        assert server.returncode == 0 and b"ready to exit, bye bye" in output, output.decode()
    finally:
        if server.poll() is None:
            server.kill()
            server.communicate()
