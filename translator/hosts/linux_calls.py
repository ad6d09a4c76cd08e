"""The host system calls that `os` does not offer, or not as exactly as needed, through ctypes.

Every function raises HostError with the host's errno, which on Linux is the guest's.  A call that a signal
interrupts is made again.
"""

from __future__ import annotations

import ctypes
import errno
import os
from struct import Struct

from translator.hosts.base import UTIME_NOW, HostError, HostStat, HostStatFs

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any
else:
    import _signal  # without the enumerations of signal, which cost 4 ms

libc = ctypes.CDLL(None, use_errno=True)
get_errno = ctypes.get_errno

AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08

NR_OPENAT2 = 437
"""The same number on every architecture, as for all calls since 5.1."""
NR_FCHMODAT2 = 452

_OPEN_HOW = Struct("=QQQ")

raw_openat2 = libc["syscall"]  # a function object of its own, for the types
raw_openat2.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)
raw_openat2.restype = ctypes.c_long


UNREADABLE = 16
"""An address in the first page, which nobody can map."""


def _function(name: str, *argtypes: Any) -> Any:
    """A function of libc that has these arguments; None when it lacks it.  Declared, the arguments cost half."""
    function = getattr(libc, name, None)
    if function is not None:
        function.argtypes = argtypes
    return function


def failure() -> HostError:
    """The error of the libc call that just returned -1."""
    return HostError(get_errno())


def open_how(flags: int, mode: int, resolve: int) -> bytes:
    """struct open_how for openat2."""
    return _OPEN_HOW.pack(flags, mode, resolve)


def openat2(dirfd: int, path: bytes, how: bytes) -> int:
    """man 2 openat2; EAGAIN (a rename crossed a RESOLVE_BENEATH walk) is tried again."""
    fd: int = raw_openat2(NR_OPENAT2, dirfd, path, how, 24)
    while fd < 0:
        error = get_errno()
        if error not in {errno.EAGAIN, errno.EINTR}:
            raise HostError(error)
        fd = raw_openat2(NR_OPENAT2, dirfd, path, how, 24)
    return fd


def have_openat2(dirfd: int) -> bool:
    """Linux 5.6 has it; some container sandboxes refuse it with EPERM."""
    fd: int = raw_openat2(NR_OPENAT2, dirfd, b".", open_how(os.O_PATH | os.O_CLOEXEC, 0, RESOLVE_BENEATH), 24)
    if fd < 0:
        return False
    os.close(fd)
    return True


_new_stat = HostStat.__new__


def host_stat(status: os.stat_result) -> HostStat:
    """As HostStat(...) would build it, at half the cost."""
    stat = _new_stat(HostStat)
    stat.dev = status.st_dev
    stat.ino = status.st_ino
    stat.mode = status.st_mode
    stat.nlink = status.st_nlink
    stat.uid = status.st_uid
    stat.gid = status.st_gid
    stat.rdev = status.st_rdev
    stat.size = status.st_size
    stat.blksize = status.st_blksize
    stat.blocks = status.st_blocks
    stat.atime_ns = status.st_atime_ns
    stat.mtime_ns = status.st_mtime_ns
    stat.ctime_ns = status.st_ctime_ns
    stat.btime_ns = -1
    return stat


STATX_BTIME = 0x800
_STATX_BTIME = Struct("=I76xqI")  # struct statx: stx_mask, then stx_btime at 80
_statx = _function("statx", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p)
_statx_buffer = ctypes.create_string_buffer(256)


def btime(fd: int) -> int:
    """Birth time of an open file (O_PATH will do) in nanoseconds, -1 when the filesystem keeps none."""
    if _statx is None or _statx(fd, b"", AT_EMPTY_PATH, STATX_BTIME, _statx_buffer) < 0:
        return -1
    mask, seconds, nanoseconds = _STATX_BTIME.unpack_from(_statx_buffer)
    return seconds * 1_000_000_000 + nanoseconds if mask & STATX_BTIME else -1


STATX_ALL = 0xFFF
_STATX = Struct("=IIQIIIH2xQQQQqI4xqI4xqI4xqI4xIIII")


def _device(major: int, minor: int) -> int:
    """As st_dev has it."""
    return minor & 0xFF | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32


def full_stat(fd: int) -> HostStat:
    """What fstat tells, and the birth time, by one call.  OSError."""
    if _statx is None or _statx(fd, b"", AT_EMPTY_PATH, STATX_ALL, _statx_buffer) < 0:
        return host_stat(os.fstat(fd))
    return statx_values(_statx_buffer)


def statx_values(room: Any) -> HostStat:
    """What a struct statx says."""
    stat = _new_stat(HostStat)
    (mask, stat.blksize, _, stat.nlink, stat.uid, stat.gid, stat.mode, stat.ino, stat.size, stat.blocks, _,
     atime, atime_ns, btime, btime_ns, ctime, ctime_ns, mtime, mtime_ns, special, special_minor, device,
     device_minor) = _STATX.unpack_from(room)
    stat.atime_ns = atime * 1_000_000_000 + atime_ns
    stat.btime_ns = btime * 1_000_000_000 + btime_ns if mask & STATX_BTIME else -1
    stat.ctime_ns = ctime * 1_000_000_000 + ctime_ns
    stat.mtime_ns = mtime * 1_000_000_000 + mtime_ns
    stat.rdev = _device(special, special_minor)
    stat.dev = _device(device, device_minor)
    return stat


