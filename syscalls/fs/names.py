"""Calls that change names: making, linking, removing and renaming (fs/namei.c).

The checks stand in Linux's order.  Where the host checks permissions for a task (`Vfs.host_checks`), they are its.
"""

from __future__ import annotations

from syscalls.abi.errno import (
    EBUSY,
    EEXIST,
    EINVAL,
    EISDIR,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    EXDEV,
    LinuxError,
)
from syscalls.abi.fs import (
    IN_ATTRIB,
    IN_CREATE,
    IN_DELETE,
    IN_ISDIR,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    MAY_WRITE,
    RENAME_EXCHANGE,
    RENAME_NOREPLACE,
    RENAME_WHITEOUT,
    S_ISVTX,
)
from syscalls.fs.endings import tell_end
from syscalls.fs.inode import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK
from syscalls.fs.mounts import below, join, pins_moved, pins_removed
from syscalls.fs.permission import may_create, may_delete, may_link, may_mknod, permission
from syscalls.fs.walk import DOT, DOTDOT, NORM, ROOT, locate
from syscalls.usermem import readable_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.inode import Inode
    from syscalls.fs.mounts import Dentry, Location
    from syscalls.fs.vfs import Vfs
    from syscalls.fs.walk import Walk
    from syscalls.task import Task


def _new_name(vfs: Vfs, task: Task, path: bytes, dirfd: int, kind: int) -> tuple[Location, bytes]:
    """filename_create: where a new name goes.  EEXIST; ENOENT for `name/` that is to be no directory; EROFS.
    kind 0: a link, whose own checks come before those of the directory."""
    walk = vfs.walk_parent(task, path, dirfd)
    if walk.kind is not NORM or not walk.missing:
        raise LinuxError(EEXIST)
    if walk.too_long:
        raise LinuxError(ENAMETOOLONG)
    if walk.slash and kind != S_IFDIR:
        raise LinuxError(ENOENT)
    parent = walk.parent()
    parent.mount.check_writable()
    if task.cred.landlock is not None and kind:
        from syscalls.landlock import check_make
        check_make(task, parent, kind)
    if not kind and parent.inode.filesystem.name == "proc":
        raise LinuxError(ENOENT)
    if kind and not vfs.host_checks(task, parent.inode):
        may_create(task, parent.inode)
    return parent, walk.name


def _look_again(vfs: Vfs, task: Task, directory: Inode) -> None:
    """Before checks that are the host's otherwise: nobody has looked at a working directory, where the walk began."""
    if vfs.host_checks(task, directory):
        directory.refresh()


def make_directory(vfs: Vfs, task: Task, path: bytes, dirfd: int, mode: int) -> None:
    parent, name = _new_name(vfs, task, path, dirfd, S_IFDIR)
    parent.inode.mkdir(task, name, S_IFDIR | mode & (0o777 | S_ISVTX) & ~task.fs.umask)
    vfs.notify_name(task, parent.inode, IN_CREATE | IN_ISDIR, name)


def make_node(vfs: Vfs, task: Task, path: bytes, dirfd: int, mode: int, rdev: int) -> Inode:
    """mode: type and permission bits, umask applied.  EINVAL for a type that cannot be made, EPERM for S_IFDIR."""
    kind = mode & S_IFMT
    if kind == S_IFDIR:
        raise LinuxError(EPERM)
    if kind not in (0, S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK):
        raise LinuxError(EINVAL)
    parent, name = _new_name(vfs, task, path, dirfd, kind or S_IFREG)
    if kind in (S_IFCHR, S_IFBLK):
        _look_again(vfs, task, parent.inode)
        may_create(task, parent.inode)  # who may write there comes before who may make devices
    may_mknod(task, mode, rdev)
    inode = parent.inode.mknod(task, name, mode if kind else mode | S_IFREG, rdev)
    vfs.notify_name(task, parent.inode, IN_CREATE, name)
    return inode


def make_symlink(vfs: Vfs, task: Task, target: bytes, path: bytes, dirfd: int) -> None:
    if not readable_name(target):
        raise LinuxError(ENOENT)
    parent, name = _new_name(vfs, task, path, dirfd, S_IFLNK)
    parent.inode.symlink(task, name, target)
    vfs.notify_name(task, parent.inode, IN_CREATE, name)


def make_link(vfs: Vfs, task: Task, old: Location, path: bytes, dirfd: int) -> None:
    """linkat with the old file found.  EXDEV, EPERM for a directory, ENOENT for a file without a name."""
    parent, name = _new_name(vfs, task, path, dirfd, 0)
    if parent.mount is not old.mount:
        raise LinuxError(EXDEV)
    inode = old.inode
    may_link(task, inode)
    if task.cred.landlock is not None:
        from syscalls.fs.mounts import parent_path
        from syscalls.landlock import check_refer
        there = locate(task, old.mount, parent_path(old.dentry.path), None) if old.dentry.path else old
        check_refer(task, there, parent, inode, None, False, False)
    if inode.mode & S_IFMT == S_IFDIR or not vfs.host_checks(task, parent.inode):
        _look_again(vfs, task, parent.inode)
        may_create(task, parent.inode)
    if inode.mode & S_IFMT == S_IFDIR or inode.append_only or inode.immutable:
        raise LinuxError(EPERM)
    parent.inode.link(task, name, inode)
    if vfs.notifier is not None:
        # fsnotify_link: the count of links is the file's own affair, its directories do not hear of it.
        vfs.notifier(inode.identity(task), IN_ATTRIB, b"", 0)
        vfs.notify_name(task, parent.inode, IN_CREATE, name)


