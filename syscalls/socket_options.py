"""Options of level SOL_SOCKET (man 7 socket, net/core/sock.c): those that the kernel keeps itself.

Most only have to be remembered.  Families call `set_common` and `get_common`, and act on what they care about.
"""

from __future__ import annotations

from struct import pack, unpack

from syscalls.abi.errno import (
    EACCES,
    EDOM,
    EFAULT,
    EINVAL,
    ENODATA,
    ENOPROTOOPT,
    EOPNOTSUPP,
    EPERM,
    LinuxError,
)
from syscalls.abi.net import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    AF_UNIX,
    RMEM_DEFAULT,
    RMEM_MAX,
    SO_ACCEPTCONN,
    SO_BINDTODEVICE,
    SO_BPF_EXTENSIONS,
    SO_BROADCAST,
    SO_BSDCOMPAT,
    SO_BUF_LOCK,
    SO_BUSY_POLL,
    SO_COOKIE,
    SO_DEBUG,
    SO_DOMAIN,
    SO_DONTROUTE,
    SO_ERROR,
    SO_INCOMING_CPU,
    SO_INCOMING_NAPI_ID,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_LOCK_FILTER,
    SO_MARK,
    SO_MAX_PACING_RATE,
    SO_NO_CHECK,
    SO_NOFCS,
    SO_OOBINLINE,
    SO_PASSCRED,
    SO_PASSPIDFD,
    SO_PASSSEC,
    SO_PEEK_OFF,
    SO_PEERCRED,
    SO_PEERGROUPS,
    SO_PEERNAME,
    SO_PEERPIDFD,
    SO_PREFER_BUSY_POLL,
    SO_PRIORITY,
    SO_PROTOCOL,
    SO_RCVBUF,
    SO_RCVBUFFORCE,
    SO_RCVLOWAT,
    SO_RCVMARK,
    SO_RCVTIMEO_NEW,
    SO_RCVTIMEO_OLD,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SO_RXQ_OVFL,
    SO_SELECT_ERR_QUEUE,
    SO_SNDBUF,
    SO_SNDBUFFORCE,
    SO_SNDLOWAT,
    SO_SNDTIMEO_NEW,
    SO_SNDTIMEO_OLD,
    SO_TIMESTAMP_NEW,
    SO_TIMESTAMP_OLD,
    SO_TIMESTAMPING_NEW,
    SO_TIMESTAMPING_OLD,
    SO_TIMESTAMPNS_NEW,
    SO_TIMESTAMPNS_OLD,
    SO_TYPE,
    SO_WIFI_STATUS,
    SO_ZEROCOPY,
    SOCK_MIN_RCVBUF,
    SOCK_MIN_SNDBUF,
    SOL_SOCKET,
    WMEM_DEFAULT,
    WMEM_MAX,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.sockets import Socket
    from syscalls.task import Task

CAP_NET_ADMIN = 12
TIMESTAMPING_MASK = (1 << 19) - 1
OPT_ID, OPT_TSONLY, OPT_STATS, BIND_PHC, OPT_ID_TCP = 1 << 7, 1 << 11, 1 << 12, 1 << 15, 1 << 16
"""Of SOF_TIMESTAMPING_."""
UNLIMITED_RATE = (1 << 64) - 1
JIFFY_NS = 4_000_000
"""Timeouts are kept in ticks of a kernel with HZ=250, rounded up."""

_BOOLEAN = frozenset((
    SO_DEBUG, SO_REUSEADDR, SO_REUSEPORT, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_NO_CHECK,
    SO_PASSCRED, SO_PASSSEC, SO_PASSPIDFD, SO_TIMESTAMP_OLD, SO_TIMESTAMPNS_OLD, SO_TIMESTAMP_NEW,
    SO_TIMESTAMPNS_NEW, SO_RXQ_OVFL, SO_WIFI_STATUS, SO_NOFCS, SO_LOCK_FILTER, SO_SELECT_ERR_QUEUE, SO_ZEROCOPY,
    SO_RCVMARK, SO_PREFER_BUSY_POLL))
_NUMBER = frozenset((SO_PRIORITY, SO_RCVLOWAT, SO_MARK, SO_BUSY_POLL, SO_INCOMING_CPU, SO_BUF_LOCK))
_DEFAULTS = {SO_RCVLOWAT: 1, SO_SNDBUF: WMEM_DEFAULT, SO_RCVBUF: RMEM_DEFAULT, SO_INCOMING_CPU: -1,
             SO_SNDLOWAT: 1, SO_BPF_EXTENSIONS: 64}
_CREDENTIAL_OPTIONS = (SO_PASSCRED, SO_PASSSEC, SO_PASSPIDFD)


class CutValue(bytes):
    """The readable beginning of an option's value: the rest is missed by those that look at it."""

    def __new__(cls, readable: bytes, size: int, null: bool) -> CutValue:
        return super().__new__(cls, readable)

    def __init__(self, readable: bytes, size: int, null: bool) -> None:
        self.size = size
        """Of the whole, in bytes."""
        self.null = null
        """Whether it is at no address at all, which IPv6 takes for 0."""


