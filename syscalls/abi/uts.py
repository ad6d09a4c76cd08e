"""What uname(2), /proc/version and /proc/sys/kernel say the system is.

Constant on purpose: the same run gives the same bytes, and looking the version up costs start-up time.
"""

from __future__ import annotations

SYSNAME = b"Linux"
RELEASE = b"6.1.0-pylx"
VERSION = b"#1 SMP pylx 0.1.0"
BANNER = b"(pylx) (Python)"
"""Who built it, in /proc/version."""
MACHINE = b"x86_64"
