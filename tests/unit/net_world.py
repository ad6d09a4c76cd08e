"""A kernel with two tasks and no guest code: enough to call sockets directly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from syscalls.abi.errno import LinuxError
from syscalls.clock import VirtualClock
from syscalls.credentials import Credentials
from syscalls.fd import FdTable
from syscalls.wait import Waiter
from translator.hosts.base import HostError


class World:
    def __init__(self, host: Any = None) -> None:
        self.gaps: list[tuple[str, int]] = []
        self.kernel = SimpleNamespace(
            net=None, next_inode=100, pipe_max_size=1 << 20, clock=VirtualClock(), host=host,
            poller=host.poller() if host else None,
            gap=lambda task, what, value: self.gaps.append((what, value)))

    def task(self, pid: int = 10, uid: int = 0) -> Any:
        group = SimpleNamespace(pid=pid, soft_limit=lambda resource: 1024)
        return SimpleNamespace(kernel=self.kernel, group=group, cred=Credentials(uid, uid, ()), files=FdTable(),
                               fs=SimpleNamespace(umask=0o022))


class Heard(Waiter):
    """Collects the masks of the wakes of a queue."""

    def __init__(self, queue: Any) -> None:
        self.masks: list[int] = []
        queue.add(self)

    def notify(self, mask: int) -> bool:
        self.masks.append(mask)
        return True

    def take(self) -> int:
        union = 0
        for mask in self.masks:
            union |= mask
        self.masks.clear()
        return union


def errno_of(action: Any, *args: Any) -> int:
    """The error number that a call raises; 0 for none."""
    try:
        action(*args)
    except (LinuxError, HostError) as error:
        return error.errno
    return 0
