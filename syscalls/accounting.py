"""CPU time and resource use of tasks and processes."""

from __future__ import annotations

from syscalls.abi.process import RUSAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task, ThreadGroup


def task_cpu_ns(task: Task) -> int:
    """CPU time of a thread until now."""
    if task.dead:
        return task.cpu_ns
    own = task.cpu.time_ns()
    if own >= 0:
        return own + task.system_ns
    kernel = task.kernel
    spent = task.cpu_ns
    if task is kernel.current and kernel.slice_start:
        spent += kernel.clock.monotonic() - kernel.slice_start
    return spent


def group_cpu_ns(group: ThreadGroup) -> int:
    """CPU time of a process: its threads, ended ones included."""
    return group.dead_cpu_ns + sum(task_cpu_ns(task) for task in group.tasks.values())


def task_system_ns(task: Task) -> int:
    """The part of a thread's CPU time that it spent in system calls."""
    return min(task.system_ns, task_cpu_ns(task))


def group_system_ns(group: ThreadGroup) -> int:
    return group.dead_system_ns + sum(task_system_ns(task) for task in group.tasks.values())


def pack_rusage(cpu_ns: int, system_ns: int, max_rss_kb: int) -> bytes:
    """struct rusage.  Faults, switches and disk blocks are not counted."""
    user_ns = cpu_ns - system_ns
    return RUSAGE.pack(user_ns // 1_000_000_000, user_ns % 1_000_000_000 // 1000,
                       system_ns // 1_000_000_000, system_ns % 1_000_000_000 // 1000, max_rss_kb, *[0] * 13)


def group_rss_kb(group: ThreadGroup) -> int:
    leader = group.leader
    mm = getattr(leader, "mm", None)
    if mm is None or group.ended:
        return group.max_rss_kb
    group.max_rss_kb = max(group.max_rss_kb, mm.space.rss_pages() * 4)
    return group.max_rss_kb
