"""What tests of several folders need."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runner import ROOT


@pytest.fixture
def everybodys_pylx() -> Iterator[Path]:
    """A copy of pylx and libunicorn that every user can read, with a directory `work` that every user can write."""
    import importlib.util
    place = Path(tempfile.mkdtemp(prefix="pylx-test-"))
    place.chmod(0o755)
    found = importlib.util.find_spec("unicorn")
    assert found is not None and found.origin is not None
    unicorn = Path(found.origin).parent
    hidden = shutil.ignore_patterns("__pycache__", "include")
    shutil.copytree(unicorn, place / "unicorn", ignore=hidden)
    for package in ("translator", "syscalls"):
        shutil.copytree(ROOT / package, place / package, ignore=hidden)
    (place / "pylx").write_text(f"import sys\nsys.path.insert(0, {str(place)!r})\n"
                                "from translator.cli import entry\nentry()\n")
    (place / "work").mkdir()
    (place / "work").chmod(0o777)
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    yield place
    shutil.rmtree(place)
