"""Reports as plain text: the table of calls for a terminal, and as CSV."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def columns(rows: list[list[str]], right: tuple[int, ...] = ()) -> list[str]:
    """Cells under each other; the columns named in `right` end together, the last is not filled up."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return ["  ".join(cell.rjust(widths[index]) if index in right else cell.ljust(widths[index])
                      for index, cell in enumerate(row)).rstrip() for row in rows]


def unsupported_text(flags: dict[str, int]) -> str:
    return " ".join(f"{name}={value:#x}" for name, value in flags.items())


def plural(count: int, word: str) -> str:
    ending = "" if count == 1 else "es" if word.endswith("s") else "s"
    return f"{count:,} {word}{ending}"


def counts_lines(counts: dict[str, dict[str, int]]) -> list[str]:
    def line(parts: dict[str, int]) -> str:
        return ", ".join(f"{value} {name}" for name, value in parts.items())

    out = [f"{sum(counts['level'].values())} calls: {line(counts['level'])}"]
    out += [f"on {host}: {line(parts)}" for host, parts in counts.items() if host not in ("level", "wsl1", "others")]
    out += [f"WSL 1: {line(counts['wsl1'])}", f"other layers (2023): {line(counts['others'])}"]
    return out


def table(document: dict[str, Any]) -> str:
    from syscalls.reports import loupe
    from syscalls.reports.rows import LEVEL_WORDS
    rows = document["calls"]
    hosts = list(rows[0]["hosts"])
    cells = [["nr", "name", "level", "since", *hosts, "WSL 1", "note"]]
    for row in rows:
        note = row["note"]
        if row["unsupported"]:
            note += f" [{unsupported_text(row['unsupported'])}]"
        cells.append([str(row["number"]), row["name"], row["level"], row["since"],
                      *(row["hosts"][host]["level"] for host in hosts), row["wsl1"], note])
    lines = columns(cells, right=(0,))
    lines += ["", *counts_lines(document["counts"]), loupe.line(document["loupe"]), ""]
    lines += [f"{level}: {words}" for level, words in LEVEL_WORDS.items()]
    lines += ["Hosts: own - nothing is asked of the host; native, bridged, absent - the primitives needed; unserved - "
              "on none. `pylx explain CALL` says which and why."]
    return "\n".join(lines) + "\n"


def csv(document: dict[str, Any]) -> str:
    from csv import writer
    from io import StringIO
    rows = document["calls"]
    hosts = list(rows[0]["hosts"])
    out = StringIO()
    write = writer(out, lineterminator="\n").writerow
    write(["number", "name", "group", "level", "errno", "since", "note", "unsupported", "needs",
           *(name for host in hosts for name in (host, f"{host}_note")), "wsl1", "others"])
    for row in rows:
        write([row["number"], row["name"], row["group"], row["level"], row["errno"] or "", row["since"], row["note"],
               unsupported_text(row["unsupported"]), " ".join(row["needs"]),
               *(row["hosts"][host][key] for host in hosts for key in ("level", "note")), row["wsl1"],
               " ".join(row["others"])])
    return out.getvalue()
