"""ptrace(2): the requests of a tracer (kernel/ptrace.c, arch/x86/kernel/ptrace.c)."""

from __future__ import annotations

from syscalls.abi.errno import EFAULT, EINVAL, EIO, ENODEV, ENOSPC, ENXIO, EPERM, ESRCH, LinuxError
from syscalls.abi.ptrace import (
    ARCH_GET_FS,
    ARCH_GET_GS,
    ARCH_SET_FS,
    ARCH_SET_GS,
    AUDIT_ARCH_X86_64,
    EVENTMSG_SYSCALL_ENTRY,
    EVENTMSG_SYSCALL_EXIT,
    NT_PRFPREG,
    NT_PRSTATUS,
    NT_X86_IOPERM,
    NT_X86_SHSTK,
    NT_X86_XSTATE,
    PEEKSIGINFO_ARGS,
    PEEKSIGINFO_SHARED,
    PTRACE_ARCH_PRCTL,
    PTRACE_ATTACH,
    PTRACE_CONT,
    PTRACE_DETACH,
    PTRACE_EVENT_STOP,
    PTRACE_GET_RSEQ_CONFIGURATION,
    PTRACE_GET_SYSCALL_INFO,
    PTRACE_GETEVENTMSG,
    PTRACE_GETFPREGS,
    PTRACE_GETREGS,
    PTRACE_GETREGSET,
    PTRACE_GETSIGINFO,
    PTRACE_GETSIGMASK,
    PTRACE_INTERRUPT,
    PTRACE_KILL,
    PTRACE_LISTEN,
    PTRACE_O_MASK,
    PTRACE_O_SUSPEND_SECCOMP,
    PTRACE_OLDSETOPTIONS,
    PTRACE_PEEKDATA,
    PTRACE_PEEKSIGINFO,
    PTRACE_PEEKTEXT,
    PTRACE_PEEKUSER,
    PTRACE_POKEDATA,
    PTRACE_POKETEXT,
    PTRACE_POKEUSER,
    PTRACE_SECCOMP_GET_FILTER,
    PTRACE_SECCOMP_GET_METADATA,
    PTRACE_SEIZE,
    PTRACE_SETFPREGS,
    PTRACE_SETOPTIONS,
    PTRACE_SETREGS,
    PTRACE_SETREGSET,
    PTRACE_SETSIGINFO,
    PTRACE_SETSIGMASK,
    PTRACE_SINGLESTEP,
    PTRACE_SYSCALL,
    PTRACE_SYSEMU,
    PTRACE_SYSEMU_SINGLESTEP,
    PTRACE_TRACEME,
    RSEQ_CONFIGURATION,
    SYSCALL_INFO_CALL,
    SYSCALL_INFO_ENTRY,
    SYSCALL_INFO_EXIT,
    SYSCALL_INFO_HEAD,
    SYSCALL_INFO_NONE,
    SYSCALL_INFO_RESULT,
    USER_DEBUGREG,
    USER_REGS,
    USER_SIZE,
)
from syscalls.abi.signal import SIGKILL, SIGSTOP, SIGTRAP, UNBLOCKABLE
from syscalls.table import PARTIAL, syscall
from syscalls.task import STOPPED, TRACED
from syscalls.xstate import FXSAVE_SIZE, XFEATURES_SW, XSTATE_BV, fx_image, xstate_image
from translator.machine import (
    CS,
    DS,
    ES,
    FS,
    FS_BASE,
    GS,
    GS_BASE,
    NREGS,
    ORIG_RAX,
    R8,
    R9,
    R10,
    RAX,
    RDI,
    RDX,
    RIP,
    RSI,
    RSP,
    SS,
    TASK_SIZE,
    GuestFault,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.ptrace import Tracing
    from syscalls.siginfo import SigInfo
    from syscalls.table import S64, U64, Addr
    from syscalls.task import Task

WORD = (1 << 64) - 1
REGS_SIZE = USER_REGS.size
USER_CS, USER_SS = 0x33, 0x2B
CAP_SYS_ADMIN = 21
SIGINFO_SIZE = 128
DEBUG_REGISTERS = (0, 1, 2, 3, 6, 7)
NO_DEBUG_REGISTERS = "hardware breakpoints and watchpoints fail with ENOSPC on an emulated CPU"


@syscall(101, support=PARTIAL(NO_DEBUG_REGISTERS), unsupported={"PTRACE_SINGLEBLOCK": 33,
                                                                "PTRACE_SECCOMP_GET_FILTER": 0x420C})
async def ptrace(task: Task, request: S64, pid: S64, addr: Addr, data: U64) -> int:
    if request == PTRACE_TRACEME:
        return _traceme(task)
    target = task.kernel.tasks.get(((pid & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000)
    if target is None:
        raise LinuxError(ESRCH)
    if request in (PTRACE_ATTACH, PTRACE_SEIZE):
        return await _attach(task, target, request, addr, data)
    tracing = target.tracing
    if tracing is None or tracing.tracer is not task:
        raise LinuxError(ESRCH)
    if request == PTRACE_KILL:
        from syscalls.siginfo import SigInfo
        from syscalls.signals import send_task
        send_task(target, SigInfo(SIGKILL, 0, task.group.pid, task.cred.uid))
        return 0
    if request == PTRACE_INTERRUPT:
        return _interrupt(target, tracing)
    if target.state is not TRACED or tracing.listening:
        raise LinuxError(ESRCH)
    resume = RESUMING.get(request)
    if resume is not None:
        return _resume(target, tracing, data, *resume)
    handler = REQUESTS.get(request)
    if handler is None:
        task.kernel.gap(task, "ptrace request", request & WORD)
        raise LinuxError(EIO)
    return handler(task, target, tracing, addr, data)


# --- becoming a tracer


def _traceme(task: Task) -> int:
    from syscalls.ptrace import link, may_trace
    parent = task.group.parent_task
    if task.tracing is not None or parent is None or parent.dead:
        raise LinuxError(EPERM)
    if not may_trace(parent, task) and task.cred.cap_permitted & ~parent.cred.cap_permitted:
        raise LinuxError(EPERM)
    link(task, parent, seized=False)
    return 0


def _options(task: Task, data: int) -> int:
    if data & ~PTRACE_O_MASK:
        raise LinuxError(EINVAL)
    if data & PTRACE_O_SUSPEND_SECCOMP and not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    return data


async def _attach(task: Task, target: Task, request: int, addr: int, data: int) -> int:
    from syscalls.ptrace import link, may_trace
    from syscalls.siginfo import SigInfo
    from syscalls.signals import send_task, wake_stopped
    from syscalls.wait import leave_engine
    options = 0
    if request == PTRACE_SEIZE:
        if addr:
            raise LinuxError(EIO)
        if data & ~PTRACE_O_MASK:
            raise LinuxError(EIO)
        options = _options(task, data)
    if target.group is task.group or not may_trace(task, target) or target.dead or target.tracing is not None:
        raise LinuxError(EPERM)
    tracing = link(target, task, seized=request == PTRACE_SEIZE, options=options)
    if request == PTRACE_ATTACH:
        send_task(target, SigInfo(SIGSTOP, 0x80))
    if target.state is STOPPED:
        # From a stop to a traced stop, without running in between; it has happened when the request returns.
        tracing.trap_stop = True
        wake_stopped(target)
        await leave_engine(task)
    return 0


def _interrupt(target: Task, tracing: Tracing) -> int:
    from syscalls.ptrace import wake
    from syscalls.signals import recalc
    if not tracing.seized:
        raise LinuxError(EIO)
    if target.dead:
        raise LinuxError(ESRCH)
    tracing.trap_stop = True
    if tracing.listening:
        tracing.listening = False
        wake(target, tracing, 0)
    recalc(target)
    return 0


# --- letting it go on

# Request: mode, single step.
RESUMING = {
    PTRACE_CONT: (PTRACE_CONT, False),
    PTRACE_SYSCALL: (PTRACE_SYSCALL, False),
    PTRACE_SYSEMU: (PTRACE_SYSEMU, False),
    PTRACE_SINGLESTEP: (PTRACE_CONT, True),
    PTRACE_SYSEMU_SINGLESTEP: (PTRACE_SYSEMU, True),
}


def _resume(target: Task, tracing: Tracing, signo: int, mode: int, step: bool) -> int:
    from syscalls.ptrace import set_step, wake
    if signo > 64:
        raise LinuxError(EIO)
    tracing.mode = mode
    set_step(target, tracing, step)
    wake(target, tracing, signo)
    return 0


def _detach(task: Task, target: Task, tracing: Tracing, addr: int, signo: int) -> int:
    from syscalls.ptrace import unlink
    if signo > 64:
        raise LinuxError(EIO)
    tracing.data = signo
    unlink(target)
    return 0


def _listen(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    from syscalls.ptrace import wake
    info = tracing.info
    if not tracing.seized or info is None or info.code >> 8 != PTRACE_EVENT_STOP:
        raise LinuxError(EIO)
    if tracing.trap_notify:
        wake(target, tracing, 0)
    else:
        tracing.listening = True
    return 0


# --- memory


def _peek(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    try:
        word = target.mm.space.peek(addr, 8)
    except GuestFault:
        raise LinuxError(EIO) from None
    task.mem.write(data, word)
    return 0


def _poke(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    try:
        target.mm.space.poke(addr, data.to_bytes(8, "little"))
    except GuestFault:
        raise LinuxError(EIO) from None
    return 0


# --- registers


def _check_register(number: int, value: int) -> None:
    """putreg(): EIO for what a 64-bit process cannot have."""
    if number in (CS, SS, DS, ES, FS, GS):
        value &= 0xFFFF
        if value and value & 3 != 3:
            raise LinuxError(EIO)
        if (number == CS and value != USER_CS) or (number == SS and value != USER_SS):
            raise LinuxError(EIO)
    elif number in (FS_BASE, GS_BASE) and value >= TASK_SIZE:
        raise LinuxError(EIO)


def _set_registers(target: Task, raw: bytes) -> None:
    import struct
    values = struct.unpack(f"<{len(raw) // 8}Q", raw)
    cpu = target.cpu
    regs = cpu.regs()
    try:
        for number, value in enumerate(values[:NREGS]):
            _check_register(number, value)
            regs[number] = value
    finally:
        # Those before the refused one have been set.
        cpu.set_regs(regs)


def _peek_user(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    if addr & 7 or addr >= USER_SIZE:
        raise LinuxError(EIO)
    register = (addr - USER_DEBUGREG) >> 3
    value = target.cpu.get(addr >> 3) if addr < REGS_SIZE else 0
    if register in DEBUG_REGISTERS:
        value = target.cpu.debug_register(register)
    task.mem.put_u64(data, value)
    return 0


def _poke_user(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    if addr & 7 or addr >= USER_SIZE:
        raise LinuxError(EIO)
    if addr < REGS_SIZE:
        _check_register(addr >> 3, data)
        target.cpu.set(addr >> 3, data)
        return 0
    register = (addr - USER_DEBUGREG) >> 3
    if register not in DEBUG_REGISTERS:
        raise LinuxError(EIO)
    error = target.cpu.set_debug_register(register, data)
    if error == ENOSPC:
        task.kernel.gap(task, "ptrace debug register", register)
    if error:
        raise LinuxError(error)
    return 0


def _get_regs(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    task.mem.write(data, USER_REGS.pack(*target.cpu.regs()))
    return 0


def _set_regs(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    _set_registers(target, task.mem.read(data, REGS_SIZE))
    return 0


def _set_fx(target: Task, raw: bytes) -> None:
    if int.from_bytes(raw[24:28], "little") & ~0xFFFF:
        raise LinuxError(EINVAL)
    image = bytearray(target.cpu.fpstate())
    image[:XFEATURES_SW - 48] = raw[:XFEATURES_SW - 48]
    if len(image) > XSTATE_BV:
        image[XSTATE_BV] |= 3
    target.cpu.set_fpstate(bytes(image))


def _set_xstate(target: Task, raw: bytes) -> None:
    image = bytearray(raw)
    current = target.cpu.fpstate()
    if len(image) != max(len(current), XSTATE_BV + 64):
        raise LinuxError(EFAULT)
    present = int.from_bytes(image[XSTATE_BV:XSTATE_BV + 8], "little")
    known = int.from_bytes(xstate_image(target)[XFEATURES_SW:XFEATURES_SW + 8], "little")
    if present & ~known or any(image[XSTATE_BV + 8:XSTATE_BV + 64]) or \
            int.from_bytes(image[24:28], "little") & ~0xFFFF:
        raise LinuxError(EINVAL)
    image[XFEATURES_SW:XSTATE_BV] = bytes(XSTATE_BV - XFEATURES_SW)
    target.cpu.set_fpstate(bytes(image[:len(current)]))


def _get_fpregs(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    task.mem.write(data, fx_image(target))
    return 0


def _set_fpregs(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    _set_fx(target, task.mem.read(data, FXSAVE_SIZE))
    return 0


def _regset(task: Task, kind: int, data: int) -> tuple[int, int]:
    """The caller's struct iovec: address and length.  EINVAL, EFAULT, and the errors of absent sets."""
    base, length = task.mem.u64(data), task.mem.u64(data + 8)
    if kind not in (NT_PRSTATUS, NT_PRFPREG, NT_X86_XSTATE, NT_X86_IOPERM, NT_X86_SHSTK):
        raise LinuxError(EINVAL)
    if length % 8:
        raise LinuxError(EINVAL)
    if kind == NT_X86_IOPERM:
        raise LinuxError(ENXIO)
    if kind == NT_X86_SHSTK:
        raise LinuxError(ENODEV)
    return base, length


def _get_regset(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    base, length = _regset(task, addr, data)
    if addr == NT_PRSTATUS:
        content = USER_REGS.pack(*target.cpu.regs())
    elif addr == NT_PRFPREG:
        content = fx_image(target)
    else:
        content = bytes(xstate_image(target))
    content = content[:length]
    task.mem.write(base, content)
    task.mem.put_u64(data + 8, len(content))
    return 0


def _set_regset(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    base, length = _regset(task, addr, data)
    if addr == NT_PRSTATUS:
        raw = task.mem.read(base, min(length, REGS_SIZE))
        _set_registers(target, raw)
    elif addr == NT_PRFPREG:
        raw = task.mem.read(base, min(length, FXSAVE_SIZE))
        if len(raw) != FXSAVE_SIZE:
            raise LinuxError(EINVAL)
        _set_fx(target, raw)
    else:
        raw = task.mem.read(base, min(length, len(xstate_image(target))))
        _set_xstate(target, raw)
    task.mem.put_u64(data + 8, len(raw))
    return 0


def _arch_prctl(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    register = FS_BASE if data in (ARCH_GET_FS, ARCH_SET_FS) else GS_BASE
    if data in (ARCH_GET_FS, ARCH_GET_GS):
        task.mem.put_u64(addr, target.cpu.get(register))
    elif data in (ARCH_SET_FS, ARCH_SET_GS):
        if addr >= TASK_SIZE:
            raise LinuxError(EPERM)
        target.cpu.set(register, addr)
    else:
        raise LinuxError(EINVAL)
    return 0


# --- signals


def _last_info(target: Task, tracing: Tracing) -> SigInfo:
    if tracing.info is None:
        raise LinuxError(EINVAL)
    return tracing.info


def _get_siginfo(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    task.mem.write(data, _last_info(target, tracing).pack())
    return 0


def _set_siginfo(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    from syscalls.siginfo import SigInfo
    raw = task.mem.read(data, SIGINFO_SIZE)
    _last_info(target, tracing)
    signo = int.from_bytes(raw[:4], "little", signed=True)
    tracing.info = SigInfo.from_bytes(signo, raw)
    return 0


def _peek_siginfo(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    offset, flags, count = PEEKSIGINFO_ARGS.unpack(task.mem.read(addr, PEEKSIGINFO_ARGS.size))
    if flags & ~PEEKSIGINFO_SHARED or count < 0:
        raise LinuxError(EINVAL)
    signals = target.group.signals if flags & PEEKSIGINFO_SHARED else target.signals
    chosen = signals.pending.queue[offset:offset + count]
    for index, info in enumerate(chosen):
        try:
            task.mem.write(data + index * SIGINFO_SIZE, info.pack())
        except LinuxError:
            if not index:
                raise
            return index
    return len(chosen)


def _get_sigmask(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    if addr != 8:
        raise LinuxError(EINVAL)
    signals = target.signals
    task.mem.put_u64(data, signals.mask if signals.saved_mask is None else signals.saved_mask)
    return 0


def _set_sigmask(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    from syscalls.signals import set_mask
    if addr != 8:
        raise LinuxError(EINVAL)
    mask = task.mem.u64(data)
    target.signals.saved_mask = None
    set_mask(target, mask & ~UNBLOCKABLE)
    return 0


# --- what it stopped for


def _set_options(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    tracing.options = _options(task, data)
    return 0


def _get_event_message(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    task.mem.put_u64(data, tracing.message)
    return 0


def _get_syscall_info(task: Task, target: Task, tracing: Tracing, size: int, data: int) -> int:
    cpu = target.cpu
    info = tracing.info
    op, body = SYSCALL_INFO_NONE, b""
    if info is not None and info.code == SIGTRAP | 0x80:
        if tracing.message == EVENTMSG_SYSCALL_ENTRY:
            op = SYSCALL_INFO_ENTRY
            body = SYSCALL_INFO_CALL.pack(cpu.get(ORIG_RAX), cpu.get(RDI), cpu.get(RSI), cpu.get(RDX), cpu.get(R10),
                                          cpu.get(R8), cpu.get(R9))
        elif tracing.message == EVENTMSG_SYSCALL_EXIT:
            op = SYSCALL_INFO_EXIT
            value = (cpu.get(RAX) ^ 1 << 63) - (1 << 63)
            body = SYSCALL_INFO_RESULT.pack(value, -4095 <= value < 0)
    raw = SYSCALL_INFO_HEAD.pack(op, AUDIT_ARCH_X86_64, cpu.get(RIP), cpu.get(RSP)) + body
    task.mem.write(data, raw[:size])
    return len(raw)


def _get_rseq(task: Task, target: Task, tracing: Tracing, size: int, data: int) -> int:
    raw = RSEQ_CONFIGURATION.pack(target.rseq, target.rseq_length, target.rseq_signature, 0, 0)
    task.mem.write(data, raw[:size])
    return len(raw)


def _seccomp(task: Task, target: Task, tracing: Tracing, addr: int, data: int) -> int:
    """No task has a filter."""
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    raise LinuxError(EINVAL)


REQUESTS: dict[int, Callable[[Task, Task, Tracing, int, int], int]] = {
    PTRACE_DETACH: _detach,
    PTRACE_LISTEN: _listen,
    PTRACE_PEEKTEXT: _peek,
    PTRACE_PEEKDATA: _peek,
    PTRACE_POKETEXT: _poke,
    PTRACE_POKEDATA: _poke,
    PTRACE_PEEKUSER: _peek_user,
    PTRACE_POKEUSER: _poke_user,
    PTRACE_GETREGS: _get_regs,
    PTRACE_SETREGS: _set_regs,
    PTRACE_GETFPREGS: _get_fpregs,
    PTRACE_SETFPREGS: _set_fpregs,
    PTRACE_GETREGSET: _get_regset,
    PTRACE_SETREGSET: _set_regset,
    PTRACE_ARCH_PRCTL: _arch_prctl,
    PTRACE_GETSIGINFO: _get_siginfo,
    PTRACE_SETSIGINFO: _set_siginfo,
    PTRACE_PEEKSIGINFO: _peek_siginfo,
    PTRACE_GETSIGMASK: _get_sigmask,
    PTRACE_SETSIGMASK: _set_sigmask,
    PTRACE_SETOPTIONS: _set_options,
    PTRACE_OLDSETOPTIONS: _set_options,
    PTRACE_GETEVENTMSG: _get_event_message,
    PTRACE_GET_SYSCALL_INFO: _get_syscall_info,
    PTRACE_GET_RSEQ_CONFIGURATION: _get_rseq,
    PTRACE_SECCOMP_GET_FILTER: _seccomp,
    PTRACE_SECCOMP_GET_METADATA: _seccomp,
}
