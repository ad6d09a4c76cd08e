"""/proc (fs/proc): processes by number, and what the system tells of itself.

Everything is made when it is looked at: a directory of a process builds only the node that is asked for.  Content
comes from functions of the process (`procfs_task`, `procfs_memory`, `procfs_links`) and of the system
(`procfs_system`, `procfs_sys`, `procfs_net`).
"""

from __future__ import annotations

from syscalls.abi.errno import EACCES, ENOENT, EPERM, ESRCH, LinuxError
from syscalls.credentials import CAP_SYS_PTRACE
from syscalls.fs.inode import FileSystem, Inode, Stat
from syscalls.fs.simple import Node, PlainFile, Seeks, SimpleDirectory, SimpleFileSystem, SymlinkNode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.fd import FileDescription
    from syscalls.fs.vfs import Location
    from syscalls.kernel import Kernel
    from syscalls.task import Task, ThreadGroup

    Generator = Callable[[Task, Task], bytes]
    Acceptor = Callable[[Task, Task, bytes], int | None]
    Maker = Callable[["ProcFs", Task, int], Node]

PROC_MAGIC = 0x9FA0
PROC_DEVICE = 22
DT_DIR, DT_REG, DT_LNK = 4, 8, 10
PID_NUMBERS = 1 << 32
"""Inode numbers of process nodes begin here: which task of the run << 20, and the place in the directory."""
SUID_DUMP_USER = 1


class ProcFs(SimpleFileSystem):
    def __init__(self, kernel: Kernel) -> None:
        super().__init__(PROC_DEVICE, "proc", PROC_MAGIC, kernel.start_realtime_ns)
        self.kernel = kernel
        self.root = ProcRoot(self)


class ProcRoot(SimpleDirectory):
    """/proc itself."""

    fixed = True

    def __init__(self, filesystem: ProcFs) -> None:
        super().__init__(filesystem, {}, 0o555, number=1)
        self.proc = filesystem
        self.static: dict[bytes, Inode] | None = None

    def _static(self) -> dict[bytes, Inode]:
        if self.static is None:
            from syscalls.fs.procfs_system import system_nodes
            self.static = system_nodes(self.proc)
            self.static[b"self"] = SymlinkNode(self.proc, lambda task: b"%d" % task.group.pid)
            self.static[b"thread-self"] = SymlinkNode(
                self.proc, lambda task: b"%d/task/%d" % (task.group.pid, task.tid))
        return self.static

    def links(self, task: Task) -> int:
        return 2 + len(self.proc.kernel.groups)

    def child(self, task: Task, name: bytes) -> Inode | None:
        if name[:1].isdigit():
            if not name.isdigit() or (name[0] == 48 and name != b"0") or len(name) > 10:
                return None
            # Numbers of other threads are found, too, but not listed (man 5 proc, /proc/tid).
            target = self.proc.kernel.tasks.get(int(name))
            if target is None:
                group = self.proc.kernel.groups.get(int(name))
                if group is None:
                    return None
                target = group.leader
            return TaskDirectory(self.proc, target, whole=True)
        return self._static().get(name)

    def children_of(self, task: Task) -> dict[bytes, Inode]:
        out = dict(self._static())
        for pid, group in sorted(self.proc.kernel.groups.items()):
            out[b"%d" % pid] = TaskDirectory(self.proc, group.leader, whole=True)
        return out


def exists(target: Task) -> bool:
    """Whether the task, or its zombie, is still there."""
    kernel = target.kernel
    group = target.group
    return kernel.groups.get(group.pid) is group and (target is group.leader or group.tasks.get(target.tid) is target)


def check_exists(target: Task) -> None:
    if not exists(target):
        raise LinuxError(ESRCH)


def may_access(task: Task, target: Task) -> bool:
    """ptrace_may_access with the file system's credentials: the same user and group in all roles, and a process that
    may be looked into; or CAP_SYS_PTRACE."""
    if task.group is target.group:
        return True
    if task.cred.landlock is not None:
        from syscalls.landlock import may_trace as unrestricted
        if not unrestricted(task, target):
            return False
    mine, other = task.cred, target.cred
    if mine.capable(CAP_SYS_PTRACE):
        return True
    return (mine.fsuid == other.uid == other.euid == other.suid and mine.fsgid == other.gid == other.egid == other.sgid
            and target.group.dumpable == SUID_DUMP_USER and not other.cap_permitted & ~mine.cap_permitted)


def check_access(task: Task, target: Task) -> None:
    check_exists(target)
    if not may_access(task, target):
        raise LinuxError(EACCES)


def owner(target: Task) -> tuple[int, int]:
    """Whose a node of a process is: root's when the process may not be looked into (task_dump_owner)."""
    if target.group.dumpable != SUID_DUMP_USER:
        return 0, 0
    return target.cred.euid, target.cred.egid


class TaskDirectory(SimpleDirectory):
    """/proc/PID (`whole`) or /proc/PID/task/TID."""

    fixed = immutable = True

    def __init__(self, filesystem: ProcFs, target: Task, *, whole: bool) -> None:
        uid, gid = owner(target)
        super().__init__(filesystem, {}, 0o555, uid=uid, gid=gid, number=number_of(target, 0, whole))
        self.proc = filesystem
        self.target = target
        self.whole = whole

    def links(self, task: Task) -> int:
        return 9 if self.whole else 7

    def child(self, task: Task, name: bytes) -> Inode | None:
        check_exists(self.target)
        entry = entry_table(self.whole).get(name)
        if entry is None:
            return None
        index, maker = entry
        return maker(self.proc, self.target, number_of(self.target, index, self.whole))

    def children_of(self, task: Task) -> dict[bytes, Inode]:
        check_exists(self.target)
        return {name: maker(self.proc, self.target, number_of(self.target, index, self.whole))
                for name, (index, maker) in entry_table(self.whole).items()}

    def stat(self, task: Task) -> Stat:
        check_exists(self.target)
        return super().stat(task)


