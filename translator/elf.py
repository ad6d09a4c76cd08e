"""ELF64 headers -> load plan, as fs/binfmt_elf.c reads them.

Only the headers are looked at (the section table is nobody's business at run time), with `struct` alone: an exec
happens thousands of times in a build.  Everything read is hostile until checked; nothing here maps memory.
"""

from __future__ import annotations

from struct import Struct

from translator.machine import PAGE_MASK, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE, TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[[int, int], bytes]
    """(offset, length) -> the bytes of the file there, short at its end."""

ENOEXEC, EINVAL, ELIBBAD = 8, 22, 80

ET_EXEC, ET_DYN = 2, 3
EM_X86_64 = 62
PT_LOAD, PT_INTERP, PT_GNU_STACK, PT_GNU_PROPERTY = 1, 3, 0x6474E551, 0x6474E553
PF_X, PF_W, PF_R = 1, 2, 4
PHDR_SIZE = 56
PHDRS_MAX_BYTES = 65536
PATH_MAX = 4096
OFFSET_MAX = 2**63 - 1

GNU_PROPERTY_X86_ISA_1_NEEDED = 0xC0008002
ISA_BASELINE, ISA_V2, ISA_V3, ISA_V4 = 1, 2, 4, 8

_HEADER = Struct("<16sHHIQQQIHHHHHH")
_PHDR = Struct("<IIQQQQQQ")
_NOTE = Struct("<III")
_PROPERTY = Struct("<II")

_MACHINES = {2: "SPARC", 3: "32-bit x86", 4: "m68k", 6: "32-bit x86", 8: "MIPS", 15: "PA-RISC", 20: "PowerPC",
             21: "64-bit PowerPC", 22: "S/390", 40: "32-bit ARM", 42: "SuperH", 43: "SPARC64", 50: "Itanium",
             183: "AArch64 (arm64)", 243: "RISC-V", 247: "BPF", 258: "LoongArch"}
_TYPES = {0: "no file type", 1: "a relocatable object (not linked yet)", 4: "a core dump"}


class ElfError(Exception):
    """A file that cannot be executed.

    `errno` is what execve gives, `words` say why to a user.  `fatal`: Linux notices only after the old program is
    gone, so that the process dies of SIGSEGV instead of seeing the error.
    """

    def __init__(self, errno: int, words: str, fatal: bool = False) -> None:
        super().__init__(errno, words)
        self.errno = errno
        self.words = words
        self.fatal = fatal
        self.interpreter: bytes | None = None
        """With `fatal`: the program interpreter, which is opened before that is noticed."""


class FileMap:
    """Map `length` bytes of the file from `offset` at `start` (all page multiples), private."""

    __slots__ = ("length", "offset", "prot", "start")

    def __init__(self, start: int, length: int, offset: int, prot: int) -> None:
        self.start = start
        self.length = length
        self.offset = offset
        self.prot = prot


class ZeroMap:
    """Map fresh zero pages, readable and writable: the part of .bss past the file's last page."""

    __slots__ = ("length", "prot", "start")

    def __init__(self, start: int, length: int, prot: int) -> None:
        self.start = start
        self.length = length
        self.prot = prot


class ZeroTail:
    """Clear the rest of the file's last page; only writable segments have it cleared (padzero)."""

    __slots__ = ("length", "start")

    def __init__(self, start: int, length: int) -> None:
        self.start = start
        self.length = length


class LoadPlan:
    """What execve needs to know of one ELF file.  Addresses are as linked: a load bias is added to each."""

    __slots__ = ("alignment", "data_end", "data_start", "end", "entry", "interpreter", "is_dynamic", "isa_needed",
                 "memory_end", "phdr_address", "phnum", "stack_executable", "start", "steps", "text_end", "text_start")

    def __init__(self) -> None:
        self.is_dynamic = False
        """ET_DYN: loaded where there is room."""
        self.entry = 0
        self.interpreter: bytes | None = None
        self.phnum = 0
        self.phdr_address = 0
        """Where the program headers are in memory; 0 when no segment holds them."""
        self.stack_executable: bool | None = None
        """None: the file has no PT_GNU_STACK."""
        self.steps: list[FileMap | ZeroMap | ZeroTail] = []
        """To be done in this order: later segments replace what they overlap."""
        self.start = 0
        """Page of the lowest segment."""
        self.end = 0
        """First byte after the highest segment."""
        self.alignment = PAGE_SIZE
        self.text_start = self.text_end = self.data_start = self.data_end = 0
        self.memory_end = 0
        """Where brk starts, before rounding up."""
        self.isa_needed = 0
        """ISA_ bits of the GNU property note: the x86-64 levels that the code needs."""


