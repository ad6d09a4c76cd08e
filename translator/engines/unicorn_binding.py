"""libunicorn through ctypes: the few functions the engine needs, with prototypes of our own.

The official Python package is not imported: it costs 80 ms, loading its library alone 24 ms, and its wrappers make a
hooked system call fifteen times dearer.  The library file is taken from the installed package.
"""

from __future__ import annotations

import ctypes
import os
import sys

UC_ARCH_X86, UC_MODE_64 = 4, 8
UC_PROT_ALL = 7

UC_HOOK_INTR, UC_HOOK_INSN, UC_HOOK_MEM_FETCH_UNMAPPED = 1, 2, 64

UC_ERR_OK, UC_ERR_INSN_INVALID = 0, 10

# uc_ctl: type | number of arguments << 26 | direction << 30 (write is 1).
CTL_USE_EXITS = 4 | 1 << 26 | 1 << 30
CTL_REMOVE_CACHE = 9 | 2 << 26 | 1 << 30
CTL_TLB_FLUSH = 11 | 1 << 30

# enum uc_x86_reg
REG_EFLAGS, REG_FPSW, REG_RAX, REG_RBP, REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RIP = 25, 31, 35, 36, 37, 38, 39, 40, 41
REG_RSI, REG_RSP, REG_CR0, REG_CR2, REG_CR3, REG_CR4, REG_R8 = 43, 44, 50, 52, 53, 54, 106
REG_ST0, REG_XMM0 = 114, 122
REG_FPCW, REG_FPTAG, REG_MSR, REG_MXCSR, REG_FS_BASE, REG_GS_BASE = 246, 247, 248, 249, 250, 251
REG_RFLAGS, REG_FIP, REG_FCS, REG_FDP, REG_FDS, REG_FOP = 253, 254, 255, 256, 257, 258
REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 = range(107, 114)

# enum uc_x86_insn: the instructions that can be hooked.
INS_CPUID, INS_IN, INS_OUT, INS_RDTSC, INS_RDTSCP, INS_SYSCALL, INS_SYSENTER = 113, 218, 500, 608, 609, 699, 700

NO_LIBRARY = "libunicorn is not installed: pip install unicorn==2.1.4"


class EngineError(Exception):
    """Unicorn is missing, of an unknown version, or refused a request."""


def library_path() -> str:
    """The shared library inside the installed `unicorn` package; EngineError."""
    names = {"win32": ("unicorn.dll",), "darwin": ("libunicorn.2.dylib", "libunicorn.dylib")}.get(
        sys.platform, ("libunicorn.so.2", "libunicorn.so"))
    given = os.environ.get("LIBUNICORN_PATH", "")
    folders = [given] if given else []
    folders += [os.path.join(entry, "unicorn", "lib") for entry in sys.path]
    for folder in folders:
        for name in names:
            path = os.path.join(folder, name)
            if os.path.exists(path):
                return path
    from ctypes.util import find_library
    found = find_library("unicorn")
    if found is None:
        raise EngineError(NO_LIBRARY)
    return found


def _open(path: str) -> int | None:
    """A handle of the library whose functions are bound when first called.  ctypes alone (None) would have all its
    thousands bound at once, half of the time that loading takes."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        dlopen = ctypes.PyDLL(None).dlopen
    except (AttributeError, OSError):
        return None
    dlopen.argtypes = [ctypes.c_char_p, ctypes.c_int]
    dlopen.restype = ctypes.c_void_p
    handle: int | None = dlopen(os.fsencode(path), os.RTLD_LAZY)
    return handle


class Library:
    """Functions of libunicorn.  All but `emu_start_unlocked` are called with the GIL held: they are too short to
    be worth releasing it.

    The functions that a system call or a page fault needs have no argument types, which saves a third of a call:
    their arguments must be c_void_p objects made once (`Library.engine`, `RegisterBatch.arguments`) and C ints.  The
    others take addresses and numbers as Python ints.
    """

    def __init__(self) -> None:
        path = library_path()
        handle = _open(path)
        lib = ctypes.PyDLL(path, handle=handle)
        pointer, u64, u32, size, err = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_size_t, ctypes.c_int
        self.emu_stop_address = ctypes.cast(lib.uc_emu_stop, pointer).value or 0

        version = lib.uc_version
        version.argtypes = [pointer, pointer]
        version.restype = u32
        self.version: int = version(None, None)
        """major << 24 | minor << 16 | patch << 8."""

        self.open = lib.uc_open
        self.open.argtypes = [err, err, pointer]
        self.close = lib.uc_close
        self.close.argtypes = [pointer]
        self.ctl = lib.uc_ctl  # variadic: only the fixed arguments are declared, the others passed as c_uint64
        self.ctl.argtypes = [pointer, u32]
        self.emu_start = lib.uc_emu_start
        self.emu_start.argtypes = [pointer, u64, u64, u64, size]
        self.emu_start_unlocked = ctypes.CDLL(path, handle=handle).uc_emu_start
        self.emu_start_unlocked.argtypes = [pointer, u64, u64, u64, size]
        self.emu_stop = lib.uc_emu_stop
        self.emu_stop.argtypes = [pointer]
        self.mem_map_ptr = lib.uc_mem_map_ptr
        self.mem_map_ptr.argtypes = [pointer, u64, size, u32, pointer]
        self.reg_read = lib.uc_reg_read
        self.reg_read.argtypes = [pointer, err, pointer]
        self.reg_write = lib.uc_reg_write
        self.reg_write.argtypes = [pointer, err, pointer]
        self.reg_read_batch = lib.uc_reg_read_batch
        self.reg_write_batch = lib.uc_reg_write_batch
        self.context_alloc = lib.uc_context_alloc
        self.context_alloc.argtypes = [pointer, pointer]
        self.context_free = lib.uc_context_free
        self.context_free.argtypes = [pointer]
        self.context_size = lib.uc_context_size
        self.context_size.argtypes = [pointer]
        self.context_size.restype = size
        self.context_save = lib.uc_context_save
        self.context_restore = lib.uc_context_restore
        self.context_reg_read_batch = lib.uc_context_reg_read_batch
        self.context_reg_write_batch = lib.uc_context_reg_write_batch
        self.hook_add = lib.uc_hook_add  # variadic: an instruction number may follow
        self.hook_add.argtypes = [pointer, pointer, err, pointer, pointer, u64, u64]


class RegisterBatch:
    """A fixed set of registers that is read or written in one call: 64-bit slots in `words`."""

    __slots__ = ("_keep", "arguments", "count", "slots", "words")

    def __init__(self, registers: tuple[int, ...], slot_bytes: int = 8) -> None:
        count = len(registers)
        ids = (ctypes.c_int * count)(*registers)
        slots = (ctypes.c_uint64 * (count * slot_bytes // 8))()
        start = ctypes.addressof(slots)
        pointers = (ctypes.c_void_p * count)(*[start + slot_bytes * i for i in range(count)])
        self._keep = (ids, slots, pointers)
        self.count = count
        self.arguments = (ctypes.c_void_p(ctypes.addressof(ids)), ctypes.c_void_p(ctypes.addressof(pointers)), count)
        """What the batch functions want after the engine or context."""
        self.slots = memoryview(slots).cast("B")
        self.words = self.slots.cast("Q")
