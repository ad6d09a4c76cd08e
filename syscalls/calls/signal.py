"""Signals: actions, masks, sending and waiting."""

from __future__ import annotations

import struct

from syscalls.abi.errno import EAGAIN, EINTR, EINVAL, EPERM, ESRCH, LinuxError
from syscalls.abi.signal import (
    SA_KNOWN,
    SI_TKILL,
    SI_USER,
    SIG_BLOCK,
    SIG_SETMASK,
    SIG_UNBLOCK,
    SIGACTION,
    STACK_T,
    UNBLOCKABLE,
    bit,
)
from syscalls.abi.time import read_timespec
from syscalls.siginfo import SIGINFO_SIZE, SigInfo
from syscalls.signals import (
    Action,
    check_permission,
    may_signal,
    recalc,
    send_group,
    send_task,
    set_mask,
    user_info,
)
from syscalls.table import syscall
from syscalls.task import NO_RESULT
from syscalls.wait import RESTART_NOHAND, Interrupted, WaitQueue, sleep_on
from translator.machine import RSP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from syscalls.abi.kinds import Sigaction, SigInfoLayout, SigSet, StackT, Timespec
    from syscalls.table import S32, In, Out, Pid, Signal, Size
    from syscalls.task import Task, ThreadGroup

INT_MIN = -(1 << 31)
SIGSET_SIZE = 8


@syscall(13)
def rt_sigaction(task: Task, signo: Signal, action: In[Sigaction], old: Out[Sigaction], size: Size) -> int:
    if size != SIGSET_SIZE:
        raise LinuxError(EINVAL)
    new = task.mem.unpack(SIGACTION, action) if action else None
    if not 1 <= signo <= 64 or (new is not None and UNBLOCKABLE & bit(signo)):
        raise LinuxError(EINVAL)
    handlers = task.handlers
    before = handlers.get(signo)
    if new is not None:
        handler, flags, restorer, mask = new
        handlers.actions[signo] = Action(handler, flags & SA_KNOWN, restorer, mask & ~UNBLOCKABLE)
        if handlers.ignores(signo):
            # POSIX 2.4.3: setting an action to ignore discards what is pending, blocked or not.
            task.group.signals.pending.flush(task, bit(signo))
            for other in task.group.tasks.values():
                other.signals.pending.flush(other, bit(signo))
    if old:
        task.mem.write(old, SIGACTION.pack(before.handler, before.flags, before.restorer, before.mask))
    return 0


@syscall(14)
def rt_sigprocmask(task: Task, how: S32, new: In[SigSet], old: Out[SigSet], size: Size) -> int:
    if size != SIGSET_SIZE:
        raise LinuxError(EINVAL)
    before = task.signals.mask
    if new:
        wanted = task.mem.u64(new) & ~UNBLOCKABLE
        if how == SIG_BLOCK:
            wanted |= before
        elif how == SIG_UNBLOCK:
            wanted = before & ~wanted
        elif how != SIG_SETMASK:
            raise LinuxError(EINVAL)
        if wanted != before:
            set_mask(task, wanted)
    if old:
        task.mem.put_u64(old, before)
    return 0


@syscall(127)
def rt_sigpending(task: Task, pending: Out[SigSet], size: Size) -> int:
    if size > SIGSET_SIZE:
        raise LinuxError(EINVAL)
    signals = task.signals
    mask = (signals.pending.mask | task.group.signals.pending.mask) & signals.mask
    task.mem.write(pending, mask.to_bytes(8, "little")[:size])
    return 0


@syscall(130)
async def rt_sigsuspend(task: Task, mask: In[SigSet], size: Size) -> int:
    if size != SIGSET_SIZE:
        raise LinuxError(EINVAL)
    task.signals.push_mask(task, task.mem.u64(mask))
    # The delivery code puts the old mask back, after the handler's frame has been built.
    while True:
        await sleep_on(task, [], restart=RESTART_NOHAND)


@syscall(34)
async def pause(task: Task) -> int:
    while True:
        await sleep_on(task, [], restart=RESTART_NOHAND)


@syscall(128, needs=("clocks.monotonic",))
async def rt_sigtimedwait(task: Task, wanted: In[SigSet], info: Out[SigInfoLayout], timeout: In[Timespec],
                          size: Size) -> int:
    if size != SIGSET_SIZE:
        raise LinuxError(EINVAL)
    these = task.mem.u64(wanted) & ~UNBLOCKABLE
    delay_ns = read_timespec(task, timeout) if timeout else None
    signals = task.signals
    found = signals.dequeue(task, ~these)
    interrupted = False
    if found is None and delay_ns != 0:
        deadline = None if delay_ns is None else task.kernel.clock.monotonic() + delay_ns
        before = signals.mask
        signals.real_mask = before
        set_mask(task, before & ~these)
        try:
            await sleep_on(task, [(WaitQueue(), -1)], deadline)
        except Interrupted:
            interrupted = True
        finally:
            signals.real_mask = 0
            set_mask(task, before)
        found = signals.dequeue(task, ~these)
    recalc(task)
    if found is None:
        raise LinuxError(EINTR if interrupted else EAGAIN)
    if info:
        task.mem.write(info, found.pack())
    return found.signo


@syscall(131)
def sigaltstack(task: Task, new: In[StackT], old: Out[StackT]) -> int:
    from syscalls.sigframe import set_altstack
    signals = task.signals
    wanted = task.mem.unpack(STACK_T, new) if new else None
    sp = task.cpu.get(RSP)
    addr, size, flags = signals.altstack
    before = STACK_T.pack(addr, signals.altstack_flags(sp) | flags & (1 << 31), size)
    if wanted is not None:
        set_altstack(task, wanted[0], wanted[1], wanted[2], sp)
    if old:
        task.mem.write(old, before)
    return 0


