"""Record locks, OFD locks and flock, among guests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syscalls.abi import errno, fs
from syscalls.abi.errno import LinuxError
from syscalls.fd import FileDescription
from syscalls.fs.locks import fcntl_lock, flock
from syscalls.kernel import Kernel
from syscalls.task import Task
from tests.unit.fs_fixtures import make_kernel, make_task, opened, sleeps


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    (tmp_path / "f").write_bytes(b"0123456789")
    return make_kernel(os.fsencode(tmp_path))


def record(task: Task, file: FileDescription, command: int, kind: int, start: int, length: int) -> object:
    task.mem.write(0, fs.FLOCK.pack(kind, fs.SEEK_SET, start, length, 0))
    return fcntl_lock(task, file, command, 0)


def query(task: Task, file: FileDescription, kind: int, start: int, length: int) -> tuple[int, ...]:
    record(task, file, fs.F_GETLK, kind, start, length)
    return task.mem.unpack(fs.FLOCK, 0)


def refused(task: Task, file: FileDescription, command: int, kind: int, start: int, length: int) -> int:
    with pytest.raises(LinuxError) as caught:
        record(task, file, command, kind, start, length)
    return caught.value.errno


def test_records(kernel: Kernel) -> None:
    one, two = make_task(kernel), make_task(kernel)
    mine, other = opened(one, b"/f", fs.O_RDWR), opened(two, b"/f", fs.O_RDWR)
    assert record(one, mine, fs.F_SETLK, fs.F_WRLCK, 2, 4) == 0
    assert refused(two, other, fs.F_SETLK, fs.F_RDLCK, 5, 1) == errno.EAGAIN
    assert query(two, other, fs.F_RDLCK, 0, 0) == (fs.F_WRLCK, fs.SEEK_SET, 2, 4, one.group.pid)
    assert query(one, mine, fs.F_WRLCK, 0, 0)[0] == fs.F_UNLCK
    # A hole in the middle splits the lock.
    assert record(one, mine, fs.F_SETLK, fs.F_UNLCK, 3, 1) == 0
    assert record(two, other, fs.F_SETLK, fs.F_WRLCK, 3, 1) == 0
    assert query(two, other, fs.F_WRLCK, 4, 0) == (fs.F_WRLCK, fs.SEEK_SET, 4, 2, one.group.pid)
    other.flush(two)
    assert query(one, mine, fs.F_WRLCK, 0, 0)[0] == fs.F_UNLCK


def test_waiting_and_deadlock(kernel: Kernel) -> None:
    one, two = make_task(kernel), make_task(kernel)
    mine, other = opened(one, b"/f", fs.O_RDWR), opened(two, b"/f", fs.O_RDWR)
    record(one, mine, fs.F_SETLK, fs.F_WRLCK, 0, 1)
    record(two, other, fs.F_SETLK, fs.F_WRLCK, 1, 1)
    waiting = sleeps(record(one, mine, fs.F_SETLKW, fs.F_WRLCK, 1, 1))
    with pytest.raises(LinuxError) as caught:
        sleeps(record(two, other, fs.F_SETLKW, fs.F_WRLCK, 0, 1))
    assert caught.value.errno == errno.EDEADLK
    record(two, other, fs.F_SETLK, fs.F_UNLCK, 1, 1)
    with pytest.raises(StopIteration) as done:
        waiting.send(None)
    assert done.value.value == 0


def test_ofd_locks_belong_to_descriptions(kernel: Kernel) -> None:
    task = make_task(kernel)
    one, two = opened(task, b"/f", fs.O_RDWR), opened(task, b"/f", fs.O_RDWR)
    assert record(task, one, fs.F_OFD_SETLK, fs.F_WRLCK, 0, 0) == 0
    assert refused(task, two, fs.F_OFD_SETLK, fs.F_RDLCK, 0, 1) == errno.EAGAIN
    one.release()
    assert record(task, two, fs.F_OFD_SETLK, fs.F_RDLCK, 0, 1) == 0
    two.release()
    assert not kernel.vfs.locks.files


def test_flock(kernel: Kernel) -> None:
    task = make_task(kernel)
    one, two = opened(task, b"/f"), opened(task, b"/f")
    assert flock(task, one, fs.LOCK_SH) == 0
    assert flock(task, two, fs.LOCK_SH | fs.LOCK_NB) == 0
    with pytest.raises(LinuxError) as caught:
        flock(task, two, fs.LOCK_EX | fs.LOCK_NB)
    assert caught.value.errno == errno.EAGAIN
    waiting = sleeps(flock(task, two, fs.LOCK_EX))
    one.release()
    with pytest.raises(StopIteration):
        waiting.send(None)
    two.release()
    assert not kernel.vfs.locks.files


def test_access_mode_is_checked(kernel: Kernel) -> None:
    task = make_task(kernel)
    file = opened(task, b"/f")
    assert refused(task, file, fs.F_SETLK, fs.F_WRLCK, 0, 0) == errno.EBADF
    assert refused(task, file, fs.F_SETLK, 7, 0, 0) == errno.EINVAL
    assert refused(task, file, fs.F_SETLK, fs.F_RDLCK, -1, 0) == errno.EINVAL
