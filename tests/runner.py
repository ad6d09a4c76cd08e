"""Linux is the oracle: run a command natively and under pylx, each in a scratch directory, and compare.

What is compared: standard output, standard error, exit status or signal, and the tree of files left behind (names,
types, modes, sizes, link targets, contents).  What legitimately differs between two native runs is normalised by the
rules a test names (`Rule`), never dropped silently.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
FULL = os.environ.get("PYLX_TEST_SIZE") == "full"
def engines() -> list[str]:
    """PYLX_TEST_ENGINES, or all that this machine permits."""
    chosen = os.environ.get("PYLX_TEST_ENGINES")
    if chosen:
        return chosen.split()
    probe = subprocess.run([*PYLX, "--engine", "ptrace", "/bin/true"], capture_output=True, timeout=60, check=False)
    return ["unicorn", "ptrace"] if probe.returncode == 0 else ["unicorn"]


PYLX = [sys.executable, "-I", "-m", "translator.cli"]
ENGINES = engines()
HOSTS = ["linux", "portable"]

Rule = tuple[bytes, bytes]
"""(regular expression, replacement), applied to the output of both runs."""
PIDS: Rule = (rb"\b\d{3,7}\b", b"<number>")
TIMES: Rule = (rb"\d+[.,]\d+ ?s(ec)?", b"<time>")


@dataclass
class Outcome:
    stdout: bytes
    stderr: bytes
    status: int
    """As subprocess has it: minus the signal number for a death by signal."""
    tree: dict[str, str] = field(default_factory=dict)
    timed_out: bool = False


def pylx_command(command: Sequence[str], engine: str = "unicorn", host: str = "linux",
                 options: Sequence[str] = ()) -> list[str]:
    return [*PYLX, "--engine", engine, "--host", host, *options, *command]


def environment(scratch: Path) -> dict[str, str]:
    """The same small environment for both runs."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/go/bin",
            "HOME": str(scratch), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TERM": "dumb", "USER": "tester",
            "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1", "GIT_CONFIG_NOSYSTEM": "1",
            "GOFLAGS": "-mod=mod", "GOCACHE": str(scratch.parent / "gocache"), "GO111MODULE": "off",
            "GOTOOLCHAIN": "local"}


def run(command: Sequence[str], scratch: Path, timeout: float, stdin: bytes = b"",
        env: dict[str, str] | None = None) -> Outcome:
    """Run in `scratch`; at the time limit the whole process group is killed."""
    process = subprocess.Popen(list(command), cwd=scratch, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment(scratch) if env is None else env,
                               start_new_session=True)
    timed_out = False
    try:
        stdout, stderr = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Outcome(stdout, stderr, process.returncode, tree_of(scratch), timed_out)


