"""A progress line on stderr, when that is a terminal."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

WIDTH = 24


class Progress:
    """One line that is written over: what, a bar, how many of how many, the latest item.  Closed by `done`."""

    def __init__(self, what: str, total: int, stream: TextIO | None = None) -> None:
        self.what = what
        self.total = total
        self.count = 0
        self.stream = sys.stderr if stream is None else stream
        self.shown = self.stream is not None and self.stream.isatty()

    def step(self, item: str, count: int = 1) -> None:
        self.count += count
        if self.shown:
            filled = WIDTH * self.count // max(1, self.total)
            bar = ("#" * filled).ljust(WIDTH, ".")
            self.stream.write(f"\r\x1b[K{self.what} [{bar}] {self.count}/{self.total} {item[:40]}")
            self.stream.flush()

    def done(self) -> None:
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
