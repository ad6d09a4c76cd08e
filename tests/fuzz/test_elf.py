"""Hostile ELF files: executed where Linux executes them, refused with the same errno where it refuses, and never a
crash, a hang, or memory without bound."""

from __future__ import annotations

import random
import re
from pathlib import Path

from syscalls.fuzz.campaign import Campaign
from syscalls.fuzz.elf_files import elf_program, image, kinds, mutated, mutations
from syscalls.fuzz.expected import reason
from tests.runner import FULL

FILES = 20_000 if FULL else 400
MOST_MEMORY_KB = 1 << 20


def test_whole_files_run(campaign: Campaign) -> None:
    for dynamic in (False, True):
        for interpreted in (False, True):
            program = elf_program((dynamic, interpreted, False), [])
            native, layer = campaign.outcomes(program, campaign.layers, 5000)
            for outcome in (native, layer):
                status = next(data for record in outcome.records[::-1] for at, data in record.changes if at == 0x300)
                assert status[1] == (7 if interpreted else 42) and not status[0]


def test_mutated_files_fare_as_on_linux(campaign: Campaign) -> None:
    source = random.Random(2026)
    kind, wrong = kinds(), mutations()
    different = []
    for _ in range(FILES):
        drawn = kind.draw(source, {}), wrong.draw(source, {})
        program = elf_program(*drawn)
        for side, found in campaign.differences(program):
            if reason(side.name, found) is None and campaign.shows(program, side, found.key):
                different.append(f"{drawn}: {found} {found.detail[-500:]}")
    assert not different, "\n".join(different)
    assert peak_memory_kb(campaign) < MOST_MEMORY_KB


def peak_memory_kb(campaign: Campaign) -> int:
    """Of the layer's processes: those below the one that was started."""
    process = campaign.layers[0].process
    assert process is not None
    most = 0
    todo = [process.pid]
    while todo:
        pid = todo.pop()
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            todo += [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            continue
        found = re.search(r"VmHWM:\s+(\d+)", status)
        most = max(most, int(found.group(1)) if found else 0)
    assert most > 1000
    return most


def test_mutations_change_what_they_name() -> None:
    file = image(dynamic=False, interpreter=b"i\0", status=42)
    assert mutated(file, [("size", 64)]) == file[:64]
    assert mutated(file, [("e_phnum", 3)])[56:58] == b"\x03\0"
    assert mutated(file, [("LOAD text.p_vaddr", 5)])[64 + 2 * 56 + 16] == 5
    assert mutated(file, [("interpreter", b"none\0")])[0x240:0x245] == b"none\0"
