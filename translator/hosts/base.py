"""The host abstraction layer: what the Linux personality may ask of the system it stands on.

A host speaks Linux at this seam: numbers (`O_*`, `S_IF*`, errno, signal numbers, `AF_*`) are the guest's, and each
host translates them to its own.  A failed host operation raises `HostError` with a *Linux* errno: no other
exception of the operating system may cross.  Paths are bytes.  Times are nanoseconds.

Primitives a host lacks raise HostError(ENOSYS or EOPNOTSUPP) and say so in `capabilities`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal, Protocol
else:
    Protocol = object


UTIME_NOW = 1 << 63
"""As a time for utime(): the host's own current time, which whoever may write the file may set (man 2 utimensat)."""


EMFILE, ENFILE = 24, 23


class HostError(Exception):
    """A host operation failed; `errno` is a Linux error number, EIO where the system gave none.  When this process
    has no descriptor left, that is a shortage of the guests' whole system, not of one guest: ENFILE."""

    def __init__(self, errno: int | None, message: str = "") -> None:
        self.errno = ENFILE if errno == EMFILE else errno or 5
        self.message = message


class Capability:
    """Whether a host has one primitive: level 'native', 'bridged' (how, at what cost) or 'absent' (why)."""

    __slots__ = ("level", "note")

    def __init__(self, level: Literal["native", "bridged", "absent"], note: str = "") -> None:
        self.level = level
        self.note = note


PRIMITIVES = {
    "files.tree": "find, open, make and remove files and directories, list them, read their status",
    "files.positioned-io": "read and write at an offset",
    "files.append": "write at the end, atomically",
    "files.sync": "force written data to the disk",
    "files.space": "size and room of a file system (statfs)",
    "files.mode-bits": "permission bits of a file",
    "files.ownership": "uid and gid of a file",
    "files.symlink": "symbolic links with any target",
    "files.hard-link": "a second name for a file",
    "files.fifo": "FIFOs in a directory",
    "files.device-node": "device nodes",
    "files.case-sensitive": "names that differ in case are two files",
    "files.any-name": "names of any bytes but / and NUL",
    "files.unlink-open": "remove or replace a file that is open",
    "files.rename-open-dir": "rename a directory below which files are open",
    "files.long-paths": "paths longer than PATH_MAX, by pieces",
    "files.sparse": "holes: find them, punch them, preallocate",
    "files.tmpfile": "a file without a name (O_TMPFILE)",
    "files.birth-time": "when a file was made",
    "files.nanosecond-times": "times to the nanosecond",
    "files.confined-tree": "a tree that no link or rename leads out of",
    "files.rename-noreplace": "rename without replacing",
    "files.rename-exchange": "exchange two names at once",
    "files.xattr": "extended attributes",
    "files.record-lock": "POSIX record locks against other programs",
    "files.flock": "flock(2) against other programs",
    "files.watch": "changes that other programs make (inotify)",
    "sockets.inet": "TCP and UDP over IPv4",
    "sockets.inet6": "TCP and UDP over IPv6",
    "sockets.control": "ancillary data (IP_PKTINFO, timestamps, the error queue)",
    "sockets.options": "socket options as Linux has them",
    "sockets.raw": "raw and packet sockets",
    "sockets.unix-client": "reach AF_UNIX sockets of host programs",
    "sockets.interfaces": "network interfaces and their addresses",
    "poll.readiness": "wait until one of many handles is ready",
    "streams.nonblocking": "standard streams without sleeping",
    "streams.close": "closing standard streams reaches the other side",
    "terminal.raw": "the terminal as a raw byte stream",
    "terminal.job-control": "foreground and background of the terminal",
    "signals.receive": "signals sent to pylx",
    "signals.inherited": "signals ignored at the start",
    "signals.stop": "stop and continue pylx",
    "signals.die-of": "end by a signal",
    "clocks.realtime": "wall clock",
    "clocks.monotonic": "monotonic clock",
    "clocks.boottime": "monotonic clock that counts suspension",
    "clocks.cpu-time": "CPU time used",
    "random.bytes": "random bytes",
    "process.identity": "uid, gid and pid of pylx",
    "process.rlimits": "resource limits",
    "machine.memory": "size of memory, CPUs",
    "machine.load": "load average",
    "machine.name": "host name",
}
"""What the personality may ask of a host, in kebab words.  Each host says of each whether it has it (`capabilities`); a
call names those that it needs (`syscalls/table.py`)."""


