"""ioctls of terminals (man 2 ioctl_tty): drivers/tty/tty_io.c, tty_ioctl.c, n_tty.c, pty.c.

`tty` is what the descriptor refers to by way of job control, `real` the terminal that has the settings: for a pty
master that is its slave, for everything else the same.
"""

from __future__ import annotations

from syscalls.abi.errno import EFAULT, EINVAL, EIO, ENOTTY, EPERM, LinuxError
from syscalls.abi.ioctl import (
    FIONREAD,
    TCFLSH,
    TCGETA,
    TCGETS,
    TCGETS2,
    TCSBRK,
    TCSBRKP,
    TCSETA,
    TCSETAF,
    TCSETAW,
    TCSETS,
    TCSETS2,
    TCSETSF,
    TCSETSF2,
    TCSETSW,
    TCSETSW2,
    TCXONC,
    TIOCCBRK,
    TIOCEXCL,
    TIOCGDEV,
    TIOCGETD,
    TIOCGEXCL,
    TIOCGLCKTRMIOS,
    TIOCGPGRP,
    TIOCGSID,
    TIOCGSOFTCAR,
    TIOCGWINSZ,
    TIOCNOTTY,
    TIOCNXCL,
    TIOCOUTQ,
    TIOCSBRK,
    TIOCSCTTY,
    TIOCSETD,
    TIOCSLCKTRMIOS,
    TIOCSPGRP,
    TIOCSSOFTCAR,
    TIOCSTI,
    TIOCSWINSZ,
    TIOCVHANGUP,
)
from syscalls.abi.tty import (
    CREAD,
    CS8,
    CSIZE,
    PARENB,
    TCIFLUSH,
    TCIOFF,
    TCIOFLUSH,
    TCION,
    TCOFLUSH,
    TCOOFF,
    TCOON,
    TERMIO,
    TERMIOS,
    TERMIOS2,
    VSTART,
    VSTOP,
    WINSIZE,
    Termios,
)
from syscalls.credentials import CAP_SYS_ADMIN
from syscalls.ctty import (
    check_change,
    get_foreground,
    get_session,
    give_up,
    set_foreground,
    take_controlling,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fd import FileDescription
    from syscalls.task import Task
    from syscalls.tty import Tty

N_TTY = 0
CLOCAL = 0o4000
_SETTERS = {TCSETS: 0, TCSETSW: 1, TCSETSF: 2, TCSETA: 0, TCSETAW: 1, TCSETAF: 2, TCSETS2: 0, TCSETSW2: 1, TCSETSF2: 2}
"""TCSETS and its variants: 1 waits for output to drain, 2 also drops unread input."""


def tty_ioctl(task: Task, file: FileDescription, tty: Tty | None, real: Tty, code: int, arg: int) -> int:
    """`tty` is None for a pty master.  EIO after a hangup, ENOTTY for what terminals do not have."""
    if tty is not None and getattr(file, "hung_up", False):
        raise LinuxError(ENOTTY if code == TIOCSPGRP else EIO)
    handler = _HANDLERS.get(code)
    if handler is not None:
        return handler(task, file, tty, real, arg)
    if code in _SETTERS:
        return _set_termios(task, tty, real, code, arg)
    raise LinuxError(ENOTTY)


def _changing(task: Task, tty: Tty | None) -> None:
    """Changes come from the foreground; a master is nobody's controlling terminal."""
    if tty is not None:
        check_change(task, tty)


# --- settings

def _get_termios(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    task.mem.write(arg, real.termios.pack())
    return 0


def _get_termios2(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    task.mem.write(arg, real.termios.pack2())
    return 0


def _get_termio(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    task.mem.write(arg, real.termios.pack_termio()[:17])
    return 0


def _set_termios(task: Task, tty: Tty | None, real: Tty, code: int, arg: int) -> int:
    """set_termios: no hardware that could refuse: character size and parity stay those of a pty."""
    _changing(task, tty)
    if code in {TCSETA, TCSETAW, TCSETAF}:
        new = Termios.unpack_termio(task.mem.read(arg, TERMIO.size - 1) + b"\0", real.termios)
    elif code in {TCSETS2, TCSETSW2, TCSETSF2}:
        new = Termios.unpack2(task.mem.read(arg, TERMIOS2.size))
    else:
        new = Termios.unpack(task.mem.read(arg, TERMIOS.size), real.termios)
    new.cflag = new.cflag & ~(CSIZE | PARENB) | CS8 | CREAD
    new.line = real.termios.line
    if _SETTERS[code] == 2:
        real.backlog.clear()
        real.ldisc.flush_input()
    if tty is not None and not new.same(real.termios):
        tty.wants_input()
    real.set_termios(new)
    return 0


def _get_locked(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    task.mem.write(arg, bytes(TERMIOS.size))
    return 0


def _set_locked(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    """Locks on settings are for serial lines with modems: only the empty set can be set."""
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    if any(task.mem.read(arg, TERMIOS.size)):
        task.kernel.gap(task, "ioctl", TIOCSLCKTRMIOS)
        raise LinuxError(EINVAL)
    return 0


def _get_soft_carrier(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    task.mem.put_u32(arg, 1 if real.termios.cflag & CLOCAL else 0)
    return 0


def _set_soft_carrier(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    new = real.termios.copy()
    new.cflag = new.cflag & ~CLOCAL | (CLOCAL if task.mem.u32(arg) else 0)
    real.set_termios(new)
    return 0


# --- size

def _get_size(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    task.mem.write(arg, real.packed_winsize())
    return 0


def _set_size(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    rows, columns, x, y = WINSIZE.unpack(task.mem.read(arg, WINSIZE.size))
    if real.set_winsize((rows, columns, x, y)):
        real.resized()
    return 0


# --- queues and flow

def _send_break(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    """There is no line to send a break on; TCSBRK with an argument is tcdrain(3): output arrives at once."""
    _changing(task, tty)
    return 0


def _break(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    return 0


def _flow(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    """tcflow(3)."""
    _changing(task, tty)
    arg &= 0xFFFFFFFFFFFFFFFF
    if arg == TCOOFF:
        if not real.flow_stopped:
            real.flow_stopped = True
            real.stop()
    elif arg == TCOON:
        if real.flow_stopped:
            real.flow_stopped = False
            real.start()
    elif arg in {TCIOFF, TCION}:
        character = real.termios.cc[VSTOP if arg == TCIOFF else VSTART]
        if character:
            real.output(bytes((character,)))
    else:
        raise LinuxError(EINVAL)
    return 0


def _flush(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    """tcflush(3)."""
    _changing(task, tty)
    if arg not in {TCIFLUSH, TCOFLUSH, TCIOFLUSH}:
        raise LinuxError(EINVAL)
    if arg != TCOFLUSH:
        real.backlog.clear()
        real.ldisc.flush_input()
    if arg != TCIFLUSH:
        real.flush_output()
    return 0


def _input_count(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    if tty is not None:
        tty.wants_input()
    task.mem.put_u32(arg, real.ldisc.count())
    return 0


def _output_count(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    task.mem.put_u32(arg, real.output_pending())
    return 0


def _simulate_input(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    """TIOCSTI is off in current kernels (dev.tty.legacy_tiocsti = 0), for good reasons."""
    raise LinuxError(EIO)


# --- sessions

def _get_pgrp(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    task.mem.put_u32(arg, get_foreground(task, real, tty is None))
    return 0


def _set_pgrp(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    try:
        check_change(task, real)
    except LinuxError as error:
        if error.errno == EIO:
            raise LinuxError(ENOTTY) from None
        raise
    pgid = task.mem.s32(arg)
    set_foreground(task, real, pgid)
    if tty is not None and pgid != task.group.pgrp.pgid:
        tty.wants_input()
    return 0


def _get_sid(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    task.mem.put_u32(arg, get_session(task, real, tty is None))
    return 0


def _take(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    if tty is None:
        raise LinuxError(EPERM)
    take_controlling(task, tty, file, arg)
    return 0


def _give_up(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    if tty is None:
        raise LinuxError(ENOTTY)
    give_up(task, tty)
    return 0


def _vhangup(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    real.hangup()
    return 0


# --- the rest

def _exclusive(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    real.exclusive = True
    return 0


def _not_exclusive(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    real.exclusive = False
    return 0


def _get_exclusive(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    task.mem.put_u32(arg, real.exclusive)
    return 0


def _get_discipline(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    task.mem.put_u32(arg, N_TTY)
    return 0


def _set_discipline(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    """N_TTY is the only one."""
    if task.mem.s32(arg) != N_TTY:
        raise LinuxError(EINVAL)
    return 0


def _get_device(task: Task, file: FileDescription, tty: Tty | None, real: Tty, arg: int) -> int:
    if not arg:
        raise LinuxError(EFAULT)
    task.mem.put_u32(arg, real.device)
    return 0


_HANDLERS = {
    TCGETS: _get_termios, TCGETS2: _get_termios2, TCGETA: _get_termio,
    TIOCGLCKTRMIOS: _get_locked, TIOCSLCKTRMIOS: _set_locked,
    TIOCGSOFTCAR: _get_soft_carrier, TIOCSSOFTCAR: _set_soft_carrier,
    TIOCGWINSZ: _get_size, TIOCSWINSZ: _set_size,
    TCSBRK: _send_break, TCSBRKP: _send_break, TIOCSBRK: _break, TIOCCBRK: _break,
    TCXONC: _flow, TCFLSH: _flush, FIONREAD: _input_count, TIOCOUTQ: _output_count, TIOCSTI: _simulate_input,
    TIOCGPGRP: _get_pgrp, TIOCSPGRP: _set_pgrp, TIOCGSID: _get_sid, TIOCSCTTY: _take, TIOCNOTTY: _give_up,
    TIOCVHANGUP: _vhangup, TIOCEXCL: _exclusive, TIOCNXCL: _not_exclusive, TIOCGEXCL: _get_exclusive,
    TIOCGETD: _get_discipline, TIOCSETD: _set_discipline, TIOCGDEV: _get_device,
}
