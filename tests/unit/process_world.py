"""A kernel whose guests are Python generators: `result = yield (number, arguments...)` is a system call.

The fake CPU keeps registers and a stack pointer, so that signal frames, restarts and sigreturn are the real ones; a
signal handler is a Python function at an address of its own.  Time is virtual.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Hashable, Mapping
from inspect import GEN_CREATED, getgeneratorstate
from types import SimpleNamespace
from typing import Any

from syscalls.calls import load
from syscalls.clock import VirtualClock
from syscalls.credentials import Credentials
from syscalls.fd import FdTable
from syscalls.kernel import Kernel
from syscalls.signals import GroupSignals, SignalHandlers, TaskSignals
from syscalls.task import RLIM_INFINITY, RLIMIT_CORE, ProcessGroup, Session, Task, ThreadGroup
from syscalls.usermem import UserMemory
from translator.machine import (
    CS,
    EFLAGS,
    NREGS,
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
    UNMAPPED,
    CpuFault,
    GuestFault,
)

SYSCALL_IP, AFTER_IP = 0x401000, 0x401002
HANDLERS = 0x500000
STACK = 0x70000
MEMORY = 0x80000
RESTORER = 0x600000

Program = Generator[tuple[int, ...], int, None]
load()


class Space:
    """0x80000 bytes of memory; copied by fork."""

    def __init__(self, content: bytes = bytes(MEMORY)) -> None:
        self.content = bytearray(content)

    def read(self, addr: int, length: int) -> bytes:
        self._check(addr, length, 1)
        return bytes(self.content[addr:addr + length])

    def write(self, addr: int, data: bytes) -> None:
        self._check(addr, len(data), 2)
        self.content[addr:addr + len(data)] = data

    def cas32(self, addr: int, expected: int, new: int) -> int:
        old = int.from_bytes(self.read(addr, 4), "little")
        if old == expected:
            self.write(addr, new.to_bytes(4, "little"))
        return old

    def _check(self, addr: int, length: int, access: int) -> None:
        if addr < 0x1000:
            raise GuestFault(addr, access, UNMAPPED)
        if addr + length > MEMORY:
            raise GuestFault(max(addr, MEMORY), access, UNMAPPED)

    def rss_pages(self) -> int:
        return 10

    def close(self) -> None:
        """Nothing to free."""


class FakeMm:
    guards = None

    def __init__(self, space: Space) -> None:
        self.space = space
        self.users = 1
        self.mem = UserMemory(self, space)  # type: ignore[arg-type]

    def retain(self) -> FakeMm:
        self.users += 1
        return self

    def drop(self) -> None:
        self.users -= 1

    def fork(self, task: Task) -> FakeMm:
        return FakeMm(Space(bytes(self.space.content)))

    def grow_stack(self, addr: int) -> bool:
        return False

    def find(self, addr: int) -> None:
        return None

    def futex_key(self, addr: int, private: bool) -> Hashable:
        return (id(self), addr)


class FakeCpu:
    def __init__(self, engine: FakeEngine, space: Space) -> None:
        self.engine = engine
        self.space = space
        self.owner: Any = None
        self.registers = [0] * NREGS
        self.registers[CS], self.registers[SS], self.registers[EFLAGS] = 0x33, 0x2B, 0x202
        self.registers[RSP] = STACK
        self.registers[RIP] = AFTER_IP
        self.fpu = bytes(576)
        self.programs: list[Program] = []
        self.started = False
        self.children: list[Program] = []
        """What the next children run."""

    running = False

    def halt(self) -> None:
        """It does not run."""

    def time_ns(self) -> int:
        return -1

    def allow(self, cpus: set[int]) -> None:
        """All guest code runs on one virtual CPU."""

    def processor(self) -> int:
        return -1

    def rseq(self, area: int, length: int, signature: int) -> bool:
        return False

    def get(self, reg: int) -> int:
        return self.registers[reg]

    def set(self, reg: int, value: int) -> None:
        self.registers[reg] = value & (1 << 64) - 1

    def regs(self) -> list[int]:
        return list(self.registers)

    def set_regs(self, regs: list[int]) -> None:
        self.registers = [value & (1 << 64) - 1 for value in regs]

    def fpstate(self) -> bytes:
        return self.fpu

    def set_fpstate(self, image: bytes) -> None:
        self.fpu = image

    def clone(self, space: Space) -> FakeCpu:
        other = FakeCpu(self.engine, space)
        other.registers = list(self.registers)
        other.programs = [self.children.pop(0)]
        return other

    def close(self) -> None:
        """Nothing to free."""


class FakeEngine:
    name = "fake"
    running: Mapping[int, FakeCpu] = {}

    def __init__(self) -> None:
        self.sink: Any = None
        self.handlers: dict[int, Callable[[int, int, int], Program]] = {}

    def attach(self, sink: object) -> None:
        self.sink = sink

    def watch(self, poller: object) -> None:
        """Nothing runs by itself."""

    def close(self) -> None:
        """Nothing to free."""

    def run(self, cpu: FakeCpu, slice_ns: int) -> None:
        while True:
            ip = cpu.registers[RIP]
            handler = self.handlers.get(ip)
            if handler is not None:
                cpu.programs.append(handler(cpu.registers[RDI], cpu.registers[RSI], cpu.registers[RDX]))
                cpu.registers[RIP] = AFTER_IP
                result: int | None = None
            elif ip == SYSCALL_IP:
                if self._call(cpu):
                    return
                continue
            else:
                value = cpu.registers[RAX]
                result = value - (1 << 64) if value >> 63 else value
            program = cpu.programs[-1]
            try:
                created = getgeneratorstate(program) == GEN_CREATED
                call = next(program) if created else program.send(result or 0)
            except StopIteration:
                cpu.programs.pop()
                # The end of a handler is its return to the restorer; of the program, exit_group(0).
                call = (15,) if cpu.programs else (231, 0)
                if call == (15,):
                    cpu.registers[RSP] += 8
            if call[0] < 0:
                cpu.registers[RIP] = AFTER_IP
                self.sink.fault(cpu, CpuFault(14, -call[0], 2, UNMAPPED))
                return
            cpu.registers[RAX] = call[0]
            for register, value in zip((RDI, RSI, RDX, R10, R8, R9), (*call[1:], 0, 0, 0, 0, 0, 0), strict=False):
                cpu.registers[register] = value & (1 << 64) - 1
            if self._call(cpu):
                return

    def _call(self, cpu: FakeCpu) -> bool:
        """Issue the call in the registers; whether the guest has to stop."""
        registers = cpu.registers
        registers[RIP] = AFTER_IP
        args = tuple(registers[register] for register in (RDI, RSI, RDX, R10, R8, R9))
        value = self.sink.syscall(cpu, registers[RAX], args)
        if value is None:
            return True
        registers[RAX] = value & (1 << 64) - 1
        return False


class World:
    """A kernel with one process running `program`."""

    def __init__(self, program: Callable[[World], Program]) -> None:
        self.engine = FakeEngine()
        host = SimpleNamespace(
            poller=lambda: SimpleNamespace(poll=lambda timeout: None), nodename=lambda: b"box", random=bytes,
            cpus=lambda: 2, ppid=lambda: 1, pid=lambda: 100)
        self.kernel = Kernel(self.engine, host, VirtualClock(), deterministic=True)  # type: ignore[arg-type]
        self.kernel.next_pid = 100
        self.log: list[Any] = []
        kernel = self.kernel
        pid = kernel.allocate_pid()
        session = Session(1)
        group = ThreadGroup(kernel, pid, None, ProcessGroup(pid, session))
        mm = FakeMm(Space())
        cpu = FakeCpu(self.engine, mm.space)
        task = Task(kernel, pid, group, cpu)  # type: ignore[arg-type]
        group.leader = task
        group.rlimits = [(RLIM_INFINITY, RLIM_INFINITY)] * 16
        group.rlimits[RLIMIT_CORE] = (0, RLIM_INFINITY)
        group.signals = GroupSignals()
        kernel.init = group
        kernel.tasks[pid] = task
        kernel.groups[pid] = group
        kernel.process_groups[pid] = group.pgrp
        kernel.sessions[1] = session
        task.mm = mm  # type: ignore[assignment]
        task.mem = mm.mem
        task.cred = Credentials(0, 0, ())
        task.handlers = SignalHandlers()
        task.signals = TaskSignals()
        task.files = FdTable()
        task.fs = _Fs()  # type: ignore[assignment]
        self.task = task
        self.cpu = cpu
        cpu.programs = [program(self)]
        kernel.make_ready(task)

    def run(self) -> list[Any]:
        self.kernel.run()
        return self.log

    def handler(self, function: Callable[[int, int, int], Program]) -> int:
        """An address at which `function(signo, siginfo address, ucontext address)` handles signals."""
        address = HANDLERS + 16 * len(self.engine.handlers)
        self.engine.handlers[address] = function
        return address

    def current(self) -> Task:
        assert self.kernel.current is not None
        return self.kernel.current

    def space(self) -> Space:
        """The memory of whoever runs."""
        space = self.current().mm.space
        assert isinstance(space, Space)
        return space

    def put(self, addr: int, layout: str, *values: int) -> int:
        self.space().write(addr, struct.pack(layout, *values))
        return addr

    def get(self, addr: int, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.space().read(addr, struct.calcsize(layout)))

    def action(self, handler: int, flags: int = 0, mask: int = 0, addr: int = 0x2000) -> int:
        """A struct sigaction in guest memory."""
        return self.put(addr, "<QQQQ", handler, flags | 0x04000000, RESTORER, mask)

    def children(self, *programs: Program) -> None:
        """What the next children of the running task run."""
        self.current().cpu.children.extend(programs)  # type: ignore[attr-defined]


class _Fs:
    sharers = 1

    def copy(self) -> _Fs:
        return _Fs()

    def drop(self) -> None:
        """Nothing to free."""
