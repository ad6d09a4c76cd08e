"""`pylx coverage --emit seccomp`: the program runs under the profile natively, and what is not in it fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import syscalls.calls
from syscalls.reports.measure import Recorder, Tally
from syscalls.reports.seccomp import ENOSYS, profile
from syscalls.reports.sites import Site
from syscalls.table import TABLE
from translator.cli import main

Profile = dict[str, Any]
syscalls.calls.load()
CALLS = {record.name: record for record in TABLE if record is not None}

PROGRAM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void *second(void *unused) { return 0; }
static void tell(const char *what, int failed)
{
    printf("%s %s\n", what, failed ? errno == ENOSYS ? "ENOSYS" : "other" : "ok");
}
int main(int argc, char **argv)
{
    pthread_t thread;
    int status;
    printf("thread %d\n", pthread_create(&thread, 0, second, 0) || pthread_join(thread, 0));
    if (fork() == 0)
        _exit(3);
    wait(&status);
    printf("child %d\n", WEXITSTATUS(status));
    tell("inet", socket(AF_INET, SOCK_STREAM, 0) < 0);
    if (argc > 1) {
        tell("unix", socket(AF_UNIX, SOCK_STREAM, 0) < 0);
        tell("mkdir", mkdir("/tmp/never", 0700) < 0);
        tell("namespace", syscall(SYS_clone, CLONE_NEWUSER, 0, 0, 0, 0) < 0);
        tell("keyctl", syscall(SYS_keyctl, 0, 0, 0) < 0);
    }
    return 0;
}
"""
ALLOWED = "thread 0\nchild 3\ninet ok\n"
REFUSED = ALLOWED + "unix ENOSYS\nmkdir ENOSYS\nnamespace ENOSYS\nkeyctl ENOSYS\n"

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs gcc on Linux")
    folder = tmp_path_factory.mktemp("seccomp")
    (folder / "program.c").write_text(PROGRAM)
    subprocess.run([compiler, "-O1", "-pthread", "-o", folder / "program", folder / "program.c"], check=True)
    return folder / "program"


def emit(output: Path, *words: str, engine: str = "auto") -> Profile:
    done = subprocess.run([sys.executable, "-m", "translator.cli", "--engine", engine, "coverage", "--emit", "seccomp",
                           "-o", str(output), *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    made: Profile = json.loads(output.read_text())
    return made


def compiled(made: Profile, file: Path) -> None:
    """The profile as BPF, which bwrap takes."""
    seccomp = pytest.importorskip("pyseccomp")
    actions = {"SCMP_ACT_ALLOW": lambda rule: seccomp.ALLOW,
               "SCMP_ACT_ERRNO": lambda rule: seccomp.ERRNO(rule.get("errnoRet", 1))}
    try:
        seccomp_filter = seccomp.SyscallFilter(actions[made["defaultAction"]]({"errnoRet": made["defaultErrnoRet"]}))
    except RuntimeError as error:
        pytest.skip(f"no libseccomp: {error}")
    for rule in made["syscalls"]:
        action = actions[rule["action"]](rule)
        if action == seccomp.ERRNO(made["defaultErrnoRet"]):
            continue  # libseccomp refuses rules that say what is the default
        for name in rule["names"]:
            seccomp_filter.add_rule(action, name, *(
                seccomp.Arg(arg["index"], seccomp.MASKED_EQ, arg["value"], arg["valueTwo"])
                for arg in rule.get("args", ())))
    with file.open("wb") as stream:
        seccomp_filter.export_bpf(stream)


def under_bwrap(bpf: Path, *words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("bwrap") is None or subprocess.run(["bwrap", "--ro-bind", "/", "/", "true"], check=False,
                                                       capture_output=True, timeout=20).returncode:
        pytest.skip("bwrap does not work here")
    with bpf.open("rb") as stream:
        return subprocess.run(["bwrap", "--dev-bind", "/", "/", "--seccomp", str(stream.fileno()), *words],
                              pass_fds=[stream.fileno()], capture_output=True, text=True, timeout=30, check=False)


@linux_only
@pytest.mark.parametrize("engine", ["unicorn", "ptrace"])
def test_the_program_runs_under_its_profile_and_no_further(program: Path, tmp_path: Path, engine: str) -> None:
    made = emit(tmp_path / "made.json", str(program), engine=engine)
    compiled(made, tmp_path / "bpf")
    done = under_bwrap(tmp_path / "bpf", str(program))
    assert (done.stdout, done.returncode) == (ALLOWED, 0), done.stderr
    done = under_bwrap(tmp_path / "bpf", str(program), "more")
    assert (done.stdout, done.returncode) == (REFUSED, 0), done.stderr


@linux_only
@pytest.mark.parametrize("command", ["ls -l /usr", "sort /etc/passwd", "sh -c 'cat /etc/passwd | wc -l'",
                                     "python3 -c 'import threading, subprocess; subprocess.run([\"true\"]); print(1)'"])
def test_programs_of_this_machine_run_under_theirs(command: str, tmp_path: Path) -> None:
    import shlex
    words = shlex.split(command)
    compiled(emit(tmp_path / "made.json", *words), tmp_path / "bpf")
    plain = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    done = under_bwrap(tmp_path / "bpf", *words)
    assert (done.stdout, done.returncode) == (plain.stdout, 0), done.stderr


CONTAINER = {
    "ociVersion": "1.0.0", "root": {"path": "root", "readonly": True},
    "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/usr/bin:/bin"],
                "noNewPrivileges": True},
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
}
IN_A_NAMESPACE = """
mount --bind / root && { umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; } 2>/dev/null
exec crun --cgroup-manager=disabled run --bundle . "$1"
"""
"""crun wants a root that is a mount, and no cgroups of version 1: in a mount namespace of its own."""


def under_crun(folder: Path, made: Profile | None, *words: str) -> subprocess.CompletedProcess[str]:
    linux: dict[str, Any] = {"namespaces": [{"type": "mount"}, {"type": "pid"}]}
    if made is not None:
        linux["seccomp"] = made
    (folder / "root").mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(
        {**CONTAINER, "process": {**CONTAINER["process"], "args": list(words)}, "linux": linux}))  # type: ignore[dict-item]
    name = f"pylx-test-{os.getpid()}-{folder.name}"
    return subprocess.run(["unshare", "--mount", "sh", "-c", IN_A_NAMESPACE, "sh", name], cwd=folder,
                          capture_output=True, text=True, timeout=60, check=False)


