"""A campaign: programs of every group, run on all sides, compared; differences kept once each, and made small."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from syscalls.fuzz.compare import Difference, compare
from syscalls.fuzz.outcome import Outcome
from syscalls.fuzz.program import Block, Call, Const, Operation, Program, walk, without
from syscalls.fuzz.sides import Side, World

CONFIRM_LIMIT_MS = 6000
ASLEEP_LIMIT_MS = 800
NATIVE_RUNS = 16
"""How often a program that shows a difference runs natively before that counts: what any of them does is right."""


@dataclass
class Finding:
    """A divergence: the first program that showed it, made small."""
    layers: list[str]
    difference: Difference
    program: Program
    count: int = 1


@dataclass
class Tally:
    programs: int = 0
    calls: int = 0
    asleep: int = 0
    """Programs that slept until the time limit on every side."""
    unsteady: int = 0
    """Differences that a second run did not show."""
    expected: Counter[tuple[str, str]] = field(default_factory=Counter)


class Campaign:
    """The sides, and what was found so far."""

    def __init__(self, layers: Mapping[str, Sequence[str]],
                 expected: Callable[[str, Difference], str | None] = lambda layer, difference: None) -> None:
        self.world = World()
        self.native = Side(self.world, "native", [])
        self.layers = [Side(self.world, name, prefix) for name, prefix in layers.items()]
        self.expected = expected
        self.findings: dict[tuple[str, str], Finding] = {}
        self.tally = Tally()
        self.serial = 0

    def close(self) -> None:
        for side in (self.native, *self.layers):
            side.stop()
        self.world.close()

    def outcomes(self, program: Program, layers: Sequence[Side], limit_ms: int | None = None) -> list[Outcome]:
        """Of the native side, which is quick, and then of the layers, all at once.  What sleeps on natively need not be
        waited for long elsewhere."""
        self.serial += 1
        native = self.native.run(program, self.serial, limit_ms)
        if native.timed_out and limit_ms is None:
            limit_ms = ASLEEP_LIMIT_MS
        for side in layers:
            side.begin(program, self.serial, limit_ms)
        return [native, *(side.end() for side in layers)]

    def differences(self, program: Program, layers: Sequence[Side] | None = None,
                    limit_ms: int | None = None) -> list[tuple[Side, Difference]]:
        layers = self.layers if layers is None else layers
        native, *others = self.outcomes(program, layers, limit_ms)
        self.tally.asleep += native.timed_out
        out = []
        for side, outcome in zip(layers, others, strict=True):
            found = compare(program, native, outcome)
            if found is not None:
                out.append((side, found))
        return out

    def run(self, program: Program) -> list[Finding]:
        """Run a program everywhere; the new divergences, confirmed and made small."""
        self.tally.programs += 1
        self.tally.calls += sum(isinstance(item, Call) for item in walk(program.operations))
        new = []
        for side, found in self.differences(program):
            if self.expected(side.name, found) is not None:
                self.tally.expected[found.key] += 1
                continue
            known = self.findings.get(found.key)
            if known is not None:
                known.count += 1
                if side.name not in known.layers:
                    known.layers.append(side.name)
                continue
            if not self.shows(program, side, found.key):
                self.tally.unsteady += 1
                continue
            program_small = self.reduce(program, side, found.key)
            again = [item for _, item in self.differences(program_small, [side],
                                                          CONFIRM_LIMIT_MS) if item.key == found.key]
            finding = Finding([side.name], again[0] if again else found, program_small)
            self.findings[found.key] = finding
            new.append(finding)
        return new

    def shows(self, program: Program, side: Side, key: tuple[str, str]) -> bool:
        """Whether this very difference shows again, with time enough for a busy machine, and from every native run:
        where those differ from one another (threads that race, random numbers), any of them is right."""
        native, other = self.outcomes(program, [side], CONFIRM_LIMIT_MS)
        found = compare(program, native, other)
        if found is None or found.key != key:
            return False
        if native.timed_out or other.failure:
            return True
        for _ in range(NATIVE_RUNS):
            again = self.native.run(program, self.serial)
            if again.timed_out:
                return True
            if compare(program, again, other) is None:
                return False
            between = compare(program, native, again)
            if between is not None and between.key == key:
                return False  # what was drawn at random is used
        return True

    def reduce(self, program: Program, side: Side, key: tuple[str, str], seconds: float = 60) -> Program:
        """Drop operations, unwrap blocks and put zeros for arguments as long as the difference stays."""
        deadline = time.monotonic() + seconds
        changed = True
        while changed and time.monotonic() < deadline:
            changed = False
            for candidate in smaller(program):
                if time.monotonic() > deadline:
                    break
                if self.shows(candidate, side, key):
                    program, changed = candidate, True
                    break
        return program


def smaller(program: Program) -> list[Program]:
    """Programs that are one step simpler: the big steps first."""
    out = []
    top = program.operations
    for size in (len(top) // 2, len(top) // 4):
        if size > 1:
            out += [Program(top[:at] + top[at + size:]) for at in range(0, len(top), size)]
    every = list(walk(top))
    for item in reversed(every):
        out.append(Program(without(top, item)))
    for item in top:
        if isinstance(item, Block):
            at = top.index(item)
            out.append(Program((*top[:at], *item.body, *top[at + 1:])))
    for item in every:
        if isinstance(item, Call):
            for index, value in enumerate(item.args):
                if isinstance(value, Const) and value.number not in (0, 1):
                    args = (*item.args[:index], Const(0), *item.args[index + 1:])
                    out.append(Program(_replaced(top, item, replace(item, args=args))))
    return out


def _replaced(operations: tuple[Operation, ...], old: Operation, new: Operation) -> tuple[Operation, ...]:
    out: list[Operation] = []
    for item in operations:
        if item is old:
            item = new
        elif isinstance(item, Block):
            body = _replaced(item.body, old, new)
            item = replace(item, body=body) if body != item.body else item
        out.append(item)
    return tuple(out)
