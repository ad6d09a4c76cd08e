"""Symbolic names of flags and signals, for the trace: read from the constants of the other abi modules."""

from __future__ import annotations

FLAG_PREFIXES = {
    "OpenFlags": ("fs", "O_"),
    "AtFlags": ("fs", "AT_"),
    "MmapFlags": ("mm", "MAP_"),
    "ProtFlags": ("mm", "PROT_"),
    "MsgFlags": ("net", "MSG_"),
    "CloneFlags": ("process", "CLONE_"),
    "WaitFlags": ("process", "W"),
    "RenameFlags": ("fs", "RENAME_"),
    "EpollFlags": ("poll", "EPOLL_"),
    "EventfdFlags": ("poll", "EFD_"),
    "TimerfdFlags": ("poll", "TFD_"),
    "GrndFlags": ("process", "GRND_"),
}
"""Flag list (the T of Flags[T] in a declaration) -> (module of syscalls.abi, prefix of its constants)."""

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


def _flags_of(name: str) -> list[tuple[int, str]]:
    """(value, name) pairs, those with most bits first, so that combinations win over their parts."""
    known = _cache.get(name)
    if known is None:
        known = []
        if name in FLAG_PREFIXES:
            module_name, prefix = FLAG_PREFIXES[name]
            module = __import__(f"syscalls.abi.{module_name}", fromlist=["*"])
            known = [(value, key) for key, value in vars(module).items()
                     if key.startswith(prefix) and isinstance(value, int) and value > 0
                     and not key.endswith(("_MASK", "ACCMODE", "_TYPE"))]
            known.sort(key=lambda pair: (-pair[0].bit_count(), pair[0]))
        _cache[name] = known
    return known


def flag_text(name: str, word: int) -> str:
    """`word` as names joined by |, unknown bits in hexadecimal."""
    if name == "OpenFlags":
        access = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")[word & 3]
        rest = flag_text("OpenFlags ", word & ~3) if word & ~3 else ""
        return f"{access}|{rest}" if rest else access
    names = []
    rest_word = word
    for value, flag in _flags_of(name.strip()):
        if rest_word & value == value:
            names.append(flag)
            rest_word &= ~value
    if rest_word or not names:
        names.append(f"{rest_word:#x}" if rest_word else "0")
    return "|".join(names)
