"""From nothing to the first process: the file systems, the first task with its streams, and its program."""

from __future__ import annotations

from syscalls.calls import declare, load_common
from syscalls.clock import Clock, VirtualClock
from syscalls.credentials import Credentials
from syscalls.fd import FdTable
from syscalls.kernel import Kernel
from syscalls.task import ProcessGroup, Session, Task, ThreadGroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.hosts.base import Host
    from translator.machine import Engine

FIRST_DETERMINISTIC_PID = 100


class BootOptions:
    """What the command line says about the first process.  Paths and strings are bytes, as the guest sees them."""

    __slots__ = ("argv", "cwd", "deterministic", "environment", "program", "root")

    def __init__(self, program: bytes, argv: list[bytes], environment: list[bytes], *, cwd: bytes, root: bytes = b"/",
                 deterministic: bool = False) -> None:
        self.program = program
        self.argv = argv
        self.environment = environment
        self.cwd = cwd
        """Inside the guest's tree."""
        self.root = root
        """The host directory that is the guest's `/`."""
        self.deterministic = deterministic


def make_kernel(engine: Engine, host: Host, options: BootOptions, kernel_class: type[Kernel] = Kernel) -> Kernel:
    """A kernel with its file systems mounted, and no process yet."""
    from syscalls.fs.vfs import Vfs

    load_common()
    clock: Clock = VirtualClock() if options.deterministic else Clock(host)
    kernel = kernel_class(engine, host, clock, deterministic=options.deterministic)
    kernel.declare = declare
    # Numbers start at the host's own: programs use $$ in file names, which must differ between runs side by side.
    kernel.next_pid = FIRST_DETERMINISTIC_PID if options.deterministic else host.pid()
    kernel.vfs = Vfs(kernel)
    kernel.vfs.mount_boot(options.root)
    return kernel


def make_first_task(kernel: Kernel, options: BootOptions) -> Task:
    """The first process, as the shell that started pylx would have made it; without a program yet."""
    from syscalls.fs.vfs import FsContext
    from syscalls.mm import Mm
    from syscalls.signals import GroupSignals, SignalHandlers, TaskSignals

    host = kernel.host
    pid = kernel.allocate_pid()
    # The session and group of the host's shell are outside; the first process leads a group of its own in a
    # session whose leader the guests cannot see.
    outside = 1 if options.deterministic else host.ppid()
    session = Session(outside)
    group = ThreadGroup(kernel, pid, None, ProcessGroup(pid, session))
    mm = Mm(kernel)
    task = Task(kernel, pid, group, kernel.engine.new_cpu(mm.space))
    group.leader = task
    kernel.init = group
    kernel.tasks[pid] = task
    kernel.groups[pid] = group
    kernel.process_groups[pid] = group.pgrp
    kernel.sessions[outside] = session
    task.mm = mm
    task.mem = mm.mem
    uid, gid, groups = host.ids()
    task.cred = Credentials(uid, gid, tuple(groups))
    group.rlimits = [host.rlimit(resource) for resource in range(16)]
    group.signals = GroupSignals()
    task.handlers = SignalHandlers()
    for signal in host.ignored_signals():
        task.handlers.ignore(signal)
    task.signals = TaskSignals()
    task.files = FdTable()
    root = kernel.vfs.root
    task.fs = FsContext(root, root, host.umask())
    if not options.deterministic:
        task.nice = host.nice()
    return task


def boot(kernel: Kernel, options: BootOptions, task: Task) -> None:
    """Give the first task its streams and its program, and make it ready.  Raises exec.ExecFailure."""
    from syscalls.console import attach, open_standard_streams
    from syscalls.exec import load_first

    attach(kernel)
    open_standard_streams(kernel, task)
    task.files.inherited = frozenset(task.files.files.values())
    load_first(task, options.program, options.argv, options.environment)
    kernel.make_ready(task)


def find_program(kernel: Kernel, task: Task, name: bytes, search_path: bytes) -> bytes | None:
    """execvp's search: a name with a slash is itself; otherwise the first executable regular file on PATH."""
    from syscalls.abi.errno import LinuxError
    from syscalls.fs.inode import S_IFMT, S_IFREG
    from translator.hosts.base import HostError
    if b"/" in name:
        return name
    for directory in search_path.split(b":"):
        candidate = (directory or b".") + b"/" + name
        try:
            inode = kernel.vfs.resolve(task, candidate).inode
            if inode.stat(task).mode & S_IFMT != S_IFREG:
                continue
            kernel.vfs.permission(task, inode, 1)
        except (LinuxError, HostError):
            continue
        return candidate
    return None
