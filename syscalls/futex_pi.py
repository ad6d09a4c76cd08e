"""Priority-inheritance futexes: the kernel hands the lock from owner to waiter (kernel/futex/pi.c, requeue.c).

The word holds the owner's thread id, with FUTEX_WAITERS once somebody waits here and FUTEX_OWNER_DIED when an owner
ended without unlocking.  A `PiState` exists while there are waiters.  Priorities do not change who runs (the
scheduler is round robin); ownership, hand-over, deadlock detection and the death of owners are exact.
"""

from __future__ import annotations

from syscalls.abi.errno import EAGAIN, EDEADLK, EINVAL, EPERM, ESRCH, ETIMEDOUT, LinuxError
from syscalls.futex import OWNER_DIED, TID_MASK, WAITERS, FutexWaiter, futex_key
from syscalls.wait import RESTART_NOINTR, Interrupted, WaitQueue, sleep_on

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from syscalls.task import Task


class PiState:
    """A lock that somebody waits for (struct futex_pi_state with its rt_mutex)."""

    __slots__ = ("key", "owner", "waiters")

    def __init__(self, key: Hashable, owner: Task | None) -> None:
        self.key = key
        self.owner: Task | None = None
        self.waiters: list[FutexWaiter] = []
        self.set_owner(owner)

    def set_owner(self, owner: Task | None) -> None:
        if self.owner is not None:
            self.owner.pi_futexes.discard(self)
        self.owner = owner
        if owner is not None:
            owner.pi_futexes.add(self)


def _state(task: Task, key: Hashable) -> PiState | None:
    return task.kernel.pi_states.get(key)


def _waited_for(task: Task, key: Hashable) -> bool:
    state = _state(task, key)
    return state is not None and bool(state.waiters)


def _drop_if_idle(task: Task, state: PiState) -> None:
    if not state.waiters:
        state.set_owner(None)
        task.kernel.pi_states.pop(state.key, None)


def _would_deadlock(task: Task, state: PiState) -> bool:
    """Whether the lock's owner waits, through other PI locks, for `task`."""
    owner = state.owner
    seen = 0
    while owner is not None and seen < 1024:
        if owner is task:
            return True
        blocked = owner.pi_blocked_on
        owner = blocked.owner if blocked is not None else None
        seen += 1
    return seen >= 1024


def _attach(task: Task, key: Hashable, value: int) -> PiState:
    """The state of a lock that is held, made if this is its first waiter.  ESRCH: no such owner.  EINVAL: the word
    and the kernel disagree."""
    owner_tid = value & TID_MASK
    state = _state(task, key)
    if state is not None and state.waiters:
        if state.owner is None:
            # The owner died; only the word's OWNER_DIED with no owner fits that.
            if not value & OWNER_DIED or owner_tid:
                raise LinuxError(EINVAL)
        elif state.owner.tid != owner_tid:
            raise LinuxError(EINVAL)
        return state
    owner = task.kernel.tasks.get(owner_tid)
    if owner is None or owner.dead:
        raise LinuxError(ESRCH)
    state = PiState(key, owner)
    task.kernel.pi_states[key] = state
    return state


def _try_take(task: Task, taker: Task, key: Hashable, addr: int, value: int, more_waiters: bool) -> bool:
    """futex_lock_pi_atomic()'s easy case: nobody holds the lock and nobody waits for it."""
    if _waited_for(task, key) or value & TID_MASK:
        return False
    return task.mem.swap_u32(addr, value, value & OWNER_DIED | taker.tid | (WAITERS if more_waiters else 0))


def _mark(task: Task, addr: int, value: int) -> int | None:
    """Set FUTEX_WAITERS, so that the owner unlocks through the kernel; None when the word was changed meanwhile."""
    if value & WAITERS or task.mem.swap_u32(addr, value, value | WAITERS):
        return value | WAITERS
    return None


def _take_or_mark(task: Task, key: Hashable, addr: int) -> int | None:
    """Get the lock (None), or the word with FUTEX_WAITERS set.  EDEADLK."""
    while True:
        value = task.mem.u32(addr)
        if value & TID_MASK == task.tid:
            raise LinuxError(EDEADLK)
        if _try_take(task, task, key, addr, value, False):
            return None
        if value & TID_MASK or _waited_for(task, key):
            marked = _mark(task, addr, value)
            if marked is not None:
                return marked


def trylock(task: Task, addr: int, private: bool) -> int:
    """FUTEX_TRYLOCK_PI.  EAGAIN, EDEADLK."""
    key = futex_key(task, addr, private)
    value = _take_or_mark(task, key, addr)
    if value is None:
        return 0
    _drop_if_idle(task, _attach(task, key, value))
    raise LinuxError(EAGAIN)


async def lock(task: Task, addr: int, private: bool, deadline_ns: int | None) -> int:
    """FUTEX_LOCK_PI.  `deadline_ns` is monotonic.  EDEADLK, ESRCH, ETIMEDOUT, EINVAL."""
    key = futex_key(task, addr, private)
    value = _take_or_mark(task, key, addr)
    if value is None:
        return 0
    state = _attach(task, key, value)
    if _would_deadlock(task, state):
        _drop_if_idle(task, state)
        raise LinuxError(EDEADLK)
    waiter = FutexWaiter(task, addr, key, 0xFFFFFFFF, WaitQueue())
    state.waiters.append(waiter)
    return await _wait_for(task, state, waiter, deadline_ns)


