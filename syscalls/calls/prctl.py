"""prctl, arch_prctl, seccomp: switches of a process."""

from __future__ import annotations

import struct

from syscalls.abi.errno import (
    EINVAL,
    ENODEV,
    ENXIO,
    EOPNOTSUPP,
    EPERM,
    LinuxError,
)
from syscalls.abi.mm import (
    MDWE_NO_INHERIT,
    MDWE_REFUSE_EXEC_GAIN,
    VM_MERGEABLE,
)
from syscalls.credentials import CAP_LAST, CAP_SETPCAP, CAP_SYS_RESOURCE
from syscalls.table import PARTIAL, REFUSED, syscall
from translator.machine import FS_BASE, GS_BASE, TASK_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.table import S32, U32, U64, Addr
    from syscalls.task import Task

    Option = Callable[[Task, int, int, int, int], int]

OPTIONS: dict[int, Option] = {}


def option(number: int) -> Callable[[Option], Option]:
    def declare(handler: Option) -> Option:
        OPTIONS[number] = handler
        return handler
    return declare


@syscall(157, support=PARTIAL("options for other processors, memory layout (PR_SET_MM) and core scheduling are refused "
                              "as a kernel built without them does"),
         unsupported={"PR_SET_SECCOMP": 22, "PR_SET_MM": 35, "PR_SET_SYSCALL_USER_DISPATCH": 59, "PR_SCHED_CORE": 62})
def prctl(task: Task, option: S32, arg2: U64, arg3: U64, arg4: U64, arg5: U64) -> int:
    handler = OPTIONS.get(option)
    if handler is None:
        if option not in ABSENT:
            task.kernel.gap(task, "prctl", option)
        raise LinuxError(ABSENT.get(option, EINVAL))
    return handler(task, arg2, arg3, arg4, arg5)


ABSENT = {
    5: EINVAL, 6: EINVAL,      # PR_GET_UNALIGN, PR_SET_UNALIGN: not on x86
    9: EINVAL, 10: EINVAL,     # PR_GET_FPEMU, PR_SET_FPEMU: not on x86
    11: EINVAL, 12: EINVAL,    # PR_GET_FPEXC, PR_SET_FPEXC
    19: EINVAL, 20: EINVAL,    # PR_GET_ENDIAN, PR_SET_ENDIAN
    43: EINVAL, 44: EINVAL,    # PR_MPX_*: removed from Linux 5.4
    45: EINVAL, 46: EINVAL,    # PR_SET_FP_MODE, PR_GET_FP_MODE: MIPS
    50: EINVAL, 51: EINVAL,    # PR_SVE_*
    54: EINVAL,                # PR_PAC_RESET_KEYS
    55: EINVAL, 56: EINVAL,    # PR_SET_TAGGED_ADDR_CTRL, PR_GET_TAGGED_ADDR_CTRL
    60: EINVAL, 61: EINVAL,    # PR_PAC_*
    62: EINVAL,                # PR_SCHED_CORE: no simultaneous multithreading
    63: EINVAL, 64: EINVAL,    # PR_SME_*
}


def _no_more(*rest: int) -> None:
    if any(rest):
        raise LinuxError(EINVAL)


# --- names and death


@option(15)
def set_name(task: Task, address: int, _3: int, _4: int, _5: int) -> int:
    # strncpy_from_user of 15 bytes: a shorter string may end before an unmapped page.
    name = b""
    for offset in range(15):
        byte = task.mem.read(address + offset, 1)
        if byte == b"\0":
            break
        name += byte
    task.comm = name
    return 0


@option(16)
def get_name(task: Task, address: int, _3: int, _4: int, _5: int) -> int:
    task.mem.write(address, task.comm[:15].ljust(16, b"\0"))
    return 0


@option(1)
def set_pdeathsig(task: Task, signo: int, _3: int, _4: int, _5: int) -> int:
    if signo > 64:
        raise LinuxError(EINVAL)
    task.parent_death_signal = signo
    return 0


