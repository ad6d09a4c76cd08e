"""The sides of a comparison: an executor that runs natively, and others under the layers that are examined.

Each side is one executor that stays and serves program after program, because a layer takes long to start.  Where the
machine permits, all run as an unprivileged user, in namespaces of their own, in which only their scratch directory can
be written; every side has its own directory, seen under the same path.
"""

from __future__ import annotations

import hashlib
import os
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from syscalls.fuzz.outcome import Outcome, decode, remove_tree, tree_of
from syscalls.fuzz.program import Call, Program

SOURCE = Path(__file__).with_name("data") / "executor.c"
FLAGS = ["-O2", "-nostdlib", "-static", "-ffreestanding", "-fno-stack-protector", "-fno-pic", "-no-pie",
         "-fno-asynchronous-unwind-tables", "-Wl,--build-id=none"]
NOBODY = 65534
NATIVE_LIMIT_MS, LAYER_LIMIT_MS = 400, 4000
GRACE_S = 20
PROGRAMS_PER_START = 2000


class FuzzError(Exception):
    """Fuzzing cannot go on, in one line for the user."""


def build_executor() -> str:
    """Compile the executor, once for its source.  It is compiled where it is used, not shipped as a binary: the source
    is what can be read and trusted, and who fuzzes has a compiler for the reproducers anyway."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise FuzzError("fuzz needs a C compiler (cc, gcc or clang) for its executor")
    text = SOURCE.read_bytes()
    digest = hashlib.sha256(text + repr((compiler, FLAGS)).encode()).hexdigest()[:16]
    directory = f"{tempfile.gettempdir()}/pylx-fuzz-executor-{os.getuid()}"
    os.makedirs(directory, 0o755, exist_ok=True)
    if os.stat(directory).st_uid != os.getuid():
        raise FuzzError(f"{directory} belongs to somebody else")
    target = f"{directory}/{digest}"
    if not os.path.exists(target):
        made = f"{target}.{os.getpid()}"
        done = subprocess.run([compiler, *FLAGS, "-o", made, str(SOURCE)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise FuzzError(f"{compiler} cannot compile the executor: {done.stderr.strip()[-300:]}")
        os.chmod(made, 0o755)
        os.rename(made, target)
    return target


def hidden_paths(command: Sequence[str]) -> list[str]:
    """Pairs (directory that others may not enter, directory below it that the command needs)."""
    needed = [sys.prefix, sys.base_prefix, *sys.path, os.path.dirname(os.path.abspath(__file__))]
    needed += [os.path.dirname(os.path.realpath(word)) for word in command if word.startswith("/")]
    out: dict[str, str] = {}
    for path in needed:
        if not path.startswith("/") or not os.path.isdir(path):
            continue
        for parent in reversed(Path(os.path.realpath(path)).parents):
            if not parent.stat().st_mode & 1:
                known = out.get(str(parent))
                real = os.path.realpath(path)
                out[str(parent)] = os.path.commonpath([known, real]) if known else real
                break
    return [word for pair in out.items() for word in pair if pair[0] != pair[1]]


def last_words(text: str) -> str:
    """What a layer said last, without the numbers that differ from time to time."""
    bug = re.search(r"defect of pylx, not of the program: (\w+)\(.*failed with (\w+)", text)
    if bug is not None:
        return f"{bug.group(2)} in {bug.group(1)}"
    lines = [line for line in text.splitlines() if line.strip()]
    return re.sub(r"0x[0-9a-f]+|\d+", "N", lines[-1])[-120:] if lines else "without a word"


class World:
    """A directory for all sides, and the executor."""

    def __init__(self) -> None:
        self.executor = build_executor()
        self.base = tempfile.mkdtemp(prefix="pylx-fuzz-")
        os.chmod(self.base, 0o755)
        os.mkdir(f"{self.base}/at", 0o755)
        self.uid, self.gid = (NOBODY, NOBODY) if os.geteuid() == 0 else (os.getuid(), os.getgid())

    def directory(self, name: str) -> str:
        path = f"{self.base}/{name}"
        if not os.path.isdir(path):
            os.mkdir(path, 0o755)
            self.open_to_programs(path)
        return path

    def open_to_programs(self, path: str) -> None:
        """Programs make their directories there, and cannot change it where it is not their user's."""
        os.chmod(path, 0o1777 if os.geteuid() == 0 else 0o755)

    def jail(self, name: str, command: Sequence[str]) -> list[str]:
        return [self.executor, "jail", str(self.uid), str(self.gid), self.directory(name), f"{self.base}/at",
                *hidden_paths(command), "--", *command]

    def close(self) -> None:
        remove_tree(self.base)


