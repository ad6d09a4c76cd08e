"""Mounting (fs/namespace.c): the tree at boot, mount(2), umount2(2), pivot_root(2).

There is one mount namespace.  Propagation between peer groups needs several; its flags are accepted and change
nothing, as they would not be seen.
"""

from __future__ import annotations

from syscalls.abi.errno import EBUSY, EINVAL, ELOOP, ENODEV, ENOENT, ENOTBLK, ENOTDIR, EPERM, LinuxError
from syscalls.abi.fs import (
    IN_UNMOUNT,
    MNT_DETACH,
    MNT_EXPIRE,
    MNT_FORCE,
    MS_BIND,
    MS_MGC_MSK,
    MS_MGC_VAL,
    MS_MOVE,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_NOSYMFOLLOW,
    MS_NOUSER,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    MS_SHARED,
    MS_SLAVE,
    MS_STRICTATIME,
    MS_UNBINDABLE,
    UMOUNT_NOFOLLOW,
)
from syscalls.credentials import CAP_SYS_ADMIN
from syscalls.fs.hostfs import HostFs
from syscalls.fs.inode import S_IFDIR, S_IFMT
from syscalls.fs.mounts import Dentry, Location, Mount, below, pin_dentry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.fs.inode import FileSystem
    from syscalls.fs.vfs import Vfs
    from syscalls.kernel import Kernel
    from syscalls.task import Task

PER_MOUNT = (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME
             | MS_NOSYMFOLLOW)
PROPAGATION = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE
PAGE = 4096


# --- at boot

def mount_boot(vfs: Vfs, root: bytes) -> None:
    """The host's tree, and what every Linux has: /proc, /sys, /dev, /dev/pts, /dev/shm.  The mount points need not
    exist in the host's tree.  File systems are made when first entered."""
    kernel = vfs.kernel
    filesystem = HostFs(kernel.host, vfs, root, root.rstrip(b"/") != b"")
    vfs.host_filesystem = filesystem
    kind = filesystem.name.encode()
    top = Mount(1, kind, b"/dev/root", MS_RELATIME, None, None)
    top.filesystem = filesystem
    vfs.mounts[1] = top
    vfs.next_mount = 2
    vfs.root = Location(top, Dentry(b""), filesystem.root).pin()
    quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME
    _add(vfs, top, b"proc", b"proc", b"proc", quiet, lambda: _proc(kernel))
    _add(vfs, top, b"sys", b"sysfs", b"sysfs", quiet, lambda: _sys(kernel))
    dev = _add(vfs, top, b"dev", b"devtmpfs", b"udev", MS_NOSUID | MS_RELATIME, lambda: _dev(kernel))
    dev.options = b"mode=755"
    pts = _add(vfs, dev, b"pts", b"devpts", b"devpts", MS_NOSUID | MS_NOEXEC | MS_RELATIME, lambda: _pts(kernel))
    pts.options = b"gid=5,mode=620,ptmxmode=666"
    _add(vfs, dev, b"shm", b"tmpfs", b"tmpfs", MS_NOSUID | MS_NODEV, lambda: _shm(vfs))


def _add(vfs: Vfs, parent: Mount, point: bytes, kind: bytes, source: bytes, flags: int,
         factory: Callable[[], FileSystem]) -> Mount:
    # The mount point is not pinned: that would make its file system now.  Nobody can rename it, being busy.
    mount = Mount(vfs.next_mount, kind, source, flags, parent, Dentry(point))
    mount.factory = factory
    vfs.next_mount += 1
    vfs.mounts[mount.id] = mount
    parent.attach(mount)
    return mount


def _proc(kernel: Kernel) -> FileSystem:
    from syscalls.fs.procfs import make_procfs
    return _dressed(kernel, make_procfs(kernel), b"proc")


def _sys(kernel: Kernel) -> FileSystem:
    from syscalls.fs.sysfs import make_sysfs
    return _dressed(kernel, make_sysfs(kernel), b"sys")


