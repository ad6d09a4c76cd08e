"""Flags of a single transfer (RWF_*): preadv2, pwritev2, and asynchronous requests."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EOPNOTSUPP, LinuxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fd import FileDescription

RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND, RWF_NOAPPEND, RWF_ATOMIC, RWF_DONTCACHE, RWF_NOSIGNAL = (
    1 << bit for bit in range(9))
RWF_SUPPORTED = 0x1FF


def check_rw_flags(file: FileDescription, flags: int, takes_vectors: bool = True) -> None:
    """kiocb_set_rw_flags: EOPNOTSUPP, EINVAL.  RWF_ATOMIC needs a file that can: none here can.  Where each part of a
    vector is a transfer of its own there are no flags (do_loop_readv_writev)."""
    if not takes_vectors:
        if flags & ~RWF_HIPRI:
            raise LinuxError(EOPNOTSUPP)
        return
    if flags & ~RWF_SUPPORTED or flags & RWF_ATOMIC or (flags & RWF_NOWAIT and not file.nowait):
        raise LinuxError(EOPNOTSUPP)
    if flags & RWF_DONTCACHE and not file.dontcache:
        raise LinuxError(EOPNOTSUPP)
    if flags & RWF_APPEND and flags & RWF_NOAPPEND:
        raise LinuxError(EINVAL)
