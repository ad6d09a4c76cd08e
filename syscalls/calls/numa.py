"""Memory policy calls.  There is one node, 0, and every page is on it: policies are checked, kept and obeyed."""

from __future__ import annotations

from syscalls.abi.errno import EFAULT, EINVAL, EIO, ENODEV, ENOENT, EOPNOTSUPP, EPERM, ESRCH, LinuxError
from syscalls.abi.mm import (
    MPOL_BIND,
    MPOL_DEFAULT,
    MPOL_F_ADDR,
    MPOL_F_MEMS_ALLOWED,
    MPOL_F_NODE,
    MPOL_F_NUMA_BALANCING,
    MPOL_F_RELATIVE_NODES,
    MPOL_F_STATIC_NODES,
    MPOL_LOCAL,
    MPOL_MF_MOVE,
    MPOL_MF_MOVE_ALL,
    MPOL_MF_STRICT,
    MPOL_MF_VALID,
    MPOL_MODE_FLAGS,
    MPOL_PREFERRED,
    MPOL_PREFERRED_MANY,
    MPOL_WEIGHTED,
    PROT_READ,
)
from syscalls.mm import page_align
from syscalls.mremap import has_pages
from syscalls.table import FAKE, syscall
from translator.machine import PAGE_MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import NodeMask, PointerVector
    from syscalls.mm import Mm
    from syscalls.table import S32, U64, Addr, In, Out, Pid, Size
    from syscalls.task import Task

_ONE_NODE = FAKE("one node: any valid policy is already obeyed")


