"""Differences of pylx itself that are known: data/expected.toml, each with a reason and, as a program, its proof.

An entry counts only while its program still shows the difference: tests/fuzz fails on an unexpected pass.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from syscalls.fuzz import program as program_module
from syscalls.fuzz.compare import Difference
from syscalls.fuzz.program import Program

FILE = Path(__file__).with_name("data") / "expected.toml"


@dataclass(frozen=True)
class Expectation:
    calls: str
    """Regular expression of the call's name."""
    kind: str
    """Regular expression of the kind of difference."""
    reason: str
    layers: tuple[str, ...]
    """The engines that show it; empty: all."""
    source: str
    """The program that shows it, as Python."""
    depends: str
    """What of the machine decides whether it shows; empty: it always does."""

    def covers(self, layer: str, found: Difference) -> bool:
        return (not self.layers or layer in self.layers) and bool(
            re.fullmatch(self.calls, found.call) and re.fullmatch(self.kind, found.kind))

    @property
    def program(self) -> Program:
        names = {name: getattr(program_module, name) for name in (
            "Program", "Call", "Store", "StoreValue", "Load", "Block", "Probe", "Content", "Const", "Result", "Data",
            "Arena",
            "Code", "Own")}
        made = eval(self.source, names)
        assert isinstance(made, Program)
        return made


@cache
def expectations() -> tuple[Expectation, ...]:
    entries = tomllib.loads(FILE.read_text()).get("expected", [])
    return tuple(Expectation(entry["calls"], entry["kind"], entry["reason"], tuple(entry.get("layers", ())),
                             entry["program"], entry.get("depends", ""))
                 for entry in entries)


def reason(layer: str, found: Difference) -> str | None:
    """Why this difference is known, or None."""
    return next((item.reason for item in expectations() if item.covers(layer, found)), None)
