"""What the tests of the hosts share: each host that this system can be, with its process-wide effects undone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from translator.hosts import open_host
from translator.hosts.base import Host, HostError, HostTree

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ["linux", "portable"] if sys.platform == "linux" else ["portable"]

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the linux host needs Linux")


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    umask = os.umask(0)
    os.umask(umask)
    if sys.platform != "win32":
        from resource import RLIMIT_NOFILE, getrlimit, setrlimit
        limit = getrlimit(RLIMIT_NOFILE)
    try:
        yield open_host(request.param)
    finally:
        os.umask(umask)
        if sys.platform != "win32":
            setrlimit(RLIMIT_NOFILE, limit)


@pytest.fixture(params=["unconfined", "confined", "without-openat2"])
def tree(host: Host, request: pytest.FixtureRequest, tmp_path: Path,
         monkeypatch: pytest.MonkeyPatch) -> Iterator[HostTree]:
    if request.param == "without-openat2":
        if host.name != "linux":
            pytest.skip("of the linux host")
        from translator.hosts import linux_calls
        monkeypatch.setattr(linux_calls, "have_openat2", lambda dirfd: False)
    tree = host.tree(os.fsencode(tmp_path), request.param != "unconfined")
    yield tree
    tree.close()


def errno_of(call: object, *arguments: object) -> int:
    """The errno with which the call fails; 0 when it does not."""
    assert callable(call)
    try:
        call(*arguments)
    except HostError as error:
        return error.errno
    return 0


def can_link(tree: HostTree) -> bool:
    """Whether symbolic links can be made: Windows allows it to some."""
    if errno_of(tree.symlink, b"x", b"can-link"):
        return False
    tree.unlink(b"can-link")
    return True
