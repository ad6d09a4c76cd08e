"""Directories that stay within reach when a walk from the root could not get to them any more.

Linux keeps a working directory, and what is open, by reference; a tree of the host is asked by paths.  Before the
way to a path is closed to pylx's own user, the path is held: while the hold lives, walks to what is below it start
there.
"""

from __future__ import annotations

import errno
import os
from _weakref import ref

from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from translator.hosts.base import HostHold

_PATH_ONLY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Hold:
    """A descriptor of what is held: a directory open for reading, when that may be, otherwise its place only.
    path: where the tree reaches it now."""

    __slots__ = ("__weakref__", "fd", "holds", "path")

    def __init__(self, holds: Holds, path: bytes, fd: int) -> None:
        self.holds = holds
        self.path = path
        self.fd = fd

    def __del__(self) -> None:
        self.holds.dropped(self)

    def open(self, flags: int, mode: int) -> int:
        """A new descriptor of the same file, with the rights of now; a directory that could be read when it was held
        is read."""
        try:
            return os.open(b"/proc/self/fd/%d" % self.fd, flags & ~os.O_NOFOLLOW, mode & 0o7777)
        except OSError as error:
            if error.errno != errno.EACCES or flags & (os.O_ACCMODE | os.O_TMPFILE & ~os.O_DIRECTORY):
                raise HostError(error.errno) from None
        try:
            os.lseek(self.fd, 0, os.SEEK_SET)
        except OSError:
            raise HostError(errno.EACCES) from None  # its place only
        return os.dup(self.fd)


class Holds:
    """The holds of a tree."""

    __slots__ = ("by_path", "gone")

    def __init__(self) -> None:
        self.by_path: dict[bytes, ref[Hold]] = {}
        """Walks to what is below these paths start there."""
        self.gone: dict[bytes, ref[Hold]] = {}
        """Of what lost its name since: by a name that no file can have."""

    def add(self, path: bytes, open_path: Callable[[bytes, int], int]) -> Hold:
        known = self.at(path)
        if known is not None:
            return known
        try:
            fd = open_path(path, _DIRECTORY)
        except HostError:
            fd = open_path(path, _PATH_ONLY)
        hold = Hold(self, path, fd)
        self.by_path[path] = ref(hold)
        return hold

    def at(self, path: bytes) -> Hold | None:
        found = self.by_path.get(path) or self.gone.get(path)
        return None if found is None else found()

    def nearest(self, path: bytes) -> tuple[int, bytes] | None:
        """The descriptor of the nearest directory on the way to `path`, itself included, and the rest of the path."""
        cut = len(path)
        while cut > 0:
            hold = self.at(path[:cut])
            if hold is not None:
                return hold.fd, path[cut + 1:]
            cut = path.rfind(b"/", 0, cut)
        return None

    def above(self, path: bytes) -> list[HostHold]:
        found: list[HostHold] = []
        cut = path.rfind(b"/")
        while cut > 0:
            hold = self.at(path[:cut])
            if hold is not None:
                found.append(hold)
            cut = path.rfind(b"/", 0, cut)
        return found

    def moved(self, moves: list[tuple[bytes, bytes]]) -> None:
        """Names were renamed, all at once."""
        changed = []
        for path, held in list(self.by_path.items()):
            for old, new in moves:
                if path == old or path.startswith(old + b"/"):
                    del self.by_path[path]
                    changed.append((new + path[len(old):], held))
                    break
        for path, held in changed:
            hold = held()
            if hold is not None:
                hold.path = path
                self.by_path[path] = held

    def removed(self, path: bytes) -> None:
        """The name is gone: what is there next is something else."""
        held = self.by_path.pop(path, None)
        hold = None if held is None else held()
        if held is not None and hold is not None:
            hold.path = b"\0%d" % hold.fd
            self.gone[hold.path] = held

    def dropped(self, hold: Hold) -> None:
        for table in (self.by_path, self.gone):
            known = table.get(hold.path)
            if known is not None and known() in (None, hold):
                del table[hold.path]
        os.close(hold.fd)
