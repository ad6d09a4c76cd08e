"""Real programs under `--profile wsl1`: those that failed on WSL 1 fail with its error and a reason, others run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner import ENGINES, Outcome, environment, need, pylx_command, run

RENAMING = """
import os
os.makedirs("d"); f = open("d/f", "w"); os.rename("d", "e")
"""


def under(profile: str, engine: str, scratch: Path, *command: str) -> Outcome:
    return run(pylx_command(command, engine, "linux", ["--profile", profile]), scratch, 90, env=environment(scratch))


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(("command", "error", "reason"), [
    (("python3", "-I", "-S", "-c", "import os; os.memfd_create('x')"), b"Function not implemented", b"WSL#3542"),
    (("python3", "-I", "-S", "-c", RENAMING), b"Permission denied", b"WSL#1420"),
    (("unshare", "--user", "true"), b"Invalid argument", b"WSL#2981"),
    (("dmesg",), b"Function not implemented", b"WSL#534"),
    (("setarch", "i686", "true"), b"Function not implemented", b"WSL#228"),
    (("ipcmk", "-Q"), b"Function not implemented", b"WSL#1443"),
])
def test_what_failed(command: tuple[str, ...], error: bytes, reason: bytes, engine: str, tmp_path: Path) -> None:
    need(command[0])
    outcome = under("wsl1", engine, tmp_path, *command)
    assert outcome.status != 0
    assert error in outcome.stderr
    assert any(reason in line for line in outcome.stderr.splitlines() if line.startswith(b"pylx: wsl1: "))


def test_what_ran(engine: str, tmp_path: Path) -> None:
    need("git", "sqlite3")
    script = ("git init -q r && cd r && echo text > f && git add f && "
              "git -c user.name=a -c user.email=a@b commit -qm x && git log --format=%s && "
              "sqlite3 t.db 'create table t(a); insert into t values(7); select a from t' "
              "&& uname -r && cat /proc/sys/kernel/osrelease && stat -f -c %t / "
              "&& head -1 /proc/mounts && (sleep 0.01 & wait) && echo done")
    outcome = under("wsl1", engine, tmp_path, "sh", "-c", script)
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout == (b"x\n7\n4.4.0-19041-Microsoft\n4.4.0-19041-Microsoft\n53464846\n"
                              b"rootfs / wslfs rw,noatime 0 0\ndone\n")


def test_a_build_at_which_sleep_did_not_work(engine: str, tmp_path: Path) -> None:
    need("sleep")
    old = under("wsl1@18362", engine, tmp_path, "sleep", "0.01")
    assert old.status == 1 and b"#4898" in old.stderr
    assert under("wsl1@19041", engine, tmp_path, "sleep", "0.01").status == 0


def test_linux_of_a_version(engine: str, tmp_path: Path) -> None:
    need("python3")
    program = ("import os, errno\nprint(os.uname().release, end=' ')\n"
               "try: print(os.copy_file_range(0, 1, 0))\nexcept OSError as e: print(errno.errorcode[e.errno])\n")
    for version, answer in (("4.4", b"4.4.0-pylx ENOSYS\n"), ("5.10.1", b"5.10.1-pylx EINVAL\n")):
        outcome = under(f"linux-{version}", engine, tmp_path, "python3", "-I", "-S", "-c", program)
        assert outcome.stdout == answer, outcome
    assert b"copy_file_range" not in outcome.stderr


def test_files_that_were_not_there(engine: str, tmp_path: Path) -> None:
    """By name, in lists, and by a path that starts in their directory."""
    need("ls", "cat")
    script = ("cat /proc/self/pagemap /proc/thread-self/pagemap; ls /proc/self /sys/kernel | grep -x -e mm -e pagemap;"
              "wc -c < /proc/net/tcp; wc -c < /proc/self/net/tcp6; ls /sys/fs/cgroup | wc -l; cd /proc/sys/vm;"
              "cat max_map_count; ls | grep -c max_map; cat swappiness | wc -l; ls -d /dev/loop0 /dev/net/tun /dev/kvm")
    outcome = under("wsl1", engine, tmp_path, "sh", "-c", script)
    assert outcome.stdout == b"0\n0\n0\n0\n1\n", outcome
    for path in (b"pagemap", b"max_map_count", b"/dev/loop0", b"/dev/net/tun", b"/dev/kvm"):
        assert path + b"': No such file" in outcome.stderr or path + b": No such file" in outcome.stderr, path
    told = outcome.stderr.decode()
    for rule in ("/proc/*/pagemap -> ENOENT, 2 times", "/dev/net/tun -> ENOENT, once", "/dev/loop -> ENOENT, once"):
        assert rule in told, told


def test_cores_are_said_to_be_dumped(engine: str, tmp_path: Path) -> None:
    script = "cd $(mktemp -d -p .) && ulimit -c unlimited; sh -c 'kill -SEGV $$'; ls | grep -c core"
    here = run(pylx_command(["bash", "-c", script], engine), tmp_path, 60, env=environment(tmp_path))
    assert here.stdout == b"1\n", here
    outcome = under("wsl1", engine, tmp_path, "bash", "-c", script)
    assert outcome.stdout == b"0\n" and b"core dumped" in outcome.stderr, outcome
    assert b"core dump -> no file, though the status says so, once" in outcome.stderr
    assert b"WSL#1262" in outcome.stderr
