"""Open file descriptions and descriptor tables.

`FileDescription` mirrors struct file with its file_operations (include/linux/fs.h): what an open(2) made, shared by
dup and fork.  `FdTable` mirrors files_struct: the numbers of one process (or of several: CLONE_FILES), each with its
close-on-exec flag.

Operations here never sleep: one that would raises EAGAIN, and the calls sleep on `queue` when the description is not
O_NONBLOCK (`wait.retry`).  Lifetimes are explicit: `retain` and `release` count the tables and in-flight messages
that hold a description; the last release calls `released`.
"""

from __future__ import annotations

from syscalls.abi.errno import (
    EBADF,
    EINVAL,
    EISDIR,
    EMFILE,
    ENODEV,
    ENOTDIR,
    ENOTTY,
    EOPNOTSUPP,
    ESPIPE,
    LinuxError,
)
from syscalls.abi.fs import IN_CLOSE_NOWRITE, IN_CLOSE_WRITE
from syscalls.wait import WaitQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _weakref import ref
    from collections.abc import Awaitable, Iterator

    from syscalls.epoll import EpollItem
    from syscalls.fasync import Owner, SigioWaiter
    from syscalls.fs.inode import Inode, Stat
    from syscalls.fs.locks import LockTable
    from syscalls.fs.vfs import Location, Vfs
    from syscalls.inotify import DirectoryWatch
    from syscalls.lease import Lease
    from syscalls.mapped import MappedFile
    from syscalls.task import Task
    from translator.machine import Backing

O_ACCMODE, O_RDONLY, O_WRONLY, O_RDWR, O_PATH = 3, 0, 1, 2, 0o10000000
O_APPEND, O_NONBLOCK, O_CLOEXEC = 0o2000, 0o4000, 0o2000000

POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP = 1, 2, 4, 8, 0x10
POLLRDNORM, POLLRDBAND, POLLWRNORM, POLLWRBAND, POLLRDHUP = 0x40, 0x80, 0x100, 0x200, 0x2000
ALWAYS_READY = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM


