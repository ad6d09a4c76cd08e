"""Facts about other systems, from the tables in `data/` (each names its source in its first line)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    Row = dict[str, str]

DATA = Path(__file__).parent / "data"


@cache
def table(name: str) -> list[Row]:
    """The rows of one table: lines of tab-separated values under a line of column names; `#` starts a comment."""
    lines = [line for line in (DATA / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
             if line and not line.startswith("#")]
    columns = lines[0].split("\t")
    return [dict(zip(columns, line.split("\t"), strict=True)) for line in lines[1:]]


def source(name: str) -> str:
    """What a table's first line says about where it is from."""
    with (DATA / f"{name}.tsv").open(encoding="utf-8") as file:
        return file.readline().lstrip("# ").rstrip("\n")


@cache
def by(name: str, column: str) -> dict[str, Row]:
    return {row[column]: row for row in table(name)}


@cache
def grouped(name: str, column: str) -> dict[str, list[Row]]:
    out: dict[str, list[Row]] = {}
    for row in table(name):
        out.setdefault(row[column], []).append(row)
    return out


@cache
def supported_calls(system: str) -> frozenset[str]:
    """The calls that one of Loupe's systems (2023) supports."""
    row = by("os_support", "system")[system]
    return frozenset(row["syscalls"].split(","))


SYSTEMS = {"gvisor": "Gvisor", "freebsd": "Freebsd", "fuchsia": "Fuchsia", "graphene": "Graphene", "osv": "Osv",
           "unikraft": "Unikraft", "kerla": "Kerla", "browsix": "Browsix"}
"""How reports name the systems -> how Loupe does."""

LISTS_END = (6, 4)
"""The Linux version of the time of Loupe's lists: of later calls they say nothing."""


def wsl1_status(name: str) -> str:
    """implemented, partial, stub (accepted without effect), unimplemented or `never listed`."""
    row = by("wsl1_calls", "name").get(name)
    if row is None or row["final_status"].startswith("not listed"):
        return "never listed"
    return row["final_status"].partition(" (")[0]


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


@cache
def gaps_of(name: str) -> list[Row]:
    """The gaps of WSL 1 that name this call in their interfaces."""
    families = {"mq_": "mq_*", "shm": "shm*"}
    return [row for row in table("wsl1_gaps")
            if _names(row["linux syscalls/interfaces involved"], name)
            or any(name.startswith(start) and f"{family} family" in row["linux syscalls/interfaces involved"]
                   for start, family in families.items())]


@cache
def results_of(name: str) -> list[Row]:
    """What was seen on WSL 1 of this call, by arguments."""
    return [row for row in table("wsl1_results") if _names(row["operation"], name)]


ALIASES = {"openat": "open", "creat": "open", "renameat": "rename", "unlinkat": "unlink", "recvfrom": "recv",
           "recvmsg": "recv", "truncate": "ftruncate", "mknodat": "mknod", "inotify_add_watch": "inotify"}
"""Calls of which the facts speak under another name."""


WORDS = ("open", "close", "time", "sync", "link", "access", "read", "write", "select", "accept", "pause", "exit",
         "kill", "bind", "connect", "listen", "send", "pipe", "mount", "rename", "shutdown", "splice", "security",
         "fork", "clone", "socket", "poll")
"""Calls whose names are words: only where arguments or a list of calls follow, a call is meant."""
CALLED = r"(?=[(/|,]| ->)"


def _names(text: str, name: str) -> bool:
    """Whether a text speaks of a call: as a word, `unshare/clone(...)` too, but not as a part of a path."""
    import re
    text = re.sub(r"(?<![\w)])/[\w/<>.*-]+", " ", text)
    word = rf"(?<!\w){re.escape(name)}(?!\w){CALLED if name in WORDS else ''}"
    alias = ALIASES.get(name)
    return bool(re.search(word, text)) or (alias is not None and bool(re.search(rf"(?<!\w){alias}\(", text)))


LTP_BUILDS = ("16251", "16273")
LTP_NAMES = {"posix_fadvise": "fadvise64", "waitpid": "wait4", "sigqueue": "rt_sigqueueinfo", "stime": "settimeofday",
             "recv": "recvfrom", "send": "sendto", "umount": "umount2", "timer_getoverrun": "timer_getoverrun"}
"""How tests of the Linux Test Project name calls that the C library has under another name."""


@cache
def ltp_calls() -> dict[str, tuple[str, ...]]:
    """Call -> its tests in the Linux Test Project (as WSL 1's logs list them)."""
    import re
    names = {row["name"]: row["name"] for row in table("wsl1_calls")} | LTP_NAMES
    tests: dict[str, list[str]] = {}
    for row in table("wsl1_ltp"):
        match = re.fullmatch(r"(.+?)_?\d\d(?:_64)?", row["test"])
        call = names.get(match[1]) if match is not None else None
        if call is not None:
            tests.setdefault(call, []).append(row["test"])
    return {call: tuple(found) for call, found in tests.items()}


def ltp_of(name: str, build: str = LTP_BUILDS[-1]) -> dict[str, str]:
    """Test -> result on WSL 1, of those that ran."""
    results = by("wsl1_ltp", "test")
    return {test: results[test][build] for test in ltp_calls().get(name, ())
            if results[test][build] not in ("-", "NOTRUN")}
