"""Rule-based state machines that make programs: one rule for each call of a group, made from its declaration.

The rules do not run anything: they append operations.  When the machine ends, the program is run on all sides and
compared, so that hypothesis shrinks programs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule

from syscalls.fuzz.domains import group_calls
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
from syscalls.fuzz.strategies import Argument, Bundles, Placed, Room, addresses, arguments

MAKES: dict[str, str] = {
    **dict.fromkeys(("open", "openat", "openat2", "creat", "dup", "dup2", "dup3", "socket", "accept", "accept4",
                     "epoll_create",
                     "epoll_create1", "eventfd", "eventfd2", "timerfd_create", "signalfd", "signalfd4", "inotify_init",
                     "inotify_init1", "memfd_create", "pidfd_open", "pidfd_getfd", "mq_open", "fcntl"), "fds"),
    **dict.fromkeys(("getpid", "gettid", "getppid", "getpgrp", "getsid"), "pids"),
    **dict.fromkeys(("mmap", "mremap", "shmat", "brk"), "maps"),
    **dict.fromkeys(("shmget", "semget", "msgget", "inotify_add_watch"), "ids"),
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


class Machine(RuleBasedStateMachine):
    """What all groups share.  `run` is set by who fuzzes."""

    run: Callable[[Program], None]
    MOST_SLOTS = 300

    def __init__(self) -> None:
        super().__init__()
        self.builder = Builder()

    def teardown(self) -> None:
        program = self.builder.program()
        if program.operations:
            type(self).run(program)


def call_rule(name: str, bundles: Bundles, targets: dict[str, Bundle[Any]]) -> Any:
    """The rule of one call."""
    strategies = arguments(name, bundles)
    parameters = list(strategies)
    made = MAKES.get(name)
    kind = made or ("fds" if name in PAIRS else "ids" if name in NUMBERS_IN_MEMORY else None)

    def make(self: Machine, **drawn: Argument) -> Any:
        builder = self.builder
        if builder.slot > self.MOST_SLOTS:
            return multiple() if kind else None
        args = tuple(builder.lower(drawn[f"a_{parameter}"]) for parameter in parameters)
        slot = builder.next_slot()
        builder.add(Call(slot, name, args))
        if made:
            return Result(slot)
        if name in PAIRS:
            where = args[PAIRS[name]]
            if not isinstance(where, Data) or where.offset + 8 > DATA_ROOM:
                return multiple()
            return multiple(builder.load(where.offset), builder.load(where.offset + 4))
        if name in NUMBERS_IN_MEMORY:
            index, width = NUMBERS_IN_MEMORY[name]
            where = args[index]
            if not isinstance(where, Data) or where.offset + 8 > DATA_ROOM:
                return multiple()
            return multiple(builder.load(where.offset, width))
        return None

    make.__name__ = name
    drawn: dict[str, Any] = {f"a_{parameter}": strategy for parameter, strategy in strategies.items()}
    if kind:
        drawn["target"] = targets[kind]
    decorate: Callable[[Any], Any] = rule(**drawn)
    return decorate(make)


def machine(group: str, run: Callable[[Program], None]) -> type[Machine]:
    """The state machine of a group of calls."""
    targets: dict[str, Bundle[Any]] = {name: Bundle(name) for name in ("fds", "pids", "maps", "ids")}
    bundles = Bundles(**targets)

    def objects(self: Machine) -> Any:
        return multiple(Const(-1), Const(0), Const(99))

    def processes(self: Machine) -> Any:
        return multiple(self.builder.call("getpid"), Const(0x3FFFFFFF))

    def mappings(self: Machine) -> Any:
        return multiple(Const(0))

    def numbers(self: Machine) -> Any:
        return multiple(Const(-1), Const(0))

    def begin_process(self: Machine) -> Any:
        if len(self.builder.blocks) > 1:
            return multiple()
        return multiple(self.builder.begin("fork"))

    def begin_thread(self: Machine) -> None:
        if len(self.builder.blocks) < 2:
            self.builder.begin("thread")

    def end_block(self: Machine) -> None:
        if self.builder.blocks:
            self.builder.finish()

    def leave(self: Machine, code: int, whole: bool) -> None:
        if self.builder.blocks:
            self.builder.call("exit_group" if whole and self.builder.blocks[-1][1] == "fork" else "exit", Const(code))
            self.builder.finish()

    def touch(self: Machine, address: Value, store: int) -> None:
        self.builder.add(Probe(self.builder.next_slot(), address, store))

    def maps_text(self: Machine) -> None:
        builder = self.builder
        where = builder.lower(Placed(b"/proc/self/maps\0"))
        assert isinstance(where, Data)
        builder.add(Content(builder.next_slot(), where.offset))

    body: dict[str, Any] = {
        "run": staticmethod(run),
        "objects": initialize(target=targets["fds"])(objects),
        "processes": initialize(target=targets["pids"])(processes),
        "mappings": initialize(target=targets["maps"])(mappings),
        "numbers": initialize(target=targets["ids"])(numbers),
    }
    if group in ("process", "signals", "io", "files", "ipc", "sockets"):
        body["begin_process"] = rule(target=targets["pids"])(begin_process)
        body["begin_thread"] = rule()(begin_thread)
        body["end_block"] = rule()(end_block)
        body["leave"] = rule(code=st.sampled_from([0, 1, 7, 255, 256, -1]), whole=st.booleans())(leave)
    if group == "memory":
        body["touch"] = rule(address=addresses(bundles), store=st.sampled_from([-1, -1, 5]))(touch)
        body["maps_text"] = rule()(maps_text)
    for name in group_calls(group):
        body[f"call_{name}"] = call_rule(name, bundles, targets)
    return type(f"Fuzz_{group}", (Machine,), body)
