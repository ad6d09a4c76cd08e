"""signalfd (fs/signalfd.c): pending signals, read as records.

The signals are those of whoever reads or polls: the descriptor only carries the mask.
"""

from __future__ import annotations

from struct import Struct

from syscalls.abi.errno import EAGAIN, EINVAL, LinuxError
from syscalls.abi.poll import POLLIN
from syscalls.abi.signal import ALL
from syscalls.fd import O_NONBLOCK, O_RDWR
from syscalls.fs.anon import AnonymousFile
from syscalls.siginfo import CHLD, FAULT, KILL, POLL, RT, TIMER, layout_of
from syscalls.signals import recalc
from syscalls.wait import WaitQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.kernel import Kernel
    from syscalls.siginfo import SigInfo
    from syscalls.task import Task
    from syscalls.wait import Waiter

RECORD = Struct("<IiiIIiIIIIiiQQQQ48x")
U32, U64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


class SignalQueue(WaitQueue):
    """Whoever waits here waits at the signals of the task that came: the current one."""

    __slots__ = ("kernel", "places")

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.kernel = kernel
        self.places: dict[Waiter, tuple[WaitQueue, WaitQueue]] = {}

    def add(self, waiter: Waiter, mask: int = -1) -> None:
        task = self.kernel.current
        super().add(waiter, mask)
        if task is not None:
            places = (task.signals.queue, task.group.signals.queue)
            self.places[waiter] = places
            for queue in places:
                queue.add(waiter, mask)

    def remove(self, waiter: Waiter) -> None:
        super().remove(waiter)
        for queue in self.places.pop(waiter, ()):
            queue.remove(waiter)


class SignalFd(AnonymousFile):
    kind = "signalfd"
    record_size = RECORD.size

    def __init__(self, task: Task, mask: int, flags: int) -> None:
        super().__init__(task, O_RDWR | flags & O_NONBLOCK)
        self.kernel = task.kernel
        self.mask = mask
        self.queue = SignalQueue(self.kernel)

    def set_mask(self, mask: int) -> None:
        self.mask = mask
        self.queue.wake()

    def read(self, task: Task, length: int) -> bytes:
        """As many records as fit and are pending, at least one."""
        room = length // RECORD.size
        if not room:
            raise LinuxError(EINVAL)
        out: list[bytes] = []
        while len(out) < room:
            info = task.signals.dequeue(task, ~self.mask & ALL)
            if info is None:
                break
            out.append(record(info))
        if not out:
            raise LinuxError(EAGAIN)
        recalc(task)
        return b"".join(out)

    def unread(self, data: bytes) -> None:
        """The signals are gone, as on Linux."""

    def ready(self, mask: int) -> int:
        task = self.kernel.current
        if task is None:
            return 0
        pending = task.signals.pending.mask | task.group.signals.pending.mask
        return POLLIN & mask if pending & self.mask else 0

    def fdinfo(self, task: Task) -> list[tuple[str, str]]:
        return [("sigmask", f"{self.mask:016x}")]


def record(info: SigInfo) -> bytes:
    """struct signalfd_siginfo: only the fields of this kind of signal are filled."""
    if info.raw is not None:
        from syscalls.siginfo import SigInfo as Info
        info = Info.from_bytes(info.signo, info.raw)
    layout = layout_of(info.signo, info.code)
    pid = uid = fd = tid = band = overrun = status = number = pointer = utime = stime = addr = 0
    if layout in (KILL, RT, CHLD):
        pid, uid = info.pid, info.uid
    if layout in (RT, TIMER):
        pointer = info.value & U64
        number = (info.value & U32 ^ 0x80000000) - 0x80000000
    if layout == CHLD:
        status, utime, stime = info.status, info.utime, info.stime
    elif layout == TIMER:
        tid, overrun = info.timerid, info.overrun
    elif layout == POLL:
        band, fd = info.band, info.fd
    elif layout == FAULT:
        addr = info.addr
    return RECORD.pack(info.signo, info.errno, info.code, pid & U32, uid, fd, tid, band & U32, overrun, 0, status,
                       number, pointer, utime, stime, addr)
