"""Counting what is asked of the host: proxies around a host and all it hands out.

Only a coverage run has them; other runs pay nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from translator.hosts.base import Host

    Told = Callable[[str, int], None]
    """Told of each operation: its name (`file.pread`) and how long it took (ns); -1 where sleeping is its purpose."""

_classes: dict[tuple[type, str], type] = {}
HANDED_OUT = {
    "host.tree": "tree", "host.poller": "poller", "host.socket": "socket", "host.stream": "file",
    "host.terminal": "terminal", "tree.open": "file", "tree.create": "file", "tree.watch": "watch",
}
"""Operations whose result is a host object, and what it is called."""
UNTIMED = {"poller.poll"}
UNCOUNTED = {"host.monotonic_ns", "host.realtime_ns", "host.boottime_ns", "host.coarse_ns", "host.raw_ns",
             "host.cputime_ns", "poller.wake", "file.fileno", "socket.fileno", "terminal.fileno", "terminal.name",
             "host.pid", "host.ppid"}
"""They ask nothing of the system but the time or a number known already; counting them would hide the others."""


class Counting:
    """Base of the proxies: attributes that are not operations come from the object itself."""

    inner: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def counting(inner: Any, kind: str, told: Told, now: Callable[[], int]) -> Any:
    """A proxy of `inner` that tells `told` of each operation."""
    if inner is None:
        return None
    key = (type(inner), kind)
    if key not in _classes:
        names = [name for name in dir(inner) if not name.startswith("_") and callable(getattr(inner, name))]
        _classes[key] = type(f"Counting{type(inner).__name__}", (Counting,),
                             {name: _operation(name, f"{kind}.{name}") for name in names
                              if f"{kind}.{name}" not in UNCOUNTED})
    proxy = _classes[key]()
    proxy.inner = inner
    proxy.told = told
    proxy.now = now
    return proxy


def _operation(name: str, label: str) -> Callable[..., Any]:
    handed_out = HANDED_OUT.get(label)

    def operation(self: Any, *args: Any, **named: Any) -> Any:
        began = self.now()
        try:
            # An open file may be handed back to its tree (link_open): the host knows its own objects only.
            result = getattr(self.inner, name)(*(arg.inner if isinstance(arg, Counting) else arg for arg in args),
                                               **named)
        finally:
            self.told(label, -1 if label in UNTIMED else self.now() - began)
        if handed_out is not None:
            return counting(result, handed_out, self.told, self.now)
        if label == "socket.accept":
            return counting(result[0], "socket", self.told, self.now), result[1]
        return result

    return operation


def count_host(host: Host, told: Told) -> Host:
    proxy: Host = counting(host, "host", told, host.monotonic_ns)
    return proxy
