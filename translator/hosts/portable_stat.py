"""What os.stat says, as Linux would say it."""

from __future__ import annotations

import os
import sys

from translator.hosts.base import HostStat, HostStatFs

S_IFMT, S_IFLNK, S_IFDIR, S_IFREG, S_IFIFO, S_IFCHR, S_IFSOCK = (
    0o170000, 0o120000, 0o040000, 0o100000, 0o010000, 0o020000, 0o140000)
WINDOWS_ID = 1000
"""Windows has no user numbers: files belong to the first ordinary user of most distributions."""
_REPARSE_POINT = 0x400
_EXT_MAGIC, _HFS_MAGIC, _NTFS_MAGIC = 0xEF53, 0x482B, 0x5346544E


def host_stat(status: os.stat_result) -> HostStat:
    stat = HostStat(dev=status.st_dev, ino=status.st_ino, mode=status.st_mode, nlink=status.st_nlink,
                    uid=status.st_uid, gid=status.st_gid, size=status.st_size, atime_ns=status.st_atime_ns,
                    mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns, btime_ns=btime(status))
    if sys.platform == "win32":
        stat.uid = stat.gid = WINDOWS_ID
        stat.blocks = (stat.size + 511) // 512
        stat.ctime_ns = stat.mtime_ns
        if stat.mode & S_IFMT == S_IFREG:
            stat.mode |= 0o111  # Windows' own bits follow the extension: no Linux program would be executable
    else:
        stat.blksize = status.st_blksize
        stat.blocks = status.st_blocks
        if status.st_rdev:
            major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
            stat.rdev = (minor & 0xFF) | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32
    return stat


def btime(status: os.stat_result) -> int:
    """-1 when the host keeps none, or Python does not tell."""
    if sys.platform == "win32":
        return status.st_ctime_ns
    birth: float | None = getattr(status, "st_birthtime", None)
    return -1 if birth is None else int(birth * 1e6) * 1000


def is_link(status: os.stat_result) -> bool:
    """A symbolic link, or what else leads elsewhere on Windows: a junction."""
    if status.st_mode & S_IFMT == S_IFLNK:
        return True
    return sys.platform == "win32" and bool(status.st_file_attributes & _REPARSE_POINT)


def host_statfs(path: bytes | int) -> HostStatFs:
    """Which filesystem it is cannot be told: the type is the system's usual one."""
    if sys.platform == "win32":
        from shutil import disk_usage
        usage = disk_usage(path)
        return HostStatFs(_NTFS_MAGIC, 4096, usage.total // 4096, usage.free // 4096, usage.free // 4096, 0, 0, 255, 0)
    got = os.statvfs(path)
    kind = _HFS_MAGIC if sys.platform == "darwin" else _EXT_MAGIC
    scale = max(1, got.f_frsize)
    return HostStatFs(kind, scale, got.f_blocks, got.f_bfree, got.f_bavail, got.f_files, got.f_ffree,
                      got.f_namemax, got.f_flag & 3)
