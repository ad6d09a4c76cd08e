"""The one door to guest memory for the kernel: every access through it raises EFAULT as Linux would.

Mirrors include/linux/uaccess.h: copy_from_user, copy_to_user, strncpy_from_user, get_user and put_user.  An access
below the stack grows it, as the guest's own would.
"""

from __future__ import annotations

import struct

from syscalls.abi.errno import EFAULT, EINVAL, ENAMETOOLONG, LinuxError
from translator.machine import PAGE_MASK, PAGE_SIZE, PROT_READ, PROT_WRITE, TASK_SIZE, UNMAPPED, GuestFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.mm import Mm
    from translator.machine import AddressSpace

PATH_MAX = 4096
IOV_MAX = 1024
MAX_RW_COUNT = 0x7FFFF000
"""The most bytes one read or write moves (include/linux/fs.h)."""

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_S32 = struct.Struct("<i")


class BadName(bytes):
    """A path that could not be read: what getname() gives as an error pointer.  Who looks it up begins with its first
    byte, and gets the error."""

    errno = 0

    def __getitem__(self, index: object) -> bytes:  # type: ignore[override]
        raise LinuxError(self.errno)


def readable_name(path: bytes) -> bytes:
    """The path, for those that do not look it up.  The error that reading it met."""
    path[:1]
    return path


