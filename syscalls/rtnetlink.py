"""What NETLINK_ROUTE tells: links, addresses and routes, made from the host's interfaces (uapi/linux/rtnetlink.h)."""

from __future__ import annotations

from struct import pack, unpack_from

from syscalls.abi.errno import ENETUNREACH, ENODEV, LinuxError
from syscalls.abi.net import AF_INET, AF_INET6, IFF_BROADCAST, IFF_LOOPBACK, IFF_LOWER_UP, IFF_RUNNING, IFF_UP
from syscalls.netdevice import broadcast, hardware_type, interfaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.kernel import Kernel
    from translator.hosts.base import HostInterface

(IFLA_ADDRESS, IFLA_BROADCAST, IFLA_IFNAME, IFLA_MTU, IFLA_QDISC, IFLA_STATS) = (1, 2, 3, 4, 6, 7)
IFLA_TXQLEN, IFLA_OPERSTATE, IFLA_LINKMODE, IFLA_STATS64, IFLA_GROUP = 13, 16, 17, 23, 27
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS = 1, 2, 3, 4, 6, 8
RTA_DST, RTA_OIF, RTA_PREFSRC, RTA_TABLE = 1, 4, 7, 15
OPERSTATE_UNKNOWN, OPERSTATE_DOWN, OPERSTATE_UP = 0, 2, 6
IFA_F_PERMANENT = 0x80
FOREVER = 0xFFFFFFFF
TABLE_MAIN, TABLE_LOCAL = 254, 255
SCOPE_UNIVERSE, SCOPE_LINK, SCOPE_HOST = 0, 253, 254
PROTOCOL_KERNEL, TYPE_UNICAST, TYPE_LOCAL = 2, 1, 2


def attribute(kind: int, data: bytes) -> bytes:
    """struct rtattr with its data, padded."""
    length = 4 + len(data)
    return pack("<HH", length, kind) + data + bytes(-length & 3)


def attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position = 0
    while position + 4 <= len(data):
        length, kind = unpack_from("<HH", data, position)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[position + 4:position + length]
        position += (length + 3) & ~3
    return found


def wanted_link(body: bytes) -> int | bytes:
    """Which link a request without NLM_F_DUMP means: its index, or its name."""
    index: int = unpack_from("<i", body, 4)[0] if len(body) >= 16 else 0
    if index > 0:
        return index
    return attributes(body[16:]).get(IFLA_IFNAME, b"").partition(b"\0")[0]


def links(kernel: Kernel) -> list[tuple[HostInterface, bytes]]:
    """(interface, struct ifinfomsg with attributes)."""
    found = []
    for interface in interfaces(kernel):
        flags = interface.flags
        if flags & IFF_UP and flags & IFF_RUNNING:
            flags |= IFF_LOWER_UP
        loopback = bool(flags & IFF_LOOPBACK)
        state = OPERSTATE_UNKNOWN if loopback else OPERSTATE_UP if flags & IFF_UP else OPERSTATE_DOWN
        address = interface.hwaddr
        payload = pack("<BxHiII", 0, hardware_type(interface), interface.index, flags, 0)
        payload += attribute(IFLA_IFNAME, interface.name + b"\0")
        payload += attribute(IFLA_TXQLEN, pack("<I", 1000))
        payload += attribute(IFLA_OPERSTATE, bytes([state])) + attribute(IFLA_LINKMODE, b"\0")
        payload += attribute(IFLA_MTU, pack("<I", interface.mtu)) + attribute(IFLA_GROUP, pack("<I", 0))
        payload += attribute(IFLA_QDISC, b"noqueue\0" if loopback else b"noop\0" if not flags & IFF_UP else
                             b"pfifo_fast\0")
        if address:
            payload += attribute(IFLA_ADDRESS, address)
            payload += attribute(IFLA_BROADCAST, bytes(len(address)) if loopback else b"\xff" * len(address))
        payload += attribute(IFLA_STATS64, bytes(200)) + attribute(IFLA_STATS, bytes(100))
        found.append((interface, payload))
    return found


def is_so_already(kernel: Kernel, body: bytes) -> bool:
    """Whether a RTM_NEWLINK asks for flags that the link has (`ip link set lo up`).  ENODEV."""
    wanted = wanted_link(body)
    if len(body) < 16 or not wanted or set(attributes(body[16:])) - {IFLA_IFNAME}:
        return False
    flags, change = unpack_from("<II", body, 8)
    for interface in interfaces(kernel):
        if wanted in (interface.index, interface.name):
            return not (flags ^ interface.flags) & change
    raise LinuxError(ENODEV)


