"""Programs of system calls: what the executor (data/executor.c) runs.

A program is a list of operations.  Each has a slot, a number below 512 in which its result is kept; later operations
name it.  Memory is one area of DATA_ROOM bytes, between pages that are not there.  All is plain data with a `repr` that
is Python, so that a program prints as the code that makes it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from syscalls.calls import load
from syscalls.table import TABLE

load()
NUMBERS: dict[str, int] = {record.name: record.number for record in TABLE if record is not None}

DATA_AT, DATA_ROOM, ARENA_AT = 0x30000000, 0x4000, 0x50000000
TREE = ("f", "e", "n", "x", "d", "d/g", "r", "r/h", "l", "dl", "dang", "loop", "p")
"""The tree that every program finds: a file, an empty one, one without any permission, an executable one, a directory
with a file, a read-only one, links to a file, to a directory, to nothing and to itself, and a FIFO."""
SLOTS = 512
MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Const:
    """A number, as it is."""
    number: int


@dataclass(frozen=True)
class Result:
    """The result of the operation with this slot, and something added to it."""
    slot: int
    add: int = 0


@dataclass(frozen=True)
class Data:
    """The address of this byte of the memory area."""
    offset: int


@dataclass(frozen=True)
class Arena:
    """An address in a range where nothing is mapped at first."""
    offset: int


@dataclass(frozen=True)
class Code:
    """0: the signal handler that logs the signal; 1: the restorer."""
    which: int


@dataclass(frozen=True)
class Own:
    """What no other program of a run has, for keys and names that live on: 0 a number, 1 eight letters."""
    which: int


Value = Const | Result | Data | Arena | Code | Own


@dataclass(frozen=True)
class Call:
    """A system call, by name (`#451` for a number without one).  What it changes in memory is logged."""
    slot: int
    name: str
    args: tuple[Value, ...] = ()

    @property
    def number(self) -> int:
        return int(self.name[1:]) if self.name.startswith("#") else NUMBERS[self.name]


@dataclass(frozen=True)
class Store:
    """Put bytes into memory."""
    offset: int
    data: bytes


@dataclass(frozen=True)
class StoreValue:
    """Put a value into memory, so many bytes of it."""
    offset: int
    width: int
    value: Value


@dataclass(frozen=True)
class Load:
    """The result is a number from memory: 4 or 8 bytes, signed."""
    slot: int
    offset: int
    width: int = 4


@dataclass(frozen=True)
class Block:
    """Operations of a child process ("fork") or of a thread ("thread").  The program goes on when it has ended; the
    result is its pid.  A process is not waited for: it stays to be."""
    slot: int
    kind: str
    body: tuple[Operation, ...]


@dataclass(frozen=True)
class Probe:
    """Read the byte at an address (store -1), or write it.  A fault is a result: -(1000 signal + code)."""
    slot: int
    address: Value
    store: int = -1


@dataclass(frozen=True)
class Content:
    """The text of a file whose path is at this place of memory."""
    slot: int
    path: int


Operation = Call | Store | StoreValue | Load | Block | Probe | Content


@dataclass(frozen=True)
class Program:
    operations: tuple[Operation, ...]

    def __len__(self) -> int:
        return sum(1 for _ in walk(self.operations))

    def encode(self) -> bytes:
        """For the executor: words of 64 bits."""
        return struct.pack(f"<{len(words := _encode(self.operations))}Q", *(word & MASK for word in words))

    def source(self) -> str:
        """Python that makes the program."""
        return "Program((\n" + _source(self.operations, "    ") + "))"


def walk(operations: Sequence[Operation]) -> Iterator[Operation]:
    for operation in operations:
        yield operation
        if isinstance(operation, Block):
            yield from walk(operation.body)


def without(operations: tuple[Operation, ...], drop: Operation) -> tuple[Operation, ...]:
    """The same operations but for one (by identity)."""
    out: list[Operation] = []
    for operation in operations:
        if operation is drop:
            continue
        if isinstance(operation, Block):
            body = without(operation.body, drop)
            if body != operation.body:
                operation = replace(operation, body=body)
        out.append(operation)
    return tuple(out)


def _source(operations: Sequence[Operation], indent: str) -> str:
    out = ""
    for operation in operations:
        if isinstance(operation, Block):
            out += f"{indent}Block({operation.slot}, {operation.kind!r}, (\n"
            out += _source(operation.body, indent + "    ") + f"{indent})),\n"
        else:
            out += f"{indent}{plain(operation)},\n"
    return out


def plain(thing: object) -> str:
    """`repr` without field names."""
    if isinstance(thing, tuple):
        return "(" + ", ".join(map(plain, thing)) + ("," if len(thing) == 1 else "") + ")"
    if hasattr(thing, "__dataclass_fields__"):
        fields = ", ".join(plain(getattr(thing, name)) for name in thing.__dataclass_fields__)
        return f"{type(thing).__name__}({fields})"
    if isinstance(thing, int) and abs(thing) > 0xFFFF:
        return hex(thing)
    return repr(thing)


def _value(value: Value) -> tuple[int, int]:
    match value:
        case Const(number):
            return 0, number
        case Result(slot, add):
            return 1, slot | (add & 0xFFFFFFFF) << 32
        case Data(offset):
            return 2, offset
        case Arena(offset):
            return 3, offset
        case Code(which):
            return 4, which
        case Own(which):
            return 5, which


def _operation(kind: int, slot: int, words: Sequence[int]) -> list[int]:
    return [kind | slot << 16 | (len(words) + 1) << 32, *words]


def _encode(operations: Sequence[Operation]) -> list[int]:
    out: list[int] = []
    for operation in operations:
        match operation:
            case Call(slot, _, args):
                words = [operation.number]
                for value in (*args, *[Const(0)] * (6 - len(args))):
                    words += _value(value)
                out += _operation(1, slot, words)
            case Store(offset, data):
                padded = data + bytes(-len(data) % 8)
                out += _operation(2, 0, [offset, len(data), *struct.unpack(f"<{len(padded) // 8}Q", padded)])
            case StoreValue(offset, width, value):
                out += _operation(3, 0, [offset, width, *_value(value)])
            case Load(slot, offset, width):
                out += _operation(4, slot, [offset, width])
            case Block(slot, kind, body):
                out += _operation(5, slot, [int(kind == "thread"), *_encode(body)])
            case Probe(slot, address, store):
                out += _operation(6, slot, [*_value(address), store])
            case Content(slot, path):
                out += _operation(7, slot, [path])
    return out
