"""Pipes and FIFOs (fs/pipe.c).

`Pipe` mirrors pipe_inode_info: a ring of page-sized slots.  The bytes are kept in larger chunks, and only the slots'
ends are tracked, because how full a pipe is depends on slots: small writes merge into the last slot when they fit,
others begin new ones.  `PipeEnd` is what a descriptor refers to; a FIFO opened O_RDWR is both ends in one.

A FIFO on a host file system connects guests only: its bytes never pass the host, so a host program that opens the
same FIFO does not meet them.
"""

from __future__ import annotations

from collections import deque

from syscalls.abi.errno import EAGAIN, EBUSY, EINVAL, ENOTTY, ENXIO, EPERM, EPIPE, LinuxError
from syscalls.credentials import CAP_SYS_RESOURCE
from syscalls.fd import (
    O_ACCMODE,
    O_NONBLOCK,
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    FileDescription,
)
from syscalls.fs.anon import PIPEFS, AnonymousInode
from syscalls.fs.inode import S_IFIFO
from syscalls.wait import WaitQueue
from translator.machine import GuestFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.inode import Inode
    from syscalls.fs.vfs import Location
    from syscalls.mm import Mm
    from syscalls.task import Task

PAGE = 4096
DEFAULT_SLOTS = 16
O_DIRECT = 0o40000
FIONREAD = 0x541B
STATUS_FLAGS = O_NONBLOCK | O_DIRECT | 0o20000  # and FASYNC

READABLE = POLLIN | POLLRDNORM
WRITABLE = POLLOUT | POLLWRNORM


class UserPages:
    """A chunk that vmsplice left where it is: who reads it sees what the memory has by then.  Once that memory is gone
    it is what it was when it was spliced."""

    __slots__ = ("addr", "data", "mm")

    def __init__(self, mm: Mm, addr: int, data: bytes) -> None:
        self.mm = mm
        self.addr = addr
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(len(self.data))
        if self.mm.users > 0:
            try:
                return self.mm.space.read(self.addr + start, stop - start)
            except GuestFault:
                pass
        return self.data[part]


