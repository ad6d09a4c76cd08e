"""One guest thread's registers in the Unicorn engine.

The emulator has one processor.  The `Cpu` that ran last is *loaded*: its registers are the processor's.  All others
keep theirs as a saved context, the raw bytes that uc_context_save gives.
"""

from __future__ import annotations

from translator.engines import fpstate
from translator.engines.unicorn_binding import (
    REG_FS_BASE,
    REG_GS_BASE,
    REG_R8,
    REG_R9,
    REG_R10,
    REG_R11,
    REG_R12,
    REG_R13,
    REG_R14,
    REG_R15,
    REG_RAX,
    REG_RBP,
    REG_RBX,
    REG_RCX,
    REG_RDI,
    REG_RDX,
    REG_RFLAGS,
    REG_RIP,
    REG_RSI,
    REG_RSP,
    RegisterBatch,
)
from translator.machine import CS, DS, EFLAGS, ES, FS, GS, ORIG_RAX, R11, RCX, RIP, SS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.engines.unicorn import UnicornEngine
    from translator.machine import AddressSpace

USER_CS, USER_SS = 0x33, 0x2B
"""What Linux's 64-bit processes see in CS and SS (__USER_CS, __USER_DS)."""
WORD = 0xFFFF_FFFF_FFFF_FFFF
ENOSPC = 28
FLAGS_SETTABLE = 0x254DD5
"""CF PF AF ZF SF TF DF OF NT RF AC ID: user mode may change these."""
FLAGS_FIXED = 0x202

# In the order of machine.py's numbers; 0: not a register of the emulated processor's interface.
_NATIVE = (REG_R15, REG_R14, REG_R13, REG_R12, REG_RBP, REG_RBX, REG_R11, REG_R10, REG_R9, REG_R8, REG_RAX, REG_RCX,
           REG_RDX, REG_RSI, REG_RDI, 0, REG_RIP, 0, REG_RFLAGS, REG_RSP, 0, REG_FS_BASE, REG_GS_BASE, 0, 0, 0, 0)
# RIP comes last, so that a transfer can leave it out: inside a hook it must not be written.
_PLACES = (*(place for place, number in enumerate(_NATIVE) if number and place != RIP), RIP)
_GENERAL = tuple(_NATIVE[place] for place in _PLACES)
_FLAGS_SLOT = _PLACES.index(EFLAGS)
_SELECTORS = {CS: USER_CS, SS: USER_SS, DS: 0, ES: 0, FS: 0, GS: 0}


class RegisterFile:
    """Transfer buffers, one set per engine."""

    __slots__ = ("fpu", "general", "one")

    def __init__(self) -> None:
        self.general = RegisterBatch(_GENERAL)
        self.one = {number: RegisterBatch((number,)) for number in _GENERAL}
        self.fpu: RegisterBatch | None = None


