"""The report of one run, as one JSON object and as text."""

from __future__ import annotations

from syscalls.profiles.met import plain
from syscalls.reports import rows as table_rows
from syscalls.reports.sites import shown, words
from syscalls.reports.text import columns, plural
from syscalls.reports.values import text as values_text
from syscalls.reports.verdict import judge_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from syscalls.kernel import Kernel
    from syscalls.profiles.profile import Profile
    from syscalls.reports.measure import Recorder, Tally
    from syscalls.reports.rows import Hosts

SHOWN_CALLS = 30
SHOWN_VALUES = 20
VALUES_OF = ("ioctl", "fcntl", "prctl", "arch_prctl", "futex", "setsockopt", "getsockopt", "socket", "clone", "clone3",
             "unshare", "openat2", "memfd_create", "madvise", "renameat2", "fallocate", "bpf", "keyctl", "mremap")
"""Calls whose values the text shows; the other forms have those of all calls."""


def document(recorder: Recorder, kernel: Kernel, hosts: Hosts, command: list[str], root: str = "") -> dict[str, Any]:
    """`root`: the host directory that is the guest's `/`, "" for the host's own."""
    status = kernel.init.exit_status
    calls = [call_report(tally, root) for tally in recorder.calls.values()]
    calls.sort(key=lambda call: (-call["count"], call["number"]))
    host: dict[str, list[int]] = {}
    for tally in recorder.calls.values():
        for label, (count, took) in tally.host.items():
            total = host.setdefault(label, [0, 0])
            total[0] += count
            total[1] += took
    return {
        "kind": "run",
        "command": command,
        "engine": type(kernel.engine).__name__.removesuffix("Engine").lower(),
        "host": kernel.host.name,
        "exit_status": status >> 8 & 0xFF,
        "signal": status & 0x7F,
        "wall_ns": recorder.ended_ns - recorder.started_ns,
        "kernel_ns": sum(call["kernel_ns"] for call in calls),
        "processes": recorder.processes,
        "programs": [path.decode("utf-8", "backslashreplace") for path in recorder.programs],
        "count": sum(call["count"] for call in calls),
        "calls": calls,
        "unknown": {str(number): count for number, count in recorder.unknown.items()},
        "timeline": timeline(recorder),
        "host_operations": operations({label: (count, took) for label, (count, took) in host.items()}),
        "outside": operations(recorder.outside),
        "gaps": gaps(recorder, kernel, root),
        "profile": profile_report(kernel.profile) if kernel.profile is not None else None,
        "verdicts": judge_all(recorder, status == 0),
        "table": table_rows.document(hosts),
    }


def timeline(recorder: Recorder) -> dict[str, Any]:
    """Calls over the time of the run: for each theme the count in each column of `step_ns`."""
    columns = 1 + max((column for column, _ in recorder.timeline), default=0)
    themes: dict[str, list[int]] = {}
    for (column, number), count in recorder.timeline.items():
        theme = table_rows.theme(recorder.calls[number].record)
        themes.setdefault(theme, [0] * columns)[column] += count
    return {"step_ns": recorder.column_ns, "themes": themes}


def operations(counted: dict[str, tuple[int, int]]) -> dict[str, dict[str, int]]:
    return {label: {"count": count, "ns": took} for label, (count, took) in
            sorted(counted.items(), key=lambda item: -item[1][0])}


def call_report(tally: Tally, root: str) -> dict[str, Any]:
    record = tally.record
    values = sorted(tally.values.items(), key=lambda item: -item[1][0])
    return {
        "number": record.number, "name": record.name, "level": record.support.level, "note": record.support.note,
        "count": tally.count, "errors": dict(sorted(tally.errors.items(), key=lambda item: -item[1])),
        "kernel_ns": tally.kernel_ns, "longest_ns": tally.longest_ns,
        "waited_ns": tally.waited_ns,
        "host": operations(tally.host),
        "values": [{"values": values_text(record, tally.indexes, seen), "numbers": list(seen), "count": count,
                    "failed": failed} for seen, (count, failed) in values],
        "site": shown(tally.site, root),
    }


def profile_report(profile: Profile) -> dict[str, Any]:
    """The profile that the run had, and what the program met of it."""
    return {"name": profile.name, "title": profile.title, "met": [
        {"what": met.rule.what, "answer": met.rule.answer_text, "count": met.count, "first": met.comm,
         "effect": met.rule.effect, "reason": met.rule.reason, "source": met.rule.source}
        for met in profile.met.sorted()], "lines": profile.met.lines()}


def gaps(recorder: Recorder, kernel: Kernel, root: str) -> list[dict[str, Any]]:
    """What the program asked for and did not get: calls, flags, codes; and what was accepted without effect."""
    out = []
    told = set()
    for gap in kernel.gaps.values():
        what, value = gap.what, gap.value
        kind = "not served"
        reason = ""
        if what == "syscall":
            tally = recorder.calls.get(value)
            told.add(value)
            what = tally.record.name if tally is not None else f"system call {value}"
            reason = tally.record.support.note if tally is not None else "a number that Linux does not use"
        site = recorder.gap_sites.get((gap.what, gap.value))
        out.append({"kind": kind, "what": what, "value": value, "count": gap.count, "reason": reason,
                    "site": shown(site, root) if site is not None else None})
    for tally in recorder.calls.values():
        record = tally.record
        level = record.support.level
        if level in ("STUB", "REFUSED", "FAKE") and record.number not in told:
            kind = "without effect" if level == "FAKE" else "not served"
            out.append({"kind": kind, "what": record.name, "value": record.number, "count": tally.count,
                        "reason": record.support.note, "site": shown(tally.site, root)})
    return sorted(out, key=lambda gap: (gap["kind"], -gap["count"]))


