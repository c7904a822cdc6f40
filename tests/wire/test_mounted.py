"""The adapter alone, below a session that knows nothing of polling (P5): what its inner polls have
changed holds for what the session does next."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from polling_adapter import (
    PollingAdapter,
    PollingAdapterMixin,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    TooManyPolls,
    continuation_token,
)

from ..conftest import Open, mounted_adapter
from ..fake_clock import FakeClock
from ..server import DONE, RESET, Reply, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


@pytest.fixture
def session(clock: FakeClock) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount("http://", PollingAdapter(policy=FAST.replace(clock=clock)))
        yield session


def test_P7_a_body_that_was_dropped_stays_dropped(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    """It goes to no other host."""
    there = elsewhere.url.replace("127.0.0.1", "localhost") + "/there"
    server.script(poll("/one", status=307), poll("/two", status=301), poll(there, status=307))
    assert connect(FAST).put(server.url, json={"secret": 1}).text == "done"
    assert [seen.body for seen in server.seen] == [b'{"secret": 1}'] * 2 + [b""]
    assert [seen.body for seen in elsewhere.seen] == [b""]
    assert "Content-Type" not in elsewhere.seen[0].headers


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("last", ["/here", "there"])
def test_P7_what_is_sent_is_what_requests_sends(
    server: Server, elsewhere: Server, connect: Open, method: str, last: str
) -> None:
    """Over all chains of three hops, the last of which stays here or leads to another origin."""
    session = connect(FAST)
    there = elsewhere.url.replace("127.0.0.1", "localhost")
    places = ["/a#part", "/b", there + "/c" if last == "there" else "/c"]
    kept = ("Authorization", "Content-Type", "Content-Length", "X-Own", "Cookie")
    with requests.Session() as stock:
        for statuses in itertools.product((301, 303, 307), repeat=3):
            found = []
            for one, retry_after in ((stock, {}), (session, {"Retry-After": "0"})):
                hops = {
                    path: Reply(status, {"Location": place, **retry_after})
                    for path, status, place in zip("/ab", statuses, places, strict=True)
                }
                server.seen.clear()
                elsewhere.seen.clear()
                server.answer = elsewhere.answer = lambda seen: hops.get(  # noqa: B023
                    seen.path[-1], DONE
                )
                response = one.request(
                    method,
                    server.url,
                    data=BytesIO(b"body"),
                    headers={"X-Own": "1", "Content-Type": "text/x"},
                    auth=("user", "secret"),
                )
                found.append(
                    [
                        response.url,
                        response.request.method,
                        response.request.body,
                        *(
                            (seen.method, seen.path, seen.body, *map(seen.headers.get, kept))
                            for seen in (*server.seen, *elsewhere.seen)
                        ),
                    ]
                )
            for one in found:
                one[2] = one[2] and one[2].getvalue()  # type: ignore[union-attr]
            assert found[1] == found[0], statuses


def test_P7_a_refused_request_is_followed_as_its_session_would(
    server: Server, elsewhere: Server, connect: Open
) -> None:
    server.script(again(), poll("/w", status=307), again(), poll(elsewhere.url, status=303))
    assert connect(FAST).put(server.url, data=BytesIO(b"body")).text == "done"
    assert [seen.body for seen in server.seen] == [b"body"] * 4
    assert elsewhere.asked == ["GET /"]
    assert elsewhere.seen[0].body == b""


def test_P5_one_count_over_inner_polls_and_hops(
    server: Server, elsewhere: Server, session: requests.Session, clock: FakeClock
) -> None:
    server.script(*[poll("/w", "1")] * 3, poll(elsewhere.url, "1"), poll("/w", "1"), DONE)
    elsewhere.script(*[poll("/there", "1")] * 3, poll(server.url, "1"))
    assert session.post(server.url).text == "done"
    assert sum(clock.slept) == 9
    session.mount("http://", PollingAdapter(policy=FAST.replace(clock=clock, max_polls=6)))
    server.script(*[poll("/w", "1")] * 3, poll(elsewhere.url, "1"), poll("/w", "1"), DONE)
    elsewhere.script(*[poll("/there", "1")] * 3, poll(server.url, "1"))
    with pytest.raises(TooManyPolls) as caught:
        session.post(server.url)
    assert caught.value.polls == 6


def test_P4_P5_nothing_is_waited_for_twice(
    server: Server, elsewhere: Server, session: requests.Session, clock: FakeClock
) -> None:
    redirect = Reply(302, {"Location": "/x"})
    server.script(again("1"), poll("/w", "2"), again("3"), redirect, poll(elsewhere.url, "4"))
    elsewhere.script(again("5"), redirect, poll("/y", "6"), DONE)
    assert session.post(server.url).text == "done"
    assert [seconds for seconds in clock.slept if seconds] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_P5_many_polls_of_two_addresses(
    server: Server, session: requests.Session, status: int
) -> None:
    session.max_redirects = 5
    server.script(*[poll(f"/w/{n % 2}", "1", status) for n in range(100)], DONE)
    assert session.get(server.url).text == "done"
    assert len(server.seen) == 101


def test_P5_where_no_redirect_is_left(server: Server, session: requests.Session) -> None:
    """Of a plain session: it counts what it follows, the first poll among it."""
    session.max_redirects = 1
    server.script(*[poll("/w", "1")] * 50, DONE)
    assert session.get(server.url).text == "done"


def test_P6_a_result_that_is_cut_short_is_asked_for_again(
    server: Server, session: requests.Session
) -> None:
    def cut_short() -> Iterator[bytes]:
        yield b"do"
        raise ConnectionAbortedError

    server.script(poll("/w", "1"), Reply(200, {}, cut_short), poll("/w", "1"), RESET, DONE)
    assert session.get(server.url).text == "done"


def test_P6_errors_of_inner_polls_say_where_the_job_is(
    server: Server, session: requests.Session
) -> None:
    server.script(poll("/w/1", "1"), poll("/w/2", "1"), poll("/w/3", "20000"))
    with pytest.raises(PollingTimeout) as caught:
        session.post(server.url)
    assert caught.value.url == f"{server.url}/w/3"
    assert caught.value.polls == 2
    assert caught.value.response.status_code == 303
    assert caught.value.continuation_token


# max_retries


def test_P7_max_retries_is_the_callers() -> None:
    retry = urllib3.Retry(3)
    adapter = PollingAdapter(max_retries=retry)
    assert adapter.max_retries is retry
    other = urllib3.Retry(2)
    adapter.max_retries = other
    assert adapter.max_retries is other


def test_P7_what_is_changed_in_max_retries_is_seen(server: Server) -> None:
    retry = urllib3.Retry(0, status_forcelist=[500], raise_on_status=False)
    adapter = PollingAdapter(policy=FAST, max_retries=retry)
    with requests.Session() as session:
        session.mount("http://", adapter)
        server.script(Reply(500), Reply(500), DONE)
        assert session.get(server.url).status_code == 500
        adapter.max_retries.total = retry.status = 2
        server.script(Reply(500), Reply(500), DONE)
        assert session.get(server.url).text == "done"


@pytest.mark.parametrize("how", ["given", "set", "pickled"])
def test_P8_its_waits_end_with_the_call(server: Server, connect: Open, how: str) -> None:
    """A first answer of 500 is asked again by urllib3 in 40 s: not within this call."""
    retry = urllib3.Retry(5, status_forcelist=[500], backoff_factor=20)
    adapter = PollingAdapter(policy=FAST.replace(total_timeout=0.5), max_retries=retry)
    if how == "set":
        adapter = PollingAdapter(policy=FAST.replace(total_timeout=0.5))
        adapter.max_retries = retry
    elif how == "pickled":
        adapter = pickle.loads(pickle.dumps(adapter))
    server.script(Reply(500))
    session = connect(FAST.replace(total_timeout=0.5))
    session.mount("http://", adapter)
    with pytest.raises(requests.RequestException):
        session.get(server.url)
    assert len(server.seen) <= 2


def test_P7_max_retries_pickles_as_requests_does() -> None:
    """As far as :class:`requests.adapters.HTTPAdapter` pickles it."""
    for kind in (HTTPAdapter, PollingAdapter):
        adapter = pickle.loads(pickle.dumps(kind(max_retries=urllib3.Retry(4, backoff_factor=3))))
        assert (adapter.max_retries.total, adapter.max_retries.backoff_factor) == (4, 3)


# over any adapter


class Memory(BaseAdapter):
    """No HTTPAdapter: nothing is known of it but send() and close()."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[tuple[int, dict[str, str]]] = [(200, {})]
        self.given: list[dict[str, Any]] = []
        self.closed = False

    def send(self, request: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        self.given.append(kwargs)
        status, headers = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        response = requests.Response()
        response.status_code, response.url, response.request = status, request.url, request
        response.headers.update(headers)
        response._content = b"x"
        return response

    def close(self) -> None:
        self.closed = True


class PollingMemory(PollingAdapterMixin, Memory):
    pass


def test_over_a_base_adapter(clock: FakeClock) -> None:
    adapter = PollingMemory(policy=FAST.replace(clock=clock))
    with requests.Session() as session:
        session.mount("mem://", adapter)
        assert session.get("mem://host/x").content == b"x"
        adapter.replies = [(429, {"Retry-After": "5"}), (200, {})]
        assert session.get("mem://host/x").status_code == 200
    assert clock.slept == [5]
    assert adapter.closed


def test_P5_polls_over_a_base_adapter(connect: Open, clock: FakeClock) -> None:
    """For sessions that poll, too."""
    adapter = PollingMemory(policy=FAST.replace(clock=clock))
    session = connect(FAST.replace(clock=clock))
    session.mount("http://", adapter)
    work = (303, {"Location": "/w", "Retry-After": "5"})
    adapter.replies = [work, work, (502, {}), (503, {"Retry-After": "7"}), (200, {})]
    assert session.post("http://host.test/").content == b"x"
    assert [seconds for seconds in clock.slept if seconds > 0.1] == [5, 5, 7]


def test_P9_a_mixture_over_a_base_adapter_pickles() -> None:
    adapter = pickle.loads(pickle.dumps(PollingMemory(policy=FAST)))
    assert adapter.policy == FAST
    with requests.Session() as session:
        session.mount("mem://", adapter)
        assert session.get("mem://host/x").content == b"x"


def test_the_mixin_gives_its_base_what_it_was_given() -> None:
    adapter = PollingMemory(policy=FAST.replace(total_timeout=None))
    with requests.Session() as session:
        session.mount("mem://", adapter)
        session.get("mem://host/x", timeout=(3, 4), verify=False, stream=True)
    given = adapter.given[0]
    assert (given["timeout"], given["verify"], given["stream"]) == ((3, 4), False, True)
    assert set(given) <= {"stream", "timeout", "verify", "cert", "proxies"}


def test_P6_one_redirect_too_many_above_it_says_how_to_go_on(server: Server) -> None:
    server.script(poll("/w"), *[Reply(302, {"Location": "/w"})] * 30, DONE)
    with mounted_adapter(FAST) as session, pytest.raises(requests.TooManyRedirects) as caught:
        session.post(server.url)
    with PollingSession(policy=FAST) as other:
        found = other.resume(continuation_token(caught.value) or "").result()
    assert found.content == b"done"
    assert server.asked.count("POST /") == 1
