"""Readiness: one-shot arming, several waiters, files that are always ready, waking up."""

# ruff: noqa: F401, F811 -- fixtures are imported and then named by parameters
from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from tests.unit.host_fixtures import host
from translator.hosts.base import Host

POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 16
MS = 1_000_000


def test_arming_is_one_shot(host: Host) -> None:
    poller = host.poller()
    reader, writer = os.pipe()
    seen: list[int] = []
    poller.arm(reader, POLLIN, seen.append)
    poller.poll(0)
    assert seen == []
    os.write(writer, b"x")
    poller.poll(None)
    poller.poll(0)
    assert seen == [POLLIN]
    poller.arm(reader, POLLIN, seen.append)
    poller.poll(None)
    assert seen == [POLLIN, POLLIN]
    poller.arm(reader, POLLIN, seen.append)
    poller.disarm(reader)
    poller.disarm(reader)
    poller.poll(0)
    assert len(seen) == 2
    os.close(writer)
    os.read(reader, 1)
    poller.arm(reader, POLLIN, seen.append)
    poller.poll(None)
    assert seen[2] & POLLHUP
    poller.disarm(reader)
    os.close(reader)


def test_several_waiters_of_one_descriptor(host: Host) -> None:
    import socket
    ours, theirs = socket.socketpair()
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
    number = ours.fileno()
    ours.close()
    reader, writer = os.pipe()
    if reader != number:
        os.dup2(reader, number)
    poller.arm(number, POLLIN, lambda bits: seen.append(("again", bits)))
    os.write(writer, b"x")
    poller.poll(None)
    assert seen[2] == ("again", POLLIN)
    poller.disarm(number)
    for fd in {reader, writer, number}:
        os.close(fd)
    theirs.close()


def test_a_callback_may_arm_and_disarm(host: Host) -> None:
    poller = host.poller()
    reader, writer = os.pipe()
    os.write(writer, b"ab")
    seen: list[int] = []

    def again(bits: int) -> None:
        seen.append(os.read(reader, 1)[0])
        poller.arm(reader, POLLIN, again)

    poller.arm(reader, POLLIN, again)
    for _ in range(4):
        poller.poll(0)
    assert seen == [97, 98]
    poller.disarm(reader)
    os.close(reader)
    os.close(writer)


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
    reader, writer = os.pipe()
    assert poller.probe(reader, POLLIN) == 0
    assert poller.probe(writer, POLLOUT) == POLLOUT
    os.write(writer, b"x")
    assert poller.probe(reader, POLLIN | POLLOUT) == POLLIN
    os.close(writer)
    os.read(reader, 1)
    assert poller.probe(reader, POLLIN) & POLLHUP
    os.close(reader)


def test_timeouts_and_wake(host: Host) -> None:
    poller = host.poller()
    start = time.monotonic_ns()
    poller.poll(5 * MS)
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
