"""What the adapter does alone, below a session that knows nothing of polling."""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth

from polling_adapter import PollingAdapter, PollingAdapterMixin, PollingPolicy, PollingTimeout
from polling_adapter._call.above import Redirects
from polling_adapter._call.hooks import mark_of

from .fake_clock import FakeClock
from .server import DONE, Reply, Seen, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


@pytest.fixture
def session(clock: FakeClock) -> Iterator[requests.Session]:
    """A plain session whose waits take no time."""
    with requests.Session() as session:
        session.mount("http://", PollingAdapter(policy=FAST.replace(clock=clock)))
        yield session


def never_done(server: Server, wait: int = 5) -> None:
    """Each request is redirected to a URL of its own."""
    numbers = itertools.count(1)
    server.answer = lambda _: poll(f"/work/{next(numbers)}", str(wait))


def test_P5_only_what_it_is_mounted_on(server: Server, elsewhere: Server, clock: FakeClock) -> None:
    server.script(*[poll(f"/work/{n}", "1") for n in range(50)], DONE)
    elsewhere.script(poll("/work", "1"))
    with requests.Session() as session:
        session.mount(server.url, PollingAdapter(policy=FAST.replace(clock=clock)))
        assert session.get(server.url).text == "done"
        with pytest.raises(requests.TooManyRedirects, match="30 redirects"):
            session.get(elsewhere.url)
    assert clock.slept == [1.0] * 50


def test_mixed_into_another_adapter(server: Server) -> None:
    class Stamping(HTTPAdapter):
        def add_headers(self, request: requests.PreparedRequest, **_: Any) -> None:
            request.headers["X-Stamp"] = "here"

    class Both(PollingAdapterMixin, Stamping):
        pass

    server.script(again(), poll("/work"), DONE)
    with requests.Session() as session:
        session.mount("http://", Both(policy=FAST, pool_maxsize=3))
        assert session.get(server.url).text == "done"
    assert all(seen.headers["X-Stamp"] == "here" for seen in server.seen)


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(TypeError, match="policy=5 is not accepted"):
        PollingAdapter(policy=5)  # type: ignore[arg-type]


def test_P5_polls_that_change_their_origin_are_waited_for(
    server: Server, elsewhere: Server, session: requests.Session, clock: FakeClock
) -> None:
    server.script(poll(elsewhere.url, "1"), poll("/own", "2"), DONE)
    elsewhere.script(poll("/there", "3"), poll(server.url, "4"))
    assert session.post(server.url).text == "done"
    assert clock.slept == [1, 3, 4, 2]


def test_P5_one_deadline_across_origins_and_other_redirects(
    server: Server, elsewhere: Server, session: requests.Session
) -> None:
    server.script(poll(elsewhere.url, "1000"))
    elsewhere.script(Reply(302, {"Location": server.url}))
    with pytest.raises(PollingTimeout, match="total_timeout=3600") as caught:
        session.get(server.url)
    assert caught.value.polls == 3


def test_P5_by_hand_hop_by_hop(
    server: Server, elsewhere: Server, session: requests.Session, clock: FakeClock
) -> None:
    """As HTTPie follows redirects."""
    server.script(poll("/work", "1"), poll("/work", "2"), poll(elsewhere.url, "3"))
    elsewhere.script(poll("/there", "4"), DONE)
    response = session.post(server.url, allow_redirects=False)
    hops = 0
    while response.next is not None:
        response = session.send(response.next, allow_redirects=False)
        hops += 1
    assert response.text == "done"
    assert clock.slept == [1, 2, 3, 4]
    assert hops == 2


def test_P1_a_request_sent_again_by_hand_is_not_early(
    server: Server, session: requests.Session, clock: FakeClock
) -> None:
    """It asks for what its redirect leads to: when in doubt, wait."""
    server.script(*[poll("/work", "5")] * 3, DONE)
    request = requests.Request("GET", server.url + "/work").prepare()
    assert session.send(request, allow_redirects=False).status_code == 303
    clock.now += 3
    assert session.send(request, allow_redirects=False).status_code == 303
    clock.now += 3
    assert session.send(request.copy(), allow_redirects=False).text == "done"
    assert clock.slept == [2, 2, 5]


def test_a_request_sent_again_by_hand_begins_anew(
    server: Server, session: requests.Session, clock: FakeClock
) -> None:
    never_done(server)
    request = requests.Request("POST", server.url + "/start").prepare()
    assert session.send(request, allow_redirects=False).status_code == 303
    assert session.send(request, allow_redirects=False).status_code == 303
    assert session.send(request.copy(), allow_redirects=False).status_code == 303
    assert server.asked == ["POST /start"] * 3
    assert clock.slept == []


def test_each_of_many_redirects_of_one_request_can_be_followed_later(
    server: Server, session: requests.Session, clock: FakeClock
) -> None:
    numbers = itertools.count(1)

    def answer(seen: Seen) -> Reply:
        return poll(f"/work/{next(numbers)}", "50") if seen.path == "/start" else DONE

    server.answer = answer
    request = requests.Request("POST", server.url + "/start").prepare()
    started = [session.send(request, allow_redirects=False) for _ in range(10)]
    clock.now += 20
    for response in reversed(started):
        assert response.next is not None
        assert session.send(response.next).text == "done"
    assert sum(clock.slept) == 30  # by then, the others are due
    assert server.asked[10:] == [f"GET /work/{n}" for n in range(10, 0, -1)]


def test_redirects_that_nobody_follows_are_forgotten(
    server: Server, session: requests.Session
) -> None:
    never_done(server)
    request = requests.Request("POST", server.url + "/start").prepare()
    for _ in range(100):
        session.send(request, allow_redirects=False)
    redirects = mark_of(request, Redirects)
    assert redirects is not None
    assert list(redirects.others.values()) == [redirects.own]


