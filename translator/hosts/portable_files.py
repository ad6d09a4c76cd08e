"""Open files by what `os` has everywhere."""

from __future__ import annotations

import os
import sys
import time

from translator.hosts import portable_locks, portable_windows
from translator.hosts.base import UTIME_NOW, HostError, HostStat, HostStatFs
from translator.hosts.portable_errno import (
    EBADF,
    EINVAL,
    EISDIR,
    ENOSYS,
    ENOTTY,
    ENXIO,
    EOPNOTSUPP,
    EPERM,
    ESPIPE,
    failure,
)
from translator.hosts.portable_stat import WINDOWS_ID, btime, host_stat, host_statfs

_O_BITS = ((0o100, "O_CREAT"), (0o200, "O_EXCL"), (0o1000, "O_TRUNC"), (0o10000, "O_DSYNC"), (0o200000, "O_DIRECTORY"),
           (0o4010000, "O_SYNC"))
_O_TMPFILE = 0o20000000
_ALWAYS = ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_NOINHERIT")


def open_flags(flags: int) -> int:
    """The host's O_ bits by name; those it lacks are left out, but O_TMPFILE, which nothing can stand for."""
    if flags & _O_TMPFILE:
        raise HostError(EOPNOTSUPP)
    host = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR)[flags & 3]
    for bits, name in _O_BITS:
        if flags & bits == bits:
            host |= getattr(os, name, 0)
    for name in _ALWAYS:
        host |= getattr(os, name, 0)
    return host


def set_times(target: int | bytes, status: os.stat_result, atime_ns: int | None, mtime_ns: int | None) -> None:
    """os.utime sets both times: one that is left alone is set to what it was."""
    no_follow = isinstance(target, bytes) and os.utime in os.supports_follow_symlinks
    now = time.time_ns()
    times = (status.st_atime_ns if atime_ns is None else now if atime_ns == UTIME_NOW else atime_ns,
             status.st_mtime_ns if mtime_ns is None else now if mtime_ns == UTIME_NOW else mtime_ns)
    try:
        if atime_ns == mtime_ns == UTIME_NOW:  # for which the right to write is enough
            os.utime(target, follow_symlinks=not no_follow)
        else:
            os.utime(target, ns=times, follow_symlinks=not no_follow)
    except OSError as error:
        raise failure(error) from None


