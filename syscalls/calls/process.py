"""Birth, end and family of processes: clone, exit, wait, process groups and sessions."""

from __future__ import annotations

from syscalls.abi.errno import (
    EACCES,
    EAGAIN,
    EBADF,
    ECHILD,
    EINVAL,
    EPERM,
    ESRCH,
    EUSERS,
    LinuxError,
)
from syscalls.abi.process import (
    CLONE_ARGS,
    CLONE_CLEAR_SIGHAND,
    CLONE_DETACHED,
    CLONE_FILES,
    CLONE_FS,
    CLONE_INTO_CGROUP,
    CLONE_LEGACY_FLAGS,
    CLONE_NAMESPACES,
    CLONE_NEWNS,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
    CLONE_PARENT,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_SIGHAND,
    CLONE_SYSVSEM,
    CLONE_THREAD,
    CLONE_VFORK,
    CLONE_VM,
    CONTINUED_STATUS,
    CSIGNAL,
    P_ALL,
    P_PGID,
    P_PID,
    P_PIDFD,
    WALL,
    WCLONE,
    WCONTINUED,
    WEXITED,
    WNOHANG,
    WNOTHREAD,
    WNOWAIT,
    WUNTRACED,
)
from syscalls.abi.signal import SIGCHLD
from syscalls.table import PARTIAL, syscall
from syscalls.task import NO_RESULT, TRACED, ProcessGroup, Session
from syscalls.wait import leave_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import CloneArgs, CloneFlags, Rusage, SigInfoLayout, WaitFlags
    from syscalls.table import S32, U64, Addr, Fd, Flags, In, Out, Pid, Size
    from syscalls.task import Task, ThreadGroup

INT_MIN = -(1 << 31)


# --- who am I


@syscall(39)
def getpid(task: Task) -> int:
    return task.group.pid


@syscall(186)
def gettid(task: Task) -> int:
    return task.tid


@syscall(110)
def getppid(task: Task) -> int:
    return task.group.parent_pid()


# --- birth


@syscall(57)
async def fork(task: Task) -> int:
    from syscalls.clone import CloneRequest, do_clone
    return await do_clone(task, CloneRequest(0, exit_signal=SIGCHLD))


@syscall(58)
async def vfork(task: Task) -> int:
    from syscalls.clone import CloneRequest, do_clone
    return await do_clone(task, CloneRequest(CLONE_VFORK | CLONE_VM, exit_signal=SIGCHLD))


NAMESPACES = {"CLONE_NEWTIME": 0x80, "CLONE_NEWNS": 0x20000, "CLONE_NEWCGROUP": 0x2000000, "CLONE_NEWUTS": 0x4000000,
              "CLONE_NEWIPC": 0x8000000, "CLONE_NEWUSER": 0x10000000, "CLONE_NEWPID": 0x20000000,
              "CLONE_NEWNET": 0x40000000}


@syscall(56, support=PARTIAL("no namespaces (CLONE_NEW*): EPERM"), unsupported=NAMESPACES)
async def clone(task: Task, flags: Flags[CloneFlags], stack: Addr, parent_tid: Out[S32], child_tid: Out[S32],
                tls: Addr) -> int:
    from syscalls.clone import CloneRequest, do_clone
    # With CLONE_PIDFD the descriptor goes where CLONE_PARENT_SETTID would put the number.
    if flags & CLONE_PIDFD and flags & CLONE_PARENT_SETTID:
        raise LinuxError(EINVAL)
    return await do_clone(task, CloneRequest(
        flags & CLONE_LEGACY_FLAGS & ~CSIGNAL, exit_signal=flags & CSIGNAL, stack=stack, parent_tid=parent_tid,
        child_tid=child_tid, tls=tls, pidfd=parent_tid))


CLONE_ARGS_VER0, CLONE_ARGS_VER2 = 64, 88
CLONE3_FLAGS = CLONE_LEGACY_FLAGS & ~CSIGNAL | 0x80 | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP


@syscall(435, since="5.3", support=PARTIAL("no namespaces (CLONE_NEW*): EPERM; no cgroups (CLONE_INTO_CGROUP): EBADF"),
         unsupported=NAMESPACES)