@option(2)
def get_pdeathsig(task: Task, address: int, _3: int, _4: int, _5: int) -> int:
    task.mem.put_u32(address, task.parent_death_signal)
    return 0


@option(3)
def get_dumpable(task: Task, _2: int, _3: int, _4: int, _5: int) -> int:
    return task.group.dumpable


@option(4)
def set_dumpable(task: Task, value: int, _3: int, _4: int, _5: int) -> int:
    if value not in (0, 1):
        raise LinuxError(EINVAL)
    task.group.dumpable = value
    return 0


@option(36)
def set_child_subreaper(task: Task, value: int, _3: int, _4: int, _5: int) -> int:
    task.group.is_subreaper = value != 0
    return 0


@option(37)
def get_child_subreaper(task: Task, address: int, _3: int, _4: int, _5: int) -> int:
    task.mem.put_u32(address, int(task.group.is_subreaper))
    return 0


# --- privileges

SECURE_ALL_BITS, SECURE_ALL_LOCKS = 0x55, 0xAA
SECURE_NO_CAP_AMBIENT_RAISE, SECURE_KEEP_CAPS, SECURE_KEEP_CAPS_LOCKED = 64, 16, 32


@option(7)
def get_keepcaps(task: Task, _2: int, _3: int, _4: int, _5: int) -> int:
    return int(task.keep_capabilities or bool(task.cred.securebits & SECURE_KEEP_CAPS))


@option(8)
def set_keepcaps(task: Task, value: int, _3: int, _4: int, _5: int) -> int:
    if value > 1:
        raise LinuxError(EINVAL)
    if task.cred.securebits & SECURE_KEEP_CAPS_LOCKED:
        raise LinuxError(EPERM)
    task.keep_capabilities = bool(value)
    bits = task.cred.securebits & ~SECURE_KEEP_CAPS
    task.cred = task.cred.replaced(securebits=bits | SECURE_KEEP_CAPS if value else bits)
    return 0


@option(38)
def set_no_new_privs(task: Task, value: int, arg3: int, arg4: int, arg5: int) -> int:
    if value != 1:
        raise LinuxError(EINVAL)
    _no_more(arg3, arg4, arg5)
    task.no_new_privs = True
    return 0


@option(39)
def get_no_new_privs(task: Task, arg2: int, arg3: int, arg4: int, arg5: int) -> int:
    _no_more(arg2, arg3, arg4, arg5)
    return int(task.no_new_privs)


@option(27)
def get_securebits(task: Task, _2: int, _3: int, _4: int, _5: int) -> int:
    return task.cred.securebits


@option(28)
def set_securebits(task: Task, bits: int, _3: int, _4: int, _5: int) -> int:
    old = task.cred.securebits
    locked = (old & SECURE_ALL_LOCKS) >> 1
    if (locked & (old ^ bits) or old & SECURE_ALL_LOCKS & ~bits or bits & ~(SECURE_ALL_BITS | SECURE_ALL_LOCKS)
            or not task.cred.capable(CAP_SETPCAP)):
        raise LinuxError(EPERM)
    task.cred = task.cred.replaced(securebits=bits)
    task.keep_capabilities = bool(bits & SECURE_KEEP_CAPS)
    return 0


@option(23)
def capbset_read(task: Task, capability: int, _3: int, _4: int, _5: int) -> int:
    if capability > CAP_LAST:
        raise LinuxError(EINVAL)
    return task.cred.bounding >> capability & 1


@option(24)
def capbset_drop(task: Task, capability: int, _3: int, _4: int, _5: int) -> int:
    if not task.cred.capable(CAP_SETPCAP):
        raise LinuxError(EPERM)
    if capability > CAP_LAST:
        raise LinuxError(EINVAL)
    task.cred = task.cred.replaced(bounding=task.cred.bounding & ~(1 << capability))
    return 0


AMBIENT_IS_SET, AMBIENT_RAISE, AMBIENT_LOWER, AMBIENT_CLEAR_ALL = 1, 2, 3, 4


