"""Small C programs, one theme each, natively and under pylx.

A program's first line may say how to build it: `/* build: glibc static musl; since: 6.17; flags: -pthread */`.
Without it: glibc, dynamically linked.  Natively the result must be the same each time; `guest.h` has what they share.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guest.build import Program, programs
from tests.runner import ENGINES, HOSTS, compare

TIME_LIMIT = 40
PROGRAMS = programs()

KNOWN_FAILURES: dict[tuple[str, str], str] = {
    ("xattrs", "portable"): "Python has extended attributes on Linux only: the portable host has none",
    ("host_files", "portable"): "Python knows no O_TMPFILE, RENAME_EXCHANGE and fallocate: the portable host has none",
    ("file_attr", "portable"): "Python knows nothing of chattr(1): the portable host's files have no such attributes",
}
"""(program, host or "*"): why it differs.  An unexpected pass fails."""


def why_it_fails(program: Program, host: str) -> str | None:
    return KNOWN_FAILURES.get((program.name, host)) or KNOWN_FAILURES.get((program.name, "*"))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.id)
def test_guest(program: Program, engine: str, host: str, built: dict[str, Path], tmp_path: Path,
               request: pytest.FixtureRequest) -> None:
    reason = why_it_fails(program, host)
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    compare([str(program.build(built["cache"]))], tmp_path, engine=engine, host=host, timeout=TIME_LIMIT)