async def clone3(task: Task, args: In[CloneArgs], size: Size) -> int:
    from syscalls.abi.errno import E2BIG
    from syscalls.clone import CloneRequest, do_clone
    if size > 4096:
        raise LinuxError(E2BIG)
    if size < CLONE_ARGS_VER0:
        raise LinuxError(EINVAL)
    raw = task.mem.read(args, size)
    if any(raw[CLONE_ARGS_VER2:]):
        raise LinuxError(E2BIG)
    (flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
     cgroup) = CLONE_ARGS.unpack(raw[:CLONE_ARGS_VER2].ljust(CLONE_ARGS_VER2, b"\0"))
    if set_tid_size > 32 or (not set_tid and set_tid_size) or (set_tid and not set_tid_size):
        raise LinuxError(EINVAL)
    if exit_signal & ~CSIGNAL or exit_signal > 64:
        raise LinuxError(EINVAL)
    if flags & CLONE_INTO_CGROUP and (cgroup > 0x7FFFFFFF or size < CLONE_ARGS_VER2):
        raise LinuxError(EINVAL)
    wanted = 0
    if set_tid:
        # There is one pid namespace: one number at most.
        if set_tid_size > 1:
            raise LinuxError(EINVAL)
        wanted = task.mem.s32(set_tid)
        if not 1 <= wanted < 4194304:
            raise LinuxError(EINVAL)
    if flags & ~CLONE3_FLAGS or flags & CLONE_DETACHED:
        raise LinuxError(EINVAL)
    if flags & CLONE_SIGHAND and flags & CLONE_CLEAR_SIGHAND:
        raise LinuxError(EINVAL)
    if flags & (CLONE_THREAD | CLONE_PARENT) and exit_signal:
        raise LinuxError(EINVAL)
    if bool(stack) != bool(stack_size) or (stack and stack + stack_size > 0x7FFFFFFFF000):
        raise LinuxError(EINVAL)
    if flags & CLONE_INTO_CGROUP:
        raise LinuxError(EBADF)
    return await do_clone(task, CloneRequest(
        flags, exit_signal=exit_signal, stack=stack + stack_size if stack else 0, parent_tid=parent_tid,
        child_tid=child_tid, tls=tls, pidfd=pidfd, set_tid=wanted))


@syscall(218)
def set_tid_address(task: Task, address: Out[S32]) -> int:
    task.clear_child_tid = address
    return task.tid


@syscall(272, since="2.6.16", support=PARTIAL("no namespaces (CLONE_NEW*): EPERM"), unsupported=NAMESPACES)
def unshare(task: Task, flags: U64) -> int:
    known = CLONE_NAMESPACES | CLONE_THREAD | CLONE_FS | CLONE_VM | CLONE_SIGHAND | CLONE_FILES | CLONE_SYSVSEM
    if flags & ~known:
        raise LinuxError(EINVAL)
    if flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM) and len(task.group.tasks) > 1:
        raise LinuxError(EINVAL)
    if flags & (CLONE_SIGHAND | CLONE_VM) and task.handlers.sharers > 1:
        raise LinuxError(EINVAL)
    if flags & CLONE_VM and task.mm.users > 1:
        raise LinuxError(EINVAL)
    if flags & CLONE_NAMESPACES:
        task.kernel.gap(task, "unshare flags", flags & CLONE_NAMESPACES)
        raise LinuxError(EPERM)
    if flags & CLONE_FS and task.fs.sharers > 1:
        old_fs, task.fs = task.fs, task.fs.copy()
        old_fs.drop()
    if flags & CLONE_FILES and task.files.sharers > 1:
        old_files, task.files = task.files, task.files.copy(task.kernel.nr_open)
        old_files.drop(task)
    if flags & CLONE_SYSVSEM and task.group.sem_undo:
        from syscalls.sysv_ipc import apply_undo
        apply_undo(task.group)
    return 0


NAMESPACE_FLAGS = {b"cgroup": 0x02000000, b"ipc": 0x08000000, b"mnt": 0x00020000, b"net": 0x40000000,
                   b"pid": 0x20000000, b"time": 0x80, b"user": 0x10000000, b"uts": 0x04000000}
CAP_SYS_ADMIN = 21


@syscall(308, since="3.0", support=PARTIAL("there is one namespace of each kind: only that can be entered"))
def setns(task: Task, fd: Fd, kind: S32) -> int:
    file = task.files.get(fd)
    if file.kind == "pidfd":
        return _join(task, file.group, kind)  # type: ignore[attr-defined]
    name = file.location.path(task).partition(b":[")[0] if file.location is not None else b""
    flag = NAMESPACE_FLAGS.get(name)
    if flag is None or (kind and kind != flag):
        raise LinuxError(EINVAL)
    if flag == CLONE_NEWUSER:
        # The caller is in it already.
        raise LinuxError(EINVAL)
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    if flag == CLONE_NEWNS and task.fs.sharers > 1:
        raise LinuxError(EINVAL)
    if flag == CLONE_NEWTIME and len(task.group.tasks) > 1:
        raise LinuxError(EUSERS)
    return 0