def _scope(family: int, address: bytes) -> int:
    if family == AF_INET:
        return SCOPE_HOST if address[0] == 127 else SCOPE_UNIVERSE
    if address == bytes(15) + b"\1":
        return SCOPE_HOST
    return SCOPE_LINK if address[0] == 0xFE and address[1] & 0xC0 == 0x80 else SCOPE_UNIVERSE


def addresses(kernel: Kernel, wanted: int) -> list[bytes]:
    """struct ifaddrmsg with attributes, all of IPv4 before those of IPv6."""
    found = []
    for family in (AF_INET, AF_INET6):
        if wanted not in (0, family):
            continue
        for interface in interfaces(kernel):
            for address_family, address, prefix in interface.addresses:
                if address_family != family:
                    continue
                payload = pack("<BBBBI", family, prefix, IFA_F_PERMANENT, _scope(family, address), interface.index)
                payload += attribute(IFA_ADDRESS, address)
                if family == AF_INET:
                    payload += attribute(IFA_LOCAL, address)
                    if interface.flags & IFF_BROADCAST:
                        payload += attribute(IFA_BROADCAST, broadcast(address, prefix))
                    payload += attribute(IFA_LABEL, interface.name + b"\0")
                payload += attribute(IFA_FLAGS, pack("<I", IFA_F_PERMANENT))
                payload += attribute(IFA_CACHEINFO, pack("<IIII", FOREVER, FOREVER, 0, 0))
                found.append(payload)
    return found


def _network(address: bytes, prefix: int) -> bytes:
    bits = len(address) * 8
    mask = (1 << bits) - (1 << (bits - prefix))
    return (int.from_bytes(address, "big") & mask).to_bytes(len(address), "big")


def connected_routes(kernel: Kernel, wanted: int) -> list[tuple[int, bytes, int, HostInterface, bytes]]:
    """(family, network, prefix, interface, own address): the routes that addresses bring along."""
    return [(family, _network(address, prefix), prefix, interface, address)
            for interface in interfaces(kernel) if interface.flags & IFF_UP
            for family, address, prefix in interface.addresses
            if wanted in (0, family) and not interface.flags & IFF_LOOPBACK]


def routes(kernel: Kernel, wanted: int, body: bytes, dump: bool) -> list[bytes]:
    """struct rtmsg with attributes.  The host tells addresses only: routes through gateways are not shown."""
    if not dump:
        return [_route_to(kernel, wanted, attributes(body[12:]).get(RTA_DST, b""))]
    found = []
    for family, network, prefix, interface, address in connected_routes(kernel, wanted):
        payload = pack("<BBBBBBBBI", family, prefix, 0, 0, TABLE_MAIN, PROTOCOL_KERNEL, SCOPE_LINK, TYPE_UNICAST, 0)
        payload += attribute(RTA_TABLE, pack("<I", TABLE_MAIN)) + attribute(RTA_DST, network)
        if family == AF_INET:
            payload += attribute(RTA_PREFSRC, address)
        payload += attribute(RTA_OIF, pack("<I", interface.index))
        found.append(payload)
    return found


def _route_to(kernel: Kernel, family: int, target: bytes) -> bytes:
    """`ip route get`: through the interface whose network has the address, else the first that is up."""
    best: HostInterface | None = None
    source = b""
    kind, table, scope = TYPE_UNICAST, TABLE_MAIN, SCOPE_UNIVERSE
    for interface in interfaces(kernel):
        for address_family, address, prefix in interface.addresses:
            if address_family != family or not interface.flags & IFF_UP or len(target) != len(address):
                continue
            if _network(address, prefix) == _network(target, prefix):
                best, source = interface, address
                if address == target or interface.flags & IFF_LOOPBACK:
                    kind, table, scope = TYPE_LOCAL, TABLE_LOCAL, SCOPE_HOST
            elif best is None and not interface.flags & IFF_LOOPBACK:
                best, source = interface, address
    if best is None:
        raise LinuxError(ENETUNREACH)
    payload = pack("<BBBBBBBBI", family, len(target) * 8, 0, 0, table, 0, scope, kind, 0x200)
    payload += attribute(RTA_TABLE, pack("<I", table)) + attribute(RTA_DST, target)
    return payload + attribute(RTA_OIF, pack("<I", best.index)) + attribute(RTA_PREFSRC, source)
