"""What the caller does to a poll before it is sent, and whom it asks for the time."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
import requests
from requests.auth import AuthBase

from polling_adapter import PollingPolicy, PollingSession, continuation_token
from polling_adapter.pending import Result, accepted, rate_limit_reset

from ..conftest import Open
from ..fake_clock import FakeClock
from ..server import DONE, Reply, Server, again, poll
from .ways import WAYS, Way

POLICY = PollingPolicy(jitter=0, min_wait=0, backoff_factor=0.001, pending=accepted)


class Counting(AuthBase):
    def __init__(self) -> None:
        self.number = 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self.number += 1
        request.headers["Authorization"] = f"Bearer {self.number}"
        return request


def tokens(server: Server) -> list[str | None]:
    return [seen.headers.get("Authorization") for seen in server.seen]


def test_each_poll_is_made_ready_once(server: Server, ask: Way) -> None:
    """A request that is sent again has a credential of its own, too."""
    server.script(
        again("0"), poll("/a"), again("0"), poll("/a"), Reply(202), Reply(502), poll("/b"), DONE
    )
    ask(POLICY.replace(before_poll=Counting()), "POST", server.url, headers={"Authorization": "0"})
    assert tokens(server) == ["0", "0", *(f"Bearer {n}" for n in range(1, 7))]


def test_another_request_may_be_sent_in_its_place(server: Server, ask: Way) -> None:
    server.script(poll("/a"), poll("/a"), poll("/b"), DONE)

    def signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
        other = request.copy()
        other.headers["Signature"] = request.url or ""
        return other

    response = ask(POLICY.replace(before_poll=signed), "POST", server.url)
    assert response.content == b"done"
    assert [seen.headers.get("Signature") for seen in server.seen] == [
        None,
        *(f"{server.url}{path}" for path in ("/a", "/a", "/b")),
    ]


def test_one_made_anew_is_still_of_the_call(server: Server, ask: Way) -> None:
    server.script(poll("/a"), Reply(502), again("0"), poll("/b"), DONE)

    def anew(request: requests.PreparedRequest) -> requests.PreparedRequest:
        return requests.Request(request.method, request.url, headers={"X": "1"}).prepare()

    assert ask(POLICY.replace(before_poll=anew), "POST", server.url).content == b"done"
    assert server.asked == ["POST /", "GET /a", "GET /a", "GET /a", "GET /b"]


def test_what_goes_to_another_origin_is_left_alone(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    server.script(poll(f"{elsewhere.url}/w"))
    elsewhere.script(poll("/w"), poll(f"{server.url}/back"))
    with connect(POLICY.replace(before_poll=Counting())) as session:
        server.answer = lambda seen: poll(f"{elsewhere.url}/w") if seen.path == "/" else DONE
        session.get(server.url)
    assert tokens(elsewhere) == [None, None]
    assert tokens(server)[1:] == ["Bearer 1"]


def test_a_call_that_polls_nothing_makes_nothing_ready(server: Server, connect: Open) -> None:
    server.script(again("0"), Reply(302, {"Location": "/x"}), DONE)
    with connect(POLICY.replace(before_poll=Counting())) as session:
        session.get(server.url)
    assert tokens(server) == [None, None, None]


def test_where_the_result_is_is_no_start(server: Server, ask: Way) -> None:
    server.script(Reply(202), DONE)
    policy = POLICY.replace(pending=lambda r: Result("/r"), before_poll=Counting())
    ask(policy, "POST", server.url)
    assert tokens(server) == [None, "Bearer 1"]


def test_a_bearer_token_that_is_renewed(server: Server, ask: Way, clock: FakeClock) -> None:
    """Every five minutes, in a job of twenty."""
    began = clock.now

    def answer(seen: Any) -> Reply:
        age = clock.now - began - float(seen.headers["Authorization"])
        assert 0 <= age <= 300
        return DONE if clock.now - began > 1200 else poll("/w", "30")

    server.answer = answer

    class Renewing(AuthBase):
        fetched = 0.0

        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            if clock.now - began - self.fetched > 250:
                self.fetched = clock.now - began
            request.headers["Authorization"] = str(self.fetched)
            return request

    auth = Renewing()
    policy = POLICY.replace(clock=clock, before_poll=auth)
    ask(policy, "POST", server.url, headers={"Authorization": "0"})
    assert auth.fetched > 1000
    assert len(server.seen) > 35


def test_P6_what_it_raises_loses_no_job(server: Server, connect: Open) -> None:
    server.script(poll("/w"), DONE)

    def expired(_: object) -> None:
        raise LookupError("no credential")

    with (
        connect(POLICY.replace(before_poll=expired)) as session,
        pytest.raises(LookupError) as caught,
    ):
        session.post(server.url)
    with PollingSession(policy=POLICY) as other:
        assert other.resume(continuation_token(caught.value) or "").result().content == b"done"
    assert server.asked == ["POST /", "GET /w"]


@pytest.mark.parametrize("poll_number", [1, 2])
@pytest.mark.parametrize("method", ["PUT", "GET", "POST"])
def test_P6_an_error_of_requests_that_it_raises_is_no_failed_poll(
    server: Server, connect: Open, method: str, poll_number: int
) -> None:
    """As where the server of credentials is down: nothing was sent that could be sent again."""
    server.script(poll("/w/1", "0", 301), poll("/w/2", "0", 301), DONE)
    calls = itertools.count(1)

    def refresh(_: object) -> None:
        if next(calls) == poll_number:
            raise requests.ConnectionError("no credential")

    with (
        connect(POLICY.replace(before_poll=refresh)) as session,
        pytest.raises(requests.ConnectionError, match="no credential") as caught,
    ):
        session.request(method, f"{server.url}/start")
    assert len(server.seen) == poll_number
    with PollingSession(policy=POLICY) as other:
        assert other.resume(continuation_token(caught.value) or "").result().content == b"done"
    assert [seen.path for seen in server.seen] == ["/start", "/w/1", "/w/2"]


def test_what_it_may_not_return(server: Server, connect: Open) -> None:
    server.script(poll("/w"), DONE)
    with (
        connect(POLICY.replace(before_poll=lambda _: 1)) as session,
        pytest.raises(TypeError, match="PreparedRequest, or None"),
    ):
        session.post(server.url)


def test_the_policy_names_a_time_where_the_server_does_not(
    server: Server, ask: Way, clock: FakeClock
) -> None:
    """As GitHub refuses, with a 403 too."""
    limited = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "40"}
    server.script(
        Reply(403, limited),
        Reply(202, {"Location": "/w"}),
        Reply(429, {"RateLimit-Reset": "7"}),
        DONE,
    )
    began = clock.now
    policy = POLICY.replace(
        clock=clock, retry_after=rate_limit_reset, retry_statuses={403, 429}, backoff_factor=1
    )
    assert ask(policy, "POST", server.url).content == b"done"
    assert server.asked == ["POST /", "POST /", "GET /w", "GET /w"]
    assert 40 + 1 + 7 <= clock.now - began < 48.2


def test_who_names_no_time_leaves_it_to_backoff(server: Server, connect: Open) -> None:
    asked = []

    def nothing(response: requests.Response) -> None:
        asked.append(response.status_code)

    policy = POLICY.replace(retry_after=nothing)
    server.script(poll("/w", "0"), poll("/w", "soon"), Reply(202), Reply(502), Reply(429), DONE)
    with connect(policy) as session:
        session.post(server.url)
        assert asked == [303, 202, 429]
        server.script(Reply(429))
        assert session.post(server.url).status_code == 429


@pytest.mark.parametrize("named", ["3", True, float("nan"), float("inf"), [], b"1"])
def test_what_is_no_number_of_seconds(server: Server, connect: Open, named: Any) -> None:
    server.script(Reply(429))
    with (
        connect(POLICY.replace(retry_after=lambda _: named)) as session,
        pytest.raises(TypeError, match="seconds, or None"),
    ):
        session.get(server.url)


def test_a_time_that_is_named_counts_against_the_limits(server: Server, connect: Open) -> None:
    server.script(Reply(429))
    policy = POLICY.replace(retry_after=lambda _: 50_000, total_timeout=None)
    began = time.monotonic()
    with (
        connect(policy) as session,
        pytest.raises(requests.RequestException) as caught,
    ):
        session.get(server.url)
    assert getattr(caught.value, "seconds", None) == 50_000
    assert time.monotonic() - began < 5


def test_what_it_does_is_for_one_request_only(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    """Not for the next, nor for the same again, nor for another origin, nor for a token."""
    server.script(poll("/a"), poll("/a"), Reply(502), again("0"), poll(f"{elsewhere.url}/b"), DONE)
    numbers = iter(range(1, 9))

    def signed(request: requests.PreparedRequest) -> None:
        request.headers["X-Signature"] = request.headers.get("X-Signature", "") + "x"
        request.prepare_url(request.url, {"n": next(numbers)})
        request.register_hook("response", lambda response, **_: response)

    with connect(POLICY.replace(before_poll=signed)) as session:
        response = session.get(server.url)
    assert [seen.headers.get("X-Signature") for seen in server.seen] == [None, *"xxxx"]
    assert server.asked[1:] == [f"GET /a?n={n}" for n in range(1, 5)]
    assert "X-Signature" not in elsewhere.seen[0].headers
    assert elsewhere.asked == ["GET /b"]
    assert len(response.request.hooks["response"]) == 0


def test_P3_hooks_that_it_registers_do_not_pile_up(server: Server, connect: Open) -> None:
    server.script(*[poll("/w")] * 60, DONE)
    sent = []
    digest = requests.auth.HTTPDigestAuth("u", "p")

    def with_digest(request: requests.PreparedRequest) -> requests.PreparedRequest:
        sent.append(digest(request))
        return sent[-1]

    with connect(POLICY.replace(before_poll=with_digest)) as session:
        session.get(server.url)
    assert {len(request.hooks["response"]) for request in sent} == {2}


@pytest.mark.parametrize("way", ["session", "mounted", "mixed", "begin", "submit"])
def test_P7_a_poll_that_is_made_ready_is_prepared_by_requests(server: Server, way: str) -> None:
    """Also where a start leads to itself, and was looked at before."""
    server.script(*[poll("/s", "0")] * 3, DONE)
    policy = POLICY.replace(before_poll=lambda request: None)
    WAYS[way](policy, "GET", f"{server.url}/s", headers={"Content-Type": "text/x"})
    assert [seen.headers.get("Content-Type") for seen in server.seen] == ["text/x", *[None] * 3]


class AsksAgain(requests.auth.AuthBase):
    """As HTTPDigestAuth, which answers any 4xx that names a scheme; and as hooks of one's own,
    which do it wherever they like."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.register_hook("response", self.answer)
        return request

    def answer(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        if response.ok or "X-Again" in response.request.headers:
            return response
        assert response.content == b""
        copy = response.request.copy()
        copy.headers["X-Again"] = "1"
        again: requests.Response = response.connection.send(copy, **kwargs)  # type: ignore[attr-defined]
        again.history.append(response)
        again.request = copy
        return again


def digest() -> requests.auth.AuthBase:
    return requests.auth.HTTPDigestAuth("u", "p")


@pytest.mark.parametrize(
    ("auth", "status"),
    [*[(digest, n) for n in (401, 403, 404)], *[(AsksAgain, n) for n in (401, 403, 404, 500)]],
)
def test_P1_what_a_hook_sends_where_a_poll_is_refused_is_a_poll(
    server: Server, connect: Open, clock: FakeClock, auth: Any, status: int
) -> None:
    scheme = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
    server.script(poll("/w"), Reply(status, scheme), poll("/w/2", "7"), DONE)
    policy = POLICY.replace(before_poll=lambda _: None, clock=clock, failure_statuses={502})
    began = clock.now
    with connect(policy) as session:
        assert session.post(server.url, auth=auth()).content == b"done"
    assert server.asked == ["POST /", "GET /w", "GET /w", "GET /w/2"]
    assert clock.now - began >= 7


@pytest.mark.parametrize("way", ["session", "mounted", "mixed", "begin", "submit"])
@pytest.mark.parametrize("port", ["99999", "abc"])
def test_P8_it_is_not_asked_where_an_address_cannot_be_read(
    server: Server, way: str, port: str
) -> None:
    server.script(poll("/w"), poll(f"http://127.0.0.1:{port}/w"))
    policy = POLICY.replace(before_poll=lambda _: None)
    with pytest.raises(requests.exceptions.InvalidURL) as caught:
        WAYS[way](policy, "GET", server.url)
    assert continuation_token(caught.value) is not None