def _join(task: Task, group: ThreadGroup, kinds: int) -> int:
    """setns(2) to namespaces of a process, several at once (since 5.8)."""
    if not kinds or kinds & ~sum(NAMESPACE_FLAGS.values()):
        raise LinuxError(EINVAL)
    if group.ended:
        raise LinuxError(ESRCH)
    if kinds & CLONE_NEWUSER:
        raise LinuxError(EINVAL)
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    if kinds & CLONE_NEWNS and task.fs.sharers > 1:
        raise LinuxError(EINVAL)
    if kinds & CLONE_NEWTIME and len(task.group.tasks) > 1:
        raise LinuxError(EUSERS)
    return 0


# --- end


@syscall(60)
async def exit(task: Task, code: S32) -> int:
    from syscalls.exit import exit_task
    await leave_engine(task)
    if task.tracing is not None:
        from syscalls.ptrace import exit_event
        await exit_event(task, (code & 0xFF) << 8)
    exit_task(task, (code & 0xFF) << 8)
    return NO_RESULT


@syscall(231, needs=("signals.die-of",))
async def exit_group(task: Task, code: S32) -> int:
    from syscalls.exit import exit_group as end_group
    from syscalls.exit import exit_task
    end_group(task.group, (code & 0xFF) << 8)
    await leave_engine(task)
    if task.tracing is not None:
        from syscalls.ptrace import exit_event
        await exit_event(task, (code & 0xFF) << 8)
    exit_task(task, (code & 0xFF) << 8)
    return NO_RESULT


# --- wait


class _Report:
    """What wait found: which child, its wait status, and its resources."""

    __slots__ = ("group", "max_rss_kb", "pid", "spent_ns", "status", "system_ns", "trapped", "uid")

    def __init__(self, group: ThreadGroup, status: int, tracee: Task | None = None) -> None:
        from syscalls.accounting import group_cpu_ns, group_rss_kb, group_system_ns
        self.group = group
        self.pid = group.pid if tracee is None else tracee.tid
        self.trapped = tracee is not None
        self.uid = group.leader.cred.uid
        self.status = status
        self.spent_ns = group_cpu_ns(group) + group.children_cpu_ns
        self.system_ns = group_system_ns(group) + group.children_system_ns
        self.max_rss_kb = max(group_rss_kb(group), group.children_max_rss_kb)


def _eligible(task: Task, child: ThreadGroup, kind: int, wanted: int | ProcessGroup | ThreadGroup | None,
              options: int) -> bool:
    if kind == P_PID and child.pid != wanted:
        return False
    if kind == P_PGID and child.pgrp is not wanted:
        return False
    if kind == P_PIDFD and child is not wanted:
        return False
    if options & WNOTHREAD and child.parent_task is not task:
        return False
    # A child that announces itself by another signal than SIGCHLD is a "clone" child.
    return bool(options & WALL) or (child.exit_signal != SIGCHLD) == bool(options & WCLONE)


def _look(child: ThreadGroup, options: int, parent: ThreadGroup) -> _Report | None:
    """A state change of one child, consumed unless WNOWAIT."""
    tracing = child.leader.tracing
    if tracing is not None and (child.ended or tracing.tracer.group is parent):
        # It is the tracer's first; and who is both sees stops as the tracer does (_look_at_tracee).
        if child.ended and options & WEXITED and tracing.tracer.group is parent:
            report = _Report(child, child.exit_status)
            if not options & WNOWAIT:
                _reap(child, parent, report)
            return report
        if child.ended or child.stop_status != CONTINUED_STATUS:
            return None
    if child.ended:
        if not options & WEXITED:
            return None
        report = _Report(child, child.exit_status)
        if not options & WNOWAIT:
            _reap(child, parent, report)
        return report
    status = child.stop_status
    if status and options & (WCONTINUED if status == CONTINUED_STATUS else WUNTRACED):
        if not options & WNOWAIT:
            child.stop_status = 0
        return _Report(child, status)
    return None


def _reap(child: ThreadGroup, parent: ThreadGroup, report: _Report) -> None:
    from syscalls.exit import reap
    parent.children_cpu_ns += report.spent_ns
    parent.children_system_ns += report.system_ns
    parent.children_max_rss_kb = max(parent.children_max_rss_kb, report.max_rss_kb)
    reap(child)


