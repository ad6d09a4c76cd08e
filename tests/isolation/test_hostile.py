"""Guests that try to reach the host's kernel, pylx, or each other, otherwise than by system calls that pylx serves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("Linux only", allow_module_level=True)

from tests.isolation.guests import ALL_ENGINES, PTRACE, build, children, run_guest
from tests.runner import ENGINES, FULL, compare, environment, pylx_command


@pytest.fixture(scope="session")
def cache(pytestconfig: pytest.Config) -> Path:
    kept = pytestconfig.cache
    assert kept is not None
    return Path(kept.mkdir("guest-programs"))


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_every_instruction_that_enters_a_kernel_reaches_pylx(engine: str, cache: Path, tmp_path: Path) -> None:
    done = run_guest([build("routes", cache)], tmp_path, engine)
    out = done.stdout.decode()
    assert done.returncode == 0, out + done.stderr.decode()
    answered = dict(re.findall(r"^(.*): answered by (.*)$", out, re.MULTILINE))
    nobody = {name for name, who in answered.items() if who == "nobody"}
    assert set(answered.values()) == {"pylx", "nobody"}, out
    # What is no call of this machine's kind, and so fails.
    assert nobody == {"x32", "negative number"}
    assert len(answered) == 17
    for name in ("int 0x80", "int 0x80 in 32-bit code", "syscall in 32-bit code"):
        assert f"{name}: signal 11\n" in out
    assert re.search(r"^sysenter: signal (4|11)$", out, re.MULTILINE)


@pytest.mark.parametrize("engine", PTRACE)
def test_the_stub_serves_no_guest(engine: str, cache: Path, tmp_path: Path) -> None:
    done = run_guest([build("stub", cache), "2000" if FULL else "200"], tmp_path, engine)
    assert done.stdout.decode().splitlines() == [
        "offsets: answered by nobody", "offsets: exit 0",
        "guessed keys: answered by nobody", "guessed keys: exit 0",
        "mmap over the stub: caught 1 of 1", "mmap over the stub: exit 0",
        "while pylx maps: answered by nobody", "while pylx maps for another thread: exit 0",
        "endless guessing: signal 9",
        "afterwards: answered by pylx"] or FULL, done.stderr.decode()
    assert b"THE HOST" not in done.stdout
    assert b"afterwards: answered by pylx" in done.stdout


@pytest.mark.parametrize("engine", PTRACE)
def test_a_restartable_sequence_over_the_stub_gets_no_key(engine: str, cache: Path, tmp_path: Path) -> None:
    """The host would abort it when a guest thread stands in the stub, at an address of the guest's choice."""
    done = run_guest([build("rseq", cache)], tmp_path, engine)
    lines = done.stdout.decode().splitlines()
    if lines[:1] != ["registered: 1"]:
        pytest.skip("this C library registers no restartable sequences")
    assert lines[1:] == ["unregister: done, key unknown", "unregister: exit 0", "exec: exit 0", "child: exit 0",
                         "fork: exit 0", "key unknown"], done.stderr.decode()


