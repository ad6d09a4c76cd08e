"""The path walk, opening, renaming and mounting over a host directory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from syscalls.abi import errno, fs
from syscalls.abi.errno import LinuxError
from syscalls.fs import names, namespace
from syscalls.kernel import Kernel
from syscalls.task import Task
from tests.unit.fs_fixtures import finish, make_kernel, make_task, opened
from translator.hosts.base import HostError


def failure(call: Callable[..., object], *args: object, **options: object) -> int:
    with pytest.raises((LinuxError, HostError)) as caught:
        call(*args, **options)
    number: int = caught.value.errno
    return number


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("a/b")
    (tmp_path / "absolute").symlink_to("/a/b/file")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("a/new")
    (tmp_path / "up").symlink_to("../../../../../a")
    return tmp_path


@pytest.fixture
def kernel(tree: Path) -> Kernel:
    return make_kernel(os.fsencode(tree))


@pytest.fixture
def task(kernel: Kernel) -> Task:
    return make_task(kernel)


def where(task: Task, path: bytes, **options: bool) -> bytes:
    return task.kernel.vfs.resolve(task, path, **options).path(task)


@pytest.mark.parametrize(("path", "place"), [
    (b"/", b"/"), (b"/a/b/file", b"/a/b/file"), (b"a//b/./file", b"/a/b/file"), (b"link/file", b"/a/b/file"),
    (b"absolute", b"/a/b/file"), (b"/..", b"/"), (b"link/..", b"/a"), (b"link/../../..", b"/"), (b"up/b/", b"/a/b"),
    (b"a/b/.", b"/a/b"), (b"link/", b"/a/b"), (b".", b"/"),
])
def test_walk(task: Task, path: bytes, place: bytes) -> None:
    assert where(task, path) == place


@pytest.mark.parametrize(("path", "number"), [
    (b"", errno.ENOENT), (b"none", errno.ENOENT), (b"a/none/x", errno.ENOENT), (b"a/b/file/x", errno.ENOTDIR),
    (b"a/b/file/", errno.ENOTDIR), (b"a/b/file/.", errno.ENOTDIR), (b"a/b/file/..", errno.ENOTDIR),
    (b"loop", errno.ELOOP), (b"loop/x", errno.ELOOP), (b"dangling", errno.ENOENT), (b"x" * 256, errno.ENAMETOOLONG),
    (b"a/" + b"x" * 256, errno.ENAMETOOLONG), (b"none/" + b"x" * 256, errno.ENOENT),
])
def test_walk_errors(task: Task, path: bytes, number: int) -> None:
    assert failure(task.kernel.vfs.resolve, task, path) == number


def test_no_follow(task: Task) -> None:
    assert where(task, b"link", follow=False) == b"/link"
    assert where(task, b"loop", follow=False) == b"/loop"


def test_links_of_the_root_directory_are_asked_for_again(task: Task, tree: Path) -> None:
    filesystem = task.kernel.vfs.root.mount.filesystem
    assert where(task, b"/link/file") == b"/a/b/file"
    assert filesystem.head_links == {b"link": b"a/b"}  # type: ignore[attr-defined]
    assert where(task, b"/link/file") == b"/a/b/file"
    (tree / "other").mkdir()
    (tree / "other" / "file").write_bytes(b"else")
    (tree / "link").unlink()
    (tree / "link").symlink_to("other")
    assert where(task, b"/link/file") == b"/other/file"
    assert task.kernel.vfs.status(task, b"/link/file").size == 4
    (tree / "link").unlink()
    (tree / "link").mkdir()
    assert failure(task.kernel.vfs.status, task, b"/link/file") == errno.ENOENT
    (tree / "link").rmdir()
    assert failure(where, task, b"/link/file") == errno.ENOENT
    (tree / "link").symlink_to("/absolute")
    assert failure(where, task, b"/link/x") == errno.ENOTDIR


def test_many_links_at_the_end(task: Task, tree: Path) -> None:
    (tree / "n0").write_bytes(b"")
    for number in range(1, 42):
        (tree / f"n{number}").symlink_to(f"n{number - 1}")
    assert where(task, b"/n3") == b"/n0"
    assert where(task, b"/n40") == b"/n0"
    assert failure(where, task, b"/n41") == errno.ELOOP


def test_a_link_into_a_mount(task: Task, tree: Path) -> None:
    (tree / "proc").mkdir(exist_ok=True)
    (tree / "a" / "status").symlink_to("../proc/version")
    (tree / "a" / "mounts").symlink_to("/proc/uptime")
    (tree / "p").symlink_to("proc")
    for path in (b"/a/status", b"/a/mounts", b"/p/version", b"/p/version"):
        assert task.kernel.vfs.resolve(task, path).mount.type == b"proc"


def test_creating_where_something_is(task: Task, tree: Path) -> None:
    assert failure(opened, task, b"/a/b/file", fs.O_CREAT | fs.O_EXCL | fs.O_RDWR) == errno.EEXIST
    opened(task, b"/dangling", fs.O_CREAT | fs.O_RDWR).release()
    assert (tree / "a" / "new").exists()
    file = opened(task, b"/link/made", fs.O_CREAT | fs.O_RDWR | fs.O_TRUNC)
    assert file.write(task, b"text") == 4
    assert (tree / "a" / "b" / "made").read_bytes() == b"text"
    assert file.stat(task).mode == 0o100644
    assert failure(opened, task, b"/loop", fs.O_CREAT | fs.O_RDWR) == errno.ELOOP
    assert failure(opened, task, b"/none/x", fs.O_CREAT | fs.O_RDWR) == errno.ENOENT


def test_unprivileged_walk(kernel: Kernel, tree: Path) -> None:
    (tree / "a").chmod(0o700)
    user = make_task(kernel, 1000, 1000)
    assert failure(kernel.vfs.resolve, user, b"/a/b/file") == errno.EACCES
    assert failure(kernel.vfs.resolve, user, b"/link/file") == errno.EACCES
    (tree / "a").chmod(0o711)
    assert where(user, b"/link/file") == b"/a/b/file"
    (tree / "a" / "b" / "file").chmod(0o640)
    assert failure(opened, user, b"/a/b/file") == errno.EACCES
    member = make_task(kernel, 1000, 1000, (0,))
    assert opened(member, b"/a/b/file").read(member, 100) == b"content"
    assert failure(opened, member, b"/a/b/file", fs.O_WRONLY) == errno.EACCES
    assert failure(opened, user, b"/a/new", fs.O_CREAT | fs.O_WRONLY) == errno.EACCES


def test_sticky(kernel: Kernel, tree: Path) -> None:
    (tree / "a").chmod(0o1777)
    user = make_task(kernel, 1000, 1000)
    opened(user, b"/a/mine", fs.O_CREAT | fs.O_WRONLY)
    assert (tree / "a" / "mine").stat().st_uid == 1000
    assert failure(names.remove_directory, kernel.vfs, user, b"/a/b", fs.AT_FDCWD) == errno.EPERM
    names.remove_file(kernel.vfs, user, b"/a/mine", fs.AT_FDCWD)


def test_open_create(task: Task, tree: Path) -> None:
    file = opened(task, b"/dangling", fs.O_CREAT | fs.O_RDWR, 0o666)
    assert (tree / "a" / "new").stat().st_mode & 0o777 == 0o644
    assert file.write(task, b"hello") == 5
    assert file.pread(task, 10, 1) == b"ello"
    assert failure(opened, task, b"/a/new", fs.O_CREAT | fs.O_EXCL) == errno.EEXIST
    assert failure(opened, task, b"/dangling", fs.O_CREAT | fs.O_EXCL) == errno.EEXIST
    assert failure(opened, task, b"/a", fs.O_CREAT) == errno.EISDIR
    assert failure(opened, task, b"/a/x/", fs.O_CREAT) == errno.EISDIR
    assert failure(opened, task, b"/a", fs.O_WRONLY) == errno.EISDIR
    assert failure(opened, task, b"/link", fs.O_NOFOLLOW) == errno.ELOOP
    assert failure(opened, task, b"/a/new", fs.O_DIRECTORY) == errno.ENOTDIR
    assert file.references == 1
    file.release()


def test_write_only_create_keeps_working(task: Task) -> None:
    file = opened(task, b"/ro", fs.O_CREAT | fs.O_WRONLY, 0o400)
    assert file.write(task, b"x") == 1
    assert file.stat(task).size == 1
    file.release()


def test_append_and_truncate(task: Task) -> None:
    file = opened(task, b"/a/b/file", fs.O_RDWR | fs.O_APPEND)
    assert file.write(task, b"!!") == 2
    assert file.offset == 9
    assert file.pwrite(task, b"?", 0) == 1
    assert file.pread(task, 100, 0) == b"content!!?"
    file.truncate(task, 3)
    assert file.seek(task, 0, fs.SEEK_END) == 3
    file.release()


def test_rename_moves_open_files_and_directories(task: Task, tree: Path) -> None:
    vfs = task.kernel.vfs
    file = opened(task, b"/a/b/file")
    task.fs.cwd = vfs.resolve(task, b"/a/b").pin()
    names.rename(vfs, task, b"/a", fs.AT_FDCWD, b"/z", fs.AT_FDCWD, 0)
    assert file.location is not None
    assert file.location.path(task) == b"/z/b/file"
    assert task.fs.cwd.working_path(task) == b"/z/b"
    assert where(task, b"file") == b"/z/b/file"
    assert where(task, b"..") == b"/z"
    names.remove_file(vfs, task, b"file", fs.AT_FDCWD)
    assert file.location.path(task) == b"/z/b/file (deleted)"
    assert file.read(task, 7) == b"content"
    assert file.stat(task).nlink == 0
    names.remove_directory(vfs, task, b"/z/b", fs.AT_FDCWD)
    assert failure(task.fs.cwd.working_path, task) == errno.ENOENT
    assert failure(vfs.resolve, task, b"x") == errno.ENOENT
    assert failure(opened, task, b"x", fs.O_CREAT) == errno.ENOENT
    assert where(task, b"..") == b"/z"
    assert not (tree / "z" / "b").exists()


def test_rename_errors(task: Task) -> None:
    vfs = task.kernel.vfs

    def rename(old: bytes, new: bytes, flags: int = 0) -> int:
        return failure(names.rename, vfs, task, old, fs.AT_FDCWD, new, fs.AT_FDCWD, flags)

    opened(task, b"/f", fs.O_CREAT | fs.O_WRONLY).release()
    assert rename(b"/a", b"/a/b/c") == errno.EINVAL
    assert rename(b"/a/b", b"/a") == errno.ENOTEMPTY
    assert rename(b"/f", b"/a") == errno.EISDIR
    assert rename(b"/a", b"/f") == errno.ENOTDIR
    assert rename(b"/none", b"/x") == errno.ENOENT
    assert rename(b"/f", b"/link", fs.RENAME_NOREPLACE) == errno.EEXIST
    assert rename(b"/f", b"/none", fs.RENAME_EXCHANGE) == errno.ENOENT
    assert rename(b"/f/", b"/g") == errno.ENOTDIR
    assert rename(b"/f", b"/g/") == errno.ENOTDIR
    assert rename(b"/a/.", b"/g") == errno.EBUSY
    assert rename(b"/f", b"/proc/x") == errno.EXDEV
    assert rename(b"/proc", b"/x") in (errno.EBUSY, errno.EXDEV)


def test_removal_errors(task: Task) -> None:
    vfs = task.kernel.vfs

    def unlink(path: bytes) -> int:
        return failure(names.remove_file, vfs, task, path, fs.AT_FDCWD)

    def rmdir(path: bytes) -> int:
        return failure(names.remove_directory, vfs, task, path, fs.AT_FDCWD)

    assert unlink(b"/a") == errno.EISDIR
    assert unlink(b"/a/b/file/") == errno.ENOTDIR
    assert unlink(b"/a/") == errno.EISDIR
    assert unlink(b"/none/") == errno.ENOENT
    assert unlink(b"/") == errno.EISDIR
    assert rmdir(b"/a") == errno.ENOTEMPTY
    assert rmdir(b"/a/.") == errno.EINVAL
    assert rmdir(b"/a/..") == errno.ENOTEMPTY
    assert rmdir(b"/") == errno.EBUSY
    assert rmdir(b"/a/b/file") == errno.ENOTDIR
    assert rmdir(b"/link") == errno.ENOTDIR


def test_making_errors(task: Task) -> None:
    vfs = task.kernel.vfs
    assert failure(names.make_directory, vfs, task, b"/a/.", fs.AT_FDCWD, 0o777) == errno.EEXIST
    assert failure(names.make_directory, vfs, task, b"/link/", fs.AT_FDCWD, 0o777) == errno.EEXIST
    assert failure(names.make_symlink, vfs, task, b"x", b"/none/", fs.AT_FDCWD) == errno.ENOENT
    assert failure(names.make_symlink, vfs, task, b"", b"/s", fs.AT_FDCWD) == errno.ENOENT
    names.make_directory(vfs, task, b"/new/", fs.AT_FDCWD, 0o777)
    assert where(task, b"/new") == b"/new"
    old = vfs.resolve(task, b"/a")
    assert failure(names.make_link, vfs, task, old, b"/hard", fs.AT_FDCWD) == errno.EPERM


def test_tmpfile(task: Task, tree: Path) -> None:
    file = opened(task, b"/a", fs.O_TMPFILE | fs.O_RDWR, 0o600)
    file.write(task, b"data")
    assert file.stat(task).nlink == 0
    assert file.location is not None
    names.make_link(task.kernel.vfs, task, file.location, b"/named", fs.AT_FDCWD)
    assert (tree / "named").read_bytes() == b"data"
    assert failure(opened, task, b"/a", fs.O_TMPFILE | fs.O_RDONLY) == errno.EINVAL
    file.release()


def test_openat2_resolve(task: Task) -> None:
    vfs = task.kernel.vfs
    directory = task.files.install(vfs.start_open(task, b"/a", fs.O_PATH | fs.O_DIRECTORY, 0), False, 100)  # type: ignore[arg-type]

    def resolve(path: bytes, flags: int, open_flags: int = 0) -> int | None:
        try:
            finish(vfs.open(task, path, open_flags, 0, directory, flags))
        except (LinuxError, HostError) as error:
            return error.errno
        return None

    assert resolve(b"b/file", fs.RESOLVE_BENEATH) is None
    assert resolve(b"../a/b/file", fs.RESOLVE_BENEATH) == errno.EXDEV
    assert resolve(b"/a/b/file", fs.RESOLVE_BENEATH) == errno.EXDEV
    assert resolve(b"../b/file", fs.RESOLVE_IN_ROOT) is None
    assert resolve(b"/b/file", fs.RESOLVE_IN_ROOT) is None
    assert resolve(b"../link/file", fs.RESOLVE_NO_SYMLINKS) == errno.ELOOP
    assert resolve(b"../dev", fs.RESOLVE_NO_XDEV) == errno.EXDEV


def test_path_descriptor_and_empty_path(task: Task) -> None:
    vfs = task.kernel.vfs
    file = vfs.start_open(task, b"/link", fs.O_PATH | fs.O_NOFOLLOW, 0)
    fd = task.files.install(file, False, 100)  # type: ignore[arg-type]
    assert failure(task.files.get, fd) == errno.EBADF
    location = vfs.resolve(task, b"", fd, empty_path=True)
    assert location.inode.readlink(task) == b"a/b"
    assert failure(vfs.resolve, task, b"x", fd) == errno.ENOTDIR


def test_directory_listing_shows_mount_points(task: Task) -> None:
    directory = opened(task, b"/", fs.O_DIRECTORY)
    names_seen = [name for name, _, _ in directory.entries(task)]
    assert names_seen[:2] == [b".", b".."]
    assert {b"a", b"link", b"proc", b"sys", b"dev"} <= set(names_seen)
    assert len(names_seen) == len(set(names_seen))


def test_mount_tmpfs_and_bind(task: Task, tree: Path) -> None:
    vfs = task.kernel.vfs
    namespace.mount(vfs, task, b"none", b"/a", b"tmpfs", 0, b"size=8k,mode=755")
    assert failure(vfs.resolve, task, b"/a/b") == errno.ENOENT
    file = opened(task, b"/a/f", fs.O_CREAT | fs.O_RDWR)
    assert file.write(task, b"x" * 8192) == 8192
    assert failure(file.write, task, b"y") == errno.ENOSPC
    assert where(task, b"/a/..") == b"/"
    assert failure(namespace.unmount, vfs, task, b"/a/f", 0) == errno.EINVAL
    task.fs.cwd = vfs.resolve(task, b"/a").pin()
    assert failure(namespace.unmount, vfs, task, b"/a", 0) == errno.EBUSY
    task.fs.cwd = vfs.resolve(task, b"/").pin()
    namespace.unmount(vfs, task, b"/a", 0)
    assert where(task, b"/a/b/file") == b"/a/b/file"
    (tree / "c").mkdir()
    namespace.mount(vfs, task, b"/a/b", b"/c", b"", fs.MS_BIND, b"")
    assert where(task, b"/c/file") == b"/c/file"
    assert where(task, b"/c/..") == b"/"
    assert failure(names.make_link, vfs, task, vfs.resolve(task, b"/c/file"), b"/a/b/l", fs.AT_FDCWD) == errno.EXDEV
    namespace.mount(vfs, task, b"", b"/c", b"", fs.MS_BIND | fs.MS_REMOUNT | fs.MS_RDONLY, b"")
    assert failure(opened, task, b"/c/file", fs.O_WRONLY) == errno.EROFS
    assert failure(opened, task, b"/c/new", fs.O_CREAT) == errno.EROFS
    opened(task, b"/c/file").release()


def test_chroot_keeps_in(task: Task) -> None:
    vfs = task.kernel.vfs
    task.fs.root = task.fs.cwd = vfs.resolve(task, b"/a").pin()
    assert where(task, b"/b/file") == b"/b/file"
    assert where(task, b"../../b") == b"/b"
    assert failure(vfs.resolve, task, b"/link") == errno.ENOENT


def test_hostile_links_stay_inside_the_root(task: Task, tree: Path) -> None:
    (tree / "out").symlink_to("/etc/passwd")
    (tree / "up2").symlink_to("../../../../etc/passwd")
    assert failure(task.kernel.vfs.resolve, task, b"/out") == errno.ENOENT
    assert failure(task.kernel.vfs.resolve, task, b"/up2") == errno.ENOENT


def test_text_busy(task: Task, tree: Path) -> None:
    (tree / "program").write_bytes(b"#!/bin/sh\n")
    (tree / "program").chmod(0o755)
    vfs = task.kernel.vfs
    running = vfs.open_exec(task, b"/program").retain()
    assert failure(opened, task, b"/program", fs.O_WRONLY) == errno.ETXTBSY
    running.release()
    writer = opened(task, b"/program", fs.O_WRONLY)
    assert failure(vfs.open_exec, task, b"/program") == errno.ETXTBSY
    writer.release()
    vfs.open_exec(task, b"/program").retain().release()
    assert failure(vfs.open_exec, task, b"/a/b/file") == errno.EACCES


def test_events(task: Task) -> None:
    vfs = task.kernel.vfs
    seen: list[tuple[int, bytes]] = []
    vfs.notifier = lambda key, mask, name, cookie: seen.append((mask, name))
    file = opened(task, b"/a/n", fs.O_CREAT | fs.O_WRONLY)
    file.write(task, b"x")
    file.happened(fs.IN_MODIFY)  # which the calls see to, as vfs_write does
    file.release()
    names.rename(vfs, task, b"/a/n", fs.AT_FDCWD, b"/a/m", fs.AT_FDCWD, 0)
    names.remove_file(vfs, task, b"/a/m", fs.AT_FDCWD)
    named = [(mask, name) for mask, name in seen if name]
    assert named == [(fs.IN_CREATE, b"n"), (fs.IN_OPEN, b"n"), (fs.IN_MODIFY, b"n"), (fs.IN_CLOSE_WRITE, b"n"),
                     (fs.IN_MOVED_FROM, b"n"), (fs.IN_MOVED_TO, b"m"), (fs.IN_DELETE, b"m")]
