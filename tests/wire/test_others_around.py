"""Classes of others above and below, auth handlers, mocks: what they send again is never early, and
nothing is started twice."""

from __future__ import annotations

import pickle
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import responses
from requests.auth import HTTPDigestAuth

from polling_adapter import (
    PollingAdapter,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    RetryAfterTooLong,
    continuation_token,
)

from ..conftest import MixedSession, Open
from ..fake_clock import FakeClock
from ..server import DONE, RESET, Reply, Seen, Server, again, poll
from .ways import Way

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


class Retrying(requests.Session):
    """Sends again, at once, what is answered by 500 or more."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        response = super().send(request, **kwargs)
        return super().send(request, **kwargs) if response.status_code >= 500 else response


class Above(Retrying, PollingSession):
    pass


class Below(PollingMixin, Retrying):
    pass


class Raising(PollingSession):
    """Its callers see no error statuses."""

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        response = super().request(*args, **kwargs)
        response.raise_for_status()
        return response


def in_one_call(session: PollingMixin, url: str) -> requests.Response:
    return session.post(url)


def as_a_job(session: PollingMixin, url: str) -> requests.Response:
    return session.begin("POST", url).result()


ways = pytest.mark.parametrize("send", [in_one_call, as_a_job])


@ways
@pytest.mark.parametrize("kind", [Above, Raising])
def test_P1_P6_who_sends_again_above_waits_as_asked(
    server: Server, clock: FakeClock, kind: type[PollingSession], send: Callable[..., Any]
) -> None:
    server.script(again("7", 503), poll("/w", "2"), again("3", 503), DONE)
    with kind(policy=FAST.replace(clock=clock)) as session:
        assert send(session, server.url).text == "done"
    assert server.asked == ["POST /", "POST /", "GET /w", "GET /w"]
    assert clock.slept == [7, 2, 3]


@ways
def test_P6_who_sends_again_below_starts_nothing_twice(
    server: Server, clock: FakeClock, send: Callable[..., Any]
) -> None:
    """Between us and requests it hurries, but its second answer counts, and the first no more."""
    server.script(again("7", 503), poll("/w", "2"), DONE)
    with Below(policy=FAST.replace(clock=clock)) as session:
        assert send(session, server.url).text == "done"
    assert server.asked == ["POST /", "POST /", "GET /w"]
    assert clock.slept == [2]


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("name", ["send", "request"])
def test_an_answer_in_our_place_is_the_result(status: int, name: str) -> None:
    """As a cache above gives it."""

    class Canned(PollingSession):
        pass

    def answer(*_: Any, **__: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response._content = status, b"canned"
        return response

    setattr(Canned, name, answer)
    with Canned(policy=FAST) as session:
        assert session.begin("POST", "http://host.test/").result().content == b"canned"


@pytest.mark.parametrize("unseen", [again("4"), again("4", 503), Reply(502)])
def test_P4_P7_what_digest_auth_has_sent_is_asked_again(
    server: Server, connect: Open, clock: FakeClock, unseen: Reply
) -> None:
    challenge = Reply(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    replies = iter([poll("/w", "1"), unseen, poll("/w", "2"), DONE])
    server.answer = lambda seen: next(replies) if "Authorization" in seen.headers else challenge
    session = connect(FAST.replace(clock=clock, backoff_factor=4))
    assert session.post(server.url, auth=HTTPDigestAuth("user", "secret")).text == "done"
    assert [seconds for seconds in clock.slept if seconds] == [1, 4, 2]


@pytest.mark.parametrize("unseen", [again(), again("0", 503), Reply(502), None])
@pytest.mark.parametrize("ready", [None, lambda request: None], ids=["", "before_poll"])
def test_P7_credentials_of_one_request_are_not_in_the_next(
    server: Server, ask: Way, unseen: Reply | None, ready: Any
) -> None:
    """A server that checks what RFC 7616 section 3.4.6 says: the uri is that of the request."""
    replies = iter([again("0"), poll("/w"), poll("/w/1"), unseen or poll("/w/1"), poll("/v"), DONE])

    def answer(seen: Seen) -> Reply:
        given = re.search('uri="([^"]*)"', seen.headers.get("Authorization", ""))
        if given is None:
            return Reply(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
        return next(replies) if given[1] == seen.path else Reply(400)

    server.answer = answer
    policy = FAST.replace(backoff_factor=0, before_poll=ready)
    assert ask(policy, "POST", server.url, auth=HTTPDigestAuth("user", "secret")).text == "done"


def test_P1_fragments_are_not_sent_and_do_not_matter(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    elsewhere = server.url.replace("127.0.0.1", "localhost")
    server.script(
        poll("/p", "1"), poll("/q#part", "2", 308), poll(f"{elsewhere}/w", "30"), poll("/v"), DONE
    )
    connect(FAST.replace(clock=clock)).get(f"{server.url}/start")
    assert [seconds for seconds in clock.slept if seconds] == [1, 2, 30]


def test_P1_a_request_that_somebody_looked_at_by_hand(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(poll("/w", "5"), DONE)
    session = connect(FAST.replace(clock=clock))
    response = session.post(server.url, allow_redirects=False)
    peeked: Any = session.resolve_redirects(response, response.request, yield_requests=True)
    upcoming = next(peeked)
    peeked.close()
    assert session.send(upcoming).text == "done"
    assert clock.slept == [5]


@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_a_redirect_that_was_pickled_is_followed(server: Server, kind: type[PollingMixin]) -> None:
    server.script(poll("/w"), DONE)
    with kind(policy=FAST) as session:
        response = session.post(server.url, allow_redirects=False)
        response = pickle.loads(pickle.dumps(response))
        found = list(session.resolve_redirects(response, response.request))
    assert [one.text for one in found] == ["done"]


class Slotted(requests.PreparedRequest):
    __slots__ = ("own",)


def test_P7_a_request_of_a_class_of_ones_own(server: Server, connect: Open) -> None:
    request = Slotted()
    request.prepare(method="GET", url=server.url, hooks={})
    request.own = "mine"
    response: Any = connect(FAST).send(request)
    assert response.request is request
    assert response.request.own == "mine"


def test_P7_what_an_adapter_leaves_on_a_request_is_there(connect: Open) -> None:
    with responses.RequestsMock() as mock:
        mock.get("http://host.test/", match=[])
        response: Any = connect(FAST).get("http://host.test/?a=b")
    assert response.request.params == {"a": "b"}


def test_P7_cookies_of_many_answers_of_a_mock(connect: Open) -> None:
    with responses.RequestsMock() as mock:
        for n in range(3):
            headers = {"Location": f"/{n + 1}", "Retry-After": "0", "Set-Cookie": f"c{n}=1; Path=/"}
            mock.get(f"http://host.test/{n}", status=303, headers=headers)
        mock.get("http://host.test/3", body="done")
        session = connect(FAST)
        session.get("http://host.test/0")
    assert sorted(session.cookies.keys()) == ["c0", "c1", "c2"]


def cut_short() -> Iterator[bytes]:
    yield b"no"
    raise ConnectionAbortedError


@pytest.mark.parametrize("status", [302, 404])
def test_P6_whatever_answers_a_poll_is_whole(server: Server, connect: Open, status: int) -> None:
    server.script(poll("/w"), Reply(status, {"Location": "/x"}, cut_short), poll("/w"), DONE)
    assert connect(FAST).post(server.url).text == "done"
    assert server.asked == ["POST /", "GET /w", "GET /w", "GET /w"]


def test_P8_a_body_that_drips_past_the_end_is_the_end(server: Server, connect: Open) -> None:
    def drip() -> Iterator[bytes]:
        for _ in range(20):
            time.sleep(0.05)
            yield b"x"

    server.script(Reply(303, {"Location": "/w", "Retry-After": "0"}, drip), DONE)
    with pytest.raises(PollingTimeout):
        connect(FAST.replace(total_timeout=0.5)).post(server.url)
    assert server.asked == ["POST /"]


def test_P6_no_advice_to_send_a_start_again(server: Server, connect: Open) -> None:
    server.script(Reply(fault="stall"))
    with pytest.raises(PollingTimeout, match="unknown whether the work has begun") as caught:
        connect(FAST.replace(total_timeout=0.1)).post(server.url)
    assert "resume with" not in str(caught.value)
    assert caught.value.continuation_token is None
    assert continuation_token(caught.value) is None


def test_P6_a_result_that_is_not_there_in_time_behind_a_start(server: Server) -> None:
    remaining = [again("0")]
    answered = threading.Event()

    def answer(_: object) -> Reply:
        if not remaining:
            answered.wait(5)
            return DONE
        return remaining.pop()

    server.answer = answer
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", server.url)
        sender = threading.Thread(target=poller.poll)
        sender.start()
        time.sleep(0.1)
        with pytest.raises(PollingTimeout) as caught:
            poller.result(timeout=0.1)
        answered.set()
        sender.join()
    assert caught.value.continuation_token is None


def test_P6_the_first_poll_of_a_job_that_an_error_has_ended(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(poll("/w", "99999"), Reply(502), RESET, DONE)
    with pytest.raises(RetryAfterTooLong) as caught:
        connect(FAST.replace(clock=clock)).post(server.url)
    no_limits = FAST.replace(clock=clock, total_timeout=None, retry_after_max=None)
    with PollingSession(policy=no_limits) as session:
        assert session.resume(caught.value.continuation_token or "").result().text == "done"


@pytest.mark.parametrize("status", [401, 404, 502])
def test_P6_an_answer_that_is_no_result_says_how_to_go_on(
    server: Server, connect: Open, status: int
) -> None:
    server.script(poll("/w"), Reply(status))
    response = connect(FAST.replace(poll_failures=0)).post(server.url)
    token = continuation_token(response)
    assert token is not None
    server.script(DONE)
    with PollingSession(policy=FAST) as session:
        assert session.resume(token).result().text == "done"
        assert continuation_token(session.get(server.url)) is None
        server.script(Reply(404))
        assert continuation_token(session.post(server.url)) is None
        server.script(poll("/w"), Reply(status), DONE)
        poller = session.begin("POST", server.url, polling=FAST.replace(poll_failures=0))
        assert poller.result().status_code == status
        assert session.resume(poller.continuation_token()).result().text == "done"
    assert server.asked[-1] == "GET /w"


@pytest.mark.parametrize("status", [401, 404, 502])
def test_P6_so_does_the_error_that_is_made_of_it(
    server: Server, connect: Open, status: int
) -> None:
    server.script(poll("/w"), Reply(status), Reply(status))
    session = connect(FAST.replace(poll_failures=0))
    with pytest.raises(requests.HTTPError) as caught:
        session.post(server.url).raise_for_status()
    token = continuation_token(caught.value)
    with pytest.raises(requests.HTTPError) as of_no_job:
        session.get(server.url).raise_for_status()
    assert continuation_token(of_no_job.value) is None
    assert continuation_token(requests.HTTPError("of nothing")) is None
    server.script(DONE)
    with PollingSession(policy=FAST) as other:
        assert other.resume(token or "").result().text == "done"


def test_P6_a_redirect_that_nobody_follows_says_how_to_go_on(server: Server, connect: Open) -> None:
    server.script(poll("/w"), DONE)
    token = continuation_token(connect(FAST).post(server.url, allow_redirects=False))
    with PollingSession(policy=FAST) as session:
        assert session.resume(token or "").result().text == "done"


@pytest.mark.parametrize(
    "location", ["http://[::1", "/r\xe9", "http://127.0.0.1:99999/x", "http://127.0.0.1:x/"]
)
@pytest.mark.parametrize("retry_after", [{"Retry-After": "0"}, {}])
@pytest.mark.parametrize("polls", [1, 2])
def test_P6_P8_a_location_that_cannot_be_read_in_the_middle_of_a_job(
    server: Server, connect: Open, location: str, retry_after: dict[str, str], polls: int
) -> None:
    """With a credential, requests reads the port, too."""
    unreadable = Reply(303, {"Location": location, **retry_after})
    server.script(*[poll("/w")] * polls, unreadable)
    with pytest.raises(requests.exceptions.InvalidURL, match="cannot be read") as caught:
        connect(FAST).post(server.url, auth=("user", "secret"))
    assert caught.value.response is not None
    server.script(DONE)
    with PollingSession(policy=FAST) as session:
        assert session.resume(continuation_token(caught.value) or "").result().text == "done"
    assert server.asked[-1] == "GET /w"


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:99999/", "http://a..test/", f"http://{'a' * 64}.test/"]
)
@pytest.mark.parametrize("retry_after", [{"Retry-After": "0"}, {}])
def test_P8_one_that_nothing_can_be_sent_to(
    server: Server, connect: Open, location: str, retry_after: dict[str, str]
) -> None:
    """Of some of these urllib3 alone finds it, and requests lets that through."""
    server.script(poll("/w"), Reply(303, {"Location": location, **retry_after}))
    with pytest.raises(requests.exceptions.InvalidURL) as caught:
        connect(FAST).post(server.url)
    assert caught.value.request is not None
    server.script(DONE)
    with PollingSession(policy=FAST) as session:
        assert session.resume(continuation_token(caught.value) or "").result().text == "done"
    assert server.asked == ["POST /", "GET /w", "GET /w"]


def test_P2_what_is_streamed_is_the_callers(server: Server, connect: Open) -> None:
    """No time of ours cuts its body; the caller's own timeout does."""

    def pausing() -> Iterator[bytes]:
        yield b"a"
        time.sleep(0.6)
        yield b"b"

    server.script(poll("/w"), Reply(200, {}, pausing))
    session = connect(FAST.replace(total_timeout=0.4))
    with session.post(server.url, stream=True) as response:
        assert response.content == b"ab"
    server.script(Reply(200, {}, pausing))
    with (
        session.get(server.url, stream=True, timeout=0.2) as response,
        pytest.raises(requests.ConnectionError),
    ):
        _ = response.content


