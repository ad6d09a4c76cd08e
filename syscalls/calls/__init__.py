"""The system calls: thin adapters, grouped by theme, each module declaring its calls in `syscalls.table.TABLE`."""

from __future__ import annotations

from syscalls.table import TABLE

COMMON = (
    "attr", "descriptors", "dir", "exec", "fcntl", "futex", "ids", "io", "ioctl", "limits", "memory", "misc", "open",
    "path", "poll", "prctl", "process", "signal", "stat", "time",
)
"""What nearly every program calls: imported at start."""
OTHERS = (
    "xattr", "sched", "net", "epoll", "transfer", "preadv", "eventfds", "storage", "lock", "pidfd", "mount", "inotify",
    "shm", "ipc", "mqueue", "numa", "aio", "ptrace", "keys", "landlock", "kcmp", "refused",
)
"""The others, imported when a call is made that is not declared yet, the likely ones first: importing all at start
would take a tenth of the start-up time."""
MODULES = (*COMMON, *OTHERS)
"""Every module of this package.  Listing the directory at run time would import pkgutil, a third of the start-up time;
a test compares."""


def load_common() -> None:
    for name in COMMON:
        __import__(f"{__name__}.{name}")


def load() -> None:
    """Import all modules: the table is complete then."""
    for name in MODULES:
        __import__(f"{__name__}.{name}")


def declare(number: int) -> None:
    """Import modules until one has declared this call, or all are there."""
    for name in OTHERS:
        __import__(f"{__name__}.{name}")
        if TABLE[number] is not None:
            break
