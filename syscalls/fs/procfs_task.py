"""What /proc/PID says of a process besides its memory and files (fs/proc/array.c, base.c).

Every function gets the process looked at and the task that looks.
"""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EPERM, LinuxError
from syscalls.abi.signal import SIG_IGN
from syscalls.fs.procfs import ThreadsDirectory, may_access, text
from syscalls.fs.procfs_numbers import (
    S32_MAX,
    S32_MIN,
    coredump_filter,
    kernel_integer,
    oom_adj,
    oom_score,
    oom_score_adj,
    set_coredump_filter,
    set_oom_adj,
    set_oom_score_adj,
    set_timerslack,
    stripped,
    timerslack,
)
from syscalls.fs.simple import Seeks
from syscalls.task import DEAD, RLIM_INFINITY, RLIMIT_RSS, RLIMIT_SIGPENDING, RUNNING, SLEEPING, STOPPED, TRACED, ZOMBIE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.procfs import Maker, ProcFs
    from syscalls.fs.simple import Node
    from syscalls.mm import Mm
    from syscalls.task import Task, ThreadGroup
    from syscalls.tty import Tty

TICK_NS = 10_000_000
"""USER_HZ is 100."""
PF_RANDOMIZE, PF_FORKNOEXEC, PF_EXITING = 0x00400000, 0x40, 0x4
_STATE_NAMES = {RUNNING: "R (running)", SLEEPING: "S (sleeping)", STOPPED: "T (stopped)", TRACED: "t (tracing stop)",
                ZOMBIE: "Z (zombie)", DEAD: "X (dead)"}
TASK_COMM_LEN = 16


def memory_of(target: Task) -> Mm | None:
    """Its address space, None for a zombie."""
    return None if target.dead else getattr(target, "mm", None)


def state_of(target: Task) -> str:
    """A task that waits for the CPU runs; one whose system call sleeps does not."""
    if target.state is SLEEPING and target.queued:
        return RUNNING
    return target.state


def thread_count(group: ThreadGroup) -> int:
    return max(1, sum(not task.dead for task in group.tasks.values())) if not group.ended else 0


def tty_of(target: Task) -> Tty | None:
    return target.group.session.tty


def start_ticks(target: Task) -> int:
    """When it started, since boot, in clock ticks."""
    clock = target.kernel.clock
    boot_offset = clock.boottime() - clock.monotonic()
    return (target.group.start_ns + boot_offset) // TICK_NS


def escaped_comm(comm: bytes) -> bytes:
    return comm.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")


def signal_sets(target: Task) -> tuple[int, int]:
    """(ignored, caught) signals as masks."""
    ignored = caught = 0
    for signo, action in target.handlers.actions.items():
        if action.handler == SIG_IGN:
            ignored |= 1 << signo - 1
        elif action.handler:
            caught |= 1 << signo - 1
    return ignored, caught


def stat(target: Task, task: Task, whole: bool = True) -> bytes:
    from syscalls.accounting import group_cpu_ns, group_system_ns, task_cpu_ns, task_system_ns
    group = target.group
    mm = memory_of(target)
    permitted = may_access(task, target)
    tty = tty_of(target)
    foreground = tty.foreground() if tty is not None else None
    cpu = group_cpu_ns(group) if whole else task_cpu_ns(target)
    system = group_system_ns(group) if whole else task_system_ns(target)
    ignored, caught = signal_sets(target)
    flags = 0x400000 | (0 if group.has_execed else PF_FORKNOEXEC) | (PF_EXITING if target.dead else 0)
    fields: list[object] = [
        group.parent_pid(), group.pgrp.pgid, group.session.sid,
        _encoded(tty.device) if tty is not None else 0,
        foreground.pgid if foreground is not None else -1,
        flags, 0, 0, 0, 0,
        (cpu - system) // TICK_NS, system // TICK_NS,
        (group.children_cpu_ns - group.children_system_ns) // TICK_NS, group.children_system_ns // TICK_NS,
        20 + target.nice if not target.sched_policy or target.sched_policy > 2 else -1 - target.sched_priority,
        target.nice, thread_count(group), 0, start_ticks(target)]
    if mm is not None:
        fields += [mm.total_bytes(), mm.space.rss_pages(), group.rlimits[RLIMIT_RSS][0],
                   mm.start_code if permitted else 1, mm.end_code if permitted else 1,
                   mm.start_stack if permitted else 0]
    else:
        fields += [0, 0, group.rlimits[RLIMIT_RSS][0], 0, 0, 0]
    fields += [0, 0, target.signals.pending.mask & 0x7FFFFFFF, target.signals.mask & 0x7FFFFFFF,
               ignored & 0x7FFFFFFF, caught & 0x7FFFFFFF,
               1 if state_of(target) is SLEEPING else 0, 0, 0,
               group.exit_signal if target is group.leader else -1, 0,
               target.sched_priority, target.sched_policy, 0, 0, 0]
    if mm is not None and permitted:
        fields += [mm.start_data, mm.end_data, mm.start_brk, mm.arg_start, mm.arg_end, mm.env_start, mm.env_end]
    else:
        fields += [0] * 7
    fields.append(group.exit_status if permitted and group.ended else 0)
    return (b"%d (%s) %s " % (target.tid, escaped_comm(target.comm), state_of(target).encode())
            + " ".join(map(str, fields)).encode() + b"\n")


