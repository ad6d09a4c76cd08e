"""Scheduling: policies, priorities, affinity.  The settings are kept and told; the scheduler itself is round robin with
slices by niceness."""

from __future__ import annotations

import struct

from syscalls.abi.errno import E2BIG, EACCES, EINVAL, EPERM, ESRCH, LinuxError
from syscalls.abi.process import (
    SCHED_BATCH,
    SCHED_DEADLINE,
    SCHED_FIFO,
    SCHED_IDLE,
    SCHED_OTHER,
    SCHED_RESET_ON_FORK,
    SCHED_RR,
)
from syscalls.abi.time import write_timespec
from syscalls.credentials import CAP_SYS_NICE
from syscalls.ioprio import check_priority, effective
from syscalls.table import FAKE, PARTIAL, syscall
from syscalls.task import RLIMIT_NICE, RLIMIT_RTPRIO
from syscalls.wait import leave_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from typing import Any

    from syscalls.abi.kinds import SchedAttr, SchedParam, Timespec
    from syscalls.table import S32, U32, U64, In, Out, Pid
    from syscalls.task import Task

KEPT = FAKE("kept and told back; tasks run in turn, for slices that depend on niceness only")
REALTIME = (SCHED_FIFO, SCHED_RR)
SCHED_EXT = 7
"""A policy by BPF programs, since 6.12: its priorities can be asked for, and no task can have it here."""
POLICIES = (SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, SCHED_DEADLINE)
FAIR = (SCHED_OTHER, SCHED_BATCH)
"""The policies for which nice says something."""
RR_INTERVAL_NS, FAIR_SLICE_NS = 100_000_000, 10_000_000


async def _yield(task: Task) -> int:
    await leave_engine(task)
    return 0


@syscall(24)
def sched_yield(task: Task) -> int | Coroutine[Any, Any, int]:
    return _yield(task) if task.kernel.ready else 0


def find_task(task: Task, pid: int) -> Task:
    """By thread id, 0 for the caller.  EINVAL, ESRCH."""
    if pid < 0:
        raise LinuxError(EINVAL)
    if not pid:
        return task
    found = task.kernel.tasks.get(pid)
    if found is None:
        raise LinuxError(ESRCH)
    return found


def _same_owner(task: Task, target: Task) -> bool:
    return task.cred.euid in (target.cred.euid, target.cred.uid)


# --- policy


def _set_policy(task: Task, target: Task, policy: int, priority: int, reset_on_fork: bool,
                nice: int | None = None, deadline: tuple[int, int, int] = (0, 0, 0)) -> None:
    """__sched_setscheduler().  EINVAL, EPERM."""
    if policy not in POLICIES:
        raise LinuxError(EINVAL)
    if not (1 <= priority <= 99 if policy in REALTIME else priority == 0):
        raise LinuxError(EINVAL)
    if policy == SCHED_DEADLINE and not _valid_deadline(deadline):
        raise LinuxError(EINVAL)
    if not task.cred.capable(CAP_SYS_NICE):
        if policy == SCHED_DEADLINE:
            raise LinuxError(EPERM)
        if policy in REALTIME:
            limit = target.group.soft_limit(RLIMIT_RTPRIO)
            if (policy != target.sched_policy and not limit) or (
                    priority > target.sched_priority and priority > limit):
                raise LinuxError(EPERM)
        elif policy in FAIR and nice is not None and nice < target.nice and (
                nice < 20 - target.group.soft_limit(RLIMIT_NICE)):
            raise LinuxError(EPERM)
        if target.sched_policy == SCHED_IDLE and policy != SCHED_IDLE and (
                target.nice < 20 - target.group.soft_limit(RLIMIT_NICE)):
            raise LinuxError(EPERM)
        if not _same_owner(task, target) or (target.sched_reset_on_fork and not reset_on_fork):
            raise LinuxError(EPERM)
    target.sched_policy = policy
    target.sched_priority = priority
    target.sched_deadline = deadline
    target.sched_reset_on_fork = reset_on_fork
    if nice is not None and policy in FAIR:
        target.nice = max(-20, min(19, nice))


def _valid_deadline(times: tuple[int, int, int]) -> bool:
    """__checkparam_dl(): runtime, deadline and period in ns; at least 1 us, and in that order."""
    runtime, deadline, period = times
    return bool(deadline) and runtime >= 1024 and max(deadline, period) < 1 << 63 and runtime <= deadline <= (
        period or deadline)


@syscall(142, support=KEPT)
def sched_setparam(task: Task, pid: Pid, param: In[SchedParam]) -> int:
    if not param or pid < 0:
        raise LinuxError(EINVAL)
    priority = task.mem.s32(param)
    target = find_task(task, pid)
    _set_policy(task, target, target.sched_policy, priority, target.sched_reset_on_fork)
    return 0


@syscall(143)
def sched_getparam(task: Task, pid: Pid, param: Out[SchedParam]) -> int:
    if not param or pid < 0:
        raise LinuxError(EINVAL)
    target = find_task(task, pid)
    task.mem.put_u32(param, target.sched_priority)
    return 0


