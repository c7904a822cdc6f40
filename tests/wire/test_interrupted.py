"""Whatever ends a call, and wherever: the job is where the server said, and due when it said."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth

from polling_adapter import (
    OutageTooLong,
    Poller,
    PollingAdapter,
    PollingError,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    TooManyPolls,
    Wait,
    continuation_token,
)
from polling_adapter._call.hooks import owner_of
from polling_adapter.pending import Result, accepted, json_field

from ..conftest import MixedSession, Open, mixed_in, mounted_adapter, polling_session
from ..fake_clock import FakeClock
from ..server import DONE, Reply, Seen, Server, again, poll
from .in_time import ctrl_c, on_main
from .ways import WAYS

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)


class CtrlC(BaseException):
    """As KeyboardInterrupt, which no test should leave to pytest."""


def raising(error: BaseException) -> Callable[..., None]:
    """As a hook or as ``on_wait``."""

    def code_of_the_caller(told: Wait | requests.Response, **_: Any) -> None:
        if isinstance(told, requests.Response):
            told.close()  # or its connection stays open for as long as the error is there
        raise error

    return code_of_the_caller


def boom(told: Wait | requests.Response, **_: Any) -> None:
    raising(ValueError("the caller's own"))(told)


kinds = pytest.mark.parametrize("kind", [ValueError, CtrlC])
wheres = pytest.mark.parametrize("where", ["on_wait", "hook"])


# P6: what has been started is never started again

breaks = pytest.mark.parametrize(
    ("location", "on_wait", "hook"),
    [
        ("ftp://127.0.0.1/work", None, None),
        ("http://[", None, None),
        ("/\xff\xfe", None, None),
        ("http://127.0.0.1:99999/work", None, None),
        ("/work", boom, None),
        ("/work", None, boom),
    ],
    ids=["leads nowhere", "unreadable", "no text", "no port", "on_wait raises", "hook raises"],
)


def started_once(server: Server, location: str, status: int = 303) -> None:
    server.answer = lambda seen: poll(location, status=status) if seen.path == "/start" else DONE


def goes_on(session: PollingSession, token: str | None) -> None:
    """By its token, where it has one."""
    if token is not None:
        session.resume(token).exception()


def token_of(poller: Poller) -> str | None:
    try:
        return poller.continuation_token()
    except ValueError:
        return None


@breaks
def test_P6_the_token_of_a_poller_never_starts_the_work_again(
    server: Server, location: str, on_wait: Any, hook: Any
) -> None:
    started_once(server, location)
    with PollingSession(policy=FAST) as session:
        poller = session.begin(
            "POST",
            f"{server.url}/start",
            polling=FAST.replace(on_wait=on_wait),
            hooks={"response": hook} if hook else None,
        )
        assert poller.exception() is not None
        goes_on(session, token_of(poller))
    assert [asked for asked in server.asked if "/start" in asked] == ["POST /start"]
    if location == "/work":
        assert server.asked == ["POST /start", "GET /work"]


@breaks
def test_P6_the_token_of_an_error_never_starts_the_work_again(
    server: Server, connect: Open, location: str, on_wait: Any, hook: Any
) -> None:
    started_once(server, location)
    session = connect(FAST.replace(on_wait=on_wait))
    with pytest.raises(Exception) as caught:  # noqa: PT011
        session.post(f"{server.url}/start", hooks={"response": hook} if hook else None)
    with PollingSession(policy=FAST) as other:
        goes_on(other, getattr(caught.value, "continuation_token", None))
    assert [asked for asked in server.asked if "/start" in asked] == ["POST /start"]


@kinds
def test_P6_what_on_wait_raises_says_where_the_job_is(
    server: Server, connect: Open, kind: type[BaseException]
) -> None:
    started_once(server, "/work")
    session = connect(FAST.replace(on_wait=raising(kind())))
    with pytest.raises(kind) as caught:
        session.post(f"{server.url}/start")
    found: Any = caught.value
    with PollingSession(policy=FAST) as other:
        assert other.resume(found.continuation_token).result().text == "done"
    assert server.asked == ["POST /start", "GET /work"]


@kinds
@pytest.mark.parametrize("open_session", [polling_session, mixed_in])
def test_P6_what_a_hook_raises_says_where_the_job_is(
    server: Server, open_session: Open, kind: type[BaseException]
) -> None:
    started_once(server, "/work")
    with open_session(FAST) as session, PollingSession(policy=FAST) as other:
        with pytest.raises(kind) as caught:
            session.post(f"{server.url}/start", hooks={"response": raising(kind())})
        found: Any = caught.value
        assert other.resume(found.continuation_token).result().text == "done"
    assert server.asked == ["POST /start", "GET /work"]


@wheres
def test_P6_a_begin_that_is_interrupted_says_where_the_job_is(server: Server, where: str) -> None:
    started_once(server, "/work")
    interrupt = raising(CtrlC())
    with PollingSession(policy=FAST) as session:
        with pytest.raises(CtrlC) as caught:
            session.begin(
                "POST",
                f"{server.url}/start",
                polling=FAST.replace(on_wait=interrupt if where == "on_wait" else None),
                hooks={"response": interrupt} if where == "hook" else None,
            )
        found: Any = caught.value
        assert session.resume(found.continuation_token).result().text == "done"
    assert server.asked == ["POST /start", "GET /work"]


@pytest.mark.parametrize("ask", [Poller.result, Poller.exception])
def test_P6_who_waits_for_a_poller_in_vain_is_told_how_to_go_on(
    server: Server, ask: Callable[[Poller], object]
) -> None:
    class Interrupted(FakeClock):
        def sleep(self, seconds: float) -> None:
            raise CtrlC

    started_once(server, "/work")
    with PollingSession(policy=FAST.replace(clock=Interrupted())) as session:
        poller = session.begin("POST", f"{server.url}/start")
        with pytest.raises(CtrlC) as interrupted:
            ask(poller)
        poller.cancel()
        with pytest.raises(CancelledError) as cancelled:
            ask(poller)
        for ended in (interrupted.value, cancelled.value):
            token = continuation_token(ended)
            assert session.resume(token or "", polling=FAST).result().text == "done"
    assert server.asked == ["POST /start", "GET /work", "GET /work"]


@pytest.mark.parametrize("status", [200, 404, 502])
def test_P6_a_start_that_was_answered_is_not_sent_again(server: Server, status: int) -> None:
    """A hook that raises does not take the answer back."""
    server.script(Reply(status))
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", f"{server.url}/start", hooks={"response": boom})
        assert isinstance(poller.exception(), ValueError)
        goes_on(session, token_of(poller))
    assert server.asked == ["POST /start"]


@kinds
def test_P1_a_refused_start_is_sent_again_when_it_is_due(
    server: Server, connect: Open, clock: FakeClock, kind: type[BaseException]
) -> None:
    """Nothing was started by it, so its token may."""
    server.script(again("60"), DONE)
    with pytest.raises(kind) as caught:
        connect(FAST.replace(clock=clock, on_wait=raising(kind()))).post(f"{server.url}/start")
    found: Any = caught.value
    with PollingSession(policy=FAST.replace(clock=clock)) as session:
        resumed = session.resume(found.continuation_token)
        assert not resumed.poll()
        assert resumed.wait_seconds == pytest.approx(60, abs=0.01)
        assert resumed.result().text == "done"
    assert server.asked == ["POST /start"] * 2


# P1: never early, whatever ended the step before


class Minute:
    """Each poll leads to another address, in a minute."""

    def __init__(self, server: Server, clock: FakeClock) -> None:
        self.at: list[tuple[str, float]] = []
        self.clock = clock
        self.began = clock.now
        server.answer = self.answer

    def answer(self, seen: Seen) -> Reply:
        self.at.append((f"{seen.method} {seen.path}", round(self.clock.now - self.began)))
        return poll(f"/w/{len(self.at)}", "60") if len(self.at) < 4 else DONE


def in_time_and_in_order(minute: Minute, poller: Poller) -> None:
    """Nothing before 120 s, and then GET /w/2, and so on."""
    assert poller.poll() is False
    assert minute.at == [("POST /", 0), ("GET /w/1", 60)]
    assert poller.result().text == "done"
    assert minute.at[2:] == [("GET /w/2", 120), ("GET /w/3", 180)]


def in_second_wait(error: BaseException) -> Callable[[Wait], None]:
    def tell(wait: Wait) -> None:
        if wait.number == 2:
            raise error

    return tell


def at_first_poll(error: BaseException) -> Callable[..., None]:
    """Once."""
    errors = [error]

    def hook(response: requests.Response, **_: Any) -> None:
        if response.url.endswith("/w/1") and errors:
            response.close()
            raise errors.pop()

    return hook


def options(where: str, policy: PollingPolicy, error: BaseException) -> dict[str, Any]:
    """Those of a call that is ended by ``error`` at its first poll."""
    if where == "hook":
        return {"hooks": {"response": at_first_poll(error)}}
    return {"polling": policy.replace(on_wait=in_second_wait(error))}


@kinds
@wheres
def test_P1_the_token_of_a_call_that_was_ended(
    server: Server, connect: Open, clock: FakeClock, kind: type[BaseException], where: str
) -> None:
    minute = Minute(server, clock)
    policy = FAST.replace(clock=clock)
    given = options(where, policy, kind())
    session = connect(given.pop("polling", policy))
    with pytest.raises(kind) as caught:
        session.post(server.url, **given)
    found: Any = caught.value
    with PollingSession(policy=policy) as other:
        in_time_and_in_order(minute, other.resume(found.continuation_token))


@wheres
@pytest.mark.parametrize("how", ["itself", "by its token"])
def test_P1_a_poller_that_was_interrupted_goes_on(
    server: Server, clock: FakeClock, where: str, how: str
) -> None:
    minute = Minute(server, clock)
    policy = FAST.replace(clock=clock)
    with PollingSession(policy=policy) as session:
        poller = session.begin("POST", server.url, **options(where, policy, CtrlC()))
        clock.now += 60
        with pytest.raises(CtrlC):
            poller.poll()
        assert not poller.done()
        if how == "by its token":
            poller = session.resume(poller.continuation_token())
        in_time_and_in_order(minute, poller)


@wheres
def test_P1_the_token_of_a_poller_that_ended(server: Server, clock: FakeClock, where: str) -> None:
    minute = Minute(server, clock)
    error = requests.ConnectionError("the dashboard is down")
    policy = FAST.replace(clock=clock)
    with PollingSession(policy=policy) as session:
        poller = session.begin("POST", server.url, **options(where, policy, error))
        clock.now += 60
        assert poller.poll()
        assert poller.exception() is error
        in_time_and_in_order(minute, session.resume(poller.continuation_token()))


def test_P1_a_wait_that_was_interrupted_goes_on(server: Server, clock: FakeClock) -> None:
    """Ctrl-C in the middle of a sleep: what is left of it is left."""

    class Interrupted(FakeClock):
        def sleep(self, seconds: float) -> None:
            if len(self.slept) == 1:
                self.now += 20
                self.slept.append(20)
                raise CtrlC
            super().sleep(seconds)

    clock = Interrupted()
    minute = Minute(server, clock)
    with PollingSession(policy=FAST.replace(clock=clock)) as session:
        poller = session.begin("POST", server.url)
        with pytest.raises(CtrlC):
            poller.result()
        assert poller.wait_seconds == pytest.approx(40)
        in_time_and_in_order(minute, poller)


@pytest.mark.parametrize("refused", [again("60"), again("60", 503), Reply(502)])
def test_P1_an_answer_that_is_asked_again_is_not_asked_at_once(
    server: Server, clock: FakeClock, refused: Reply
) -> None:
    server.script(poll("/w"), refused, DONE)
    policy = FAST.replace(clock=clock, backoff_factor=60, backoff_max=60)
    with PollingSession(policy=policy) as session:
        poller = session.begin(
            "POST", server.url, polling=policy.replace(on_wait=in_second_wait(CtrlC()))
        )
        with pytest.raises(CtrlC):
            poller.poll()
        assert poller.poll() is False
        resumed = session.resume(poller.continuation_token())
        assert resumed.poll() is False
        assert resumed.wait_seconds == pytest.approx(60, abs=0.01)
    assert server.asked == ["POST /", "GET /w"]


def test_P1_an_override_that_raises_makes_nothing_early(server: Server, clock: FakeClock) -> None:
    """Where the next request cannot even be made, the server has asked to wait all the same."""
    minute = Minute(server, clock)

    class Signing(PollingSession):
        def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
            if prepared_request.url.endswith("/w/2"):
                raise ValueError("no key")

    policy = FAST.replace(clock=clock)
    with Signing(policy=policy) as session, PollingSession(policy=policy) as other:
        with pytest.raises(ValueError, match="no key") as caught:
            session.post(server.url)
        found: Any = caught.value
        other.resume(found.continuation_token).exception()
    assert [asked for asked, _ in minute.at].count("POST /") == 1
    assert all(at >= 120 for _, at in minute.at[2:])


# P1: poll() never waits


def test_poll_never_waits_after_an_interruption(
    server: Server, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> requests.Response:
        raise CtrlC

    server.script(poll("/w", "1"), again("600"), DONE)
    with PollingSession(policy=FAST.replace(clock=clock)) as session:
        poller = session.resume(session.begin("POST", server.url).continuation_token())
        clock.now += 1
        with monkeypatch.context() as patch:
            patch.setattr(HTTPAdapter, "send", interrupted)
            with pytest.raises(CtrlC):
                poller.poll()
        assert poller.poll() is False
        assert clock.slept == []
        assert poller.wait_seconds == pytest.approx(600)
    assert server.asked == ["POST /", "GET /w"]


@pytest.mark.parametrize("how", ["begun", "resumed"])
def test_a_poll_that_is_interrupted_while_it_is_sent_is_sent_again(
    server: Server, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    real = HTTPAdapter.send

    def interrupted(*args: Any, **kwargs: Any) -> requests.Response:
        real(*args, **kwargs).close()
        raise CtrlC

    server.script(poll("/w", "1"), poll("/w", "1"), DONE)
    with PollingSession(policy=FAST.replace(clock=clock)) as session:
        poller = session.begin("POST", server.url)
        if how == "resumed":
            poller = session.resume(poller.continuation_token())
        clock.now += 1
        with monkeypatch.context() as patch:
            patch.setattr(HTTPAdapter, "send", interrupted)
            with pytest.raises(CtrlC):
                poller.poll()
        assert poller.result().text == "done"
    assert server.asked == ["POST /", "GET /w", "GET /w"]


# P6: a body that is interrupted, or cut short


class Cut:
    """The first ``times`` answers to polls break in the middle of their body, which says that the
    work is not done."""

    def __init__(self, server: Server, times: int, stalls: float = 0.0) -> None:
        self.left, self.stalls = times, stalls
        self.stalled = threading.Event()
        server.answer = self.answer

    def body(self) -> Iterator[bytes]:
        yield b'{"status": "runn'
        self.stalled.set()
        time.sleep(self.stalls)
        raise ConnectionAbortedError

    def answer(self, seen: Seen) -> Reply:
        if seen.path == "/start":
            return poll("/w")
        self.left -= 1
        if self.left >= 0:
            return Reply(200, {"Content-Length": "40"}, self.body)
        return Reply(200, {}, b'{"status": "done"}')


RUNNING = FAST.replace(pending=json_field("status", "running"))


@pytest.mark.parametrize("way", WAYS)
def test_P6_a_status_that_is_cut_short_is_a_failed_poll(server: Server, way: str) -> None:
    Cut(server, 3)
    assert WAYS[way](RUNNING, "POST", f"{server.url}/start").json() == {"status": "done"}
    assert server.asked == ["POST /start", *["GET /w"] * 4]


@pytest.mark.parametrize("way", WAYS)
def test_P6_a_status_that_is_cut_short_too_often(server: Server, way: str) -> None:
    Cut(server, 9)
    with pytest.raises(OutageTooLong) as caught:
        WAYS[way](RUNNING.replace(poll_failures=1), "POST", f"{server.url}/start")
    assert continuation_token(caught.value) is not None
    assert len(server.seen) == 3


def test_P1_the_wait_after_a_status_that_was_cut_short(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    """It holds for the token, too."""
    Cut(server, 1)
    policy = RUNNING.replace(clock=clock, backoff_factor=8)
    waits = [None, CtrlC()]

    def interrupt(_: Wait) -> None:
        if (error := waits.pop(0)) is not None:
            raise error

    with pytest.raises(CtrlC) as caught:
        connect(policy.replace(on_wait=interrupt)).post(f"{server.url}/start")
    with PollingSession(policy=policy) as session:
        poller = session.resume(continuation_token(caught.value) or "")
        assert poller.wait_seconds == pytest.approx(8, abs=0.01)


def test_P6_a_status_that_is_still_coming_when_the_time_is_over(server: Server) -> None:
    Cut(server, 1, stalls=0.6)
    with PollingSession(policy=RUNNING) as session:
        poller = session.begin("POST", f"{server.url}/start")
        with pytest.raises(PollingTimeout):
            poller.result(timeout=0.2)
        assert poller.result().json() == {"status": "done"}


@on_main
@pytest.mark.parametrize("policy", [RUNNING, FAST], ids=["a status", "the result"])
@pytest.mark.parametrize("hooks", [{}, {"response": lambda *_, **__: None}], ids=["", "hooked"])
def test_P6_ctrl_c_while_a_poll_is_read(
    server: Server, policy: PollingPolicy, hooks: dict[str, Any]
) -> None:
    """Nobody takes a half of it for the result."""
    cut = Cut(server, 1, stalls=0.6)
    with PollingSession(policy=policy) as session:
        poller = session.begin("POST", f"{server.url}/start", hooks=hooks)
        with pytest.raises(KeyboardInterrupt), ctrl_c(0.2, once=cut.stalled):
            poller.result()
        assert poller.result().json() == {"status": "done"}
    assert server.asked == ["POST /start", *["GET /w"] * 2]


@on_main
def test_P6_ctrl_c_while_the_answer_to_a_start_is_read(server: Server) -> None:
    """It is lost, and neither sent again nor handed out in halves."""
    cut = Cut(server, 0, stalls=0.6)
    server.answer = lambda _: Reply(200, {"Content-Length": "40"}, cut.body)
    with PollingSession(policy=FAST) as session:
        poller = session.submit("POST", server.url)
        with pytest.raises(KeyboardInterrupt), ctrl_c(0.2, once=cut.stalled):
            poller.result()
        assert isinstance(poller.exception(), requests.exceptions.ChunkedEncodingError)
        assert token_of(poller) is None
    assert server.asked == ["POST /"]


@on_main
@pytest.mark.parametrize("where", ["start", "w"])
def test_P6_ctrl_c_in_a_handshake(server: Server, where: str) -> None:
    """What an auth handler has sent is under way: the challenge is no result."""
    challenge = Reply(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    stalled = threading.Event()

    def stalling(seen: Seen) -> Reply:
        if seen.path != f"/{where}":
            return poll("/w")
        if "Authorization" not in seen.headers:
            return challenge
        stalled.set()
        time.sleep(0.6)
        return DONE

    server.answer = stalling
    with PollingSession(policy=FAST) as session:
        auth = HTTPDigestAuth("user", "secret")
        poller = session.submit("POST", f"{server.url}/start", auth=auth)
        with pytest.raises(KeyboardInterrupt), ctrl_c(0.2, once=stalled):
            poller.result()
        if where == "start":
            assert isinstance(poller.exception(), PollingError)
            assert token_of(poller) is None
            assert server.asked == ["POST /start"] * 2
        else:
            token = poller.continuation_token()
            assert session.resume(token, auth=auth).result().text == "done"


# P6: whose error it is


@pytest.mark.parametrize("way", ["session", "mounted", "mixed", "begin", "submit"])
@pytest.mark.parametrize("where", ["hook", "on_wait", "before_poll"])
def test_P6_the_error_of_another_job_says_where_this_one_is(
    server: Server, clock: FakeClock, way: str, where: str
) -> None:
    """What something of the caller's asks for meanwhile is a job of its own."""
    server.answer = lambda seen: poll("/other/w" if "other" in seen.path else "/w", "1")
    policy = FAST.replace(clock=clock)
    times = []

    def ask_for_another(told: Any, **_: Any) -> None:
        times.append(1)
        if len(times) == 2:
            if isinstance(told, requests.Response):
                told.close()
            with PollingSession(policy=policy.replace(max_polls=1)) as other:
                other.post(f"{server.url}/other")

    given = {"hooks": {"response": ask_for_another}} if where == "hook" else {}
    its = policy if where == "hook" else policy.replace(**{where: ask_for_another})
    with pytest.raises(TooManyPolls) as caught:
        WAYS[way](its, "POST", f"{server.url}/start", **given)
    with PollingSession(policy=policy) as session:
        assert session.resume(continuation_token(caught.value) or "").url == f"{server.url}/w"


