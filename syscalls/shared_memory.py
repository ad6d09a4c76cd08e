"""Shared memory that no file names: MAP_SHARED | MAP_ANONYMOUS, /dev/zero mapped shared, System V segments."""

from __future__ import annotations

from translator.machine import PAGE_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from syscalls.kernel import Kernel
    from translator.machine import PageCache


class SharedMemory:
    """A Backing of fixed size whose content lives in the engine's pages while anybody maps it.

    `volatile`: what the last mapping leaves need not be written back, because nobody can map it again.
    """

    __slots__ = ("_pages", "_size", "holders", "key", "page_cache", "volatile")

    def __init__(self, kernel: Kernel, size: int, volatile: bool = True) -> None:
        number = kernel.next_inode
        kernel.next_inode = number + 1
        self.key: Hashable = ("shm", number)
        self.page_cache: PageCache | None = None
        self.volatile = volatile
        self.holders = 0
        self._size = size
        self._pages: dict[int, bytes] = {}

    @property
    def number(self) -> int:
        """The inode number that /proc/pid/maps shows."""
        return int(self.key[1])  # type: ignore[index]

    def size(self) -> int:
        return self._size

    def version(self) -> Hashable:
        return 0

    def read_page(self, offset: int, into: memoryview) -> int:
        done = 0
        while done < len(into) and offset + done < self._size:
            page = self._pages.get(offset + done)
            part = into[done:done + PAGE_SIZE]
            part[:] = page[:len(part)] if page is not None else bytes(len(part))
            done += len(part)
        return done

    def data_offsets(self) -> list[int]:
        """Where pages are that are not known to be empty: for engines that copy the content."""
        return sorted(self._pages)

    def write_page(self, offset: int, data: bytes | memoryview) -> None:
        for at in range(0, len(data), PAGE_SIZE):
            self._pages[offset + at] = bytes(data[at:at + PAGE_SIZE]).ljust(PAGE_SIZE, b"\0")

    def punch(self, offset: int, length: int) -> None:
        """MADV_REMOVE: these pages are zero again."""
        for at in range(offset, offset + length, PAGE_SIZE):
            self._pages.pop(at, None)

    def discard_all(self) -> None:
        self._pages.clear()

    def retain(self) -> None:
        self.holders += 1

    def release(self) -> None:
        self.holders -= 1
        if self.holders == 0 and self.volatile:
            self._pages.clear()
