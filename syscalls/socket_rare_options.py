"""Options of level SOL_SOCKET that few programs set (net/core/sock.c): filters, times to send at, devices, memory."""

from __future__ import annotations

from struct import pack, unpack

from syscalls.abi.errno import EBADF, EINVAL, ENODEV, ENOENT, ENOPROTOOPT, EOPNOTSUPP, EPERM, LinuxError
from syscalls.abi.net import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    RMEM_DEFAULT,
    SO_ATTACH_BPF,
    SO_ATTACH_FILTER,
    SO_ATTACH_REUSEPORT_CBPF,
    SO_ATTACH_REUSEPORT_EBPF,
    SO_BINDTODEVICE,
    SO_BINDTOIFINDEX,
    SO_BUSY_POLL_BUDGET,
    SO_CNX_ADVICE,
    SO_DETACH_FILTER,
    SO_DETACH_REUSEPORT_BPF,
    SO_DEVMEM_DONTNEED,
    SO_MEMINFO,
    SO_NETNS_COOKIE,
    SO_PASSRIGHTS,
    SO_RCVBUF,
    SO_RCVPRIORITY,
    SO_RESERVE_MEM,
    SO_REUSEPORT,
    SO_SNDBUF,
    SO_TXREHASH,
    SO_TXTIME,
    SOCK_STREAM,
    SOL_SOCKET,
    WMEM_DEFAULT,
)
from syscalls.socket_options import CAP_NET_ADMIN, first_bytes, whole_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.sockets import Socket
    from syscalls.task import Task

CAP_NET_RAW = 13
IFNAMSIZ = 16
SOCK_FPROG_SIZE, SOCK_FILTER_SIZE, BPF_MAXINSNS = 16, 8, 4096
SOCK_TXTIME_SIZE, TXTIME_FLAGS, CLOCK_MONOTONIC = 8, 3, 1
DONTNEED_TOKEN, MOST_TOKENS = 8, 128
U16_MAX = 0xFFFF


def is_tcp(socket: Socket) -> bool:
    return socket.family in (AF_INET, AF_INET6) and socket.type == SOCK_STREAM


def bind_to_device(task: Task, socket: Socket, index: int) -> None:
    """sock_bindtoindex_locked.  EPERM: it is bound, and the task may not change that."""
    if socket.options.get((SOL_SOCKET, SO_BINDTOIFINDEX), 0) and not task.cred.capable(CAP_NET_RAW):
        raise LinuxError(EPERM)
    if index < 0:
        raise LinuxError(EINVAL)
    socket.options[SOL_SOCKET, SO_BINDTOIFINDEX] = index


def bind_to_name(task: Task, socket: Socket, value: bytes) -> None:
    """SO_BINDTODEVICE.  ENODEV: no such interface."""
    name = first_bytes(value, min(IFNAMSIZ - 1, whole_size(value))).partition(b"\0")[0]
    index = 0
    if name:
        index = next((one.index for one in task.kernel.host.interfaces() if one.name == name), 0)
        if not index:
            raise LinuxError(ENODEV)
    bind_to_device(task, socket, index)


def bound_name(task: Task, socket: Socket, length: int) -> bytes:
    """What getsockopt tells of SO_BINDTODEVICE.  EINVAL: bound, and too little room."""
    index = socket.options.get((SOL_SOCKET, SO_BINDTOIFINDEX), 0)
    if not index:
        return b""
    if length < IFNAMSIZ:
        raise LinuxError(EINVAL)
    name = next((one.name for one in task.kernel.host.interfaces() if one.index == index), None)
    if name is None:
        raise LinuxError(ENODEV)
    return name + b"\0"


