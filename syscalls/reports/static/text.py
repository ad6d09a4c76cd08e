"""The report of a static analysis as text."""

from __future__ import annotations

import os

from syscalls.reports.text import columns, plural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHOWN_PROGRAMS = 8
"""With more programs than this the text tells of the tree, not of each."""
SHOWN_FINDINGS = 14
SHOWN_PRESENT = 12
WIDTH = 118


def text(report: dict[str, Any]) -> str:
    programs = report["programs"]
    lines = [f"static coverage: {plural(len(programs), 'program')}, {plural(report['files'], 'file')} disassembled "
             f"({report['instructions']:,} instructions)", ""]
    if len(programs) <= SHOWN_PROGRAMS:
        for program in programs:
            lines += program_lines(program)
    else:
        lines += tree_lines(report)
    for left in report["left_out"]:
        lines.append(f"left out: {left['path']}: {left['why']}")
    return "\n".join(lines).rstrip("\n") + "\n"


def folded(head: str, words: list[str], between: str = " ") -> list[str]:
    from textwrap import wrap
    return wrap(head + between.join(words), WIDTH, subsequent_indent="  ", break_long_words=False,
                break_on_hyphens=False)


def program_lines(program: dict[str, Any]) -> list[str]:
    script = f" (for {program['script']})" if program["script"] else ""
    lines = [f"{program['path']}{script}: {program['what']}; it can make {plural(len(program['calls']), 'call')}"]
    cells = [[f"  {os.path.basename(file['path'])}", f"{file['reached']:,}",
              f"of {file['functions']:,} functions reached"] for file in program["files"]]
    lines += [*columns(cells, right=(1,)), ""]
    for verdict in program["verdicts"].values():
        lines += verdict_lines(verdict)
    lines.append("")
    cells = [["name", "level", "WSL 1", "made in", "reached by"]]
    for call in program["calls"]:
        site = call["site"]
        values = "; ".join(call["values"][:3])
        cells.append([call["name"], call["level"], call["wsl1"],
                      f"{short(site['function']) or hex(site['address'])} in {os.path.basename(site['file'])}",
                      " > ".join(shorter(call["chain"])) + (f"  ({values})" if 0 < len(values) < 60 else "")])
    lines += [*columns(cells), ""]
    if program["unknown_count"]:
        places = [f"{one['function'] or hex(one['address'])} in {os.path.basename(one['file'])}"
                  for one in program["unknown"]]
        lines += folded(f"{plural(program['unknown_count'], 'place')} where the number is computed and stays unknown: ",
                        list(dict.fromkeys(places))[:12], ", ")
    if program["present"]:
        more = ["... (--format json has all)"] if len(program["present"]) > SHOWN_PRESENT else []
        lines += folded(f"{len(program['present'])} more calls are in its files, but nothing reaches them from it: ",
                        program["present"][:SHOWN_PRESENT] + more)
    if program["missing"]:
        lines.append(f"libraries not found: {', '.join(program['missing'])}")
    if program["opens"]:
        named = f"; its files name {', '.join(program['may_open'])}" if program["may_open"] else ""
        lines += folded(f"it can open more libraries as it runs (dlopen), which are not in this: name them, too{named}",
                        [])
    return [*lines, ""]


def short(name: str) -> str:
    """Go's long names without the path of their package, and no more than fits."""
    name = name if len(name) <= 40 else name.rpartition("/")[2]
    return name if len(name) <= 40 else f"{name[:37]}..."


def shorter(chain: list[str]) -> list[str]:
    names = [short(name) for name in chain]
    return names if len(names) <= 5 else [*names[:2], "...", *names[-2:]]


def verdict_lines(verdict: dict[str, Any]) -> list[str]:
    lines = [f"{verdict['system']}: {verdict['words']}"]
    serious = [finding for finding in verdict["findings"] if finding["effect"] != "fallback"]
    mild = [finding for finding in verdict["findings"] if finding["effect"] == "fallback"]
    for finding in serious[:SHOWN_FINDINGS]:
        source = f" ({finding['source']})" if finding["source"] not in ("", "-") else ""
        where = f", named in {finding['where']}" if finding.get("where") else ""
        lines += folded(f"  {finding['effect']}: {finding['what']} -> {finding['answer']}{where}: "
                        f"{finding['reason']}{source}", [])
    if len(serious) > SHOWN_FINDINGS:
        lines += folded("  and ", [finding["what"] for finding in serious[SHOWN_FINDINGS:]], ", ")
    if mild:
        lines += folded("  missing, done without: ", [finding["what"] for finding in mild], ", ")
    return lines


def tree_lines(report: dict[str, Any]) -> list[str]:
    programs = report["programs"]
    cells = [["programs", "name", "level", "WSL 1", "for example"]]
    for call in report["calls"]:
        cells.append([f"{call['programs']:,}", call["name"], call["level"], call["wsl1"],
                      " ".join(os.path.basename(path) for path in call["first"][:3])])
    lines = [*columns(cells, right=(0,)), ""]
    for system in ("wsl1", "gvisor", "freebsd"):
        kinds: dict[str, int] = {}
        deciding: dict[str, int] = {}
        for program in programs:
            verdict = program["verdicts"][system]
            kinds[verdict["verdict"]] = kinds.get(verdict["verdict"], 0) + 1
            for what in {finding["what"] for finding in verdict["findings"] if finding["effect"] == "decides"}:
                deciding[what] = deciding.get(what, 0) + 1
        shown = programs[0]["verdicts"][system]["system"]
        lines.append(f"{shown}: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(),
                                                                                          key=lambda item: -item[1])))
        most = sorted(deciding.items(), key=lambda item: -item[1])[:10]
        if most:
            lines += folded("  what decides: ", [f"{what} {count}" for what, count in most], ", ")
    unknown = sum(program["unknown_count"] > 0 for program in programs)
    lines += ["", f"{unknown} of the programs have places where the number is computed and stays unknown; "
                  f"{sum(program['opens'] for program in programs)} can open more libraries as they run", ""]
    return lines
