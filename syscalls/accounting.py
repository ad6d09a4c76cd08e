"""CPU time and resource use of tasks and processes."""

from __future__ import annotations

from syscalls.abi.process import RUSAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task, ThreadGroup


def task_cpu_ns(task: Task) -> int:
    """CPU time of a thread until now."""
    kernel = task.kernel
    spent = task.cpu_ns
    if task is kernel.current and kernel.slice_start:
        spent += kernel.clock.monotonic() - kernel.slice_start
    return spent


def group_cpu_ns(group: ThreadGroup) -> int:
    """CPU time of a process: its threads, ended ones included."""
    return group.dead_cpu_ns + sum(task_cpu_ns(task) for task in group.tasks.values())


def pack_rusage(cpu_ns: int, max_rss_kb: int) -> bytes:
    """struct rusage.  System time is not told apart from user time, and faults are not counted."""
    return RUSAGE.pack(cpu_ns // 1_000_000_000, cpu_ns % 1_000_000_000 // 1000, 0, 0, max_rss_kb, *[0] * 13)


def group_rss_kb(group: ThreadGroup) -> int:
    leader = group.leader
    mm = getattr(leader, "mm", None)
    if mm is None or group.ended:
        return group.max_rss_kb
    group.max_rss_kb = max(group.max_rss_kb, mm.space.rss_pages() * 4)
    return group.max_rss_kb
