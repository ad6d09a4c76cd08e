"""System V IPC in /proc: what there is (sysvipc), and its limits (sys/kernel), which hold at once (ipc_sysctl.c)."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, EPERM, LinuxError
from syscalls.fs.simple import SimpleDirectory, TextFile, registered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from syscalls.fs.procfs import ProcFs
    from syscalls.kernel import Kernel
    from syscalls.task import Task

INT_MAX = 2**31 - 1
IPCMNI = 32768


def sysvipc_directory(filesystem: ProcFs) -> SimpleDirectory:
    def semaphores(task: Task) -> bytes:
        from syscalls.sysv_ipc import describe_semaphores
        return describe_semaphores(task.kernel)

    def queues(task: Task) -> bytes:
        from syscalls.sysv_ipc import describe_queues
        return describe_queues(task.kernel)

    def segments(task: Task) -> bytes:
        from syscalls.shm import describe_segments
        return describe_segments(task.kernel)

    return SimpleDirectory(filesystem, registered({
        b"msg": TextFile(filesystem, queues), b"sem": TextFile(filesystem, semaphores),
        b"shm": TextFile(filesystem, segments)}), 0o555)


def ipc_settings(filesystem: ProcFs) -> dict[str, TextFile]:
    """The files of /proc/sys/kernel, by path."""
    kernel = filesystem.kernel
    rules: dict[str, tuple[Callable[[Kernel], Any], tuple[tuple[str, int, int], ...]]] = {
        # file: the object, and its attributes with the least and the greatest value
        "msgmax": (_ipc, (("message_size", 0, INT_MAX),)),
        "msgmnb": (_ipc, (("queue_bytes", 0, INT_MAX),)),
        "msgmni": (lambda kernel: _ipc(kernel).queues, (("limit", 0, IPCMNI),)),
        "msg_next_id": (lambda kernel: _ipc(kernel).queues, (("wanted_id", 0, INT_MAX),)),
        "sem_next_id": (lambda kernel: _ipc(kernel).semaphores, (("wanted_id", 0, INT_MAX),)),
        "shm_next_id": (lambda kernel: _shm(kernel).table, (("wanted_id", 0, INT_MAX),)),
        "shmall": (_shm, (("max_pages", 0, 2**64 - 1),)),
        "shmmax": (_shm, (("max_size", 0, 2**64 - 1),)),
        "shmmni": (lambda kernel: _shm(kernel).table, (("limit", 0, IPCMNI),)),
    }
    out = {f"kernel/{name}": _numbers(filesystem, kernel, owner, attributes)
           for name, (owner, attributes) in rules.items()}
    out["kernel/sem"] = _semaphore_limits(filesystem, kernel)
    return out


def _ipc(kernel: Kernel) -> Any:
    from syscalls.sysv_ipc import namespace
    return namespace(kernel)


def _shm(kernel: Kernel) -> Any:
    from syscalls.shm import namespace
    return namespace(kernel)


def _parse(task: Task, data: bytes) -> list[int]:
    if task.cred.euid != 0:
        raise LinuxError(EPERM)
    try:
        return [int(word, 0) for word in data.rstrip(b"\0").split()]
    except ValueError:
        raise LinuxError(EINVAL) from None


def _numbers(filesystem: ProcFs, kernel: Kernel, owner: Callable[[Kernel], Any],
             attributes: tuple[tuple[str, int, int], ...]) -> TextFile:
    def read(task: Task) -> bytes:
        return b"\t".join(b"%d" % getattr(owner(kernel), name) for name, _, _ in attributes) + b"\n"

    def write(task: Task, data: bytes) -> int | None:
        values = _parse(task, data)
        for value, (_, least, most) in zip(values, attributes, strict=False):
            if not least <= value <= most:
                raise LinuxError(EINVAL)
        for value, (name, _, _) in zip(values, attributes, strict=False):
            setattr(owner(kernel), name, value)
        return None

    return TextFile(filesystem, read, write)


def _semaphore_limits(filesystem: ProcFs, kernel: Kernel) -> TextFile:
    """SEMMSL, SEMMNS, SEMOPM and SEMMNI in one file."""
    def read(task: Task) -> bytes:
        space = _ipc(kernel)
        return b"%d\t%d\t%d\t%d\n" % (space.set_size, space.all_semaphores, space.operations,
                                      space.semaphores.limit)

    def write(task: Task, data: bytes) -> int | None:
        values = _parse(task, data)
        space = _ipc(kernel)
        old = (space.set_size, space.all_semaphores, space.operations, space.semaphores.limit)
        new = (*values, *old[len(values):])
        if len(new) != 4 or min(new) < 0 or new[3] > IPCMNI:
            raise LinuxError(EINVAL)
        space.set_size, space.all_semaphores, space.operations, space.semaphores.limit = new
        return None

    return TextFile(filesystem, read, write)
