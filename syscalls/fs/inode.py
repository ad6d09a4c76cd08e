"""Inodes and filesystems: what every kind of file system implements.

`Inode` mirrors struct inode with its inode_operations.  Names are single components in bytes; the VFS (`vfs.py`) has
checked permissions, walked the path and followed links before it calls a method here.  Methods raise LinuxError; the
defaults are what Linux answers for an object that lacks the operation.
"""

from __future__ import annotations

from syscalls.abi.errno import (
    EACCES,
    EINVAL,
    ENOENT,
    ENOTDIR,
    EOPNOTSUPP,
    EPERM,
    EROFS,
    LinuxError,
)
from translator.hosts.base import HostStat as Stat
from translator.hosts.base import HostStatFs as StatFs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.credentials import Credentials
    from syscalls.fd import FileDescription
    from syscalls.fs.mounts import Dentry, Location, Pin
    from syscalls.task import Task

__all__ = ["S_IFBLK", "S_IFCHR", "S_IFDIR", "S_IFIFO", "S_IFLNK", "S_IFMT", "S_IFREG", "S_IFSOCK", "FileSystem",
           "Inode", "Stat", "StatFs"]

S_IFMT, S_IFSOCK, S_IFLNK, S_IFREG, S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO = (
    0o170000, 0o140000, 0o120000, 0o100000, 0o060000, 0o040000, 0o020000, 0o010000)


class Inode:
    """A file of any type.  Subclasses: one per file system and file type."""

    __slots__ = ()
    immutable = False
    """S_IMMUTABLE: nobody writes there, with EPERM."""
    append_only = False
    """S_APPEND: nothing that is there changes, with EPERM."""
    filesystem: FileSystem
    mode: int
    """S_IF type and permission bits; for host files as of the last stat."""

    ignores_xflags = False
    """file_setattr's bits of other file systems are no error."""
    private = False
    """S_PRIVATE: security modules, and what capabilities allow of its attributes, leave it alone."""

    def admits(self, task: Task) -> bool:
        """Whether a task may do what the mode does not allow it: an i_op->permission that is kinder."""
        return False

    # --- attributes

    def stat(self, task: Task) -> Stat:
        raise LinuxError(EINVAL)

    def chmod(self, task: Task, mode: int) -> None:
        """Permission bits only (07777)."""
        raise LinuxError(EPERM)

    def chown(self, task: Task, uid: int, gid: int) -> None:
        """-1 leaves that one alone."""
        raise LinuxError(EPERM)

    def utime(self, task: Task, atime_ns: int | None, mtime_ns: int | None) -> None:
        """None leaves that time alone."""
        raise LinuxError(EPERM)

    def file_flags(self, task: Task) -> int:
        """The FS_ bits of chattr(1) (i_op->fileattr_get).  EOPNOTSUPP where there are none."""
        raise LinuxError(EOPNOTSUPP)

    def attribute_bits(self) -> tuple[int, int]:
        """stx_attributes, and those of them that can be there (stx_attributes_mask)."""
        return 0, 0

    def set_file_flags(self, task: Task, flags: int) -> None:
        """All of them (i_op->fileattr_set), after the checks of fs/fileattr.py."""
        raise LinuxError(EOPNOTSUPP)

    def truncate(self, task: Task, length: int) -> None:
        raise LinuxError(EINVAL)

    def refresh(self) -> None:
        """Look again at the mode and the owner, of an inode that is kept while others may change them by its name."""

    def removed(self) -> bool:
        """Of a directory: it has no name any more, and nothing can be made in it (IS_DEADDIR)."""
        return False

    def identity(self, task: Task) -> tuple[int, int]:
        """(st_dev, st_ino): what locks, watches, FIFOs and sockets of this file are kept by."""
        stat = self.stat(task)
        return stat.dev, stat.ino

    def btime(self, task: Task) -> int:
        """When it was made, ns; -1 when unknown.  Only statx asks."""
        return self.stat(task).btime_ns

    def pinned(self, dentry: Dentry) -> None:
        """The location of this inode is kept beyond the system call, and `dentry` is its name from now on."""

    def getxattr(self, task: Task, name: bytes) -> bytes:
        raise LinuxError(EOPNOTSUPP)

    def setxattr(self, task: Task, name: bytes, value: bytes, flags: int) -> None:
        raise LinuxError(EOPNOTSUPP)

    def listxattr(self, task: Task) -> list[bytes]:
        return []

    def removexattr(self, task: Task, name: bytes) -> None:
        raise LinuxError(EOPNOTSUPP)

    # --- directories

    def lookup(self, task: Task, name: bytes) -> Inode:
        """The child; ENOENT.  Never called for `.` and `..`."""
        raise LinuxError(ENOTDIR)

    def entries(self, task: Task) -> list[tuple[bytes, int, int]]:
        """(name, inode number, DT_ type), without `.` and `..`."""
        raise LinuxError(ENOTDIR)

    def create(self, task: Task, name: bytes, mode: int) -> Inode:
        """A regular file; mode is S_IFREG | permissions, umask applied.  EEXIST is the caller's check, but a host
        may still raise it."""
        raise LinuxError(EACCES)

    def create_open(self, task: Task, name: bytes, mode: int, flags: int) -> Inode:
        """The same for an open(2), whose O_ flags are at hand: a file system may open it right away."""
        return self.create(task, name, mode)

    def tmpfile(self, task: Task, mode: int, flags: int) -> Inode:
        """A regular file without a name, in this directory's file system (O_TMPFILE)."""
        raise LinuxError(EOPNOTSUPP)

    def mkdir(self, task: Task, name: bytes, mode: int) -> Inode:
        raise LinuxError(EPERM)

    def mknod(self, task: Task, name: bytes, mode: int, rdev: int) -> Inode:
        """FIFO, socket, device or regular file by S_IFMT of mode."""
        raise LinuxError(EPERM)

    def symlink(self, task: Task, name: bytes, target: bytes) -> Inode:
        raise LinuxError(EPERM)

    def link(self, task: Task, name: bytes, inode: Inode) -> None:
        raise LinuxError(EPERM)

    def unlink(self, task: Task, name: bytes) -> None:
        raise LinuxError(EPERM)

    def rmdir(self, task: Task, name: bytes) -> None:
        raise LinuxError(EPERM)

    def rename(self, task: Task, name: bytes, target: Inode, new_name: bytes, flags: int) -> None:
        """Move the child `name` to directory `target` of the same file system; RENAME_NOREPLACE and _EXCHANGE."""
        raise LinuxError(EPERM)

    # --- symbolic links

    inner_type = 0
    """The S_IFMT bits that the kernel itself goes by, where stat tells none."""

    def readlink(self, task: Task) -> bytes:
        raise LinuxError(EINVAL)

    def follow(self, task: Task) -> Location | None:
        """Where a magic link (/proc/pid/fd/N, cwd, exe, root) leads, without a path walk; None: use readlink."""
        return None

    # --- files

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        """A description for this inode.  ENXIO, ENODEV, ...  FIFO opens that sleep are the VFS's business."""
        raise LinuxError(EOPNOTSUPP)


