"""Cookies of every answer are kept as requests keeps them, in all ways in (P7)."""

from __future__ import annotations

import http.client
import tracemalloc
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
import requests
import responses
import urllib3
from requests.adapters import HTTPAdapter

from polling_adapter import PollingAdapterMixin, PollingMixin, PollingPolicy, PollingSession

from ..conftest import MixedSession, Open
from ..fake_clock import FakeClock
from ..server import DONE, Reply, Server, again, poll
from .alike import cookies

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0)
GONE = "Max-Age=0"


def cut_short() -> Iterator[bytes]:
    yield b"do"
    raise ConnectionAbortedError


def sets(cookie: str, reply: Reply) -> Reply:
    return reply._replace(headers={**reply.headers, "Set-Cookie": cookie})


def sent(server: Server) -> list[str | None]:
    return [seen.headers.get("Cookie") for seen in server.seen]


CUT = Reply(200, {}, cut_short)

#: Answers that are asked again, after a poll: the caller sees none of them.
unseen = pytest.mark.parametrize(
    "unseen", [again(), again(status=503), Reply(502), CUT], ids=["429", "503", "502", "cut short"]
)


@pytest.mark.parametrize("unseen", [again(), again(status=503)], ids=["429", "503"])
def test_P7_a_cookie_of_a_refusal(server: Server, connect: Open, unseen: Reply) -> None:
    server.script(sets("lb=node7; Path=/", unseen), DONE)
    session = connect(FAST)
    session.get(server.url)
    session.get(server.url)
    assert sent(server)[-1] == "lb=node7"
    assert cookies(session) == [("lb", "node7", "/")]


@unseen
def test_P7_a_cookie_of_what_is_asked_again(server: Server, connect: Open, unseen: Reply) -> None:
    server.script(poll("/w"), sets("lb=node7; Path=/", unseen), poll("/w/2"), DONE)
    session = connect(FAST)
    session.post(server.url)
    session.get(server.url)
    assert sent(server)[-2:] == ["lb=node7"] * 2
    assert cookies(session) == [("lb", "node7", "/")]


@unseen
def test_P7_a_deletion_by_what_is_asked_again(server: Server, connect: Open, unseen: Reply) -> None:
    server.script(
        sets("lb=node7; Path=/", poll("/w")), sets(f"lb=; Path=/; {GONE}", unseen), poll("/w"), DONE
    )
    session = connect(FAST)
    session.post(server.url)
    session.get(server.url)
    assert sent(server)[-2:] == [None] * 2
    assert cookies(session) == []


@unseen
def test_P7_the_latest_counts(server: Server, connect: Open, unseen: Reply) -> None:
    server.script(
        poll("/w"), sets("lb=1; Path=/", unseen), sets("lb=2; Path=/", poll("/w")), unseen, DONE
    )
    session = connect(FAST)
    session.post(server.url)
    assert cookies(session) == [("lb", "2", "/")]
    server.script(poll("/w"), sets("lb=3; Path=/", unseen), sets("lb=4; Path=/", DONE))
    session.post(server.url)
    assert cookies(session) == [("lb", "4", "/")]


@unseen
def test_P7_of_a_job_that_is_polled_by_hand(server: Server, unseen: Reply) -> None:
    server.script(poll("/w"), sets("lb=node7; Path=/", unseen), poll("/w/2"), DONE)
    for kind in (PollingSession, MixedSession):
        with kind(policy=FAST) as session:
            assert session.begin("POST", server.url).result().text == "done"
            assert cookies(session) == [("lb", "node7", "/")]
        server.script(poll("/w"), sets("lb=node7; Path=/", unseen), poll("/w/2"), DONE)


def test_P7_of_one_job_only(server: Server) -> None:
    """What was given to one call stays with it while it waits, and is not the session's."""
    server.script(poll("/w"), poll("/w/2"), DONE)
    with PollingSession(policy=FAST) as session:
        session.cookies.set("all", "1")
        poller = session.begin("POST", server.url, cookies={"one": "2"})
        poller.result()
        assert sent(server) == ["all=1; one=2"] * 3
        assert cookies(session) == [("all", "1", "/")]


def test_P7_in_the_order_of_a_call_that_blocks(server: Server) -> None:
    """A server may take the first of two cookies by one name."""
    replies = poll("/w"), sets("a=new; Path=/", poll("/w")), poll("/w"), DONE
    for kind in ("blocks", "waits"):
        server.script(*replies)
        with PollingSession(policy=FAST) as session:
            session.cookies.set("a", "old")
            if kind == "blocks":
                session.get(server.url)
            else:
                session.begin("GET", server.url).result()
    assert sent(server) == [*["a=old"] * 2, *["a=old; a=new"] * 2] * 2


