"""Pico processes: host processes whose image is one page of stub code, filled by pylx with what the guest maps.

Each has a leader thread that never runs guest code.  It sleeps in a ptrace stop; when pylx wants something of the
process (a mapping, a new thread, a copy of itself for fork) it writes calls into the *command page*, which all pico
processes share read-only, and lets the leader go: it makes the calls and stops again at a breakpoint.  Guest threads
are other threads of the process.  All run under the filter of seccomp.py.

The first one, the zygote, is a tiny ELF file in a memfd, executed without environment, descriptors or terminal; the
others are copies of it, or of each other.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from array import array

from translator.engines.ptrace_binding import (
    EVENT_STOP,
    PTRACE_CONT,
    PTRACE_GETREGS,
    PTRACE_INTERRUPT,
    PTRACE_O_EXITKILL,
    PTRACE_O_TRACESECCOMP,
    PTRACE_SEIZE,
    PTRACE_SETREGS,
    STOPPED,
    TRAP_STOP,
    WALL,
    WNOHANG,
    RegisterSet,
    TraceeGone,
    get_errno,
    libc,
    request,
    wait_for,
    waitpid,
)
from translator.engines.seccomp import guest_filter
from translator.machine import R8, R9, R10, R12, R13, R14, R15, RAX, RBX, RDI, RDX, RIP, RSI, RSP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from translator.engines.placement import Placement

STUB = 0x7100_0000_0000
"""A place that nothing else wants: the kernel's mm would place something here after 15 TiB."""
COMMANDS = STUB + 0x2000
COMMAND_BYTES = 0x8000
VDSO_PLACE = STUB + 0x40000
RESERVED_END = STUB + 0x100000

COMMAND_WORDS = 8
MAX_COMMANDS = 384
PATHS = 0x7000
"""Offset in the command page where path names lie."""

# as(1) made it of:
#   entry:  mov eax, 157; mov edi, 1; mov esi, 9; syscall      prctl(PR_SET_PDEATHSIG, SIGKILL)
#           push 0; push 10; mov rdi, rsp; xor esi, esi; mov eax, 35; syscall       nanosleep: pylx seizes us
#           mov edi, 1; mov eax, 231; syscall                   or never does: exit_group(1)
#   resume: movabs rbx, COMMANDS; mov r12, [rbx]                how many
#   next:   add rbx, 64; test r12, r12; jz done
#           mov rax, [rbx]; mov rdi, [rbx+8]; mov rsi, [rbx+16]; mov rdx, [rbx+24]; mov r10, [rbx+32]
#           mov r8, [rbx+40]; mov r9, r15; cmp eax, 9; jne call     the secret is the sixth argument,
#           or r10, r13; or r8, r14; mov r9, [rbx+48]           mmap's flags and descriptor have its halves above
#   call:   syscall
#           dec r12; cmp rax, -4095; jb next
#   done:   int3; jmp resume
#   cas:    lock cmpxchg [rdi], esi; int3; jmp resume
STUB_CODE = bytes.fromhex(
    "b89d000000" "bf01000000" "be09000000" "0f05" "6a00" "6a0a" "4889e7" "31f6" "b823000000" "0f05"
    "bf01000000" "b8e7000000" "0f05" "0f1f00"
    "48bb0020000000710000" "4c8b23" "4883c340" "4d85e4" "7436" "488b03" "488b7b08" "488b7310" "488b5318" "4c8b5320"
    "4c8b4328" "4d89f9" "83f809" "750a" "4d09ea" "4d09f0" "4c8b4b30" "0f05" "49ffcc" "483d01f0ffff" "72c1" "cc" "ebb1"
    "f00fb137" "cc" "ebaa")
ENTRY, RESUME, CALL, AFTER_CALL, CAS = STUB, STUB + 0x30, STUB + 0x6F, STUB + 0x71, STUB + 0x7F

NR_MMAP, NR_MPROTECT, NR_MUNMAP, NR_MREMAP, NR_MADVISE, NR_CLOSE = 9, 10, 11, 25, 28, 3
NR_CLONE, NR_PRCTL, NR_OPENAT, NR_PRLIMIT, NR_SECCOMP, NR_MINCORE = 56, 157, 257, 302, 317, 27
PROT_READ, PROT_WRITE = 1, 2
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_NORESERVE = 1, 2, 0x10, 0x20, 0x4000
CLONE_THREAD_FLAGS = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000
"""VM, FS, FILES, SIGHAND, THREAD, SYSVSEM."""
CLONE_PTRACE, CLONE_PARENT, SIGCHLD = 0x2000, 0x8000, 17
PR_SET_NO_NEW_PRIVS, PR_SET_NAME = 38, 15
RLIMIT_CORE = 4
AT_FDCWD = -100 & (1 << 64) - 1
WORD = (1 << 64) - 1
SIGKILL = 9
EFAULT = 14
FAULT_STOPS = (7 << 8 | STOPPED, 11 << 8 | STOPPED)
"""Of SIGBUS and SIGSEGV."""
FILTER_FLAG_NEW_LISTENER, NR_PIDFD_GETFD = 8, 438


