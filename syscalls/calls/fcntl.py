"""fcntl (fs/fcntl.c): one small function a command, in a table."""

from __future__ import annotations

import struct

from syscalls.abi.errno import EBADF, EINVAL, ENOTDIR, EPERM, LinuxError
from syscalls.calls.descriptors import install
from syscalls.fd import O_APPEND, O_NONBLOCK, O_PATH
from syscalls.table import PARTIAL, syscall
from syscalls.task import RLIMIT_NOFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from syscalls.fd import FileDescription
    from syscalls.pipe import Pipe
    from syscalls.table import U32, U64, Fd
    from syscalls.task import Task

    Command = Callable[[Task, int, FileDescription, int], int | Awaitable[int]]

(F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_SETOWN, F_GETOWN, F_SETSIG,
 F_GETSIG) = range(12)
F_SETOWN_EX, F_GETOWN_EX, F_GETOWNER_UIDS = 15, 16, 17
F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW = 36, 37, 38
F_SETLEASE, F_GETLEASE, F_NOTIFY = 1024, 1025, 1026
F_DUPFD_QUERY, F_CREATED_QUERY, F_CANCELLK, F_DUPFD_CLOEXEC = 1027, 1028, 1029, 1030
F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS = 1031, 1032, 1033, 1034
F_GET_RW_HINT, F_SET_RW_HINT, F_GET_FILE_RW_HINT, F_SET_FILE_RW_HINT = 1035, 1036, 1037, 1038

FD_CLOEXEC = 1
DN_MULTISHOT = 1 << 31
O_ASYNC, O_DIRECT, O_NOATIME = 0o20000, 0o40000, 0o1000000
SETTABLE = O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME
CAP_FOWNER = 3
NSIG = 64
_OWNER = struct.Struct("<ii")


