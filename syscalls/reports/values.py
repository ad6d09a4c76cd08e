"""Which arguments of a call are worth counting by value - flags, commands, codes - and how values are named."""

from __future__ import annotations

from syscalls.abi.names import ARGUMENTS, CHOICES, FLAG_SETS, choice_text, flag_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.table import Syscall
    from syscalls.task import Task

FUTEX_OPERATIONS = ("FUTEX_WAIT", "FUTEX_WAKE", "FUTEX_FD", "FUTEX_REQUEUE", "FUTEX_CMP_REQUEUE", "FUTEX_WAKE_OP",
                    "FUTEX_LOCK_PI", "FUTEX_UNLOCK_PI", "FUTEX_TRYLOCK_PI", "FUTEX_WAIT_BITSET", "FUTEX_WAKE_BITSET",
                    "FUTEX_WAIT_REQUEUE_PI", "FUTEX_CMP_REQUEUE_PI", "FUTEX_LOCK_PI2")
ARCH_CODES = {0x1001: "ARCH_SET_GS", 0x1002: "ARCH_SET_FS", 0x1003: "ARCH_GET_FS", 0x1004: "ARCH_GET_GS",
              0x1011: "ARCH_GET_CPUID", 0x1012: "ARCH_SET_CPUID", 0x5001: "ARCH_SHSTK_ENABLE"}
MORE = {"futex": (1,), "epoll_ctl": (1,), "setsockopt": (1, 2), "getsockopt": (1, 2), "ptrace": (0,), "clone": (0,),
        "unshare": (0,), "personality": (0,), "kcmp": (2,), "seccomp": (0,), "membarrier": (0,), "bpf": (0,),
        "keyctl": (0,), "syslog": (0,), "landlock_create_ruleset": (2,), "mount": (3,), "prlimit64": (1,),
        "rt_sigaction": (0,), "kill": (1,), "tgkill": (2,), "socket": (0, 1, 2), "mmap": (2, 3), "memfd_create": (1,)}
"""Call -> arguments whose declared kind does not say that their value matters."""
IN_MEMORY = {"clone3": 0, "openat2": 2}
"""Calls whose first structure member is a u64 of flags: at which argument the structure's address is."""
OTHER_FLAGS = {"clone.flags": "CloneFlags", "unshare.flags": "CloneFlags", "clone3": "CloneFlags",
               "openat2": "OpenFlags", "mount.flags": "MountFlags"}
LEVELS = {0: "IPPROTO_IP", 1: "SOL_SOCKET", 6: "IPPROTO_TCP", 17: "IPPROTO_UDP", 41: "IPPROTO_IPV6", 255: "SOL_RAW",
          263: "SOL_PACKET", 270: "SOL_NETLINK"}


def counted_arguments(record: Syscall) -> tuple[int, ...]:
    """The indexes of the arguments of this call that are counted by value."""
    wanted = {index for index, (name, kind) in enumerate(zip(record.params, record.argument_kinds(), strict=True))
              if kind.startswith("Flags[") or f"{record.name}.{name}" in ARGUMENTS}
    return tuple(sorted(wanted | set(MORE.get(record.name, ()))))


def words(task: Task, record: Syscall, indexes: tuple[int, ...], args: tuple[int, ...]) -> tuple[int, ...]:
    """The values to count; flags inside of a structure are read from the guest's memory, 0 where it is bad."""
    out = [args[index] & 0xFFFFFFFF for index in indexes]
    if record.name == "socket" and len(out) > 1:
        out[1] &= ~0o2004000  # SOCK_CLOEXEC and SOCK_NONBLOCK
    at = IN_MEMORY.get(record.name)
    if at is not None:
        from syscalls.abi.errno import LinuxError
        try:
            out.append(task.mem.u64(args[at]))
        except LinuxError:
            out.append(0)
    return tuple(out)


def text(record: Syscall, indexes: tuple[int, ...], values: tuple[int, ...]) -> str:
    """The counted values by name, in the order of the arguments."""
    if record.name in ("setsockopt", "getsockopt"):
        return option_text(values[0], values[1])
    kinds = record.argument_kinds()
    out = [value_text(record, index, kinds[index], value) for index, value in zip(indexes, values, strict=False)]
    if record.name in IN_MEMORY:
        out.append(flag_text(OTHER_FLAGS[record.name], values[-1]))
    return ", ".join(out)


def value_text(record: Syscall, index: int, kind: str, value: int) -> str:
    name = f"{record.name}.{record.params[index]}"
    if record.name == "futex" and index == 1:
        number = value & 127
        base = FUTEX_OPERATIONS[number] if number < len(FUTEX_OPERATIONS) else str(number)
        return base + ("|FUTEX_PRIVATE_FLAG" if value & 128 else "") + ("|FUTEX_CLOCK_REALTIME" if value & 256 else "")
    if record.name == "epoll_ctl" and 1 <= value <= 3:
        return ("EPOLL_CTL_ADD", "EPOLL_CTL_DEL", "EPOLL_CTL_MOD")[value - 1]
    if record.name == "arch_prctl" and value in ARCH_CODES:
        return ARCH_CODES[value]
    if record.name == "fcntl" and index == 1:
        return fcntl_command(value)
    if record.name in ("socket", "socketpair") and index < 2:
        return choice_text("SocketKind" if index else "AddressFamily", value)
    if kind == "Signal":
        from syscalls.abi.names import signal_name
        return signal_name(value) if value < 65 else str(value)
    known = ARGUMENTS.get(name) or OTHER_FLAGS.get(name) or kind.partition("[")[2].rstrip("]")
    if known in CHOICES:
        return choice_text(known, value)
    if known == "MmapFlags":
        kinds = {1: "MAP_SHARED", 2: "MAP_PRIVATE", 3: "MAP_SHARED_VALIDATE"}
        rest = value & ~3
        return kinds.get(value & 3, str(value & 3)) + (f"|{flag_text(known, rest)}" if rest else "")
    if known in FLAG_SETS:
        shown = flag_text(known, value & ~0xFF if known == "CloneFlags" else value)
        if known == "CloneFlags" and value & 0xFF:
            from syscalls.abi.names import signal_name
            return signal_name(value & 0xFF) if shown == "0" else f"{shown}|{signal_name(value & 0xFF)}"
        return shown
    return str(value) if value < 4096 else f"{value:#x}"


def option_text(level: int, option: int) -> str:
    from syscalls.abi import net
    names = {1: "SO_", 6: "TCP_", 0: "IP_", 41: "IPV6_"}
    start = names.get(level, "?")
    name = next((key for key, value in vars(net).items() if key.startswith(start) and value == option), str(option))
    return f"{LEVELS.get(level, level)}, {name}"


def fcntl_command(value: int) -> str:
    from syscalls.calls import fcntl
    return next((key for key, known in vars(fcntl).items() if key.startswith("F_") and known == value), str(value))
