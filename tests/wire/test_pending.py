"""Answers that are polled although they are no redirects, in every way in (P3)."""

from __future__ import annotations

import gzip
import itertools
import json
import logging
import pickle
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import responses as responses_of_others

from polling_adapter import (
    Poller,
    PollingAdapter,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    WorkFailed,
    continuation_token,
)
from polling_adapter.pending import Result, accepted, any_of, created, json_field

from ..conftest import Open, mounted_adapter, polling_session
from ..fake_clock import FakeClock
from ..server import DONE, RESET, Reply, Seen, Server, again, poll, serving
from .ways import WAYS, Way, by_tokens

POLICY = PollingPolicy(jitter=0, min_wait=0, backoff_factor=0.001, pending=accepted)


def not_yet(location: str = "", retry_after: str = "", status: int = 202, **more: str) -> Reply:
    headers = {"Location": location, "Retry-After": retry_after, **more}
    return Reply(status, {name: value for name, value in headers.items() if value})


def said(status: str, **more: Any) -> Reply:
    body = json.dumps({"status": status, **more}).encode()
    return Reply(200, {"Content-Type": "application/json"}, body)


def test_P3_a_202_is_polled_where_it_says(server: Server, ask: Way) -> None:
    server.script(
        not_yet("/work/1?a=b"), not_yet("/work/2"), not_yet(), again("0", 429), Reply(502), DONE
    )
    response = ask(POLICY, "POST", f"{server.url}/start", data=b"body")
    assert response.content == b"done"
    where = ["POST /start", "GET /work/1?a=b"] + 4 * ["GET /work/2"]
    assert server.asked == where
    assert [seen.body for seen in server.seen] == [b"body"] + 5 * [b""]
    assert "Content-Type" not in server.seen[1].headers


@pytest.mark.parametrize(
    ("method", "then"), [("GET", "GET"), ("HEAD", "HEAD"), ("PUT", "GET"), ("DELETE", "GET")]
)
def test_P3_the_next_request_is_that_of_a_303(
    server: Server, ask: Way, method: str, then: str
) -> None:
    """RFC 9110 section 15.4.4."""
    server.script(not_yet("/w"), DONE)
    ask(POLICY, method, server.url)
    assert server.asked == [f"{method} /", f"{then} /w"]


def test_P3_content_location_of_a_202(server: Server, ask: Way) -> None:
    server.script(not_yet(**{"Content-Location": "/w"}), not_yet(), DONE)
    ask(POLICY, "GET", f"{server.url}/start")
    assert server.asked == ["GET /start", "GET /w", "GET /w"]


def test_P1_a_pending_answer_is_waited_for_as_long_as_it_asks(
    server: Server, ask: Way, clock: FakeClock
) -> None:
    server.script(not_yet("/w", "3"), not_yet("", "5"), DONE)
    began = clock.now
    ask(POLICY.replace(clock=clock), "POST", server.url)
    assert 8 <= clock.now - began < 8.2


def test_without_a_time_it_backs_off(server: Server, ask: Way, clock: FakeClock) -> None:
    server.script(*[not_yet("/w")] * 4, not_yet("/w", "2"), not_yet("/w"), DONE)
    began, policy = clock.now, POLICY.replace(clock=clock, backoff_factor=1)
    ask(policy, "POST", server.url)
    assert 1 + 2 + 4 + 8 + 2 + 1 <= clock.now - began < 18.2


def test_P3_statuses_in_json(server: Server, ask: Way) -> None:
    server.script(said("queued", id=7), said("running"), said("done", value=42))
    policy = POLICY.replace(pending=json_field("status", ["queued", "running"], url="/jobs/{id}"))
    response = ask(policy, "POST", f"{server.url}/start", json={})
    assert response.json()["value"] == 42
    assert server.asked == ["POST /start", "GET /jobs/7", "GET /jobs/7"]
    assert [seen.headers.get("Cache-Control") for seen in server.seen] == [None, *["no-cache"] * 2]


def test_what_a_result_names_stands_whatever_it_is(server: Server, ask: Way) -> None:
    server.script(not_yet("/w"), said("done"), Reply(202, {}, b"the result is a 202"))
    pending = any_of(accepted, json_field("status", "running", then="/result"))
    response = ask(POLICY.replace(pending=pending), "POST", f"{server.url}/start")
    assert (response.status_code, response.content) == (202, b"the result is a 202")
    assert server.asked == ["POST /start", "GET /w", "GET /result"]


