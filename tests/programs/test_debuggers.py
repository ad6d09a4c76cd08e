"""gdb and strace as guests, on guests: ptrace(2) emulated by the kernel, compared with what they show natively."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.programs.test_programs import SOURCES, TIME_LIMIT, every_machine
from tests.runner import Rule, compare, need

SCRIPTS = SOURCES / "debuggers"
ADDRESSES: Rule = (rb"0x[0-9a-f]{6,16}\b", b"<address>")
NUMBERS: Rule = (rb"\b\d{3,7}\b", b"<number>")
ALIGNED: Rule = (rb"\) +=", b") =")
RANDOM: Rule = (rb'getrandom\("[^"]*"', b"getrandom(<random>")
TIMES: Rule = (rb"(si_[us]time=)\d+( /\*[^*]*\*/)?", rb"\1<ticks>")
LOADER: Rule = (rb"mmap\(NULL, <number>, PROT_READ\|PROT_WRITE, MAP_PRIVATE\|MAP_ANONYMOUS, -1, 0\) = <address>\n", b"")
"""How early ld.so needs memory depends on how many kinds of libraries the CPU could use."""


@pytest.fixture(scope="session")
def debuggee(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("gcc")
    program = tmp_path_factory.mktemp("debuggee") / "debuggee"
    # A fixed position: the native run has other addresses otherwise.
    subprocess.run(["gcc", "-g", "-O0", "-no-pie", "-pthread", "-o", str(program), str(SCRIPTS / "debuggee.c")],
                   check=True, timeout=60)
    return program


@every_machine
def test_gdb(engine: str, host: str, debuggee: Path, tmp_path: Path) -> None:
    need("gdb")
    compare(["/bin/bash", str(SCRIPTS / "gdb.sh")], tmp_path, engine=engine, host=host, timeout=TIME_LIMIT,
            extra_env={"SCRIPTS": str(SCRIPTS), "PROGRAM": str(debuggee)},
            rules=[ADDRESSES, NUMBERS])


@every_machine
@pytest.mark.parametrize("script", ["watch", "watch-software"])
def test_gdb_watchpoints(script: str, engine: str, host: str, debuggee: Path, tmp_path: Path) -> None:
    """By the processor's debug registers, and by single steps."""
    need("gdb")
    if engine != "ptrace" and script == "watch":
        pytest.skip("an emulated CPU has no debug registers")
    compare(["gdb", "-q", "-batch", "-nx", "-x", str(SCRIPTS / f"{script}.gdb"), str(debuggee)], tmp_path,
            engine=engine, host=host, timeout=TIME_LIMIT, rules=[ADDRESSES, NUMBERS], extra_env={"DEBUGINFOD_URLS": ""})


@every_machine
def test_strace(engine: str, host: str, debuggee: Path, tmp_path: Path) -> None:
    need("strace", "pgrep")
    compare(["/bin/bash", str(SCRIPTS / "strace.sh")], tmp_path, engine=engine, host=host, timeout=TIME_LIMIT,
            extra_env={"PROGRAM": str(debuggee)},
            rules=[ADDRESSES, NUMBERS, ALIGNED, RANDOM, TIMES, LOADER])
