"""Memory calls: mmap(2) and its family, locking, advice, other processes' memory, membarrier."""

from __future__ import annotations

from syscalls.abi.errno import (
    EBADF,
    EBUSY,
    EFAULT,
    EINVAL,
    ENOMEM,
    ENOSYS,
    EPERM,
    ESRCH,
    LinuxError,
)
from syscalls.abi.mm import (
    MAP_ANONYMOUS,
    MAP_HUGETLB,
    MCL_CURRENT,
    MCL_FUTURE,
    MCL_ONFAULT,
    MEMBARRIER_CMD_GET_REGISTRATIONS,
    MEMBARRIER_CMD_GLOBAL,
    MEMBARRIER_CMD_GLOBAL_EXPEDITED,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
    MEMBARRIER_CMD_QUERY,
    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
    MLOCK_ONFAULT,
    MS_ASYNC,
    MS_INVALIDATE,
    MS_SYNC,
    PROT_READ,
    PROT_WRITE,
    VM_DONTEXPAND,
    VM_DROPPABLE,
    VM_LOCKED,
    VM_LOCKED_MASK,
    VM_LOCKONFAULT,
    VM_SEALED,
)
from syscalls.credentials import CAP_SYS_NICE
from syscalls.mm import CAP_IPC_LOCK, page_align
from syscalls.mprotect import protect
from syscalls.table import PARTIAL, REFUSED, syscall
from syscalls.task import RLIMIT_MEMLOCK
from translator.machine import PAGE_MASK, PAGE_SIZE, TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from syscalls.abi.kinds import IoVec, PageVector
    from syscalls.mm import Mm
    from syscalls.table import S32, U32, U64, Addr, Fd, In, Out, Pid, Size
    from syscalls.task import Task

U64_MAX = (1 << 64) - 1
BOTH_WAYS = 0x3000000
"""PROT_GROWSDOWN and PROT_GROWSUP."""


@syscall(9, support=PARTIAL("no huge pages are configured, and no file is mapped synchronously (DAX)"),
         needs=("files.positioned-io",), unsupported={"MAP_HUGETLB": 0x40000, "MAP_SYNC": 0x80000})
def mmap(task: Task, addr: Addr, length: Size, prot: U64, flags: U64, fd: U64, offset: U64) -> int:
    if offset & PAGE_MASK:
        raise LinuxError(EINVAL)
    file = None
    if not flags & MAP_ANONYMOUS:
        file = task.files.get((fd & 0xFFFFFFFF ^ 0x80000000) - 0x80000000)
        if flags & MAP_HUGETLB:
            raise LinuxError(EINVAL)
    elif flags & MAP_HUGETLB:
        if not length:
            raise LinuxError(EINVAL)
        # No huge page is configured: as with vm.nr_hugepages = 0, and EINVAL for sizes the CPU does not have, and for
        # a place inside one.
        size = flags >> 26 & 0x3F or 21
        raise LinuxError(ENOMEM if size in (21, 30) and not offset & (1 << size) - 1 else EINVAL)
    return task.mm.map(task, addr, length, prot, flags, file, offset)


@syscall(11)
def munmap(task: Task, addr: Addr, length: Size) -> int:
    task.mm.unmap(task, addr, length)
    return 0


@syscall(10)
def mprotect(task: Task, addr: Addr, length: Size, prot: U64) -> int:
    protect(task.mm, task, addr, length, prot)
    return 0


@syscall(12)
def brk(task: Task, value: Addr) -> int:
    return task.mm.set_brk(task, value)


@syscall(25)
def mremap(task: Task, addr: Addr, old_length: Size, new_length: Size, flags: U64, new_addr: Addr) -> int:
    from syscalls.mremap import remap
    return remap(task.mm, task, addr, old_length, new_length, flags, new_addr)


@syscall(216, support=PARTIAL("an ordinary mapping of the other part replaces the old, as Linux does since 4.0"))
def remap_file_pages(task: Task, start: Addr, size: Size, prot: U64, page: U64, flags: U64) -> int:
    from syscalls.mremap import remap_file_pages as replace
    return replace(task.mm, task, start, size, prot, page, flags)


