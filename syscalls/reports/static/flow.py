"""Backward data flow inside of one function: which constants can be in a register at an instruction.

Registers are named by their 64-bit form, places on the stack by their distance from the stack pointer at the function's
entry (`stack+8` is its first argument there).  What is followed: moves, constants, xor of a register with itself,
stack slots, choices between branches.  Anything else is unknown.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.reports.static.code import Instruction

    Value = tuple[str, int | str]
    """(CONSTANT, number), (PARAMETER, "address of the function's entry:place"), (UNKNOWN, "")."""
else:
    Value = tuple

CONSTANT, PARAMETER, UNKNOWN = "constant", "parameter", "unknown"
NOWHERE: Value = (UNKNOWN, "")
MOST_STEPS = 4_000
MOST_JUMPS = 64
"""Indirect jumps that can lead to one place: data among code, decoded, seems to have thousands."""
WIDE = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16)))
FULL_NAME = {name: name for name in WIDE}
for _name in WIDE[:8]:
    FULL_NAME["e" + _name[1:]] = FULL_NAME[_name[1:]] = _name
for _letter in "abcd":
    FULL_NAME[_letter + "l"] = FULL_NAME[_letter + "h"] = f"r{_letter}x"
for _name in ("si", "di", "bp", "sp"):
    FULL_NAME[_name + "l"] = "r" + _name
for _name in WIDE[8:]:
    for _letter in "dwb":
        FULL_NAME[_name + _letter] = _name
CLOBBERED = frozenset(("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"))
"""What a function may change by the calling convention."""
RELATIVE = re.compile(r"\[rip ([+-]) (0x[0-9a-f]+|\d+)\]")
SLOT = re.compile(r"^(?:[qd]word ptr )?\[(rsp|rbp)(?: ([+-]) (0x[0-9a-f]+|\d+))?\]$")
SUM = re.compile(r"^\[(r[a-ds0-9][xi0-9]?) ([+-]) (0x[0-9a-f]+|\d+)\]$")
CONDITIONAL_MOVE = "cmov"
MOST_NESTED = 4
"""How many pieces of arithmetic are followed into each other."""
ARITHMETIC = {"add": int.__add__, "sub": int.__sub__, "and": int.__and__, "or": int.__or__, "xor": int.__xor__}
READS_ONLY = {"cmp", "test", "nop", "push", "endbr64", "bt", "ud2", "prefetcht0", "prefetcht1", "ret", "leave",
              "comiss", "comisd", "ucomiss", "ucomisd", "ptest", "lfence", "mfence", "sfence", "pause", "hlt", "int3",
              "cld", "std"}
ENDS = ("ret", "jmp", "ud2", "hlt", "bnd jmp", "notrack jmp", "bnd ret", "repz ret")


class Flow:
    """One function, decoded."""

    def __init__(self, code: list[Instruction], callers: dict[int, list[int]],
                 clobbers: Callable[[int], frozenset[str]], initial: Callable[[int], int | None]) -> None:
        self.code = code
        self.at = {instruction[0]: index for index, instruction in enumerate(code)}
        self.entry = code[0][0] if code else 0
        self.before: list[list[int]] = [[] for _ in code]
        """Instruction -> those that can run just before it."""
        self.entered = callers
        """Addresses that other functions call or jump to."""
        self.clobbers = clobbers
        """Registers that the function at an address changes."""
        self.nested = 0
        self.steps = 0
        """Taken for the question that is being answered, those of arithmetic in it included."""
        self.initial = initial
        """What a variable at an address holds at the start, None where that is no small number."""
        self._connect()
        self.depth, self.frame = self._stack()

    def sites(self) -> list[int]:
        return [address for address, _, mnemonic, _ in self.code if mnemonic in ("syscall", "sysenter")]

    def is_call(self, address: int) -> bool:
        return self.code[self.at[address]][2] == "call"

    def _connect(self) -> None:
        indirect = []
        for index, (_, _, mnemonic, operands) in enumerate(self.code):
            if mnemonic not in ENDS and index + 1 < len(self.code):
                self.before[index + 1].append(index)
            if mnemonic[0] == "j" or mnemonic in ("bnd jmp", "notrack jmp"):
                if operands[:2] == "0x":
                    target = self.at.get(int(operands, 16))
                    if target is not None:
                        self.before[target].append(index)
                elif mnemonic != "call":
                    indirect.append(index)
        for index in range(1, len(self.code)):
            # What nothing leads to is the target of a jump table, unless it is what aligns the next instruction.
            if not self.before[index] and self.code[index][0] not in self.entered and not self._aligns(index):
                self.before[index] = indirect[:MOST_JUMPS]

    def _aligns(self, index: int) -> bool:
        return self.code[index][2] in ("nop", "int3", "xchg", "data16 nop", ".byte")

    def _stack(self) -> tuple[list[int], list[int | None]]:
        """Before each instruction: how far the stack has grown, and where rbp points (as a place), in the order of
        the text; after a jump away it is as it was when the next place was jumped to."""
        depth: list[int] = []
        frame: list[int | None] = []
        grown, base = 0, None
        jumped: dict[int, tuple[int, int | None]] = {}
        for index, (_, _, mnemonic, operands) in enumerate(self.code):
            if index in jumped:
                grown, base = jumped[index]
            depth.append(grown)
            frame.append(base)
            first, _, second = operands.partition(", ")
            if mnemonic == "push":
                grown += 8
            elif mnemonic == "pop":
                grown -= 8
            elif mnemonic in ("sub", "add") and first == "rsp":
                number = _number(second)
                if number is not None:
                    grown += number if mnemonic == "sub" else -number
            elif mnemonic == "mov" and operands == "rbp, rsp":
                base = -grown
            elif mnemonic == "lea" and first == "rbp":
                slot = SLOT.match(second)
                base = _offset(slot) - grown if slot is not None and slot[1] == "rsp" else None
            elif mnemonic == "leave":
                grown = -(base or 0) - 8
            if mnemonic[0] == "j" and operands[:2] == "0x":
                target = self.at.get(int(operands, 16))
                if target is not None and target > index:
                    jumped.setdefault(target, (grown, base))
        return depth, frame

    def place(self, index: int, operand: str) -> str:
        """The name of an operand that can be followed; "" for others."""
        full = FULL_NAME.get(operand)
        if full is not None:
            return full
        slot = SLOT.match(operand)
        if slot is None:
            return ""
        base = -self.depth[index] if slot[1] == "rsp" else self.frame[index]
        return "" if base is None else f"stack{base + _offset(slot):+d}"

    def values(self, address: int, place: str, through: bool = False, most: int = MOST_STEPS) -> set[Value]:
        """What `place` can hold just before the instruction at `address`.  `place` is as the function sees it; with
        `through` it is as the function that is called there sees it: its `stack+8` is this one's top of the stack.
        What is more than `most` steps away is unknown."""
        start = self.at.get(address)
        if start is None:
            return {NOWHERE}
        if place.startswith("stack"):
            moved = int(place[5:]) - self.depth[start] - (8 if through else 0)
            place = f"stack{moved:+d}"
        if not self.nested:
            self.steps = 0
        out: set[Value] = set()
        seen: set[tuple[int, str]] = set()
        work = [(start, place)]
        while work:
            index, wanted = work.pop()
            if (index, wanted) in seen:
                continue
            seen.add((index, wanted))
            self.steps += 1
            if self.steps > most:
                out.add(NOWHERE)
                break
            here = self.code[index][0]
            if index == 0 or here in self.entered:
                out.add((PARAMETER, f"{here}:{wanted}"))
            elif not self.before[index] and not self._aligns(index):
                # A landing pad of an exception, or code that nothing runs.
                out.add(NOWHERE)
            for earlier in self.before[index]:
                follow = self._step(earlier, wanted)
                if isinstance(follow, str):
                    work.append((earlier, follow))
                elif isinstance(follow, set):
                    out |= follow
                else:
                    out.add(follow)
        return out

    def _step(self, index: int, wanted: str) -> str | Value | set[Value]:
        """Backward over one instruction: the place to look at before it, or the value or values that it gives."""
        _, _, mnemonic, operands = self.code[index]
        if mnemonic == "call":
            changed = self.clobbers(int(operands, 16)) if operands[:2] == "0x" else CLOBBERED
            return NOWHERE if wanted in changed else wanted
        if mnemonic == "syscall":
            return NOWHERE if wanted in ("rax", "rcx", "r11") else wanted
        first, _, second = operands.partition(", ")
        if mnemonic == "pop":
            if self.place(index, first) != wanted:
                return wanted
            return f"stack{-self.depth[index]:+d}"
        if mnemonic == "push":
            if wanted != f"stack{-self.depth[index] - 8:+d}":
                return wanted
            number = _number(operands)
            return (CONSTANT, number) if number is not None else self.place(index, operands) or NOWHERE
        if mnemonic in READS_ONLY or mnemonic[0] == "j" or not operands:
            return NOWHERE if mnemonic in ("cdq", "cqo", "cpuid", "rdtsc") and wanted in ("rax", "rdx") else wanted
        if mnemonic in ("xchg", "cmpxchg", "lock cmpxchg", "xadd", "lock xadd", "mul", "imul", "div", "idiv"):
            return self._rare(index, mnemonic, first, second, wanted)
        if self.place(index, first) != wanted:
            return wanted
        if mnemonic in ("mov", "movabs", "movzx", "movsxd"):
            number = _number(second)
            if number is None and "rip" in second:
                number = self._variable(index, second)
            return (CONSTANT, number) if number is not None else self.place(index, second) or NOWHERE
        if mnemonic in ("xor", "sub") and first == second:
            return (CONSTANT, 0)
        if mnemonic == "sbb" and first == second:
            # All bits of the carry: the start of a choice without a branch.
            return {(CONSTANT, 0), (CONSTANT, -1)}
        if mnemonic.startswith("set"):
            return {(CONSTANT, 0), (CONSTANT, 1)}
        if mnemonic.startswith(CONDITIONAL_MOVE):
            return self._of(index, wanted) | self._of(index, self.place(index, second))
        if mnemonic == "lea":
            match = SUM.match(second)
            if match is None:
                return NOWHERE
            return self._arithmetic(index, "add" if match[2] == "+" else "sub", FULL_NAME[match[1]], match[3])
        return self._arithmetic(index, mnemonic, wanted, second)

    def _variable(self, index: int, operand: str) -> int | None:
        """Numbers kept in variables (Go's fcntl64Syscall): as they are at the start."""
        match = RELATIVE.search(operand)
        if match is None:
            return None
        distance = int(match[2], 0)
        address, size, _, _ = self.code[index]
        return self.initial(address + size + (distance if match[1] == "+" else -distance))

    def _rare(self, index: int, mnemonic: str, first: str, second: str, wanted: str) -> str | Value:
        touched = {self.place(index, first), self.place(index, second)}
        if mnemonic in ("mul", "div", "idiv", "cmpxchg", "lock cmpxchg") or (mnemonic == "imul" and not second):
            touched |= {"rax", "rdx"}
        if wanted not in touched:
            return wanted
        if mnemonic == "xchg":
            other = self.place(index, second if self.place(index, first) == wanted else first)
            return other or NOWHERE
        return NOWHERE

    def _of(self, index: int, place: str) -> set[Value]:
        """What a register can hold before an instruction, looked up anew; a value of the caller stays one."""
        if not place or place.startswith("stack") or self.nested >= MOST_NESTED:
            return {NOWHERE}
        self.nested += 1
        try:
            return self.values(self.code[index][0], place)
        finally:
            self.nested -= 1

    def _arithmetic(self, index: int, mnemonic: str, place: str, operand: str) -> set[Value]:
        """Constants changed by a constant: how compilers choose between numbers and make one from another."""
        number = _number(operand)
        apply = ARITHMETIC.get(mnemonic)
        if number is None or apply is None:
            return {NOWHERE}
        found = self._of(index, place)
        return {(CONSTANT, apply(int(value), number) & 0xFFFFFFFF) if kind == CONSTANT else NOWHERE
                for kind, value in found}


def changed_registers(code: list[Instruction]) -> frozenset[str]:
    """The registers that a function changes; all that the convention allows when it calls others."""
    out = set()
    for _, _, mnemonic, operands in code:
        if mnemonic == "call" or (mnemonic[0] == "j" and operands[:2] != "0x"):
            return CLOBBERED
        first, _, second = operands.partition(", ")
        if mnemonic == "syscall":
            out |= {"rax", "rcx", "r11"}
        elif mnemonic not in READS_ONLY and mnemonic[0] != "j":
            out |= {FULL_NAME[name] for name in (first, second if "x" in mnemonic else "") if name in FULL_NAME}
            if mnemonic in ("mul", "div", "imul", "idiv", "cpuid", "rdtsc", "cdq", "cqo") or "cmpxchg" in mnemonic:
                out |= {"rax", "rdx", "rcx"}
            if mnemonic.startswith("rep"):
                out |= {"rax", "rcx", "rsi", "rdi"}
    return frozenset(out) & CLOBBERED


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _offset(slot: re.Match[str]) -> int:
    if slot[3] is None:
        return 0
    return int(slot[3], 0) if slot[2] == "+" else -int(slot[3], 0)