class HostStat:
    """What stat and statx know of a file; times in nanoseconds since 1970, btime_ns -1 when unknown."""

    __slots__ = ("atime_ns", "blksize", "blocks", "btime_ns", "ctime_ns", "dev", "gid", "ino", "mode", "mtime_ns",
                 "nlink", "rdev", "size", "uid")

    def __init__(self, *, dev: int = 0, ino: int = 0, mode: int = 0, nlink: int = 1, uid: int = 0, gid: int = 0,
                 rdev: int = 0, size: int = 0, blksize: int = 4096, blocks: int = 0, atime_ns: int = 0,
                 mtime_ns: int = 0, ctime_ns: int = 0, btime_ns: int = -1) -> None:
        self.dev = dev
        self.ino = ino
        self.mode = mode
        self.nlink = nlink
        self.uid = uid
        self.gid = gid
        self.rdev = rdev
        self.size = size
        self.blksize = blksize
        self.blocks = blocks
        self.atime_ns = atime_ns
        self.mtime_ns = mtime_ns
        self.ctime_ns = ctime_ns
        self.btime_ns = btime_ns


class HostStatFs:
    """What statfs knows of a filesystem (struct statfs, man 2 statfs)."""

    __slots__ = ("bavail", "bfree", "blocks", "bsize", "ffree", "files", "flags", "namelen", "type")

    def __init__(self, type: int, bsize: int, blocks: int, bfree: int, bavail: int, files: int, ffree: int,
                 namelen: int, flags: int) -> None:
        self.type = type
        self.bsize = bsize
        self.blocks = blocks
        self.bfree = bfree
        self.bavail = bavail
        self.files = files
        self.ffree = ffree
        self.namelen = namelen
        self.flags = flags


class HostFile(Protocol):
    """An open host file, directory, FIFO or device.  Closed by close(), not by the collector."""

    def fileno(self) -> int:
        """A handle the host's Poller takes; -1 when there is none."""

    def read(self, length: int) -> bytes:
        """At the file's own position (streams: FIFOs, devices).  HostError(EAGAIN) instead of sleeping."""

    def write(self, data: bytes | memoryview) -> int: ...
    def seek(self, offset: int, whence: int) -> int:
        """Move the file's own position, which standard streams share with other host processes; SEEK_SET, SEEK_CUR
        or SEEK_END.  HostError(ESPIPE) for what has none."""

    def pending(self) -> int:
        """Bytes that a stream has ready to be read (FIONREAD).  HostError(ENOTTY) where that cannot be known."""

    def pread(self, length: int, offset: int) -> bytes: ...
    def pread_into(self, into: memoryview, offset: int) -> int: ...
    def pwrite(self, data: bytes | memoryview, offset: int) -> int: ...
    def append(self, data: bytes | memoryview) -> int:
        """Write at the end, atomically with respect to other writers; returns the bytes written."""

    def stat(self) -> HostStat:
        """btime_ns may be -1 although btime() knows it: few ask, and it costs."""

    def btime(self) -> int:
        """When the file was made, in nanoseconds since 1970; -1 when unknown."""

    def statfs(self) -> HostStatFs: ...
    def truncate(self, size: int) -> None: ...
    def sync(self, data_only: bool) -> None: ...
    def allocate(self, mode: int, offset: int, length: int) -> None:
        """fallocate(2) with its FALLOC_FL_ bits."""

    def attributes(self) -> int:
        """The FS_*_FL bits of chattr(1).  HostError(ENOTTY) where files have none."""

    def set_attributes(self, bits: int) -> None: ...
    def seek_data(self, offset: int, hole: bool) -> int:
        """SEEK_DATA / SEEK_HOLE: HostError(ENXIO) past the end."""

    def chmod(self, mode: int) -> None: ...
    def chown(self, uid: int, gid: int) -> None: ...
    def utime(self, atime_ns: int | None, mtime_ns: int | None) -> None:
        """None leaves that time alone."""

    def getxattr(self, name: bytes) -> bytes: ...
    def setxattr(self, name: bytes, value: bytes, flags: int) -> None: ...
    def listxattr(self) -> list[bytes]: ...
    def removexattr(self, name: bytes) -> None: ...
    def lock(self, exclusive: bool | None, start: int, length: int) -> None:
        """Advisory lock against other *host* processes (None unlocks, length 0: to the end); EAGAIN if held.
        Locks of one inode belong to pylx as a whole: two HostFiles of it do not conflict, and they go when the last
        HostFile that locked it is closed."""

    def flock(self, exclusive: bool | None) -> None:
        """flock(2) of this open file, conflicting with other HostFiles too; EAGAIN if held, None unlocks."""

    def close(self) -> None: ...


