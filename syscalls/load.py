"""Mapping a program and its interpreter into an empty address space (load_elf_binary, create_elf_tables)."""

from __future__ import annotations

from syscalls.abi.errno import E2BIG, EINVAL, LinuxError
from syscalls.abi.mm import MMAP_MIN_ADDR, VM_DONTEXPAND, VM_GROWSDOWN
from syscalls.mm import CAP_SYS_RAWIO, DYN_BASE, MAY_ALL, STACK_TOP, Mm, page_align
from syscalls.task import RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK
from syscalls.vma import Vma
from translator.elf import PHDR_SIZE, FileMap, LoadPlan, ZeroTail
from translator.machine import PAGE_MASK, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE, TASK_SIZE
from translator.stack import (
    AT_BASE,
    AT_CLKTCK,
    AT_EGID,
    AT_ENTRY,
    AT_EUID,
    AT_EXECFN,
    AT_FLAGS,
    AT_GID,
    AT_HWCAP,
    AT_HWCAP2,
    AT_MINSIGSTKSZ,
    AT_PAGESZ,
    AT_PHDR,
    AT_PHENT,
    AT_PHNUM,
    AT_PLATFORM,
    AT_RANDOM,
    AT_RSEQ_ALIGN,
    AT_RSEQ_FEATURE_SIZE,
    AT_SECURE,
    AT_SYSINFO_EHDR,
    AT_UID,
    build,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.binfmt import Program
    from syscalls.fd import FileDescription
    from syscalls.task import Task
    from translator.machine import Backing

STACK_EXPAND = 128 << 10
"""What the stack gets beyond the arguments before it has to grow."""
RSEQ_FEATURE_SIZE, RSEQ_ALIGN = 28, 32
CLOCK_TICKS = 100
MINSIGSTKSZ = 2048
"""The smallest alternate stack that sigaltstack(2) accepts; frames without AVX state are smaller."""


def load(task: Task, mm: Mm, program: Program) -> tuple[int, int]:
    """Map the program and its interpreter into an empty Mm and make the stack: (entry, stack pointer).
    LinuxError, GuestFault, MemoryError: the process is to die."""
    plan = program.plan
    rlimits = task.group.rlimits
    mm.set_stack_limit(rlimits[RLIMIT_STACK][0])
    bias = 0
    if plan.is_dynamic:
        if plan.interpreter is not None:
            bias = (DYN_BASE & -plan.alignment) - plan.start
        else:
            bias = _place(mm, plan, plan.alignment) - plan.start
    if plan.steps:
        if bias + plan.start < MMAP_MIN_ADDR and not task.cred.capable(CAP_SYS_RAWIO):
            raise LinuxError(EINVAL, "a program that wants the lowest pages")
        _map(task, mm, program.file, plan, bias)
    entry = bias + plan.entry
    interpreter_bias = 0
    inner = program.interpreter_plan
    if inner is not None:
        assert program.interpreter is not None
        if inner.is_dynamic:
            interpreter_bias = _place(mm, inner, PAGE_SIZE) - inner.start
        elif mm.areas.overlapping(inner.start, page_align(inner.end)):
            # Linked to fixed addresses: it replaces what is there, be it the program (elf_map with MAP_FIXED).
            mm.forget(inner.start, page_align(inner.end))
        _map(task, mm, program.interpreter, inner, interpreter_bias)
        entry = interpreter_bias + inner.entry
    if entry >= TASK_SIZE:
        raise LinuxError(EINVAL, "an entry point outside the address space")
    for low, high, is_code in getattr(task.kernel.engine, "vdso_parts", ()):
        # The engine has mapped them already: clock_gettime(2) and relatives without a system call.
        mm.areas.insert(Vma(low, high, PROT_READ | PROT_EXEC if is_code else PROT_READ, MAY_ALL | VM_DONTEXPAND,
                            name=b"[vdso]" if is_code else b"[vvar]"))

    mm.start_code, mm.end_code = bias + plan.text_start, bias + plan.text_end
    mm.start_data, mm.end_data = bias + plan.data_start, bias + plan.data_end
    moved_brk = plan.is_dynamic and inner is None
    mm.start_brk = mm.brk = page_align(DYN_BASE + 1 if moved_brk else bias + plan.memory_end)
    if mm.total_bytes() > rlimits[RLIMIT_AS][0] or mm.data_bytes() > rlimits[RLIMIT_DATA][0]:
        raise LinuxError(E2BIG, "a program larger than its limits")
    pointer = _make_stack(task, mm, program, bias, interpreter_bias if inner is not None else 0)
    return entry, pointer


def _place(mm: Mm, plan: LoadPlan, alignment: int) -> int:
    """Where a PIE or an interpreter goes: the highest place that is free and aligned.  (An interpreter is mapped
    without a look at its alignment, load_elf_interp.)"""
    length = page_align(plan.end - plan.start)
    extra = alignment - PAGE_SIZE
    place = mm.areas.place(length + extra, mm.mmap_base)
    if not place:
        raise LinuxError(EINVAL, "a program larger than the address space")
    # Alignment counts for the addresses as linked, whose first page need not be aligned its
    top = place + extra
    return top - (top - plan.start) % alignment


def _map(task: Task, mm: Mm, file: FileDescription, plan: LoadPlan, bias: int) -> None:
    """Do the steps of a plan.  LinuxError when its addresses do not exist or are taken."""
    start, end = bias + plan.start, bias + plan.end
    if start < 0 or end > TASK_SIZE or not mm.areas.is_free(start, page_align(end)):
        raise LinuxError(EINVAL, "segments where no room is")
    backing: Backing | None = None
    areas, space = mm.areas, mm.space
    location = file.location
    for step in plan.steps:
        low = bias + step.start
        if isinstance(step, ZeroTail):
            space.write(low, bytes(step.length))
            continue
        high = low + step.length
        if high > TASK_SIZE:
            raise LinuxError(EINVAL, "segments where no room is")
        if not areas.is_free(low, high):
            mm.forget(low, high)
        if isinstance(step, FileMap):
            if backing is None:
                backing = file.backing(task, False, step.prot)
            space.map(low, step.length, step.prot, backing, step.offset, False)
            areas.insert(Vma(low, high, step.prot, MAY_ALL, backing, step.offset, location))
        else:
            mm.check_commit(step.length)
            space.map(low, step.length, step.prot, None, 0, False)
            areas.insert(Vma(low, high, step.prot, MAY_ALL))


def _make_stack(task: Task, mm: Mm, program: Program, bias: int, base: int) -> int:
    kernel = task.kernel
    plan = program.plan
    cred = task.cred
    hwcap, hwcap2 = kernel.engine.hwcap()
    # The vDSO's note tells ld.so the version of the host's Linux: not under a profile that shows another.
    vdso = getattr(kernel.engine, "vdso_base", 0) if kernel.profile is None else 0
    auxv = (
        *(((AT_SYSINFO_EHDR, vdso),) if vdso else ()),
        (AT_MINSIGSTKSZ, getattr(kernel.engine, "signal_frame_size", 0) or MINSIGSTKSZ),
        (AT_HWCAP, hwcap),
        (AT_PAGESZ, PAGE_SIZE),
        (AT_CLKTCK, CLOCK_TICKS),
        (AT_PHDR, bias + plan.phdr_address),
        (AT_PHENT, PHDR_SIZE),
        (AT_PHNUM, plan.phnum),
        (AT_BASE, base),
        (AT_FLAGS, 0),
        (AT_ENTRY, bias + plan.entry),
        (AT_UID, cred.uid),
        (AT_EUID, cred.euid),
        (AT_GID, cred.gid),
        (AT_EGID, cred.egid),
        (AT_SECURE, int(cred.uid != cred.euid or cred.gid != cred.egid)),
        (AT_RANDOM, 0),
        (AT_HWCAP2, hwcap2),
        (AT_EXECFN, 0),
        (AT_PLATFORM, 0),
        (AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE),
        (AT_RSEQ_ALIGN, RSEQ_ALIGN),
    )
    image = build(STACK_TOP, program.argv, program.envp, program.filename, kernel.random(16), auxv)
    used = page_align(STACK_TOP - image.pointer)
    limit = task.group.soft_limit(RLIMIT_STACK)
    size = max(used, min(used + STACK_EXPAND, limit & ~PAGE_MASK))
    prot = PROT_READ | PROT_WRITE | (PROT_EXEC if plan.stack_executable else 0)
    start = STACK_TOP - size
    if not mm.areas.is_free(start, STACK_TOP):
        raise LinuxError(EINVAL, "segments where the stack is")
    mm.space.map(start, size, prot, None, 0, False)
    mm.areas.insert(Vma(start, STACK_TOP, prot, MAY_ALL | VM_GROWSDOWN))
    mm.space.write(image.pointer, image.content)
    mm.start_stack = image.pointer
    mm.arg_start, mm.arg_end = image.arg_start, image.arg_end
    mm.env_start, mm.env_end = image.env_start, image.env_end
    mm.auxv = image.auxv
    return image.pointer
