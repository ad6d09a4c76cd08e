"""Who the caller acts as: user and group ids, supplementary groups, capabilities (kernel/sys.c, capability.c)."""

from __future__ import annotations

import struct

from syscalls.abi.errno import EINVAL, EPERM, ESRCH, LinuxError
from syscalls.credentials import CAP_FULL, CAP_SETGID, CAP_SETPCAP, CAP_SETUID
from syscalls.table import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import CapData, CapHeader
    from syscalls.credentials import Credentials
    from syscalls.table import S32, U32, In, InOut, Out
    from syscalls.task import Task

UNCHANGED = 0xFFFFFFFF
NGROUPS_MAX = 65536
SECURE_NOROOT, SECURE_NO_SETUID_FIXUP, SECURE_KEEP_CAPS = 1, 4, 16
FS_CAPABILITIES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 9 | 1 << 27 | 1 << 32
"""CAP_FS_SET: what a filesystem uid of 0 brings."""


@syscall(102, needs=("process.identity",))
def getuid(task: Task) -> int:
    return task.cred.uid


@syscall(104, needs=("process.identity",))
def getgid(task: Task) -> int:
    return task.cred.gid


@syscall(107, needs=("process.identity",))
def geteuid(task: Task) -> int:
    return task.cred.euid


@syscall(108, needs=("process.identity",))
def getegid(task: Task) -> int:
    return task.cred.egid


@syscall(118)
def getresuid(task: Task, real: Out[U32], effective: Out[U32], saved: Out[U32]) -> int:
    cred = task.cred
    task.mem.put_u32(real, cred.uid)
    task.mem.put_u32(effective, cred.euid)
    task.mem.put_u32(saved, cred.suid)
    return 0


@syscall(120)
def getresgid(task: Task, real: Out[U32], effective: Out[U32], saved: Out[U32]) -> int:
    cred = task.cred
    task.mem.put_u32(real, cred.gid)
    task.mem.put_u32(effective, cred.egid)
    task.mem.put_u32(saved, cred.sgid)
    return 0


def _commit(task: Task, new: Credentials) -> None:
    """commit_creds(): a change of the effective ids makes the process undumpable and forgets PR_SET_PDEATHSIG."""
    old = task.cred
    if (old.euid, old.egid, old.fsuid, old.fsgid) != (new.euid, new.egid, new.fsuid, new.fsgid):
        task.group.dumpable = 0
        task.parent_death_signal = 0
    task.cred = new


def _set_user(task: Task, uid: int, euid: int, suid: int, fsuid: int) -> None:
    """Change user ids, with what that does to capabilities (cap_task_fix_setuid)."""
    old = task.cred
    changes: dict[str, int] = {"uid": uid, "euid": euid, "suid": suid, "fsuid": fsuid}
    if not old.securebits & SECURE_NO_SETUID_FIXUP:
        permitted, effective, ambient = old.cap_permitted, old.cap_effective, old.ambient
        if 0 in (old.uid, old.euid, old.suid) and 0 not in (uid, euid, suid):
            # The last id 0 goes, and with it all capabilities, unless PR_SET_KEEPCAPS.
            if not (task.keep_capabilities or old.securebits & SECURE_KEEP_CAPS):
                permitted = effective = 0
            ambient = 0
        if old.euid == 0 and euid != 0:
            effective = 0
        if old.euid != 0 and euid == 0:
            effective = permitted
        changes.update(cap_permitted=permitted, cap_effective=effective, ambient=ambient)
    _commit(task, old.replaced(**changes))


@syscall(105)
def setuid(task: Task, uid: U32) -> int:
    cred = task.cred
    if uid == UNCHANGED:
        raise LinuxError(EINVAL)
    if cred.capable(CAP_SETUID):
        _set_user(task, uid, uid, uid, uid)
    elif uid in (cred.uid, cred.suid):
        _set_user(task, cred.uid, uid, cred.suid, uid)
    else:
        raise LinuxError(EPERM)
    return 0


