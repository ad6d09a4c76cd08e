"""`pylx coverage program`: what is recorded of a run, and the verdicts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import syscalls.calls
from syscalls.reports.measure import Recorder, Tally
from syscalls.reports.sites import Site, Symbols
from syscalls.reports.values import counted_arguments, text
from syscalls.reports.verdict import judge_all
from syscalls.table import TABLE, Syscall

syscalls.calls.load()
CALLS = {record.name: record for record in TABLE if record is not None}
HERE = Site(0, "", 0, "test")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="runs programs of this machine")

ASKING = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    int fd = memfd_create("x", 0);
    lseek(fd, 0, SEEK_DATA);
    for (int i = 0; i < 30; i++)
        getppid();
    if (argc > 1)
        socket(AF_PACKET, SOCK_RAW, 3);
    usleep(200000);
    puts("done");
    return 0;
}
"""


def cover(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "translator.cli", "coverage", *words], capture_output=True, text=True,
                          timeout=120, check=False, **more)


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs gcc on Linux")
    folder = tmp_path_factory.mktemp("asking")
    (folder / "asking.c").write_text(ASKING)
    subprocess.run([compiler, "-O1", "-o", folder / "asking", folder / "asking.c"], check=True)
    return folder / "asking"


@pytest.fixture(scope="module", params=["unicorn-linux", "unicorn-portable", "ptrace-linux", "ptrace-portable"])
def report(asking: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    engine, host = request.param.split("-")
    output = asking.with_suffix(f".{request.param}.json")
    done = cover("--engine", engine, "--host", host, "--output", str(output), str(asking), "raw")
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
    assert done.stderr == ""
    read: dict[str, Any] = json.loads(output.read_text())
    return read


def call(report: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(call for call in report["calls"] if call["name"] == name)
    return found


def test_the_document_is_whole(report: dict[str, Any], asking: Path) -> None:
    assert report["kind"] == "run"
    assert report["command"] == [str(asking), "raw"]
    assert (report["exit_status"], report["signal"], report["processes"]) == (0, 0, 1)
    assert report["count"] == sum(call["count"] for call in report["calls"])
    assert 0 < report["kernel_ns"] < report["wall_ns"]
    assert set(report["verdicts"]) == {"wsl1", "gvisor", "freebsd"}
    assert report["table"]["kind"] == "table"
    for one in report["calls"]:
        assert one["count"] > 0 and one["kernel_ns"] > 0
        assert sum(one["errors"].values()) <= one["count"]


def test_calls_errors_and_times(report: dict[str, Any]) -> None:
    assert call(report, "getppid")["count"] == 30
    assert call(report, "lseek")["errors"] == {"ENXIO": 1}
    sleeping = call(report, "clock_nanosleep")
    assert 150e6 < sleeping["waited_ns"] < 5e9
    assert sleeping["kernel_ns"] < sleeping["waited_ns"]
    assert call(report, "getppid")["waited_ns"] == 0


def test_values_are_named(report: dict[str, Any]) -> None:
    assert [value["values"] for value in call(report, "socket")["values"]] == ["AF_PACKET, SOCK_RAW, 3"]
    assert call(report, "lseek")["values"][0] == {"values": "SEEK_DATA", "numbers": [3], "count": 1, "failed": 1}
    assert any("MAP_PRIVATE" in value["values"] for value in call(report, "mmap")["values"])


def test_host_operations_belong_to_calls(report: dict[str, Any]) -> None:
    assert call(report, "openat")["host"]["tree.open"]["count"] >= 1
    assert call(report, "getppid")["host"] == {}
    assert report["host_operations"]["file.pread"]["count"] >= 1


def test_gaps_have_a_site(report: dict[str, Any], asking: Path) -> None:
    gap = next(gap for gap in report["gaps"] if gap["what"] == "socket family")
    assert (gap["value"], gap["count"], gap["kind"]) == (17, 1, "not served")
    assert gap["site"]["symbol"].startswith("socket+")
    assert "/libc" in gap["site"]["file"]
    assert gap["site"]["called_from"].startswith("main+") and gap["site"]["called_from"].endswith(str(asking))


def test_the_verdict_names_what_decides(report: dict[str, Any]) -> None:
    verdict = report["verdicts"]["wsl1"]
    assert verdict["verdict"] == "no"
    deciding = [finding for finding in verdict["findings"] if finding["effect"] == "decides"]
    assert [finding["call"] for finding in deciding] == ["memfd_create"]
    assert "microsoft/WSL#3542" in deciding[0]["source"]
    others = {finding["what"]: finding["effect"] for finding in verdict["findings"]}
    assert others["socket(AF_PACKET)"] == "fallback"  # it failed here, too
    assert report["verdicts"]["gvisor"]["verdict"] == "yes"


@linux_only
def test_text_goes_beside_the_output_of_the_program() -> None:
    done = cover("sh", "-c", "echo out; exit 3")
    assert (done.stdout, done.returncode) == ("out\n", 3)
    assert done.stderr.startswith("coverage of sh -c echo out; exit 3: exit status 3; ")
    assert "\nWSL 1: yes" in done.stderr


@linux_only
def test_death_by_a_signal_is_reported_and_passed_on() -> None:
    done = cover("sh", "-c", "kill -TERM $$")
    assert done.returncode == -15
    assert "killed by signal 15" in done.stderr


@linux_only
def test_html_of_a_run(tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    assert cover("--output", "run.html", "true", cwd=tmp_path, env=None).returncode == 0
    from tests.unit.test_reports import Checker
    checker = Checker()
    checker.feed(page.read_text())
    checker.close()
    payload = json.loads(next(data for data in checker.data.values() if data.startswith('{"table"')))
    assert payload["run"]["command"] == ["true"]
    assert "table" not in payload["run"]


def test_symbols_of_the_interpreter() -> None:
    if sys.platform != "linux":
        pytest.skip("reads an ELF file")
    table = Symbols(sys.executable)
    assert table.segments
    address, _, name = next(entry for entry in table.functions if entry[1] > 16)
    start, _, base = next(segment for segment in table.segments if segment[2] <= address < segment[2] + segment[1])
    assert table.name(address - base + start + 4) == f"{name}+0x4"
    assert Symbols("/nosuch").name(0) == ""


# --- verdicts without running anything

def seen(name: str, *values: int, count: int = 1, errors: dict[str, int] | None = None) -> Tally:
    tally = Tally(CALLS[name], HERE)
    tally.count = count
    tally.errors = errors or {}
    if values:
        tally.values[values] = [count, sum(tally.errors.values())]
    return tally


def judged(*tallies: Tally, ended_well: bool = True) -> dict[str, dict[str, Any]]:
    recorder = Recorder()
    recorder.calls = {tally.record.number: tally for tally in tallies}
    return judge_all(recorder, ended_well)


def test_a_plain_program_runs_everywhere() -> None:
    verdicts = judged(seen("read", count=5), seen("write"), seen("exit_group"))
    assert {verdict["verdict"] for verdict in verdicts.values()} == {"yes"}
    assert all(not verdict["findings"] for verdict in verdicts.values())


def test_what_has_a_fallback_does_not_decide() -> None:
    wsl1 = judged(seen("read"), seen("rseq"), seen("statx"))["wsl1"]
    assert wsl1["verdict"] == "yes"
    assert {finding["call"] for finding in wsl1["findings"]} == {"rseq", "statx"}


def test_a_call_that_failed_here_decides_only_when_the_program_failed() -> None:
    tally = seen("msgget", errors={"ENOSYS": 1})
    assert judged(tally)["wsl1"]["verdict"] == "yes"
    assert judged(tally, ended_well=False)["wsl1"]["verdict"] == "no"


@pytest.mark.parametrize(("name", "values", "answer"), [
    ("unshare", (0x10000000,), "EINVAL"),
    ("fcntl", (37,), "EINVAL"),
    ("mmap", (3, 0x2022, 0), "EOPNOTSUPP"),
])
def test_arguments_that_wsl1_refused(name: str, values: tuple[int, ...], answer: str) -> None:
    tally = seen(name)
    indexes = tally.indexes
    tally.values[(values + (0, 0, 0))[:len(indexes)]] = [1, 0]
    findings = judged(tally)["wsl1"]["findings"]
    assert [finding["answer"] for finding in findings] == [answer]


def test_files_that_nobody_misses_do_not_decide() -> None:
    recorder = Recorder()
    recorder.paths = {b"/sys/kernel/mm/transparent_hugepage/enabled": ("openat", True), b"/dev/fuse": ("openat", True)}
    findings = judge_all(recorder, True)["wsl1"]["findings"]
    assert [(finding["what"], finding["effect"]) for finding in findings] == [("/dev/fuse", "decides")]


def test_socket_options_are_pairs() -> None:
    tally = seen("setsockopt", 1, 15)
    findings = judged(tally)["wsl1"]["findings"]
    assert [finding["what"] for finding in findings] == ["setsockopt(SO_REUSEPORT)"]
    assert judged(tally)["wsl1"]["verdict"] == "probably"


def test_calls_newer_than_the_lists_are_doubtful() -> None:
    record: Syscall = CALLS["mseal"]
    assert judged(seen("mseal"))["gvisor"]["verdict"] == "probably", record.since


@pytest.mark.parametrize(("name", "values", "shown"), [
    ("futex", (128,), "FUTEX_WAIT|FUTEX_PRIVATE_FLAG"),
    ("fcntl", (1030,), "F_DUPFD_CLOEXEC"),
    ("clone", (0x11,), "SIGCHLD"),
    ("ioctl", (0x5401,), "TCGETS"),
    ("prctl", (23,), "PR_CAPBSET_READ"),
    ("setsockopt", (6, 5), "IPPROTO_TCP, TCP_KEEPINTVL"),
    ("setsockopt", (6, 1), "IPPROTO_TCP, TCP_NODELAY"),
])
def test_names_of_values(name: str, values: tuple[int, ...], shown: str) -> None:
    record = CALLS[name]
    assert text(record, counted_arguments(record), values) == shown
