"""Places that paths do not lead to any more: random calls on a small tree in which directories come, go, move and
change their modes, while the program works in them and has them open.  The other fuzzers rarely come so deep.
"""

from __future__ import annotations

import random

import pytest

from syscalls.fuzz.campaign import CONFIRM_LIMIT_MS, Campaign
from syscalls.fuzz.expected import reason
from syscalls.fuzz.program import Call, Const, Data, Operation, Program, Result, Store, Value
from tests.runner import FULL

ROUNDS = 60 if FULL else 6
PROGRAMS = 20
CALLS = 120
DEPTH = 12
"""So far below the directory of all programs that none climbs to it."""
PATHS = (b"a", b"b", b"f", b"g", b".", b"..", b"../f", b"../b", b"a/b", b"a/f", b"../a", b"../..", b"../../a", b"./f",
         b"k", b"a/", b"f/", b"../a/b/f", b"a/b/f", b"k/f", b"../k", b"")
MODES = (0, 0o755, 0o755, 0o700, 0o500, 0o300, 0o400, 0o100, 0o777)
NAMES, BUFFER = 0x1000, 0x800
O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY, O_NOFOLLOW, O_PATH = 0o100, 0o200, 0o1000, 0o200000, 0o400000, 0o10000000
HERE = Const(-100)


def path(chosen: bytes) -> Data:
    return Data(NAMES + 32 * PATHS.index(chosen))


def places(seed: int) -> Program:
    rng = random.Random(seed)
    operations: list[Operation] = [Store(NAMES + 32 * number, name + b"\0") for number, name in enumerate(PATHS)]
    a, b, f = b"a", b"a/b", b"a/b/f"
    for slot in range(1000, 1000 + DEPTH):
        operations += [Call(slot, "mkdir", (path(a), Const(0o755))), Call(slot + DEPTH, "chdir", (path(a),))]
    operations += [Call(1, "mkdir", (path(a), Const(0o755))), Call(2, "mkdir", (path(b), Const(0o755))),
                   Call(3, "open", (path(f), Const(O_CREAT), Const(0o644))),
                   Call(4, "symlink", (path(a), path(b"k"))), Call(5, "open", (path(b"."), Const(0))),
                   Call(6, "open", (path(b), Const(0))), Call(7, "chdir", (path(b),))]
    opened = [5, 6]
    for slot in range(10, 10 + CALLS):
        one, two = (path(rng.choice(PATHS)) for _ in range(2))
        fd: Value = Result(rng.choice(opened))
        at = fd if not rng.randrange(3) else HERE
        mode = Const(rng.choice(MODES))
        call = rng.choice((
            ("newfstatat", at, one, Data(BUFFER), Const(rng.choice((0, 0x100, 0x1000)))), ("fchmodat", at, one, mode),
            ("fchmodat", at, one, mode), ("chdir", one), ("mkdirat", at, one, mode), ("unlinkat", at, one, Const(0)),
            ("unlinkat", at, one, Const(0x200)), ("renameat", at, one, HERE, two), ("openat", at, one, Const(
                rng.choice((0, O_DIRECTORY, O_PATH, O_NOFOLLOW | O_PATH)))),
            ("openat", at, one, Const(O_CREAT | 2 | rng.choice((0, O_EXCL, O_TRUNC))), mode),
            ("faccessat", at, one, Const(rng.randrange(8))), ("symlinkat", two, at, one),
            ("linkat", at, one, HERE, two, Const(rng.choice((0, 0x400)))),
            ("readlinkat", at, one, Data(BUFFER), Const(64)), ("fchdir", fd), ("fchdir", fd), ("fchmod", fd, mode),
            ("utimensat", at, one, Const(0), Const(0)), ("truncate", one, Const(rng.randrange(9))),
            ("renameat2", at, one, HERE, two, Const(rng.choice((1, 2)))), ("fstat", fd, Data(BUFFER)),
            ("getcwd", Data(BUFFER), Const(256))))
        operations.append(Call(slot, call[0], call[1:]))
        if call[0] == "openat":
            opened.append(slot)
    return Program(tuple(operations))


@pytest.mark.parametrize("number", range(ROUNDS))
def test_places_do_the_same(campaign: Campaign, number: int) -> None:
    for seed in range(number * PROGRAMS, (number + 1) * PROGRAMS):
        program = places(seed)
        for side, found in campaign.differences(program, limit_ms=CONFIRM_LIMIT_MS):
            assert reason(side.name, found) is not None or not campaign.shows(program, side, found.key), (
                f"{found}\n{found.detail}\n{program.source()}")