class HostTree(Protocol):
    """A host directory tree.  `path` is relative to its root, has no leading slash and no `.` or `..`
    components; b"" is the root.  The caller has resolved symbolic links: no method follows one in any component
    (the last included), and a tree made with `confined` guarantees that against concurrent renames: a link met
    on the way raises ELOOP, and the caller walks again."""

    def lstat(self, path: bytes) -> HostStat: ...
    def btime(self, path: bytes) -> int: ...
    def lookup(self, path: bytes) -> tuple[int, HostStat]:
        """Optimistic walk: (n, stat) where the first n bytes of path are free of symbolic links and name an
        existing object of that stat.  n == len(path): all of it; otherwise that object is a symbolic link or
        no directory, or the next component does not exist."""

    def find(self, path: bytes, btime: bool = False) -> HostStat | None:
        """lookup for those who need all of the path (never b""): its stat, with btime_ns when that is asked for; None
        when a link stands on the way, or when the host cannot tell so quickly.  HostError ENOENT, ENOTDIR, ...: as
        for a path that is free of links so far."""

    def create(self, path: bytes, flags: int, mode: int) -> HostFile | None:
        """Make and open a regular file where nothing is; flags and mode as in open.  None when that cannot be done
        or a link stands on the way: ask lookup why."""

    def open(self, path: bytes, flags: int, mode: int) -> HostFile:
        """flags: Linux O_ bits; O_NOFOLLOW is implied; O_CREAT honours mode exactly (the host umask is 0).
        Never sleeps: FIFOs and devices are opened with O_NONBLOCK.  O_APPEND is for append() to honour, not kept."""

    def readlink(self, path: bytes) -> bytes: ...
    def entries(self, path: bytes) -> Iterator[tuple[bytes, int, int]]:
        """(name, inode number, DT_ type) without `.` and `..`."""

    def mkdir(self, path: bytes, mode: int) -> None: ...
    def mknod(self, path: bytes, mode: int, rdev: int) -> None: ...
    def symlink(self, target: bytes, path: bytes) -> None: ...
    def link(self, old: bytes, new: bytes) -> None: ...
    def link_open(self, file: HostFile, new: bytes) -> None:
        """Give an open file (of O_TMPFILE) a name."""

    def unlink(self, path: bytes) -> None: ...
    def rmdir(self, path: bytes) -> None: ...
    def rename(self, old: bytes, new: bytes, flags: int) -> None:
        """flags: RENAME_NOREPLACE, RENAME_EXCHANGE."""

    def chmod(self, path: bytes, mode: int) -> None: ...
    def chown(self, path: bytes, uid: int, gid: int) -> None: ...
    def utime(self, path: bytes, atime_ns: int | None, mtime_ns: int | None) -> None: ...
    def truncate(self, path: bytes, size: int) -> None: ...
    def statfs(self, path: bytes) -> HostStatFs: ...
    def getxattr(self, path: bytes, name: bytes) -> bytes: ...
    def setxattr(self, path: bytes, name: bytes, value: bytes, flags: int) -> None: ...
    def listxattr(self, path: bytes) -> list[bytes]: ...
    def removexattr(self, path: bytes, name: bytes) -> None: ...
    def hold(self, path: bytes) -> HostHold:
        """Keep what is there within reach: until the object that is returned dies, walks to its path and to what is
        below need no right to search what is above.  HostError ENOSYS where the host cannot."""

    def held_above(self, path: bytes) -> list[HostHold]:
        """Of the directories on the way to `path`, those that are held."""

    def holding(self) -> bool:
        """Whether anything is held: then the host refuses less than it would refuse the guest: the caller checks."""

    def names_changed(self, moves: list[tuple[bytes, bytes]], removed: bytes | None) -> None:
        """A name was removed, and then names were renamed, all at once: what is held goes with them.  What was removed
        stays within reach by another path, which its HostHold tells."""

    def watch(self, path: bytes, changed: Callable[[int, bytes, int], None], mask: int) -> HostWatch:
        """Report changes made by others: changed(IN_ mask, name, cookie), called from Poller.poll.  ENOSYS: only
        the guests' own changes are seen."""

    def close(self) -> None: ...


