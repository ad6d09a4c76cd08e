"""The address space of a process as the kernel sees it: areas, limits and policy (mm_struct, mm/mmap.c).

`Mm` decides what may be mapped where; the engine's AddressSpace (`Mm.space`) keeps the pages.  Placement is
deterministic, without randomisation: translated code of the same library at the same address is shared by all
processes.  The layout is that of a Linux with randomize_va_space=0: PIEs at 0x555555554000, libraries top-down from
0x7ffff7fff000, the stack below 0x7ffffffff000.
"""

from __future__ import annotations

from syscalls.abi.errno import (
    EACCES,
    EAGAIN,
    EEXIST,
    EFAULT,
    EINVAL,
    ENODEV,
    ENOMEM,
    EOPNOTSUPP,
    EOVERFLOW,
    EPERM,
    LinuxError,
)
from syscalls.abi.mm import (
    DEFAULT_MAX_MAP_COUNT,
    LEGACY_MAP_MASK,
    MAP_32BIT,
    MAP_DROPPABLE,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_LOCKED,
    MAP_NONBLOCK,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    MAP_SYNC,
    MAP_TYPE,
    MDWE_NO_INHERIT,
    MMAP_MIN_ADDR,
    PROT_EXEC,
    READ_IMPLIES_EXEC,
    STACK_GUARD_GAP,
    VM_DONTCOPY,
    VM_DONTDUMP,
    VM_DROPPABLE,
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_LOCKED_MASK,
    VM_MAYEXEC,
    VM_MAYREAD,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_MERGEABLE,
    VM_NORESERVE,
    VM_SEALED,
    VM_SHARED,
    VM_WIPEONFORK,
)
from syscalls.fd import is_noexec
from syscalls.mapped import mapped_file
from syscalls.task import RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK
from syscalls.usermem import UserMemory
from syscalls.vma import Vma, VmaList
from translator.machine import PAGE_MASK, PAGE_SIZE, PROT_READ, PROT_WRITE, TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from syscalls.aio import AioContext
    from syscalls.fd import FileDescription
    from syscalls.fs.vfs import Location
    from syscalls.guards import Guards
    from syscalls.kernel import Kernel
    from syscalls.task import Task
    from translator.machine import AddressSpace, Backing

__all__ = ["DYN_BASE", "STACK_TOP", "Mm", "Vma"]

STACK_TOP = TASK_SIZE
DYN_BASE = 0x555555554000
"""ELF_ET_DYN_BASE: two thirds of the address space."""
MIN_GAP, MAX_GAP = 128 << 20, TASK_SIZE // 6 * 5
MAY_ALL = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC
DEFAULT_STACK_LIMIT = 8 << 20
CAP_IPC_LOCK, CAP_SYS_RAWIO = 14, 17
OVERCOMMIT_LOOK = 1 << 30
"""Only requests above this are compared with the memory there is."""


def page_align(value: int) -> int:
    return value + PAGE_MASK & ~PAGE_MASK


