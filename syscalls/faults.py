"""What the traps of guest instructions become: arch/x86/kernel/traps.c and mm/fault.c."""

from __future__ import annotations

import struct

from syscalls.abi.signal import (
    BUS_ADRALN,
    BUS_ADRERR,
    FPE_FLTDIV,
    FPE_FLTINV,
    FPE_FLTOVF,
    FPE_FLTRES,
    FPE_FLTUND,
    FPE_INTDIV,
    ILL_ILLOPN,
    SEGV_ACCERR,
    SEGV_MAPERR,
    SI_KERNEL,
    SIGBUS,
    SIGFPE,
    SIGILL,
    SIGKILL,
    SIGSEGV,
    SIGTRAP,
    TRAP_HWBKPT,
    TRAP_TRACE,
)
from syscalls.siginfo import SigInfo
from translator.machine import (
    BEYOND_EOF,
    DEBUG_REGISTER,
    NO_MEMORY,
    PROT_EXEC,
    PROT_WRITE,
    RIP,
    TASK_SIZE,
    UNMAPPED,
    VEC_AC,
    VEC_BP,
    VEC_DB,
    VEC_DE,
    VEC_MF,
    VEC_PF,
    VEC_UD,
    VEC_XM,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task
    from translator.machine import CpuFault

PF_PROT, PF_WRITE, PF_USER, PF_INSTR = 1, 2, 4, 16


def translate(task: Task, fault: CpuFault) -> SigInfo | None:
    """The signal a fault forces; None when the fault was mended (the stack grew)."""
    signals = task.signals
    vector = fault.vector
    ip = task.cpu.get(RIP)
    if vector == VEC_PF:
        if fault.reason == UNMAPPED and task.mm.grow_stack(fault.address):
            return None
        return _page_fault(task, fault)
    signals.trap_number = vector
    signals.error_code = 0
    if vector == VEC_DE:
        return SigInfo(SIGFPE, FPE_INTDIV, addr=ip)
    if vector == VEC_BP:
        return SigInfo(SIGTRAP, SI_KERNEL)
    if vector == VEC_DB:
        return SigInfo(SIGTRAP, TRAP_HWBKPT if fault.reason == DEBUG_REGISTER else TRAP_TRACE, addr=ip)
    if vector == VEC_UD:
        return SigInfo(SIGILL, ILL_ILLOPN, addr=ip)
    if vector in (VEC_MF, VEC_XM):
        return SigInfo(SIGFPE, _float_code(task, vector), addr=ip)
    if vector == VEC_AC:
        return SigInfo(SIGBUS, BUS_ADRALN)
    # General protection, overflow, bounds: no address is known.
    return SigInfo(SIGSEGV, SI_KERNEL)


def _page_fault(task: Task, fault: CpuFault) -> SigInfo:
    if fault.reason == NO_MEMORY:
        return SigInfo(SIGKILL, SI_KERNEL)  # as the OOM killer
    reason = fault.reason
    guards = task.mm.guards
    if guards is not None and fault.address in guards:
        vma = task.mm.find(fault.address)
        if vma is not None and vma.prot & fault.access:
            reason = UNMAPPED  # a guard region lets nobody in, as if nothing were mapped
    signals = task.signals
    signals.trap_number = VEC_PF
    signals.cr2 = fault.address
    code = PF_USER
    if fault.access == PROT_WRITE:
        code |= PF_WRITE
    elif fault.access == PROT_EXEC:
        code |= PF_INSTR
    # Addresses of the kernel's half always look protected, so that their mappings cannot be probed.
    vma = task.mm.find(fault.address) if reason != UNMAPPED else None
    if fault.address >= TASK_SIZE or (vma is not None and vma.prot and reason != BEYOND_EOF):
        code |= PF_PROT
    signals.error_code = code
    if reason == BEYOND_EOF:
        return SigInfo(SIGBUS, BUS_ADRERR, addr=fault.address)
    return SigInfo(SIGSEGV, SEGV_MAPERR if reason == UNMAPPED else SEGV_ACCERR, addr=fault.address)


def _float_code(task: Task, vector: int) -> int:
    """fpu__exception_code(): the unmasked exceptions, in the order of their priority; 0 for a spurious one."""
    image = task.cpu.fpstate()
    if vector == VEC_MF:
        control, status = struct.unpack_from("<HH", image)
        raised = status & ~control & 0x3F
    else:
        (mxcsr,) = struct.unpack_from("<I", image, 24)
        raised = mxcsr & ~(mxcsr >> 7) & 0x3F
    for mask, code in ((0x01, FPE_FLTINV), (0x04, FPE_FLTDIV), (0x08, FPE_FLTOVF), (0x12, FPE_FLTUND),
                       (0x20, FPE_FLTRES)):
        if raised & mask:
            return code
    return FPE_FLTINV
