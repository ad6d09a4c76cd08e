"""One ELF file as the analysis needs it: code, functions, imports and exports, pointers in data, what it links to.

Read from the program headers and the dynamic section, which stripped files have too.  Functions come from symbol
tables, from the unwind table (`.eh_frame_hdr`) and from Go's table of functions; code that none of them covers is a
nameless function of its own.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

R_64, R_GLOB_DAT, R_JUMP_SLOT, R_RELATIVE, R_IRELATIVE = 1, 6, 7, 8, 37
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_EH_FRAME = 1, 2, 3, 0x6474E550
DT = {"NEEDED": 1, "PLTRELSZ": 2, "STRTAB": 5, "SYMTAB": 6, "RELA": 7, "RELASZ": 8, "STRSZ": 10, "INIT": 12,
      "FINI": 13, "SONAME": 14, "RPATH": 15, "JMPREL": 23, "INIT_ARRAY": 25, "FINI_ARRAY": 26, "INIT_ARRAYSZ": 27,
      "FINI_ARRAYSZ": 28, "RUNPATH": 29, "PREINIT_ARRAY": 32, "PREINIT_ARRAYSZ": 33, "RELRSZ": 35, "RELR": 36}
STUB = re.compile(rb"\xff\x25(....)", re.DOTALL)
"""jmp [rip + slot]: the entry of a procedure linkage table."""
CALL = re.compile(rb"\xe8(?=(....))", re.DOTALL)
"""call rel32."""
GO_TABLE = re.compile(rb"[\xf0\xf1\xfa\xfb]\xff\xff\xff\x00\x00\x01\x08")
"""The header of Go's pclntab on x86-64: magic (by version), pad, quantum 1, pointer size 8."""
PADDING = b"\x90\xcc\x00\x66\x0f\x1f\x2e\x84\x80\x44\x40"


class NotElf(Exception):
    """The file is no ELF64 program or library for x86-64; the message says what it is."""


class Segment:
    __slots__ = ("address", "data", "executable", "size", "writable")

    def __init__(self, address: int, data: bytes, size: int, flags: int) -> None:
        self.address = address
        self.data = data
        self.size = size
        """In memory: what goes beyond the data is zero."""
        self.executable = bool(flags & 1)
        self.writable = bool(flags & 2)


class Function:
    __slots__ = ("end", "name", "start")

    def __init__(self, start: int, end: int, name: str) -> None:
        self.start = start
        self.end = end
        self.name = name


