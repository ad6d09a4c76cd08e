"""Signals: numbers, codes, flags and layouts (include/uapi/asm-generic/signal*.h, arch/x86/include/uapi/asm)."""

from __future__ import annotations

import struct

(SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE,
 SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGXCPU, SIGXFSZ,
 SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR, SIGSYS) = range(1, 32)
SIGPOLL = SIGIO
SIGRTMIN, SIGRTMAX = 32, 64

NAMES = {value: name for name, value in list(globals().items())
         if name.startswith("SIG") and name not in ("SIGPOLL", "SIGRTMIN", "SIGRTMAX")}

SIG_DFL, SIG_IGN = 0, 1
SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK = 0, 1, 2

SA_NOCLDSTOP = 0x1
SA_NOCLDWAIT = 0x2
SA_SIGINFO = 0x4
SA_UNSUPPORTED = 0x400
SA_EXPOSE_TAGBITS = 0x800
SA_RESTORER = 0x04000000
SA_ONSTACK = 0x08000000
SA_RESTART = 0x10000000
SA_NODEFER = 0x40000000
SA_RESETHAND = 0x80000000
SA_KNOWN = (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_EXPOSE_TAGBITS | SA_RESTORER | SA_ONSTACK | SA_RESTART
            | SA_NODEFER | SA_RESETHAND)
"""UAPI_SA_FLAGS: other bits are cleared, so that a program can ask which ones exist."""

SS_ONSTACK, SS_DISABLE = 1, 2
SS_AUTODISARM = 1 << 31
MINSIGSTKSZ = 2048

# si_code.
SI_USER, SI_KERNEL = 0, 0x80
SI_QUEUE, SI_TIMER, SI_MESGQ, SI_ASYNCIO, SI_SIGIO, SI_TKILL = -1, -2, -3, -4, -5, -6
ILL_ILLOPC, ILL_ILLOPN = 1, 2
FPE_INTDIV, FPE_INTOVF, FPE_FLTDIV, FPE_FLTOVF, FPE_FLTUND, FPE_FLTRES, FPE_FLTINV = range(1, 8)
SEGV_MAPERR, SEGV_ACCERR = 1, 2
BUS_ADRALN, BUS_ADRERR = 1, 2
TRAP_BRKPT, TRAP_TRACE, TRAP_HWBKPT = 1, 2, 4
CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED = range(1, 7)
POLL_IN, POLL_OUT, POLL_MSG, POLL_ERR, POLL_PRI, POLL_HUP = range(1, 7)


def bit(signo: int) -> int:
    """The bit of a signal in a mask."""
    return 1 << (signo - 1)


def bits(*signals: int) -> int:
    mask = 0
    for signo in signals:
        mask |= 1 << (signo - 1)
    return mask


ALL = (1 << 64) - 1
UNBLOCKABLE = bits(SIGKILL, SIGSTOP)
STOPPING = bits(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU)
IGNORED_BY_DEFAULT = bits(SIGCONT, SIGCHLD, SIGWINCH, SIGURG)
DUMPING = bits(SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGXCPU, SIGXFSZ)
SYNCHRONOUS = bits(SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS)
"""Delivered first, so that the frame shows the instruction that caused them."""

SIGACTION = struct.Struct("<QQQQ")
"""struct sigaction of the kernel: handler, flags, restorer, mask."""
STACK_T = struct.Struct("<QI4xQ")
"""stack_t: ss_sp, ss_flags, ss_size."""
