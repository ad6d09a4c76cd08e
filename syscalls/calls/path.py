"""Names: mkdir, mknod, link, symlink, unlink, rmdir, rename and their *at forms."""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, ENOENT, LinuxError
from syscalls.abi.fs import AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW
from syscalls.credentials import CAP_DAC_READ_SEARCH
from syscalls.fs import names
from syscalls.fs.inode import S_IFMT
from syscalls.table import PARTIAL, syscall
from syscalls.usermem import readable_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.abi.kinds import AtFlags, RenameFlags
    from syscalls.table import U32, DirFd, Flags, Mode, Path
    from syscalls.task import Task


@syscall(83, needs=("files.tree", "files.mode-bits", "files.any-name", "files.case-sensitive"))
def mkdir(task: Task, path: Path, mode: Mode) -> int:
    names.make_directory(task.kernel.vfs, task, path, AT_FDCWD, mode)
    return 0


@syscall(258, since="2.6.16", needs=("files.tree", "files.mode-bits", "files.any-name", "files.case-sensitive"))
def mkdirat(task: Task, dirfd: DirFd, path: Path, mode: Mode) -> int:
    names.make_directory(task.kernel.vfs, task, path, dirfd, mode)
    return 0


def _mknod(task: Task, dirfd: int, path: bytes, mode: int, device: int) -> int:
    mode = mode & S_IFMT | mode & 0o7777 & ~task.fs.umask
    names.make_node(task.kernel.vfs, task, path, dirfd, mode, device)
    return 0


@syscall(133, needs=("files.tree", "files.fifo", "files.device-node"))
def mknod(task: Task, path: Path, mode: Mode, dev: U32) -> int:
    return _mknod(task, AT_FDCWD, path, mode, dev)


@syscall(259, since="2.6.16", needs=("files.tree", "files.fifo", "files.device-node"))
def mknodat(task: Task, dirfd: DirFd, path: Path, mode: Mode, dev: U32) -> int:
    return _mknod(task, dirfd, path, mode, dev)


@syscall(88, needs=("files.symlink",))
def symlink(task: Task, target: Path, linkpath: Path) -> int:
    names.make_symlink(task.kernel.vfs, task, target, linkpath, AT_FDCWD)
    return 0


@syscall(266, since="2.6.16", needs=("files.symlink",))
def symlinkat(task: Task, target: Path, newdirfd: DirFd, linkpath: Path) -> int:
    names.make_symlink(task.kernel.vfs, task, target, linkpath, newdirfd)
    return 0


@syscall(86, needs=("files.hard-link",))
def link(task: Task, oldpath: Path, newpath: Path) -> int:
    return _link(task, AT_FDCWD, oldpath, AT_FDCWD, newpath, 0)


@syscall(265, since="2.6.16", needs=("files.hard-link",))
def linkat(task: Task, olddirfd: DirFd, oldpath: Path, newdirfd: DirFd, newpath: Path, flags: Flags[AtFlags]) -> int:
    return _link(task, olddirfd, oldpath, newdirfd, newpath, flags)


def _link(task: Task, olddirfd: int, oldpath: bytes, newdirfd: int, newpath: bytes, flags: int) -> int:
    if flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH):
        raise LinuxError(EINVAL)
    vfs = task.kernel.vfs
    # The flag wants that capability, or the credentials that opened the descriptor, even when there is a path.
    if (flags & AT_EMPTY_PATH and olddirfd != AT_FDCWD and not readable_name(oldpath).startswith(b"/")
            and not task.cred.capable(CAP_DAC_READ_SEARCH)
            and task.files.get_raw(olddirfd) in task.files.inherited):
        raise LinuxError(ENOENT)
    old = vfs.resolve(task, oldpath, olddirfd, follow=bool(flags & AT_SYMLINK_FOLLOW),
                      empty_path=bool(flags & AT_EMPTY_PATH))
    names.make_link(vfs, task, old, newpath, newdirfd)
    return 0


@syscall(87, needs=("files.tree", "files.unlink-open"))
def unlink(task: Task, path: Path) -> int:
    names.remove_file(task.kernel.vfs, task, path, AT_FDCWD)
    return 0


@syscall(84, needs=("files.tree",))
def rmdir(task: Task, path: Path) -> int:
    names.remove_directory(task.kernel.vfs, task, path, AT_FDCWD)
    return 0


@syscall(263, since="2.6.16", needs=("files.tree", "files.unlink-open"))
def unlinkat(task: Task, dirfd: DirFd, path: Path, flags: Flags[AtFlags]) -> int:
    if flags & ~AT_REMOVEDIR:
        raise LinuxError(EINVAL)
    remove = names.remove_directory if flags & AT_REMOVEDIR else names.remove_file
    remove(task.kernel.vfs, task, path, dirfd)
    return 0


@syscall(82, needs=("files.tree", "files.unlink-open", "files.rename-open-dir"))
def rename(task: Task, oldpath: Path, newpath: Path) -> int:
    names.rename(task.kernel.vfs, task, oldpath, AT_FDCWD, newpath, AT_FDCWD, 0)
    return 0


@syscall(264, since="2.6.16", needs=("files.tree", "files.unlink-open", "files.rename-open-dir"))
def renameat(task: Task, olddirfd: DirFd, oldpath: Path, newdirfd: DirFd, newpath: Path) -> int:
    names.rename(task.kernel.vfs, task, oldpath, olddirfd, newpath, newdirfd, 0)
    return 0


@syscall(316, since="3.15", unsupported={"RENAME_WHITEOUT": 4},
         support=PARTIAL("RENAME_WHITEOUT is refused, as by file systems without whiteouts"),
         needs=("files.tree", "files.unlink-open", "files.rename-open-dir", "files.rename-noreplace",
                "files.rename-exchange"))
def renameat2(task: Task, olddirfd: DirFd, oldpath: Path, newdirfd: DirFd, newpath: Path,
              flags: Flags[RenameFlags]) -> int:
    names.rename(task.kernel.vfs, task, oldpath, olddirfd, newpath, newdirfd, flags & 0xFFFFFFFF)
    return 0
