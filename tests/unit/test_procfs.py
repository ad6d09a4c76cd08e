"""/proc and /sys: formats against the host's own files, names, permissions."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from syscalls.abi.errno import EACCES, EINVAL, ENOENT, EPERM, ESRCH, LinuxError
from syscalls.abi.fs import O_RDONLY, O_RDWR
from syscalls.fs.procfs_memory import area_line
from syscalls.fs.procfs_mounts import escape
from syscalls.fs.procfs_task import bit_list
from syscalls.kernel import Kernel
from syscalls.task import Task
from syscalls.vma import Vma
from tests.unit.fs_fixtures import finish, make_kernel, make_task

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the oracle is Linux")


class NoMemory:
    users = 1

    def __init__(self) -> None:
        self.vmas: list[Vma] = []
        self.space = SimpleNamespace(rss_pages=lambda: 0)
        self.arg_start = self.arg_end = self.env_start = self.env_end = 0
        self.start_code = self.end_code = self.start_stack = self.start_data = self.end_data = self.start_brk = 0
        self.locked_bytes = 0
        self.auxv = b""

    def total_bytes(self) -> int:
        return 0


@pytest.fixture
def task(tmp_path: Path) -> Task:
    tmp_path.chmod(0o755)
    kernel = make_kernel(str(tmp_path).encode())
    kernel.engine.cpuinfo = lambda: {"vendor_id": "Test", "flags": "fpu", "bugs": ""}  # type: ignore[method-assign]
    return process(kernel)


def process(kernel: Kernel, uid: int = 0) -> Task:
    from syscalls.signals import GroupSignals, SignalHandlers, TaskSignals
    task = make_task(kernel, uid, uid)
    group = task.group
    kernel.groups[group.pid] = group
    group.signals, task.handlers, task.signals = GroupSignals(), SignalHandlers(), TaskSignals()
    task.mm = NoMemory()  # type: ignore[assignment]
    task.comm = b"name) x"
    task.cpu = SimpleNamespace(get=lambda register: 0, owner=task, time_ns=lambda: -1)
    if not hasattr(kernel, "init"):
        kernel.init = group
    return task


def read(task: Task, path: bytes) -> bytes:
    file: Any = finish(task.kernel.vfs.open(task, path, O_RDONLY, 0))
    out = b""
    while True:
        data = file.read(task, 4096)
        if not data:
            return out
        out += data


def write(task: Task, path: bytes, data: bytes) -> None:
    finish(task.kernel.vfs.open(task, path, O_RDWR, 0)).write(task, data)


def errno(action: Any) -> int:
    with pytest.raises(LinuxError) as caught:
        action()
    return caught.value.errno


def shape(text: str) -> list[str]:
    """The labels at the start of the lines."""
    return [re.split(r"[:\s]", line)[0] for line in text.splitlines()]


@linux_only
@pytest.mark.parametrize("name", ["meminfo", "self/status", "self/limits", "self/io"])
def test_same_lines_as_the_host(task: Task, name: str) -> None:
    mine, hosts = shape(read(task, b"/proc/" + name.encode()).decode()), shape(Path("/proc", name).read_text())
    missing = [label for label in hosts if label not in mine]
    # Some depend on the host's configuration.
    allowed = {"DirectMap4k", "DirectMap2M", "DirectMap1G", "CmaTotal", "CmaFree", "Unaccepted", "HardwareCorrupted",
               "x86_Thread_features", "x86_Thread_features_locked", "Balloon", "Hugetlb", "Cpus_allowed", "Seccomp"}
    assert [label for label in missing if label not in allowed] == []


@linux_only
def test_numbers_stand_where_the_host_has_them(task: Task) -> None:
    mine = read(task, b"/proc/meminfo").decode().splitlines()[0]
    hosts = Path("/proc/meminfo").read_text().splitlines()[0]
    assert len(mine) == len(hosts) and mine.endswith(" kB")
    assert read(task, b"/proc/self/limits").decode().splitlines()[0].rstrip() == \
        Path("/proc/self/limits").read_text().splitlines()[0].rstrip()
    assert len(read(task, b"/proc/self/stat").rpartition(b")")[2].split()) == \
        len(Path("/proc/self/stat").read_text().rpartition(")")[2].split())


def test_lines_of_maps(task: Task) -> None:
    task.mm.start_brk, task.mm.brk = 0x555555570000, 0x555555570001
    heap = Vma(0x555555560000, 0x555555581000, 3, 0)
    line = area_line(heap, task, task.mm)
    assert line == b"555555560000-555555581000 rw-p 00000000 00:00 0".ljust(73) + b"[heap]\n"
    assert area_line(Vma(0x1000, 0x2000, 0, 0), task, task.mm) == b"00001000-00002000 ---p 00000000 00:00 0 \n"


def test_lists_of_bits() -> None:
    assert [bit_list(mask) for mask in (0, 1, 0b1111, 0b1001101)] == ["", "0", "0-3", "0,2-3,6"]
    assert escape(b"/a b\\c\n") == b"/a\\040b\\134c\\012"


def test_names_of_processes(task: Task) -> None:
    pid = task.group.pid
    assert read(task, b"/proc/%d/stat" % pid).startswith(b"%d (name) x) R " % pid)
    assert read(task, b"/proc/self/comm") == b"name) x\n"
    write(task, b"/proc/self/comm", b"a very long name indeed")
    assert task.comm == b"a very long nam"
    assert errno(lambda: read(task, b"/proc/99999/stat")) == ENOENT
    assert task.kernel.vfs.resolve(task, b"/proc/self", follow=False).inode.readlink(task) == b"%d" % pid
    assert read(task, b"/proc/thread-self/status") == read(task, b"/proc/self/task/%d/status" % pid)


def test_a_process_that_is_gone(task: Task) -> None:
    other = process(task.kernel)
    file: Any = finish(task.kernel.vfs.open(task, b"/proc/%d/stat" % other.group.pid, O_RDONLY, 0))
    del task.kernel.groups[other.group.pid]
    assert errno(lambda: file.read(task, 100)) == ESRCH


def test_others_may_not_look_into_a_process(task: Task) -> None:
    user = process(task.kernel, 1000)
    path = b"/proc/%d/" % task.group.pid
    assert read(user, path + b"status")
    assert errno(lambda: read(user, path + b"maps")) == EACCES
    assert errno(lambda: read(user, path + b"environ")) == EACCES
    assert errno(lambda: user.kernel.vfs.resolve(user, path + b"cwd", follow=False).inode.readlink(user)) == EACCES
    assert read(user, b"/proc/self/maps") == b""


def test_descriptors(task: Task) -> None:
    file = finish(task.kernel.vfs.open(task, b"/dev/null", O_RDWR, 0))
    task.files.install(file, True, 100)
    resolve = task.kernel.vfs.resolve
    assert resolve(task, b"/proc/self/fd/0", follow=False).inode.readlink(task) == b"/dev/null"
    assert resolve(task, b"/proc/self/fd/0", follow=False).inode.mode & 0o777 == 0o700
    assert resolve(task, b"/proc/self/fd/0").inode.stat(task).rdev == 0x103
    assert read(task, b"/proc/self/fdinfo/0").startswith(b"pos:\t0\nflags:\t02000002\nmnt_id:\t")
    assert errno(lambda: resolve(task, b"/proc/self/fd/1")) == ENOENT


def test_settings(task: Task) -> None:
    assert read(task, b"/proc/sys/kernel/ostype") == b"Linux\n"
    assert re.fullmatch(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n", read(task, b"/proc/sys/kernel/random/uuid"))
    assert read(task, b"/proc/sys/kernel/random/boot_id") == read(task, b"/proc/sys/kernel/random/boot_id")
    write(task, b"/proc/sys/kernel/hostname", b"new\n")
    assert task.kernel.hostname == b"new"
    write(task, b"/proc/sys/vm/swappiness", b"10\n")
    assert read(task, b"/proc/sys/vm/swappiness") == b"10\n"
    assert errno(lambda: write(task, b"/proc/sys/vm/swappiness", b"much")) == EINVAL
    assert errno(lambda: write(task, b"/proc/sys/vm/overcommit_memory", b"2")) == EINVAL
    user = process(task.kernel, 1000)
    assert errno(lambda: write(user, b"/proc/sys/kernel/hostname", b"x")) == EACCES


def test_oom_adjustment(task: Task) -> None:
    user = process(task.kernel, 1000)
    write(user, b"/proc/self/oom_score_adj", b"500\n")
    assert read(user, b"/proc/self/oom_score_adj") == b"500\n"
    assert errno(lambda: write(user, b"/proc/self/oom_score_adj", b"-1")) == EACCES
    assert errno(lambda: write(user, b"/proc/self/oom_score_adj", b"1001")) == EINVAL


def test_mounts(task: Task) -> None:
    lines = read(task, b"/proc/self/mountinfo").decode().splitlines()
    points = {line.split()[4]: line.split(" - ")[1].split()[0] for line in lines}
    assert points["/proc"] == "proc" and points["/sys"] == "sysfs" and points["/dev/pts"] == "devpts"
    assert b"proc /proc proc rw," in read(task, b"/proc/mounts")


def test_processors_and_sysfs(task: Task) -> None:
    cpuinfo = read(task, b"/proc/cpuinfo").decode()
    assert cpuinfo.startswith("processor\t: 0\nvendor_id\t: Test\n") and cpuinfo.endswith("\n\n")
    count = cpuinfo.count("processor\t:")
    assert read(task, b"/sys/devices/system/cpu/online") == (b"0\n" if count == 1 else b"0-%d\n" % (count - 1))
    assert read(task, b"/sys/kernel/mm/transparent_hugepage/enabled").endswith(b"[never]\n")
    assert read(task, b"/sys/fs/cgroup/cgroup.procs") == b"%d\n" % task.group.pid
    assert b"lo" in [name for name, _, _ in task.kernel.vfs.resolve(task, b"/sys/class/net").inode.entries(task)]


def test_memory_of_nobody_is_changed_by_mistake(task: Task) -> None:
    assert errno(lambda: write(task, b"/proc/self/loginuid", b"0")) == EPERM
    assert errno(lambda: write(task, b"/proc/self/uid_map", b"0 0 1")) == EPERM
