"""``result(timeout)`` is over when it says, also while a poll of its own is under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from polling_adapter import (
    Poller,
    PollingAdapter,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    Wait,
)

from ..conftest import MixedSession
from ..server import DONE, RESET, Reply, Seen, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)

kinds = pytest.mark.parametrize("kind", [PollingSession, MixedSession])
asks = pytest.mark.parametrize("ask", ["result", "exception"])


class Slow:
    """A server whose first poll is answered by ``stalled``, which takes three seconds, or until the
    test is over; all others at once."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.over = threading.Event()

    def polls(self, stalled: Callable[[], Reply], start: Reply | None = None) -> None:
        polls: list[Seen] = []

        def answer(seen: Seen) -> Reply:
            if seen.path == "/start":
                return start or poll("/w")
            polls.append(seen)
            return stalled() if len(polls) == 1 else DONE

        self.server.answer = answer

    def reply(self) -> Reply:
        self.over.wait(3)
        return DONE

    def body(self) -> Reply:
        def body() -> Iterator[bytes]:
            yield b"do"
            self.over.wait(3)
            yield b"ne"

        return Reply(200, {}, body)

    def drip(self) -> Reply:
        def body() -> Iterator[bytes]:
            for _ in range(60):
                self.over.wait(0.05)
                yield b"x"

        return poll("/w", "0")._replace(body=body)


@pytest.fixture
def slow(server: Server) -> Iterator[Slow]:
    slow = Slow(server)
    yield slow
    slow.over.set()


def seconds_until_over(poller: Poller, timeout: float, ask: str = "result") -> float:
    began = time.monotonic()
    with pytest.raises(PollingTimeout, match=f"no result within timeout={timeout} s"):
        getattr(poller, ask)(timeout=timeout)
    return time.monotonic() - began


def counters(poller: Poller) -> Any:
    return poller._call.job.progress


@kinds
@asks
def test_a_poll_that_stalls_is_cut_and_asked_again(
    server: Server, slow: Slow, kind: Callable[..., PollingSession], ask: str
) -> None:
    slow.polls(slow.reply)
    with kind(policy=FAST) as session:
        poller = session.begin("POST", f"{server.url}/start")
        before = counters(poller)
        assert 0.6 <= seconds_until_over(poller, 0.6, ask) < 1.5
        assert server.asked == ["POST /start", "GET /w"]
        assert not poller.done()
        assert (poller.polls, poller.wait_seconds) == (1, 0)
        assert counters(poller) == before  # it is no failed poll
        assert poller.result(timeout=5).text == "done"
        assert counters(poller).polls == 1
    assert server.asked == ["POST /start", "GET /w", "GET /w"]


@kinds
def test_an_answer_whose_body_stalls_is_cut_too(
    server: Server, slow: Slow, kind: Callable[..., PollingSession]
) -> None:
    slow.polls(slow.body)
    with kind(policy=FAST) as session:
        poller = session.begin("POST", f"{server.url}/start")
        before = counters(poller)
        assert seconds_until_over(poller, 0.6) < 2
        assert counters(poller) == before
        assert poller.result().text == "done"
    assert server.asked == ["POST /start", "GET /w", "GET /w"]


@pytest.mark.parametrize(
    ("status", "headers"),
    [(200, {}), (201, {"Location": "/made"}), (202, {"Location": "/w/2"}), (404, {})],
)
def test_P1_when_half_an_answer_says_the_poll_is_asked_again(
    server: Server, slow: Slow, status: int, headers: dict[str, str]
) -> None:
    """And as the status was yet to come, nobody knows whether its Location is to be polled."""
    stalls = Reply(status, {**headers, "Retry-After": "7"}, slow.body().body)
    slow.polls(lambda: stalls)
    told: list[Wait] = []
    policy = FAST.replace(pending=lambda one: one.json() == "pending", on_wait=told.append)
    with PollingSession(policy=policy) as session:
        poller = session.begin("POST", f"{server.url}/start")
        before = counters(poller)
        assert seconds_until_over(poller, 0.6) < 2
        assert 6 < poller.wait_seconds <= 7
        assert counters(poller)._replace(pauses=0) == before._replace(pauses=0)
        assert told[-1].url == f"{server.url}/w"
        assert 6 < told[-1].seconds <= 7
        assert not poller.poll()
        resumed = session.resume(poller.continuation_token())
        assert 6 < resumed.wait_seconds <= 7.002
    assert server.asked == ["POST /start", "GET /w"]


