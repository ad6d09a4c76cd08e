"""flock; the record locks of fcntl are in fs/locks.py."""

from __future__ import annotations

from syscalls.abi.errno import EBADF, EINVAL, LinuxError
from syscalls.abi.fs import LOCK_EX, LOCK_MAND, LOCK_NB, LOCK_SH, LOCK_UN
from syscalls.table import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

    from syscalls.abi.kinds import FlockOperation
    from syscalls.table import Fd, Flags
    from syscalls.task import Task


@syscall(73, needs=("files.flock",))
def flock(task: Task, fd: Fd, operation: Flags[FlockOperation]) -> int | Awaitable[int]:
    from syscalls.fs.locks import flock as do_flock
    if operation & LOCK_MAND:
        return 0  # mandatory locks of files that are open: ignored for good, before anything is looked at
    kind = operation & ~LOCK_NB
    if kind not in (LOCK_SH, LOCK_EX, LOCK_UN):
        raise LinuxError(EINVAL)
    file = task.files.get(fd)
    if kind != LOCK_UN and file.flags & 3 == 3:
        raise LinuxError(EBADF)  # neither to read nor to write
    return do_flock(task, file, operation)
