"""ioctls of sockets: interfaces (man 7 netdevice), bytes waiting, owners."""

from __future__ import annotations

from struct import pack

from syscalls.abi.errno import EADDRNOTAVAIL, EINVAL, ENODEV, ENOENT, ENOTTY, EOPNOTSUPP, EPERM, LinuxError
from syscalls.abi.net import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    AF_UNIX,
    ARPHRD_ETHER,
    ARPHRD_LOOPBACK,
    ARPHRD_NONE,
    FIOGETOWN,
    FIONREAD,
    FIOSETOWN,
    IFF_BROADCAST,
    IFF_LOOPBACK,
    IFF_UP,
    SIOCADDRT,
    SIOCATMARK,
    SIOCDELRT,
    SIOCETHTOOL,
    SIOCGIFADDR,
    SIOCGIFBRDADDR,
    SIOCGIFCONF,
    SIOCGIFDSTADDR,
    SIOCGIFFLAGS,
    SIOCGIFHWADDR,
    SIOCGIFINDEX,
    SIOCGIFMAP,
    SIOCGIFMETRIC,
    SIOCGIFMTU,
    SIOCGIFNAME,
    SIOCGIFNETMASK,
    SIOCGIFTXQLEN,
    SIOCGPGRP,
    SIOCGSKNS,
    SIOCGSTAMP_OLD,
    SIOCGSTAMPNS_OLD,
    SIOCSIFADDR,
    SIOCSIFFLAGS,
    SIOCSIFHWADDR,
    SIOCSIFMTU,
    SIOCSPGRP,
    SIOCUNIXFILE,
    SOCK_STREAM,
    TIOCOUTQ,
)
from syscalls.fasync import owner_number, set_owner_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.kernel import Kernel
    from syscalls.sockets import Socket
    from syscalls.task import Task
    from translator.hosts.base import HostInterface

IFNAMSIZ = 16
IFREQ = 40
TXQUEUE = 1000
CAP_NET_ADMIN = 12

_CHANGES = frozenset((SIOCSIFADDR, SIOCSIFFLAGS, SIOCSIFMTU, SIOCSIFHWADDR, SIOCADDRT, SIOCDELRT))
_BY_NAME = frozenset((SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFDSTADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK, SIOCGIFMETRIC,
                      SIOCGIFMTU, SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFTXQLEN, SIOCGIFMAP))


_ADDRESSES = frozenset((SIOCGIFADDR, SIOCGIFDSTADDR, SIOCGIFBRDADDR, SIOCGIFNETMASK, SIOCSIFADDR))
"""What the protocol answers, not the device (inet_ioctl)."""
_NOT_OF_NETLINK = frozenset((FIONREAD, TIOCOUTQ))


def socket_ioctl(task: Task, socket: Socket, code: int, arg: int) -> int:
    """EFAULT, ENODEV for an unknown interface, ENOTTY for an unknown code."""
    if code in _NOT_OF_NETLINK and socket.family == AF_NETLINK:
        raise LinuxError(ENOTTY)
    if code == FIONREAD:
        task.mem.put_u32(arg, socket.pending(task))
    elif code == TIOCOUTQ:
        if socket.listening and socket.family != AF_UNIX:
            raise LinuxError(EINVAL)
        task.mem.put_u32(arg, socket.unsent())
    elif code == SIOCATMARK:
        if socket.type != SOCK_STREAM or socket.family not in (AF_INET, AF_INET6, AF_UNIX):
            if socket.family == AF_UNIX:
                raise LinuxError(EOPNOTSUPP)
            _of_no_device(task, arg)
        # The host does not tell where the mark of TCP is: no urgent data is next.
        task.mem.put_u32(arg, socket.at_mark())
    elif code in (FIOSETOWN, SIOCSPGRP):
        set_owner_number(task, socket, task.mem.s32(arg))
    elif code in (FIOGETOWN, SIOCGPGRP):
        task.mem.put_u32(arg, owner_number(task.kernel, socket))
    elif code == SIOCGIFCONF:
        _interface_list(task, arg)
    elif code == SIOCGIFNAME:
        wanted = task.mem.s32(arg + IFNAMSIZ)
        for interface in interfaces(task.kernel):
            if interface.index == wanted:
                task.mem.write(arg, interface.name[:15].ljust(IFNAMSIZ, b"\0"))
                return 0
        raise LinuxError(ENODEV)
    elif code in _ADDRESSES and socket.family != AF_INET and (socket.family, code) != (AF_INET6, SIOCSIFADDR):
        _of_no_device(task, arg)
    elif code in _BY_NAME:
        name = task.mem.read(arg, IFNAMSIZ)[:15].partition(b"\0")[0]
        task.mem.write(arg + IFNAMSIZ, answer(find_interface(task.kernel, name), code))
    elif code in (SIOCGSTAMP_OLD, SIOCGSTAMPNS_OLD):
        # Nothing that came is stamped, unless messages tell it.
        raise LinuxError(ENOENT if socket.family in (AF_INET, AF_INET6) else ENOTTY)
    elif code == SIOCGSKNS:
        if not task.cred.capable(CAP_NET_ADMIN):
            raise LinuxError(EPERM)
        raise LinuxError(ENOTTY)
    elif code in (SIOCADDRT, SIOCDELRT) and socket.family not in (AF_INET, AF_INET6):
        _of_no_device(task, arg)
    elif code in _CHANGES:
        _change(task, code, task.mem.read(arg, IFREQ))
    elif code == SIOCETHTOOL:
        request = task.mem.read(arg, IFREQ)
        task.mem.u32(int.from_bytes(request[IFNAMSIZ:IFNAMSIZ + 8], "little"))
        find_interface(task.kernel, request[:IFNAMSIZ - 1].partition(b"\0")[0])
        raise LinuxError(EOPNOTSUPP)
    else:
        if code != SIOCUNIXFILE and code >> 8 == 0x89:
            task.kernel.gap(task, "ioctl on a socket", code)
            _of_no_device(task, arg)
        raise LinuxError(ENOTTY)
    return 0


