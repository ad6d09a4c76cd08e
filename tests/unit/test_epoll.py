"""epoll: levels, edges, one shot, nesting, and the end of what is watched."""

from __future__ import annotations

from syscalls.abi.errno import EEXIST, EINVAL, ELOOP, ENOENT, EPERM
from syscalls.abi.poll import EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, POLLIN, POLLOUT
from syscalls.epoll import EVENT, Epoll, control
from syscalls.eventfd import EventFd
from syscalls.fd import FileDescription
from tests.unit.net_world import World, errno_of

ADD, DEL, MOD = 1, 2, 3


def collect(epoll: Epoll, limit: int = 10) -> list[tuple[int, int]]:
    return [EVENT.unpack(raw) for raw in epoll.collect(limit)]


def setup(flags: int = 0):
    task = World().task()
    epoll = Epoll(task)
    event = EventFd(task, 0, 0).retain()
    return task, epoll, event


def test_level_triggered_stays():
    task, epoll, event = setup()
    control(epoll, ADD, 5, event, POLLIN, 77)
    assert collect(epoll) == []
    event.signal()
    assert collect(epoll) == [(POLLIN, 77)]
    assert collect(epoll) == [(POLLIN, 77)]
    event.read(task, 8)
    assert collect(epoll) == []


def test_edge_triggered_tells_once_per_change():
    _, epoll, event = setup()
    control(epoll, ADD, 5, event, POLLIN | EPOLLET, 1)
    event.signal()
    assert len(collect(epoll)) == 1
    assert collect(epoll) == []
    event.signal()
    assert len(collect(epoll)) == 1


def test_one_shot_needs_rearming():
    _, epoll, event = setup()
    control(epoll, ADD, 5, event, POLLIN | EPOLLONESHOT, 1)
    event.signal()
    assert len(collect(epoll)) == 1
    event.signal()
    assert collect(epoll) == []
    control(epoll, MOD, 5, event, POLLIN | EPOLLONESHOT, 2)
    assert collect(epoll) == [(POLLIN, 2)]


def test_fair_order():
    task, epoll, first = setup()
    others = [first, EventFd(task, 0, 0).retain(), EventFd(task, 0, 0).retain()]
    for number, event in enumerate(others):
        control(epoll, ADD, number, event, POLLIN, number)
        event.signal()
    assert [collect(epoll, 1)[0][1] for _ in range(6)] == [0, 1, 2, 0, 1, 2]


def test_last_reference_forgets():
    _, epoll, event = setup()
    control(epoll, ADD, 5, event, POLLOUT, 1)
    assert len(collect(epoll)) == 1
    event.release()
    assert not epoll.items
    assert collect(epoll) == []


def test_errors():
    _task, epoll, event = setup()
    assert errno_of(control, epoll, ADD, 3, FileDescription(0), POLLIN, 0) == EPERM
    assert errno_of(control, epoll, ADD, 3, epoll, POLLIN, 0) == EINVAL
    assert errno_of(control, epoll, MOD, 5, event, POLLIN, 0) == ENOENT
    assert errno_of(control, epoll, DEL, 5, event, 0, 0) == ENOENT
    control(epoll, ADD, 5, event, POLLIN, 0)
    assert errno_of(control, epoll, ADD, 5, event, POLLIN, 0) == EEXIST
    control(epoll, ADD, 6, event, POLLIN | EPOLLEXCLUSIVE, 0)
    assert errno_of(control, epoll, MOD, 6, event, POLLIN, 0) == EINVAL


def test_nesting():
    task, outer, event = setup()
    inner = Epoll(task).retain()
    control(outer, ADD, 3, inner, POLLIN, 1)
    assert errno_of(control, inner, ADD, 4, outer, POLLIN, 1) == ELOOP
    control(inner, ADD, 5, event, POLLIN, 2)
    assert collect(outer) == []
    event.signal()
    assert collect(outer) == [(POLLIN, 1)]
    assert outer.ready(POLLIN) == POLLIN
