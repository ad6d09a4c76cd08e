"""Start pylx, send it signals in the middle of things, and tell what is left.

    python reaper.py WHEN SIGNAL,... -- command

WHEN: `ready` (the command has printed that line) or milliseconds after its start; the signals are sent half a second
apart while it lives.  As their subreaper this process inherits all that pylx leaves behind.  Prints JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
LONGEST = 40


def children() -> list[int]:
    return [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def descendants() -> int:
    """How many processes there are below, zombies not counted."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] not in "ZX":
                parents[int(name)] = int(fields[1])
    found = [os.getpid()]
    for parent in found:
        found += [child for child, its in parents.items() if its == parent]
    return len(found) - 1


def reap() -> None:
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def main() -> None:
    when, names, command = sys.argv[1], sys.argv[2].split(","), sys.argv[4:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
    assert process.stdout is not None
    if when == "ready":
        line = process.stdout.readline()
        if line != b"ready\n":
            raise SystemExit(f"not ready: {line!r}")
        time.sleep(0.05)
    else:
        time.sleep(int(when) / 1000)
    at_once = descendants()
    sent = 0
    began = time.monotonic()
    for name in names:
        if name == "close":
            process.stdout.close()
        else:
            process.send_signal(getattr(signal, name))
        sent += 1
        try:
            process.wait(0.5 if sent < len(names) else LONGEST)
            break
        except subprocess.TimeoutExpired:
            continue
    ended = time.monotonic() - began
    while children() and time.monotonic() - began < LONGEST:
        reap()
        time.sleep(0.01)
    left = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in children()]
    print(json.dumps({"status": process.returncode, "sent": sent, "at_once": at_once, "ended": ended,
                      "gone": time.monotonic() - began, "left": left}))
    for pid in children():
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
