"""What /proc/PID says of a process's memory (fs/proc/task_mmu.c): maps, smaps, mem, environ, cmdline, auxv."""

from __future__ import annotations

from syscalls.abi.errno import EACCES, EINVAL, EIO, LinuxError
from syscalls.abi.fs import SEEK_CUR, SEEK_SET
from syscalls.abi.mm import PROT_WRITE, VM_GROWSDOWN, VM_LOCKED, VM_MAYSHARE
from syscalls.fd import FileDescription
from syscalls.fs.inode import S_IFREG
from syscalls.fs.procfs import check_exists, may_access, owner, text
from syscalls.fs.procfs_task import memory_of
from syscalls.fs.simple import Node, Seeks
from translator.machine import GuestFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from syscalls.fs.procfs import Maker, ProcFs
    from syscalls.fs.vfs import Location
    from syscalls.mm import Mm, Vma
    from syscalls.task import Task

NAME_COLUMN = 73
_RIGHTS = ("---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx")
MEM_CHUNK = 1 << 20


class Usage:
    """Sums over the areas of an address space, in bytes.  What is in memory is known as a whole only; it is divided
    by the areas' sizes."""

    __slots__ = ("code", "data", "rss", "rss_anon", "rss_file", "rss_shared", "stack")

    def __init__(self, mm: Mm) -> None:
        anonymous = files = shared = 0
        self.data = self.stack = self.code = 0
        for area in mm.vmas:
            size = area.end - area.start
            if area.backing is None:
                anonymous += size if area.prot else 0
            elif area.location is None and area.flags & VM_MAYSHARE:
                shared += size
            else:
                files += size
            if area.flags & VM_GROWSDOWN:
                self.stack += size
            elif area.is_data:
                self.data += size
            if area.prot & 4 and not area.prot & 2:
                self.code += size
        self.rss = min(mm.space.rss_pages() << 12, mm.total_bytes())
        whole = anonymous + files + shared or 1
        self.rss_file = self.rss * files // whole & ~4095
        self.rss_shared = self.rss * shared // whole & ~4095
        self.rss_anon = self.rss - self.rss_file - self.rss_shared


def _name(area: Vma, task: Task, mm: Mm) -> bytes:
    if area.location is not None:
        return area.location.path(task).replace(b"\n", b"\\012")
    if area.backing is None and area.start < mm.brk and area.end > mm.start_brk:
        return b"[heap]"  # whatever is there
    if area.backing is None and area.start <= mm.start_stack <= area.end:
        return b"[stack]"
    if area.name is not None:
        return area.name
    if area.backing is not None and area.flags & VM_MAYSHARE:
        return b"/dev/zero (deleted)"
    return b""


def _identity(area: Vma, task: Task) -> tuple[int, int]:
    """Device and inode number of what is mapped."""
    if area.location is not None:
        try:
            device, inode = area.location.inode.identity(task)
        except LinuxError:
            return 0, 0
        return device, inode
    if area.backing is not None:
        return 1, int(getattr(area.backing, "number", 0))
    return 0, 0


def area_line(area: Vma, task: Task, mm: Mm) -> bytes:
    device, inode = _identity(area, task)
    major, minor = device >> 8 & 0xFFF, device & 0xFF | device >> 12 & 0xFFF00
    line = (f"{area.start:08x}-{area.end:08x} {_RIGHTS[area.prot & 7]}{'s' if area.shared else 'p'} "
            f"{area.offset if area.backing is not None else 0:08x} {major:02x}:{minor:02x} {inode} ").encode()
    name = _name(area, task, mm)
    return line.ljust(NAME_COLUMN) + name + b"\n" if name else line + b"\n"


def maps(target: Task, task: Task) -> bytes:
    mm = memory_of(target)
    return b"".join(area_line(area, task, mm) for area in mm.vmas) if mm is not None else b""


_ZERO_ROWS = ("KSM", "LazyFree", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb",
              "Private_Hugetlb", "Swap", "SwapPss")


