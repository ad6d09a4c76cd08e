"""timerfd (fs/timerfd.c): a timer that is read.

As in Linux a periodic timer stays expired until somebody looks: the periods that passed meanwhile are counted then, so
a timer that nobody reads costs one expiry only.  Nobody can set the clocks of a guest, so TFD_TIMER_CANCEL_ON_SET never
cancels.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EINVAL, ENOTTY, LinuxError
from syscalls.abi.poll import POLLIN, TFD_IOC_SET_TICKS, TFD_TIMER_ABSTIME
from syscalls.abi.time import CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, NSEC
from syscalls.fd import O_NONBLOCK, O_RDWR
from syscalls.fs.anon import AnonymousFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task
    from syscalls.wait import Timer


class TimerFd(AnonymousFile):
    kind = "timerfd"
    record_size = 8

    def __init__(self, task: Task, clock_id: int, flags: int) -> None:
        super().__init__(task, O_RDWR | flags & O_NONBLOCK)
        self.kernel = task.kernel
        self.clock_id = clock_id
        clock = self.kernel.clock
        self.now = (clock.realtime if clock_id in (CLOCK_REALTIME, CLOCK_REALTIME_ALARM)
                    else clock.boottime if clock_id in (CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM) else clock.monotonic)
        self.ticks = 0
        self.deadline = 0
        """In the timer's own clock; 0: not armed."""
        self.interval = 0
        self.expired = False
        """It has fired and, if periodic, was not started again yet."""
        self.settime_flags = 0
        self.timer: Timer | None = None

    def _start(self) -> None:
        kernel = self.kernel
        delay = max(0, self.deadline - self.now())
        self.timer = kernel.start_timer(kernel.clock.monotonic() + delay, self._fire)

    def _fire(self) -> None:
        self.expired = True
        self.ticks += 1
        self.queue.wake(POLLIN)

    def _stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _is_due(self) -> bool:
        """It has not fired only because the kernel's timers are looked at between slices."""
        return self.deadline != 0 and not self.expired and self.deadline <= self.now()

    def _catch_up(self) -> None:
        """Count the periods since it fired, and start the next one."""
        if self._is_due():
            self._stop()
            self._fire()
        if self.expired and self.interval:
            passed = max(0, self.now() - self.deadline) // self.interval + 1
            self.deadline += passed * self.interval
            self.ticks += passed - 1
            self.expired = False
            self._start()

    def set(self, flags: int, value: int, interval: int) -> tuple[int, int]:
        """Arm (or with value 0 disarm); nanoseconds.  Returns the old remaining time and interval."""
        old = self.get()
        self._stop()
        self.settime_flags = flags
        self.ticks = 0
        self.expired = False
        self.interval = interval
        self.deadline = 0
        if value:
            self.deadline = value if flags & TFD_TIMER_ABSTIME else self.now() + value
            self._start()
        return old

    def get(self) -> tuple[int, int]:
        """What remains, and the interval (timerfd_gettime)."""
        self._catch_up()
        return (0 if self.expired or not self.deadline else max(0, self.deadline - self.now())), self.interval

    def read(self, task: Task, length: int) -> bytes:
        if length < 8:
            raise LinuxError(EINVAL)
        self._catch_up()
        if not self.ticks:
            raise LinuxError(EAGAIN)
        ticks = self.ticks
        self.ticks = 0
        return ticks.to_bytes(8, "little")

    def unread(self, data: bytes) -> None:
        """The ticks are gone, as on Linux."""

    def ready(self, mask: int) -> int:
        return POLLIN & mask if self.ticks or self._is_due() else 0

    def ioctl(self, task: Task, code: int, arg: int) -> int:
        if code != TFD_IOC_SET_TICKS:
            raise LinuxError(ENOTTY)
        ticks = task.mem.u64(arg)
        if not ticks:
            raise LinuxError(EINVAL)
        self.ticks = ticks
        self.queue.wake(POLLIN)
        return 0

    def released(self) -> None:
        self._stop()

    def fdinfo(self, task: Task) -> list[tuple[str, str]]:
        value, interval = self.get()
        return [("clockid", str(self.clock_id)), ("ticks", str(self.ticks)),
                ("settime flags", f"0{self.settime_flags:o}"),
                ("it_value", f"({value // NSEC}, {value % NSEC})"),
                ("it_interval", f"({interval // NSEC}, {interval % NSEC})")]