class PortableFile:
    """A host file by descriptor.  `path` is where it is, for what Windows can do by path only."""

    __slots__ = ("fd", "path", "removed")

    def __init__(self, fd: int, path: bytes) -> None:
        self.fd = fd
        self.path = path
        self.removed = False
        """Its name is gone, which Windows may not show before the last close."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fd}, {self.path!r})"

    def fileno(self) -> int:
        return self.fd

    def _target(self) -> int | bytes:
        return self.path if sys.platform == "win32" else self.fd

    def read(self, length: int) -> bytes:
        try:
            return os.read(self.fd, length)
        except OSError as error:
            raise failure(error) from None

    def write(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self.fd, data)
        except OSError as error:
            raise failure(error) from None

    def pending(self) -> int:
        raise HostError(ENOTTY, "the standard library cannot ask how much a stream holds")

    def seek(self, offset: int, whence: int) -> int:
        try:
            return os.lseek(self.fd, offset, whence)
        except OSError as error:
            raise failure(error) from None

    def pread(self, length: int, offset: int) -> bytes:
        try:
            if sys.platform != "win32":
                return os.pread(self.fd, length, offset)
            position = os.lseek(self.fd, 0, os.SEEK_CUR)
            try:
                os.lseek(self.fd, offset, os.SEEK_SET)
                return os.read(self.fd, length)
            finally:
                os.lseek(self.fd, position, os.SEEK_SET)
        except OSError as error:
            raise failure(error) from None

    def pread_into(self, into: memoryview, offset: int) -> int:
        data = self.pread(len(into), offset)
        into[:len(data)] = data
        return len(data)

    def pwrite(self, data: bytes | memoryview, offset: int) -> int:
        try:
            if sys.platform != "win32":
                return os.pwrite(self.fd, data, offset)
            position = os.lseek(self.fd, 0, os.SEEK_CUR)
            try:
                os.lseek(self.fd, offset, os.SEEK_SET)
                return os.write(self.fd, data)
            finally:
                os.lseek(self.fd, position, os.SEEK_SET)
        except OSError as error:
            raise failure(error) from None

    def append(self, data: bytes | memoryview) -> int:
        """POSIX: O_APPEND for the time of one write.  Windows: at the end there was, not atomic against others."""
        try:
            position = os.lseek(self.fd, 0, os.SEEK_CUR)
            try:
                if sys.platform == "win32":
                    os.lseek(self.fd, 0, os.SEEK_END)
                    return os.write(self.fd, data)
                else:
                    from fcntl import F_GETFL, F_SETFL, fcntl
                    flags = fcntl(self.fd, F_GETFL)
                    fcntl(self.fd, F_SETFL, flags | os.O_APPEND)
                    try:
                        return os.write(self.fd, data)
                    finally:
                        fcntl(self.fd, F_SETFL, flags)
            finally:
                os.lseek(self.fd, position, os.SEEK_SET)
        except OSError as error:
            raise failure(error) from None

    def _fstat(self) -> os.stat_result:
        try:
            return os.fstat(self.fd)
        except OSError as error:
            raise failure(error) from None

    def stat(self) -> HostStat:
        stat = host_stat(self._fstat())
        if self.removed:
            stat.nlink = 0
        return stat

    def btime(self) -> int:
        return btime(self._fstat())

    def statfs(self) -> HostStatFs:
        try:
            return host_statfs(self._target())
        except OSError as error:
            raise failure(error) from None

    def truncate(self, size: int) -> None:
        try:
            os.ftruncate(self.fd, size)
        except OSError as error:
            raise failure(error) from None

    def sync(self, data_only: bool) -> None:
        try:
            os.fsync(self.fd)
        except OSError as error:
            raised = failure(error)
            if sys.platform != "win32" or raised.errno != EBADF:
                raise raised from None
            # Windows refuses to flush what was opened for reading only, and has nothing to flush there.

    def allocate(self, mode: int, offset: int, length: int) -> None:
        """Plain allocation only, and as a larger size: nothing is reserved."""
        if mode:
            raise HostError(EOPNOTSUPP)
        if offset < 0 or length <= 0:
            raise HostError(EINVAL)
        if self._fstat().st_size < offset + length:
            self.truncate(offset + length)

    def attributes(self) -> int:
        raise HostError(ENOTTY)

    def set_attributes(self, bits: int) -> None:
        raise HostError(ENOTTY)

    def seek_data(self, offset: int, hole: bool) -> int:
        whence: int | None = getattr(os, "SEEK_HOLE" if hole else "SEEK_DATA", None)
        if whence is not None:
            return self.seek(offset, whence)
        size = self._fstat().st_size
        if not 0 <= offset < size:
            raise HostError(ENXIO)
        return size if hole else offset

    def chmod(self, mode: int) -> None:
        try:
            os.chmod(self._target(), mode)
        except OSError as error:
            raise failure(error) from None

    def chown(self, uid: int, gid: int) -> None:
        if sys.platform == "win32":
            refuse_windows_owner(uid, gid)
        else:
            try:
                os.chown(self.fd, uid, gid)
            except OSError as error:
                raise failure(error) from None

    def utime(self, atime_ns: int | None, mtime_ns: int | None) -> None:
        set_times(self._target(), self._fstat(), atime_ns, mtime_ns)

    def getxattr(self, name: bytes) -> bytes:
        raise HostError(EOPNOTSUPP)

    def setxattr(self, name: bytes, value: bytes, flags: int) -> None:
        raise HostError(EOPNOTSUPP)

    def listxattr(self) -> list[bytes]:
        raise HostError(EOPNOTSUPP)

    def removexattr(self, name: bytes) -> None:
        raise HostError(EOPNOTSUPP)

    def lock(self, exclusive: bool | None, start: int, length: int) -> None:
        try:
            portable_locks.lock(self.fd, exclusive, start, length)
        except OSError as error:
            raise failure(error) from None

    def flock(self, exclusive: bool | None) -> None:
        if sys.platform == "win32":
            raise HostError(ENOSYS)
        else:
            from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
            kind = LOCK_UN if exclusive is None else LOCK_EX if exclusive else LOCK_SH
            try:
                flock(self.fd, kind | LOCK_NB)
            except OSError as error:
                raise failure(error) from None

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            if sys.platform == "win32":
                portable_windows.closed(self)
            try:
                portable_locks.close(fd)
            except OSError as error:
                raise failure(error) from None


def refuse_windows_owner(uid: int, gid: int) -> None:
    """EPERM for every owner but the one that all files have."""
    if {uid, gid} - {WINDOWS_ID, -1, 0xFFFFFFFF}:
        raise HostError(EPERM)


class WindowsDirectory(PortableFile):
    """Windows opens no directory as a file: an "open" one is its path."""

    __slots__ = ()

    def __init__(self, path: bytes) -> None:
        super().__init__(-1, path)

    def _target(self) -> int | bytes:
        return self.path

    def _fstat(self) -> os.stat_result:
        try:
            return os.stat(self.path, follow_symlinks=False)
        except OSError as error:
            raise failure(error) from None

    def read(self, length: int) -> bytes:
        raise HostError(EISDIR)

    def write(self, data: bytes | memoryview) -> int:
        raise HostError(EBADF)

    def seek(self, offset: int, whence: int) -> int:
        raise HostError(ESPIPE)

    def pread(self, length: int, offset: int) -> bytes:
        raise HostError(EISDIR)

    def pwrite(self, data: bytes | memoryview, offset: int) -> int:
        raise HostError(EBADF)

    def append(self, data: bytes | memoryview) -> int:
        raise HostError(EBADF)

    def truncate(self, size: int) -> None:
        raise HostError(EINVAL)

    def sync(self, data_only: bool) -> None:
        """Windows writes directories when it likes."""
