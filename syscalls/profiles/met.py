"""What a program met of a profile: each answer that was not this kernel's, counted, with the first who got it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from syscalls.profiles.paths import PathRule
    from syscalls.profiles.profile import Profile
    from syscalls.profiles.rules import Rule
    from syscalls.task import Task

ORDER = ("decides", "differs", "fallback", "none")


class Meeting:
    __slots__ = ("comm", "count", "failed", "rule")

    def __init__(self, rule: Rule | PathRule, comm: str) -> None:
        self.rule = rule
        self.count = 0
        self.failed = 0
        """Of a watched call: how many failed here, too."""
        self.comm = comm


class Met:
    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.meetings: dict[int, Meeting] = {}
        self.first: Callable[[Rule | PathRule, Task], Any] | None = None
        """Called when a rule is met for the first time."""

    def count(self, rule: Rule | PathRule, task: Task, *, failed: bool = False) -> None:
        meeting = self.meetings.get(id(rule))
        if meeting is None:
            meeting = self.meetings[id(rule)] = Meeting(rule, task.comm.decode("utf-8", "backslashreplace"))
            if self.first is not None:
                self.first(rule, task)
        meeting.count += 1
        meeting.failed += failed

    def sorted(self) -> list[Meeting]:
        """What is likely to matter first."""
        return sorted(self.meetings.values(), key=lambda met: (ORDER.index(met.rule.effect), -met.count))

    def lines(self) -> list[str]:
        """A line each; what no program misses is named together."""
        harmless = [met for met in self.sorted() if met.rule.effect == "none"]
        lines = [f"{self.profile.name}: {line(met)}" for met in self.sorted() if met.rule.effect != "none"]
        if harmless:
            named = ", ".join(f"{met.rule.what} {times(met.count)}" for met in harmless)
            lines.append(f"{self.profile.name}: also met, and no program misses it: {named}")
        return lines


def times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def plain(text: str) -> str:
    """A reason without its marks: parts after `[S]` are stated by the source, those after `[I]` are inferred."""
    parts = text.replace("[S/I] ", "[I] ").split("[I] ")
    out = parts[0]
    for part in parts[1:]:
        inferred, stated, rest = part.partition("[S] ")
        tail = inferred.rstrip("; ")
        out += f"{tail} (inferred){inferred[len(tail):]}{stated}{rest}"
    return out.replace("[S] ", "")


def reason(rule: Rule | PathRule) -> str:
    """Why, and by whom that is known: `[S]` marks what a source states, `[I]` what is inferred."""
    text = plain(rule.reason)
    source = f" [{rule.source}]" if rule.source not in ("", "-") else ""
    return f"{text}{source}"


def line(met: Meeting) -> str:
    """`memfd_create -> ENOSYS, once, first by python3: needs an anonymous file object over an NT section (...)`."""
    return (f"{met.rule.what} -> {met.rule.answer_text}, {times(met.count)}, first by {met.comm}: "
            f"{reason(met.rule)}")
