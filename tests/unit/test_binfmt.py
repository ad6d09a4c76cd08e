"""#! lines, as fs/binfmt_script.c takes them apart."""

from __future__ import annotations

import pytest

from syscalls.abi.errno import ENOEXEC, LinuxError
from syscalls.binfmt import parse_script


@pytest.mark.parametrize(("head", "name", "argument"), [
    (b"#!/bin/sh\n", b"/bin/sh", None),
    (b"#! \t/bin/sh \t\nrest", b"/bin/sh", None),
    (b"#!/bin/sh -e -x \n", b"/bin/sh", b"-e -x"),
    (b"#!/bin/sh", b"/bin/sh", None),
    (b"#!/usr/bin/env python3", b"/usr/bin/env", b"python3"),
    (b"#!/bin/sh\0-x\nmore", b"/bin/sh", None),
    (b"#!/bin/sh " + b"a" * 300 + b"\n", b"/bin/sh", b"a" * 245),
    (b"#!", b"", None),
])
def test_interpreter_and_argument(head: bytes, name: bytes, argument: bytes | None) -> None:
    assert parse_script(head[:256]) == (name, argument)


@pytest.mark.parametrize("head", [b"#!\n", b"#! \t \n", b"#!/" + b"x" * 300])
def test_no_interpreter(head: bytes) -> None:
    with pytest.raises(LinuxError) as caught:
        parse_script(head[:256])
    assert caught.value.errno == ENOEXEC
