"""`--root`: a guest stays in its tree, whatever links it follows, whatever it or others move meanwhile."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("Linux only", allow_module_level=True)

from tests.isolation.guests import build, run_guest
from tests.runner import ENGINES, FULL, HOSTS, need, pylx_command

ROUNDS = 3000 if FULL else 60


@pytest.fixture
def tree(tmp_path: Path, pytestconfig: pytest.Config) -> Path:
    """The root, beside a directory that must not be reached."""
    kept = pytestconfig.cache
    assert kept is not None
    root, outside = tmp_path / "root", tmp_path / "outside"
    for directory in (root / "in", root / "moving" / "deep", root / "swap", outside):
        directory.mkdir(parents=True)
    for place in ("in", "moving", "swap"):
        (root / place / "secret").write_bytes(b"inside")
    (outside / "secret").write_bytes(b"OUTSIDE!")
    (outside / "outside-only").touch()
    (outside / "program").write_bytes(b"#!/bin/sh\necho OUT: executed\n")
    (outside / "program").chmod(0o755)
    for name, target in (("abs", "secret"), ("absdir", ""), ("abs-program", "program")):
        (root / name).symlink_to(outside / target)
    (root / "rel").symlink_to("../outside/secret")
    (root / "reldir").symlink_to("../outside")
    shutil.copy(build("root_races", Path(kept.mkdir("guest-programs"))), root / "root_races")
    return root


def described(directory: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """What must not change."""
    out = {}
    for path in [directory, *directory.rglob("*")]:
        info = path.lstat()
        out[str(path)] = (info.st_mode, info.st_size, info.st_mtime_ns if path.is_file() else 0,
                          path.read_bytes() if path.is_file() else b"")
    return out


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("engine", ENGINES)
def test_links_directories_and_races_of_guests(engine: str, host: str, tree: Path) -> None:
    before = described(tree.parent / "outside")
    done = run_guest(["/root_races", str(ROUNDS)], tree, engine, host=host, options=["--root", str(tree)], timeout=240)
    out = done.stdout.decode()
    assert done.returncode == 0, out + done.stderr.decode()
    assert out.endswith("out: 0\n") and "OUT" not in out, out
    assert out.count(": exit 0\n") == 11, out
    assert out.count(": done\n") == 4, out
    assert out.count("not executed: errno 2\n") == 2, out
    assert described(tree.parent / "outside") == before


@pytest.mark.parametrize("engine", ENGINES)
def test_races_with_other_processes(engine: str, tree: Path) -> None:
    """On the linux host: a directory that another process moves out of the tree and back, and one that it replaces by a
    link that leads out."""
    outside = tree.parent / "outside"
    before = described(outside)
    stop = threading.Event()
    counts = [0, 0]

    def move() -> None:
        while not stop.is_set():
            os.rename(tree / "moving", tree.parent / "moved")
            os.rename(tree.parent / "moved", tree / "moving")
            counts[0] += 1

    def swap() -> None:
        while not stop.is_set():
            os.rename(tree / "swap", tree / "swap.aside")
            os.symlink(outside, tree / "swap")
            os.unlink(tree / "swap")
            os.rename(tree / "swap.aside", tree / "swap")
            counts[1] += 1

    racers = [threading.Thread(target=each) for each in (move, swap)]
    for racer in racers:
        racer.start()
    try:
        done = run_guest(["/root_races", str(ROUNDS * 5), "others"], tree, engine, options=["--root", str(tree)],
                         timeout=240)
    finally:
        stop.set()
        for racer in racers:
            racer.join()
    out = done.stdout.decode()
    assert done.returncode == 0, out + done.stderr.decode()
    assert out.endswith("others: done\nout: 0\n") and "OUT" not in out, out
    assert min(counts) > 100, "the others were hardly there"
    assert described(outside) == before


@pytest.mark.parametrize("engine", ENGINES)
def test_the_proc_of_the_host_in_the_tree_is_no_way_out(engine: str, tree: Path) -> None:
    """A chroot often has /proc and /sys mounted.  The guest's own stand before them; without, or at another place,
    the host's cannot be opened."""
    for name in ("host", "proc", "bin"):
        (tree / name).mkdir()
    need("busybox")
    shutil.copy(shutil.which("busybox") or "", tree / "bin" / "busybox")
    script = ("cd /host; for f in self/environ 1/environ 1/maps 1/mem sys/kernel/core_pattern; do "
              "busybox cat $f >/dev/null 2>&1 && echo OUT $f; done; busybox ls 1 2>/dev/null; "
              "busybox umount /proc 2>/dev/null; busybox cat /proc/1/environ 2>/dev/null && echo OUT; "
              "busybox cat /host/1/root/etc/passwd 2>/dev/null; (: >>/host/sys/kernel/core_pattern) 2>/dev/null && "
              "echo OUT; echo end")
    inside = shlex.join(pylx_command(["/bin/busybox", "sh", "-c", script], engine, options=["--root", str(tree)]))
    # In a mount namespace of its own: nothing of this stays.
    done = subprocess.run(["unshare", "--mount", "sh", "-c", f"mount -t proc proc {tree}/host && mount -t proc proc "
                           f"{tree}/proc && exec {inside}"], capture_output=True, timeout=60, check=False, cwd=tree,
                          env={"PATH": "/bin:/usr/bin:/sbin:/usr/sbin"})
    if b"unshare failed" in done.stderr or b"mount:" in done.stderr:
        pytest.skip("mount namespaces are not permitted here")
    assert (done.returncode, done.stdout) == (0, b"end\n"), done.stderr.decode()
