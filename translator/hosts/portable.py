"""The portable host: only what Python's standard library has on Windows and macOS as well as on Linux."""

from __future__ import annotations

import os
import sys
import time

from translator.hosts.base import HostError
from translator.hosts.portable_errno import EINVAL
from translator.hosts.portable_poll import PortablePoller
from translator.hosts.portable_stat import WINDOWS_ID
from translator.hosts.portable_tree import PortableTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from translator.hosts.base import (
        Capability,
        HostFile,
        HostInterface,
        HostSocket,
        HostTerminal,
        HostTree,
        Poller,
    )

_INFINITY = 2**64 - 1
_RLIMITS = ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS")
_NOFILE, _STACK = 7, 3
_WINDOWS_LIMITS = {_NOFILE: (8192, 8192), _STACK: (8 << 20, _INFINITY)}


class PortableHost:
    name = "portable"

    def __init__(self) -> None:
        """Takes over the process: its umask becomes 0, its limit of descriptors the highest allowed."""
        from translator.hosts.portable_process import hold_standard_numbers, ignored_signals
        closed = hold_standard_numbers()
        self._umask = os.umask(0)
        self._limits = dict(_WINDOWS_LIMITS)
        if sys.platform != "win32":
            self._limits = _take_limits()
        self._ignored = ignored_signals()
        self._poller = PortablePoller()
        self._terminal: HostTerminal | None = None
        self._terminal_known = False
        self._streams: dict[int, HostFile | None] = dict.fromkeys(closed)

    @property
    def capabilities(self) -> dict[str, Capability]:
        from translator.hosts.portable_capabilities import capabilities
        return capabilities()

    def tree(self, root: bytes, confined: bool) -> HostTree:
        return PortableTree(root, confined)

    def poller(self) -> Poller:
        """The same one each time: signals have one place to go."""
        return self._poller

    def socket(self, family: int, kind: int, protocol: int) -> HostSocket:
        from translator.hosts.portable_sockets import open_socket
        return open_socket(family, kind, protocol)

    def interfaces(self) -> list[HostInterface]:
        from translator.hosts.portable_sockets import interfaces
        return interfaces()

    def stream(self, number: int) -> HostFile | None:
        """The same object each time: what it closes is one per process."""
        if number not in self._streams:
            from translator.hosts.portable_streams import open_stream
            self._streams[number] = open_stream(number, self._poller)
        return self._streams[number]

    def stream_is_terminal(self, number: int) -> bool:
        return os.isatty(number)

    def inherited(self) -> list[int]:
        """There is no portable way to list descriptors."""
        return []

    def terminal(self) -> HostTerminal | None:
        if not self._terminal_known:
            from translator.hosts.portable_terminal import open_terminal
            self._terminal = open_terminal()
            self._terminal_known = True
        return self._terminal

    realtime_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)
    boottime_ns = staticmethod(time.monotonic_ns)
    raw_ns = staticmethod(time.monotonic_ns)

    def coarse_ns(self, realtime: bool) -> int:
        now = time.time_ns() if realtime else time.monotonic_ns()
        return now - now % 4_000_000

    cputime_ns = staticmethod(time.process_time_ns)
    random = staticmethod(os.urandom)

    def timezone_minutes_west(self) -> int:
        return time.timezone // 60

    def ids(self) -> tuple[int, int, list[int]]:
        if sys.platform == "win32":
            return WINDOWS_ID, WINDOWS_ID, [WINDOWS_ID]
        return os.geteuid(), os.getegid(), os.getgroups()

    pid = staticmethod(os.getpid)
    ppid = staticmethod(os.getppid)

    def cpus(self) -> int:
        return os.cpu_count() or 1

    def memory(self) -> tuple[int, int]:
        if sys.platform == "win32":
            return _windows_memory()
        page = os.sysconf("SC_PAGE_SIZE")
        total = os.sysconf("SC_PHYS_PAGES") * page
        try:
            return total, os.sysconf("SC_AVPHYS_PAGES") * page
        except ValueError:  # not on macOS: half is a guess that makes programs neither greedy nor timid
            return total, total // 2

    def loadavg(self) -> tuple[float, float, float]:
        if sys.platform == "win32":
            return 0.0, 0.0, 0.0
        return os.getloadavg()

    def nodename(self) -> bytes:
        from socket import gethostname
        return os.fsencode(gethostname())

    def umask(self) -> int:
        return 0o022 if sys.platform == "win32" else self._umask

    def nice(self) -> int:
        if sys.platform == "win32":
            return 0
        return os.getpriority(os.PRIO_PROCESS, 0)

    def rlimit(self, resource: int) -> tuple[int, int]:
        if not 0 <= resource < 16:
            raise HostError(EINVAL)
        # Nice values and real-time priorities: nothing beyond the ordinary, as Linux starts processes.
        return self._limits.get(resource, (0, 0) if resource in (13, 14) else (_INFINITY, _INFINITY))

    def on_signal(self, received: Callable[[int], None]) -> None:
        from translator.hosts.portable_process import catch_signals
        catch_signals(self._poller.receive_signals(received))

    def ignored_signals(self) -> list[int]:
        return self._ignored

    def stop_self(self, signal: int = 20) -> None:
        from translator.hosts.portable_process import stop_self
        stop_self(signal)

    def die_of(self, signal: int) -> None:
        from translator.hosts.portable_process import die_of
        if self._terminal is not None:
            self._terminal.close()
        die_of(signal)


def _take_limits() -> dict[int, tuple[int, int]]:
    """All limits by Linux number, as they were before that of descriptors is raised."""
    limits: dict[int, tuple[int, int]] = {}
    if sys.platform != "win32":
        import resource
        for number, name in enumerate(_RLIMITS):
            host = getattr(resource, f"RLIMIT_{name}", None)
            if host is not None:
                soft, hard = resource.getrlimit(host)
                limits[number] = (_INFINITY if soft == resource.RLIM_INFINITY else soft,
                                  _INFINITY if hard == resource.RLIM_INFINITY else hard)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        for wanted in (hard, 10240):  # macOS allows no more than OPEN_MAX, whatever its hard limit says
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                break
            except (OSError, ValueError):
                continue
    return limits


def _windows_memory() -> tuple[int, int]:
    """GlobalMemoryStatusEx, which nothing else in the standard library calls."""
    if sys.platform == "win32":
        import ctypes
        from struct import pack, unpack_from
        status = ctypes.create_string_buffer(pack("=I", 64), 64)  # struct MEMORYSTATUSEX
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(status):
            total, available = unpack_from("=QQ", status.raw, 8)
            return int(total), int(available)
    return 4 << 30, 2 << 30
