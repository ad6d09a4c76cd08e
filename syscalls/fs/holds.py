"""What walks cannot get to any more, and Linux still can: it holds working directories, what is open, and `..` of
these by reference, while files of the host are found by their paths.
"""

from __future__ import annotations

from syscalls.fs.mounts import below, parent_path
from translator.hosts.base import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.hostfs import HostFs


def hold_below(filesystem: HostFs, directory: bytes) -> None:
    """Search rights of a directory are about to go: hold what is pinned there, and what is between.  As long as
    anything is held, the host refuses less than it would refuse the guest, and does not judge (HostFs.trusts)."""
    if not filesystem.uid:
        return  # the host lets root through
    for path, pin in list(filesystem.pins.items()):
        dentry = pin()
        if dentry is None or not below(path, directory):
            continue
        holds: list[object] = []
        try:
            while not holds or (path != directory and below(path, directory)):
                holds.append(filesystem.tree.hold(path))
                path = parent_path(path)
        except HostError:
            continue  # it is out of reach already, or the host holds nothing
        dentry.keep(*holds)
        filesystem.holding = True
        filesystem.forget_trust()
