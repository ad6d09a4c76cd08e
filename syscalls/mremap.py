"""mremap(2) and remap_file_pages(2): mappings that move, grow and shrink (mm/mremap.c)."""

from __future__ import annotations

from syscalls.abi.errno import EFAULT, EINVAL, ENOMEM, EPERM, LinuxError
from syscalls.abi.mm import (
    MAP_FIXED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    STACK_GUARD_GAP,
    VM_DONTEXPAND,
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_LOCKED_MASK,
    VM_MAYSHARE,
    VM_SEALED,
    VM_SHARED,
)
from syscalls.mm import page_align
from syscalls.vma import Vma
from translator.machine import PAGE_MASK, PAGE_SIZE, TASK_SIZE, GuestFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.mm import Mm
    from syscalls.task import Task


U64_MAX = (1 << 64) - 1
LOOKED_AT = 1 << 20
"""How many bytes of an area are looked at to tell whether it was written."""


def remap(mm: Mm, task: Task, addr: int, old_length: int, new_length: int, flags: int, new_addr: int) -> int:
    """The address of the mapping afterwards."""
    if flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) or addr & PAGE_MASK:
        raise LinuxError(EINVAL)
    # They wrap: a length of -1 is 0.
    old_length = page_align(old_length) & U64_MAX
    new_length = page_align(new_length) & U64_MAX
    if not 0 < new_length <= TASK_SIZE:
        raise LinuxError(EINVAL)
    if flags & (MREMAP_FIXED | MREMAP_DONTUNMAP):
        if not flags & MREMAP_MAYMOVE or (flags & MREMAP_DONTUNMAP and old_length != new_length):
            raise LinuxError(EINVAL)
        if new_addr & PAGE_MASK or new_addr > TASK_SIZE - new_length:
            raise LinuxError(EINVAL)
        if addr < new_addr + new_length and new_addr < addr + old_length:
            raise LinuxError(EINVAL)
    if len(mm.areas) + 2 >= mm.max_areas - 3:
        raise LinuxError(ENOMEM)
    if flags & MREMAP_FIXED and old_length == new_length:
        return _move_all(mm, task, addr, new_length, flags, new_addr)
    area = mm.find(addr)
    if area is None:
        raise LinuxError(EFAULT)
    return _remap_area(mm, task, area, addr, old_length, new_length, flags, new_addr)


def _move_all(mm: Mm, task: Task, addr: int, length: int, flags: int, new_addr: int) -> int:
    """A move without a change of size takes all areas of the range, and the gaps between them (since Linux 6.17)."""
    end = addr + length
    areas = mm.areas.overlapping(addr, end)
    if not areas or areas[0].start > addr:
        raise LinuxError(EFAULT)
    for area in areas:
        low, high = max(area.start, addr), min(area.end, end)
        _remap_area(mm, task, area, low, high - low, high - low, flags, new_addr + low - addr)
    return new_addr


def _remap_area(mm: Mm, task: Task, area: Vma, addr: int, old_length: int, new_length: int, flags: int,
                new_addr: int) -> int:
    if area.flags & VM_SEALED:
        raise LinuxError(EPERM)
    moves = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)
    if not moves and old_length >= new_length:
        # Shrinking, over whatever areas lie there.
        if old_length > new_length:
            mm.unmap(task, addr + new_length, old_length - new_length)
        return addr
    _check_resize(mm, task, area, addr, min(old_length, new_length), new_length, flags)
    if flags & MREMAP_FIXED:
        mm.check_unsealed(new_addr, new_addr + new_length)
        mm.remove_range(new_addr, new_addr + new_length)
    if old_length > new_length:
        mm.unmap(task, addr + new_length, old_length - new_length)
        old_length = new_length
    found = mm.find(addr)
    assert found is not None
    area = found
    if not moves:
        if old_length and addr + old_length == area.end and _grow_in_place(mm, area, new_length - old_length):
            return addr
        if not flags & MREMAP_MAYMOVE:
            raise LinuxError(ENOMEM)
        new_addr = 0
    return _move(mm, task, area, addr, old_length, new_length, flags, new_addr)


def _check_resize(mm: Mm, task: Task, area: Vma, addr: int, old_length: int, new_length: int, flags: int) -> None:
    """vma_to_resize."""
    if not old_length and not area.flags & VM_MAYSHARE:
        # Length 0 asks for a second mapping of the same pages: private pages have no second place.
        raise LinuxError(EINVAL)
    if flags & MREMAP_DONTUNMAP and area.flags & VM_DONTEXPAND:
        raise LinuxError(EINVAL)
    if old_length > area.end - addr:
        raise LinuxError(EFAULT)
    if new_length == old_length:
        return
    if area.flags & VM_DONTEXPAND:
        raise LinuxError(EFAULT)
    growth = new_length - old_length
    if area.flags & VM_LOCKED:
        mm.check_lock(task, growth)
    mm.check_expansion(task, growth, area.is_data)


