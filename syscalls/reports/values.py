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
PRCTL_OPTIONS = dict(enumerate(
    "0 PR_SET_PDEATHSIG PR_GET_PDEATHSIG PR_GET_DUMPABLE PR_SET_DUMPABLE PR_GET_UNALIGN PR_SET_UNALIGN PR_GET_KEEPCAPS "
    "PR_SET_KEEPCAPS PR_GET_FPEMU PR_SET_FPEMU PR_GET_FPEXC PR_SET_FPEXC PR_GET_TIMING PR_SET_TIMING PR_SET_NAME "
    "PR_GET_NAME 17 18 PR_GET_ENDIAN PR_SET_ENDIAN PR_GET_SECCOMP PR_SET_SECCOMP PR_CAPBSET_READ PR_CAPBSET_DROP "
    "PR_GET_TSC PR_SET_TSC PR_GET_SECUREBITS PR_SET_SECUREBITS PR_SET_TIMERSLACK PR_GET_TIMERSLACK "
    "PR_TASK_PERF_EVENTS_DISABLE PR_TASK_PERF_EVENTS_ENABLE PR_MCE_KILL PR_MCE_KILL_GET PR_SET_MM "
    "PR_SET_CHILD_SUBREAPER PR_GET_CHILD_SUBREAPER PR_SET_NO_NEW_PRIVS PR_GET_NO_NEW_PRIVS PR_GET_TID_ADDRESS "
    "PR_SET_THP_DISABLE PR_GET_THP_DISABLE PR_MPX_ENABLE_MANAGEMENT PR_MPX_DISABLE_MANAGEMENT PR_SET_FP_MODE "
    "PR_GET_FP_MODE PR_CAP_AMBIENT 48 49 PR_SVE_SET_VL PR_SVE_GET_VL PR_GET_SPECULATION_CTRL "
    "PR_SET_SPECULATION_CTRL PR_PAC_RESET_KEYS PR_SET_TAGGED_ADDR_CTRL PR_GET_TAGGED_ADDR_CTRL PR_SET_IO_FLUSHER "
    "PR_GET_IO_FLUSHER PR_SET_SYSCALL_USER_DISPATCH PR_PAC_SET_ENABLED_KEYS PR_PAC_GET_ENABLED_KEYS PR_SCHED_CORE "
    "PR_SME_SET_VL PR_SME_GET_VL PR_SET_MDWE PR_GET_MDWE PR_SET_MEMORY_MERGE PR_GET_MEMORY_MERGE".split()))
PRCTL_OPTIONS |= {0x53564D41: "PR_SET_VMA", 0x59616D61: "PR_SET_PTRACER"}
TCP_OPTIONS = dict(enumerate(
    "0 TCP_NODELAY TCP_MAXSEG TCP_CORK TCP_KEEPIDLE TCP_KEEPINTVL TCP_KEEPCNT TCP_SYNCNT TCP_LINGER2 TCP_DEFER_ACCEPT "
    "TCP_WINDOW_CLAMP TCP_INFO TCP_QUICKACK TCP_CONGESTION TCP_MD5SIG 15 TCP_THIN_LINEAR_TIMEOUTS TCP_THIN_DUPACK "
    "TCP_USER_TIMEOUT TCP_REPAIR TCP_REPAIR_QUEUE TCP_QUEUE_SEQ TCP_REPAIR_OPTIONS TCP_FASTOPEN TCP_TIMESTAMP "
    "TCP_NOTSENT_LOWAT TCP_CC_INFO TCP_SAVE_SYN TCP_SAVED_SYN TCP_REPAIR_WINDOW TCP_FASTOPEN_CONNECT TCP_ULP".split()))
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
    from syscalls.profiles.load import wsl1_rules
    asked = {clause.index for rule in wsl1_rules(record.name) for clause in rule.clauses}
    return tuple(sorted(wanted | asked | set(MORE.get(record.name, ()))))


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
    if record.name == "prctl" and index == 0:
        return PRCTL_OPTIONS.get(value, f"{value:#x}")
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
    if level == 6:
        name = TCP_OPTIONS.get(option, name)
    return f"{LEVELS.get(level, level)}, {name}"


def fcntl_command(value: int) -> str:
    from syscalls.calls import fcntl
    return next((key for key, known in vars(fcntl).items() if key.startswith("F_") and known == value), str(value))