def stub_image() -> bytes:
    """A static ELF executable of one page of code."""
    code_offset = 64 + 2 * 56
    # The page must begin with the stub at its very start, so the headers lie in a page of their own.
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, ENTRY, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 4096, STUB, STUB, len(STUB_CODE), len(STUB_CODE), 4096)
    stack = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)
    assert len(header + load + stack) == code_offset
    return (header + load + stack).ljust(4096, b"\0") + STUB_CODE


class CallFailed(Exception):
    """A call of the stub failed: its number in the batch, and the host's errno."""

    def __init__(self, index: int, errno: int) -> None:
        super().__init__(index, errno)
        self.index = index
        self.errno = errno


class CommandPage:
    """What the leaders read their calls from; one for all, since only one of them runs at a time."""

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        try:
            self.fd = os.memfd_create("commands", os.MFD_CLOEXEC)
        except OSError as error:
            raise OSError(error.errno, "this system refuses memfd_create") from None
        os.ftruncate(self.fd, COMMAND_BYTES)
        self._map = mmap.mmap(self.fd, COMMAND_BYTES)
        self.bytes = memoryview(self._map)
        self.words = self.bytes.cast("Q")

    def close(self) -> None:
        self.words.release()
        self.bytes.release()
        self._map.close()
        os.close(self.fd)


class HostProcess:
    """A pico process: its leader, and the threads that wait to be used."""

    __slots__ = ("alive", "commands", "idle", "memory", "pid", "place", "registers", "threads")

    def __init__(self, pid: int, commands: CommandPage, registers: RegisterSet) -> None:
        """The leader is in a ptrace stop in the stub."""
        self.pid = pid
        self.commands = commands
        self.registers = registers
        self.alive = True
        self.place = commands.placement.cpu
        """The CPU that the leader is on, and so the threads that it makes."""
        self.threads: set[int] = set()
        """Threads besides the leader."""
        self.idle: list[int] = []
        """Those of them that no CPU uses."""
        self.memory = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)

    # --- calls

    def _go(self) -> None:
        """Let the leader run to its breakpoint, and fetch its registers."""
        pid = self.pid
        placement = self.commands.placement
        if self.place != placement.cpu:
            self.place = placement.place(pid)
        try:
            while True:
                request(PTRACE_CONT, pid)
                status = wait_for(pid)
                if status == TRAP_STOP:
                    break
                # Signals from outside are not for us.
            request(PTRACE_GETREGS, pid, 0, self.registers.address)
        except TraceeGone:
            self.alive = False
            raise

    def calls(self, batch: Sequence[int] | array[int], count: int) -> int:
        """Make `count` calls, eight words each (number and arguments); the last one's result.  CallFailed at the
        first that fails, TraceeGone."""
        words = self.commands.words
        words[0] = count
        words[COMMAND_WORDS:COMMAND_WORDS * (count + 1)] = batch if isinstance(batch, array) else array("Q", batch)
        self._go()
        registers = self.registers.words
        result = registers[RAX]
        if result > WORD - 4095:
            raise CallFailed(count - registers[R12] - 1, (1 << 64) - result)
        return result

    def call(self, number: int, *arguments: int) -> int:
        batch = [number, *(argument & WORD for argument in arguments)]
        return self.calls(batch + [0] * (COMMAND_WORDS - len(batch)), 1)

    def compare_and_swap(self, address: int, expected: int, new: int) -> int:
        """On a 32-bit word, atomically against threads that are running; what was there.  OSError when it cannot be
        accessed, TraceeGone."""
        pid = self.pid
        words = self.registers.words
        request(PTRACE_GETREGS, pid, 0, self.registers.address)
        words[RIP], words[RAX], words[RDI], words[RSI] = CAS, expected, address, new
        request(PTRACE_SETREGS, pid, 0, self.registers.address)
        while True:
            request(PTRACE_CONT, pid)
            status = wait_for(pid)
            if status == TRAP_STOP:
                request(PTRACE_GETREGS, pid, 0, self.registers.address)
                return words[RAX] & 0xFFFFFFFF
            if status in FAULT_STOPS:
                words[RIP] = RESUME
                request(PTRACE_SETREGS, pid, 0, self.registers.address)
                raise OSError(EFAULT, os.strerror(EFAULT))

    # --- threads and processes

    def take_thread(self) -> int:
        """A stopped thread for a CPU to use.  MemoryError when the host allows no more."""
        if self.idle:
            return self.idle.pop()
        try:
            tid = self.call(NR_CLONE, CLONE_THREAD_FLAGS | CLONE_PTRACE, 0, 0, 0, 0)
        except CallFailed as failure:
            raise MemoryError(f"no more host threads: {os.strerror(failure.errno)}") from None
        wait_for(tid)
        self.threads.add(tid)
        return tid

    def fork(self) -> HostProcess:
        """A copy, of the leader only.  MemoryError."""
        try:
            pid = self.call(NR_CLONE, CLONE_PARENT | CLONE_PTRACE | SIGCHLD, 0, 0, 0, 0)
        except CallFailed as failure:
            raise MemoryError(f"no more host processes: {os.strerror(failure.errno)}") from None
        wait_for(pid)
        child = HostProcess(pid, self.commands, self.registers)
        child.place = self.place
        # It stands behind its clone call; let it run to the breakpoint, so that its next calls are read afresh.
        self.commands.words[0] = 0
        request(PTRACE_GETREGS, pid, 0, self.registers.address)
        self.registers.words[RIP] = RESUME
        request(PTRACE_SETREGS, pid, 0, self.registers.address)
        return child

    def kill(self) -> None:
        """End the process; `reaped` tells when it is gone."""
        self.alive = False
        try:
            os.kill(self.pid, SIGKILL)
        except ProcessLookupError:
            pass
        if self.memory >= 0:
            os.close(self.memory)
            self.memory = -1

    def reaped(self, block: bool) -> bool:
        """Collect what is left of a killed process; False while it is not dead yet."""
        status = ctypes.c_int()
        address = ctypes.addressof(status)
        for tid in (*self.threads, self.pid):
            while True:
                got = waitpid(tid, address, WALL if block else WALL | WNOHANG)
                if got == 0:
                    return False
                if got < 0 and ctypes.get_errno() == 4:
                    continue
                if got > 0 and status.value & 0xFF == STOPPED:
                    continue
                break
            self.threads.discard(tid)
        return True


