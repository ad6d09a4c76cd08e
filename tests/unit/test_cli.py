"""The command line: bad input gets one clear line and the status a shell would give."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.runner import PYLX, everybodys_python
from translator.cli import CommandError, parse_arguments, parse_size


def pylx(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PYLX, *words], capture_output=True, text=True, timeout=60, cwd=cwd, check=False)


def elf_header(machine: int = 62, kind: int = 2, width: int = 2, order: int = 1) -> bytes:
    identity = b"\x7fELF" + bytes([width, order, 1]) + bytes(9)
    return identity + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0x400000, 64, 0, 0, 64, 56, 1, 0, 0, 0)


BAD_FILES = {
    "empty": (b"", 126),
    "text": (b"just words\n", 126),
    "truncated": (b"\x7fELF\x02\x01", 126),
    "arm": (elf_header(machine=183) + bytes(56), 126),
    "32-bit": (elf_header(machine=3, width=1) + bytes(56), 126),
    "big-endian": (elf_header(order=2) + bytes(56), 126),
    "no-segments": (elf_header() + bytes(56), 126),
    "object-file": (elf_header(kind=1) + bytes(56), 126),
    "bad-interpreter": (b"#!/nonexistent/interpreter -x\n", 127),
    "wild-segment": (elf_header() + struct.pack(
        "<IIQQQQQQ", 1, 5, 0, 0xFFFFFFFFFFFFF000, 0, 1 << 60, 1 << 62, 4096), 126),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_what_cannot_be_executed_gets_one_line(name: str, tmp_path: Path) -> None:
    content, status = BAD_FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    path.chmod(0o755)
    done = pylx(str(path))
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("pylx: "), done.stderr
    assert name in done.stderr
    assert done.returncode == status
    assert done.stdout == ""


def test_missing_and_forbidden_programs(tmp_path: Path) -> None:
    done = pylx("./nothing", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (127, 1)
    done = pylx("no-such-command-anywhere")
    assert (done.returncode, done.stderr.count("\n")) == (127, 1)
    (tmp_path / "plain").write_bytes(b"#!/bin/sh\n")
    done = pylx("./plain", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (126, 1)
    done = pylx("/tmp")
    assert (done.returncode, done.stderr.count("\n")) == (126, 1)


def test_missing_loader_is_named(tmp_path: Path) -> None:
    image = Path("/bin/true").read_bytes()
    path = tmp_path / "orphan"
    path.write_bytes(image.replace(b"/lib64/ld-linux-x86-64.so.2", b"/lib64/ld-missing-86-64.so2"))
    path.chmod(0o755)
    done = pylx(str(path))
    assert done.returncode == 127
    assert "ld-missing" in done.stderr and done.stderr.count("\n") == 1


def test_usage_errors_exit_with_125() -> None:
    for words in ([], ["--nonsense", "true"], ["--host", "vms", "true"], ["--engine", "abacus", "true"], ["--root"],
                  ["--root", "/nonexistent/dir", "true"], ["--memory", "much", "true"], ["--trace=xml", "true"]):
        done = pylx(*words)
        assert done.returncode == 125, words
        assert done.stderr.startswith("pylx: ") and done.stderr.count("\n") == 1


def test_help_and_version() -> None:
    assert "--deterministic" in pylx("--help").stdout
    assert "unicorn" in pylx("--version").stdout


def test_options_end_at_the_program() -> None:
    arguments = parse_arguments(["--env", "A=1", "--env=B", "--trace=json", "ls", "--help", "-v"])
    assert not isinstance(arguments, str)
    assert arguments.command == ["ls", "--help", "-v"]
    assert arguments.env == ["A=1", "B"]
    assert arguments.trace == "json"
    assert parse_size("3G") == 3 << 30
    with pytest.raises(CommandError):
        parse_size("0")


def test_environment_and_directory_options(tmp_path: Path) -> None:
    done = pylx("--env", "NEW=x y", "--env", "HOME", "--cwd", str(tmp_path), "/bin/sh", "-c",
                'echo "$NEW ${HOME-unset} $PWD"')
    assert done.stdout == f"x y unset {tmp_path}\n"
    assert pylx("--argv0", "other", "/bin/sh", "-c", "echo $0").stdout == "other\n"


def test_trace_shows_calls_as_strace_does(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    done = pylx("--trace-file", str(trace), "/bin/cat", "/nonexistent")
    text = trace.read_text()
    assert done.returncode == 1
    assert 'openat(AT_FDCWD, "/nonexistent", O_RDONLY) = -1 ENOENT' in text
    assert "exit_group(1) = ?" in text
    done = pylx("--trace=json", "/bin/echo", "hi")
    import json
    calls = [json.loads(line) for line in done.stderr.splitlines()]
    assert any(call.get("call") == "write" and call["result"] == 3 for call in calls)
    assert done.stdout == "hi\n"


def test_deterministic_runs_give_the_same_trace(tmp_path: Path) -> None:
    script = "import os, time, random; print(os.getpid(), time.time(), os.urandom(4), random.random(), id(object()))"
    traces, outputs = [], []
    for turn in range(2):
        trace = tmp_path / f"trace{turn}"
        done = pylx("--deterministic", "--trace-file", str(trace), "/usr/bin/python3", "-c", script)
        assert done.returncode == 0, done.stderr
        traces.append(trace.read_text())
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]
    assert traces[0] == traces[1]


def test_an_unprivileged_user_can_run_it(everybodys_pylx: Path) -> None:
    identity: dict[str, Any] = {} if os.geteuid() else {"user": 65534, "group": 65534, "extra_groups": []}
    script = "id -u; echo x > f; cat f; (kill -9 $BASHPID); echo $?; cat /etc/shadow; ls /root/. > /dev/null; echo $?"
    outcomes = []
    for prefix in ([], [everybodys_python(), "-I", "-B", str(everybodys_pylx / "pylx")]):
        done = subprocess.run([*prefix, "/bin/bash", "-c", script], cwd=everybodys_pylx / "work", capture_output=True,
                              text=True, timeout=60, check=False, **identity)
        outcomes.append((done.returncode, done.stdout, re.sub(r"\b\d{3,}\b", "<pid>", done.stderr)))
    assert outcomes[0][1].startswith(f"{identity.get('user', os.geteuid())}\nx\n137\n")
    assert outcomes[0] == outcomes[1]