class UnicornCpu:
    """Implements machine.Cpu."""

    __slots__ = ("engine", "orig_rax", "owner", "space", "state")

    def __init__(self, engine: UnicornEngine, space: AddressSpace, state: bytes) -> None:
        self.engine = engine
        self.space = space
        self.owner: object = None
        self.orig_rax = WORD
        self.state = state
        """The saved context; out of date while this CPU is loaded."""

    @property
    def running(self) -> bool:
        return False

    def halt(self) -> None:
        """Nothing: outside `run` it does not run."""

    def time_ns(self) -> int:
        return -1

    def allow(self, cpus: set[int]) -> None:
        """All guest code runs on one virtual CPU."""

    def processor(self) -> int:
        return -1

    def rseq(self, area: int, length: int, signature: int) -> bool:
        return False

    # A read or write of registers goes to the processor or to the saved context; the calls differ in name only.

    def _read(self, batch: RegisterBatch) -> None:
        engine = self.engine
        if engine.current is self:
            engine.library.reg_read_batch(engine.processor.uc, *batch.arguments)
        else:
            engine.processor.context[:] = self.state
            engine.library.context_reg_read_batch(engine.processor.context_object, *batch.arguments)

    def _write(self, batch: RegisterBatch) -> None:
        engine = self.engine
        if engine.current is self:
            engine.library.reg_write_batch(engine.processor.uc, *batch.arguments)
        else:
            engine.processor.context[:] = self.state
            engine.library.context_reg_write_batch(engine.processor.context_object, *batch.arguments)
            self.state = bytes(engine.processor.context)

    def get(self, reg: int) -> int:
        number = _NATIVE[reg]
        if not number:
            return self.orig_rax if reg == ORIG_RAX else _SELECTORS[reg]
        engine = self.engine
        if engine.serving is self:
            if reg == RIP:
                return engine.next_rip
            if reg in (RCX, R11):
                engine.settle()
        batch = engine.registers.one[number]
        self._read(batch)
        return batch.words[0]

    def set(self, reg: int, value: int) -> None:
        number = _NATIVE[reg]
        if not number:
            if reg == ORIG_RAX:
                self.orig_rax = value & WORD
            return
        engine = self.engine
        value &= WORD
        if engine.serving is self:
            if reg == RIP:
                engine.next_rip = value
                engine.rip_replaced = True
                return
            if reg in (RCX, R11):
                engine.settle()
        if reg == EFLAGS:
            value = value & FLAGS_SETTABLE | FLAGS_FIXED
        batch = engine.registers.one[number]
        batch.words[0] = value
        self._write(batch)

    def regs(self) -> list[int]:
        engine = self.engine
        serving = engine.serving is self
        if serving:
            engine.settle()
        batch = engine.registers.general
        self._read(batch)
        out = [0] * 27
        words = batch.words
        for slot, place in enumerate(_PLACES):
            out[place] = words[slot]
        if serving:
            out[RIP] = engine.next_rip
        out[ORIG_RAX] = self.orig_rax
        out[CS] = USER_CS
        out[SS] = USER_SS
        return out

    def set_regs(self, regs: list[int]) -> None:
        engine = self.engine
        batch = engine.registers.general
        words = batch.words
        for slot, place in enumerate(_PLACES):
            words[slot] = regs[place] & WORD
        words[_FLAGS_SLOT] = regs[EFLAGS] & FLAGS_SETTABLE | FLAGS_FIXED
        self.orig_rax = regs[ORIG_RAX] & WORD
        if engine.serving is self:
            engine.settled = True
            engine.next_rip = regs[RIP] & WORD
            engine.rip_replaced = True
            ids, pointers, count = batch.arguments
            engine.library.reg_write_batch(engine.processor.uc, ids, pointers, count - 1)
        else:
            self._write(batch)

    def fpstate(self) -> bytes:
        batch = self._fpu()
        batch.slots[:] = bytes(len(batch.slots))
        self._read(batch)
        return fpstate.image(batch)

    def set_fpstate(self, image: bytes) -> None:
        batch = self._fpu()
        fpstate.load(batch, image)
        self._write(batch)

    def _fpu(self) -> RegisterBatch:
        registers = self.engine.registers
        if registers.fpu is None:
            registers.fpu = fpstate.batch()
        return registers.fpu

    def reset(self, entry: int, stack: int) -> None:
        engine = self.engine
        self.orig_rax = WORD
        if engine.current is self:
            engine.processor.restore(engine.processor.pristine, engine.root())
        else:
            self.state = engine.processor.pristine
        if engine.serving is self:
            engine.settled = True
        self.set(RIP, entry)
        batch = engine.registers.one[REG_RSP]
        batch.words[0] = stack & WORD
        self._write(batch)

    def debug_register(self, number: int) -> int:
        return 0

    def set_debug_register(self, number: int, value: int) -> int:
        # DR7 keeps its reserved bits, and DR6 says what happened: clearing them is no wish.
        enables = value & 0xFF if number == 7 else 0 if number == 6 else value
        return ENOSPC if enables else 0

    def clone(self, space: AddressSpace) -> UnicornCpu:
        engine = self.engine
        if engine.serving is self:
            engine.settle()
        if engine.current is self:
            state = engine.processor.save()
        else:
            state = self.state
        twin = UnicornCpu(engine, space, state)
        twin.orig_rax = self.orig_rax
        if engine.serving is self:
            twin.set(RIP, engine.next_rip)
        return twin

    def close(self) -> None:
        engine = self.engine
        if engine.current is self and engine.serving is not self:
            engine.current = None
        self.state = b""
