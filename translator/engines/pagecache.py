"""The page cache: the pages of files and shared memory objects, in guest frames, shown by any number of mappings.

Frames of a cache are not reference-counted: page table entries that show them carry the bit CACHED, and a frame is
freed only after every mapping has let go of it (`truncated`) or when nothing maps the cache any more.  Files that are
no longer mapped stay cached, so that the next execve finds its text, and the code translated from it, in place.
"""

from __future__ import annotations

from array import array

from translator.engines.ram import PAGE
from translator.machine import PROT_EXEC, PROT_WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from translator.engines.mapping import Mapping
    from translator.engines.pagetables import PageTables
    from translator.engines.ram import Ram
    from translator.machine import Backing

# Bits of an x86-64 page table entry (Intel SDM vol. 3, 4.5).
PTE_P, PTE_W, PTE_U, PTE_A, PTE_D = 1, 2, 4, 0x20, 0x40
PTE_CACHED = 0x200
"""A bit that the processor leaves to software: the frame belongs to a page cache."""
PTE_NX = 1 << 63
PTE_SHOWN = PTE_P | PTE_U | PTE_CACHED

READ_AROUND = 16
"""Pages read together when one is missing (64 KiB, as Linux's fault-around)."""
TEMPLATE_PAGES = 16384
"""Files up to this many pages (64 MiB) keep ready-made page table entries."""
IDLE_PAGES = 65536
"""Pages of files that nothing maps which are kept (256 MiB)."""


class PageStore:
    """All page caches of an engine, by the key of their backing."""

    __slots__ = ("caches", "idle", "idle_pages", "ram")

    def __init__(self, ram: Ram) -> None:
        self.ram = ram
        ram.shrink = self.shrink
        self.caches: dict[Hashable, FilePages] = {}
        self.idle: dict[FilePages, None] = {}
        """Caches without mappings, the longest unused first."""
        self.idle_pages = 0

    def cache_for(self, backing: Backing) -> FilePages:
        """The cache that a new mapping of `backing` uses."""
        cache = self.caches.get(backing.key)
        if cache is not None and not cache.volatile and cache.version != backing.version():
            # Changed behind our back: older mappings keep what they show, a new one sees the file as it is.
            self.forget(cache)
            cache = None
        if cache is None:
            cache = self.caches[backing.key] = FilePages(self, backing)
        cache.attach(backing)
        return cache

    def forget(self, cache: FilePages) -> None:
        """No new mapping uses this cache; its pages go now if nothing maps them."""
        if self.caches.get(cache.key) is cache:
            del self.caches[cache.key]
        cache.detach()
        if not cache.mappings:
            self._drop_idle(cache)

    def _drop_idle(self, cache: FilePages) -> None:
        if cache in self.idle:
            del self.idle[cache]
            self.idle_pages -= cache.idle_pages
        cache.free_from(0)

    def now_idle(self, cache: FilePages) -> None:
        if cache.volatile or self.caches.get(cache.key) is not cache:
            self.forget(cache)
            return
        cache.idle_pages = len(cache.frames)
        self.idle[cache] = None
        self.idle_pages += cache.idle_pages
        while self.idle_pages > IDLE_PAGES:
            self.forget(next(iter(self.idle)))

    def in_use(self, cache: FilePages) -> None:
        if cache in self.idle:
            del self.idle[cache]
            self.idle_pages -= cache.idle_pages

    def shrink(self) -> bool:
        """Free the pages of the longest unused file; False when there is none."""
        if not self.idle:
            return False
        self.forget(next(iter(self.idle)))
        return True


