"""States of the kernel that a rule may ask for, where an answer depends on more than the arguments."""

from __future__ import annotations

from syscalls.abi.errno import LinuxError
from syscalls.abi.fs import AT_FDCWD
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.fd import FileDescription
    from syscalls.fs.inode import Inode
    from syscalls.fs.vfs import Location
    from syscalls.task import Task

AF_UNIX, AF_INET, AF_INET6, TCP_LISTEN, SOCK_DGRAM = 1, 2, 10, 10, 2
S_IFMT, S_IFDIR, S_IFREG = 0o170000, 0o040000, 0o100000
GRANULARITY = 0x10000
"""NT maps views of files at multiples of 64 KiB."""


def _file(task: Task, fd: int) -> FileDescription | None:
    try:
        return task.files.get(((fd & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000)
    except LinuxError:
        return None


def _place(task: Task, address: int, dirfd: int = AT_FDCWD, *, follow: bool = False) -> Location | None:
    try:
        return task.kernel.vfs.resolve(task, task.mem.path(address), dirfd, follow=follow)
    except (LinuxError, HostError):
        return None


def inet(task: Task, args: tuple[int, ...]) -> bool:
    """The first argument is a socket of IPv4 or IPv6."""
    return getattr(_file(task, args[0]), "family", 0) in (AF_INET, AF_INET6)


def udp(task: Task, args: tuple[int, ...]) -> bool:
    """The first argument is a datagram socket of IPv4 or IPv6."""
    return inet(task, args) and getattr(_file(task, args[0]), "type", 0) == SOCK_DGRAM


def listens(task: Task, args: tuple[int, ...]) -> bool:
    """The first argument is an AF_UNIX socket that listens already."""
    file = _file(task, args[0])
    return getattr(file, "family", 0) == AF_UNIX and getattr(file, "state", 0) == TCP_LISTEN


def _mapped(task: Task, inode: Inode) -> bool:
    key = inode.identity(task)
    for mm in {other.mm for other in task.kernel.tasks.values() if not other.dead}:
        for area in mm.vmas:
            location = area.location
            if location is not None and location.inode.filesystem is inode.filesystem and (
                    location.inode.identity(task) == key):
                return True
    return False


def shrinks_mapped(task: Task, args: tuple[int, ...]) -> bool:
    """ftruncate(fd, length) would shorten a file that some process has mapped."""
    file = _file(task, args[0])
    return file is not None and file.inode is not None and _shrinks(task, file.inode, args[1])


def shrinks_mapped_path(task: Task, args: tuple[int, ...]) -> bool:
    """The same for truncate(path, length)."""
    place = _place(task, args[0], follow=True)
    return place is not None and _shrinks(task, place.inode, args[1])


def _shrinks(task: Task, inode: Inode, length: int) -> bool:
    if inode.mode & S_IFMT != S_IFREG:
        return False
    try:
        size = inode.stat(task).size
    except (LinuxError, HostError):
        return False
    return length < size and _mapped(task, inode)


def open_below(task: Task, args: tuple[int, ...]) -> bool:
    """rename(old, ...): `old` is a directory, and a file below it is open."""
    return _held_below(task, _place(task, args[0]))


def open_below_at(task: Task, args: tuple[int, ...]) -> bool:
    """The same for renameat(dirfd, old, ...)."""
    return _held_below(task, _place(task, args[1], _signed(args[0])))


def _signed(word: int) -> int:
    return ((word & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def _held_below(task: Task, place: Location | None) -> bool:
    if place is None or place.inode.mode & S_IFMT != S_IFDIR:
        return False
    top = place.dentry.path
    filesystem = place.mount.filesystem
    for files in {other.files for other in task.kernel.tasks.values() if not other.dead}:
        for fd in files:
            location = files.get_raw(fd).location
            if location is not None and location.mount.id and location.mount.filesystem is filesystem and (
                    location.dentry.path.startswith(top + b"/") and not location.dentry.deleted):
                return True
    return False


def watched(task: Task, args: tuple[int, ...]) -> bool:
    """rename(old, ...): somebody watches the directory `old` (inotify)."""
    return _is_watched(task, _place(task, args[0]))


def watched_at(task: Task, args: tuple[int, ...]) -> bool:
    """The same for renameat(dirfd, old, ...)."""
    return _is_watched(task, _place(task, args[1], _signed(args[0])))


def _is_watched(task: Task, place: Location | None) -> bool:
    table = task.kernel.watches
    return (table is not None and place is not None and place.inode.mode & S_IFMT == S_IFDIR
            and bool(table.marks.get(place.inode.identity(task))))


def same_names(task: Task, args: tuple[int, ...]) -> bool:
    """rename(old, new): both strings are the same."""
    return _same(task, args[0], args[1])


def _same(task: Task, first: int, second: int) -> bool:
    try:
        return task.mem.path(first) == task.mem.path(second)
    except LinuxError:
        return False


def same_names_at(task: Task, args: tuple[int, ...]) -> bool:
    """renameat(olddirfd, old, newdirfd, new): both directories and strings are the same."""
    return args[0] & 0xFFFFFFFF == args[2] & 0xFFFFFFFF and _same(task, args[1], args[3])


def unaligned_view(task: Task, args: tuple[int, ...]) -> bool:
    """mmap with an address that is a hint, of a file, at an offset that is no multiple of 64 KiB."""
    return bool(args[0]) and not args[3] & 0x30 and bool(args[5] % GRANULARITY) and _file(task, args[4]) is not None


def empty_file(task: Task, args: tuple[int, ...]) -> bool:
    """mmap of a regular file that is empty."""
    if args[3] & 0x20:
        return False
    file = _file(task, args[4])
    if file is None or file.inode is None or file.inode.mode & S_IFMT != S_IFREG:
        return False
    try:
        return not file.stat(task).size
    except (LinuxError, HostError):
        return False


def file_mapping(task: Task, args: tuple[int, ...]) -> bool:
    """madvise: a mapping of a file begins there, shared."""
    area = task.mm.find(args[0])
    return area is not None and area.location is not None and area.shared


def must_move(task: Task, args: tuple[int, ...]) -> bool:
    """mremap that grows the mapping of a file where it cannot stay."""
    start, old, new = args[0], args[1], args[2]
    area = task.mm.find(start)
    if area is None or area.location is None or new <= old:
        return False
    return any(other.start < start + new and other.end > start + old for other in task.mm.vmas)


def pipe(task: Task, args: tuple[int, ...]) -> bool:
    """The first argument is a pipe."""
    return getattr(_file(task, args[0]), "kind", "") == "pipe"


def root(task: Task, args: tuple[int, ...]) -> bool:
    """The caller is the superuser."""
    return task.cred.euid == 0


def elf32(task: Task, args: tuple[int, ...]) -> bool:
    """execve(path, ...): a program for 32-bit processors."""
    place = _place(task, args[0], follow=True)
    if place is None or place.inode.mode & S_IFMT != S_IFREG:
        return False
    try:
        file = place.inode.open(task, 0, place)
        head = file.pread(task, 5, 0)
        file.retain().release()
    except (LinuxError, HostError):
        return False
    return head == b"\x7fELF\x01"


CONDITIONS: dict[str, Callable[[Task, tuple[int, ...]], bool]] = {
    function.__name__: function for function in (
        inet, udp, listens, shrinks_mapped, shrinks_mapped_path, open_below, open_below_at, watched, watched_at,
        same_names, same_names_at, unaligned_view, empty_file, file_mapping, must_move, pipe, root, elf32)}


def find(name: str) -> Callable[[Task, tuple[int, ...]], bool]:
    if name not in CONDITIONS:
        raise ValueError(f"@{name} is no condition; there are {', '.join('@' + known for known in sorted(CONDITIONS))}")
    return CONDITIONS[name]
