"""System V shared memory, and memfd_create."""

from __future__ import annotations

from syscalls.abi.errno import EFAULT, EINVAL, EPERM, LinuxError
from syscalls.abi.mm import (
    IPC_INFO,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    MFD_ALLOW_SEALING,
    MFD_CLOEXEC,
    MFD_EXEC,
    MFD_HUGETLB,
    MFD_NOEXEC_SEAL,
    SHM_DEST,
    SHM_INFO,
    SHM_LOCK,
    SHM_LOCKED,
    SHM_R,
    SHM_STAT,
    SHM_STAT_ANY,
    SHM_UNLOCK,
)
from syscalls.table import PARTIAL, syscall
from syscalls.task import RLIMIT_MEMLOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import ShmidDs
    from syscalls.table import S32, U32, Addr, InOut, Size
    from syscalls.task import Task


@syscall(29, support=PARTIAL("no huge pages are configured"), unsupported={"SHM_HUGETLB": 0o4000})
def shmget(task: Task, key: S32, size: Size, flags: S32) -> int:
    from syscalls.shm import namespace
    return namespace(task.kernel).get(task, key, size, flags)


@syscall(30)
def shmat(task: Task, number: S32, addr: Addr, flags: S32) -> int:
    from syscalls.shm import namespace
    return namespace(task.kernel).attach(task, number, addr, flags)


@syscall(67)
def shmdt(task: Task, addr: Addr) -> int:
    from syscalls.shm import namespace
    namespace(task.kernel).detach(task, addr)
    return 0


@syscall(31)
def shmctl(task: Task, number: S32, command: S32, buffer: InOut[ShmidDs]) -> int:
    from syscalls.shm import CAP_IPC_LOCK, namespace
    if number < 0 or command < 0:
        raise LinuxError(EINVAL)
    segments = namespace(task.kernel)
    segments.sweep()
    if command == IPC_INFO:
        task.mem.write(buffer, segments.limits())
        return segments.table.highest()
    if command == SHM_INFO:
        task.mem.write(buffer, segments.usage())
        return segments.table.highest()
    if command not in (IPC_STAT, SHM_STAT, SHM_STAT_ANY, IPC_SET, IPC_RMID, SHM_LOCK, SHM_UNLOCK):
        raise LinuxError(EINVAL)
    wanted = task.mem.read(buffer, 48) if command == IPC_SET else b""
    by_index = command in (SHM_STAT, SHM_STAT_ANY)
    segment = segments.table.at_index(number) if by_index else segments.table.find(number)
    if command in (IPC_STAT, SHM_STAT, SHM_STAT_ANY):
        if command != SHM_STAT_ANY:
            segment.check(task, SHM_R | 0o44)
        task.mem.write(buffer, segments.describe(segment))
        return segment.id if command != IPC_STAT else 0
    if command in (SHM_LOCK, SHM_UNLOCK):
        if not task.cred.capable(CAP_IPC_LOCK):
            segment.check_owner(task)
            if command == SHM_LOCK and not task.group.rlimits[RLIMIT_MEMLOCK][0]:
                raise LinuxError(EPERM)
        if command == SHM_LOCK:
            segments.lock(task, segment)
        else:
            segment.mode &= ~SHM_LOCKED
        return 0
    segment.check_owner(task)
    if command == IPC_RMID:
        segments.remove(segment)
        return 0
    kept = segment.mode & (SHM_DEST | SHM_LOCKED)
    segment.set_owner(task, wanted)
    segment.mode |= kept
    return 0


@syscall(319, since="3.17", support=PARTIAL("no huge pages are configured"), unsupported={"MFD_HUGETLB": 4})
def memfd_create(task: Task, name: Addr, flags: U32) -> int:
    known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC
    if flags & MFD_HUGETLB:
        known |= MFD_HUGETLB | 0x3F << 26
    if flags & ~known or (flags & MFD_EXEC and flags & MFD_NOEXEC_SEAL):
        raise LinuxError(EINVAL)
    # 255 less "memfd:", with the NUL (mm/memfd.c, MFD_NAME_MAX_LEN).
    try:
        text = task.mem.text(name, 250)
    except LinuxError as error:
        raise LinuxError(EFAULT if error.errno == EFAULT else EINVAL) from None
    from syscalls.memfd import create
    return create(task, text, flags)
