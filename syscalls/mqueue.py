"""POSIX message queues (ipc/mqueue.c)."""

from __future__ import annotations

from struct import Struct

from syscalls.abi.errno import EAGAIN, EBUSY, EINVAL, EMFILE, EMSGSIZE, ENXIO, LinuxError
from syscalls.abi.fs import SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET
from syscalls.abi.poll import POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM
from syscalls.fd import FileDescription
from syscalls.fs.anon import AnonymousInode
from syscalls.fs.inode import S_IFREG, FileSystem, Stat
from syscalls.fs.vfs import PathDescription
from syscalls.task import RLIMIT_MSGQUEUE
from syscalls.wait import WaitQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.netlink import NetlinkSocket
    from syscalls.task import Task

ATTR = Struct("<qqqq32x")
"""struct mq_attr: flags, maxmsg, msgsize, curmsgs."""
DEFAULT_MESSAGES, DEFAULT_SIZE = 10, 8192
HARD_MESSAGES, HARD_SIZE = 65536, 16 << 20
PRIORITIES = 32768
MESSAGE_BYTES, NODE_BYTES = 48, 48
"""What RLIMIT_MSGQUEUE counts beside the text: struct msg_msg and struct posix_msg_tree_node (man 2 getrlimit)."""
O_NONBLOCK = 0o4000
SI_MESGQ = -3
SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD = 0, 1, 2


class MqueueFileSystem(FileSystem):
    name = "mqueue"
    magic = 0x19800202


MQUEUE_FS = MqueueFileSystem(20)


COOKIE_LENGTH = 32
WOKEN, REMOVED = b"\x01", b"\x02"
"""The last byte of the cookie says why it comes."""


class Notification:
    """Who is told once when a message comes into the empty queue (mq_notify).  SIGEV_THREAD: a cookie goes to a
    netlink socket, at which a thread of the C library waits."""

    __slots__ = ("cookie", "method", "signo", "socket", "task", "value")

    def __init__(self, task: Task, method: int, signo: int, value: int, socket: NetlinkSocket | None = None,
                 cookie: bytes = b"") -> None:
        self.task = task
        self.method = method
        self.signo = signo
        self.value = value
        self.socket = socket
        self.cookie = cookie
        if socket is not None:
            socket.retain()

    def end(self, reason: bytes) -> None:
        """It is over: the socket hears why."""
        socket, self.socket = self.socket, None
        if socket is not None:
            socket.answer(self.cookie[:-1] + reason)
            socket.release()


FILENT_SIZE = 80
"""Of the line of text that read(2) gives, in bytes; a truncation changes what is told, not the line."""


class QueueInode(AnonymousInode):
    __slots__ = ("nlink", "size")

    def __init__(self, task: Task, filesystem: FileSystem, mode: int) -> None:
        super().__init__(task, filesystem, mode)
        self.nlink = 1
        self.size = FILENT_SIZE

    def stat(self, task: Task) -> Stat:
        out = super().stat(task)
        out.nlink = self.nlink
        out.size = self.size
        return out


