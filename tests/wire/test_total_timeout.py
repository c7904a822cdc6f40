"""``total_timeout`` holds as far as a socket's timeout can hold it (P8)."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Timeout

from polling_adapter import PollingAdapter, PollingPolicy, PollingSession, PollingTimeout

from ..conftest import Open, both_ways
from ..fake_clock import FakeClock
from ..server import DONE, Reply, Seen, Server, poll, serving
from .ways import WAYS

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


def one_connection(session: requests.Session, policy: PollingPolicy) -> PollingAdapter:
    """An adapter of one pool of one connection, mounted."""
    adapter = PollingAdapter(policy=policy, pool_connections=1, pool_maxsize=1, pool_block=True)
    session.mount("http://", adapter)
    session.trust_env = False  # a bundle of certificates would make another pool
    return adapter


@contextmanager
def in_other_hands(adapter: HTTPAdapter, url: str, **proxies: str) -> Iterator[None]:
    """The one connection of ``adapter``."""
    other = requests.Session()
    other.mount("http://", adapter)
    other.trust_env = False
    response = other.get(url, stream=True, proxies=proxies)
    try:
        yield
    finally:
        _ = response.content


def read(response: requests.Response, **_: object) -> None:
    _ = response.content


def ends_in_time(
    session: requests.Session, url: str, seconds: float = 0.5, **options: object
) -> PollingTimeout:
    began, told = time.monotonic(), f"0 s are left of total_timeout={seconds}"
    with pytest.raises(PollingTimeout, match=told) as caught:
        session.post(url, **options)  # type: ignore[arg-type]
    assert seconds <= time.monotonic() - began < 5
    return caught.value


@both_ways
def test_P8_a_start_that_gets_no_connection_in_time(server: Server, connect: Open) -> None:
    policy = FAST.replace(total_timeout=0.5)
    session = connect(policy)
    adapter = one_connection(session, policy)
    with in_other_hands(adapter, f"{server.url}/other"):
        error = ends_in_time(session, f"{server.url}/start")
    time.sleep(0.1)
    assert server.asked == ["GET /other"]
    with PollingSession(policy=FAST) as other:  # it was never sent, so it may be
        assert other.resume(error.continuation_token or "").result().text == "done"
    assert server.asked == ["GET /other", "POST /start"]


@both_ways
@pytest.mark.parametrize("pickled", [False, True])
def test_P8_nor_does_a_poll(server: Server, connect: Open, pickled: bool) -> None:
    policy = FAST.replace(total_timeout=0.5)
    session = connect(policy)
    adapter = one_connection(session, policy)
    if pickled:
        adapter = pickle.loads(pickle.dumps(adapter))
        session.mount("http://", adapter)
    held = in_other_hands(adapter, f"{server.url}/other")

    def hook(response: requests.Response, **_: object) -> None:
        if response.status_code == 303:
            response.close()
            held.__enter__()

    server.answer = lambda seen: poll("/w") if seen.path == "/start" else DONE
    error = ends_in_time(session, f"{server.url}/start", hooks={"response": hook})
    held.__exit__(None, None, None)
    assert error.url == f"{server.url}/w"
    assert server.asked == ["POST /start", "GET /other"]


def test_P8_nor_through_a_proxy(server: Server) -> None:
    policy = FAST.replace(total_timeout=0.5)
    with serving() as proxy, PollingSession(policy=policy) as session:
        adapter = one_connection(session, policy)
        with in_other_hands(adapter, server.url, http=proxy.url):
            ends_in_time(session, server.url, proxies={"http": proxy.url})
    assert len(proxy.seen) == 1


def test_a_pool_that_blocks_blocks_outside_of_a_call(server: Server) -> None:
    """As with requests."""
    policy = FAST.replace(total_timeout=0.1)
    with PollingSession(policy=policy) as session, ExitStack() as held:
        adapter = one_connection(session, policy)
        held.enter_context(in_other_hands(adapter, server.url))
        threading.Timer(0.4, held.close).start()
        began = time.monotonic()
        assert session.get(server.url, polling=False).text == "done"
        assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("status", [200, 303, 404])
@pytest.mark.parametrize("first", [True, False])
def test_P8_what_stalls_late_is_not_waited_for_anew(
    server: Server, connect: Open, status: int, first: bool
) -> None:
    """The headers have taken most of the time; the body has what is left of it."""
    over = threading.Event()

    def answer(seen: Seen) -> Reply:
        if seen.path == "/start" and not first:
            return poll("/w")
        over.wait(0.8)
        return Reply(status, {"Location": "/x", "Retry-After": "0"}, body)

    def body() -> Iterator[bytes]:
        yield b"do"
        over.wait(5)

    server.answer = answer
    session = connect(FAST.replace(total_timeout=1))
    began = time.monotonic()
    with pytest.raises(requests.RequestException):
        session.post(f"{server.url}/start")
    assert time.monotonic() - began < 1.6
    over.set()


def dripping() -> Iterator[bytes]:
    for _ in range(40):
        yield b"."
        time.sleep(0.05)


@pytest.mark.parametrize("first", [poll("/0"), Reply(302, {"Location": "/0"})])
def test_P8_one_deadline_over_redirects_that_drip(
    server: Server, connect: Open, first: Reply
) -> None:
    """requests reads their bodies, which no timeout ends while something comes."""
    server.answer = lambda seen: (
        first
        if seen.path == "/start"
        else Reply(302, {"Location": f"/{int(seen.path[1:]) + 1}"}, dripping)
    )
    session = connect(FAST.replace(total_timeout=1.5))
    error = ends_in_time(session, f"{server.url}/start", 1.5)
    assert server.asked == ["POST /start", "GET /0"]
    assert error.url == f"{server.url}/1"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("way", ["session", "submit"])
@pytest.mark.parametrize("before", [[], [Reply(302, {"Location": "/w"})], [poll("/w")]])
def test_P8_the_body_of_an_answer_that_stalls(
    server: Server, way: str, method: str, before: list[Reply]
) -> None:
    """Half an answer to what starts the work is none: nobody knows whether it has begun."""

    def stalls() -> Iterator[bytes]:
        yield b"{"
        time.sleep(1)

    server.script(*before, Reply(200, {}, stalls), DONE)
    began = time.monotonic()
    with pytest.raises(PollingTimeout, match=r"0 s are left of total_timeout=0\.5") as caught:
        WAYS[way](FAST.replace(total_timeout=0.5), method, server.url)
    assert 0.5 <= time.monotonic() - began < 5
    assert isinstance(caught.value.__cause__, requests.ConnectionError)
    is_start = method == "POST" and not before
    assert (caught.value.continuation_token is None) == is_start
    assert ("unknown whether the work has begun" in str(caught.value)) == is_start


def test_P6_a_body_of_others_that_is_late_says_nothing_of_the_start(
    server: Server, elsewhere: Server
) -> None:
    def stalls() -> Iterator[bytes]:
        yield b"{"
        time.sleep(1.5)

    def tells(response: requests.Response, **_: object) -> None:
        _ = response.content
        time.sleep(0.3)
        requests.get(elsewhere.url, timeout=0.3)

    elsewhere.script(Reply(200, {}, stalls))
    session = PollingSession(policy=FAST.replace(total_timeout=0.2))
    with session, pytest.raises(requests.ConnectionError, match="Read timed out") as caught:
        session.post(server.url, hooks={"response": tells})
    assert not isinstance(caught.value, PollingTimeout)


@pytest.mark.parametrize("late", ["all of it", "its body"])
def test_P6_a_start_at_another_address_that_gets_no_answer(server: Server, late: str) -> None:
    def stalls() -> Iterator[bytes]:
        yield b"{"
        time.sleep(1)

    second = Reply(200, {}, stalls) if late == "its body" else Reply(fault="stall")
    server.script(poll("/start2", "0", 308), second, DONE)
    with PollingSession(policy=FAST.replace(total_timeout=0.5)) as session:
        error = ends_in_time(session, f"{server.url}/start")
    assert error.continuation_token is None
    assert "unknown whether the work has begun" in str(error)


@pytest.mark.parametrize("how", [{"allow_redirects": False}, {"hooks": {"response": read}}])
def test_P6_the_address_counts_though_the_body_of_the_redirect_is_late(
    server: Server, how: dict[str, Any]
) -> None:
    def stalls() -> Iterator[bytes]:
        yield b"see"
        time.sleep(1)

    server.script(Reply(303, {"Location": "/w", "Retry-After": "0"}, stalls), DONE)
    with PollingSession(policy=FAST.replace(total_timeout=0.5)) as session:
        error = ends_in_time(session, f"{server.url}/start", **how)
        token = error.continuation_token or ""
        assert session.resume(token, polling=FAST).result().text == "done"
    assert server.asked == ["POST /start", "GET /w"]


@pytest.mark.parametrize("retry_after", [{}, {"Retry-After": "0"}])
def test_a_redirect_that_the_caller_keeps_is_followed_whenever_it_likes(
    server: Server, connect: Open, clock: FakeClock, retry_after: dict[str, str]
) -> None:
    """Also one that has come when the time was over."""

    def late() -> Iterator[bytes]:
        clock.now += 90
        yield b"."

    server.script(Reply(302, {"Location": "/w", **retry_after}, late), DONE)
    session = connect(FAST.replace(clock=clock, total_timeout=60))
    response = session.post(server.url, allow_redirects=False)
    clock.now += 7200
    assert session.send(response.next).text == "done"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "timeout",
    [Timeout(total=5), Timeout(total=5, read=3), (3, 4)],
    ids=["total", "total and read", "connect and read"],
)
def test_P8_what_is_streamed_has_the_timeout_that_was_given(
    server: Server, connect: Open, timeout: Any
) -> None:
    server.script(poll("/w", "0"), DONE)
    session = connect(FAST.replace(total_timeout=60))
    assert session.post(server.url, stream=True, timeout=timeout).content == b"done"
