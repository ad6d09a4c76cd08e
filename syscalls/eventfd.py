"""eventfd (fs/eventfd.c): a 64-bit counter with a descriptor."""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EFAULT, EINVAL, LinuxError
from syscalls.abi.poll import EFD_SEMAPHORE, POLLERR, POLLIN, POLLOUT
from syscalls.fd import O_NONBLOCK, O_RDWR
from syscalls.fs.anon import AnonymousFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

U64_MAX = (1 << 64) - 1


class EventFd(AnonymousFile):
    kind = "eventfd"
    writes_vectors = False
    record_size = 8

    def __init__(self, task: Task, count: int, flags: int) -> None:
        super().__init__(task, O_RDWR | flags & O_NONBLOCK)
        self.count = count
        self.semaphore = bool(flags & EFD_SEMAPHORE)
        kernel = task.kernel
        self.number = kernel.next_inode
        kernel.next_inode += 1

    def read(self, task: Task, length: int) -> bytes:
        if length < 8:
            raise LinuxError(EINVAL)
        if not self.count:
            raise LinuxError(EAGAIN)
        value = 1 if self.semaphore else self.count
        self.count -= value
        self.queue.wake(POLLOUT)
        return value.to_bytes(8, "little")

    def unread(self, data: bytes) -> None:
        """The count is taken before the buffer is looked at: EFAULT loses it, as on Linux."""

    def check_write(self, count: int) -> None:
        if count != 8:
            raise LinuxError(EINVAL)

    def write(self, task: Task, data: bytes) -> int:
        if len(data) != 8:
            raise LinuxError(EFAULT)  # the rest could not be read (copy_from_iter_full); check_write saw to the length
        value = int.from_bytes(data[:8], "little")
        if value == U64_MAX:
            raise LinuxError(EINVAL)
        if U64_MAX - self.count <= value:
            raise LinuxError(EAGAIN)
        self.signal(value)
        return 8

    def signal(self, value: int = 1) -> None:
        """Add, from inside the kernel (eventfd_signal)."""
        self.count = min(self.count + value, U64_MAX)
        self.queue.wake(POLLIN)

    def ready(self, mask: int) -> int:
        bits = 0
        if self.count:
            bits = POLLIN
        if self.count < U64_MAX - 1:
            bits |= POLLOUT
        if self.count == U64_MAX:
            bits |= POLLERR
        return bits & (mask | POLLERR)

    def fdinfo(self, task: Task) -> list[tuple[str, str]]:
        return [("eventfd-count", f"{self.count:16x}"), ("eventfd-id", str(self.number)),
                ("eventfd-semaphore", str(int(self.semaphore)))]
