"""Resource limits and usage."""

from __future__ import annotations

import struct

from syscalls.abi.errno import EINVAL, EPERM, ESRCH, LinuxError
from syscalls.abi.process import RUSAGE_CHILDREN, RUSAGE_SELF, RUSAGE_THREAD
from syscalls.credentials import CAP_SYS_RESOURCE
from syscalls.table import PARTIAL, syscall
from syscalls.task import RLIM_INFINITY, RLIMIT_CPU, RLIMIT_NOFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import Rlimit, Rusage
    from syscalls.table import S32, U32, In, Out, Pid
    from syscalls.task import Task, ThreadGroup

RLIM_NLIMITS = 16


def _set(task: Task, group: ThreadGroup, resource: int, soft: int, hard: int) -> None:
    """do_prlimit().  EINVAL: soft above hard; EPERM: raising hard without CAP_SYS_RESOURCE."""
    if soft > hard:
        raise LinuxError(EINVAL)
    if resource == RLIMIT_NOFILE and hard > task.kernel.nr_open:
        raise LinuxError(EPERM)
    if hard > group.rlimits[resource][1] and not task.cred.capable(CAP_SYS_RESOURCE):
        raise LinuxError(EPERM)
    group.rlimits[resource] = (soft, hard)
    if resource == RLIMIT_CPU and soft != RLIM_INFINITY:
        group.watches_cpu = True


@syscall(97, needs=("process.rlimits",))
def getrlimit(task: Task, resource: U32, limit: Out[Rlimit]) -> int:
    if resource >= RLIM_NLIMITS:
        raise LinuxError(EINVAL)
    task.mem.write(limit, struct.pack("<QQ", *task.group.rlimits[resource]))
    return 0


@syscall(160)
def setrlimit(task: Task, resource: U32, limit: In[Rlimit]) -> int:
    soft, hard = struct.unpack("<QQ", task.mem.read(limit, 16))
    if resource >= RLIM_NLIMITS:
        raise LinuxError(EINVAL)
    _set(task, task.group, resource, soft, hard)
    return 0


@syscall(302, since="2.6.36", needs=("process.rlimits",))
def prlimit64(task: Task, pid: Pid, resource: U32, new: In[Rlimit], old: Out[Rlimit]) -> int:
    wanted = struct.unpack("<QQ", task.mem.read(new, 16)) if new else None
    target = task
    if pid:
        found = task.kernel.tasks.get(pid)
        if found is None:
            raise LinuxError(ESRCH)
        target = found
    mine, theirs = task.cred, target.cred
    if target is not task and not mine.capable(CAP_SYS_RESOURCE) and not (
            {theirs.euid, theirs.suid, theirs.uid} == {mine.uid}
            and {theirs.egid, theirs.sgid, theirs.gid} == {mine.gid}):
        raise LinuxError(EPERM)
    if resource >= RLIM_NLIMITS:
        raise LinuxError(EINVAL)
    before = target.group.rlimits[resource]
    if wanted is not None:
        _set(task, target.group, resource, wanted[0], wanted[1])
    if old:
        task.mem.write(old, struct.pack("<QQ", *before))
    return 0


@syscall(98, support=PARTIAL("CPU time and the largest resident set; no faults, switches, blocks"),
         needs=("clocks.cpu-time",))
def getrusage(task: Task, who: S32, usage: Out[Rusage]) -> int:
    from syscalls.accounting import (
        group_cpu_ns,
        group_rss_kb,
        group_system_ns,
        pack_rusage,
        task_cpu_ns,
        task_system_ns,
    )
    group = task.group
    if who == RUSAGE_SELF:
        data = pack_rusage(group_cpu_ns(group), group_system_ns(group), group_rss_kb(group))
    elif who == RUSAGE_CHILDREN:
        data = pack_rusage(group.children_cpu_ns, group.children_system_ns, group.children_max_rss_kb)
    elif who == RUSAGE_THREAD:
        data = pack_rusage(task_cpu_ns(task), task_system_ns(task), group_rss_kb(group))
    else:
        raise LinuxError(EINVAL)
    task.mem.write(usage, data)
    return 0
