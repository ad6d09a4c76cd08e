"""Core dumps: what a process was when a signal killed it, as an ELF file (fs/coredump.c, fs/binfmt_elf.c, man 5 core).

Memory is dumped as /proc/PID/coredump_filter says, by default what is private and may have been written, shared
anonymous memory, and the first page of mapped programs.  Pages that hold only zeros become holes of the file.
"""

from __future__ import annotations

import struct

from syscalls.abi.errno import LinuxError
from syscalls.abi.fs import O_CREAT, O_EXCL, O_LARGEFILE, O_NOFOLLOW, O_WRONLY
from syscalls.abi.mm import VM_DONTDUMP, VM_SHARED
from syscalls.fd import FileDescription
from syscalls.fs.inode import S_IFMT, S_IFREG
from syscalls.task import RLIMIT_CORE
from syscalls.xstate import fx_image, xstate_image
from translator.hosts.base import HostError
from translator.machine import PAGE_SIZE, PROT_READ, PROT_WRITE, GuestFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.mm import Mm
    from syscalls.siginfo import SigInfo
    from syscalls.task import Task
    from syscalls.vma import Vma

AT_FDCWD = -100
CORE_FLAG = 0x80
"""In a wait status: a core was dumped."""
NT_PRSTATUS, NT_PRFPREG, NT_PRPSINFO, NT_AUXV, NT_X86_XSTATE = 1, 2, 3, 6, 0x202
NT_SIGINFO, NT_FILE = 0x53494749, 0x46494C45
PT_LOAD, PT_NOTE = 1, 4
ANON_PRIVATE, ANON_SHARED, MAPPED_PRIVATE, MAPPED_SHARED, ELF_HEADERS = 1, 2, 4, 8, 16
"""Of Mm.dump_filter (man 5 core)."""
CHUNK = 1 << 20
ZEROS = bytes(PAGE_SIZE)
EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
PHDR = struct.Struct("<IIQQQQQQ")
PRSTATUS = struct.Struct("<iiih2xQQiiii8q27Qi4x")
PRPSINFO = struct.Struct("<bcbbxxxxQIIiiii16s80s")


def dump(task: Task, info: SigInfo) -> bool:
    """Write the core file of `task`'s process, if it may have one; whether it was begun.  At RLIMIT_CORE it ends."""
    group = task.group
    limit = group.soft_limit(RLIMIT_CORE)
    if limit < PAGE_SIZE or group.dumpable != 1:
        return False
    profile = task.kernel.profile
    if profile is not None and profile.no_core is not None:
        profile.met.count(profile.no_core, task)
        return True
    pattern = task.kernel.core_pattern
    if pattern[:1] == b"|":
        task.kernel.gap(task, "core dump into a program", 0)
        return False
    vfs = task.kernel.vfs
    try:
        path = _name(task, pattern, info.signo)
        try:
            from syscalls.fs.names import remove_file
            remove_file(vfs, task, path, AT_FDCWD)
        except (LinuxError, HostError):
            pass
        file = vfs.start_open(task, path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_LARGEFILE, 0o600)
        if not isinstance(file, FileDescription):
            file.close()  # type: ignore[attr-defined]
            return False
        file.retain()
        try:
            if file.stat(task).mode & S_IFMT != S_IFREG:
                return False
            _write(task, info, file, limit)
            return True
        finally:
            file.release()
    except (LinuxError, HostError):
        return False


