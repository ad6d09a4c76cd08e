"""What statmount(2) and listmount(2) tell, of mounts that mount(2) makes and pivot_root(2) turns around."""

from __future__ import annotations

import os
from pathlib import Path
from struct import unpack_from

import pytest

from syscalls.abi import errno, fs
from syscalls.abi.errno import LinuxError
from syscalls.fs import namespace
from syscalls.fs.statmount import (
    FS_TYPE,
    LSMT_ROOT,
    MNT_BASIC,
    MNT_OPTS,
    MNT_POINT,
    MNT_ROOT,
    OPT_ARRAY,
    SB_SOURCE,
    SIZE,
    below_mount,
    describe,
)
from syscalls.task import Task
from tests.unit.fs_fixtures import make_kernel, make_task


@pytest.fixture
def task(tmp_path: Path) -> Task:
    (tmp_path / "a" / "old").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    return make_task(make_kernel(os.fsencode(tmp_path)))


def mount(task: Task, *arguments: object) -> int:
    namespace.mount(task.kernel.vfs, task, *arguments)  # type: ignore[arg-type]
    return max(below_mount(task, LSMT_ROOT))


def text(task: Task, number: int, bit: int, at: int) -> bytes:
    """A string of a mount; `at`: where in the structure its place stands."""
    data, texts = describe(task, number, bit, 4096)
    place: int = unpack_from("<I", data, at)[0]
    assert unpack_from("<IIQ", data)[::2] == (SIZE + len(texts), bit if place else 0)
    return texts[place:].partition(b"\0")[0]


def test_a_mount_is_described(task: Task) -> None:
    number = mount(task, b"what", b"/a", b"tmpfs", fs.MS_NOSUID | fs.MS_NOATIME, b"mode=700,size=1m")
    texts = [text(task, number, bit, at) for bit, at in (
        (FS_TYPE, 36), (MNT_ROOT, 104), (MNT_POINT, 108), (MNT_OPTS, 4), (SB_SOURCE, 124), (OPT_ARRAY, 132))]
    assert texts == [b"tmpfs", b"/", b"/a", b"mode=700,size=1m", b"what", b"mode=700"]
    data, _ = describe(task, number, MNT_BASIC, SIZE)
    own, parent, old, old_parent, attributes = unpack_from("<QQIIQ", data, 40)
    assert (own - old, parent - old_parent) == (1 << 31, 1 << 31) and own == number and parent in below_mount(
        task, LSMT_ROOT)
    assert attributes == 2 | 0x10


def test_what_has_no_room(task: Task) -> None:
    number = below_mount(task, LSMT_ROOT)[0]
    for room in (SIZE, SIZE + 1, SIZE + 2):
        with pytest.raises(LinuxError) as caught:
            describe(task, number, MNT_ROOT, room)
        assert caught.value.errno == errno.EOVERFLOW
    assert describe(task, number, MNT_ROOT, SIZE + 3)[1] == b"\0/\0"


def test_mounts_below_a_mount(task: Task) -> None:
    outer = mount(task, b"none", b"/b", b"tmpfs", 0, b"")
    task.kernel.vfs.resolve(task, b"/b").inode.mkdir(task, b"c", 0o755)  # type: ignore[attr-defined]
    inner = mount(task, b"none", b"/b/c", b"tmpfs", 0, b"")
    assert below_mount(task, outer) == [inner]
    assert below_mount(task, inner) == []
    with pytest.raises(LinuxError) as caught:
        below_mount(task, inner + 1)
    assert caught.value.errno == errno.ENOENT


def test_numbers_stay_when_the_root_changes(task: Task) -> None:
    vfs = task.kernel.vfs
    before = below_mount(task, LSMT_ROOT)
    number = mount(task, b"/a", b"/a", b"", fs.MS_BIND, b"")
    namespace.pivot_root(vfs, task, b"/a", b"/a/old")
    assert below_mount(task, LSMT_ROOT) == [*before, number]
    assert text(task, number, MNT_POINT, 108) == b"/" and text(task, before[0], MNT_POINT, 108) == b"/old"
