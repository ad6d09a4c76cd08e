"""Loupe's applications against the levels."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syscalls.reports import facts, loupe
from syscalls.reports.rows import document
from translator.cli import main
from translator.commands import hosts


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    summary: dict[str, Any] = document(hosts())["loupe"]
    return summary


def test_the_data_is_whole_and_names_its_source() -> None:
    assert len(loupe.applications()) == 116
    assert len(facts.table("loupe_workloads")) == 125
    assert "CC-BY" in facts.source("loupe_workloads") and "loupedb" in facts.source("loupe_workloads")
    for application in loupe.applications().values():
        assert application["required"] <= application["used"]
    # The counts by call that verdicts use are of the same data.
    for row in facts.table("loupe_calls"):
        assert int(row["required"]) == sum(row["name"] in workload["required"].split(",")
                                           for workload in facts.table("loupe_workloads")), row["name"]


def test_systems_are_scored_as_in_the_published_lists(found: dict[str, Any]) -> None:
    scores = {system["system"]: system["satisfied"] for system in found["systems"]}
    assert (scores["gVisor"], scores["FreeBSD"], scores["Graphene"], scores["Fuchsia"]) == (115, 111, 88, 69)
    assert scores["pylx"] >= 115
    assert scores["pylx"] == scores["pylx on linux"] if "pylx on linux" in scores else True
    assert scores["pylx, FULL only"] <= scores["pylx"]


def test_the_next_call_is_the_one_that_satisfies_most(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {name: {"used": frozenset(required), "required": frozenset(required)} for name, required in {
        "a": {"read", "one"}, "b": {"read", "one"}, "c": {"read", "two"}, "d": {"read", "three", "four"}}.items()}
    monkeypatch.setattr(loupe, "applications", lambda: made)
    steps = loupe.next_calls(frozenset({"read"}))
    assert [(step["call"], step["applications"], step["total"]) for step in steps] == [
        ("one", ["a", "b"], 2), ("two", ["c"], 3), ("four", [], 3), ("three", ["d"], 4)]
    assert loupe.lacking(frozenset({"read", "one", "two", "three", "four"})) == {}


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", "--loupe"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Loupe's 116 applications (125 workloads)") and "CC-BY" in shown
    assert main(["coverage", "--loupe", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["applications"] == 116
    assert main(["coverage", "--loupe", "--format", "csv"]) == 125
    assert main(["coverage"]) == 0
    assert "\nLoupe: 11" in capsys.readouterr().out