def test_a_result_that_is_named_at_once(server: Server, ask: Way) -> None:
    server.script(said("done"), said("running"))
    policy = POLICY.replace(pending=json_field("status", "running", then="/result"))
    assert ask(policy, "POST", f"{server.url}/start").json() == {"status": "running"}
    assert server.asked == ["POST /start", "GET /result"]


def test_where_a_result_is_does_not_count_as_a_redirect(server: Server) -> None:
    server.script(said("done"), DONE)
    pending = json_field("status", "running", then="/result")
    with PollingSession(policy=POLICY.replace(pending=pending)) as session:
        session.max_redirects = 0
        assert session.post(server.url).content == b"done"


def test_work_that_failed_is_an_error_with_the_servers_own_words(server: Server, ask: Way) -> None:
    server.script(said("running"), said("failed", why="no disk"))
    pending = json_field("status", "running", failed="failed")
    with pytest.raises(WorkFailed) as caught:
        ask(POLICY.replace(pending=pending), "GET", f"{server.url}/w")
    error = caught.value
    assert error.response is not None
    assert error.request is not None
    assert error.response.json()["why"] == "no disk"
    assert error.response.url == error.url == error.request.url == f"{server.url}/w"
    assert error.polls == 1
    assert error.elapsed >= 0
    assert error.continuation_token is None
    assert continuation_token(error) is None


def test_a_poller_whose_work_failed(server: Server) -> None:
    server.script(said("running"), said("failed"))
    policy = POLICY.replace(pending=json_field("status", "running", failed="failed"))
    with PollingSession(policy=policy) as session:
        poller = session.begin("GET", server.url)
        assert isinstance(poller.exception(), WorkFailed)
        with pytest.raises(WorkFailed):
            poller.result()
        with pytest.raises(ValueError, match="nothing is left to resume"):
            poller.continuation_token()