class PosixQueue:
    """The queue itself; its inode carries owner and mode."""

    def __init__(self, task: Task, mode: int, max_messages: int, size: int) -> None:
        """EMFILE: beyond what the user may have (RLIMIT_MSGQUEUE; nobody is above that)."""
        self.uid = task.cred.uid
        self.bytes = max_messages * (size + MESSAGE_BYTES) + min(max_messages, PRIORITIES) * NODE_BYTES
        self.user_bytes = task.kernel.queue_bytes
        total = self.user_bytes.get(self.uid, 0) + self.bytes
        if total > task.group.soft_limit(RLIMIT_MSGQUEUE):
            raise LinuxError(EMFILE)
        self.user_bytes[self.uid] = total
        self.references = 1
        """The name, and open descriptions."""
        self.inode = QueueInode(task, MQUEUE_FS, S_IFREG | mode)
        self.max_messages = max_messages
        self.size = size
        self.messages: list[tuple[int, bytes]] = []
        """(priority, data): the highest first, equal ones in order."""
        self.queue = WaitQueue()
        self.receivers = 0
        """Tasks asleep in mq_timedreceive."""
        self.notification: Notification | None = None

    def release(self) -> None:
        """One name or description less; with the last one the user has room again."""
        self.references -= 1
        if not self.references:
            self.user_bytes[self.uid] -= self.bytes

    def put(self, sender: Task, data: bytes, priority: int) -> None:
        """EMSGSIZE, EAGAIN."""
        if len(data) > self.size:
            raise LinuxError(EMSGSIZE)
        messages = self.messages
        if len(messages) >= self.max_messages:
            raise LinuxError(EAGAIN)
        place = len(messages)
        while place and messages[place - 1][0] < priority:
            place -= 1
        messages.insert(place, (priority, data))
        if len(messages) == 1 and not self.receivers:
            self._tell(sender)
        self.queue.wake(POLLIN | POLLRDNORM)

    def take(self, room: int) -> tuple[int, bytes]:
        if room < self.size:
            raise LinuxError(EMSGSIZE)
        if not self.messages:
            raise LinuxError(EAGAIN)
        message = self.messages.pop(0)
        self.queue.wake(POLLOUT | POLLWRNORM)
        return message

    def _tell(self, sender: Task) -> None:
        note, self.notification = self.notification, None
        if note is not None and note.method == SIGEV_SIGNAL:
            from syscalls.siginfo import SigInfo
            from syscalls.signals import send_group
            send_group(note.task.group, SigInfo(note.signo, SI_MESGQ, sender.group.pid, sender.cred.uid, note.value))
        if note is not None:
            note.end(WOKEN)

    def notify(self, task: Task, note: Notification | None) -> None:
        """EBUSY: somebody else is registered."""
        if note is None:
            old = self.notification
            if old is not None and old.task.group is task.group:
                self.notification = None
                old.end(REMOVED)
            return
        if self.notification is not None:
            raise LinuxError(EBUSY)
        self.notification = note


class QueueDescription(FileDescription):
    """An open message queue."""

    kind = "mqueue"
    pollable = True
    seekable = True
    reads_vectors = splice_source = splice_target = False

    def __init__(self, posix_queue: PosixQueue, name: bytes, flags: int) -> None:
        super().__init__(flags, None, posix_queue.inode)
        self.posix_queue = posix_queue
        self.name = name
        self.queue = posix_queue.queue
        posix_queue.references += 1

    def released(self) -> None:
        self.posix_queue.release()

    def read(self, task: Task, length: int) -> bytes:
        """mqueue_read_file: a line of text about the state, from the position on."""
        part = self.pread(task, length, self.offset)
        self.offset += len(part)
        return part

    def pread(self, task: Task, length: int, offset: int) -> bytes:
        queue = self.posix_queue
        note = queue.notification
        text = b"QSIZE:%-10d NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n" % (
            sum(len(data) for _, data in queue.messages), note.method if note else 0,
            note.signo if note and note.method == SIGEV_SIGNAL else 0, note.task.group.pid if note else 0)
        return text[offset:offset + length]

    def pwrite(self, task: Task, data: bytes, offset: int) -> int:
        raise LinuxError(EINVAL)

    def seek(self, task: Task, offset: int, whence: int) -> int:
        """default_llseek."""
        size = self.posix_queue.inode.size
        if whence in (SEEK_DATA, SEEK_HOLE):
            if offset >= size:
                raise LinuxError(ENXIO)
            offset = offset if whence == SEEK_DATA else size
        elif whence in (SEEK_CUR, SEEK_END):
            offset += self.offset if whence == SEEK_CUR else size
        elif whence != SEEK_SET:
            raise LinuxError(EINVAL)
        if offset < 0:
            raise LinuxError(EINVAL)
        self.offset = offset
        return offset

    def truncate(self, task: Task, length: int) -> None:
        self.posix_queue.inode.size = length

    def ready(self, mask: int) -> int:
        queue = self.posix_queue
        bits = POLLIN | POLLRDNORM if queue.messages else 0
        if len(queue.messages) < queue.max_messages:
            bits |= POLLOUT | POLLWRNORM
        return bits & mask

    def flush(self, task: Task) -> None:
        """A close takes the process's registration back."""
        self.posix_queue.notify(task, None)

    def describe(self) -> bytes:
        return b"/" + self.name

    def attributes(self) -> bytes:
        queue = self.posix_queue
        return ATTR.pack(self.flags & O_NONBLOCK, queue.max_messages, queue.size, len(queue.messages))


class QueuePath(PathDescription):
    """A queue opened with O_PATH: its name, and nothing that can be done with it."""

    def __init__(self, posix_queue: PosixQueue, name: bytes, flags: int) -> None:
        super().__init__(flags, None, posix_queue.inode)
        self.posix_queue = posix_queue
        self.name = name
        posix_queue.references += 1

    def released(self) -> None:
        self.posix_queue.release()

    def describe(self) -> bytes:
        return b"/" + self.name