def _dev(kernel: Kernel) -> FileSystem:
    from syscalls.fs.devfs import make_devfs
    return _dressed(kernel, make_devfs(kernel), b"dev")


def _dressed(kernel: Kernel, filesystem: FileSystem, top: bytes) -> FileSystem:
    """As a profile wants it to look."""
    if kernel.profile is not None:
        kernel.profile.dress(filesystem, top)
    return filesystem


def _pts(kernel: Kernel) -> FileSystem:
    from syscalls.fs.devpts import pty_table
    filesystem = pty_table(kernel).filesystem
    assert filesystem is not None
    return filesystem


def _shm(vfs: Vfs) -> FileSystem:
    from syscalls.fs.tmpfs import TmpFs
    return TmpFs(vfs.kernel, vfs.new_device())


# --- mount(2)

def mount(vfs: Vfs, task: Task, source: bytes, target: bytes, kind: bytes, flags: int, data: bytes) -> None:
    """do_mount.  EPERM without CAP_SYS_ADMIN; ENODEV for a type that is not served."""
    if flags & MS_MGC_MSK == MS_MGC_VAL:
        flags &= ~MS_MGC_MSK
    location = vfs.resolve(task, target)
    if flags & MS_NOUSER:
        raise LinuxError(EINVAL)
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    if task.cred.landlock is not None:
        from syscalls.landlock import check_mount
        check_mount(task)
    if flags & (MS_REMOUNT | MS_BIND) == MS_REMOUNT | MS_BIND:
        _require_root_of_mount(location)
        location.mount.flags = flags & PER_MOUNT
    elif flags & MS_REMOUNT:
        _require_root_of_mount(location)
        _remount(location.mount, flags, data)
    elif flags & MS_BIND:
        bind(vfs, task, vfs.resolve(task, source), location, bool(flags & MS_REC))
    elif flags & PROPAGATION:
        _require_root_of_mount(location)
        if bin(flags & PROPAGATION).count("1") != 1:
            raise LinuxError(EINVAL)
    elif flags & MS_MOVE:
        move(vfs, vfs.resolve(task, source), location)
    else:
        mount_new(vfs, task, source, location, kind, flags, data)


def _require_root_of_mount(location: Location) -> None:
    if not location.is_root_of_mount():
        raise LinuxError(EINVAL)


def _remount(mount: Mount, flags: int, data: bytes) -> None:
    from syscalls.fs.tmpfs import TmpFs
    mount.flags = flags & PER_MOUNT
    if isinstance(mount.filesystem, TmpFs):
        options = _options(data)
        limit = _size(options[b"size"]) if b"size" in options else mount.filesystem.max_pages
        if limit is not None and limit < mount.filesystem.used_pages:
            raise LinuxError(EINVAL)
        mount.filesystem.max_pages = limit


def mount_new(vfs: Vfs, task: Task, source: bytes, location: Location, kind: bytes, flags: int, data: bytes) -> Mount:
    if not kind:
        raise LinuxError(EINVAL)
    filesystem = make_filesystem(vfs, task, kind, data)
    if location.inode.mode & S_IFMT != S_IFDIR:
        raise LinuxError(ENOTDIR)
    mount = attach(vfs, filesystem, location, flags & PER_MOUNT, kind, source)
    mount.options = data
    return mount


def make_filesystem(vfs: Vfs, task: Task, kind: bytes, data: bytes) -> FileSystem:
    """A file system of a type that needs no device.  ENODEV for unknown ones, ENOTBLK for those of disks."""
    if kind in (b"tmpfs", b"ramfs"):
        return _tmpfs(vfs, task, data)
    if kind == b"proc":
        return _proc(vfs.kernel)
    if kind == b"sysfs":
        return _sys(vfs.kernel)
    if kind == b"devtmpfs":
        return _dev(vfs.kernel)
    if kind == b"devpts":
        return _pts(vfs.kernel)
    if kind in (b"ext2", b"ext3", b"ext4", b"xfs", b"btrfs", b"vfat", b"iso9660"):
        raise LinuxError(ENOTBLK)
    raise LinuxError(ENODEV)


