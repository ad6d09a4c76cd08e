"""Sockets: socket(2) and everything that takes one (net/socket.c)."""

from __future__ import annotations

from syscalls.abi.errno import (
    EAGAIN,
    ECONNABORTED,
    EFAULT,
    EINVAL,
    ENOBUFS,
    ENOTCONN,
    ENOTSOCK,
    EOPNOTSUPP,
    EPIPE,
    LinuxError,
)
from syscalls.abi.net import AF_INET, AF_INET6, AF_NETLINK
from syscalls.table import PARTIAL, syscall
from syscalls.wait import Interrupted, retry, sleep_on
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from syscalls.sockets import Control, Message, Socket
    from syscalls.table import S32, U32, Addr, Buf, Fd, OutBuf, Size
    from syscalls.task import Task

    Result = int | Coroutine[Any, Any, int]

SOCK_TYPE_MASK, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_STREAM, SOCK_SEQPACKET = 0xF, 0o4000, 0o2000000, 1, 5
MSG_OOB, MSG_PEEK, MSG_DONTWAIT, MSG_WAITALL, MSG_ERRQUEUE, MSG_NOSIGNAL = 1, 2, 0x40, 0x100, 0x2000, 0x4000
MSG_WAITFORONE, MSG_CMSG_COMPAT = 0x10000, 0x80000000
POLLIN, POLLOUT, POLLERR, POLLHUP, POLLRDHUP = 1, 4, 8, 0x10, 0x2000
TO_READ = POLLIN | POLLERR | POLLHUP | POLLRDHUP
TO_WRITE = POLLOUT | POLLERR | POLLHUP
AF_UNIX, SOL_SOCKET, SOL_IPV6, SO_RCVLOWAT = 1, 1, 41, 18
TCP_ESTABLISHED = 1
SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS = 270, 9
SOMAXCONN, SOCKADDR_STORAGE, MAX_RW_COUNT, VLEN_MAX = 4096, 128, 0x7FFFF000, 1024
RLIMIT_NOFILE = 7
OPTION_MAX = 65536
NSEC, TIME64_MAX = 1_000_000_000, (1 << 63) - 1
WINDOW = 256 << 10
"""The most bytes of a large send that are offered to a stream at a time, once it was full."""


# --- from the guest's arguments to objects

def socket_at(task: Task, fd: int) -> Socket:
    """sockfd_lookup: EBADF, ENOTSOCK."""
    file = task.files.get(fd)
    if file.kind != "socket":
        raise LinuxError(ENOTSOCK)
    return file  # type: ignore[return-value]


def read_address(task: Task, addr: int, length: int) -> bytes:
    """move_addr_to_kernel: EINVAL for an impossible length, EFAULT."""
    if not 0 <= length <= SOCKADDR_STORAGE:
        raise LinuxError(EINVAL)
    return task.mem.read(addr, length) if length else b""


def install(task: Task, socket: Socket, flags: int) -> int:
    """A descriptor for a new socket; EMFILE closes it."""
    socket.retain()
    try:
        return task.files.install(socket, bool(flags & SOCK_CLOEXEC), task.group.soft_limit(RLIMIT_NOFILE))
    finally:
        socket.release()


def split_type(kind: int) -> tuple[int, int]:
    """The type and the SOCK_ flags of a type argument; EINVAL for other bits."""
    flags = kind & ~SOCK_TYPE_MASK
    if flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC):
        raise LinuxError(EINVAL)
    return kind & SOCK_TYPE_MASK, flags


# --- making and connecting

@syscall(41, support=PARTIAL("AF_UNIX, AF_INET, AF_INET6, AF_NETLINK; no raw and no packet sockets"),
         needs=("sockets.inet", "sockets.inet6", "sockets.raw"),
         unsupported={"AF_PACKET": 17, "AF_ALG": 38, "AF_VSOCK": 40, "AF_XDP": 44, "SOCK_RAW": 3})
def socket(task: Task, domain: S32, type: S32, protocol: S32) -> int:
    from syscalls.sockets import make_socket
    kind, flags = split_type(type)
    return install(task, make_socket(task, domain, kind, protocol, flags & SOCK_NONBLOCK), flags)


