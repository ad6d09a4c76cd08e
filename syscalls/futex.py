"""Futexes: wait, wake, requeue, and what happens to those of a task that ends (kernel/futex/).

The kernel is one thread: between reading a word and queueing no other call is served, so no wake-up is lost.  Guest
threads may run meanwhile, so words are changed by compare-and-swap only.  Priority-inheritance futexes are in
`futex_pi.py`.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EFAULT, EINVAL, ENOSYS, ETIMEDOUT, LinuxError
from syscalls.abi.time import KTIME_MAX
from syscalls.wait import RESTART_BLOCK, RESTART_SYS, Interrupted, WaitQueue, sleep_on
from translator.machine import TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Hashable

    from syscalls.task import Task

MATCH_ANY = 0xFFFFFFFF
WAITERS, OWNER_DIED, TID_MASK = 0x80000000, 0x40000000, 0x3FFFFFFF
ROBUST_LIST_LIMIT = 2048

OP_SET, OP_ADD, OP_OR, OP_ANDN, OP_XOR = range(5)
CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE = range(6)


class FutexWaiter:
    """One task in the queue of one futex (struct futex_q)."""

    __slots__ = ("addr", "bitset", "index", "key", "pi_target", "queue", "requeued", "task", "woken")

    def __init__(self, task: Task, addr: int, key: Hashable, bitset: int, queue: WaitQueue, index: int = 0) -> None:
        self.task = task
        self.addr = addr
        self.key = key
        self.bitset = bitset
        self.queue = queue
        self.index = index
        """Place in futex_waitv's vector."""
        self.woken = False
        self.pi_target: Hashable = None
        """FUTEX_WAIT_REQUEUE_PI: the key of the PI futex it may be moved to."""
        self.requeued = False

    def enqueue(self) -> None:
        self.task.kernel.futexes.setdefault(self.key, []).append(self)

    def dequeue(self) -> None:
        waiters = self.task.kernel.futexes.get(self.key)
        if waiters is not None and self in waiters:
            waiters.remove(self)
            if not waiters:
                del self.task.kernel.futexes[self.key]

    def wake(self) -> None:
        self.dequeue()
        self.woken = True
        self.queue.wake()


PRIVATE, NUMA = 1, 2
"""The kinds of a futex.  NUMA (since 6.16): behind the word stands the number of the node that keeps it."""
NO_NODE = 0xFFFFFFFF


def futex_key(task: Task, addr: int, kind: int) -> Hashable:
    """What identifies the futex word.  EINVAL: misaligned, or no node; EFAULT: not an address, or (shared) not
    mapped."""
    if addr & (7 if kind & NUMA else 3):
        raise LinuxError(EINVAL)
    if addr > TASK_SIZE:  # access_ok takes the first address behind user space too
        raise LinuxError(EFAULT)
    if kind & NUMA:
        node = task.mem.u32(addr + 4)
        if node == NO_NODE:
            task.mem.put_u32(addr + 4, 0)  # the one there is
        elif node:
            raise LinuxError(EINVAL)
    key = task.mm.futex_key(addr, bool(kind & PRIVATE))
    if not kind & PRIVATE:
        # A shared word is found through its page, which has to be there and accessible.
        task.mem.u32(addr)
    return (key, NUMA) if kind & NUMA else key


async def wait(task: Task, addr: int, expected: int, bitset: int, kind: int, deadline_ns: int | None) -> int:
    """FUTEX_WAIT and FUTEX_WAIT_BITSET.  `deadline_ns` is monotonic.  EAGAIN, ETIMEDOUT, EFAULT, EINVAL."""
    if not bitset:
        raise LinuxError(EINVAL)
    key = futex_key(task, addr, kind)
    if task.mem.u32(addr) != expected:
        raise LinuxError(EAGAIN)
    waiter = FutexWaiter(task, addr, key, bitset, WaitQueue())
    waiter.enqueue()
    try:
        await sleep_on(task, [(waiter.queue, -1)], deadline_ns)
    except Interrupted:
        if waiter.woken:
            return 0
        if deadline_ns is None:
            raise

        def resume(task: Task) -> Awaitable[int]:
            return wait(task, addr, expected, bitset, kind, deadline_ns)
        raise Interrupted(RESTART_BLOCK, resume) from None
    finally:
        waiter.dequeue()
    if waiter.woken:
        return 0
    raise LinuxError(ETIMEDOUT)


