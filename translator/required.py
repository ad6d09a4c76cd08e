"""`pylx coverage --required`: the runs of a test command, each a process of its own.  Part of the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from time import monotonic_ns

from translator import cli, commands
from translator.cli import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from syscalls.reports.required import Answers, Outcome
    from translator.commands import ReportOptions

LEAST_TIME_S, TIMES = 10, 5
"""Without --timeout a run hangs when it takes longer than this, and than so many times what the command needs alone."""


def required(report: ReportOptions, options: list[str]) -> int:
    from syscalls.reports.required import Unfit, judge
    if report.format not in commands.RUN_FORMATS:
        raise CommandError(f"--format {report.format}: the forms of --required are {', '.join(commands.RUN_FORMATS)}")
    if report.answers or report.emit:
        raise CommandError("--required stubs and fakes by itself, and makes no profile")
    arguments = cli.parse_arguments(options + report.rest)
    if isinstance(arguments, str):
        sys.stdout.write(arguments)
        return 0
    words = options + report.rest
    shared = words[:len(words) - len(arguments.command)]
    if shared[-1:] == ["--"]:
        shared.pop()
    with tempfile.TemporaryDirectory(prefix="pylx-required-") as folder:
        runs = Runs(shared, arguments.command, report, folder)
        first = runs.measure()
        try:
            found = judge(runs.run, [call for call in first["calls"] if call["number"] < 512], report.same_output,
                          report.jobs or commands.processors())
        except Unfit as unfit:
            raise CommandError(f"--required: {unfit}", 1) from None
    from syscalls.reports.rows import document
    found = {"kind": "required", "command": arguments.command, "programs": report.programs,
             "timeout_s": runs.timeout_s, **found, "table": document(commands.hosts())}
    commands.write(commands.form(found, report.format), report.output, sys.stdout)
    return 0


class Runs:
    """The test command, to be run with answers.  `options`: those of pylx's run."""

    def __init__(self, options: list[str], command: list[str], report: ReportOptions, folder: str) -> None:
        self.options = options
        self.command = command
        self.report = report
        self.folder = folder
        self.timeout_s = report.timeout_s or 600

    def measure(self) -> dict[str, Any]:
        """Its calls, from a run that is recorded."""
        import json
        file = os.path.join(self.folder, "first.json")
        outcome = self._start(["--format", "json", "--output", file], 0)
        if outcome.status != 0:
            raise CommandError(f"--required: the command by itself does not succeed: {outcome.how}"
                               + (f"; it printed {outcome.output[-300:].decode('utf-8', 'replace')!r}"
                                  if outcome.output else ""), 1)
        if not self.report.timeout_s:
            self.timeout_s = max(LEAST_TIME_S, TIMES * outcome.ns // 1_000_000_000)
        with open(file, encoding="utf-8") as stream:
            found: dict[str, Any] = json.load(stream)
        return found

    def run(self, answers: Answers, number: int) -> Outcome:
        words = ["--format", "none"]
        for how in ("stub", "fake"):
            names = [name for name, answer in answers.items() if answer == how]
            if names:
                words += [f"--{how}", ",".join(names)]
        if self.report.programs:
            words += ["--only", ",".join(self.report.programs)]
        return self._start(words, number)

    def _start(self, words: list[str], number: int) -> Outcome:
        """One process of pylx with the command in it; what it leaves behind is killed."""
        from syscalls.reports.required import Outcome
        command = [sys.executable, "-m", "translator.cli", *self.options, "--env", f"PYLX_RUN={number}", "coverage",
                   *words, "--", *self.command]
        began = monotonic_ns()
        with tempfile.TemporaryFile(dir=self.folder) as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL,
                                       start_new_session=True)
            try:
                status: int | None = process.wait(self.timeout_s)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                # Guests live in pylx's process, or (ptrace) are killed with it.
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            took = monotonic_ns() - began
            output.seek(0)
            return Outcome(status, output.read(), took)