@pytest.mark.parametrize("way", ["session", "mounted", "mixed", "begin", "submit"])
def test_P6_one_error_in_two_jobs_says_where_the_latter_is(server: Server, way: str) -> None:
    error = ValueError("the same")
    server.answer = lambda seen: poll(f"{seen.path}/w")
    policy = FAST.replace(on_wait=raising(error))
    with PollingSession() as session:
        for path in ("/1", "/2"):
            with pytest.raises(ValueError, match="the same"):
                WAYS[way](policy, "POST", f"{server.url}{path}")
            poller = session.resume(continuation_token(error) or "", polling=FAST)
            assert poller.url == f"{server.url}{path}/w"


@dataclass(frozen=True)
class Frozen(Exception):
    why: str


class ReadOnly(Exception):
    @property
    def continuation_token(self) -> str:
        return "mine"


@pytest.mark.parametrize("way", ["session", "mounted", "mixed", "begin", "submit"])
@pytest.mark.parametrize("error", [Frozen("it is"), ReadOnly("it is")])
def test_P8_an_error_that_takes_no_attributes_is_the_callers_all_the_same(
    server: Server, way: str, error: Exception
) -> None:
    server.script(poll("/w"), DONE)
    with pytest.raises(type(error), match="it is") as caught:
        WAYS[way](FAST.replace(on_wait=raising(error)), "POST", server.url)
    assert caught.value is error
    assert isinstance(continuation_token(error), str)


