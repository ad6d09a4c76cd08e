"""Who runs the rows: the machine itself, pylx on each engine, and the peers that are installed.

A contender is a prefix of words before the command.  Tracers that wake another process for each call run on one CPU
here: left to the scheduler they pay a wake-up across CPUs per stop and are several times slower (`--contenders` has
the free ones, too).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(sys.executable).with_name("pylx")
PYLX = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-I", "-m", "translator.cli"]
PROBE_SECONDS = 20


@dataclass(slots=True, frozen=True)
class Contender:
    name: str
    prefix: tuple[str, ...]
    needs: str = ""
    """The command that must be installed; empty: always there."""
    is_default: bool = True
    runs_children: bool = True
    """False: what a guest executes runs natively, so there is no figure where programs are executed."""


def _on_one_cpu(words: list[str]) -> tuple[str, ...]:
    return ("taskset", "-c", str(max(os.sched_getaffinity(0))), *words)


STRACE = ["strace", "-f", "-o", "/dev/null"]
PROOT = ["proot", "-R", "/"]
RUNSC = ["runsc", "--rootless", "--network=host", "--ignore-cgroups"]
INSIDE = ["do", "-force-overlay=false"]

KNOWN = (
    Contender("native", ()),
    Contender("pylx ptrace", (*PYLX, "--engine", "ptrace")),
    Contender("pylx unicorn", (*PYLX, "--engine", "unicorn")),
    Contender("pylx ptrace, portable host", (*PYLX, "--engine", "ptrace", "--host", "portable"), is_default=False),
    Contender("pylx unicorn, portable host", (*PYLX, "--engine", "unicorn", "--host", "portable"), is_default=False),
    Contender("strace -f", _on_one_cpu(STRACE), "strace"),
    Contender("strace -f, free", tuple(STRACE), "strace", is_default=False),
    Contender("proot", _on_one_cpu(PROOT), "proot"),
    Contender("proot, free", tuple(PROOT), "proot", is_default=False),
    Contender("qemu-user", ("qemu-x86_64",), "qemu-x86_64", runs_children=False),
    Contender("runsc systrap", (*RUNSC, "--platform=systrap", *INSIDE), "runsc"),
    Contender("runsc ptrace", (*RUNSC, "--platform=ptrace", *INSIDE), "runsc"),
    Contender("bwrap", ("bwrap", "--dev-bind", "/", "/"), "bwrap"),
)


def works(contender: Contender) -> bool:
    if contender.needs and shutil.which(contender.needs) is None:
        return False
    if not contender.prefix:
        return True
    try:
        done = subprocess.run([*contender.prefix, "/bin/true"], capture_output=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def version(contender: Contender) -> str:
    """What a peer's command says of itself; empty for pylx and the machine."""
    if not contender.needs:
        return ""
    done = subprocess.run([contender.needs, "--version"], capture_output=True, text=True, timeout=PROBE_SECONDS,
                          check=False)
    found = re.search(r"\d+\.\d[\w.~+-]*", done.stdout + done.stderr)
    return found[0] if found else ""


def choose(wanted: list[str]) -> list[Contender]:
    """Those of the wanted names (a part of the name is enough; none: the usual ones) that work here, native first."""
    chosen = []
    for contender in KNOWN:
        named = any(word == contender.name or (word in contender.name and contender.is_default) for word in wanted)
        if (not contender.prefix or named or (not wanted and contender.is_default)) and works(contender):
            chosen.append(contender)
    return chosen
