"""AF_INET and AF_INET6 stream and datagram sockets, on the host's network (man 7 ip, ipv6, tcp, udp)."""

from __future__ import annotations

from struct import pack, unpack

from syscalls.abi.errno import (
    EACCES,
    EAFNOSUPPORT,
    EALREADY,
    EFAULT,
    EINPROGRESS,
    EINVAL,
    ENODEV,
    ENOPROTOOPT,
    EOPNOTSUPP,
    EPERM,
    EPROTONOSUPPORT,
    ESOCKTNOSUPPORT,
    LinuxError,
)
from syscalls.abi.net import (
    AF_INET,
    IP_PKTINFO,
    IP_RECVERR,
    IP_RECVTTL,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_MAX,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPV6_RECVHOPLIMIT,
    IPV6_RECVPKTINFO,
    IPV6_RECVTCLASS,
    SO_BINDTODEVICE,
    SO_BINDTOIFINDEX,
    SO_BROADCAST,
    SO_COOKIE,
    SO_DEBUG,
    SO_DONTROUTE,
    SO_ERROR,
    SO_INCOMING_CPU,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_MARK,
    SO_MAX_PACING_RATE,
    SO_MEMINFO,
    SO_NO_CHECK,
    SO_OOBINLINE,
    SO_PEEK_OFF,
    SO_PRIORITY,
    SO_RCVBUF,
    SO_RCVBUFFORCE,
    SO_RCVLOWAT,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SO_RXQ_OVFL,
    SO_SELECT_ERR_QUEUE,
    SO_SNDBUF,
    SO_SNDBUFFORCE,
    SO_TIMESTAMP_NEW,
    SO_TIMESTAMP_OLD,
    SO_TIMESTAMPING_NEW,
    SO_TIMESTAMPING_OLD,
    SO_TIMESTAMPNS_NEW,
    SO_TIMESTAMPNS_OLD,
    SO_ZEROCOPY,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_CLOSE,
    TCP_ESTABLISHED,
    TCP_LISTEN,
    TCP_SYN_SENT,
)
from syscalls.credentials import CAP_NET_BIND_SERVICE
from syscalls.host_socket import LOCAL_SEND_FLAGS, HostBackedSocket
from syscalls.socket_options import CutValue
from syscalls.sockets import POLLERR, POLLHUP, POLLIN, POLLOUT, Socket
from syscalls.wait import sleep_on
from translator.hosts.base import HostError
from translator.machine import PROT_READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task
    from translator.hosts.base import HostSocket
    from translator.machine import Backing

CAP_NET_RAW = 13
SOCKADDR_IN_SIZE, SOCKADDR_IN6_LEAST = 16, 24
"""In bytes.  That of IPv6 may come without its scope (SIN6_LEN_RFC2133)."""
UNPRIVILEGED_PORT = 1024
"""Sysctl net.ipv4.ip_unprivileged_port_start."""
TCP_ULP, TCP_REPAIR, TCP_ZEROCOPY_RECEIVE = 31, 19, 35
SOL_UDPLITE = 136
"""Of struct tcp_zerocopy_receive, in bytes: address and length."""

HOST_SETS = frozenset((
    SO_DEBUG, SO_REUSEADDR, SO_REUSEPORT, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE,
    SO_RCVBUFFORCE, SO_KEEPALIVE, SO_OOBINLINE, SO_NO_CHECK, SO_PRIORITY, SO_LINGER, SO_RCVLOWAT, SO_BINDTODEVICE,
    SO_TIMESTAMP_OLD, SO_TIMESTAMPNS_OLD, SO_TIMESTAMP_NEW, SO_TIMESTAMPNS_NEW, SO_MARK, SO_RXQ_OVFL,
    SO_SELECT_ERR_QUEUE, SO_MAX_PACING_RATE, SO_INCOMING_CPU, SO_BINDTOIFINDEX))
"""SOL_SOCKET options that have to act on the host's socket too."""
HOST_GETS = frozenset((SO_SNDBUF, SO_RCVBUF, SO_BINDTODEVICE, SO_INCOMING_CPU, SO_MEMINFO, SO_COOKIE,
                       SO_MAX_PACING_RATE, SO_RCVLOWAT, SO_BINDTOIFINDEX))
