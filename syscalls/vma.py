"""Virtual memory areas: what is mapped where, sorted by address.

`Vma` mirrors vm_area_struct.  A Vma is never changed once it is in a list: changes put other Vmas in its place, so
that fork copies the list and shares the entries.
"""

from __future__ import annotations

from bisect import bisect_right

from syscalls.abi.mm import (
    MMAP_MIN_ADDR,
    STACK_GUARD_GAP,
    VM_DONTCOPY,
    VM_DONTDUMP,
    VM_DONTEXPAND,
    VM_DROPPABLE,
    VM_GROWSDOWN,
    VM_HUGEPAGE,
    VM_LOCKED,
    VM_LOCKONFAULT,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_MERGEABLE,
    VM_NOHUGEPAGE,
    VM_NORESERVE,
    VM_RAND_READ,
    VM_SEALED,
    VM_SEQ_READ,
    VM_SHARED,
    VM_WIPEONFORK,
)
from translator.machine import PAGE_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from syscalls.fs.vfs import Location
    from translator.machine import Backing

    Policy = tuple[int, int, int]
    """A memory policy: the mode with its flags, the nodes, and the node that is preferred (-1: none)."""

_MNEMONICS = ((VM_SHARED, "sh"), (VM_MAYREAD, "mr"), (VM_MAYWRITE, "mw"), (VM_MAYEXEC, "me"), (VM_MAYSHARE, "ms"),
              (VM_GROWSDOWN, "gd"), (VM_LOCKED, "lo"), (VM_LOCKONFAULT, "lf"), (VM_SEQ_READ, "sr"),
              (VM_RAND_READ, "rr"), (VM_DONTCOPY, "dc"),
              (VM_DONTEXPAND, "de"), (VM_NORESERVE, "nr"), (VM_WIPEONFORK, "wf"), (VM_DONTDUMP, "dd"),
              (VM_HUGEPAGE, "hg"), (VM_NOHUGEPAGE, "nh"), (VM_MERGEABLE, "mg"), (VM_DROPPABLE, "dp"),
              (VM_SEALED, "sl"))


class Vma:
    """One area [start, end) of equal protection and origin."""

    __slots__ = ("backing", "end", "flags", "forks", "location", "name", "offset", "policy", "prot", "start")

    def __init__(self, start: int, end: int, prot: int, flags: int, backing: Backing | None = None, offset: int = 0,
                 location: Location | None = None, name: bytes | None = None, policy: Policy | None = None,
                 forks: int = -1) -> None:
        self.start = start
        self.end = end
        self.prot = prot
        """PROT_READ, PROT_WRITE, PROT_EXEC."""
        self.flags = flags
        """VM_ bits other than the protection."""
        self.backing = backing
        """None: private zero-filled memory."""
        self.offset = offset
        """Of `start` in the backing, in bytes.  Of private memory: how far away it was first written (vm_pgoff stays
        when pages move), 0 in most."""
        self.location = location
        """The mapped file's name, None when it has none; a MappedFile, but for programs."""
        self.name = name
        """What /proc/pid/maps shows where there is no location: [vdso], [anon:...], /SYSV... (deleted)."""
        self.policy = policy
        """What mbind(2) has set: kept and told back, for there is but one node."""
        self.forks = forks
        """How many forks lay behind its address space when it was mapped; -1: it is in none yet."""

    @property
    def shared(self) -> bool:
        """MAP_SHARED, whether or not it may be written (the `s` of /proc/pid/maps)."""
        return bool(self.flags & VM_MAYSHARE)

    @property
    def is_data(self) -> bool:
        """Counted against RLIMIT_DATA: private, writable, not a stack (is_data_mapping)."""
        return bool(self.prot & 2) and not self.flags & (VM_SHARED | VM_GROWSDOWN)

    def piece(self, start: int, end: int) -> Vma:
        """The part [start, end) of it."""
        if start == self.start and end == self.end:
            return self
        offset = self.offset + start - self.start if self.backing is not None else self.offset
        return Vma(start, end, self.prot, self.flags, self.backing, offset, self.location, self.name, self.policy,
                   self.forks)

    def changed(self, prot: int, flags: int) -> Vma:
        return Vma(self.start, self.end, prot, flags, self.backing, self.offset, self.location, self.name, self.policy,
                   self.forks)

    def placed(self, policy: Policy | None) -> Vma:
        """With another memory policy."""
        return Vma(self.start, self.end, self.prot, self.flags, self.backing, self.offset, self.location, self.name,
                   policy, self.forks)

    def moved(self, start: int, end: int, offset: int) -> Vma:
        return Vma(start, end, self.prot, self.flags, self.backing, offset, self.location, self.name, self.policy,
                   self.forks)

    def joins(self, after: Vma) -> bool:
        """Whether `after`, which begins where this ends, can be one Vma with it (vma_merge)."""
        if self.end != after.start or self.prot != after.prot or self.flags != after.flags or self.name != after.name:
            return False
        if self.location is not after.location or self.policy != after.policy or self.flags & VM_DONTEXPAND:
            return False
        mine, other = self.backing, after.backing
        if mine is None or other is None:
            return mine is other and self.offset == after.offset
        return ((mine is other or mine.key == other.key)
                and self.offset + self.end - self.start == after.offset)

    def mnemonics(self) -> str:
        """The VmFlags line of /proc/pid/smaps."""
        words = [word for bit, word in ((1, "rd"), (2, "wr"), (4, "ex")) if self.prot & bit]
        words += [word for bit, word in _MNEMONICS if self.flags & bit]
        return " ".join(words)

    def __repr__(self) -> str:
        rights = "".join(letter if self.prot & bit else "-" for bit, letter in ((1, "r"), (2, "w"), (4, "x")))
        return f"<Vma {self.start:x}-{self.end:x} {rights}{'s' if self.shared else 'p'} {self.offset:x} {self.name!r}>"


