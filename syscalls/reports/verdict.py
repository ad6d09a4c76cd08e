"""Would this program have run on another system?  The calls it made against what that system is known to support.

A call that is not there does not stop every program.  In order: what this run itself showed (the call failed here,
too, and the program ended well), what programs are known to do without it (`data/fallbacks.tsv`), how often Loupe
found it required; what none of these excuses decides.
"""

from __future__ import annotations

from re import match

from syscalls.abi.errno import NAMES
from syscalls.profiles.load import wsl1_rules
from syscalls.profiles.paths import pattern
from syscalls.profiles.rules import AFTER, Rule
from syscalls.reports import facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from syscalls.profiles.met import Met
    from syscalls.reports.measure import Recorder, Tally

SELDOM = 0.2
"""Loupe: a call required by less than this part of the workloads that use it seldom stops a program."""
ENOUGH = 10
"""So many of Loupe's workloads must use a call before their share says something."""
SHOWN = {"gvisor": "gVisor", "freebsd": "FreeBSD"}
DECIDES, DIFFERS, FALLBACK = "decides", "differs", "fallback"


def judge_all(recorder: Recorder, ended_well: bool) -> dict[str, dict[str, Any]]:
    return {"wsl1": wsl1(recorder, ended_well), "gvisor": listed("gvisor", recorder, ended_well),
            "freebsd": listed("freebsd", recorder, ended_well)}


def _verdict(system: str, findings: list[dict[str, Any]], basis: str) -> dict[str, Any]:
    order = {DECIDES: 0, DIFFERS: 1, FALLBACK: 2}
    findings.sort(key=lambda finding: order[finding["effect"]])
    effects = {finding["effect"] for finding in findings}
    if DECIDES in effects:
        verdict, words = "no", "would not have run as it did here"
    elif DIFFERS in effects:
        verdict, words = "probably", "would probably have run: some of what it uses behaves otherwise"
    elif findings:
        verdict, words = "yes", "would have run, with fallbacks for what is missing"
    else:
        verdict, words = "yes", "would have run: every call it made is there"
    return {"system": system, "verdict": verdict, "words": words, "findings": findings, "basis": basis}


def missing(tally: Tally, answer: str, ended_well: bool) -> dict[str, Any]:
    """The finding for a call that a system lacks."""
    name = tally.record.name
    found: dict[str, Any] = {"call": name, "what": name, "count": tally.count, "answer": answer, "source": ""}
    failed = sum(tally.errors.values())
    if ended_well and failed == tally.count:
        return found | {"effect": FALLBACK, "reason": f"it failed here, too ({', '.join(tally.errors)}), and the "
                                                      "program went on"}
    known = facts.by("fallbacks", "name").get(name)
    if known is not None:
        return found | {"effect": DECIDES if known["effect"] == "decides" else FALLBACK, "reason": known["note"]}
    loupe = facts.by("loupe_calls", "name").get(name)
    if loupe is not None and int(loupe["used"]) >= ENOUGH and int(loupe["required"]) < SELDOM * int(loupe["used"]):
        share = f"{loupe['required']} of the {loupe['used']} workloads"
        return found | {"effect": FALLBACK, "reason": f"required by {share} that use it (Loupe)"}
    return found | {"effect": DECIDES, "reason": "no other way is known"}


def missing_on_wsl1(tally: Tally, ended_well: bool) -> dict[str, Any] | None:
    """The finding for a call that WSL 1 lacked, with the reason on NT where one is known; None for one that it had."""
    name = tally.record.name
    status = facts.wsl1_status(name)
    if status not in ("unimplemented", "never listed"):
        return None
    found = missing(tally, "ENOSYS", ended_well)
    gaps = facts.gaps_of(name)
    if gaps:
        found["reason"] += f"; on NT: {gaps[0]['why on NT']}"
        found["source"] = gaps[0]["source"]
    elif status == "never listed":
        found["reason"] += f"; never listed (Linux {tally.record.since}, WSL 1 showed 4.4)"
    return found


