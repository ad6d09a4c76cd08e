"""The one emulated x86-64 processor: brought up as a kernel would, with guest RAM, and its state reached from outside.

Brought up means long mode, paging, user code at privilege level 3 in CS 0x33.  Segment registers are never written
through Unicorn's API, which would load them the real-mode way and drop to level 0: SYSRET does it once, at the start.

Exceptions are never delivered to a guest kernel, so the emulator remembers the last one as still being delivered and
makes a double fault of the next.  The way to that memory is a saved context, which also holds CR2 and the error code.
"""

from __future__ import annotations

import ctypes
import struct

from translator.engines import fpstate
from translator.engines.unicorn_binding import (
    CTL_REMOVE_CACHE,
    CTL_TLB_FLUSH,
    CTL_USE_EXITS,
    REG_CR0,
    REG_CR2,
    REG_CR3,
    REG_CR4,
    REG_MSR,
    REG_R11,
    REG_RCX,
    REG_RIP,
    UC_ARCH_X86,
    UC_HOOK_MEM_FETCH_UNMAPPED,
    UC_MODE_64,
    UC_PROT_ALL,
    EngineError,
    Library,
)
from translator.machine import VEC_PF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from translator.engines.ram import Ram

MSR_EFER, MSR_STAR = 0xC0000080, 0xC0000081
EFER = 0xD01  # SCE, LME, LMA, NXE
STAR = 0x23 << 48  # SYSRET loads CS = 0x23 + 16 | 3, SS = 0x23 + 8 | 3
CR0 = 0x80010033  # PG, WP, NE, ET, MP, PE
CR4 = 0x50620  # OSXSAVE, FSGSBASE, OSXMMEXCPT, OSFXSR, PAE
SYSRETQ = b"\x48\x0f\x07"
TABLE = 0x27  # present, writable, user, accessed
LARGE_PAGE = 0xE7  # the same, dirty, 1 GiB
NOWHERE = 0xFFFF_8000_DEAD_0000
"""An address that no guest can map."""
PF_WRITE, PF_USER, PF_FETCH = 2, 4, 0x10
"""Bits of a page fault's error code."""
NO_EXCEPTION = b"\xff\xff\xff\xff"
ALL_ADDRESSES = 0xFFFF_FFFF_FFFF_FFFF

_UNMAPPED_HOOK = ctypes.PYFUNCTYPE(ctypes.c_bool)


