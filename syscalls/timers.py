"""Timers of a process: the three interval timers, POSIX timers, and limits on CPU time.

Mirrors kernel/time/{itimer,posix-timers,posix-cpu-timers}.c.  Timers on real time are kernel timers.  Timers on CPU
time are compared when a time slice ends (`check_cpu_timers`), so that their resolution is a slice.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EINVAL, LinuxError
from syscalls.abi.signal import SI_KERNEL, SI_TIMER, SIGALRM, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU
from syscalls.abi.time import (
    CLOCK_BOOTTIME,
    CLOCK_BOOTTIME_ALARM,
    CLOCK_MONOTONIC,
    CLOCK_MONOTONIC_COARSE,
    CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID,
    CLOCK_REALTIME,
    CLOCK_REALTIME_ALARM,
    CLOCK_REALTIME_COARSE,
    CLOCK_TAI,
    CLOCK_THREAD_CPUTIME_ID,
    CPUCLOCK_PERTHREAD,
    KTIME_MAX,
    NSEC,
    SIGEV_NONE,
    TIMER_ABSTIME,
)
from syscalls.accounting import group_cpu_ns, group_system_ns, task_cpu_ns
from syscalls.siginfo import SigInfo
from syscalls.signals import send_group, send_task
from syscalls.task import RLIM_INFINITY, RLIMIT_CPU, RLIMIT_SIGPENDING
from syscalls.wait import WaitQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task, ThreadGroup
    from syscalls.wait import Timer

INT_MAX = 0x7FFFFFFF


# --- clocks


class CpuClock:
    """The CPU time of a thread (`task`) or of a process."""

    __slots__ = ("group", "task")

    def __init__(self, group: ThreadGroup, task: Task | None) -> None:
        self.group = group
        self.task = task

    def now(self) -> int:
        return task_cpu_ns(self.task) if self.task is not None else group_cpu_ns(self.group)


def cpu_clock(task: Task, clock: int, *, reading: bool = True) -> CpuClock:
    """The clock of a process or thread by id (pid_for_clock).  EINVAL."""
    if clock == CLOCK_PROCESS_CPUTIME_ID:
        return CpuClock(task.group, None)
    if clock == CLOCK_THREAD_CPUTIME_ID:
        return CpuClock(task.group, task)
    if clock >= 0 or clock & 3 == 3:
        raise LinuxError(EINVAL)
    pid = ~(clock >> 3)
    if clock & CPUCLOCK_PERTHREAD:
        thread = task.kernel.tasks.get(pid) if pid else task
        if thread is None or thread.group is not task.group:
            raise LinuxError(EINVAL)
        return CpuClock(task.group, thread)
    if pid == 0 or (reading and pid == task.tid):
        return CpuClock(task.group, None)
    group = task.kernel.groups.get(pid)
    if group is None:
        raise LinuxError(EINVAL)
    return CpuClock(group, None)


def read_clock(task: Task, clock: int) -> int:
    """The time of a clock in ns.  EINVAL."""
    clocks = task.kernel.clock
    if clock == CLOCK_MONOTONIC:
        return clocks.monotonic()
    if clock in (CLOCK_REALTIME, CLOCK_TAI, CLOCK_REALTIME_ALARM):
        return clocks.realtime()
    if clock in (CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM):
        return clocks.boottime()
    if clock == CLOCK_MONOTONIC_RAW:
        return clocks.raw()
    if clock == CLOCK_REALTIME_COARSE:
        return clocks.coarse(True)
    if clock == CLOCK_MONOTONIC_COARSE:
        return clocks.coarse(False)
    return cpu_clock(task, clock).now()


def real_offset(task: Task, clock: int) -> int | None:
    """What to add to a time of this clock for the monotonic one; None for clocks of CPU time."""
    clocks = task.kernel.clock
    if clock in (CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE):
        return 0
    if clock in (CLOCK_REALTIME, CLOCK_TAI, CLOCK_REALTIME_ALARM, CLOCK_REALTIME_COARSE):
        return clocks.monotonic() - clocks.realtime()
    if clock in (CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM):
        return clocks.monotonic() - clocks.boottime()
    return None


# --- timers


class PosixTimer:
    """timer_create(2).  A periodic timer runs on only when its signal has been taken: what expires meanwhile is
    counted as overrun (posixtimer_rearm)."""

    __slots__ = ("clock", "cpu", "deadline_ns", "group", "id", "interval_ns", "notify", "overrun", "pending", "signo",
                 "target", "timer", "value")

    def __init__(self, group: ThreadGroup, number: int, clock: int, cpu: CpuClock | None, notify: int, signo: int,
                 value: int, target: Task | None) -> None:
        self.group = group
        self.id = number
        self.clock = clock
        self.cpu = cpu
        self.notify = notify
        self.signo = signo
        self.value = value
        self.target = target
        self.interval_ns = 0
        self.deadline_ns: int | None = None
        """Monotonic, or of the CPU clock; None: disarmed."""
        self.timer: Timer | None = None
        self.overrun = 0
        self.pending: SigInfo | None = None

    def now(self) -> int:
        return self.cpu.now() if self.cpu is not None else self.group.kernel.clock.monotonic()

    def remaining(self) -> int:
        """Until it expires; for a periodic one that waits for its signal to be taken, the next expiry."""
        if self.deadline_ns is None:
            return 0
        left = self.deadline_ns - self.now()
        if left <= 0 and self.interval_ns and (self.pending is not None or self.notify == SIGEV_NONE):
            left = left % self.interval_ns
        if left <= 0:
            # Armed, about to expire: never 0.
            return 0 if self.notify == SIGEV_NONE else 1
        return left

    def disarm(self) -> None:
        self.deadline_ns = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def arm(self, deadline_ns: int) -> None:
        self.deadline_ns = deadline_ns
        if self.notify == SIGEV_NONE:
            return
        if self.cpu is None:
            self.timer = self.group.kernel.start_timer(deadline_ns, self.expired)
        else:
            self.cpu.group.watches_cpu = True
            timers_of(self.cpu.group).cpu_timers.append(self)

    def expired(self) -> None:
        self.timer = None
        if self.group.ended:
            return
        if self.pending is not None:
            # Its last signal has not been taken, and it was armed anew since.
            self.overrun += 1
        else:
            info = SigInfo(self.signo, SI_TIMER, value=self.value, timerid=self.id)
            info.source = self
            self.pending = info
            try:
                if self.target is not None:
                    send_task(self.target, info)
                else:
                    send_group(self.group, info)
            except LinuxError:
                self.pending = None
            if self.pending is not None and info.accounted < 0:
                # It was ignored, or merged with one that was pending.
                self.pending = None
                self._forward()
                if self.deadline_ns is not None:
                    self.arm(self.deadline_ns)
            return
        if not self.interval_ns:
            self.deadline_ns = None

    def _forward(self) -> int:
        """Move the deadline into the future by intervals; how many were needed (hrtimer_forward)."""
        if not self.interval_ns or self.deadline_ns is None:
            self.deadline_ns = None
            return 0
        late = self.now() - self.deadline_ns
        times = late // self.interval_ns + 1 if late >= 0 else 0
        self.deadline_ns += times * self.interval_ns
        return times

    def delivered(self, info: SigInfo) -> None:
        """The signal was taken from its queue: `info` gets the overrun count, a periodic timer runs on."""
        if self.pending is not info:
            return
        self.pending = None
        self.overrun = 0
        if self.interval_ns and self.deadline_ns is not None:
            self.overrun = min(max(self._forward() - 1, 0), INT_MAX)
            self.arm(self.deadline_ns)
        else:
            self.deadline_ns = None
        info.overrun = self.overrun

    def discarded(self) -> None:
        """The signal was flushed: it began to be ignored."""
        self.pending = None
        self._forward()
        if self.deadline_ns is not None:
            self.arm(self.deadline_ns)

    def set(self, deadline_ns: int | None, interval_ns: int) -> None:
        self.disarm()
        if self.pending is not None:
            # What is queued belongs to the old setting, and no longer runs the timer on.
            self.pending = None
        self.overrun = 0
        self.interval_ns = interval_ns
        if deadline_ns is not None:
            self.arm(deadline_ns)


class CpuInterval:
    """ITIMER_VIRTUAL, which counts user time, and ITIMER_PROF, which counts all CPU time."""

    __slots__ = ("deadline_ns", "interval_ns", "signo")

    def __init__(self, signo: int) -> None:
        self.signo = signo
        self.deadline_ns = 0
        """Of the process's user or CPU time; 0: disarmed."""
        self.interval_ns = 0