# --- text

def time_text(ns: int) -> str:
    if ns < 10_000:
        return f"{ns} ns"
    if ns < 10_000_000:
        return f"{ns / 1000:,.0f} us"
    return f"{ns / 1e6:,.1f} ms" if ns < 10_000_000_000 else f"{ns / 1e9:,.1f} s"


def text(report: dict[str, Any]) -> str:
    ended = f"killed by signal {report['signal']}" if report["signal"] else f"exit status {report['exit_status']}"
    lines = [f"coverage of {' '.join(report['command'])}: {ended}; {plural(report['count'], 'system call')} of "
             f"{len(report['calls'])} kinds, {plural(report['processes'], 'process')}, "
             f"{time_text(report['wall_ns'])} ({time_text(report['kernel_ns'])} in the kernel); engine "
             f"{report['engine']}, host {report['host']}", ""]
    lines += call_lines(report["calls"]) + [""]
    lines += value_lines(report["calls"])
    lines += gap_lines(report["gaps"])
    lines += profile_lines(report["profile"])
    for verdict in report["verdicts"].values():
        lines += verdict_lines(verdict)
    return "\n".join(lines) + "\n"


def call_lines(calls: list[dict[str, Any]]) -> list[str]:
    shown = len(calls) if len(calls) <= SHOWN_CALLS + 5 else SHOWN_CALLS
    cells = [["calls", "failed", "ns/call", "slept", "host ops", "name", "level", "errors; host operations"]]
    for call in calls[:shown]:
        count = call["count"]
        asked = sum(operation["count"] for operation in call["host"].values())
        errors = " ".join(f"{name}={times}" for name, times in call["errors"].items())
        asked_for = " ".join(f"{label}={operation['count']}" for label, operation in list(call["host"].items())[:3])
        cells.append([f"{count:,}", str(sum(call["errors"].values()) or ""), f"{call['kernel_ns'] // max(1, count):,}",
                      time_text(call["waited_ns"]) if call["waited_ns"] > 100_000 else "",
                      f"{asked:,}" if asked else "", call["name"], call["level"],
                      "; ".join(filter(None, (errors, asked_for)))])
    lines = columns(cells, right=(0, 1, 2, 3, 4))
    rest = calls[shown:]
    if rest:
        lines.append(f"and {sum(call['count'] for call in rest):,} calls of {len(rest)} more kinds: "
                     + " ".join(call["name"] for call in rest))
    return lines


def value_lines(calls: list[dict[str, Any]]) -> list[str]:
    cells = [[f"{value['count']:,}", f"{value['failed']} failed" if value["failed"] else "",
              f"{call['name']}({value['values']})"]
             for call in calls if call["name"] in VALUES_OF for value in call["values"]]
    if not cells:
        return []
    cells.sort(key=lambda row: -int(row[0].replace(",", "")))
    lines = ["flags, commands and codes:", *columns(cells[:SHOWN_VALUES], right=(0,))]
    if len(cells) > SHOWN_VALUES:
        lines.append(f"and {len(cells) - SHOWN_VALUES} more (--format json has all)")
    return [*lines, ""]


def gap_lines(found: list[dict[str, Any]]) -> list[str]:
    if not found:
        return ["gaps met: none", ""]
    lines = ["gaps met:"]
    for gap in found:
        value = "" if gap["what"].isidentifier() and gap["reason"] else f" {gap['value']:#x}"
        times = "once" if gap["count"] == 1 else f"{gap['count']:,} times"
        reason = f": {gap['reason']}" if gap["reason"] else ""
        lines.append(f"  {gap['kind']}: {gap['what']}{value}, {times}{reason}")
        if gap["site"] is not None:
            lines.append(f"      first by {gap['site']['comm']} at {words(gap['site'])}")
    return [*lines, ""]


def profile_lines(profile: dict[str, Any] | None) -> list[str]:
    if profile is None:
        return []
    met = profile["lines"] or ["nothing: every answer was this kernel's own"]
    return [f"profile {profile['title']}, what the program met of it:",
            *(f"  {line.removeprefix(profile['name'] + ': ')}" for line in met), ""]


def verdict_lines(verdict: dict[str, Any]) -> list[str]:
    lines = [f"{verdict['system']}: {verdict['verdict']} - {verdict['words']}"]
    serious = [finding for finding in verdict["findings"] if finding["effect"] != "fallback"]
    mild = [finding for finding in verdict["findings"] if finding["effect"] == "fallback"]
    for finding in serious[:5]:
        source = f" ({finding['source']})" if finding["source"] not in ("", "-") else ""
        lines.append(f"  {finding['effect']}: {finding['what']} -> {finding['answer']}: "
                     f"{plain(finding['reason'])}{source}")
    if len(serious) > 5:
        lines.append(f"  and {len(serious) - 5} more")
    if mild:
        lines.append(f"  missing, done without: {', '.join(finding['what'] for finding in mild)}")
    return lines
