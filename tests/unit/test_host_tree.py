"""Directory trees of the hosts, and that confined ones stay closed."""

# ruff: noqa: F401, F811 -- fixtures are imported and then named by parameters
from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from syscalls.abi import errno
from tests.unit.host_fixtures import can_link, errno_of, host, on_linux, tree
from translator.hosts.base import UTIME_NOW, Host, HostError, HostTree

S_IFLNK, S_IFREG, S_IFIFO = 0o120000, 0o100000, 0o010000
DT_DIR, DT_REG, DT_LNK, DT_FIFO = 4, 8, 10, 1
NOREPLACE, EXCHANGE = 1, 2
O_CREAT, O_RDWR = 0o100, 2


def test_lookup_says_how_far_it_got(tree: HostTree, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("x")
    if can_link(tree):
        (tmp_path / "a/link").symlink_to("b")
    else:
        (tmp_path / "a/link").write_text("")
    for path, walked in ((b"", 0), (b"a", 1), (b"a/b", 3), (b"a/b/file", 8), (b"a/b/missing", 3), (b"a/x/y/z", 1),
                         (b"x/y", 0), (b"a/b/file/x", 8), (b"a/b/file/x/y", 8), (b"a/link", 6), (b"a/link/file", 6),
                         (b"a/link/x/y", 6), (b"a/b/" + b"n" * 300, 3)):
        length, stat = tree.lookup(path)
        assert length == walked, path
        assert stat.ino == os.lstat(tmp_path / os.fsdecode(path[:walked])).st_ino


@on_linux
@pytest.mark.parametrize("host", ["linux"], indirect=True)
@pytest.mark.parametrize("confined", [False, True])
def test_what_is_held_stays_within_reach(host: Host, tmp_path: Path, confined: bool) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("x")
    inside = (tmp_path / "a/b").stat().st_ino
    tree = host.tree(os.fsencode(tmp_path), confined)
    hold = tree.hold(b"a/b")
    assert tree.holding() and tree.find(b"a/b") is None and tree.create(b"a/b/new", O_RDWR, 0o600) is None
    (tmp_path / "a").rename(tmp_path / "gone")  # as good as a directory that may not be searched
    assert tree.lstat(b"a/b").ino == inside and tree.lookup(b"a/b/file")[0] == 8
    assert [name for name, _, _ in tree.entries(b"a/b")] == [b"file"]
    assert errno_of(tree.lstat, b"a") == errno.ENOENT
    tree.open(b"a/b/new", O_CREAT | O_RDWR, 0o600).close()
    tree.chmod(b"a/b", 0o711)
    tree.chown(b"a/b", -1, os.getgid())
    tree.utime(b"a/b", 5, UTIME_NOW)
    tree.rename(b"a/b/new", b"a/b/newer", 0)
    tree.unlink(b"a/b/file")
    assert ((tmp_path / "gone/b").stat().st_mode & 0o7777, (tmp_path / "gone/b").stat().st_atime_ns) == (0o711, 5)
    assert [entry.name for entry in (tmp_path / "gone/b").iterdir()] == ["newer"]
    tree.names_changed([(b"a", b"c")], None)
    assert errno_of(tree.lstat, b"a/b") == errno.ENOENT
    assert tree.lstat(b"c/b/newer").mode & 0o777 == 0o600
    tree.names_changed([], b"c/b")
    assert errno_of(tree.lstat, b"c/b") == errno.ENOENT and not tree.holding()
    assert tree.lstat(hold.path).ino == inside and tree.lstat(hold.path + b"/newer").mode & 0o777 == 0o600
    hold = tree.hold(b"gone/b")
    assert tree.holding()
    del hold
    assert not tree.holding() and tree.find(b"gone/b") is not None


@on_linux
@pytest.mark.parametrize("host", ["linux"], indirect=True)
@pytest.mark.parametrize("confined", [False, True])
def test_find_and_create_do_what_lookup_and_open_do(host: Host, tmp_path: Path, confined: bool) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("x")
    (tmp_path / "a/link").symlink_to("b")
    (tmp_path / "a/dangling").symlink_to("b/none")
    tree = host.tree(os.fsencode(tmp_path), confined)
    for path in (b"a", b"a/b/file", b"a/link"):
        found = tree.find(path)
        assert found is not None and (found.ino, found.mode) == (tree.lstat(path).ino, tree.lstat(path).mode)
    timed = tree.find(b"a/b/file", True)
    assert timed is not None and timed.btime_ns == tree.btime(b"a/b/file")
    assert tree.find(b"a/link/file") is None
    assert tree.find(b"a/dangling/x") is None
    for path, number in ((b"a/none", errno.ENOENT), (b"none/x/y", errno.ENOENT), (b"a/b/file/x", errno.ENOTDIR),
                         (b"a/" + b"n" * 256, errno.ENAMETOOLONG)):
        assert errno_of(tree.find, path) == number
    for path in (b"a/b/file", b"a/link", b"a/link/new", b"a/dangling", b"none/x", b"a/b/file/x"):
        assert tree.create(path, O_RDWR, 0o600) is None
    assert sorted(entry.name for entry in (tmp_path / "a/b").iterdir()) == ["file"]
    made = tree.create(b"a/b/new", O_RDWR, 0o1640)
    assert made is not None and made.pwrite(b"text", 0) == 4
    assert made.stat().mode == S_IFREG | 0o1640
    made.close()
    tree.close()


@pytest.mark.skipif(os.name != "posix", reason="symbolic links, FIFOs and mode bits")
def test_make_list_remove(tree: HostTree, tmp_path: Path) -> None:
    tree.mkdir(b"d", 0o1770)
    assert tree.lstat(b"d").mode == 0o41770
    assert errno_of(tree.mkdir, b"d", 0o700) == errno.EEXIST
    tree.open(b"d/f", O_RDWR | O_CREAT, 0o600).close()
    tree.symlink(b"to/nowhere\xff", b"d/l")
    tree.mknod(b"d/p", S_IFIFO | 0o640, 0)
    tree.mkdir(b"d/s", 0o700)
    tree.link(b"d/f", b"d/g")
    tree.link(b"d/l", b"d/m")
    entries = {name: (ino, kind) for name, ino, kind in tree.entries(b"d")}
    assert {name: kind for name, (_, kind) in entries.items()} == {
        b"f": DT_REG, b"g": DT_REG, b"l": DT_LNK, b"m": DT_LNK, b"p": DT_FIFO, b"s": DT_DIR}
    assert entries[b"f"][0] == entries[b"g"][0] == tree.lstat(b"d/f").ino
    assert tree.lstat(b"d/f").nlink == 2
    assert tree.readlink(b"d/l") == b"to/nowhere\xff"
    assert tree.lstat(b"d/l").mode & 0o170000 == S_IFLNK
    assert tree.lstat(b"d/p").mode == S_IFIFO | 0o640
    assert errno_of(tree.readlink, b"d/f") == errno.EINVAL
    assert errno_of(tree.rmdir, b"d") == errno.ENOTEMPTY
    assert errno_of(tree.unlink, b"d/s") == errno.EISDIR
    assert errno_of(tree.rmdir, b"d/f") == errno.ENOTDIR
    for name in (b"f", b"g", b"l", b"m", b"p"):
        tree.unlink(b"d/" + name)
    tree.rmdir(b"d/s")
    tree.rmdir(b"d")
    assert list(tree.entries(b"")) == []
    assert errno_of(tree.entries, b"d") == errno.ENOENT


def test_make_list_remove_plainly(tree: HostTree) -> None:
    tree.mkdir(b"d", 0o755)
    assert errno_of(tree.mkdir, b"d", 0o700) == errno.EEXIST
    tree.open(b"d/f", O_RDWR | O_CREAT, 0o600).close()
    tree.mkdir(b"d/s", 0o700)
    assert sorted((name, kind) for name, _, kind in tree.entries(b"d")) == [(b"f", DT_REG), (b"s", DT_DIR)]
    assert errno_of(tree.readlink, b"d/f") == errno.EINVAL
    assert errno_of(tree.rmdir, b"d") == errno.ENOTEMPTY
    assert errno_of(tree.unlink, b"d/s") == errno.EISDIR
    assert errno_of(tree.rmdir, b"d/f") == errno.ENOTDIR
    assert errno_of(tree.entries, b"d/f") == errno.ENOTDIR
    assert errno_of(tree.unlink, b"d/x") == errno.ENOENT
    tree.unlink(b"d/f")
    tree.rmdir(b"d/s")
    tree.rmdir(b"d")
    assert errno_of(tree.entries, b"d") == errno.ENOENT


def test_rename_and_its_flags(tree: HostTree, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    (tmp_path / "d").mkdir()
    tree.rename(b"a", b"d/a", 0)
    assert errno_of(tree.rename, b"b", b"d/a", NOREPLACE) == errno.EEXIST
    tree.rename(b"b", b"c", NOREPLACE)
    assert (tmp_path / "c").read_text() == "b"
    tree.rename(b"c", b"d/a", 0)
    assert (tmp_path / "d/a").read_text() == "b"
    assert errno_of(tree.rename, b"d", b"d/inside", 0) == errno.EINVAL
    assert errno_of(tree.rename, b"missing", b"x", 0) == errno.ENOENT


def test_rename_exchange(tree: HostTree, host: Host, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "d").mkdir()
    if host.capabilities["files.rename-exchange"].level == "absent":
        assert errno_of(tree.rename, b"a", b"d", EXCHANGE) == errno.EINVAL
        return
    tree.rename(b"a", b"d", EXCHANGE)
    assert (tmp_path / "a").is_dir()
    assert (tmp_path / "d").read_text() == "a"


@pytest.mark.skipif(os.name != "posix", reason="symbolic links and mode bits")
def test_attributes(tree: HostTree, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("content")
    (tmp_path / "l").symlink_to("f")
    tree.chmod(b"f", 0o2715)
    assert tree.lstat(b"f").mode == S_IFREG | 0o2715
    assert errno_of(tree.chmod, b"l", 0o777) == errno.EOPNOTSUPP
    tree.truncate(b"f", 3)
    assert (tmp_path / "f").read_text() == "con"
    assert errno_of(tree.truncate, b"l", 3) == errno.ELOOP
    tree.utime(b"f", 10**9, 2 * 10**9 + 5000)
    tree.utime(b"l", 3 * 10**9, None)
    stat = tree.lstat(b"f")
    assert (stat.atime_ns, stat.mtime_ns) == (10**9, 2 * 10**9 + 5000)
    assert tree.lstat(b"l").atime_ns == 3 * 10**9
    tree.utime(b"f", None, UTIME_NOW)
    assert tree.lstat(b"f").atime_ns == 10**9
    tree.chown(b"l", os.geteuid(), os.getegid())
    assert tree.statfs(b"").namelen > 0


def test_xattrs(tree: HostTree, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    error = errno_of(tree.setxattr, b"f", b"user.k", b"v\0w", 0)
    if error:
        assert error == errno.EOPNOTSUPP
        return
    (tmp_path / "l").symlink_to("f")
    assert tree.getxattr(b"f", b"user.k") == b"v\0w"
    assert b"user.k" in tree.listxattr(b"f")
    assert b"user.k" not in tree.listxattr(b"l")
    assert errno_of(tree.setxattr, b"l", b"user.k", b"v", 0) == errno.EPERM
    tree.removexattr(b"f", b"user.k")
    assert errno_of(tree.getxattr, b"f", b"user.k") == errno.ENODATA


def test_paths_longer_than_the_host_takes(tree: HostTree, host: Host) -> None:
    if host.capabilities["files.long-paths"].level == "absent":
        assert errno_of(tree.mkdir, b"/".join([b"d" * 200] * 45), 0o700) in {errno.ENAMETOOLONG, errno.ENOENT}
        return
    path = b""
    for _ in range(45):
        path += (b"/" if path else b"") + b"d" * 200
        tree.mkdir(path, 0o700)
    assert len(path) > 8192
    tree.open(path + b"/f", O_RDWR | O_CREAT, 0o600).close()
    assert tree.lookup(path + b"/f/x")[0] == len(path) + 2
    assert [name for name, _, _ in tree.entries(path)] == [b"f"]
    tree.rename(path + b"/f", path + b"/g", 0)
    tree.unlink(path + b"/g")
    while path:
        tree.rmdir(path)
        path = path.rpartition(b"/")[0]


@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_confined_tree_follows_no_link(host: Host, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    inside = tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret").write_text("secret")
    (inside / "way").symlink_to(outside)
    (inside / "secret").symlink_to(outside / "secret")
    tree = host.tree(os.fsencode(inside), True)
    for call in (lambda: tree.lstat(b"way/secret"), lambda: tree.open(b"way/secret", O_RDWR, 0),
                 lambda: tree.open(b"way/new", O_RDWR | O_CREAT, 0o600), lambda: tree.open(b"secret", O_RDWR, 0),
                 lambda: tree.unlink(b"way/secret"), lambda: tree.mkdir(b"way/d", 0o700),
                 lambda: tree.rename(b"way/secret", b"s", 0), lambda: tree.rename(b"secret", b"way/s", 0),
                 lambda: tree.link(b"way/secret", b"s"), lambda: tree.symlink(b"x", b"way/x"),
                 lambda: tree.chmod(b"way/secret", 0o777), lambda: tree.utime(b"way/secret", 0, 0),
                 lambda: tree.truncate(b"way/secret", 0), lambda: tree.truncate(b"secret", 0),
                 lambda: tree.readlink(b"way/secret"), lambda: tree.entries(b"way"),
                 lambda: tree.chown(b"way/secret", 0, 0), lambda: tree.rmdir(b"way/secret"),
                 lambda: tree.mknod(b"way/p", S_IFIFO | 0o600, 0), lambda: tree.statfs(b"way/secret"),
                 lambda: tree.getxattr(b"way/secret", b"user.x"), lambda: tree.listxattr(b"way/secret")):
        assert errno_of(call) in {errno.ELOOP, errno.ENOTDIR}
    assert [entry.name for entry in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "secret"
    assert tree.lookup(b"way/secret")[0] == 3
    tree.close()


@on_linux
@pytest.mark.parametrize("host", ["linux"], indirect=True)
def test_confined_tree_under_symlink_swaps(host: Host, tmp_path: Path) -> None:
    """Another process exchanges a directory with a link that leads out, over and over: no call gets through."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for directory in (inside, outside):
        (directory / "d").mkdir(parents=True)
    (inside / "d/f").write_text("inside")
    (outside / "d/f").write_text("outside")
    (inside / "link").symlink_to(outside / "d")
    tree = host.tree(os.fsencode(inside), True)
    swapper = host.tree(os.fsencode(inside), False)
    pid = os.fork()
    if pid == 0:
        while True:
            swapper.rename(b"d", b"link", EXCHANGE)
    through = refused = 0
    try:
        deadline = time.monotonic() + 10
        while (through < 100 or refused < 100) and time.monotonic() < deadline:
            try:
                file = tree.open(b"d/f", O_RDWR, 0)
                assert file.pread(9, 0) == b"inside"
                file.close()
                tree.chmod(b"d/f", 0o600)
                tree.open(b"d/new", O_RDWR | O_CREAT, 0o600).close()
                tree.unlink(b"d/new")
                through += 1
            except HostError as error:
                assert error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENOENT}
                refused += 1
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert through
    assert refused
    assert sorted(entry.name for entry in (outside / "d").iterdir()) == ["f"]
    assert (outside / "d/f").stat().st_mode & 0o777 != 0o600
    tree.close()


def test_watch_reports_changes_of_others(tree: HostTree, host: Host, tmp_path: Path) -> None:
    seen: list[tuple[int, bytes]] = []
    if host.capabilities["files.watch"].level == "absent":
        assert errno_of(tree.watch, b"", lambda mask, name, cookie: None, 0xFFF) == errno.ENOSYS
        return
    watch = tree.watch(b"", lambda mask, name, cookie: seen.append((mask, name)), 0x100 | 0x200)
    other = tree.watch(b"", lambda mask, name, cookie: seen.append((mask, b"other")), 0x200)
    (tmp_path / "new").write_text("x")
    (tmp_path / "new").unlink()
    host.poller().poll(10**9)
    assert seen == [(0x100, b"new"), (0x200, b"new"), (0x200, b"other")]
    watch.close()
    other.close()
    (tmp_path / "late").write_text("x")
    host.poller().poll(0)
    assert len(seen) == 3
