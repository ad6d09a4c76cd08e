"""execve and execveat."""

from __future__ import annotations

from syscalls.abi.fs import AT_FDCWD
from syscalls.table import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import PointerVector
    from syscalls.table import S32, DirFd, In, Path
    from syscalls.task import Task


@syscall(59)
async def execve(task: Task, path: Path, argv: In[PointerVector], envp: In[PointerVector]) -> int:
    from syscalls.exec import do_execve
    return await do_execve(task, path, argv, envp, AT_FDCWD, 0)


@syscall(322, since="3.19")
async def execveat(task: Task, dirfd: DirFd, path: Path, argv: In[PointerVector], envp: In[PointerVector],
                   flags: S32) -> int:
    from syscalls.exec import do_execve
    return await do_execve(task, path, argv, envp, dirfd, flags)
