"""The table as a Markdown page: docs/compatibility.md."""

from __future__ import annotations

from syscalls.reports.rows import LEVEL_WORDS
from syscalls.reports.text import unsupported_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

THEMES = ("files", "memory", "processes", "signals", "waiting", "time", "network", "ipc", "system")
HEAD = """\
# Compatibility

Generated from the declarations by `make docs` (`pylx coverage --output docs/compatibility.md`); a test compares them.
`pylx explain CALL` tells more of one call, `pylx coverage --output table.html` makes a page to look at.
"""
HOSTS = """\
Hosts: *own* (the kernel's own object, nothing is asked of the host), *native*, *bridged*, *absent*, - (a stub or
refused everywhere). `nt` is data: what a host on the NT API would have. WSL 1: as its lists and users' reports say, see
[coverage.md](coverage.md).
"""


def page(document: dict[str, Any]) -> str:
    rows = document["calls"]
    hosts = list(rows[0]["hosts"])
    counts = document["counts"]
    lines = [HEAD, table(["level", "calls", "meaning"],
                         [[level, str(counts["level"].get(level, 0)), words] for level, words in LEVEL_WORDS.items()])]
    kinds = ("own", "native", "bridged", "absent", "unserved")
    lines.append(table(["host", *kinds], [[host, *(str(counts[host].get(kind, 0)) for kind in kinds)]
                                          for host in hosts]))
    lines.append(HOSTS)
    own = document["loupe"]["systems"][0]
    lines.append(f"Of {document['loupe']['applications']} applications that Loupe examined, {own['satisfied']} have "
                 f"all calls that they require (`pylx coverage --loupe`).\n")
    for theme in THEMES:
        lines.append(f"## {theme.capitalize() if theme != 'ipc' else 'IPC'}\n")
        cells = []
        for row in rows:
            if row["theme"] == theme:
                flags = f" ({unsupported_text(row['unsupported'])})" if row["unsupported"] else ""
                levels = ["-" if row["hosts"][host]["level"] == "unserved" else row["hosts"][host]["level"]
                          for host in hosts]
                cells.append([str(row["number"]), f"`{row['name']}`", row["level"], row["since"], *levels,
                              row["wsl1"], row["note"] + flags])
        lines.append(table(["nr", "call", "level", "since", *hosts, "WSL 1", "note"], cells))
    lines.append("## What is asked of a host\n")
    lines.append(table(["primitive", "meaning", *hosts], [
        [f"`{primitive['primitive']}`", primitive["meaning"],
         *(capability(primitive["hosts"][host]) for host in hosts)] for primitive in document["primitives"]]))
    return "\n".join(lines)


def capability(level: dict[str, str]) -> str:
    return f"{level['level']}: {level['note']}" if level["note"] else level["level"]


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
