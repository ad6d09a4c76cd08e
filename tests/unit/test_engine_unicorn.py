"""The Unicorn engine: traps, registers and time slices, on hand-assembled code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.engine_guest import CODE, DATA, EXIT, GETPPID, STACK, Guest
from translator.engines.unicorn import UnicornEngine
from translator.machine import (
    DENIED,
    EFLAGS,
    ORIG_RAX,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    R10,
    R11,
    RAX,
    RBX,
    RCX,
    RIP,
    RSP,
    UNMAPPED,
    VEC_BP,
    VEC_DE,
    VEC_GP,
    VEC_PF,
    VEC_UD,
    Cpu,
)


@pytest.fixture(scope="module")
def engine() -> Iterator[UnicornEngine]:
    engine = UnicornEngine()
    yield engine
    engine.close()


@pytest.fixture
def guest(engine: UnicornEngine) -> Iterator[Guest]:
    guest = Guest(engine)
    yield guest
    guest.cpu.close()
    guest.space.close()


def test_a_call_passes_its_arguments_and_result(guest: Guest) -> None:
    guest.sink.serve = lambda cpu, number: -38
    # mov eax,1; mov edi,11; mov esi,12; mov edx,13; mov r10d,14; mov r8d,15; mov r9d,16; syscall; mov rbx,rax
    guest.run(bytes.fromhex("b801000000 bf0b000000 be0c000000 ba0d000000 41ba0e000000 41b80f000000 41b910000000 0f05"
                            "4889c3") + EXIT)
    assert guest.sink.calls[0] == (1, (11, 12, 13, 14, 15, 16))
    assert guest.cpu.get(RBX) == 2**64 - 38
    assert guest.sink.calls[1][0] == 60


def test_registers_inside_and_after_a_call(guest: Guest) -> None:
    seen: list[int] = []

    def serve(cpu: Cpu, number: int) -> int | None:
        seen.extend([cpu.get(RIP), cpu.get(RCX), cpu.get(R11), cpu.get(ORIG_RAX), *cpu.regs()])
        return 5

    guest.sink.serve = serve
    guest.run(GETPPID + EXIT)
    after = CODE + len(GETPPID)
    assert seen[:4] == [after, after, 0x202, 110]
    regs = seen[4:]
    assert regs[RIP] == regs[RCX] == after
    assert regs[R11] == regs[EFLAGS] == 0x202
    assert guest.cpu.get(RCX) == guest.cpu.get(RIP) == CODE + len(GETPPID) + len(EXIT)
    assert guest.cpu.get(RAX) == 60


def test_registers_replaced_inside_a_call_take_effect_exactly(guest: Guest) -> None:
    def serve(cpu: Cpu, number: int) -> int | None:
        regs = [0] * 27
        regs[RIP], regs[RSP], regs[RBX], regs[RCX], regs[R10] = CODE + 0x800, STACK - 64, 1, 2, 3
        regs[EFLAGS] = 0x247
        cpu.set_regs(regs)
        return None

    guest.sink.serve = serve
    guest.space.poke(CODE + 0x800, EXIT)
    guest.run(GETPPID)
    assert guest.cpu.get(RIP) == CODE + 0x800
    assert (guest.cpu.get(RBX), guest.cpu.get(RCX), guest.cpu.get(R10), guest.cpu.get(EFLAGS)) == (1, 2, 3, 0x247)
    guest.go(guest.cpu)
    assert guest.sink.calls[-1][0] == 60


def test_a_clone_inside_a_call_goes_on_behind_it(guest: Guest) -> None:
    clones: list[Cpu] = []

    def serve(cpu: Cpu, number: int) -> int | None:
        child = cpu.clone(guest.space.fork())
        child.set(RAX, 0)
        clones.append(child)
        return 7

    guest.sink.serve = serve
    guest.run(GETPPID + bytes.fromhex("4889c3") + EXIT)  # mov rbx,rax
    assert guest.cpu.get(RBX) == 7
    (child,) = clones
    assert child.get(RIP) == child.get(RCX) == CODE + len(GETPPID)
    guest.go(child)
    assert child.get(RBX) == 0
    assert guest.cpu.get(RBX) == 7
    child.close()
    child.space.close()


@pytest.mark.parametrize(("code", "vector", "offset"), [
    ("31c9 f7f1", VEC_DE, 2),
    ("90 cc 90", VEC_BP, 2),
    ("90 0f0b", VEC_UD, 1),
    ("90 f4", VEC_GP, 1),  # hlt
    ("90 fa", VEC_GP, 1),  # cli
    ("90 0f20c0", VEC_GP, 1),  # mov rax,cr0
    ("90 0f30", VEC_GP, 1),  # wrmsr
    ("90 cd80", VEC_GP, 1),  # int 0x80
    ("48b80000000000000080 488b00", VEC_GP, 10),  # mov rax,[0x8000000000000000]
])
def test_exceptions(guest: Guest, code: str, vector: int, offset: int) -> None:
    for _ in range(3):  # an exception must leave nothing behind
        guest.sink.faults.clear()
        assert guest.fault(code)[:2] == (vector, offset)


@pytest.mark.parametrize(("code", "address", "access", "reason", "offset"), [
    ("90 488b042510000000", 0x10, PROT_READ, UNMAPPED, 1),
    ("90 4889042500000020", 0x20000000, PROT_WRITE, UNMAPPED, 1),
    ("90 c6042500004000 01", CODE, PROT_WRITE, DENIED, 1),
    ("b8 00000010 ffe0", DATA, PROT_EXEC, DENIED, DATA - CODE),
    ("b8 00000030 ffe0", 0x30000000, PROT_EXEC, UNMAPPED, 0x30000000 - CODE),
    ("48b8000060ffffffffff ffd0", 0xFFFFFFFFFF600000, PROT_EXEC, UNMAPPED, 0xFFFFFFFFFF600000 - CODE),
])
def test_page_faults(guest: Guest, code: str, address: int, access: int, reason: str, offset: int) -> None:
    vector, rip, fault = guest.fault(code)
    assert (vector, fault.address, fault.access, fault.reason) == (VEC_PF, address, access, reason)
    assert rip == offset


def test_a_computing_guest_is_stopped_at_the_end_of_its_slice(guest: Guest) -> None:
    guest.space.poke(CODE, bytes.fromhex("48ffc0 ebfb"))  # again: inc rax; jmp again
    guest.cpu.reset(CODE, STACK)
    for _ in range(3):
        before = guest.cpu.get(RAX)
        guest.engine.run(guest.cpu, 2_000_000)
        assert guest.cpu.get(RAX) > before
        assert guest.cpu.get(RIP) in (CODE, CODE + 3)
    assert not guest.sink.faults


def test_a_stop_from_outside_never_splits_an_instruction(guest: Guest) -> None:
    # again: add dword [DATA],1; inc rax; jmp again
    guest.space.poke(CODE, bytes.fromhex("83042500000010 01 48ffc0 ebf3"))
    guest.cpu.reset(CODE, STACK)
    for _ in range(200):
        guest.engine.run(guest.cpu, 50_000)
    assert int.from_bytes(guest.space.read(DATA, 4), "little") == guest.cpu.get(RAX) & 0xFFFFFFFF


def test_an_exception_of_the_kernel_comes_out_of_run(guest: Guest) -> None:
    def serve(cpu: Cpu, number: int) -> int | None:
        raise ZeroDivisionError

    guest.sink.serve = serve
    with pytest.raises(ZeroDivisionError):
        guest.run(GETPPID)
    guest.sink.serve = lambda cpu, number: 0
    guest.run(GETPPID + EXIT)
    assert guest.sink.calls[-1][0] == 60


def test_the_state_after_execve(guest: Guest) -> None:
    guest.run(bytes.fromhex("9c 5b 668cc9 668cd2 0fae5c24f0 4489542480") + EXIT)  # pushf; pop rbx; cs; ss; stmxcsr
    assert guest.cpu.get(RBX) == 0x202
    assert guest.space.read(STACK - 0x110, 4) == (0x1F80).to_bytes(4, "little")
    image = guest.cpu.fpstate()
    assert len(image) == 576
    assert image[:4] == bytes.fromhex("7f030000")


def test_the_fpu_image_goes_round(guest: Guest) -> None:
    # fld1; fldpi; mov eax,0x1234; movq xmm3,rax
    guest.run(bytes.fromhex("d9e8 d9eb b834120000 66480f6ed8") + EXIT)
    image = guest.cpu.fpstate()
    assert image[4] == 0xC0  # two registers in use
    assert image[2:4] == b"\x00\x30"  # top of stack 6
    assert image[32:42] == bytes.fromhex("35c26821a2da0fc90040")  # pi
    assert image[160 + 3 * 16:162 + 3 * 16] == b"\x34\x12"
    guest.cpu.reset(CODE, STACK)
    assert guest.cpu.fpstate() != image
    guest.cpu.set_fpstate(image)
    assert guest.cpu.fpstate() == image
    twin = guest.cpu.clone(guest.space)
    guest.cpu.reset(CODE, STACK)
    assert twin.fpstate() == image
