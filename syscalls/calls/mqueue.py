"""mq_open and its relatives (man 7 mq_overview).  Names come without their slash: the C library takes it off."""

from __future__ import annotations

from struct import Struct

from syscalls.abi.errno import (
    EACCES,
    EAGAIN,
    EBADF,
    EBUSY,
    EEXIST,
    EINVAL,
    ENAMETOOLONG,
    ENOENT,
    ENOTSOCK,
    EPERM,
    ETIMEDOUT,
    LinuxError,
)
from syscalls.calls.descriptors import install
from syscalls.fd import O_NONBLOCK, O_PATH, POLLIN, POLLOUT
from syscalls.table import syscall
from syscalls.usermem import readable_name
from syscalls.wait import sleep_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import MqAttr, MqFlags, Sigevent, Timespec
    from syscalls.fd import FileDescription
    from syscalls.mqueue import QueueDescription
    from syscalls.netlink import NetlinkSocket
    from syscalls.table import U32, Buf, Fd, Flags, In, Mode, Out, OutBuf, Path, Size
    from syscalls.task import Task

O_CREAT, O_EXCL = 0o100, 0o200
MAY_WRITE, MAY_READ = 2, 4
CAP_FOWNER, CAP_SYS_RESOURCE = 3, 24
SIGEVENT = Struct("<Qii")


@syscall(240, since="2.6.6")
def mq_open(task: Task, name: Path, flags: Flags[MqFlags], mode: Mode, attr: In[MqAttr]) -> int:
    from syscalls.mqueue import ATTR, DEFAULT_MESSAGES, DEFAULT_SIZE, PosixQueue, QueueDescription, QueuePath
    wanted = ATTR.unpack(task.mem.read(attr, 64)) if attr else None
    _check_name(name)
    queues = task.kernel.posix_queues
    queue = queues.get(name)
    if queue is None:
        if not flags & O_CREAT:
            raise LinuxError(ENOENT)
        messages, size = (wanted[1], wanted[2]) if wanted else (DEFAULT_MESSAGES, DEFAULT_SIZE)
        _check_size(task, messages, size)
        queue = PosixQueue(task, mode & 0o7777 & ~task.fs.umask, messages, size)
        queues[name] = queue
    else:
        if flags & O_CREAT and flags & O_EXCL:
            raise LinuxError(EEXIST)
        access = flags & 3
        if access == 3:
            raise LinuxError(EINVAL)
        task.kernel.vfs.permission(task, queue.inode, (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE)[access])
    file: FileDescription
    if flags & O_PATH:
        file = QueuePath(queue, name, flags)  # F_GETFL shows all of them, as there is no open to act on any
    else:
        file = QueueDescription(queue, name, flags & (3 | O_NONBLOCK))
    return install(task, file, True)


def _check_name(name: bytes) -> None:
    if not readable_name(name):
        raise LinuxError(ENOENT)
    if len(name) > 255:
        raise LinuxError(ENAMETOOLONG)
    if b"/" in name or name in (b".", b".."):
        raise LinuxError(EACCES)


def _check_size(task: Task, messages: int, size: int) -> None:
    """mq_attr_ok."""
    from syscalls.mqueue import DEFAULT_MESSAGES, DEFAULT_SIZE, HARD_MESSAGES, HARD_SIZE
    mighty = task.cred.capable(CAP_SYS_RESOURCE)
    if not 0 < messages <= (HARD_MESSAGES if mighty else DEFAULT_MESSAGES):
        raise LinuxError(EINVAL)
    if not 0 < size <= (HARD_SIZE if mighty else DEFAULT_SIZE):
        raise LinuxError(EINVAL)


@syscall(241, since="2.6.6")
def mq_unlink(task: Task, name: Path) -> int:
    queues = task.kernel.posix_queues
    _check_name(name)
    queue = queues.get(name)
    if queue is None:
        raise LinuxError(ENOENT)
    # The directory is sticky: only owners remove.
    if task.cred.fsuid != queue.inode.uid and not task.cred.capable(CAP_FOWNER):
        raise LinuxError(EPERM)
    del queues[name]
    queue.inode.nlink = 0
    queue.release()
    return 0