class FileDescription:
    """An open file description.  Subclasses override the operations that their kind of object has."""

    kind = "file"
    """For reports and the trace: 'file', 'pipe', 'socket', 'tty', 'eventfd', 'epoll', ..."""
    seekable = False
    """pread, pwrite and lseek work (FMODE_LSEEK, FMODE_PREAD)."""
    takes_positions = False
    """pread and pwrite get as far as what has no read and write, though lseek does not work (FMODE_PREAD without
    FMODE_LSEEK)."""
    has_pwrite = True
    """It can be written at a position, if it can be written (FMODE_PWRITE)."""
    noop_seek = False
    """lseek succeeds and does nothing (noop_llseek: FMODE_LSEEK without FMODE_PREAD)."""
    moves = True
    """Reading and writing move the position, be it one that a call was given."""
    splice_source = True
    """It can be read by splice and sendfile, where other things allow that."""
    splice_target = True
    """The same of writing (file_operations.splice_write)."""
    ignores_input = False
    """What is written is not even looked at: a bad buffer does no harm (null_write, write_full)."""
    nowait = True
    """RWF_NOWAIT works (FMODE_NOWAIT)."""
    lock_table: LockTable | None = None
    """Where this description took a lock, for what is no regular file: those look there anyway."""
    can_read = can_write = False
    """Whether there is anything that reads or writes it at all (FMODE_CAN_READ, FMODE_CAN_WRITE)."""
    reads_vectors = writes_vectors = True
    """Whether it takes a vector at once (read_iter, write_iter); of others each part is a read or write of its own, and
    there is no asynchronous one."""
    inner_type = 0
    """The S_IFMT bits that the kernel itself goes by, where stat says something else."""
    record_size = 1
    """A read gives whole records: where the buffer ends inside one, that one is not given.  Pipes and sockets: a
    page (pipe_read)."""
    stream = False
    """A blocking write goes on, asleep in between, until everything is written: pipes, stream sockets, terminals."""
    epoll_items: list[EpollItem] | None = None
    """Where epoll instances watch this description: they forget it with the last reference."""
    sigio: SigioWaiter | None = None
    """Tells the owner by a signal of readiness: set while O_ASYNC is on (fcntl)."""
    owner_record: Owner | None = None
    """What F_SETOWN(_EX) was given."""
    directory_watch: DirectoryWatch | None = None
    """fcntl(F_NOTIFY) of a directory."""
    direct_io = True
    """O_DIRECT can be switched on, of a file or pipe (FMODE_CAN_ODIRECT)."""
    has_mmap = False
    """There is something to ask for a mapping, which then refuses each (sockets, most files of /proc)."""
    created = False
    """Its open made the file (FMODE_CREATED)."""
    landlock: int | None = None
    """The rights of Landlock that count after opening, when the opener was restricted."""
    fsnotify: Vfs | None = None
    """Who hears of it being read, written and closed (inotify); None for what no path opened (FMODE_NONOTIFY)."""
    lease: Lease | None = None
    """fcntl(F_SETLEASE) of a regular file."""
    mapped: ref[MappedFile] | None = None
    """What its mappings hold, if there are any."""

    def __init_subclass__(cls) -> None:
        cls.can_read = cls.read is not FileDescription.read
        cls.can_write = cls.write is not FileDescription.write

    def __init__(self, flags: int, location: Location | None = None, inode: Inode | None = None) -> None:
        self.flags = flags
        """Access mode and status flags; the creation flags (O_CREAT, O_CLOEXEC, ...) are not kept."""
        self.location = location
        self.inode = inode
        self.offset = 0
        self.queue: WaitQueue = WaitQueue()
        self.references = 0
        self.owner_signal = 0

    read_timeout_ns: int | None = None
    """How long a read may sleep before EAGAIN (SO_RCVTIMEO); None: for ever.  With a timeout an interrupted call is
    not restarted (sock_intr_errno)."""
    write_timeout_ns: int | None = None
    """The same for writing (SO_SNDTIMEO)."""

    @property
    def dontcache(self) -> bool:
        """RWF_DONTCACHE is known (FOP_DONTCACHE)."""
        return False

    @property
    def writes_nowait(self) -> bool:
        """Writing knows RWF_NOWAIT, too."""
        return True

    # --- life

    def retain(self) -> FileDescription:
        self.references += 1
        return self

    def release(self) -> None:
        self.references -= 1
        if self.references == 0:
            if self.fsnotify is not None and self.fsnotify.notifier is not None:
                self.happened(IN_CLOSE_NOWRITE if self.flags & O_ACCMODE in (O_RDONLY, O_ACCMODE) else IN_CLOSE_WRITE)
            if self.epoll_items:
                for item in list(self.epoll_items):
                    item.remove()
            if self.sigio is not None:
                self.queue.remove(self.sigio)
            if self.directory_watch is not None:
                self.directory_watch.remove()
            if self.lock_table is not None:
                self.lock_table.description_closed(self)
            self.released()

    def happened(self, mask: int) -> None:
        """Tell who watches the file (fsnotify_file)."""
        if self.fsnotify is not None and self.location is not None:
            self.fsnotify.notify(self.location, mask)

    def unreadable_data(self, task: Task, length: int) -> None:
        """The guest's memory that should be written is bad: raise here what the file finds wrong before that.  EAGAIN
        makes a blocking write sleep until there is room."""

    def unreadable_at(self, task: Task, length: int, offset: int) -> None:
        """The same of a write at a position."""

    def released(self) -> None:
        """The last reference is gone (file_operations.release)."""

    def flush(self, task: Task) -> None:
        """A descriptor of it is being closed (file_operations.flush): POSIX locks go here."""
        if self.lock_table is not None and self.inode is not None:
            self.lock_table.closed_by(task, self.inode.identity(task))

    # --- access

    @property
    def readable(self) -> bool:
        return self.flags & O_ACCMODE in (O_RDONLY, O_RDWR) and not self.flags & O_PATH

    @property
    def writable(self) -> bool:
        return self.flags & O_ACCMODE in (O_WRONLY, O_RDWR) and not self.flags & O_PATH

    @property
    def nonblock(self) -> bool:
        return bool(self.flags & O_NONBLOCK)

    # --- data.  All may raise EAGAIN; the caller has checked readable/writable.

    def read(self, task: Task, length: int) -> bytes:
        """From the description's position (or the stream), at most `length`; b"" is end of file."""
        raise LinuxError(EINVAL)

    def write(self, task: Task, data: bytes) -> int:
        raise LinuxError(EINVAL)

    def pread(self, task: Task, length: int, offset: int) -> bytes:
        raise LinuxError(ESPIPE)

    def pwrite(self, task: Task, data: bytes, offset: int) -> int:
        raise LinuxError(ESPIPE)

    def seek(self, task: Task, offset: int, whence: int) -> int:
        raise LinuxError(ESPIPE)

    def unread(self, data: bytes) -> None:
        """Take back what `read` just gave, because the guest's buffer could not hold it (EFAULT)."""
        if self.seekable:
            self.offset -= len(data)

    # --- readiness

    def ready(self, mask: int) -> int:
        """The poll bits of `mask` (plus POLLERR and POLLHUP) that hold now; wakes of `queue` announce changes."""
        return ALWAYS_READY & mask

    pollable = False
    """epoll accepts it (file_operations.poll exists); EPERM otherwise."""

    # --- everything else

    def ioctl(self, task: Task, code: int, arg: int) -> int | Awaitable[int]:
        """Codes that all descriptions have (FIONBIO, FIOCLEX, ...) are served before this is called."""
        raise LinuxError(ENOTTY)

    def stat(self, task: Task) -> Stat:
        if self.inode is None:
            raise LinuxError(EBADF)
        return self.inode.stat(task)

    def entries(self, task: Task) -> list[tuple[bytes, int, int]]:
        """Directory content from the start with `.` and `..`: (name, ino, DT_ type).  getdents keeps the position
        in `offset` and caches the list in the description."""
        raise LinuxError(ENOTDIR)

    def truncate(self, task: Task, length: int) -> None:
        raise LinuxError(EINVAL)

    def allocate(self, task: Task, mode: int, offset: int, length: int) -> None:
        raise LinuxError(EOPNOTSUPP if self.writable else EBADF)

    def check_write(self, count: int) -> None:
        """Before the bytes are looked at: EINVAL for a count that the object never takes, or when it takes nothing."""
        if not self.can_write:
            raise LinuxError(EINVAL)

    def sync(self, task: Task, data_only: bool) -> None:
        raise LinuxError(EINVAL)

    def backing(self, task: Task, shared: bool, prot: int) -> Backing:
        """What mmap maps.  ENODEV when it cannot be mapped."""
        raise LinuxError(ENODEV)

    def set_flags(self, task: Task, flags: int) -> None:
        """fcntl(F_SETFL) with the settable bits already chosen."""
        self.flags = flags

    def describe(self) -> bytes:
        """What readlink of /proc/pid/fd/N shows when there is no location: b"pipe:[4711]"."""
        return b"anon_inode:[" + self.kind.encode() + b"]"

    def fdinfo(self, task: Task) -> list[tuple[str, str]]:
        """Lines of /proc/pid/fdinfo/N beyond pos, flags, mnt_id and ino."""
        return []


