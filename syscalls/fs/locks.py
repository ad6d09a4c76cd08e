"""Advisory locks: POSIX record locks, open-file-description locks and flock (fs/locks.c).

A record lock belongs to a descriptor table (POSIX) or to a description (OFD); flock to a description.  Locks are kept
per file, by its identity.  What guests hold on a file of the host is held there too, so that other host programs see
it: as one owner, because to the host all guests are one process.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EBADF, EDEADLK, EINVAL, ENOLCK, EOVERFLOW, LinuxError
from syscalls.abi.fs import (
    F_GETLK,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_RDLCK,
    F_SETLKW,
    F_UNLCK,
    F_WRLCK,
    FLOCK,
    LOCK_EX,
    LOCK_NB,
    LOCK_UN,
    OFFSET_MAX,
    SEEK_CUR,
    SEEK_END,
    SEEK_SET,
)
from syscalls.fs.hostfile import HostDescription
from syscalls.wait import WaitQueue
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

    from syscalls.fd import FdTable, FileDescription
    from syscalls.kernel import Kernel
    from syscalls.task import Task

HOST_RETRY_NS = 20_000_000
"""How often a lock that another host program holds is asked for again: the host does not tell when it goes."""


class Lock:
    """A locked range of bytes, `end` included; owner: FdTable or FileDescription."""

    __slots__ = ("end", "kind", "owner", "pid", "start")

    def __init__(self, owner: FdTable | FileDescription, kind: int, start: int, end: int, pid: int) -> None:
        self.owner = owner
        self.kind = kind
        self.start = start
        self.end = end
        self.pid = pid
        """l_pid: the process, -1 for OFD locks."""

    def conflicts(self, other: Lock) -> bool:
        return (self.owner is not other.owner and F_WRLCK in (self.kind, other.kind)
                and self.start <= other.end and other.start <= self.end)


class FileLocks:
    """The locks of one file."""

    __slots__ = ("flocks", "queue", "records")

    def __init__(self) -> None:
        self.records: list[Lock] = []
        self.flocks: dict[FileDescription, int] = {}
        self.queue = WaitQueue()

    def blocker(self, wanted: Lock) -> Lock | None:
        for lock in self.records:
            if lock.conflicts(wanted):
                return lock
        return None

    def set(self, wanted: Lock) -> None:
        """posix_lock_inode: the owner's locks in that range become `wanted`; neighbours of the same kind merge."""
        start, end, kind = wanted.start, wanted.end, wanted.kind
        kept: list[Lock] = []
        for lock in self.records:
            if lock.owner is not wanted.owner:
                kept.append(lock)
            elif kind != F_UNLCK and lock.kind == kind and lock.start <= end + 1 and lock.end + 1 >= start:
                start, end = min(start, lock.start), max(end, lock.end)
            elif lock.end < start or lock.start > end:
                kept.append(lock)
            else:
                if lock.start < start:
                    kept.append(Lock(lock.owner, lock.kind, lock.start, start - 1, lock.pid))
                if lock.end > end:
                    kept.append(Lock(lock.owner, lock.kind, end + 1, lock.end, lock.pid))
        if kind != F_UNLCK:
            kept.append(Lock(wanted.owner, kind, start, end, wanted.pid))
        kept.sort(key=lambda lock: lock.start)
        self.records = kept

    def held(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """What all owners together hold of a range: (first, last, kind) pieces, F_UNLCK where nobody holds."""
        cuts = {start, end + 1}
        for lock in self.records:
            if lock.start <= end and lock.end >= start:
                cuts.update((max(lock.start, start), min(lock.end, end) + 1))
        edges = sorted(cuts)
        pieces: list[tuple[int, int, int]] = []
        for first, after in zip(edges, edges[1:]):  # noqa: B905, RUF007
            kinds = {lock.kind for lock in self.records if lock.start <= first and lock.end >= after - 1}
            kind = F_WRLCK if F_WRLCK in kinds else F_RDLCK if kinds else F_UNLCK
            if pieces and pieces[-1][2] == kind:
                pieces[-1] = (pieces[-1][0], after - 1, kind)
            else:
                pieces.append((first, after - 1, kind))
        return pieces

    @property
    def unused(self) -> bool:
        return not self.records and not self.flocks and not self.queue.entries


class LockTable:
    """All locks, by the identity of the file."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.files: dict[tuple[int, int], FileLocks] = {}
        self.waiting: dict[FdTable | FileDescription, Lock] = {}
        """Who sleeps for a POSIX lock, and for which one (with the lock that blocks it): for deadlocks."""

    def of(self, key: tuple[int, int]) -> FileLocks:
        locks = self.files.get(key)
        if locks is None:
            locks = self.files[key] = FileLocks()
        return locks

    def forget_if_unused(self, key: tuple[int, int]) -> None:
        locks = self.files.get(key)
        if locks is not None and locks.unused:
            del self.files[key]

    def closed_by(self, task: Task, key: tuple[int, int]) -> None:
        """A descriptor of the file was closed: all POSIX locks of that table on it go (locks_remove_posix)."""
        locks = self.files.get(key)
        if locks is None or not any(lock.owner is task.files for lock in locks.records):
            return
        unlock = Lock(task.files, F_UNLCK, 0, OFFSET_MAX, 0)
        locks.set(unlock)
        self._show_host(task, key, locks, unlock)
        locks.queue.wake()
        self.forget_if_unused(key)

    def _show_host(self, task: Task, key: tuple[int, int], locks: FileLocks, changed: Lock) -> None:
        """After an unlock by a close: by any description of the file that is still open in the table, and by the one
        being closed through its handle (the host forgets the rest when that goes)."""
        for file in task.files.files.values():
            if isinstance(file, HostDescription) and file.file_key() == key:
                _apply_host(file, locks, changed)
                return

    def description_closed(self, file: FileDescription) -> None:
        """The last reference is gone: flock and OFD locks go (locks_remove_file)."""
        for key, locks in list(self.files.items()):
            changed = locks.flocks.pop(file, None) is not None
            if any(lock.owner is file for lock in locks.records):
                unlock = Lock(file, F_UNLCK, 0, OFFSET_MAX, 0)
                locks.set(unlock)
                _apply_host(file, locks, unlock)
                changed = True
            if changed:
                locks.queue.wake()
                self.forget_if_unused(key)

    def deadlock(self, wanted: Lock, blocker: Lock) -> bool:
        """posix_locks_deadlock: whether the blocker waits, over some steps, for `wanted`'s owner."""
        owner = blocker.owner
        for _ in range(10):
            waited = self.waiting.get(owner)
            if waited is None:
                return False
            if waited.owner is wanted.owner:
                return True
            owner = waited.owner
        return False


def _apply_host(file: FileDescription, locks: FileLocks, changed: Lock) -> None:
    """Make the host's lock of this range what the guests hold there together.  EAGAIN: another program is in the way.
    A host without locks leaves the guests theirs among themselves."""
    if not isinstance(file, HostDescription):
        return
    for start, end, kind in locks.held(changed.start, changed.end):
        length = 0 if end >= OFFSET_MAX else end - start + 1
        try:
            file.file.lock(None if kind == F_UNLCK else kind == F_WRLCK, start, length)
        except HostError as error:
            if error.errno == EAGAIN:
                raise LinuxError(EAGAIN) from None


def _set(file: FileDescription, locks: FileLocks, wanted: Lock) -> None:
    before = locks.records
    locks.set(wanted)
    try:
        _apply_host(file, locks, wanted)
    except LinuxError:
        locks.records = before
        _restore(file, locks, wanted)
        raise
    locks.queue.wake()


def _restore(file: FileDescription, locks: FileLocks, wanted: Lock) -> None:
    try:
        _apply_host(file, locks, wanted)
    except LinuxError:
        pass


# --- fcntl

def _range(task: Task, file: FileDescription, whence: int, start: int, length: int) -> tuple[int, int]:
    """flock64_to_posix_lock: first and last byte.  EINVAL, EOVERFLOW."""
    if whence == SEEK_CUR:
        start += file.offset
    elif whence == SEEK_END:
        start += file.stat(task).size
    elif whence != SEEK_SET:
        raise LinuxError(EINVAL)
    if start > OFFSET_MAX:
        raise LinuxError(EOVERFLOW)
    if start < 0:
        raise LinuxError(EINVAL)
    if length > 0:
        end = start + length - 1
        if end > OFFSET_MAX:
            raise LinuxError(EOVERFLOW)
        return start, end
    if length < 0:
        if start + length < 0:
            raise LinuxError(EINVAL)
        return start + length, start - 1
    return start, OFFSET_MAX


def fcntl_lock(task: Task, file: FileDescription, command: int, arg: int) -> int | Awaitable[int]:
    """fcntl's F_GETLK, F_SETLK, F_SETLKW and the F_OFD_ three.  EFAULT, EINVAL, EBADF, EAGAIN, EDEADLK."""
    kind, whence, start, length, pid = task.mem.unpack(FLOCK, arg)
    is_ofd = command in (F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW)
    if command in (F_GETLK, F_OFD_GETLK):
        if kind not in (F_RDLCK, F_WRLCK) and not (is_ofd and kind == F_UNLCK):
            raise LinuxError(EINVAL)
    first, last = _range(task, file, whence, start, length)
    if kind not in (F_RDLCK, F_WRLCK, F_UNLCK) or (is_ofd and pid):
        raise LinuxError(EINVAL)
    owner = file if is_ofd else task.files
    wanted = Lock(owner, kind, first, last, -1 if is_ofd else task.group.pid)
    if file.inode is None:
        raise LinuxError(ENOLCK)
    key = file.inode.identity(task)
    table = file.lock_table = task.kernel.vfs.locks
    if command in (F_GETLK, F_OFD_GETLK):
        return _get(task, file, table.files.get(key), wanted, arg, (whence, start, length))
    if (kind == F_RDLCK and not file.readable) or (kind == F_WRLCK and not file.writable):
        raise LinuxError(EBADF)
    locks = table.of(key)
    blocker = locks.blocker(wanted) if kind != F_UNLCK else None
    if blocker is None:
        try:
            _set(file, locks, wanted)
            table.forget_if_unused(key)
            return 0
        except LinuxError as error:
            if error.errno != EAGAIN or command not in (F_SETLKW, F_OFD_SETLKW):
                table.forget_if_unused(key)
                raise
    elif command not in (F_SETLKW, F_OFD_SETLKW):
        raise LinuxError(EAGAIN)
    return _wait(task, file, table, key, wanted)


def _get(task: Task, file: FileDescription, locks: FileLocks | None, wanted: Lock, arg: int,
         given: tuple[int, int, int]) -> int:
    blocker = locks.blocker(wanted) if locks is not None else None
    if blocker is None:
        whence, start, length = given
        if isinstance(file, HostDescription) and _host_blocks(file, locks, wanted):
            # The host does not say who or what exactly.
            task.mem.write(arg, FLOCK.pack(F_WRLCK, SEEK_SET, wanted.start,
                                           0 if wanted.end == OFFSET_MAX else wanted.end - wanted.start + 1, 0))
            return 0
        task.mem.write(arg, FLOCK.pack(F_UNLCK, whence, start, length, 0)[:24])
        return 0
    length = 0 if blocker.end == OFFSET_MAX else blocker.end - blocker.start + 1
    task.mem.write(arg, FLOCK.pack(blocker.kind, SEEK_SET, blocker.start, length, blocker.pid))
    return 0


def _host_blocks(file: HostDescription, locks: FileLocks | None, wanted: Lock) -> bool:
    """Whether another host program holds a conflicting lock: by trying, where no guest holds any."""
    if locks is not None and locks.records:
        return False
    if wanted.kind == F_UNLCK or (wanted.kind == F_WRLCK and not file.writable) or not file.readable:
        return False
    trial = FileLocks()
    try:
        _set(file, trial, wanted)
    except LinuxError:
        return True
    _set(file, trial, Lock(wanted.owner, F_UNLCK, wanted.start, wanted.end, 0))
    return False


async def _wait(task: Task, file: FileDescription, table: LockTable, key: tuple[int, int], wanted: Lock) -> int:
    is_posix = wanted.owner is not file
    try:
        while True:
            locks = table.of(key)
            blocker = locks.blocker(wanted)
            deadline = None
            if blocker is None:
                try:
                    _set(file, locks, wanted)
                    return 0
                except LinuxError as error:
                    if error.errno != EAGAIN:
                        raise
                deadline = task.kernel.clock.monotonic() + HOST_RETRY_NS
            elif is_posix:
                if table.deadlock(wanted, blocker):
                    raise LinuxError(EDEADLK)
                table.waiting[wanted.owner] = blocker
            await task.sleep(locks.queue, deadline_ns=deadline)
    finally:
        table.waiting.pop(wanted.owner, None)
        table.forget_if_unused(key)


# --- flock

def flock(task: Task, file: FileDescription, operation: int) -> int | Awaitable[int]:
    """flock(2).  EAGAIN with LOCK_NB, EBADF for O_PATH (the caller's)."""
    kind = operation & ~LOCK_NB
    if file.inode is None:
        raise LinuxError(ENOLCK)
    table = file.lock_table = task.kernel.vfs.locks
    key = file.inode.identity(task)
    locks = table.of(key)
    if kind == LOCK_UN:
        if locks.flocks.pop(file, None) is not None:
            _host_flock(file, None)
            locks.queue.wake()
        table.forget_if_unused(key)
        return 0
    if locks.flocks.get(file) == kind:
        return 0
    if locks.flocks.pop(file, None) is not None:
        # A change of kind is no atomic step: the old lock goes first.
        _host_flock(file, None)
        locks.queue.wake()
    if _try_flock(file, locks, kind):
        return 0
    if operation & LOCK_NB:
        table.forget_if_unused(key)
        raise LinuxError(EAGAIN)
    return _wait_flock(task, file, table, key, kind)


def _host_flock(file: FileDescription, exclusive: bool | None) -> bool:
    """Whether the host agrees."""
    if isinstance(file, HostDescription):
        try:
            file.file.flock(exclusive)
        except HostError as error:
            return error.errno != EAGAIN
    return True


def _blocks(locks: FileLocks, kind: int) -> bool:
    return any(LOCK_EX in (kind, other) for other in locks.flocks.values())


def _try_flock(file: FileDescription, locks: FileLocks, kind: int) -> bool:
    if _blocks(locks, kind) or not _host_flock(file, kind == LOCK_EX):
        return False
    locks.flocks[file] = kind
    return True


async def _wait_flock(task: Task, file: FileDescription, table: LockTable, key: tuple[int, int], kind: int) -> int:
    try:
        while True:
            locks = table.of(key)
            if _try_flock(file, locks, kind):
                return 0
            deadline = None if _blocks(locks, kind) else task.kernel.clock.monotonic() + HOST_RETRY_NS
            await task.sleep(locks.queue, deadline_ns=deadline)
    finally:
        table.forget_if_unused(key)