def _encoded(device: int) -> int:
    """new_encode_dev, which st_rdev of small numbers equals."""
    return device


def statm(target: Task, task: Task) -> bytes:
    mm = memory_of(target)
    if mm is None:
        return b"0 0 0 0 0 0 0\n"
    from syscalls.fs.procfs_memory import Usage
    usage = Usage(mm)
    return b"%d %d %d %d 0 %d 0\n" % (mm.total_bytes() >> 12, usage.rss >> 12, usage.rss_file >> 12,
                                     (page_up(mm.end_code) - (mm.start_code & ~4095)) >> 12,
                                     (usage.data + usage.stack) >> 12)


def page_up(value: int) -> int:
    return value + 4095 & ~4095


def status(target: Task, task: Task) -> bytes:
    group, cred = target.group, target.cred
    state = state_of(target)
    lines = [
        f"Name:\t{escaped_comm(target.comm).decode('utf-8', 'surrogateescape')}",
        *([f"Umask:\t{target.fs.umask:04o}"] if not target.dead else []),
        f"State:\t{_STATE_NAMES.get(state, state)}",
        f"Tgid:\t{group.pid}", "Ngid:\t0", f"Pid:\t{target.tid}", f"PPid:\t{group.parent_pid()}",
        f"TracerPid:\t{getattr(target.tracer, 'tid', 0) if target.tracer is not None else 0}",
        f"Uid:\t{cred.uid}\t{cred.euid}\t{cred.suid}\t{cred.fsuid}",
        f"Gid:\t{cred.gid}\t{cred.egid}\t{cred.sgid}\t{cred.fsgid}",
        f"FDSize:\t{_fd_size(target)}",
        f"Groups:\t{''.join(f'{gid} ' for gid in cred.groups) or ' '}",
        f"NStgid:\t{group.pid}", f"NSpid:\t{target.tid}", f"NSpgid:\t{group.pgrp.pgid}", f"NSsid:\t{group.session.sid}",
        "Kthread:\t0"]
    mm = memory_of(target)
    if mm is not None:
        lines += _memory_lines(mm)
    ignored, caught = signal_sets(target)
    queued = target.kernel.queued_signals.get(cred.uid, 0)
    limit = group.rlimits[RLIMIT_SIGPENDING][0]
    lines += [
        f"Threads:\t{thread_count(group)}", f"SigQ:\t{queued}/{limit}",
        f"SigPnd:\t{target.signals.pending.mask:016x}", f"ShdPnd:\t{group.signals.pending.mask:016x}",
        f"SigBlk:\t{target.signals.mask:016x}", f"SigIgn:\t{ignored:016x}", f"SigCgt:\t{caught:016x}",
        f"CapInh:\t{cred.cap_inheritable:016x}", f"CapPrm:\t{cred.cap_permitted:016x}",
        f"CapEff:\t{cred.cap_effective:016x}", f"CapBnd:\t{cred.bounding:016x}", f"CapAmb:\t{cred.ambient:016x}",
        f"NoNewPrivs:\t{int(target.no_new_privs)}", "Seccomp:\t0", "Seccomp_filters:\t0",
        "Speculation_Store_Bypass:\tvulnerable", "SpeculationIndirectBranch:\talways enabled"]
    cpus = affinity(target)
    lines += [f"Cpus_allowed:\t{cpus:x}", f"Cpus_allowed_list:\t{bit_list(cpus)}",
              "Mems_allowed:\t00000001", "Mems_allowed_list:\t0",
              f"voluntary_ctxt_switches:\t{target.syscalls}", "nonvoluntary_ctxt_switches:\t0"]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _fd_size(target: Task) -> int:
    if target.dead:
        return 0
    highest = max(target.files.files, default=0)
    size = 64
    while size <= highest:
        size *= 2
    return size


