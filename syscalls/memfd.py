"""memfd_create(2): files in memory without a name in the tree, and their seals (mm/memfd.c)."""

from __future__ import annotations

from syscalls.abi.errno import EBUSY, EINVAL, ENODEV, EPERM, LinuxError
from syscalls.abi.fs import O_LARGEFILE, O_RDWR
from syscalls.abi.mm import (
    F_SEAL_EXEC,
    F_SEAL_FUTURE_WRITE,
    F_SEAL_GROW,
    F_SEAL_SEAL,
    F_SEAL_SHRINK,
    F_SEAL_WRITE,
    MFD_ALLOW_SEALING,
    MFD_CLOEXEC,
    MFD_HUGETLB,
    MFD_NOEXEC_SEAL,
    VM_MAYWRITE,
    VM_SHARED,
)
from syscalls.fs.inode import S_IFREG
from syscalls.fs.memory_description import MemoryDescription
from syscalls.fs.mounts import Dentry, Location, Mount
from syscalls.fs.tmpfs import MemoryFile, TmpFs
from syscalls.task import RLIMIT_NOFILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.kernel import Kernel
    from syscalls.task import Task

ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC
SHM_DEVICE = 1
"""st_dev of the kernel's own tmpfs, as /proc/pid/maps shows it: 00:01."""


class SealedFile(MemoryFile):
    """The inode of a memfd; `sealed` holds its seals."""

    __slots__ = ()

    @property
    def seals(self) -> int:
        return self.sealed

    def add_seals(self, task: Task, seals: int) -> None:
        """fcntl(F_ADD_SEALS).  EINVAL, EPERM when sealing is over, EBUSY while somebody may write a mapping."""
        if seals & ~ALL_SEALS:
            raise LinuxError(EINVAL)
        if self.sealed & F_SEAL_SEAL:
            raise LinuxError(EPERM)
        if seals & F_SEAL_WRITE and not self.sealed & F_SEAL_WRITE and self._writable_mappings(task.kernel):
            raise LinuxError(EBUSY)
        if seals & F_SEAL_EXEC and self.mode & 0o111:
            seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
        self.sealed |= seals

    def _writable_mappings(self, kernel: Kernel) -> bool:
        wanted = VM_SHARED | VM_MAYWRITE
        return any(area.backing is self and area.flags & wanted == wanted
                   for task in kernel.tasks.values() if not task.dead for area in task.mm.vmas)

    def chmod(self, task: Task, mode: int) -> None:
        if self.sealed & F_SEAL_EXEC and (self.mode ^ mode) & 0o111:
            raise LinuxError(EPERM)
        super().chmod(task, mode)

    def truncate(self, task: Task, length: int) -> None:
        if (self.sealed & F_SEAL_SHRINK and length < self.length) or (
                self.sealed & F_SEAL_GROW and length > self.length):
            raise LinuxError(EPERM)
        super().truncate(task, length)

    def open(self, task: Task, flags: int, location: Location) -> SealedDescription:
        if flags & 0o1000:
            self.truncate(task, 0)
        return SealedDescription(flags, location, self, task.kernel.vfs)


class SealedDescription(MemoryDescription):
    @property
    def write_sealed(self) -> bool:
        """New mappings can never be made writable."""
        return bool(self.inode.sealed & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))

    def backing(self, task: Task, shared: bool, prot: int) -> MemoryFile:
        if shared and prot & 2 and self.write_sealed:
            raise LinuxError(EPERM)
        return self.inode


def memory_mount(kernel: Kernel) -> Mount:
    """The kernel's own tmpfs, which is mounted nowhere."""
    if kernel.memory_mount is None:
        mount = Mount(0, b"tmpfs", b"tmpfs", 0, None, None)
        mount.filesystem = TmpFs(kernel, SHM_DEVICE)
        kernel.memory_mount = mount
    return kernel.memory_mount


def create(task: Task, name: bytes, flags: int) -> int:
    """A new descriptor; the flags have been checked."""
    if flags & MFD_HUGETLB:
        # No huge page size is offered (hugetlb_file_setup).
        raise LinuxError(ENODEV)
    mount = memory_mount(task.kernel)
    filesystem = mount.filesystem
    assert isinstance(filesystem, TmpFs)
    mode = 0o666 if flags & MFD_NOEXEC_SEAL else 0o777
    inode = SealedFile(filesystem, S_IFREG | mode, task.cred.fsuid, task.cred.fsgid)
    inode.nlink = 0
    if flags & MFD_NOEXEC_SEAL:
        inode.sealed = F_SEAL_EXEC
    elif not flags & MFD_ALLOW_SEALING:
        inode.sealed = F_SEAL_SEAL
    location = Location(mount, Dentry(b"/memfd:" + name + b" (deleted)"), inode)
    file = inode.open(task, O_RDWR | O_LARGEFILE, location)
    file.direct_io = False  # nothing opened it
    return task.files.install(file, bool(flags & MFD_CLOEXEC), task.group.soft_limit(RLIMIT_NOFILE))