_STATFS = Struct("@lLQQQQQ8xlll")  # asm-generic/statfs.h on 64 bits: type, bsize, ..., fsid, namelen, frsize, flags


def fstatfs(fd: int) -> HostStatFs:
    buffer = ctypes.create_string_buffer(256)
    if libc.fstatfs(ctypes.c_int(fd), buffer) < 0:
        raise failure()
    kind, bsize, blocks, bfree, bavail, files, ffree, namelen, _frsize, flags = _STATFS.unpack_from(buffer.raw)
    return HostStatFs(kind & 0xFFFFFFFF, bsize, blocks, bfree, bavail, files, ffree, namelen, flags)


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    call = libc.fallocate
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if call(fd, mode, offset, length) < 0:
        if get_errno() != errno.EINTR:
            raise failure()
        # tmpfs begins again after a signal: with one every few milliseconds it would never be done.
        before = _signal.pthread_sigmask(_signal.SIG_SETMASK, _signal.valid_signals())
        try:
            if call(fd, mode, offset, length) < 0:
                raise failure()
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)


def pwrite_unreadable(fd: int, length: int, offset: int) -> None:
    """pwrite of memory that is not there."""
    call = libc.pwrite64
    call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64)
    call.restype = ctypes.c_ssize_t
    if call(fd, UNREADABLE, length, offset) < 0:
        raise failure()


def renameat2(old_dirfd: int, old: bytes, new_dirfd: int, new: bytes, flags: int) -> None:
    """glibc 2.28, musl 1.2.5; EINVAL without it, as from a filesystem that lacks the flags."""
    call = getattr(libc, "renameat2", None)
    if call is None:
        raise HostError(errno.EINVAL)
    if call(ctypes.c_int(old_dirfd), old, ctypes.c_int(new_dirfd), new, ctypes.c_uint(flags)) < 0:
        raise failure()


_TIMESPECS = Struct("@qqqq")
_UTIME_NOW = 0x3FFFFFFF
_UTIME_OMIT = 0x3FFFFFFE


_futimens = _function("futimens", ctypes.c_int, ctypes.c_char_p)
_utimensat = _function("utimensat", ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int)


def _timespec(time_ns: int | None) -> tuple[int, int]:
    if time_ns is None:
        return 0, _UTIME_OMIT
    if time_ns == UTIME_NOW:
        return 0, _UTIME_NOW
    return divmod(time_ns, 1_000_000_000)


def utimensat(dirfd: int, path: bytes | None, atime_ns: int | None, mtime_ns: int | None) -> None:
    """path None: of the file dirfd itself is, which O_PATH will not do for; b"": the same, since Linux 5.8."""
    times = _TIMESPECS.pack(*_timespec(atime_ns), *_timespec(mtime_ns))
    if path is None:
        result = _futimens(dirfd, times)
    else:
        result = _utimensat(dirfd, path, times, AT_SYMLINK_NOFOLLOW if path else AT_EMPTY_PATH)
    if result < 0:
        raise failure()


_fchmodat2 = libc["syscall"]
_fchmodat2.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint, ctypes.c_uint)
_fchmodat2.restype = ctypes.c_long


def chmod_path(fd: int, mode: int) -> None:
    """chmod by an O_PATH descriptor, which fchmod refuses: fchmodat2 (Linux 6.6), or else /proc.  EOPNOTSUPP: a
    symbolic link."""
    if _fchmodat2(NR_FCHMODAT2, fd, b"", mode & 0o7777, AT_EMPTY_PATH) == 0:
        return
    if get_errno() not in {errno.ENOSYS, errno.EPERM}:
        raise failure()
    try:
        if os.fstat(fd).st_mode & 0o170000 == 0o120000:
            raise HostError(errno.EOPNOTSUPP)
        os.chmod(b"/proc/self/fd/%d" % fd, mode)
    except OSError as error:
        raise HostError(error.errno) from None


_DIRENT = Struct("@QqHB")  # struct linux_dirent64: d_ino, d_off, d_reclen, d_type, d_name


_DOTS = (b".", b"..")
_ENTRY_ROOM = 65536
_entry_buffer: ctypes.Array[ctypes.c_char] | None = None


_getdents64 = _function("getdents64", ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)


def directory_entries(fd: int) -> list[tuple[bytes, int, int]]:
    """All (name, inode number, DT_ type) of an open directory but `.` and `..`."""
    call = _getdents64
    if call is None:
        return _scanned_entries(fd)
    global _entry_buffer
    buffer = _entry_buffer
    if buffer is None:
        buffer = _entry_buffer = ctypes.create_string_buffer(_ENTRY_ROOM)
    unpack = _DIRENT.unpack_from
    entries: list[tuple[bytes, int, int]] = []
    while True:
        length = call(fd, buffer, _ENTRY_ROOM)
        if length < 0:
            raise failure()
        if length == 0:
            return [entry for entry in entries if entry[0] not in _DOTS]
        data = ctypes.string_at(buffer, length)
        at = 0
        while at < length:
            ino, _, reclen, kind = unpack(data, at)
            entries.append((data[at + 19:data.index(0, at + 19)], ino, kind))
            at += reclen


def _scanned_entries(fd: int) -> list[tuple[bytes, int, int]]:
    """For a libc without getdents64 (glibc before 2.30): a type is an lstat away."""
    try:
        with os.scandir(fd) as scan:
            return [(os.fsencode(entry.name), entry.inode(), entry.stat(follow_symlinks=False).st_mode >> 12 & 0xF)
                    for entry in scan]
    except OSError as error:
        raise HostError(error.errno) from None