@syscall(144, support=KEPT)
def sched_setscheduler(task: Task, pid: Pid, policy: S32, param: In[SchedParam]) -> int:
    if policy < 0 or not param or pid < 0:
        raise LinuxError(EINVAL)
    priority = task.mem.s32(param)
    target = find_task(task, pid)
    _set_policy(task, target, policy & ~SCHED_RESET_ON_FORK, priority, bool(policy & SCHED_RESET_ON_FORK))
    return 0


@syscall(145)
def sched_getscheduler(task: Task, pid: Pid) -> int:
    target = find_task(task, pid)
    return target.sched_policy | (SCHED_RESET_ON_FORK if target.sched_reset_on_fork else 0)


@syscall(146)
def sched_get_priority_max(task: Task, policy: S32) -> int:
    if policy not in POLICIES and policy != SCHED_EXT:
        raise LinuxError(EINVAL)
    return 99 if policy in REALTIME else 0


@syscall(147)
def sched_get_priority_min(task: Task, policy: S32) -> int:
    if policy not in POLICIES and policy != SCHED_EXT:
        raise LinuxError(EINVAL)
    return 1 if policy in REALTIME else 0


@syscall(148)
def sched_rr_get_interval(task: Task, pid: Pid, interval: Out[Timespec]) -> int:
    target = find_task(task, pid)
    slice_ns = {SCHED_FIFO: 0, SCHED_RR: RR_INTERVAL_NS}.get(target.sched_policy, FAIR_SLICE_NS)
    write_timespec(task, interval, slice_ns)
    return 0


# struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period, util_min, util_max.
_ATTR = struct.Struct("<IIQiIQQQII")
ATTR_VER0, ATTR_VER1 = 48, 56
FLAG_RESET_ON_FORK, FLAG_KEEP_POLICY, FLAG_KEEP_PARAMS = 1, 8, 16
ATTR_FLAGS = 0x7F


def _too_big(task: Task, attr: int) -> LinuxError:
    """E2BIG, with the size that is known put there, if that can be."""
    try:
        task.mem.put_u32(attr, ATTR_VER1)
    except LinuxError:
        pass
    return LinuxError(E2BIG)


@syscall(314, since="3.14", support=KEPT)
def sched_setattr(task: Task, pid: Pid, attr: In[SchedAttr], flags: U32) -> int:
    if not attr or pid < 0 or flags:
        raise LinuxError(EINVAL)
    size = task.mem.u32(attr) or ATTR_VER0
    if not ATTR_VER0 <= size <= 4096:
        raise _too_big(task, attr)
    raw = task.mem.read(attr, size)
    if any(raw[ATTR_VER1:]):
        raise _too_big(task, attr)
    _, policy, wanted, nice, priority, *deadline, _, _ = _ATTR.unpack(raw[:ATTR_VER1].ljust(ATTR_VER1, b"\0"))
    if policy >= 1 << 31:
        raise LinuxError(EINVAL)
    target = find_task(task, pid)
    reset_on_fork = bool(wanted & FLAG_RESET_ON_FORK)
    if wanted & FLAG_KEEP_POLICY:
        policy, reset_on_fork = target.sched_policy, target.sched_reset_on_fork
    if wanted & FLAG_KEEP_PARAMS:  # those that count now (get_params)
        if target.sched_policy == SCHED_DEADLINE:
            deadline = list(target.sched_deadline)
        elif target.sched_policy in REALTIME:
            priority = target.sched_priority
        else:
            nice = target.nice
    if wanted & ~ATTR_FLAGS:
        raise LinuxError(EINVAL)
    _set_policy(task, target, policy, priority, reset_on_fork, nice,
                (deadline[0], deadline[1], deadline[2] or deadline[1]))
    return 0


@syscall(315, since="3.14")
def sched_getattr(task: Task, pid: Pid, attr: Out[SchedAttr], size: U32, flags: U32) -> int:
    if not attr or pid < 0 or not ATTR_VER0 <= size <= 4096 or flags:
        raise LinuxError(EINVAL)
    target = find_task(task, pid)
    used = min(size, ATTR_VER1)
    times = target.sched_deadline
    if target.sched_policy not in (*REALTIME, SCHED_DEADLINE):
        times = (2_800_000, 0, 0)
    data = _ATTR.pack(used, target.sched_policy, FLAG_RESET_ON_FORK if target.sched_reset_on_fork else 0,
                      0 if target.sched_policy in REALTIME else target.nice, target.sched_priority, *times, 0, 1024)
    task.mem.write(attr, data[:used].ljust(size, b"\0"))
    return 0


# --- affinity


def _possible(task: Task) -> int:
    """The mask of the CPUs there are."""
    return (1 << task.kernel.host.cpus()) - 1


