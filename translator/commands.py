"""The other commands of pylx: coverage, explain, doctor.  Part of the command line, loaded only when asked for."""

from __future__ import annotations

import sys

from translator import cli
from translator.cli import EXIT_USAGE, Arguments, CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from syscalls.kernel import Kernel
    from translator.hosts.base import Capability, Host

TABLE_FORMATS = ("table", "json", "csv", "html", "markdown")
RUN_FORMATS = ("table", "json", "html")
MODES = ("--static", "--required", "--loupe")
OWN_VALUES = ("--format", "--output", "-o", "--jobs", "--emit", "--stub", "--fake", "--only", "--timeout")
WITH_VALUE = ("--engine", "--host", "--root", "--cwd", "--env", "--argv0", "--trace-file", "--memory", "--profile")
"""Options of a run whose value is the next word."""


def run_command(command: list[str], options: list[str]) -> int:
    """Run `command` (its name first) with the options that stood before it."""
    try:
        if command[0] == "doctor":
            return doctor(command[1:])
        if command[0] == "explain":
            return explain(command[1:])
        if command[0] == "fuzz":
            return fuzz(command[1:])
        return coverage(command[1:], options)
    except CommandError as error:  # caught here: this module's class, when the command was started as a module
        sys.stderr.write(f"pylx: {error}\n")
        return error.status
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        sys.stdout = None
        return 0


class ReportOptions:
    def __init__(self) -> None:
        self.format = ""
        self.output: str | None = None
        self.mode = ""
        """static, or "" for the table or a run."""
        self.emit = ""
        """What to write of a run in place of its report: seccomp."""
        self.answers: dict[str, str] = {}
        """Calls to stub or fake in the run."""
        self.programs: list[str] = []
        """Only those of these programs, when there are any."""
        self.timeout_s = 0
        """For one run of --required; 0: five times what the command takes by itself, at least ten seconds."""
        self.same_output = False
        self.jobs = 0
        """Processes to use at once, 0 for as many as there are processors."""
        self.rest: list[str] = []
        """Options of the run and its program."""


def parse_coverage(words: list[str]) -> ReportOptions | str:
    """The report's own options, taken out of those of the run; or a text to print."""
    out = ReportOptions()
    index = 0
    while index < len(words):
        word = words[index]
        if word in ("-h", "--help"):
            return cli.USAGE
        option, equals, attached = word.partition("=")
        if word in MODES:
            if out.mode:
                raise CommandError(f"--{out.mode} and {word} cannot go together")
            out.mode = word[2:]
        elif word == "--same-output":
            out.same_output = True
        elif option in OWN_VALUES:
            if not equals:
                index += 1
                if index >= len(words):
                    raise CommandError(f"{option} needs a value; see pylx --help")
                attached = words[index]
            if option == "--format":
                out.format = attached
            elif option in ("--output", "-o"):
                out.output = attached
            elif option == "--emit":
                if attached != "seccomp":
                    raise CommandError(f"--emit {attached}: what can be written is seccomp")
                out.emit = attached
            elif option in ("--stub", "--fake"):
                out.answers.update(dict.fromkeys(known_calls(option, attached), option[2:]))
            elif option == "--only":
                out.programs += attached.split(",")
            elif option == "--timeout":
                out.timeout_s = whole_number(option, attached)
            else:
                out.jobs = whole_number(option, attached)
        elif not word.startswith("-") or word in ("-", "--"):
            out.rest += words[index:]
            break
        else:
            out.rest.append(word)
            if option in WITH_VALUE and not equals and index + 1 < len(words):
                index += 1
                out.rest.append(words[index])
        index += 1
    if not out.format:
        ending = (out.output or "").rpartition(".")[2]
        out.format = "markdown" if ending == "md" else ending if ending in TABLE_FORMATS else "table"
    return out


def known_calls(option: str, text: str) -> list[str]:
    from syscalls.calls import load
    from syscalls.table import TABLE
    load()
    names = {record.name for record in TABLE if record is not None}
    for name in text.split(","):
        if name not in names:
            raise CommandError(f"{option} {name}: no system call of that name")
    return text.split(",")


