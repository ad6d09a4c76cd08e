"""Extended attributes (man 7 xattr; fs/xattr.c)."""

from __future__ import annotations

from struct import Struct

from syscalls.abi.errno import (
    E2BIG,
    EINVAL,
    ENODATA,
    EOPNOTSUPP,
    EPERM,
    ERANGE,
    LinuxError,
)
from syscalls.abi.fs import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    IN_ATTRIB,
    MAY_READ,
    MAY_WRITE,
    S_ISVTX,
    XATTR_CREATE,
    XATTR_NAME_MAX,
    XATTR_REPLACE,
    XATTR_SIZE_MAX,
)
from syscalls.credentials import CAP_SYS_ADMIN
from syscalls.fs.inode import ACL_NAMES, S_IFDIR, S_IFMT, S_IFREG
from syscalls.table import PARTIAL, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.abi.kinds import AtFlags, FileAttr, XattrArgs, XattrFlags
    from syscalls.fs.inode import Inode
    from syscalls.fs.mounts import Location
    from syscalls.table import Addr, Buf, DirFd, Fd, Flags, In, OptPath, Out, OutBuf, Path, Size
    from syscalls.task import Task

    Find = Callable[[], tuple[Location | None, Inode]]

_ARGS = Struct("<QII")
_FILE_ATTR = Struct("<QIIII")
"""struct file_attr: fa_xflags, fa_extsize, fa_nextents, fa_projid, fa_cowextsize."""
AT_FLAGS = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH
PREFIXES = (b"user.", b"trusted.", b"security.", b"system.")


# --- which file

def _at(task: Task, path: bytes, follow: bool) -> tuple[Location | None, Inode]:
    location = task.kernel.vfs.resolve(task, path, follow=follow)
    return location, location.inode


def _of_fd(task: Task, fd: int) -> tuple[Location | None, Inode]:
    file = task.files.get(fd)
    if file.inode is None:
        raise LinuxError(EOPNOTSUPP)
    return file.location, file.inode


def _check_at_flags(flags: int) -> None:
    if flags & ~AT_FLAGS:
        raise LinuxError(EINVAL)


def _at_flags(task: Task, dirfd: int, path: bytes | None, flags: int,
              only_fd: bool = False) -> tuple[Location | None, Inode]:
    """For the *xattrat calls: a NULL or empty path with AT_EMPTY_PATH is the descriptor.  only_fd: listxattrat and
    removexattrat take AT_FDCWD for one, too (EBADF)."""
    _check_at_flags(flags)
    if path is None and not flags & AT_EMPTY_PATH:
        task.mem.path(0)
    if not path and flags & AT_EMPTY_PATH and (dirfd != AT_FDCWD or only_fd):
        return _of_fd(task, dirfd)
    location = task.kernel.vfs.resolve(task, path or b"", dirfd, follow=not flags & AT_SYMLINK_NOFOLLOW,
                                       empty_path=bool(flags & AT_EMPTY_PATH))
    return location, location.inode


# --- names and rights

def _name(task: Task, addr: int) -> bytes:
    """strncpy_from_user of a name: ERANGE when it is empty or too long."""
    from syscalls.usermem import PATH_MAX
    try:
        name = task.mem.text(addr, PATH_MAX)
    except LinuxError as error:
        raise LinuxError(ERANGE) if error.errno == EINVAL else error from None
    if not name or len(name) > XATTR_NAME_MAX:
        raise LinuxError(ERANGE)
    return name


def _check(task: Task, location: Location | None, inode: Inode, name: bytes, mask: int) -> None:
    """xattr_permission, by namespace.  Unknown namespaces have no handler."""
    from syscalls.fs.permission import owner_or_capable, permission
    if mask == MAY_WRITE and location is not None and location.mount.id:
        location.mount.check_writable()
    if mask == MAY_WRITE and (inode.immutable or inode.append_only):
        raise LinuxError(EPERM)  # may_write_xattr
    if name.startswith(b"security.") and mask == MAY_WRITE and not (
            inode.private or task.cred.capable(CAP_SYS_ADMIN)):
        raise LinuxError(EPERM)  # cap_inode_setxattr
    if name.startswith((b"security.", b"system.")):
        return
    if name.startswith(b"trusted."):
        if not task.cred.capable(CAP_SYS_ADMIN):
            raise LinuxError(EPERM if mask == MAY_WRITE else ENODATA)
        return
    if name.startswith(b"user."):
        kind = inode.mode & S_IFMT or inode.inner_type
        if kind not in (S_IFREG, S_IFDIR):
            raise LinuxError(EPERM if mask == MAY_WRITE else ENODATA)
        if kind == S_IFDIR and inode.mode & S_ISVTX and mask == MAY_WRITE and not owner_or_capable(task, inode):
            raise LinuxError(EPERM)
    permission(task, inode, mask)
    if not name.startswith(b"user."):
        raise LinuxError(EOPNOTSUPP)


