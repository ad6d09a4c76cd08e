"""Tracing of one guest task by another: the state of a tracee, and its stops.

Mirrors kernel/ptrace.c and the ptrace half of kernel/signal.c.  A stop is a place in a coroutine of the tracee where
it waits in state TRACED for its tracer; only the tracer and SIGKILL make it go on.  A tracee therefore serves its
system calls (`start_call`), while they are traced, and delivers its signals (`start_delivery`) in coroutines.  The
requests are in calls/ptrace.py.
"""

from __future__ import annotations

from syscalls.abi.errno import EINTR, ENOSYS, LinuxError
from syscalls.abi.process import CLONE_PTRACE, CLONE_UNTRACED, CLONE_VFORK
from syscalls.abi.ptrace import (
    ERESTART_RESTARTBLOCK,
    ERESTARTNOHAND,
    ERESTARTNOINTR,
    ERESTARTSYS,
    EVENTMSG_SYSCALL_ENTRY,
    EVENTMSG_SYSCALL_EXIT,
    PTRACE_CONT,
    PTRACE_EVENT_CLONE,
    PTRACE_EVENT_EXEC,
    PTRACE_EVENT_EXIT,
    PTRACE_EVENT_FORK,
    PTRACE_EVENT_STOP,
    PTRACE_EVENT_VFORK,
    PTRACE_O_EXITKILL,
    PTRACE_O_TRACESYSGOOD,
    PTRACE_SYSCALL,
    PTRACE_SYSEMU,
)
from syscalls.abi.signal import (
    CLD_DUMPED,
    CLD_EXITED,
    CLD_KILLED,
    CLD_STOPPED,
    CLD_TRAPPED,
    IGNORED_BY_DEFAULT,
    SA_NOCLDSTOP,
    SA_NOCLDWAIT,
    SI_USER,
    SIG_DFL,
    SIG_IGN,
    SIGCHLD,
    SIGKILL,
    SIGSTOP,
    SIGTRAP,
    STOPPING,
    TRAP_BRKPT,
    bit,
)
from syscalls.credentials import CAP_SYS_PTRACE
from syscalls.siginfo import SigInfo
from syscalls.signals import final_status, force, recalc, send_group, send_task, start_stop
from syscalls.table import TABLE
from syscalls.task import NO_RESULT, RUNNING, SLEEPING, TRACED
from syscalls.wait import (
    RESTART_BLOCK,
    RESTART_NOHAND,
    RESTART_NOINTR,
    RESTART_SYS,
    SUSPEND,
    CoroutineType,
    Interrupted,
)
from translator.hosts.base import HostError
from translator.machine import EFLAGS, ORIG_RAX, R8, R9, R10, RAX, RDI, RDX, RIP, RSI

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from syscalls.task import Task, ThreadGroup

FLAG_TF = 1 << 8
WORD = (1 << 64) - 1
_RESTART_CODES = {RESTART_SYS: ERESTARTSYS, RESTART_NOINTR: ERESTARTNOINTR, RESTART_NOHAND: ERESTARTNOHAND,
                  RESTART_BLOCK: ERESTART_RESTARTBLOCK}
_RESTART_RULES = {code: rule for rule, code in _RESTART_CODES.items()}


class Tracing:
    """What a tracee has beside an ordinary task."""

    __slots__ = ("code", "data", "exit_status", "forced_flag", "info", "listening", "message", "mode", "options",
                 "resume", "seized", "stepping", "tracer", "trap_notify", "trap_stop")

    def __init__(self, tracer: Task, seized: bool, options: int = 0) -> None:
        self.tracer = tracer
        self.seized = seized
        """By PTRACE_SEIZE, or a child of a task that was: group stops can be told from signals."""
        self.options = options
        self.mode = PTRACE_CONT
        """The request of the last resume: PTRACE_CONT, PTRACE_SYSCALL or PTRACE_SYSEMU."""
        self.stepping = False
        """One instruction, then SIGTRAP (TIF_SINGLESTEP): EFLAGS.TF is set on the tracer's behalf."""
        self.forced_flag = False
        """TF was not the guest's own (TIF_FORCED_TF)."""
        self.code = 0
        """What wait has to tell of the stop; 0 when it has been told."""
        self.data = 0
        """The signal that the tracer resumed with."""
        self.info: SigInfo | None = None
        """last_siginfo of the stop; None in a group stop of a task that was not seized."""
        self.message = 0
        self.listening = False
        """PTRACE_LISTEN: stopped still, but not for requests."""
        self.trap_stop = False
        """A PTRACE_EVENT_STOP is to happen (JOBCTL_TRAP_STOP)."""
        self.trap_notify = False
        """The state of the group stop has changed (JOBCTL_TRAP_NOTIFY)."""
        self.exit_status = -1
        """Wait status of a dead thread that is not a leader."""
        self.resume: Any = None
        """How the interrupted call goes on by restart_syscall(2)."""

    def wanted(self) -> bool:
        return self.trap_stop or self.trap_notify

    def intercepts(self) -> bool:
        """Whether system calls have to be served by start_call."""
        return self.mode != PTRACE_CONT or self.stepping


