"""What the portable host can do on the system at hand, in words for `pylx doctor` and the reports."""

from __future__ import annotations

import os
import sys

from translator.hosts.base import Capability

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Notes = dict[str, tuple[Literal["native", "bridged", "absent"], str]]

_WINDOWS = sys.platform == "win32"

_EVERYWHERE: Notes = {
    "files.tree": ("native", "os.open, os.stat, os.scandir by whole path"),
    "files.sync": ("native", "os.fsync, which also serves fdatasync"),
    "files.append": ("bridged", "O_APPEND is set for the time of one write"),
    "files.birth-time": ("native", "where Python tells it"),
    "files.confined-tree": ("bridged", "every component is checked for links before each call; another process that"
                                       " exchanges a directory for a link between check and call gets through"),
    "files.hard-link": ("native", ""),
    "files.long-paths": ("absent", "a path is handed to the host whole and must not exceed its PATH_MAX"),
    "files.nanosecond-times": ("native", "as fine as the filesystem keeps them"),
    "files.rename-exchange": ("absent", "no portable call does it: EINVAL, as from filesystems without it"),
    "files.rename-noreplace": ("bridged", "files by link and unlink; directories after a look, which is not atomic"),
    "files.sparse": ("bridged", "holes are found where the host tells; fallocate only makes files larger, and"
                                " reserves nothing"),
    "files.tmpfile": ("absent", "EOPNOTSUPP: programs then make and remove a named file"),
    "files.watch": ("absent", "inotify sees the changes of guests only"),
    "files.xattr": ("absent", "Python has no portable call: EOPNOTSUPP"),
    "sockets.control": ("absent", "messages carry data only"),
    "sockets.inet": ("native", ""),
    "sockets.inet6": ("native", ""),
    "sockets.interfaces": ("bridged", "loopback, and the names of others without their addresses"),
    "sockets.options": ("bridged", "a table of common options; hints such as TCP_CORK are remembered without effect,"
                                   " others answer ENOPROTOOPT"),
    "sockets.raw": ("absent", "refused with EPERM, as to a user without CAP_NET_RAW"),
    "streams.close": ("bridged", "closing standard input and output reaches the host; standard error stays open for"
                                 " pylx's messages"),
    "clocks.realtime": ("native", ""),
    "clocks.monotonic": ("native", ""),
    "clocks.cpu-time": ("native", "as fine as the host counts"),
    "random.bytes": ("native", "os.urandom"),
    "machine.memory": ("native", ""),
    "machine.name": ("native", ""),
    "clocks.boottime": ("bridged", "the monotonic clock: time in suspend may not count"),
}
_POSIX: Notes = {
    "files.any-name": ("native", "names are bytes; macOS accepts UTF-8 only"),
    "files.case-sensitive": ("native", "as the filesystem is: macOS' usual one is not"),
    "files.device-node": ("native", "for root"),
    "files.fifo": ("native", ""),
    "files.flock": ("native", ""),
    "files.mode-bits": ("native", ""),
    "files.ownership": ("native", ""),
    "files.positioned-io": ("native", "pread, pwrite"),
    "files.record-lock": ("bridged", "POSIX locks, taken again after each close of the file has dropped them"),
    "files.symlink": ("native", ""),
    "files.unlink-open": ("native", ""),
    "files.rename-open-dir": ("native", ""),
    "files.space": ("native", "os.statvfs"),
    "machine.load": ("native", ""),
    "poll.readiness": ("native", "selectors"),
    "process.identity": ("native", ""),
    "process.rlimits": ("native", ""),
    "signals.die-of": ("native", ""),
    "signals.inherited": ("bridged", "ignored signals are passed on, but for SIGPIPE and SIGXFSZ: the interpreter"
                                     " ignores these itself"),
    "signals.receive": ("native", "no real-time signals"),
    "signals.stop": ("native", ""),
    "sockets.unix-client": ("native", "host sockets by host path"),
    "streams.nonblocking": ("bridged", "each use is preceded by poll; another reader of the same pipe can make pylx"
                                       " sleep"),
    "terminal.job-control": ("native", ""),
    "terminal.raw": ("native", "a child process gives the settings back should pylx be killed"),
}
_ON_WINDOWS: Notes = {
    "files.any-name": ("bridged", "what Windows forbids in names is spelt with U+F000 + code, as WSL 1 does; names"
                                  " that are no UTF-8 are refused with EILSEQ"),
    "files.append": ("bridged", "at the end as it was: not atomic against other processes"),
    "files.case-sensitive": ("absent", "names that differ in case only are one file"),
    "files.device-node": ("absent", "EPERM"),
    "files.fifo": ("absent", "EPERM: NTFS has none"),
    "files.flock": ("absent", "ENOSYS: locks hold between guests only"),
    "files.mode-bits": ("bridged", "the owner's write bit is the read-only attribute; every file can be executed,"
                                   " other bits are lost"),
    "files.ownership": ("absent", "all files belong to user 1000; EPERM for others"),
    "files.positioned-io": ("bridged", "by moving the position there and back"),
    "files.record-lock": ("absent", "ENOSYS: Windows' are mandatory; locks hold between guests only"),
    "files.symlink": ("bridged", "with developer mode or as administrator; else EPERM"),
    "files.unlink-open": ("bridged", "opened with FILE_SHARE_DELETE; a file that is open is renamed out of the way"
                                     " before it is removed or replaced, and keeps its directory from being removed"),
    "files.rename-open-dir": ("absent", "EACCES while something below is open"),
    "files.space": ("bridged", "sizes by shutil.disk_usage; no counts of files"),
    "machine.load": ("absent", "Windows keeps none: zeros"),
    "process.identity": ("bridged", "one fixed uid and gid"),
    "poll.readiness": ("bridged", "select, for sockets; threads feed standard input through sockets; all else counts"
                                  " as always ready"),
    "process.rlimits": ("bridged", "fixed values at the start: the kernel keeps its own limits"),
    "signals.die-of": ("bridged", "exit status 128 + signal"),
    "signals.inherited": ("absent", "Windows has no signals"),
    "signals.receive": ("bridged", "Control-C as SIGINT, Control-Break as SIGQUIT"),
    "signals.stop": ("absent", "Windows has no job control: pylx goes on"),
    "sockets.unix-client": ("absent", "Python has no AF_UNIX on Windows"),
    "streams.nonblocking": ("bridged", "a thread reads standard input; writing to a full pipe sleeps"),
    "terminal.job-control": ("absent", ""),
    "terminal.raw": ("bridged", "msvcrt, asked a hundred times a second by a thread"),
}


def capabilities() -> dict[str, Capability]:
    table = _EVERYWHERE | (_ON_WINDOWS if _WINDOWS else _POSIX)
    if not hasattr(os, "link"):
        table["files.hard-link"] = ("absent", "EPERM")
    return {name: Capability(level, note) for name, (level, note) in sorted(table.items())}
