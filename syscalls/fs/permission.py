"""Who may do what: the permission checks of fs/namei.c and fs/attr.c against a guest's credentials.

They go by mode bits.  Where the host's own checks are right for a task (`HostFs.trusts`), searching directories is left
to the host, which also knows access control lists.
"""

from __future__ import annotations

from syscalls.abi.errno import EACCES, ENOENT, EPERM, EROFS, LinuxError
from syscalls.abi.fs import MAY_EXEC, MAY_READ, MAY_WRITE, MS_RDONLY, S_ISGID, S_ISUID, S_ISVTX, S_IXGRP
from syscalls.credentials import CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_MKNOD
from syscalls.fs.inode import S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.credentials import Credentials
    from syscalls.fs.inode import Inode
    from syscalls.fs.mounts import Location
    from syscalls.task import Task

SECBIT_NO_SETUID_FIXUP = 1 << 2


def owner_of(task: Task, inode: Inode) -> tuple[int, int]:
    """(uid, gid): most inodes have them as attributes, which spares a stat."""
    uid: int | None = getattr(inode, "uid", None)
    if uid is None:
        stat = inode.stat(task)
        return stat.uid, stat.gid
    gid: int = getattr(inode, "gid")  # noqa: B009
    return uid, gid


def permission(task: Task, inode: Inode, mask: int, cred: Credentials | None = None) -> None:
    """inode_permission: EACCES; EROFS for writing on a read-only file system."""
    if cred is None:
        cred = task.cred
    mode = inode.mode
    kind = mode & S_IFMT
    if mask & MAY_WRITE and kind in (S_IFREG, S_IFDIR, S_IFLNK):
        inode.filesystem.check_writable()
    if mask & MAY_WRITE and inode.immutable:
        raise LinuxError(EPERM)
    if cred.cap_effective >> CAP_DAC_OVERRIDE & 1 and (not mask & MAY_EXEC or kind == S_IFDIR or mode & 0o111):
        return
    uid, gid = owner_of(task, inode)
    if cred.fsuid == uid:
        granted = mode >> 6
    elif cred.in_group(gid):
        granted = mode >> 3
    else:
        granted = mode
    if mask & ~granted & 7 == 0:
        return
    if cred.cap_effective >> CAP_DAC_READ_SEARCH & 1:
        if mask == MAY_READ or (kind == S_IFDIR and not mask & MAY_WRITE):
            return
    if not inode.admits(task):
        raise LinuxError(EACCES)


def location_permission(task: Task, location: Location, mask: int) -> None:
    """The same, and EROFS for a mount that is read-only."""
    if mask & MAY_WRITE and location.mount.flags & MS_RDONLY:
        if location.inode.mode & S_IFMT in (S_IFREG, S_IFDIR, S_IFLNK):
            raise LinuxError(EROFS)
    permission(task, location.inode, mask)


def access_credentials(cred: Credentials) -> Credentials:
    """access(2) asks for the real user, with the capabilities that user would have (access_override_creds)."""
    if cred.securebits & SECBIT_NO_SETUID_FIXUP:
        effective = cred.cap_effective
    else:
        effective = cred.cap_permitted if cred.uid == 0 else 0
    if cred.fsuid == cred.uid and cred.fsgid == cred.gid and cred.cap_effective == effective:
        return cred  # as nearly always
    return cred.replaced(fsuid=cred.uid, fsgid=cred.gid, cap_effective=effective)


def check_fixed(inode: Inode) -> None:
    """may_setattr: EPERM for an immutable or append-only file."""
    if inode.immutable or inode.append_only:
        raise LinuxError(EPERM)


def owner_or_capable(task: Task, inode: Inode) -> bool:
    cred = task.cred
    return bool(cred.cap_effective & 1 << CAP_FOWNER) or owner_of(task, inode)[0] == cred.fsuid


def check_sticky(task: Task, directory: Inode, uid: int) -> bool:
    """Whether the sticky bit of a directory keeps this task from removing an entry that belongs to `uid`."""
    if not directory.mode & S_ISVTX:
        return False
    cred = task.cred
    if cred.fsuid in (uid, owner_of(task, directory)[0]):
        return False
    return not cred.capable(CAP_FOWNER)


def may_create(task: Task, directory: Inode) -> None:
    """EACCES.  ENOENT in a removed directory; and in proc, where the look-up of a name that is not there fails for good
    (proc_lookup)."""
    if directory.removed():
        raise LinuxError(ENOENT)
    if getattr(getattr(directory, "filesystem", None), "name", "") == "proc":
        raise LinuxError(ENOENT)
    permission(task, directory, MAY_WRITE | MAY_EXEC)


def may_delete(task: Task, directory: Inode, victim: Inode) -> None:
    """may_delete without the type checks: EACCES, EPERM."""
    permission(task, directory, MAY_WRITE | MAY_EXEC)
    if directory.append_only or victim.append_only or victim.immutable:
        raise LinuxError(EPERM)
    if directory.mode & S_ISVTX and check_sticky(task, directory, owner_of(task, victim)[0]):
        raise LinuxError(EPERM)


def may_link(task: Task, inode: Inode) -> None:
    """may_linkat with fs.protected_hardlinks on, as distributions set it: EPERM for a file that is neither the task's
    own nor a plain one it can read and write."""
    if owner_or_capable(task, inode):
        return
    mode = inode.mode
    if mode & S_IFMT == S_IFREG and not mode & S_ISUID and mode & (S_ISGID | S_IXGRP) != S_ISGID | S_IXGRP:
        try:
            permission(task, inode, MAY_READ | MAY_WRITE)
            return
        except LinuxError as error:
            if error.errno != EACCES:
                raise
    raise LinuxError(EPERM)


def may_mknod(task: Task, mode: int, rdev: int) -> None:
    """EPERM for device nodes without CAP_MKNOD; character device 0:0 is a whiteout, which everybody may make."""
    if mode & S_IFMT in (S_IFCHR, S_IFBLK) and not task.cred.capable(CAP_MKNOD):
        if mode & S_IFMT == S_IFCHR and rdev == 0:
            return
        raise LinuxError(EPERM)


def chmod_mode(task: Task, inode: Inode, mode: int) -> int:
    """What chmod sets: EPERM for others than the owner; the set-group-ID bit only by a member (setattr_prepare)."""
    if not owner_or_capable(task, inode):
        raise LinuxError(EPERM)
    if mode & S_ISGID and not task.cred.in_group(owner_of(task, inode)[1]) and not task.cred.capable(CAP_FSETID):
        mode &= ~S_ISGID
    return mode & 0o7777


def check_chown(task: Task, inode: Inode, uid: int, gid: int) -> None:
    """EPERM (chown_ok, chgrp_ok).  -1 changes nothing."""
    cred = task.cred
    if cred.cap_effective & 1 << CAP_CHOWN:
        return
    owner, group = owner_of(task, inode)
    if uid != -1 and not cred.fsuid == owner == uid:
        raise LinuxError(EPERM)
    if gid != -1 and not (cred.fsuid == owner and (gid == group or cred.in_group(gid))):
        raise LinuxError(EPERM)


def mode_after_chown(mode: int) -> int:
    """A change of owner takes the set-ID bits of anything but a directory away."""
    if mode & S_IFMT == S_IFDIR:
        return mode
    mode &= ~S_ISUID
    if mode & S_IXGRP:
        mode &= ~S_ISGID
    return mode
