"""Clocks and timers, on virtual time."""

from __future__ import annotations

import pytest

from syscalls.abi.errno import EINVAL, EOPNOTSUPP, EPERM
from syscalls.abi.signal import bits
from tests.unit.process_world import Program, World

NANOSLEEP, SIGACTION, SIGPROCMASK, TIMEDWAIT, ALARM, GETITIMER, SETITIMER, PAUSE = 35, 13, 14, 128, 37, 36, 38, 34
CREATE, SETTIME, GETTIME, OVERRUN, DELETE = 222, 223, 224, 225, 226
CLOCK_GETTIME, CLOCK_NANOSLEEP, GETRES = 228, 230, 229


def sleep(world: World, seconds: float) -> tuple[int, ...]:
    return (NANOSLEEP, world.put(0x7000, "<qq", int(seconds), int(seconds % 1 * 1e9)), 0)


@pytest.mark.parametrize(("call", "error"), [
    ((CLOCK_GETTIME, 99, 0x2000), EINVAL), ((CLOCK_GETTIME, 10, 0x2000), EINVAL), ((GETRES, 99, 0x2000), EINVAL),
    ((227, 0, 0x2000), EPERM), ((CLOCK_NANOSLEEP, 4, 0, 0x2000, 0), EOPNOTSUPP), ((SETITIMER, 7, 0, 0), EINVAL),
    ((CLOCK_NANOSLEEP, 3, 0, 0x2000, 0), EOPNOTSUPP), ((DELETE, 3), EINVAL), ((CREATE, 99, 0, 0x2000), EINVAL),
])
def test_refusals(call: tuple[int, ...], error: int) -> None:
    def program(world: World) -> Program:
        world.log.append((yield call))
    assert World(program).run() == [-error]


@pytest.mark.parametrize("fields", [(-1, 0), (0, -1), (0, 10**9)])
def test_bad_times(fields: tuple[int, int]) -> None:
    def program(world: World) -> Program:
        world.log.append((yield (NANOSLEEP, world.put(0x2000, "<qq", *fields), 0)))
    assert World(program).run() == [-EINVAL]


def test_absolute_sleep() -> None:
    def program(world: World) -> Program:
        for clock, base in ((0, world.kernel.clock.realtime), (1, world.kernel.clock.monotonic)):
            until = base() + 3 * 10**9
            world.put(0x2000, "<qq", until // 10**9, until % 10**9)
            world.log.append((yield (CLOCK_NANOSLEEP, clock, 1, 0x2000, 0)))
            world.log.append(0 <= base() - until < 10**6)
    assert World(program).run() == [0, True, 0, True]


def test_alarm_and_itimer() -> None:
    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            world.log.append(round(world.kernel.clock.monotonic() / 1e9, 1))
            yield (39,)
        yield (SIGACTION, 14, world.action(world.handler(handler)), 0, 8)
        world.log.append((yield (ALARM, 10)))
        yield sleep(world, 1)
        world.log.append((yield (ALARM, 0)))
        yield (SETITIMER, 0, world.put(0x2000, "<qqqq", 2, 0, 1, 500000), 0)
        yield (PAUSE,)
        yield (PAUSE,)
        yield (GETITIMER, 0, 0x2000)
        interval, _, value, _ = world.get(0x2000, "<qqqq")
        world.log.append((interval, value))
    assert World(program).run() == [0, 9, 3.5, 5.5, (2, 1)]


def test_overrun_counts_what_was_not_taken() -> None:
    def program(world: World) -> Program:
        yield (SIGPROCMASK, 0, world.put(0x3000, "<Q", bits(34)), 0, 8)
        # sigevent: value 77, SIGEV_SIGNAL of signal 34.
        world.space().write(0x4000, bytes(64))
        world.put(0x4000, "<Qii", 77, 34, 0)
        world.log.append((yield (CREATE, 1, 0x4000, 0x5000)))
        number = world.get(0x5000, "<I")[0]
        yield (SETTIME, number, 0, world.put(0x6000, "<qqqq", 1, 0, 1, 0), 0)
        yield sleep(world, 4.5)
        yield (GETTIME, number, 0x6100)
        world.log.append(world.get(0x6100, "<qqqq")[2:][1] // 10**8)
        world.log.append((yield (TIMEDWAIT, 0x3000, 0x4800, 0, 8)))
        signo, _, code, _, timer, overrun, value = world.get(0x4800, "<iiiiiiQ")
        world.log.append((signo, code, timer, overrun, value))
        world.log.append((yield (OVERRUN, number)))
        yield (TIMEDWAIT, 0x3000, 0x4800, 0, 8)
        world.log.append(round(world.kernel.clock.monotonic() / 1e9, 1))
        world.log.append((yield (DELETE, number)))
        world.log.append((yield (DELETE, number)))
    assert World(program).run() == [0, 4, 34, (34, -2, 0, 3, 77), 3, 6.0, 0, -EINVAL]


def test_timer_without_signal() -> None:
    def program(world: World) -> Program:
        world.space().write(0x4000, bytes(64))
        world.put(0x4000, "<Qii", 0, 0, 1)
        yield (CREATE, 1, 0x4000, 0x5000)
        yield (SETTIME, 0, 0, world.put(0x6000, "<qqqq", 0, 0, 5, 0), 0)
        yield sleep(world, 2)
        yield (SETTIME, 0, 0, world.put(0x6000, "<qqqq", 0, 0, 0, 0), 0x6100)
        world.log.append(round(world.get(0x6100, "<qqqq")[2] + world.get(0x6100, "<qqqq")[3] / 1e9, 2))
        yield (GETTIME, 0, 0x6100)
        world.log.append(world.get(0x6100, "<qqqq"))
    assert World(program).run() == [3.0, (0, 0, 0, 0)]
