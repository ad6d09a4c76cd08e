"""Constant arguments of system calls, for the calls where they matter: socket(AF_PACKET), unshare(CLONE_NEWUSER).

The places of the arguments follow from where the number was: at the SYSCALL instruction itself, or at a call of a
wrapper, by the convention of C or of Go.  A value that the function was given itself is looked up at its callers; calls
of another file's function of the same name (libc's `socket`) are taken as the call.
"""

from __future__ import annotations

from itertools import product

from syscalls.reports.static.flow import CONSTANT, PARAMETER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.reports.static.code import Code

C_ORDER = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
PLACES = {
    "rax!": ("rdi", "rsi", "rdx", "r10", "r8", "r9"),
    "rdi": ("rsi", "rdx", "rcx", "r8", "r9", "stack+8"),
    "rax": ("rbx", "rcx", "rdi", "rsi", "r8", "r9"),
    "stack+8": ("stack+16", "stack+24", "stack+32", "stack+40", "stack+48", "stack+56"),
}
"""Where the number was -> where the arguments are: the kernel's convention, syscall(3), Go since 1.17, Go before."""
OTHER_ORDER = {"clone": {0: 2}}
"""C functions whose arguments are in another order than the call's: the call's index -> theirs."""
MOST_STEPS = 200
"""Constants are given close to the call; what is further away is not worth the time."""
MOST_CALLERS = 2_000
MOST_CHOICES = 16


def find_arguments(code: Code, wanted: dict[int, tuple[int, ...]]) -> None:
    """Fill in `arguments` of the summary for the wanted calls (number -> argument indexes)."""
    for index, address, number, place in code.found:
        order = PLACES.get(place)
        if number in wanted and order is not None:
            places = {argument: order[argument] for argument in wanted[number]}
            # The number's own place is where a wrapper is called; there its arguments are the callee's.
            _look(code, index, address, number, places, place != "rax!", 0)
    from syscalls.table import TABLE
    for number, arguments in wanted.items():
        record = TABLE[number]
        assert record is not None
        other = OTHER_ORDER.get(record.name, {})
        places = {argument: C_ORDER[other.get(argument, argument)] for argument in arguments}
        for symbol in (record.name, f"{record.name}64", f"__{record.name}"):
            for address in code.symbol_callers.get(symbol, [])[:MOST_CALLERS]:
                _look(code, code.image.function_at(address), address, number, places, True, 0)


def _look(code: Code, index: int, address: int, number: int, places: dict[int, str], through: bool,
          depth: int) -> None:
    """Note the constants that the arguments have at an instruction; ask the callers for those that they give."""
    flow = code.flow(index)
    constants: dict[int, list[int]] = {}
    asked: dict[int, dict[int, str]] = {}
    """Entry of the function -> argument -> place where its callers put it."""
    for argument, place in places.items():
        for kind, value in flow.values(address, place, through and flow.is_call(address), MOST_STEPS):
            if kind == CONSTANT:
                constants.setdefault(argument, []).append(int(value) & 0xFFFFFFFF)
            elif kind == PARAMETER:
                start, _, there = str(value).partition(":")
                asked.setdefault(int(start), {})[argument] = there
    if constants:
        kept = code.summary.arguments.setdefault(index, set())
        known = sorted(constants)
        for values in product(*(constants[argument][:MOST_CHOICES] for argument in known)):
            kept.add((number, tuple(zip(known, values, strict=True))))
    if depth >= 3:
        return
    for entry, theirs in asked.items():
        for caller in code.callers.get(entry, [])[:MOST_CALLERS]:
            _look(code, code.image.function_at(caller), caller, number, theirs, True, depth + 1)
