"""ioctl(2): the codes that every descriptor has (fs/ioctl.c do_vfs_ioctl), then the object's own."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, ENODEV, ENOTTY, EOPNOTSUPP, EPERM, LinuxError
from syscalls.abi.fs import FASYNC, O_NONBLOCK
from syscalls.abi.ioctl import (
    FIBMAP,
    FICLONE,
    FICLONERANGE,
    FIDEDUPERANGE,
    FIFREEZE,
    FIGETBSZ,
    FIOASYNC,
    FIOCLEX,
    FIONBIO,
    FIONCLEX,
    FIONREAD,
    FIOQSIZE,
    FITHAW,
    FS_IOC_FIEMAP,
)
from syscalls.credentials import CAP_SYS_ADMIN
from syscalls.fs.inode import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from syscalls.table import PARTIAL, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from typing import Any

    from syscalls.fd import FileDescription
    from syscalls.table import U32, Addr, Fd
    from syscalls.task import Task

CAP_SYS_RAWIO = 17


@syscall(16, since="1.0", support=PARTIAL("devices that pylx does not have; FIEMAP, FS_IOC_* and file cloning"))
def ioctl(task: Task, fd: Fd, code: U32, arg: Addr) -> int | Coroutine[Any, Any, int]:
    file = task.files.get(fd)
    if code == FIOCLEX:
        task.files.cloexec.add(fd)
        return 0
    if code == FIONCLEX:
        task.files.cloexec.discard(fd)
        return 0
    if code == FIONBIO:
        return _set_nonblocking(task, file, arg)
    if code == FIOASYNC:
        return _set_async(task, fd, file, arg)
    if code in _COMMON:
        return _common(task, file, code, arg)
    if file.kind == "file" and code == FIONREAD and file.seekable:
        task.mem.put_u32(arg, max(0, file.stat(task).size - file.seek(task, 0, 1)))
        return 0
    try:
        value = file.ioctl(task, code, arg)
    except LinuxError as error:
        if error.errno == ENOTTY and not _is_probe(code):
            task.kernel.gap(task, "ioctl", code)
        raise
    return value if isinstance(value, int) else _wait(value)


def _is_probe(code: int) -> bool:
    """Terminal and socket codes are asked of everything, to find out what it is."""
    return code >> 8 & 0xFF == 0x54 or code >> 8 == 0x89


async def _wait(value: Awaitable[int]) -> int:
    return await value


def _set_nonblocking(task: Task, file: FileDescription, arg: int) -> int:
    on = task.mem.s32(arg)
    file.set_flags(task, file.flags | O_NONBLOCK if on else file.flags & ~O_NONBLOCK)
    return 0


def _set_async(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    """ENOTTY for what cannot send SIGIO (ioctl_fioasync)."""
    on = bool(task.mem.s32(arg))
    if on == bool(file.flags & FASYNC):
        return 0
    if not file.pollable:
        raise LinuxError(ENOTTY)
    from syscalls.fasync import switch
    switch(task, file, fd, on)
    file.set_flags(task, file.flags | FASYNC if on else file.flags & ~FASYNC)
    return 0


_COMMON = frozenset((FIOQSIZE, FIFREEZE, FITHAW, FS_IOC_FIEMAP, FIGETBSZ, FICLONE, FICLONERANGE, FIDEDUPERANGE, FIBMAP))


def _common(task: Task, file: FileDescription, code: int, arg: int) -> int:
    kind = file.inode.mode & S_IFMT if file.inode is not None else 0
    if code == FIOQSIZE:
        if kind not in {S_IFDIR, S_IFREG, S_IFLNK}:
            raise LinuxError(ENOTTY)
        task.mem.put_u64(arg, file.stat(task).size)
        return 0
    if code == FIGETBSZ:
        task.mem.put_u32(arg, file.stat(task).blksize)
        return 0
    if code in {FIFREEZE, FITHAW}:
        raise LinuxError(EOPNOTSUPP if task.cred.capable(CAP_SYS_ADMIN) else EPERM)
    if code == FIBMAP:
        if kind != S_IFREG:
            raise LinuxError(ENOTTY)
        raise LinuxError(EINVAL if task.cred.capable(CAP_SYS_RAWIO) else EPERM)
    task.kernel.gap(task, "ioctl", code)
    if code in {FICLONE, FICLONERANGE, FIDEDUPERANGE} and kind not in {S_IFREG, S_IFDIR}:
        raise LinuxError(EINVAL if code != FIDEDUPERANGE else ENODEV)
    raise LinuxError(EOPNOTSUPP)
