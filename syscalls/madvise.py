"""madvise(2): what each advice does to the areas of a range (mm/madvise.c)."""

from __future__ import annotations

from syscalls.abi.errno import EACCES, EFAULT, EINVAL, ENOMEM, EOPNOTSUPP, EPERM, LinuxError
from syscalls.abi.fs import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
from syscalls.abi.mm import (
    MADV_COLD,
    MADV_COLLAPSE,
    MADV_DODUMP,
    MADV_DOFORK,
    MADV_DONTDUMP,
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_DONTNEED_LOCKED,
    MADV_FREE,
    MADV_GUARD_INSTALL,
    MADV_GUARD_REMOVE,
    MADV_HUGEPAGE,
    MADV_HWPOISON,
    MADV_KEEPONFORK,
    MADV_MERGEABLE,
    MADV_NOHUGEPAGE,
    MADV_NORMAL,
    MADV_PAGEOUT,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MADV_RANDOM,
    MADV_REMOVE,
    MADV_SEQUENTIAL,
    MADV_SOFT_OFFLINE,
    MADV_UNMERGEABLE,
    MADV_WILLNEED,
    MADV_WIPEONFORK,
    VM_DONTCOPY,
    VM_DONTDUMP,
    VM_DONTEXPAND,
    VM_DROPPABLE,
    VM_HUGEPAGE,
    VM_LOCKED,
    VM_MAYSHARE,
    VM_MAYWRITE,
    VM_MERGEABLE,
    VM_NOHUGEPAGE,
    VM_RAND_READ,
    VM_SEALED,
    VM_SEQ_READ,
    VM_SHARED,
    VM_WIPEONFORK,
)
from syscalls.guards import install
from syscalls.mm import page_align
from syscalls.shared_memory import SharedMemory
from syscalls.vma import Vma
from translator.machine import PAGE_MASK, PROT_EXEC, PROT_READ, PROT_WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from syscalls.mm import Mm
    from syscalls.task import Task

# Advice that only sets and clears flags: (set, clear).
_FLAGS = {
    MADV_NORMAL: (0, VM_RAND_READ | VM_SEQ_READ),
    MADV_RANDOM: (VM_RAND_READ, VM_SEQ_READ),
    MADV_SEQUENTIAL: (VM_SEQ_READ, VM_RAND_READ),
    MADV_DONTFORK: (VM_DONTCOPY, 0),
    MADV_DOFORK: (0, VM_DONTCOPY),
    MADV_DONTDUMP: (VM_DONTDUMP, 0),
    MADV_DODUMP: (0, VM_DONTDUMP),
    MADV_WIPEONFORK: (VM_WIPEONFORK, 0),
    MADV_KEEPONFORK: (0, VM_WIPEONFORK),
    MADV_MERGEABLE: (VM_MERGEABLE, 0),
    MADV_UNMERGEABLE: (0, VM_MERGEABLE),
    MADV_HUGEPAGE: (VM_HUGEPAGE, VM_NOHUGEPAGE),
    MADV_NOHUGEPAGE: (VM_NOHUGEPAGE, VM_HUGEPAGE),
}
_HINTS = (MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT, MADV_COLLAPSE)
_KNOWN = {*_FLAGS, *_HINTS, MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE, MADV_REMOVE, MADV_POPULATE_READ,
          MADV_POPULATE_WRITE, MADV_HWPOISON, MADV_SOFT_OFFLINE, MADV_GUARD_INSTALL, MADV_GUARD_REMOVE}
REMOTE = (MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_COLLAPSE)
"""What process_madvise may do to another process."""
CAP_SYS_ADMIN = 21
HUGE_PAGE = 2 << 20
NOT_MERGED = VM_MAYSHARE | VM_DONTEXPAND | VM_DROPPABLE
"""Areas that KSM does not look at."""


def _remember(mm: Mm, start: int, end: int, set_flags: int, clear_flags: int) -> None:
    if set_flags & (VM_DONTCOPY | VM_WIPEONFORK):
        mm.advised = True
    if set_flags & VM_MERGEABLE:
        # What others share, and what has no pages of its own, is left out without a word (vma_ksm_compatible).
        for area, low, high in list(_parts(mm, start, end)):
            if not area.flags & NOT_MERGED:
                mm.rewrite(low, high, None, set_flags, clear_flags)
        return
    mm.rewrite(start, end, None, set_flags, clear_flags)


def name_anonymous(mm: Mm, addr: int, length: int, name: bytes | None) -> None:
    """prctl(PR_SET_VMA_ANON_NAME): shown as [anon:name].  ENOMEM for holes, EBADF is the caller's for files."""
    end = addr + length
    shown = b"[anon:" + name + b"]" if name is not None else None
    for area in mm.areas.overlapping(addr, end):
        if area.backing is not None:
            continue
        part = area.piece(max(area.start, addr), min(area.end, end))
        mm.areas.remove(part.start, part.end)
        mm.areas.insert(Vma(part.start, part.end, part.prot, part.flags, name=shown, policy=part.policy))
    if not mm.areas.covers(addr, end):
        raise LinuxError(ENOMEM)


