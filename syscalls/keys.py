"""The kernel's key retention service (security/keys, man 7 keyrings).

A `Key` lives as long as something refers to it: a keyring that links it, or a process whose keyring it is.  Types
served: user, logon, big_key and keyring.  There is no /sbin/request-key upcall: a key that is asked for and not there
is made negative, as when that program is not installed.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from syscalls.abi.errno import (
    EACCES,
    EDEADLK,
    EDQUOT,
    EEXIST,
    EINVAL,
    EKEYEXPIRED,
    EKEYREVOKED,
    ELOOP,
    ENODEV,
    ENOENT,
    ENOKEY,
    ENOTDIR,
    EOPNOTSUPP,
    EPERM,
    LinuxError,
)
from syscalls.abi.keys import (
    ALL_RIGHTS,
    GROUP,
    KEY_SPEC_PROCESS_KEYRING,
    KEY_SPEC_SESSION_KEYRING,
    KEY_SPEC_THREAD_KEYRING,
    KEY_SPEC_USER_KEYRING,
    KEY_SPEC_USER_SESSION_KEYRING,
    LINK,
    OTHER,
    OWNER,
    POSSESSOR,
    READ,
    SEARCH,
    SETATTR,
    VIEW,
    WRITE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from syscalls.kernel import Kernel
    from syscalls.task import Task

LINK_BYTES = 4
"""What a link costs of a user's quota (KEYQUOTA_LINK_BYTES)."""
MAX_DEPTH = 6
"""Keyrings in keyrings that are searched (KEYRING_SEARCH_MAX_DEPTH)."""
NEGATIVE_NS = 60_000_000_000
SESSION_RIGHTS = ALL_RIGHTS << POSSESSOR | (VIEW | READ) << OWNER
OWN_RIGHTS = ALL_RIGHTS << POSSESSOR | VIEW << OWNER
USER_RIGHTS = (ALL_RIGHTS & ~SETATTR) << POSSESSOR | ALL_RIGHTS << OWNER


class KeyType:
    """longest: of the payload; 0 for keyrings, which have none."""

    def __init__(self, name: bytes, longest: int, readable: bool, updatable: bool) -> None:
        self.name = name
        self.longest = longest
        self.readable = readable
        self.updatable = updatable

    def check(self, description: bytes, payload: bytes) -> None:
        if self.longest:
            if not 0 < len(payload) <= self.longest:
                raise LinuxError(EINVAL)
        elif payload:
            raise LinuxError(EINVAL)
        if self.name == b"logon" and description.find(b":") < 1:
            raise LinuxError(EINVAL)

    def default_rights(self) -> int:
        rights = (VIEW | SEARCH | LINK | SETATTR) << POSSESSOR | VIEW << OWNER
        if self.readable:
            rights |= READ << POSSESSOR
        if self.updatable or not self.longest:
            rights |= WRITE << POSSESSOR
        return rights


KEYRING = KeyType(b"keyring", 0, True, False)
TYPES = {each.name: each for each in (KEYRING, KeyType(b"user", 32767, True, True),
                                      KeyType(b"logon", 32767, False, True), KeyType(b"big_key", 1 << 20, True, True))}


class KeyUser:
    """What a user has of keys, against the quotas."""

    def __init__(self) -> None:
        self.keys = 0
        self.bytes = 0
        self.keyring: Key | None = None
        self.session_keyring: Key | None = None


