"""Changes that others make in a host tree, by one inotify instance (man 7 inotify)."""

from __future__ import annotations

import ctypes
import os
from struct import Struct

from translator.hosts import linux_calls as calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from translator.hosts.linux_poll import LinuxPoller

_EVENT = Struct("@iIII")  # struct inotify_event: wd, mask, cookie, len
_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_IN_MASK_ADD = 0x20000000
_IN_ALWAYS = 0x2000 | _IN_Q_OVERFLOW | _IN_IGNORED  # IN_UNMOUNT and these come unasked
_POLLIN = 1


class Watch:
    __slots__ = ("changed", "mask", "owner", "wd")

    def __init__(self, owner: Watches, wd: int, changed: Callable[[int, bytes, int], None], mask: int) -> None:
        self.owner = owner
        self.wd = wd
        self.changed = changed
        self.mask = mask

    def close(self) -> None:
        self.owner.remove(self)


class Watches:
    """inotify gives one watch descriptor per inode: its watchers share that, each with its own mask."""

    __slots__ = ("_fd", "_poller", "_watches")

    def __init__(self, poller: LinuxPoller) -> None:
        self._fd = calls.libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise calls.failure()
        self._poller = poller
        self._watches: dict[int, list[Watch]] = {}
        poller.arm(self._fd, _POLLIN, self._ready)

    def add(self, fd: int, changed: Callable[[int, bytes, int], None], mask: int) -> Watch:
        """Watch what the O_PATH descriptor fd refers to; fd may be closed afterwards."""
        wanted = ctypes.c_uint32(mask & 0x0FFFFFFF | _IN_MASK_ADD)
        wd = calls.libc.inotify_add_watch(ctypes.c_int(self._fd), b"/proc/self/fd/%d" % fd, wanted)
        if wd < 0:
            raise calls.failure()
        watch = Watch(self, wd, changed, mask & 0xFFF)
        self._watches.setdefault(wd, []).append(watch)
        return watch

    def remove(self, watch: Watch) -> None:
        watches = self._watches.get(watch.wd)
        if watches is None or watch not in watches:
            return
        watches.remove(watch)
        if not watches:
            del self._watches[watch.wd]
            calls.libc.inotify_rm_watch(ctypes.c_int(self._fd), ctypes.c_int(watch.wd))

    def _ready(self, _bits: int) -> None:
        self._poller.arm(self._fd, _POLLIN, self._ready)
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            wd, mask, cookie, length = _EVENT.unpack_from(data, at)
            name = data[at + 16:at + 16 + length].rstrip(b"\0")
            at += 16 + length
            if mask & _IN_Q_OVERFLOW:
                watches = [watch for group in self._watches.values() for watch in group]
            elif mask & _IN_IGNORED:
                watches = self._watches.pop(wd, [])
            else:
                watches = list(self._watches.get(wd, ()))
            for watch in watches:
                if mask & (watch.mask | _IN_ALWAYS):
                    watch.changed(mask, name, cookie)
