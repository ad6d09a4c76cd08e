"""An open regular file, of any file system that keeps bytes: position, append mode, limits, locks, events."""

from __future__ import annotations

from syscalls.abi.errno import EFBIG, EINVAL, ENXIO, LinuxError
from syscalls.abi.fs import (
    FALLOC_FL_KEEP_SIZE,
    IN_MODIFY,
    O_APPEND,
    OFFSET_MAX,
    S_ISGID,
    S_ISUID,
    S_IXGRP,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
)
from syscalls.credentials import CAP_FSETID
from syscalls.fd import FileDescription
from syscalls.task import RLIM_INFINITY, RLIMIT_FSIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.inode import Inode
    from syscalls.fs.mounts import Location
    from syscalls.fs.vfs import Vfs
    from syscalls.task import Task

SIGXFSZ = 25


def within_limit(task: Task, offset: int, length: int) -> int:
    """How many of `length` bytes from `offset` RLIMIT_FSIZE lets a file have; SIGXFSZ and EFBIG for none
    (generic_write_check_limits)."""
    limit = task.group.rlimits[RLIMIT_FSIZE][0]
    if limit != RLIM_INFINITY:
        if offset >= limit:
            exceed_limit(task)
        length = min(length, limit - offset)
    if offset >= OFFSET_MAX:
        raise LinuxError(EFBIG)
    return min(length, OFFSET_MAX - offset)


def check_size_limit(task: Task, length: int, size: int) -> None:
    """A file may not grow past RLIMIT_FSIZE: SIGXFSZ and EFBIG (inode_newsize_ok)."""
    if length > size and length > task.group.rlimits[RLIMIT_FSIZE][0]:
        exceed_limit(task)


def exceed_limit(task: Task) -> None:
    from syscalls.siginfo import SigInfo
    from syscalls.signals import send_task
    send_task(task, SigInfo(SIGXFSZ, 0, task.group.pid, task.cred.uid))
    raise LinuxError(EFBIG)


class RegularDescription(FileDescription):
    """Subclasses move the bytes: `_load`, `_store`, `_append`, `size`, `_resize`."""

    kind = "file"
    seekable = True

    def __init__(self, flags: int, location: Location, inode: Inode, vfs: Vfs) -> None:
        super().__init__(flags, location, inode)
        self.vfs = vfs
        self.runs: tuple[int, int] | None = None
        """A program was loaded from it: the file's identity, which nobody may write until this is released."""

    # --- what subclasses do

    def _load(self, length: int, offset: int) -> bytes:
        raise NotImplementedError

    def _store(self, data: bytes | memoryview, offset: int) -> int:
        raise NotImplementedError

    def _append(self, data: bytes | memoryview) -> tuple[int, int]:
        """(bytes written, the file's length then)."""
        raise NotImplementedError

    def _resize(self, length: int) -> None:
        raise NotImplementedError

    def size(self) -> int:
        raise NotImplementedError

    def file_key(self) -> tuple[int, int]:
        """The file's identity."""
        raise NotImplementedError

    # --- data

    def read(self, task: Task, length: int) -> bytes:
        if self.offset + length > OFFSET_MAX:
            raise LinuxError(EINVAL)
        data = self._load(length, self.offset)
        self.offset += len(data)
        return data

    def pread(self, task: Task, length: int, offset: int) -> bytes:
        if offset + length > OFFSET_MAX:
            raise LinuxError(EINVAL)
        data = self._load(length, offset)
        return data

    def write(self, task: Task, data: bytes) -> int:
        if self.offset + len(data) > OFFSET_MAX:
            raise LinuxError(EINVAL)
        if self.flags & O_APPEND:
            return self.append(task, data)
        done = self.pwrite(task, data, self.offset)
        self.offset += done
        return done

    def append(self, task: Task, data: bytes) -> int:
        """At the end, which is then the position; RWF_APPEND and O_APPEND."""
        if not data:
            return 0
        if task.group.rlimits[RLIMIT_FSIZE][0] != RLIM_INFINITY:
            data = data[:within_limit(task, self.size(), len(data))]
        self._remove_privileges(task)
        done, self.offset = self._append(data)
        return done

    def pwrite(self, task: Task, data: bytes, offset: int) -> int:
        """As in Linux, O_APPEND wins over `offset` (BUGS of man 2 pwrite)."""
        if not data:
            return 0
        if self.flags & O_APPEND:
            position = self.offset
            done = self.append(task, data)
            self.offset = position
            return done
        length = len(data)
        if offset + length > OFFSET_MAX or task.group.rlimits[RLIMIT_FSIZE][0] != RLIM_INFINITY:
            length = within_limit(task, offset, length)
        self._remove_privileges(task)
        return self._store(data if length == len(data) else data[:length], offset)

    def _remove_privileges(self, task: Task) -> None:
        """file_remove_privs: who writes to a set-uid program takes that bit away."""
        inode = self.inode
        assert inode is not None
        mode = inode.mode
        if mode & (S_ISUID | S_ISGID) and not task.cred.capable(CAP_FSETID):
            drop = S_ISUID | (S_ISGID if mode & S_IXGRP else 0)
            if mode & drop:
                inode.chmod(task, mode & ~drop & 0o7777)

    def seek(self, task: Task, offset: int, whence: int) -> int:
        if whence == SEEK_CUR:
            offset += self.offset
        elif whence == SEEK_END:
            offset += self.size()
        elif whence in (SEEK_DATA, SEEK_HOLE):
            if offset < 0 or offset >= self.size():
                raise LinuxError(ENXIO)
            offset = self._seek_data(offset, whence == SEEK_HOLE)
        elif whence != SEEK_SET:
            raise LinuxError(EINVAL)
        if offset < 0 or offset > OFFSET_MAX:
            raise LinuxError(EINVAL)
        self.offset = offset
        return offset

    def _seek_data(self, offset: int, hole: bool) -> int:
        """Files without holes: all is data up to the end, where the one hole is."""
        return self.size() if hole else offset

    def truncate(self, task: Task, length: int) -> None:
        """The caller has checked RLIMIT_FSIZE."""
        if not self.writable or length < 0:
            raise LinuxError(EINVAL)
        self._remove_privileges(task)
        self._resize(length)
        if self.vfs.notifier is not None:
            self._modified()

    def allocate(self, task: Task, mode: int, offset: int, length: int) -> None:
        self._check_allocation(task, mode, offset + length)
        self._remove_privileges(task)
        self._allocate(mode, offset, length)
        if self.vfs.notifier is not None:
            self._modified()

    def _check_allocation(self, task: Task, mode: int, end: int) -> None:
        if not mode & FALLOC_FL_KEEP_SIZE:
            check_size_limit(task, end, self.size())

    def _allocate(self, mode: int, offset: int, length: int) -> None:
        raise NotImplementedError

    # --- life

    def _modified(self) -> None:
        """Without its bytes being written: also files that nobody opened by a path tell this."""
        assert self.location is not None
        self.vfs.notify(self.location, IN_MODIFY)

    def flush(self, task: Task) -> None:
        locks = self.vfs.locks
        if locks.files:
            assert self.inode is not None
            locks.closed_by(task, self.inode.identity(task))

    def released(self) -> None:
        self.vfs.writers.discard(self)
        if self.runs is not None:
            self.vfs.program_ended(self.runs)
        if self.vfs.locks.files:
            self.vfs.locks.description_closed(self)
        if self.lease is not None:
            from syscalls.lease import drop_lease
            drop_lease(self.vfs, self)

    def describe(self) -> bytes:
        return b""
