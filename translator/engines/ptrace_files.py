"""What mappings of the ptrace engine show: host files themselves, or memfds that stand for objects of the kernel.

A Backing with a method `host_descriptor` is a file of the host: it is mapped as it is, and the host's page cache keeps
read(2), write(2) and mappings coherent.  Any other content is copied into a memfd while it is mapped; then the three
notices of machine.PageCache keep the two in step.
"""

from __future__ import annotations

import os

from translator.machine import PAGE_SIZE, PROT_WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from translator.engines.mapping import Mapping
    from translator.machine import Backing

CHUNK = 1 << 20
ZEROS = bytes(PAGE_SIZE)


class Pages:
    """The object behind mappings of one Backing.key.  `mappings` counts them in all spaces."""

    def __init__(self, store: FileStore, backing: Backing) -> None:
        self.store = store
        self.backing = backing
        self.key = backing.key
        self.mappings = 0

    def source(self, shared: bool) -> tuple[int, int]:
        """A descriptor of pylx, and the flags that a guest process opens it with."""
        raise NotImplementedError

    def add(self, mapping: Mapping) -> None:
        if not self.mappings:
            self.backing.retain()
        self.mappings += 1

    def remove(self, mapping: Mapping) -> None:
        self.mappings -= 1
        if not self.mappings:
            self.store.pages.pop(self.key, None)
            self.drop()
            self.backing.release()

    def drop(self) -> None:
        """Nothing maps this any more."""


class HostPages(Pages):
    """A file of the host."""

    def source(self, shared: bool) -> tuple[int, int]:
        descriptor: int
        descriptor, writable = self.backing.host_descriptor(shared)  # type: ignore[attr-defined]
        return descriptor, os.O_RDWR if writable else os.O_RDONLY


class MemoryPages(Pages):
    """A copy in a memfd.  Implements machine.PageCache."""

    def __init__(self, store: FileStore, backing: Backing) -> None:
        super().__init__(store, backing)
        self.fd = os.memfd_create("pages", os.MFD_CLOEXEC)
        self.written_through = False
        """Some mapping has been shared and writable: the memfd may be newer than the backing."""
        size = backing.size()
        os.ftruncate(self.fd, size)
        if not backing.volatile:
            buffer = memoryview(bytearray(CHUNK))
            for offset in range(0, size, CHUNK):
                length = backing.read_page(offset, buffer[:min(CHUNK, size - offset + PAGE_SIZE - 1 & -PAGE_SIZE)])
                self._fill(buffer[:min(max(length, 0), size - offset)], offset)
        backing.page_cache = self

    def _fill(self, data: memoryview, offset: int) -> None:
        for at in range(0, len(data), PAGE_SIZE):
            page = data[at:at + PAGE_SIZE]
            if page != ZEROS[:len(page)]:
                os.pwrite(self.fd, page, offset + at)

    def source(self, shared: bool) -> tuple[int, int]:
        return self.fd, os.O_RDWR

    def add(self, mapping: Mapping) -> None:
        super().add(mapping)
        if mapping.shared and mapping.prot & PROT_WRITE:
            self.written_through = True

    def drop(self) -> None:
        if not self.backing.volatile:
            self.before_read(0, self.backing.size())
        if self.backing.page_cache is self:
            self.backing.page_cache = None
        os.close(self.fd)

    def written(self, offset: int, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while len(view):
            done = os.pwrite(self.fd, view, offset)
            offset += done
            view = view[done:]

    def truncated(self, size: int) -> None:
        os.ftruncate(self.fd, size)

    def before_read(self, offset: int, length: int) -> None:
        """What mappings have changed is found by comparing: the host does not tell which pages are dirty."""
        if not self.written_through or length <= 0 or self.backing.volatile:
            return
        backing = self.backing
        end = min(offset + length, backing.size())
        old = memoryview(bytearray(CHUNK))
        for start in range(offset & -PAGE_SIZE, end, CHUNK):
            data = os.pread(self.fd, min(CHUNK, end - start + PAGE_SIZE - 1 & -PAGE_SIZE), start)
            got = max(backing.read_page(start, old[:len(data) + PAGE_SIZE - 1 & -PAGE_SIZE]), 0)
            old[got:] = bytes(len(old) - got)
            if old[:len(data)] == data:
                continue
            for at in range(0, len(data), PAGE_SIZE):
                page = data[at:at + PAGE_SIZE]
                if old[at:at + len(page)] != page:
                    backing.write_page(start + at, page)


class FileStore:
    """All that is mapped from backings, by their key."""

    def __init__(self) -> None:
        self.pages: dict[Hashable, Pages] = {}

    def pages_of(self, backing: Backing) -> Pages:
        pages = self.pages.get(backing.key)
        if pages is None:
            if hasattr(backing, "host_descriptor") and backing.host_descriptor(False)[0] >= 0:
                pages = HostPages(self, backing)
            else:
                pages = MemoryPages(self, backing)
            self.pages[backing.key] = pages
        return pages
