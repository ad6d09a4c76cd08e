"""What the guest's processor says it is: one table for CPUID, AT_HWCAP and /proc/cpuinfo.

The level is x86-64-v2.  Left out on purpose, although the emulator knows some of it:

* AVX, AVX2, FMA, F16C and everything above: Unicorn 2.1 decodes VEX.128 forms as the two-operand SSE ones and
  computes wrong results silently.  BMI1, BMI2 are VEX-encoded too and belong to the same level (v3).
* XSAVEC, XSAVES: not implemented.  XSAVEOPT: no use without them.
* RDRAND, RDSEED: the kernel's getrandom is the one source, which keeps deterministic runs deterministic.
* ERMS: a hint that REP MOVSB and STOSB are fast, which an emulator does byte by byte (6 ns each, SSE2 0.3).
* MPX, RTM, HLE, PKU, SMEP and the like: meaningless here.

Known defect that no bit can hide without losing the v2 level: PCMPxSTRx in "equal ordered" mode (imm8 0x0C) is wrong
when a match is cut by the end of the 16 bytes.  glibc uses the other modes only.
"""

from __future__ import annotations

VENDOR = b"GenuineIntel"
"""glibc and the Go runtime pick tuned code by vendor; an unknown one gets the slow paths."""
BRAND = b"pylx virtual CPU (unicorn)"
FAMILY, MODEL, STEPPING = 6, 60, 4
SIGNATURE = 0x000306C4

# (bit, name in /proc/cpuinfo), CPUID.1:EDX
_EDX_1 = ((0, "fpu"), (3, "pse"), (4, "tsc"), (5, "msr"), (6, "pae"), (8, "cx8"), (11, "sep"), (13, "pge"),
          (15, "cmov"), (16, "pat"), (17, "pse36"), (19, "clflush"), (23, "mmx"), (24, "fxsr"), (25, "sse"),
          (26, "sse2"))
# CPUID.1:ECX
_ECX_1 = ((0, "pni"), (1, "pclmulqdq"), (9, "ssse3"), (13, "cx16"), (19, "sse4_1"), (20, "sse4_2"), (22, "movbe"),
          (23, "popcnt"), (25, "aes"), (26, "xsave"), (27, "osxsave"), (31, "hypervisor"))
# CPUID.7.0:EBX
_EBX_7 = ((0, "fsgsbase"),)
# CPUID.80000001:EDX and ECX
_EDX_X = ((11, "syscall"), (20, "nx"), (27, "rdtscp"), (29, "lm"))
_ECX_X = ((0, "lahf_lm"),)


def _mask(bits: tuple[tuple[int, str], ...]) -> int:
    return sum(1 << bit for bit, _ in bits)


FEATURES_EDX = _mask(_EDX_1)
FEATURES_ECX = _mask(_ECX_1)
FEATURES_EBX_7 = _mask(_EBX_7)
FEATURES_EDX_X = _mask(_EDX_X)
FEATURES_ECX_X = _mask(_ECX_X)

XSAVE_SIZE = 576
"""XCR0 = x87 | SSE: the 512 bytes of FXSAVE and the 64 of the XSAVE header."""


def _words(text: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(text[i:i + 4], "little") for i in range(0, len(text), 4))


_VENDOR_EBX, _VENDOR_EDX, _VENDOR_ECX = _words(VENDOR)
_BRAND_WORDS = _words(BRAND.ljust(48, b"\0"))

_NOTHING = (0, 0, 0, 0)
_LEAVES = {
    0x0: (0xD, _VENDOR_EBX, _VENDOR_ECX, _VENDOR_EDX),
    # EBX: cache line of 8 quadwords for CLFLUSH, one logical processor, APIC id 0.
    0x1: (SIGNATURE, 0x00010800, FEATURES_ECX, FEATURES_EDX),
    # Cache and TLB descriptors: 0xFF says that leaf 4 has them.
    0x2: (0x00FF0001, 0, 0, 0),
    0x7: (0, FEATURES_EBX_7, 0, 0),
    0x40000000: (0x40000000, *_words(b"pylx\0\0\0\0\0\0\0\0")),
    0x80000000: (0x80000008, 0, 0, 0),
    0x80000001: (0, 0, FEATURES_ECX_X, FEATURES_EDX_X),
    0x80000002: _BRAND_WORDS[0:4],
    0x80000003: _BRAND_WORDS[4:8],
    0x80000004: _BRAND_WORDS[8:12],
    # L2: 256 KiB, 8 ways, lines of 64 bytes.
    0x80000006: (0, 0, 0x01006040, 0),
    0x80000007: (0, 0, 0, 1 << 8),  # the TSC is invariant
    0x80000008: (0x3028, 0, 0, 0),  # 40 bits of physical, 48 of linear address
}
# Leaf 4, by subleaf: L1 data 32 KiB, L1 code 32 KiB, L2 256 KiB, L3 8 MiB; glibc sizes its memcpy by them.
_CACHES = (
    (0x00000121, 0x01C0003F, 63, 0),
    (0x00000122, 0x01C0003F, 63, 0),
    (0x00000143, 0x01C0003F, 511, 0),
    (0x00000163, 0x03C0003F, 8191, 0),
)
_XSAVE = (
    (0x3, XSAVE_SIZE, XSAVE_SIZE, 0),
    _NOTHING,
)


def cpuid(leaf: int, subleaf: int) -> tuple[int, int, int, int]:
    """EAX, EBX, ECX, EDX."""
    if leaf == 0x4:
        return _CACHES[subleaf] if subleaf < len(_CACHES) else _NOTHING
    if leaf == 0xD:
        return _XSAVE[subleaf] if subleaf < len(_XSAVE) else _NOTHING
    if leaf == 0x7 and subleaf:
        return _NOTHING
    answer = _LEAVES.get(leaf, _NOTHING)
    return (answer[0], answer[1], answer[2], answer[3])


HWCAP = FEATURES_EDX
HWCAP2 = 1 << 1  # HWCAP2_FSGSBASE


def cpuinfo() -> dict[str, str]:
    """The fields of /proc/cpuinfo that are the same for each processor."""
    flags = [name for table in (_EDX_1, _EDX_X) for _, name in table]
    flags += ["constant_tsc", "nopl", "nonstop_tsc", "cpuid"]
    flags += [name for table in (_ECX_1, _ECX_X, _EBX_7) for _, name in table if name != "osxsave"]
    return {
        "vendor_id": VENDOR.decode(),
        "cpu family": str(FAMILY),
        "model": str(MODEL),
        "model name": BRAND.decode(),
        "stepping": str(STEPPING),
        "microcode": "0x1",
        "cpu MHz": "1000.000",
        "cache size": "8192 KB",
        "fpu": "yes",
        "fpu_exception": "yes",
        "cpuid level": str(0xD),
        "wp": "yes",
        "flags": " ".join(flags),
        "bugs": "",
        "bogomips": "2000.00",
        "clflush size": "64",
        "cache_alignment": "64",
        "address sizes": "40 bits physical, 48 bits virtual",
        "power management": "",
    }
