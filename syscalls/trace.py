"""The trace: one line (or one JSON object) a system call, made from the call's declaration.

Lines read as strace's: `[pid 7] openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3`.  A call that sleeps while
others run is printed in two parts, `<unfinished ...>` and `<... resumed>`, as strace -f does.
"""

from __future__ import annotations

from syscalls.abi.errno import NAMES
from syscalls.abi.names import signal_name
from syscalls.task import NO_RESULT
from syscalls.trace_values import show_argument, show_call, show_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from syscalls.kernel import Kernel
    from syscalls.table import Syscall
    from syscalls.task import Task

class Tracer:
    """Writes the trace through `write`.  Entry is remembered, a line comes out when the call is done."""

    def __init__(self, kernel: Kernel, write: Callable[[str], Any]) -> None:
        self.kernel = kernel
        self.write = write
        self.open_line: Task | None = None
        """The task whose call was entered last and has not been printed."""
        self.started: dict[int, tuple[str, int]] = {}
        """By tid: what was shown at entry, and when (ns); for calls printed as unfinished, the name only."""

    def _prefix(self, task: Task) -> str:
        return f"[pid {task.tid}] "

    def _shown(self, task: Task, record: Syscall, args: tuple[int, ...], value: int | None) -> str:
        return show_call(task, record, args, value)

    def entered(self, task: Task, record: Syscall, args: tuple[int, ...]) -> None:
        self._break_line()
        # Strings are read now: execve and read would have replaced them at the end.
        shows_at_exit = any(kind.startswith(("Out", "InOut")) for kind in record.argument_kinds())
        text = "" if shows_at_exit else self._shown(task, record, args, None)
        self.started[task.tid] = (text, self.kernel.clock.monotonic())
        self.open_line = task

    def _break_line(self) -> None:
        task = self.open_line
        if task is None:
            return
        self.open_line = None
        record = _record(task)
        if record is None or task.tid not in self.started:
            return
        text = self.started[task.tid][0] or self._shown(task, record, task.call_args, None)
        self.write(f"{self._prefix(task)}{record.name}({text} <unfinished ...>\n")

    def left(self, task: Task, record: Syscall, args: tuple[int, ...], value: int) -> None:
        text, _ = self.started.pop(task.tid, ("", 0))
        if self.open_line is task:
            self.open_line = None
            if not text and record.params:
                text = self._shown(task, record, args, value)
            self.write(f"{self._prefix(task)}{record.name}({text}) = {show_result(record, value)}\n")
        else:
            self._break_line()
            self.write(f"{self._prefix(task)}<... {record.name} resumed>) = {show_result(record, value)}\n")

    def unknown(self, task: Task, number: int, args: tuple[int, ...]) -> None:
        self._break_line()
        shown = ", ".join(f"{word:#x}" for word in args)
        self.write(f"{self._prefix(task)}syscall_{number:#x}({shown}) = -1 ENOSYS\n")

    def signal(self, task: Task, signo: int) -> None:
        """A signal is being delivered."""
        self._break_line()
        self.write(f"{self._prefix(task)}--- {signal_name(signo)} ---\n")

    def ended(self, task: Task, words: str) -> None:
        """The task is gone: words as `exited with 0` or `killed by SIGTERM`."""
        record = _record(task)
        if self.open_line is task and record is not None:
            self.left(task, record, task.call_args, NO_RESULT)
        self._break_line()
        self.started.pop(task.tid, None)
        self.write(f"{self._prefix(task)}+++ {words} +++\n")

    def close(self) -> None:
        self._break_line()


class JsonTracer(Tracer):
    """One JSON object a line: time_ns since the start, pid, tid, comm, call, args (shown), raw (numbers), result,
    error (a name or null), duration_ns."""

    def left(self, task: Task, record: Syscall, args: tuple[int, ...], value: int) -> None:
        _, began = self.started.pop(task.tid, ("", 0))
        if self.open_line is task:
            self.open_line = None
        kinds = record.argument_kinds()
        self._emit({
            "time_ns": began - self.kernel.boot_ns, "pid": task.group.pid, "tid": task.tid,
            "comm": task.comm.decode("utf-8", "backslashreplace"), "call": record.name, "number": record.number,
            "args": {name: show_argument(task, record, kind, args, index, value)
                     for index, (name, kind) in enumerate(zip(record.params, kinds, strict=True))},
            "raw": list(args[:len(kinds)]),
            "result": None if value == NO_RESULT else value,
            "error": NAMES.get(-value) if -4096 < value < 0 else None,
            "duration_ns": self.kernel.clock.monotonic() - began,
        })

    def _break_line(self) -> None:
        self.open_line = None

    def unknown(self, task: Task, number: int, args: tuple[int, ...]) -> None:
        self._emit({"time_ns": self.kernel.clock.monotonic() - self.kernel.boot_ns, "pid": task.group.pid,
                    "tid": task.tid, "call": None, "number": number, "raw": list(args), "result": -38,
                    "error": "ENOSYS"})

    def signal(self, task: Task, signo: int) -> None:
        self._emit({"pid": task.group.pid, "tid": task.tid, "signal": signal_name(signo)})

    def ended(self, task: Task, words: str) -> None:
        self._emit({"pid": task.group.pid, "tid": task.tid, "ended": words})

    def _emit(self, record: dict[str, Any]) -> None:
        import json
        self.write(json.dumps(record) + "\n")


def _record(task: Task) -> Syscall | None:
    from syscalls.table import TABLE
    return TABLE[task.call_number] if 0 <= task.call_number < 512 else None


def attach_tracer(kernel: Kernel, form: str, write: Callable[[str], Any]) -> Tracer:
    """Trace all calls of `kernel` in `form` 'text' or 'json'."""
    tracer = JsonTracer(kernel, write) if form == "json" else Tracer(kernel, write)
    kernel.tracer = tracer
    return tracer