class Key:
    """struct key.  `links`, for keyrings: what is in it, by type and description."""

    def __init__(self, table: KeyTable, type: KeyType, description: bytes, uid: int, gid: int, rights: int,
                 payload: bytes = b"", charged: bool = True) -> None:
        self.charge = 0
        self.user = table.user(uid)
        self.table = table
        size = len(description) + 1 + len(payload)
        if charged:
            table.check_quota(uid, self.user, 1, size)
        self.user.keys += 1
        self.charge = size
        self.user.bytes += size
        self.type = type
        self.description = description
        self.uid = uid
        self.gid = gid
        self.rights = rights
        self.payload = payload
        self.links: dict[tuple[bytes, bytes], Key] = {}
        self.revoked = self.invalidated = self.negative = self.restricted = False
        self.expires_ns: int | None = None
        self.serial = table.number(self)

    def __del__(self) -> None:
        if self.charge:
            self.user.keys -= 1
            self.user.bytes -= self.charge

    @property
    def is_keyring(self) -> bool:
        return self.type is KEYRING

    def resize(self, payload: bytes) -> None:
        """key_payload_reserve: EDQUOT."""
        delta = len(payload) - len(self.payload)
        self.recharge(delta)
        self.payload = payload

    def recharge(self, delta: int) -> None:
        if delta > 0:
            self.table.check_quota(self.uid, self.user, 0, delta)
        self.user.bytes += delta
        self.charge += delta

    def move_to(self, uid: int) -> None:
        """The owner changes: EDQUOT of the new one."""
        other = self.table.user(uid)
        self.table.check_quota(uid, other, 1, self.charge)
        self.user.keys -= 1
        self.user.bytes -= self.charge
        other.keys += 1
        other.bytes += self.charge
        self.user, self.uid = other, uid

    def validate(self) -> None:
        """key_validate()."""
        if self.invalidated:
            raise LinuxError(ENOKEY)
        if self.revoked:
            raise LinuxError(EKEYREVOKED)
        if self.expires_ns is not None and self.table.kernel.clock.realtime() >= self.expires_ns:
            raise LinuxError(EKEYEXPIRED)

    # --- keyrings

    def members(self) -> Iterator[Key]:
        for key in list(self.links.values()):
            if not key.invalidated:
                yield key

    def link(self, key: Key) -> None:
        """key_link(): replaces a member of the same type and name.  ENOTDIR, EKEYREVOKED, EPERM, EDEADLK, ELOOP."""
        if not self.is_keyring:
            raise LinuxError(ENOTDIR)
        if self.revoked:
            raise LinuxError(EKEYREVOKED)
        if self.restricted:
            raise LinuxError(EPERM)
        if key.is_keyring:
            key.check_cycle(self, 0)
        name = (key.type.name, key.description)
        if name not in self.links:
            self.recharge(LINK_BYTES)
        self.links[name] = key

    def check_cycle(self, wanted: Key, depth: int) -> None:
        if self is wanted:
            raise LinuxError(EDEADLK)
        if depth > MAX_DEPTH:
            raise LinuxError(ELOOP)
        for key in self.links.values():
            if key.is_keyring:
                key.check_cycle(wanted, depth + 1)

    def unlink(self, key: Key) -> None:
        if not self.is_keyring:
            raise LinuxError(ENOTDIR)
        name = (key.type.name, key.description)
        if self.links.get(name) is not key:
            raise LinuxError(ENOENT)
        del self.links[name]
        self.recharge(-LINK_BYTES)

    def clear(self) -> None:
        if not self.is_keyring:
            raise LinuxError(ENOTDIR)
        self.recharge(-LINK_BYTES * len(self.links))
        self.links.clear()

    def revoke(self) -> None:
        self.revoked = True
        if self.is_keyring:
            self.clear()

    def read(self) -> bytes:
        if self.is_keyring:
            return b"".join(key.serial.to_bytes(4, "little") for key in self.links.values())
        return self.payload