@option(47)
def cap_ambient(task: Task, action: int, capability: int, arg4: int, arg5: int) -> int:
    cred = task.cred
    if action == AMBIENT_CLEAR_ALL:
        _no_more(capability, arg4, arg5)
        task.cred = cred.replaced(ambient=0)
        return 0
    if arg4 or arg5 or capability > CAP_LAST:
        raise LinuxError(EINVAL)
    one = 1 << capability
    if action == AMBIENT_IS_SET:
        return int(bool(cred.ambient & one))
    if action == AMBIENT_LOWER:
        task.cred = cred.replaced(ambient=cred.ambient & ~one)
        return 0
    if action != AMBIENT_RAISE:
        raise LinuxError(EINVAL)
    if not cred.cap_permitted & cred.cap_inheritable & one or cred.securebits & SECURE_NO_CAP_AMBIENT_RAISE:
        raise LinuxError(EPERM)
    task.cred = cred.replaced(ambient=cred.ambient | one)
    return 0


# --- seccomp

SECCOMP_MODE_STRICT, SECCOMP_MODE_FILTER = 1, 2
SECCOMP_SET_MODE_STRICT, SECCOMP_SET_MODE_FILTER, SECCOMP_GET_ACTION_AVAIL, SECCOMP_GET_NOTIF_SIZES = range(4)
NO_FILTERS = "system calls are not filtered: a filter that is not enforced would be a false promise"


@option(21)
def get_seccomp(task: Task, _2: int, _3: int, _4: int, _5: int) -> int:
    return 0


@option(22)
def set_seccomp(task: Task, mode: int, _3: int, _4: int, _5: int) -> int:
    task.kernel.gap(task, "prctl(PR_SET_SECCOMP)", mode)
    raise LinuxError(EINVAL)


@syscall(317, since="3.17", support=REFUSED(EINVAL, NO_FILTERS))
def seccomp(task: Task, operation: U32, flags: U32, args: Addr) -> int:
    if operation == SECCOMP_GET_ACTION_AVAIL:
        if flags:
            raise LinuxError(EINVAL)
        task.mem.u32(args)
        raise LinuxError(EOPNOTSUPP)
    if operation == SECCOMP_GET_NOTIF_SIZES:
        if flags:
            raise LinuxError(EINVAL)
        # struct seccomp_notif, seccomp_notif_resp, seccomp_data.
        task.mem.write(args, struct.pack("<HHH", 80, 24, 64))
        return 0
    task.kernel.gap(task, "seccomp", operation)
    raise LinuxError(EINVAL)


# --- timing, memory, processors


@option(13)
def get_timing(task: Task, _2: int, _3: int, _4: int, _5: int) -> int:
    return 0


@option(14)
def set_timing(task: Task, value: int, _3: int, _4: int, _5: int) -> int:
    if value:
        raise LinuxError(EINVAL)
    return 0


TSC_ENABLE, TSC_SIGSEGV = 1, 2


@option(25)
def get_tsc(task: Task, address: int, _3: int, _4: int, _5: int) -> int:
    task.mem.put_u32(address, TSC_ENABLE)
    return 0


@option(26)
def set_tsc(task: Task, value: int, _3: int, _4: int, _5: int) -> int:
    if value != TSC_ENABLE:
        # The engine cannot make RDTSC fault.
        raise LinuxError(EINVAL)
    return 0


@option(29)
def set_timerslack(task: Task, value: int, _3: int, _4: int, _5: int) -> int:
    if task.sched_policy in (1, 2):
        return 0
    task.timer_slack_ns = value or task.default_timer_slack_ns
    return 0


@option(30)
def get_timerslack(task: Task, _2: int, _3: int, _4: int, _5: int) -> int:
    slack = 0 if task.sched_policy in (1, 2) else task.timer_slack_ns
    return (slack ^ 1 << 63) - (1 << 63)


@option(31)
def task_perf_events_disable(task: Task, _2: int, _3: int, _4: int, _5: int) -> int:
    return 0


@option(32)
def task_perf_events_enable(task: Task, _2: int, _3: int, _4: int, _5: int) -> int:
    return 0


