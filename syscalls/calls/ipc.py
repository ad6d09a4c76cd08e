"""System V semaphores and message queues."""

from __future__ import annotations

from struct import pack, unpack

from syscalls.abi.errno import E2BIG, EFAULT, EINVAL, ENOSPC, ERANGE, LinuxError
from syscalls.abi.ipc import (
    GETALL,
    GETNCNT,
    GETPID,
    GETVAL,
    GETZCNT,
    IPC_INFO,
    IPC_NOWAIT,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    MSG_COPY,
    MSG_EXCEPT,
    MSG_INFO,
    MSG_STAT,
    MSG_STAT_ANY,
    MSGINFO,
    SEM_INFO,
    SEM_STAT,
    SEM_STAT_ANY,
    SEMBUF,
    SEMINFO,
    SEMVMX,
    SETALL,
    SETVAL,
)
from syscalls.table import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import MessageLayout, SemOps, Timespec
    from syscalls.sysv_ipc import MessageQueue, SemaphoreSet
    from syscalls.table import S32, S64, U32, U64, Addr, In, Octal, Out
    from syscalls.task import Task

READ, WRITE = 0o444, 0o222


# --- semaphores

@syscall(64)
def semget(task: Task, key: S32, count: S32, flags: Octal) -> int:
    from syscalls.sysv_ipc import SemaphoreSet, namespace
    space = namespace(task.kernel)
    if not 0 <= count <= space.set_size:
        raise LinuxError(EINVAL)

    def make() -> SemaphoreSet:
        if not count:
            raise LinuxError(EINVAL)
        if count + space.used_semaphores > space.all_semaphores or space.semaphores.full():
            raise LinuxError(ENOSPC)
        space.used_semaphores += count
        return SemaphoreSet(task, key, flags, count)

    return space.semaphores.get(task, key, flags, make, lambda found: count <= len(found.values))


@syscall(65)
async def semop(task: Task, id: S32, ops: In[SemOps], count: U32) -> int:
    return await _semop(task, id, ops, count, None)


@syscall(220, needs=("clocks.monotonic",))
async def semtimedop(task: Task, id: S32, ops: In[SemOps], count: U32, timeout: In[Timespec]) -> int:
    if not timeout:
        return await _semop(task, id, ops, count, None)
    from syscalls.abi.time import TIMESPEC, deadline_after, timespec_ns
    wanted = task.mem.unpack(TIMESPEC, timeout)
    from syscalls.sysv_ipc import namespace
    if count > namespace(task.kernel).operations:
        raise LinuxError(E2BIG)
    task.mem.read(ops, count * 6)
    return await _semop(task, id, ops, count,
                        deadline_after(task.kernel.clock.monotonic(), timespec_ns(*wanted)))


async def _semop(task: Task, id: int, ops: int, count: int, deadline: int | None) -> int:
    from syscalls.sysv_ipc import namespace
    if count > namespace(task.kernel).operations:
        raise LinuxError(E2BIG)
    operations = list(SEMBUF.iter_unpack(task.mem.read(ops, count * 6)))
    if count < 1 or id < 0:
        raise LinuxError(EINVAL)
    found = namespace(task.kernel).semaphores.find(id)
    return await found.operate(task, operations, deadline)


@syscall(66)
def semctl(task: Task, id: S32, number: S32, command: S32, arg: U64) -> int:
    from syscalls.sysv_ipc import namespace
    space = namespace(task.kernel)
    table = space.semaphores
    if id < 0:
        raise LinuxError(EINVAL)
    if command in (IPC_INFO, SEM_INFO):
        used = space.used_semaphores
        sets = len(table.objects)
        task.mem.write(arg, SEMINFO.pack(space.all_semaphores, table.limit, space.all_semaphores,
                                         space.all_semaphores, space.set_size, space.operations, 500,
                                         sets if command == SEM_INFO else 20, SEMVMX,
                                         used if command == SEM_INFO else SEMVMX))
        return table.highest()
    raw = task.mem.read(arg, 104) if command == IPC_SET else b""
    if command == SETVAL and not 0 <= (arg & 0xFFFFFFFF ^ 0x80000000) - 0x80000000 <= SEMVMX:
        raise LinuxError(ERANGE)
    found = table.at_index(id) if command in (SEM_STAT, SEM_STAT_ANY) else table.find(id)
    if command in (IPC_STAT, SEM_STAT, SEM_STAT_ANY):
        if command != SEM_STAT_ANY:
            found.check(task, READ)
        task.mem.write(arg, found.pack())
        return 0 if command == IPC_STAT else found.id
    if command == IPC_RMID:
        found.check_owner(task)
        table.remove(found)
        space.used_semaphores -= len(found.values)
        found.destroy()
        return 0
    if command == IPC_SET:
        found.check_owner(task)
        found.set_owner(task, raw)
        return 0
    return _semaphore(task, found, number, command, arg)