def whole_number(option: str, text: str) -> int:
    if not text.isdigit() or not int(text):
        raise CommandError(f"{option} {text}: a whole number is wanted")
    return int(text)


def coverage(words: list[str], options: list[str]) -> int:
    report = parse_coverage(words)
    if isinstance(report, str):
        sys.stdout.write(report)
        return 0
    if report.mode == "static":
        return static_report(report, options)
    if report.mode == "required":
        from translator.required import required
        return required(report, options)
    if all(word.startswith("-") for word in report.rest):
        return table_report(report)
    arguments = cli.parse_arguments(options + report.rest)
    if isinstance(arguments, str):
        sys.stdout.write(arguments)
        return 0
    return run_report(arguments, report)


def table_report(report: ReportOptions) -> int:
    if report.emit:
        raise CommandError(f"--emit {report.emit} needs a program to run")
    if report.rest:
        raise CommandError(f"{report.rest[0]} is an option of a run, and no program was given")
    if report.format not in TABLE_FORMATS:
        raise CommandError(f"--format {report.format}: the forms are {', '.join(TABLE_FORMATS)}")
    from syscalls.reports.rows import document
    found = document(hosts())
    if report.mode == "loupe":
        if report.format not in ("table", "json"):
            raise CommandError(f"--format {report.format}: the forms of --loupe are table, json")
        found = {"kind": "loupe", **found["loupe"]}
    write(form(found, report.format), report.output, sys.stdout)
    return 0


def static_report(report: ReportOptions, options: list[str]) -> int:
    if report.format not in RUN_FORMATS:
        raise CommandError(f"--format {report.format}: the forms of --static are {', '.join(RUN_FORMATS)}")
    rest = [*options, *report.rest]
    root = ""
    while rest and rest[0].startswith("-") and rest[0] != "--":
        option, equals, attached = rest.pop(0).partition("=")
        if option != "--root" or not (equals or rest):
            raise CommandError(f"{option} is an option of a run: --static takes --root DIR, --jobs, and paths")
        root = (attached if equals else rest.pop(0)).rstrip("/")
    paths = rest[1:] if rest[:1] == ["--"] else rest
    if not paths:
        raise CommandError("--static needs the paths of programs, libraries or directories")
    try:
        import capstone  # type: ignore[import-untyped]  # noqa: F401 (to say it now, not from a worker process)
    except ImportError:
        raise CommandError("--static needs the disassembler capstone: pip install 'pylx[static]'") from None
    from syscalls.reports.static import scan
    from syscalls.reports.static.document import document
    found = scan.collect(paths, root)
    reached = scan.run(found, report.jobs or processors(), root)
    if not reached:
        for path, why in found.left_out:
            sys.stderr.write(f"pylx: {path}: {why}\n")
        raise CommandError("no program was found under the paths given", 1)
    write(form(document(found, reached, hosts(), paths), report.format), report.output, sys.stdout)
    return 0


def processors() -> int:
    import os
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def form(document: dict[str, Any], name: str) -> str:
    """A report in one of its forms."""
    if name == "json":
        import json
        return json.dumps(document, indent=1) + "\n"
    if name == "html":
        from syscalls.reports.html import page
        return page(document)
    from syscalls.reports import run, text
    if document["kind"] == "static":
        from syscalls.reports.static.text import text as static_text
        return static_text(document)
    if document["kind"] == "required":
        from syscalls.reports.required import text as required_text
        return required_text(document)
    if document["kind"] == "loupe":
        from syscalls.reports.loupe import text as loupe_text
        return loupe_text(document)
    if document["kind"] == "run":
        return run.text(document)
    if name == "markdown":
        from syscalls.reports.markdown import page as markdown_page
        return markdown_page(document)
    return text.csv(document) if name == "csv" else text.table(document)


def write(text: str, path: str | None, stream: Any) -> None:
    if path is None:
        stream.write(text)
        stream.flush()
        return
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CommandError(f"--output {path}: {error.strerror}") from None


def hosts() -> dict[str, dict[str, Capability]]:
    """What each host of this source has.  The portable one shows what it can do on the system at hand."""
    from translator.hosts import portable_capabilities
    out = {"portable": portable_capabilities.capabilities()}
    if sys.platform == "linux":
        from translator.hosts import linux_capabilities
        return {"linux": linux_capabilities.capabilities(), **out}
    return out


