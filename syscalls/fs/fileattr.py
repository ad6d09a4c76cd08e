"""The attributes of chattr(1) and lsattr(1): FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, and file_getattr and file_setattr, which
have other numbers for them (fs/file_attr.c)."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EOPNOTSUPP, EPERM, LinuxError
from syscalls.fs.inode import S_IFDIR, S_IFMT, S_IFREG
from syscalls.fs.permission import owner_or_capable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.inode import Inode
    from syscalls.fs.mounts import Location
    from syscalls.task import Task

FS_IMMUTABLE_FL, FS_APPEND_FL, FS_NODUMP_FL, FS_NOATIME_FL = 0x10, 0x20, 0x40, 0x80
FS_SYNC_FL, FS_DAX_FL, FS_PROJINHERIT_FL = 0x8, 0x02000000, 0x20000000
CAP_LINUX_IMMUTABLE = 9
FROM_XFLAGS = {0x8: FS_IMMUTABLE_FL, 0x10: FS_APPEND_FL, 0x20: FS_SYNC_FL, 0x40: FS_NOATIME_FL, 0x80: FS_NODUMP_FL,
               0x200: FS_PROJINHERIT_FL, 0x8000: FS_DAX_FL}
"""By the bit of file_setattr(2), FS_XFLAG_*: that of FS_IOC_SETFLAGS."""
COMMON_FL = sum(FROM_XFLAGS.values())
XFLAG_PREALLOC, XFLAG_EXTSIZE, XFLAG_EXTSZINHERIT, XFLAG_COWEXTSIZE = 0x2, 0x800, 0x1000, 0x10000
XFLAG_HASATTR = 1 << 31
XFLAGS_MASK = 0x1FFFB | XFLAG_HASATTR


def check_change(task: Task, location: Location | None, inode: Inode, old: int, wanted: int) -> None:
    """vfs_fileattr_set, before the file system is asked.  EROFS; EPERM: not the owner, or a bit of the mighty."""
    if location is not None:
        location.mount.check_writable()
    inode.refresh()
    if not owner_or_capable(task, inode):
        raise LinuxError(EPERM)
    if (wanted ^ old) & (FS_IMMUTABLE_FL | FS_APPEND_FL) and not task.cred.capable(CAP_LINUX_IMMUTABLE):
        raise LinuxError(EPERM)


def xflags(task: Task, inode: Inode) -> int:
    """fa_xflags of a file."""
    flags = inode.file_flags(task)
    return sum(bit for bit, flag in FROM_XFLAGS.items() if flags & flag)


def set_xflags(task: Task, location: Location | None, inode: Inode, wanted: int, extsize: int, project: int,
               cow_extsize: int) -> None:
    """vfs_fileattr_set with the values of struct file_attr.  No file system here has extent sizes or projects; the
    host's ignore what belongs to them, as ext4 does."""
    if location is not None:
        location.mount.check_writable()
    old = inode.file_flags(task)
    flags = old & ~COMMON_FL | sum(flag for bit, flag in FROM_XFLAGS.items() if wanted & bit)
    check_change(task, location, inode, old, flags)
    kind = inode.mode & S_IFMT
    if (wanted & XFLAG_EXTSIZE and kind != S_IFREG) or (wanted & XFLAG_EXTSZINHERIT and kind != S_IFDIR):
        raise LinuxError(EINVAL)
    if project == 0xFFFFFFFF:
        raise LinuxError(EINVAL)
    ignored = XFLAG_PREALLOC | XFLAG_HASATTR
    if not extsize:
        ignored |= XFLAG_EXTSIZE | XFLAG_EXTSZINHERIT
    if not cow_extsize:
        ignored |= XFLAG_COWEXTSIZE
    more = wanted & ~ignored & ~sum(FROM_XFLAGS) or extsize or cow_extsize
    if (project or more) and not inode.ignores_xflags:
        raise LinuxError(EOPNOTSUPP)
    inode.set_file_flags(task, flags)
    if project:
        raise LinuxError(EOPNOTSUPP)  # ext4 finds that out last
