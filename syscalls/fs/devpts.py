"""Pseudo-terminals (drivers/tty/pty.c) and the file system that names them (fs/devpts): man 7 pty.

Opening /dev/ptmx makes a pair: a master, which is only this descriptor, and a slave, /dev/pts/N, which is a terminal.
A master is a byte stream without a line discipline of its own; its reads are what programs wrote on the slave.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EBUSY, EFAULT, EINVAL, EIO, ENOSPC, LinuxError
from syscalls.abi.fs import O_ACCMODE, O_CLOEXEC, O_LARGEFILE, O_NOCTTY, O_NONBLOCK
from syscalls.abi.ioctl import (
    FIONREAD,
    TCFLSH,
    TIOCGPKT,
    TIOCGPTLCK,
    TIOCGPTN,
    TIOCGPTPEER,
    TIOCOUTQ,
    TIOCPKT,
    TIOCSIG,
    TIOCSPTLCK,
)
from syscalls.abi.signal import SIGINT, SIGQUIT, SIGTSTP
from syscalls.abi.tty import (
    EXTPROC,
    IXON,
    PTS_MAJOR,
    TIOCPKT_DATA,
    TIOCPKT_DOSTOP,
    TIOCPKT_FLUSHREAD,
    TIOCPKT_FLUSHWRITE,
    TIOCPKT_IOCTL,
    TIOCPKT_NOSTOP,
    TIOCPKT_START,
    TIOCPKT_STOP,
    TTYAUX_MAJOR,
    VSTART,
    VSTOP,
    Termios,
    device_number,
)
from syscalls.credentials import CAP_SYS_ADMIN
from syscalls.fd import POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM, FileDescription
from syscalls.fs.inode import S_IFCHR, Inode, Stat
from syscalls.fs.simple import Node, SimpleDirectory, SimpleFileSystem
from syscalls.tty import INPUT_LIMIT, READABLE, WRITABLE, Tty
from syscalls.wait import WaitQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.vfs import Location
    from syscalls.kernel import Kernel
    from syscalls.task import Task
    from syscalls.tty import TtyFile

DEVPTS_MAGIC = 0x1CD1
OUTPUT_LIMIT = 12288
"""Bytes written on a slave that the master has not read."""
N_TTY_BUF_SIZE = 4096
"""How many of them are in the master's line discipline, where flushing the slave's output does not reach."""
MASTER_READ_MAX = 4095
"""The most that one read of a master returns, as the ring of its line discipline holds."""
MAX_PTYS = 4096
TTY_GID = 5
FIRST_INODE = 3


class PtySlave(Tty):
    """The near end of a pair; its far end is `master`."""

    def __init__(self, kernel: Kernel, index: int) -> None:
        super().__init__(kernel, b"pts/%d" % index, PTS_MAJOR + (index >> 8), index & 0xFF)
        self.index = index
        self.master: PtyMaster
        self.locked = True
        self.was_opened = False

    def output(self, data: bytes) -> int:
        return self.master.put(data)

    def output_room(self) -> int:
        return 0 if self.master.closed else OUTPUT_LIMIT - len(self.master.buffer)

    def flush_output(self) -> None:
        # pty_flush_buffer drops what is on its way; what the master's line discipline took is the reader's.
        del self.master.buffer[N_TTY_BUF_SIZE:]
        self.master.note(TIOCPKT_FLUSHWRITE)

    def input_flushed(self) -> None:
        self.master.note(TIOCPKT_FLUSHREAD)

    def flow_changed(self) -> None:
        master = self.master
        if self.stopped:
            master.status &= ~TIOCPKT_START
            master.note(TIOCPKT_STOP)
        else:
            master.status &= ~TIOCPKT_STOP
            master.note(TIOCPKT_START)

    def settings_changed(self, old: Termios) -> None:
        """pty_set_termios: what a master in packet mode hears of."""
        new, master = self.termios, self.master
        if not master.packet:
            return
        if (old.lflag | new.lflag) & EXTPROC:
            master.note(TIOCPKT_IOCTL)
        was, now = _usual_flow(old), _usual_flow(new)
        if was != now:
            master.status &= ~(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP)
            master.note(TIOCPKT_DOSTOP if now else TIOCPKT_NOSTOP)

    def more_input(self) -> None:
        self.master.queue.wake(WRITABLE)

    def last_file_closed(self) -> None:
        self.master.slave_gone(True)

    def open(self, task: Task | None, flags: int, inode: Inode, location: Location | None) -> TtyFile:
        """EIO while it is locked or when the master has gone."""
        if self.locked or self.master.closed:
            raise LinuxError(EIO)
        if self.exclusive and task is not None and not task.cred.capable(CAP_SYS_ADMIN):
            raise LinuxError(EBUSY)
        self.master.slave_gone(False)
        return super().open(task, flags, inode, location)


def _usual_flow(termios: Termios) -> bool:
    return bool(termios.iflag & IXON) and termios.cc[VSTOP] == 0x13 and termios.cc[VSTART] == 0x11


class PtyMaster(FileDescription):
    """The open description that is the far end of a slave."""

    kind = "pty"
    nowait = False
    pollable = True
    stream = True

    def __init__(self, slave: PtySlave, table: PtyTable, flags: int, location: Location | None, inode: Inode) -> None:
        super().__init__(flags, location, inode)
        self.slave = slave
        self.table = table
        self.buffer = bytearray()
        self.closed = False
        self.other_closed = False
        self.packet = False
        self.status = 0
        """TIOCPKT_ bits to report in packet mode."""
        self.queue = WaitQueue()

    # --- called by the slave

    def put(self, data: bytes) -> int:
        part = data[:max(0, OUTPUT_LIMIT - len(self.buffer))]
        if part and not self.closed:
            self.buffer += part
            self.queue.wake(READABLE)
        return len(part)

    def note(self, status: int) -> None:
        if self.packet:
            self.status |= status
            self.queue.wake(READABLE | POLLPRI)

    def slave_gone(self, gone: bool) -> None:
        """The slave's last descriptor was closed, or the first one opened again."""
        self.other_closed = gone
        if gone:
            self.packet = False
            self.queue.wake()

    # --- the descriptor

    def read(self, task: Task, length: int) -> bytes:
        if self.packet and self.status and length:
            status, self.status = self.status, 0
            return bytes((status,))
        buffer = self.buffer
        if not buffer:
            if not length:
                return b""
            raise LinuxError(EIO if self.other_closed else EAGAIN)
        if self.packet:
            length -= 1
        out = bytes(buffer[:min(length, MASTER_READ_MAX)])
        was_full = len(buffer) >= OUTPUT_LIMIT or bool(self.slave.ldisc.echo)
        del buffer[:len(out)]
        # A slave's writer that found little room, for a newline say, waits as well.
        if was_full or self.slave.queue.entries:
            self.slave.wake_writers()
        return bytes((TIOCPKT_DATA,)) + out if self.packet else out

    def write(self, task: Task, data: bytes) -> int:
        if not data:
            return 0
        done = 0
        while done < len(data):
            taken = self.slave.input(bytes(data[done:done + INPUT_LIMIT]))
            if not taken:
                break
            done += taken
        if not done:
            raise LinuxError(EAGAIN)
        return done

    def ready(self, mask: int) -> int:
        bits = 0
        if self.buffer:
            bits |= READABLE
        if self.packet and self.status:
            bits |= POLLPRI | POLLIN | POLLRDNORM
        if self.other_closed:
            bits |= POLLHUP
        if len(self.slave.backlog) < INPUT_LIMIT:
            bits |= POLLOUT | POLLWRNORM
        return bits & (mask | POLLHUP)

    def ioctl(self, task: Task, code: int, arg: int) -> int:
        slave = self.slave
        mem = task.mem
        if code == TIOCGPTN:
            mem.put_u32(arg, slave.index)
        elif code == TIOCSPTLCK:
            slave.locked = bool(mem.s32(arg))
        elif code == TIOCGPTLCK:
            mem.put_u32(arg, slave.locked)
        elif code == TIOCPKT:
            on = bool(mem.s32(arg))
            if on and not self.packet:
                self.status = 0
            self.packet = on
        elif code == TIOCGPKT:
            mem.put_u32(arg, self.packet)
        elif code == TIOCSIG:
            if arg not in {SIGINT, SIGQUIT, SIGTSTP}:
                raise LinuxError(EINVAL)
            slave.signal_foreground(arg)
        elif code == TIOCGPTPEER:
            return self._open_peer(task, arg)
        elif code == FIONREAD:
            mem.put_u32(arg, len(self.buffer))
        elif code == TIOCOUTQ:
            mem.put_u32(arg, 0)
        elif code == TCFLSH:
            self._flush(arg)
        else:
            from syscalls.tty_ioctl import tty_ioctl
            return tty_ioctl(task, self, None, slave, code, arg)
        return 0

    def _flush(self, which: int) -> None:
        """tcflush(3) on the master: its input is the slave's output."""
        if which not in {0, 1, 2}:
            raise LinuxError(EINVAL)
        if which != 1:
            self.buffer.clear()
            self.slave.wake_writers()
        if which != 0:
            self.slave.backlog.clear()
            self.slave.ldisc.flush_input()

    def _open_peer(self, task: Task, flags: int) -> int:
        """TIOCGPTPEER: open the slave, whatever is mounted where."""
        from syscalls.task import RLIMIT_NOFILE
        inode = self.table.inodes[self.slave.index]
        location = self.table.location_of(task, self.slave.index)
        self.slave.locked = False
        file = self.slave.open(task, flags & (O_ACCMODE | O_NONBLOCK), inode, location)
        if not flags & O_NOCTTY:
            from syscalls.ctty import open_sets_controlling
            open_sets_controlling(task, self.slave, file)
        return task.files.install(file, bool(flags & O_CLOEXEC), task.group.soft_limit(RLIMIT_NOFILE))

    def released(self) -> None:
        self.closed = True
        slave = self.slave
        slave.other_closed = True
        self.table.remove(slave.index)
        slave.hangup()

    def describe(self) -> bytes:
        return b"/dev/ptmx"

    def fdinfo(self, task: Task) -> list[tuple[str, str]]:
        return [("tty-index", str(self.slave.index))]


