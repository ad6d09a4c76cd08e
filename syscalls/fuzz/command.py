"""`pylx fuzz`: arguments, progress, and the report."""

from __future__ import annotations

import itertools
import os
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from syscalls.fuzz.campaign import Campaign, Finding
from syscalls.fuzz.domains import GROUPS
from syscalls.fuzz.expected import reason
from syscalls.fuzz.program import Program
from syscalls.fuzz.reproduce import c_source, python_source
from syscalls.fuzz.sides import FuzzError, Side
from syscalls.fuzz.volume import random_program

USAGE = """\
usage: pylx fuzz [--against 'COMMAND'] [--calls GROUPS] [--time TIME] [--seed N] [--engine ENGINE] [--output DIR]

Make programs of system calls, run each natively and under a layer, and report where the results, the memory,
the signals
and the files left behind differ.  Programs run as an unprivileged user, in namespaces of their own.

  --against COMMAND   the layer: a command that a program is put behind, such as qemu-x86_64 or 'proot -r /'
                      (default: this pylx)
  --engine ENGINE     of pylx: unicorn, ptrace, or both (default: both, where ptrace works)
  --calls GROUPS      some of: {groups}
                      (separated by commas; default: all)
  --time TIME         how long: 90, 90s, 10m, 2h (default: 1m)
  --seed N            where to begin: the same seed makes the same programs (default: a new one)
  --output DIR        where the reproducers go, two files for each divergence (default: pylx-fuzz)

Exit status: 1 when a divergence was found, 0 when none was.
"""
STEPS = 25
EXAMPLES = 40
PROGRAMS_PER_ROUND = 50
LENGTHS = (3, 6, 10, 15, 25, 40)
MIXED = 0.3
"""How many programs have the calls of a second group."""


class Options:
    def __init__(self) -> None:
        self.against: str | None = None
        self.engine = "both"
        self.groups = list(GROUPS)
        self.seconds = 60.0
        self.seed = int.from_bytes(os.urandom(3), "little")
        self.output = "pylx-fuzz"


def parse(words: Sequence[str]) -> Options | str:
    out = Options()
    rest = list(words)
    while rest:
        word, equals, value = rest.pop(0).partition("=")
        if word in ("-h", "--help"):
            return USAGE.format(groups=", ".join(GROUPS))
        if word not in ("--against", "--engine", "--calls", "--time", "--seed", "--output"):
            raise FuzzError(f"fuzz: unknown argument {word}; see pylx fuzz --help")
        if not equals:
            if not rest:
                raise FuzzError(f"fuzz: {word} needs a value")
            value = rest.pop(0)
        if word == "--against":
            out.against = value
        elif word == "--engine":
            if value not in ("unicorn", "ptrace", "both"):
                raise FuzzError(f"fuzz: --engine {value}: unicorn, ptrace or both")
            out.engine = value
        elif word == "--calls":
            out.groups = [name for name in value.split(",") if name]
            wrong = [name for name in out.groups if name not in GROUPS]
            if wrong or not out.groups:
                raise FuzzError(f"fuzz: --calls {value}: the groups are {', '.join(GROUPS)}")
        elif word == "--time":
            out.seconds = seconds(value)
        elif word == "--seed":
            if not value.isdigit():
                raise FuzzError(f"fuzz: --seed {value}: a number is wanted")
            out.seed = int(value)
        else:
            out.output = value
    return out


def seconds(text: str) -> float:
    scale = {"s": 1, "m": 60, "h": 3600}.get(text[-1:], 1)
    digits = text.rstrip("smh")
    if not digits.isdigit() or len(text) - len(digits) > 1:
        raise FuzzError(f"fuzz: --time {text}: a time such as 90s, 10m or 2h is wanted")
    return float(int(digits) * scale)


def pylx_prefix(engine: str) -> list[str]:
    return [sys.executable, "-I", "-m", "translator.cli", "--engine", engine]


def layers(options: Options) -> dict[str, list[str]]:
    if options.against is not None:
        prefix = shlex.split(options.against)
        if not prefix:
            raise FuzzError("fuzz: --against: a command is wanted")
        import shutil
        program = shutil.which(prefix[0])
        if program is None:
            raise FuzzError(f"fuzz: --against {prefix[0]}: command not found")
        return {os.path.basename(prefix[0]): [os.path.abspath(program), *prefix[1:]]}
    if options.engine != "both":
        return {options.engine: pylx_prefix(options.engine)}
    return {engine: pylx_prefix(engine) for engine in ("unicorn", "ptrace")}


class Progress:
    """One line that is written over on a terminal, and a line now and then elsewhere."""

    def __init__(self, stream: TextIO, campaign: Campaign, total: float) -> None:
        self.stream, self.campaign, self.total = stream, campaign, total
        self.began = self.last = time.monotonic()
        self.every = 0.5 if stream.isatty() else 30

    def tick(self, group: str) -> None:
        now = time.monotonic()
        if now - self.last < self.every:
            return
        self.last = now
        tally = self.campaign.tally
        text = (f"{now - self.began:4.0f}/{self.total:.0f} s  {group:8} {tally.programs} programs, "
                f"{tally.calls} calls, {len(self.campaign.findings)} divergences")
        self.stream.write(f"\r{text:78}" if self.stream.isatty() else text + "\n")
        self.stream.flush()

    def clear(self) -> None:
        if self.stream.isatty():
            self.stream.write("\r" + " " * 78 + "\r")


