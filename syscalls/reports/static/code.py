"""The code of one image: what each function calls and refers to, and the system calls that it makes.

A first pass decodes everything once and keeps edges only.  Functions with a SYSCALL instruction are looked at again by
`flow.py`; a number that comes from the caller makes the function a *wrapper*, and its callers are asked in turn, so
that syscall(3), Go's syscall.Syscall and the like need no names.  A number that is computed stays unknown and is
counted as such.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import groupby

from syscalls.reports.static.flow import CLOBBERED, CONSTANT, PARAMETER, RELATIVE, Flow, Value, changed_registers
from syscalls.reports.static.image import Image

TYPE_CHECKING = False
if TYPE_CHECKING:
    Instruction = tuple[int, int, str, str]
    """Address, length, mnemonic, operands: what capstone's disasm_lite gives."""

NUMBER = re.compile(r"0x[0-9a-f]{4,8}")
LIBRARY = re.compile(rb"\0(lib[A-Za-z0-9_+-]+\.so(?:\.\d+)*)\0")
MOST_WRAPPED = 6
"""How deep wrappers of wrappers are followed."""
CALLER_STEPS = 500
"""How far back a number is looked for where a wrapper is called: it is given close to the call."""
IMPORTED_WRAPPERS = {"syscall": "rdi"}
"""Functions of other files that make the call whose number they are given, and where it is given."""
NOTHING = -1 << 30