def _nodes(task: Task, mask: int, maximum: int) -> int:
    """get_nodes: the set of node numbers.  EINVAL: more bits than a page holds, or nodes that are not there."""
    maximum = maximum - 1 & (1 << 64) - 1
    if not maximum or not mask:
        return 0
    if maximum > 4096 * 8:
        raise LinuxError(EINVAL)
    raw = task.mem.read(mask, (maximum + 63) // 64 * 8)
    bits = int.from_bytes(raw, "little") & (1 << maximum) - 1
    if bits >> 1024:
        raise LinuxError(EINVAL)
    return bits


def _check_mode(mode: int) -> int:
    """sanitize_mpol_flags: the mode without its flags.  EINVAL."""
    kind = mode & 0xFFFFFFFF & ~MPOL_MODE_FLAGS
    if kind > MPOL_WEIGHTED or (mode & MPOL_F_STATIC_NODES and mode & MPOL_F_RELATIVE_NODES):
        raise LinuxError(EINVAL)
    if mode & MPOL_F_NUMA_BALANCING and kind not in (MPOL_BIND, MPOL_PREFERRED_MANY):
        raise LinuxError(EINVAL)
    return kind


def _check_policy(mode: int, nodes: int) -> tuple[int, int]:
    """mpol_new and mpol_set_nodemask: the mode with its flags, and the nodes that are told back.  EINVAL."""
    kind = _check_mode(mode)
    flags = mode & MPOL_MODE_FLAGS
    if kind == MPOL_DEFAULT:
        if nodes:
            raise LinuxError(EINVAL)
        return 0, 0
    if kind == MPOL_LOCAL or (kind == MPOL_PREFERRED and not nodes):
        if nodes or flags:
            raise LinuxError(EINVAL)
        return MPOL_LOCAL, 0
    # Relative ones are counted round through the nodes there are.
    if not (nodes if flags & MPOL_F_RELATIVE_NODES else nodes & 1):
        raise LinuxError(EINVAL)
    return kind | flags, nodes if flags else nodes & 1


@syscall(237, since="2.6.7", support=_ONE_NODE)
def mbind(task: Task, start: Addr, length: Size, mode: U64, mask: In[NodeMask], maximum: U64, flags: U64) -> int:
    kind = _check_mode(mode)
    nodes = _nodes(task, mask, maximum)
    if flags & ~MPOL_MF_VALID:
        raise LinuxError(EINVAL)
    if flags & MPOL_MF_MOVE_ALL and not task.cred.capable(23):
        raise LinuxError(EPERM)
    if start & PAGE_MASK:
        raise LinuxError(EINVAL)
    size = page_align(length) & (1 << 64) - 1  # wraps: a length of -1 is nothing
    if start + size >= 1 << 64:
        raise LinuxError(EINVAL)
    if not size:
        return 0
    policy = _check_policy(mode, nodes)
    mm = task.mm
    if (flags & MPOL_MF_VALID == MPOL_MF_STRICT and kind != MPOL_DEFAULT and not nodes & 1
            and _has_pages(mm, start, start + size)):
        raise LinuxError(EIO)  # it may not be moved, and is not where it should be
    if kind == MPOL_DEFAULT:
        if next(iter(mm.areas.overlapping(start, start + size)), None) is None:
            raise LinuxError(EFAULT)
    elif not mm.areas.covers(start, start + size):
        raise LinuxError(EFAULT)
    kept = None if kind == MPOL_DEFAULT else (*policy, -1)
    for area in mm.areas.take(start, start + size):
        mm.areas.insert(area.placed(kept))
    return 0


def _has_pages(mm: Mm, start: int, end: int) -> bool:
    """Whether there are pages from `start` on, up to the first hole (queue_pages_range)."""
    for area in mm.areas.overlapping(start, end):
        if area.start > start:
            break
        low, high = max(start, area.start), min(end, area.end)
        if area.backing is None:
            if has_pages(mm, low, high):
                return True
        elif any(mm.space.resident(low, high - low, True)):
            return True
        start = high
    return False


@syscall(238, since="2.6.7", support=_ONE_NODE)
def set_mempolicy(task: Task, mode: S32, mask: In[NodeMask], maximum: U64) -> int:
    _check_mode(mode)
    task.memory_policy = _check_policy(mode, _nodes(task, mask, maximum))
    return 0


@syscall(239, since="2.6.7", support=_ONE_NODE)
def get_mempolicy(task: Task, mode: Out[S32], mask: Out[NodeMask], maximum: U64, addr: Addr, flags: U64) -> int:
    if mask and maximum < 1:
        raise LinuxError(EINVAL)
    if flags & ~(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED):
        raise LinuxError(EINVAL)
    kind, nodes = task.memory_policy
    if flags & MPOL_F_MEMS_ALLOWED:
        if flags & (MPOL_F_NODE | MPOL_F_ADDR):
            raise LinuxError(EINVAL)
        kind, nodes = 0, 1
    elif flags & MPOL_F_ADDR:
        area = task.mm.find(addr)
        if area is None:
            raise LinuxError(EFAULT)
        kind, nodes, _ = area.policy or (MPOL_DEFAULT, 0, -1)
        if flags & MPOL_F_NODE and not (task.mm.pins(addr) and task.mm.space.reach(addr, 1, PROT_READ)):
            raise LinuxError(EFAULT)
    elif addr:
        raise LinuxError(EINVAL)
    elif flags & MPOL_F_NODE:
        if kind & ~MPOL_MODE_FLAGS not in (3, 6):
            raise LinuxError(EINVAL)
        kind = 0
    if mode:
        task.mem.put_u32(mode, kind)
    if mask:
        size = (maximum - 1 + 63 & (1 << 64) - 1) // 64 * 8
        if size > 4096:
            raise LinuxError(EINVAL)
        task.mem.write(mask, nodes.to_bytes(max(size, 8), "little")[:size])
    return 0


def _other(task: Task, pid: int) -> Task:
    """The task whose pages are meant.  ESRCH, EPERM."""
    from syscalls.ptrace import may_trace
    target = task.kernel.tasks.get(pid) if pid else task
    if target is None:
        raise LinuxError(ESRCH)
    if not may_trace(task, target):
        raise LinuxError(EPERM)
    return target


@syscall(256, since="2.6.16", support=_ONE_NODE)
def migrate_pages(task: Task, pid: Pid, maximum: U64, old: In[NodeMask], new: In[NodeMask]) -> int:
    _nodes(task, old, maximum)
    target = _nodes(task, new, maximum)
    other = _other(task, pid)
    if target & ~1 and not task.cred.capable(23):
        raise LinuxError(EPERM)  # nodes outside the task's own
    if not target & 1 or other.dead:
        raise LinuxError(EINVAL)
    return 0


@syscall(279, since="2.6.18", support=_ONE_NODE)
def move_pages(task: Task, pid: Pid, count: U64, pages: In[PointerVector], nodes: In[S32], status: Out[S32],
               flags: S32) -> int:
    if flags & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL):
        raise LinuxError(EINVAL)
    if flags & MPOL_MF_MOVE_ALL and not task.cred.capable(23):
        raise LinuxError(EPERM)
    target = _other(task, pid)
    if target.dead:
        raise LinuxError(EINVAL)  # no memory any more
    for index in range(count):
        if index % 16 == 0 and not nodes:
            # do_pages_stat reads the addresses of so many pages before it tells of one.
            task.mem.read(pages + index * 8, min(16, count - index) * 8)
        addr = task.mem.u64(pages + index * 8)
        if nodes and task.mem.s32(nodes + index * 4) != 0:
            raise LinuxError(ENODEV)
        value = -EFAULT if target.mm.find(addr) is None else 0
        if not value and not target.mm.space.resident(addr & ~PAGE_MASK, 4096, True)[0]:
            value = -ENOENT
        task.mem.put_u32(status + index * 4, value)
    return 0


@syscall(450, since="5.17", support=_ONE_NODE)
def set_mempolicy_home_node(task: Task, start: Addr, length: Size, node: U64, flags: U64) -> int:
    if flags or start & PAGE_MASK or node:
        raise LinuxError(EINVAL)
    size = page_align(length) & (1 << 64) - 1
    if start + size >= 1 << 64:
        raise LinuxError(EINVAL)
    if not size:
        return 0
    end = start + size
    mm = task.mm
    areas = [area for area in mm.areas.overlapping(start, end) if area.policy is not None]
    if not areas:
        raise LinuxError(ENOENT)  # no mapping there has a policy of its own
    for area in areas:
        assert area.policy is not None
        kind, nodes, _ = area.policy
        if kind & ~MPOL_MODE_FLAGS not in (MPOL_BIND, MPOL_PREFERRED_MANY):
            raise LinuxError(EOPNOTSUPP)
        for part in mm.areas.take(max(area.start, start), min(area.end, end)):
            mm.areas.insert(part.placed((kind, nodes, node)))
    return 0
