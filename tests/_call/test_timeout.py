"""The timeout of one request."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from urllib3.util import Timeout

from polling_adapter._call.timeout import within

from ..fake_clock import FakeClock


@pytest.mark.parametrize(
    ("timeout", "bounded"),
    [
        (None, 10),
        (3, 3),
        (30.5, 10),
        ((3, 30), (3, 10)),
        ((None, 3), (10, 3)),
        ("soon", "soon"),
    ],
)
def test_it_ends_with_the_call(timeout: Any, bounded: Any, clock: FakeClock) -> None:
    assert within(clock.now + 10, clock, timeout) == bounded
    assert within(None, clock, timeout) == timeout


def test_it_is_never_nothing(clock: FakeClock) -> None:
    """urllib3 refuses 0."""
    assert within(clock.now - 1, clock, None) == 0.001


def test_urllib3s_own(clock: FakeClock) -> None:
    timeout = Timeout(connect=3, read=30)
    bounded = within(clock.now + 10, clock, timeout)
    assert (bounded.total, bounded.connect_timeout) == (10, 3)
    assert timeout.total is None
    longer = within(clock.now + 10, clock, Timeout(total=4))
    assert longer.total == 4


@pytest.mark.parametrize("timeout", [0, -1, True, "soon", (1, 2, 3), (1, "soon")])
def test_what_requests_refuses_it_still_refuses(timeout: Any, clock: FakeClock) -> None:
    bounded = within(clock.now + 10, clock, timeout)
    with requests.Session() as session, pytest.raises(ValueError, match="(?i)timeout"):
        session.get("http://127.0.0.1:9", timeout=bounded)
