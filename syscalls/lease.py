"""File leases: fcntl(F_SETLEASE) (fs/locks.c).

The holder of a lease hears by a signal that somebody wants to open the file in a way that conflicts, and has
`BREAK_NS` to give the lease up or to lower it; the other's open sleeps meanwhile.  Opens by host programs are not seen.
"""

from __future__ import annotations

from syscalls.abi.errno import EACCES, EAGAIN, EINVAL, LinuxError
from syscalls.fasync import F_OWNER_PID, POLL_MSG, send_sigio, set_owner
from syscalls.fs.inode import S_IFMT, S_IFREG
from syscalls.fs.simple import TextDescription
from syscalls.wait import WaitQueue, sleep_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fd import FileDescription
    from syscalls.fs.vfs import Vfs
    from syscalls.kernel import Kernel
    from syscalls.task import Task

    Identity = tuple[int, int]

F_RDLCK, F_WRLCK, F_UNLCK = 0, 1, 2
CAP_LEASE = 28
BREAK_NS = 45_000_000_000
"""/proc/sys/fs/lease-break-time."""
O_ACCMODE, O_RDONLY, O_NONBLOCK = 3, 0, 0o4000


class Lease:
    __slots__ = ("deadline_ns", "fd", "file", "identity", "queue", "target", "type")

    def __init__(self, file: FileDescription, fd: int, identity: Identity, type: int) -> None:
        self.file = file
        self.fd = fd
        self.identity = identity
        self.type = type
        self.target = type
        """What it is to become, while it is being broken."""
        self.deadline_ns = 0
        self.queue = WaitQueue()
        """Opens that wait for it."""

    def conflicts(self, writing: bool) -> bool:
        return self.type == F_WRLCK or writing


def get_lease(file: FileDescription) -> int:
    """F_GETLEASE: what is held, or what it is to become."""
    return F_UNLCK if file.lease is None else file.lease.target


def set_lease(task: Task, fd: int, file: FileDescription, type: int) -> None:
    """F_SETLEASE.  EINVAL, EACCES, EAGAIN (the file is open in a way that conflicts, or there is none to give up)."""
    vfs = task.kernel.vfs
    if type not in (F_UNLCK, F_RDLCK, F_WRLCK):
        raise LinuxError(EINVAL)
    stat = file.stat(task)
    if stat.uid != task.cred.fsuid and not task.cred.capable(CAP_LEASE):
        raise LinuxError(EACCES)
    if stat.mode & S_IFMT != S_IFREG:
        raise LinuxError(EINVAL)
    if type == F_UNLCK:
        if file.lease is None:
            raise LinuxError(EAGAIN)
        drop_lease(vfs, file)
        return
    assert file.inode is not None
    identity = file.inode.identity(task)
    _check_open(task.kernel, task, file, identity, type)
    leases = vfs.leases.get(identity, [])
    for other in leases:
        if other.file is not file and (type == F_WRLCK or other.target != other.type):
            raise LinuxError(EAGAIN)
    mine = file.lease
    if mine is not None and mine.target == F_UNLCK:
        # A writer waits already, which counts as one that has the file open.
        raise LinuxError(EAGAIN)
    if mine is None:
        mine = file.lease = Lease(file, fd, identity, type)
        vfs.leases.setdefault(identity, []).append(mine)
        set_owner(task, file, F_OWNER_PID, task.group.pid)
    else:
        mine.type = mine.target = type
        mine.queue.wake()


def _check_open(kernel: Kernel, task: Task, file: FileDescription, identity: Identity, type: int) -> None:
    """check_conflicting_open: a read lease needs that nobody writes, a write lease that nobody else has it open.  What
    was never opened for writing, as the descriptor that memfd_create makes, does not count as a writer."""
    writers = kernel.vfs.writers
    if type == F_WRLCK and file.writable and file not in writers and file.kind != "mqueue":
        raise LinuxError(EAGAIN)
    seen: set[int] = set()
    for table in {id(other.files): other.files for other in kernel.tasks.values() if not other.dead}.values():
        for other in table.files.values():
            if id(other) in seen or other.kind not in ("file", "mqueue") or other.inode is None:
                continue
            seen.add(id(other))
            is_writer = other in writers or (other.writable and (other.kind == "mqueue" or isinstance(
                other, TextDescription)))
            if not is_writer and (type == F_RDLCK or other.writable):
                continue
            if type == F_WRLCK and other is file:
                continue
            if other.inode.identity(task) == identity:
                raise LinuxError(EAGAIN)


def drop_lease(vfs: Vfs, file: FileDescription) -> None:
    """Given up, broken by force, or the description is gone."""
    lease, file.lease = file.lease, None
    if lease is None:
        return
    leases = vfs.leases.get(lease.identity, [])
    if lease in leases:
        leases.remove(lease)
        if not leases:
            del vfs.leases[lease.identity]
    lease.queue.wake()


async def break_leases(task: Task, identity: Identity, flags: int) -> None:
    """Before an open or a truncation: tell the holders whose leases conflict, and wait for them.  EAGAIN with
    O_NONBLOCK; Interrupted."""
    kernel = task.kernel
    vfs = kernel.vfs
    writing = flags & O_ACCMODE != O_RDONLY
    while True:
        conflicting = [lease for lease in vfs.leases.get(identity, ()) if lease.conflicts(writing)]
        if not conflicting:
            return
        now = kernel.clock.monotonic()
        for lease in conflicting:
            target = F_UNLCK if writing else F_RDLCK
            if lease.target == lease.type or (target == F_UNLCK and lease.target == F_RDLCK):
                first = lease.target == lease.type
                lease.target = target
                if first:
                    lease.deadline_ns = now + BREAK_NS
                    send_sigio(kernel, lease.file, lease.fd, POLL_MSG)
        if flags & O_NONBLOCK:
            raise LinuxError(EAGAIN)
        lease = conflicting[0]
        if lease.deadline_ns <= now or not await sleep_on(task, [(lease.queue, -1)], lease.deadline_ns):
            # The time is up: it becomes what it was to become.
            if lease.target == F_UNLCK:
                drop_lease(vfs, lease.file)
            else:
                lease.type = lease.target
                lease.queue.wake()
