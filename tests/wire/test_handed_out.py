"""A redirect that the caller follows by hand is waited for, whatever has become of its request
(P1, P5)."""

from __future__ import annotations

import copy
import itertools
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from polling_adapter import PollingPolicy, PollingSession, PollingTimeout, TooManyPolls, Wait

from ..conftest import MixedSession, Open, both_ways, mounted_adapter, polling_session
from ..fake_clock import FakeClock
from ..server import DONE, Reply, Seen, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)

kinds = pytest.mark.parametrize("kind", [PollingSession, MixedSession])

ways = pytest.mark.parametrize(
    "of",
    [
        lambda request: request,
        lambda request: request.copy(),
        copy.copy,
        copy.deepcopy,
        lambda request: pickle.loads(pickle.dumps(request)),
        lambda request: copy.deepcopy(request.copy()),
        lambda request: pickle.loads(pickle.dumps(copy.deepcopy(request))),
    ],
    ids=["itself", "copy()", "copy", "deep copy", "pickle", "copies of copies", "pickled copies"],
)


@ways
@both_ways
def test_P1_a_copy_of_the_next_request_is_waited_for(
    server: Server, connect: Open, of: Callable[[Any], Any]
) -> None:
    server.script(poll("/work", "0.3"), DONE)
    session = connect(FAST)
    response = session.post(server.url, allow_redirects=False)
    assert session.send(of(response.next)).text == "done"
    started, asked = (seen.at for seen in server.seen)
    assert asked - started >= 0.3


@ways
def test_P1_P5_hop_by_hop_with_copies(
    server: Server, connect: Open, of: Callable[[Any], Any]
) -> None:
    server.script(poll("/w/1", "0.1"), Reply(302, {"Location": "/w/2"}), poll("/w/3", "0.1"), DONE)
    session = connect(FAST)
    response = session.post(server.url, allow_redirects=False)
    while response.next is not None:
        response = session.send(of(response.next), allow_redirects=False)
    assert response.text == "done"
    at = [seen.at for seen in server.seen]
    assert at[1] - at[0] >= 0.1
    assert at[3] - at[2] >= 0.1


def numbered(server: Server, wait: str) -> None:
    """Each start has a work of its own."""
    numbers = itertools.count(1)

    def answer(seen: Seen) -> Reply:
        return poll(f"/w/{next(numbers)}", wait) if seen.path == "/start" else DONE

    server.answer = answer


@pytest.mark.parametrize("starts", [65, 200])
def test_P1_the_first_of_many_redirects_of_one_request(
    server: Server, connect: Open, clock: FakeClock, starts: int
) -> None:
    """In another thread, which has seen none of them."""
    numbered(server, "50")
    session = connect(FAST.replace(clock=clock))
    request = requests.Request("POST", server.url + "/start").prepare()
    started = [session.send(request, allow_redirects=False) for _ in range(starts)]
    clock.now += 20
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(session.send, started[0].next).result().text == "done"  # type: ignore[arg-type]
    assert clock.slept == [30]
    assert server.asked[-1] == "GET /w/1"


def test_P1_P9_threads_that_share_a_request_follow_their_own(server: Server, connect: Open) -> None:
    due: dict[str, float] = {}
    early: list[str] = []
    numbers = itertools.count(1)

    def answer(seen: Seen) -> Reply:
        if seen.path == "/start":
            n = next(numbers)
            wait = 0.05 * (1 + n % 4)
            due[f"/w/{n}"] = time.monotonic() + wait
            return poll(f"/w/{n}", f"{wait:.3f}")
        if time.monotonic() < due[seen.path]:
            early.append(seen.path)
        return DONE

    server.answer = answer
    session = connect(FAST)
    request = requests.Request("POST", server.url + "/start").prepare()

    def start(of: Callable[[Any], Any]) -> str:
        response = session.send(request, allow_redirects=False)
        return session.send(of(response.next)).text

    with ThreadPoolExecutor(8) as pool:
        of = [lambda request: request, copy.deepcopy, lambda request: request.copy()] * 8
        assert set(pool.map(start, of)) == {"done"}
    assert early == []
    assert len(server.seen) == 48


