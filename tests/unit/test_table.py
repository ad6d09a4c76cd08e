"""The table of declarations is complete and agrees with Linux's numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

import syscalls.calls
from syscalls.abi.errno import NAMES
from syscalls.table import TABLE, Syscall

syscalls.calls.load()
DECLARED = [record for record in TABLE if record is not None]
UNISTD = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")


def test_every_module_is_loaded() -> None:
    folder = Path(syscalls.calls.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(syscalls.calls.MODULES)


def test_every_number_is_declared() -> None:
    missing = [number for number in [*range(336), *range(424, 472)] if TABLE[number] is None]
    # 335 is uretprobe's since 6.11; 336 to 423 are not used on x86-64.
    assert not missing


def test_names_are_linux_names() -> None:
    if not UNISTD.exists():
        pytest.skip("no kernel headers to compare with")
    numbers = {}
    for line in UNISTD.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[1].startswith("__NR_"):
            numbers[words[1][5:]] = int(words[2])
    wrong = {name: number for name, number in numbers.items()
             if (record := TABLE[number]) is not None and record.name != name}
    assert not wrong


@pytest.mark.parametrize("record", DECLARED, ids=lambda record: record.name)
def test_declarations_are_whole(record: Syscall) -> None:
    kinds = record.argument_kinds()
    assert len(kinds) == len(record.params) <= 6
    level = record.support
    assert level.level in ("FULL", "PARTIAL", "FAKE", "STUB", "REFUSED", "MISSING")
    if level.level != "FULL":
        assert level.note, f"{record.name}: {level.level} without a reason"
    if level.level in ("STUB", "REFUSED"):
        assert level.errno in NAMES
    assert record.since[0].isdigit()