@syscall(28, support=PARTIAL("memory poisoning is refused; MADV_FREE never frees"),
         unsupported={"MADV_HWPOISON": 100, "MADV_SOFT_OFFLINE": 101})
def madvise(task: Task, start: Addr, length: Size, advice: S32) -> int:
    from syscalls.madvise import advise
    return advise(task.mm, task, start, length, advice)


@syscall(440, since="5.10", support=PARTIAL("as madvise; another process takes hints only"))
def process_madvise(task: Task, pidfd: Fd, vector: In[IoVec], count: Size, advice: S32, flags: U32) -> int:
    from syscalls.madvise import REMOTE, advise
    if flags:
        raise LinuxError(EINVAL)
    ranges = task.mem.iovec(vector, count & 0xFFFFFFFF)
    group = getattr(task.files.get(pidfd), "group", None)
    if group is None:
        raise LinuxError(EBADF)
    target = group.leader
    if target.dead:
        raise LinuxError(ESRCH)
    mm = _other_mm(task, target, EPERM)
    if mm is not task.mm and advice not in REMOTE:
        raise LinuxError(EINVAL)
    if mm is not task.mm and not task.cred.capable(CAP_SYS_NICE):
        raise LinuxError(EPERM)
    done = 0
    for start, length in ranges:
        try:
            advise(mm, task, start, length, advice)
        except LinuxError:
            if done:
                return done
            raise
        done += length
    return done


@syscall(26, needs=("files.positioned-io", "files.sync"))
def msync(task: Task, start: Addr, length: Size, flags: S32) -> int:
    if flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) or start & PAGE_MASK:
        raise LinuxError(EINVAL)
    if flags & MS_ASYNC and flags & MS_SYNC:
        raise LinuxError(EINVAL)
    end = start + page_align(length) & U64_MAX  # wraps: a length of -1 is nothing
    if end < start:
        raise LinuxError(ENOMEM)
    mm = task.mm
    for area in mm.areas.overlapping(start, end) if end > start else ():
        if flags & MS_INVALIDATE and area.flags & VM_LOCKED:
            raise LinuxError(EBUSY)
        if flags & MS_SYNC and area.shared:
            low = max(start, area.start)
            mm.space.sync(low, min(end, area.end) - low)
    if end > start and not mm.areas.covers(start, end):
        raise LinuxError(ENOMEM)
    return 0


