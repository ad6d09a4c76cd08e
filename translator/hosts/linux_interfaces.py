"""The network interfaces of a Linux host, by getifaddrs(3)."""

from __future__ import annotations

import ctypes

from translator.hosts import linux_calls as calls
from translator.hosts.base import HostInterface

AF_INET, AF_INET6, AF_PACKET = 2, 10, 17


class _Ifaddrs(ctypes.Structure):
    """struct ifaddrs (man 3 getifaddrs)."""


_Ifaddrs._fields_ = (("next", ctypes.POINTER(_Ifaddrs)), ("name", ctypes.c_char_p), ("flags", ctypes.c_uint),
                     ("address", ctypes.c_void_p), ("netmask", ctypes.c_void_p), ("broadcast", ctypes.c_void_p),
                     ("data", ctypes.c_void_p))


def interfaces() -> list[HostInterface]:
    first = ctypes.POINTER(_Ifaddrs)()
    if calls.libc.getifaddrs(ctypes.byref(first)) < 0:
        raise calls.failure()
    found: dict[bytes, HostInterface] = {}
    try:
        entry = first
        while entry:
            _note(found, entry.contents)
            entry = entry.contents.next
    finally:
        calls.libc.freeifaddrs(first)
    return list(found.values())


def _note(found: dict[bytes, HostInterface], entry: _Ifaddrs) -> None:
    name: bytes = entry.name
    interface = found.get(name)
    if interface is None:
        interface = found[name] = HostInterface(_index(name), name, entry.flags & 0xFFFFFFFF, _mtu(name), bytes(6), [])
    if not entry.address:
        return
    family = int.from_bytes(ctypes.string_at(entry.address, 2), "little")
    if family == AF_PACKET:  # struct sockaddr_ll: halen at 11, address at 12
        header = ctypes.string_at(entry.address, 20)
        interface.hwaddr = header[12:12 + header[11]]
    elif family in {AF_INET, AF_INET6}:
        offset, length = (4, 4) if family == AF_INET else (8, 16)
        mask = ctypes.string_at(entry.netmask + offset, length) if entry.netmask else b"\xff" * length
        prefix = int.from_bytes(mask, "big").bit_count()
        interface.addresses.append((family, ctypes.string_at(entry.address + offset, length), prefix))


def _index(name: bytes) -> int:
    return int(calls.libc.if_nametoindex(name))


def _mtu(name: bytes) -> int:
    try:
        with open(b"/sys/class/net/%s/mtu" % name.partition(b":")[0], "rb") as mtu:
            return int(mtu.read())
    except OSError:
        return 65536 if name == b"lo" else 1500
