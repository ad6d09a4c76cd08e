"""Guest physical memory: one host mapping cut into page frames.

A frame is known by its number (pfn).  Frames of private memory and page tables are reference-counted here; frames of
the page cache belong to their cache.  The host gives memory to a frame when it is first touched, so the size is only
a reservation, where the host allows that.
"""

from __future__ import annotations

import ctypes
import mmap
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 4096
ZERO_PAGE = bytes(PAGE)
GIB = 1 << 30
GIVE_BACK_FRAMES = 32768
"""With more free frames than this (128 MiB) runs of them are given back to the host."""
FREE_ENOUGH = 4096
"""With more free frames than this, used ones are taken before never-used ones."""
STALE_BATCH = 128
"""Freed frames whose translations are forgotten together."""
MAP_NORESERVE = 0x4000
"""Linux, generic numbering; the mmap module of Python 3.11 does not name it."""
LOW_FRAMES = 1 << 16
"""256 MiB: the addresses at which programs linked to a fixed place have their code."""


def _physical_frames() -> int:
    """Frames that the host machine has, as far as it tells."""
    if sys.platform == "win32":
        return 1 << 20
    import os
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // PAGE


def _map_host(size: int) -> mmap.mmap:
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    if sys.platform == "linux":
        flags |= MAP_NORESERVE
    return mmap.mmap(-1, size, flags=flags)


class Ram:
    """`bytes` is all memory, addressed by physical address; `words` the same as 64-bit words (page tables)."""

    __slots__ = ("_anchor", "address", "bytes", "code", "first", "forget_code", "free", "given_back", "limit", "refs",
                 "shrink", "size", "stale", "top", "view", "words")

    def __init__(self, most: int = 0) -> None:
        """`most`: bytes that may be used, 0 for what the host has.  MemoryError when not even 256 MiB can be had."""
        # Reserving is free on Linux and macOS; Windows commits a section when it is made.
        size = (most + GIB - 1) & -GIB or 2 * GIB if sys.platform == "win32" else 64 * GIB
        while True:
            try:
                self.bytes = _map_host(size)
                break
            except (OSError, ValueError, OverflowError):
                if size <= GIB // 4:
                    raise MemoryError("no host memory for the guest's RAM") from None
                size //= 2
        self.size = size
        self.view = memoryview(self.bytes)
        self.words = self.view.cast("Q")
        self._anchor = ctypes.c_char.from_buffer(self.bytes)
        self.address = ctypes.addressof(self._anchor)
        # The guest may use what the machine has, not what could be reserved: beyond it the host would kill pylx.
        self.first = LOW_FRAMES if size >= 16 * GIB else 1
        """Frames below are left alone: see the hooks in unicorn.py."""
        self.limit = min(size // PAGE, _physical_frames() + self.first)
        if most:
            self.limit = min(self.limit, self.first + most // PAGE)
        self.top = self.first
        """Frames from here on were never used: they are zero."""
        self.refs = [1] * self.first
        self.free: list[int] = []
        self.given_back = 0
        """Length of the free list when its memory was last returned."""
        self.stale: list[int] = []
        """Free, but translations of code in them may still exist."""
        self.code: set[int] = set()
        """Private frames that have been mapped executable since they were allocated."""
        self.forget_code: Callable[[list[int]], None] = lambda frames: None
        """Set by the engine: drop the translations of these frames."""
        self.shrink: Callable[[], bool] = lambda: False
        """Set by the page cache: free some frames, False when there are none to free."""

    def take(self) -> int:
        """A frame of undefined content, one reference; MemoryError."""
        free = self.free
        if not free:
            top = self.top
            if top < self.limit:
                self.top = top + 1
                self.refs.append(1)
                return top
            self._reclaim()
        pfn = free.pop()
        self.refs[pfn] = 1
        return pfn

    def take_zeroed(self) -> int:
        """A frame of zeros, one reference; MemoryError."""
        free = self.free
        if not free:
            top = self.top
            if top < self.limit:
                self.top = top + 1
                self.refs.append(1)
                return top
            self._reclaim()
        pfn = free.pop()
        self.refs[pfn] = 1
        start = pfn << 12
        self.bytes[start:start + PAGE] = ZERO_PAGE
        return pfn

    def take_fresh(self, count: int) -> int:
        """The first of `count` adjacent zero frames, one reference each; 0 when used ones should be taken instead."""
        first = self.top
        if first + count > self.limit or len(self.free) > FREE_ENOUGH:
            return 0
        self.top = first + count
        self.refs += [1] * count
        return first

    def drop(self, pfn: int) -> None:
        """One reference less."""
        left = self.refs[pfn] - 1
        self.refs[pfn] = left
        if not left:
            if pfn in self.code:
                self.code.discard(pfn)
                self.stale.append(pfn)
                if len(self.stale) >= STALE_BATCH:
                    self._forget_stale()
            else:
                self.free.append(pfn)

    def drop_many(self, frames: list[int]) -> None:
        """One reference less for each."""
        refs, dead = self.refs, []
        for pfn in frames:
            left = refs[pfn] - 1
            refs[pfn] = left
            if not left:
                dead.append(pfn)
        code = self.code
        if code and not code.isdisjoint(dead):
            had_code = code.intersection(dead)
            code -= had_code
            self.stale += had_code
            dead = [pfn for pfn in dead if pfn not in had_code]
            if len(self.stale) >= STALE_BATCH:
                self._forget_stale()
        self.free += dead

    def drop_all(self, frames: list[int], had_code: bool) -> None:
        """Free frames of a page cache."""
        refs = self.refs
        for pfn in frames:
            refs[pfn] = 0
        if had_code:
            self.stale += frames
            self._forget_stale()
        else:
            self.free += frames

    def _forget_stale(self) -> None:
        if self.stale:
            self.forget_code(self.stale)
            self.free += self.stale
            self.stale = []

    def _reclaim(self) -> None:
        self._forget_stale()
        while not self.free:
            if not self.shrink():
                raise MemoryError("guest memory is exhausted")

    def give_back(self) -> None:
        """Return the memory of runs of free frames to the host.  Called now and then, between slices."""
        if sys.platform != "linux" or len(self.free) < self.given_back + GIVE_BACK_FRAMES:
            return
        free = sorted(self.free)
        self.free = []
        start = previous = free[0]
        for pfn in [*free[1:], -1]:
            if pfn == previous + 1:
                previous = pfn
                continue
            self.bytes.madvise(mmap.MADV_DONTNEED, start << 12, (previous - start + 1) << 12)
            start = previous = pfn
        self.free = free
        self.given_back = len(free)

    def close(self) -> None:
        """The mapping itself goes with the process: the views on it cannot be taken back."""
        self.free.clear()
        self.refs.clear()
