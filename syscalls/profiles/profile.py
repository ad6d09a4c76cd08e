"""A profile: another kernel's names, answers and missing files, and laying them over this one.

Laying replaces entries of the declaration table by guarded ones, so that calls without rules, and runs without a
profile, cost what they did before.
"""

from __future__ import annotations

from copy import copy

from syscalls.abi.errno import LinuxError
from syscalls.abi.fs import MS_NOATIME
from syscalls.profiles.met import Met
from syscalls.profiles.rules import AFTER, DIFFERS, IGNORE, REFUSE, RETURN, Rule
from syscalls.table import TABLE, Syscall
from syscalls.wait import CoroutineType
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from syscalls.fs.inode import FileSystem, Inode, StatFs
    from syscalls.kernel import Kernel
    from syscalls.profiles.paths import PathRule
    from syscalls.task import Task


class Profile:
    """What is laid over a kernel.  `sources`: what finds the rules of a call, in the order in which they are tried;
    they are asked when a call is first declared, as most are never made."""

    def __init__(self, name: str, title: str) -> None:
        self.name = name
        self.title = title
        """How reports name it: `WSL 1 (build 19041)`."""
        self.release = b""
        self.version = b""
        self.banner = b""
        """/proc/version, between the release and the version."""
        self.sources: list[Callable[[Syscall], list[Rule]]] = []
        self.paths: list[PathRule] = []
        self.root_type = b""
        self.root_magic = 0
        """What the file system of / is called, and its number in statfs(2)."""
        self.no_core: PathRule | None = None
        """Cores are said to have been dumped, and are not; this tells why."""
        self.met = Met(self)
        self._laid: dict[int, Syscall] = {}
        """Entries of the table that were replaced."""
        self._seen: set[int] = set()
        self._guard_by: Callable[[Syscall, list[Rule], Met], Syscall] = guarded

    def rules_of(self, record: Syscall) -> list[Rule]:
        return [rule for source in self.sources for rule in source(record)]

    # --- laying

    def lay(self, kernel: Kernel) -> None:
        """Over a kernel that has no process yet."""
        kernel.profile = self
        if self.release:
            kernel.release = self.release
            kernel.version = self.version
            kernel.banner = self.banner
        if self.root_type:
            self._rename_root(kernel)
        self._guard(kernel, guarded)

    def _rename_root(self, kernel: Kernel) -> None:
        mount = kernel.vfs.root.mount
        mount.type, mount.source, mount.flags = self.root_type, b"rootfs", MS_NOATIME
        filesystem = mount.filesystem
        statfs = filesystem.statfs

        def shown(task: Task, inode: Inode) -> StatFs:
            out = copy(statfs(task, inode))
            out.type = self.root_magic
            return out

        filesystem.statfs = shown  # type: ignore[method-assign]

    def watch(self, kernel: Kernel) -> None:
        """Count what would be answered otherwise, and answer nothing."""
        self._guard(kernel, watched)

    def _guard(self, kernel: Kernel, guard: Callable[[Syscall, list[Rule], Met], Syscall]) -> None:
        self._guard_by = guard
        declare = kernel.declare

        def declare_guarded(number: int) -> None:
            if declare is not None:
                declare(number)
            self._guard_table()

        kernel.declare = declare_guarded
        kernel.at_shutdown.insert(0, self.lift)  # what was laid last goes first
        self._guard_table()

    def _guard_table(self) -> None:
        """Calls are declared in parts, when first needed: look at those that are new."""
        for number, record in enumerate(TABLE):
            if record is not None and number not in self._seen:
                self._seen.add(number)
                rules = self.rules_of(record)
                if rules:
                    self._laid[number] = record
                    TABLE[number] = self._guard_by(record, rules, self.met)

    def lift(self) -> None:
        """Put the table back: another kernel may be made in this process (tests)."""
        for number, record in self._laid.items():
            TABLE[number] = record
        self._laid.clear()
        self._seen.clear()

    def dress(self, filesystem: FileSystem, top: bytes) -> None:
        """Take away from a pseudo file system, to be mounted on /`top`, what the other kernel did not have there."""
        from syscalls.profiles.paths import dress
        dress(self.paths, filesystem, top, self.met)


