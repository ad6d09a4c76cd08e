"""Rounds: every contender once a round, in rotating order, so that a slow moment of the machine hits all alike."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.contenders import Contender
from bench.rows import Row

PR_SET_CHILD_SUBREAPER = 36


@dataclass(slots=True)
class Limits:
    run_seconds: float
    """A run that takes longer is ended, and the cell says so."""
    cell_seconds: float
    """A cell that has used this much gets no further round: slow peers would take the whole time."""


@dataclass(slots=True)
class Cell:
    samples: list[float] = field(default_factory=list)
    """Seconds, or nanoseconds per operation where the row prints them."""
    trouble: str = ""
    spent_seconds: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


class Failed(Exception):
    """A run that gives no figure; the text says why."""


Results = dict[str, dict[str, Cell]]


def adopt_orphans() -> None:
    """Children of killed contenders come to this process, so that none outlives its row."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """Kill whatever the last command left running."""
    own = Path(f"/proc/self/task/{os.getpid()}/children")
    for _ in range(200):
        children = [int(word) for word in own.read_text().split()]
        if not children:
            return
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass


def run_once(row: Row, contender: Contender, scratch: Path, limit_seconds: float) -> tuple[float, float, str]:
    """The figure, the seconds that the run took, and what it left behind."""
    row.reset(scratch)
    start = time.perf_counter()
    # By its path: qemu-user does not search for programs.
    command = [shutil.which(row.command[0]) or row.command[0], *row.command[1:]]
    process = subprocess.Popen([*contender.prefix, *command], cwd=scratch / row.cwd, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                               env={**os.environ, **row.environment})
    timed_out = threading.Event()

    def give_up() -> None:
        timed_out.set()
        os.killpg(process.pid, signal.SIGKILL)

    # Not wait(timeout): it polls, in steps of up to 50 ms.
    timer = threading.Timer(limit_seconds, give_up)
    timer.start()
    try:
        output = process.communicate()[0].decode("utf-8", "replace")
        elapsed = time.perf_counter() - start
    finally:
        timer.cancel()
        end_children()
    if timed_out.is_set():
        raise Failed(f"over {limit_seconds:.0f} s")
    if process.returncode:
        first = output.replace(str(scratch), "...").strip().partition("\n")[0]
        raise Failed(f"status {process.returncode}: {first[:100]}")
    try:
        return (float(output) if row.prints else elapsed), elapsed, row.digest(scratch)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise Failed(f"wrong output: {error}") from None


def measure(rows: list[Row], contenders: list[Contender], scratch: Path, rounds: int, limits: Limits,
            say: Callable[[str], None]) -> Results:
    """All cells; the first contender is the native one."""
    adopt_orphans()
    results: Results = {}
    started = time.monotonic()
    for number, row in enumerate(rows, 1):
        say(f"{row.name}: preparing")
        row.prepare(scratch)
        cells = {each.name: Cell() for each in contenders if each.runs_children or not row.executes}
        try:
            # Untimed: it fills the page cache, and what it leaves behind is what the others must leave.
            expected = run_once(row, contenders[0], scratch, limits.run_seconds)[2]
        except Failed as failure:
            print(f"\n{row.name}: not measured: natively {failure}", file=sys.stderr)
            continue
        results[row.name] = cells
        for turn in range(rounds):
            able = [each for each in contenders if each.name in cells]
            shift = turn % len(able)
            for contender in able[shift:] + able[:shift]:
                cell = cells[contender.name]
                if cell.trouble or (cell.samples and cell.spent_seconds > limits.cell_seconds):
                    continue
                say(f"[{time.monotonic() - started:4.0f} s] {number}/{len(rows)} {row.name}, "
                    f"round {turn + 1}/{rounds}, {contender.name}")
                try:
                    figure, elapsed, left = run_once(row, contender, scratch, limits.run_seconds)
                except Failed as failure:
                    cell.trouble = str(failure)
                    continue
                if left != expected:
                    cell.trouble = "its output differs from the native run's"
                    continue
                cell.samples.append(figure)
                cell.spent_seconds += elapsed
        row.reset(scratch)
    return results