class Zygote:
    """The first pico process, and what it is like."""

    __slots__ = ("listener", "process", "vdso_base", "vdso_parts")

    def __init__(self, process: HostProcess, vdso_parts: list[tuple[int, int, int]], vdso_base: int,
                 listener: int) -> None:
        """What tells the filter that a call is pylx's: the sixth argument."""
        self.process = process
        self.vdso_parts = vdso_parts
        """Where the vDSO and its data were put: start, end, whether it is the code."""
        self.vdso_base = vdso_base
        """0: there is none."""
        self.listener = listener
        """Descriptor that user notifications of all guests come from; -1: none."""


def make_zygote(commands: CommandPage, notify: bool) -> Zygote:
    """Start the first pico process.  OSError when this system does not let us; with `notify` also when it has no user
    notification."""
    secret = int.from_bytes(os.urandom(8), "little") | 1 << 31
    pid = _spawn()
    try:
        request(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP)
        request(PTRACE_INTERRUPT, pid)
        while wait_for(pid) != EVENT_STOP:
            request(PTRACE_CONT, pid)
        return _furnish(pid, commands, secret, notify)
    except BaseException:
        try:
            os.kill(pid, SIGKILL)
            os.waitpid(pid, 0)
        except OSError:
            pass
        raise


def _spawn() -> int:
    flags = os.MFD_CLOEXEC
    try:
        image = os.memfd_create("pylx", flags | 0x10)  # MFD_EXEC
    except OSError:
        image = os.memfd_create("pylx", flags)
    try:
        os.write(image, stub_image())
        actions = [(os.POSIX_SPAWN_CLOSE, number) for number in _passed_on()]
        return os.posix_spawn(f"/proc/self/fd/{image}", ["pylx"], {}, file_actions=actions, setsid=True,
                              setsigmask=(), setsigdef=[number for number in range(1, 32) if number not in (9, 19)])
    finally:
        os.close(image)


def _passed_on() -> list[int]:
    """Descriptors of pylx that an exec would pass on."""
    out = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.get_inheritable(int(name)):
                out.append(int(name))
        except OSError:
            continue
    return out


