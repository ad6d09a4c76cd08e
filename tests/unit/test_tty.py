"""Pseudo-terminals, controlling terminals and job control, without guest code."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import pytest

from syscalls.abi.errno import EAGAIN, EIO, ENOTTY, ENXIO, EPERM, ESRCH, LinuxError
from syscalls.abi.fs import O_NOCTTY, O_NONBLOCK, O_RDWR
from syscalls.abi.ioctl import (
    FIONREAD,
    TCGETS,
    TIOCGPGRP,
    TIOCGPTN,
    TIOCGSID,
    TIOCGWINSZ,
    TIOCNOTTY,
    TIOCPKT,
    TIOCSCTTY,
    TIOCSPGRP,
    TIOCSPTLCK,
    TIOCSTI,
    TIOCSWINSZ,
)
from syscalls.console_tty import Console
from syscalls.fd import POLLHUP, POLLIN, POLLOUT
from syscalls.kernel import Kernel
from syscalls.task import ProcessGroup, Session, Task
from syscalls.wait import Interrupted
from tests.unit.fs_fixtures import Memory, finish, make_kernel, make_task

ARG = 0x1000


@pytest.fixture
def kernel(tmp_path: Any) -> Kernel:
    return make_kernel(str(tmp_path).encode())


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(process group or pid, signal) as they are sent."""
    out: list[tuple[int, int]] = []
    monkeypatch.setattr("syscalls.signals.send_pgrp", lambda pgrp, info: out.append((pgrp.pgid, info.signo)))
    monkeypatch.setattr("syscalls.signals.send_group", lambda group, info: out.append((group.pid, info.signo)))
    return out


class Words(Memory):
    def put_u32(self, addr: int, value: int) -> None:
        self.write(addr, struct.pack("<I", value & 0xFFFFFFFF))

    def s32(self, addr: int) -> int:
        return int(struct.unpack("<i", self.read(addr, 4))[0])


def task_of(kernel: Kernel) -> Task:
    task = make_task(kernel)
    group = task.group
    kernel.groups[group.pid] = group
    kernel.process_groups[group.pgrp.pgid] = group.pgrp
    kernel.sessions[group.session.sid] = group.session
    task.mem = Words()  # type: ignore[assignment]
    task.signals = SimpleNamespace(mask=0)  # type: ignore[assignment]
    task.handlers = SimpleNamespace(get=lambda signo: SimpleNamespace(handler=0))  # type: ignore[assignment]
    return task


def opened(kernel: Kernel, task: Task, path: bytes, flags: int = O_RDWR | O_NONBLOCK) -> Any:
    return finish(kernel.vfs.open(task, path, flags, 0)).retain()


def pair(kernel: Kernel, task: Task, flags: int = O_RDWR | O_NONBLOCK | O_NOCTTY) -> tuple[Any, Any]:
    master = opened(kernel, task, b"/dev/ptmx")
    ioctl_int(task, master, TIOCSPTLCK, 0)
    number = ioctl_int(task, master, TIOCGPTN)
    return master, opened(kernel, task, b"/dev/pts/%d" % number, flags)


def ioctl_int(task: Task, file: Any, code: int, value: int = 0) -> int:
    task.mem.write(ARG, struct.pack("<i", value))
    file.ioctl(task, code, ARG)
    return int(struct.unpack("<i", task.mem.read(ARG, 4))[0])


def errno(action: Any) -> int:
    with pytest.raises(LinuxError) as caught:
        action()
    return caught.value.errno


def test_bytes_pass_both_ways(kernel: Kernel) -> None:
    task = task_of(kernel)
    master, slave = pair(kernel, task)
    master.write(task, b"hi\r")
    assert slave.read(task, 100) == b"hi\n"
    slave.write(task, b"x\n")
    assert master.read(task, 100) == b"hi\r\nx\r\n"
    assert errno(lambda: master.read(task, 1)) == errno(lambda: slave.read(task, 1)) == EAGAIN
    assert slave.stat(task).rdev == 136 << 8
    assert slave.ready(POLLIN | POLLOUT) == POLLOUT


def test_a_slave_is_locked_at_first(kernel: Kernel) -> None:
    task = task_of(kernel)
    opened(kernel, task, b"/dev/ptmx")
    assert errno(lambda: opened(kernel, task, b"/dev/pts/0")) == EIO


def test_the_last_close_of_the_slave_shows_at_the_master(kernel: Kernel) -> None:
    task = task_of(kernel)
    master, slave = pair(kernel, task)
    slave.write(task, b"last")
    slave.release()
    assert master.read(task, 10) == b"last"
    assert master.ready(POLLIN) == POLLHUP
    assert errno(lambda: master.read(task, 10)) == EIO
    opened(kernel, task, b"/dev/pts/0", O_RDWR | O_NONBLOCK | O_NOCTTY)
    assert errno(lambda: master.read(task, 10)) == EAGAIN


