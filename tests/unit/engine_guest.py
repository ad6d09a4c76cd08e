"""What tests of the engine share: a recording kernel, a guest with a page of code, a file to map."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from translator.engines.unicorn import UnicornEngine
from translator.engines.unicorn_cpu import UnicornCpu
from translator.machine import PROT_EXEC, PROT_READ, PROT_WRITE, RIP, AddressSpace, Cpu, CpuFault, PageCache

CODE, STACK, DATA = 0x400000, 0x7FFF_0000_0000, 0x1000_0000
SLICE = 10_000_000_000

EXIT = bytes.fromhex("b83c000000 0f05")
GETPPID = bytes.fromhex("b86e000000 0f05")


class Recorder:
    """A kernel that notes what it is told; exit (60) stops the guest, others return what `serve` says."""

    def __init__(self) -> None:
        self.ready: list[Cpu] = []
        self.calls: list[tuple[int, tuple[int, ...]]] = []
        self.faults: list[CpuFault] = []
        self.serve: Callable[[Cpu, int], int | None] = lambda cpu, number: 0
        self.stopped = False
        """A call or a fault has stopped the guest: `run` did not just end with its slice."""

    def syscall(self, cpu: Cpu, number: int, args: tuple[int, int, int, int, int, int]) -> int | None:
        self.calls.append((number, args))
        value = None if number == 60 else self.serve(cpu, number)
        self.stopped = value is None
        return value

    def trapped(self, cpu: Cpu) -> None:
        """`Guest.go` runs it again anyway."""

    def killed(self, space: AddressSpace) -> None:
        self.stopped = True

    def fault(self, cpu: Cpu, fault: CpuFault) -> None:
        self.faults.append(fault)
        self.stopped = True


class Guest:
    """One space with a page of code, a stack and a page of data."""

    def __init__(self, engine: UnicornEngine) -> None:
        self.engine = engine
        self.sink = Recorder()
        engine.attach(self.sink)
        self.space = engine.new_space()
        self.cpu: UnicornCpu = engine.new_cpu(self.space)
        self.space.map(CODE, 0x4000, PROT_READ | PROT_EXEC, None, 0, False)
        self.space.map(STACK - 0x10000, 0x10000, PROT_READ | PROT_WRITE, None, 0, False)
        self.space.map(DATA, 0x10000, PROT_READ | PROT_WRITE, None, 0, False)

    def run(self, code: str | bytes, at: int = CODE) -> None:
        raw = bytes.fromhex(code) if isinstance(code, str) else code
        self.space.poke(at, raw)
        self.cpu.reset(at, STACK - 0x100)
        self.go(self.cpu)

    def go(self, cpu: Cpu) -> None:
        """Run until a call or a fault stops it; a slice may end at any time."""
        self.engine.attach(self.sink)
        self.sink.stopped = False
        while not self.sink.stopped:
            self.engine.run(cpu, SLICE)

    def fault(self, code: str) -> tuple[int, int, CpuFault]:
        """Run code that faults: the vector, RIP relative to the code, the fault."""
        self.run(code)
        (fault,) = self.sink.faults
        return fault.vector, self.cpu.get(RIP) - CODE, fault


class File:
    """A Backing in memory that notes what is written back."""

    volatile = False

    def __init__(self, content: bytes, key: Hashable = None) -> None:
        self.content = bytearray(content)
        self.key: Hashable = key if key is not None else id(self)
        self.page_cache: PageCache | None = None
        self.holders = 0
        self.reads: list[int] = []
        self.writes: list[tuple[int, int]] = []
        self.generation = 0

    def size(self) -> int:
        return len(self.content)

    def version(self) -> Hashable:
        return self.generation

    def read_page(self, offset: int, into: memoryview) -> int:
        self.reads.append(offset)
        data = self.content[offset:offset + len(into)]
        into[:len(data)] = data
        return len(data)

    def write_page(self, offset: int, data: bytes | memoryview) -> None:
        self.writes.append((offset, len(data)))
        self.content[offset:offset + len(data)] = data

    def retain(self) -> None:
        self.holders += 1

    def release(self) -> None:
        self.holders -= 1


class SharedPages(File):
    """Shared anonymous memory."""

    volatile = True

    def __init__(self, size: int) -> None:
        super().__init__(bytes(size))
