"""A directory tree of a Linux host, by a descriptor of its root.

An unconfined tree hands whole paths to the *at() calls.  A confined one first opens the parent by openat2 with
RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS and then works on the last component alone, so that no link or directory
that another process puts in the way meanwhile leads out of the tree.  Files of the host's kernel that are mounted in a
confined tree (a chroot with /proc and /sys) are not opened: they lead everywhere.
"""

from __future__ import annotations

import errno
import os

from translator.hosts import linux_calls as calls
from translator.hosts.base import HostError, HostFile, HostStat, HostStatFs
from translator.hosts.linux_files import O_APPEND, LinuxFile, open_flags
from translator.hosts.linux_holds import Holds
from translator.hosts.linux_look import Look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from translator.hosts.base import HostHold, HostWatch
    from translator.hosts.linux_holds import Hold
    from translator.hosts.linux_poll import LinuxPoller

    _T = TypeVar("_T")

_PATH_ONLY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_DIRECTORY
_CREATES = os.O_CREAT | (os.O_TMPFILE & ~os.O_DIRECTORY)
_O_CREAT_EXCL = 0o300
_LONGEST = 4000
"""Longer paths are walked in pieces: the host takes 4095 bytes at once, but a guest may be deeper than that."""
_KNOWN_HOWS = 256
_MISSING = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG))
_TRY_ANOTHER_WAY = frozenset((errno.ELOOP, errno.EAGAIN, errno.EINTR))
_S_IFMT = 0o170000
_S_IFLNK = 0o120000
_S_IFDIR = 0o040000
_KERNEL_TYPES = frozenset((b"proc", b"sysfs", b"debugfs", b"tracefs", b"securityfs", b"configfs", b"cgroup", b"cgroup2",
                           b"bpf", b"efivarfs", b"pstore", b"selinuxfs", b"binfmt_misc", b"resctrl"))
"""File systems whose files are the host's kernel, pylx and its guests included (/proc/PID/mem)."""


