"""The end of a file as those who watch it hear of it: when its last name is gone, and nobody uses it by that name."""

from __future__ import annotations

from syscalls.abi.fs import IN_DELETE_SELF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.mounts import Dentry
    from syscalls.fs.vfs import Vfs


class Ending:
    """Kept by a dentry whose name was removed: the event comes with the dentry's end (dentry_unlink_inode)."""

    __slots__ = ("flag", "identity", "vfs")

    def __init__(self, vfs: Vfs, identity: tuple[int, int], flag: int) -> None:
        self.vfs = vfs
        self.identity = identity
        self.flag = flag
        vfs.ending.add(identity)

    def __del__(self) -> None:
        self.vfs.ending.discard(self.identity)
        if self.vfs.notifier is not None and self.vfs.kernel.current is not None:
            self.vfs.notifier(self.identity, IN_DELETE_SELF | self.flag, b"", 0)


def tell_end(vfs: Vfs, identity: tuple[int, int], dentry: Dentry | None, flag: int) -> None:
    """The last name of a watched file was removed.  dentry: the pinned one that had it; flag: IN_ISDIR or 0."""
    if dentry is not None:
        dentry.keep(Ending(vfs, identity, flag))
    elif vfs.notifier is not None:
        vfs.notifier(identity, IN_DELETE_SELF | flag, b"", 0)
