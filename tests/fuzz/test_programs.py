"""Programs by hand, through the executor, natively and on each engine; and the comparison itself."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from syscalls.fuzz.campaign import Campaign, smaller
from syscalls.fuzz.compare import compare
from syscalls.fuzz.expected import Expectation, expectations
from syscalls.fuzz.outcome import Outcome
from syscalls.fuzz.program import (
    Arena,
    Block,
    Call,
    Code,
    Const,
    Content,
    Data,
    Load,
    Probe,
    Program,
    Result,
    Store,
    StoreValue,
)
from syscalls.fuzz.reproduce import c_source, python_source
from syscalls.fuzz.sides import FuzzError
from tests.fuzz.fixed import FIXED
from tests.fuzz.fixed_files import FIXED_FILES
from tests.fuzz.fixed_more import FIXED_MORE
from tests.fuzz.fixed_tasks import FIXED_TASKS, SINCE

USR1_ACTION = (Store(0x300, bytes(32)), StoreValue(0x300, 8, Code(0)), StoreValue(0x308, 8, Const(0x04000004)),
               StoreValue(0x310, 8, Code(1)), Call(1, "rt_sigaction", (Const(10), Data(0x300), Const(0), Const(8))))
ALL_FIXED = FIXED | FIXED_FILES | FIXED_TASKS | FIXED_MORE
PROGRAMS = {
    "files": Program((
        Store(64, b"f\0"), Call(1, "open", (Data(64), Const(2))), Call(2, "fstat", (Result(1), Data(256))),
        Call(3, "read", (Result(1), Data(512), Const(20))), Call(4, "lseek", (Result(1), Const(-4), Const(2))),
        Call(5, "write", (Result(1), Data(64), Const(2))), Call(6, "close", (Result(1),)),
        Call(7, "close", (Result(1),)), Call(8, "unlink", (Data(64),)))),
    "bad pointers": Program((
        Call(1, "stat", (Const(1), Data(64))), Call(2, "pipe", (Const(0),)), Call(3, "uname", (Data(0x3FF0),)),
        Call(4, "write", (Const(1), Const(16), Const(1))), Call(6, "read", (Const(1), Const(16), Const(1))),
        Call(5, "nanosleep", (Const(-1), Const(0))))),
    "processes and threads": Program((
        Call(1, "pipe", (Data(64),)), Load(2, 64), Load(3, 68),
        Block(4, "fork", (Call(5, "write", (Result(3), Data(64), Const(3))), Call(6, "getppid"),
                          Call(7, "exit_group", (Const(7),)))),
        Call(8, "read", (Result(2), Data(128), Const(10))), Call(9, "wait4",
                                                                 (Result(4), Data(256), Const(0), Const(0))),
        Block(10, "thread", (Call(11, "close", (Result(3),)), Call(12, "gettid"))),
        Call(13, "read", (Result(2), Data(128), Const(10))))),
    "signals": Program((
        *USR1_ACTION, Call(2, "getpid"), Call(3, "kill", (Result(2), Const(10))),
        Call(4, "kill", (Result(2), Const(15))), Call(5, "getpid"))),
    "memory": Program((
        Call(1, "mmap", (Arena(0), Const(8192), Const(3), Const(0x32), Const(-1), Const(0))),
        Probe(2, Arena(4096), 9), Probe(3, Arena(4096)), Call(4, "mprotect", (Arena(0), Const(4096), Const(1))),
        Probe(5, Arena(0), 1), Call(6, "munmap", (Arena(4096), Const(4096))), Probe(7, Arena(4096)),
        Store(0x100, b"/proc/self/maps\0"), Content(8, 0x100))),
    "locks of a process that ended": Program((
        Store(64, b"d\0"), Block(1, "fork", (Call(2, "open", (Data(64), Const(0))),
                                             Call(3, "flock", (Result(2), Const(2))),
                                             Call(4, "flock", (Const(0), Const(2))))),
        Call(5, "open", (Data(64), Const(0))), Call(6, "flock", (Result(5), Const(6))))),
    "random bytes beside others": Program((
        Call(1, "getrandom", (Data(256), Const(64), Const(0))), Call(2, "getrandom", (Data(280), Const(3), Const(0))),
        Call(3, "uname", (Data(260),)))),
    "asleep": Program((Call(1, "pipe", (Data(64),)), Load(2, 64), Call(3, "read", (Result(2), Data(128), Const(1))))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_does_the_same(campaign: Campaign, name: str) -> None:
    native, other = campaign.outcomes(PROGRAMS[name], campaign.layers, 3000 if name != "asleep" else 500)
    assert native.records and not native.failure
    assert compare(PROGRAMS[name], native, other) is None
    assert native.timed_out == (name == "asleep")


@pytest.mark.parametrize("name", ALL_FIXED)
def test_difference_stays_away(campaign: Campaign, name: str) -> None:
    release = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
    if release < SINCE.get(name, ()):
        pytest.skip("Linux is too old to compare with")
    assert [found for _, found in campaign.differences(ALL_FIXED[name], limit_ms=5000)] == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_prints_as_python(name: str) -> None:
    from syscalls.fuzz import program
    assert eval(PROGRAMS[name].source(), vars(program)) == PROGRAMS[name]


def test_a_difference_is_found_made_small_and_reproduced(tmp_path: Path) -> None:
    """Under nice(1) getpriority answers otherwise: everything around that call must go."""
    campaign = Campaign({"nice": ["/usr/bin/nice", "-n", "5"]})
    program = Program((
        *PROGRAMS["files"].operations, Block(20, "fork", (Call(21, "getpriority", (Const(0), Const(0))),)),
        Call(22, "getpid"), Call(23, "getpriority", (Const(0), Const(0)))))
    try:
        campaign.native.start()
    except FuzzError as error:
        pytest.skip(str(error))
    try:
        found = campaign.run(program)
        assert [item.difference.key for item in found] == [("getpriority", "result")]
        assert not campaign.run(program)
        small = found[0].program
        assert len(small) == 1
        (tmp_path / "it.c").write_text(c_source(small, found[0].difference, ["nice"], "it"))
        (tmp_path / "it.py").write_text(python_source(small, found[0].difference, ["/usr/bin/nice"], "it"))
    finally:
        campaign.close()
    subprocess.run(["cc", "-w", "-o", "it", "it.c"], cwd=tmp_path, check=True, timeout=60)
    native = subprocess.run(["./it"], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=20).stdout
    assert f"getpriority = {20 - os.nice(0):#x}" in native
    compile((tmp_path / "it.py").read_text(), "it.py", "exec")


def test_every_part_of_an_outcome_is_compared() -> None:
    base = Outcome(tree={"f": "-rw-r--r-- 0:0 1 bytes"})
    program = Program((Call(1, "getpid"),))
    for other in (Outcome(tree={}), Outcome(status=9, tree=base.tree), Outcome(timed_out=True, tree=base.tree),
                  Outcome(failure="hang")):
        assert compare(program, base, other) is not None
    assert compare(program, base, Outcome(tree=dict(base.tree or {}))) is None
    assert compare(program, base, Outcome(tree=None)) is None  # a layer that keeps files to itself


def test_smaller_programs_are_smaller() -> None:
    for program in PROGRAMS.values():
        candidates = smaller(program)
        assert candidates and all(len(item) <= len(program) for item in candidates)


@pytest.mark.parametrize("item", expectations(), ids=lambda item: f"{item.calls}: {item.kind}")
def test_known_difference_still_shows(campaign: Campaign, item: Expectation) -> None:
    """An unexpected pass: the entry has to go from expected.toml."""
    layer = campaign.layers[0].name
    if item.layers and layer not in item.layers:
        pytest.skip("known on another engine only")
    found = [found for _, found in campaign.differences(item.program, limit_ms=5000)]
    if not found and item.depends:
        pytest.skip(f"does not show here: it depends on {item.depends}")
    assert found and item.covers(layer, found[0]), f"{item.reason}: shows {found or 'no difference'} now"


def test_what_any_native_run_does_is_right(campaign: Campaign) -> None:
    """Of two signals from another thread either may kill: one that leaves a core is left to the receiver."""
    program = Program((Call(1, "getpid"), Block(2, "thread", (
        Call(3, "tkill", (Result(1), Const(3))), Call(4, "tkill", (Result(1), Const(14)))))))
    for side in campaign.layers:
        assert not any(campaign.shows(program, side, found.key) for _, found in campaign.differences(program, [side]))
    quit_or_alarm = {campaign.native.run(program, number).status & 0x7F for number in range(1, 41)}
    assert quit_or_alarm <= {3, 14}
    steady = Program((Call(1, "getpid"), Call(2, "getpriority", (Const(0), Const(0)))))
    assert not any(campaign.shows(steady, side, ("getpriority", "result")) for side in campaign.layers)