def _counters(resident: int, area: Vma) -> list[tuple[str, int]]:
    anonymous, shared = area.backing is None, area.shared
    clean = 0 if anonymous else resident
    dirty = resident if anonymous else 0
    rows = [("Rss", resident), ("Pss", resident), ("Pss_Dirty", dirty),
            ("Shared_Clean", clean if shared else 0), ("Shared_Dirty", dirty if shared else 0),
            ("Private_Clean", 0 if shared else clean), ("Private_Dirty", 0 if shared else dirty),
            ("Referenced", resident), ("Anonymous", dirty)]
    rows += [(name, 0) for name in _ZERO_ROWS]
    rows.append(("Locked", resident if area.flags & VM_LOCKED else 0))
    return rows


def _resident(mm: Mm, area: Vma) -> int:
    if not area.prot:
        return 0
    return sum(mm.space.resident(area.start, area.end - area.start)) << 12


def smaps(target: Task, task: Task) -> bytes:
    mm = memory_of(target)
    if mm is None:
        return b""
    out = []
    for area in mm.vmas:
        size = area.end - area.start
        rows = [("Size", size), ("KernelPageSize", 4096), ("MMUPageSize", 4096),
                *_counters(_resident(mm, area), area)]
        out.append(area_line(area, task, mm))
        out.append("".join(f"{name + ':':<16}{value >> 10:8d} kB\n" for name, value in rows).encode())
        out.append(f"THPeligible:    {0:8d}\nVmFlags: {area.mnemonics()} \n".encode())
    return b"".join(out)


def smaps_rollup(target: Task, task: Task) -> bytes:
    mm = memory_of(target)
    if mm is None:
        return b""
    totals: dict[str, int] = {}
    kinds = {"Pss_Anon": 0, "Pss_File": 0, "Pss_Shmem": 0}
    first, last = 0, 0
    for area in mm.vmas:
        first = first or area.start
        last = area.end
        resident = _resident(mm, area)
        kind = "Pss_Anon" if area.backing is None else "Pss_File" if area.location is not None else "Pss_Shmem"
        kinds[kind] += resident
        for name, value in _counters(resident, area):
            totals[name] = totals.get(name, 0) + value
    rows = []
    for name, value in totals.items():
        rows.append((name, value))
        if name == "Pss_Dirty":
            rows += kinds.items()
    head = f"{first:08x}-{last:08x} ---p 00000000 00:00 0".ljust(NAME_COLUMN) + "[rollup]\n"
    return (head + "".join(f"{name + ':':<16}{value >> 10:8d} kB\n" for name, value in rows)).encode()


def _peek(mm: Mm, start: int, end: int) -> bytes:
    """Bytes [start, end), as far as they are mapped."""
    out = []
    while start < end:
        step = min(end, (start | 4095) + 1)
        try:
            out.append(mm.space.peek(start, step - start))
        except GuestFault:
            break
        start = step
    return b"".join(out)


def cmdline(target: Task, task: Task) -> bytes:
    """The argument strings; a program that has overwritten them past their end (setproctitle) goes on into the
    environment's place (get_mm_cmdline)."""
    mm = memory_of(target)
    if mm is None or not mm.arg_end:
        return b""
    data = _peek(mm, mm.arg_start, mm.arg_end)
    if data and data[-1]:
        title = _peek(mm, mm.arg_start, max(mm.arg_end, mm.env_end))
        return title.split(b"\0", 1)[0]
    return data


def environ(target: Task, task: Task) -> bytes:
    mm = memory_of(target)
    return _peek(mm, mm.env_start, mm.env_end) if mm is not None else b""


def auxv(target: Task, task: Task) -> bytes:
    mm = memory_of(target)
    return mm.auxv if mm is not None else b""


def numa_maps(target: Task, task: Task) -> bytes:
    mm = memory_of(target)
    if mm is None:
        return b""
    out = []
    for area in mm.vmas:
        name = _name(area, task, mm)
        what = b" file=" + name if area.location is not None else b" " + name.strip(b"[]") if name else b""
        out.append(b"%08x default%s\n" % (area.start, what))
    return b"".join(out)


class MemNode(Node):
    """/proc/PID/mem."""

    fixed = True

    def __init__(self, filesystem: ProcFs, target: Task, number: int) -> None:
        uid, gid = owner(target)
        super().__init__(filesystem, S_IFREG | 0o600, uid=uid, gid=gid, number=number)
        self.target = target

    def truncate(self, task: Task, length: int) -> None:
        """O_TRUNC means nothing here."""

    def open(self, task: Task, flags: int, location: Location) -> FileDescription:
        check_exists(self.target)
        if not may_access(task, self.target):
            raise LinuxError(EACCES)
        return self.description(flags, location)

    def description(self, flags: int, location: Location) -> FileDescription:
        return MemDescription(flags, location, self)


