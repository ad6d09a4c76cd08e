"""Open files of a Linux host: raw descriptors, always close-on-exec."""

from __future__ import annotations

import errno
import os
from struct import Struct

from translator.hosts import linux_calls as calls
from translator.hosts.base import HostError, HostStat, HostStatFs

O_APPEND = 0o2000
O_DIRECT = 0o40000
O_PATH = 0o10000000
_GUEST_BITS = ((0o100000, os.O_LARGEFILE), (0o200000, os.O_DIRECTORY), (0o400000, os.O_NOFOLLOW))
_SAME_BITS = os.O_DIRECTORY == 0o200000
"""x86-64 has asm-generic's numbers for these; arm64 and others do not."""
_ALWAYS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


def open_flags(flags: int) -> int:
    """The host's O_ bits for the guest's.

    O_NONBLOCK is added so that no FIFO or device makes pylx sleep.  O_APPEND is left out: the kernel honours it
    through `append`, and pwrite(2) would ignore its offset.  O_DIRECT is left out: the buffers here are not aligned.
    """
    if flags & O_PATH:
        kept = os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW
        return kept | os.O_DIRECTORY if flags & 0o200000 else kept
    flags &= 0o37777777 & ~(O_APPEND | O_DIRECT | 0o20000)  # and O_ASYNC: SIGIO is the kernel's
    if _SAME_BITS:
        return flags | _ALWAYS
    host = flags & ~0o700000
    for guest_bit, host_bit in _GUEST_BITS:
        if flags & guest_bit:
            host |= host_bit
    return host | _ALWAYS


_FLOCK = Struct("@hhqqi4x")  # struct flock: l_type, l_whence, l_start, l_len, l_pid
_F_OFD_SETLK = 37


class _RecordLocks:
    """The one open file description on which pylx holds its record locks of an inode."""

    __slots__ = ("fd", "users")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.users = 0


_record_locks: dict[tuple[int, int], _RecordLocks] = {}
_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = 0x80086601, 0x40086602
_FIONREAD = 0x541B


