"""Open files in memory (mm/shmem.c): what tmpfs, memfd and shared memory have in common."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EOPNOTSUPP, EPERM, LinuxError
from syscalls.abi.fs import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, O_APPEND, OFFSET_MAX
from syscalls.fs.fileattr import FS_NOATIME_FL
from syscalls.fs.regular import RegularDescription, check_size_limit, within_limit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.tmpfs import MemoryFile
    from syscalls.task import Task


class MemoryDescription(RegularDescription):
    """An open file in memory."""

    nowait = False
    inode: MemoryFile

    def file_key(self) -> tuple[int, int]:
        return self.inode.filesystem.device, self.inode.number

    def size(self) -> int:
        return self.inode.length

    def _load(self, length: int, offset: int) -> bytes:
        inode = self.inode
        if inode.page_cache is not None:
            inode.page_cache.before_read(offset, length)
        if not inode.attributes & FS_NOATIME_FL:
            inode.atime_ns = inode.filesystem.now()
        return inode.load(length, offset)

    def _store(self, data: bytes | memoryview, offset: int) -> int:
        if self.inode.sealed:
            self._check_seals(offset + len(data))
        return self.inode.store(data, offset)

    def _append(self, data: bytes | memoryview) -> tuple[int, int]:
        if self.inode.sealed:
            self._check_seals(self.inode.length + len(data))
        done = self.inode.store(data, self.inode.length)
        return done, self.inode.length

    def unreadable_data(self, task: Task, length: int) -> None:
        if self.offset + length > OFFSET_MAX:
            raise LinuxError(EINVAL)  # rw_verify_area
        self.unreadable_at(task, length, self.inode.length if self.flags & O_APPEND else self.offset)

    def unreadable_at(self, task: Task, length: int, offset: int) -> None:
        """shmem_write_begin, shmem_write_end: nothing is copied, but there is a page for it, and the file grows up to
        there (since Linux 6.16)."""
        within_limit(task, offset, length)
        if self.inode.sealed:
            self._check_seals(offset + length)
        self.inode.touch_page(offset)
        if offset > self.inode.length:
            self.inode.resize(offset)

    def _check_seals(self, end: int) -> None:
        """EPERM for a write that F_SEAL_WRITE (8), F_SEAL_FUTURE_WRITE (16) or F_SEAL_GROW (4) forbids."""
        sealed = self.inode.sealed
        if sealed & 24 or (sealed & 4 and end > self.inode.length):
            raise LinuxError(EPERM)

    def _resize(self, length: int) -> None:
        sealed, old = self.inode.sealed, self.inode.length
        if (sealed & 2 and length < old) or (sealed & 4 and length > old):
            raise LinuxError(EPERM)
        self.inode.resize(length)

    def _seek_data(self, offset: int, hole: bool) -> int:
        return self.inode.seek_data(offset, hole)

    def _check_allocation(self, task: Task, mode: int, end: int) -> None:
        """shmem_fallocate: also where the size is kept."""
        if mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE):
            raise LinuxError(EOPNOTSUPP)
        if not mode & FALLOC_FL_PUNCH_HOLE:
            check_size_limit(task, end, self.inode.length)

    def _allocate(self, mode: int, offset: int, length: int) -> None:
        sealed = self.inode.sealed
        if mode & FALLOC_FL_PUNCH_HOLE:
            if sealed & 24:
                raise LinuxError(EPERM)
        elif sealed & 4 and offset + length > self.inode.length:
            raise LinuxError(EPERM)
        self.inode.allocate(mode, offset, length)

    def sync(self, task: Task, data_only: bool) -> None:
        """Nothing outlives the memory."""

    def backing(self, task: Task, shared: bool, prot: int) -> MemoryFile:
        return self.inode
