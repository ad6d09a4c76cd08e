"""Signals: queues, masks, frames, restarts, stops."""

from __future__ import annotations

import struct

import pytest

from syscalls.abi.errno import EAGAIN, EINTR, EINVAL, EPERM
from syscalls.abi.signal import (
    SA_NODEFER,
    SA_RESETHAND,
    SA_RESTART,
    SIGCHLD,
    SIGCONT,
    SIGSEGV,
    SIGSTOP,
    SIGTERM,
    SIGUSR1,
    SIGUSR2,
    bits,
)
from syscalls.siginfo import SigInfo
from tests.unit.process_world import Program, World
from translator.machine import R12, RSP

KILL, GETPID, SIGACTION, SIGPROCMASK, PAUSE, NANOSLEEP, FORK, WAIT4, EXIT = 62, 39, 13, 14, 34, 35, 57, 61, 231
TIMEDWAIT, QUEUEINFO, SIGSUSPEND, SIGALTSTACK, ALARM = 128, 129, 130, 131, 37


def status_of(world: World) -> int:
    return world.kernel.init.exit_status


def test_default_action_ends_the_process() -> None:
    def program(world: World) -> Program:
        pid = yield (GETPID,)
        yield (KILL, pid, SIGTERM)
        world.log.append("not reached")
    world = World(program)
    assert world.run() == []
    assert status_of(world) == SIGTERM


def test_handler_runs_and_registers_come_back() -> None:
    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            world.log.append((signo, world.get(info, "<iii")))
            world.current().cpu.set(R12, 0)
            yield (GETPID,)
        yield (SIGACTION, SIGUSR1, world.action(world.handler(handler)), 0, 8)
        world.cpu.registers[R12] = 77
        sp = world.cpu.registers[RSP]
        result = yield (KILL, 100, SIGUSR1)
        world.log.append((result, world.cpu.registers[R12], world.cpu.registers[RSP] == sp))
    world = World(program)
    assert world.run() == [(SIGUSR1, (SIGUSR1, 0, 0)), (0, 77, True)]
    assert status_of(world) == 0


def test_frame_layout() -> None:
    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            sp = world.cpu.registers[RSP]
            flags, link = world.get(context, "<QQ")
            mask = world.get(context + 296, "<Q")[0]
            fpu = world.get(context + 40 + 184, "<Q")[0]
            magic1, extended, features, size = world.get(fpu + 464, "<IIQI")
            magic2 = world.get(fpu + extended - 4, "<I")[0]
            world.log.append((sp % 16, context - sp, info - context, flags, link, mask, fpu % 64, hex(magic1),
                              hex(magic2), features, size, fpu < 0x70000 - 128))
            yield (GETPID,)
        yield (SIGPROCMASK, 0, world.put(0x3000, "<Q", bits(SIGUSR2)), 0, 8)
        yield (SIGACTION, SIGUSR1, world.action(world.handler(handler)), 0, 8)
        yield (KILL, 100, SIGUSR1)
    assert World(program).run() == [
        (8, 8, 304, 7, 0, bits(SIGUSR2), 0, "0x46505853", "0x46505845", 3, 576, True)]


def test_mask_during_handler() -> None:
    depth = 0

    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            nonlocal depth
            depth += 1
            if len(world.log) < 2:
                world.log.append(depth)
                yield (KILL, 100, SIGUSR1)
            depth -= 1
        address = world.handler(handler)
        yield (SIGACTION, SIGUSR1, world.action(address), 0, 8)
        yield (KILL, 100, SIGUSR1)
        deferred = list(world.log)
        world.log.clear()
        yield (SIGACTION, SIGUSR1, world.action(address, SA_NODEFER), 0, 8)
        yield (KILL, 100, SIGUSR1)
        world.log.append(deferred)
    assert World(program).run() == [1, 2, [1, 1]]


def test_resethand() -> None:
    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            world.log.append("once")
            yield (GETPID,)
        yield (SIGACTION, SIGUSR1, world.action(world.handler(handler), SA_RESETHAND), 0, 8)
        yield (KILL, 100, SIGUSR1)
        yield (KILL, 100, SIGUSR1)
    world = World(program)
    assert world.run() == ["once"]
    assert status_of(world) == SIGUSR1