def number_of(target: Task, index: int, whole: bool) -> int:
    return PID_NUMBERS + (target.serial << 20 | whole << 19 | index)


_ORDER = (
    b"task fd map_files fdinfo ns net environ auxv status personality limits sched autogroup timens_offsets comm "
    b"syscall cmdline stat statm maps children numa_maps mem cwd root exe mounts mountinfo mountstats clear_refs "
    b"smaps smaps_rollup pagemap attr wchan stack schedstat cpuset cgroup oom_score oom_adj oom_score_adj loginuid "
    b"sessionid coredump_filter io uid_map gid_map projid_map setgroups timers timerslack_ns arch_status "
    b"ksm_merging_pages ksm_stat").split()
"""As Linux lists them (tgid_base_stuff, tid_base_stuff)."""
_PROCESSES_ONLY = frozenset((b"task", b"map_files", b"autogroup", b"timens_offsets", b"mountstats", b"coredump_filter",
                             b"timers", b"timerslack_ns"))
_THREADS_ONLY = frozenset((b"children",))
_tables: dict[bool, dict[bytes, tuple[int, Maker]]] = {}


def entry_table(whole: bool) -> dict[bytes, tuple[int, Maker]]:
    """The names in a process's directory, numbered from 1, with what makes their nodes."""
    table = _tables.get(whole)
    if table is None:
        from syscalls.fs.procfs_links import LINK_ENTRIES
        from syscalls.fs.procfs_memory import MEMORY_ENTRIES
        from syscalls.fs.procfs_mounts import MOUNT_ENTRIES
        from syscalls.fs.procfs_task import TASK_ENTRIES
        makers: dict[bytes, Maker] = {**TASK_ENTRIES, **MEMORY_ENTRIES, **LINK_ENTRIES, **MOUNT_ENTRIES}
        elsewhere = _THREADS_ONLY if whole else _PROCESSES_ONLY
        names = [name for name in _ORDER if name not in elsewhere]
        table = _tables[whole] = {name: (index, makers[name]) for index, name in enumerate(names, 1)}
    return table


def text(mode: int, generate: Generator, accept: Acceptor | None = None, *, guarded: bool = False,
         seeks: Seeks = Seeks.SEQ) -> Maker:
    """What makes a text file of a process.  `guarded`: only for who may look into it."""

    def make(filesystem: ProcFs, target: Task, number: int) -> Node:
        uid, gid = owner(target)
        node = TaskFile(filesystem, target, generate, accept, mode, guarded, uid, gid, number)
        node.seeks = seeks
        return node

    return make


class TaskFile(PlainFile):
    """A file of a process.  ESRCH once the process is gone."""

    fixed = True

    def __init__(self, filesystem: ProcFs, target: Task, generate: Generator, accept: Acceptor | None, mode: int,
                 guarded: bool, uid: int, gid: int, number: int) -> None:
        self.target = target
        self.guarded = guarded

        def read(task: Task) -> bytes:
            check_exists(target)
            return generate(target, task)

        def write(task: Task, data: bytes) -> int | None:
            check_exists(target)
            assert accept is not None
            return accept(target, task, data)

        super().__init__(filesystem, read, write if accept is not None else None, mode, uid=uid, gid=gid,
                         number=number)

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        check_exists(self.target)
        if self.guarded and not may_access(task, self.target):
            raise LinuxError(EACCES)
        return super().open(task, flags, location)


class TaskSubdirectory(SimpleDirectory):
    """A directory of a process whose names come from a function."""

    fixed = True

    def __init__(self, filesystem: ProcFs, target: Task, names: Callable[[ProcFs, Task, Task], dict[bytes, Inode]],
                 mode: int, number: int, *, guarded: bool = False) -> None:
        uid, gid = owner(target)

        def children(task: Task) -> dict[bytes, Inode]:
            check_exists(target)
            if guarded and not may_access(task, target):
                raise LinuxError(EACCES)
            return names(filesystem, target, task)

        super().__init__(filesystem, children, mode, uid=uid, gid=gid, number=number)


class ThreadsDirectory(SimpleDirectory):
    """/proc/PID/task."""

    fixed = True

    def __init__(self, filesystem: ProcFs, target: Task, number: int) -> None:
        uid, gid = owner(target)
        super().__init__(filesystem, {}, 0o555, uid=uid, gid=gid, number=number)
        self.proc = filesystem
        self.group = target.group

    def links(self, task: Task) -> int:
        return 2 + len(self.group.tasks)

    def child(self, task: Task, name: bytes) -> Inode | None:
        if not name.isdigit():
            return None
        target = _threads(self.group).get(int(name))
        return TaskDirectory(self.proc, target, whole=False) if target is not None else None

    def children_of(self, task: Task) -> dict[bytes, Inode]:
        return {b"%d" % tid: TaskDirectory(self.proc, target, whole=False)
                for tid, target in sorted(_threads(self.group).items())}


def _threads(group: ThreadGroup) -> dict[int, Task]:
    check_exists(group.leader)
    return {group.leader.tid: group.leader, **group.tasks}


def refuse(task: Task, data: bytes) -> int | None:
    """A write that nobody may make."""
    raise LinuxError(EPERM)


def not_there(name: bytes) -> LinuxError:
    return LinuxError(ENOENT, name.decode("utf-8", "backslashreplace"))


def make_procfs(kernel: Kernel) -> FileSystem:
    return ProcFs(kernel)


