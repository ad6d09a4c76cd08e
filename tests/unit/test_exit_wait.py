"""Birth and end of processes: wait, zombies, orphans, vfork, threads, exec by a thread."""

from __future__ import annotations

import pytest

from syscalls.abi.errno import EAGAIN, ECHILD, EINVAL, ENOSYS, EPERM, ESRCH
from syscalls.abi.signal import SIG_IGN, SIGCHLD, SIGHUP, SIGKILL, SIGUSR1, bits
from syscalls.exit import kill_other_threads
from tests.unit.process_world import Program, World

CLONE, FORK, VFORK, EXIT, WAIT4, KILL, WAITID, EXIT_GROUP = 56, 57, 58, 60, 61, 62, 247, 231
NANOSLEEP, SIGACTION, PRCTL, GETPPID, SETPGID, SETSID = 35, 13, 157, 110, 109, 112
GETPID, PAUSE, SIGPROCMASK = 39, 34, 14
THREAD = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000


def sleep(world: World, seconds: int) -> tuple[int, ...]:
    return (NANOSLEEP, world.put(0x7000, "<qq", seconds, 0), 0)


def ends(code: int) -> Program:
    yield (EXIT_GROUP, code)


def sleeps(world: World, seconds: int) -> Program:
    yield sleep(world, seconds)


def test_wait_status_and_nobody_left() -> None:
    def program(world: World) -> Program:
        world.children(ends(42))
        pid = yield (FORK,)
        found = yield (WAIT4, -1, 0x2000, 0, 0)
        world.log.append((found == pid, hex(world.get(0x2000, "<I")[0])))
        world.log.append((yield (WAIT4, -1, 0x2000, 0, 0)))
    world = World(program)
    assert world.run() == [(True, "0x2a00"), -ECHILD]
    assert not world.kernel.tasks and not world.kernel.groups and not world.kernel.sessions


def test_wnohang_and_wnowait() -> None:
    def program(world: World) -> Program:
        world.children(sleeps(world, 1))
        pid = yield (FORK,)
        world.log.append((yield (WAIT4, -1, 0, 1, 0)))
        yield sleep(world, 2)
        for options in (4 | 0x1000000, 4, 4):
            world.log.append((yield (WAITID, 1, pid, 0x2000, options, 0)))
        world.log.append(world.get(0x2000, "<iii")[2])
    assert World(program).run() == [0, 0, 0, -ECHILD, 0]  # what fails clears the siginfo, too


@pytest.mark.parametrize(("call", "error"), [
    ((WAIT4, -1, 0, 0x1000, 0), EINVAL), ((WAIT4, -(1 << 31), 0, 0, 0), ESRCH), ((WAITID, 0, 0, 0, 0, 0), EINVAL),
    ((WAITID, 9, 0, 0, 4, 0), EINVAL), ((CLONE, 0x10000, 0, 0, 0, 0), EINVAL), ((CLONE, 0x20000, 0, 0, 0, 0), EPERM),
    ((SETPGID, 0, -1), EINVAL), ((SETPGID, 9999, 0), ESRCH), ((SETSID,), EPERM), ((KILL, 9999, 0), ESRCH),
    ((KILL, 100, 65), EINVAL), ((101, 0), EPERM), ((425,), ENOSYS),
])
def test_refusals(call: tuple[int, ...], error: int) -> None:
    def program(world: World) -> Program:
        world.log.append((yield call))
    assert World(program).run() == [-error]


def test_ignored_sigchld_reaps() -> None:
    def program(world: World) -> Program:
        yield (SIGACTION, SIGCHLD, world.action(SIG_IGN), 0, 8)
        world.children(ends(1))
        pid = yield (FORK,)
        world.log.append((yield (WAIT4, -1, 0, 0, 0)))
        world.log.append(pid in world.kernel.groups)
    assert World(program).run() == [-ECHILD, False]


def test_orphans_leave_or_go_to_the_subreaper() -> None:
    def grandchild(world: World) -> Program:
        yield sleep(world, 1)
        world.log.append((yield (GETPPID,)))

    def child(world: World) -> Program:
        world.children(grandchild(world))
        yield (FORK,)

    def program(world: World) -> Program:
        for subreaper in (0, 1):
            yield (PRCTL, 36, subreaper)
            world.children(child(world))
            pid = yield (FORK,)
            world.log.append((yield (WAIT4, -1, 0, 0, 0)) == pid)
            yield sleep(world, 2)
            world.log.append((yield (WAIT4, -1, 0, 0, 0)) > 0)
    assert World(program).run() == [True, 1, False, True, 100, True]


def test_parent_death_signal() -> None:
    def grandchild(world: World) -> Program:
        yield (PRCTL, 1, SIGUSR1)
        yield (PAUSE,)

    def child(world: World) -> Program:
        world.children(grandchild(world))
        yield (FORK,)
        yield sleep(world, 1)

    def program(world: World) -> Program:
        yield (PRCTL, 36, 1)
        world.children(child(world))
        yield (FORK,)
        yield (WAIT4, -1, 0, 0, 0)
        yield (WAIT4, -1, 0x2000, 0, 0)
        world.log.append(world.get(0x2000, "<I")[0])
    assert World(program).run() == [SIGUSR1]


