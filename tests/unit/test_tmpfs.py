"""Files in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from syscalls.abi import errno, fs
from syscalls.abi.errno import LinuxError
from syscalls.calls import attr, storage
from syscalls.fs import names, namespace
from syscalls.fs.fileattr import FS_APPEND_FL, FS_IMMUTABLE_FL, FS_NODUMP_FL
from syscalls.fs.tmpfs import MemoryFile
from syscalls.kernel import Kernel
from syscalls.task import Task
from tests.unit.fs_fixtures import make_kernel, make_task, opened


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    (tmp_path / "m").mkdir()
    tmp_path.chmod(0o755)
    return make_kernel(os.fsencode(tmp_path))


@pytest.fixture
def task(kernel: Kernel) -> Task:
    task = make_task(kernel)
    namespace.mount(kernel.vfs, task, b"none", b"/m", b"tmpfs", 0, b"")
    task.fs.cwd = kernel.vfs.resolve(task, b"/m").pin()
    return task


def test_sparse_bytes(task: Task) -> None:
    file = opened(task, b"f", fs.O_CREAT | fs.O_RDWR)
    assert file.pwrite(task, b"end", 10_000) == 3
    assert file.pread(task, 20, 9_995) == b"\0" * 5 + b"end"
    assert file.stat(task).size == 10_003
    assert file.stat(task).blocks == 8
    assert file.seek(task, 0, fs.SEEK_DATA) == 8192
    assert file.seek(task, 8192, fs.SEEK_HOLE) == 10_003
    file.truncate(task, 10_001)
    file.truncate(task, 10_005)
    assert file.pread(task, 10, 10_000) == b"e" + bytes(4)
    file.allocate(task, fs.FALLOC_FL_PUNCH_HOLE | fs.FALLOC_FL_KEEP_SIZE, 9_000, 1_001)
    assert file.pread(task, 5, 10_000) == bytes(5)
    file.release()


def test_backing(task: Task) -> None:
    file = opened(task, b"f", fs.O_CREAT | fs.O_RDWR)
    file.write(task, b"abc")
    backing = file.backing(task, True, 3)
    page = bytearray(b"x" * 4096)
    assert backing.read_page(0, memoryview(page)) == 3
    assert page[:4] == b"abcx"
    backing.write_page(0, b"ABCDEF")
    assert file.pread(task, 10, 0) == b"ABC"
    file.release()


def test_names_and_links(task: Task) -> None:
    vfs = task.kernel.vfs
    at = fs.AT_FDCWD
    names.make_directory(vfs, task, b"d", at, 0o777)
    names.make_directory(vfs, task, b"d/e", at, 0o777)
    assert vfs.resolve(task, b"d").inode.stat(task).nlink == 3
    names.make_symlink(vfs, task, b"d/e", b"s", at)
    file = opened(task, b"s/f", fs.O_CREAT | fs.O_RDWR)
    names.make_link(vfs, task, vfs.resolve(task, b"d/e/f"), b"g", at)
    assert file.stat(task).nlink == 2
    task.fs.cwd = vfs.resolve(task, b"d/e").pin()
    names.rename(vfs, task, b"/m/d", at, b"/m/n", at, 0)
    assert task.fs.cwd.working_path(task) == b"/m/n/e"
    assert file.location is not None
    assert file.location.path(task) == b"/m/n/e/f"
    assert vfs.resolve(task, b"..").path(task) == b"/m/n"
    names.rename(vfs, task, b"f", at, b"/m/g", at, 0)  # the same inode: nothing happens
    assert file.stat(task).nlink == 2
    names.remove_file(vfs, task, b"f", at)
    assert file.location.path(task) == b"/m/n/e/f (deleted)"
    with pytest.raises(LinuxError) as caught:
        names.remove_directory(vfs, task, b"/m/n", at)
    assert caught.value.errno == errno.ENOTEMPTY
    names.remove_directory(vfs, task, b"/m/n/e", at)
    with pytest.raises(LinuxError) as caught:
        opened(task, b"new", fs.O_CREAT)
    assert caught.value.errno == errno.ENOENT
    names.make_node(vfs, task, b"/m/fifo", at, 0o010644, 0)
    assert vfs.resolve(task, b"/m/fifo").inode.stat(task).mode == 0o010644


def test_setgid_directory_and_users(task: Task) -> None:
    vfs = task.kernel.vfs
    names.make_directory(vfs, task, b"shared", fs.AT_FDCWD, 0o777)
    directory = vfs.resolve(task, b"shared").inode
    directory.chown(task, -1, 55)
    directory.chmod(task, 0o2777)
    user = make_task(task.kernel, 1000, 1000)
    file = opened(user, b"/m/shared/f", fs.O_CREAT | fs.O_RDWR)
    stat = file.stat(user)
    assert (stat.uid, stat.gid) == (1000, 55)
    names.make_directory(vfs, user, b"/m/shared/sub", fs.AT_FDCWD, 0o755)
    assert vfs.resolve(user, b"/m/shared/sub").inode.mode & 0o7777 == 0o2755
    with pytest.raises(LinuxError):
        opened(user, b"/m/shared/../root", fs.O_CREAT | fs.O_RDWR | fs.O_DIRECTORY)


def test_xattrs(task: Task) -> None:
    file = opened(task, b"f", fs.O_CREAT | fs.O_RDWR)
    inode = file.inode
    assert isinstance(inode, MemoryFile)
    inode.setxattr(task, b"user.a", b"1", fs.XATTR_CREATE)
    with pytest.raises(LinuxError) as caught:
        inode.setxattr(task, b"user.a", b"1", fs.XATTR_CREATE)
    assert caught.value.errno == errno.EEXIST
    assert inode.getxattr(task, b"user.a") == b"1"
    assert inode.listxattr(task) == [b"user.a"]
    inode.removexattr(task, b"user.a")
    with pytest.raises(LinuxError) as caught:
        inode.getxattr(task, b"user.a")
    assert caught.value.errno == errno.ENODATA
    file.release()


def test_immutable_and_append_only_files(task: Task) -> None:
    vfs, at = task.kernel.vfs, fs.AT_FDCWD
    file = opened(task, b"f", fs.O_CREAT | fs.O_RDWR)
    inode = vfs.resolve(task, b"f").inode
    names.make_directory(vfs, task, b"d", at, 0o777)
    directory = vfs.resolve(task, b"d").inode

    def refused(*acts: Callable[[], object]) -> None:
        for act in acts:
            with pytest.raises(LinuxError) as caught:
                act()
            assert caught.value.errno == errno.EPERM

    def remove() -> None:
        names.remove_file(vfs, task, b"f", at)

    inode.set_file_flags(task, FS_IMMUTABLE_FL)
    refused(remove, lambda: opened(task, b"f", fs.O_WRONLY), lambda: attr.chmod(task, b"f", 0o600),
            lambda: attr.utimensat(task, at, b"f", 0, 0), lambda: storage.truncate(task, b"f", 0),
            lambda: names.rename(vfs, task, b"f", at, b"g", at, 0),
            lambda: names.make_link(vfs, task, vfs.resolve(task, b"f"), b"g", at))
    assert file.write(task, b"still open") == 10
    inode.set_file_flags(task, FS_APPEND_FL)
    refused(remove, lambda: opened(task, b"f", fs.O_WRONLY), lambda: attr.chmod(task, b"f", 0o600),
            lambda: storage.truncate(task, b"f", 0),
            lambda: opened(task, b"f", fs.O_WRONLY | fs.O_APPEND | fs.O_TRUNC))
    opened(task, b"f", fs.O_WRONLY | fs.O_APPEND).release()
    assert attr.utimensat(task, at, b"f", 0, 0) == 0 and inode.attribute_bits() == (FS_APPEND_FL, 0x70)
    directory.set_file_flags(task, FS_APPEND_FL | FS_NODUMP_FL)
    opened(task, b"d/g", fs.O_CREAT | fs.O_RDWR).release()
    assert vfs.resolve(task, b"d/g").inode.file_flags(task) == FS_NODUMP_FL
    refused(lambda: names.remove_file(vfs, task, b"d/g", at))
    directory.set_file_flags(task, FS_IMMUTABLE_FL)
    refused(lambda: names.make_directory(vfs, task, b"d/h", at, 0o777))
    inode.set_file_flags(task, 0)
    remove()
    file.release()
