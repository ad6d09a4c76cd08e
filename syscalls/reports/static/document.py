"""The report of a static analysis, as one JSON object: for each program its calls, how they are reached, and what
other systems lack of them."""

from __future__ import annotations

import os

from syscalls.profiles.load import wsl1_rules
from syscalls.profiles.rules import AFTER
from syscalls.reports import facts
from syscalls.reports import rows as table_rows
from syscalls.reports.measure import Tally
from syscalls.reports.sites import Site
from syscalls.reports.static.reach import Reach, chain, is_library
from syscalls.reports.static.scan import Scan
from syscalls.reports.values import text as values_text
from syscalls.reports.verdict import (
    DECIDES,
    DIFFERS,
    FALLBACK,
    SHOWN,
    missing_in_list,
    missing_on_wsl1,
)
from syscalls.table import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from syscalls.reports.rows import Hosts

    Constants = set[tuple[tuple[int, int], ...]]

SHOWN_UNKNOWN = 50
SHOWN_LIBRARIES = 20


def document(scan: Scan, found: list[Reach], hosts: Hosts, paths: list[str]) -> dict[str, Any]:
    programs = [program(one, scan.scripts.get(one.program.path, "")) for one in found]
    left_out = [{"path": path, "why": why} for path, why in scan.left_out]
    left_out += [{"path": path, "why": scan.summaries[path].error} for path in scan.programs
                 if scan.summaries[path].error]
    return {
        "kind": "static",
        "paths": paths,
        "programs": programs,
        "left_out": left_out,
        "files": len(scan.summaries),
        "instructions": sum(summary.instructions for summary in scan.summaries.values()),
        "calls": used_by(programs),
        "table": table_rows.document(hosts),
    }