@pytest.mark.parametrize("value", ["2", None])
def test_P7_what_has_changed_while_a_job_waits(server: Server, value: str | None) -> None:
    """From the request on that is prepared next: a cookie that is gone is not sent any more."""
    server.script(sets("a=1; Path=/", poll("/w")), poll("/w/2"), DONE)
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", server.url)
        session.cookies.set("a", value, domain="127.0.0.1", path="/")
        poller.result()
        assert sent(server) == [None, "a=1", None if value is None else f"a={value}"]


def test_P7_many_jobs_that_set_a_cookie_each(server: Server) -> None:
    """None of them keeps a copy of all the others: only the session has them."""
    server.answer = lambda seen: sets(f"c{seen.path[1:]}=1; Path=/", poll(f"/w{seen.path}"))
    with PollingSession(policy=FAST) as session:
        session.begin("GET", f"{server.url}/0")
        tracemalloc.start()
        pollers = [session.begin("GET", f"{server.url}/{number}") for number in range(1, 100)]
        session.cookies.clear()
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert grown / len(pollers) < 10_000


def test_P7_of_a_redirect_that_nobody_follows(server: Server, connect: Open) -> None:
    server.script(sets("a=1; Path=/", again()), sets("b=2; Path=/", poll("/w", "60")))
    session = connect(FAST)
    session.post(server.url, allow_redirects=False)
    assert cookies(session) == [("a", "1", "/"), ("b", "2", "/")]


@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P7_of_a_call_that_ends_with_an_error(
    server: Server, kind: Callable[..., PollingMixin]
) -> None:
    server.script(sets("a=1; Path=/", again()), sets("b=2; Path=/", again("99999")))
    with kind(policy=FAST) as session:
        with pytest.raises(requests.RequestException):
            session.get(server.url)
        assert cookies(session) == [("a", "1", "/"), ("b", "2", "/")]


@pytest.mark.parametrize("kind", [PollingSession, MixedSession])
def test_P7_of_mocks(kind: Callable[..., PollingMixin]) -> None:
    refused = {"Retry-After": "0", "Set-Cookie": "lb=node7; Path=/"}
    with responses.RequestsMock() as mock, kind(policy=FAST) as session:
        mock.get("http://host.test/", status=429, headers=refused)
        mock.get("http://host.test/", body="done")
        assert session.get("http://host.test/").text == "done"
        assert cookies(session) == [("lb", "node7", "/")]


# where the default Path of a cookie comes from: the address that set it


PATHS = ["/start", "/jobs/1/state", "/jobs/1/state/more", "/results/1", "/results/sub/1"]


def chain(server: Server, cookie_of: Callable[[int], str], polls: bool) -> None:
    """Each of ``PATHS`` leads to the next, and sets a cookie."""

    def answer(seen: Any) -> Reply:
        n = PATHS.index(seen.path)
        if n == len(PATHS) - 1:
            return sets(cookie_of(n), DONE)
        headers = {"Location": PATHS[n + 1], **({"Retry-After": "0"} if polls else {})}
        return sets(cookie_of(n), Reply(303, headers))

    server.answer = answer


@pytest.mark.parametrize(
    "cookie_of",
    [
        lambda n: f"c{n}=1",
        lambda n: f"c={n}",
        lambda n: f"c={n}" + ("" if n % 2 else f"; {GONE}"),
        lambda n: f"c={n}; Path=/" if n < 3 else f"c=; Path=/; {GONE}",
        lambda n: f"c=1; Path=/jobs/1; Max-Age={60 if n < 2 else 0}",
        lambda n: "c=1" if n == 1 else f"c=1; Path=/jobs/1; {GONE}" if n == 2 else "d=1; Path=/",
        lambda n: f"c={n}; Domain=elsewhere.test" if n % 2 else f"d={n}; Secure; HttpOnly",
    ],
)
def test_P7_the_jar_is_that_of_requests(
    server: Server, connect: Open, cookie_of: Callable[[int], str]
) -> None:
    results = []
    with requests.Session() as stock:
        for session, polls in ((stock, False), (connect(FAST), True)):
            server.seen.clear()
            chain(server, cookie_of, polls)
            session.cookies.set("old", "1", domain="127.0.0.1", path="/jobs")
            session.get(server.url + "/start")
            results.append((cookies(session), sent(server)))
            session.get(f"{server.url}/results/sub/1")
            results[-1][1].append(sent(server)[-1])
    assert results[0] == results[1]


def test_P7_the_default_path_is_of_the_address_that_set_it(server: Server, connect: Open) -> None:
    replies = {"/start": poll("/jobs/1/state"), "/jobs/1/state": poll("/results/1")}
    server.answer = lambda seen: replies.get(seen.path, Reply(200, {"Set-Cookie": "session=1"}))
    session = connect(FAST)
    session.get(server.url + "/start")
    assert cookies(session) == [("session", "1", "/results")]