def _look_at_tracee(tracee: Task, options: int, tracer: ThreadGroup) -> _Report | None:
    """A stop, or the end, of one tracee: reported whatever the caller's options say about stops."""
    tracing = tracee.tracing
    assert tracing is not None
    group = tracee.group
    if tracee.dead:
        if not options & WEXITED or tracing.exit_status < 0 or (tracee is group.leader and group.parent is tracer):
            return None
        report = _Report(group, tracing.exit_status, tracee)
        if not options & WNOWAIT:
            from syscalls.ptrace import hand_over, unlink
            unlink(tracee)
            if tracee is group.leader:
                hand_over(group)
        return report
    if not tracing.code or tracee.state is not TRACED or tracing.listening:
        return None
    report = _Report(group, tracing.code << 8 | 0x7F, tracee)
    if not options & WNOWAIT:
        tracing.code = 0
    return report


def _eligible_tracee(task: Task, tracee: Task, kind: int, wanted: int | ProcessGroup | ThreadGroup | None,
                     options: int) -> bool:
    if kind == P_PID and tracee.tid != wanted:
        return False
    if kind == P_PGID and tracee.group.pgrp is not wanted:
        return False
    if kind == P_PIDFD and (tracee.group is not wanted or tracee is not tracee.group.leader):
        return False
    return not options & WNOTHREAD or tracee.tracer is task


def _children(task: Task) -> list[ThreadGroup]:
    """In do_wait's order: the thread's own come first, then those of the threads after it, in a ring."""
    group = task.group
    children = list(group.children.values())
    if len(children) > 1 and len(group.tasks) > 1:
        threads = list(group.tasks.values())
        first = threads.index(task)
        turn = {thread: (index - first) % len(threads) for index, thread in enumerate(threads)}
        children.sort(key=lambda child: turn.get(child.parent_task, len(threads)))  # type: ignore[arg-type]
    return children


async def _wait(task: Task, kind: int, wanted: int | ProcessGroup | ThreadGroup | None, options: int) -> _Report | None:
    """do_wait(): None when WNOHANG found nothing.  ECHILD."""
    group = task.group
    while True:
        found = False
        for child in _children(task):
            if _eligible(task, child, kind, wanted, options):
                report = _look(child, options, group)
                if report is not None:
                    return report
                if not child.ended or options & WEXITED:
                    found = True
        for tracee in list(group.tracees or ()):
            if _eligible_tracee(task, tracee, kind, wanted, options):
                report = _look_at_tracee(tracee, options, group)
                if report is not None:
                    return report
                found = True
        if not found:
            raise LinuxError(ECHILD)
        if options & WNOHANG:
            return None
        if kind == P_PGID and wanted is None:
            raise LinuxError(ECHILD)
        await task.sleep(group.child_event)


@syscall(61)
async def wait4(task: Task, pid: Pid, status: Out[S32], options: Flags[WaitFlags], usage: Out[Rusage]) -> int:
    bits = options & 0xFFFFFFFF
    if bits & ~(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WCLONE | WALL):
        raise LinuxError(EINVAL)
    if pid == INT_MIN:
        raise LinuxError(ESRCH)
    wanted: int | ProcessGroup | None = None
    if pid == -1:
        kind = P_ALL
    elif pid < 0:
        kind, wanted = P_PGID, task.kernel.process_groups.get(-pid)
    elif pid == 0:
        kind, wanted = P_PGID, task.group.pgrp
    else:
        kind, wanted = P_PID, pid
    report = await _wait(task, kind, wanted, bits | WEXITED)
    if report is None:
        return 0
    if status:
        task.mem.put_u32(status, report.status)
    if usage:
        from syscalls.accounting import pack_rusage
        task.mem.write(usage, pack_rusage(report.spent_ns, report.system_ns, report.max_rss_kb))
    return report.pid


@syscall(247, since="2.6.9")
async def waitid(task: Task, kind: S32, id: Pid, info: Out[SigInfoLayout], options: Flags[WaitFlags],
                 usage: Out[Rusage]) -> int:
    try:
        report = await _waitid(task, kind, id, options)
    except LinuxError:
        if info:
            _write_info(task, info, None)  # cleared also when it fails, and EFAULT wins
        raise
    if usage and report is not None:
        from syscalls.accounting import pack_rusage
        task.mem.write(usage, pack_rusage(report.spent_ns, report.system_ns, report.max_rss_kb))
    if info:
        _write_info(task, info, report)
    return 0