def _dupfd(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    return _dup(task, file, arg, False)


def _dupfd_cloexec(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    return _dup(task, file, arg, True)


def _dup(task: Task, file: FileDescription, lowest: int, cloexec: bool) -> int:
    lowest &= 0xFFFFFFFF
    if lowest >= task.group.soft_limit(RLIMIT_NOFILE):
        raise LinuxError(EINVAL)
    return install(task, file, cloexec, lowest)


def _dupfd_query(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    return int(task.files.get_raw(arg & 0xFFFFFFFF) is file)


def _created_query(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    return int(file.created)


def _getfd(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    return FD_CLOEXEC if fd in task.files.cloexec else 0


def _setfd(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    if arg & FD_CLOEXEC:
        task.files.cloexec.add(fd)
    else:
        task.files.cloexec.discard(fd)
    return 0


def _getfl(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    return file.flags


def _setfl(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    """setfl().  EPERM: O_APPEND taken from an append-only file; O_NOATIME needs the owner."""
    if (arg ^ file.flags) & O_APPEND and file.inode is not None and file.inode.append_only:
        raise LinuxError(EPERM)
    if arg & O_NOATIME and not file.flags & O_NOATIME and file.inode is not None:
        if task.cred.fsuid != file.stat(task).uid and not task.cred.capable(CAP_FOWNER):
            raise LinuxError(EPERM)
    if arg & O_DIRECT and not file.flags & O_DIRECT and (
            file.kind not in ("file", "pipe") or not file.direct_io):
        raise LinuxError(EINVAL)
    settable = SETTABLE
    if not file.pollable or file.kind in NO_FASYNC:
        settable &= ~O_ASYNC
    flags = file.flags & ~settable | arg & settable
    if flags & O_ASYNC or file.sigio is not None:
        from syscalls.fasync import switch
        switch(task, file, fd, bool(flags & O_ASYNC))
    file.set_flags(task, flags)
    return 0


NO_FASYNC = ("eventfd", "eventpoll", "epoll", "mqueue", "timerfd", "signalfd", "pidfd")
"""Kinds that can be polled but have no fasync operation: they ignore O_ASYNC."""


# --- owners and signals

def _setown(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    from syscalls.fasync import set_owner_number
    set_owner_number(task, file, (arg & 0xFFFFFFFF ^ 0x80000000) - 0x80000000)
    return 0


def _getown(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    from syscalls.fasync import owner_number
    return owner_number(task.kernel, file)


def _setown_ex(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    from syscalls.fasync import F_OWNER_PGRP, F_OWNER_TID, check_number, set_owner
    type, who = task.mem.unpack(_OWNER, arg)
    if not F_OWNER_TID <= type <= F_OWNER_PGRP:
        raise LinuxError(EINVAL)
    check_number(task.kernel, who)
    set_owner(task, file, type, who)
    return 0


def _getown_ex(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    from syscalls.fasync import living_owner
    owner = file.owner_record
    task.mem.write(arg, _OWNER.pack(owner.type, living_owner(task.kernel, owner)) if owner else bytes(_OWNER.size))
    return 0


def _getowner_uids(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    cred = file.owner_record.cred if file.owner_record is not None else None
    task.mem.write(arg, struct.pack("<II", cred.uid, cred.euid) if cred is not None else bytes(8))
    return 0


def _setsig(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    signo = arg & 0xFFFFFFFF
    if signo > NSIG:
        raise LinuxError(EINVAL)
    file.owner_signal = signo
    return 0


def _getsig(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    return file.owner_signal


# --- locks

def _lock(command: int) -> Command:
    def run(task: Task, fd: int, file: FileDescription, arg: int) -> int | Awaitable[int]:
        from syscalls.fs.locks import fcntl_lock
        return fcntl_lock(task, file, command, arg)
    return run


def _getlease(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    from syscalls.lease import get_lease
    return get_lease(file)


def _setlease(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    from syscalls.lease import set_lease
    set_lease(task, fd, file, (arg & 0xFFFFFFFF ^ 0x80000000) - 0x80000000)
    return 0


def _notify(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    if file.kind != "directory":
        if not arg & ~DN_MULTISHOT & 0xFFFFFFFF:
            return 0  # the end of a watch, where none can be
        raise LinuxError(ENOTDIR)
    from syscalls.inotify import directory_notify
    directory_notify(task, fd, file, arg & 0xFFFFFFFF)
    return 0


# --- pipes, seals, hints

def _pipe_of(file: FileDescription) -> Pipe:
    pipe: Pipe | None = getattr(file, "pipe", None)
    if pipe is None:
        raise LinuxError(EBADF)
    return pipe


def _setpipe_size(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    return _pipe_of(file).resize(task, arg & 0xFFFFFFFF)


def _getpipe_size(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    return _pipe_of(file).max_slots * 4096


def _get_seals(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    seals: int | None = getattr(file.inode, "seals", None)
    if seals is None:
        raise LinuxError(EINVAL)
    return seals


def _add_seals(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    """memfd_add_seals: what may be sealed is the inode's knowledge (writable mappings: EBUSY)."""
    if not file.writable:
        raise LinuxError(EPERM)
    if getattr(file.inode, "seals", None) is None:
        raise LinuxError(EINVAL)
    file.inode.add_seals(task, arg & 0xFFFFFFFF)  # type: ignore[union-attr]
    return 0


def _get_hint(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    task.mem.put_u64(arg, getattr(file.inode, "write_hint", 0))
    return 0


def _set_hint(task: Task, fd: int, file: FileDescription, arg: int) -> int:
    from syscalls.fs.permission import owner_or_capable
    if file.inode is not None and not owner_or_capable(task, file.inode):
        raise LinuxError(EPERM)
    if task.mem.u64(arg) > 5:
        raise LinuxError(EINVAL)
    return 0


COMMANDS: dict[int, Command] = {
    F_DUPFD: _dupfd, F_DUPFD_CLOEXEC: _dupfd_cloexec, F_DUPFD_QUERY: _dupfd_query, F_CREATED_QUERY: _created_query,
    F_GETFD: _getfd, F_SETFD: _setfd, F_GETFL: _getfl, F_SETFL: _setfl,
    F_GETLK: _lock(F_GETLK), F_SETLK: _lock(F_SETLK), F_SETLKW: _lock(F_SETLKW),
    F_OFD_GETLK: _lock(F_OFD_GETLK), F_OFD_SETLK: _lock(F_OFD_SETLK), F_OFD_SETLKW: _lock(F_OFD_SETLKW),
    F_SETOWN: _setown, F_GETOWN: _getown, F_SETOWN_EX: _setown_ex, F_GETOWN_EX: _getown_ex,
    F_GETOWNER_UIDS: _getowner_uids, F_SETSIG: _setsig, F_GETSIG: _getsig,
    F_GETLEASE: _getlease, F_SETLEASE: _setlease, F_NOTIFY: _notify,
    F_SETPIPE_SZ: _setpipe_size, F_GETPIPE_SZ: _getpipe_size, F_GET_SEALS: _get_seals, F_ADD_SEALS: _add_seals,
    F_GET_RW_HINT: _get_hint, F_SET_RW_HINT: _set_hint,
}
OF_PATHS = (F_CREATED_QUERY, F_DUPFD, F_DUPFD_CLOEXEC, F_DUPFD_QUERY, F_GETFD, F_SETFD, F_GETFL)
"""Commands that an O_PATH descriptor has (check_fcntl_cmd)."""


@syscall(72, support=PARTIAL("leases do not see host programs; write-life hints are checked and forgotten"),
         needs=("poll.readiness", "files.record-lock"))
def fcntl(task: Task, fd: Fd, command: U32, arg: U64) -> int | Awaitable[int]:
    file = task.files.get_raw(fd)
    if file.flags & O_PATH and command not in OF_PATHS:
        raise LinuxError(EBADF)
    run = COMMANDS.get(command)
    if run is None:
        task.kernel.gap(task, "fcntl", command)
        raise LinuxError(EINVAL)
    return run(task, fd, file, arg)
