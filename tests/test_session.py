"""What only a session with the mixin does."""

from __future__ import annotations

import gc
import itertools
import pickle
import sys
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from polling_adapter import (
    PollingAdapter,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    RetryAfterTooLong,
    TooManyPolls,
)

from .fake_clock import FakeClock
from .server import DONE, RESET, Reply, Seen, Server, again, poll, serving

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


@pytest.fixture
def session() -> Iterator[PollingSession]:
    with PollingSession(policy=FAST) as session:
        yield session


class InMemory(HTTPAdapter):
    """Answers with so many polls, each with a Location of its own."""

    def __init__(self, polls: int) -> None:
        super().__init__()
        self.left = polls

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **_: Any
    ) -> requests.Response:
        self.left -= 1
        headers = {"Location": f"/work/{self.left}", "Retry-After": "0"} if self.left >= 0 else {}
        raw = urllib3.HTTPResponse(
            BytesIO(), headers, 303 if headers else 200, preload_content=False
        )
        return self.build_response(request, raw)


def test_P6_a_location_that_leads_nowhere_does_not_lose_the_job(
    server: Server, session: PollingSession
) -> None:
    server.script(poll("/work"), poll("file:///x"))
    with pytest.raises(requests.exceptions.InvalidSchema) as caught:
        session.post(server.url)
    found: Any = caught.value
    assert found.request.url == server.url + "/work"
    assert found.response.headers["Location"] == "file:///x"
    server.script(DONE)
    assert session.resume(found.continuation_token).result().text == "done"


# one call


def test_another_policy_for_one_call(server: Server, session: PollingSession) -> None:
    server.script(poll("/work"))
    for _ in range(2):
        with pytest.raises(TooManyPolls, match="max_polls=1"):
            session.get(server.url, polling=FAST.replace(max_polls=1))
    with pytest.raises(TooManyPolls, match="max_polls=3"):
        session.get(server.url, polling=FAST.replace(max_polls=3))
    server.script(poll("/work"), DONE)
    assert session.get(server.url).text == "done"


def test_no_polling_for_one_call(server: Server, session: PollingSession) -> None:
    server.script(again("60"))
    assert session.get(server.url, polling=False).status_code == 429
    server.script(poll("/work", "60"))
    with pytest.raises(requests.TooManyRedirects) as caught:
        session.get(server.url, polling=False)
    assert not isinstance(caught.value, TooManyPolls)


def test_a_prepared_request_with_another_policy(server: Server, session: PollingSession) -> None:
    server.script(poll("/work"))
    request = requests.Request("GET", server.url).prepare()
    with pytest.raises(TooManyPolls, match="max_polls=1"):
        session.send(request, polling=FAST.replace(max_polls=1))
    with pytest.raises(requests.TooManyRedirects, match="30 redirects"):
        session.send(request, polling=False)


def test_another_policy_leaves_the_hooks_as_they_are(
    server: Server, session: PollingSession
) -> None:
    called: list[str] = []
    server.script(poll("/work"), DONE)
    policy = FAST.replace(max_polls=5)

    def hook(name: str) -> Any:
        return lambda response, **_: called.append(f"{name} {response.status_code}")

    session.hooks["response"].append(hook("session's"))
    session.get(server.url, polling=policy)
    session.get(server.url, polling=policy, hooks={"response": []})
    assert called == ["session's 303", "session's 200", "session's 200"]
    called.clear()
    session.get(server.url, polling=policy, hooks={"response": hook("own")})
    session.get(server.url, polling=policy, hooks={"response": [hook("own"), hook("other")]})
    assert called == ["own 200", "own 200", "other 200"]


def test_the_policy_of_a_call_goes_on_with_what_it_left_unfollowed(
    server: Server, session: PollingSession
) -> None:
    server.script(poll("/work"))
    policy = FAST.replace(max_polls=3)
    response = session.get(server.url, polling=policy, allow_redirects=False)
    with pytest.raises(TooManyPolls, match="max_polls=3"):
        session.send(response.next)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [True, 5, "no", {"total_timeout": 5}, PollingPolicy])