# --- the four operations

def _set(task: Task, find: Find, name_at: int, value: int, size: int, flags: int) -> int:
    """setxattr_copy: flags, name and value come before the file is looked up."""
    if flags & ~(XATTR_CREATE | XATTR_REPLACE):
        raise LinuxError(EINVAL)
    name = _name(task, name_at)
    if size > XATTR_SIZE_MAX:
        raise LinuxError(E2BIG)
    data = task.mem.read(value, size) if size else b""
    location, inode = find()
    _check(task, location, inode, name, MAY_WRITE)
    if name in ACL_NAMES and size:
        _check_acl(data)
    inode.setxattr(task, name, data, flags)
    _changed(task, location)
    return 0


def _check_acl(data: bytes) -> None:
    """posix_acl_from_xattr: version 2, then entries of 8 bytes.  EINVAL, EOPNOTSUPP."""
    if len(data) < 4:
        raise LinuxError(EINVAL)
    if int.from_bytes(data[:4], "little") != 2:
        raise LinuxError(EOPNOTSUPP)
    if len(data) % 8 != 4:
        raise LinuxError(EINVAL)


def _get(task: Task, find: Find, name_at: int, value: int, size: int) -> int:
    name = _name(task, name_at)
    location, inode = find()
    _check(task, location, inode, name, MAY_READ)
    data = inode.getxattr(task, name)
    if size:
        if len(data) > size:
            raise LinuxError(ERANGE)
        task.mem.write(value, data)
    return len(data)


def _list(task: Task, place: tuple[Location | None, Inode], buf: int, size: int) -> int:
    names = place[1].listxattr(task)
    if not task.cred.capable(CAP_SYS_ADMIN):
        names = [name for name in names if not name.startswith(b"trusted.")]
    data = b"".join(name + b"\0" for name in names)
    if size:
        if len(data) > size:
            raise LinuxError(ERANGE)
        task.mem.write(buf, data)
    return len(data)


def _remove(task: Task, find: Find, name_at: int) -> int:
    name = _name(task, name_at)
    location, inode = find()
    _check(task, location, inode, name, MAY_WRITE)
    inode.removexattr(task, name)
    _changed(task, location)
    return 0


def _changed(task: Task, location: Location | None) -> None:
    if task.kernel.vfs.notifier is not None and location is not None:
        task.kernel.vfs.notify(location, IN_ATTRIB)


# --- the calls

@syscall(188, needs=("files.xattr",))
def setxattr(task: Task, path: Path, name: Addr, value: Buf, size: Size, flags: Flags[XattrFlags]) -> int:
    return _set(task, lambda: _at(task, path, True), name, value, size, flags)


@syscall(189, needs=("files.xattr",))
def lsetxattr(task: Task, path: Path, name: Addr, value: Buf, size: Size, flags: Flags[XattrFlags]) -> int:
    return _set(task, lambda: _at(task, path, False), name, value, size, flags)


@syscall(190, needs=("files.xattr",))
def fsetxattr(task: Task, fd: Fd, name: Addr, value: Buf, size: Size, flags: Flags[XattrFlags]) -> int:
    return _set(task, lambda: _of_fd(task, fd), name, value, size, flags)


@syscall(191, needs=("files.xattr",))
def getxattr(task: Task, path: Path, name: Addr, value: OutBuf, size: Size) -> int:
    return _get(task, lambda: _at(task, path, True), name, value, size)


@syscall(192, needs=("files.xattr",))
def lgetxattr(task: Task, path: Path, name: Addr, value: OutBuf, size: Size) -> int:
    return _get(task, lambda: _at(task, path, False), name, value, size)


@syscall(193, needs=("files.xattr",))
def fgetxattr(task: Task, fd: Fd, name: Addr, value: OutBuf, size: Size) -> int:
    return _get(task, lambda: _of_fd(task, fd), name, value, size)


@syscall(194, needs=("files.xattr",))
def listxattr(task: Task, path: Path, buf: OutBuf, size: Size) -> int:
    return _list(task, _at(task, path, True), buf, size)


@syscall(195, needs=("files.xattr",))
def llistxattr(task: Task, path: Path, buf: OutBuf, size: Size) -> int:
    return _list(task, _at(task, path, False), buf, size)


@syscall(196, needs=("files.xattr",))
def flistxattr(task: Task, fd: Fd, buf: OutBuf, size: Size) -> int:
    return _list(task, _of_fd(task, fd), buf, size)


