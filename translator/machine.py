"""The seam between guest execution and the Linux personality.

An *engine* runs guest instructions (`Cpu`) inside guest memory (`AddressSpace`) and reports traps to a
`TrapSink`, which is the kernel.  Nothing here knows what a system call means; nothing in `syscalls/` knows how
an instruction is run.  Addresses and lengths are bytes; mapping calls take page multiples.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sized
    from typing import Protocol

    class Poller(Protocol):
        """What `Engine.watch` needs of hosts.base.Poller."""

        def arm(self, fileno: int, mask: int, ready: Callable[[int], None]) -> None: ...
else:
    Protocol = object

PAGE_SIZE = 4096
PAGE_MASK = PAGE_SIZE - 1
TASK_SIZE = 0x7FFFFFFFF000
"""First address that no guest mapping may touch (arch/x86/include/asm/page_64.h, TASK_SIZE_MAX)."""

PROT_NONE = 0
PROT_READ = 1
PROT_WRITE = 2
PROT_EXEC = 4

# Register numbers: the order of struct user_regs_struct (sys/user.h), so that a ptrace engine copies it whole.
(R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI, ORIG_RAX, RIP, CS, EFLAGS, RSP, SS,
 FS_BASE, GS_BASE, DS, ES, FS, GS) = range(27)
NREGS = 27

# Exception vectors (Intel SDM vol. 3, table 6-1): what a fault that is not about memory reports.
VEC_DE, VEC_DB, VEC_BP, VEC_OF, VEC_BR, VEC_UD, VEC_NM = 0, 1, 3, 4, 5, 6, 7
VEC_GP, VEC_PF, VEC_MF, VEC_AC, VEC_XM = 13, 14, 16, 17, 19

# Why an access to guest memory failed.
UNMAPPED = "unmapped"    # no mapping there: SEGV_MAPERR
DENIED = "denied"        # a mapping without that right: SEGV_ACCERR
DEBUG_REGISTER = "debug-register"  # VEC_DB: a hardware breakpoint or watchpoint, not a single step
BEYOND_EOF = "beyond-eof"  # a file mapping past the file's last page, or unreadable there: BUS_ADRERR
NO_MEMORY = "no-memory"  # the engine's memory is exhausted: Linux's OOM killer would act (SIGKILL)


class GuestFault(Exception):
    """An access to guest memory that the mapping does not allow.

    `address` is the first byte that could not be reached, `access` one of PROT_READ, PROT_WRITE, PROT_EXEC,
    `reason` one of UNMAPPED, DENIED, BEYOND_EOF, NO_MEMORY.
    """

    def __init__(self, address: int, access: int, reason: str) -> None:
        super().__init__(address, access, reason)
        self.address = address
        self.access = access
        self.reason = reason


class CpuFault:
    """A trap of the guest's own instructions: vector, and for VEC_PF the memory access that failed."""

    __slots__ = ("access", "address", "reason", "vector")

    def __init__(self, vector: int, address: int = 0, access: int = 0, reason: str = "") -> None:
        self.vector = vector
        self.address = address
        self.access = access
        self.reason = reason

    def __repr__(self) -> str:
        return f"CpuFault(vector={self.vector}, address={self.address:#x}, access={self.access}, {self.reason!r})"


class Backing(Protocol):
    """What a mapping shows: a file, or a shared memory object.  Private anonymous memory has none (None).

    Two mappings of equal `key` show the same pages.  `version` changes whenever the content was changed behind
    the engine's back, so that cached pages of an earlier version are not shown to new mappings; what the engine
    wrote itself or was told of (`PageCache.written`) does not change it.
    An engine that keeps pages in memory hangs its cache on `page_cache`; while it is not None, whoever changes or
    reads the content through `read(2)` and `write(2)` must call its `written`, `truncated` and `before_read`.
    """

    key: Hashable
    page_cache: PageCache | None
    volatile: bool
    """The pages live in memory only (shared anonymous memory): nothing is written back, and they are freed when the
    last mapping is gone."""

    def size(self) -> int:
        """Length of the content in bytes, now."""

    def version(self) -> Hashable: ...

    def read_page(self, offset: int, into: memoryview) -> int:
        """Fill `into` (one or more pages) from byte `offset`, a page multiple.  Short past the end (the caller
        zeroes the rest); -1 when it cannot be read: the access is a SIGBUS."""

    def write_page(self, offset: int, data: bytes | memoryview) -> None:
        """Write dirty shared pages back (never past size()).  Must not raise: a failure is the backing's to remember
        and to report when it is asked to sync."""

    def retain(self) -> None:
        """One mapping more holds this object: it stays usable after its descriptor is closed."""

    def release(self) -> None: ...