class ProcessTimers:
    """The timers of one process."""

    def __init__(self, group: ThreadGroup) -> None:
        self.group = group
        self.real: Timer | None = None
        self.real_deadline_ns = 0
        self.real_interval_ns = 0
        self.cpu_intervals = (CpuInterval(SIGVTALRM), CpuInterval(SIGPROF))
        self.posix: dict[int, PosixTimer] = {}
        self.next_id = 0
        self.restores_ids = False
        """timer_create(2) takes the number that its caller wants (PR_TIMER_CREATE_RESTORE_IDS)."""
        self.cpu_timers: list[PosixTimer] = []
        self.cpu_sleepers: list[tuple[int, WaitQueue]] = []
        """clock_nanosleep(2) on this process's CPU time: until when, and whom to wake."""

    # --- ITIMER_REAL

    def set_real(self, delay_ns: int, interval_ns: int) -> None:
        if self.real is not None:
            self.real.cancel()
            self.real = None
        self.real_interval_ns = interval_ns
        if delay_ns:
            self._start_real(min(self.group.kernel.clock.monotonic() + delay_ns, KTIME_MAX))
        else:
            self.real_interval_ns = 0

    def _start_real(self, deadline_ns: int) -> None:
        self.real_deadline_ns = deadline_ns
        self.real = self.group.kernel.start_timer(deadline_ns, self._real_expired)

    def _real_expired(self) -> None:
        self.real = None
        if self.group.ended:
            return
        send_group(self.group, SigInfo(SIGALRM, SI_KERNEL))
        if self.real_interval_ns:
            now = self.group.kernel.clock.monotonic()
            missed = (now - self.real_deadline_ns) // self.real_interval_ns + 1
            self._start_real(self.real_deadline_ns + missed * self.real_interval_ns)

    def get_real(self) -> tuple[int, int]:
        """(remaining, interval)."""
        if self.real is None:
            return 0, self.real_interval_ns
        # Armed and not yet seen to expire: not 0.
        return max(self.real_deadline_ns - self.group.kernel.clock.monotonic(), 1000), self.real_interval_ns

    # --- CPU time

    def _interval_now(self, index: int) -> int:
        spent = group_cpu_ns(self.group)
        return spent - group_system_ns(self.group) if index == 0 else spent

    def set_cpu_interval(self, index: int, delay_ns: int, interval_ns: int) -> None:
        entry = self.cpu_intervals[index]
        entry.interval_ns = interval_ns
        entry.deadline_ns = self._interval_now(index) + delay_ns if delay_ns else 0
        if delay_ns:
            self.group.watches_cpu = True

    def get_cpu_interval(self, index: int) -> tuple[int, int]:
        entry = self.cpu_intervals[index]
        if not entry.deadline_ns:
            return 0, entry.interval_ns
        return max(entry.deadline_ns - self._interval_now(index), 1000), entry.interval_ns

    def check_cpu(self, now: int) -> bool:
        """Fire what is due at `now` of the process's CPU time; whether something is still armed."""
        armed = False
        for index, entry in enumerate(self.cpu_intervals):
            reached = self._interval_now(index) if entry.deadline_ns else 0
            if entry.deadline_ns and reached >= entry.deadline_ns:
                if entry.interval_ns:
                    missed = (reached - entry.deadline_ns) // entry.interval_ns + 1
                    entry.deadline_ns += missed * entry.interval_ns
                else:
                    entry.deadline_ns = 0
                send_group(self.group, SigInfo(entry.signo, SI_KERNEL))
            armed = armed or entry.deadline_ns != 0
        if self.cpu_timers:
            timers, self.cpu_timers = self.cpu_timers, []
            for timer in timers:
                if timer.deadline_ns is None or timer.group.ended:
                    continue
                if timer.now() >= timer.deadline_ns:
                    timer.expired()
                else:
                    self.cpu_timers.append(timer)
        if self.cpu_sleepers:
            for until, queue in self.cpu_sleepers:
                if now >= until:
                    queue.wake()
            self.cpu_sleepers = [entry for entry in self.cpu_sleepers if entry[0] > now]
        return armed or bool(self.cpu_timers) or bool(self.cpu_sleepers)

    # --- POSIX timers

    def create(self, task: Task, clock: int, notify: int, signo: int, value: int | None,
               target: Task | None, wanted: int | None = None) -> PosixTimer:
        """EAGAIN at RLIMIT_SIGPENDING, which counts timers too (man 2 timer_create).  wanted: a free number."""
        if len(self.posix) >= task.group.soft_limit(RLIMIT_SIGPENDING):
            raise LinuxError(EAGAIN)
        number = self.next_id if wanted is None else wanted
        while number in self.posix:
            number = number + 1 & INT_MAX
        self.next_id = number + 1 & INT_MAX
        cpu = cpu_clock(task, clock, reading=False) if real_offset(task, clock) is None else None
        timer = PosixTimer(self.group, number, clock, cpu, notify, signo, number if value is None else value, target)
        self.posix[number] = timer
        return timer

    def get(self, number: int) -> PosixTimer:
        timer = self.posix.get(number)
        if timer is None:
            raise LinuxError(EINVAL)
        return timer

    def delete(self, number: int) -> None:
        timer = self.get(number)
        timer.set(None, 0)
        del self.posix[number]

    def cancel_posix(self) -> None:
        """execve removes POSIX timers and keeps the interval timers."""
        for number in list(self.posix):
            self.delete(number)
        self.next_id = 0

    def cancel_all(self) -> None:
        self.cancel_posix()
        self.set_real(0, 0)


