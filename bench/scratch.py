"""A directory in memory for all that the rows read and write: on a disk, untar varies twenty-fold with what ran before.

Not /dev/shm: pylx's guests have a /dev of their own.  Root gets a tmpfs in a mount namespace of this process alone,
others the first tmpfs that they may write to.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
MNT_DETACH = 2


def file_system_of(directory: Path) -> str:
    """The type of file system below a directory, from /proc/self/mounts."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, place, this, *_ = line.split()
        place = place.replace("\\040", " ")
        if (directory.is_relative_to(place)) and len(place) >= len(best):
            best, kind = place, this
    return kind


def _mount_own(directory: str) -> bool:
    """Mount a tmpfs there that only this process and its children see."""
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.unshare(CLONE_NEWNS) == 0
                and libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
                and libc.mount(b"tmpfs", directory.encode(), b"tmpfs", 0, b"size=75%") == 0)


@contextmanager
def scratch_directory(wanted: Path | None) -> Iterator[Path]:
    if wanted is None and os.geteuid() != 0:
        for place in (os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/var/tmp"):
            if place and os.access(place, os.W_OK) and file_system_of(Path(place)) == "tmpfs":
                wanted = Path(place)
                break
    with tempfile.TemporaryDirectory(dir=wanted, prefix="pylx-bench-", ignore_cleanup_errors=True) as made:
        mounted = wanted is None and os.geteuid() == 0 and _mount_own(made)
        try:
            yield Path(made).resolve()
        finally:
            if mounted:
                ctypes.CDLL(None).umount2(made.encode(), MNT_DETACH)
