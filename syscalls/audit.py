"""NETLINK_AUDIT of a kernel whose audit system is switched off (kernel/audit.c): what login programs report is accepted
and goes nowhere, as there; sshd and login refuse a session when it is not.  Rules cannot be set."""

from __future__ import annotations

from struct import pack

from syscalls.abi.errno import EINVAL, EOPNOTSUPP, EPERM, LinuxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.task import Task

AUDIT_GET, AUDIT_LIST, AUDIT_DEL, AUDIT_USER = 1000, 1002, 1004, 1005
CONTROL = frozenset({AUDIT_GET, 1001, 1010, 1011, 1012, 1013, 1014, 1015, 1016, 1017, 1018, 1019})
"""What is for auditd and auditctl: status, rules, trees, terminals, features."""
USER_MESSAGES = (range(1100, 1200), range(2100, 3000))
CAP_AUDIT_WRITE, CAP_AUDIT_CONTROL = 29, 30
BACKLOG_LIMIT, BACKLOG_WAIT_TICKS = 64, 15000


def request(task: Task, kind: int) -> list[tuple[int, bytes]]:
    """audit_receive_msg.  EPERM without the capability, EOPNOTSUPP for the lists of old, EINVAL for the unknown."""
    if AUDIT_LIST <= kind <= AUDIT_DEL:
        raise LinuxError(EOPNOTSUPP)
    if kind in CONTROL:
        if not task.cred.capable(CAP_AUDIT_CONTROL):
            raise LinuxError(EPERM)
        if kind != AUDIT_GET:
            task.kernel.gap(task, "audit request", kind)
            raise LinuxError(EPERM)
        # mask, enabled, failure (printk), pid, rate and backlog limits, lost, backlog, features, wait times
        return [(AUDIT_GET, pack("<11I", 0, 0, 1, 0, 0, BACKLOG_LIMIT, 0, 0, 0, BACKLOG_WAIT_TICKS, 0))]
    if kind == AUDIT_USER or any(kind in kinds for kinds in USER_MESSAGES):
        if not task.cred.capable(CAP_AUDIT_WRITE):
            raise LinuxError(EPERM)
        return []
    raise LinuxError(EINVAL)