def test_vfork_parent_waits() -> None:
    def child(world: World) -> Program:
        yield sleep(world, 1)
        world.log.append("child")
        yield (EXIT_GROUP, 0)

    def program(world: World) -> Program:
        world.children(child(world))
        yield (VFORK,)
        world.log.append("parent")
    assert World(program).run() == ["child", "parent"]


def test_exit_group_ends_sleeping_threads() -> None:
    def program(world: World) -> Program:
        world.children(sleeps(world, 1000), sleeps(world, 1000))
        yield (CLONE, THREAD, 0x60000, 0, 0, 0)
        yield (CLONE, THREAD, 0x60000, 0, 0, 0)
        yield (EXIT_GROUP, 7)
    world = World(program)
    world.run()
    assert world.kernel.init.exit_status == 7 << 8
    assert world.kernel.clock.monotonic() < 2_000_000_000


def test_leader_ends_first() -> None:
    def thread(world: World) -> Program:
        yield sleep(world, 1)
        yield (EXIT, 5)

    def child(world: World) -> Program:
        world.children(thread(world))
        yield (CLONE, THREAD, 0x60000, 0, 0, 0)
        yield (EXIT, 3)

    def program(world: World) -> Program:
        world.children(child(world))
        pid = yield (FORK,)
        world.put(0x7100, "<qq", 0, 500_000_000)
        yield (NANOSLEEP, 0x7100, 0)
        world.log.append(((yield (WAIT4, -1, 0, 1, 0)), world.kernel.groups[pid].state))
        yield (WAIT4, -1, 0x2000, 0, 0)
        world.log.append(hex(world.get(0x2000, "<I")[0]))
    assert World(program).run() == [(0, "Z"), "0x300"]


def test_sigkill_reaches_a_stopped_process() -> None:
    def program(world: World) -> Program:
        world.children(sleeps(world, 1000))
        pid = yield (FORK,)
        yield sleep(world, 1)
        yield (KILL, pid, 19)
        yield (WAIT4, pid, 0, 2, 0)
        yield (KILL, pid, SIGKILL)
        yield (WAIT4, pid, 0x2000, 0, 0)
        world.log.append(world.get(0x2000, "<I")[0])
    assert World(program).run() == [SIGKILL]


def test_orphaned_stopped_group_is_hung_up() -> None:
    def grandchild(world: World) -> Program:
        yield (SETPGID, 0, 0)
        yield (KILL, (yield (GETPID,)), 19)
        yield sleep(world, 100)

    def child(world: World) -> Program:
        yield (SETSID,)
        world.children(middle(world))
        yield (FORK,)
        yield (WAIT4, -1, 0, 0, 0)
        yield sleep(world, 10)

    def middle(world: World) -> Program:
        world.children(grandchild(world))
        yield (FORK,)
        yield sleep(world, 1)

    def program(world: World) -> Program:
        yield (PRCTL, 36, 1)
        world.children(child(world))
        yield (FORK,)
        yield (WAIT4, -1, 0x2000, 0, 0)
        world.log.append(world.get(0x2000, "<I")[0])
        yield (WAIT4, -1, 0, 0, 0)
    assert World(program).run() == [SIGHUP]


def test_exec_by_a_thread_takes_the_leaders_place() -> None:
    def thread(world: World) -> Program:
        task = world.current()

        async def exec_part() -> None:
            await kill_other_threads(task)
            world.log.append((task.tid, task.group.leader is task, list(task.group.tasks)))
        coroutine = exec_part()
        coroutine.send(None)
        yield sleep(world, 1)
        try:
            coroutine.send(None)
        except StopIteration:
            pass
        yield (EXIT_GROUP, 0)

    def program(world: World) -> Program:
        world.children(thread(world), sleeps(world, 1000))
        yield (CLONE, THREAD, 0x60000, 0, 0, 0)
        yield (CLONE, THREAD, 0x60000, 0, 0, 0)
        yield sleep(world, 1000)
    assert World(program).run() == [(100, True, [100])]


def test_signals_are_delivered_before_a_fork() -> None:
    def program(world: World) -> Program:
        def handler(signo: int, info: int, context: int) -> Program:
            world.log.append("handler")
            yield (GETPID,)
        yield (SIGACTION, SIGUSR1, world.action(world.handler(handler)), 0, 8)
        yield (SIGPROCMASK, 0, world.put(0x3000, "<Q", bits(SIGUSR1)), 0, 8)
        yield (KILL, 100, SIGUSR1)
        world.children(ends(0))
        world.log.append((yield (FORK,)) > 0)
        yield (SIGPROCMASK, 1, 0x3000, 0, 8)
        yield (WAIT4, -1, 0, 0, 0)
    assert World(program).run() == [True, "handler"]


def test_process_limit_applies_to_users() -> None:
    def program(world: World) -> Program:
        world.task.group.rlimits[6] = (1, 1)
        world.children(ends(0))
        world.log.append((yield (FORK,)) > 0)
        yield (WAIT4, -1, 0, 0, 0)
        yield (105, 1000)
        world.log.append((yield (FORK,)))
    assert World(program).run() == [True, -EAGAIN]


