"""The HTML form of a report: one file with its style, script and data inside, which needs nothing else."""

from __future__ import annotations

import re

from syscalls.reports import facts
from syscalls.reports.rows import LEVEL_WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


SCRIPTS = ("report", "report_kinds", "report_charts")
KINDS = ("run", "static", "required")
"""Reports that are shown beside the table, which they hold."""


def page(document: dict[str, Any]) -> str:
    """The report as a page.  The data go in as JSON that can end no script element."""
    import json
    from html import escape
    data = dict(document)
    kind = data["kind"]
    table = data if kind == "table" else data.pop("table")
    payload = {"table": {**table, "calls": [with_gaps(row) for row in table["calls"]], "words": LEVEL_WORDS},
               **{name: data if kind == name else None for name in KINDS}}
    title = {"table": "pylx: system calls", "static": f"pylx coverage --static {' '.join(data.get('paths', ()))}"}.get(
        kind, f"pylx coverage: {' '.join(data.get('command', ()))}")
    text = json.dumps(payload, separators=(",", ":")).replace("<", "\\u003c")
    parts = {"TITLE": escape(title), "STYLE": part("report.css"),
             "SCRIPT": "\n".join(part(f"{name}.js") for name in SCRIPTS), "DATA": text}
    # One pass: what is put in is not looked at again.
    return re.sub("@(TITLE|STYLE|SCRIPT|DATA)@", lambda match: parts[match[1]], part("report.html"))


def part(name: str) -> str:
    return (facts.DATA / name).read_text(encoding="utf-8")


def with_gaps(row: dict[str, Any]) -> dict[str, Any]:
    """A row and what the panel of its call tells besides.  The notes of hosts are found by primitive on the page."""
    fallback = facts.by("fallbacks", "name").get(row["name"])
    return {
        **row,
        "hosts": {host: level["level"] for host, level in row["hosts"].items()},
        "gaps": [{"feature": gap["feature"], "interfaces": gap["linux syscalls/interfaces involved"],
                  "reason": gap["why on NT"], "source": gap["source"]} for gap in facts.gaps_of(row["name"])],
        "results": [{"operation": result["operation"], "result": result["result on WSL 1"], "at": result["seen at"],
                     "source": result["source"]} for result in facts.results_of(row["name"])],
        "without": fallback["note"] if fallback else "",
    }