def test_what_is_no_policy_is_refused(wrong: Any, server: Server, session: PollingSession) -> None:
    with pytest.raises(TypeError, match="it takes a PollingPolicy or False"):
        session.get(server.url, polling=wrong)
    with pytest.raises(TypeError, match=r"it takes a PollingPolicy$"):
        PollingSession(policy=wrong)
    assert server.seen == []


def test_P9_a_request_that_a_hook_sends_is_a_call_of_its_own(
    server: Server, session: PollingSession
) -> None:
    server.script(poll("/work"), poll("/side"), DONE, DONE)
    results: list[str] = []

    def hook(response: requests.Response, **_: Any) -> None:
        if response.is_redirect:
            results.append(session.get(server.url + "/side").text)

    policy = FAST.replace(max_polls=1)
    response = session.get(server.url, polling=policy, hooks={"response": hook})
    assert response.text == "done"
    assert results == ["done"]


# the chain


@pytest.mark.parametrize("max_redirects", [0, 1])
def test_P3_polls_go_on_where_no_redirect_is_left(
    server: Server, session: PollingSession, max_redirects: int
) -> None:
    session.max_redirects = max_redirects
    redirects = [Reply(302, {"Location": "/other"})] * max_redirects
    server.script(poll("/work"), *redirects, poll("/work"), poll("/work"), DONE)
    assert session.get(server.url).text == "done"
    server.script(poll("/work"), *redirects, Reply(302, {"Location": "/other"}))
    with pytest.raises(requests.TooManyRedirects, match=f"Exceeded {max_redirects} redirects"):
        session.get(server.url)


def test_P3_thousands_of_polls_keep_no_more_than_the_history(session: PollingSession) -> None:
    def responses() -> int:
        gc.collect()
        return sum(isinstance(one, requests.Response) for one in gc.get_objects())

    session.mount("http://", InMemory(polls=3000))
    before = responses()
    response = session.get("http://127.0.0.1/")
    assert response.status_code == 200
    assert len(response.history) == 31
    assert responses() - before == 32


def test_one_deadline_and_one_count_over_all_adapters(
    server: Server, elsewhere: Server, session: PollingSession, clock: FakeClock
) -> None:
    session.mount(elsewhere.url, HTTPAdapter())
    server.script(poll(elsewhere.url, "5"))
    elsewhere.script(poll(server.url, "5"))
    policy = FAST.replace(clock=clock)
    with pytest.raises(PollingTimeout) as timeout:
        session.get(server.url, polling=policy.replace(total_timeout=100))
    assert (timeout.value.polls, len(clock.slept)) == (20, 20)
    with pytest.raises(TooManyPolls) as caught:
        session.get(server.url, polling=policy.replace(max_polls=7))
    assert caught.value.polls == 7
    assert len(caught.value.response.history) == 7


def test_P4_P6_over_an_adapter_that_knows_nothing_of_it(
    server: Server, session: PollingSession
) -> None:
    session.mount("http://", HTTPAdapter())
    server.script(again(), poll("/work"), RESET, again(), Reply(502), poll("/work"), DONE)
    response = session.post(server.url, data=b"body")
    assert response.text == "done"
    assert [hop.status_code for hop in response.history] == [303, 303]
    assert server.asked == ["POST /", "POST /", *["GET /work"] * 5]


def test_a_deadline_over_an_adapter_that_knows_nothing_of_it(
    server: Server, session: PollingSession
) -> None:
    session.mount("http://", HTTPAdapter())
    server.script(Reply(200, {}, lambda: iter(())))
    server.answer = lambda _: again("60")
    with pytest.raises(PollingTimeout):
        session.post(server.url, polling=FAST.replace(total_timeout=5))


