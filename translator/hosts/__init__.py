"""The systems that the Linux personality can stand on, by name."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.hosts.base import Host

NAMES = ("linux", "portable")


def open_host(name: str) -> Host:
    """The host of that name.  It takes over what is one per process: umask, limits, later signals.

    Raises ValueError for an unknown name, OSError or ImportError where this system cannot be that host.
    """
    if name == "linux":
        from translator.hosts.linux import LinuxHost
        return LinuxHost()
    if name == "portable":
        from translator.hosts.portable import PortableHost
        return PortableHost()
    raise ValueError(f"unknown host {name!r}: one of {', '.join(NAMES)}")


def default_host() -> str:
    """The name of the host to take when the user chose none."""
    import sys
    return "linux" if sys.platform == "linux" else "portable"