# --- links


def may_trace(tracer: Task, target: Task) -> bool:
    """ptrace_may_access(PTRACE_MODE_ATTACH_REALCREDS)."""
    if tracer.group is target.group:
        return True
    if tracer.cred.landlock is not None:
        from syscalls.landlock import may_trace as unrestricted
        if not unrestricted(tracer, target):
            return False
    mine, other = tracer.cred, target.cred
    if mine.capable(CAP_SYS_PTRACE):
        return True
    return (mine.uid == other.uid == other.euid == other.suid and mine.gid == other.gid == other.egid == other.sgid
            and target.group.dumpable == 1 and not other.cap_permitted & ~mine.cap_permitted)


def link(task: Task, tracer: Task, *, seized: bool, options: int = 0) -> Tracing:
    tracing = task.tracing = Tracing(tracer, seized, options)
    task.tracer = tracer
    group = tracer.group
    if group.tracees is None:
        group.tracees = {}
    group.tracees[task] = None
    return tracing


def unlink(task: Task) -> None:
    """The task is not traced any more (__ptrace_unlink): it rejoins a group stop, or goes on."""
    tracing = task.tracing
    assert tracing is not None
    tracees = tracing.tracer.group.tracees
    if tracees is not None:
        tracees.pop(task, None)
    task.tracing = None
    task.tracer = None
    if task.dead:
        return
    set_step(task, tracing, False)
    shared = task.group.signals
    if not task.group.exiting and (shared.stopped or shared.stop_count):
        if not shared.stopped and not task.signals.stop_pending:
            shared.stop_count += 1
        task.signals.stop_pending = True
    if task.state is TRACED:
        task.state = RUNNING
        task.sigpending = True
        task.kernel.make_ready(task)
    recalc(task)


def new_child(parent: Task, child: Task, flags: int, exit_signal: int) -> int:
    """ptrace_init_task(): a child of a tracee is traced from the start when its tracer wants to know of it.  The event
    to report, 0 for none."""
    tracing = parent.tracing
    assert tracing is not None
    if tracing.forced_flag:
        child.cpu.set(EFLAGS, child.cpu.get(EFLAGS) & ~FLAG_TF)
    event = 0
    if not flags & CLONE_UNTRACED:
        event = (PTRACE_EVENT_VFORK if flags & CLONE_VFORK
                 else PTRACE_EVENT_FORK if exit_signal == SIGCHLD else PTRACE_EVENT_CLONE)
        if not tracing.options >> event & 1:
            event = 0
    if event or flags & CLONE_PTRACE:
        inherited = link(child, tracing.tracer, seized=tracing.seized, options=tracing.options)
        if tracing.seized:
            inherited.trap_stop = True
        else:
            child.signals.pending.mask |= bit(SIGSTOP)
        child.sigpending = True
    return event


# --- stepping


def set_step(task: Task, tracing: Tracing, on: bool) -> None:
    """The trap flag is in EFLAGS only while the guest may run: tracers and signal frames do not see it."""
    if on != tracing.forced_flag:
        flags = task.cpu.get(EFLAGS)
        if not on:
            task.cpu.set(EFLAGS, flags & ~FLAG_TF)
            tracing.forced_flag = False
        elif not flags & FLAG_TF:
            task.cpu.set(EFLAGS, flags | FLAG_TF)
            tracing.forced_flag = True
    tracing.stepping = on


