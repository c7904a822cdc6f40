"""Jobs whose result is asked for later."""

from __future__ import annotations

import gc
import pickle
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests_mock import Mocker

from polling_adapter import (
    OutageTooLong,
    Poller,
    PollingError,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    RetryAfterTooLong,
    TooManyPolls,
)

from .fake_clock import FakeClock
from .server import DONE, RESET, Reply, Server, again, poll

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


@pytest.fixture
def session(clock: FakeClock) -> Iterator[PollingSession]:
    with PollingSession(policy=FAST.replace(clock=clock)) as session:
        yield session


def elapse(clock: FakeClock, poller: Poller) -> None:
    clock.now += poller.wait_seconds


# asking


def test_P1_it_polls_when_it_is_due_and_never_waits(
    server: Server, session: PollingSession, clock: FakeClock
) -> None:
    server.script(poll("/work/1", "3"), poll("/work/2", "1"), DONE)
    poller = session.begin("POST", server.url, data=b"work")
    assert (poller.done(), poller.wait_seconds, poller.polls) == (False, 3.0, 1)
    assert poller.url == f"{server.url}/work/1"
    assert not poller.poll()
    clock.now += 2.9
    assert not poller.poll()
    assert server.asked == ["POST /"]
    clock.now += 0.2
    assert not poller.poll()
    assert (poller.wait_seconds, poller.polls) == (1.0, 2)
    clock.now += 1
    assert poller.poll()
    assert (poller.done(), poller.wait_seconds) == (True, 0.0)
    assert poller.result().text == "done"
    assert poller.exception() is None
    assert poller.url == f"{server.url}/work/2"
    assert server.asked == ["POST /", "GET /work/1", "GET /work/2"]
    assert clock.slept == []


def test_the_result_is_waited_for(
    server: Server, session: PollingSession, clock: FakeClock
) -> None:
    server.script(poll("/work", "3"), again("7"), RESET, poll("/work", "1"), DONE)
    assert session.begin("POST", server.url).result().text == "done"
    assert clock.slept == [3, 7, 0.001, 1]
    assert server.asked == ["POST /", *["GET /work"] * 4]


