"""A host directory tree by paths, with what `os` has everywhere.

A confined tree checks every component for links before each call.  Nothing holds another process off between the
check and the call, so that it is no wall against one that exchanges directories for links at that moment.
"""

from __future__ import annotations

import os
import sys

from translator.hosts import portable_windows
from translator.hosts.base import HostError, HostFile, HostStat, HostStatFs
from translator.hosts.portable_errno import (
    EEXIST,
    EILSEQ,
    EINVAL,
    EISDIR,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOSYS,
    ENOTDIR,
    EOPNOTSUPP,
    EPERM,
    failure,
)
from translator.hosts.portable_files import PortableFile, WindowsDirectory, open_flags, refuse_windows_owner, set_times
from translator.hosts.portable_names import guest_name, host_path
from translator.hosts.portable_stat import (
    S_IFDIR,
    S_IFIFO,
    S_IFLNK,
    S_IFMT,
    S_IFREG,
    btime,
    host_stat,
    host_statfs,
    is_link,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from translator.hosts.base import HostHold, HostWatch

_NOREPLACE, _EXCHANGE = 1, 2
_O_CREAT, _O_EXCL, _O_DIRECTORY = 0o100, 0o200, 0o200000
_DT_DIR, _DT_REG, _DT_LNK = 4, 8, 10


class PortableTree:
    __slots__ = ("_confined", "_prefix", "_root")

    def __init__(self, root: bytes, confined: bool) -> None:
        try:
            self._root = os.path.abspath(root or b"/")
            if not os.path.isdir(self._root):
                raise HostError(ENOTDIR if os.path.exists(self._root) else ENOENT)
        except OSError as error:
            raise failure(error) from None
        self._prefix = self._root.rstrip(b"/\\" if sys.platform == "win32" else b"/") + b"/"
        self._confined = confined

    def _path(self, path: bytes) -> bytes:
        """The host's path; in a confined tree after a look at what leads there."""
        if not path:
            return self._root
        path = host_path(path)
        if self._confined:
            cut = path.find(b"/")
            while cut > 0:
                status = self._lstat(self._prefix + path[:cut])
                if is_link(status):
                    raise HostError(ELOOP)
                cut = path.find(b"/", cut + 1)
        return self._prefix + path

    def _lstat(self, host: bytes) -> os.stat_result:
        try:
            return os.lstat(host)
        except OSError as error:
            raise failure(error) from None

    def _not_link(self, path: bytes, errno: int) -> tuple[bytes, os.stat_result]:
        """For calls that would follow a link in the last component."""
        host = self._path(path)
        status = self._lstat(host)
        if is_link(status):
            raise HostError(errno)
        return host, status

    # Looking

    def lstat(self, path: bytes) -> HostStat:
        return host_stat(self._lstat(self._path(path)))

    def btime(self, path: bytes) -> int:
        return btime(self._lstat(self._path(path)))

    def lookup(self, path: bytes) -> tuple[int, HostStat]:
        walked = 0
        status = self._lstat(self._root)
        while walked < len(path):
            cut = path.find(b"/", walked + 1)
            if cut < 0:
                cut = len(path)
            try:
                status = os.lstat(self._prefix + host_path(path[:cut]))
            except OSError as error:
                raised = failure(error)
                if raised.errno not in {ENOENT, ENOTDIR, ENAMETOOLONG, EINVAL}:
                    raise raised from None
                break
            except HostError as error:
                if error.errno != EILSEQ:
                    raise
                break
            walked = cut
            if status.st_mode & S_IFMT != S_IFDIR or is_link(status):
                break
        return walked, host_stat(status)

    def find(self, path: bytes, btime: bool = False) -> HostStat | None:
        return None

    def create(self, path: bytes, flags: int, mode: int) -> HostFile | None:
        return None

    def readlink(self, path: bytes) -> bytes:
        host = self._path(path)
        try:
            target = os.readlink(host)
        except OSError as error:
            raise failure(error) from None
        if sys.platform == "win32":
            return b"/".join(map(guest_name, target.removeprefix(b"\\\\?\\").replace(b"\\", b"/").split(b"/")))
        return target

    def entries(self, path: bytes) -> Iterator[tuple[bytes, int, int]]:
        host, status = self._not_link(path, ELOOP)
        if status.st_mode & S_IFMT != S_IFDIR:
            raise HostError(ENOTDIR)
        try:
            with os.scandir(host) as scan:
                return iter([(guest_name(entry.name), entry.inode(), _kind(entry)) for entry in scan
                             if sys.platform != "win32" or not entry.name.startswith(portable_windows.ASIDE)])
        except OSError as error:
            raise failure(error) from None

    # Opening

    def open(self, path: bytes, flags: int, mode: int) -> HostFile:
        host = self._path(path)
        host_flags = open_flags(flags)
        if sys.platform == "win32":
            return open_on_windows(host, flags, mode)
        try:
            return PortableFile(os.open(host, host_flags, mode & 0o7777), host)
        except OSError as error:
            raise failure(error) from None

    # Making and removing

    def mkdir(self, path: bytes, mode: int) -> None:
        host = self._path(path)
        try:
            os.mkdir(host, mode & 0o7777)
            if sys.platform != "win32" and mode & 0o7000:
                os.chmod(host, mode & 0o7777)  # POSIX leaves it to the system whether mkdir takes these
        except OSError as error:
            raise failure(error) from None

    def mknod(self, path: bytes, mode: int, rdev: int) -> None:
        host = self._path(path)
        kind = mode & S_IFMT
        try:
            if kind in {0, S_IFREG}:
                os.close(os.open(host, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode & 0o7777))
            elif sys.platform == "win32":
                raise HostError(EPERM)
            elif kind == S_IFIFO:
                os.mkfifo(host, mode & 0o7777)
            else:
                major, minor = rdev >> 8 & 0xFFF | rdev >> 32 & ~0xFFF, rdev & 0xFF | rdev >> 12 & 0xFFFFFF00
                os.mknod(host, mode, os.makedev(major, minor))
        except OSError as error:
            raise failure(error) from None

    def symlink(self, target: bytes, path: bytes) -> None:
        host = self._path(path)
        try:
            if sys.platform == "win32":
                aim = os.path.join(os.path.dirname(host), host_path(target))
                os.symlink(host_path(target).replace(b"/", b"\\"), host, target_is_directory=os.path.isdir(aim))
                if not os.path.lexists(host):  # Wine says it did
                    raise HostError(EPERM)
            else:
                os.symlink(target, host)
        except OSError as error:
            if getattr(error, "winerror", 0) == 1314:  # ERROR_PRIVILEGE_NOT_HELD: without developer mode
                raise HostError(EPERM) from None
            raise failure(error) from None

    def link(self, old: bytes, new: bytes) -> None:
        old_host, new_host = self._path(old), self._path(new)
        try:
            if os.link in os.supports_follow_symlinks:
                os.link(old_host, new_host, follow_symlinks=False)
            else:
                os.link(old_host, new_host)
        except OSError as error:
            raise failure(error) from None

    def link_open(self, file: HostFile, new: bytes) -> None:
        raise HostError(EOPNOTSUPP)

    def unlink(self, path: bytes) -> None:
        host = self._path(path)
        try:
            if sys.platform == "win32":
                portable_windows.unlink(host)
            else:
                os.unlink(host)
        except OSError as error:
            raised = failure(error)
            if raised.errno != ENOENT and self._lstat(host).st_mode & S_IFMT == S_IFDIR:
                raised = HostError(EISDIR)  # POSIX and Windows say EPERM or EACCES
            raise raised from None

    def rmdir(self, path: bytes) -> None:
        host = self._path(path)
        try:
            os.rmdir(host)
        except OSError as error:
            raise failure(error) from None

    def rename(self, old: bytes, new: bytes, flags: int) -> None:
        old_host, new_host = self._path(old), self._path(new)
        if flags & ~_NOREPLACE:
            raise HostError(EINVAL)
        try:
            if flags & _NOREPLACE:
                self._rename_noreplace(old_host, new_host)
            elif sys.platform == "win32":
                portable_windows.replace(old_host, new_host)
            else:
                os.rename(old_host, new_host)
        except OSError as error:
            raise failure(error) from None

    def _rename_noreplace(self, old: bytes, new: bytes) -> None:
        """Windows' own rename.  POSIX: files by link and unlink; directories after a look, which is not atomic."""
        if sys.platform == "win32":
            portable_windows.rename(old, new)
        elif os.lstat(old).st_mode & S_IFMT in {S_IFDIR, S_IFLNK}:
            if os.path.lexists(new):
                raise HostError(EEXIST)
            os.rename(old, new)
        else:
            os.link(old, new)
            os.unlink(old)

    # Changing attributes

    def chmod(self, path: bytes, mode: int) -> None:
        """Windows keeps the owner's write bit alone, as its read-only attribute."""
        host, _ = self._not_link(path, EOPNOTSUPP)
        try:
            os.chmod(host, mode & 0o7777)
        except OSError as error:
            raise failure(error) from None

    def chown(self, path: bytes, uid: int, gid: int) -> None:
        host = self._path(path)
        if sys.platform == "win32":
            refuse_windows_owner(uid, gid)
        else:
            try:
                os.chown(host, uid, gid, follow_symlinks=False)
            except OSError as error:
                raise failure(error) from None

    def utime(self, path: bytes, atime_ns: int | None, mtime_ns: int | None) -> None:
        host = self._path(path)
        status = self._lstat(host)
        if is_link(status) and os.utime not in os.supports_follow_symlinks:
            raise HostError(EOPNOTSUPP)
        set_times(host, status, atime_ns, mtime_ns)

    def truncate(self, path: bytes, size: int) -> None:
        host, _ = self._not_link(path, ELOOP)
        try:
            os.truncate(host, size)
        except OSError as error:
            raise failure(error) from None

    def statfs(self, path: bytes) -> HostStatFs:
        host, _ = self._not_link(path, ELOOP)
        try:
            return host_statfs(host)
        except OSError as error:
            raise failure(error) from None

    def getxattr(self, path: bytes, name: bytes) -> bytes:
        self._path(path)
        raise HostError(EOPNOTSUPP)

    def setxattr(self, path: bytes, name: bytes, value: bytes, flags: int) -> None:
        self._path(path)
        raise HostError(EOPNOTSUPP)

    def listxattr(self, path: bytes) -> list[bytes]:
        self._path(path)
        raise HostError(EOPNOTSUPP)

    def removexattr(self, path: bytes, name: bytes) -> None:
        self._path(path)
        raise HostError(EOPNOTSUPP)

    def hold(self, path: bytes) -> HostHold:
        raise HostError(ENOSYS)

    def held_above(self, path: bytes) -> list[HostHold]:
        return []

    def holding(self) -> bool:
        return False

    def names_changed(self, moves: list[tuple[bytes, bytes]], removed: bytes | None) -> None:
        """Nothing is held."""

    def watch(self, path: bytes, changed: Callable[[int, bytes, int], None], mask: int) -> HostWatch:
        raise HostError(ENOSYS)

    def close(self) -> None:
        """Nothing is held."""


def _kind(entry: os.DirEntry[bytes]) -> int:
    if entry.is_symlink():
        return _DT_LNK
    if entry.is_dir(follow_symlinks=False):
        return _DT_DIR
    if entry.is_file(follow_symlinks=False):
        return _DT_REG
    return entry.stat(follow_symlinks=False).st_mode >> 12 & 0xF


if sys.platform == "win32":
    def open_on_windows(host: bytes, flags: int, mode: int) -> HostFile:
        """With what Linux says of directories and links, which Windows opens in its own ways or not at all."""
        try:
            status = os.lstat(host)
        except OSError:
            pass
        else:
            if flags & (_O_CREAT | _O_EXCL) == _O_CREAT | _O_EXCL:
                raise HostError(EEXIST)
            if is_link(status):
                raise HostError(ELOOP)
            if status.st_mode & S_IFMT == S_IFDIR:
                if flags & (3 | _O_CREAT):
                    raise HostError(EISDIR)
                return WindowsDirectory(host)
            if flags & _O_DIRECTORY:
                raise HostError(ENOTDIR)
        try:
            file = PortableFile(portable_windows.open_shared(host, flags, mode), host)
        except OSError as error:
            raise failure(error) from None
        portable_windows.opened(file)
        return file
