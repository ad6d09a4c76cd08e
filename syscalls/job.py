"""Process groups and sessions: membership, orphans, and what a parent is told about its children.

Mirrors the job-control half of kernel/exit.c and kernel/signal.c.
"""

from __future__ import annotations

from syscalls.abi.process import CONTINUED_STATUS
from syscalls.abi.signal import (
    CLD_CONTINUED,
    CLD_DUMPED,
    CLD_EXITED,
    CLD_KILLED,
    CLD_STOPPED,
    SA_NOCLDSTOP,
    SA_NOCLDWAIT,
    SI_KERNEL,
    SIG_IGN,
    SIGCHLD,
    SIGCONT,
    SIGHUP,
)
from syscalls.abi.time import TICK_NS
from syscalls.siginfo import SigInfo
from syscalls.signals import send_group, send_pgrp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.kernel import Kernel
    from syscalls.task import ProcessGroup, ThreadGroup


def join_pgrp(group: ThreadGroup, pgrp: ProcessGroup) -> None:
    """Move a process to another process group; an empty old one disappears."""
    if group.pgrp is pgrp:
        return
    leave_pgrp(group)
    group.pgrp = pgrp
    pgrp.members.add(group)


def leave_pgrp(group: ThreadGroup) -> None:
    kernel = group.kernel
    pgrp = group.pgrp
    pgrp.members.discard(group)
    if not pgrp.members:
        if kernel.process_groups.get(pgrp.pgid) is pgrp:
            del kernel.process_groups[pgrp.pgid]
        _drop_from_session(kernel, pgrp)


def _drop_from_session(kernel: Kernel, pgrp: ProcessGroup) -> None:
    session = pgrp.session
    session.groups.discard(pgrp)
    if not session.groups and kernel.sessions.get(session.sid) is session:
        del kernel.sessions[session.sid]


def is_orphaned(pgrp: ProcessGroup, leaving: ThreadGroup | None = None) -> bool:
    """Whether nobody in the session could continue a stopped group: no member has a parent in another group of the
    same session.  `leaving` is left out (will_become_orphaned_pgrp).  The first process's parent counts as one: it is
    the shell outside, as long as the process is still in the session it started in."""
    kernel = None
    for group in pgrp.members:
        if group is leaving or group.ended:
            continue
        parent = group.parent
        if parent is None:
            kernel = group.kernel
            if group is kernel.init and pgrp.session.sid != group.pid:
                return False
            continue
        if parent.pgrp is not pgrp and parent.session is pgrp.session and not parent.ended:
            return False
    return True


def has_stopped_jobs(pgrp: ProcessGroup) -> bool:
    return any(group.signals.stopped for group in pgrp.members if not group.ended)


def kill_orphaned(group: ThreadGroup, parent: ThreadGroup | None, leaving: bool) -> None:
    """`group` loses its parent `parent` (or ends itself, `leaving`): if that orphans its process group and a member
    is stopped, the group gets SIGHUP and SIGCONT (kill_orphaned_pgrp; POSIX.1 _exit)."""
    pgrp = group.pgrp
    if parent is None or parent.pgrp is pgrp or parent.session is not pgrp.session:
        return
    if is_orphaned(pgrp, group if leaving else None) and has_stopped_jobs(pgrp):
        send_pgrp(pgrp, SigInfo(SIGHUP, SI_KERNEL))
        send_pgrp(pgrp, SigInfo(SIGCONT, SI_KERNEL))


def child_info(group: ThreadGroup, signo: int, code: int, status: int) -> SigInfo:
    """The siginfo of SIGCHLD."""
    from syscalls.accounting import group_cpu_ns, group_system_ns
    system = group_system_ns(group)
    return SigInfo(signo, code, group.pid, group.leader.cred.uid, status=status,
                   utime=(group_cpu_ns(group) - system) // TICK_NS, stime=system // TICK_NS)


def notify_parent_of_stop(group: ThreadGroup, stopped: bool | None = None) -> None:
    """SIGCHLD for a stop or a continue (do_notify_parent_cldstop).  stopped None: what stop_status says."""
    parent = group.parent
    status = group.stop_status
    if stopped is None:
        stopped = status != CONTINUED_STATUS
    if parent is None:
        kernel = group.kernel
        if stopped and group is kernel.init and kernel.first_stopped is not None:
            kernel.first_stopped(status >> 8 & 0x7F)
        return
    action = parent.leader.handlers.get(SIGCHLD)
    if action.handler != SIG_IGN and not action.flags & SA_NOCLDSTOP:
        if stopped:
            info = child_info(group, SIGCHLD, CLD_STOPPED, status >> 8 & 0x7F)
        else:
            info = child_info(group, SIGCHLD, CLD_CONTINUED, SIGCONT)
        send_group(parent, info)
    parent.child_event.wake()


def notify_parent_of_exit(group: ThreadGroup) -> bool:
    """Tell the parent that a process has ended (do_notify_parent).  True: nobody will wait for it, reap it now."""
    parent = group.parent
    signo = group.exit_signal
    if parent is None:
        return True
    status = group.exit_status
    if status & 0x7F:
        info = child_info(group, signo, CLD_DUMPED if status & 0x80 else CLD_KILLED, status & 0x7F)
    else:
        info = child_info(group, signo, CLD_EXITED, status >> 8 & 0xFF)
    autoreap = False
    if signo == SIGCHLD:
        action = parent.leader.handlers.get(SIGCHLD)
        if action.handler == SIG_IGN:
            autoreap = True
            signo = 0
        elif action.flags & SA_NOCLDWAIT:
            autoreap = True
    if signo:
        send_group(parent, info)
    parent.child_event.wake()
    return autoreap