def _grow_in_place(mm: Mm, area: Vma, growth: int) -> bool:
    """vma_expandable: the pages after the area are free."""
    start, end = area.end, area.end + growth
    above = mm.areas.next_from(start)
    if end > TASK_SIZE or (above is not None and end > above.start - (
            STACK_GUARD_GAP if above.flags & VM_GROWSDOWN else 0)) or mm.is_reserved(start, end):
        return False
    offset = area.offset + area.end - area.start if area.backing is not None else area.offset
    mm.space.map(start, growth, area.prot, area.backing, offset if area.backing is not None else 0, area.shared)
    mm.areas.insert(area.moved(start, end, offset))
    if area.flags & VM_LOCKED:
        mm.locked_bytes += growth
        from syscalls.madvise import populate
        populate(mm, start, end)
    return True


def _move(mm: Mm, task: Task, area: Vma, addr: int, old_length: int, new_length: int, flags: int,
          new_addr: int) -> int:
    """move_vma: the pages appear at a new place; what is missing there is mapped afresh."""
    offset = area.offset + addr - area.start if area.backing is not None else 0
    new_addr = mm.place(task, new_addr, new_length, MAP_FIXED if flags & MREMAP_FIXED else 0)
    place = offset
    if area.backing is None and is_written(mm, area):
        place = area.offset + addr - new_addr
    moved = area.moved(new_addr, new_addr + new_length, place)
    space = mm.space
    if old_length:
        try:
            space.move(addr, new_addr, old_length)
        except MemoryError:
            raise LinuxError(ENOMEM) from None
        if mm.guards is not None:
            mm.guards.moved(addr, new_addr, old_length)
    if new_length > old_length:
        space.map(new_addr + old_length, new_length - old_length, area.prot, area.backing,
                  offset + old_length if area.backing is not None else 0, area.shared)
    if old_length:
        if flags & MREMAP_DONTUNMAP:
            # The old place stays mapped, with nothing in it (for userfaultfd, and for compactors).
            space.map(addr, old_length, area.prot, area.backing, offset, area.shared)
            if area.flags & VM_LOCKED_MASK:
                # It is not locked any more, and goes on to count (dontunmap_complete).
                mm.rewrite(addr, addr + old_length, None, 0, VM_LOCKED_MASK)
        else:
            mm.forget(addr, addr + old_length)
    mm.areas.insert(moved)
    if mm.aio_contexts and moved.backing is not None:
        from syscalls.aio import ring_moved
        ring_moved(mm, moved)
    if moved.flags & VM_LOCKED:
        mm.locked_bytes += new_length
    return new_addr


def is_written(mm: Mm, area: Vma) -> bool:
    """Whether private memory has pages of its own (anon_vma): then it keeps the place that it had, and does not become
    one with what it comes to lie beside."""
    return has_pages(mm, area.start, min(area.end, area.start + LOOKED_AT))


def has_pages(mm: Mm, start: int, end: int) -> bool:
    """Whether private memory has pages of its own there.  Those of zeros are taken for such as were only read."""
    for index, there in enumerate(mm.space.resident(start, end - start, True)):
        if there:
            try:
                if any(mm.space.peek(start + index * PAGE_SIZE, PAGE_SIZE)):
                    return True
            except GuestFault:
                continue
    return False


def remap_file_pages(mm: Mm, task: Task, start: int, size: int, prot: int, page: int, flags: int) -> int:
    """Since Linux 4.0 an emulation: a new mapping of another part of the file in place of the old."""
    if prot:
        raise LinuxError(EINVAL)
    start &= ~PAGE_MASK
    size &= ~PAGE_MASK
    if not size or start + size > TASK_SIZE or (page << 12) + size >= 1 << 64:
        raise LinuxError(EINVAL)
    area = mm.find(start)
    if area is None or not area.flags & VM_SHARED or area.backing is None:
        raise LinuxError(EINVAL)
    for part in mm.areas.overlapping(start, start + size):
        if part.backing is None or part.backing.key != area.backing.key or part.flags != area.flags:
            raise LinuxError(EINVAL)
    if not mm.areas.covers(start, start + size):
        raise LinuxError(EINVAL)
    mm.check_unsealed(start, start + size)
    mm.space.map(start, size, area.prot, area.backing, page << 12, True)
    mm.areas.remove(start, start + size)
    mm.areas.insert(area.moved(start, start + size, page << 12))
    return 0
