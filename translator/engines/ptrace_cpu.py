"""One guest thread's registers in the ptrace engine.

The engine fetches all registers at each stop into the CPU's own buffer and stores them, if need be, when the thread
goes on.  A CPU has a host thread from the first time it runs until it is closed or moves to
another address space.
"""

from __future__ import annotations

import os
from array import array

from translator.engines.pico import CALL, EFAULT, FAULT_STOPS, STUB
from translator.engines.placement import NOWHERE
from translator.engines.ptrace_binding import (
    PTRACE_CONT,
    PTRACE_GETREGS,
    PTRACE_PEEKUSER,
    PTRACE_POKEUSER,
    PTRACE_SETREGS,
    TRAP_STOP,
    USER_DEBUGREG,
    RegisterSet,
    TraceeGone,
    get_errno,
    ptrace,
    request,
    wait_for,
)
from translator.machine import (
    CS,
    EFLAGS,
    FS_BASE,
    GS_BASE,
    ORIG_RAX,
    R9,
    R10,
    R12,
    RAX,
    RBX,
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
    from translator.engines.placement import Load
    from translator.engines.ptrace import PtraceEngine
    from translator.engines.ptrace_run import Call
    from translator.engines.ptrace_space import PtraceSpace
    from translator.machine import AddressSpace

NR_RSEQ, RSEQ_FLAG_UNREGISTER = 334, 1
NO_RSEQ = (0, 0, 0)
USER_CS, USER_SS = 0x33, 0x2B
UNDER_WAY = -1
EINVAL, ENOSPC = 22, 28
WORD = (1 << 64) - 1
FLAGS_SETTABLE = 0x254DD5
"""CF PF AF ZF SF TF DF OF NT RF AC ID: user mode may change these."""
FLAGS_FIXED = 0x202
SW_RESERVED, XSTATE_HEADER = 464, 512
MXCSR_MASK = 0xFFFF


class PtraceCpu:
    """Implements machine.Cpu."""

    __slots__ = ("_debugged", "_rseq", "_space", "alone", "away", "changed", "cpus", "earlier_ns", "engine", "extended",
                 "flushes", "free", "held", "load", "notice", "orig_rax", "owner", "place", "quick", "registers",
                 "result", "resumed_ns", "runs", "tid", "trap", "weighed_ns", "words")

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
        """The notification that the host thread awaits the answer of, UNDER_WAY while it runs; the buffer is out of
        date then."""
        self.trap: Call | None = None
        """A call that it has made, not served yet: number and arguments."""
        self.free = False
        """It is a thread that computes, and runs where the host likes.  `resumed_ns`: since when; `quick`: calls that
        it has made soon after one another."""
        self.resumed_ns = 0
        self.quick = 0
        self.away = False
        """It is kept off pylx's CPU, since it computes much between two calls while others wait for that CPU; `free`
        then, too.  Since it was last looked at (Placement.weigh; `weighed_ns`, and `load` as the host had measured it):
        `runs`, how often pylx ran it; `held`, how often others waited at the end of that; `alone`, calls from away that
        came when there was nothing else to do."""
        self.alone = self.held = self.runs = 0
        self.load: Load | None = None
        self.weighed_ns = 0
        self.flushes = 0
        """`flushes` of the space when a fault was last tried again."""
        self.earlier_ns = 0
        """CPU time of host threads that it had before, less what this one had been used for before."""
        self.result = 0
        """RAX of that answer."""
        self.cpus: set[int] | None = None
        """CPUs that the guest has chosen for it."""
        self._rseq = NO_RSEQ
        """Area, length and signature that the host knows of."""
        self._debugged = False
        """Debug registers of the host thread have been set."""
        self.extended: bytes | None = engine.initial_xstate
        """FPU and vector state, while it is newer than the host thread's."""

    @property
    def space(self) -> AddressSpace:
        return self._space

    @space.setter
    def space(self, space: AddressSpace) -> None:
        if space is not self._space:
            self._release()
            self._rseq = NO_RSEQ
            self.flushes = -1
            self._space = space  # type: ignore[assignment]

    # --- the host thread

    def bind(self) -> int:
        """Get a host thread.  MemoryError, TraceeGone."""
        process = self._space.process
        used = bool(process.idle)
        self.tid = process.take_thread()
        if used:
            self.earlier_ns -= _runtime_ns(self.tid)
        self.place = NOWHERE
        self.free = self.away = False
        self.load = None
        self.changed = True
        if self._rseq is not NO_RSEQ:
            area, length, signature = self._rseq
            if self._call(NR_RSEQ, area, length, 0, signature):
                # The host will not have it: the guest's critical sections could not be kept whole.
                raise MemoryError("rseq")
        return self.tid

    def _call(self, number: int, a: int, b: int, c: int, d: int) -> int:
        """Have the host thread itself, which is in a ptrace stop, make a call that needs no secret; its result.
        TraceeGone."""
        tid = self.tid
        registers = RegisterSet()
        words = registers.words
        words[:] = self.words
        words[EFLAGS] = FLAGS_FIXED
        words[RAX], words[RDI], words[RSI], words[RDX], words[R10] = number, a, b, c, d
        # As the stub's leader has it: one call, then the breakpoint.  But without the secret (seccomp.py).
        words[RBX], words[R9], words[R12], words[RIP] = STUB, 0, 1, CALL
        request(PTRACE_SETREGS, tid, 0, registers.address)
        self.changed = True
        while True:
            request(PTRACE_CONT, tid)
            status = wait_for(tid)
            if status == TRAP_STOP:
                request(PTRACE_GETREGS, tid, 0, registers.address)
                return (words[RAX] ^ 1 << 63) - (1 << 63)
            if status in FAULT_STOPS:
                return -EFAULT

    def allow(self, cpus: set[int]) -> None:
        self.cpus = cpus
        self.place = NOWHERE
        if self.free or self.running:
            self.away = False
            self.engine.placement.release(self.tid, cpus)
        elif self.tid:
            # A call that was served without a stop goes on without being placed anew.
            self.place = self.engine.placement.place(self.tid, cpus)

    def processor(self) -> int:
        try:
            with open(f"/proc/{self.tid}/task/{self.tid}/stat", "rb", buffering=0) as file:
                return int(file.read(1024).rpartition(b")")[2].split()[36])
        except (OSError, IndexError):
            return -1

    def rseq(self, area: int, length: int, signature: int) -> bool:
        if not self.tid:
            return False
        if self.notice:
            self._settle()
        old = self._rseq
        self._rseq = NO_RSEQ
        try:
            if not area:
                if old is NO_RSEQ:
                    return False
                try:
                    # No sequence is under way that the host should abort on the way to the stub.
                    os.pwrite(self._space.process.memory, bytes(8), old[0] + 8)
                except OSError:
                    pass
                return not self._call(NR_RSEQ, old[0], old[1], RSEQ_FLAG_UNREGISTER, old[2])
            if self._call(NR_RSEQ, area, length, 0, signature):
                return False
        except TraceeGone:
            return False
        self._rseq = area, length, signature
        return True

    def _release(self) -> None:
        """Give the host thread back to its process."""
        if self.tid:
            self.extended = self.fpstate()
            self.earlier_ns = self.time_ns()
            self._part()

    def _part(self) -> None:
        process = self._space.process
        self.engine.running.pop(self.tid, None)
        if self._debugged:
            self._debugged = False
            for number in (7, 0, 1, 2, 3, 6):
                ptrace(PTRACE_POKEUSER, self.tid, USER_DEBUGREG + 8 * number, 0)
        if process.alive:
            process.idle.append(self.tid)
        self.tid = 0

    def close(self) -> None:
        if self.tid:
            if self.notice and self._space.process.alive:
                self._settle()
            self._part()

    @property
    def running(self) -> bool:
        return self.notice == UNDER_WAY

    def halt(self) -> None:
        if self.notice:
            self._settle()
        elif self.trap is not None:
            self.words[RAX] = self.trap[0]
            self.words[RIP] -= 2
            self.orig_rax = WORD
            self.trap = None

    def _settle(self) -> None:
        """Make the buffer true."""
        if self.notice == UNDER_WAY:
            self.engine.halt(self)
        else:
            self.engine.withdraw(self)

    def time_ns(self) -> int:
        return self.earlier_ns + (_runtime_ns(self.tid) if self.tid else 0)

    # --- registers

    def get(self, reg: int) -> int:
        if reg == ORIG_RAX:
            return self.orig_rax
        if self.notice:
            self._settle()
        return self.words[reg]

    def set(self, reg: int, value: int) -> None:
        if reg == ORIG_RAX:
            self.orig_rax = value & WORD
            return
        if self.notice:
            if reg == RAX and self.trap is None and self.notice != UNDER_WAY:
                self.result = value & WORD
                return
            self._settle()
        if reg == EFLAGS:
            value = value & FLAGS_SETTABLE | FLAGS_FIXED
        self.words[reg] = value & WORD
        self.changed = True

    def regs(self) -> list[int]:
        if self.notice:
            self._settle()
        out = self.words.tolist()
        out[ORIG_RAX] = self.orig_rax
        return out

    def set_regs(self, regs: list[int]) -> None:
        if self.notice:
            self._settle()
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
            self._settle()
        try:
            image = self.engine.xstate.get(self.tid)
        except TraceeGone:
            return self.engine.initial_xstate
        return image

    def set_fpstate(self, image: bytes) -> None:
        if self.notice:
            self._settle()
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

    def debug_register(self, number: int) -> int:
        if not self._debugged:
            return 0
        if self.notice:
            self._settle()
        return int(ptrace(PTRACE_PEEKUSER, self.tid, USER_DEBUGREG + 8 * number, 0)) & WORD

    def set_debug_register(self, number: int, value: int) -> int:
        if not self._debugged and not value:
            return 0
        low, high = self._space.reserved
        if number < 4 and low - 8 < value < high:
            # The stub runs by breakpoints of its own.
            return EINVAL
        if self.notice:
            self._settle()
        try:
            tid = self.tid or self.bind()
        except (TraceeGone, MemoryError):
            return ENOSPC
        self._debugged = True
        return get_errno() if ptrace(PTRACE_POKEUSER, tid, USER_DEBUGREG + 8 * number, value) < 0 else 0

    def reset(self, entry: int, stack: int) -> None:
        if self.notice:
            self._settle()
        self.words[:] = array("Q", bytes(27 * 8))
        words = self.words
        words[CS], words[SS], words[EFLAGS] = USER_CS, USER_SS, FLAGS_FIXED
        words[ORIG_RAX] = self.orig_rax = WORD
        words[RIP], words[RSP] = entry & WORD, stack & WORD
        self.extended = self.engine.initial_xstate
        self.changed = True

    def clone(self, space: AddressSpace) -> PtraceCpu:
        if self.notice:
            self._settle()
        twin = PtraceCpu(self.engine, space)  # type: ignore[arg-type]
        twin.words[:] = self.words
        twin.orig_rax = self.orig_rax
        twin.extended = self.fpstate()
        twin.cpus = self.cpus
        if space is not self._space:
            twin._rseq = self._rseq
        return twin


def _runtime_ns(tid: int) -> int:
    """CPU time of a host thread; 0 when it is gone."""
    try:
        fd = os.open(f"/proc/{tid}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return _ticks_ns(tid)
    try:
        return int(os.read(fd, 64).split()[0])
    except OSError:
        return 0
    finally:
        os.close(fd)


def _ticks_ns(tid: int) -> int:
    """The same on hosts without scheduler statistics, in clock ticks."""
    try:
        with open(f"/proc/{tid}/task/{tid}/stat", "rb", buffering=0) as file:
            fields = file.read(1024).rpartition(b")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) * 10_000_000
