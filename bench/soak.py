"""`python -m bench.soak MINUTES`: a mixed guest workload for a long time, and what pylx holds meanwhile.

The guest (soak.c) forks, executes programs, makes threads, files, mappings, pipes and signals, and leaves none of them
behind.  Sampled every few seconds: resident memory of pylx (and of its pico processes), its descriptors, host processes
and host threads.  Ends with status 1 when memory has grown by more than `--allow` MiB, or anything else at all, between
the second tenth of the run (by then all modules are imported and caches are filled) and its last tenth.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench.scratch import scratch_directory

HERE = Path(__file__).parent
SAMPLES = 200
"""How often to look, in all, but not more than once in a second."""


class Sample:
    def __init__(self, pid: int, started: float) -> None:
        """OSError, IndexError when pylx has ended."""
        self.at = time.monotonic() - started
        self.rss_kib = _status(pid, "VmRSS")
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        pico = _children(pid)
        self.processes = len(pico)
        self.threads = 0
        self.pico_rss_kib = 0
        for child in pico:
            try:
                self.threads += len(os.listdir(f"/proc/{child}/task"))
                self.pico_rss_kib += _status(child, "VmRSS")
            except OSError:
                continue  # it has just ended


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--engine", default="ptrace")
    parser.add_argument("--host", default="linux")
    parser.add_argument("--part", type=int, help="only this part of the guest's round (0-7), to find a leak")
    parser.add_argument("--allow", type=float, default=2, help="MiB that pylx may grow (default: 2)")
    parser.add_argument("--output", type=Path, help="write the samples there, as tab-separated values")
    return parser.parse_args()


def main() -> int:
    arguments = _parse()
    seconds = arguments.minutes * 60
    with scratch_directory(None) as scratch:
        program = scratch / "soak"
        subprocess.run(["gcc", "-O1", "-w", "-pthread", "-o", str(program), str(HERE / "soak.c")], check=True)
        command = [sys.executable, "-I", "-m", "translator.cli", "--engine", arguments.engine, "--host",
                   arguments.host, str(program), str(int(seconds))]
        if arguments.part is not None:
            command.append(str(arguments.part))
        started = time.monotonic()
        with subprocess.Popen(command, cwd=scratch, stdout=subprocess.PIPE, text=True) as process:
            try:
                samples = _watch(process, started, seconds)
                output = process.communicate(timeout=60)[0]
            finally:
                process.kill()
        left = [path.name for path in scratch.iterdir() if path != program]
    print(output, end="")
    if arguments.output is not None:
        arguments.output.write_text("".join(
            f"{s.at:.1f}\t{s.rss_kib}\t{s.pico_rss_kib}\t{s.descriptors}\t{s.processes}\t{s.threads}\n"
            for s in samples))
    return _judge(samples, process.returncode, left, arguments.allow)


def _watch(process: subprocess.Popen[str], started: float, seconds: float) -> list[Sample]:
    samples = []
    while process.poll() is None:
        if time.monotonic() - started > seconds * 1.5 + 60:
            print("soak: the guest does not end")
            break
        try:
            samples.append(Sample(process.pid, started))
        except (OSError, IndexError):
            break
        time.sleep(max(seconds / SAMPLES, 1))
    return samples


def _judge(samples: list[Sample], status: int, left: list[str], allow: float) -> int:
    tenth = max(len(samples) // 10, 1)
    early, late = samples[tenth:2 * tenth], samples[-tenth:]
    bad = status != 0
    print(f"{'':<24}{'early':>10}{'late':>10}{'most':>10}")
    for name, what, allowed in (("pylx, KiB resident", "rss_kib", allow * 1024), ("descriptors", "descriptors", 0),
                                ("host processes", "processes", None), ("host threads", "threads", None),
                                ("guests, KiB resident", "pico_rss_kib", None)):
        values = [[getattr(sample, what) for sample in part] for part in (early, late, samples)]
        before, after = (median(values[0]), median(values[1])) if allowed else (min(values[0]), min(values[1]))
        grown = allowed is not None and after - before > allowed
        bad = bad or grown
        print(f"{name:<24}{before:>10.0f}{after:>10.0f}{max(values[2]):>10.0f}{'  grows' if grown else ''}")
    if left:
        print(f"files left behind: {left}")
    print(f"{len(samples)} samples, exit status {status}")
    return int(bad or bool(left))


if __name__ == "__main__":
    sys.exit(main())
