"""The ptrace engine's own numbers against python-ptrace, and its assembled code against what it says it is."""

from __future__ import annotations

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("Linux only", allow_module_level=True)

from translator.engines import pico, ptrace_binding
from translator.engines.decode import writes_memory
from translator.engines.seccomp import RET_ALLOW, RET_TRACE, guest_filter


def test_numbers_are_those_of_python_ptrace() -> None:
    func = pytest.importorskip("ptrace.binding.func")
    for name in ("PTRACE_CONT", "PTRACE_KILL", "PTRACE_GETREGS", "PTRACE_SETREGS", "PTRACE_GETSIGINFO",
                 "PTRACE_GETEVENTMSG", "PTRACE_GETREGSET", "PTRACE_SETREGSET"):
        if hasattr(func, name):
            assert getattr(ptrace_binding, name) == getattr(func, name), name


def test_stub_has_its_instructions_where_the_filter_expects_them() -> None:
    code = pico.STUB_CODE
    assert code[pico.CALL - pico.STUB:pico.AFTER_CALL - pico.STUB] == b"\x0f\x05"
    resume = pico.RESUME - pico.STUB
    assert code[resume:resume + 10] == b"\x48\xbb" + pico.COMMANDS.to_bytes(8, "little")
    assert code[-3:-2] == b"\xcc"


def run_filter(program: bytes, data: dict[int, int]) -> int:
    """Interpret the few BPF instructions that guest_filter uses."""
    at = accumulator = 0
    while True:
        code = int.from_bytes(program[at:at + 2], "little")
        yes, no = program[at + 2], program[at + 3]
        value = int.from_bytes(program[at + 4:at + 8], "little")
        at += 8
        if code == 0x20:
            accumulator = data.get(value, 0)
        elif code == 0x15:
            at += 8 * (yes if accumulator == value else no)
        else:
            assert code == 6
            return value


@pytest.mark.parametrize("notify", [True, False])
def test_filter_allows_only_the_stub_with_the_secret(notify: bool) -> None:
    secret = 0x1122_3344_5566_7788
    program = guest_filter(pico.AFTER_CALL, secret, notify)
    native = 0xC000003E
    stub = {4: native, 8: pico.AFTER_CALL & 0xFFFFFFFF, 12: pico.AFTER_CALL >> 32}
    right = {56: secret & 0xFFFFFFFF, 60: secret >> 32}
    assert run_filter(program, {**stub, 0: 11, **right}) == RET_ALLOW
    assert run_filter(program, {**stub, 0: 9, 52: secret & 0xFFFFFFFF, 44: secret >> 32}) == RET_ALLOW
    # rseq(2) needs no secret: a guest thread makes it.
    assert run_filter(program, {**stub, 0: 334}) == RET_ALLOW
    for forged in ({0: 11}, {0: 11, 56: secret & 0xFFFFFFFF}, {0: 9, **right}, {0: 11, 52: secret & 0xFFFFFFFF},
                   {0: 9, 52: secret & 0xFFFFFFFF}, {0: 9, 44: secret >> 32}):
        assert run_filter(program, {**stub, **forged}) >> 16 == 3
    assert run_filter(program, {4: native, 0: 11, 8: 0x400000, **right}) != RET_ALLOW
    assert run_filter(program, {4: native, 0: 59, 8: 0x400000, **right}) == RET_TRACE
    assert run_filter(program, {4: 0x40000003, 0: 11, 8: pico.AFTER_CALL & 0xFFFFFFFF, 12: pico.AFTER_CALL >> 32,
                                **right}) >> 16 == 3


@pytest.mark.parametrize(("code", "writes"), [
    ("8908", True), ("8b08", False), ("48c70000000000", True), ("f3a4", True), ("f3aa", True), ("6601442408", True),
    ("833801", False), ("830001", True), ("0f1100", True), ("0f1000", False), ("c5fe7f00", True), ("c5fe6f00", False),
    ("f00fb10a", True), ("50", True), ("58", False), ("ff30", False), ("ff00", True), ("dd18", True), ("dd00", False),
    ("62f17c481100", True), ("f30f7e00", False)])
def test_which_instructions_write(code: str, writes: bool) -> None:
    assert writes_memory(bytes.fromhex(code).ljust(15, b"\x90")) is writes
