"""A job that is carried by tokens, one request a process, is the same job (P10)."""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from polling_adapter import (
    Poller,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    RetryAfterTooLong,
    TooManyPolls,
    Wait,
    continuation_token,
)

from ..conftest import Open
from ..fake_clock import FakeClock
from ..server import DONE, RESET, Reply, Server, again, poll, serving
from .ways import WAYS, Way

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


def outcome(poller: Poller) -> Any:
    error = poller.exception()
    return type(error) if error is not None else poller.result().status_code


def by_tokens(session: PollingSession, url: str, clock: FakeClock, rest: float = 0.0) -> Any:
    """As a queue does it: resume, wait, poll once, hand the token over."""
    poller = session.begin("POST", url)
    while not poller.done():
        token = poller.continuation_token()
        clock.now += poller.wait_seconds + rest
        poller = session.resume(token)
        poller.poll()
    return outcome(poller)


def in_one_call(session: PollingSession, url: str) -> Any:
    try:
        return session.post(url).status_code
    except requests.RequestException as error:
        return type(error)


HOPS = [
    poll("/w", "1"),
    poll("/w", "30", 301),
    poll("/v", "soon"),
    poll("/w", "0"),
    again("2"),
    again("0"),
    again("5", 503),
    Reply(502),
    Reply(500),
    Reply(429),
    RESET,
    Reply(302, {"Location": "/w"}),
    DONE,
    Reply(404),
]


@settings(max_examples=40)
@given(hops=st.lists(st.sampled_from(HOPS), max_size=12), last=st.sampled_from(HOPS))
def test_P10_tokens_after_each_hop_equal_one_call(hops: list[Reply], last: Reply) -> None:
    found = []
    for way in ("call", "tokens", "tokens at rest"):
        clock = FakeClock()
        policy = PollingPolicy(clock=clock, jitter=0, total_timeout=300, max_polls=25)
        with serving() as server, PollingSession(policy=policy) as session:
            session.max_redirects = 4
            server.script(poll("/w", "1"), *hops, last)
            began = clock.now
            if way == "call":
                end = in_one_call(session, server.url)
            else:
                # What a token rests beyond its due costs no time.
                end = by_tokens(session, server.url, clock, 0 if way == "tokens" else 1000)
            waited = round(clock.now - began, 1) if way != "tokens at rest" else None
            found.append((end, server.asked, waited))
    call, tokens, at_rest = found
    assert tokens[:2] == call[:2] == at_rest[:2]
    assert tokens[2] == pytest.approx(call[2], abs=0.1 * len(call[1]))


@pytest.mark.parametrize("status", [301, 308])
def test_P10_caches_are_passed_by(server: Server, status: int) -> None:
    server.script(poll("/w", "0", status), poll("/w", "0", status), DONE)
    with PollingSession(policy=FAST) as session:
        poller = session.begin("GET", server.url)
        for _ in range(2):
            poller = session.resume(poller.continuation_token())
            poller.poll()
    sent = [seen.headers.get("Cache-Control") for seen in server.seen]
    assert sent == [None, "no-cache", "no-cache"]


@pytest.mark.parametrize("of_session", [False, True])
def test_P10_by_a_request_with_a_cache_control_of_its_own_too(
    server: Server, of_session: bool
) -> None:
    """A token does not hold the header; where the session has it, it is there again."""
    server.script(poll("/w", "0", 301), poll("/w", "0", 301), DONE)
    own = {"Cache-Control": "max-age=5"}
    with PollingSession(policy=FAST) as session:
        session.headers.update(own if of_session else {})
        poller = session.begin("GET", server.url, headers=own)
        for _ in range(2):
            poller = session.resume(poller.continuation_token())
            poller.poll()
    sent = [seen.headers.get("Cache-Control") for seen in server.seen]
    assert sent == (["max-age=5"] * 3 if of_session else ["max-age=5", "no-cache", "no-cache"])


def test_P2_what_is_due_stays_due(server: Server) -> None:
    server.script(poll("/w", "0.02"))
    with PollingSession(policy=FAST) as session:
        for _ in range(20):
            poller = session.begin("GET", server.url)
            time.sleep(poller.wait_seconds + 0.001)
            assert poller.wait_seconds == 0
            assert session.resume(poller.continuation_token()).wait_seconds == 0


def test_files_given_to_resume_are_sent(server: Server) -> None:
    server.script(again("0"), DONE)
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", server.url, files={"f": BytesIO(b"payload")})
        token = poller.continuation_token()
        session.resume(token, files={"f": BytesIO(b"payload")}).result()
    assert [b"payload" in seen.body for seen in server.seen] == [True, True]