@syscall(203, support=PARTIAL("on the unicorn engine kept and told back: all guest code runs on one virtual CPU"))
def sched_setaffinity(task: Task, pid: Pid, length: U32, mask: In[U64]) -> int:
    raw = task.mem.read(mask, min(length, 1024))
    target = find_task(task, pid) if pid >= 0 else None
    if target is None:
        raise LinuxError(ESRCH)
    if not _same_owner(task, target) and not task.cred.capable(CAP_SYS_NICE):
        raise LinuxError(EPERM)
    wanted = int.from_bytes(raw, "little") & _possible(task)
    if not wanted:
        raise LinuxError(EINVAL)
    target.affinity = wanted.to_bytes(128, "little")
    target.cpu.allow({number for number in range(wanted.bit_length()) if wanted >> number & 1})
    if not wanted >> target.cpu_number & 1:
        # One task runs at a time, so that each may believe to be on a CPU it has chosen.
        target.cpu_number = (wanted & -wanted).bit_length() - 1
        if target.rseq and not target.rseq_by_host:
            from syscalls.rseq import preempted, write_ids
            preempted(target)
            write_ids(target)
    return 0


@syscall(204, needs=("machine.memory",))
def sched_getaffinity(task: Task, pid: Pid, length: U32, mask: Out[U64]) -> int:
    cpus = task.kernel.host.cpus()
    if length * 8 < cpus or length & 7:
        raise LinuxError(EINVAL)
    if pid < 0:
        raise LinuxError(ESRCH)
    target = find_task(task, pid)
    current = target.affinity or _possible(task).to_bytes(128, "little")
    # The kernel's own mask is as long as the CPUs it was built for, in words.
    size = min(length, (cpus + 63) // 64 * 8)
    task.mem.write(mask, current[:size])
    return size


# --- nice values

PRIO_PROCESS, PRIO_PGRP, PRIO_USER = 0, 1, 2


def _by_priority(task: Task, which: int, who: int) -> Iterable[Task]:
    kernel = task.kernel
    if which == PRIO_PROCESS:
        found = kernel.tasks.get(who) if who else task
        return [found] if found is not None else []
    if which == PRIO_PGRP:
        pgrp = kernel.process_groups.get(who) if who else task.group.pgrp
        return [thread for group in pgrp.members for thread in group.tasks.values()] if pgrp is not None else []
    uid = who & 0xFFFFFFFF if who else task.cred.uid
    return [thread for thread in kernel.tasks.values() if thread.cred.uid == uid]


@syscall(140)
def getpriority(task: Task, which: S32, who: S32) -> int:
    if not PRIO_PROCESS <= which <= PRIO_USER:
        raise LinuxError(EINVAL)
    # As 20 - nice, so that it is never negative.
    values = [20 - thread.nice for thread in _by_priority(task, which, who)]
    if not values:
        raise LinuxError(ESRCH)
    return max(values)


@syscall(141, support=KEPT)
def setpriority(task: Task, which: S32, who: S32, nice: S32) -> int:
    if not PRIO_PROCESS <= which <= PRIO_USER:
        raise LinuxError(EINVAL)
    nice = max(-20, min(19, nice))
    error = ESRCH
    for target in _by_priority(task, which, who):
        if not (task.cred.uid == target.cred.uid or task.cred.euid in (target.cred.uid, target.cred.euid)
                or task.cred.capable(CAP_SYS_NICE)):
            error = EPERM
        elif nice < target.nice and not task.cred.capable(CAP_SYS_NICE) and (
                20 - nice > target.group.soft_limit(RLIMIT_NICE)):
            error = EACCES
        else:
            if error == ESRCH:
                error = 0
            target.nice = nice
    if error:
        raise LinuxError(error)
    return 0


IOPRIO_WHO_PROCESS, IOPRIO_WHO_PGRP, IOPRIO_WHO_USER = 1, 2, 3


@syscall(251, since="2.6.13", support=FAKE("kept and told back; the host schedules the disks"))
def ioprio_set(task: Task, which: S32, who: S32, priority: S32) -> int:
    check_priority(task, priority)
    if not IOPRIO_WHO_PROCESS <= which <= IOPRIO_WHO_USER:
        raise LinuxError(EINVAL)
    targets = list(_by_priority(task, which - 1, who))
    if not targets:
        raise LinuxError(ESRCH)
    for target in targets:
        if target.cred.uid not in (task.cred.euid, task.cred.uid) and not task.cred.capable(CAP_SYS_NICE):
            raise LinuxError(EPERM)
        target.ioprio = priority & 0xFFFF
    return 0


@syscall(252, since="2.6.13")
def ioprio_get(task: Task, which: S32, who: S32) -> int:
    if not IOPRIO_WHO_PROCESS <= which <= IOPRIO_WHO_USER:
        raise LinuxError(EINVAL)
    targets = list(_by_priority(task, which - 1, who))
    if not targets:
        raise LinuxError(ESRCH)
    if which == IOPRIO_WHO_PROCESS:
        return targets[0].ioprio
    return min(effective(target) for target in targets)
