"""Guest memory as the kernel reaches it: bytes in and out of an address space, page by page through its tables.

Unlike the guest, the kernel does not go through the TLB: it looks at the same page table entries and makes the same
page faults, so copy-on-write, dirty marks and demand paging are those of the guest.
"""

from __future__ import annotations

from translator.engines.pagecache import PTE_A, PTE_CACHED, PTE_D, PTE_NX, PTE_P, PTE_U, PTE_W
from translator.engines.pagetables import FRAME, PTE_AHEAD, PTE_CODE, PageTables
from translator.engines.ram import PAGE
from translator.machine import (
    BEYOND_EOF,
    NO_MEMORY,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    TASK_SIZE,
    UNMAPPED,
    GuestFault,
)

DIRECT = PTE_P | PTE_W | PTE_D
DIRECT_MASK = DIRECT | PTE_CACHED | PTE_CODE
"""The kernel may store without further ado where entry & DIRECT_MASK == DIRECT."""

NOT_ACCESSED = bytes(low for low in range(256) if not low & PTE_A)


class Space(PageTables):
    """Implements machine.AddressSpace."""

    __slots__ = ()
    reserved = (0, 0)

    def _page(self, addr: int, access: int) -> int:
        """The entry of a page that allows `access`; GuestFault."""
        base = self.leaf.get(addr >> 21)
        if base is not None:
            index = base + (addr >> 12 & 511)
            entry = self.words[index]
            if entry & PTE_P:
                if access == PROT_READ:
                    return entry
                if access == PROT_WRITE and entry & PTE_W:
                    if not entry & PTE_D:
                        self.words[index] = entry | PTE_D
                    return entry
                if access == PROT_EXEC and not entry & PTE_NX:
                    return entry
        reason = self.fault(addr, access)
        if reason:
            raise GuestFault(addr, access, reason)
        index = self.leaf[addr >> 21] + (addr >> 12 & 511)
        entry = self.words[index]
        if access == PROT_WRITE and not entry & PTE_D:
            entry = self.words[index] = entry | PTE_D
        return entry

    def read(self, addr: int, length: int) -> bytes:
        offset = addr & 4095
        if offset + length <= PAGE:
            base = self.leaf.get(addr >> 21)
            if base is not None:
                entry = self.words[base + (addr >> 12 & 511)]
                if entry & PTE_P:
                    place = (entry & FRAME) + offset
                    return self.bytes[place:place + length]
        return self._read(addr, length)

    def _read(self, addr: int, length: int) -> bytes:
        if not length:
            return b""
        parts = []
        start = stop = -1
        while length:
            size = min(PAGE - (addr & 4095), length)
            place = (self._page(addr, PROT_READ) & FRAME) + (addr & 4095)
            if place != stop:
                if start >= 0:
                    parts.append(self.bytes[start:stop])
                start = place
            stop = place + size
            addr += size
            length -= size
        if not parts:
            return self.bytes[start:stop]
        parts.append(self.bytes[start:stop])
        return b"".join(parts)

    def write(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        length = len(data)
        offset = addr & 4095
        if offset + length <= PAGE:
            base = self.leaf.get(addr >> 21)
            if base is not None:
                entry = self.words[base + (addr >> 12 & 511)]
                if entry & DIRECT_MASK == DIRECT:
                    place = (entry & FRAME) + offset
                    self.bytes[place:place + length] = data
                    return
        self._write(addr, memoryview(data))

    def _write(self, addr: int, data: memoryview) -> None:
        done, length = 0, len(data)
        while done < length:
            size = min(PAGE - (addr & 4095), length - done)
            self._store(addr, self._page(addr, PROT_WRITE), data[done:done + size])
            addr += size
            done += size

    def _store(self, addr: int, entry: int, data: memoryview | bytes) -> None:
        """Store into the frame of one page, and forget code translated from it."""
        place = (entry & FRAME) + (addr & 4095)
        self.bytes[place:place + len(data)] = data
        if entry & PTE_CODE:
            self.ram.forget_code([place >> 12])
        elif entry & PTE_CACHED:
            mapping = self.find(addr)
            if mapping is not None and mapping.cache is not None and mapping.cache.executed:
                self.ram.forget_code([place >> 12])

    def peek(self, addr: int, length: int) -> bytes:
        parts: list[bytes] = []
        while length:
            size = min(PAGE - (addr & 4095), length)
            entry = self._resident_entry(addr)
            if not entry:
                mapping = self.find(addr)
                if mapping is None:
                    raise GuestFault(addr, PROT_READ, UNMAPPED)
                if mapping.cache is None:
                    parts.append(bytes(size))
                    addr += size
                    length -= size
                    continue
                try:
                    pfn = mapping.cache.page((addr - mapping.start + mapping.offset) >> 12)
                except MemoryError:
                    raise GuestFault(addr, PROT_READ, NO_MEMORY) from None
                if pfn < 0:
                    raise GuestFault(addr, PROT_READ, BEYOND_EOF)
                entry = pfn << 12
            place = (entry & FRAME) + (addr & 4095)
            parts.append(self.bytes[place:place + size])
            addr += size
            length -= size
        return b"".join(parts)

    def _resident_entry(self, addr: int) -> int:
        base = self.leaf.get(addr >> 21)
        return 0 if base is None else self.words[base + (addr >> 12 & 511)]

    def poke(self, addr: int, data: bytes) -> None:
        done = 0
        while done < len(data):
            size = min(PAGE - (addr & 4095), len(data) - done)
            try:
                entry = self._forced(addr)
            except MemoryError:
                raise GuestFault(addr, PROT_WRITE, NO_MEMORY) from None
            self._store(addr, entry, data[done:done + size])
            addr += size
            done += size

    def _forced(self, addr: int) -> int:
        """The entry of a page that may be stored to without changing it for others, whatever the rights; GuestFault.

        A private page becomes the space's own, but keeps the rights of its mapping."""
        mapping = self.find(addr)
        if mapping is None:
            raise GuestFault(addr, PROT_WRITE, UNMAPPED)
        if mapping.prot & PROT_WRITE:
            return self._page(addr, PROT_WRITE)
        open_mapping = mapping.with_prot(mapping.prot | PROT_READ | PROT_WRITE)
        base = self.leaf.get(addr >> 21)
        if base is None:
            base = self._new_table(addr >> 21)
        index = base + (addr >> 12 & 511)
        entry = self.words[index]
        if not entry:
            if mapping.cache is None:
                # One page only: filling ahead would give its neighbours the rights of open_mapping.
                self.words[index] = self.ram.take_zeroed() << 12 | PTE_P | PTE_U | PTE_NX | PTE_A | PTE_D
                open_mapping.owned = True
            elif self._fill_from_cache(open_mapping, addr, index, PROT_WRITE):
                raise GuestFault(addr, PROT_WRITE, BEYOND_EOF)
        else:
            self._break_sharing(open_mapping, index, entry)
        mapping.owned = mapping.owned or open_mapping.owned
        entry = self.words[index]
        self.words[index] = self._with_rights(entry, mapping)
        self._changed()
        return entry

    def reach(self, addr: int, length: int, access: int) -> int:
        done = 0
        while done < length:
            if not 0 <= addr < TASK_SIZE:
                break
            try:
                self._page(addr, access)
            except GuestFault:
                break
            size = PAGE - (addr & 4095)
            addr += size
            done += size
        return min(done, length)

    def cstring(self, addr: int, limit: int) -> bytes | None:
        parts: list[bytes] = []
        while limit > 0:
            size = min(PAGE - (addr & 4095), limit)
            place = (self._page(addr, PROT_READ) & FRAME) + (addr & 4095)
            end = self.bytes.find(b"\0", place, place + size)
            if end >= 0:
                if not parts:
                    return self.bytes[place:end]
                parts.append(self.bytes[place:end])
                return b"".join(parts)
            parts.append(self.bytes[place:place + size])
            addr += size
            limit -= size
        return None

    def cas32(self, addr: int, expected: int, new: int) -> int:
        entry = self._page(addr, PROT_WRITE)
        place = (entry & FRAME) + (addr & 4095)
        old = int.from_bytes(self.bytes[place:place + 4], "little")
        if old == expected:
            self._store(addr, entry, new.to_bytes(4, "little"))
        return old

    def resident(self, addr: int, length: int, mapped: bool = False) -> bytes:
        out = bytearray(length // PAGE)
        for mapping in self._overlapping(addr, addr + length):
            cache = mapping.cache
            if cache is not None and not mapped:
                for page in range(max(addr, mapping.start), min(addr + length, mapping.end), PAGE):
                    if (page - mapping.start + mapping.offset) >> 12 in cache.frames:
                        out[(page - addr) >> 12] = 1
        for index, count, start in self._spans(addr, addr + length):
            for position, entry in enumerate(self.words[index:index + count].tolist(), (start - addr) >> 12):
                if entry and (not entry & PTE_AHEAD or entry & PTE_A):
                    out[position] = 1
        return bytes(out)

    def rss_pages(self) -> int:
        # Every entry whose page has been used, by the guest or the kernel, has PTE_A in its lowest byte.
        memory = self.bytes
        lowest = [memory[base << 3:(base + 512) << 3:8] for base in self.leaf.values()]
        return len(b"".join(lowest).translate(None, NOT_ACCESSED))

    def sync(self, addr: int, length: int) -> None:
        end = addr + length
        for mapping in self._overlapping(addr, end):
            cache = mapping.cache
            if cache is not None and mapping.shared:
                first = (max(addr, mapping.start) - mapping.start + mapping.offset) >> 12
                last = (min(end, mapping.end) - 1 - mapping.start + mapping.offset) >> 12
                cache.collect(first, last)
                cache.write_back(first, last)
