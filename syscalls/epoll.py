"""epoll (fs/eventpoll.c): a set of watched descriptions, and the list of those that became ready.

Each watched description has one `EpollItem` in its wait queue.  A wake puts the item on the ready list; waiting looks
at that list only, asks each item's object again, and keeps level-triggered items on it.  Objects whose readiness lives
in the host announce an edge only while they are armed: an item that was found not ready arms them again.
"""

from __future__ import annotations

from struct import Struct

from syscalls.abi.errno import EEXIST, EINVAL, ELOOP, ENOENT, EPERM, LinuxError
from syscalls.abi.poll import (
    EPOLLET,
    EPOLLEXCLUSIVE,
    EPOLLONESHOT,
    EPOLLWAKEUP,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDBAND,
    POLLRDHUP,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
)
from syscalls.fd import O_RDWR
from syscalls.fs.anon import AnonymousFile
from syscalls.wait import HostWaitQueue, Waiter, WaitQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fd import FileDescription
    from syscalls.task import Task
    from translator.hosts.base import Poller

EVENT = Struct("<IQ")
"""struct epoll_event is packed on x86-64."""
EPOLL_PARAMS = Struct("<IHBB")
"""struct epoll_params: microseconds, budget of packets, whether to prefer it, padding."""
EPIOCSPARAMS, EPIOCGPARAMS = 0x40088A01, 0x80088A02
NAPI_POLL_WEIGHT, CAP_NET_ADMIN = 64, 12
MODES = EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE
EXCLUSIVE_ALLOWED = (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM | POLLRDBAND | POLLWRBAND
                     | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)
MAX_NESTS = 4


def wait_mask(events: int) -> int:
    """The poll bits to listen for: hosts only know the plain ones."""
    mask = events & 0xFFFF | POLLERR | POLLHUP
    if mask & (POLLRDNORM | POLLRDBAND | POLLRDHUP):
        mask |= POLLIN
    if mask & (POLLWRNORM | POLLWRBAND):
        mask |= POLLOUT
    return mask


class EpollItem(Waiter):
    """One watched (description, number)."""

    __slots__ = ("data", "epoll", "events", "exclusive", "fd", "file")

    def __init__(self, epoll: Epoll, file: FileDescription, fd: int, events: int, data: int) -> None:
        self.epoll = epoll
        self.file = file
        self.fd = fd
        self.events = events
        self.data = data
        self.exclusive = bool(events & EPOLLEXCLUSIVE)

    def notify(self, mask: int) -> bool:
        # A one-shot item that has fired has no events left, and hears nothing until it is modified.
        if not self.events & ~MODES:
            return False
        woken = self.epoll.enqueue(self)
        return woken or not self.exclusive

    def poll(self) -> int:
        """The events that hold now; the host is asked to tell of the others."""
        events = self.events & ~MODES
        if not events:
            return 0
        bits = self.file.ready(events) & events
        queue = self.file.queue
        if queue.__class__ is HostWaitQueue:
            queue.rearm(wait_mask(events) & ~bits)
        return bits

    def listen(self) -> None:
        queue = self.file.queue
        if isinstance(queue, HostWaitQueue):
            self.epoll.poller = queue.poller
            # Nothing is asked of the host yet: what holds now is reported from here, and must not come twice.
            WaitQueue.add(queue, self, wait_mask(self.events))
        else:
            queue.add(self, wait_mask(self.events))
        if self.poll():
            self.epoll.enqueue(self)

    def remove(self) -> None:
        """Stop watching: EPOLL_CTL_DEL, or the description or the epoll instance is gone."""
        self.file.queue.remove(self)
        items = self.file.epoll_items
        if items is not None and self in items:
            items.remove(self)
        self.epoll.items.pop((self.file, self.fd), None)
        self.epoll.ready_list.pop(self, None)