@syscall(106)
def setgid(task: Task, gid: U32) -> int:
    cred = task.cred
    if gid == UNCHANGED:
        raise LinuxError(EINVAL)
    if cred.capable(CAP_SETGID):
        _commit(task, cred.replaced(gid=gid, egid=gid, sgid=gid, fsgid=gid))
    elif gid in (cred.gid, cred.sgid):
        _commit(task, cred.replaced(egid=gid, fsgid=gid))
    else:
        raise LinuxError(EPERM)
    return 0


@syscall(113)
def setreuid(task: Task, real: U32, effective: U32) -> int:
    cred = task.cred
    capable = cred.capable(CAP_SETUID)
    uid, euid, suid = cred.uid, cred.euid, cred.suid
    if real != UNCHANGED:
        if real not in (cred.uid, cred.euid) and not capable:
            raise LinuxError(EPERM)
        uid = real
    if effective != UNCHANGED:
        if effective not in (cred.uid, cred.euid, cred.suid) and not capable:
            raise LinuxError(EPERM)
        euid = effective
    if real != UNCHANGED or effective not in (UNCHANGED, cred.uid):
        suid = euid
    _set_user(task, uid, euid, suid, euid)
    return 0


@syscall(114)
def setregid(task: Task, real: U32, effective: U32) -> int:
    cred = task.cred
    capable = cred.capable(CAP_SETGID)
    gid, egid, sgid = cred.gid, cred.egid, cred.sgid
    if real != UNCHANGED:
        if real not in (cred.gid, cred.egid) and not capable:
            raise LinuxError(EPERM)
        gid = real
    if effective != UNCHANGED:
        if effective not in (cred.gid, cred.egid, cred.sgid) and not capable:
            raise LinuxError(EPERM)
        egid = effective
    if real != UNCHANGED or effective not in (UNCHANGED, cred.gid):
        sgid = egid
    _commit(task, cred.replaced(gid=gid, egid=egid, sgid=sgid, fsgid=egid))
    return 0


@syscall(117)
def setresuid(task: Task, real: U32, effective: U32, saved: U32) -> int:
    cred = task.cred
    mine = (cred.uid, cred.euid, cred.suid, UNCHANGED)
    if not cred.capable(CAP_SETUID) and not (real in mine and effective in mine and saved in mine):
        raise LinuxError(EPERM)
    euid = cred.euid if effective == UNCHANGED else effective
    _set_user(task, cred.uid if real == UNCHANGED else real, euid, cred.suid if saved == UNCHANGED else saved, euid)
    return 0


@syscall(119)
def setresgid(task: Task, real: U32, effective: U32, saved: U32) -> int:
    cred = task.cred
    mine = (cred.gid, cred.egid, cred.sgid, UNCHANGED)
    if not cred.capable(CAP_SETGID) and not (real in mine and effective in mine and saved in mine):
        raise LinuxError(EPERM)
    egid = cred.egid if effective == UNCHANGED else effective
    _commit(task, cred.replaced(gid=cred.gid if real == UNCHANGED else real, egid=egid,
                                sgid=cred.sgid if saved == UNCHANGED else saved, fsgid=egid))
    return 0


@syscall(122)
def setfsuid(task: Task, uid: U32) -> int:
    cred = task.cred
    if uid != UNCHANGED and (uid in (cred.uid, cred.euid, cred.suid, cred.fsuid) or cred.capable(CAP_SETUID)):
        effective = cred.cap_effective
        if not cred.securebits & SECURE_NO_SETUID_FIXUP:
            if cred.fsuid == 0 and uid != 0:
                effective &= ~FS_CAPABILITIES
            elif cred.fsuid != 0 and uid == 0:
                effective |= FS_CAPABILITIES & cred.cap_permitted
        _commit(task, cred.replaced(fsuid=uid, cap_effective=effective))
    # Failure shows only in that a second call still tells the old one (man 2 setfsuid).
    return cred.fsuid


