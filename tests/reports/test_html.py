"""The HTML form of each kind of report: one file that loads nothing, whose script runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from syscalls.reports import html, rows
from syscalls.reports.required import Outcome, judge
from tests.unit.test_reports import Checker
from translator.commands import hosts

TABLE = rows.document(hosts())


def required_document() -> dict[str, Any]:
    calls = [{"number": 0, "name": "read", "count": 3, "level": "FULL"}]
    found = judge(lambda answers, number: Outcome(1 if answers else 0, b"", 5), calls, False, 1)
    return {"kind": "required", "command": ["true"], "programs": [], "timeout_s": 10, **found, "table": TABLE}


def static_document() -> dict[str, Any]:
    pytest.importorskip("capstone")
    from syscalls.reports.static import scan
    from syscalls.reports.static.document import document
    found = scan.collect([sys.executable])
    return document(found, scan.run(found, 1), hosts(), [sys.executable])


def run_document(folder: Path) -> dict[str, Any]:
    output = folder / "run.json"
    subprocess.run([sys.executable, "-m", "translator.cli", "--engine", "auto", "coverage", "--output", str(output),
                    "sh", "-c", "ls /usr | sort; true"], capture_output=True, timeout=120, check=True)
    read: dict[str, Any] = json.loads(output.read_text())
    return read


@pytest.fixture(scope="module", params=["table", "required", "run", "static"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    if request.param in ("run", "static") and sys.platform != "linux":
        pytest.skip("runs and reads programs of this machine")
    made = {"table": lambda: TABLE, "required": required_document, "static": static_document,
            "run": lambda: run_document(tmp_path_factory.mktemp("page"))}[request.param]()
    return request.param, html.page(made)


def test_the_page_is_whole_and_loads_nothing(page: tuple[str, str]) -> None:
    kind, text = page
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    assert not re.search(r'<(?:script|link|img|iframe)[^>]*\b(?:src|href)=|@import|url\(', text)
    payload = json.loads(next(data for data in checker.data.values() if data.startswith('{"table"')))
    for name in html.KINDS:
        assert (payload[name] is not None) == (name == kind)
    assert len(payload["table"]["calls"]) == 384
    script = next(data for data in checker.data.values() if "use strict" in data)
    assert set(re.findall(r'\$\("([a-z]+)"\)', script)) <= set(checker.ids)
    assert max(map(len, script.splitlines())) <= 120


def test_the_script_parses(page: tuple[str, str], tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    script = page[1].rpartition("<script>")[2].partition("</script>")[0]
    (tmp_path / "script.js").write_text(script)
    done = subprocess.run([node, "--check", tmp_path / "script.js"], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr


def test_the_page_is_drawn_in_a_browser(page: tuple[str, str], tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs chromium")
    (tmp_path / "page.html").write_text(page[1])
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=2000", "--dump-dom",
         f"file://{tmp_path / 'page.html'}"], capture_output=True, text=True, timeout=90, check=False)
    drawn = done.stdout.rpartition('<div class="map"')[2].partition('id="data"')[0]
    assert drawn.count("<button") >= 384, done.stderr[-1000:]
    assert drawn.count("<tr") == 385
    assert "undefined" not in drawn and "NaN" not in drawn


def test_calls_over_time_add_up(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("runs programs of this machine")
    report = run_document(tmp_path)
    timeline = report["timeline"]
    assert len({len(columns) for columns in timeline["themes"].values()}) == 1
    total = sum(sum(columns) for columns in timeline["themes"].values())
    assert total == report["count"]
    columns = len(next(iter(timeline["themes"].values())))
    assert columns <= 120 and columns * timeline["step_ns"] <= 2.1 * report["wall_ns"] + timeline["step_ns"]


@pytest.mark.skipif(sys.platform != "linux", reason="the page has the hosts of Linux")
def test_the_compatibility_page_is_up_to_date(tmp_path: Path) -> None:
    from translator.cli import main
    assert main(["coverage", "--output", str(tmp_path / "page.md")]) == 0
    page = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"
    assert (tmp_path / "page.md").read_text() == page.read_text(), "run `make docs`"
