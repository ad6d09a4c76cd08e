"""Rules: what another kernel answered, in the terms of the declarations (call, argument, value).

A rule's `when` is a list of clauses, all of which must hold; `-` is always true.  A clause is one of

    flags&O_TMPFILE     all of these bits are set
    type&0xf=3          the bits under a mask, compared (also !=); several values are joined by commas
    domain=AF_PACKET    a value (also !=)
    fstype~overlay,nfs* a string that the argument points to, by shell patterns
    @inet               a state of the kernel (conditions.py); !@inet its absence

Arguments are named as the handlers name them, values as `syscalls.abi` does, or by number.  `answer` is

    EINVAL              this error; the call is not served
    0                   this result; the call is not served
    EAGAIN->0           the call is served, and this error becomes this result; ok->0: any success does
    ignored             the bits that the first clause names are taken away, and the call is served
    differs             the call is served as here, though the other kernel did something else with it
"""

from __future__ import annotations

from syscalls.abi.errno import NAMES
from syscalls.profiles import conditions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from syscalls.table import Syscall
    from syscalls.task import Task

    Row = dict[str, str]
    State = Callable[[Task, tuple[int, ...]], bool]

ERRNOS = {name: number for number, name in NAMES.items()}
REFUSE, RETURN, AFTER, IGNORE, DIFFERS = "refuse", "return", "after", "ignore", "differs"
WIDE = ("U64", "Size", "Addr", "S64", "Offset", "In", "Out", "InOut", "Buf", "OutBuf")
"""Kinds of arguments that are compared in 64 bits."""
ABI = ("fs", "mm", "net", "process", "poll", "ptrace", "time", "signal", "ioctl", "ipc", "tty")


def number(text: str) -> int:
    """A number, or a constant of the abi modules; several joined by |."""
    if "|" in text:
        total = 0
        for part in text.split("|"):
            total |= number(part)
        return total
    if text.lstrip("-")[:1].isdigit():
        return int(text, 0)
    for module in ABI:
        value = getattr(__import__(f"syscalls.abi.{module}", fromlist=["*"]), text, None)
        if isinstance(value, int):
            return value
    from syscalls.abi.names import VALUES
    for values in VALUES.values():
        for value, name in values.items():
            if name == text:
                return value
    raise ValueError(f"{text} is no number and no constant of syscalls.abi")


class Clause:
    """A condition on one argument's number."""

    __slots__ = ("equal", "index", "mask", "mask_text", "name", "values", "wide")

    def __init__(self, record: Syscall, name: str, mask: str, operator: str, values: str) -> None:
        if name not in record.params:
            raise ValueError(f"{record.name} has no argument {name}; it has {', '.join(record.params)}")
        self.name = name
        self.index = record.params.index(name)
        self.wide = record.argument_kinds()[self.index].partition("[")[0] in WIDE
        self.mask_text = mask
        full = (1 << 64) - 1 if self.wide else 0xFFFFFFFF
        self.mask = number(mask) if mask else full
        self.equal = operator != "!="
        self.values = frozenset(number(value) & self.mask for value in values.split(",")) if values else (
            frozenset((self.mask,)))

    def holds(self, word: int) -> bool:
        """For an argument as it is in the register (more than its type's bits do not count)."""
        return (word & self.mask in self.values) is self.equal


class TextClause:
    """A condition on a string in the guest's memory; one that cannot be read matches nothing."""

    __slots__ = ("index", "patterns")

    def __init__(self, record: Syscall, name: str, patterns: str) -> None:
        self.index = record.params.index(name)
        self.patterns = patterns.encode().split(b",")

    def holds(self, task: Task, args: tuple[int, ...]) -> bool:
        from fnmatch import fnmatchcase

        from syscalls.abi.errno import LinuxError
        if not args[self.index]:
            return False
        try:
            text = task.mem.path(args[self.index])
        except LinuxError:
            return False
        return any(fnmatchcase(text, pattern) for pattern in self.patterns)


