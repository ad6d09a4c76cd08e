"""What a program did: the executor's log, decoded, and the files it left behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import struct
import time
from dataclasses import dataclass, field

CALL, SIGNAL, VALUE, BLOCK, BLOCK_END, CONTENT = range(1, 7)


@dataclass(slots=True)
class Record:
    """One entry of the log.  `words`: of a signal (number, code, two words of siginfo); of the end of a child process
    (si_code << 32 | si_status)."""
    kind: int
    slot: int = 0
    result: int = 0
    words: tuple[int, ...] = ()
    changes: list[tuple[int, bytes]] = field(default_factory=list)
    """(offset, bytes) of memory that the call changed."""
    text: bytes = b""


@dataclass(slots=True)
class Outcome:
    records: list[Record] = field(default_factory=list)
    status: int = 0
    """As wait(2) tells it."""
    timed_out: bool = False
    log_full: bool = False
    last_slot: int = 0
    """Where the program was when it ended."""
    left: int = 0
    """Processes that were still there when the first one had ended."""
    tree: dict[str, str] | None = field(default_factory=dict)
    failure: str = ""
    """The layer itself ended or hung: how, in one line."""
    detail: str = ""


def decode(words: tuple[int, ...]) -> list[Record]:
    out = []
    at = 0
    while at < len(words):
        kind, count = words[at] & 0xFF, words[at] >> 8
        body = words[at + 1:at + 1 + count]
        at += 1 + count
        if not kind:
            continue  # the program was killed while it wrote this
        if kind == SIGNAL:
            out.append(Record(SIGNAL, words=body))
            continue
        record = Record(kind, body[0], signed(body[1]))
        if kind == CALL:
            place = 2
            while place < count:
                offset, length = body[place] >> 32, body[place] & 0xFFFFFFFF
                data = struct.pack(f"<{length}Q", *body[place + 1:place + 1 + length])
                record.changes.append((offset * 8, data))
                place += 1 + length
        elif kind == BLOCK_END:
            record.words = body[2:]
        elif kind == CONTENT:
            record.text = struct.pack(f"<{count - 2}Q", *body[2:])[:max(0, record.result)]
        out.append(record)
    return out


def signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


def tree_of(top: str) -> dict[str, str]:
    """Each file left behind, in one line: type, mode, owner, size, links, target, content, times that were set,
    extended attributes."""
    out: dict[str, str] = {}
    try:
        _describe(top, ".", out, time.time() - 86400)
    except FileNotFoundError:
        pass
    return out


def _describe(path: str, relative: str, out: dict[str, str], old: float) -> None:
    info = os.lstat(path)
    text = f"{stat.filemode(info.st_mode)} {info.st_uid}:{info.st_gid}"
    if stat.S_ISREG(info.st_mode):
        text += f" {info.st_size} bytes, links {info.st_nlink}"
        try:
            with open(path, "rb") as file:
                content = file.read(1 << 20)
            text += f" {hashlib.sha256(content).hexdigest()[:12]}"
        except OSError:
            text += " unreadable"
    elif stat.S_ISLNK(info.st_mode):
        text += f" -> {os.readlink(path)}"
    elif stat.S_ISDIR(info.st_mode):
        text += f" links {info.st_nlink}"
    if info.st_mtime < old or info.st_mtime > old + 2 * 86400:
        # A time of today is the time of a change: only one that was set is told.
        text += f" mtime {info.st_mtime_ns}"
    if not stat.S_ISLNK(info.st_mode):
        try:
            for name in sorted(os.listxattr(path)):
                text += f" {name}={os.getxattr(path, name)!r}"
        except OSError:
            pass
    out[relative] = text
    if stat.S_ISDIR(info.st_mode):
        try:
            names = sorted(os.listdir(path))
        except PermissionError:
            out[relative] += " unreadable"
            return
        for name in names:
            _describe(f"{path}/{name}", name if relative == "." else f"{relative}/{name}", out, old)


def remove_tree(top: str) -> None:
    """Also when the program took permissions away."""
    if not os.path.isdir(top):
        return
    if os.geteuid():
        for directory, _, _ in os.walk(top):
            os.chmod(directory, 0o700)
            for name in os.listdir(directory):
                if os.path.isdir(f"{directory}/{name}") and not os.path.islink(f"{directory}/{name}"):
                    os.chmod(f"{directory}/{name}", 0o700)
    shutil.rmtree(top, ignore_errors=True)
