"""Keys: add_key, request_key, keyctl (man 7 keyrings; security/keys/keyctl.c)."""

from __future__ import annotations

from syscalls.abi.errno import (
    EACCES,
    EFAULT,
    EINVAL,
    ENOENT,
    ENOKEY,
    ENOTDIR,
    EOPNOTSUPP,
    EPERM,
    LinuxError,
)
from syscalls.abi.keys import (
    CAPS0_CAPABILITIES,
    CAPS0_INVALIDATE,
    CAPS0_MOVE,
    CAPS0_RESTRICT_KEYRING,
    KEY_PERM_ALL,
    KEY_REQKEY_DEFL_NO_CHANGE,
    KEY_REQKEY_DEFL_PROCESS_KEYRING,
    KEY_REQKEY_DEFL_THREAD_KEYRING,
    KEY_REQKEY_DEFL_USER_SESSION_KEYRING,
    KEY_SPEC_PROCESS_KEYRING,
    KEY_SPEC_THREAD_KEYRING,
    KEYCTL_ASSUME_AUTHORITY,
    KEYCTL_CAPABILITIES,
    KEYCTL_CHOWN,
    KEYCTL_CLEAR,
    KEYCTL_DESCRIBE,
    KEYCTL_GET_KEYRING_ID,
    KEYCTL_GET_SECURITY,
    KEYCTL_INSTANTIATE,
    KEYCTL_INSTANTIATE_IOV,
    KEYCTL_INVALIDATE,
    KEYCTL_JOIN_SESSION_KEYRING,
    KEYCTL_LINK,
    KEYCTL_MOVE,
    KEYCTL_MOVE_EXCL,
    KEYCTL_NEGATE,
    KEYCTL_READ,
    KEYCTL_REJECT,
    KEYCTL_RESTRICT_KEYRING,
    KEYCTL_REVOKE,
    KEYCTL_SEARCH,
    KEYCTL_SET_REQKEY_KEYRING,
    KEYCTL_SET_TIMEOUT,
    KEYCTL_SETPERM,
    KEYCTL_UNLINK,
    KEYCTL_UPDATE,
    LINK,
    OWNER,
    READ,
    SEARCH,
    SETATTR,
    VIEW,
    WRITE,
)
from syscalls.table import PARTIAL, syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.abi.kinds import Name
    from syscalls.keys import Key, KeyTable
    from syscalls.table import S32, U64, Buf, In, Size
    from syscalls.task import Task

    Operation = Callable[[Task, KeyTable, int, int, int, int], int]

TYPE_LENGTH, DESCRIPTION_LENGTH, PAGE = 32, 4096, 4096
LONGEST_PAYLOAD = (1 << 20) - 1
CAP_SYS_ADMIN = 21
ID_UNCHANGED = 0xFFFFFFFF
_OPERATIONS: dict[int, Operation] = {}


def _table(task: Task) -> KeyTable:
    from syscalls.keys import key_table
    return key_table(task.kernel)


