"""The kernel: one object that serves all guest processes of a run, and its scheduler.

The engine calls `syscall` for each SYSCALL instruction, mostly from inside the running guest: a call that can be
answered is answered there.  A call that has to sleep leaves its coroutine in `Task.coroutine`, the guest stops, and
the scheduler (`run`) goes on with the next task that is ready; with none, it sleeps in the host's poller until a
host event or the next timer.  The kernel is one thread; guest threads may run beside it, where the engine can do that,
and while it sleeps.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush

from syscalls.abi.errno import EINTR, ENOMEM, ENOSYS, LinuxError
from syscalls.abi.uts import BANNER, RELEASE, VERSION
from syscalls.rseq import preempted
from syscalls.table import TABLE
from syscalls.task import NO_RESULT, RUNNING, SLEEPING, ProcessGroup, Session, Task, ThreadGroup
from syscalls.wait import CoroutineType, Interrupted, Timer
from translator.hosts.base import HostError
from translator.machine import ORIG_RAX, RAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable
    from typing import Any

    from syscalls.clock import Clock
    from syscalls.console_tty import Console
    from syscalls.fs.devpts import PtyTable
    from syscalls.fs.mounts import Mount
    from syscalls.fs.vfs import Vfs
    from syscalls.futex import FutexWaiter
    from syscalls.futex_pi import PiState
    from syscalls.inotify import WatchTable
    from syscalls.keys import KeyTable
    from syscalls.mqueue import PosixQueue
    from syscalls.pipe import Pipe
    from syscalls.profiles.profile import Profile
    from syscalls.shm import ShmNamespace
    from syscalls.sockets import Network
    from syscalls.sysv_ipc import IpcNamespace
    from syscalls.table import Syscall
    from syscalls.trace import Tracer
    from translator.elf import LoadPlan
    from translator.hosts.base import Host, HostWatch, Poller
    from translator.machine import AddressSpace, Cpu, CpuFault, Engine

    __all__ = ["HostWatch", "Kernel"]

SLICE_NS = 10_000_000
"""How long a task computes while others wait."""
SAMPLED_CALLS, SAMPLE_MASK, LONGEST_SAMPLE_NS = 16, 15, 200_000
"""One call in so many is measured (a power of two), and counts at most so long."""
SHORTEST_SLICE_NS = 100_000
"""A slice ends when the next timer is due, but is not shorter than this."""
POLL_NS = 1_000_000
"""How often host events are looked for while guests compute."""
PID_MAX = 4194304


def nice_slice_ns(nice: int) -> int:
    """Each step of niceness is a tenth less of the CPU: 1.25 times as much for the neighbour (sched_prio_to_weight)."""
    return int(min(max(SLICE_NS * 1.25 ** -nice, SLICE_NS / 10), SLICE_NS * 4))


class KernelBug(Exception):
    """A handler failed with something that is not an error of the guest: a defect of pylx.  Carries the call."""

    def __init__(self, task: Task, record: Syscall | None, args: tuple[int, ...]) -> None:
        super().__init__(record.name if record is not None else "a call that is not served")
        self.task = task
        self.record = record
        self.call_args = args


class Gap:
    """Something a guest asked for that is not served: counted, with its first site."""

    __slots__ = ("count", "first_ip", "first_task", "value", "what")

    def __init__(self, what: str, value: int, task: Task) -> None:
        self.what = what
        self.value = value
        self.count = 0
        self.first_task = task.comm
        self.first_ip = task.cpu.get(16)


class Kernel:
    def __init__(self, engine: Engine, host: Host, clock: Clock, *, deterministic: bool = False) -> None:
        self.engine = engine
        self.host = host
        self.clock = clock
        self.deterministic = deterministic
        self.poller: Poller = host.poller()
        self.vfs: Vfs
        self.net: Network | None = None
        """The sockets' world, made by sockets.network() when first needed."""
        self.tasks: dict[int, Task] = {}
        self.groups: dict[int, ThreadGroup] = {}
        self.process_groups: dict[int, ProcessGroup] = {}
        self.sessions: dict[int, Session] = {}
        self.init: ThreadGroup
        """The first process: orphans are its children, as with PID 1 of a namespace."""
        self.current: Task | None = None
        self.ready: deque[Task] = deque()
        self.timers: list[tuple[int, int, Timer]] = []
        self.timer_sequence = 0
        self.last_poll_ns = 0
        self.next_pid = 1
        self.tasks_made = 0
        self.gaps: dict[tuple[str, int], Gap] = {}
        self.shm: ShmNamespace | None = None
        """System V shared memory: made when first used."""
        self.memory_mount: Mount | None = None
        """The tmpfs of memfds, mounted nowhere."""
        self.exec_plans: dict[tuple[int, int, int, int, bool], LoadPlan] = {}
        """How to load the programs that were executed, by device, inode, time, size and being an interpreter."""
        self.call_counts = [0] * 512
        self.tracer: Tracer | None = None
        self.profile: Profile | None = None
        """Another kernel's answers, laid over this one (syscalls/profiles)."""
        self.first_ended: Callable[[], None] | None = None
        """Called when the first process has ended."""
        self.nr_open = self.pipe_max_size = 1 << 20
        """/proc/sys/fs: how high descriptors may go, and how large a pipe a user without CAP_SYS_RESOURCE may have."""
        self.core_pattern, self.core_uses_pid = b"core", 0
        self.hostname = host.nodename()
        self.release, self.version, self.banner = RELEASE, VERSION, BANNER
        self.domainname = b"(none)"
        self.boot_ns = clock.boottime()
        self.start_realtime_ns = clock.realtime()
        self.at_shutdown: list[Callable[[], Any]] = []
        """What must happen when pylx ends: the terminal's settings, temporary host files."""
        self._random_counter = 0
        self.fifos: dict[tuple[int, int], Pipe] = {}
        """Pipes of the FIFOs that are open, by (st_dev, st_ino)."""
        self.futexes: dict[Hashable, list[FutexWaiter]] = {}
        """Who sleeps on which futex, in FIFO order."""
        self.pi_states: dict[Hashable, PiState] = {}
        """Priority-inheritance futexes that someone waits for."""
        self.everything_imported = False
        self.declare: Callable[[int], None] | None = None
        """Called with the number of a call that is not in the table: it may be declared in a module that is imported
        only when needed."""
        self.queued_signals: dict[int, int] = {}
        """Queued siginfos by user, for RLIMIT_SIGPENDING."""
        self.first_stopped: Callable[[int], None] | None = None
        """Called when all threads of the first process have stopped, with the signal: pylx stops as it did."""
        self.slice_start = 0
        """When the current task was given the CPU (monotonic ns); 0 while none runs guest code."""
        self.last_guest: Task | None = None
        self.dead_cpus: list[Cpu] = []
        """Of tasks that have ended: closed by the scheduler, outside the engine."""
        self.ptys: PtyTable | None = None
        """The terminals of /dev/pts, made by devpts.pty_table() when first needed."""
        self.console: Console | None = None
        """The terminal pylx was started on, as the guests see it; None when there is none."""
        self.ipc: IpcNamespace | None = None
        """System V semaphores and message queues: made when first used."""
        self.keys: KeyTable | None = None
        """Keys and keyrings: made when first used."""
        self.watches: WatchTable | None = None
        """What inotify and dnotify watch: made when first used."""
        self.posix_queues: dict[bytes, PosixQueue] = {}
        self.queue_bytes: dict[int, int] = {}
        """What POSIX message queues take, by the user who made them (RLIMIT_MSGQUEUE)."""
        """POSIX message queues by name, without the slash."""
        self.next_inode = 4711
        """For objects without a file system's number: pipes, sockets."""
        engine.attach(self)

    # --- names

    def allocate_pid(self) -> int:
        """The next free number for a task, never one that a task, group or session still uses."""
        while True:
            pid = self.next_pid
            self.next_pid = pid + 1 if pid + 1 < PID_MAX else 300
            if (pid not in self.tasks and pid not in self.groups and pid not in self.process_groups
                    and pid not in self.sessions):
                return pid

    def random(self, length: int) -> bytes:
        if not self.deterministic:
            return self.host.random(length)
        # A counter-mode stream: the same bytes in every deterministic run.
        from hashlib import blake2b
        out = b""
        while len(out) < length:
            out += blake2b(self._random_counter.to_bytes(8, "little"), person=b"pylx").digest()
            self._random_counter += 1
        return out[:length]

    def gap(self, task: Task, what: str, value: int) -> None:
        """Count a call, flag or code that is not served."""
        gap = self.gaps.get((what, value))
        if gap is None:
            gap = self.gaps[what, value] = Gap(what, value, task)
        gap.count += 1

    def gap_lines(self) -> list[str]:
        """What guests asked for and did not get, a line each, most frequent first."""
        out = []
        for gap in sorted(self.gaps.values(), key=lambda gap: -gap.count):
            what = f"system call {gap.value}" if gap.what == "syscall" else f"{gap.what} {gap.value:#x}"
            times = "once" if gap.count == 1 else f"{gap.count} times"
            out.append(f"not served: {what}, {times}, first by {gap.first_task.decode('utf-8', 'backslashreplace')} "
                       f"at {gap.first_ip:#x}")
        return out

    def shutdown(self) -> None:
        """End of the run, however it ended: the terminal and the engine's memory go back.  May be called twice."""
        for close in self.at_shutdown:
            close()
        self.at_shutdown.clear()
        self.engine.close()

    # --- timers

    def start_timer(self, deadline_ns: int, expired: Callable[[], Any]) -> Timer:
        timer = Timer(deadline_ns, expired)
        self.timer_sequence += 1
        if not self.timer_sequence & 511 and len(self.timers) > 512:
            # Most timeouts are cancelled long before they expire: do not let them pile up.
            self.timers = [entry for entry in self.timers if entry[2].expired is not None]
            heapify(self.timers)
        heappush(self.timers, (deadline_ns, self.timer_sequence, timer))
        return timer

    def _run_timers(self) -> None:
        timers = self.timers
        if not timers:
            return
        now = self.clock.monotonic()
        while timers and timers[0][0] <= now:
            expired = heappop(timers)[2].expired
            if expired is not None:
                expired()

    # --- scheduling

    def make_ready(self, task: Task) -> None:
        """Put a task on the run queue: it was woken, continued, or has a signal to look at."""
        if not task.queued and not task.dead:
            task.queued = True
            self.ready.append(task)

    def run(self) -> None:
        """Run until the last guest process has ended."""
        ready = self.ready
        while self.groups:
            if not ready:
                self._idle()
                continue
            task = ready.popleft()
            task.queued = False
            self._run_task(task)
            if self.dead_cpus:
                for cpu in self.dead_cpus:
                    cpu.close()
                self.dead_cpus.clear()
            now = self.clock.monotonic()
            if now - self.last_poll_ns >= POLL_NS or self.clock.is_virtual:
                self.last_poll_ns = now
                self.poller.poll(0)
            self._run_timers()

    def _idle(self) -> None:
        self.engine.watch(self.poller)
        timers = self.timers
        while timers and timers[0][2].expired is None:
            heappop(timers)
        if timers:
            deadline = timers[0][0]
            if self.clock.is_virtual:
                self.poller.poll(0)
                if not self.ready:
                    self.clock.advance_to(deadline)
            else:
                self.poller.poll(max(0, deadline - self.clock.monotonic()))
        else:
            self.poller.poll(None)
        self._run_timers()

    def _run_task(self, task: Task) -> None:
        if task.dead:
            return
        self.current = task
        if task.coroutine is not None:
            self._resume(task)
            if task.coroutine is not None or task.dead:
                return
        if task.sigpending:
            task.cpu.halt()
            task.signals.handle(task)
            if task.dead or task.coroutine is not None:
                return
        if task.state is not RUNNING:
            return
        if self.last_guest is not task:
            self.last_guest = task
            if task.rseq:
                preempted(task)
                if task.sigpending:
                    self.make_ready(task)
                    return
        start = self.slice_start = self.clock.monotonic()
        slice_ns = SLICE_NS if not task.nice else nice_slice_ns(task.nice)
        timers = self.timers
        while timers and timers[0][2].expired is None:
            heappop(timers)
        if timers and timers[0][0] - start < slice_ns:
            slice_ns = max(timers[0][0] - start, SHORTEST_SLICE_NS)
        self.engine.run(task.cpu, slice_ns)
        task.cpu_ns += self.clock.monotonic() - start
        self.slice_start = 0
        if task.group.watches_cpu:
            from syscalls.timers import check_cpu_timers
            task.cpu.halt()
            check_cpu_timers(task)
        if task.cpu.running:
            return
        if task.coroutine is None and not task.dead and task.state is RUNNING:
            self.make_ready(task)

    # --- system calls

    def syscall(self, cpu: Cpu, number: int, args: tuple[int, int, int, int, int, int]) -> int | None:
        """TrapSink: serve one call of the running guest."""
        task: Task = cpu.owner  # type: ignore[assignment]
        if not task.syscalls & SAMPLE_MASK:
            return self._sampled(task, cpu, number, args)
        self.current = task
        task.call_number = number
        task.call_args = args
        task.syscalls += 1
        if task.tracing is not None and task.tracing.intercepts():
            self._start_traced(task, number, args)
            return None
        record = TABLE[number] if 0 <= number < 512 else None
        if self.clock.is_virtual:
            self.clock.tick()
        if record is None:
            record = self.declared(number)
        if record is None:
            self.gap(task, "syscall", number)
            if self.tracer is not None:
                self.tracer.unknown(task, number, args)
            value = -ENOSYS
        else:
            self.call_counts[number] += 1
            if self.tracer is not None:
                self.tracer.entered(task, record, args)
            result = self._start(task, record, args)
            if result is None:
                return None
            value = result
        if task.sigpending or task.state is not RUNNING:
            cpu.set(RAX, value)
            return None
        return value

    def declared(self, number: int) -> Syscall | None:
        """The declaration of a call that is not in the table yet, None when there is none."""
        if self.declare is None or number >= 512:
            return None
        self.declare(number)
        return TABLE[number]

    def _sampled(self, task: Task, cpu: Cpu, number: int, args: tuple[int, int, int, int, int, int]) -> int | None:
        """Serve a call and measure it: what part of a task's CPU time is system time is told by one call in some."""
        task.syscalls += 1
        monotonic = self.clock.monotonic
        began = monotonic()
        value = self.syscall(cpu, number, args)
        task.syscalls -= 1
        # Modules that are imported and blocks that are translated at first use would count far too much.
        task.system_ns += min(monotonic() - began, LONGEST_SAMPLE_NS) * SAMPLED_CALLS
        return value

    def _start(self, task: Task, record: Syscall, args: tuple[int, ...]) -> int | None:
        """Run a handler until it is done or sleeps; its value for RAX, None when the guest has to stop."""
        try:
            value = record.call(task, args)
            if value.__class__ is CoroutineType:
                coroutine: Coroutine[Any, Any, int] = value
                try:
                    coroutine.send(None)
                except StopIteration as stop:
                    value = stop.value
                else:
                    task.coroutine = coroutine
                    if task.state is RUNNING:
                        task.state = SLEEPING
                    return None
        except (LinuxError, HostError) as error:
            value = -error.errno
        except Interrupted as interrupted:
            task.interrupted = interrupted
            task.sigpending = True
            value = -EINTR
        except MemoryError:
            value = -ENOMEM  # the engine's: the host gives it no more mappings or memory
        except Exception as error:
            raise KernelBug(task, record, args) from error
        if self.tracer is not None:
            self.tracer.left(task, record, args, value)
        if value is NO_RESULT or task.dead:
            return None
        return int(value)

    def _start_traced(self, task: Task, number: int, args: tuple[int, ...]) -> None:
        """Serve a call that a tracer of ptrace(2) wants to see."""
        from syscalls.ptrace import start_call
        if self.clock.is_virtual:
            self.clock.tick()
        try:
            start_call(task, number, args)
        except Exception as error:
            raise KernelBug(task, TABLE[number] if number < 512 else None, args) from error

    def _resume(self, task: Task) -> None:
        """Continue the call that a task sleeps in, or what else its coroutine does (ptrace.py)."""
        coroutine = task.coroutine
        assert coroutine is not None
        record = TABLE[task.call_number] if 0 <= task.call_number < 512 else None
        args = task.call_args
        try:
            coroutine.send(None)
            return
        except StopIteration as stop:
            value = stop.value
        except (LinuxError, HostError) as error:
            value = -error.errno
        except Interrupted as interrupted:
            task.interrupted = interrupted
            task.sigpending = True
            value = -EINTR
        except MemoryError:
            value = -ENOMEM  # the engine's: the host gives it no more mappings or memory
        except Exception as error:
            raise KernelBug(task, record, args) from error
        task.coroutine = None
        if task.dead:
            return
        if task.state is SLEEPING:
            task.state = RUNNING
        if value is None:
            # Not a call, or it has seen to its result itself.
            return
        if self.tracer is not None and record is not None:
            self.tracer.left(task, record, args, value)
        if value is not NO_RESULT:
            task.cpu.set(RAX, value)

    def trapped(self, cpu: Cpu) -> None:
        """TrapSink: a task that was running without us has stopped."""
        task: Task = cpu.owner  # type: ignore[assignment]
        if task.coroutine is None and task.state is RUNNING:
            self.make_ready(task)

    def killed(self, space: AddressSpace) -> None:
        """TrapSink: the host's lack of memory, or one of its users, has ended a process."""
        from syscalls.abi.signal import SI_KERNEL, SIGKILL
        from syscalls.siginfo import SigInfo
        from syscalls.signals import send_group
        for group in {task.group for task in self.tasks.values() if task.mm.space is space and not task.dead}:
            send_group(group, SigInfo(SIGKILL, SI_KERNEL))

    def fault(self, cpu: Cpu, fault: CpuFault) -> None:
        """TrapSink: an instruction of the guest faulted."""
        task: Task = cpu.owner  # type: ignore[assignment]
        task.cpu.set(ORIG_RAX, -1)
        task.signals.fault(task, fault)
