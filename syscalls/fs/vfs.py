"""The virtual file system: one object that finds, opens and mounts, for all tasks (fs/namei.c, fs/open.c).

Calls that change names are in `names.py`, mounting in `namespace.py`, the walk itself in `walk.py`.
"""

from __future__ import annotations

from syscalls.abi.errno import (
    EACCES,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    ENXIO,
    EPERM,
    EROFS,
    ETXTBSY,
    LinuxError,
)
from syscalls.abi.fs import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    CREATION_FLAGS,
    IN_CREATE,
    IN_ISDIR,
    IN_MODIFY,
    IN_OPEN,
    IN_UNLINKED,
    MAY_EXEC,
    MAY_READ,
    MAY_WRITE,
    MS_NODEV,
    MS_NOEXEC,
    MS_RDONLY,
    NAME_MAX,
    O_ACCMODE,
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_DIRECT,
    O_DIRECTORY,
    O_EXCL,
    O_LARGEFILE,
    O_NOATIME,
    O_NOCTTY,
    O_NOFOLLOW,
    O_PATH,
    O_RDONLY,
    O_TMPFILE_BIT,
    O_TRUNC,
    O_WRONLY,
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
)
from syscalls.fd import POLLERR, POLLPRI, FileDescription
from syscalls.fs.hostfs import HostFs, HostInode
from syscalls.fs.inode import (
    S_IFBLK,
    S_IFCHR,
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    S_IFSOCK,
    FileSystem,
    Inode,
    Stat,
)
from syscalls.fs.locks import LockTable
from syscalls.fs.mounts import Dentry, FsContext, Location, Mount, parent_path
from syscalls.fs.permission import may_create, owner_or_capable, permission
from syscalls.fs.regular import RegularDescription
from syscalls.fs.straight import find, straight
from syscalls.fs.walk import DOT, DOTDOT, NORM, ROOT, Walk, inode_of, locate
from syscalls.wait import WaitQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.fs.handles import HandleTable
    from syscalls.fs.hostfs import HostFs
    from syscalls.kernel import Kernel
    from syscalls.lease import Lease
    from syscalls.task import Task

__all__ = ["FsContext", "Location", "Mount", "Vfs"]

_ACCESS = (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE)


class PathDescription(FileDescription):
    """What O_PATH opens: a place, and nothing else."""

    kind = "path"

    def describe(self) -> bytes:
        return b""