def test_what_hooks_have_seen_is_cut_too(server: Server, slow: Slow) -> None:
    seen: list[int] = []
    slow.polls(lambda: slow.body()._replace(status=404))
    with PollingSession(policy=FAST) as session:
        hooks = {"response": lambda response, **_: seen.append(response.status_code)}
        poller = session.begin("POST", f"{server.url}/start", hooks=hooks)
        assert seconds_until_over(poller, 0.6) < 2
        assert poller.result().text == "done"
    assert seen == [303, 404, 200]


def test_the_body_of_a_poll_that_drips_is_not_waited_for(server: Server, slow: Slow) -> None:
    slow.polls(slow.drip)
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", f"{server.url}/start")
        assert seconds_until_over(poller, 0.6) < 1.5
        assert poller.polls == 2  # it was answered
        assert poller.result().text == "done"
    assert server.asked == ["POST /start", "GET /w", "GET /w"]


def test_the_first_request_of_a_resumed_job_is_cut_too(server: Server, slow: Slow) -> None:
    slow.polls(slow.reply)
    with PollingSession(policy=FAST) as session:
        token = session.begin("POST", f"{server.url}/start").continuation_token()
        poller = session.resume(token)
        assert seconds_until_over(poller, 0.6) < 1.5
        assert poller.continuation_token() is not None
        assert session.resume(poller.continuation_token()).result().text == "done"
        assert poller.result().text == "done"
    assert server.asked == ["POST /start", *["GET /w"] * 3]


def test_failures_before_it_are_neither_forgotten_nor_more(server: Server, slow: Slow) -> None:
    replies = iter([poll("/w"), RESET, Reply(502)])

    def answer(_: Seen) -> Reply:
        reply = next(replies, None)
        return slow.reply() if reply is None else reply

    server.answer = answer
    policy = FAST.replace(poll_failures=2, backoff_factor=0.01)
    with PollingSession(policy=policy) as session:
        poller = session.begin("POST", server.url)
        assert not poller.poll()
        time.sleep(poller.wait_seconds)
        assert not poller.poll()
        before = counters(poller)
        assert before.failures == 2
        assert seconds_until_over(poller, 0.6) < 1.5
        assert counters(poller) == before
        assert poller.wait_seconds == 0
        assert seconds_until_over(poller, 0.6) < 1.5  # one failed poll more would end the job
        server.answer = lambda _: DONE
        assert poller.result().text == "done"


def test_the_callers_own_timeout_is_still_a_failed_poll(server: Server, slow: Slow) -> None:
    slow.polls(slow.reply)
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", f"{server.url}/start", timeout=0.3)
        assert poller.result(timeout=5).text == "done"
        assert "ReadTimeout x 1" in counters(poller).tally()


def test_a_start_is_never_cut(server: Server) -> None:
    def answer(_: Seen) -> Reply:
        time.sleep(1)
        return DONE

    server.answer = answer
    with PollingSession(policy=FAST) as session:
        poller = session.submit("POST", f"{server.url}/start")
        assert poller.result(timeout=0.3).text == "done"
    assert server.asked == ["POST /start"]


def test_a_refused_start_is_never_cut(server: Server) -> None:
    replies = iter([again("0"), poll("/w"), DONE])

    def answer(seen: Seen) -> Reply:
        if len(server.seen) == 2:
            time.sleep(1)
        return next(replies)

    server.answer = answer
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", f"{server.url}/start")
        began = time.monotonic()
        with pytest.raises(PollingTimeout):
            poller.result(timeout=0.3)
        assert time.monotonic() - began >= 1
        assert poller.result().text == "done"
    assert server.asked == ["POST /start", "POST /start", "GET /w"]


def test_total_timeout_comes_first(server: Server, slow: Slow) -> None:
    slow.polls(slow.reply)
    with PollingSession(policy=FAST.replace(total_timeout=0.5)) as session:
        poller = session.begin("POST", f"{server.url}/start")
        with pytest.raises(PollingTimeout, match="total_timeout"):
            poller.result(timeout=0.9)
        assert poller.done()


