"""Signals: pending queues, sending, and delivery.

Mirrors kernel/signal.c.  A signal is *sent* (`send_task`, `send_group`), sits in a pending queue, and is *delivered*
by the task that takes it, in `TaskSignals.handle`, just before that task would run guest code again.  `recalc` is the
bridge: it sets `Task.sigpending`, which ends interruptible sleeps.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EINTR, EPERM, LinuxError
from syscalls.abi.process import CONTINUED_STATUS, stop_status
from syscalls.abi.signal import (
    ALL,
    DUMPING,
    IGNORED_BY_DEFAULT,
    SA_NODEFER,
    SA_RESETHAND,
    SA_RESTART,
    SI_KERNEL,
    SI_TKILL,
    SI_USER,
    SIG_DFL,
    SIG_IGN,
    SIGCONT,
    SIGKILL,
    SIGPIPE,
    SIGRTMIN,
    SIGSEGV,
    SIGSTOP,
    SS_AUTODISARM,
    SS_DISABLE,
    SS_ONSTACK,
    STOPPING,
    SYNCHRONOUS,
    UNBLOCKABLE,
    bit,
)
from syscalls.credentials import CAP_KILL
from syscalls.siginfo import SigInfo
from syscalls.signal_state import Action, GroupSignals, Pending, SignalHandlers
from syscalls.task import RLIMIT_CORE, RLIMIT_SIGPENDING, RUNNING, STOPPED, TRACED
from syscalls.wait import (
    RESTART_BLOCK,
    RESTART_NEVER,
    RESTART_NOINTR,
    RESTART_SYS,
    Interrupted,
    WaitQueue,
)
from translator.machine import RAX, RIP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import TypeVar

    from syscalls.task import ProcessGroup, Task, ThreadGroup
    from translator.machine import CpuFault

    T = TypeVar("T")

NR_RESTART_SYSCALL = 219


class TaskSignals:
    """The signal state of one thread."""

    __slots__ = ("altstack", "cr2", "error_code", "fpu_length", "killed", "mask", "pending", "queue", "real_mask",
                 "saved_mask", "stop_pending", "trap_number")

    def __init__(self, mask: int = 0) -> None:
        self.mask = mask
        self.real_mask = 0
        """During sigtimedwait(2): what is blocked apart from the awaited signals (real_blocked)."""
        self.saved_mask: int | None = None
        """The mask to go back to when the call that set a temporary one is over (sigsuspend, ppoll, ...)."""
        self.pending = Pending()
        self.queue = WaitQueue()
        """Woken when a signal for this thread becomes pending."""
        self.altstack = (0, 0, 0)
        """Address, size, flags as set."""
        self.stop_pending = False
        """This thread has to stop before it runs guest code (JOBCTL_STOP_PENDING)."""
        self.killed = False
        """SIGKILL, exit_group or exec by another thread ends this one."""
        self.fpu_length = 0
        """Bytes of the CPU's FPU image, once known."""
        # Of the last fault, as sigcontext shows them (thread_struct).
        self.trap_number = 0
        self.error_code = 0
        self.cr2 = 0

    def child(self, share_memory: bool) -> TaskSignals:
        """The state of a new thread: the mask is inherited; the stack only by a copy of the memory (copy_process)."""
        other = TaskSignals(self.mask if self.saved_mask is None else self.saved_mask)
        if not share_memory:
            other.altstack = self.altstack
        return other

    # --- the alternate stack

    def on_altstack(self, sp: int) -> bool:
        """on_sig_stack(): a stack with SS_AUTODISARM is never in use, because it is gone during the handler."""
        base, size, flags = self.altstack
        return not flags & SS_AUTODISARM and base < sp <= base + size

    def altstack_flags(self, sp: int) -> int:
        if not self.altstack[1]:
            return SS_DISABLE
        return SS_ONSTACK if self.on_altstack(sp) else 0

    # --- the temporary mask of sigsuspend, ppoll, pselect6, epoll_pwait

    def push_mask(self, task: Task, mask: int) -> None:
        """Block `mask` until the call ends: set_user_sigmask().  Prefer `with_mask`."""
        self.saved_mask = self.mask
        set_mask(task, mask & ~UNBLOCKABLE)

    def pop_mask(self, task: Task) -> None:
        """restore_saved_sigmask()."""
        if self.saved_mask is not None:
            mask = self.saved_mask
            self.saved_mask = None
            set_mask(task, mask)

    # --- taking signals

    def dequeue(self, task: Task, blocked: int) -> SigInfo | None:
        """The next signal that is not in `blocked`: this thread's before the process's (dequeue_signal)."""
        for pending in (self.pending, task.group.signals.pending):
            ready = pending.mask & ~blocked
            if ready:
                first = ready & SYNCHRONOUS or ready
                info = pending.take(task, (first & -first).bit_length())
                if info.source is not None:
                    info.source.delivered(info)
                return info
        return None

    def handle(self, task: Task) -> None:
        """Deliver what is pending; the task is about to run guest code (arch_do_signal_or_restart)."""
        if self.saved_mask is None and task.interrupted is None and not self._wanted(task):
            task.sigpending = False
            return
        if task.tracing is not None:
            from syscalls.ptrace import start_delivery
            start_delivery(task)
            return
        while True:
            group = task.group
            if group.exiting or self.killed:
                from syscalls.exit import exit_task
                exit_task(task, group.group_exit_code if group.exiting else SIGKILL)
                return
            if self.stop_pending:
                self._stop(task)
                return
            info = self.dequeue(task, self.mask)
            if info is None:
                break
            signo = info.signo
            action = task.handlers.get(signo)
            if action.handler == SIG_IGN:
                continue
            if action.handler != SIG_DFL:
                self._call_handler(task, info, action)
                continue
            this = bit(signo)
            if this & IGNORED_BY_DEFAULT:
                continue
            if this & STOPPING:
                if signo != SIGSTOP:
                    from syscalls.job import is_orphaned
                    if is_orphaned(group.pgrp):
                        continue
                start_stop(group, signo)
                continue
            from syscalls.exit import exit_group, exit_task
            exit_group(group, final_status(task, info))
            exit_task(task, signo)
            return
        self._restart_without_handler(task)
        self.pop_mask(task)
        task.sigpending = False
        if self._wanted(task):
            # The saved mask let something through.
            self.handle(task)

    def _wanted(self, task: Task) -> bool:
        return bool(self.killed or self.stop_pending or task.group.exiting
                    or (task.tracing is not None and task.tracing.wanted())
                    or (self.pending.mask | task.group.signals.pending.mask) & ~self.mask)

    # --- the interrupted call

    def _restart_without_handler(self, task: Task) -> None:
        interrupted = task.interrupted
        if interrupted is None:
            return
        task.interrupted = None
        cpu = task.cpu
        if interrupted.restart == RESTART_BLOCK:
            task.restart_block = interrupted.resume
            cpu.set(RAX, NR_RESTART_SYSCALL)
            cpu.set(RIP, cpu.get(RIP) - 2)
        elif interrupted.restart != RESTART_NEVER:
            cpu.set(RAX, task.call_number)
            cpu.set(RIP, cpu.get(RIP) - 2)

    def _restart_with_handler(self, task: Task, action: Action) -> None:
        interrupted = task.interrupted
        if interrupted is None:
            return
        task.interrupted = None
        cpu = task.cpu
        if interrupted.restart == RESTART_NOINTR or (
                interrupted.restart == RESTART_SYS and action.flags & SA_RESTART):
            cpu.set(RAX, task.call_number)
            cpu.set(RIP, cpu.get(RIP) - 2)
        else:
            cpu.set(RAX, -EINTR)

    def _call_handler(self, task: Task, info: SigInfo, action: Action) -> None:
        """handle_signal() of arch/x86/kernel/signal.c."""
        from syscalls.sigframe import push_frame
        signo = info.signo
        if action.flags & SA_RESETHAND:
            task.handlers.set_default(signo)
        self._restart_with_handler(task, action)
        if task.rseq:
            from syscalls.rseq import fix_ip
            fix_ip(task)
        mask = self.mask if self.saved_mask is None else self.saved_mask
        tracer = task.kernel.tracer
        if tracer is not None:
            tracer.signal(task, signo)
        try:
            push_frame(task, info, action, mask)
        except LinuxError:
            # force_sigsegv(): a SIGSEGV that cannot be delivered kills.
            if signo == SIGSEGV:
                task.handlers.set_default(SIGSEGV)
            self.saved_mask = None
            force(task, SigInfo(SIGSEGV, SI_KERNEL))
            return
        self.saved_mask = None
        if self.altstack[2] & SS_AUTODISARM:
            self.altstack = (0, 0, 0)
        blocked = self.mask | action.mask
        if not action.flags & SA_NODEFER:
            blocked |= bit(signo)
        set_mask(task, blocked & ~UNBLOCKABLE)

    # --- stopping

    def _stop(self, task: Task) -> None:
        """This thread joins the group stop; the last one tells the parent (do_signal_stop)."""
        group = task.group
        self.stop_pending = False
        task.sigpending = False
        task.state = STOPPED
        signals = group.signals
        if signals.stopped:
            # Its tracer has let go of it: the stop was reported already.
            return
        signals.stop_count -= 1
        if signals.stop_count <= 0:
            signals.stop_count = 0
            signals.stopped = True
            group.stop_status = stop_status(signals.stop_signal)
            from syscalls.job import notify_parent_of_stop
            notify_parent_of_stop(group)

    # --- faults

    def fault(self, task: Task, fault: CpuFault) -> None:
        """An instruction of the guest faulted: grow the stack, or force a signal."""
        from syscalls.faults import translate
        info = translate(task, fault)
        if info is not None:
            force(task, info)

    def fatal_if_default(self, task: Task, signo: int) -> bool:
        """Whether the signal would end the process: for callers that must not sleep on."""
        action = task.handlers.get(signo)
        return action.handler == SIG_DFL and not bit(signo) & (IGNORED_BY_DEFAULT | STOPPING)