def read_plan(read: Reader, *, interpreter: bool = False) -> LoadPlan:
    """The load plan of a program, or (`interpreter`) of a program interpreter.  Raises ElfError."""
    bad = ELIBBAD if interpreter else ENOEXEC
    header = read(0, _HEADER.size)
    if interpreter and len(header) < _HEADER.size:
        raise ElfError(5, "ELF header cut short")  # EIO (elf_read); a program's is padded with zeros
    _check_ident(header, bad)
    (_, kind, machine, _, entry, phoff, _, _, _, phentsize, phnum, _, _, _) = _HEADER.unpack(header)
    if kind not in (ET_EXEC, ET_DYN) and not interpreter:
        raise ElfError(bad, f"ELF file is {_TYPES.get(kind, f'of unknown type {kind}')}, not a program")
    if machine != EM_X86_64:
        raise ElfError(bad, f"program for {_MACHINES.get(machine, f'another machine (number {machine})')}, not x86-64")
    if phentsize != PHDR_SIZE:
        raise ElfError(bad, f"program header entries of {phentsize} bytes instead of {PHDR_SIZE}")
    size = phnum * PHDR_SIZE
    if not 0 < size <= PHDRS_MAX_BYTES:
        raise ElfError(bad, f"{phnum} program headers")
    if phoff + size > OFFSET_MAX:
        raise ElfError(bad, "program headers lie outside the file")
    table = read(phoff, size)
    if len(table) != size:
        raise ElfError(bad, "program headers lie outside the file")

    if kind not in (ET_EXEC, ET_DYN):
        # Of an interpreter only noticed when it is mapped (load_elf_interp).
        raise ElfError(bad, f"loader is {_TYPES.get(kind, f'of unknown type {kind}')}", fatal=True)
    plan = LoadPlan()
    plan.is_dynamic = kind == ET_DYN
    plan.entry = entry
    plan.phnum = phnum
    loads = []
    for segment in _PHDR.iter_unpack(table):
        if segment[0] == PT_LOAD:
            loads.append(segment)
        elif segment[0] == PT_INTERP and plan.interpreter is None and not interpreter:
            plan.interpreter = _interpreter(read, segment[2], segment[5])
        elif segment[0] == PT_GNU_STACK:
            plan.stack_executable = bool(segment[1] & PF_X)
        elif segment[0] == PT_GNU_PROPERTY and not plan.isa_needed:
            plan.isa_needed = _isa_needed(read, segment[2], segment[5])
    try:
        _lay_out(plan, loads, phoff)
    except ElfError as error:
        error.interpreter = plan.interpreter
        raise
    return plan


