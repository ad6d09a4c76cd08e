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
            self._fill(size)
        backing.page_cache = self

    def _fill(self, size: int) -> None:
        """Copy the backing's content; one that knows which of its pages are not empty says so (`data_offsets`)."""
        backing = self.backing
        offsets = backing.data_offsets() if hasattr(backing, "data_offsets") else range(0, size, PAGE_SIZE)
        page = memoryview(bytearray(PAGE_SIZE))
        for offset in offsets:
            length = min(backing.read_page(offset, page), size - offset)
            if length > 0 and page[:length] != ZEROS[:length]:
                os.pwrite(self.fd, page[:length], offset)

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
        while view:
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
        start = offset & -PAGE_SIZE
        old = memoryview(bytearray(PAGE_SIZE))
        while start < end:
            try:
                start = os.lseek(self.fd, start, os.SEEK_DATA)
                stop = os.lseek(self.fd, start, os.SEEK_HOLE)
            except OSError:
                return  # holes to the end: they are empty in the backing too
            for at in range(start & -PAGE_SIZE, min(stop, end), PAGE_SIZE):
                page = os.pread(self.fd, PAGE_SIZE, at)
                got = max(backing.read_page(at, old), 0)
                old[got:] = ZEROS[got:]
                if old[:len(page)] != page:
                    backing.write_page(at, page)
            start = stop


class FileStore:
    """All that is mapped from backings, by their key."""

    def __init__(self) -> None:
        self.pages: dict[Hashable, Pages] = {}

    def pages_of(self, backing: Backing) -> Pages:
        pages = self.pages.get(backing.key)
        if pages is None:
            if hasattr(backing, "host_descriptor") and _may_be_opened(*backing.host_descriptor(True)):
                pages = HostPages(self, backing)
            else:
                pages = MemoryPages(self, backing)
            self.pages[backing.key] = pages
        return pages


def _may_be_opened(descriptor: int, writable: bool) -> bool:
    """Whether guest processes can open what this descriptor of pylx is of: it may come from somebody who may more."""
    return descriptor >= 0 and os.access(b"/proc/self/fd/%d" % descriptor, os.R_OK | (os.W_OK if writable else 0))
