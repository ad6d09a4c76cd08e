"""`pylx doctor`: what this machine permits, and the remedy for each thing that is missing."""

from __future__ import annotations

import os
import sys

PYTHON_WANTED = (3, 11)
UNICORN_WANTED = "2.1.4"
GIGABYTE = 1 << 30


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
    return [*findings, memory(), terminal()]


def report(findings: list[Finding]) -> str:
    width = max(len(finding.what) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{'ok' if finding.good else '--'}  {finding.what.ljust(width)}  {finding.found}")
        if not finding.good and finding.remedy:
            lines.append(f"    {' ' * width}  remedy: {finding.remedy}")
    engines = [finding.what for finding in findings if finding.engine and finding.good]
    lines.append(f"pylx can run programs here: {' and '.join(engines)}" if engines
                 else "pylx cannot run programs here: no engine works")
    return "\n".join(lines) + "\n"


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
    from translator.engines.unicorn import EngineUnavailable, UnicornEngine
    try:
        engine = UnicornEngine(memory=64 << 20)
        engine.close()
    except EngineUnavailable as error:
        return Finding(what, str(error), False, remedy, engine=True)
    except MemoryError:
        return Finding(what, f"libunicorn {found}, but no memory for a guest", False, "free memory", engine=True)
    return Finding(what, f"libunicorn {found}", True, engine=True)


def elftools() -> Finding:
    found = installed("pyelftools")
    return Finding("pyelftools", found or "not installed", found is not None,
                   "pip install pyelftools (reports name functions with it)")


def ptrace_engine() -> Finding:
    """Trace a child, as the engine does."""
    what = "engine ptrace"
    if os.uname().machine != "x86_64":
        return Finding(what, f"this processor is {os.uname().machine}", False, "use --engine unicorn", engine=True)
    if installed("python-ptrace") is None:
        return Finding(what, "python-ptrace is not installed", False, "pip install python-ptrace", engine=True)
    refused = _trace_a_child()
    if refused:
        return Finding(what, f"ptrace is refused: {refused}", False,
                       "in a container: --cap-add SYS_PTRACE, or a seccomp profile that permits ptrace", engine=True)
    try:
        from translator.engines.ptrace import EngineUnavailable, PtraceEngine
    except ImportError as error:
        return Finding(what, f"cannot be loaded: {error}", False, "use --engine unicorn", engine=True)
    try:
        PtraceEngine().close()
    except EngineUnavailable as error:
        return Finding(what, str(error), False, "use --engine unicorn", engine=True)
    return Finding(what, f"children can be traced, Linux {os.uname().release}", True, engine=True)


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


def yama() -> Finding:
    scope = _read("/proc/sys/kernel/yama/ptrace_scope")
    words = {"0": "any process of the same user may be traced", "1": "children may be traced, which is enough",
             "2": "only with CAP_SYS_PTRACE", "3": "nobody may be traced until the next boot"}
    if scope is None:
        return Finding("yama", "not active", True)
    good = scope in ("0", "1") or (scope == "2" and os.geteuid() == 0)
    return Finding("yama", f"ptrace_scope {scope}: {words.get(scope, 'unknown')}", good,
                   "sysctl kernel.yama.ptrace_scope=1" + (" (after a reboot)" if scope == "3" else ""))


def seccomp_notification() -> Finding:
    available = _read("/proc/sys/kernel/seccomp/actions_avail")
    if available is None:
        return Finding("seccomp", "filters are not available", False, "a kernel with CONFIG_SECCOMP_FILTER")
    return Finding("seccomp", f"actions: {available}", "user_notif" in available.split(), "Linux 5.0 or later")


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
    return Finding("memory", f"{available / GIGABYTE:.1f} of {total / GIGABYTE:.1f} GiB available",
                   available >= GIGABYTE // 2, "free some: guests need what they would need natively, and 100 MiB more")


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
