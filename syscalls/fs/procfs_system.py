"""What /proc says of the system: CPUs, memory, load, time, drivers (fs/proc/stat.c, meminfo.c, ...)."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EPERM, LinuxError
from syscalls.fs.procfs_links import net_link
from syscalls.fs.simple import PlainFile, SimpleDirectory, SymlinkNode, TextFile, registered
from syscalls.task import RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fs.inode import Inode
    from syscalls.fs.procfs import ProcFs
    from syscalls.kernel import Kernel
    from syscalls.task import Task

TICK_NS = 10_000_000
DETERMINISTIC_MEMORY = 4 << 30
KEPT_FILE_SYSTEMS = (("nodev", "sysfs"), ("nodev", "tmpfs"), ("nodev", "proc"), ("nodev", "cgroup2"),
                     ("nodev", "devtmpfs"), ("nodev", "sockfs"), ("nodev", "pipefs"), ("nodev", "ramfs"),
                     ("nodev", "devpts"), ("", "ext4"), ("nodev", "mqueue"))


def memory(kernel: Kernel) -> tuple[int, int]:
    """(total, available) bytes."""
    if kernel.deterministic:
        return DETERMINISTIC_MEMORY, DETERMINISTIC_MEMORY // 2
    return kernel.host.memory()


def cpus(kernel: Kernel) -> int:
    return 1 if kernel.deterministic else kernel.host.cpus()


def total_cpu_ns(kernel: Kernel) -> int:
    """CPU time of all guests that are or were here."""
    return kernel.clock.cputime()


def cpuinfo(task: Task) -> bytes:
    kernel = task.kernel
    fields = kernel.engine.cpuinfo()
    count = cpus(kernel)
    out = []
    per_cpu = {"physical id": "0", "siblings": str(count), "cpu cores": str(count)}
    for number in range(count):
        shown = {"processor": str(number), **fields, **per_cpu, "core id": str(number), "apicid": str(number),
                 "initial apicid": str(number)}
        out.append("".join(f"{name}{_tabs(name)}:{' ' if shown[name] else ''}{shown[name]}\n"
                           for name in _ordered(shown)))
    return "\n".join([*out, ""]).encode()


def processor_has(kernel: Kernel, flag: str) -> bool:
    return flag in kernel.engine.cpuinfo().get("flags", "").split()


_CPU_ORDER = ("processor", "vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "cpu MHz",
              "cache size", "physical id", "siblings", "core id", "cpu cores", "apicid", "initial apicid", "fpu",
              "fpu_exception", "cpuid level", "wp", "flags", "vmx flags", "bugs", "bogomips", "TLB size",
              "clflush size", "cache_alignment", "address sizes", "power management")


def _ordered(fields: dict[str, str]) -> list[str]:
    known = [name for name in _CPU_ORDER if name in fields]
    return known + [name for name in fields if name not in _CPU_ORDER]


def _tabs(name: str) -> str:
    """Tab stops as arch/x86/kernel/cpu/proc.c has them: values begin in column 16."""
    return "\t" * max(1, (23 - len(name)) // 8) if len(name) < 16 else ""


def meminfo(task: Task) -> bytes:
    kernel = task.kernel
    total, available = memory(kernel)
    cached = min(available // 4, total // 8)
    anonymous = sum(mm.space.rss_pages() << 12 for mm in {member.mm for member in kernel.tasks.values()
                                                          if not member.dead})
    free = available - cached
    rows = [("MemTotal", total), ("MemFree", free), ("MemAvailable", available), ("Buffers", 0), ("Cached", cached),
            ("SwapCached", 0), ("Active", anonymous + cached // 2), ("Inactive", cached // 2),
            ("Active(anon)", anonymous), ("Inactive(anon)", 0), ("Active(file)", cached // 2),
            ("Inactive(file)", cached // 2), ("Unevictable", 0), ("Mlocked", 0), ("SwapTotal", 0), ("SwapFree", 0),
            ("Zswap", 0), ("Zswapped", 0), ("Dirty", 0), ("Writeback", 0), ("AnonPages", anonymous), ("Mapped", 0),
            ("Shmem", 0), ("KReclaimable", 0), ("Slab", 0), ("SReclaimable", 0), ("SUnreclaim", 0),
            ("KernelStack", 16384 * len(kernel.tasks)), ("PageTables", 0), ("SecPageTables", 0), ("NFS_Unstable", 0),
            ("Bounce", 0), ("WritebackTmp", 0), ("CommitLimit", total // 2), ("Committed_AS", anonymous),
            ("VmallocTotal", 34359738367 << 10), ("VmallocUsed", 0), ("VmallocChunk", 0), ("Percpu", 0),
            ("AnonHugePages", 0), ("ShmemHugePages", 0), ("ShmemPmdMapped", 0), ("FileHugePages", 0),
            ("FilePmdMapped", 0)]
    text = "".join(f"{name + ':':<15} {value >> 10:8d} kB\n" for name, value in rows)
    for name in ("HugePages_Total", "HugePages_Free", "HugePages_Rsvd", "HugePages_Surp"):
        text += f"{name + ':':<16}{0:8d}\n"
    text += f"{'Hugepagesize:':<15} {2048:8d} kB\n{'Hugetlb:':<15} {0:8d} kB\n"
    return text.encode()


def stat(task: Task) -> bytes:
    """Time is divided as if all CPUs had done the guests' work in equal parts."""
    kernel = task.kernel
    count = cpus(kernel)
    up = kernel.clock.boottime()
    busy = min(total_cpu_ns(kernel), up * count)
    idle = (up * count - busy) // TICK_NS
    user = busy // TICK_NS
    lines = [f"cpu  {user} 0 0 {idle} 0 0 0 0 0 0"]
    lines += [f"cpu{number} {user // count} 0 0 {idle // count} 0 0 0 0 0 0" for number in range(count)]
    switches = sum(member.syscalls for member in kernel.tasks.values())
    running = sum(member.state is RUNNING for member in kernel.tasks.values())
    boot = (kernel.clock.realtime() - up) // 1_000_000_000
    lines += ["intr 0", f"ctxt {switches}", f"btime {boot}", f"processes {kernel.next_pid - kernel.init.pid}",
              f"procs_running {max(1, running)}", "procs_blocked 0", "softirq 0 0 0 0 0 0 0 0 0 0 0"]
    return ("\n".join(lines) + "\n").encode()


