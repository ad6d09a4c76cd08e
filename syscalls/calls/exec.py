"""execve and execveat."""

from __future__ import annotations

from syscalls.abi.fs import AT_FDCWD
from syscalls.table import PARTIAL, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import PointerVector
    from syscalls.table import S32, DirFd, In, Path
    from syscalls.task import Task


EXEC = PARTIAL("set-user-ID bits and file capabilities have no effect, as on a nosuid mount")


@syscall(59, support=EXEC, needs=("files.tree", "files.mode-bits", "files.positioned-io"))
async def execve(task: Task, path: Path, argv: In[PointerVector], envp: In[PointerVector]) -> int:
    from syscalls.exec import do_execve
    return await do_execve(task, path, argv, envp, AT_FDCWD, 0)


@syscall(322, since="3.19", support=EXEC, needs=("files.tree", "files.mode-bits", "files.positioned-io"))
async def execveat(task: Task, dirfd: DirFd, path: Path, argv: In[PointerVector], envp: In[PointerVector],
                   flags: S32) -> int:
    from syscalls.exec import do_execve
    return await do_execve(task, path, argv, envp, dirfd, flags)
