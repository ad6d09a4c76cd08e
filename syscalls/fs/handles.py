"""File handles: names of files that outlive their paths (fs/fhandle.c).

A handle carries the inode number and a generation, as Linux's FILEID_INO64_GEN does.  Hosts find files by path only,
so the kernel remembers where each file that got a handle is: its pinned dentry follows the guests' renames, and the
handle is stale when the name is gone or leads to another inode.
"""

from __future__ import annotations

import struct

from syscalls.abi.errno import EFAULT, EINVAL, ELOOP, EOPNOTSUPP, EOVERFLOW, EPERM, ESTALE, LinuxError
from syscalls.abi.fs import AT_FDCWD
from syscalls.credentials import CAP_DAC_READ_SEARCH
from syscalls.fs.inode import S_IFLNK, S_IFMT
from syscalls.fs.mounts import Location, pin_dentry
from syscalls.fs.walk import inode_of
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

    from syscalls.fd import FileDescription
    from syscalls.fs.mounts import Dentry, Mount
    from syscalls.fs.vfs import Vfs
    from syscalls.task import Task

MAX_HANDLE_SZ = 128
FILEID_INO64_GEN = 0x81
LENGTH = 12
"""Bytes of a handle: inode number, generation."""
HEAD = 8
"""handle_bytes and handle_type, before the handle itself."""
NOT_EXPORTED = ("proc", "pipefs", "sockfs", "none")
"""File systems without export_operations."""


class HandleTable:
    """What handles were given out, by st_dev and inode number."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], tuple[Dentry, int]] = {}
        self.generation = 0

    def give(self, task: Task, location: Location) -> bytes:
        key = location.inode.identity(task)
        entry = self.known.get(key)
        if entry is None or entry[0].deleted:
            self.generation += 1
            dentry = pin_dentry(location.mount.filesystem, location.dentry)
            entry = self.known[key] = dentry, self.generation
        return struct.pack("<QI", key[1], entry[1])

    def find(self, task: Task, mount: Mount, handle: bytes) -> Location:
        """ESTALE for a file that is gone, or of another file system."""
        number, generation = struct.unpack("<QI", handle)
        device = mount.filesystem.root.identity(task)[0]
        entry = self.known.get((device, number))
        if entry is None or entry[1] != generation or entry[0].deleted:
            raise LinuxError(ESTALE)
        try:
            inode = inode_of(task, mount, entry[0].path)
            if inode.identity(task) != (device, number):
                raise LinuxError(ESTALE)
        except HostError:
            raise LinuxError(ESTALE) from None
        return Location(mount, entry[0], inode)


def _table(vfs: Vfs) -> HandleTable:
    if vfs.handles is None:
        vfs.handles = HandleTable()
    return vfs.handles


def name_to_handle(vfs: Vfs, task: Task, location: Location, handle: int, mount_id: int) -> None:
    """do_sys_name_to_handle.  EOPNOTSUPP, EINVAL, EFAULT; EOVERFLOW, with the length told, when it does not fit."""
    if location.mount is vfs.anonymous or location.mount.filesystem.name in NOT_EXPORTED:
        raise LinuxError(EOPNOTSUPP)
    room = task.mem.u32(handle)
    if room > MAX_HANDLE_SZ:
        raise LinuxError(EINVAL)
    data = _table(vfs).give(task, location) if room >= LENGTH else b""
    if not task.mem.writable(mount_id, 4):
        raise LinuxError(EFAULT)
    task.mem.put_u32(mount_id, location.mount.id)
    task.mem.write(handle, struct.pack("<Ii", LENGTH, FILEID_INO64_GEN) + data)
    if not data:
        raise LinuxError(EOVERFLOW)


def open_by_handle(vfs: Vfs, task: Task, mount_fd: int, handle: int,
                   flags: int) -> FileDescription | Awaitable[FileDescription]:
    """do_handle_open.  EPERM without CAP_DAC_READ_SEARCH, EFAULT, EINVAL, EBADF, ESTALE, ELOOP for a link."""
    length, kind = struct.unpack("<Ii", task.mem.read(handle, HEAD))
    if not 0 < length <= MAX_HANDLE_SZ:
        raise LinuxError(EINVAL)
    if not task.cred.capable(CAP_DAC_READ_SEARCH):
        raise LinuxError(EPERM)
    data = task.mem.read(handle + HEAD, length)
    if mount_fd == AT_FDCWD:
        place: Location | None = task.fs.cwd
    else:
        place = task.files.get_raw(mount_fd).location
    if place is None or kind != FILEID_INO64_GEN or length < LENGTH:
        raise LinuxError(ESTALE)
    location = _table(vfs).find(task, place.mount, data[:LENGTH])
    if location.inode.mode & S_IFMT == S_IFLNK:
        raise LinuxError(ELOOP)
    return vfs.open_location(task, location, flags)