def test_credentials_do_not_go_to_another_origin(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    server.script(not_yet(f"{elsewhere.url}/w"))
    with connect(POLICY) as session:
        response = session.get(f"{server.url}/start", headers={"Authorization": "secret"})
    for seen in elsewhere.seen:
        assert "Authorization" not in seen.headers
    if isinstance(session.get_adapter(server.url), PollingAdapter) and type(session) is (
        requests.Session
    ):
        assert response.status_code == 202
        assert elsewhere.seen == []
    else:
        assert response.content == b"done"
        assert elsewhere.asked == ["GET /w"]


@pytest.mark.parametrize("stream", [False, True])
def test_mounted_what_leads_elsewhere_is_handed_out(
    server: Server, elsewhere: Server, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    server.script(Reply(202, {"Location": f"{elsewhere.url}/w"}, b"not yet"))
    with mounted_adapter(POLICY) as session, caplog.at_level(logging.WARNING):
        response = session.post(server.url, stream=stream)
    assert (response.status_code, response.content) == (202, b"not yet")
    assert f"leads to {elsewhere.url}/w" in caplog.text
    token = continuation_token(response)
    with PollingSession(policy=POLICY) as session:
        assert session.resume(token or "").result().content == b"done"


def test_P5_redirects_and_pending_answers_in_one_chain(server: Server, ask: Way) -> None:
    server.script(
        poll("/a"),
        not_yet("/b"),
        Reply(307, {"Location": "/c"}),
        not_yet(),
        poll("/d", status=307),
        Reply(302, {"Location": "/e"}),
        not_yet("/f"),
        DONE,
    )
    assert ask(POLICY, "POST", f"{server.url}/start").content == b"done"
    assert server.asked == ["POST /start", *(f"GET /{at}" for at in "abccdef")]


def test_cookies_of_pending_answers_are_kept(server: Server, connect: Open) -> None:
    server.script(not_yet("/a/b", **{"Set-Cookie": "a=1; Path=/"}), not_yet(), DONE)
    with connect(POLICY) as session:
        session.post(server.url)
        assert [seen.headers.get("Cookie") for seen in server.seen] == [None, "a=1", "a=1"]
        assert dict(session.cookies) == {"a": "1"}


def test_P7_hooks_see_what_came(server: Server, connect: Open) -> None:
    server.script(not_yet("/w"), again("0"), not_yet(), DONE)
    seen = []
    with connect(POLICY) as session:
        session.post(server.url, hooks={"response": lambda r, **_: seen.append(r.status_code)})
    assert seen == [202, 202, 200]


def test_P3_the_history_has_what_came(server: Server) -> None:
    server.script(not_yet("/w"), not_yet(), DONE)
    with polling_session(POLICY) as session:
        response = session.post(server.url)
    assert [hop.status_code for hop in response.history] == [202, 202]
    assert response.request.method == "GET"
    assert response.url == f"{server.url}/w"


def test_P3_without_redirects_the_first_is_returned_and_the_next_is_known(server: Server) -> None:
    server.script(Reply(202, {"Location": "/w", "Retry-After": "0"}, b"not yet"), not_yet(), DONE)
    with polling_session(POLICY) as session:
        response = session.post(server.url, allow_redirects=False, stream=True)
        assert (response.status_code, response.content) == (202, b"not yet")
        assert response.next is not None
        assert response.next.url == f"{server.url}/w"
        token = continuation_token(response)
        assert session.send(response.next).content == b"done"
        assert session.resume(token or "").result().content == b"done"


def test_P10_a_token_says_that_its_job_has_a_pending(server: Server) -> None:
    server.script(not_yet("/w"), DONE)
    with PollingSession(policy=POLICY) as session:
        token = session.begin("POST", server.url).continuation_token()
    with PollingSession() as session:
        with pytest.raises(ValueError, match="pending="):
            session.resume(token)
        assert session.resume(token, polling=POLICY).result().content == b"done"


@pytest.mark.parametrize("reply", [RESET, Reply(502), again("0", 503), Reply(500)])
def test_P6_failed_polls_are_survived(server: Server, ask: Way, reply: Reply) -> None:
    server.script(not_yet("/w"), reply, not_yet(), reply, DONE)
    assert ask(POLICY, "POST", server.url).content == b"done"


def test_P6_what_a_predicate_raises_loses_no_job(server: Server, connect: Open) -> None:
    server.script(not_yet("/w"), DONE)

    def pending(_: requests.Response) -> bool:
        raise KeyboardInterrupt

    with connect(POLICY.replace(pending=pending)) as session, pytest.raises(KeyboardInterrupt) as e:
        session.post(server.url)
    with PollingSession(policy=POLICY) as other:
        assert other.resume(continuation_token(e.value) or "").result().content == b"done"
    assert server.asked == ["POST /", "GET /w"]


@pytest.mark.parametrize("said", [1, 0.5, [], {}, b"/w", object()])
def test_what_a_predicate_may_not_say(server: Server, connect: Open, said: Any) -> None:
    policy = POLICY.replace(pending=lambda _: said)
    with connect(policy) as session, pytest.raises(TypeError, match="Result"):
        session.get(server.url)


@pytest.mark.parametrize("said", [None, False, ""])
def test_what_says_that_it_is_the_result(server: Server, connect: Open, said: Any) -> None:
    """An address that is not there may be an empty one."""
    server.script(DONE)
    with connect(POLICY.replace(pending=lambda _: said)) as session:
        assert session.get(server.url).content == b"done"


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_what_cannot_be_decoded_is_streamed_as_it_came(
    server: Server, connect: Open, coding: str
) -> None:
    server.script(not_yet("/w"), Reply(200, {"Content-Encoding": coding}, b"no such coding"))
    pending = any_of(accepted, json_field("status", "running"))
    with connect(POLICY.replace(pending=pending)) as session:
        response = session.post(server.url, stream=True)
        assert response.raw.read() == b"no such coding"
        response.close()


def test_an_address_that_cannot_be_read(server: Server, connect: Open) -> None:
    server.script(not_yet("/w"), not_yet())
    addresses = iter([True, "http://["])
    policy = POLICY.replace(pending=lambda _: next(addresses))
    with connect(policy) as session, pytest.raises(requests.exceptions.InvalidURL) as caught:
        session.post(server.url)
    assert continuation_token(caught.value)


def test_addresses_that_are_no_ascii(server: Server, ask: Way) -> None:
    server.script(not_yet(), DONE)
    policy = POLICY.replace(pending=lambda r: r.status_code == 202 and "/wörk/ü")
    ask(policy, "POST", server.url)
    assert server.asked[1] == "GET /w%C3%B6rk/%C3%BC"


def plain(body: bytes) -> Reply:
    return Reply(200, {"Content-Type": "application/json"}, body)


def compressed(body: bytes) -> Reply:
    return Reply(200, {"Content-Encoding": "gzip"}, gzip.compress(body))


def chunked(body: bytes) -> Reply:
    return Reply(200, {}, lambda: iter([body[:10], body[10:20], body[20:]]))


def chunked_and_compressed(body: bytes) -> Reply:
    packed = gzip.compress(body)
    return Reply(200, {"Content-Encoding": "gzip"}, lambda: iter([packed[:7], packed[7:]]))


FORMS = [plain, compressed, chunked, chunked_and_compressed]
BODIES = [b'{"status": "done"}\nand\nmore', b'{"status": "done"}' + b" " * 300_000 + b"\nend"]


def content(response: requests.Response) -> bytes:
    return response.content


def in_parts(response: requests.Response) -> bytes:
    return b"".join(response.iter_content(1000))


def as_it_comes(response: requests.Response) -> bytes:
    return b"".join(response.iter_content(None))


def in_lines(response: requests.Response) -> bytes:
    return b"\n".join(response.iter_lines())


def raw_in_parts(response: requests.Response) -> bytes:
    return b"".join(response.raw.stream(999, decode_content=True))


def raw_read(response: requests.Response) -> bytes:
    return response.raw.read(decode_content=True)


READERS = [content, in_parts, as_it_comes, in_lines, raw_in_parts, raw_read]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("body", BODIES, ids=["short", "long"])
@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("connect", [polling_session, mounted_adapter], indirect=True)
def test_the_body_that_was_looked_at_is_as_if_it_were_not(
    server: Server, connect: Open, form: Callable[[bytes], Reply], body: bytes, read: Any
) -> None:
    server.script(form(body))
    policy = POLICY.replace(pending=json_field("status", "running"))
    with connect(policy) as session:
        for _ in range(2):
            with session.get(server.url, stream=True) as response:
                assert read(response) == body
        assert session.get(server.url).content == body
    assert server.connections == 1


def test_a_long_body_is_the_result_and_is_not_kept(server: Server, ask: Way) -> None:
    part = b"x" * 100_000

    def parts() -> Iterator[bytes]:
        for _ in range(300):
            yield part

    server.script(Reply(200, {}, parts))
    looked = []

    def pending(response: requests.Response) -> bool:
        looked.append(response)
        return "not yet" in response.text

    response = ask(POLICY.replace(pending=pending), "GET", server.url)
    assert len(response.content) == 30_000_000
    assert len(looked) == 1


def test_a_stream_of_events_is_handed_out_at_once(server: Server, ask: Way) -> None:
    def parts() -> Iterator[bytes]:
        yield b"data: 1\n\n"
        yield b"data: 2\n\n"

    server.script(Reply(200, {"Content-Type": "text/event-stream; charset=utf-8"}, parts))

    def pending(_: requests.Response) -> bool:
        raise AssertionError("it was asked about a stream of events")

    response = ask(POLICY.replace(pending=pending), "GET", server.url, stream=True)
    assert next(response.iter_lines()) == b"data: 1"
    response.close()


def test_a_predicate_that_does_not_look_at_the_body_reads_nothing(server: Server) -> None:
    gone = []

    def parts() -> Iterator[bytes]:
        yield b"1"
        gone.append(1)
        yield b"2"

    server.script(Reply(202, {}, parts), DONE)
    with polling_session(POLICY) as session:
        assert session.get(server.url).content == b"done"


def test_only_2xx_answers_are_asked_about(server: Server, connect: Open) -> None:
    asked = []

    def pending(response: requests.Response) -> None:
        asked.append(response.status_code)

    server.script(poll("/w"), Reply(502), again("0"), Reply(404))
    with connect(POLICY.replace(pending=pending)) as session:
        session.post(server.url)
        server.script(Reply(204))
        session.get(server.url)
    assert asked == [204]


def test_a_session_with_a_pending_pickles(server: Server) -> None:
    pending = any_of(accepted, created, json_field("a.0", [None], then="{b}"))
    with PollingSession(policy=POLICY.replace(pending=pending)) as session:
        restored = pickle.loads(pickle.dumps(session))
    assert restored.policy.pending == pending
    restored.close()


@pytest.mark.parametrize("field", ["pending", "retry_after", "before_poll"])
@pytest.mark.parametrize("value", [1, "x", [], object(), Result])
def test_wrong_arguments_are_refused_at_birth(field: str, value: Any) -> None:
    with pytest.raises(TypeError, match=field):
        PollingPolicy(**{field: value})


def test_polling_false_asks_nobody(server: Server) -> None:
    server.script(not_yet("/w"))
    with PollingSession(policy=POLICY) as session:
        assert session.post(server.url, polling=False).status_code == 202
    assert server.asked == ["POST /"]


def test_max_polls_counts_them(server: Server, connect: Open) -> None:
    server.script(not_yet("/w"))
    with (
        connect(POLICY.replace(max_polls=3)) as session,
        pytest.raises(requests.TooManyRedirects) as caught,
    ):
        session.post(server.url)
    assert len(server.seen) == 4
    assert "202 x 4" in str(caught.value)


def test_what_on_wait_is_told(server: Server, connect: Open) -> None:
    waits = []
    server.script(not_yet("/w", "0"), not_yet(), DONE)
    with connect(POLICY.replace(on_wait=waits.append)) as session:
        session.post(server.url)
    assert [wait.reason for wait in waits] == ["202, pending with Retry-After: 0", "202, pending"]
    assert [wait.response.status_code for wait in waits] == [202, 202]


def test_P10_one_call_and_tokens_are_the_same(clock: FakeClock) -> None:
    replies = [not_yet("/w"), not_yet("", "7"), RESET, not_yet(), said("x"), said("done"), DONE]
    pending = any_of(accepted, json_field("status", "x", then="/r"))
    policy = POLICY.replace(pending=pending, clock=clock, backoff_factor=1)
    found = []
    for way in (WAYS["session"], by_tokens):
        began = clock.now
        with serving() as server:
            server.script(*replies)
            way(policy, "POST", server.url)
        found.append((server.asked, round(clock.now - began, 1)))
    assert found[0] == found[1]


def test_a_poller_says_what_comes_next(server: Server) -> None:
    server.script(not_yet("/w", "9"))
    with PollingSession(policy=POLICY) as session:
        poller: Poller = session.begin("POST", server.url)
    assert (poller.url, poller.done()) == (f"{server.url}/w", False)
    assert 8 < poller.wait_seconds <= 9


def drips(parts: list[bytes], seconds: float) -> Callable[[], Iterator[bytes]]:
    def body() -> Iterator[bytes]:
        for part in parts:
            time.sleep(seconds)
            yield part

    return body


RUNNING = json_field("status", "running")


def test_a_pending_answer_that_is_late_is_no_result(server: Server, connect: Open) -> None:
    """Its end comes when no time is left."""
    server.script(Reply(200, {}, drips([b'{"status": ', b'"running"}', b" " * 9, b" "], 0.3)))
    policy = POLICY.replace(pending=RUNNING, total_timeout=0.5)
    began = time.monotonic()
    with connect(policy) as session, pytest.raises(requests.RequestException) as caught:
        session.get(server.url)
    assert time.monotonic() - began < 5
    server.script(not_yet("/w"), Reply(200, {}, drips([b'{"status": ', b'"running"}'], 0.4)), DONE)
    pending = any_of(accepted, RUNNING)
    policy = POLICY.replace(pending=pending, total_timeout=0.5)
    with connect(policy) as session, pytest.raises(PollingTimeout) as caught:
        session.get(server.url)
    with PollingSession(policy=POLICY.replace(pending=pending)) as other:
        assert other.resume(continuation_token(caught.value) or "").result().content == b"done"


def test_a_whole_answer_that_comes_at_the_last_moment_counts(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(Reply(303, {"Location": "/w", "Retry-After": "10"}), said("running"))
    policy = POLICY.replace(pending=RUNNING, total_timeout=10, clock=clock)
    with connect(policy) as session, pytest.raises(PollingTimeout):
        session.get(server.url)


def test_P9_the_callers_request_is_not_changed(server: Server, connect: Open) -> None:
    numbers = itertools.count(1)
    server.answer = lambda seen: not_yet(f"/{next(numbers)}") if seen.method == "POST" else DONE
    request = requests.Request("POST", server.url, data=b"body").prepare()
    with connect(POLICY) as session:
        for _ in range(2):
            response = session.send(request)
            assert (response.request.method, response.content) == ("GET", b"done")
            assert (request.method, request.body) == ("POST", b"body")
    assert server.asked == ["POST /", "GET /1", "POST /", "GET /2"]


@pytest.mark.parametrize("reply", [Reply(502), RESET, Reply(500)])
def test_P6_a_result_that_is_named_at_once_is_survived_for(
    server: Server, ask: Way, reply: Reply
) -> None:
    server.script(said("done"), reply, reply, DONE)
    policy = POLICY.replace(pending=json_field("status", "running", then="/result"))
    assert ask(policy, "POST", server.url).content == b"done"
    assert server.asked == ["POST /", *["GET /result"] * 3]


def test_P6_an_answer_that_is_no_result_where_it_was_named(server: Server, connect: Open) -> None:
    server.script(said("done"), Reply(404))
    policy = POLICY.replace(pending=json_field("status", "running", then="/result"))
    with connect(policy) as session:
        assert continuation_token(session.post(server.url))


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("stream", [False, True])
def test_P6_an_interruption_does_not_wait_for_the_body(
    server: Server, connect: Open, stream: bool
) -> None:
    server.script(Reply(202, {"Location": "/w"}, drips([b"x"] * 50, 0.2)), DONE)

    def pending(_: requests.Response) -> bool:
        raise Interrupted

    began = time.monotonic()
    with connect(POLICY.replace(pending=pending)) as session, pytest.raises(Interrupted) as caught:
        session.post(server.url, stream=stream)
    assert time.monotonic() - began < 5
    with PollingSession(policy=POLICY) as other:
        assert other.resume(continuation_token(caught.value) or "").result().content == b"done"


@pytest.mark.parametrize("first", ["running", "done"])
def test_P6_a_poller_asks_again_what_an_answer_means(server: Server, first: str) -> None:
    """It has the answer, and no other request can bring it again."""
    server.script(said(first, id=1), said("done"), Reply(404))
    asked = []
    known = json_field("status", "running", url="/jobs/{id}")

    def pending(response: requests.Response) -> Any:
        asked.append(1)
        said = known(response)
        if len(asked) == 1:
            raise Interrupted
        return said

    with PollingSession(policy=POLICY.replace(pending=pending)) as session:
        poller = session.submit("POST", server.url)
        with pytest.raises(Interrupted):
            poller.result()
        assert poller.result().json()["status"] == "done"
    assert server.asked == ["POST /", "GET /jobs/1"][: 2 if first == "running" else 1]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("checks", ["nothing", "the address", "that a nonce is new"])
def test_P7_digest_authentication(server: Server, connect: Open, checks: str, method: str) -> None:
    """Each request is challenged; requests' own handler counts anew after a redirect."""
    replies = iter([not_yet("/w"), not_yet(), not_yet(), DONE])
    nonces = itertools.count(1)
    new: list[str] = []

    def answer(seen: Seen) -> Reply:
        given = seen.headers.get("Authorization", "")
        nonce = re.search('nonce="([^"]*)"', given)
        is_known = bool(given)
        if checks == "the address":
            is_known = f'uri="{seen.path}"' in given
        elif checks == "that a nonce is new":
            is_known = nonce is not None and nonce[1] in new
        if is_known:
            new.clear()
            return next(replies)
        new[:] = [f"n{next(nonces)}"]
        challenge = f'Digest realm="r", nonce="{new[0]}", qop="auth"'
        return Reply(401, {"WWW-Authenticate": challenge})

    server.answer = answer
    with connect(POLICY) as session:
        auth = requests.auth.HTTPDigestAuth("u", "p")
        assert session.request(method, server.url, auth=auth).content == b"done"


class Handshake(requests.auth.AuthBase):
    """As requests_ntlm: it answers challenges to what has no credentials yet, in some steps."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.register_hook("response", self.answer)
        return request

    def answer(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        if "Authorization" in response.request.headers:
            return response
        while response.status_code == 401:
            assert response.content == b""
            copy = response.request.copy()
            copy.headers["Authorization"] = f"{copy.headers.get('Authorization', '')}+"
            response = response.connection.send(copy, **kwargs)  # type: ignore[attr-defined]
            response.request = copy
        return response


@pytest.mark.parametrize("challenged", ["/start", "/w", "/there"])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("status", [303, 307])
def test_P6_P7_a_start_or_a_poll_is_challenged(
    server: Server, elsewhere: Server, connect: Open, status: int, steps: int, challenged: str
) -> None:
    """The start is not sent to where its poll leads, nor are the credentials of another request."""

    def answer(seen: Seen) -> Reply:
        if seen.path == challenged and len(seen.headers.get("Authorization", "")) < steps:
            return Reply(401)
        leads = Reply(status, {"Location": f"{elsewhere.url}/there"})
        return not_yet("/w") if seen.path == "/start" else DONE if seen.path == "/there" else leads

    server.answer = elsewhere.answer = answer
    with connect(POLICY) as session:
        url = f"{server.url}/start"
        assert session.post(url, data=b"work", auth=Handshake()).content == b"done"
    assert {(seen.method, seen.path, seen.body) for seen in elsewhere.seen} == {
        ("GET", "/there", b"")
    }


def test_P7_a_start_and_its_result_are_challenged(server: Server, connect: Open) -> None:
    def answer(seen: Seen) -> Reply:
        if "Authorization" not in seen.headers and seen.path != "/w":
            return Reply(401)
        replies = {"/start": not_yet("/w"), "/w": Reply(303, {"Location": "/there"})}
        return replies.get(seen.path, DONE)

    server.answer = answer
    with connect(POLICY) as session:
        url = f"{server.url}/start"
        assert session.post(url, data=b"work", auth=Handshake()).content == b"done"


@pytest.mark.parametrize("way", ["session", "mounted", "begin"])
def test_P6_an_address_is_asked_though_the_status_cannot_be_decoded(
    server: Server, way: str
) -> None:
    named = {"Location": "/w", "Content-Encoding": "gzip"}
    server.script(Reply(202, named, b"no gzip"), DONE)
    pending = any_of(json_field("status", until="done"), accepted)
    response = WAYS[way](POLICY.replace(pending=pending), "POST", server.url)
    assert response.content == b"done"


@pytest.mark.parametrize("hooks", [[], [lambda *_, **__: None]], ids=["", "with a hook"])
def test_P7_polls_at_ones_own_address_are_what_requests_makes_of_a_redirect(
    server: Server, connect: Open, hooks: list[Any]
) -> None:
    server.script(not_yet(), not_yet(), DONE)
    with connect(POLICY) as session:
        headers = {"Content-Type": "a/b"}
        session.get(server.url, headers=headers, hooks={"response": hooks})
    assert [seen.headers.get("Content-Type") for seen in server.seen] == ["a/b", None, None]


@pytest.mark.parametrize("how", ["connection", "session", "by hand"])
def test_P6_the_request_of_a_poll_is_that_poll_whoever_sends_it_again(
    server: Server, connect: Open, how: str
) -> None:
    server.script(not_yet("/w"), Reply(303, {"Location": "/end"}), DONE)
    sent: list[requests.Response] = []

    def again(response: requests.Response, **kwargs: Any) -> None:
        assert response.request is not None
        if response.url.endswith("/w") and not sent:
            sent.append(response)
            if how == "connection":
                _ = response.connection.send(response.request, **kwargs).content
            elif how == "session":
                session.send(response.request, allow_redirects=False)

    with connect(POLICY) as session:
        response = session.post(f"{server.url}/start", json={}, hooks={"response": again})
        assert sent[0].request is not None
        if how == "by hand":
            response = session.send(sent[0].request)
    assert response.content == b"done"
    assert server.asked.count("POST /start") == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
def test_P6_a_poll_that_is_cut_short_while_it_is_looked_at(
    server: Server, connect: Open, stream: bool, chunked: bool
) -> None:
    half = b'{"status": "runn'

    def cut() -> Iterator[bytes]:
        yield half
        raise OSError

    reply = Reply(200, {}, cut) if chunked else Reply(200, {"Content-Length": "30"}, half)
    last = reply._replace(headers={**reply.headers, "Connection": "close"})
    server.script(not_yet("/w"), last, last, said("done"))
    pending = any_of(accepted, lambda response: response.json()["status"] == "running")
    with connect(POLICY.replace(pending=pending)) as session:
        assert session.post(server.url, stream=stream).json() == {"status": "done"}
    assert len(server.seen) == 4


def test_P6_the_address_counts_though_the_body_is_cut_short(server: Server, ask: Way) -> None:
    def cut() -> Iterator[bytes]:
        yield b"{"
        raise OSError

    server.script(Reply(202, {"Location": "/w", "Retry-After": "0"}, cut), DONE)
    assert ask(POLICY.replace(pending=any_of(RUNNING, accepted)), "POST", server.url).text == "done"


@pytest.mark.parametrize("stream", [False, True])
def test_P6_but_a_poll_that_is_cut_short_is_asked_again(
    server: Server, connect: Open, stream: bool
) -> None:
    """Only its body says whether a 201 with a Location is the result."""

    def cut() -> Iterator[bytes]:
        yield b"{"
        raise OSError

    whole = said("done")._replace(status=201, headers={"Location": "/thing"})
    server.script(not_yet("/w"), whole._replace(body=cut), whole)
    policy = POLICY.replace(pending=any_of(accepted, RUNNING))
    with connect(policy) as session:
        assert session.post(server.url, stream=stream).json()["status"] == "done"
    assert server.asked[1:] == ["GET /w", "GET /w"]


def test_P8_an_address_that_is_no_text(server: Server, connect: Open) -> None:
    server.script(Reply(200, {}, rb'{"status": "running", "href": "\ud800"}'))
    policy = POLICY.replace(pending=json_field("status", "running", url="{href}"))
    with connect(policy) as session, pytest.raises(requests.exceptions.InvalidURL):
        session.get(server.url)


def test_the_connection_of_an_empty_chunked_answer_is_kept(server: Server, connect: Open) -> None:
    server.script(Reply(200, {}, lambda: iter(())))
    with connect(POLICY.replace(pending=lambda r: r.text == "x")) as session:
        for _ in range(3):
            assert session.get(server.url).content == b""
    assert server.connections == 1


def test_a_class_above_that_asks_again_with_another_credential(server: Server) -> None:
    class Refreshing(PollingSession):
        def request(self, method: Any, url: Any, **kwargs: Any) -> Any:
            response = super().request(method, url, headers={"Authorization": "old"}, **kwargs)
            if response.status_code == 401:
                response = super().request(method, url, headers={"Authorization": "new"}, **kwargs)
            return response

    def answer(seen: Seen) -> Reply:
        if seen.headers.get("Authorization") != "new":
            return Reply(401)
        return poll("/w") if seen.method == "POST" else DONE

    server.answer = answer
    with Refreshing(policy=POLICY) as session:
        assert session.post(server.url).content == b"done"
        assert session.begin("POST", server.url).result().content == b"done"


def test_a_class_below_that_asks_again_with_another_credential(server: Server) -> None:
    """What is asked again then has it, too."""

    class Refreshing(requests.Session):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
            response = super().send(request, **kwargs)
            if response.status_code == 401:
                renewed = request.copy()
                renewed.headers["Authorization"] = "new"
                response = super().send(renewed, **kwargs)
            return response

    class Polling(PollingMixin, Refreshing):
        pass

    replies = iter([again("0", 503), DONE])

    def answer(seen: Seen) -> Reply:
        return next(replies) if seen.headers.get("Authorization") == "new" else Reply(401)

    server.answer = answer
    with Polling(policy=POLICY) as session:
        assert session.get(server.url).content == b"done"
    assert [seen.headers.get("Authorization") for seen in server.seen] == [None, "new", "new"]


@pytest.mark.parametrize("stream", [False, True])
def test_P9_by_hand_too_a_pending_answer_gives_its_connection_back(
    server: Server, stream: bool
) -> None:
    held = []

    def on_wait(wait: Any) -> None:
        held.append(wait.response.raw._connection)

    server.script(Reply(202, {"Location": "/w", "Retry-After": "0"}, b"x" * 200_000), DONE)
    with PollingSession(policy=POLICY.replace(on_wait=on_wait)) as session:
        request = session.prepare_request(requests.Request("POST", server.url))
        response = session.send(request, stream=stream, allow_redirects=False)
        (result,) = session.resolve_redirects(response, request)
        assert result.content == b"done"
    assert held == [None]


@responses_of_others.activate
def test_responses_of_a_mock_are_looked_at() -> None:
    responses_of_others.get("http://mocked/", body="hello")
    with PollingSession(policy=POLICY.replace(pending=lambda r: r.text == "x")) as session:
        assert session.get("http://mocked/").text == "hello"
        with session.get("http://mocked/", stream=True) as response:
            assert b"".join(response.iter_content(2)) == b"hello"


@pytest.mark.parametrize("form", ["chunked", "plain"])
def test_what_a_cache_stores_is_whole(server: Server, form: str) -> None:
    cachecontrol = pytest.importorskip("cachecontrol")
    body = b"x" * 200_000
    cached = {"Cache-Control": "max-age=60"}
    server.script(Reply(200, cached, (lambda: iter([body])) if form == "chunked" else body))
    with PollingSession(policy=POLICY.replace(pending=lambda r: r.text == "x")) as session:
        session.mount("http://", cachecontrol.CacheControlAdapter())
        for _ in range(3):
            assert session.get(server.url).content == body
    assert len(server.seen) == 1
