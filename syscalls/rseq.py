"""Restartable sequences (man 2 rseq; kernel/rseq.c).

Where one task runs at a time it is on the CPU that it has chosen by its affinity, so that the CPU fields change only
with that; what can break a critical section is pre-emption or a signal, and then the abort handler runs.  Where the
host schedules guest threads the area is registered with it too (Cpu.rseq), and only signals are left to us.
"""

from __future__ import annotations

import struct

from syscalls.abi.errno import LinuxError
from syscalls.abi.signal import SI_KERNEL, SIGSEGV
from syscalls.siginfo import SigInfo
from translator.machine import RIP, TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

_CRITICAL = struct.Struct("<IIQQQ")
"""struct rseq_cs: version, flags, start_ip, post_commit_offset, abort_ip."""
CPU_ID_UNINITIALIZED = 0xFFFFFFFF
RSEQ_MIN_SIZE = 32


def write_ids(task: Task) -> None:
    """cpu_id_start, cpu_id; node_id and mm_cid when the area has them.  EFAULT."""
    task.mem.write(task.rseq, struct.pack("<II", task.cpu_number, task.cpu_number))
    if task.rseq_length >= 28:
        # node_id, and the number that is unique among the running threads of this memory: one runs at a time.
        task.mem.write(task.rseq + 20, struct.pack("<II", 0, 0))


def clear_ids(task: Task) -> None:
    """As unregistering leaves them.  EFAULT."""
    task.mem.write(task.rseq, struct.pack("<II", 0, CPU_ID_UNINITIALIZED))
    if task.rseq_length >= 28:
        task.mem.write(task.rseq + 20, struct.pack("<II", 0, 0))


def fix_ip(task: Task) -> None:
    """If the task is inside a critical section, make it go on at the abort address (rseq_ip_fixup)."""
    try:
        critical = task.mem.u64(task.rseq + 8)
        if not critical:
            return
        if critical >= TASK_SIZE:
            raise LinuxError(14)
        version, _flags, start, length, abort = _CRITICAL.unpack(task.mem.read(critical, _CRITICAL.size))
        if start >= TASK_SIZE or start + length >= TASK_SIZE or abort >= TASK_SIZE or version:
            raise LinuxError(22)
        if abort - start >= 0 and abort - start < length:
            raise LinuxError(22)
        if task.mem.u32(abort - 4) != task.rseq_signature:
            raise LinuxError(22)
        ip = task.cpu.get(RIP)
        # Inside or not, the pointer is of no more use (lazy clear).
        task.mem.put_u64(task.rseq + 8, 0)
        if start <= ip < start + length:
            task.cpu.set(RIP, abort)
    except LinuxError:
        from syscalls.signals import force
        force(task, SigInfo(SIGSEGV, SI_KERNEL))


def preempted(task: Task) -> None:
    """Another task ran since this one did."""
    if not task.rseq_by_host:
        fix_ip(task)


def forget(task: Task) -> None:
    """The area is not used any more: by unregistering, exec or exit, before its memory may be used otherwise."""
    if task.rseq_by_host:
        task.rseq_by_host = False
        task.cpu.rseq(0, 0, 0)
    task.rseq = 0
