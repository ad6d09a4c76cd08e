"""The table as rows: one record a call, with what hosts have for it and what others did."""

from __future__ import annotations

from syscalls.reports import facts, loupe
from syscalls.table import TABLE
from translator.hosts.base import PRIMITIVES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from syscalls.table import Syscall
    from translator.hosts.base import Capability

    Hosts = dict[str, dict[str, Capability]]
    """Host name -> what it says of each primitive."""

LEVELS = ("FULL", "PARTIAL", "FAKE", "STUB", "REFUSED")
HOST_LEVELS = ("own", "native", "bridged", "absent", "unserved")
WSL1_LEVELS = ("implemented", "partial", "stub", "unimplemented", "never listed")
THEMES = {
    "files": "open io path stat dir attr xattr storage lock descriptors fcntl transfer mount",
    "memory": "memory numa shm",
    "processes": "process exec ids limits sched prctl ptrace pidfd",
    "waiting": "poll epoll eventfds futex aio inotify",
    "network": "net",
    "signals": "signal",
    "time": "time",
    "ipc": "ipc mqueue",
}
"""What calls are about, by the modules that serve them; the rest is `system`."""
THEME_OF = {module: theme for theme, modules in THEMES.items() for module in modules.split()}
LEVEL_WORDS = {
    "FULL": "as Linux does",
    "PARTIAL": "as Linux does but for what the note says",
    "FAKE": "accepted without effect, which is safe",
    "STUB": "refused as a Linux built without it does",
    "REFUSED": "refused on purpose",
}


def theme(record: Syscall) -> str:
    return THEME_OF.get(record.handler.__module__.rpartition(".")[2], "system")


def nt_host() -> dict[str, Capability]:
    """What an NT host would have: data, not code."""
    from translator.hosts.base import Capability
    levels = {"native": "native", "bridged": "bridged", "absent": "absent"}
    return {row["primitive"]: Capability(levels[row["nt_level"]], row["nt_note"])  # type: ignore[arg-type]
            for row in facts.table("primitives")}


def all_hosts(hosts: Hosts) -> Hosts:
    return {**hosts, "nt": nt_host()}


def primitives(hosts: Hosts) -> list[dict[str, Any]]:
    """Every primitive of the host layer with its level on each host."""
    everywhere = all_hosts(hosts)
    return [{"primitive": row["primitive"], "meaning": PRIMITIVES[row["primitive"]], "nt_source": row["source"],
             "hosts": {name: {"level": table[row["primitive"]].level, "note": table[row["primitive"]].note}
                       for name, table in everywhere.items()},
             "calls": [record.name for record in TABLE if record is not None and row["primitive"] in record.needs]}
            for row in facts.table("primitives")]


def host_level(record: Syscall, table: dict[str, Capability]) -> dict[str, str]:
    """A call on a host: `unserved` on none, `own` needs nothing of it, `native` and `absent` hold for all it needs,
    `bridged` is between; the note says of each primitive that is not native how or why."""
    needs = record.needs
    if record.support.level in ("STUB", "REFUSED"):
        return {"level": "unserved", "note": "not served on any host"}
    if not needs:
        return {"level": "own", "note": "the kernel's own: nothing is asked of the host"}
    levels = [table[name].level for name in needs]
    level = levels[0] if all(other == levels[0] for other in levels) else "bridged"
    notes = [f"{name} {table[name].level}{': ' if table[name].note else ''}{table[name].note}"
             for name in needs if table[name].level != "native"]
    return {"level": level, "note": "; ".join(notes)}


def row(record: Syscall, everywhere: Hosts) -> dict[str, Any]:
    name = record.name
    support = record.support
    loupe = facts.by("loupe_calls", "name").get(name)
    return {
        "number": record.number,
        "name": name,
        "group": record.handler.__module__.rpartition(".")[2],
        "theme": theme(record),
        "args": [f"{parameter}: {kind}" for parameter, kind
                 in zip(record.params, record.argument_kinds(), strict=True)],
        "level": support.level,
        "errno": support.errno,
        "note": support.note,
        "since": record.since,
        "sleeps": record.is_async,
        "unsupported": record.unsupported,
        "needs": list(record.needs),
        "hosts": {host: host_level(record, table) for host, table in everywhere.items()},
        "wsl1": facts.wsl1_status(name),
        "others": [system for system, known in facts.SYSTEMS.items() if name in facts.supported_calls(known)],
        "loupe": {key: int(loupe[key]) for key in ("used", "required", "fakeable", "stubbable")} if loupe else None,
    }


def load_rows(hosts: Hosts) -> list[dict[str, Any]]:
    """Every declared call, in the order of numbers."""
    from syscalls.calls import load
    load()
    everywhere = all_hosts(hosts)
    return [row(record, everywhere) for record in TABLE if record is not None]


def counts(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """How many calls of each level, on each host, on WSL 1 and on other systems."""
    def of(values: list[str], order: tuple[str, ...]) -> dict[str, int]:
        return {value: values.count(value) for value in order if value in values}

    out = {"level": of([row["level"] for row in rows], LEVELS),
           "wsl1": of([row["wsl1"] for row in rows], WSL1_LEVELS)}
    for host in rows[0]["hosts"]:
        out[host] = of([row["hosts"][host]["level"] for row in rows], HOST_LEVELS)
    out["others"] = {system: sum(system in row["others"] for row in rows) for system in facts.SYSTEMS}
    return out


def document(hosts: Hosts) -> dict[str, Any]:
    """The report of the table as one JSON object."""
    rows = load_rows(hosts)
    return {
        "kind": "table",
        "calls": rows,
        "counts": counts(rows),
        "primitives": primitives(hosts),
        "loupe": loupe.summary(rows),
        "sources": {name: facts.source(name) for name in ("wsl1_calls", "os_support", "loupe_calls", "primitives")},
    }