@syscall(27)
def mincore(task: Task, start: Addr, length: Size, vector: Out[PageVector]) -> int:
    if start & PAGE_MASK:
        raise LinuxError(EINVAL)
    if start + length > TASK_SIZE:
        raise LinuxError(ENOMEM)
    end = start + page_align(length)
    task.mem.check_range(vector, (end - start) // PAGE_SIZE)
    if end == start:
        return 0
    mm = task.mm
    covered = start
    for area in mm.areas.overlapping(start, end):
        if area.start > covered:
            break
        covered = min(area.end, end)
    if covered > start:
        task.mem.write(vector, mm.space.resident(start, covered - start))
    if covered < end:
        raise LinuxError(ENOMEM)
    return 0


# --- locking: nothing here is ever swapped, so a lock is a flag and a count against RLIMIT_MEMLOCK


def _first_hole(mm: Mm, start: int, end: int) -> int:
    """Where the areas that begin at `start` end."""
    at = start
    for area in mm.areas.overlapping(start, end):
        if area.start > at:
            break
        at = area.end
    return min(at, end)


def _lock(task: Task, start: int, length: int, flags: int) -> int:
    """do_mlock.  EPERM without any right to lock, ENOMEM beyond the limit or over a hole."""
    limit = task.group.rlimits[RLIMIT_MEMLOCK][0]
    if not limit and not task.cred.capable(CAP_IPC_LOCK):
        raise LinuxError(EPERM)
    # A length that wraps is nothing; holes count against the limit too.
    size = page_align(length + (start & PAGE_MASK)) & U64_MAX
    start &= ~PAGE_MASK
    end = start + size
    mm = task.mm
    parts = [(min(area.end, end) - max(area.start, start), area.flags & VM_LOCKED)
             for area in mm.areas.overlapping(start, min(end, TASK_SIZE))] if start < min(end, TASK_SIZE) else []
    counted = size - sum(part for part, locked in parts if locked)
    if mm.locked_bytes + counted > limit and not task.cred.capable(CAP_IPC_LOCK):
        raise LinuxError(ENOMEM)
    if end >= 1 << 64:
        raise LinuxError(EINVAL)
    if end == start:
        return 0
    if end > TASK_SIZE:
        raise LinuxError(ENOMEM)
    if not mm.areas.covers(start, end):
        # What lies before the first hole is locked all the same (apply_vma_lock_flags).
        hole = _first_hole(mm, start, end)
        if hole > start:
            _mark_locked(mm, start, hole, flags)
        raise LinuxError(ENOMEM)
    _mark_locked(mm, start, end, flags)
    if not flags & VM_LOCKONFAULT:
        from syscalls.madvise import populate
        if not populate(mm, start, end) or any(not area.prot & 7 for area in mm.areas.overlapping(start, end)) or (
                mm.guards is not None and any(mm.guards.within(start, end))):
            raise LinuxError(ENOMEM)  # they are marked, and cannot be brought in
    return 0


def _mark_locked(mm: Mm, start: int, end: int, flags: int) -> None:
    """mlock_fixup passes by what is the kernel's own (the vDSO, rings of asynchronous I/O), and what it may drop."""
    for area in mm.areas.overlapping(start, end):
        if not area.flags & (VM_DONTEXPAND | VM_DROPPABLE):
            low, high = max(area.start, start), min(area.end, end)
            if not area.flags & VM_LOCKED:
                mm.locked_bytes += high - low
            mm.rewrite(low, high, None, flags, VM_LOCKED_MASK & ~flags)


def _unlock(mm: Mm, start: int, end: int) -> None:
    for area in mm.areas.overlapping(start, end):
        if area.flags & VM_LOCKED:
            mm.locked_bytes -= min(area.end, end) - max(area.start, start)
    mm.rewrite(start, end, None, 0, VM_LOCKED_MASK)


LOCKED = PARTIAL("counted and checked; the host may still write the pages to its swap space")


@syscall(149, support=LOCKED)
def mlock(task: Task, start: Addr, length: Size) -> int:
    return _lock(task, start, length, VM_LOCKED)


@syscall(325, since="4.4", support=LOCKED)
def mlock2(task: Task, start: Addr, length: Size, flags: S32) -> int:
    if flags & ~MLOCK_ONFAULT:
        raise LinuxError(EINVAL)
    return _lock(task, start, length, VM_LOCKED | (VM_LOCKONFAULT if flags else 0))


@syscall(150)
def munlock(task: Task, start: Addr, length: Size) -> int:
    size = page_align(length + (start & PAGE_MASK)) & U64_MAX
    start &= ~PAGE_MASK
    end = start + size
    if end >= 1 << 64:
        raise LinuxError(EINVAL)
    if end > start:
        hole = _first_hole(task.mm, start, end)
        if hole > start:
            _unlock(task.mm, start, hole)
        if hole < end:
            raise LinuxError(ENOMEM)
    return 0


@syscall(151, support=LOCKED)
def mlockall(task: Task, flags: S32) -> int:
    if not flags or flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) or flags == MCL_ONFAULT:
        raise LinuxError(EINVAL)
    mm = task.mm
    if not task.cred.capable(CAP_IPC_LOCK):
        limit = task.group.rlimits[RLIMIT_MEMLOCK][0]
        if not limit:
            raise LinuxError(EPERM)
        if flags & MCL_CURRENT and mm.total_bytes() > limit:
            raise LinuxError(ENOMEM)
    lock = VM_LOCKED | (VM_LOCKONFAULT if flags & MCL_ONFAULT else 0)
    mm.default_flags = lock if flags & MCL_FUTURE else 0
    if flags & MCL_CURRENT:
        _mark_locked(mm, 0, TASK_SIZE, lock)
    return 0


