"""`pylx explain CALL`: all that is known of one system call, in words."""

from __future__ import annotations

from syscalls.profiles.load import all_wsl1_rules
from syscalls.profiles.met import plain
from syscalls.reports import facts
from syscalls.reports.rows import LEVEL_WORDS, all_hosts, load_rows
from syscalls.reports.text import unsupported_text
from syscalls.table import TABLE
from translator.hosts.base import PRIMITIVES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from syscalls.reports.rows import Hosts

WIDTH = 100
MARGIN = 12
WSL1_WORDS = {
    "implemented": "implemented (for at least one set of arguments: that is all Microsoft's list says)",
    "partial": "implemented in part",
    "stub": "a stub: accepted without effect",
    "unimplemented": "not implemented: ENOSYS",
    "never listed": "never listed by Microsoft: ENOSYS where anybody tried",
}


def find(rows: list[dict[str, Any]], word: str) -> dict[str, Any] | None:
    """By name or number (decimal, 0x...)."""
    try:
        number = int(word, 0)
    except ValueError:
        return next((row for row in rows if row["name"] == word), None)
    return next((row for row in rows if row["number"] == number), None)


def near(word: str) -> list[str]:
    """Names that look like it, at most three."""
    from difflib import get_close_matches
    names = [record.name for record in TABLE if record is not None]
    return get_close_matches(word, names, n=3, cutoff=0.7)


def explanation(word: str, hosts: Hosts) -> str | None:
    """The text for a call; None when there is no such call."""
    row = find(load_rows(hosts), word)
    if row is None:
        return None
    record = TABLE[row["number"]]
    assert record is not None
    lines = [f"{row['name']}({', '.join(row['args'])})",
             f"number {row['number']}, Linux {row['since']}; served in syscalls/calls/{row['group']}.py", ""]
    lines += paragraph("here", here(row))
    documented = (record.handler.__doc__ or "").split("\n\n")[0]
    if documented and record.support.level not in ("STUB", "REFUSED"):
        lines += paragraph("", " ".join(documented.split()))
    if row["unsupported"]:
        lines += paragraph("not served", unsupported_text(row["unsupported"]))
    lines += [""]
    lines += host_lines(row, hosts)
    lines += [""]
    lines += version_lines(row["name"])
    lines += wsl1_lines(row)
    lines += [""]
    lines += other_lines(row)
    return "\n".join(lines) + "\n"


def here(row: dict[str, Any]) -> str:
    if row["level"] == "PARTIAL":
        text = f"PARTIAL: as Linux does, but: {row['note']}"
    else:
        text = f"{row['level']}: {LEVEL_WORDS[row['level']]}"
        if row["errno"]:
            from syscalls.abi.errno import NAMES
            text += f", with {NAMES.get(row['errno'], row['errno'])}"
        if row["note"]:
            text += f": {row['note']}"
    return text + ("; may sleep" if row["sleeps"] else "")


def paragraph(head: str, text: str, hang: int = 0) -> list[str]:
    """A heading in the margin and its text, folded; further lines are indented by `hang`."""
    from textwrap import wrap
    folded = wrap(text, WIDTH - MARGIN, break_long_words=False, break_on_hyphens=False,
                  subsequent_indent=" " * hang) or [""]
    return [f"{(head + ' ' if index == 0 else '').ljust(MARGIN)}{line}" for index, line in enumerate(folded)]


def host_lines(row: dict[str, Any], hosts: Hosts) -> list[str]:
    if row["level"] in ("STUB", "REFUSED"):
        return paragraph("hosts", "none serves it")
    if not row["needs"]:
        return paragraph("hosts", "the kernel's own: it asks nothing of a host, and works on any")
    everywhere = all_hosts(hosts)
    known = facts.by("primitives", "primitive")
    lines = []
    for index, name in enumerate(row["needs"]):
        lines += paragraph("needs" if index == 0 else "", f"{name}: {PRIMITIVES[name]}")
        for host, table in everywhere.items():
            capability = table[name]
            note = f": {capability.note}" if capability.note else ""
            source = f" ({known[name]['source']})" if host == "nt" and capability.level != "native" else ""
            lines += paragraph("", f"- {host} {capability.level}{note}{source}", 2)
    return lines