class Side:
    """One executor, started when a program comes and again after it has ended."""

    def __init__(self, world: World, name: str, prefix: Sequence[str]) -> None:
        self.world = world
        self.name = name
        self.prefix = list(prefix)
        self.process: subprocess.Popen[bytes] | None = None
        self.served = 0
        self.limit_ms = LAYER_LIMIT_MS if prefix else NATIVE_LIMIT_MS
        self.directory = world.directory(name)
        self.hides_files = False
        """What programs leave behind stays in the layer (an overlay): nobody can see it from here."""

    def start(self) -> subprocess.Popen[bytes]:
        command = self.world.jail(self.name, [*self.prefix, self.world.executor, "serve", str(self.world.uid)])
        self.errors = open(f"{self.world.base}/{self.name}.stderr", "w+b")  # noqa: SIM115 (closed with the side)
        self.process = process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, start_new_session=True,
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": "/", "LANG": "C.UTF-8",
                 "PYTHONDONTWRITEBYTECODE": "1"})
        self.served = 0
        if self.receive(8, time.monotonic() + 60) != b"ready\n\0\0"[:8]:
            words = self.stop()
            raise FuzzError(f"{self.name}: the executor does not start, as an unprivileged user and in namespaces of "
                            f"its own: {words or 'no answer in 60 s'}")
        if self.prefix:
            self.hides_files = not self._shows_files()
        return process

    def _shows_files(self) -> bool:
        self.send(Program((Call(0, "getpid", ()),)), 0, self.limit_ms)
        self._answer()
        place = f"{self.directory}/p0"
        shows = os.path.isdir(place)
        remove_tree(place)
        return shows

    def stop(self) -> str:
        """End it; the last words on its standard error."""
        if self.process is None:
            return ""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process = None
        self.errors.seek(0)
        words = self.errors.read()[-4000:].decode(errors="replace").strip()
        self.errors.close()
        return words

    def receive(self, count: int, deadline: float) -> bytes | None:
        """So many bytes; None at the end of the executor or of the time."""
        assert self.process is not None and self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        out = bytearray()
        while len(out) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                return None
            part = os.read(descriptor, count - len(out))
            if not part:
                return None
            out += part
        return bytes(out)

    def begin(self, program: Program, serial: int, limit_ms: int | None = None) -> None:
        """Send a program; `end` has its outcome."""
        if self.process is not None and self.served >= PROGRAMS_PER_START:
            self.stop()
        if self.process is None:
            self.start()
        if os.geteuid():
            self.world.open_to_programs(self.directory)
        self.send(program, serial, limit_ms or self.limit_ms)

    def send(self, program: Program, serial: int, limit: int) -> None:
        process = self.process
        assert process is not None and process.stdin is not None
        self.served += 1
        self.serial = serial
        words = program.encode()
        self.deadline = time.monotonic() + limit / 1000 + GRACE_S
        try:
            process.stdin.write(struct.pack("<4Q", len(words) // 8, limit, 1, serial) + words)
            process.stdin.flush()
        except BrokenPipeError:
            pass

    def _answer(self) -> tuple[tuple[int, ...], bytes] | None:
        """The report and the log; None when they do not come."""
        head = self.receive(40, self.deadline)
        if head is None:
            return None
        report = struct.unpack("<5Q", head)
        body = self.receive(report[0] * 8, self.deadline)
        return None if body is None else (report, body)

    def end(self) -> Outcome:
        answer = self._answer()
        if answer is None:
            assert self.process is not None
            hung = time.monotonic() >= self.deadline
            detail = self.stop()
            remove_tree(f"{self.directory}/p{self.serial}")
            return Outcome(failure="hang" if hung else f"end of the layer: {last_words(detail)}", detail=detail)
        (used, status, flags, last, left), body = answer
        tree = None if self.hides_files else tree_of(f"{self.directory}/p{self.serial}")
        remove_tree(f"{self.directory}/p{self.serial}")
        return Outcome(decode(struct.unpack(f"<{used}Q", body)), status, bool(flags & 1), bool(flags & 2), last, left,
                       tree)

    def run(self, program: Program, serial: int = 0, limit_ms: int | None = None) -> Outcome:
        self.begin(program, serial, limit_ms)
        return self.end()