class HostHold(Protocol):
    path: bytes


class HostWatch(Protocol):
    def close(self) -> None: ...


class HostSocket(Protocol):
    """A host socket, always non-blocking.  Addresses are Linux `struct sockaddr` bytes; levels, options and
    flags are Linux numbers.  Kinds: AF_INET and AF_INET6, stream and datagram; AF_UNIX only to reach sockets of
    host programs (X11, D-Bus, docker): AF_UNIX between guests is the kernel's own."""

    def fileno(self) -> int: ...
    def bind(self, address: bytes) -> None: ...
    def listen(self, backlog: int) -> None: ...
    def accept(self) -> tuple[HostSocket, bytes]: ...
    def connect(self, address: bytes) -> None:
        """HostError(EINPROGRESS) when it goes on; then writable, and SO_ERROR tells."""

    def recvfrom(self, length: int, flags: int) -> tuple[bytes, bytes, int]:
        """(data, sender's address, MSG_ flags)."""

    def recv_length(self, length: int, flags: int) -> tuple[bytes, bytes, int, int]:
        """As recvfrom, and the length recv(2) returns: with MSG_TRUNC that of the whole datagram."""

    # A host that has ancillary data (capability sockets.control) also has these two, messages being (level, type,
    # data):
    # recv_message(length, flags) -> (data, address, MSG_ flags, length as in recv_length, messages)
    # send_message(data, messages, flags, address) -> bytes sent

    def sendto(self, data: bytes | memoryview, flags: int, address: bytes | None) -> int: ...
    def getsockopt(self, level: int, option: int, length: int) -> bytes: ...
    def setsockopt(self, level: int, option: int, value: bytes) -> None: ...
    def getsockname(self) -> bytes: ...
    def getpeername(self) -> bytes: ...
    def shutdown(self, how: int) -> None: ...
    def pending(self) -> int:
        """FIONREAD."""

    def close(self) -> None: ...


class HostInterface:
    """A network interface: index, name, flags (IFF_), hardware address and (family, address, prefix length)s."""

    __slots__ = ("addresses", "flags", "hwaddr", "index", "mtu", "name")

    def __init__(self, index: int, name: bytes, flags: int, mtu: int, hwaddr: bytes,
                 addresses: list[tuple[int, bytes, int]]) -> None:
        self.index = index
        self.name = name
        self.flags = flags
        self.mtu = mtu
        self.hwaddr = hwaddr
        self.addresses = addresses


class Poller(Protocol):
    """Readiness of host handles.  Arming is one-shot: after an event, or to add bits, arm again."""

    def arm(self, fileno: int, mask: int, ready: Callable[[int], None]) -> None:
        """Call ready(poll bits: POLLIN 1, POLLOUT 4, POLLERR 8, POLLHUP 16 as in Linux) once, from poll()."""

    def disarm(self, fileno: int, ready: Callable[[int], None] | None = None) -> None:
        """Forget a callback, or all of this handle's.  Must be called before a handle that may be armed is closed;
        harmless otherwise."""

    def probe(self, fileno: int, mask: int) -> int:
        """The bits that hold now; never sleeps."""

    def poll(self, timeout_ns: int | None) -> None:
        """Wait for events (None: for ever, 0: only look), and run their callbacks and those of signals."""

    def wake(self) -> None:
        """End a poll() that sleeps.  Callable from any thread and from signal handlers."""


