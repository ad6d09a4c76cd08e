"""The initial stack of a program: strings, auxiliary vector, argv and envp, as create_elf_tables lays them out.

Pure functions on bytes (fs/binfmt_elf.c, fs/exec.c).  From the top down: eight zero bytes, the name of the
program file, the environment, the arguments, the platform name, 16 random bytes, then, growing upwards from a
16-byte aligned stack pointer: argc, argv, NULL, envp, NULL, auxv.
"""

from __future__ import annotations

from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

(AT_NULL, AT_IGNORE, AT_EXECFD, AT_PHDR, AT_PHENT, AT_PHNUM, AT_PAGESZ, AT_BASE, AT_FLAGS, AT_ENTRY) = range(10)
(AT_UID, AT_EUID, AT_GID, AT_EGID, AT_PLATFORM, AT_HWCAP, AT_CLKTCK) = range(11, 18)
(AT_SECURE, AT_BASE_PLATFORM, AT_RANDOM, AT_HWCAP2, AT_RSEQ_FEATURE_SIZE, AT_RSEQ_ALIGN) = range(23, 29)
AT_EXECFN, AT_SYSINFO_EHDR, AT_MINSIGSTKSZ = 31, 33, 51

MAX_ARG_STRLEN = 131072
"""Longest single string, with its NUL (include/uapi/linux/binfmts.h)."""
ARG_MAX = 131072
"""What is always allowed, however small the stack limit."""
ARG_TOTAL_MAX = (8 << 20) // 4 * 3
PLATFORM = b"x86_64\0"


class InitialStack:
    """Bytes to be written at `pointer`, which is also the first RSP; the rest are addresses for the mm."""

    __slots__ = ("arg_end", "arg_start", "auxv", "content", "env_end", "env_start", "pointer")

    def __init__(self, pointer: int, content: bytes, auxv: bytes, arg_start: int, arg_end: int, env_start: int,
                 env_end: int) -> None:
        self.pointer = pointer
        self.content = content
        self.auxv = auxv
        self.arg_start = arg_start
        self.arg_end = arg_end
        self.env_start = env_start
        self.env_end = env_end


def fits(argv: Sequence[bytes], envp: Sequence[bytes], filename: bytes, stack_limit: int) -> bool:
    """Whether execve accepts these strings under a soft RLIMIT_STACK of `stack_limit` bytes; E2BIG otherwise.

    A quarter of the stack limit, at most 6 MiB and at least ARG_MAX, must hold the strings and one pointer to each
    argument and variable (bprm_stack_limits)."""
    room = max(min(ARG_TOTAL_MAX, stack_limit // 4), ARG_MAX)
    pointers = (max(len(argv), 1) + len(envp)) * 8
    if room <= pointers:
        return False
    total = len(filename) + 1
    for strings in (envp, argv):
        for text in strings:
            size = len(text) + 1
            if size > MAX_ARG_STRLEN:
                return False
            total += size
    return total <= room - pointers


def build(top: int, argv: Sequence[bytes], envp: Sequence[bytes], filename: bytes, random: bytes,
          auxv: Sequence[tuple[int, int]]) -> InitialStack:
    """The stack below `top` (a page boundary).  `random`: 16 bytes.  `auxv`: the entries in order, without
    AT_NULL; the values of AT_RANDOM, AT_EXECFN and AT_PLATFORM are filled in here.  An empty argv gets the one
    argument "" (since Linux 5.18)."""
    argv = argv or (b"",)
    strings = b"\0".join((*argv, *envp, filename)) + bytes(9)
    text = top - len(strings)
    # Addresses of the strings, one after the other.
    pointers = []
    at = text
    for string in argv:
        pointers.append(at)
        at += len(string) + 1
    arg_end = at
    pointers.append(0)
    for string in envp:
        pointers.append(at)
        at += len(string) + 1
    env_end = at
    pointers.append(0)

    platform = (text & ~15) - len(PLATFORM)
    random_address = platform - 16
    computed = {AT_RANDOM: random_address, AT_EXECFN: at, AT_PLATFORM: platform}
    words: list[int] = []
    for kind, value in auxv:
        words += (kind, computed.get(kind, value))
    words += (AT_NULL, 0)
    count = 1 + len(pointers) + len(words)
    pointer = random_address - count * 8 & ~15
    table = pack(f"<{count}Q", len(argv), *pointers, *words)
    low = table.ljust(random_address - pointer, b"\0") + random + PLATFORM
    content = low.ljust(text - pointer, b"\0") + strings
    return InitialStack(pointer, content, table[-len(words) * 8:], text, arg_end, arg_end, env_end)