def _name(task: Task, pattern: bytes, signo: int) -> bytes:
    """format_corename()."""
    kernel, group = task.kernel, task.group
    values = {b"p": b"%d" % group.pid, b"P": b"%d" % group.pid, b"i": b"%d" % task.tid, b"I": b"%d" % task.tid,
              b"u": b"%d" % task.cred.uid, b"g": b"%d" % task.cred.gid, b"s": b"%d" % signo, b"d": b"1",
              b"t": b"%d" % (kernel.clock.realtime() // 10**9), b"h": kernel.hostname.replace(b"/", b"!"),
              b"e": task.comm.replace(b"/", b"!"), b"f": group.leader.comm.replace(b"/", b"!"),
              b"E": (group.exe.path(task) if group.exe is not None else task.comm).replace(b"/", b"!"),
              b"c": b"%d" % group.soft_limit(RLIMIT_CORE), b"%": b"%"}
    out = b""
    rest = pattern
    while rest:
        before, percent, rest = rest.partition(b"%")
        out += before
        if percent:
            out += values.get(rest[:1], b"")
            rest = rest[1:]
    if kernel.core_uses_pid and b"%p" not in pattern:
        out += b".%d" % group.pid
    return out or b"core"


# --- memory

def _dumped(mm: Mm, area: Vma) -> int:
    """How much of an area is dumped, in bytes (vma_dump_size)."""
    length = area.end - area.start
    if area.name == b"[vdso]":
        return length
    if area.flags & VM_DONTDUMP or not area.prot or area.name == b"[vvar]":
        return 0
    chosen, location = mm.dump_filter, area.location
    if area.flags & VM_SHARED:
        nameless = location is None or location.dentry.deleted or not location.mount.id
        return length if chosen & (ANON_SHARED if nameless else MAPPED_SHARED) else 0
    if chosen & ANON_PRIVATE and (location is None or area.prot & PROT_WRITE):
        return length
    if location is None:
        return 0
    if chosen & MAPPED_PRIVATE:
        return length
    if chosen & ELF_HEADERS and not area.offset and area.prot & PROT_READ:
        try:
            if mm.space.peek(area.start, 4) == b"\x7fELF":
                return PAGE_SIZE
        except GuestFault:
            pass
    return 0


def _content(mm: Mm, start: int, length: int) -> bytes:
    try:
        return mm.space.peek(start, length)
    except GuestFault:
        if length <= PAGE_SIZE:
            return bytes(length)
        return b"".join(_content(mm, at, PAGE_SIZE) for at in range(start, start + length, PAGE_SIZE))


def _write(task: Task, info: SigInfo, file: FileDescription, limit: int) -> None:
    mm = task.mm
    areas = [(area, _dumped(mm, area)) for area in mm.vmas]
    notes = _notes(task, info)
    head = EHDR.size + PHDR.size * (len(areas) + 1)
    offset = -(-(head + len(notes)) // PAGE_SIZE) * PAGE_SIZE
    headers = [PHDR.pack(PT_NOTE, 0, head, 0, 0, len(notes), 0, 4)]
    for area, size in areas:
        # PF_X, PF_W and PF_R are the other way round than PROT_.
        flags = (area.prot & 1) << 2 | area.prot & 2 | (area.prot & 4) >> 2
        headers.append(PHDR.pack(PT_LOAD, flags, offset, area.start, 0, size, area.end - area.start, PAGE_SIZE))
        offset += size
    ident = b"\x7fELF\2\1\1".ljust(16, b"\0")
    elf = EHDR.pack(ident, 4, 62, 1, 0, EHDR.size, 0, 0, EHDR.size, PHDR.size, len(headers), 0, 0, 0)
    first = elf + b"".join(headers) + notes
    if len(first) > limit:
        first = first[:head]
    if len(first) > limit:
        return
    file.pwrite(task, first, 0)
    position = -(-len(first) // PAGE_SIZE) * PAGE_SIZE
    for area, size in areas:
        for at in range(area.start, area.start + size, CHUNK):
            length = min(CHUNK, area.start + size - at)
            length = min(length, max(limit - position, 0) & -PAGE_SIZE)
            _write_pages(task, file, _content(mm, at, length), position)
            position += length
    file.truncate(task, min(position, limit))


def _write_pages(task: Task, file: FileDescription, data: bytes, position: int) -> None:
    """Pages of zeros become holes."""
    begun = 0
    for at in range(0, len(data) + 1, PAGE_SIZE):
        if at == len(data) or data.startswith(ZEROS, at):
            if at > begun:
                file.pwrite(task, data[begun:at], position + begun)
            begun = at + PAGE_SIZE


# --- notes

def _note(kind: int, data: bytes, name: bytes = b"CORE") -> bytes:
    return (struct.pack("<III", len(name) + 1, len(data), kind) + name + bytes(4 - len(name) % 4)
            + data + bytes(-len(data) % 4))


def _notes(task: Task, info: SigInfo) -> bytes:
    """The thread that was killed comes first."""
    out = []
    others = [other for other in task.group.tasks.values() if other is not task and not other.dead]
    for member in (task, *others):
        out.append(_note(NT_PRSTATUS, _status(member, info)))
        if member is task:
            out += [_note(NT_PRPSINFO, _process(task)), _note(NT_SIGINFO, info.pack()),
                    _note(NT_AUXV, task.mm.auxv), _note(NT_FILE, _files(task))]
        out.append(_note(NT_PRFPREG, fx_image(member)))
        out.append(_note(NT_X86_XSTATE, bytes(xstate_image(member)), b"LINUX"))
    return b"".join(out)


def _status(member: Task, info: SigInfo) -> bytes:
    group = member.group
    pgrp = group.pgrp
    times = (member.cpu_ns - member.system_ns, member.system_ns, group.children_cpu_ns, group.children_system_ns)
    split = [part for ns in times for part in (max(ns, 0) // 10**9, max(ns, 0) // 1000 % 10**6)]
    return PRSTATUS.pack(info.signo, info.code, info.errno, info.signo, member.signals.pending.mask,
                         member.signals.mask, member.tid, group.parent_pid(), pgrp.pgid, pgrp.session.sid, *split,
                         *member.cpu.regs(), 1)


def _process(task: Task) -> bytes:
    from syscalls.fs.procfs_memory import cmdline
    group, cred = task.group, task.cred
    words = cmdline(task, task).rstrip(b"\0").replace(b"\0", b" ")
    return PRPSINFO.pack(0, b"R", 0, task.nice, 0x400000, cred.uid, cred.gid, group.pid, group.parent_pid(),
                         group.pgrp.pgid, group.pgrp.session.sid, task.comm[:15], words[:79])


def _files(task: Task) -> bytes:
    mapped = [(area, area.location.path(task)) for area in task.mm.vmas if area.location is not None]
    out = struct.pack("<QQ", len(mapped), PAGE_SIZE)
    out += b"".join(struct.pack("<QQQ", area.start, area.end, area.offset // PAGE_SIZE) for area, _ in mapped)
    return out + b"".join(path + b"\0" for _, path in mapped)