def _victim(vfs: Vfs, task: Task, walk: Walk, is_directory: bool) -> tuple[Location, Inode]:
    """The directory and the file to remove: ENOENT, EROFS, and who may, which comes before it is of the wrong type."""
    parent = walk.parent()
    parent.mount.check_writable()
    inode = walk.location().inode
    if task.cred.landlock is not None:
        from syscalls.landlock import check_remove
        check_remove(task, parent, is_directory)
    if not vfs.host_checks(task, parent.inode) or (inode.mode & S_IFMT == S_IFDIR) != is_directory:
        _look_again(vfs, task, parent.inode)
        may_delete(task, parent.inode, inode)
    return parent, inode


def remove_file(vfs: Vfs, task: Task, path: bytes, dirfd: int) -> None:
    """unlink(2)."""
    walk = vfs.walk_parent(task, path, dirfd)
    if walk.kind is not NORM:
        raise LinuxError(EISDIR)
    if walk.slash:
        kind = walk.location().inode.mode & S_IFMT
        raise LinuxError(EISDIR if kind == S_IFDIR else ENOTDIR)
    parent, inode = _victim(vfs, task, walk, False)
    if inode.mode & S_IFMT == S_IFDIR:
        raise LinuxError(EISDIR)
    if walk.is_mount_point():
        raise LinuxError(EBUSY)
    if vfs.notifier is None:
        parent.inode.unlink(task, walk.name)
        pins_removed(walk.mount.filesystem, walk.path)
        return
    last = inode.stat(task).nlink <= 1
    identity = inode.identity(task)
    parent.inode.unlink(task, walk.name)
    dentry = pins_removed(walk.mount.filesystem, walk.path)
    vfs.notifier(identity, IN_ATTRIB, b"", 0)
    if last:
        tell_end(vfs, identity, dentry, 0)
    vfs.notify_name(task, parent.inode, IN_DELETE, walk.name)


def remove_directory(vfs: Vfs, task: Task, path: bytes, dirfd: int) -> None:
    """rmdir(2)."""
    walk = vfs.walk_parent(task, path, dirfd)
    if walk.kind in (DOTDOT, DOT, ROOT):
        raise LinuxError({DOTDOT: ENOTEMPTY, DOT: EINVAL, ROOT: EBUSY}[walk.kind])
    parent, inode = _victim(vfs, task, walk, True)
    if inode.mode & S_IFMT != S_IFDIR:
        raise LinuxError(ENOTDIR)
    if walk.is_mount_point() or any(below(point, walk.path) for point in parent.mount.children):
        raise LinuxError(EBUSY)
    identity = inode.identity(task)
    parent.inode.rmdir(task, walk.name)
    dentry = pins_removed(walk.mount.filesystem, walk.path)
    if vfs.notifier is not None:
        tell_end(vfs, identity, dentry, IN_ISDIR)
        vfs.notify_name(task, parent.inode, IN_DELETE | IN_ISDIR, walk.name)


def rename(vfs: Vfs, task: Task, old_path: bytes, old_dirfd: int, new_path: bytes, new_dirfd: int,
           flags: int) -> None:
    """renameat2(2) (do_renameat2, vfs_rename)."""
    if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT):
        raise LinuxError(EINVAL)
    if flags & (RENAME_NOREPLACE | RENAME_WHITEOUT) and flags & RENAME_EXCHANGE:
        raise LinuxError(EINVAL)
    old = vfs.walk_parent(task, old_path, old_dirfd)
    new = vfs.walk_parent(task, new_path, new_dirfd)
    if old.parent_mount is not new.parent_mount:
        raise LinuxError(EXDEV)
    if old.kind is not NORM:
        raise LinuxError(EBUSY)
    if new.kind is not NORM:
        raise LinuxError(EEXIST if flags & RENAME_NOREPLACE else EBUSY)
    old.parent_mount.check_writable()
    inode = old.location().inode
    if new.too_long:
        raise LinuxError(ENAMETOOLONG)
    if new.missing and (new.parent_mount.filesystem.name == "proc" or (
            new.parent_inode is not None and new.parent_inode.removed())):
        raise LinuxError(ENOENT)  # as may_create, but found at once
    is_directory = inode.mode & S_IFMT == S_IFDIR
    if flags & RENAME_NOREPLACE and not new.missing:
        raise LinuxError(EEXIST)
    exchange = bool(flags & RENAME_EXCHANGE)
    target = None if new.missing else new.location().inode
    if exchange and target is None:
        raise LinuxError(ENOENT)
    target_is_directory = target is not None and target.mode & S_IFMT == S_IFDIR
    if not is_directory and (old.slash or (not exchange and new.slash)):
        raise LinuxError(ENOTDIR)
    if exchange and not target_is_directory and new.slash:
        raise LinuxError(ENOTDIR)
    # One must not be inside the other.
    old_name, new_name = join(old.parent_path, old.name), join(new.parent_path, new.name)
    if new_name != old_name and below(new_name, old_name):
        raise LinuxError(EINVAL)
    if new_name != old_name and below(old_name, new_name):
        raise LinuxError(EINVAL if exchange else ENOTEMPTY)
    old_parent, new_parent = old.parent(), new.parent()
    if target is not None and target.identity(task) == inode.identity(task):
        return
    if task.cred.landlock is not None:
        from syscalls.landlock import check_refer
        check_refer(task, old_parent, new_parent, inode, target, True, exchange)
    _check_rename(vfs, task, old, new, inode, target, exchange)
    if old.is_mount_point() or new.is_mount_point():
        raise LinuxError(EBUSY)
    if flags & RENAME_WHITEOUT:
        raise LinuxError(EINVAL)
    events = _before_rename(task, inode, target) if vfs.notifier is not None else None
    old_parent.inode.rename(task, old.name, new_parent.inode, new.name, flags)
    filesystem = old.mount.filesystem
    replaced = None
    if exchange:
        pins_moved(filesystem, [(old.path, new.path), (new.path, old.path)])
    else:
        replaced = pins_removed(filesystem, new.path)
        pins_moved(filesystem, [(old.path, new.path)])
    if is_directory or target_is_directory:
        for mount in vfs.mounts.values():
            if mount.children:
                mount.renamed()
    if events is not None:
        _tell_rename(vfs, task, old_parent.inode, old.name, new_parent.inode, new.name, events, exchange, replaced)


