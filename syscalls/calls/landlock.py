"""Landlock: landlock_create_ruleset, landlock_add_rule, landlock_restrict_self (security/landlock/syscalls.c)."""

from __future__ import annotations

from struct import Struct

from syscalls.abi.errno import E2BIG, EBADF, EBADFD, EFAULT, EINVAL, ENOMSG, EPERM, LinuxError
from syscalls.table import syscall
from syscalls.task import RLIMIT_NOFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import LandlockRule, LandlockRuleset
    from syscalls.landlock import Ruleset
    from syscalls.table import U32, Fd, In, Size
    from syscalls.task import Task

LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_CREATE_RULESET_ERRATA = 1, 2
ERRATA = 0
"""Which mistakes of earlier versions are mended: none is claimed."""
RESTRICT_SELF_FLAGS, LOG_SUBDOMAINS_OFF = 7, 4
"""What the audit log is told of a domain, of which there is none here."""
LANDLOCK_RULE_PATH_BENEATH, LANDLOCK_RULE_NET_PORT = 1, 2
RULESET = Struct("<QQQ")
PATH_BENEATH = Struct("<Qi")
NET_PORT = Struct("<QQ")
SMALLEST, PAGE = 8, 4096
CAP_SYS_ADMIN = 21


@syscall(444, since="5.13")
def landlock_create_ruleset(task: Task, attr: In[LandlockRuleset], size: Size, flags: U32) -> int:
    from syscalls.landlock import ABI, ACCESS_FS, ACCESS_NET, SCOPES, Ruleset
    if flags:
        if attr or size or flags not in (LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_CREATE_RULESET_ERRATA):
            raise LinuxError(EINVAL)
        return ABI if flags == LANDLOCK_CREATE_RULESET_VERSION else ERRATA
    if not attr:
        raise LinuxError(EFAULT)
    if size < SMALLEST:
        raise LinuxError(EINVAL)
    if size > PAGE:
        raise LinuxError(E2BIG)
    raw = task.mem.read(attr, size)
    if any(raw[RULESET.size:]):
        raise LinuxError(E2BIG)
    fs, net, scoped = RULESET.unpack(raw[:RULESET.size].ljust(RULESET.size, b"\0"))
    if fs & ~ACCESS_FS or net & ~ACCESS_NET or scoped & ~SCOPES:
        raise LinuxError(EINVAL)
    if not (fs or net or scoped):
        raise LinuxError(ENOMSG)
    return task.files.install(Ruleset(task, fs, net, scoped), True, task.group.soft_limit(RLIMIT_NOFILE))


def _ruleset(task: Task, fd: int) -> Ruleset:
    from syscalls.landlock import Ruleset
    file = task.files.get(fd)
    if not isinstance(file, Ruleset):
        raise LinuxError(EBADFD)
    return file


@syscall(445, since="5.13")
def landlock_add_rule(task: Task, ruleset: Fd, kind: U32, attr: In[LandlockRule], flags: U32) -> int:
    if flags:
        raise LinuxError(EINVAL)
    rules = _ruleset(task, ruleset)
    if kind == LANDLOCK_RULE_PATH_BENEATH:
        _add_path(task, rules, *PATH_BENEATH.unpack(task.mem.read(attr, PATH_BENEATH.size)))
    elif kind == LANDLOCK_RULE_NET_PORT:
        allowed, port = NET_PORT.unpack(task.mem.read(attr, NET_PORT.size))
        if not allowed:
            raise LinuxError(ENOMSG)
        if allowed & ~rules.net or port > 0xFFFF:
            raise LinuxError(EINVAL)
        rules.ports[port] = rules.ports.get(port, 0) | allowed
    else:
        raise LinuxError(EINVAL)
    return 0


def _add_path(task: Task, rules: Ruleset, allowed: int, parent: int) -> None:
    from syscalls.fs.inode import S_IFDIR, S_IFMT
    from syscalls.landlock import ACCESS_FILE, Ruleset
    if not allowed:
        raise LinuxError(ENOMSG)
    if allowed & ~rules.fs:
        raise LinuxError(EINVAL)
    if parent < 0:
        raise LinuxError(EBADF)
    file = task.files.get_raw(parent)
    location = file.location
    if isinstance(file, Ruleset) or location is None or not location.mount.id:
        raise LinuxError(EBADFD)
    if allowed & ~ACCESS_FILE and location.inode.mode & S_IFMT != S_IFDIR:
        raise LinuxError(EINVAL)
    location.pin()
    key = (location.mount.filesystem, location.dentry)
    rules.paths[key] = rules.paths.get(key, 0) | allowed


@syscall(446, since="5.13")
def landlock_restrict_self(task: Task, ruleset: Fd, flags: U32) -> int:
    from syscalls.landlock import MAX_LAYERS, Domain
    if not task.no_new_privs and not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EPERM)
    if flags & ~RESTRICT_SELF_FLAGS:
        raise LinuxError(EINVAL)
    if ruleset == -1 and flags == LOG_SUBDOMAINS_OFF:
        return 0
    rules = _ruleset(task, ruleset)
    domain = Domain(task.cred.landlock, rules.layer())
    if len(domain.layers) > MAX_LAYERS:
        raise LinuxError(E2BIG)
    task.cred = task.cred.replaced(landlock=domain)
    return 0