def first_bytes(value: bytes, count: int) -> bytes:
    """EINVAL: the value has less than that; EFAULT: they cannot be read."""
    if len(value) < count:
        raise LinuxError(EFAULT if isinstance(value, CutValue) and value.size >= count else EINVAL)
    return value[:count]


def whole_size(value: bytes) -> int:
    """Of an option's value, in bytes, whether or not they can be read."""
    return value.size if isinstance(value, CutValue) else len(value)


def set_common(task: Task, socket: Socket, option: int, value: bytes) -> None:
    """sk_setsockopt.  EINVAL: value too short; EFAULT: it cannot be read; EDOM: bad microseconds; ENOPROTOOPT: no such
    option, or one that is only read."""
    if option == SO_BINDTODEVICE:
        from syscalls.socket_rare_options import bind_to_name
        bind_to_name(task, socket, value)
        return
    number: int = unpack("<i", first_bytes(value, 4))[0]
    if option in _BOOLEAN:
        _check_boolean(task, socket, option, number)
        socket.options[SOL_SOCKET, option] = int(number != 0)
    elif option in _NUMBER:
        if option == SO_RCVLOWAT:
            number = 0x7FFFFFFF if number < 0 else number or 1
        elif ((option == SO_MARK or (option == SO_PRIORITY and not 0 <= number <= 6))
              and not task.cred.capable(CAP_NET_ADMIN)):
            raise LinuxError(EPERM)
        elif (option == SO_BUF_LOCK and number & ~3) or (option == SO_BUSY_POLL and number < 0):
            raise LinuxError(EINVAL)
        socket.options[SOL_SOCKET, option] = number
    elif option in (SO_SNDBUF, SO_SNDBUFFORCE):
        number = _buffer_size(task, number, option == SO_SNDBUFFORCE, WMEM_MAX, SOCK_MIN_SNDBUF)
        socket.options[SOL_SOCKET, SO_SNDBUF] = number
        if socket.family == AF_UNIX:
            socket.send_buffer = number  # type: ignore[attr-defined]
            from syscalls.sockets import WRITE_EVENTS
            socket.queue.wake(WRITE_EVENTS)
    elif option in (SO_RCVBUF, SO_RCVBUFFORCE):
        socket.options[SOL_SOCKET, SO_RCVBUF] = _buffer_size(task, number, option == SO_RCVBUFFORCE, RMEM_MAX,
                                                             SOCK_MIN_RCVBUF)
    elif option in (SO_RCVTIMEO_OLD, SO_RCVTIMEO_NEW):
        socket.read_timeout_ns = _timeout(value)
    elif option in (SO_SNDTIMEO_OLD, SO_SNDTIMEO_NEW):
        socket.write_timeout_ns = _timeout(value)
    elif option == SO_LINGER:
        seconds: int = unpack("<ii", first_bytes(value, 8))[1]
        socket.options[SOL_SOCKET, SO_LINGER] = seconds + 1 if number else 0
    elif option == SO_PEEK_OFF:
        if socket.family != AF_UNIX:
            raise LinuxError(EOPNOTSUPP)
        socket.peek_offset = number  # type: ignore[attr-defined]
    elif option == SO_MAX_PACING_RATE:
        # An unsigned long, where there is room for it.
        rate = number & 0xFFFFFFFF if number != -1 else UNLIMITED_RATE
        if whole_size(value) >= 8:
            rate = unpack("<Q", first_bytes(value, 8))[0]
        socket.options[SOL_SOCKET, option] = rate
    elif option in (SO_TIMESTAMPING_OLD, SO_TIMESTAMPING_NEW):
        _check_timestamping(number)
        socket.options[SOL_SOCKET, SO_TIMESTAMPING_OLD] = number
        socket.options[SOL_SOCKET, SO_TIMESTAMPING_NEW] = number if option == SO_TIMESTAMPING_NEW else 0
    elif option == SO_BSDCOMPAT:
        pass
    else:
        from syscalls.socket_rare_options import set_rare
        if set_rare(task, socket, option, value, number):
            return
        if option not in (SO_TYPE, SO_PROTOCOL, SO_DOMAIN, SO_ERROR, SO_SNDLOWAT, SO_ACCEPTCONN, SO_PEERCRED):
            task.kernel.gap(task, "setsockopt SOL_SOCKET", option)
        raise LinuxError(ENOPROTOOPT)


