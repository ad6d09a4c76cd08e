"""Clocks, sleeping, interval timers and POSIX timers."""

from __future__ import annotations

import struct

from syscalls.abi.errno import EBUSY, EFAULT, EINVAL, EOPNOTSUPP, EPERM, LinuxError
from syscalls.abi.time import (
    CLOCK_MONOTONIC,
    CLOCK_MONOTONIC_COARSE,
    CLOCK_MONOTONIC_RAW,
    CLOCK_REALTIME,
    CLOCK_REALTIME_COARSE,
    CLOCK_SGI_CYCLE,
    CLOCK_TAI,
    CLOCK_THREAD_CPUTIME_ID,
    COARSE_NS,
    ITIMER_PROF,
    ITIMER_REAL,
    ITIMERSPEC,
    KTIME_MAX,
    NSEC,
    SIGEV_NONE,
    SIGEV_SIGNAL,
    SIGEV_THREAD_ID,
    TICK_NS,
    TIMER_ABSTIME,
    read_timespec,
    timespec_ns,
    write_timespec,
)
from syscalls.table import PARTIAL, REFUSED, syscall
from syscalls.wait import RESTART_BLOCK, RESTART_NOHAND, Interrupted, WaitQueue, leave_engine, sleep_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable

    from syscalls.abi.kinds import Itimerspec, Itimerval, Sigevent, Timespec, Timeval, Timex, Timezone, Tms
    from syscalls.table import S32, U32, U64, In, InOut, Out
    from syscalls.task import Task
    from syscalls.timers import PosixTimer, ProcessTimers

NO_SETTING = "the clock is the host's"


# --- reading


@syscall(228, needs=("clocks.monotonic", "clocks.realtime", "clocks.boottime", "clocks.cpu-time"))
def clock_gettime(task: Task, clock: S32, time: Out[Timespec]) -> int:
    if clock == CLOCK_MONOTONIC:
        now = task.kernel.clock.monotonic()
    elif clock == CLOCK_REALTIME:
        now = task.kernel.clock.realtime()
    else:
        from syscalls.timers import read_clock
        now = read_clock(task, clock)
    write_timespec(task, time, now)
    return 0


@syscall(229, needs=("clocks.monotonic",))
def clock_getres(task: Task, clock: S32, resolution: Out[Timespec]) -> int:
    from syscalls.timers import read_clock
    read_clock(task, clock)
    if resolution:
        coarse = clock in (CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE)
        write_timespec(task, resolution, COARSE_NS if coarse else 1)
    return 0


@syscall(227, support=REFUSED(EPERM, NO_SETTING))
def clock_settime(task: Task, clock: S32, time: In[Timespec]) -> int:
    if clock < 0 and clock & 7 != 3:
        # Of a process or thread: nobody may, but the time is read first, and there has to be such a one.
        from syscalls.timers import cpu_clock
        task.mem.read(time, 16)
        cpu_clock(task, clock)
        raise LinuxError(EPERM)
    if clock != CLOCK_REALTIME:
        raise LinuxError(EINVAL)
    read_timespec(task, time)
    raise LinuxError(EPERM)


