"""The `pylx` command: the composition root, the only module that knows every part.

    pylx [options] program [arguments]

Exit status: the program's own; 128+n is not used for a death by signal n, pylx dies of the same signal, so that
the shell sees what it would have seen.  126: the program cannot be executed; 127: it was not found; 125: pylx itself
could not start (wrong options, engine missing); 70: a defect of pylx.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from syscalls.boot import BootOptions
    from syscalls.kernel import Kernel, KernelBug
    from syscalls.profiles.profile import Profile
    from syscalls.trace import Tracer
    from translator.hosts.base import Host
    from translator.machine import Engine
else:
    Protocol = object

USAGE = """\
usage: pylx [options] program [arguments]
       pylx [options] coverage [--format FORMAT] [--output FILE] [program [arguments]]
       pylx [options] coverage --emit seccomp [-o FILE] program [arguments]
       pylx [options] coverage --required [--same-output] [--only NAMES] [--timeout S] [--jobs N] -- test command
       pylx coverage --loupe [--format FORMAT] [--output FILE]
       pylx coverage --static [--root DIR] [--jobs N] [--format FORMAT] [--output FILE] PATH...
       pylx explain CALL|FLAG|FILE
       pylx doctor
       pylx fuzz [options]

Run a Linux x86-64 program on a Linux kernel personality written in Python.

  --engine ENGINE     who executes the instructions: ptrace (the processor itself, on Linux x86-64), unicorn (an
                      emulated one, anywhere), auto (default: ptrace where it works and no other option asks for
                      unicorn), or ptrace-stops (as on Linux before 5.6, without user notification)
  --host HOST         what the system calls stand on: linux, portable (default: linux on Linux, else portable)
  --root DIR          the guest's / is DIR; nothing outside it can be reached
  --cwd DIR           start in DIR (inside the guest's tree; default: where you are)
  --env NAME=VALUE    set an environment variable; --env NAME removes it (may be repeated)
  --argv0 NAME        what the program sees as its own name
  --trace[=json]      print each system call, on stderr unless --trace-file says where
  --trace-file FILE   write the trace there (implies --trace)
  --profile PROFILE   answer as another kernel did, and say at exit what the program met of it: wsl1 (WSL 1;
                      wsl1@BUILD of Windows), linux-VERSION (such as linux-4.4), or a file of rules (FILE.tsv)
  --deterministic     fixed clock, pids, random bytes and schedule: two runs give the same trace
  --memory SIZE       the most memory that guests may use together (K, M, G)
  -v, --verbose       say at exit which calls were asked for and not served
  --version           print versions
  -h, --help          print this

coverage alone shows the table of system calls: what is served, on which host, and what WSL 1 did (--format table,
json, csv, html, markdown).  With a program it runs it and reports the calls it made, their errors, times and host
operations, what it asked for in vain, and whether it would have run on WSL 1, gVisor and FreeBSD (--format table,
json, html).
coverage --emit seccomp writes a seccomp profile (of the OCI runtime specification) that allows what the run did.
coverage --required runs a test command again and again, with one call stubbed (ENOSYS) or faked (success without
effect), and says which it cannot do without; --stub CALLS and --fake CALLS do so for one run.
coverage --loupe tells which of Loupe's 116 applications have all that they require, and which call to serve next.
coverage --static finds the calls in programs, libraries and whole directories by disassembly, without running them.
explain tells all that is known of one call, by name or number, or of a flag or file that is known to differ.
doctor tells what this machine permits.
fuzz runs made-up programs natively and under pylx, or another layer, and compares (pylx fuzz --help).
A program of such a name is run by its path, or after --.
"""
COMMANDS = ("coverage", "explain", "doctor", "fuzz")
ENGINES = ("unicorn", "ptrace", "ptrace-stops", "auto")

EXIT_USAGE, EXIT_CANNOT_EXECUTE, EXIT_NOT_FOUND, EXIT_BUG = 125, 126, 127, 70


class CommandError(Exception):
    """Ends pylx with one line on stderr and this exit status."""

    def __init__(self, message: str, status: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.status = status


class Arguments:
    def __init__(self) -> None:
        self.engine = "auto"
        self.host = "linux" if sys.platform == "linux" else "portable"
        self.root: str | None = None
        self.cwd: str | None = None
        self.env: list[str] = []
        self.argv0: str | None = None
        self.trace = ""
        self.trace_file: str | None = None
        self.profile: str | None = None
        self.deterministic = False
        self.memory = 0
        self.verbose = False
        self.command: list[str] = []


def parse_arguments(words: list[str]) -> Arguments | str:
    """The options, or a text to print and end with success.  argparse would cost 8 ms of each start."""
    out = Arguments()
    index = 0

    def value(option: str, attached: str | None) -> str:
        nonlocal index
        if attached is not None:
            return attached
        index += 1
        if index >= len(words):
            raise CommandError(f"{option} needs a value; see pylx --help")
        return words[index]

    while index < len(words):
        word = words[index]
        if word == "--":
            index += 1
            break
        if not word.startswith("-") or word == "-":
            break
        option, equals, rest = word.partition("=")
        attached = rest if equals else None
        if option == "--engine":
            out.engine = value(option, attached)
        elif option == "--host":
            out.host = value(option, attached)
        elif option == "--root":
            out.root = value(option, attached)
        elif option == "--cwd":
            out.cwd = value(option, attached)
        elif option == "--env":
            out.env.append(value(option, attached))
        elif option == "--argv0":
            out.argv0 = value(option, attached)
        elif option == "--trace":
            out.trace = attached or "text"
            if out.trace not in ("text", "json"):
                raise CommandError(f"--trace={out.trace}: the forms are text and json")
        elif option == "--trace-file":
            out.trace_file = value(option, attached)
        elif option == "--profile":
            out.profile = value(option, attached)
        elif option == "--memory":
            out.memory = parse_size(value(option, attached))
        elif word == "--deterministic":
            out.deterministic = True
        elif word in ("-v", "--verbose"):
            out.verbose = True
        elif word == "--version":
            return version_text()
        elif word in ("-h", "--help"):
            return USAGE
        else:
            raise CommandError(f"unknown option {word}; see pylx --help")
        index += 1
    out.command = words[index:]
    if not out.command:
        raise CommandError("no program given; see pylx --help")
    if out.trace_file is not None and not out.trace:
        out.trace = "text"
    if out.engine not in ENGINES:
        raise CommandError(f"--engine {out.engine}: the engines are: {', '.join(ENGINES)}")
    if out.engine.startswith("ptrace") and (out.deterministic or out.memory):
        raise CommandError(f"{'--deterministic' if out.deterministic else '--memory'} needs --engine unicorn")
    if out.host not in ("linux", "portable"):
        raise CommandError(f"--host {out.host}: the hosts are linux and portable")
    if out.host == "linux" and sys.platform != "linux":
        raise CommandError("--host linux works on Linux only; use --host portable")
    return out


def parse_size(text: str) -> int:
    """Bytes from digits with an optional K, M or G."""
    scale = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    digits = text[:-1] if scale != 1 else text
    if not digits.isdigit() or not int(digits):
        raise CommandError(f"--memory {text}: a size such as 512M or 4G is wanted")
    return int(digits) * scale


def version_text() -> str:
    from importlib.metadata import PackageNotFoundError, version

    def of(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    return (f"pylx {of('pylx')}\nunicorn {of('unicorn')}, python-ptrace {of('python-ptrace')}, "
            f"pyelftools {of('pyelftools')}, Python {sys.version.split()[0]} on {sys.platform}\n")


RLIMIT_AS = 9
UNICORN_SPACE = 3 << 30
"""What libunicorn and guest memory reserve."""


def open_engine(arguments: Arguments, host: Host) -> Engine:
    refused = ""
    if arguments.engine.startswith("ptrace") or (arguments.engine == "auto" and not arguments.deterministic
                                                 and not arguments.memory):
        try:
            return open_ptrace_engine(notify=arguments.engine != "ptrace-stops")
        except CommandError as error:
            if arguments.engine != "auto":
                raise
            refused = f"; {error}"
    from translator.engines.unicorn import EngineUnavailable, UnicornEngine
    limit = host.rlimit(RLIMIT_AS)[0]
    if limit < UNICORN_SPACE:
        # libunicorn would end the process with a line of its own.
        raise CommandError(f"engine unicorn needs more address space than {limit >> 20} MiB: ulimit -v unlimited, "
                           f"or use --engine ptrace{refused}")
    try:
        return UnicornEngine(memory=arguments.memory or None, deterministic=arguments.deterministic)
    except EngineUnavailable as error:
        raise CommandError(f"{error}{refused}") from None


def open_ptrace_engine(notify: bool = True) -> Engine:
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise CommandError("--engine ptrace works on Linux x86-64 only; use --engine unicorn")
    from translator.engines.ptrace import EngineUnavailable, PtraceEngine
    try:
        return PtraceEngine(notify=notify)
    except EngineUnavailable as error:
        raise CommandError(f"--engine ptrace: {error}; use --engine unicorn") from None


def boot_options(arguments: Arguments, host: Host) -> BootOptions:
    from syscalls.boot import BootOptions
    environment = {os.fsencode(name): os.fsencode(text) for name, text in os.environ.items()}
    for setting in arguments.env:
        name, equals, text = setting.partition("=")
        if equals:
            environment[os.fsencode(name)] = os.fsencode(text)
        else:
            environment.pop(os.fsencode(name), None)
    root = os.fsencode(os.path.abspath(arguments.root)) if arguments.root is not None else b"/"
    if arguments.root is not None and not os.path.isdir(root):
        raise CommandError(f"--root {arguments.root}: no such directory")
    if arguments.cwd is not None:
        cwd = os.fsencode(arguments.cwd)
    elif arguments.root is not None:
        cwd = b"/"
    else:
        try:
            cwd = os.fsencode(os.getcwd())
        except OSError:
            raise CommandError("the current directory is gone; use --cwd DIR") from None
    command = [os.fsencode(word) for word in arguments.command]
    argv = [os.fsencode(arguments.argv0), *command[1:]] if arguments.argv0 is not None else command
    return BootOptions(command[0], argv, [name + b"=" + text for name, text in environment.items()],
                       cwd=cwd, root=root, deterministic=arguments.deterministic)


def start(kernel: Kernel, options: BootOptions) -> None:
    """Boot the first program; CommandError in words when it cannot be."""
    from syscalls.abi.errno import LinuxError
    from syscalls.boot import boot, find_program, make_first_task
    from syscalls.exec import ExecFailure
    from translator.hosts.base import HostError

    shown = options.program.decode("utf-8", "backslashreplace")
    task = make_first_task(kernel, options)
    try:
        task.fs.cwd = kernel.vfs.resolve(task, options.cwd)
    except (LinuxError, HostError) as error:
        raise CommandError(f"cannot start in {options.cwd.decode('utf-8', 'backslashreplace')}: "
                           f"{error_words(error.errno)}") from None
    search = next((entry[5:] for entry in options.environment if entry.startswith(b"PATH=")),
                  b"/usr/local/bin:/usr/bin:/bin")
    program = find_program(kernel, task, options.program, search)
    if program is None:
        raise CommandError(f"{shown}: command not found (searched PATH inside the guest's tree)", EXIT_NOT_FOUND)
    options.program = program
    try:
        boot(kernel, options, task)
    except ExecFailure as failure:
        raise CommandError(f"{shown}: {failure.words}",
                           EXIT_NOT_FOUND if failure.errno == 2 else EXIT_CANNOT_EXECUTE) from None


def error_words(errno: int) -> str:
    """strerror's words for the errors that a start can meet."""
    from syscalls.abi.errno import NAMES
    words = {2: "no such file or directory", 13: "permission denied", 20: "not a directory",
             40: "too many levels of symbolic links"}
    return words.get(errno, NAMES.get(errno, str(errno)))


def report_bug(bug: KernelBug) -> None:
    """One place that says what to send and where."""
    import traceback
    cause = bug.__cause__
    record = bug.record
    name = record.name if record is not None else "no call"
    shown = ", ".join(f"{word:#x}" for word in bug.call_args[:len(record.params) if record is not None else 6])
    where = "".join(traceback.format_exception(cause)) if cause is not None else ""
    sys.stderr.write(f"{where}pylx: this is a defect of pylx, not of the program: {name}({shown}) in "
                     f"{bug.task!r} failed with {cause!r}.\n"
                     "pylx: please report it, with the lines above, to the project that you installed pylx from; "
                     "--trace shows what led there.\n")


def start_trace(kernel: Kernel, arguments: Arguments) -> Tracer:
    from syscalls.trace import attach_tracer
    if arguments.trace_file is None:
        # Straight to the descriptor: the guest's own output on it keeps its place among the lines.
        return attach_tracer(kernel, arguments.trace, lambda text: os.write(2, text.encode()))
    try:
        file = open(arguments.trace_file, "w", encoding="utf-8")  # noqa: SIM115 (closed when pylx ends)
    except OSError as error:
        raise CommandError(f"--trace-file {arguments.trace_file}: {error.strerror}") from None
    kernel.at_shutdown.append(file.close)
    return attach_tracer(kernel, arguments.trace, file.write)


def main(words: list[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    try:
        arguments = parse_arguments(words)
        if isinstance(arguments, str):
            sys.stdout.write(arguments)
            return 0
        if arguments.command[0] in COMMANDS:
            options = words[:-len(arguments.command)]
            if options[-1:] != ["--"]:
                from translator.commands import run_command
                return run_command(arguments.command, options)
        return run(arguments)
    except CommandError as error:
        sys.stderr.write(f"pylx: {error}\n")
        return error.status


def load_profile(name: str) -> Profile:
    from syscalls.profiles.load import NoSuchProfile, load
    try:
        return load(name)
    except NoSuchProfile as error:
        raise CommandError(f"--profile {error}") from None


def tell(lines: list[str]) -> None:
    """At the end, on stderr, unless pylx was started with it closed."""
    if sys.stderr is not None:
        sys.stderr.write("".join(f"pylx: {line}\n" for line in lines))


class Observer(Protocol):
    """Looks at a run from outside: what `pylx coverage` is made of."""

    kernel_class: type[Kernel]
    tells_profile: bool
    """Whether its report has what was met of a profile."""

    def watch(self, host: Host) -> Host:
        """The host to run on."""

    def attach(self, kernel: Kernel) -> None:
        """Before the first program is loaded."""

    def finish(self, kernel: Kernel) -> None:
        """After the last guest has ended."""


def run(arguments: Arguments, observer: Observer | None = None) -> int:
    gc.disable()
    from syscalls.boot import make_kernel
    from syscalls.kernel import KernelBug
    from translator.hosts import open_host

    host = open_host(arguments.host)
    options = boot_options(arguments, host)
    profile = load_profile(arguments.profile) if arguments.profile is not None else None
    engine = open_engine(arguments, host)
    if observer is None:
        kernel = make_kernel(engine, host, options)
    else:
        host = observer.watch(host)
        kernel = make_kernel(engine, host, options, observer.kernel_class)
    if profile is not None:
        profile.lay(kernel)
    tracer = start_trace(kernel, arguments) if arguments.trace else None
    if observer is not None:
        observer.attach(kernel)
    try:
        start(kernel, options)
        # What exists now lives as long as the run: the collector need not look at it again and again.
        gc.freeze()
        gc.enable()
        gc.set_threshold(20_000, 20, 50)
        kernel.run()
    except KernelBug as bug:
        report_bug(bug)
        return EXIT_BUG
    finally:
        if tracer is not None:
            tracer.close()
        kernel.shutdown()
    if observer is not None:
        observer.finish(kernel)
    if profile is not None and (observer is None or not observer.tells_profile):
        tell(profile.met.lines())
    if arguments.verbose or arguments.trace:
        tell(kernel.gap_lines())
    status = kernel.init.exit_status
    if status & 0x7F:
        sys.stderr.flush()
        host.die_of(status & 0x7F)
    return status >> 8 & 0xFF


def entry() -> None:
    """The console script.  Nothing is left to tidy up: leaving by os._exit saves the interpreter's teardown."""
    status = main()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None: pylx was started with it closed
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    entry()
