"""AF_NETLINK: NETLINK_ROUTE answers questions about interfaces, addresses and routes (man 7 rtnetlink), enough for
getifaddrs, getaddrinfo and `ip address`; NETLINK_AUDIT answers as one that is switched off (audit.py);
NETLINK_KOBJECT_UEVENT exists and stays silent."""

from __future__ import annotations

from collections import deque
from struct import Struct, pack, unpack

from syscalls.abi.errno import (
    EADDRINUSE,
    EAGAIN,
    ECONNREFUSED,
    EINVAL,
    ENODATA,
    ENODEV,
    ENOPROTOOPT,
    EOPNOTSUPP,
    EPERM,
    EPROTONOSUPPORT,
    ESOCKTNOSUPPORT,
    LinuxError,
)
from syscalls.abi.net import (
    AF_NETLINK,
    AF_UNSPEC,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    NETLINK_AUDIT,
    NETLINK_KOBJECT_UEVENT,
    NETLINK_ROUTE,
    SO_PASSCRED,
    SOCK_DGRAM,
    SOCK_RAW,
    SOL_NETLINK,
    SOL_SOCKET,
)
from syscalls.netdevice import CAP_NET_ADMIN
from syscalls.sockets import READ_EVENTS, WRITE_EVENTS, Control, Message, Socket, UserCredentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

NLMSG = Struct("<IHHII")
NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE = 1, 2, 3
NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK, NLM_F_ROOT, NLM_F_MATCH = 1, 2, 4, 0x100, 0x200
NLM_F_DUMP = NLM_F_ROOT | NLM_F_MATCH
NLM_F_CAPPED = 0x100
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR, RTM_NEWROUTE, RTM_GETROUTE = 16, 18, 20, 22, 24, 26
RTM_GETNEIGH, RTM_GETRULE, RTM_GETQDISC = 30, 34, 38
NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP, NETLINK_PKTINFO = 1, 2, 3
NETLINK_LISTEN_ALL_NSID = 8
CAP_NET_BROADCAST = 11
MROUTE_GROUPS = (30, 31)
"""RTNLGRP_IPV4_MROUTE_R and its like of IPv6, whose members learn of routes of multicasts."""
NETLINK_LIST_MEMBERSHIPS, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 9, 10, 11, 12
DUMP_SIZE = 8192
"""The most bytes of a dump that come as one message; reading one makes the next."""


ROUTE_GROUPS, OTHER_GROUPS = 39, 32
"""How many multicast groups there are (RTNLGRP_MAX of Linux 6.18)."""
CAP_AUDIT_READ = 37


def make_netlink(task: Task, kind: int, protocol: int, flags: int) -> NetlinkSocket:
    if kind not in (SOCK_RAW, SOCK_DGRAM):
        raise LinuxError(ESOCKTNOSUPPORT)
    if protocol not in (NETLINK_ROUTE, NETLINK_AUDIT, NETLINK_KOBJECT_UEVENT):
        task.kernel.gap(task, "netlink protocol", protocol)
        raise LinuxError(EPROTONOSUPPORT)
    return NetlinkSocket(task, kind, protocol, flags)


def sockaddr_nl(port: int, groups: int = 0) -> bytes:
    return pack("<HHII", AF_NETLINK, 0, port, groups)


