"""What is measured: each row prepares its input, runs one command under a contender, and checks what came out."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from bench import generate

HERE = Path(__file__).parent
MICRO = ("getppid", "read-1", "read-4k", "write-4k", "open-close", "stat", "getdents", "mmap", "touch", "poll", "spawn",
         "fork", "fork-exec", "pipe", "futex", "signal", "thread", "int", "store", "load", "float")
MICRO_EXECUTING = ("spawn", "fork-exec")
"""Rows in which the guest executes another program."""

EMPTY: dict[str, str] = {}


@dataclass(slots=True)
class Row:
    """One command; `seconds` from its start to its exit, unless the command prints its own figure (ns/operation)."""

    name: str
    group: str
    command: list[str]
    executes: bool = False
    prints: bool = False
    """The command prints nanoseconds per operation."""
    needs: tuple[str, ...] = ()
    output: str = ""
    """What the command makes in the scratch directory: removed before each run, and compared with the native run's."""
    cwd: str = "."
    environment: dict[str, str] = field(default_factory=dict)

    def prepare(self, scratch: Path) -> None:
        """Make the inputs that are not there yet."""

    def reset(self, scratch: Path) -> None:
        if self.output:
            shutil.rmtree(scratch / self.output, ignore_errors=True)

    def digest(self, scratch: Path) -> str:
        """Of what the command left behind; equal on every contender."""
        return tree_digest(scratch / self.output) if self.output else ""


def tree_digest(root: Path) -> str:
    """Names, kinds, modes, targets and contents below a directory."""
    total = hashlib.sha256()
    for directory, names, files in os.walk(root):
        names.sort()
        for name in sorted([*files, *(each for each in names if os.path.islink(os.path.join(directory, each)))]):
            path = Path(directory, name)
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            mode = 0 if path.is_symlink() else path.stat().st_mode
            total.update(f"{path.relative_to(root)}\0{mode:o}\0{len(content)}\0".encode())
            total.update(content)
    return total.hexdigest()


class Micro(Row):
    def prepare(self, scratch: Path) -> None:
        if not (scratch / "micro").exists():
            subprocess.run(["gcc", "-O2", "-pthread", "-o", scratch / "micro", HERE / "micro.c"], check=True)


class Untar(Row):
    def prepare(self, scratch: Path) -> None:
        if not (scratch / "source.tar.gz").exists():
            generate.write_tarball(scratch / "source.tar.gz", 6_190)

    def reset(self, scratch: Path) -> None:
        super().reset(scratch)
        (scratch / self.output).mkdir()


class GitClone(Row):
    def prepare(self, scratch: Path) -> None:
        if not (scratch / "repository").exists():
            generate.write_repository(scratch / "repository", 4_080)

    def digest(self, scratch: Path) -> str:
        """Of the work tree; the index holds times and inode numbers."""
        shutil.rmtree(scratch / self.output / ".git")
        return super().digest(scratch)


class NpmCi(Row):
    def prepare(self, scratch: Path) -> None:
        if not (scratch / "packages").exists():
            generate.write_packages(scratch / "packages", 73)


class CmakeBuild(Row):
    def prepare(self, scratch: Path) -> None:
        if not (scratch / "c-project").exists():
            generate.write_c_project(scratch / "c-project", 40)

    def digest(self, scratch: Path) -> str:
        """What the built program prints: object files and logs hold times."""
        return subprocess.run([scratch / self.output / "bench"], capture_output=True, text=True, check=True).stdout


class Remove(Untar):
    def reset(self, scratch: Path) -> None:
        super().reset(scratch)
        subprocess.run(["tar", "xzf", "source.tar.gz", "-C", self.output], cwd=scratch, check=True)

    def digest(self, scratch: Path) -> str:
        return "there" if (scratch / self.output).exists() else "gone"


def rows(micro_ms: int) -> list[Row]:
    """All rows, in the order of the table; micro loops run `micro_ms` milliseconds each."""
    sh, loop = "/bin/sh", "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done"
    out = [
        Untar("unpack 6,190 files", "workload", ["tar", "xzf", "source.tar.gz", "-C", "unpacked"], executes=True,
              needs=("tar", "gzip"), output="unpacked"),
        GitClone("git clone, 4,080 files", "workload", ["git", "clone", "-q", "repository", "clone"], executes=True,
                 needs=("git",), output="clone",
                 environment={"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}),
        NpmCi("npm ci, 73 packages", "workload",
              ["npm", "ci", "--offline", "--cache", "../cache", "--no-audit", "--no-fund", "--no-update-notifier"],
              executes=True, needs=("npm",), output="packages/project/node_modules", cwd="packages/project"),
        CmakeBuild("cmake configure, build 41 files", "workload",
                   [sh, "-c", "cmake -S c-project -B build -G 'Unix Makefiles' && cmake --build build"], executes=True,
                   needs=("cmake", "make", "gcc"), output="build"),
        Remove("rm -r 6,190 files", "workload", ["rm", "-r", "unpacked"], needs=("rm", "tar"), output="unpacked"),
        Row("find in /usr/lib", "workload", ["find", "/usr/lib", "-size", "+9999M"], needs=("find",)),
        Row("/bin/true", "start", ["/bin/true"]),
        Row("sh -c true", "start", [sh, "-c", "true"]),
        Row("python3 -c pass", "start", ["/usr/bin/python3", "-c", "pass"], needs=("/usr/bin/python3",)),
        Row("200 x /bin/true in sh", "start", [sh, "-c", loop], executes=True),
    ]
    out.extend(Micro(name, "micro", ["./micro", name, str(micro_ms)], executes=name in MICRO_EXECUTING, prints=True,
                     needs=("gcc",)) for name in MICRO)
    return [row for row in out if all(shutil.which(need) for need in row.needs)]