def _options(data: bytes) -> dict[bytes, bytes]:
    return dict(part.partition(b"=")[::2] for part in data.split(b",") if part)


def _size(text: bytes) -> int | None:
    """size= of tmpfs, in pages; percent are of nothing here: no limit.  EINVAL."""
    unit = {b"k": 10, b"m": 20, b"g": 30, b"t": 40}.get(text[-1:].lower())
    if text[-1:] == b"%":
        return None
    try:
        size = int(text[:-1], 0) << unit if unit else int(text, 0)
    except ValueError:
        raise LinuxError(EINVAL) from None
    return (size + PAGE - 1) // PAGE or None


def _tmpfs(vfs: Vfs, task: Task, data: bytes) -> FileSystem:
    from syscalls.fs.tmpfs import TmpFs
    pages = inodes = None
    mode, uid, gid = 0o1777, task.cred.fsuid, task.cred.fsgid
    try:
        for name, value in _options(data).items():
            if name == b"size":
                pages = _size(value)
            elif name == b"nr_blocks":
                pages = int(value, 0) or None
            elif name == b"nr_inodes":
                scale = {b"k": 10, b"m": 20, b"g": 30}.get(value[-1:].lower(), 0)
                inodes = int(value[:-1] if scale else value, 0) << scale or None
            elif name == b"mode":
                mode = int(value, 8) & 0o7777
            elif name == b"uid":
                uid = int(value)
            elif name == b"gid":
                gid = int(value)
            elif name not in (b"huge", b"mpol", b"inode64", b"inode32", b"noswap"):
                raise LinuxError(EINVAL)
    except ValueError:
        raise LinuxError(EINVAL) from None
    return TmpFs(vfs.kernel, vfs.new_device(), mode=mode, uid=uid, gid=gid, pages=pages, inodes=inodes)


def attach(vfs: Vfs, filesystem: FileSystem, location: Location, flags: int, kind: bytes, source: bytes,
           root: bytes = b"") -> Mount:
    """Put a file system on top of a place."""
    if location.dentry.deleted or getattr(location.inode, "ephemeral", False):
        raise LinuxError(ENOENT)
    point = pin_dentry(location.mount.filesystem, location.dentry)
    mount = Mount(vfs.next_mount, kind, source or b"none", flags, location.mount, point, root)
    mount.filesystem = filesystem
    vfs.next_mount += 1
    vfs.mounts[mount.id] = mount
    location.mount.attach(mount)
    vfs.mounts_changed()
    return mount


def bind(vfs: Vfs, task: Task, source: Location, target: Location, recursive: bool) -> None:
    """mount --bind, --rbind: the same files at another place."""
    if (source.inode.mode & S_IFMT == S_IFDIR) != (target.inode.mode & S_IFMT == S_IFDIR):
        raise LinuxError(ENOTDIR)
    origin = source.mount
    copied = list(origin.children.values()) if recursive else []
    copy = attach(vfs, origin.filesystem, target, origin.flags, origin.type, origin.source, source.dentry.path)
    for child in copied:
        if child is not copy and child.point is not None and below(child.point.path, source.dentry.path):
            _copy_tree(vfs, child, copy)


def _copy_tree(vfs: Vfs, mount: Mount, parent: Mount) -> None:
    copy = Mount(vfs.next_mount, mount.type, mount.source, mount.flags, parent, mount.point, mount.root)
    vfs.next_mount += 1
    copy.filesystem = mount.filesystem
    vfs.mounts[copy.id] = copy
    parent.attach(copy)
    for child in list(mount.children.values()):
        _copy_tree(vfs, child, copy)