HOST_ONLY = frozenset((SO_TIMESTAMPING_OLD, SO_TIMESTAMPING_NEW, SO_PEEK_OFF))

CONTROL_OPTIONS = frozenset((
    (IPPROTO_IP, IP_PKTINFO), (IPPROTO_IP, IP_RECVTTL), (IPPROTO_IP, IP_RECVERR), (IPPROTO_IP, 13), (IPPROTO_IP, 20),
    (IPPROTO_IPV6, IPV6_RECVPKTINFO), (IPPROTO_IPV6, IPV6_RECVHOPLIMIT), (IPPROTO_IPV6, IPV6_RECVTCLASS),
    (IPPROTO_IPV6, 25), (IPPROTO_IPV6, 74), (IPPROTO_UDP, 104), (SOL_SOCKET, SO_TIMESTAMP_OLD),
    (SOL_SOCKET, SO_TIMESTAMPNS_OLD), (SOL_SOCKET, SO_TIMESTAMP_NEW), (SOL_SOCKET, SO_TIMESTAMPNS_NEW),
    (SOL_SOCKET, SO_RXQ_OVFL), (SOL_SOCKET, SO_TIMESTAMPING_OLD), (SOL_SOCKET, SO_TIMESTAMPING_NEW)))
"""Options after which messages carry ancillary data."""

OF_DATAGRAMS = frozenset(((IPPROTO_IPV6, 18),))
"""Of the next, what is not for streams: IPV6_MULTICAST_HOPS."""
EMULATED = {
    (IPPROTO_TCP, 1): 0, (IPPROTO_TCP, 2): 536, (IPPROTO_TCP, 3): 0, (IPPROTO_TCP, 4): 7200, (IPPROTO_TCP, 5): 75,
    (IPPROTO_TCP, 6): 9, (IPPROTO_TCP, 7): 6, (IPPROTO_TCP, 8): 60, (IPPROTO_TCP, 9): 0, (IPPROTO_TCP, 10): 0,
    (IPPROTO_TCP, 12): 1, (IPPROTO_TCP, 18): 0, (IPPROTO_TCP, 23): 0, (IPPROTO_TCP, 25): -1,
    (IPPROTO_IP, 1): 0, (IPPROTO_IP, 2): 64, (IPPROTO_IP, 10): 1, (IPPROTO_IP, 11): 0,
    (IPPROTO_IP, 15): 0, (IPPROTO_IP, 24): 0, (IPPROTO_IP, 33): 1,
    (IPPROTO_IP, 34): 1, (IPPROTO_IP, 49): 1,
    (IPPROTO_IPV6, 16): 64, (IPPROTO_IPV6, 18): 1, (IPPROTO_IPV6, 19): 1, (IPPROTO_IPV6, 23): 1,
    (IPPROTO_IPV6, 25): 0, (IPPROTO_IPV6, 26): 0, (IPPROTO_IPV6, 67): 0, (IPPROTO_UDP, 1): 0,
}
"""Options with their defaults that a program may set without harm on a host that has no such thing: they tune."""


def make_inet(task: Task, family: int, kind: int, protocol: int, flags: int) -> InetSocket:
    """inet_create: EINVAL, ESOCKTNOSUPPORT, EPROTONOSUPPORT, EPERM; and EAFNOSUPPORT from a host without IPv6."""
    if not 0 <= protocol < IPPROTO_MAX:
        raise LinuxError(EINVAL)
    if kind == SOCK_STREAM:
        wanted = IPPROTO_TCP
    elif kind == SOCK_DGRAM:
        wanted = IPPROTO_UDP
        if protocol == (IPPROTO_ICMP if family == AF_INET else IPPROTO_ICMPV6):
            # Ping sockets: nobody is in sysctl net.ipv4.ping_group_range.
            raise LinuxError(EACCES)
    elif kind == SOCK_RAW:
        if protocol == 0:
            raise LinuxError(EPROTONOSUPPORT)
        if task.cred.capable(CAP_NET_RAW):
            task.kernel.gap(task, "raw socket", protocol)
        raise LinuxError(EPERM)
    else:
        raise LinuxError(ESOCKTNOSUPPORT)
    if protocol not in (0, wanted):
        task.kernel.gap(task, f"socket protocol (type {kind})", protocol)
        raise LinuxError(EPROTONOSUPPORT)
    host = task.kernel.host.socket(family, kind, wanted)
    return InetSocket(task, family, kind, wanted, flags, host)


