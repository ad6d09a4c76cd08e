"""An open directory, of any file system."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, ENXIO, LinuxError
from syscalls.abi.fs import (
    DT_DIR,
    MAX_NON_LFS,
    O_ACCMODE,
    OFFSET_MAX,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
)
from syscalls.fd import DirectoryDescription
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.inode import Inode
    from syscalls.fs.vfs import Location
    from syscalls.task import Task


_EMPTY = ("proc", "sysfs")
"""The size of their directories is 0 (generic_file_llseek)."""
_NO_END = ("tmpfs", "devtmpfs", "devpts")
"""What keeps names in the dcache knows no end (dcache_dir_lseek, offset_dir_llseek)."""


SPREAD = 32
"""Sparse positions are this many bits apart."""


def position_of(index: int, count: int, sparse: bool) -> int:
    """The position at which getdents goes on with entry `index` of `count`."""
    if not sparse:
        return index
    return index + 1 << SPREAD if index < count else OFFSET_MAX


def index_at(position: int, count: int, sparse: bool) -> int:
    """The entry at a position, or the next one behind it."""
    return min(max(0, position - 1 >> SPREAD), count) if sparse else position


class OpenDirectory(DirectoryDescription):
    """Positions stand for indexes into the list as it was when it was read from its start: they stay valid while files
    come and go, and a rewind reads the directory afresh."""

    def __init__(self, flags: int, location: Location, inode: Inode) -> None:
        super().__init__(flags, location, inode)
        self.listing: list[tuple[bytes, int, int]] | None = None

    def entries(self, task: Task) -> list[tuple[bytes, int, int]]:
        """Everything, with `.`, `..` and the mount points that the file system itself does not have."""
        assert self.location is not None and self.inode is not None
        if self.listing is not None and self.offset:
            return self.listing
        vfs = task.kernel.vfs
        children = self.inode.entries(task)
        parent_number = number = self.inode.stat(task).ino
        try:
            parent_number = vfs.parent(task, self.location).inode.stat(task).ino
        except (LinuxError, HostError):
            pass
        listing = [(b".", number, DT_DIR), (b"..", parent_number, DT_DIR)]
        listing += children
        missing = vfs.mount_names(self.location)
        if missing:
            known = {entry[0] for entry in children}
            listing += [(name, ino, DT_DIR) for name, ino in missing if name not in known]
        self.listing = listing
        return listing

    def seek(self, task: Task, offset: int, whence: int) -> int:
        kind = self.inode.filesystem.name if self.inode is not None else ""
        if whence == SEEK_CUR:
            offset += self.offset
        elif whence == SEEK_END:
            if kind in _NO_END:
                raise LinuxError(EINVAL)
            if kind not in _EMPTY:
                count = len(self.entries(task))
                offset += position_of(count, count, self.inode is not None and self.inode.filesystem.sparse_positions)
        elif whence in (SEEK_DATA, SEEK_HOLE) and kind in _EMPTY:
            raise LinuxError(ENXIO)
        elif whence != SEEK_SET:
            raise LinuxError(EINVAL)
        if not 0 <= offset <= (MAX_NON_LFS if kind == "proc" else OFFSET_MAX):
            raise LinuxError(EINVAL)
        self.offset = offset
        return offset

    def sync(self, task: Task, data_only: bool) -> None:
        """Names are as durable as the host makes them.  EINVAL in proc, which has nothing to write."""
        if self.inode is not None and self.inode.filesystem.name == "proc":
            raise LinuxError(EINVAL)

    def describe(self) -> bytes:
        return b""

    def set_flags(self, task: Task, flags: int) -> None:
        self.flags = self.flags & O_ACCMODE | flags & ~O_ACCMODE
