"""Readiness: one-shot arming, several waiters, files that are always ready, waking up."""

# ruff: noqa: F401, F811 -- fixtures are imported and then named by parameters
from __future__ import annotations

import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.unit.host_fixtures import host
from translator.hosts.base import Host

POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16
MS = 1_000_000


def pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    if sys.platform == "win32":
        from translator.hosts.portable_poll import windows_sockets
        windows_sockets.update((ours.fileno(), theirs.fileno()))
    return ours, theirs


def test_arming_is_one_shot(host: Host) -> None:
    poller = host.poller()
    ours, theirs = pair()
    seen: list[int] = []
    number = ours.fileno()
    poller.arm(number, POLLIN, seen.append)
    poller.poll(0)
    assert seen == []
    theirs.send(b"x")
    poller.poll(None)
    poller.poll(0)
    assert seen == [POLLIN]
    poller.arm(number, POLLIN, seen.append)
    poller.poll(None)
    assert seen == [POLLIN, POLLIN]
    poller.arm(number, POLLIN, seen.append)
    poller.disarm(number)
    poller.disarm(number)
    poller.poll(0)
    assert len(seen) == 2
    theirs.close()
    ours.recv(1)
    poller.arm(number, POLLIN, seen.append)
    poller.poll(None)
    assert seen[2] & POLLIN
    poller.disarm(number)
    ours.close()


def test_several_waiters_of_one_descriptor(host: Host) -> None:
    ours, theirs = pair()
    ours.setblocking(False)
    poller = host.poller()
    seen: list[tuple[str, int]] = []
    poller.arm(ours.fileno(), POLLIN, lambda bits: seen.append(("in", bits)))
    poller.arm(ours.fileno(), POLLOUT, lambda bits: seen.append(("out", bits)))
    poller.poll(None)
    assert seen == [("out", POLLOUT)]
    theirs.send(b"x")
    poller.poll(None)
    assert seen == [("out", POLLOUT), ("in", POLLIN)]
    poller.disarm(ours.fileno())
    ours.close()
    theirs.close()


@pytest.mark.skipif(os.name != "posix", reason="descriptors of pipes")
def test_a_number_that_was_closed_and_used_again(host: Host) -> None:
    poller = host.poller()
    seen: list[int] = []
    reader, writer = os.pipe()
    poller.arm(reader, POLLIN, seen.append)
    poller.disarm(reader)
    os.close(reader)
    other, other_writer = os.pipe()
    if other != reader:
        os.dup2(other, reader)
    poller.arm(reader, POLLIN, seen.append)
    os.write(other_writer, b"x")
    poller.poll(None)
    assert seen == [POLLIN]
    poller.disarm(reader)
    for fd in {reader, other, writer, other_writer}:
        os.close(fd)


def test_a_callback_may_arm_and_disarm(host: Host) -> None:
    poller = host.poller()
    ours, theirs = pair()
    theirs.send(b"ab")
    seen: list[int] = []

    def again(_bits: int) -> None:
        seen.append(ours.recv(1)[0])
        poller.arm(ours.fileno(), POLLIN, again)

    poller.arm(ours.fileno(), POLLIN, again)
    for _ in range(4):
        poller.poll(0)
    assert seen == [97, 98]
    poller.disarm(ours.fileno())
    ours.close()
    theirs.close()


def test_one_of_two_callbacks_is_disarmed(host: Host) -> None:
    poller = host.poller()
    ours, theirs = pair()
    kept: list[int] = []
    gone: list[int] = []

    def keep(bits: int) -> None:
        kept.append(bits)

    def go(bits: int) -> None:
        gone.append(bits)

    poller.arm(ours.fileno(), POLLIN, keep)
    poller.arm(ours.fileno(), POLLIN | POLLOUT, go)
    poller.disarm(ours.fileno(), go)
    poller.poll(0)
    assert not kept
    theirs.send(b"a")
    poller.poll(1_000_000_000)
    assert (kept, gone) == ([POLLIN], [])
    poller.arm(ours.fileno(), POLLIN, keep)
    poller.disarm(ours.fileno(), keep)
    poller.poll(0)
    assert kept == [POLLIN]
    ours.close()
    theirs.close()


def test_regular_files_are_ready(host: Host, tmp_path: Path) -> None:
    poller = host.poller()
    fd = os.open(tmp_path / "f", os.O_CREAT | os.O_RDWR)
    seen: list[int] = []
    poller.arm(fd, POLLIN | POLLOUT, seen.append)
    poller.poll(None)
    assert seen == [POLLIN | POLLOUT]
    assert poller.probe(fd, POLLIN) == POLLIN
    poller.arm(fd, POLLIN, seen.append)
    poller.disarm(fd)
    poller.poll(0)
    assert len(seen) == 1
    os.close(fd)


def test_probe(host: Host) -> None:
    poller = host.poller()
    ours, theirs = pair()
    assert poller.probe(ours.fileno(), POLLIN) == 0
    assert poller.probe(ours.fileno(), POLLOUT) == POLLOUT
    theirs.send(b"x")
    assert poller.probe(ours.fileno(), POLLIN | POLLOUT) == POLLIN | POLLOUT
    theirs.close()
    ours.recv(1)
    assert poller.probe(ours.fileno(), POLLIN) & (POLLIN | POLLHUP)
    ours.close()


@pytest.mark.skipif(os.name != "posix", reason="pipes that can be polled")
def test_hang_up_of_a_pipe(host: Host) -> None:
    poller = host.poller()
    reader, writer = os.pipe()
    seen: list[int] = []
    poller.arm(reader, POLLIN, seen.append)
    os.close(writer)
    poller.poll(None)
    assert seen == [POLLHUP]
    assert poller.probe(reader, POLLIN) == POLLHUP
    poller.disarm(reader)
    os.close(reader)


def test_timeouts_and_wake(host: Host) -> None:
    poller = host.poller()
    start = time.monotonic_ns()
    poller.poll(20 * MS)
    assert 5 * MS <= time.monotonic_ns() - start < 500 * MS
    poller.wake()
    poller.wake()
    poller.poll(None)
    timer = threading.Timer(0.02, poller.wake)
    timer.start()
    poller.poll(None)
    timer.join()
    start = time.monotonic_ns()
    poller.poll(200_000)
    assert time.monotonic_ns() - start < 50 * MS