class PageCache(Protocol):
    """The cached pages of one Backing: how read(2) and write(2) stay coherent with mappings."""

    def written(self, offset: int, data: bytes | memoryview) -> None:
        """The content was changed through a descriptor: show it in the mapped pages."""

    def truncated(self, size: int) -> None:
        """The content now ends at `size`: zero the tail, and make later pages fault (BEYOND_EOF)."""

    def before_read(self, offset: int, length: int) -> None:
        """Write back what mappings have dirtied in this range, so that the backing's own bytes are true."""


class AddressSpace(Protocol):
    """Guest memory of one process.  The kernel's `mm` keeps the Vma list and policy; this keeps the pages.

    `protect`, `move`, `fork` and `Engine.new_space` may raise MemoryError: ENOMEM.
    """

    reserved: tuple[int, int]
    """A range (start, end) that the engine uses itself and where nothing can be mapped; (0, 0) for none."""

    def map(self, addr: int, length: int, prot: int, backing: Backing | None, offset: int, shared: bool) -> None:
        """Establish a mapping, replacing what was there.  backing None: zero-filled private memory."""

    def unmap(self, addr: int, length: int) -> None: ...
    def protect(self, addr: int, length: int, prot: int) -> None: ...

    def move(self, old: int, new: int, length: int) -> None:
        """mremap: the pages and mappings of [old, old+length) appear at `new` (no overlap), old is unmapped."""

    def discard(self, addr: int, length: int) -> None:
        """MADV_DONTNEED: private pages are dropped, and read afresh from the backing or as zero."""

    def fork(self) -> AddressSpace:
        """A copy; private pages are shared copy-on-write."""

    def close(self) -> None:
        """Drop everything; dirty shared pages are written back."""

    def read(self, addr: int, length: int) -> bytes:
        """All bytes, or GuestFault at the first that cannot be read (rights are checked as for the guest)."""

    def write(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """All bytes, or GuestFault; bytes before the faulting page may have been written, as in the kernel."""

    def peek(self, addr: int, length: int) -> bytes:
        """As read, ignoring protection (ptrace, /proc/pid/mem, core dumps): GuestFault only if unmapped."""

    def poke(self, addr: int, data: bytes) -> None:
        """As write, ignoring protection: breaks copy-on-write in read-only private pages (FOLL_FORCE)."""

    def reach(self, addr: int, length: int, access: int) -> int:
        """How many bytes from `addr` on can be accessed (0..length); pages are faulted in."""

    def cstring(self, addr: int, limit: int) -> bytes | None:
        """The bytes before the first NUL, or None when there is none in `limit` bytes; GuestFault."""

    def cas32(self, addr: int, expected: int, new: int) -> int:
        """Atomic compare-and-swap of a 32-bit word; returns the old value."""

    def resident(self, addr: int, length: int, mapped: bool = False) -> bytes:
        """mincore: one byte a page, 1 when it is in memory; `mapped`: when the page tables have it."""

    def rss_pages(self) -> int:
        """Pages in memory now."""

    def sync(self, addr: int, length: int) -> None:
        """msync: write dirty shared pages back to their backing."""


class Cpu(Protocol):
    """One guest thread's registers.  Every method may be called inside `TrapSink.syscall` and between runs; a look at
    registers stops a thread that is running.

    Inside and after a system call RIP is that of the next instruction, RCX and R11 hold what the SYSCALL
    instruction leaves there (RIP and EFLAGS), ORIG_RAX the number.
    """

    owner: object
    """The kernel's Task: set by the kernel."""
    space: AddressSpace
    """May be replaced (execve) while the CPU is not running guest code."""

    @property
    def running(self) -> bool:
        """`Engine.run` has returned, but the thread runs on."""

    def halt(self) -> None:
        """Stop it if it is running; a call that it has made and that was not served yet is made again later."""

    def time_ns(self) -> int:
        """CPU time that the guest's instructions have taken; -1 when the engine does not know, and the kernel has to
        measure `run`."""

    def allow(self, cpus: set[int]) -> None:
        """The host's CPUs that it may run on, where that can be chosen."""

    def processor(self) -> int:
        """The CPU that it ran on last; -1 when that means nothing."""

    def rseq(self, area: int, length: int, signature: int) -> bool:
        """Register a restartable sequence area (man 2 rseq; area 0: none) with who schedules this thread.  False when
        that is the kernel alone, because no two threads run at once."""

    def get(self, reg: int) -> int: ...
    def set(self, reg: int, value: int) -> None: ...
    def regs(self) -> list[int]:
        """All 27, unsigned 64-bit, in user_regs_struct order."""

    def set_regs(self, regs: list[int]) -> None: ...

    def fpstate(self) -> bytes:
        """The FXSAVE/XSAVE image as the kernel puts it on a signal frame (without the software bytes)."""

    def set_fpstate(self, image: bytes) -> None: ...

    def debug_register(self, number: int) -> int:
        """DR0 to DR3, DR6 or DR7; 0 when the engine has none."""

    def set_debug_register(self, number: int, value: int) -> int:
        """0, or Linux's errno: ENOSPC when the engine has none (or the host none left), EINVAL for what cannot be
        watched.  A new CPU, and one on a new space, has them clear."""

    def reset(self, entry: int, stack: int) -> None:
        """The state that execve leaves: all general registers 0, MXCSR 0x1f80, FPCW 0x37f, EFLAGS 0x202."""

    def clone(self, space: AddressSpace) -> Cpu:
        """A new CPU with the same registers, on `space`."""

    def close(self) -> None: ...


class TrapSink(Protocol):
    """What an engine reports to: the kernel."""

    @property
    def ready(self) -> Sized:
        """Who could run now, the one that is running left out."""

    def syscall(self, cpu: Cpu, number: int, args: tuple[int, int, int, int, int, int]) -> int | None:
        """Serve a call.  An int is the value for RAX: the guest goes on at once.  None: the guest must stop (the
        call sleeps, the task ended, or its registers were replaced); the kernel resumes it by `Engine.run`."""

    def fault(self, cpu: Cpu, fault: CpuFault) -> None:
        """The guest's instruction at RIP faulted and the engine has stopped it there."""

    def trapped(self, cpu: Cpu) -> None:
        """A thread that was running has stopped: it wants `Engine.run`, if nothing keeps it."""

    def killed(self, space: AddressSpace) -> None:
        """The host has killed what runs in an address space, while it was waiting for something."""


class Engine(Protocol):
    """Runs guest code.  One engine serves all guest processes of a run.

    One that has a vDSO in every new space also has `vdso_base` (AT_SYSINFO_EHDR; 0: none after all) and `vdso_parts`,
    tuples of start, end and whether it is the code.  One whose CPU has more state than SSE's says by
    `signal_frame_size` how much of the stack a signal takes (AT_MINSIGSTKSZ).
    """

    name: str

    @property
    def running(self) -> Mapping[int, Cpu]:
        """The CPUs that are running now although no `run` waits for them; always empty where one runs at a time."""

    def watch(self, poller: Poller) -> None:
        """Have the poller wake up when one of them traps; `TrapSink.trapped` is called then."""

    def attach(self, sink: TrapSink) -> None: ...
    def new_space(self) -> AddressSpace: ...
    def new_cpu(self, space: AddressSpace) -> Cpu: ...

    def run(self, cpu: Cpu, slice_ns: int) -> None:
        """Run guest code until the sink stops it, it faults, `kick` is called or the time slice ends.  It may be left
        running (`Cpu.running`)."""

    def kick(self) -> None:
        """Make the current `run` return soon.  Callable from a signal handler and from another thread."""

    def hwcap(self) -> tuple[int, int]:
        """AT_HWCAP (CPUID.1:EDX) and AT_HWCAP2."""

    def cpuinfo(self) -> dict[str, str]:
        """The CPU as the guest sees it, by /proc/cpuinfo's field names."""

    def close(self) -> None: ...