def _queue(task: Task, fd: int, writing: bool | None = None) -> QueueDescription:
    from syscalls.mqueue import QueueDescription
    file = task.files.get(fd)
    if not isinstance(file, QueueDescription):
        raise LinuxError(EBADF)
    if writing is not None and not (file.writable if writing else file.readable):
        raise LinuxError(EBADF)
    return file


def _deadline(task: Task, timeout: int) -> int | None:
    """An absolute CLOCK_REALTIME as a monotonic time."""
    if not timeout:
        return None
    from syscalls.abi.time import read_timespec
    clock = task.kernel.clock
    return read_timespec(task, timeout) - clock.realtime() + clock.monotonic()


@syscall(242, since="2.6.6", needs=("clocks.monotonic",))
async def mq_timedsend(task: Task, fd: Fd, message: Buf, length: Size, priority: U32, timeout: In[Timespec]) -> int:
    from syscalls.mqueue import PRIORITIES
    deadline = _deadline(task, timeout)
    if priority >= PRIORITIES:
        raise LinuxError(EINVAL)
    file = _queue(task, fd, True)
    queue = file.posix_queue
    data = task.mem.read(message, length) if 0 < length <= queue.size else bytes(min(length, queue.size + 1))
    while True:
        try:
            queue.put(task, data, priority)
            return 0
        except LinuxError as error:
            if error.errno != EAGAIN or file.nonblock:
                raise
        if not await sleep_on(task, [(queue.queue, POLLOUT)], deadline):
            raise LinuxError(ETIMEDOUT)


@syscall(243, since="2.6.6", needs=("clocks.monotonic",))
async def mq_timedreceive(task: Task, fd: Fd, message: OutBuf, length: Size, priority: Out[U32],
                          timeout: In[Timespec]) -> int:
    deadline = _deadline(task, timeout)
    file = _queue(task, fd, False)
    queue = file.posix_queue
    while True:
        try:
            rank, data = queue.take(length)
            break
        except LinuxError as error:
            if error.errno != EAGAIN or file.nonblock:
                raise
        queue.receivers += 1
        try:
            if not await sleep_on(task, [(queue.queue, POLLIN)], deadline):
                raise LinuxError(ETIMEDOUT)
        finally:
            queue.receivers -= 1
    if priority:
        task.mem.put_u32(priority, rank)
    task.mem.write(message, data)
    return len(data)


@syscall(244, since="2.6.6")
def mq_notify(task: Task, fd: Fd, event: In[Sigevent]) -> int:
    from syscalls.mqueue import SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, Notification
    note = None
    if event:
        value, signo, method = task.mem.unpack(SIGEVENT, event)
        if method not in (SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD):
            raise LinuxError(EINVAL)
        if method == SIGEV_SIGNAL and not 0 <= signo <= 64:
            raise LinuxError(EINVAL)
        socket, cookie = _netlink_socket(task, signo, value) if method == SIGEV_THREAD else (None, b"")
        queue = _queue(task, fd).posix_queue
        if queue.notification is not None:
            raise LinuxError(EBUSY)
        note = Notification(task, method, signo, value, socket, cookie)
    _queue(task, fd).posix_queue.notify(task, note)
    return 0


def _netlink_socket(task: Task, fd: int, cookie: int) -> tuple[NetlinkSocket, bytes]:
    """SIGEV_THREAD: sigev_signo is a netlink socket, sigev_value points to what it is to be sent."""
    from syscalls.mqueue import COOKIE_LENGTH
    from syscalls.netlink import NetlinkSocket
    data = task.mem.read(cookie, COOKIE_LENGTH)
    file = task.files.get(fd)
    if not isinstance(file, NetlinkSocket):
        raise LinuxError(ENOTSOCK if file.kind != "socket" else EINVAL)
    return file, data


@syscall(245, since="2.6.6")
def mq_getsetattr(task: Task, fd: Fd, new: In[MqAttr], old: Out[MqAttr]) -> int:
    from syscalls.mqueue import ATTR
    flags = None
    if new:
        flags = ATTR.unpack(task.mem.read(new, 64))[0]
        if flags & ~O_NONBLOCK:
            raise LinuxError(EINVAL)
    file = _queue(task, fd)
    before = file.attributes()
    if flags is not None:
        file.flags = file.flags & ~O_NONBLOCK | flags
    if old:
        task.mem.write(old, before)
    return 0