def timers_of(group: ThreadGroup) -> ProcessTimers:
    if group.timers is None:
        group.timers = ProcessTimers(group)
    timers: ProcessTimers = group.timers
    return timers


def exec_timers(group: ThreadGroup) -> None:
    """What execve does to timers."""
    if group.timers is not None:
        group.timers.cancel_posix()


def check_cpu_timers(task: Task) -> None:
    """A time slice of `task` has ended: timers and limits on CPU time."""
    group = task.group
    if group.ended:
        return
    now = group_cpu_ns(group)
    armed = group.timers.check_cpu(now) if group.timers is not None else False
    soft, hard = group.rlimits[RLIMIT_CPU]
    if soft != RLIM_INFINITY:
        armed = True
        seconds = now // NSEC
        if seconds >= hard:
            send_group(group, SigInfo(SIGKILL, SI_KERNEL))
        elif seconds >= soft:
            # Once a second from the soft limit on, which Linux moves for that.
            group.rlimits[RLIMIT_CPU] = (soft + 1, hard)
            send_group(group, SigInfo(SIGXCPU, SI_KERNEL))
    group.watches_cpu = armed


def set_timer(task: Task, timer: PosixTimer, flags: int, value_ns: int, interval_ns: int) -> None:
    """timer_settime(2); value 0 disarms."""
    if not value_ns:
        timer.set(None, interval_ns)
        return
    if flags & TIMER_ABSTIME:
        offset = real_offset(task, timer.clock)
        deadline = value_ns + (offset or 0)
    else:
        deadline = timer.now() + value_ns
    timer.set(min(deadline, KTIME_MAX), interval_ns)