def wsl1(recorder: Recorder, ended_well: bool) -> dict[str, Any]:
    findings = []
    for tally in recorder.calls.values():
        found = missing_on_wsl1(tally, ended_well)
        if found is not None:
            findings.append(found)
        findings += argument_findings(tally, ended_well)
    for path, (call, opened) in recorder.paths.items():
        for row in facts.table("wsl1_paths"):
            if row["effect"] != "none" and match(pattern(row["prefix"]), path):
                findings.append({
                    "call": call, "what": path.decode("utf-8", "backslashreplace"), "count": 1, "answer": row["result"],
                    "source": row["source"], "reason": row["reason"],
                    "effect": FALLBACK if not opened and ended_well else
                    DIFFERS if row["effect"] == DECIDES and row["result"] != "ENOENT" else row["effect"]})
    for kind, ended in recorder.file_systems.items():
        if kind not in (b"tmpfs", b"proc", b"sysfs", b"devpts", b""):
            findings.append({"call": "mount", "what": f"file system {kind.decode('utf-8', 'backslashreplace')}",
                             "count": 1, "answer": "ENODEV", "effect": FALLBACK if ended != "ok" and ended_well
                             else DECIDES, "source": "WSL#131, #85",
                             "reason": "lxcore has volfs, drvfs, tmpfs, procfs, sysfs, cgroupfs and binfmt only"})
    if recorder.watched is not None:
        findings += watched_findings(recorder.watched, ended_well)
    return _verdict("WSL 1", findings, f"{facts.source('wsl1_calls')}; {facts.source('wsl1_rules')}")


def watched_findings(met: Met, ended_well: bool) -> list[dict[str, Any]]:
    """What WSL 1 would have answered otherwise because of the state of the kernel."""
    return [{"call": each.rule.call, "what": each.rule.what, "count": each.count, "answer": each.rule.answer_text,
             "effect": FALLBACK if ended_well and each.failed == each.count else each.rule.effect,
             "reason": each.rule.reason, "source": each.rule.source}
            for each in met.sorted() if isinstance(each.rule, Rule) and each.rule.call != "mount"]


def argument_findings(tally: Tally, ended_well: bool) -> list[dict[str, Any]]:
    """Arguments of a call that WSL 1 answered otherwise than Linux."""
    out = []
    for rule in wsl1_rules(tally.record.name):
        if rule.effect == "none":
            continue
        count = failed = 0
        for values, (times, bad) in tally.values.items():
            if rule.matches_known(dict(zip(tally.indexes, values, strict=False))):
                count += times
                failed += bad
        if rule.when == "-":
            count, failed = tally.count, sum(tally.errors.values())
        if rule.kind == AFTER:
            # Only where the answer here was the one that WSL 1 gave another for.
            count = tally.errors.get(NAMES.get(rule.errno, ""), 0) if count else 0
            failed = 0
        if count:
            effect = FALLBACK if ended_well and failed == count else rule.effect
            out.append({"call": rule.call, "what": rule.what, "count": count, "answer": rule.answer_text,
                        "effect": effect, "reason": rule.reason, "source": rule.source})
    return out


def missing_in_list(known: frozenset[str], tally: Tally, ended_well: bool) -> dict[str, Any] | None:
    """The finding for a call that is not in a system's list, None for one that is."""
    record = tally.record
    if record.name in known:
        return None
    found = missing(tally, "ENOSYS", ended_well)
    if facts.version(record.since) > facts.LISTS_END and found["effect"] == DECIDES:
        found |= {"effect": DIFFERS, "reason": f"newer (Linux {record.since}) than the list, which says nothing"}
    return found


def listed(system: str, recorder: Recorder, ended_well: bool) -> dict[str, Any]:
    """A system of which only the names of the supported calls are known."""
    known = facts.supported_calls(facts.SYSTEMS[system])
    findings = []
    for tally in recorder.calls.values():
        found = missing_in_list(known, tally, ended_well)
        if found is not None:
            findings.append(found)
    return _verdict(SHOWN[system], findings, facts.source("os_support"))


__all__ = ["judge_all", "listed", "wsl1"]
