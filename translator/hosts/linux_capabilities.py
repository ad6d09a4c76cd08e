"""What the Linux host can do, in words for `pylx doctor` and the reports."""

from __future__ import annotations

import os

from translator.hosts.base import Capability

_NATIVE = {
    "files.tree": "open, statx, getdents and their kin, relative to directory descriptors",
    "files.sync": "fsync, fdatasync",
    "files.space": "statfs",
    "files.positioned-io": "pread, preadv, pwrite",
    "files.append": "pwritev2 with RWF_APPEND",
    "files.mode-bits": "",
    "files.ownership": "",
    "files.symlink": "",
    "files.hard-link": "",
    "files.fifo": "",
    "files.device-node": "with CAP_MKNOD",
    "files.case-sensitive": "",
    "files.any-name": "names are bytes",
    "files.unlink-open": "",
    "files.rename-open-dir": "",
    "files.long-paths": "paths beyond PATH_MAX are walked in pieces",
    "files.sparse": "SEEK_DATA, SEEK_HOLE, fallocate with every mode the filesystem has",
    "files.tmpfile": "O_TMPFILE",
    "files.birth-time": "statx",
    "files.nanosecond-times": "",
    "files.rename-noreplace": "renameat2",
    "files.rename-exchange": "renameat2",
    "files.xattr": "",
    "files.record-lock": "open file description locks",
    "files.flock": "",
    "files.watch": "inotify",
    "sockets.inet": "",
    "sockets.inet6": "",
    "sockets.control": "recvmsg, sendmsg; descriptors that host programs pass along are closed",
    "sockets.options": "every option passes",
    "sockets.unix-client": "host sockets by host path",
    "sockets.interfaces": "getifaddrs",
    "poll.readiness": "epoll",
    "streams.nonblocking": "pipes and terminals are opened a second time with O_NONBLOCK; where permissions forbid it,"
                           " each use is preceded by poll",
    "terminal.raw": "/dev/tty; a child process gives the settings back should pylx be killed",
    "terminal.job-control": "",
    "signals.receive": "",
    "signals.stop": "",
    "signals.die-of": "",
    "clocks.realtime": "",
    "clocks.monotonic": "",
    "clocks.boottime": "",
    "clocks.cpu-time": "",
    "random.bytes": "getrandom",
    "process.identity": "",
    "process.rlimits": "",
    "machine.memory": "",
    "machine.load": "",
    "machine.name": "",
}


def capabilities() -> dict[str, Capability]:
    table = {name: Capability("native", note) for name, note in _NATIVE.items()}
    table["files.confined-tree"] = _confinement()
    table["sockets.raw"] = Capability("absent", "refused with EPERM, as to a user without CAP_NET_RAW")
    table["signals.inherited"] = Capability(
        "bridged", "ignored signals are passed on, but for SIGPIPE and SIGXFSZ: the interpreter ignores these itself")
    table["streams.close"] = Capability(
        "bridged", "closing standard input and output reaches the host; standard error stays open for pylx's messages")
    return table


def _confinement() -> Capability:
    from translator.hosts.linux_calls import have_openat2
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if have_openat2(root):
            return Capability("native", "openat2 with RESOLVE_BENEATH: no race leads out of the tree")
    finally:
        os.close(root)
    return Capability("bridged", "no openat2 here: a component at a time without following links, which directories"
                                 " moved out of the tree at that moment can escape")