def test_a_session_that_rewrites_addresses_resumes_at_the_right_one(server: Server) -> None:
    class ServiceSession(requests.Session):
        def request(self, method: str, url: Any, *args: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            return super().request(method, f"{server.url}{url}", *args, **kwargs)

    class Service(PollingMixin, ServiceSession):
        pass

    server.script(poll("/w"), DONE)
    with Service(policy=FAST) as session:
        token = session.begin("POST", "/start").continuation_token()
        assert session.resume(token, allow_redirects=True).result().text == "done"
    assert server.asked == ["POST /start", "GET /w"]


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.test\\@host.test/",
        "http://a b/",
        "http://a\tb/",
        "http://%31%32%37.0.0.1/",
        "http://[::1]x/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://127.0.0.1:99999/",
    ],
)
def test_an_address_that_is_read_in_two_ways_is_refused(server: Server, url: str) -> None:
    server.script(poll("/w"))
    with PollingSession(policy=FAST) as session:
        token = session.begin("POST", server.url).continuation_token()
        inside = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        del inside["check"]
        inside["url"] = url
        inside["check"] = zlib.crc32(json.dumps(inside, sort_keys=True).encode())
        forged = base64.urlsafe_b64encode(json.dumps(inside).encode()).decode()
        with pytest.raises(ValueError, match="url is no http"):
            session.resume(forged)


@pytest.mark.parametrize("status", [401, 404, 429, 502])
def test_P6_a_post_that_answers_a_poll_has_a_token_where_it_is_refused(
    server: Server, connect: Open, status: int
) -> None:
    server.script(poll("/w", "0", 307), Reply(status), DONE)
    response = connect(FAST).post(server.url, data=b"work")
    with PollingSession(policy=FAST) as session:
        token = continuation_token(response) or ""
        assert session.resume(token, data=b"work").result().text == "done"
    assert server.asked == ["POST /", "POST /w", "POST /w"]


def test_P6_a_post_that_brought_the_result_is_not_sent_again_by_a_token(server: Server) -> None:
    server.script(poll("/w", "0", 307), DONE)

    def fails(response: requests.Response, **_: Any) -> None:
        if response.content == b"done":
            raise RuntimeError

    with PollingSession(policy=FAST) as session, pytest.raises(RuntimeError) as caught:
        session.post(server.url, data=b"work", hooks={"response": fails})
    assert continuation_token(caught.value) is None


@pytest.mark.parametrize("way", ["session", "mixed", "begin", "submit"])
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_P6_a_start_that_got_half_an_answer_is_as_one_that_got_none(
    server: Server, way: str, method: str
) -> None:
    """A token sends it again where that begins nothing twice."""

    def half() -> Iterator[bytes]:
        yield b"do"
        raise ConnectionAbortedError

    server.script(Reply(200, {}, half), DONE)
    with pytest.raises(requests.exceptions.ChunkedEncodingError) as caught:
        WAYS[way](FAST, method, server.url)
    token = continuation_token(caught.value)
    assert (token is not None) == (method == "PUT")
    if token is not None:
        with PollingSession(policy=FAST) as session:
            assert session.resume(token).result().text == "done"


def test_P6_an_address_that_was_set_by_hand(server: Server) -> None:
    """Around what requests makes of it."""
    server.script(again("9"), DONE)
    with PollingSession(policy=FAST.replace(total_timeout=1)) as session:
        request = session.prepare_request(requests.Request("GET", server.url))
        request.url = f"{server.url}/w\xf6rk"
        with pytest.raises(PollingTimeout) as caught:
            session.send(request)
        token = continuation_token(caught.value) or ""
        assert session.resume(token, polling=FAST.replace(clock=FakeClock())).result().ok


def test_P6_a_poller_that_is_cancelled_has_a_token_wherever_it_was_led(server: Server) -> None:
    server.script(poll("/w"), poll("http://127.0.0.1:99999/"))
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", server.url)
        poller.poll()
        poller.cancel()
        assert session.resume(poller.continuation_token()).url == f"{server.url}/w"


