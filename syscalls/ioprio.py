"""Priorities of input and output (block/ioprio.c): a class in the upper three bits of sixteen, and a level."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EPERM, LinuxError
from syscalls.abi.process import SCHED_DEADLINE, SCHED_FIFO, SCHED_IDLE, SCHED_RR
from syscalls.credentials import CAP_SYS_ADMIN, CAP_SYS_NICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

IOPRIO_CLASS_NONE, IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE = range(4)


def check_priority(task: Task, priority: int) -> None:
    """ioprio_check_cap: EPERM for a real-time priority without the capability, EINVAL for what is no class."""
    kind, level = priority >> 13 & 7, priority & 7
    if kind == IOPRIO_CLASS_RT:
        if not task.cred.capable(CAP_SYS_ADMIN) and not task.cred.capable(CAP_SYS_NICE):
            raise LinuxError(EPERM)
    elif kind > IOPRIO_CLASS_IDLE or (kind == IOPRIO_CLASS_NONE and level):
        raise LinuxError(EINVAL)


def effective(target: Task) -> int:
    """__get_task_ioprio: what was not set follows policy and nice."""
    if target.ioprio >> 13:
        return target.ioprio
    policy = target.sched_policy
    kind = (IOPRIO_CLASS_IDLE if policy == SCHED_IDLE
            else IOPRIO_CLASS_RT if policy in (SCHED_FIFO, SCHED_RR, SCHED_DEADLINE) else IOPRIO_CLASS_BE)
    return kind << 13 | (target.nice + 20) // 5
