"""How tasks end: exit, zombies, reaping, orphans, and threads that end for another's execve.

Mirrors kernel/exit.c.  A thread that is not the leader disappears at once; a leader stays as a zombie until its
process is reaped by `wait` (calls/process.py) or right here, when nobody will wait for it.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, LinuxError
from syscalls.abi.signal import SIGCHLD
from syscalls.accounting import group_rss_kb, task_cpu_ns, task_system_ns
from syscalls.job import kill_orphaned, leave_pgrp, notify_parent_of_exit, notify_parent_of_stop
from syscalls.siginfo import SigInfo
from syscalls.signals import kill_task, live_tasks, recalc, send_group
from syscalls.task import DEAD, ZOMBIE
from syscalls.wait import WaitQueue, sleep_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task, ThreadGroup


def exit_group(group: ThreadGroup, status: int) -> None:
    """Start the end of a process: every thread ends when it next looks (do_group_exit).  `status` is a wait status.
    A caller that is one of its threads goes on to exit_task."""
    if group.exiting:
        return
    group.exiting = True
    group.group_exit_code = status
    group.signals.stop_signal = 0
    group.signals.stop_count = 0
    group.signals.stopped = False
    for task in live_tasks(group):
        kill_task(task)


def exit_task(task: Task, status: int) -> None:
    """End one thread (do_exit).  Not to be called while the engine runs its code: see wait.leave_engine."""
    if task.dead:
        return
    group = task.group
    kernel = task.kernel
    if group.exiting:
        status = group.group_exit_code
    _leave_stop(task)
    last = all(other is task or other.dead for other in group.tasks.values())
    if last:
        if group.timers is not None:
            group.timers.cancel_all()
            group.timers = None
        group_rss_kb(group)
    if task.coroutine is not None and kernel.current is not task:
        task.coroutine.close()
    task.coroutine = None
    task.cpu_ns = task_cpu_ns(task)
    task.dead = True
    task.sigpending = False
    _retarget(task)
    release_mm(task)
    task.mm.drop()
    task.files.drop(task)
    task.fs.drop()
    task.handlers.sharers -= 1
    if last:
        from syscalls.ctty import leader_exits
        leader_exits(task)
    if group.tracees:
        from syscalls.ptrace import tracer_exits
        tracer_exits(task)
    task.signals.pending.flush(task, -1)
    kernel.dead_cpus.append(task.cpu)
    if task.tracing is not None and task is not group.leader:
        from syscalls.ptrace import tracee_ended
        tracee_ended(task, status)
    if task is group.leader:
        task.state = ZOMBIE
        if not group.exiting:
            group.exit_status = status
    else:
        task.state = DEAD
        group.dead_system_ns += task_system_ns(task)
        group.dead_cpu_ns += task.cpu_ns
        group.tasks.pop(task.tid, None)
        kernel.tasks.pop(task.tid, None)
    if group.exiting:
        group.exit_status = group.group_exit_code
    _reparent_children(task, last)
    if group.exec_waiter is not None:
        group.exec_waiter.wake()
    if kernel.tracer is not None and (last or task is not group.leader):
        kernel.tracer.ended(task, _words(status))
    if last:
        _end_group(group)


def _words(status: int) -> str:
    if status & 0x7F:
        from syscalls.abi.signal import NAMES
        return f"killed by {NAMES.get(status & 0x7F, status & 0x7F)}"
    return f"exited with {status >> 8 & 0xFF}"


def _leave_stop(task: Task) -> None:
    """A thread that was still to stop does not hold up the group's stop (exit_signals)."""
    signals = task.signals
    if signals.stop_pending:
        signals.stop_pending = False
        group = task.group
        shared = group.signals
        shared.stop_count -= 1
        if shared.stop_count <= 0 and len(live_tasks(group)) > 1:
            from syscalls.abi.process import stop_status
            shared.stop_count = 0
            shared.stopped = True
            group.stop_status = stop_status(shared.stop_signal)
            notify_parent_of_stop(group)


def _retarget(task: Task) -> None:
    """Signals for the process that this thread was to take go to another one."""
    shared = task.group.signals.pending.mask
    if shared:
        for other in live_tasks(task.group):
            if shared & ~other.signals.mask:
                recalc(other)


def release_mm(task: Task) -> None:
    """The task stops using its memory, by exit or exec: robust futexes are marked, the address of
    set_tid_address(2) is cleared and woken, and a parent in vfork(2) goes on (mm_release).  Call before the drop."""
    if task.robust_list or task.pi_futexes:
        from syscalls.futex import release_robust
        release_robust(task)
    if task.rseq:
        task.rseq = 0
        if task.rseq_by_host and task.mm.users > 1:
            from syscalls.rseq import forget
            forget(task)
    addr = task.clear_child_tid
    if addr:
        task.clear_child_tid = 0
        if task.mm.users > 1:
            try:
                task.mem.put_u32(addr, 0)
            except LinuxError:
                pass
            else:
                from syscalls.futex import wake_address
                wake_address(task, addr)
    finish_vfork(task)


