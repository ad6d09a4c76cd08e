"""Futexes, robust lists and restartable sequences."""

from __future__ import annotations

import struct

from syscalls.abi.errno import EBUSY, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH, LinuxError
from syscalls.abi.time import CLOCK_MONOTONIC, CLOCK_REALTIME, KTIME_MAX, read_timespec
from syscalls.futex import MATCH_ANY, NUMA, PRIVATE, requeue, to_monotonic, wait, wait_many, wake, wake_op
from syscalls.table import syscall
from translator.machine import TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from syscalls.abi.kinds import FutexWaitv, Rseq, Timespec
    from syscalls.table import S32, U32, U64, Addr, In, InOut, Out, Pid, Size
    from syscalls.task import Task

(FUTEX_WAIT, FUTEX_WAKE, FUTEX_FD, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_LOCK_PI, FUTEX_UNLOCK_PI,
 FUTEX_TRYLOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI,
 FUTEX_LOCK_PI2) = range(14)
FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME = 128, 256
WITH_TIMEOUT = (FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI)
WITH_REALTIME = (FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_LOCK_PI2)


def _s32(value: int) -> int:
    return (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


@syscall(202, needs=("clocks.monotonic",))
def futex(task: Task, addr: InOut[U32], operation: S32, value: U32, timeout: Addr, other: InOut[U32],
          value3: U32) -> int | Coroutine[Any, Any, int]:
    command = operation & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)
    private = bool(operation & FUTEX_PRIVATE_FLAG)
    if command == FUTEX_WAKE and not operation & FUTEX_CLOCK_REALTIME:
        return wake(task, addr, _s32(value), MATCH_ANY, private)
    deadline = None
    if command in WITH_TIMEOUT and timeout:
        moment = read_timespec(task, timeout)
        if command == FUTEX_WAIT:
            deadline = min(task.kernel.clock.monotonic() + moment, KTIME_MAX)
        elif command == FUTEX_LOCK_PI or operation & FUTEX_CLOCK_REALTIME:
            deadline = to_monotonic(task, moment)
        else:
            deadline = moment
    if operation & FUTEX_CLOCK_REALTIME and command not in WITH_REALTIME:
        raise LinuxError(ENOSYS)
    if command in (FUTEX_WAIT, FUTEX_WAIT_BITSET):
        return wait(task, addr, value, MATCH_ANY if command == FUTEX_WAIT else value3, private, deadline)
    # The fourth argument is a count in the calls that have no timeout.
    count = _s32(timeout)
    if command == FUTEX_WAKE_BITSET:
        return wake(task, addr, _s32(value), value3, private)
    if command == FUTEX_REQUEUE:
        return requeue(task, addr, other, _s32(value), count, None, private)
    if command == FUTEX_CMP_REQUEUE:
        return requeue(task, addr, other, _s32(value), count, value3, private)
    if command == FUTEX_WAKE_OP:
        return wake_op(task, addr, other, _s32(value), count, value3, private)
    if FUTEX_LOCK_PI <= command <= FUTEX_LOCK_PI2 and command != FUTEX_WAKE_BITSET:
        from syscalls import futex_pi
        if command in (FUTEX_LOCK_PI, FUTEX_LOCK_PI2):
            return futex_pi.lock(task, addr, private, deadline)
        if command == FUTEX_TRYLOCK_PI:
            return futex_pi.trylock(task, addr, private)
        if command == FUTEX_UNLOCK_PI:
            return futex_pi.unlock(task, addr, private)
        if command == FUTEX_WAIT_REQUEUE_PI:
            return futex_pi.wait_requeue(task, addr, value, MATCH_ANY, other, private, deadline)
        if command == FUTEX_CMP_REQUEUE_PI:
            return futex_pi.requeue(task, addr, other, _s32(value), count, value3, private)
    raise LinuxError(ENOSYS)


# --- futex2

FUTEX2_SIZE_MASK, FUTEX2_SIZE_U32, FUTEX2_NUMA, FUTEX2_MPOL, FUTEX2_PRIVATE = 3, 2, 4, 8, 128
FUTEX2_VALID = FUTEX2_SIZE_MASK | FUTEX2_NUMA | FUTEX2_MPOL | FUTEX2_PRIVATE
FUTEX_WAITV_MAX = 128
_WAITV = struct.Struct("<QQII")


def _check_flags2(flags: int) -> int:
    """The kind of futex.  Only 32-bit words: EINVAL.  MPOL asks for a node by the memory's policy: there is one."""
    if flags & ~FUTEX2_VALID or flags & FUTEX2_SIZE_MASK != FUTEX2_SIZE_U32:
        raise LinuxError(EINVAL)
    return (PRIVATE if flags & FUTEX2_PRIVATE else 0) | (NUMA if flags & FUTEX2_NUMA else 0)


def _deadline2(task: Task, timeout: int, clock: int) -> int | None:
    if not timeout:
        return None
    if clock not in (CLOCK_MONOTONIC, CLOCK_REALTIME):
        raise LinuxError(EINVAL)
    moment = read_timespec(task, timeout)
    return to_monotonic(task, moment) if clock == CLOCK_REALTIME else moment


