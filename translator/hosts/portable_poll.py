"""Readiness by `selectors`: kqueue, epoll or, on Windows, select, which knows sockets only."""

from __future__ import annotations

import os
import select
import selectors
import socket
import sys

from translator.hosts.portable_errno import failure
from translator.hosts.portable_stat import S_IFDIR, S_IFMT, S_IFREG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Ready = Callable[[int], None]

POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16
_UNASKED = POLLERR | POLLHUP
_WAKE = 0
_WAKE_LIMIT = 4096

windows_sockets: set[int] = set()
"""The handles that select takes on Windows: what else has a number there is a file, and always ready."""


def _pollable(fileno: int) -> bool:
    if sys.platform == "win32":
        return fileno in windows_sockets
    try:
        return os.fstat(fileno).st_mode & S_IFMT not in {S_IFREG, S_IFDIR}
    except OSError as error:
        raise failure(error) from None


class PortablePoller:
    """Several callbacks may wait for one descriptor; each is called once and forgotten."""

    __slots__ = ("_armed", "_on_signal", "_selector", "_unpollable", "_wake_read", "_wake_write")

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._armed: dict[int, dict[Ready, int]] = {}
        self._unpollable: dict[int, dict[Ready, int]] = {}
        self._on_signal: Callable[[int], None] | None = None

    def arm(self, fileno: int, mask: int, ready: Ready) -> None:
        waiting = self._armed.get(fileno)
        if waiting is None:
            waiting = (self._armed if _pollable(fileno) else self._unpollable).setdefault(fileno, {})
        waiting[ready] = waiting.get(ready, 0) | mask
        if fileno in self._armed:
            self._register(fileno, waiting)

    def _register(self, fileno: int, waiting: dict[Ready, int]) -> None:
        mask = 0
        for wanted in waiting.values():
            mask |= wanted
        # selectors has no event for a hang-up alone: it makes a descriptor readable.
        events = (selectors.EVENT_READ if mask & ~POLLOUT or not mask else 0) | (
            selectors.EVENT_WRITE if mask & POLLOUT else 0)
        try:
            if fileno in self._selector.get_map():
                self._selector.unregister(fileno)
            self._selector.register(fileno, events)
        except PermissionError:  # a device that epoll will not have: always ready, says poll(2)
            self._unpollable[fileno] = self._armed.pop(fileno)
        except OSError as error:
            self._armed.pop(fileno, None)
            raise failure(error) from None

    def _forget(self, fileno: int) -> None:
        try:
            self._selector.unregister(fileno)
        except (KeyError, ValueError):
            pass

    def disarm(self, fileno: int, ready: Ready | None = None) -> None:
        for table in (self._unpollable, self._armed):
            waiting = table.pop(fileno, None)
            if waiting is None:
                continue
            if ready is not None:
                waiting.pop(ready, None)
            if waiting and ready is not None:
                table[fileno] = waiting
                if table is self._armed:
                    self._register(fileno, waiting)
            elif table is self._armed:
                self._forget(fileno)

    def probe(self, fileno: int, mask: int) -> int:
        if not _pollable(fileno):
            return mask & (POLLIN | POLLOUT)
        if sys.platform == "win32":
            readable, writable, broken = select.select(
                [fileno] if mask & POLLIN else [], [fileno] if mask & POLLOUT else [], [fileno], 0)
            return POLLIN * bool(readable) | POLLOUT * bool(writable) | POLLERR * bool(broken)
        if sys.platform == "darwin" and os.isatty(fileno):  # poll(2) there does not do terminals
            readable, writable, _ = select.select([fileno], [fileno], [], 0)
            return mask & (POLLIN * bool(readable) | POLLOUT * bool(writable))
        probe = select.poll()
        probe.register(fileno, mask)
        events = probe.poll(0)
        return events[0][1] if events else 0

    def poll(self, timeout_ns: int | None) -> None:
        if self._unpollable:
            timeout_ns = 0
        for key, events in self._selector.select(None if timeout_ns is None else timeout_ns / 1_000_000_000):
            if key.fileobj is self._wake_read:
                self._woken()
            else:
                self._dispatch(key.fd, events)
        if self._unpollable:
            waiting = list(self._unpollable.values())
            self._unpollable.clear()
            for callbacks in waiting:
                for ready, mask in callbacks.items():
                    ready(mask & (POLLIN | POLLOUT))

    def _dispatch(self, fileno: int, events: int) -> None:
        waiting = self._armed.pop(fileno, None)
        if waiting is None:
            return
        wanted = 0
        for mask in waiting.values():
            wanted |= mask
        bits = self.probe(fileno, wanted)  # selectors tells neither hang-ups nor errors
        self._forget(fileno)
        left = {ready: mask for ready, mask in waiting.items() if not bits & (mask | _UNASKED)}
        if left:
            self._armed[fileno] = left
            self._register(fileno, left)
        for ready, mask in waiting.items():
            seen = bits & (mask | _UNASKED)
            if seen:
                ready(seen)

    def _woken(self) -> None:
        try:
            numbers = self._wake_read.recv(_WAKE_LIMIT)
        except BlockingIOError:
            return
        if self._on_signal is not None:
            from translator.hosts.portable_process import linux_signal
            for number in dict.fromkeys(numbers):
                if number != _WAKE:
                    self._on_signal(linux_signal(number))

    def wake(self) -> None:
        try:
            self._wake_write.send(b"\0")
        except BlockingIOError:  # full of reasons to wake up already
            pass

    def receive_signals(self, received: Callable[[int], None]) -> int:
        """Have signals reported to `received`; returns the descriptor that takes their numbers as bytes."""
        self._on_signal = received
        return self._wake_write.fileno()
