"""/proc/PID/mounts, mountinfo and mountstats (fs/proc_namespace.c).  They can be polled for changes of the tree."""

from __future__ import annotations

from syscalls.abi.fs import MS_NOATIME, MS_NODEV, MS_NODIRATIME, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME
from syscalls.fd import POLLERR, POLLIN, POLLPRI, POLLRDNORM, FileDescription
from syscalls.fs.procfs import TaskFile, owner, text
from syscalls.fs.simple import TextDescription

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.mounts import Mount
    from syscalls.fs.procfs import Generator, Maker, ProcFs
    from syscalls.fs.simple import Node
    from syscalls.fs.vfs import Location, Vfs
    from syscalls.task import Task

_FLAG_NAMES = ((MS_NOSUID, "nosuid"), (MS_NODEV, "nodev"), (MS_NOEXEC, "noexec"), (MS_NOATIME, "noatime"),
               (MS_NODIRATIME, "nodiratime"))


def escape(path: bytes) -> bytes:
    """mangle(): blanks and backslashes in octal."""
    for c in b"\\ \t\n#":
        path = path.replace(bytes((c,)), b"\\%03o" % c)
    return path


def _options(mount: Mount) -> bytes:
    words = ["ro" if mount.flags & MS_RDONLY else "rw"]
    words += [name for bit, name in _FLAG_NAMES if mount.flags & bit]
    if mount.flags & MS_RELATIME:
        words.append("relatime")
    return ",".join(words).encode()


def _super_options(mount: Mount) -> bytes:
    state = b"ro" if mount.filesystem.readonly else b"rw"
    return state + b"," + mount.options if mount.options else state


def visible_mounts(target: Task, task: Task) -> list[tuple[Mount, bytes]]:
    """The mounts below the target's root, each with where it is seen."""
    if target.dead:
        return []
    from syscalls.fs.mounts import Dentry, Location
    root = target.fs.root
    out = []
    for mount in task.kernel.vfs.mounts.values():
        if not mount.attached():
            continue
        place = Location(mount, Dentry(mount.root), root.inode).inside(root)
        if place is not None:
            out.append((mount, place))
    return out


def type_name(mount: Mount) -> bytes:
    return mount.filesystem.name.encode() if mount.type in (b"hostfs", b"") else mount.type


def mounts(target: Task, task: Task) -> bytes:
    return b"".join(b"%s %s %s %s 0 0\n" % (escape(mount.source), escape(place), type_name(mount),
                                            _options(mount) + (b"," + mount.options if mount.options else b""))
                    for mount, place in visible_mounts(target, task))


def mountinfo(target: Task, task: Task) -> bytes:
    out = []
    for mount, place in visible_mounts(target, task):
        device = mount.filesystem.device
        major, minor = device >> 8 & 0xFFF, device & 0xFF | device >> 12 & 0xFFF00
        parent = mount.parent.id if mount.parent is not None else mount.id
        out.append(b"%d %d %d:%d %s %s %s - %s %s %s\n" % (
            mount.id, parent, major, minor, escape(b"/" + mount.root), escape(place), _options(mount),
            type_name(mount), escape(mount.source), _super_options(mount)))
    return b"".join(out)


def mountstats(target: Task, task: Task) -> bytes:
    return b"".join(b"device %s mounted on %s with fstype %s\n" % (escape(mount.source), escape(place),
                                                                    type_name(mount))
                    for mount, place in visible_mounts(target, task))


class MountsFile(TaskFile):
    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        super().open(task, flags, location)
        return MountsDescription(flags, location, self, task.kernel.vfs)


class MountsDescription(TextDescription):
    """POLLPRI and POLLERR tell, once, that mounts have come or gone (mounts_poll)."""

    pollable = True

    def __init__(self, flags: int, location: Location, inode: MountsFile, vfs: Vfs) -> None:
        super().__init__(flags, location, inode)
        self.vfs = vfs
        self.seen = vfs.mount_event
        self.queue = vfs.mount_queue

    def ready(self, mask: int) -> int:
        found = POLLIN | POLLRDNORM
        if self.seen != self.vfs.mount_event:
            self.seen = self.vfs.mount_event
            found |= POLLERR | POLLPRI
        return found & (mask | POLLERR)


def _file(mode: int, generate: Generator) -> Maker:
    def make(filesystem: ProcFs, target: Task, number: int) -> Node:
        uid, gid = owner(target)
        return MountsFile(filesystem, target, generate, None, mode, False, uid, gid, number)

    return make


MOUNT_ENTRIES: dict[bytes, Maker] = {
    b"mounts": _file(0o444, mounts),
    b"mountinfo": _file(0o444, mountinfo),
    b"mountstats": text(0o400, mountstats),
}
