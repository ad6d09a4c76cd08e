"""Signal frames: what a handler finds on its stack, and what rt_sigreturn(2) takes back.

The layout is struct rt_sigframe of arch/x86/include/asm/sigframe.h: return address, ucontext, siginfo; the FPU image
lies above it, 64-byte aligned, with the software bytes that announce its size (arch/x86/kernel/fpu/signal.c).
"""

from __future__ import annotations

import struct

from syscalls.abi.errno import EFAULT, LinuxError
from syscalls.abi.signal import (
    MINSIGSTKSZ,
    SA_ONSTACK,
    SA_RESTORER,
    SI_KERNEL,
    SIGSEGV,
    SS_AUTODISARM,
    SS_DISABLE,
    SS_ONSTACK,
    STACK_T,
    UNBLOCKABLE,
)
from syscalls.siginfo import SigInfo
from translator.machine import (
    CS,
    EFLAGS,
    FS,
    GS,
    ORIG_RAX,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    RAX,
    RBP,
    RBX,
    RCX,
    RDI,
    RDX,
    RIP,
    RSI,
    RSP,
    SS,
    TASK_SIZE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.signals import Action
    from syscalls.task import Task

UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS = 1, 2, 4
FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2 = 0x46505853, 0x46505845
RED_ZONE = 128
FXSAVE_SIZE, XSAVE_HEADER = 512, 64
XFEATURES_LEGACY = 3
"""x87 and SSE."""
SW_RESERVED = 464
"""Offset of struct _fpx_sw_bytes in the FXSAVE image."""

USER_CS, USER_SS = 0x33, 0x2B
FLAG_RF, FLAG_DF, FLAG_TF, FLAG_IF = 1 << 16, 1 << 10, 1 << 8, 1 << 9
RESTORED_FLAGS = 0x50DD5
"""FIX_EFLAGS: AC, RF, OF, DF, TF, SF, ZF, AF, PF, CF."""

# struct sigcontext_64 without fpstate and reserved1: 18 registers, 4 selectors, err, trapno, oldmask, cr2.
SIGCONTEXT = struct.Struct("<18Q4H4QQ64x")
SIGCONTEXT_ORDER = (R8, R9, R10, R11, R12, R13, R14, R15, RDI, RSI, RBP, RBX, RDX, RAX, RCX, RSP, RIP, EFLAGS)
_SW_BYTES = struct.Struct("<IIQI28x")

UCONTEXT_SIZE = 8 + 8 + 24 + 256 + 8
FRAME_SIZE = 8 + UCONTEXT_SIZE + 128

_INIT_FPU = struct.pack("<HHBBH", 0x37F, 0, 0, 0, 0) + bytes(16) + struct.pack("<II", 0x1F80, 0xFFFF) + bytes(480)


def initial_fpu(length: int) -> bytes:
    """The FPU state a handler, and a new program, starts with."""
    return _INIT_FPU + bytes(max(0, length - FXSAVE_SIZE))


def _signal_fpu(image: bytes) -> bytes:
    """An FPU image as it lies on a frame: with header, software bytes and the closing magic."""
    body = bytearray(image)
    if len(body) < FXSAVE_SIZE + XSAVE_HEADER:
        body += struct.pack("<Q", XFEATURES_LEGACY).ljust(FXSAVE_SIZE + XSAVE_HEADER - len(body), b"\0")
    else:
        # The frame always says that x87 and SSE state are there (XSAVE's init optimisation is undone).
        features = struct.unpack_from("<Q", body, FXSAVE_SIZE)[0] | XFEATURES_LEGACY
        struct.pack_into("<Q", body, FXSAVE_SIZE, features)
    size = len(body)
    # Engines whose state has more than these parts say so where the software bytes go.
    (features,) = struct.unpack_from("<Q", body, SW_RESERVED)
    if not features:
        features = XFEATURES_LEGACY if size <= FXSAVE_SIZE + XSAVE_HEADER else XFEATURES_LEGACY | 4
    _SW_BYTES.pack_into(body, SW_RESERVED, FP_XSTATE_MAGIC1, size + 4, features, size)
    return bytes(body) + struct.pack("<I", FP_XSTATE_MAGIC2)


def push_frame(task: Task, info: SigInfo, action: Action, mask: int) -> None:
    """Make the task run a handler next.  EFAULT: the stack has no room, or the handler has no restorer."""
    cpu = task.cpu
    signals = task.signals
    regs = cpu.regs()
    sp = (regs[RSP] - RED_ZONE) & (1 << 64) - 1
    on_altstack = signals.on_altstack(sp)
    if action.flags & SA_ONSTACK and signals.altstack_flags(sp) == 0:
        sp = signals.altstack[0] + signals.altstack[1]
        on_altstack = True
    fpu_image = cpu.fpstate()
    signals.fpu_length = len(fpu_image)
    fpu = _signal_fpu(fpu_image)
    fpu_addr = (sp - len(fpu)) & ~63
    frame = ((fpu_addr - FRAME_SIZE) & ~15) - 8
    if on_altstack:
        base, size, _ = signals.altstack
        if not base < frame <= base + size:
            raise LinuxError(EFAULT)
    if frame < 0 or sp > TASK_SIZE:
        raise LinuxError(EFAULT)
    if not action.flags & SA_RESTORER:
        raise LinuxError(EFAULT)

    base, size, flags = signals.altstack
    context = SIGCONTEXT.pack(*[regs[register] for register in SIGCONTEXT_ORDER],
                              regs[CS], regs[GS], regs[FS], regs[SS],
                              signals.error_code, signals.trap_number, mask, signals.cr2, fpu_addr)
    data = b"".join((
        struct.pack("<QQQ", action.restorer, UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS, 0),
        STACK_T.pack(base, flags, size),
        context,
        struct.pack("<Q", mask),
        info.pack(),
    ))
    task.mem.write(fpu_addr, fpu)
    task.mem.write(frame, data)

    regs[RDI] = info.signo
    regs[RSI] = frame + 8 + UCONTEXT_SIZE
    regs[RDX] = frame + 8
    regs[RAX] = 0
    regs[RIP] = action.handler
    regs[RSP] = frame
    regs[EFLAGS] &= ~(FLAG_DF | FLAG_RF | FLAG_TF)
    # No call is in progress in the handler.
    regs[ORIG_RAX] = (1 << 64) - 1
    cpu.set_regs(regs)
    cpu.set_fpstate(initial_fpu(len(fpu_image)))


def pop_frame(task: Task) -> None:
    """rt_sigreturn(2).  EFAULT, or a frame that cannot be restored: the caller sends SIGSEGV."""
    from syscalls.signals import set_mask
    cpu = task.cpu
    signals = task.signals
    regs = cpu.regs()
    frame = regs[RSP] - 8
    raw = task.mem.read(frame + 8, UCONTEXT_SIZE)
    (uc_flags,) = struct.unpack_from("<Q", raw)
    ss_sp, ss_flags, ss_size = STACK_T.unpack_from(raw, 16)
    (mask,) = struct.unpack_from("<Q", raw, 296)
    set_mask(task, mask & ~UNBLOCKABLE)

    values = SIGCONTEXT.unpack_from(raw, 40)
    flags = regs[EFLAGS]
    for register, value in zip(SIGCONTEXT_ORDER, values, strict=False):
        regs[register] = value
    regs[EFLAGS] = flags & ~RESTORED_FLAGS | values[17] & RESTORED_FLAGS
    regs[CS] = values[18] | 3
    regs[SS] = values[21] | 3
    regs[ORIG_RAX] = (1 << 64) - 1
    if not uc_flags & UC_STRICT_RESTORE_SS and regs[SS] != USER_SS:
        regs[SS] = USER_SS
    if regs[CS] != USER_CS or regs[SS] != USER_SS:
        # Real ones would fault in IRET; 32-bit code segments are not there.
        raise LinuxError(EFAULT)
    fpu_addr = values[26]
    length = signals.fpu_length
    if not length:
        length = signals.fpu_length = len(cpu.fpstate())
    if fpu_addr:
        image = _read_fpu(task, fpu_addr, length)
    else:
        image = initial_fpu(length)
    cpu.set_regs(regs)
    cpu.set_fpstate(image)
    try:
        set_altstack(task, ss_sp, ss_flags, ss_size, frame)
    except LinuxError:
        pass  # restore_altstack() ignores all but EFAULT; it judges by the stack pointer of the call itself


def _read_fpu(task: Task, addr: int, length: int) -> bytes:
    """The FPU image of a frame, checked as fpu__restore_sig() does."""
    legacy = task.mem.read(addr, FXSAVE_SIZE)
    magic1, extended, features, size = _SW_BYTES.unpack_from(legacy, SW_RESERVED)
    (mxcsr,) = struct.unpack_from("<I", legacy, 24)
    is_extended = (magic1 == FP_XSTATE_MAGIC1 and FXSAVE_SIZE + XSAVE_HEADER <= size <= extended
                   and size <= max(length, FXSAVE_SIZE + XSAVE_HEADER))
    if is_extended:
        # Without the closing magic only the legacy part counts.
        is_extended = task.mem.u32(addr + size) == FP_XSTATE_MAGIC2
    if mxcsr & ~0xFFFF:
        raise LinuxError(EFAULT)
    if is_extended and length > FXSAVE_SIZE:
        image = bytearray(task.mem.read(addr, min(size, length)))
        if len(image) < length:
            image += bytes(length - len(image))
        (present,) = struct.unpack_from("<Q", image, FXSAVE_SIZE)
        if present & ~features or any(image[FXSAVE_SIZE + 8:FXSAVE_SIZE + XSAVE_HEADER]):
            raise LinuxError(EFAULT)
    else:
        image = bytearray(legacy)
        if length > FXSAVE_SIZE:
            image += struct.pack("<Q", XFEATURES_LEGACY).ljust(length - FXSAVE_SIZE, b"\0")
    image[SW_RESERVED:FXSAVE_SIZE] = bytes(FXSAVE_SIZE - SW_RESERVED)
    return bytes(image)


def set_altstack(task: Task, addr: int, flags: int, size: int, sp: int) -> None:
    """do_sigaltstack().  EPERM while on the stack, EINVAL for unknown flags, ENOMEM below MINSIGSTKSZ."""
    from syscalls.abi.errno import EINVAL, ENOMEM, EPERM
    signals = task.signals
    if signals.on_altstack(sp):
        raise LinuxError(EPERM)
    mode = flags & ~SS_AUTODISARM
    if mode not in (0, SS_ONSTACK, SS_DISABLE):
        raise LinuxError(EINVAL)
    if signals.altstack == (addr, size, flags):
        return
    if mode == SS_DISABLE:
        addr = size = 0
    elif size < MINSIGSTKSZ:
        raise LinuxError(ENOMEM)
    signals.altstack = (addr, size, flags)


def bad_frame(task: Task) -> None:
    """signal_fault(): a frame that cannot be restored."""
    from syscalls.signals import force
    force(task, SigInfo(SIGSEGV, SI_KERNEL))
