"""The reports of the table: rows, facts, text, CSV, HTML, explain, doctor, and the parsing of their commands."""

from __future__ import annotations

import ast
import csv
import inspect
import io
import json
import re
import sys
import textwrap
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from syscalls.abi.errno import NAMES
from syscalls.reports import explain, facts, html, rows, text
from syscalls.reports.hostcount import counting
from syscalls.table import TABLE
from translator import commands, doctor
from translator.cli import CommandError, main
from translator.hosts import portable_capabilities
from translator.hosts.base import PRIMITIVES

HOSTS = commands.hosts()
DOCUMENT = rows.document(HOSTS)
BY_NAME = {row["name"]: row for row in DOCUMENT["calls"]}


def test_every_declared_call_has_a_row() -> None:
    assert [row["number"] for row in DOCUMENT["calls"]] == [record.number for record in TABLE if record is not None]
    numbers = {row["number"] for row in DOCUMENT["calls"]}
    assert numbers >= {*range(336), *range(424, 472)}


@pytest.mark.parametrize("row", DOCUMENT["calls"], ids=lambda row: row["name"])
def test_a_row_is_whole(row: dict[str, Any]) -> None:
    assert row["level"] in rows.LEVELS
    assert row["wsl1"] in rows.WSL1_LEVELS
    assert set(row["hosts"]) == {*HOSTS, "nt"}
    assert facts.version(row["since"])
    for level in row["hosts"].values():
        assert level["level"] in rows.HOST_LEVELS
        assert level["note"] or level["level"] == "native"
    if row["unsupported"]:
        assert row["level"] != "FULL", "flags are not served, and the level does not say so"
        assert len(set(row["unsupported"].values())) == len(row["unsupported"])
    if row["level"] in ("STUB", "REFUSED"):
        assert row["errno"] in NAMES


def test_needs_name_primitives_of_every_host() -> None:
    known = set(PRIMITIVES)
    assert [row["primitive"] for row in facts.table("primitives")] == list(PRIMITIVES)
    for host, table in rows.all_hosts(HOSTS).items():
        assert set(table) == known, host
        for name, capability in table.items():
            # How it is bridged, at what cost, or why it is not there.
            assert capability.level == "native" or capability.note, (host, name)
    for name, table in HOSTS.items():
        assert set(table) == known, name
    windows = set(portable_capabilities._EVERYWHERE) | set(portable_capabilities._ON_WINDOWS)
    assert windows == known
    for record in TABLE:
        if record is not None:
            assert set(record.needs) <= known, record.name
            assert len(set(record.needs)) == len(record.needs), record.name
    asked = {name for row in DOCUMENT["calls"] for name in row["needs"]}
    assert {"files.tree", "sockets.inet", "clocks.monotonic", "poll.readiness", "files.xattr"} <= asked


def test_calls_that_never_succeed_say_so() -> None:
    always_fail = {"pause", "rt_sigsuspend", "io_cancel"}  # as Linux does: EINTR, EINTR, EINPROGRESS
    for record in TABLE:
        if record is None or record.name in always_fail:
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(record.handler)))
        if not any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(tree)):
            assert record.support.level in ("STUB", "REFUSED"), record.name


def test_levels_of_a_call_on_hosts() -> None:
    assert BY_NAME["getppid"]["hosts"]["nt"]["level"] == "own"
    assert BY_NAME["rename"]["hosts"]["nt"]["level"] == "bridged"
    assert "files.rename-open-dir absent" in BY_NAME["rename"]["hosts"]["nt"]["note"]
    assert BY_NAME["flock"]["hosts"]["nt"]["level"] == "absent"
    assert BY_NAME["setxattr"]["hosts"]["portable"]["level"] == "absent"
    assert BY_NAME["io_uring_setup"]["hosts"]["portable"]["level"] == "unserved"


def test_counts_add_up() -> None:
    counts = DOCUMENT["counts"]
    total = len(DOCUMENT["calls"])
    for name, parts in counts.items():
        if name != "others":
            assert sum(parts.values()) == total, name
    assert counts["level"]["FULL"] > 200
    assert counts["others"]["gvisor"] > 250


