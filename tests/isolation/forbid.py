"""Run a command where some system calls are refused with EPERM, as a container's seccomp profile does.

    python -m tests.isolation.forbid ptrace,seccomp -- command arguments

`notification` refuses only seccomp(2) with SECCOMP_FILTER_FLAG_NEW_LISTENER, as Linux before 5.0 does in effect.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

NUMBERS = {"ptrace": 101, "seccomp": 317, "memfd_create": 319, "pidfd_open": 434, "pidfd_getfd": 438,
           "timer_create": 222, "sched_setaffinity": 203}
EPERM, EINVAL = 1, 22
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, EQUAL, SET, RETURN = 0x20, 0x15, 0x45, 0x06
ERRNO, ALLOW = 0x00050000, 0x7FFF0000
NEW_LISTENER = 8


def program(forbidden: list[str]) -> bytes:
    """struct sock_filter array."""
    code: list[tuple[int, int, int, int]] = [(LOAD, 0, 0, 0)]
    for name in forbidden:
        if name == "notification":
            code += [(EQUAL, 0, 4, NUMBERS["seccomp"]), (LOAD, 0, 0, 16 + 8), (SET, 0, 1, NEW_LISTENER),
                     (RETURN, 0, 0, ERRNO | EINVAL), (LOAD, 0, 0, 0)]
        else:
            code += [(EQUAL, 0, 1, NUMBERS[name]), (RETURN, 0, 0, ERRNO | EPERM)]
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def forbid(names: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    filters = ctypes.create_string_buffer(program(names))
    described = struct.pack("<HxxxxxxQ", (len(filters) - 1) // 8, ctypes.addressof(filters))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, MODE_FILTER, described, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


if __name__ == "__main__":
    words, command = sys.argv[1], sys.argv[3:]
    forbid(words.split(","))
    os.execvp(command[0], command)
