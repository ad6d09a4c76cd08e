"""Recording a run: calls, results, values, kernel time, host operations and sites, seen from outside the handlers."""

from __future__ import annotations

from functools import cache
from re import compile

from syscalls.abi.errno import NAMES
from syscalls.kernel import Kernel
from syscalls.reports.hostcount import count_host
from syscalls.reports.sites import Site, site_of
from syscalls.reports.values import counted_arguments, words
from syscalls.trace import Tracer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from re import Pattern

    from syscalls.profiles.met import Met
    from syscalls.table import Syscall
    from syscalls.task import Task
    from translator.hosts.base import Host

MOST_COLUMNS = 120
"""Of the picture of calls over time."""
MOST_VALUES = 200
"""Different values kept of one call: a program that counts through them must not fill the report."""


class Tally:
    """What was seen of one system call."""

    __slots__ = ("count", "errors", "host", "indexes", "kernel_ns", "longest_ns", "record", "site", "values",
                 "waited_ns")

    def __init__(self, record: Syscall, site: Site) -> None:
        self.record = record
        self.site = site
        """Of the first such call."""
        self.count = 0
        self.errors: dict[str, int] = {}
        self.kernel_ns = 0
        """Time that the handler ran."""
        self.waited_ns = 0
        """Time that callers slept in it."""
        self.longest_ns = 0
        self.host: dict[str, tuple[int, int]] = {}
        """Host operation -> how often, and how long altogether (ns)."""
        self.values: dict[tuple[int, ...], list[int]] = {}
        """Values of the arguments that are counted -> how often, and how many of these failed."""
        self.indexes = counted_arguments(record)


