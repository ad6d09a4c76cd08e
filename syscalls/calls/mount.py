"""Mounting; quotas and the mount API of descriptors, which are refused."""

from __future__ import annotations

from struct import Struct, pack

from syscalls.abi.errno import E2BIG, EINVAL, ENAMETOOLONG, ENOSYS, EOVERFLOW, LinuxError
from syscalls.fs.mounts import MNT_UNIQUE_ID_OFFSET
from syscalls.table import PARTIAL, STUB, syscall
from syscalls.usermem import readable_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import MountFlags, MountRequest, UmountFlags
    from syscalls.table import S32, U32, Addr, DirFd, Fd, Flags, In, OptPath, Path, Size
    from syscalls.task import Task

NEW_API = STUB(ENOSYS, "the mount API of descriptors (Linux 5.2); programs fall back on mount(2)")
PAGE = 4096
REQUEST, REQUEST_LEAST = Struct("<IIQQQ"), 24
"""struct mnt_id_req, and the bytes of its first version."""
LISTMOUNT_REVERSE = 1
MOST_MOUNTS = 1_000_000
LAST_NUMBER = (1 << 64) - 1


@syscall(165, support=PARTIAL("no file systems of disks or of other machines; propagation has no effect"))
def mount(task: Task, source: OptPath, target: Path, fstype: OptPath, flags: Flags[MountFlags], data: Addr) -> int:
    from syscalls.fs.namespace import mount as do_mount
    kind, device = _string(fstype), _string(source)
    options = b""
    if data:
        readable = task.mem.readable(data, PAGE)
        options = task.mem.read(data, readable or PAGE).partition(b"\0")[0]
    do_mount(task.kernel.vfs, task, device, target, kind, flags & 0xFFFFFFFF, options)
    return 0


def _string(text: bytes | None) -> bytes:
    """copy_mount_string: one that is too long is EINVAL."""
    if text is None:
        return b""
    try:
        return readable_name(text)
    except LinuxError as error:
        raise LinuxError(EINVAL if error.errno == ENAMETOOLONG else error.errno) from None


@syscall(166, support=PARTIAL("MNT_EXPIRE unmounts at the first call"), unsupported={"MNT_EXPIRE": 4})
def umount2(task: Task, target: Path, flags: Flags[UmountFlags]) -> int:
    from syscalls.fs.namespace import unmount
    unmount(task.kernel.vfs, task, target, flags)
    return 0


@syscall(155)
def pivot_root(task: Task, new_root: Path, put_old: Path) -> int:
    from syscalls.fs.namespace import pivot_root as do_pivot_root
    do_pivot_root(task.kernel.vfs, task, new_root, put_old)
    return 0


@syscall(428, since="5.2", support=NEW_API)
def open_tree(task: Task, dirfd: DirFd, path: OptPath, flags: U32) -> int:
    raise LinuxError(ENOSYS)


@syscall(429, since="5.2", support=NEW_API)
def move_mount(task: Task, from_dirfd: DirFd, from_path: OptPath, to_dirfd: DirFd, to_path: OptPath, flags: U32) -> int:
    raise LinuxError(ENOSYS)


@syscall(430, since="5.2", support=NEW_API)
def fsopen(task: Task, fsname: OptPath, flags: U32) -> int:
    raise LinuxError(ENOSYS)


@syscall(431, since="5.2", support=NEW_API)
def fsconfig(task: Task, fd: Fd, command: U32, key: Addr, value: Addr, aux: S32) -> int:
    raise LinuxError(ENOSYS)


@syscall(432, since="5.2", support=NEW_API)
def fsmount(task: Task, fs_fd: Fd, flags: U32, attr_flags: U32) -> int:
    raise LinuxError(ENOSYS)


@syscall(433, since="5.2", support=NEW_API)
def fspick(task: Task, dirfd: DirFd, path: OptPath, flags: U32) -> int:
    raise LinuxError(ENOSYS)


@syscall(442, since="5.12", support=NEW_API)
def mount_setattr(task: Task, dirfd: DirFd, path: OptPath, flags: U32, attr: Addr, size: Size) -> int:
    raise LinuxError(ENOSYS)


def _request(task: Task, addr: int) -> tuple[int, int, int, int]:
    """copy_mnt_id_req: descriptor of a namespace, number of a mount, parameter, number of a namespace.  EFAULT;
    E2BIG: it is larger than it may be, or says what is not known; EINVAL."""
    size = task.mem.u32(addr)
    if size > PAGE:
        raise LinuxError(E2BIG)
    if size < REQUEST_LEAST:
        raise LinuxError(EINVAL)
    data = task.mem.read(addr, size)
    if any(data[REQUEST.size:]):
        raise LinuxError(E2BIG)
    _, fd, number, parameter, namespace = REQUEST.unpack(data[:REQUEST.size].ljust(REQUEST.size, b"\0"))
    if (fd and namespace) or number <= MNT_UNIQUE_ID_OFFSET:
        raise LinuxError(EINVAL)
    return fd, number, parameter, namespace


@syscall(457, since="6.8")
def statmount(task: Task, request: In[MountRequest], buf: Addr, size: Size, flags: U32) -> int:
    from syscalls.fs.statmount import SIZE, check_namespace, describe
    if flags:
        raise LinuxError(EINVAL)
    fd, number, wanted, namespace = _request(task, request)
    check_namespace(task, fd, namespace)
    task.mem.check_range(buf, size)
    data, texts = describe(task, number, wanted, size)
    if texts:
        task.mem.write(buf + SIZE, texts)
    task.mem.write(buf, data[:size])
    return 0


@syscall(458, since="6.8")
def listmount(task: Task, request: In[MountRequest], ids: Addr, count: Size, flags: U32) -> int:
    from syscalls.fs.statmount import below_mount, check_namespace
    if flags & ~LISTMOUNT_REVERSE:
        raise LinuxError(EINVAL)
    if count > MOST_MOUNTS:
        raise LinuxError(EOVERFLOW)
    task.mem.check_range(ids, count * 8)
    fd, number, last, namespace = _request(task, request)
    if 0 < last <= MNT_UNIQUE_ID_OFFSET:
        raise LinuxError(EINVAL)
    check_namespace(task, fd, namespace)
    found = below_mount(task, number)
    if flags & LISTMOUNT_REVERSE:
        found = [one for one in reversed(found) if not last or one < last]
    else:
        found = [one for one in found if one > last or last == LAST_NUMBER]  # whose next is 0
    found = found[:count]
    task.mem.write(ids, pack(f"<{len(found)}Q", *found))
    return len(found)


@syscall(467, since="6.15", support=NEW_API)
def open_tree_attr(task: Task, dirfd: DirFd, path: OptPath, flags: U32, attr: Addr, size: Size) -> int:
    raise LinuxError(ENOSYS)


@syscall(179, support=STUB(ENOSYS, "no file system here has quotas: as a Linux built without them"))
def quotactl(task: Task, command: U32, special: Addr, id: U32, addr: Addr) -> int:
    raise LinuxError(ENOSYS)


@syscall(443, since="5.14", support=STUB(ENOSYS, "no file system here has quotas: as a Linux built without them"))
def quotactl_fd(task: Task, fd: Fd, command: U32, id: U32, addr: Addr) -> int:
    raise LinuxError(ENOSYS)