def test_the_close_of_the_master_hangs_up(kernel: Kernel, sent: list[tuple[int, int]]) -> None:
    task = task_of(kernel)
    master, slave = pair(kernel, task, O_RDWR | O_NONBLOCK)
    assert task.group.session.tty is slave.tty
    master.release()
    assert slave.read(task, 10) == b""
    assert errno(lambda: slave.write(task, b"x")) == EIO
    assert errno(lambda: slave.ioctl(task, TCGETS, ARG)) == EIO
    assert slave.ready(POLLIN | POLLOUT) & (POLLIN | POLLHUP) == POLLIN | POLLHUP
    assert sent == [(task.group.pid, 1), (task.group.pid, 18)]
    assert task.group.session.tty is None
    assert errno(lambda: opened(kernel, task, b"/dev/tty")) == ENXIO


def test_a_full_terminal_takes_no_more(kernel: Kernel) -> None:
    task = task_of(kernel)
    master, slave = pair(kernel, task)
    taken = 0
    with pytest.raises(LinuxError):
        while True:
            taken += slave.write(task, b"0123456789" * 100)
    assert taken == 12288
    assert not slave.ready(POLLOUT)
    assert len(master.read(task, 100000)) == 4095
    assert slave.ready(POLLOUT) == POLLOUT
    slave.write(task, b"\n" * 10)


def test_packet_mode(kernel: Kernel) -> None:
    task = task_of(kernel)
    master, slave = pair(kernel, task)
    ioctl_int(task, master, TIOCPKT, 1)
    slave.write(task, b"x")
    assert master.read(task, 10) == b"\0x"
    master.write(task, b"\x13")
    assert master.read(task, 10) == b"\x04"


def test_size(kernel: Kernel, sent: list[tuple[int, int]]) -> None:
    task = task_of(kernel)
    master, slave = pair(kernel, task, O_RDWR | O_NONBLOCK)
    task.mem.write(ARG, struct.pack("<4H", 30, 100, 0, 0))
    master.ioctl(task, TIOCSWINSZ, ARG)
    slave.ioctl(task, TIOCSWINSZ, ARG)
    task.mem.write(ARG, bytes(8))
    slave.ioctl(task, TIOCGWINSZ, ARG)
    assert task.mem.read(ARG, 8) == struct.pack("<4H", 30, 100, 0, 0)
    assert sent == [(task.group.pid, 28)]


def test_controlling_terminal(kernel: Kernel, sent: list[tuple[int, int]]) -> None:
    task = task_of(kernel)
    _, slave = pair(kernel, task)
    assert errno(lambda: ioctl_int(task, slave, TIOCGPGRP)) == ENOTTY
    slave.ioctl(task, TIOCSCTTY, 0)
    assert ioctl_int(task, slave, TIOCGPGRP) == ioctl_int(task, slave, TIOCGSID) == task.group.pid
    assert opened(kernel, task, b"/dev/tty").tty is slave.tty
    assert errno(lambda: ioctl_int(task, slave, TIOCSPGRP, 999999)) == ESRCH
    other = task_of(kernel)
    assert errno(lambda: ioctl_int(task, slave, TIOCSPGRP, other.group.pid)) == EPERM
    assert errno(lambda: slave.ioctl(other, TIOCSCTTY, 0)) == EPERM
    assert errno(lambda: ioctl_int(task, slave, TIOCSTI, 65)) == EIO
    slave.ioctl(task, TIOCNOTTY, 0)
    assert sent == [(task.group.pid, 1), (task.group.pid, 18)]
    assert task.group.session.tty is None


def test_background_processes_stop(kernel: Kernel, sent: list[tuple[int, int]]) -> None:
    leader, child = task_of(kernel), task_of(kernel)
    kernel.init = leader.group
    session = leader.group.session
    child.group.pgrp = ProcessGroup(child.group.pid, session)
    child.group.pgrp.members.add(child.group)
    child.group.parent = leader.group
    master, slave = pair(kernel, leader, O_RDWR | O_NONBLOCK)
    master.write(leader, b"x\n")
    with pytest.raises(Interrupted):
        slave.read(child, 10)
    with pytest.raises(Interrupted):
        ioctl_int(child, slave, TIOCSPGRP, child.group.pid)
    assert sent == [(child.group.pid, 21), (child.group.pid, 22)]
    assert slave.write(child, b"out") == 3
    # Whom nobody could continue is not stopped.
    child.group.parent = None
    assert errno(lambda: slave.read(child, 10)) == EIO
    assert ioctl_int(leader, slave, FIONREAD) == 2


