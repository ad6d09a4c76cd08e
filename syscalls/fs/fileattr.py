"""The attributes of chattr(1) and lsattr(1): FS_IOC_GETFLAGS and FS_IOC_SETFLAGS (fs/file_attr.c)."""

from __future__ import annotations

from syscalls.abi.errno import EPERM, LinuxError
from syscalls.fs.permission import owner_or_capable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fd import FileDescription
    from syscalls.task import Task

FS_IMMUTABLE_FL, FS_APPEND_FL, FS_NODUMP_FL, FS_NOATIME_FL = 0x10, 0x20, 0x40, 0x80
CAP_LINUX_IMMUTABLE = 9


def check_change(task: Task, file: FileDescription, old: int, wanted: int) -> None:
    """vfs_fileattr_set, before the file system is asked.  EROFS; EPERM: not the owner, or a bit of the mighty."""
    assert file.location is not None and file.inode is not None
    file.location.mount.check_writable()
    if not owner_or_capable(task, file.inode):
        raise LinuxError(EPERM)
    if (wanted ^ old) & (FS_IMMUTABLE_FL | FS_APPEND_FL) and not task.cred.capable(CAP_LINUX_IMMUTABLE):
        raise LinuxError(EPERM)