def test_a_redirect_followed_in_another_thread(
    server: Server, session: requests.Session, clock: FakeClock
) -> None:
    server.script(poll("/work", "5"), DONE)
    response = session.post(server.url, allow_redirects=False)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(session.send, response.next).result().text == "done"
    assert clock.slept == [5]


def test_P1_threads_that_are_told_the_same_url_wait_for_their_own(
    server: Server, elsewhere: Server
) -> None:
    asked = iter([poll("/work", "0.1"), poll("/work", "0.4")])
    server.answer = lambda seen: next(asked) if seen.path == "/start" else DONE
    request = requests.Request("POST", server.url + "/start").prepare()
    both_started = threading.Barrier(2)

    def start(session: requests.Session) -> requests.Response:
        response = session.send(request, allow_redirects=False)
        both_started.wait()
        return session.send(response.next)  # type: ignore[arg-type]

    with requests.Session() as session, ThreadPoolExecutor(2) as pool:
        session.mount("http://", PollingAdapter(policy=FAST))
        list(pool.map(start, [session, session]))
    started, _, first, second = (seen.at for seen in server.seen)
    assert first - started >= 0.1
    assert second - started >= 0.4


def test_a_call_that_lay_in_the_callers_hands_begins_anew(
    server: Server, session: requests.Session, clock: FakeClock
) -> None:
    server.script(poll("/work", "5"), poll("/work", "5"), DONE)
    response = session.post(server.url, allow_redirects=False)
    clock.now += 7200
    assert session.send(response.next).text == "done"  # type: ignore[arg-type]
    assert clock.slept == [5]


def test_P7_what_a_subclass_of_the_session_decides_is_waited_for(
    server: Server, clock: FakeClock
) -> None:
    class Stubborn(requests.Session):
        def rebuild_method(self, prepared_request: Any, response: Any) -> None:
            pass

        def get_redirect_target(self, resp: requests.Response) -> str | None:
            target = super().get_redirect_target(resp)
            return target and target.replace("/work", "/rewritten")

    server.script(poll("/work", "5"), poll("/other", "6"), DONE)
    with Stubborn() as session:
        session.mount("http://", PollingAdapter(policy=FAST.replace(clock=clock)))
        assert session.post(server.url).text == "done"
    assert server.asked == ["POST /", "POST /rewritten", "POST /other"]
    assert clock.slept == [5, 6]


def test_P7_digest_auth(server: Server, session: requests.Session, clock: FakeClock) -> None:
    challenge = Reply(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    replies = iter([poll("/work", "1"), poll("/work", "2"), DONE])
    server.answer = lambda seen: next(replies) if "Authorization" in seen.headers else challenge
    response = session.get(server.url, auth=HTTPDigestAuth("user", "secret"))
    assert response.text == "done"
    assert sum(clock.slept) >= 3


def test_hooks_can_still_be_given_to_another_request(
    server: Server, session: requests.Session
) -> None:
    server.script(poll("/work"), DONE)
    hooks = session.get(server.url, allow_redirects=False).request.hooks
    assert session.get(server.url, hooks=hooks).text == "done"
    assert pickle.loads(pickle.dumps(hooks)).keys() == {"response"}


def test_its_arguments_are_taken_by_position_too(server: Server) -> None:
    server.script(Reply(200, body=b"done"), again("0"), Reply(200, body=b"done"))
    adapter = PollingAdapter(policy=FAST)
    request = requests.Request("GET", server.url).prepare()
    for _ in range(2):
        with adapter.send(request, True, 5, True, None, {}) as response:
            assert response.raw.read() == b"done"
    adapter.close()
    assert len(server.seen) == 3


def test_an_adapter_that_takes_more_gets_it(server: Server) -> None:
    class Taking(HTTPAdapter):
        def send(self, *args: Any, colour: str = "", **kwargs: Any) -> requests.Response:
            colours.append(colour)
            return super().send(*args, **kwargs)

    class Both(PollingAdapterMixin, Taking):
        pass

    colours: list[str] = []
    server.script(again("0"), DONE)
    request = requests.Request("GET", server.url).prepare()
    with requests.Session() as session:
        session.mount("http://", Both(policy=FAST))
        assert session.send(request, colour="red").text == "done"
    assert colours == ["red", "red"]


def test_a_request_keeps_nothing_of_redirects_that_were_followed(
    server: Server, session: requests.Session
) -> None:
    server.script(poll("/work", "5"), poll("/work", "5"), DONE)
    response = session.post(server.url)
    assert response.request.hooks == {"response": []}
    assert response.history[0].request.hooks == {"response": []}


def test_a_request_can_be_sent_again_after_a_redirect_that_leads_nowhere(
    server: Server, session: requests.Session
) -> None:
    server.script(poll("http://[", "5"), DONE)
    request = requests.Request("GET", server.url).prepare()
    with pytest.raises(ValueError, match="Invalid IPv6 URL"):
        session.send(request)
    assert session.send(request).text == "done"


def test_an_adapter_between_gets_numbers(server: Server) -> None:
    class Probing(HTTPAdapter):
        def send(self, *args: Any, timeout: Any = None, **kwargs: Any) -> requests.Response:
            timeouts.append(timeout)
            return super().send(*args, timeout=timeout, **kwargs)

    class Both(PollingAdapterMixin, Probing):
        pass

    timeouts: list[Any] = []
    server.script(DONE, DONE, DONE)
    with requests.Session() as session:
        session.mount("http://", Both(policy=FAST.replace(total_timeout=100)))
        for timeout in (None, 5, (5, 6)):
            session.get(server.url, timeout=timeout)
    first, *rest = timeouts
    assert 99 < first <= 100
    assert rest == [5, (5, 6)]