@pytest.mark.parametrize("engine", PTRACE)
def test_the_reserved_range_cannot_be_touched(engine: str, cache: Path, tmp_path: Path) -> None:
    done = run_guest([build("reserved", cache)], tmp_path, engine)
    out = done.stdout.decode()
    assert done.returncode == 0, out + done.stderr.decode()
    for success in ("DONE", "WRITTEN", "TAKEN", "READ\n", "NO MORE MEMORY"):
        assert success not in out
    assert out.count(": refused") == 66
    for line in ("grows down into it: SIGSEGV", "unmap across: 0", "nearly everything unmapped: 0", "tracee: exit 7",
                 "pylx's own mappings shown: 0"):
        assert line in out


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_forged_frames_and_bases(engine: str, cache: Path, tmp_path: Path) -> None:
    arguments = ["real"] if engine in PTRACE else []
    compare([build("frames", cache), *arguments], tmp_path, engine=engine, timeout=60)


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_calls_that_would_lead_out(engine: str, cache: Path, tmp_path: Path) -> None:
    compare([build("tricks", cache)], tmp_path, engine=engine, timeout=60)


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_what_is_outside_stays_outside(engine: str, cache: Path, tmp_path: Path) -> None:
    """Numbers of host processes, pylx's descriptors and environment; descriptors that pylx inherited are the guest's,
    as they would be natively."""
    inherited = os.open("/etc/hostname", os.O_RDONLY)
    closed = os.open("/etc/passwd", os.O_RDONLY)
    command = pylx_command([build("outside", cache), *(["page"] if engine in PTRACE else [])], engine,
                           options=["--env", "SECRET_TAKEN"])
    try:
        with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, pass_fds=[inherited], start_new_session=True,
                              env={**environment(tmp_path), "SECRET_TAKEN": "1", "SECRET_GIVEN": "1"}) as process:
            limit = time.monotonic() + 20
            while engine in PTRACE and len(children(process.pid)) < 2:
                assert time.monotonic() < limit and process.poll() is None
                time.sleep(0.02)
            outside = [1, os.getpid(), os.getppid(), process.pid, *children(process.pid)]
            try:
                out, err = process.communicate("".join(f"{pid}\n" for pid in outside).encode() + b"w\n", 60)
            finally:
                process.kill()
    finally:
        os.close(inherited)
        os.close(closed)
    text = out.decode()
    assert process.returncode == 0, text + err.decode()
    assert f"{len(outside)} pids\nreached: 0\n" in text
    assert re.findall(r"^/proc/self/fd/(\d+) -> (.*)$", text, re.MULTILINE) == [(str(inherited), "/etc/hostname")]
    assert re.findall(r"^open: (\d+)$", text, re.MULTILINE) == [str(inherited)]
    assert re.findall(r"^in environ: (.*)$", text, re.MULTILINE) == ["SECRET_GIVEN=1"]
    assert set(re.findall(r": answered by (.*)$", text, re.MULTILINE)) == {"pylx"}
    for success in ("A RING", "AN LDT ENTRY", "PORTS", "A MAP", "EVENTS", "A MODULE", "KEXEC"):
        assert success not in text
    if engine in PTRACE:
        assert "other than mapping calls: 0\n" in text


@pytest.mark.skipif("ptrace" not in ENGINES, reason="the ptrace engine does not work here")
@pytest.mark.parametrize("notify", [True, False])
def test_the_key_is_in_no_guest_memory(notify: bool) -> None:
    """The leader's registers hold it; nothing that a guest thread can read or starts with does."""
    from tests.unit.engine_guest import CODE, EXIT, Guest
    from translator.engines.ptrace import PtraceEngine
    from translator.engines.ptrace_binding import PTRACE_GETREGS, RegisterSet, request
    from translator.machine import R13, R14, R15
    engine = PtraceEngine(notify=notify)
    try:
        guest = Guest(engine)  # type: ignore[arg-type]
        guest.run(EXIT, CODE)
        leader = guest.space.process  # type: ignore[attr-defined]
        registers = RegisterSet()
        request(PTRACE_GETREGS, leader.pid, 0, registers.address)
        key = registers.words[R15]
        assert registers.words[R14] == key << 32 & (1 << 64) - 1 and registers.words[R13] == key >> 32 << 32
        needles = [key.to_bytes(8, "little"), (key & 0xFFFFFFFF).to_bytes(4, "little"),
                   (key >> 32).to_bytes(4, "little")]
        searched = 0
        for line in Path(f"/proc/{leader.pid}/maps").read_text().splitlines():
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            if low >> 63:
                continue
            try:
                data = os.pread(leader.memory, high - low, low)
            except OSError:
                continue  # the vDSO's data
            searched += len(data)
            assert not any(needle in data for needle in needles), line
        assert searched > 0x10000
        request(PTRACE_GETREGS, guest.cpu.tid, 0, registers.address)  # type: ignore[attr-defined]
        assert key not in registers.words.tolist()
    finally:
        engine.close()
