"""Who a task acts as (struct cred).  Immutable: a change makes a new object (`replaced`)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from syscalls.keys import Key
    from syscalls.landlock import Domain

CAP_LAST = 40
CAP_FULL = (1 << (CAP_LAST + 1)) - 1
(CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_KILL, CAP_SETGID, CAP_SETUID,
 CAP_SETPCAP) = range(9)
CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_SYS_NICE = 10, 18, 19, 21, 23
CAP_SYS_RESOURCE, CAP_MKNOD = 24, 27


class Credentials:
    __slots__ = ("ambient", "bounding", "cap_effective", "cap_inheritable", "cap_permitted", "egid", "euid", "fsgid",
                 "fsuid", "gid", "groups", "landlock", "request_keyring", "securebits", "session_keyring",
                 "sgid", "suid", "uid")

    def __init__(self, uid: int, gid: int, groups: tuple[int, ...]) -> None:
        self.uid = self.euid = self.suid = self.fsuid = uid
        self.gid = self.egid = self.sgid = self.fsgid = gid
        self.groups = groups
        capabilities = CAP_FULL if uid == 0 else 0
        self.cap_permitted = self.cap_effective = capabilities
        self.cap_inheritable = 0
        self.bounding = CAP_FULL
        self.ambient = 0
        self.securebits = 0
        self.session_keyring: Key | None = None
        self.landlock: Domain | None = None
        """What the task has forbidden itself."""
        self.request_keyring = 0
        """Where request_key(2) puts what it makes (KEYCTL_SET_REQKEY_KEYRING)."""

    def replaced(self, **changes: Any) -> Credentials:
        other = Credentials.__new__(Credentials)
        for name in self.__slots__:
            setattr(other, name, changes[name] if name in changes else getattr(self, name))
        return other

    def capable(self, capability: int) -> bool:
        return bool(self.cap_effective >> capability & 1)

    def in_group(self, gid: int) -> bool:
        """in_group_p: the filesystem group, or a supplementary one."""
        return gid == self.fsgid or gid in self.groups
