"""Tasks, thread groups, process groups and sessions: who is running.

`Task` mirrors task_struct: one guest thread.  `ThreadGroup` mirrors signal_struct: what the threads of a process
share.  Objects that clone may share separately (`Mm`, `FdTable`, `FsContext`, `SignalHandlers`) are attributes.
A task is born in `clone.py`, replaced in `exec.py`, ends in `exit.py`.
"""

from __future__ import annotations

from syscalls.wait import WaitQueue, sleep_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from syscalls.credentials import Credentials
    from syscalls.fd import FdTable
    from syscalls.fs.vfs import FsContext, Location
    from syscalls.kernel import Kernel
    from syscalls.keys import Key
    from syscalls.mm import Mm
    from syscalls.pidfd import PidInode
    from syscalls.ptrace import Tracing
    from syscalls.signals import GroupSignals, SignalHandlers, TaskSignals
    from syscalls.sysv_ipc import SemaphoreSet
    from syscalls.tty import Tty
    from syscalls.usermem import UserMemory
    from syscalls.wait import Interrupted, Sleeper
    from translator.machine import Cpu

NO_RESULT = -(1 << 70)
"""What a handler returns when RAX must not be written: it has replaced the registers, or the task is gone."""

# Task.state, by the letters of /proc/pid/stat.
RUNNING, SLEEPING, STOPPED, TRACED, ZOMBIE, DEAD = "R", "S", "T", "t", "Z", "X"

RLIM_INFINITY = 2**64 - 1
(RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE,
 RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO,
 RLIMIT_RTTIME) = range(16)


class Session:
    """A session: its process groups, and the controlling terminal if it has one."""

    __slots__ = ("groups", "hung_up_pgrp", "sid", "tty")

    def __init__(self, sid: int) -> None:
        self.sid = sid
        self.groups: set[ProcessGroup] = set()
        self.tty: Tty | None = None
        self.hung_up_pgrp: ProcessGroup | None = None
        """The foreground group of a terminal that was hung up (tty_old_pgrp): it is told when the leader ends."""


class ProcessGroup:
    __slots__ = ("members", "pgid", "session")

    def __init__(self, pgid: int, session: Session) -> None:
        self.pgid = pgid
        self.session = session
        self.members: set[ThreadGroup] = set()
        session.groups.add(self)


class ThreadGroup:
    """A process.  `leader` stays the task whose tid is the pid, a zombie included, until the group is reaped."""

    def __init__(self, kernel: Kernel, pid: int, parent: ThreadGroup | None, pgrp: ProcessGroup) -> None:
        self.kernel = kernel
        self.pid = pid
        self.tasks: dict[int, Task] = {}
        self.leader: Task
        self.parent = parent
        """None only for the first process: its parent is outside."""
        self.children: dict[int, ThreadGroup] = {}
        self.pgrp = pgrp
        pgrp.members.add(self)
        self.exit_signal = 17
        self.exit_status = 0
        """Wait status, once `state` is ZOMBIE."""
        self.exiting = False
        """exit_group or a fatal signal: every thread is on its way out (SIGNAL_GROUP_EXIT)."""
        self.group_exit_code = 0
        self.is_subreaper = False
        self.has_execed = False
        """execve since fork: setpgid by the parent is refused (EACCES)."""
        self.child_event = WaitQueue()
        """Woken when a child changes state (wait_chldexit)."""
        self.rlimits: list[tuple[int, int]] = [(RLIM_INFINITY, RLIM_INFINITY)] * 16
        self.signals: GroupSignals
        self.start_ns = kernel.clock.monotonic()
        self.dumpable = 1
        self.oom_score_adj = 0
        self.oom_score_adj_min = 0
        """The lowest value a privileged task has set: nobody else may go below."""
        self.timers: Any = None
        """itimers and POSIX timers: made by timers.py when first used."""
        # Resources of ended threads and of reaped children, ns and counts.
        self.dead_cpu_ns = 0
        self.children_cpu_ns = 0
        self.dead_system_ns = 0
        self.children_system_ns = 0
        self.stop_status = 0
        """Pending report to the parent: a wait status of a stop or continue, 0 when none."""
        self.vfork_done: WaitQueue | None = None
        """While the parent of a vfork waits: exit.release_mm (exec, exit) wakes it and sets this to None."""
        self.parent_task: Task | None = None
        """The thread that is the parent: its end sends PR_SET_PDEATHSIG, and __WNOTHREAD asks for it."""
        self.ended = False
        """Every thread has ended: a zombie, or reaped."""
        self.watches_cpu = False
        """A timer or limit on CPU time is set: looked at when a slice ends."""
        self.death_event: WaitQueue | None = None
        self.pid_inode: PidInode | None = None
        """Of its pidfds: made with the first."""
        """Woken when the process has been reaped; its pidfds make and share it."""
        self.tracees: dict[Task, None] | None = None
        """Whom the threads of this process trace by ptrace(2)."""
        self.exec_waiter: WaitQueue | None = None
        """The thread in execve waits here for the others to end."""
        self.sem_undo: dict[SemaphoreSet, dict[int, int]] | None = None
        """What its end takes back of SEM_UNDO operations: semaphore number -> adjustment, by set."""
        self.thp_disabled = False
        self.process_keyring: Key | None = None
        self.max_rss_kb = 0
        self.children_max_rss_kb = 0
        self.exe: Location | None = None

    @property
    def session(self) -> Session:
        return self.pgrp.session

    @property
    def state(self) -> str:
        return self.leader.state

    def parent_pid(self) -> int:
        """The parent's number; for the first process that of pylx's own, for orphans 1."""
        if self.parent is not None:
            return self.parent.pid
        kernel = self.kernel
        return kernel.host.ppid() if self is kernel.init and not kernel.deterministic else 1

    def soft_limit(self, resource: int) -> int:
        return self.rlimits[resource][0]


