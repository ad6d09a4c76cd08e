"""The bench harness: what it writes, what it makes, and what it does with runs that give no figure."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import generate, report
from bench.contenders import Contender
from bench.measure import Cell, Failed, run_once
from bench.rows import Row, rows

NATIVE, PEER, OTHER = Contender("native", ()), Contender("peer", ("/opt/peer", "-f")), Contender("other", ("other",))
FACTS = {"machine": {"cpu": "X", "cpus": 2, "kernel": "6.1", "python": "3.11", "memory_gib": 4.0}, "date": "2026-01-01",
         "rounds": 3, "peers": {"peer": "1.2.3"}, "load_before": 0.1, "load_after": 0.2, "minutes": 3.0,
         "file_system": "tmpfs"}


def results() -> tuple[list[Row], dict[str, dict[str, Cell]]]:
    measured = [Row("one", "workload", ["one"]), Row("two", "micro", ["two"], prints=True), Row("three", "start", [""])]
    return measured, {
        "one": {"native": Cell([0.5, 0.4, 0.6]), "peer": Cell([2.0, 1.5, 1.75]), "other": Cell([], "over 60 s")},
        "two": {"native": Cell([100.0]), "peer": Cell([25_000.0])},
        "three": {"native": Cell([0.001]), "peer": Cell([], "status 1: no"), "other": Cell([0.002, 0.004])},
    }


def test_cells_show_median_ratio_and_spread() -> None:
    measured, cells = results()
    assert report.table(measured, [NATIVE, PEER, OTHER], cells, "workload").splitlines()[2] == (
        "| one | 500 ms (400 ms to 600 ms) | 1.75 s **3.5x** (1.50 s to 2.00 s) | > 60 s |")
    assert report.table(measured, [NATIVE, PEER, OTHER], cells, "micro").splitlines()[2] == (
        "| two | 100 ns (once) | 25.0 us **250x** (once) | n/a |")


def test_page_and_json_hold_every_row(tmp_path: Path) -> None:
    measured, cells = results()
    template = Path(report.__file__).with_name("bench.md.in")
    costs = {"ptrace": {"stat": (12.34, {"tree.find": 1, "tree.stat": 2})}, "unicorn": {"stat": (9.0, {})}}
    text = report.page(template, measured, [NATIVE, PEER, OTHER], cells, FACTS, costs, "PLOT")
    for part in ("| one |", "| two |", "| three |", "PLOT", "2 x X", "- three, peer: status 1: no",
                 "| stat | 12.3 | 9.0 | tree.find, tree.stat x 2 |"):
        assert part in text
    assert "$" not in text
    data = json.loads(report.as_json(measured, [NATIVE, PEER, OTHER], cells, FACTS, costs))
    assert data["contenders"]["peer"] == "peer -f"
    assert [row["row"] for row in data["rows"]] == ["one", "two", "three"]
    assert data["rows"][0]["cells"]["peer"]["samples"] == [2.0, 1.5, 1.75]


def test_inputs_are_the_same_everywhere() -> None:
    total = hashlib.sha256()
    names = set()
    for name, content in generate.source_files(50, 1_000, 1):
        names.add(name)
        total.update(name.encode() + content)
    assert len(names) == 50
    assert total.hexdigest() == "b16b9f36fd9ecdda6084e66a581dde899000aa38ba016b173e22cb6ddd16acdc"


def test_a_run_over_its_limit_is_ended_with_its_children(tmp_path: Path) -> None:
    row = Row("slow", "start", ["/bin/sh", "-c", "sleep 61.25 & sleep 61.25"])
    start = time.monotonic()
    with pytest.raises(Failed, match="over"):
        run_once(row, NATIVE, tmp_path, 0.3)
    assert time.monotonic() - start < 10


def test_a_failing_run_has_no_figure(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="status 3: sorry"):
        run_once(Row("bad", "start", ["/bin/sh", "-c", "echo sorry; exit 3"]), NATIVE, tmp_path, 10)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="the guest is compiled")
def test_common_calls_ask_the_host_no_more_than_they_must(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.calls", "--engine", "unicorn", "--count", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
                          env={**os.environ, "PYTHONPATH": str(Path(report.__file__).parents[1])})
    calls = json.loads(done.stdout.splitlines()[-1])
    for name in ("stat", "stat, no such file", "statx", "access", "readlink, no link"):
        assert calls[name] == {"tree.find": 1}, name
    for name in ("getppid", "lseek", "rt_sigaction", "futex wake", "mmap and munmap, 64 KiB"):
        assert calls[name] == {}, name
    assert calls["open and close"] == {"tree.find": 1, "tree.open": 1, "file.close": 1}
    assert calls["pread 4 KiB"] == {"file.pread": 1}
    assert calls["pwrite 4 KiB"] == {"file.pwrite": 1}
    assert calls["create, close and unlink"] == {"tree.create": 1, "file.close": 1, "tree.lookup": 1, "tree.unlink": 1}


def test_every_micro_row_has_its_loop() -> None:
    source = Path(report.__file__).with_name("micro.c").read_text(encoding="utf-8")
    loops = [row for row in rows(1) if row.group == "micro"]
    assert loops or sys.platform != "linux" or not os.access("/usr/bin/gcc", os.X_OK)
    assert all(f'{{"{row.name}", ' in source for row in loops)
