"""Where in the guest a call was made: file and offset from its mappings, symbol from the file's symbol table."""

from __future__ import annotations

from functools import cache

from translator.machine import RIP, RSP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

PROT_EXEC = 4


class Site:
    """A place in guest code, taken when it was there: mappings and programs change."""

    __slots__ = ("address", "caller", "comm", "offset", "path")

    def __init__(self, address: int, path: str, offset: int, comm: str) -> None:
        self.address = address
        self.path = path
        """The mapped file as the guest names it; "" for memory of no file."""
        self.offset = offset
        """Within that file."""
        self.comm = comm
        self.caller: Site | None = None
        """Who called the function that makes the call, where that can be told."""


def site_of(task: Task) -> Site:
    """The caller of the system call that `task` is in."""
    comm = task.comm.decode("utf-8", "backslashreplace")
    address = task.cpu.get(RIP)
    site = _place(task, address, comm) or Site(address, "", address, comm)
    caller = _return_address(task)
    if caller:
        site.caller = _place(task, caller, comm)
    return site


def _place(task: Task, address: int, comm: str) -> Site | None:
    area = task.mm.find(address)
    if area is None or not area.prot & PROT_EXEC:
        return None
    if area.location is None:
        return Site(address, "", address, comm)
    path = area.location.path(task).decode("utf-8", "backslashreplace")
    return Site(address, path, address - area.start + area.offset, comm)


def _return_address(task: Task) -> int:
    """The C library's wrappers mostly keep nothing on the stack: its top is where they return to.  0 unless it
    follows a call instruction."""
    from syscalls.abi.errno import LinuxError
    try:
        address = task.mem.u64(task.cpu.get(RSP))
        area = task.mm.find(address)
        if area is None or not area.prot & PROT_EXEC:
            return 0
        before = task.mem.read(address - 6, 6)
    except LinuxError:
        return 0
    near = before[1] == 0xE8
    through_memory = before[0] == 0xFF and before[1] == 0x15
    through_register = before[4] == 0xFF and before[5] & 0xF8 == 0xD0
    return address if near or through_memory or through_register else 0


class Symbols:
    """The functions of one ELF file."""

    def __init__(self, path: str) -> None:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile
        from elftools.elf.sections import SymbolTableSection
        self.segments: list[tuple[int, int, int]] = []
        """(offset in the file, size, address) of what is loaded."""
        self.functions: list[tuple[int, int, str]] = []
        """(address, size, name), by address."""
        try:
            with open(path, "rb") as stream:
                elf = ELFFile(stream)
                self.segments = [(segment["p_offset"], segment["p_filesz"], segment["p_vaddr"])
                                 for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"]
                found: dict[int, tuple[int, str]] = {}
                for name in (".dynsym", ".symtab"):
                    section = elf.get_section_by_name(name)
                    for symbol in section.iter_symbols() if isinstance(section, SymbolTableSection) else ():
                        if symbol["st_info"]["type"] in ("STT_FUNC", "STT_GNU_IFUNC") and symbol["st_value"]:
                            known = found.get(symbol["st_value"])
                            # Of several names for one place the plain one: read, not __read.
                            if known is None or (known[1].startswith("_"), len(known[1])) > (
                                    symbol.name.startswith("_"), len(symbol.name)):
                                found[symbol["st_value"]] = (symbol["st_size"], symbol.name)
                self.functions = [(address, size, name) for address, (size, name) in sorted(found.items())]
        except (OSError, ELFError, UnicodeDecodeError):
            pass

    def name(self, offset: int) -> str:
        """`symbol+0x1f` for an offset in the file, "" when no function covers it."""
        from bisect import bisect_right
        for start, size, address in self.segments:
            if start <= offset < start + size:
                place = offset - start + address
                index = bisect_right(self.functions, (place, 1 << 64, "")) - 1
                if index >= 0:
                    begin, length, name = self.functions[index]
                    # A function without a size reaches to the next.
                    if place - begin <= (length or 256):
                        return f"{name}+{place - begin:#x}"
        return ""


@cache
def symbols(path: str) -> Symbols:
    return Symbols(path)


def shown(site: Site, root: str = "") -> dict[str, str | int]:
    """A site for a report; `root` is the host directory that is the guest's `/`."""
    symbol = symbols(root + site.path).name(site.offset) if site.path else ""
    out: dict[str, str | int] = {"symbol": symbol, "file": site.path, "offset": site.offset, "address": site.address,
                                 "comm": site.comm}
    if site.caller is not None and site.caller.path:
        name = symbols(root + site.caller.path).name(site.caller.offset)
        out["called_from"] = f"{name or hex(site.caller.offset)} in {site.caller.path}"
    return out


def words(site: dict[str, str | int]) -> str:
    """`prctl+0x9 in /lib/libc.so.6, called from main+0x20 in /bin/x`."""
    place = str(site["file"]) or "memory of no file"
    text = f"{site['symbol'] or hex(int(site['offset']))} in {place}"
    return f"{text}, called from {site['called_from']}" if "called_from" in site else text
