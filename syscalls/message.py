"""struct msghdr and ancillary data between the guest's memory and `Socket` (net/socket.c, net/core/scm.c)."""

from __future__ import annotations

from struct import Struct, pack, unpack_from

from syscalls.abi.errno import EINVAL, EMFILE, EMSGSIZE, ENOBUFS, LinuxError
from syscalls.abi.net import (
    AF_NETLINK,
    AF_UNIX,
    MSG_CMSG_CLOEXEC,
    MSG_CTRUNC,
    MSG_OOB,
    MSG_PEEK,
    SCM_CREDENTIALS,
    SCM_INQ,
    SCM_MAX_FD,
    SCM_PIDFD,
    SCM_RIGHTS,
    SOCKADDR_STORAGE,
    SOL_SOCKET,
)
from syscalls.sockets import Control, Message, Socket, UserCredentials
from syscalls.task import RLIMIT_NOFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

MSGHDR = Struct("<QIxxxxQQQQIxxxx")
CMSG = Struct("<Qii")
IOV_LIMIT = 1024
OPTMEM_MAX = 131072
"""Sysctl net.core.optmem_max: the most ancillary data that one send carries."""


class Header:
    """A struct user_msghdr read from `addr`."""

    __slots__ = ("addr", "control", "control_length", "iov", "iov_length", "name", "name_length")

    def __init__(self, task: Task, addr: int) -> None:
        """EFAULT; EINVAL for a negative name length; EMSGSIZE for too many buffers."""
        self.addr = addr
        (self.name, name_length, self.iov, self.iov_length, self.control, self.control_length,
         _) = MSGHDR.unpack(task.mem.read(addr, MSGHDR.size))
        if name_length >= 1 << 31 and self.name:
            raise LinuxError(EINVAL)
        self.name_length = min(name_length, SOCKADDR_STORAGE) if self.name else 0
        if self.iov_length > IOV_LIMIT:
            raise LinuxError(EMSGSIZE)

    def address(self, task: Task) -> bytes | None:
        """The destination of a send."""
        return task.mem.read(self.name, self.name_length) if self.name and self.name_length else None


def align(length: int) -> int:
    return (length + 7) & ~7


def read_control(task: Task, socket: Socket, header: Header) -> Control | None:
    """__scm_send.  ENOBUFS: too much; EINVAL: malformed, or a type that is not known; EBADF; EPERM."""
    length = header.control_length
    if not header.control or not length:
        return None
    if length > OPTMEM_MAX:
        raise LinuxError(ENOBUFS)
    raw = task.mem.read(header.control, length)
    control = Control()
    position = 0
    while position + CMSG.size <= length:
        size, level, kind = CMSG.unpack_from(raw, position)
        if size < CMSG.size or size > length - position:
            raise LinuxError(EINVAL)
        data = raw[position + CMSG.size:position + size]
        position += align(size)
        if level != SOL_SOCKET or socket.family not in (AF_UNIX, AF_NETLINK):
            if level != SOL_SOCKET or kind not in (SCM_RIGHTS, SCM_CREDENTIALS):
                control.raw.append((level, kind, data))
        elif kind == SCM_RIGHTS and socket.family == AF_UNIX:
            _add_rights(task, control, data)
        elif kind == SCM_CREDENTIALS:
            if len(data) != 12:
                raise LinuxError(EINVAL)
            from syscalls.unix_socket import check_credentials
            control.credentials = UserCredentials(*unpack_from("<iII", data))
            check_credentials(task, control.credentials)
        else:
            raise LinuxError(EINVAL)
    return control


def _add_rights(task: Task, control: Control, data: bytes) -> None:
    count = len(data) // 4
    if len(control.rights) + count > SCM_MAX_FD:
        raise LinuxError(EINVAL)
    for fd in unpack_from(f"<{count}i", data):
        control.rights.append(task.files.get_raw(fd))


def write_control(task: Task, message: Message, addr: int, room: int, flags: int) -> tuple[int, int]:
    """Write a message's ancillary data; (bytes used, MSG_CTRUNC or 0).  Takes over the message's rights."""
    used = 0
    cut = 0
    if message.credentials is not None:
        found = message.credentials
        step, cut = _put(task, addr, room, SOL_SOCKET, SCM_CREDENTIALS,
                         pack("<iII", found.pid, found.uid & 0xFFFFFFFF, found.gid & 0xFFFFFFFF))
        used += step
    for level, kind, data in message.options:
        step, more = _put(task, addr + used, room - used, level, kind, data)
        used += step
        cut |= more
    if message.rights:
        step, more = _put_rights(task, message, addr + used, room - used, bool(flags & MSG_CMSG_CLOEXEC))
        used += step
        cut |= more
    if message.pid:
        step, more = _put_pidfd(task, message.pid, addr + used, room - used)
        used += step
        cut |= more
    return used, cut


