"""What is known of files: stat and its relatives, access, readlink, statfs."""

from __future__ import annotations

from syscalls.abi.errno import EACCES, EBADF, EINVAL, ENOENT, EROFS, LinuxError
from syscalls.abi.fs import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_NO_AUTOMOUNT,
    AT_STATX_SYNC_TYPE,
    AT_SYMLINK_FOLLOW,
    AT_SYMLINK_NOFOLLOW,
    F_OK,
    MAY_EXEC,
    MAY_WRITE,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_RELATIME,
    MS_SYNCHRONOUS,
    O_LARGEFILE,
    ST_NOATIME,
    ST_NODEV,
    ST_NODIRATIME,
    ST_NOEXEC,
    ST_NOSUID,
    ST_RDONLY,
    ST_RELATIME,
    ST_SYNCHRONOUS,
    STATX_BTIME,
    STATX_MNT_ID_UNIQUE,
    STATX_RESERVED,
    VALID_OPEN_FLAGS,
    pack_stat,
    pack_statfs,
    pack_statx,
)
from syscalls.fs.inode import S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from syscalls.fs.permission import access_credentials
from syscalls.table import PARTIAL, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

    from syscalls.abi.kinds import AccessMode, AtFlags, OpenFlags, StatfsLayout, StatLayout, StatxLayout
    from syscalls.fs.inode import Inode, Stat
    from syscalls.fs.mounts import Location
    from syscalls.table import S32, U32, Addr, DirFd, Fd, Flags, OptPath, Out, OutBuf, Path
    from syscalls.task import Task

STAT_FLAGS = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE


@syscall(4, needs=("files.tree", "files.mode-bits", "files.ownership", "files.nanosecond-times"))
def stat(task: Task, path: Path, statbuf: Out[StatLayout]) -> int:
    task.mem.write(statbuf, pack_stat(task.kernel.vfs.status(task, path)))
    return 0


@syscall(6, needs=("files.tree", "files.mode-bits", "files.ownership", "files.nanosecond-times"))
def lstat(task: Task, path: Path, statbuf: Out[StatLayout]) -> int:
    task.mem.write(statbuf, pack_stat(task.kernel.vfs.status(task, path, follow=False)))
    return 0


@syscall(5, needs=("files.tree", "files.mode-bits", "files.ownership", "files.nanosecond-times"))
def fstat(task: Task, fd: Fd, statbuf: Out[StatLayout]) -> int:
    task.mem.write(statbuf, pack_stat(task.files.get_raw(fd).stat(task)))
    return 0


@syscall(262, since="2.6.16", needs=("files.tree", "files.mode-bits", "files.ownership", "files.nanosecond-times"))
def newfstatat(task: Task, dirfd: DirFd, path: OptPath, statbuf: Out[StatLayout], flags: Flags[AtFlags]) -> int:
    if flags & ~STAT_FLAGS and (path or not flags & AT_EMPTY_PATH or dirfd < 0):
        raise LinuxError(EINVAL)  # not looked at for a descriptor itself (vfs_fstatat)
    if path:
        status = task.kernel.vfs.status(task, path, dirfd, follow=not flags & AT_SYMLINK_NOFOLLOW)
    else:
        status, _ = _stat_at(task, dirfd, path, flags)
    task.mem.write(statbuf, pack_stat(status))
    return 0


def _stat_at(task: Task, dirfd: int, path: bytes | None, flags: int,
             btime: bool = False) -> tuple[Stat, Location | None]:
    """vfs_statx: NULL or "" with AT_EMPTY_PATH is the descriptor itself."""
    if path is None and not flags & AT_EMPTY_PATH:
        task.mem.path(0)
    if not path and flags & AT_EMPTY_PATH and dirfd != AT_FDCWD:
        file = task.files.get_raw(dirfd)
        return file.stat(task), file.location
    location = task.kernel.vfs.resolve(task, path or b"", dirfd, follow=not flags & AT_SYMLINK_NOFOLLOW,
                                       empty_path=bool(flags & AT_EMPTY_PATH), btime=btime)
    return location.inode.stat(task), location


@syscall(332, since="4.11",
         needs=("files.tree", "files.mode-bits", "files.ownership", "files.nanosecond-times", "files.birth-time"))
