"""How tasks are born: fork, vfork, clone and clone3 (kernel/fork.c, copy_process)."""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EEXIST, EINVAL, EPERM, LinuxError
from syscalls.abi.process import (
    CLONE_CHILD_CLEARTID,
    CLONE_CHILD_SETTID,
    CLONE_CLEAR_SIGHAND,
    CLONE_DETACHED,
    CLONE_FILES,
    CLONE_FS,
    CLONE_NAMESPACES,
    CLONE_NEWIPC,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_PARENT,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_SETTLS,
    CLONE_SIGHAND,
    CLONE_SYSVSEM,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_VM,
)
from syscalls.credentials import CAP_SYS_ADMIN, CAP_SYS_RESOURCE
from syscalls.signals import GroupSignals
from syscalls.task import RLIM_INFINITY, RLIMIT_NPROC, Task, ThreadGroup
from syscalls.wait import RESTART_NOINTR, Interrupted, WaitQueue, sleep_on
from translator.machine import FS_BASE, RAX, RSP, TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    Parent = Task


class CloneRequest:
    """struct kernel_clone_args."""

    __slots__ = ("child_tid", "exit_signal", "flags", "parent_tid", "pidfd", "set_tid", "stack", "tls")

    def __init__(self, flags: int, *, exit_signal: int = 0, stack: int = 0, parent_tid: int = 0, child_tid: int = 0,
                 tls: int = 0, pidfd: int = 0, set_tid: int = 0) -> None:
        self.flags = flags
        self.exit_signal = exit_signal
        self.stack = stack
        """The child's initial RSP; 0: the parent's."""
        self.parent_tid = parent_tid
        self.child_tid = child_tid
        self.tls = tls
        self.pidfd = pidfd
        """Address of the int that CLONE_PIDFD fills."""
        self.set_tid = set_tid
        """Wanted number, 0 for any."""


def _check_flags(task: Parent, flags: int) -> None:
    """The combinations that copy_process() refuses, in its order."""
    if flags & (CLONE_NEWNS | CLONE_FS) == CLONE_NEWNS | CLONE_FS:
        raise LinuxError(EINVAL)
    if flags & (CLONE_NEWUSER | CLONE_FS) == CLONE_NEWUSER | CLONE_FS:
        raise LinuxError(EINVAL)
    if flags & CLONE_THREAD and not flags & CLONE_SIGHAND:
        raise LinuxError(EINVAL)
    if flags & CLONE_SIGHAND and not flags & CLONE_VM:
        raise LinuxError(EINVAL)
    if flags & CLONE_PARENT and task.group is task.kernel.init:
        # A sibling of the first process would have a parent that is no guest.
        raise LinuxError(EINVAL)
    if flags & CLONE_THREAD and flags & (CLONE_NEWUSER | CLONE_NEWPID):
        raise LinuxError(EINVAL)
    if flags & CLONE_PIDFD and flags & CLONE_DETACHED:
        raise LinuxError(EINVAL)
    if flags & CLONE_NEWIPC and flags & CLONE_SYSVSEM:
        raise LinuxError(EINVAL)
    if flags & CLONE_NAMESPACES:
        # Namespaces are not there: as for a task without the privilege, and for user namespaces as on a system
        # with user.max_user_namespaces = 0 for the rest.
        task.kernel.gap(task, "clone flags", flags & CLONE_NAMESPACES)
        raise LinuxError(EPERM)


def _check_limit(task: Parent) -> None:
    limit = task.group.soft_limit(RLIMIT_NPROC)
    if limit == RLIM_INFINITY:
        return
    uid = task.cred.uid
    if uid == 0 or task.cred.capable(CAP_SYS_RESOURCE) or task.cred.capable(CAP_SYS_ADMIN):
        return
    mine = sum(1 for other in task.kernel.tasks.values() if other.cred.uid == uid)
    # The limit counts the user's tasks on the host too; only the guests' are known here.
    if mine >= limit:
        raise LinuxError(EAGAIN)


