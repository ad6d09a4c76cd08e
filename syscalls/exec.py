"""execve: find the program, replace the process (fs/exec.c, fs/binfmt_elf.c, fs/binfmt_script.c).

Everything that can be refused is refused before the point of no return; after it a failure kills the process with
SIGSEGV, as Linux does.  Load plans are kept by file identity: the second exec of a program reads no headers.
"""

from __future__ import annotations

from syscalls.abi.errno import (
    E2BIG,
    EACCES,
    EFAULT,
    EINVAL,
    ELOOP,
    ENOENT,
    ENOEXEC,
    NAMES,
    LinuxError,
)
from syscalls.abi.fs import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW
from syscalls.abi.mm import MMAP_MIN_ADDR, VM_GROWSDOWN
from syscalls.mm import CAP_SYS_RAWIO, DYN_BASE, MAY_ALL, STACK_TOP, Mm, page_align
from syscalls.task import NO_RESULT, RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK
from syscalls.vma import Vma
from translator import elf, stack
from translator.hosts.base import HostError
from translator.machine import PAGE_MASK, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE, TASK_SIZE, GuestFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from syscalls.credentials import Credentials
    from syscalls.fd import FileDescription
    from syscalls.kernel import Kernel
    from syscalls.task import Task
    from translator.machine import Backing

AT_EXECVE_CHECK = 0x10000
HEAD_SIZE = 256
"""BINPRM_BUF_SIZE: a #! line is looked for in this many bytes."""
MAX_DEPTH = 5
STACK_EXPAND = 128 << 10
"""What the stack gets beyond the arguments before it has to grow."""
PLANS_KEPT = 512
SIGSEGV = 11
RSEQ_FEATURE_SIZE, RSEQ_ALIGN = 28, 32
CLOCK_TICKS = 100
MINSIGSTKSZ = 2048
"""The smallest alternate stack that sigaltstack(2) accepts; frames without AVX state are smaller."""

_WORDS = {2: "no such file or directory", 13: "permission denied", 7: "argument list too long", 26: "text file busy",
          8: "cannot be executed: wrong format", 20: "not a directory", 40: "too many levels of links or scripts",
          80: "its interpreter is corrupt"}


class ExecFailure(Exception):
    """The first program cannot be started: `errno` as execve gives it, `words` for the user."""

    def __init__(self, errno: int, words: str) -> None:
        super().__init__(errno, words)
        self.errno = errno
        self.words = words


class Program:
    """A program that can be executed: opened files, their load plans, and the strings for its stack."""

    __slots__ = ("argv", "comm", "envp", "file", "filename", "interpreter", "interpreter_plan", "plan")

    def __init__(self, file: FileDescription, plan: elf.LoadPlan, argv: list[bytes], envp: list[bytes],
                 filename: bytes, comm: bytes) -> None:
        self.file = file
        self.plan = plan
        self.argv = argv
        self.envp = envp
        self.filename = filename
        """AT_EXECFN: the name given to execve, the script's for a script."""
        self.comm = comm
        self.interpreter: FileDescription | None = None
        self.interpreter_plan: elf.LoadPlan | None = None

    def close(self) -> None:
        self.file.release()
        if self.interpreter is not None:
            self.interpreter.release()


# --- the strings


def read_strings(task: Task, addr: int) -> list[bytes]:
    """argv or envp from guest memory; a null pointer is an empty list.  EFAULT, E2BIG."""
    if not addr:
        return []
    limit = (max(stack.ARG_TOTAL_MAX, stack.ARG_MAX) >> 3) + 1
    pointers = task.mem.words(addr, limit)
    if len(pointers) >= limit:
        raise LinuxError(E2BIG)
    cstring = task.mm.space.cstring
    out = []
    total = 0
    try:
        for pointer in pointers:
            text = cstring(pointer, stack.MAX_ARG_STRLEN)
            if text is None:
                raise LinuxError(E2BIG)
            out.append(text)
            total += len(text)
            if total > stack.ARG_TOTAL_MAX:
                raise LinuxError(E2BIG)
    except GuestFault:
        raise LinuxError(EFAULT) from None
    return out