@syscall(15)
def rt_sigreturn(task: Task) -> int:
    from syscalls.sigframe import bad_frame, pop_frame
    try:
        pop_frame(task)
    except LinuxError:
        bad_frame(task)
    return NO_RESULT


@syscall(219)
async def restart_syscall(task: Task) -> int:
    block = task.restart_block
    task.restart_block = None
    if block is None:
        raise LinuxError(EINTR)
    return await block(task)


# --- sending


def _check_number(signo: int) -> None:
    if not 0 <= signo <= 64:
        raise LinuxError(EINVAL)


def _kill_group(task: Task, group: ThreadGroup, signo: int) -> None:
    check_permission(task, group.leader, signo)
    if signo:
        send_group(group, user_info(task, signo))


def _kill_all(task: Task, groups: Iterable[ThreadGroup], signo: int) -> int:
    """Success if one of them could be signalled; else EPERM; ESRCH for none."""
    reached = refused = 0
    for group in list(groups):
        try:
            _kill_group(task, group, signo)
        except LinuxError as error:
            if error.errno != EPERM:
                raise
            refused += 1
        else:
            reached += 1
    if not reached:
        raise LinuxError(EPERM if refused else ESRCH)
    return 0


def _kill_outside(task: Task, pid: int, signo: int) -> int:
    """The parent of the first process is no guest: it lives, as `kill -0 $PPID` asks, and is not theirs to signal."""
    kernel = task.kernel
    if kernel.init.ended or kernel.deterministic or pid != kernel.init.parent_pid():
        raise LinuxError(ESRCH)
    _check_number(signo)
    if signo:
        kernel.gap(task, "signal to the parent of pylx", signo)
        raise LinuxError(EPERM)
    return 0


@syscall(62)
def kill(task: Task, pid: Pid, signo: Signal) -> int:
    kernel = task.kernel
    if pid > 0:
        target = kernel.tasks.get(pid)
        if target is None:
            return _kill_outside(task, pid, signo)
        _check_number(signo)
        _kill_group(task, target.group, signo)
        return 0
    if pid == INT_MIN:
        raise LinuxError(ESRCH)
    if pid == -1:
        everyone = [group for group in kernel.groups.values() if group is not task.group and group.pid > 1]
        if everyone:
            _check_number(signo)
        for group in everyone:
            if may_signal(task, group.leader, signo) and signo:
                send_group(group, user_info(task, signo))
        if not everyone:
            raise LinuxError(ESRCH)
        if not any(may_signal(task, group.leader, signo) for group in everyone):
            raise LinuxError(EPERM)
        return 0
    pgrp = kernel.process_groups.get(-pid) if pid else task.group.pgrp
    if pgrp is None:
        raise LinuxError(ESRCH)
    _check_number(signo)
    return _kill_all(task, pgrp.members, signo)


def _thread(task: Task, tgid: int, tid: int) -> Task:
    target = task.kernel.tasks.get(tid)
    if target is None or (tgid > 0 and target.group.pid != tgid):
        raise LinuxError(ESRCH)
    return target


def _send_thread(task: Task, target: Task, info: SigInfo) -> None:
    _check_number(info.signo)
    if info.code <= 0:
        check_permission(task, target, info.signo)
    if info.signo:
        send_task(target, info)


@syscall(200)
def tkill(task: Task, tid: Pid, signo: Signal) -> int:
    if tid <= 0:
        raise LinuxError(EINVAL)
    _send_thread(task, _thread(task, 0, tid), user_info(task, signo, SI_TKILL))
    return 0


@syscall(234)
def tgkill(task: Task, tgid: Pid, tid: Pid, signo: Signal) -> int:
    if tid <= 0 or tgid <= 0:
        raise LinuxError(EINVAL)
    _send_thread(task, _thread(task, tgid, tid), user_info(task, signo, SI_TKILL))
    return 0


def _read_info(task: Task, addr: int, signo: int) -> SigInfo:
    raw = task.mem.read(addr, SIGINFO_SIZE)
    return SigInfo.from_bytes(signo, raw)


@syscall(129)
def rt_sigqueueinfo(task: Task, pid: Pid, signo: Signal, info: In[SigInfoLayout]) -> int:
    record = _read_info(task, info, signo)
    # Nobody may pretend to be kill(2), tkill(2) or the kernel towards others: a thread's own number is meant.
    if (record.code >= SI_USER or record.code == SI_TKILL) and pid != task.tid:
        raise LinuxError(EPERM)
    target = task.kernel.tasks.get(pid)
    if target is None:
        raise LinuxError(ESRCH)
    _check_number(signo)
    check_permission(task, target.group.leader, signo)
    if signo:
        send_group(target.group, record)
    return 0


@syscall(297, since="2.6.31")
def rt_tgsigqueueinfo(task: Task, tgid: Pid, tid: Pid, signo: Signal, info: In[SigInfoLayout]) -> int:
    record = _read_info(task, info, signo)
    if tid <= 0 or tgid <= 0:
        raise LinuxError(EINVAL)
    if (record.code >= SI_USER or record.code == SI_TKILL) and tid != task.tid:
        raise LinuxError(EPERM)
    target = _thread(task, tgid, tid)
    _check_number(signo)
    check_permission(task, target, signo)
    if signo:
        send_task(target, record)
    return 0


def read_sigset(task: Task, addr: int, size: int) -> int | None:
    """The mask argument of ppoll, pselect6, epoll_pwait: None without one.  EINVAL for another size; EFAULT."""
    if not addr:
        return None
    if size != SIGSET_SIZE:
        raise LinuxError(EINVAL)
    return int(struct.unpack("<Q", task.mem.read(addr, 8))[0]) & ~UNBLOCKABLE
