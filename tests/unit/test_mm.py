"""Areas, placement and limits of an address space; the pages are somebody else's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syscalls.abi.errno import EACCES, EAGAIN, EEXIST, EFAULT, EINVAL, ENOMEM, EPERM, LinuxError
from syscalls.abi.mm import (
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_WIPEONFORK,
    MAP_32BIT,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_GROWSDOWN,
    MAP_PRIVATE,
    MAP_SHARED,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MREMAP_MAYMOVE,
    VM_LOCKED,
)
from syscalls.credentials import Credentials
from syscalls.madvise import advise
from syscalls.mm import Mm
from syscalls.mprotect import protect
from syscalls.mremap import remap
from syscalls.shared_memory import SharedMemory
from syscalls.task import RLIM_INFINITY, RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK
from syscalls.vma import Vma, VmaList

PAGE = 4096
RW, RO = 3, 1
ANON = MAP_PRIVATE | MAP_ANONYMOUS
TOP = 0x7FFFF7FFF000


class FakeSpace:
    """Remembers the calls."""

    reserved = (0, 0)

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def resident(self, addr: int, length: int, mapped: bool = False) -> list[bool]:
        """Nothing was touched."""
        return [False] * (length // PAGE)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            self.calls.append((name, *args))
            return FakeSpace() if name == "fork" else 0
        return call


def make(uid: int = 1000, **limits: int) -> tuple[Mm, Any]:
    kernel = SimpleNamespace(next_inode=1, current=None, host=SimpleNamespace(memory=lambda: (8 << 30, 4 << 30)),
                             engine=SimpleNamespace(new_space=FakeSpace), gap=lambda *args: None)
    rlimits = [(RLIM_INFINITY, RLIM_INFINITY)] * 16
    for name, value in limits.items():
        rlimits[{"memory": RLIMIT_AS, "data": RLIMIT_DATA, "stack": RLIMIT_STACK, "lock": RLIMIT_MEMLOCK}[name]] = (
            value, value)
    task = SimpleNamespace(kernel=kernel, cred=Credentials(uid, uid, ()), group=SimpleNamespace(rlimits=rlimits),
                           personality=0)
    kernel.current = task
    mm = Mm(kernel)  # type: ignore[arg-type]
    task.mm = mm
    return mm, task


def fails(errno: int, call: Any, *args: Any) -> None:
    with pytest.raises(LinuxError) as caught:
        call(*args)
    assert caught.value.errno == errno


def ranges(mm: Mm) -> list[tuple[int, int, int]]:
    return [(area.start, area.end, area.prot) for area in mm.vmas]


def test_top_down_and_merging() -> None:
    mm, task = make()
    first = mm.map(task, 0, 100, RW, ANON, None, 0)
    second = mm.map(task, 0, PAGE, RW, ANON, None, 0)
    assert (first, second) == (TOP - PAGE, TOP - 2 * PAGE)
    assert ranges(mm) == [(TOP - 2 * PAGE, TOP, RW)]
    third = mm.map(task, 0, PAGE, RO, ANON, None, 0)
    assert ranges(mm) == [(third, third + PAGE, RO), (TOP - 2 * PAGE, TOP, RW)]


def test_holes_are_filled_from_the_top() -> None:
    mm, task = make()
    base = mm.map(task, 0, 10 * PAGE, RW, ANON, None, 0)
    mm.unmap(task, base + 2 * PAGE, PAGE)
    mm.unmap(task, base + 5 * PAGE, 2 * PAGE)
    assert mm.map(task, 0, 2 * PAGE, RW, ANON, None, 0) == base + 5 * PAGE
    assert mm.map(task, 0, PAGE, RW, ANON, None, 0) == base + 2 * PAGE
    assert mm.map(task, 0, PAGE, RW, ANON, None, 0) == base - PAGE


def test_hints_fixed_and_noreplace() -> None:
    mm, task = make()
    assert mm.map(task, 0x10000123, PAGE, RW, ANON, None, 0) == 0x10000000
    assert mm.map(task, 0x10000000, PAGE, RW, ANON, None, 0) == TOP - PAGE
    fails(EEXIST, mm.map, task, 0x10000000, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, None, 0)
    assert mm.map(task, 0x10000000, PAGE, RO, ANON | MAP_FIXED, None, 0) == 0x10000000
    fails(EINVAL, mm.map, task, 0x10000001, PAGE, RO, ANON | MAP_FIXED, None, 0)
    fails(EPERM, mm.map, task, 0, PAGE, RO, ANON | MAP_FIXED, None, 0)
    fails(ENOMEM, mm.map, task, 0x7FFFFFFFF000, PAGE, RO, ANON | MAP_FIXED, None, 0)
    fails(EINVAL, mm.map, task, 0, 0, RO, ANON, None, 0)
    fails(ENOMEM, mm.map, task, 0, 2**64 - 1, RO, ANON, None, 0)
    fails(EINVAL, mm.map, task, 0, PAGE, RO, MAP_ANONYMOUS, None, 0)
    low = mm.map(task, 0, PAGE, RW, ANON | MAP_32BIT, None, 0)
    assert 0x40000000 <= low < 0x80000000


def test_unmap_splits() -> None:
    mm, task = make()
    base = mm.map(task, 0, 5 * PAGE, RW, ANON, None, 0)
    mm.unmap(task, base + PAGE, PAGE + 1)
    assert ranges(mm) == [(base, base + PAGE, RW), (base + 3 * PAGE, base + 5 * PAGE, RW)]
    assert mm.total_bytes() == mm.data_bytes() == 3 * PAGE
    fails(EINVAL, mm.unmap, task, base + 1, PAGE)
    fails(EINVAL, mm.unmap, task, base, 0)
    mm.unmap(task, 0x20000, PAGE)


def test_protect_splits_and_merges_back() -> None:
    mm, task = make()
    base = mm.map(task, 0, 4 * PAGE, RW, ANON, None, 0)
    protect(mm, task, base + PAGE, PAGE, RO)
    assert ranges(mm) == [(base, base + PAGE, RW), (base + PAGE, base + 2 * PAGE, RO),
                          (base + 2 * PAGE, base + 4 * PAGE, RW)]
    assert mm.data_bytes() == 3 * PAGE
    protect(mm, task, base + PAGE, PAGE, RW)
    assert ranges(mm) == [(base, base + 4 * PAGE, RW)]
    fails(ENOMEM, protect, mm, task, base, 5 * PAGE, RO)
    assert ranges(mm) == [(base, base + 4 * PAGE, RO)]
    fails(EINVAL, protect, mm, task, base + 1, PAGE, RO)
    fails(ENOMEM, protect, mm, task, 0x20000, PAGE, RO)


class FakeFile:
    kind = "file"
    location = None

    def __init__(self, kernel: Any, writable: bool) -> None:
        self.readable = True
        self.writable = writable
        self.object = SharedMemory(kernel, 1 << 20, False)

    def backing(self, task: Any, shared: bool, prot: int) -> SharedMemory:
        return self.object


def test_read_only_files_stay_read_only() -> None:
    mm, task = make()
    file: Any = FakeFile(task.kernel, False)
    fails(EACCES, mm.map, task, 0, PAGE, RW, MAP_SHARED, file, 0)
    shared = mm.map(task, 0, PAGE, RO, MAP_SHARED, file, 0)
    fails(EACCES, protect, mm, task, shared, PAGE, RW)
    private = mm.map(task, 0, PAGE, RO, MAP_PRIVATE, file, 0)
    protect(mm, task, private, PAGE, RW)


def test_file_areas_merge_when_their_offsets_go_on() -> None:
    mm, task = make()
    file: Any = FakeFile(task.kernel, True)
    base = mm.map(task, 0, 4 * PAGE, RO, MAP_SHARED, file, 0)
    mm.unmap(task, base + PAGE, PAGE)
    mm.map(task, base + PAGE, PAGE, RO, MAP_SHARED | MAP_FIXED, file, 2 * PAGE)
    assert len(mm.vmas) == 3
    mm.map(task, base + PAGE, PAGE, RO, MAP_SHARED | MAP_FIXED, file, PAGE)
    assert len(mm.vmas) == 1


def test_futex_keys() -> None:
    mm, task = make()
    file: Any = FakeFile(task.kernel, True)
    one = mm.map(task, 0, PAGE, RW, MAP_SHARED, file, PAGE)
    two = mm.map(task, 0, 2 * PAGE, RW, MAP_SHARED, file, 0)
    assert mm.futex_key(one + 8, False) == mm.futex_key(two + PAGE + 8, False)
    assert mm.futex_key(one + 8, True) != mm.futex_key(two + PAGE + 8, True)
    fails(EFAULT, mm.futex_key, 0x1000, False)


def test_brk() -> None:
    mm, task = make(data=64 * PAGE)
    mm.start_brk = mm.brk = 0x600000
    assert mm.set_brk(task, 0) == 0x600000
    assert mm.set_brk(task, 0x600010) == 0x600010
    assert mm.set_brk(task, 0x603000) == 0x603000
    assert ranges(mm) == [(0x600000, 0x603000, RW)]
    assert mm.set_brk(task, 0x601001) == 0x601001
    assert ranges(mm) == [(0x600000, 0x602000, RW)]
    assert mm.set_brk(task, 0x600000 + 65 * PAGE) == 0x601001
    mm.map(task, 0x604000, PAGE, RW, ANON | MAP_FIXED, None, 0)
    assert mm.set_brk(task, 0x604000) == 0x601001
    assert mm.set_brk(task, 0x603000) == 0x603000
    assert mm.set_brk(task, 0x600000) == 0x600000


def test_limits() -> None:
    mm, task = make(memory=10 * PAGE, data=5 * PAGE)
    mm.map(task, 0, 5 * PAGE, RW, ANON, None, 0)
    fails(ENOMEM, mm.map, task, 0, PAGE, RW, ANON, None, 0)
    base = mm.map(task, 0, 5 * PAGE, RO, ANON, None, 0)
    fails(ENOMEM, mm.map, task, 0, PAGE, RO, ANON, None, 0)
    fails(ENOMEM, protect, mm, task, base, PAGE, RW)
    mm.map(task, base, PAGE, RO, ANON | MAP_FIXED, None, 0)
    mm, task = make(lock=2 * PAGE)
    fails(EAGAIN, mm.map, task, 0, 3 * PAGE, RW, ANON | 0x2000, None, 0)
    base = mm.map(task, 0, 2 * PAGE, RW, ANON | 0x2000, None, 0)
    assert mm.vmas[0].flags & VM_LOCKED and mm.locked_bytes == 2 * PAGE
    fails(EINVAL, advise, mm, task, base, PAGE, MADV_DONTNEED)
    mm.unmap(task, base, PAGE)
    assert mm.locked_bytes == PAGE
    mm, task = make()
    fails(ENOMEM, mm.map, task, 0, 1 << 40, RW, ANON, None, 0)
    mm.map(task, 0, 1 << 40, 0, ANON, None, 0)


def test_stack_growth() -> None:
    mm, task = make(stack=64 * PAGE)
    top = 0x7FFFFFFFF000
    mm.map(task, top - PAGE, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, None, 0)
    assert mm.grow_stack(top - 3 * PAGE + 8)
    assert ranges(mm) == [(top - 3 * PAGE, top, RW)]
    assert not mm.grow_stack(top - 65 * PAGE)
    assert mm.grow_stack(top - 64 * PAGE)
    mm, task = make()
    mm.map(task, top - PAGE, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, None, 0)
    mm.map(task, top - 400 * PAGE, PAGE, RW, ANON | MAP_FIXED, None, 0)
    assert mm.grow_stack(top - 140 * PAGE)
    assert not mm.grow_stack(top - 150 * PAGE)
    # A mapping without MAP_FIXED keeps the guard gap free.
    assert mm.map(task, top - 200 * PAGE, PAGE, RW, ANON, None, 0) < top - 400 * PAGE


def test_remap() -> None:
    mm, task = make()
    base = mm.map(task, 0x10000000, 2 * PAGE, RW, ANON, None, 0)
    assert remap(mm, task, base, 2 * PAGE, 4 * PAGE, 0, 0) == base
    assert remap(mm, task, base, 4 * PAGE, PAGE, 0, 0) == base
    assert ranges(mm) == [(base, base + PAGE, RW)]
    mm.map(task, base + PAGE, PAGE, RO, ANON | MAP_FIXED, None, 0)
    fails(ENOMEM, remap, mm, task, base, PAGE, 2 * PAGE, 0, 0)
    moved = remap(mm, task, base, PAGE, 2 * PAGE, MREMAP_MAYMOVE, 0)
    assert moved == TOP - 2 * PAGE
    assert ranges(mm) == [(base + PAGE, base + 2 * PAGE, RO), (moved, TOP, RW)]
    assert remap(mm, task, moved, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, 0x30000000) == 0x30000000
    other = remap(mm, task, 0x30000000, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0)
    assert mm.find(0x30000000) is not None and mm.find(other) is not None
    fails(EINVAL, remap, mm, task, base, PAGE, PAGE, MREMAP_FIXED, 0x40000000)
    fails(EINVAL, remap, mm, task, other, PAGE, 0, MREMAP_MAYMOVE, 0)
    fails(EINVAL, remap, mm, task, other, 0, PAGE, MREMAP_MAYMOVE, 0)
    fails(EFAULT, remap, mm, task, 0x50000000, PAGE, PAGE, MREMAP_MAYMOVE, 0)
    fails(EFAULT, remap, mm, task, other, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE, 0)


def test_fork_advice() -> None:
    mm, task = make()
    keep = mm.map(task, 0x10000000, PAGE, RW, ANON, None, 0)
    gone = mm.map(task, 0x20000000, PAGE, RW, ANON, None, 0)
    wiped = mm.map(task, 0x30000000, PAGE, RW, ANON, None, 0)
    assert advise(mm, task, gone, PAGE, MADV_DONTFORK) == 0
    assert advise(mm, task, wiped, PAGE, MADV_WIPEONFORK) == 0
    fails(ENOMEM, advise, mm, task, keep, 2 * PAGE, MADV_DONTNEED)
    fails(EINVAL, advise, mm, task, keep, PAGE, 77)
    child = mm.fork(task)
    assert [area.start for area in child.vmas] == [keep, wiped]
    space: Any = child.space
    assert space.calls == [("unmap", gone, PAGE), ("discard", wiped, PAGE)]
    assert [area.start for area in mm.vmas] == [keep, gone, wiped]


@settings(max_examples=150, deadline=2000)
@given(st.lists(st.tuples(st.sampled_from(["place", "remove", "insert"]), st.integers(0, 40), st.integers(1, 6),
                          st.integers(0, 2)), max_size=40))
def test_area_list_against_a_page_table(operations: list[tuple[str, int, int, int]]) -> None:
    """The list, its totals and top-down placement agree with a plain dict of pages."""
    low, base = 64 << 10, (64 << 10) + 48 * PAGE
    areas = VmaList()
    pages: dict[int, int] = {}
    for kind, page, count, prot in operations:
        start, length = low + page * PAGE, count * PAGE
        if kind == "place":
            free = [at for at in range(low, base - length + 1, PAGE)
                    if all(at + step not in pages for step in range(0, length, PAGE))]
            start = areas.place(length, base)
            assert start == (free[-1] if free else 0)
            if not start:
                continue
        else:
            areas.remove(start, start + length)
            for step in range(0, length, PAGE):
                pages.pop(start + step, None)
        if kind != "remove":
            areas.insert(Vma(start, start + length, prot, 0))
            for step in range(0, length, PAGE):
                pages[start + step] = prot
        assert [area.start for area in areas] == areas.starts
        shown = {at: area.prot for area in areas for at in range(area.start, area.end, PAGE)}
        assert shown == pages
        assert areas.total_bytes == len(pages) * PAGE
        assert areas.data_bytes == sum(PAGE for prot in pages.values() if prot & 2)
        for area, after in zip(areas.areas, areas.areas[1:], strict=False):
            assert area.end <= after.start and not area.joins(after)


def test_nothing_is_mapped_in_the_engine_s_own_range() -> None:
    mm, task = make()
    low, high = 0x2000_0000, 0x2010_0000
    mm.reserved = (low, high)
    fails(ENOMEM, mm.map, task, low - PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, None, 0)
    assert mm.map(task, low + PAGE, PAGE, RW, ANON, None, 0) == TOP - PAGE
    mm.map(task, low - PAGE, PAGE, RW, ANON | MAP_FIXED, None, 0)
    fails(ENOMEM, remap, mm, task, low - PAGE, PAGE, 2 * PAGE, 0, 0)
    mm.map(task, high, PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, None, 0)
    assert not mm.grow_stack(high - 8)
    mm.start_brk = mm.brk = low - 8 * PAGE
    mm.unmap(task, low - PAGE, PAGE)
    assert mm.set_brk(task, low + PAGE) == low - 8 * PAGE
    # The search from the top skips the range.
    mm.reserved = (TOP - 2 * PAGE, TOP - PAGE)
    assert mm.map(task, 0, PAGE * 2, RW, ANON, None, 0) == TOP - 4 * PAGE
