"""kcmp(2): whether two processes have an object in common (kernel/kcmp.c)."""

from __future__ import annotations

import struct

from syscalls.abi.errno import EBADF, EINVAL, ENOENT, EPERM, ESRCH, LinuxError
from syscalls.credentials import CAP_SYS_PTRACE
from syscalls.table import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.table import S32, U64, Pid
    from syscalls.task import Task

KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM, KCMP_EPOLL_TFD = range(8)


def _order(first: object, second: object) -> int:
    if first is second:
        return 0
    return 1 if id(first) < id(second) else 2


def _may_look(task: Task, target: Task) -> bool:
    mine, theirs = task.cred, target.cred
    if target.group is not task.group and mine.landlock is not None:
        from syscalls.landlock import may_trace
        if not may_trace(task, target):
            return False
    if target.group is task.group or mine.capable(CAP_SYS_PTRACE):
        return True
    return (mine.uid == theirs.euid == theirs.suid == theirs.uid
            and mine.gid == theirs.egid == theirs.sgid == theirs.gid)


def _living(task: Task, held: object) -> object:
    """What a task has; none of it after its end."""
    return None if task.dead else held


@syscall(312, since="3.5")
def kcmp(task: Task, pid1: Pid, pid2: Pid, kind: S32, index1: U64, index2: U64) -> int:
    first, second = task.kernel.tasks.get(pid1), task.kernel.tasks.get(pid2)
    if first is None or second is None:
        raise LinuxError(ESRCH)
    if not _may_look(task, first) or not _may_look(task, second):
        raise LinuxError(EPERM)
    if kind == KCMP_FILE:
        file1, file2 = first.files.files.get(index1), second.files.files.get(index2)
        if file1 is None or file2 is None:
            raise LinuxError(EBADF)
        return _order(file1, file2)
    if kind == KCMP_VM:
        return _order(_living(first, first.mm), _living(second, second.mm))
    if kind == KCMP_FILES:
        return _order(_living(first, first.files), _living(second, second.files))
    if kind == KCMP_FS:
        return _order(_living(first, first.fs), _living(second, second.fs))
    if kind == KCMP_SIGHAND:
        return _order(first.handlers, second.handlers)
    if kind == KCMP_IO:
        return 0
    if kind == KCMP_SYSVSEM:
        return _order(_living(first, first.group.sem_undo), _living(second, second.group.sem_undo))
    if kind == KCMP_EPOLL_TFD:
        return _compare_watched(task, first, second, index1, index2)
    raise LinuxError(EINVAL)


def _compare_watched(task: Task, first: Task, second: Task, fd: int, slot: int) -> int:
    """A descriptor of the one, and what an epoll instance of the other watches under a number: the toff-th description
    that had it (struct kcmp_epoll_slot).  EBADF, EINVAL, ENOENT."""
    epoll_fd, number, skip = struct.unpack("<III", task.mem.read(slot, 12))
    file, epoll = first.files.files.get(fd & 0xFFFFFFFF), second.files.files.get(epoll_fd)
    if file is None or epoll is None:
        raise LinuxError(EBADF)
    from syscalls.epoll import Epoll
    if not isinstance(epoll, Epoll):
        raise LinuxError(EINVAL)
    watched = [each for each, under in epoll.items if under == number]
    if skip >= len(watched):
        raise LinuxError(ENOENT)
    return _order(file, watched[skip])
