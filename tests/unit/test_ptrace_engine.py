"""The ptrace engine under a recording kernel: traps, faults, memory, isolation, and its end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform != "linux" or os.uname().machine != "x86_64":
    pytest.skip("Linux x86-64 only", allow_module_level=True)

from tests.unit.engine_guest import CODE, DATA, EXIT, GETPPID, STACK, File, Guest, Recorder, SharedPages
from translator.engines.pico import CALL, RESUME, STUB
from translator.engines.ptrace import EngineUnavailable, PtraceEngine
from translator.machine import (
    BEYOND_EOF,
    DENIED,
    FS_BASE,
    ORIG_RAX,
    PROT_EXEC,
    PROT_READ,
    PROT_WRITE,
    RAX,
    RBX,
    RIP,
    UNMAPPED,
    VEC_BP,
    VEC_DE,
    VEC_GP,
    VEC_PF,
    VEC_UD,
    GuestFault,
)


@pytest.fixture(params=[True, False], ids=["notify", "stops"])
def engine(request: pytest.FixtureRequest) -> Iterator[PtraceEngine]:
    try:
        engine = PtraceEngine(notify=request.param)
    except EngineUnavailable as error:
        pytest.skip(str(error))
    yield engine
    engine.close()


@pytest.fixture
def guest(engine: PtraceEngine) -> Guest:
    return Guest(engine)  # type: ignore[arg-type]


def imm(value: int) -> str:
    return value.to_bytes(8, "little").hex()


def test_calls_reach_the_kernel_only(guest: Guest) -> None:
    guest.sink.serve = lambda cpu, number: 4711
    guest.run(GETPPID + b"\x48\x89\xc3" + EXIT)  # mov rbx, rax
    assert [number for number, _ in guest.sink.calls] == [110, 60]
    assert guest.cpu.get(RBX) == 4711
    assert guest.cpu.get(ORIG_RAX) == 60


def test_registers_are_true_inside_and_after_a_call(guest: Guest) -> None:
    seen: list[int] = []

    def serve(cpu: object, number: int) -> int:
        seen.append(guest.cpu.get(RIP))
        guest.cpu.set(FS_BASE, 0x1234000)
        return 7

    guest.sink.serve = serve
    guest.run(GETPPID + bytes.fromhex("48 89 c3 64 48 8b 04 25 00000000") + EXIT)
    assert seen == [CODE + len(GETPPID)]
    assert guest.cpu.get(RBX) == 7
    (fault,) = guest.sink.faults
    assert (fault.vector, fault.address, fault.reason) == (VEC_PF, 0x1234000, UNMAPPED)


def test_a_call_that_sleeps_gets_its_result_later(guest: Guest) -> None:
    guest.sink.serve = lambda cpu, number: None
    guest.run(GETPPID + b"\x48\x89\xc3" + EXIT)
    guest.cpu.set(RAX, 99)
    guest.go(guest.cpu)
    assert guest.cpu.get(RBX) == 99


@pytest.mark.parametrize(("code", "vector"), [("cc", VEC_BP), ("0f0b", VEC_UD), ("31c9 f7f1", VEC_DE), ("f4", VEC_GP),
                                              ("b814000000 cd80", VEC_GP)])
def test_faults_by_vector(guest: Guest, code: str, vector: int) -> None:
    assert guest.fault(code)[0] == vector


def test_a_32_bit_call_faults_at_its_instruction(guest: Guest) -> None:
    assert guest.fault("b814000000 cd80")[1] == 5


@pytest.mark.parametrize(("code", "address", "access", "reason"), [
    ("48b8" + imm(0x5000_0000) + "8b08", 0x5000_0000, PROT_READ, UNMAPPED),
    ("48b8" + imm(0x5000_0000) + "8908", 0x5000_0000, PROT_WRITE, UNMAPPED),
    ("48b8" + imm(CODE) + "8908", CODE, PROT_WRITE, DENIED),
    ("48b8" + imm(DATA) + "ffe0", DATA, PROT_EXEC, DENIED),
])
def test_page_faults(guest: Guest, code: str, address: int, access: int, reason: str) -> None:
    vector, _, fault = guest.fault(code)
    assert (vector, fault.address, fault.access, fault.reason) == (VEC_PF, address, access, reason)


def test_a_spinning_guest_is_left_running(guest: Guest) -> None:
    guest.space.poke(CODE, b"\xeb\xfe")
    guest.cpu.reset(CODE, STACK - 0x100)
    started = time.monotonic()
    guest.engine.run(guest.cpu, 20_000_000)
    assert 0.001 < time.monotonic() - started < 2
    assert guest.cpu.running
    assert guest.cpu.get(RIP) == CODE
    assert not guest.cpu.running


# --- isolation


def test_the_stub_serves_no_guest(guest: Guest) -> None:
    for target in (CALL, RESUME, STUB):
        guest.sink.faults.clear()
        guest.sink.calls.clear()
        guest.run("b827000000 48b9" + imm(target) + "ffe1")
        assert [fault.vector for fault in guest.sink.faults] == [VEC_GP]


def test_a_guessed_secret_is_no_key(guest: Guest) -> None:
    # mmap through the stub's own instruction, all registers set as the leader would, but for the secret.
    guest.run("b809000000 31ff be00100000 ba07000000 49c7c222000000 49b8" + imm(0x1234567800000000) + "4531c9"
              "48bb" + imm(CALL) + "ffe3")
    assert [fault.vector for fault in guest.sink.faults] == [VEC_GP]
    assert not guest.sink.calls


def test_the_stub_cannot_be_replaced(guest: Guest) -> None:
    with pytest.raises(MemoryError):
        guest.space.map(STUB, 0x1000, 7, None, 0, False)
    guest.space.unmap(STUB - 0x1000, 0x200000)
    guest.space.protect(STUB, 0x1000, 7)
    with pytest.raises(GuestFault):
        guest.space.poke(STUB, b"\xcc")
    guest.run(EXIT)
    assert guest.sink.calls[-1][0] == 60


def test_a_guest_process_has_nothing_of_pylx(guest: Guest) -> None:
    guest.run(EXIT)
    pid = guest.space.process.pid  # type: ignore[attr-defined]
    assert os.listdir(f"/proc/{pid}/fd") == []
    assert Path(f"/proc/{pid}/environ").read_bytes() == b""
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert "python" not in maps and "libc" not in maps and "[stack]" not in maps and "[heap]" not in maps
    status = Path(f"/proc/{pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert os.getsid(pid) != os.getsid(0)
    for tid in os.listdir(f"/proc/{pid}/task"):
        assert "Seccomp:\t2" in Path(f"/proc/{pid}/task/{tid}/status").read_text()


def test_nothing_is_left_after_close(engine: PtraceEngine) -> None:
    guest = Guest(engine)  # type: ignore[arg-type]
    guest.run(EXIT)
    pids = [engine.zygote.pid, guest.space.process.pid]  # type: ignore[attr-defined]
    engine.close()
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_nothing_is_left_when_pylx_is_killed() -> None:
    script = ("import sys, signal\nfrom translator.engines.ptrace import PtraceEngine\n"
              "from tests.unit.engine_guest import Guest, CODE, STACK\n"
              "g = Guest(PtraceEngine())\ng.space.poke(CODE, b'\\xeb\\xfe')\ng.cpu.reset(CODE, STACK - 256)\n"
              "g.engine.run(g.cpu, 1000000)\n"
              "print(g.engine.zygote.pid, g.space.process.pid, flush=True)\n"
              "while True: g.engine.run(g.cpu, 10**10)\n")
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        if not words:
            pytest.skip("tracing is not permitted here")
        process.send_signal(signal.SIGKILL)
    limit = time.monotonic() + 10
    while any(_alive(int(pid)) for pid in words):
        assert time.monotonic() < limit
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


# --- memory


def test_rights_are_those_of_the_guest(guest: Guest) -> None:
    space = guest.space
    space.map(0x2000_0000, 0x3000, PROT_READ | PROT_WRITE, None, 0, False)
    space.write(0x2000_0ffc, b"12345678")
    space.protect(0x2000_1000, 0x1000, 0)
    for call in (lambda: space.read(0x2000_0ffc, 8), lambda: space.write(0x2000_0ffc, bytes(8))):
        with pytest.raises(GuestFault) as caught:
            call()
        assert (caught.value.address, caught.value.reason) == (0x2000_1000, DENIED)
    assert space.peek(0x2000_0ffc, 8) == bytes(4) + b"5678"
    assert space.reach(0x2000_0000, 0x3000, PROT_READ) == 0x1000
    with pytest.raises(GuestFault) as caught:
        space.read(0x2000_3000, 1)
    assert caught.value.reason == UNMAPPED


def test_strings_end_where_memory_ends(guest: Guest) -> None:
    guest.space.write(DATA + 0xfffd, b"abc")
    with pytest.raises(GuestFault):
        guest.space.cstring(DATA + 0xfffd, 100)
    assert guest.space.cstring(DATA + 0xfffd, 3) is None
    guest.space.write(DATA + 0xffff, b"\0")
    assert guest.space.cstring(DATA + 0xfffd, 100) == b"ab"


def test_fork_copies_and_shares(guest: Guest) -> None:
    shared = SharedPages(0x2000)
    guest.space.map(0x3000_0000, 0x2000, PROT_READ | PROT_WRITE, shared, 0, True)
    guest.space.write(DATA, b"before")
    child = guest.space.fork()
    guest.space.write(DATA, b"after!")
    guest.space.write(0x3000_0000, b"seen")
    assert child.read(DATA, 6) == b"before"
    assert child.read(0x3000_0000, 4) == b"seen"
    twin = guest.cpu.clone(child)
    child.poke(CODE, EXIT)
    twin.reset(CODE, STACK - 0x100)
    guest.go(twin)
    child.close()
    assert guest.sink.calls[-1][0] == 60
    assert shared.holders == 1


def test_files_are_shown_and_written_back(guest: Guest) -> None:
    file = File(b"x" * 5000)
    guest.space.map(0x3000_0000, 0x3000, PROT_READ | PROT_WRITE, file, 0, True)
    assert guest.space.read(0x3000_0000 + 4990, 20) == b"x" * 10 + bytes(10)
    guest.space.write(0x3000_0000 + 10, b"changed")
    assert file.page_cache is not None
    file.page_cache.before_read(0, 100)
    assert file.content[8:19] == b"xxchangedxx"
    file.content[0:2] = b"ab"
    file.page_cache.written(0, b"ab")
    assert guest.space.read(0x3000_0000, 2) == b"ab"
    with pytest.raises(GuestFault) as caught:
        guest.space.read(0x3000_2000, 1)
    assert caught.value.reason == BEYOND_EOF
    guest.space.write(0x3000_0000 + 100, b"last")
    guest.space.unmap(0x3000_0000, 0x3000)
    assert file.content[100:104] == b"last"
    assert file.holders == 0 and file.page_cache is None


def test_moving_keeps_pages(guest: Guest) -> None:
    guest.space.write(DATA + 0x1000, b"moved")
    guest.space.move(DATA + 0x1000, 0x4000_0000, 0x2000)
    assert guest.space.read(0x4000_0000, 5) == b"moved"
    with pytest.raises(GuestFault):
        guest.space.read(DATA + 0x1000, 1)


def test_vector_state_survives_a_clone_and_a_round_trip(guest: Guest) -> None:
    guest.run("48c7c0efbeadde 66480f6ec0" + EXIT.hex())  # movq xmm0, rax
    image = guest.cpu.fpstate()
    assert image[160:164] == b"\xef\xbe\xad\xde"
    twin = guest.cpu.clone(guest.space)
    assert twin.fpstate()[160:176] == image[160:176]
    twin.set_fpstate(image)
    twin.set(RIP, CODE)
    guest.space.poke(CODE, bytes.fromhex("66480f7ec3") + EXIT)  # movq rbx, xmm0
    guest.go(twin)
    assert twin.get(RBX) == 0xFFFF_FFFF_DEAD_BEEF


def test_threads_share_memory(guest: Guest) -> None:
    guest.space.poke(CODE, bytes.fromhex("48b8" + imm(DATA) + "48ff00") + EXIT)  # inc qword [DATA]
    cpus = [guest.engine.new_cpu(guest.space) for _ in range(20)]
    for cpu in cpus:
        cpu.reset(CODE, STACK - 0x100)
        guest.go(cpu)
    assert guest.space.read(DATA, 1) == b"\x14"
    for cpu in cpus:
        cpu.close()
    assert isinstance(guest.sink, Recorder)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGSTOP, signal.SIGSEGV])
def test_signals_from_outside_do_not_take_a_leader_away(guest: Guest, number: signal.Signals) -> None:
    """The wait of a leader is interrupted; the calls that it makes next are made once, and it can die."""
    leader = guest.space.process  # type: ignore[attr-defined]
    tgkill = ctypes.CDLL(None, use_errno=True).syscall
    guest.run(GETPPID + EXIT)
    for turn in range(1, 4):
        assert not tgkill(234, leader.pid, leader.pid, int(number))
        time.sleep(0.02)
        place = DATA + turn * 0x100000
        guest.space.map(place, 0x1000, PROT_READ | PROT_WRITE, None, 0, False)
        guest.space.write(place, b"written")
        assert guest.space.read(place, 7) == b"written"
        guest.run(GETPPID + EXIT)
        assert [call for call, _ in guest.sink.calls[-2:]] == [110, 60]
    os.kill(leader.pid, signal.SIGKILL)
    time.sleep(0.02)
    guest.space.map(DATA + 0x800000, 0x1000, PROT_READ | PROT_WRITE, None, 0, False)
    with pytest.raises(GuestFault):
        guest.space.write(DATA + 0x800000, b"written")
    assert not leader.alive


def test_the_scheduling_policy_is_given_back() -> None:
    before = os.sched_getscheduler(0)
    try:
        engine = PtraceEngine()
    except EngineUnavailable as error:
        pytest.skip(str(error))
    policies = {os.sched_getscheduler(0), os.sched_getscheduler(engine.zygote.pid)}
    engine.close()
    assert len(policies) == 1
    assert os.sched_getscheduler(0) == before


def test_a_system_without_executable_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are received, and paths looked at, by the ways that Python has."""
    from translator.engines import interrupts, notify
    from translator.hosts import linux_look, open_host

    def refuse(code: bytes) -> None:
        raise OSError(13, "refused")

    for module in (interrupts, notify, linux_look):
        monkeypatch.setattr(module, "MachineCode", refuse)
    try:
        engine = PtraceEngine()
    except EngineUnavailable as error:
        pytest.skip(str(error))
    try:
        guest = Guest(engine)  # type: ignore[arg-type]
        guest.run(GETPPID * 3 + EXIT)
        assert [number for number, _ in guest.sink.calls] == [110, 110, 110, 60]
    finally:
        engine.close()
    found = open_host("linux").tree(b"/", False).find(b"proc")
    assert found is not None
    assert found.ino == os.stat("/proc").st_ino