def test_following_one_by_one(server: Server, session: PollingSession) -> None:
    """As requests documents it, for those who want to see every redirect as it comes."""
    redirects = [poll("/a"), Reply(302, {"Location": "/b"}), poll("/c"), DONE]
    server.script(*redirects)
    first = session.get(server.url, allow_redirects=False)
    following = session.resolve_redirects(first, first.request)
    assert [next(following).status_code for _ in range(3)] == [302, 303, 200]
    assert list(following) == []
    server.script(*redirects)
    first = session.get(server.url, allow_redirects=False)
    abandoned = session.resolve_redirects(first, first.request)
    assert next(abandoned).status_code == 302
    abandoned.close()
    assert session.get(server.url).text == "done"


def test_looking_at_the_next_request_never_waits(
    server: Server, session: PollingSession, clock: FakeClock
) -> None:
    server.script(poll("/work", "5"), poll("/work", "5"), DONE)
    policy = FAST.replace(clock=clock)
    response = session.get(server.url, allow_redirects=False, polling=policy)
    assert response.next is not None
    assert response.next.url == server.url + "/work"
    assert clock.slept == []
    assert session.send(response.next, polling=policy).text == "done"


# P7: subclasses and other mixins


def test_P7_what_a_subclass_decides_is_obeyed(server: Server, elsewhere: Server) -> None:
    class Stubborn(PollingSession):
        def rebuild_method(self, prepared_request: Any, response: Any) -> None:
            pass

        def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
            prepared_request.headers["Authorization"] = "mine"

        def get_redirect_target(self, resp: requests.Response) -> str | None:
            target = super().get_redirect_target(resp)
            return target and target.replace("/work", "/rewritten")

    server.script(poll(elsewhere.url + "/work"))
    elsewhere.script(poll("/work"), DONE)
    with Stubborn(policy=FAST) as session:
        assert session.post(server.url, auth=("user", "secret")).text == "done"
    assert elsewhere.asked == ["POST /rewritten"] * 2
    assert {seen.headers["Authorization"] for seen in elsewhere.seen} == {"mine"}


def test_P7_a_subclass_decides_for_each_poll_of_one_address(server: Server) -> None:
    rebuilt: list[str] = []

    class Signing(PollingSession):
        def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
            rebuilt.append(prepared_request.url)
            prepared_request.headers["Authorization"] = f"signature {len(rebuilt)}"

        def rebuild_proxies(self, prepared_request: Any, proxies: Any) -> dict[str, str]:
            prepared_request.headers["X-Proxies"] = str(len(rebuilt))
            return super().rebuild_proxies(prepared_request, proxies)

    server.script(*[poll("/work")] * 5, DONE)
    with Signing(policy=FAST) as session:
        session.get(f"{server.url}/work")
    signatures = [seen.headers.get("Authorization") for seen in server.seen]
    assert signatures == [None, *[f"signature {n}" for n in range(1, 6)]]


