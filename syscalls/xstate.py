"""The FPU's state as ptrace(2) and core dumps show it (arch/x86/kernel/fpu/regset.c)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

XSTATE_BV, XFEATURES_SW, FXSAVE_SIZE = 512, 464, 512


def xstate_image(target: Task) -> bytearray:
    """The XSAVE image with the features in the software bytes, as regset and core dumps have it."""
    image = bytearray(target.cpu.fpstate())
    if len(image) < XSTATE_BV + 64:
        image += (3).to_bytes(8, "little").ljust(XSTATE_BV + 64 - len(image), b"\0")
    if not any(image[XFEATURES_SW:XFEATURES_SW + 8]):
        image[XFEATURES_SW:XFEATURES_SW + 8] = (3 if len(image) <= XSTATE_BV + 64 else 7).to_bytes(8, "little")
    return image


def fx_image(target: Task) -> bytes:
    image = bytearray(target.cpu.fpstate()[:FXSAVE_SIZE])
    image[XFEATURES_SW - 48:] = bytes(FXSAVE_SIZE - XFEATURES_SW + 48)
    return bytes(image)
