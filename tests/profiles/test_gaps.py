"""Gaps of WSL 1, each shown by a small program: natively and under pylx it gets what it asks for, with
`--profile wsl1` what WSL 1 gave, and a line that says why.  The first comment of a program says which."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.runner import ENGINES, FULL, HOSTS, environment, need, pylx_command, run

HERE = Path(__file__).parent
SOURCES = sorted(HERE.glob("*.c"))
CASES = [(engine, host) for engine in ENGINES for host in (HOSTS if FULL else HOSTS[:1])]
FORBIDDEN = ("EPERM", "ENOSYS", "EACCES")
"""What a container may answer natively (ptrace, aio)."""
EXPECTED = re.compile(r"wsl1: (\S+); ([^;]+); (.+?) \*/", re.DOTALL)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    need("gcc")
    folder = tmp_path_factory.mktemp("gaps")
    running = [subprocess.Popen(["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", folder / source.stem, source])
               for source in SOURCES]
    assert [process.wait(60) for process in running] == [0] * len(running)
    return {source.stem: folder / source.stem for source in SOURCES}


AGREEING = ([source.stem for source in SOURCES] if FULL else
            ["memfd", "rename_open", "seek_hole", "record_lock", "pagemap"])
"""Of which the verdict of a run without the profile is compared with what the profile does."""


def answer(text: bytes) -> str:
    return text.decode().strip().rpartition(": ")[2]


def test_there_are_enough() -> None:
    assert len(SOURCES) >= 25
    for source in SOURCES:
        assert EXPECTED.search(source.read_text()), source.name


@pytest.mark.parametrize("engine, host", CASES)
@pytest.mark.parametrize("name", [source.stem for source in SOURCES])
def test_gap(name: str, engine: str, host: str, programs: dict[str, Path], tmp_path: Path) -> None:
    expected = EXPECTED.search((HERE / f"{name}.c").read_text())
    assert expected is not None
    error, what, source = expected.groups()
    outcomes = []
    for folder, prefix in (("native", []), ("here", pylx_command([], engine, host)),
                           ("wsl1", pylx_command([], engine, host, ["--profile", "wsl1"]))):
        scratch = tmp_path / folder
        scratch.mkdir()
        outcomes.append(run([*prefix, str(programs[name])], scratch, 60, env=environment(scratch)))
    native, here, wsl1 = outcomes
    if answer(native.stdout) in FORBIDDEN:
        pytest.skip(f"this machine itself answers {answer(native.stdout)}")
    assert (native.status, answer(native.stdout)) == (0, "ok"), native
    assert (here.status, here.stdout, here.stderr) == (0, native.stdout, b""), here
    assert (wsl1.status, answer(wsl1.stdout)) == (1, error), wsl1
    reason = next((line for line in wsl1.stderr.decode().splitlines() if f"wsl1: {what} ->" in line or (
        f"{what} ->" in line)), "")
    assert source in reason, wsl1.stderr.decode()
    assert ", once, first by " in reason or " times, first by " in reason


@pytest.mark.parametrize("name", AGREEING)
def test_the_verdict_without_the_profile_agrees(name: str, programs: dict[str, Path], tmp_path: Path) -> None:
    """`pylx coverage` says of WSL 1 what `--profile wsl1` does."""
    expected = EXPECTED.search((HERE / f"{name}.c").read_text())
    assert expected is not None
    _, what, source = expected.groups()
    options = ["coverage", "--output", str(tmp_path / "report.json")]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    outcome = run([*pylx_command(options, ENGINES[-1]), str(programs[name])], scratch, 60, env=environment(scratch))
    assert outcome.status == 0, outcome
    verdict = json.loads((tmp_path / "report.json").read_text())["verdicts"]["wsl1"]
    # A status of a whole call is told with its first gap's source, a rule with its own; paths are told in full.
    found = [finding for finding in verdict["findings"] if what in (finding["what"], finding["call"])
             or what in finding["what"]]
    assert found, verdict
    assert source in found[0]["source"] or found[0]["answer"] == "ENOSYS"
