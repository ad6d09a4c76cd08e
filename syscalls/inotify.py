"""inotify and dnotify (fs/notify/): watches on files and directories, and the events they report.

`WatchTable` is what the VFS tells of every change that guests make (`Vfs.notifier`), by the identity of the file; it
exists while anybody watches.  Changes that host programs make in a host tree come from the host (`HostTree.watch`),
which also reports the guests' own changes again: such an echo is dropped when the same event was reported to the same
watch within the last moments.
"""

from __future__ import annotations

from collections import deque
from struct import Struct

from syscalls.abi.errno import EAGAIN, EEXIST, EINVAL, ENOSPC, ENOTTY, LinuxError
from syscalls.abi.fs import IN_UNLINKED
from syscalls.abi.poll import (
    IN_ALL_EVENTS,
    IN_ATTRIB,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_EXCL_UNLINK,
    IN_IGNORED,
    IN_ISDIR,
    IN_MASK_ADD,
    IN_MASK_CREATE,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_ONESHOT,
    IN_Q_OVERFLOW,
    IN_UNMOUNT,
    POLLIN,
    POLLRDNORM,
)
from syscalls.fd import O_NONBLOCK, O_RDONLY
from syscalls.fs.anon import AnonymousFile
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fd import FileDescription
    from syscalls.fs.vfs import Location
    from syscalls.kernel import Kernel
    from syscalls.task import Task
    from translator.hosts.base import HostWatch

    Identity = tuple[int, int]

EVENT = Struct("<iIII")
"""struct inotify_event: wd, mask, cookie, length of the name with its padding."""
MAX_QUEUED = 16384
MAX_WATCHES = 1 << 20
FIONREAD = 0x541B
FROM_HOST = (IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
             | IN_DELETE_SELF | IN_MOVE_SELF)
"""What is asked of the host: opens and reads there are mostly pylx's own."""
ECHO_NS = 100_000_000
"""How long the host may take to report what a guest did."""

DN_MULTISHOT = 0x80000000
DN_RENAME = 0x10
DN_MASKS = {1: 1, 2: IN_MODIFY, 4: IN_CREATE | IN_MOVED_TO, 8: IN_DELETE | IN_MOVED_FROM, 0x20: IN_ATTRIB}
"""DN_ bits as IN_ bits.  DN_RENAME is apart: it means a new name within the directory."""


class Watch:
    """A mark on one file or directory; subclasses say who is told."""

    def __init__(self, table: WatchTable, identity: Identity, mask: int) -> None:
        self.table = table
        self.identity = identity
        self.mask = mask
        self.host: HostWatch | None = None
        self.recent: dict[tuple[int, bytes], int] = {}
        """Events of guests that the host may still report: (bit, name) -> when."""
        table.marks.setdefault(identity, []).append(self)

    def listen_to_host(self, location: Location) -> None:
        """Hear of what host programs do, where the file system and the host can tell."""
        tree = getattr(location.inode.filesystem, "tree", None)
        if tree is None or self.host is not None:
            return
        try:
            self.host = tree.watch(location.dentry.path, self._from_host, FROM_HOST)
        except HostError:
            self.host = None

    def _from_host(self, mask: int, name: bytes, cookie: int) -> None:
        if mask & (IN_Q_OVERFLOW | IN_UNMOUNT):
            return
        now = self.table.kernel.clock.monotonic()
        seen = self.recent.get((mask & IN_ALL_EVENTS, name))
        if seen is not None and now - seen < ECHO_NS:
            return
        if mask & (IN_IGNORED | IN_DELETE_SELF) and self.identity in self.table.kernel.vfs.ending:
            return  # the host has no use for it any more, guests do
        if mask & IN_IGNORED:
            self.host = None
            self.event(IN_DELETE_SELF, b"", 0)
            return
        # The host's cookies must not meet those of guests' renames.
        self.event(mask, name, cookie | 1 << 30 if cookie else 0)

    def remember(self, mask: int, name: bytes) -> None:
        now = self.table.kernel.clock.monotonic()
        recent = self.recent
        if len(recent) > 256:
            self.recent = recent = {key: at for key, at in recent.items() if now - at < ECHO_NS}
        recent[mask & IN_ALL_EVENTS, name] = now

    def event(self, mask: int, name: bytes, cookie: int) -> None:
        raise NotImplementedError

    def remove(self) -> None:
        if self.host is not None:
            self.host.close()
            self.host = None
        self.table.forget(self)