class FileSystem:
    """A mounted file system (struct super_block)."""

    name = "none"
    """As in /proc/filesystems and mountinfo."""
    readonly = False
    magic = 0
    """f_type of statfs."""

    def __init__(self, device: int) -> None:
        self.device = device
        """st_dev; host files carry their own."""
        self.root: Inode
        self.pins: dict[bytes, Pin] = {}
        """The dentries that outlive a system call, by path."""

    holding = False
    """Files are kept within reach that walks might not get to: the system hears of changed names."""

    def pinned(self, dentry: Dentry) -> None:
        """While something is held, another dentry is."""

    def names_changed(self, moves: list[tuple[bytes, bytes]], removed: bytes | None) -> None:
        """As HostTree.names_changed."""

    changeable = True
    """Its inodes have an owner, a mode and times that can be set."""
    trusted: Credentials | None = None
    """Whose permissions the host checks rightly, as far as is known (HostFs.trusts)."""
    by_path = False
    """The file system finds a path of many components at once: it is a HostFs."""
    opens_direct = True
    """Its regular files can be opened with O_DIRECT."""
    knows_map_sync = False
    """mmap with MAP_SYNC gets as far as to ask for memory that needs no page cache (FOP_MMAP_SYNC)."""
    sparse_positions = False
    """Positions in its directories are far apart, as ext4's are, which are hashes of the names: what is between two
    stands for the next entry, and the end is the largest number (ext4_dir_llseek)."""

    def statfs(self, task: Task, inode: Inode) -> StatFs:
        return StatFs(self.magic, 4096, 0, 0, 0, 0, 0, 255, 0)

    def check_writable(self) -> None:
        if self.readonly:
            raise LinuxError(EROFS)


ACL_NAMES = frozenset((b"system.posix_acl_access", b"system.posix_acl_default"))


def check_attribute_name(name: bytes) -> None:
    """xattr_resolve_name, for systems in memory: EOPNOTSUPP for what has no handler, EINVAL for a bare prefix."""
    if name in ACL_NAMES:
        return
    if not name.startswith((b"user.", b"trusted.", b"security.")):
        raise LinuxError(EOPNOTSUPP)
    if name.endswith(b".") and name.count(b".") == 1:
        raise LinuxError(EINVAL)


def not_found(name: bytes) -> LinuxError:
    return LinuxError(ENOENT, name.decode("utf-8", "backslashreplace"))
