"""pylx as a process of a Linux host: its signals, its end, its stops."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from types import FrameType
else:
    import _signal  # without the enumerations of signal, which cost 4 ms

SIGKILL, SIGPIPE, SIGCHLD, SIGSTOP, SIGTTIN, SIGTTOU, SIGXFSZ = 9, 13, 17, 19, 21, 22, 25
_FAULTS = {4, 5, 7, 8, 11, 31}  # SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS: pylx's own bugs
_LIBC = {32, 33}  # the C library's own, for threads
_NOT_FORWARDED = _FAULTS | _LIBC | {SIGKILL, SIGSTOP, SIGPIPE, SIGCHLD, SIGTTIN, SIGTTOU, SIGXFSZ}
"""SIGXFSZ stays ignored, as the interpreter has it: writes fail with EFBIG, and the kernel sends the guest's own.
SIGTTIN and SIGTTOU are ignored: caught, they would make terminal calls fail with EINTR for ever."""
_PR_SET_DUMPABLE = 4


def _noted(_signal_number: int, _frame: FrameType | None) -> None:
    """Nothing: the C handler has written the number to the poller's pipe, where poll() finds it."""


def hold_standard_numbers() -> list[int]:
    """The standard streams that pylx was started without; their numbers get /dev/null, so that no descriptor of
    pylx's own is taken for one of them."""
    closed = []
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            closed.append(number)
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    return closed


def ignored_signals() -> list[int]:
    """SIGPIPE and SIGXFSZ cannot be told: the interpreter ignores them before anything else runs.  The C library's own
    two cannot be asked for, and are ignored in children of posix_spawn(3), so of make."""
    return [number for number in range(1, 65) if number not in _LIBC | {SIGPIPE, SIGXFSZ}
            and _signal.getsignal(number) == _signal.SIG_IGN] + _ignored_of_libc()


def _ignored_of_libc() -> list[int]:
    try:
        with open("/proc/self/status", "rb", buffering=0) as file:
            mask = int(file.read(4096).partition(b"SigIgn:")[2].split(None, 1)[0], 16)
    except (OSError, ValueError, IndexError):
        return []
    return [number for number in sorted(_LIBC) if mask >> number - 1 & 1]


def catch_signals(wakeup_fd: int) -> None:
    for number in range(1, 65):
        if number not in _NOT_FORWARDED:
            _signal.signal(number, _noted)
    for number in (SIGPIPE, SIGTTIN, SIGTTOU):
        _signal.signal(number, _signal.SIG_IGN)
    _signal.set_wakeup_fd(wakeup_fd, warn_on_full_buffer=False)


def ignore_signals() -> None:
    """All that can be: for a child process that nothing but its work's end shall end."""
    _signal.set_wakeup_fd(-1)
    for number in range(1, 65):
        if number not in _LIBC | {SIGKILL, SIGSTOP}:
            _signal.signal(number, _signal.SIG_IGN)


def fork_unheard() -> int:
    """fork; the child begins with all signals blocked, so that none ends it before it can ignore them."""
    before = _signal.pthread_sigmask(_signal.SIG_SETMASK, _signal.valid_signals())
    pid = 0
    try:
        pid = os.fork()
    finally:
        if pid:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
    return pid


def stop_self(number: int) -> None:
    if number == SIGSTOP:
        os.kill(os.getpid(), SIGSTOP)
        return
    before = _signal.signal(number, _signal.SIG_DFL)
    try:
        # A stop is taken as soon as kill returns to user mode: by the time the next line runs, pylx was continued,
        # or the signal had no effect, as in an orphaned process group.
        os.kill(os.getpid(), number)
    finally:
        _signal.signal(number, before)


def die_of(number: int) -> None:
    _forbid_core()
    if 0 < number < 65:
        if number not in _LIBC | {SIGKILL, SIGSTOP}:
            _signal.signal(number, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
    # Signals that do not kill by default, and a process 1, which no signal of its own kills.
    os._exit(128 + number)


def _forbid_core() -> None:
    import resource

    from translator.hosts.linux_calls import libc
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # for a core_pattern that is a pipe, which no limit holds back


def signal_others(number: int) -> None:
    """Send a signal to pylx's process group; pylx itself ignores it at that moment."""
    before = _signal.signal(number, _signal.SIG_IGN)
    try:
        os.killpg(0, number)
    finally:
        _signal.signal(number, before)
