"""The system calls: thin adapters, grouped by theme.  `load` fills the table."""

from __future__ import annotations

MODULES = (
    "aio", "attr", "descriptors", "dir", "epoll", "eventfds", "exec", "fcntl", "futex", "ids", "inotify", "io",
    "ioctl", "ipc", "limits", "lock", "memory", "misc", "mount", "mqueue", "net", "numa", "open", "path",
    "pidfd", "poll", "prctl", "process", "refused", "sched", "shm", "signal", "stat", "storage", "time",
    "transfer", "xattr",
)
"""Every module of this package.  Listing the directory at run time would import pkgutil, a third of the start-up time;
a test compares."""


def load() -> None:
    """Import all modules: each declares its calls in `syscalls.table.TABLE`."""
    for name in MODULES:
        __import__(f"{__name__}.{name}")
