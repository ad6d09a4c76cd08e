"""The ptrace engine: guest instructions run on the processor itself, in pico processes (pico.py) that pylx traces.

One guest thread runs at a time, and only inside `run`; all others are in ptrace stops.  Each of its system calls stops
it (a seccomp filter reports them), is served by the kernel and skipped: its number is replaced by -1, RAX by the
result.  Signals that its instructions cause are seen by pylx only.

Most calls come as a seccomp user notification instead, where nothing but a result goes back (notify.py): the thread
then sleeps in the host's kernel, and its registers are fetched only if somebody asks for them.

Costs that shape this file, measured with a kernel that does nothing: a call that stops the guest is 15 us while pylx
and the guest are kept on one CPU, and 64 us while the host may use two (of a virtual machine, where waking another CPU
is an interrupt); one that comes as a notification is 9 us either way.  So both are kept on one CPU, for the stops that
remain.
"""

from __future__ import annotations

import ctypes
import os
import struct
from time import monotonic_ns

from translator.engines.notify import NOTIF_RECV, NOTIF_SEND, SIG_UNBLOCK, Notifications, ioctl, ppoll
from translator.engines.pico import CommandPage, HostProcess, Zygote, make_zygote
from translator.engines.placement import Placement
from translator.engines.ptrace_binding import (
    ECHILD,
    EIO,
    EVENT_STOP,
    PTRACE_CONT,
    PTRACE_EVENT_STOP,
    PTRACE_GETREGS,
    PTRACE_GETSIGINFO,
    PTRACE_INTERRUPT,
    PTRACE_SETREGS,
    SECCOMP_STOP,
    STOPPED,
    WALL,
    WNOHANG,
    ExtendedState,
    TraceeGone,
    get_errno,
    libc,
    ptrace,
    request,
    waitpid,
)
from translator.engines.ptrace_cpu import WORD, PtraceCpu
from translator.engines.ptrace_files import FileStore
from translator.engines.ptrace_space import PtraceSpace
from translator.engines.seccomp import TRAP_FOREIGN, TRAP_VSYSCALL
from translator.engines.slice_timer import SliceTimer, interrupt_by
from translator.machine import (
    BEYOND_EOF,
    DENIED,
    FS_BASE,
    GS_BASE,
    NO_MEMORY,
    ORIG_RAX,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    R8,
    R9,
    R10,
    RAX,
    RDI,
    RDX,
    RIP,
    RSI,
    TASK_SIZE,
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
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.machine import AddressSpace, Cpu, TrapSink

SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGCHLD, SIGSYS = 4, 5, 7, 8, 11, 17, 31
FAULT_SIGNALS = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS}
SI_KERNEL, SEGV_MAPERR, FPE_INTDIV, BUS_ADRALN = 0x80, 1, 1, 1
AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ = 16, 26, 51
CALLS_PER_LOOK = 64
"""Calls between two looks at the clock: the timer's signal is lost while a call is served."""
MAX_DYING = 16
MAX_FORGERIES = 1000
NO_CALL = bytes(80)
RESTART = (1 << 64) - 512
"""ERESTARTSYS: what a call returns whose notification was interrupted."""
_unpack_notification = struct.Struct("=QQiIQ6Q").unpack_from


class EngineUnavailable(Exception):
    """This engine cannot work here; the message says why."""


