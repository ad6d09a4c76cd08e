"""`pylx doctor`: what this machine permits, and the remedy for each thing that is missing."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PYTHON_WANTED = (3, 11)
UNICORN_WANTED = "2.1.4"
GIGABYTE = 1 << 30
ADDRESS_SPACE = 4 * GIGABYTE
"""What libunicorn reserves, and some: with less it ends the process, saying that it cannot allocate its buffer."""
CONTAINER = "in a container: --cap-add SYS_PTRACE, or a seccomp profile that permits ptrace"


class Finding:
    """One thing looked at."""

    __slots__ = ("engine", "found", "good", "remedy", "what")

    def __init__(self, what: str, found: str, good: bool, remedy: str = "", *, engine: bool = False) -> None:
        self.what = what
        self.found = found
        self.good = good
        self.remedy = remedy
        """What to do when it is not good."""
        self.engine = engine
        """Whether it is an engine: one that works is enough."""


def examine() -> list[Finding]:
    """Everything that pylx can profit from, in the order of weight."""
    findings = [python_version(), unicorn_engine(), elftools()]
    if sys.platform == "linux":
        findings += [ptrace_engine(), yama(), seccomp_notification(), user_namespaces(), openat2()]
    else:
        findings.append(Finding("host", f"portable, on {sys.platform}", True))
    return [*findings, memory(), address_space(), terminal()]


def report(findings: list[Finding]) -> str:
    width = max(len(finding.what) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{'ok' if finding.good else '--'}  {finding.what.ljust(width)}  {finding.found}")
        if not finding.good and finding.remedy:
            lines.append(f"    {' ' * width}  remedy: {finding.remedy}")
    engines = [finding.what for finding in findings if finding.engine and finding.good]
    lines.append(automatic(findings))
    lines.append(f"pylx can run programs here: {' and '.join(engines)}" if engines
                 else "pylx cannot run programs here: no engine works")
    return "\n".join(lines) + "\n"


def automatic(findings: list[Finding]) -> str:
    """What --engine auto, the default, picks, and why."""
    working = {finding.what: finding.good for finding in findings if finding.engine}
    ptrace = next((finding for finding in findings if finding.what == "engine ptrace"), None)
    if working.get("engine ptrace"):
        rest = "; unicorn for --deterministic and --memory" if working.get("engine unicorn") else ""
        return f"--engine auto, the default, picks ptrace: the processor itself executes guests{rest}"
    why = "it is for Linux" if ptrace is None else ptrace.found
    if working.get("engine unicorn"):
        return f"--engine auto, the default, picks unicorn: ptrace does not work here: {why}"
    return f"--engine auto has nothing to pick: ptrace does not work here ({why}), nor does unicorn"


def python_version() -> Finding:
    found = f"{sys.implementation.name} {sys.version.split()[0]}, {8 * (sys.maxsize.bit_length() + 1) // 8} bit"
    good = sys.version_info >= PYTHON_WANTED and sys.maxsize > 1 << 32
    return Finding("Python", found, good, "install a 64-bit Python 3.11 or later")


def installed(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def unicorn_engine() -> Finding:
    """Open it: a package may be there and its library not."""
    found = installed("unicorn")
    what, remedy = "engine unicorn", f"pip install unicorn=={UNICORN_WANTED}"
    if found is None:
        return Finding(what, "not installed", False, remedy, engine=True)
    failed = _in_a_child(_open_unicorn)
    if failed is None:
        return Finding(what, f"libunicorn {found}", True, engine=True)
    if failed in ("", "memory"):
        limit = _address_space_limit()
        why = f"it does not start within {limit / GIGABYTE:.1f} GiB of address space" if limit is not None else (
            "no memory for a guest")
        return Finding(what, f"libunicorn {found}: {why}", False,
                       "ulimit -v unlimited" if limit is not None else "free memory", engine=True)
    return Finding(what, failed, False, remedy, engine=True)


def _open_unicorn() -> str:
    from translator.engines.unicorn import EngineUnavailable, UnicornEngine
    try:
        UnicornEngine(memory=64 << 20).close()
    except EngineUnavailable as error:
        return str(error)
    except MemoryError:
        return "memory"
    return "ok"


def _in_a_child(attempt: Callable[[], str]) -> str | None:
    """None when `attempt` says ok, else what it says; "" when it ended the process (libunicorn without memory)."""
    if not hasattr(os, "fork"):
        said = attempt()
        return None if said == "ok" else said
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        silent = os.open(os.devnull, os.O_RDWR)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        try:
            os.write(theirs, attempt().encode())
        except MemoryError:
            os.write(theirs, b"memory")
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as file:
        said = file.read().decode()
    os.waitpid(child, 0)
    return None if said == "ok" else said


def elftools() -> Finding:
    found = installed("pyelftools")
    return Finding("pyelftools", found or "not installed", found is not None,
                   "pip install pyelftools (reports name functions with it)")


def ptrace_engine() -> Finding:
    """Trace a child, as the engine does."""
    what = "engine ptrace"
    if os.uname().machine != "x86_64":
        return Finding(what, f"this processor is {os.uname().machine}", False, "use --engine unicorn", engine=True)
    refused = _trace_a_child()
    if refused:
        return Finding(what, f"ptrace is refused: {refused}", False, ptrace_remedy(), engine=True)
    from translator.engines.ptrace import EngineUnavailable, PtraceEngine
    try:
        engine = PtraceEngine()
    except EngineUnavailable as error:
        remedy = "in a container: a seccomp profile that permits seccomp(2)" if "seccomp" in str(error) else (
            ptrace_remedy())
        return Finding(what, str(error), False, remedy, engine=True)
    notified = engine.notifications is not None
    engine.close()
    traps = "most calls by user notification" if notified else "all calls by ptrace stops, which take twice as long"
    return Finding(what, f"children can be traced; {traps}; Linux {os.uname().release}", True, engine=True)


def ptrace_remedy() -> str:
    """What to do where tracing is refused: Yama, when it is the cause, or the container."""
    scope = _read(YAMA)
    if scope == "3":
        return "sysctl kernel.yama.ptrace_scope=1, after a reboot: 3 cannot be taken back; or use --engine unicorn"
    if scope == "2" and os.geteuid() != 0:
        return "sysctl kernel.yama.ptrace_scope=1, or run as root; or use --engine unicorn"
    return f"{CONTAINER}; or use --engine unicorn"


def _trace_a_child() -> str:
    """"" when a child lets itself be traced, else why not."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        traceme = 0
        os._exit(ctypes.get_errno() or 1 if libc.ptrace(traceme, 0, 0, 0) else 0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return os.strerror(status) if status > 0 else f"the child died of signal {-status}" if status else ""


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


YAMA = "/proc/sys/kernel/yama/ptrace_scope"


def yama() -> Finding:
    scope = _read(YAMA)
    words = {"0": "any process of the same user may be traced", "1": "children may be traced, which is enough",
             "2": "only with CAP_SYS_PTRACE", "3": "nobody may be traced until the next boot"}
    if scope is None:
        return Finding("yama", "not active", True)
    good = scope in ("0", "1") or (scope == "2" and os.geteuid() == 0)
    return Finding("yama", f"ptrace_scope {scope}: {words.get(scope, 'unknown')}", good, ptrace_remedy())


def seccomp_notification() -> Finding:
    available = _read("/proc/sys/kernel/seccomp/actions_avail")
    if available is None:
        return Finding("seccomp", "filters are not available", False, "a kernel with CONFIG_SECCOMP_FILTER")
    if "user_notif" not in available.split():
        return Finding("seccomp", f"no user notification: actions: {available}", False,
                       "Linux 5.6 or later; until then calls are told by ptrace stops, which take twice as long")
    return Finding("seccomp", f"actions: {available}", True)


def user_namespaces() -> Finding:
    """Try one, in a child."""
    import ctypes
    clone_newuser = 0x10000000
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        os._exit(ctypes.get_errno() or 1 if libc.unshare(clone_newuser) else 0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not status:
        return Finding("user namespaces", "can be made", True)
    reason = os.strerror(status) if status > 0 else f"signal {-status}"
    return Finding("user namespaces", f"refused: {reason}", False,
                   "sysctl user.max_user_namespaces=10000; Debian: kernel.unprivileged_userns_clone=1; Ubuntu: "
                   "kernel.apparmor_restrict_unprivileged_userns=0 (pylx itself runs without)")


def openat2() -> Finding:
    from translator.hosts.linux_capabilities import capabilities
    confined = capabilities()["files.confined-tree"]
    return Finding("openat2", confined.note, confined.level == "native",
                   "Linux 5.6 or later, and a container profile that permits openat2 (only --root profits)")


def memory() -> Finding:
    from translator.hosts import default_host, open_host
    total, available = open_host(default_host()).memory()
    limit = _read("/sys/fs/cgroup/memory.max")
    used = _read("/sys/fs/cgroup/memory.current")
    within = ""
    if limit is not None and limit.isdigit() and used is not None:
        total = min(total, int(limit))
        if int(limit) - int(used) < available:
            available, within = int(limit) - int(used), " within the limit of the control group"
    return Finding("memory", f"{available / GIGABYTE:.1f} of {total / GIGABYTE:.1f} GiB available{within}",
                   available >= GIGABYTE // 2,
                   "raise the container's limit (--memory)" if within else
                   "free some: guests need what they would need natively, and 100 MiB more")


def _address_space_limit() -> int | None:
    """RLIMIT_AS in bytes, None without a limit."""
    if sys.platform == "win32":
        return None
    import resource
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def address_space() -> Finding:
    limit = _address_space_limit()
    if limit is None:
        return Finding("address space", "not limited", True)
    return Finding("address space", f"{limit / GIGABYTE:.1f} GiB (ulimit -v)", limit >= ADDRESS_SPACE,
                   f"ulimit -v unlimited: libunicorn reserves {ADDRESS_SPACE >> 30} GiB")


def terminal() -> Finding:
    interactive = [name for number, name in enumerate(("stdin", "stdout", "stderr")) if _is_terminal(number)]
    if not interactive:
        return Finding("terminal", "none: guests see pipes and files", True)
    try:
        columns, lines = os.get_terminal_size(("stdin", "stdout", "stderr").index(interactive[0]))
    except OSError:
        return Finding("terminal", f"on {', '.join(interactive)}, size unknown", True)
    return Finding("terminal", f"{columns} x {lines} on {', '.join(interactive)}, TERM={os.environ.get('TERM', '')}",
                   True)


def _is_terminal(number: int) -> bool:
    try:
        return os.isatty(number)
    except OSError:
        return False
