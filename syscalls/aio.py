"""Linux asynchronous I/O (fs/aio.c): io_setup and relatives.

Contexts, their finished events, and the requests that wait for these: IOCB_CMD_POLL, in the polled object's queue.  All
others are served while they are submitted (syscalls/calls/aio.py).
"""

from __future__ import annotations

from collections import deque
from struct import Struct

from syscalls.abi.errno import EINVAL, LinuxError
from syscalls.abi.mm import MAP_ANONYMOUS, MAP_SHARED, PROT_READ, PROT_WRITE, VM_DONTEXPAND, VM_LOCKED
from syscalls.wait import Waiter, WaitQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.eventfd import EventFd
    from syscalls.fd import FileDescription
    from syscalls.mm import Mm, Vma
    from syscalls.task import Task
    from translator.machine import Backing

IOCB = Struct("<QIIHhIQQqQII")
"""struct iocb: data, key, rw_flags, opcode, reqprio, fildes, buf, nbytes, offset, reserved2, flags, resfd."""
EVENT = Struct("<QQqq")
"""struct io_event: data, obj, res, res2."""


RING_NAME = b"/[aio] (deleted)"


def map_ring(task: Task, length: int) -> Vma:
    """The file in memory that finished events are shown in, mapped: it neither grows nor is locked (VM_DONTEXPAND)."""
    mm = task.mm
    area = mm.find(mm.map(task, 0, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, None, 0))
    assert area is not None
    area.name = RING_NAME
    area.flags |= VM_DONTEXPAND
    if area.flags & VM_LOCKED:
        area.flags &= ~VM_LOCKED
        mm.locked_bytes -= length
    return area


def ring_moved(mm: Mm, area: Vma) -> None:
    """A context is known by where its ring is (aio_ring_mremap)."""
    contexts = mm.aio_contexts or {}
    for number, context in contexts.items():
        if context.ring is area.backing:
            contexts[area.start] = contexts.pop(number)
            return


class AioContext:
    """One io_setup(2): finished events, in order.  `size`: how many requests may be under way or unfetched."""

    __slots__ = ("events", "length", "polls", "queue", "ring", "size")

    def __init__(self, ring: Backing, length: int, size: int) -> None:
        self.ring = ring
        self.length = length
        """Of the ring's mapping, in bytes."""
        self.size = size
        self.events: deque[bytes] = deque()
        self.polls: list[PollRequest] = []
        self.queue = WaitQueue()

    @property
    def full(self) -> bool:
        return len(self.events) + len(self.polls) >= self.size

    def finish(self, data: int, address: int, result: int, notify: EventFd | None) -> None:
        self.events.append(EVENT.pack(data, address, result, 0))
        self.queue.wake()
        if notify is not None:
            notify.signal()
            notify.release()

    def cancel_all(self) -> None:
        for request in list(self.polls):
            request.stop()


class PollRequest(Waiter):
    """IOCB_CMD_POLL: finishes once, when one of its events holds."""

    __slots__ = ("address", "context", "data", "file", "mask", "notify_file")

    def __init__(self, context: AioContext, file: FileDescription, mask: int, data: int, address: int,
                 notify_file: EventFd | None) -> None:
        self.context = context
        self.file = file.retain()
        self.mask = mask
        self.data = data
        self.address = address
        self.notify_file = notify_file

    def start(self) -> None:
        """EINVAL for what is not ready and has no queue: it never would be."""
        if not self.file.pollable and not self.file.ready(self.mask) & self.mask:
            self.file.release()
            raise LinuxError(EINVAL)
        self.context.polls.append(self)
        self.file.queue.add(self, self.mask)
        self.notify(0)

    def notify(self, mask: int) -> bool:
        # A wake that says what happened is reported as it is (aio_poll_wake).
        bits = mask if mask > 0 else self.file.ready(self.mask) & self.mask
        if bits:
            notify_file, self.notify_file = self.notify_file, None
            self.stop()
            self.context.finish(self.data, self.address, bits, notify_file)
        return False

    def stop(self) -> None:
        if self in self.context.polls:
            self.context.polls.remove(self)
            self.file.queue.remove(self)
            self.file.release()
            if self.notify_file is not None:
                self.notify_file.release()
