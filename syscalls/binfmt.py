"""Finding what execve is to run: the file, its #! lines, its ELF headers and its strings (fs/exec.c, fs/binfmt_*.c).

Everything here happens before the point of no return.  Load plans are kept by file identity: the second exec of a
program reads no headers.
"""

from __future__ import annotations

from syscalls.abi.errno import E2BIG, EACCES, EFAULT, ELOOP, ENOENT, ENOEXEC, LinuxError
from syscalls.abi.fs import AT_FDCWD
from syscalls.task import RLIMIT_STACK
from translator.elf import ISA_BASELINE, ISA_V2, ISA_V3, ISA_V4, ElfError, LoadPlan, read_plan
from translator.hosts.base import HostError
from translator.machine import PAGE_SIZE, GuestFault
from translator.stack import ARG_MAX, ARG_TOTAL_MAX, MAX_ARG_STRLEN, fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.fd import FileDescription
    from syscalls.kernel import Kernel
    from syscalls.task import Task

HEAD_SIZE = 256
"""BINPRM_BUF_SIZE: a #! line is looked for in this many bytes."""
MAX_DEPTH = 5
PLANS_KEPT = 512


class Program:
    """A program that can be executed: opened files, their load plans, and the strings for its stack."""

    __slots__ = ("argv", "comm", "envp", "file", "filename", "interpreter", "interpreter_plan", "plan")

    def __init__(self, file: FileDescription, plan: LoadPlan, argv: list[bytes], envp: list[bytes],
                 filename: bytes, comm: bytes) -> None:
        self.file = file
        self.plan = plan
        self.argv = argv
        self.envp = envp
        self.filename = filename
        """AT_EXECFN: the name given to execve, the script's for a script."""
        self.comm = comm
        self.interpreter: FileDescription | None = None
        self.interpreter_plan: LoadPlan | None = None

    def close(self) -> None:
        self.file.release()
        if self.interpreter is not None:
            self.interpreter.release()