def statx(task: Task, dirfd: DirFd, path: OptPath, flags: Flags[AtFlags], mask: U32,
          statxbuf: Out[StatxLayout]) -> int:
    if mask & STATX_RESERVED or flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE:
        raise LinuxError(EINVAL)
    if flags & ~STAT_FLAGS and (path or not flags & AT_EMPTY_PATH or dirfd < 0):
        raise LinuxError(EINVAL)
    status, location = _stat_at(task, dirfd, path, flags, bool(mask & STATX_BTIME))
    is_root, mount = False, 0
    if location is not None:
        mount = location.mount.unique if mask & STATX_MNT_ID_UNIQUE else location.mount.id
        is_root = location.is_root_of_mount()
    inode = task.files.get_raw(dirfd).inode if not path and dirfd != AT_FDCWD else None
    if inode is None and location is not None:
        inode = location.inode
    if inode is not None and mask & STATX_BTIME and status.btime_ns < 0:
        status.btime_ns = inode.btime(task)
    attributes = inode.attribute_bits() if inode is not None else (0, 0)
    task.mem.write(statxbuf, pack_statx(status, mask, mount, is_root, attributes))
    return 0


# --- access

@syscall(21, needs=("files.tree", "files.mode-bits", "files.ownership"))
def access(task: Task, path: Path, mode: Flags[AccessMode]) -> int:
    return _access(task, AT_FDCWD, path, mode, 0)


@syscall(269, since="2.6.16", needs=("files.tree", "files.mode-bits", "files.ownership"))
def faccessat(task: Task, dirfd: DirFd, path: Path, mode: Flags[AccessMode]) -> int:
    return _access(task, dirfd, path, mode, 0)


@syscall(439, since="5.8", needs=("files.tree", "files.mode-bits", "files.ownership"))
def faccessat2(task: Task, dirfd: DirFd, path: Path, mode: Flags[AccessMode], flags: Flags[AtFlags]) -> int:
    return _access(task, dirfd, path, mode, flags)


def _access(task: Task, dirfd: int, path: bytes, mode: int, flags: int) -> int:
    """do_faccessat: by the real ids, unless AT_EACCESS."""
    if mode & ~7 or flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise LinuxError(EINVAL)
    own = task.cred
    if not flags & AT_EACCESS:
        task.cred = access_credentials(own)
    try:
        vfs = task.kernel.vfs
        location = vfs.resolve(task, path, dirfd, follow=not flags & AT_SYMLINK_NOFOLLOW,
                               empty_path=bool(flags & AT_EMPTY_PATH))
        if mode == F_OK:
            return 0
        inode = location.inode
        kind = inode.mode & S_IFMT
        if mode & MAY_EXEC and kind == S_IFREG and location.mount.flags & MS_NOEXEC:
            raise LinuxError(EACCES)
        vfs.permission(task, inode, mode)
        if mode & MAY_WRITE and kind in (S_IFREG, S_IFDIR, S_IFLNK) and location.mount.flags & MS_RDONLY:
            raise LinuxError(EROFS)
    finally:
        task.cred = own
    return 0


# --- links

@syscall(89, needs=("files.symlink",))
def readlink(task: Task, path: Path, buf: OutBuf, bufsiz: S32) -> int:
    return _readlink(task, AT_FDCWD, path, buf, bufsiz)


@syscall(267, since="2.6.16", needs=("files.symlink",))
def readlinkat(task: Task, dirfd: DirFd, path: Path, buf: OutBuf, bufsiz: S32) -> int:
    return _readlink(task, dirfd, path, buf, bufsiz)


def _readlink(task: Task, dirfd: int, path: bytes, buf: int, size: int) -> int:
    """do_readlinkat.  "" is the link that an O_PATH descriptor stands for; ENOENT for any other."""
    if size <= 0:
        raise LinuxError(EINVAL)
    vfs = task.kernel.vfs
    if path:
        link = vfs.readlink(task, path, dirfd)
        if link is None:
            return -EINVAL  # so often that an exception would cost: realpath(3) asks of each directory
        target = link[:size]
    else:
        inode = vfs.resolve(task, path, dirfd, empty_path=dirfd != AT_FDCWD).inode
        if inode.mode & S_IFMT != S_IFLNK:
            raise LinuxError(ENOENT)
        target = inode.readlink(task)[:size]
    task.mem.write(buf, target)
    return len(target)


# --- file systems

@syscall(137, needs=("files.space",))
def statfs(task: Task, path: Path, buf: Out[StatfsLayout]) -> int:
    location = task.kernel.vfs.resolve(task, path)
    _put_statfs(task, location, location.inode, buf)
    return 0