class InetSocket(HostBackedSocket):
    def __init__(self, task: Task, family: int, kind: int, protocol: int, flags: int, host: HostSocket) -> None:
        super().__init__(task, family, kind, protocol, flags)
        self.attach(task, host)

    # --- connecting

    def bind(self, task: Task, address: bytes) -> None:
        if not task.cred.capable(CAP_NET_BIND_SERVICE):
            self._check_port(address)
        self.host.bind(address)

    def _check_port(self, address: bytes) -> None:
        """EACCES for a privileged port, after what else an address has to be (inet_bind_sk, inet6_bind_sk)."""
        if len(address) < (SOCKADDR_IN_SIZE if self.family == AF_INET else SOCKADDR_IN6_LEAST):
            raise LinuxError(EINVAL)
        family, port = unpack("<H", address[:2])[0], unpack(">H", address[2:4])[0]
        if family != self.family and not (self.family == AF_INET and family == 0 and not any(address[4:8])):
            raise LinuxError(EAFNOSUPPORT)
        if self.family != AF_INET and address[8] == 0xFF and self.stream:
            raise LinuxError(EINVAL)  # multicast
        if 0 < port < UNPRIVILEGED_PORT:
            raise LinuxError(EACCES)

    def listen(self, task: Task, backlog: int) -> None:
        if not self.stream:
            raise LinuxError(EOPNOTSUPP)
        self.host.listen(backlog)
        self.state = TCP_LISTEN

    def accept(self, task: Task) -> tuple[Socket, bytes]:
        if not self.stream:
            raise LinuxError(EOPNOTSUPP)
        if self.state != TCP_LISTEN:
            raise LinuxError(EINVAL)
        try:
            host, address = self.host.accept()
        finally:
            self.queue.rearm(POLLIN)
        made = InetSocket(task, self.family, self.type, self.protocol, 0, host)
        made.state = TCP_ESTABLISHED
        made.options = dict(self.options)
        made.read_timeout_ns, made.write_timeout_ns = self.read_timeout_ns, self.write_timeout_ns
        made.wants_control = self.wants_control
        return made, address

    def connect(self, task: Task, address: bytes) -> None:
        try:
            self.host.connect(address)
        except HostError as error:
            if error.errno == EINPROGRESS:
                self.state = TCP_SYN_SENT
                self.queue.rearm(POLLOUT)
            raise
        self.state = TCP_ESTABLISHED if address[:2] != b"\0\0" else TCP_CLOSE
        self.ended = False

    async def connect_sleeping(self, task: Task, address: bytes) -> None:
        """inet_wait_for_connect: EINPROGRESS when SO_SNDTIMEO is over; connecting goes on then, as it does after a
        signal."""
        try:
            self.connect(task, address)
            return
        except HostError as error:
            if error.errno not in (EINPROGRESS, EALREADY):
                raise
            unfinished = error
        deadline = self.deadline(task, self.write_timeout_ns)
        while not self.queue.poller.probe(self.queue.fileno, POLLOUT) & (POLLOUT | POLLERR | POLLHUP):
            if not await sleep_on(task, [(self.queue, POLLOUT | POLLERR | POLLHUP)], deadline,
                                  restart=self.restart_write):
                raise unfinished
        error_number: int = unpack("<i", self.host.getsockopt(SOL_SOCKET, SO_ERROR, 4))[0]
        if error_number:
            self.state = TCP_CLOSE
            try:
                # The host's socket is unconnected again when a connect has reported the failure.
                self.host.connect(address)
            except HostError:
                pass
            raise LinuxError(error_number)
        self.state = TCP_ESTABLISHED
        try:
            # The host still has to tell somebody that its connect succeeded: from then on it says EISCONN.
            self.host.connect(address)
        except HostError:
            pass

    def getsockname(self, task: Task) -> bytes:
        return self.host.getsockname()

    def getpeername(self, task: Task) -> bytes:
        return self.host.getpeername()

    # --- options

    def setsockopt(self, task: Task, level: int, option: int, value: bytes) -> None:
        if level == SOL_SOCKET and option not in HOST_ONLY:
            from syscalls.socket_options import set_common
            set_common(task, self, option, value)
            if option not in HOST_SETS:
                return
        elif (level == (IPPROTO_UDP if self.stream else IPPROTO_TCP)) or (
                level == IPPROTO_IPV6 and self.family == AF_INET):
            raise LinuxError(ENOPROTOOPT)
        elif level in (IPPROTO_IP, IPPROTO_IPV6) and option in (64, 65):
            # Packet filter tables: pointers inside, and not the guest's business.
            if level == IPPROTO_IPV6 and isinstance(value, CutValue) and value.size:
                raise LinuxError(EFAULT)
            raise LinuxError(EPERM)
        try:
            if isinstance(value, CutValue) and len(value) < 4:
                self.set_unreadable(level, option, value)
                return
            self.host.setsockopt(level, option, value)
        except HostError as error:
            if error.errno not in (ENOPROTOOPT, EOPNOTSUPP):
                raise
            if level != SOL_SOCKET:
                if (level, option) not in EMULATED or (self.stream and (level, option) in OF_DATAGRAMS):
                    task.kernel.gap(task, f"setsockopt level {level}", option)
                    raise
                if not value:
                    raise LinuxError(EINVAL) from None
                self.options[level, option] = int.from_bytes(value[:4], "little", signed=len(value) >= 4)
            elif option in HOST_ONLY:
                from syscalls.socket_options import set_common
                set_common(task, self, option, value)
        if (level, option) in CONTROL_OPTIONS and value.strip(b"\0"):
            self.wants_control = True

    def set_unreadable(self, level: int, option: int, value: CutValue) -> None:
        """The host knows which options look at the value, when, and which have one for NULL."""
        attempt = getattr(self.host, "set_unreadable_option", None)
        if attempt is None:
            raise LinuxError(EFAULT)
        attempt(level, option, value.size, value.null)

    def backing(self, task: Task, shared: bool, prot: int) -> Backing:
        """tcp_mmap: room for what TCP_ZEROCOPY_RECEIVE would show there, which is nothing."""
        if not self.stream:
            raise LinuxError(ENODEV)
        if prot & ~PROT_READ:
            raise LinuxError(EPERM)
        from syscalls.shared_memory import SharedMemory
        return SharedMemory(task.kernel, 0)

    def before_data(self, task: Task, length: int, flags: int, address: bytes | None) -> None:
        """The host knows the order: it is asked to send memory that cannot be read."""
        probe = getattr(self.host, "send_unreadable", None)
        if probe is not None:
            probe(max(length, 1), flags & ~LOCAL_SEND_FLAGS, address)

    def check_level(self, level: int) -> None:
        if level == SOL_UDPLITE and not self.stream:
            return  # as the other kind's, which shares its code (udp_getsockopt)
        if level not in (SOL_SOCKET, IPPROTO_IP, self.protocol) and (level != IPPROTO_IPV6 or self.family == AF_INET):
            raise LinuxError(EOPNOTSUPP if self.family == AF_INET else ENOPROTOOPT)

    def getsockopt(self, task: Task, level: int, option: int, length: int) -> bytes:
        if level == SOL_SOCKET:
            if option == SO_ERROR:
                return pack("<i", self.take_error()) if self.error else self.host.getsockopt(level, option, 4)
            if option in HOST_GETS or option in HOST_ONLY:
                try:
                    return self.host.getsockopt(level, option, min(length, 256))
                except HostError as error:
                    if error.errno not in (ENOPROTOOPT, EOPNOTSUPP):
                        raise
            if option == SO_ZEROCOPY:
                return pack("<i", self.options.get((level, option), 0))
            from syscalls.socket_options import get_common
            return get_common(task, self, option, length)
        if level == IPPROTO_TCP and option == TCP_ZEROCOPY_RECEIVE and self.stream:
            raise LinuxError(EINVAL)  # nothing is mapped that it could show something in
        try:
            return self.host.getsockopt(level, option, min(length, 65536))
        except HostError as error:
            if error.errno not in (ENOPROTOOPT, EOPNOTSUPP) or (level, option) not in EMULATED:
                raise
        return pack("<i", self.options.get((level, option), EMULATED[level, option]))