@syscall(152)
def munlockall(task: Task) -> int:
    mm = task.mm
    mm.default_flags = 0
    _unlock(mm, 0, TASK_SIZE)
    mm.locked_bytes = 0
    return 0


@syscall(462, since="6.10")
def mseal(task: Task, start: Addr, length: Size, flags: U64) -> int:
    if flags or start & PAGE_MASK:
        raise LinuxError(EINVAL)
    size = page_align(length)
    if size >= 1 << 64 or start + size >= 1 << 64:
        raise LinuxError(EINVAL)
    if not size:
        return 0
    mm = task.mm
    if not mm.areas.covers(start, start + size):
        raise LinuxError(ENOMEM)
    mm.rewrite(start, start + size, None, VM_SEALED)
    return 0


# --- other processes' memory


def _other_mm(task: Task, target: Task, refused: int) -> Mm:
    """mm_access: the memory of a task that the caller may trace."""
    cred, other = task.cred, target.cred
    if cred.landlock is not None:
        from syscalls.landlock import may_trace
        if not may_trace(task, target):
            raise LinuxError(refused)
    same = (cred.uid == other.uid == other.euid == other.suid and cred.gid == other.gid == other.egid == other.sgid
            and target.group.dumpable == 1)
    if target.group is not task.group and not same and not cred.capable(19):
        raise LinuxError(refused)
    return target.mm


