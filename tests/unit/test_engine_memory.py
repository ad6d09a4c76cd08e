"""Guest memory of the Unicorn engine as guest code sees it: stores into code, aliases, copy-on-write, page cache."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.engine_guest import CODE, DATA, EXIT, GETPPID, SLICE, STACK, File, Guest, SharedPages
from translator.engines.unicorn import UnicornEngine
from translator.machine import (
    BEYOND_EOF,
    DENIED,
    NO_MEMORY,
    PROT_EXEC,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    R12,
    R13,
    RAX,
    RBX,
    RCX,
    RDI,
    RIP,
    RSI,
    UNMAPPED,
    Cpu,
)

RW, RX, RWX = PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC
PAGE = 4096
FILE_A, FILE_B = 0x5000_0000, 0x6000_0000

CALL_DATA = bytes.fromhex("48c7c000000010 ffd0 4889c3") + EXIT  # call DATA; mov rbx,rax
STORE_CODE = bytes.fromhex("48c7c700000010 c707b8010000 66c7470400c3") + EXIT  # at DATA: mov eax,1; ret
MODIFY_CODE = bytes.fromhex("48c7c700000010 c6470102") + EXIT  # at DATA: mov eax,2
STORE_7 = bytes.fromhex("c6042500000050 07") + EXIT  # mov byte [FILE_A],7
STORE_9 = bytes.fromhex("c6042500000050 09") + EXIT
LOAD = bytes.fromhex("0fb61c2500000050") + EXIT  # movzx ebx,byte [FILE_A]


def returns(value: int) -> bytes:
    """mov eax,value; ret"""
    return b"\xb8" + value.to_bytes(4, "little") + b"\xc3"


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


def called(guest: Guest) -> int:
    guest.run(CALL_DATA)
    assert not guest.sink.faults
    return guest.cpu.get(RBX)


# --- stores into code


def test_code_that_modifies_itself_in_its_own_block(guest: Guest) -> None:
    guest.space.protect(CODE, 0x4000, RWX)
    # mov ecx,2; again: mov eax,1; mov byte [again+1],5; add rbx,rax; dec ecx; jnz again
    guest.run(bytes.fromhex("b902000000 b801000000 c605f5ffffff05 4801c3 ffc9 75ed") + EXIT)
    assert guest.cpu.get(RBX) == 6


def test_code_written_while_writable_runs_when_executable_again(guest: Guest) -> None:
    guest.run(STORE_CODE)
    for value in (1, 2):
        guest.space.protect(DATA, PAGE, RX)
        assert called(guest) == value
        guest.space.protect(DATA, PAGE, RW)
        guest.run(MODIFY_CODE)


def test_code_written_by_the_kernel_while_writable(guest: Guest) -> None:
    for value in (1, 2, 3):
        guest.space.protect(DATA, PAGE, RW)
        guest.space.write(DATA, returns(value))
        guest.space.protect(DATA, PAGE, RX)
        assert called(guest) == value


def test_code_written_by_the_kernel_under_the_guest(guest: Guest) -> None:
    guest.space.protect(DATA, PAGE, RWX)
    for value in (1, 2):
        guest.space.write(DATA, returns(value))
        assert called(guest) == value
    guest.space.protect(DATA, PAGE, RX)
    guest.space.poke(DATA, returns(3))
    assert called(guest) == 3


def test_code_read_into_its_page_inside_a_call(guest: Guest) -> None:
    def serve(cpu: Cpu, number: int) -> int:
        guest.space.write(DATA, returns(2))
        return 0

    guest.sink.serve = serve
    guest.space.protect(DATA, PAGE, RWX)
    guest.space.write(DATA, returns(1))
    # call DATA; mov r12,rax; syscall; call DATA
    guest.run(bytes.fromhex("48c7c000000010 ffd0 4989c4") + GETPPID + CALL_DATA)
    assert (guest.cpu.get(R12), guest.cpu.get(RBX)) == (1, 2)


@pytest.mark.parametrize("protections", [(RW, RX), (RW, RWX), (RWX, RWX)])
def test_code_stored_through_an_alias(guest: Guest, protections: tuple[int, int]) -> None:
    backing = SharedPages(0x10000)
    guest.space.map(FILE_A, PAGE, protections[0], backing, 0, True)
    guest.space.map(FILE_B, PAGE, protections[1], backing, 0, True)
    # At FILE_A: mov eax,1; ret.  Call FILE_B.  Make it 2, call; make it 0x103, call.
    guest.run(bytes.fromhex("48c7c700000050 48c7c600000060 c707b8010000 66c7470400c3 ffd6 4889c3 c6470102 ffd6 4989c4"
                            "c6470103 c6470201 ffd6 4989c5") + EXIT)
    assert not guest.sink.faults
    assert (guest.cpu.get(RBX), guest.cpu.get(R12), guest.cpu.get(R13)) == (1, 2, 0x103)


def test_an_alias_made_executable_later(guest: Guest) -> None:
    backing = SharedPages(0x10000)
    guest.space.map(FILE_A, PAGE, RW, backing, 0, True)
    guest.space.map(DATA, PAGE, PROT_READ, backing, 0, True)
    for value in (1, 2, 3):
        store = STORE_CODE.replace(b"\x00\x00\x00\x10", b"\x00\x00\x00\x50")
        guest.run(store.replace(b"\xb8\x01", bytes([0xB8, value])))
        guest.space.protect(DATA, PAGE, RX)
        assert called(guest) == value


def test_code_of_another_process_through_shared_memory(guest: Guest) -> None:
    backing = SharedPages(0x10000)
    other = Guest(guest.engine)
    guest.space.map(DATA, PAGE, RX, backing, 0, True)
    other.space.map(DATA, PAGE, RW, backing, 0, True)
    for code, value in ((STORE_CODE, 1), (MODIFY_CODE, 2), (STORE_CODE, 1)):
        other.run(code)
        assert called(guest) == value
    other.space.close()


def test_a_reused_frame_keeps_no_old_code(guest: Guest) -> None:
    for value in range(1, 300):
        guest.space.map(DATA, PAGE, RWX, None, 0, False)
        guest.space.write(DATA, returns(value))
        assert called(guest) == value
        guest.space.unmap(DATA, PAGE)


def test_code_after_fork_is_each_ones_own(guest: Guest) -> None:
    guest.space.protect(DATA, PAGE, RWX)
    guest.space.write(DATA, returns(1))
    assert called(guest) == 1
    child = guest.space.fork()
    cpu = guest.cpu.clone(child)
    child.write(DATA, returns(2))
    cpu.set(RIP, CODE)
    guest.go(cpu)
    assert cpu.get(RBX) == 2
    assert called(guest) == 1
    guest.space.write(DATA, returns(3))
    cpu.set(RIP, CODE)
    guest.go(cpu)
    assert (cpu.get(RBX), called(guest)) == (2, 3)
    cpu.close()
    child.close()


def test_the_page_that_runs_is_unmapped_by_its_own_call(guest: Guest) -> None:
    def serve(cpu: Cpu, number: int) -> int:
        guest.space.unmap(CODE, 0x4000)
        return 0

    guest.sink.serve = serve
    guest.run(GETPPID + b"\x90\x90")
    (fault,) = guest.sink.faults
    assert (fault.reason, fault.access, fault.address) == (UNMAPPED, PROT_EXEC, CODE + len(GETPPID))


def test_a_page_changed_inside_a_call_is_seen_at_once(guest: Guest) -> None:
    def serve(cpu: Cpu, number: int) -> int:
        guest.space.map(DATA, PAGE, PROT_READ, None, 0, False)
        return 0

    guest.sink.serve = serve
    guest.space.write(DATA, b"\x05")
    # movzx r12d,byte [DATA]; syscall; movzx ebx,byte [DATA]; mov byte [DATA],1
    guest.run(bytes.fromhex("440fb6242500000010") + GETPPID + bytes.fromhex("0fb61c2500000010 c604250000001001"))
    assert (guest.cpu.get(R12), guest.cpu.get(RBX)) == (5, 0)
    assert [fault.reason for fault in guest.sink.faults] == [DENIED]


# --- instructions that fault half way


def test_rep_movs_resumes_where_it_faulted(guest: Guest) -> None:
    guest.space.write(STACK - 0x4000, bytes(range(256)) * 16)
    guest.space.unmap(DATA + PAGE, PAGE)
    # mov rdi,DATA+0xf00; mov rsi,STACK-0x4000; mov ecx,0x1000; rep movsb
    guest.run(bytes.fromhex("48c7c7000f0010 48be00c0fffffe7f0000 b900100000 f3a4") + EXIT)
    (fault,) = guest.sink.faults
    assert (fault.address, fault.access) == (DATA + PAGE, PROT_WRITE)
    assert (guest.cpu.get(RDI), guest.cpu.get(RSI), guest.cpu.get(RCX)) == (DATA + PAGE, STACK - 0x3F00, 0xF00)
    guest.space.map(DATA + PAGE, PAGE, RW, None, 0, False)
    guest.go(guest.cpu)
    assert guest.sink.calls[-1][0] == 60
    assert guest.space.read(DATA + 0xF00, 0x1000) == bytes(range(256)) * 16


@pytest.mark.parametrize("code", [
    # mov edi,DATA+0xffc; mov rbx,0x1122334455667788; xor eax,eax; lock cmpxchg [rdi],rbx; setz r12b
    "48c7c7fc0f0010 48bb8877665544332211 48c7c000000000 f0480fb11f 410f94c4",
    # mov edi,DATA+0x10; xor eax,eax; xor edx,edx; mov ebx,5; mov ecx,6; lock cmpxchg16b [rdi]; setz r12b
    "48c7c710000010 31c0 31d2 bb05000000 b906000000 f0480fc70f 410f94c4",
])
def test_locked_instructions_on_copied_pages(guest: Guest, code: str) -> None:
    guest.space.read(DATA, 2 * PAGE)
    child = guest.space.fork()
    guest.run(bytes.fromhex(code) + EXIT)
    assert not guest.sink.faults
    assert guest.cpu.get(R12) == 1
    assert any(guest.space.read(DATA, 2 * PAGE))
    assert not any(child.read(DATA, 2 * PAGE))
    child.close()


# --- files


def test_private_file_pages_are_copied_on_store(guest: Guest) -> None:
    file = File(b"abc" + bytes(10000))
    guest.space.map(FILE_A, 3 * PAGE, RW, file, 0, False)
    other = guest.space.fork()
    guest.run(LOAD)
    assert guest.cpu.get(RBX) == ord("a")
    guest.run(STORE_7)
    assert guest.space.read(FILE_A, 3) == b"\x07bc"
    assert other.read(FILE_A, 3) == b"abc"
    assert not file.writes
    other.close()


def test_shared_stores_reach_the_file_when_asked_for(guest: Guest) -> None:
    file = File(bytes(10000))
    guest.space.map(FILE_A, 3 * PAGE, RW, file, 0, True)
    assert file.page_cache is not None
    guest.run(LOAD)
    file.page_cache.before_read(0, 10000)
    assert not file.writes
    for code, value in ((STORE_7, 7), (STORE_9, 9), (STORE_7, 7)):
        guest.run(code)
        file.page_cache.before_read(0, 1)
        assert file.content[0] == value
    assert file.writes == [(0, PAGE)] * 3
    guest.space.write(FILE_A + 2 * PAGE, b"x")
    guest.space.sync(FILE_A, 3 * PAGE)
    assert file.writes[3:] == [(8192, 10000 - 8192)]
    assert file.content[8192:8193] == b"x"


def test_shared_stores_are_written_back_at_unmap_and_close(guest: Guest) -> None:
    file = File(bytes(8192))
    guest.space.map(FILE_A, 2 * PAGE, RW, file, 0, True)
    guest.run(STORE_7)
    guest.space.unmap(FILE_A, 2 * PAGE)
    assert file.content[0] == 7
    assert file.holders == 0
    guest.space.map(FILE_A, 2 * PAGE, RW, file, 0, True)
    child = guest.space.fork()
    child.write(FILE_A, b"\x08")
    assert guest.space.read(FILE_A, 1) == b"\x08"
    child.close()
    guest.space.unmap(FILE_A, 2 * PAGE)
    assert file.content[0] == 8
    assert file.holders == 0


def test_writes_through_a_descriptor_show_in_mappings(guest: Guest) -> None:
    file = File(returns(1) + bytes(8000))
    guest.space.map(DATA, PAGE, RX, file, 0, False)
    guest.space.map(FILE_A, PAGE, RW, file, 0, False)
    assert called(guest) == 1
    assert file.page_cache is not None
    guest.space.write(FILE_A, b"private")
    file.page_cache.written(1, b"\x02")
    assert called(guest) == 2
    assert guest.space.read(FILE_A, 7) == b"private"
    file.page_cache.written(4090, b"0123456789")
    guest.space.map(FILE_B, 2 * PAGE, PROT_READ, file, 0, True)
    assert guest.space.read(FILE_B + 4090, 6) == b"012345"


def test_pages_beyond_the_end(guest: Guest) -> None:
    file = File(b"\xff" * 6000)
    guest.space.map(FILE_A, 4 * PAGE, RW, file, 0, True)
    assert guest.space.read(FILE_A + 6000, 2 * PAGE - 6000) == bytes(2 * PAGE - 6000)
    assert guest.space.reach(FILE_A, 4 * PAGE, PROT_READ) == 2 * PAGE
    guest.space.read(FILE_A, 1)
    del file.content[100:]
    assert file.page_cache is not None
    file.page_cache.truncated(100)
    assert guest.space.read(FILE_A, 200) == b"\xff" * 100 + bytes(100)
    guest.run(bytes.fromhex("8a042500100050"))  # mov al,[FILE_A+0x1000]
    (fault,) = guest.sink.faults
    assert (fault.reason, fault.address) == (BEYOND_EOF, FILE_A + PAGE)
    file.content += bytes(5000)
    assert guest.space.reach(FILE_A, 4 * PAGE, PROT_READ) == 2 * PAGE


def test_a_file_stays_cached_until_it_changes(guest: Guest) -> None:
    file = File(returns(1) + bytes(100000))
    for _ in range(3):
        guest.space.map(DATA, 8 * PAGE, RX, file, 0, False)
        assert called(guest) == 1
        guest.space.unmap(DATA, 8 * PAGE)
    assert file.reads == [0]
    assert file.holders == 0
    file.content[1] = 2
    file.generation += 1
    guest.space.map(DATA, 8 * PAGE, RX, file, 0, False)
    assert called(guest) == 2


def test_two_objects_of_one_key_share_pages(guest: Guest) -> None:
    one, two = File(bytes(PAGE), key="same"), File(bytes(PAGE), key="same")
    guest.space.map(FILE_A, PAGE, RW, one, 0, True)
    guest.space.map(FILE_B, PAGE, PROT_READ, two, 0, True)
    guest.run(STORE_7)
    assert guest.space.read(FILE_B, 1) == b"\x07"


def test_shared_anonymous_memory_is_freed_with_its_last_mapping(guest: Guest) -> None:
    backing = SharedPages(0x10000)
    guest.space.map(FILE_A, 0x10000, RW, backing, 0, True)
    child = guest.space.fork()
    guest.run(STORE_7)
    assert child.read(FILE_A, 1) == b"\x07"
    guest.space.unmap(FILE_A, 0x10000)
    assert child.read(FILE_A, 1) == b"\x07"
    child.close()
    assert backing.page_cache is None
    assert not backing.writes
    guest.space.map(FILE_A, 0x10000, RW, backing, 0, True)
    assert guest.space.read(FILE_A, 1) == b"\0"


# --- many pages


def test_more_pages_than_the_tlb_holds(guest: Guest) -> None:
    guest.space.map(0x20000000, 4096 * PAGE, RW, None, 0, False)
    # mov rsi,0x20000000; mov ecx,4096; again: mov [rsi],rsi; add rsi,4096; dec ecx; jnz again
    guest.run(bytes.fromhex("48c7c600000020 b900100000 488936 4881c600100000 ffc9 75f2") + EXIT)
    assert not guest.sink.faults
    for page in range(0, 4096, 97):
        place = 0x20000000 + page * PAGE
        assert guest.space.read(place, 8) == place.to_bytes(8, "little")
    assert guest.space.rss_pages() > 4096


def test_huge_reservations_cost_nothing(guest: Guest) -> None:
    guest.space.map(0x10_0000_0000, 1 << 42, PROT_NONE, None, 0, False)
    guest.space.protect(0x20_0000_0000, 1 << 40, RW)
    guest.space.write(0x20_1234_5678, b"x")
    child = guest.space.fork()
    assert child.read(0x20_1234_5678, 1) == b"x"
    child.close()
    guest.space.discard(0x10_0000_0000, 1 << 42)
    assert guest.space.read(0x20_1234_5678, 1) == b"\0"
    guest.space.unmap(0x10_0000_0000, 1 << 42)
    assert guest.space.reach(0x20_1234_5678, 1, PROT_READ) == 0


def test_exhausted_memory_is_reported_and_comes_back() -> None:
    engine = UnicornEngine(memory=4 << 20)
    guest = Guest(engine)
    guest.space.map(0x20000000, 4096 * PAGE, RW, None, 0, False)
    touch = bytes.fromhex("48c7c600000020 b900100000 488936 4881c600100000 ffc9 75f2") + EXIT
    for _ in range(3):
        guest.run(touch)
        (fault,) = guest.sink.faults
        assert fault.reason == NO_MEMORY
        guest.sink.faults.clear()
        with pytest.raises(MemoryError):
            guest.space.fork()
        guest.space.discard(0x20000000, 4096 * PAGE)
    before = len(engine.ram.free)
    child = guest.space.fork()
    child.close()
    assert len(engine.ram.free) == before
    engine.close()


def test_deterministic_slices_and_clocks() -> None:
    def trace() -> tuple[list[int], int]:
        engine = UnicornEngine(deterministic=True)
        guest = Guest(engine)
        guest.space.poke(CODE, bytes.fromhex("48ffc0 ebfb"))
        guest.cpu.reset(CODE, STACK)
        counts = []
        for _ in range(3):
            engine.run(guest.cpu, SLICE)
            counts.append(guest.cpu.get(RAX))
        guest.run(bytes.fromhex("0f31 89c3 0f31 29d8 4189c4") + EXIT)  # rdtsc twice: the difference
        engine.close()
        return counts, guest.cpu.get(R12)

    first, second = trace(), trace()
    assert first == second
    assert first[0][0] < first[0][1] < first[0][2]
