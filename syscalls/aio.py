"""Linux asynchronous I/O (fs/aio.c): io_setup and relatives.

Contexts, their finished events and the ring in the program's memory that shows these, and the requests that wait:
IOCB_CMD_POLL, in the polled object's queue.  All others are served while they are submitted (syscalls/calls/aio.py).
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

IOCB = Struct("<QIIHhIQQqQII")
"""struct iocb: data, key, rw_flags, opcode, reqprio, fildes, buf, nbytes, offset, reserved2, flags, resfd."""
EVENT = Struct("<QQqq")
"""struct io_event: data, obj, res, res2."""


HEADER = Struct("<8I")
"""struct aio_ring: id, nr, head, tail, magic, compat_features, incompat_features, header_length."""
HEAD_AT, TAIL_AT = 8, 12
RING_MAGIC = 0xA10A10A1
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
            context.address = area.start
            return


class AioContext:
    """One io_setup(2): finished events, in order.  `size`: how many requests may be under way or unfetched."""

    __slots__ = ("address", "events", "head", "length", "mm", "polls", "queue", "ring", "size", "slots", "tail")

    def __init__(self, mm: Mm, area: Vma, number: int) -> None:
        assert area.backing is not None
        self.mm = mm
        self.ring = area.backing
        self.address = area.start
        self.length = area.end - area.start
        """Of the ring's mapping, in bytes."""
        self.slots = (self.length - HEADER.size) // EVENT.size
        self.size = self.slots - 1
        self.head = self.tail = 0
        mm.mem.write(self.address, HEADER.pack(number, self.slots, 0, 0, RING_MAGIC, 1, 0, HEADER.size))
        self.events: deque[bytes] = deque()
        self.polls: list[PollRequest] = []
        self.queue = WaitQueue()

    @property
    def full(self) -> bool:
        self.reaped()
        return len(self.events) + len(self.polls) >= self.size

    def finish(self, data: int, address: int, result: int, notify: EventFd | None) -> None:
        event = EVENT.pack(data, address, result, 0)
        self.events.append(event)
        self._show(HEADER.size + self.tail * EVENT.size, event)
        self.tail = (self.tail + 1) % self.slots
        self._show(TAIL_AT, self.tail.to_bytes(4, "little"))
        self.queue.wake()
        if notify is not None:
            notify.signal()
            notify.release()

    def _show(self, place: int, data: bytes) -> None:
        """Put into the ring what a program may look at there, which is its own loss when it cannot be."""
        try:
            self.mm.mem.write(self.address + place, data)
        except LinuxError:
            pass

    def reaped(self) -> None:
        """Forget the events that the program has taken from the ring itself (user_refill_reqs_available)."""
        if not self.events:
            return
        try:
            head = self.mm.mem.u32(self.address + HEAD_AT)
        except LinuxError:
            return
        if head != self.head and head < self.slots and (head - self.head) % self.slots <= len(self.events):
            for _ in range((head - self.head) % self.slots):
                self.events.popleft()
            self.head = head

    def take(self, count: int) -> None:
        """The oldest events were fetched."""
        for _ in range(count):
            self.events.popleft()
        self.head = (self.head + count) % self.slots
        self._show(HEAD_AT, self.head.to_bytes(4, "little"))

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
