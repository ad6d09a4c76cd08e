"""`python -m bench.run`: workloads, starts and micro loops, natively, under pylx's engines and under its peers.

Writes docs/bench.json, docs/bench.svg and docs/bench.md (from bench/bench.md.in) when all rows are measured, or
wherever `--output` says.  Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import contenders as known
from bench import report
from bench.contenders import Contender
from bench.measure import Limits, measure
from bench.rows import rows
from bench.scratch import file_system_of, scratch_directory

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", default="", help="only rows whose name or group contains one of these, by commas")
    parser.add_argument("--contenders", default="", help="only these, by commas; a part of a name is enough; native "
                        f"always runs.  Known: {', '.join(each.name for each in known.KNOWN)}")
    parser.add_argument("--quick", action="store_true", help="one round, short loops and limits: is it all in order?")
    parser.add_argument("--directory", type=Path, help="put files there (default: a tmpfs)")
    parser.add_argument("--output", type=Path, help="directory for bench.md, bench.json and bench.svg (default: docs, "
                        "if nothing was left out; otherwise the tables are only printed)")
    return parser.parse_args()


class Progress:
    """One line that is overwritten on a terminal, and one line a step elsewhere."""

    def __call__(self, text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text[:os.get_terminal_size(2).columns - 1]}")
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")


def plotted(path: Path, *what: object) -> str:
    """Draw; the line of the page that shows it, or says what is missing."""
    try:
        from bench.plot import draw
        draw(path, *what)  # type: ignore[arg-type]
    except ImportError:
        return "(No plot: `pip install -e '.[bench]'` brings matplotlib.)"
    return f"![Ratios to native]({path.name})"


def call_costs(contenders: list[Contender], scratch: Path, say: Callable[[str], None]) -> dict[str, report.Calls]:
    """By engine, as far as both it and the micro program are there."""
    from bench.calls import measure_calls
    out = {}
    for contender in contenders:
        engine = contender.name.removeprefix("pylx ")
        if contender.name.startswith("pylx ") and " " not in engine and (scratch / "micro").exists():
            say(f"calls in the kernel, {engine}")
            out[engine] = measure_calls(engine, scratch)
    return out


def main() -> None:
    arguments = parse()
    wanted = [word for word in arguments.rows.split(",") if word]
    chosen_rows = [row for row in rows(30 if arguments.quick else 100)
                   if not wanted or any(word in row.name or word == row.group for word in wanted)]
    if not chosen_rows:
        raise SystemExit(f"no row is called {arguments.rows}")
    chosen = known.choose([word for word in arguments.contenders.split(",") if word])
    rounds = 1 if arguments.quick else arguments.rounds
    limits = Limits(20, 10) if arguments.quick else Limits(60, 14)
    progress = Progress()
    load_before, start = os.getloadavg()[0], time.monotonic()
    with scratch_directory(arguments.directory) as scratch:
        file_system = file_system_of(scratch)
        results = measure(chosen_rows, chosen, scratch, rounds, limits, progress)
        costs = call_costs(chosen, scratch, progress) if any(row.group == "micro" for row in chosen_rows) else {}
    progress.end()
    facts = {"machine": report.machine(), "date": report.today(), "rounds": rounds, "load_before": load_before,
             "peers": {each.needs: known.version(each) for each in chosen if each.needs},
             "load_after": os.getloadavg()[0], "minutes": (time.monotonic() - start) / 60, "file_system": file_system}
    for group in report.GROUPS:
        if any(row.group == group for row in chosen_rows):
            print(f"{report.table(chosen_rows, chosen, results, group)}\n")
    if costs:
        print(f"{report.calls_table(costs)}\n")
    print(f"{report.troubles(results)}\n{report.conditions(facts)}")
    output = arguments.output or (None if wanted or arguments.contenders or arguments.quick else DOCS)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "bench.json").write_text(report.as_json(chosen_rows, chosen, results, facts, costs), encoding="utf-8")
        plot = plotted(output / "bench.svg", chosen_rows, chosen, results)
        (output / "bench.md").write_text(
            report.page(HERE / "bench.md.in", chosen_rows, chosen, results, facts, costs, plot), encoding="utf-8")
        print(f"written: {output}/bench.md, bench.json, bench.svg")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
