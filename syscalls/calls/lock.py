"""flock; the record locks of fcntl are in fs/locks.py."""

from __future__ import annotations

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
    return do_flock(task, task.files.get(fd), operation)