def wake(task: Task, addr: int, count: int, bitset: int, kind: int, *, strict: bool = False) -> int:
    """Wake at most `count` waiters of `bitset`, and one even if count is 0 (but not when strict: futex2).
    EINVAL: a priority-inheritance futex."""
    if not bitset:
        raise LinuxError(EINVAL)
    key = futex_key(task, addr, kind)
    if strict and count <= 0:
        return 0
    return _wake_key(task, key, count, bitset)


def _wake_key(task: Task, key: Hashable, count: int, bitset: int = MATCH_ANY) -> int:
    kernel = task.kernel
    state = kernel.pi_states.get(key)
    if state is not None and state.waiters:
        raise LinuxError(EINVAL)
    waiters = kernel.futexes.get(key)
    if not waiters:
        return 0
    woken = 0
    for waiter in list(waiters):
        if waiter.pi_target is not None:
            raise LinuxError(EINVAL)
        if waiter.bitset & bitset:
            waiter.wake()
            woken += 1
            if woken >= count:
                break
    return woken


def wake_address(task: Task, addr: int) -> None:
    """Wake one waiter of a futex that the kernel itself writes: clear_child_tid, robust futexes.  They are woken as
    shared ones: who waits for the same word as a private one stays asleep."""
    try:
        wake(task, addr, 1, MATCH_ANY, False)
    except LinuxError:
        pass  # not mapped any more, or a PI futex


def requeue(task: Task, addr: int, target: int, wake_count: int, requeue_count: int, expected: int | None,
            kind: int) -> int:
    """FUTEX_REQUEUE and FUTEX_CMP_REQUEUE: wake some waiters of `addr`, move others to `target`."""
    if wake_count < 0 or requeue_count < 0:
        raise LinuxError(EINVAL)
    key = futex_key(task, addr, kind)
    target_key = futex_key(task, target, kind)
    if expected is not None and task.mem.u32(addr) != expected:
        raise LinuxError(EAGAIN)
    done = 0
    for waiter in list(task.kernel.futexes.get(key, ())):
        if done - wake_count >= requeue_count:
            break
        if waiter.pi_target is not None:
            raise LinuxError(EINVAL)
        done += 1
        if done <= wake_count:
            waiter.wake()
        else:
            waiter.dequeue()
            waiter.key = target_key
            waiter.addr = target
            waiter.enqueue()
    return done


def wake_op(task: Task, addr: int, other: int, count: int, other_count: int, operation: int, private: bool) -> int:
    """FUTEX_WAKE_OP: change the word at `other`, wake waiters of `addr`, and of `other` if its old value compares."""
    key = futex_key(task, addr, private)
    other_key = futex_key(task, other, private)
    old = _apply(task, other, operation)
    woken = _wake_key(task, key, count)
    if _compare(old, operation):
        woken += _wake_key(task, other_key, other_count)
    return woken


def _sign12(value: int) -> int:
    return (value & 0xFFF ^ 0x800) - 0x800


def _apply(task: Task, addr: int, operation: int) -> int:
    kind = operation >> 28 & 7
    argument = _sign12(operation >> 12)
    if operation >> 31 & 1:
        # FUTEX_OP_OPARG_SHIFT; out-of-range shifts are taken modulo 32, as Linux does.
        argument = 1 << (argument & 31)
    if kind > OP_XOR:
        raise LinuxError(ENOSYS)
    while True:
        old = task.mem.u32(addr)
        if kind == OP_SET:
            new = argument
        elif kind == OP_ADD:
            new = old + argument
        elif kind == OP_OR:
            new = old | argument
        elif kind == OP_ANDN:
            new = old & ~argument
        else:
            new = old ^ argument
        if task.mem.swap_u32(addr, old, new):
            return old


