"""/dev and the character devices of the kernel (drivers/char/mem.c, random.c; drivers/tty).

`DEVICES` serves device nodes of any file system, by kind and number: a node that the host's tree has, too, is the
kernel's own device and never the host's.
"""

from __future__ import annotations

from syscalls.abi.errno import (
    EAGAIN,
    EFAULT,
    EINVAL,
    EIO,
    ENODATA,
    ENODEV,
    ENOSPC,
    ENOTTY,
    ENXIO,
    EOPNOTSUPP,
    EPERM,
    LinuxError,
)
from syscalls.abi.fs import CREATION_FLAGS, O_ACCMODE, O_NOCTTY
from syscalls.abi.ioctl import RNDADDENTROPY, RNDADDTOENTCNT, RNDCLEARPOOL, RNDGETENTCNT, RNDRESEEDCRNG, RNDZAPENTCNT
from syscalls.abi.tty import TTYAUX_MAJOR, device_number
from syscalls.credentials import CAP_SYS_ADMIN
from syscalls.fd import POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, FileDescription
from syscalls.fs.inode import S_IFCHR, S_IFDIR, S_IFMT, FileSystem, Inode, Stat, StatFs, check_attribute_name
from syscalls.fs.simple import Node, SimpleDirectory, SimpleFileSystem, SymlinkNode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.fs.vfs import Location
    from syscalls.kernel import Kernel
    from syscalls.task import Task
    from syscalls.tty import Tty
    from translator.machine import Backing

    Opener = Callable[[Task, Inode, int, Location], FileDescription]

TMPFS_MAGIC = 0x01021994
DEV_DEVICE = 5
"""st_dev of /dev."""
MEM_MAJOR = 1
ENTROPY_BITS = 256
RANDOM_MAX = 32 << 20
ZERO_MAX = 32 << 20
"""The most bytes one read returns, to bound what is copied at once."""
CAP_SYSLOG = 34


class Device(FileDescription):
    """A description of a memory device: positions mean nothing."""

    kind = "device"
    seekable = True
    moves = False

    def __init__(self, task: Task, inode: Inode, flags: int, location: Location) -> None:
        super().__init__(flags & ~CREATION_FLAGS, location, inode)
        self.kernel = task.kernel

    def seek(self, task: Task, offset: int, whence: int) -> int:
        """null_lseek: always at 0."""
        self.offset = 0
        return 0

    def unread(self, data: bytes) -> None:
        """Nothing to take back."""

    def pread(self, task: Task, length: int, offset: int) -> bytes:
        return self.read(task, length)

    def pwrite(self, task: Task, data: bytes, offset: int) -> int:
        return self.write(task, data)


class Null(Device):
    ignores_input = True
    splice_source = False

    def read(self, task: Task, length: int) -> bytes:
        return b""

    def write(self, task: Task, data: bytes) -> int:
        return len(data)


class Zero(Device):
    ignores_input = True

    def read(self, task: Task, length: int) -> bytes:
        return bytes(min(length, ZERO_MAX))

    def write(self, task: Task, data: bytes) -> int:
        return len(data)

    def backing(self, task: Task, shared: bool, prot: int) -> Backing:
        """Anonymous memory, shared by those who inherit the mapping (mmap_zero)."""
        from syscalls.shared_memory import SharedMemory
        return SharedMemory(task.kernel, 1 << 47)


class Full(Zero):
    nowait = splice_target = writes_vectors = False

    def write(self, task: Task, data: bytes) -> int:
        raise LinuxError(ENOSPC)

    def backing(self, task: Task, shared: bool, prot: int) -> Backing:
        raise LinuxError(ENODEV)


class Urandom(Device):
    """Bytes from the host."""

    def read(self, task: Task, length: int) -> bytes:
        return self.kernel.random(min(length, RANDOM_MAX))

    def write(self, task: Task, data: bytes) -> int:
        return len(data)

    def ioctl(self, task: Task, code: int, arg: int) -> int:
        if code == RNDGETENTCNT:
            task.mem.put_u32(arg, ENTROPY_BITS)
            return 0
        if code not in {RNDADDTOENTCNT, RNDADDENTROPY, RNDZAPENTCNT, RNDCLEARPOOL, RNDRESEEDCRNG}:
            raise LinuxError(EINVAL)
        if not task.cred.capable(CAP_SYS_ADMIN):
            raise LinuxError(EPERM)
        if code in {RNDADDTOENTCNT, RNDADDENTROPY} and task.mem.s32(arg) < 0:
            raise LinuxError(EINVAL)
        return 0


class Random(Urandom):
    """/dev/random can be polled, for reading: it never blocks once the kernel is up."""

    pollable = True

    def ready(self, mask: int) -> int:
        return (POLLIN | POLLRDNORM) & mask