@syscall(197, needs=("files.xattr",))
def removexattr(task: Task, path: Path, name: Addr) -> int:
    return _remove(task, lambda: _at(task, path, True), name)


@syscall(198, needs=("files.xattr",))
def lremovexattr(task: Task, path: Path, name: Addr) -> int:
    return _remove(task, lambda: _at(task, path, False), name)


@syscall(199, needs=("files.xattr",))
def fremovexattr(task: Task, fd: Fd, name: Addr) -> int:
    return _remove(task, lambda: _of_fd(task, fd), name)


def _arguments(task: Task, addr: int, size: int) -> tuple[int, int, int]:
    """struct xattr_args (value, size, flags) of `size` bytes: EINVAL, E2BIG."""
    if size < _ARGS.size:
        raise LinuxError(EINVAL)
    if size > 4096:
        raise LinuxError(E2BIG)
    raw = task.mem.read(addr, size)
    if any(raw[_ARGS.size:]):
        raise LinuxError(E2BIG)
    value, length, flags = _ARGS.unpack_from(raw)
    return value, length, flags


@syscall(463, since="6.13", needs=("files.xattr",))
def setxattrat(task: Task, dirfd: DirFd, path: OptPath, at_flags: Flags[AtFlags], name: Addr, uargs: In[XattrArgs],
               usize: Size) -> int:
    value, size, flags = _arguments(task, uargs, usize)
    _check_at_flags(at_flags)
    return _set(task, lambda: _at_flags(task, dirfd, path, at_flags), name, value, size, flags)


@syscall(464, since="6.13", needs=("files.xattr",))
def getxattrat(task: Task, dirfd: DirFd, path: OptPath, at_flags: Flags[AtFlags], name: Addr, uargs: In[XattrArgs],
               usize: Size) -> int:
    value, size, flags = _arguments(task, uargs, usize)
    if flags:
        raise LinuxError(EINVAL)
    _check_at_flags(at_flags)
    return _get(task, lambda: _at_flags(task, dirfd, path, at_flags), name, value, size)


@syscall(465, since="6.13", needs=("files.xattr",))
def listxattrat(task: Task, dirfd: DirFd, path: OptPath, at_flags: Flags[AtFlags], buf: OutBuf, size: Size) -> int:
    return _list(task, _at_flags(task, dirfd, path, at_flags, only_fd=True), buf, size)


@syscall(466, since="6.13", needs=("files.xattr",))
def removexattrat(task: Task, dirfd: DirFd, path: OptPath, at_flags: Flags[AtFlags], name: Addr) -> int:
    _check_at_flags(at_flags)
    return _remove(task, lambda: _at_flags(task, dirfd, path, at_flags, only_fd=True), name)


ATTRIBUTES = PARTIAL("extent sizes and projects are 0; a file that may not be read does not tell")


@syscall(468, since="6.17", support=ATTRIBUTES)
def file_getattr(task: Task, dirfd: DirFd, path: OptPath, attr: Out[FileAttr], usize: Size,
                 at_flags: Flags[AtFlags]) -> int:
    """The attributes of chattr(1), in the numbers of FS_IOC_FSGETXATTR."""
    from syscalls.fs.fileattr import xflags
    _check_file_attr(usize, at_flags)
    _, inode = _at_flags(task, dirfd, path, at_flags)
    task.mem.write(attr, _FILE_ATTR.pack(xflags(task, inode), 0, 0, 0, 0).ljust(usize, b"\0"))
    return 0


@syscall(469, since="6.17", support=ATTRIBUTES)
def file_setattr(task: Task, dirfd: DirFd, path: OptPath, attr: In[FileAttr], usize: Size,
                 at_flags: Flags[AtFlags]) -> int:
    from syscalls.fs.fileattr import XFLAGS_MASK, set_xflags
    _check_file_attr(usize, at_flags)
    raw = task.mem.read(attr, usize)
    if any(raw[_FILE_ATTR.size:]):
        raise LinuxError(E2BIG)
    wanted, extsize, _, project, cow_extsize = _FILE_ATTR.unpack_from(raw)
    if wanted & ~XFLAGS_MASK:
        raise LinuxError(EINVAL)
    location, inode = _at_flags(task, dirfd, path, at_flags)
    set_xflags(task, location, inode, wanted, extsize, project, cow_extsize)
    return 0


def _check_file_attr(size: int, at_flags: int) -> None:
    """struct file_attr has to have its first version's size."""
    _check_at_flags(at_flags)
    if size > 4096:
        raise LinuxError(E2BIG)
    if size < _FILE_ATTR.size:
        raise LinuxError(EINVAL)