def _put(task: Task, addr: int, room: int, level: int, kind: int, data: bytes) -> tuple[int, int]:
    """put_cmsg: what fits, MSG_CTRUNC when not all does."""
    if room < CMSG.size:
        return 0, MSG_CTRUNC
    size = CMSG.size + len(data)
    cut = 0
    if size > room:
        size = room
        cut = MSG_CTRUNC
    try:
        task.mem.write(addr, CMSG.pack(size, level, kind) + data[:size - CMSG.size])
    except LinuxError:
        return 0, 0  # of which nobody hears
    return min(align(size), room), cut


def _put_rights(task: Task, message: Message, addr: int, room: int, cloexec: bool) -> tuple[int, int]:
    """scm_detach_fds: descriptors for as many as fit; the rest is closed."""
    fits = max(0, (room - CMSG.size) // 4)
    fds: list[int] = []
    limit = task.group.soft_limit(RLIMIT_NOFILE)
    files = message.rights
    for file in files[:fits]:
        try:
            fds.append(task.files.install(file, cloexec, limit))
        except LinuxError as error:
            if error.errno != EMFILE:
                raise
            break
    message.release()
    cut = MSG_CTRUNC if len(fds) < len(files) else 0
    if not fds:
        return 0, cut
    size = CMSG.size + 4 * len(fds)
    task.mem.write(addr, CMSG.pack(size, SOL_SOCKET, SCM_RIGHTS) + pack(f"<{len(fds)}i", *fds))
    return min(align(size), room), cut


def _put_pidfd(task: Task, pid: int, addr: int, room: int) -> tuple[int, int]:
    if room < CMSG.size + 4:
        return 0, MSG_CTRUNC
    from syscalls.pidfd import open_pidfd
    try:
        fd = open_pidfd(task, pid)
    except LinuxError as error:
        fd = -error.errno
    return _put(task, addr, room, SOL_SOCKET, SCM_PIDFD, pack("<i", fd))


def write_address(task: Task, address: bytes, addr: int, length_addr: int) -> None:
    """move_addr_to_user: as much as there is room for, and the whole length.  EINVAL, EFAULT."""
    room = task.mem.s32(length_addr)
    if room < 0:
        raise LinuxError(EINVAL)
    task.mem.put_u32(length_addr, len(address))  # first, and it stays when the address cannot be written
    if room and address:
        task.mem.write(addr, address[:room])


def write_message(task: Task, socket: Socket, header: Header, message: Message,
                  vector: list[tuple[int, int]], flags: int) -> int:
    """Hand a received message to the guest: data, name, ancillary data and flags; returns the call's value."""
    try:
        if message.data:
            done = task.mem.scatter(vector, message.data)
            if done < len(message.data):
                if not flags & (MSG_PEEK | MSG_OOB):
                    socket.unread(message.data[done:])
                message.length = done
        if header.name:
            if message.address:
                task.mem.write(header.name, message.address[:header.name_length])
            task.mem.put_u32(header.addr + 8, len(message.address))
        out = message.flags
        used = 0
        reports_pending = socket.reports_pending and not flags & MSG_OOB
        if not header.control:
            if message.rights or message.credentials is not None or message.options or reports_pending:
                out |= MSG_CTRUNC
        else:
            used, cut = write_control(task, message, header.control, header.control_length, flags)
            out |= cut
            if reports_pending:
                step, cut = _put(task, header.control + used, header.control_length - used, SOL_SOCKET, SCM_INQ,
                                 pack("<i", socket.pending(task)))
                used += step
                out |= cut
        task.mem.put_u64(header.addr + 40, used)
        task.mem.put_u32(header.addr + 48, out | flags & MSG_CMSG_CLOEXEC)
        return message.length
    except LinuxError:
        if not flags & (MSG_PEEK | MSG_OOB):
            socket.unread(message.data)
        raise
    finally:
        message.release()