class PtraceEngine:
    """Implements machine.Engine."""

    name = "ptrace"

    def __init__(self, one_cpu: bool = True, notify: bool = True) -> None:
        """`one_cpu`: keep pylx and its guests on one CPU; `notify`: use user notification where the system has
        it."""
        self.pid = os.getpid()
        self.store = FileStore()
        self.spaces: set[PtraceSpace] = set()
        self.xstate = ExtendedState()
        self._dying: list[HostProcess] = []
        self._status = ctypes.c_int()
        self._status_address = ctypes.addressof(self._status)
        self._siginfo = (ctypes.c_char * 128)()
        self._info = memoryview(self._siginfo).cast("B")
        self._kicked = False
        self._forgeries = 0
        self._closed = False
        self.placement = Placement(one_cpu)
        try:
            self.commands = CommandPage(self.placement)
            self.timer = SliceTimer()
            zygote = self._zygote(notify)
        except (OSError, TraceeGone) as error:
            self.placement.close()
            raise EngineUnavailable(_reason(error)) from None
        self.zygote = zygote.process
        self.vdso_parts, self.vdso_base = zygote.vdso_parts, zygote.vdso_base
        self.notifications = Notifications(zygote.listener) if zygote.listener >= 0 else None
        if self.notifications is not None:
            # A ptrace stop has to end the wait for a notification.
            interrupt_by(SIGCHLD)
        tid = self.zygote.pid
        image = bytearray(self.xstate.get(tid))
        self.xfeatures = int.from_bytes(image[464:472], "little")
        """XCR0 as far as the guest sees it: what may be in an XSAVE image."""
        image[:] = bytes(len(image))
        image[0:2] = b"\x7f\x03"
        image[24:28] = (0x1F80).to_bytes(4, "little")
        image[28:32] = b"\xff\xff\0\0"
        image[464:472] = self.xfeatures.to_bytes(8, "little")
        self.initial_xstate = bytes(image)
        self.signal_frame_size = _auxiliary(AT_MINSIGSTKSZ)
        """What a frame with all this state needs: AT_MINSIGSTKSZ."""

    def _zygote(self, notify: bool) -> Zygote:
        if notify:
            try:
                return make_zygote(self.commands, True)
            except OSError:
                pass  # Linux before 5.6, or a container that forbids it: stops will do
        return make_zygote(self.commands, False)

    # --- Engine

    def attach(self, sink: TrapSink) -> None:
        self.sink = sink

    def new_space(self) -> PtraceSpace:
        """MemoryError."""
        self._reap(False)
        try:
            space = PtraceSpace(self, self.zygote.fork())
        except TraceeGone:
            raise MemoryError("the first guest process was killed by the host") from None
        self.spaces.add(space)
        space.show_vdso()
        return space

    def new_cpu(self, space: AddressSpace) -> PtraceCpu:
        assert isinstance(space, PtraceSpace)
        return PtraceCpu(self, space)

    def hwcap(self) -> tuple[int, int]:
        return _auxiliary(AT_HWCAP), _auxiliary(AT_HWCAP2)

    def cpuinfo(self) -> dict[str, str]:
        out = {}
        with open("/proc/cpuinfo", encoding="latin-1") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if not name.strip():
                    break
                out[name.strip()] = value.strip()
        for name in ("processor", "physical id", "siblings", "core id", "cpu cores", "apicid", "initial apicid"):
            out.pop(name, None)
        return out

    def kick(self) -> None:
        self._kicked = True

    def end(self, process: HostProcess) -> None:
        """Kill a pico process; it is collected later."""
        process.kill()
        self._dying.append(process)
        self._reap(len(self._dying) > MAX_DYING)

    def _reap(self, block: bool) -> None:
        self._dying = [process for process in self._dying if not process.reaped(block)]

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.timer.close()
        for space in list(self.spaces):
            space.process.kill()
            self._dying.append(space.process)
        self.zygote.kill()
        self._dying.append(self.zygote)
        self._reap(True)
        self.commands.close()
        if self.notifications is not None:
            self.notifications.hold_signals(SIG_UNBLOCK)
            os.close(self.notifications.fd)
        self.placement.close()

    # --- running

    def run(self, cpu: Cpu, slice_ns: int) -> None:
        assert isinstance(cpu, PtraceCpu)
        space = cpu._space
        try:
            tid = cpu.tid or cpu.bind()
            if cpu.extended is not None:
                self.xstate.set(tid, cpu.extended)
                cpu.extended = None
            if space.pending:
                space.flush()
        except (TraceeGone, MemoryError):
            self._lost(cpu)
            return
        placement = self.placement
        now = monotonic_ns()
        placement.look(now, tid)
        if cpu.place != placement.cpu:
            cpu.place = placement.place(tid)
        self.timer.arm(slice_ns)
        try:
            self._run(cpu, tid, space, now + slice_ns)
        finally:
            self.timer.disarm()
            self._kicked = False

    def _run(self, cpu: PtraceCpu, tid: int, space: PtraceSpace, deadline: int) -> None:
        words, address = cpu.words, cpu.registers.address
        status, status_address = self._status, self._status_address
        serve = self.sink.syscall
        notes = self.notifications
        listener = -1
        if notes is not None:
            listener, received, received_address = notes.fd, notes.bytes, notes.received_address
            polled, no_signals = notes.poll_address, notes.mask_address
            answer, answer_address = notes.answer, notes.answer_address
        calls = CALLS_PER_LOOK
        while True:
            if cpu.notice:
                answer[0] = cpu.notice
                answer[1] = cpu.result
                if ioctl(listener, NOTIF_SEND, answer_address):
                    # A signal from outside has ended the wait for the answer.
                    self.withdraw(cpu)
                    continue
                cpu.notice = 0
            else:
                if cpu.changed:
                    if ptrace(PTRACE_SETREGS, tid, 0, address) < 0 and not only_bases_refused(words):
                        self._lost(cpu)
                        return
                    cpu.changed = False
                ptrace(PTRACE_CONT, tid, 0, 0)
            if listener >= 0:
                called = False
                while True:
                    if ppoll(polled, 1, 0, no_signals) > 0:
                        received[:] = NO_CALL
                        if not ioctl(listener, NOTIF_RECV, received_address):
                            called = True
                            break
                    got = waitpid(tid, status_address, WALL | WNOHANG)
                    if got or self._kicked or monotonic_ns() >= deadline:
                        break
                if called:
                    notice, _, number, _, _, a, b, c, d, e, f = _unpack_notification(received)
                    cpu.notice = notice
                    cpu.orig_rax = number
                    value = serve(cpu, number, (a, b, c, d, e, f))
                    if value is None:
                        return
                    if cpu.notice:
                        cpu.result = value & WORD
                    else:
                        words[RAX] = value & WORD
                    if space.pending:
                        try:
                            space.flush()
                        except MemoryError:
                            self._lost(cpu)
                            return
                    if cpu.tid != tid or cpu.extended is not None:
                        return
                    calls -= 1
                    if not calls:
                        calls = CALLS_PER_LOOK
                        if self._kicked or monotonic_ns() >= deadline:
                            return
                    continue
            else:
                got = waitpid(tid, status_address, WALL)
            if got <= 0:
                if got and get_errno() == ECHILD:
                    self._lost(cpu)
                    return
                # A signal for pylx: the end of the slice, or something the kernel has to look at.
                self._interrupt(cpu, tid)
                if status.value != SECCOMP_STOP:
                    if status.value != EVENT_STOP:
                        self._stopped(cpu, tid, status.value)
                    return
                calls = 1
            elif status.value != SECCOMP_STOP:
                if self._stopped(cpu, tid, status.value):
                    return
                continue
            ptrace(PTRACE_GETREGS, tid, 0, address)
            number = cpu.orig_rax = words[ORIG_RAX]
            words[ORIG_RAX] = WORD
            cpu.changed = True
            value = serve(cpu, number & 0xFFFFFFFF,
                          (words[RDI], words[RSI], words[RDX], words[R10], words[R8], words[R9]))
            if value is None:
                return
            words[RAX] = value & WORD
            if space.pending:
                try:
                    space.flush()
                except MemoryError:
                    self._lost(cpu)
                    return
            if cpu.tid != tid or cpu.extended is not None:
                return
            calls -= 1
            if not calls:
                calls = CALLS_PER_LOOK
                if self._kicked or monotonic_ns() >= deadline:
                    return

    def _interrupt(self, cpu: PtraceCpu, tid: int) -> None:
        """Stop the running guest thread, and leave the wait status in self._status."""
        failed = ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0
        while waitpid(tid, self._status_address, WALL) < 0:
            if get_errno() == ECHILD or failed:
                self._status.value = 0
                return
        if self._status.value == EVENT_STOP:
            ptrace(PTRACE_GETREGS, tid, 0, cpu.registers.address)
            words = cpu.words
            if not words[ORIG_RAX] >> 63 and words[RAX] == RESTART:
                # It was making a call of which we had not heard yet: let it do so again.
                words[RAX] = words[ORIG_RAX]
                words[RIP] -= 2
                cpu.changed = True
            words[ORIG_RAX] = cpu.orig_rax = WORD

    def withdraw(self, cpu: PtraceCpu) -> None:
        """Turn a call that came as a notification into a ptrace stop behind it, with RAX as it was set."""
        tid = cpu.tid
        cpu.notice = 0
        ptrace(PTRACE_INTERRUPT, tid, 0, 0)
        while waitpid(tid, self._status_address, WALL) < 0:
            if get_errno() == ECHILD:
                self._status.value = 0
                break
        if self._status.value & 0xFF != STOPPED:
            cpu._space.process.alive = False
            return
        ptrace(PTRACE_GETREGS, tid, 0, cpu.registers.address)
        cpu.words[ORIG_RAX] = WORD
        cpu.words[RAX] = cpu.result
        cpu.changed = True

    def _lost(self, cpu: PtraceCpu) -> None:
        """The host has no memory for this guest, or has killed it."""
        self.sink.fault(cpu, CpuFault(VEC_PF, 0, PROT_READ, NO_MEMORY))

    def _stopped(self, cpu: PtraceCpu, tid: int, status: int) -> bool:
        """A stop that is no system call; True when `run` is over."""
        if status & 0xFF != STOPPED:
            cpu._space.process.alive = False
            self._lost(cpu)
            return True
        signal = status >> 8 & 0xFF
        if status >> 16 == PTRACE_EVENT_STOP or signal not in FAULT_SIGNALS:
            # An interruption that came too late, or a signal from outside: it never reaches the guest.
            return False
        try:
            request(PTRACE_GETSIGINFO, tid, 0, ctypes.addressof(self._siginfo))
            code = int.from_bytes(self._info[8:12], "little", signed=True)
            if code <= 0:
                return False
            request(PTRACE_GETREGS, tid, 0, cpu.registers.address)
        except TraceeGone:
            self._lost(cpu)
            return True
        cpu.words[ORIG_RAX] = cpu.orig_rax = WORD
        address = int.from_bytes(self._info[16:24], "little")
        if signal == SIGSYS:
            return self._refused(cpu)
        self.sink.fault(cpu, self._fault(cpu, signal, code, address))
        return True

    def _refused(self, cpu: PtraceCpu) -> bool:
        """A call that the filter does not even report."""
        words = cpu.words
        reason = int.from_bytes(self._info[4:8], "little")
        if reason == TRAP_VSYSCALL:
            # The host has already returned from the vsyscall page.
            number = int.from_bytes(self._info[24:28], "little")
            cpu.orig_rax = number
            cpu.changed = True
            value = self.sink.syscall(cpu, number, (words[RDI], words[RSI], words[RDX], words[R10], words[R8],
                                                    words[R9]))
            if value is None:
                return True
            words[RAX] = value & WORD
            return False
        if reason == TRAP_FOREIGN:
            words[RIP] -= 2
            cpu.changed = True
        else:
            self._forgeries += 1
            if self._forgeries > MAX_FORGERIES:
                self._lost(cpu)
                return True
        self.sink.fault(cpu, CpuFault(VEC_GP))
        return True

    def _fault(self, cpu: PtraceCpu, signal: int, code: int, address: int) -> CpuFault:
        if signal == SIGSEGV:
            if code == SI_KERNEL:
                return CpuFault(VEC_GP)
            return CpuFault(VEC_PF, address, self._access(cpu, address), UNMAPPED if code == SEGV_MAPERR else DENIED)
        if signal == SIGBUS:
            if code == BUS_ADRALN:
                return CpuFault(VEC_AC)
            return CpuFault(VEC_PF, address, self._access(cpu, address), BEYOND_EOF)
        if signal == SIGILL:
            return CpuFault(VEC_UD)
        if signal == SIGFPE:
            if code == FPE_INTDIV:
                return CpuFault(VEC_DE)
            image = cpu.fpstate()
            control, state = int.from_bytes(image[0:2], "little"), int.from_bytes(image[2:4], "little")
            return CpuFault(VEC_MF if state & ~control & 0x3F else VEC_XM)
        return CpuFault(VEC_BP if code == SI_KERNEL else VEC_DB)

    def _access(self, cpu: PtraceCpu, address: int) -> int:
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
        except Exception:
            return PROT_READ
        return PROT_WRITE if writes_memory(code) else PROT_READ