class Rule:
    """One answer of another kernel."""

    __slots__ = ("_reason", "_source", "answer", "builds", "call", "clauses", "effect", "errno", "kind", "since",
                 "states", "texts", "title", "value", "when", "why")

    def __init__(self, record: Syscall, row: Row) -> None:
        self.call = record.name
        self.when = row["when"]
        self.answer = row["answer"]
        self.title = row.get("title", "")
        self._reason = row.get("reason", "")
        self._source = row.get("source", "")
        self.why: Callable[[], tuple[str, str]] | None = None
        """Finds reason and source when they are asked for: many rules are never met."""
        self.effect = row.get("effect", "") or "decides"
        self.builds = row.get("builds", "-") or "-"
        self.since = row.get("since", "")
        self.clauses: list[Clause] = []
        self.texts: list[TextClause] = []
        self.states: list[tuple[State, bool]] = []
        for word in self.when.split(" "):
            if word and word != "-":
                self._add(record, word)
        self.kind, self.errno, self.value = _answer(self.answer)
        if self.kind == IGNORE and (not self.clauses or not self.clauses[0].mask_text):
            raise ValueError(f"{self.call}: `ignored` needs a first clause that names bits")

    def _add(self, record: Syscall, word: str) -> None:
        if word.lstrip("!").startswith("@"):
            self.states.append((conditions.find(word.lstrip("!@")), not word.startswith("!")))
            return
        if "~" in word:
            name, _, patterns = word.partition("~")
            self.texts.append(TextClause(record, name, patterns))
            return
        operator = "!=" if "!=" in word else "=" if "=" in word else ""
        left, _, values = word.partition(operator) if operator else (word, "", "")
        name, _, mask = left.partition("&")
        if not operator and not mask:
            raise ValueError(f"{record.name}: {word} is no clause")
        self.clauses.append(Clause(record, name, mask, operator, values))

    @property
    def reason(self) -> str:
        return self._reason if self.why is None else self.why()[0]

    @property
    def source(self) -> str:
        return self._source if self.why is None else self.why()[1]

    def matches(self, task: Task, args: tuple[int, ...]) -> bool:
        for clause in self.clauses:
            if not clause.holds(args[clause.index]):
                return False
        return all(state(task, args) is wanted for state, wanted in self.states) and all(
            text.holds(task, args) for text in self.texts)

    @property
    def live(self) -> bool:
        """Whether more than the numbers of the arguments decides: strings, or the state of the kernel."""
        return bool(self.states or self.texts)

    def matches_known(self, known: dict[int, int]) -> bool:
        """For the numbers of some arguments, by index: False when others, or a state, would have to be known."""
        return not self.live and all(clause.index in known and clause.holds(known[clause.index])
                                     for clause in self.clauses)

    def in_force(self, build: int) -> bool:
        """`builds`: `-` all, `-17100` up to it, `17101-` from it."""
        first, dash, last = self.builds.partition("-")
        return (not first or build >= int(first)) and (not last or build <= int(last)) if dash else (
            build == int(first))

    @property
    def builds_text(self) -> str:
        """`, builds 17626 and before`, or nothing for all."""
        if self.builds == "-":
            return ""
        ends = " and before" if self.builds.startswith("-") else " and after" if self.builds.endswith("-") else ""
        return f", builds {self.builds.strip('-')}{ends}"

    @property
    def what(self) -> str:
        return f"{self.call}({self.title})" if self.title else self.call

    @property
    def answer_text(self) -> str:
        """For reports: what the other kernel answered."""
        if self.kind == IGNORE:
            return "ignored"
        if self.kind == DIFFERS:
            return "behaves otherwise"
        if self.kind == AFTER:
            before, _, after = self.answer.partition("->")
            return f"{after} whatever was asked" if before == "ok" else f"{after} where {before} is due"
        return "accepted without effect" if self.answer == "0" else self.answer


def _answer(text: str) -> tuple[str, int, int]:
    """(kind, errno, value)."""
    if text in ERRNOS:
        return REFUSE, ERRNOS[text], 0
    if text == "ignored":
        return IGNORE, 0, 0
    if text == "differs":
        return DIFFERS, 0, 0
    before, arrow, after = text.partition("->")
    if arrow and (before == "ok" or before in ERRNOS):
        return AFTER, ERRNOS.get(before, 0), -ERRNOS[after] if after in ERRNOS else int(after, 0)
    try:
        return RETURN, 0, int(text, 0)
    except ValueError:
        raise ValueError(f"{text} is no answer: an error, a number, ERROR->number, ignored or differs") from None


def parse(rows: Sequence[Row], calls: dict[str, Syscall]) -> list[Rule]:
    """ValueError in words, with the place, for a row that is wrong."""
    out = []
    for line, row in enumerate(rows, 1):
        record = calls.get(row["call"])
        if record is None:
            raise ValueError(f"rule {line}: {row['call']} is no system call")
        try:
            out.append(Rule(record, row))
        except (ValueError, KeyError) as error:
            raise ValueError(f"rule {line} ({row['call']}): {error}") from None
    return out
