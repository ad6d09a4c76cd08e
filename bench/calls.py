"""What a system call costs inside pylx's kernel, without the trap: `python -m bench.calls --engine ptrace`.

A guest makes one call, and while it waits for the answer the kernel is given calls of that guest, some hundred of each
kind.  The figure is CPU time, the best of several series, so that a busy machine hardly matters.  A second run
counts the operations of the host layer that one call makes.  What a micro row shows beyond this is the trap.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from syscalls.calls import load
from syscalls.kernel import Kernel
from syscalls.reports.hostcount import count_host
from syscalls.table import TABLE
from syscalls.task import Task
from translator import cli
from translator.hosts.base import Host

SERIES, CALLS = 7, 300
GETPPID = 110
AT_FDCWD = -100 & (1 << 64) - 1
NO_FD = (1 << 64) - 1
O_CREAT_EXCL_WRONLY, O_DIRECTORY, O_RDWR = 0o301, 0o200000, 2
AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, STATX_ALL = 0x100, 0x1000, 0xFFF
PRIVATE_ANONYMOUS, PRIVATE, READ_WRITE = 0x22, 2, 3
BUFFER_BYTES = 1 << 20


class Probe:
    """A guest's calls, made from inside the kernel."""

    def __init__(self, kernel: Kernel, task: Task, serve: Callable[..., int | None], directory: bytes) -> None:
        self.task = task
        self._serve = serve
        load()
        self._numbers = {record.name: record.number for record in TABLE if record is not None}
        self.buffer = self.call("mmap", 0, BUFFER_BYTES, READ_WRITE, PRIVATE_ANONYMOUS, NO_FD, 0)
        self._used = 0
        self.out = self.buffer + BUFFER_BYTES // 2
        self.kernel = kernel
        self.directory = self.text(directory)
        self.file = self.text(directory + b"/f1")
        self.fd = self.call("openat", AT_FDCWD, self.file, O_RDWR)

    def prepared(self, name: str, *args: int) -> Callable[[], int | None]:
        """The call, with nothing left to do around it."""
        return partial(self._serve, self.task.cpu, self._numbers[name], (*args, 0, 0, 0, 0, 0, 0)[:6])

    def call(self, name: str, *args: int) -> int:
        value = self.prepared(name, *args)()
        assert value is not None
        return value

    def text(self, content: bytes) -> int:
        """The address of a string in guest memory."""
        addr = self.buffer + self._used
        self.task.mem.write(addr, content + b"\0")
        self._used += len(content) + 1
        return addr


def cases(probe: Probe, directory: bytes) -> dict[str, Callable[[], object]]:
    """What is measured, by the name it has in the table."""
    call, one, text, out, fd, mem = probe.call, probe.prepared, probe.text, probe.out, probe.fd, probe.task.mem
    program, missing = text(b"/usr/bin/env"), text(b"/usr/lib/x86_64-linux-gnu/none.so")
    link, empty, new = text(b"/bin/sh"), text(b""), text(directory + b"/new")
    tree, answer = probe.kernel.vfs.root.mount.filesystem.tree, bytes(144)  # type: ignore[attr-defined]

    def list_directory() -> None:
        opened = call("openat", AT_FDCWD, probe.directory, O_DIRECTORY)
        while call("getdents64", opened, out, 32768) > 0:
            pass
        call("close", opened)

    return {
        "getppid": one("getppid"),
        "guest memory: a path is read": lambda: mem.path(program),
        "guest memory: 144 bytes are written": lambda: mem.write(out, answer),
        "host: find (openat2, fstat, close)": lambda: tree.find(b"usr/bin/env"),
        "stat": one("newfstatat", AT_FDCWD, program, out, 0),
        "stat, no such file": one("newfstatat", AT_FDCWD, missing, out, 0),
        "stat by two links (/bin/sh)": one("newfstatat", AT_FDCWD, link, out, 0),
        "statx": one("statx", AT_FDCWD, program, 0, STATX_ALL, out),
        "fstat": one("newfstatat", fd, empty, out, AT_EMPTY_PATH),
        "access": one("access", program, 4),
        "readlink, no link": one("readlink", program, out, 100),
        "open and close": lambda: call("close", call("openat", AT_FDCWD, program, 0)),
        "create, close and unlink": lambda: (call("close", call("openat", AT_FDCWD, new, O_CREAT_EXCL_WRONLY, 0o644)),
                                             call("unlink", new)),
        "open, getdents of 100, close": list_directory,
        "lseek": one("lseek", fd, 0, 0),
        "pread 1 B": one("pread64", fd, out, 1, 0),
        "pread 4 KiB": one("pread64", fd, out, 4096, 0),
        "pwrite 4 KiB": one("pwrite64", fd, out, 4096, 0),
        "fchmod": one("fchmod", fd, 0o644),
        "futimens": one("utimensat", fd, 0, 0, 0),
        "rt_sigaction": one("rt_sigaction", 10, 0, out, 8),
        "futex wake": one("futex", out, 129, 1),
        "mmap and munmap, 64 KiB": lambda: call("munmap", call("mmap", 0, 65536, READ_WRITE, PRIVATE_ANONYMOUS, NO_FD),
                                                65536),
        "mmap of a file and munmap": lambda: call("munmap", call("mmap", 0, 4096, 1, PRIVATE, fd), 4096),
    }