class Image:
    """What one file contains.  Addresses are those of the file (base 0 for position-independent ones)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.segments: list[Segment] = []
        self.needed: list[str] = []
        self.run_path: list[str] = []
        self.soname = ""
        self.interpreter = ""
        self.entry = 0
        self.fixed = False
        """ET_EXEC: addresses appear in the code as numbers."""
        self.functions: list[Function] = []
        self.imports: dict[int, str] = {}
        """Slot of the global offset table -> the symbol that is bound there."""
        self.stubs: dict[int, str] = {}
        """Entry of a procedure linkage table -> the symbol that it jumps to."""
        self.exports: dict[str, int] = {}
        self.objects: list[tuple[int, int]] = []
        """(address, size) of data symbols."""
        self.pointers: dict[int, int] = {}
        """Word in the data -> the code address that it holds."""
        self.data_imports: dict[int, str] = {}
        """Word in the data -> the imported symbol whose address it holds."""
        self.started: list[int] = []
        """Code that runs when the file is loaded or unloaded."""
        self.go = ""
        """Version of Go's table of functions, "" when the file is not of Go."""
        self._dynamic: dict[str, int] = {}
        self._read()

    # --- reading

    def _read(self) -> None:
        with open(self.path, "rb") as stream:
            head = stream.read(64)
            if head[:4] != b"\x7fELF":
                raise NotElf("not an ELF file")
            if len(head) < 64 or head[4] != 2 or head[5] != 1 or head[18:20] != b"\x3e\x00":
                raise NotElf("an ELF file for another machine (only 64-bit x86 is read)")
            kind, = struct.unpack_from("<H", head, 16)
            if kind not in (2, 3):
                raise NotElf("an object or core file")
            self.entry, table, _ = struct.unpack_from("<QQQ", head, 24)
            size, count = struct.unpack_from("<HH", head, 54)
            self.fixed = kind == 2
            stream.seek(table)
            headers = stream.read(size * count)
            found: dict[int, tuple[int, int]] = {}
            for index in range(min(count, len(headers) // 56 if size >= 56 else 0)):
                kind, flags, offset, address, _, length, memory, _ = struct.unpack_from("<IIQQQQQQ", headers,
                                                                                       index * size)
                if kind == PT_LOAD:
                    stream.seek(offset)
                    self.segments.append(Segment(address, stream.read(length), memory, flags))
                elif kind == PT_INTERP:
                    stream.seek(offset)
                    self.interpreter = stream.read(length).rstrip(b"\0").decode("utf-8", "surrogateescape")
                elif kind in (PT_DYNAMIC, PT_EH_FRAME):
                    found[kind] = (address, length)
            starts: dict[int, tuple[int, str]] = {}
            if PT_DYNAMIC in found:
                self._read_dynamic(*found[PT_DYNAMIC])
            self._read_sections(stream, starts)
            if PT_EH_FRAME in found:
                self._read_unwind(found[PT_EH_FRAME][0], starts)
        self._read_go(starts)
        self._make_functions(starts)
        self._find_stubs()
        if self.fixed or (not self.pointers and not self._dynamic):
            self._find_words()

    def read(self, address: int, length: int) -> bytes:
        """Bytes of the image, fewer where it ends."""
        for segment in self.segments:
            if segment.address <= address < segment.address + segment.size:
                offset = address - segment.address
                return segment.data[offset:offset + length]
        return b""

    def word(self, address: int) -> int:
        data = self.read(address, 8)
        return int.from_bytes(data, "little") if len(data) == 8 else 0

    def _string(self, address: int) -> str:
        return self.read(address, 4096).partition(b"\0")[0].decode("utf-8", "surrogateescape")

    def _read_dynamic(self, address: int, length: int) -> None:
        names = {tag: name for name, tag in DT.items()}
        values: dict[str, int] = {}
        needed = []
        for tag, value in struct.iter_unpack("<QQ", self.read(address, length // 16 * 16)):
            if tag == 0:
                break
            if tag == DT["NEEDED"]:
                needed.append(value)
            elif tag in names:
                values[names[tag]] = value
        strings = values.get("STRTAB", 0)
        self.needed = [self._string(strings + offset) for offset in needed]
        for name in ("RPATH", "RUNPATH"):
            if name in values:
                self.run_path = [part for part in self._string(strings + values[name]).split(":") if part]
        if "SONAME" in values:
            self.soname = self._string(strings + values["SONAME"])
        self._dynamic = values
        for name in ("INIT", "FINI"):
            if values.get(name):
                self.started.append(values[name])
        relocations = (self.read(values.get("RELA", 0), values.get("RELASZ", 0))
                       + self.read(values.get("JMPREL", 0), values.get("PLTRELSZ", 0)))
        symbols: dict[int, tuple[str, int, int]] = {}
        for where, info, addend in struct.iter_unpack("<QQq", relocations[:len(relocations) // 24 * 24]):
            kind, index = info & 0xFFFFFFFF, info >> 32
            if kind in (R_RELATIVE, R_IRELATIVE):
                self.pointers[where] = addend
            elif kind in (R_64, R_GLOB_DAT, R_JUMP_SLOT) and index:
                if index not in symbols:
                    symbols[index] = self._dynamic_symbol(index)
                name, value, section = symbols[index]
                slot = self.imports if kind != R_64 else self.data_imports
                if name and (not section or kind != R_64):
                    slot[where] = name
                if section and value:
                    self.pointers[where] = value + (addend if kind == R_64 else 0)
        self._read_relr(values)
        for name in ("PREINIT_ARRAY", "INIT_ARRAY", "FINI_ARRAY"):
            start = values.get(name, 0)
            for place in range(start, start + values.get(f"{name}SZ", 0), 8):
                target = self.pointers.get(place) or self.word(place)
                if target not in (0, 0xFFFFFFFFFFFFFFFF):
                    self.started.append(target)

    def _read_relr(self, values: dict[str, int]) -> None:
        """The compact form of relative relocations (DT_RELR): addresses and bit maps of the words after them."""
        place = 0
        for entry, in struct.iter_unpack("<Q", self.read(values.get("RELR", 0), values.get("RELRSZ", 0) // 8 * 8)):
            if not entry & 1:
                self.pointers[entry] = self.word(entry)
                place = entry + 8
                continue
            for bit in range(63):
                if entry >> (bit + 1) & 1:
                    self.pointers[place + 8 * bit] = self.word(place + 8 * bit)
            place += 63 * 8

    def _dynamic_symbol(self, index: int) -> tuple[str, int, int]:
        """(name, value, section) of one entry of the dynamic symbol table."""
        data = self.read(self._dynamic.get("SYMTAB", 0) + 24 * index, 24)
        if len(data) < 24:
            return "", 0, 0
        name, _, _, section, value, _ = struct.unpack("<IBBHQQ", data)
        return self._string(self._dynamic["STRTAB"] + name), value, section

    def _read_sections(self, stream: Any, starts: dict[int, tuple[int, str]]) -> None:
        """Functions, exported symbols and data objects, from the symbol tables that the file still has; for static
        programs the unwind records and the relocations that they make themselves."""
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile
        from elftools.elf.sections import SymbolTableSection
        try:
            elf = ELFFile(stream)
            for section in elf.iter_sections():
                if section.name == ".eh_frame":
                    self._read_frames(section["sh_addr"], section["sh_size"], starts)
                if section["sh_type"] == "SHT_RELA" and section["sh_addr"] and not self._dynamic:
                    data = self.read(section["sh_addr"], section["sh_size"] // 24 * 24)
                    for where, info, addend in struct.iter_unpack("<QQq", data):
                        if info & 0xFFFFFFFF == R_IRELATIVE:
                            self.pointers[where] = addend
                            self.started.append(addend)
                if not isinstance(section, SymbolTableSection):
                    continue
                strings = section.stringtable.data()
                for entry in struct.iter_unpack("<IBBHQQ", section.data()[:section["sh_size"] // 24 * 24]):
                    self._take_symbol(entry, strings, section["sh_type"] == "SHT_DYNSYM", starts)
        except (ELFError, KeyError, AttributeError, UnicodeDecodeError):
            # Without sections only the dynamic symbols that relocations name are known.
            pass

    def _take_symbol(self, entry: tuple[int, ...], strings: bytes, dynamic: bool,
                     starts: dict[int, tuple[int, str]]) -> None:
        offset, info, _, section, value, size = entry
        kind = info & 15
        if not section or section >= 0xFF00 or not value:
            return
        if kind == 1:
            self.objects.append((value, size))
        if kind in (0, 1) and not dynamic:
            return
        name = strings[offset:strings.find(b"\0", offset)].decode("utf-8", "surrogateescape")
        if dynamic and info >> 4 in (1, 2, 10):
            self.exports[name] = value
        if kind in (2, 10):
            known = starts.get(value)
            # Of several names for one place the plain one: read, not __read.
            old = known[1] if known is not None else ""
            if not old or (old.startswith("_"), len(old)) > (name.startswith("_"), len(name)):
                starts[value] = (max(size, known[0] if known else 0), name)

    def _read_unwind(self, address: int, starts: dict[int, tuple[int, str]]) -> None:
        """Function ranges from the sorted table that exceptions are unwound with."""
        head = self.read(address, 12)
        if len(head) < 12 or head[0] != 1 or head[3] != 0x3B or head[2] != 0x03:
            return
        count = int.from_bytes(head[8:12], "little")
        for location, entry in struct.iter_unpack("<ii", self.read(address + 12, 8 * count)[:8 * count]):
            start = address + location
            self._take_frame(start, address + entry, starts)

    def _take_frame(self, start: int, record: int, starts: dict[int, tuple[int, str]]) -> None:
        """One unwind record: the range follows the start, in the encoding that compilers use: 4 bytes each."""
        head = self.read(record, 16)
        if len(head) < 16 or head[:4] == b"\xff\xff\xff\xff":
            return
        _, back, _, span = struct.unpack("<IIiI", head)
        common = record + 4 - back
        if "S" in self._string(common + 9):
            # A signal's return code: its record starts a byte early, for unwinders that look up the address before.
            start, span = start + 1, span - 1
        if span > 0 and self.is_code(start):
            known = starts.get(start, (0, ""))
            starts[start] = (max(known[0], span), known[1])

    def _read_frames(self, address: int, length: int, starts: dict[int, tuple[int, str]]) -> None:
        """The same ranges from the unwind records themselves (`.eh_frame`): all have 4-byte relative addresses."""
        data = self.read(address, length)
        at = 0
        while at + 16 <= len(data):
            size, back = struct.unpack_from("<II", data, at)
            if size in (0, 0xFFFFFFFF):
                break
            if back:
                start = address + at + 8 + int.from_bytes(data[at + 8:at + 12], "little", signed=True)
                self._take_frame(start, address + at, starts)
            at += 4 + size

    def _read_go(self, starts: dict[int, tuple[int, str]]) -> None:
        """Go's own table of functions, which stays in stripped files (runtime/symtab.go, versions 1.16 and later)."""
        for segment in self.segments:
            for match in GO_TABLE.finditer(segment.data):
                data, base = segment.data, match.start()
                magic = data[base]
                if magic not in (0xF0, 0xF1, 0xFA) or len(data) < base + 72:
                    continue
                count, = struct.unpack_from("<Q", data, base + 8)
                if magic == 0xFA:
                    text, (names, _, _, _, table), width = 0, struct.unpack_from("<QQQQQ", data, base + 24), 8
                else:
                    text, names, _, _, _, table = struct.unpack_from("<QQQQQQ", data, base + 24)
                    width = 4
                if not 0 < count < len(data) // (2 * width) or base + table + 2 * width * count > len(data):
                    continue
                text = text or self._go_text()
                entries = list(struct.iter_unpack("<QQ" if width == 8 else "<II",
                                                  data[base + table:base + table + 2 * width * count]))
                self.go = {0xF0: "1.18", 0xF1: "1.20", 0xFA: "1.16"}[magic] + " or later"
                end = data[base + table + 2 * width * count:][:width]
                bounds = [entry + (text if width == 4 else 0) for entry, _ in entries]
                bounds.append(int.from_bytes(end, "little") + (text if width == 4 else 0))
                for index, (_, offset) in enumerate(entries):
                    name_offset, = struct.unpack_from("<i", data, base + table + offset + width)
                    place = base + names + name_offset
                    name = data[place:data.find(b"\0", place)].decode("utf-8", "replace")
                    starts[bounds[index]] = (bounds[index + 1] - bounds[index], name)
                return

    def _go_text(self) -> int:
        """Where Go's code starts when its table does not say: in the first executable segment."""
        return next((segment.address for segment in self.segments if segment.executable), 0)

    def _make_functions(self, starts: dict[int, tuple[int, str]]) -> None:
        for segment in self.segments:
            if not segment.executable:
                continue
            low, high = segment.address, segment.address + len(segment.data)
            inside = sorted((start, size, name) for start, (size, name) in starts.items() if low <= start < high)
            at = low
            for index, (start, size, name) in enumerate(inside):
                following = inside[index + 1][0] if index + 1 < len(inside) else high
                self._add_gap(segment, at, start)
                # Without a size it reaches to the next; a symbol inside of another splits it.
                end = min(start + size, following) if size else following
                self.functions.append(Function(start, end, name))
                at = end
            self._add_gap(segment, at, high)
        self._starts = [function.start for function in self.functions]

    def _add_gap(self, segment: Segment, start: int, end: int) -> None:
        """Code that no table names: one function for each place in it that is called from within."""
        code = segment.data[start - segment.address:max(start, end) - segment.address]
        if not code.strip(PADDING):
            return
        if start % 16 and self.functions and not code.startswith((b"\x90", b"\xcc", b"\x66", b"\0", b"\x0f\x1f")):
            # No padding before it: the rest of the function above, whose unwind record ends early (clone3 in glibc).
            self.functions[-1].end = end
            return
        cuts = {start}
        for match in CALL.finditer(code):
            target = start + match.start() + 5 + int.from_bytes(match[1], "little", signed=True)
            if start < target < end:
                cuts.add(target)
        inside = [*sorted(cuts), end]
        self.functions += [Function(low, high, "") for low, high in pairwise(inside)]

    def function_at(self, address: int) -> int:
        """Index of the function that covers an address, -1 when none does."""
        index = bisect_right(self._starts, address) - 1
        return index if index >= 0 and address < self.functions[index].end else -1

    def _find_stubs(self) -> None:
        for segment in self.segments:
            if not segment.executable:
                continue
            data = segment.data
            for match in STUB.finditer(data):
                at = match.start()
                slot = segment.address + at + 6 + int.from_bytes(match[1], "little", signed=True)
                name = self.imports.get(slot)
                if name is None:
                    continue
                self.stubs[segment.address + at] = name
                if data[at - 1:at] == b"\xf2":
                    at -= 1
                    self.stubs[segment.address + at] = name
                if data[at - 4:at] == b"\xf3\x0f\x1e\xfa":
                    self.stubs[segment.address + at - 4] = name

    def _find_words(self) -> None:
        """Pointers of a file at a fixed address have no relocations: words that hold the start of a function."""
        from array import array
        known = set(self._starts)
        for segment in self.segments:
            if segment.executable and len(self.segments) > 1:
                continue
            skew = -segment.address % 8
            words = array("Q", segment.data[skew:skew + (len(segment.data) - skew) // 8 * 8])
            base = segment.address + skew
            for index, word in enumerate(words):
                if word in known:
                    self.pointers[base + 8 * index] = word

    def is_code(self, address: int) -> bool:
        return any(segment.executable and segment.address <= address < segment.address + segment.size
                   for segment in self.segments)

    def is_data(self, address: int) -> bool:
        return any(not segment.executable and segment.address <= address < segment.address + segment.size
                   for segment in self.segments)