@syscall(138, needs=("files.space",))
def fstatfs(task: Task, fd: Fd, buf: Out[StatfsLayout]) -> int:
    file = task.files.get_raw(fd)
    location, inode = file.location, file.inode
    if location is None:
        if inode is None:
            raise LinuxError(EBADF)
        location = task.kernel.vfs.anonymous_location(inode, b"")
    _put_statfs(task, location, inode or location.inode, buf)
    return 0


_ST = ((MS_RDONLY, ST_RDONLY), (MS_NOSUID, ST_NOSUID), (MS_NODEV, ST_NODEV), (MS_NOEXEC, ST_NOEXEC),
       (MS_SYNCHRONOUS, ST_SYNCHRONOUS), (MS_NOATIME, ST_NOATIME), (MS_NODIRATIME, ST_NODIRATIME),
       (MS_RELATIME, ST_RELATIME))


def _put_statfs(task: Task, location: Location, inode: Inode, buf: int) -> None:
    mount = location.mount
    filesystem = mount.filesystem
    if not mount.id:
        # Pipes, sockets and the like have file systems of their own, mounted nowhere.
        from syscalls.fs.inode import StatFs
        status = StatFs(inode.filesystem.magic, 4096, 0, 0, 0, 0, 0, 255, 0)
        task.mem.write(buf, pack_statfs(status, inode.stat(task).dev))
        return
    status = filesystem.statfs(task, inode)
    flags = sum(st for ms, st in _ST if mount.flags & ms)
    status.flags = flags if not filesystem.by_path else status.flags | flags
    task.mem.write(buf, pack_statfs(status, filesystem.device))


@syscall(136, needs=("files.space",))
def ustat(task: Task, dev: U32, ubuf: Addr) -> int:
    for mount in task.kernel.vfs.mounts.values():
        filesystem = mount.filesystem
        if filesystem.device & 0xFFFFFFFF == dev:
            status = filesystem.statfs(task, filesystem.root)
            task.mem.write(ubuf, (status.bfree & 0xFFFFFFFF).to_bytes(8, "little")
                           + status.ffree.to_bytes(8, "little") + bytes(16))
            return 0
    raise LinuxError(EINVAL)


@syscall(139)
def sysfs(task: Task, option: S32, arg1: Addr, arg2: Addr) -> int:
    """File system types by number, in the order of /proc/filesystems: its index, its name, how many there are."""
    from syscalls.fs.procfs_system import KEPT_FILE_SYSTEMS
    names = [name.encode() for _, name in KEPT_FILE_SYSTEMS]
    if option == 1:
        name = task.mem.path(arg1)
        if not name:
            raise LinuxError(ENOENT)  # getname
        if name not in names:
            raise LinuxError(EINVAL)
        return names.index(name)
    if option == 2:
        index = arg1 & 0xFFFFFFFF
        if index >= len(names):
            raise LinuxError(EINVAL)
        task.mem.write(arg2, names[index] + b"\0")
        return 0
    if option == 3:
        return len(names)
    raise LinuxError(EINVAL)


HANDLES = PARTIAL("/proc and objects without a path have none; a handle is stale after a rename by another program")


@syscall(303, since="2.6.39", support=HANDLES, needs=("files.tree",))
def name_to_handle_at(task: Task, dirfd: DirFd, path: Path, handle: Addr, mount_id: Addr, flags: Flags[AtFlags]) -> int:
    from syscalls.fs.handles import name_to_handle
    if flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH):
        raise LinuxError(EINVAL)
    vfs = task.kernel.vfs
    location = vfs.resolve(task, path, dirfd, follow=bool(flags & AT_SYMLINK_FOLLOW),
                           empty_path=bool(flags & AT_EMPTY_PATH))
    name_to_handle(vfs, task, location, handle, mount_id)
    return 0


@syscall(304, since="2.6.39", support=HANDLES, needs=("files.tree",))
def open_by_handle_at(task: Task, mount_fd: DirFd, handle: Addr, flags: Flags[OpenFlags]) -> int | Awaitable[int]:
    from syscalls.calls.open import installed
    from syscalls.fs.handles import open_by_handle
    wanted = flags & VALID_OPEN_FLAGS | O_LARGEFILE
    return installed(task, open_by_handle(task.kernel.vfs, task, mount_fd, handle, wanted), wanted)
