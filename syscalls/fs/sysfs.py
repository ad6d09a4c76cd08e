"""/sys: what programs look at (CPUs, memory pages, network interfaces), truthful and small."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, LinuxError
from syscalls.fs.inode import FileSystem, Inode, StatFs
from syscalls.fs.procfs_net import interfaces
from syscalls.fs.procfs_system import cpus, memory
from syscalls.fs.procfs_task import bit_list
from syscalls.fs.simple import SimpleDirectory, SimpleFileSystem, SymlinkNode, TextFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.kernel import Kernel
    from syscalls.task import Task
    from translator.hosts.base import HostInterface

    Children = dict[bytes, Inode]

SYSFS_MAGIC, CGROUP2_MAGIC = 0x62656572, 0x63677270
SYS_DEVICE = 23
PAGE = 4096
IFF_UP, IFF_LOOPBACK, IFF_RUNNING = 1, 8, 0x40
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772


class SysFs(SimpleFileSystem):
    def __init__(self, kernel: Kernel) -> None:
        super().__init__(SYS_DEVICE, "sysfs", SYSFS_MAGIC, kernel.start_realtime_ns)
        self.kernel = kernel
        self.root = self.directory({
            b"block": {}, b"bus": {b"cpu": {b"devices": {}}, b"pci": {b"devices": {}}, b"usb": {b"devices": {}}},
            b"class": {b"net": self._net_links, b"block": {}, b"tty": {}, b"dmi": {}, b"drm": {}, b"power_supply": {},
                       b"thermal": {}, b"hwmon": {}},
            b"dev": {b"block": {}, b"char": {}},
            b"devices": {
                b"system": {b"cpu": self._cpus, b"node": self._nodes,
                            b"clocksource": {b"clocksource0": {b"available_clocksource": b"tsc \n",
                                                               b"current_clocksource": b"tsc\n"}}},
                b"virtual": {b"net": self._net, b"tty": {}, b"dmi": {}}},
            b"firmware": {}, b"fs": {b"cgroup": self._cgroup(), b"ext4": {}},
            b"hypervisor": {},
            b"kernel": {
                b"mm": {b"transparent_hugepage": {
                    b"enabled": b"always madvise [never]\n", b"defrag": b"always defer defer+madvise madvise [never]\n",
                    b"hpage_pmd_size": b"2097152\n",
                    b"shmem_enabled": b"always within_size advise [never] deny force\n",
                    b"use_zero_page": b"1\n"},
                    b"hugepages": {}, b"ksm": {b"run": b"0\n"}},
                b"debug": {}, b"security": {}, b"tracing": {}, b"address_bits": b"64\n",
                b"cpu_byteorder": b"little\n", b"profiling": b"0\n", b"uevent_seqnum": b"0\n", b"fscaps": b"1\n"},
            b"module": {}, b"power": {b"state": b"\n"}})

    def statfs(self, task: Task, inode: Inode) -> StatFs:
        magic = CGROUP2_MAGIC if isinstance(inode, CgroupDirectory) else SYSFS_MAGIC
        return StatFs(magic, PAGE, 0, 0, 0, 0, 0, 255, 0)

    def directory(self, tree: object) -> SimpleDirectory:
        """Directories from nested dictionaries; bytes and functions are the content of files; functions in the place
        of a directory make its names."""
        if callable(tree):
            return SimpleDirectory(self, tree, 0o755)
        assert isinstance(tree, dict)
        return SimpleDirectory(self, self.children(tree), 0o755)

    def children(self, tree: dict[bytes, object]) -> Children:
        out: Children = {}
        for name, content in tree.items():
            if isinstance(content, Inode):
                out[name] = content
            elif isinstance(content, dict) or callable(content):
                out[name] = self.directory(content)
            else:
                assert isinstance(content, bytes)
                out[name] = self.file(content)
        return out

    def file(self, content: bytes | Callable[[Task], bytes], write: Callable[[Task, bytes], int | None] | None = None
             ) -> TextFile:
        return TextFile(self, content, write, size=PAGE)

    # --- CPUs

    def _cpus(self, task: Task) -> Children:
        count = cpus(self.kernel)
        everything = bit_list((1 << count) - 1).encode() + b"\n"
        out = self.children({
            b"online": everything, b"possible": everything, b"present": everything, b"offline": b"\n",
            b"isolated": b"\n", b"kernel_max": b"8191\n", b"smt": {b"active": b"0\n", b"control": b"notsupported\n"},
            b"vulnerabilities": {}})
        for number in range(count):
            out[b"cpu%d" % number] = self.directory(self._cpu(number, count))
        return out

    def _cpu(self, number: int, count: int) -> dict[bytes, object]:
        mine, everyone = f"{1 << number:x}\n".encode(), f"{(1 << count) - 1:x}\n".encode()
        own_list = f"{number}\n".encode()
        all_list = bit_list((1 << count) - 1).encode() + b"\n"
        caches = {}
        for index, (level, kind, size, ways, sets, shared) in enumerate((
                (1, b"Data", 32, 8, 64, False), (1, b"Instruction", 32, 8, 64, False),
                (2, b"Unified", 1024, 16, 1024, False), (3, b"Unified", 8192, 16, 8192, True))):
            caches[b"index%d" % index] = {
                b"level": b"%d\n" % level, b"type": kind + b"\n", b"size": b"%dK\n" % size,
                b"ways_of_associativity": b"%d\n" % ways, b"number_of_sets": b"%d\n" % sets,
                b"coherency_line_size": b"64\n", b"physical_line_partition": b"1\n",
                b"id": b"%d\n" % (0 if shared else number),
                b"shared_cpu_map": everyone if shared else mine, b"shared_cpu_list": all_list if shared else own_list}
        topology = {b"core_id": own_list, b"physical_package_id": b"0\n", b"die_id": b"0\n", b"cluster_id": b"65535\n",
                    b"thread_siblings": mine, b"thread_siblings_list": own_list, b"core_cpus": mine,
                    b"core_cpus_list": own_list, b"core_siblings": everyone, b"core_siblings_list": all_list,
                    b"package_cpus": everyone, b"package_cpus_list": all_list, b"die_cpus": everyone,
                    b"die_cpus_list": all_list}
        out: dict[bytes, object] = {b"cache": caches, b"topology": topology}
        if number:
            out[b"online"] = b"1\n"
        return out

    # --- memory nodes: one

    def _nodes(self, task: Task) -> Children:
        count = cpus(self.kernel)
        all_list = bit_list((1 << count) - 1).encode() + b"\n"

        def meminfo(task: Task) -> bytes:
            total, available = memory(task.kernel)
            rows = (("MemTotal", total), ("MemFree", available), ("MemUsed", total - available))
            return "".join(f"Node 0 {name + ':':<15} {value >> 10:8d} kB\n" for name, value in rows).encode()

        return self.children({
            b"online": b"0\n", b"possible": b"0\n", b"has_cpu": b"0\n", b"has_memory": b"0\n",
            b"has_normal_memory": b"0\n",
            b"node0": {b"cpulist": all_list, b"cpumap": f"{(1 << count) - 1:x}\n".encode(), b"distance": b"10\n",
                       b"meminfo": self.file(meminfo), b"hugepages": {},
                       b"numastat": b"numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\n"
                                    b"other_node 0\n"}})

    # --- network interfaces

    def _net_links(self, task: Task) -> Children:
        return {interface.name: SymlinkNode(self, b"../../devices/virtual/net/" + interface.name)
                for interface in interfaces(task)}

    def _net(self, task: Task) -> Children:
        return {interface.name: self.directory(self._interface(interface)) for interface in interfaces(task)}

    def _interface(self, interface: HostInterface) -> dict[bytes, object]:
        flags = interface.flags
        address = ":".join(f"{byte:02x}" for byte in interface.hwaddr or bytes(6)).encode() + b"\n"
        loopback = bool(flags & IFF_LOOPBACK)
        state = b"unknown\n" if loopback else b"up\n" if flags & IFF_RUNNING else b"down\n"
        index = b"%d\n" % interface.index
        counters = (b"rx_bytes", b"rx_packets", b"rx_errors", b"rx_dropped", b"tx_bytes", b"tx_packets", b"tx_errors",
                    b"tx_dropped", b"collisions", b"multicast")

        def refused(task: Task) -> bytes:
            raise LinuxError(EINVAL)

        return {b"address": address, b"addr_len": b"6\n", b"mtu": b"%d\n" % interface.mtu,
                b"flags": b"0x%x\n" % flags, b"ifindex": index, b"iflink": index, b"operstate": state,
                b"carrier": b"1\n" if flags & IFF_UP else self.file(refused), b"dev_id": b"0x0\n", b"dev_port": b"0\n",
                b"type": b"%d\n" % (ARPHRD_LOOPBACK if loopback else ARPHRD_ETHER), b"tx_queue_len": b"1000\n",
                b"speed": self.file(refused), b"duplex": self.file(refused), b"ifalias": b"",
                b"uevent": b"INTERFACE=%s\nIFINDEX=%d\n" % (interface.name, interface.index),
                b"subsystem": SymlinkNode(self, b"../../../../class/net"),
                b"statistics": dict.fromkeys(counters, b"0\n"), b"queues": {}}

    # --- control groups: the root one, without controllers

    def _cgroup(self) -> CgroupDirectory:
        def processes(task: Task) -> bytes:
            return b"".join(b"%d\n" % pid for pid in sorted(task.kernel.groups))

        return CgroupDirectory(self, self.children({
            b"cgroup.controllers": b"\n", b"cgroup.max.depth": b"max\n", b"cgroup.max.descendants": b"max\n",
            b"cgroup.procs": self.file(processes), b"cgroup.stat": b"nr_descendants 0\nnr_dying_descendants 0\n",
            b"cgroup.subtree_control": b"\n", b"cgroup.threads": self.file(processes)}), 0o755)


class CgroupDirectory(SimpleDirectory):
    """The root of the unified hierarchy."""


def make_sysfs(kernel: Kernel) -> FileSystem:
    return SysFs(kernel)