@pytest.mark.parametrize(("flags", "expected"), [(0, -EINTR), (SA_RESTART, 101 << 32)])
def test_restart_of_wait(flags: int, expected: int) -> None:
    def child(world: World) -> Program:
        yield (NANOSLEEP, world.put(0x4000, "<qq", 1, 0), 0)
        yield (KILL, 100, SIGUSR1)
        yield (NANOSLEEP, world.put(0x4000, "<qq", 1, 0), 0)
        yield (EXIT, 0)

    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            yield (GETPID,)
        yield (SIGACTION, SIGUSR1, world.action(world.handler(handler), flags), 0, 8)
        world.children(child(world))
        yield (FORK,)
        result = yield (WAIT4, -1, 0, 0, 0)
        world.log.append(result << 32 if result > 0 else result)
        if result < 0:
            yield (WAIT4, -1, 0, 0, 0)
    assert World(program).run() == [expected]


def test_nanosleep_writes_what_is_left() -> None:
    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            yield (GETPID,)
        yield (SIGACTION, 14, world.action(world.handler(handler), SA_RESTART), 0, 8)
        yield (ALARM, 1)
        result = yield (NANOSLEEP, world.put(0x4000, "<qq", 3, 0), 0x4100)
        seconds, nanoseconds = world.get(0x4100, "<qq")
        world.log.append((result, 1.9 < seconds + nanoseconds / 1e9 < 2.1))
    assert World(program).run() == [(-EINTR, True)]


def test_stop_and_continue_resume_a_sleep() -> None:
    def child(world: World) -> Program:
        start = world.kernel.clock.monotonic()
        result = yield (NANOSLEEP, world.put(0x4000, "<qq", 5, 0), 0)
        world.log.append((result, 5.0 <= (world.kernel.clock.monotonic() - start) / 1e9 < 5.1))
        yield (EXIT, 0)

    def program(world: World) -> Program:
        world.children(child(world))
        pid = yield (FORK,)
        yield (NANOSLEEP, world.put(0x4000, "<qq", 1, 0), 0)
        yield (KILL, pid, SIGSTOP)
        yield (WAIT4, pid, 0x5000, 2, 0)
        world.log.append(hex(world.get(0x5000, "<I")[0]))
        yield (NANOSLEEP, world.put(0x4000, "<qq", 1, 0), 0)
        yield (KILL, pid, SIGCONT)
        yield (WAIT4, pid, 0x5000, 8, 0)
        world.log.append(hex(world.get(0x5000, "<I")[0]))
        yield (WAIT4, pid, 0, 0, 0)
    assert World(program).run() == ["0x137f", "0xffff", (0, True)]


def test_realtime_signals_queue_in_order() -> None:
    wanted = bits(SIGUSR1, 34, 35)

    def program(world: World) -> Program:
        yield (SIGPROCMASK, 0, world.put(0x3000, "<Q", wanted), 0, 8)
        for signo, value in ((35, 1), (34, 2), (35, 3), (SIGUSR1, 4), (SIGUSR1, 5)):
            info = SigInfo(signo, -1, 100, 0, value).pack()
            world.space().write(0x4000, info)
            yield (QUEUEINFO, 100, signo, 0x4000)
        while True:
            signo = yield (TIMEDWAIT, 0x3000, 0x4000, world.put(0x5000, "<qq", 0, 0), 8)
            if signo < 0:
                break
            world.log.append((signo, world.get(0x4000 + 24, "<Q")[0]))
        world.log.append(signo)
    assert World(program).run() == [(SIGUSR1, 4), (34, 2), (35, 1), (35, 3), -EAGAIN]


def test_queue_limit() -> None:
    def program(world: World) -> Program:
        world.task.group.rlimits[11] = (2, 2)
        yield (SIGPROCMASK, 0, world.put(0x3000, "<Q", bits(40, SIGUSR1)), 0, 8)
        world.space().write(0x4000, SigInfo(40, -1, 100).pack())
        for _ in range(3):
            world.log.append((yield (QUEUEINFO, 100, 40, 0x4000)))
        # A standard signal is never lost: it comes without its siginfo.
        world.log.append((yield (KILL, 100, SIGUSR1)))
        world.log.append((yield (TIMEDWAIT, world.put(0x3000, "<Q", bits(SIGUSR1)), 0, 0, 8)))
    assert World(program).run() == [0, 0, -EAGAIN, 0, SIGUSR1]


