"""Profiles: the language of rules, the profiles of pylx, and their agreement with the facts they rest on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from syscalls.abi.errno import ENOSYS, EOPNOTSUPP, LinuxError
from syscalls.profiles.conditions import CONDITIONS
from syscalls.profiles.load import WSL1_BUILD, NoSuchProfile, calls, load, wsl1, wsl1_rules
from syscalls.profiles.met import Met, line, plain
from syscalls.profiles.profile import Profile, guarded, watched
from syscalls.profiles.rules import Rule, number
from syscalls.reports import facts
from syscalls.table import TABLE, Syscall
from translator.cli import main

CALLS = calls()
TASK: Any = SimpleNamespace(comm=b"tester", files=SimpleNamespace(files={3: None}))


def rules_of(profile: Profile) -> dict[str, list[Rule]]:
    """Of all calls."""
    return {name: rules for name, record in CALLS.items() if (rules := profile.rules_of(record))}


def rule(call: str, when: str, answer: str = "EINVAL", **more: str) -> Rule:
    return Rule(CALLS[call], {"call": call, "when": when, "answer": answer, **more})


def matches(call: str, when: str, *args: int) -> bool:
    return rule(call, when).matches(TASK, args)


def test_clauses() -> None:
    assert matches("socket", "domain=AF_PACKET", 17, 3, 0)
    assert not matches("socket", "domain=AF_PACKET", 2, 3, 0)
    assert matches("socket", "domain=AF_INET type&0xf=SOCK_RAW protocol!=1,58", 2, 3 | 0o2000000, 6)
    assert not matches("socket", "domain=AF_INET type&0xf=SOCK_RAW protocol!=1,58", 2, 3, 58)
    assert matches("openat", "flags&O_TMPFILE", 0, 0, 0o20200002, 0)
    assert not matches("openat", "flags&O_TMPFILE", 0, 0, 0o200000, 0)
    assert matches("fallocate", "mode&0xfffffffe!=0", 3, 3, 0, 0)
    assert not matches("fallocate", "mode&0xfffffffe!=0", 3, 1, 0, 0)
    # Bits above an argument's type do not count; those of wide arguments do.
    assert matches("socket", "domain=17", 1 << 32 | 17, 0, 0)
    assert not matches("mmap", "addr=17", 1 << 32 | 17, 0, 0, 0, 0, 0)
    assert matches("uname", "-", 0)
    assert number("CLONE_NEWUSER|0x1") == 0x10000001


@pytest.mark.parametrize(("call", "when", "answer", "message"), [
    ("socket", "family=1", "EINVAL", "has no argument family; it has domain, type, protocol"),
    ("socket", "domain=AF_NOSUCH", "EINVAL", "AF_NOSUCH is no number"),
    ("socket", "domain", "EINVAL", "is no clause"),
    ("socket", "@nosuch", "EINVAL", "@nosuch is no condition; there are @"),
    ("socket", "-", "ENOSUCH", "ENOSUCH is no answer"),
    ("socket", "domain=1", "ignored", "names bits"),
])
def test_wrong_rules_are_refused_in_words(call: str, when: str, answer: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule(call, when, answer)


def answer(served: Any, *rules: Rule, args: tuple[int, ...] = (3, 0, 0, 0, 0, 0)) -> tuple[Any, Met]:
    """What a call with these rules comes to, and what was met."""
    record = Syscall(0, CALLS[rules[0].call].handler, "1.0", CALLS[rules[0].call].support, (), {})
    record.call = served
    met = Met(Profile("test", "Test"))
    return guarded(record, list(rules), met).call(TASK, args), met


def test_answers() -> None:
    def served(task: Any, args: tuple[int, ...]) -> int:
        return args[1]

    def fails(task: Any, args: tuple[int, ...]) -> int:
        raise LinuxError(11)

    args = (3, 0x30, 0, 0, 0, 0)
    with pytest.raises(LinuxError) as error:
        answer(served, rule("fcntl", "command=0x30", "EOPNOTSUPP"), args=args)
    assert error.value.errno == EOPNOTSUPP
    assert answer(served, rule("fcntl", "command=0x30", "0"), args=args)[0] == 0
    assert answer(served, rule("fcntl", "command&0x20", "ignored"), args=args)[0] == 0x10
    assert answer(served, rule("fcntl", "-", "ok->0"), args=args)[0] == 0
    assert answer(fails, rule("fcntl", "-", "EAGAIN->0"))[0] == 0
    value, met = answer(served, rule("fcntl", "command=0x30", "differs"), args=args)
    assert value == 0x30
    assert [meeting.count for meeting in met.sorted()] == [1]
    # The first rule that answers does; a descriptor that is none is told before any of them.
    assert answer(served, rule("fcntl", "command=9", "EINVAL"), rule("fcntl", "-", "7"), args=args)[0] == 7
    assert answer(served, rule("fcntl", "command=0x30", "EINVAL"), args=(4, *args[1:]))[0] == 0x30
    with pytest.raises(LinuxError):
        answer(fails, rule("fcntl", "-", "EINTR->0"))


def test_watching_answers_nothing_and_counts() -> None:
    def fails(task: Any, args: tuple[int, ...]) -> int:
        raise LinuxError(args[1])

    rules = [rule("fcntl", "command=11", "EINVAL"), rule("fcntl", "-", "EAGAIN->0")]
    record = Syscall(0, CALLS["fcntl"].handler, "1.0", CALLS["fcntl"].support, (), {})
    record.call = fails
    met = Met(Profile("test", "Test"))
    call = watched(record, rules, met).call
    for errno in (11, 4):
        with pytest.raises(LinuxError) as error:
            call(TASK, (3, errno, 0, 0, 0, 0))
        assert error.value.errno == errno
    assert [(each.rule, each.count, each.failed) for each in met.sorted()] == [(rules[0], 1, 1), (rules[1], 1, 0)]


def test_what_was_met_is_told_by_weight() -> None:
    met = Met(Profile("test", "Test"))
    mild = rule("rseq", "-", "ENOSYS", effect="none")
    hard = rule("memfd_create", "-", "ENOSYS", reason="[I] needs an object", source="WSL#3542")
    for each in (mild, hard, hard):
        met.count(each, TASK)
    assert met.lines() == [
        "test: memfd_create -> ENOSYS, 2 times, first by tester: needs an object (inferred) [WSL#3542]",
        "test: also met, and no program misses it: rseq once"]
    assert "once" in line(met.sorted()[1])
    assert plain("[S] not implemented; [I] kept elsewhere; [S] so it is") == (
        "not implemented; kept elsewhere (inferred); so it is")
    assert plain("x; on NT: [I] no") == "x; on NT: no (inferred)"


@pytest.mark.parametrize("name", ["wsl1", "wsl1@14900", "wsl1@26100", "linux-2.6.32", "linux-4.4", "linux-6.1"])
def test_profiles_parse(name: str) -> None:
    profile = load(name)
    assert profile.release and profile.title
    for rules in rules_of(profile).values():
        for each in rules:
            assert each.effect in ("decides", "differs", "fallback", "none")
            assert each.reason, each.what


def test_the_profile_has_the_status_of_each_call() -> None:
    """One source of truth: what the reports say of a call is what the profile does."""
    profile = wsl1()
    rows = facts.by("wsl1_calls", "name")
    own = {row["call"] for row in facts.table("wsl1_rules") if row["when"] == "-"}
    for name in CALLS:
        whole = [each for each in profile.rules_of(CALLS[name]) if each.when == "-"]
        status = facts.wsl1_status(name)
        if status in ("unimplemented", "never listed"):
            assert whole and (whole[0].errno == ENOSYS or name in own), name
        elif name not in own:
            assert not whole, name
        if name in rows and rows[name]["final_status"] == "stub":
            assert name in own | {"set_robust_list", "syncfs", "getcpu", "get_thread_area"}, name
    assert set(own) <= set(CALLS)


def test_builds() -> None:
    def whole(build: int, name: str) -> bool:
        return any(each.when == "-" for each in wsl1(build).rules_of(CALLS[name]))

    assert whole(16251, "signalfd") and not whole(17101, "signalfd")
    assert whole(15014, "recvmmsg") and not whole(15025, "recvmmsg")
    assert not whole(WSL1_BUILD, "read")
    assert [each.answer for each in wsl1(17000).rules_of(CALLS["futex"])][:1] == ["ENOSYS"]
    assert not any(each.title == "FUTEX_LOCK_PI" for each in wsl1(WSL1_BUILD).rules_of(CALLS["futex"]))
    assert any(each.call == "clock_nanosleep" for each in wsl1(18362).rules_of(CALLS["clock_nanosleep"]))
    assert not wsl1(19041).rules_of(CALLS["clock_nanosleep"])
    assert wsl1(18362).release == b"4.4.0-18362-Microsoft"
    assert {each.title for each in wsl1_rules("socket")} >= {"AF_PACKET", "SOCK_RAW"}


def test_linux_by_version() -> None:
    """The versions of the declarations and of their flags, held together."""
    old, new = rules_of(load("linux-4.4")), rules_of(load("linux-7.0"))
    for name in ("statx", "rseq", "io_uring_setup", "clone3", "openat2", "copy_file_range", "preadv2"):
        assert old[name][0].errno == ENOSYS, name
    for name in ("read", "memfd_create", "getrandom", "execveat", "mlock2", "membarrier"):
        assert not any(each.when == "-" for each in old.get(name, [])), name
    assert not any(each.when == "-" for rules in new.values() for each in rules)
    assert {each.title for each in old["madvise"]} >= {"MADV_FREE", "MADV_COLD"}
    assert load("linux-4.4").release == b"4.4.0-pylx"


def test_every_condition_is_used_and_says_what_it_is() -> None:
    used = " ".join(row["when"] for row in facts.table("wsl1_rules"))
    for name, function in CONDITIONS.items():
        assert f"@{name}" in used, name
        assert function.__doc__


def test_rules_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.tsv"
    file.write_text("# base: linux-4.4\n# title: Mine\n# release: 4.4.7-mine\ncall\twhen\tanswer\treason\n"
                    "getpid\t-\t42\tfor a test\n/proc/modules\t-\tENOENT\tnone here\n")
    profile = load(str(file))
    assert (profile.name, profile.title, profile.release) == ("mine", "Mine", b"4.4.7-mine")
    assert profile.rules_of(CALLS["getpid"])[0].value == 42
    assert profile.rules_of(CALLS["statx"])[0].errno == ENOSYS
    assert profile.paths[0].path == "/proc/modules"
    for text, message in (("call\twhen\n", "columns"), ("call\twhen\tanswer\nx\t-\t0\n", "x is no system call"),
                          ("call\twhen\tanswer\nread\t-\n", "rule 1 has 2"), ("", "columns"),
                          ("call\twhen\tanswer\n/proc/x\t-\tEIO\n", "EIO")):
        file.write_text(text)
        with pytest.raises(NoSuchProfile, match=message):
            load(str(file))


@pytest.mark.parametrize("name", ["nosuch", "wsl1@7", "wsl1@x", "linux-x", "linux-4", "/nosuch/x.tsv", ""])
def test_an_unknown_profile_gets_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--profile", name, "true"]) == 125
    told = capsys.readouterr().err
    assert told.startswith("pylx: --profile ") and told.count("\n") == 1


def test_the_table_is_put_back() -> None:
    before = list(TABLE)
    root = SimpleNamespace(mount=SimpleNamespace(filesystem=SimpleNamespace(statfs=None)))
    kernel: Any = SimpleNamespace(declare=None, at_shutdown=[], vfs=SimpleNamespace(root=root))
    profile = wsl1()
    profile.lay(kernel)
    record = TABLE[319]
    assert record is not None and record is not before[319]
    with pytest.raises(LinuxError) as error:
        record.call(TASK, (0,) * 6)
    assert error.value.errno == ENOSYS
    assert TABLE[0] is before[0], "a call without rules is the same object"
    assert (kernel.release, kernel.profile) == (b"4.4.0-19041-Microsoft", profile)
    for close in kernel.at_shutdown:
        close()
    assert before == TABLE


def test_missing_calls_have_a_reason_and_mostly_a_source() -> None:
    missing = [each for rules in rules_of(wsl1()).values() for each in rules if each.why is not None]
    assert len(missing) > 100
    assert all(each.reason for each in missing)
    assert sum(bool(each.source) for each in missing) > 50
