"""`pylx explain`: what it says of calls, of flags and of files, in words that fit the page."""

from __future__ import annotations

import pytest

from syscalls.reports import explain, explain_flags, facts
from syscalls.reports.explain import MARGIN, WIDTH
from translator import commands
from translator.cli import main

HOSTS = commands.hosts()


def told(name: str) -> str:
    text = explain.explanation(name, HOSTS)
    assert text is not None
    return " ".join(text.split())


def test_the_text_fits() -> None:
    for row in facts.table("wsl1_calls"):
        text = explain.explanation(row["name"], HOSTS)
        assert text is not None
        for line in text.splitlines()[1:]:
            assert len(line) <= WIDTH or " " not in line[MARGIN:].strip(" -"), line


def test_flags_of_a_call() -> None:
    clone = told("clone")
    assert "CLONE_NEWUSER -> EINVAL: user namespaces are not implemented (WSL#2981, #1029)" in clone
    assert "by version CLONE_NEWCGROUP 4.6, CLONE_PIDFD 5.2" in clone
    assert "5 of 8 tests pass; failed: clone02, clone05, clone08" in clone
    assert "FUTEX_LOCK_PI -> ENOSYS, builds 17626 and before" in told("futex")
    assert "SO_REUSEPORT -> ENOPROTOOPT, builds 15063-16272" in told("setsockopt")


def test_each_fact_is_told_once() -> None:
    rename = told("rename")
    assert rename.count("NtSetInformationFile(FileRenameInformation)") == 2  # the host's, and WSL 1's
    assert rename.count("#13110") == 1
    mmap = told("mmap")
    assert mmap.count("#4857") == mmap.count("#10102") == 1


@pytest.mark.parametrize(("name", "wrong"), [
    ("openat", "rename(dir"), ("socket", "snapd"), ("time", "CPU-time"), ("read", "readahead"), ("sync", "syncfs"),
])
def test_words_are_no_calls(name: str, wrong: str) -> None:
    assert wrong not in told(name).partition("WSL 1")[2]


@pytest.mark.parametrize(("name", "gap"), [
    ("unshare", "#2902"), ("openat", "#17,"), ("munlockall", "mlockall/munlockall"), ("signalfd4", "#129"),
    ("mq_open", "POSIX message queues"), ("fanotify_init", "fanotify"), ("io_setup", "#5321"),
])
def test_gaps_find_their_calls(name: str, gap: str) -> None:
    assert gap in told(name).partition("WSL 1")[2]


def test_flags_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "CLONE_NEWUSER"]) == 0
    shown = capsys.readouterr().out
    assert "unshare(flags)" in shown and "WSL#2981" in shown and "here        not served (0x10000000)" in shown
    assert "an older one answers: EINVAL" in (explain_flags.explanation("MADV_FREE") or "")
    assert "ENOENT: FUSE needs a driver" in (explain_flags.explanation("/dev/fuse") or "")
    assert "no such call: ENOSYS" in (explain_flags.explanation("UFFD_USER_MODE_ONLY") or "")
    assert explain_flags.explanation("O_NOSUCH") is None
    assert explain_flags.explanation("/dev/null") is None
    assert main(["explain", "O_NOSUCH"]) == 125
    assert "no flag or file" in capsys.readouterr().err