def wsl1_lines(row: dict[str, Any]) -> list[str]:
    listed = facts.by("wsl1_calls", "name").get(row["name"])
    text = WSL1_WORDS[row["wsl1"]]
    if listed is not None:
        builds = listed["release_note_builds"]
        text += f"; release notes of build {builds}" if builds != "-" else ""
        text += f"; evidence: {listed['counter_evidence']}" if listed["counter_evidence"] != "-" else ""
    lines = paragraph("WSL 1", text)
    rules = all_wsl1_rules(row["name"])
    for rule in rules:
        lines += paragraph("", f"- {rule.title or 'every call'} -> {rule.answer_text}{rule.builds_text}: "
                               f"{plain(rule.reason)} ({rule.source})", 2)
    told = issues(" ".join(rule.source for rule in rules))
    seen = set(told)
    for gap in facts.gaps_of(row["name"]):
        if issues(gap["source"]) & told:
            continue  # a rule says it, with the answer
        seen |= issues(gap["source"])
        lines += paragraph("", f"- {gap['feature']}: {gap['linux syscalls/interfaces involved']}; "
                               f"{plain(gap['why on NT'])} ({gap['source']})", 2)
    for result in facts.results_of(row["name"]):
        if not issues(result["source"]) & seen:
            lines += paragraph("", f"- seen: {result['operation']} -> {result['result on WSL 1']}, "
                                   f"{result['seen at']} ({result['source']})", 2)
    return lines + ltp_lines(row["name"])


def issues(source: str) -> set[str]:
    """What a source cites: issues, and tests of the Linux Test Project."""
    import re
    return set(re.findall(r"#\d+|\b[a-z_]+\d\d\b", source))


def ltp_lines(name: str) -> list[str]:
    results = facts.ltp_of(name)
    if not results:
        return []
    passed = sum(result == "PASS" for result in results.values())
    text = f"- Linux Test Project, build {facts.LTP_BUILDS[-1]}: {passed} of {len(results)} tests pass"
    words = (("FAIL", "failed"), ("CONF", "not applicable, or the call was not there"))
    for result, meaning in words:
        named = [test for test, seen in results.items() if seen == result
                 and not (test.endswith("_64") and results.get(test.removesuffix("_64")) == result)]
        if named:
            text += f"; {meaning}: {', '.join(named)}"
    return paragraph("", text, 2)


def version_lines(name: str) -> list[str]:
    """Flags that are younger than their call."""
    rows = [row for row in facts.table("linux_since") if row["call"] == name]
    if not rows:
        return []
    rows.sort(key=lambda row: facts.version(row["since"]))
    return [*paragraph("by version", ", ".join(f"{row['title']} {row['since']}" for row in rows)), ""]


def other_lines(row: dict[str, Any]) -> list[str]:
    lacking = [system for system in facts.SYSTEMS if system not in row["others"]]
    newer = facts.version(row["since"]) > facts.LISTS_END
    text = f"it is in the lists of {', '.join(row['others'])}" if row["others"] else "no list has it"
    if lacking and row["others"]:
        text += f"; not of {', '.join(lacking)}"
    if newer:
        text += f"; the lists are of 2023, the call came with Linux {row['since']}"
    lines = paragraph("others", text + " (loupedb)")
    loupe = row["loupe"]
    if loupe:
        lines += paragraph("programs", f"of Loupe's 125 workloads {loupe['used']} use it, {loupe['required']} need it, "
                                       f"{loupe['stubbable']} can do with ENOSYS, {loupe['fakeable']} with success "
                                       "without effect")
    fallback = facts.by("fallbacks", "name").get(row["name"])
    if fallback is not None:
        lines += paragraph("without it", fallback["note"])
    return lines