@pytest.mark.parametrize("hooks", [[], [lambda *_, **__: None]], ids=["", "with a hook"])
def test_P1_each_redirect_of_one_request_is_waited_for(
    server: Server, connect: Open, clock: FakeClock, hooks: list[Any]
) -> None:
    numbered(server, "50")
    session = connect(FAST.replace(clock=clock))
    request = requests.Request("POST", f"{server.url}/start", hooks={"response": hooks}).prepare()
    started = [session.send(request, allow_redirects=False) for _ in range(2)]
    for response in started:
        clock.slept.clear()
        now = clock.now
        assert session.send(response.next).text == "done"  # type: ignore[arg-type]
        assert clock.slept == [50]
        clock.now = now


@ways
def test_P1_P9_another_thread_is_answered_before_the_next_request_is_made(
    server: Server,
    connect: Open,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    of: Callable[[Any], Any],
) -> None:
    """To the same request: so what is copied from it may follow the answer to either."""
    numbered(server, "50")
    session = connect(FAST.replace(clock=clock))
    request = requests.Request("POST", server.url + "/start").prepare()
    others: list[requests.Response] = []

    def dispatch_hook(*args: Any, **kwargs: Any) -> Any:
        if len(server.seen) == 1:
            with ThreadPoolExecutor(1) as pool:
                others.append(pool.submit(session.send, request, allow_redirects=False).result())
        return stock(*args, **kwargs)

    stock = requests.sessions.dispatch_hook  # type: ignore[attr-defined]
    monkeypatch.setattr(requests.sessions, "dispatch_hook", dispatch_hook)
    response = session.send(request, allow_redirects=False)
    assert session.send(of(response.next)).text == "done"
    assert clock.slept == [50]
    clock.slept.clear()
    clock.now -= 50
    assert session.send(of(others[0].next)).text == "done"
    assert clock.slept == [50]