class WatchTable:
    """All marks, by the identity of what they are on."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.marks: dict[Identity, list[Watch]] = {}

    def changed(self, identity: Identity, mask: int, name: bytes, cookie: int) -> None:
        """Vfs.notifier: a guest changed something."""
        for watch in list(self.marks.get(identity, ())):
            if watch.host is not None:
                watch.remember(mask, name)
            watch.event(mask, name, cookie)

    def forget(self, watch: Watch) -> None:
        marks = self.marks.get(watch.identity)
        if marks is not None and watch in marks:
            marks.remove(watch)
            if not marks:
                del self.marks[watch.identity]
                if not self.marks:
                    self.kernel.vfs.notifier = None


def watch_table(kernel: Kernel) -> WatchTable:
    table = kernel.watches
    if table is None:
        table = kernel.watches = WatchTable(kernel)
    kernel.vfs.notifier = table.changed
    return table


# --- inotify


class InotifyWatch(Watch):
    def __init__(self, owner: Inotify, table: WatchTable, identity: Identity, mask: int, wd: int) -> None:
        super().__init__(table, identity, mask)
        self.owner = owner
        self.wd = wd

    def event(self, mask: int, name: bytes, cookie: int) -> None:
        if mask & IN_UNLINKED:
            if self.mask & IN_EXCL_UNLINK:
                return
            mask &= ~IN_UNLINKED
        if mask & (IN_DELETE_SELF | IN_MOVE_SELF):
            mask &= ~IN_ISDIR
        if mask & self.mask & IN_ALL_EVENTS:
            self.owner.queue_event(self.wd, mask, cookie, name)
            if self.mask & IN_ONESHOT:
                self.owner.drop(self)
                return
        if mask & IN_DELETE_SELF:
            self.owner.drop(self)


class Inotify(AnonymousFile):
    """An inotify instance: watches by number, and events in order."""

    kind = "inotify"
    reads_vectors = False
    record_size = 1 << 20  # events differ in length: all of them, or none

    def __init__(self, task: Task, flags: int) -> None:
        super().__init__(task, O_RDONLY | flags & O_NONBLOCK)
        self.kernel = task.kernel
        self.watches: dict[int, InotifyWatch] = {}
        self.by_identity: dict[Identity, InotifyWatch] = {}
        self.next_wd = 1
        self.events: deque[tuple[int, int, int, bytes]] = deque()

    def watch(self, task: Task, location: Location, mask: int) -> int:
        """Add or change a watch; its number.  EEXIST (IN_MASK_CREATE), ENOSPC."""
        identity = location.inode.identity(task)
        wanted = mask & (IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK)
        known = self.by_identity.get(identity)
        if known is not None:
            if mask & IN_MASK_CREATE:
                raise LinuxError(EEXIST)
            known.mask = known.mask | wanted if mask & IN_MASK_ADD else wanted
            return known.wd
        if len(self.watches) >= MAX_WATCHES:
            raise LinuxError(ENOSPC)
        wd = self.next_wd
        self.next_wd += 1
        made = InotifyWatch(self, watch_table(self.kernel), identity, wanted, wd)
        self.watches[wd] = self.by_identity[identity] = made
        made.listen_to_host(location)
        return wd

    def unwatch(self, wd: int) -> None:
        watch = self.watches.get(wd)
        if watch is None:
            raise LinuxError(EINVAL)
        self.drop(watch)

    def drop(self, watch: InotifyWatch) -> None:
        """The watch ends: asked for, one-shot, or its file is gone."""
        if self.watches.pop(watch.wd, None) is not None:
            del self.by_identity[watch.identity]
            watch.remove()
            self.queue_event(watch.wd, IN_IGNORED, 0, b"")

    def queue_event(self, wd: int, mask: int, cookie: int, name: bytes) -> None:
        event = (wd, mask, cookie, name)
        events = self.events
        if events and events[-1] == event:
            return
        if len(events) >= MAX_QUEUED:
            if events[-1][1] == IN_Q_OVERFLOW:
                return
            event = (-1, IN_Q_OVERFLOW, 0, b"")
        events.append(event)
        self.queue.wake(POLLIN | POLLRDNORM)

    def read(self, task: Task, length: int) -> bytes:
        """As many whole events as fit.  EINVAL when not even the first does."""
        if not self.events:
            raise LinuxError(EAGAIN)
        out = bytearray()
        while self.events:
            record = _pack(self.events[0])
            if len(out) + len(record) > length:
                break
            self.events.popleft()
            out += record
        if not out:
            raise LinuxError(EINVAL)
        return bytes(out)

    def unread(self, data: bytes) -> None:
        """Events whose copy failed are lost, as on Linux."""

    def ready(self, mask: int) -> int:
        return (POLLIN | POLLRDNORM) & mask if self.events else 0

    def ioctl(self, task: Task, code: int, arg: int) -> int:
        if code != FIONREAD:
            raise LinuxError(ENOTTY)
        task.mem.put_u32(arg, sum(len(_pack(event)) for event in self.events))
        return 0

    def released(self) -> None:
        for watch in list(self.watches.values()):
            watch.remove()
        self.watches.clear()
        self.by_identity.clear()

    def describe(self) -> bytes:
        """Without the brackets of the others."""
        return b"anon_inode:inotify"

    def fdinfo(self, task: Task) -> list[tuple[str, str]]:
        return [("inotify wd", f"{wd:x} ino:{watch.identity[1]:x} sdev:{watch.identity[0]:x} mask:{watch.mask:x} "
                               "ignored_mask:0") for wd, watch in self.watches.items()]


def _pack(event: tuple[int, int, int, bytes]) -> bytes:
    wd, mask, cookie, name = event
    padded = name.ljust((len(name) + 16) // 16 * 16, b"\0") if name else b""
    return EVENT.pack(wd, mask, cookie, len(padded)) + padded


# --- dnotify


class DirectoryWatch(Watch):
    """fcntl(F_NOTIFY): a signal when something in a directory changes."""

    def __init__(self, table: WatchTable, identity: Identity, file: FileDescription, fd: int) -> None:
        super().__init__(table, identity, 0)
        self.file = file
        self.fd = fd
        self.multishot = False
        self.renames = False
        self.left = 0
        """Cookie of the name that left last: when it comes back as another, that was a rename."""

    def event(self, mask: int, name: bytes, cookie: int) -> None:
        renamed = bool(mask & IN_MOVED_TO and cookie == self.left and self.renames)
        if mask & IN_MOVED_FROM:
            self.left = cookie
        if not renamed and not mask & self.mask & IN_ALL_EVENTS:
            return
        from syscalls.fasync import POLL_MSG, send_sigio
        if not self.multishot:
            self.file.directory_watch = None
            self.remove()
        send_sigio(self.table.kernel, self.file, self.fd, POLL_MSG)


def directory_notify(task: Task, fd: int, file: FileDescription, events: int) -> None:
    """F_NOTIFY (fcntl_dirnotify): events 0 ends it; the caller becomes the owner that is signalled."""
    from syscalls.fasync import F_OWNER_PID, set_owner
    watch = file.directory_watch
    if not events & ~DN_MULTISHOT:
        if watch is not None:
            file.directory_watch = None
            watch.remove()
        return
    assert file.inode is not None and file.location is not None
    if watch is None:
        watch = DirectoryWatch(watch_table(task.kernel), file.inode.identity(task), file, fd)
        watch.listen_to_host(file.location)
        file.directory_watch = watch
    for bit, mask in DN_MASKS.items():
        if events & bit:
            watch.mask |= mask
    watch.renames = watch.renames or bool(events & DN_RENAME)
    watch.multishot = bool(events & DN_MULTISHOT)
    set_owner(task, file, F_OWNER_PID, task.group.pid)