def set_rare(task: Task, socket: Socket, option: int, value: bytes, number: int) -> bool:
    """Whether it is one of these."""
    key = (SOL_SOCKET, option)
    if option == SO_BINDTOIFINDEX:
        bind_to_device(task, socket, number)
    elif option in (SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF):
        _attach(task, socket, option, value, number)
    elif option == SO_DETACH_FILTER:
        raise LinuxError(ENOENT)
    elif option == SO_DETACH_REUSEPORT_BPF:
        raise LinuxError(ENOENT if socket.options.get((SOL_SOCKET, SO_REUSEPORT), 0) else EINVAL)
    elif option == SO_CNX_ADVICE:
        pass
    elif option == SO_TXTIME:
        if whole_size(value) != SOCK_TXTIME_SIZE:
            raise LinuxError(EINVAL)
        clock, flags = unpack("<iI", first_bytes(value, SOCK_TXTIME_SIZE))
        if flags & ~TXTIME_FLAGS:
            raise LinuxError(EINVAL)
        if clock != CLOCK_MONOTONIC and not task.cred.capable(CAP_NET_ADMIN):
            raise LinuxError(EPERM)
        socket.options[key] = flags << 32 | clock & 0xFFFFFFFF
    elif option == SO_BUSY_POLL_BUDGET:
        if number > socket.options.get(key, 0) and not task.cred.capable(CAP_NET_ADMIN):
            raise LinuxError(EPERM)
        if not 0 <= number <= U16_MAX:
            raise LinuxError(EINVAL)
        socket.options[key] = number
    elif option == SO_RESERVE_MEM:
        raise LinuxError(EINVAL if number < 0 else EOPNOTSUPP)  # as outside a control group of memory
    elif option == SO_TXREHASH:
        if not is_tcp(socket):
            raise LinuxError(EOPNOTSUPP)
        if not -1 <= number <= 1:
            raise LinuxError(EINVAL)
        socket.options[key] = abs(number)  # -1: as sysctl net.core.txrehash says, 1
    elif option == SO_DEVMEM_DONTNEED:
        if not is_tcp(socket):
            raise LinuxError(EBADF)
        size = whole_size(value)
        if size % DONTNEED_TOKEN or size > DONTNEED_TOKEN * MOST_TOKENS:
            raise LinuxError(EINVAL)
    elif option == SO_PASSRIGHTS:
        if socket.family != AF_UNIX:
            raise LinuxError(EOPNOTSUPP)
        socket.options[key] = int(number != 0)
    elif option == SO_RCVPRIORITY:
        socket.options[key] = int(number != 0)
    else:
        return False
    return True


def _attach(task: Task, socket: Socket, option: int, value: bytes, number: int) -> None:
    """Bad filters are refused as such, and good ones, too: nothing is attached in silence, as programs (udev, dhclient)
    use filters to see less, and look again at what comes."""
    if option == SO_ATTACH_FILTER and is_tcp(socket):
        raise LinuxError(EPERM)
    if option in (SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF):
        if whole_size(value) == 4:
            task.files.get(number)
        raise LinuxError(EINVAL)  # no descriptor is of a BPF program
    if whole_size(value) != SOCK_FPROG_SIZE:
        raise LinuxError(EINVAL)
    length, filters = unpack("<H6xQ", first_bytes(value, SOCK_FPROG_SIZE))
    if not filters or not 0 < length <= BPF_MAXINSNS:
        raise LinuxError(EINVAL)
    task.mem.read(filters, length * SOCK_FILTER_SIZE)
    task.kernel.gap(task, "socket filter", option)
    raise LinuxError(EPERM)


def get_rare(task: Task, socket: Socket, option: int, length: int) -> bytes:
    """The value in full.  ENOPROTOOPT: it is none of these."""
    kept = socket.options.get((SOL_SOCKET, option))
    if option == SO_BINDTODEVICE:
        return bound_name(task, socket, length)
    if option == SO_ATTACH_FILTER:
        return b""
    if option in (SO_BINDTOIFINDEX, SO_RESERVE_MEM, SO_RCVPRIORITY):
        return pack("<i", kept or 0)
    if option == SO_TXTIME:
        return pack("<Q", kept or 0)
    if option == SO_MEMINFO:
        # SK_MEMINFO_: what is in use is not counted.
        sizes = (socket.options.get((SOL_SOCKET, SO_RCVBUF), RMEM_DEFAULT),
                 socket.options.get((SOL_SOCKET, SO_SNDBUF), WMEM_DEFAULT))
        return pack("<9I", 0, sizes[0], 0, sizes[1], 0, 0, 0, 0, 0)
    if option == SO_NETNS_COOKIE:
        if length != 8:
            raise LinuxError(EINVAL)
        return pack("<Q", 1)
    if option in (SO_TXREHASH, SO_PASSRIGHTS):
        if not is_tcp(socket) if option == SO_TXREHASH else socket.family != AF_UNIX:
            raise LinuxError(EOPNOTSUPP)
        return pack("<i", 1 if kept is None else kept)
    raise LinuxError(ENOPROTOOPT)