def final_status(task: Task, info: SigInfo) -> int:
    """The wait status of a process that this signal ends, after its core has been dumped."""
    if bit(info.signo) & DUMPING and task.group.soft_limit(RLIMIT_CORE):
        from syscalls.coredump import CORE_FLAG, dump
        if dump(task, info):
            return info.signo | CORE_FLAG
    return info.signo


def live_tasks(group: ThreadGroup) -> list[Task]:
    return [task for task in group.tasks.values() if not task.dead]


def recalc(task: Task) -> None:
    """Set `sigpending` when a signal, stop or exit wants the task, and end its sleep (recalc_sigpending)."""
    if task.dead:
        return
    signals = task.signals
    if signals._wanted(task):
        task.sigpending = True
        task.interrupt()
    elif task is task.kernel.current and task.interrupted is None:
        # Only the task itself takes the flag back: a call that is being interrupted has to see it.
        task.sigpending = False


def set_mask(task: Task, mask: int) -> None:
    """Change a task's blocked set: signals for the process that it now blocks go to another thread."""
    signals = task.signals
    newly_blocked = mask & ~signals.mask
    signals.mask = mask
    moved = newly_blocked & task.group.signals.pending.mask
    if moved and len(task.group.tasks) > 1:
        for other in live_tasks(task.group):
            if other is not task and moved & ~other.signals.mask:
                recalc(other)
    recalc(task)


