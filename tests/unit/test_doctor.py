"""`pylx doctor` on machines that permit less: each thing missing has a remedy, and what --engine auto picks is said,
with the reason.  Calls are made to fail by a seccomp filter, files of the system are made up."""

from __future__ import annotations

import subprocess
import sys
import venv
from itertools import pairwise
from pathlib import Path

import pytest

from tests.runner import ENGINES
from translator import doctor

ROOT = Path(__file__).resolve().parents[2]
DENY = [sys.executable, str(Path(__file__).with_name("deny_calls.py"))]
PYLX = [sys.executable, "-I", "-m", "translator.cli"]
EPERM, EINVAL, ENOSYS = "1", "22", "38"
PTRACE, UNSHARE, SECCOMP, OPENAT2 = "101", "272", "317", "437"
pytestmark = pytest.mark.skipif("ptrace" not in ENGINES, reason="looks at Linux where everything is permitted")


def examined(*prefix: str) -> tuple[dict[str, str], list[str], int]:
    """What -> its line, the last two lines, and the exit status; a thing that is missing has a remedy."""
    done = subprocess.run([*prefix, *PYLX, "doctor"], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    found = {}
    for line, after in pairwise(lines):
        if line[:4] in ("ok  ", "--  "):
            what = line[4:].split("  ")[0]
            found[what] = line
            assert line.startswith("ok") or after.strip().startswith("remedy: "), line
            if line.startswith("--"):
                found[what] += after.strip()
    return found, lines[-2:], done.returncode


def test_everything_is_permitted_here() -> None:
    found, (auto, last), status = examined()
    assert status == 0
    assert "most calls by user notification" in found["engine ptrace"]
    assert auto.startswith("--engine auto, the default, picks ptrace: ")
    assert last == "pylx can run programs here: engine unicorn and engine ptrace"


def test_ptrace_is_refused() -> None:
    found, (auto, last), status = examined(*DENY, EPERM, PTRACE)
    assert found["engine ptrace"].startswith("--") and "--cap-add SYS_PTRACE" in found["engine ptrace"]
    assert auto == ("--engine auto, the default, picks unicorn: ptrace does not work here: ptrace is refused: "
                    "Operation not permitted")
    assert (last, status) == ("pylx can run programs here: engine unicorn", 0)
    done = subprocess.run([*DENY, EPERM, PTRACE, *PYLX, "--engine", "auto", "true"], timeout=60, check=False)
    assert done.returncode == 0


def test_no_filters() -> None:
    found, (auto, _), _ = examined(*DENY, EPERM, SECCOMP)
    assert "a seccomp profile that permits seccomp(2)" in found["engine ptrace"]
    assert auto.startswith("--engine auto, the default, picks unicorn")


def test_no_user_notification() -> None:
    """SECCOMP_FILTER_FLAG_NEW_LISTENER is refused, as by Linux before 5.0."""
    found, (auto, _), _ = examined(*DENY, EINVAL, f"{SECCOMP}:1&8")
    assert found["engine ptrace"].startswith("ok") and "all calls by ptrace stops" in found["engine ptrace"]
    assert auto.startswith("--engine auto, the default, picks ptrace")


def test_no_namespaces_and_no_openat2() -> None:
    found, _, status = examined(*DENY, ENOSYS, f"{UNSHARE},{OPENAT2}")
    assert "sysctl user.max_user_namespaces" in found["user namespaces"]
    assert "Linux 5.6 or later" in found["openat2"]
    assert status == 0


def test_little_address_space() -> None:
    limited = ["sh", "-c", 'ulimit -v 600000; exec "$@"', "sh"]
    found, (auto, _), _ = examined(*limited)
    assert "ulimit -v unlimited" in found["engine unicorn"] and "0.6 GiB" in found["address space"]
    assert auto.startswith("--engine auto, the default, picks ptrace")
    done = subprocess.run([*limited, *PYLX, "--engine", "unicorn", "true"], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 125
    assert done.stderr.startswith("pylx: engine unicorn needs more address space") and done.stderr.count("\n") == 1


def test_packages_are_missing(tmp_path: Path) -> None:
    """A Python that has pylx and nothing else."""
    venv.create(tmp_path, with_pip=False)
    site = next(tmp_path.glob("lib/python3*/site-packages"))
    (site / "pylx.pth").write_text(f"{ROOT}\n")
    python = [str(tmp_path / "bin" / "python"), "-I", "-m", "translator.cli"]
    done = subprocess.run([*python, "doctor"], capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()
    assert "remedy: pip install unicorn==2.1.4" in done.stdout
    assert "remedy: pip install pyelftools" in done.stdout
    assert lines[-2].startswith("--engine auto, the default, picks ptrace") and "--memory" not in lines[-2]
    assert subprocess.run([*python, "--engine", "auto", "true"], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(("scope", "user", "good", "remedy"), [
    ("0", 1000, True, ""), ("1", 1000, True, ""), ("2", 0, True, ""), ("2", 1000, False, "or run as root"),
    ("3", 0, False, "after a reboot"), (None, 1000, True, ""),
])
def test_yama(scope: str | None, user: int, good: bool, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_read", lambda path: scope if path == doctor.YAMA else None)
    monkeypatch.setattr(doctor.os, "geteuid", lambda: user)
    finding = doctor.yama()
    assert finding.good is good
    assert remedy in finding.remedy
    if scope in ("2", "3") and not good:
        monkeypatch.setattr(doctor, "_trace_a_child", lambda: "Operation not permitted")
        assert remedy in doctor.ptrace_engine().remedy


def test_an_older_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_read", lambda path: "kill_thread trap errno trace allow")
    finding = doctor.seccomp_notification()
    assert not finding.good and "Linux 5.6 or later" in finding.remedy
    monkeypatch.setattr(doctor, "_read", lambda path: None)
    assert "CONFIG_SECCOMP_FILTER" in doctor.seccomp_notification().remedy


def test_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"/sys/fs/cgroup/memory.max": str(300 << 20), "/sys/fs/cgroup/memory.current": str(100 << 20)}
    monkeypatch.setattr(doctor, "_read", files.get)
    finding = doctor.memory()
    assert (finding.good, finding.found) == (False, "0.2 of 0.3 GiB available within the limit of the control group")
    assert "limit" in finding.remedy
    files["/sys/fs/cgroup/memory.max"] = "max"
    assert "control group" not in doctor.memory().found


def test_no_engine_at_all() -> None:
    shown = doctor.report([doctor.Finding("engine unicorn", "not installed", False, "pip", engine=True),
                           doctor.Finding("engine ptrace", "refused", False, "ask", engine=True)])
    assert "--engine auto has nothing to pick: ptrace does not work here (refused), nor does unicorn" in shown
    assert shown.endswith("pylx cannot run programs here: no engine works\n")
