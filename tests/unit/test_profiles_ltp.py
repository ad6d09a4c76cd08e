"""The profile `wsl1` against the Linux Test Project's results on WSL 1 itself (LTP_Results of MicrosoftDocs/WSL): what
passed there cannot be refused here, what is served here cannot have failed throughout.  Exceptions are explained."""

from __future__ import annotations

import re

from syscalls.profiles.load import calls, wsl1
from syscalls.profiles.rules import REFUSE, Rule
from syscalls.reports import facts

CALLS = calls()
BUILD = 16273
PROFILE = wsl1(BUILD)

REFUSED_BUT_PASSES = {
    "vhangup": "vhangup02 passes in every log, vhangup01 in none, and Microsoft's list says unimplemented",
}
SERVED_BUT_NONE_PASSES = {
    "ioctl": "the one test opens /dev/net/tun first",
    "recvfrom": "each test has many cases, and fails at one: MSG_ERRQUEUE gives EINVAL, for which there is a rule",
    "personality": "personality01 fails for all but PER_LINUX, for which there is a rule",
    "umount2": "not applicable: they mount a block device",
    "set_thread_area": "not applicable: for 32-bit programs",
    "clock_getres": "one case each: clocks of CPU time are not supported, for which there is a rule",
    "clock_nanosleep": "one case fails: CLOCK_REALTIME, for which there is a rule",
    "utimes": "not applicable: it mounts a block device",
    "utimensat": "not applicable: it needs chattr",
    "renameat": "not applicable: it mounts a block device",
    "get_robust_list": "four of its five cases pass",
    "eventfd": "not applicable: it was built without libaio",
}
NOT_IMITATED = {
    "msync03": "it maps with MAP_LOCKED, for which there is a rule",
    "fork13": "it writes /proc/sys/kernel/pid_max; no later issue says that this stayed",
    "fork14": "it maps 16 GiB in pieces: what NT charges when memory is mapped (overcommit) is not modelled",
    "waitpid11": "waiting for a process group lost children: how, the log does not say",
    "waitpid12": "as waitpid11",
    "waitpid13": "as waitpid11",
    "creat07": "a running program could be written to (no ETXTBSY); a rule can refuse, but not serve what was refused",
    "chmod06": "it mounts a block device",
    "getrusage04": "CPU time in ticks of 15.6 ms: a matter of time, not of answers",
    "setrlimit01": "RLIMIT_FSIZE was not enforced",
    "setxattr03": "it sets FS_IOC_SETFLAGS first, for which there is a rule",
    "get_robust_list01": "ESRCH for another user's process; Linux gives EPERM",
}


def whole(name: str) -> Rule | None:
    return next((rule for rule in PROFILE.rules_of(CALLS[name]) if rule.when == "-"), None)


def test_most_calls_have_results() -> None:
    tested = [name for name in CALLS if facts.ltp_of(name)]
    assert len(tested) > 200
    assert facts.ltp_of("renameat2") == {"renameat201": "CONF", "renameat202": "CONF"}
    assert set(facts.ltp_of("fadvise64")) > {"posix_fadvise01", "posix_fadvise02_64"}


def test_what_passed_on_wsl1_is_served() -> None:
    wrong = {name: passed for name in CALLS
             if (passed := [test for test, result in facts.ltp_of(name).items() if result == "PASS"])
             and (rule := whole(name)) is not None and rule.kind == REFUSE}
    assert set(wrong) == set(REFUSED_BUT_PASSES), wrong


def test_what_never_passed_on_wsl1_is_refused() -> None:
    wrong = {name: results for name in CALLS
             if (results := facts.ltp_of(name)) and "PASS" not in results.values() and whole(name) is None}
    assert set(wrong) == set(SERVED_BUT_NONE_PASSES), wrong
    for name, reason in SERVED_BUT_NONE_PASSES.items():
        if "there is a rule" in reason:
            assert PROFILE.rules_of(CALLS[name]), name


def test_each_failure_has_a_rule_or_an_explanation() -> None:
    unexplained = {test for name in CALLS for test, result in facts.ltp_of(name).items()
                   if result == "FAIL" and not PROFILE.rules_of(CALLS[name])}
    assert unexplained == set(NOT_IMITATED)


def test_rules_that_rest_on_a_test_rest_on_one_that_did_not_pass() -> None:
    results = facts.by("wsl1_ltp", "test")
    seen = 0
    for row in [*facts.table("wsl1_rules"), *facts.table("wsl1_paths")]:
        for tests, build in re.findall(r"LTP ([\w, ]+?) on (\d+)", row["source"]):
            for test in tests.split(", "):
                seen += 1
                assert results[test][build] in ("FAIL", "CONF"), f"{test} on {build}"
    assert seen > 25


def test_calls_that_came_between_builds() -> None:
    """A call that is said to have come with a build fails before it and passes after it."""
    results = facts.by("wsl1_ltp", "test")
    for test, build in (("preadv01", 16176), ("pwritev01", 16176), ("recvmmsg01", 15025)):
        call = test.rstrip("01")
        assert not any(rule.when == "-" for rule in wsl1(build).rules_of(CALLS[call]))
        assert any(rule.when == "-" for rule in wsl1(build - 1).rules_of(CALLS[call]))
        assert results.get(test, {"16273": "PASS"})["16273"] == "PASS"
