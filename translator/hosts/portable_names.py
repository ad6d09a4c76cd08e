"""Guest paths as paths of the host.

POSIX systems take any bytes but NUL.  Windows does not: what its names may not contain (`\\ : * ? " < > |`, control
characters, a dot or space at the end, the names of old devices) is spelt with characters of the private use area,
U+F000 + code, as Cygwin and WSL 1 spell it.  Bytes that are no UTF-8 have no name there: EILSEQ.
"""

from __future__ import annotations

import sys

from translator.hosts.base import HostError
from translator.hosts.portable_errno import EILSEQ

_FORBIDDEN = {code: 0xF000 + code for code in (*range(1, 32), *b'\\:*?"<>|')}
_PRIVATE = {0xF000 + code: code for code in range(1, 127)}
_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{device}{number}" for device in ("com", "lpt") for number in (*range(10), "¹", "²", "³")}


def _component_to_windows(name: str) -> str:
    name = name.translate(_FORBIDDEN)
    if name.partition(".")[0].rstrip(" ").lower() in _DEVICES:
        name = name[0:2] + chr(0xF000 + ord(name[2])) + name[3:]
    if name[-1:] in {".", " "}:
        name = name[:-1] + chr(0xF000 + ord(name[-1]))
    return name


def windows_path(path: bytes) -> bytes:
    try:
        text = path.decode()
    except UnicodeDecodeError:
        raise HostError(EILSEQ) from None
    return "/".join(map(_component_to_windows, text.split("/"))).encode()


def windows_name(name: bytes) -> bytes:
    """The guest's name of a directory entry."""
    return name.decode("utf-8", "surrogateescape").translate(_PRIVATE).encode("utf-8", "surrogateescape")


def host_path(path: bytes) -> bytes:
    return windows_path(path) if sys.platform == "win32" else path


def guest_name(name: bytes) -> bytes:
    return windows_name(name) if sys.platform == "win32" else name