def _transfer(task: Task, pid: int, local: int, local_count: int, remote: int, remote_count: int, flags: int,
              write: bool) -> int:
    if flags:
        raise LinuxError(EINVAL)
    mine = task.mem.iovec(local, local_count & 0xFFFFFFFF)
    if not sum(length for _, length in mine):
        return 0
    theirs = task.mem.iovec(remote, min(remote_count, 1 << 31), own=False)
    if not any(length for _, length in theirs):
        return 0
    target = task.kernel.tasks.get(pid)
    if target is None or target.dead:
        raise LinuxError(ESRCH)
    mm = _other_mm(task, target, EPERM)
    theirs = _reachable(mm, theirs, PROT_WRITE if write else PROT_READ)
    if not theirs:
        raise LinuxError(EFAULT)
    source, sink = (task.mem, mm.mem) if write else (mm.mem, task.mem)
    from_vector, to_vector = (mine, theirs) if write else (theirs, mine)
    room = sum(length for _, length in to_vector)
    wanted = []
    for base, length in from_vector:
        length = min(length, room)
        room -= length
        if length:
            wanted.append((base, length))
    if not wanted:
        return 0
    if mm is not task.mm:
        return sink.scatter(to_vector, source.gather(wanted))
    # What one part puts down is there for the next one to be read.
    done = 0
    for base, to, length in _pieces(wanted, to_vector):
        try:
            data = source.input(base, length)
            distance = to - base
            if 0 < distance < length == len(data):
                # Within one page, byte after byte: what was put down is read again (REP MOVSB, where it is fast).
                data = (data[:distance] * (length // distance + 1))[:length]
            got = sink.scatter([(to, length)], data)
        except LinuxError:
            if done:
                break
            raise
        done += got
        if got < length:
            break
    return done


def _reachable(mm: Mm, vector: list[tuple[int, int]], access: int) -> list[tuple[int, int]]:
    """The vector up to the first page that may not be read or written by way of its area (check_vma_flags): no stack
    grows, and what the processor would let through does not count."""
    out = []
    for base, length in vector:
        at, end = base, base + length
        for area in mm.areas.overlapping(base, end) if length else ():
            if area.start > at or not area.prot & access:
                break
            at = min(end, area.end)
        if at > base:
            out.append((base, at - base))
        if at < end:
            break
    return out


def _pieces(source: list[tuple[int, int]], sink: list[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """(from, to, length), within one part of each vector and one page of each."""
    targets = iter(sink)
    to = room = 0
    for base, length in source:
        while length:
            while not room:
                to, room = next(targets)
            step = min(length, room, PAGE_SIZE - base % PAGE_SIZE, PAGE_SIZE - to % PAGE_SIZE)
            yield base, to, step
            base, length, to, room = base + step, length - step, to + step, room - step


@syscall(310, since="3.2")
def process_vm_readv(task: Task, pid: Pid, local: In[IoVec], local_count: U64, remote: In[IoVec], remote_count: U64,
                     flags: U64) -> int:
    return _transfer(task, pid, local, local_count, remote, remote_count, flags, False)


@syscall(311, since="3.2")
def process_vm_writev(task: Task, pid: Pid, local: In[IoVec], local_count: U64, remote: In[IoVec],
                      remote_count: U64, flags: U64) -> int:
    return _transfer(task, pid, local, local_count, remote, remote_count, flags, True)


@syscall(448, since="5.15")
def process_mrelease(task: Task, pidfd: Fd, flags: U32) -> int:
    if flags:
        raise LinuxError(EINVAL)
    group = getattr(task.files.get(pidfd), "group", None)
    if group is None:
        raise LinuxError(EBADF)
    if group.leader.dead:
        raise LinuxError(ESRCH)
    if not group.exiting:
        raise LinuxError(EINVAL)
    return 0


# --- barriers

_REGISTER = {
    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED: MEMBARRIER_CMD_GLOBAL_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED: MEMBARRIER_CMD_PRIVATE_EXPEDITED,
    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
}
_BARRIERS = (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED
             | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
             | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
             | MEMBARRIER_CMD_GET_REGISTRATIONS)


@syscall(324, since="4.3", support=PARTIAL("the restartable-sequence commands are not offered"),
         unsupported={"MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ": 0x80,
                      "MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ": 0x100})
def membarrier(task: Task, command: S32, flags: U32, cpu: S32) -> int:
    """Guests run one at a time, and a switch between them is a full barrier: the commands only keep the books."""
    if flags:
        raise LinuxError(EINVAL)
    mm = task.mm
    if command == MEMBARRIER_CMD_QUERY:
        return _BARRIERS
    if command in _REGISTER:
        mm.membarrier_registrations |= command
        return 0
    if command == MEMBARRIER_CMD_GET_REGISTRATIONS:
        return mm.membarrier_registrations
    if command in (MEMBARRIER_CMD_GLOBAL, MEMBARRIER_CMD_GLOBAL_EXPEDITED):
        return 0
    if command in (MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE):
        if not mm.membarrier_registrations & command << 1:
            raise LinuxError(EPERM)
        return 0
    raise LinuxError(EINVAL)


# --- refused


@syscall(323, since="4.3", support=REFUSED(ENOSYS, "page faults are served by the engine"))
def userfaultfd(task: Task, flags: S32) -> int:
    raise LinuxError(ENOSYS)


_NO_PKU = "the emulated CPU has no protection keys"


@syscall(329, since="4.9", support=PARTIAL(_NO_PKU))
def pkey_mprotect(task: Task, addr: Addr, length: Size, prot: U64, pkey: S32) -> int:
    if prot & BOTH_WAYS == BOTH_WAYS:
        raise LinuxError(EINVAL)
    if pkey != -1 and not addr & PAGE_MASK and length:
        size = page_align(length) & U64_MAX
        raise LinuxError(EINVAL if addr < addr + size & U64_MAX else ENOMEM)
    protect(task.mm, task, addr, length, prot)
    return 0


@syscall(330, since="4.9", support=REFUSED(EINVAL, _NO_PKU))
def pkey_alloc(task: Task, flags: U64, rights: U64) -> int:
    raise LinuxError(EINVAL)


@syscall(331, since="4.9", support=REFUSED(EINVAL, _NO_PKU))
def pkey_free(task: Task, pkey: S32) -> int:
    raise LinuxError(EINVAL)


@syscall(447, since="5.14", support=REFUSED(ENOSYS, "memory hidden from the kernel needs a kernel that hides it"))
def memfd_secret(task: Task, flags: U32) -> int:
    raise LinuxError(ENOSYS)


@syscall(453, since="6.6", support=REFUSED(EINVAL, "the emulated CPU has no shadow stack"))
def map_shadow_stack(task: Task, addr: Addr, size: Size, flags: U32) -> int:
    raise LinuxError(EINVAL)
