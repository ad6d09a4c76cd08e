"""Which of Loupe's applications the levels satisfy, and which call to serve next.

An application is satisfied when all that it *requires* (what worked neither stubbed nor faked) is served, over all of
its workloads.
"""

from __future__ import annotations

from functools import cache

from syscalls.reports import facts
from syscalls.reports.text import columns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STEPS = 10
SERVED = ("FULL", "PARTIAL", "FAKE")


@cache
def applications() -> dict[str, dict[str, frozenset[str]]]:
    """Application -> what its workloads use and what they require."""
    out: dict[str, dict[str, frozenset[str]]] = {}
    for row in facts.table("loupe_workloads"):
        known = out.setdefault(row["app"], {"used": frozenset(), "required": frozenset()})
        for kind in known:
            known[kind] |= frozenset(name for name in row[kind].split(",") if name)
    return out


def systems(rows: list[dict[str, Any]]) -> dict[str, frozenset[str]]:
    """What is compared -> the calls that it serves."""
    out = {"pylx": frozenset(row["name"] for row in rows if row["level"] in SERVED),
           "pylx, FULL only": frozenset(row["name"] for row in rows if row["level"] == "FULL")}
    for host in rows[0]["hosts"]:
        out[f"pylx on {host}"] = frozenset(row["name"] for row in rows if row["level"] in SERVED
                                           and row["hosts"][host]["level"] != "absent")
    out["WSL 1"] = frozenset(row["name"] for row in rows if row["wsl1"] in ("implemented", "partial", "stub"))
    shown = {"gvisor": "gVisor", "freebsd": "FreeBSD", "fuchsia": "Fuchsia", "graphene": "Graphene", "osv": "OSv",
             "unikraft": "Unikraft", "kerla": "Kerla", "browsix": "Browsix"}
    for system, known in facts.SYSTEMS.items():
        out[shown[system]] = facts.supported_calls(known)
    return out


def lacking(served: frozenset[str], kind: str = "required") -> dict[str, frozenset[str]]:
    """The applications that are not satisfied, with what they lack."""
    return {name: missing for name, application in applications().items()
            if (missing := application[kind] - served)}


def next_calls(served: frozenset[str], steps: int = STEPS) -> list[dict[str, Any]]:
    """What to serve next, greedily: the call that satisfies most applications, where none does by itself the one that
    is the largest part of what most of them lack."""
    open_ones = lacking(served)
    out: list[dict[str, Any]] = []
    while open_ones and len(out) < steps:
        gain: dict[str, tuple[int, float, int]] = {}
        for missing in open_ones.values():
            for name in missing:
                alone, share, wanted = gain.get(name, (0, 0.0, 0))
                gain[name] = (alone + (len(missing) == 1), share + 1 / len(missing), wanted + 1)
        best = max(sorted(gain), key=lambda name: gain[name])
        satisfied = sorted(name for name, missing in open_ones.items() if missing == {best})
        open_ones = {name: rest for name, missing in open_ones.items() if (rest := missing - {best})}
        out.append({"call": best, "applications": satisfied, "wanted_by": gain[best][2],
                    "total": len(applications()) - len(open_ones)})
    return out


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The section of the table report."""
    total = len(applications())
    compared = []
    for name, served in systems(rows).items():
        missing = lacking(served)
        compared.append({"system": name, "calls": len(served), "satisfied": total - len(missing),
                         "all_used": total - len(lacking(served, "used")),
                         "next": next_calls(served),
                         "lacking": {app: sorted(calls) for app, calls in sorted(missing.items())}})
    return {"applications": total, "workloads": len(facts.table("loupe_workloads")), "systems": compared,
            "source": facts.source("loupe_workloads")}


def text(found: dict[str, Any]) -> str:
    total = found["applications"]
    cells = [["", "calls", "satisfied", f"of {total}", "all that they use"]]
    for system in found["systems"]:
        cells.append([system["system"], str(system["calls"]), str(system["satisfied"]),
                      f"{100 * system['satisfied'] // total} %", str(system["all_used"])])
    lines = [f"Loupe's {total} applications ({found['workloads']} workloads): whose required calls are all served", "",
             *columns(cells, right=(1, 2, 3, 4)), ""]
    for system in found["systems"]:
        if system["next"]:
            lines.append(f"next for {system['system']}: " + ", ".join(
                f"{step['call']} ({step['total']})" for step in system["next"][:6]))
    lines += ["", "In brackets: how many applications are satisfied when the call is served, too.", ""]
    own = found["systems"][0]
    for app, calls in own["lacking"].items():
        lines.append(f"{app} lacks {', '.join(calls)}")
    return "\n".join([*lines, f"Source: {found['source']}"]) + "\n"


def line(found: dict[str, Any]) -> str:
    """For the foot of the table."""
    own = found["systems"][0]
    following = f"; the next call to serve is {own['next'][0]['call']}" if own["next"] else ""
    return (f"Loupe: {own['satisfied']} of {found['applications']} applications have all that they require"
            f"{following} (--loupe tells more)")
