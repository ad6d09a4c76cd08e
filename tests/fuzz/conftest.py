from __future__ import annotations

from collections.abc import Iterator

import pytest

from syscalls.fuzz.campaign import Campaign
from syscalls.fuzz.command import pylx_prefix
from syscalls.fuzz.sides import FuzzError
from tests.runner import ENGINES


@pytest.fixture(scope="session", params=ENGINES)
def campaign(request: pytest.FixtureRequest) -> Iterator[Campaign]:
    """A native side and one engine, started once: they serve all programs of a test run."""
    made = Campaign({request.param: pylx_prefix(request.param)})
    try:
        made.native.start()
    except FuzzError as error:
        pytest.skip(str(error))
    yield made
    made.close()
