"""pylx as a process of any host: signals by their names, its end, its stops."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

_LINUX_NAMES = """SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE
SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF
SIGWINCH SIGIO SIGPWR SIGSYS""".split()
"""Each stands at its number less one (asm-generic/signal.h)."""

_TO_HOST = {number: int(getattr(signal, name)) for number, name in enumerate(_LINUX_NAMES, 1) if hasattr(signal, name)}
_TO_LINUX = {host: number for number, host in _TO_HOST.items()}
if sys.platform == "win32":
    _TO_LINUX[int(signal.SIGBREAK)] = 3  # Control-Break: SIGQUIT, the other key that ends a program

_NOT_CAUGHT = {"SIGILL", "SIGTRAP", "SIGBUS", "SIGFPE", "SIGSEGV", "SIGSYS", "SIGKILL", "SIGSTOP", "SIGPIPE",
               "SIGCHLD", "SIGTTIN", "SIGTTOU", "SIGXFSZ"}
"""pylx's own faults, what cannot be caught, what the interpreter ignores, and the terminal's two: caught, these
would make terminal calls fail with EINTR for ever."""


def linux_signal(number: int) -> int:
    return _TO_LINUX.get(number, number)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """Nothing: the C handler has written the number to the poller's socket, where poll() finds it."""


def hold_standard_numbers() -> list[int]:
    """The standard streams that pylx was started without; their numbers get the null device."""
    closed = []
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            closed.append(number)
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    return closed


def ignored_signals() -> list[int]:
    return [number for number, host in _TO_HOST.items()
            if _LINUX_NAMES[number - 1] not in {"SIGPIPE", "SIGXFSZ", "SIGKILL", "SIGSTOP"}
            and signal.getsignal(host) == signal.SIG_IGN]


def catch_signals(wakeup_fd: int) -> None:
    for host, number in _TO_LINUX.items():
        if _LINUX_NAMES[number - 1] not in _NOT_CAUGHT:
            signal.signal(host, _noted)
    if sys.platform != "win32":
        for host in (signal.SIGTTIN, signal.SIGTTOU):
            signal.signal(host, signal.SIG_IGN)
    signal.set_wakeup_fd(wakeup_fd, warn_on_full_buffer=False)


def ignore_signals() -> None:
    """All that can be: for a child process that nothing but its work's end shall end."""
    signal.set_wakeup_fd(-1)
    for number, host in _TO_HOST.items():
        if _LINUX_NAMES[number - 1] not in {"SIGKILL", "SIGSTOP"}:
            signal.signal(host, signal.SIG_IGN)


if sys.platform != "win32":
    def fork_unheard() -> int:
        """fork; the child begins with all signals blocked, so that none ends it before it can ignore them."""
        before = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        pid = 0
        try:
            pid = os.fork()
        finally:
            if pid:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid


def stop_self(number: int) -> None:
    if sys.platform == "win32":
        return  # nobody's job control is there to see it
    else:
        host = _TO_HOST[number]
        if host == signal.SIGSTOP:
            os.kill(os.getpid(), host)
            return
        before = signal.signal(host, signal.SIG_DFL)
        try:
            os.kill(os.getpid(), host)
        finally:
            signal.signal(host, before)


def die_of(number: int) -> None:
    if sys.platform != "win32" and number in _TO_HOST:
        import resource
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        host = _TO_HOST[number]
        if host not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(host, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [host])
        os.kill(os.getpid(), host)
    os._exit(128 + number)


def signal_others(number: int) -> None:
    """Send a signal to pylx's process group; pylx itself ignores it at that moment."""
    if sys.platform != "win32" and number in _TO_HOST:
        host = _TO_HOST[number]
        before = signal.signal(host, signal.SIG_IGN)
        try:
            os.killpg(os.getpgrp(), host)
        finally:
            signal.signal(host, before)
