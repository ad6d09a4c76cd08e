"""What pylx may do itself: an ordinary user, yama, containers that refuse some system calls, older kernels."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("Linux only", allow_module_level=True)

from tests.guest.build import programs
from tests.isolation.guests import PTRACE
from tests.runner import ROOT, compare, environment, need, pylx_command

CPU_NAME = ["/bin/sh", "-c", "while read -r line; do case $line in model*name*) echo \"$line\"; break; esac; done "
            "</proc/cpuinfo; exit 7"]
EMULATED = "model name\t: pylx virtual CPU (unicorn)\n"
CORE = ["exec", "faults", "files", "jobs", "machine_code", "memory", "pipes", "process_calls", "ptrace_family",
        "signals", "threads", "times"]

needs_ptrace = pytest.mark.skipif(not PTRACE, reason="the ptrace engine does not work here")


def under(forbidden: str, engine: str, scratch: Path) -> subprocess.CompletedProcess[str]:
    command = pylx_command(CPU_NAME, engine)
    if forbidden:
        command = [sys.executable, str(Path(__file__).with_name("forbid.py")), forbidden, "--", *command]
    return subprocess.run(command, cwd=scratch, env=environment(scratch), capture_output=True, text=True, timeout=60,
                          check=False)


@needs_ptrace
@pytest.mark.parametrize(("forbidden", "words"), [
    ("ptrace", "tracing processes is not permitted here"),
    ("seccomp", "no seccomp filters"),
    ("ptrace,seccomp", "tracing processes is not permitted here"),
    ("memfd_create", "refuses memfd_create"),
    ("timer_create", "refuses timer_create"),
])
def test_what_it_cannot_do_without_gets_one_line(forbidden: str, words: str, tmp_path: Path) -> None:
    done = under(forbidden, "ptrace", tmp_path)
    assert (done.returncode, done.stdout) == (125, "")
    assert re.fullmatch(rf"pylx: --engine ptrace: .*{re.escape(words)}.*; use --engine unicorn\n", done.stderr)
    # The same container, and --engine auto: the other engine, without a word.
    done = under(forbidden, "auto", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (7, EMULATED, "")


@needs_ptrace
@pytest.mark.parametrize("forbidden", ["", "notification", "pidfd_getfd", "pidfd_open", "sched_setaffinity"])
def test_what_it_can_do_without(forbidden: str, tmp_path: Path) -> None:
    """User notification, the ways to get its descriptor, choosing a CPU."""
    done = under(forbidden, "auto", tmp_path)
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout.startswith("model name") and done.stdout != EMULATED


@needs_ptrace
def test_without_notification_calls_come_by_stops() -> None:
    script = ("from translator.engines.ptrace import PtraceEngine\nengine = PtraceEngine()\n"
              "print(engine.notifications is not None)\nengine.close()")
    for forbidden in ("notification", "pidfd_getfd"):
        done = subprocess.run([sys.executable, "-m", "tests.isolation.forbid", forbidden, "--", sys.executable, "-c",
                               script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.strip() == "False", done.stderr


@needs_ptrace
def test_doctor_says_why(tmp_path: Path) -> None:
    launcher = [sys.executable, str(Path(__file__).with_name("forbid.py"))]
    for forbidden, words in (("ptrace", "ptrace is refused: Operation not permitted"),
                             ("seccomp", "no seccomp filters")):
        done = subprocess.run([*launcher, forbidden, "--", *pylx_command([], "auto")[:-4], "doctor"], cwd=tmp_path,
                              capture_output=True, text=True, timeout=60, check=False)
        assert words in done.stdout
        assert "pylx can run programs here: engine unicorn\n" in done.stdout


@needs_ptrace
@pytest.mark.parametrize("program", [program for program in programs() if program.id in CORE],
                         ids=lambda program: program.id)
def test_core_programs_without_notification(program, tmp_path: Path,  # type: ignore[no-untyped-def]
                                            pytestconfig: pytest.Config) -> None:
    """The way of Linux before 5.6."""
    kept = pytestconfig.cache
    assert kept is not None
    compare([str(program.build(Path(kept.mkdir("guest-programs"))))], tmp_path, engine="ptrace-stops", timeout=60)


# --- an ordinary user


def python_for_all() -> str | None:
    """An interpreter that other users can execute, too, of the version whose packages are at hand."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for path in (os.path.realpath(sys.executable), f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        if os.path.exists(path) and all(each.stat().st_mode & 1 for each in [Path(path), *Path(path).parents]):
            return path
    return None


PYTHON = python_for_all()
needs_other_user = pytest.mark.skipif(os.geteuid() != 0 or PYTHON is None,
                                      reason="needs root, and a Python that others can execute, to be somebody else")


@pytest.fixture(scope="module")
def readable() -> Iterator[Path]:
    """A copy of pylx and its packages that everybody can read, and a directory that everybody can write to; not below
    pytest's own, which each session closes to others."""
    import elftools
    import unicorn
    copy = Path(tempfile.mkdtemp(prefix="pylx-test-"))
    for package in (ROOT / "translator", ROOT / "syscalls", *(Path(module.__file__ or "").parent
                                                              for module in (elftools, unicorn))):
        shutil.copytree(package, copy / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    copy.chmod(0o755)
    (copy / "home").mkdir()
    (copy / "home").chmod(0o777)
    yield copy
    shutil.rmtree(copy)


def as_nobody(command: list[str], readable: Path, **how: object) -> subprocess.CompletedProcess[str]:
    """Run as uid 65534 without groups or capabilities."""
    home = readable / "home"
    return subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=60, check=False,
                          user=65534, group=65534, extra_groups=[],
                          env={**environment(home), "PYTHONPATH": str(readable)}, **how)  # type: ignore[call-overload]


@needs_other_user
@pytest.mark.parametrize("engine", ["unicorn", *PTRACE])
def test_as_an_ordinary_user(engine: str, readable: Path) -> None:
    script = ("id -u; sh -c 'exit 3'; echo $?; echo text >file; cat file | wc -c; cat /etc/shadow; rm -f file; "
              "kill -9 $$")
    native = as_nobody(["sh", "-c", script], readable)
    guest = as_nobody([PYTHON or "", "-m", "translator.cli", "--engine", engine, "sh", "-c", script], readable)
    assert (guest.returncode, guest.stdout, guest.stderr) == (native.returncode, native.stdout, native.stderr)
    assert guest.returncode == -9 and guest.stdout == "65534\n3\n5\n"


@needs_other_user
@pytest.mark.parametrize("engine", ["unicorn", *PTRACE])
def test_a_descriptor_of_a_file_that_the_user_could_not_open(engine: str, readable: Path) -> None:
    """A shell of root opened it: reading and mapping it work as they do natively."""
    need("/usr/bin/python3")
    path = readable / "secret"
    path.write_text("only root may open this\n")
    path.chmod(0o600)
    script = "import mmap, sys; print(mmap.mmap(0, 0, prot=mmap.PROT_READ)[:].decode(), sys.stdin.read(), end='')"
    results = []
    for prefix in ([], [PYTHON or "", "-m", "translator.cli", "--engine", engine]):
        with open(path, encoding="ascii") as secret:
            results.append(as_nobody([*prefix, "/usr/bin/python3", "-c", script], readable, stdin=secret))
    native, guest = results
    assert native.stdout.count("only root may open this") == 2, native.stderr
    assert (guest.returncode, guest.stdout) == (0, native.stdout), guest.stderr
