"""The seccomp filter of guest processes (man 2 seccomp): no system call reaches the host's kernel unless pylx made it.

Calls of pylx are made by the stub's one SYSCALL instruction (pico.py) with a secret, which only registers of a thread
that never runs guest code hold.  A guest that jumps there does not know it.  rseq(2) is let through from there without
it: guest threads register their own areas, and one of them must never hold the secret, since a restartable sequence
that claims the stub's address would take it along to its abort handler.  A guest gains nothing by calling it: the host
writes to the guest's own memory only.
"""

from __future__ import annotations

import struct

# struct seccomp_data
_NR, _ARCH, _IP_LOW, _IP_HIGH, _ARGS = 0, 4, 8, 12, 16
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ARCH_X86_64 = 0xC000003E
RET_TRAP, RET_TRACE, RET_NOTIFY, RET_ALLOW = 0x00030000, 0x7FF00000, 0x7FC00000, 0x7FFF0000

TRAP_VSYSCALL, TRAP_FOREIGN, TRAP_FORGED = 1, 2, 3
"""si_errno of the SIGSYS for a call through the vsyscall page, for a 32-bit call, and for one from the stub without
the secret."""
NR_MMAP, NR_RSEQ = 9, 334
STOPPING = (15, 56, 57, 58, 59, 60, 62, 131, 158, 200, 231, 234, 322, 435)
"""Calls that change registers, or end or make threads: rt_sigreturn, clone, fork, vfork, execve, exit, kill,
sigaltstack, arch_prctl, tkill, exit_group, tgkill, execveat, clone3.  They are reported by a ptrace stop in any
case."""


def _argument(number: int, high: bool) -> int:
    return _ARGS + 8 * number + 4 * high


def guest_filter(stub_return: int, secret: int, notify: bool) -> bytes:
    """The BPF program (struct sock_filter array).  `stub_return`: the address behind the stub's SYSCALL; `secret`:
    64 bits, expected in the sixth argument; of mmap, which has six, the lower half is expected in the upper half of the
    descriptor and the upper half in that of the flags, which the host ignores;
    `notify`: report most calls by user notification instead of a stop."""
    program: list[tuple[int, int, str, str]] = []
    labels: dict[str, int] = {}

    def load(offset: int) -> None:
        program.append((_LOAD, offset, "", ""))

    def equal(value: int, yes: str, no: str) -> None:
        program.append((_EQUAL, value & 0xFFFFFFFF, yes, no))

    def result(label: str, value: int) -> None:
        labels[label] = len(program)
        program.append((_RETURN, value, "", ""))

    def here(label: str) -> None:
        labels[label] = len(program)

    load(_ARCH)
    equal(_ARCH_X86_64, "native", "foreign")
    here("native")
    load(_IP_LOW)
    equal(stub_return, "low", "guest")
    here("low")
    load(_IP_HIGH)
    equal(stub_return >> 32, "stub", "guest")
    here("stub")
    load(_NR)
    equal(NR_MMAP, "mmap", "not mmap")
    here("not mmap")
    equal(NR_RSEQ, "allow", "other")
    here("mmap")
    load(_argument(4, True))
    equal(secret, "flags", "forged")
    here("flags")
    load(_argument(3, True))
    equal(secret >> 32, "allow", "forged")
    here("other")
    load(_argument(5, False))
    equal(secret, "half", "forged")
    here("half")
    load(_argument(5, True))
    equal(secret >> 32, "allow", "forged")
    here("guest")
    load(_IP_HIGH)
    equal(0xFFFFFFFF, "vsyscall", "sort" if notify else "trace")
    if notify:
        here("sort")
        load(_NR)
        for number in STOPPING:
            equal(number, "trace", f"not {number}")
            here(f"not {number}")
        result("notify", RET_NOTIFY)
    result("trace", RET_TRACE)
    result("allow", RET_ALLOW)
    result("vsyscall", RET_TRAP | TRAP_VSYSCALL)
    result("foreign", RET_TRAP | TRAP_FOREIGN)
    result("forged", RET_TRAP | TRAP_FORGED)
    return b"".join(struct.pack("<HBBI", code, labels[yes] - index - 1 if yes else 0,
                                labels[no] - index - 1 if no else 0, value)
                    for index, (code, value, yes, no) in enumerate(program))
