"""System V semaphores and message queues (ipc/sem.c, ipc/msg.c, ipc/util.c).

A sleeping semop is kept in its set, in order: whoever changes the set performs the sleepers' operations for them, so
that a process that releases and takes again cannot starve the others.
"""

from __future__ import annotations

from syscalls.abi.errno import (
    E2BIG,
    EACCES,
    EAGAIN,
    EEXIST,
    EFBIG,
    EIDRM,
    EINVAL,
    ENOENT,
    ENOMSG,
    ENOSPC,
    EPERM,
    ERANGE,
    LinuxError,
)
from syscalls.abi.ipc import (
    IPC_CREAT,
    IPC_EXCL,
    IPC_NOWAIT,
    IPC_PRIVATE,
    MSG_COPY,
    MSG_EXCEPT,
    MSG_NOERROR,
    MSGMAX,
    MSGMNB,
    MSGMNI,
    MSQID_DS,
    PERM,
    SEM_UNDO,
    SEMID_DS,
    SEMMNI,
    SEMMNS,
    SEMMSL,
    SEMOPM,
    SEMVMX,
)
from syscalls.wait import RESTART_NEVER, RESTART_NOHAND, WaitQueue, sleep_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Generic, TypeVar

    from syscalls.kernel import Kernel
    from syscalls.task import Task, ThreadGroup

    T = TypeVar("T", bound="IpcObject")
else:
    T = None

    class Generic:
        def __class_getitem__(cls, item: object) -> type:
            return cls

CAP_IPC_OWNER, CAP_SYS_ADMIN, CAP_SYS_RESOURCE = 15, 21, 24
READ, WRITE = 0o444, 0o222
SECOND = 1_000_000_000


class IpcObject:
    """struct kern_ipc_perm."""

    def __init__(self, task: Task, key: int, mode: int) -> None:
        self.id = -1
        self.key = key
        self.uid = self.cuid = task.cred.euid
        self.gid = self.cgid = task.cred.egid
        self.mode = mode & 0o777
        self.removed = False
        self.ctime = task.kernel.clock.realtime() // SECOND

    def check(self, task: Task, wanted: int) -> None:
        """ipcperms(): EACCES."""
        cred = task.cred
        granted = self.mode
        if cred.euid in (self.cuid, self.uid):
            granted >>= 6
        elif cred.in_group(self.cgid) or cred.in_group(self.gid):
            granted >>= 3
        asked = wanted >> 6 | wanted >> 3 | wanted
        if asked & ~granted & 7 and not cred.capable(CAP_IPC_OWNER):
            raise LinuxError(EACCES)

    def check_owner(self, task: Task) -> None:
        """For IPC_SET and IPC_RMID: EPERM."""
        if task.cred.euid not in (self.cuid, self.uid) and not task.cred.capable(CAP_SYS_ADMIN):
            raise LinuxError(EPERM)

    def set_owner(self, task: Task, raw: bytes) -> None:
        """IPC_SET."""
        _, self.uid, self.gid, _, _, mode, _ = PERM.unpack_from(raw)
        self.mode = mode & 0o777
        self.ctime = task.kernel.clock.realtime() // SECOND

    def pack_perm(self) -> bytes:
        return PERM.pack(self.key, self.uid, self.gid, self.cuid, self.cgid, self.mode, 0)


INDEX_BITS = 15
"""A number is a slot of the table in its low bits (IPCMNI_SHIFT), and above it how often the slots went round."""
INDEX_MASK = (1 << INDEX_BITS) - 1
SEQUENCES = 1 << 31 - INDEX_BITS
FIRST_CYCLE = 64
"""Slots go round among so many at least (ipc_min_cycle)."""


