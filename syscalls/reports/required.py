"""`pylx coverage --required`: which calls a test command cannot do without, found by running it again and again.

Each call that the command makes is once stubbed and once faked (interpose.py); the command succeeds when it ends with
status 0, and with `same_output` also prints what it printed.  What works neither way is required.  At the end all that
was found dispensable is answered together, since two calls may stand in for each other.
"""

from __future__ import annotations

from syscalls.reports import facts
from syscalls.reports.interpose import FAKE, STUB
from syscalls.reports.progress import Progress
from syscalls.reports.text import columns, plural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Answers = dict[str, str]
    Run = Callable[[Answers, int], "Outcome"]
    """Runs the command with these answers; the number tells runs apart that go on side by side."""

REQUIRED, STUBBABLE, FAKEABLE, EITHER = "required", "stubbable", "fakeable", "either way"
WORDS = {REQUIRED: "works neither stubbed nor faked", STUBBABLE: "works with ENOSYS only",
         FAKEABLE: "works with success without effect only", EITHER: "works both ways"}


class Outcome:
    """How one run ended."""

    __slots__ = ("how", "ns", "output", "status")

    def __init__(self, status: int | None, output: bytes, ns: int) -> None:
        self.status = status
        """As subprocess has it, negative for a death by signal; None for a run that was ended when its time was up."""
        self.output = output
        self.ns = ns
        if status is None:
            self.how = "hangs"
        elif status < 0:
            self.how = f"killed by signal {-status}"
        else:
            self.how = f"exit status {status}"


class Unfit(Exception):
    """The command cannot be judged, in words."""


def judge(run: Run, calls: list[dict[str, Any]], same_output: bool, jobs: int) -> dict[str, Any]:
    """Stub and fake each of `calls` (of a run report) in turn.  Unfit when the command fails by itself."""
    first = run({}, 0)
    if first.status != 0:
        raise Unfit(f"the command by itself does not succeed: {first.how}")
    jobs, beside = side_by_side(run, first, same_output, jobs)

    def works(outcome: Outcome) -> bool:
        return outcome.status == 0 and (not same_output or outcome.output == first.output)

    def told(outcome: Outcome) -> dict[str, Any]:
        how = outcome.how if outcome.status != 0 or works(outcome) else "other output"
        return {"works": works(outcome), "how": how, "ns": outcome.ns}

    tries = [(call["name"], how) for call in calls for how in (STUB, FAKE)]
    outcomes: dict[tuple[str, str], Outcome] = {}
    progress = Progress("stubbing and faking", len(tries))
    from concurrent.futures import ThreadPoolExecutor, as_completed
    with ThreadPoolExecutor(jobs) as pool:
        try:
            waiting = {pool.submit(run, {name: how}, number): (name, how)
                       for number, (name, how) in enumerate(tries, 1)}
            for future in as_completed(waiting):
                outcomes[waiting[future]] = future.result()
                progress.step("{1} {0}".format(*waiting[future]))
        finally:
            pool.shutdown(cancel_futures=True)
            progress.done()
    rows = []
    answers: Answers = {}
    for call in calls:
        name = call["name"]
        stub, fake = told(outcomes[name, STUB]), told(outcomes[name, FAKE])
        verdict = {(True, True): EITHER, (True, False): STUBBABLE, (False, True): FAKEABLE,
                   (False, False): REQUIRED}[stub["works"], fake["works"]]
        if verdict != REQUIRED:
            answers[name] = STUB if stub["works"] else FAKE
        loupe = facts.by("loupe_calls", "name").get(name)
        rows.append({"number": call["number"], "name": name, "count": call["count"], "level": call["level"],
                     "verdict": verdict, "stub": stub, "fake": fake,
                     "loupe": {key: int(loupe[key]) for key in ("used", "required")} if loupe else None})
    together = run(answers, len(tries) + 1) if answers else first
    return {
        "jobs": jobs, "beside": beside, "same_output": same_output, "alone_ns": first.ns,
        "calls": rows,
        "counts": {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in WORDS},
        "together": {**told(together), "answers": answers},
        "runs": len(tries) + 2,
    }


def side_by_side(run: Run, first: Outcome, same_output: bool, jobs: int) -> tuple[int, str]:
    """How many runs may go on at once: 1, with the reason, for a command that cannot run beside itself."""
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(max(2, jobs)) as pool:
        outcomes = list(pool.map(lambda number: run({}, number), range(-max(2, jobs), 0))) if jobs > 1 else [run({}, 0)]
    if same_output and any(outcome.status == 0 and outcome.output != first.output for outcome in outcomes):
        raise Unfit("its output is not the same each time, so that equal output cannot be asked for")
    if all(outcome.status == 0 for outcome in outcomes):
        return jobs, ""
    return 1, f"one run at a time: beside itself the command ended with {outcomes[0].how}"


# --- text

def text(report: dict[str, Any]) -> str:
    counts = report["counts"]
    lines = [f"calls that {' '.join(report['command'])} needs: {counts[REQUIRED]} of {len(report['calls'])} "
             f"({plural(report['runs'], 'run')}, {report['jobs']} at a time; works means exit status 0"
             f"{' and the same output' if report['same_output'] else ''})"]
    if report["beside"]:
        lines.append(report["beside"])
    if report["programs"]:
        lines.append(f"only calls of {', '.join(report['programs'])} were answered")
    lines.append("")
    cells = [["calls", "name", "level", "verdict", "with ENOSYS", "with success, no effect", "Loupe: required by"]]
    order = list(WORDS)
    for row in sorted(report["calls"], key=lambda row: (order.index(row["verdict"]), -row["count"])):
        loupe = f"{row['loupe']['required']} of {row['loupe']['used']}" if row["loupe"] else ""
        cells.append([f"{row['count']:,}", row["name"], row["level"], row["verdict"], shown(row["stub"]),
                      shown(row["fake"]), loupe])
    lines += [*columns(cells, right=(0,)), ""]
    lines += [f"{verdict}: {counts[verdict]} ({words})" for verdict, words in WORDS.items()]
    together = report["together"]
    if together["answers"]:
        stubs = sum(how == STUB for how in together["answers"].values())
        lines.append(f"all together ({stubs} stubbed, {len(together['answers']) - stubs} faked): "
                     f"{'works' if together['works'] else 'does not work: ' + together['how']}")
    return "\n".join(lines) + "\n"


def shown(outcome: dict[str, Any]) -> str:
    return "works" if outcome["works"] else str(outcome["how"])
