"""Calls that are not served, with the reason, and the error that Linux gives without the feature or the right.

A program that asks finds out at once and takes its other path; every request is counted and told at the end.
"""

from __future__ import annotations

from syscalls.abi.errno import ENOSYS, EPERM, LinuxError
from syscalls.table import REFUSED, STUB, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.table import Addr, Support
    from syscalls.task import Task

HARDWARE = "ports and descriptor tables of the processor are not the guest's"
MODULES = "there is no kernel to load code into"
URING = "no io_uring, as a kernel built without CONFIG_IO_URING: programs fall back to epoll and read"
LSM = "no Linux security modules, as a kernel built without CONFIG_SECURITY"
GONE = "removed from Linux, or never there on x86-64"
NEWER = "newer than the kernel that uname(2) tells"

# number, name, version of Linux, level, errno, reason
CALLS = (
    (134, "uselib", "1.0", STUB, ENOSYS, "no CONFIG_USELIB: libraries of before ELF"),
    (154, "modify_ldt", "2.1", STUB, ENOSYS, HARDWARE),
    (156, "_sysctl", "1.3.57", STUB, ENOSYS, GONE),
    (167, "swapon", "1.0", REFUSED, EPERM, "swapping is the host's"),
    (168, "swapoff", "1.0", REFUSED, EPERM, "swapping is the host's"),
    (172, "iopl", "1.0", REFUSED, EPERM, HARDWARE),
    (173, "ioperm", "1.0", REFUSED, EPERM, HARDWARE),
    (174, "create_module", "1.0", STUB, ENOSYS, GONE),
    (175, "init_module", "1.0", REFUSED, EPERM, MODULES),
    (176, "delete_module", "1.0", REFUSED, EPERM, MODULES),
    (177, "get_kernel_syms", "1.0", STUB, ENOSYS, GONE),
    (178, "query_module", "2.2", STUB, ENOSYS, GONE),
    (180, "nfsservctl", "2.2", STUB, ENOSYS, GONE),
    (181, "getpmsg", "2.2", STUB, ENOSYS, GONE),
    (182, "putpmsg", "2.2", STUB, ENOSYS, GONE),
    (183, "afs_syscall", "2.4", STUB, ENOSYS, GONE),
    (184, "tuxcall", "2.4", STUB, ENOSYS, GONE),
    (185, "security", "2.5", STUB, ENOSYS, GONE),
    (205, "set_thread_area", "2.5", STUB, ENOSYS, GONE),
    (211, "get_thread_area", "2.5", STUB, ENOSYS, GONE),
    (212, "lookup_dcookie", "2.6", STUB, ENOSYS, GONE),
    (214, "epoll_ctl_old", "2.6", STUB, ENOSYS, GONE),
    (215, "epoll_wait_old", "2.6", STUB, ENOSYS, GONE),
    (236, "vserver", "2.6", STUB, ENOSYS, GONE),
    (246, "kexec_load", "2.6.13", REFUSED, EPERM, "the machine is the host's"),
    (298, "perf_event_open", "2.6.31", STUB, ENOSYS, "no performance counters, as a kernel built without them"),
    (313, "finit_module", "3.8", REFUSED, EPERM, MODULES),
    (320, "kexec_file_load", "3.17", REFUSED, EPERM, "the machine is the host's"),
    (321, "bpf", "3.18", REFUSED, EPERM, "there is no kernel to load code into"),
    (335, "uretprobe", "6.11", STUB, ENOSYS, NEWER),
    (425, "io_uring_setup", "5.1", STUB, ENOSYS, URING),
    (426, "io_uring_enter", "5.1", STUB, ENOSYS, URING),
    (427, "io_uring_register", "5.1", STUB, ENOSYS, URING),
    (451, "cachestat", "6.5", STUB, ENOSYS, NEWER),
    (459, "lsm_get_self_attr", "6.8", STUB, ENOSYS, LSM),
    (460, "lsm_set_self_attr", "6.8", STUB, ENOSYS, LSM),
    (461, "lsm_list_modules", "6.8", STUB, ENOSYS, LSM),
    (470, "listns", "6.19", STUB, ENOSYS, NEWER),
    (471, "rseq_slice_yield", "7.0", STUB, ENOSYS, NEWER),
)


def _declare(number: int, name: str, since: str, support: Support) -> None:
    def handler(task: Task, arg1: Addr, arg2: Addr, arg3: Addr, arg4: Addr) -> int:
        task.kernel.gap(task, "syscall", number)
        raise LinuxError(support.errno)
    handler.__name__ = name
    syscall(number, since=since, support=support)(handler)


for _number, _name, _since, _level, _errno, _reason in CALLS:
    _declare(_number, _name, _since, _level(_errno, _reason))