MCE_KILL_CLEAR, MCE_KILL_SET, MCE_KILL_DEFAULT = 0, 1, 2


@option(33)
def mce_kill(task: Task, action: int, policy: int, arg4: int, arg5: int) -> int:
    _no_more(arg4, arg5)
    if action == MCE_KILL_CLEAR:
        _no_more(policy)
        task.mce_kill = MCE_KILL_DEFAULT
    elif action == MCE_KILL_SET:
        if policy > MCE_KILL_DEFAULT:
            raise LinuxError(EINVAL)
        # Early and late, as PR_MCE_KILL_GET names them.
        task.mce_kill = policy
    else:
        raise LinuxError(EINVAL)
    return 0


@option(34)
def mce_kill_get(task: Task, arg2: int, arg3: int, arg4: int, arg5: int) -> int:
    _no_more(arg2, arg3, arg4, arg5)
    return task.mce_kill


@option(35)
def set_mm(task: Task, what: int, address: int, size: int, arg5: int) -> int:
    if not task.cred.capable(CAP_SYS_RESOURCE):
        raise LinuxError(EPERM)
    task.kernel.gap(task, "prctl(PR_SET_MM)", what)
    raise LinuxError(EINVAL)


@option(40)
def get_tid_address(task: Task, address: int, _3: int, _4: int, _5: int) -> int:
    task.mem.put_u64(address, task.clear_child_tid)
    return 0


@option(41)
def set_thp_disable(task: Task, value: int, arg3: int, arg4: int, arg5: int) -> int:
    _no_more(arg3, arg4, arg5)
    task.group.thp_disabled = bool(value)
    return 0


@option(42)
def get_thp_disable(task: Task, arg2: int, arg3: int, arg4: int, arg5: int) -> int:
    _no_more(arg2, arg3, arg4, arg5)
    return int(task.group.thp_disabled)


PR_SPEC_NOT_AFFECTED = 0


@option(52)
def get_speculation_ctrl(task: Task, which: int, arg3: int, arg4: int, arg5: int) -> int:
    _no_more(arg3, arg4, arg5)
    if which > 2:
        raise LinuxError(ENODEV)
    return PR_SPEC_NOT_AFFECTED


@option(53)
def set_speculation_ctrl(task: Task, which: int, control: int, arg4: int, arg5: int) -> int:
    _no_more(arg4, arg5)
    raise LinuxError(ENODEV if which > 2 else ENXIO)


@option(57)
def set_io_flusher(task: Task, value: int, arg3: int, arg4: int, arg5: int) -> int:
    if not task.cred.capable(CAP_SYS_RESOURCE):
        raise LinuxError(EPERM)
    _no_more(arg3, arg4, arg5)
    if value > 1:
        raise LinuxError(EINVAL)
    task.io_flusher = bool(value)
    return 0


@option(58)
def get_io_flusher(task: Task, arg2: int, arg3: int, arg4: int, arg5: int) -> int:
    if not task.cred.capable(CAP_SYS_RESOURCE):
        raise LinuxError(EPERM)
    _no_more(arg2, arg3, arg4, arg5)
    return int(task.io_flusher)


@option(59)
def set_syscall_user_dispatch(task: Task, mode: int, offset: int, length: int, selector: int) -> int:
    if mode == 0:
        _no_more(offset, length, selector)
        return 0
    task.kernel.gap(task, "prctl(PR_SET_SYSCALL_USER_DISPATCH)", mode)
    raise LinuxError(EINVAL)


@option(65)
def set_mdwe(task: Task, bits: int, arg3: int, arg4: int, arg5: int) -> int:
    _no_more(arg3, arg4, arg5)
    if bits not in (0, MDWE_REFUSE_EXEC_GAIN, MDWE_REFUSE_EXEC_GAIN | MDWE_NO_INHERIT):
        raise LinuxError(EINVAL)
    if task.mm.mdwe not in (0, bits):
        raise LinuxError(EPERM)  # for good
    task.mm.mdwe = bits
    return 0