# --- finding the program


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
        if not stack.fits(argv, envp, filename, task.group.soft_limit(RLIMIT_STACK)):
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
                plan = _read_plan(task, file)
                break
            name, argument = parse_script(head)
            if not name:
                # An empty path names the working directory here, which is no regular file.
                raise LinuxError(EACCES)
            if hidden:
                # The interpreter could not open /dev/fd/N: the descriptor will be closed.
                raise LinuxError(ENOENT)
            argv = [name, *([argument] if argument is not None else []), interp_name, *argv[1:]]
            next_file = open_program(task, AT_FDCWD, name, 0)
            file.release()
            file = next_file
            interp_name = name
            depth += 1
        if depth and not stack.fits(argv, envp, filename, task.group.soft_limit(RLIMIT_STACK)):
            raise LinuxError(E2BIG)
        _check_isa(task.kernel, plan, filename)
        program = Program(file, plan, argv, envp, filename, _comm(file, path, filename))
        if plan.interpreter is not None:
            program.interpreter = open_program(task, AT_FDCWD, plan.interpreter, 0)
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


def _known_plan(task: Task, file: FileDescription, interpreter: bool = False) -> elf.LoadPlan | None:
    return task.kernel.exec_plans.get(_plan_key(task, file, interpreter))


def _read_plan(task: Task, file: FileDescription, interpreter: bool = False) -> elf.LoadPlan:
    def read(offset: int, length: int) -> bytes:
        return file.pread(task, length, offset)

    try:
        plan = elf.read_plan(read, interpreter=interpreter)
    except elf.ElfError as error:
        if error.fatal:
            raise _Doomed(error.words) from None
        raise LinuxError(error.errno, error.words) from None
    plans = task.kernel.exec_plans
    if len(plans) >= PLANS_KEPT:
        plans.clear()
    plans[_plan_key(task, file, interpreter)] = plan
    return plan