def _memory_lines(mm: Mm) -> list[str]:
    from syscalls.fs.procfs_memory import Usage
    usage = Usage(mm)
    code = page_up(mm.end_code) - (mm.start_code & ~4095)
    total = mm.total_bytes()
    rows = [("VmPeak", total), ("VmSize", total), ("VmLck", mm.locked_bytes), ("VmPin", 0), ("VmHWM", usage.rss),
            ("VmRSS", usage.rss), ("RssAnon", usage.rss_anon), ("RssFile", usage.rss_file),
            ("RssShmem", usage.rss_shared), ("VmData", usage.data), ("VmStk", usage.stack), ("VmExe", code),
            ("VmLib", max(0, usage.code - code)), ("VmPTE", page_up(total >> 9) + 8192), ("VmSwap", 0),
            ("HugetlbPages", 0)]
    return [f"{name}:\t{value >> 10:8d} kB" for name, value in rows] + [
        "CoreDumping:\t0", "THP_enabled:\t0", "untag_mask:\t0xffffffffffffffff"]


def affinity(target: Task) -> int:
    everything = (1 << target.kernel.host.cpus()) - 1
    if target.affinity is None:
        return everything
    return int.from_bytes(target.affinity, "little") & everything or everything


def bit_list(mask: int) -> str:
    """A set of bits as the kernel prints lists: 0-3,6."""
    parts = []
    bit = 0
    while mask >> bit:
        if mask >> bit & 1:
            last = bit
            while mask >> last + 1 & 1:
                last += 1
            parts.append(str(bit) if last == bit else f"{bit}-{last}")
            bit = last
        bit += 1
    return ",".join(parts)


_LIMITS = (("Max cpu time", "seconds"), ("Max file size", "bytes"), ("Max data size", "bytes"),
           ("Max stack size", "bytes"), ("Max core file size", "bytes"), ("Max resident set", "bytes"),
           ("Max processes", "processes"), ("Max open files", "files"), ("Max locked memory", "bytes"),
           ("Max address space", "bytes"), ("Max file locks", "locks"), ("Max pending signals", "signals"),
           ("Max msgqueue size", "bytes"), ("Max nice priority", ""), ("Max realtime priority", ""),
           ("Max realtime timeout", "us"))


def limits(target: Task, task: Task) -> bytes:
    def shown(value: int) -> str:
        return "unlimited" if value == RLIM_INFINITY else str(value)

    lines = [f"{'Limit':<25} {'Soft Limit':<20} {'Hard Limit':<20} {'Units':<10}"]
    for (name, unit), (soft, hard) in zip(_LIMITS, target.group.rlimits, strict=True):
        lines.append(f"{name:<25} {shown(soft):<20} {shown(hard):<20} " + (f"{unit:<10}" if unit else ""))
    return ("\n".join(lines) + "\n").encode()


def comm(target: Task, task: Task) -> bytes:
    return target.comm + b"\n"


def set_comm(target: Task, task: Task, data: bytes) -> int | None:
    """Threads of the same process only.  The first 15 bytes count."""
    if target.group is not task.group:
        raise LinuxError(EINVAL)
    target.comm = data[:TASK_COMM_LEN - 1].split(b"\0")[0]
    return None


def io(target: Task, task: Task) -> bytes:
    return (f"rchar: 0\nwchar: 0\nsyscr: {target.syscalls}\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"
            "cancelled_write_bytes: 0\n").encode()


def cgroup(target: Task, task: Task) -> bytes:
    return b"0::/\n"


