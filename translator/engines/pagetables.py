"""Guest address spaces as x86-64 page tables in guest RAM, walked by the emulated processor itself.

The processor runs with real paging at privilege level 3, so a TLB miss costs no Python at all; Python is asked only
when an entry does not allow the access (#PF): demand paging, copy-on-write, or a fault of the guest.  Entries are
filled ahead where that is cheap.  The `Space` of softmmu.py adds the kernel's access.

Translated code and stores.  The emulator checks the first store through each TLB entry against translated code in
that frame, and every store when the entry is also executable.  What it misses is code translated through one address
while a non-executable entry for the same frame exists at another.  So while a page cache has executable and shared
writable mappings at once, its writable entries are made executable too.  Stores by the kernel are followed by
`Ram.forget_code` where the entry says that there may be code (PTE_CODE, or an executed cache).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right

from translator.engines.mapping import Mapping, MappingList
from translator.engines.pagecache import (
    PTE_A,
    PTE_CACHED,
    PTE_D,
    PTE_NX,
    PTE_P,
    PTE_SHOWN,
    PTE_U,
    PTE_W,
)
from translator.engines.ram import PAGE
from translator.machine import (
    BEYOND_EOF,
    DENIED,
    NO_MEMORY,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    UNMAPPED,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol, Self

    from translator.engines.pagecache import FilePages, PageStore
    from translator.engines.ram import Ram
    from translator.machine import Backing

    class Processor(Protocol):
        """What a space needs of the engine."""

        ram: Ram
        store: PageStore
        loaded: Any
        tlb_stale: bool
        tlb_stale_if_stopped: bool

PTE_CODE = 0x400
"""Software bit: this private frame has been mapped executable, so translations of it may exist."""
PTE_AHEAD = 0x800
"""Software bit: filled ahead, not resident as mincore sees it until PTE_A is set."""
FRAME = 0x000F_FFFF_FFFF_F000
TABLE_FLAGS = PTE_P | PTE_W | PTE_U | PTE_A
FILL_AHEAD = 16
"""Pages of private memory given at once to a guest that touches them in order."""
ZEROS = bytes(PAGE)
GROWTH_TICKS = 9
"""From 64 entries, the least that the TLB can have, nine doublings lead to 32,768: 128 MiB."""


class PageTables(MappingList):
    """Mappings, the page tables that show them, and what happens when an entry does not allow an access."""

    __slots__ = ("bytes", "closed", "cpu", "growth_ticks", "leaf", "middle", "ram", "root", "store", "upper", "words")

    def __init__(self, cpu: Processor) -> None:
        """MemoryError."""
        super().__init__()
        self.cpu = cpu
        self.ram = cpu.ram
        self.store = cpu.store
        self.bytes = cpu.ram.bytes
        self.words = cpu.ram.words
        self.root = cpu.ram.take_zeroed()
        # Index into `words` of the table that holds the entries, by address >> 21, >> 30, >> 39.
        self.leaf: dict[int, int] = {}
        self.middle: dict[int, int] = {}
        self.upper: dict[int, int] = {}
        self.closed = False
        self.growth_ticks = GROWTH_TICKS
        """How many more early flushes may make the TLB grow for this space."""

    def _count(self, mapping: Mapping) -> None:
        if mapping.cache is not None:
            mapping.cache.add(self, mapping)

    def _uncount(self, mapping: Mapping) -> None:
        if mapping.cache is not None:
            mapping.cache.remove(self, mapping)

    # --- page tables

    def _new_table(self, slot: int, content: bytes | None = None) -> int:
        """Make the leaf table for addresses slot << 21 ...; its index into `words`; MemoryError."""
        ram, words = self.ram, self.words
        middle = self.middle.get(slot >> 9)
        if middle is None:
            upper = self.upper.get(slot >> 18)
            if upper is None:
                pfn = ram.take_zeroed()
                upper = self.upper[slot >> 18] = pfn << 9
                words[(self.root << 9) + (slot >> 18)] = pfn << 12 | TABLE_FLAGS
            pfn = ram.take_zeroed()
            middle = self.middle[slot >> 9] = pfn << 9
            words[upper + (slot >> 9 & 511)] = pfn << 12 | TABLE_FLAGS
        if content is None:
            pfn = ram.take_zeroed()
        else:
            pfn = ram.take()
            self.bytes[pfn << 12:(pfn + 1) << 12] = content
        leaf = self.leaf[slot] = pfn << 9
        words[middle + (slot & 511)] = pfn << 12 | TABLE_FLAGS
        return leaf

    def _spans(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(index of the first entry, number of entries, address) of each stretch of existing tables."""
        leaf = self.leaf
        first, last = start >> 21, (end - 1) >> 21
        slots: range | list[int] = range(first, last + 1)
        if last - first >= len(leaf):
            slots = sorted(slot for slot in leaf if first <= slot <= last)
        for slot in slots:
            base = leaf.get(slot)
            if base is not None:
                low = max(start, slot << 21)
                high = min(end, (slot + 1) << 21)
                yield base + (low >> 12 & 511), (high - low) >> 12, low

    def _own_frames(self, index: int, count: int) -> list[int]:
        """The private frames that these entries show."""
        return [(entry & FRAME) >> 12 for entry in self.words[index:index + count]
                if entry and not entry & PTE_CACHED]

    def _changed(self) -> None:
        """An entry that the TLB may hold was reduced or redirected."""
        if self.cpu.loaded is self:
            self.cpu.tlb_stale = True

    # --- mapping calls

    def map(self, addr: int, length: int, prot: int, backing: Backing | None, offset: int, shared: bool) -> None:
        end = addr + length
        cache = None
        if backing is not None:
            cache = self.store.cache_for(backing)
        mapping = Mapping(addr, end, prot, cache, offset, shared, False)
        self._count(mapping)  # before the old pieces go: they may be of the same file
        index, pieces = self._cut(addr, end)
        for piece in pieces:
            self._drop_piece(piece)
        self._insert(index, mapping)
        if cache is not None and cache.frames and prot and not (shared and prot & PROT_WRITE):
            try:
                self._show(mapping, addr, end)
            except MemoryError:
                pass  # it would only have saved page faults

    def unmap(self, addr: int, length: int) -> None:
        pieces = self._cut(addr, addr + length)[1]
        if not pieces:
            return
        for piece in pieces:
            self._drop_piece(piece)
        if length >> 22:
            self._drop_tables((addr + 0x1FFFFF) >> 21, (addr + length) >> 21)
            self.ram.give_back()

    def _drop_tables(self, first: int, end: int) -> None:
        """Free the leaf tables of slots first..end-1: they are empty."""
        leaf = self.leaf
        slots: range | list[int] = range(first, end)
        if end - first > len(leaf):
            slots = [slot for slot in leaf if first <= slot < end]
        for slot in slots:
            base = leaf.pop(slot, None)
            if base is not None:
                self.words[self.middle[slot >> 9] + (slot & 511)] = 0
                self.ram.drop(base >> 9)

    def _drop_piece(self, piece: Mapping) -> None:
        self._clear(piece, piece.start, piece.end)
        self._uncount(piece)

    def _clear(self, mapping: Mapping, start: int, end: int) -> None:
        """Empty the entries of a part of a mapping."""
        memory = self.bytes
        for index, count, addr in self._spans(start, end):
            low, high = index << 3, (index + count) << 3
            zeros = ZEROS[:count << 3]
            if memory[low:high] == zeros:
                continue
            if mapping.owned:
                self.ram.drop_many(self._own_frames(index, count))
            if mapping.shared:
                self._note_dirty(mapping, index, count, addr, False)
            memory[low:high] = zeros
            self._changed()

    def _show(self, mapping: Mapping, start: int, end: int) -> None:
        """Enter the cached pages of a read-only or private mapping; the entries are empty."""
        cache = mapping.cache
        assert cache is not None
        template = cache.text if mapping.prot & PROT_EXEC else cache.data
        words, leaf = self.words, self.leaf
        end = min(end, mapping.start - mapping.offset + len(template) * PAGE)
        while start < end:
            slot = start >> 21
            stop = min(end, (slot + 1) << 21)
            base = leaf.get(slot)
            if base is None:
                base = self._new_table(slot)
            index = base + (start >> 12 & 511)
            page = (start - mapping.start + mapping.offset) >> 12
            count = (stop - start) >> 12
            words[index:index + count] = template[page:page + count]
            start = stop

    def protect(self, addr: int, length: int, prot: int) -> None:
        index, pieces = self._cut(addr, addr + length)
        for old in pieces:
            new = old
            if old.prot != prot:
                new = old.with_prot(prot)
                self._count(new)
                self._uncount(old)
                self._reprotect(new)
            before = len(self.maps)
            self._insert(index, new)
            index += len(self.maps) - before

    def _reprotect(self, mapping: Mapping) -> None:
        words = self.words
        for index, count, _ in self._spans(mapping.start, mapping.end):
            for position, entry in enumerate(words[index:index + count].tolist(), index):
                if entry:
                    changed = self._with_rights(entry, mapping)
                    if changed != entry:
                        words[position] = changed
                        if entry & PTE_A:
                            self._changed()
        cache = mapping.cache
        if cache is not None and cache.frames and not mapping.owned and mapping.prot \
                and not (mapping.shared and mapping.prot & PROT_WRITE):
            self._show_missing(mapping)

    def _show_missing(self, mapping: Mapping) -> None:
        """After PROT_NONE (a reservation made from a file): enter cached pages where no table exists yet."""
        for slot in range(mapping.start >> 21, ((mapping.end - 1) >> 21) + 1):
            if slot not in self.leaf:
                try:
                    self._show(mapping, max(mapping.start, slot << 21), min(mapping.end, (slot + 1) << 21))
                except MemoryError:
                    return

    def _with_rights(self, entry: int, mapping: Mapping) -> int:
        """The entry for the same frame under the mapping's rights; copy-on-write stays."""
        prot = mapping.prot
        entry &= ~(PTE_P | PTE_W | PTE_NX)
        if not prot:
            return entry
        entry |= PTE_P
        cache = mapping.cache
        if prot & PROT_EXEC:
            if not entry & PTE_CACHED:
                entry |= PTE_CODE
                self.ram.code.add((entry & FRAME) >> 12)
        elif not (mapping.shared and prot & PROT_WRITE and cache is not None and cache.executors):
            entry |= PTE_NX
        if prot & PROT_WRITE:
            if entry & PTE_CACHED:
                if mapping.shared:
                    entry |= PTE_W
            elif self.ram.refs[(entry & FRAME) >> 12] == 1:
                entry |= PTE_W | PTE_D
        return entry

    def move(self, old: int, new: int, length: int) -> None:
        target = self._cut(new, new + length)[1]
        for piece in target:
            self._drop_piece(piece)
        pieces = self._cut(old, old + length)[1]
        words = self.words
        for index, count, addr in self._spans(old, old + length):
            for position, entry in enumerate(words[index:index + count].tolist()):
                if entry:
                    there = addr + (position << 12) - old + new
                    base = self.leaf.get(there >> 21)
                    if base is None:
                        base = self._new_table(there >> 21)
                    words[base + (there >> 12 & 511)] = entry
                    words[index + position] = 0
                    self._changed()
        for piece in pieces:
            moved = Mapping(piece.start - old + new, piece.end - old + new, piece.prot, piece.cache, piece.offset,
                            piece.shared, piece.owned)
            self._insert(bisect_right(self.starts, moved.start), moved)

    def discard(self, addr: int, length: int) -> None:
        end = addr + length
        for mapping in self._overlapping(addr, end):
            low, high = max(addr, mapping.start), min(end, mapping.end)
            self._clear(mapping, low, high)
            cache = mapping.cache
            if cache is not None and cache.frames and mapping.prot and not mapping.shared:
                try:
                    self._show(mapping, low, high)
                except MemoryError:
                    pass

    def fork(self) -> Self:
        child = type(self)(self.cpu)
        try:
            self._copy_into(child)
        except MemoryError:
            child.close()
            raise
        return child

    def _copy_into(self, child: PageTables) -> None:
        words, refs, memory = self.words, self.ram.refs, self.bytes
        for mapping in self.maps:
            if mapping.owned:
                for index, count, _ in self._spans(mapping.start, mapping.end):
                    for pfn in self._own_frames(index, count):
                        refs[pfn] += 1
                    words[index:index + count] = array("Q", [
                        entry if entry & PTE_CACHED else entry & ~PTE_W for entry in words[index:index + count]])
        # From here on the child's mappings own a reference each; the tables follow.
        child.starts = self.starts.copy()
        child.maps = self.maps.copy()
        for mapping in child.maps:
            child._count(mapping)
        self._changed()
        copied: list[int] = []
        try:
            for slot, base in self.leaf.items():
                child._new_table(slot, memory[base << 3:(base + 512) << 3])
                copied.append(slot)
        except MemoryError:
            # Give back the references that the child's missing tables would hold.
            for slot in self.leaf.keys() - set(copied):
                self.ram.drop_many(self._own_frames(self.leaf[slot], 512))
            raise

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        ram = self.ram
        if self.cpu.loaded is self:
            self.cpu.loaded = None
        for mapping in self.maps:
            if mapping.owned:
                for index, count, _ in self._spans(mapping.start, mapping.end):
                    ram.drop_many(self._own_frames(index, count))
            if mapping.cache is not None and mapping.shared:
                for index, count, addr in self._spans(mapping.start, mapping.end):
                    self._note_dirty(mapping, index, count, addr, False)
            self._uncount(mapping)
        for tables in (self.leaf, self.middle, self.upper):
            ram.drop_many([base >> 9 for base in tables.values()])
            tables.clear()
        ram.drop(self.root)
        ram.give_back()
        self.maps = []
        self.starts = []

    # --- page faults

    def fault(self, addr: int, access: int, by_guest: bool = False) -> str:
        """Make the page at `addr` allow `access`, as the guest's own access does.  "" when it does now, else why
        not: UNMAPPED, DENIED, BEYOND_EOF, NO_MEMORY.  `by_guest`: an instruction waits to be executed again."""
        try:
            return self._fault(addr, access, by_guest)
        except MemoryError:
            return NO_MEMORY

    def _fault(self, addr: int, access: int, by_guest: bool) -> str:
        mapping = self.find(addr)
        if mapping is None:
            return UNMAPPED
        prot = mapping.prot
        # The processor knows no write-only and no execute-only pages: each right implies reading.
        if not (prot if access == PROT_READ else prot & access):
            return DENIED
        base = self.leaf.get(addr >> 21)
        if base is None:
            base = self._new_table(addr >> 21)
        index = base + (addr >> 12 & 511)
        entry = self.words[index]
        if entry:
            if access == PROT_WRITE and not entry & PTE_W:
                self._break_sharing(mapping, index, entry, by_guest)
            elif not entry & PTE_P or (access == PROT_EXEC and entry & PTE_NX):
                self.words[index] = self._with_rights(entry, mapping)
            return ""
        if mapping.cache is None:
            self._fill_private(mapping, addr, index)
            return ""
        return self._fill_from_cache(mapping, addr, index, access)

    def _break_sharing(self, mapping: Mapping, index: int, entry: int, by_guest: bool = False) -> None:
        """A store to an entry without W in a writable mapping."""
        ram, words = self.ram, self.words
        pfn = (entry & FRAME) >> 12
        rights = PTE_P | PTE_U | PTE_W | PTE_A | PTE_D
        if entry & PTE_CACHED and mapping.shared:
            words[index] = self._with_rights(entry, mapping)
            return
        if not entry & PTE_CACHED and ram.refs[pfn] == 1:
            words[index] = self._with_rights(entry, mapping) | PTE_A | PTE_D
            return
        mapping.owned = True
        copy = ram.take()
        memory = ram.view
        memory[copy << 12:(copy + 1) << 12] = memory[pfn << 12:(pfn + 1) << 12]
        if not entry & PTE_CACHED:
            ram.drop(pfn)
        if mapping.prot & PROT_EXEC:
            rights |= PTE_CODE
            ram.code.add(copy)
        else:
            rights |= PTE_NX
        words[index] = copy << 12 | rights
        if by_guest and entry & PTE_NX:
            # The store that comes now replaces the stale read-only entry in the TLB, unless the guest is stopped first.
            self.cpu.tlb_stale_if_stopped = True
        elif entry & PTE_A:
            self._changed()

    def _fill_private(self, mapping: Mapping, addr: int, index: int) -> None:
        ram, words = self.ram, self.words
        rights = PTE_P | PTE_U | PTE_D
        if mapping.prot & PROT_WRITE:
            rights |= PTE_W
        mapping.owned = True
        if mapping.prot & PROT_EXEC:
            pfn = ram.take_zeroed()
            ram.code.add(pfn)
            words[index] = pfn << 12 | rights | PTE_CODE | PTE_A
            return
        rights |= PTE_NX
        # In order, when the page before was touched: give the next ones too, if nothing is there.
        if addr & 0x1FF000 and words[index - 1] & PTE_A:
            count = min(FILL_AHEAD, 512 - (addr >> 12 & 511), (mapping.end - (addr & -PAGE)) >> 12)
            if count > 1 and self.bytes[index << 3:(index + count) << 3] == ZEROS[:count << 3]:
                pfn = ram.take_fresh(count)
                if pfn:
                    entry = pfn << 12 | rights | PTE_AHEAD
                    words[index:index + count] = array("Q", range(entry, entry + count * PAGE, PAGE))
                    words[index] = pfn << 12 | rights | PTE_A
                    return
                if len(ram.free) > FILL_AHEAD:
                    for position in range(index + 1, index + count):
                        words[position] = ram.take_zeroed() << 12 | rights | PTE_AHEAD
        words[index] = ram.take_zeroed() << 12 | rights | PTE_A

    def _fill_from_cache(self, mapping: Mapping, addr: int, index: int, access: int) -> str:
        cache = mapping.cache
        assert cache is not None
        ram, words = self.ram, self.words
        page = (addr - mapping.start + mapping.offset) >> 12
        pfn = cache.page(page)
        if pfn < 0:
            return BEYOND_EOF
        prot = mapping.prot
        if mapping.shared:
            entry = pfn << 12 | PTE_SHOWN | PTE_A
            if prot & PROT_WRITE:
                entry |= PTE_W
                if access == PROT_WRITE:
                    entry |= PTE_D
            if not prot & PROT_EXEC and not (prot & PROT_WRITE and cache.executors):
                entry |= PTE_NX
            words[index] = entry
            if prot & PROT_WRITE:
                return ""
        elif access == PROT_WRITE:
            mapping.owned = True
            copy = ram.take()
            memory = ram.view
            memory[copy << 12:(copy + 1) << 12] = memory[pfn << 12:(pfn + 1) << 12]
            entry = copy << 12 | PTE_P | PTE_U | PTE_W | PTE_A | PTE_D
            if prot & PROT_EXEC:
                entry |= PTE_CODE
                ram.code.add(copy)
            else:
                entry |= PTE_NX
            words[index] = entry
            return ""
        else:
            words[index] = pfn << 12 | PTE_SHOWN | PTE_A | (0 if prot & PROT_EXEC else PTE_NX)
        # Show the neighbours that are cached as well: 16 pages around, within the mapping and the table.
        entries = cache.frames
        flags = PTE_SHOWN | (0 if prot & PROT_EXEC else PTE_NX)
        low = max(-(page & 15), -(addr >> 12 & 511), -((addr - mapping.start) >> 12))
        high = min(16 - (page & 15), 512 - (addr >> 12 & 511), (mapping.end - (addr & -PAGE)) >> 12)
        for step in range(low, high):
            if not words[index + step]:
                neighbour = entries.get(page + step)
                if neighbour is not None:
                    words[index + step] = neighbour << 12 | flags
        return ""

    # --- what page caches ask of a space that maps them

    def check_stores(self, cache: FilePages) -> None:
        """The cache has executable mappings now: every store through a writable one has to be checked."""
        words = self.words
        for mapping in self.maps:
            if mapping.cache is cache and mapping.shared and mapping.prot & PROT_WRITE:
                for index, count, _ in self._spans(mapping.start, mapping.end):
                    for position, entry in enumerate(words[index:index + count].tolist(), index):
                        if entry & PTE_W:
                            words[position] = entry & ~PTE_NX
                            self._changed()

    def _note_dirty(self, mapping: Mapping, index: int, count: int, addr: int, clean: bool) -> None:
        cache, words = mapping.cache, self.words
        assert cache is not None
        first = (addr - mapping.start + mapping.offset) >> 12
        for position, entry in enumerate(words[index:index + count].tolist()):
            if entry & PTE_D and entry & PTE_CACHED:
                cache.dirty.add(first + position)
                if clean:
                    words[index + position] = entry & ~PTE_D
                    self._changed()

    def collect_dirty(self, cache: FilePages, first: int, last: int) -> None:
        """Move the dirty marks of pages first..last from the entries to the cache."""
        for mapping in self.maps:
            if mapping.cache is cache and mapping.shared:
                low = max(mapping.start, mapping.start + (first << 12) - mapping.offset)
                high = min(mapping.end, mapping.start + ((last + 1) << 12) - mapping.offset)
                if low < high:
                    for index, count, addr in self._spans(low, high):
                        self._note_dirty(mapping, index, count, addr, True)

    def unmap_pages(self, cache: FilePages, first: int) -> None:
        """The file was truncated: pages from `first` on disappear from all mappings, private copies too."""
        for mapping in self.maps:
            if mapping.cache is cache:
                low = max(mapping.start, mapping.start + (first << 12) - mapping.offset)
                if low < mapping.end:
                    self._clear(mapping, low, mapping.end)

