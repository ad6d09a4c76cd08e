"""File system constants and layouts (include/uapi/linux/fcntl.h, stat.h, fs.h, mount.h, xattr.h, openat2.h)."""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from translator.hosts.base import HostStat, HostStatFs

# open(2)
O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE = 0, 1, 2, 3
O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC = 0o100, 0o200, 0o400, 0o1000
O_APPEND, O_NONBLOCK, O_DSYNC, FASYNC = 0o2000, 0o4000, 0o10000, 0o20000
O_DIRECT, O_LARGEFILE, O_DIRECTORY, O_NOFOLLOW = 0o40000, 0o100000, 0o200000, 0o400000
O_NOATIME, O_CLOEXEC, O_SYNC_BIT, O_PATH = 0o1000000, 0o2000000, 0o4000000, 0o10000000
O_TMPFILE_BIT = 0o20000000
O_SYNC = O_SYNC_BIT | O_DSYNC
CREATION_FLAGS = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC
"""What open(2) acts on and forgets: F_GETFL does not show it (do_dentry_open)."""
O_TMPFILE = O_TMPFILE_BIT | O_DIRECTORY
VALID_OPEN_FLAGS = (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC | FASYNC
                    | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_SYNC_BIT
                    | O_PATH | O_TMPFILE_BIT)

# *at(2)
AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_SYMLINK_FOLLOW = 0x100, 0x200, 0x400
AT_EACCESS = 0x200
AT_NO_AUTOMOUNT, AT_EMPTY_PATH = 0x800, 0x1000
AT_STATX_SYNC_TYPE, AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC = 0x6000, 0x2000, 0x4000
AT_RECURSIVE = 0x8000
AT_RENAME_NOREPLACE, AT_RENAME_EXCHANGE, AT_RENAME_WHITEOUT = 1, 2, 4

# openat2(2)
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS = 0x01, 0x02, 0x04
RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_CACHED = 0x08, 0x10, 0x20
VALID_RESOLVE_FLAGS = 0x3F
OPEN_HOW = Struct("<QQQ")

# Access masks: rwx as for access(2).
MAY_EXEC, MAY_WRITE, MAY_READ = 1, 2, 4
F_OK, X_OK, W_OK, R_OK = 0, 1, 2, 4

# Permission bits
S_ISUID, S_ISGID, S_ISVTX = 0o4000, 0o2000, 0o1000
S_IXGRP = 0o010
S_IALLUGO = 0o7777

# d_type: S_IFMT >> 12
DT_UNKNOWN, DT_FIFO, DT_CHR, DT_DIR, DT_BLK, DT_REG, DT_LNK, DT_SOCK = 0, 1, 2, 4, 6, 8, 10, 12

NAME_MAX, PATH_MAX = 255, 4096
MAXSYMLINKS = 40

SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE = range(5)

# fallocate(2)
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_COLLAPSE_RANGE = 0x01, 0x02, 0x08
FALLOC_FL_ZERO_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE = 0x10, 0x20, 0x40

# renameat2(2)
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4

# utimensat(2)
UTIME_NOW, UTIME_OMIT = 0x3FFFFFFF, 0x3FFFFFFE

# xattr(7)
XATTR_CREATE, XATTR_REPLACE = 1, 2
XATTR_NAME_MAX, XATTR_SIZE_MAX, XATTR_LIST_MAX = 255, 65536, 65536

# fcntl(2) record locks, flock(2)
F_GETLK, F_SETLK, F_SETLKW = 5, 6, 7
F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW = 36, 37, 38
F_SETLEASE, F_GETLEASE = 1024, 1025
F_RDLCK, F_WRLCK, F_UNLCK = 0, 1, 2
LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN = 1, 2, 4, 8
LOCK_MAND = 32
FLOCK = Struct("<hh4xqqi4x")
"""struct flock: l_type, l_whence, l_start, l_len, l_pid."""
OFFSET_MAX = 2**63 - 1
MAX_NON_LFS = 2**31 - 1
"""s_maxbytes of most systems in memory."""

# mount(2), umount2(2)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_SYNCHRONOUS, MS_REMOUNT = 1, 2, 4, 8, 16, 32
MS_MANDLOCK, MS_DIRSYNC, MS_NOSYMFOLLOW, MS_NOATIME, MS_NODIRATIME = 64, 128, 256, 1024, 2048
MS_BIND, MS_MOVE, MS_REC, MS_SILENT = 4096, 8192, 16384, 32768
MS_POSIXACL, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20
MS_RELATIME, MS_STRICTATIME, MS_LAZYTIME = 1 << 21, 1 << 24, 1 << 25
MS_NOUSER = 1 << 31
MS_MGC_VAL, MS_MGC_MSK = 0xC0ED0000, 0xFFFF0000
MNT_FORCE, MNT_DETACH, MNT_EXPIRE, UMOUNT_NOFOLLOW = 1, 2, 4, 8
ST_RDONLY, ST_NOSUID, ST_NODEV, ST_NOEXEC, ST_SYNCHRONOUS, ST_VALID = 1, 2, 4, 8, 16, 32
ST_NOATIME, ST_NODIRATIME, ST_RELATIME = 1024, 2048, 4096

# f_type of statfs (include/uapi/linux/magic.h)
TMPFS_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC, DEVPTS_SUPER_MAGIC = 0x01021994, 0x9FA0, 0x62656572, 0x1CD1
EXT4_SUPER_MAGIC, PIPEFS_MAGIC, SOCKFS_MAGIC, ANON_INODE_FS_MAGIC = 0xEF53, 0x50495045, 0x534F434B, 0x09041934