@linux_only
def test_crun_takes_the_profile_as_it_is(program: Path, tmp_path: Path) -> None:
    if shutil.which("crun") is None or os.geteuid() or under_crun(tmp_path, None, "/bin/true").returncode:
        pytest.skip("crun does not work here")
    made = emit(tmp_path / "made.json", str(program))
    done = under_crun(tmp_path, made, str(program))
    assert (done.stdout, done.returncode) == (ALLOWED, 0), done.stderr
    done = under_crun(tmp_path, made, str(program), "more")
    assert (done.stdout, done.returncode) == (REFUSED, 0), done.stderr


# --- the profile by itself

def tally(name: str, *values: tuple[int, ...]) -> Tally:
    out = Tally(CALLS[name], Site(0, "", 0, "test"))
    out.count = 1
    out.values = {(value + (0,) * 6)[:max(1, len(out.indexes)) + (name == "clone3")]: [1, 0] for value in values}
    return out


def made_of(*tallies: Tally) -> Profile:
    recorder = Recorder()
    recorder.calls = {one.record.number: one for one in tallies}
    return profile(recorder)


def rules_of(made: Profile, name: str) -> list[Profile]:
    return [rule for rule in made["syscalls"] if name in rule["names"]]


def test_families_are_pinned() -> None:
    rules = rules_of(made_of(tally("socket", (1,), (2,))), "socket")
    assert [rule["args"][0]["valueTwo"] for rule in rules] == [1, 2]


def test_namespaces_are_kept_out_unless_they_were_used() -> None:
    assert rules_of(made_of(tally("clone", (0x11,))), "clone")[0]["args"][0]["value"] == 0x7E020000
    assert "args" not in rules_of(made_of(tally("clone", (0x10000011,))), "clone")[0]
    made = made_of(tally("clone3", (0x100,)))
    assert rules_of(made, "clone3")[0] == {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS}
    assert rules_of(made, "clone")[0]["args"][0]["value"] == 0x7E020000


def test_only_what_was_seen_and_what_always_may_happen() -> None:
    names = {name for rule in made_of(tally("read"))["syscalls"] for name in rule["names"]}
    assert "read" in names and "write" not in names
    assert {"execve", "rt_sigreturn", "restart_syscall"} <= names
    assert names <= set(CALLS)


def test_wrong_uses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", "--emit", "apparmor", "true"]) == 125
    assert main(["coverage", "--emit", "seccomp"]) == 125
    assert "needs a program" in capsys.readouterr().err