class NetlinkSocket(Socket):
    def __init__(self, task: Task, kind: int, protocol: int, flags: int) -> None:
        super().__init__(task, AF_NETLINK, kind, protocol, flags)
        self.stream = False
        self.port = 0
        self.groups = 0
        """A bit for each group: only the first 32 have a place in addresses."""
        self.has_groups = False
        """There is room for them: made when they are first set."""
        self.peer_port = 0
        self.incoming: deque[bytes] = deque()

    def released(self) -> None:
        if self.net.netlink_ports.get((self.protocol, self.port)) is self:
            del self.net.netlink_ports[self.protocol, self.port]
        super().released()

    # --- names

    def bind(self, task: Task, address: bytes) -> None:
        if len(address) < 12 or int.from_bytes(address[:2], "little") != AF_NETLINK:
            raise LinuxError(EINVAL)
        port, groups = unpack("<II", address[4:12])
        if self.port:
            if port != self.port:
                raise LinuxError(EINVAL)
        elif port:
            if (self.protocol, port) in self.net.netlink_ports:
                raise LinuxError(EADDRINUSE)
            self.take_port(port)
        else:
            self.autobind(task)
        self.has_groups = self.has_groups or bool(groups)
        self.groups = self.groups & ~0xFFFFFFFF | groups

    def autobind(self, task: Task) -> None:
        """netlink_autobind: the process's number, or a negative one where that is taken."""
        port = task.group.pid
        while (self.protocol, port) in self.net.netlink_ports:
            port = 0xFFFFF000 - task.kernel.next_inode
            task.kernel.next_inode += 1
        self.take_port(port)

    def take_port(self, port: int) -> None:
        self.port = port
        self.net.netlink_ports[self.protocol, port] = self

    def connect(self, task: Task, address: bytes) -> None:
        if len(address) < 2:
            raise LinuxError(EINVAL)
        family = int.from_bytes(address[:2], "little")
        if family == AF_UNSPEC:
            self.peer_port = 0
            return
        if family != AF_NETLINK or len(address) < 12:
            raise LinuxError(EINVAL)
        if not self.port:
            self.autobind(task)
        self.peer_port = int.from_bytes(address[4:8], "little")

    def getsockname(self, task: Task) -> bytes:
        return sockaddr_nl(self.port, self.groups & 0xFFFFFFFF)

    def getpeername(self, task: Task) -> bytes:
        return sockaddr_nl(self.peer_port)

    # --- messages

    def ready(self, mask: int) -> int:
        bits = WRITE_EVENTS
        if self.incoming:
            bits |= READ_EVENTS
        return bits & (mask | 0x18)

    def send(self, task: Task, data: bytes, flags: int, address: bytes | None, control: Control | None) -> int:
        self.before_data(task, len(data), flags, address)
        port = self.peer_port
        if address:
            port = int.from_bytes(address[4:8], "little")
        if not self.port:
            self.autobind(task)
        if port:
            other = self.net.netlink_ports.get((self.protocol, port))
            if not isinstance(other, NetlinkSocket):
                raise LinuxError(ECONNREFUSED)
            other.incoming.append(data)
            other.queue.wake(READ_EVENTS)
            return len(data)
        if self.protocol == NETLINK_KOBJECT_UEVENT:
            raise LinuxError(ECONNREFUSED)
        self.serve(task, data)
        return len(data)

    def before_data(self, task: Task, length: int, flags: int, address: bytes | None) -> None:
        if flags & MSG_OOB:
            raise LinuxError(EOPNOTSUPP)
        if not length:
            raise LinuxError(ENODATA)
        if address and (len(address) < 12 or int.from_bytes(address[:2], "little") != AF_NETLINK):
            raise LinuxError(EINVAL)

    def serve(self, task: Task, data: bytes) -> None:
        """netlink_rcv_skb: each request of a message in turn; an error is an answer, not a failure of the send."""
        position = 0
        while position + NLMSG.size <= len(data):
            length, kind, flags, sequence, _ = NLMSG.unpack_from(data, position)
            if length < NLMSG.size or length > len(data) - position:
                return
            header = data[position:position + NLMSG.size]
            body = data[position + NLMSG.size:position + length]
            position += (length + 3) & ~3
            if not flags & NLM_F_REQUEST or kind < 16:
                if flags & NLM_F_ACK:
                    self.answer(self.acknowledge(header, body, sequence, 0))
                continue
            try:
                answers = self.request(task, kind, flags, body)
            except LinuxError as error:
                self.answer(self.acknowledge(header, body, sequence, -error.errno))
                continue
            if flags & NLM_F_DUMP == NLM_F_DUMP and kind & 3 == 2:
                self.dump(answers, sequence)
                continue
            for answer_kind, payload in answers:
                self.answer(self.wrap(answer_kind, 0, sequence, payload))
            if flags & NLM_F_ACK:
                self.answer(self.acknowledge(header, body, sequence, 0))

    def answer(self, message: bytes) -> None:
        self.incoming.append(message)
        self.queue.wake(READ_EVENTS)

    def wrap(self, kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
        length = NLMSG.size + len(payload)
        return NLMSG.pack(length, kind, flags, sequence, self.port) + payload + bytes(-length & 3)

    def acknowledge(self, header: bytes, body: bytes, sequence: int, error: int) -> bytes:
        capped = self.options.get((SOL_NETLINK, NETLINK_CAP_ACK), 0) or not error
        payload = pack("<i", error) + header + (b"" if capped else body)
        return self.wrap(NLMSG_ERROR, NLM_F_CAPPED if capped else 0, sequence, payload)

    def dump(self, answers: list[tuple[int, bytes]], sequence: int) -> None:
        message = b""
        for kind, payload in answers:
            part = self.wrap(kind, NLM_F_MULTI, sequence, payload)
            if message and len(message) + len(part) > DUMP_SIZE:
                self.answer(message)
                message = b""
            message += part
        if message:
            self.answer(message)
        self.answer(self.wrap(NLMSG_DONE, NLM_F_MULTI, sequence, pack("<i", 0)))

    def request(self, task: Task, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
        """EOPNOTSUPP for what is not known; EPERM for what would change the network."""
        if self.protocol == NETLINK_AUDIT:
            from syscalls import audit
            return audit.request(task, kind)
        from syscalls import rtnetlink
        kernel = task.kernel
        dump = flags & NLM_F_DUMP == NLM_F_DUMP
        family = body[0] if body else 0
        if kind == RTM_GETLINK:
            links = rtnetlink.links(kernel)
            if dump:
                return [(RTM_NEWLINK, payload) for _, payload in links]
            wanted = rtnetlink.wanted_link(body)
            for interface, payload in links:
                if wanted in (interface.index, interface.name):
                    return [(RTM_NEWLINK, payload)]
            raise LinuxError(ENODEV)
        if kind == RTM_GETADDR and dump:
            return [(RTM_NEWADDR, payload) for payload in rtnetlink.addresses(kernel, family)]
        if kind == RTM_GETROUTE:
            return [(RTM_NEWROUTE, payload) for payload in rtnetlink.routes(kernel, family, body, dump)]
        if kind in (RTM_GETNEIGH, RTM_GETRULE, RTM_GETQDISC) and dump:
            return []
        if kind == RTM_NEWLINK and task.cred.capable(CAP_NET_ADMIN) and rtnetlink.is_so_already(kernel, body):
            return []
        task.kernel.gap(task, "rtnetlink request", kind)
        if kind & 3 != 2:
            raise LinuxError(EPERM)
        raise LinuxError(EOPNOTSUPP)

    def receive(self, task: Task, length: int, flags: int) -> Message:
        if flags & MSG_OOB:
            raise LinuxError(EOPNOTSUPP)
        if not self.incoming:
            self.raise_error()
            raise LinuxError(EAGAIN)
        whole = self.incoming[0] if flags & MSG_PEEK else self.incoming.popleft()
        message = Message(whole[:length], sockaddr_nl(0), MSG_TRUNC if length < len(whole) else 0,
                          len(whole) if flags & MSG_TRUNC else -1)
        if self.options.get((SOL_SOCKET, SO_PASSCRED), 0):
            message.credentials = UserCredentials(0, 0, 0)
        return message

    def shutdown(self, task: Task, how: int) -> None:
        raise LinuxError(EOPNOTSUPP)

    # --- options

    def setsockopt(self, task: Task, level: int, option: int, value: bytes) -> None:
        if level == SOL_SOCKET:
            from syscalls.socket_options import set_common
            set_common(task, self, option, value)
            return
        if level != SOL_NETLINK:
            raise LinuxError(ENOPROTOOPT)
        from syscalls.socket_options import first_bytes, whole_size
        number = 0  # as which it takes what is too short
        if whole_size(value) >= 4:
            number = int.from_bytes(first_bytes(value, 4), "little")
        if option in (NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP):
            self.has_groups = True
            if not 0 < number <= (ROUTE_GROUPS if self.protocol == NETLINK_ROUTE else OTHER_GROUPS):
                raise LinuxError(EINVAL)
            if self.protocol == NETLINK_AUDIT and not task.cred.capable(CAP_AUDIT_READ):
                raise LinuxError(EPERM)
            if number in MROUTE_GROUPS and self.protocol == NETLINK_ROUTE and not task.cred.capable(CAP_NET_ADMIN):
                raise LinuxError(EPERM)
            bit = 1 << (number - 1)
            self.groups = self.groups | bit if option == NETLINK_ADD_MEMBERSHIP else self.groups & ~bit
        elif option == NETLINK_LISTEN_ALL_NSID and not task.cred.capable(CAP_NET_BROADCAST):
            raise LinuxError(EPERM)
        elif 0 < option <= NETLINK_GET_STRICT_CHK and option not in (6, 7, NETLINK_LIST_MEMBERSHIPS):
            self.options[level, option] = int(number != 0)
        else:
            raise LinuxError(ENOPROTOOPT)

    def check_level(self, level: int) -> None:
        if level not in (SOL_SOCKET, SOL_NETLINK):
            raise LinuxError(ENOPROTOOPT)

    def getsockopt(self, task: Task, level: int, option: int, length: int) -> bytes:
        if level == SOL_SOCKET:
            from syscalls.socket_options import get_common
            return get_common(task, self, option, length)
        if option == NETLINK_LIST_MEMBERSHIPS:
            return pack("<Q", self.groups) if self.has_groups else b""
        if not NETLINK_PKTINFO <= option <= NETLINK_GET_STRICT_CHK or option in (6, 7):
            raise LinuxError(ENOPROTOOPT)
        if length < 4:
            raise LinuxError(EINVAL)
        return pack("<i", self.options.get((level, option), 0))