def tree_of(top: Path) -> dict[str, str]:
    """Each file left behind, described in one line."""
    out: dict[str, str] = {}
    for directory, names, files in os.walk(top):
        for name in sorted(names + files):
            path = Path(directory, name)
            info = path.lstat()
            kind = stat.filemode(info.st_mode)
            if stat.S_ISREG(info.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
                text = f"{kind} {info.st_size} links {info.st_nlink} {content}"
            elif stat.S_ISLNK(info.st_mode):
                text = f"{kind} -> {os.readlink(path)}"
            else:
                text = kind
            out[str(path.relative_to(top))] = text
    return out


def normalised(outcome: Outcome, scratch: Path, rules: Sequence[Rule]) -> tuple[bytes, bytes]:
    texts = []
    for text in (outcome.stdout, outcome.stderr):
        text = text.replace(os.fsencode(scratch), b"<scratch>")
        for pattern, replacement in rules:
            text = re.sub(pattern, replacement, text)
        texts.append(text)
    return texts[0], texts[1]


def compare(command: Sequence[str], tmp_path: Path, **how: Any) -> None:
    """`compare_once`, and once more when the two differ: what depends on the load of the machine (how often a timer
    overran, who of two was first) differs between two native runs too.  A first difference is shown as a warning, and
    a guest that hangs is never tried again."""
    try:
        compare_once(command, tmp_path, **how)
    except AssertionError as first:
        if "pylx run of" in str(first):
            raise
        warnings.warn(f"differed once: {str(first)[:600]}", stacklevel=2)
        compare_once(command, tmp_path, **how)


def compare_once(command: Sequence[str], tmp_path: Path, *, engine: str = "unicorn", host: str = "linux",
                 options: Sequence[str] = (), stdin: bytes = b"", timeout: float = 60, rules: Sequence[Rule] = (),
                 setup: dict[str, bytes] | None = None, ignore: str = "", sort_lines: bool = False,
                 extra_env: dict[str, str] | None = None) -> None:
    """Run natively and under pylx and assert that nothing differs.

    `setup`: files to make in both scratch directories (an executable when the content starts with #! ).
    `ignore`: regular expression of relative paths whose *content* may differ (their presence may not).
    `sort_lines`: output order is not determined natively either (parallel children)."""
    outcomes = []
    for name, prefix in (("native", []), ("pylx", pylx_command([], engine, host, options))):
        # Both run under the same path, one after the other, so that paths in files are equal too.
        scratch = tmp_path / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        for relative, content in (setup or {}).items():
            target = scratch / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(0o755 if content.startswith((b"#!", b"\x7fELF")) else 0o644)
        outcome = run([*prefix, *command], scratch, timeout, stdin, {**environment(scratch), **(extra_env or {})})
        assert not outcome.timed_out, (f"{name} run of {list(command)} took more than {timeout} s\n"
                                       f"stdout: {outcome.stdout[-2000:]!r}\nstderr: {outcome.stderr[-2000:]!r}")
        outcomes.append((outcome, *normalised(outcome, scratch, rules)))
    (native, native_out, native_err), (guest, guest_out, guest_err) = outcomes
    if sort_lines:
        native_out, guest_out = (b"\n".join(sorted(text.split(b"\n"))) for text in (native_out, guest_out))
        native_err, guest_err = (b"\n".join(sorted(text.split(b"\n"))) for text in (native_err, guest_err))
    detail = f"\n--- native stderr\n{native_err[-3000:].decode(errors='replace')}" \
             f"\n--- pylx stderr\n{guest_err[-3000:].decode(errors='replace')}"
    assert guest.status == native.status, f"exit status {guest.status}, natively {native.status}{detail}"
    assert guest_out == native_out, "stdout differs" + difference(native_out, guest_out) + detail
    assert guest_err == native_err, "stderr differs" + difference(native_err, guest_err)
    left, right = ({path: ("<may differ>" if ignore and re.search(ignore, path) else text)
                    for path, text in outcome.tree.items()} for outcome in (native, guest))
    assert right == left, "files left behind differ: " + "; ".join(
        f"{path}: natively {left.get(path)}, under pylx {right.get(path)}"
        for path in sorted(set(left) | set(right)) if left.get(path) != right.get(path))


def difference(native: bytes, guest: bytes) -> str:
    import difflib
    left, right = (text.decode(errors="replace").splitlines() for text in (native, guest))
    lines = difflib.unified_diff(left, right, "native", "pylx", lineterm="", n=2)
    return "\n" + "\n".join(list(lines)[:60])


def everybodys_python() -> str:
    """A Python that runs pylx and that every user can execute (the one of the tests may be in a home directory)."""
    for path in ("/usr/bin/python3", sys.executable):
        if os.access(path, os.X_OK) and subprocess.run(
                [path, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False).returncode == 0:
            return path
    pytest.skip("no Python 3.11 that other users can execute")


def need(*programs: str) -> None:
    """Skip the test, saying why, when a guest program is not installed."""
    missing = [program for program in programs if shutil.which(program) is None and not Path(program).exists()]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