class KeyTable:
    """All keys of a kernel, by serial number: `Kernel.keys`.  The limits are those of /proc/sys/kernel/keys."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.by_serial: WeakValueDictionary[int, Key] = WeakValueDictionary()
        self.users: dict[int, KeyUser] = {}
        self.maxkeys, self.maxbytes = 200, 20000
        self.root_maxkeys, self.root_maxbytes = 1000000, 25000000
        self.gc_delay, self.persistent_keyring_expiry = 300, 259200

    def user(self, uid: int) -> KeyUser:
        user = self.users.get(uid)
        if user is None:
            user = self.users[uid] = KeyUser()
        return user

    def limits(self, uid: int) -> tuple[int, int]:
        return (self.root_maxkeys, self.root_maxbytes) if uid == 0 else (self.maxkeys, self.maxbytes)

    def check_quota(self, uid: int, user: KeyUser, keys: int, size: int) -> None:
        most_keys, most_bytes = self.limits(uid)
        if user.keys + keys > most_keys or user.bytes + size > most_bytes:
            raise LinuxError(EDQUOT)

    def number(self, key: Key) -> int:
        while True:
            serial = int.from_bytes(self.kernel.random(4), "little") & 0x7FFFFFFF
            if serial > 2 and serial not in self.by_serial:
                self.by_serial[serial] = key
                return serial

    def user_keyrings(self, task: Task) -> tuple[Key, Key]:
        """look_up_user_keyrings(): _uid.N, and _uid_ses.N, which links it."""
        uid = task.cred.uid
        user = self.user(uid)
        if user.keyring is None or user.session_keyring is None:
            user.keyring = Key(self, KEYRING, b"_uid.%d" % uid, uid, 0xFFFE, USER_RIGHTS, charged=False)
            user.session_keyring = Key(self, KEYRING, b"_uid_ses.%d" % uid, uid, 0xFFFE, USER_RIGHTS, charged=False)
            user.session_keyring.link(user.keyring)
        return user.keyring, user.session_keyring

    def new_keyring(self, task: Task, name: bytes, rights: int) -> Key:
        return Key(self, KEYRING, name, task.cred.uid, task.cred.gid, rights, charged=False)

    def find_named(self, task: Task, name: bytes) -> Key | None:
        """find_keyring_by_name(): one that may be searched."""
        for key in list(self.by_serial.values()):
            if key.is_keyring and key.description == name and not (key.revoked or key.invalidated):
                if permitted(task, key, SEARCH, False) and not name.startswith((b"_uid.", b"_uid_ses.")):
                    return key
        return None

    # --- the caller's keyrings

    def special(self, task: Task, id: int, create: bool) -> Key:
        """One of the KEY_SPEC_ keyrings.  ENOKEY, EINVAL."""
        if id == KEY_SPEC_THREAD_KEYRING:
            if task.thread_keyring is None:
                if not create:
                    raise LinuxError(ENOKEY)
                task.thread_keyring = self.new_keyring(task, b"_tid", OWN_RIGHTS)
            return task.thread_keyring
        if id == KEY_SPEC_PROCESS_KEYRING:
            group = task.group
            if group.process_keyring is None:
                if not create:
                    raise LinuxError(ENOKEY)
                group.process_keyring = self.new_keyring(task, b"_pid", OWN_RIGHTS)
            return group.process_keyring
        if id == KEY_SPEC_SESSION_KEYRING:
            session = task.cred.session_keyring
            default = self.user_keyrings(task)[1]
            if session is None or (session is default and create):
                session = self.new_keyring(task, b"_ses", SESSION_RIGHTS) if create else default
                task.cred = task.cred.replaced(session_keyring=session)
            return session
        if id == KEY_SPEC_USER_KEYRING:
            return self.user_keyrings(task)[0]
        if id == KEY_SPEC_USER_SESSION_KEYRING:
            return self.user_keyrings(task)[1]
        raise LinuxError(ENOKEY if id in (-7, -8) else EINVAL)

    def roots(self, task: Task) -> list[Key]:
        """Where searches of a process begin: its thread, process and session keyrings."""
        session = task.cred.session_keyring or self.user(task.cred.uid).session_keyring
        return [key for key in (task.thread_keyring, task.group.process_keyring, session) if key is not None]

    def possesses(self, task: Task, wanted: Key) -> bool:
        if not permitted(task, wanted, SEARCH, True):
            return False
        return any(key is wanted for root in self.roots(task) for key in _walk(task, root, 0))

    def lookup(self, task: Task, id: int, right: int, create: bool = False, partial: bool = False) -> tuple[Key, bool]:
        """lookup_user_key(): the key and whether the caller possesses it.  ENOKEY, EACCES, EKEYREVOKED, EKEYEXPIRED.
        `partial`: what is no longer valid will do."""
        if id < 0:
            key, possessed = self.special(task, id, create), True
            if id in (KEY_SPEC_USER_KEYRING, KEY_SPEC_USER_SESSION_KEYRING):
                possessed = True
        else:
            found = self.by_serial.get(id) if id else None
            if id == 0:
                raise LinuxError(EINVAL)
            if found is None or found.invalidated:
                raise LinuxError(ENOKEY)
            key, possessed = found, self.possesses(task, found)
        if not partial:
            key.validate()
        if right and not permitted(task, key, right, possessed):
            raise LinuxError(EACCES)
        return key, possessed

    def search(self, task: Task, roots: list[Key], type: KeyType, description: bytes) -> Key | None:
        """The first valid key of that name that may be searched.  A negative one is ENOKEY.  That one is revoked is
        told only when every tree has one (search_process_keyrings); one that has expired is passed over."""
        revoked = bool(roots)
        negative = False
        for root in roots:
            here = None
            for key in _walk(task, root, 0):
                if key.type is type and key.description == description and permitted(task, key, SEARCH, True):
                    try:
                        key.validate()
                    except LinuxError as error:
                        here = here or error
                        continue
                    if not key.negative:
                        return key
                    negative = True
                    break
            revoked = revoked and here is not None and here.errno == EKEYREVOKED
        if negative:
            raise LinuxError(ENOKEY)
        if revoked:
            raise LinuxError(EKEYREVOKED)
        return None

    # --- making

    def add(self, task: Task, ring: Key, type_name: bytes, description: bytes | None, payload: bytes) -> Key:
        """key_create_or_update().  ENODEV, ENOTDIR, EINVAL, EACCES, EDQUOT."""
        type = TYPES.get(type_name)
        if type is None:
            raise LinuxError(ENODEV)
        if not ring.is_keyring:
            raise LinuxError(ENOTDIR)
        if description is None:
            raise LinuxError(EINVAL)
        type.check(description, payload)
        if ring.restricted:
            raise LinuxError(EPERM)
        known = ring.links.get((type.name, description))
        if known is not None and type.updatable and not (known.invalidated or known.revoked):
            if not permitted(task, known, WRITE, True):
                raise LinuxError(EACCES)
            self.update(known, payload)
            return known
        key = Key(self, type, description, task.cred.fsuid, task.cred.fsgid, type.default_rights(), payload)
        ring.link(key)
        return key

    def update(self, key: Key, payload: bytes) -> None:
        if not key.type.updatable:
            raise LinuxError(EOPNOTSUPP)
        key.type.check(key.description, payload)
        key.resize(payload)
        key.negative = False
        key.expires_ns = None

    def request(self, task: Task, type: KeyType, description: bytes, callout: bool, destination: Key | None) -> Key:
        """request_key_and_link().  ENOKEY, ENOENT, EPERM, EACCES, EKEYREVOKED, EKEYEXPIRED."""
        found = self.search(task, self.roots(task), type, description)
        if found is not None:
            if destination is not None:
                destination.link(found)
            return found
        if not callout:
            raise LinuxError(ENOKEY)
        if type is KEYRING:
            raise LinuxError(EPERM)
        ring = destination or self._default_destination(task)
        key = Key(self, type, description, task.cred.fsuid, task.cred.fsgid, type.default_rights())
        key.negative = True
        key.expires_ns = self.kernel.clock.realtime() + NEGATIVE_NS
        ring.link(key)
        # No /sbin/request-key is run: as where there is none.
        raise LinuxError(ENOENT)

    def _default_destination(self, task: Task) -> Key:
        """construct_get_dest_keyring()."""
        chosen = task.cred.request_keyring
        user, user_session = self.user_keyrings(task)
        own = (task.thread_keyring, task.group.process_keyring, task.cred.session_keyring or user_session)
        every = (*own, user, user_session)
        for ring in every[chosen - 1:chosen] if chosen else own:
            if ring is not None:
                if not permitted(task, ring, WRITE, True):
                    raise LinuxError(EACCES)
                return ring
        raise LinuxError(EACCES)

    def move(self, key: Key, source: Key, target: Key, exclusive: bool) -> None:
        """key_move()."""
        if source is target:
            return
        if not source.is_keyring or not target.is_keyring:
            raise LinuxError(ENOTDIR)
        name = (key.type.name, key.description)
        if source.links.get(name) is not key:
            raise LinuxError(ENOENT)
        if exclusive and name in target.links:
            raise LinuxError(EEXIST)
        target.link(key)
        source.unlink(key)

    def invalidate(self, key: Key) -> None:
        """It goes at once, from every keyring."""
        key.invalidated = True
        for ring in list(self.by_serial.values()):
            if ring.links.get((key.type.name, key.description)) is key:
                ring.unlink(key)


def permitted(task: Task, key: Key, right: int, possessed: bool) -> bool:
    """key_task_permission()."""
    cred = task.cred
    if key.uid == cred.fsuid:
        rights = key.rights >> OWNER
    elif key.rights >> GROUP & ALL_RIGHTS and (key.gid == cred.fsgid or key.gid in cred.groups):
        rights = key.rights >> GROUP
    else:
        rights = key.rights >> OTHER
    if possessed:
        rights |= key.rights >> POSSESSOR
    return bool(rights & right)


def _walk(task: Task, ring: Key, depth: int) -> Iterator[Key]:
    """A keyring's keys, and those of the keyrings in it that may be searched: its own first."""
    if depth > MAX_DEPTH or not ring.is_keyring or not permitted(task, ring, SEARCH, True):
        return
    if depth == 0:
        yield ring
    inner = []
    for key in ring.members():
        yield key
        if key.is_keyring:
            inner.append(key)
    for key in inner:
        yield from _walk(task, key, depth + 1)


def key_table(kernel: Kernel) -> KeyTable:
    if kernel.keys is None:
        kernel.keys = KeyTable(kernel)
    return kernel.keys