def uptime(task: Task) -> bytes:
    kernel = task.kernel
    up = kernel.clock.boottime()
    idle = max(0, up * cpus(kernel) - total_cpu_ns(kernel))
    return b"%d.%02d %d.%02d\n" % (up // 10**9, up // 10**7 % 100, idle // 10**9, idle // 10**7 % 100)


def loadavg(task: Task) -> bytes:
    kernel = task.kernel
    one, five, fifteen = (0.0, 0.0, 0.0) if kernel.deterministic else kernel.host.loadavg()
    running = max(1, sum(member.state is RUNNING for member in kernel.tasks.values()))
    return (f"{one:.2f} {five:.2f} {fifteen:.2f} {running}/{len(kernel.tasks)} {kernel.next_pid - 1}\n").encode()


def version(task: Task) -> bytes:
    kernel = task.kernel
    return b"Linux version %s %s %s\n" % (kernel.release, kernel.banner, kernel.version)


def filesystems(task: Task) -> bytes:
    return "".join(f"{kind}\t{name}\n" for kind, name in KEPT_FILE_SYSTEMS).encode()


def devices(task: Task) -> bytes:
    return (b"Character devices:\n  1 mem\n  4 tty\n  4 ttyS\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n 10 misc\n"
            b"128 ptm\n136 pts\n\nBlock devices:\n259 blkext\n")


def interrupts(task: Task) -> bytes:
    count = cpus(task.kernel)
    head = "     " + "".join(f"{f'CPU{number}':>10} " for number in range(count)).rstrip() + " \n"
    zero = "".join(f"{0:>10} " for _ in range(count))
    rows = (("NMI", "Non-maskable interrupts"), ("LOC", "Local timer interrupts"), ("RES", "Rescheduling interrupts"),
            ("CAL", "Function call interrupts"), ("TLB", "TLB shootdowns"))
    return (head + "".join(f"{name}: {zero}  {text}\n" for name, text in rows)
            + f"ERR: {0:>10}\nMIS: {0:>10}\n").encode()


def softirqs(task: Task) -> bytes:
    count = cpus(task.kernel)
    head = " " * 16 + "".join(f"{f'CPU{number}':<10} " for number in range(count)) + "\n"
    names = ("HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU")
    return (head + "".join(f"{name:>12}:" + f" {0:>10}" * count + "\n" for name in names)).encode()


def vmstat(task: Task) -> bytes:
    total, available = memory(task.kernel)
    names = {"nr_free_pages": available >> 12, "nr_inactive_anon": 0, "nr_active_anon": 0, "nr_inactive_file": 0,
             "nr_active_file": 0, "nr_unevictable": 0, "nr_mlock": 0, "nr_anon_pages": (total - available) >> 12,
             "nr_mapped": 0, "nr_file_pages": 0, "nr_dirty": 0, "nr_writeback": 0, "nr_slab_reclaimable": 0,
             "nr_slab_unreclaimable": 0, "nr_page_table_pages": 0, "nr_kernel_stack": 0, "nr_bounce": 0, "nr_shmem": 0,
             "pgpgin": 0, "pgpgout": 0, "pswpin": 0, "pswpout": 0, "pgalloc_normal": 0, "pgfree": 0, "pgfault": 0,
             "pgmajfault": 0, "pgrefill": 0, "pgscan_kswapd": 0, "pgscan_direct": 0,
             "oom_kill": 0, "thp_fault_alloc": 0}
    return "".join(f"{name} {value}\n" for name, value in names.items()).encode()


def command_line(task: Task) -> bytes:
    return b"root=/dev/root rw\n"


def locks(task: Task) -> bytes:
    shown = getattr(task.kernel.vfs.locks, "show", None)
    return bytes(shown(task)) if shown is not None else b""


def cgroups(task: Task) -> bytes:
    return b"#subsys_name\thierarchy\tnum_cgroups\tenabled\n"


def pressure(task: Task) -> bytes:
    return (b"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")


def sysrq(task: Task, data: bytes) -> int | None:
    raise LinuxError(EPERM)


def kmsg(task: Task) -> bytes:
    """There is no kernel log: nothing to read without waiting."""
    raise LinuxError(EINVAL)


def zoneinfo(task: Task) -> bytes:
    total, available = memory(task.kernel)
    return (f"Node 0, zone   Normal\n  pages free     {available >> 12}\n        min      16896\n"
            "        low      21120\n"
            f"        high     25344\n        spanned  {total >> 12}\n        present  {total >> 12}\n"
            f"        managed  {total >> 12}\n").encode()


def buddyinfo(task: Task) -> bytes:
    free = memory(task.kernel)[1] >> 22
    return b"Node 0, zone   Normal " + b"".join(b"%6d " % (free if order == 10 else 0) for order in range(11)) + b"\n"


def tty_drivers(task: Task) -> bytes:
    return (b"/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
            b"/dev/console         /dev/console    5       1 system:console\n"
            b"/dev/ptmx            /dev/ptmx       5       2 system\n"
            b"pty_slave            /dev/pts      136 0-1048575 pty:slave\n"
            b"pty_master           /dev/ptm      128 0-1048575 pty:master\n")


def system_nodes(filesystem: ProcFs) -> dict[bytes, Inode]:
    """The entries of /proc that are no processes."""
    from syscalls.fs.procfs_config import config
    from syscalls.fs.procfs_ipc import sysvipc_directory
    from syscalls.fs.procfs_keys import key_users, keys
    from syscalls.fs.procfs_sys import sys_directory

    def directory(children: dict[bytes, Inode]) -> SimpleDirectory:
        return SimpleDirectory(filesystem, children, 0o555)

    out: dict[bytes, Inode] = {name: TextFile(filesystem, read) for name, read in (
        (b"buddyinfo", buddyinfo), (b"cgroups", cgroups), (b"cmdline", command_line),
        (b"cpuinfo", cpuinfo), (b"crypto", b""), (b"devices", devices), (b"diskstats", b""), (b"dma", b" 4: cascade\n"),
        (b"execdomains", b"0-0\tLinux           \t[kernel]\n"), (b"filesystems", filesystems),
        (b"interrupts", interrupts), (b"iomem", b""), (b"ioports", b""), (b"key-users", key_users),
        (b"keys", keys), (b"loadavg", loadavg), (b"locks", locks),
        (b"meminfo", meminfo), (b"misc", b""), (b"modules", b""),
        (b"partitions", b"major minor  #blocks  name\n\n"), (b"softirqs", softirqs), (b"stat", stat),
        (b"uptime", uptime),
        (b"version", version), (b"vmstat", vmstat), (b"zoneinfo", zoneinfo))}
    out[b"config.gz"] = PlainFile(filesystem, config)
    out[b"swaps"] = PlainFile(filesystem, b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
    out[b"sysrq-trigger"] = PlainFile(filesystem, None, sysrq)
    out[b"kmsg"] = PlainFile(filesystem, kmsg, mode=0o400)
    registered(out)
    out[b"mounts"] = SymlinkNode(filesystem, b"self/mounts")
    out[b"net"] = net_link(filesystem)
    out[b"sys"] = sys_directory(filesystem)
    out[b"pressure"] = directory({name: TextFile(filesystem, pressure) for name in (b"cpu", b"io", b"memory")})
    out[b"tty"] = directory({b"drivers": TextFile(filesystem, tty_drivers), b"ldiscs": TextFile(
        filesystem, b"n_tty       0\n")})
    out[b"fs"] = directory({})
    out[b"bus"] = directory({})
    out[b"driver"] = directory({})
    out[b"irq"] = directory({})
    out[b"acpi"] = directory({})
    out[b"sysvipc"] = sysvipc_directory(filesystem)
    return out