def move(vfs: Vfs, source: Location, target: Location) -> None:
    """mount --move."""
    mount = source.mount
    if not source.is_root_of_mount() or mount.parent is None:
        raise LinuxError(EINVAL)
    parent: Mount | None = target.mount
    while parent is not None:
        if parent is mount:
            raise LinuxError(ELOOP)
        parent = parent.parent
    if (source.inode.mode & S_IFMT == S_IFDIR) != (target.inode.mode & S_IFMT == S_IFDIR):
        raise LinuxError(ENOTDIR)
    mount.parent.detach(mount)
    mount.parent = target.mount
    mount.point = pin_dentry(target.mount.filesystem, target.dentry)
    target.mount.attach(mount)


# --- umount2(2), pivot_root(2)

def unmount(vfs: Vfs, task: Task, path: bytes, flags: int) -> None:
    if flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW):
        raise LinuxError(EINVAL)
    location = vfs.resolve(task, path, follow=not flags & UMOUNT_NOFOLLOW)
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    if task.cred.landlock is not None:
        from syscalls.landlock import check_mount
        check_mount(task)
    mount = location.mount
    if not location.is_root_of_mount() or not mount.attached():
        raise LinuxError(EINVAL)
    if mount.parent is None:
        raise LinuxError(EBUSY if not flags & MNT_DETACH else EINVAL)
    if flags & MNT_EXPIRE and flags & (MNT_FORCE | MNT_DETACH):
        raise LinuxError(EINVAL)
    if not flags & MNT_DETACH and (mount.children or _in_use(vfs, mount)):
        raise LinuxError(EBUSY)
    mount.parent.detach(mount)
    _forget(vfs, mount)
    vfs.mounts_changed()
    if vfs.notifier is not None:
        vfs.notifier(location.inode.identity(task), IN_UNMOUNT, b"", 0)


def _forget(vfs: Vfs, mount: Mount) -> None:
    vfs.mounts.pop(mount.id, None)
    for child in mount.children.values():
        _forget(vfs, child)


def _in_use(vfs: Vfs, mount: Mount) -> bool:
    """Whether a task has a file open there, or works there (mnt_count)."""
    for task in vfs.kernel.tasks.values():
        if task.dead:
            continue
        if task.fs.cwd.mount is mount or task.fs.root.mount is mount:
            return True
        if any(file.location is not None and file.location.mount is mount for file in task.files.files.values()):
            return True
    return False


def pivot_root(vfs: Vfs, task: Task, new_path: bytes, put_old: bytes) -> None:
    """man 2 pivot_root, with its conditions in fs/namespace.c's order."""
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    if task.cred.landlock is not None:
        from syscalls.landlock import check_mount
        check_mount(task)
    new = vfs.resolve(task, new_path)
    old = vfs.resolve(task, put_old)
    for place in (new, old):
        if place.inode.mode & S_IFMT != S_IFDIR:
            raise LinuxError(ENOTDIR)
    root = task.fs.root
    if new.mount is root.mount or old.mount is root.mount:
        raise LinuxError(EBUSY)
    if not new.is_root_of_mount() or new.mount.parent is None or not root.is_root_of_mount():
        raise LinuxError(EINVAL)
    if old.mount is not new.mount or not below(old.dentry.path, new.dentry.path):
        raise LinuxError(EINVAL)
    top = root.mount
    if top.parent is not None:
        raise LinuxError(EINVAL)
    inner = new.mount
    assert inner.parent is not None
    inner.parent.detach(inner)
    inner.parent = None
    inner.point = None
    top.parent = inner
    top.point = pin_dentry(inner.filesystem, old.dentry)
    inner.attach(top)
    # The root of the tree is the mount with number 1, by which it is known everywhere.
    top.id, inner.id = inner.id, top.id
    vfs.mounts[top.id], vfs.mounts[inner.id] = top, inner
    vfs.root = Location(inner, Dentry(inner.root), new.inode).pin()
    for other in vfs.kernel.tasks.values():
        if other.dead:
            continue
        if other.fs.root.same(root):
            other.fs.root = vfs.root
        if other.fs.cwd.same(root):
            other.fs.cwd = vfs.root
