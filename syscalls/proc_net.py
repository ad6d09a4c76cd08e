"""The contents of /proc/net files: what procfs shows of sockets and interfaces (man 5 proc_pid_net)."""

from __future__ import annotations

from struct import unpack

from syscalls.abi.net import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    AF_UNIX,
    IFF_LOOPBACK,
    SOCK_DGRAM,
    SOCK_STREAM,
    TCP_CLOSE,
    TCP_ESTABLISHED,
    TCP_LISTEN,
)
from syscalls.sockets import Socket, network
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from syscalls.task import Task

_TCP_HEADER = (b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
               b"                                                     \n")
_TCP6_HEADER = (b"  sl  local_address                         remote_address                        st tx_queue "
                b"rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
_UDP_HEADER = (b"   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode "
               b"ref pointer drops             \n")
_UDP6_HEADER = (b"  sl  local_address                         remote_address                        st tx_queue "
                b"rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n")


def proc_net_tcp(task: Task) -> bytes:
    return _TCP_HEADER + b"".join(_inet_lines(task, AF_INET, SOCK_STREAM))


def proc_net_tcp6(task: Task) -> bytes:
    return _TCP6_HEADER + b"".join(_inet_lines(task, AF_INET6, SOCK_STREAM))


def proc_net_udp(task: Task) -> bytes:
    return _UDP_HEADER + b"".join(_inet_lines(task, AF_INET, SOCK_DGRAM))


def proc_net_udp6(task: Task) -> bytes:
    return _UDP6_HEADER + b"".join(_inet_lines(task, AF_INET6, SOCK_DGRAM))


def _inet_lines(task: Task, family: int, kind: int) -> Iterator[bytes]:
    number = 0
    for socket in list(network(task.kernel).sockets.values()):
        if socket.family != family or socket.type != kind:
            continue
        local = _endpoint(task, socket, False)
        if kind == SOCK_STREAM and local.endswith(":0000"):
            continue
        state = socket.state
        if state not in (TCP_LISTEN, TCP_ESTABLISHED):
            state = TCP_CLOSE
        inode = socket.inode
        uid = getattr(inode, "uid", 0)
        tail = " 2 0000000000000000 0" if kind == SOCK_DGRAM else " 1 0000000000000000 100 0 0 10 0"
        line = (f"{number:4d}: {local} {_endpoint(task, socket, True)} {state:02X} 00000000:00000000 00:00000000 "
                f"00000000 {uid:5d} {0:8d} {socket.ino}{tail}")
        yield line.encode().ljust(149) + b"\n" if family == AF_INET else line.encode() + b"\n"
        number += 1


def _endpoint(task: Task, socket: Socket, remote: bool) -> str:
    """Hexadecimal address in 32-bit words of host order, and port."""
    try:
        raw = socket.getpeername(task) if remote else socket.getsockname(task)
    except HostError:
        raw = b""
    if socket.family == AF_INET:
        raw = raw[:8].ljust(8, b"\0")
        words = unpack("<I", raw[4:8])
    else:
        raw = raw[:24].ljust(24, b"\0")
        words = unpack("<IIII", raw[8:24])
    return "".join(f"{word:08X}" for word in words) + f":{int.from_bytes(raw[2:4], 'big'):04X}"


def proc_net_unix(task: Task) -> bytes:
    lines = [b"Num       RefCount Protocol Flags    Type St Inode Path\n"]
    for socket in network(task.kernel).sockets.values():
        if socket.family != AF_UNIX:
            continue
        name: bytes | None = socket.name  # type: ignore[attr-defined]
        listening = socket.state == TCP_LISTEN
        # SS_UNCONNECTED, SS_CONNECTED; an embryo not yet accepted is SS_CONNECTING.
        state = 3 if socket.state == TCP_ESTABLISHED else 1
        if not socket.references:
            state = 2
        line = b"%016x: %08X %08X %08X %04X %02X %5d" % (
            0, 3 if state == 3 else 2, 0, 0x10000 if listening else 0, socket.type, state, socket.ino)
        if name is not None:
            line += b" " + name.replace(b"\0", b"@")
        lines.append(line + b"\n")
    return b"".join(lines)


def proc_net_netlink(task: Task) -> bytes:
    lines = [b"sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"]
    for socket in network(task.kernel).sockets.values():
        if socket.family == AF_NETLINK:
            lines.append(b"%016x %-3d %-10d %08x %-8d %-8d %-5d %-8d %-8d %-8d\n" % (
                0, socket.protocol, socket.port, socket.groups, 0, 0, 0, 2, 0,  # type: ignore[attr-defined]
                socket.ino))
    return b"".join(lines)


def proc_net_dev(task: Task) -> bytes:
    from syscalls.netdevice import interfaces
    lines = [b"Inter-|   Receive                                                |  Transmit\n"
             b" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo "
             b"colls carrier compressed\n"]
    for interface in interfaces(task.kernel):
        lines.append(b"%6s: %7d %7d %4d %4d %4d %5d %10d %9d %8d %7d %4d %4d %4d %5d %7d %10d\n" % (
            (interface.name,) + (0,) * 16))
    return b"".join(lines)


def proc_net_if_inet6(task: Task) -> bytes:
    from syscalls.netdevice import interfaces
    lines = []
    for interface in interfaces(task.kernel):
        for family, address, prefix in interface.addresses:
            if family == AF_INET6:
                scope = 0x10 if interface.flags & IFF_LOOPBACK else (
                    0x20 if address[0] == 0xFE and address[1] & 0xC0 == 0x80 else 0)
                lines.append(f"{address.hex()} {interface.index:02x} {prefix:02x} {scope:02x} 80 "
                             f"{interface.name.decode('ascii', 'replace'):>8s}\n".encode())
    return b"".join(lines)


def proc_net_route(task: Task) -> bytes:
    from syscalls.netdevice import netmask
    from syscalls.rtnetlink import connected_routes
    lines = [b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT".ljust(127) + b"\n"]
    for _, target, prefix, interface, _ in connected_routes(task.kernel, AF_INET):
        line = "%s\t%08X\t%08X\t%04X\t%d\t%u\t%d\t%08X\t%d\t%u\t%u" % (
            interface.name.decode("ascii", "replace"), int.from_bytes(target, "little"), 0, 1, 0, 0, 0,
            int.from_bytes(netmask(prefix), "little"), 0, 0, 0)
        lines.append(line.encode().ljust(127) + b"\n")
    return b"".join(lines)


def proc_net_sockstat(task: Task) -> bytes:
    sockets = list(network(task.kernel).sockets.values())
    inet = [socket for socket in sockets if socket.family == AF_INET]
    streams = sum(socket.type == SOCK_STREAM for socket in inet)
    return (f"sockets: used {len(sockets)}\nTCP: inuse {streams} orphan 0 tw 0 alloc {streams} mem 0\n"
            f"UDP: inuse {len(inet) - streams} mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\n"
            "FRAG: inuse 0 memory 0\n").encode()
