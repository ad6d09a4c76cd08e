"""Futexes: waiting, waking, requeueing, priority inheritance, and the death of owners."""

from __future__ import annotations

from collections.abc import Callable

from syscalls.abi.errno import EAGAIN, EDEADLK, EINVAL, EPERM, ETIMEDOUT
from syscalls.futex import OWNER_DIED, WAITERS
from tests.unit.process_world import Program, World

FUTEX, CLONE, EXIT, NANOSLEEP, SET_ROBUST, GETTID, WAITV = 202, 56, 60, 35, 273, 186, 449
THREAD = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x200000 | 0x1000000
WAIT, WAKE, CMP_REQUEUE, WAKE_OP, LOCK_PI, UNLOCK_PI, TRYLOCK_PI, WAIT_BITSET, WAKE_BITSET = 0, 1, 4, 5, 6, 7, 8, 9, 10
WAIT_REQUEUE_PI, CMP_REQUEUE_PI = 11, 12
A, B = 0x2000, 0x2004


def thread(world: World, body: Callable[[World], Program], tid_addr: int = 0) -> tuple[int, ...]:
    """The clone call that starts a thread running `body`."""
    world.children(body(world))
    return (CLONE, THREAD, 0x60000, 0, tid_addr, 0)


def sleep(world: World, seconds: float) -> tuple[int, ...]:
    return (NANOSLEEP, world.put(0x7000, "<qq", int(seconds), int(seconds % 1 * 1e9)), 0)


def leave() -> Program:
    yield (EXIT, 0)


def test_wait_and_wake() -> None:
    def waiter(world: World) -> Program:
        world.log.append(("woken", (yield (FUTEX, A, WAIT, 0, 0, 0, 0))))
        yield (EXIT, 0)

    def program(world: World) -> Program:
        world.log.append((yield (FUTEX, A, WAIT, 5, 0, 0, 0)))
        yield thread(world, waiter)
        yield thread(world, waiter)
        yield thread(world, waiter)
        yield sleep(world, 1)
        world.log.append((yield (FUTEX, A, WAKE, 2, 0, 0, 0)))
        yield sleep(world, 1)
        world.log.append((yield (FUTEX, A, WAKE, 9, 0, 0, 0)))
        yield sleep(world, 1)
    assert World(program).run() == [-EAGAIN, 2, ("woken", 0), ("woken", 0), 1, ("woken", 0)]


