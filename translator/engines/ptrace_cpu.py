"""One guest thread's registers in the ptrace engine.

The engine fetches all registers at each stop into the CPU's own buffer and stores them, if need be, when the thread
goes on.  A CPU has a host thread from the first time it runs until it is closed or moves to
another address space.
"""

from __future__ import annotations

from array import array

from translator.engines.placement import NOWHERE
from translator.engines.ptrace_binding import RegisterSet, TraceeGone
from translator.machine import CS, EFLAGS, FS_BASE, GS_BASE, ORIG_RAX, RAX, RIP, RSP, SS, TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.engines.ptrace import PtraceEngine
    from translator.engines.ptrace_space import PtraceSpace
    from translator.machine import AddressSpace

USER_CS, USER_SS = 0x33, 0x2B
WORD = (1 << 64) - 1
FLAGS_SETTABLE = 0x254DD5
"""CF PF AF ZF SF TF DF OF NT RF AC ID: user mode may change these."""
FLAGS_FIXED = 0x202
SW_RESERVED, XSTATE_HEADER = 464, 512
MXCSR_MASK = 0xFFFF


class PtraceCpu:
    """Implements machine.Cpu."""

    __slots__ = ("_space", "changed", "engine", "extended", "notice", "orig_rax", "owner", "place", "registers",
                 "result", "tid", "words")

    def __init__(self, engine: PtraceEngine, space: PtraceSpace) -> None:
        self.engine = engine
        self._space = space
        self.owner: object = None
        self.registers = RegisterSet()
        self.words = self.registers.words
        self.words[CS], self.words[SS], self.words[EFLAGS] = USER_CS, USER_SS, FLAGS_FIXED
        self.words[ORIG_RAX] = WORD
        """In the buffer always -1: the host shall make no call of its own and restart none."""
        self.orig_rax = WORD
        self.changed = True
        """The buffer is newer than the host thread's registers."""
        self.tid = 0
        """The host thread, 0 while there is none."""
        self.place = NOWHERE
        """The CPU it is on."""
        self.notice = 0
        """The notification that the host thread awaits the answer of; the buffer is out of date then."""
        self.result = 0
        """RAX of that answer."""
        self.extended: bytes | None = engine.initial_xstate
        """FPU and vector state, while it is newer than the host thread's."""

    @property
    def space(self) -> AddressSpace:
        return self._space

    @space.setter
    def space(self, space: AddressSpace) -> None:
        if space is not self._space:
            self._release()
            self._space = space  # type: ignore[assignment]

    # --- the host thread

    def bind(self) -> int:
        """Get a host thread.  MemoryError, TraceeGone."""
        self.tid = self._space.process.take_thread()
        self.place = NOWHERE
        self.changed = True
        return self.tid

    def _release(self) -> None:
        """Give the host thread back to its process."""
        if self.tid:
            self.extended = self.fpstate()
            process = self._space.process
            if process.alive:
                process.idle.append(self.tid)
            self.tid = 0

    def close(self) -> None:
        if self.tid:
            process = self._space.process
            if self.notice and process.alive:
                self.engine.withdraw(self)
            if process.alive:
                process.idle.append(self.tid)
            self.tid = 0

    # --- registers

    def get(self, reg: int) -> int:
        if reg == ORIG_RAX:
            return self.orig_rax
        if self.notice:
            self.engine.withdraw(self)
        return self.words[reg]

    def set(self, reg: int, value: int) -> None:
        if reg == ORIG_RAX:
            self.orig_rax = value & WORD
            return
        if self.notice:
            if reg == RAX:
                self.result = value & WORD
                return
            self.engine.withdraw(self)
        if reg == EFLAGS:
            value = value & FLAGS_SETTABLE | FLAGS_FIXED
        self.words[reg] = value & WORD
        self.changed = True

    def regs(self) -> list[int]:
        if self.notice:
            self.engine.withdraw(self)
        out = self.words.tolist()
        out[ORIG_RAX] = self.orig_rax
        return out

    def set_regs(self, regs: list[int]) -> None:
        if self.notice:
            self.engine.withdraw(self)
        words = self.words
        words[:] = array("Q", [value & WORD for value in regs])
        words[EFLAGS] = regs[EFLAGS] & FLAGS_SETTABLE | FLAGS_FIXED
        words[ORIG_RAX] = WORD
        words[CS], words[SS] = USER_CS, USER_SS
        for place in range(SS + 3, 27):
            words[place] = 0
        for place in (FS_BASE, GS_BASE):
            # The host refuses others, and the whole set with them.
            if words[place] >= TASK_SIZE:
                words[place] = 0
        self.orig_rax = regs[ORIG_RAX] & WORD
        self.changed = True

    def fpstate(self) -> bytes:
        if self.extended is not None:
            return self.extended
        if self.notice:
            self.engine.withdraw(self)
        try:
            image = self.engine.xstate.get(self.tid)
        except TraceeGone:
            return self.engine.initial_xstate
        return image

    def set_fpstate(self, image: bytes) -> None:
        if self.notice:
            self.engine.withdraw(self)
        state = bytearray(image)
        initial = self.engine.initial_xstate
        if len(state) < len(initial):
            state += bytes(len(initial) - len(state))
        if len(image) < XSTATE_HEADER + 64:
            state[XSTATE_HEADER] = 3
        mxcsr = int.from_bytes(state[24:28], "little") & MXCSR_MASK
        state[24:28] = mxcsr.to_bytes(4, "little")
        features = int.from_bytes(state[XSTATE_HEADER:XSTATE_HEADER + 8], "little") & self.engine.xfeatures
        state[XSTATE_HEADER:XSTATE_HEADER + 64] = features.to_bytes(8, "little") + bytes(56)
        # As PTRACE_GETREGSET shows it: the kernel's software bytes begin with the mask of what may be there.
        state[SW_RESERVED:SW_RESERVED + 48] = initial[SW_RESERVED:SW_RESERVED + 48]
        self.extended = bytes(state[:len(initial)])

    def reset(self, entry: int, stack: int) -> None:
        if self.notice:
            self.engine.withdraw(self)
        self.words[:] = array("Q", bytes(27 * 8))
        words = self.words
        words[CS], words[SS], words[EFLAGS] = USER_CS, USER_SS, FLAGS_FIXED
        words[ORIG_RAX] = self.orig_rax = WORD
        words[RIP], words[RSP] = entry & WORD, stack & WORD
        self.extended = self.engine.initial_xstate
        self.changed = True

    def clone(self, space: AddressSpace) -> PtraceCpu:
        if self.notice:
            self.engine.withdraw(self)
        twin = PtraceCpu(self.engine, space)  # type: ignore[arg-type]
        twin.words[:] = self.words
        twin.orig_rax = self.orig_rax
        twin.extended = self.fpstate()
        return twin
