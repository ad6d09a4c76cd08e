"""Faults of guest instructions in the ptrace engine: from the host's signal to what the kernel is told."""

from __future__ import annotations

from translator.machine import (
    BEYOND_EOF,
    DEBUG_REGISTER,
    DENIED,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    RIP,
    UNMAPPED,
    VEC_AC,
    VEC_BP,
    VEC_DB,
    VEC_DE,
    VEC_GP,
    VEC_MF,
    VEC_PF,
    VEC_UD,
    VEC_XM,
    CpuFault,
    GuestFault,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.engines.ptrace_cpu import PtraceCpu

SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS = 4, 5, 7, 8, 11, 31
FAULT_SIGNALS = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS}
TRAP_HWBKPT = 4
SI_KERNEL, SEGV_MAPERR, FPE_INTDIV, BUS_ADRALN = 0x80, 1, 1, 1


def fault_of(cpu: PtraceCpu, signal: int, code: int, address: int) -> CpuFault:
    """What a signal with si_code and si_addr says about the instruction at RIP."""
    if signal == SIGSEGV:
        if code == SI_KERNEL:
            return CpuFault(VEC_GP)
        return CpuFault(VEC_PF, address, _access(cpu, address), UNMAPPED if code == SEGV_MAPERR else DENIED)
    if signal == SIGBUS:
        if code == BUS_ADRALN:
            return CpuFault(VEC_AC)
        return CpuFault(VEC_PF, address, _access(cpu, address), BEYOND_EOF)
    if signal == SIGILL:
        return CpuFault(VEC_UD)
    if signal == SIGFPE:
        if code == FPE_INTDIV:
            return CpuFault(VEC_DE)
        image = cpu.fpstate()
        control, state = int.from_bytes(image[0:2], "little"), int.from_bytes(image[2:4], "little")
        return CpuFault(VEC_MF if state & ~control & 0x3F else VEC_XM)
    if code == SI_KERNEL:
        return CpuFault(VEC_BP)
    return CpuFault(VEC_DB, reason=DEBUG_REGISTER if code == TRAP_HWBKPT else "")


def _access(cpu: PtraceCpu, address: int) -> int:
    """What kind of access failed: the host does not tell a tracer."""
    rip = cpu.words[RIP]
    if rip <= address < rip + 15:
        mapping = cpu._space.find(rip)
        if mapping is None or not mapping.prot & PROT_EXEC or address != rip:
            return PROT_EXEC
    mapping = cpu._space.find(address)
    if mapping is not None and mapping.prot & PROT_READ and not mapping.prot & PROT_WRITE:
        return PROT_WRITE
    from translator.engines.decode import writes_memory
    try:
        code = cpu._space.peek(rip, min(15, 4096 - (rip & 4095)))
    except (GuestFault, MemoryError):
        return PROT_READ
    return PROT_WRITE if writes_memory(code) else PROT_READ
