"""Address spaces of the ptrace engine: the memory of a pico process.

Mapping calls are collected, and made by the process's leader in one go before the guest runs on or its memory is
looked at.  Two things save calls of the leader:

- A file that is mapped where the host has nothing can wait longer (`urgent` is False): the guest's first touch is a
  fault, which makes the calls and is not reported.  ld.so maps a library by four or five calls before it touches it.
- When all that is to be done is what the guest's call says itself, the host lets it make that call (`is_just`).

The list of mappings says what the guest may do: /proc/pid/mem, the fastest way to its bytes, asks nobody.
"""

from __future__ import annotations

import os
from array import array

from translator.engines.mapping import Mapping, MappingList
from translator.engines.pico import (
    AT_FDCWD,
    COMMAND_WORDS,
    COMMANDS,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAX_COMMANDS,
    NR_CLOSE,
    NR_MADVISE,
    NR_MMAP,
    NR_MPROTECT,
    NR_MREMAP,
    NR_MUNMAP,
    NR_OPENAT,
    PATHS,
    RESERVED_END,
    STUB,
    CallFailed,
)
from translator.engines.ptrace_binding import TraceeGone
from translator.machine import (
    BEYOND_EOF,
    DENIED,
    NO_MEMORY,
    PAGE_SIZE,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    TASK_SIZE,
    UNMAPPED,
    GuestFault,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.engines.pico import HostProcess
    from translator.engines.ptrace import PtraceEngine
    from translator.engines.ptrace_files import Pages
    from translator.machine import Backing

_PATH_BYTES = 64
_SHORT = 256
_MAX_PATHS = 0x1000 // _PATH_BYTES
MADV_DONTNEED, MADV_POPULATE_READ, MADV_POPULATE_WRITE = 4, 22, 23
MREMAP_MAYMOVE_FIXED = 3
NO_FILE = 0xFFFFFFFF
SAME_CALLS = (NR_MPROTECT, NR_MUNMAP, NR_MADVISE)
MAX_WAITING = 24
"""So many calls do not wait for a fault."""
_NOTHING = Mapping(0, 0, 0, None, 0, False, False)
_WORD = (1 << 64) - 1


class PtraceSpace(MappingList):
    """Implements machine.AddressSpace."""

    reserved = (STUB, RESERVED_END)
    __slots__ = ("_before", "_last", "_open", "_opens", "_paths", "_pending", "_waiting_end", "_waiting_start",
                 "closed", "engine", "flushes", "process", "urgent")

    def __init__(self, engine: PtraceEngine, process: HostProcess) -> None:
        super().__init__()
        self.engine = engine
        self.process = process
        self.closed = False
        self.flushes = 0
        """How often pending calls have been made."""
        self._last = self._before = _NOTHING
        self._pending = array("Q")
        self.urgent = False
        """The pending calls have to be made before the guest runs on."""
        self._waiting_start = self._waiting_end = 0
        """A range where the host has nothing, because all calls about it are pending."""
        self._paths: list[bytes] = []
        self._opens = 0
        """Descriptors of pylx that pending calls refer to."""
        self._open: tuple[Pages, bool] | None = None
        """What the pending calls' last descriptor is of, while closing it is their last call."""

    def _count(self, mapping: Mapping) -> None:
        pages: Pages | None = mapping.cache  # type: ignore[assignment]
        if pages is not None:
            pages.add(mapping)

    def _uncount(self, mapping: Mapping) -> None:
        pages: Pages | None = mapping.cache  # type: ignore[assignment]
        if pages is not None:
            if self._opens and pages.mappings == 1:
                self.flush()  # before its descriptor may be closed
            pages.remove(mapping)

    # --- calls to be made

    @property
    def pending(self) -> bool:
        return bool(self._pending)

    def is_just(self, number: int, args: tuple[int, int, int, int, int, int]) -> bool:
        """Whether the pending calls are one, the same as this one of the guest, whose arguments are all numbers.

        Not munmap beside other threads: by the time the guest comes to make it, one of them may have been given the
        addresses."""
        pending = self._pending
        if number == NR_MUNMAP and len(self.process.threads) - len(self.process.idle) > 1:
            return False
        return (number in SAME_CALLS and len(pending) == COMMAND_WORDS and pending[0] == number
                and pending[1] == args[0] and pending[2] == args[1] and (number == NR_MUNMAP or pending[3] == args[2]))

    def made(self) -> None:
        """The guest makes the pending call itself."""
        self._pending, self._open = array("Q"), None
        self.urgent = False
        self._waiting_end = 0

    def _add(self, number: int, a: int, b: int, c: int = 0, d: int = 0, e: int = 0, f: int = 0) -> None:
        self._open = None
        self.urgent = True
        self._pending.extend((number, a, b, c, d, e, f, 0))
        if len(self._pending) >= COMMAND_WORDS * MAX_COMMANDS:
            self.flush()

    def flush(self) -> None:
        """Make the pending calls.  MemoryError when the host refuses one."""
        pending = self._pending
        if not pending:
            return
        paths = self._paths
        process = self.process
        if paths:
            memory = process.commands.bytes
            for number, path in enumerate(paths):
                place = PATHS + number * _PATH_BYTES
                memory[place:place + len(path)] = path
        self._pending, self._paths, self._opens, self._open = array("Q"), [], 0, None
        self.urgent = False
        self._waiting_end = 0
        self.flushes += 1
        try:
            process.calls(pending, len(pending) // COMMAND_WORDS)
        except TraceeGone:
            pass  # the guest is told when it is to run
        except CallFailed as failure:
            self._failed(pending, failure)

    def _failed(self, pending: array[int], failure: CallFailed) -> None:
        number = pending[failure.index * COMMAND_WORDS]
        if number == NR_MREMAP and failure.errno == 14:
            # The host sees several mappings where we see one.
            _, old, length, _, _, new = pending[failure.index * COMMAND_WORDS:failure.index * COMMAND_WORDS + 6]
            self._move_parts(old, new, length)
            rest = pending[(failure.index + 1) * COMMAND_WORDS:]
            if rest:
                self._pending = rest
                self.flush()
            return
        opened = 0
        for at in range(0, failure.index * COMMAND_WORDS, COMMAND_WORDS):
            opened += (pending[at] == NR_OPENAT) - (pending[at] == NR_CLOSE)
        if opened:
            self.process.call(NR_CLOSE, 0)
        raise MemoryError(f"the host refuses call {number} of a guest process: {os.strerror(failure.errno)}")

    def _move_parts(self, old: int, new: int, length: int) -> None:
        with open(f"/proc/{self.process.pid}/maps", "rb") as lines:
            ranges = [tuple(int(text, 16) for text in line.split(None, 1)[0].split(b"-")) for line in lines]
        for low, high in ranges:
            low, high = max(low, old), min(high, old + length)
            if low < high:
                self.process.call(NR_MREMAP, low, high - low, high - low, MREMAP_MAYMOVE_FIXED, low - old + new)

    # --- mapping calls

    def map(self, addr: int, length: int, prot: int, backing: Backing | None, offset: int, shared: bool) -> None:
        end = addr + length
        if addr < RESERVED_END and end > STUB:
            raise MemoryError("this range is pylx's own")
        self._last = self._before = _NOTHING
        pages: Pages | None = None
        if backing is not None:
            pages = self.engine.store.pages_of(backing)
        mapping = Mapping(addr, end, prot, pages, offset, shared, False)  # type: ignore[arg-type]
        self._count(mapping)
        index, pieces = self._carve(addr, end)
        for piece in pieces:
            self._uncount(piece)
        self._insert(index, mapping)
        if self._waiting_end < end or addr < self._waiting_start:
            if pieces:
                self.urgent = True
            else:
                self._waiting_start, self._waiting_end = addr, end
        elif end == self._waiting_end and addr > self._waiting_start:
            # The last part of a library, most likely, which ld.so looks into next.
            self.urgent = True
        if pages is None:
            self._add(NR_MMAP, addr, length, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, NO_FILE, 0)
            return
        flags = MAP_FIXED | (MAP_SHARED if shared else MAP_PRIVATE | MAP_NORESERVE)
        if len(self._pending) > COMMAND_WORDS * MAX_WAITING:
            self.urgent = True
        if self._open == (pages, shared):
            # Behind another mapping of the same file: before its descriptor is closed.
            del self._pending[-COMMAND_WORDS:]
        else:
            self._open_file(pages, shared)
        # A guest process has no other descriptors: this one is 0.
        self._pending.extend((NR_MMAP, addr, length, prot, flags, 0, offset, 0, NR_CLOSE, 0, 0, 0, 0, 0, 0, 0))
        self._open = (pages, shared)
        if len(self._pending) >= COMMAND_WORDS * MAX_COMMANDS:
            self.flush()

    def _open_file(self, pages: Pages, shared: bool) -> None:
        if len(self._paths) >= _MAX_PATHS:
            self.flush()
        descriptor, flags = pages.source(shared)
        path = b"/proc/%d/fd/%d\0" % (self.engine.pid, descriptor)
        place = COMMANDS + PATHS + len(self._paths) * _PATH_BYTES
        self._paths.append(path)
        self._opens += 1
        self._pending.extend((NR_OPENAT, AT_FDCWD, place, flags | os.O_CLOEXEC, 0, 0, 0, 0))

    def unmap(self, addr: int, length: int) -> None:
        self._last = self._before = _NOTHING
        pieces = self._carve(addr, addr + length)[1]
        if not pieces:
            return
        for piece in pieces:
            self._uncount(piece)
        end = addr + length
        for low, high in ((addr, min(end, STUB)), (max(addr, RESERVED_END), end)):
            if low < high:
                self._add(NR_MUNMAP, low, high - low)

    def protect(self, addr: int, length: int, prot: int) -> None:
        self._last = self._before = _NOTHING
        index, pieces = self._cut(addr, addr + length)
        for old in pieces:
            new = old
            if old.prot != prot:
                new = old.with_prot(prot)
                self._count(new)
                self._uncount(old)
            before = len(self.maps)
            self._insert(index, new)
            index += len(self.maps) - before
        for low, high in ((piece.start, piece.end) for piece in pieces):
            if not STUB <= low < RESERVED_END:
                self._add(NR_MPROTECT, low, high - low, prot)

    def move(self, old: int, new: int, length: int) -> None:
        if new < RESERVED_END and new + length > STUB:
            raise MemoryError("this range is pylx's own")
        self._last = self._before = _NOTHING
        self.unmap(new, length)
        _, pieces = self._cut(old, old + length)
        for piece in pieces:
            moved = Mapping(piece.start - old + new, piece.end - old + new, piece.prot, piece.cache, piece.offset,
                            piece.shared, piece.owned)
            self._count(moved)
            self._uncount(piece)
            index, _ = self._carve(moved.start, moved.end)
            self._insert(index, moved)
            size = piece.end - piece.start
            self._add(NR_MREMAP, piece.start, size, size, MREMAP_MAYMOVE_FIXED, moved.start)

    def discard(self, addr: int, length: int) -> None:
        for piece in self._overlapping(addr, addr + length):
            low, high = max(addr, piece.start), min(addr + length, piece.end)
            if not STUB <= low < RESERVED_END:
                self._add(NR_MADVISE, low, high - low, MADV_DONTNEED)

    def fork(self) -> PtraceSpace:
        self.flush()
        try:
            child = PtraceSpace(self.engine, self.process.fork())
        except TraceeGone:
            raise MemoryError("the host has killed this process") from None
        self.engine.spaces.add(child)
        child.starts = self.starts[:]
        child.maps = self.maps[:]
        for mapping in child.maps:
            child._count(mapping)
        return child

    def show_vdso(self) -> None:
        """Enter the mappings of the vDSO, which every pico process has."""
        for low, high, code in self.engine.vdso_parts:
            prot = PROT_READ | PROT_EXEC if code else PROT_READ
            self._insert(self._carve(low, high)[0], Mapping(low, high, prot, None, 0, False, False))

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if self._opens and self.process.alive:
            try:
                self.flush()
            except MemoryError:
                pass
        self._pending, self._opens = array("Q"), 0
        self.engine.spaces.discard(self)
        self.engine.end(self.process)
        maps, self.maps, self.starts = self.maps, [], []
        for mapping in maps:
            self._uncount(mapping)

    # --- bytes

    def _first_bad(self, addr: int, length: int, right: int) -> int:
        """The first address that the mappings do not give this right to; addr + length when all is well.  A page that
        can be written or executed can be read."""
        end = addr + length
        if not addr >= 0 or end > TASK_SIZE:
            if addr < 0 or addr >= TASK_SIZE:
                return addr
            end = TASK_SIZE
        at = addr
        while at < end:
            mapping = self.find(at)
            if mapping is None or not mapping.prot & right:
                return at
            if mapping is not self._last:
                self._before, self._last = self._last, mapping
            at = mapping.end
        return end if end == addr + length else TASK_SIZE

    def _lies_in_one(self, addr: int, end: int, right: int) -> bool:
        """Whether [addr, end) is in one mapping that gives this right.  First the one that was looked at before the
        last: a call often reads in one and writes in another."""
        mapping = self._before
        if not (mapping.start <= addr and end <= mapping.end):
            found = self.find(addr)
            if found is None or end > found.end:
                return False
            mapping = found
        self._before, self._last = self._last, mapping
        return bool(mapping.prot & right)

    def fault_at(self, addr: int, access: int) -> GuestFault:
        """Why the page at `addr` cannot be accessed."""
        mapping = self.find(addr) if 0 <= addr < TASK_SIZE else None
        if mapping is None:
            return GuestFault(addr, access, UNMAPPED)
        if not mapping.prot & (7 if access == PROT_READ else access):
            return GuestFault(addr, access, DENIED)
        return GuestFault(addr, access, BEYOND_EOF if self.process.alive else NO_MEMORY)

    def read(self, addr: int, length: int) -> bytes:
        if self._pending:
            self.flush()
        last = self._last
        end = addr + length
        if not ((last.start <= addr and end <= last.end and last.prot) or self._lies_in_one(addr, end, 7)):
            bad = self._first_bad(addr, length, 7)
            if bad != addr + length:
                raise self.fault_at(bad, PROT_READ)
        if length:
            try:
                data = os.pread(self.process.memory, length, addr)
                if len(data) == length:
                    return data
            except OSError:
                pass
        return self._fetch(addr, length)

    def _fetch(self, addr: int, length: int) -> bytes:
        parts = []
        done = 0
        while done < length:
            try:
                data = os.pread(self.process.memory, length - done, addr + done)
            except OSError:
                raise self.fault_at(addr + done, PROT_READ) from None
            if not data:
                raise self.fault_at(addr + done, PROT_READ)
            parts.append(data)
            done += len(data)
        return b"".join(parts)

    def write(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        if self._pending:
            self.flush()
        length = len(data)
        last = self._last
        end = addr + length
        if not ((last.start <= addr and end <= last.end and last.prot & PROT_WRITE)
                or self._lies_in_one(addr, end, PROT_WRITE)):
            bad = self._first_bad(addr, length, PROT_WRITE)
            if bad != addr + length:
                if bad > addr:
                    self._store(addr, memoryview(data)[:bad - addr])
                raise self.fault_at(bad, PROT_WRITE)
        try:
            done = os.pwrite(self.process.memory, data, addr)
        except (OSError, OverflowError):  # the latter: nothing, to a place that cannot be
            done = 0
        if done != length:
            self._store(addr + done, memoryview(data)[done:])

    def _store(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """However many writes it takes."""
        view = memoryview(data)
        while view:
            try:
                done = os.pwrite(self.process.memory, view, addr)
            except OSError:
                raise self.fault_at(addr, PROT_WRITE) from None
            if not done:
                raise self.fault_at(addr, PROT_WRITE)
            addr += done
            view = view[done:]

    def peek(self, addr: int, length: int) -> bytes:
        self.flush()
        self._demand_mapped(addr, length, PROT_READ)
        return self._fetch(addr, length)

    def poke(self, addr: int, data: bytes) -> None:
        self.flush()
        self._demand_mapped(addr, len(data), PROT_WRITE)
        self._store(addr, data)

    def _demand_mapped(self, addr: int, length: int, access: int) -> None:
        at, end = addr, addr + length
        while at < end:
            mapping = self.find(at) if 0 <= at < TASK_SIZE else None
            if mapping is None:
                raise GuestFault(at, access, UNMAPPED)
            at = mapping.end

    def reach(self, addr: int, length: int, access: int) -> int:
        self.flush()
        good = self._first_bad(addr, length, 7 if access == PROT_READ else access) - addr
        if good <= 0:
            return 0
        end = addr + good
        for mapping in self._overlapping(addr, end):
            pages: Pages | None = mapping.cache  # type: ignore[assignment]
            if pages is not None:
                limit = mapping.start + max((pages.backing.size() + PAGE_SIZE - 1 & -PAGE_SIZE) - mapping.offset, 0)
                if limit < min(mapping.end, end):
                    end = max(limit, addr)
                    break
        low = addr & -PAGE_SIZE
        advice = MADV_POPULATE_WRITE if access == PROT_WRITE else MADV_POPULATE_READ
        if end > addr and not (addr < RESERVED_END and end > STUB):
            try:
                self.process.call(NR_MADVISE, low, (end + PAGE_SIZE - 1 & -PAGE_SIZE) - low, advice)
            except (CallFailed, TraceeGone):
                pass  # hosts before 5.14 do not know it: the pages come when they are touched
        return end - addr

    def cstring(self, addr: int, limit: int) -> bytes | None:
        if self._pending:
            self.flush()
        last = self._last
        end = addr + _SHORT
        if limit >= _SHORT and ((last.start <= addr and end <= last.end and last.prot)
                                or self._lies_in_one(addr, end, 7)):
            # Nearly always: a short one in a mapping that was looked at just now.
            try:
                data = os.pread(self.process.memory, _SHORT, addr)
            except OSError:
                data = b""
            end = data.find(b"\0")
            if end >= 0:
                return data[:end]
        parts: list[bytes] = []
        while limit > 0:
            size = min(PAGE_SIZE - (addr & PAGE_SIZE - 1), limit)
            last = self._last
            if not (last.start <= addr < last.end and last.prot):
                bad = self._first_bad(addr, 1, 7)
                if bad == addr:
                    raise self.fault_at(addr, PROT_READ)
            data = self._fetch(addr, size)
            end = data.find(b"\0")
            if end >= 0:
                if not parts:
                    return data[:end]
                parts.append(data[:end])
                return b"".join(parts)
            parts.append(data)
            addr += size
            limit -= size
        return None

    def cas32(self, addr: int, expected: int, new: int) -> int:
        bad = self._first_bad(addr, 4, PROT_WRITE)
        if bad != addr + 4:
            raise self.fault_at(bad, PROT_WRITE)
        if self.engine.running:
            # A word of memory that is shared may be used by any process.
            self.flush()
            try:
                return self.process.compare_and_swap(addr, expected, new)
            except (OSError, TraceeGone):
                raise self.fault_at(addr, PROT_WRITE) from None
        old = int.from_bytes(self.read(addr, 4), "little")
        if old == expected:
            self.write(addr, (new & 0xFFFFFFFF).to_bytes(4, "little"))
        return old

    # --- statistics

    def resident(self, addr: int, length: int, mapped: bool = False) -> bytes:
        self.flush()
        try:
            with open(f"/proc/{self.process.pid}/pagemap", "rb", buffering=0) as table:
                entries = array("Q", os.pread(table.fileno(), length // PAGE_SIZE * 8, addr // PAGE_SIZE * 8))
        except OSError:
            return bytes(length // PAGE_SIZE)
        return bytes(entry >> 63 for entry in entries).ljust(length // PAGE_SIZE, b"\0")

    def rss_pages(self) -> int:
        try:
            with open(f"/proc/{self.process.pid}/statm", "rb", buffering=0) as file:
                return max(int(file.read(128).split()[1]) - 1, 0)
        except (OSError, IndexError):
            return 0

    def sync(self, addr: int, length: int) -> None:
        for mapping in self._overlapping(addr, addr + length):
            pages: Pages | None = mapping.cache  # type: ignore[assignment]
            if pages is not None and mapping.shared and pages.backing.page_cache is not None:
                low, high = max(addr, mapping.start), min(addr + length, mapping.end)
                pages.backing.page_cache.before_read(low - mapping.start + mapping.offset, high - low)