class Recorder:
    """All that a run told."""

    def __init__(self) -> None:
        self.calls: dict[int, Tally] = {}
        self.unknown: dict[int, int] = {}
        self.outside: dict[str, tuple[int, int]] = {}
        """Host operations of no call: the start, page faults, the scheduler."""
        self.active: Tally | None = None
        self.paths: dict[bytes, tuple[str, bool]] = {}
        """Paths opened that other systems lack -> by which call, and whether it succeeded."""
        self.programs: list[bytes] = []
        """Programs executed after the first, in order."""
        self.file_systems: dict[bytes, str] = {}
        """Types mounted -> how that ended."""
        self.gap_sites: dict[tuple[str, int], Site] = {}
        self.watched: Met | None = None
        """What was met of WSL 1's answers that the values of arguments do not tell."""
        self.processes = 0
        self.asleep: dict[int, int] = {}
        """Since when the tasks that sleep in a call do."""
        self.now: Callable[[], int]
        self.timeline: dict[tuple[int, int], int] = {}
        """(column, call) -> how many calls began in that time."""
        self.column_ns = 1_000_000
        self.started_ns = 0
        self.ended_ns = 0

    def watch(self, host: Host) -> Host:
        """The host to run on, counted."""
        self.now = host.monotonic_ns
        self.started_ns = self.now()
        return count_host(host, self.host_operation)

    def ended(self) -> None:
        """The run is over."""
        self.ended_ns = self.now()

    def host_operation(self, label: str, took_ns: int) -> None:
        table = self.outside if self.active is None else self.active.host
        count, total = table.get(label, (0, 0))
        table[label] = (count + 1, total + max(0, took_ns))

    def began(self, number: int, now: int) -> None:
        """A call begins: for the picture of calls over time, whose columns widen as the run goes on."""
        column = (now - self.started_ns) // self.column_ns
        while column >= MOST_COLUMNS:
            wider: dict[tuple[int, int], int] = {}
            for (at, call), count in self.timeline.items():
                wider[at // 2, call] = wider.get((at // 2, call), 0) + count
            self.timeline = wider
            self.column_ns *= 2
            column //= 2
        self.timeline[column, number] = self.timeline.get((column, number), 0) + 1

    def tally(self, task: Task, record: Syscall) -> Tally:
        tally = self.calls.get(record.number)
        if tally is None:
            tally = self.calls[record.number] = Tally(record, site_of(task))
        return tally


class MeasuredKernel(Kernel):
    """A kernel that tells a recorder how long its handlers take, and where gaps are met."""

    recorder: Recorder

    def _start(self, task: Task, record: Syscall, args: tuple[int, ...]) -> int | None:
        recorder = self.recorder
        tally = recorder.tally(task, record)
        recorder.active = tally
        began = recorder.now()
        recorder.began(record.number, began)
        try:
            return super()._start(task, record, args)
        finally:
            took = recorder.now() - began
            tally.kernel_ns += took
            tally.longest_ns = max(tally.longest_ns, took)
            recorder.active = None
            if task.coroutine is not None:
                recorder.asleep[task.tid] = recorder.now()

    def _resume(self, task: Task) -> None:
        recorder = self.recorder
        tally = recorder.calls.get(task.call_number)
        recorder.active = tally
        began = recorder.now()
        if tally is not None:
            tally.waited_ns += began - recorder.asleep.pop(task.tid, began)
        try:
            super()._resume(task)
        finally:
            if tally is not None:
                tally.kernel_ns += recorder.now() - began
            recorder.active = None
            if task.coroutine is not None:
                recorder.asleep[task.tid] = recorder.now()

    def gap(self, task: Task, what: str, value: int) -> None:
        if (what, value) not in self.gaps:
            self.recorder.gap_sites[what, value] = site_of(task)
        super().gap(task, what, value)


def measured(recorder: Recorder) -> type[MeasuredKernel]:
    """The kernel class of one recorder: it must know it before its own start."""
    class Measured(MeasuredKernel):
        pass

    Measured.recorder = recorder
    return Measured


class CountingTracer(Tracer):
    """Counts calls and results, and passes all on to the trace that the user asked for."""

    def __init__(self, kernel: Kernel, recorder: Recorder, inner: Tracer | None) -> None:
        super().__init__(kernel, _nowhere)
        self.recorder = recorder
        self.inner = inner
        self.open_calls: dict[int, tuple[Tally, tuple[int, ...], bytes]] = {}
        """By tid: the tally, the values and the path of the call that is being served."""

    def entered(self, task: Task, record: Syscall, args: tuple[int, ...]) -> None:
        tally = self.recorder.tally(task, record)
        tally.count += 1
        self.open_calls[task.tid] = (tally, words(task, record, tally.indexes, args), _path(task, record, args))
        if self.inner is not None:
            self.inner.entered(task, record, args)

    def left(self, task: Task, record: Syscall, args: tuple[int, ...], value: int) -> None:
        opened = self.open_calls.pop(task.tid, None)
        if opened is not None:
            tally, seen, path = opened
            failed = -4096 < value < 0
            if failed:
                name = NAMES.get(-value, str(-value))
                tally.errors[name] = tally.errors.get(name, 0) + 1
            if seen and (seen in tally.values or len(tally.values) < MOST_VALUES):
                counts = tally.values.setdefault(seen, [0, 0])
                counts[0] += 1
                counts[1] += failed
            if path:
                self._note_path(record.name, path, value, failed)
        if self.inner is not None:
            self.inner.left(task, record, args, value)

    def _note_path(self, call: str, path: bytes, value: int, failed: bool) -> None:
        recorder = self.recorder
        if call == "mount":
            recorder.file_systems[path] = NAMES.get(-value, "ok") if failed else "ok"
        elif call in ("execve", "execveat"):
            if not failed and len(recorder.programs) < MOST_VALUES:
                recorder.programs.append(path)
        elif call in ("fork", "vfork", "clone", "clone3"):
            return
        elif path not in recorder.paths or not failed:
            recorder.paths[path] = (call, not failed)

    def unknown(self, task: Task, number: int, args: tuple[int, ...]) -> None:
        self.recorder.unknown[number] = self.recorder.unknown.get(number, 0) + 1
        if self.inner is not None:
            self.inner.unknown(task, number, args)

    def signal(self, task: Task, signo: int) -> None:
        if self.inner is not None:
            self.inner.signal(task, signo)

    def ended(self, task: Task, words: str) -> None:
        recorder = self.recorder
        opened = self.open_calls.pop(task.tid, None)
        since = recorder.asleep.pop(task.tid, 0)
        if opened is not None and since:
            opened[0].waited_ns += recorder.now() - since
        if task is task.group.leader:
            recorder.processes += 1
        if self.inner is not None:
            self.inner.ended(task, words)

    def close(self) -> None:
        if self.inner is not None:
            self.inner.close()


def _nowhere(text: str) -> None:
    """The counting tracer prints nothing of its own."""


_PATH_AT: dict[str, int] = {"open": 0, "openat": 1, "openat2": 1, "creat": 0, "execve": 0, "execveat": 1, "mount": 2}


def _path(task: Task, record: Syscall, args: tuple[int, ...]) -> bytes:
    """What a call names: the program of execve, the type of mount, a file that some systems lack; else nothing."""
    at = _PATH_AT.get(record.name)
    if at is None or not args[at]:
        return b""
    from syscalls.abi.errno import LinuxError
    try:
        path = task.mem.path(args[at])
    except LinuxError:
        return b""
    if record.name in ("execve", "execveat", "mount"):
        return path
    return path if _lacking().match(path) else b""


@cache
def _lacking() -> Pattern[bytes]:
    from syscalls.profiles.paths import pattern
    from syscalls.reports.facts import table
    return compile(b"|".join(pattern(row["prefix"]) for row in table("wsl1_paths")))


def attach(kernel: Kernel, recorder: Recorder) -> None:
    """Count the calls that `kernel` (of the class made by `measured`) serves."""
    kernel.tracer = CountingTracer(kernel, recorder, kernel.tracer)


__all__ = ["CountingTracer", "MeasuredKernel", "Recorder", "Tally", "attach", "measured"]