def test_facts_name_their_source_and_parse() -> None:
    for path in facts.DATA.glob("*.tsv"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# "), path.name
        width = lines[1].count("\t")
        for line in lines[2:]:
            assert line.count("\t") == width, f"{path.name}: {line}"
        assert facts.table(path.stem)
    assert facts.wsl1_status("mincore") == "unimplemented"
    assert facts.wsl1_status("mlock") == "stub"
    assert facts.wsl1_status("read") == "implemented"
    assert facts.wsl1_status("statx") == "never listed"
    assert any("1443" in row["source"] for row in facts.gaps_of("msgget"))
    assert not facts.gaps_of("getppid")


def test_rules_and_fallbacks_name_calls() -> None:
    names = set(BY_NAME)
    assert {row["name"] for row in facts.table("fallbacks")} <= names
    assert {row["effect"] for row in facts.table("fallbacks")} <= {"none", "fallback", "decides"}
    for rule in facts.table("wsl1_rules"):
        assert rule["call"] in names
        assert rule["effect"] in ("decides", "differs", "fallback", "none")


def test_text_table() -> None:
    lines = text.table(DOCUMENT).splitlines()
    heads = lines[0].split()
    assert heads[:4] == ["nr", "name", "level", "since"]
    line = next(line for line in lines if " memfd_create " in line)
    assert line.split()[:4] == ["319", "memfd_create", "PARTIAL", "3.17"]
    assert "never listed" in line
    assert any(line.startswith("WSL 1: ") and "unimplemented" in line for line in lines)


def test_csv_has_a_line_a_call() -> None:
    read = list(csv.DictReader(io.StringIO(text.csv(DOCUMENT))))
    assert len(read) == len(DOCUMENT["calls"])
    clone = next(row for row in read if row["name"] == "clone")
    assert "CLONE_NEWUSER=0x10000000" in clone["unsupported"]
    assert clone["wsl1"] == "implemented"


def test_json_round_trip() -> None:
    read = json.loads(json.dumps(DOCUMENT))
    assert read["kind"] == "table"
    assert set(read) == {"kind", "calls", "counts", "loupe", "primitives", "sources"}
    call = next(call for call in read["calls"] if call["name"] == "openat2")
    assert {"number", "name", "group", "args", "level", "errno", "note", "since", "sleeps", "unsupported", "needs",
            "hosts", "wsl1", "others", "loupe", "theme"} == set(call)


VOID = {"meta", "input", "br", "link", "img", "hr"}


class Checker(HTMLParser):
    """Tags close in order, and nothing is loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.data: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        assert "src" not in named and "href" not in named, f"<{tag}> loads something"
        assert tag not in ("link", "iframe", "img")
        if named.get("id"):
            self.ids.append(named["id"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.data[f"{self.open[-1]}{len(self.data)}"] = data


def test_html_is_well_formed_and_self_contained() -> None:
    page = html.page(DOCUMENT)
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))
    script = next(data for data in checker.data.values() if "use strict" in data)
    assert set(re.findall(r'\$\("([a-z]+)"\)', script)) <= set(checker.ids)
    payload = json.loads(next(data for data in checker.data.values() if data.startswith('{"table"')))
    assert payload["run"] is None
    assert len(payload["table"]["calls"]) == len(DOCUMENT["calls"])
    memfd = next(call for call in payload["table"]["calls"] if call["name"] == "memfd_create")
    assert memfd["gaps"] and memfd["results"] and memfd["without"]
    assert "@DATA@" not in page and "@TITLE@" not in page
    style = next(data for name, data in checker.data.items() if name.startswith("style"))
    assert "url(" not in style and "@import" not in style


def test_explain_tells_why_on_nt() -> None:
    told = explain.explanation("rename", HOSTS)
    assert told is not None
    joined = " ".join(told.split())
    assert "number 82" in joined and "FULL" in joined
    assert "nt absent: NtSetInformationFile(FileRenameInformation) is refused" in joined
    assert "WSL#1420" in joined
    assert "of Loupe's 125 workloads" in joined
    assert explain.explanation("0x13f", HOSTS) == explain.explanation("memfd_create", HOSTS)
    assert explain.explanation("nosuch", HOSTS) is None
    assert "memfd_create" in explain.near("memfdcreate")


def test_explain_every_call() -> None:
    for row in DOCUMENT["calls"]:
        told = explain.explanation(row["name"], HOSTS)
        assert told is not None and row["level"] in told
        assert max(map(len, told.splitlines()[2:])) <= 140


def test_explain_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "openat"]) == 0
    assert "number 257" in capsys.readouterr().out
    assert main(["explain", "opnat"]) == 125
    assert "did you mean" in capsys.readouterr().err
    assert main(["explain"]) == 125


def test_doctor_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    whats = [line[4:20] for line in lines]
    for wanted in ("Python", "engine unicorn", "memory", "terminal"):
        assert any(what.startswith(wanted) for what in whats), wanted
    if sys.platform == "linux":
        for wanted in ("engine ptrace", "yama", "seccomp", "user namespaces", "openat2"):
            assert any(what.startswith(wanted) for what in whats), wanted
    assert lines[-1].startswith("pylx can run programs here")


def test_doctor_gives_remedies() -> None:
    shown = doctor.report([doctor.Finding("engine unicorn", "not installed", False, "pip install unicorn", engine=True),
                           doctor.Finding("memory", "plenty", True)])
    assert "remedy: pip install unicorn" in shown
    assert shown.endswith("pylx cannot run programs here: no engine works\n")


def test_options_of_the_report_are_taken_out() -> None:
    parsed = commands.parse_coverage(["--format", "json", "--root", "/x", "--trace", "ls", "--format", "z"])
    assert isinstance(parsed, commands.ReportOptions)
    assert (parsed.format, parsed.rest) == ("json", ["--root", "/x", "--trace", "ls", "--format", "z"])
    by_ending = commands.parse_coverage(["--output=a.html", "--", "ls"])
    assert isinstance(by_ending, commands.ReportOptions)
    assert (by_ending.format, by_ending.output, by_ending.rest) == ("html", "a.html", ["--", "ls"])
    with pytest.raises(CommandError):
        commands.parse_coverage(["--output"])


@pytest.mark.parametrize(("words", "message"), [
    (["coverage", "--format", "xml"], "table, json, csv, html"),
    (["coverage", "--format", "csv", "true"], "table, json, html"),
    (["coverage", "--format", "html", "true"], "--output"),
    (["coverage", "--verbose"], "no program was given"),
    (["coverage", "--output", "/nosuch/dir/x.json"], "/nosuch/dir"),
    (["doctor", "x"], "no arguments"),
])
def test_wrong_uses_say_what_is_wanted(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 125
    assert message in capsys.readouterr().err


def test_a_program_of_that_name_is_run_after_two_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--env", "PATH=/nosuch", "--", "doctor"]) == 127
    assert "command not found" in capsys.readouterr().err


class FakeFile:
    name = b"x"

    def pread(self, length: int, offset: int) -> bytes:
        return b"a" * length

    def fileno(self) -> int:
        return 7


class FakeTree:
    def open(self, path: bytes, flags: int, mode: int) -> FakeFile:
        return FakeFile()

    def link_open(self, file: object, new: bytes) -> type:
        return type(file)


def test_host_operations_are_counted_and_objects_handed_back() -> None:
    seen: list[str] = []
    clock = iter(range(0, 1000, 10))
    tree = counting(FakeTree(), "tree", lambda label, took: seen.append(f"{label} {took}"), lambda: next(clock))
    file = tree.open(b"x", 0, 0)
    assert file.pread(3, 0) == b"aaa"
    assert file.fileno() == 7
    assert file.name == b"x"
    assert tree.link_open(file, b"y") is FakeFile
    assert seen == ["tree.open 10", "file.pread 10", "tree.link_open 10"]
    assert counting(None, "file", lambda label, took: None, lambda: 0) is None


def test_hosts_do_not_change_what_a_proxy_offers() -> None:
    plain = SimpleNamespace(level=3)
    assert counting(plain, "host", lambda label, took: None, lambda: 0).level == 3
