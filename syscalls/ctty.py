"""Controlling terminals and job control (drivers/tty/tty_jobctrl.c), and hanging up (__tty_hangup)."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EIO, ENOTTY, EPERM, ESRCH, LinuxError
from syscalls.abi.signal import SI_KERNEL, SI_USER, SIG_IGN, SIGCONT, SIGHUP, SIGTTIN, SIGTTOU, bit
from syscalls.credentials import CAP_SYS_ADMIN
from syscalls.siginfo import SigInfo
from syscalls.wait import RESTART_SYS, Interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fd import FileDescription
    from syscalls.task import ProcessGroup, Session, Task
    from syscalls.tty import Tty, TtyFile


def controlling_tty(task: Task) -> Tty | None:
    """The terminal of the task's session (current->signal->tty)."""
    return task.group.session.tty


def is_leader(task: Task) -> bool:
    """Whether the task's process leads its session."""
    return task.group.session.sid == task.group.pid


def _kill(pgrp: ProcessGroup | None, signo: int, code: int = SI_KERNEL) -> None:
    if pgrp is not None and pgrp.members:
        from syscalls.signals import send_pgrp
        send_pgrp(pgrp, SigInfo(signo, code))


def check_change(task: Task, tty: Tty, signo: int = SIGTTOU) -> None:
    """A background process reads, or changes the terminal (__tty_check_change).

    EIO: the signal would not stop it, for a read (SIGTTIN); or its group is orphaned.  Otherwise its group gets the
    signal and the call is begun again after that: Interrupted.  Nothing for a process in the foreground, or when a
    change by SIGTTOU is ignored."""
    session = task.group.session
    if session.tty is not tty:
        return
    foreground = tty.foreground()
    pgrp = task.group.pgrp
    if foreground is None or pgrp is foreground:
        return
    if task.signals.mask & bit(signo) or task.handlers.get(signo).handler == SIG_IGN:
        if signo == SIGTTIN:
            raise LinuxError(EIO)
        return
    if tty.nobody_continues(pgrp):
        raise LinuxError(EIO)
    _kill(pgrp, signo)
    raise Interrupted(RESTART_SYS)


def set_controlling(task: Task, tty: Tty) -> None:
    """__proc_set_tty: `tty` becomes the terminal of the task's session, its group the foreground one."""
    session = task.group.session
    tty.session = session
    tty.pgrp = task.group.pgrp
    session.tty = tty


def open_sets_controlling(task: Task, tty: Tty, file: TtyFile) -> None:
    """An open without O_NOCTTY gives a session leader without a terminal this one (tty_open_proc_set_tty)."""
    if is_leader(task) and task.group.session.tty is None and tty.session is None and file.readable:
        set_controlling(task, tty)


def take_controlling(task: Task, tty: Tty, file: FileDescription, force: int) -> None:
    """TIOCSCTTY (tiocsctty).  EPERM."""
    session = task.group.session
    if is_leader(task) and tty.session is session:
        return
    if not is_leader(task) or session.tty is not None:
        raise LinuxError(EPERM)
    if tty.session is not None:
        if force != 1 or not task.cred.capable(CAP_SYS_ADMIN):
            raise LinuxError(EPERM)
        clear_session(tty)
    if not file.readable and not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    set_controlling(task, tty)


def clear_session(tty: Tty) -> None:
    """The terminal's session has no terminal any more."""
    session = tty.session
    if session is not None and session.tty is tty:
        session.tty = None
    tty.session = None
    tty.pgrp = None


def give_up(task: Task, tty: Tty) -> None:
    """TIOCNOTTY.  ENOTTY when it is not the caller's terminal."""
    if controlling_tty(task) is not tty:
        raise LinuxError(ENOTTY)
    if is_leader(task):
        disassociate(task.group.session)


def get_foreground(task: Task, tty: Tty, from_master: bool) -> int:
    """TIOCGPGRP (tiocgpgrp): 0 when there is none."""
    if not from_master and controlling_tty(task) is not tty:
        raise LinuxError(ENOTTY)
    pgrp = tty.foreground()
    return pgrp.pgid if pgrp is not None else 0


def set_foreground(task: Task, tty: Tty, pgid: int) -> None:
    """TIOCSPGRP (tiocspgrp).  EINVAL, ENOTTY, ESRCH, EPERM."""
    if pgid < 0:
        raise LinuxError(EINVAL)
    session = task.group.session
    if session.tty is not tty or tty.session is not session:
        raise LinuxError(ENOTTY)
    pgrp = task.kernel.process_groups.get(pgid)
    if pgrp is None:
        raise LinuxError(ESRCH)
    if pgrp.session is not session:
        raise LinuxError(EPERM)
    tty.pgrp = pgrp


def get_session(task: Task, tty: Tty, from_master: bool) -> int:
    """TIOCGSID."""
    if (not from_master and controlling_tty(task) is not tty) or tty.session is None:
        raise LinuxError(ENOTTY)
    return tty.session.sid


def disassociate(session: Session, *, on_exit: bool = False) -> None:
    """The session leader lets go of the terminal, or ends (disassociate_ctty): the foreground group is told by SIGHUP,
    and by SIGCONT so that a stopped one hears it."""
    tty = session.tty
    if tty is None:
        if on_exit and session.hung_up_pgrp is not None:
            # The terminal went first: now that the leader has gone too, the group that was in the foreground.
            told, session.hung_up_pgrp = session.hung_up_pgrp, None
            _kill(told, SIGHUP)
            _kill(told, SIGCONT)
        return
    pgrp = tty.pgrp
    clear_session(tty)
    _kill(pgrp, SIGHUP, SI_KERNEL if on_exit else SI_USER)
    if not on_exit:
        _kill(pgrp, SIGCONT, SI_USER)


def leader_exits(task: Task) -> None:
    """To be called when the last thread of a process ends: only session leaders mind."""
    session = task.group.session
    if session.sid == task.group.pid:
        disassociate(session, on_exit=True)


def hangup(tty: Tty) -> None:
    """The session leader gets SIGHUP and SIGCONT, the session loses its terminal, and who has it open finds it at its
    end (__tty_hangup)."""
    for file in list(tty.files):
        file.hung_up = True
    tty.files.clear()
    session, pgrp = tty.session, tty.pgrp
    if session is not None:
        clear_session(tty)
        leader = tty.kernel.groups.get(session.sid)
        if leader is not None and leader.session is session:
            session.hung_up_pgrp = pgrp
            from syscalls.signals import send_group
            send_group(leader, SigInfo(SIGHUP, SI_KERNEL))
            send_group(leader, SigInfo(SIGCONT, SI_KERNEL))
        else:
            # The leader is outside of the guests: its part, telling its jobs, is done for it.
            _kill(pgrp, SIGHUP)
            _kill(pgrp, SIGCONT)
    tty.stopped = tty.flow_stopped = False
    tty.ldisc.flush_input()
    tty.backlog.clear()
    tty.termios = tty.initial_termios.copy()
    tty.ldisc.set_termios(tty.termios, None)
    tty.wake_all()
