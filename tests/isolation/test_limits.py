"""Many at once, what bounds them, and what happens in between; compared with the native run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("Linux only", allow_module_level=True)

from tests.isolation.guests import ALL_ENGINES, PTRACE, build
from tests.runner import ENGINES, FULL, compare, environment, pylx_command


@pytest.fixture(scope="session")
def cache(pytestconfig: pytest.Config) -> Path:
    kept = pytestconfig.cache
    assert kept is not None
    return Path(kept.mkdir("guest-programs"))


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_a_thousand_threads_five_hundred_processes(engine: str, cache: Path, tmp_path: Path) -> None:
    """And a fork bomb as a user with RLIMIT_NPROC, 4,096 descriptors; in the full size 65,530 mappings."""
    counts = ["1000", "500"] if FULL or engine in ENGINES else ["200", "100"]
    compare([build("crowd", cache), *counts, *(["mappings"] if FULL else [])], tmp_path, engine=engine,
            timeout=300 if FULL else 150)


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_killed_in_the_middle_of_things(engine: str, cache: Path, tmp_path: Path) -> None:
    compare([build("killraces", cache), "2400" if FULL else "120"], tmp_path, engine=engine,
            timeout=240 if FULL else 60)


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_stops_of_many_threads_and_fairness(engine: str, cache: Path, tmp_path: Path) -> None:
    """Standard input is a pipe of the host that nobody writes to."""
    program = build("groupstop", cache)
    read_end, write_end = os.pipe()
    results = []
    try:
        for command in ([program], pylx_command([program], engine)):
            done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), stdin=read_end, timeout=60,
                                  capture_output=True, text=True, check=False)
            results.append((done.returncode, done.stdout, done.stderr))
    finally:
        os.close(read_end)
        os.close(write_end)
    native, guest = results
    assert guest == native
    assert native[1].count("moved meanwhile: 0, continued: 1, all go: 9\n") == 5


@pytest.mark.parametrize("engine", ALL_ENGINES)
def test_code_that_changes(engine: str, cache: Path, tmp_path: Path) -> None:
    compare([build("codegen", cache)], tmp_path, engine=engine, timeout=60)


@pytest.mark.skipif(" avx2 " not in Path("/proc/cpuinfo").read_text(), reason="this processor has no AVX2")
@pytest.mark.parametrize("engine", PTRACE)
def test_vector_state_in_frames(engine: str, cache: Path, tmp_path: Path) -> None:
    """XSAVE as CPUID describes it, AVX-512 included where the processor has it; the emulated one has no AVX."""
    compare([build("xstate", cache)], tmp_path, engine=engine, timeout=60)
