"""What signals leave behind: pending queues, actions, and the state that threads of a process share."""

from __future__ import annotations

from syscalls.abi.signal import IGNORED_BY_DEFAULT, SI_USER, SIG_DFL, SIG_IGN, bit
from syscalls.siginfo import SigInfo
from syscalls.wait import WaitQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task


class Pending:
    """Signals that wait for delivery: struct sigpending."""

    __slots__ = ("mask", "queue")

    def __init__(self) -> None:
        self.mask = 0
        self.queue: list[SigInfo] = []

    def take(self, task: Task, signo: int) -> SigInfo:
        """Remove the oldest entry of a pending signal."""
        found: SigInfo | None = None
        more = False
        for info in self.queue:
            if info.signo == signo:
                if found is not None:
                    more = True
                    break
                found = info
        if not more:
            self.mask &= ~bit(signo)
        if found is None:
            # It was sent when RLIMIT_SIGPENDING left no room for its siginfo.
            return SigInfo(signo, SI_USER)
        self.queue.remove(found)
        _unaccount(task, found)
        return found

    def flush(self, task: Task, mask: int) -> None:
        """Discard all signals of `mask`."""
        if not self.mask & mask:
            return
        self.mask &= ~mask
        kept = []
        for info in self.queue:
            if bit(info.signo) & mask:
                _unaccount(task, info)
                if info.source is not None:
                    info.source.discarded()
            else:
                kept.append(info)
        self.queue = kept


def _unaccount(task: Task, info: SigInfo) -> None:
    if info.accounted >= 0:
        counts = task.kernel.queued_signals
        counts[info.accounted] -= 1
        info.accounted = -1


class Action:
    """What a process does with a signal: struct k_sigaction.  Never changed in place."""

    __slots__ = ("flags", "handler", "mask", "restorer")

    def __init__(self, handler: int, flags: int = 0, restorer: int = 0, mask: int = 0) -> None:
        self.handler = handler
        self.flags = flags
        self.restorer = restorer
        self.mask = mask


DEFAULT = Action(SIG_DFL)


class SignalHandlers:
    """The actions of a process (struct sighand_struct), shared by CLONE_SIGHAND."""

    __slots__ = ("actions", "sharers")

    def __init__(self) -> None:
        self.actions: dict[int, Action] = {}
        """Signals that are not here have the default action."""
        self.sharers = 1

    def get(self, signo: int) -> Action:
        return self.actions.get(signo, DEFAULT)

    def copy(self) -> SignalHandlers:
        other = SignalHandlers()
        other.actions = dict(self.actions)
        return other

    def reset_for_exec(self) -> None:
        """Handlers go, ignored signals stay ignored (flush_signal_handlers)."""
        self.actions = {signo: Action(SIG_IGN) for signo, action in self.actions.items() if action.handler == SIG_IGN}

    def clear(self) -> None:
        """CLONE_CLEAR_SIGHAND: as exec, the handlers go."""
        self.reset_for_exec()

    def ignore(self, signo: int) -> None:
        """Inherited from outside as ignored (nohup)."""
        self.actions[signo] = Action(SIG_IGN)

    def set_default(self, signo: int) -> None:
        """The handler goes, flags and mask stay."""
        action = self.actions.get(signo)
        if action is not None:
            self.actions[signo] = Action(SIG_DFL, action.flags, action.restorer, action.mask)

    def ignores(self, signo: int) -> bool:
        handler = self.actions.get(signo, DEFAULT).handler
        return handler == SIG_IGN or (handler == SIG_DFL and bool(IGNORED_BY_DEFAULT & bit(signo)))


class GroupSignals:
    """What the threads of a process share: pending signals and the state of a stop."""

    __slots__ = ("pending", "queue", "stop_count", "stop_signal", "stopped")

    def __init__(self) -> None:
        self.pending = Pending()
        self.queue = WaitQueue()
        """Woken when a signal for the whole process becomes pending."""
        self.stop_signal = 0
        """Not 0 while a group stop is under way or in force: the signal that caused it."""
        self.stop_count = 0
        """Threads that have yet to stop."""
        self.stopped = False
        """All threads have stopped (SIGNAL_STOP_STOPPED)."""
