"""The caller's hooks see polls, redirects and the end, each once, as requests shows them; never an
answer that is asked again (P7)."""

from __future__ import annotations

import copy
import gzip
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPDigestAuth
from requests_mock import ANY, Mocker

from polling_adapter import (
    OutageTooLong,
    PollingAdapter,
    PollingAdapterMixin,
    PollingMixin,
    PollingPolicy,
    PollingSession,
    TooManyPolls,
    continuation_token,
)
from polling_adapter.pending import accepted

from ..conftest import MixedSession, Open, mounted_adapter
from ..fake_clock import FakeClock
from ..server import DONE, RESET, Reply, Seen, Server, again, poll
from .alike import cookies, record
from .ways import WAYS

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)
DATE = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT"}

kinds = pytest.mark.parametrize("kind", [PollingSession, MixedSession])


class Seeing:
    """A hook, and what it has seen."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def __call__(self, response: requests.Response, **_: Any) -> None:
        self.statuses.append(response.status_code)


def cut_short() -> Iterator[bytes]:
    yield b"do"
    raise ConnectionAbortedError


SCRIPT = [
    again(),
    again(status=503),
    poll("/w/1"),
    Reply(502),
    poll("/w/2"),
    again(),
    RESET,
    Reply(302, {"Location": "/w/3"}),
    Reply(200, {}, cut_short),
    poll("/w/3"),
    Reply(200, {}, cut_short),
    DONE,
]
SEEN = [303, 303, 302, 303, 200]


def test_P7_they_see_polls_redirects_and_the_end(server: Server, connect: Open) -> None:
    server.script(*SCRIPT)
    own, other = Seeing(), Seeing()
    session = connect(FAST)
    response = session.post(server.url, hooks={"response": [own, other]})
    assert response.text == "done"
    assert own.statuses == other.statuses == SEEN


def test_P7_those_of_the_session_too(server: Server, connect: Open) -> None:
    server.script(*SCRIPT)
    session, seeing = connect(FAST), Seeing()
    session.hooks["response"].append(seeing)
    session.post(server.url)
    assert seeing.statuses == SEEN


@kinds
def test_P7_those_of_a_job_that_is_polled_by_hand(
    server: Server, kind: Callable[..., PollingMixin]
) -> None:
    server.script(*SCRIPT)
    seeing = Seeing()
    with kind(policy=FAST) as session:
        poller = session.begin("POST", server.url, hooks={"response": seeing})
        assert poller.result().text == "done"
    assert seeing.statuses == SEEN


@kinds
def test_P7_over_an_adapter_that_knows_nothing_of_polling(
    server: Server, kind: Callable[..., PollingMixin]
) -> None:
    server.script(*SCRIPT)
    seeing = Seeing()
    with kind(policy=FAST) as session:
        session.mount("http://", HTTPAdapter())
        session.post(server.url, hooks={"response": seeing})
    assert seeing.statuses == SEEN


MOCKED = [
    ("POST", "start", {"status": 429, "headers": {"Retry-After": "0"}}),
    ("POST", "start", {"status": 303, "headers": {"Location": "/w", "Retry-After": "0"}}),
    ("GET", "w", {"status": 502}),
    ("GET", "w", {"status": 303, "headers": {"Location": "/w", "Retry-After": "0"}}),
    ("GET", "w", {"status": 503, "headers": {"Retry-After": "0"}}),
    ("GET", "w", {"status": 200, "text": "done"}),
]


@kinds
def test_P7_over_requests_mock(requests_mock: Mocker, kind: Callable[..., PollingMixin]) -> None:
    for name in ("start", "w"):
        requests_mock.register_uri(
            ANY,
            f"http://host.test/{name}",
            [
                {("status_code" if key == "status" else key): value for key, value in it.items()}
                for _, path, it in MOCKED
                if path == name
            ],
        )
    seeing = Seeing()
    with kind(policy=FAST) as session:
        response = session.post("http://host.test/start", hooks={"response": seeing})
    assert response.text == "done"
    assert seeing.statuses == [303, 303, 200]


def test_P7_over_responses(connect: Open) -> None:
    seeing = Seeing()
    with responses.RequestsMock() as mock:
        for method, path, it in MOCKED:
            mock.add(
                method,
                f"http://host.test/{path}",
                status=it["status"],
                headers=it.get("headers"),
                body=it.get("text", ""),
            )
        response = connect(FAST).post("http://host.test/start", hooks={"response": seeing})
    assert response.text == "done"
    assert seeing.statuses == [303, 303, 200]


def test_P7_a_refusal_that_stays_is_the_end(server: Server, connect: Open) -> None:
    server.script(poll("/w"), again(), Reply(429))
    seeing = Seeing()
    assert (
        connect(FAST.replace(poll_failures=0))
        .post(server.url, hooks={"response": seeing})
        .status_code
        == 429
    )
    assert seeing.statuses == [303, 429]


def test_P7_a_failure_that_outlasts_the_policy_is_the_end(server: Server, connect: Open) -> None:
    server.script(poll("/w"), Reply(502, {}, b"gone"))
    seeing = Seeing()
    session = connect(FAST.replace(poll_failures=2))
    assert session.post(server.url, hooks={"response": seeing}).text == "gone"
    assert seeing.statuses == [303, 502]


# a hook that replaces the response


def test_P7_what_replaces_a_poll_is_the_result(server: Server, connect: Open) -> None:
    server.script(poll("/w/1"), poll("/w/2"), poll("/w/3"), DONE)

    def hook(response: requests.Response, **_: Any) -> requests.Response | None:
        if not response.url.endswith("/w/2"):
            return None
        response.close()
        made = requests.Response()
        made.status_code, made._content, made.request = 200, b"made", response.request
        return made

    response = connect(FAST).post(server.url, hooks={"response": hook})
    assert (response.status_code, response.content) == (200, b"made")
    assert server.asked == ["POST /", "GET /w/1", "GET /w/2"]


def test_P7_a_response_that_was_changed_is_followed_as_it_is(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(poll("/w/1"), poll("/w/2", "5"), DONE)

    def hook(response: requests.Response, **_: Any) -> None:
        if response.headers.get("Location") == "/w/2":
            response.headers["Location"] = "/elsewhere"

    session = connect(FAST.replace(clock=clock))
    assert session.post(server.url, hooks={"response": hook}).text == "done"
    assert server.asked == ["POST /", "GET /w/1", "GET /elsewhere"]
    assert clock.slept[-1] == 5


@kinds
def test_P7_a_poll_that_replaces_a_result_is_followed(
    server: Server, kind: Callable[..., PollingMixin], clock: FakeClock
) -> None:
    """As requests follows a redirect that a hook makes."""
    server.script(poll("/w/1"), Reply(200, {}, b"pending"), DONE)

    def hook(response: requests.Response, **_: Any) -> None:
        if response.content == b"pending":
            response.status_code = 303
            response.headers.update({"Location": "/w/2", "Retry-After": "5"})

    with kind(policy=FAST.replace(clock=clock)) as session:
        assert session.post(server.url, hooks={"response": hook}).text == "done"
    assert server.asked == ["POST /", "GET /w/1", "GET /w/2"]
    assert clock.slept[-1] == 5


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("place", [1, 2, 4])
@pytest.mark.parametrize("is_pending", [False, True], ids=["redirects", "pending"])
@pytest.mark.parametrize("how", ["connection", "session", "another session", "headers"])
def test_P1_what_a_hook_makes_of_a_poll_says_when_it_goes_on(
    server: Server,
    connect: Open,
    clock: FakeClock,
    how: str,
    is_pending: bool,
    place: int,
    method: str,
) -> None:
    def asked(location: str, wait: str) -> Reply:
        return poll(location, wait, 202 if is_pending else 307)

    shown: list[str] = []

    def hook(response: requests.Response, **kwargs: Any) -> requests.Response | None:
        shown.append(response.url)
        if len(shown) != place:
            return None
        assert response.request is not None
        request = response.request.copy()
        request.url = f"{server.url}/other"
        if how == "connection":
            other: requests.Response = response.connection.send(request, **kwargs)
            return other
        if how == "session":
            return session.send(request, allow_redirects=False)
        if how == "another session":
            return requests.get(f"{server.url}/other", allow_redirects=False, timeout=9)
        response.headers.update({"Retry-After": "60", "Location": "/v"})
        return None

    replies = {"/start": asked("/w/1", "1"), "/other": poll("/v", "60")}
    replies |= {f"/w/{n}": asked(f"/w/{n + 1}", "1") for n in range(1, 6)}
    replies["/v"] = Reply(200, {}, b"the other")
    server.answer = lambda seen: replies.get(seen.path, DONE)
    pending = accepted if is_pending else None
    session = connect(FAST.replace(clock=clock, pending=pending))
    by_itself = how in ("another session", "headers") and place == 1 and not is_pending
    if by_itself and not isinstance(session, PollingMixin):
        pytest.skip("an adapter does not see what hooks make of a redirect that it has handed out")
    response = session.request(method, f"{server.url}/start", hooks={"response": hook})
    assert (response.text, 60 in clock.slept) in [("the other", True), ("done", False)]


@pytest.mark.parametrize("follows", [True, False])
def test_P1_what_a_hook_sends_by_the_session_is_waited_for(
    server: Server, connect: Open, clock: FakeClock, follows: bool
) -> None:
    """Whether that follows what it is answered, or leaves it to the call."""
    server.script(Reply(401), poll("/w", "5"), poll("/w", "7"), again("3"), DONE)
    session = connect(FAST.replace(clock=clock))
    seen: list[int] = []

    def hook(response: requests.Response, **_: Any) -> requests.Response | None:
        seen.append(response.status_code)
        if response.status_code != 401:
            return None
        assert response.request is not None
        return session.send(response.request.copy(), allow_redirects=follows)

    assert session.post(server.url, hooks={"response": hook}).text == "done"
    assert clock.slept == [5, 7, 3]
    assert server.asked == ["POST /", "POST /", "GET /w", "GET /w", "GET /w"]
    assert seen == [401, 303, 303, 200]


@pytest.mark.parametrize("status", [401, 407])
def test_P9_a_copy_of_a_challenged_request_is_a_call_of_its_own(
    server: Server, connect: Open, clock: FakeClock, status: int
) -> None:
    server.script(Reply(status), poll("/w", "20"), poll("/w", "20"), DONE)
    session = connect(FAST.replace(clock=clock, total_timeout=100))
    seeing = Seeing()
    response = session.post(server.url, hooks={"response": seeing})
    clock.now += 90
    assert response.request is not None
    assert session.send(response.request.copy()).text == "done"
    assert seeing.statuses == [status, 303, 303, 200]


@pytest.mark.parametrize("is_copied", [True, False], ids=["by a copy", "by itself"])
@pytest.mark.parametrize("is_made_ready", [True, False], ids=["made ready", ""])
def test_P1_a_challenge_to_each_poll(
    server: Server, connect: Open, clock: FakeClock, is_copied: bool, is_made_ready: bool
) -> None:
    """Each goes on with the job, whose polls are counted, and have what before_poll gives them."""
    left = iter(range(5))
    known: list[str] = []

    def answer(seen: Seen) -> Reply:
        credential = seen.headers.get("Authorization")
        if credential is None or credential in known:
            return Reply(401)
        known.append(credential)
        return DONE if next(left, None) is None else poll("/w", "5")

    def hook(response: requests.Response, **kwargs: Any) -> requests.Response | None:
        if response.status_code != 401 or response.request is None:
            return None
        request = response.request.copy() if is_copied else response.request
        request.headers["Authorization"] = str(len(known))
        return response.connection.send(request, **kwargs)  # type: ignore[attr-defined, no-any-return]

    def made_ready(request: requests.PreparedRequest) -> None:
        request.headers["X-Ready"] = "yes"

    server.answer = answer
    policy = FAST.replace(clock=clock, before_poll=made_ready if is_made_ready else None)
    hooks = {"response": hook}
    assert connect(policy).post(server.url, hooks=hooks).text == "done"
    assert clock.slept == [5] * 5
    ready = [seen.headers.get("X-Ready") for seen in server.seen if seen.method == "GET"]
    assert {*ready} == {"yes" if is_made_ready else None}
    known.clear()
    left = iter(range(5))
    with pytest.raises(TooManyPolls):
        connect(policy.replace(max_polls=2)).post(server.url, hooks=hooks)


def test_P1_a_session_that_answers_a_challenge_to_a_poll_waits_for_the_next(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    left = iter(range(2))

    def answer(seen: Seen) -> Reply:
        if seen.headers.get("X-For") != seen.path:
            return Reply(401)
        if seen.path == "/start":
            return Reply(202, {"Location": "/w", "Retry-After": "1"})
        return DONE if next(left, None) is None else poll("/w", "5")

    def hook(response: requests.Response, **_: Any) -> requests.Response | None:
        if response.status_code != 401 or response.request is None:
            return None
        request = response.request.copy()
        request.headers["X-For"] = (request.url or "").removeprefix(server.url)
        return session.send(request)

    server.answer = answer
    session = connect(FAST.replace(clock=clock, pending=accepted))
    assert session.post(f"{server.url}/start", hooks={"response": hook}).text == "done"
    assert clock.slept == [1, 5, 5]


# what hooks do besides


def aside(response: requests.Response, url: str, **kwargs: Any) -> None:
    """Send something by a copy of the request, as some do to keep credentials."""
    assert response.request is not None
    request = response.request.copy()
    request.method, request.url, request.body = "GET", url, None
    _ = response.connection.send(request, **kwargs).content


def test_P3_what_they_send_besides_makes_no_redirect_of_a_poll(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    """Else 30 of these would be too many."""
    left = iter(range(40))
    server.answer = lambda seen: poll("/w", "1") if seen.path != "/log" and next(left, 0) else DONE
    session = connect(FAST.replace(clock=clock))

    def hook(response: requests.Response, **kwargs: Any) -> None:
        aside(response, f"{server.url}/log", **kwargs)

    next(left)
    response = session.post(f"{server.url}/start", hooks={"response": hook})
    assert response.text == "done"
    assert clock.slept == [1] * 39
    assert server.asked.count("GET /log") == 40


@pytest.mark.parametrize("log", [DONE, RESET], ids=["answered", "not answered"])
@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
@kinds
def test_P6_they_raise_after_that_and_the_job_goes_on(
    server: Server, kind: Callable[..., PollingMixin], error: type[BaseException], log: Reply
) -> None:
    server.answer = lambda seen: {"/start": poll("/w"), "/log": log}.get(seen.path, DONE)

    def hook(response: requests.Response, **kwargs: Any) -> None:
        _ = response.content
        with suppress(requests.ConnectionError):
            aside(response, f"{server.url}/log", **kwargs)
        raise error

    with kind(policy=FAST) as session:
        with pytest.raises(error) as caught:
            session.post(f"{server.url}/start", hooks={"response": hook})
        assert session.resume(continuation_token(caught.value) or "").result().text == "done"
    assert server.asked == ["POST /start", "GET /log", "GET /w"]


@pytest.mark.parametrize(
    "besides", [Reply(200, {}, b"besides"), Reply(302, {"Location": "/other"})]
)
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_P6_what_they_were_sending_is_not_the_answer(
    server: Server, error: type[BaseException], besides: Reply
) -> None:
    server.answer = lambda seen: {"/start": poll("/w"), "/besides": besides}.get(seen.path, DONE)

    def hook(response: requests.Response, **kwargs: Any) -> None:
        if response.url.endswith("/w"):
            _ = response.content
            aside(response, f"{server.url}/besides", **kwargs)
            raise error

    with PollingSession(policy=FAST) as session:
        with pytest.raises(error) as caught:
            session.post(f"{server.url}/start", hooks={"response": hook})
        poller = session.resume(continuation_token(caught.value) or "")
        assert poller.url == f"{server.url}/w"
        assert poller.result().text == "done"
        poller = session.submit("POST", f"{server.url}/start", hooks={"response": hook})
        with pytest.raises(error):
            poller.result()
        if error is KeyboardInterrupt:
            assert poller.result().text == "done"
    assert "GET /other" not in server.asked


@pytest.mark.parametrize("stream", [False, True])
def test_P6_the_response_of_their_own_error_can_be_read(
    server: Server, connect: Open, stream: bool
) -> None:
    server.script(poll("/w")._replace(body=b"why it waits"), DONE)

    def refuse(response: requests.Response, **_: Any) -> None:
        raise requests.HTTPError("mine", response=response)

    with connect(FAST) as session, pytest.raises(requests.HTTPError, match="mine") as caught:
        session.post(server.url, hooks={"response": refuse}, stream=stream)
    assert caught.value.response is not None
    assert caught.value.response.text == "why it waits"


def test_P6_the_token_of_what_they_bring_is_its_own(server: Server, connect: Open) -> None:
    """As where the session has followed something for them."""
    replies = {"/start": poll("/w", "0", 307), "/w": poll("/v")}
    lost = iter([Reply(404)])
    server.answer = lambda seen: replies.get(seen.path) or next(lost, DONE)
    session = connect(FAST)
    sent: list[str] = []

    def follow(response: requests.Response, **_: Any) -> requests.Response | None:
        assert response.request is not None
        if not response.url.endswith("/w") or sent:
            return None
        sent.append(response.url)
        _ = response.content
        return session.send(response.request.copy())

    response = session.get(f"{server.url}/start", hooks={"response": follow})
    assert (response.status_code, response.url) == (404, f"{server.url}/v")
    with PollingSession(policy=FAST) as other:
        assert other.resume(continuation_token(response) or "").url == f"{server.url}/v"


@pytest.mark.parametrize("how", ["asks for a token first", "in two steps", "looks at the hooks"])
def test_P6_what_answers_a_challenge_is_of_the_job(server: Server, connect: Open, how: str) -> None:
    """So that a poll may fail then."""
    failed: list[Seen] = []

    def answer(seen: Seen) -> Reply:
        if seen.path != "/w":
            return poll("/w") if seen.path == "/start" else DONE
        step = seen.headers.get("X-Step")
        if step != "2":
            return Reply(401)
        failed.append(seen)
        return Reply(502) if len(failed) == 1 else DONE

    server.answer = answer
    session = connect(FAST)

    def send(request: requests.PreparedRequest, **headers: str) -> requests.Response:
        other = request.copy()
        other.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        return session.send(other, allow_redirects=False)

    def renew(response: requests.Response, **_: Any) -> requests.Response | None:
        request = response.request
        assert request is not None
        if response.status_code != 401 or "X-Step" in request.headers:
            return None
        if how == "looks at the hooks":
            assert list(request.hooks["response"])
        elif how == "in two steps":
            send(request, X_Step="1")
        else:
            token = request.copy()
            token.url = f"{server.url}/token"
            session.send(token)
        return send(request, X_Step="2")

    response = session.post(f"{server.url}/start", hooks={"response": renew})
    assert response.text == "done"
    assert len(failed) == 2


def test_P7_they_take_themselves_off_and_add_others(server: Server, connect: Open) -> None:
    def ask(session: requests.Session) -> list[tuple[str, int]]:
        server.script(poll("/w"), Reply(302, {"Location": "/end"}), DONE)
        seen: list[tuple[str, int]] = []

        def once(response: requests.Response, **_: Any) -> None:
            seen.append(("once", response.status_code))
            assert response.request is not None
            response.request.deregister_hook("response", once)
            response.request.register_hook("response", always)

        def always(response: requests.Response, **_: Any) -> None:
            seen.append(("always", response.status_code))

        session.post(server.url, hooks={"response": once})
        return seen

    with requests.Session() as stock:
        assert ask(connect(FAST)) == ask(stock)


@pytest.mark.parametrize("polls", [0, 2])
def test_P7_cookies_of_what_they_have_sent(server: Server, connect: Open, polls: int) -> None:
    """Those of a login, for one."""

    def ask(session: requests.Session) -> object:
        left = iter(range(polls))

        def answer(seen: Seen) -> Reply:
            if "Authorization" not in seen.headers:
                challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
                return Reply(401, {**challenge, "Set-Cookie": "lb=a; Path=/"})
            reply = DONE if next(left, None) is None else poll("/w")
            return reply._replace(headers={**reply.headers, "Set-Cookie": "session=1; Path=/"})

        server.answer = answer
        response = session.get(server.url, auth=HTTPDigestAuth("u", "p"))
        assert response.request is not None
        return response.text, cookies(session), "Authorization" in response.request.headers

    with requests.Session() as stock:
        assert ask(connect(FAST)) == ask(stock)


def test_P7_what_the_caller_changes_in_a_request_that_was_answered(
    server: Server, connect: Open
) -> None:
    server.script(poll("/w/1"), poll("/w/2"), Reply(403), DONE)
    session = connect(FAST)
    response = session.post(f"{server.url}/start")
    assert response.request is not None
    response.request.headers["X-Token"] = "new"
    assert session.send(response.request).text == "done"
    assert [seen.path for seen in server.seen] == ["/start", "/w/1", "/w/2", "/w/2"]
    assert server.seen[-1].headers["X-Token"] == "new"


def test_P7_an_adapter_that_answers_challenges_itself(server: Server) -> None:
    class Renewing(PollingAdapter):
        def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            response = super().send(request, **kwargs)
            if response.status_code == 401:
                request.headers["X-Token"] = "new"
                response = super().send(request, **kwargs)
            return response

    server.answer = lambda seen: DONE if "X-Token" in seen.headers else Reply(401)
    seeing = Seeing()
    with requests.Session() as session:
        session.mount("http://", Renewing(policy=FAST))
        assert session.get(server.url, hooks={"response": seeing}).text == "done"
        assert seeing.statuses == [200]


# a response without .request


def made(status: int, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content, response.url = status, b"made", "http://host.test/"
    response.headers.update({key.replace("_", "-"): value for key, value in headers.items()})
    return response


class Making(HTTPAdapter):
    """As adapters that tests write."""

    def __init__(self, *replies: requests.Response) -> None:
        super().__init__()
        self.replies = list(replies)

    def send(self, request: Any, **_: Any) -> requests.Response:  # type: ignore[override]
        return self.replies.pop(0)


@pytest.mark.parametrize("status", [200, 304, 404, 429, 502, 503])
@kinds
def test_P7_without_a_request_of_an_adapter(kind: Callable[..., PollingMixin], status: int) -> None:
    with kind(policy=FAST) as session:
        session.mount("http://", Making(*[made(status)] * 3))
        assert session.get("http://host.test/").content == b"made"
        assert session.post("http://host.test/", allow_redirects=False).content == b"made"
        assert session.begin("GET", "http://host.test/").result().content == b"made"


@pytest.mark.parametrize("status", [429, 503])
@kinds
def test_P7_without_a_request_it_is_asked_again_too(
    kind: Callable[..., PollingMixin], status: int, clock: FakeClock
) -> None:
    for how in ("get", "begin"):
        clock.slept.clear()
        with kind(policy=FAST.replace(clock=clock)) as session:
            session.mount("http://", Making(made(status, Retry_After="5"), made(200)))
            if how == "get":
                response = session.get("http://host.test/")
            else:
                response = session.begin("GET", "http://host.test/").result()
            assert response.status_code == 200
        assert clock.slept == [5]


@pytest.mark.parametrize("status", [200, 404, 502])
@pytest.mark.parametrize("replaced", ["/start", "/w"])
def test_P7_without_a_request_of_a_hook(
    server: Server, connect: Open, status: int, replaced: str
) -> None:
    def hook(response: requests.Response, **_: Any) -> requests.Response | None:
        if not response.url.endswith(replaced):
            return None
        response.close()
        return made(status)

    server.script(poll("/w"), poll("/w"), DONE)
    response = connect(FAST).post(server.url + "/start", hooks={"response": hook})
    assert (response.status_code, response.content) == (status, b"made")
    assert len(server.seen) == (1 if replaced == "/start" else 2)


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("replaced", ["/start", "/w"])
@kinds
def test_P7_without_a_request_of_a_hook_of_a_job(
    server: Server, kind: Callable[..., PollingMixin], status: int, replaced: str
) -> None:
    def hook(response: requests.Response, **_: Any) -> requests.Response | None:
        if not response.url.endswith(replaced):
            return None
        response.close()
        return made(status)

    server.script(poll("/w"), poll("/w"), DONE)
    with kind(policy=FAST) as session:
        poller = session.begin("POST", server.url + "/start", hooks={"response": hook})
        assert poller.result().status_code == status
        assert poller.exception() is None
    assert len(server.seen) == (1 if replaced == "/start" else 2)


# each answer is unread


def to(location: str, status: int = 302, body: bytes = b"body") -> Reply:
    return Reply(status, {**DATE, "Location": location}, body)


@pytest.mark.parametrize("polls", [False, True])
@pytest.mark.parametrize("chain", [["/end"], ["/a", "/end"], ["/a", "/a", "/b", "/end"]])
def test_P7_each_answer_is_unread(
    server: Server, connect: Open, chain: list[str], polls: bool
) -> None:
    """What a hook reads of it, it reads from the connection."""

    def read(session: requests.Session, hops: list[Reply]) -> list[tuple[bool, bytes]]:
        found: list[tuple[bool, bytes]] = []

        def hook(response: requests.Response, **_: Any) -> None:
            found.append((response._content is False, response.raw.read()))

        server.script(*hops, Reply(200, DATE, b"the end"))
        session.post(server.url, hooks={"response": hook})
        return found

    with requests.Session() as stock:
        expected = read(stock, [to(location) for location in chain])
    hops = [poll(path)._replace(body=b"body") if polls else to(path) for path in chain]
    assert read(connect(FAST), hops) == expected


def test_P7_reading_is_left_to_the_hook(server: Server, connect: Open) -> None:
    """What a hook has read with ``content`` stays readable for the caller."""
    found: list[bytes] = []
    server.script(poll("/w"), Reply(303, {"Location": "/w", "Retry-After": "0"}, b"40 %"), DONE)

    def hook(response: requests.Response, **_: Any) -> None:
        found.append(response.content)

    assert connect(FAST).post(server.url, hooks={"response": hook}).content == b"done"
    assert found == [b"", b"40 %", b"done"]


@pytest.mark.parametrize("body", [b"", b"the end", b"long" * 500_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_P7_the_raw_response_is_that_of_requests(
    server: Server, connect: Open, body: bytes, chunked: bool
) -> None:
    """For a hook, and afterwards: its version, its reason, its headers, as often as they came."""
    found: list[Any] = []

    def facts(response: requests.Response, **_: Any) -> None:
        raw = response.raw
        lines = [(name, raw.headers.getlist(name)) for name in sorted(raw.headers)]
        found.append([type(raw), raw.version, raw.reason, raw.status, lines, raw.retries is None])

    cookies = "a=1; Path=/\r\nSet-Cookie: b=2; Path=/"
    end = Reply(200, {**DATE, "Set-Cookie": cookies}, (lambda: [body]) if chunked else body)
    for make in (requests.Session, lambda: connect(FAST)):
        server.script(poll("/w"), poll("/w"), end)
        if make is requests.Session:
            server.script(to("/w", 303), to("/w", 303), end)
        with make() as session:
            response = session.get(server.url, hooks={"response": facts})
            assert response.content == body
            facts(response)
    stock, ours = found[: len(found) // 2], found[len(found) // 2 :]
    assert ours[2:] == stock[2:]
    assert [one[1:4] for one in ours] == [[11, one[2], one[3]] for one in stock]


def test_P7_a_redirect_that_cannot_be_decoded_is_the_hooks_to_read(
    server: Server, connect: Open
) -> None:
    broken = {"Location": "/v", "Content-Encoding": "gzip"}
    server.script(poll("/w"), Reply(302, broken, b"this is no gzip"), DONE)
    session = connect(FAST)

    def reads(response: requests.Response, **_: Any) -> None:
        _ = response.content

    with pytest.raises(requests.exceptions.ContentDecodingError):
        session.get(server.url, hooks={"response": reads})
    server.script(poll("/w"), Reply(302, broken, b"this is no gzip"), DONE)
    assert session.get(server.url, hooks={"response": lambda response, **_: None}).text == "done"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_P7_a_hook_may_read_the_beginning(server: Server, connect: Open, framing: str) -> None:
    packed = gzip.compress(bytes(100_000))
    body: Any = (lambda: [packed]) if framing == "chunked" else packed
    coded = poll("/w")._replace(body=body)
    coded = coded._replace(headers={**coded.headers, "Content-Encoding": "gzip"})
    server.script(poll("/w"), coded, coded, DONE)
    read: list[bytes] = []

    def hook(response: requests.Response, **_: Any) -> None:
        if response.is_redirect:
            read.append(next(response.iter_content(100), b""))

    assert connect(FAST).get(server.url, hooks={"response": hook}).text == "done"
    assert [part[:100] for part in read] == [b"", *[bytes(100)] * 2]  # old ones give more at once


def test_P7_a_hook_may_send_on_the_only_connection(server: Server, connect: Open) -> None:
    """What answers a poll has come, and its connection is free."""
    server.script(poll("/w"), poll("/w"), DONE)
    session = connect(FAST.replace(total_timeout=10))
    for adapter in session.adapters.values():
        adapter.init_poolmanager(1, 1, block=True)  # type: ignore[attr-defined]
    sent = []

    def hook(response: requests.Response, **_: Any) -> None:
        if response.status_code == 200 and not sent:
            sent.append("once")
            assert session.get(f"{server.url}/side").text == "done"

    assert session.get(server.url, hooks={"response": hook}).text == "done"
    assert server.connections == 1


@pytest.mark.parametrize("body", [b"x" * 70_000, b"x" * 70], ids=["long", "short"])
def test_P7_a_redirect_is_unread_however_long_it_is(
    server: Server, connect: Open, body: bytes
) -> None:
    server.script(poll("/w")._replace(body=body), DONE)
    read = []

    def hook(response: requests.Response, **_: Any) -> None:
        assert response._content is False
        read.append(len(response.raw.read()))

    assert connect(FAST).get(server.url, hooks={"response": hook}).status_code == 200
    assert read in ([len(body), 4], [0, 4])  # an adapter drops what is too long


class Handshake(AuthBase):
    """Answers a 401 as requests_ntlm does: two more requests on the same connection, and a look
    into the unread response of the first for its socket."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.register_hook("response", self.answer)
        return request

    def answer(self, response: requests.Response, **kwargs: Any) -> requests.Response:
        if response.status_code != 401 or "Authorization" in response.request.headers:
            return response
        assert response.raw._fp.fp.raw is not None  # it would be None in a body that was read
        challenged = self.ask(response, "negotiate", {**kwargs, "stream": False})
        assert challenged.status_code == 401
        answered = self.ask(challenged, "response", kwargs)
        answered.history.extend([response, challenged])
        return answered

    def ask(
        self, response: requests.Response, step: str, kwargs: dict[str, Any]
    ) -> requests.Response:
        _ = response.content
        response.raw.release_conn()
        request = response.request.copy()
        request.headers["Authorization"] = f"{step} {response.headers['WWW-Authenticate']}"
        return response.connection.send(request, **kwargs)


