"""/proc/sys: the kernel's settings (sysctl).  Values that nothing in pylx depends on are shown as a fresh system has
them; a write to one is kept, when the writer is root, and changes what is read."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EPERM, LinuxError
from syscalls.fs.procfs_ipc import ipc_settings
from syscalls.fs.procfs_keys import key_settings
from syscalls.fs.simple import Node, Seeks, SimpleDirectory, TextFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.fs.inode import Inode
    from syscalls.fs.procfs import ProcFs
    from syscalls.kernel import Kernel
    from syscalls.task import Task

HOST_NAME_MAX, PID_MAX = 64, 4194304

_NUMBERS: dict[str, str] = {
    "abi/vsyscall32": "1",
    "debug/exception-trace": "1",
    "dev/tty/ldisc_autoload": "1", "dev/tty/legacy_tiocsti": "0",
    "fs/aio-max-nr": "65536", "fs/aio-nr": "0", "fs/dentry-state": "0\t0\t45\t0\t0\t0",
    "fs/file-max": "9223372036854775807",
    "fs/inode-nr": "0\t0", "fs/inotify/max_queued_events": "16384", "fs/inotify/max_user_instances": "128",
    "fs/inotify/max_user_watches": "65536", "fs/epoll/max_user_watches": "5000000", "fs/lease-break-time": "45",
    "fs/leases-enable": "1", "fs/mount-max": "100000", "fs/mqueue/msg_max": "10", "fs/mqueue/msgsize_max": "8192",
    "fs/mqueue/queues_max": "256", "fs/overflowgid": "65534", "fs/overflowuid": "65534",
    "fs/pipe-user-pages-hard": "0", "fs/pipe-user-pages-soft": "16384",
    "fs/protected_fifos": "0", "fs/protected_hardlinks": "1", "fs/protected_regular": "0",
    "fs/protected_symlinks": "0", "fs/suid_dumpable": "0",
    "kernel/cap_last_cap": "40",
    "kernel/core_pipe_limit": "0", "kernel/ctrl-alt-del": "0", "kernel/dmesg_restrict": "0",
    "kernel/kptr_restrict": "0", "kernel/modules_disabled": "1",
    "kernel/ngroups_max": "65536", "kernel/overflowgid": "65534",
    "kernel/overflowuid": "65534", "kernel/panic": "0", "kernel/perf_event_paranoid": "4",
    "kernel/perf_event_max_sample_rate": "100000", "kernel/perf_event_mlock_kb": "516", "kernel/pid_max": "4194304",
    "kernel/print-fatal-signals": "0", "kernel/printk": "4\t4\t1\t7", "kernel/pty/max": "4096",
    "kernel/pty/reserve": "1024", "kernel/random/entropy_avail": "256", "kernel/random/poolsize": "256",
    "kernel/random/urandom_min_reseed_secs": "60", "kernel/random/write_wakeup_threshold": "256",
    "kernel/randomize_va_space": "0", "kernel/sched_autogroup_enabled": "0", "kernel/sched_rr_timeslice_ms": "100",
    "kernel/sched_rt_period_us": "1000000", "kernel/sched_rt_runtime_us": "950000",
    "kernel/seccomp/actions_avail": "", "kernel/seccomp/actions_logged": "",
    "kernel/shm_rmid_forced": "0", "kernel/sysctl_writes_strict": "1", "kernel/tainted": "0",
    "kernel/unprivileged_bpf_disabled": "2", "kernel/yama/ptrace_scope": "0",
    "net/core/rmem_default": "212992", "net/core/rmem_max": "212992", "net/core/somaxconn": "4096",
    "net/core/wmem_default": "212992", "net/core/wmem_max": "212992", "net/core/netdev_max_backlog": "1000",
    "net/core/optmem_max": "131072", "net/ipv4/ip_default_ttl": "64", "net/ipv4/ip_forward": "0",
    "net/ipv4/ip_local_port_range": "32768\t60999", "net/ipv4/ip_local_reserved_ports": "",
    "net/ipv4/ip_nonlocal_bind": "0", "net/ipv4/ip_unprivileged_port_start": "1024",
    "net/ipv4/ping_group_range": "1\t0", "net/ipv4/tcp_congestion_control": "cubic",
    "net/ipv4/tcp_available_congestion_control": "reno cubic", "net/ipv4/tcp_ecn": "2", "net/ipv4/tcp_fastopen": "1",
    "net/ipv4/tcp_fin_timeout": "60", "net/ipv4/tcp_keepalive_intvl": "75", "net/ipv4/tcp_keepalive_probes": "9",
    "net/ipv4/tcp_keepalive_time": "7200", "net/ipv4/tcp_max_syn_backlog": "2048",
    "net/ipv4/tcp_rmem": "4096\t131072\t6291456", "net/ipv4/tcp_sack": "1", "net/ipv4/tcp_syncookies": "1",
    "net/ipv4/tcp_timestamps": "1", "net/ipv4/tcp_tw_reuse": "2", "net/ipv4/tcp_window_scaling": "1",
    "net/ipv4/tcp_wmem": "4096\t16384\t4194304", "net/ipv6/bindv6only": "0",
    "net/ipv6/conf/all/disable_ipv6": "0", "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/lo/disable_ipv6": "0", "net/unix/max_dgram_qlen": "512",
    "user/max_inotify_instances": "128", "user/max_inotify_watches": "65536", "user/max_user_namespaces": "0",
    "user/max_pid_namespaces": "0", "user/max_net_namespaces": "0", "user/max_mnt_namespaces": "0",
    "vm/admin_reserve_kbytes": "8192", "vm/dirty_background_ratio": "10", "vm/dirty_ratio": "20",
    "vm/dirty_expire_centisecs": "3000", "vm/dirty_writeback_centisecs": "500", "vm/drop_caches": "0",
    "vm/legacy_va_layout": "0", "vm/max_map_count": "65530", "vm/min_free_kbytes": "67584",
    "vm/mmap_min_addr": "65536", "vm/mmap_rnd_bits": "28", "vm/nr_hugepages": "0", "vm/nr_overcommit_hugepages": "0",
    "vm/oom_kill_allocating_task": "0", "vm/overcommit_kbytes": "0", "vm/overcommit_memory": "0",
    "vm/overcommit_ratio": "50", "vm/page-cluster": "3", "vm/panic_on_oom": "0", "vm/swappiness": "60",
    "vm/unprivileged_userfaultfd": "0", "vm/user_reserve_kbytes": "131072", "vm/vfs_cache_pressure": "100",
    "vm/zone_reclaim_mode": "0",
}

_READ_ONLY = frozenset(("fs/aio-nr", "fs/dentry-state", "fs/inode-nr", "kernel/cap_last_cap", "kernel/ngroups_max",
                        "kernel/random/entropy_avail", "kernel/random/poolsize", "kernel/seccomp/actions_avail",
                        "net/ipv4/tcp_available_congestion_control"))
_BEHAVIOUR = frozenset(("kernel/randomize_va_space", "vm/overcommit_memory", "vm/max_map_count", "vm/mmap_min_addr",
                        "kernel/pid_max"))
"""What pylx itself goes by: writing the value it has is accepted, another is refused, so that nobody is misled."""


_STAYS = frozenset(("vm/nr_hugepages", "vm/nr_overcommit_hugepages"))
"""Asked for in vain, as when memory is too fragmented for huge pages."""


def _setting(filesystem: ProcFs, name: str, value: str) -> TextFile:
    state = [value]

    def read(task: Task) -> bytes:
        return state[0].encode() + b"\n"

    def write(task: Task, data: bytes) -> int | None:
        _require_root(task)
        new = data.rstrip(b"\n\0").decode("ascii", "replace")
        if name in _BEHAVIOUR and new.split() != state[0].split():
            task.kernel.gap(task, f"sysctl {name.replace('/', '.')}", 0)
            raise LinuxError(EINVAL)
        old_words = state[0].split()
        if old_words and all(word.lstrip("-").isdigit() for word in old_words):
            if not new.split() or not all(word.lstrip("-").isdigit() for word in new.split()):
                raise LinuxError(EINVAL)
        if name not in _STAYS:
            state[0] = new
        return None

    return TextFile(filesystem, read, None if name in _READ_ONLY else write)


def _require_root(task: Task) -> None:
    if task.cred.euid != 0:
        raise LinuxError(EPERM)


def _name_file(filesystem: ProcFs, kernel: Kernel, attribute: str, longest: int = HOST_NAME_MAX) -> TextFile:
    """hostname, domainname and core_pattern."""

    def write(task: Task, data: bytes) -> int | None:
        _require_root(task)
        setattr(kernel, attribute, data.split(b"\n")[0].rstrip(b"\0")[:longest])
        return None

    return TextFile(filesystem, lambda task: bytes(getattr(kernel, attribute)) + b"\n", write)


def _number_file(filesystem: ProcFs, kernel: Kernel, attribute: str, least: int, most: int, step: int) -> TextFile:
    """A setting that the kernel goes by; what is written is rounded up to a multiple of `step`."""

    def write(task: Task, data: bytes) -> int | None:
        _require_root(task)
        try:
            value = int(data.rstrip(b"\0"))
        except ValueError:
            raise LinuxError(EINVAL) from None
        if not least <= value <= most:
            raise LinuxError(EINVAL)
        setattr(kernel, attribute, -(-value // step) * step)
        return None

    return TextFile(filesystem, lambda task: b"%d\n" % getattr(kernel, attribute), write)


def make_uuid(raw: bytes) -> bytes:
    """A random UUID (version 4) in text."""
    value = bytearray(raw)
    value[6] = value[6] & 0x0F | 0x40
    value[8] = value[8] & 0x3F | 0x80
    text = value.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])).encode()


def _special(filesystem: ProcFs) -> dict[str, TextFile]:
    kernel = filesystem.kernel
    boot_id: list[bytes] = []

    def boot(task: Task) -> bytes:
        if not boot_id:
            boot_id.append(make_uuid(kernel.random(16)))
        return boot_id[0] + b"\n"

    def threads(task: Task) -> bytes:
        return b"%d\n" % min(kernel.host.memory()[0] // 131072, 4194304)

    def set_last_pid(task: Task, data: bytes) -> int | None:
        """The next task gets the number after this one, if it is free."""
        _require_root(task)
        try:
            last = int(data.rstrip(b"\0"))
        except ValueError:
            raise LinuxError(EINVAL) from None
        if not 0 <= last < PID_MAX:
            raise LinuxError(EINVAL)
        kernel.next_pid = last + 1
        return None

    readers: dict[str, Callable[[Task], bytes] | bytes] = {
        "kernel/ostype": b"Linux\n",
        "kernel/osrelease": kernel.release + b"\n",
        "kernel/version": kernel.version + b"\n",
        "kernel/arch": b"x86_64\n",
        "kernel/random/boot_id": boot,
        "kernel/random/uuid": lambda task: make_uuid(kernel.random(16)) + b"\n",
        "kernel/threads-max": threads,
        "kernel/pty/nr": lambda task: b"%d\n" % (len(kernel.ptys.inodes) if kernel.ptys is not None else 0),
        "fs/file-nr": lambda task: b"%d\t0\t9223372036854775807\n" % sum(
            len(member.files.files) for member in kernel.tasks.values() if not member.dead),
    }
    out = {name: TextFile(filesystem, reader) for name, reader in readers.items()}
    out["fs/nr_open"] = _number_file(filesystem, kernel, "nr_open", 64, 2147483584, 64)
    out["fs/pipe-max-size"] = _number_file(filesystem, kernel, "pipe_max_size", 4096, 1 << 31, 4096)
    out["kernel/ns_last_pid"] = TextFile(filesystem, lambda task: b"%d\n" % (kernel.next_pid - 1), set_last_pid)
    out["kernel/core_uses_pid"] = _number_file(filesystem, kernel, "core_uses_pid", 0, 1, 1)
    out["kernel/core_pattern"] = _name_file(filesystem, kernel, "core_pattern", 127)
    out["kernel/hostname"] = _name_file(filesystem, kernel, "hostname")
    out["kernel/domainname"] = _name_file(filesystem, kernel, "domainname")
    return out


class SysctlDirectory(SimpleDirectory):
    """Its links are not counted (proc_sys_make_inode)."""

    def links(self, task: Task) -> int:
        return 1


def sys_directory(filesystem: ProcFs) -> Node:
    """The tree of /proc/sys, made when first entered."""
    top: dict[bytes, Inode] = {}
    made: list[bool] = []

    def children(task: Task) -> dict[bytes, Inode]:
        if not made:
            made.append(True)
            files = {name: _setting(filesystem, name, value) for name, value in _NUMBERS.items()}
            files.update(_special(filesystem))
            files.update(ipc_settings(filesystem))
            files.update(key_settings(filesystem))
            for name in sorted(files):
                _insert(filesystem, top, name.encode().split(b"/"), files[name])
        return top

    return SysctlDirectory(filesystem, children, 0o555)


def _insert(filesystem: ProcFs, directory: dict[bytes, Inode], parts: list[bytes], node: Node) -> None:
    for part in parts[:-1]:
        child = directory.get(part)
        if child is None:
            child = directory[part] = SysctlDirectory(filesystem, {}, 0o555)
        assert isinstance(child, SimpleDirectory) and isinstance(child.children, dict)
        directory = child.children
    assert isinstance(node, TextFile)
    node.seeks, node.pollable = Seeks.DEFAULT, True
    directory[parts[-1]] = node
