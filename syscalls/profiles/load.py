"""Profiles by name: wsl1, wsl1@BUILD, linux-VERSION, or a file of rules.

`wsl1` stands on what `linux-4.4` refuses (the version it claimed), with WSL 1's own answers before that.  Facts come
from the tables of `syscalls/reports/data`, which the reports' verdicts read, too.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from syscalls.profiles.paths import PathRule
from syscalls.profiles.profile import Profile
from syscalls.profiles.rules import Rule, parse
from syscalls.reports import facts
from syscalls.reports.facts import version
from syscalls.table import TABLE, Syscall

WSL1_BUILD = 19041
"""Windows 10 2004 to 22H2, the build that most machines with WSL 1 had."""
FIRST_BUILD, LAST_BUILD = 14328, 30000
WSL1_VERSIONS = {
    16299: "#1-Microsoft Wed Dec 31 14:42:53 PST 2014", 17763: "#379-Microsoft Wed Mar 06 19:16:00 PST 2019",
    19041: "#488-Microsoft Mon Sep 01 13:43:00 PST 2020", 22000: "#653-Microsoft Wed Apr 27 16:06:00 PST 2022"}
"""uname -v of builds, as users showed it (WSL#4427, #7569, #8777); others show that of the last before them."""
CLAIMED = (4, 4)
"""The Linux that WSL 1 claimed to be."""
WSL1_BANNER = b"(Microsoft@Microsoft.com) (gcc version 5.4.0 (GCC) )"
COLUMNS = {"call", "when", "answer", "title", "reason", "source", "effect", "builds"}
KEYS = ("base", "title", "release", "version")


class NoSuchProfile(Exception):
    """In words for the user."""


def load(name: str) -> Profile:
    """NoSuchProfile when there is none of that name, or the file is wrong."""
    if name == "wsl1" or name.startswith("wsl1@"):
        return wsl1(_build(name))
    if name.startswith("linux-"):
        return linux(name)
    if "/" in name or name.endswith(".tsv"):
        return from_file(name)
    raise NoSuchProfile(f"{name}: the profiles are wsl1, wsl1@BUILD (of Windows), linux-VERSION, and files of rules "
                        "(FILE.tsv)")


def calls() -> dict[str, Syscall]:
    from syscalls.calls import load as load_calls
    load_calls()
    return {record.name: record for record in TABLE if record is not None}


# --- Linux

def linux(name: str) -> Profile:
    wanted = name.removeprefix("linux-")
    if not all(part.isdigit() for part in wanted.split(".")) or not 2 <= len(version(wanted)) <= 3:
        raise NoSuchProfile(f"{name}: a version such as linux-4.4 is wanted")
    out = Profile(name, f"Linux {wanted}")
    linux = version(wanted)
    # uname(2) of all Linux since 3.0 has three numbers.
    out.release = f"{wanted}.0-pylx".encode() if len(linux) == 2 else f"{wanted}-pylx".encode()
    out.version = b"#1 SMP pylx as Linux " + wanted.encode()
    out.banner = b"(pylx) (Python)"
    out.sources = [partial(newer_call, linux), partial(newer_flags, linux)]
    return out


def newer_call(linux: tuple[int, ...], record: Syscall) -> list[Rule]:
    """A rule for a call that came with a later Linux."""
    if version(record.since) <= linux:
        return []
    return [Rule(record, {"call": record.name, "when": "-", "answer": "ENOSYS", "reason": _newer(record.since, linux),
                          "effect": _effect(record.name)})]


def newer_flags(linux: tuple[int, ...], record: Syscall) -> list[Rule]:
    """Rules for flags that came with a later Linux."""
    return [Rule(record, row | {"reason": _newer(row["since"], linux)})
            for row in facts.grouped("linux_since", "call").get(record.name, ()) if version(row["since"]) > linux]


def _newer(since: str, linux: tuple[int, ...]) -> str:
    return f"came with Linux {since}, and this one is {'.'.join(map(str, linux))}"


def _effect(name: str) -> str:
    """What becomes of a program that lacks a call."""
    fallback = facts.by("fallbacks", "name").get(name)
    return fallback["effect"] if fallback is not None else "decides"


# --- WSL 1

def _build(name: str) -> int:
    text = name.partition("@")[2]
    if not text and "@" not in name:
        return WSL1_BUILD
    if not text.isdigit() or not FIRST_BUILD <= int(text) <= LAST_BUILD:
        raise NoSuchProfile(f"{name}: a build of Windows from {FIRST_BUILD} is wanted, such as wsl1@{WSL1_BUILD}")
    return int(text)


def wsl1(build: int = WSL1_BUILD) -> Profile:
    out = Profile("wsl1" if build == WSL1_BUILD else f"wsl1@{build}", f"WSL 1 (Windows build {build})")
    # The release shows the build since 17xxx; 3.4.0 and 4.4.0-43 before (WSL#1090, #3410; release notes 14986).
    out.release = f"4.4.0-{build}-Microsoft".encode() if build >= 17000 else b"4.4.0-43-Microsoft"
    shown = max((number for number in WSL1_VERSIONS if number <= build), default=16299)
    out.version = WSL1_VERSIONS[shown].encode()
    out.banner = WSL1_BANNER
    out.sources = [partial(wsl1_of, build), partial(newer_flags, CLAIMED)]
    out.paths = [PathRule(row) for row in facts.table("wsl1_paths")]
    # WSL#4529, #3451; WslFs came with 18305 for what is installed since (release notes).
    out.root_type, out.root_magic = b"wslfs" if build >= 18305 else b"lxfs", 0x53464846
    gap = facts.by("wsl1_gaps", "feature")["Core dumps (missing)"]
    out.no_core = PathRule({"prefix": "core dump", "result": "no file, though the status says so", "answer": "-",
                            "reason": gap["why on NT"], "source": gap["source"], "effect": "differs"})
    return out


def wsl1_of(build: int, record: Syscall) -> list[Rule]:
    """What a build of WSL 1 answered otherwise of a call; the last rule is for a call that it did not have."""
    rules = [rule for rule in _own_rules(record) if rule.in_force(build)]
    since = _came_later(record.name)
    missing = facts.wsl1_status(record.name) in ("unimplemented", "never listed") or build < since
    if missing and not any(rule.when == "-" for rule in rules):
        rule = Rule(record, {"call": record.name, "when": "-", "answer": "ENOSYS", "effect": _effect(record.name)})
        rule.why = partial(why_missing, record, since)
        rules.append(rule)
    return rules


def _own_rules(record: Syscall) -> list[Rule]:
    return [Rule(record, row) for row in facts.grouped("wsl1_rules", "call").get(record.name, ())]


@cache
def all_wsl1_rules(call: str) -> list[Rule]:
    """What WSL 1 answered otherwise of a call, at any build, by arguments and state: for the reports."""
    return _own_rules(calls()[call])


@cache
def wsl1_rules(call: str) -> list[Rule]:
    """Those of the build that `wsl1` is."""
    return [rule for rule in all_wsl1_rules(call) if rule.in_force(WSL1_BUILD)]


def _came_later(name: str) -> int:
    """The build that implemented a call, 0 for those of the first list (or none)."""
    row = facts.by("wsl1_calls", "name").get(name)
    if row is None:
        return 0
    change, _, build = row["later_change"].partition("@")
    if change in ("implemented", "implied") and row["status_build_15014"] in ("unimplemented", "-"):
        return int(build)
    return 0


def why_missing(record: Syscall, since: int = 0) -> tuple[str, str]:
    """Reason and source for a call that WSL 1 did not have."""
    gaps = facts.gaps_of(record.name)
    listed = facts.by("wsl1_calls", "name").get(record.name)
    evidence = listed["counter_evidence"] if listed is not None else "-"
    if since:
        return f"not before build {since}", "release notes"
    if gaps:
        return gaps[0]["why on NT"], gaps[0]["source"]
    if version(record.since) > CLAIMED:
        return _newer(record.since, CLAIMED) + "; Microsoft's list ended in 2017", ""
    return "never on Microsoft's list", evidence if evidence not in ("-", "never listed") else ""


def watching() -> Profile:
    """WSL 1's answers that depend on strings or on the state of the kernel, to be watched for: what the values of
    arguments alone tell, reports find out themselves."""
    out = Profile("wsl1", "WSL 1")
    out.sources = [lambda record: [rule for rule in _own_rules(record) if rule.live and rule.in_force(WSL1_BUILD)]]
    return out


# --- files

def from_file(path: str) -> Profile:
    """Rules of a file: a line of column names (call, when and answer at least), a rule a line; `call` may be a path of
    /proc, /sys or /dev, with the answers ENOENT and empty.  Lines `# base: PROFILE`, `# title:`, `# release:` and
    `# version:` before it say what it stands on and shows."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NoSuchProfile(f"{path}: {getattr(error, 'strerror', None) or 'not a text file'}") from None
    said: dict[str, str] = {}
    lines = []
    for line in text.splitlines():
        if line.startswith("#"):
            key, colon, value = line.lstrip("# ").partition(":")
            if colon and key in KEYS:
                said[key] = value.strip()
        elif line.strip():
            lines.append(line.split("\t"))
    if not lines or not {"call", "when", "answer"} <= set(lines[0]) or not set(lines[0]) <= COLUMNS:
        raise NoSuchProfile(f"{path}: its first line has to name columns, tabs between them: call, when, answer, and "
                            "of title, reason, source, effect, builds those that it has")
    out = load(said["base"]) if "base" in said else Profile(path, "")
    name = path.rpartition("/")[2].removesuffix(".tsv")
    out.name, out.title = name, said.get("title", name)
    if "release" in said:
        out.release = said["release"].encode()
        out.version = said.get("version", "#1").encode()
        out.banner = out.banner or b"(pylx) (Python)"
    rows = []
    for number, values in enumerate(lines[1:], 1):
        if len(values) != len(lines[0]):
            raise NoSuchProfile(f"{path}: rule {number} has {len(values)} columns, not {len(lines[0])}")
        rows.append(dict(zip(lines[0], values, strict=True)))
    try:
        rules = parse([row for row in rows if not row["call"].startswith("/")], calls())
        paths = [PathRule({"prefix": row["call"], "result": row["answer"], "reason": "", "source": "", **row})
                 for row in rows if row["call"].startswith("/")]
    except (ValueError, KeyError) as error:
        raise NoSuchProfile(f"{path}: {error}") from None
    out.sources.insert(0, lambda record: [rule for rule in rules if rule.call == record.name])
    out.paths = [*paths, *out.paths]
    return out


__all__ = ["NoSuchProfile", "all_wsl1_rules", "calls", "load", "watching", "wsl1", "wsl1_rules"]