def get_common(task: Task, socket: Socket, option: int, length: int) -> bytes:
    """The value in full; the caller cuts it to `length`."""
    if option == SO_TYPE:
        return pack("<i", socket.type)
    if option == SO_DOMAIN:
        return pack("<i", socket.family)
    if option == SO_PROTOCOL:
        return pack("<i", socket.protocol)
    if option == SO_ERROR:
        return pack("<i", socket.take_error())
    if option == SO_ACCEPTCONN:
        return pack("<i", socket.listening)
    if option in (SO_RCVTIMEO_OLD, SO_RCVTIMEO_NEW):
        return _timeval(socket.read_timeout_ns)
    if option in (SO_SNDTIMEO_OLD, SO_SNDTIMEO_NEW):
        return _timeval(socket.write_timeout_ns)
    if option == SO_LINGER:
        lingering = socket.options.get((SOL_SOCKET, SO_LINGER), 0)
        return pack("<ii", lingering != 0, max(0, lingering - 1))
    if option in _CREDENTIAL_OPTIONS and (socket.family not in (AF_UNIX, AF_NETLINK)
                                          or (option == SO_PASSPIDFD and socket.family != AF_UNIX)):
        raise LinuxError(EOPNOTSUPP)
    if option in _BOOLEAN or option in _NUMBER or option in _DEFAULTS:
        return pack("<i", socket.options.get((SOL_SOCKET, option), _DEFAULTS.get(option, 0)))
    if option == SO_PEERCRED:
        return socket.peer_ucred()
    if option == SO_PEERPIDFD:
        raise LinuxError(ENODATA)  # but for sockets of this machine's own
    if option == SO_PEERGROUPS:
        if socket.peer_ucred()[4:8] == b"\xff\xff\xff\xff":
            raise LinuxError(ENODATA)
        return b"".join(pack("<I", group) for group in task.cred.groups)
    if option == SO_PEERNAME:
        address = socket.getpeername(task)
        if len(address) < length:
            raise LinuxError(EINVAL)
        return address
    if option == SO_COOKIE:
        if length < 8:
            raise LinuxError(EINVAL)
        return pack("<Q", socket.ino)
    if option == SO_PEEK_OFF:
        if socket.family == AF_NETLINK:
            raise LinuxError(EOPNOTSUPP)
        return pack("<i", getattr(socket, "peek_offset", -1))
    if option == SO_MAX_PACING_RATE:
        rate = socket.options.get((SOL_SOCKET, option), UNLIMITED_RATE)
        return pack("<Q", rate) if length >= 8 else pack("<I", min(rate, 0xFFFFFFFF))
    if option in (SO_TIMESTAMPING_OLD, SO_TIMESTAMPING_NEW):  # struct so_timestamping: no clock is bound
        return pack("<ii", socket.options.get((SOL_SOCKET, option), 0), 0)
    if option in (SO_BSDCOMPAT, SO_INCOMING_NAPI_ID):
        return pack("<i", 0)
    from syscalls.socket_rare_options import get_rare
    try:
        return get_rare(task, socket, option, length)
    except LinuxError as error:
        if error.errno == ENOPROTOOPT:
            task.kernel.gap(task, "getsockopt SOL_SOCKET", option)
        raise


def _check_boolean(task: Task, socket: Socket, option: int, number: int) -> None:
    if option == SO_DEBUG and number and not task.cred.capable(CAP_NET_ADMIN):
        raise LinuxError(EACCES)
    inet = socket.family in (AF_INET, AF_INET6)
    if not inet and ((option == SO_REUSEPORT and number) or option == SO_ZEROCOPY):
        raise LinuxError(EOPNOTSUPP)
    if option == SO_PREFER_BUSY_POLL and number and not task.cred.capable(CAP_NET_ADMIN):
        raise LinuxError(EPERM)
    if option in _CREDENTIAL_OPTIONS and (inet or (option == SO_PASSPIDFD and socket.family != AF_UNIX)):
        raise LinuxError(EOPNOTSUPP)
    if option == SO_ZEROCOPY and not 0 <= number <= 1:
        raise LinuxError(EINVAL)


def _check_timestamping(flags: int) -> None:
    """sock_set_timestamping, for sockets whose messages nobody stamps.  EINVAL; EOPNOTSUPP: a clock, but no device."""
    if flags & ~TIMESTAMPING_MASK or (flags & OPT_ID_TCP and not flags & OPT_ID) or (
            flags & OPT_STATS and not flags & OPT_TSONLY):
        raise LinuxError(EINVAL)
    if flags & BIND_PHC:
        raise LinuxError(EOPNOTSUPP)


def _buffer_size(task: Task, wanted: int, force: bool, most: int, least: int) -> int:
    """The kernel doubles what was asked for, for its own bookkeeping (man 7 socket)."""
    if force:
        if not task.cred.capable(CAP_NET_ADMIN):
            raise LinuxError(EPERM)
        wanted = max(0, wanted)
    else:
        wanted = min(wanted & 0xFFFFFFFF, most)
    return max(min(wanted, 0x3FFFFFFF) * 2, least)


def _timeout(value: bytes) -> int | None:
    """sock_set_timeout: struct timeval; all zero is for ever, negative is at once."""
    seconds, microseconds = unpack("<qq", first_bytes(value, 16))
    if not 0 <= microseconds < 1_000_000:
        raise LinuxError(EDOM)
    if seconds < 0:
        return 0
    if not (seconds or microseconds) or seconds >= 1 << 33:
        return None
    nanoseconds: int = seconds * 1_000_000_000 + microseconds * 1000
    return -(-nanoseconds // JIFFY_NS) * JIFFY_NS


def _timeval(timeout_ns: int | None) -> bytes:
    seconds, rest = divmod(timeout_ns or 0, 1_000_000_000)
    return pack("<qq", seconds, rest // 1000)
