"""/proc/net: interfaces from the host, sockets from the guests (net/ipv4/tcp_ipv4.c, net/unix/af_unix.c, ...)."""

from __future__ import annotations

from struct import unpack_from

from syscalls.abi.errno import LinuxError
from syscalls.abi.net import AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM
from syscalls.fs.simple import PlainFile, registered
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.inode import Inode
    from syscalls.fs.procfs import ProcFs
    from syscalls.sockets import Socket
    from syscalls.task import Task
    from translator.hosts.base import HostInterface

TCP_LISTEN, TCP_CLOSE, TCP_ESTABLISHED = 10, 7, 1
SS_UNCONNECTED, SS_CONNECTED = 1, 3
SO_ACCEPTCON = 0x10000


def interfaces(task: Task) -> list[HostInterface]:
    try:
        return task.kernel.host.interfaces()
    except HostError:
        return []


def dev(task: Task) -> bytes:
    out = ["Inter-|   Receive                                                |  Transmit\n"
           " face |bytes    packets errs drop fifo frame compressed multicast|"
           "bytes    packets errs drop fifo colls carrier compressed\n"]
    counts = (f"{0:8d} {0:7d} {0:4d} {0:4d} {0:4d} {0:5d} {0:10d} {0:9d} "
              f"{0:8d} {0:7d} {0:4d} {0:4d} {0:4d} {0:5d} {0:7d} {0:10d}\n")
    out += [f"{interface.name.decode():>6}: {counts}" for interface in interfaces(task)]
    return "".join(out).encode()


def if_inet6(task: Task) -> bytes:
    out = []
    for interface in interfaces(task):
        for family, address, prefix in interface.addresses:
            if family == AF_INET6:
                scope = 0x10 if address == bytes(15) + b"\1" else 0x20 if address[:2] == b"\xfe\x80" else 0
                out.append(f"{address.hex()} {interface.index:02x} {prefix:02x} {scope:02x} 80 "
                           f"{interface.name.decode():>8}\n")
    return "".join(out).encode()


def route(task: Task) -> bytes:
    """The networks that the interfaces are on; what lies behind gateways is the host's business."""
    lines = ["Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"]
    for interface in interfaces(task):
        for family, address, prefix in interface.addresses:
            if family == AF_INET and address[:1] != b"\x7f" and prefix:
                mask = (0xFFFFFFFF << 32 - prefix) & 0xFFFFFFFF
                network = int.from_bytes(address, "big") & mask
                lines.append(f"{interface.name.decode()}\t{_swapped(network):08X}\t00000000\t0001\t0\t0\t0\t"
                             f"{_swapped(mask):08X}\t0\t0\t0")
    return "".join(f"{line:<127}\n" for line in lines).encode()


def _swapped(value: int) -> int:
    return int.from_bytes(value.to_bytes(4, "big"), "little")


def _shown(address: bytes, family: int) -> str:
    """Addresses are printed a host-order word at a time."""
    if family == AF_INET:
        if len(address) < 8:
            return "00000000:0000"
        port, value = unpack_from(">H", address, 2)[0], unpack_from("<I", address, 4)[0]
        return f"{value:08X}:{port:04X}"
    if len(address) < 24:
        return "0" * 32 + ":0000"
    words = unpack_from("<4I", address, 8)
    return "".join(f"{word:08X}" for word in words) + f":{unpack_from('>H', address, 2)[0]:04X}"


def _sockets(task: Task, family: int, kind: int) -> list[Socket]:
    net = task.kernel.net
    if net is None:
        return []
    return [socket for socket in net.sockets.values() if socket.family == family and socket.type == kind]


def _inet(task: Task, family: int, kind: int, head: str, width: int, tail: str) -> bytes:
    out = [f"{head:<{width}}\n"]
    number = 0
    for socket in _sockets(task, family, kind):
        try:
            local = socket.getsockname(task)
        except (LinuxError, HostError):
            local = b""
        try:
            remote = socket.getpeername(task)
        except (LinuxError, HostError):
            remote = b""
        if kind == SOCK_STREAM:
            state = TCP_LISTEN if socket.state == TCP_LISTEN else TCP_ESTABLISHED if remote else TCP_CLOSE
            if state == TCP_CLOSE:
                continue
        else:
            state = TCP_ESTABLISHED if remote else TCP_CLOSE
        uid = socket.inode.stat(task).uid if socket.inode is not None else 0
        line = (f"{number:{4 if kind == SOCK_STREAM else 5}d}: {_shown(local, family)} {_shown(remote, family)} "
                f"{state:02X} 00000000:00000000 00:00000000 00000000 {uid:5d} {0:8d} {socket.ino} {tail}")
        out.append(f"{line:<{width}}\n")
        number += 1
    return "".join(out).encode()


