"""The Unicorn engine: runs guest code on any host, in one emulated x86-64 processor for all guest processes.

The processor is set up as a kernel would: long mode, paging, user code at privilege level 3 in CS 0x33.  So page
protection, privileged instructions and exceptions are the processor's own, and translated code, which it finds by
physical address, is shared by all processes, outliving fork and execve.  The kernel's part is played by Python:

* SYSCALL calls a hook; the kernel serves the call there and the guest goes on without leaving the emulator.
* Exceptions call another hook: a page fault that is just demand paging or copy-on-write is repaired there, anything
  else stops the guest and is reported.

Facts about Unicorn 2.1.4 that shape this file.  In a SYSCALL hook RIP is that of the instruction, and 2 is added after
the hook: a new RIP is written when the emulator has stopped.  Exceptions are never delivered, so the emulator
remembers the last one as still being delivered and makes a double fault of the next: `old_exception` is put back to
-1 through a saved context, the only door to it, which also has CR2 and the error code.  Python exceptions must not
leave a hook: they are kept, the emulator is stopped, and `run` raises them.  Segment registers are never written
through the API (it would load the real-mode way and drop to privilege level 0): SYSRET does it once, at the start.
"""

from __future__ import annotations

import ctypes
import struct

from translator.engines import fpstate
from translator.engines.cpuid import HWCAP, HWCAP2, cpuid, cpuinfo
from translator.engines.pagecache import PageStore
from translator.engines.preempt import slice_timer
from translator.engines.ram import Ram
from translator.engines.softmmu import Space
from translator.engines.unicorn_binding import (
    CTL_REMOVE_CACHE,
    CTL_TLB_FLUSH,
    CTL_USE_EXITS,
    INS_CPUID,
    INS_IN,
    INS_OUT,
    INS_RDTSC,
    INS_RDTSCP,
    INS_SYSCALL,
    REG_CR0,
    REG_CR2,
    REG_CR3,
    REG_CR4,
    REG_MSR,
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
    UC_ARCH_X86,
    UC_ERR_INSN_INVALID,
    UC_ERR_OK,
    UC_HOOK_INSN,
    UC_HOOK_INTR,
    UC_HOOK_MEM_FETCH_UNMAPPED,
    UC_MODE_64,
    UC_PROT_ALL,
    EngineError,
    Library,
    RegisterBatch,
)
from translator.engines.unicorn_cpu import WORD, RegisterFile, UnicornCpu
from translator.machine import (
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    VEC_GP,
    VEC_PF,
    VEC_UD,
    CpuFault,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from translator.machine import AddressSpace, Cpu, TrapSink

EngineUnavailable = EngineError

MSR_EFER, MSR_STAR = 0xC0000080, 0xC0000081
EFER = 0xD01  # SCE, LME, LMA, NXE
STAR = 0x23 << 48  # SYSRET loads CS = 0x23 + 16 | 3, SS = 0x23 + 8 | 3
CR0 = 0x80010033  # PG, WP, NE, ET, MP, PE
CR4 = 0x50620  # OSXSAVE, FSGSBASE, OSXMMEXCPT, OSFXSR, PAE
SYSRETQ = b"\x48\x0f\x07"
LARGE_PAGE = 0xE7  # present, writable, user, accessed, dirty, 1 GiB
NOWHERE = 0xFFFF_8000_DEAD_0000
"""An address that no guest can map."""
PF_WRITE, PF_FETCH = 2, 0x10
"""Bits of a page fault's error code."""
SLICE_INSTRUCTIONS = 250_000
"""Instructions in a slice of a deterministic run."""

GROWTH_TICKS, GROWTH_TICK_NS = 9, 1_000_000
"""From 64 entries, the least that the TLB can have, nine doublings lead to 32,768: 128 MiB."""
QUIET_SLICES = 4
"""A flush costs 130 ns for each page in use afterwards: 1 % of the time at worst."""

# Hooks that need no argument do not declare any: the caller passes them in registers, and converting costs 50 ns each.
_SYSCALL_HOOK = ctypes.PYFUNCTYPE(None)
_INTR_HOOK = ctypes.PYFUNCTYPE(None, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_size_t)
_INSN_HOOK = ctypes.PYFUNCTYPE(ctypes.c_int)
_IN_HOOK = ctypes.PYFUNCTYPE(ctypes.c_uint32, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_int, ctypes.c_size_t)
_OUT_HOOK = ctypes.PYFUNCTYPE(None, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32, ctypes.c_size_t)
_UNMAPPED_HOOK = ctypes.PYFUNCTYPE(ctypes.c_bool, ctypes.c_size_t, ctypes.c_int, ctypes.c_uint64, ctypes.c_int,
                                   ctypes.c_int64, ctypes.c_size_t)

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
        handle = ctypes.c_void_p()
        self._check(library.open(UC_ARCH_X86, UC_MODE_64, ctypes.byref(handle)))
        self.uc: int = handle.value or 0
        self.uc_object = ctypes.c_void_p(self.uc)
        self.ram = ram = Ram(memory or 0)
        ram.forget_code = self.forget_code
        self._check(library.mem_map_ptr(self.uc, 0, ram.size, UC_PROT_ALL, ram.address))
        self.store = PageStore(ram)
        self.registers = RegisterFile()

        self.current: UnicornCpu | None = None
        """Whose registers the processor holds."""
        self.loaded: Space | None = None
        """Whose page tables the processor uses."""
        self.tlb_stale = False
        """Entries of the loaded space have been reduced: flush before the guest goes on."""
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
        self._growth = 0
        self._quiet_slices = 0

        self._scratch = ctypes.c_uint64()
        self._scratch_address = ctypes.addressof(self._scratch)
        # rax rdi rsi rdx r10 r8 r9, as a system call wants them; then rip and flags.
        self._call = RegisterBatch((REG_RAX, REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9, REG_RIP, REG_RFLAGS))
        self._result = RegisterBatch((REG_RAX, REG_RCX, REG_R11))
        self._settle = RegisterBatch((REG_RCX, REG_R11))
        self._cpuid = RegisterBatch((REG_RAX, REG_RBX, REG_RCX, REG_RDX))

        self._boot()
        self.timer = slice_timer(library, self.uc)
        self._start = library.emu_start_unlocked if self.timer.needs_unlocked else library.emu_start

    def _check(self, error: int) -> None:
        if error:
            raise EngineError(f"unicorn error {error}")

    # --- setting up the processor

    def _write_register(self, number: int, value: int) -> None:
        self._scratch.value = value
        self._check(self.library.reg_write(self.uc, number, self._scratch_address))

    def _read_register(self, number: int) -> int:
        self._scratch.value = 0
        self.library.reg_read(self.uc, number, self._scratch_address)
        return self._scratch.value

    def _write_msr(self, number: int, value: int) -> None:
        # struct uc_x86_msr: uint32_t rid, uint64_t value
        msr = (ctypes.c_uint64 * 2)(number, value)
        self._check(self.library.reg_write(self.uc, REG_MSR, ctypes.addressof(msr)))

    def _boot(self) -> None:
        ram, library = self.ram, self.library
        self._write_msr(MSR_EFER, EFER)
        self._write_msr(MSR_STAR, STAR)
        ram.bytes[0:3] = SYSRETQ
        self._write_register(REG_RCX, 16)
        self._write_register(REG_R11, 0x202)
        self._check(library.emu_start(self.uc, 0, 16, 0, 0))
        # From here on RIP decides nothing about stopping.
        self._check(library.ctl(self.uc, CTL_USE_EXITS, ctypes.c_uint64(1)))

        self._stops_between_blocks = self._stop_between_blocks_only()

        # The identity view of all RAM, in 1 GiB pages, for forget_code; no guest ever runs on it.
        self._identity = ram.take_zeroed() << 12
        table = ram.take_zeroed()
        ram.words[self._identity >> 3] = table << 12 | 0x27
        for number in range((ram.size + (1 << 30) - 1) >> 30):
            ram.words[(table << 9) + number] = number << 30 | LARGE_PAGE
        self._write_register(REG_CR4, CR4)
        self._write_register(REG_CR3, self._identity)
        self._write_register(REG_CR0, CR0)

        self._keep: list[Any] = []
        self._hook(UC_HOOK_INTR, _INTR_HOOK(self._on_exception))
        self._hook(UC_HOOK_INSN, _SYSCALL_HOOK(self._syscall_hook()), INS_SYSCALL)
        self._hook(UC_HOOK_INSN, _INSN_HOOK(self._on_cpuid), INS_CPUID)
        self._hook(UC_HOOK_INSN, _IN_HOOK(self._on_in), INS_IN)
        self._hook(UC_HOOK_INSN, _OUT_HOOK(self._on_out), INS_OUT)
        # Never called.  Where such a hook covers the address of a block being translated, Unicorn leaves out a walk
        # over the whole TLB (tlb_reset_dirty_by_vaddr), 10 us with a grown one, that softmmu.py makes needless; but
        # where it covers a physical address, stores stay slow.  So it covers all but the frames that are used.
        never = _UNMAPPED_HOOK(lambda *_: False)
        self._hook(UC_HOOK_MEM_FETCH_UNMAPPED, never, begin=0, end=(ram.first << 12) - 1)
        self._hook(UC_HOOK_MEM_FETCH_UNMAPPED, never, begin=ram.size, end=WORD)
        if self.deterministic:
            self._hook(UC_HOOK_INSN, _INSN_HOOK(self._on_rdtsc), INS_RDTSC)
            self._hook(UC_HOOK_INSN, _INSN_HOOK(self._on_rdtsc), INS_RDTSCP)

        handle = ctypes.c_void_p()
        self._check(library.context_alloc(self.uc, ctypes.byref(handle)))
        self.context_object = handle
        size = library.context_size(self.uc)
        self.context = memoryview((ctypes.c_char * size).from_address(handle.value or 0)).cast("B")
        """What uc_context_save writes and uc_context_restore reads."""
        self._calibrate(size)
        for number in (REG_RCX, REG_R11, REG_RIP):
            self._write_register(number, 0)
        registers = fpstate.batch()
        fpstate.load(registers, fpstate.INITIAL)
        library.reg_write_batch(self.uc_object, *registers.arguments)
        library.context_save(self.uc_object, self.context_object)
        self.context[self._old_exception:self._old_exception + 4] = b"\xff" * 4
        self.pristine = bytes(self.context)
        """A processor as execve leaves it, with RIP and RSP zero."""

    def _stop_between_blocks_only(self) -> bool:
        """Make uc_emu_stop from another thread safe; False when that cannot be done.

        Unicorn looks for a stop after each memory access, in the middle of an instruction, and then restarts the
        whole instruction: ADD to memory adds twice.  The field `no_exit_request` of its engine structure, meant for
        ARM's conditional blocks, leaves those checks out, so that a stop happens between blocks only.  It is found
        by its neighbours: page size and mask, two host page sizes, cache line, context flags, context size, a zero
        `next_pc`, then the flags hook_insert, first_tb, no_exit_request, init_done.  The structure is more than
        12 KiB long, behind these fields alone.
        """
        start = ctypes.string_at(self.uc, 4096)
        place = start.find(struct.pack("=II", 0x1000, 0xFFF))
        if place < 0 or place % 8:
            return False
        host_page, real_page, line, _, size, next_pc, insert, _, field, ready = struct.unpack_from(
            "=QQiii4xQ4B", start, place + 8)
        header = self.library.context_size(self.uc) - size
        if (host_page % 4096 or real_page % 4096 or not 16 <= line <= 1024 or not 0 < header <= 128 or next_pc or insert
                or field or ready != 1):
            return False
        ctypes.c_ubyte.from_address(self.uc + place + 8 + 40 + 2).value = 1
        return True

    def _hook(self, kind: int, callback: Any, *instruction: int, begin: int = 1, end: int = 0) -> None:
        handle = ctypes.c_size_t()
        self._check(self.library.hook_add(
            self.uc, ctypes.byref(handle), kind, ctypes.cast(callback, ctypes.c_void_p), None, begin, end,
            *[ctypes.c_int(number) for number in instruction]))
        self._keep.append(callback)

    def _calibrate(self, size: int) -> None:
        """Find CR2, the error code and the pending exception in a saved context, by making a page fault."""
        library = self.library
        pattern = 0x5AFE_C0DE_0BAD_F00D
        self._write_register(REG_CR2, pattern)
        library.context_save(self.uc_object, self.context_object)
        before = bytes(self.context)
        self._cr2 = before.find(pattern.to_bytes(8, "little"))
        self._cr2_word = self._cr2 // 8
        self._calibrating = True
        library.emu_start(self.uc, NOWHERE, 0, 0, 0)
        self._calibrating = False
        library.context_save(self.uc_object, self.context_object)
        after = bytes(self.context)
        tail = range(size - 512 & -4, size - 3, 4)
        wanted = {(b"\xff\xff\xff\xff", VEC_PF.to_bytes(4, "little")): 0,
                  (bytes(4), (PF_FETCH | 4).to_bytes(4, "little")): 1}
        found: list[list[int]] = [[], []]
        for place in tail:
            kind = wanted.get((before[place:place + 4], after[place:place + 4]))
            if kind is not None:
                found[kind].append(place)
        if self._cr2 < 0 or self._cr2 % 8 or len(found[0]) != 1 or len(found[1]) != 1:
            raise EngineUnavailable("this build of libunicorn keeps its state in an unknown way")
        self._old_exception = found[0][0]
        self._error_code = found[1][0]
        self._context_words = self.context[:size & -8].cast("Q")
        library.ctl(self.uc, CTL_TLB_FLUSH)

    # --- Engine

    def attach(self, sink: TrapSink) -> None:
        self.sink = sink
        self._serve = sink.syscall

    def new_space(self) -> Space:
        return Space(self)

    def new_cpu(self, space: AddressSpace) -> UnicornCpu:
        return UnicornCpu(self, space, self.pristine)

    def hwcap(self) -> tuple[int, int]:
        return HWCAP, HWCAP2

    def cpuinfo(self) -> dict[str, str]:
        return cpuinfo()

    def kick(self) -> None:
        self._kicked = True
        self.library.emu_stop(self.uc)

    def close(self) -> None:
        """The emulator itself goes with the process: a last notification of the slice timer may still be under
        way, and must find it."""
        self.timer.close()
        self.ram.close()

    # --- switching

    def restore(self, state: bytes) -> None:
        """Load all registers from a saved context; the page tables stay."""
        self.context[:] = state
        self._context_words[self._cr2_word + 1] = self._root()
        self.library.context_restore(self.uc_object, self.context_object)

    def _root(self) -> int:
        return self._identity if self.loaded is None else self.loaded.root << 12

    def _save_current(self) -> None:
        if self.current is not None:
            self.library.context_save(self.uc_object, self.context_object)
            self.current.state = bytes(self.context)
            self.current = None

    def _load_space(self, space: AddressSpace) -> None:
        assert isinstance(space, Space)
        self.loaded = space
        self.tlb_stale = False
        self._growth = GROWTH_TICKS
        self._flushes += 1
        self._write_register(REG_CR3, space.root << 12)  # flushes the TLB

    def forget_code(self, frames: list[int]) -> None:
        """Drop all translations of code in these frames."""
        self._write_register(REG_CR3, self._identity)
        ctl, uc, u64 = self.library.ctl, self.uc, ctypes.c_uint64
        frames = sorted(frames)
        start = previous = frames[0]
        for pfn in [*frames[1:], -1]:
            if pfn == previous + 1:
                previous = pfn
                continue
            ctl(uc, CTL_REMOVE_CACHE, u64(start << 12), u64((previous + 1) << 12))
            start = previous = pfn
        self._write_register(REG_CR3, self._root())
        self.tlb_stale = False

    # --- running

    def run(self, cpu: Cpu, slice_ns: int) -> None:
        assert isinstance(cpu, UnicornCpu)
        if self.current is not cpu:
            self._save_current()
            self.restore(cpu.state)
            self.current = cpu
        if self.loaded is not cpu.space:
            self._load_space(cpu.space)
        elif self.tlb_stale:
            self._flush_tlb()
        self._trap = None
        self._kernel_stop = False
        rip = self._read_register(REG_RIP)
        if self.deterministic or not self._stops_between_blocks:
            error = self._start(self.uc, rip, 0, 0, SLICE_INSTRUCTIONS)
        else:
            error = self._run_slice(rip, slice_ns)
        self._kicked = False
        if self._rip_after_stop is not None:
            self._write_register(REG_RIP, self._rip_after_stop)
            self._rip_after_stop = None
        if self._error is not None:
            failure, self._error = self._error, None
            raise failure
        if self._trap is not None:
            self.sink.fault(cpu, self._trap)
        elif error == UC_ERR_INSN_INVALID:
            self.sink.fault(cpu, CpuFault(VEC_UD))
        elif error != UC_ERR_OK:
            raise EngineError(f"unicorn error {error} at {self._read_register(REG_RIP):#x}")

    def _run_slice(self, rip: int, slice_ns: int) -> int:
        """Run until something stops the guest; Unicorn's error.

        The TLB doubles only when it is flushed while it is nearly full, so a guest that computes without system calls
        would keep a tiny one.  After a switch its first milliseconds are therefore cut into ticks with a flush each,
        and later a slice now and then ends with one.
        """
        timer, start, uc = self.timer, self._start, self.uc
        while self._growth and slice_ns > GROWTH_TICK_NS:
            timer.arm(GROWTH_TICK_NS)
            flushes = self._flushes
            error: int = start(uc, rip, 0, 0, 0)
            timer.disarm()
            if self._kernel_stop or error or self._trap is not None or self._kicked:
                return error
            self._growth -= 1
            slice_ns -= GROWTH_TICK_NS
            if self._flushes == flushes:
                self._flush_tlb()
            rip = self._read_register(REG_RIP)
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
        self.tlb_stale = False
        self._flushes += 1
        self.library.ctl(self.uc, CTL_TLB_FLUSH)

    def settle(self) -> None:
        """While serving: put what SYSCALL leaves into RCX and R11, unless that is done."""
        if not self.settled:
            self.settled = True
            batch = self._settle
            batch.words[0] = self.next_rip
            batch.words[1] = self._flags
            self.library.reg_write_batch(self.uc_object, *batch.arguments)

    def _syscall_hook(self) -> Callable[[], None]:
        """The hook of SYSCALL: a closure, because each attribute of self would cost a look-up for every call."""
        library, uc = self.library, self.uc_object
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
        self.library.emu_stop(self.uc)

    def _fail(self, error: BaseException) -> None:
        """Keep an exception that must not leave a hook."""
        self.serving = None
        if self._error is None:
            self._error = error
        self._kernel_stop = True
        self.library.emu_stop(self.uc)

    def _on_exception(self, uc: int, vector: int, user: int) -> None:
        try:
            if self._calibrating:
                self.library.emu_stop(uc)
                return
            library, context, old = self.library, self.context, self._old_exception
            library.context_save(self.uc_object, self.context_object)
            if context[old] != 0xFF:
                context[old:old + 4] = b"\xff\xff\xff\xff"
                library.context_restore(self.uc_object, self.context_object)
            if self._trap is not None:
                # What follows a port instruction in its block still runs: the first fault counts.
                pass
            elif vector == VEC_PF:
                space = self.loaded
                assert space is not None
                address = self._context_words[self._cr2_word]
                code = context[self._error_code]
                access = PROT_EXEC if code & PF_FETCH else PROT_WRITE if code & PF_WRITE else PROT_READ
                reason = space.fault(address, access)
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
                self._rip_after_stop = self._read_register(REG_RIP) - 2
            library.emu_stop(uc)
        except BaseException as error:
            self._fail(error)

    def _on_cpuid(self) -> int:
        try:
            batch = self._cpuid
            words = batch.words
            self.library.reg_read_batch(self.uc_object, *batch.arguments)
            words[0], words[1], words[2], words[3] = cpuid(words[0] & 0xFFFFFFFF, words[2] & 0xFFFFFFFF)
            self.library.reg_write_batch(self.uc_object, *batch.arguments)
        except BaseException as error:
            self._fail(error)
        return 1

    def _on_rdtsc(self) -> int:
        try:
            self._tsc += 1000
            batch = self._cpuid
            words = batch.words
            self.library.reg_read_batch(self.uc_object, *batch.arguments)
            words[0] = self._tsc & 0xFFFFFFFF
            words[3] = self._tsc >> 32
            self.library.reg_write_batch(self.uc_object, *batch.arguments)
        except BaseException as error:
            self._fail(error)
        return 1

    def _forbidden(self) -> None:
        """A port instruction: user mode has no I/O privilege, but Unicorn lets it.  RIP is only near it."""
        self._trap = CpuFault(VEC_GP)
        self._rip_after_stop = self._read_register(REG_RIP)
        self.library.emu_stop(self.uc)

    def _on_in(self, uc: int, port: int, size: int, user: int) -> int:
        self._forbidden()
        return 0

    def _on_out(self, uc: int, port: int, size: int, value: int, user: int) -> None:
        self._forbidden()