@syscall(96, needs=("clocks.realtime",))
def gettimeofday(task: Task, time: Out[Timeval], zone: Out[Timezone]) -> int:
    if time:
        now = task.kernel.clock.realtime()
        task.mem.put_u64(time, now // NSEC)  # two stores, each whole or not at all
        task.mem.put_u64(time + 8, now % NSEC // 1000)
    if zone:
        task.mem.write(zone, struct.pack("<ii", task.kernel.host.timezone_minutes_west(), 0))
    return 0


@syscall(164, support=REFUSED(EPERM, NO_SETTING))
def settimeofday(task: Task, time: In[Timeval], zone: In[Timezone]) -> int:
    if time:
        seconds, microseconds = struct.unpack("<qq", task.mem.read(time, 16))
        if not 0 <= microseconds <= 1_000_000 or seconds < 0:
            raise LinuxError(EINVAL)
    if zone:
        task.mem.read(zone, 8)
    raise LinuxError(EPERM)


@syscall(201, needs=("clocks.realtime",))
def time(task: Task, result: Out[U64]) -> int:
    now = task.kernel.clock.realtime() // NSEC
    if result:
        task.mem.put_u64(result, now)
    return now


@syscall(100, support=PARTIAL("the part of system time is an estimate"), needs=("clocks.cpu-time",))
def times(task: Task, buffer: Out[Tms]) -> int:
    from syscalls.accounting import group_cpu_ns, group_system_ns
    if buffer:
        group = task.group
        system, children_system = group_system_ns(group), group.children_system_ns
        task.mem.write(buffer, struct.pack(
            "<qqqq", (group_cpu_ns(group) - system) // TICK_NS, system // TICK_NS,
            (group.children_cpu_ns - children_system) // TICK_NS, children_system // TICK_NS))
    return task.kernel.clock.boottime() // TICK_NS


TIMEX_SIZE = 208
STA_UNSYNC, TIME_ERROR = 0x40, 5
ADJ_OFFSET_SS_READ, ADJ_ADJTIME = 0xA001, 0x8000


def _adjust(task: Task, buffer: int) -> int:
    raw = task.mem.read(buffer, TIMEX_SIZE)
    (modes,) = struct.unpack_from("<I", raw)
    if modes and modes != ADJ_OFFSET_SS_READ:
        task.mem.write(buffer, raw)  # what could not be set is copied back, and EFAULT comes first
        raise LinuxError(EPERM)
    now = task.kernel.clock.realtime()
    fields = struct.pack("<I4xqqqqi4xqqqqqq", modes, 0, 0, 16_000_000, 16_000_000, STA_UNSYNC, 7, 1, 32768000,
                         now // NSEC, now % NSEC // 1000, 10000)
    task.mem.write(buffer, fields.ljust(TIMEX_SIZE, b"\0"))
    return TIME_ERROR


@syscall(159, support=PARTIAL("reading only: " + NO_SETTING), needs=("clocks.realtime",))
def adjtimex(task: Task, buffer: InOut[Timex]) -> int:
    return _adjust(task, buffer)


@syscall(305, since="2.6.39", support=PARTIAL("reading only: " + NO_SETTING), needs=("clocks.realtime",))
def clock_adjtime(task: Task, clock: S32, buffer: InOut[Timex]) -> int:
    if clock != CLOCK_REALTIME:
        task.mem.read(buffer, TIMEX_SIZE)
        # A clock of a descriptor, or none; the others cannot be set.
        is_none = clock & 7 == 3 if clock < 0 else clock > CLOCK_TAI or clock == CLOCK_SGI_CYCLE
        raise LinuxError(EINVAL if is_none else EOPNOTSUPP)
    return _adjust(task, buffer)


# --- sleeping


async def _sleep_until(task: Task, deadline_ns: int, remaining: int) -> int:
    """Sleep to a point of the monotonic clock.  When a signal interrupts, what is left is written to `remaining`,
    and the rest can be resumed (hrtimer_nanosleep)."""
    clock = task.kernel.clock
    try:
        if not await sleep_on(task, [], deadline_ns):
            return 0
    except Interrupted:
        left = deadline_ns - clock.monotonic()
        if left <= 0:
            return 0
        if remaining:
            write_timespec(task, remaining, left)

        def resume(task: Task) -> Awaitable[int]:
            return _sleep_until(task, deadline_ns, remaining)
        raise Interrupted(RESTART_BLOCK, resume) from None
    return 0


async def _sleep_for(task: Task, delay_ns: int, remaining: int) -> int:
    kernel = task.kernel
    if delay_ns < task.timer_slack_ns and kernel.ready:
        # Too short to sleep, but who calls this in a loop waits for another task.
        await leave_engine(task)
    return await _sleep_until(task, min(kernel.clock.monotonic() + delay_ns, KTIME_MAX), remaining)


@syscall(35, needs=("clocks.monotonic", "clocks.realtime"))
async def nanosleep(task: Task, request: In[Timespec], remaining: Out[Timespec]) -> int:
    return await _sleep_for(task, read_timespec(task, request), remaining)


@syscall(230, needs=("clocks.monotonic", "clocks.realtime"))
async def clock_nanosleep(task: Task, clock: S32, flags: S32, request: In[Timespec], remaining: Out[Timespec]) -> int:
    from syscalls.timers import cpu_clock, real_offset
    if clock in (CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE):
        raise LinuxError(EOPNOTSUPP)
    offset = real_offset(task, clock)
    if clock == CLOCK_THREAD_CPUTIME_ID:
        raise LinuxError(EOPNOTSUPP)
    if clock >= 0 and offset is None:
        cpu_clock(task, clock)
    wanted = read_timespec(task, request)
    if offset is None:
        if cpu_clock(task, clock, reading=False).task is task:
            raise LinuxError(EINVAL)
        return await _sleep_cpu(task, clock, wanted, bool(flags & TIMER_ABSTIME), remaining)
    if not flags & TIMER_ABSTIME:
        return await _sleep_for(task, wanted, remaining)
    try:
        return await _sleep_until(task, min(wanted + offset, KTIME_MAX), 0)
    except Interrupted:
        raise Interrupted(RESTART_NOHAND) from None


async def _sleep_cpu(task: Task, clock: int, wanted: int, absolute: bool, remaining: int) -> int:
    """Until a process has used so much CPU time."""
    from syscalls.timers import cpu_clock, timers_of
    target = cpu_clock(task, clock, reading=False)
    until = wanted if absolute else target.now() + wanted
    queue = WaitQueue()
    while target.now() < until and not target.group.ended:
        entry = (until, queue)
        timers = timers_of(target.group)
        timers.cpu_sleepers.append(entry)
        target.group.watches_cpu = True
        try:
            await sleep_on(task, [(queue, -1)])
        except Interrupted:
            left = until - target.now()
            if absolute:
                raise Interrupted(RESTART_NOHAND) from None
            if remaining and left > 0:
                write_timespec(task, remaining, left)

            def resume(task: Task) -> Awaitable[int]:
                return _sleep_cpu(task, clock, until, True, remaining)
            raise Interrupted(RESTART_BLOCK, resume) from None
        finally:
            if entry in timers.cpu_sleepers:
                timers.cpu_sleepers.remove(entry)
    return 0


# --- interval timers


def _timers(task: Task) -> ProcessTimers:
    from syscalls.timers import timers_of
    return timers_of(task.group)


def _get_interval(task: Task, which: int) -> tuple[int, int]:
    if task.group.timers is None:
        return 0, 0
    timers = _timers(task)
    return timers.get_real() if which == ITIMER_REAL else timers.get_cpu_interval(which - 1)


def _set_interval(task: Task, which: int, delay_ns: int, interval_ns: int) -> None:
    timers = _timers(task)
    if which == ITIMER_REAL:
        timers.set_real(delay_ns, interval_ns)
    else:
        timers.set_cpu_interval(which - 1, delay_ns, interval_ns)


def _pack_itimerval(value_ns: int, interval_ns: int) -> bytes:
    return struct.pack("<qqqq", interval_ns // NSEC, interval_ns % NSEC // 1000, value_ns // NSEC,
                       value_ns % NSEC // 1000)


@syscall(36, needs=("clocks.monotonic",))
def getitimer(task: Task, which: S32, value: Out[Itimerval]) -> int:
    if not ITIMER_REAL <= which <= ITIMER_PROF:
        raise LinuxError(EINVAL)
    task.mem.write(value, _pack_itimerval(*_get_interval(task, which)))
    return 0


@syscall(38, needs=("clocks.monotonic", "clocks.cpu-time"))
def setitimer(task: Task, which: S32, value: In[Itimerval], old: Out[Itimerval]) -> int:
    delay = interval = 0
    if value:
        fields = struct.unpack("<qqqq", task.mem.read(value, 32))
        for seconds, microseconds in (fields[:2], fields[2:]):
            if seconds < 0 or not 0 <= microseconds < 1_000_000:
                raise LinuxError(EINVAL)
        interval = min(fields[0] * NSEC + fields[1] * 1000, KTIME_MAX)
        delay = min(fields[2] * NSEC + fields[3] * 1000, KTIME_MAX)
    if not ITIMER_REAL <= which <= ITIMER_PROF:
        raise LinuxError(EINVAL)
    before = _get_interval(task, which)
    _set_interval(task, which, delay, interval)
    if old:
        task.mem.write(old, _pack_itimerval(*before))
    return 0


@syscall(37, needs=("clocks.monotonic", "clocks.cpu-time"))
def alarm(task: Task, seconds: U32) -> int:
    left, _ = _get_interval(task, ITIMER_REAL)
    _set_interval(task, ITIMER_REAL, min(seconds, 0x7FFFFFFF) * NSEC, 0)
    # Rounded, but never to 0 while an alarm was set.
    whole, rest = left // NSEC, left % NSEC
    if (not whole and rest) or rest >= NSEC // 2:
        whole += 1
    return whole


# --- POSIX timers


@syscall(222)
def timer_create(task: Task, clock: S32, event: In[Sigevent], number: Out[S32]) -> int:
    from syscalls.timers import cpu_clock, real_offset
    target = None
    value: int | None = None
    if event:
        value, signo, notify, tid = struct.unpack_from("<Qiii", task.mem.read(event, 64))
    else:
        signo, notify, tid = 14, SIGEV_SIGNAL, 0
    if clock in (CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE):
        raise LinuxError(EOPNOTSUPP)
    is_cpu = real_offset(task, clock) is None
    if is_cpu and clock >= 0:
        cpu_clock(task, clock, reading=False)
    timers = _timers(task)
    wanted = None
    if timers.restores_ids:
        wanted = task.mem.s32(number)
        if wanted < 0:
            raise LinuxError(EINVAL)
        if wanted in timers.posix:
            raise LinuxError(EBUSY)
    if event:
        if notify == SIGEV_SIGNAL | SIGEV_THREAD_ID:
            target = task.kernel.tasks.get(tid)
            if target is None or target.group is not task.group or target.dead:
                raise LinuxError(EINVAL)
        if notify & ~SIGEV_THREAD_ID == SIGEV_SIGNAL or notify == 2:
            if not 1 <= signo <= 64:
                raise LinuxError(EINVAL)
        elif notify != SIGEV_NONE:
            raise LinuxError(EINVAL)
    if is_cpu and clock < 0:
        # The number is written before the clock of another process is looked for, and stays.
        task.mem.put_u32(number, timers.next_id if wanted is None else wanted)
    timer = timers.create(task, clock, notify, signo, value, target, wanted)
    try:
        task.mem.put_u32(number, timer.id)
    except LinuxError:
        timers.delete(timer.id)
        raise LinuxError(EFAULT) from None
    return 0


def _find_timer(task: Task, number: int) -> PosixTimer:
    if task.group.timers is None:
        raise LinuxError(EINVAL)
    return _timers(task).get(number)


@syscall(223, needs=("clocks.monotonic", "clocks.cpu-time"))
def timer_settime(task: Task, number: S32, flags: S32, value: In[Itimerspec], old: Out[Itimerspec]) -> int:
    from syscalls.timers import set_timer
    if not value:
        raise LinuxError(EINVAL)
    fields = ITIMERSPEC.unpack(task.mem.read(value, 32))
    interval, delay = timespec_ns(*fields[:2]), timespec_ns(*fields[2:])
    timer = _find_timer(task, number)
    before = (timer.interval_ns, timer.remaining())
    set_timer(task, timer, flags, delay, interval)
    if old:
        task.mem.write(old, _pack_itimerspec(*before))
    return 0


def _pack_itimerspec(interval_ns: int, value_ns: int) -> bytes:
    return ITIMERSPEC.pack(interval_ns // NSEC, interval_ns % NSEC, value_ns // NSEC, value_ns % NSEC)


@syscall(224, needs=("clocks.monotonic",))
def timer_gettime(task: Task, number: S32, value: Out[Itimerspec]) -> int:
    timer = _find_timer(task, number)
    task.mem.write(value, _pack_itimerspec(timer.interval_ns, timer.remaining()))
    return 0


@syscall(225)
def timer_getoverrun(task: Task, number: S32) -> int:
    return _find_timer(task, number).overrun


@syscall(226)
def timer_delete(task: Task, number: S32) -> int:
    _find_timer(task, number)
    _timers(task).delete(number)
    return 0
