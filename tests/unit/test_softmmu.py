"""Address spaces against a simple model: random mapping calls, forks, and reads and writes by the kernel."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.unit.engine_guest import File
from translator.engines.pagecache import PTE_CACHED
from translator.engines.pagetables import FRAME
from translator.engines.softmmu import Space
from translator.engines.unicorn import UnicornEngine
from translator.machine import (
    BEYOND_EOF,
    DENIED,
    PROT_EXEC,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    UNMAPPED,
    GuestFault,
)

PAGE = 4096
BASE = 0x7F00_001F_C000  # four pages before the end of a table
PAGES = 24
RW = PROT_READ | PROT_WRITE


@pytest.fixture(scope="module")
def engine() -> Iterator[UnicornEngine]:
    engine = UnicornEngine()
    yield engine
    engine.close()


class ModelPage:
    """What one page of a space shows."""

    def __init__(self, prot: int, file: TruthFile | None, index: int, shared: bool) -> None:
        self.prot, self.file, self.index, self.shared = prot, file, index, shared
        self.own: bytearray | None = bytearray(PAGE) if file is None else None

    def content(self) -> bytes:
        if self.own is not None:
            return bytes(self.own)
        assert self.file is not None
        return bytes(self.file.truth[self.index * PAGE:(self.index + 1) * PAGE]).ljust(PAGE, b"\0")

    def beyond(self) -> bool:
        return self.file is not None and self.own is None and self.index * PAGE >= len(self.file.truth)

    def store(self, offset: int, data: bytes) -> None:
        if self.file is not None and self.shared:
            start = self.index * PAGE + offset
            self.file.truth[start:start + len(data)] = data
            return
        if self.own is None:
            self.own = bytearray(self.content())
        self.own[offset:offset + len(data)] = data

    def copy(self) -> ModelPage:
        twin = ModelPage(self.prot, self.file, self.index, self.shared)
        twin.own = None if self.own is None else bytearray(self.own)
        return twin


class TruthFile(File):
    """A file with the content that everybody should see, next to what the engine has written back."""

    def __init__(self, pages: int, rng: random.Random) -> None:
        super().__init__(rng.randbytes(pages * PAGE))
        self.truth = bytearray(self.content)


Model = dict[int, ModelPage]


def check_references(engine: UnicornEngine, spaces: list[Space]) -> None:
    """Each private frame is counted once for every entry that shows it."""
    counts: dict[int, int] = {}
    for space in spaces:
        for base in space.leaf.values():
            for entry in space.words[base:base + 512].tolist():
                if entry and not entry & PTE_CACHED:
                    counts[(entry & FRAME) >> 12] = counts.get((entry & FRAME) >> 12, 0) + 1
    refs = engine.ram.refs
    assert {pfn: refs[pfn] for pfn in counts} == counts
    assert not counts.keys() & set(engine.ram.free)


def expected_read(model: Model, addr: int, length: int) -> bytes | tuple[int, str]:
    out = b""
    while length:
        page = model.get(addr >> 12)
        if page is None:
            return addr, UNMAPPED
        if page.prot == PROT_NONE:
            return addr, DENIED
        if page.beyond():
            return addr, BEYOND_EOF
        size = min(PAGE - addr % PAGE, length)
        out += page.content()[addr % PAGE:addr % PAGE + size]
        addr += size
        length -= size
    return out


@pytest.mark.parametrize("seed", range(30))
def test_random_operations(engine: UnicornEngine, seed: int) -> None:
    rng = random.Random(seed)
    files = [TruthFile(rng.randint(1, 12), rng) for _ in range(3)]
    spaces: list[tuple[Space, Model]] = [(engine.new_space(), {})]

    def place() -> tuple[int, int]:
        first = rng.randrange(PAGES)
        return BASE + first * PAGE, rng.randint(1, min(8, PAGES - first)) * PAGE

    for _ in range(300):
        space, model = rng.choice(spaces)
        addr, length = place()
        first, count = addr >> 12, length >> 12
        action = rng.choice(["map", "mapfile", "unmap", "protect", "move", "discard", "fork", "close", "read", "read",
                             "write", "write", "write", "poke", "peek", "written", "sync"])
        if action == "map":
            prot = rng.choice([PROT_NONE, PROT_READ, RW, RW, RW | PROT_EXEC])
            space.map(addr, length, prot, None, 0, False)
            model.update((first + i, ModelPage(prot, None, 0, False)) for i in range(count))
        elif action == "mapfile":
            prot = rng.choice([PROT_READ, RW, RW, PROT_READ | PROT_EXEC])
            file, offset, shared = rng.choice(files), rng.randrange(6), rng.random() < 0.5
            space.map(addr, length, prot, file, offset * PAGE, shared)
            model.update((first + i, ModelPage(prot, file, offset + i, shared)) for i in range(count))
        elif action == "unmap":
            space.unmap(addr, length)
            for number in range(first, first + count):
                model.pop(number, None)
        elif action == "protect":
            prot = rng.choice([PROT_NONE, PROT_READ, RW, RW | PROT_EXEC, PROT_READ | PROT_EXEC])
            space.protect(addr, length, prot)
            for number in range(first, first + count):
                if number in model:
                    model[number].prot = prot
        elif action == "move":
            target = BASE + (PAGES + rng.randrange(PAGES)) * PAGE
            space.move(addr, target, length)
            for number in range(first, first + count):
                page = model.pop(number, None)
                there = number - first + (target >> 12)
                model.pop(there, None)
                if page is not None:
                    model[there] = page
        elif action == "discard":
            space.discard(addr, length)
            for number in range(first, first + count):
                if number in model and not model[number].shared:
                    old = model[number]
                    model[number] = ModelPage(old.prot, old.file, old.index, False)
        elif action == "fork" and len(spaces) < 4:
            spaces.append((space.fork(), {number: page.copy() for number, page in model.items()}))
        elif action == "close" and len(spaces) > 1:
            space.close()
            spaces.remove((space, model))
        elif action in ("read", "peek"):
            start, size = addr + rng.randrange(PAGE), rng.choice([1, 8, 100, 5000])
            wanted = expected_read(model, start, size)
            if action == "peek":
                if isinstance(wanted, tuple):
                    continue
                assert space.peek(start, size) == wanted
                continue
            try:
                assert space.read(start, size) == wanted
            except GuestFault as fault:
                assert (fault.address, fault.reason) == wanted
        elif action in ("write", "poke"):
            start, data = addr + rng.randrange(PAGE), rng.randbytes(rng.choice([1, 8, 100, 5000]))
            done = 0
            wanted_fault: tuple[int, str] | None = None
            while done < len(data):
                at = start + done
                size = min(PAGE - at % PAGE, len(data) - done)
                page = model.get(at >> 12)
                if page is None:
                    wanted_fault = at, UNMAPPED
                elif action == "write" and not page.prot & PROT_WRITE:
                    wanted_fault = at, DENIED
                elif page.beyond():
                    wanted_fault = at, BEYOND_EOF
                elif action == "poke" and page.shared and not page.prot & PROT_WRITE:
                    break
                if wanted_fault is not None:
                    break
                assert page is not None
                page.store(at % PAGE, data[done:done + size])
                done += size
            if action == "poke":
                data = data[:done]
                wanted_fault = None
            try:
                (space.poke if action == "poke" else space.write)(start, data)
                assert wanted_fault is None
            except GuestFault as fault:
                assert (fault.address, fault.reason) == wanted_fault
        elif action == "written":
            file = rng.choice(files)
            offset = rng.randrange(len(file.truth))
            data = rng.randbytes(min(rng.choice([1, 50, 5000]), len(file.truth) - offset))
            file.truth[offset:offset + len(data)] = data
            if file.page_cache is not None:
                file.page_cache.before_read(0, len(file.truth))
                file.content[offset:offset + len(data)] = data
                file.page_cache.written(offset, data)
            else:
                file.content[offset:offset + len(data)] = data
        elif action == "sync":
            file = rng.choice(files)
            if file.page_cache is not None:
                file.page_cache.before_read(0, len(file.truth))
            assert file.content == file.truth
    for space, model in spaces:
        for number, page in model.items():
            if page.prot != PROT_NONE and not page.beyond():
                assert space.read(number << 12, PAGE) == page.content()
    check_references(engine, [space for space, _ in spaces])
    for space, _ in spaces:
        space.close()
    for file in files:
        assert file.holders == 0
        assert file.content == file.truth


def test_mappings_of_one_kind_become_one(engine: UnicornEngine) -> None:
    space = engine.new_space()
    for page in (0, 2, 1, 4, 3):
        space.map(BASE + page * PAGE, PAGE, RW, None, 0, False)
    assert [(mapping.start, mapping.end) for mapping in space.maps] == [(BASE, BASE + 5 * PAGE)]
    space.protect(BASE + PAGE, PAGE, PROT_READ)
    assert len(space.maps) == 3
    space.protect(BASE + PAGE, PAGE, RW)
    assert len(space.maps) == 1
    space.close()


def test_strings_and_words(engine: UnicornEngine) -> None:
    space = engine.new_space()
    space.map(BASE, 2 * PAGE, RW, None, 0, False)
    space.write(BASE + PAGE - 3, b"abcdef\0")
    assert space.cstring(BASE + PAGE - 3, 100) == b"abcdef"
    assert space.cstring(BASE + PAGE - 3, 6) is None
    space.write(BASE, b"x" * 2 * PAGE)
    with pytest.raises(GuestFault) as caught:
        space.cstring(BASE, 3 * PAGE)
    assert caught.value.address == BASE + 2 * PAGE
    space.write(BASE, (5).to_bytes(4, "little"))
    assert space.cas32(BASE, 4, 9) == 5
    assert space.cas32(BASE, 5, 9) == 5
    assert space.read(BASE, 4) == b"\x09\0\0\0"
    assert space.reach(BASE, 3 * PAGE, PROT_WRITE) == 2 * PAGE
    assert space.reach(BASE + 2 * PAGE, 1, PROT_READ) == 0
    space.close()


def test_what_mincore_sees(engine: UnicornEngine) -> None:
    space = engine.new_space()
    space.map(BASE, 8 * PAGE, RW, None, 0, False)
    space.write(BASE + PAGE, b"x")
    space.write(BASE + 2 * PAGE, b"x")
    assert space.resident(BASE, 8 * PAGE) == bytes([0, 1, 1, 0, 0, 0, 0, 0])
    assert space.rss_pages() == 2
    space.discard(BASE + PAGE, PAGE)
    assert space.resident(BASE, 4 * PAGE) == bytes([0, 0, 1, 0])
    space.close()


@pytest.mark.parametrize("addr", [0, 1 << 47, (1 << 64) - 8, 0x8000_0000_0000_0000, 1 << 70])
def test_wild_addresses(engine: UnicornEngine, addr: int) -> None:
    space = engine.new_space()
    with pytest.raises(GuestFault) as caught:
        space.read(addr, 16)
    assert (caught.value.address, caught.value.reason) == (addr, UNMAPPED)
    with pytest.raises(GuestFault):
        space.write(addr, b"12345678")
    assert space.reach(addr, 8, PROT_READ) == 0
    space.close()