def rounds(campaign: Campaign, groups: Sequence[str], total: float, seed: int, progress: Progress | None,
           report: Callable[[Finding], None]) -> None:
    """Run programs of all groups in turn until the time is up: mostly in volume, every eighth round by the state
    machines, whose programs are of another kind (hypothesis reuses and mutates what it drew)."""
    end = time.monotonic() + total

    def run(program: Program, group: str) -> None:
        for finding in campaign.run(program):
            if progress is not None:
                progress.clear()
            report(finding)
        if progress is not None:
            progress.tick(group)
        if time.monotonic() > end:
            raise TimeIsUp

    try:
        for number in itertools.count():
            group = groups[number % len(groups)]
            if number // len(groups) % 8 == 7:
                by_machine(group, seed + number, lambda program, group=group: run(program, group))  # type: ignore[misc]
                continue
            source = random.Random(f"{seed} {number}")
            for _ in range(PROGRAMS_PER_ROUND):
                also = source.choice(groups) if source.random() < MIXED else None
                run(random_program(group, source, source.choice(LENGTHS), also), group)
    except TimeIsUp:
        return


class TimeIsUp(BaseException):
    """Ends generation: not an Exception, which hypothesis would take for a failing test."""


def by_machine(group: str, seed: int, run: Callable[[Program], None]) -> None:
    """One run of a group's state machine."""
    import hypothesis
    from hypothesis.configuration import set_hypothesis_home_dir
    from hypothesis.stateful import run_state_machine_as_test

    from syscalls.fuzz.machine import machine
    set_hypothesis_home_dir(f"{tempfile.gettempdir()}/pylx-fuzz-hypothesis-{os.getuid()}")
    settings = hypothesis.settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
                                   suppress_health_check=list(hypothesis.HealthCheck),
                                   phases=[hypothesis.Phase.generate])
    run_state_machine_as_test(hypothesis.seed(seed)(machine(group, run)), settings=settings)


def write_reproducers(finding: Finding, prefix: list[str], directory: str, number: int) -> str:
    name = f"{number:02}_{finding.layers[0]}_{finding.difference.call}".replace(" ", "_").replace("#", "")
    os.makedirs(directory, exist_ok=True)
    for suffix, text in (("py", python_source(finding.program, finding.difference, prefix, name)),
                         ("c", c_source(finding.program, finding.difference, prefix, name))):
        with open(f"{directory}/{name}.{suffix}", "w", encoding="utf-8") as file:
            file.write(text)
    return f"{directory}/{name}"


def fuzz(words: Sequence[str]) -> int:
    """The command: its exit status."""
    options = parse(words)
    if isinstance(options, str):
        sys.stdout.write(options)
        return 0
    try:
        import hypothesis  # noqa: F401
    except ImportError:
        raise FuzzError("fuzz needs hypothesis: pip install 'pylx[fuzz]'") from None
    chosen = layers(options)
    own = options.against is None
    campaign = Campaign(chosen, reason if own else lambda layer, found: None)
    try:
        if own and options.engine == "both":
            drop_unusable(campaign)
        print(f"seed {options.seed}; natively against {', '.join(side.name for side in campaign.layers)}; "
              f"calls of {', '.join(options.groups)}", flush=True)
        progress = Progress(sys.stderr, campaign, options.seconds)
        def report(finding: Finding) -> None:
            name = write_reproducers(finding, chosen[finding.layers[0]], options.output, len(campaign.findings))
            print(f"{finding.layers[0]}: {finding.difference}  ({name}.py, .c)", flush=True)

        rounds(campaign, options.groups, options.seconds, options.seed, progress, report)
        progress.clear()
    finally:
        campaign.close()
    tally = campaign.tally
    expected = sum(tally.expected.values())
    print(f"{tally.programs} programs with {tally.calls} calls; {tally.asleep} slept on natively; "
          f"{expected} showed a known difference; {tally.unsteady} differences did not show again")
    for side in campaign.layers:
        if side.hides_files:
            print(f"{side.name}: what was left behind was not compared: the layer keeps files to itself")
    counts = sorted(campaign.findings.values(), key=lambda finding: -finding.count)
    print(f"{len(counts)} divergences" + (", by how often they were met:" if counts else ""))
    for finding in counts:
        print(f"{finding.count:6}  {', '.join(finding.layers)}: {finding.difference.call}: {finding.difference.kind}")
    return 1 if campaign.findings else 0


def drop_unusable(campaign: Campaign) -> None:
    """Without ptrace, fuzz the other engine."""
    usable: list[Side] = []
    for side in campaign.layers:
        try:
            side.start()
            usable.append(side)
        except FuzzError as error:
            print(f"not fuzzed: {error}", file=sys.stderr)
    if not usable:
        raise FuzzError("fuzz: no engine works here; see pylx doctor")
    campaign.layers = usable
