"""The steps that programs are made of: one for each call of a group, from its declaration, and those that make
processes and threads, touch memory and read /proc.

A state machine of hypothesis (machine.py) or a plain random generator (volume.py) chooses among them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from syscalls.fuzz import draws as st
from syscalls.fuzz.domains import group_calls
from syscalls.fuzz.draws import Draw
from syscalls.fuzz.program import (
    DATA_ROOM,
    Block,
    Call,
    Const,
    Content,
    Data,
    Load,
    Operation,
    Probe,
    Program,
    Result,
    Store,
    StoreValue,
    Value,
)
from syscalls.fuzz.strategies import Argument, Placed, Room, addresses, arguments

MAKES: dict[str, str] = {
    **dict.fromkeys(("open", "openat", "openat2", "creat", "dup", "dup2", "dup3", "socket", "accept", "accept4",
                     "epoll_create",
                     "epoll_create1", "eventfd", "eventfd2", "timerfd_create", "signalfd", "signalfd4", "inotify_init",
                     "inotify_init1", "memfd_create", "pidfd_open", "pidfd_getfd", "mq_open", "fcntl"), "fds"),
    "landlock_create_ruleset": "rulesets",
    **dict.fromkeys(("getpid", "gettid"), "pids"),
    **dict.fromkeys(("mmap", "mremap", "shmat", "brk"), "maps"),
    "shmget": "shms",
    "semget": "sems",
    "msgget": "msgs",
    "inotify_add_watch": "ids",
}
"""Calls whose result is an object: the bundle that it goes to."""
PAIRS = {"pipe": 0, "pipe2": 0, "socketpair": 3}
"""Calls that write two descriptors, and at which argument."""
NUMBERS_IN_MEMORY = {"timer_create": (2, 4), "io_setup": (1, 8)}
"""Calls that write the number of an object: at which argument, and how wide."""

LOW, HIGH = 0x100, 0x1C00
"""Arguments are placed in this part of the memory area, one after the other, and from the start again."""


class Builder:
    """A program in the making."""

    def __init__(self) -> None:
        self.stack: list[list[Operation]] = [[]]
        self.blocks: list[tuple[int, str]] = []
        self.slot = 0
        self.place = LOW

    def next_slot(self) -> int:
        self.slot += 1
        return self.slot

    def add(self, operation: Operation) -> None:
        self.stack[-1].append(operation)

    def room(self, size: int) -> int:
        size = size + 7 & ~7
        if self.place + size > HIGH:
            self.place = LOW
        at = self.place
        self.place += size
        return at if at + size <= DATA_ROOM else LOW

    def lower(self, argument: Argument) -> Value:
        """Put what has to be in memory there."""
        if isinstance(argument, Room):
            return Data(self.room(argument.size))
        if not isinstance(argument, Placed):
            return argument
        over = [(offset, width, self.lower(value)) for offset, width, value in argument.over]
        at = self.room(max(8, len(argument.data)))
        self.add(Store(at, argument.data))
        for offset, width, value in over:
            self.add(StoreValue(at + offset, width, value))
        return Data(at)

    def call(self, name: str, *given: Argument) -> Result:
        args = tuple(self.lower(argument) for argument in given)
        slot = self.next_slot()
        self.add(Call(slot, name, args))
        return Result(slot)

    def load(self, offset: int, width: int = 4) -> Result:
        slot = self.next_slot()
        self.add(Load(slot, offset, width))
        return Result(slot)

    def begin(self, kind: str) -> Result:
        slot = self.next_slot()
        self.blocks.append((slot, kind))
        self.stack.append([])
        return Result(slot)

    def finish(self) -> None:
        body = tuple(self.stack.pop())
        self.add(Block(*self.blocks.pop(), body))

    def program(self) -> Program:
        while self.blocks:
            self.finish()
        return Program(tuple(self.stack[0]))


@dataclass(frozen=True)
class Step:
    name: str
    bundle: str | None
    """Where the objects go that it makes."""
    arguments: dict[str, Draw]
    act: Callable[..., list[Value]]
    """Takes the builder and what was drawn; the objects it made."""


MOST_SLOTS = 300
BUNDLES = ("fds", "pids", "maps", "ids", "shms", "sems", "msgs", "rulesets")
IN_BLOCKS = ("process", "signals", "io", "files", "ipc", "sockets")
"""Groups whose programs have child processes and threads."""


def first_objects(builder: Builder) -> dict[str, list[Value]]:
    """What the bundles have at the start."""
    return {"fds": [Const(-1), Const(0), Const(99)], "pids": [builder.call("getpid"), Const(0x3FFFFFFF)],
            "maps": [Const(0)], "rulesets": [Const(-1)],
            **{name: [Const(-1), Const(0x7FFFFFF0)] for name in ("ids", "shms", "sems", "msgs")}}


@cache
def steps(group: str) -> tuple[Step, ...]:
    """All steps of a group."""
    out = [call_step(name) for name in group_calls(group)]
    if group in IN_BLOCKS:
        out += [Step("begin_process", "pids", {}, begin_process), Step("begin_thread", None, {}, begin_thread),
                Step("end_block", None, {}, end_block),
                Step("leave", None, {"code": st.sampled_from([0, 1, 7, 255, 256, -1]), "whole": st.booleans()}, leave)]
    if group == "memory":
        touching = Step("touch", None, {"address": addresses(), "store": st.sampled_from([-1, -1, 5])}, touch)
        out += [touching, touching, touching, Step("maps_text", None, {}, maps_text)]
    return tuple(out)


def call_step(name: str) -> Step:
    draws = arguments(name)
    parameters = list(draws)
    made = MAKES.get(name)
    bundle = made or ("fds" if name in PAIRS else "ids" if name in NUMBERS_IN_MEMORY else None)

    def act(builder: Builder, **drawn: Argument) -> list[Value]:
        if builder.slot > MOST_SLOTS:
            return []
        args = tuple(builder.lower(drawn[f"a_{parameter}"]) for parameter in parameters)
        result = Result(builder.next_slot())
        builder.add(Call(result.slot, name, args))
        if made:
            return [result]
        if name in PAIRS:
            where = args[PAIRS[name]]
            if isinstance(where, Data) and where.offset + 8 <= DATA_ROOM:
                return [builder.load(where.offset), builder.load(where.offset + 4)]
        elif name in NUMBERS_IN_MEMORY:
            index, width = NUMBERS_IN_MEMORY[name]
            where = args[index]
            if isinstance(where, Data) and where.offset + 8 <= DATA_ROOM:
                return [builder.load(where.offset, width)]
        return []

    return Step(name, bundle, {f"a_{parameter}": draw for parameter, draw in draws.items()}, act)


def begin_process(builder: Builder) -> list[Value]:
    return [builder.begin("fork")] if len(builder.blocks) < 2 else []


def begin_thread(builder: Builder) -> list[Value]:
    if len(builder.blocks) < 2:
        builder.begin("thread")
    return []


def end_block(builder: Builder) -> list[Value]:
    if builder.blocks:
        builder.finish()
    return []


def leave(builder: Builder, code: int, whole: bool) -> list[Value]:
    if builder.blocks:
        builder.call("exit_group" if whole and builder.blocks[-1][1] == "fork" else "exit", Const(code))
        builder.finish()
    return []


def touch(builder: Builder, address: Value, store: int) -> list[Value]:
    builder.add(Probe(builder.next_slot(), address, store))
    return []


def maps_text(builder: Builder) -> list[Value]:
    where = builder.lower(Placed(b"/proc/self/maps\0"))
    assert isinstance(where, Data)
    builder.add(Content(builder.next_slot(), where.offset))
    return []