class Task:
    """One guest thread."""

    def __init__(self, kernel: Kernel, tid: int, group: ThreadGroup, cpu: Cpu) -> None:
        self.kernel = kernel
        self.tid = tid
        kernel.tasks_made += 1
        self.serial = kernel.tasks_made
        """Its number in order of birth, never used again."""
        self.group = group
        self.cpu = cpu
        cpu.owner = self
        group.tasks[tid] = self
        self.mm: Mm
        self.mem: UserMemory
        self.files: FdTable
        self.fs: FsContext
        self.cred: Credentials
        self.handlers: SignalHandlers
        self.signals: TaskSignals
        self.comm = b""
        self.state = RUNNING
        # Scheduling.
        self.queued = False
        self.coroutine: Coroutine[Any, Any, int | None] | None = None
        """The system call that this task sleeps in, or the stops of a tracee (ptrace.py)."""
        self.sleeper: Sleeper | None = None
        self.interruptible = True
        self.sigpending = False
        """TIF_SIGPENDING: a signal, stop or exit wants this task's attention before it runs guest code."""
        self.dead = False
        # The system call in progress (or last served).
        self.call_number = -1
        self.call_args: tuple[int, ...] = (0, 0, 0, 0, 0, 0)
        self.interrupted: Interrupted | None = None
        """How the call that just ended wants to go on: read and cleared by the signal code."""
        self.restart_block: Callable[[Task], Awaitable[int]] | None = None
        self.restart_call: tuple[int, tuple[int, ...]] | None = None
        # Addresses that the guest registered.
        self.clear_child_tid = 0
        self.set_child_tid = 0
        self.robust_list = 0
        self.rseq = 0
        self.parent_death_signal = 0
        self.no_new_privs = False
        self.keep_capabilities = False
        self.cpu_ns = 0
        """Time in guest code and in its system calls, as the kernel measures it: see accounting.task_cpu_ns."""
        self.system_ns = 0
        """The part of it in system calls, estimated."""
        self.syscalls = 0
        self.nice = 0
        self.sched_policy = 0
        self.sched_priority = 0
        self.affinity: bytes | None = None
        self.tracer: Task | None = None
        """Who traces this task by ptrace(2)."""
        self.tracing: Tracing | None = None
        """The state of being traced."""
        self.vfork_parent: Task | None = None
        self.timer_slack_ns = self.default_timer_slack_ns = 50000
        self.cpu_number = 0
        """The CPU that it appears to run on: the first of its affinity."""
        self.sched_reset_on_fork = False
        self.sched_deadline = (0, 0, 0)
        """Runtime, deadline and period of SCHED_DEADLINE, ns."""
        self.ioprio = 0
        self.memory_policy = (0, 0)
        """set_mempolicy: mode and nodes."""
        self.personality = 0
        self.no_sigpipe = False
        """The call at hand ends with EPIPE alone (RWF_NOSIGNAL)."""
        self.mce_kill = 2
        self.io_flusher = False
        self.vfork_done: WaitQueue | None = None
        """For a thread made with CLONE_VFORK, as ThreadGroup.vfork_done for a process."""
        self.pi_futexes: set[Any] = set()
        """Priority-inheritance futexes that this task owns and others wait for (futex.py)."""
        self.pi_blocked_on: Any = None
        """The PI futex that this task waits for."""
        self.rseq_by_host = False
        """The engine's host keeps the CPU numbers and critical sections true (Cpu.rseq)."""
        self.thread_keyring: Key | None = None
        self.rseq_signature = 0
        self.rseq_length = 0

    def signal_wanted(self) -> bool:
        """Whether an interruptible sleep has to end (signal_pending)."""
        return self.sigpending

    def killed(self) -> bool:
        """Whether even an uninterruptible sleep has to end (fatal_signal_pending)."""
        return self.group.exiting or self.dead or self.signals.killed

    async def sleep(self, queue: WaitQueue, mask: int = -1, deadline_ns: int | None = None, *,
                    restart: int = 1) -> bool:
        """Sleep on one queue; False at the deadline (monotonic ns); Interrupted."""
        return await sleep_on(self, [(queue, mask)], deadline_ns, restart=restart)

    def interrupt(self) -> None:
        """Make a sleeping or running task look at its signals: `sigpending` was set."""
        if self.sleeper is not None:
            if self.interruptible or self.killed():
                self.kernel.make_ready(self)
        elif self.cpu.running:
            self.kernel.make_ready(self)
            self.kernel.engine.kick()

    def __repr__(self) -> str:
        return f"<Task {self.tid} of {self.group.pid} {self.comm.decode('utf-8', 'backslashreplace')}>"
