"""The Unicorn engine: runs guest code on any host, in one emulated x86-64 processor for all guest processes.

The processor is set up as a kernel would (processor.py).  So page
protection, privileged instructions and exceptions are the processor's own, and translated code, which it finds by
physical address, is shared by all processes, outliving fork and execve.  The kernel's part is played by Python:

* SYSCALL calls a hook; the kernel serves the call there and the guest goes on without leaving the emulator.
* Exceptions call another hook: a page fault that is just demand paging or copy-on-write is repaired there, anything
  else stops the guest and is reported.

Facts about Unicorn 2.1.4 that shape this file.  In a SYSCALL hook RIP is that of the instruction, and 2 is added after
the hook: a new RIP is written when the emulator has stopped.  Python exceptions must not leave a hook: they are kept,
the emulator is stopped, and `run` raises them.
"""

from __future__ import annotations

import ctypes
import struct

from translator.engines.cpuid import HWCAP, HWCAP2, cpuid, cpuinfo
from translator.engines.pagecache import PageStore
from translator.engines.preempt import slice_timer
from translator.engines.processor import NO_EXCEPTION, PF_FETCH, PF_WRITE, Processor
from translator.engines.ram import Ram
from translator.engines.softmmu import Space
from translator.engines.unicorn_binding import (
    INS_CPUID,
    INS_IN,
    INS_OUT,
    INS_RDTSC,
    INS_RDTSCP,
    INS_SYSCALL,
    INS_SYSENTER,
    REG_R8,
    REG_R9,
    REG_R10,
    REG_R11,
    REG_RAX,
    REG_RBX,
    REG_RCX,
    REG_RDI,
    REG_RDX,
    REG_RFLAGS,
    REG_RIP,
    REG_RSI,
    UC_ERR_INSN_INVALID,
    UC_ERR_OK,
    UC_HOOK_INSN,
    UC_HOOK_INTR,
    EngineError,
    Library,
    RegisterBatch,
)
from translator.engines.unicorn_cpu import WORD, RegisterFile, UnicornCpu
from translator.machine import (
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    VEC_DB,
    VEC_GP,
    VEC_PF,
    VEC_UD,
    CpuFault,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from translator.machine import AddressSpace, Cpu, Poller, TrapSink

EngineUnavailable = EngineError

SLICE_INSTRUCTIONS = 250_000
"""Instructions in a slice of a deterministic run."""

GROWTH_TICK_NS = 1_000_000
QUIET_SLICES = 4
"""A flush costs 130 ns for each page in use afterwards: 1 % of the time at worst."""

# Hooks that need no argument do not declare any: the caller passes them in registers, and converting costs 50 ns each.
_SYSCALL_HOOK = ctypes.PYFUNCTYPE(None)
_INTR_HOOK = ctypes.PYFUNCTYPE(None, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_size_t)
_INSN_HOOK = ctypes.PYFUNCTYPE(ctypes.c_int)

_unpack_call = struct.Struct("=9Q").unpack_from


class UnicornEngine:
    """Implements machine.Engine."""

    name = "unicorn"

    def __init__(self, memory: int | None = None, deterministic: bool = False) -> None:
        """`memory`: the most that guests may use, bytes; EngineUnavailable, MemoryError."""
        self.library = library = Library()
        if library.version >> 16 != 0x0201:
            raise EngineUnavailable(f"libunicorn {library.version >> 24}.{library.version >> 16 & 255}: 2.1 is wanted")
        self.deterministic = deterministic
        self.ram = ram = Ram(memory or 0)
        ram.forget_code = self.forget_code
        self.processor = Processor(library, ram)
        self.store = PageStore(ram)
        self.registers = RegisterFile()

        self.current: UnicornCpu | None = None
        """Whose registers the processor holds."""
        self.loaded: Space | None = None
        """Whose page tables the processor uses."""
        self.tlb_stale = False
        """Entries of the loaded space have been reduced: flush before the guest goes on."""
        self.tlb_stale_if_stopped = False
        """Such an entry goes away by itself if the guest goes on."""
        self.serving: UnicornCpu | None = None
        """The CPU whose system call is being served inside the hook."""
        self.next_rip = 0
        """While serving: RIP after the call."""
        self.rip_replaced = False
        self.settled = False
        """While serving: RCX and R11 already hold what SYSCALL leaves."""
        self._flags = 0
        self._trap: CpuFault | None = None
        self._rip_after_stop: int | None = None
        self._error: BaseException | None = None
        self._tsc = 0
        self._kernel_stop = False
        """The guest was stopped by a hook, not by the end of its slice."""
        self._kicked = False
        self._flushes = 0
        self._quiet_slices = 0

        # rax rdi rsi rdx r10 r8 r9, as a system call wants them; then rip and flags.
        self._call = RegisterBatch((REG_RAX, REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9, REG_RIP, REG_RFLAGS))
        self._result = RegisterBatch((REG_RAX, REG_RCX, REG_R11))
        self._settle = RegisterBatch((REG_RCX, REG_R11))
        self._cpuid = RegisterBatch((REG_RAX, REG_RBX, REG_RCX, REG_RDX))

        self._set_hooks()
        self.timer = slice_timer(library, self.processor.address)
        self._start = library.emu_start_unlocked if self.timer.needs_unlocked else library.emu_start

    def _set_hooks(self) -> None:
        hook = self.processor.hook
        hook(UC_HOOK_INTR, _INTR_HOOK(self._exception_hook()))
        hook(UC_HOOK_INSN, _SYSCALL_HOOK(self._syscall_hook()), INS_SYSCALL)
        hook(UC_HOOK_INSN, _INSN_HOOK(self._on_cpuid), INS_CPUID)
        hook(UC_HOOK_INSN, _INSN_HOOK(self._on_port), INS_IN)
        hook(UC_HOOK_INSN, _INSN_HOOK(self._on_port), INS_OUT)
        hook(UC_HOOK_INSN, _INSN_HOOK(self._on_port), INS_SYSENTER)
        if self.deterministic:
            hook(UC_HOOK_INSN, _INSN_HOOK(self._on_rdtsc), INS_RDTSC)
            hook(UC_HOOK_INSN, _INSN_HOOK(self._on_rdtsc), INS_RDTSCP)

    # --- Engine

    def attach(self, sink: TrapSink) -> None:
        self.sink = sink
        self._serve = sink.syscall

    def new_space(self) -> Space:
        return Space(self)

    def new_cpu(self, space: AddressSpace) -> UnicornCpu:
        return UnicornCpu(self, space, self.processor.pristine)

    def hwcap(self) -> tuple[int, int]:
        return HWCAP, HWCAP2

    def cpuinfo(self) -> dict[str, str]:
        return cpuinfo()

    running: Mapping[int, Cpu] = {}
    """One thread runs at a time, inside `run`."""

    def watch(self, poller: Poller) -> None:
        """Nothing runs by itself."""

    def kick(self) -> None:
        self._kicked = True
        self.processor.stop()

    def close(self) -> None:
        """The emulator itself goes with the process: a last notification of the slice timer may still be under
        way, and must find it."""
        self.timer.close()
        self.ram.close()

    # --- switching

    def root(self) -> int:
        """The frame of the page tables that the processor uses."""
        return self.processor.identity if self.loaded is None else self.loaded.root

    def _save_current(self) -> None:
        if self.current is not None:
            self.current.state = self.processor.save()
            self.current = None

    def _load_space(self, space: AddressSpace) -> None:
        assert isinstance(space, Space)
        self.loaded = space
        self.tlb_stale = self.tlb_stale_if_stopped = False
        self._flushes += 1
        self.processor.set_tables(space.root)

    def forget_code(self, frames: list[int]) -> None:
        """Drop all translations of code in these frames."""
        self.processor.forget_code(frames, self.root())
        self.tlb_stale = False

    # --- running

    def run(self, cpu: Cpu, slice_ns: int) -> None:
        assert isinstance(cpu, UnicornCpu)
        if self._kicked:
            self._kicked = False
            return
        if self.current is not cpu:
            self._save_current()
            self.processor.restore(cpu.state, self.root())
            self.current = cpu
        if self.loaded is not cpu.space:
            self._load_space(cpu.space)
        elif self.tlb_stale or self.tlb_stale_if_stopped:
            self._flush_tlb()
        self._trap = None
        self._kernel_stop = False
        rip = self.processor.read(REG_RIP)
        if self.deterministic or not self.processor.stops_between_blocks:
            error = self._start(self.processor.address, rip, 0, 0, SLICE_INSTRUCTIONS)
        else:
            error = self._run_slice(rip, slice_ns)
        self._kicked = False
        if self._rip_after_stop is not None:
            self.processor.write(REG_RIP, self._rip_after_stop)
            self._rip_after_stop = None
        if self._error is not None:
            failure, self._error = self._error, None
            raise failure
        if self._trap is not None:
            self.sink.fault(cpu, self._trap)
        elif error == UC_ERR_INSN_INVALID:
            self.sink.fault(cpu, CpuFault(VEC_UD))
        elif error != UC_ERR_OK:
            raise EngineError(f"unicorn error {error} at {self.processor.read(REG_RIP):#x}")

    def _run_slice(self, rip: int, slice_ns: int) -> int:
        """Run until something stops the guest; Unicorn's error.

        The TLB doubles only when it is flushed while it is nearly full, so a guest that computes without system calls
        would keep a tiny one.  The first milliseconds of each address space are therefore cut into ticks with a flush
        each, and later a slice now and then ends with one.
        """
        timer, start, uc = self.timer, self._start, self.processor.address
        space = self.loaded
        assert space is not None
        while space.growth_ticks and slice_ns > GROWTH_TICK_NS:
            timer.arm(GROWTH_TICK_NS)
            flushes = self._flushes
            error: int = start(uc, rip, 0, 0, 0)
            timer.disarm()
            if self._kernel_stop or error or self._trap is not None or self._kicked:
                return error
            space.growth_ticks -= 1
            slice_ns -= GROWTH_TICK_NS
            if self._flushes == flushes:
                self._flush_tlb()
            rip = self.processor.read(REG_RIP)
        timer.arm(slice_ns)
        flushes = self._flushes
        error = start(uc, rip, 0, 0, 0)
        timer.disarm()
        if not self._kernel_stop and self._flushes == flushes:
            self._quiet_slices += 1
            if self._quiet_slices >= QUIET_SLICES:
                self._quiet_slices = 0
                self.tlb_stale = True
        return error

    def _flush_tlb(self) -> None:
        self.tlb_stale = self.tlb_stale_if_stopped = False
        self._flushes += 1
        self.processor.flush_tlb()

    def settle(self) -> None:
        """While serving: put what SYSCALL leaves into RCX and R11, unless that is done."""
        if not self.settled:
            self.settled = True
            batch = self._settle
            batch.words[0] = self.next_rip
            batch.words[1] = self._flags
            self.library.reg_write_batch(self.processor.uc, *batch.arguments)

    def _syscall_hook(self) -> Callable[[], None]:
        """The hook of SYSCALL: a closure, because each attribute of self would cost a look-up for every call."""
        library, uc = self.library, self.processor.uc
        read, write = library.reg_read_batch, library.reg_write_batch
        call_ids, call_pointers, call_count = self._call.arguments
        slots = self._call.slots
        result_ids, result_pointers, result_count = self._result.arguments
        words = self._result.words

        def on_syscall() -> None:
            try:
                read(uc, call_ids, call_pointers, call_count)
                number, a, b, c, d, e, f, rip, flags = _unpack_call(slots)
                cpu = self.serving = self.current
                assert cpu is not None
                cpu.orig_rax = number
                self.next_rip = rip = rip + 2
                self._flags = flags
                self.settled = self.rip_replaced = False
                value = self._serve(cpu, number & 0xFFFFFFFF, (a, b, c, d, e, f))
                self.serving = None
                if value is None:
                    self._stop_after_call()
                    return
                words[0] = value & WORD
                if self.settled:
                    write(uc, result_ids, result_pointers, 1)
                else:
                    words[1] = rip
                    words[2] = flags
                    write(uc, result_ids, result_pointers, result_count)
                if self.rip_replaced or self.loaded is not cpu.space:
                    self._stop_after_call()
                elif self.tlb_stale:
                    self._flush_tlb()
            except BaseException as error:
                self._fail(error)

        return on_syscall

    def _stop_after_call(self) -> None:
        """The guest must not go on: it sleeps or ends, or its RIP or address space was replaced."""
        self.settle()
        if self.rip_replaced:
            self._rip_after_stop = self.next_rip
        self._kernel_stop = True
        self.processor.stop()

    def _fail(self, error: BaseException) -> None:
        """Keep an exception that must not leave a hook."""
        self.serving = None
        if self._error is None:
            self._error = error
        self._kernel_stop = True
        self.processor.stop()

    def _exception_hook(self) -> Callable[[int, int, int], None]:
        """The hook of exceptions: a page fault that the kernel would repair silently is repaired here."""
        processor = self.processor
        save, restore = self.library.context_save, self.library.context_restore
        uc, context_object = processor.uc, processor.context_object
        context, words = processor.context, processor.words
        old, error_code, cr2 = processor.old_exception, processor.error_code, processor.cr2

        def on_exception(_: int, vector: int, user: int) -> None:
            try:
                save(uc, context_object)
                if context[old] != 0xFF:
                    context[old:old + 4] = NO_EXCEPTION
                    restore(uc, context_object)
                if vector == VEC_DB and self._kernel_stop:
                    # A single step over a system call that stops the guest: the kernel sees to the trap.
                    processor.stop()
                    return
                if self._trap is not None:
                    # What follows a port instruction in its block still runs: the first fault counts.
                    processor.stop()
                    return
                if vector == VEC_PF:
                    space = self.loaded
                    assert space is not None
                    address = words[cr2]
                    code = context[error_code]
                    access = PROT_EXEC if code & PF_FETCH else PROT_WRITE if code & PF_WRITE else PROT_READ
                    reason = space.fault(address, access, True)
                    if not reason:
                        if self.tlb_stale:
                            self._flush_tlb()
                        return
                    self._trap = CpuFault(VEC_PF, address, access, reason)
                elif vector <= 31:
                    self._trap = CpuFault(vector)
                else:
                    # INT n: no gate for user mode.  RIP is behind the two bytes; a fault reports the instruction.
                    self._trap = CpuFault(VEC_GP)
                    self._rip_after_stop = processor.read(REG_RIP) - 2
                processor.stop()
            except BaseException as error:
                self._fail(error)

        return on_exception

    def _on_cpuid(self) -> int:
        try:
            batch = self._cpuid
            words = batch.words
            self.library.reg_read_batch(self.processor.uc, *batch.arguments)
            words[0], words[1], words[2], words[3] = cpuid(words[0] & 0xFFFFFFFF, words[2] & 0xFFFFFFFF)
            self.library.reg_write_batch(self.processor.uc, *batch.arguments)
        except BaseException as error:
            self._fail(error)
        return 1

    def _on_rdtsc(self) -> int:
        try:
            self._tsc += 1000
            batch = self._cpuid
            words = batch.words
            self.library.reg_read_batch(self.processor.uc, *batch.arguments)
            words[0] = self._tsc & 0xFFFFFFFF
            words[3] = self._tsc >> 32
            self.library.reg_write_batch(self.processor.uc, *batch.arguments)
        except BaseException as error:
            self._fail(error)
        return 1

    def _on_port(self) -> int:
        """IN, OUT, SYSENTER: not for 64-bit user mode, but Unicorn lets them.  RIP is only near the instruction."""
        self._trap = CpuFault(VEC_GP)
        self._rip_after_stop = self.processor.read(REG_RIP)
        self.processor.stop()
        return 0