# --- stops


async def stop(task: Task, code: int, why: int, message: int = 0, info: SigInfo | None = None, *,
               dying: bool = False) -> int:
    """Stop for the tracer (ptrace_stop); the signal it resumes with.  Does not stop a task that is being killed, except
    for its exit event (`dying`)."""
    tracing = task.tracing
    if tracing is None or (task.killed() and not dying):
        return 0
    set_step(task, tracing, False)
    tracing.code = code
    tracing.data = 0
    tracing.message = message
    tracing.info = info
    before = task.state
    task.state = TRACED
    # Any stop will do for a wanted trap; only a PTRACE_EVENT_STOP tells about group stops.
    tracing.trap_stop = False
    if info is not None and info.code >> 8 == PTRACE_EVENT_STOP:
        tracing.trap_notify = False
    group = task.group
    all_stopped = why == CLD_STOPPED and task.signals.stop_pending and _join_group_stop(task)
    _notify_tracer(task, tracing, why)
    if all_stopped and tracing.tracer.group is not group.parent:
        from syscalls.job import notify_parent_of_stop
        notify_parent_of_stop(group)
    while task.state is TRACED:
        await SUSPEND
    task.state = before
    tracing.code = 0
    tracing.message = 0
    tracing.listening = False
    _restart_from_registers(task, tracing)
    if task.signals._wanted(task):
        # Nobody wakes a stopped task for a signal that came meanwhile.
        task.sigpending = True
    return tracing.data


def _join_group_stop(task: Task) -> bool:
    """task_participate_group_stop(): True when it was the last one."""
    from syscalls.abi.process import stop_status
    shared = task.group.signals
    task.signals.stop_pending = False
    if shared.stopped:
        return False
    shared.stop_count -= 1
    if shared.stop_count > 0:
        return False
    shared.stop_count = 0
    shared.stopped = True
    task.group.stop_status = stop_status(shared.stop_signal)
    return True


def _notify_tracer(task: Task, tracing: Tracing, why: int) -> None:
    group = tracing.tracer.group
    action = tracing.tracer.handlers.get(SIGCHLD)
    if action.handler != SIG_IGN and not action.flags & SA_NOCLDSTOP:
        status = task.group.signals.stop_signal if why == CLD_STOPPED else tracing.code
        send_group(group, SigInfo(SIGCHLD, why, task.tid, task.cred.uid, status=status & 0x7F))
    group.child_event.wake()


def wake(task: Task, tracing: Tracing, signo: int) -> None:
    """Let a stopped tracee go on with a signal, or none."""
    tracing.data = signo
    task.state = RUNNING
    task.kernel.make_ready(task)


def trap_notify(task: Task) -> None:
    """Tell the tracer of a seized task that a group stop has begun or ended (ptrace_trap_notify)."""
    tracing = task.tracing
    if tracing is None or not tracing.seized:
        return
    tracing.trap_notify = True
    task.sigpending = True
    if tracing.listening:
        tracing.listening = False
        wake(task, tracing, 0)
    task.interrupt()


async def notify(task: Task, code: int, message: int = 0, *, dying: bool = False) -> int:
    """ptrace_notify()."""
    return await stop(task, code, CLD_TRAPPED, message, SigInfo(SIGTRAP, code, task.tid, task.cred.uid), dying=dying)


async def event(task: Task, kind: int, message: int) -> bool:
    """Report an event if the tracer has asked for it."""
    tracing = task.tracing
    if tracing is None or not tracing.options >> kind & 1:
        return False
    await notify(task, kind << 8 | SIGTRAP, message, dying=kind == PTRACE_EVENT_EXIT)
    return True


async def exit_event(task: Task, status: int) -> None:
    await event(task, PTRACE_EVENT_EXIT, task.group.group_exit_code if task.group.exiting else status)


async def exec_event(task: Task, old_tid: int) -> None:
    tracing = task.tracing
    task.cpu.set(ORIG_RAX, task.call_number)
    if tracing is not None and not await event(task, PTRACE_EVENT_EXEC, old_tid) and not tracing.seized:
        send_task(task, SigInfo(SIGTRAP, SI_USER, task.group.pid, task.cred.uid))