class Vfs:
    """The tree of files.  `notifier`, while somebody watches (inotify): called with (identity of a file or directory,
    IN_ mask, name in it or b"", cookie)."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.locks = LockTable(kernel)
        self.notifier: Callable[[tuple[int, int], int, bytes, int], None] | None = None
        self.move_cookie = 0
        self.ending: set[tuple[int, int]] = set()
        """Watched files without a name that are still in use."""
        self.writers: set[RegularDescription] = set()
        """Descriptions that can write."""
        self.leases: dict[tuple[int, int], list[Lease]] = {}
        """Leases that are held, by the identity of the file."""
        self.running: dict[tuple[int, int], int] = {}
        """How many programs run from a file, by identity: those cannot be opened for writing."""
        self.handles: HandleTable | None = None
        """Of name_to_handle_at: made when first used."""
        self.next_mount = 1
        self.next_device = 0xE000
        self.mount_event = 0
        self.mount_queue = WaitQueue()
        self.mounts: dict[int, Mount] = {}
        """By mount id; the root is 1."""
        self.root: Location
        self.host_filesystem: HostFs
        """What the first process has as its root, wherever that is mounted by now."""
        self.anonymous = Mount(0, b"anon_inodefs", b"none", 0, None, None)
        """Where things live that have no place: pipes, sockets, memfds."""
        self.anonymous.filesystem = FileSystem(0)

    # --- mounts

    def mount_boot(self, root: bytes) -> None:
        """The tree that the first process finds: the host's files below `root`, and the pseudo file systems."""
        from syscalls.fs.namespace import mount_boot
        mount_boot(self, root)

    def mounts_changed(self) -> None:
        """Tell those who poll /proc/PID/mounts (touch_mnt_namespace)."""
        self.mount_event += 1
        self.mount_queue.wake(POLLERR | POLLPRI)

    def new_device(self) -> int:
        """A st_dev for a file system without a device: major 0, and a minor that the host's are not likely to have."""
        self.next_device += 1
        minor = self.next_device
        return minor & 0xFF | (minor & ~0xFF) << 12

    def mount_names(self, location: Location) -> list[tuple[bytes, int]]:
        """Names of the mount points in a directory, which the directory itself need not have."""
        children = location.mount.children
        if not children:
            return []
        path = location.dentry.path
        return [(point.rpartition(b"/")[2], 1) for point in children if point and parent_path(point) == path]

    # --- finding

    def _start(self, task: Task, path: bytes, dirfd: int) -> Location:
        if path[:1] == b"/":
            return task.fs.root
        if dirfd == AT_FDCWD:
            location = task.fs.cwd
        else:
            file = task.files.get_raw(dirfd)
            if file.location is None or file.inode is None or file.inode.mode & S_IFMT != S_IFDIR:
                raise LinuxError(ENOTDIR)
            location = file.location
        inode = location.inode
        if inode.filesystem.trusted is not task.cred and not self.host_checks(task, inode):
            inode.refresh()
        return location

    def resolve(self, task: Task, path: bytes, dirfd: int = AT_FDCWD, *, follow: bool = True,
                empty_path: bool = False, btime: bool = False) -> Location:
        """Where a path leads.  ENOENT, ENOTDIR, ELOOP, EACCES, ENAMETOOLONG, EBADF.  btime: the caller is going to
        ask for the birth time, which some file systems can tell along with the rest."""
        if not path:
            return self._empty(task, dirfd, empty_path)
        start = self._start(task, path, dirfd)
        found = find(task, path, start, follow, btime)
        if found is not None:
            filesystem, target, stat = found
            dentry = Dentry(target)
            return Location(start.mount, dentry, HostInode(filesystem, dentry, stat))
        return self._found(self._walk(task, path, start, follow))

    def status(self, task: Task, path: bytes, dirfd: int = AT_FDCWD, *, follow: bool = True,
               empty_path: bool = False) -> Stat:
        """resolve and then stat, for those who need nothing else."""
        if path:
            found = find(task, path, self._start(task, path, dirfd), follow, False)
            if found is not None:
                return found[2]
        return self.resolve(task, path, dirfd, follow=follow, empty_path=empty_path).inode.stat(task)

    def readlink(self, task: Task, path: bytes, dirfd: int = AT_FDCWD) -> bytes | None:
        """What the link at a path says; None for what is none.  Raises what resolve does."""
        if not path:
            raise LinuxError(ENOENT)
        found = find(task, path, self._start(task, path, dirfd), False, False)
        if found is not None:
            filesystem, target, stat = found
            return filesystem.target(target, stat) if stat.mode & S_IFMT == S_IFLNK else None
        inode = self.resolve(task, path, dirfd, follow=False).inode
        return inode.readlink(task) if inode.mode & S_IFMT == S_IFLNK else None

    def _empty(self, task: Task, dirfd: int, allowed: bool) -> Location:
        if not allowed:
            raise LinuxError(ENOENT)
        if dirfd == AT_FDCWD:
            return task.fs.cwd
        file = task.files.get_raw(dirfd)
        if file.location is not None:
            return file.location
        if file.inode is None:
            raise LinuxError(ENOENT)
        return self.anonymous_location(file.inode, file.describe())

    def _walk(self, task: Task, path: bytes, start: Location, follow: bool, resolve: int = 0, *,
              creating: bool = False) -> Walk:
        root = start if resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH) else task.fs.root
        walk = Walk(task, start, root, resolve)
        walk.creating = creating
        return walk.run(path, follow)

    def _found(self, walk: Walk) -> Location:
        location = walk.location()
        if walk.slash and location.inode.mode & S_IFMT != S_IFDIR:
            raise LinuxError(ENOTDIR)
        return location

    def walk_parent(self, task: Task, path: bytes, dirfd: int) -> Walk:
        """A walk that looks at the last component and does not follow it: for calls that change names."""
        if not path:
            raise LinuxError(ENOENT)
        start = self._start(task, path, dirfd)
        walk = Walk(task, start, task.fs.root, 0)
        # A slash at the end makes a walk follow; here it only says what the name has to be.
        stripped = path.rstrip(b"/")
        if not stripped:
            return walk.run(path, False)
        excess = len(stripped) - stripped.rfind(b"/") - 1 - NAME_MAX
        if excess > 0:
            walk.run(stripped[:-excess], False)
            walk.missing = True
            walk.too_long = walk.parent_mount.filesystem.name != "proc"  # which only does not find them
        else:
            walk.run(stripped, False)
        walk.slash = len(stripped) != len(path)
        return walk

    def resolve_parent(self, task: Task, path: bytes, dirfd: int = AT_FDCWD) -> tuple[Location, bytes]:
        """The directory that has or may have the last component, and that component.  EEXIST for `.`, `..`, `/`."""
        walk = self.walk_parent(task, path, dirfd)
        if walk.kind is not NORM:
            raise LinuxError(EEXIST)
        if walk.too_long:
            raise LinuxError(ENAMETOOLONG)
        return walk.parent(), walk.name

    def parent(self, task: Task, location: Location) -> Location:
        """What `..` of a directory is, from this task's root."""
        walk = Walk(task, location, task.fs.root, 0)
        walk.inode = None
        walk._up()
        if walk.path == location.dentry.path and walk.mount is location.mount:
            return location
        return locate(task, walk.mount, walk.path, walk.inode)

    def anonymous_location(self, inode: Inode, name: bytes) -> Location:
        """A place for an object without one: what /proc/PID/fd/N of a pipe leads to; `name` as readlink shows it."""
        dentry = Dentry(name)
        dentry.pinned = True  # no file system has to know of it
        return Location(self.anonymous, dentry, inode)

    # --- permission

    def permission(self, task: Task, inode: Inode, mask: int) -> None:
        """EACCES, EROFS.  mask: MAY_READ 4, MAY_WRITE 2, MAY_EXEC 1."""
        permission(task, inode, mask)

    def host_checks(self, task: Task, inode: Inode) -> bool:
        """Whether the host itself refuses what this task may not do with the file."""
        filesystem = inode.filesystem if isinstance(inode, HostInode) else None
        return filesystem is not None and filesystem.trusts(task.cred)

    # --- opening

    async def open(self, task: Task, path: bytes, flags: int, mode: int, dirfd: int = AT_FDCWD,
                   resolve: int = 0) -> FileDescription:
        """open(2) without the descriptor; sleeps only for FIFOs."""
        result = self.start_open(task, path, flags, mode, dirfd, resolve)
        return result if isinstance(result, FileDescription) else await result

    def start_open(self, task: Task, path: bytes, flags: int, mode: int, dirfd: int = AT_FDCWD,
                   resolve: int = 0) -> FileDescription | Awaitable[FileDescription]:
        """The same for those that would rather not make a coroutine: what is awaitable is a FIFO."""
        if flags & O_PATH:
            flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC
        elif flags & O_TMPFILE_BIT:
            if not flags & O_DIRECTORY or flags & O_CREAT or not _ACCESS[flags & O_ACCMODE] & MAY_WRITE:
                raise LinuxError(EINVAL)
        elif flags & O_CREAT and flags & O_DIRECTORY:
            raise LinuxError(EINVAL)
        if not path:
            raise LinuxError(ENOENT)
        start = self._start(task, b"." if resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH) else path, dirfd)
        if flags & O_CREAT:
            if not resolve and self.notifier is None:
                new = self._create_straight(task, path, start, flags, mode)
                if new is not None:
                    return new
            follow = not flags & (O_EXCL | O_NOFOLLOW)
            bare = path.rstrip(b"/")
            if bare and bare != path:
                follow = False  # a name with a slash after it is not made, and not followed either
            walk = self._walk(task, bare or path, start, follow, resolve, creating=True)
            walk.slash = walk.slash or bool(bare and bare != path)
            location, created = self._create_for_open(task, walk, flags, mode)
            if location.inode.mode & S_IFMT == S_IFDIR:
                raise LinuxError(EISDIR)
            if created:
                file = self._opened(task, location, flags & ~O_TRUNC)
                file.created = True
                return file
            return self.open_location(task, location, flags)
        if resolve or flags & O_TMPFILE_BIT:
            location = self._found(self._walk(task, path, start, not flags & O_NOFOLLOW, resolve))
        else:
            location = self.resolve(task, path, dirfd, follow=not flags & O_NOFOLLOW)
        if flags & O_DIRECTORY and location.inode.mode & S_IFMT != S_IFDIR:
            raise LinuxError(ENOTDIR)
        if flags & O_TMPFILE_BIT:
            return self._open_tmpfile(task, location, flags, mode)
        if flags & O_PATH:
            location.pin().dentry.keep()  # by its name only: whoever removes that holds the file (HostInode.unlink)
            return PathDescription(flags & ~O_CLOEXEC, location, location.inode)
        return self.open_location(task, location, flags)

    def _create_straight(self, task: Task, path: bytes, start: Location, flags: int,
                         mode: int) -> FileDescription | None:
        """The file that O_CREAT makes, where the host can do that in one step; None: look closer."""
        mount = start.mount
        if mount.flags & MS_RDONLY or task.cred.landlock is not None:
            return None
        place = straight(task, path, start)
        if place is None:
            return None
        filesystem, target = place
        inode = filesystem.create_at(target, flags, S_IFREG | mode & 0o7777 & ~task.fs.umask)
        if inode is None:
            return None
        file = self._opened(task, Location(mount, inode.dentry, inode), flags & ~O_TRUNC)
        file.created = True
        return file

    def _create_for_open(self, task: Task, walk: Walk, flags: int, mode: int) -> tuple[Location, bool]:
        """The file that O_CREAT opens, and whether it is new (open_last_lookups)."""
        if walk.kind in (ROOT, DOT, DOTDOT):
            raise LinuxError(EEXIST if flags & O_EXCL else EISDIR)
        if walk.slash:
            raise LinuxError(EISDIR)
        if not walk.missing:
            if flags & O_EXCL:
                raise LinuxError(EEXIST)
            return walk.location(), False
        parent = walk.parent()
        parent.mount.check_writable()
        directory = parent.inode
        if task.cred.landlock is not None:
            from syscalls.landlock import check_make
            check_make(task, parent, S_IFREG)
        if not self.host_checks(task, directory):
            may_create(task, directory)
        mode = S_IFREG | mode & 0o7777 & ~task.fs.umask
        try:
            inode = directory.create_open(task, walk.name, mode, flags)
        except Exception as error:
            if getattr(error, "errno", 0) != EEXIST or flags & O_EXCL:
                raise
            # Somebody outside made it since the look.
            return locate(task, walk.mount, walk.path, None), False
        location = locate(task, walk.mount, walk.path, inode)
        if self.notifier is not None:
            self.notify_name(task, directory, IN_CREATE, walk.name)
        return location, True

    def _open_tmpfile(self, task: Task, location: Location, flags: int, mode: int) -> FileDescription:
        directory = location.inode
        location.mount.check_writable()
        if not self.host_checks(task, directory):
            permission(task, directory, MAY_WRITE | MAY_EXEC)
        if task.cred.landlock is not None:
            self._landlock(task, location, O_WRONLY)
        inode = directory.tmpfile(task, S_IFREG | mode & 0o7777 & ~task.fs.umask, flags)
        if isinstance(inode, HostInode):
            place = Location(location.mount, inode.dentry, inode)
        else:
            place = Location(location.mount, Dentry(b"#%d" % inode.stat(task).ino), inode)
            place.dentry.deleted = True
        file = inode.open(task, flags & ~CREATION_FLAGS, place)
        if isinstance(file, RegularDescription):
            self.writers.add(file)
        return file

    def open_location(self, task: Task, location: Location,
                       flags: int) -> FileDescription | Awaitable[FileDescription]:
        """may_open and what follows, for a file that was there: found by its path, or by a handle."""
        inode = location.inode
        kind = inode.mode & S_IFMT
        access = _ACCESS[flags & O_ACCMODE]
        if flags & O_TRUNC:
            access |= MAY_WRITE
        if kind == S_IFLNK:
            raise LinuxError(ELOOP)
        if kind == S_IFDIR:
            if access & MAY_WRITE:
                raise LinuxError(EISDIR)
        elif kind in (S_IFCHR, S_IFBLK) and location.mount.flags & MS_NODEV:
            raise LinuxError(EACCES)
        if kind != S_IFREG:
            flags &= ~O_TRUNC
        elif access & MAY_WRITE and location.mount.flags & MS_RDONLY:
            raise LinuxError(EROFS)
        if kind != S_IFREG or (inode.filesystem.trusted is not task.cred and not self.host_checks(task, inode)):
            permission(task, inode, access)
        if (access & MAY_WRITE and inode.append_only and (not flags & O_APPEND or flags & O_TRUNC)) or (
                flags & O_NOATIME and not owner_or_capable(task, inode)):
            permission(task, inode, access)  # which the host would have checked
            raise LinuxError(EPERM)
        if kind == S_IFIFO and location.mount is not self.anonymous:
            return self._open_fifo(task, location, flags)
        if kind == S_IFSOCK:
            raise LinuxError(ENXIO)
        if access & MAY_WRITE and kind == S_IFREG and self.running and inode.identity(task) in self.running:
            permission(task, inode, access)
            raise LinuxError(ETXTBSY)
        if self.leases and kind == S_IFREG and inode.identity(task) in self.leases:
            return self._open_leased(task, location, flags)
        return self._opened(task, location, flags)

    async def _open_leased(self, task: Task, location: Location, flags: int) -> FileDescription:
        from syscalls.lease import break_leases
        await break_leases(task, location.inode.identity(task), flags | (O_WRONLY if flags & O_TRUNC else 0))
        return self._opened(task, location, flags)

    def _opened(self, task: Task, location: Location, flags: int) -> FileDescription:
        location.pin()
        inode = location.inode
        if flags & O_DIRECT and (inode.mode & S_IFMT != S_IFREG or not inode.filesystem.opens_direct):
            raise LinuxError(EINVAL)
        later = None if task.cred.landlock is None else self._landlock(task, location, flags)
        file = inode.open(task, flags & ~CREATION_FLAGS | flags & (O_TRUNC | O_NOCTTY), location)
        if later is not None:
            file.landlock = later
        file.flags &= ~CREATION_FLAGS
        if flags & O_ACCMODE != O_RDONLY and isinstance(file, RegularDescription):
            self.writers.add(file)
        file.fsnotify = self
        if self.notifier is not None:
            self.notify(location, IN_OPEN)
            if flags & O_TRUNC:
                self.notify(location, IN_MODIFY)
        return file

    def _landlock(self, task: Task, location: Location, flags: int) -> int:
        """What a restricted task may do with the file after it is open; EACCES when it may not open it."""
        from syscalls.landlock import TRUNCATE, check_open
        access = _ACCESS[flags & O_ACCMODE]
        later = check_open(task, location, bool(access & MAY_READ), bool(access & MAY_WRITE))
        if flags & O_TRUNC and not later & TRUNCATE:
            raise LinuxError(EACCES)
        return later

    def program_ended(self, key: tuple[int, int]) -> None:
        """allow_write_access: one program less runs from the file."""
        count = self.running[key] - 1
        if count:
            self.running[key] = count
        else:
            del self.running[key]

    async def _open_fifo(self, task: Task, location: Location, flags: int) -> FileDescription:
        from syscalls.pipe import open_fifo
        location.pin()
        if task.cred.landlock is not None:
            self._landlock(task, location, flags)
        file: FileDescription = await open_fifo(task, location.inode, flags & ~CREATION_FLAGS, location)
        if flags & O_DIRECT:
            file.retain().release()
            raise LinuxError(EINVAL)
        file.fsnotify = self
        if self.notifier is not None:
            self.notify(location, IN_OPEN)
        return file

    def open_exec(self, task: Task, path: bytes, dirfd: int = AT_FDCWD, flags: int = 0) -> FileDescription:
        """do_open_execat: a regular file that may be run, open for reading.  Until the last reference to the
        description goes nobody can open the file for writing (ETXTBSY): exec keeps it as long as the program runs.
        EACCES, ETXTBSY, ELOOP."""
        location = self.resolve(task, path, dirfd, follow=not flags & AT_SYMLINK_NOFOLLOW,
                                empty_path=bool(flags & AT_EMPTY_PATH))
        inode = location.inode
        if inode.mode & S_IFMT == S_IFLNK:
            raise LinuxError(ELOOP)
        if inode.mode & S_IFMT != S_IFREG or location.mount.flags & MS_NOEXEC:
            raise LinuxError(EACCES)
        permission(task, inode, MAY_EXEC)
        if task.cred.landlock is not None:
            from syscalls.landlock import EXECUTE, READ_FILE, check
            check(task, location, EXECUTE | READ_FILE)
        key = inode.identity(task)
        for writer in self.writers:
            if writer.file_key() == key:
                raise LinuxError(ETXTBSY)
        location.pin()
        file = inode.open(task, O_RDONLY | O_LARGEFILE, location)
        if isinstance(file, RegularDescription):
            file.runs = key
            self.running[key] = self.running.get(key, 0) + 1
        file.fsnotify = self
        self.notify(location, IN_OPEN)
        return file

    # --- making nodes, for sockets

    def mknod(self, task: Task, path: bytes, mode: int, rdev: int = 0, dirfd: int = AT_FDCWD) -> Inode:
        """A node of S_IFMT of mode; umask was applied.  EEXIST, and what a walk raises."""
        from syscalls.fs.names import make_node
        return make_node(self, task, path, dirfd, mode, rdev)

    # --- events

    def notify(self, location: Location, mask: int, name: object = None) -> None:
        """Something happened to a file: tell who watches it, and who watches its directory."""
        notifier = self.notifier
        if notifier is None:
            return
        task = self.kernel.current
        if task is None:
            return  # the run is over
        try:
            if location.inode.mode & S_IFMT == S_IFDIR:
                mask |= IN_ISDIR
            path = location.dentry.path
            if location.mount.id and path and (not location.dentry.deleted or b"/" in path):
                # A directory also hears of the open files that have lost their names in it.
                unlinked = IN_UNLINKED if location.dentry.deleted else 0
                parent = inode_of(task, location.mount, parent_path(path))
                notifier(parent.identity(task), mask | unlinked, path.rpartition(b"/")[2], 0)
            notifier(location.inode.identity(task), mask, b"", 0)
        except Exception as error:
            if not hasattr(error, "errno"):
                raise

    def notify_name(self, task: Task, directory: Inode, mask: int, name: bytes, cookie: int = 0) -> None:
        """A name in a directory came or went (IN_CREATE, IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO)."""
        if self.notifier is not None:
            self.notifier(directory.identity(task), mask, name, cookie)