def test_P10_a_location_that_nothing_can_be_sent_to_ends_a_job_by_tokens_too(
    server: Server,
) -> None:
    server.script(poll("/w"), poll("http://127.0.0.1:99999/"), poll("http://127.0.0.1:99999/"))
    with PollingSession(policy=FAST) as session:
        token = session.begin("POST", server.url).continuation_token()
        poller = session.resume(token)
        assert not poller.poll()
        with pytest.raises(ValueError, match="named no http"):
            poller.continuation_token()
        with pytest.raises(requests.exceptions.InvalidURL) as caught:
            poller.result()
        again = session.resume(continuation_token(caught.value) or "")
        assert again.url == f"{server.url}/w"


@pytest.mark.parametrize("params", [{"a": 1}, {"session": None}, None])
def test_P10_a_job_that_is_not_sent_yet(server: Server, params: Any) -> None:
    """By its token the very request is sent, parameters of the session included."""
    server.script(DONE)
    with PollingSession(policy=FAST) as session:
        session.params = {"session": "s"}
        job = session.submit("PUT", server.url, params=params)
        resumed = session.resume(job.continuation_token())
        assert resumed.url == job.url
        resumed.result()
        job.result()
    assert server.asked[0] == server.asked[1]


@pytest.mark.parametrize("given", [{"json": {}}, {"json": []}, {"data": b""}])
def test_P10_a_body_that_is_empty_is_one(server: Server, given: dict[str, Any]) -> None:
    with PollingSession(policy=FAST) as session:
        token = session.submit("POST", server.url, **given).continuation_token()
        with pytest.raises(ValueError, match="has a body"):
            session.resume(token)


class Pipe(BytesIO):
    def tell(self) -> int:
        raise OSError


def test_P6_a_body_that_cannot_be_rewound(server: Server) -> None:
    """It is given again with the token."""
    with PollingSession(policy=FAST) as session:
        for ended in (
            lambda: session.post(server.url, data=Pipe(b"body")),
            lambda: session.begin("POST", server.url, data=Pipe(b"body")).result(),
        ):
            server.script(poll("/w", status=307), DONE)
            with pytest.raises(requests.exceptions.UnrewindableBodyError) as caught:
                ended()
            token = continuation_token(caught.value) or ""
            assert session.resume(token, data=b"body").result().text == "done"
            assert server.seen[-1].path == "/w"
            assert server.seen[-1].body == b"body"


def test_P10_a_limit_that_counts_anew_counts_what_comes_next(server: Server) -> None:
    server.script(poll("/w"))
    with PollingSession(policy=FAST.replace(max_polls=3)) as session:
        with pytest.raises(TooManyPolls) as caught:
            session.post(server.url)
        server.seen.clear()
        resumed = session.resume(caught.value.continuation_token or "")
        assert resumed.polls == 4
        assert isinstance(resumed.exception(), TooManyPolls)
    assert server.asked == ["GET /w"] * 3


def test_P10_the_waits_of_a_token_are_those_that_follow(server: Server, clock: FakeClock) -> None:
    server.script(*[poll("/w", "1")] * 5, DONE)
    waits: list[Wait] = []
    policy = PollingPolicy(clock=clock, jitter=0, max_polls=3, on_wait=waits.append)
    with PollingSession(policy=policy) as session, pytest.raises(TooManyPolls) as caught:
        session.post(server.url)
    with PollingSession(policy=policy) as session:
        session.resume(caught.value.continuation_token or "").result()
    assert [wait.number for wait in waits] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "hops",
    [
        [poll("/w", "60")] * 4,
        [poll("/w", "1"), *[again("1")] * 9],
        [poll("/w", "1"), *[Reply(502, {"Retry-After": "1"})] * 9],
    ],
    ids=["jitter", "refusals in a row", "failures in a row"],
)
def test_P10_retry_after_max_is_for_what_the_server_asks(
    server: Server, clock: FakeClock, hops: list[Reply]
) -> None:
    """And not for what we add to it."""
    policy = PollingPolicy(clock=clock, retry_after_max=60 if len(hops) == 4 else 5)
    server.script(*hops, DONE)
    with PollingSession(policy=policy) as session:
        assert by_tokens(session, server.url, clock) == 200


def test_P10_of_a_wait_that_is_too_long_the_token_says_so_too(
    server: Server, clock: FakeClock
) -> None:
    server.script(poll("/w", "50"), DONE)
    with PollingSession(policy=PollingPolicy(clock=clock)) as session:
        token = session.begin("POST", server.url).continuation_token()
        with pytest.raises(RetryAfterTooLong) as caught:
            session.resume(token, polling=session.policy.replace(retry_after_max=49)).result()
    assert caught.value.seconds == 50


