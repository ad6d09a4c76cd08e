"""`pylx coverage --static`: what is found by disassembly holds all that a run shows, and says how."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("capstone")
if sys.platform != "linux":
    pytest.skip("reads ELF files of this machine", allow_module_level=True)

from syscalls.reports.static.code import Summary, summarise
from syscalls.reports.static.document import document, value_text
from syscalls.reports.static.reach import load, reach
from syscalls.reports.static.scan import Scan, collect, named, run, wanted_arguments
from tests.runner import FULL
from translator.cli import main
from translator.commands import hosts

Report = dict[str, Any]


@cache
def summary_of(path: str) -> Summary:
    return summarise(path, ("/dev/fuse",), wanted_arguments())


def static(path: Path | str) -> Report:
    """The report of one program; files are analysed once for all tests."""
    real = os.path.realpath(path)
    scan = Scan()
    scan.programs.append(real)
    found = reach(load(summary_of(real), summary_of))
    report: Report = document(scan_with(scan, found), [found], hosts(), [real])["programs"][0]
    return report


def scan_with(scan: Scan, found: Any) -> Scan:
    scan.summaries = {summary.path: summary for summary in found.files}
    return scan


def names(report: Report) -> set[str]:
    return {call["name"] for call in report["calls"]}


def call(report: Report, name: str) -> Report:
    found: Report = next(call for call in report["calls"] if call["name"] == name)
    return found


def build(folder: Path, name: str, source: str, *options: str, compiler: str = "gcc") -> Path:
    found = shutil.which(compiler)
    if found is None:
        pytest.skip(f"needs {compiler}")
    file = folder / f"{name}.c"
    file.write_text(source)
    subprocess.run([found, "-O1", "-o", folder / name, file, *options], check=True, timeout=60)
    return folder / name


def dynamic(tmp_path: Path, *words: str) -> Report:
    """The report of a run on the fastest engine that works here."""
    output = tmp_path / "run.json"
    subprocess.run([sys.executable, "-m", "translator.cli", "--engine", "auto", "coverage", "--output", str(output),
                    *words], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=120, check=False)
    report: Report = json.loads(output.read_text())
    return report


RUNS = ["true", "ls -l /usr", "sort /etc/passwd", "gawk BEGIN{print(1)}", "busybox ls /", "xz --version"]
if FULL:
    RUNS += ["cat /etc/passwd", "date", "find /etc/apt -name x", "sqlite3 :memory: select(1)", "git --version",
             "tar -cf /dev/null /etc/apt", "sleep 0.01", "dd if=/dev/zero of=/dev/null count=1",
             "/usr/bin/python3 -c print(1)", "bash -c echo", "perl -e print(1)", "du -s /etc/apt", "getent passwd root",
             "node --version", "redis-server --version", "nginx -v", "openssl version", "curl --version"]


@pytest.mark.parametrize("command", RUNS)
def test_all_that_a_run_shows_is_in_the_static_set(command: str, tmp_path: Path) -> None:
    words = command.split()
    path = shutil.which(words[0], path="/usr/bin:/bin:/usr/sbin")
    if path is None:
        pytest.skip(f"needs {words[0]}")
    seen = dynamic(tmp_path, path, *words[1:])
    found = static(path)
    assert len(seen["calls"]) > 8
    missed = {call["name"] for call in seen["calls"]} - names(found)
    assert not missed, [call for call in seen["calls"] if call["name"] in missed]
    # And it is not simply all of libc.
    assert len(found["calls"]) < 250
    assert len(found["present"]) > 50 or "static" in found["what"]


DIRECT = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static long __attribute__((noinline)) wrapped(long number, long first) { return syscall(number, first); }
static long __attribute__((noinline)) chosen(int which)
{
    return syscall(which ? SYS_getpriority : SYS_sync_file_range, 0, 0, 0, 0);
}
static void never(void) { syscall(SYS_kexec_load, 0, 0, 0, 0); }
void (*volatile stored)(void) = 0;
int main(int argc, char **argv)
{
    wrapped(SYS_memfd_create, (long)"x");
    chosen(argc);
    __asm__ volatile("mov $102, %%eax\n syscall" ::: "rax", "rcx", "r11", "memory");
    if (argc > 3)
        stored = never;
    if (argc > 4)
        syscall(argv[1][0]);
    socket(AF_PACKET, SOCK_RAW, 3);
    unshare(CLONE_NEWUSER);
    puts("/dev/fuse");
    return 0;
}
void unused(void) { syscall(SYS_bpf, 0, 0, 0); }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("static")


@pytest.fixture(scope="module", params=["plain", "stripped", "static", "musl", "fixed", "unoptimised"])
def direct(request: pytest.FixtureRequest, folder: Path) -> Path:
    options = {"plain": [], "stripped": ["-s"], "static": ["-static", "-s"], "musl": ["-static", "-D__musl__"],
               "fixed": ["-no-pie", "-fno-pie"], "unoptimised": ["-O0"]}[request.param]
    compiler = "musl-gcc" if request.param == "musl" else "gcc"
    return build(folder, f"direct_{request.param}", DIRECT, *options, compiler=compiler)


def test_numbers_are_found_through_wrappers_and_branches(direct: Path) -> None:
    found = static(direct)
    wanted = {"memfd_create", "getpriority", "sync_file_range", "getuid", "kexec_load", "socket", "unshare"}
    assert wanted <= names(found)
    assert found["unknown_count"] >= 1
    assert any(one["file"] == str(direct) for one in found["unknown"])
    assert {"decides"} == {finding["effect"] for finding in found["verdicts"]["wsl1"]["findings"]
                           if finding["what"] in ("memfd_create", "unshare(CLONE_NEWUSER)", "socket(AF_PACKET)",
                                                  "/dev/fuse")}
    assert found["verdicts"]["wsl1"]["verdict"] == "lacks"


def test_arguments_are_found(direct: Path) -> None:
    found = static(direct)
    assert "CLONE_NEWUSER" in call(found, "unshare")["values"]
    assert any(value.startswith("AF_PACKET, SOCK_RAW") for value in call(found, "socket")["values"])


def test_every_argument_that_may_be_known_alone_has_words() -> None:
    for number, indexes in wanted_arguments().items():
        for index in indexes:
            assert value_text(number, ((index, 1),))
    assert value_text(54, ((2, 15),)) == "optname=15"
    assert value_text(54, ((1, 1), (2, 15))) == "SOL_SOCKET, SO_REUSEPORT"


def test_what_nothing_reaches_is_told_apart(folder: Path) -> None:
    found = static(build(folder, "apart", DIRECT))
    assert "bpf" not in names(found) and "bpf" in found["present"]
    assert "init_module" in found["present"]


def test_the_way_to_a_call_is_named(folder: Path) -> None:
    found = static(build(folder, "named", DIRECT))
    assert call(found, "memfd_create")["chain"][-2:] == ["_start", "main"]
    assert call(found, "unshare")["site"]["file"].rpartition("/")[2] == "libc.so.6"
    assert call(found, "unshare")["chain"][-2:] == ["main", "unshare"]


LIBRARY = """
#include <unistd.h>
#include <sys/syscall.h>
long used(void) { return syscall(SYS_mincore, 0, 0, 0); }
long not_used(void) { return syscall(SYS_swapon, "", 0); }
"""


def test_libraries_are_followed_by_run_path(folder: Path) -> None:
    library = build(folder, "libown.so", LIBRARY, "-shared", "-fPIC")
    program = build(folder, "linked", "long used(void); int main(void) { return used(); }", str(library),
                    "-Wl,-rpath,$ORIGIN")
    found = static(program)
    assert str(library) in [file["path"] for file in found["files"]]
    assert "mincore" in names(found) and "swapon" not in names(found)
    assert "swapon" in found["present"]
    alone = static(library)
    assert {"mincore", "swapon"} <= names(alone)
    assert alone["what"].startswith("library")


GO = """
package main