@syscall(53)
def socketpair(task: Task, domain: S32, type: S32, protocol: S32, sv: Addr) -> int:
    from syscalls.sockets import make_pair
    from syscalls.task import RLIMIT_NOFILE
    kind, flags = split_type(type)
    # The numbers are written before there is a socket, and stay when there will be none (__sys_socketpair).
    numbers = task.files.two_lowest(task.group.soft_limit(RLIMIT_NOFILE))
    for place, number in zip((sv, sv + 4), numbers, strict=True):
        task.mem.put_u32(place, number)
    one, two = make_pair(task, domain, kind, protocol, flags & SOCK_NONBLOCK)
    one.retain()
    two.retain()
    fds: list[int] = []
    try:
        for end in (one, two):
            fds.append(install(task, end, flags))
    except LinuxError:
        for fd in fds:
            task.files.close(task, fd)
        raise
    finally:
        one.release()
        two.release()
    return 0


@syscall(49, needs=("sockets.inet", "sockets.inet6", "files.tree"))
def bind(task: Task, fd: Fd, addr: Addr, addrlen: S32) -> int:
    sock = socket_at(task, fd)
    address = read_address(task, addr, addrlen)
    if task.cred.landlock is not None:
        _landlock(task, sock, 1, address)
    sock.bind(task, address)
    return 0


@syscall(50, needs=("sockets.inet", "sockets.inet6"))
def listen(task: Task, fd: Fd, backlog: S32) -> int:
    socket_at(task, fd).listen(task, min(backlog & 0xFFFFFFFF, SOMAXCONN))
    return 0


@syscall(42, needs=("sockets.inet", "sockets.inet6", "sockets.unix-client", "poll.readiness"))
def connect(task: Task, fd: Fd, addr: Addr, addrlen: S32) -> Result:
    task.files.get(fd)
    address = read_address(task, addr, addrlen)
    sock = socket_at(task, fd)
    if task.cred.landlock is not None and address[:2] != b"\0\0":
        _landlock(task, sock, 2, address)
    if sock.nonblock:
        sock.connect(task, address)
        return 0
    return _held(sock, _connect(task, sock, address))


def _landlock(task: Task, sock: Socket, access: int, address: bytes) -> None:
    """Which ports a restricted task may bind or connect its TCP sockets to."""
    if sock.family in (AF_INET, AF_INET6) and sock.type == SOCK_STREAM:
        from syscalls.landlock import check_port
        check_port(task, access, address)


async def _connect(task: Task, sock: Socket, address: bytes) -> int:
    await sock.connect_sleeping(task, address)
    return 0


async def _held(sock: Socket, work: Awaitable[int]) -> int:
    """A call that sleeps keeps its socket open although another thread closes the descriptor (fget)."""
    sock.retain()
    try:
        return await work
    finally:
        sock.release()


@syscall(43, needs=("sockets.inet", "sockets.inet6", "poll.readiness"))
def accept(task: Task, fd: Fd, addr: Addr, addrlen: Addr) -> Result:
    return _accept(task, fd, addr, addrlen, 0)


@syscall(288, since="2.6.28", needs=("sockets.inet", "sockets.inet6", "poll.readiness"))
def accept4(task: Task, fd: Fd, addr: Addr, addrlen: Addr, flags: S32) -> Result:
    return _accept(task, fd, addr, addrlen, flags)


def _accept(task: Task, fd: int, addr: int, addrlen: int, flags: int) -> Result:
    task.files.get(fd)
    if flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC):
        raise LinuxError(EINVAL)
    task.files.check_free(task.group.soft_limit(RLIMIT_NOFILE))
    sock = socket_at(task, fd)

    def attempt() -> int:
        made, address = sock.accept(task)
        if flags & SOCK_NONBLOCK:
            made.flags |= SOCK_NONBLOCK
        made.retain()
        try:
            if addr:
                if not address:
                    raise LinuxError(ECONNABORTED)
                from syscalls.message import write_address
                write_address(task, address, addr, addrlen)
            return install(task, made, flags)
        finally:
            made.release()

    try:
        return attempt()
    except (LinuxError, HostError) as error:
        if error.errno != EAGAIN or sock.nonblock:
            raise
    return _held(sock, retry(task, sock.queue, TO_READ, attempt, restart=sock.restart_read,
                             deadline_ns=sock.deadline(task, sock.read_timeout_ns)))


@syscall(51, needs=("sockets.inet", "sockets.inet6"))
def getsockname(task: Task, fd: Fd, addr: Addr, addrlen: Addr) -> int:
    from syscalls.message import write_address
    write_address(task, socket_at(task, fd).getsockname(task), addr, addrlen)
    return 0