def cpuset(target: Task, task: Task) -> bytes:
    return b"/\n"


def wchan(target: Task, task: Task) -> bytes:
    return b"0"


def syscall(target: Task, task: Task) -> bytes:
    """The system call it sleeps in, with SP and PC."""
    from translator.machine import RIP, RSP
    if target.dead or target is task.kernel.current or state_of(target) is RUNNING:
        return b"running\n"
    stack, pc = target.cpu.get(RSP), target.cpu.get(RIP)
    if target.coroutine is None:
        return b"-1 0x%x 0x%x\n" % (stack, pc)
    words = b" ".join(b"0x%x" % arg for arg in target.call_args[:6])
    return b"%d %s 0x%x 0x%x\n" % (target.call_number, words, stack, pc)


def reset_sched(target: Task, task: Task, data: bytes) -> int | None:
    """Whatever is written sets the numbers of schedstats to 0, which they are."""
    return None


def sched(target: Task, task: Task) -> bytes:
    from syscalls.accounting import task_cpu_ns
    group = target.group
    spent = task_cpu_ns(target)
    title = f"{target.comm.decode('utf-8', 'replace')} ({target.tid}, #threads: {thread_count(group)})"
    rows = [("se.exec_start", f"{target.kernel.clock.boottime() / 1e6:.6f}"), ("se.vruntime", f"{spent / 1e6:.6f}"),
            ("se.sum_exec_runtime", f"{spent / 1e6:.6f}"), ("se.nr_migrations", "0"),
            ("nr_switches", str(target.syscalls)), ("nr_voluntary_switches", str(target.syscalls)),
            ("nr_involuntary_switches", "0"), ("se.load.weight", "1048576"),
            ("policy", str(target.sched_policy)), ("prio", str(120 + target.nice))]
    return "\n".join([title, "-" * 67, *[f"{name:<45}:{value:>21}" for name, value in rows], ""]).encode()


def schedstat(target: Task, task: Task) -> bytes:
    from syscalls.accounting import task_cpu_ns
    return b"%d 0 %d\n" % (task_cpu_ns(target), target.syscalls)


def personality(target: Task, task: Task) -> bytes:
    return b"%08x\n" % target.personality


def loginuid(target: Task, task: Task) -> bytes:
    return b"4294967295"


def set_loginuid(target: Task, task: Task, data: bytes) -> int | None:
    kernel_integer(data, 0, 0xFFFFFFFF, 10)
    raise LinuxError(EPERM)


def uid_map(target: Task, task: Task) -> bytes:
    return b"         0          0 4294967295\n"


def set_map(target: Task, task: Task, data: bytes) -> int | None:
    """The initial user namespace has its map already."""
    raise LinuxError(EPERM)


def setgroups(target: Task, task: Task) -> bytes:
    return b"allow\n"


def attribute(target: Task, task: Task) -> bytes:
    """/proc/PID/attr/current: there is no security module."""
    raise LinuxError(EINVAL)


def timers(target: Task, task: Task) -> bytes:
    return b""


def timens_offsets(target: Task, task: Task) -> bytes:
    return b"monotonic           0         0\nboottime            0         0\n"


def autogroup(target: Task, task: Task) -> bytes:
    return b"/autogroup-%d nice 0\n" % target.group.session.sid


def children(target: Task, task: Task) -> bytes:
    """Child processes of this thread."""
    group = target.group
    return b"".join(b"%d " % child.pid for child in group.children.values()
                    if child.parent_task is target or (child.parent_task is None and target is group.leader))


def stack(target: Task, task: Task) -> bytes:
    return b""


def patch_state(target: Task, task: Task) -> bytes:
    return b"-1\n"


def _attributes(filesystem: ProcFs, target: Task, number: int) -> Node:
    from syscalls.fs.inode import Inode
    from syscalls.fs.procfs import TaskSubdirectory
    names = ((b"current", 0o666), (b"exec", 0o666), (b"fscreate", 0o666), (b"keycreate", 0o666), (b"prev", 0o444),
             (b"sockcreate", 0o666))

    def make(filesystem: ProcFs, target: Task, task: Task) -> dict[bytes, Inode]:
        out: dict[bytes, Inode] = {}
        for index, (name, mode) in enumerate(names, 1):
            accept = _refuse_attribute if mode == 0o666 else None
            out[name] = text(mode, attribute, accept, seeks=Seeks.GENERIC)(filesystem, target, number + (index << 8))
        return out

    return TaskSubdirectory(filesystem, target, make, 0o555, number)


