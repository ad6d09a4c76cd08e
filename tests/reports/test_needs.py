"""What calls ask of the host in runs is what their declarations say that they need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from syscalls.calls import load
from syscalls.table import TABLE
from tests.guest.build import Program, programs
from tests.runner import FULL

if sys.platform != "linux":
    pytest.skip("runs guest programs", allow_module_level=True)

load()
RECORDS = {record.name: record for record in TABLE if record is not None}
QUICK = ("files", "dirs", "inet_sockets", "io_polling", "unix_sockets")
PROGRAMS = {program.name: program for program in programs() if FULL or program.name in QUICK}
FREE = {"file.close", "socket.close", "watch.close", "terminal.close", "poller.disarm"}
"""Operations that every host has: the end of a thing."""
MEANT = {"tree": ("files.",), "file": ("files.", "streams.", "terminal."), "socket": ("sockets.",),
         "terminal": ("terminal.",), "watch": ("files.watch",), "poller": ("poll.",)}
"""Kind of host object -> primitives that an operation on it can belong to."""
ANYWHERE = {("close", "file.lock"), ("close", "tree.lstat"), ("exit_group", "file.lock"), ("exit_group", "tree.lstat"),
            ("exit", "file.lock"), ("execve", "file.lock"), ("socketpair", "host.socket"), ("sendto", "tree.find"),
            ("sendmsg", "tree.find"), ("connect", "tree.find")}
"""Locks that end with a description, what watches saw last, what only fails, names of AF_UNIX sockets."""


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_operations_belong_to_needs(name: str, tmp_path: Path) -> None:
    program: Program = PROGRAMS[name]
    output = tmp_path / "run.json"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    subprocess.run([sys.executable, "-m", "translator.cli", "--engine", "auto", "coverage", "--output", str(output),
                    str(program.build(tmp_path))], cwd=scratch, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=120, check=False)
    wrong = []
    for call in json.loads(output.read_text())["calls"]:
        needs = RECORDS[call["name"]].needs
        for operation in call["host"]:
            starts = MEANT.get(operation.partition(".")[0])
            if operation in FREE or (call["name"], operation) in ANYWHERE:
                continue
            if not needs or (starts is not None and not any(need.startswith(starts) for need in needs)):
                wrong.append((call["name"], operation, needs))
    assert not wrong