@syscall(52, needs=("sockets.inet", "sockets.inet6"))
def getpeername(task: Task, fd: Fd, addr: Addr, addrlen: Addr) -> int:
    from syscalls.message import write_address
    write_address(task, socket_at(task, fd).getpeername(task), addr, addrlen)
    return 0


@syscall(48, needs=("sockets.inet", "sockets.inet6"))
def shutdown(task: Task, fd: Fd, how: S32) -> int:
    socket_at(task, fd).shutdown(task, how)
    return 0


# --- sending

def send_message(task: Task, sock: Socket, data: bytes, flags: int, address: bytes | None,
                 control: Control | None) -> Result:
    """sock_sendmsg.  One look without a coroutine; what a blocking stream did not take goes out asleep."""
    try:
        done = sock.send(task, data, flags, address, control)
    except (LinuxError, HostError) as error:
        if error.errno == EPIPE:
            sock.broken_pipe(task, flags)
        if error.errno != EAGAIN or not sock.sleeps(flags):
            raise
        return _held(sock, _send_rest(task, sock, data, flags, address, control, 0))
    if done < len(data) and sock.stream and sock.sleeps(flags):
        return _held(sock, _send_rest(task, sock, data, flags, address, None, done))
    return done


async def _send_rest(task: Task, sock: Socket, data: bytes, flags: int, address: bytes | None,
                     control: Control | None, done: int) -> int:
    deadline = sock.deadline(task, sock.write_timeout_ns)
    try:
        while True:
            if not await sleep_on(task, [(sock.queue, TO_WRITE)], deadline, restart=sock.restart_write):
                raise LinuxError(EAGAIN)
            try:
                while True:
                    part = data[done:done + WINDOW] if sock.stream and (done or len(data) > WINDOW) else data
                    last = done + len(part) == len(data)
                    done += sock.send(task, part, flags if last else flags & ~MSG_OOB, address,
                                      None if done else control)
                    if done >= len(data) or not sock.stream:
                        return done
            except (LinuxError, HostError) as error:
                if error.errno != EAGAIN:
                    if error.errno == EPIPE and not done:
                        sock.broken_pipe(task, flags)
                    raise
    except (LinuxError, HostError, Interrupted):
        if done:
            return done
        raise


@syscall(44, needs=("sockets.inet", "sockets.inet6", "poll.readiness"))
def sendto(task: Task, fd: Fd, buf: Buf, size: Size, flags: U32, addr: Addr, addrlen: S32) -> Result:
    size = min(size, MAX_RW_COUNT)
    task.mem.check_range(buf, size)
    sock = socket_at(task, fd)
    address = read_address(task, addr, addrlen) if addr else None
    try:
        data = task.mem.read(buf, size) if size else b""
    except LinuxError:
        sock.unreadable_data(task, size, flags, address)
        raise
    return send_message(task, sock, data, flags, address, None)


@syscall(46, support=PARTIAL("descriptors do not reach host programs"),
         needs=("sockets.inet", "sockets.inet6", "sockets.control", "poll.readiness"))
def sendmsg(task: Task, fd: Fd, msg: Addr, flags: U32) -> Result:
    _only_native(flags)
    return _sendmsg(task, socket_at(task, fd), msg, flags)


def _only_native(flags: int) -> None:
    """The bit that marks calls of 32-bit programs inside the kernel may not come from outside: EINVAL, before all."""
    if flags & MSG_CMSG_COMPAT:
        raise LinuxError(EINVAL)


def _sendmsg(task: Task, sock: Socket, msg: int, flags: int) -> Result:
    from syscalls.message import Header, read_control
    header = Header(task, msg)
    address = header.address(task)
    vector = task.mem.iovec(header.iov, header.iov_length)
    total = sum(length for _, length in vector)
    try:
        control = read_control(task, sock, header)
    except LinuxError as error:
        # Most look at their state before the contents of this; AF_UNIX at most at whether there is a connection.
        if error.errno not in (EFAULT, ENOBUFS):
            if sock.family not in (AF_UNIX, AF_NETLINK):
                try:
                    sock.unreadable_data(task, total, flags, address)
                except (LinuxError, HostError) as earlier:
                    if earlier.errno != EFAULT:
                        raise
            elif sock.family == AF_NETLINK:
                sock.unreadable_data(task, total, flags)  # its address comes later
            elif sock.type == SOCK_SEQPACKET:
                sock.raise_error()
                if sock.state != TCP_ESTABLISHED:
                    raise LinuxError(ENOTCONN) from None
        raise
    try:
        data = task.mem.gather(vector)
        if len(data) < total:
            data = data[:len(data) & ~4095]  # streams copy a page or nothing of it
            if not sock.stream or not data:
                raise LinuxError(EFAULT)
    except LinuxError:
        sock.unreadable_data(task, total, flags, address)
        raise
    return send_message(task, sock, data, flags, address, control)


