"""The Linux host: everything native.

Importing this costs start-up time in every run: what few programs need (sockets, terminals, interfaces, inotify)
is imported when first used.
"""

from __future__ import annotations

import os
import time

from translator.hosts.base import Capability, HostError
from translator.hosts.linux_poll import LinuxPoller
from translator.hosts.linux_tree import LinuxTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from translator.hosts.base import HostFile, HostInterface, HostSocket, HostTerminal, HostTree, Poller

_INFINITY = 2**64 - 1
CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE = 5, 6
MANY, RESERVED = 1 << 16, 256
"""Descriptors: a limit that no guest reaches, and how many pylx keeps for itself below that."""


class LinuxHost:
    name = "linux"

    def __init__(self) -> None:
        """Takes over the process: its umask becomes 0, its limit of descriptors the highest allowed."""
        import resource

        from translator.hosts.linux_process import hold_standard_numbers, ignored_signals
        closed = hold_standard_numbers()
        self._umask = os.umask(0)
        self._limits = {resource.RLIMIT_NOFILE: resource.getrlimit(resource.RLIMIT_NOFILE),
                        resource.RLIMIT_CORE: resource.getrlimit(resource.RLIMIT_CORE)}
        hard = self._limits[resource.RLIMIT_NOFILE][1]
        # All guests together live under this limit: root may go beyond the one it was started with.
        for most in (max(hard, 1 << 20), hard):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
                break
            except (OSError, ValueError):
                continue
        if most == hard < MANY:
            # Guests may not have them all: a guest that opens all it can gets EMFILE, and pylx goes on.
            room = hard - min(RESERVED, hard // 8)
            self._limits[resource.RLIMIT_NOFILE] = min(self._limits[resource.RLIMIT_NOFILE][0], room), room
        self._cpus = len(os.sched_getaffinity(0))
        """As pylx was started: an engine may keep to one of them."""
        self._ignored = ignored_signals()
        self._poller = LinuxPoller()
        self._terminal: HostTerminal | None = None
        self._terminal_known = False
        self._streams: dict[int, HostFile | None] = dict.fromkeys(closed)

    @property
    def capabilities(self) -> dict[str, Capability]:
        from translator.hosts.linux_capabilities import capabilities
        return capabilities()

    def tree(self, root: bytes, confined: bool) -> HostTree:
        return LinuxTree(root, confined, self._poller)

    def poller(self) -> Poller:
        """The same one each time: signals have one place to go."""
        return self._poller

    def socket(self, family: int, kind: int, protocol: int) -> HostSocket:
        from translator.hosts.linux_sockets import open_socket
        return open_socket(family, kind, protocol)

    def interfaces(self) -> list[HostInterface]:
        from translator.hosts.linux_interfaces import interfaces
        return interfaces()

    def stream(self, number: int) -> HostFile | None:
        """The same object each time: what it closes is one per process."""
        if number not in self._streams:
            from translator.hosts.linux_streams import open_stream
            self._streams[number] = open_stream(number)
        return self._streams[number]

    def stream_is_terminal(self, number: int) -> bool:
        return os.isatty(number)

    def inherited(self) -> list[int]:
        """Whatever pylx opens itself is close-on-exec, as Python does it (PEP 446)."""
        from fcntl import F_GETFD, FD_CLOEXEC, fcntl
        out = []
        for name in os.listdir("/proc/self/fd"):
            number = int(name)
            try:
                if number > 2 and not fcntl(number, F_GETFD) & FD_CLOEXEC:
                    out.append(number)
            except OSError:
                continue  # the listing's own
        return sorted(out)

    def terminal(self) -> HostTerminal | None:
        if not self._terminal_known:
            from translator.hosts.linux_terminal import open_terminal
            self._terminal = open_terminal()
            self._terminal_known = True
        return self._terminal

    realtime_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)
    cputime_ns = staticmethod(time.process_time_ns)

    def coarse_ns(self, realtime: bool) -> int:
        return time.clock_gettime_ns(CLOCK_REALTIME_COARSE if realtime else CLOCK_MONOTONIC_COARSE)

    def raw_ns(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)

    def boottime_ns(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    random = staticmethod(os.urandom)

    def timezone_minutes_west(self) -> int:
        return time.timezone // 60

    def ids(self) -> tuple[int, int, list[int]]:
        return os.geteuid(), os.getegid(), os.getgroups()

    pid = staticmethod(os.getpid)
    ppid = staticmethod(os.getppid)

    def cpus(self) -> int:
        return self._cpus

    def memory(self) -> tuple[int, int]:
        total = available = 0
        with open("/proc/meminfo", "rb") as lines:
            for line in lines:
                if line.startswith(b"MemTotal:"):
                    total = int(line.split()[1]) * 1024
                elif line.startswith(b"MemAvailable:"):
                    available = int(line.split()[1]) * 1024
                    break
        return total, available

    loadavg = staticmethod(os.getloadavg)

    def nodename(self) -> bytes:
        return os.fsencode(os.uname().nodename)

    def umask(self) -> int:
        return self._umask

    def nice(self) -> int:
        return os.getpriority(os.PRIO_PROCESS, 0)

    def rlimit(self, resource: int) -> tuple[int, int]:
        limits = self._limits.get(resource)
        if limits is None:
            from resource import getrlimit
            try:
                limits = getrlimit(resource)
            except (OSError, ValueError):
                raise HostError(22) from None
        soft, hard = limits
        return (_INFINITY if soft < 0 else soft), (_INFINITY if hard < 0 else hard)

    def on_signal(self, received: Callable[[int], None]) -> None:
        from translator.hosts.linux_process import catch_signals
        catch_signals(self._poller.receive_signals(received))

    def ignored_signals(self) -> list[int]:
        return self._ignored

    def stop_self(self, signal: int = 20) -> None:
        from translator.hosts.linux_process import stop_self
        stop_self(signal)

    def die_of(self, signal: int) -> None:
        from translator.hosts.linux_process import die_of
        if self._terminal is not None:
            self._terminal.close()
        die_of(signal)