class PtsInode(Node):
    """/dev/pts/N: a terminal, for as long as it exists."""

    def __init__(self, filesystem: DevPts, tty: Tty, index: int, uid: int, gid: int, mode: int) -> None:
        super().__init__(filesystem, S_IFCHR | mode, uid=uid, gid=gid, number=index + FIRST_INODE)
        self.tty = tty

    def stat(self, task: Task) -> Stat:
        stat = super().stat(task)
        stat.rdev = self.tty.device
        stat.blksize = 1024
        return stat

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        from syscalls.fs.devfs import open_tty
        return open_tty(task, self.tty, self, flags, location)


class PtmxInode(Node):
    """/dev/pts/ptmx."""

    def __init__(self, filesystem: DevPts) -> None:
        super().__init__(filesystem, S_IFCHR | 0o666, number=2)

    def stat(self, task: Task) -> Stat:
        stat = super().stat(task)
        stat.rdev = device_number(TTYAUX_MAJOR, 2)
        return stat

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        return pty_table(task.kernel).open_master(task, flags, self, location)


class PtyTable:
    """The terminals of /dev/pts by number; `filesystem` shows them."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.inodes: dict[int, PtsInode] = {}
        self.filesystem: DevPts | None = None

    def add(self, tty: Tty, index: int, uid: int, gid: int, mode: int) -> PtsInode:
        assert self.filesystem is not None
        node = self.inodes[index] = PtsInode(self.filesystem, tty, index, uid, gid, mode)
        now = self.kernel.clock.realtime()
        node.times = (now, now, now)
        return node

    def remove(self, index: int) -> None:
        self.inodes.pop(index, None)

    def open_master(self, task: Task, flags: int, inode: Inode, location: Location) -> PtyMaster:
        """A new pair.  ENOSPC when there are too many."""
        index = 0
        while index in self.inodes:
            index += 1
        if index >= MAX_PTYS:
            raise LinuxError(ENOSPC)
        slave = PtySlave(self.kernel, index)
        master = PtyMaster(slave, self, flags & (O_ACCMODE | O_NONBLOCK | O_LARGEFILE), location, inode)
        slave.master = master
        self.add(slave, index, task.cred.fsuid, TTY_GID, 0o620)
        return master

    def location_of(self, task: Task, index: int) -> Location:
        """Where programs find terminal N.  ENOENT when /dev/pts is hidden from them."""
        return task.kernel.vfs.resolve(task, b"/dev/pts/%d" % index)


def pty_table(kernel: Kernel) -> PtyTable:
    table = kernel.ptys
    if table is None:
        table = kernel.ptys = PtyTable(kernel)
        table.filesystem = DevPts(kernel, table)
    return table


class DevPts(SimpleFileSystem):
    def __init__(self, kernel: Kernel, table: PtyTable) -> None:
        super().__init__(PTS_DEVICE, "devpts", DEVPTS_MAGIC, kernel.start_realtime_ns)
        self.table = table
        ptmx = PtmxInode(self)

        def children(task: Task) -> dict[bytes, Inode]:
            out: dict[bytes, Inode] = {b"%d" % index: node for index, node in sorted(table.inodes.items())}
            out[b"ptmx"] = ptmx
            return out

        self.root = SimpleDirectory(self, children, 0o755, number=1)


PTS_DEVICE = 24
"""st_dev: an anonymous device number."""


def make_devpts(kernel: Kernel) -> DevPts:
    """The file system for /dev/pts: one for a kernel."""
    filesystem = pty_table(kernel).filesystem
    if filesystem is None:
        raise LinuxError(EFAULT)
    return filesystem
