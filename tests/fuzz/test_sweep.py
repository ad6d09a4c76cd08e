"""Every call of the table with each of its arguments bad in turn, natively and on each engine."""

from __future__ import annotations

import pytest

from syscalls.fuzz.campaign import Campaign
from syscalls.fuzz.compare import Difference
from syscalls.fuzz.expected import reason
from syscalls.fuzz.sweep import LEFT_OUT, programs, unknown_layouts
from syscalls.table import TABLE

GROUPS = 8
PROGRAMS = list(programs())


@pytest.mark.parametrize("group", range(GROUPS))
def test_bad_arguments_are_refused_alike(campaign: Campaign, group: int) -> None:
    wrong: list[str] = []
    for name, program in PROGRAMS[group::GROUPS]:
        for side, found in campaign.differences(program, limit_ms=3000):
            if reason(side.name, found) is None and still(campaign, program, found):
                wrong.append(f"{name}: {found}\n{program.source()}")
    assert not wrong, "\n".join(wrong)


def still(campaign: Campaign, program: object, found: Difference) -> bool:
    """A second run shows it, too: the first may have been a matter of load."""
    from syscalls.fuzz.program import Program
    assert isinstance(program, Program)
    return any(again.key == found.key for _, again in campaign.differences(program, limit_ms=6000))


def test_the_sweep_reaches_every_call_that_is_served() -> None:
    reached = {name.partition(".")[0] for name, _ in PROGRAMS}
    served = {record.name for record in TABLE if record is not None and record.params
              and record.support.level in ("FULL", "PARTIAL", "FAKE")}
    without_bad_values = {"umask", "pipe2", "alarm", "exit", "mprotect", "mmap", "prctl", "io_destroy", "shmdt"}
    assert served - reached - set(LEFT_OUT) <= without_bad_values


def test_every_layout_of_the_declarations_is_known() -> None:
    assert not unknown_layouts()