@syscall(123)
def setfsgid(task: Task, gid: U32) -> int:
    cred = task.cred
    if gid != UNCHANGED and (gid in (cred.gid, cred.egid, cred.sgid, cred.fsgid) or cred.capable(CAP_SETGID)):
        _commit(task, cred.replaced(fsgid=gid))
    return cred.fsgid


@syscall(115)
def getgroups(task: Task, size: S32, groups: Out[U32]) -> int:
    mine = task.cred.groups
    if size < 0:
        raise LinuxError(EINVAL)
    if size:
        if len(mine) > size:
            raise LinuxError(EINVAL)
        task.mem.write(groups, struct.pack(f"<{len(mine)}I", *mine))
    return len(mine)


@syscall(116)
def setgroups(task: Task, size: S32, groups: In[U32]) -> int:
    if not task.cred.capable(CAP_SETGID):
        raise LinuxError(EPERM)
    if not 0 <= size <= NGROUPS_MAX:
        raise LinuxError(EINVAL)
    wanted = struct.unpack(f"<{size}I", task.mem.read(groups, size * 4)) if size else ()
    if UNCHANGED in wanted:
        raise LinuxError(EINVAL)
    task.cred = task.cred.replaced(groups=tuple(sorted(wanted)))
    return 0


# --- capabilities

CAPABILITY_VERSION_1, CAPABILITY_VERSION_2, CAPABILITY_VERSION_3 = 0x19980330, 0x20071026, 0x20080522


def _version(task: Task, header: int, has_data: bool) -> tuple[int, int] | None:
    """(words, pid) of a capability header; None when it only asks for the version.  EINVAL."""
    version = task.mem.u32(header)
    if version == CAPABILITY_VERSION_1:
        words = 1
    elif version in (CAPABILITY_VERSION_2, CAPABILITY_VERSION_3):
        words = 2
    else:
        task.mem.put_u32(header, CAPABILITY_VERSION_3)
        if not has_data:
            return None
        raise LinuxError(EINVAL)
    return words, task.mem.s32(header + 4)


@syscall(125)
def capget(task: Task, header: InOut[CapHeader], data: Out[CapData]) -> int:
    asked = _version(task, header, data != 0)
    if asked is None or not data:
        return 0
    words, pid = asked
    if pid < 0:
        raise LinuxError(EINVAL)
    target = task
    if pid and pid != task.tid:
        found = task.kernel.tasks.get(pid)
        if found is None:
            raise LinuxError(ESRCH)
        target = found
    cred = target.cred
    task.mem.write(data, b"".join(struct.pack("<III", cred.cap_effective >> shift & 0xFFFFFFFF,
                                              cred.cap_permitted >> shift & 0xFFFFFFFF,
                                              cred.cap_inheritable >> shift & 0xFFFFFFFF)
                                  for shift in (0, 32)[:words]))
    return 0


@syscall(126)
def capset(task: Task, header: InOut[CapHeader], data: In[CapData]) -> int:
    asked = _version(task, header, True)
    assert asked is not None
    words, pid = asked
    if pid and pid != task.tid:
        raise LinuxError(EPERM)
    effective = permitted = inheritable = 0
    for index, (e, p, i) in enumerate(struct.iter_unpack("<III", task.mem.read(data, 12 * words))):
        effective |= e << 32 * index
        permitted |= p << 32 * index
        inheritable |= i << 32 * index
    effective, permitted, inheritable = effective & CAP_FULL, permitted & CAP_FULL, inheritable & CAP_FULL
    cred = task.cred
    if not cred.capable(CAP_SETPCAP) and inheritable & ~(cred.cap_inheritable | cred.cap_permitted):
        raise LinuxError(EPERM)
    if inheritable & ~(cred.cap_inheritable | cred.bounding):
        raise LinuxError(EPERM)
    if permitted & ~cred.cap_permitted or effective & ~permitted:
        raise LinuxError(EPERM)
    task.cred = cred.replaced(cap_effective=effective, cap_permitted=permitted, cap_inheritable=inheritable,
                              ambient=cred.ambient & permitted & inheritable)
    return 0