class FilePages:
    """The cached pages of one backing.  Implements machine.PageCache."""

    __slots__ = ("attached", "backing", "data", "dirty", "executed", "executors", "frames", "idle_pages", "key",
                 "mappings", "ram", "store", "text", "users", "version", "volatile", "writers", "written_through")

    def __init__(self, store: PageStore, backing: Backing) -> None:
        self.store = store
        self.ram = store.ram
        self.backing = backing
        self.key = backing.key
        self.volatile = backing.volatile
        self.version = backing.version()
        self.frames: dict[int, int] = {}
        """Frame by page index."""
        pages = min((backing.size() + PAGE - 1) // PAGE, TEMPLATE_PAGES)
        # Ready-made entries for read-only mappings, 0 where no page is cached: mapping a cached file is a copy.
        self.text = memoryview(array("Q", bytes(8 * pages)))
        self.data = memoryview(array("Q", bytes(8 * pages)))
        self.dirty: set[int] = set()
        """Pages known to be newer than the backing; more may be marked in page tables (PTE_D)."""
        self.users: dict[PageTables, int] = {}
        """Mappings of this cache in each address space."""
        self.mappings = 0
        self.writers = 0
        """Mappings that are shared and writable."""
        self.executors = 0
        self.executed = False
        """Some mapping has been executable: translations of the pages may exist."""
        self.written_through = False
        """Some mapping has been shared and writable since the last write-back of everything."""
        self.attached: list[Backing] = []
        self.idle_pages = 0

    # --- bindings

    def attach(self, backing: Backing) -> None:
        if backing.page_cache is not self:
            backing.page_cache = self
            self.attached.append(backing)
        if not self.mappings:
            self.backing = backing

    def detach(self) -> None:
        for backing in self.attached:
            if backing.page_cache is self:
                backing.page_cache = None
        self.attached.clear()

    def add(self, space: PageTables, mapping: Mapping) -> None:
        if not self.mappings:
            self.store.in_use(self)
            self.backing.retain()
        self.mappings += 1
        self.users[space] = self.users.get(space, 0) + 1
        clash = self.writers and self.executors
        if mapping.prot & PROT_EXEC:
            self.executors += 1
            self.executed = True
        if mapping.shared and mapping.prot & PROT_WRITE:
            self.writers += 1
            self.written_through = True
        if self.writers and self.executors and not clash:
            # Stores through a page that is not executable are not checked against translated code: see softmmu.
            for user in self.users:
                user.check_stores(self)

    def remove(self, space: PageTables, mapping: Mapping) -> None:
        if mapping.prot & PROT_EXEC:
            self.executors -= 1
        if mapping.shared and mapping.prot & PROT_WRITE:
            self.writers -= 1
        left = self.users[space] - 1
        if left:
            self.users[space] = left
        else:
            del self.users[space]
        self.mappings -= 1
        if self.dirty and mapping.shared:
            self.write_back()
        if not self.mappings:
            self.written_through = False
            backing = self.backing
            self.store.now_idle(self)
            backing.release()

    # --- pages

    def page(self, index: int) -> int:
        """The frame of a page, read in if need be; -1 beyond the end or when unreadable; MemoryError."""
        pfn = self.frames.get(index)
        return self._load(index) if pfn is None else pfn

    def _load(self, index: int) -> int:
        pages = (self.backing.size() + PAGE - 1) // PAGE
        if index >= pages:
            return -1
        frames, ram = self.frames, self.ram
        first = last = index
        low = index & -READ_AROUND
        high = min(low + READ_AROUND, pages)
        while first > low and first - 1 not in frames:
            first -= 1
        while last + 1 < high and last + 1 not in frames:
            last += 1
        count = last - first + 1
        pfn = ram.take_fresh(count)
        if not pfn:
            first, count = index, 1
            pfn = ram.take_zeroed()
        if self.backing.read_page(first * PAGE, ram.view[pfn * PAGE:(pfn + count) * PAGE]) < 0:
            ram.drop_all(list(range(pfn, pfn + count)), False)
            return -1
        frames.update(zip(range(first, first + count), range(pfn, pfn + count), strict=True))
        room = len(self.text)
        if first < room:
            shown = min(count, room - first)
            entry = pfn * PAGE | PTE_SHOWN
            self.text[first:first + shown] = array("Q", range(entry, entry + shown * PAGE, PAGE))
            entry |= PTE_NX
            self.data[first:first + shown] = array("Q", range(entry, entry + shown * PAGE, PAGE))
        return pfn + index - first

    def free_from(self, first: int) -> None:
        """Drop the pages from index `first` on.  Nothing maps them any more."""
        frames = self.frames
        gone = [index for index in frames if index >= first]
        if not gone:
            return
        self.ram.drop_all([frames.pop(index) for index in gone], self.executed)
        if first < len(self.text):
            self.text[first:] = self.data[first:] = memoryview(array("Q", bytes(8 * (len(self.text) - first))))
        self.dirty.difference_update(gone)

    # --- write-back

    def collect(self, first: int, last: int) -> None:
        """Learn from the page tables which of the pages first..last have been stored to."""
        for space in self.users:
            space.collect_dirty(self, first, last)

    def write_back(self, first: int = 0, last: int = 1 << 52) -> None:
        """Write the pages in `dirty` between the two to the backing, adjacent ones together."""
        if self.volatile:
            self.dirty.clear()
            return
        wanted = sorted(index for index in self.dirty if first <= index <= last)
        if not wanted:
            return
        self.dirty.difference_update(wanted)
        size = self.backing.size()
        frames, view = self.frames, self.ram.view
        start = 0
        for position, index in enumerate(wanted):
            following = wanted[position + 1] if position + 1 < len(wanted) else -1
            if following == index + 1 and frames[following] == frames[index] + 1:
                continue
            offset = wanted[start] * PAGE
            length = min((index + 1) * PAGE, size) - offset
            if length > 0:
                place = frames[wanted[start]] * PAGE
                self.backing.write_page(offset, view[place:place + length])
            start = position + 1

    def before_read(self, offset: int, length: int) -> None:
        if not self.written_through or self.volatile or length <= 0:
            return
        first, last = offset // PAGE, (offset + length - 1) // PAGE
        self.collect(first, last)
        self.write_back(first, last)

    # --- changes from outside

    def written(self, offset: int, data: bytes | memoryview) -> None:
        frames, ram = self.frames, self.ram
        data = memoryview(data)
        done, end = 0, len(data)
        changed = []
        while done < end:
            within = (offset + done) % PAGE
            length = min(PAGE - within, end - done)
            pfn = frames.get((offset + done) // PAGE)
            if pfn is not None:
                place = pfn * PAGE + within
                ram.view[place:place + length] = data[done:done + length]
                changed.append(pfn)
            done += length
        if changed and self.executed:
            ram.forget_code(changed)

    def truncated(self, size: int) -> None:
        first = (size + PAGE - 1) // PAGE
        for space in list(self.users):
            space.unmap_pages(self, first)
        self.free_from(first)
        pfn = self.frames.get(size // PAGE)
        if pfn is not None and size % PAGE:
            place = pfn * PAGE + size % PAGE
            self.ram.view[place:(pfn + 1) * PAGE] = bytes(PAGE - size % PAGE)
            if self.executed:
                self.ram.forget_code([pfn])
