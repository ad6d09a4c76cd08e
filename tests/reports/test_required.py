"""`pylx coverage --required`: stubbing and faking each call of a test command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from syscalls.reports.interpose import FAKE, STUB
from syscalls.reports.required import Outcome, Unfit, judge, text
from translator.cli import main

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="runs programs of this machine")

PROGRAM = r"""
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
static char stack[64];
int main(int argc, char **argv)
{
    if (syscall(SYS_getpid) <= 0)
        return 1;                                       /* required */
    if (syscall(SYS_getpgid, 0) < 0)
        return 2;                                       /* fakeable: its value is not looked at */
    int fd = syscall(SYS_memfd_create, "x", 0);
    if (fd < 0 ? errno != ENOSYS : write(fd, "y", 1) != 1 || lseek(fd, 0, 1) != 1)
        return 3;                                       /* stubbable: there is another way */
    while (syscall(SYS_sched_yield))
        ;                                               /* hangs when it is stubbed */
    syscall(SYS_times, stack);                          /* either way */
    struct iovec parts[2] = {{"do", 2}, {"ne\n", 3}};
    if (writev(1, parts, 2) != 5)
        return 4;                                       /* fakeable, but for what it prints */
    return 0;
}
"""
WANTED = {"getpid": "required", "getpgid": "fakeable", "memfd_create": "stubbable", "sched_yield": "fakeable",
          "times": "either way", "writev": "fakeable"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("musl-gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs musl-gcc on Linux")
    folder = tmp_path_factory.mktemp("required")
    (folder / "program.c").write_text(PROGRAM)
    subprocess.run([compiler, "-O1", "-static", "-o", folder / "program", folder / "program.c"], check=True)
    return folder / "program"


def pylx(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "translator.cli", *words], capture_output=True, text=True, timeout=180,
                          check=False)


@pytest.mark.parametrize("engine", ["unicorn", "ptrace"])
def test_each_call_is_judged(program: Path, engine: str) -> None:
    done = pylx("--engine", engine, "coverage", "--required", "--timeout", "4", "--format", "json", "--", str(program))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    verdicts = {call["name"]: call["verdict"] for call in report["calls"]}
    assert {name: verdicts[name] for name in WANTED} == WANTED
    hung = next(call for call in report["calls"] if call["name"] == "sched_yield")
    assert hung["stub"]["how"] == "hangs"
    assert report["runs"] == 2 * len(report["calls"]) + 2
    assert report["together"]["works"]
    assert report["together"]["answers"]["memfd_create"] == "stub"


def test_equal_output_makes_more_required(program: Path) -> None:
    done = pylx("coverage", "--required", "--same-output", "--timeout", "4", "--jobs", "1", "--", str(program))
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if " writev " in line)
    assert "required" in line and "other output" in line


@linux_only
def test_only_the_programs_named_are_answered(program: Path) -> None:
    command = ["sh", "-c", f"{program} && cat /dev/null"]
    for only, status in (("cat", 0), ("program", 1)):
        done = pylx("coverage", "--stub", "getpid", "--only", only, "--format", "none", *command)
        assert done.returncode == status, (only, done)


@linux_only
def test_one_run_with_answers_is_reported(program: Path) -> None:
    done = pylx("coverage", "--stub", "memfd_create", "--fake", "times", str(program))
    assert (done.stdout, done.returncode) == ("done\n", 0)
    line = next(line for line in done.stderr.splitlines() if "memfd_create" in line)
    assert "ENOSYS=1" in line


@linux_only
def test_a_command_that_fails_by_itself_is_refused() -> None:
    done = pylx("coverage", "--required", "--", "sh", "-c", "echo why; exit 3")
    assert done.returncode == 1
    assert "does not succeed: exit status 3; it printed 'why\\n'" in done.stderr


def calls(*names: str) -> list[dict[str, Any]]:
    return [{"number": number, "name": name, "count": 1, "level": "FULL"} for number, name in enumerate(names)]


def test_two_that_stand_in_for_each_other_are_told() -> None:
    def run(answers: dict[str, str], number: int) -> Outcome:
        return Outcome(0 if len(answers) < 2 else 1, b"", 1)

    found = judge(run, calls("epoll_wait", "poll"), False, 1)
    assert found["counts"]["either way"] == 2
    assert found["together"] == {"works": False, "how": "exit status 1", "ns": 1,
                                 "answers": {"epoll_wait": STUB, "poll": STUB}}
    shown = text({"command": ["x"], "programs": ["y"], **found})
    assert "does not work: exit status 1" in shown and "only calls of y were answered" in shown


def test_a_command_that_cannot_run_beside_itself_runs_alone() -> None:
    going = 0

    def run(answers: dict[str, str], number: int) -> Outcome:
        nonlocal going
        going += 1
        from time import sleep
        sleep(0.05)
        alone = going == 1
        sleep(0.05)
        going -= 1
        return Outcome(0 if alone and FAKE not in answers.values() else 98, b"", 1)

    found = judge(run, calls("bind"), False, 4)
    assert found["jobs"] == 1 and "one run at a time" in found["beside"]
    assert found["calls"][0]["verdict"] == "stubbable"


def test_output_that_differs_by_itself_cannot_be_compared() -> None:
    outputs = iter(range(100))
    with pytest.raises(Unfit, match="not the same each time"):
        judge(lambda answers, number: Outcome(0, str(next(outputs)).encode(), 1), calls("read"), True, 1)


@pytest.mark.parametrize(("words", "message"), [
    (["--required", "--format", "csv", "true"], "table, json, html"),
    (["--required", "--stub", "read", "true"], "by itself"),
    (["--stub", "nosuch", "true"], "no system call of that name"),
    (["--static", "--required", "true"], "cannot go together"),
    (["--required"], "no program given"),
])
def test_wrong_uses(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", *words]) == 125
    assert message in capsys.readouterr().err
