"""Guard regions (mm/madvise.c): pages that MADV_GUARD_INSTALL empties and bars, without an area of their own.

The engine bars them as it bars PROT_NONE; they stay barred whatever mprotect(2) and madvise(2) say later, move with
mremap(2), and end with the mapping or by MADV_GUARD_REMOVE.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from syscalls.mm import Mm
    from translator.machine import AddressSpace


class Guards:
    """The barred ranges of one address space, without overlap."""

    __slots__ = ("ranges",)

    def __init__(self, ranges: list[tuple[int, int]] | None = None) -> None:
        self.ranges: list[tuple[int, int]] = ranges or []

    def __contains__(self, addr: int) -> bool:
        return any(low <= addr < high for low, high in self.ranges)

    def within(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The barred parts of [start, end)."""
        for low, high in self.ranges:
            if low < end and high > start:
                yield max(low, start), min(high, end)

    def take(self, start: int, end: int) -> list[tuple[int, int]]:
        """What is barred in [start, end), which is not any more."""
        taken = list(self.within(start, end))
        if taken:
            self.ranges = [part for low, high in self.ranges
                           for part in ((low, min(high, start)), (max(low, end), high)) if part[0] < part[1]]
        return taken

    def add(self, start: int, end: int) -> None:
        self.take(start, end)
        self.ranges.append((start, end))

    def copy(self) -> Guards:
        return Guards(self.ranges[:])

    def lift(self, space: AddressSpace, start: int, end: int, prot: int) -> None:
        """A part of an area of protection `prot` can be touched again."""
        for low, high in self.take(start, end):
            space.protect(low, high - low, prot)

    def moved(self, old: int, new: int, length: int) -> None:
        """The engine has moved the pages of [old, old + length), rights and all."""
        for low, high in self.take(old, old + length):
            self.add(low - old + new, high - old + new)

    def bar(self, space: AddressSpace, start: int, end: int) -> None:
        """Make it true in the engine, after something has changed the protection of [start, end)."""
        for low, high in self.within(start, end):
            space.protect(low, high - low, 0)


def install(mm: Mm, start: int, end: int) -> None:
    """What lies in a part of an area goes, and who touches it gets SIGSEGV."""
    if mm.guards is None:
        mm.guards = Guards()
    mm.space.discard(start, end - start)
    mm.space.protect(start, end - start, 0)
    mm.guards.add(start, end)