def test_P7_a_job_that_waits_is_prepared_anew_only_where_that_may_change_it(
    server: Server, session: PollingSession, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[str] = []
    stock = requests.Session.rebuild_method

    def rebuild_method(self: Any, prepared_request: Any, response: Any) -> None:
        prepared.append(prepared_request.url.removeprefix(server.url))
        stock(self, prepared_request, response)

    monkeypatch.setattr(requests.sessions.SessionRedirectMixin, "rebuild_method", rebuild_method)
    server.script(*[poll("/work", "1")] * 6, *[poll("/other", "1")] * 2, DONE)
    poller = session.begin("POST", server.url, data=b"work")
    while not poller.poll():
        elapse(clock, poller)
        if poller.polls == 5:
            session.cookies.set("known", "meanwhile")
    assert server.asked == ["POST /", *["GET /work"] * 6, *["GET /other"] * 2]
    # for the first poll and the second, and from the cookie on for each
    assert prepared == ["/work", "/work", "/work", "/other", "/other"]
    cookies = [seen.headers.get("Cookie") for seen in server.seen]
    assert cookies == [None] * 6 + ["known=meanwhile"] * 3


@pytest.mark.parametrize("status", [200, 204, 404, 429, 500, 503])
def test_an_answer_that_is_no_redirect_is_the_result(
    server: Server, session: PollingSession, status: int
) -> None:
    server.script(Reply(status, {}, b"" if status == 204 else b"answer"))
    poller = session.begin("GET", server.url)
    assert poller.done()
    assert poller.result().status_code == status


def test_P4_a_refused_start_is_sent_again_when_it_is_due(
    server: Server, session: PollingSession, clock: FakeClock
) -> None:
    """A hook that raises for a status never sees what is asked again, as in a blocking call."""
    server.script(again("5"), poll("/work", "1"), again("2", 503), DONE)

    def raise_for_status(response: requests.Response, **_: Any) -> None:
        response.raise_for_status()

    hooks = {"response": raise_for_status}
    poller = session.begin("POST", server.url, data=b"work", hooks=hooks)
    assert (poller.wait_seconds, poller.polls) == (5.0, 0)
    assert poller.result().text == "done"
    assert clock.slept == [5, 1, 2]
    assert server.asked == ["POST /", "POST /", "GET /work", "GET /work"]
    assert [seen.body for seen in server.seen[:2]] == [b"work"] * 2


def test_P4_below_it_any_adapter_will_do(server: Server, session: PollingSession) -> None:
    session.mount("http://", HTTPAdapter())
    server.script(again("5"), poll("/work", "1"), again("2"), Reply(502), DONE)
    assert session.begin("POST", server.url).result().text == "done"


def test_other_redirects_are_due_at_once_and_count(
    server: Server, session: PollingSession, clock: FakeClock
) -> None:
    redirect = Reply(302, {"Location": "/other"})
    server.script(redirect, poll("/work", "1"), redirect, DONE)
    poller = session.begin("POST", server.url)
    assert (poller.wait_seconds, poller.polls, len(server.seen)) == (0.0, 0, 1)
    assert poller.result().text == "done"
    session.max_redirects = 2
    server.script(redirect)
    with pytest.raises(requests.TooManyRedirects, match="Exceeded 2 redirects") as caught:
        session.begin("POST", server.url).result()
    assert not isinstance(caught.value, PollingError)


def test_no_answer_to_the_start_is_raised_at_once(server: Server, session: PollingSession) -> None:
    server.script(RESET)
    with pytest.raises(requests.ConnectionError):
        session.begin("POST", server.url)
    with pytest.raises(requests.exceptions.InvalidSchema):
        session.begin("POST", "ftp://example.org/")
    with pytest.raises(TypeError, match="timeot"):
        session.begin("POST", server.url, timeot=5)
    with pytest.raises(TypeError, match="polling=5 is not accepted"):
        session.begin("POST", server.url, polling=5)  # type: ignore[arg-type]
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("answer", "ends", "kwargs"),
    [
        (poll("file:///x"), requests.exceptions.InvalidSchema, {}),
        (poll("http://127.0.0.1:99999/"), requests.exceptions.InvalidURL, {}),
        (again(), requests.exceptions.UnrewindableBodyError, {"data": iter([b"work"])}),
        (
            poll("/work"),
            ZeroDivisionError,
            {"polling": FAST.replace(on_wait=lambda wait: 1 / 0)},
        ),
        (Reply(302, {"Location": "/other"}), requests.TooManyRedirects, {}),
    ],
)
def test_P6_an_answer_that_cannot_be_followed_is_the_jobs(
    server: Server,
    session: PollingSession,
    answer: Reply,
    ends: type[Exception],
    kwargs: dict[str, Any],
) -> None:
    """The work has begun: whoever began it gets what there is to know of it."""
    session.max_redirects = 0
    server.script(answer)
    poller = session.begin("POST", server.url, **kwargs)
    assert isinstance(poller.exception(), ends)
    with pytest.raises(ends):
        poller.result()


def test_P9_the_response_of_a_job_pickles(server: Server) -> None:
    policy = FAST.replace(on_wait=lambda wait: None)
    with PollingSession(policy=policy) as session:
        server.script(DONE)
        response = session.begin("GET", server.url).result()
        assert pickle.loads(pickle.dumps(response)).text == "done"


def test_P8_limits_end_the_job_not_the_start(server: Server, session: PollingSession) -> None:
    server.script(poll("/work", "20000"))
    poller = session.begin("POST", server.url)
    assert poller.done()
    assert isinstance(poller.exception(), PollingTimeout)
    no_limit = session.policy.replace(total_timeout=None)
    server.script(poll("/work", "86400"))
    refused = session.begin("POST", server.url, polling=no_limit)
    with pytest.raises(RetryAfterTooLong):
        refused.result()
    server.script(poll("/work", "1"))
    counted = session.begin("POST", server.url, polling=session.policy.replace(max_polls=3))
    with pytest.raises(TooManyPolls) as caught:
        counted.result()
    assert (caught.value.polls, counted.polls) == (3, 3)
    assert counted.url == caught.value.url == f"{server.url}/work"


