"""ELF headers: what is loaded where, and that nothing hostile gets through."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from translator import elf
from translator.machine import PROT_EXEC, PROT_READ, PROT_WRITE, TASK_SIZE

PF_RX, PF_RW = elf.PF_R | elf.PF_X, elf.PF_R | elf.PF_W


def load(flags: int, offset: int, vaddr: int, filesz: int, memsz: int, align: int = 4096) -> bytes:
    return pack("<IIQQQQQQ", elf.PT_LOAD, flags, offset, vaddr, vaddr, filesz, memsz, align)


def other(kind: int, flags: int = 0, offset: int = 0, size: int = 0) -> bytes:
    return pack("<IIQQQQQQ", kind, flags, offset, 0, 0, size, size, 1)


def image(*phdrs: bytes, kind: int = elf.ET_EXEC, machine: int = elf.EM_X86_64, entry: int = 0x401000,
          ident: bytes = b"", phentsize: int = 56, phnum: int | None = None, tail: bytes = b"") -> bytes:
    ident = ident or b"\x7fELF\x02\x01\x01" + bytes(9)
    count = len(phdrs) if phnum is None else phnum
    header = pack("<16sHHIQQQIHHHHHH", ident, kind, machine, 1, entry, 64, 0, 0, 64, phentsize, count, 0, 0, 0)
    return header + b"".join(phdrs) + tail


def plan_of(data: bytes, **options: bool) -> elf.LoadPlan:
    return elf.read_plan(lambda offset, length: data[offset:offset + length], **options)


def refused(data: bytes, **options: bool) -> elf.ElfError:
    with pytest.raises(elf.ElfError) as caught:
        plan_of(data, **options)
    return caught.value


def test_text_data_and_bss() -> None:
    plan = plan_of(image(load(PF_RX, 0, 0x400000, 0x1234, 0x1234), load(PF_RW, 0x1e10, 0x403e10, 0x210, 0x3000)))
    text, data, tail, zero = plan.steps
    assert isinstance(text, elf.FileMap) and (text.start, text.length, text.offset) == (0x400000, 0x2000, 0)
    assert text.prot == PROT_READ | PROT_EXEC
    assert isinstance(data, elf.FileMap) and (data.start, data.length, data.offset) == (0x403000, 0x2000, 0x1000)
    assert isinstance(tail, elf.ZeroTail) and (tail.start, tail.length) == (0x404020, 0xfe0)
    assert isinstance(zero, elf.ZeroMap) and (zero.start, zero.length) == (0x405000, 0x2000)
    assert zero.prot == PROT_READ | PROT_WRITE
    assert plan.phdr_address == 0x400040
    assert (plan.text_start, plan.text_end, plan.data_start, plan.data_end) == (0x400000, 0x401234, 0x403e10, 0x404020)
    assert plan.memory_end == 0x406e10
    assert (plan.start, plan.end, plan.interpreter, plan.is_dynamic) == (0x400000, 0x406e10, None, False)


def test_pure_bss_segment() -> None:
    plan = plan_of(image(load(PF_RX, 0, 0x400000, 0x100, 0x100), load(PF_RW, 0, 0x601010, 0, 0x2000)))
    zero = plan.steps[-1]
    assert isinstance(zero, elf.ZeroMap) and (zero.start, zero.length) == (0x601000, 0x3000)


def test_bss_of_a_read_only_segment_is_not_cleared() -> None:
    plan = plan_of(image(load(elf.PF_R, 0, 0x400000, 0x100, 0x200)))
    assert [type(step) for step in plan.steps] == [elf.FileMap]


def test_interpreter_stack_and_alignment() -> None:
    path = b"/lib64/ld-linux-x86-64.so.2\0"
    phdrs = (other(elf.PT_INTERP, 4, 64 + 3 * 56, len(path)), other(elf.PT_GNU_STACK, PF_RW),
             load(PF_RX, 0, 0, 0x1000, 0x1000, 0x200000))
    plan = plan_of(image(*phdrs, kind=elf.ET_DYN, tail=path))
    assert plan.interpreter == path[:-1]
    assert plan.stack_executable is False
    assert plan.is_dynamic and plan.alignment == 0x200000


def test_isa_level_of_the_property_note() -> None:
    note = pack("<III", 4, 16, 5) + b"GNU\0" + pack("<III", elf.GNU_PROPERTY_X86_ISA_1_NEEDED, 4, 7) + bytes(4)
    phdrs = (other(elf.PT_GNU_PROPERTY, 4, 64 + 2 * 56, len(note)), load(PF_RX, 0, 0x400000, 0x1000, 0x1000))
    assert plan_of(image(*phdrs, tail=note)).isa_needed == elf.ISA_BASELINE | elf.ISA_V2 | elf.ISA_V3


@pytest.mark.parametrize(("data", "words"), [
    (b"", "empty"),
    (b"MZ" + bytes(100), "Windows"),
    (b"hello", "not an ELF"),
    (b"\x7fELF\x02\x01", "cut short"),
    (image(load(PF_RX, 0, 0x400000, 1, 1), machine=183), "arm64"),
    (image(load(PF_RX, 0, 0x400000, 1, 1), kind=1), "relocatable"),
    (image(load(PF_RX, 0, 0x400000, 1, 1), machine=3, ident=b"\x7fELF\x01\x01\x01" + bytes(9)), "32-bit"),
    (image(load(PF_RX, 0, 0x400000, 1, 1), machine=0x3E00, ident=b"\x7fELF\x02\x02\x01" + bytes(9)), "big-endian"),
    (image(load(PF_RX, 0, 0x400000, 1, 1), phentsize=32), "entries of 32"),
    (image(load(PF_RX, 0, 0x400000, 1, 1), phnum=0), "0 program headers"),
    (image(load(PF_RX, 0, 0x400000, 1, 1), phnum=65535), "65535 program headers"),
    (image(load(PF_RX, 0, 0x400000, 1, 1), phnum=5), "outside the file"),
    (image(other(elf.PT_INTERP, 0, 0, 1)), "interpreter path of 1"),
    (image(other(elf.PT_INTERP, 0, 0, 5000)), "interpreter path of 5000"),
    (image(other(elf.PT_INTERP, 0, 0, 4)), "NUL"),
])
def test_refused_with_enoexec(data: bytes, words: str) -> None:
    error = refused(data)
    assert error.errno == elf.ENOEXEC and not error.fatal
    assert words in error.words


def test_interpreter_paths_outside_the_file() -> None:
    assert refused(image(other(elf.PT_INTERP, 0, 4000, 10))).errno == 5
    assert refused(image(other(elf.PT_INTERP, 0, 2**63, 10))).errno == elf.EINVAL


def test_an_interpreter_is_refused_with_elibbad() -> None:
    assert refused(b"#!/bin/sh".ljust(64), interpreter=True).errno == elf.ELIBBAD
    assert refused(b"#!/bin/sh", interpreter=True).errno == 5  # no whole header: EIO


def test_class_and_byte_order_are_not_looked_at() -> None:
    """Linux goes by the machine and the size of the program headers."""
    assert plan_of(image(load(PF_RX, 0, 0x400000, 1, 1), ident=b"\x7fELF\x01\x02\x01" + bytes(9))).steps


@pytest.mark.parametrize("phdr", [
    load(PF_RX, 0, 0x400000, 0x2000, 0x1000),
    load(PF_RX, 0, TASK_SIZE, 1, 1),
    load(PF_RX, 0, TASK_SIZE - 0x1000, 0x1000, 0x2000),
    load(PF_RX, 0, 0x400000, 1, 2**64 - 1),
    load(PF_RX, 0x10, 0x400000, 0x100, 0x100),
    load(PF_RX, 2**64 - 0x1000, 0x400000, 0x100, 0x100),
    load(PF_RX, 0, 0, 0, 0),
    other(elf.PT_GNU_STACK),
])
def test_segments_that_kill(phdr: bytes) -> None:
    assert refused(image(phdr)).fatal


FIELDS = st.one_of(st.integers(0, 2**64 - 1),
                   st.sampled_from([0, 1, 0xFFF, 0x1000, TASK_SIZE - 1, TASK_SIZE, 2**63, 2**64 - 1]))


@settings(max_examples=300, deadline=1000)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 7, elf.PT_GNU_STACK, elf.PT_GNU_PROPERTY]),
                          st.integers(0, 7), FIELDS, FIELDS, FIELDS, FIELDS, FIELDS), max_size=6),
       st.binary(max_size=64), st.integers(0, 65535))
def test_no_header_gets_through(segments: list[tuple[int, ...]], tail: bytes, phnum: int) -> None:
    phdrs = [pack("<IIQQQQQQ", kind, flags, offset, vaddr, vaddr, filesz, memsz, align)
             for kind, flags, offset, vaddr, filesz, memsz, align in segments]
    count = len(phdrs) if phnum % 3 else phnum
    data = image(*phdrs, phnum=count, kind=elf.ET_DYN if phnum & 1 else elf.ET_EXEC, tail=tail)
    check_sane(data)


@example([(120, 0), (176, 0)], 100)
@settings(max_examples=200, deadline=1000)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8), st.integers(0, 400))
def test_mutations_of_a_good_file(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(image(other(elf.PT_INTERP, 4, 64 + 3 * 56, 8), load(PF_RX, 0, 0x400000, 0x1234, 0x1234),
                           load(PF_RW, 0x1e10, 0x403e10, 0x210, 0x3000), tail=b"/lib/ld\0"))
    for position, byte in changes:
        if position < len(data):
            data[position] = byte
    check_sane(bytes(data[:max(length, 1)] if length < 100 else data))


def check_sane(data: bytes) -> None:
    """Either refused, or all of the plan lies in the address space, on page boundaries."""
    try:
        plan = plan_of(data)
    except elf.ElfError:
        return
    # A program without segments is one for Linux, too, and dies at its entry.
    assert 0 <= plan.start < plan.end <= TASK_SIZE + 0x1000 or not (plan.steps or plan.start or plan.end)
    for step in plan.steps:
        assert plan.start <= step.start
        assert step.start + step.length <= TASK_SIZE + 0x1000
        if isinstance(step, elf.ZeroTail):
            assert step.length < 4096
        else:
            assert step.length > 0 and not (step.start | step.length) & 0xFFF
        if isinstance(step, elf.FileMap):
            assert step.offset >= 0 and not step.offset & 0xFFF and step.offset + step.length < 2**63
