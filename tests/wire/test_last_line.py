"""The message of each error of ours ends with one line of code that goes on (P6)."""

from __future__ import annotations

import copy
import pickle
import re
import sys
import threading
import traceback
from typing import Any

import pytest
import requests

from polling_adapter import (
    PollingError,
    PollingPolicy,
    PollingSession,
    PollingTimeout,
    as_completed,
)
from polling_adapter.pending import accepted

from ..conftest import Open, mounted_adapter
from ..fake_clock import FakeClock
from ..server import DONE, RESET, Reply, Server, again, poll
from .ways import WAYS

FAST = PollingPolicy(min_wait=0, jitter=0, backoff_factor=0.001)
KEY = {"Idempotency-Key": "8e03978e"}


def line_of(message: str) -> str:
    """What comes after the last colon that is followed by a space and a call."""
    found = re.search(r": ((?:session\.resume|poller\.result|as_completed)\(.*\))$", message)
    assert found is not None, message
    return found[1]


def goes_on(line: str, names: dict[str, Any], **given: str) -> Any:
    for name, value in given.items():
        assert f"{name}..." in line
        line = line.replace(f"{name}...", f"{name}{value}")
    return eval(line, names)  # noqa: S307


LIMITS: dict[str, tuple[dict[str, Any], list[Reply]]] = {
    "total_timeout": ({"total_timeout": 10}, [poll("/w", "6"), poll("/w", "6")]),
    "one wait is longer": ({"total_timeout": 10}, [poll("/w", "60")]),
    "max_polls": ({"max_polls": 1}, [poll("/w"), poll("/w")]),
    "retry_after_max": ({"retry_after_max": 10}, [poll("/w", "60")]),
    "a month": ({}, [poll("/w", "2592000")]),
    "outage_max": ({"poll_failures": 1}, [poll("/w"), RESET, RESET]),
    "refused": ({"retry_after_max": 10}, [again("60")]),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_it_goes_on(server: Server, connect: Open, clock: FakeClock, limit: str) -> None:
    limits, replies = LIMITS[limit]
    server.script(*replies, DONE)
    policy = FAST.replace(clock=clock, **limits)
    with pytest.raises(PollingError) as caught:
        connect(policy).post(f"{server.url}/start?secret=1")
    message = str(caught.value)
    assert caught.value.continuation_token not in message
    assert "secret" not in message
    assert "resume with POST" in message if limit == "refused" else "resume with GET" in message
    line = line_of(message)
    with PollingSession(policy=policy) as session:
        names: dict[str, Any] = {"session": session, "error": caught.value}
        assert goes_on(line, names).text == "done"
    assert server.asked[-1].startswith("POST /start" if limit == "refused" else "GET /w")


def test_P6_it_keeps_the_policy_whose_functions_no_token_holds(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    """The line goes on in a session that knows nothing of them."""

    def signed(request: requests.PreparedRequest) -> None:
        request.headers["X-Signed"] = "1"

    policy = FAST.replace(clock=clock, pending=accepted, before_poll=signed)
    for limits in ({"total_timeout": 10}, {"retry_after_max": 10}):
        server.script(Reply(202, {"Location": "/w"}), again("60"), Reply(202), Reply(202), DONE)
        with pytest.raises(PollingError) as caught:
            connect(policy.replace(**limits)).post(server.url)
        error = caught.value
        assert error.policy == policy.replace(**limits)
        server.seen.clear()
        with PollingSession() as session:
            found = goes_on(line_of(str(error)), {"session": session, "error": error})
        assert found.text == "done"
        assert {seen.headers.get("X-Signed") for seen in server.seen} == {"1"}


def test_P5_below_a_plain_session_it_has_a_session_of_its_own(server: Server) -> None:
    server.script(poll("/w"), poll("/w"), DONE)
    with mounted_adapter(FAST.replace(max_polls=1)) as session, pytest.raises(PollingError) as own:
        session.post(server.url)
    names: dict[str, Any] = {"PollingSession": PollingSession, "error": own.value}
    line = str(own.value).partition("/w: ")[2]
    exec(line.replace("session.resume", "found = session.resume"), names)  # noqa: S102
    assert names["found"].text == "done"


def test_an_error_is_pickled_without_the_functions_of_its_policy(
    server: Server, connect: Open
) -> None:
    server.script(poll("/w"), DONE)
    signs = FAST.replace(before_poll=lambda request: request.headers.update(Signed="yes"))
    with pytest.raises(PollingError) as caught:
        connect(signs.replace(max_polls=0)).get(server.url)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    with PollingSession(policy=signs) as session:  # which has the functions
        line = line_of(str(copy))
        assert line == "session.resume(error.continuation_token, polling=error.policy).result()"
        assert goes_on(line, {"session": session, "error": copy}).text == "done"
    assert server.seen[-1].headers["Signed"] == "yes"


def test_and_with_a_policy_that_has_none(server: Server, connect: Open) -> None:
    """One that only tells of waits decides nothing."""
    server.script(poll("/w", "1"), DONE)
    policy = FAST.replace(total_timeout=0.5, on_wait=lambda wait: None)
    with pytest.raises(PollingError) as caught:
        connect(policy).get(server.url)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.policy == policy.replace(on_wait=None)
    with PollingSession() as session:
        names = {"session": session, "error": copy}
        assert goes_on(line_of(str(copy)), names).text == "done"


class Locked(PollingPolicy):
    """Nobody knows whether such a one can be pickled."""

    def __init__(self) -> None:
        super().__init__(max_polls=0, min_wait=0)
        vars(self)["lock"] = threading.Lock()


def test_or_any_other_policy(server: Server) -> None:
    server.script(poll("/w"), DONE)
    with PollingSession(policy=Locked()) as session, pytest.raises(PollingError) as caught:
        session.get(server.url)
    for made in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert made.continuation_token == caught.value.continuation_token
        assert made.policy is None


def test_it_names_what_the_token_does_not_hold(
    server: Server, connect: Open, clock: FakeClock
) -> None:
    server.script(again("60"), DONE)
    policy = FAST.replace(clock=clock, total_timeout=70)
    with pytest.raises(PollingError) as caught:
        connect(policy.replace(total_timeout=10)).post(server.url, data=b"work")
    with PollingSession(policy=policy) as session:
        names = {"session": session, "error": caught.value}
        assert goes_on(line_of(str(caught.value)), names, **{"data=": "b'work'"}).text == "done"
    assert server.seen[-1].body == b"work"


def test_and_the_key(server: Server, connect: Open) -> None:
    server.script(Reply(fault="stall"))
    with pytest.raises(PollingTimeout) as caught:
        connect(FAST.replace(total_timeout=0.1)).post(server.url, headers=KEY)
    server.script(DONE)
    with PollingSession(policy=FAST) as session:
        names = {"session": session, "error": caught.value}
        line = line_of(str(caught.value))
        found = goes_on(line, names, **{"'Idempotency-Key': ": "'8e03978e'"})
        assert found.text == "done"


def test_of_a_start_without_an_answer_it_says_that_there_is_none(
    server: Server, connect: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.script(Reply(fault="stall"))
    with pytest.raises(PollingTimeout) as caught:
        connect(FAST.replace(total_timeout=0.1)).post(server.url)
    ends = "it is unknown whether the work has begun, so no line of code goes on"
    assert str(caught.value).endswith(ends)

    class CtrlC(BaseException):
        pass

    def interrupted(*_: Any, **__: Any) -> requests.Response:
        raise CtrlC

    with PollingSession(policy=FAST) as session, monkeypatch.context() as patch:
        patch.setattr(requests.adapters.HTTPAdapter, "send", interrupted)
        poller = session.submit("POST", server.url)
        with pytest.raises(CtrlC):
            poller.poll()
        with pytest.raises(PollingError) as refused:
            poller.result()
        assert str(refused.value).endswith(ends)
        assert (refused.value.url, refused.value.request.method) == (f"{server.url}/", "POST")
        assert refused.value.elapsed > 0


def test_a_poller_is_asked_again(server: Server) -> None:
    server.script(poll("/w", "0.5"), DONE)
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", server.url)
        with pytest.raises(PollingTimeout) as caught:
            poller.result(timeout=0.1)
        assert goes_on(line_of(str(caught.value)), {"poller": poller}).text == "done"


def test_pollers_are_asked_again(server: Server) -> None:
    server.script(poll("/w", "0.5"), DONE)
    with PollingSession(policy=FAST) as session:
        pollers = [session.begin("POST", server.url)]
        with pytest.raises(PollingTimeout) as caught:
            list(as_completed(pollers, timeout=0.1))
        names = {"pollers": pollers, "as_completed": as_completed}
        assert [one.result().text for one in goes_on(line_of(str(caught.value)), names)] == ["done"]


notes = pytest.mark.skipif(sys.version_info < (3, 11), reason="no notes before Python 3.11")


def test_at_the_first_wait_too(server: Server, connect: Open) -> None:
    session = connect(FAST.replace(max_polls=0))
    for ask in (
        lambda: session.get(f"{server.url}/s"),
        lambda: session.send(session.get(f"{server.url}/s", allow_redirects=False).next),  # type: ignore[arg-type]
    ):
        server.script(poll("/w?key=secret"), DONE)
        with pytest.raises(PollingError) as caught:
            ask()
        assert line_of(str(caught.value)) == "session.resume(error.continuation_token).result()"
        assert f"GET {server.url}/w?..." in str(caught.value)
        assert "secret" not in str(caught.value)


@notes
@pytest.mark.parametrize("way", ["session", "mounted", "mixed", "begin", "submit"])
def test_P6_the_traceback_has_the_token_when_the_process_is_gone(server: Server, way: str) -> None:
    server.script(poll("/w"), DONE)
    with pytest.raises(PollingError) as caught:
        WAYS[way](FAST.replace(max_polls=0), "POST", server.url)
    (note,) = caught.value.__notes__  # type: ignore[attr-defined]
    assert note in "".join(traceback.format_exception(caught.value))
    assert note.startswith("the job goes on: ")
    with PollingSession(policy=FAST) as session:
        assert goes_on(line_of(note), {"session": session}).text == "done"


@notes
def test_P6_so_has_that_of_a_poller_that_is_asked_again_and_again(server: Server) -> None:
    server.script(poll("/w", "60"), DONE)
    with PollingSession(policy=FAST) as session:
        poller = session.begin("POST", server.url)
        for _ in range(3):
            with pytest.raises(PollingTimeout) as caught:
                poller.result(timeout=0)
            (note,) = caught.value.__notes__  # type: ignore[attr-defined]
            token = re.search(r"\('(.*)'\)", note)
            assert token is not None
            assert session.resume(token[1]).wait_seconds > 50


@notes
def test_so_does_the_note_of_what_is_not_ours(server: Server, connect: Open) -> None:
    def boom(_: object) -> None:
        raise ValueError("own")

    server.script(again("0"), DONE)
    with pytest.raises(ValueError, match="own") as caught:
        connect(FAST.replace(on_wait=boom)).post(server.url, data=b"work")
    (note,) = caught.value.__notes__  # type: ignore[attr-defined]
    with PollingSession(policy=FAST) as session:
        assert goes_on(line_of(note), {"session": session}, **{"data=": "b'work'"}).text == "done"


@notes
@pytest.mark.parametrize(("method", "headers"), [("PUT", {}), ("DELETE", {}), ("POST", KEY)])
def test_and_that_of_a_start_without_an_answer_that_may_be_sent_again(
    server: Server, connect: Open, method: str, headers: dict[str, str]
) -> None:
    server.script(RESET)
    with pytest.raises(requests.ConnectionError) as caught:
        connect(FAST).request(method, f"{server.url}/start", headers=headers)
    (note,) = caught.value.__notes__  # type: ignore[attr-defined]
    assert note.startswith("it may be sent again: ")  # nobody knows whether it is a job
    key = {"'Idempotency-Key': ": "'8e03978e'"} if headers else {}
    server.script(poll("/w"), DONE)
    with PollingSession(policy=FAST) as session:
        assert goes_on(line_of(note), {"session": session}, **key).text == "done"
    assert server.asked[:2] == [f"{method} /start"] * 2


@notes
def test_notes_of_others_stay(server: Server, connect: Open) -> None:
    def boom(_: object) -> None:
        error = ValueError("own")
        error.add_note("")  # type: ignore[attr-defined]
        raise error

    server.script(poll("/w"), DONE)
    with pytest.raises(ValueError, match="own") as caught:
        connect(FAST.replace(on_wait=boom)).get(server.url)
    first, second = caught.value.__notes__  # type: ignore[attr-defined]
    assert (first, line_of(second)[:16]) == ("", "session.resume('")


@notes
def test_each_interruption_of_a_poller_has_one(server: Server, clock: FakeClock) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    server.script(again("0"))
    with PollingSession(policy=FAST.replace(clock=clock, on_wait=interrupted)) as session:
        poller = session.submit("POST", server.url)
        for _ in range(4):
            with pytest.raises(KeyboardInterrupt) as caught:
                poller.result()
            assert len(caught.value.__notes__) == 1  # type: ignore[attr-defined]
            del caught  # the next may have its place in memory