def test_P6_failures_that_outlast_the_policy(server: Server, session: PollingSession) -> None:
    server.script(poll("/work", "1"), RESET)
    poller = session.begin("POST", server.url, polling=session.policy.replace(poll_failures=2))
    with pytest.raises(OutageTooLong) as caught:
        poller.result()
    assert type(caught.value.__cause__) is requests.ConnectionError
    assert len(server.seen) == 4


def test_a_job_that_nobody_asks_for_in_time(
    server: Server, session: PollingSession, clock: FakeClock
) -> None:
    server.script(poll("/work", "1"), DONE)
    poller = session.begin("POST", server.url)
    clock.now += 7200
    assert poller.poll()
    with pytest.raises(PollingTimeout, match="0 s are left of total_timeout=3600") as caught:
        poller.result()
    assert len(server.seen) == 1
    assert session.resume(caught.value.continuation_token or "").result().text == "done"


def test_a_timeout_of_the_result_leaves_the_job_as_it_is(
    server: Server, session: PollingSession, clock: FakeClock
) -> None:
    server.script(poll("/work", "10"), DONE)
    poller = session.begin("POST", server.url)
    with pytest.raises(PollingTimeout, match=r"within timeout=4 s.*due in 6\.000 s") as caught:
        poller.result(timeout=4)
    assert caught.value.url == f"{server.url}/work"
    assert isinstance(caught.value, TimeoutError)
    with pytest.raises(PollingTimeout):
        poller.exception(timeout=0)
    assert clock.slept == [4]
    assert not poller.done()
    assert poller.result(timeout=6).text == "done"


def test_cancelled(server: Server, session: PollingSession) -> None:
    server.script(poll("/work", "1"), DONE)
    poller = session.begin("POST", server.url)
    assert not poller.cancelled()
    assert poller.cancel()
    assert poller.cancel()
    assert poller.cancelled()
    assert poller.done()
    assert poller.poll()
    for ask in (poller.result, poller.exception):
        with pytest.raises(CancelledError):
            ask()
    assert len(server.seen) == 1
    assert session.resume(poller.continuation_token()).result().text == "done"
    finished = session.begin("POST", server.url)
    assert not finished.cancel()
    assert not finished.cancelled()


def test_cancelling_wakes_whoever_waits(server: Server) -> None:
    server.script(poll("/work", "60"))
    with PollingSession(policy=FAST) as session, ThreadPoolExecutor() as pool:
        poller = session.begin("POST", server.url)
        waiting = [pool.submit(poller.result, timeout) for timeout in (None, 50, 99)]
        time.sleep(0.1)
        started = time.monotonic()
        assert poller.cancel()
        for one in waiting:
            with pytest.raises(CancelledError):
                one.result()
        assert time.monotonic() - started < 10


def test_the_body_of_the_result_is_read_unless_it_is_streamed(
    server: Server, session: PollingSession
) -> None:
    def cut_short() -> Iterator[bytes]:
        yield b"do"
        raise ConnectionAbortedError

    large = Reply(200, {}, b"x" * 100_000)
    for stream in (False, True):
        server.script(poll("/work", "1"), large)
        response = session.begin("POST", server.url, stream=stream).result()
        assert response.raw.isclosed() is not stream
        assert response.content == large.body
    server.script(poll("/work", "1"), Reply(200, {}, cut_short), DONE)
    assert session.begin("POST", server.url).result().text == "done"


def test_P7_what_was_said_with_the_start_holds_for_each_poll(
    server: Server, elsewhere: Server, session: PollingSession
) -> None:
    server.script(poll("/work/1"), poll("/work/2", **{"Set-Cookie": "b=2"}), poll(elsewhere.url))
    elsewhere.script(poll("/there"), DONE)
    seen: list[int] = []
    poller = session.begin(
        "POST",
        server.url,
        auth=("user", "secret"),
        headers={"X-Tenant": "7"},
        cookies={"a": "1"},
        hooks={"response": lambda response, **_: seen.append(response.status_code)},
    )
    assert poller.result().text == "done"
    assert seen == [303, 303, 303, 303, 200]
    assert all("Authorization" in one.headers for one in server.seen)
    assert not any("Authorization" in one.headers for one in elsewhere.seen)
    assert all(one.headers["X-Tenant"] == "7" for one in [*server.seen, *elsewhere.seen])
    assert server.seen[2].headers["Cookie"] in ("a=1; b=2", "b=2; a=1")