def test_P7_the_default_path_of_a_refusal(server: Server, connect: Open) -> None:
    replies = iter([sets("a=1", again()), poll("/jobs/1"), sets("b=1", Reply(502)), DONE])
    server.answer = lambda _: next(replies)
    session = connect(FAST)
    session.post(server.url + "/api/start")
    assert cookies(session) == [("a", "1", "/api"), ("b", "1", "/jobs")]


# P3: in flat memory


class Original:
    """Where requests looks for cookies."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.msg = http.client.HTTPMessage()
        for name, value in headers.items():
            self.msg[name] = value

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        pass


class InMemory(HTTPAdapter):
    """Answers with so many polls to one address, each with a cookie."""

    left = 0
    name = "c{}"

    def send(self, request: Any, *_: Any, **__: Any) -> requests.Response:  # type: ignore[override]
        self.left -= 1
        headers = {"Location": "/w", "Retry-After": "0"} if self.left >= 0 else {}
        headers["Set-Cookie"] = f"{self.name.format(self.left)}={self.left}; Path=/none"
        raw = urllib3.HTTPResponse(
            BytesIO(), headers, 303 if self.left >= 0 else 200, preload_content=False
        )
        raw._original_response = Original(headers)  # type: ignore[assignment]
        return self.build_response(request, raw)


class PollingInMemory(PollingAdapterMixin, InMemory):
    pass


def over(kind: str, policy: PollingPolicy) -> tuple[requests.Session, InMemory]:
    session = requests.Session() if kind == "mounted" else MixedSession(policy=policy)
    adapter = InMemory() if kind == "mixed in" else PollingInMemory(policy=policy)
    session.mount("http://", adapter)
    return session, adapter


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mounted", "mixed in", "session"])
@pytest.mark.parametrize(
    ("name", "few", "growth"), [("c", 150, 1.5), ("c{}", 40, 5.5)], ids=["same", "new"]
)
def test_P3_memory_does_not_grow_with_the_square_of_the_polls(
    clock: FakeClock, kind: str, name: str, few: int, growth: float
) -> None:
    """Three times as many polls: as many cookies, in each of the newest, and nothing else."""
    policy = FAST.replace(clock=clock)
    peaks = []
    for polls in (3 * few, few, 3 * few):  # the first time, CPython keeps some of what it frees
        session, adapter = over(kind, policy)
        adapter.left, adapter.name = polls, name
        tracemalloc.start()
        with session, session.get("http://host.test/w"):
            assert len(session.cookies) == (1 if name == "c" else polls + 1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < growth * peaks[1] + 100_000  # other threads, and what CPython keeps


@pytest.mark.parametrize("kind", ["mounted", "mixed in", "session"])
def test_P7_cookies_of_many_polls(kind: str) -> None:
    session, adapter = over(kind, FAST)
    adapter.left, adapter.name = 100, "c{}"
    with session, session.get("http://host.test/w"):
        assert {cookie.name for cookie in session.cookies} == {f"c{n}" for n in range(-1, 100)}


def test_P3_each_poll_brings_its_own_cookies_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of all before it: to read them again and again took the square of their number."""
    read: list[int] = []
    stock = http.client.HTTPMessage.get_all

    def get_all(self: Any, name: str, *default: Any) -> Any:
        found = stock(self, name, *default)
        read.append(len(found or ()) if name.lower() == "set-cookie" else 0)
        return found

    monkeypatch.setattr(http.client.HTTPMessage, "get_all", get_all)
    total = []
    for polls in (50, 100):
        session, adapter = over("mounted", FAST)
        adapter.left = polls
        read.clear()
        with session, session.get("http://host.test/w"):
            assert len(session.cookies) == polls + 1
        total.append(sum(read))
    assert total[1] < 2.5 * total[0]


def test_P7_one_that_is_set_and_deleted_at_once(server: Server, connect: Open) -> None:
    """http.cookiejar deletes first, in whichever order they come."""
    cookies_set = {"Set-Cookie": "a=new; Path=/", "set-cookie": "a=; Path=/; Max-Age=0"}
    server.script(Reply(302, {"Location": "/next", **cookies_set}), DONE)
    session = connect(FAST)
    session.get(server.url)
    assert sent(server) == [None, "a=new"]
    assert cookies(session) == [("a", "new", "/")]


def test_P7_a_path_that_is_empty_is_that_of_the_address(server: Server, connect: Open) -> None:
    """RFC 6265 section 5.2.4."""
    server.script(poll("/w/y"), sets("a=1; Path=; Secure=no", poll("/w/y/z")), DONE)
    session = connect(FAST)
    session.get(server.url)
    assert cookies(session) == [("a", "1", "/w")]