def _choose_pid(task: Parent, wanted: int) -> int:
    kernel = task.kernel
    if not wanted:
        return kernel.allocate_pid()
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    if wanted in kernel.tasks or wanted in kernel.groups or wanted in kernel.process_groups \
            or wanted in kernel.sessions:
        raise LinuxError(EEXIST)
    return wanted


def copy_process(parent: Parent, request: CloneRequest) -> Task:
    """Make the child, not yet ready to run.  EINVAL, EPERM, EAGAIN, ENOMEM, EMFILE (pidfd)."""
    flags = request.flags
    kernel = parent.kernel
    _check_flags(parent, flags)
    if parent.sigpending and parent.signals._wanted(parent):
        # A signal is delivered first, so that a process group's signal reaches parent and child or neither.
        raise Interrupted(RESTART_NOINTR)
    _check_limit(parent)
    pid = _choose_pid(parent, request.set_tid)
    if flags & CLONE_SETTLS and request.tls >= TASK_SIZE:
        raise LinuxError(EPERM)

    mm = parent.mm
    if flags & CLONE_VM:
        mm.retain()
    else:
        mm = mm.fork(parent)
    cpu = parent.cpu.clone(mm.space)
    if flags & CLONE_THREAD:
        group = parent.group
    else:
        group = _new_group(parent, pid, request)
    child = Task(kernel, pid, group, cpu)
    child.mm = mm
    child.mem = mm.mem
    if not flags & CLONE_THREAD:
        group.leader = child
    _share(parent, child, flags)
    child.signals = parent.signals.child(bool(flags & CLONE_VM) and not flags & CLONE_VFORK)
    _inherit(parent, child, flags)
    if not flags & CLONE_VM:
        child.rseq, child.rseq_length, child.rseq_signature = (
            parent.rseq, parent.rseq_length, parent.rseq_signature)
        child.rseq_by_host = parent.rseq_by_host

    cpu.set(RAX, 0)
    if request.stack:
        cpu.set(RSP, request.stack)
    if flags & CLONE_SETTLS:
        cpu.set(FS_BASE, request.tls)
    kernel.tasks[pid] = child
    if not flags & CLONE_THREAD:
        kernel.groups[pid] = group
        if group.parent is not None:
            group.parent.children[pid] = group
    return child


def _new_group(parent: Parent, pid: int, request: CloneRequest) -> ThreadGroup:
    old = parent.group
    sibling = bool(request.flags & CLONE_PARENT)
    group = ThreadGroup(parent.kernel, pid, old.parent if sibling else old, old.pgrp)
    group.parent_task = old.parent_task if sibling else parent
    group.exit_signal = old.exit_signal if sibling else request.exit_signal
    group.rlimits = list(old.rlimits)
    group.signals = GroupSignals()
    group.dumpable = old.dumpable
    group.oom_score_adj = old.oom_score_adj
    group.oom_score_adj_min = old.oom_score_adj_min
    group.thp_disabled = old.thp_disabled
    group.exe = old.exe
    if group.rlimits[0][0] != RLIM_INFINITY:
        group.watches_cpu = True
    return group


def _share(parent: Parent, child: Task, flags: int) -> None:
    if flags & CLONE_FILES:
        child.files = parent.files
        child.files.sharers += 1
    else:
        child.files = parent.files.copy(parent.kernel.nr_open)
    if flags & CLONE_FS:
        child.fs = parent.fs
        child.fs.sharers += 1
    else:
        child.fs = parent.fs.copy()
    if flags & CLONE_SIGHAND:
        child.handlers = parent.handlers
        child.handlers.sharers += 1
    else:
        child.handlers = parent.handlers.copy()
        if flags & CLONE_CLEAR_SIGHAND:
            child.handlers.clear()