# P8: nothing is sent after the end


@pytest.mark.parametrize("how", ["begun", "resumed", "resumed with a policy"])
@pytest.mark.parametrize("ask", ["poll", "result"])
def test_P8_nothing_is_sent_after_total_timeout(
    server: Server, clock: FakeClock, how: str, ask: str
) -> None:
    server.script(poll("/w", "5"))
    policy = FAST.replace(clock=clock, total_timeout=60)
    with PollingSession(policy=policy) as session:
        poller = session.begin("POST", server.url)
        if how != "begun":
            given = {"polling": policy} if "policy" in how else {}
            poller = session.resume(poller.continuation_token(), **given)
        clock.now += 7200
        if ask == "poll":
            assert poller.poll()
        with pytest.raises(requests.Timeout):
            poller.result()
        assert token_of(poller) is not None
    assert server.asked == ["POST /"]


# P1: nothing of ours goes as an exception through what stands between


class Retrying(requests.Session):
    """Sends again after any exception, as many wrappers do."""

    def send(self, request: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        try:
            return super().send(request, **kwargs)
        except Exception:
            return super().send(request, **kwargs)


class RetryingPolling(MixedSession, Retrying):
    pass


@pytest.mark.parametrize("how", ["begin", "post"])
@pytest.mark.parametrize("ours", [True, False], ids=["our adapter", "stock adapter"])
def test_P1_through_a_session_that_retries(
    server: Server, clock: FakeClock, how: str, ours: bool
) -> None:
    at: list[tuple[str, float]] = []
    replies = [again("60"), poll("/w", "60"), again("60"), Reply(502), poll("/w", "60"), DONE]

    def answer(seen: Seen) -> Reply:
        at.append((f"{seen.method} {seen.path}", clock.now - 1000))
        return replies[len(at) - 1]

    server.answer = answer
    policy = FAST.replace(clock=clock, backoff_factor=60, backoff_max=60)
    with RetryingPolling(policy=policy) as session:
        if ours:
            session.mount("http://", PollingAdapter(policy=policy))
        if how == "begin":
            assert session.begin("POST", server.url).result().text == "done"
        else:
            assert session.post(server.url).text == "done"
    assert at == [
        ("POST /", 0),
        ("POST /", 60),
        *[("GET /w", seconds) for seconds in (120, 180, 240, 300)],
    ]


def test_nothing_of_ours_is_raised_through_what_stands_between(
    server: Server, clock: FakeClock
) -> None:
    """What is not there yet is a value."""
    raised: list[BaseException] = []

    class Watching(requests.Session):
        def send(self, request: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
            try:
                return super().send(request, **kwargs)
            except BaseException as error:
                raised.append(error)
                raise

    class Watched(MixedSession, Watching):
        pass

    class WatchedAdapter(HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            try:
                return super().send(*args, **kwargs)
            except BaseException as error:
                raised.append(error)
                raise

    server.script(again("60"), poll("/w", "60"), again("60"), Reply(502), poll("/w", "60"), DONE)
    with Watched(policy=FAST.replace(clock=clock)) as session:
        session.mount("http://", WatchedAdapter())
        assert session.begin("POST", server.url).result().text == "done"
    assert raised == []


class Interrupting(FakeClock):
    """A clock that is interrupted where a function of ours asks it for the ``number``-th time."""

    def __init__(self, asked: str, by: str, number: int) -> None:
        super().__init__()
        self.asked, self.by, self.left = asked, by, number

    def _look(self, asked: str) -> None:
        if asked == self.asked and sys._getframe(2).f_code.co_name == self.by:
            self.left -= 1
            if self.left == 0:
                raise CtrlC

    def monotonic(self) -> float:
        self._look("monotonic")
        return super().monotonic()

    def time(self) -> float:
        self._look("time")
        return super().time()


def test_P6_a_result_that_is_given_once_is_kept(server: Server) -> None:
    """What it means was known when something interrupted."""
    server.script(Reply(202, {"Location": "/w", "Retry-After": "0"}), DONE, Reply(404))
    clock = Interrupting("time", "verdict", 2)
    with PollingSession(policy=FAST.replace(clock=clock, pending=accepted)) as session:
        poller = session.begin("POST", server.url)
        with pytest.raises(CtrlC):
            poller.poll()
        assert poller.result().text == "done"
    assert server.asked == ["POST /", "GET /w"]


@pytest.mark.parametrize(
    ("pending", "replies", "number"),
    [
        (accepted, [Reply(202, {"Location": "/w", "Retry-After": "1"})], 2),
        (lambda _: Result("/w"), [Reply(200), Reply(202, {"Location": "/other"})], 4),
    ],
    ids=["the address", "the result"],
)
def test_P6_what_has_just_arrived_below_a_session_of_others(
    server: Server, pending: Any, replies: list[Reply], number: int
) -> None:
    server.script(*replies)
    clock = Interrupting("monotonic", "_sent", number)
    session = mounted_adapter(FAST.replace(clock=clock, pending=pending))
    with session, pytest.raises(CtrlC) as caught:
        session.post(server.url)
    with PollingSession(policy=FAST.replace(pending=pending)) as other:
        assert other.resume(continuation_token(caught.value) or "").url == f"{server.url}/w"


def test_P6_a_hook_that_answers_a_challenge_and_is_interrupted(server: Server) -> None:
    """The work is begun by what it has sent."""
    server.script(Reply(401), Reply(202, {"Location": "/w", "Retry-After": "1"}))

    def hook(response: requests.Response, **kwargs: Any) -> None:
        if response.status_code == 401 and response.request is not None:
            _ = response.content
            response.connection.send(response.request.copy(), **kwargs)  # type: ignore[attr-defined]
            raise CtrlC

    policy = FAST.replace(pending=accepted)
    with polling_session(policy) as session, pytest.raises(CtrlC) as caught:
        session.post(server.url, hooks={"response": hook})
    with PollingSession(policy=policy) as other:
        assert other.resume(continuation_token(caught.value) or "").url == f"{server.url}/w"


@pytest.mark.parametrize("stream", [False, True])
def test_P1_P6_an_interruption_while_a_poll_is_looked_at_does_not_make_it_due(
    server: Server, clock: FakeClock, stream: bool
) -> None:
    """What it says is to be asked again, but not before it says."""
    reads: list[requests.Response] = []

    def pending(response: requests.Response) -> bool:
        reads.append(response)
        if len(reads) == 1:
            raise CtrlC
        return False

    server.script(poll("/w"), Reply(200, {"Retry-After": "7"}, b"status"), DONE)
    began = clock.now
    policy = PollingPolicy(clock=clock, jitter=0, min_wait=0, pending=pending)
    with PollingSession(policy=policy) as session:
        poller = session.begin("POST", server.url, stream=stream)
        with pytest.raises(CtrlC) as caught:
            poller.result()
        resumed = session.resume(continuation_token(caught.value) or "")
        assert resumed.wait_seconds >= 7
        assert not poller.poll()
        assert poller.wait_seconds == 7
        assert poller.result().content == b"done"
    assert clock.now - began == 7
    assert server.asked == ["POST /", "GET /w", "GET /w"]


def test_P6_half_an_answer_to_a_start_that_was_interrupted_is_no_result(server: Server) -> None:
    reads: list[int] = []

    def pending(response: requests.Response) -> bool:
        reads.append(1)
        if len(reads) == 1:
            raise CtrlC
        return not response.content

    server.script(Reply(200, {}, b"x" * 5000, fault="cut"))
    with PollingSession(policy=FAST.replace(pending=pending)) as session:
        poller = session.submit("POST", server.url)
        with pytest.raises(CtrlC):
            poller.result()
        with pytest.raises(requests.RequestException):
            poller.result()
        assert token_of(poller) is None
    assert server.asked == ["POST /"]


class SoftTimeLimitExceeded(Exception):
    """As Celery raises it in a handler of signals, and decorators that limit the time."""


@on_main
@pytest.mark.parametrize("way", ["session", "mounted", "mixed", "begin"])
@pytest.mark.parametrize("status", [303, 202, 429, 502])
def test_P6_what_a_handler_of_signals_raises_while_a_body_is_read_is_the_end(
    server: Server, way: str, status: int
) -> None:
    stalled = threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"not "
        stalled.set()
        time.sleep(0.6)
        yield b"yet"

    named = {"Location": "/w/2"} if status < 400 else {}
    reply = Reply(status, {**named, "Retry-After": "0"}, slow)
    server.script(poll("/w"), reply, DONE)
    policy = FAST.replace(pending=accepted)
    interrupted = ctrl_c(0.2, SoftTimeLimitExceeded, once=stalled)
    with pytest.raises(SoftTimeLimitExceeded) as caught, interrupted:
        WAYS[way](policy, "POST", server.url)
    with PollingSession(policy=policy) as session:
        token = continuation_token(caught.value) or ""
        assert session.resume(token).result().content == b"done"
    assert server.asked.count("POST /") == 1


def test_P6_nor_is_it_hidden_while_the_status_is_looked_at(server: Server, connect: Open) -> None:
    def slow(request: Seen) -> Reply:
        return Reply(202, {"Location": "/w"}, b"{}") if request.method == "POST" else DONE

    def pending(response: requests.Response) -> bool:
        try:
            return bool(response.json())
        finally:
            raise SoftTimeLimitExceeded

    server.answer = slow
    with connect(FAST.replace(pending=pending)) as session:
        with pytest.raises(SoftTimeLimitExceeded) as caught:
            session.post(server.url)
        assert continuation_token(caught.value) is not None


class Stop(PollingError):
    """The caller's own."""


@pytest.mark.parametrize("way", ["session", "mounted", "mixed", "begin", "submit", "tokens"])
@pytest.mark.parametrize("where", ["on_wait", "before_poll"])
def test_P6_P8_an_error_of_the_callers_that_is_one_of_ours(
    server: Server, way: str, where: str
) -> None:
    def stop(_: object) -> None:
        raise Stop("we shut down")

    server.script(poll("/w"), poll("/w/2"), DONE)
    with pytest.raises(Stop, match="we shut down") as caught:
        WAYS[way](FAST.replace(**{where: stop}), "POST", server.url)
    assert caught.value.url == f"{server.url}/w"
    with PollingSession(policy=FAST) as session:
        token = continuation_token(caught.value) or ""
        assert session.resume(token).result().content == b"done"


@pytest.mark.parametrize("failures", [0, None])
@pytest.mark.parametrize("stream", [False, True])
def test_P1_P6_a_call_that_ends_by_half_an_answer_knows_when_to_ask_again(
    server: Server, connect: Open, clock: FakeClock, failures: int | None, stream: bool
) -> None:
    server.script(poll("/w"), Reply(200, {"Retry-After": "30"}, b"status" * 50, fault="cut"))
    limits: dict[str, Any] = {"total_timeout": 20} if failures is None else {"poll_failures": 0}
    policy = FAST.replace(clock=clock, pending=lambda one: one.text == "status", **limits)
    with connect(policy) as session, pytest.raises(PollingError) as caught:
        session.post(server.url, stream=stream)
    with PollingSession(policy=policy.replace(total_timeout=None)) as session:
        assert session.resume(caught.value.continuation_token or "").wait_seconds >= 30


@pytest.mark.parametrize(
    ("first", "end"),
    [
        (poll("/w/2"), "/w/2"),
        (Reply(202, {"Location": "/w/2", "Retry-After": "0"}), "/w/2"),
        (Reply(200, {}), "/result"),
    ],
    ids=["303", "202", "names the result"],
)
@pytest.mark.parametrize("polls", [0, 1])
def test_P6_a_poller_goes_on_though_a_hook_was_interrupted_while_it_read(
    server: Server, first: Reply, end: str, polls: int
) -> None:
    """Where to is in the headers, or was said before the hook began."""
    reads: list[int] = []

    def reading(response: requests.Response, **_: Any) -> None:
        if len(reads) <= polls:
            reads.append(len(next(response.iter_content(8))))
            if len(reads) > polls:
                raise CtrlC

    def pending(response: requests.Response) -> Any:
        if response.status_code == 202:
            return True
        return Result("/result") if response.text.startswith("status") else None

    body = b"status " * 9
    server.script(*[poll("/w")._replace(body=b"x")] * polls, first._replace(body=body), DONE)
    policy = FAST.replace(pending=pending)
    with PollingSession(policy=policy) as session:
        hooks = {"response": reading}
        poller = session.submit("POST", server.url, hooks=hooks, stream=True)
        with pytest.raises(CtrlC):
            poller.result()
        assert poller.result().content == b"done"
    assert server.asked[-1] == f"GET {end}"
    assert len(server.asked) == 2 + polls


def test_P6_an_interruption_at_the_very_end_of_a_call_has_a_token(server: Server) -> None:
    """When the answer is there, and nobody has it yet."""
    server.script(poll("/w"), DONE)

    class Interrupted:
        owner = property(lambda self: None, lambda self, owner: (_ for _ in ()).throw(CtrlC()))

    def interrupt(response: requests.Response, **_: Any) -> None:
        if response.ok and not response.is_redirect:
            owner_of(response.request)._ready = Interrupted()  # type: ignore[union-attr]

    with PollingSession(policy=FAST) as session:
        with pytest.raises(CtrlC) as caught:
            session.post(server.url, hooks={"response": interrupt})
        token = continuation_token(caught.value) or ""
        assert session.resume(token).result().content == b"done"


@pytest.mark.parametrize("way", ["session", "mounted", "begin"])
def test_P6_a_poll_that_is_cut_short_while_a_hook_reads_its_refusal_has_failed(
    server: Server, way: str
) -> None:
    """requests' own handler of digest authentication does."""

    def reading(response: requests.Response, **_: Any) -> None:
        _ = response.content

    cut = Reply(401, {}, b"who are you?" * 50, fault="cut")
    server.script(poll("/w"), poll("/w"), cut, poll("/w/2"), DONE)
    found = WAYS[way](FAST, "POST", server.url, hooks={"response": reading})
    assert found.content == b"done"
    assert server.asked == ["POST /", *["GET /w"] * 3, "GET /w/2"]