class KernelLog(Device):
    """/dev/kmsg: an empty log; what is written is not kept."""

    pollable = True

    def read(self, task: Task, length: int) -> bytes:
        raise LinuxError(EAGAIN)

    def write(self, task: Task, data: bytes) -> int:
        return len(data)

    def ready(self, mask: int) -> int:
        return (POLLOUT | POLLWRNORM) & mask

    def ioctl(self, task: Task, code: int, arg: int) -> int:
        raise LinuxError(ENOTTY)


def _null(task: Task, inode: Inode, flags: int, location: Location) -> FileDescription:
    return Null(task, inode, flags, location)


def _zero(task: Task, inode: Inode, flags: int, location: Location) -> FileDescription:
    return Zero(task, inode, flags, location)


def _full(task: Task, inode: Inode, flags: int, location: Location) -> FileDescription:
    return Full(task, inode, flags, location)


def _random(task: Task, inode: Inode, flags: int, location: Location) -> FileDescription:
    return Random(task, inode, flags, location)


def _urandom(task: Task, inode: Inode, flags: int, location: Location) -> FileDescription:
    return Urandom(task, inode, flags, location)


def _kmsg(task: Task, inode: Inode, flags: int, location: Location) -> FileDescription:
    if flags & O_ACCMODE != 1 and not task.cred.capable(CAP_SYSLOG):
        raise LinuxError(EPERM)
    return KernelLog(task, inode, flags, location)


# --- terminals

def open_tty(task: Task, tty: Tty, inode: Inode, flags: int, location: Location, *,
             may_control: bool = True) -> FileDescription:
    """Open a terminal by name; a session leader without one gets it, unless O_NOCTTY.  EIO, EBUSY."""
    file = tty.open(task, flags & ~CREATION_FLAGS, inode, location)
    if may_control and not flags & O_NOCTTY:
        from syscalls.ctty import open_sets_controlling
        open_sets_controlling(task, tty, file)
    return file


def _controlling(task: Task, inode: Inode, flags: int, location: Location) -> FileDescription:
    """/dev/tty: whichever is the caller's.  ENXIO when it has none."""
    tty = task.group.session.tty
    if tty is None:
        raise LinuxError(ENXIO)
    if tty.other_closed:
        raise LinuxError(EIO)
    return tty.open(task, flags & ~CREATION_FLAGS, inode, location)


def _console(task: Task, inode: Inode, flags: int, location: Location) -> FileDescription:
    """/dev/console and the console's own node: the terminal pylx was started on.  ENODEV without one."""
    console = task.kernel.console
    if console is None or console.closed:
        raise LinuxError(ENODEV)
    return open_tty(task, console, inode, flags, location, may_control=False)


def _ptmx(task: Task, inode: Inode, flags: int, location: Location) -> FileDescription:
    from syscalls.fs.devpts import pty_table
    return pty_table(task.kernel).open_master(task, flags, inode, location)


def _slave(task: Task, inode: Inode, flags: int, location: Location) -> FileDescription:
    """A device node of a pty slave outside of /dev/pts."""
    from syscalls.abi.tty import PTS_MAJOR, split_device
    from syscalls.fs.devpts import pty_table
    major, minor = split_device(inode.stat(task).rdev)
    node = pty_table(task.kernel).inodes.get((major - PTS_MAJOR) * 256 + minor)
    if node is None:
        raise LinuxError(EIO)
    return open_tty(task, node.tty, inode, flags, location)


_NODES: list[tuple[bytes, int, int, int, Opener]] = [
    (b"null", MEM_MAJOR, 3, 0o666, _null),
    (b"zero", MEM_MAJOR, 5, 0o666, _zero),
    (b"full", MEM_MAJOR, 7, 0o666, _full),
    (b"random", MEM_MAJOR, 8, 0o666, _random),
    (b"urandom", MEM_MAJOR, 9, 0o666, _urandom),
    (b"kmsg", MEM_MAJOR, 11, 0o644, _kmsg),
    (b"tty", TTYAUX_MAJOR, 0, 0o666, _controlling),
    (b"console", TTYAUX_MAJOR, 1, 0o600, _console),
    (b"ptmx", TTYAUX_MAJOR, 2, 0o666, _ptmx),
]
"""Name, major, minor, permissions, how it is opened."""

DEVICES: dict[tuple[bool, int], Opener] = {
    (True, device_number(major, minor)): opener for _, major, minor, _, opener in _NODES}
"""By (is a character device, device number)."""

_MEMORY_DEVICES = {device_number(major, minor): b"/dev/" + name for name, major, minor, _, _ in _NODES
                   if major == MEM_MAJOR and name != b"kmsg"}


def device_path(rdev: int) -> bytes | None:
    """Where the guest has the memory device of that number: for standard streams."""
    return _MEMORY_DEVICES.get(rdev)