class Asking:
    """A server that asks for that handshake before each of its answers."""

    def __init__(self, server: Server, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[str] = []
        server.answer = self.answer

    def answer(self, seen: Any) -> Reply:
        step = seen.headers.get("Authorization", "")
        if step != "response second":
            name = "second" if step == "negotiate first" else "first"
            return Reply(401, {**DATE, "WWW-Authenticate": name}, b"who are you?")
        self.asked.append(f"{seen.method} {seen.path} {seen.body.decode()}".strip())
        return self.replies.pop(0)


def end(body: bytes = b"done") -> Reply:
    return Reply(200, DATE, body)


def test_P7_a_handshake_without_polls(server: Server, connect: Open) -> None:
    records = []
    with requests.Session() as stock:
        for session in (stock, connect(FAST)):
            Asking(server, to("/x", 307), end())
            records.append(
                record(server, lambda: session.put(server.url, data=b"body", auth=Handshake()))  # noqa: B023
            )
    assert records[0] == records[1]
    assert records[0]["connections"] == 1


def test_P7_a_handshake_in_a_job(server: Server, connect: Open, clock: FakeClock) -> None:
    asking = Asking(server, poll("/w/1", "5"), poll("/w/2", "6"), poll("/w/2", "7"), end())
    session = connect(FAST.replace(clock=clock))
    response = session.post(server.url, data=b"body", auth=Handshake())
    assert response.text == "done"
    assert asking.asked == ["POST / body", "GET /w/1", "GET /w/2", "GET /w/2"]
    assert clock.slept == [5, 6, 7]
    assert server.connections == 1


@kinds
def test_P7_a_handshake_in_a_job_that_is_polled_by_hand(
    server: Server, clock: FakeClock, kind: Callable[..., PollingMixin]
) -> None:
    asking = Asking(server, poll("/w/1", "5"), poll("/w/2", "6"), end())
    with kind(policy=FAST.replace(clock=clock)) as session:
        poller = session.begin("POST", server.url, data=b"body", auth=Handshake())
        assert poller.result().text == "done"
    assert asking.asked == ["POST / body", "GET /w/1", "GET /w/2"]
    assert clock.slept == [5, 6]


@pytest.mark.parametrize("unseen", [again("5"), again("5", 503)])
def test_P4_what_a_handshake_brings_back_is_asked_again(
    server: Server, connect: Open, clock: FakeClock, unseen: Reply
) -> None:
    """A refusal that a hook has got for us is one, and waited for once."""
    asking = Asking(server, poll("/w", "1"), unseen, poll("/w", "2"), end())
    session = connect(FAST.replace(clock=clock))
    assert session.post(server.url, auth=Handshake()).text == "done"
    assert asking.asked == ["POST /", "GET /w", "GET /w", "GET /w"]
    assert clock.slept == [1, 5, 2]


def test_P4_a_failure_that_a_handshake_brings_back(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    asking = Asking(server, poll("/w", "1"), Reply(502), poll("/w", "2"), end())
    session = connect(FAST.replace(clock=clock, backoff_factor=5))
    assert session.post(server.url, auth=Handshake()).text == "done"
    assert asking.asked == ["POST /", "GET /w", "GET /w", "GET /w"]
    assert clock.slept == [1, 5, 2]


# what a hook does besides


def test_P4_P9_a_request_that_a_hook_sends_is_a_call_of_its_own(
    server: Server, elsewhere: Server, connect: Open, clock: FakeClock
) -> None:
    """By the session, and by the adapter's side door too."""
    server.script(poll("/w", "1"), poll("/w", "1"), DONE)
    elsewhere.script(again("5"), poll("/side", "7"), DONE)
    session = connect(FAST.replace(clock=clock))
    found: list[str] = []

    def hook(response: requests.Response, **_: Any) -> None:
        if response.url.endswith("/w") and not found:
            found.append(session.get(elsewhere.url).text)

    assert session.post(server.url, hooks={"response": hook}).text == "done"
    assert found == ["done"]
    assert [seconds for seconds in clock.slept if seconds] == [1, 5, 7]  # then it is due


def test_P7_hooks_get_what_requests_gives_them(server: Server, connect: Open) -> None:
    """The arguments of the request, for who sends one like it."""
    given: list[dict[str, Any]] = []

    def hook(response: requests.Response, **kwargs: Any) -> None:
        given.append({key: kwargs.get(key) for key in ("stream", "timeout", "verify", "cert")})

    options: dict[str, Any] = {"stream": True, "timeout": 5, "verify": False}
    with requests.Session() as stock:
        server.script(to("/a"), to("/b"), DONE)
        stock.get(server.url, hooks={"response": hook}, **options).close()
    expected = list(given)
    given.clear()
    server.script(poll("/a"), poll("/b"), DONE)
    connect(FAST).get(server.url, hooks={"response": hook}, **options).close()
    assert given == expected


@pytest.mark.parametrize("way", ["session", "mounted", "mixed", "begin", "submit"])
@pytest.mark.parametrize("status", [200, 404])
def test_P6_an_error_of_their_own_is_no_failed_poll(
    server: Server, clock: FakeClock, way: str, status: int
) -> None:
    """Although they have closed the answer, of which nothing more can be read."""
    seen: list[int] = []

    def pins(response: requests.Response, **_: Any) -> None:
        seen.append(response.status_code)
        if not response.is_redirect:
            response.close()
            raise requests.exceptions.SSLError("the fingerprint does not match")

    server.script(poll("/w"), Reply(status, {}, b"x" * 5000))
    policy = FAST.replace(clock=clock)
    with pytest.raises(requests.exceptions.SSLError, match="fingerprint"):
        WAYS[way](policy, "POST", server.url, hooks={"response": pins})
    assert seen == [303, status]


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("status", [200, 404, 401])
def test_P6_what_is_cut_short_again_and_again_is_an_outage_with_hooks_too(
    server: Server, connect: Open, clock: FakeClock, status: int, reads: bool
) -> None:
    def reading(response: requests.Response, **_: Any) -> None:
        _ = response.content if reads else None

    cut = Reply(status, {}, b"who are you?" * 50, fault="cut")
    server.script(poll("/w"), poll("/w"), cut)
    policy = FAST.replace(clock=clock, poll_failures=3)
    with connect(policy) as session, pytest.raises(OutageTooLong, match="poll_failures=3"):
        session.post(server.url, hooks={"response": reading})
    assert len(server.seen) == 3 + 3


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_P6_what_they_send_by_a_plain_session_and_is_cut_short_is_asked_again(
    server: Server, status: int
) -> None:
    with mounted_adapter(FAST.replace(failure_statuses={502})) as session:

        def renews(response: requests.Response, **_: Any) -> Any:
            if response.status_code != status:
                return None
            again = response.request.copy()
            again.headers["Authorization"] = "new"
            return session.send(again)

        cut = Reply(200, {}, b"the result" * 50, fault="cut")
        server.script(poll("/w"), poll("/w"), Reply(status), cut, DONE)
        assert session.post(server.url, hooks={"response": renews}).content == b"done"


@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_P9_a_prepared_request_stays_the_callers(
    server: Server, connect: Open, status: int
) -> None:
    """What is pending is polled below a plain session, too, whatever comes of it in the end."""
    pending = Reply(202, {"Location": "/w", "Retry-After": "0"})
    with connect(FAST.replace(pending=accepted, failure_statuses={502})) as session:
        hooks = {"response": lambda response, **_: None}
        start = requests.Request("POST", server.url, data=b"work", hooks=hooks)
        request = session.prepare_request(start)
        for _ in range(2):
            server.script(pending, pending, Reply(status))
            assert session.send(request).status_code == status
            assert (request.method, request.body) == ("POST", b"work")
    assert server.asked.count("POST /") == 2


@kinds
def test_P7_an_answer_without_a_status(kind: Callable[..., PollingMixin]) -> None:
    """Of a mock."""

    class Mock(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
            made = requests.Response()
            made.url, made.request, made._content = request.url or "", request, b"mocked"
            return made

    class Polling(PollingAdapterMixin, Mock):
        pass

    for session, adapter in (
        (kind(), Mock()),
        (kind(), Polling()),
        (requests.Session(), Polling()),
    ):
        session.mount("http://", adapter)
        assert session.get("http://mocked/", hooks={"response": Seeing()}).text == "mocked"


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
@pytest.mark.parametrize("first", [202, 303])
def test_P7_what_ends_a_job_that_was_challenged_they_see_once(
    server: Server, connect: Open, status: int, first: int
) -> None:
    hook = Seeing()
    challenge = Reply(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    begun = Reply(first, {"Location": "/w", "Retry-After": "0"})
    server.script(challenge, begun, Reply(status), Reply(status))
    policy = FAST.replace(pending=accepted, failure_statuses=())
    with connect(policy) as session:
        auth = HTTPDigestAuth("u", "p")
        response = session.get(server.url, auth=auth, hooks={"response": hook})
    assert response.status_code == status
    assert hook.statuses[-1] == status
    assert hook.statuses.count(status) == 1
    assert hook.statuses.count(first) == 1


@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_P7_the_request_of_an_answer_is_that_which_an_adapter_below_has_sent(
    server: Server, status: int
) -> None:
    class Signing(HTTPAdapter):
        def send(
            self, request: requests.PreparedRequest, *args: Any, **kw: Any
        ) -> requests.Response:
            signed = request.copy()
            signed.headers["X-Signature"] = "s"
            return super().send(signed, *args, **kw)

    class Polling(PollingAdapterMixin, Signing):
        pass

    seen: list[Any] = []
    server.script(Reply(status))
    with requests.Session() as session:
        session.mount("http://", Polling(policy=FAST))
        hook = {"response": lambda response, **_: seen.append(response.request)}
        seen.append(session.get(server.url, hooks=hook).request)
    assert [request.headers["X-Signature"] for request in seen] == ["s", "s"]


@kinds
def test_P7_they_may_bring_a_copy_where_redirects_are_not_followed(
    server: Server, kind: Callable[..., PollingMixin]
) -> None:
    server.script(DONE)
    with kind(policy=FAST) as session:
        hooks = {"response": lambda response, **_: copy.copy(response)}
        assert session.head(server.url, hooks=hooks).ok
        assert session.get(server.url, hooks=hooks, allow_redirects=False).content == b"done"


@pytest.mark.parametrize("takes_off", ["deregister", "a list of the others"])
def test_P7_one_that_takes_itself_off_what_it_makes(
    server: Server, connect: Open, takes_off: str
) -> None:
    seen: list[int] = []
    with connect(FAST) as session:

        def renews(response: requests.Response, **_: Any) -> Any:
            seen.append(response.status_code)
            hooks = response.request.hooks
            if takes_off != "deregister":
                hooks = {"response": [hook for hook in hooks["response"] if hook is not renews]}
            again = session.prepare_request(requests.Request("GET", server.url, hooks=hooks))
            again.deregister_hook("response", renews)
            return session.send(again)

        server.script(Reply(401), Reply(401), DONE)
        assert session.get(server.url, hooks={"response": renews}).status_code == 401
    assert seen == [401]