class Measuring:
    """cli.Observer: takes over at the guest's first getppid."""

    tells_profile = False

    def __init__(self, directory: bytes, count: bool) -> None:
        self.directory = directory
        self.count = count
        self.operations: Counter[str] = Counter()
        self.results: dict[str, object] = {}
        measuring = self

        class MeasuredKernel(Kernel):
            def syscall(self, cpu: object, number: int, args: tuple[int, int, int, int, int, int]) -> int | None:
                if number == GETPPID and not measuring.results:
                    measuring.measure(self, cpu.owner, super().syscall)  # type: ignore[attr-defined]
                return super().syscall(cpu, number, args)  # type: ignore[arg-type]

        self.kernel_class: type[Kernel] = MeasuredKernel

    def watch(self, host: Host) -> Host:
        return count_host(host, lambda name, _: self.operations.update((name,))) if self.count else host

    def attach(self, kernel: Kernel) -> None:
        """Nothing to prepare."""

    def finish(self, kernel: Kernel) -> None:
        """Nothing to add."""

    def measure(self, kernel: Kernel, task: Task, serve: Callable[..., int | None]) -> None:
        self.results[""] = 0
        probe = Probe(kernel, task, serve, self.directory)
        for name, once in cases(probe, self.directory).items():
            for _ in range(20):
                once()
            self.operations.clear()
            value = once()
            if isinstance(value, int) and value < 0 and ", no " not in name:
                raise SystemExit(f"{name} failed with {value}")
            if self.count:
                self.results[name] = dict(self.operations)
            else:
                self.results[name] = round(best_us(once), 2)
        del self.results[""]


def best_us(once: Callable[[], object]) -> float:
    best = 0.0
    for _ in range(SERIES):
        start = time.thread_time_ns()
        for _ in range(CALLS):
            once()
        taken = (time.thread_time_ns() - start) / CALLS / 1000
        best = taken if not best else min(best, taken)
    return best


def in_this_process(engine: str, count: bool) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix="calls-") as directory:
        for number in range(100):
            Path(directory, f"f{number}").write_bytes(bytes(5000))
        observer = Measuring(os.fsencode(directory), count)
        arguments = cli.Arguments()
        arguments.engine = engine
        arguments.command = ["./micro", "getppid", "1"]
        if cli.run(arguments, observer):
            raise SystemExit(f"the guest failed on {engine}")
        return observer.results


def measure_calls(engine: str, directory: Path) -> dict[str, tuple[float, dict[str, int]]]:
    """Microseconds and host operations of each call; `directory` has the micro program."""
    out: list[dict[str, object]] = []
    for counting in ([], ["--count"]):
        done = subprocess.run([sys.executable, "-m", "bench.calls", "--engine", engine, "--json", *counting],
                              cwd=directory, capture_output=True, timeout=120, check=True, text=True,
                              env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
        out.append(json.loads(done.stdout.splitlines()[-1]))
    return {name: (out[0][name], out[1][name]) for name in out[0]}  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="ptrace")
    parser.add_argument("--count", action="store_true", help="count host operations")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not Path("micro").exists():
        source = Path(__file__).with_name("micro.c")
        subprocess.run(["gcc", "-O2", "-pthread", "-o", "micro", source], check=True)
    # The guest's end closes the standard streams of this process.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as report:
        results = in_this_process(arguments.engine, arguments.count)
        if arguments.json:
            report.write(json.dumps(results) + "\n")
        else:
            report.writelines(f"{name:40} {value}\n" for name, value in results.items())


if __name__ == "__main__":
    main()
