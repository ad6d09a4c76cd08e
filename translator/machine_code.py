"""Pieces of machine code of pylx's own: steps between which nothing of Python's may come, or which cost far less when
the interpreter is left once for all of them.  For Linux on x86-64; who uses them has a way in Python as well.
"""

from __future__ import annotations

import ctypes
import mmap
import os


class MachineCode:
    """A page that can be executed, and not written any more.  OSError where the system gives none (SELinux, PaX)."""

    def __init__(self, code: bytes) -> None:
        if os.uname().machine != "x86_64":
            raise OSError("machine code for another processor")
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        page[:len(code)] = code
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        self._page = page
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        if protect(ctypes.c_size_t(self.address), ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ | mmap.PROT_EXEC):
            raise OSError(ctypes.get_errno(), "this system refuses executable memory")


def mov(opcode: bytes, value: int) -> bytes:
    """mov REGISTER, value: of 64 bits where the opcode has a REX prefix with W, else of 32."""
    return opcode + value.to_bytes(8 if opcode[0] & 0xF8 == 0x48 else 4, "little")
