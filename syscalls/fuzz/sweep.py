"""Every call of the table with every argument bad in turn: pointers that lead nowhere, unknown flags, impossible
numbers.  Made from the declarations, without chance; the other arguments are such that the bad one is reached.
"""

from __future__ import annotations

from collections.abc import Iterator

from syscalls.fuzz.domains import EXCLUDED, SKIPPED_LEVELS
from syscalls.fuzz.layouts import LAYOUTS
from syscalls.fuzz.program import DATA_ROOM, Call, Const, Data, Operation, Own, Program, Result, Store, Value
from syscalls.table import TABLE, Syscall

POINTERS = ("Path", "OptPath", "Text", "In", "Out", "InOut", "Buf", "OutBuf")
BAD_POINTERS: tuple[Value, ...] = (Const(0), Const(1), Const(0x10000), Data(DATA_ROOM - 1), Const(0x7FFFFFFFF000),
                                   Const(1 << 63),
                                   Const(-1))
UNKNOWN_FLAGS = (1 << 29, 1 << 30, -1)
NUMBERS = {"Fd": (-1, 99, 0x7FFFFFFF), "DirFd": (-1, 99), "Pid": (-1, 0x3FFFFFFF), "Signal": (-1, 65, 99),
           "S32": (-1, 99, 0x7FFFFFFF, -0x80000000), "U32": (0x7FFFFFFF, 0xFFFFFFFF), "Size": (1 << 63, -1),
           "S64": (-1, (1 << 63) - 1, -(1 << 63)), "Offset": (-1, (1 << 63) - 1), "U64": (1 << 63, -1)}
LEFT_OUT = {
    **EXCLUDED,
    "munmap": "an address of the sweep may be the program's own",
    "brk": "as munmap",
    "mlockall": "locks the executor's own memory, of which a layer may have more",
    "kill": "-1 is everybody",
    "ioprio_get": "-1 looks at everybody",
    "rt_sigsuspend": "sleeps until a signal",
    "rt_sigtimedwait": "sleeps without a timeout",
    "set_robust_list": "what is walked at exit; its errors are those of its size",
    "close_range": "has no bad argument but its flags, and closes what the others use",
    "setpgid": "-1 and others are sessions outside",
    "exit": "ends the program",
    "unshare": "namespaces of users are not the same for who is in one",
    "mq_notify": "one notification a queue: the outcomes depend on their order",
    "ioctl": "the bad address is only looked at by some codes",
}
"""Calls that the sweep leaves out, and why."""


def usual(record: Syscall, index: int) -> Value:
    """An argument that lets the others be looked at."""
    kind, name = record.argument_kinds()[index], record.params[index]
    base = kind.partition("[")[0]
    layout = kind.partition("[")[2].rstrip("]")
    if base in ("Path", "OptPath", "Text"):
        return Data(0x100)
    if base in ("In", "InOut", "Out"):
        return Const(0) if layout in ("Timespec", "Timeval", "SigSet") and base == "In" else Data(0x200 + 0x200 * index)
    if base in ("Buf", "OutBuf", "Addr"):
        return Data(0x200 + 0x200 * index)
    if base in ("Fd", "DirFd"):
        return Result(1)
    if base == "Mode":
        return Const(0o600)
    if name in ("timeout", "timeout_ms"):
        return Const(0)
    if base == "Signal":
        return Const(0)
    if base == "Size" or name in ("count", "length", "vlen"):
        return Const(8 if "SigSet" in "".join(record.argument_kinds()) else 1)
    if name == "key":
        return Own(0)
    return Const(0)


def bad(record: Syscall, index: int) -> tuple[Value, ...]:
    kind = record.argument_kinds()[index]
    base = kind.partition("[")[0]
    if base in POINTERS:
        return BAD_POINTERS
    if base == "Flags":
        return tuple(Const(value) for value in UNKNOWN_FLAGS)
    return tuple(Const(value) for value in NUMBERS.get(base, ()))


def programs() -> Iterator[tuple[str, Program]]:
    """(call and parameter, a program that makes the call with each bad value of that parameter)."""
    for record in TABLE:
        if record is None or record.name in LEFT_OUT or record.support.level in SKIPPED_LEVELS:
            continue
        for index, parameter in enumerate(record.params):
            values = bad(record, index)
            if not values:
                continue
            operations: list[Operation] = [Store(0x100, b"f\0"), Call(1, "open", (Data(0x100), Const(2)))]
            for number, value in enumerate(values):
                args = tuple(value if place == index else usual(record, place) for place in range(len(record.params)))
                operations.append(Call(2 + number, record.name, args))
            yield f"{record.name}.{parameter}", Program(tuple(operations))


def unknown_layouts() -> set[str]:
    """Type names of declarations that layouts.py does not know."""
    named = {kind.partition("[")[2][:-1] for record in TABLE if record is not None for kind in record.argument_kinds()
             if kind.startswith(("In[", "Out[", "InOut["))}
    return named - set(LAYOUTS)