def _semaphore(task: Task, found: SemaphoreSet, number: int, command: int, arg: int) -> int:
    """The commands that look at or change values."""
    if command not in (GETALL, SETALL, GETVAL, GETPID, GETNCNT, GETZCNT, SETVAL):
        raise LinuxError(EINVAL)
    count = len(found.values)
    if command == SETVAL and not 0 <= number < count:
        raise LinuxError(EINVAL)
    found.check(task, WRITE if command in (SETVAL, SETALL) else READ)
    if command not in (GETALL, SETALL) and not 0 <= number < count:
        raise LinuxError(EINVAL)
    if command == GETALL:
        task.mem.write(arg, pack(f"<{count}H", *found.values))
    elif command == SETALL:
        values = list(unpack(f"<{count}H", task.mem.read(arg, count * 2)))
        if any(value > SEMVMX for value in values):
            raise LinuxError(ERANGE)
        found.set_values(task, 0, values)
    elif command == SETVAL:
        value = (arg & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
        if not 0 <= value <= SEMVMX:
            raise LinuxError(ERANGE)
        found.set_values(task, number, [value])
    elif command == GETVAL:
        return found.values[number]
    elif command == GETPID:
        return found.pids[number]
    else:
        return found.waiting(number, command == GETZCNT)
    return 0


# --- message queues

@syscall(68)
def msgget(task: Task, key: S32, flags: Octal) -> int:
    from syscalls.sysv_ipc import MessageQueue, namespace

    def make() -> MessageQueue:
        return MessageQueue(task, key, flags)

    return namespace(task.kernel).queues.get(task, key, flags, make, lambda found: True)


@syscall(69)
async def msgsnd(task: Task, id: S32, message: In[MessageLayout], size: S64, flags: S32) -> int:
    from syscalls.sysv_ipc import namespace
    kind = task.mem.u64(message)
    if not 0 <= size <= namespace(task.kernel).message_size or id < 0 or not 0 < kind < 1 << 63:
        raise LinuxError(EINVAL)
    data = task.mem.read(message + 8, size) if size else b""
    return await namespace(task.kernel).queues.find(id).send(task, kind, data, flags)


@syscall(70)
async def msgrcv(task: Task, id: S32, message: Out[MessageLayout], size: S64, kind: S64, flags: S32) -> int:
    from syscalls.sysv_ipc import namespace
    if id < 0 or size < 0:
        raise LinuxError(EINVAL)
    if flags & MSG_COPY:
        if flags & MSG_EXCEPT or not flags & IPC_NOWAIT:
            raise LinuxError(EINVAL)
        task.mem.read(message, min(size, namespace(task.kernel).message_size))
    type, data = await namespace(task.kernel).queues.find(id).receive(task, kind, size, flags)
    try:
        task.mem.write(message, pack("<q", type) + data)
    except LinuxError:
        raise LinuxError(EFAULT) from None
    return len(data)


@syscall(71)
def msgctl(task: Task, id: S32, command: S32, arg: Addr) -> int:
    from syscalls.sysv_ipc import namespace
    space = namespace(task.kernel)
    table = space.queues
    if id < 0 or command < 0:
        raise LinuxError(EINVAL)
    if command in (IPC_INFO, MSG_INFO):
        queues: list[MessageQueue] = list(table.objects.values())
        if command == MSG_INFO:
            pool, messages, size = len(queues), sum(len(q.messages) for q in queues), sum(q.bytes for q in queues)
        else:
            size = messages = space.queue_bytes
            pool = table.limit * space.queue_bytes // 1024
        task.mem.write(arg, MSGINFO.pack(pool, messages, space.message_size, space.queue_bytes, table.limit, 16, size,
                                         0xFFFF))
        return table.highest()
    raw = task.mem.read(arg, 120) if command == IPC_SET else b""
    found = table.at_index(id) if command in (MSG_STAT, MSG_STAT_ANY) else table.find(id)
    if command in (IPC_STAT, MSG_STAT, MSG_STAT_ANY):
        if command != MSG_STAT_ANY:
            found.check(task, READ)
        task.mem.write(arg, found.pack())
        return 0 if command == IPC_STAT else found.id
    if command == IPC_RMID:
        found.check_owner(task)
        table.remove(found)
        found.destroy()
        return 0
    if command == IPC_SET:
        found.check_owner(task)
        found.set_size(task, int.from_bytes(raw[88:96], "little"))
        found.set_owner(task, raw)
        return 0
    raise LinuxError(EINVAL)
