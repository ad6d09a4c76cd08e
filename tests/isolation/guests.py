"""The guest programs of this folder, and running one under pylx without a native run to compare with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.guest.build import programs
from tests.runner import ENGINES, environment, pylx_command

SOURCES = {program.name: program for program in programs(Path(__file__).parent)}
PTRACE = ["ptrace", "ptrace-stops"] if "ptrace" in ENGINES else []
"""Both ways of the ptrace engine; none where it does not work."""
ALL_ENGINES = [*dict.fromkeys([*ENGINES, *PTRACE])]


def build(name: str, cache: Path) -> str:
    return str(SOURCES[name].build(cache))


def run_guest(command: Sequence[str], scratch: Path, engine: str, *, host: str = "linux", options: Sequence[str] = (),
              stdin: bytes = b"", timeout: float = 60, pass_fds: Sequence[int] = (),
              env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run to the end under pylx in `scratch`; it is killed at the time limit."""
    return subprocess.run(pylx_command(command, engine, host, options), cwd=scratch, input=stdin, capture_output=True,
                          timeout=timeout, check=False, pass_fds=pass_fds, env={**environment(scratch), **(env or {})},
                          start_new_session=True)


def children(pid: int) -> list[int]:
    """Host processes whose parent this one is, with theirs."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(name)] = int(fields[1])
    found = [pid]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent and child not in found]
    return found[1:]
