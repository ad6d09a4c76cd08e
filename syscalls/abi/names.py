"""Symbolic names of flags and signals, for the trace: read from the constants of the other abi modules."""

from __future__ import annotations

FLAG_SETS = {
    "OpenFlags": ("fs", "O_"),
    "AtFlags": ("fs", "AT_"),
    "AccessMode": ("fs", "R_OK W_OK X_OK"),
    "FlockOperation": ("fs", "LOCK_"),
    "FallocateFlags": ("fs", "FALLOC_FL_"),
    "XattrFlags": ("fs", "XATTR_CREATE XATTR_REPLACE"),
    "MountFlags": ("fs", "MS_"),
    "UmountFlags": ("fs", "MNT_ UMOUNT_"),
    "StatxMask": ("fs", "STATX_"),
    "RenameFlags": ("fs", "RENAME_"),
    "MmapFlags": ("mm", "MAP_"),
    "ProtFlags": ("mm", "PROT_"),
    "MremapFlags": ("mm", "MREMAP_"),
    "MsyncFlags": ("mm", "MS_"),
    "SocketType": ("net", "SOCK_NONBLOCK SOCK_CLOEXEC"),
    "MsgFlags": ("net", "MSG_"),
    "CloneFlags": ("process", "CLONE_"),
    "WaitFlags": ("process", "WNOHANG WUNTRACED WCONTINUED WEXITED WNOWAIT __W"),
    "GrndFlags": ("process", "GRND_"),
    "EpollFlags": ("poll", "EPOLL_CLOEXEC"),
    "EventfdFlags": ("poll", "EFD_"),
    "TimerfdFlags": ("poll", "TFD_"),
    "SignalfdFlags": ("poll", "SFD_"),
    "InotifyFlags": ("poll", "IN_NONBLOCK IN_CLOEXEC"),
    "InotifyMask": ("poll", "IN_"),
}
"""Bit set (the T of Flags[T] in a declaration) -> (module of syscalls.abi, prefixes of its constants)."""

CHOICES = {
    "AddressFamily": ("net", "AF_"),
    "SocketKind": ("net", "SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET"),
    "Whence": ("fs", "SEEK_"),
    "SigmaskHow": ("signal", "SIG_BLOCK SIG_UNBLOCK SIG_SETMASK"),
    "Madvice": ("mm", "MADV_"),
    "PrctlOption": ("process", "PR_"),
    "IoctlCode": ("ioctl", "TC TIO FIO SIO"),
}
"""One of several values, from constants of an abi module."""

_FUTEX = ("WAIT WAKE FD REQUEUE CMP_REQUEUE WAKE_OP LOCK_PI UNLOCK_PI TRYLOCK_PI WAIT_BITSET WAKE_BITSET "
          "WAIT_REQUEUE_PI CMP_REQUEUE_PI LOCK_PI2").split(" ")
VALUES = {
    "FcntlCommand": dict(enumerate(
        ("F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_SETOWN F_GETOWN F_SETSIG F_GETSIG - - - "
         "F_SETOWN_EX F_GETOWN_EX").split(" "))) | {
        36: "F_OFD_GETLK", 37: "F_OFD_SETLK", 38: "F_OFD_SETLKW", 1024: "F_SETLEASE", 1025: "F_GETLEASE",
        1026: "F_NOTIFY", 1027: "F_DUPFD_QUERY", 1030: "F_DUPFD_CLOEXEC", 1031: "F_SETPIPE_SZ", 1032: "F_GETPIPE_SZ",
        1033: "F_ADD_SEALS", 1034: "F_GET_SEALS"},
    "ArchPrctlCode": {0x1001: "ARCH_SET_GS", 0x1002: "ARCH_SET_FS", 0x1003: "ARCH_GET_FS", 0x1004: "ARCH_GET_GS",
                      0x1011: "ARCH_GET_CPUID", 0x1012: "ARCH_SET_CPUID", 0x3001: "ARCH_CET_STATUS"},
    "RlimitResource": dict(enumerate(
        ("RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC RLIMIT_NOFILE "
         "RLIMIT_MEMLOCK RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO "
         "RLIMIT_RTTIME").split(" "))),
    "FutexOperation": {number | flags: f"FUTEX_{name}{text}" for number, name in enumerate(_FUTEX)
                       for flags, text in ((0, ""), (128, "_PRIVATE"), (256, "|FUTEX_CLOCK_REALTIME"),
                                           (384, "_PRIVATE|FUTEX_CLOCK_REALTIME"))},
    "EpollOperation": {1: "EPOLL_CTL_ADD", 2: "EPOLL_CTL_DEL", 3: "EPOLL_CTL_MOD"},
    "ShutdownHow": {0: "SHUT_RD", 1: "SHUT_WR", 2: "SHUT_RDWR"},
    "Fadvice": dict(enumerate(
        ("POSIX_FADV_NORMAL POSIX_FADV_RANDOM POSIX_FADV_SEQUENTIAL POSIX_FADV_WILLNEED POSIX_FADV_DONTNEED "
         "POSIX_FADV_NOREUSE").split(" "))),
    "ClockId": dict(enumerate(
        ("CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_THREAD_CPUTIME_ID CLOCK_MONOTONIC_RAW "
         "CLOCK_REALTIME_COARSE CLOCK_MONOTONIC_COARSE CLOCK_BOOTTIME CLOCK_REALTIME_ALARM CLOCK_BOOTTIME_ALARM - "
         "CLOCK_TAI").split(" "))),
}
"""One of several values that no abi module has constants for."""