class MemDescription(FileDescription):
    """The address space of a process as a file: positions are addresses; protection does not count."""

    kind = "file"
    seekable = True
    nowait = splice_source = splice_target = direct_io = False
    reads_vectors = writes_vectors = False

    def __init__(self, flags: int, location: Location, node: MemNode) -> None:
        super().__init__(flags, location, node)
        mm = memory_of(node.target)
        # The pages go with the process, not with this descriptor: only the object is kept.
        self.mm = mm
        self.target = node.target

    def _space(self) -> Mm | None:
        mm = self.mm
        return mm if mm is not None and mm.users > 0 else None

    def pread(self, task: Task, length: int, offset: int) -> bytes:
        mm = self._space()
        if mm is None or not length:
            return b""
        data = _peek(mm, offset, offset + min(length, MEM_CHUNK))
        if not data:
            raise LinuxError(EIO)
        return data

    def pwrite(self, task: Task, data: bytes, offset: int) -> int:
        mm = self._space()
        if mm is None:
            return 0
        done = 0
        while done < len(data):
            at = offset + done
            step = min(len(data) - done, 4096 - (at & 4095))
            area = mm.find(at)
            if area is not None and area.shared and not area.prot & PROT_WRITE:
                break  # only what would be copied is written in spite of its protection (FOLL_FORCE)
            try:
                mm.space.poke(at, bytes(data[done:done + step]))
            except GuestFault:
                break
            done += step
        if not done and data:
            raise LinuxError(EIO)
        return done

    def read(self, task: Task, length: int) -> bytes:
        data = self.pread(task, length, self.offset)
        self.offset += len(data)
        return data

    def write(self, task: Task, data: bytes) -> int:
        done = self.pwrite(task, data, self.offset)
        self.offset += done
        return done

    def seek(self, task: Task, offset: int, whence: int) -> int:
        """mem_lseek: addresses are unsigned."""
        if whence == SEEK_CUR:
            offset += self.offset
        elif whence != SEEK_SET:
            raise LinuxError(EINVAL)
        self.offset = offset & 0xFFFFFFFFFFFFFFFF
        return self.offset


def _always(location: Location) -> Callable[[Task], Location]:
    return lambda task: location


def _map_files(filesystem: ProcFs, target: Task, number: int) -> Node:
    from syscalls.fs.inode import Inode
    from syscalls.fs.procfs import TaskSubdirectory
    from syscalls.fs.simple import MagicLink

    def names(filesystem: ProcFs, target: Task, task: Task) -> dict[bytes, Inode]:
        mm = memory_of(target)
        out: dict[bytes, Inode] = {}
        for index, area in enumerate(mm.vmas if mm is not None else (), 1):
            location = area.location
            if location is not None:
                out[b"%x-%x" % (area.start, area.end)] = MagicLink(
                    filesystem, location.path, _always(location), mode=0o600, number=number + (index << 8))
        return out

    return TaskSubdirectory(filesystem, target, names, 0o500, number, guarded=True)


def _pagemap(filesystem: ProcFs, target: Task, number: int) -> Node:
    from syscalls.fs.procfs_pagemap import PagemapNode
    return PagemapNode(filesystem, target, number)


MEMORY_ENTRIES: dict[bytes, Maker] = {
    b"maps": text(0o444, maps, guarded=True),
    b"numa_maps": text(0o444, numa_maps, guarded=True),
    b"mem": MemNode,
    b"smaps": text(0o444, smaps, guarded=True),
    b"smaps_rollup": text(0o444, smaps_rollup, guarded=True),
    b"pagemap": _pagemap,
    b"map_files": _map_files,
    b"cmdline": text(0o444, cmdline, seeks=Seeks.GENERIC),
    b"environ": text(0o400, environ, guarded=True, seeks=Seeks.GENERIC),
    b"auxv": text(0o400, auxv, guarded=True, seeks=Seeks.GENERIC),
}