def _compare(old: int, operation: int) -> bool:
    kind = operation >> 24 & 15
    argument = _sign12(operation)
    value = (old ^ 0x80000000) - 0x80000000
    if kind == CMP_EQ:
        return value == argument
    if kind == CMP_NE:
        return value != argument
    if kind == CMP_LT:
        return value < argument
    if kind == CMP_LE:
        return value <= argument
    if kind == CMP_GT:
        return value > argument
    if kind == CMP_GE:
        return value >= argument
    raise LinuxError(ENOSYS)


async def wait_many(task: Task, futexes: list[tuple[int, int, int]], deadline_ns: int | None) -> int:
    """futex_waitv(2): (address, expected, kind) triples; the index of one that was woken."""
    queue = WaitQueue()
    waiters: list[FutexWaiter] = []
    keys = [futex_key(task, addr, kind) for addr, _, kind in futexes]
    try:
        for index, (addr, expected, _) in enumerate(futexes):
            if task.mem.u32(addr) != expected:
                raise LinuxError(EAGAIN)
            waiter = FutexWaiter(task, addr, keys[index], MATCH_ANY, queue, index)
            waiter.enqueue()
            waiters.append(waiter)
        try:
            await sleep_on(task, [(queue, -1)], deadline_ns, restart=RESTART_SYS)
        except Interrupted:
            if not any(waiter.woken for waiter in waiters):
                raise
    finally:
        for waiter in waiters:
            waiter.dequeue()
    for waiter in waiters:
        if waiter.woken:
            return waiter.index
    raise LinuxError(ETIMEDOUT)


def to_monotonic(task: Task, realtime_ns: int) -> int:
    """A point of CLOCK_REALTIME on the monotonic clock."""
    clock = task.kernel.clock
    return min(realtime_ns - clock.realtime() + clock.monotonic(), KTIME_MAX)


# --- the end of a task


def release_robust(task: Task) -> None:
    """Mark the robust futexes that an ending task holds, and hand over its PI futexes (futex_exit_release)."""
    head = task.robust_list
    task.robust_list = 0
    if head:
        try:
            _walk_robust_list(task, head)
        except LinuxError:
            pass  # a list that cannot be read ends there
    if task.pi_futexes:
        from syscalls.futex_pi import owner_exits
        owner_exits(task)


def _walk_robust_list(task: Task, head: int) -> None:
    mem = task.mem
    entry = mem.u64(head)
    offset = mem.u64(head + 8)
    pending = mem.u64(head + 16)
    for _ in range(ROBUST_LIST_LIMIT):
        if entry & ~1 == head:
            break
        # Read on before the futex is released: its memory may be freed then.
        try:
            following = mem.u64(entry & ~1)
        except LinuxError:
            following = None
        if entry & ~1 != pending & ~1:
            _futex_death(task, (entry & ~1) + offset & (1 << 64) - 1, bool(entry & 1), False)
        if following is None:
            break
        entry = following
    if pending & ~1:
        _futex_death(task, (pending & ~1) + offset & (1 << 64) - 1, bool(pending & 1), True)


def _futex_death(task: Task, addr: int, is_pi: bool, pending: bool) -> None:
    """handle_futex_death(): the word gets FUTEX_OWNER_DIED, and one waiter wakes."""
    if addr & 3:
        raise LinuxError(EINVAL)
    while True:
        value = task.mem.u32(addr)
        owner = value & TID_MASK
        if pending and not is_pi and not owner:
            # It died between unlocking in user space and the wake.
            wake_address(task, addr)
            return
        if owner != task.tid:
            return
        if task.mem.swap_u32(addr, value, value & WAITERS | OWNER_DIED):
            break
    if not is_pi and value & WAITERS:
        wake_address(task, addr)
