"""What is at a path: openat2 with O_PATH, fstat or statx, and close, in one step out of the interpreter.

Nearly every call with a path begins so.  Each entry into the host through ctypes costs more than the host's own work:
the three apart take 4.8 us, together 3.5 us.
"""

from __future__ import annotations

import ctypes
from struct import Struct

from translator.hosts.base import HostError, HostStat
from translator.hosts.linux_calls import AT_EMPTY_PATH, NR_OPENAT2, STATX_ALL, statx_values
from translator.machine_code import MachineCode, mov

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NR_CLOSE, NR_FSTAT, NR_STATX = 3, 5, 332  # x86-64's
SYSCALL = b"\x0f\x05"
_STAT = Struct("=QQQIII4xQqqqqqqqqq")
"""struct stat of x86-64's kernel."""
_OPEN_HOW_SIZE = 24
_new_stat = HostStat.__new__


class Look:
    """Calls that look below one directory.  OSError where machine code is not possible."""

    def __init__(self, root: int, how: bytes) -> None:
        """`root`: the directory's descriptor; `how`: the struct open_how of each walk."""
        self._how = ctypes.create_string_buffer(how, _OPEN_HOW_SIZE)
        self._room = ctypes.create_string_buffer(256)
        self._empty = ctypes.create_string_buffer(1)
        self._read = memoryview(self._room)
        plain = self._assemble(root, mov(b"\x48\xbe", ctypes.addressof(self._room))  # mov rsi, room
                               + mov(b"\xb8", NR_FSTAT))
        full = self._assemble(root, mov(b"\x48\xbe", ctypes.addressof(self._empty)) + mov(b"\xba", AT_EMPTY_PATH)
                              + mov(b"\x41\xba", STATX_ALL) + mov(b"\x49\xb8", ctypes.addressof(self._room))
                              + mov(b"\xb8", NR_STATX))
        self._code = MachineCode(plain + full)
        function = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_char_p)
        self._plain: Callable[[bytes], int] = function(self._code.address)
        self._full: Callable[[bytes], int] = function(self._code.address + len(plain))

    def _assemble(self, root: int, tell: bytes) -> bytes:
        """A function of a path: 0, or the negative errno of the first call that failed."""
        walk = (b"\x53\x48\x89\xfe" + mov(b"\xbf", root)  # push rbx; mov rsi, rdi; mov edi, root
                + mov(b"\x48\xba", ctypes.addressof(self._how))  # mov rdx, how
                + mov(b"\x41\xba", _OPEN_HOW_SIZE)  # mov r10d, size
                + mov(b"\xb8", NR_OPENAT2) + SYSCALL)
        rest = (b"\x89\xc3\x89\xc7" + tell + SYSCALL  # mov ebx, eax; mov edi, eax
                + b"\x89\xdf\x89\xc3" + mov(b"\xb8", NR_CLOSE) + SYSCALL  # mov edi, ebx; mov ebx, eax
                + b"\x89\xd8")  # mov eax, ebx
        return walk + b"\x85\xc0\x78" + bytes([len(rest)]) + rest + b"\x5b\xc3"  # test eax, eax; js end; pop rbx; ret

    def stat(self, path: bytes) -> HostStat:
        """HostError."""
        error = self._plain(path)
        if error:
            raise HostError(-error)
        stat = _new_stat(HostStat)
        (stat.dev, stat.ino, stat.nlink, stat.mode, stat.uid, stat.gid, stat.rdev, stat.size, stat.blksize,
         stat.blocks, atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns) = _STAT.unpack_from(self._read)
        stat.atime_ns = atime * 1_000_000_000 + atime_ns
        stat.mtime_ns = mtime * 1_000_000_000 + mtime_ns
        stat.ctime_ns = ctime * 1_000_000_000 + ctime_ns
        stat.btime_ns = -1
        return stat

    def full_stat(self, path: bytes) -> HostStat:
        """With the time of birth.  HostError."""
        error = self._full(path)
        if error:
            raise HostError(-error)
        return statx_values(self._read)