def test_P7_proxies_of_the_environment_are_those_of_requests(
    elsewhere: Server, session: PollingSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are looked up once for an origin, and anew for another one."""

    def asked(session: requests.Session, retry_after: dict[str, str]) -> tuple[list[str], ...]:
        def to(location: str) -> Reply:
            return Reply(303, {"Location": location, **retry_after})

        elsewhere.seen.clear()
        with serving() as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            proxy.script(to("/work/1"), to("/work/2"), to("/work/2"), to(elsewhere.url), DONE)
            elsewhere.script(to("/there"), to("http://example.test/back"))
            assert session.get("http://example.test/start").text == "done"
            there = [seen.headers.get("Host", "") for seen in proxy.seen]
            return proxy.asked, there, elsewhere.asked

    for bypassed in ("", "127.0.0.1"):  # an address has no port there
        monkeypatch.setenv("no_proxy", bypassed)
        with requests.Session() as stock:
            expected = asked(stock, {})
        assert asked(session, {"Retry-After": "0"}) == expected


def test_P7_a_job_that_begins_past_the_proxy_goes_on_through_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That no proxy is for the origin where it begins says nothing of the next one."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    there, ours = "http://127.0.0.2:9/work", PollingSession(policy=FAST.replace(poll_failures=0))
    with serving() as proxy, ours, requests.Session() as stock:
        monkeypatch.setenv("http_proxy", proxy.url)
        for session, asks in ((stock, {}), (ours, {"Retry-After": "0"})):
            hops = [Reply(303, {"Location": to, **asks}) for to in ("/start/2", there)]
            server.script(*hops)
            assert session.post(f"{server.url}/start").text == "done"
    assert server.asked == ["POST /start", "GET /start/2"] * 2
    assert proxy.asked == [f"GET {there}"] * 2


def test_mixed_into_another_session(server: Server) -> None:
    class BaseUrlSession(requests.Session):
        def __init__(self, base_url: str) -> None:
            super().__init__()
            self.base_url = base_url

        def request(self, method: str, url: Any, *args: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            return super().request(method, self.base_url + url, *args, **kwargs)

    class Both(PollingMixin, BaseUrlSession):
        pass

    server.script(poll("/work"), again(), DONE)
    with Both(server.url, policy=FAST) as session:
        assert session.post("/start").text == "done"
        server.script(poll("/work"))
        with pytest.raises(TooManyPolls):
            session.post("/start", polling=FAST.replace(max_polls=1))


def test_P9_pickling_keeps_what_a_subclass_keeps() -> None:
    session = pickle.loads(pickle.dumps(PollingSession(policy=FAST)))
    assert session.policy == FAST
    assert session.get_adapter("http://x").policy == FAST
    assert pickle.loads(pickle.dumps(PollingSession())).policy == PollingPolicy()


def test_an_adapter_that_another_method_gets_is_bounded_too(server: Server) -> None:
    """The session has only adapters of ours mounted, but uses one that is not."""

    class Picking(PollingSession):
        def get_adapter(self, url: str | bytes) -> HTTPAdapter:  # type: ignore[override]
            return other

    class Telling(HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            timeouts.append(kwargs["timeout"])
            return super().send(*args, **kwargs)

    other = Telling()
    timeouts: list[float] = []
    server.script(again("0"), DONE)
    with Picking(policy=FAST.replace(total_timeout=5)) as session:
        assert session.get(server.url).text == "done"
    other.close()
    assert len(timeouts) == 2
    assert all(0 < timeout <= 5 for timeout in timeouts)


def test_the_policy_of_the_session_counts_below_it(server: Server, clock: FakeClock) -> None:
    server.script(again("5"), poll("/work", "5"), again("5"), DONE)
    mounted = PollingAdapter(policy=FAST.replace(retry_after_max=1))
    with PollingSession(policy=FAST.replace(clock=clock)) as session:
        session.mount("http://", mounted)
        assert session.get(server.url).text == "done"
        session.policy = FAST.replace(retry_after_max=1, clock=clock)
        server.script(poll("/work", "5"))
        with pytest.raises(RetryAfterTooLong):
            session.get(server.url)
    assert clock.slept == [5, 5, 5]


def test_a_poll_without_a_usable_time_is_told_of_once(server: Server, clock: FakeClock) -> None:
    """The adapter that begins a call and the session that goes on with it see the same redirect."""
    server.script(poll("/work", "soon"), poll("/work", "soon"), DONE)
    with PollingSession(policy=FAST.replace(clock=clock, backoff_factor=1)) as session:
        session.get(server.url)
    assert clock.slept == [1, 2]


def test_P8_a_first_answer_that_takes_all_the_time_is_the_last(
    server: Server, clock: FakeClock
) -> None:
    """The time of a call goes by in the server's hands, not in the caller's."""

    def answer(_: object) -> Reply:
        clock.now += 20
        return poll("/work", "0")

    server.answer = answer
    policy = FAST.replace(clock=clock, total_timeout=10)
    with PollingSession(policy=policy) as session, pytest.raises(PollingTimeout):
        session.post(server.url)
    assert len(server.seen) == 1


def test_P9_a_policy_that_is_set_meanwhile_does_not_send_the_start_again(server: Server) -> None:
    def answer(seen: Seen) -> Reply:
        session.policy = PollingPolicy()
        return poll("/work", "0") if seen.path == "/start" else Reply(503, {"Retry-After": "0"})

    server.answer = answer
    with PollingSession(policy=FAST.replace(retry_statuses=(), poll_failures=0)) as session:
        assert session.post(f"{server.url}/start").status_code == 503
    assert server.asked == ["POST /start", "GET /work"]


class SlowSession(requests.Session):
    clock: FakeClock

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        self.clock.now += 20
        return super().send(request, **kwargs)


class SlowPollingSession(PollingMixin, SlowSession):
    pass


def test_P8_time_that_another_class_takes_counts(server: Server, clock: FakeClock) -> None:
    server.script(poll("/work", "0"), DONE)
    policy = FAST.replace(clock=clock, total_timeout=10)
    with SlowPollingSession(policy=policy) as session:
        session.clock = clock
        session.mount("http://", PollingAdapter(policy=policy))
        session.mount("https://", PollingAdapter(policy=policy))
        with pytest.raises(PollingTimeout):
            session.post(server.url)
    assert len(server.seen) <= 1


class FollowsAccepted(PollingSession):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return resp.headers.get("Location")


def test_P8_redirects_that_only_this_session_knows_count(server: Server) -> None:
    def answer(seen: Seen) -> Reply:
        time.sleep(0.3)
        return DONE if seen.path == "/work" else Reply(202, {"Location": "/work"})

    server.answer = answer
    policy = FAST.replace(total_timeout=0.5)
    with FollowsAccepted(policy=policy) as session, pytest.raises(PollingTimeout):
        session.get(server.url)


def test_an_adapter_that_a_session_alone_gets_is_bounded_too(server: Server) -> None:
    server.script(Reply(fault="stall"))
    with PollingSession(policy=FAST.replace(total_timeout=0.1)) as session:
        other = HTTPAdapter()
        session.get_adapter = lambda url: other  # type: ignore[method-assign,assignment,misc]
        with pytest.raises(PollingTimeout):
            session.get(server.url)


def test_threads_that_share_a_request_follow_their_own_redirects(server: Server) -> None:
    """The request leads to itself, so that one cannot tell by the URL who follows whom."""
    numbers = itertools.count()
    server.answer = lambda _: poll("/work", "99999") if next(numbers) % 2 else DONE
    request = requests.Request("GET", f"{server.url}/work").prepare()
    refused = []

    def ask() -> None:
        for _ in range(20):
            try:
                session.send(request)
            except RetryAfterTooLong:
                refused.append(1)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with (
            PollingSession(policy=FAST.replace(total_timeout=None)) as session,
            ThreadPoolExecutor(12) as pool,
        ):
            for asking in [pool.submit(ask) for _ in range(12)]:
                asking.result()
    finally:
        sys.setswitchinterval(before)
    assert (len(server.seen), len(refused)) == (240, 120)


class OnceOnly:
    """A body that cannot be rewound."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"x"

    def tell(self) -> int:
        raise OSError


@pytest.mark.parametrize("allow_redirects", [True, False])
def test_P6_a_body_that_cannot_be_rewound_does_not_lose_the_job(
    server: Server, session: PollingSession, allow_redirects: bool
) -> None:
    server.script(poll("/work", status=307))
    with pytest.raises(requests.exceptions.UnrewindableBodyError) as caught:
        session.post(server.url, data=OnceOnly(), allow_redirects=allow_redirects)
    assert caught.value.request is not None
    assert caught.value.response is not None


def test_a_redirect_that_leads_nowhere_is_in_no_cycle(
    server: Server, session: PollingSession
) -> None:
    server.script(Reply(303, {"Location": ""}))
    gc.disable()
    try:
        response = weakref.ref(session.get(server.url))
        assert response() is None
    finally:
        gc.enable()
