"""ioctl(2): the codes that every descriptor has (fs/ioctl.c do_vfs_ioctl), then the object's own."""

from __future__ import annotations

from struct import Struct

from syscalls.abi.errno import EACCES, EBADF, EINVAL, EISDIR, ENOMEM, ENOTTY, EOPNOTSUPP, EPERM, EXDEV, LinuxError
from syscalls.abi.fs import FASYNC, O_APPEND, O_NONBLOCK
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
    FS_IOC_FSGETXATTR,
    FS_IOC_FSSETXATTR,
    FS_IOC_GETFLAGS,
    FS_IOC_SETFLAGS,
)
from syscalls.credentials import CAP_SYS_ADMIN
from syscalls.fs.inode import S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from syscalls.table import PARTIAL, syscall
from translator.machine import PAGE_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine
    from typing import Any

    from syscalls.fd import FileDescription
    from syscalls.fs.inode import Inode
    from syscalls.table import U32, Addr, Fd
    from syscalls.task import Task

CAP_SYS_RAWIO = 17


@syscall(16, since="1.0", support=PARTIAL("devices that pylx does not have; FIEMAP and file cloning"),
         needs=("terminal.raw", "terminal.job-control", "sockets.interfaces"))
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
    if code in _ATTRIBUTES and file.inode is not None:
        return _attributes(task, file, file.inode, code, arg)
    if code == FIBMAP and file.inode is not None and file.inode.mode & S_IFMT == S_IFREG:
        raise LinuxError(EINVAL if task.cred.capable(CAP_SYS_RAWIO) else EPERM)
    if file.kind in ("file", "mqueue") and code == FIONREAD and file.seekable:
        task.mem.put_u32(arg, max(0, file.stat(task).size - file.seek(task, 0, 1)))
        return 0
    if file.landlock is not None and file.inode is not None and file.inode.mode & S_IFMT in (S_IFCHR, S_IFBLK):
        from syscalls.landlock import IOCTL_DEV, denied
        if denied(file, IOCTL_DEV):
            raise LinuxError(EACCES)
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
    from syscalls.calls.fcntl import NO_FASYNC
    if not file.pollable or file.kind in NO_FASYNC:
        raise LinuxError(ENOTTY)
    from syscalls.fasync import switch
    switch(task, file, fd, on)
    file.set_flags(task, file.flags | FASYNC if on else file.flags & ~FASYNC)
    return 0


_COMMON = frozenset((FIOQSIZE, FIFREEZE, FITHAW, FS_IOC_FIEMAP, FIGETBSZ, FICLONE, FICLONERANGE, FIDEDUPERANGE))


def _common(task: Task, file: FileDescription, code: int, arg: int) -> int:
    kind = file.inode.mode & S_IFMT if file.inode is not None else 0
    if code == FIOQSIZE:
        if kind not in {S_IFDIR, S_IFREG, S_IFLNK}:
            raise LinuxError(ENOTTY)
        task.mem.put_u64(arg, file.stat(task).blocks * 512)
        return 0
    if code == FIGETBSZ:
        task.mem.put_u32(arg, file.stat(task).blksize)
        return 0
    if code in {FIFREEZE, FITHAW}:
        raise LinuxError(EOPNOTSUPP if task.cred.capable(CAP_SYS_ADMIN) else EPERM)
    if code == FICLONE:
        _check_clone(task, file, arg)
    elif code == FICLONERANGE:
        # struct file_clone_range begins with the source descriptor, as s64.
        _check_clone(task, file, task.mem.s32(arg))
    elif code == FIDEDUPERANGE:
        _check_dedupe(task, file, file.inner_type or kind, arg)
    elif code == FS_IOC_FIEMAP and kind in {S_IFREG, S_IFDIR} and file.inode and file.inode.filesystem.by_path:
        # fiemap_copy_from_user, fiemap_prep: of files that lie on a disk.
        _, length, _, _, extents, _ = task.mem.unpack(_FIEMAP, arg)
        if extents > (0xFFFFFFFF - _FIEMAP.size) // 56 or not length:
            raise LinuxError(EINVAL)
    task.kernel.gap(task, "ioctl", code)
    raise LinuxError(EOPNOTSUPP)


_FIEMAP = Struct("<QQIIII")
"""struct fiemap without its extents: start, length, flags, mapped extents, room for extents."""
_DEDUPE = Struct("<QQHHI")
"""struct file_dedupe_range without its targets: offset, length, how many targets, reserved."""


def _check_dedupe(task: Task, file: FileDescription, kind: int, arg: int) -> None:
    """ioctl_file_dedupe_range, vfs_dedupe_file_range, before the file system is asked."""
    _, _, count, reserved, also_reserved = task.mem.unpack(_DEDUPE, arg)
    size = _DEDUPE.size + 32 * count
    if size > PAGE_SIZE:
        raise LinuxError(ENOMEM)
    task.mem.read(arg, size)
    if not file.readable or reserved or also_reserved:
        raise LinuxError(EINVAL)
    if kind != S_IFREG:
        raise LinuxError(EISDIR if kind == S_IFDIR else EINVAL)


_ATTRIBUTES = frozenset((FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR))
_FSXATTR = Struct("<IIIII8x")
"""struct fsxattr: xflags, extsize, nextents, projid, cowextsize."""


def _attributes(task: Task, file: FileDescription, inode: Inode, code: int, arg: int) -> int | Coroutine[Any, Any, int]:
    """ioctl_getflags, ioctl_setflags, and the same with the values of file_getattr(2)."""
    from syscalls.fs import fileattr
    wanted = task.mem.u32(arg) if code == FS_IOC_SETFLAGS else 0
    fields = task.mem.unpack(_FSXATTR, arg) if code == FS_IOC_FSSETXATTR else ()
    if fields and fields[0] & ~fileattr.XFLAGS_MASK:
        raise LinuxError(EOPNOTSUPP)  # copy_fsxattr_from_user
    try:
        old = inode.file_flags(task)
    except LinuxError as error:
        if error.errno != EOPNOTSUPP:
            raise
        # The file system has none of these: the object may know the code.
        value = file.ioctl(task, code, arg)
        return value if isinstance(value, int) else _wait(value)
    if code == FS_IOC_SETFLAGS:
        fileattr.check_change(task, file.location, inode, old, wanted)
        inode.set_file_flags(task, wanted)
    elif fields:
        xflags, extsize, _, project, cow_extsize = fields
        fileattr.set_xflags(task, file.location, inode, xflags, extsize, project, cow_extsize)
    elif code == FS_IOC_GETFLAGS:
        task.mem.put_u32(arg, old)
    else:
        task.mem.write(arg, _FSXATTR.pack(fileattr.xflags(task, inode), 0, 0, 0, 0))
    return 0


def _check_clone(task: Task, file: FileDescription, source_fd: int) -> None:
    """What is refused before the file systems are asked (do_clone_file_range)."""
    source = task.files.get((source_fd & 0xFFFFFFFF ^ 0x80000000) - 0x80000000)
    one, other = source.stat(task), file.stat(task)
    if one.dev != other.dev:
        raise LinuxError(EXDEV)
    for stat in (one, other):
        if stat.mode & S_IFMT == S_IFDIR:
            raise LinuxError(EISDIR)
        if stat.mode & S_IFMT != S_IFREG:
            raise LinuxError(EINVAL)
    if not source.readable or not file.writable or file.flags & O_APPEND:
        raise LinuxError(EBADF)
