"""Landlock, compared with this machine's, where it has a version that knows ports."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from tests.guest.build import SOURCES, Program
from tests.runner import ENGINES, compare

LANDLOCK_CREATE_RULESET = 444


@pytest.mark.parametrize("engine", ENGINES)
def test_landlock(engine: str, built: dict[str, Path], tmp_path: Path) -> None:
    version = ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 6:
        pytest.skip(f"this machine's Landlock is of version {version}")
    program = Program(SOURCES / "optional" / "landlock.c", "glibc", ())
    compare([str(program.build(built["cache"]))], tmp_path, engine=engine, timeout=60)