class Mm:
    """One address space.  Lengths and addresses are bytes; all errors are LinuxError."""

    def __init__(self, kernel: Kernel, space: AddressSpace | None = None) -> None:
        self.kernel = kernel
        self.space: AddressSpace = space if space is not None else kernel.engine.new_space()
        self.mem = UserMemory(self, self.space)
        self.reserved = self.space.reserved
        """A range that the engine uses itself: nothing is mapped there but the vDSO, which it puts there."""
        self.users = 1
        self.areas = VmaList()
        self.mmap_base = STACK_TOP - MIN_GAP
        self.start_code = self.end_code = self.start_data = self.end_data = 0
        self.start_brk = self.brk = self.start_stack = 0
        self.arg_start = self.arg_end = self.env_start = self.env_end = 0
        self.auxv = b""
        self.exe: Location | None = None
        self.exe_file: FileDescription | None = None
        """Held so that the program file stays busy (ETXTBSY) while it runs."""
        self.max_areas = DEFAULT_MAX_MAP_COUNT - getattr(kernel.engine, "own_areas", 0)
        self.locked_bytes = 0
        self.default_flags = 0
        """mlockall(MCL_FUTURE)."""
        self.merge_any = 0
        """VM_MERGEABLE: all private memory is merged with its like (PR_SET_MEMORY_MERGE)."""
        self.mdwe = 0
        """What PR_SET_MDWE refuses."""
        self.dump_filter = 0x33
        """What a core dump has (coredump.py): bits of /proc/PID/coredump_filter."""
        self.membarrier_registrations = 0
        self.guards: Guards | None = None
        """Of madvise(MADV_GUARD_INSTALL): made when first used."""
        self.advised = False
        """Some area has VM_DONTCOPY or VM_WIPEONFORK."""
        self.aio_contexts: dict[int, AioContext] | None = None
        """What io_setup(2) made, by number."""

    # --- life

    def retain(self) -> Mm:
        self.users += 1
        return self

    def drop(self) -> None:
        """One task less; with the last one the memory goes."""
        self.users -= 1
        if self.users == 0:
            for context in (self.aio_contexts or {}).values():
                context.cancel_all()
            self.space.close()
            self.areas = VmaList()
            if self.exe_file is not None:
                self.exe_file.release()
                self.exe_file = None

    def fork(self, task: Task) -> Mm:
        """dup_mm: a copy; private pages are copy-on-write, locks are not inherited.  ENOMEM."""
        try:
            other = Mm(self.kernel, self.space.fork())
        except MemoryError:
            raise LinuxError(ENOMEM) from None
        other.areas = self.areas.copy()
        other.areas.is_written = other.is_written
        for name in ("mmap_base", "start_code", "end_code", "start_data", "end_data", "start_brk", "brk",
                     "start_stack", "arg_start", "arg_end", "env_start", "env_end", "auxv", "exe",
                     "membarrier_registrations"):
            setattr(other, name, getattr(self, name))
        other.inherit(self)
        if self.exe_file is not None:
            other.exe_file = self.exe_file.retain()
        if self.guards is not None:
            other.guards = self.guards.copy()
        if self.advised:
            other.advised = True
            for area in self.areas:
                if area.flags & (VM_DONTCOPY | VM_WIPEONFORK) and other.guards is not None:
                    other.guards.lift(other.space, area.start, area.end, area.prot)
                if area.flags & VM_DONTCOPY:
                    other.areas.remove(area.start, area.end)
                    other.space.unmap(area.start, area.end - area.start)
                elif area.flags & VM_WIPEONFORK:
                    other.space.discard(area.start, area.end - area.start)
        if self.locked_bytes:
            for area in other.areas.areas[:]:
                if area.flags & VM_LOCKED_MASK:
                    other.areas.remove(area.start, area.end)
                    other.areas.insert(area.changed(area.prot, area.flags & ~VM_LOCKED_MASK))
        return other

    def inherit(self, old: Mm) -> None:
        """What lasts through fork and through execve (MMF_INIT_MASK)."""
        self.dump_filter, self.merge_any = old.dump_filter, old.merge_any
        self.mdwe = 0 if old.mdwe & MDWE_NO_INHERIT else old.mdwe

    def is_written(self, area: Vma) -> bool:
        from syscalls.mremap import is_written
        return is_written(self, area)

    # --- looking

    @property
    def vmas(self) -> list[Vma]:
        """The areas in address order; not to be changed."""
        return self.areas.areas

    def find(self, addr: int) -> Vma | None:
        return self.areas.find(addr)

    def total_bytes(self) -> int:
        return self.areas.total_bytes

    def data_bytes(self) -> int:
        return self.areas.data_bytes

    def futex_key(self, addr: int, private: bool) -> Hashable:
        """What a futex word is: equal keys are the same word.  A private one is never a shared one, not even of the
        same memory (FUT_OFF_MMSHARED).  EFAULT when a shared one is not mapped, may not be read or written by way of
        its area, or lies in private memory that does not change."""
        if private:
            return (id(self), addr)
        area = self.areas.find(addr)
        if area is None:
            raise LinuxError(EFAULT)
        if not area.prot & (PROT_WRITE if area.backing is None else PROT_READ | PROT_WRITE):
            raise LinuxError(EFAULT)
        if area.backing is not None and area.flags & VM_MAYSHARE:
            return (area.backing.key, area.offset + addr - area.start)
        return (id(self), addr, "shared")

    def pins(self, addr: int) -> bool:
        """Whether get_user_pages_fast finds the page for reading: where the area forbids it, only one that is there."""
        area = self.areas.find(addr)
        return area is not None and bool(area.prot & PROT_READ or (
            area.prot and self.space.resident(addr & ~PAGE_MASK, PAGE_SIZE, True)[0]))

    # --- limits

    def check_expansion(self, task: Task, length: int, data: bool) -> None:
        """may_expand_vm: RLIMIT_AS, and RLIMIT_DATA for private writable memory."""
        rlimits = task.group.rlimits
        if (self.areas.total_bytes + length > rlimits[RLIMIT_AS][0]
                or (data and self.areas.data_bytes + length > rlimits[RLIMIT_DATA][0])):
            raise LinuxError(ENOMEM)

    def check_commit(self, length: int) -> None:
        """__vm_enough_memory with the heuristic overcommit: only the obviously impossible is refused."""
        if length > OVERCOMMIT_LOOK and length > self.kernel.host.memory()[0]:
            raise LinuxError(ENOMEM)

    def check_lock(self, task: Task, length: int) -> None:
        """mlock_future_ok.  EAGAIN: beyond RLIMIT_MEMLOCK."""
        if self.locked_bytes + length > task.group.rlimits[RLIMIT_MEMLOCK][0] and not task.cred.capable(CAP_IPC_LOCK):
            raise LinuxError(EAGAIN)

    def check_exec_gain(self, prot: int) -> None:
        """map_deny_write_exec of a new mapping.  EACCES: code that could be written, refused by PR_SET_MDWE."""
        if self.mdwe and prot & PROT_EXEC and prot & PROT_WRITE:
            raise LinuxError(EACCES)

    # --- placement

    def set_stack_limit(self, limit: int) -> None:
        """mmap_base: libraries start below the room that the stack may grow into."""
        gap = min(max(limit + STACK_GUARD_GAP, MIN_GAP), MAX_GAP)
        self.mmap_base = page_align(STACK_TOP - gap)

    def place(self, task: Task, addr: int, length: int, flags: int) -> int:
        """get_unmapped_area: where a mapping of `length` goes."""
        if length > TASK_SIZE:
            raise LinuxError(ENOMEM)
        if flags & MAP_FIXED:
            if addr > (1 << 64) - 4096:
                raise LinuxError((1 << 64) - addr)  # taken for an error of the architecture's own search (IS_ERR_VALUE)
            if addr > TASK_SIZE - length:
                raise LinuxError(ENOMEM)
            if addr & PAGE_MASK:
                raise LinuxError(EINVAL)
            if addr < MMAP_MIN_ADDR and not task.cred.capable(CAP_SYS_RAWIO):
                raise LinuxError(EPERM)
            if self.is_reserved(addr, addr + length):
                raise LinuxError(ENOMEM)
            return addr
        if addr:
            addr = max(page_align(addr), MMAP_MIN_ADDR)
            if addr <= TASK_SIZE - length and self._fits_at(addr, length) and (
                    not flags & MAP_32BIT or addr + length <= 0x80000000):
                return addr
        if flags & MAP_32BIT:
            place = self._place_low(length, 0x40000000, 0x80000000)
        else:
            place = self.areas.place(length, self.mmap_base)
            if place and self.is_reserved(place, place + length):
                place = self.areas.place(length, self.reserved[0])
            place = place or self._place_low(length, self.mmap_base, TASK_SIZE)
        if not place:
            raise LinuxError(ENOMEM)
        return place

    def is_reserved(self, start: int, end: int) -> bool:
        return start < self.reserved[1] and end > self.reserved[0]

    def _fits_at(self, addr: int, length: int) -> bool:
        if self.is_reserved(addr, addr + length):
            return False
        above = self.areas.next_from(addr)
        if above is None:
            return True
        start = above.start - STACK_GUARD_GAP if above.flags & VM_GROWSDOWN else above.start
        return addr + length <= start

    def _place_low(self, length: int, low: int, high: int) -> int:
        """Bottom-up: the lowest free range in [low, high), 0 when there is none."""
        addr = low
        for area in self.areas.overlapping(low, high):
            start = area.start - STACK_GUARD_GAP if area.flags & VM_GROWSDOWN else area.start
            if addr + length <= start:
                return addr
            addr = max(addr, area.end)
        return addr if addr + length <= high else 0

    # --- mapping

    def map(self, task: Task, addr: int, length: int, prot: int, flags: int, file: FileDescription | None,
            offset: int) -> int:
        """mmap(2) with flags already complete; the caller has refused MAP_HUGETLB and unaligned offsets."""
        if not length:
            raise LinuxError(EINVAL)
        if flags & MAP_FIXED_NOREPLACE:
            flags |= MAP_FIXED
        if not flags & MAP_FIXED and addr:
            addr &= ~PAGE_MASK  # round_hint_to_min: a hint in the first page is none
            addr = max(addr, MMAP_MIN_ADDR) if addr else 0
        if prot & PROT_READ and task.personality & READ_IMPLIES_EXEC and (file is None or not is_noexec(file)):
            prot |= PROT_EXEC
        length = page_align(length)
        if length >= 1 << 64:
            raise LinuxError(ENOMEM)
        if len(self.areas.areas) > self.max_areas:
            raise LinuxError(ENOMEM)
        addr = self.place(task, addr, length, flags)
        end = addr + length
        if flags & MAP_FIXED_NOREPLACE and not self.areas.is_free(addr, end):
            raise LinuxError(EEXIST)
        vm_flags = MAY_ALL | self.default_flags
        if flags & MAP_LOCKED or vm_flags & VM_LOCKED:
            if flags & MAP_LOCKED and not task.group.rlimits[RLIMIT_MEMLOCK][0] and not task.cred.capable(CAP_IPC_LOCK):
                raise LinuxError(EPERM)  # can_do_mlock
            self.check_lock(task, length)
            vm_flags |= VM_LOCKED
        kind = flags & MAP_TYPE
        backing: Backing | None = None
        name = None
        if file is not None:
            vm_flags, backing = self._file_mapping(task, prot, flags, vm_flags, file, offset, addr, length)
        elif kind == MAP_SHARED:
            if flags & MAP_GROWSDOWN:
                raise LinuxError(EINVAL)
            vm_flags |= VM_SHARED | VM_MAYSHARE
            offset = 0
            name = b"/dev/zero (deleted)"
        elif kind == MAP_PRIVATE:
            offset = 0
            if flags & MAP_GROWSDOWN:
                vm_flags |= VM_GROWSDOWN
        elif kind == MAP_DROPPABLE:
            # Since 6.11; memory never gets short here, so that nothing is dropped but in children.
            offset = 0
            vm_flags |= VM_DROPPABLE | VM_WIPEONFORK | VM_DONTDUMP | VM_NORESERVE
            self.advised = True
        else:
            raise LinuxError(EINVAL)
        if flags & MAP_NORESERVE:
            vm_flags |= VM_NORESERVE
        prot &= 7
        self.check_exec_gain(prot)
        if self.merge_any and kind == MAP_PRIVATE:
            vm_flags |= VM_MERGEABLE
        area = Vma(addr, end, prot, vm_flags, backing, offset, mapped_file(file) if file is not None else None, name)
        old = self.areas.overlapping(addr, end) if flags & MAP_FIXED else []
        size = length
        for other in old:
            size -= min(other.end, end) - max(other.start, addr)
        self.check_expansion(task, size, area.is_data)
        if backing is None and prot & PROT_WRITE and not vm_flags & VM_NORESERVE:
            self.check_commit(length)
        for other in old:
            if other.flags & VM_SEALED:
                raise LinuxError(EPERM)
        if kind == MAP_SHARED and file is None:
            from syscalls.shared_memory import SharedMemory
            area.backing = backing = SharedMemory(self.kernel, length)
        if old:
            self.forget(addr, end)
        try:
            self.space.map(addr, length, prot, backing, offset, bool(vm_flags & VM_MAYSHARE))
        except MemoryError:
            raise LinuxError(ENOMEM) from None
        self.areas.insert(area)
        if vm_flags & VM_LOCKED:
            self.locked_bytes += length
        if vm_flags & VM_LOCKED or flags & (MAP_POPULATE | MAP_NONBLOCK) == MAP_POPULATE:
            from syscalls.madvise import populate
            populate(self, addr, end)
        return addr

    def _file_mapping(self, task: Task, prot: int, flags: int, vm_flags: int, file: FileDescription, offset: int,
                      addr: int, length: int) -> tuple[int, Backing]:
        """The file's part of do_mmap: rights and the object to map."""
        inode = getattr(file, "inode", None)
        has_end = inode is None or inode.mode & 0o170000 in (0o100000, 0o060000)
        if offset + length > (1 << (63 if has_end else 64)) - 1:
            raise LinuxError(EOVERFLOW)  # file_mmap_ok
        kind = flags & MAP_TYPE
        shared = kind in (MAP_SHARED, MAP_SHARED_VALIDATE)
        if kind == MAP_SHARED_VALIDATE:
            known = LEGACY_MAP_MASK | MAP_TYPE | MAP_FIXED_NOREPLACE
            if inode is not None and inode.filesystem.knows_map_sync:
                known |= MAP_SYNC
            if flags & ~known:
                raise LinuxError(EOPNOTSUPP)
        if shared:
            vm_flags |= VM_SHARED | VM_MAYSHARE
            if not file.writable:
                if prot & PROT_WRITE:
                    raise LinuxError(EACCES)
                vm_flags &= ~(VM_MAYWRITE | VM_SHARED)
            elif inode is not None and inode.append_only:
                raise LinuxError(EACCES)
        elif kind != MAP_PRIVATE:
            raise LinuxError(EINVAL)
        if not file.readable:
            raise LinuxError(EACCES)
        if is_noexec(file):
            if prot & PROT_EXEC:
                raise LinuxError(EPERM)
            vm_flags &= ~VM_MAYEXEC
        if kind == MAP_PRIVATE and flags & MAP_GROWSDOWN and file.has_mmap:
            raise LinuxError(EINVAL)
        try:
            if kind == MAP_SHARED_VALIDATE and flags & MAP_SYNC:
                raise LinuxError(EOPNOTSUPP)  # no memory of its own behind the file system (DAX)
            backing = file.backing(task, shared, prot & 7)
        except LinuxError as error:
            if flags & MAP_FIXED and error.errno != ENODEV:
                # By the time that the file is asked, what was there is gone.
                self.check_unsealed(addr, addr + length)
                self.forget(addr, addr + length)
                self.space.unmap(addr, length)
            raise
        if flags & MAP_GROWSDOWN:
            raise LinuxError(EINVAL)
        if shared and getattr(file, "write_sealed", False):
            vm_flags &= ~VM_MAYWRITE
        if file.kind == "socket":
            vm_flags &= ~(VM_MAYWRITE | VM_MAYEXEC)
        return vm_flags, backing

    def forget(self, start: int, end: int) -> None:
        """The areas of a range go; the engine is told by the caller (a new mapping, or unmap)."""
        taken = self.areas.remove(start, end)
        if self.guards is not None:
            self.guards.take(start, end)
        if self.locked_bytes:
            for area in taken:
                if area.flags & VM_LOCKED:
                    self.locked_bytes -= min(area.end, end) - max(area.start, start)

    def remove_range(self, start: int, end: int) -> None:
        """Unmap without munmap's checks; holes are welcome."""
        if not self.areas.is_free(start, end):
            self.forget(start, end)
            self.space.unmap(start, end - start)

    def check_unsealed(self, start: int, end: int) -> None:
        """mseal(2): EPERM when a sealed area would go or change."""
        for area in self.areas.overlapping(start, end):
            if area.flags & VM_SEALED:
                raise LinuxError(EPERM)

    def unmap(self, task: Task, addr: int, length: int) -> None:
        """munmap(2).  ENOMEM: the split would exceed the number of areas."""
        if addr & PAGE_MASK or addr > TASK_SIZE or length > TASK_SIZE - addr:
            raise LinuxError(EINVAL)
        length = page_align(length)
        if not length:
            raise LinuxError(EINVAL)
        end = addr + length
        areas = self.areas.overlapping(addr, end)
        if not areas:
            return
        self.check_unsealed(addr, end)
        if areas[0].start < addr and end < areas[0].end and len(self.areas) >= self.max_areas:
            raise LinuxError(ENOMEM)
        self.forget(addr, end)
        self.space.unmap(addr, length)

    def rewrite(self, start: int, end: int, prot: int | None, set_flags: int = 0, clear_flags: int = 0) -> None:
        """Change protection or flags of the mapped parts of a range, splitting and merging; the engine is not told."""
        for area in self.areas.take(start, end):
            self.areas.insert(area.changed(area.prot if prot is None else prot,
                                           (area.flags | set_flags) & ~clear_flags))

    # --- heap and stack

    def set_brk(self, task: Task, value: int) -> int:
        """brk(2): the new break, or the old one when it cannot be."""
        if value < self.start_brk or value > TASK_SIZE:
            return self.brk
        limit = task.group.rlimits[RLIMIT_DATA][0]
        if value - self.start_brk + self.end_data - self.start_data > limit:
            return self.brk
        old, new = page_align(self.brk), page_align(value)
        if new < old:
            try:
                self.check_unsealed(new, old)
            except LinuxError:
                return self.brk
            if self.areas.is_free(new, old):
                return self.brk
            self.forget(new, old)
            self.space.unmap(new, old - new)
        elif new > old:
            above = self.areas.next_from(old)
            if above is not None:
                guard = STACK_GUARD_GAP if above.flags & VM_GROWSDOWN else 0
                if new + PAGE_SIZE > above.start - guard:
                    return self.brk
            try:
                self.check_expansion(task, new - old, True)
                self.check_commit(new - old)
                if self.default_flags & VM_LOCKED:
                    self.check_lock(task, new - old)
            except LinuxError:
                return self.brk
            if self.is_reserved(old, new):
                return self.brk
            self.space.map(old, new - old, PROT_READ | PROT_WRITE, None, 0, False)
            area = Vma(old, new, PROT_READ | PROT_WRITE, MAY_ALL | self.default_flags | self.merge_any)
            self.areas.insert(area, old > self.start_brk)  # only what is a heap already grows (do_brk_flags)
            if self.default_flags & VM_LOCKED:
                self.locked_bytes += new - old
        self.brk = value
        return value

    def grow_stack(self, addr: int) -> bool:
        """expand_stack: extend the MAP_GROWSDOWN area above `addr` down to it; False when that is not allowed."""
        if addr >= TASK_SIZE:
            return False
        areas = self.areas
        index = areas.index_from(addr)
        if index == len(areas):
            return False
        area = areas.areas[index]
        if not area.flags & VM_GROWSDOWN or area.start <= addr:
            return False
        start = addr & ~PAGE_MASK
        if start < MMAP_MIN_ADDR:
            return False
        if index:
            below = areas.areas[index - 1]
            if below.prot and not below.flags & VM_GROWSDOWN and start - below.end < STACK_GUARD_GAP:
                return False
        growth = area.start - start
        task = self.kernel.current
        limit = DEFAULT_STACK_LIMIT
        if task is not None:
            limit = task.group.rlimits[RLIMIT_STACK][0]
            if areas.total_bytes + growth > task.group.rlimits[RLIMIT_AS][0]:
                return False
        if area.end - start > limit or self.is_reserved(start, area.start):
            return False
        self.space.map(start, growth, area.prot, None, 0, False)
        areas.remove(area.start, area.end)
        areas.insert(area.moved(start, area.end, area.offset))
        if area.flags & VM_LOCKED:
            self.locked_bytes += growth
        return True
