"""What may differ between two runs of a program, declared: per call, result or field, and why.

`Same` is what holds where nothing is said.  No rule drops a value silently: `Bijection` still demands that what was
equal in one run is equal in the other, and `Any` carries its reason.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bijection:
    """Values of this kind correspond one to one: equal here where equal there.  0 and errors correspond to
    themselves."""
    kind: str
    zero: bool = False
    """Whether 0 is a value as any other."""


@dataclass(frozen=True)
class Any:
    """Not compared (except that an error is an error), for this reason."""
    reason: str


@dataclass(frozen=True)
class Without:
    """Compared but for these bits, for this reason."""
    bits: int
    reason: str


@dataclass(frozen=True)
class ZeroOrNot:
    """Compared is only whether it is 0, for this reason."""
    reason: str


Rule = Bijection | Any | Without | ZeroOrNot
ANY_TIME = Any("the clock goes on between two runs")
SEQUENCE = Any("a part of the number of a System V object, which depends on how many there were before")

RESULTS: dict[str, Rule] = {
    **dict.fromkeys(("getpid", "gettid", "getppid", "getpgrp", "getpgid", "getsid", "setsid", "fork", "vfork", "clone",
                     "clone3", "set_tid_address", "wait4"), Bijection("pid")),
    **dict.fromkeys(("mmap", "mremap", "brk", "shmat"), Bijection("address")),
    "shmget": Bijection("shm", True),
    "semget": Bijection("sem", True),
    "msgget": Bijection("msg", True),
    **dict.fromkeys(("time", "times"), ANY_TIME),
    "alarm": Any("seconds left: the clock goes on"),
    "timer_getoverrun": Any("overruns depend on the machine's load"),
    "sched_getaffinity": Any("the size of a CPU mask depends on how many processors the kernel was built for"),
    "kcmp": ZeroOrNot("what comes first is what lies lower in the kernel's memory, mixed up by chance of the boot"),
    "listmount": Any("what is mounted is the side's own"),
    "getcpu": Any("where the scheduler put it"),
}
"""By call: the rule of its result."""


class Bijections:
    """What has corresponded so far, in both directions."""

    def __init__(self) -> None:
        self.there: dict[str, dict[int, int]] = {}
        self.back: dict[str, dict[int, int]] = {}

    def match(self, rule: Bijection, left: int, right: int) -> bool:
        if left == right:
            # Also where they have to be equal: 0, errors.  Not remembered: small numbers meet by chance.
            known = self.there.get(rule.kind, {}).get(left, right)
            return known == right
        if not rule.zero and not (left and right):
            return False
        return (self.there.setdefault(rule.kind, {}).setdefault(left, right) == right
                and self.back.setdefault(rule.kind, {}).setdefault(right, left) == left)
