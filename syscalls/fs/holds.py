"""What walks cannot get to any more, and Linux still can: it holds working directories, what is open, and `..` of
these by reference, while files of the host are found by their paths.
"""

from __future__ import annotations

from syscalls.fs.mounts import Dentry, below, parent_path, pin_dentry
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.hostfs import HostFs
    from translator.hosts.base import HostHold


def hold_below(filesystem: HostFs, directory: bytes) -> None:
    """Search rights of a directory are about to go: hold what is pinned there, and what is between.  As long as
    anything is held, the host refuses less than it would refuse the guest, and does not judge (HostFs.trusts)."""
    if not filesystem.uid:
        return  # the host lets root through
    for path, pin in list(filesystem.pins.items()):
        dentry = pin()
        if dentry is None or not below(path, directory):
            continue
        holds: list[HostHold] = []
        try:
            while not holds or (path != directory and below(path, directory)):
                holds.append(filesystem.tree.hold(path))
                path = parent_path(path)
        except HostError:
            continue  # it is out of reach already, or the host holds nothing
        dentry.hold = holds[0]
        dentry.keep(*holds[1:])
        filesystem.holding = True
        filesystem.forget_trust()


def hold_too(filesystem: HostFs, dentry: Dentry) -> None:
    """A place below what is held, that a walk has come to from there."""
    above = filesystem.tree.held_above(dentry.path)
    if above:
        try:
            dentry.hold = filesystem.tree.hold(dentry.path)
        except HostError:
            return
        dentry.keep(*above)


class Removal:
    """A name of the host that goes: who has its file by that name only, a directory or one opened with O_PATH, keeps
    it."""

    __slots__ = ("dentry", "filesystem", "hold", "path")

    def __init__(self, filesystem: HostFs, path: bytes) -> None:
        self.filesystem = filesystem
        self.path = path
        self.hold: HostHold | None = None
        pin = filesystem.pins.get(path)
        self.dentry: Dentry | None = None if pin is None else pin()
        if self.dentry is not None:
            try:
                self.hold = filesystem.tree.hold(path)
            except HostError:
                pass  # as good as out of reach

    def done(self) -> None:
        if self.dentry is not None and self.hold is not None:
            self.dentry.hold = self.hold
            self.dentry.parent = pin_dentry(self.filesystem, Dentry(parent_path(self.path)))
            self.filesystem.tree.names_changed([], self.path)