class Pipe:
    """The buffer, its ends' counts, and one queue for everybody who waits."""

    __slots__ = ("chunks", "front", "head", "max_slots", "packets", "queue", "readers", "readers_ever", "slot_ends",
                 "tail", "tail_start", "writers", "writers_ever")

    def __init__(self) -> None:
        self.chunks: deque[bytes | UserPages] = deque()
        self.front = 0
        """Bytes of the first chunk that are gone."""
        self.head = 0
        """Stream position of the next byte to read."""
        self.tail = 0
        self.slot_ends: deque[int] = deque()
        """Where each slot in use ends, as stream positions."""
        self.tail_start = -1
        """Where the last slot began, while bytes may be merged into it; -1: never."""
        self.packets: deque[tuple[int, int]] = deque()
        """(start, end) of the slots written with O_DIRECT."""
        self.max_slots = DEFAULT_SLOTS
        self.readers = 0
        self.writers = 0
        self.readers_ever = 0
        """Times it was opened for reading: how an open for writing knows that a reader came (and left)."""
        self.writers_ever = 0
        self.queue = WaitQueue()

    @property
    def size(self) -> int:
        return self.tail - self.head

    def full(self) -> bool:
        return len(self.slot_ends) >= self.max_slots

    # --- bytes in

    def merges(self, length: int) -> bool:
        """Whether the odd bytes of a write of so many fit into the last page."""
        rest = length & (PAGE - 1)
        return bool(rest and self.tail_start >= 0 and self.slot_ends
                    and self.tail + rest - self.tail_start <= PAGE)

    def put(self, data: bytes | memoryview, packet: bool = False) -> int:
        """Append as many bytes as there are slots for, and tell the readers; how many were taken."""
        total = len(data)
        ends = self.slot_ends
        tail = self.tail
        done = 0
        rest = total & (PAGE - 1)
        if self.merges(total):
            # pipe_write merges the odd bytes into the last page and lets the whole pages follow.
            ends[-1] = tail = tail + rest
            done = rest
        free = self.max_slots - len(ends)
        while done < total and free > 0:
            step = min(PAGE, total - done)
            self.tail_start = -1 if packet else tail
            if packet:
                self.packets.append((tail, tail + step))
            tail += step
            done += step
            free -= 1
            ends.append(tail)
        if done:
            self.tail = tail
            self.chunks.append(bytes(data) if done == total else bytes(data[:done]))
            self.queue.wake(READABLE)
        return done

    def put_spliced(self, data: bytes) -> int:
        """Pages of a file or socket, as many as there are slots for: nothing is merged into such, and they are merged
        into nothing."""
        self.tail_start = -1
        done = self.put(data)
        self.tail_start = -1
        return done

    def put_pages(self, pages: UserPages | bytes) -> None:
        """What vmsplice brings of one page: a slot of its own, which nothing is merged into."""
        self.tail += len(pages)
        self.tail_start = -1
        self.slot_ends.append(self.tail)
        self.chunks.append(pages)
        self.queue.wake(READABLE)

    # --- bytes out

    def take(self, length: int) -> bytes:
        """Remove and return at most `length` bytes (of one packet, in packet mode); the writers hear of room."""
        if self.packets:
            start, end = self.packets[0]
            if self.head + length > start:
                length = min(length, end - self.head)
                data = self._remove(length)
                self._remove(end - self.head)  # a packet that was read in part is gone
                self._advanced()
                return data
        data = self._remove(length)
        self._advanced()
        return data

    def _remove(self, length: int) -> bytes:
        chunks = self.chunks
        out: list[bytes] = []
        length = min(length, self.tail - self.head)
        self.head += length
        while length:
            chunk = chunks[0]
            front = self.front
            left = len(chunk) - front
            if left <= length:
                out.append(chunk[front:])
                chunks.popleft()
                self.front = 0
                length -= left
            else:
                out.append(chunk[front:front + length])
                self.front = front + length
                length = 0
        return out[0] if len(out) == 1 else b"".join(out)

    def _advanced(self) -> None:
        ends = self.slot_ends
        head = self.head
        was_full = len(ends) >= self.max_slots
        while ends and ends[0] <= head:
            ends.popleft()
        packets = self.packets
        while packets and packets[0][1] <= head:
            packets.popleft()
        if was_full and len(ends) < self.max_slots:
            self.queue.wake(WRITABLE)

    def put_back(self, data: bytes) -> None:
        """Undo a `take` whose bytes found no place.  They may need one slot more than there are."""
        if data:
            if self.front:
                self.chunks[0] = self.chunks[0][self.front:]
                self.front = 0
            self.chunks.appendleft(data)
            end = self.head
            self.head -= len(data)
            if not self.slot_ends or self.slot_ends[0] >= end + PAGE:
                self.slot_ends.appendleft(end)

    def peek(self, length: int) -> bytes:
        """The next bytes, which stay (tee, splice)."""
        length = min(length, self.size)
        out: list[bytes] = []
        front = self.front
        for chunk in self.chunks:
            if not length:
                break
            part = chunk[front:front + length]
            front = 0
            out.append(part)
            length -= len(part)
        return b"".join(out)

    # --- F_SETPIPE_SZ

    def resize(self, task: Task, size: int) -> int:
        """Round up to a power of two of pages and set; the new size.  EINVAL, EPERM, EBUSY (pipe_set_size)."""
        if size > 1 << 31:
            raise LinuxError(EINVAL)
        slots = 1
        while slots * PAGE < size:
            slots *= 2
        limit = task.kernel.pipe_max_size
        if slots > self.max_slots and slots * PAGE > limit and not task.cred.capable(CAP_SYS_RESOURCE):
            raise LinuxError(EPERM)
        if slots < len(self.slot_ends):
            raise LinuxError(EBUSY)
        was_full = self.full()
        self.max_slots = slots
        if was_full and not self.full():
            self.queue.wake(WRITABLE)
        return slots * PAGE

    # --- ends

    def opened(self, reading: bool, writing: bool) -> None:
        if reading:
            self.readers += 1
            self.readers_ever += 1
        if writing:
            self.writers += 1
            self.writers_ever += 1

    def closed(self, reading: bool, writing: bool) -> None:
        self.readers -= reading
        self.writers -= writing
        if bool(self.readers) != bool(self.writers):
            self.queue.wake()