def advise(mm: Mm, task: Task, start: int, length: int, advice: int) -> int:
    """0; EINVAL for an unknown advice or a bad range, ENOMEM when part of it is unmapped (the rest is done)."""
    if advice not in _KNOWN:
        raise LinuxError(EINVAL)
    if start & PAGE_MASK:
        raise LinuxError(EINVAL)
    size = page_align(length)
    if (length and not size) or size >= 1 << 64:
        raise LinuxError(EINVAL)
    end = start + size
    if end >= 1 << 64:
        raise LinuxError(EINVAL)
    if advice in (MADV_HWPOISON, MADV_SOFT_OFFLINE):
        # Breaking memory on purpose: as where that is not built in (CONFIG_MEMORY_FAILURE).
        raise LinuxError(EINVAL)
    if end == start:
        return 0
    if advice in (MADV_POPULATE_READ, MADV_POPULATE_WRITE):
        return _populate(mm, start, end, PROT_WRITE if advice == MADV_POPULATE_WRITE else PROT_READ)
    flags = _FLAGS.get(advice)
    for area, low, high in _parts(mm, start, end):
        if area.flags & VM_SEALED and advice in (MADV_DONTNEED, MADV_DONTNEED_LOCKED, MADV_FREE, MADV_REMOVE,
                                                 MADV_DONTFORK, MADV_WIPEONFORK, MADV_GUARD_INSTALL):
            if area.backing is None and not area.prot & PROT_WRITE:
                raise LinuxError(EPERM)
        if flags is not None:
            if (advice == MADV_WIPEONFORK and area.backing is not None) or (
                    advice in (MADV_KEEPONFORK, MADV_DODUMP) and area.flags & VM_DROPPABLE):
                raise LinuxError(EINVAL)
            _remember(mm, low, high, *flags)
        elif advice in (MADV_DONTNEED, MADV_DONTNEED_LOCKED):
            if area.flags & VM_LOCKED and advice == MADV_DONTNEED:
                raise LinuxError(EINVAL)
            mm.space.discard(low, high - low)
        elif advice == MADV_FREE:
            is_zero = isinstance(area.backing, SharedMemory) and not area.shared  # of /dev/zero
            if (area.backing is not None and not is_zero) or area.flags & VM_LOCKED:
                raise LinuxError(EINVAL)
            # The pages may be taken when memory is short; the kernel is free never to need them.
        elif advice == MADV_GUARD_INSTALL:
            if area.flags & (VM_LOCKED | VM_DONTEXPAND):
                raise LinuxError(EINVAL)
            install(mm, low, high)
        elif advice == MADV_GUARD_REMOVE:
            if area.flags & VM_DONTEXPAND:
                raise LinuxError(EINVAL)
            if mm.guards is not None:
                mm.guards.lift(mm.space, low, high, area.prot)
        elif advice == MADV_REMOVE:
            _remove(mm, area, low, high)
        elif advice in (MADV_COLD, MADV_PAGEOUT) and area.flags & VM_LOCKED:
            raise LinuxError(EINVAL)
        elif advice == MADV_COLLAPSE:
            _collapse(mm, area, low, high)
    if not mm.areas.covers(start, end):
        raise LinuxError(ENOMEM)
    return 0


def _collapse(mm: Mm, area: Vma, low: int, high: int) -> None:
    """madvise_collapse: nothing is done, but Linux's answer given.  EINVAL: no huge page fits into the area, none is
    wanted, or one in the range has no page yet."""
    if area.flags & VM_NOHUGEPAGE or (area.start + HUGE_PAGE - 1 & -HUGE_PAGE) + HUGE_PAGE > area.end:
        raise LinuxError(EINVAL)
    for start in range(low + HUGE_PAGE - 1 & -HUGE_PAGE, (high & -HUGE_PAGE) - HUGE_PAGE + 1, HUGE_PAGE):
        if not any(mm.space.resident(start, HUGE_PAGE)):
            raise LinuxError(EINVAL)


def _parts(mm: Mm, start: int, end: int) -> Iterator[tuple[Vma, int, int]]:
    for area in mm.areas.overlapping(start, end):
        yield area, max(area.start, start), min(area.end, end)


def _populate(mm: Mm, start: int, end: int, access: int) -> int:
    """Fault everything in, in order: ENOMEM for a hole, EINVAL for missing rights (those of the area, whatever the
    processor would let through), EFAULT past the end of a file."""
    while start < end:
        area = mm.find(start)
        if area is None:
            raise LinuxError(ENOMEM)
        if not area.prot & access:
            raise LinuxError(EINVAL)
        stop = min(area.end, end)
        if mm.space.reach(start, stop - start, access) < stop - start:
            raise LinuxError(EFAULT)
        start = stop
    return 0


def _remove(mm: Mm, area: Vma, low: int, high: int) -> None:
    """Punch a hole into the mapped object: only memory objects can."""
    if area.flags & VM_LOCKED or area.backing is None:
        raise LinuxError(EINVAL)
    if area.flags & (VM_SHARED | VM_MAYWRITE) != VM_SHARED | VM_MAYWRITE:
        raise LinuxError(EACCES)
    backing = area.backing
    offset = area.offset + low - area.start
    punch = getattr(backing, "allocate", None)
    if punch is not None:
        punch(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, high - low)
    elif isinstance(backing, SharedMemory):
        if backing.page_cache is not None:
            for at in range(offset, offset + high - low, 1 << 20):
                backing.page_cache.written(at, bytes(min(1 << 20, offset + high - low - at)))
        backing.punch(offset, high - low)
    else:
        raise LinuxError(EOPNOTSUPP)


def populate(mm: Mm, start: int, end: int) -> bool:
    """Fault pages in (mm_populate); whether all came that may be used at all."""
    whole = True
    for area in mm.areas.overlapping(start, end):
        if area.prot & (PROT_READ | PROT_WRITE | PROT_EXEC):
            low, high = max(area.start, start), min(area.end, end)
            write = area.prot & PROT_WRITE and not (area.flags & VM_SHARED and area.prot & PROT_READ)
            whole = mm.space.reach(low, high - low, PROT_WRITE if write else PROT_READ) == high - low and whole
    return whole