class LinuxTree:
    __slots__ = ("_confined", "_full_stat", "_gone", "_held", "_holds", "_hows", "_kernel_devices", "_look", "_openat2",
                 "_poller", "_resolve", "_root", "_stat", "_walk_how")

    def __init__(self, root: bytes, confined: bool, poller: LinuxPoller) -> None:
        try:
            self._root = os.open(root or b"/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise HostError(error.errno) from None
        self._poller = poller
        self._confined = confined
        self._holds = Holds()
        # Nearly always empty, and looked at by each call with a path.
        self._held, self._gone = self._holds.by_path, self._holds.gone
        self._resolve = calls.RESOLVE_NO_SYMLINKS | calls.RESOLVE_NO_MAGICLINKS
        self._kernel_devices: frozenset[int] = frozenset()
        if confined:
            self._resolve |= calls.RESOLVE_BENEATH
            self._kernel_devices = _kernel_devices(os.readlink(b"/proc/self/fd/%d" % self._root))
        self._openat2 = calls.have_openat2(self._root)
        self._hows: dict[tuple[int, int], bytes] = {}
        """The struct open_how of `create`, by flags and mode."""
        self._walk_how = calls.open_how(_PATH_ONLY, 0, self._resolve)
        self._stat: Callable[[bytes], HostStat] = self._stat_path
        self._full_stat: Callable[[bytes], HostStat] = self._full_stat_path
        if self._openat2:
            try:
                self._look = Look(self._root, self._walk_how)
            except OSError:
                pass  # no code of one's own here
            else:
                self._stat, self._full_stat = self._look.stat, self._look.full_stat

    # Getting at a path

    def _open_path(self, path: bytes, flags: int = _PATH_ONLY) -> int:
        """An O_PATH descriptor of what path names, no link followed: ELOOP for one that is not the last."""
        root = self._root
        if self._held or self._gone:
            root, path = self._holds.nearest(path) or (root, path)
            if not path and root != self._root:
                return os.dup(root)
        if not path:
            path = b"."
        if self._openat2 and len(path) <= _LONGEST:
            how = self._walk_how if flags == _PATH_ONLY else calls.open_how(flags, 0, self._resolve)
            return calls.openat2(root, path, how)
        return self._walk(root, path, flags)

    def _walk(self, root: int, path: bytes, flags: int) -> int:
        """What openat2 does, a component at a time: a little slower, and as safe against links, though not against
        directories that are moved out of the tree during the walk."""
        at = root
        try:
            for part in path.split(b"/"):
                if at != root and os.fstat(at).st_mode & _S_IFMT == _S_IFLNK:
                    raise OSError(errno.ELOOP, "")
                below = os.open(part, _PATH_ONLY, dir_fd=at)
                if at != root:
                    os.close(at)
                at = below
            if flags & os.O_DIRECTORY:
                kind = os.fstat(at).st_mode & _S_IFMT
                if kind != _S_IFDIR:
                    raise OSError(errno.ELOOP if kind == _S_IFLNK else errno.ENOTDIR, "")
        except OSError as error:
            if at != root:
                os.close(at)
            raise HostError(error.errno) from None
        return at

    def _parent(self, path: bytes) -> tuple[int, bytes]:
        """(directory, name) for an *at() call; the directory is given back to `_release`."""
        if not self._confined and len(path) <= _LONGEST and not (self._held or self._gone):
            return self._root, path or b"."
        cut = path.rfind(b"/")
        if cut < 0:
            return self._root, path or b"."
        return self._open_path(path[:cut], _DIRECTORY_PATH), path[cut + 1:]

    def _release(self, directory: int) -> None:
        if directory != self._root:
            os.close(directory)

    # Looking

    def lstat(self, path: bytes) -> HostStat:
        if self._held or self._gone:
            return self._stat_path(path)
        directory, name = self._parent(path)
        try:
            return calls.host_stat(os.stat(name, dir_fd=directory, follow_symlinks=False))
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            self._release(directory)

    def _ask(self, path: bytes, question: Callable[[int], _T]) -> _T:
        """What `question` says of an O_PATH descriptor of what path names."""
        fd = self._open_path(path)
        try:
            return question(fd)
        finally:
            os.close(fd)

    def btime(self, path: bytes) -> int:
        return self._ask(path, calls.btime)

    def _stat_path(self, path: bytes) -> HostStat:
        return self._ask(path, lambda fd: calls.host_stat(os.fstat(fd)))

    def _full_stat_path(self, path: bytes) -> HostStat:
        return self._ask(path, calls.full_stat)

    def lookup(self, path: bytes) -> tuple[int, HostStat]:
        if self._openat2 and 0 < len(path) <= _LONGEST and not self._held:  # nearly always
            try:
                return len(path), self._stat(path)
            except HostError as failed:
                error = failed.errno
            if error in _MISSING:
                return self._lookup_above(path, error)
            if error == errno.ELOOP:
                return self._first_link(path)
        try:
            return len(path), self._stat_path(path)
        except HostError as failed:
            return self._lookup_above(path, failed.errno)

    def find(self, path: bytes, btime: bool = False) -> HostStat | None:
        if not self._openat2 or len(path) > _LONGEST or self._held:
            return None
        try:
            return self._full_stat(path) if btime else self._stat(path)
        except HostError as error:
            if error.errno in _TRY_ANOTHER_WAY:
                return None
            raise  # the walk met no link before the component that is not there

    def _lookup_above(self, path: bytes, error: int) -> tuple[int, HostStat]:
        """How far path can be walked, when looking it up failed with that error: mostly to its parent."""
        cut = len(path)
        while error in _MISSING:
            cut = path.rfind(b"/", 0, cut)
            try:
                return max(cut, 0), self._stat_path(path[:max(cut, 0)])
            except HostError as failed:
                error = failed.errno
        if error == errno.ELOOP:
            return self._first_link(path)
        raise HostError(error)

    def _first_link(self, path: bytes) -> tuple[int, HostStat]:
        cut = path.find(b"/")
        while cut > 0:
            stat = self._stat_path(path[:cut])
            if stat.mode & _S_IFMT != _S_IFDIR:
                return cut, stat
            cut = path.find(b"/", cut + 1)
        return len(path), self._stat_path(path)

    def readlink(self, path: bytes) -> bytes:
        hold = self._holds.at(path) if self._held or self._gone else None
        directory, name = self._parent(path) if hold is None else (os.dup(hold.fd), b"")
        try:
            return os.readlink(name, dir_fd=directory)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            self._release(directory)

    def entries(self, path: bytes) -> Iterator[tuple[bytes, int, int]]:
        """The whole directory is read at once, so that no descriptor stays open with a half-used iterator."""
        fd = self._open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0)
        try:
            return iter(calls.directory_entries(fd))
        finally:
            os.close(fd)

    # Opening

    def _open(self, path: bytes, host_flags: int, mode: int) -> int:
        fd = self._open_any(path, host_flags, mode)
        if self._kernel_devices and os.fstat(fd).st_dev in self._kernel_devices:
            os.close(fd)
            raise HostError(errno.EACCES)
        return fd

    def _open_any(self, path: bytes, host_flags: int, mode: int) -> int:
        if self._held or self._gone:
            hold = self._holds.at(path)
            if hold is not None:
                return hold.open(host_flags, mode)
        elif self._confined and self._openat2 and len(path) <= _LONGEST:
            mode = mode & 0o7777 if host_flags & _CREATES else 0
            return calls.openat2(self._root, path or b".", calls.open_how(host_flags, mode, self._resolve))
        directory, name = self._parent(path)
        try:
            return os.open(name, host_flags, mode & 0o7777, dir_fd=directory)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            self._release(directory)

    def open(self, path: bytes, flags: int, mode: int) -> HostFile:
        host_flags = open_flags(flags)
        try:
            return LinuxFile(self._open(path, host_flags, mode))
        except HostError as error:
            if error.errno == errno.EPERM and flags & O_APPEND:
                return LinuxFile(self._open(path, host_flags | os.O_APPEND, mode))  # chattr +a
            raise

    def create(self, path: bytes, flags: int, mode: int) -> HostFile | None:
        if not self._openat2 or len(path) > _LONGEST or self._held:
            return None
        how = self._hows.get((flags, mode))
        if how is None:
            if len(self._hows) >= _KNOWN_HOWS:
                self._hows.clear()
            how = calls.open_how(open_flags(flags | _O_CREAT_EXCL), mode & 0o7777, self._resolve)
            self._hows[flags, mode] = how
        fd: int = calls.raw_openat2(calls.NR_OPENAT2, self._root, path, how, 24)
        return LinuxFile(fd) if fd >= 0 else None

    # Making and removing

    def mkdir(self, path: bytes, mode: int) -> None:
        directory, name = self._parent(path)
        try:
            os.mkdir(name, mode & 0o7777, dir_fd=directory)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            self._release(directory)

    def mknod(self, path: bytes, mode: int, rdev: int) -> None:
        directory, name = self._parent(path)
        try:
            os.mknod(name, mode, rdev, dir_fd=directory)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            self._release(directory)

    def symlink(self, target: bytes, path: bytes) -> None:
        directory, name = self._parent(path)
        try:
            os.symlink(target, name, dir_fd=directory)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            self._release(directory)

    def link(self, old: bytes, new: bytes) -> None:
        old_directory, old_name = self._parent(old)
        try:
            new_directory, new_name = self._parent(new)
            try:
                os.link(old_name, new_name, src_dir_fd=old_directory, dst_dir_fd=new_directory, follow_symlinks=False)
            except OSError as error:
                raise HostError(error.errno) from None
            finally:
                self._release(new_directory)
        finally:
            self._release(old_directory)

    def link_open(self, file: HostFile, new: bytes) -> None:
        directory, name = self._parent(new)
        try:
            os.link(b"/proc/self/fd/%d" % file.fileno(), name, dst_dir_fd=directory, follow_symlinks=True)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            self._release(directory)

    def unlink(self, path: bytes) -> None:
        directory, name = self._parent(path)
        try:
            os.unlink(name, dir_fd=directory)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            self._release(directory)

    def rmdir(self, path: bytes) -> None:
        directory, name = self._parent(path)
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            self._release(directory)

    def rename(self, old: bytes, new: bytes, flags: int) -> None:
        old_directory, old_name = self._parent(old)
        try:
            new_directory, new_name = self._parent(new)
            try:
                if flags:
                    calls.renameat2(old_directory, old_name, new_directory, new_name, flags)
                else:
                    os.rename(old_name, new_name, src_dir_fd=old_directory, dst_dir_fd=new_directory)
            except OSError as error:
                raise HostError(error.errno) from None
            finally:
                self._release(new_directory)
        finally:
            self._release(old_directory)

    # Changing attributes

    def chmod(self, path: bytes, mode: int) -> None:
        fd = self._open_path(path)
        try:
            calls.chmod_path(fd, mode)
        finally:
            os.close(fd)

    def chown(self, path: bytes, uid: int, gid: int) -> None:
        hold = self._holds.at(path) if self._held or self._gone else None
        directory, name = self._parent(path) if hold is None else (self._root, b"/proc/self/fd/%d" % hold.fd)
        try:
            os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=hold is not None)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            self._release(directory)

    def utime(self, path: bytes, atime_ns: int | None, mtime_ns: int | None) -> None:
        hold = self._holds.at(path)
        if hold is not None:
            calls.utimensat(hold.fd, b"", atime_ns, mtime_ns)
            return
        directory, name = self._parent(path)
        try:
            calls.utimensat(directory, name, atime_ns, mtime_ns)
        finally:
            self._release(directory)

    def truncate(self, path: bytes, size: int) -> None:
        """By /proc, because opening has effects of its own on FIFOs and devices."""
        fd = self._open_path(path)
        try:
            if os.fstat(fd).st_mode & _S_IFMT == _S_IFLNK:
                raise HostError(errno.ELOOP)
            os.truncate(b"/proc/self/fd/%d" % fd, size)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            os.close(fd)

    def statfs(self, path: bytes) -> HostStatFs:
        fd = self._open_path(path)
        try:
            return calls.fstatfs(fd)
        finally:
            os.close(fd)

    # Extended attributes: the calls take no directory and refuse O_PATH, but /proc's magic links lead to the very
    # object that is open, be it a symbolic link.

    def getxattr(self, path: bytes, name: bytes) -> bytes:
        fd = self._open_path(path)
        try:
            return os.getxattr(b"/proc/self/fd/%d" % fd, name)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            os.close(fd)

    def setxattr(self, path: bytes, name: bytes, value: bytes, flags: int) -> None:
        fd = self._open_path(path)
        try:
            os.setxattr(b"/proc/self/fd/%d" % fd, name, value, flags)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            os.close(fd)

    def listxattr(self, path: bytes) -> list[bytes]:
        fd = self._open_path(path)
        try:
            return [os.fsencode(name) for name in os.listxattr(b"/proc/self/fd/%d" % fd)]
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            os.close(fd)

    def removexattr(self, path: bytes, name: bytes) -> None:
        fd = self._open_path(path)
        try:
            os.removexattr(b"/proc/self/fd/%d" % fd, name)
        except OSError as error:
            raise HostError(error.errno) from None
        finally:
            os.close(fd)

    # Holding

    def hold(self, path: bytes) -> Hold:
        return self._holds.add(path, self._open_path)

    def held_above(self, path: bytes) -> list[HostHold]:
        return self._holds.above(path)

    def holding(self) -> bool:
        return bool(self._held)

    def names_changed(self, moves: list[tuple[bytes, bytes]], removed: bytes | None) -> None:
        if removed is not None:
            self._holds.removed(removed)
        self._holds.moved(moves)

    # Watching

    def watch(self, path: bytes, changed: Callable[[int, bytes, int], None], mask: int) -> HostWatch:
        fd = self._open_path(path)
        try:
            return self._poller.watches().add(fd, changed, mask)
        finally:
            os.close(fd)

    def close(self) -> None:
        if self._root >= 0:
            os.close(self._root)
            self._root = -1


def _kernel_devices(root: bytes) -> frozenset[int]:
    """Device numbers of what is mounted below `root` and has files of the host's kernel (man 5 proc_pid_mountinfo)."""
    found = set()
    below = root.rstrip(b"/") + b"/"
    try:
        with open("/proc/self/mountinfo", "rb") as lines:
            for line in lines:
                fields, _, rest = line.partition(b" - ")
                if rest.split(b" ", 1)[0] not in _KERNEL_TYPES:
                    continue
                _, _, device, _, place, *_ = fields.split(b" ")
                place = place.replace(b"\\040", b" ").replace(b"\\011", b"\t").replace(b"\\134", b"\\")
                if (place + b"/").startswith(below):
                    major, _, minor = device.partition(b":")
                    found.add(os.makedev(int(major), int(minor)))
    except OSError:
        pass
    return frozenset(found)