async def with_mask(task: Task, mask: int | None, call: Awaitable[T]) -> T:
    """Await `call` with another signal mask in force (ppoll, pselect6, epoll_pwait).  When a signal interrupts it,
    the delivery code restores the mask, after the handler's frame has been built."""
    if mask is None:
        return await call
    task.signals.push_mask(task, mask)
    try:
        result = await call
    except Interrupted:
        raise
    except BaseException:
        task.signals.pop_mask(task)
        raise
    task.signals.pop_mask(task)
    return result


# --- sending


def _prepare(target: Task, signo: int) -> bool:
    """What sending does at once, pending or not: SIGCONT and stop signals cancel each other, SIGCONT continues.
    False when the signal is not to be queued (prepare_signal)."""
    group = target.group
    if group.exiting:
        return False
    this = bit(signo)
    if this & STOPPING:
        _flush_group(target, bit(SIGCONT))
    elif signo == SIGCONT:
        _flush_group(target, STOPPING)
        _continue(group)
    signals = target.signals
    if signals.mask & this or signals.real_mask & this:
        return True
    return not target.handlers.ignores(signo) or target.tracer is not None


def _flush_group(target: Task, mask: int) -> None:
    group = target.group
    group.signals.pending.flush(target, mask)
    for task in group.tasks.values():
        task.signals.pending.flush(task, mask)


