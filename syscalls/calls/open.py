"""Opening files: open, openat, openat2, creat."""

from __future__ import annotations

from syscalls.abi.errno import E2BIG, EAGAIN, EINVAL, EMFILE, LinuxError
from syscalls.abi.fs import (
    AT_FDCWD,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECTORY,
    O_DSYNC,
    O_LARGEFILE,
    O_NOFOLLOW,
    O_PATH,
    O_SYNC_BIT,
    O_TMPFILE_BIT,
    O_TRUNC,
    O_WRONLY,
    OPEN_HOW,
    RESOLVE_BENEATH,
    RESOLVE_CACHED,
    RESOLVE_IN_ROOT,
    S_IALLUGO,
    VALID_OPEN_FLAGS,
    VALID_RESOLVE_FLAGS,
)
from syscalls.fd import FileDescription
from syscalls.table import PARTIAL, syscall
from syscalls.task import RLIMIT_NOFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

    from syscalls.abi.kinds import OpenFlags, OpenHow
    from syscalls.table import DirFd, Flags, In, Mode, Path, Size
    from syscalls.task import Task

MANY_FILES = 256
"""A process that has so many may go on until the host has no descriptor left to import a module with."""
OPEN_HOW_LATEST = 4096
"""Larger structures are refused: openat2 takes at most a page."""


def _open(task: Task, dirfd: int, path: bytes, flags: int, mode: int, resolve: int = 0) -> int | Awaitable[int]:
    files = task.files
    limit = task.group.rlimits[RLIMIT_NOFILE][0]
    if files.lowest >= MANY_FILES and not task.kernel.everything_imported:
        from syscalls.preload import import_everything
        import_everything(task.kernel)
    if len(files.files) >= limit and all(fd in files.files for fd in range(limit)):
        raise LinuxError(EMFILE)  # before a file is made
    if not flags & (O_CREAT | O_TMPFILE_BIT):
        mode = 0  # build_open_how: it counts only when a file may be made
    if flags & O_SYNC_BIT:
        flags |= O_DSYNC
    result = task.kernel.vfs.start_open(task, path, flags, mode & S_IALLUGO, dirfd, resolve)
    if isinstance(result, FileDescription):
        return files.install(result, bool(flags & O_CLOEXEC), limit)
    return _installed(task, result, flags)


def installed(task: Task, result: FileDescription | Awaitable[FileDescription], flags: int) -> int | Awaitable[int]:
    """The descriptor of what an open gave, which may still have to wait."""
    if isinstance(result, FileDescription):
        return task.files.install(result, bool(flags & O_CLOEXEC), task.group.rlimits[RLIMIT_NOFILE][0])
    return _installed(task, result, flags)


async def _installed(task: Task, opening: Awaitable[FileDescription], flags: int) -> int:
    file = await opening
    return task.files.install(file, bool(flags & O_CLOEXEC), task.group.rlimits[RLIMIT_NOFILE][0])


OPEN = PARTIAL("O_DIRECT is accepted and goes through the host's cache all the same")
DIRECT = {"O_DIRECT": 0o40000}
OPENING = ("files.tree", "files.mode-bits", "files.tmpfile", "files.case-sensitive", "files.any-name")


@syscall(2, support=OPEN, needs=OPENING, unsupported=DIRECT)
def open(task: Task, path: Path, flags: Flags[OpenFlags], mode: Mode) -> int | Awaitable[int]:
    return _open(task, AT_FDCWD, path, flags & VALID_OPEN_FLAGS | O_LARGEFILE, mode)


@syscall(85, needs=("files.tree", "files.mode-bits", "files.case-sensitive", "files.any-name"))
def creat(task: Task, path: Path, mode: Mode) -> int | Awaitable[int]:
    return _open(task, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC | O_LARGEFILE, mode)


@syscall(257, since="2.6.16", support=OPEN, needs=OPENING, unsupported=DIRECT)
def openat(task: Task, dirfd: DirFd, path: Path, flags: Flags[OpenFlags], mode: Mode) -> int | Awaitable[int]:
    return _open(task, dirfd, path, flags & VALID_OPEN_FLAGS | O_LARGEFILE, mode)


@syscall(437, since="5.6", support=OPEN, needs=OPENING, unsupported=DIRECT)
def openat2(task: Task, dirfd: DirFd, path: Path, how: In[OpenHow], size: Size) -> int | Awaitable[int]:
    if size < OPEN_HOW.size:
        raise LinuxError(EINVAL)
    if size > OPEN_HOW_LATEST:
        raise LinuxError(E2BIG)
    raw = task.mem.read(how, size)
    if any(raw[OPEN_HOW.size:]):
        raise LinuxError(E2BIG)
    flags, mode, resolve = OPEN_HOW.unpack_from(raw)
    if flags & ~VALID_OPEN_FLAGS or resolve & ~VALID_RESOLVE_FLAGS:
        raise LinuxError(EINVAL)
    if resolve & RESOLVE_BENEATH and resolve & RESOLVE_IN_ROOT:
        raise LinuxError(EINVAL)
    if mode & ~S_IALLUGO if flags & (O_CREAT | O_TMPFILE_BIT) else mode:
        raise LinuxError(EINVAL)
    if flags & O_PATH and flags & ~(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC):
        raise LinuxError(EINVAL)
    if resolve & RESOLVE_CACHED and flags & (O_TRUNC | O_CREAT | O_TMPFILE_BIT):
        raise LinuxError(EAGAIN)
    return _open(task, dirfd, path, flags | O_LARGEFILE, mode, resolve)