def _furnish(pid: int, commands: CommandPage, secret: int, notify: bool) -> Zygote:
    registers = RegisterSet()
    process = HostProcess(pid, commands, registers)
    words = registers.words

    def single(number: int, *arguments: int) -> int:
        """One call with the arguments in registers: there is no command page yet."""
        words[RAX] = number
        for place, argument in zip((RDI, RSI, RDX, R10, R8, R9), (*arguments, 0, 0, 0, 0, 0, 0), strict=False):
            words[place] = argument & WORD
        words[R12] = 1
        words[RBX] = STUB
        words[RIP] = CALL
        request(PTRACE_SETREGS, pid, 0, registers.address)
        process._go()
        result = words[RAX]
        if result > WORD - 4095:
            raise OSError((1 << 64) - result, f"call {number} of the first guest process failed")
        return result

    request(PTRACE_GETREGS, pid, 0, registers.address)
    # The call it slept in is over, and shall not be started again.
    words[15] = WORD
    words[R13] = secret >> 32 << 32
    words[R14] = secret << 32 & WORD
    words[R15] = secret
    scratch = words[RSP] - 512
    os.pwrite(process.memory, f"/proc/{os.getpid()}/fd/{commands.fd}\0".encode(), scratch)
    # `next` follows a call that did not fail: with a count of one it goes to the breakpoint without reading further.
    fd = single(NR_OPENAT, AT_FDCWD, scratch, os.O_RDONLY)
    single(NR_MMAP, COMMANDS, COMMAND_BYTES, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0)
    single(NR_CLOSE, fd)
    request(PTRACE_GETREGS, pid, 0, registers.address)
    words[RIP] = RESUME
    words[RSP] = 0
    request(PTRACE_SETREGS, pid, 0, registers.address)

    parts, base = _clear(process)
    program = guest_filter(AFTER_CALL, secret, notify)
    place = PATHS
    commands.bytes[place + 16:place + 16 + len(program)] = program
    struct.pack_into("<HxxxxxxQ", commands.bytes, place, len(program) // 8, COMMANDS + place + 16)
    try:
        process.call(NR_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        fd = process.call(NR_SECCOMP, 1, FILTER_FLAG_NEW_LISTENER if notify else 0, COMMANDS + place)
    except CallFailed as failure:
        raise OSError(failure.errno, "this system has no seccomp filters") from None
    commands.bytes[place:place + 16 + len(program)] = bytes(16 + len(program))
    listener = -1
    if notify:
        listener = _take_descriptor(pid, fd)
        process.call(NR_CLOSE, fd)
    return Zygote(process, parts, base, listener)


def _take_descriptor(pid: int, fd: int) -> int:
    """pidfd_getfd(2)."""
    pidfd = os.pidfd_open(pid)
    try:
        got: int = libc.syscall(NR_PIDFD_GETFD, pidfd, fd, 0)
    finally:
        os.close(pidfd)
    if got < 0:
        raise OSError(get_errno(), "pidfd_getfd")
    return got


def _clear(process: HostProcess) -> tuple[list[tuple[int, int, int]], int]:
    """Unmap what execve made, put the vDSO aside, and set the limits."""
    vdso: list[tuple[int, int, int]] = []
    other: list[tuple[int, int]] = []
    base = 0
    with open(f"/proc/{process.pid}/maps", "rb") as lines:
        for line in lines:
            fields = line.split()
            low, high = (int(text, 16) for text in fields[0].split(b"-"))
            name = fields[5] if len(fields) > 5 else b""
            if name == b"[vdso]" or name.startswith(b"[vvar"):
                vdso.append((low, high, name == b"[vdso]"))
            elif not STUB <= low < RESERVED_END and name != b"[vsyscall]":
                other.append((low, high))
    parts = []
    if vdso and sum(1 for part in vdso if part[2]) == 1:
        # They find each other by distance: keep it.
        first = vdso[0][0]
        if vdso[-1][1] - first <= RESERVED_END - VDSO_PLACE:
            try:
                for low, high, code in vdso:
                    place = VDSO_PLACE + low - first
                    process.call(NR_MREMAP, low, high - low, high - low, 3, place)
                    parts.append((place, place + high - low, int(code)))
                    if code:
                        base = place
            except CallFailed:
                parts, base = [], 0
    for low, high in other:
        process.call(NR_MUNMAP, low, high - low)
    limits = process.commands.bytes
    struct.pack_into("<QQ", limits, PATHS, 0, 0)
    process.call(NR_PRLIMIT, 0, RLIMIT_CORE, COMMANDS + PATHS, 0)
    limits[PATHS:PATHS + 16] = b"guest\0".ljust(16, b"\0")
    process.call(NR_PRCTL, PR_SET_NAME, COMMANDS + PATHS, 0, 0, 0)
    limits[PATHS:PATHS + 16] = bytes(16)
    return parts, base
