"""A kernel with a VFS over a real host directory, and tasks without an engine."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any

from syscalls.clock import Clock
from syscalls.credentials import Credentials
from syscalls.fd import FdTable, FileDescription
from syscalls.fs.mounts import FsContext
from syscalls.fs.vfs import Vfs
from syscalls.kernel import Kernel
from syscalls.task import ProcessGroup, Session, Task, ThreadGroup
from translator.hosts import open_host


class Engine:
    name = "none"

    def attach(self, sink: object) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing to free."""


class Cpu:
    owner: object = None


class Memory:
    """Guest memory as one flat buffer."""

    def __init__(self) -> None:
        self.bytes = bytearray(1 << 20)

    def read(self, addr: int, length: int) -> bytes:
        return bytes(self.bytes[addr:addr + length])

    def write(self, addr: int, data: bytes) -> None:
        self.bytes[addr:addr + len(data)] = data

    def unpack(self, layout: Any, addr: int) -> tuple[int, ...]:
        out: tuple[int, ...] = layout.unpack(self.read(addr, layout.size))
        return out


_host: Any = None


def make_kernel(root: bytes) -> Kernel:
    global _host
    if _host is None:
        _host = open_host("linux")
    kernel = Kernel(Engine(), _host, Clock(_host))  # type: ignore[arg-type]
    kernel.vfs = Vfs(kernel)
    kernel.vfs.mount_boot(root)
    return kernel


def make_task(kernel: Kernel, uid: int = 0, gid: int = 0, groups: tuple[int, ...] = ()) -> Task:
    pid = kernel.allocate_pid()
    group = ThreadGroup(kernel, pid, None, ProcessGroup(pid, Session(pid)))
    task = Task(kernel, pid, group, Cpu())  # type: ignore[arg-type]
    group.leader = task
    kernel.tasks[pid] = task
    task.mem = Memory()  # type: ignore[assignment]
    task.cred = Credentials(uid, gid, groups)
    task.files = FdTable()
    task.fs = FsContext(kernel.vfs.root, kernel.vfs.root, 0o022)
    kernel.current = task
    return task


def finish(value: Any) -> Any:
    """The result of a call that must not sleep."""
    if not isinstance(value, Coroutine):
        return value
    try:
        value.send(None)
    except StopIteration as stop:
        return stop.value
    value.close()
    raise AssertionError("it sleeps")


def sleeps(value: Any) -> Coroutine[Any, Any, Any]:
    """A call that has to sleep, asleep."""
    assert isinstance(value, Coroutine)
    value.send(None)
    return value


def opened(task: Task, path: bytes, flags: int = 0, mode: int = 0o666) -> FileDescription:
    result: FileDescription | Awaitable[FileDescription] = task.kernel.vfs.start_open(task, path, flags, mode)
    assert isinstance(result, FileDescription)
    return result.retain()