class LinuxFile:
    """A host file by descriptor; positioned calls leave the descriptor's own position alone."""

    __slots__ = ("_locks", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._locks: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fd})"

    def fileno(self) -> int:
        return self.fd

    def read(self, length: int) -> bytes:
        try:
            return os.read(self.fd, length)
        except OSError as error:
            raise HostError(error.errno) from None

    def write(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self.fd, data)
        except OSError as error:
            raise HostError(error.errno) from None

    def seek(self, offset: int, whence: int) -> int:
        try:
            return os.lseek(self.fd, offset, whence)
        except OSError as error:
            raise HostError(error.errno) from None

    def pending(self) -> int:
        from fcntl import ioctl
        try:
            return int.from_bytes(ioctl(self.fd, _FIONREAD, bytes(4)), "little")
        except OSError as error:
            raise HostError(error.errno) from None

    def attributes(self) -> int:
        from fcntl import ioctl
        try:
            return int.from_bytes(ioctl(self.fd, _FS_IOC_GETFLAGS, bytes(4)), "little")
        except OSError as error:
            raise HostError(error.errno) from None

    def set_attributes(self, bits: int) -> None:
        from fcntl import ioctl
        try:
            ioctl(self.fd, _FS_IOC_SETFLAGS, bits.to_bytes(4, "little"))
        except OSError as error:
            raise HostError(error.errno) from None

    def pread(self, length: int, offset: int) -> bytes:
        try:
            return os.pread(self.fd, length, offset)
        except OSError as error:
            raise HostError(error.errno) from None

    def pread_into(self, into: memoryview, offset: int) -> int:
        try:
            return os.preadv(self.fd, (into,), offset)
        except OSError as error:
            raise HostError(error.errno) from None

    def pwrite(self, data: bytes | memoryview, offset: int) -> int:
        try:
            return os.pwrite(self.fd, data, offset)
        except OSError as error:
            raise HostError(error.errno) from None

    def write_unreadable(self, length: int, offset: int) -> None:
        """Fail as a write of memory that cannot be read fails, with what it leaves behind."""
        calls.pwrite_unreadable(self.fd, length, offset)

    def append(self, data: bytes | memoryview) -> int:
        try:
            return os.pwritev(self.fd, (data,), 0, os.RWF_APPEND)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise HostError(error.errno) from None
        # Filesystems without write_iter, and Linux before 4.16.
        return self.pwrite(data, self.stat().size)

    def stat(self) -> HostStat:
        try:
            return calls.host_stat(os.fstat(self.fd))
        except OSError as error:
            raise HostError(error.errno) from None

    def btime(self) -> int:
        return calls.btime(self.fd)

    def statfs(self) -> HostStatFs:
        return calls.fstatfs(self.fd)

    def truncate(self, size: int) -> None:
        try:
            os.ftruncate(self.fd, size)
        except OSError as error:
            raise HostError(error.errno) from None

    def sync(self, data_only: bool) -> None:
        try:
            if data_only:
                os.fdatasync(self.fd)
            else:
                os.fsync(self.fd)
        except OSError as error:
            raise HostError(error.errno) from None

    def allocate(self, mode: int, offset: int, length: int) -> None:
        calls.fallocate(self.fd, mode, offset, length)

    def seek_data(self, offset: int, hole: bool) -> int:
        return self.seek(offset, os.SEEK_HOLE if hole else os.SEEK_DATA)

    def chmod(self, mode: int) -> None:
        try:
            os.fchmod(self.fd, mode)
        except OSError as error:
            raise HostError(error.errno) from None

    def chown(self, uid: int, gid: int) -> None:
        try:
            os.fchown(self.fd, uid, gid)
        except OSError as error:
            raise HostError(error.errno) from None

    def utime(self, atime_ns: int | None, mtime_ns: int | None) -> None:
        calls.utimensat(self.fd, None, atime_ns, mtime_ns)

    def getxattr(self, name: bytes) -> bytes:
        try:
            return os.getxattr(self.fd, name)
        except OSError as error:
            raise HostError(error.errno) from None

    def setxattr(self, name: bytes, value: bytes, flags: int) -> None:
        try:
            os.setxattr(self.fd, name, value, flags)
        except OSError as error:
            raise HostError(error.errno) from None

    def listxattr(self) -> list[bytes]:
        try:
            return [os.fsencode(name) for name in os.listxattr(self.fd)]
        except OSError as error:
            raise HostError(error.errno) from None

    def removexattr(self, name: bytes) -> None:
        try:
            os.removexattr(self.fd, name)
        except OSError as error:
            raise HostError(error.errno) from None

    def lock(self, exclusive: bool | None, start: int, length: int) -> None:
        """By an open file description of the inode that all of pylx shares: POSIX locks proper would vanish with
        any descriptor of the file that pylx closes (man 2 fcntl)."""
        from fcntl import F_RDLCK, F_UNLCK, F_WRLCK, fcntl
        kind = F_UNLCK if exclusive is None else F_WRLCK if exclusive else F_RDLCK
        try:
            if self._locks is None:
                if exclusive is None:
                    return
                self._join_locks()
            assert self._locks is not None
            fcntl(_record_locks[self._locks].fd, _F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, start, length, 0))
        except OSError as error:
            raise HostError(errno.EAGAIN if error.errno == errno.EACCES else error.errno) from None

    def _join_locks(self) -> None:
        status = os.fstat(self.fd)
        key = (status.st_dev, status.st_ino)
        shared = _record_locks.get(key)
        if shared is None:
            shared = _record_locks[key] = _RecordLocks(self._lock_description())
        shared.users += 1
        self._locks = key

    def _lock_description(self) -> int:
        """A description for locks of both kinds, where the file's permissions allow."""
        path = b"/proc/self/fd/%d" % self.fd
        for access in (os.O_RDWR, os.O_RDONLY, os.O_WRONLY):
            try:
                return os.open(path, access | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue
        return os.dup(self.fd)

    def flock(self, exclusive: bool | None) -> None:
        from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
        kind = LOCK_UN if exclusive is None else LOCK_EX if exclusive else LOCK_SH
        try:
            flock(self.fd, kind | LOCK_NB)
        except OSError as error:
            raise HostError(error.errno) from None

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if self._locks is not None:
            shared = _record_locks[self._locks]
            shared.users -= 1
            if not shared.users:
                del _record_locks[self._locks]
                os.close(shared.fd)
            self._locks = None
        if fd >= 0:
            try:
                os.close(fd)
            except OSError as error:
                raise HostError(error.errno) from None
