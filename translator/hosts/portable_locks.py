"""Record locks against other processes, where the host knows only those of POSIX.

They belong to the process and vanish when it closes *any* descriptor of the file (man 2 fcntl): what is held is
noted here, and taken again after such a close.  Between the two another process may be quicker.
"""

from __future__ import annotations

import os
import sys

from translator.hosts.base import HostError
from translator.hosts.portable_errno import EACCES, EAGAIN, ENOSYS, failure

_END = 1 << 63

Key = tuple[int, int]


class _Held:
    """The locks of one inode: (first, after, exclusive) ranges that do not overlap, and who holds its file open."""

    __slots__ = ("ranges", "users")

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int, bool]] = []
        self.users: list[int] = []

    def note(self, first: int, after: int, exclusive: bool | None) -> None:
        left = []
        for low, high, kind in self.ranges:
            if low < first:
                left.append((low, min(high, first), kind))
            if high > after:
                left.append((max(low, after), high, kind))
        if exclusive is not None:
            left.append((first, after, exclusive))
        self.ranges = [entry for entry in left if entry[0] < entry[1]]


_held: dict[Key, _Held] = {}


def _apply(fd: int, first: int, after: int, exclusive: bool | None) -> None:
    if sys.platform == "win32":
        raise HostError(ENOSYS)  # its locks are mandatory: they would keep pylx itself from reading
    else:
        from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, lockf
        kind = LOCK_UN if exclusive is None else (LOCK_EX if exclusive else LOCK_SH) | LOCK_NB
        try:
            lockf(fd, kind, 0 if after == _END else after - first, first)
        except OSError as error:
            raised = failure(error)
            raise HostError(EAGAIN) if raised.errno == EACCES else raised from None


def lock(fd: int, exclusive: bool | None, start: int, length: int) -> None:
    after = start + length if length else _END
    status = os.fstat(fd)
    key = (status.st_dev, status.st_ino)
    if exclusive is None and key not in _held:
        return
    _apply(fd, start, after, exclusive)
    held = _held.setdefault(key, _Held())
    held.note(start, after, exclusive)
    if fd not in held.users:
        held.users.append(fd)


def close(fd: int) -> None:
    """os.close, minding the locks."""
    if not _held:
        os.close(fd)
        return
    status = os.fstat(fd)
    key = (status.st_dev, status.st_ino)
    held = _held.get(key)
    os.close(fd)
    if held is None:
        return
    if fd in held.users:
        held.users.remove(fd)
    if not held.users:
        del _held[key]
        return
    for first, after, exclusive in held.ranges:
        try:
            _apply(held.users[0], first, after, exclusive)
        except HostError:
            held.note(first, after, None)  # lost to another process
