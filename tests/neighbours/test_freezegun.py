"""freezegun stops the clocks of the process: waits are still waited for, and end."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from freezegun import freeze_time

from polling_adapter import PollingPolicy, PollingSession, RetryAfterTooLong

from ..conftest import Open
from ..server import DONE, Reply, Seen, Server, poll
from ..wire.ways import WAYS, Way

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


def instant() -> float:
    """By a clock that freezegun leaves alone."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


# Not in a fixture: pytest's own clock would stand still between tests.
frozen = pytest.mark.parametrize("ticks", [False, True], ids=["frozen", "ticking"])


@frozen
@pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS)
def test_waits_are_real(server: Server, ticks: bool, ask: Way) -> None:
    asked: list[float] = []
    replies = [poll("/w", "0.1"), poll("/w", "0.1"), DONE]

    def answer(_: Seen) -> Reply:
        asked.append(instant())
        return replies.pop(0)

    server.answer = answer
    with freeze_time("2027-01-01", tick=ticks):
        assert ask(FAST, "POST", server.url).text == "done"
    first, second, third = asked
    assert second - first >= 0.1
    assert third - second >= 0.1
    assert third - first < 2


@frozen
def test_an_http_date_is_read_by_the_frozen_clock(
    server: Server, connect: Open, ticks: bool
) -> None:
    """As the test writes it by that one. (Age: the answer is of a cache, so its Date is old.)"""
    server.script(poll("/w", "Fri, 01 Jan 2027 10:00:00 GMT", Age="1"))
    with freeze_time("2027-01-01", tick=ticks), pytest.raises(RetryAfterTooLong) as caught:
        connect(FAST).post(server.url)
    assert caught.value.seconds == pytest.approx(36000, abs=5)


@frozen
def test_a_token_falls_due_by_the_frozen_clock(server: Server, ticks: bool) -> None:
    server.script(poll("/w", "600"), DONE)
    with freeze_time("2027-01-01", tick=ticks) as time, PollingSession(policy=FAST) as session:
        token = session.begin("POST", server.url).continuation_token()
        assert session.resume(token).wait_seconds == pytest.approx(600, abs=5)
        time.tick(timedelta(seconds=605))
        poller = session.resume(token)
        assert poller.wait_seconds == 0
        assert poller.poll()
