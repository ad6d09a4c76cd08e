"""Open files of the hosts."""

# ruff: noqa: F401, F811 -- fixtures are imported and then named by parameters
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from syscalls.abi import errno
from tests.unit.host_fixtures import can_link, errno_of, host, on_linux, tree
from translator.hosts.base import UTIME_NOW, Host, HostTree

O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC = 0, 1, 2, 0o100, 0o200, 0o1000
O_APPEND, O_DIRECTORY, O_TMPFILE = 0o2000, 0o200000, 0o20200000
POSIX = os.name == "posix"
SECOND = 1_000_000_000


def test_positioned_io_leaves_no_position(tree: HostTree, tmp_path: Path) -> None:
    file = tree.open(b"f", O_RDWR | O_CREAT | O_EXCL, 0o640)
    assert file.pwrite(b"0123456789", 0) == 10
    assert file.pwrite(memoryview(b"ab"), 12) == 2
    assert file.pread(4, 8) == b"89\0\0"
    into = bytearray(6)
    assert file.pread_into(memoryview(into)[1:5], 2) == 4
    assert into == b"\x002345\0"
    assert file.pread(10, 100) == b""
    assert file.pread_into(memoryview(into), 100) == 0
    assert file.append(b"!") == 1
    assert file.read(3) == b"012"
    assert file.seek(0, os.SEEK_CUR) == 3
    file.truncate(5)
    stat = file.stat()
    assert (stat.size, stat.mode, stat.nlink) == (5, 0o100640 if POSIX else 0o100777, 1)
    file.sync(True)
    file.sync(False)
    file.close()
    assert (tmp_path / "f").read_bytes() == b"01234"


def test_open_flags(tree: HostTree) -> None:
    tree.open(b"f", O_WRONLY | O_CREAT, 0o777).close()
    assert tree.lstat(b"f").mode == 0o100777
    assert errno_of(tree.open, b"f", O_WRONLY | O_CREAT | O_EXCL, 0o600) == errno.EEXIST
    assert errno_of(tree.open, b"missing", O_RDONLY, 0) == errno.ENOENT
    assert errno_of(tree.open, b"f", O_RDONLY | O_DIRECTORY, 0) == errno.ENOTDIR
    assert errno_of(tree.open, b"f/x", O_RDONLY, 0) == (errno.ENOTDIR if POSIX else errno.ENOENT)
    file = tree.open(b"f", O_RDONLY, 0)
    assert errno_of(file.pwrite, b"x", 0) == errno.EBADF
    file.close()
    tree.mkdir(b"d", 0o755)
    assert errno_of(tree.open, b"d", O_RDWR, 0) == errno.EISDIR
    directory = tree.open(b"d", O_RDONLY | O_DIRECTORY, 0)
    assert directory.stat().mode == (0o40755 if POSIX else 0o40777)
    directory.close()
    if not can_link(tree):
        return
    tree.symlink(b"f", b"link")
    assert errno_of(tree.open, b"link", O_RDONLY, 0) == errno.ELOOP


def test_o_append_is_left_to_append(tree: HostTree) -> None:
    file = tree.open(b"f", O_RDWR | O_CREAT | O_APPEND, 0o600)
    file.append(b"abc")
    file.pwrite(b"X", 0)
    file.append(b"def")
    assert file.pread(10, 0) == b"Xbcdef"
    tree.open(b"f", O_RDWR | O_TRUNC, 0).close()
    assert file.stat().size == 0
    file.close()


def test_times_and_modes_of_open_files(tree: HostTree) -> None:
    file = tree.open(b"f", O_RDWR | O_CREAT, 0o600)
    file.utime(5 * SECOND + 1000, 7 * SECOND + 2000)
    file.utime(None, 9 * SECOND)
    stat = file.stat()
    assert stat.mtime_ns == 9 * SECOND
    assert stat.atime_ns == 5 * SECOND + 1000 or not POSIX
    file.utime(UTIME_NOW, None)
    stat = file.stat()
    assert stat.atime_ns > 1_500_000_000 * SECOND
    assert stat.mtime_ns == 9 * SECOND
    file.chmod(0o4751)
    assert file.stat().mode == (0o104751 if POSIX else 0o100777)
    file.chown(file.stat().uid, file.stat().gid)
    assert file.statfs().bsize > 0
    assert file.btime() == -1 or file.btime() > 0
    file.close()


def test_use_after_unlink(tree: HostTree) -> None:
    file = tree.open(b"f", O_RDWR | O_CREAT, 0o600)
    tree.unlink(b"f")
    file.pwrite(b"still", 0)
    assert file.pread(9, 0) == b"still"
    assert file.stat().nlink == 0
    assert list(tree.entries(b"")) == []
    again = tree.open(b"f", O_RDWR | O_CREAT | O_EXCL, 0o600)
    again.pwrite(b"other", 0)
    assert file.pread(9, 0) == b"still"
    file.close()
    tree.open(b"g", O_RDWR | O_CREAT, 0o600).close()
    tree.rename(b"g", b"f", 0)
    assert again.pread(9, 0) == b"other"
    assert (again.stat().nlink, tree.lstat(b"f").size) == (0, 0)
    again.close()
    assert [name for name, _, _ in tree.entries(b"")] == [b"f"]


