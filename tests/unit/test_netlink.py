"""NETLINK_ROUTE and interface ioctls without a host network."""

from __future__ import annotations

from struct import pack, unpack, unpack_from
from typing import Any

from syscalls.abi import errno
from syscalls.abi.net import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    SIOCGIFADDR,
    SIOCGIFBRDADDR,
    SIOCGIFHWADDR,
    SIOCGIFNETMASK,
    SOCK_RAW,
)
from syscalls.netdevice import answer, find_interface
from syscalls.netlink import NLMSG, NLMSG_DONE, NLMSG_ERROR, RTM_GETADDR, RTM_GETLINK, RTM_NEWADDR, RTM_NEWLINK
from syscalls.rtnetlink import IFA_BROADCAST, IFA_LABEL, IFA_LOCAL, IFLA_IFNAME, IFLA_MTU, attributes
from syscalls.sockets import make_socket
from tests.unit.net_world import World, errno_of
from translator.hosts.base import HostInterface

DUMP = 0x301
LO = HostInterface(1, b"lo", 0x49, 65536, bytes(6), [(AF_INET, bytes([127, 0, 0, 1]), 8),
                                                     (AF_INET6, bytes(15) + b"\1", 128)])
ETH = HostInterface(2, b"eth0", 0x1043, 1400, b"\2\xfc\0\0\0\1", [(AF_INET, bytes([192, 0, 2, 2]), 24)])


class Host:
    name = "fake"

    def poller(self) -> None:
        return None

    def interfaces(self) -> list[HostInterface]:
        return [ETH, LO]


def ask(task: Any, kind: int, flags: int, body: bytes = bytes(16), protocol: int = 0) -> list[tuple[int, bytes]]:
    socket = make_socket(task, AF_NETLINK, SOCK_RAW, protocol, 0)
    socket.send(task, NLMSG.pack(16 + len(body), kind, flags, 7, 0) + body, 0, None, None)
    out = []
    while not errno_of(socket.receive, task, 0, 2):
        data = socket.receive(task, 65536, 0).data
        while data:
            length, kind, _, sequence, port = NLMSG.unpack_from(data)
            assert (sequence, port) == (7, unpack_from("<I", socket.getsockname(task), 4)[0])
            out.append((kind, data[16:length]))
            data = data[(length + 3) & ~3:]
    return out


def test_links() -> None:
    answers = ask(World(Host()).task(), RTM_GETLINK, DUMP)
    assert [kind for kind, _ in answers] == [RTM_NEWLINK, RTM_NEWLINK, NLMSG_DONE]
    assert [unpack("<BxHiII", payload[:16])[2] for _, payload in answers[:2]] == [1, 2]
    found = attributes(answers[1][1][16:])
    assert found[IFLA_IFNAME] == b"eth0\0"
    assert found[IFLA_MTU] == pack("<I", 1400)


def test_one_link() -> None:
    task = World(Host()).task()
    assert ask(task, RTM_GETLINK, 1, pack("<BxHiII", 0, 0, 2, 0, 0))[0][0] == RTM_NEWLINK
    kind, payload = ask(task, RTM_GETLINK, 1, pack("<BxHiII", 0, 0, 9, 0, 0))[0]
    assert (kind, payload[:4]) == (NLMSG_ERROR, pack("<i", -errno.ENODEV))


def test_addresses() -> None:
    answers = ask(World(Host()).task(), RTM_GETADDR, DUMP, bytes([AF_INET]) + bytes(7))
    assert [kind for kind, _ in answers] == [RTM_NEWADDR, RTM_NEWADDR, NLMSG_DONE]
    found = attributes(answers[1][1][8:])
    assert found[IFA_LOCAL] == bytes([192, 0, 2, 2])
    assert found[IFA_BROADCAST] == bytes([192, 0, 2, 255])
    assert found[IFA_LABEL] == b"eth0\0"


def test_changes_are_refused() -> None:
    world = World(Host())
    kind, payload = ask(world.task(), RTM_NEWLINK, 5)[0]
    assert (kind, payload[:4]) == (NLMSG_ERROR, pack("<i", -errno.EPERM))
    assert world.gaps


def test_ports() -> None:
    task = World(Host()).task(77)
    sockets = [make_socket(task, AF_NETLINK, SOCK_RAW, 0, 0) for _ in range(2)]
    for socket in sockets:
        socket.bind(task, pack("<HHII", AF_NETLINK, 0, 0, 0))
    ports = [unpack_from("<I", socket.getsockname(task), 4)[0] for socket in sockets]
    assert ports[0] == 77
    assert ports[1] > 0x80000000
    other = make_socket(task, AF_NETLINK, SOCK_RAW, 0, 0)
    assert errno_of(other.bind, task, pack("<HHII", AF_NETLINK, 0, 77, 0)) == errno.EADDRINUSE


def test_interface_ioctls() -> None:
    kernel = World(Host()).kernel
    assert answer(ETH, SIOCGIFADDR)[4:8] == bytes([192, 0, 2, 2])
    assert answer(ETH, SIOCGIFNETMASK)[4:8] == bytes([255, 255, 255, 0])
    assert answer(ETH, SIOCGIFBRDADDR)[4:8] == bytes([192, 0, 2, 255])
    assert answer(ETH, SIOCGIFHWADDR)[:8] == b"\1\0\2\xfc\0\0\0\1"
    assert errno_of(find_interface, kernel, b"nope") == errno.ENODEV


def test_audit_accepts_what_logins_report_and_sets_no_rules() -> None:
    task = World(Host()).task()
    request_and_ack, audit = 5, 9

    def error_of(kind: int) -> int:
        (answered, payload), *_ = ask(task, kind, request_and_ack, b"op=login\0\0\0\0", audit)
        assert answered == NLMSG_ERROR
        return -int(unpack_from("<i", payload)[0])

    assert [error_of(kind) for kind in (1005, 1112, 2999)] == [0, 0, 0]
    assert [error_of(kind) for kind in (1003, 1011, 1300)] == [errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL]
    (kind, status), (acknowledged, _) = ask(task, 1000, request_and_ack, b"", audit)
    assert (kind, len(status), unpack_from("<II", status)[1]) == (1000, 44, 0)
    assert acknowledged == NLMSG_ERROR
    task.cred.cap_effective = 0
    assert [error_of(kind) for kind in (1000, 1112, 1300)] == [errno.EPERM, errno.EPERM, errno.EINVAL]