@syscall(307, since="3.0", support=PARTIAL("descriptors do not reach host programs"),
         needs=("sockets.inet", "sockets.inet6", "sockets.control", "poll.readiness"))
async def sendmmsg(task: Task, fd: Fd, mmsg: Addr, vlen: U32, flags: U32) -> int:
    _only_native(flags)
    sock = socket_at(task, fd)
    sent = 0
    try:
        for index in range(min(vlen, VLEN_MAX)):
            result = _sendmsg(task, sock, mmsg + index * 64, flags)
            task.mem.put_u32(mmsg + index * 64 + 56, result if isinstance(result, int) else await result)
            sent += 1
    except (LinuxError, HostError, Interrupted):
        if not sent:
            raise
    return sent


# --- receiving

def receive_message(task: Task, sock: Socket, length: int, flags: int, finish: Callable[[Message], int]) -> Result:
    """sock_recvmsg, then `finish` with what came.  Sleeps where the socket has less than it should wait for."""
    message: Message | None
    if flags & MSG_ERRQUEUE and sock.family not in (AF_INET, AF_INET6):
        flags &= ~MSG_ERRQUEUE  # others have no such queue, and do not look at this
    try:
        message = sock.receive(task, length, flags)
    except (LinuxError, HostError) as error:
        if error.errno != EAGAIN or flags & MSG_ERRQUEUE or not sock.sleeps(flags):
            raise
        message = None
    if message is not None and not wants_more(sock, message, length, flags):
        return finish(message)
    return _held(sock, _receive_rest(task, sock, length, flags, message, finish))


def wants_more(sock: Socket, message: Message, length: int, flags: int) -> bool:
    """sock_rcvlowat: whether a stream should go on to wait (MSG_WAITALL, SO_RCVLOWAT)."""
    if not sock.stream or not message.length or message.length >= length or message.rights:
        return False
    if flags & (MSG_PEEK | MSG_ERRQUEUE) or not sock.sleeps(flags) or sock.stops_here():
        return False
    return bool(flags & MSG_WAITALL) or message.length < min(length, sock.options.get((SOL_SOCKET, SO_RCVLOWAT), 1))


async def _receive_rest(task: Task, sock: Socket, length: int, flags: int, message: Message | None,
                        finish: Callable[[Message], int]) -> int:
    deadline = sock.deadline(task, sock.read_timeout_ns)
    while True:
        try:
            if not await sleep_on(task, [(sock.queue, TO_READ)], deadline, restart=sock.restart_read):
                raise LinuxError(EAGAIN)
            if message is not None and sock.stops_here():
                return finish(message)
            more = sock.receive(task, length - (message.length if message else 0), flags)
        except Interrupted:
            if message is None:
                raise
            return finish(message)
        except (LinuxError, HostError) as error:
            if error.errno == EAGAIN and (deadline is None or task.kernel.clock.monotonic() < deadline):
                continue
            if message is None:
                raise
            if error.errno != EAGAIN:
                sock.error = error.errno
            return finish(message)
        if message is None:
            message = more
        else:
            message.data += more.data
            message.length += more.length
            message.rights += more.rights
        if not more.length or not wants_more(sock, message, length, flags):
            return finish(message)


@syscall(45, needs=("sockets.inet", "sockets.inet6", "poll.readiness"))
def recvfrom(task: Task, fd: Fd, buf: OutBuf, size: Size, flags: U32, addr: Addr, addrlen: Addr) -> Result:
    size = min(size, MAX_RW_COUNT)
    task.mem.check_range(buf, size)
    sock = socket_at(task, fd)

    def finish(message: Message) -> int:
        if message.rights:
            message.release()
        data = message.data
        if data:
            try:
                task.mem.write(buf, data)
            except LinuxError:
                if not flags & (MSG_PEEK | MSG_OOB):
                    sock.unread(data)
                raise
        if addr:
            from syscalls.message import write_address
            write_address(task, message.address, addr, addrlen)
        return message.length

    return receive_message(task, sock, size, flags, finish)


