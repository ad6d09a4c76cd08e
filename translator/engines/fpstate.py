"""x87 and SSE state as the FXSAVE/XSAVE image that a signal frame carries (Intel SDM vol. 1, 10.5.1 and 13.4)."""

from __future__ import annotations

import struct

from translator.engines.cpuid import XSAVE_SIZE
from translator.engines.unicorn_binding import (
    REG_FDP,
    REG_FIP,
    REG_FOP,
    REG_FPCW,
    REG_FPSW,
    REG_FPTAG,
    REG_MXCSR,
    REG_ST0,
    REG_XMM0,
    RegisterBatch,
)

MXCSR_MASK = 0xFFFF
"""Bits of MXCSR that may be set: Linux clears others on sigreturn instead of faulting."""
MXCSR_DEFAULT, FPCW_DEFAULT = 0x1F80, 0x37F
_HEADER = struct.Struct("<HHBxHQQII")

# Slots of 16 bytes.  On writing, the status word (top of stack) must come before ST0-ST7, which are relative to it.
REGISTERS = (REG_FPCW, REG_FPSW, REG_FPTAG, REG_FOP, REG_FIP, REG_FDP, REG_MXCSR,
             *range(REG_ST0, REG_ST0 + 8), *range(REG_XMM0, REG_XMM0 + 16))
_ST, _XMM = 7 * 16, 15 * 16

INITIAL = _HEADER.pack(FPCW_DEFAULT, 0, 0, 0, 0, 0, MXCSR_DEFAULT, MXCSR_MASK) + bytes(XSAVE_SIZE - _HEADER.size)
"""The image of a process that has not used the FPU."""


def batch() -> RegisterBatch:
    return RegisterBatch(REGISTERS, 16)


def image(registers: RegisterBatch) -> bytes:
    """The XSAVE image of registers that have been read (their slots zeroed before)."""
    words, slots = registers.words, registers.slots
    tag = words[4]
    abridged = 0
    for number in range(8):
        if tag >> (2 * number) & 3 != 3:
            abridged |= 1 << number
    legacy = _HEADER.pack(words[0], words[2], abridged, words[6], words[8], words[10], words[12], MXCSR_MASK)
    legacy += bytes(slots[_ST:_XMM]) + bytes(slots[_XMM:_XMM + 256])
    return legacy.ljust(512, b"\0") + struct.pack("<Q", 3) + bytes(56)


def load(registers: RegisterBatch, data: bytes) -> None:
    """Fill the slots from an image, for writing.  An XSAVE header says which parts are in their initial state."""
    if len(data) >= 520:
        present = int.from_bytes(data[512:520], "little")
        if present & 3 != 3:
            first, sse = (data if present & 1 else INITIAL), (data if present & 2 else INITIAL)
            data = first[:24] + sse[24:28] + first[28:160] + sse[160:416]
    words, slots = registers.words, registers.slots
    control, status, abridged, opcode, ip, dp, mxcsr, _ = _HEADER.unpack_from(data)
    tag = 0
    for number in range(8):
        if not abridged >> number & 1:
            tag |= 3 << (2 * number)
    words[0], words[2], words[4], words[6] = control, status, tag, opcode
    words[8], words[10], words[12] = ip, dp, mxcsr & MXCSR_MASK
    slots[_ST:_XMM] = data[32:160]
    slots[_XMM:_XMM + 256] = data[160:416]