# --- system calls


def start_call(task: Task, number: int, args: tuple[int, ...]) -> None:
    """Serve a call of a tracee with the stops around it.  RAX is set when the coroutine ends."""
    _begin(task, _call(task, number, args))


def _begin(task: Task, coroutine: Coroutine[Any, Any, None]) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return
    task.coroutine = coroutine


async def _syscall_stop(task: Task, message: int) -> None:
    tracing = task.tracing
    assert tracing is not None
    code = SIGTRAP | 0x80 if tracing.options & PTRACE_O_TRACESYSGOOD else SIGTRAP
    signo = await notify(task, code, message)
    if signo:
        send_task(task, SigInfo(signo, 0x80))


async def _call(task: Task, number: int, args: tuple[int, ...]) -> None:
    tracing = task.tracing
    assert tracing is not None
    cpu = task.cpu
    emulated = tracing.mode == PTRACE_SYSEMU
    if tracing.mode != PTRACE_CONT:
        cpu.set(RAX, -ENOSYS)
        await _syscall_stop(task, EVENTMSG_SYSCALL_ENTRY)
        if task.killed():
            return
        number = cpu.get(ORIG_RAX) & 0xFFFFFFFF
        args = (cpu.get(RDI), cpu.get(RSI), cpu.get(RDX), cpu.get(R10), cpu.get(R8), cpu.get(R9))
        task.call_number = number
        task.call_args = args
    if not emulated and number != 0xFFFFFFFF:
        value = await _serve(task, number, args)
        if task.dead:
            return
        if task.state is SLEEPING:
            task.state = RUNNING
        if value is not NO_RESULT:
            cpu.set(RAX, value)
    _show_restart(task)
    tracing = task.tracing
    if tracing is None or emulated:
        return
    if tracing.mode == PTRACE_SYSCALL:
        await _syscall_stop(task, EVENTMSG_SYSCALL_EXIT)
    elif tracing.stepping:
        force(task, SigInfo(SIGTRAP, TRAP_BRKPT, addr=cpu.get(RIP)))


async def _serve(task: Task, number: int, args: tuple[int, ...]) -> int:
    kernel = task.kernel
    record = (TABLE[number] if number < 512 else None) or kernel.declared(number)
    if record is None:
        kernel.gap(task, "syscall", number)
        if kernel.tracer is not None:
            kernel.tracer.unknown(task, number, (args[0], args[1], args[2], args[3], args[4], args[5]))
        return -ENOSYS
    kernel.call_counts[number] += 1
    if kernel.tracer is not None:
        kernel.tracer.entered(task, record, args)
    try:
        value = record.call(task, args)
        if value.__class__ is CoroutineType:
            task.state = SLEEPING
            value = await value
    except (LinuxError, HostError) as error:
        value = -error.errno
    except Interrupted as interrupted:
        task.interrupted = interrupted
        task.sigpending = True
        value = -EINTR
    if kernel.tracer is not None:
        kernel.tracer.left(task, record, args, value)
    return int(value)


def _show_restart(task: Task) -> None:
    """Until its signal is dealt with, an interrupted call has the kernel's own error in RAX."""
    interrupted = task.interrupted
    if interrupted is not None:
        task.cpu.set(RAX, -_RESTART_CODES.get(interrupted.restart, EINTR))
        if task.tracing is not None:
            task.tracing.resume = interrupted.resume


def _restart_from_registers(task: Task, tracing: Tracing) -> None:
    """Whether a call is made again is for the registers to say, and the tracer may have changed them."""
    cpu = task.cpu
    if cpu.get(ORIG_RAX) >> 63:
        task.interrupted = None
        return
    rule = _RESTART_RULES.get((1 << 64) - cpu.get(RAX))
    if rule is not None:
        task.interrupted = Interrupted(rule, tracing.resume)
        task.call_number = cpu.get(ORIG_RAX) & 0xFFFFFFFF
    elif task.interrupted is not None and task.interrupted.restart in _RESTART_CODES:
        task.interrupted = None


# --- signals


def start_delivery(task: Task) -> None:
    """TaskSignals.handle for a tracee."""
    _show_restart(task)
    _begin(task, _deliver(task))


