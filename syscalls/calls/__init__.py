"""The system calls: thin adapters, grouped by theme.  `load` fills the table."""

from __future__ import annotations


def load() -> None:
    """Import every module of this package: each declares its calls in `syscalls.table.TABLE`."""
    from pkgutil import iter_modules
    for module in iter_modules(__path__):
        __import__(f"{__name__}.{module.name}")