def test_use_after_rename(tree: HostTree) -> None:
    tree.mkdir(b"d", 0o700)
    file = tree.open(b"d/f", O_RDWR | O_CREAT, 0o600)
    tree.rename(b"d/f", b"d/g", 0)
    file.chmod(0o444)
    tree.rename(b"d", b"e", 0)
    file.utime(None, 3 * SECOND)
    assert tree.lstat(b"e/g").mode & 0o666 == 0o444
    assert tree.lstat(b"e/g").mtime_ns == 3 * SECOND
    file.chmod(0o644)
    file.close()


@on_linux
@pytest.mark.parametrize("host", ["linux"], indirect=True)
def test_allocate_and_holes(host: Host, tmp_path: Path) -> None:
    file = host.tree(os.fsencode(tmp_path), False).open(b"f", O_RDWR | O_CREAT, 0o600)
    file.allocate(0, 0, 100_000)
    assert file.stat().size == 100_000
    file.allocate(1, 0, 200_000)  # FALLOC_FL_KEEP_SIZE
    assert file.stat().size == 100_000
    file.pwrite(b"x" * 16384, 0)
    file.allocate(3, 4096, 8192)  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    assert file.pread(1, 4096) == b"\0"
    assert file.seek_data(0, True) == 4096
    assert file.seek_data(4096, False) == 12288
    assert errno_of(file.seek_data, 100_000, False) == errno.ENXIO
    assert errno_of(file.allocate, 0, 0, 0) == errno.EINVAL
    file.close()


@on_linux
@pytest.mark.parametrize("host", ["linux"], indirect=True)
def test_tmpfile_gets_a_name(host: Host, tmp_path: Path) -> None:
    for confined in (False, True):
        tree = host.tree(os.fsencode(tmp_path), confined)
        tree.mkdir(b"d", 0o755) if not confined else None
        file = tree.open(b"d", O_RDWR | O_TMPFILE, 0o640)
        file.pwrite(b"here", 0)
        name = b"d/named%d" % confined
        tree.link_open(file, name)
        file.close()
        assert tree.lstat(name).mode == 0o100640
        assert tree.open(name, O_RDONLY, 0).pread(9, 0) == b"here"


def test_xattrs_of_open_files(tree: HostTree) -> None:
    file = tree.open(b"f", O_RDWR | O_CREAT, 0o600)
    error = errno_of(file.setxattr, b"user.a", b"1", 0)
    if error:
        assert error == errno.EOPNOTSUPP
        return
    assert errno_of(file.setxattr, b"user.a", b"2", 1) == errno.EEXIST  # XATTR_CREATE
    assert errno_of(file.setxattr, b"user.b", b"2", 2) == errno.ENODATA  # XATTR_REPLACE
    assert file.getxattr(b"user.a") == b"1"
    assert file.listxattr() == [b"user.a"]
    file.removexattr(b"user.a")
    assert errno_of(file.getxattr, b"user.a") == errno.ENODATA
    file.close()


_LOCKER = """
import fcntl, sys
file = open(sys.argv[1], "r+")
try:
    fcntl.lockf(file, (fcntl.LOCK_SH if sys.argv[2] == "shared" else fcntl.LOCK_EX) | fcntl.LOCK_NB, 10, 0)
except OSError as error:
    print(error.errno)
else:
    print(0)
"""


def test_record_locks_hold_against_other_processes_only(tree: HostTree, host: Host, tmp_path: Path) -> None:
    first = tree.open(b"f", O_RDWR | O_CREAT, 0o600)
    if host.capabilities["files.record-lock"].level == "absent":
        assert errno_of(first.lock, True, 0, 100) == errno.ENOSYS
        return
    second = tree.open(b"f", O_RDWR, 0)
    first.lock(True, 0, 100)
    second.lock(True, 50, 100)
    tree.open(b"f", O_RDONLY, 0).close()

    def other(kind: str) -> int:
        command = [sys.executable, "-S", "-c", _LOCKER, str(tmp_path / "f"), kind]
        return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)

    assert other("exclusive") in {errno.EAGAIN, errno.EACCES}
    first.lock(False, 0, 100)
    assert other("shared") == 0
    assert other("exclusive") in {errno.EAGAIN, errno.EACCES}
    first.lock(None, 0, 0)
    assert other("exclusive") == 0
    first.close()
    second.close()


def test_flock_holds_between_open_files(tree: HostTree, host: Host) -> None:
    first = tree.open(b"f", O_RDWR | O_CREAT, 0o600)
    if host.capabilities["files.flock"].level == "absent":
        assert errno_of(first.flock, True) == errno.ENOSYS
        return
    second = tree.open(b"f", O_RDWR, 0)
    first.flock(True)
    assert errno_of(second.flock, False) == errno.EAGAIN
    first.flock(None)
    second.flock(True)
    second.close()
    first.flock(False)
    first.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")
def test_fifo_and_devices_do_not_sleep(tree: HostTree, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = tree.open(b"fifo", O_RDONLY, 0)
    assert reader.read(10) == b""
    writer = tree.open(b"fifo", O_WRONLY, 0)
    assert errno_of(reader.read, 10) == errno.EAGAIN
    assert writer.write(b"hello") == 5
    assert reader.read(10) == b"hello"
    reader.close()
    assert errno_of(writer.write, b"x") == errno.EPIPE
    assert errno_of(writer.seek, 0, 0) == errno.ESPIPE
    writer.close()
    assert errno_of(tree.open, b"fifo", O_WRONLY, 0) == errno.ENXIO