ARGUMENTS = {
    "mmap.prot": "ProtFlags", "mprotect.prot": "ProtFlags", "pkey_mprotect.prot": "ProtFlags",
    "mmap.flags": "MmapFlags", "mremap.flags": "MremapFlags", "msync.flags": "MsyncFlags",
    "madvise.advice": "Madvice", "statx.mask": "StatxMask", "renameat2.flags": "RenameFlags",
    "socket.domain": "AddressFamily", "socketpair.domain": "AddressFamily", "socket.type": "SocketKind",
    "socketpair.type": "SocketKind", "sendto.flags": "MsgFlags", "recvfrom.flags": "MsgFlags",
    "sendmsg.flags": "MsgFlags", "recvmsg.flags": "MsgFlags", "accept4.flags": "SocketType",
    "lseek.whence": "Whence", "fcntl.command": "FcntlCommand",
    "rt_sigprocmask.how": "SigmaskHow", "prctl.option": "PrctlOption", "arch_prctl.code": "ArchPrctlCode",
    "prlimit64.resource": "RlimitResource", "getrlimit.resource": "RlimitResource",
    "setrlimit.resource": "RlimitResource", "ioctl.code": "IoctlCode", "clock_gettime.clock": "ClockId",
    "clock_nanosleep.clock": "ClockId", "clock_getres.clock": "ClockId", "futex.operation": "FutexOperation",
    "epoll_ctl.op": "EpollOperation", "shutdown.how": "ShutdownHow", "fadvise64.advice": "Fadvice",
    "timerfd_create.clock_id": "ClockId", "clock_getres.clock_id": "ClockId",
}
"""call.parameter -> one of the above, for arguments whose declared kind is a plain number."""

_cache: dict[str, list[tuple[int, str]]] = {}

_SIGNALS = tuple(
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG "
    "XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(" "))


def signal_name(signo: int) -> str:
    """SIGTERM; SIGRT_3 for real-time signals as strace writes them."""
    if 1 <= signo <= 31:
        return "SIG" + _SIGNALS[signo - 1]
    if 32 <= signo <= 64:
        return f"SIGRT_{signo - 32}"
    return str(signo)


def _constants(name: str, module_name: str, prefixes: str) -> list[tuple[int, str]]:
    known = _cache.get(name)
    if known is None:
        module = __import__(f"syscalls.abi.{module_name}", fromlist=["*"])
        starts = tuple(prefixes.split(" "))
        known = [(value, key) for key, value in vars(module).items() if key.startswith(starts)
                 and isinstance(value, int) and not key.endswith(("_MASK", "ACCMODE", "_MAX"))]
        # Those with most bits come first, so that combinations win over their parts.
        known.sort(key=lambda pair: (-pair[0].bit_count(), pair[0]))
        _cache[name] = known
    return known


def values_of(name: str) -> list[int]:
    """Every value that a flag set or a choice names: what the fuzzer draws from."""
    if name in VALUES:
        return list(VALUES[name])
    return [value for value, _ in _constants(name, *(FLAG_SETS.get(name) or CHOICES[name]))]


def choice_text(name: str, value: int) -> str:
    """The constant's name, or the number."""
    if name in VALUES:
        return VALUES[name].get(value, f"{value:#x}")
    if name == "SocketKind":
        rest = value & ~0xF
        number = value & 0xF
        kind = next((key for known, key in _constants(name, *CHOICES[name]) if known == number), str(number))
        return f"{kind}|{flag_text('SocketType', rest)}" if rest else kind
    for number, key in _constants(name, *CHOICES[name]):
        if number == value:
            return key
    return f"{value:#x}" if value > 0xFFFF else str(value)


def flag_text(name: str, word: int) -> str:
    """`word` as names joined by |, unknown bits in hexadecimal."""
    if name not in FLAG_SETS:
        return f"{word:#x}" if word else "0"
    names = []
    rest = word
    if name == "OpenFlags":
        names.append(("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")[word & 3])
        rest &= ~3
    elif name == "AccessMode" and not word:
        return "F_OK"
    for value, flag in _constants(name, *FLAG_SETS[name]):
        if value > 0 and rest & value == value:
            names.append(flag)
            rest &= ~value
    if rest or not names:
        names.append(f"{rest:#x}" if rest else next(
            (flag for value, flag in _constants(name, *FLAG_SETS[name]) if value == 0), "0"))
    return "|".join(names)
