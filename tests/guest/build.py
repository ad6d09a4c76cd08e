"""Compiling guest programs: once, kept by a hash of source and command."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent
COMPILERS = {"glibc": ["gcc"], "static": ["gcc", "-static"], "musl": ["musl-gcc", "-static"]}
FLAGS = ["-O1", "-w"]


@dataclass(frozen=True)
class Program:
    source: Path
    variant: str
    flags: tuple[str, ...]
    since: tuple[int, ...] = ()
    """The first Linux that has what it asks for: natively it is the oracle only there."""

    @property
    def name(self) -> str:
        return self.source.stem

    @property
    def id(self) -> str:
        return self.name if self.variant == "glibc" else f"{self.name}-{self.variant}"

    def build(self, cache: Path) -> Path:
        """The executable.  Skips the test without the compiler, or on an older Linux than the program's; fails it when
        the source does not compile."""
        if tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) < self.since:
            pytest.skip(f"needs Linux {'.'.join(map(str, self.since))}")
        command = [*COMPILERS[self.variant], *FLAGS, *(["-I", str(SOURCES)] if self.source.parent != SOURCES else [])]
        if shutil.which(command[0]) is None:
            pytest.skip(f"not installed: {command[0]}")
        digest = hashlib.sha256(repr((command, self.flags)).encode())
        for path in _with_includes(self.source):
            digest.update(path.read_bytes())
        # The name is what programs see as argv[0]: short, and the same for all variants.
        target = cache / digest.hexdigest()[:16] / self.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            made = target.with_name(f"{self.name}.{os.getpid()}")
            done = subprocess.run([*command, "-o", str(made), str(self.source), *self.flags], capture_output=True,
                                  text=True, check=False)
            assert done.returncode == 0, done.stderr
            made.rename(target)
        return target


def _with_includes(source: Path) -> list[Path]:
    """The source, and every file that it includes, from beside it or from SOURCES."""
    found = [source]
    for path in found:
        for name in re.findall(r'^#include "(.*)"', path.read_text(), re.MULTILINE):
            included = path.parent / name if (path.parent / name).exists() else SOURCES / name
            if included not in found:
                found.append(included)
    return found


def programs(directory: Path = SOURCES) -> list[Program]:
    found = []
    for source in sorted(directory.glob("*.c")):
        said = re.match(r"/\* build: ([a-z ]+?)(?:; since: ([\d.]+))?(?:; flags: (.*?))? \*/", source.read_text())
        variants = said.group(1).split() if said else ["glibc"]
        since = tuple(map(int, said.group(2).split("."))) if said and said.group(2) else ()
        flags = tuple(said.group(3).split()) if said and said.group(3) else ()
        found += [Program(source, variant, flags, since) for variant in variants]
    return found