class Doomed(Exception):
    """Linux would notice this after the point of no return."""

    def __init__(self, words: str, interpreter: bytes | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.interpreter = interpreter


def read_strings(task: Task, addr: int) -> list[bytes]:
    """argv or envp from guest memory; a null pointer is an empty list.  EFAULT, E2BIG."""
    if not addr:
        return []
    limit = (max(ARG_TOTAL_MAX, ARG_MAX) >> 3) + 1
    pointers = task.mem.words(addr, limit)
    if len(pointers) >= limit:
        raise LinuxError(E2BIG)
    space = task.mm.space
    out = []
    total = 0
    # Strings mostly stand one after the other: what was read for one has many.
    window, start = b"", 0
    try:
        for pointer in pointers:
            at = pointer - start
            end = window.find(b"\0", at) if 0 <= at < len(window) else -1
            if end < 0:
                window, start, at = space.read(pointer, PAGE_SIZE - (pointer & PAGE_SIZE - 1)), pointer, 0
                end = window.find(b"\0")
            text = window[at:end] if end >= 0 else space.cstring(pointer, MAX_ARG_STRLEN)
            if text is None:
                raise LinuxError(E2BIG)
            out.append(text)
            total += len(text)
            if total > ARG_TOTAL_MAX:
                raise LinuxError(E2BIG)
    except GuestFault:
        raise LinuxError(EFAULT) from None
    return out


def _open_interpreter(task: Task, path: bytes, role: str) -> FileDescription:
    """open_program, with words that name what is missing: the error alone would seem to be about the program."""
    try:
        return open_program(task, AT_FDCWD, path, 0)
    except (LinuxError, HostError) as error:
        what = "is missing" if error.errno == ENOENT else f"cannot be used ({LinuxError(error.errno)})"
        raise LinuxError(error.errno, f"{role}, {path.decode('utf-8', 'backslashreplace')}, {what}") from None


def _check_interpreter(task: Task, path: bytes) -> None:
    """What is wrong with the interpreter of a program that is doomed anyway is noticed first."""
    file = _open_interpreter(task, path, "its loader (the dynamic linker)")
    try:
        _read_plan(task, file, True)
    finally:
        file.release()


def _exec_name(path: bytes, dirfd: int) -> bytes:
    """The name that the program and its interpreter see (bprm->filename)."""
    if dirfd == AT_FDCWD or path.startswith(b"/"):
        return path
    name = b"/dev/fd/%d" % dirfd
    return name + b"/" + path if path else name


def open_program(task: Task, dirfd: int, path: bytes, flags: int) -> FileDescription:
    file: FileDescription = task.kernel.vfs.open_exec(task, path, dirfd, flags)
    return file.retain()


def prepare(task: Task, path: bytes, argv: list[bytes] | int, envp: list[bytes] | int, dirfd: int = AT_FDCWD,
            flags: int = 0) -> Program:
    """Open the program, read the strings (when argv and envp are guest addresses), follow #! lines, read ELF
    headers: everything before the point of no return, in Linux's order of errors.  ENOEXEC and ELIBBAD carry
    words."""
    filename = _exec_name(path, dirfd)
    file = open_program(task, dirfd, path, flags)
    try:
        if isinstance(argv, int):
            argv = read_strings(task, argv)
        if isinstance(envp, int):
            envp = read_strings(task, envp)
        if not fits(argv, envp, filename, task.group.soft_limit(RLIMIT_STACK)):
            raise LinuxError(E2BIG)
        argv = argv or [b""]
        interp_name = filename
        hidden = dirfd != AT_FDCWD and not path.startswith(b"/") and dirfd in task.files.cloexec
        depth = 0
        while True:
            if depth > MAX_DEPTH:
                raise LinuxError(ELOOP)
            plan = _known_plan(task, file)
            if plan is not None:
                break
            head = file.pread(task, HEAD_SIZE, 0)
            if head[:2] != b"#!":
                try:
                    plan = _read_plan(task, file)
                except Doomed as doomed:
                    if doomed.interpreter is not None:
                        _check_interpreter(task, doomed.interpreter)
                    raise
                break
            name, argument = parse_script(head)
            if not name:
                # An empty path names the working directory here, which is no regular file.
                raise LinuxError(EACCES)
            if hidden:
                # The interpreter could not open /dev/fd/N: the descriptor will be closed.
                raise LinuxError(ENOENT)
            argv = [name, *([argument] if argument is not None else []), interp_name, *argv[1:]]
            next_file = _open_interpreter(task, name, "the interpreter of its #! line")
            file.release()
            file = next_file
            interp_name = name
            depth += 1
        if depth and not fits(argv, envp, filename, task.group.soft_limit(RLIMIT_STACK)):
            raise LinuxError(E2BIG)
        _check_isa(task.kernel, plan, filename)
        program = Program(file, plan, argv, envp, filename, _comm(file, path, filename))
        if plan.interpreter is not None:
            program.interpreter = _open_interpreter(task, plan.interpreter, "its loader (the dynamic linker)")
            try:
                program.interpreter_plan = _known_plan(task, program.interpreter, True) or _read_plan(
                    task, program.interpreter, True)
            except BaseException:
                program.interpreter.release()
                raise
        return program
    except BaseException:
        file.release()
        raise


def _comm(file: FileDescription, path: bytes, filename: bytes) -> bytes:
    """Task name: of the file that is loaded where execveat was given no path (since 6.14), else the last component
    of the path."""
    if not path and file.location is not None:
        filename = file.location.dentry.path or filename
    return filename.rpartition(b"/")[2][:15]


def parse_script(head: bytes) -> tuple[bytes, bytes | None]:
    """Interpreter and optional argument of a #! line (load_script).  ENOEXEC."""
    buffer = head[:HEAD_SIZE].ljust(HEAD_SIZE, b"\0")
    end = buffer.partition(b"\0")[0].find(b"\n")
    if end < 0:
        # The line was cut, or the file ends in it: fine unless the interpreter's own name was cut.
        name = buffer[2:].lstrip(b" \t")
        if not any(mark in name for mark in (b" ", b"\t", b"\0")):
            raise LinuxError(ENOEXEC, "#! line too long")
        end = HEAD_SIZE - 1
    line = buffer[2:end].strip(b" \t")
    if not line:
        raise LinuxError(ENOEXEC, "#! line without an interpreter")
    for index, byte in enumerate(line):
        if byte in b" \t":
            return line[:index], line[index:].lstrip(b" \t").partition(b"\0")[0]
        if not byte:
            return line[:index], None
    return line, None


def _plan_key(task: Task, file: FileDescription, interpreter: bool) -> tuple[int, int, int, int, bool]:
    stat = file.stat(task)
    return (stat.dev, stat.ino, stat.mtime_ns, stat.size, interpreter)


def _known_plan(task: Task, file: FileDescription, interpreter: bool = False) -> LoadPlan | None:
    return task.kernel.exec_plans.get(_plan_key(task, file, interpreter))


def _read_plan(task: Task, file: FileDescription, interpreter: bool = False) -> LoadPlan:
    def read(offset: int, length: int) -> bytes:
        return file.pread(task, length, offset)

    try:
        plan = read_plan(read, interpreter=interpreter)
    except ElfError as error:
        if error.fatal:
            raise Doomed(error.words, error.interpreter) from None
        raise LinuxError(error.errno, error.words) from None
    plans = task.kernel.exec_plans
    if len(plans) >= PLANS_KEPT:
        plans.clear()
    plans[_plan_key(task, file, interpreter)] = plan
    return plan


def _check_isa(kernel: Kernel, plan: LoadPlan, name: bytes) -> None:
    """Refuse, in words, code for a newer x86-64 level than the engine has: it would die of SIGILL somewhere."""
    if not plan.isa_needed & ~ISA_BASELINE:
        return
    flags = kernel.engine.cpuinfo().get("flags", "").split()
    for bit, level, needed in ((ISA_V2, "v2", ("sse4_2", "popcnt", "ssse3", "cx16")),
                               (ISA_V3, "v3", ("avx2", "bmi2", "fma", "movbe")),
                               (ISA_V4, "v4", ("avx512f", "avx512vl"))):
        if plan.isa_needed & bit and not all(flag in flags for flag in needed):
            raise LinuxError(ENOEXEC, f"built for x86-64-{level} processors: the {kernel.engine.name} engine has no "
                                      f"{next(flag for flag in needed if flag not in flags)}")