def _check_rename(vfs: Vfs, task: Task, old: Walk, new: Walk, inode: Inode, target: Inode | None,
                  exchange: bool) -> None:
    old_directory, new_directory = old.parent().inode, new.parent().inode
    is_directory = inode.mode & S_IFMT == S_IFDIR
    if not vfs.host_checks(task, old_directory):
        may_delete(task, old_directory, inode)
        if target is None:
            may_create(task, new_directory)
        else:
            may_delete(task, new_directory, target)
    if target is not None and not exchange and not vfs.host_checks(task, new_directory):
        # (A host that checks does that in the right order, after who may.)
        if is_directory and target.mode & S_IFMT != S_IFDIR:
            raise LinuxError(ENOTDIR)
        if not is_directory and target.mode & S_IFMT == S_IFDIR:
            raise LinuxError(EISDIR)
    if old.parent_path != new.parent_path and not vfs.host_checks(task, old_directory):
        # A directory that moves gets a new `..`.
        if is_directory:
            permission(task, inode, MAY_WRITE)
        if exchange and target is not None and target.mode & S_IFMT == S_IFDIR:
            permission(task, target, MAY_WRITE)


class _RenameEvents:
    """What watchers are told of, gathered before the names change."""

    __slots__ = ("identity", "is_directory", "target", "target_is_directory", "target_last")

    def __init__(self, identity: tuple[int, int], is_directory: bool) -> None:
        self.identity = identity
        self.is_directory = is_directory
        self.target: tuple[int, int] | None = None
        self.target_is_directory = False
        self.target_last = False


def _before_rename(task: Task, inode: Inode, target: Inode | None) -> _RenameEvents:
    events = _RenameEvents(inode.identity(task), inode.mode & S_IFMT == S_IFDIR)
    if target is not None:
        events.target = target.identity(task)
        events.target_is_directory = target.mode & S_IFMT == S_IFDIR
        events.target_last = events.target_is_directory or target.stat(task).nlink <= 1
    return events


def _tell_rename(vfs: Vfs, task: Task, old_directory: Inode, old_name: bytes, new_directory: Inode, new_name: bytes,
                 events: _RenameEvents, exchange: bool, replaced: Dentry | None) -> None:
    """fsnotify_move, and for a file that was replaced fsnotify_link_count or its end."""
    notifier = vfs.notifier
    assert notifier is not None
    vfs.move_cookie += 1
    flag = IN_ISDIR if events.is_directory else 0
    vfs.notify_name(task, old_directory, IN_MOVED_FROM | flag, old_name, vfs.move_cookie)
    vfs.notify_name(task, new_directory, IN_MOVED_TO | flag, new_name, vfs.move_cookie)
    if events.target is not None and not exchange:
        notifier(events.target, IN_ATTRIB, b"", 0)
    notifier(events.identity, IN_MOVE_SELF | flag, b"", 0)
    if events.target is None:
        return
    target_flag = IN_ISDIR if events.target_is_directory else 0
    if exchange:
        vfs.move_cookie += 1
        vfs.notify_name(task, new_directory, IN_MOVED_FROM | target_flag, new_name, vfs.move_cookie)
        vfs.notify_name(task, old_directory, IN_MOVED_TO | target_flag, old_name, vfs.move_cookie)
        notifier(events.target, IN_MOVE_SELF | target_flag, b"", 0)
    elif events.target_last:
        tell_end(vfs, events.target, replaced, target_flag)
