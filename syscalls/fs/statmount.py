"""What statmount(2) and listmount(2) tell of mounts (fs/namespace.c), by the numbers of STATX_MNT_ID_UNIQUE."""

from __future__ import annotations

from struct import Struct

from syscalls.abi.errno import EBADF, EINVAL, ENOENT, EOVERFLOW, EPERM, LinuxError
from syscalls.abi.fs import (
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_NOSYMFOLLOW,
    MS_PRIVATE,
    MS_RDONLY,
    MS_RELATIME,
)
from syscalls.credentials import CAP_SYS_ADMIN
from syscalls.fs.hostfs import HostFs
from syscalls.fs.mounts import Dentry, Location
from syscalls.fs.procfs_mounts import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.mounts import Mount
    from syscalls.task import Task

LSMT_ROOT = (1 << 64) - 1
NAMESPACE_ID = 1
"""Of the one mount namespace."""
(SB_BASIC, MNT_BASIC, PROPAGATE_FROM, MNT_ROOT, MNT_POINT, FS_TYPE, MNT_NS_ID, MNT_OPTS, FS_SUBTYPE, SB_SOURCE,
 OPT_ARRAY, OPT_SEC_ARRAY, SUPPORTED_MASK, MNT_UIDMAP, MNT_GIDMAP) = (1 << bit for bit in range(15))
STRINGS = (MNT_ROOT | MNT_POINT | FS_TYPE | MNT_OPTS | FS_SUBTYPE | SB_SOURCE | OPT_ARRAY | OPT_SEC_ARRAY | MNT_UIDMAP
           | MNT_GIDMAP)
SUPPORTED = (1 << 15) - 1
SIZE = 512
"""Of struct statmount without its strings, in bytes."""
_LAYOUT = Struct("<IIQIIQIIQQIIQQQQQIIQIIIIIIQ")
"""Up to supported_mask; the maps of identities behind it are always empty."""
_ATTRIBUTES = ((MS_RDONLY, 1), (MS_NOSUID, 2), (MS_NODEV, 4), (MS_NOEXEC, 8), (MS_NODIRATIME, 0x80),
               (MS_NOSYMFOLLOW, 0x200000))
"""Flags of a mount, and MOUNT_ATTR_."""
NOATIME, STRICTATIME = 0x10, 0x20


def check_namespace(task: Task, fd: int, number: int) -> None:
    """grab_requested_mnt_ns: that it is the one there is.  EBADF, EINVAL: another kind of file; ENOENT."""
    if number:
        if number != NAMESPACE_ID:
            raise LinuxError(ENOENT)
    elif fd:
        try:
            file = task.files.get(fd - (1 << 32) if fd >> 31 else fd)
        except LinuxError:
            raise LinuxError(EBADF) from None
        if file.kind != "namespace" or getattr(file.inode, "kind", b"") != b"mnt":
            raise LinuxError(EINVAL)


def _seen_at(task: Task, mount: Mount) -> bytes | None:
    """Where the task sees a mount; None: outside its root."""
    return Location(mount, Dentry(mount.root), task.fs.root.inode).inside(task.fs.root)


def _mount(task: Task, number: int) -> Mount:
    """lookup_mnt_in_ns.  ENOENT; EPERM: outside the task's root."""
    mount = next((mount for mount in task.kernel.vfs.mounts.values() if mount.unique == number), None)
    if mount is None or not mount.attached():
        raise LinuxError(ENOENT)
    if _seen_at(task, mount) is None and not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    return mount


def below_mount(task: Task, number: int) -> list[int]:
    """The unique numbers of all mounts below one, in their order.  LSMT_ROOT: below the task's root."""
    mounts = task.kernel.vfs.mounts.values()
    if number == LSMT_ROOT:
        found = [mount for mount in mounts if mount.attached() and _seen_at(task, mount) is not None]
    else:
        top = _mount(task, number)
        found = [mount for mount in mounts if mount is not top and mount.attached() and _is_below(mount, top)]
    return sorted(mount.unique for mount in found)


def _is_below(mount: Mount, top: Mount) -> bool:
    parent = mount.parent
    while parent is not None and parent is not top:
        parent = parent.parent
    return parent is top


class _Texts:
    """The strings behind the structure: each ends with NUL, and the first is empty, for what is not told."""

    def __init__(self, room: int) -> None:
        self.data = bytearray(1)
        self.room = room
        self.mask = 0

    def add(self, bit: int, text: bytes) -> int:
        """Where it stands.  EOVERFLOW: no room."""
        if not text:
            return 0
        start = len(self.data)
        self.data += text
        if SIZE + len(self.data) >= self.room:
            raise LinuxError(EOVERFLOW)
        self.data.append(0)
        self.mask |= bit
        return start


def describe(task: Task, number: int, wanted: int, room: int) -> tuple[bytes, bytes]:
    """struct statmount in full, and the strings that come behind it in room for so many bytes of both.  ENOENT, EPERM,
    EOVERFLOW."""
    if wanted & STRINGS and room == SIZE:
        raise LinuxError(EOVERFLOW)
    mount = _mount(task, number)
    filesystem = mount.filesystem
    mask = wanted & (SB_BASIC | MNT_BASIC | PROPAGATE_FROM | MNT_NS_ID | SUPPORTED_MASK)
    device = filesystem.device
    basis = (0, 0, 0, 0)
    if wanted & SB_BASIC:
        magic = filesystem.tree.statfs(b"").type if isinstance(filesystem, HostFs) else filesystem.magic
        basis = (device >> 8 & 0xFFF, device & 0xFF | device >> 12 & 0xFFF00, magic, int(filesystem.readonly))
    place = (0,) * 8
    if wanted & MNT_BASIC:
        parent = mount.parent if mount.parent is not None else mount
        place = (mount.unique, parent.unique, mount.id, parent.id, _attributes(mount), MS_PRIVATE, 0, 0)
    texts = _Texts(room)
    at = dict.fromkeys((FS_TYPE, MNT_ROOT, MNT_POINT, MNT_OPTS, SB_SOURCE, OPT_ARRAY), 0)
    options = [option for option in mount.options.split(b",") if option]
    for bit, text in ((MNT_ROOT, b"/" + mount.root), (MNT_POINT, _seen_at(task, mount) or b""),
                      (MNT_OPTS, b",".join(options)), (OPT_ARRAY, b"\0".join(options)),
                      (SB_SOURCE, mount.source)):
        if bit == MNT_ROOT and wanted & FS_TYPE:
            at[FS_TYPE] = texts.add(FS_TYPE, type_name(mount))
        if wanted & bit:
            at[bit] = texts.add(bit, text)
    size = min(room, SIZE) + (len(texts.data) if wanted & STRINGS else 0)
    data = _LAYOUT.pack(size, at[MNT_OPTS], mask | texts.mask, *basis, at[FS_TYPE], *place, 0, at[MNT_ROOT],
                        at[MNT_POINT], NAMESPACE_ID if wanted & MNT_NS_ID else 0, 0, at[SB_SOURCE],
                        len(options) if at[OPT_ARRAY] else 0, at[OPT_ARRAY], 0, 0,
                        SUPPORTED if wanted & SUPPORTED_MASK else 0)
    return data.ljust(SIZE, b"\0"), bytes(texts.data) if wanted & STRINGS else b""


def _attributes(mount: Mount) -> int:
    bits = sum(attribute for flag, attribute in _ATTRIBUTES if mount.flags & flag)
    if mount.flags & MS_NOATIME:
        return bits | NOATIME
    return bits if mount.flags & MS_RELATIME else bits | STRICTATIME
