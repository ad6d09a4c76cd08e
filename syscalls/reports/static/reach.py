"""From summaries of files to what a program can reach: which libraries are loaded, which functions run, which calls
they make."""

from __future__ import annotations

import os
from collections import deque

from syscalls.reports.static.code import NOTHING, Summary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SYSTEM_DIRECTORIES = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
                      "/usr/local/lib")
OPENERS = ("dlopen", "dlmopen", "__libc_dlopen_mode")


class Reach:
    """What a program can come to: by file, the functions reached."""

    def __init__(self, program: Summary) -> None:
        self.program = program
        self.files: list[Summary] = []
        """In the order of loading; the interpreter last."""
        self.missing: list[str] = []
        """Libraries that were not found."""
        self.places: dict[tuple[int, int], tuple[int, int] | None] = {}
        """What can run or is used, (file, function) or (file, -1 - piece of data) -> from where it was reached."""
        self.unbound: set[str] = set()
        """Symbols used that no file exports."""
        self.opens = False
        """It can open further libraries at run time."""


def find_library(name: str, run_path: list[str], origin: str, root: str = "") -> str | None:
    """The file that ld.so would load: by path, in the run path, in the system's directories."""
    if "/" in name:
        candidates = [root + name]
    else:
        own = [entry.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for entry in run_path]
        candidates = [os.path.join(entry if entry.startswith(origin) else root + entry, name) for entry in own]
        candidates += [f"{root}{directory}/{name}" for directory in SYSTEM_DIRECTORIES]
    return next((path for path in candidates if os.path.isfile(path)), None)


def load(program: Summary, summary_of: Callable[[str], Summary | None], root: str = "") -> Reach:
    """The program with its libraries, breadth first as ld.so does."""
    out = Reach(program)
    out.files.append(program)
    seen = {os.path.realpath(program.path)}
    index = 0
    while index < len(out.files):
        summary = out.files[index]
        index += 1
        for name in summary.needed:
            path = find_library(name, summary.run_path or program.run_path, os.path.dirname(summary.path), root)
            if path is None:
                if name not in out.missing:
                    out.missing.append(name)
                continue
            path = os.path.realpath(path)
            if path not in seen:
                seen.add(path)
                found = summary_of(path)
                if found is not None:
                    out.files.append(found)
    if program.interpreter:
        path = os.path.realpath(root + program.interpreter)
        found = summary_of(path) if path not in seen and os.path.isfile(path) else None
        if found is not None:
            out.files.append(found)
    return out


def reach(found: Reach) -> Reach:
    """Fill in what can run: from entries and constructors, along calls, imports and addresses taken, nearest first."""
    files, places = found.files, found.places
    exporting: dict[str, tuple[int, int]] = {}
    for number, summary in enumerate(files):
        for symbol, place in summary.exports.items():
            exporting.setdefault(symbol, (number, place))
    work: deque[tuple[int, int]] = deque()

    def want(number: int, place: int, origin: tuple[int, int] | None) -> None:
        if place != NOTHING and (number, place) not in places:
            places[number, place] = origin
            work.append((number, place))

    def bind(symbol: str, origin: tuple[int, int]) -> None:
        if symbol in exporting:
            want(*exporting[symbol], origin)
        else:
            found.unbound.add(symbol)
        if symbol in OPENERS:
            found.opens = True

    def go_on() -> None:
        while work:
            origin = number, place = work.popleft()
            summary = files[number]
            if place >= 0:
                functions: Iterable[int] = summary.calls.get(place, ())
                # Sorted: the way that is shown must be the same each time.
                symbols: Iterable[str] = sorted(summary.imports.get(place, ()))
                pieces: Iterable[int] = summary.data.get(place, ())
            else:
                functions, symbols, pieces = summary.pieces[-1 - place]
            for callee in functions:
                want(number, callee, origin)
            for symbol in symbols:
                bind(symbol, origin)
            for piece in pieces:
                want(number, -1 - piece, origin)

    program = files[0]
    for root in program.roots:
        want(0, root, None)
    go_on()
    if program.go:
        # Go's linker keeps only what can be reached, by interfaces and reflection, too.
        for function in range(len(program.names)):
            want(0, function, None)
    elif is_library(program):
        # Of a library alone everything that it offers counts.
        for place in program.exports.values():
            want(0, place, None)
    go_on()
    # Last, so that what the program itself uses is shown as reached by it.
    for number, summary in enumerate(files[1:], 1):
        for root in summary.roots:
            want(number, root, None)
    go_on()
    return found


def is_library(summary: Summary) -> bool:
    return bool(summary.soname) or not summary.has_entry


def chain(found: Reach, place: tuple[int, int]) -> list[tuple[int, int]]:
    """How a place was reached first: functions from the root to it, pieces of data left out."""
    out = []
    step: tuple[int, int] | None = place
    while step is not None:
        if step[1] >= 0:
            out.append(step)
        step = found.places[step]
    return out[::-1]
