"""Run a command with some system calls failing: `deny_calls.py ERRNO CALLS COMMAND...`, CALLS as `101` or `317:1&8`
(only when argument 1 has one of these bits), joined by commas.  For machines that permit less than this one."""

from __future__ import annotations

import ctypes
import os
import struct
import sys

LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ERROR, ALLOW = 0x50000, 0x7FFF0000
NUMBER, ARGUMENTS = 0, 16
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER = 22, 38, 2


def filter_program(errno: int, calls: list[str]) -> bytes:
    """BPF (code, if true, if false, value)."""
    steps: list[tuple[int, int, int, int]] = [(LOAD, 0, 0, NUMBER)]
    for call in calls:
        number, _, condition = call.partition(":")
        if condition:
            argument, _, bits = condition.partition("&")
            steps += [(EQUAL, 0, 4, int(number)), (LOAD, 0, 0, ARGUMENTS + 8 * int(argument)),
                      (ANY_BIT, 0, 1, int(bits, 0)), (RETURN, 0, 0, ERROR | errno), (LOAD, 0, 0, NUMBER)]
        else:
            steps += [(EQUAL, 0, 1, int(number)), (RETURN, 0, 0, ERROR | errno)]
    steps.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def main() -> None:
    program = filter_program(int(sys.argv[1]), sys.argv[2].split(","))
    buffer = ctypes.create_string_buffer(program)
    head = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, FILTER, head, 0, 0):
        sys.exit(f"no filter here: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[3], sys.argv[3:])


if __name__ == "__main__":
    main()