def test_timeout_and_alignment() -> None:
    def program(world: World) -> Program:
        world.log.append((yield (FUTEX, A, WAIT, 0, world.put(0x7000, "<qq", 1, 0), 0, 0)))
        world.log.append((yield (FUTEX, A + 1, WAIT, 0, 0, 0, 0)))
        world.log.append((yield (FUTEX, A, WAIT_BITSET, 0, 0, 0, 0)))
        now = world.kernel.clock.realtime() + 500_000_000
        world.put(0x7000, "<qq", now // 10**9, now % 10**9)
        world.log.append((yield (FUTEX, A, WAIT_BITSET | 256, 0, 0x7000, 0, 1)))
    assert World(program).run() == [-ETIMEDOUT, -EINVAL, -EINVAL, -ETIMEDOUT]


def test_bitset_chooses() -> None:
    def waiter(bits: int) -> Callable[[World], Program]:
        def body(world: World) -> Program:
            yield (FUTEX, A, WAIT_BITSET, 0, 0, 0, bits)
            world.log.append(bits)
            yield (EXIT, 0)
        return body

    def program(world: World) -> Program:
        yield thread(world, waiter(1))
        yield thread(world, waiter(2))
        yield sleep(world, 1)
        world.log.append((yield (FUTEX, A, WAKE_BITSET, 9, 0, 0, 2)))
        yield sleep(world, 1)
        yield (FUTEX, A, WAKE, 9, 0, 0, 0)
        yield sleep(world, 1)
    assert World(program).run() == [1, 2, 1]


def test_requeue_and_wake_op() -> None:
    def waiter(world: World) -> Program:
        yield (FUTEX, A, WAIT, 0, 0, 0, 0)
        yield (EXIT, 0)

    def program(world: World) -> Program:
        for _ in range(4):
            yield thread(world, waiter)
        yield sleep(world, 1)
        world.log.append((yield (FUTEX, A, CMP_REQUEUE, 1, 1, B, 7)))
        world.log.append((yield (FUTEX, A, CMP_REQUEUE, 1, 2, B, 0)))
        world.log.append((yield (FUTEX, A, WAKE, 9, 0, 0, 0)))
        # *B += 3; wake one of A, and two of B because the old value was 0.
        operation = 1 << 28 | 0 << 24 | 3 << 12 | 0
        world.log.append((yield (FUTEX, A, WAKE_OP, 1, 2, B, operation)))
        world.log.append(world.get(B, "<I")[0])
    assert World(program).run() == [-EAGAIN, 3, 1, 2, 3]


def test_waitv() -> None:
    def waiter(world: World) -> Program:
        world.put(0x3000, "<QQIIQQII", 0, A, 2, 0, 0, B, 2, 0)
        world.log.append((yield (WAITV, 0x3000, 2, 0, 0, 0)))
        yield (EXIT, 0)

    def program(world: World) -> Program:
        yield thread(world, waiter)
        yield sleep(world, 1)
        world.log.append((yield (FUTEX, B, WAKE, 1, 0, 0, 0)))
        yield sleep(world, 1)
    assert World(program).run() == [1, 1]


def test_pi_lock_is_handed_over() -> None:
    def second(world: World) -> Program:
        tid = yield (GETTID,)
        world.log.append(("got", (yield (FUTEX, A, LOCK_PI, 0, 0, 0, 0))))
        world.log.append(world.get(A, "<I")[0] == WAITERS | tid)
        world.log.append((yield (FUTEX, A, UNLOCK_PI, 0, 0, 0, 0)))
        world.log.append(world.get(A, "<I")[0])
        yield (EXIT, 0)

    def program(world: World) -> Program:
        world.log.append((yield (FUTEX, A, TRYLOCK_PI, 0, 0, 0, 0)))
        world.log.append((yield (FUTEX, A, LOCK_PI, 0, 0, 0, 0)))
        yield thread(world, second)
        yield sleep(world, 1)
        world.log.append(world.get(A, "<I")[0] == WAITERS | 100)
        world.log.append((yield (FUTEX, A, UNLOCK_PI, 0, 0, 0, 0)))
        world.log.append((yield (FUTEX, A, UNLOCK_PI, 0, 0, 0, 0)))
        yield sleep(world, 1)
    assert World(program).run() == [0, -EDEADLK, True, 0, -EPERM, ("got", 0), True, 0, 0]


def test_pi_deadlock_is_found() -> None:
    def second(world: World) -> Program:
        yield (FUTEX, B, LOCK_PI, 0, 0, 0, 0)
        yield (FUTEX, A, LOCK_PI, 0, 0, 0, 0)
        yield (EXIT, 0)

    def program(world: World) -> Program:
        yield (FUTEX, A, LOCK_PI, 0, 0, 0, 0)
        yield thread(world, second)
        yield sleep(world, 1)
        world.log.append((yield (FUTEX, B, LOCK_PI, 0, 0, 0, 0)))
    assert World(program).run() == [-EDEADLK]


def test_owner_of_a_pi_lock_dies() -> None:
    def owner(world: World) -> Program:
        yield (FUTEX, A, LOCK_PI, 0, 0, 0, 0)
        yield sleep(world, 1)
        yield (EXIT, 0)

    def program(world: World) -> Program:
        yield thread(world, owner)
        world.put(0x7100, "<qq", 0, 1000)
        yield (NANOSLEEP, 0x7100, 0)
        world.log.append((yield (FUTEX, A, LOCK_PI, 0, 0, 0, 0)))
        world.log.append(world.get(A, "<I")[0] == WAITERS | OWNER_DIED | 100)
    assert World(program).run() == [0, True]


def test_robust_list() -> None:
    def owner(world: World) -> Program:
        tid = yield (GETTID,)
        # One entry at 0x3100 whose word lies 16 bytes before it.
        world.put(0x3000, "<QqQ", 0x3100, -16, 0)
        world.put(0x3100, "<Q", 0x3000)
        world.put(0x30F0, "<I", tid | WAITERS)
        yield (SET_ROBUST, 0x3000, 24)
        yield sleep(world, 1)
        yield (EXIT, 0)

    def program(world: World) -> Program:
        world.log.append((yield (SET_ROBUST, 0x3000, 23)))
        yield thread(world, owner)
        world.put(0x7100, "<qq", 0, 1000)
        yield (NANOSLEEP, 0x7100, 0)
        value = world.get(0x30F0, "<I")[0]
        world.log.append((yield (FUTEX, 0x30F0, WAIT, value, 0, 0, 0)))
        world.log.append(world.get(0x30F0, "<I")[0] == WAITERS | OWNER_DIED)
    assert World(program).run() == [-EINVAL, 0, True]


def test_requeue_to_a_pi_lock() -> None:
    def waiter(world: World) -> Program:
        world.log.append(("waited", (yield (FUTEX, A, WAIT_REQUEUE_PI, 0, 0, B, 0))))
        world.log.append(("unlocked", (yield (FUTEX, B, UNLOCK_PI, 0, 0, 0, 0))))
        yield (EXIT, 0)

    def program(world: World) -> Program:
        yield thread(world, waiter)
        yield thread(world, waiter)
        yield sleep(world, 1)
        yield (FUTEX, B, LOCK_PI, 0, 0, 0, 0)
        world.log.append((yield (FUTEX, A, CMP_REQUEUE_PI, 1, 9, B, 0)))
        world.log.append((yield (FUTEX, B, UNLOCK_PI, 0, 0, 0, 0)))
        yield sleep(world, 1)
    assert World(program).run() == [2, 0, ("waited", 0), ("unlocked", 0), ("waited", 0), ("unlocked", 0)]


def test_clear_child_tid_wakes_the_joiner() -> None:
    def program(world: World) -> Program:
        world.children(leave())
        tid = yield (CLONE, THREAD | 0x1000000, 0x60000, 0, A, 0)
        world.log.append(world.get(A, "<I")[0] == tid)
        world.log.append((yield (FUTEX, A, WAIT, tid, 0, 0, 0)))
        world.log.append(world.get(A, "<I")[0])
    assert World(program).run() == [True, 0, 0]
