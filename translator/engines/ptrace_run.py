"""Running guest threads: the loop of the ptrace engine that lets them go, and takes their traps.

`run` is about one thread, but others may be running: a thread that computes is left to itself, and so is one whose turn
is interrupted by the trap of another.  Their calls are served wherever they are noticed, other stops are kept
(`PtraceCpu.trap`) until the kernel runs that thread again.  When there is nothing to run the kernel sleeps in the
host's poller, which watches two descriptors of this engine (`watch`): the one that calls come through, and a signalfd
for SIGCHLD.  No thread is ever polled for.
"""

from __future__ import annotations

import ctypes
import struct
from time import monotonic_ns

from translator.engines.notify import CONTINUE, NOT_WANTED, POLLIN, ppoll
from translator.engines.placement import NOWHERE, WEIGH_NS
from translator.engines.ptrace_binding import (
    ECHILD,
    EINTR,
    EIO,
    EVENT_STOP,
    PTRACE_CONT,
    PTRACE_EVENT_STOP,
    PTRACE_GETREGS,
    PTRACE_GETSIGINFO,
    PTRACE_INTERRUPT,
    PTRACE_SETREGS,
    SECCOMP_STOP,
    STOPPED,
    WALL,
    WNOHANG,
    TraceeGone,
    get_errno,
    ptrace,
    request,
    waitpid,
)
from translator.engines.ptrace_cpu import UNDER_WAY, WORD, PtraceCpu
from translator.engines.ptrace_faults import FAULT_SIGNALS, SIGSEGV, SIGSYS, fault_of
from translator.engines.seccomp import TRAP_FOREIGN, TRAP_VSYSCALL
from translator.machine import (
    FS_BASE,
    GS_BASE,
    NO_MEMORY,
    ORIG_RAX,
    PROT_READ,
    R8,
    R9,
    R10,
    RAX,
    RDI,
    RDX,
    RIP,
    RSI,
    TASK_SIZE,
    VEC_GP,
    VEC_PF,
    CpuFault,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.engines.interrupts import Interrupts
    from translator.engines.notify import Notifications
    from translator.engines.placement import Placement
    from translator.engines.ptrace_binding import ExtendedState
    from translator.engines.ptrace_space import PtraceSpace
    from translator.machine import Cpu, Poller, TrapSink

    Arguments = tuple[int, int, int, int, int, int]
    Call = tuple[int, Arguments]

TICK_NS = 2_000_000
"""A thread that has made fewer than CALLS_PER_TICK calls in this time computes: it is not waited for any longer."""
CALLS_PER_TICK = 4
QUICK_NS = 200_000
"""One that then makes as many calls, each this soon after the last, is taken back to pylx's CPU."""
CALLS_PER_LOOK = 64
"""Calls between two looks at the clock: the timer's signal is lost while a call is served."""
MAX_FORGERIES = 1000
KILLED = 9
"""Wait status of a thread that SIGKILL has ended."""
RESTART = (1 << 64) - 512
"""ERESTARTSYS: what a call returns whose notification was interrupted."""
WAITING = 2
"""Neither a result of Notifications.receive nor NOT_WANTED: no call has been waited for yet."""
_unpack_notification = struct.Struct("=QI4xi12x6Q").unpack_from
"""id, thread, call and its arguments of a struct seccomp_notif."""


class GuestRunner:
    """What PtraceEngine inherits."""

    sink: TrapSink
    xstate: ExtendedState
    placement: Placement
    spaces: set[PtraceSpace]
    notifications: Notifications | None
    """None: stops only."""
    interrupts: Interrupts

    def __init__(self) -> None:
        self.running: dict[int, PtraceCpu] = {}
        """Threads that run although pylx does not wait for them, by host number."""
        self._status = ctypes.c_int()
        self._status_address = ctypes.addressof(self._status)
        self._siginfo = (ctypes.c_char * 128)()
        self._info = memoryview(self._siginfo).cast("B")
        self._kicked = False
        self._forgeries = 0
        self._watched_calls = self._watched_stops = False

    def kick(self) -> None:
        self._kicked = True

    def run(self, cpu: Cpu, slice_ns: int) -> None:
        assert isinstance(cpu, PtraceCpu)
        space = cpu._space
        tid = cpu.tid
        placement = self.placement
        now = monotonic_ns()
        under_way = cpu.notice == UNDER_WAY
        if under_way:
            del self.running[tid]
            cpu.notice = 0
        else:
            try:
                if not tid:
                    tid = cpu.bind()
                if cpu.extended is not None:
                    self.xstate.set(tid, cpu.extended)
                    cpu.extended = None
                if space.urgent:
                    space.flush()
            except (TraceeGone, MemoryError):
                self._lost(cpu)
                return
            if not cpu.free and cpu.place != placement.cpu:
                cpu.place = placement.place(tid, cpu.cpus)
        placement.look(now, tid)
        if now - cpu.weighed_ns > WEIGH_NS:
            placement.weigh(cpu, now)
        elif cpu.away and cpu.place != placement.cpu:
            placement.send_away(cpu)  # pylx has moved there
        self._kicked = False
        tick = min(slice_ns, TICK_NS)
        interrupts = self.interrupts
        interrupts.tick(tick)
        interrupts.allow()
        try:
            self._run(cpu, tid, now + slice_ns, now + tick, under_way)
        finally:
            interrupts.hold()
        cpu.runs += 1
        if self.sink.ready:
            cpu.held += 1
        if interrupts.flag[0] or not interrupts.flagged:
            # It came after the last look, and will not make the poller's descriptor readable any more.
            interrupts.flag[0] = 0
            self._note_stops(0)

    def _run(self, cpu: PtraceCpu, tid: int, deadline: int, tick: int, under_way: bool) -> None:
        space = cpu._space
        words, address = cpu.registers.words, cpu.registers.address
        serve = self.sink.syscall
        notes = self.notifications
        if notes is not None:
            received, answer = notes.bytes, notes.answer
            exchange, receive = notes.exchange, notes.receive
            flag = self.interrupts.flag
        calls = CALLS_PER_LOOK
        served = 0
        while True:
            trap = cpu.trap
            if trap is not None:
                cpu.trap = None
                number, args = trap
            else:
                got = WAITING
                if under_way:
                    under_way = False
                else:
                    # It computes on another CPU, most likely, or others have something to do.
                    leaves = cpu.free or self._kicked
                    if cpu.notice:
                        assert notes is not None
                        answer[0] = cpu.notice
                        answer[1] = cpu.result
                        got = notes.send() if leaves else exchange()
                        if got == NOT_WANTED:
                            # A signal from outside has ended the wait for the answer.
                            self.withdraw(cpu)
                            continue
                        cpu.notice = 0
                    else:
                        if cpu.changed:
                            if ptrace(PTRACE_SETREGS, tid, 0, address) < 0 and not only_bases_refused(words):
                                self._lost(cpu)
                                return
                            cpu.changed = False
                        ptrace(PTRACE_CONT, tid, 0, 0)
                    if leaves:
                        cpu.resumed_ns = monotonic_ns()
                        self._leave(cpu, tid)
                        return
                status = 0
                while True:
                    if notes is not None:
                        if got == WAITING:
                            got = receive()
                        if not got:
                            notice, who, number, a, b, c, d, e, f = _unpack_notification(received)
                            if who == tid:
                                break
                            self._leave(cpu, tid)
                            self._serve_other(who, notice, number, (a, b, c, d, e, f))
                            if cpu.notice != UNDER_WAY or self._kicked:
                                return
                            del self.running[tid]
                            cpu.notice = 0
                            got = WAITING
                            continue
                        gone = got != -EINTR
                        got = WAITING
                        if gone:
                            continue  # the caller was killed
                        flag[0] = 0
                        status = self._note_stops(tid)
                    else:
                        status = self._wait_for_stop(tid)
                    if status:
                        break
                    now = monotonic_ns()
                    if now >= tick or self._kicked:
                        # The timer, or others have something to do.  It is left running.
                        idle = served < CALLS_PER_TICK
                        if idle or self._kicked or now >= deadline:
                            if idle:
                                self._set_free(cpu, tid, now)
                            self._leave(cpu, tid)
                            return
                        served = 0
                        tick = now + TICK_NS
                if status:
                    if status != SECCOMP_STOP:
                        if self._stopped(cpu, tid, status):
                            return
                        continue
                    number, args = self._fetch_call(cpu, tid)
                else:
                    cpu.notice = notice
                    cpu.orig_rax = number
                    args = (a, b, c, d, e, f)
            value = serve(cpu, number, args)
            if value is None:
                return
            if cpu.notice:
                cpu.result = value & WORD
            else:
                words[RAX] = value & WORD
            if space.urgent:
                if cpu.notice and not value and space.is_just(number, args) and self._let_make(cpu):
                    space.made()
                    served += 1
                    if cpu.free or self._kicked:
                        self._leave(cpu, tid)
                        return
                    under_way = True
                    continue
                try:
                    space.flush()
                except MemoryError:
                    self._lost(cpu)
                    return
                if notes is not None and not self.running:
                    flag[0] = 0  # set by the leader's stop: nobody else can have stopped
            if cpu.tid != tid or cpu.extended is not None:
                return
            served += 1
            calls -= 1
            if not calls:
                calls = CALLS_PER_LOOK
                if self._kicked or monotonic_ns() >= deadline:
                    return

    def _let_make(self, cpu: PtraceCpu) -> bool:
        """Have the host carry out the notified call as it is; False when a signal from outside has ended it."""
        notes = self.notifications
        assert notes is not None
        answer = notes.answer
        answer[0], answer[1], answer[2] = cpu.notice, 0, CONTINUE
        failed = notes.send()
        answer[2] = 0
        if not failed:
            cpu.notice = 0
        return not failed

    def _fetch_call(self, cpu: PtraceCpu, tid: int) -> Call:
        """The call that a thread has stopped at."""
        words = cpu.words
        ptrace(PTRACE_GETREGS, tid, 0, cpu.registers.address)
        number = cpu.orig_rax = words[ORIG_RAX]
        words[ORIG_RAX] = WORD
        cpu.changed = True
        return number & 0xFFFFFFFF, (words[RDI], words[RSI], words[RDX], words[R10], words[R8], words[R9])

    # --- threads that run while pylx does something else

    def _leave(self, cpu: PtraceCpu, tid: int) -> None:
        """Let a thread run on without waiting for it."""
        cpu.notice = UNDER_WAY
        self.running[tid] = cpu

    def _set_free(self, cpu: PtraceCpu, tid: int, now: int) -> None:
        """A thread that computes need not stay on pylx's CPU."""
        if self.placement.spreads and not cpu.free:
            cpu.free = True
            cpu.quick = 0
            cpu.place = NOWHERE
            cpu.resumed_ns = now
            self.placement.release(tid, cpu.cpus)

    def _called(self, who: int, notice: int, number: int, args: Arguments) -> PtraceCpu | None:
        """A thread that was left running has made a call, which is now its trap; None when it is nobody's."""
        cpu = self.running.pop(who, None)
        if cpu is None:
            return None
        cpu.notice = notice
        cpu.orig_rax = number
        cpu.trap = number, args
        if cpu.free:
            now = monotonic_ns()
            if cpu.away:
                if now - cpu.weighed_ns > WEIGH_NS:
                    self.placement.weigh(cpu, now)
            elif now - cpu.resumed_ns > QUICK_NS:
                cpu.quick = 0
            else:
                cpu.quick += 1
                if cpu.quick >= CALLS_PER_TICK:
                    cpu.free = False
        return cpu

    def _serve_other(self, who: int, notice: int, number: int, args: Arguments) -> None:
        """Serve a call of a thread that is not the one `run` is about, and let it go on when that is all."""
        cpu = self._called(who, notice, number, args)
        if cpu is None:
            return
        if not cpu.free and cpu.place != self.placement.cpu:
            cpu.place = self.placement.place(who, cpu.cpus)
        cpu.trap = None
        value = self.sink.syscall(cpu, number, args)
        if value is None:
            self.sink.trapped(cpu)
            return
        if cpu.notice != notice or cpu.tid != who or cpu.extended is not None:
            cpu.set(RAX, value)
            self.sink.trapped(cpu)
            return
        cpu.result = value & WORD
        space = cpu._space
        if space.urgent:
            try:
                space.flush()
            except MemoryError:
                self._lost(cpu)
                self.sink.trapped(cpu)
                return
        notes = self.notifications
        assert notes is not None
        notes.answer[0] = notice
        notes.answer[1] = cpu.result
        if notes.send():
            self.withdraw(cpu)
            self.sink.trapped(cpu)
            return
        if cpu.free:
            cpu.resumed_ns = monotonic_ns()
        self._leave(cpu, who)

    def _note_stops(self, tid: int) -> int:
        """Take the stops of all threads; the status of `tid`, 0 when it has not stopped."""
        own = 0
        while True:
            got = waitpid(-1, self._status_address, WALL | WNOHANG)
            if got <= 0:
                return own
            if got == tid:
                own = self._status.value
            else:
                self._note_stop(got, self._status.value)

    def _wait_for_stop(self, tid: int) -> int:
        """As `_note_stops`, but wait for one, or for a signal to pylx."""
        got = waitpid(-1, self._status_address, WALL)
        if got == tid:
            return self._status.value
        if got > 0:
            self._note_stop(got, self._status.value)
        elif get_errno() == ECHILD:
            return KILLED
        return 0

    def _note_stop(self, tid: int, status: int) -> None:
        cpu = self.running.pop(tid, None)
        if cpu is None:
            if status & 0xFF != STOPPED:
                self._note_death(tid)
            return
        if not cpu._space.process.alive:
            return  # pylx has killed it
        cpu.notice = 0
        if status == SECCOMP_STOP:
            cpu.trap = self._fetch_call(cpu, tid)
        elif not self._stopped(cpu, tid, status):
            if cpu.changed:
                ptrace(PTRACE_SETREGS, tid, 0, cpu.registers.address)
                cpu.changed = False
            ptrace(PTRACE_CONT, tid, 0, 0)
            self._leave(cpu, tid)
            return
        self._kicked = True
        self.sink.trapped(cpu)

    def _note_death(self, tid: int) -> None:
        """Of a thread that was stopped: pylx has killed its process, or somebody outside has."""
        for space in self.spaces:
            process = space.process
            if process.alive and (process.pid == tid or tid in process.threads):
                process.alive = False
                self.sink.killed(space)
                return

    def watch(self, poller: Poller) -> None:
        if not self._watched_stops:
            self._watched_stops = True
            poller.arm(self.interrupts.children, POLLIN, self._stops_ready)
        if self.notifications is not None and not self._watched_calls:
            self._watched_calls = True
            poller.arm(self.notifications.fd, POLLIN, self._calls_ready)

    def _stops_ready(self, _mask: int) -> None:
        self._watched_stops = False
        self.interrupts.clear_children()
        self._note_stops(0)

    def _calls_ready(self, _mask: int) -> None:
        self._watched_calls = False
        notes = self.notifications
        assert notes is not None
        while ppoll(notes.poll_address, 1, notes.at_once_address, 0) > 0:
            if notes.receive():
                break  # the caller was killed, or there are no more guests
            notice, who, number, *args = _unpack_notification(notes.bytes)
            cpu = self._called(who, notice, number, tuple(args))
            if cpu is not None:
                cpu.alone += 1
                self.sink.trapped(cpu)

    def halt(self, cpu: PtraceCpu) -> None:
        """Stop a thread that was left running.  A call that it was about to make is made when it goes on."""
        tid = cpu.tid
        del self.running[tid]
        cpu.notice = 0
        # The next `run` waits for it, or it would get nowhere when it is halted each time.
        cpu.free = cpu.away = False
        if self._interrupt(cpu, tid):
            ptrace(PTRACE_GETREGS, tid, 0, cpu.registers.address)
            words = cpu.words
            status = self._status.value
            if status == SECCOMP_STOP or (status == EVENT_STOP and not words[ORIG_RAX] >> 63
                                          and words[RAX] == RESTART):
                words[RAX] = words[ORIG_RAX]
                words[RIP] -= 2
            words[ORIG_RAX] = cpu.orig_rax = WORD
            cpu.changed = True
            if status not in (SECCOMP_STOP, EVENT_STOP):
                self._stopped(cpu, tid, status)
        self.sink.trapped(cpu)

    def _interrupt(self, cpu: PtraceCpu, tid: int) -> bool:
        """Stop a thread, and leave the wait status in self._status; False when it is dead."""
        ptrace(PTRACE_INTERRUPT, tid, 0, 0)
        while waitpid(tid, self._status_address, WALL) < 0:
            if get_errno() != EINTR:
                self._status.value = KILLED
                break
        if self._status.value & 0xFF != STOPPED:
            cpu._space.process.alive = False
            return False
        return True

    def withdraw(self, cpu: PtraceCpu) -> None:
        """Turn a call that came as a notification into a ptrace stop: behind it with RAX as it was set, or before it
        when it has not been served."""
        tid = cpu.tid
        cpu.notice = 0
        trap, cpu.trap = cpu.trap, None
        if not self._interrupt(cpu, tid):
            return
        words = cpu.words
        ptrace(PTRACE_GETREGS, tid, 0, cpu.registers.address)
        if trap is None:
            words[RAX] = cpu.result
        else:
            words[RAX] = trap[0]
            words[RIP] -= 2
            cpu.orig_rax = WORD
        words[ORIG_RAX] = WORD
        cpu.changed = True

    def _lost(self, cpu: PtraceCpu) -> None:
        """The host has no memory for this guest, or has killed it."""
        self.sink.fault(cpu, CpuFault(VEC_PF, 0, PROT_READ, NO_MEMORY))

    def _stopped(self, cpu: PtraceCpu, tid: int, status: int) -> bool:
        """A stop that is no system call; False when the thread is to go on at once."""
        if status & 0xFF != STOPPED:
            cpu._space.process.alive = False
            self._lost(cpu)
            return True
        signal = status >> 8 & 0xFF
        if status >> 16 == PTRACE_EVENT_STOP or signal not in FAULT_SIGNALS:
            # An interruption that came too late, or a signal from outside: it never reaches the guest.
            return False
        info = self._info
        try:
            request(PTRACE_GETSIGINFO, tid, 0, ctypes.addressof(self._siginfo))
            code = int.from_bytes(info[8:12], "little", signed=True)
            if code <= 0:
                return False
            request(PTRACE_GETREGS, tid, 0, cpu.registers.address)
        except TraceeGone:
            self._lost(cpu)
            return True
        cpu.words[ORIG_RAX] = cpu.orig_rax = WORD
        if signal == SIGSYS:
            return self._refused(cpu)
        space = cpu._space
        if signal == SIGSEGV and (space.pending or cpu.flushes != space.flushes):
            # A mapping that was not urgent, most likely: the instruction is tried again.  Another thread's call may
            # have had it made since this thread stopped.
            try:
                space.flush()
            except MemoryError:
                self._lost(cpu)
                return True
            cpu.flushes = space.flushes
            return False
        self.sink.fault(cpu, fault_of(cpu, signal, code, int.from_bytes(info[16:24], "little")))
        return True

    def _refused(self, cpu: PtraceCpu) -> bool:
        """A call that the filter does not even report."""
        words = cpu.words
        reason = int.from_bytes(self._info[4:8], "little")
        if reason == TRAP_VSYSCALL:
            # The host has already returned from the vsyscall page.
            number = int.from_bytes(self._info[24:28], "little")
            cpu.orig_rax = number
            cpu.changed = True
            value = self.sink.syscall(cpu, number, (words[RDI], words[RSI], words[RDX], words[R10], words[R8],
                                                    words[R9]))
            if value is None:
                return True
            words[RAX] = value & WORD
            return False
        if reason == TRAP_FOREIGN:
            words[RIP] -= 2
            cpu.changed = True
        else:
            self._forgeries += 1
            if self._forgeries > MAX_FORGERIES:
                self._lost(cpu)
                return True
        self.sink.fault(cpu, CpuFault(VEC_GP))
        return True


def only_bases_refused(words: memoryview) -> bool:
    """Whether a failed PTRACE_SETREGS matters not: guest code may give itself a segment base in the kernel's half
    (WRGSBASE), which a tracer may not write; the host stores the bases after everything else, and these are as the
    thread has them."""
    return get_errno() == EIO and max(words[FS_BASE], words[GS_BASE]) >= TASK_SIZE