class FakeTerminal:
    def __init__(self) -> None:
        self.typed = b""
        self.shown = b""
        self.raw = False
        self.in_foreground = True
        self.job_signals: list[int] = []

    def name(self) -> bytes:
        return b"/dev/pts/7"

    def termios(self) -> bytes:
        from syscalls.abi.tty import default_termios
        return default_termios().pack()

    def size(self) -> tuple[int, int, int, int]:
        return 24, 80, 0, 0

    def fileno(self) -> int:
        return 99

    def foreground(self) -> bool:
        return self.in_foreground

    def resume(self) -> None:
        self.raw = True

    def suspend(self) -> None:
        self.raw = False

    def read(self, length: int) -> bytes:
        data, self.typed = self.typed[:length], self.typed[length:]
        return data

    def write(self, data: bytes) -> int:
        self.shown += data
        return len(data)

    def signal_job(self, signo: int) -> None:
        self.job_signals.append(signo)

    def close(self) -> None:
        self.suspend()


@pytest.fixture
def console(kernel: Kernel) -> tuple[Any, Any, Task]:
    kernel.poller = SimpleNamespace(arm=lambda *args: None, disarm=lambda fileno: None)
    task = task_of(kernel)
    session = Session(5)
    task.group.pgrp = ProcessGroup(task.group.pid, session)
    task.group.pgrp.members.add(task.group)
    kernel.init = task.group
    terminal: Any = FakeTerminal()
    tty = Console(kernel, terminal, session)
    session.tty = tty
    tty.session, tty.pgrp = session, task.group.pgrp
    return tty, terminal, task


def test_the_hosts_terminal_is_left_alone_until_somebody_reads(console: tuple[Any, Any, Task],
                                                               sent: list[tuple[int, int]]) -> None:
    tty, terminal, task = console
    file = tty.open(task, O_RDWR, SimpleNamespace(), None)
    file.write(task, b"a\n")
    assert terminal.shown == b"a\n" and not terminal.raw
    assert errno(lambda: file.read(task, 10)) == EAGAIN
    assert terminal.raw
    file.write(task, b"b\n")
    assert terminal.shown == b"a\nb\r\n"
    terminal.typed = b"line\r"
    tty._event(POLLIN)
    assert file.read(task, 10) == b"line\n"
    terminal.typed = b"\x03"
    tty._event(POLLIN)
    assert sent == [(task.group.pid, 2)] and terminal.job_signals == [2]
    tty.close()
    assert not terminal.raw


def test_readers_in_the_hosts_background_stop(console: tuple[Any, Any, Task], sent: list[tuple[int, int]]) -> None:
    tty, terminal, task = console
    terminal.in_foreground = False
    file = tty.open(task, O_RDWR, SimpleNamespace(), None)
    with pytest.raises(Interrupted):
        file.read(task, 10)
    assert sent == [(task.group.pid, 21)]
    assert not terminal.raw
    assert ioctl_int(task, file, TIOCGPGRP) == 5


def test_a_hangup_of_the_hosts_terminal_is_the_guests(console: tuple[Any, Any, Task],
                                                      sent: list[tuple[int, int]]) -> None:
    tty, _, task = console
    file = tty.open(task, O_RDWR, SimpleNamespace(), None)
    assert file.ready(POLLIN) == 0
    tty._event(POLLIN)
    assert file.read(task, 10) == b""
    assert sent == [(task.group.pid, 1), (task.group.pid, 18)]


def test_a_write_takes_all_there_is_room_for(console: tuple[Any, Any, Task]) -> None:
    # Whoever gets less than it wrote sleeps until it is told of room: nobody would tell it.
    tty, terminal, task = console
    file = tty.open(task, O_RDWR, SimpleNamespace(), None)
    assert file.write(task, b"x\n" * 50_000) == 100_000
    assert len(terminal.shown) == 100_000
    assert errno(lambda: file.read(task, 1)) == EAGAIN
    assert file.write(task, b"x\n" * 50_000) == 100_000
    assert len(terminal.shown) == 250_000


def test_a_master_write_takes_all_there_is_room_for(kernel: Kernel) -> None:
    task = task_of(kernel)
    master, slave = pair(kernel, task)
    termios = slave.tty.termios.copy()
    termios.lflag = termios.iflag = 0
    slave.tty.set_termios(termios)
    assert master.write(task, b"y" * 50_000) == 8192 + 4095
    assert errno(lambda: master.write(task, b"y")) == EAGAIN
