"""Each known gap of WSL 1, and each result seen on it, is in the profile, or it is said here why it is not."""

from __future__ import annotations

from syscalls.profiles.load import calls, wsl1
from syscalls.reports import facts
from syscalls.reports.explain import issues

CALLS = calls()
PROFILE = wsl1()
REFUSED = {name for name in CALLS
           if any(rule.when == "-" and rule.kind == "refuse" for rule in PROFILE.rules_of(CALLS[name]))}
CITED = {token for row in [*facts.table("wsl1_rules"), *facts.table("wsl1_paths")] for token in issues(row["source"])}

SAME_HERE = "pylx answers so with or without the profile"
DRVFS = "about Windows volumes under /mnt (drvfs), of which there are none here"
SPEED = "about time or lifetime, not about answers"
BY_RULE = "there is a rule, which cites another source"
FIXED = "about builds before the profile's"
RESULTS = {
    "open(/dev/net/tun)": BY_RULE,
    "jump to 0xffffffffff600000": SAME_HERE,
    "second listen() on an AF_UNIX socket": BY_RULE,
    "mknod(S_IFIFO) on DrvFs without metadata": DRVFS,
}
GAPS = {
    "PID / IPC / mqueue namespaces (partial)": SAME_HERE + ": EPERM",
    "setns (stub)": BY_RULE,
    "Mount namespaces (partial)": "pylx has one namespace of mounts: EPERM",
    "systemd as PID 1 (missing)": "what it needs are gaps of their own",
    "Legacy vsyscall page (missing)": SAME_HERE,
    "Overcommit model": FIXED,
    "Huge sparse reservations slow (fixed 17063)": SPEED,
    "fork and commit charge": FIXED,
    "Huge pages, THP, KSM, OOM control (missing)": BY_RULE,
    "remap_file_pages, vmsplice, readahead (missing)": "they are refused; the row names them by `all`",
    "signalfd (missing until 17101)": FIXED + "; wsl1@17100 has none",
    "Daemon lifetime": SPEED,
    "Unix socket details": BY_RULE + "; EPOLLET that loses events is not imitated",
    "Unlink of an open file on DrvFs (fixed 16184)": DRVFS,
    "Unlink of an open file on VolFs (emulated)": "guests do not see it",
    "inotify across the boundary": "there is no Windows side here; OPEN and CLOSE events are not left out",
    "/proc/filesystems and other fake procfs text": SAME_HERE + ": it lists more than can be mounted",
    "Small-file performance": SPEED,
    "DrvFs symbolic links": DRVFS,
    "DrvFs case sensitivity": DRVFS,
    "DrvFs modes and owners": DRVFS,
    "Special files on DrvFs": DRVFS,
    "VolFs files edited from Windows": DRVFS,
    "Directory link count, names, EA names": DRVFS,
    "Netlink families (subset)": BY_RULE,
    "SO_REUSEADDR / TIME_WAIT semantics": "a rule can refuse, but not serve what the host's stack refuses",
    "AF_VSOCK (missing)": BY_RULE,
}


def covered(text: str, source: str) -> bool:
    """A rule or a missing file rests on the same issue or test, or a call that it names is refused."""
    return bool(issues(source) & CITED) or any(facts._names(text, name) for name in REFUSED)


def test_every_result_is_given_or_explained() -> None:
    rows = facts.table("wsl1_results")
    missing = {row["operation"] for row in rows if not covered(row["operation"], row["source"])}
    assert missing == set(RESULTS)
    assert len(rows) - len(missing) > 45


def test_every_gap_is_there_or_explained() -> None:
    rows = facts.table("wsl1_gaps")
    missing = {row["feature"] for row in rows
               if not covered(row["linux syscalls/interfaces involved"], row["source"])}
    assert missing == set(GAPS)
    assert len(rows) - len(missing) > 70


def test_what_is_said_to_have_a_rule_has_one() -> None:
    def answers(call: str) -> set[str]:
        return {f"{rule.title} {rule.answer}".strip() for rule in PROFILE.rules_of(CALLS[call])}

    assert "again, on AF_UNIX EADDRINUSE" in answers("listen")
    assert "differs" in answers("setns")
    assert {"AF_VSOCK EAFNOSUPPORT", "other netlink families EPROTONOSUPPORT"} <= answers("socket")
    assert "MAP_HUGETLB EOPNOTSUPP" in answers("mmap")
    assert {"remap_file_pages", "vmsplice", "readahead"} <= REFUSED
    assert any(rule.path == "/dev/net/tun" for rule in PROFILE.paths)
    assert any(rule.when == "-" for rule in wsl1(17100).rules_of(CALLS["signalfd"]))