@syscall(47, needs=("sockets.inet", "sockets.inet6", "sockets.control", "poll.readiness"))
def recvmsg(task: Task, fd: Fd, msg: Addr, flags: U32) -> Result:
    _only_native(flags)
    return _recvmsg(task, socket_at(task, fd), msg, flags)


def _recvmsg(task: Task, sock: Socket, msg: int, flags: int) -> Result:
    from syscalls.message import Header, write_message
    header = Header(task, msg)
    vector = task.mem.iovec(header.iov, header.iov_length)
    return receive_message(task, sock, sum(length for _, length in vector), flags,
                           lambda message: write_message(task, sock, header, message, vector, flags))


@syscall(299, since="2.6.33", needs=("sockets.inet", "sockets.inet6", "sockets.control", "poll.readiness"))
async def recvmmsg(task: Task, fd: Fd, mmsg: Addr, vlen: U32, flags: U32, timeout: Addr) -> int:
    _only_native(flags)
    deadline = None
    if timeout:
        from struct import pack, unpack
        seconds, nanoseconds = unpack("<qq", task.mem.read(timeout, 16))
        if seconds < 0 or not 0 <= nanoseconds < NSEC:
            raise LinuxError(EINVAL)
        if seconds or nanoseconds:
            deadline = min(task.kernel.clock.monotonic() + seconds * NSEC + nanoseconds, TIME64_MAX * NSEC)
        else:
            deadline = 0
    sock = socket_at(task, fd)
    sock.raise_error()
    received = 0
    try:
        while received < min(vlen, VLEN_MAX):
            entry = mmsg + received * 64
            result = _recvmsg(task, sock, entry, flags & ~MSG_WAITFORONE)
            task.mem.put_u32(entry + 56, result if isinstance(result, int) else await result)
            received += 1
            if flags & MSG_WAITFORONE:
                flags |= MSG_DONTWAIT
            # The time is only looked at between messages (man 2 recvmmsg, BUGS).
            if deadline is not None and task.kernel.clock.monotonic() >= deadline:
                break
    except (LinuxError, HostError) as error:
        if not received:
            raise
        if error.errno != EAGAIN:
            sock.error = error.errno
    except Interrupted:
        if not received:
            raise
    if deadline is not None and received:
        left = max(0, deadline - task.kernel.clock.monotonic())
        task.mem.write(timeout, pack("<qq", *divmod(left, NSEC)))
    return received


# --- options

def option_value(task: Task, addr: int, length: int) -> bytes:
    """The value of an option: who uses it finds out that some of it cannot be read."""
    try:
        return task.mem.read(addr, length) if length else b""
    except LinuxError:
        from syscalls.socket_options import CutValue
        return CutValue(task.mem.input(addr, length) if task.mem.readable(addr, length) else b"", length, not addr)


@syscall(54, support=PARTIAL("socket filters are refused"), needs=("sockets.options", "sockets.interfaces"),
         unsupported={"SO_ATTACH_FILTER": 26, "SO_ATTACH_BPF": 50, "SO_ATTACH_REUSEPORT_CBPF": 51,
                      "SO_ATTACH_REUSEPORT_EBPF": 52})
def setsockopt(task: Task, fd: Fd, level: S32, optname: S32, optval: Addr, optlen: S32) -> int:
    sock = socket_at(task, fd)
    if optlen < 0:
        raise LinuxError(EINVAL)
    if level != SOL_SOCKET and sock.family == AF_UNIX:
        raise LinuxError(EOPNOTSUPP)  # without a look at the value: these sockets have no options of their own
    sock.setsockopt(task, level, optname, option_value(task, optval, min(optlen, OPTION_MAX)))
    return 0


@syscall(55, needs=("sockets.options", "sockets.interfaces"))
def getsockopt(task: Task, fd: Fd, level: S32, optname: S32, optval: Addr, optlen: Addr) -> int:
    sock = socket_at(task, fd)
    sock.check_level(level)
    room = task.mem.s32(optlen)
    if room < 0:
        if level != SOL_IPV6 or sock.family != AF_INET6:
            raise LinuxError(EINVAL)
        room = 4  # do_ipv6_getsockopt takes it for a large one, and has an int
    value = sock.getsockopt(task, level, optname, room)
    if (level, optname) == (SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS):
        # As many words as have room, and how long all of it is.
        task.mem.write(optval, value[:room & ~3])
        task.mem.put_u32(optlen, len(value))
        return 0
    value = value[:room]
    task.mem.write(optval, value)
    task.mem.put_u32(optlen, len(value))
    return 0
