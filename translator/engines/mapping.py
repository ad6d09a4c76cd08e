"""The list of mappings of an address space: ranges of one kind, sorted, never overlapping."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.engines.pagecache import FilePages


class Mapping:
    """A range of one kind.  Never changed once it is in a list, except `owned`, so spaces share it after fork."""

    __slots__ = ("cache", "end", "offset", "owned", "prot", "shared", "start")

    def __init__(self, start: int, end: int, prot: int, cache: FilePages | None, offset: int, shared: bool,
                 owned: bool) -> None:
        self.start = start
        self.end = end
        self.prot = prot
        self.cache = cache
        self.offset = offset
        """Byte of the backing that `start` shows."""
        self.shared = shared
        self.owned = owned
        """Private frames may be in this range: entries need a look one by one."""

    def part(self, start: int, end: int) -> Mapping:
        return Mapping(start, end, self.prot, self.cache, self.offset + start - self.start, self.shared, self.owned)

    def with_prot(self, prot: int) -> Mapping:
        return Mapping(self.start, self.end, prot, self.cache, self.offset, self.shared, self.owned)

    def joins(self, following: Mapping) -> bool:
        """Whether the two can be one (the caller knows that they touch)."""
        return (self.prot == following.prot and self.cache is following.cache and self.shared == following.shared
                and (self.cache is None or self.offset + self.end - self.start == following.offset))


class MappingList:
    """What an address space is made of.  Mappings with a cache are counted there while they are in the list."""

    __slots__ = ("maps", "starts")

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.maps: list[Mapping] = []

    def _count(self, mapping: Mapping) -> None:
        """Tell its cache, if any, of one mapping more."""
        raise NotImplementedError

    def _uncount(self, mapping: Mapping) -> None:
        raise NotImplementedError

    def find(self, addr: int) -> Mapping | None:
        index = bisect_right(self.starts, addr) - 1
        if index >= 0:
            mapping = self.maps[index]
            if addr < mapping.end:
                return mapping
        return None

    def _overlapping(self, start: int, end: int) -> list[Mapping]:
        index = bisect_right(self.starts, start) - 1
        if index < 0 or self.maps[index].end <= start:
            index += 1
        return self.maps[index:bisect_left(self.starts, end, index)]

    def _cut(self, start: int, end: int) -> tuple[int, list[Mapping]]:
        """Take [start, end) out of the list: where it was, and its pieces (still counted by their caches)."""
        index, pieces = self._carve(start, end)
        if pieces:
            if pieces[0].start < start:
                pieces[0] = pieces[0].part(start, pieces[0].end)
            if pieces[-1].end > end:
                pieces[-1] = pieces[-1].part(pieces[-1].start, end)
        return index, pieces

    def _carve(self, start: int, end: int) -> tuple[int, list[Mapping]]:
        """The same, but the mappings as they were, whole."""
        starts, maps = self.starts, self.maps
        index = bisect_right(starts, start) - 1
        if index < 0 or maps[index].end <= start:
            index += 1
        after = bisect_left(starts, end, index)
        pieces = maps[index:after]
        if not pieces:
            return index, pieces
        first, last = pieces[0], pieces[-1]
        kept = []
        kept_starts = []
        if first.start < start:
            kept.append(first.part(first.start, start))
            kept_starts.append(first.start)
        if last.end > end:
            kept.append(last.part(end, last.end))
            kept_starts.append(end)
        for piece in kept:
            self._count(piece)
        maps[index:after] = kept
        starts[index:after] = kept_starts
        return index + (first.start < start), pieces

    def _insert(self, index: int, mapping: Mapping) -> None:
        """Put a mapping into the hole at `index`, one with its neighbours where they are alike."""
        starts, maps = self.starts, self.maps
        if index and maps[index - 1].end == mapping.start and maps[index - 1].joins(mapping):
            index -= 1
            mapping = self._joined(maps.pop(index), mapping)
            del starts[index]
        if index < len(maps) and maps[index].start == mapping.end and mapping.joins(maps[index]):
            mapping = self._joined(mapping, maps.pop(index))
            del starts[index]
        maps.insert(index, mapping)
        starts.insert(index, mapping.start)

    def _joined(self, first: Mapping, second: Mapping) -> Mapping:
        whole = first.part(first.start, first.end)
        whole.end = second.end
        whole.owned = first.owned or second.owned
        self._uncount(second)  # the whole takes over the count of the first
        return whole