def _continue(group: ThreadGroup) -> None:
    """SIGCONT: threads that stop or have stopped go on."""
    signals = group.signals
    was_stopped = signals.stopped
    was_stopping = signals.stop_signal != 0 and not was_stopped
    signals.stop_signal = 0
    signals.stop_count = 0
    signals.stopped = False
    for task in live_tasks(group):
        task.signals.stop_pending = False
        if task.state is STOPPED:
            wake_stopped(task)
        elif task.tracing is not None:
            from syscalls.ptrace import trap_notify
            trap_notify(task)
    if was_stopped or was_stopping:
        from syscalls.job import notify_parent_of_stop
        # A stop that had not finished is still reported as one (SIGNAL_CLD_STOPPED).
        group.stop_status = CONTINUED_STATUS
        notify_parent_of_stop(group, stopped=not was_stopped)


def wake_stopped(task: Task) -> None:
    task.state = RUNNING
    # Signals may have come meanwhile, and an interrupted call may want its restart.
    task.sigpending = True
    task.kernel.make_ready(task)


def start_stop(group: ThreadGroup, signo: int) -> None:
    """Every thread of the process is to stop."""
    signals = group.signals
    if not signals.stopped:
        signals.stop_signal = signo
    signals.stopped = False
    signals.stop_count = 0
    for task in live_tasks(group):
        if task.state is not STOPPED:
            task.signals.stop_pending = True
            signals.stop_count += 1
            if task.tracing is not None:
                from syscalls.ptrace import trap_notify
                trap_notify(task)
            recalc(task)


def _wants(task: Task, signo: int) -> bool:
    """Whether this thread can take the signal now (wants_signal)."""
    if task.dead or task.signals.mask & bit(signo):
        return False
    if signo == SIGKILL:
        return True
    return task.state not in (STOPPED, TRACED) and (task is task.kernel.current or not task.sigpending)


def _complete(target: Task, signo: int, shared: bool) -> None:
    """Choose the thread that takes the signal and wake it; a signal that certainly kills starts the exit of the
    whole process now (complete_signal)."""
    group = target.group
    chosen: Task | None = None
    if _wants(target, signo):
        chosen = target
    elif shared:
        for task in group.tasks.values():
            if _wants(task, signo):
                chosen = task
                break
    if chosen is None:
        # Blocked, stopped, or about to look at its signals anyway: it stays pending.
        return
    action = target.handlers.get(signo)
    this = bit(signo)
    fatal = action.handler == SIG_DFL and not this & (IGNORED_BY_DEFAULT | STOPPING | DUMPING)
    if fatal and not chosen.signals.real_mask & this and (signo == SIGKILL or chosen.tracer is None):
        from syscalls.exit import exit_group
        exit_group(group, signo)
        return
    chosen.sigpending = True
    chosen.interrupt()


def _send(info: SigInfo, target: Task, shared: bool) -> None:
    signo = info.signo
    group = target.group
    if not _prepare(target, signo):
        return
    pending = group.signals.pending if shared else target.signals.pending
    this = bit(signo)
    if signo < SIGRTMIN and pending.mask & this:
        return
    counts = target.kernel.queued_signals
    user = target.cred.uid
    queued = counts.get(user, 0)
    forced = signo < SIGRTMIN and info.code >= 0
    if queued < group.soft_limit(RLIMIT_SIGPENDING) or forced:
        counts[user] = queued + 1
        info.accounted = user
        pending.queue.append(info)
    elif signo >= SIGRTMIN and info.code != SI_USER:
        raise LinuxError(EAGAIN)
    pending.mask |= this
    (group.signals.queue if shared else target.signals.queue).wake()
    _complete(target, signo, shared)