class IpcTable(Generic[T]):
    """All objects of one kind (struct ipc_ids)."""

    def __init__(self, limit: int) -> None:
        self.objects: dict[int, T] = {}
        self.slots: dict[int, T] = {}
        self.keys: dict[int, int] = {}
        """The number of the object that was made with a key."""
        self.limit = limit
        self.wanted_id = -1
        """/proc/sys/kernel/*_next_id: the number the next object is to have; -1 for any."""
        self.cursor = 0
        self.last_index = -1
        self.sequence = 0

    def get(self, task: Task, key: int, flags: int, make: Callable[[], T], fits: Callable[[T], bool]) -> int:
        """ipcget(): find by key or make.  ENOENT, EEXIST, EINVAL (`fits` says no), EACCES, ENOSPC."""
        if key != IPC_PRIVATE:
            found = self.objects.get(self.keys.get(key, -1))
            if found is not None and found.key == key:
                if flags & IPC_CREAT and flags & IPC_EXCL:
                    raise LinuxError(EEXIST)
                if not fits(found):
                    raise LinuxError(EINVAL)
                found.check(task, flags & 0o777)
                return found.id
            if not flags & IPC_CREAT:
                raise LinuxError(ENOENT)
        made = make()
        if self.full():
            raise LinuxError(ENOSPC)
        made.id = self._new_id()
        self.objects[made.id] = self.slots[made.id & INDEX_MASK] = made
        if key != IPC_PRIVATE:
            self.keys[key] = made.id
        return made.id

    def _new_id(self) -> int:
        """ipc_idr_alloc(): the next free slot, round and round; or the number asked for, if its slot is free."""
        wanted, self.wanted_id = self.wanted_id, -1
        if wanted >= 0:
            index = wanted & INDEX_MASK
            while index in self.slots:
                index += 1
            return (wanted & ~INDEX_MASK) + index
        cycle = min(max(len(self.objects) * 3 // 2, FIRST_CYCLE), self.limit)
        index = self.cursor if self.cursor < cycle else 0
        while index in self.slots:
            index = index + 1 if index + 1 < cycle else 0
        self.cursor = index + 1
        if index <= self.last_index:
            self.sequence = (self.sequence + 1) % SEQUENCES
        self.last_index = index
        return (self.sequence << INDEX_BITS) + index

    def find(self, id: int) -> T:
        """EINVAL when there is none of that number."""
        found = self.objects.get(id)
        if found is None:
            raise LinuxError(EINVAL)
        return found

    def at_index(self, index: int) -> T:
        """For the *_STAT commands, which go through the table.  EINVAL for an empty slot."""
        found = self.slots.get(index & INDEX_MASK)
        if found is None:
            raise LinuxError(EINVAL)
        return found

    def remove(self, found: T) -> None:
        found.removed = True
        del self.objects[found.id]
        del self.slots[found.id & INDEX_MASK]

    def full(self) -> bool:
        return len(self.objects) >= self.limit

    def highest(self) -> int:
        """The highest slot in use; 0 with none, as IPC_INFO answers."""
        return max(self.slots, default=0)


class IpcNamespace:
    """Semaphore sets and message queues of one kernel: `Kernel.ipc`.  Its limits are those of /proc/sys/kernel."""

    def __init__(self) -> None:
        self.semaphores: IpcTable[SemaphoreSet] = IpcTable(SEMMNI)
        self.queues: IpcTable[MessageQueue] = IpcTable(MSGMNI)
        self.message_size = MSGMAX
        self.queue_bytes = MSGMNB
        self.set_size = SEMMSL
        self.all_semaphores = SEMMNS
        self.operations = SEMOPM
        self.used_semaphores = 0


def namespace(kernel: Kernel) -> IpcNamespace:
    if kernel.ipc is None:
        kernel.ipc = IpcNamespace()
    return kernel.ipc


def describe_semaphores(kernel: Kernel) -> bytes:
    """/proc/sysvipc/sem."""
    out = [b"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n"]
    out += [b"%10d %10d  %4o %10d %5d %5d %5d %5d %10d %10d\n" % (
        each.key, each.id, each.mode, len(each.values), each.uid, each.gid, each.cuid, each.cgid, each.otime,
        each.ctime) for each in namespace(kernel).semaphores.objects.values()]
    return b"".join(out)


def describe_queues(kernel: Kernel) -> bytes:
    """/proc/sysvipc/msg."""
    out = [b"       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      "
           b"rtime      ctime\n"]
    out += [b"%10d %10d  %4o  %10d %10d %5d %5d %5d %5d %5d %5d %10d %10d %10d\n" % (
        each.key, each.id, each.mode, each.bytes, len(each.messages), each.last_sender, each.last_receiver, each.uid,
        each.gid, each.cuid, each.cgid, each.stime, each.rtime, each.ctime)
        for each in namespace(kernel).queues.objects.values()]
    return b"".join(out)


# --- semaphores


class SleepingOp:
    """A semop that could not be done yet.  `result`: None while it waits, then 0 or an error number."""

    __slots__ = ("operations", "queue", "result", "task", "waits_for")

    def __init__(self, task: Task, operations: list[tuple[int, int, int]], waits_for: tuple[int, int]) -> None:
        self.task = task
        self.operations = operations
        self.waits_for = waits_for
        """(semaphore, operation) that blocked: for GETNCNT and GETZCNT."""
        self.result: int | None = None
        self.queue = WaitQueue()


class WouldBlock(Exception):
    """An operation has to wait; `args`: the semaphore, its operation, whether IPC_NOWAIT."""


class SemaphoreSet(IpcObject):
    def __init__(self, task: Task, key: int, mode: int, count: int) -> None:
        super().__init__(task, key, mode)
        self.values = [0] * count
        self.pids = [0] * count
        self.otime = 0
        self.sleeping: list[SleepingOp] = []

    def attempt(self, task: Task, operations: list[tuple[int, int, int]]) -> None:
        """All operations or none.  WouldBlock, ERANGE."""
        values = list(self.values)
        undo = dict(_undo_of(task.group, self))
        for number, operation, flags in operations:
            current = values[number]
            if not operation:
                if current:
                    raise WouldBlock(number, operation, flags & IPC_NOWAIT)
                continue
            if current + operation < 0:
                raise WouldBlock(number, operation, flags & IPC_NOWAIT)
            if current + operation > SEMVMX:
                raise LinuxError(ERANGE)
            values[number] = current + operation
            if flags & SEM_UNDO:
                undo[number] = undo.get(number, 0) - operation
                if not -SEMVMX - 1 <= undo[number] <= SEMVMX:
                    raise LinuxError(ERANGE)
        self.values = values
        for number, _, _ in operations:
            self.pids[number] = task.group.pid
        if any(flags & SEM_UNDO for _, _, flags in operations):
            _undo_table(task.group)[self] = undo
        self.otime = task.kernel.clock.realtime() // SECOND

    def changed(self) -> None:
        """Do what sleepers wait for, in their order, until nothing more can be done."""
        index = 0
        while index < len(self.sleeping):
            sleeper = self.sleeping[index]
            try:
                self.attempt(sleeper.task, sleeper.operations)
                sleeper.result = 0
            except WouldBlock as blocked:
                sleeper.waits_for = blocked.args[:2]
                index += 1
                continue
            except LinuxError as error:
                sleeper.result = error.errno
            del self.sleeping[index]
            sleeper.queue.wake()
            if any(operation for _, operation, _ in sleeper.operations):
                index = 0

    async def operate(self, task: Task, operations: list[tuple[int, int, int]], deadline: int | None) -> int:
        """semtimedop().  EFBIG, EACCES, ERANGE, EAGAIN (IPC_NOWAIT or the deadline), EIDRM; EINTR."""
        alters = any(operation for _, operation, _ in operations)
        if any(number >= len(self.values) for number, _, _ in operations):
            raise LinuxError(EFBIG)
        self.check(task, WRITE if alters else READ)
        try:
            self.attempt(task, operations)
        except WouldBlock as blocked:
            if blocked.args[2]:
                raise LinuxError(EAGAIN) from None
            sleeper = SleepingOp(task, operations, blocked.args[:2])
        else:
            if alters:
                self.changed()
            return 0
        self.sleeping.append(sleeper)
        try:
            while sleeper.result is None:
                if not await sleep_on(task, [(sleeper.queue, -1)], deadline, restart=RESTART_NEVER):
                    break
        finally:
            if sleeper in self.sleeping:
                self.sleeping.remove(sleeper)
        if sleeper.result:
            raise LinuxError(sleeper.result)
        if sleeper.result is None:
            raise LinuxError(EAGAIN)
        return 0

    def destroy(self) -> None:
        for sleeper in self.sleeping:
            sleeper.result = EIDRM
            sleeper.queue.wake()
        self.sleeping = []

    def set_values(self, task: Task, first: int, values: list[int]) -> None:
        """SETVAL, SETALL: undo adjustments of these semaphores are forgotten by every process."""
        for offset, value in enumerate(values):
            self.values[first + offset] = value
            self.pids[first + offset] = task.group.pid
        for group in task.kernel.groups.values():
            adjustments = (group.sem_undo or {}).get(self)
            if adjustments:
                for offset in range(len(values)):
                    adjustments.pop(first + offset, None)
        self.ctime = task.kernel.clock.realtime() // SECOND
        self.changed()

    def waiting(self, number: int, for_zero: bool) -> int:
        return sum(1 for sleeper in self.sleeping
                   if sleeper.waits_for[0] == number and (sleeper.waits_for[1] == 0) == for_zero)

    def pack(self) -> bytes:
        return self.pack_perm() + SEMID_DS.pack(self.otime, 0, self.ctime, 0, len(self.values))


def _undo_table(group: ThreadGroup) -> dict[SemaphoreSet, dict[int, int]]:
    if group.sem_undo is None:
        group.sem_undo = {}
    return group.sem_undo


def _undo_of(group: ThreadGroup, semaphores: SemaphoreSet) -> dict[int, int]:
    return _undo_table(group).get(semaphores, {}) if group.sem_undo is not None else {}


def apply_undo(group: ThreadGroup) -> None:
    """The process ends: take back what it did with SEM_UNDO (exit_sem)."""
    table, group.sem_undo = group.sem_undo, None
    for semaphores, adjustments in (table or {}).items():
        if semaphores.removed:
            continue
        for number, adjustment in adjustments.items():
            if adjustment:
                semaphores.values[number] = min(max(semaphores.values[number] + adjustment, 0), SEMVMX)
                semaphores.pids[number] = group.pid
        semaphores.changed()


# --- message queues


class MessageQueue(IpcObject):
    def __init__(self, task: Task, key: int, mode: int) -> None:
        super().__init__(task, key, mode)
        self.messages: list[tuple[int, bytes]] = []
        self.bytes = 0
        self.max_bytes = namespace(task.kernel).queue_bytes
        self.stime = self.rtime = 0
        self.last_sender = self.last_receiver = 0
        self.senders = WaitQueue()
        self.receivers = WaitQueue()

    async def send(self, task: Task, kind: int, data: bytes, flags: int) -> int:
        while True:
            if self.removed:
                raise LinuxError(EIDRM)
            self.check(task, WRITE)
            if self.bytes + len(data) <= self.max_bytes and 1 + len(self.messages) <= self.max_bytes:
                break
            if flags & IPC_NOWAIT:
                raise LinuxError(EAGAIN)
            await sleep_on(task, [(self.senders, -1)], restart=RESTART_NOHAND)
        self.messages.append((kind, data))
        self.bytes += len(data)
        self.last_sender = task.group.pid
        self.stime = task.kernel.clock.realtime() // SECOND
        self.receivers.wake()
        return 0

    def _match(self, kind: int, flags: int) -> int:
        """Index of the message that msgrcv(2) would take, -1 for none."""
        if flags & MSG_COPY:
            return kind if 0 <= kind < len(self.messages) else -1
        best, best_kind = -1, -kind
        for index, (type, _) in enumerate(self.messages):
            if kind < 0:
                if type <= best_kind and (best < 0 or type < self.messages[best][0]):
                    best = index
            elif kind == 0 or (type != kind if flags & MSG_EXCEPT else type == kind):
                return index
        return best

    async def receive(self, task: Task, kind: int, room: int, flags: int) -> tuple[int, bytes]:
        while True:
            if self.removed:
                raise LinuxError(EIDRM)
            self.check(task, READ)
            index = self._match(kind, flags)
            if index >= 0:
                type, data = self.messages[index]
                if len(data) > room and not flags & MSG_NOERROR:
                    raise LinuxError(E2BIG)
                if flags & MSG_COPY and len(data) > room:
                    raise LinuxError(EINVAL)  # a copy is whole (copy_msg)
                break
            if flags & IPC_NOWAIT:
                raise LinuxError(ENOMSG)
            await sleep_on(task, [(self.receivers, -1)], restart=RESTART_NOHAND)
        if not flags & MSG_COPY:
            del self.messages[index]
            self.bytes -= len(data)
            self.last_receiver = task.group.pid
            self.rtime = task.kernel.clock.realtime() // SECOND
            self.senders.wake()
        return type, data[:room]

    def destroy(self) -> None:
        self.senders.wake()
        self.receivers.wake()

    def set_size(self, task: Task, size: int) -> None:
        """IPC_SET of msg_qbytes: EPERM above the default without CAP_SYS_RESOURCE."""
        if size > namespace(task.kernel).queue_bytes and not task.cred.capable(CAP_SYS_RESOURCE):
            raise LinuxError(EPERM)
        self.max_bytes = size
        self.senders.wake()

    def pack(self) -> bytes:
        return self.pack_perm() + MSQID_DS.pack(self.stime, self.rtime, self.ctime, self.bytes, len(self.messages),
                                                self.max_bytes, self.last_sender, self.last_receiver)