def test_pretending_to_be_the_kernel_is_refused() -> None:
    def child(world: World) -> Program:
        world.space().write(0x4000, SigInfo(SIGUSR1, 0, 1).pack())
        world.log.append((yield (QUEUEINFO, 100, SIGUSR1, 0x4000)))
        yield (EXIT, 0)

    def program(world: World) -> Program:
        world.children(child(world))
        yield (FORK,)
        yield (WAIT4, -1, 0, 0, 0)
    assert World(program).run() == [-EPERM]


def test_sigsuspend_restores_the_mask_after_the_handler() -> None:
    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            world.log.append((signo, world.current().signals.mask, world.get(context + 296, "<Q")[0]))
            yield (GETPID,)
        yield (SIGPROCMASK, 0, world.put(0x3000, "<Q", bits(SIGUSR1)), 0, 8)
        yield (SIGACTION, SIGUSR1, world.action(world.handler(handler)), 0, 8)
        yield (KILL, 100, SIGUSR1)
        result = yield (SIGSUSPEND, world.put(0x3000, "<Q", bits(SIGUSR2)), 8)
        world.log.append((result, world.task.signals.mask))
    assert World(program).run() == [
        (SIGUSR1, bits(SIGUSR1, SIGUSR2), bits(SIGUSR1)), (-EINTR, bits(SIGUSR1))]


def test_fault_with_blocked_signal_kills() -> None:
    def program(world: World) -> Program:
        yield (SIGPROCMASK, 0, world.put(0x3000, "<Q", bits(SIGSEGV)), 0, 8)
        yield (-0x123000,)
    world = World(program)
    world.run()
    assert status_of(world) == SIGSEGV


def test_fault_handler_sees_the_address() -> None:
    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            _, _, code, _, addr = world.get(info, "<iiiiQ")
            err, trap = world.get(context + 40 + 152, "<QQ")
            world.log.append((code, hex(addr), err, trap, hex(world.get(context + 40 + 176, "<Q")[0])))
            yield (EXIT, 3)
        yield (SIGACTION, SIGSEGV, world.action(world.handler(handler)), 0, 8)
        yield (-0x123000,)
    world = World(program)
    assert world.run() == [(1, "0x123000", 6, 14, "0x123000")]
    assert status_of(world) == 3 << 8


def test_altstack() -> None:
    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            sp = world.cpu.registers[RSP]
            world.log.append(0x10000 < sp <= 0x18000)
            world.log.append((yield (SIGALTSTACK, 0x6000, 0)))
        world.put(0x6000, "<QIIQ", 0x10000, 0, 0, 0x8000)
        world.log.append((yield (SIGALTSTACK, 0x6000, 0)))
        yield (SIGACTION, SIGUSR1, world.action(world.handler(handler), 0x08000000), 0, 8)
        yield (KILL, 100, SIGUSR1)
        world.put(0x6000, "<QIIQ", 0x10000, 5, 0, 0x8000)
        world.log.append((yield (SIGALTSTACK, 0x6000, 0)))
    assert World(program).run() == [0, True, -EPERM, -EINVAL]


def test_sigchld_of_a_stop_is_silent_with_nocldstop() -> None:
    def child(world: World) -> Program:
        yield (PAUSE,)

    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            _, _, code, _, _, _, status = world.get(info, "<iiiiiIi")
            world.log.append((code, status))
            yield (GETPID,)
        address = world.handler(handler)
        for flags in (0, 1):
            yield (SIGACTION, SIGCHLD, world.action(address, flags | SA_RESTART), 0, 8)
            world.children(child(world))
            pid = yield (FORK,)
            yield (NANOSLEEP, world.put(0x4000, "<qq", 0, 1000000), 0)
            yield (KILL, pid, SIGSTOP)
            yield (WAIT4, pid, 0, 2, 0)
            yield (KILL, pid, 9)
            yield (WAIT4, pid, 0, 0, 0)
            world.log.append("done")
    assert World(program).run() == [(5, 19), (2, 9), "done", (2, 9), "done"]


def test_siginfo_layouts() -> None:
    assert struct.unpack_from("<iii4xiI", SigInfo(15, 0, 7, 8).pack()) == (15, 0, 0, 7, 8)
    assert struct.unpack_from("<iii4xiIi4xq", SigInfo(17, 1, 7, 8, status=3, utime=5).pack()) == (17, 0, 1, 7, 8, 3, 5)
    timer = SigInfo(34, -2, timerid=1, overrun=2, value=9).pack()
    assert struct.unpack_from("<iii4xiiQ", timer) == (34, 0, -2, 1, 2, 9)
    assert len(SigInfo(1, 0).pack()) == 128
