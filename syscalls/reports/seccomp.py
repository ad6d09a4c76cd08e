"""`pylx coverage --emit seccomp`: what a run was seen to do, as a seccomp profile of the OCI runtime specification.

Everything else is refused with ENOSYS, which programs take as "this kernel does not have it" and go another way, where
EPERM would end them.  Arguments are pinned where the kernel takes them as plain numbers that say what a call may do.
"""

from __future__ import annotations

from syscalls.reports.measure import MOST_VALUES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from syscalls.reports.measure import Recorder, Tally

ALWAYS = {
    "execve": "the runtime starts the program under the filter",
    "exit_group": "the program's end", "exit": "a thread's end",
    "rt_sigreturn": "the kernel makes the program return from signal handlers by it",
    "restart_syscall": "the kernel goes on by it with a call that a stop had interrupted",
    "clock_gettime": "the vDSO asks the kernel where it cannot read the clock itself",
    "gettimeofday": "as clock_gettime", "time": "as clock_gettime", "getcpu": "as clock_gettime",
}
"""Calls that a run here need not show, and why they are needed elsewhere."""
WITH_THREADS = ("futex", "sched_yield", "madvise", "mprotect", "munmap", "rseq", "set_robust_list")
"""What threads do or do not, as they happen to meet."""
THREADS = ("clone", "clone3")
NAMESPACES, NEWTIME = 0x7E020000, 0x80
"""The CLONE_NEW bits; CLONE_NEWTIME is one in clone3 only, in clone's flags it belongs to the signal."""
PINNED = {"socket": 0, "socketpair": 0, "prctl": 0, "arch_prctl": 0, "personality": 0, "ptrace": 0, "unshare": 0,
          "keyctl": 0, "bpf": 0, "seccomp": 0}
"""Calls whose first argument says what is asked for: families of sockets, operations, namespaces."""
LOW_WORD = 0xFFFFFFFF
"""The kernel reads these arguments as 32 bits: what a register holds above them must not matter."""
ENOSYS = 38


def profile(recorder: Recorder) -> dict[str, Any]:
    """The value of `linux.seccomp` in an OCI configuration (a file for `--security-opt seccomp=` as well)."""
    tallies = {tally.record.name: tally for tally in recorder.calls.values() if tally.count}
    plain = set(ALWAYS)
    rules: list[dict[str, Any]] = []
    if any(name in tallies for name in THREADS):
        plain |= set(WITH_THREADS)
    for name, tally in tallies.items():
        pinned = pinned_rules(name, tally)
        if pinned is None:
            plain.add(name)
        else:
            rules += pinned
    if "clone3" in tallies and "clone3" not in plain and "clone" not in tallies:
        # clone3 is refused: the C library then uses clone.
        rules.append(masked("clone", NAMESPACES, 0))
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": sorted(plain), "action": "SCMP_ACT_ALLOW"}, *rules],
    }


def pinned_rules(name: str, tally: Tally) -> list[dict[str, Any]] | None:
    """Rules that allow a call with the arguments that were seen; None to allow it with any."""
    if len(tally.values) >= MOST_VALUES:
        return None
    if name == "clone":
        if any(values[0] & NAMESPACES for values in tally.values):
            return None
        return [masked(name, NAMESPACES, 0)]
    if name == "clone3":
        if any(values[-1] & (NAMESPACES | NEWTIME) for values in tally.values):
            return None
        # A filter cannot look at flags in memory.
        return [{"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS}]
    argument = PINNED.get(name)
    if argument is None or argument not in tally.indexes:
        return None
    at = tally.indexes.index(argument)
    return [masked(name, LOW_WORD, value) for value in sorted({values[at] for values in tally.values})]


def masked(name: str, mask: int, value: int) -> dict[str, Any]:
    """Allow a call when the bits of its first argument under a mask are these."""
    return {"names": [name], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}]}