async def _deliver(task: Task) -> None:
    """get_signal() and handle_signal(), with the stops."""
    from syscalls.exit import exit_group, exit_task
    signals = task.signals
    while True:
        group = task.group
        if group.exiting or signals.killed:
            status = group.group_exit_code if group.exiting else SIGKILL
            await exit_event(task, status)
            exit_task(task, status)
            return
        tracing = task.tracing
        if tracing is None:
            # Detached meanwhile: the ordinary way.
            task.sigpending = True
            signals.handle(task)
            return
        if signals.stop_pending or tracing.wanted():
            await _group_stop(task, tracing)
            continue
        info = signals.dequeue(task, signals.mask)
        if info is None:
            signals._restart_without_handler(task)
            signals.pop_mask(task)
            task.sigpending = False
            if signals._wanted(task):
                continue
            return
        if info.signo != SIGKILL:
            changed = await _signal_stop(task, tracing, info)
            if changed is None:
                continue
            info = changed
        signo = info.signo
        action = task.handlers.get(signo)
        if action.handler == SIG_IGN:
            continue
        if action.handler != SIG_DFL:
            stepping = tracing.stepping
            set_step(task, tracing, False)
            signals._call_handler(task, info, action)
            if stepping:
                await notify(task, SIGTRAP)
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
        exit_group(group, final_status(task, info))
        await exit_event(task, signo)
        exit_task(task, signo)
        return


async def _signal_stop(task: Task, tracing: Tracing, info: SigInfo) -> SigInfo | None:
    """ptrace_signal(): the tracer sees the signal, may change it, or take it away (None)."""
    signo = await stop(task, info.signo, CLD_TRAPPED, 0, info)
    if not signo:
        return None
    if tracing.info is not None:
        info = tracing.info
    if info.signo != signo:
        tracer = tracing.tracer
        info = SigInfo(signo, SI_USER, tracer.group.pid, tracer.cred.uid)
    if task.signals.mask & bit(signo):
        send_task(task, info)
        return None
    return info


async def _group_stop(task: Task, tracing: Tracing) -> None:
    """do_jobctl_trap()."""
    shared = task.group.signals
    signo = shared.stop_signal if shared.stopped or shared.stop_count else 0
    if not tracing.seized:
        await stop(task, signo or SIGSTOP, CLD_STOPPED)
        return
    signo = signo or SIGTRAP
    code = signo | PTRACE_EVENT_STOP << 8
    await stop(task, code, CLD_STOPPED, 0, SigInfo(signo, code, task.tid, task.cred.uid))


# --- ends


def tracer_exits(tracer: Task) -> None:
    """exit_ptrace(): what a dying tracer leaves goes on, or dies with it."""
    for task in list(tracer.group.tracees or ()):
        tracing = task.tracing
        if tracing is None or tracing.tracer is not tracer:
            continue
        if tracing.options & PTRACE_O_EXITKILL and not task.dead:
            send_task(task, SigInfo(SIGKILL, 0x80))
        unlink(task)
        group = task.group
        if task is group.leader and group.ended and group.parent is not tracer.group:
            hand_over(group)


def hand_over(group: ThreadGroup) -> None:
    """A zombie that its tracer is done with is the parent's."""
    from syscalls.exit import reap
    from syscalls.job import notify_parent_of_exit
    if notify_parent_of_exit(group):
        reap(group)


def tracee_ended(task: Task, status: int) -> bool:
    """Tell the tracer, when it is not the parent, that a tracee has ended (exit_notify).  False: nobody will wait for
    it, and it is not traced any more."""
    tracing = task.tracing
    assert tracing is not None
    tracer = tracing.tracer
    tracing.exit_status = status
    action = tracer.handlers.get(SIGCHLD)
    ignored = action.handler == SIG_IGN
    if not ignored:
        if status & 0x7F:
            code, value = CLD_DUMPED if status & 0x80 else CLD_KILLED, status & 0x7F
        else:
            code, value = CLD_EXITED, status >> 8 & 0xFF
        send_group(tracer.group, SigInfo(SIGCHLD, code, task.tid, task.cred.uid, status=value))
    if ignored or action.flags & SA_NOCLDWAIT:
        unlink(task)
    tracer.group.child_event.wake()
    return task.tracing is not None