def used_by(programs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each call that some program can make, and how many do."""
    users: dict[int, list[str]] = {}
    for one in programs:
        for call in one["calls"]:
            users.setdefault(call["number"], []).append(one["path"])
    out = []
    for number, paths in sorted(users.items(), key=lambda item: (-len(item[1]), item[0])):
        record = TABLE[number]
        out.append({"number": number, "name": record.name if record else str(number),
                    "level": record.support.level if record else "MISSING",
                    "wsl1": facts.wsl1_status(record.name) if record else "never listed", "programs": len(paths),
                    "first": paths[:5]})
    return out


def program(found: Reach, script: str) -> dict[str, Any]:
    summary = found.program
    reached: dict[int, tuple[int, int]] = {}
    """Number -> the place that makes the call, the first one reached."""
    order = {place: rank for rank, place in enumerate(found.places)}
    unknown = []
    arguments: dict[int, Constants] = {}
    own: dict[int, Constants] = {}
    """Those given outside of the C library, whose own code has other ways."""
    present = set()
    for number, file in enumerate(found.files):
        for function, sites in file.sites.items():
            place = (number, function)
            for call in sites:
                present.add(call)
                if place in order and (call not in reached or order[place] < order[reached[call]]):
                    reached[call] = place
        unknown += [{"file": file.path, "function": file.names[function], "address": address}
                    for function, addresses in file.unknown.items() if (number, function) in order
                    for address in addresses]
        for function, constants in file.arguments.items():
            if (number, function) in order:
                for call, values in constants:
                    arguments.setdefault(call, set()).add(values)
                    if not is_c_library(file.path):
                        own.setdefault(call, set()).add(values)
    mentions: dict[str, str] = {}
    """Name of a file -> the file in whose data it stands first."""
    for file in found.files:
        for prefix in file.mentions:
            mentions.setdefault(prefix, file.path)
    calls = [call_report(found, number, reached[number], arguments.get(number, set())) for number in sorted(reached)]
    return {
        "path": summary.path,
        "script": script,
        "what": what(found),
        "go": summary.go,
        "files": [{"path": file.path, "functions": len(file.names),
                   "reached": sum(place[0] == number and place[1] >= 0 for place in order),
                   "instructions": file.instructions} for number, file in enumerate(found.files)],
        "missing": found.missing,
        "opens": found.opens,
        "may_open": sorted({name for file in found.files if not is_c_library(file.path) for name in file.libraries}
                           - {file.soname for file in found.files})[:SHOWN_LIBRARIES] if found.opens else [],
        "calls": calls,
        "unknown": unknown[:SHOWN_UNKNOWN],
        "unknown_count": len(unknown),
        "present": sorted(name_of(number) for number in present - set(reached)),
        "mentions": [{"path": prefix, "file": path} for prefix, path in mentions.items()],
        "verdicts": judge(sorted(reached), own, mentions),
    }


def is_c_library(path: str) -> bool:
    return os.path.basename(path).startswith(("libc.", "libc-", "ld-"))


def what(found: Reach) -> str:
    summary = found.program
    if summary.go:
        return f"Go program (table of functions of {summary.go})"
    if is_library(summary):
        return "library: all that it exports"
    return "program" if summary.interpreter else "static program"


def name_of(number: int) -> str:
    record = TABLE[number]
    return record.name if record is not None else str(number)


def call_report(found: Reach, number: int, place: tuple[int, int], constants: Constants) -> dict[str, Any]:
    record = TABLE[number]
    file, function = place
    summary = found.files[file]
    steps = [found.files[at].names[index] for at, index in chain(found, place)]
    return {
        "number": number, "name": name_of(number), "level": record.support.level if record else "MISSING",
        "note": record.support.note if record else "", "wsl1": facts.wsl1_status(name_of(number)),
        "site": {"file": summary.path, "function": summary.names[function],
                 "address": summary.sites[function][number]},
        "chain": [step for step in steps if step],
        "values": sorted({value_text(number, values) for values in constants}) if constants else [],
    }


def value_text(number: int, values: tuple[tuple[int, int], ...]) -> str:
    """The arguments known, by name."""
    record = TABLE[number]
    if record is None:
        return ""
    if record.name in ("setsockopt", "getsockopt") and [index for index, _ in values[:2]] != [1, 2]:
        # Without its level an option has no name.
        return ", ".join(f"{record.params[index]}={value}" for index, value in values)
    return values_text(record, tuple(index for index, _ in values), tuple(value for _, value in values))


# --- verdicts

NOWHERE = Site(0, "", 0, "")


def judge(numbers: list[int], arguments: dict[int, Constants], mentions: dict[str, str]) -> dict[str, Any]:
    """What other systems lack of what the program can do.  Whether it comes to that, only a run tells."""
    tallies = [Tally(record, NOWHERE) for number in numbers if (record := TABLE[number]) is not None]
    wsl1 = [finding for tally in tallies if (finding := missing_on_wsl1(tally, False)) is not None]
    wsl1 += [finding for tally in tallies for finding in of_arguments(tally, arguments.get(tally.record.number, set()))]
    rules = facts.by("wsl1_paths", "prefix")
    for prefix, path in mentions.items():
        rule = rules[prefix]
        wsl1.append({"call": "open", "what": prefix, "count": 0, "answer": rule["result"], "reason": rule["reason"],
                     "source": rule["source"], "effect": rule["effect"], "where": os.path.basename(path)})
    out = {"wsl1": verdict("WSL 1", wsl1, facts.source("wsl1_calls"))}
    for system, shown in SHOWN.items():
        known = facts.supported_calls(facts.SYSTEMS[system])
        found = [finding for tally in tallies if (finding := missing_in_list(known, tally, False)) is not None]
        out[system] = verdict(shown, found, facts.source("os_support"))
    return out


def of_arguments(tally: Tally, constants: Constants) -> list[dict[str, Any]]:
    return [{"call": rule.call, "what": rule.what, "count": 0, "answer": rule.answer_text, "effect": rule.effect,
             "reason": rule.reason, "source": rule.source}
            for rule in wsl1_rules(tally.record.name)
            if rule.clauses and rule.kind != AFTER and rule.effect != "none"
            and any(rule.matches_known(dict(values)) for values in constants)]


def verdict(system: str, findings: list[dict[str, Any]], basis: str) -> dict[str, Any]:
    order = {DECIDES: 0, DIFFERS: 1, FALLBACK: 2}
    # Files are only named in the data: what they stand for comes after what the code does.
    findings.sort(key=lambda finding: (order[finding["effect"]], "where" in finding))
    effects = {finding["effect"] for finding in findings}
    if DECIDES in effects:
        name, words = "lacks", "lacks what decides here; whether the program comes to it, only a run tells"
    elif DIFFERS in effects:
        name, words = "probably", "has all calls that it can make, some behave otherwise"
    elif findings:
        name, words = "yes", "has all calls that it can make, or programs do without"
    else:
        name, words = "yes", "has all calls that it can make"
    return {"system": system, "verdict": name, "words": words, "findings": findings, "basis": basis}