class UserMemory:
    """Guest memory of one `Mm`.  All methods raise LinuxError(EFAULT) unless they say otherwise."""

    __slots__ = ("mm", "space")

    def __init__(self, mm: Mm, space: AddressSpace) -> None:
        self.mm = mm
        self.space = space

    def read(self, addr: int, length: int) -> bytes:
        try:
            return self.space.read(addr, length)
        except GuestFault as fault:
            self._grow(fault)
        return self._again_read(addr, length)

    def write(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        try:
            self.space.write(addr, data)
        except GuestFault as fault:
            self._grow(fault)
            try:
                self.space.write(addr, data)
            except GuestFault:
                raise LinuxError(EFAULT) from None

    def _again_read(self, addr: int, length: int) -> bytes:
        try:
            return self.space.read(addr, length)
        except GuestFault:
            raise LinuxError(EFAULT) from None

    def _grow(self, fault: GuestFault) -> None:
        if fault.reason is not UNMAPPED or not self.mm.grow_stack(fault.address):
            raise LinuxError(EFAULT) from None

    def readable(self, addr: int, length: int) -> int:
        """How many of the bytes can be read: what a write(2) of a partly bad buffer transfers."""
        return self.space.reach(addr, length, PROT_READ)

    def writable(self, addr: int, length: int) -> int:
        return self.space.reach(addr, length, PROT_WRITE)

    def input(self, addr: int, length: int) -> bytes:
        """The readable prefix of a buffer, EFAULT when not even one byte is (and length is not 0)."""
        try:
            return self.space.read(addr, length)
        except GuestFault as fault:
            if fault.reason is UNMAPPED and self.mm.grow_stack(fault.address):
                return self.input(addr, length)
            good = self.space.reach(addr, length, PROT_READ)
            if not good:
                raise LinuxError(EFAULT) from None
            return self.space.read(addr, good)

    def check_range(self, addr: int, length: int) -> None:
        """access_ok: only that the range lies below TASK_SIZE."""
        if addr + length > TASK_SIZE:
            raise LinuxError(EFAULT)

    def path(self, addr: int) -> bytes:
        """getname(): up to PATH_MAX bytes with the NUL; ENAMETOOLONG."""
        try:
            text = self.space.cstring(addr, PATH_MAX)
        except GuestFault:
            raise LinuxError(EFAULT) from None
        if text is None:
            raise LinuxError(ENAMETOOLONG)
        return text

    def filename(self, addr: int) -> bytes:
        """A path, or a `BadName` that raises when it is looked up."""
        try:
            text = self.space.cstring(addr, PATH_MAX)
        except GuestFault:
            errno = EFAULT
        else:
            if text is not None:
                return text
            errno = ENAMETOOLONG
        bad = BadName(b"\0")
        bad.errno = errno
        return bad

    def text(self, addr: int, limit: int = PATH_MAX) -> bytes:
        """strndup_user(): EINVAL when there is no NUL in `limit` bytes."""
        try:
            text = self.space.cstring(addr, limit)
        except GuestFault:
            raise LinuxError(EFAULT) from None
        if text is None:
            raise LinuxError(EINVAL)
        return text

    def u32(self, addr: int) -> int:
        return int(_U32.unpack(self.read(addr, 4))[0])

    def s32(self, addr: int) -> int:
        return int(_S32.unpack(self.read(addr, 4))[0])

    def u64(self, addr: int) -> int:
        return int(_U64.unpack(self.read(addr, 8))[0])

    def put_u32(self, addr: int, value: int) -> None:
        if addr & PAGE_MASK > PAGE_SIZE - 4 and 0 < self.space.reach(addr, 4, PROT_WRITE) < 4:
            raise LinuxError(EFAULT)  # one store: it faults as a whole
        self.write(addr, _U32.pack(value & 0xFFFFFFFF))

    def swap_u32(self, addr: int, old: int, new: int) -> bool:
        """Write a word that other threads may be changing, if it still is `old` (futex_cmpxchg_value_locked)."""
        try:
            return self.space.cas32(addr, old, new & 0xFFFFFFFF) == old
        except GuestFault:
            raise LinuxError(EFAULT) from None

    def put_u64(self, addr: int, value: int) -> None:
        if addr & PAGE_MASK > PAGE_SIZE - 8 and 0 < self.space.reach(addr, 8, PROT_WRITE) < 8:
            raise LinuxError(EFAULT)
        self.write(addr, _U64.pack(value & 0xFFFFFFFFFFFFFFFF))

    def unpack(self, layout: struct.Struct, addr: int) -> tuple[int, ...]:
        return layout.unpack(self.read(addr, layout.size))

    def words(self, addr: int, limit: int) -> list[int]:
        """A NULL-terminated array of pointers, without the NULL; at most `limit` (then LinuxError EFAULT: the
        caller checks its own limit first)."""
        out: list[int] = []
        while len(out) < limit:
            # Read to the end of the page at a time: an array next to an unmapped page is legal.
            room = min((4096 - (addr & 4095)) // 8 or 1, 512)
            chunk = self.read(addr, room * 8)
            for (word,) in _U64.iter_unpack(chunk):
                if word == 0:
                    return out
                out.append(word)
            addr += room * 8
        return out

    def iovec(self, addr: int, count: int, own: bool = True) -> list[tuple[int, int]]:
        """import_iovec: (base, length) pairs, the total cut at MAX_RW_COUNT.  EINVAL: more than IOV_MAX, or a
        negative length; EFAULT.  Not `own` (iovec_from_user): the addresses are another process's, to be judged
        there."""
        if count < 0 or count > IOV_MAX:
            raise LinuxError(EINVAL)
        try:
            raw = self.read(addr, count * 16) if count else b""
        except LinuxError:
            # They are looked at one after the other: a bad one before the end of what can be read comes first.
            good = self.space.reach(addr, count * 16, PROT_READ) & ~15
            before = self.read(addr, good) if good else b""
            if any(length >= 1 << 63 for _, length in struct.iter_unpack("<QQ", before)):
                raise LinuxError(EINVAL) from None
            raise
        entries = list(struct.iter_unpack("<QQ", raw))
        if any(length >= 1 << 63 for _, length in entries):
            raise LinuxError(EINVAL)
        out = []
        total = 0
        for base, length in entries:
            if own:
                # A single one is cut before it is looked at (import_ubuf).
                self.check_range(base, length if len(entries) > 1 else min(length, MAX_RW_COUNT))
            length = min(length, MAX_RW_COUNT - total)
            total += length
            out.append((base, length))
        return out

    def gather(self, vector: list[tuple[int, int]]) -> bytes:
        """The bytes of an iovec; stops before the first bad byte; EFAULT when there are none before it."""
        out: list[bytes] = []
        for base, length in vector:
            if not length:
                continue
            try:
                data = self.input(base, length)
            except LinuxError:
                if out:
                    break
                raise
            out.append(data)
            if len(data) < length:
                break
        return b"".join(out)

    def scatter(self, vector: list[tuple[int, int]], data: bytes) -> int:
        """Write bytes over an iovec; returns how many; EFAULT only when not one could be written."""
        done = 0
        view = memoryview(data)
        for base, length in vector:
            part = view[done:done + length]
            if not part:
                if done == len(data):
                    break
                continue
            try:
                self.write(base, part)
            except LinuxError:
                good = self.writable(base, len(part))
                if good:
                    self.write(base, part[:good])
                if done + good:
                    return done + good
                raise
            done += len(part)
        return done