import "syscall"

func main() {
    syscall.Syscall(syscall.SYS_PIVOT_ROOT, 0, 0, 0)
    syscall.Unshare(syscall.CLONE_NEWUSER)
}
"""


@pytest.mark.parametrize("flags", ["", "-s -w"])
def test_go_programs_stripped_or_not(folder: Path, tmp_path: Path, flags: str) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("needs go")
    (folder / "main.go").write_text(GO)
    program = folder / "gone"
    subprocess.run([go, "build", "-ldflags", flags, "-o", program, "main.go"], cwd=folder, check=True, timeout=300,
                   env={**os.environ, "GOCACHE": str(folder / "cache"), "GO111MODULE": "off", "CGO_ENABLED": "0"})
    found = static(program)
    assert found["go"]
    assert {"pivot_root", "unshare", "futex", "mmap"} <= names(found)
    assert "CLONE_NEWUSER" in call(found, "unshare")["values"]
    seen = dynamic(tmp_path, str(program))
    assert {call["name"] for call in seen["calls"]} <= names(found)
    assert names(found) != names(static("/bin/true"))


def test_a_tree_in_parallel(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = folder / "tree"
    tree.mkdir()
    for name in ("true", "false", "cat"):
        shutil.copy(f"/bin/{name}", tree / name)
    (tree / "words.txt").write_text("no program")
    (tree / "link").symlink_to("true")
    scan = collect([str(tree)])
    assert [os.path.basename(path) for path in scan.programs] == ["cat", "false", "true"]
    assert [os.path.basename(found.program.path) for found in run(scan, 2)] == ["cat", "false", "true"]
    assert main(["coverage", "--static", "--jobs", "1", "--format", "json", str(tree / "cat")]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kind"] == "static" and len(report["programs"]) == 1
    assert {"read", "write"} <= {call["name"] for call in report["calls"]}


def test_text_of_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", "--static", "/bin/true"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("static coverage: 1 program, 3 files disassembled")
    assert "\nWSL 1: has all calls that it can make, or programs do without\n" in shown
    assert "exit_group" in shown and "more calls are in its files" in shown


def test_scripts_are_taken_by_their_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert named(str(script)) == "/bin/sh"
    script.write_text("#!/usr/bin/env gawk -f\n")
    assert str(named(str(tmp_path / "nosuch"))) == "No such file or directory"


@pytest.mark.parametrize(("words", "message"), [
    ([], "needs the paths"),
    (["--verbose", "/bin/true"], "--static takes"),
    (["/etc/passwd"], "not an ELF file"),
    (["--format", "csv", "/bin/true"], "table, json, html"),
    (["--jobs", "no", "/bin/true"], "whole number"),
])
def test_wrong_uses(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage", "--static", *words]) in (1, 125)
    assert message in capsys.readouterr().err


def test_the_missing_disassembler_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "capstone", None)
    assert main(["coverage", "--static", "/bin/true"]) == 125
    assert "pip install 'pylx[static]'" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["cut", "noise", "headers"])
def test_damaged_files_are_left_out_or_read(tmp_path: Path, damage: str) -> None:
    import random
    data = bytearray(Path("/bin/cat").read_bytes())
    chance = random.Random(damage)
    if damage == "cut":
        del data[len(data) // 3:]
    for _ in range(200 if damage != "cut" else 0):
        data[chance.randrange(24, 800 if damage == "headers" else len(data))] = chance.randrange(256)
    file = tmp_path / "damaged"
    file.write_bytes(data)
    scan = collect([str(file)])
    run(scan, 1)
    assert set(scan.summaries) >= {str(file)} or scan.left_out