def finish_vfork(task: Task) -> None:
    queue = task.group.vfork_done
    if queue is not None and task is task.group.leader:
        task.group.vfork_done = None
        queue.wake()
    if task.vfork_done is not None:
        queue = task.vfork_done
        task.vfork_done = None
        queue.wake()


# --- children


def _reaper(group: ThreadGroup) -> ThreadGroup | None:
    """Who gets the orphans of a process: the nearest subreaper above it; None is outside (find_new_reaper)."""
    ancestor = group.parent
    while ancestor is not None:
        if ancestor.is_subreaper and not ancestor.exiting and live_tasks(ancestor):
            return ancestor
        ancestor = ancestor.parent
    return None


def _reparent_children(task: Task, last: bool) -> None:
    """forget_original_parent()."""
    group = task.group
    if not group.children:
        return
    if not last:
        heir = live_tasks(group)[0]
        for child in list(group.children.values()):
            if child.parent_task is task:
                child.parent_task = heir
                group.children[child.pid] = group.children.pop(child.pid)  # after the heir's own (list_splice_tail)
                _death_signal(child)
        return
    reaper = _reaper(group)
    for child in list(group.children.values()):
        del group.children[child.pid]
        child.parent = reaper
        child.parent_task = live_tasks(reaper)[0] if reaper is not None else None
        if reaper is not None:
            reaper.children[child.pid] = child
        _death_signal(child)
        if child.ended:
            child.exit_signal = SIGCHLD
            if child.leader.tracing is None and notify_parent_of_exit(child):
                reap(child)
        else:
            # A parent that does not know the child gets the ordinary signal.
            child.exit_signal = SIGCHLD
            kill_orphaned(child, group, False)


def _death_signal(child: ThreadGroup) -> None:
    for thread in live_tasks(child):
        if thread.parent_death_signal:
            # SEND_SIG_NOINFO: as from kill(2), without a sender.
            send_group(child, SigInfo(thread.parent_death_signal, 0))


def _end_group(group: ThreadGroup) -> None:
    """The last thread has ended (exit_notify)."""
    kernel = group.kernel
    group.ended = True
    group.leader.state = ZOMBIE
    if group.sem_undo:
        from syscalls.sysv_ipc import apply_undo
        apply_undo(group)
    kill_orphaned(group, group.parent, True)
    if _tracer_waits(group):
        pass
    elif notify_parent_of_exit(group):
        reap(group)
    elif group.death_event is not None:
        # Pidfds: readable from now on.
        group.death_event.wake()
    if group is kernel.init and kernel.first_ended is not None:
        kernel.first_ended()


def _tracer_waits(group: ThreadGroup) -> bool:
    """Whether a zombie is its tracer's before it is the parent's."""
    tracing = group.leader.tracing
    if tracing is None or tracing.tracer.group is group.parent:
        return False
    from syscalls.ptrace import tracee_ended
    return tracee_ended(group.leader, group.exit_status)


def reap(group: ThreadGroup) -> None:
    """Remove a zombie (release_task)."""
    kernel = group.kernel
    leader = group.leader
    leader.state = DEAD
    if leader.tracing is not None:
        from syscalls.ptrace import unlink
        unlink(leader)
    parent = group.parent
    if parent is not None:
        parent.children.pop(group.pid, None)
    group.tasks.pop(leader.tid, None)
    kernel.tasks.pop(leader.tid, None)
    kernel.groups.pop(group.pid, None)
    group.signals.pending.flush(leader, -1)
    leave_pgrp(group)
    if group.death_event is not None:
        # Pidfds: POLLHUP once nobody can wait for it any more.
        group.death_event.wake()


# --- exec


async def kill_other_threads(task: Task) -> None:
    """End the other threads of the caller's process and take over the leader's place, for execve (de_thread).
    EAGAIN when the process is ending, or another thread's execve got here first."""
    group = task.group
    if group.exiting or task.signals.killed or group.exec_waiter is not None:
        raise LinuxError(EAGAIN)
    others = [other for other in live_tasks(group) if other is not task]
    if others:
        for other in others:
            kill_task(other)
        group.exec_waiter = queue = WaitQueue()
        try:
            while any(other is not task for other in live_tasks(group)):
                await sleep_on(task, [(queue, -1)], interruptible=False)
        finally:
            group.exec_waiter = None
    _become_leader(task)


def _become_leader(task: Task) -> None:
    """The thread that calls execve gets the process's number; its own disappears."""
    group = task.group
    leader = group.leader
    if leader is task:
        return
    kernel = task.kernel
    kernel.tasks.pop(task.tid, None)
    group.tasks.pop(task.tid, None)
    group.dead_system_ns += task_system_ns(leader)
    group.dead_cpu_ns += leader.cpu_ns
    leader.state = DEAD
    if leader.tracing is not None:
        from syscalls.ptrace import unlink
        unlink(leader)
    task.tid = group.pid
    group.leader = task
    group.tasks[task.tid] = task
    kernel.tasks[task.tid] = task
    for child in group.children.values():
        child.parent_task = task