def test_a_poll_that_is_due_is_sent_although_no_time_is_left(server: Server) -> None:
    server.script(poll("/w"), poll("/w"), poll("/w"), DONE)
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", server.url)
        for polls in (2, 3):
            with pytest.raises(PollingTimeout):
                poller.result(timeout=0)
            assert poller.polls == polls
        assert poller.result(timeout=0).text == "done"


def test_it_has_a_tenth_of_a_second_so_that_who_asks_again_and_again_gets_the_result(
    server: Server,
) -> None:
    server.script(poll("/w"), DONE._replace(delay=0.02))
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", server.url)
        for _ in range(30):
            if not poller.done():
                with suppress(PollingTimeout):
                    poller.result(timeout=0)
        assert poller.done()
        assert poller.result(timeout=0).text == "done"


def test_a_body_that_was_sent_in_part_is_sent_whole(
    server: Server, slow: Slow, tmp_path: Any
) -> None:
    slow.polls(slow.reply, poll("/w", status=307))
    file = tmp_path / "body"
    file.write_bytes(b"work" * 1000)
    with PollingSession(policy=FAST) as session, file.open("rb") as body:
        poller = session.begin("PUT", f"{server.url}/start", data=body)
        assert seconds_until_over(poller, 0.6) < 1.5
        assert poller.result().text == "done"
    assert [len(seen.body) for seen in server.seen] == [4000] * 3


def test_who_waits_behind_it_goes_on(server: Server, slow: Slow) -> None:
    """With no time of its own."""
    slow.polls(slow.reply)
    found: list[str] = []
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", f"{server.url}/start")
        waiting = threading.Thread(target=lambda: found.append(poller.result().text))
        threading.Timer(0.2, waiting.start).start()
        assert seconds_until_over(poller, 0.6) < 1.5
        waiting.join(10)
    assert found == ["done"]


def test_urllib3s_retries_are_within_it(server: Server) -> None:
    server.script(poll("/w"), RESET, DONE)
    with PollingSession(policy=FAST) as session:
        session.mount("http://", PollingAdapter(max_retries=Retry(5, backoff_factor=4)))
        poller = session.begin("POST", server.url)
        began = time.monotonic()
        assert poller.result(timeout=2).text == "done"  # by a poll of ours, as theirs came later
        assert time.monotonic() - began < 2


@contextmanager
def blocked(session: requests.Session, url: str) -> Iterator[None]:
    """While the one connection of a pool that blocks is in other hands."""
    response = session.get(url, stream=True)
    try:
        yield
    finally:
        response.close()


def narrow(session: requests.Session, kind: type[HTTPAdapter]) -> None:
    session.mount("http://", kind(pool_connections=1, pool_maxsize=1, pool_block=True))


def test_a_wait_for_a_connection_ends_with_it(server: Server, slow: Slow) -> None:
    server.answer = lambda seen: poll("/w") if seen.path == "/start" else DONE
    with PollingSession(policy=FAST) as session:
        narrow(session, PollingAdapter)
        poller = session.begin("POST", f"{server.url}/start")
        before = counters(poller)
        server.answer = lambda _: Reply(200, {}, slow.body().body)
        with blocked(session, f"{server.url}/other"):
            assert 0.6 <= seconds_until_over(poller, 0.6) < 1.5
            assert counters(poller) == before
        server.answer = lambda _: DONE
        assert poller.result().text == "done"
    assert server.asked == ["POST /start", "GET /other", "GET /w"]


@pytest.mark.parametrize("status", [303, 401])
def test_P6_what_a_hook_sends_is_cut_and_the_poll_is_asked_again(
    server: Server, status: int
) -> None:
    first = poll("/w") if status == 303 else Reply(401)
    replies = iter([first, Reply(200, {}, b"late", delay=1.5), first, DONE])
    server.answer = lambda seen: poll("/w") if seen.path == "/start" else next(replies, DONE)

    def signed(response: requests.Response, **kwargs: Any) -> requests.Response | None:
        assert response.request is not None
        if response.status_code != status or response.url.endswith("/start"):
            return None
        _ = response.content
        answer: requests.Response = response.connection.send(response.request.copy(), **kwargs)
        return answer

    with PollingSession(policy=PollingPolicy(min_wait=0, jitter=0)) as session:
        poller = session.begin("POST", f"{server.url}/start", hooks={"response": signed})
        with pytest.raises(PollingTimeout):
            poller.result(timeout=0.5)
        assert not poller.done()
        assert poller.result().text == "done"
