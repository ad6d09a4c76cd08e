"""Readiness on a Linux host: one epoll instance, one wake-up pipe that signals write their numbers to."""

from __future__ import annotations

import errno
import os
import select

from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from translator.hosts.linux_watch import Watches

    Ready = Callable[[int], None]

POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL = 1, 2, 4, 8, 16, 32
_ALWAYS_READY = POLLIN | POLLOUT
_UNASKED = POLLERR | POLLHUP
_ONESHOT = 1 << 30
_WAKE = 0
"""The byte of wake(): no signal has this number."""


class LinuxPoller:
    """Several callbacks may wait for one descriptor; each is called once and forgotten."""

    __slots__ = ("_armed", "_epoll", "_on_signal", "_registered", "_unpollable", "_wake_read", "_wake_write",
                 "_watches")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._epoll.register(self._wake_read, POLLIN)
        self._armed: dict[int, dict[Ready, int]] = {}
        self._registered: set[int] = set()
        self._unpollable: dict[int, dict[Ready, int]] = {}
        self._on_signal: Callable[[int], None] | None = None
        self._watches: Watches | None = None

    def arm(self, fileno: int, mask: int, ready: Ready) -> None:
        waiting = self._armed.get(fileno)
        if waiting is None:
            waiting = self._armed[fileno] = {}
        waiting[ready] = waiting.get(ready, 0) | mask
        self._register(fileno, waiting)

    def _register(self, fileno: int, waiting: dict[Ready, int]) -> None:
        events = _ONESHOT
        for mask in waiting.values():
            events |= mask
        try:
            if fileno in self._registered:
                try:
                    self._epoll.modify(fileno, events)
                    return
                except FileNotFoundError:  # closed and opened again without disarm
                    pass
            try:
                self._epoll.register(fileno, events)
            except FileExistsError:
                self._epoll.modify(fileno, events)
            self._registered.add(fileno)
        except PermissionError:  # regular files and directories, which poll(2) calls ready
            self._unpollable[fileno] = self._armed.pop(fileno)
            self._registered.discard(fileno)
        except OSError as error:
            self._armed.pop(fileno, None)
            self._registered.discard(fileno)
            raise HostError(error.errno) from None

    def disarm(self, fileno: int, ready: Ready | None = None) -> None:
        waiting = self._armed.pop(fileno, None)
        if self._unpollable:
            others = self._unpollable.pop(fileno, None)
            if ready is not None and others is not None:
                others.pop(ready, None)
                if others:
                    self._unpollable[fileno] = others
        if ready is not None and waiting is not None:
            waiting.pop(ready, None)
            if waiting:
                self._armed[fileno] = waiting
                self._register(fileno, waiting)
                return
        if fileno in self._registered:
            self._registered.discard(fileno)
            try:
                self._epoll.unregister(fileno)
            except OSError as error:
                if error.errno not in {errno.ENOENT, errno.EBADF}:
                    raise HostError(error.errno) from None

    def probe(self, fileno: int, mask: int) -> int:
        probe = select.poll()
        probe.register(fileno, mask)
        events = probe.poll(0)
        return events[0][1] if events else 0

    def poll(self, timeout_ns: int | None) -> None:
        if self._unpollable:
            timeout_ns = 0
        if timeout_ns == 0:
            events = self._epoll.poll(0, 64)
        elif timeout_ns is None:
            events = self._epoll.poll(-1, 64)
        else:
            # epoll_wait counts in milliseconds, select in microseconds; its descriptor limit of 1024 does not
            # matter, for the epoll descriptor was opened when pylx started.
            select.select((self._epoll,), (), (), (timeout_ns + 999) / 1_000_000_000)
            events = self._epoll.poll(0, 64)
        for fileno, bits in events:
            if fileno == self._wake_read:
                self._woken()
            else:
                self._dispatch(fileno, bits)
        if self._unpollable:
            self._dispatch_unpollable()

    def _dispatch(self, fileno: int, bits: int) -> None:
        waiting = self._armed.pop(fileno, None)
        if waiting is None:
            return
        if len(waiting) > 1 and not bits & _UNASKED:
            left = {ready: mask for ready, mask in waiting.items() if not mask & bits}
            if left:
                self._armed[fileno] = left
                self._register(fileno, left)
        for ready, mask in waiting.items():
            seen = bits & (mask | _UNASKED)
            if seen:
                ready(seen)

    def _dispatch_unpollable(self) -> None:
        waiting = list(self._unpollable.values())
        self._unpollable.clear()
        for callbacks in waiting:
            for ready, mask in callbacks.items():
                ready(mask & _ALWAYS_READY)

    def _woken(self) -> None:
        try:
            numbers = os.read(self._wake_read, 4096)
        except BlockingIOError:
            return
        if self._on_signal is not None:
            for number in dict.fromkeys(numbers):  # each signal once, as while it is pending
                if number != _WAKE:
                    self._on_signal(number)

    def wake(self) -> None:
        try:
            os.write(self._wake_write, b"\0")
        except BlockingIOError:  # full of reasons to wake up already
            pass

    def receive_signals(self, received: Callable[[int], None]) -> int:
        """Have signals reported to `received`; returns the descriptor that takes their numbers as bytes."""
        self._on_signal = received
        return self._wake_write

    def watches(self) -> Watches:
        if self._watches is None:
            from translator.hosts.linux_watch import Watches
            self._watches = Watches(self)
        return self._watches