def test_P1_what_the_caller_changes_in_it_is_sent(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(poll("/work", "5"), DONE)
    session = connect(FAST.replace(clock=clock))
    response = session.post(server.url, allow_redirects=False)
    assert response.next is not None
    response.next.headers["X-Own"] = "1"
    assert session.send(response.next).text == "done"
    assert server.seen[-1].headers["X-Own"] == "1"
    assert clock.slept == [5]


@ways
@pytest.mark.parametrize("other", [polling_session, mounted_adapter])
def test_P1_another_session_waits_too(
    server: Server, connect: Open, clock: FakeClock, other: Open, of: Callable[[Any], Any]
) -> None:
    server.script(poll("/work", "5"), poll("/work/2", "3"), DONE)
    policy = FAST.replace(clock=clock)
    response = connect(policy).post(server.url, allow_redirects=False)
    with other(policy) as following:
        assert following.send(of(response.next)).text == "done"
    assert clock.slept == [5, 3]


def test_P1_twice_the_same_next_request(server: Server, connect: Open, clock: FakeClock) -> None:
    """The second is due when the first has been."""
    server.script(poll("/work", "5"), DONE)
    session = connect(FAST.replace(clock=clock))
    response = session.post(server.url, allow_redirects=False)
    for _ in range(2):
        assert session.send(response.next).text == "done"  # type: ignore[arg-type]
    assert [seconds for seconds in clock.slept if seconds] == [5]


def test_P5_a_refusal_on_the_way_is_asked_again(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(again("7"), poll("/work", "5"), again("6"), DONE)
    session = connect(FAST.replace(clock=clock))
    response = session.post(server.url, allow_redirects=False)
    assert clock.slept == [7]
    assert session.send(response.next, allow_redirects=False).text == "done"  # type: ignore[arg-type]
    assert clock.slept == [7, 5, 6]


@pytest.mark.parametrize("stream", [True, False])
def test_P5_P7_its_body_is_as_requests_leaves_it(
    server: Server, connect: Open, stream: bool
) -> None:
    server.script(Reply(303, {"Location": "/work", "Retry-After": "60"}, b"x" * 60_000))
    found = []
    with requests.Session() as stock:
        for session in (stock, connect(FAST)):
            with session.post(server.url, allow_redirects=False, stream=stream) as response:
                found.append((response.raw.isclosed(), response.content, response.next.url))  # type: ignore[union-attr]
    assert found[0] == found[1]


# a request that was redirected is no other request


def test_an_unrelated_copy_is_not_refused(server: Server, connect: Open) -> None:
    """A copy with another address was never redirected, though its original was."""
    server.answer = lambda seen: poll("/other", "20000") if seen.path == "/a" else DONE
    session = connect(PollingPolicy())
    first = requests.Request("GET", server.url + "/a").prepare()
    session.send(first, allow_redirects=False)
    second = first.copy()
    second.url = server.url + "/unrelated"
    assert session.send(second).text == "done"
    assert server.asked == ["GET /a", "GET /unrelated"]


def test_an_unrelated_copy_waits_for_nobody(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.answer = lambda seen: poll("/other", "60") if seen.path == "/a" else DONE
    session = connect(FAST.replace(clock=clock))
    first = requests.Request("GET", server.url + "/a").prepare()
    handed_out = session.send(first, allow_redirects=False)
    for url in ("/unrelated", "/a/other", "/other?x=1"):
        second = first.copy()
        second.url = server.url + url
        assert session.send(second).text == "done"
    assert clock.slept == []
    assert session.send(handed_out.next).text == "done"  # type: ignore[arg-type]
    assert clock.slept == [60]


def test_a_request_is_sent_again_after_a_call_that_ended(server: Server, connect: Open) -> None:
    """Its call is over, and so is what it waited for: a second one is not refused unsent."""
    server.script(poll("/w", "20000"), DONE)
    session = connect(PollingPolicy())
    request = requests.Request("GET", server.url + "/w").prepare()
    with pytest.raises(requests.RequestException):
        session.send(request)
    assert session.send(request).text == "done"
    assert server.asked == ["GET /w", "GET /w"]


def test_a_request_is_sent_again_after_its_result(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    session = connect(FAST.replace(clock=clock))
    request = requests.Request("POST", server.url + "/start").prepare()
    for _ in range(3):
        server.script(poll("/w", "60"), poll("/w", "60"), DONE)
        assert session.send(request).text == "done"
        assert session.send(request.copy()).text == "done"
    assert clock.slept == [60, 60] * 3


def test_a_request_is_sent_again_after_polls_that_lead_to_it(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    """Each call is told anew when to come."""
    session = connect(FAST.replace(clock=clock))
    request = requests.Request("GET", server.url + "/w").prepare()
    for _ in range(3):
        server.script(poll("/w", "60"), DONE)
        assert session.send(request).text == "done"
    assert clock.slept == [60] * 3


# resolve_redirects() by hand


@kinds
def test_P1_P2_time_that_has_gone_by_counts(
    server: Server, kind: Callable[..., PollingSession], clock: FakeClock
) -> None:
    server.script(poll("/w", "5"), DONE)
    with kind(policy=FAST.replace(clock=clock)) as session:
        first = session.get(server.url, allow_redirects=False)
        clock.now += 4
        last = list(session.resolve_redirects(first, first.request))[-1]
        assert last.text == "done"
    assert clock.slept == [1]


def by_hand(session: PollingSession, first: requests.Response, how: str) -> None:
    if how == "send":
        session.send(first.next)  # type: ignore[arg-type]
    else:
        list(session.resolve_redirects(first, first.request))


hows = pytest.mark.parametrize("how", ["send", "resolve_redirects"])


@hows
@kinds
def test_the_policy_of_the_call_goes_on(
    server: Server, kind: Callable[..., PollingSession], clock: FakeClock, how: str
) -> None:
    server.script(poll("/w", "5"))
    policy = FAST.replace(clock=clock)
    with kind(policy=policy) as session:
        first = session.get(server.url, allow_redirects=False, polling=policy.replace(max_polls=2))
        with pytest.raises(TooManyPolls):
            by_hand(session, first, how)
        assert clock.slept == [5, 5]
        clock.slept.clear()
        first = session.get(
            server.url, allow_redirects=False, polling=policy.replace(total_timeout=12)
        )
        with pytest.raises(PollingTimeout):
            by_hand(session, first, how)
        assert clock.slept == [5, 5]


@hows
@kinds
def test_P6_its_errors_say_where_the_job_is(
    server: Server, kind: Callable[..., PollingSession], clock: FakeClock, how: str
) -> None:
    server.script(poll("/w", "5"), poll("/w/2", "20000"))
    with kind(policy=FAST.replace(clock=clock)) as session:
        first = session.post(server.url, allow_redirects=False)
        with pytest.raises(requests.RequestException) as caught:
            by_hand(session, first, how)
        found: Any = caught.value
        assert found.url == f"{server.url}/w/2"
        assert session.resume(found.continuation_token).url == f"{server.url}/w/2"
    assert server.asked == ["POST /", "GET /w"]


@kinds
def test_P7_a_job_that_a_plain_session_began_is_of_its_origin(
    server: Server, elsewhere: Server, kind: Callable[..., PollingSession]
) -> None:
    """Its token keeps credentials to that."""
    server.script(poll(elsewhere.url, "20000"))
    with requests.Session() as plain, kind(policy=FAST) as session:
        first = plain.get(server.url, allow_redirects=False)
        with pytest.raises(PollingTimeout) as caught:
            list(session.resolve_redirects(first, first.request))
        elsewhere.script(DONE)
        session.headers["Authorization"] = "secret"
        clock = FakeClock()
        clock.now += time.time() - clock.time()
        token = caught.value.continuation_token or ""
        resumed = session.resume(token, polling=FAST.replace(clock=clock, total_timeout=None))
        assert resumed.result().text == "done"
    assert "Authorization" not in elsewhere.seen[0].headers


@kinds
def test_P4_one_by_one_each_wait_is_told_once(
    server: Server, kind: Callable[..., PollingSession], clock: FakeClock
) -> None:
    redirect, waits = Reply(302, {"Location": "/x"}), list[Wait]()
    server.script(redirect, redirect, poll("/w", "5"), poll("/w", "6"), redirect, DONE)
    with kind(policy=FAST.replace(clock=clock, on_wait=waits.append)) as session:
        first = session.post(server.url, allow_redirects=False)
        list(session.resolve_redirects(first, first.request))
    assert [(wait.number, wait.seconds) for wait in waits] == [(1, 5), (2, 6)]
    assert clock.slept == [5, 6]


@kinds
def test_one_by_one_time_goes_by_in_between(
    server: Server, kind: Callable[..., PollingSession], clock: FakeClock
) -> None:
    """Of polls in a row the end is yielded, and of what comes after it each by itself."""
    redirect = Reply(302, {"Location": "/x"})
    server.script(poll("/w", "5"), redirect, poll("/w", "6"), redirect, DONE)
    with kind(policy=FAST.replace(clock=clock)) as session:
        first = session.post(server.url, allow_redirects=False)
        statuses = []
        for response in session.resolve_redirects(first, first.request):
            statuses.append(response.status_code)
            clock.now += 2
    assert statuses == [302, 303, 302, 200]
    assert clock.slept[0] == 5


@kinds
def test_looking_ahead_neither_waits_nor_sends(
    server: Server, kind: Callable[..., PollingSession], clock: FakeClock
) -> None:
    server.script(poll("/w", "5"), DONE)
    with kind(policy=FAST.replace(clock=clock)) as session:
        first = session.post(server.url, allow_redirects=False)
        ahead: Any = session.resolve_redirects(first, first.request, yield_requests=True)
        assert next(ahead).url == f"{server.url}/w"
        assert clock.slept == []
        assert server.asked == ["POST /"]
        assert session.send(first.next).text == "done"  # type: ignore[arg-type]
    assert clock.slept == [5]


@kinds
def test_P3_by_hand_ordinary_redirects_are_those_of_requests(
    server: Server, kind: Callable[..., PollingSession]
) -> None:
    found = []
    with requests.Session() as stock, kind(policy=FAST) as session:
        for one in (stock, session):
            server.script(*[Reply(302, {"Location": f"/{n}"}, b"y" * n) for n in range(3)], DONE)
            first = one.get(server.url, allow_redirects=False)
            found.append(
                [
                    (hop.status_code, hop.content, [past.content for past in hop.history])
                    for hop in one.resolve_redirects(first, first.request)
                ]
            )
    assert found[0] == found[1]


def test_P6_a_copy_of_a_start_is_a_start(server: Server, clock: FakeClock) -> None:
    """Whoever of ours has sent the original."""
    policy = FAST.replace(clock=clock, total_timeout=100)
    server.script(poll("/w", "5"), DONE, DONE)
    with mounted_adapter(policy) as below, PollingSession(policy=policy) as session:
        request = below.prepare_request(requests.Request("POST", server.url))
        kept = below.send(request)
        clock.now += 200
        assert session.send(request.copy()).text == "done"
        assert kept.text == "done"
    assert server.asked == ["POST /", "GET /w", "POST /"]


def test_P1_what_polling_False_leaves_is_another_call(server: Server, clock: FakeClock) -> None:
    server.script(poll("/w", "3"), poll("/w", "3"), DONE)
    with PollingSession(policy=FAST.replace(clock=clock)) as session:
        response = session.get(f"{server.url}/w", polling=False, allow_redirects=False)
        assert session.send(response.request).text == "done"  # type: ignore[arg-type]
    assert clock.slept == [3]


def test_another_policy_for_what_is_followed_by_hand(server: Server, clock: FakeClock) -> None:
    server.script(*[poll("/w", "3")] * 3, DONE)
    with PollingSession(policy=FAST.replace(clock=clock)) as session:
        response = session.get(server.url, allow_redirects=False)
        with pytest.raises(TooManyPolls):
            session.send(response.next, polling=session.policy.replace(max_polls=1))  # type: ignore[arg-type]


def test_before_poll_gives_nothing_to_where_a_redirect_is_followed_by_hand(
    server: Server, elsewhere: Server, clock: FakeClock
) -> None:
    def made_ready(request: requests.PreparedRequest) -> None:
        request.headers["X-Secret"] = "credential"

    server.script(poll(f"{elsewhere.url}/w", "3"))
    elsewhere.script(poll("/w", "3"), poll("/w", "3"), DONE)
    with PollingSession(policy=FAST.replace(clock=clock, before_poll=made_ready)) as session:
        first = session.get(server.url, allow_redirects=False)
        second = session.send(first.next, allow_redirects=False)  # type: ignore[arg-type]
        (*_, last) = session.resolve_redirects(second, second.request)  # type: ignore[arg-type]
    assert last.text == "done"
    assert [seen.headers.get("X-Secret") for seen in elsewhere.seen] == [None] * 3


@pytest.mark.parametrize("leaves", [poll, lambda url: Reply(302, {"Location": url})])
def test_what_before_poll_puts_into_a_request_is_not_in_the_next(
    server: Server, elsewhere: Server, connect: Open, leaves: Callable[[str], Reply]
) -> None:
    def made_ready(request: requests.PreparedRequest) -> None:
        request.headers["X-Secret"] = "credential"

    server.script(poll("/w"), poll("/w"), leaves(f"{elsewhere.url}/there"))
    session = connect(FAST.replace(before_poll=made_ready))
    response = session.get(server.url, allow_redirects=False)
    while response.next is not None:
        response = session.send(response.next, allow_redirects=False)
    assert [seen.headers.get("X-Secret") for seen in server.seen] == [None, *["credential"] * 2]
    assert [seen.headers.get("X-Secret") for seen in elsewhere.seen] == [None]


@pytest.mark.parametrize("status", [303, 404, 200])
def test_P1_an_answer_that_is_cut_short_asks_to_wait_too(
    server: Server, connect: Open, clock: FakeClock, status: int
) -> None:
    """Whoever follows by hand reads it, and whoever is answered."""
    cut = poll("/w/2", "60", status)._replace(body=b"some", fault="cut")
    server.script(poll("/w/1", "1"), cut, DONE)
    session = connect(FAST.replace(clock=clock))
    response = session.get(server.url, allow_redirects=False)
    assert session.send(response.next, allow_redirects=False).text == "done"  # type: ignore[arg-type]
    assert [seconds for seconds in clock.slept if seconds] == [1, 60]