async def _waitid(task: Task, kind: int, id: int, options: int) -> _Report | None:
    """kernel_waitid."""
    bits = options & 0xFFFFFFFF
    if bits & ~(WNOHANG | WNOWAIT | WEXITED | WUNTRACED | WCONTINUED | WNOTHREAD | WCLONE | WALL):
        raise LinuxError(EINVAL)
    if not bits & (WEXITED | WUNTRACED | WCONTINUED):
        raise LinuxError(EINVAL)
    wanted: int | ProcessGroup | ThreadGroup | None = None
    nonblocking = False
    if kind == P_PID:
        if id <= 0:
            raise LinuxError(EINVAL)
        wanted = id
    elif kind == P_PGID:
        if id < 0:
            raise LinuxError(EINVAL)
        wanted = task.kernel.process_groups.get(id) if id else task.group.pgrp
    elif kind == P_PIDFD:
        if id < 0:
            raise LinuxError(EINVAL)
        from syscalls.pidfd import pidfd_group
        wanted, nonblocking = pidfd_group(task, id)
    elif kind != P_ALL:
        raise LinuxError(EINVAL)
    report = await _wait(task, kind, wanted, bits | WNOHANG if nonblocking else bits)
    if report is None and nonblocking and not bits & WNOHANG:
        raise LinuxError(EAGAIN)
    return report


def _write_info(task: Task, addr: int, report: _Report | None) -> None:
    import struct
    if report is None:
        fields = (0, 0, 0, 0, 0, 0)
    else:
        from syscalls.abi.signal import (
            CLD_CONTINUED,
            CLD_DUMPED,
            CLD_EXITED,
            CLD_KILLED,
            CLD_STOPPED,
            CLD_TRAPPED,
            SIGCONT,
        )
        status = report.status
        if status == CONTINUED_STATUS:
            code, value = CLD_CONTINUED, SIGCONT
        elif report.trapped and status & 0xFF == 0x7F:
            code, value = CLD_TRAPPED, status >> 8
        elif status & 0xFF == 0x7F:
            code, value = CLD_STOPPED, status >> 8 & 0xFF
        elif status & 0x7F:
            code, value = CLD_DUMPED if status & 0x80 else CLD_KILLED, status & 0x7F
        else:
            code, value = CLD_EXITED, status >> 8 & 0xFF
        fields = (SIGCHLD, 0, code, report.pid, report.uid, value)
    # Only these fields are written; the padding word between code and pid is left alone.
    task.mem.write(addr, struct.pack("<iii", *fields[:3]))
    task.mem.write(addr + 16, struct.pack("<iIi", *fields[3:]))


# --- process groups and sessions


@syscall(109)
def setpgid(task: Task, pid: Pid, pgid: Pid) -> int:
    from syscalls.job import join_pgrp
    kernel = task.kernel
    caller = task.group
    pid = pid or caller.pid
    pgid = pgid or pid
    if pgid < 0:
        raise LinuxError(EINVAL)
    group = kernel.groups.get(pid)
    if group is None or group.leader.tid != pid:
        raise LinuxError(EINVAL if pid in kernel.tasks else ESRCH)
    if group.parent is caller:
        if group.session is not caller.session:
            raise LinuxError(EPERM)
        if group.has_execed:
            raise LinuxError(EACCES)
    elif group is not caller:
        raise LinuxError(ESRCH)
    if group.session.sid == group.pid:
        raise LinuxError(EPERM)
    if pgid != pid:
        pgrp = kernel.process_groups.get(pgid)
        if pgrp is None or pgrp.session is not caller.session:
            raise LinuxError(EPERM)
    else:
        pgrp = kernel.process_groups.get(pgid)
        if pgrp is None:
            pgrp = kernel.process_groups[pgid] = ProcessGroup(pgid, group.session)
    join_pgrp(group, pgrp)
    return 0


def _group_of(task: Task, pid: int) -> ThreadGroup:
    if not pid:
        return task.group
    found = task.kernel.tasks.get(pid)
    if found is None:
        raise LinuxError(ESRCH)
    return found.group


@syscall(121)
def getpgid(task: Task, pid: Pid) -> int:
    return _group_of(task, pid).pgrp.pgid


@syscall(111)
def getpgrp(task: Task) -> int:
    return task.group.pgrp.pgid


@syscall(124)
def getsid(task: Task, pid: Pid) -> int:
    return _group_of(task, pid).session.sid


@syscall(112)
def setsid(task: Task) -> int:
    from syscalls.job import join_pgrp
    kernel = task.kernel
    group = task.group
    if group.session.sid == group.pid or group.pid in kernel.process_groups:
        raise LinuxError(EPERM)
    session = kernel.sessions[group.pid] = Session(group.pid)
    pgrp = kernel.process_groups[group.pid] = ProcessGroup(group.pid, session)
    join_pgrp(group, pgrp)
    return group.pid
