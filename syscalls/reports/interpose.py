"""Answering chosen calls instead of serving them: *stubbed* calls fail with ENOSYS, *faked* ones succeed without
effect (Loupe's method, ASPLOS 2024).

Entries of the declaration table are replaced for the run, as profiles do: other calls, and other runs, cost nothing.
"""

from __future__ import annotations

from syscalls.abi.errno import ENOSYS, LinuxError
from syscalls.table import TABLE, Syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from syscalls.kernel import Kernel
    from syscalls.task import Task

STUB, FAKE = "stub", "fake"
LENGTHS = {"write": 2, "pwrite64": 2, "sendto": 2, "sendfile": 3, "splice": 4, "copy_file_range": 4, "tee": 2,
           "getrandom": 1}
"""Calls that succeed with how much they did, and the argument that says how much was asked."""
VECTORS = {"writev": (1, 2), "pwritev": (1, 2), "pwritev2": (1, 2), "vmsplice": (1, 2)}
"""The same with an iovec: at which arguments its address and its count are."""


class Interposition:
    """Which calls are answered how, by name; for all processes, or those of some programs (by comm)."""

    def __init__(self, answers: dict[str, str], programs: frozenset[bytes] = frozenset()) -> None:
        self.answers = answers
        self.programs = programs
        self.count = 0
        """How many calls were answered."""
        self._laid: dict[int, Syscall] = {}
        self._seen: set[int] = set()

    def lay(self, kernel: Kernel) -> None:
        """Over a kernel that has no process yet; taken away when it shuts down."""
        declare = kernel.declare

        def declare_and_lay(number: int) -> None:
            if declare is not None:
                declare(number)
            self._lay_table()

        kernel.declare = declare_and_lay
        kernel.at_shutdown.append(self.lift)
        self._lay_table()

    def _lay_table(self) -> None:
        for number, record in enumerate(TABLE):
            if record is not None and number not in self._seen:
                self._seen.add(number)
                if record.name in self.answers:
                    self._laid[number] = record
                    TABLE[number] = self._answering(record, self.answers[record.name])

    def lift(self) -> None:
        for number, record in self._laid.items():
            TABLE[number] = record
        self._laid.clear()
        self._seen.clear()

    def _answering(self, record: Syscall, how: str) -> Syscall:
        out = Syscall(record.number, record.handler, record.since, record.support, record.needs, record.unsupported)
        answer: Callable[[Task, tuple[int, ...]], int] = stubbed if how == STUB else faked(record.name)

        def call(task: Task, args: tuple[int, ...]) -> Any:
            if self.programs and task.comm not in self.programs:
                return record.call(task, args)
            self.count += 1
            return answer(task, args)

        out.call = call
        return out


def stubbed(task: Task, args: tuple[int, ...]) -> int:
    raise LinuxError(ENOSYS)


def faked(name: str) -> Callable[[Task, tuple[int, ...]], int]:
    """What makes a call seem to have succeeded: 0, or all that was asked for where the result is a length."""
    if name in LENGTHS:
        at = LENGTHS[name]
        return lambda task, args: args[at] & 0x7FFFFFFF
    if name in VECTORS:
        where, how_many = VECTORS[name]
        return lambda task, args: sum(task.mem.u64(args[where] + 16 * index + 8)
                                      for index in range(args[how_many] & 0x3FF)) & 0x7FFFFFFF
    return lambda task, args: 0
