"""`python -m bench.run`: micro loops and start-up, natively, under pylx and under qemu-user, in the same run.

Rounds are interleaved (each contender once a round, in rotating order), so that a slow moment of the machine hits all
alike; the table shows medians, their spread, and the ratio to native.  Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
PYLX = [sys.executable, "-I", "-m", "translator.cli"]

MICRO = {  # loop: operations for (native or qemu, pylx)
    "getppid": (300_000, 100_000), "read-1": (200_000, 30_000), "read-4k": (100_000, 20_000),
    "open-close": (50_000, 3_000), "stat": (100_000, 5_000), "mmap": (20_000, 3_000), "touch": (200_000, 30_000),
    "poll": (100_000, 10_000), "spawn": (200, 40), "fork": (300, 50),
    "fork-exec": (100, 20), "pipe": (5_000, 2_000), "futex": (5_000, 2_000), "signal": (20_000, 2_000),
    "thread": (2_000, 200), "int": (50_000_000, 50_000_000), "store": (50_000_000, 50_000_000),
    "load": (50_000_000, 50_000_000), "float": (5_000_000, 5_000_000),
}
WHOLE = {  # whole commands, milliseconds from start to exit
    "/bin/true": ["/bin/true"],
    "sh -c true": ["/bin/sh", "-c", "true"],
    "python3 -S -c pass": ["/usr/bin/python3", "-S", "-c", "pass"],
    "200 x /bin/true in sh": ["/bin/sh", "-c", "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done"],
}
QEMU_CANNOT = {"fork-exec", "spawn", "200 x /bin/true in sh"}
"""qemu-user's children run natively after execve: no figure."""


def contenders() -> dict[str, list[str]]:
    out: dict[str, list[str]] = {"native": [], "pylx unicorn": [*PYLX, "--engine", "unicorn"]}
    if subprocess.run([*PYLX, "--engine", "ptrace", "/bin/true"], capture_output=True, check=False).returncode == 0:
        out["pylx ptrace"] = [*PYLX, "--engine", "ptrace"]
    qemu = shutil.which("qemu-x86_64")
    if qemu:
        out["qemu-user"] = [qemu]
    return out


def micro_once(program: Path, name: str, prefix: list[str], operations: int) -> float:
    """ns per operation, as the loop itself measured it."""
    done = subprocess.run([*prefix, str(program), name, str(operations)], capture_output=True, timeout=300, check=True)
    return float(done.stdout)


def whole_once(command: list[str], prefix: list[str]) -> float:
    """Milliseconds from start to exit."""
    start = time.perf_counter()
    process = subprocess.Popen([*prefix, *command], stdout=subprocess.DEVNULL)
    # Not wait(timeout): it polls, in steps of up to 50 ms.
    limit = threading.Timer(300, process.kill)
    limit.start()
    status = process.wait()
    elapsed_ms = (time.perf_counter() - start) * 1e3
    limit.cancel()
    if status:
        raise SystemExit(f"{[*prefix, *command]} ended with {status}")
    return elapsed_ms


def measure(rounds: int, only: str) -> dict[str, dict[str, list[float]]]:
    runners = contenders()
    results: dict[str, dict[str, list[float]]] = {}
    # Not in /dev/shm: guests have their own.
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch, "micro")
        subprocess.run(["gcc", "-O2", "-pthread", "-o", str(program), str(HERE / "micro.c")], check=True)
        for row in [*WHOLE, *MICRO]:
            if only and only not in row:
                continue
            cells = results.setdefault(row, {})
            for turn in range(rounds):
                names = [name for name in runners if not (name == "qemu-user" and row in QEMU_CANNOT)]
                for name in names[turn % len(names):] + names[:turn % len(names)]:
                    prefix = runners[name]
                    print(f"\r{row}, round {turn + 1}/{rounds}, {name}          ", end="", file=sys.stderr, flush=True)
                    if row in WHOLE:
                        value = whole_once(WHOLE[row], prefix)
                    else:
                        operations = MICRO[row][1 if name.startswith("pylx") else 0]
                        value = micro_once(program, row, prefix, operations)
                    cells.setdefault(name, []).append(value)
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return results


def shown(value: float, is_ms: bool) -> str:
    if is_ms:
        return f"{value:.1f} ms"
    return f"{value:.2f} ns" if value < 100 else f"{value / 1e3:.2f} us" if value < 1e6 else f"{value / 1e6:.2f} ms"


def table(results: dict[str, dict[str, list[float]]]) -> str:
    names = list(contenders())
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for row, cells in results.items():
        native = statistics.median(cells["native"])
        out = []
        for name in names:
            if name not in cells:
                out.append("n/a")
                continue
            median = statistics.median(cells[name])
            spread = f"{shown(min(cells[name]), row in WHOLE)} to {shown(max(cells[name]), row in WHOLE)}"
            ratio = "" if name == "native" else f" **{median / native:.1f}x**"
            out.append(f"{shown(median, row in WHOLE)}{ratio} ({spread})")
        lines.append(f"| {row} | " + " | ".join(out) + " |")
    return "\n".join(lines)


def machine() -> str:
    model = "unknown CPU"
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return (f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {platform.python_version()}, "
            f"load {os.getloadavg()[0]:.1f} at the end")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--json", type=Path, help="write every sample there")
    parser.add_argument("--markdown", type=Path, help="write the table there")
    arguments = parser.parse_args()
    results = measure(arguments.rounds, arguments.only)
    text = table(results)
    print(text)
    print(f"\n{machine()}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "samples": results}, indent=1))
    if arguments.markdown:
        arguments.markdown.write_text(f"{text}\n\nMachine: {machine()}; {arguments.rounds} interleaved rounds, "
                                      "median (minimum to maximum), ratio to native.\n")


if __name__ == "__main__":
    main()
