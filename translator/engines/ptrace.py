"""The ptrace engine: guest instructions run on the processor itself, in pico processes (pico.py) that pylx traces.

Guest threads run side by side, as the host schedules them (ptrace_run.py).  Each of a thread's system calls stops it (a
seccomp filter reports them), is served by the kernel and skipped: its number is replaced by -1, RAX by the result.
Signals that its instructions cause are seen by pylx only.

Most calls come as a seccomp user notification instead, where nothing but a result goes back (notify.py): the thread
then sleeps in the host's kernel, and its registers are fetched only if somebody asks for them.

Costs that shape this engine, measured with a kernel that does nothing: a call that stops the guest is 15 us while pylx
and the guest are kept on one CPU, and 64 us while the host may use two (of a virtual machine, where waking another CPU
is an interrupt); one that comes as a notification is 9 us either way.  So threads that talk a lot are kept on pylx's
CPU, and threads that compute are free to leave it (placement.py).
"""

from __future__ import annotations

import ctypes
import os

from translator.engines.interrupts import Interrupts
from translator.engines.notify import Notifications
from translator.engines.pico import CommandPage, HostProcess, Zygote, make_zygote
from translator.engines.placement import Placement
from translator.engines.ptrace_binding import ExtendedState, TraceeGone, libc
from translator.engines.ptrace_cpu import PtraceCpu
from translator.engines.ptrace_files import FileStore
from translator.engines.ptrace_run import GuestRunner
from translator.engines.ptrace_space import PtraceSpace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from translator.machine import AddressSpace, TrapSink

AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ = 16, 26, 51
MAX_DYING = 16


class EngineUnavailable(Exception):
    """This engine cannot work here; the message says why."""


class PtraceEngine(GuestRunner):
    """Implements machine.Engine."""

    name = "ptrace"
    own_areas = 8
    """Mappings of a guest process that are the engine's: the host counts them too (vm.max_map_count)."""

    def __init__(self, one_cpu: bool = True, notify: bool = True) -> None:
        """`one_cpu`: keep pylx and its guests on one CPU; `notify`: use user notification where the system has
        it."""
        super().__init__()
        self.pid = os.getpid()
        self.store = FileStore()
        self.spaces: set[PtraceSpace] = set()
        self.xstate = ExtendedState()
        self._dying: list[HostProcess] = []
        self._closed = False
        self.placement = Placement(one_cpu)
        interrupts = None
        try:
            self.commands = CommandPage(self.placement)
            interrupts = self.interrupts = Interrupts()
            zygote = self._zygote(notify)
        except (OSError, TraceeGone) as error:
            self.placement.close()
            if interrupts is not None:
                interrupts.close()
            raise EngineUnavailable(_reason(error)) from None
        self.zygote = zygote.process
        self.vdso_parts, self.vdso_base = zygote.vdso_parts, zygote.vdso_base
        self.notifications = Notifications(zygote.listener, interrupts) if zygote.listener >= 0 else None
        tid = self.zygote.pid
        image = bytearray(self.xstate.get(tid))
        self.xfeatures = int.from_bytes(image[464:472], "little")
        """XCR0 as far as the guest sees it: what may be in an XSAVE image."""
        image[:] = bytes(len(image))
        image[0:2] = b"\x7f\x03"
        image[24:28] = (0x1F80).to_bytes(4, "little")
        image[28:32] = b"\xff\xff\0\0"
        image[464:472] = self.xfeatures.to_bytes(8, "little")
        self.initial_xstate = bytes(image)
        self.signal_frame_size = _auxiliary(AT_MINSIGSTKSZ)
        """What a frame with all this state needs: AT_MINSIGSTKSZ."""

    def _zygote(self, notify: bool) -> Zygote:
        if notify:
            try:
                return make_zygote(self.commands, True)
            except OSError:
                pass  # Linux before 5.6, or a container that forbids it: stops will do
        return make_zygote(self.commands, False)

    # --- Engine

    def attach(self, sink: TrapSink) -> None:
        self.sink = sink

    def new_space(self) -> PtraceSpace:
        """MemoryError."""
        self._reap(False)
        try:
            space = PtraceSpace(self, self.zygote.fork())
        except TraceeGone:
            raise MemoryError("the first guest process was killed by the host") from None
        self.spaces.add(space)
        space.show_vdso()
        return space

    def new_cpu(self, space: AddressSpace) -> PtraceCpu:
        assert isinstance(space, PtraceSpace)
        return PtraceCpu(self, space)

    def hwcap(self) -> tuple[int, int]:
        return _auxiliary(AT_HWCAP), _auxiliary(AT_HWCAP2)

    def cpuinfo(self) -> dict[str, str]:
        out = {}
        with open("/proc/cpuinfo", encoding="latin-1") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if not name.strip():
                    break
                out[name.strip()] = value.strip()
        for name in ("processor", "physical id", "siblings", "core id", "cpu cores", "apicid", "initial apicid"):
            out.pop(name, None)
        return out

    def end(self, process: HostProcess) -> None:
        """Kill a pico process; it is collected later."""
        process.kill()
        self._dying.append(process)
        self._reap(len(self._dying) > MAX_DYING)

    def _reap(self, block: bool) -> None:
        self._dying = [process for process in self._dying if not process.reaped(block)]

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for space in list(self.spaces):
            space.process.kill()
            self._dying.append(space.process)
        self.zygote.kill()
        self._dying.append(self.zygote)
        self._reap(True)
        self.commands.close()
        if self.notifications is not None:
            self.notifications.close()
        self.interrupts.close()
        self.placement.close()


def _auxiliary(kind: int) -> int:
    getauxval = libc.getauxval
    getauxval.restype = ctypes.c_ulong
    getauxval.argtypes = [ctypes.c_ulong]
    return int(getauxval(kind))


def _reason(error: Exception) -> str:
    if isinstance(error, TraceeGone):
        return "the first guest process was killed by the system"
    assert isinstance(error, OSError)
    if error.strerror != os.strerror(error.errno or 0):
        return f"{error.strerror} ({os.strerror(error.errno or 0)})"
    if error.errno in (1, 13):
        words = "tracing processes is not permitted here (a container's seccomp profile, or kernel.yama.ptrace_scope)"
        try:
            with open("/proc/sys/kernel/yama/ptrace_scope", encoding="ascii") as file:
                if file.read(1) in "23":
                    words = "kernel.yama.ptrace_scope forbids tracing processes"
        except OSError:
            pass
        return words
    return f"{error.strerror or error}"