def only_bases_refused(words: memoryview) -> bool:
    """Whether a failed PTRACE_SETREGS matters not: guest code may give itself a segment base in the kernel's half
    (WRGSBASE), which a tracer may not write; the host stores the bases after everything else, and these are as the
    thread has them."""
    return get_errno() == EIO and max(words[FS_BASE], words[GS_BASE]) >= TASK_SIZE


def _auxiliary(kind: int) -> int:
    getauxval = libc.getauxval
    getauxval.restype = ctypes.c_ulong
    getauxval.argtypes = [ctypes.c_ulong]
    return int(getauxval(kind))


def _reason(error: Exception) -> str:
    if isinstance(error, TraceeGone):
        return "the first guest process was killed by the system"
    assert isinstance(error, OSError)
    if error.strerror != os.strerror(error.errno or 0):
        return f"{error.strerror} ({os.strerror(error.errno or 0)})"
    if error.errno in (1, 13):
        words = "tracing processes is not permitted here (a container's seccomp profile, or kernel.yama.ptrace_scope)"
        try:
            with open("/proc/sys/kernel/yama/ptrace_scope", encoding="ascii") as file:
                if file.read(1) in "23":
                    words = "kernel.yama.ptrace_scope forbids tracing processes"
        except OSError:
            pass
        return words
    return f"{error.strerror or error}"
