"""One step: a request is sent once, and its answer judged once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import requests

from polling_adapter import OutageTooLong, PollingPolicy, PollingTimeout
from polling_adapter._call.call import Call
from polling_adapter._call.exchange import attempt, until_answered
from polling_adapter._call.job import Next

from ..fake_clock import FakeClock
from .made import URL, answer, request

failures = pytest.mark.parametrize(
    "failure",
    [(502, None, None), requests.ReadTimeout(), requests.ConnectionError()],
    ids=["502", "ReadTimeout", "ConnectionError"],
)

Answers = Callable[[requests.PreparedRequest], requests.Response]


@pytest.fixture
def policy(clock: FakeClock) -> PollingPolicy:
    return PollingPolicy(clock=clock, jitter=0, min_wait=0)


def sender(call: Call, *answers: Any) -> Answers:
    """What sends a request of ``call``, and is answered by ``answers`` in turn: a status with a
    Location and a Retry-After, or an error."""
    coming = iter(answers)

    def send(sent: requests.PreparedRequest) -> requests.Response:
        call.sends(sent)
        call.goes_out()
        found = next(coming)
        if isinstance(found, BaseException):
            raise found
        status, location, wait = found
        return answer(sent, status, location, **({} if wait is None else {"Retry-After": wait}))

    return send


def step(call: Call, sent: requests.PreparedRequest, *answers: Any) -> requests.Response | Next:
    return attempt(call, lambda: sender(call, *answers)(sent), reads=True)


def polled(policy: PollingPolicy, status: int = 303) -> Call:
    """A call whose first request was answered by a poll, which is due."""
    call = Call(policy)
    step(call, request(method="POST"), (status, "/w", "0"))
    call.wait(Next(request(), call.job.due, call.job.response))
    return call


def test_P6_the_job_is_where_the_answer_says_as_soon_as_it_is_there(policy: PollingPolicy) -> None:
    call = Call(policy)
    response = step(call, request(method="POST"), (303, "/w/42", "3"))
    assert isinstance(response, requests.Response)
    assert call.job.response is response
    assert call.job.due is not None
    assert (call.job.due.at, call.job.due.poll) == (policy.clock.monotonic() + 3, True)
    upcoming: Any = call.upcoming()
    assert (upcoming.method, upcoming.url) == ("GET", "http://example.org/w/42")


def test_a_refusal_is_the_same_request_later(policy: PollingPolicy) -> None:
    call, first = Call(policy), request(method="POST")
    again = step(call, first, (429, None, "7"))
    assert isinstance(again, Next)
    assert again.request is first
    assert again.due is not None
    assert again.due.at == policy.clock.monotonic() + 7
    assert call.token() is not None


@pytest.mark.parametrize(
    "failure", [(502, None, None), requests.ReadTimeout(), requests.ConnectionError()]
)
def test_P6_a_poll_that_fails_is_the_same_request_later(
    policy: PollingPolicy, failure: object
) -> None:
    call, poll = polled(policy), request()
    again = step(call, poll, failure)
    assert isinstance(again, Next)
    assert again.request is poll
    assert call.job.progress.failures == 1


@pytest.mark.parametrize(
    "failure", [(502, None, None), requests.ReadTimeout(), requests.ConnectionError()]
)
def test_P6_a_start_that_fails_is_the_callers(policy: PollingPolicy, failure: Any) -> None:
    call, start = Call(policy), request(method="POST")
    if isinstance(failure, Exception):
        with pytest.raises(type(failure)) as caught:
            step(call, start, failure)
        assert caught.value is failure
    else:
        assert not isinstance(step(call, start, failure), Next)
    assert call.token() is None


def test_P6_a_start_that_is_not_answered_may_be_sent_again_where_that_is_safe(
    policy: PollingPolicy,
) -> None:
    for method, may in (("POST", False), ("PUT", True)):
        call = Call(policy)
        with pytest.raises(requests.ReadTimeout):
            step(call, request(method=method), requests.ReadTimeout())
        assert (call.token() is not None) is may


def test_it_is_sent_until_an_answer_stands(policy: PollingPolicy, clock: FakeClock) -> None:
    call, poll = polled(policy), request()
    began = clock.now
    send = sender(
        call, (502, None, None), requests.ConnectionError(), (429, None, "20"), (200, None, None)
    )
    response, last = until_answered(call, Next(poll, None, None), send, reads=True)
    assert (response.status_code, last) == (200, poll)
    assert clock.slept[-3:] == [0.5, 1.0, 20.0]
    assert clock.now == began + 21.5
    assert call.job.progress.failures == 0
    assert call.job.progress.tally() == "303 x 1, 502 x 1, ConnectionError x 1, 429 x 1, 200 x 1"


def test_P6_an_outage_that_lasts_too_long_is_the_end_and_says_how_to_go_on(
    policy: PollingPolicy, clock: FakeClock
) -> None:
    policy = policy.replace(outage_max=10)
    call, down = polled(policy), requests.ConnectionError("refused")
    send = sender(call, *[down] * 100)
    began = clock.now
    with pytest.raises(OutageTooLong, match="ConnectionError outlasts outage_max=10") as caught:
        until_answered(call, Next(request(), None, None), send, reads=True)
    assert clock.now >= began + 10
    assert caught.value.__cause__ is down
    assert caught.value.continuation_token is not None


def test_a_status_that_ends_the_job_is_returned_and_warned_of(
    policy: PollingPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    """Who does not look at it learns from the log that nobody polls any more."""
    call = polled(policy.replace(poll_failures=1))
    send = sender(call, *[(502, None, None)] * 2)
    with caplog.at_level(logging.WARNING, "polling_adapter"):
        response, _ = until_answered(call, Next(request(), None, None), send, reads=True)
    assert response.status_code == 502
    last = caplog.records[-1]
    assert last.levelname == "WARNING"
    assert last.getMessage() == f"{URL}: status 502 outlasts poll_failures=1"


def test_nothing_is_sent_when_the_time_is_over(policy: PollingPolicy, clock: FakeClock) -> None:
    call = polled(policy.replace(total_timeout=60))
    clock.now += 61
    with pytest.raises(PollingTimeout, match="0 s are left of total_timeout=60"):
        step(call, request(), AssertionError("it was sent"))
    assert call.token() is not None


@pytest.mark.parametrize("location", ["http://[", "//["])
def test_P6_where_its_address_cannot_be_read_the_poll_can_be_asked_again(
    policy: PollingPolicy, location: str
) -> None:
    call = polled(policy)
    assert not isinstance(step(call, request(), (303, location, "3")), Next)
    upcoming = call.upcoming()
    assert upcoming is not None
    assert upcoming.url == URL


def test_what_is_no_answer_of_ours_is_left_as_it_is(policy: PollingPolicy) -> None:
    call, other = Call(policy), object()
    assert attempt(call, lambda: other, reads=True) is other  # type: ignore[arg-type, return-value, comparison-overlap]


def test_exchanges_that_are_nested_are_undone(policy: PollingPolicy) -> None:
    call = Call(policy)
    assert call.exchange is None
    for failure in (KeyboardInterrupt(), ValueError()):
        with pytest.raises(type(failure)):
            step(call, request(), failure)
        assert call.exchange is None