def _refuse_attribute(target: Task, task: Task, data: bytes) -> int | None:
    raise LinuxError(EINVAL)


def _stat(whole: bool) -> Maker:
    def generate(target: Task, task: Task) -> bytes:
        return stat(target, task, whole)

    return text(0o444, generate)


def _make_stat(filesystem: ProcFs, target: Task, number: int) -> Node:
    # The directory of a thread tells its own CPU time, that of a process the sum.
    return _stat(bool(number >> 19 & 1))(filesystem, target, number)


def clear_refs(target: Task, task: Task) -> bytes:
    raise LinuxError(EINVAL)


def set_clear_refs(target: Task, task: Task, data: bytes) -> int | None:
    if not 1 <= kernel_integer(stripped(data), S32_MIN, S32_MAX, 10) <= 5:
        raise LinuxError(EINVAL)
    return None


def arch_status(target: Task, task: Task) -> bytes:
    """Since 5.3, of processors with AVX-512 only.  Linux notes its use now and then as threads leave the CPU; nobody
    does here, and -1 is its word for a use that was not noted."""
    from syscalls.fs.procfs_system import processor_has
    return b"AVX512_elapsed_ms:\t-1\n" if processor_has(target.kernel, "avx512f") else b""


def ksm_merging_pages(target: Task, task: Task) -> bytes:
    """Since 5.19.  KSM is not running (/sys/kernel/mm/ksm/run)."""
    return b"0\n" if memory_of(target) is not None else b""


def ksm_stat(target: Task, task: Task) -> bytes:
    """As 6.1 has it; later ones say more."""
    return b"ksm_rmap_items 0\n" if memory_of(target) is not None else b""


TASK_ENTRIES: dict[bytes, Maker] = {
    b"task": ThreadsDirectory,
    b"status": text(0o444, status),
    b"personality": text(0o400, personality, guarded=True),
    b"limits": text(0o444, limits),
    b"sched": text(0o644, sched, reset_sched),
    b"autogroup": text(0o644, autogroup),
    b"timens_offsets": text(0o644, timens_offsets),
    b"comm": text(0o644, comm, set_comm),
    b"syscall": text(0o400, syscall, guarded=True),
    b"stat": _make_stat,
    b"statm": text(0o444, statm),
    b"children": text(0o444, children),
    b"attr": _attributes,
    b"wchan": text(0o444, wchan),
    b"stack": text(0o400, stack, guarded=True),
    b"schedstat": text(0o444, schedstat),
    b"cpuset": text(0o444, cpuset),
    b"cgroup": text(0o444, cgroup),
    b"oom_score": text(0o444, oom_score),
    b"oom_adj": text(0o644, oom_adj, set_oom_adj, seeks=Seeks.GENERIC),
    b"oom_score_adj": text(0o644, oom_score_adj, set_oom_score_adj, seeks=Seeks.DEFAULT),
    b"loginuid": text(0o644, loginuid, set_loginuid, seeks=Seeks.GENERIC),
    b"sessionid": text(0o444, loginuid, seeks=Seeks.GENERIC),
    b"coredump_filter": text(0o644, coredump_filter, set_coredump_filter, seeks=Seeks.GENERIC),
    b"io": text(0o400, io, guarded=True),
    b"uid_map": text(0o644, uid_map, set_map),
    b"gid_map": text(0o644, uid_map, set_map),
    b"projid_map": text(0o644, uid_map, set_map),
    b"setgroups": text(0o644, setgroups, set_map),
    b"timers": text(0o444, timers),
    b"timerslack_ns": text(0o666, timerslack, set_timerslack),
    b"arch_status": text(0o444, arch_status),
    b"ksm_merging_pages": text(0o400, ksm_merging_pages),
    b"ksm_stat": text(0o400, ksm_stat),
    b"clear_refs": text(0o200, clear_refs, set_clear_refs, seeks=Seeks.NOWHERE),
}
