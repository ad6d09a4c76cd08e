"""Whether an x86-64 instruction that faulted was writing: the error code of a page fault, which ptrace does not show.

Good enough for bit 1 of the code in a signal frame; nothing else depends on it (Intel SDM vol. 2, appendix A).
"""

from __future__ import annotations

_LEGACY_PREFIXES = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3")

# One-byte opcodes whose ModRM operand, when memory, is written (read-modify-write faults as a write).
_STORES = frozenset((*(base + low for base in (0x00, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30) for low in (0, 1)),
                     0x86, 0x87, 0x88, 0x89, 0x8C, 0x8F, 0xC0, 0xC1, 0xC6, 0xC7, 0xD0, 0xD1, 0xD2, 0xD3))
# Without ModRM: PUSH, CALL, ENTER, MOV moffs, MOVS, STOS, PUSHF.
_IMPLICIT = frozenset((*range(0x50, 0x58), 0x68, 0x6A, 0x9C, 0xA2, 0xA3, 0xA4, 0xA5, 0xAA, 0xAB, 0xC8, 0xE8))
# Opcodes behind 0F that store to their ModRM operand.
_STORES_0F = frozenset((0x11, 0x13, 0x17, 0x29, 0x2B, 0x7E, 0x7F, 0xD6, 0xE7, 0xC3, 0xA4, 0xA5, 0xAB, 0xAC, 0xAD,
                        0xB0, 0xB1, 0xB3, 0xBB, 0xC0, 0xC1, 0xC7, *range(0x90, 0xA0)))


def writes_memory(code: bytes) -> bool:
    at = 0
    prefix_f3 = False
    while at < len(code) and code[at] in _LEGACY_PREFIXES:
        prefix_f3 = prefix_f3 or code[at] == 0xF3
        at += 1
    if at < len(code) and code[at] & 0xF0 == 0x40:
        at += 1
    if at + 1 >= len(code):
        return False
    opcode, following = code[at], code[at + 1]
    if opcode == 0x0F:
        if at + 2 >= len(code):
            return False
        return _store_0f(following, code[at + 2], prefix_f3)
    if opcode in (0xC4, 0xC5, 0x62):
        return _vex(code, at)
    if opcode in _IMPLICIT:
        return True
    field = following >> 3 & 7
    if opcode in (0x80, 0x81, 0x83):
        return field != 7  # CMP
    if opcode in (0xF6, 0xF7):
        return field in (2, 3)  # NOT, NEG
    if opcode in (0xFE, 0xFF):
        return field in (0, 1)  # INC, DEC
    if 0xD8 <= opcode <= 0xDF:
        return following < 0xC0 and (opcode, field) in _FPU_STORES
    return opcode in _STORES and following < 0xC0


_FPU_STORES = frozenset({(0xD9, 2), (0xD9, 3), (0xD9, 6), (0xD9, 7), (0xDB, 1), (0xDB, 2), (0xDB, 3), (0xDB, 7),
                         (0xDD, 1), (0xDD, 2), (0xDD, 3), (0xDD, 6), (0xDD, 7), (0xDF, 1), (0xDF, 2), (0xDF, 3),
                         (0xDF, 6), (0xDF, 7)})


def _store_0f(opcode: int, modrm: int, prefix_f3: bool) -> bool:
    if modrm >= 0xC0:
        return False
    if opcode == 0x7E:
        return not prefix_f3  # MOVQ xmm, m64 is a load
    if opcode == 0xBA:
        return modrm >> 3 & 7 in (5, 6, 7)
    if opcode == 0xAE:
        return modrm >> 3 & 7 in (0, 3, 4, 6)  # FXSAVE, STMXCSR, XSAVE, XSAVEOPT
    return opcode in _STORES_0F


def _vex(code: bytes, at: int) -> bool:
    length, space = {0xC5: (2, 1), 0xC4: (3, -1), 0x62: (4, -1)}[code[at]]
    if at + length + 1 >= len(code):
        return False
    if space < 0:
        space = code[at + 1] & (0x1F if code[at] == 0xC4 else 7)
    opcode, modrm = code[at + length], code[at + length + 1]
    if modrm >= 0xC0:
        return False
    if space == 1:
        single = code[at + length - 1] & 3 == 2 if code[at] != 0x62 else code[at + 2] & 3 == 2
        return _store_0f(opcode, modrm, single)
    if space == 2:
        return opcode in (0x2E, 0x2F, 0x8E, 0xA0, 0xA1, 0xA2, 0xA3, 0x8A, 0x8B)
    return space == 3 and opcode in (0x14, 0x15, 0x16, 0x17, 0x19, 0x39, 0x1B, 0x3B, 0x1D)
