"""Builds and version control, natively and under pylx, where many short processes run side by side; what they make is
equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs.test_programs import SOURCES, TIME_LIMIT
from tests.runner import ENGINES, FULL, compare, need

fastest_engine = pytest.mark.parametrize("engine", ENGINES if FULL else ENGINES[-1:])
PROGRAMS = {"make": ["make", "gcc"], "cmake": ["cmake", "make", "gcc", "g++"], "git": ["git"], "go": ["go", "gcc"]}


@fastest_engine
@pytest.mark.parametrize("name", PROGRAMS)
def test_build(name: str, engine: str, tmp_path: Path) -> None:
    need(*PROGRAMS[name])
    if name == "go" and not FULL:
        pytest.skip("compiles its whole standard library: make test-full")
    compare(["/bin/bash", str(SOURCES / "builds" / f"{name}.sh")], tmp_path, engine=engine, timeout=TIME_LIMIT * 2,
            rules=[(rb"\d+\.\d+ sec", b"<time>")], ignore=r"^\.cache|^\.config")