class HostTerminal(Protocol):
    """The terminal that pylx was started on.  While open it is a raw byte stream: the guest's line discipline
    runs in the kernel.  The host's own settings come back at close(), and when pylx is killed."""

    def fileno(self) -> int: ...
    def read(self, length: int) -> bytes:
        """HostError(EAGAIN) when nothing was typed; b"" when the terminal hung up."""

    def write(self, data: bytes | memoryview) -> int: ...
    def size(self) -> tuple[int, int, int, int]:
        """rows, columns, x pixels, y pixels."""

    def set_size(self, rows: int, columns: int) -> None: ...
    def termios(self) -> bytes:
        """struct termios (kernel layout, 36 bytes + NCCS 19: `struct termios` of asm-generic) as it was before."""

    def name(self) -> bytes:
        """b"/dev/pts/3": what ttyname should say."""

    def foreground(self) -> bool:
        """Whether pylx is in the terminal's foreground process group."""

    def resume(self) -> None:
        """Take the terminal in raw mode (again); while pylx is in the background, as soon as it no longer is."""

    def suspend(self) -> None:
        """Give the host's settings back, until resume()."""

    def signal_job(self, signal: int) -> None:
        """Send a signal typed at the terminal to the rest of the host's foreground job, pylx itself left out: the
        other ends of its pipeline, the script that called it."""

    def close(self) -> None: ...


class Host(Protocol):
    name: str

    @property
    def capabilities(self) -> dict[str, Capability]:
        """By primitive: for each of PRIMITIVES what this host has."""

    def tree(self, root: bytes, confined: bool) -> HostTree: ...
    def poller(self) -> Poller: ...
    def socket(self, family: int, kind: int, protocol: int) -> HostSocket: ...
    def interfaces(self) -> list[HostInterface]: ...

    def stream(self, number: int) -> HostFile | None:
        """pylx's own standard stream 0, 1 or 2 as a stream, in non-blocking use (a shared O_NONBLOCK flag of the
        description must not be changed for other processes); None when it is closed."""

    def stream_is_terminal(self, number: int) -> bool: ...
    def inherited(self) -> list[int]:
        """Further descriptors that pylx was started with (process substitution, `3<file`): for stream() too."""

    def terminal(self) -> HostTerminal | None:
        """The controlling terminal, or None; nothing is changed before its resume()."""

    def realtime_ns(self) -> int: ...
    def monotonic_ns(self) -> int: ...
    def boottime_ns(self) -> int: ...
    def raw_ns(self) -> int:
        """The monotonic clock without NTP's corrections."""

    def coarse_ns(self, realtime: bool) -> int:
        """The real time or the monotonic one as of the last tick: what guests read in the host's vDSO."""

    def cputime_ns(self) -> int:
        """CPU time of this process."""

    def random(self, length: int) -> bytes: ...
    def timezone_minutes_west(self) -> int: ...

    def ids(self) -> tuple[int, int, list[int]]:
        """uid, gid and supplementary groups that files made by this process get."""

    def pid(self) -> int: ...
    def ppid(self) -> int: ...
    def cpus(self) -> int:
        """CPUs this process may use."""

    def memory(self) -> tuple[int, int]:
        """(total, available) bytes."""

    def loadavg(self) -> tuple[float, float, float]: ...
    def nodename(self) -> bytes: ...
    def umask(self) -> int:
        """The umask pylx was started with; the host's own is set to 0 from then on."""

    def nice(self) -> int:
        """The niceness pylx was started with; 0 on hosts without one."""

    def rlimit(self, resource: int) -> tuple[int, int]:
        """Linux RLIMIT_ number -> (soft, hard), infinity as 2**64-1, as pylx was started with."""

    def on_signal(self, received: Callable[[int], None]) -> None:
        """Report catchable signals sent to pylx, by Linux number; called from Poller.poll."""

    def ignored_signals(self) -> list[int]:
        """Signals that pylx was started with as ignored (nohup)."""

    def stop_self(self, signal: int = 20) -> None:
        """Stop pylx as SIGTSTP (or SIGTTIN, SIGTTOU, SIGSTOP) does, so that the user's shell sees that; returns when
        it is continued, at once where that signal stops nobody (an orphaned process group)."""

    def die_of(self, signal: int) -> None:
        """End this process by a Linux signal number with its default action, so that the parent sees it; where the
        host has no signals, exit with 128 + signal.  No core file is written."""
