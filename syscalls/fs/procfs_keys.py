"""/proc/keys, /proc/key-users and /proc/sys/kernel/keys (security/keys/proc.c)."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EPERM, LinuxError
from syscalls.abi.keys import VIEW
from syscalls.fs.simple import TextFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.procfs import ProcFs
    from syscalls.kernel import Kernel
    from syscalls.keys import Key, KeyTable
    from syscalls.task import Task

SETTINGS = ("gc_delay", "maxbytes", "maxkeys", "persistent_keyring_expiry", "root_maxbytes", "root_maxkeys")
UNITS = ((60, 1, b"s"), (3600, 60, b"m"), (86400, 3600, b"h"), (604800, 86400, b"d"), (1 << 63, 604800, b"w"))


def _keys(kernel: Kernel) -> KeyTable:
    from syscalls.keys import key_table
    return key_table(kernel)


def _expiry(key: Key, now: int) -> bytes:
    if key.expires_ns is None:
        return b"perm"
    left = (key.expires_ns - now) // 1_000_000_000
    if left <= 0:
        return b"expd"
    return next(b"%d%s" % (left // step, unit) for limit, step, unit in UNITS if left < limit)


def keys(task: Task) -> bytes:
    """The keys that the reader may view."""
    from syscalls.keys import permitted
    table = _keys(task.kernel)
    now = task.kernel.clock.realtime()
    out = []
    for serial, key in sorted(table.by_serial.items()):
        if not permitted(task, key, VIEW, table.possesses(task, key)):
            continue
        flags = b"I" + (b"R" if key.revoked else b"-") + b"-Q-" + (b"N" if key.negative else b"-") + (
            b"i" if key.invalidated else b"-")
        if key.is_keyring:
            text = b"%s: %s" % (key.description, b"%d" % len(key.links) if key.links else b"empty")
        else:
            text = b"%s: %d" % (key.description, len(key.payload))
        out.append(b"%08x %s %5d %4s %08x %5d %5d %-9.9s %s\n" % (
            serial, flags, 1 + len(key.links), _expiry(key, now), key.rights, key.uid, key.gid, key.type.name, text))
    return b"".join(out)


def key_users(task: Task) -> bytes:
    table = _keys(task.kernel)
    out = []
    for uid, user in sorted(table.users.items()):
        most_keys, most_bytes = table.limits(uid)
        if user.keys:
            out.append(b"%5d: %5d %d/%d %d/%d %d/%d\n" % (uid, user.keys + 1, user.keys, user.keys, user.keys,
                                                          most_keys, user.bytes, most_bytes))
    return b"".join(out)


def key_settings(filesystem: ProcFs) -> dict[str, TextFile]:
    """By path below /proc/sys."""
    return {f"kernel/keys/{name}": _setting(filesystem, name) for name in SETTINGS}


def _setting(filesystem: ProcFs, name: str) -> TextFile:
    kernel = filesystem.kernel

    def write(task: Task, data: bytes) -> int | None:
        if task.cred.euid != 0:
            raise LinuxError(EPERM)
        try:
            value = int(data.rstrip(b"\0"))
        except ValueError:
            raise LinuxError(EINVAL) from None
        if not 0 <= value < 1 << 31:
            raise LinuxError(EINVAL)
        setattr(_keys(kernel), name, value)
        return None

    return TextFile(filesystem, lambda task: b"%d\n" % getattr(_keys(kernel), name), write)