def test_P2_a_poll_that_hangs_costs_no_more_than_poll_timeout(
    server: Server, connect: Open
) -> None:
    remaining = [poll("/w"), None, DONE]

    def answer(_: object) -> Reply:
        reply = remaining.pop(0)
        if reply is None:
            time.sleep(1.5)
            return RESET
        return reply

    server.answer = answer
    started = time.monotonic()
    assert connect(FAST.replace(poll_timeout=0.3)).post(server.url).text == "done"
    assert 0.3 <= time.monotonic() - started < 1.4


def test_the_policy_of_an_adapter_is_named() -> None:
    with pytest.raises(TypeError, match="policy="):
        PollingAdapter(PollingPolicy())  # type: ignore[arg-type]


def test_P6_secrets_in_addresses_are_not_shown(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    """Userinfo is nowhere, what is in a query in no message; the address itself has it."""
    server.script(poll("/w?sig=s3cret", "1"), poll("/w?sig=s3cret", "99999"))
    waits: list[Any] = []
    policy = FAST.replace(clock=clock, on_wait=waits.append)
    with pytest.raises(RetryAfterTooLong) as caught:
        connect(policy).post(server.url.replace("://", "://joe:passw0rd@"))
    assert "s3cret" not in str(caught.value)
    assert caught.value.url == f"{server.url}/w?sig=s3cret"
    assert [wait.url for wait in waits] == [f"{server.url}/w?sig=s3cret"]
    assert "passw0rd" not in f"{caught.value}{caught.value.url}{waits[0].job}"


@pytest.mark.parametrize("method", ["PUT", "GET", "POST"])
def test_P6_an_error_above_is_no_failure_of_the_request_before(server: Server, method: str) -> None:
    """Of a rate limiter whose own server is down, for one."""

    class Limited(PollingSession):
        sent = 0

        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            self.sent += 1
            if self.sent == 2:
                raise requests.ConnectionError("no limiter")
            return super().send(request, **kwargs)

    server.script(poll("/w", "0", 301), DONE)
    with Limited(policy=FAST) as session:
        with pytest.raises(requests.ConnectionError, match="no limiter") as caught:
            session.request(method, f"{server.url}/start")
        assert session.resume(continuation_token(caught.value) or "").result().text == "done"
    assert [seen.path for seen in server.seen] == ["/start", "/w"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, LookupError])
