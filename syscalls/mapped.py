"""What a mapping has of its file (vm_file): while it lives, the file stays open, with its locks and its leases."""

from __future__ import annotations

from _weakref import ref

from syscalls.fs.mounts import Location

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fd import FileDescription


class MappedFile(Location):
    """The place of an open file, and a reference to that: one for all mappings of it, which join by it."""

    __slots__ = ("__weakref__", "file")

    def __init__(self, file: FileDescription, location: Location) -> None:
        super().__init__(location.mount, location.dentry, location.inode)
        self.file = file.retain()

    def __del__(self) -> None:
        self.file.release()


def mapped_file(file: FileDescription) -> Location | None:
    """For a new mapping; None when the file has no place."""
    if file.location is None:
        return None
    known = None if file.mapped is None else file.mapped()
    if known is None:
        known = MappedFile(file, file.location)
        file.mapped = ref(known)
    return known