def _like(record: Syscall) -> Syscall:
    return Syscall(record.number, record.handler, record.since, record.support, record.needs, record.unsupported)


def watched(record: Syscall, rules: list[Rule], met: Met) -> Syscall:
    """A declaration that counts which rules apply to its calls, and how many of these fail here, too."""
    out = _like(record)

    def call(task: Task, args: tuple[int, ...]) -> Any:
        matching = [rule for rule in rules if rule.matches(task, args)]
        if not matching:
            return record.call(task, args)
        try:
            value = record.call(task, args)
        except (LinuxError, HostError) as error:
            _note(matching, met, task, error.errno)
            raise
        if value.__class__ is CoroutineType:
            return _noted_later(matching, met, task, value)
        _note(matching, met, task, 0)
        return value

    out.call = call
    return out


def _note(rules: list[Rule], met: Met, task: Task, errno: int) -> None:
    for rule in rules:
        if rule.kind != AFTER or rule.errno == errno:
            met.count(rule, task, failed=bool(errno) and rule.kind != AFTER)


async def _noted_later(rules: list[Rule], met: Met, task: Task, waiting: Any) -> Any:
    try:
        value = await waiting
    except (LinuxError, HostError) as error:
        _note(rules, met, task, error.errno)
        raise
    _note(rules, met, task, 0)
    return value


def guarded(record: Syscall, rules: list[Rule], met: Met) -> Syscall:
    """A declaration whose handler is asked only when no rule answers."""
    out = _like(record)
    takes_fd = bool(record.params) and record.argument_kinds()[0] == "Fd"
    before = [rule for rule in rules if rule.kind != AFTER]
    after = [rule for rule in rules if rule.kind == AFTER]

    def call(task: Task, args: tuple[int, ...]) -> Any:
        for rule in before:
            if not rule.matches(task, args):
                continue
            if takes_fd and rule.when != "-" and rule.kind in (REFUSE, RETURN):
                fd = ((args[0] & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
                if fd not in task.files.files:
                    break  # what a descriptor does not lead to has no options: EBADF comes first
            met.count(rule, task)
            if rule.kind == REFUSE:
                raise LinuxError(rule.errno)
            if rule.kind == RETURN:
                return rule.value
            if rule.kind == IGNORE:
                clause = rule.clauses[0]
                args = tuple(word & ~clause.mask if index == clause.index else word
                             for index, word in enumerate(args))
                continue
            assert rule.kind == DIFFERS
            break
        wanted = [rule for rule in after if rule.matches(task, args)] if after else after
        if not wanted:
            return record.call(task, args)
        try:
            value = record.call(task, args)
        except (LinuxError, HostError) as error:
            return _replaced(wanted, met, task, error)
        if value.__class__ is CoroutineType:
            return _later(wanted, met, task, value)
        return _result(wanted, met, task, value)

    out.call = call
    return out


def _replaced(rules: list[Rule], met: Met, task: Task, error: LinuxError | HostError) -> int:
    for rule in rules:
        if rule.errno == error.errno:
            met.count(rule, task)
            return rule.value
    raise error


def _result(rules: list[Rule], met: Met, task: Task, value: Any) -> Any:
    for rule in rules:
        if not rule.errno and isinstance(value, int) and value >= 0 and value != rule.value:
            met.count(rule, task)
            return rule.value
    return value


async def _later(rules: list[Rule], met: Met, task: Task, waiting: Any) -> Any:
    try:
        return _result(rules, met, task, await waiting)
    except (LinuxError, HostError) as error:
        return _replaced(rules, met, task, error)

