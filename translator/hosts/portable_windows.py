"""Files on Windows that stay usable while their names are removed or taken by others, as Linux programs expect.

They are opened with every sharing mode (`os.open` leaves out FILE_SHARE_DELETE).  Where Windows or the filesystem
keeps the name of a removed file until its last close, the file is first renamed out of the way, to a name that
`entries` leaves out; and a file that is open is set aside in the same way before another takes its name.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.hosts.portable_files import PortableFile

ASIDE = b".pylx-removed-"

_O_ACCMODE, _O_CREAT, _O_EXCL, _O_TRUNC = 3, 0o100, 0o200, 0o1000
_open_files: dict[bytes, list[PortableFile]] = {}
"""By path as Windows compares it; only files opened by this pylx."""
_count = 0

if sys.platform == "win32":
    import _winapi
    import msvcrt

    _ACCESS = (0x80000000, 0x40000000, 0xC0000000, 0xC0000000)  # GENERIC_READ, GENERIC_WRITE, both
    _ATTRIBUTES_ACCESS = 0x100  # FILE_WRITE_ATTRIBUTES
    _SHARE_ALL = 7
    _CREATE_NEW, _OPEN_EXISTING, _OPEN_ALWAYS = 1, 3, 4
    _READ_ONLY, _NORMAL, _OPEN_REPARSE_POINT = 0x1, 0x80, 0x200000
    _OWNER_WRITE = 0o200

    def open_shared(path: bytes, flags: int, mode: int) -> int:
        """os.open by Linux flags, no link followed."""
        disposition = _OPEN_EXISTING
        if flags & _O_CREAT:
            disposition = _CREATE_NEW if flags & _O_EXCL else _OPEN_ALWAYS
        attributes = _OPEN_REPARSE_POINT | (_NORMAL if mode & _OWNER_WRITE or not flags & _O_CREAT else _READ_ONLY)
        handle = _winapi.CreateFile(os.fsdecode(path), _ACCESS[flags & _O_ACCMODE] | _ATTRIBUTES_ACCESS, _SHARE_ALL, 0,
                                    disposition, attributes, 0)
        access = (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR)[flags & _O_ACCMODE]
        fd = msvcrt.open_osfhandle(handle, access | os.O_BINARY | os.O_NOINHERIT)
        if flags & _O_TRUNC and flags & _O_ACCMODE:
            os.ftruncate(fd, 0)
        return fd


def _key(path: bytes) -> bytes:
    return os.path.normcase(path)


def opened(file: PortableFile) -> None:
    _open_files.setdefault(_key(file.path), []).append(file)


def closed(file: PortableFile) -> None:
    files = _open_files.get(_key(file.path))
    if files is not None and file in files:
        files.remove(file)
        if not files:
            del _open_files[_key(file.path)]


def _moved(old: bytes, new: bytes) -> None:
    """Tell open files where they are now: that one, or those below a directory."""
    below = _key(old) + os.path.normcase(b"/")
    for key in [key for key in _open_files if key == _key(old) or key.startswith(below)]:
        for file in _open_files.pop(key):
            file.path = new + file.path[len(old):]
            _open_files.setdefault(_key(file.path), []).append(file)


def _set_aside(path: bytes) -> bytes:
    global _count
    _count += 1
    aside = os.path.dirname(path) + b"/" + ASIDE + b"%d-%d" % (os.getpid(), _count)
    os.rename(path, aside)
    _moved(path, aside)
    return aside


def unlink(path: bytes) -> None:
    if _key(path) in _open_files:
        path = _set_aside(path)
        for file in _open_files[_key(path)]:
            file.removed = True
    os.unlink(path)


def replace(old: bytes, new: bytes) -> None:
    """os.replace, of and over files that may be open."""
    if _key(new) not in _open_files or _key(old) == _key(new):
        os.replace(old, new)
    else:
        aside = _set_aside(new)
        try:
            os.replace(old, new)
        except OSError:
            os.rename(aside, new)
            _moved(aside, new)
            raise
        unlink(aside)
    _moved(old, new)


def rename(old: bytes, new: bytes) -> None:
    """os.rename, which on Windows replaces nothing."""
    os.rename(old, new)
    _moved(old, new)
