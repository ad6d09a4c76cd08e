"""The HTML form of a report: one file with its style, script and data inside, which needs nothing else."""

from __future__ import annotations

from syscalls.reports import facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def page(document: dict[str, Any]) -> str:
    """The report as a page.  The data go in as JSON that can end no script element."""
    import json
    from html import escape
    data = dict(document)
    table = data if data["kind"] == "table" else data.pop("table")
    payload = {"table": {**table, "calls": [with_gaps(row) for row in table["calls"]]},
               "run": data if data["kind"] == "run" else None}
    title = "pylx: system calls" if data["kind"] == "table" else f"pylx coverage: {' '.join(data['command'])}"
    text = json.dumps(payload, separators=(",", ":")).replace("<", "\\u003c")
    template = (facts.DATA / "report.html").read_text(encoding="utf-8")
    return template.replace("@TITLE@", escape(title)).replace("@DATA@", text)


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
