"""Ctrl-C between any two steps of ours (P1, P6).

CPython looks for signals when a function of Python begins and when one of C has returned, so that
is where these tests interrupt: at each such place in turn, one at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

import polling_adapter
from polling_adapter import (
    PollingAdapterMixin,
    PollingPolicy,
    _fake_clock,
    as_completed,
    testing,
)

from ..conftest import MixedSession
from ..fake_clock import FakeClock
from .in_time import STRIDE, in_time

OURS = str(Path(polling_adapter.__file__).parent)
THE_TESTS = (testing.__file__, _fake_clock.__file__)  # their clock, which their server asks too


class Interrupt:
    """Raises at the ``number``-th step of ours, in the thread that enters it."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __enter__(self) -> Interrupt:
        sys.setprofile(self.step)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def step(self, frame: Any, event: str, arg: Any) -> None:
        file = frame.f_code.co_filename
        if event in ("call", "c_return") and file.startswith(OURS) and file not in THE_TESTS:
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt

    @property
    def came(self) -> bool:
        return self.left <= 0


class Work(HTTPAdapter):
    """A server, without sockets, that says when somebody is early."""

    def __init__(self, *replies: tuple[int, str], clock: FakeClock, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.replies = list(replies)
        self.clock = clock
        self.due = 0.0
        self.asked: list[str] = []
        self.early: list[str] = []

    def send(self, request: Any, *_: Any, **__: Any) -> requests.Response:  # type: ignore[override]
        self.asked.append(f"{request.method} {request.path_url}")
        if self.clock.now < self.due:
            self.early.append(f"{self.asked[-1]}, {self.due - self.clock.now} s early")
        status, retry_after = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        headers = {"Location": f"/w/{len(self.asked)}"} if status == 303 else {}
        if retry_after:
            headers["Retry-After"] = retry_after
            self.due = self.clock.now + float(retry_after)
        raw = urllib3.HTTPResponse(BytesIO(b"done"), headers, status, preload_content=False)
        return self.build_response(request, raw)


class PollingWork(PollingAdapterMixin, Work):
    pass


REPLIES = [(303, "60"), (303, "60"), (200, "")]
scripts = pytest.mark.parametrize(
    "replies",
    [REPLIES, [(303, "60"), (429, "60"), (200, "")], [(303, "60"), (502, ""), (200, "")]],
    ids=["polls", "refused", "failed"],
)


def mixed_in(*replies: tuple[int, str]) -> Any:
    clock = FakeClock()
    policy = PollingPolicy(clock=clock, jitter=0, backoff_factor=1)
    session, work = MixedSession(policy=policy), Work(*replies, clock=clock)
    session.mount("http://", work)
    return session, work


def over_ours(*replies: tuple[int, str]) -> Any:
    session, _ = mixed_in(*replies)
    work = PollingWork(*replies, clock=session.policy.clock, policy=session.policy)
    session.mount("http://", work)
    return session, work


def mounted(*replies: tuple[int, str]) -> Any:
    _, work = over_ours(*replies)
    plain = requests.Session()
    plain.mount("http://", work)
    return plain, work


def at_every_step(run: Callable[[int], bool]) -> None:
    """Until a run has no such step any more."""
    number = 1 - STRIDE
    came = True
    try:
        while came:
            number += STRIDE
            came = in_time(partial(run, number), 3)
    except BaseException as error:
        error.args = (f"interrupted at step {number}: {error}",)
        raise
    assert number > 1  # there was something to interrupt


URL = "http://host.test/start"
# An adapter of others hands its answer to requests, not to us: until the hooks are gone through,
# an interruption finds the request unanswered. And below a session that knows nothing of polling, a
# redirect is in that session's hands between two requests.
opens = pytest.mark.parametrize("opened", [over_ours])


@opens
@scripts
def test_P1_P6_a_poller_goes_on(opened: Callable[..., Any], replies: Any) -> None:
    """To its result, never early, and never with a second start."""

    def run(number: int) -> bool:
        session, work = opened(*replies)
        poller = session.begin("POST", URL)
        with suppress(KeyboardInterrupt), Interrupt(number) as interrupt:
            poller.result()
        assert poller.result().text == "done"
        assert work.early == []
        assert work.asked.count("POST /start") == 1
        return interrupt.came

    at_every_step(run)


@opens
@scripts
def test_P1_P6_its_token_goes_on(opened: Callable[..., Any], replies: Any) -> None:
    def run(number: int) -> bool:
        session, work = opened(*replies)
        poller = session.begin("POST", URL)
        with suppress(KeyboardInterrupt), Interrupt(number) as interrupt:
            poller.result()
        if not poller.done():
            assert session.resume(poller.continuation_token()).result().text == "done"
        assert work.early == []
        assert work.asked.count("POST /start") == 1
        return interrupt.came

    at_every_step(run)


@opens
def test_P1_P6_a_call_says_where_its_job_is(opened: Callable[..., Any]) -> None:
    """What starts is sent once, and as soon as it is answered there is a token that leads on."""

    def run(number: int) -> bool:
        session, work = opened(*REPLIES)
        other, _ = mixed_in()
        other.mount("http://", work)
        other.policy = work.policy
        token: str | None = None
        with Interrupt(number) as interrupt:
            try:
                session.post(URL)
            except KeyboardInterrupt as error:
                token = getattr(error, "continuation_token", None)
                assert token is not None or "POST /start" not in work.asked
        if token is not None:
            assert other.resume(token).result().text == "done"
        assert work.early == []
        assert work.asked.count("POST /start") <= 1
        return interrupt.came

    at_every_step(run)


@pytest.mark.parametrize("opened", [over_ours, mounted])
def test_P1_P6_a_redirect_that_is_followed_by_hand(opened: Callable[..., Any]) -> None:
    """Nothing but the interruption comes of it."""

    def run(number: int) -> bool:
        session, work = opened(*REPLIES)
        response = session.post(URL, allow_redirects=False)
        with suppress(KeyboardInterrupt), Interrupt(number) as interrupt:
            session.send(response.next)
        assert work.early == []
        assert work.asked.count("POST /start") == 1
        return interrupt.came

    at_every_step(run)


@opens
def test_P6_a_refused_start_is_never_sent_twice(opened: Callable[..., Any]) -> None:
    """It is due again once, and after that only what came of it."""

    def run(number: int) -> bool:
        session, work = opened((429, "60"), (303, "60"), (200, ""))
        poller = session.begin("POST", URL)
        with suppress(KeyboardInterrupt), Interrupt(number) as interrupt:
            poller.result()
        sent = work.asked.count("POST /start")
        assert poller.exception() is None or sent == 2
        assert work.early == []
        assert work.asked.count("POST /start") == 2
        return interrupt.came

    at_every_step(run)


@opens
@pytest.mark.parametrize(
    "ask",
    [
        lambda poller: poller.poll(),
        lambda poller: poller.result(timeout=0),
        lambda poller: poller.exception(timeout=100),
        lambda poller: poller.continuation_token(),
        lambda poller: (poller.wait_seconds, poller.done(), poller.url, repr(poller)),
    ],
    ids=["poll", "result at once", "exception", "token", "properties"],
)
def test_P1_P6_whatever_is_asked_of_it(
    opened: Callable[..., Any], ask: Callable[[Any], object]
) -> None:
    def run(number: int) -> bool:
        session, work = opened(*REPLIES)
        poller = session.begin("POST", URL)
        session.policy.clock.now += 60
        with suppress(KeyboardInterrupt, requests.Timeout), Interrupt(number) as interrupt:
            ask(poller)
        assert poller.result().text == "done"
        assert work.early == []
        assert work.asked.count("POST /start") == 1
        return interrupt.came

    at_every_step(run)


@opens
def test_P6_cancelled_or_not(opened: Callable[..., Any]) -> None:
    """An interrupted cancel() has cancelled, or has not: by its token it goes on either way."""

    def run(number: int) -> bool:
        session, work = opened(*REPLIES)
        poller = session.begin("POST", URL)
        with suppress(KeyboardInterrupt), Interrupt(number) as interrupt:
            poller.cancel()
        assert session.resume(poller.continuation_token()).result().text == "done"
        poller.cancel()
        assert poller.cancelled()
        assert work.early == []
        return interrupt.came

    at_every_step(run)


def test_P6_as_completed_can_be_asked_again() -> None:
    """Its threads are gone, and each of its pollers goes on."""

    def run(number: int) -> bool:
        session, work = mixed_in(*REPLIES)
        poller = session.begin("POST", URL)
        with (
            suppress(KeyboardInterrupt),
            Interrupt(number * 3) as interrupt,
        ):  # a third of the steps are enough
            list(as_completed([poller], max_workers=1))
        assert list(as_completed([poller], max_workers=1)) == [poller]
        assert poller.result().text == "done"
        assert work.early == []
        assert work.asked.count("POST /start") == 1
        return interrupt.came

    at_every_step(run)
