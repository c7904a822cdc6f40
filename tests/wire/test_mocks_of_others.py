"""What requests-mock and responses do besides, they do below a polling session too (P7)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
import responses
from requests_mock import ANY, Mocker
from requests_mock.exceptions import NoMockAddress
from responses import matchers, registries
from urllib3 import Retry

from polling_adapter import (
    PollingAdapter,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    WorkFailed,
)
from polling_adapter.pending import accepted, json_field

from ..conftest import MixedSession, Open
from ..fake_clock import FakeClock
from ..server import DONE, Server, poll

URL = "http://host.test"
WORK = {"Location": f"{URL}/w", "Retry-After": "3"}
FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)

kinds = pytest.mark.parametrize("kind", [PollingSession, MixedSession])
Kind = Callable[..., PollingMixin]


# requests-mock


@kinds
def test_requests_mock_counts_what_was_sent(
    requests_mock: Mocker, kind: Kind, clock: FakeClock
) -> None:
    start = requests_mock.post(f"{URL}/start", status_code=303, headers=WORK)
    work = requests_mock.get(
        f"{URL}/w", [{"status_code": 303, "headers": WORK}] * 3 + [{"text": "done"}]
    )
    with kind(policy=FAST.replace(clock=clock)) as session:
        assert session.post(f"{URL}/start", json={"a": 1}).text == "done"
    assert start.called_once
    assert start.last_request.json() == {"a": 1}
    assert work.call_count == 4
    assert clock.slept == [3] * 4


@kinds
def test_requests_mock_knows_no_such_address(requests_mock: Mocker, kind: Kind) -> None:
    """It is no failure of the network, but the job is where it was (P6)."""
    requests_mock.post(f"{URL}/start", status_code=303, headers={**WORK, "Retry-After": "0"})
    with kind(policy=FAST) as session:
        with pytest.raises(NoMockAddress):
            session.get(f"{URL}/unknown")
        with pytest.raises(NoMockAddress) as caught:
            session.post(f"{URL}/start")
    found: Any = caught.value
    assert found.continuation_token is not None
    assert [request.method for request in requests_mock.request_history] == ["GET", "POST", "GET"]


@kinds
def test_requests_mock_for_one_session(kind: Kind, server: Server) -> None:
    server.script(poll("/w"), DONE)
    with kind(policy=FAST) as mocked, kind(policy=FAST) as real:
        with Mocker(session=mocked) as mock:
            mock.post(f"{server.url}/start", status_code=303, headers={**WORK, "Retry-After": "0"})
            mock.get(f"{URL}/w", text="mocked")
            assert mocked.post(f"{server.url}/start").text == "mocked"
            assert real.post(f"{server.url}/start").text == "done"
        assert mocked.post(f"{server.url}/start").text == "done"


@kinds
def test_requests_mock_for_one_session_and_what_is_pending(kind: Kind, clock: FakeClock) -> None:
    """It puts a send() of its own on the session, around ours: what comes of it is seen where
    redirects are resolved."""
    policy = FAST.replace(clock=clock, pending=accepted)
    not_yet = {"status_code": 202, "headers": {"Retry-After": "3"}}
    with kind(policy=policy) as session, Mocker(session=session) as mock:
        mock.post(f"{URL}/start", status_code=202, headers=WORK)
        mock.get(f"{URL}/w", [not_yet, not_yet, {"text": "done"}])
        assert session.post(f"{URL}/start").text == "done"
    assert clock.slept == [3, 3, 3]
    assert [request.path for request in mock.request_history] == ["/start", "/w", "/w", "/w"]


@kinds
def test_requests_mock_for_one_session_and_a_policy_for_one_call(
    kind: Kind, clock: FakeClock
) -> None:
    with kind(policy=FAST) as session, Mocker(session=session) as mock:
        mock.post(f"{URL}/start", status_code=303, headers=WORK)
        mock.get(f"{URL}/w", [{"status_code": 303, "headers": WORK}, {"text": "done"}] * 2)
        policy = FAST.replace(clock=clock)
        assert session.post(f"{URL}/start", polling=policy).text == "done"
        assert clock.slept == [3, 3]
        began = time.monotonic()
        assert session.post(f"{URL}/start", polling=False).text == "done"
        assert time.monotonic() - began < 3


@kinds
def test_requests_mock_for_one_session_says_what_failed(kind: Kind, clock: FakeClock) -> None:
    pending = json_field("status", pending="running", failed="error")
    policy = FAST.replace(clock=clock, pending=pending)
    with kind(policy=policy) as session, Mocker(session=session) as mock:
        mock.get(f"{URL}/w", json={"status": "error"})
        with pytest.raises(WorkFailed) as caught:
            session.get(f"{URL}/w")
    assert caught.value.url == f"{URL}/w"


@kinds
def test_requests_mock_lets_the_rest_through(kind: Kind, server: Server) -> None:
    server.script(poll("/real"), poll("/real"), DONE)
    with Mocker(real_http=True) as mock, kind(policy=FAST) as session:
        mock.post(
            f"{URL}/start", status_code=303, headers={"Location": server.url, "Retry-After": "0"}
        )
        assert session.post(f"{URL}/start").text == "done"
    assert server.asked == ["GET /", "GET /real", "GET /real"]


@kinds
def test_requests_mock_with_functions(requests_mock: Mocker, kind: Kind) -> None:
    """Callbacks get the request and a context; matchers the request."""
    left = [2]

    def answer(request: Any, context: Any) -> str:
        left[0] -= 1
        if left[0] >= 0:
            context.status_code = 303
            context.headers.update({**WORK, "Retry-After": "0"})
        return f"{request.method} {request.path}"

    requests_mock.register_uri(ANY, ANY, text=answer)
    with kind(policy=FAST) as session:
        assert session.post(f"{URL}/start").text == "GET /w"
        assert session.get(f"{URL}/w", polling=False).text == "GET /w"


@kinds
def test_requests_mock_by_hand(requests_mock: Mocker, kind: Kind, clock: FakeClock) -> None:
    """Jobs, and redirects that are handed out."""
    requests_mock.post(f"{URL}/start", status_code=303, headers=WORK)
    requests_mock.get(f"{URL}/w", text="done")
    with kind(policy=FAST.replace(clock=clock)) as session:
        poller = session.begin("POST", f"{URL}/start")
        assert poller.wait_seconds == 3
        assert session.resume(poller.continuation_token()).result().text == "done"
        response = session.post(f"{URL}/start", allow_redirects=False)
        assert session.send(response.next).text == "done"  # type: ignore[arg-type]
    assert [round(seconds) for seconds in clock.slept] == [3, 3]


# responses


@responses.activate(registry=registries.OrderedRegistry)
def test_responses_in_order(connect: Open, clock: FakeClock) -> None:
    responses.post(f"{URL}/start", status=429, headers={"Retry-After": "2"})
    responses.post(f"{URL}/start", status=303, headers=WORK)
    responses.get(f"{URL}/w", status=503, headers={"Retry-After": "4"})
    responses.get(f"{URL}/w", status=303, headers=WORK)
    responses.get(f"{URL}/w", body="done")
    assert connect(FAST.replace(clock=clock)).post(f"{URL}/start").text == "done"
    assert [seconds for seconds in clock.slept if seconds] == [2, 3, 4, 3]
    responses.assert_call_count(f"{URL}/w", 3)


@responses.activate
def test_responses_matches_each_request(connect: Open) -> None:
    responses.post(
        f"{URL}/start",
        status=303,
        headers={**WORK, "Retry-After": "0"},
        match=[matchers.json_params_matcher({"a": 1}), matchers.header_matcher({"X-Own": "1"})],
    )
    responses.get(f"{URL}/w", body="done", match=[matchers.header_matcher({"X-Own": "1"})])
    session = connect(FAST)
    session.headers["X-Own"] = "1"
    assert session.post(f"{URL}/start", json={"a": 1}).text == "done"
    assert [call.response.status_code for call in responses.calls] == [303, 200]


@responses.activate
def test_responses_raises_what_it_was_given(connect: Open) -> None:
    responses.post(f"{URL}/start", status=303, headers={**WORK, "Retry-After": "0"})
    responses.get(f"{URL}/w", body=requests.ReadTimeout("too slow"))
    responses.get(f"{URL}/w", body="done")
    session = connect(FAST)
    assert session.post(f"{URL}/start").text == "done"
    responses.get(f"{URL}/broken", body=ValueError("own"))
    with pytest.raises(ValueError, match="own"):
        session.get(f"{URL}/broken")


@responses.activate
def test_responses_lets_the_rest_through(connect: Open, server: Server) -> None:
    server.script(poll("/real"), poll("/real"), DONE)
    responses.add_passthru(server.url)
    responses.post(f"{URL}/start", status=303, headers={"Location": server.url, "Retry-After": "0"})
    assert connect(FAST).post(f"{URL}/start").text == "done"
    assert server.asked == ["GET /", "GET /real", "GET /real"]


@responses.activate
def test_responses_with_functions(connect: Open) -> None:
    left = [3]

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        left[0] -= 1
        return (303, {**WORK, "Retry-After": "0"}, "") if left[0] else (200, {}, request.method)

    responses.add_callback("POST", f"{URL}/start", callback=answer)
    responses.add_callback("GET", f"{URL}/w", callback=answer)
    assert connect(FAST).post(f"{URL}/start").text == "GET"


@responses.activate
def test_responses_and_retries_of_urllib3(connect: Open, clock: FakeClock) -> None:
    """responses goes through ``max_retries`` itself; nothing is asked twice for it."""
    responses.get(f"{URL}/w", status=500)
    responses.get(f"{URL}/w", status=500)
    responses.get(f"{URL}/w", body="done")
    session = connect(FAST.replace(clock=clock))
    adapter: Any = session.get_adapter(URL)
    adapter.max_retries = Retry(3, status_forcelist=[500], backoff_factor=0)
    assert session.get(f"{URL}/w").text == "done"
    assert len(responses.calls) == 3


@responses.activate
def test_responses_by_hand(connect: Open, clock: FakeClock) -> None:
    responses.post(f"{URL}/start", status=303, headers=WORK)
    responses.get(f"{URL}/w", body="done")
    session = connect(FAST.replace(clock=clock))
    response = session.post(f"{URL}/start", allow_redirects=False)
    assert session.send(response.next).text == "done"  # type: ignore[arg-type]
    assert clock.slept == [3]


def test_responses_around_an_adapter_that_was_made_before(clock: FakeClock) -> None:
    adapter = PollingAdapter(policy=FAST.replace(clock=clock))
    with requests.Session() as session, responses.RequestsMock() as mock:
        session.mount("http://", adapter)
        mock.post(f"{URL}/start", status=303, headers=WORK)
        mock.get(f"{URL}/w", body="done")
        assert session.post(f"{URL}/start").text == "done"
    assert clock.slept == [3]
