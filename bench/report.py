"""The table, the JSON and the page of one run."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from string import Template
from typing import Any

from bench.contenders import Contender
from bench.measure import Cell, Results
from bench.rows import Row

Calls = dict[str, tuple[float, dict[str, int]]]
GROUPS = {"workload": "workloads", "start": "starts", "micro": "micro"}
"""A row's group: its placeholder in the template."""


def machine() -> dict[str, Any]:
    model = "unknown CPU"
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version(),
            "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)}


def shown(value: float, group: str) -> str:
    """Seconds, or nanoseconds in micro rows, with three digits and a unit."""
    ns = value if group == "micro" else value * 1e9
    for unit, size in (("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)):
        if ns < size * 999.5 or unit == "s":
            number = ns / size
            return f"{number:.2f} {unit}" if number < 9.995 else f"{number:.1f} {unit}" if number < 99.95 else \
                f"{number:.0f} {unit}"
    raise AssertionError


def cell_text(cell: Cell | None, native: Cell, group: str, is_native: bool) -> str:
    if cell is None:
        return "n/a"
    if not cell.samples:
        return f"> {cell.trouble[5:]}" if cell.trouble.startswith("over ") else "fails"
    spread = f"({shown(min(cell.samples), group)} to {shown(max(cell.samples), group)})" if len(cell.samples) > 1 \
        else "(once)"
    times = cell.median / native.median
    ratio = "" if is_native else f" **{times:.1f}x**" if times < 99.5 else f" **{times:.0f}x**"
    return f"{shown(cell.median, group)}{ratio} {spread}"


def table(rows: list[Row], contenders: list[Contender], results: Results, group: str) -> str:
    lines = ["| | " + " | ".join(each.name for each in contenders) + " |", "|---|" + "---|" * len(contenders)]
    for row in rows:
        if row.group == group and row.name in results:
            cells = results[row.name]
            texts = [cell_text(cells.get(each.name), cells["native"], group, not each.prefix) for each in contenders]
            lines.append(f"| {row.name} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def calls_table(costs: dict[str, Calls]) -> str:
    """What bench.calls measured, by engine: one line a call."""
    lines = ["| | " + " | ".join(f"{engine}, us" for engine in costs) + " | operations of the host layer |",
             "|---|" + "---|" * (len(costs) + 1)]
    first = next(iter(costs.values()), {})
    for name, (_, operations) in first.items():
        counted = ", ".join(f"{operation} x {times}" if times > 1 else operation
                            for operation, times in operations.items())
        figures = " | ".join(f"{calls[name][0]:.1f}" if name in calls else "" for calls in costs.values())
        lines.append(f"| {name} | {figures} | {counted} |")
    return "\n".join(lines)


def troubles(results: Results) -> str:
    return "\n".join(f"- {row}, {name}: {cell.trouble}" for row, cells in results.items()
                     for name, cell in cells.items() if cell.trouble and not cell.trouble.startswith("over "))


def as_json(rows: list[Row], contenders: list[Contender], results: Results, facts: dict[str, Any],
            costs: dict[str, Calls]) -> str:
    measured = []
    for row in rows:
        if row.name in results:
            cells = {name: {"samples": [round(sample, 6) for sample in cell.samples],
                            **({"trouble": cell.trouble} if cell.trouble else {})}
                     for name, cell in results[row.name].items()}
            measured.append({"row": row.name, "group": row.group, "unit": "ns" if row.prints else "s", "cells": cells})
    commands = {each.name: " ".join(Path(word).name if word.startswith("/") and len(word) > 1 else word
                                    for word in each.prefix) for each in contenders}
    return json.dumps({**facts, "contenders": commands, "rows": measured, "calls": costs}, indent=1) + "\n"


def conditions(facts: dict[str, Any]) -> str:
    of = facts["machine"]
    return (f"{of['cpus']} x {of['cpu']}, {of['memory_gib']:.0f} GiB, Linux {of['kernel']}, Python {of['python']}, "
            f"load {facts['load_before']:.1f} before and {facts['load_after']:.1f} after; {facts['date']}, "
            f"{facts['rounds']} interleaved rounds in rotating order, {facts['minutes']:.0f} minutes; "
            f"files on {facts['file_system']}."
            + (f" Peers: {', '.join(f'{name} {version}' for name, version in facts['peers'].items())}."
               if facts["peers"] else ""))


def page(template: Path, rows: list[Row], contenders: list[Contender], results: Results, facts: dict[str, Any],
         costs: dict[str, Calls], plot: str) -> str:
    texts = {place: table(rows, contenders, results, group) for group, place in GROUPS.items()}
    failing = troubles(results)
    return Template(template.read_text(encoding="utf-8")).substitute(
        texts, conditions=conditions(facts), plot=plot, calls=calls_table(costs),
        troubles=f"Cells without a figure:\n\n{failing}\n" if failing else "")


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())