@option(66)
def get_mdwe(task: Task, arg2: int, arg3: int, arg4: int, arg5: int) -> int:
    _no_more(arg2, arg3, arg4, arg5)
    return task.mm.mdwe


@option(67)
def set_memory_merge(task: Task, on: int, arg3: int, arg4: int, arg5: int) -> int:
    _no_more(arg3, arg4, arg5)
    from syscalls.madvise import NOT_MERGED
    mm = task.mm
    if on or mm.merge_any:
        mm.merge_any = VM_MERGEABLE if on else 0
        for area in list(mm.vmas):
            if not area.flags & NOT_MERGED:
                mm.rewrite(area.start, area.end, None, mm.merge_any, VM_MERGEABLE & ~mm.merge_any)
    return 0


@option(68)
def get_memory_merge(task: Task, arg2: int, arg3: int, arg4: int, arg5: int) -> int:
    _no_more(arg2, arg3, arg4, arg5)
    return int(task.mm.merge_any != 0)


@option(77)
def timer_create_restore_ids(task: Task, what: int, arg3: int, arg4: int, arg5: int) -> int:
    _no_more(arg3, arg4, arg5)
    if what == 2:
        return int(task.group.timers is not None and task.group.timers.restores_ids)
    if what > 2:
        raise LinuxError(EINVAL)
    from syscalls.timers import timers_of
    timers_of(task.group).restores_ids = bool(what)
    return 0


@option(0x59616D61)
def set_ptracer(task: Task, pid: int, _3: int, _4: int, _5: int) -> int:
    # Without the Yama module.
    raise LinuxError(EINVAL)


PR_SET_VMA_ANON_NAME = 0


@option(0x53564D41)
def set_vma(task: Task, what: int, address: int, length: int, name: int) -> int:
    if what != PR_SET_VMA_ANON_NAME:
        raise LinuxError(EINVAL)
    text: bytes | None = None
    if name:
        text = task.mem.text(name, 80)
        if any(byte < 0x20 or byte > 0x7E or byte in b"\\`$[]" for byte in text):
            raise LinuxError(EINVAL)
    if address & 4095:
        raise LinuxError(EINVAL)
    end = address + (length + 4095 & ~4095)
    if end < address or end > TASK_SIZE:
        raise LinuxError(EINVAL)
    from syscalls.madvise import name_anonymous
    name_anonymous(task.mm, address, end - address, text)
    return 0


# --- arch_prctl

ARCH_SET_GS, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS = 0x1001, 0x1002, 0x1003, 0x1004
ARCH_GET_CPUID, ARCH_SET_CPUID = 0x1011, 0x1012
ARCH_GET_XCOMP_SUPP, ARCH_GET_XCOMP_PERM, ARCH_REQ_XCOMP_PERM = 0x1021, 0x1022, 0x1023
XFEATURES = 3


@syscall(158, support=PARTIAL("CPUID faulting, shadow stacks, address tagging: refused as by processors without them"))
def arch_prctl(task: Task, code: S32, address: Addr) -> int:
    cpu = task.cpu
    if code == ARCH_SET_FS:
        if address >= TASK_SIZE:
            raise LinuxError(EPERM)
        cpu.set(FS_BASE, address)
    elif code == ARCH_GET_FS:
        task.mem.put_u64(address, cpu.get(FS_BASE))
    elif code == ARCH_SET_GS:
        if address >= TASK_SIZE:
            raise LinuxError(EPERM)
        cpu.set(GS_BASE, address)
    elif code == ARCH_GET_GS:
        task.mem.put_u64(address, cpu.get(GS_BASE))
    elif code == ARCH_GET_CPUID:
        return 1
    elif code == ARCH_SET_CPUID:
        raise LinuxError(ENODEV)
    elif code in (ARCH_GET_XCOMP_SUPP, ARCH_GET_XCOMP_PERM):
        task.mem.put_u64(address, XFEATURES)
    elif code == ARCH_REQ_XCOMP_PERM:
        raise LinuxError(EINVAL if address > 63 else EOPNOTSUPP)
    else:
        raise LinuxError(EINVAL)
    return 0