class Summary:
    """What the analysis of a file found: plain data, made in one process and used in another."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.error = ""
        self.needed: list[str] = []
        self.run_path: list[str] = []
        self.soname = ""
        self.interpreter = ""
        self.go = ""
        self.has_entry = False
        self.instructions = 0
        self.names: list[str] = []
        """Of the functions, "" where none is known."""
        self.starts: list[int] = []
        self.calls: dict[int, set[int]] = {}
        """Function -> functions of this file that it calls or whose address it takes."""
        self.imports: dict[int, set[str]] = {}
        """Function -> symbols of other files that it uses."""
        self.data: dict[int, set[int]] = {}
        """Function -> pieces of data that it refers to."""
        self.pieces: list[tuple[tuple[int, ...], tuple[str, ...], tuple[int, ...]]] = []
        """Piece of data -> the functions, imported symbols and other pieces whose addresses it holds."""
        self.exports: dict[str, int] = {}
        """Symbol -> function, or -1 - piece for data, NOTHING for data without addresses."""
        self.roots: list[int] = []
        """Functions that run without being called: the entry, constructors, destructors."""
        self.sites: dict[int, dict[int, int]] = {}
        """Function -> number -> address of the (first) instruction that makes it this call."""
        self.unknown: dict[int, list[int]] = {}
        """Function -> addresses where it makes a call whose number is computed."""
        self.wrappers: list[int] = []
        self.arguments: dict[int, set[tuple[int, tuple[tuple[int, int], ...]]]] = {}
        """Function -> calls that it makes with constants: (number, ((argument index, value), ...))."""
        self.mentions: list[str] = []
        """Names of files in its data that other systems lack."""
        self.libraries: list[str] = []
        """Names of libraries in its data."""


class Code:
    """The decoded image.  Capstone's ImportError comes from here."""

    def __init__(self, image: Image) -> None:
        import capstone  # type: ignore[import-untyped]
        self.image = image
        self.decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self.decoder.skipdata = True
        self.summary = Summary(image.path)
        self.callers: dict[int, list[int]] = {}
        """Address that is called or jumped to from another function -> addresses of these instructions."""
        self.symbol_callers: dict[str, list[int]] = {}
        """The same for wrappers of other files."""
        self.taken: dict[int, list[int]] = {}
        """Function whose address is taken -> functions that do; -1 for data."""
        self.with_sites: list[int] = []
        self.references: list[tuple[int, int]] = []
        """(function, data address)."""
        self.starts_in_data: set[int] = set()
        """Data addresses that code takes: where an object starts, or a part of one."""
        self.found: list[tuple[int, int, int, str]] = []
        """(function, address, number, where the number was) of each place that makes a known call."""
        self.lookups: dict[int, Flow] = {}
        self.changed: dict[int, frozenset[str]] = {}

    # --- the first pass

    def decode(self, index: int) -> list[Instruction]:
        function = self.image.functions[index]
        return list(self.decoder.disasm_lite(self.image.read(function.start, function.end - function.start),
                                             function.start))

    def sweep(self) -> None:
        """Decode every function once; keep who calls and refers to what."""
        image, summary = self.image, self.summary
        for index, function in enumerate(image.functions):
            start, end = function.start, function.end
            code = image.read(start, end - start)
            # The instructions that matter are few: the strings of all others are not looked at.
            for address, size, mnemonic, operands in self.decoder.disasm_lite(code, start):
                summary.instructions += 1
                if "rip" in operands:
                    match = RELATIVE.search(operands)
                    if match is not None:
                        distance = int(match[2], 0)
                        target = address + size + (distance if match[1] == "+" else -distance)
                        self._refer(index, address, mnemonic, target)
                elif mnemonic[0] in "jcb" and operands[:2] == "0x":
                    target = int(operands, 16)
                    if not start <= target < end or (target == start and mnemonic == "call"):
                        self._reach(index, address, target)
                elif mnemonic in ("syscall", "sysenter"):
                    if not self.with_sites or self.with_sites[-1] != index:
                        self.with_sites.append(index)
                if image.fixed and "0x" in operands and mnemonic[0] not in "jc":
                    for text in NUMBER.findall(operands):
                        self._mention(index, int(text, 16))

    def _reach(self, index: int, address: int, target: int) -> None:
        """A direct call or jump out of a function."""
        symbol = self.image.stubs.get(target)
        if symbol is not None:
            self._import(index, address, symbol)
            return
        callee = self.image.function_at(target)
        if callee >= 0:
            self.summary.calls.setdefault(index, set()).add(callee)
            self.callers.setdefault(target, []).append(address)

    def _import(self, index: int, address: int, symbol: str) -> None:
        self.summary.imports.setdefault(index, set()).add(symbol)
        self.symbol_callers.setdefault(symbol, []).append(address)

    def _refer(self, index: int, address: int, mnemonic: str, target: int) -> None:
        """An operand relative to the instruction: a slot of the offset table, code, or data."""
        image = self.image
        symbol = image.imports.get(target)
        if symbol is not None:
            if mnemonic in ("call", "jmp", "bnd jmp", "notrack jmp"):
                self._import(index, address, symbol)
            else:
                self.summary.imports.setdefault(index, set()).add(symbol)
                if symbol in IMPORTED_WRAPPERS:
                    self.summary.unknown.setdefault(index, []).append(address)
            return
        code = image.pointers.get(target)
        if code is not None and mnemonic in ("call", "jmp"):
            self._reach(index, address, code)
            return
        self._mention(index, target, mnemonic == "lea")

    def _mention(self, index: int, target: int, taken: bool = True) -> None:
        """An address that a function takes."""
        callee = self.image.function_at(target)
        if callee >= 0:
            if callee != index and self.image.functions[callee].start == target:
                self.summary.calls.setdefault(index, set()).add(callee)
                self.taken.setdefault(callee, []).append(index)
        elif self.image.is_data(target):
            self.references.append((index, target))
            if taken:
                self.starts_in_data.add(target)

    # --- system calls

    def flow(self, index: int) -> Flow:
        if index not in self.lookups:
            self.lookups[index] = Flow(self.decode(index), self.callers, self.clobbers, self.initial)
        return self.lookups[index]

    def initial(self, address: int) -> int | None:
        """What the variable at an address starts with, when that may be the number of a call."""
        value = self.image.word(address) if address not in self.image.pointers else 0
        return value if 0 < value < 512 else None

    def clobbers(self, target: int) -> frozenset[str]:
        """Registers that the function at an address changes: compilers use that of functions which they know."""
        index = self.image.function_at(target)
        if index < 0:
            return CLOBBERED
        if index not in self.changed:
            function = self.image.functions[index]
            calls = any(callee != index for callee in self.summary.calls.get(index, ()))
            known = not calls and function.end - target <= 4096
            self.changed[index] = changed_registers(self.decode(index)) if known else CLOBBERED
        return self.changed[index]

    def find_calls(self) -> None:
        """The number at each SYSCALL instruction; where callers give it, the number at each caller."""
        given: dict[tuple[int, str], int] = {}
        for index in self.with_sites:
            for address in self.flow(index).sites():
                self._settle(index, address, "rax!", self.flow(index).values(address, "rax"), given)
        for symbol, register in IMPORTED_WRAPPERS.items():
            for address in self.symbol_callers.get(symbol, ()):
                index = self.image.function_at(address)
                self._settle(index, address, register, self.flow(index).values(address, register), given)
        done: set[tuple[int, str]] = set()
        while given:
            (start, place), depth = given.popitem()
            if (start, place) in done:
                continue
            done.add((start, place))
            self._ask_callers(start, place, depth, given)

    def _settle(self, index: int, address: int, place: str, values: set[Value], given: dict[tuple[int, str], int],
                depth: int = 0) -> None:
        """Take note of what the number can be.  `place`: where it is; `rax!` at the SYSCALL instruction itself."""
        summary = self.summary
        for kind, value in values:
            if kind == CONSTANT and 0 <= int(value) < 512:
                summary.sites.setdefault(index, {}).setdefault(int(value), address)
                self.found.append((index, address, int(value), place))
            elif kind == PARAMETER and depth < MOST_WRAPPED:
                start, _, wanted = str(value).partition(":")
                given.setdefault((int(start), wanted), depth + 1)
                if index not in summary.wrappers:
                    summary.wrappers.append(index)
            else:
                unknown = summary.unknown.setdefault(index, [])
                if address not in unknown:
                    unknown.append(address)

    def _ask_callers(self, start: int, place: str, depth: int, given: dict[tuple[int, str], int]) -> None:
        for address in self.callers.get(start, ()):
            index = self.image.function_at(address)
            flow = self.flow(index)
            called = flow.is_call(address)
            values = flow.values(address, place, called, CALLER_STEPS)
            self._settle(index, address, place, values, given, depth)
        callee = self.image.function_at(start)
        for index in self.taken.get(callee, ()):
            # Called through a pointer: nobody knows with what.
            self.summary.unknown.setdefault(index, []).append(start)

    # --- what is left for the reader

    def finish(self) -> Summary:
        image, summary = self.image, self.summary
        summary.needed, summary.run_path, summary.soname = image.needed, image.run_path, image.soname
        summary.interpreter, summary.go = image.interpreter, image.go
        summary.has_entry = image.entry != 0
        summary.names = [function.name for function in image.functions]
        summary.starts = [function.start for function in image.functions]
        self._cut_data()
        summary.roots = sorted({index for index in map(image.function_at, [image.entry, *image.started]) if index >= 0})
        summary.wrappers.sort()
        return summary

    def _cut_data(self) -> None:
        """Pieces of data between the places that are referred to, each with the addresses that it holds."""
        image, summary = self.image, self.summary
        holding = sorted(set(image.pointers) | set(image.data_imports))
        cuts = sorted({start for start, _ in image.objects} | self.starts_in_data
                      | {target for target in image.pointers.values() if image.is_data(target)}
                      | {segment.address for segment in image.segments})
        piece_of: dict[int, int] = {}
        """Start of a piece that holds addresses -> its number."""
        links: dict[int, set[int]] = {}
        for start, words in groupby(holding, lambda word: cuts[bisect_right(cuts, word) - 1]):
            piece_of[start] = len(summary.pieces)
            functions, symbols = set(), set()
            for word in words:
                target = image.pointers.get(word)
                if target is None:
                    symbols.add(image.data_imports[word])
                    continue
                index = image.function_at(target)
                if index >= 0:
                    functions.add(index)
                elif image.is_data(target):
                    links.setdefault(piece_of[start], set()).add(target)
            summary.pieces.append((tuple(sorted(functions)), tuple(sorted(symbols)), ()))
        for piece, targets in links.items():
            functions_held, symbols_held, _ = summary.pieces[piece]
            linked = {piece_of[start] for start in (cuts[bisect_right(cuts, target) - 1] for target in targets)
                      if start in piece_of}
            summary.pieces[piece] = (functions_held, symbols_held, tuple(sorted(linked - {piece})))
        for index, target in self.references:
            start = cuts[bisect_right(cuts, target) - 1]
            if start in piece_of:
                summary.data.setdefault(index, set()).add(piece_of[start])
        for symbol, value in image.exports.items():
            index = image.function_at(value)
            if index >= 0:
                summary.exports[symbol] = index
            else:
                start = cuts[max(0, bisect_right(cuts, value) - 1)]
                summary.exports[symbol] = -1 - piece_of[start] if start in piece_of else NOTHING


def summarise(path: str, prefixes: tuple[str, ...] = (), wanted: dict[int, tuple[int, ...]] | None = None) -> Summary:
    """Analyse one file.  `prefixes`: names of files to look for in its data; `wanted`: calls whose arguments matter,
    by number, and which.  NotElf for what is no program or library; OSError."""
    from syscalls.reports.static.arguments import find_arguments
    code = Code(Image(path))
    code.sweep()
    code.find_calls()
    find_arguments(code, wanted or {})
    summary = code.finish()
    for segment in code.image.segments:
        if not segment.executable:
            summary.mentions += [prefix for prefix in prefixes if prefix.encode() in segment.data]
            summary.libraries += sorted({match[1].decode() for match in LIBRARY.finditer(segment.data)})
    return summary