# inotify(7)
IN_ACCESS, IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE, IN_CLOSE_NOWRITE, IN_OPEN = 1, 2, 4, 8, 0x10, 0x20
IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE, IN_DELETE_SELF, IN_MOVE_SELF = 0x40, 0x80, 0x100, 0x200, 0x400, 0x800
IN_UNMOUNT, IN_Q_OVERFLOW, IN_IGNORED = 0x2000, 0x4000, 0x8000
IN_ISDIR = 0x40000000
IN_UNLINKED = 1 << 27  # inside the kernel only: for IN_EXCL_UNLINK

# statx(2)
STATX_TYPE, STATX_MODE, STATX_NLINK, STATX_UID, STATX_GID, STATX_ATIME, STATX_MTIME, STATX_CTIME = (
    1 << bit for bit in range(8))
STATX_INO, STATX_SIZE, STATX_BLOCKS, STATX_BTIME, STATX_MNT_ID = 0x100, 0x200, 0x400, 0x800, 0x1000
STATX_BASIC_STATS = 0x7FF
STATX_MNT_ID_UNIQUE = 0x4000
STATX_RESERVED = 1 << 31
STATX_ATTR_MOUNT_ROOT = 0x2000
STATX_ATTR_KNOWN = STATX_ATTR_MOUNT_ROOT | 0x1000 | 0x200000
"""Told of every file, whatever its file system: root of a mount, automount point, DAX."""

_STAT = Struct("<QQQIIIIQqqqqQqQqQ24x")
_STATX = Struct("<IIQIIIHHQQQQqIiqIiqIiqIiIIIIQ104x")
_STATFS = Struct("<qqQQQQQiiqqq32x")
_DIRENT = Struct("<QQH")
SECOND = 1_000_000_000


def major(device: int) -> int:
    """Of a dev_t as stat(2) shows it (new_encode_dev, glibc's makedev)."""
    return device >> 8 & 0xFFF | device >> 32 & 0xFFFFF000


def minor(device: int) -> int:
    return device & 0xFF | device >> 12 & 0xFFFFFF00


def makedev(major_number: int, minor_number: int) -> int:
    return (minor_number & 0xFF | (major_number & 0xFFF) << 8 | (minor_number & 0xFFFFFF00) << 12
            | (major_number & 0xFFFFF000) << 32)


def pack_stat(stat: HostStat) -> bytes:
    """struct stat of x86-64, 144 bytes."""
    atime, atime_ns = divmod(stat.atime_ns, SECOND)
    mtime, mtime_ns = divmod(stat.mtime_ns, SECOND)
    ctime, ctime_ns = divmod(stat.ctime_ns, SECOND)
    return _STAT.pack(stat.dev, stat.ino, stat.nlink, stat.mode, stat.uid & 0xFFFFFFFF, stat.gid & 0xFFFFFFFF, 0,
                      stat.rdev, stat.size, stat.blksize, stat.blocks, atime, atime_ns, mtime, mtime_ns, ctime,
                      ctime_ns)


def pack_statx(stat: HostStat, mask: int, mount_id: int, mount_root: bool, attributes: tuple[int, int]) -> bytes:
    """struct statx, 256 bytes; `mask` what the caller asked for, `attributes` and which there can be.
    Basic fields are always there, as in Linux."""
    # The mount is told unasked, too (vfs_statx_path).
    result = STATX_BASIC_STATS | (STATX_MNT_ID_UNIQUE if mask & STATX_MNT_ID_UNIQUE else STATX_MNT_ID)
    btime, btime_ns = 0, 0
    if stat.btime_ns >= 0 and mask & STATX_BTIME:
        result |= STATX_BTIME
        btime, btime_ns = divmod(stat.btime_ns, SECOND)
    atime, atime_ns = divmod(stat.atime_ns, SECOND)
    mtime, mtime_ns = divmod(stat.mtime_ns, SECOND)
    ctime, ctime_ns = divmod(stat.ctime_ns, SECOND)
    return _STATX.pack(
        result, stat.blksize, attributes[0] | (STATX_ATTR_MOUNT_ROOT if mount_root else 0), stat.nlink,
        stat.uid & 0xFFFFFFFF, stat.gid & 0xFFFFFFFF, stat.mode, 0, stat.ino, stat.size, stat.blocks,
        attributes[1] | STATX_ATTR_KNOWN,
        atime, atime_ns, 0, btime, btime_ns, 0, ctime, ctime_ns, 0, mtime, mtime_ns, 0,
        major(stat.rdev), minor(stat.rdev), major(stat.dev), minor(stat.dev), mount_id)


def pack_statfs(status: HostStatFs, device: int) -> bytes:
    """struct statfs of x86-64, 120 bytes; f_fsid is made of the device number."""
    return _STATFS.pack(status.type, status.bsize, status.blocks, status.bfree, status.bavail, status.files,
                        status.ffree, device & 0x7FFFFFFF, device >> 32 & 0x7FFFFFFF, status.namelen, status.bsize,
                        status.flags | ST_VALID)


_dirent64_packs: dict[int, Callable[..., bytes]] = {}


def pack_dirent64(ino: int, offset: int, kind: int, name: bytes) -> bytes:
    """struct linux_dirent64, padded to 8 bytes."""
    length = 27 + len(name) & ~7
    pack = _dirent64_packs.get(length)
    if pack is None:
        # "s" pads with zeros, in the same step.
        pack = _dirent64_packs[length] = Struct(f"<QqHB{length - 19}s").pack
    return pack(ino, offset, length, kind, name)


def pack_dirent(ino: int, offset: int, kind: int, name: bytes) -> bytes:
    """struct linux_dirent: the type stands in the record's last byte."""
    length = 20 + len(name) + 7 & ~7
    return (_DIRENT.pack(ino, offset, length) + name).ljust(length - 1, b"\0") + bytes((kind,))
