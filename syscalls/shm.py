"""System V shared memory segments (ipc/shm.c)."""

from __future__ import annotations

from struct import Struct

from syscalls.abi.errno import EINVAL, ENOMEM, ENOSPC, EPERM, LinuxError
from syscalls.abi.mm import (
    IPC_PRIVATE,
    MAP_FIXED,
    SHM_DEST,
    SHM_EXEC,
    SHM_HUGETLB,
    SHM_LOCKED,
    SHM_R,
    SHM_RDONLY,
    SHM_REMAP,
    SHM_RND,
    SHM_W,
    SHMALL,
    SHMMAX,
    SHMMNI,
    VM_LOCKED,
    VM_MAYSHARE,
    VM_SHARED,
)
from syscalls.mm import MAY_ALL, Mm, page_align
from syscalls.shared_memory import SharedMemory
from syscalls.sysv_ipc import IpcObject, IpcTable
from syscalls.task import RLIM_INFINITY, RLIMIT_MEMLOCK
from syscalls.vma import Vma
from translator.machine import PAGE_MASK, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from syscalls.kernel import Kernel
    from syscalls.task import Task

SHMID_DS = Struct("<QqqqiiQ16x")
"""struct shmid64_ds after the perm: size, atime, dtime, ctime, cpid, lpid, nattch."""
SHMINFO64 = Struct("<5Q32x")
SHM_INFO_LAYOUT = Struct("<i4x5Q")
SHMMIN = 1
CAP_IPC_LOCK = 14


class Segment(IpcObject):
    """struct shmid_kernel."""

    def __init__(self, task: Task, key: int, size: int, mode: int) -> None:
        super().__init__(task, key, mode)
        self.size = size
        self.memory = SharedMemory(task.kernel, page_align(size), volatile=False)
        self.atime = self.dtime = 0
        self.cpid = task.group.pid
        self.lpid = 0
        self.locker = -1
        """The user whose limit it counts against while it is locked."""

    def name(self) -> bytes:
        """As /proc/pid/maps shows it."""
        return b"/SYSV%08x (deleted)" % (self.key & 0xFFFFFFFF)


def _map(task: Task, addr: int, length: int, prot: int, flags: int, vm_flags: int, segment: Segment) -> int:
    """MAP_FIXED in `flags` replaces what is at addr."""
    mm = task.mm
    length = page_align(length)
    addr = mm.place(task, addr, length, flags)
    vm_flags |= mm.default_flags
    if vm_flags & VM_LOCKED:
        mm.check_lock(task, length)
    mm.check_exec_gain(prot)
    mm.check_expansion(task, length, False)
    if flags & MAP_FIXED:
        mm.check_unsealed(addr, addr + length)
        mm.forget(addr, addr + length)
    mm.space.map(addr, length, prot, segment.memory, 0, True)
    mm.areas.insert(Vma(addr, addr + length, prot, vm_flags | VM_SHARED | VM_MAYSHARE, segment.memory, 0, None,
                        segment.name()))
    if vm_flags & VM_LOCKED:
        mm.locked_bytes += length
        from syscalls.madvise import populate
        populate(mm, addr, addr + length)
    return addr


def seconds(task: Task) -> int:
    return task.kernel.clock.realtime() // 1_000_000_000


