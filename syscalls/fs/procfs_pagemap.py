"""/proc/PID/pagemap: which pages are in memory, 8 bytes for each (fs/proc/task_mmu.c).

Physical addresses are not shown, as to those without CAP_SYS_ADMIN.
"""

from __future__ import annotations

from array import array

from syscalls.abi.errno import EINVAL, LinuxError
from syscalls.fs.procfs_memory import MemDescription, MemNode
from translator.machine import PAGE_SIZE, TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fd import FileDescription
    from syscalls.fs.procfs import ProcFs
    from syscalls.fs.vfs import Location
    from syscalls.task import Task

ENTRY = 8
PRESENT, FILE_OR_SHARED, SOFT_DIRTY = 1 << 63, 1 << 61, 1 << 55
PAGES_AT_ONCE = 1 << 16


class PagemapNode(MemNode):
    def __init__(self, filesystem: ProcFs, target: Task, number: int) -> None:
        super().__init__(filesystem, target, number)
        self.mode = self.mode & ~0o777 | 0o400

    def description(self, flags: int, location: Location) -> FileDescription:
        return PagemapDescription(flags, location, self)


class PagemapDescription(MemDescription):
    """Offset 8 * n is page n."""

    def pread(self, task: Task, length: int, offset: int) -> bytes:
        mm = self._space()
        if mm is None or not length:
            return b""
        if offset % ENTRY or length % ENTRY:
            raise LinuxError(EINVAL)
        start = offset // ENTRY * PAGE_SIZE
        end = min(start + min(length // ENTRY, PAGES_AT_ONCE) * PAGE_SIZE, TASK_SIZE)
        if start >= end:
            return b""
        entries = array("Q", bytes((end - start) // PAGE_SIZE * ENTRY))
        for area in mm.areas.overlapping(start, end):
            low, high = max(area.start, start), min(area.end, end)
            shown = PRESENT | SOFT_DIRTY | (FILE_OR_SHARED if area.backing is not None else 0)
            first = (low - start) // PAGE_SIZE
            for index, present in enumerate(mm.space.resident(low, high - low), first):
                entries[index] = shown if present else SOFT_DIRTY
        return entries.tobytes()