def _inherit(parent: Parent, child: Task, flags: int) -> None:
    child.cred = parent.cred
    child.comm = parent.comm
    child.no_new_privs = parent.no_new_privs
    child.keep_capabilities = parent.keep_capabilities
    child.timer_slack_ns = child.default_timer_slack_ns = parent.timer_slack_ns
    child.cpu_number = parent.cpu_number
    child.affinity = parent.affinity
    child.nice = parent.nice
    child.sched_policy = parent.sched_policy
    child.sched_priority = parent.sched_priority
    if parent.sched_reset_on_fork:
        if parent.sched_policy in (1, 2):
            child.sched_policy = 0
            child.sched_priority = 0
            child.nice = 0
        child.nice = max(child.nice, 0)
    child.ioprio = parent.ioprio
    child.personality = parent.personality
    child.mce_kill = parent.mce_kill
    child.io_flusher = parent.io_flusher
    # Like comm, these are of the call that is being served: the child starts behind it.
    child.call_number = parent.call_number
    child.call_args = parent.call_args


async def do_clone(parent: Parent, request: CloneRequest) -> int:
    """Make a child and start it; the child's number.  With CLONE_VFORK, after it has left the shared memory."""
    flags = request.flags
    if flags & CLONE_PIDFD and flags & CLONE_PARENT_SETTID and request.pidfd == request.parent_tid:
        raise LinuxError(EINVAL)
    child = copy_process(parent, request)
    pid = child.tid
    try:
        if flags & CLONE_PIDFD:
            _make_pidfd(parent, child, request.pidfd)
    except BaseException:
        _abandon(parent, child)
        raise
    if flags & CLONE_PARENT_SETTID:
        _put(parent, request.parent_tid, pid)
    if flags & CLONE_CHILD_SETTID:
        child.set_child_tid = request.child_tid
        _put(child, request.child_tid, pid)
    if flags & CLONE_CHILD_CLEARTID:
        child.clear_child_tid = request.child_tid
    queue = None
    if flags & CLONE_VFORK:
        queue = WaitQueue()
        if flags & CLONE_THREAD:
            child.vfork_done = queue
        else:
            child.group.vfork_done = queue
    event = 0
    if parent.tracing is not None:
        from syscalls.ptrace import new_child
        event = new_child(parent, child, flags, request.exit_signal)
    parent.kernel.make_ready(child)
    if event:
        from syscalls.ptrace import event as report
        await report(parent, event, pid)
    if queue is not None:
        child.vfork_parent = parent
        while not child.dead and queue in (child.vfork_done, child.group.vfork_done):
            await sleep_on(parent, [(queue, -1)], interruptible=False)
        child.vfork_parent = None
        if parent.tracing is not None:
            from syscalls.abi.ptrace import PTRACE_EVENT_VFORK_DONE
            from syscalls.ptrace import event as report
            await report(parent, PTRACE_EVENT_VFORK_DONE, pid)
    return pid


def _put(task: Task, addr: int, value: int) -> None:
    """put_user() whose failure is ignored."""
    try:
        task.mem.put_u32(addr, value)
    except LinuxError:
        pass


def _make_pidfd(parent: Parent, child: Task, addr: int) -> None:
    from syscalls.pidfd import install_pidfd
    fd = install_pidfd(parent, child)
    try:
        parent.mem.put_u32(addr, fd)
    except LinuxError:
        parent.files.close(parent, fd)
        raise


def _abandon(parent: Parent, child: Task) -> None:
    """Undo copy_process: the child never ran."""
    kernel = parent.kernel
    group = child.group
    child.dead = True
    child.mm.drop()
    child.files.drop(child)
    child.fs.drop()
    child.handlers.sharers -= 1
    kernel.dead_cpus.append(child.cpu)
    kernel.tasks.pop(child.tid, None)
    group.tasks.pop(child.tid, None)
    if group.leader is child:
        from syscalls.job import leave_pgrp
        kernel.groups.pop(group.pid, None)
        if group.parent is not None:
            group.parent.children.pop(group.pid, None)
        leave_pgrp(group)
