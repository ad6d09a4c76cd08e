"""Importing everything at once.

Modules are imported when they are first needed, which takes host descriptors.  A guest that opens very many files
may leave none: so all is imported while there still are some.
"""

from __future__ import annotations

import sys

from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.kernel import Kernel


def import_everything(kernel: Kernel) -> None:
    from pkgutil import iter_modules
    kernel.everything_imported = True
    own = ("syscalls", "syscalls.fs", "syscalls.calls")
    under = (type(part).__module__.rpartition(".")[0] for part in (kernel.host, kernel.engine))
    for name in (*own, *under):
        for module in iter_modules(getattr(sys.modules.get(name), "__path__", ())):
            if not module.ispkg:
                try:
                    __import__(f"{name}.{module.name}")
                except (ImportError, OSError, HostError):
                    continue  # made for another system than this one
