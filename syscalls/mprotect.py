"""mprotect(2) (mm/mprotect.c)."""

from __future__ import annotations

from syscalls.abi.errno import EACCES, EINVAL, ENOMEM, EPERM, LinuxError
from syscalls.abi.mm import (
    PROT_EXEC,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    PROT_READ,
    PROT_SEM,
    PROT_WRITE,
    READ_IMPLIES_EXEC,
    VM_GROWSDOWN,
    VM_MAYEXEC,
    VM_SEALED,
    VM_SHARED,
)
from syscalls.mm import page_align
from syscalls.task import RLIMIT_DATA
from translator.machine import PAGE_MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.mm import Mm
    from syscalls.task import Task


def protect(mm: Mm, task: Task, addr: int, length: int, prot: int) -> None:
    """Areas before the one that fails have changed.  EACCES, EINVAL, ENOMEM, EPERM."""
    grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP)
    prot &= ~(PROT_GROWSDOWN | PROT_GROWSUP)
    if grows == PROT_GROWSDOWN | PROT_GROWSUP or addr & PAGE_MASK:
        raise LinuxError(EINVAL)
    if not length:
        return
    length = page_align(length)
    end = addr + length
    if end >= 1 << 64 or end <= addr:
        raise LinuxError(ENOMEM)
    if prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM):
        raise LinuxError(EINVAL)
    wanted = prot & 7
    implied = PROT_EXEC if prot & PROT_READ and task.personality & READ_IMPLIES_EXEC else 0
    areas = mm.areas.overlapping(addr, end)
    if not areas:
        raise LinuxError(ENOMEM)
    at = addr
    if grows == PROT_GROWSDOWN:
        if not areas[0].flags & VM_GROWSDOWN:
            raise LinuxError(EINVAL)
        at = areas[0].start
    elif grows:
        raise LinuxError(ENOMEM if areas[0].start > addr else EINVAL)  # nothing here grows upwards
    for area in areas:
        if area.start > at:
            raise LinuxError(ENOMEM)
        prot = wanted | implied if area.flags & VM_MAYEXEC else wanted
        if prot & ~(area.flags >> 4):
            raise LinuxError(EACCES)
        if mm.mdwe and prot & PROT_EXEC and (prot & PROT_WRITE or not area.prot & PROT_EXEC):
            raise LinuxError(EACCES)
        if area.flags & VM_SEALED:
            raise LinuxError(EPERM)
        stop = min(area.end, end)
        if prot != area.prot:
            if len(mm.areas) + (at > area.start) + (stop < area.end) > mm.max_areas:
                raise LinuxError(ENOMEM)
            if prot & PROT_WRITE and not area.is_data and not area.flags & (VM_SHARED | VM_GROWSDOWN):
                if mm.areas.data_bytes + stop - at > task.group.rlimits[RLIMIT_DATA][0]:
                    raise LinuxError(ENOMEM)
            try:
                mm.space.protect(at, stop - at, prot)
                if mm.guards is not None:
                    mm.guards.bar(mm.space, at, stop)
            except MemoryError:
                raise LinuxError(ENOMEM) from None
            mm.rewrite(at, stop, prot)
        at = stop
    if at < end:
        raise LinuxError(ENOMEM)
