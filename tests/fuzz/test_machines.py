"""Rule-based state machines: programs of each group of calls, natively and on each engine.  Hypothesis shrinks what
differs.  The seed is fixed and the database off, so that two runs try the same; `make fuzz` tries others, for longer.
"""

from __future__ import annotations

import os
import random
import time

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from syscalls.fuzz.campaign import CONFIRM_LIMIT_MS, Campaign
from syscalls.fuzz.command import LENGTHS
from syscalls.fuzz.domains import GROUPS
from syscalls.fuzz.expected import reason
from syscalls.fuzz.machine import machine
from syscalls.fuzz.program import Program
from syscalls.fuzz.volume import random_program
from tests.runner import FULL

EXAMPLES = 400 if FULL else 12
PROGRAMS = 2000 if FULL else 25
"""Plain random programs, for each group and engine."""
SEED = 1
SHRINKING_S = 60
PROFILE = hypothesis.settings(
    max_examples=EXAMPLES, stateful_step_count=20, deadline=None, database=None, derandomize=False, print_blob=False,
    suppress_health_check=list(hypothesis.HealthCheck))


class Divergence(AssertionError):
    pass


def check(campaign: Campaign, program: Program, target: list[tuple[str, str]], deadline: float) -> None:
    """Raise for a difference that is not known and shows twice; once one is found, for that one only."""
    if target and time.monotonic() > deadline:
        return
    limit = CONFIRM_LIMIT_MS if target else None
    for side, found in campaign.differences(program, limit_ms=limit):
        if reason(side.name, found) is not None or (target and found.key != target[0]):
            continue
        if not target and not campaign.shows(program, side, found.key):
            continue
        target[:] = [found.key]
        raise Divergence(f"{found}\n{found.detail}\n{program.source()}")


@pytest.mark.parametrize("group", GROUPS)
def test_programs_do_the_same(campaign: Campaign, group: str, tmp_path: object) -> None:
    target: list[tuple[str, str]] = []
    began = time.monotonic()

    def run(program: Program) -> None:
        check(campaign, program, target, began + SHRINKING_S + 30)
    made = hypothesis.seed(2026)(machine(group, run))
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(tmp_path))
    run_state_machine_as_test(made, settings=PROFILE)


@pytest.mark.parametrize("group", GROUPS)
def test_many_programs_do_the_same(campaign: Campaign, group: str) -> None:
    source = random.Random(f"{SEED} {group}")
    new = []
    for _ in range(PROGRAMS):
        program = random_program(group, source, source.choice(LENGTHS))
        for side, found in campaign.differences(program):
            if reason(side.name, found) is None and campaign.shows(program, side, found.key):
                new.append(f"{found}\n{program.source()}")
    assert not new, "\n".join(new)