class _Doomed(Exception):
    """Linux would notice this after the point of no return."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def _check_isa(kernel: Kernel, plan: elf.LoadPlan, name: bytes) -> None:
    """Refuse, in words, code for a newer x86-64 level than the engine has: it would die of SIGILL somewhere."""
    if not plan.isa_needed & ~elf.ISA_BASELINE:
        return
    flags = kernel.engine.cpuinfo().get("flags", "").split()
    for bit, level, needed in ((elf.ISA_V2, "v2", ("sse4_2", "popcnt", "ssse3", "cx16")),
                               (elf.ISA_V3, "v3", ("avx2", "bmi2", "fma", "movbe")),
                               (elf.ISA_V4, "v4", ("avx512f", "avx512vl"))):
        if plan.isa_needed & bit and not all(flag in flags for flag in needed):
            raise LinuxError(ENOEXEC, f"built for x86-64-{level} processors: the {kernel.engine.name} engine has no "
                                      f"{next(flag for flag in needed if flag not in flags)}")


# --- loading


def load(task: Task, mm: Mm, program: Program) -> tuple[int, int]:
    """Map the program and its interpreter into an empty Mm and make the stack: (entry, stack pointer).
    LinuxError, GuestFault, MemoryError: the process is to die."""
    plan = program.plan
    rlimits = task.group.rlimits
    mm.set_stack_limit(rlimits[RLIMIT_STACK][0])
    bias = 0
    if plan.is_dynamic:
        if plan.interpreter is not None:
            bias = (DYN_BASE & -plan.alignment) - plan.start
        else:
            bias = _place(mm, plan) - plan.start
    elif plan.start < MMAP_MIN_ADDR and not task.cred.capable(CAP_SYS_RAWIO):
        raise LinuxError(EINVAL, "a program that wants the lowest pages")
    _map(task, mm, program.file, plan, bias)
    entry = bias + plan.entry
    interpreter_bias = 0
    inner = program.interpreter_plan
    if inner is not None:
        assert program.interpreter is not None
        if inner.is_dynamic:
            interpreter_bias = _place(mm, inner) - inner.start
        _map(task, mm, program.interpreter, inner, interpreter_bias)
        entry = interpreter_bias + inner.entry
    if entry >= TASK_SIZE:
        raise LinuxError(EINVAL, "an entry point outside the address space")

    mm.start_code, mm.end_code = bias + plan.text_start, bias + plan.text_end
    mm.start_data, mm.end_data = bias + plan.data_start, bias + plan.data_end
    moved_brk = plan.is_dynamic and inner is None
    mm.start_brk = mm.brk = page_align(DYN_BASE + 1 if moved_brk else bias + plan.memory_end)
    if mm.total_bytes() > rlimits[RLIMIT_AS][0] or mm.data_bytes() > rlimits[RLIMIT_DATA][0]:
        raise LinuxError(E2BIG, "a program larger than its limits")
    pointer = _make_stack(task, mm, program, bias, interpreter_bias if inner is not None else 0)
    return entry, pointer


def _place(mm: Mm, plan: elf.LoadPlan) -> int:
    """Where a PIE or an interpreter goes: the highest place that is free and aligned."""
    length = page_align(plan.end - plan.start)
    extra = plan.alignment - PAGE_SIZE
    place = mm.areas.place(length + extra, mm.mmap_base)
    if not place:
        raise LinuxError(EINVAL, "a program larger than the address space")
    # Alignment counts for the addresses as linked, whose first page need not be aligned itself.
    top = place + extra
    return top - (top - plan.start) % plan.alignment


def _map(task: Task, mm: Mm, file: FileDescription, plan: elf.LoadPlan, bias: int) -> None:
    """Do the steps of a plan.  LinuxError when its addresses do not exist or are taken."""
    start, end = bias + plan.start, bias + plan.end
    if start < 0 or end > TASK_SIZE or not mm.areas.is_free(start, page_align(end)):
        raise LinuxError(EINVAL, "segments where no room is")
    backing: Backing | None = None
    areas, space = mm.areas, mm.space
    location = file.location
    for step in plan.steps:
        low = bias + step.start
        if isinstance(step, elf.ZeroTail):
            space.write(low, bytes(step.length))
            continue
        high = low + step.length
        if high > TASK_SIZE:
            raise LinuxError(EINVAL, "segments where no room is")
        if not areas.is_free(low, high):
            mm.forget(low, high)
        if isinstance(step, elf.FileMap):
            if backing is None:
                backing = file.backing(task, False, step.prot)
            space.map(low, step.length, step.prot, backing, step.offset, False)
            areas.insert(Vma(low, high, step.prot, MAY_ALL, backing, step.offset, location))
        else:
            space.map(low, step.length, step.prot, None, 0, False)
            areas.insert(Vma(low, high, step.prot, MAY_ALL))


def _make_stack(task: Task, mm: Mm, program: Program, bias: int, base: int) -> int:
    kernel = task.kernel
    plan = program.plan
    cred = task.cred
    hwcap, hwcap2 = kernel.engine.hwcap()
    auxv = (
        (stack.AT_MINSIGSTKSZ, MINSIGSTKSZ),
        (stack.AT_HWCAP, hwcap),
        (stack.AT_PAGESZ, PAGE_SIZE),
        (stack.AT_CLKTCK, CLOCK_TICKS),
        (stack.AT_PHDR, bias + plan.phdr_address),
        (stack.AT_PHENT, elf.PHDR_SIZE),
        (stack.AT_PHNUM, plan.phnum),
        (stack.AT_BASE, base),
        (stack.AT_FLAGS, 0),
        (stack.AT_ENTRY, bias + plan.entry),
        (stack.AT_UID, cred.uid),
        (stack.AT_EUID, cred.euid),
        (stack.AT_GID, cred.gid),
        (stack.AT_EGID, cred.egid),
        (stack.AT_SECURE, int(cred.uid != cred.euid or cred.gid != cred.egid)),
        (stack.AT_RANDOM, 0),
        (stack.AT_HWCAP2, hwcap2),
        (stack.AT_EXECFN, 0),
        (stack.AT_PLATFORM, 0),
        (stack.AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE),
        (stack.AT_RSEQ_ALIGN, RSEQ_ALIGN),
    )
    image = stack.build(STACK_TOP, program.argv, program.envp, program.filename, kernel.random(16), auxv)
    used = page_align(STACK_TOP - image.pointer)
    limit = task.group.soft_limit(RLIMIT_STACK)
    size = max(used, min(used + STACK_EXPAND, limit & ~PAGE_MASK))
    prot = PROT_READ | PROT_WRITE | (PROT_EXEC if plan.stack_executable else 0)
    start = STACK_TOP - size
    if not mm.areas.is_free(start, STACK_TOP):
        raise LinuxError(EINVAL, "segments where the stack is")
    mm.space.map(start, size, prot, None, 0, False)
    mm.areas.insert(Vma(start, STACK_TOP, prot, MAY_ALL | VM_GROWSDOWN, name=b"[stack]"))
    mm.space.write(image.pointer, image.content)
    mm.start_stack = image.pointer
    mm.arg_start, mm.arg_end = image.arg_start, image.arg_end
    mm.env_start, mm.env_end = image.env_start, image.env_end
    mm.auxv = image.auxv
    return image.pointer


# --- becoming the new program


async def do_execve(task: Task, path: bytes, argv: list[bytes] | int, envp: list[bytes] | int,
                    dirfd: int = AT_FDCWD, flags: int = 0) -> int:
    """Replace the caller's program; argv and envp are lists, or the guest's addresses of them.  NO_RESULT when it
    has happened, or the process has died of it."""
    from syscalls.exit import kill_other_threads
    from syscalls.wait import leave_engine
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EXECVE_CHECK):
        raise LinuxError(EINVAL)
    if flags & AT_EXECVE_CHECK:
        open_program(task, dirfd, path, flags & ~AT_EXECVE_CHECK).release()
        return 0
    program: Program | None
    try:
        program = prepare(task, path, argv, envp, dirfd, flags)
    except _Doomed:
        program = None
    except LinuxError as error:
        if error.errno == ENOEXEC and error.message.startswith("built for"):
            _complain(task.kernel, path, error.message)
        raise
    try:
        await kill_other_threads(task)
        # The engine is inside this task's memory: it has to come out before that is replaced.
        await leave_engine(task)
        if program is None or not _replace(task, program):
            _die(task)
    finally:
        if program is not None:
            program.close()
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
    mm = Mm(task.kernel)
    try:
        entry, pointer = load(task, mm, program)
    except (LinuxError, HostError, GuestFault, MemoryError):
        mm.drop()
        return False
    if new_cred is not task.cred and new_cred.euid != task.cred.euid:
        task.parent_death_signal = 0
    task.cred = new_cred
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
        files = task.files.copy()
        task.files.drop(task)
        task.files = files
    task.files.close_on_exec(task)
    if task.handlers.sharers > 1:
        handlers = task.handlers.copy()
        task.handlers.sharers -= 1
        task.handlers = handlers
    task.handlers.reset_for_exec()
    task.signals.altstack = (0, 0, 2)
    task.restart_block = None
    task.set_child_tid = task.clear_child_tid = 0
    task.robust_list = 0
    task.rseq = 0
    task.keep_capabilities = False
    group.has_execed = True
    group.exit_signal = 17
    cred = task.cred
    group.dumpable = int(cred.uid == cred.euid and cred.gid == cred.egid)
    if group.timers is not None:
        group.timers.exec()


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


def _exists(task: Task, path: bytes) -> bool:
    try:
        task.kernel.vfs.resolve(task, path)
    except (LinuxError, HostError):
        return False
    return True


def load_first(task: Task, path: bytes, argv: list[bytes], envp: list[bytes]) -> None:
    """The first program of a run, into the empty Mm that the task was made with.  ExecFailure."""
    try:
        program = prepare(task, path, argv, envp)
    except (LinuxError, HostError) as error:
        words = error.message or _WORDS.get(error.errno, NAMES.get(error.errno, str(error.errno)))
        if error.errno == ENOENT and _exists(task, path):
            words = "its interpreter (of the #! line, or the dynamic linker) was not found"
        raise ExecFailure(error.errno, words) from None
    except _Doomed as doomed:
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
