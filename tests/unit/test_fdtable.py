"""Descriptor tables: lowest numbers, references, close-on-exec."""

from __future__ import annotations

from syscalls.abi.errno import EBADF, EMFILE
from syscalls.fd import O_PATH, FdTable, FileDescription
from tests.unit.net_world import errno_of


class Counted(FileDescription):
    def __init__(self, flags: int = 0) -> None:
        super().__init__(flags)
        self.closed = 0

    def released(self) -> None:
        self.closed += 1


def test_lowest_number_first():
    table = FdTable()
    for expected in range(4):
        assert table.install(Counted(), False, 10) == expected
    table.close(None, 1)
    table.close(None, 2)
    assert table.install(Counted(), False, 10, lowest=2) == 2
    assert table.install(Counted(), False, 10) == 1
    assert table.install(Counted(), False, 10) == 4
    assert errno_of(table.install, Counted(), False, 5) == EMFILE


def test_references():
    table, file = FdTable(), Counted()
    table.install(file, True, 10)
    copy = table.copy(1 << 20)
    table.place(None, 7, file, False)
    table.close(None, 0)
    assert not file.closed
    copy.close_on_exec(None)
    assert not file.closed
    table.place(None, 7, Counted(), True)
    assert file.closed == 1
    assert errno_of(copy.get, 0) == EBADF


def test_paths_are_no_files():
    table = FdTable()
    table.install(Counted(O_PATH), False, 10)
    assert errno_of(table.get, 0) == EBADF
    assert table.get_raw(0)
