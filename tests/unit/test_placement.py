"""Which threads are kept off pylx's CPU.  What the host measures is given; what is asked of the host is real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("Linux only", allow_module_level=True)

from translator.engines import placement as placement_module
from translator.engines.placement import CROWDED_NS, NOWHERE, Placement

MS = 1_000_000


class Host:
    """What /proc/TID/schedstat would say of a thread, and the thread: a process that sleeps."""

    def __init__(self, tid: int) -> None:
        self.now = 0
        self.load = 0, 0, 0
        self.cpu: Any = SimpleNamespace(tid=tid, cpus=None, away=False, free=False, place=0, load=None, weighed_ns=0,
                                        alone=0, held=0, runs=0)

    def passes(self, ran: int, waited: int, times: int) -> None:
        self.now += 10 * MS
        self.load = self.load[0] + ran, self.load[1] + waited, self.load[2] + times


@pytest.fixture
def placed() -> Iterator[Placement]:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU: nobody can be sent away")
    placement = Placement(one_cpu=True)
    yield placement
    placement.close()


@pytest.fixture
def host(placed: Placement, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with subprocess.Popen(["sleep", "60"]) as process:
        out = Host(process.pid)
        monkeypatch.setattr(placement_module, "_load", lambda _tid: out.load)
        placed.weigh(out.cpu, out.now)
        yield out
        process.kill()


def weigh(placement: Placement, host: Host, held: int = 0, alone: int = 0) -> bool:
    host.cpu.held, host.cpu.runs, host.cpu.alone = held, 10, alone
    placement.weigh(host.cpu, host.now)
    assert host.cpu.free == host.cpu.away
    return bool(host.cpu.away)


def test_a_thread_that_holds_others_up_is_kept_on_the_other_cpus(placed: Placement, host: Host) -> None:
    host.passes(ran=2 * MS, waited=0, times=20)
    assert weigh(placed, host, held=9)
    assert os.sched_getaffinity(host.cpu.tid) == set(placed.allowed) - {placed.cpu}
    assert host.cpu.held == host.cpu.runs == 0


def test_one_that_waits_for_the_cpu_itself_is_too(placed: Placement, host: Host) -> None:
    host.passes(ran=2 * MS, waited=1 * MS, times=20)
    assert weigh(placed, host)


@pytest.mark.parametrize(("ran", "times", "held"), [
    (2 * MS, 200, 9),  # short turns
    (2 * MS, 20, 2),  # nobody is held up
    (2 * MS, 4, 9),  # too few to tell
])
def test_others_stay(placed: Placement, host: Host, ran: int, times: int, held: int) -> None:
    before = os.sched_getaffinity(host.cpu.tid)
    host.passes(ran, 0, times)
    assert not weigh(placed, host, held)
    assert os.sched_getaffinity(host.cpu.tid) == before


def test_few_calls_add_up(placed: Placement, host: Host) -> None:
    for _ in range(2):
        host.passes(ran=1 * MS, waited=0, times=4)
        away = weigh(placed, host, held=9)
    assert away


@pytest.mark.parametrize(("ran", "waited", "times", "alone", "crowded"), [
    (MS, 0, 100, 0, False),  # short turns
    (4 * MS, 0, 40, 30, False),  # nobody else was there
    (4 * MS, 5 * MS, 40, 0, True),
    (MS, 6 * MS, 2, 0, True),  # few calls, because it had to wait
])
def test_it_comes_back(placed: Placement, host: Host, ran: int, waited: int, times: int, alone: int,
                       crowded: bool) -> None:
    host.passes(ran=2 * MS, waited=0, times=20)
    assert weigh(placed, host, held=9)
    host.passes(ran, waited, times)
    assert not weigh(placed, host, held=9, alone=alone)
    assert host.cpu.place == NOWHERE
    assert host.cpu.weighed_ns == host.now + (CROWDED_NS if crowded else 0)


def test_it_stays_away_while_there_is_reason(placed: Placement, host: Host) -> None:
    host.passes(ran=2 * MS, waited=0, times=20)
    assert weigh(placed, host, held=9)
    host.passes(ran=4 * MS, waited=MS, times=40)
    assert weigh(placed, host, alone=5)


def test_who_has_chosen_cpus_keeps_them(placed: Placement, host: Host) -> None:
    host.cpu.cpus = set(placed.allowed)
    host.passes(ran=2 * MS, waited=0, times=20)
    assert not weigh(placed, host, held=9)
