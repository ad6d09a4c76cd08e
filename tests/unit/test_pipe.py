"""Pipes: slots, merging, packets, and what the ends see of each other."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from syscalls.abi.errno import EAGAIN, EBUSY, EINVAL, EPERM, EPIPE
from syscalls.pipe import PAGE, Pipe, make_pipe
from tests.unit.net_world import Heard, World, errno_of

POLLIN, POLLOUT, POLLERR, POLLHUP = 1, 4, 8, 0x10
O_NONBLOCK, O_DIRECT = 0o4000, 0o40000


def ends(flags: int = 0, uid: int = 0):
    task = World().task(uid=uid)
    reader, writer = make_pipe(task, flags)
    return task, reader.retain(), writer.retain()


def test_bytes_in_order():
    task, reader, writer = ends()
    writer.write(task, b"hello ")
    writer.write(task, b"world")
    assert reader.read(task, 3) == b"hel"
    assert reader.read(task, 100) == b"lo world"
    assert errno_of(reader.read, task, 1) == EAGAIN


def test_full_at_64_kib():
    task, reader, writer = ends()
    assert writer.write(task, b"x" * 100000) == 65536
    assert errno_of(writer.write, task, b"y") == EAGAIN
    assert not writer.ready(POLLOUT)
    reader.read(task, PAGE - 1)
    assert not writer.ready(POLLOUT), "the first page is not free before its last byte is read"
    heard = Heard(writer.queue)
    reader.read(task, 1)
    assert heard.take() & POLLOUT
    assert writer.ready(POLLOUT)
    assert writer.write(task, b"z" * PAGE * 2) == PAGE


def test_small_writes_merge_and_odd_ones_do_not():
    task, _reader, writer = ends()
    count = 0
    while errno_of(writer.write, task, b"a") == 0:
        count += 1
    assert count == 65536
    task, _reader, writer = ends()
    count = 0
    while errno_of(writer.write, task, b"b" * 3000) == 0:
        count += 1
    assert count == 16, "3000 bytes never fit behind 3000 others in a page"


def test_end_of_file_and_broken_pipe():
    task, reader, writer = ends()
    writer.write(task, b"last")
    writer.release()
    assert reader.ready(POLLIN) & (POLLIN | POLLHUP) == POLLIN | POLLHUP
    assert reader.read(task, 10) == b"last"
    assert reader.read(task, 10) == b""
    task, reader, writer = ends()
    reader.release()
    assert errno_of(writer.write, task, b"x") == EPIPE
    assert writer.ready(POLLOUT) & POLLERR


def test_packets():
    task, reader, writer = ends(O_DIRECT)
    writer.write(task, b"one")
    writer.write(task, b"two")
    assert reader.read(task, 100) == b"one"
    assert reader.read(task, 2) == b"tw"
    assert errno_of(reader.read, task, 100) == EAGAIN, "the rest of a packet is discarded"


def test_size():
    task, reader, writer = ends(uid=1000)
    pipe = reader.pipe
    assert pipe.resize(task, 0) == PAGE
    assert pipe.resize(task, 5000) == 2 * PAGE
    writer.write(task, b"x" * 2 * PAGE)
    assert errno_of(pipe.resize, task, PAGE) == EBUSY
    assert errno_of(pipe.resize, task, 1 << 21) == EPERM
    assert errno_of(pipe.resize, task, 1 << 32) == EINVAL


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9000)), max_size=60))
def test_no_byte_is_lost(steps):
    pipe = Pipe()
    pipe.opened(True, True)
    written = read = b""
    number = 0
    for writing, length in steps:
        if writing:
            data = bytes((number + i) & 0xFF for i in range(length))
            done = pipe.put(data)
            number += done
            written += data[:done]
            assert len(pipe.slot_ends) <= pipe.max_slots
        else:
            assert pipe.peek(length) == written[len(read):len(read) + length]
            data = pipe.take(length)
            if len(data) > 1 and length % 2:
                pipe.put_back(data[1:])
                data = data[:1]
            read += data
        assert written.startswith(read)
        assert pipe.size == len(written) - len(read)
    assert read + pipe.take(1 << 20) == written
    assert not pipe.slot_ends