def test_bodies_are_kept_where_requests_keeps_them(
    server: Server, session: PollingSession, tmp_path: Path
) -> None:
    file = tmp_path / "body"
    file.write_bytes(b"work")
    server.script(poll("/work", status=307), again("1"), poll("/work", status=303), DONE)
    with file.open("rb") as body:
        assert session.begin("PUT", server.url, data=body).result().text == "done"
    assert [seen.body for seen in server.seen] == [b"work", b"work", b"work", b""]
    assert server.asked[-1] == "GET /work"


def test_with_another_session(server: Server, clock: FakeClock) -> None:
    class ServiceSession(requests.Session):
        def request(self, method: str, url: Any, *args: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            return super().request(method, server.url + url, *args, **kwargs)

    class Both(PollingMixin, ServiceSession):
        pass

    server.script(poll("/work"), poll("/work"), DONE)
    with Both(policy=FAST.replace(clock=clock)) as session:
        assert session.begin("POST", "/start").result().text == "done"


def test_with_requests_mock(requests_mock: Mocker, session: PollingSession) -> None:
    work = {"status_code": 303, "headers": {"Location": "/work", "Retry-After": "3"}}
    refused = {"status_code": 429, "headers": {"Retry-After": "2"}}
    requests_mock.post("http://mocked.example/start", [refused, work])
    requests_mock.get("http://mocked.example/work", [work, {"text": "done"}])
    poller = session.begin("POST", "http://mocked.example/start")
    assert poller.wait_seconds == 2.0
    assert poller.result().text == "done"


def test_on_wait_and_the_log_see_its_waits(server: Server, session: PollingSession) -> None:
    waits: list[float] = []
    server.script(poll("/work", "3"), poll("/work", "1"), DONE)
    policy = session.policy.replace(on_wait=lambda wait: waits.append(wait.seconds))
    session.begin("POST", server.url, polling=policy).result()
    assert waits == [3, 1]


def test_P9_threads_share_a_poller(server: Server) -> None:
    server.script(poll("/work", "0.1"), poll("/work", "0.1"), DONE)
    with PollingSession(policy=FAST) as session, ThreadPoolExecutor(8) as pool:
        poller = session.begin("POST", server.url)
        texts = [one.text for one in pool.map(lambda _: poller.result(), range(8))]
    assert texts == ["done"] * 8
    assert len(server.seen) == 3


def test_another_thread_that_is_sending_is_not_waited_for(server: Server) -> None:
    asked, answered = threading.Event(), threading.Event()
    remaining = [poll("/work", "0"), DONE]

    def answer(_: object) -> Reply:
        if len(remaining) == 1:
            asked.set()
            answered.wait(10)
        return remaining.pop(0)

    server.answer = answer
    with PollingSession(policy=FAST) as session, ThreadPoolExecutor(1) as pool:
        poller = session.begin("POST", server.url)
        result = pool.submit(poller.result)
        asked.wait(10)
        assert not poller.poll()
        with pytest.raises(PollingTimeout):
            poller.result(timeout=0.05)
        answered.set()
        assert result.result().text == "done"
        assert poller.result().text == "done"
    assert len(server.seen) == 2


def test_a_poller_says_what_it_is(server: Server, session: PollingSession) -> None:
    server.script(poll("/work", "3"), DONE)
    poller = session.begin("POST", server.url.replace("//", "//user:secret@"))
    assert repr(poller) == f"<Poller {server.url}/work, 1 polls, due in 3.000 s>"
    with pytest.raises(TypeError, match="continuation_token"):
        pickle.dumps(poller)
    poller.result()
    assert repr(poller).endswith("1 polls, done, <Response [200]>>")
    poller = session.begin("POST", server.url)
    server.script(poll("/work"))
    cancelled = session.begin("POST", server.url)
    cancelled.cancel()
    assert repr(cancelled).endswith("1 polls, cancelled>")


def test_a_pending_job_keeps_no_response(server: Server, session: PollingSession) -> None:
    def responses() -> int:
        gc.collect()
        return sum(isinstance(one, requests.Response) for one in gc.get_objects())

    server.script(poll("/work", "3"))
    before = responses()
    pollers = [session.begin("POST", server.url) for _ in range(5)]
    assert responses() == before
    assert len({poller.url for poller in pollers}) == 1


def test_a_request_of_a_job_that_is_sent_again_by_hand_is_a_call_of_its_own(
    server: Server, session: PollingSession, clock: FakeClock
) -> None:
    server.script(DONE, again("5"), DONE)
    request = session.begin("GET", server.url).result().request
    assert session.send(request).text == "done"
    assert clock.slept == [5]


# resuming


def test_P6_a_job_goes_on_after_a_restart(server: Server, clock: FakeClock) -> None:
    server.script(poll("/work", "5"), poll("/work", "5"), poll("/work", "5"), DONE)
    policy = FAST.replace(clock=clock, total_timeout=60, max_polls=3)
    with PollingSession(policy=policy) as before:
        poller = before.begin("POST", server.url)
        elapse(clock, poller)
        poller.poll()
        clock.now += 2
        token = poller.continuation_token()
    with PollingSession(policy=policy) as after:
        resumed = after.resume(token)
        assert (resumed.polls, resumed.url) == (2, f"{server.url}/work")
        assert resumed.wait_seconds == pytest.approx(3, abs=0.002)
        assert len(server.seen) == 2
        assert resumed.result().text == "done"
        assert resumed.polls == 3
    assert server.asked == ["POST /", *["GET /work"] * 3]


def test_P6_a_failed_poll_is_survived_after_a_restart_too(
    server: Server, session: PollingSession
) -> None:
    server.script(poll("/work", "1"), RESET, Reply(502), DONE)
    token = session.begin("POST", server.url).continuation_token()
    assert session.resume(token).result().text == "done"


def test_limits_go_on_and_another_policy_replaces_them(
    server: Server, session: PollingSession, clock: FakeClock
) -> None:
    server.script(poll("/work", "5"))
    policy = session.policy.replace(total_timeout=20, max_polls=3)
    poller = session.begin("POST", server.url, polling=policy)
    clock.now += 5
    token = poller.continuation_token()
    clock.now += 1000  # nobody counts the time between
    started = clock.now
    with pytest.raises(PollingTimeout, match="total_timeout=20"):
        session.resume(token).result()
    assert clock.now - started <= 15
    with pytest.raises(TooManyPolls, match="max_polls=3"):
        session.resume(token, polling=policy.replace(total_timeout=100)).result()
    assert session.resume(token, polling=policy.replace(total_timeout=3)).done()


@pytest.mark.parametrize("limit", [{"total_timeout": 12}, {"max_polls": 2}])
def test_P6_an_error_has_a_token_whose_limits_count_anew(
    server: Server, session: PollingSession, limit: dict[str, Any]
) -> None:
    server.script(*[poll("/work", "5")] * 4, DONE)
    session.policy = session.policy.replace(**limit)
    with pytest.raises(PollingError) as caught:
        session.post(server.url)
    assert caught.value.polls == 2
    token = pickle.loads(pickle.dumps(caught.value)).continuation_token
    resumed = session.resume(token)
    assert resumed.polls == 3  # the one that comes next included, as in every poller
    assert resumed.result().text == "done"
    assert resumed.polls == 4
    assert server.asked == ["POST /", *["GET /work"] * 4]


def test_the_token_of_a_failed_job_is_that_of_its_error(
    server: Server, session: PollingSession
) -> None:
    server.script(poll("/work", "1"))
    poller = session.begin("POST", server.url, polling=session.policy.replace(max_polls=2))
    error = poller.exception()
    assert isinstance(error, TooManyPolls)
    assert poller.continuation_token() == error.continuation_token
    server.script(DONE)
    assert session.resume(poller.continuation_token()).result().text == "done"
    with pytest.raises(ValueError, match="nothing is left to resume"):
        session.begin("POST", server.url).continuation_token()


def test_a_token_holds_no_credential_no_cookie_and_no_header_but_those_named(
    server: Server, session: PollingSession
) -> None:
    import base64

    server.script(poll("/work", "1", **{"Set-Cookie": "c=hidden"}), DONE)
    secret = server.url.replace("//", "//user:hidden@")
    poller = session.begin("GET", secret, headers={"X-Tenant": "7", "X-Key": "hidden"})
    token = poller.continuation_token(headers=["x-tenant", "X-Absent"])
    assert b"hidden" not in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    with pytest.raises(TypeError, match="collection of names"):
        poller.continuation_token("X-Tenant")
    session.resume(token).result()
    assert server.seen[-1].headers["x-tenant"] == "7"
    assert "X-Key" not in server.seen[-1].headers


@pytest.mark.parametrize("sent", [True, False])
def test_bytes_in_headers_stay_what_they_are(
    server: Server, session: PollingSession, sent: bool
) -> None:
    server.script(*[poll("/work", "1")] * (1 + sent), DONE)
    headers: Any = {b"X-Bytes": b"caf\xc3\xa9", "X-Text": "caf\xe9", "X-Quoted": "b'7'"}
    poller = session.submit("GET", server.url, headers=headers)
    if sent:
        poller.poll()
    for _ in range(2):
        poller = session.resume(poller.continuation_token(["x-bytes", "X-Text", "X-Quoted"]))
    assert poller.result().text == "done"
    found = server.seen[-1].headers
    assert found["x-bytes"] == "caf\xc3\xa9"  # as http.server reads bytes
    assert (found["X-Text"], found["X-Quoted"]) == ("caf\xe9", "b'7'")


def test_the_token_of_an_error_has_the_headers_that_are_named(
    server: Server, session: PollingSession
) -> None:
    server.script(poll("/work", "1"), poll("/work", "99999"), DONE)
    headers = {"X-Tenant": "7", "X-Key": "hidden"}
    poller = session.begin("POST", server.url, headers=headers)
    error: Any = poller.exception()
    assert isinstance(error, RetryAfterTooLong)
    assert poller.continuation_token() == error.continuation_token
    no_limits = session.policy.replace(total_timeout=None, retry_after_max=None)
    token = poller.continuation_token(headers=["X-Tenant"])
    assert session.resume(token, polling=no_limits).result().text == "done"
    assert server.seen[-1].headers["X-Tenant"] == "7"
    assert "X-Key" not in server.seen[-1].headers


@pytest.mark.parametrize("name", [b"authorization", b"Cookie", "AUTHORIZATION"])
def test_credentials_are_kept_back_however_they_are_named(
    server: Server, elsewhere: Server, session: PollingSession, name: Any
) -> None:
    server.script(poll(elsewhere.url))
    token = session.begin("POST", server.url).continuation_token()
    session.resume(token, headers={name: "secret", b"X-Own": "1"}).result()
    (seen,) = elsewhere.seen
    assert seen.headers["X-Own"] == "1"
    assert "secret" not in seen.headers.values()


def test_credentials_are_for_the_origin_that_the_job_began_at(
    server: Server,
    elsewhere: Server,
    session: PollingSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.script(poll("/work", "1"), poll(elsewhere.url, "1"), DONE)
    elsewhere.script(DONE)
    session.auth = ("user", "secret")
    session.headers.update({"authorization": "other", "Proxy-Authorization": "x", "Cookie": "a=b"})
    session.params = {"key": "secret"}
    poller = session.begin("POST", server.url)
    here = poller.continuation_token()
    session.resume(here).result()
    assert server.asked == ["POST /?key=secret", "GET /work"]
    assert [seen.headers["Authorization"][:5] for seen in server.seen] == ["Basic"] * 2
    elsewhere.seen.clear()
    server.script(poll(elsewhere.url.replace("127.0.0.1", "localhost"), "1"))
    there = session.begin("POST", server.url).continuation_token()
    assert session.resume(there).result().text == "done"
    (seen,) = elsewhere.seen
    assert seen.path == "/"
    assert not {"authorization", "Authorization", "Proxy-Authorization", "Cookie"} & {*seen.headers}


@pytest.mark.parametrize(
    ("params", "sent"),
    [(None, "/work?x=1"), ({"z": 2}, "/work?x=1&z=2"), ([("z", 2)], "/work?x=1&z=2")],
)
def test_params_of_the_session_are_not_added_again(
    server: Server, session: PollingSession, params: Any, sent: str
) -> None:
    """A Location has what it needs."""
    session.params = {"k": "v"}
    server.script(poll("/work?x=1"), DONE)
    token = session.begin("POST", server.url).continuation_token()
    session.resume(token, params=params).result()
    assert server.asked == ["POST /?k=v", f"GET {sent}"]


def test_credentials_given_again_are_for_the_origin_that_the_job_began_at(
    server: Server, elsewhere: Server, session: PollingSession
) -> None:
    server.script(poll("/work", "1"), poll(elsewhere.url, "1"), DONE, DONE)
    elsewhere.script(DONE)
    session.headers["Authorization"] = "session's"
    here = session.begin("POST", server.url).continuation_token()
    there = session.begin("POST", server.url).continuation_token()
    for token in (here, there):
        headers = {"AUTHORIZATION": "own", "X-Own": "1"}
        session.resume(token, headers=headers).result()
        session.resume(token, auth=("user", "own"), cookies={"a": "own"}).result()
    assert server.seen[2].headers["AUTHORIZATION"] == "own"
    assert server.seen[3].headers["Authorization"].startswith("Basic ")
    assert elsewhere.seen[0].headers["X-Own"] == "1"
    secrets = {"authorization", "cookie"}
    assert not [seen for seen in elsewhere.seen if secrets & {k.lower() for k in seen.headers}]


def test_a_body_that_the_token_does_not_hold_is_asked_for(
    server: Server, session: PollingSession
) -> None:
    server.script(again("5"), again("5"), DONE)
    poller = session.begin("POST", server.url, json={"a": 1})
    token = poller.continuation_token()
    with pytest.raises(ValueError, match=r"POST .* has a body.*give data=, json= or files="):
        session.resume(token)
    resumed = session.resume(token, json={"a": 1})
    with pytest.raises(ValueError, match="has a body"):
        session.resume(resumed.continuation_token())
    assert resumed.result().text == "done"
    assert [seen.body for seen in server.seen] == [b'{"a": 1}'] * 3


def test_a_token_that_is_due_too_late_ends_at_once(
    server: Server, session: PollingSession, clock: FakeClock
) -> None:
    server.script(poll("/work", "50"))
    token = session.begin("POST", server.url).continuation_token()
    poller = session.resume(token, polling=session.policy.replace(retry_after_max=20))
    assert isinstance(poller.exception(), RetryAfterTooLong)
    assert clock.slept == []


def test_a_token_goes_to_another_process(server: Server) -> None:
    import subprocess

    server.script(poll("/work", "0.5"), DONE)
    with PollingSession(policy=FAST) as session:
        token = session.begin("POST", server.url).continuation_token()
    script = (
        "import sys; from polling_adapter import PollingSession\n"
        "print(PollingSession().resume(sys.argv[1]).result().text)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, token], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "done\n", done.stderr
    first, second = (seen.at for seen in server.seen)
    assert second - first >= 0.5


def test_urllib3s_retries_stay_within_one_poll(server: Server, session: PollingSession) -> None:
    from urllib3 import Retry

    from polling_adapter import PollingAdapter

    session.mount("http://", PollingAdapter(max_retries=Retry(3, backoff_factor=0.5)))
    server.script(poll("/work", "1"), RESET, RESET, DONE)
    poller = session.begin("POST", server.url)
    started = time.monotonic()
    assert poller.result().text == "done"
    assert time.monotonic() - started < 5
