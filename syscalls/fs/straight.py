"""The short way through the host's file system, for what is mostly asked: plain paths with nothing in the way.

Where the host can follow a path, it is asked once for all of it, and once for each link that the path ends in.
Nothing is remembered of the tree but hints that are verified when they are used, so that what other programs do on
the host is seen at once.  Everything else is walked (walk.py), which this never contradicts.
"""

from __future__ import annotations

from syscalls.abi.fs import MS_NOSYMFOLLOW
from syscalls.fs.hostfs import HostFs
from syscalls.fs.inode import S_IFLNK, S_IFMT, Stat
from syscalls.fs.mounts import join, parent_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.mounts import Location, Mount
    from syscalls.task import Task

_FEW_LINKS = 8
"""More links than that are left to the walk, which counts all of them."""
_plain_paths: dict[bytes, bytes] = {}
"""What plain_path said: programs ask for the same paths again and again."""
_MAX_PLAIN_PATHS = 8192


def find(task: Task, path: bytes, start: Location, follow: bool, btime: bool) -> tuple[HostFs, bytes, Stat] | None:
    """Where a path that starts at `start` leads: the file system, the path in it, what is there.  None: walk.
    ENOENT, ENOTDIR, ... as the walk would raise them."""
    place = straight(task, path, start)
    links = 0
    while place is not None:
        filesystem, target = place
        stat = filesystem.tree.find(target, btime)
        if stat is None:
            return None
        if not follow or stat.mode & S_IFMT != S_IFLNK:
            return filesystem, target, stat
        links += 1
        if links > _FEW_LINKS or start.mount.flags & MS_NOSYMFOLLOW:
            return None
        link = filesystem.target(target, stat)
        if link[:1] != b"/":
            inner = plain_path(link)
            place = _past_mounts(start.mount, filesystem, join(parent_path(target), inner)) if inner else None
        elif task.fs.root.mount is start.mount:
            place = straight(task, link, task.fs.root)
        else:
            return None
    return None


def straight(task: Task, path: bytes, start: Location) -> tuple[HostFs, bytes] | None:
    """The file system of `start` and the path in it, when the host can follow it all alone: its file system, its
    permission checks right for this task, plain components, no mount point on the way."""
    mount = start.mount
    filesystem = mount.filesystem
    if not isinstance(filesystem, HostFs) or (filesystem.trusted is not task.cred
                                              and not filesystem.trusts(task.cred)):
        return None
    inner = _plain_paths.get(path)
    if inner is None:
        inner = plain_path(path)
    dentry = start.dentry
    if not inner or dentry.deleted:
        return None
    if dentry.path:
        inner = dentry.path + b"/" + inner
    head, slash, _ = inner.partition(b"/")
    if head in mount.heads:
        return None
    if slash and head in filesystem.head_links:
        return _past_mounts(mount, filesystem, inner)
    return filesystem, inner


def _past_mounts(mount: Mount, filesystem: HostFs, inner: bytes) -> tuple[HostFs, bytes] | None:
    """The same path, past a link that it begins with, unless mount points may be on the way."""
    head, _, rest = inner.partition(b"/")
    if head in mount.heads:
        return None
    if rest and head in filesystem.head_links and not mount.flags & MS_NOSYMFOLLOW:
        target = filesystem.head_target(head)
        if not target or target.partition(b"/")[0] in mount.heads:
            return None
        return filesystem, target + b"/" + rest
    return filesystem, inner


def plain_path(path: bytes) -> bytes:
    """The path without a leading slash when it is but components: no empty ones, `.`, `..` or slash at its end.
    Otherwise b""."""
    inner = path.removeprefix(b"/")
    plain = inner
    if not inner or inner[0] == 47 or inner[-1] == 47 or b"//" in inner:
        plain = b""
    elif b"/." in path or inner[0] == 46:
        if any(part in (b".", b"..") for part in inner.split(b"/")):
            plain = b""
    if len(_plain_paths) >= _MAX_PLAIN_PATHS:
        _plain_paths.clear()
    _plain_paths[path] = plain
    return plain
