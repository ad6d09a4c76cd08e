"""pidfd_open, pidfd_send_signal, pidfd_getfd."""

from __future__ import annotations

from syscalls.abi.errno import EBADF, EINVAL, ENOENT, EPERM, ESRCH, LinuxError
from syscalls.calls.descriptors import install
from syscalls.fd import O_NONBLOCK
from syscalls.table import PARTIAL, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import PidfdFlags, PidfdSignalFlags, SigInfoLayout
    from syscalls.table import U32, Fd, Flags, In, Pid, Signal
    from syscalls.task import Task

PIDFD_THREAD = 0o200
PIDFD_SIGNAL_THREAD, PIDFD_SIGNAL_THREAD_GROUP, PIDFD_SIGNAL_PROCESS_GROUP = 1, 2, 4
SI_TKILL = -6
CAP_SYS_PTRACE = 19


@syscall(434, since="5.3", support=PARTIAL("PIDFD_THREAD is refused as by Linux before 6.9"),
         unsupported={"PIDFD_THREAD": PIDFD_THREAD})
def pidfd_open(task: Task, pid: Pid, flags: Flags[PidfdFlags]) -> int:
    from syscalls.pidfd import PidFd
    if flags & ~O_NONBLOCK or pid <= 0:
        raise LinuxError(EINVAL)
    group = task.kernel.groups.get(pid)
    if group is None:
        raise LinuxError(ENOENT if pid in task.kernel.tasks else ESRCH)
    return install(task, PidFd(task, group, flags), True)


@syscall(424, since="5.1")
def pidfd_send_signal(task: Task, fd: Fd, signo: Signal, info: In[SigInfoLayout],
                      flags: Flags[PidfdSignalFlags]) -> int:
    from syscalls.pidfd import signal_target
    from syscalls.siginfo import SigInfo
    from syscalls.signals import check_permission, send_group, send_pgrp, send_task, user_info
    if flags not in (0, PIDFD_SIGNAL_THREAD, PIDFD_SIGNAL_THREAD_GROUP, PIDFD_SIGNAL_PROCESS_GROUP):
        raise LinuxError(EINVAL)
    group = signal_target(task, fd)
    if info:
        details = SigInfo.from_bytes(signo, task.mem.read(info, 128))
        if task.mem.s32(info) != signo:
            raise LinuxError(EINVAL)
        if group is not task.group and (details.code >= 0 or details.code == SI_TKILL):
            raise LinuxError(EPERM)
    else:
        details = user_info(task, signo, SI_TKILL if flags == PIDFD_SIGNAL_THREAD else 0)
    if flags == PIDFD_SIGNAL_PROCESS_GROUP and group.pid not in task.kernel.process_groups:
        raise LinuxError(ESRCH)  # it leads none
    if not 0 <= signo <= 64:
        raise LinuxError(EINVAL)
    if task.kernel.groups.get(group.pid) is not group:
        raise LinuxError(ESRCH)
    check_permission(task, group.leader, signo)
    if not signo:
        return 0
    if flags == PIDFD_SIGNAL_THREAD:
        send_task(group.leader, details)
    elif flags == PIDFD_SIGNAL_PROCESS_GROUP:
        pgrp = task.kernel.process_groups.get(group.pid)
        assert pgrp is not None
        send_pgrp(pgrp, details)
    else:
        send_group(group, details)
    return 0


@syscall(438, since="5.6")
def pidfd_getfd(task: Task, pidfd: Fd, number: Fd, flags: U32) -> int:
    from syscalls.pidfd import PidFd
    if flags:
        raise LinuxError(EINVAL)
    file = task.files.get(pidfd)
    if not isinstance(file, PidFd):
        raise LinuxError(EBADF)
    target = file.group.leader
    if file.reaped() or target.dead:
        raise LinuxError(ESRCH)
    mine, theirs = task.cred, target.cred
    if mine.landlock is not None:
        from syscalls.landlock import may_trace
        if not may_trace(task, target):
            raise LinuxError(EPERM)
    same = (mine.fsuid == theirs.euid == theirs.suid == theirs.uid
            and mine.fsgid == theirs.egid == theirs.sgid == theirs.gid)
    if file.group is not task.group and not same and not mine.capable(CAP_SYS_PTRACE):
        raise LinuxError(EPERM)
    return install(task, target.files.get_raw(number), True)