@pytest.mark.parametrize(
    ("replies", "changes"),
    [
        ([Reply(502, {"Retry-After": "60"})], {"poll_failures": 0}),
        ([Reply(500, {"Retry-After": "60"})] * 5, {}),
        ([Reply(504, {"Retry-After": "60"})] * 3, {"outage_max": 100}),
        ([again("60", 503)], {"retry_methods": [], "poll_failures": 0}),
        ([again("60", 429)], {"retry_statuses": [], "failure_statuses": []}),
        ([Reply(404, {"Retry-After": "60"})], {}),
    ],
    ids=["502", "500", "504", "503", "429", "404"],
)
def test_P1_a_token_of_an_answer_that_stands_waits_as_it_says(
    server: Server, ask: Way, clock: FakeClock, replies: list[Reply], changes: dict[str, Any]
) -> None:
    server.script(poll("/w", "1"), *replies, DONE)
    policy = PollingPolicy(clock=clock, jitter=0, **changes)
    response = ask(policy, "POST", server.url)
    assert response.status_code == replies[-1].status
    with PollingSession(policy=policy) as session:
        poller = session.resume(continuation_token(response) or "")
        assert poller.wait_seconds == pytest.approx(60, abs=0.01)
        clock.slept.clear()
        assert poller.result().text == "done"
    assert clock.slept == [pytest.approx(60, abs=0.01)]


LOCATIONS = ["http://host.test:99999/", "http://host.test:port/", "http://a..b/", "http://u:p@/"]


@pytest.mark.parametrize("way", ["session", "mounted", "mixed", "begin", "submit"])
@pytest.mark.parametrize("location", LOCATIONS)
def test_P6_a_location_that_nobody_can_ask_for(server: Server, way: str, location: str) -> None:
    """What named it can be asked again."""
    server.script(poll("/w"), poll(location), DONE)
    with pytest.raises(requests.RequestException) as caught:
        WAYS[way](FAST, "POST", server.url)
    with PollingSession(policy=FAST) as session:
        assert session.resume(continuation_token(caught.value) or "").result().text == "done"
    assert server.asked == ["POST /", "GET /w", "GET /w"]


@pytest.mark.parametrize(("status", "kept"), [(303, []), (307, ["Content-Type"])])
def test_P10_what_a_redirect_drops_the_session_does_not_add(
    server: Server, status: int, kept: list[str]
) -> None:
    names = ("Content-Type", "Cookie", "X-Own")
    for tokens in (False, True):
        server.seen.clear()
        server.script(poll("/w", "0", status), poll("/w", "0", status), DONE)
        with PollingSession(policy=FAST) as session:
            session.headers.update({"Content-Type": "a/b", "Cookie": "a=1", "X-Own": "1"})
            poller = session.begin("GET", server.url)
            while tokens and not poller.done():
                unsent = session.resume(poller.continuation_token())
                poller = session.resume(unsent.continuation_token())
                poller.poll()
            assert poller.result().text == "done"
        sent = [[name for name in names if name in seen.headers] for seen in server.seen]
        assert sent == [[*names], [*kept, "X-Own"], [*kept, "X-Own"]]


def test_P10_what_a_start_has_for_its_body_is_not_in_a_poll(server: Server) -> None:
    """The arguments of the start may be given again."""
    start: Any = {
        "headers": {"Content-Type": "a/b", b"Content-Encoding": "gzip", "X-Own": "1"},
        "data": b"work",
    }
    server.script(poll("/w"), poll("/w"), DONE)
    with PollingSession(policy=FAST) as session:
        session.post(server.url, **start)
        server.script(poll("/w"), poll("/w"), DONE)
        poller = session.begin("POST", server.url, **start)
        while not poller.done():
            poller = session.resume(poller.continuation_token(), **start)
            poller.poll()
    names = ("Content-Type", "Content-Encoding", "X-Own")
    sent = [[name for name in names if name in seen.headers] for seen in server.seen]
    assert sent[3:] == sent[:3]
    assert {seen.body for seen in (*server.seen[1:3], *server.seen[4:])} == {b""}


@pytest.mark.parametrize("way", ["session", "mixed", "begin", "submit", "tokens"])
def test_P3_P10_a_redirect_in_each_poll(server: Server, way: str) -> None:
    replies = [poll("/work"), Reply(302, {"Location": "/work/"})] * 35
    server.script(*replies, DONE)
    assert WAYS[way](FAST, "POST", server.url).content == b"done"
    assert len(server.seen) == 71