_V4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
_V6 = ("  sl  local_address                         remote_address                        st tx_queue rx_queue tr "
       "tm->when retrnsmt   uid  timeout inode")
_TCP_TAIL, _UDP_TAIL = "1 0000000000000000 100 0 0 10 0", "2 0000000000000000 0"


def tcp(task: Task) -> bytes:
    return _inet(task, AF_INET, SOCK_STREAM, _V4, 149, _TCP_TAIL)


def tcp6(task: Task) -> bytes:
    return _inet(task, AF_INET6, SOCK_STREAM, _V6, 0, _TCP_TAIL)


def udp(task: Task) -> bytes:
    return _inet(task, AF_INET, SOCK_DGRAM, " " + _V4 + " ref pointer drops", 127, _UDP_TAIL)


def udp6(task: Task) -> bytes:
    return _inet(task, AF_INET6, SOCK_DGRAM, _V6 + " ref pointer drops", 0, _UDP_TAIL)


def unix(task: Task) -> bytes:
    out = [b"Num       RefCount Protocol Flags    Type St Inode Path\n"]
    net = task.kernel.net
    for socket in net.sockets.values() if net is not None else ():
        if socket.family != AF_UNIX:
            continue
        name: bytes | None = getattr(socket, "name", None)
        listening = socket.state == TCP_LISTEN
        connected = getattr(socket, "peer", None) is not None
        line = b"%016x: %08X %08X %08X %04X %02X %5d" % (
            0, 2 + connected, 0, SO_ACCEPTCON if listening else 0, socket.type,
            SS_CONNECTED if connected else SS_UNCONNECTED, socket.ino)
        if name:
            line += b" " + name.replace(b"\0", b"@")
        out.append(line + b"\n")
    return b"".join(out)


def sockstat(task: Task) -> bytes:
    net = task.kernel.net
    used = len(net.sockets) if net is not None else 0
    tcp_count = len(_sockets(task, AF_INET, SOCK_STREAM))
    udp_count = len(_sockets(task, AF_INET, SOCK_DGRAM))
    return (f"sockets: used {used}\nTCP: inuse {tcp_count} orphan 0 tw 0 alloc {tcp_count} mem 0\n"
            f"UDP: inuse {udp_count} mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n").encode()


_IP = ("Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers "
       "OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates")
_TCP = ("RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs "
        "RetransSegs InErrs OutRsts InCsumErrors")
_UDP = "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors"


def snmp(task: Task) -> bytes:
    out = []
    for name, fields, first in (("Ip", _IP, ["2", "64"]), ("Tcp", _TCP, ["1", "200", "120000", "-1"]),
                                ("Udp", _UDP, [])):
        values = first + ["0"] * (len(fields.split()) - len(first))
        out.append(f"{name}: {fields}\n{name}: {' '.join(values)}\n")
    return "".join(out).encode()


_FIXED = {
    b"arp": b"IP address       HW type     Flags       HW address            Mask     Device\n",
    b"dev_mcast": b"", b"igmp": b"Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n",
    b"ipv6_route": b"", b"netstat": b"", b"snmp6": b"",
    b"packet": b"sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n",
    b"netlink": b"sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n",
    b"protocols": b"protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re "
                 b"bi br ha uh gp em\n",
    b"raw": f"{' ' + _V4 + ' ref pointer drops':<127}\n".encode(), b"raw6": (_V6 + " ref pointer drops\n").encode(),
    b"wireless": b"Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n"
                 b" face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n",
}


def net_nodes(filesystem: ProcFs) -> dict[bytes, Inode]:
    readers = {b"dev": dev, b"if_inet6": if_inet6, b"route": route, b"tcp": tcp, b"tcp6": tcp6, b"udp": udp,
               b"udp6": udp6, b"unix": unix, b"sockstat": sockstat, b"snmp": snmp}
    out: dict[bytes, Inode] = {name: PlainFile(filesystem, read) for name, read in readers.items()}
    for name, content in _FIXED.items():
        out[name] = PlainFile(filesystem, content)
    return registered(dict(sorted(out.items())))