def _of_no_device(task: Task, arg: int) -> None:
    """dev_ioctl of what it does not know: the request is read before that is found out.  ENOTTY, EFAULT."""
    task.mem.read(arg, IFREQ)
    raise LinuxError(ENOTTY)


def _change(task: Task, code: int, request: bytes) -> None:
    """The interfaces are the host's: only what is so already can be asked for.  ENODEV, EPERM."""
    if code not in (SIOCADDRT, SIOCDELRT):
        interface = find_interface(task.kernel, request[:IFNAMSIZ - 1].partition(b"\0")[0])
        if not task.cred.capable(CAP_NET_ADMIN):
            raise LinuxError(EPERM)
        if code == SIOCSIFFLAGS and not (int.from_bytes(request[16:18], "little") ^ interface.flags) & IFF_UP:
            return
        if code == SIOCSIFADDR and (AF_INET, request[20:24]) in [each[:2] for each in interface.addresses]:
            return
        if code == SIOCSIFMTU and int.from_bytes(request[16:20], "little") == interface.mtu:
            return
    elif not task.cred.capable(CAP_NET_ADMIN):
        raise LinuxError(EPERM)
    task.kernel.gap(task, "ioctl that changes an interface", code)
    raise LinuxError(EPERM)


def interfaces(kernel: Kernel) -> list[HostInterface]:
    return sorted(kernel.host.interfaces(), key=lambda interface: interface.index)


def find_interface(kernel: Kernel, name: bytes) -> HostInterface:
    """ENODEV.  An alias ("eth0:1") is its device."""
    name = name.partition(b":")[0]
    for interface in kernel.host.interfaces():
        if interface.name == name:
            return interface
    raise LinuxError(ENODEV)


def hardware_type(interface: HostInterface) -> int:
    if interface.flags & IFF_LOOPBACK:
        return ARPHRD_LOOPBACK
    return ARPHRD_ETHER if len(interface.hwaddr) == 6 else ARPHRD_NONE


def netmask(prefix: int) -> bytes:
    return (0xFFFFFFFF << (32 - prefix) & 0xFFFFFFFF).to_bytes(4, "big")


def broadcast(address: bytes, prefix: int) -> bytes:
    return (int.from_bytes(address, "big") | 0xFFFFFFFF >> prefix).to_bytes(4, "big")


def _sockaddr_in(address: bytes) -> bytes:
    return pack("<H2x4s8x", AF_INET, address)


def _first_ipv4(interface: HostInterface) -> tuple[bytes, int]:
    for family, address, prefix in interface.addresses:
        if family == AF_INET:
            return address, prefix
    raise LinuxError(EADDRNOTAVAIL)


def answer(interface: HostInterface, code: int) -> bytes:
    """The union of struct ifreq for a question about an interface."""
    if code == SIOCGIFFLAGS:
        return pack("<H", interface.flags & 0xFFFF)
    if code == SIOCGIFINDEX:
        return pack("<i", interface.index)
    if code == SIOCGIFMTU:
        return pack("<i", interface.mtu)
    if code == SIOCGIFMETRIC:
        return pack("<i", 0)
    if code == SIOCGIFTXQLEN:
        return pack("<i", TXQUEUE)
    if code == SIOCGIFMAP:
        return bytes(24)
    if code == SIOCGIFHWADDR:
        return pack("<H14s", hardware_type(interface), interface.hwaddr[:14])
    address, prefix = _first_ipv4(interface)
    if code in (SIOCGIFADDR, SIOCGIFDSTADDR):
        return _sockaddr_in(address)
    if code == SIOCGIFNETMASK:
        return _sockaddr_in(netmask(prefix))
    return _sockaddr_in(broadcast(address, prefix) if interface.flags & IFF_BROADCAST else bytes(4))


def _interface_list(task: Task, arg: int) -> None:
    """SIOCGIFCONF: the interfaces that have an IPv4 address; only the length when there is no buffer."""
    room = task.mem.s32(arg)
    buffer = task.mem.u64(arg + 8)
    entries = b"".join(
        interface.name[:15].ljust(IFNAMSIZ, b"\0") + _sockaddr_in(address).ljust(IFREQ - IFNAMSIZ, b"\0")
        for interface in interfaces(task.kernel)
        for family, address, _ in interface.addresses if family == AF_INET)
    if buffer:
        if room < 0:
            raise LinuxError(EINVAL)
        entries = entries[:room // IFREQ * IFREQ]
        task.mem.write(buffer, entries)
    task.mem.put_u32(arg, len(entries))