TABLE_ROOM = 64


def room_for(fd: int) -> int:
    """alloc_fdtable: 64 numbers, or the next power of two."""
    return TABLE_ROOM if fd < TABLE_ROOM else 1 << fd.bit_length()


class FdTable:
    """The descriptors of one process."""

    __slots__ = ("cloexec", "files", "inherited", "lowest", "room", "sharers")

    def __init__(self) -> None:
        self.files: dict[int, FileDescription] = {}
        self.cloexec: set[int] = set()
        self.lowest = 0
        """No number below this is free."""
        self.room = TABLE_ROOM
        """How many numbers there is room for (max_fds): it grows with the highest one and stays, and select looks at
        no more."""
        self.sharers = 1
        """Tasks that use this table (CLONE_FILES)."""
        self.inherited: frozenset[FileDescription] = frozenset()
        """What other credentials opened (f_cred): those of a parent, or of this process before its execve."""

    def get(self, fd: int) -> FileDescription:
        """The description of `fd`.  EBADF for none and for O_PATH ones (fget)."""
        file = self.files.get(fd)
        if file is None or file.flags & O_PATH:
            raise LinuxError(EBADF)
        return file

    def get_raw(self, fd: int) -> FileDescription:
        """The same, O_PATH included (fget_raw)."""
        file = self.files.get(fd)
        if file is None:
            raise LinuxError(EBADF)
        return file

    def directory(self, fd: int) -> FileDescription:
        return self.get_raw(fd)

    def install(self, file: FileDescription, cloexec: bool, limit: int, lowest: int = 0) -> int:
        """Put `file` at the lowest free number >= lowest; takes a reference.  EMFILE at RLIMIT_NOFILE `limit`."""
        fd = self.lowest if self.lowest > lowest else lowest
        files = self.files
        while fd in files:
            fd += 1
        if fd >= limit:
            raise LinuxError(EMFILE)
        if lowest <= self.lowest:
            self.lowest = fd + 1
        if fd >= self.room:
            self.room = room_for(fd)
        file.references += 1
        files[fd] = file
        if cloexec:
            self.cloexec.add(fd)
        return fd

    def check_free(self, limit: int) -> None:
        """EMFILE: no number is free, for calls that look at that first."""
        fd = self.lowest
        while fd in self.files:
            fd += 1
        if fd >= limit:
            raise LinuxError(EMFILE)

    def two_lowest(self, limit: int) -> tuple[int, int]:
        """The two lowest free numbers, which are not taken yet.  EMFILE."""
        found: list[int] = []
        fd = self.lowest
        while len(found) < 2:
            if fd >= limit:
                raise LinuxError(EMFILE)
            if fd not in self.files:
                found.append(fd)
            fd += 1
        return found[0], found[1]

    def place(self, task: Task, fd: int, file: FileDescription, cloexec: bool) -> None:
        """dup2: put `file` at exactly `fd`, closing what was there."""
        file.retain()
        old = self.files.get(fd)
        if fd >= self.room:
            self.room = room_for(fd)
        self.files[fd] = file
        if cloexec:
            self.cloexec.add(fd)
        else:
            self.cloexec.discard(fd)
        if old is not None:
            old.flush(task)
            old.release()

    def close(self, task: Task, fd: int) -> None:
        """EBADF when it is not open."""
        file = self.files.pop(fd, None)
        if file is None:
            raise LinuxError(EBADF)
        self.cloexec.discard(fd)
        self.lowest = min(self.lowest, fd)
        file.flush(task)
        file.release()

    def close_all(self, task: Task) -> None:
        for fd in list(self.files):
            self.close(task, fd)

    def close_on_exec(self, task: Task) -> None:
        for fd in sorted(self.cloexec):
            self.close(task, fd)
        self.inherited = frozenset(self.files.values())

    def copy(self, limit: int) -> FdTable:
        """dup_fd: a new table with the same descriptions.  EMFILE when it would have more than `limit` entries
        (fs.nr_open), in steps of 64."""
        if len(self.files) >= limit or (limit < 1 << 16 and max(self.files, default=0) | 63 >= limit):
            raise LinuxError(EMFILE)
        other = FdTable()
        other.files = {fd: file.retain() for fd, file in self.files.items()}
        other.cloexec = set(self.cloexec)
        other.lowest = self.lowest
        other.room = room_for(max(self.files, default=0))
        other.inherited = frozenset(other.files.values())
        return other

    def drop(self, task: Task) -> None:
        """One task less uses this table; the last one closes everything."""
        self.sharers -= 1
        if self.sharers == 0:
            self.close_all(task)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self.files))


class DirectoryDescription(FileDescription):
    """An open directory: `entries` through the inode, data operations refused with EISDIR."""

    kind = "directory"
    seekable = True
    reads_vectors = False

    def read(self, task: Task, length: int) -> bytes:
        raise LinuxError(EISDIR)

    def pread(self, task: Task, length: int, offset: int) -> bytes:
        raise LinuxError(EISDIR)


NOWHERE = frozenset(("eventfd", "eventpoll", "inotify", "landlock-ruleset", "mqueue", "namespace", "pidfd", "signalfd",
                     "socket", "timerfd"))
"""Kinds of files on mounts that only the kernel has, from which nothing is executed (SB_I_NOEXEC)."""


def is_noexec(file: FileDescription) -> bool:
    """path_noexec: the file lies on a mount of MS_NOEXEC, or on one that only the kernel has."""
    location = file.location
    if file.kind in NOWHERE or (file.kind == "pipe" and location is None):
        return True
    return location is not None and bool(location.mount.flags & 8)