class Processor:
    def __init__(self, library: Library, ram: Ram) -> None:
        """EngineError."""
        self.library = library
        self.ram = ram
        handle = ctypes.c_void_p()
        self._check(library.open(UC_ARCH_X86, UC_MODE_64, ctypes.byref(handle)))
        self.address: int = handle.value or 0
        self.uc = handle
        self._keep: list[Any] = []
        self._scratch = ctypes.c_uint64()
        self._scratch_address = ctypes.addressof(self._scratch)
        self._check(library.mem_map_ptr(self.address, 0, ram.size, UC_PROT_ALL, ram.address))

        self.write(REG_RCX, 16)
        self.write(REG_R11, 0x202)
        self._write_msr(MSR_EFER, EFER)
        self._write_msr(MSR_STAR, STAR)
        ram.bytes[0:3] = SYSRETQ
        self._check(library.emu_start(self.address, 0, 16, 0, 0))
        # From here on RIP decides nothing about stopping.
        self._check(library.ctl(self.address, CTL_USE_EXITS, ctypes.c_uint64(1)))
        self.stops_between_blocks = self._stop_between_blocks_only()

        # The identity view of all RAM, in 1 GiB pages, for forget_code; no guest ever runs on it.
        table = ram.take_zeroed()
        self.identity = ram.take_zeroed()
        ram.words[self.identity << 9] = table << 12 | TABLE
        for number in range((ram.size + (1 << 30) - 1) >> 30):
            ram.words[(table << 9) + number] = number << 30 | LARGE_PAGE
        self.write(REG_CR4, CR4)
        self.set_tables(self.identity)
        self.write(REG_CR0, CR0)

        context = ctypes.c_void_p()
        self._check(library.context_alloc(self.address, ctypes.byref(context)))
        self.context_object = context
        size = library.context_size(self.address)
        self.context = memoryview((ctypes.c_char * size).from_address(context.value or 0)).cast("B")
        """What uc_context_save writes and uc_context_restore reads."""
        self.words = self.context[:size & -8].cast("Q")
        self._calibrate(size)
        self.flush_tlb()
        for number in (REG_RCX, REG_R11, REG_RIP):
            self.write(number, 0)
        registers = fpstate.batch()
        fpstate.load(registers, fpstate.INITIAL)
        library.reg_write_batch(self.uc, *registers.arguments)
        library.context_save(self.uc, context)
        self.context[self.old_exception:self.old_exception + 4] = NO_EXCEPTION
        self.pristine = bytes(self.context)
        """The registers that execve leaves, with RIP and RSP zero."""

        # Never called.  Where such a hook covers the address of a block being translated, Unicorn leaves out a walk
        # over the whole TLB (tlb_reset_dirty_by_vaddr), 10 us with a grown one, that pagetables.py makes needless;
        # but where it covers a physical address, stores stay slow.  So it covers all but the frames that are used.
        never = _UNMAPPED_HOOK(lambda: False)
        self.hook(UC_HOOK_MEM_FETCH_UNMAPPED, never, begin=0, end=(ram.first << 12) - 1)
        self.hook(UC_HOOK_MEM_FETCH_UNMAPPED, never, begin=ram.size, end=ALL_ADDRESSES)

    def _check(self, error: int) -> None:
        if error:
            raise EngineError(f"unicorn error {error}")

    # --- registers

    def write(self, number: int, value: int) -> None:
        self._scratch.value = value
        self._check(self.library.reg_write(self.address, number, self._scratch_address))

    def read(self, number: int) -> int:
        self._scratch.value = 0
        self.library.reg_read(self.address, number, self._scratch_address)
        return self._scratch.value

    def _write_msr(self, number: int, value: int) -> None:
        # struct uc_x86_msr: uint32_t rid, uint64_t value
        msr = (ctypes.c_uint64 * 2)(number, value)
        self._check(self.library.reg_write(self.address, REG_MSR, ctypes.addressof(msr)))

    def save(self) -> bytes:
        """All registers, as a saved context."""
        self.library.context_save(self.uc, self.context_object)
        return bytes(self.context)

    def restore(self, state: bytes, root: int) -> None:
        """Load all registers from a saved context; the page tables are those at frame `root`, as they are now."""
        self.context[:] = state
        self.words[self.cr2 + 1] = root << 12
        self.library.context_restore(self.uc, self.context_object)

    def stop(self) -> None:
        """Make the running guest stop at the next block."""
        self.library.emu_stop(self.address)

    # --- what is translated and cached

    def set_tables(self, root: int) -> None:
        """Use the page tables whose top is frame `root`; the TLB is flushed."""
        self.write(REG_CR3, root << 12)

    def flush_tlb(self) -> None:
        self.library.ctl(self.address, CTL_TLB_FLUSH)

    def forget_code(self, frames: list[int], root: int) -> None:
        """Drop all translations of code in these frames; `root` are the current page tables."""
        # Unicorn wants a virtual address: on the identity tables it is the physical one.
        self.set_tables(self.identity)
        ctl, u64 = self.library.ctl, ctypes.c_uint64
        frames = sorted(frames)
        start = previous = frames[0]
        for pfn in [*frames[1:], -1]:
            if pfn == previous + 1:
                previous = pfn
                continue
            ctl(self.address, CTL_REMOVE_CACHE, u64(start << 12), u64((previous + 1) << 12))
            start = previous = pfn
        self.set_tables(root)

    # --- set-up

    def hook(self, kind: int, callback: Any, *instruction: int, begin: int = 1, end: int = 0) -> None:
        """Call `callback`, a ctypes function, at each event of a kind; begin > end: at any address."""
        handle = ctypes.c_size_t()
        self._check(self.library.hook_add(
            self.address, ctypes.byref(handle), kind, ctypes.cast(callback, ctypes.c_void_p), None, begin, end,
            *[ctypes.c_int(number) for number in instruction]))
        self._keep.append(callback)

    def _stop_between_blocks_only(self) -> bool:
        """Make uc_emu_stop from another thread safe; False when that cannot be done.

        Unicorn looks for a stop after each memory access, in the middle of an instruction, and then restarts the
        whole instruction: ADD to memory adds twice.  The field `no_exit_request` of its engine structure, meant for
        ARM's conditional blocks, leaves those checks out, so that a stop happens between blocks only.  (It also makes
        memory accesses twice as fast.)  It is found by its neighbours: page size and mask, two host page sizes, cache
        line, context flags, context size, a zero `next_pc`, then the flags hook_insert, first_tb, no_exit_request,
        init_done.  The structure is longer than 12 KiB, because its jump buffers follow.
        """
        start = ctypes.string_at(self.address, 4096)
        mark = struct.pack("=II", 0x1000, 0xFFF)
        neighbours = struct.Struct("=QQiii4xQ4B")
        place = start.find(mark)
        while 0 <= place <= len(start) - 8 - neighbours.size:
            host_page, real_page, line, _, size, next_pc, insert, _, field, ready = neighbours.unpack_from(
                start, place + 8)
            header = self.library.context_size(self.address) - size
            if (place % 8 == 0 and host_page % 4096 == 0 and real_page % 4096 == 0 and 16 <= line <= 1024
                    and 0 < header <= 128 and next_pc == 0 and insert == 0 and field == 0 and ready == 1):
                ctypes.c_ubyte.from_address(self.address + place + 8 + 40 + 2).value = 1
                return True
            place = start.find(mark, place + 1)
        return False

    def _calibrate(self, size: int) -> None:
        """Find CR2, the error code and the pending exception in a saved context, by making a page fault."""
        pattern = 0x5AFE_C0DE_0BAD_F00D
        self.write(REG_CR2, pattern)
        before = self.save()
        cr2 = before.find(pattern.to_bytes(8, "little"))
        self.library.emu_start(self.address, NOWHERE, 0, 0, 0)
        after = self.save()
        exception = (NO_EXCEPTION, VEC_PF.to_bytes(4, "little"))
        error = (bytes(4), (PF_FETCH | PF_USER).to_bytes(4, "little"))
        changes = {place: (before[place:place + 4], after[place:place + 4])
                   for place in range(size - 512 & -4, size - 3, 4)}
        exceptions = [place for place, change in changes.items() if change == exception]
        errors = [place for place, change in changes.items() if change == error]
        if cr2 < 0 or cr2 % 8 or len(exceptions) != 1 or len(errors) != 1:
            raise EngineError("this build of libunicorn keeps its state in an unknown way")
        self.cr2 = cr2 // 8
        """Index into `words`; CR3 follows."""
        self.old_exception = exceptions[0]
        """Offset in the context of the exception being delivered, an int, -1 for none."""
        self.error_code = errors[0]