class VmaList:
    """The areas of one address space, in order, without overlap."""

    __slots__ = ("_hole_above", "_search_from", "areas", "data_bytes", "forks", "is_written", "starts", "total_bytes")

    def __init__(self) -> None:
        self.areas: list[Vma] = []
        self.starts: list[int] = []
        self.total_bytes = 0
        self.data_bytes = 0
        self.forks = 0
        self.is_written: Callable[[Vma], bool] | None = None
        """Whether private memory has pages of its own.  None where no fork lies behind."""
        # No hole above _search_from (and below the mmap base) is larger than _hole_above: top-down placement
        # need not look there for anything larger, and still finds the highest place that fits.  0: nothing is known.
        self._search_from = 0
        self._hole_above = 0

    def __iter__(self) -> Iterator[Vma]:
        return iter(self.areas)

    def __len__(self) -> int:
        return len(self.areas)

    def copy(self) -> VmaList:
        other = VmaList()
        other.areas = self.areas[:]
        other.starts = self.starts[:]
        other.total_bytes = self.total_bytes
        other.data_bytes = self.data_bytes
        other.forks = self.forks + 1
        return other

    def find(self, addr: int) -> Vma | None:
        """The area that contains `addr`."""
        index = bisect_right(self.starts, addr) - 1
        if index >= 0:
            area = self.areas[index]
            if addr < area.end:
                return area
        return None

    def index_from(self, addr: int) -> int:
        """Index of the first area that ends above `addr` (find_vma); len() when there is none."""
        index = bisect_right(self.starts, addr)
        return index - 1 if index and self.areas[index - 1].end > addr else index

    def next_from(self, addr: int) -> Vma | None:
        """The first area that ends above `addr`."""
        index = self.index_from(addr)
        return self.areas[index] if index < len(self.areas) else None

    def overlapping(self, start: int, end: int) -> list[Vma]:
        """The areas that have a byte in [start, end), whole."""
        first = self.index_from(start)
        last = bisect_right(self.starts, end - 1)
        return self.areas[first:last]

    def is_free(self, start: int, end: int) -> bool:
        index = self.index_from(start)
        return index == len(self.areas) or self.areas[index].start >= end

    def covers(self, start: int, end: int) -> bool:
        """Whether no byte of [start, end) is unmapped."""
        at = start
        for area in self.overlapping(start, end):
            if area.start > at:
                return False
            at = area.end
        return at >= end

    def take(self, start: int, end: int) -> list[Vma]:
        """Take [start, end) out; areas across its edges are split.  Returns the parts taken out."""
        return [area.piece(max(area.start, start), min(area.end, end)) for area in self.remove(start, end)]

    def remove(self, start: int, end: int) -> list[Vma]:
        """The same, but returns the areas as they were, whole."""
        first = self.index_from(start)
        areas = self.areas
        if first == len(areas) or areas[first].start >= end:
            return []
        last = bisect_right(self.starts, end - 1)
        old = areas[first:last]
        kept = []
        kept_starts = []
        for area in old:
            low, high = area.start, area.end
            if low < start:
                kept.append(area.piece(low, start))
                kept_starts.append(low)
                low = start
            if high > end:
                kept.append(area.piece(end, high))
                kept_starts.append(end)
                high = end
            self.total_bytes -= high - low
            if area.is_data:
                self.data_bytes -= high - low
        areas[first:last] = kept
        self.starts[first:last] = kept_starts
        if 0 < self._search_from < end:
            # A hole opened above the point: as if that part had not been looked at.  Its true upper edge is where
            # the next area begins.
            index = first + len(kept)
            self._search_from = areas[index].start if index < len(areas) else 0
            if not self._search_from:
                self._hole_above = 0
        return old

    def _join(self, before: Vma, after: Vma) -> bool:
        """vma_merge: also, pages from before a fork, which others share, do not become one area with newer ones
        (list_is_singular(anon_vma_chain))."""
        if not before.joins(after):
            return False
        if before.forks == after.forks or before.flags & VM_MAYSHARE or self.is_written is None:
            return True
        return not self.is_written(before if before.forks < after.forks else after)

    def insert(self, area: Vma, merge: bool = True) -> Vma:
        """Add an area where nothing is, merged with its neighbours where they match; returns what is there now."""
        areas = self.areas
        if area.forks < 0:
            area.forks = self.forks
        start, end, offset = area.start, area.end, area.offset
        self.total_bytes += end - start
        if area.is_data:
            self.data_bytes += end - start
        first = last = bisect_right(self.starts, start)
        if not merge:
            areas.insert(first, area)
            self.starts.insert(first, start)
            return area
        forks = area.forks
        before = areas[first - 1] if first else None
        if before is not None and before.end == start and self._join(before, area):
            first -= 1
            start, offset = before.start, before.offset
            forks = max(forks, before.forks)
        after = areas[last] if last < len(areas) else None
        if after is not None and after.start == end and self._join(area, after):
            end = after.end
            forks = max(forks, after.forks)
            last += 1
        if first != last:
            area = area.moved(start, end, offset)
            area.forks = forks
        areas[first:last] = (area,)
        self.starts[first:last] = (start,)
        return area

    def place(self, length: int, base: int, ceiling: int = 0) -> int:
        """The highest free range of `length` bytes below `base` (vm_unmapped_area, top-down), 0 when there is none.
        Below an area that grows down STACK_GUARD_GAP stays free.  `ceiling`: another upper limit (MAP_32BIT)."""
        limited = 0 < ceiling < base
        high = ceiling if limited else base
        hole = 0
        if not limited and 0 < self._search_from < base and length > self._hole_above:
            high = self._search_from
            hole = self._hole_above
        areas = self.areas
        index = bisect_right(self.starts, high - 1) - 1
        if index + 1 < len(areas) and areas[index + 1].flags & VM_GROWSDOWN:
            high = min(high, areas[index + 1].start - STACK_GUARD_GAP)
        while index >= 0:
            area = areas[index]
            room = high - area.end
            if room >= length:
                break
            hole = max(hole, room)
            high = min(high, area.start - STACK_GUARD_GAP if area.flags & VM_GROWSDOWN else area.start)
            index -= 1
        else:
            if high - MMAP_MIN_ADDR < length:
                return 0
        if not limited:
            self._search_from = high
            self._hole_above = hole
        return high - length

    def page_count(self) -> int:
        return self.total_bytes // PAGE_SIZE