class ShmNamespace:
    """All segments of a kernel.  `max_size`, `max_pages` and the table's limit are those of /proc/sys/kernel."""

    __slots__ = ("kernel", "max_pages", "max_size", "table")

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.table: IpcTable[Segment] = IpcTable(SHMMNI)
        self.max_size = SHMMAX
        self.max_pages = SHMALL

    def attached(self, segment: Segment) -> int:
        """shm_nattch: mappings of it in all processes."""
        return sum(area.backing is segment.memory for mm in self._memories() for area in mm.vmas)

    def _memories(self) -> Iterator[Mm]:
        seen: set[int] = set()
        for task in self.kernel.tasks.values():
            if not task.dead and id(task.mm) not in seen:
                seen.add(id(task.mm))
                yield task.mm

    def sweep(self) -> None:
        """Removed segments that nobody has attached any more are gone."""
        for segment in list(self.table.objects.values()):
            if segment.mode & SHM_DEST and not self.attached(segment):
                self.delete(segment)

    def lock(self, task: Task, segment: Segment) -> None:
        """SHM_LOCK.  ENOMEM: the user would have more locked than RLIMIT_MEMLOCK (user_shm_lock)."""
        if segment.mode & SHM_LOCKED:
            return
        uid = task.cred.uid
        limit = task.group.rlimits[RLIMIT_MEMLOCK][0]
        if limit != RLIM_INFINITY and not task.cred.capable(CAP_IPC_LOCK):
            locked = sum(page_align(other.size) for other in self.table.objects.values()
                         if other.mode & SHM_LOCKED and other.locker == uid)
            if locked + page_align(segment.size) > limit & -PAGE_SIZE:
                raise LinuxError(ENOMEM)
        segment.mode |= SHM_LOCKED
        segment.locker = uid

    def delete(self, segment: Segment) -> None:
        self.table.remove(segment)
        cache = segment.memory.page_cache
        if cache is not None:
            cache.truncated(0)
        segment.memory.discard_all()

    def get(self, task: Task, key: int, size: int, flags: int) -> int:
        self.sweep()

        def make() -> Segment:
            if not SHMMIN <= size <= self.max_size:
                raise LinuxError(EINVAL)
            if self._pages() + page_align(size) // PAGE_SIZE > self.max_pages:
                raise LinuxError(ENOSPC)
            if flags & SHM_HUGETLB and flags >> 26 & 0x3F not in (0, 21, 30):
                raise LinuxError(EINVAL)
            if size >= 1 << 63:
                raise LinuxError(EINVAL)  # the largest size of the file behind it
            if flags & SHM_HUGETLB:
                # Locked memory, so not for everybody; and no huge pages are configured.
                if not task.cred.capable(CAP_IPC_LOCK) and page_align(size) > task.group.soft_limit(RLIMIT_MEMLOCK):
                    raise LinuxError(EPERM)
                raise LinuxError(ENOMEM)
            if size > 1 << 30 and size > self.kernel.host.memory()[0]:
                raise LinuxError(ENOMEM)
            return Segment(task, key, size, flags)

        return self.table.get(task, key, flags, make, lambda segment: size <= segment.size)

    def attach(self, task: Task, number: int, addr: int, flags: int) -> int:
        self.sweep()
        if number < 0:
            raise LinuxError(EINVAL)
        fixed = 0
        if addr:
            if addr & PAGE_MASK:
                if not flags & SHM_RND:
                    raise LinuxError(EINVAL)
                addr &= ~PAGE_MASK
                if not addr and flags & SHM_REMAP:
                    raise LinuxError(EINVAL)
            fixed = MAP_FIXED
        elif flags & SHM_REMAP:
            raise LinuxError(EINVAL)
        prot, wanted, may = PROT_READ | PROT_WRITE, SHM_R | SHM_W, MAY_ALL
        if flags & SHM_RDONLY:
            prot, wanted, may = PROT_READ, SHM_R, MAY_ALL & ~0x20
        if flags & SHM_EXEC:
            prot |= PROT_EXEC
            wanted |= 0o100
        segment = self.table.find(number)
        segment.check(task, wanted)
        length = segment.memory.size()
        if addr and not flags & SHM_REMAP and (
                addr + length < addr or not task.mm.areas.is_free(addr, addr + length)):
            raise LinuxError(EINVAL)
        addr = _map(task, addr, length, prot, fixed, may, segment)
        segment.atime = seconds(task)
        segment.lpid = task.group.pid
        return addr

    def detach(self, task: Task, addr: int) -> None:
        if addr & PAGE_MASK:
            raise LinuxError(EINVAL)
        mm = task.mm
        memories = {id(segment.memory): segment for segment in self.table.objects.values()}
        first = next((area for area in mm.areas.areas[mm.areas.index_from(addr):]
                      if id(area.backing) in memories and area.start - area.offset == addr), None)
        if first is None:
            raise LinuxError(EINVAL)
        segment = memories[id(first.backing)]
        for area in mm.areas.overlapping(addr, addr + segment.memory.size()):
            if area.backing is segment.memory and area.start - area.offset == addr:
                mm.unmap(task, area.start, area.end - area.start)
        segment.dtime = seconds(task)
        segment.lpid = task.group.pid
        self.sweep()

    def remove(self, segment: Segment) -> None:
        """IPC_RMID: at once, or when the last process detaches."""
        if self.attached(segment):
            segment.mode |= SHM_DEST
            segment.key = IPC_PRIVATE
        else:
            self.delete(segment)

    def describe(self, segment: Segment) -> bytes:
        return segment.pack_perm() + SHMID_DS.pack(segment.size, segment.atime, segment.dtime, segment.ctime,
                                                   segment.cpid, segment.lpid, self.attached(segment))

    def limits(self) -> bytes:
        return SHMINFO64.pack(self.max_size, SHMMIN, self.table.limit, self.table.limit, self.max_pages)

    def _pages(self) -> int:
        return sum(segment.memory.size() for segment in self.table.objects.values()) // PAGE_SIZE

    def usage(self) -> bytes:
        # Segments count as if every page of them had been touched: engines keep the pages.
        pages = self._pages()
        return SHM_INFO_LAYOUT.pack(len(self.table.objects), pages, pages, 0, 0, 0)


def describe_segments(kernel: Kernel) -> bytes:
    """/proc/sysvipc/shm (sysvipc_shm_proc_show)."""
    out = [b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime"
           b"      dtime      ctime                   rss                  swap\n"]
    segments = namespace(kernel)
    segments.sweep()
    out += [b"%10d %10d  %4o %21d %5d %5d  %5d %5d %5d %5d %5d %10d %10d %10d %21d %21d\n" % (
        each.key, each.id, each.mode, each.size, each.cpid, each.lpid, segments.attached(each), each.uid, each.gid,
        each.cuid, each.cgid, each.atime, each.dtime, each.ctime, each.memory.size(), 0)
        for each in segments.table.objects.values()]
    return b"".join(out)


def namespace(kernel: Kernel) -> ShmNamespace:
    if kernel.shm is None:
        kernel.shm = ShmNamespace(kernel)
    return kernel.shm