async def _wait_for(task: Task, state: PiState, waiter: FutexWaiter, deadline_ns: int | None) -> int:
    """Sleep until the lock is handed to `waiter`, which is in the state's list."""
    task.pi_blocked_on = state
    try:
        while not waiter.woken:
            if not await sleep_on(task, [(waiter.queue, -1)], deadline_ns, restart=RESTART_NOINTR):
                break
    except Interrupted:
        if not waiter.woken:
            raise
    finally:
        task.pi_blocked_on = None
        if waiter in state.waiters:
            state.waiters.remove(waiter)
            _drop_if_idle(task, state)
    if waiter.woken:
        return 0
    raise LinuxError(ETIMEDOUT)


def _hand_over(state: PiState, died: bool) -> None:
    """Give the lock to its first waiter: the word, the owner, the wake-up."""
    waiter = state.waiters.pop(0)
    heir = waiter.task
    while True:
        value = heir.mem.u32(waiter.addr)
        if heir.mem.swap_u32(waiter.addr, value, (OWNER_DIED if died else 0) | WAITERS | heir.tid):
            break
    state.set_owner(heir)
    heir.pi_blocked_on = None
    waiter.woken = True
    waiter.queue.wake()
    _drop_if_idle(heir, state)


def unlock(task: Task, addr: int, private: bool) -> int:
    """FUTEX_UNLOCK_PI.  EPERM: not the owner."""
    if task.mem.u32(addr) & TID_MASK != task.tid:
        raise LinuxError(EPERM)
    key = futex_key(task, addr, private)
    while True:
        value = task.mem.u32(addr)
        if value & TID_MASK != task.tid:
            raise LinuxError(EPERM)
        state = _state(task, key)
        if state is not None and state.waiters:
            if state.owner is not task:
                raise LinuxError(EINVAL)
            _hand_over(state, False)
            return 0
        if task.kernel.futexes.get(key):
            # Plain waiters on a PI futex: mixed use.
            raise LinuxError(EINVAL)
        if task.mem.swap_u32(addr, value, 0):
            return 0


def owner_exits(task: Task) -> None:
    """The locks that an ending task holds and others wait for go to their first waiters (exit_pi_state_list)."""
    for state in list(task.pi_futexes):
        if not state.waiters:
            _drop_if_idle(task, state)
            continue
        try:
            _hand_over(state, True)
        except LinuxError:
            # The waiter's word is gone: it owns the lock all the same, and will find that out by itself.
            state.set_owner(None)
    task.pi_futexes.clear()


# --- condition variables: FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI


async def wait_requeue(task: Task, addr: int, expected: int, bitset: int, target: int, private: bool,
                       deadline_ns: int | None) -> int:
    """Wait on `addr` until FUTEX_CMP_REQUEUE_PI moves this task to the PI futex `target` and it gets that lock."""
    if addr == target or not bitset:
        raise LinuxError(EINVAL)
    target_key = futex_key(task, target, private)
    key = futex_key(task, addr, private)
    if task.mem.u32(addr) != expected:
        raise LinuxError(EAGAIN)
    if key == target_key:
        raise LinuxError(EINVAL)
    waiter = FutexWaiter(task, addr, key, bitset, WaitQueue())
    waiter.pi_target = target_key
    waiter.enqueue()
    woken = True
    try:
        while woken and not waiter.woken:
            woken = await sleep_on(task, [(waiter.queue, -1)], deadline_ns, restart=RESTART_NOINTR)
    except Interrupted:
        if waiter.woken:
            return 0
        if waiter.requeued:
            # It already waits for the lock, and the call cannot be begun again.
            raise LinuxError(EAGAIN) from None
        raise
    finally:
        waiter.dequeue()
        task.pi_blocked_on = None
        state = task.kernel.pi_states.get(target_key)
        if state is not None and waiter in state.waiters:
            state.waiters.remove(waiter)
            _drop_if_idle(task, state)
    if waiter.woken:
        return 0
    raise LinuxError(ETIMEDOUT)


def requeue(task: Task, addr: int, target: int, wake_count: int, requeue_count: int, expected: int,
            private: bool) -> int:
    """FUTEX_CMP_REQUEUE_PI: the first waiter of `addr` gets the lock `target` if it is free, the others, and the
    first if not, are moved to its queue.  How many that concerned."""
    if wake_count < 0 or requeue_count < 0:
        raise LinuxError(EINVAL)
    if addr == target or wake_count != 1:
        raise LinuxError(EINVAL)
    key = futex_key(task, addr, private)
    target_key = futex_key(task, target, private)
    if key == target_key:
        raise LinuxError(EINVAL)
    if task.mem.u32(addr) != expected:
        raise LinuxError(EAGAIN)
    waiters = list(task.kernel.futexes.get(key, ()))
    for waiter in waiters:
        if waiter.pi_target != target_key:
            raise LinuxError(EINVAL)
    done = 0
    while waiters and done < 1 + requeue_count:
        waiter = waiters.pop(0)
        value = task.mem.u32(target)
        if value & TID_MASK == waiter.task.tid:
            raise LinuxError(EDEADLK)
        if _try_take(task, waiter.task, target_key, target, value, bool(waiters and requeue_count)):
            waiter.wake()
            done += 1
            continue
        marked = _mark(task, target, value) if value & TID_MASK or _waited_for(task, target_key) else None
        if marked is None:
            # The word was changed meanwhile: look again.
            waiters.insert(0, waiter)
            continue
        state = _attach(task, target_key, marked)
        if _would_deadlock(waiter.task, state):
            _drop_if_idle(task, state)
            raise LinuxError(EDEADLK)
        waiter.dequeue()
        waiter.requeued = True
        waiter.addr = target
        waiter.key = target_key
        state.waiters.append(waiter)
        waiter.task.pi_blocked_on = state
        done += 1
    return done
