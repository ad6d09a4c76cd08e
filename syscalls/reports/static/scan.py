"""Finding the files to analyse, and analysing them in several processes: each once, however many programs load it."""

from __future__ import annotations

import os

from syscalls.reports import facts
from syscalls.reports.progress import Progress
from syscalls.reports.static.code import Summary, summarise
from syscalls.reports.static.image import NotElf
from syscalls.reports.static.reach import Reach, find_library, load, reach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Future

MOST_SCRIPTS = 4
"""How many `#!` lines are followed."""


class Scan:
    """The programs found under the paths that were given, and what was left out."""

    def __init__(self) -> None:
        self.programs: list[str] = []
        self.scripts: dict[str, str] = {}
        """Program -> the script whose interpreter it is."""
        self.left_out: list[tuple[str, str]] = []
        """(path, why) of paths that were named and are no programs."""
        self.summaries: dict[str, Summary] = {}


def collect(paths: list[str], root: str = "") -> Scan:
    """What to analyse: files as they are named (scripts by their interpreter); of directories all programs in them."""
    scan = Scan()
    seen: set[str] = set()

    def take(path: str) -> None:
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            scan.programs.append(real)

    for path in paths:
        if not os.path.isdir(path):
            found = named(path, root)
            if isinstance(found, NotElf):
                scan.left_out.append((path, str(found)))
                continue
            if found != path:
                scan.scripts.setdefault(os.path.realpath(found), path)
            take(found)
            continue
        for directory, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                file = os.path.join(directory, name)
                if not os.path.islink(file) and is_program(file):
                    take(file)
    return scan


def named(path: str, root: str = "") -> str | NotElf:
    """The ELF file behind a path: itself, or the interpreter of a script."""
    for _ in range(MOST_SCRIPTS):
        try:
            with open(path, "rb") as file:
                head = file.read(256)
        except OSError as error:
            return NotElf(error.strerror or "cannot be read")
        if head[:2] != b"#!":
            return path if head[:4] == b"\x7fELF" else NotElf("not an ELF file")
        words = head[2:].partition(b"\n")[0].split()
        if not words:
            return NotElf("a script without an interpreter")
        interpreter = os.fsdecode(words[-1] if words[0].endswith(b"/env") else words[0])
        if "/" not in interpreter:
            from shutil import which
            interpreter = which(interpreter) or f"/usr/bin/{interpreter}"
        path = root + interpreter
    return NotElf("a script of scripts")


def is_program(path: str) -> bool:
    """An executable ELF file that is no shared library: of a tree only programs are wanted, with what they load."""
    import struct
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01" or head[18:20] != b"\x3e\x00":
                return False
            kind, = struct.unpack_from("<H", head, 16)
            if kind == 2:
                return True
            if kind != 3 or not os.access(path, os.X_OK):
                return False
            table, = struct.unpack_from("<Q", head, 32)
            size, count = struct.unpack_from("<HH", head, 54)
            file.seek(table)
            headers = file.read(size * count)
            kinds = {struct.unpack_from("<I", headers, index * size)[0] for index in range(count)}
            entry, = struct.unpack_from("<Q", head, 24)
            # Static position-independent programs have no interpreter; of libraries ld.so and libc have an entry, too.
            return 3 in kinds or bool(entry and ".so" not in os.path.basename(path))
    except (OSError, struct.error):
        return False


def wanted_arguments() -> dict[int, tuple[int, ...]]:
    """The arguments that rules about other systems look at."""
    from syscalls.profiles.load import calls, wsl1_rules
    out = {}
    for name, record in calls().items():
        asked = {clause.index for rule in wsl1_rules(name) if not rule.live for clause in rule.clauses}
        if asked:
            out[record.number] = tuple(sorted(asked))
    return out


def analyse(path: str, prefixes: tuple[str, ...], wanted: dict[int, tuple[int, ...]]) -> Summary:
    """One file, for a worker process: what went wrong is in the summary."""
    try:
        return summarise(path, prefixes, wanted)
    except (NotElf, OSError) as error:
        out = Summary(path)
        out.error = str(error)
        return out


def run(scan: Scan, jobs: int, root: str = "") -> list[Reach]:
    """Analyse the programs and all that they load, `jobs` files at a time."""
    from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait

    prefixes = tuple(row["prefix"] for row in facts.table("wsl1_paths")
                     if "*" not in row["prefix"] and row["effect"] != "none")
    wanted = wanted_arguments()
    progress = Progress("disassembling", len(scan.programs))
    asked: set[str] = set()
    pending: set[Future[Summary]] = set()

    def finished(summary: Summary) -> list[str]:
        scan.summaries[summary.path] = summary
        progress.step(os.path.basename(summary.path))
        more = []
        for name in [*summary.needed, *([summary.interpreter] if summary.interpreter else [])]:
            path = find_library(name, summary.run_path, os.path.dirname(summary.path), root)
            if path is not None and os.path.realpath(path) not in asked:
                asked.add(os.path.realpath(path))
                more.append(os.path.realpath(path))
        progress.total += len(more)
        return more

    asked.update(scan.programs)
    try:
        if jobs < 2:
            work = list(scan.programs)
            while work:
                work += finished(analyse(work.pop(0), prefixes, wanted))
        else:
            with ProcessPoolExecutor(jobs) as pool:
                pending = {pool.submit(analyse, path, prefixes, wanted) for path in scan.programs}
                while pending:
                    ready, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in ready:
                        for path in finished(future.result()):
                            pending.add(pool.submit(analyse, path, prefixes, wanted))
    finally:
        progress.done()

    def summary_of(path: str) -> Summary | None:
        # A library found by its loader's run path only may be new here.
        if path not in scan.summaries:
            scan.summaries[path] = analyse(path, prefixes, wanted)
        summary = scan.summaries[path]
        return None if summary.error else summary

    return [reach(load(scan.summaries[path], summary_of, root)) for path in scan.programs
            if not scan.summaries[path].error]