def _signed(value: int) -> int:
    return (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


def _type(task: Task, address: int) -> bytes:
    """key_get_type_from_user(): names with a dot are the kernel's own."""
    try:
        name = task.mem.text(address, TYPE_LENGTH)
    except LinuxError:
        if not task.mem.readable(address, TYPE_LENGTH) == TYPE_LENGTH:
            raise
        raise LinuxError(EINVAL) from None
    if not name:
        raise LinuxError(EINVAL)
    if name[:1] == b".":
        raise LinuxError(EPERM)
    return name


@syscall(248, since="2.6.10", support=PARTIAL("types user, logon, big_key and keyring"), needs=("random.bytes",))
def add_key(task: Task, type: In[Name], description: In[Name], payload: Buf, length: Size, keyring: S32) -> int:
    if length > LONGEST_PAYLOAD:
        raise LinuxError(EINVAL)
    kind = _type(task, type)
    name = None
    if description:
        name = task.mem.text(description, DESCRIPTION_LENGTH) or None
        if name is not None and name[:1] == b"." and kind == b"keyring":
            raise LinuxError(EPERM)
    data = task.mem.read(payload, length) if length else b""
    table = _table(task)
    ring, _ = table.lookup(task, keyring, WRITE, create=True)
    return table.add(task, ring, kind, name, data).serial


@syscall(249, since="2.6.10", support=PARTIAL("no /sbin/request-key is run: what is not there is made negative"))
def request_key(task: Task, type: In[Name], description: In[Name], callout: In[Name], keyring: S32) -> int:
    from syscalls.keys import TYPES
    kind = _type(task, type)
    name = task.mem.text(description, DESCRIPTION_LENGTH)
    if callout:
        task.mem.text(callout, PAGE)
    table = _table(task)
    destination = table.lookup(task, keyring, WRITE, create=True)[0] if keyring else None
    if kind not in TYPES:
        raise LinuxError(ENOKEY)
    return table.request(task, TYPES[kind], name, callout != 0, destination).serial


@syscall(250, since="2.6.10", needs=("random.bytes",),
         support=PARTIAL("no keys made by other processes, no Diffie-Hellman, no public keys"))
def keyctl(task: Task, operation: S32, arg2: U64, arg3: U64, arg4: U64, arg5: U64) -> int:
    serve = _OPERATIONS.get(operation)
    if serve is None:
        raise LinuxError(EOPNOTSUPP)
    return serve(task, _table(task), arg2, arg3, arg4, arg5)


def _operation(*numbers: int) -> Callable[[Operation], Operation]:
    def register(serve: Operation) -> Operation:
        for number in numbers:
            _OPERATIONS[number] = serve
        return serve
    return register


@_operation(KEYCTL_GET_KEYRING_ID)
def _get_keyring_id(task: Task, table: KeyTable, id: int, create: int, _4: int, _5: int) -> int:
    return table.lookup(task, _signed(id), SEARCH, create=_signed(create) != 0)[0].serial


@_operation(KEYCTL_JOIN_SESSION_KEYRING)
def _join_session(task: Task, table: KeyTable, address: int, _3: int, _4: int, _5: int) -> int:
    from syscalls.keys import SESSION_RIGHTS
    key = None
    name = b"_ses"
    if address:
        name = task.mem.text(address, DESCRIPTION_LENGTH)
        if name[:1] == b".":
            raise LinuxError(EPERM)
        key = table.find_named(task, name)
    if key is None:
        key = table.new_keyring(task, name, SESSION_RIGHTS | (LINK << OWNER if address else 0))
    task.cred = task.cred.replaced(session_keyring=key)
    return key.serial


@_operation(KEYCTL_UPDATE)
def _update(task: Task, table: KeyTable, id: int, payload: int, length: int, _5: int) -> int:
    if length > PAGE:
        raise LinuxError(EINVAL)
    data = task.mem.read(payload, length) if length else b""
    table.update(table.lookup(task, _signed(id), WRITE)[0], data)
    return 0


@_operation(KEYCTL_REVOKE)
def _revoke(task: Task, table: KeyTable, id: int, _3: int, _4: int, _5: int) -> int:
    try:
        key, _ = table.lookup(task, _signed(id), WRITE)
    except LinuxError as error:
        if error.errno != EACCES:
            raise
        key, _ = table.lookup(task, _signed(id), SETATTR)
    key.revoke()
    return 0


@_operation(KEYCTL_CHOWN)
def _chown(task: Task, table: KeyTable, id: int, uid: int, gid: int, _5: int) -> int:
    uid, gid = uid & 0xFFFFFFFF, gid & 0xFFFFFFFF
    if uid == ID_UNCHANGED and gid == ID_UNCHANGED:
        return 0
    key, _ = table.lookup(task, _signed(id), SETATTR, create=True, partial=True)
    cred = task.cred
    if not cred.capable(CAP_SYS_ADMIN):
        if uid not in (ID_UNCHANGED, key.uid):
            raise LinuxError(EACCES)
        if gid not in (ID_UNCHANGED, key.gid) and not cred.in_group(gid):
            raise LinuxError(EACCES)
    if uid not in (ID_UNCHANGED, key.uid):
        key.move_to(uid)
    if gid != ID_UNCHANGED:
        key.gid = gid
    return 0


@_operation(KEYCTL_SETPERM)
def _setperm(task: Task, table: KeyTable, id: int, rights: int, _4: int, _5: int) -> int:
    rights &= 0xFFFFFFFF
    if rights & ~KEY_PERM_ALL:
        raise LinuxError(EINVAL)
    key, _ = table.lookup(task, _signed(id), SETATTR, create=True, partial=True)
    if key.uid != task.cred.fsuid and not task.cred.capable(CAP_SYS_ADMIN):
        raise LinuxError(EACCES)
    key.rights = rights
    return 0


@_operation(KEYCTL_DESCRIBE)
def _describe(task: Task, table: KeyTable, id: int, buffer: int, length: int, _5: int) -> int:
    key, _ = table.lookup(task, _signed(id), VIEW, partial=True)
    text = b"%s;%d;%d;%08x;%s\0" % (key.type.name, key.uid, key.gid, key.rights, key.description)
    if buffer and length >= len(text):
        task.mem.write(buffer, text)
    return len(text)


@_operation(KEYCTL_CLEAR)
def _clear(task: Task, table: KeyTable, id: int, _3: int, _4: int, _5: int) -> int:
    table.lookup(task, _signed(id), WRITE, create=True)[0].clear()
    return 0


@_operation(KEYCTL_LINK)
def _link(task: Task, table: KeyTable, id: int, keyring: int, _4: int, _5: int) -> int:
    ring, _ = table.lookup(task, _signed(keyring), WRITE, create=True)
    ring.link(table.lookup(task, _signed(id), LINK, create=True)[0])
    return 0


@_operation(KEYCTL_UNLINK)
def _unlink(task: Task, table: KeyTable, id: int, keyring: int, _4: int, _5: int) -> int:
    ring, _ = table.lookup(task, _signed(keyring), WRITE)
    ring.unlink(table.lookup(task, _signed(id), 0, partial=True)[0])
    return 0


@_operation(KEYCTL_SEARCH)
def _search(task: Task, table: KeyTable, id: int, type: int, description: int, keyring: int) -> int:
    from syscalls.keys import TYPES, permitted
    kind = _type(task, type)
    name = task.mem.text(description, DESCRIPTION_LENGTH)
    ring, possessed = table.lookup(task, _signed(id), SEARCH)
    destination = table.lookup(task, _signed(keyring), WRITE, create=True)[0] if _signed(keyring) else None
    if kind not in TYPES:
        raise LinuxError(ENOKEY)
    if not ring.is_keyring:
        raise LinuxError(ENOTDIR)
    found = table.search(task, [ring], TYPES[kind], name)
    if found is None:
        raise LinuxError(ENOKEY)
    if destination is not None:
        if not permitted(task, found, LINK, possessed):
            raise LinuxError(EACCES)
        destination.link(found)
    return found.serial


@_operation(KEYCTL_READ)
def _read(task: Task, table: KeyTable, id: int, buffer: int, length: int, _5: int) -> int:
    from syscalls.keys import permitted
    key, possessed = table.lookup(task, _signed(id), 0)
    if key.negative:
        raise LinuxError(ENOKEY)
    # Who possesses a key and may search for it may read it.
    if not permitted(task, key, READ, possessed) and not possessed:
        raise LinuxError(EACCES)
    if not key.type.readable:
        raise LinuxError(EOPNOTSUPP)
    data = key.read()
    if buffer and 0 < len(data) <= length:
        task.mem.write(buffer, data)
    return len(data)


@_operation(KEYCTL_SET_REQKEY_KEYRING)
def _set_request_keyring(task: Task, table: KeyTable, choice: int, _3: int, _4: int, _5: int) -> int:
    wanted = _signed(choice)
    old = task.cred.request_keyring
    if wanted == KEY_REQKEY_DEFL_NO_CHANGE:
        return old
    if not 0 <= wanted <= KEY_REQKEY_DEFL_USER_SESSION_KEYRING:
        raise LinuxError(EINVAL)
    if wanted == KEY_REQKEY_DEFL_THREAD_KEYRING:
        table.special(task, KEY_SPEC_THREAD_KEYRING, True)
    elif wanted == KEY_REQKEY_DEFL_PROCESS_KEYRING:
        table.special(task, KEY_SPEC_PROCESS_KEYRING, True)
    task.cred = task.cred.replaced(request_keyring=wanted)
    return old


@_operation(KEYCTL_SET_TIMEOUT)
def _set_timeout(task: Task, table: KeyTable, id: int, seconds: int, _4: int, _5: int) -> int:
    key, _ = table.lookup(task, _signed(id), SETATTR, create=True, partial=True)
    seconds &= 0xFFFFFFFF
    key.expires_ns = task.kernel.clock.realtime() + seconds * 1_000_000_000 if seconds else None
    return 0


@_operation(KEYCTL_GET_SECURITY)
def _get_security(task: Task, table: KeyTable, id: int, buffer: int, length: int, _5: int) -> int:
    table.lookup(task, _signed(id), VIEW, partial=True)
    # Without a security module the label is empty.
    if buffer and length:
        task.mem.write(buffer, b"\0")
    return 1


@_operation(KEYCTL_INVALIDATE)
def _invalidate(task: Task, table: KeyTable, id: int, _3: int, _4: int, _5: int) -> int:
    table.invalidate(table.lookup(task, _signed(id), SEARCH)[0])
    return 0


@_operation(KEYCTL_INSTANTIATE, KEYCTL_NEGATE, KEYCTL_REJECT, KEYCTL_INSTANTIATE_IOV)
def _instantiate(task: Task, table: KeyTable, id: int, _3: int, _4: int, _5: int) -> int:
    """Only who was started by request_key(2) to make a key may."""
    raise LinuxError(EPERM)


@_operation(KEYCTL_ASSUME_AUTHORITY)
def _assume_authority(task: Task, table: KeyTable, id: int, _3: int, _4: int, _5: int) -> int:
    wanted = _signed(id)
    if wanted < 0:
        raise LinuxError(EINVAL)
    if wanted:
        raise LinuxError(ENOKEY)
    return 0


@_operation(KEYCTL_RESTRICT_KEYRING)
def _restrict(task: Task, table: KeyTable, id: int, type: int, restriction: int, _5: int) -> int:
    key, _ = table.lookup(task, _signed(id), SETATTR)
    if type:
        # Restrictions by signature belong to asymmetric keys.
        _type(task, type)
        raise LinuxError(ENOENT)
    if restriction:
        raise LinuxError(EINVAL)
    if not key.is_keyring:
        raise LinuxError(ENOTDIR)
    key.restricted = True
    return 0


@_operation(KEYCTL_MOVE)
def _move(task: Task, table: KeyTable, id: int, source: int, target: int, flags: int) -> int:
    if flags & 0xFFFFFFFF & ~KEYCTL_MOVE_EXCL:
        raise LinuxError(EINVAL)
    key: Key = table.lookup(task, _signed(id), LINK, create=True)[0]
    old, _ = table.lookup(task, _signed(source), WRITE)
    new, _ = table.lookup(task, _signed(target), WRITE, create=True)
    table.move(key, old, new, bool(flags & KEYCTL_MOVE_EXCL))
    return 0


@_operation(KEYCTL_CAPABILITIES)
def _capabilities(task: Task, table: KeyTable, buffer: int, length: int, _4: int, _5: int) -> int:
    known = bytes((CAPS0_CAPABILITIES | CAPS0_INVALIDATE | CAPS0_RESTRICT_KEYRING | CAPS0_MOVE, 0))
    if length:
        try:
            task.mem.write(buffer, known[:length].ljust(min(length, PAGE), b"\0"))
        except LinuxError:
            raise LinuxError(EFAULT) from None
    return len(known)