def send_task(task: Task, info: SigInfo) -> None:
    """Send to one thread.  EAGAIN: RLIMIT_SIGPENDING (real-time signals only)."""
    if not task.dead:
        _send(info, task, False)


def send_group(group: ThreadGroup, info: SigInfo) -> None:
    """Send to a process.  Nothing happens when it has ended.  EAGAIN as send_task."""
    target = group.leader
    if target.dead:
        live = live_tasks(group)
        if not live:
            return
        target = live[0]
    _send(info, target, True)


def send_pgrp(pgrp: ProcessGroup, info: SigInfo) -> int:
    """Send to every process of a group, without permission checks; returns how many there are."""
    members = list(pgrp.members)
    for group in members:
        send_group(group, SigInfo(info.signo, info.code, info.pid, info.uid, info.value, raw=info.raw))
    return len(members)


def broken_pipe(task: Task) -> None:
    """SIGPIPE to the writing thread, which goes with EPIPE; not in a call with RWF_NOSIGNAL."""
    if not task.no_sigpipe:
        send_task(task, SigInfo(SIGPIPE, 0, task.group.pid, task.cred.uid))


def force(task: Task, info: SigInfo) -> None:
    """A signal that the task's own instruction caused: it cannot be blocked or ignored (force_sig_info)."""
    this = bit(info.signo)
    action = task.handlers.get(info.signo)
    if task.signals.mask & this or action.handler == SIG_IGN:
        task.handlers.set_default(info.signo)
        task.signals.mask &= ~this
    if not task.group.exiting and not task.signals.pending.mask & this:
        task.signals.pending.mask |= this
        task.signals.pending.queue.append(info)
        task.signals.queue.wake()
    recalc(task)


def kill_task(task: Task) -> None:
    """Make one thread end: even an uninterruptible sleep, and a stop, ends."""
    if task.dead:
        return
    signals = task.signals
    signals.killed = True
    signals.stop_pending = False
    task.sigpending = True
    if task.state is STOPPED or task.state is TRACED:
        task.state = RUNNING
        task.kernel.make_ready(task)
    task.interrupt()


# --- permission


def may_signal(sender: Task, target: Task, signo: int) -> bool:
    """kill_ok_by_cred, and the exceptions for threads of the same process and SIGCONT (man 2 kill)."""
    if sender.group is target.group:
        return True
    mine, theirs = sender.cred, target.cred
    if mine.euid in (theirs.suid, theirs.uid) or mine.uid in (theirs.suid, theirs.uid) or mine.capable(CAP_KILL):
        return True
    return signo == SIGCONT and sender.group.session is target.group.session


def check_permission(sender: Task, target: Task, signo: int) -> None:
    if not may_signal(sender, target, signo):
        raise LinuxError(EPERM)
    if sender.cred.landlock is not None and sender.group is not target.group:
        from syscalls.landlock import SCOPE_SIGNAL, in_scope
        if not in_scope(sender, target.cred.landlock, SCOPE_SIGNAL):
            raise LinuxError(EPERM)


def user_info(sender: Task, signo: int, code: int = SI_USER) -> SigInfo:
    """What kill(2) and tkill(2) say about their caller."""
    return SigInfo(signo, code, sender.group.pid, sender.cred.uid)


def kernel_info(signo: int) -> SigInfo:
    """SEND_SIG_PRIV: from the kernel itself."""
    return SigInfo(signo, SI_KERNEL)


__all__ = ["ALL", "SI_TKILL", "Action", "GroupSignals", "Pending", "SigInfo", "SignalHandlers", "TaskSignals",
           "check_permission", "force", "kernel_info", "kill_task", "live_tasks", "may_signal", "recalc",
           "send_group", "send_pgrp", "send_task", "set_mask", "start_stop", "user_info", "with_mask"]