def _check_ident(header: bytes, bad: int) -> None:
    """Magic, class and byte order.  Linux compares the magic alone and then fails on the machine; the words differ."""
    if header[:4] != b"\x7fELF":
        if header[:2] == b"MZ":
            raise ElfError(bad, "a Windows program (PE), not a Linux one")
        if header[:4] in (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"):
            raise ElfError(bad, "a macOS program (Mach-O), not a Linux one")
        raise ElfError(bad, "not an ELF program" if header else "an empty file")
    if len(header) < _HEADER.size:
        raise ElfError(bad, "ELF header cut short")
    if int.from_bytes(header[18:20], "little") == EM_X86_64 and int.from_bytes(header[54:56], "little") == PHDR_SIZE:
        return  # whatever class and byte order it claims
    if header[5] == 2:
        raise ElfError(bad, "big-endian ELF program, not x86-64")
    if header[4] == 1:
        machine = int.from_bytes(header[18:20], "little")
        name = "x32 (32-bit pointers on x86-64)" if machine == EM_X86_64 else _MACHINES.get(machine, "another machine")
        raise ElfError(bad, f"32-bit ELF program for {name}: only 64-bit x86-64 programs are run")


def _interpreter(read: Reader, offset: int, size: int) -> bytes:
    """PT_INTERP's path.  EIO when it lies outside the file, EINVAL for no offset at all (elf_read)."""
    if not 2 <= size <= PATH_MAX:
        raise ElfError(ENOEXEC, f"interpreter path of {size} bytes")
    if offset > OFFSET_MAX:
        raise ElfError(EINVAL, "interpreter path at a negative offset")
    path = read(offset, size) if offset + size <= OFFSET_MAX else b""
    if len(path) != size:
        raise ElfError(5, "interpreter path lies outside the file")
    if path[-1]:
        raise ElfError(ENOEXEC, "interpreter path does not end in NUL")
    return path[:path.index(0)]


def _isa_needed(read: Reader, offset: int, size: int) -> int:
    """GNU_PROPERTY_X86_ISA_1_NEEDED of the property note; a note that makes no sense needs nothing, as the x86
    kernel does not read it at all."""
    if size > 4096 or offset + size > OFFSET_MAX:
        return 0
    note = read(offset, size)
    if len(note) < 16:
        return 0
    name_size, data_size, kind = _NOTE.unpack_from(note)
    if name_size != 4 or kind != 5 or note[12:16] != b"GNU\0":
        return 0
    at, end = 16, min(len(note), 16 + data_size)
    while at + 8 <= end:
        kind, length = _PROPERTY.unpack_from(note, at)
        if kind == GNU_PROPERTY_X86_ISA_1_NEEDED and length == 4 and at + 12 <= end:
            return int.from_bytes(note[at + 8:at + 12], "little")
        at += 8 + (length + 7 & ~7)
    return 0


def _lay_out(plan: LoadPlan, loads: list[tuple[int, ...]], phoff: int) -> None:
    """The mapping steps of all PT_LOAD segments (elf_load, elf_map, set_brk)."""
    if not loads:
        if plan.interpreter is not None:
            return  # which runs all the same
        raise ElfError(EINVAL, "no segment to load", fatal=True)
    plan.start = min(segment[3] for segment in loads) & ~PAGE_MASK
    plan.end = max(segment[3] + segment[6] for segment in loads)
    if plan.end <= plan.start:
        raise ElfError(EINVAL, "segments of no size", fatal=True)
    text_start = TASK_SIZE
    steps = plan.steps
    for _, flags, offset, vaddr, _, filesz, memsz, align in loads:
        if vaddr >= TASK_SIZE or filesz > memsz or memsz > TASK_SIZE or TASK_SIZE - memsz < vaddr:
            raise ElfError(EINVAL, "a segment that no address space can hold", fatal=True)
        if align & align - 1 == 0 and align > plan.alignment:
            plan.alignment = align
        prot = (PROT_READ if flags & PF_R else 0) | (PROT_WRITE if flags & PF_W else 0) | (
            PROT_EXEC if flags & PF_X else 0)
        page = vaddr & ~PAGE_MASK
        file_end = vaddr + filesz
        if filesz:
            within = vaddr & PAGE_MASK
            length = within + filesz + PAGE_MASK & ~PAGE_MASK
            if offset < within or (offset - within) & PAGE_MASK or offset - within + length > OFFSET_MAX:
                raise ElfError(EINVAL, "a segment whose file offset does not fit its address", fatal=True)
            steps.append(FileMap(page, length, offset - within, prot))
            if memsz > filesz and file_end & PAGE_MASK and flags & PF_W:
                steps.append(ZeroTail(file_end, PAGE_SIZE - (file_end & PAGE_MASK)))
        if memsz > filesz:
            zero = file_end + PAGE_MASK & ~PAGE_MASK if filesz else page
            zero_end = vaddr + memsz + PAGE_MASK & ~PAGE_MASK
            if zero_end > zero:
                # vm_brk_flags: always readable and writable, whatever the segment says.
                steps.append(ZeroMap(zero, zero_end - zero, PROT_READ | PROT_WRITE | prot & PROT_EXEC))
        if offset <= phoff < offset + filesz:
            plan.phdr_address = phoff - offset + vaddr
        if flags & PF_X:
            text_start = min(text_start, vaddr)
            plan.text_end = max(plan.text_end, file_end)
        plan.data_start = max(plan.data_start, vaddr)
        plan.data_end = max(plan.data_end, file_end)
        plan.memory_end = max(plan.memory_end, vaddr + memsz)
    plan.text_start = text_start
    if not plan.is_dynamic and plan.entry >= TASK_SIZE:
        raise ElfError(EINVAL, "entry point outside the address space", fatal=True)