def _read_waiters(task: Task, addr: int, count: int) -> list[tuple[int, int, int]]:
    """struct futex_waitv entries as (address, value, kind)."""
    out = []
    for value, word, flags, reserved in _WAITV.iter_unpack(task.mem.read(addr, count * _WAITV.size)):
        if reserved:
            raise LinuxError(EINVAL)
        kind = _check_flags2(flags)
        if value > 0xFFFFFFFF:
            raise LinuxError(EINVAL)
        out.append((word, value, kind))
    return out


@syscall(449, since="5.16", needs=("clocks.monotonic",))
async def futex_waitv(task: Task, waiters: In[FutexWaitv], count: U32, flags: U32, timeout: In[Timespec],
                      clock: S32) -> int:
    if flags or not 1 <= count <= FUTEX_WAITV_MAX or not waiters:
        raise LinuxError(EINVAL)
    deadline = _deadline2(task, timeout, clock)
    return await wait_many(task, _read_waiters(task, waiters, count), deadline)


@syscall(454, since="6.7")
def futex_wake(task: Task, addr: InOut[U32], mask: U64, count: S32, flags: U32) -> int:
    kind = _check_flags2(flags)
    if mask > 0xFFFFFFFF:
        raise LinuxError(EINVAL)
    return wake(task, addr, count, mask, kind, strict=True)


@syscall(455, since="6.7", needs=("clocks.monotonic",))
async def futex_wait(task: Task, addr: InOut[U32], value: U64, mask: U64, flags: U32, timeout: In[Timespec],
                     clock: S32) -> int:
    kind = _check_flags2(flags)
    if value > 0xFFFFFFFF or mask > 0xFFFFFFFF:
        raise LinuxError(EINVAL)
    return await wait(task, addr, value, mask, kind, _deadline2(task, timeout, clock))


@syscall(456, since="6.7")
def futex_requeue(task: Task, waiters: In[FutexWaitv], flags: U32, wake_count: S32, requeue_count: S32) -> int:
    if flags or not waiters:
        raise LinuxError(EINVAL)
    (addr, value, kind), (target, _, target_kind) = _read_waiters(task, waiters, 2)
    if kind != target_kind:
        raise LinuxError(EINVAL)
    return requeue(task, addr, target, wake_count, requeue_count, value, kind)


# --- robust lists

ROBUST_HEAD_SIZE = 24


@syscall(273, since="2.6.17")
def set_robust_list(task: Task, head: Addr, size: Size) -> int:
    if size != ROBUST_HEAD_SIZE:
        raise LinuxError(EINVAL)
    task.robust_list = head
    return 0


@syscall(274, since="2.6.17")
def get_robust_list(task: Task, pid: Pid, head: Out[U64], size: Out[U64]) -> int:
    target = task
    if pid:
        found = task.kernel.tasks.get(pid)
        if found is None:
            raise LinuxError(ESRCH)
        target = found
        if target.group is not task.group and task.cred.uid and (
                task.cred.uid not in (target.cred.uid, target.cred.euid, target.cred.suid)):
            raise LinuxError(EPERM)
    if target.robust_list > -4096 & (1 << 64) - 1:
        # The last page: since Linux 6.18 such a head is taken for an error on its way (IS_ERR).
        raise LinuxError((1 << 64) - target.robust_list)
    task.mem.put_u64(size, ROBUST_HEAD_SIZE)
    task.mem.put_u64(head, target.robust_list)
    return 0


# --- rseq

RSEQ_FLAG_UNREGISTER = 1


@syscall(334, since="4.18")
def rseq(task: Task, area: InOut[Rseq], length: U32, flags: S32, signature: U32) -> int:
    from syscalls.rseq import RSEQ_MIN_SIZE, clear_ids, forget, write_ids
    if flags & RSEQ_FLAG_UNREGISTER:
        if flags & ~RSEQ_FLAG_UNREGISTER:
            raise LinuxError(EINVAL)
        if not area or task.rseq != area or task.rseq_length != length:
            raise LinuxError(EINVAL)
        if task.rseq_signature != signature:
            raise LinuxError(EPERM)
        clear_ids(task)
        forget(task)
        task.rseq_length = task.rseq_signature = 0
        return 0
    if flags:
        raise LinuxError(EINVAL)
    if task.rseq:
        if task.rseq != area or task.rseq_length != length:
            raise LinuxError(EINVAL)
        if task.rseq_signature != signature:
            raise LinuxError(EPERM)
        raise LinuxError(EBUSY)
    if area & 31 or length < RSEQ_MIN_SIZE:
        raise LinuxError(EINVAL)
    if area + length > TASK_SIZE:
        raise LinuxError(EFAULT)
    # The critical section pointer is cleared: it may be a leftover of what was in this memory.
    task.mem.put_u64(area + 8, 0)
    task.rseq, task.rseq_length, task.rseq_signature = area, length, signature
    try:
        write_ids(task)
    except LinuxError:
        task.rseq = task.rseq_length = task.rseq_signature = 0
        raise
    task.rseq_by_host = task.cpu.rseq(area, length, signature)
    return 0
