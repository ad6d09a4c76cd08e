"""execve: becoming another program (begin_new_exec).

Everything that can be refused is refused before the point of no return (binfmt.py); after it a failure kills the
process with SIGSEGV, as Linux does.
"""

from __future__ import annotations

from syscalls.abi.errno import EINVAL, ENOENT, ENOEXEC, NAMES, LinuxError
from syscalls.abi.fs import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW
from syscalls.binfmt import Doomed, Program, open_program, prepare
from syscalls.load import load
from syscalls.mm import Mm
from syscalls.task import NO_RESULT
from syscalls.usermem import readable_name
from translator.hosts.base import HostError
from translator.machine import GuestFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.credentials import Credentials
    from syscalls.kernel import Kernel
    from syscalls.task import Task

AT_EXECVE_CHECK = 0x10000
SIGSEGV = 11

_WORDS = {2: "no such file or directory", 13: "permission denied", 7: "argument list too long", 26: "text file busy",
          8: "cannot be executed: wrong format", 20: "not a directory", 40: "too many levels of links or scripts",
          80: "its interpreter is corrupt"}


class ExecFailure(Exception):
    """The first program cannot be started: `errno` as execve gives it, `words` for the user."""

    def __init__(self, errno: int, words: str) -> None:
        super().__init__(errno, words)
        self.errno = errno
        self.words = words


async def do_execve(task: Task, path: bytes, argv: list[bytes] | int, envp: list[bytes] | int,
                    dirfd: int = AT_FDCWD, flags: int = 0) -> int:
    """Replace the caller's program; argv and envp are lists, or the guest's addresses of them.  NO_RESULT when it
    has happened, or the process has died of it."""
    from syscalls.exit import kill_other_threads
    from syscalls.wait import leave_engine
    if not readable_name(path) and not flags & AT_EMPTY_PATH:
        raise LinuxError(ENOENT)
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EXECVE_CHECK):
        raise LinuxError(EINVAL)
    if flags & AT_EXECVE_CHECK:
        open_program(task, dirfd, path, flags & ~AT_EXECVE_CHECK).release()
        return 0
    program: Program | None
    try:
        program = prepare(task, path, argv, envp, dirfd, flags)
    except Doomed:
        program = None
    except LinuxError as error:
        if error.errno == ENOEXEC and error.message.startswith("built for"):
            _complain(task.kernel, path, error.message)
        raise
    old_tid = task.tid
    try:
        await kill_other_threads(task)
        # The engine is inside this task's memory: it has to come out before that is replaced.
        await leave_engine(task)
        if program is None or not _replace(task, program):
            _die(task)
    finally:
        if program is not None:
            program.close()
    if task.tracing is not None:
        from syscalls.ptrace import exec_event
        await exec_event(task, old_tid)
    return NO_RESULT


def _complain(kernel: Kernel, path: bytes, words: str) -> None:
    """One line on pylx's own stderr: the caller of execve sees ENOEXEC only."""
    stream = kernel.host.stream(2)
    if stream is not None:
        try:
            stream.write(b"pylx: " + path + b": " + words.encode() + b"\n")
        except HostError:
            pass


def _die(task: Task) -> None:
    """A failure past the point of no return: the old program is gone, there is nothing to return to."""
    from syscalls.siginfo import SigInfo
    from syscalls.signals import force
    task.handlers.actions.pop(SIGSEGV, None)
    force(task, SigInfo(SIGSEGV, 0x80))


def _replace(task: Task, program: Program) -> bool:
    """begin_new_exec and load_elf_binary from the point of no return on; False: the process is to die."""
    from syscalls.exit import release_mm
    old = task.mm
    new_cred = _credentials(task.cred)
    try:
        mm = Mm(task.kernel)
        mm.inherit(old)
    except MemoryError:
        return False
    try:
        entry, pointer = load(task, mm, program)
    except (LinuxError, HostError, GuestFault, MemoryError):
        mm.drop()
        return False
    if new_cred is not task.cred and new_cred.euid != task.cred.euid:
        task.parent_death_signal = 0
    task.cred = new_cred
    task.thread_keyring = task.group.process_keyring = None
    release_mm(task)
    _install(task, mm, program)
    old.drop()
    _reset_task(task, program)
    task.cpu.reset(entry, pointer)
    return True


def _install(task: Task, mm: Mm, program: Program) -> None:
    mm.exe = task.group.exe = program.file.location
    mm.exe_file = program.file.retain()
    task.mm = mm
    task.mem = mm.mem
    task.cpu.space = mm.space
    task.comm = program.comm


def _reset_task(task: Task, program: Program) -> None:
    """What an exec resets besides memory (man 2 execve, "Effect on process attributes")."""
    group = task.group
    if task.files.sharers > 1:
        files = task.files.copy(task.kernel.nr_open)
        task.files.drop(task)
        task.files = files
    task.files.close_on_exec(task)
    if task.handlers.sharers > 1:
        handlers = task.handlers.copy()
        task.handlers.sharers -= 1
        task.handlers = handlers
    task.handlers.reset_for_exec()
    task.signals.altstack = (0, 0, 0)
    task.restart_block = None
    task.set_child_tid = task.clear_child_tid = 0
    task.robust_list = 0
    task.rseq = 0
    task.rseq_by_host = False
    task.keep_capabilities = False
    group.has_execed = True
    group.exit_signal = 17
    cred = task.cred
    group.dumpable = int(cred.uid == cred.euid and cred.gid == cred.egid)
    if group.timers is not None:
        from syscalls.timers import exec_timers
        exec_timers(group)


def _credentials(cred: Credentials) -> Credentials:
    """cap_bprm_creds_from_file without file capabilities.  Set-user-ID bits have no effect, as on a nosuid mount:
    the host grants nobody another identity."""
    root = (cred.uid == 0 or cred.euid == 0) and not cred.securebits & 1
    permitted = cred.bounding | cred.cap_inheritable if root else cred.ambient
    effective = permitted if cred.euid == 0 and root else cred.ambient
    ambient = 0 if root and cred.uid != cred.euid else cred.ambient
    if (permitted == cred.cap_permitted and effective == cred.cap_effective and ambient == cred.ambient
            and cred.euid == cred.suid == cred.fsuid and cred.egid == cred.sgid == cred.fsgid):
        return cred
    return cred.replaced(cap_permitted=permitted, cap_effective=effective, ambient=ambient, suid=cred.euid,
                         fsuid=cred.euid, sgid=cred.egid, fsgid=cred.egid, securebits=cred.securebits & ~0x10)


def load_first(task: Task, path: bytes, argv: list[bytes], envp: list[bytes]) -> None:
    """The first program of a run, into the empty Mm that the task was made with.  ExecFailure."""
    try:
        program = prepare(task, path, argv, envp)
    except (LinuxError, HostError) as error:
        words = error.message or _WORDS.get(error.errno, NAMES.get(error.errno, str(error.errno)))
        raise ExecFailure(error.errno, words) from None
    except Doomed as doomed:
        raise ExecFailure(ENOEXEC, doomed.words) from None
    try:
        task.cred = _credentials(task.cred)
        try:
            entry, pointer = load(task, task.mm, program)
        except LinuxError as error:
            raise ExecFailure(ENOEXEC, error.message or NAMES[error.errno]) from None
        except (GuestFault, MemoryError):
            raise ExecFailure(ENOEXEC, "its segments do not fit the file, or memory") from None
        _install(task, task.mm, program)
        task.cpu.reset(entry, pointer)
    finally:
        program.close()