class Epoll(AnonymousFile):
    kind = "eventpoll"

    def __init__(self, task: Task) -> None:
        super().__init__(task, O_RDWR)
        self.items: dict[tuple[FileDescription, int], EpollItem] = {}
        self.busy_poll = bytes(EPOLL_PARAMS.size)
        self.ready_list: dict[EpollItem, None] = {}
        """In the order in which they became ready."""
        self.waiters = WaitQueue()
        """Tasks in epoll_wait: each event wakes one.  `queue` is for those who poll this descriptor."""
        self.poller: Poller | None = None
        """Where events of the host come from, once something of the host is watched."""

    def enqueue(self, item: EpollItem) -> bool:
        """The item's object changed; whether a task in epoll_wait was woken."""
        self.ready_list[item] = None
        woken = self.waiters.wake(limit=1)
        self.queue.wake(POLLIN | POLLRDNORM)
        return woken > 0

    # --- epoll_ctl

    def add(self, file: FileDescription, fd: int, events: int, data: int) -> None:
        """EEXIST, ELOOP, EPERM: see epoll_ctl(2)."""
        if isinstance(file, Epoll):
            _check_nesting(self, file)
        if (file, fd) in self.items:
            raise LinuxError(EEXIST)
        item = EpollItem(self, file, fd, events | POLLERR | POLLHUP, data)
        self.items[file, fd] = item
        if file.epoll_items is None:
            file.epoll_items = []
        file.epoll_items.append(item)
        item.listen()

    def modify(self, file: FileDescription, fd: int, events: int, data: int) -> None:
        item = self.items.get((file, fd))
        if item is None:
            raise LinuxError(ENOENT)
        if item.events & EPOLLEXCLUSIVE:
            raise LinuxError(EINVAL)
        file.queue.remove(item)
        item.events = events | POLLERR | POLLHUP
        item.data = data
        item.listen()

    def delete(self, file: FileDescription, fd: int) -> None:
        item = self.items.get((file, fd))
        if item is None:
            raise LinuxError(ENOENT)
        item.remove()

    # --- epoll_wait

    def collect(self, limit: int) -> list[bytes]:
        """Take at most `limit` events off the ready list (ep_send_events)."""
        if self.poller is not None:
            # What the host knows by now is ready too: a client's connect makes its listener readable at once.
            self.poller.poll(0)
        out: list[bytes] = []
        again: list[EpollItem] = []
        ready = self.ready_list
        for item in list(ready):
            if len(out) == limit:
                break
            del ready[item]
            bits = item.poll()
            if not bits:
                continue
            out.append(EVENT.pack(bits, item.data))
            if item.events & EPOLLONESHOT:
                item.events &= MODES
            elif not item.events & EPOLLET:
                again.append(item)
        # Level-triggered items go to the tail, so that a small `limit` serves everybody in turn.
        for item in again:
            ready[item] = None
        if ready and out:
            self.waiters.wake(limit=1)
        return out

    def ready(self, mask: int) -> int:
        if self.poller is not None:
            self.poller.poll(0)
        for item in list(self.ready_list):
            if item.poll():
                return (POLLIN | POLLRDNORM) & mask
            del self.ready_list[item]
        return 0

    def released(self) -> None:
        for item in list(self.items.values()):
            item.remove()

    def ioctl(self, task: Task, code: int, arg: int) -> int:
        """The settings of busy polling, for network cards, which are kept (ep_eventpoll_bp_ioctl)."""
        if code == EPIOCGPARAMS:
            task.mem.write(arg, self.busy_poll)
        elif code == EPIOCSPARAMS:
            wanted = task.mem.read(arg, 8)
            microseconds, budget, prefer, pad = EPOLL_PARAMS.unpack(wanted)
            if pad or microseconds > 0x7FFFFFFF or prefer > 1:
                raise LinuxError(EINVAL)
            if budget > NAPI_POLL_WEIGHT and not task.cred.capable(CAP_NET_ADMIN):
                raise LinuxError(EPERM)
            self.busy_poll = wanted
        else:
            raise LinuxError(EINVAL)
        return 0

    def fdinfo(self, task: Task) -> list[tuple[str, str]]:
        out = []
        for item in self.items.values():
            stat = item.file.inode.stat(task) if item.file.inode is not None else None
            ino, dev = (stat.ino, stat.dev) if stat is not None else (0, 0)
            out.append(("tfd", f" {item.fd:8d} events: {item.events:8x} data: {item.data:16x}  "
                               f"pos:{item.file.offset} ino:{ino:x} sdev:{dev:x}"))
        return out


def _check_nesting(outer: Epoll, inner: Epoll) -> None:
    """ELOOP when `inner` contains `outer`, or when chains of epolls would get longer than Linux allows."""

    def below(epoll: Epoll, depth: int) -> int:
        if epoll is outer or depth > MAX_NESTS:
            raise LinuxError(ELOOP)
        return max((below(file, depth + 1) + 1 for file, _ in epoll.items if isinstance(file, Epoll)), default=0)

    def above(epoll: Epoll) -> int:
        return max((above(item.epoll) + 1 for item in epoll.epoll_items or ()), default=0)

    if below(inner, 0) + 1 + above(outer) > MAX_NESTS:
        raise LinuxError(ELOOP)


def control(epoll: FileDescription, op: int, fd: int, file: FileDescription, events: int, data: int) -> None:
    """epoll_ctl with its checks in Linux's order."""
    if not file.pollable:
        raise LinuxError(EPERM)
    events &= ~EPOLLWAKEUP
    if epoll is file or not isinstance(epoll, Epoll):
        raise LinuxError(EINVAL)
    adding, deleting, modifying = op == 1, op == 2, op == 3
    if events & EPOLLEXCLUSIVE and not deleting:
        if modifying or isinstance(file, Epoll) or events & ~EXCLUSIVE_ALLOWED:
            raise LinuxError(EINVAL)
    if adding:
        epoll.add(file, fd, events, data)
    elif deleting:
        epoll.delete(file, fd)
    elif modifying:
        epoll.modify(file, fd, events, data)
    else:
        raise LinuxError(EINVAL)
