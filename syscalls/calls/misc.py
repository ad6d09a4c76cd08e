"""The system as a whole: uname, sysinfo, random bytes, the kernel log, rebooting."""

from __future__ import annotations

import struct

from syscalls.abi.errno import EINVAL, EPERM, LinuxError
from syscalls.abi.process import GRND_INSECURE, GRND_NONBLOCK, GRND_RANDOM
from syscalls.abi.uts import MACHINE, SYSNAME
from syscalls.table import PARTIAL, REFUSED, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import GrndFlags, Name, Sysinfo, Utsname
    from syscalls.table import S32, U32, Flags, In, Out, OutBuf, Size
    from syscalls.task import Task

FIELD = 65
"""Bytes of a name in struct new_utsname."""
PER_LINUX32, PER_MASK, UNAME26 = 8, 0xFF, 0x0020000


@syscall(63, needs=("machine.name",))
def uname(task: Task, buffer: Out[Utsname]) -> int:
    kernel = task.kernel
    release = kernel.release
    if task.personality & UNAME26:
        # Pretend to be 2.6: 6.1-x is 2.6.61-x, 4.4.0-x 2.6.64-x (override_release).
        minor = release.split(b".")[1]
        number = int(minor.partition(b"-")[0])
        release = b"2.6.%d%s" % (number + 60, release.lstrip(b"0123456789."))
    machine = b"i686" if task.personality & PER_MASK == PER_LINUX32 else MACHINE
    names = (SYSNAME, kernel.hostname, release, kernel.version, machine, kernel.domainname)
    task.mem.write(buffer, b"".join(name[:FIELD - 1].ljust(FIELD, b"\0") for name in names))
    return 0


CAP_SYS_ADMIN, CAP_SYS_BOOT, CAP_SYS_TTY_CONFIG, CAP_SYS_PACCT, CAP_SYSLOG = 21, 22, 26, 20, 34


def _name_argument(task: Task, name: int, length: int) -> bytes:
    if not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    if not 0 <= length <= FIELD - 1:
        raise LinuxError(EINVAL)
    return task.mem.read(name, length).partition(b"\0")[0]


@syscall(170, support=PARTIAL("changes the guests' name, not the host's"))
def sethostname(task: Task, name: In[Name], length: S32) -> int:
    task.kernel.hostname = _name_argument(task, name, length)
    return 0


@syscall(171, support=PARTIAL("changes the guests' name, not the host's"))
def setdomainname(task: Task, name: In[Name], length: S32) -> int:
    task.kernel.domainname = _name_argument(task, name, length)
    return 0


@syscall(99, needs=("machine.memory", "machine.load", "clocks.boottime"))
def sysinfo(task: Task, info: Out[Sysinfo]) -> int:
    kernel = task.kernel
    total, available = kernel.host.memory()
    loads = [int(load * 65536) for load in kernel.host.loadavg()]
    uptime = kernel.clock.boottime() // 1_000_000_000
    # unit 1: sizes in bytes.  Swap, high memory, shared and buffer pages are the host's own business.
    task.mem.write(info, struct.pack("<q3Q6QHHxxxxQQIxxxx", uptime, *loads, total, available, 0, 0, 0, 0,
                                     min(len(kernel.tasks), 65535), 0, 0, 0, 1))
    return 0


@syscall(318, since="3.17", needs=("random.bytes",))
def getrandom(task: Task, buffer: OutBuf, length: Size, flags: Flags[GrndFlags]) -> int:
    if flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE):
        raise LinuxError(EINVAL)
    if flags & (GRND_RANDOM | GRND_INSECURE) == GRND_RANDOM | GRND_INSECURE:
        raise LinuxError(EINVAL)
    length = min(length, 0x7FFFF000)
    task.mem.check_range(buffer, length)
    done = 0
    # A page at a time, as Linux fills it: EFAULT only when nothing could be written.
    while done < length:
        size = min(length - done, 1 << 16)
        try:
            task.mem.write(buffer + done, task.kernel.random(size))
        except LinuxError:
            good = task.mem.writable(buffer + done, size)
            if good:
                task.mem.write(buffer + done, task.kernel.random(good))
            if done + good:
                return done + good
            raise
        done += size
    return done


@syscall(103, support=PARTIAL("the kernel log is empty"))
def syslog(task: Task, kind: S32, buffer: OutBuf, length: S32) -> int:
    if not 0 <= kind <= 10:
        raise LinuxError(EINVAL)
    if not task.cred.capable(CAP_SYSLOG) and kind not in (3, 10):
        raise LinuxError(EPERM)
    if kind in (2, 3, 4):
        if not buffer or length < 0:
            raise LinuxError(EINVAL)
        return 0
    if kind == 8 and not 1 <= length <= 8:
        raise LinuxError(EINVAL)
    return 1 << 17 if kind == 10 else 0


@syscall(135, support=PARTIAL("READ_IMPLIES_EXEC works, the rest is kept and told back; layouts are never randomized, "
                              "and no other ABI is there"))
def personality(task: Task, persona: U32) -> int:
    before = task.personality
    if persona != 0xFFFFFFFF:
        task.personality = persona
    return before


@syscall(309, since="2.6.19")
def getcpu(task: Task, cpu: Out[U32], node: Out[U32], unused: U32) -> int:
    number = task.cpu.processor()
    try:
        if cpu:
            task.mem.put_u32(cpu, number if number >= 0 else task.cpu_number)
    finally:  # a bad address of the one does not keep the other from being told
        if node:
            task.mem.put_u32(node, 0)
    return 0


@syscall(163, support=REFUSED(EPERM, "process accounting is the host's"))
def acct(task: Task, path: In[Name]) -> int:
    raise LinuxError(EPERM)


LINUX_REBOOT_MAGIC1 = 0xFEE1DEAD
LINUX_REBOOT_MAGIC2 = (672274793, 85072278, 369367448, 537993216)


@syscall(169, support=REFUSED(EPERM, "the machine is the host's"))
def reboot(task: Task, magic: U32, magic2: U32, command: U32, argument: In[Name]) -> int:
    if not task.cred.capable(CAP_SYS_BOOT):
        raise LinuxError(EPERM)
    if magic != LINUX_REBOOT_MAGIC1 or magic2 not in LINUX_REBOOT_MAGIC2:
        raise LinuxError(EINVAL)
    raise LinuxError(EPERM)


@syscall(153)
def vhangup(task: Task) -> int:
    if not task.cred.capable(CAP_SYS_TTY_CONFIG):
        raise LinuxError(EPERM)
    tty = task.group.session.tty
    if tty is not None:
        from syscalls.ctty import hangup
        hangup(tty)
    return 0