class PipeEnd(FileDescription):
    """A descriptor of a pipe or FIFO.  It has counted itself in (`Pipe.opened`) already."""

    kind = "pipe"
    pollable = True
    stream = True

    def __init__(self, pipe: Pipe, flags: int, inode: Inode, location: Location | None = None,
                 seen_writers: int = -1, fifo_key: tuple[int, int] | None = None) -> None:
        super().__init__(flags, location, inode)
        self.pipe = pipe
        self.queue = pipe.queue
        self.seen_writers = seen_writers
        """writers_ever at a non-blocking open for reading: no POLLHUP before the first writer came."""
        self.fifo_key = fifo_key
        self.kernel_fifos: dict[tuple[int, int], Pipe] | None = None

    def read(self, task: Task, length: int) -> bytes:
        pipe = self.pipe
        if pipe.tail != pipe.head:
            return pipe.take(length)
        if not length or not pipe.writers:
            return b""
        raise LinuxError(EAGAIN)

    def write(self, task: Task, data: bytes | memoryview) -> int:
        pipe = self.pipe
        if not data:
            return 0
        if not pipe.readers:
            raise LinuxError(EPIPE)
        done = pipe.put(data, bool(self.flags & O_DIRECT))
        if not done:
            raise LinuxError(EAGAIN)
        return done

    def unreadable_data(self, task: Task, length: int) -> None:
        """pipe_write: nobody to read it, or no room, come before the data."""
        if not self.pipe.readers:
            from syscalls.signals import broken_pipe
            broken_pipe(task)
            raise LinuxError(EPIPE)
        if self.pipe.full() and not self.pipe.merges(length):
            raise LinuxError(EAGAIN)

    def unread(self, data: bytes) -> None:
        self.pipe.put_back(data)

    def ready(self, mask: int) -> int:
        pipe = self.pipe
        bits = 0
        access = self.flags & O_ACCMODE
        if access != O_WRONLY:
            if pipe.tail != pipe.head:
                bits |= READABLE
            if not pipe.writers and pipe.writers_ever != self.seen_writers:
                bits |= POLLHUP
        if access != O_RDONLY:
            if not pipe.full():
                bits |= WRITABLE
            if not pipe.readers:
                bits |= POLLERR
        return bits & (mask | POLLERR | POLLHUP)

    def ioctl(self, task: Task, code: int, arg: int) -> int:
        if code == FIONREAD:
            task.mem.put_u32(arg, self.pipe.size)
            return 0
        raise LinuxError(ENOTTY)

    def sync(self, task: Task, data_only: bool) -> None:
        raise LinuxError(EINVAL)

    def describe(self) -> bytes:
        assert self.inode is not None
        return b"pipe:[%d]" % getattr(self.inode, "number", 0)

    def released(self) -> None:
        access = self.flags & O_ACCMODE
        pipe = self.pipe
        pipe.closed(access != O_WRONLY, access != O_RDONLY)
        if self.kernel_fifos is not None and self.fifo_key is not None and not pipe.readers and not pipe.writers:
            self.kernel_fifos.pop(self.fifo_key, None)


class PipeInode(AnonymousInode):
    """The inode of a pipe without a name."""

    __slots__ = ("pipe",)

    def __init__(self, task: Task, pipe: Pipe) -> None:
        super().__init__(task, PIPEFS, S_IFIFO | 0o600)
        self.pipe = pipe

    def open(self, task: Task, flags: int, location: Location) -> PipeEnd:
        """By /proc/PID/fd/N: one end more, without waiting for the other (fifo_open of pipefs)."""
        access = flags & O_ACCMODE
        self.pipe.opened(access != O_WRONLY, access != O_RDONLY)
        self.pipe.queue.wake()
        return PipeEnd(self.pipe, flags & (O_ACCMODE | STATUS_FLAGS), self)


def make_pipe(task: Task, flags: int) -> tuple[PipeEnd, PipeEnd]:
    """The reading and the writing end of a new pipe.  flags: O_NONBLOCK, O_DIRECT."""
    pipe = Pipe()
    pipe.opened(True, True)
    inode = PipeInode(task, pipe)
    # Packet mode belongs to the writer (create_pipe_files).
    return (PipeEnd(pipe, O_RDONLY | flags & O_NONBLOCK, inode),
            PipeEnd(pipe, O_WRONLY | flags & (O_NONBLOCK | O_DIRECT), inode))


async def open_fifo(task: Task, inode: Inode, flags: int, location: Location) -> PipeEnd:
    """Open the FIFO `inode` (man 7 fifo): a reader waits for a writer and a writer for a reader, unless O_NONBLOCK
    (ENXIO for a writer without readers) or O_RDWR.  Interrupted."""
    kernel = task.kernel
    stat = inode.stat(task)
    key = (stat.dev, stat.ino)
    pipe = kernel.fifos.get(key)
    if pipe is None:
        pipe = kernel.fifos[key] = Pipe()
    access = flags & O_ACCMODE
    seen = -1
    if access not in (O_RDONLY, O_WRONLY, O_RDWR):
        raise LinuxError(EINVAL)
    if access == O_WRONLY and flags & O_NONBLOCK and not pipe.readers:
        if not pipe.writers:
            del kernel.fifos[key]
        raise LinuxError(ENXIO)
    pipe.opened(access != O_WRONLY, access != O_RDONLY)
    # The opener that waits must hear of the one that comes, and the other way round.
    pipe.queue.wake()
    try:
        if access == O_RDONLY and not pipe.writers:
            if flags & O_NONBLOCK:
                seen = pipe.writers_ever
            else:
                before = pipe.writers_ever
                while pipe.writers_ever == before:
                    await task.sleep(pipe.queue)
        elif access == O_WRONLY and not pipe.readers:
            before = pipe.readers_ever
            while pipe.readers_ever == before:
                await task.sleep(pipe.queue)
    except BaseException:
        pipe.closed(access != O_WRONLY, access != O_RDONLY)
        if not pipe.readers and not pipe.writers:
            kernel.fifos.pop(key, None)
        raise
    end = PipeEnd(pipe, flags, inode, location, seen, key)
    end.nowait = False
    end.kernel_fifos = kernel.fifos
    return end