def test_P6_a_refusal_that_a_class_above_has_asked_again_is_over(
    server: Server, clock: FakeClock, error: type[BaseException]
) -> None:
    """What ends the call then is of the answer that came next."""

    class Again(PollingSession):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            response = super().send(request, **kwargs)
            return super().send(request, **kwargs) if response.status_code == 429 else response

    asked: list[int] = []

    def pending(response: requests.Response) -> bool:
        asked.append(response.status_code)
        if len(asked) == 1:
            raise error
        return response.status_code == 202

    server.script(again("5"), Reply(202, {"Location": "/w", "Retry-After": "5"}), DONE)
    with Again(policy=FAST.replace(clock=clock, pending=pending)) as session:
        with pytest.raises(error) as caught:
            session.post(f"{server.url}/start")
        assert session.resume(continuation_token(caught.value) or "").result().text == "done"
    assert server.asked == ["POST /start", "POST /start", "GET /w"]


def test_P7_a_request_that_answered_a_challenge_is_sent_again_by_hand(server: Server) -> None:
    """It is one of its own then: what follows is made of it."""
    challenge = Reply(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    server.answer = lambda seen: DONE if "Authorization" in seen.headers else challenge
    with PollingSession(policy=FAST) as session:
        answered = session.get(server.url, auth=HTTPDigestAuth("user", "secret")).request
        answered.headers["X-Own"] = "1"
        server.script(poll("/w"), poll("/v"), DONE)
        assert session.send(answered).text == "done"
    assert [seen.headers.get("X-Own") for seen in server.seen[2:]] == ["1", "1", "1"]