def interpose(kernel: Kernel, report: ReportOptions) -> None:
    """Stub and fake what the options say."""
    if report.answers:
        from syscalls.reports.interpose import Interposition
        Interposition(report.answers, frozenset(name.encode() for name in report.programs)).lay(kernel)


class Answering:
    """A run whose report nobody wants: only its calls are answered as the options say."""

    tells_profile = True

    def __init__(self, report: ReportOptions) -> None:
        from syscalls.kernel import Kernel
        self.report = report
        self.kernel_class = Kernel

    def watch(self, host: Host) -> Host:
        return host

    def attach(self, kernel: Kernel) -> None:
        interpose(kernel, self.report)

    def finish(self, kernel: Kernel) -> None:
        """Nothing to tell."""


class RunObserver:
    """Records a run, and writes its report at the end."""

    tells_profile = True

    def __init__(self, arguments: Arguments, report: ReportOptions) -> None:
        from syscalls.reports.measure import Recorder, measured
        self.arguments = arguments
        self.report = report
        self.recorder = Recorder()
        self.kernel_class: type[Kernel] = measured(self.recorder)

    def watch(self, host: Host) -> Host:
        return self.recorder.watch(host)

    def attach(self, kernel: Kernel) -> None:
        from syscalls.reports.measure import attach
        attach(kernel, self.recorder)
        if kernel.profile is None:
            from syscalls.profiles.load import watching
            profile = watching()
            profile.watch(kernel)
            self.recorder.watched = profile.met
        interpose(kernel, self.report)

    def finish(self, kernel: Kernel) -> None:
        import os

        self.recorder.ended()
        if self.report.emit:
            import json

            from syscalls.reports.seccomp import profile
            write(json.dumps(profile(self.recorder), indent=1) + "\n", self.report.output, sys.stderr)
            return
        from syscalls.reports.run import document
        root = os.path.abspath(self.arguments.root) if self.arguments.root is not None else ""
        found = document(self.recorder, kernel, hosts(), self.arguments.command, "" if root == "/" else root)
        # The program's own output is on stdout: the report goes beside it.
        write(form(found, self.report.format), self.report.output, sys.stderr)


def run_report(arguments: Arguments, report: ReportOptions) -> int:
    if report.format == "none":
        return cli.run(arguments, Answering(report))
    if report.format not in RUN_FORMATS:
        raise CommandError(f"--format {report.format}: the forms for a run are {', '.join(RUN_FORMATS)}")
    if report.format == "html" and report.output is None:
        raise CommandError("--format html needs --output FILE when a program is run")
    if report.output is not None:
        # Before the run, which may take long: a report that cannot be written is known now.
        write("", report.output, sys.stdout)
        # The guest may change the directory of this process's files, not this path.
        import os
        report.output = os.path.abspath(report.output)
    return cli.run(arguments, RunObserver(arguments, report))


def explain(words: list[str]) -> int:
    if len(words) != 1 or words[0].startswith("-"):
        raise CommandError("explain takes one call, by name or number, or one flag: pylx explain memfd_create")
    from syscalls.reports import explain_flags
    from syscalls.reports.explain import explanation
    text = explanation(words[0], hosts()) or explain_flags.explanation(words[0])
    if text is None:
        from syscalls.reports.explain import near
        hint = near(words[0])
        raise CommandError(f"{words[0]} is no system call of x86-64, and no flag or file that is known to differ"
                           + (f"; did you mean {' or '.join(hint)}?" if hint else ""), EXIT_USAGE)
    write(text, None, sys.stdout)
    return 0


def fuzz(words: list[str]) -> int:
    from syscalls.fuzz.sides import FuzzError
    try:
        from syscalls.fuzz.command import fuzz as run_fuzz
        return run_fuzz(words)
    except FuzzError as error:
        raise CommandError(str(error)) from None


def doctor(words: list[str]) -> int:
    if words:
        raise CommandError("doctor takes no arguments")
    from translator.doctor import examine, report
    findings = examine()
    write(report(findings), None, sys.stdout)
    return 0 if any(finding.engine and finding.good for finding in findings) else 1
