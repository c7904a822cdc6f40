"""The fixtures for pytest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from polling_adapter.testing import FakeClock, PollingServer


@pytest.fixture
def polling_clock() -> Iterator[FakeClock]:
    """Waits between polls take no time in this test, whichever session's; ``slept`` has them."""
    from polling_adapter.testing import FakeClock

    with FakeClock() as clock:
        yield clock


@pytest.fixture
def polling_server() -> Iterator[PollingServer]:
    """A scripted HTTP server on this machine."""
    from polling_adapter.testing import PollingServer

    with PollingServer() as server:
        yield server
