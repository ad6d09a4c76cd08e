from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def built(pytestconfig: pytest.Config) -> dict[str, Path]:
    """Where compiled guest programs are kept between runs."""
    cache = pytestconfig.cache
    assert cache is not None
    return {"cache": Path(cache.mkdir("guest-programs"))}
