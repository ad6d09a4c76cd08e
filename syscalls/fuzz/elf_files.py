"""Hostile ELF files: a small program, and one with an interpreter, in which fields of the headers, segments, the
interpreter's name and notes are put wrong.  Linux says which of them are executed and with which errno the others are
refused; a layer must say the same, and neither crash, nor hang, nor take memory without end.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from syscalls.fuzz import draws as st
from syscalls.fuzz.draws import Draw
from syscalls.fuzz.program import Block, Call, Const, Data, Operation, Program, Result, Store, StoreValue

EHDR = {"e_ident": (0, 4), "ei_class": (4, 1), "ei_data": (5, 1), "ei_version": (6, 1), "ei_osabi": (7, 1),
        "e_type": (16, 2),
        "e_machine": (18, 2), "e_version": (20, 4), "e_entry": (24, 8), "e_phoff": (32, 8), "e_shoff": (40, 8),
        "e_flags": (48, 4), "e_ehsize": (52, 2), "e_phentsize": (54, 2), "e_phnum": (56, 2)}
PHDR = {"p_type": (0, 4), "p_flags": (4, 4), "p_offset": (8, 8), "p_vaddr": (16, 8), "p_paddr": (24, 8),
        "p_filesz": (32, 8),
        "p_memsz": (40, 8), "p_align": (48, 8)}
SEGMENTS = ("PHDR", "INTERP", "LOAD text", "LOAD data", "NOTE", "PROPERTY", "STACK")
PT_LOAD, PT_INTERP, PT_NOTE, PT_PHDR, PT_GNU_STACK, PT_GNU_PROPERTY = 1, 3, 4, 6, 0x6474E551, 0x6474E553
ET_EXEC, ET_DYN = 2, 3
BASE, PAGE = 0x400000, 0x1000
TEXT_AT, INTERP_AT, NOTE_AT = 0x200, 0x240, 0x280

VALUES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 0x37, 0x38, 0x39, 0x40, 0x3E, 0x100, 0xFFF, PAGE, PAGE + 1, 0x2000, 0x10000,
          BASE - PAGE, BASE,
          BASE + 1, BASE + PAGE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 40, (1 << 47) - PAGE,
          1 << 47, 1 << 62,
          (1 << 63) - 1, 1 << 63, (1 << 64) - 1, PT_GNU_STACK, PT_GNU_PROPERTY, 0x6474E550)
INTERPRETERS = (b"i\0", b"i", b"\0", b"none\0", b"d\0", b"f\0", b"n\0", b"m\0", b"x\0", b"i\0junk", b"/dev/null\0",
                b"loop\0")
NAME = b"m\0"

Mutation = tuple[str, object]


def image(*, dynamic: bool, interpreter: bytes | None, status: int) -> bytearray:
    """An ELF file that ends with this exit status."""
    base = 0 if dynamic else BASE
    # mov $60, %eax; mov $status, %edi; syscall; hlt
    text = b"\xb8" + struct.pack("<I", 60) + b"\xbf" + struct.pack("<I", status) + b"\x0f\x05\xf4"
    notes = struct.pack("<III", 4, 16, 5) + b"GNU\0" + struct.pack("<IIII", 0xC0000002, 4, 0, 0)
    name = interpreter or b"i\0"
    phdrs = {
        "PHDR": (PT_PHDR, 4, 64, 64, 7 * 56, 8), "INTERP": (PT_INTERP if interpreter else 0, 4, INTERP_AT, INTERP_AT,
                                                            len(name), 1),
        "LOAD text": (PT_LOAD, 5, 0, 0, 0x300, PAGE), "LOAD data": (PT_LOAD, 6, 0, 0x2000, 0x10, PAGE),
        "NOTE": (PT_NOTE, 4, NOTE_AT, NOTE_AT, len(notes), 8), "PROPERTY": (PT_GNU_PROPERTY, 4, NOTE_AT, NOTE_AT,
                                                                            len(notes), 8),
        "STACK": (PT_GNU_STACK, 6, 0, 0, 0, 16)}
    out = bytearray(0x300)
    out[:64] = struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, ET_DYN if dynamic else ET_EXEC, 62, 1,
                           base + TEXT_AT,
                           64, 0, 0, 64, 56, len(phdrs), 64, 0, 0)
    for index, segment in enumerate(SEGMENTS):
        kind, flags, offset, address, size, align = phdrs[segment]
        memory = size + 0x1800 if segment == "LOAD data" else size
        struct.pack_into("<IIQQQQQQ", out, 64 + 56 * index, kind, flags, offset, base + address, base + address, size,
                         memory, align)
    out[TEXT_AT:TEXT_AT + len(text)] = text
    out[INTERP_AT:INTERP_AT + len(name)] = name
    out[NOTE_AT:NOTE_AT + len(notes)] = notes
    return out


def mutated(file: bytearray, mutations: Sequence[Mutation]) -> bytes:
    """The file with these things wrong.  What does not fit the file is left as it is."""
    out = bytearray(file)
    cut = len(out)
    for where, value in mutations:
        if where == "size":
            assert isinstance(value, int)
            cut = value
        elif where == "interpreter":
            assert isinstance(value, bytes)
            out[INTERP_AT:INTERP_AT + len(value)] = value
            struct.pack_into("<QQQQ", out, 64 + 56 + 8, INTERP_AT, INTERP_AT, INTERP_AT, len(value))
        elif where == "note":
            assert isinstance(value, tuple)
            struct.pack_into("<I", out, NOTE_AT + 4 * value[0], value[1] & 0xFFFFFFFF)
        else:
            assert isinstance(value, int)
            segment, _, field = where.rpartition(".")
            offset, size = PHDR[field] if segment else EHDR[field]
            if field == "p_vaddr" and PAGE <= value < 0x10000:
                value += 0x10000  # whether there is memory so low is a setting (vm.mmap_min_addr)
            if segment:
                offset += 64 + 56 * SEGMENTS.index(segment)
            out[offset:offset + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
    return bytes(out[:cut])


def mutations() -> Draw:
    """Lists of one to three of them."""
    values = st.sampled_from(VALUES)
    loads = ("LOAD text", "LOAD data")
    fields = st.one_of(
        st.sampled_from(tuple(EHDR)),
        st.sampled_from([f"{segment}.{field}" for segment in loads for field in PHDR]),
        st.sampled_from([f"{segment}.{field}" for segment in SEGMENTS for field in PHDR]))
    return st.lists(st.one_of(
        st.tuples(fields, values), st.tuples(fields, values), st.tuples(fields, values),
        st.tuples(st.just("interpreter"), st.sampled_from(INTERPRETERS)),
        st.tuples(st.just("note"), st.tuples(st.integers(0, 7), values)),
        st.tuples(st.just("size"), st.sampled_from((0, 1, 2, 4, 63, 64, 65, 120, 200, 0x1FF, 0x200, 0x250, 0x2FF)))),
        min_size=1, max_size=3)


def kinds() -> Draw:
    """(the program is dynamic, it has an interpreter, the interpreter is the one with things wrong)."""
    return st.tuples(st.booleans(), st.booleans(), st.mostly(st.just(False), st.just(True), 3))


def elf_program(kind: tuple[bool, bool, bool], wrong: Sequence[Mutation]) -> Program:
    """Write the files, execute one in a child, and wait for it."""
    dynamic, interpreted, inside = kind
    main: bytes | bytearray = image(dynamic=dynamic, interpreter=b"i\0" if interpreted else None, status=42)
    other: bytes | bytearray = image(dynamic=True, interpreter=None, status=7)
    if inside:
        other = mutated(bytearray(other), wrong)
    else:
        main = mutated(bytearray(main), wrong)
    operations: list[Operation] = [Store(0x100, NAME), Store(0x108, b"i\0")]
    slot = 0
    for name, content in ((0x100, main), (0x108, other)):
        operations += [Store(0x400, bytes(content)), Call(slot + 1, "open", (Data(name), Const(0o101), Const(0o755))),
                       Call(slot + 2, "write", (Result(slot + 1), Data(0x400), Const(len(content)))),
                       Call(slot + 3, "close", (Result(slot + 1),))]
        slot += 3
    operations += [Store(0x200, bytes(16)), StoreValue(0x200, 8, Data(0x100)),
                   Block(slot + 1, "fork", (Call(slot + 2, "execve", (Data(0x100), Data(0x200), Const(0))),
                                            Call(slot + 3, "exit_group", (Const(99),)))),
                   Call(slot + 4, "wait4", (Result(slot + 1), Data(0x300), Const(0), Const(0)))]
    return Program(tuple(operations))