class DeviceNode(Node):
    def __init__(self, filesystem: SimpleFileSystem, mode: int, rdev: int, opener: Opener, *, uid: int = 0,
                 gid: int = 0) -> None:
        super().__init__(filesystem, S_IFCHR | mode, uid=uid, gid=gid)
        self.rdev = rdev
        self.opener = opener

    def stat(self, task: Task) -> Stat:
        stat = super().stat(task)
        stat.rdev = self.rdev
        return stat

    def truncate(self, task: Task, length: int) -> None:
        raise LinuxError(EINVAL)

    def getxattr(self, task: Task, name: bytes) -> bytes:
        """devtmpfs has attributes, and nobody has set one."""
        check_attribute_name(name)
        raise LinuxError(ENODATA)

    def setxattr(self, task: Task, name: bytes, value: bytes, flags: int) -> None:
        check_attribute_name(name)
        raise LinuxError(EOPNOTSUPP)

    def removexattr(self, task: Task, name: bytes) -> None:
        check_attribute_name(name)
        raise LinuxError(ENODATA)

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        return self.opener(task, self, flags, location)


class DevDirectory(SimpleDirectory):
    """The root of /dev: the system's nodes, and links, directories and nodes that guests make."""

    def mkdir(self, task: Task, name: bytes, mode: int) -> Inode:
        node = DevDirectory(self._simple(), {}, mode & 0o7777, uid=task.cred.fsuid, gid=task.cred.fsgid)
        self.add(name, node)
        return node

    def mknod(self, task: Task, name: bytes, mode: int, rdev: int) -> Inode:
        """Device nodes only."""
        if mode & S_IFMT != S_IFCHR:
            raise LinuxError(EPERM)
        node = DeviceNode(self._simple(), mode & 0o7777, rdev, open_by_number, uid=task.cred.fsuid,
                          gid=task.cred.fsgid)
        self.add(name, node)
        return node

    def symlink(self, task: Task, name: bytes, target: bytes) -> Inode:
        node = SymlinkNode(self._simple(), target, uid=task.cred.fsuid, gid=task.cred.fsgid)
        self.add(name, node)
        return node

    def unlink(self, task: Task, name: bytes) -> None:
        self.remove(name)

    def rmdir(self, task: Task, name: bytes) -> None:
        from syscalls.abi.errno import ENOTEMPTY
        node = self.lookup(task, name)
        if node.mode & S_IFMT == S_IFDIR and node.entries(task):
            raise LinuxError(ENOTEMPTY)
        self.remove(name)

    def _simple(self) -> SimpleFileSystem:
        filesystem = self.filesystem
        if not isinstance(filesystem, SimpleFileSystem):
            raise LinuxError(EFAULT)
        return filesystem


def open_by_number(task: Task, inode: Inode, flags: int, location: Location) -> FileDescription:
    """What a device node opens.  ENXIO: there is no such device."""
    stat = inode.stat(task)
    opener = DEVICES.get((stat.mode & S_IFMT == S_IFCHR, stat.rdev))
    if opener is None:
        if stat.mode & S_IFMT == S_IFCHR and 136 <= stat.rdev >> 8 & 0xFFF <= 143:
            return _slave(task, inode, flags, location)
        raise LinuxError(ENXIO)
    return opener(task, inode, flags, location)


class DevFileSystem(SimpleFileSystem):
    def statfs(self, task: Task, inode: Inode) -> StatFs:
        """As a tmpfs without a size given: half of the memory, and as many files."""
        blocks = task.kernel.host.memory()[0] // 2 // 4096
        return StatFs(self.magic, 4096, blocks, blocks, blocks, blocks, blocks, 255, 0)


def make_devfs(kernel: Kernel) -> FileSystem:
    """The file system for /dev; pts and shm are mounted on their directories."""
    filesystem = DevFileSystem(DEV_DEVICE, "devtmpfs", TMPFS_MAGIC, kernel.start_realtime_ns)
    filesystem.birth_ns = kernel.start_realtime_ns
    root = DevDirectory(filesystem, {}, 0o755)
    for name, major, minor, mode, opener in _NODES:
        gid = TTY_GID if major == TTYAUX_MAJOR and minor != 1 else 0
        root.add(name, DeviceNode(filesystem, mode, device_number(major, minor), opener, gid=gid))
    console = kernel.console
    if console is not None and not console.name.startswith(b"pts/") and b"/" not in console.name:
        if console.name not in root.children_of(kernel.init.leader):
            root.add(console.name, DeviceNode(filesystem, 0o620, console.device, _console, gid=TTY_GID))
    for name, target in ((b"fd", b"/proc/self/fd"), (b"stdin", b"/proc/self/fd/0"),
                         (b"stdout", b"/proc/self/fd/1"), (b"stderr", b"/proc/self/fd/2")):
        root.add(name, SymlinkNode(filesystem, target))
    root.add(b"pts", SimpleDirectory(filesystem, {}, 0o755))
    root.add(b"shm", SimpleDirectory(filesystem, {}, 0o1777))
    filesystem.root = root
    return filesystem


TTY_GID = 5
